//! The other branch: a dump in place of the image, and when.

use std::process::Command;
use std::sync::{Arc, Mutex};

use guest_bridge::agent::{Exit as Ended, Finished, Program, SharedAgent};
use lvm::Lvm;
use stillpoint::ask::connect::World;
use stillpoint::ask::policy::DumpWish;
use stillpoint::backup::Outcome;
use stillpoint::documents::receipt::DumpReason;
use stillpoint::failure::exit::Exit;
use stillpoint::failure::{Failure, Kind};
use stillpoint::grade::Grade;

use super::peers::Filling;
use super::setting::Setting;

const SQL: &str = "-- MariaDB dump\n-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=776;\n\n\
                   CREATE TABLE t (n INT);\nINSERT INTO t VALUES (1);\n-- Dump completed on 2026-01-02  3:04:05\n";

/// A guest with a dump client that prints this and ends with that code; and what its script was asked.
fn with_client(setting: &mut Setting, sql: &'static str, code: u8) -> Arc<Mutex<Vec<String>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, mut name, mut is_read) = (asked.clone(), String::new(), false);
    setting.guest = setting.guest.clone().runs(move |program: &Program| {
        let finished =
            |stdout: Vec<u8>, stderr: String| Finished { exit: Ended::Code(0), stdout, stderr: stderr.into_bytes() };
        let is_dump = program.args.get(1).is_some_and(|script| script.starts_with("# A dump in a guest"));
        let Some(verb) = program.args.get(3).filter(|_| is_dump) else { return finished(Vec::new(), String::new()) };
        seen.lock().unwrap().push(verb.clone());
        match verb.as_str() {
            "start" => {
                (name, is_read) = (program.args[4].clone(), false);
                finished(b"77 mariadb-dump from 10.11.19-MariaDB\n".to_vec(), String::new())
            }
            "read" if !is_read => {
                is_read = true;
                let behind = [sql.as_bytes(), name.as_bytes(), &[0; 4096]].concat();
                finished(behind, format!("ended {code} {}\n", sql.len()))
            }
            _ => finished(Vec::new(), String::new()),
        }
    });
    asked
}

async fn backed_up(setting: &Setting, wish: DumpWish, lvm: Option<Lvm>) -> Result<Outcome, Failure> {
    let world = setting.world();
    let agent = Some(SharedAgent::new(setting.guest.clone()));
    let world = World { agent, lvm: lvm.unwrap_or_else(|| world.lvm.clone()), ..world };
    setting.back_up_of(|asked| asked.dump = Some(wish), world).await
}

fn filling(setting: &Setting) -> Option<Lvm> {
    Some(Lvm::with_device_dir(Arc::new(Filling(setting.lvm.clone())), setting.path("dev")))
}

#[tokio::test(start_paused = true)]
async fn a_dump_that_is_asked_for_is_the_clients_output_and_freezes_nothing() {
    let mut setting = Setting::new();
    let asked = with_client(&mut setting, SQL, 0);
    let outcome = backed_up(&setting, DumpWish::Only, None).await.unwrap();
    assert_eq!(
        (outcome.exit(), outcome.receipt.grade, outcome.receipt.required),
        (Exit::Done, Grade::Logical, Grade::Logical)
    );
    let dump = outcome.receipt.dump.unwrap();
    assert_eq!((&*dump.file, dump.when, dump.raw_bytes), ("b.sql.zst", DumpReason::Asked, SQL.len() as u64));
    let at = outcome.receipt.window.coordinates.unwrap();
    assert_eq!((&*at.file, at.position), ("binlog.000001", 776));
    assert_eq!(setting.files(), ["b.json", "b.sql.zst"]);
    let unpacked = Command::new("zstd").arg("-dc").arg(setting.path("to/b.sql.zst")).output().unwrap();
    assert_eq!(unpacked.stdout, SQL.as_bytes());
    let entries = setting.log.entries();
    assert!(
        !entries.iter().any(|entry| entry.contains("fsfreeze-freeze") || entry.contains("lvcreate")),
        "{entries:#?}"
    );
    setting.assert_nothing_is_held("a dump");
    assert_eq!(asked.lock().unwrap().last().unwrap(), "end", "nothing is left in the guest");
}

