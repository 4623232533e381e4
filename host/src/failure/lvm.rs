//! What LVM's errors mean for a run, and what helps.

use lvm::{LvName, LvmError, NoOrigin};

use super::cause::Cause;
use super::kind::Kind;

impl From<LvmError> for Cause {
    fn from(error: LvmError) -> Self {
        let (kind, hint) = judge(&error);
        Self::of(kind, hint, error)
    }
}

fn judge(error: &LvmError) -> (Kind, Option<String>) {
    match error {
        LvmError::Program(error) => super::programs::judge(error),
        LvmError::NoSuchVg { vg, .. } => {
            let hint = format!("`vgs` lists the groups of this host; `pvs -a` shows whether a disk of {vg} is missing");
            (Kind::NoSuchVg, Some(hint))
        }
        LvmError::NoSuchLv { name, .. } => (Kind::NoSuchLv, Some(format!("`lvs {}` lists its volumes", name.vg()))),
        LvmError::NotAnOrigin { name, why } => no_origin(name, why),
        LvmError::NoRoom { vg, .. } => {
            let hint =
                format!("free some, add a physical volume (`vgextend {vg} DEVICE`), or ask for less with --cow-size");
            (Kind::NoRoom, Some(hint))
        }
        LvmError::Answer { .. } => (Kind::LvmAnswer, None),
        LvmError::NoDevice { .. } => (Kind::NoDeviceNode, None),
        LvmError::GroupLocked { .. } => (Kind::LvmLocked, None),
        LvmError::NotReady { .. } | LvmError::NoTimeLeft { .. } => (Kind::ProgramTimeout, None),
        LvmError::LockReplaced { .. } | LvmError::TooEarly { .. } => (
            Kind::Refused,
            Some(
                "find out what removes files in /run/lock/lvm while they are locked, and keep it from that".to_owned(),
            ),
        ),
        LvmError::NotAttached { cause, .. } => judge(cause),
        LvmError::Suspended { origin, .. } => (Kind::OriginSuspended, Some(resume(origin))),
        LvmError::SnapshotGone { .. } => (Kind::SnapshotGone, None),
        LvmError::Busy { name, .. } => (Kind::VolumesLeft, Some(remove(&[name]))),
        LvmError::Replaced(name) => {
            (Kind::Refused, Some(format!("`lvs -o +lv_uuid,lv_time {name}` shows what it is now")))
        }
        LvmError::NotOurs(name) => {
            let hint =
                format!("`lvs -o +lv_tags,lv_time {name}` shows what it is; if nobody needs it, `lvremove {name}`");
            (Kind::VolumesLeft, Some(hint))
        }
    }
}

fn no_origin(name: &LvName, why: &NoOrigin) -> (Kind, Option<String>) {
    let (kind, hint) = match why {
        NoOrigin::Snapshot { origin } => {
            (Kind::NotAnOrigin, format!("back up {}/{origin}, or read the snapshot with check, ls and cp", name.vg()))
        }
        NoOrigin::ThinPool => {
            (Kind::NotAnOrigin, format!("name the thin volume of the guest: `lvs -S pool_lv={}`", name.lv()))
        }
        NoOrigin::Part => (Kind::NotAnOrigin, format!("name the volume that it belongs to: `lvs -a {}`", name.vg())),
        NoOrigin::CowName(_) => (Kind::NotAnOrigin, "rename the group: `vgrename`".to_owned()),
        NoOrigin::Merging => {
            (Kind::OriginNotReady, "wait until that is done: `lvs -o +snap_percent` falls to 0".to_owned())
        }
        NoOrigin::Moving => {
            (Kind::OriginNotReady, "wait until that is done, or `pvmove --abort`: `lvs -a -o +copy_percent`".to_owned())
        }
        NoOrigin::Inactive => (Kind::OriginNotReady, format!("`lvchange -ay {name}` activates it")),
        NoOrigin::StateUnknown => (
            Kind::OriginNotReady,
            format!(
                "`lvchange --refresh {name}` where its tables are not what LVM wants, a second time if it still says so; \
                     `dmsetup info` says whether the kernel's device-mapper answers"
            ),
        ),
        NoOrigin::PvMissing => (
            Kind::OriginNotReady,
            format!("bring the device back: `pvs` and `lvs -a -o +devices {}` name it", name.vg()),
        ),
        NoOrigin::Suspended => (Kind::OriginSuspended, resume(name)),
        NoOrigin::CacheVol => (
            Kind::NotAnOrigin,
            format!("`lvconvert --splitcache {name}`, and cache it with a pool (--type cache-pool) instead"),
        ),
        NoOrigin::Integrity => (Kind::NotAnOrigin, format!("`lvconvert --raidintegrity n {name}` takes it away")),
        NoOrigin::Shared { .. } => {
            (Kind::NotAnOrigin, format!("`vgs -o +vg_lock_type,vg_attr {}`; back it up inside of the guest", name.vg()))
        }
        NoOrigin::Foreign { .. } => (
            Kind::NotAnOrigin,
            format!(
                "run it on that host; `vgs --foreign -o +vg_systemid {}` names it, `lvm systemid` this one",
                name.vg()
            ),
        ),
        NoOrigin::GroupReadOnly => (Kind::OriginNotReady, format!("`vgchange --permission rw {}`", name.vg())),
        NoOrigin::GroupIncomplete => (
            Kind::OriginNotReady,
            format!("bring the device back: `pvs -o +pv_missing` and `vgs -o +vg_missing_pv_count {}`", name.vg()),
        ),
        NoOrigin::TooManyVolumes => {
            (Kind::OriginNotReady, format!("`vgchange --maxlogicalvolumes 0 {}` takes the limit away", name.vg()))
        }
        NoOrigin::NoActivation => (
            Kind::OriginNotReady,
            format!("add \"{}\" or \"@stillpoint\" to it; `lvmconfig activation/volume_list` shows it", name.vg()),
        ),
    };
    (kind, Some(hint))
}

