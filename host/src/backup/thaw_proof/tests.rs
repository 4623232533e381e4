use std::time::Instant;

use guest_bridge::places::{Marked, Marker, MarkerName, Mount, Refused};

use super::super::identity::Looked;
use super::*;

const ROOT: DeviceNumber = DeviceNumber { major: 253, minor: 1 };
const DATA: DeviceNumber = DeviceNumber { major: 253, minor: 16 };
const AFTER: Duration = Duration::from_millis(8);

fn on(disk: &str) -> OnVolume {
    OnVolume { origin: disk.parse().unwrap(), volume: "1".to_owned() }
}

fn seen(disk: &str, shows: Shows) -> Seen {
    Seen { on: on(disk), shows }
}

fn filesystem(mountpoint: &str, device: DeviceNumber, fate: Fate) -> Filesystem {
    let (mountpoint, fs_type, source) = (mountpoint.to_owned(), "xfs".to_owned(), "/dev/vda1".to_owned());
    Filesystem {
        mount: Mount { device, mountpoint, fs_type, source, read_only: false, synchronous: false, uuid: None },
        fate,
    }
}

fn guests(filesystems: Vec<Filesystem>) -> Identity {
    Identity::LookedFor(Looked {
        filesystems,
        database: Vec::new(),
        database_unseen: Vec::new(),
        on_untold_devices: Vec::new(),
        marker_age: None,
        marker_stays: Duration::from_secs(29),
    })
}

fn root_and_data() -> Identity {
    guests(vec![
        filesystem("/", ROOT, Fate::Found(on("vg/root"))),
        filesystem("/srv", DATA, Fate::Found(on("vg/data"))),
    ])
}

fn told(removed: &[DeviceNumber]) -> Told {
    let marker = |device| Marker { device, mountpoint: "/srv".to_owned(), inode: 12 };
    Told {
        name: MarkerName::new(),
        marked: Ok(Marked { markers: vec![marker(ROOT), marker(DATA)], ..Marked::default() }),
        at: Instant::now(),
        places: Err("nobody asked".to_owned()),
        files: Vec::new(),
        removed: removed.to_vec(),
    }
}

fn of(proofs: &[Thawed], disk: &str) -> ThawProof {
    proofs.iter().find(|one| one.on == Some(on(disk))).unwrap().proof.clone()
}

fn why(proof: ThawProof) -> String {
    let ThawProof::NotProven { why } = proof else { panic!("proven: {proof:?}") };
    why
}

#[test]
fn a_disk_that_shows_its_filesystem_live_is_proof_and_says_when() {
    let seen = [seen("vg/root", Shows::Live { after: AFTER }), seen("vg/data", Shows::Live { after: AFTER })];
    let proofs = proofs(&seen, &root_and_data(), None);
    assert_eq!(proofs.len(), 2);
    assert_eq!(proofs[0].mountpoint.as_deref(), Some("/"));
    assert_eq!(of(&proofs, "vg/data"), ThawProof::SeenLive { after: AFTER });
}

#[test]
fn what_no_disk_shows_is_proven_by_a_marker_that_was_removed_from_that_very_filesystem() {
    for shows in [Shows::Untold("it is an XFS".into()), Shows::Idle, Shows::Frozen] {
        let seen = [seen("vg/root", shows.clone()), seen("vg/data", shows)];
        let proofs = proofs(&seen, &root_and_data(), Some(&told(&[DATA])));
        assert_eq!(of(&proofs, "vg/data"), ThawProof::Written);
        assert!(why(of(&proofs, "vg/root")).contains("removed no marker"));
    }
}

#[test]
fn a_filesystem_on_no_disk_of_the_job_is_proven_by_a_write_or_not_at_all() {
    let elsewhere = guests(vec![
        filesystem("/a", ROOT, Fate::LeftOut),
        filesystem("/b", DATA, Fate::Missing),
        filesystem("/c", DATA, Fate::Exempt("it is mounted read-only")),
    ]);
    let proofs = proofs(&[], &elsewhere, Some(&told(&[ROOT])));
    let said: Vec<_> = proofs.iter().map(|one| (one.mountpoint.as_deref().unwrap(), &one.on)).collect();
    assert_eq!(said, [("/a", &None), ("/b", &None)]);
    assert_eq!(proofs[0].proof, ThawProof::Written);
    assert!(why(proofs[1].proof.clone()).contains("which volume it is"));
}

#[test]
fn where_nobody_knows_the_guests_filesystems_the_disks_speak_alone() {
    let unknown = Identity::Unknown { why: "the agent blocks guest-exec".to_owned() };
    let seen = [
        seen("vg/root", Shows::Live { after: AFTER }),
        seen("vg/data", Shows::Untold("it is an XFS".into())),
        // A spare disk that nobody has mounted.
        seen("vg/spare", Shows::Idle),
    ];
    let proofs = proofs(&seen, &unknown, None);
    assert_eq!(proofs.len(), 2, "{proofs:?}");
    assert_eq!(of(&proofs, "vg/root"), ThawProof::SeenLive { after: AFTER });
    assert!(why(of(&proofs, "vg/data")).starts_with("it is an XFS"));
}

#[test]
fn a_volume_that_is_none_of_the_guests_counts_where_it_was_live() {
    let guests = guests(vec![filesystem("/", ROOT, Fate::Found(on("vg/root")))]);
    let seen = [seen("vg/data", Shows::Live { after: AFTER }), seen("vg/old", Shows::Untold("it is an XFS".into()))];
    let proofs = proofs(&seen, &guests, None);
    assert_eq!(proofs.iter().map(|one| one.on.clone()).collect::<Vec<_>>(), [Some(on("vg/root")), Some(on("vg/data"))]);
}

#[test]
fn only_a_disk_that_looks_frozen_contradicts_the_agent_and_is_named() {
    let others = [Shows::Live { after: AFTER }, Shows::Idle, Shows::Untold("it is an XFS".into())];
    assert!(still_frozen(&others.map(|shows| seen("vg/root", shows))).is_none());
    let cause = still_frozen(&[seen("vg/root", Shows::Idle), seen("vg/data", Shows::Frozen)]).unwrap();
    assert_eq!(cause.kind, Kind::GuestMayBeFrozen);
    assert!(cause.to_string().ends_with("its disk says that it is frozen: vg/data volume 1"), "{cause}");
}

#[test]
fn writes_outweigh_a_disk_only_where_there_is_one_on_every_filesystem() {
    assert!(writes_everywhere(&told(&[ROOT, DATA])));
    assert!(!writes_everywhere(&told(&[DATA])));
    let refused = Refused { device: ROOT, mountpoint: "/".to_owned(), reason: "it hangs".to_owned() };
    let mut one_without = told(&[ROOT, DATA]);
    one_without.marked.as_mut().unwrap().refused.push(refused);
    assert!(!writes_everywhere(&one_without));
    assert!(!writes_everywhere(&Told { marked: Ok(Marked::default()), ..told(&[]) }));
    assert!(!writes_everywhere(&Told { marked: Err("nobody could".to_owned()), ..told(&[ROOT, DATA]) }));
}
