//! A snapshot that does not last as long as its copy.

use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::ROOT;

#[test]
fn a_full_cow_is_called_by_its_name_and_leaves_no_artifact() {
    scenario(|guest| {
        guest
            .sh("systemd-run -q --unit heavy sh -c 'while :; do dd if=/dev/urandom of=/var/tmp/heavy bs=1M count=256 \
             conv=fsync status=none; done'");
        // The copy shall be slower than the writes, and begin before they are done: also on a machine that has other work.
        let mut run = Run::backup().with(&["--disk", ROOT, "--cow-size", "64M", "--level", "19"]);
        let ended = run.end();
        guest.sh("systemctl stop heavy; rm /var/tmp/heavy");
        let ended = ended.refused(1, &["the COW of vg/db-root (64 MiB) was full after", "a second"]);
        assert!(!ended.complaint().contains("I/O error"), "{}", ended.stderr);
        assert!(ended.stderr.contains("hint: give it a larger --cow-size"), "{}", ended.stderr);
        assert_eq!(run.files(), [""; 0]);
        let last = run.steps().into_iter().filter(|(step, _)| step == "copy" || step == "remove").collect::<Vec<_>>();
        let marks: Vec<&str> = last.iter().map(|(_, mark)| &**mark).collect();
        assert_eq!(marks, ["intent", "failed", "done"], "{last:?}");
    });
}
