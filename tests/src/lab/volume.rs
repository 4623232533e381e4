//! LVM and device-mapper on the lab's hypervisor, through their own programs.

use crate::machine::program::{run, try_run};

/// The volume group of the lab.
pub const VG: &str = "vg";
/// The guest's first disk: GPT, one ext4 partition.
pub const ROOT: &str = "vg/db-root";
/// The guest's second disk: ext4 straight on the volume.
pub const DATA: &str = "vg/db-data";

/// One line of `lvs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lv {
    /// Its name, without the group.
    pub name: String,
    /// `lv_attr`, ten characters.
    pub attr: String,
    /// The volume it is a snapshot of, or nothing.
    pub origin: String,
}

/// All volumes of the lab's group, hidden ones too.
pub fn all() -> Vec<Lv> {
    let listed = run("lvs", &["-a", "--noheadings", "--separator", "|", "-o", "lv_name,lv_attr,origin", VG]);
    let field = |line: &str, n: usize| line.trim().split('|').nth(n).unwrap_or_default().to_owned();
    listed.lines().map(|line| Lv { name: field(line, 0), attr: field(line, 1), origin: field(line, 2) }).collect()
}

/// Those that the lab did not come with.
pub fn foreign() -> Vec<Lv> {
    let own = [ROOT, DATA].map(|path| path.trim_start_matches("vg/"));
    all().into_iter().filter(|lv| !own.contains(&lv.name.as_str())).collect()
}

/// `dmsetup status` of a volume of the group: sectors, target and what the target says.
pub fn dm_status(name: &str) -> String {
    run("dmsetup", &["status", &format!("{VG}-{}", name.replace('-', "--"))])
}

/// How many snapshots are attached. Waits for no lock of LVM's.
pub fn attached_snapshots() -> usize {
    run("dmsetup", &["ls", "--target", "snapshot"]).lines().filter(|line| line.starts_with(VG)).count()
}

/// A volume of a scenario's own in the lab's group. It is removed with the value.
#[derive(Debug)]
pub struct OwnVolume(String);

impl OwnVolume {
    /// Makes `vg/NAME` of `size`, wiped at its beginning.
    pub fn make(name: &str, size: &str) -> Self {
        run("lvcreate", &["-q", "-y", "-W", "y", "-Z", "y", "-L", size, "-n", name, VG]);
        Self(format!("{VG}/{name}"))
    }

    /// As programs name it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its device node.
    pub fn device(&self) -> String {
        format!("/dev/{}", self.0)
    }
}

impl Drop for OwnVolume {
    fn drop(&mut self) {
        try_run("lvremove", &["-f", &self.0]);
    }
}

/// Removes every volume that the lab did not come with.
pub fn remove_foreign() {
    for lv in foreign() {
        // One that went with its origin is no longer there; what counts is what is left in the end.
        try_run("lvremove", &["-f", &format!("{VG}/{}", lv.name)]);
    }
    assert_eq!(foreign(), [], "volumes that lvremove leaves");
}