fn resume(origin: &LvName) -> String {
    format!(
        "`lvchange --refresh {origin}`; if that fails, `dmsetup resume {0}-real` and `dmsetup resume {0}`: `dmsetup info -c` \
         shows what else is suspended. The guest's writes hang until then",
        origin.dm_name()
    )
}

fn remove(names: &[&LvName]) -> String {
    let commands: Vec<String> = names.iter().map(|name| format!("`lvremove {name}`")).collect();
    format!("free what holds them, then {}; they cost every write of the guest until then", commands.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lvm::programs::ProgramError;
    use lvm::{Bytes, SnapshotState};

    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    fn name() -> LvName {
        "vg/db".parse().unwrap()
    }

    #[track_caller]
    fn expect(error: impl Into<Cause>, kind: Kind, exit: Exit, hint: &str) {
        let cause = error.into();
        assert_eq!((cause.kind, row(cause.kind, false).exit), (kind, exit), "{cause}");
        assert!(cause.hint().contains(hint), "{cause}: {}", cause.hint());
    }

    fn failed(said: &str) -> ProgramError {
        ProgramError::Failed { command: "lvremove vg/x".into(), exit_code: 5, said: said.into() }
    }

    #[test]
    fn what_is_not_there_is_a_mistake_of_the_caller() {
        expect(LvmError::NoSuchVg { vg: "vh".into(), near: vec![] }, Kind::NoSuchVg, Exit::Usage, "`vgs`");
        expect(LvmError::NoSuchLv { name: name(), near: vec![] }, Kind::NoSuchLv, Exit::Usage, "`lvs vg`");
    }

    #[test]
    fn each_reason_against_an_origin_has_its_code_and_what_helps() {
        let name_error = "a/b/c".parse::<LvName>().unwrap_err();
        let reasons = [
            (NoOrigin::Snapshot { origin: "root".into() }, Kind::NotAnOrigin, Exit::Usage, "back up vg/root"),
            (NoOrigin::ThinPool, Kind::NotAnOrigin, Exit::Usage, "`lvs -S pool_lv=db`"),
            (NoOrigin::Part, Kind::NotAnOrigin, Exit::Usage, "`lvs -a vg`"),
            (NoOrigin::CowName(name_error), Kind::NotAnOrigin, Exit::Usage, "vgrename"),
            (NoOrigin::Merging, Kind::OriginNotReady, Exit::Failed, "snap_percent"),
            (NoOrigin::Moving, Kind::OriginNotReady, Exit::Failed, "pvmove --abort"),
            (NoOrigin::Inactive, Kind::OriginNotReady, Exit::Failed, "`lvchange -ay vg/db`"),
            (NoOrigin::StateUnknown, Kind::OriginNotReady, Exit::Failed, "`lvchange --refresh vg/db`"),
            (NoOrigin::PvMissing, Kind::OriginNotReady, Exit::Failed, "`pvs`"),
            (NoOrigin::CacheVol, Kind::NotAnOrigin, Exit::Usage, "`lvconvert --splitcache vg/db`"),
            (NoOrigin::Integrity, Kind::NotAnOrigin, Exit::Usage, "`lvconvert --raidintegrity n vg/db`"),
            (NoOrigin::Shared { lock_type: "dlm".into() }, Kind::NotAnOrigin, Exit::Usage, "vg_lock_type"),
            (NoOrigin::Foreign { said: "Cannot access".into() }, Kind::NotAnOrigin, Exit::Usage, "`lvm systemid`"),
            (NoOrigin::GroupReadOnly, Kind::OriginNotReady, Exit::Failed, "`vgchange --permission rw vg`"),
            (NoOrigin::GroupIncomplete, Kind::OriginNotReady, Exit::Failed, "vg_missing_pv_count vg`"),
            (NoOrigin::TooManyVolumes, Kind::OriginNotReady, Exit::Failed, "`vgchange --maxlogicalvolumes 0 vg`"),
            (NoOrigin::NoActivation, Kind::OriginNotReady, Exit::Failed, "add \"vg\" or \"@stillpoint\""),
            (NoOrigin::Suspended, Kind::OriginSuspended, Exit::NeedsPerson, "`dmsetup resume vg-db-real`"),
        ];
        for (why, kind, exit, hint) in reasons {
            expect(LvmError::NotAnOrigin { name: name(), why }, kind, exit, hint);
        }
    }

    #[test]
    fn what_keeps_a_snapshot_from_being_made_or_kept_has_what_helps() {
        let no_room = LvmError::NoRoom { vg: "vg".into(), needed: Bytes(2), free: Bytes(1) };
        expect(no_room, Kind::NoRoom, Exit::Failed, "`vgextend vg DEVICE`");
        let answer = LvmError::Answer { command: "lvs".into(), why: "no JSON".into() };
        expect(answer, Kind::LvmAnswer, Exit::Failed, "lvm.conf");
        let no_node = LvmError::NoDevice { path: "/dev/vg/db".into(), waited: Duration::from_secs(30) };
        expect(no_node, Kind::NoDeviceNode, Exit::Failed, "systemd-udevd");
        let gone = LvmError::SnapshotGone { name: name(), state: SnapshotState::Missing };
        expect(gone, Kind::SnapshotGone, Exit::Failed, "cron");
    }

    #[test]
    fn what_keeps_snapshots_from_being_made_ready_has_what_helps() {
        let locked = LvmError::GroupLocked { vg: "vg".into(), waited: Duration::from_secs(10), holders: vec![] };
        expect(locked, Kind::LvmLocked, Exit::Failed, "lslocks");
        let late = LvmError::NotReady { snapshot: name(), waited: Duration::from_secs(10) };
        expect(late, Kind::ProgramTimeout, Exit::Failed, "dmesg");
        expect(LvmError::NoTimeLeft { snapshot: name() }, Kind::ProgramTimeout, Exit::Failed, "dmesg");
        expect(LvmError::LockReplaced { vg: "vg".into() }, Kind::Refused, Exit::Failed, "/run/lock/lvm");
        expect(LvmError::TooEarly { snapshot: name() }, Kind::Refused, Exit::Failed, "/run/lock/lvm");
    }

    #[test]
    fn that_others_may_exist_does_not_change_what_went_wrong() {
        let cause = Box::new(LvmError::from(failed("Can't get lock for vg.")));
        expect(LvmError::NotAttached { may_exist: vec![name()], cause }, Kind::LvmLocked, Exit::Failed, "lslocks");
    }

    #[test]
    fn what_could_not_be_given_back_needs_a_person() {
        let busy = || LvmError::Busy { name: name(), holders: vec![], cause: Box::new(failed("in use")) };
        expect(busy(), Kind::VolumesLeft, Exit::NeedsPerson, "`lvremove vg/db`");
        expect(LvmError::NotOurs(name()), Kind::VolumesLeft, Exit::NeedsPerson, "lv_tags");
        let suspended = || LvmError::Suspended {
            origin: name(),
            devices: vec![],
            cause: "it was ended".into(),
            resume: Box::new(failed("no").into()),
        };
        expect(suspended(), Kind::OriginSuspended, Exit::NeedsPerson, "`lvchange --refresh vg/db`");
    }

    #[test]
    fn a_program_of_lvms_fails_as_any_program() {
        expect(LvmError::from(failed("Can't get lock for vg.")), Kind::LvmLocked, Exit::Failed, "lslocks");
    }
}
