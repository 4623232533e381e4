//! `doctor` names what would keep a backup from its grade, and changes nothing.

use std::time::Duration;

use serde_json::Value;
use stillpoint_tests::lab::guest::{Guest, RESTRICTED_SOCKET, until};
use stillpoint_tests::lab::scenario::{assert_nothing_is_left, scenario};
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{self, DATA, ROOT};

fn doctor() -> Run {
    Run::of("doctor").with(&["--disk", ROOT, "--disk", DATA, "--cow-size", "200M", "--json"])
}

fn of_the_guest() -> Run {
    doctor().with(&["--agent", "unix:/run/lab/qga.sock", "--db", "agent"])
}

/// The findings of `run`, which ends with `code`.
fn findings(run: &mut Run, code: i32) -> Vec<Value> {
    let document: Value = serde_json::from_str(&run.end().with_code(code).stdout).unwrap();
    document["findings"].as_array().unwrap().clone()
}

/// What the findings of `check` say, with their level.
fn of_check(findings: &[Value], check: &str) -> String {
    let of = findings.iter().filter(|finding| finding["check"] == check);
    of.map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn a_healthy_guest_is_kept_from_nothing_and_stands_still_only_for_a_test_that_is_asked_for() {
    scenario(|guest| {
        let volumes = volume::all();
        let mut looking = of_the_guest();
        let found = findings(&mut looking, 0);
        let bad = ["stops", "keeps-from-grade"];
        assert!(found.iter().all(|finding| !bad.contains(&finding["level"].as_str().unwrap())), "{found:?}");
        for check in
            ["agent", "frozen", "commands", "filesystems", "loops", "disks", "room", "lvm", "target", "watchdog"]
        {
            assert!(of_check(&found, check).contains(r#""level":"fine""#), "{check}: {found:?}");
        }
        assert_eq!((looking.steps(), looking.files()), (vec![], vec![]));
        assert_eq!(volume::all(), volumes);

        let mut testing = of_the_guest().with(&["--freeze-test"]);
        let document: Value = serde_json::from_str(&testing.end().with_code(0).stdout).unwrap();
        assert_eq!(document["freeze_test"]["frozen"], 2, "{document}");
        assert_eq!(document["freeze_test"]["thawed"], 2, "{document}");
        assert_nothing_is_left(guest);
        let steps: Vec<String> = testing.steps().into_iter().map(|(step, mark)| format!("{step} {mark}")).collect();
        for step in ["arm intent", "freeze intent", "freeze done", "thaw done", "disarm done"] {
            assert!(steps.contains(&step.to_owned()), "{step}: {steps:?}");
        }
        assert!(!steps.iter().any(|step| step.starts_with("lock ") || step.starts_with("snapshot ")), "{steps:?}");
    });
}

#[test]
fn a_loop_mount_that_would_deadlock_a_freeze_and_a_long_transaction_are_named_and_no_freeze_is_tried() {
    scenario(|guest| {
        let (_mounts, transaction) = (Mounts::make(guest), Transaction::open(guest));
        let mut run = of_the_guest().with(&["--freeze-test"]);
        let found = findings(&mut run, 1);
        let loops = of_check(&found, "loops");
        assert!(loops.contains(r#""level":"stops""#) && loops.contains("/mnt/loop"), "{loops}");
        assert!(loops.contains("/var/tmp/loop.img") && loops.contains("/mnt/bind"), "{loops}");
        assert!(of_check(&found, "busy").contains(&format!("thread {}", transaction.thread_id)), "{found:?}");
        assert!(of_check(&found, "freeze-test").contains("a freeze is not tried"), "{found:?}");
        assert_eq!(run.steps(), []);
    });
}

#[test]
fn an_agent_that_blocks_guest_exec_keeps_a_backup_from_its_grade() {
    scenario(|_| {
        let agent = format!("unix:{RESTRICTED_SOCKET}");
        let mut run = doctor().with(&["--agent", &agent, "--require", "application"]);
        let found = findings(&mut run, 3);
        let commands = of_check(&found, "commands");
        assert!(commands.contains("keeps-from-grade") && commands.contains("guest-exec"), "{commands}");
        assert!(of_check(&found, "watchdog").contains("not looked at"), "{found:?}");
        assert_eq!(run.steps(), []);
    });
}

/// A filesystem in a file of the guest's, and its first filesystem mounted once more behind it.
struct Mounts<'g>(&'g Guest);

impl<'g> Mounts<'g> {
    fn make(guest: &'g Guest) -> Self {
        let mounts = Self(guest);
        guest.sh(
            "modprobe loop; truncate -s 16M /var/tmp/loop.img && mkfs.ext4 -q /var/tmp/loop.img && mkdir -p /mnt/loop /mnt/bind && \
             mount -o loop /var/tmp/loop.img /mnt/loop && mount --bind /usr /mnt/bind",
        );
        mounts
    }
}

impl Drop for Mounts<'_> {
    fn drop(&mut self) {
        // Also where half of it was made.
        let remove = "umount /mnt/bind /mnt/loop; rm -f /var/tmp/loop.img; rmdir /mnt/loop /mnt/bind";
        self.0.run("/bin/sh", &["-c", remove], Duration::from_secs(60)).ok();
    }
}

/// A transaction that has been open for a while. It ends when this is dropped.
struct Transaction<'g> {
    guest: &'g Guest,
    thread_id: u64,
}

impl<'g> Transaction<'g> {
    fn open(guest: &'g Guest) -> Self {
        guest.sql("CREATE TABLE IF NOT EXISTS stillpoint_demo.probe (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB");
        guest.sh("mariadb -e 'START TRANSACTION; INSERT INTO stillpoint_demo.probe VALUES (); DO SLEEP(86397)' >/dev/null 2>&1 &");
        let find = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX WHERE trx_rows_modified > 0 AND \
             TIMESTAMPDIFF(SECOND, trx_started, NOW()) > 11";
        until("the transaction is a long one", || !guest.sql(find).is_empty());
        Self { guest, thread_id: guest.sql(find).parse().unwrap() }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.guest.sql(&format!("KILL {}", self.thread_id));
    }
}