#[tokio::test(start_paused = true)]
async fn a_dump_takes_the_place_of_an_image_whose_snapshot_is_lost() {
    let mut setting = Setting::new();
    with_client(&mut setting, SQL, 0);
    let outcome = backed_up(&setting, DumpWish::Auto, filling(&setting)).await.unwrap();
    assert_eq!((outcome.exit(), outcome.receipt.grade), (Exit::ByDump, Grade::Logical));
    let dump = outcome.receipt.dump.unwrap();
    assert_eq!(dump.when, DumpReason::DuringCopy);
    assert!(dump.why.contains("was full after"), "{}", dump.why);
    assert_eq!(setting.files(), ["b.json", "b.sql.zst"], "nothing of the image is left");
    setting.assert_nothing_is_held("a dump after a full COW");
    setting.assert_no_marker_is_left("a dump after a full COW");
}

#[tokio::test(start_paused = true)]
async fn where_no_dump_is_wanted_a_lost_snapshot_is_a_failure() {
    let mut setting = Setting::new();
    let asked = with_client(&mut setting, SQL, 0);
    let failure = backed_up(&setting, DumpWish::Never, filling(&setting)).await.unwrap_err();
    assert_eq!((failure.cause.kind, failure.exit()), (Kind::CowFull, Exit::Failed));
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dump_that_is_not_whole_is_not_kept() {
    let cut_off = "CREATE TABLE t (n INT);\n";
    for (sql, code, words) in
        [(cut_off, 0, "does not end with"), (SQL, 3, "failed with"), (cut_off, 137, "ended by signal 9")]
    {
        let mut setting = Setting::new();
        let asked = with_client(&mut setting, sql, code);
        let failure = backed_up(&setting, DumpWish::Only, None).await.unwrap_err();
        assert_eq!((failure.cause.kind, failure.exit()), (Kind::DumpNotWhole, Exit::Failed), "{failure}");
        assert!(failure.to_string().contains(words), "{words}: {failure}");
        assert_eq!(setting.files(), [""; 0], "{words}");
        assert_eq!(asked.lock().unwrap().last().unwrap(), "end", "{words}");
        setting.assert_nothing_is_held(words);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dump_without_coordinates_is_none_where_there_is_a_binlog() {
    let mut setting = Setting::new();
    with_client(&mut setting, "-- MariaDB dump\n-- Dump completed on 2026-01-02  3:04:05\n", 0);
    let failure = backed_up(&setting, DumpWish::Only, None).await.unwrap_err();
    assert!(failure.to_string().contains("coordinates"), "{failure}");
    assert_eq!(setting.files(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_without_a_dump_client_is_told_from_a_dump_that_failed() {
    let mut setting = Setting::new();
    setting.guest = setting.guest.clone().runs(|program: &Program| {
        let is_start = program.args.get(3).is_some_and(|verb| verb == "start");
        let (exit, stderr) = if is_start { (6, "there is no dump client") } else { (0, "") };
        Finished { exit: Ended::Code(exit), stdout: Vec::new(), stderr: stderr.into() }
    });
    let failure = backed_up(&setting, DumpWish::Only, None).await.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::DumpImpossible, "{failure}");
    assert!(failure.to_string().contains("there is no dump client"), "{failure}");
    assert_eq!(setting.files(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dump_of_a_database_that_the_agent_does_not_reach_is_refused_before_anything_is_begun() {
    let mut setting = Setting::new();
    with_client(&mut setting, SQL, 0);
    let only = |asked: &mut stillpoint::ask::job::Asked| {
        asked.dump = Some(DumpWish::Only);
        asked.database = None;
    };
    let failure = setting.back_up_of(only, World { database: None, ..setting.world() }).await.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::Refused, "{failure}");
    assert!(failure.to_string().contains("no database is configured"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_dump_that_fails_where_an_image_failed_before_keeps_both_reasons() {
    let mut setting = Setting::new();
    with_client(&mut setting, SQL, 3);
    let failure = backed_up(&setting, DumpWish::Auto, filling(&setting)).await.unwrap_err();
    assert_eq!((failure.cause.kind, failure.exit()), (Kind::DumpNotWhole, Exit::Failed));
    for words in ["was full after", "what was to be done instead failed: ", "failed with"] {
        assert!(failure.to_string().contains(words), "{words}: {failure}");
    }
    assert_eq!(setting.files(), [""; 0]);
    setting.assert_nothing_is_held("image and dump");
}
