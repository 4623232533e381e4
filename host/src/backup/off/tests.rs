use fsprobe::{Finding, Report, Table};

use super::*;

fn volume(kind: Kind, verdict: Verdict, findings: Vec<Finding>) -> VolumeReport {
    VolumeReport {
        path: "1".to_owned(),
        offset_bytes: Some(1 << 20),
        size_bytes: 1 << 30,
        kind,
        partition_type: None,
        partition_name: None,
        partition_uuid: None,
        label: None,
        uuid: None,
        pieces: Vec::new(),
        verdict,
        findings,
        ext4: None,
    }
}

fn graded(volume: VolumeReport, findings: Vec<Finding>) -> Graded {
    let report = Report {
        target: String::new(),
        size_bytes: 2 << 30,
        sector_size_bytes: 512,
        table: Table::Gpt,
        table_uuid: None,
        verdict: volume.verdict,
        findings,
        volumes: vec![volume],
    };
    let origin = "vg/db".parse().unwrap();
    let off = Off { databases: Databases::default(), has_database: false, still_off: true };
    grade_off(&[Evidence { origin: &origin, report: &report }], &off)
}

#[test]
fn an_unmounted_filesystem_is_clean() {
    assert_eq!(graded(volume(Kind::Xfs, Verdict::Consistent, Vec::new()), Vec::new()).grade, Grade::Clean);
}

#[test]
fn a_hibernated_system_is_not_off() {
    let asleep = Finding::warning("swap-hibernated", "swap header", "it holds the memory of a hibernated system");
    let graded = graded(volume(Kind::Swap, Verdict::Consistent, vec![asleep]), Vec::new());
    assert_eq!((graded.grade, graded.indications), (Grade::Crash, vec![Indication::NotUnmounted]));
}

#[test]
fn a_physical_volume_of_which_nobody_knows_what_lies_on_it_is_not_clean() {
    assert_eq!(graded(volume(Kind::Lvm2Pv, Verdict::Consistent, Vec::new()), Vec::new()).grade, Grade::Clean);
    assert_eq!(graded(volume(Kind::Lvm2Pv, Verdict::Unknown, Vec::new()), Vec::new()).grade, Grade::Filesystem);
}

#[test]
fn data_outside_of_every_partition_are_not_clean() {
    let data = Finding::unknown("no-partition", "partition table", "byte 4096 of the disk holds data");
    let graded = graded(volume(Kind::Xfs, Verdict::Consistent, Vec::new()), vec![data]);
    assert_eq!((graded.grade, graded.indications), (Grade::Filesystem, vec![Indication::QuiesceNotProven]));
    assert!(graded.reasons[0].contains("byte 4096"), "{:?}", graded.reasons);
}
