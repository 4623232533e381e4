//! The lab itself is what the other scenarios take it for.

use serde_json::json;
use stillpoint_tests::lab::agent::Agent;
use stillpoint_tests::lab::guest::{RESTRICTED_SOCKET, until};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::volume::{self, DATA, ROOT};
use stillpoint_tests::machine::program::{run, try_run};

#[test]
fn the_root_disk_is_ext4_on_gpt_and_the_data_disk_ext4_without_a_table() {
    scenario(|_| {
        let table = run("sgdisk", &["--info=1", "/dev/vg/db-root"]);
        assert!(table.contains("First sector: 2048"), "{table}");
        assert!(run("blkid", &["-p", "-O", "1048576", "/dev/vg/db-root"]).contains("TYPE=\"ext4\""));
        assert!(run("blkid", &["-p", "/dev/vg/db-data"]).contains("TYPE=\"ext4\""));
    });
}

#[test]
fn the_guest_mounts_both_disks_and_its_commits_are_durable_and_in_the_binlog() {
    scenario(|guest| {
        assert_eq!(guest.sh("findmnt -n -o SOURCE /; findmnt -n -o SOURCE /srv/data").trim(), "/dev/vda1\n/dev/vdb");
        assert_eq!(guest.sql("SELECT @@log_bin, @@sync_binlog, @@innodb_flush_log_at_trx_commit"), "1\t1\t1");
    });
}

#[test]
fn a_freeze_stops_commits_until_the_thaw() {
    scenario(|guest| {
        guest.sql("CREATE TABLE stillpoint_demo.held (id INT PRIMARY KEY) ENGINE=InnoDB");
        let held = || guest.sql("SELECT COUNT(*) FROM stillpoint_demo.held");
        let frozen = guest.agent.call("guest-fsfreeze-freeze", json!({})).unwrap();
        assert_eq!(frozen, 2, "both disks' filesystems");
        assert!(guest.is_frozen());
        guest.sh("mariadb -e 'INSERT INTO stillpoint_demo.held VALUES (1)' >/dev/null 2>&1 &");
        std::thread::sleep(std::time::Duration::from_secs(2));
        let during = held();
        assert_eq!(guest.agent.call("guest-fsfreeze-thaw", json!({})).unwrap(), frozen);
        assert_eq!(during, "0", "a commit went through while the guest was frozen");
        until("the commit goes through after the thaw", || held() == "1");
        guest.sql("DROP TABLE stillpoint_demo.held");
    });
}

#[test]
fn ticks_are_numbered_without_a_gap() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(20);
        guest.stop_ticks();
        let ids = guest.sql("SELECT COUNT(*), MAX(id) FROM stillpoint_demo.ticks");
        let (count, last) = ids.split_once('\t').unwrap();
        assert_eq!(count, last);
    });
}

#[test]
fn a_snapshot_whose_cow_is_full_turns_invalid() {
    scenario(|guest| {
        run("lvcreate", &["-q", "-s", "-n", "small", "-L", "8m", DATA]);
        assert!(volume::dm_status("small").contains("snapshot "), "{}", volume::dm_status("small"));
        guest.sh("dd if=/dev/urandom of=/srv/data/filler bs=1M count=24 conv=fsync 2>&1");
        assert!(volume::dm_status("small").contains("snapshot Invalid"), "{}", volume::dm_status("small"));
        let small = volume::foreign().into_iter().find(|lv| lv.name == "small").unwrap();
        assert_eq!(small.attr.chars().nth(4), Some('I'), "{small:?}");
        assert!(!try_run("dd", &["if=/dev/vg/small", "of=/dev/null", "bs=1M", "count=1"]).status.success());
        run("lvremove", &["-q", "-f", "vg/small"]);
        guest.sh("rm /srv/data/filler");
    });
}

#[test]
fn a_snapshot_of_the_running_guest_needs_its_journal_replayed() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        run("lvcreate", &["-q", "-s", "-n", "live", "-L", "128m", ROOT]);
        let header = run("dumpe2fs", &["-h", "/dev/vg/live?offset=1048576"]);
        assert!(header.contains("needs_recovery"), "{header}");
        run("lvremove", &["-q", "-f", "vg/live"]);
    });
}

#[test]
fn the_restricted_agent_refuses_to_run_programs() {
    scenario(|_| {
        let restricted = Agent::new(RESTRICTED_SOCKET);
        restricted.call("guest-ping", json!({})).unwrap();
        let refused = restricted.call("guest-exec", json!({"path": "/bin/true"})).unwrap_err();
        assert!(refused.to_string().contains("disabled"), "{refused}");
    });
}
