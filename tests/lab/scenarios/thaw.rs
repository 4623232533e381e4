//! That the guest runs again is read from its disks, or proven by a write: its agent's word is not enough.

use serde_json::Value;
use stillpoint_tests::lab::extra_disk::{Cache, ExtraDisk};
use stillpoint_tests::lab::proxy::AgentThatThawsTheSecondTime;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, ROOT};

/// What proves of each filesystem that it is thawed, by its mountpoint.
fn proofs(receipt: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{receipt:#}")).to_owned();
    let thaws = receipt["window"]["thaw"].as_array().unwrap().iter();
    let mut proofs: Vec<_> = thaws.map(|one| (text(&one["mountpoint"]), text(&one["proof"]["state"]))).collect();
    proofs.sort();
    proofs
}

fn expected(proofs: &[(&str, &str)]) -> Vec<(String, String)> {
    proofs.iter().map(|(mountpoint, state)| ((*mountpoint).to_owned(), (*state).to_owned())).collect()
}

#[test]
fn ext4_is_seen_live_on_its_disk_through_any_cache_and_xfs_is_written_to() {
    for (mkfs, state) in [(&["mke2fs", "-q", "-t", "ext4"][..], "seen-live"), (&["mkfs.xfs", "-q"], "written")] {
        scenario(|guest| {
            let disk = ExtraDisk::plug_through(Cache::Writeback, guest, "extra", "320M", mkfs, "/mnt/extra");
            guest.sh("dd if=/dev/urandom of=/mnt/extra/file bs=1M count=3 status=none");
            let mut run = Run::backup_of_all().with(&["--disk", disk.volume(), "--cow-size", "100M"]);
            // Whatever the grade: on a busy machine the marker of an XFS may be too old to prove its freeze.
            run.end();
            drop(disk);
            let receipt = run.receipt();
            let all = expected(&[("/", "seen-live"), ("/mnt/extra", state), ("/srv/data", "seen-live")]);
            assert_eq!(proofs(&receipt), all, "{mkfs:?}: {receipt:#}");
        });
    }
}

#[test]
fn a_guest_that_its_agent_did_not_thaw_is_found_out_on_its_disks_and_thawed_again() {
    scenario(|_| {
        let agent = AgentThatThawsTheSecondTime::start();
        let agent = format!("unix:{}", agent.socket().display());
        let mut run =
            Run::of("backup").with(&["--agent", &agent, "--disk", ROOT, "--disk", DATA, "--cow-size", "200M"]);
        let ended = run.end().with_code(0);
        assert!(ended.stderr.contains("its disk says that it is not"), "{}", ended.stderr);
        let thaws = run.steps().iter().filter(|(step, mark)| step == "thaw" && mark == "done").count();
        assert_eq!(thaws, 2, "{}", run.log_text());
        let receipt = run.receipt();
        assert_eq!(proofs(&receipt), expected(&[("/", "seen-live"), ("/srv/data", "seen-live")]), "{receipt:#}");
        assert_eq!(receipt["grade"], "filesystem", "{receipt:#}");
    });
}
