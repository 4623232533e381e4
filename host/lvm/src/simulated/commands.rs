//! The command lines that the simulated LVM understands, and its answers in LVM's words.

use serde_json::json;

use super::state::{State, Volume};
use crate::programs::{Invocation, Output};
use crate::{Bytes, LvName};

/// Options that take a value.
const VALUED: [&str; 14] = [
    "--config",
    "--type",
    "--wipesignatures",
    "--zero",
    "--addtag",
    "--name",
    "--size",
    "--chunksize",
    "--activate",
    "--reportformat",
    "--units",
    "-o",
    "--separator",
    "--options",
];

struct Line {
    options: Vec<(String, String)>,
    operands: Vec<String>,
}

impl Line {
    fn of(invocation: &Invocation) -> Self {
        let (mut options, mut operands) = (Vec::new(), Vec::new());
        let mut args = invocation.arguments().iter().map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = args.next() {
            if VALUED.contains(&arg.as_str()) {
                options.push((arg, args.next().unwrap_or_default()));
            } else if arg.starts_with('-') {
                options.push((arg, String::new()));
            } else {
                operands.push(arg);
            }
        }
        Self { options, operands }
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
    }

    fn operand(&self, index: usize) -> &str {
        self.operands.get(index).map_or("", String::as_str)
    }

    fn lv(&self, index: usize) -> Option<LvName> {
        self.operand(index).parse().ok()
    }
}

#[allow(clippy::panic)] // what it does not know, the test must not take for done
pub(super) fn run(state: &mut State, invocation: &Invocation) -> Output {
    let line = Line::of(invocation);
    let done = match (invocation.program(), line.operand(0)) {
        ("lvs", vg) => lvs(state, vg),
        ("vgs", vg) => vgs(state, vg),
        ("lvmconfig", "activation/volume_list") => Ok(volume_list(state)),
        ("lvmconfig", "global/locking_dir") => Ok(locking(state)),
        ("lvmconfig", _) => Ok(line.operands.iter().map(|name| setting(state, name)).collect()),
        ("lvm", "version") => Ok("  LVM version:     2.03.16(2) (2022-05-18)\n  Driver version:  4.47.0\n".to_owned()),
        ("lvcreate", vg) => lvcreate(state, &line, vg),
        ("lvconvert", _) => lvconvert(state, &line),
        ("lvextend", _) => lvextend(state, &line),
        ("lvremove", _) => change(state, &line, State::remove),
        ("lvchange", _) => change(state, &line, |state, name| {
            if let Some(volume) = state.volumes.get_mut(name) {
                volume.suspended = false;
                volume.active = line.option("--activate") != Some("n");
            }
            state.refreshed(name);
        }),
        ("dmsetup", "status") => status(state, line.operand(1)),
        ("dmsetup", "info") if line.option("--options") == Some("open") => opens(state, line.operand(1)),
        ("dmsetup", "info") => Ok(info(state)),
        ("dmsetup", "resume") => resume(state, line.operand(1)),
        ("udevadm", "settle") => Ok(String::new()),
        _ => panic!("the simulated LVM does not know `{invocation}`"),
    };
    match done {
        Ok(stdout) => Output { stdout: stdout.into_bytes(), ..Output::default() },
        Err(stderr) => Output { exit_code: 5, stderr: stderr.into_bytes(), ..Output::default() },
    }
}

/// The origin that a command has to suspend for its work.
pub(super) fn origin_of(state: &State, invocation: &Invocation) -> Option<LvName> {
    let name = Line::of(invocation).lv(0)?;
    match invocation.program() {
        "lvconvert" => Some(name),
        "lvremove" | "lvextend" => state.volumes.get(&name)?.origin.clone(),
        _ => None,
    }
}

/// The COW volume that a command is to attach.
pub(super) fn cow_of(invocation: &Invocation) -> Option<LvName> {
    Line::of(invocation).lv(1).filter(|_| invocation.program() == "lvconvert")
}

