//! Every mapped device of this host, as device-mapper knows it: whatever LVM says, these are there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Lvm, LvmError, SnapshotState, snapshot_state};
use crate::programs::{Invocation, Output, ProgramError};

/// Some ioctls for each device.
const LOOK: Duration = Duration::from_secs(10);
/// How often it is looked: a look fails where a device of anybody's goes away meanwhile.
const LOOKS: u32 = 3;
/// In no name and no UUID: device-mapper escapes it there.
const SEPARATOR: &str = "|";
/// `LVM-` and the UUIDs of group and volume, 32 characters each, without their dashes.
const LV_UUID_LEN: usize = 4 + 32 + 32;

/// A mapped device. A name comes again; name, UUID, number and table together are this very device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Its name, escaped as device-mapper does (`\x20`): so it stands in `/dev/mapper`.
    pub name: String,
    /// Its UUID, which says who made it: `LVM-…`, `part1-LVM-…` (kpartx), `CRYPT-…`. Empty where nobody gave one.
    pub uuid: String,
    /// Whether everybody who reads or writes it waits.
    pub is_suspended: bool,
    /// Its number, `254:6`.
    pub number: String,
    /// The numbers of the devices that it lies on, mapped ones or others.
    pub lies_on: Vec<String>,
    /// The lines of its table: start, length, target and what that needs.
    pub table: Vec<String>,
    /// Of a snapshot, how it is; `None` where its status is not understood, and of all others.
    pub snapshot: Option<SnapshotState>,
}

impl Mapped {
    /// Whether it is the very same device, with the same table; how full or suspended it is may differ.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let this = |device: &Self| {
            (
                device.name.clone(),
                device.uuid.clone(),
                device.number.clone(),
                device.lies_on.clone(),
                device.table.clone(),
            )
        };
        this(self) == this(other)
    }

    /// Whether all of its table is of this target.
    #[must_use]
    pub fn is_all(&self, target: &str) -> bool {
        !self.table.is_empty() && self.table.iter().all(|line| line.split_whitespace().nth(2) == Some(target))
    }

    /// A piece of another device and nothing else, made by kpartx or by hand, and no part of LVM or anything that has a name for
    /// its own.
    #[must_use]
    pub fn is_piece(&self) -> bool {
        let by_kpartx =
            self.uuid.strip_prefix("part").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        (self.uuid.is_empty() || by_kpartx) && self.is_all("linear")
    }

    /// The UUID of the logical volume that it is a device of, as [`Volume::uuid`](super::Volume::uuid) has it.
    #[must_use]
    pub fn lv_uuid(&self) -> Option<&str> {
        self.uuid.get(..LV_UUID_LEN).filter(|uuid| uuid.starts_with("LVM-"))
    }

    /// What it is of that volume: empty for the volume itself, else `-real`, `-cow`, `-tpool`, …
    #[must_use]
    pub fn lv_part(&self) -> Option<&str> {
        self.lv_uuid().and_then(|whole| self.uuid.strip_prefix(whole))
    }
}

impl Lvm {
    /// Every mapped device. Asks the kernel and no disk, so that nothing of LVM's can hang it.
    pub fn mapped(&self) -> Result<Vec<Mapped>, LvmError> {
        let options = "name,uuid,suspended,devno,devnos_used";
        let info = dmsetup(["info", "--columns", "--noheadings", "--separator", SEPARATOR, "--options", options]);
        let mut devices = parsed(&info, &self.looked(&info)?, read_info)?;
        let table = dmsetup(["table"]);
        let mut tables = parsed(&table, &self.looked(&table)?, read_tables)?;
        let status = dmsetup(["status", "--noflush", "--target", "snapshot"]);
        let states = parsed(&status, &self.looked(&status)?, read_tables)?;
        for device in &mut devices {
            device.table = tables.remove(&device.name).unwrap_or_default();
            let state = states.get(&device.name).and_then(|lines| lines.first());
            device.snapshot = state.and_then(|line| snapshot_state::parse(line).ok());
        }
        Ok(devices)
    }

    fn looked(&self, look: &Invocation) -> Result<Output, LvmError> {
        let mut looks = 1;
        loop {
            match self.programs.run(look) {
                Err(ProgramError::Failed { .. }) if looks < LOOKS => looks += 1,
                looked => return Ok(looked?),
            }
        }
    }
}

fn dmsetup<const N: usize>(args: [&str; N]) -> Invocation {
    Invocation::new("dmsetup", LOOK).args(args)
}

fn parsed<T>(asked: &Invocation, output: &Output, read: fn(&str) -> Result<T, String>) -> Result<T, LvmError> {
    let answer = |why| LvmError::Answer { command: asked.to_string(), why };
    read(&String::from_utf8_lossy(&output.stdout)).map_err(answer)
}

/// What `dmsetup` says where there are none.
const NONE: &str = "No devices found";

fn lines(said: &str) -> impl Iterator<Item = &str> {
    said.lines().map(str::trim).filter(|line| !line.is_empty() && *line != NONE)
}

