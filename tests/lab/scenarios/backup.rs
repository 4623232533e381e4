//! A backup of the running guest, and what it holds.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;
use stillpoint_tests::lab::guest::Guest;
use stillpoint_tests::lab::proof::prove_rows;
use stillpoint_tests::lab::recovered::{assert_needs_no_replay_and_no_repair, cat, ext4_at, unpack};
use stillpoint_tests::lab::scenario::{assert_nothing_is_left, scenario};
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, ROOT};
use stillpoint_tests::machine::program::try_run;

/// The window's steps, in the only order that is safe.
const WINDOW: [&str; 6] = ["lock", "freeze", "snapshot", "thaw", "still-locked", "unlock"];

#[test]
fn a_backup_of_both_disks_through_the_agent_is_of_grade_application_and_holds_what_was_committed() {
    scenario(|guest| {
        guest.forget_ticks();
        guest.start_ticks(20);
        guest.wait_for_ticks(20);
        start_pairs(guest);
        let mut run = Run::backup_of_all().with(&["--cow-size", "200M"]);
        let ended = run.end().with_code(0);
        guest.sh("kill $(cat /run/pairs.pid)");
        assert_nothing_is_left(guest);

        let receipt = run.receipt();
        assert_eq!(receipt["grade"], "application", "{receipt}");
        assert_eq!(receipt["window"]["freeze"]["frozen"], 2);
        assert_eq!(receipt["window"]["freeze"]["thawed"], 2);
        assert_eq!(ended.stdout.lines().count(), 14, "{}", ended.stdout);
        assert_eq!(run.files(), ["backup-db-data.img.zst", "backup-db-root.img.zst", "backup.json"]);
        assert_the_window_was_in_order(&run);
        assert_the_receipt_says_where_everything_is(&receipt);
        assert_eq!(guest.sh("ls -d /.stillpoint* /srv/data/.stillpoint* 2>/dev/null || true"), "", "markers stay");

        let filesystems: Vec<String> =
            receipt["disks"].as_array().unwrap().iter().map(|disk| unpacked(&run, disk)).collect();
        let [root, data] = &filesystems[..] else { panic!("{filesystems:?}") };
        prove_rows(guest, &receipt, root, run.folder());
        let pair: Vec<u64> = filesystems.iter().map(|disk| cat(disk, "/pair").trim().parse().unwrap()).collect();
        assert!(pair[0] == pair[1] || pair[0] == pair[1] + 1, "the disks are not of one moment: {pair:?}");
        // Last, for it changes the images.
        assert_needs_no_replay_and_no_repair(root);
        assert_needs_no_replay_and_no_repair(data);
    });
}

/// Writes 1, 2, 3 ... to the first disk and then to the second, so that a copy of one moment never has the second ahead.
fn start_pairs(guest: &Guest) {
    guest.sh("(n=0; while n=$((n + 1)); do for disk in / /srv/data/; do \
         echo $n >${disk}pair.new; mv ${disk}pair.new ${disk}pair; done; sleep 0.1; done) >/dev/null 2>&1 & \
         echo $! >/run/pairs.pid; until [ -s /srv/data/pair ]; do sleep 0.1; done");
}

fn assert_the_receipt_says_where_everything_is(receipt: &Value) {
    let found = |mountpoint: &str| {
        let all = receipt["identity"]["filesystems"].as_array().unwrap();
        let one = all.iter().find(|one| one["mountpoint"] == mountpoint).unwrap_or_else(|| panic!("{receipt:#}"));
        (one["fate"]["disk"].clone(), one["fate"]["volume"].clone())
    };
    assert_eq!(found("/"), (ROOT.into(), "1".into()));
    assert_eq!(found("/srv/data"), (DATA.into(), "0".into()));
    let (database, coordinates) = (&receipt["database"], &receipt["window"]["coordinates"]);
    assert_eq!(database["state"], "binlog-ends-at-coordinates", "{receipt:#}");
    assert_eq!((&database["end_bytes"], &database["gtid"]), (&coordinates["position"], &coordinates["gtid"]));
}

fn assert_the_window_was_in_order(run: &Run) {
    let window: Vec<(String, String)> = run.steps().into_iter().filter(|(step, _)| WINDOW.contains(&&**step)).collect();
    // What takes something new says so before anybody waits for us: under the lock nothing is written.
    let intents = ["freeze", "lock"].map(|step| (step, "intent"));
    let lines = intents.into_iter().chain(WINDOW.map(|step| (step, "done")));
    let expected: Vec<(String, String)> = lines.map(|(step, mark)| (step.to_owned(), mark.to_owned())).collect();
    assert_eq!(window, expected);
}

/// Unpacks the artifact of `disk`, asserts that the bytes are those that the receipt and `check` speak of, and gives the
/// disk's one filesystem.
fn unpacked(run: &Run, disk: &Value) -> String {
    let artifact = run.target().join(disk["image"].as_str().unwrap());
    let image: PathBuf = artifact.with_extension("raw");
    unpack(&artifact, &image);
    let mut hash = blake3::Hasher::new();
    hash.update_reader(fs::File::open(&image).unwrap()).unwrap();
    assert_eq!(disk["raw_blake3"], hash.finalize().to_hex().as_str());
    assert_eq!(disk["raw_bytes"], fs::metadata(&image).unwrap().len());

    let checked = Run::of("check").with(&[artifact.to_str().unwrap(), "--json"]).end().with_code(0);
    let report: Value = serde_json::from_str(&checked.stdout).unwrap();
    for part in ["verdict", "table", "volumes"] {
        assert_eq!(report[part], disk["evidence"][part], "{part}: the artifact is not what the snapshot was");
    }
    ext4_at(&image, &report["volumes"][0]["offset_bytes"])
}

#[test]
fn a_session_over_the_network_locks_as_well_as_one_through_the_agent() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let mut run = over_the_network(&fs::read_to_string(std::env::var("LAB_DB_PASSWORD_FILE").unwrap()).unwrap());
        run = run.with(&["--disk", DATA, "--disk", ROOT, "--cow-size", "200M"]);
        run.end().with_code(0);
        let receipt = run.receipt();
        assert_eq!(receipt["grade"], "application", "{receipt}");
        assert!(receipt["window"]["coordinates"]["position"].is_u64());
        assert_the_window_was_in_order(&run);
    });
}

#[test]
fn a_wrong_password_is_an_error_of_configuration() {
    scenario(|_| {
        let run = over_the_network("wrong").with(&["--disk", DATA]).end();
        run.refused(2, &["stillpoint", "denied"]);
    });
}

pub fn over_the_network(password: &str) -> Run {
    let run = Run::backup().with(&["--db", "tcp:127.0.0.1:3306"]);
    let credentials = run.folder().join("credentials");
    fs::write(&credentials, format!("[client]\nuser = stillpoint\npassword = {password}\n")).unwrap();
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
    let credentials = credentials.to_str().unwrap().to_owned();
    run.with(&["--db-credentials", &credentials])
}

#[test]
fn the_image_goes_to_standard_output_where_asked() {
    scenario(|_| {
        let run = Run::of("check");
        let script = format!(
            "\"$STILLPOINT\" backup --disk {DATA} --agent unix:/run/lab/qga.sock --to - --receipt {0}/r.json \
             --state-dir {0}/state | zstd -dc --sparse >{0}/raw && e2fsck -fp {0}/raw && test -s {0}/r.json",
            run.folder().display()
        );
        let piped = try_run("bash", &["-c", &format!("set -o pipefail; {script}")]);
        assert!(piped.status.success(), "{}", stillpoint_tests::machine::program::text(&piped));
    });
}
