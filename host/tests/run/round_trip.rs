//! Whatever a run says is read as it was said, and held is what was taken and not freed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use fsprobe::Verdict;
use guest_bridge::database::engine_logs::EngineLogs;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::database::server::Coordinates;
use lvm::LvName;
use proptest::prelude::*;
use stillpoint::run::entry::{CowVolume, DiskCopied, DiskVerdict, Entry, Fact, Mark};
use stillpoint::run::held::Held;
use stillpoint::run::log::RunLog;
use stillpoint::run::record::RunRecord;
use stillpoint::step::Step;

use crate::{begun, id};

fn lv() -> impl Strategy<Value = LvName> {
    "[a-zA-Z0-9+][a-zA-Z0-9+.-]{0,8}/x[a-zA-Z0-9+.-]{0,20}".prop_map(|name| name.parse().unwrap())
}

fn method() -> impl Strategy<Value = LockMethod> {
    prop_oneof![
        Just(LockMethod::BackupStage),
        Just(LockMethod::PerconaBackupLocks),
        Just(LockMethod::FlushTablesWithReadLock)
    ]
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(|bytes| Held::Partial { path: OsString::from_vec(bytes).into() }),
        (lv(), lv()).prop_map(|(volume, origin)| Held::Cow { volume, origin }),
        (method(), any::<u64>()).prop_map(|(method, expiry_ms)| Held::Lock { method, expiry_ms, session: None }),
        any::<String>().prop_map(|agent| Held::Frozen { agent }),
    ]
}

fn coordinates() -> impl Strategy<Value = Coordinates> {
    any::<(String, u64, Option<String>)>().prop_map(|(file, position, gtid)| Coordinates { file, position, gtid })
}

fn engine_logs() -> impl Strategy<Value = EngineLogs> {
    prop_oneof![Just(EngineLogs::Flushed), any::<String>().prop_map(|reason| EngineLogs::NotFlushed { reason })]
}

fn fact() -> impl Strategy<Value = Fact> {
    let volume = (lv(), lv(), any::<u64>()).prop_map(|(cow, origin, size_bytes)| CowVolume { cow, origin, size_bytes });
    const VERDICTS: [Verdict; 4] = [Verdict::Consistent, Verdict::Unknown, Verdict::Replay, Verdict::Damaged];
    let verdict = (lv(), prop::sample::select(&VERDICTS[..]));
    let verdict = verdict.prop_map(|(origin, verdict)| DiskVerdict { origin, verdict });
    let copied = (lv(), any::<[u64; 4]>()).prop_map(|(origin, [raw_bytes, allocated_bytes, stored_bytes, peak])| {
        DiskCopied { origin, raw_bytes, allocated_bytes, stored_bytes, cow_peak_bytes: peak }
    });
    prop_oneof![
        prop::collection::vec(volume, 0..3).prop_map(|volumes| Fact::CowVolumes { volumes }),
        Just(Fact::GuestSynced),
        (method(), any::<[u64; 2]>(), prop::option::of(coordinates()), prop::option::of(engine_logs())).prop_map(
            |(method, [connection_id, waited_ms], coordinates, engine_logs)| {
                Fact::Locked { method, connection_id, coordinates, waited_ms, engine_logs }
            }
        ),
        any::<u64>().prop_map(|filesystems| Fact::Frozen { filesystems }),
        any::<usize>().prop_map(|disks| Fact::Attached { disks }),
        any::<(Option<u64>, u32, u64)>().prop_map(|(filesystems, attempts, window_ms)| Fact::Thawed {
            filesystems,
            attempts,
            window_ms
        }),
        any::<bool>().prop_map(|held| Fact::StillLocked { held }),
        any::<u64>().prop_map(|stall_ms| Fact::Unlocked { stall_ms }),
        prop::collection::vec(verdict, 0..3).prop_map(|disks| Fact::Evidence { disks }),
        prop::collection::vec(copied, 0..3).prop_map(|disks| Fact::Copied { disks }),
        any::<[u64; 2]>().prop_map(|[raw_bytes, stored_bytes]| Fact::Dumped { raw_bytes, stored_bytes }),
        prop::collection::vec(lv(), 0..3).prop_map(|volumes| Fact::Removed { volumes }),
        any::<Vec<String>>().prop_map(|files| Fact::Published { files }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop::sample::select(&[Step::Output, Step::CowVolumes, Step::Lock, Step::Freeze, Step::Thaw, Step::Remove][..])
}

fn some_held() -> impl Strategy<Value = Vec<Held>> {
    prop::collection::vec(held(), 0..4)
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        (step(), some_held()).prop_map(|(step, takes)| Mark::Intent { step, takes }),
        (step(), some_held(), prop::option::of(fact())).prop_map(|(step, frees, detail)| Mark::Done {
            step,
            frees,
            detail
        }),
        (step(), some_held(), any::<String>()).prop_map(|(step, frees, error)| Mark::Failed { step, frees, error }),
        (any::<u8>(), some_held()).prop_map(|(exit, left)| Mark::Closed { exit, left }),
    ]
}

/// How a line is written.
#[derive(Clone, Copy, Debug)]
enum Way {
    Synced,
    Unsynced,
    HeldBack,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_lines_are_read_as_they_were_written_in_whatever_way(
        lines in prop::collection::vec(
            (mark(), any::<u64>(), any::<String>(), prop::sample::select(&[Way::Synced, Way::Unsynced, Way::HeldBack][..])),
            0..12,
        ),
    ) {
        let state_dir = tempfile::tempdir().unwrap();
        let log = RunLog::create(state_dir.path(), &id(), &begun()).unwrap();
        let mut entries = Vec::new();
        let mut held_back = None;
        for (mark, elapsed_ms, at, way) in lines {
            let entry = Entry { at, elapsed_ms, mark };
            match way {
                Way::Synced => log.append_synced(&entry).unwrap(),
                Way::Unsynced => {
                    held_back = None;
                    log.append(&entry).unwrap();
                }
                Way::HeldBack => {
                    held_back.get_or_insert_with(|| log.hold_back());
                    log.append(&entry).unwrap();
                }
            }
            entries.push(entry);
        }
        drop(held_back);
        let record = RunRecord::read(&state_dir.path().join("runs/r1.jsonl")).unwrap();
        prop_assert_eq!(&record.entries, &entries);
        prop_assert!(!record.torn);
        prop_assert_eq!(record.is_closed(), entries.iter().any(|entry| matches!(entry.mark, Mark::Closed { .. })));
    }

    #[test]
    fn what_was_taken_is_held_until_it_is_freed(takes in some_held(), frees in prop::collection::vec(0..4_usize, 0..3)) {
        let state_dir = tempfile::tempdir().unwrap();
        let log = RunLog::create(state_dir.path(), &id(), &begun()).unwrap();
        let frees: Vec<Held> = frees.iter().filter_map(|&at| takes.get(at).cloned()).collect();
        log.append(&crate::entry(Mark::Intent { step: Step::Output, takes: takes.clone() })).unwrap();
        log.append(&crate::entry(Mark::Done { step: Step::Remove, frees: frees.clone(), detail: None })).unwrap();
        let held = RunRecord::read(&state_dir.path().join("runs/r1.jsonl")).unwrap().held();
        let wanted: Vec<Held> = takes.into_iter().filter(|one| !frees.contains(one)).collect();
        prop_assert_eq!(held, wanted);
    }
}