/// Of all groups, of one, or of one volume.
fn lvs(state: &State, of: &str) -> Result<String, String> {
    known(state, of.split('/').next().unwrap_or(of))?;
    let asked = |name: &LvName| of.is_empty() || name.vg() == of || name.to_string() == of;
    let rows = state.volumes.iter().filter(|(name, _)| asked(name)).map(|(name, volume)| {
        let kind = if volume.origin.is_some() {
            's'
        } else if state.snapshots_of(name) > 0 {
            'o'
        } else {
            '-'
        };
        let health = match (volume.active, volume.suspended, &volume.origin, volume.used) {
            (false, ..) => '-',
            (_, true, ..) => 's',
            _ if volume.half_attached.is_some() => 'X',
            (_, _, Some(_), None) => 'I',
            _ => 'a',
        };
        let row = json!({
            "vg_name": name.vg(), "lv_name": name.lv(), "lv_size": volume.size.0.to_string(),
            "lv_attr": format!("{kind}wi-{health}{}----", if volume.opens > 0 { 'o' } else { '-' }),
            "origin": volume.origin.as_ref().map_or("", LvName::lv), "pool_lv": "", "lv_layout": "linear",
            "lv_tags": volume.tags.join(","), "snap_percent": "", "raidintegritymode": "",
        });
        state.as_told(&name.to_string(), row)
    });
    Ok(json!({"report": [{"lv": rows.collect::<Vec<_>>()}]}).to_string())
}

fn vgs(state: &State, vg: &str) -> Result<String, String> {
    known(state, vg)?;
    let rows = state.groups.iter().filter(|(name, _)| vg.is_empty() || *name == vg).map(|(name, size)| {
        let free = state.free(name).0.to_string();
        let row = json!({
            "vg_name": name, "vg_size": size.0.to_string(), "vg_free": free, "vg_extent_size": "4194304",
            "vg_attr": "wz--n-", "vg_tags": "", "vg_lock_type": "", "max_lv": "0",
            "lv_count": state.volumes.keys().filter(|volume| volume.vg() == name).count().to_string(),
            "pv_name": "/dev/simulated", "pv_attr": "a--", "pv_free": free,
        });
        state.as_told(name, row)
    });
    Ok(json!({"report": [{"vg": rows.collect::<Vec<_>>()}]}).to_string())
}

fn volume_list(state: &State) -> String {
    let list = state.volume_list.as_ref();
    list.map_or(String::new(), |entries| format!("volume_list=[\"{}\"]\n", entries.join("\",\"")))
}

/// As LVM has it where lvm.conf says nothing else.
fn setting(state: &State, name: &str) -> String {
    let value = state.settings.get(name).copied().unwrap_or(match name {
        "activation/monitoring" => 1,
        "activation/snapshot_autoextend_threshold" => 100,
        _ => 0,
    });
    format!("{}={value}\n", name.rsplit('/').next().unwrap_or(name))
}

fn locking(state: &State) -> String {
    let (folder, waits) = (state.lock_folder(), u8::from(state.waits_for_locks));
    format!("locking_dir=\"{}\"\nwait_for_locks={waits}\nlocking_type=1\n", folder.display())
}

fn known(state: &State, vg: &str) -> Result<(), String> {
    if vg.is_empty() || state.groups.contains_key(vg) {
        return Ok(());
    }
    Err(format!("  Volume group \"{vg}\" not found\n  Cannot process volume group {vg}\n"))
}

fn lvcreate(state: &mut State, line: &Line, vg: &str) -> Result<String, String> {
    known(state, vg)?;
    let name = LvName::new(vg, line.option("--name").unwrap_or_default()).map_err(|error| error.to_string())?;
    let size = line
        .option("--size")
        .and_then(|size| size.strip_suffix('b')?.parse().ok())
        .map(Bytes)
        .ok_or("  Invalid size")?;
    let volume = Volume::new(size, line.option("--addtag").map(str::to_owned).into_iter().collect());
    if state.volumes.contains_key(&name) {
        return Err(format!("  Logical Volume \"{}\" already exists in volume group \"{vg}\"\n", name.lv()));
    }
    if volume.size > state.free(vg) {
        return Err(format!("  Volume group \"{vg}\" has insufficient free space.\n"));
    }
    state.volumes.insert(name, volume);
    Ok(String::new())
}

