//! Files inside a snapshot of the running guest, without a mount.

use std::fs;

use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{self, ROOT};
use stillpoint_tests::machine::program::run;

const SNAPSHOT: &str = "vg/look";

#[test]
fn a_live_snapshot_shows_the_files_that_are_in_its_journal_only() {
    scenario(|guest| {
        let folder = "/var/tmp/looked-into";
        let content = guest.sh(&format!(
            "rm -rf {folder} && mkdir -p {folder}/deep && seq 1 5000 >{folder}/deep/numbers && \
             ln -s deep/numbers {folder}/link && chown 33:44 {folder}/deep/numbers && chmod 640 {folder}/deep/numbers && \
             sync {folder}/deep/numbers && cat {folder}/deep/numbers"
        ));
        run("lvcreate", &["-q", "-s", "-n", "look", "-L", "128m", ROOT]);

        let checked = Run::of("check").with(&[SNAPSHOT]).end().with_code(3);
        assert!(checked.stdout.contains("verdict: replay"), "{}", checked.stdout);

        let place = format!("1:{folder}");
        let listed = Run::of("ls").with(&[SNAPSHOT, &place]).end().with_code(0).stdout;
        for name in ["deep", "link"] {
            assert!(listed.contains(name), "{listed}");
        }
        let read = Run::of("cat").with(&[SNAPSHOT, &format!("{place}/link")]).end().with_code(0).stdout;
        assert_eq!(read.trim_end(), content.trim_end());

        let mut copy = Run::of("cp");
        let target = copy.folder().join("copy");
        copy = copy.with(&[SNAPSHOT, &place, target.to_str().unwrap()]);
        copy.end().with_code(0);
        assert_eq!(fs::read_to_string(target.join("deep/numbers")).unwrap().trim_end(), content.trim_end());
        let attributes = run("stat", &["-c", "%u:%g %a", target.join("deep/numbers").to_str().unwrap()]);
        assert_eq!(attributes.trim_end(), "33:44 640");

        volume::remove_foreign();
    });
}
