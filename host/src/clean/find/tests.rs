use std::collections::BTreeSet;

use lvm::{Mapped, SnapshotState, Unseen, Volume};

use super::find;
use crate::clean::blocks::{Block, BlockKind};
use crate::clean::finding::{Finding, OnTop, Refusal, What};
use crate::clean::mounts::Mount;
use crate::clean::processes::User;
use crate::clean::recorded::{host, loop_device, mapped, mount, process, uuid, volume};
use crate::clean::run_of::RunState;
use crate::clean::seen::Seen;

fn only(seen: &Seen) -> Finding {
    let mut found = find(seen);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn order(finding: &Finding) -> Vec<String> {
    finding.steps.iter().map(|step| step.command().to_string()).collect()
}

fn user(pid: u32, command: &str, opens: &[&str], uses: &[&str]) -> User {
    let opens = opens.iter().map(|number| (*number).to_owned()).collect();
    User { process: process(pid, command), opens, uses: uses.iter().map(Into::into).collect() }
}

fn lvremove() -> String {
    format!("lvremove --yes --select lv_uuid={} vg/snap", "s".repeat(32))
}

#[test]
fn a_forgotten_snapshot_is_listed_with_what_lies_on_it_and_taken_down_from_the_top() {
    let found = only(&host());
    assert_eq!((found.what, &*found.name, found.origin.as_deref()), (What::Snapshot, "vg/snap", Some("vg/db")));
    assert_eq!(found.cow.map(|(used, total)| (used.0, total.0)), Some((4 << 20, 20 << 20)));
    let (name, on) = ("vg-snap1".to_owned(), "vg-snap".to_owned());
    let (mountpoint, fs_type) = ("/mnt/snap".into(), "ext4".to_owned());
    let on_top =
        [OnTop::Mapping { name: name.clone(), on }, OnTop::Mount { mountpoint, fs_type, on: name, within: None }];
    assert_eq!(found.on_top, on_top);
    let expected = ["umount --no-canonicalize /mnt/snap", "dmsetup remove --retry vg-snap1", &*lvremove()];
    assert_eq!(order(&found), expected);
    assert_eq!((found.refusal, found.in_the_way), (None, Vec::new()));
}

#[test]
fn a_loop_device_goes_with_its_partitions_and_before_what_it_is_over() {
    let mut seen = host();
    seen.mapped.pop();
    let partition = BlockKind::Partition { of: "7:0".to_owned() };
    let partition = Block { name: "loop0p1".to_owned(), number: "259:0".to_owned(), kind: partition };
    seen.blocks = vec![loop_device("loop0", "7:0", "/dev/dm-6"), partition];
    seen.mounts = vec![mount(27, "259:0", "/mnt/snap")];
    let expected = ["umount --no-canonicalize /mnt/snap", "losetup --detach /dev/loop0", &*lvremove()];
    assert_eq!(order(&only(&seen)), expected);
}

#[test]
fn a_mount_below_another_one_goes_first_whichever_device_it_is_of() {
    let mut seen = host();
    seen.mapped.push(mapped("vg-snap2", "", "254:8", "254:6", "0 2048 linear 254:6 4096"));
    seen.mounts.push(Mount { parent: 27, ..mount(28, "254:8", "/mnt/snap/boot") });
    seen.mounts.push(mount(29, "254:8", "/mnt/snap"));
    let order = order(&only(&seen));
    let umounts: Vec<&str> =
        order.iter().filter_map(|command| command.strip_prefix("umount --no-canonicalize ")).collect();
    assert_eq!(umounts, ["/mnt/snap/boot", "/mnt/snap", "/mnt/snap"]);
}

#[test]
fn a_full_snapshot_is_called_so_by_lvm_and_by_the_kernel() {
    let mut seen = host();
    seen.inventory.volumes[1].attr = "swi-I-s---".to_owned();
    assert_eq!(only(&seen).what, What::InvalidSnapshot);
    let mut seen = host();
    seen.mapped[3].snapshot = Some(SnapshotState::Overflow);
    let found = only(&seen);
    assert_eq!((found.what, found.cow), (What::InvalidSnapshot, None));
}

#[test]
fn a_process_that_holds_it_is_in_the_way_and_named_with_what_helps() {
    for (user, words) in [
        (user(77, "dd", &["254:7"], &[]), "dd (pid 77) has it open"),
        (user(77, "dd", &["254:5"], &[]), "dd (pid 77) has it open"),
        (user(77, "rsync", &[], &["/mnt/snap"]), "rsync (pid 77) works in /mnt/snap"),
    ] {
        let found = only(&Seen { users: vec![user], ..host() });
        assert!(found.in_the_way.iter().any(|what| what.contains(words)), "{:?}", found.in_the_way);
        assert!(matches!(found.on_top.last(), Some(OnTop::Process { .. })), "{:?}", found.on_top);
    }
}

#[test]
fn what_lets_go_by_itself_or_with_its_mount_is_not_in_the_way() {
    let probes = Seen { users: vec![user(77, "(udev-worker)", &["254:7"], &[])], ..host() };
    assert_eq!(only(&probes).in_the_way, [""; 0]);
    let ntfs = Mount { fs_type: "fuseblk".to_owned(), ..mount(27, "254:7", "/mnt/snap") };
    let serves = Seen { users: vec![user(77, "mount.ntfs-3g", &["254:7"], &[])], mounts: vec![ntfs], ..host() };
    assert_eq!(only(&serves).in_the_way, [""; 0]);
}

#[test]
fn a_mount_that_only_another_namespace_has_is_in_the_way() {
    let theirs = Mount { within: Some(process(88, "containerd")), ..mount(90, "254:7", "/data") };
    let both = Seen { mounts: [host().mounts, vec![theirs.clone()]].concat(), ..host() };
    assert_eq!(only(&both).in_the_way, [""; 0], "unmounted here, it is unmounted there as a rule");
    let found = only(&Seen { mounts: vec![theirs], ..host() });
    assert!(found.in_the_way[0].contains("nsenter --target 88 --mount umount /data"), "{:?}", found.in_the_way);
    assert!(!order(&found).iter().any(|command| command.starts_with("umount")));
}

#[test]
fn a_mount_over_it_or_below_it_that_is_of_something_else_is_in_the_way() {
    for other in [mount(40, "0:50", "/mnt/snap"), Mount { parent: 27, ..mount(40, "0:50", "/mnt/snap/proc") }] {
        let mut seen = host();
        seen.mounts.push(other.clone());
        let found = only(&seen);
        let words = format!("`umount {}`", other.mountpoint.display());
        assert!(found.in_the_way[0].contains(&words), "{:?}", found.in_the_way);
    }
}

#[test]
fn a_device_on_top_that_somebody_else_looks_after_is_in_the_way() {
    let guest = mapped("ubuntu--vg-root", &uuid('g'), "254:9", "254:7", "0 8 linear 254:7 0");
    let crypt = mapped("secret", "CRYPT-LUKS2-x-secret", "254:9", "254:7", "0 8 crypt aes 0 0 254:7 0");
    for (device, words) in [(guest, "`vgchange --activate n ubuntu-vg`"), (crypt, "`cryptsetup close secret`")] {
        let mut seen = host();
        seen.inventory.uuids.insert(device.uuid.clone());
        seen.mapped.push(device);
        let found = only(&seen);
        assert!(found.in_the_way[0].contains(words), "{:?}", found.in_the_way);
    }
}

/// A host without the snapshot.
fn with_only_the_origin() -> Seen {
    let mut seen = host();
    seen.inventory.volumes.pop();
    seen.inventory.uuids.remove(&uuid('s'));
    seen.mapped.truncate(2);
    seen
}

#[test]
fn an_ordinary_volume_is_stale_only_for_what_is_mapped_from_it_and_itself_stays() {
    let mut seen = with_only_the_origin();
    seen.mounts = vec![mount(27, "254:0", "/srv")];
    seen.mapped.push(mapped("crypt", "CRYPT-LUKS2-x", "254:8", "254:0", "0 8 crypt aes 0 0 254:0 0"));
    assert_eq!(find(&seen), [], "that it is mounted or encrypted is its use");
    seen.mapped.push(mapped("vg-db1", "", "254:9", "254:0", "0 2048 linear 254:0 2048"));
    let found = only(&seen);
    assert_eq!((found.what, &found.refusal), (What::MappedVolume, &Some(Refusal::NotASnapshot)));
    assert_eq!(order(&found), ["dmsetup remove --retry vg-db1"]);
}

fn leftover(seen: &mut Seen) {
    let nodes: Vec<Mapped> = host().mapped.split_off(2);
    seen.mapped.extend(nodes);
}

#[test]
fn nodes_of_a_snapshot_that_lvm_has_not_are_removed_the_cow_last() {
    let mut seen = with_only_the_origin();
    leftover(&mut seen);
    let found = only(&seen);
    assert_eq!((found.what, &*found.name, &found.refusal), (What::LeftoverNodes, "vg/snap", &None));
    let removed = ["vg-snap1", "vg-snap", "vg-snap-cow"].map(|name| format!("dmsetup remove --retry {name}"));
    assert_eq!(order(&found)[1..], removed);
}

#[test]
fn a_cow_alone_is_a_leftover_of_its_snapshot() {
    let mut seen = with_only_the_origin();
    seen.mapped.push(host().mapped[2].clone());
    let found = only(&seen);
    assert_eq!((&*found.name, order(&found)), ("vg/snap", vec!["dmsetup remove --retry vg-snap-cow".to_owned()]));
}

#[test]
fn whether_nodes_are_leftovers_is_not_said_of_a_group_that_could_not_be_looked_at() {
    let mut seen = with_only_the_origin();
    leftover(&mut seen);
    seen.inventory.groups.clear();
    assert_eq!(only(&seen).refusal, Some(Refusal::UnseenGroup), "LVM has answered, and has no such group");
    seen.inventory.unseen.push(Unseen { vg: Some("vg".to_owned()), ..Unseen::default() });
    assert_eq!(find(&seen), []);
}

#[test]
fn what_came_while_lvm_was_asked_is_no_leftover() {
    let mut seen = with_only_the_origin();
    leftover(&mut seen);
    seen.standing = BTreeSet::new();
    assert_eq!(find(&seen), []);
}

#[test]
fn nodes_of_a_volume_that_is_no_snapshot_are_left_alone() {
    let mut seen = with_only_the_origin();
    seen.inventory = lvm::Inventory { groups: seen.inventory.groups, ..lvm::Inventory::default() };
    assert_eq!(only(&seen).refusal, Some(Refusal::NotASnapshot));
}

#[test]
fn volumes_of_our_own_runs_are_left_to_those_or_to_recover() {
    for (state, refusal) in [
        (RunState::Alive, Refusal::Alive("r1".parse().unwrap())),
        (RunState::Dead, Refusal::Dead("r1".parse().unwrap())),
        (RunState::Unknown, Refusal::UnknownRun("r1".parse().unwrap())),
    ] {
        for (attr, origin, what) in [("swi-a-s---", "db", What::Snapshot), ("-wi-------", "", What::RunVolume)] {
            let mut seen = with_only_the_origin();
            let ours = volume('o', "vg/stillpoint-r1-0", attr, origin);
            seen.inventory.volumes.push(Volume { is_ours: true, ..ours });
            seen.runs.insert("r1".parse().unwrap(), state);
            let found = only(&seen);
            assert_eq!((found.what, &found.refusal), (what, &Some(refusal.clone())));
            let by_hand = state == RunState::Unknown;
            assert_eq!(
                !found.steps.is_empty(),
                by_hand,
                "nobody is shown how to take down what a run or `recover` gives back"
            );
        }
    }
}

#[test]
fn a_volume_that_is_only_called_like_ours_is_judged_as_any_other() {
    let mut seen = with_only_the_origin();
    seen.inventory.volumes.push(volume('o', "vg/stillpoint-r1-0", "swi-a-s---", "db"));
    let found = only(&seen);
    assert_eq!((found.what, found.run, found.refusal), (What::Snapshot, None, None));
}

#[test]
fn a_snapshot_that_is_being_merged_and_a_thin_one_are_listed_and_left_alone() {
    for (attr, refusal) in [("Swi-aos---", Refusal::Merging), ("Vwi---tz-k", Refusal::Thin)] {
        let mut seen = host();
        seen.inventory.volumes[1].attr = attr.to_owned();
        assert_eq!(only(&seen).refusal, Some(refusal), "{attr}");
    }
}