/// Lines like `vg-snap|LVM-…|Active|254:6|254:4,254:5`.
fn read_info(said: &str) -> Result<Vec<Mapped>, String> {
    let device = |line: &str| {
        let fields: Vec<&str> = line.split(SEPARATOR).map(str::trim).collect();
        let [name, uuid, state, number, lies_on] = fields[..] else { return None };
        let is_suspended = match state {
            "Suspended" => true,
            "Active" => false,
            _ => return None,
        };
        let lies_on = lies_on.split(',').filter(|number| !number.is_empty()).map(str::to_owned).collect();
        let [name, uuid, number] = [name, uuid, number].map(str::to_owned);
        Some(Mapped { name, uuid, is_suspended, number, lies_on, table: Vec::new(), snapshot: None })
    };
    lines(said).map(|line| device(line).ok_or_else(|| format!("`{}` is no device", line.escape_debug()))).collect()
}

/// Lines like `vg-db: 0 614400 linear 8:16 2048`, one or more a device; of a device without a table only its name.
fn read_tables(said: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines(said) {
        let split = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")));
        let (name, row) = split.ok_or_else(|| format!("`{}` is no table", line.escape_debug()))?;
        let rows = tables.entry(name.to_owned()).or_default();
        if !row.is_empty() {
            rows.push(row.trim().to_owned());
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Sectors;
    use crate::programs::{Reply, ScriptedPrograms};

    const UUID: &str = "LVM-7eJ8sAdKUBSo2rVmkzWvXQpTn1cYhG0f5LbZqRwEuIiOoPaSdFgHjKlZxCvBnM12";
    const INFO: &str =
        "dmsetup info --columns --noheadings --separator '|' --options name,uuid,suspended,devno,devnos_used";

    fn mapped(info: &str, table: &str, status: &str) -> Result<Vec<Mapped>, LvmError> {
        let prints = |text: &str| Reply::Prints(text.to_owned());
        let script = ScriptedPrograms::new(drop)
            .expect(INFO, prints(info))
            .expect("dmsetup table", prints(table))
            .expect("dmsetup status --noflush --target snapshot", prints(status));
        Lvm::new(Arc::new(script)).mapped()
    }

    #[test]
    fn a_snapshot_and_a_partition_of_it_are_read_with_what_they_are() {
        let info = format!(
            "vg-snap|{UUID}|Active|254:6|254:4,254:5\nvg-snap-cow|{UUID}-cow|Active|254:5|8:0\nvg-snap1||Suspended|254:7|254:6\n"
        );
        let table = "vg-snap: 0 614400 snapshot 254:4 254:5 P 8\nvg-snap-cow: 0 40960 linear 8:0 616448\nvg-snap1: 0 2048 linear 254:6 2048\n";
        let found = mapped(&info, table, "vg-snap: 0 614400 snapshot 16/40960 16\n").unwrap();
        let [snapshot, cow, piece] = &found[..] else { panic!("{found:?}") };
        assert_eq!((snapshot.lv_uuid(), snapshot.lv_part()), (Some(UUID), Some("")));
        let active = SnapshotState::Active { used: Sectors(16), total: Sectors(40960), metadata: Sectors(16) };
        assert_eq!((snapshot.snapshot, snapshot.is_piece()), (Some(active), false));
        assert_eq!((cow.lv_uuid(), cow.lv_part(), cow.is_piece()), (Some(UUID), Some("-cow"), false));
        assert_eq!((&*piece.lies_on, piece.is_piece()), (&["254:6".to_owned()][..], true));
        assert!(piece.is_suspended && !snapshot.is_suspended);
    }

    #[test]
    fn what_somebody_else_looks_after_is_no_piece_to_take_away() {
        for (uuid, table) in [
            (UUID, "0 8 linear 8:0 0"),
            ("CRYPT-LUKS2-00-x", "0 8 crypt aes 0 0 254:6 0"),
            ("mpath-3600", "0 8 linear 254:6 0"),
            ("partner-x", "0 8 linear 254:6 0"),
            ("", "0 8 crypt aes 0 0 254:6 0"),
            ("", ""),
        ] {
            let found = mapped(&format!("x|{uuid}|Active|254:7|254:6\n"), &format!("x: {table}\n"), "").unwrap();
            assert!(!found[0].is_piece(), "{uuid} {table}");
        }
        let kpartx = mapped("x|part1-mpath|Active|254:7|254:6\n", "x: 0 8 linear 254:6 0\n", "").unwrap();
        assert!(kpartx[0].is_piece());
    }

    #[test]
    fn a_host_without_mapped_devices_has_none() {
        assert_eq!(mapped("No devices found\n", "No devices found\n", "No devices found\n").unwrap(), []);
    }

    #[test]
    fn what_is_no_list_of_devices_is_an_error() {
        for info in ["x", "x||Active|254:7", "x||Gone|254:7|254:6", "x||Active|254:7|254:6|more"] {
            let script = ScriptedPrograms::new(drop).expect(INFO, Reply::Prints(info.to_owned()));
            let error = Lvm::new(Arc::new(script)).mapped().unwrap_err();
            assert!(matches!(error, LvmError::Answer { .. }), "{error}");
        }
    }
}