fn lvconvert(state: &mut State, line: &Line) -> Result<String, String> {
    let (Some(origin), Some(cow)) = (line.lv(0), line.lv(1)) else {
        return Err("  Please specify a logical volume.\n".into());
    };
    for name in [&origin, &cow] {
        let volume = state.volumes.get(name).ok_or(format!("  Failed to find logical volume \"{name}\"\n"))?;
        if volume.origin.is_some() {
            return Err(format!("  Command on LV {name} does not accept LV type snapshot.\n"));
        }
    }
    state.attach(&origin, &cow);
    Ok(String::new())
}

fn lvextend(state: &mut State, line: &Line) -> Result<String, String> {
    let name = line.lv(0).filter(|name| state.volumes.contains_key(name));
    let name = name.ok_or(format!("  Failed to find logical volume \"{}\"\n", line.operand(0)))?;
    let size = line.option("--size").and_then(|size| size.strip_suffix('b')?.parse().ok()).map(Bytes);
    let (size, free) = (size.ok_or("  Invalid size")?, state.free(name.vg()));
    let volume = state.volumes.get_mut(&name).ok_or("  it was there")?;
    if size <= volume.size {
        return Err("  New size is not larger than existing size.\n".to_owned());
    }
    if size.0 - volume.size.0 > free.0 {
        return Err("  Insufficient free space: it has not so many extents\n".to_owned());
    }
    volume.size = size;
    Ok(String::new())
}

fn change(state: &mut State, line: &Line, change: impl FnOnce(&mut State, &LvName)) -> Result<String, String> {
    let name = line.lv(0).filter(|name| state.volumes.contains_key(name));
    let name = name.ok_or(format!("  Failed to find logical volume \"{}\"\n", line.operand(0)))?;
    change(state, &name);
    Ok(String::new())
}

fn status(state: &State, dm_name: &str) -> Result<String, String> {
    let found = state.volumes.iter().find(|(name, volume)| name.dm_name() == dm_name && volume.active);
    let (_, volume) = found.ok_or("Device does not exist.\nCommand failed.\n")?;
    let sectors = |bytes: Bytes| bytes.0 / 512;
    Ok(match (&volume.origin, volume.used) {
        (None, _) => format!("0 {} linear \n", sectors(volume.size)),
        (Some(_), None) => format!("0 {} snapshot Invalid\n", sectors(volume.size)),
        (Some(_), Some(used)) => {
            format!("0 {0} snapshot {1}/{0} 16\n", sectors(volume.size), sectors(used))
        }
    })
}

fn opens(state: &State, dm_name: &str) -> Result<String, String> {
    let found = state.volumes.iter().find(|(name, volume)| name.dm_name() == dm_name && volume.active);
    let (_, volume) = found.ok_or("Device does not exist.\nCommand failed.\n")?;
    Ok(format!("{}\n", volume.opens))
}

/// Each lies on a disk, and none on another one.
fn info(state: &State) -> String {
    let active = state.volumes.iter().filter(|(_, volume)| volume.active).zip(0..);
    let lines = active.map(|((name, volume), minor)| {
        let is = if volume.suspended { "Suspended" } else { "Active" };
        format!("{} {is} 254:{minor} 8:0\n", name.dm_name())
    });
    lines.collect()
}

fn resume(state: &mut State, dm_name: &str) -> Result<String, String> {
    let found = state.volumes.iter_mut().find(|(name, _)| name.dm_name() == dm_name);
    let (_, volume) = found.ok_or("Device does not exist.\nCommand failed.\n")?;
    volume.suspended = false;
    Ok(String::new())
}
