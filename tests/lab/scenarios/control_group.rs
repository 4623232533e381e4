//! A service manager ends all of a service's processes at once. The lab's hypervisor has none: the guest does, so that for once the
//! tool runs in there, on an LVM of the guest's own.

use std::fs;
use std::path::Path;

use stillpoint_tests::lab::extra_disk::ExtraDisk;
use stillpoint_tests::lab::guest::{Guest, until};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::machine::program::run;

/// A group `inner` with one volume in it, on a file of the guest's. What the volume holds cannot be compressed: a copy takes a while.
const MAKE_A_GROUP: &str = "modprobe loop && modprobe dm-snapshot && truncate -s 200M /var/tmp/pv && \
     losetup /dev/loop7 /var/tmp/pv && vgcreate -q -y inner /dev/loop7 >&2 && lvcreate -q -y -L 64M -n disk inner >&2 && \
     mke2fs -q -t ext4 /dev/inner/disk && mount /dev/inner/disk /media && \
     dd if=/dev/urandom of=/media/data bs=1M count=40 status=none && umount /media";
const REMOVE_THE_GROUP: &str =
    "vgremove -q -y -f inner >&2; losetup -d /dev/loop7; rm -rf /var/tmp/pv /var/tmp/images /run/state";

const BACK_UP: &str = "mkdir /var/tmp/images && systemd-run -q --collect --unit=backup --property=KillMode=control-group \
     --property=StandardError=file:/run/backup.err /mnt/tool/stillpoint backup --disk inner/disk --no-freeze --require crash \
     --cow-size 16M --level 19 --state-dir /run/state --to /var/tmp/images --name backup";

fn the_tool(folder: &Path) {
    let program = std::env::var("STILLPOINT").unwrap();
    let stripped = folder.join("stillpoint");
    run("strip", &["-o", stripped.to_str().unwrap(), &program]);
}

/// Whether the run's log has such an entry. Panics where the service has ended.
fn has_logged(guest: &Guest, entry: &str) -> bool {
    let ended = guest.sh("systemctl is-active -q backup || cat /run/backup.err");
    assert_eq!(ended, "", "the backup has ended: {}", log(guest));
    log(guest).contains(entry)
}

fn log(guest: &Guest) -> String {
    guest.sh("cat /run/state/runs/*.jsonl 2>/dev/null || true")
}

#[test]
fn the_end_of_a_services_control_group_leaves_the_guardian_and_it_gives_everything_back() {
    scenario(|guest| {
        let folder = tempfile::TempDir::new_in("/run/share").unwrap();
        the_tool(folder.path());
        let tree = folder.path().to_str().unwrap();
        let mkfs = ["mke2fs", "-q", "-t", "ext4", "-d", tree];
        let disk = ExtraDisk::plug(guest, "tool", "96M", &mkfs, "/mnt/tool");
        guest.sh(MAKE_A_GROUP);
        guest.sh(BACK_UP);
        until("the run copies", || has_logged(guest, r#""mark":"intent","step":"copy""#));
        // What `systemctl stop` does in the end, the OOM killer with `OOMPolicy=kill`, and `RuntimeMaxSec`.
        guest.sh("systemctl kill --kill-whom=all --signal=KILL backup.service");
        until("the guardian closes the run's log", || log(guest).contains(r#""mark":"closed""#));
        let left = guest.sh("lvs --noheadings -o lv_name inner; ls -A /var/tmp/images");
        guest.sh(REMOVE_THE_GROUP);
        drop(disk);
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["disk"]);
        fs::remove_dir_all(folder.path()).unwrap();
    });
}
