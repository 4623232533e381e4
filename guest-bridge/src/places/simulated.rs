//! What the script says in a guest that lives in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use super::{DeviceNumber, script::SCRIPT};
use crate::agent::{Exit, Finished, Program};

/// virtio's block devices, as the simulation numbers them.
const MAJOR: u32 = 253;
/// LOOP_MAJOR of Linux.
const LOOP: u32 = 7;
/// The inode of a marker that has no other, and of a file.
const MARKER_INODE: u64 = 100;
const FILE_INODE: u64 = 1000;

/// Where things lie in a simulated guest. Each of its mountpoints is ext4, mounted read-write from a device of its own: 253:0, 253:1, and
/// so on in their order. Every path exists, as a folder on the deepest mountpoint above it; the inode of markers is 100, that of all else 1000.
#[derive(Clone, Debug, Default)]
pub struct SimulatedPlaces {
    fs_types: BTreeMap<String, String>,
    uuids: BTreeMap<String, String>,
    refusals: BTreeMap<String, String>,
    inodes: BTreeMap<String, u64>,
    targets: BTreeMap<String, String>,
    missing: BTreeSet<String>,
    stays_unwritten_cs: Option<u32>,
    loop_files: BTreeMap<String, String>,
    also_mounted: Vec<String>,
    hanging: BTreeSet<String>,
    /// Paths of the markers that are there.
    markers: BTreeSet<String>,
}

impl SimulatedPlaces {
    /// The filesystem at `mountpoint` is of this type.
    pub fn fs_type(&mut self, mountpoint: &str, fs_type: &str) {
        self.fs_types.insert(mountpoint.to_owned(), fs_type.to_owned());
    }

    /// udev knows this UUID of the filesystem at `mountpoint`.
    pub fn uuid(&mut self, mountpoint: &str, uuid: &str) {
        self.uuids.insert(mountpoint.to_owned(), uuid.to_owned());
    }

    /// The filesystem at `mountpoint` takes no marker.
    pub fn refuse(&mut self, mountpoint: &str, reason: &str) {
        self.refusals.insert(mountpoint.to_owned(), reason.to_owned());
    }

    /// The filesystem at `mountpoint` gives no answer to whoever removes something from it, as one that is frozen.
    pub fn hang(&mut self, mountpoint: &str) {
        self.hanging.insert(mountpoint.to_owned());
    }

    /// The inode of what `path` leads to. Given a mountpoint, that of the marker there.
    pub fn inode(&mut self, path: &str, inode: u64) {
        self.inodes.insert(path.to_owned(), inode);
    }

    /// `path` is a symlink to `target`.
    pub fn link(&mut self, path: &str, target: &str) {
        self.targets.insert(path.to_owned(), target.to_owned());
    }

    /// `path` does not exist.
    pub fn lack(&mut self, path: &str) {
        self.missing.insert(path.to_owned());
    }

    /// The guest's kernel leaves what is written in memory for this long, in hundredths of a second.
    pub fn stays_unwritten_cs(&mut self, time: u32) {
        self.stays_unwritten_cs = Some(time);
    }

    /// The filesystem at `mountpoint` lies in this file of another one.
    pub fn in_file(&mut self, mountpoint: &str, file: &str) {
        self.loop_files.insert(mountpoint.to_owned(), file.to_owned());
    }

    /// The kernel's table of mounts ends with this line, too: what lies on no device of its own.
    pub fn also_mounted(&mut self, line: &str) {
        self.also_mounted.push(line.to_owned());
    }

    /// The paths of the markers that are there now.
    pub fn markers(&self) -> impl Iterator<Item = &str> {
        self.markers.iter().map(String::as_str)
    }

    /// What the script is asked; `None` where `program` is another.
    pub(crate) fn question(program: &Program) -> Option<&[String]> {
        match program.args.as_slice() {
            [_, script, _, question @ ..] if script == SCRIPT => Some(question),
            _ => None,
        }
    }

    /// What the script says; `None` where `program` is another.
    pub(crate) fn answer(&mut self, program: &Program, mountpoints: &[String]) -> Option<Finished> {
        let question = Self::question(program)?;
        let input = String::from_utf8_lossy(&program.input);
        let word = |number: usize| question.get(number).map_or("", String::as_str);
        let mut said = String::new();
        match word(0) {
            "look" => self.look(&input, mountpoints, &mut said),
            "mark" => self.mark(word(1), &input, &mut said),
            _ => self.unmark(word(1), &input, mountpoints, &mut said),
        }
        .ok()?;
        said.push_str("end\n");
        Some(Finished { exit: Exit::Code(0), stdout: said.into_bytes(), stderr: Vec::new() })
    }

    fn look(&self, input: &str, mountpoints: &[String], said: &mut String) -> std::fmt::Result {
        for (minor, mountpoint) in mountpoints.iter().enumerate() {
            let fs_type = self.fs_types.get(mountpoint).map_or("ext4", String::as_str);
            let (point, number) = (mountpoint.replace(' ', "\\040"), minor + 1);
            match self.loop_files.contains_key(mountpoint) {
                true => writeln!(said, "{number} 0 {LOOP}:{minor} / {point} rw - {fs_type} /dev/loop{minor} rw")?,
                false => writeln!(said, "{number} 0 {MAJOR}:{minor} / {point} rw - {fs_type} /dev/vda{number} rw")?,
            }
        }
        self.also_mounted.iter().try_for_each(|line| writeln!(said, "{line}"))?;
        said.push_str("--\n");
        for (minor, mountpoint) in mountpoints.iter().enumerate() {
            if let Some(uuid) = self.uuids.get(mountpoint) {
                writeln!(said, "{MAJOR:x} {minor:x} /dev/disk/by-uuid/{uuid}")?;
            }
        }
        said.push_str("--\n");
        self.tell(input.lines(), mountpoints, said)?;
        said.push_str("--\n");
        let loops = mountpoints.iter().enumerate().filter_map(|(minor, at)| Some((minor, self.loop_files.get(at)?)));
        for (minor, file) in loops {
            writeln!(said, "{LOOP}:{minor} {file}")?;
        }
        Ok(())
    }

    fn mark(&mut self, name: &str, input: &str, said: &mut String) -> std::fmt::Result {
        writeln!(said, "keeps {}", self.stays_unwritten_cs.unwrap_or(3000))?;
        for (number, line) in input.lines().enumerate() {
            let mountpoint = line.splitn(3, ' ').nth(2).unwrap_or_default();
            match self.refusals.get(mountpoint) {
                Some(reason) => writeln!(said, "no {number} {reason}")?,
                None => {
                    self.markers.insert(path(mountpoint, name));
                    let inode = self.inodes.get(mountpoint).copied().unwrap_or(MARKER_INODE);
                    writeln!(said, "ok {number} {inode}")?;
                }
            }
        }
        Ok(())
    }

    fn unmark(&mut self, name: &str, input: &str, mountpoints: &[String], said: &mut String) -> std::fmt::Result {
        let mut lines = input.lines();
        for (number, mountpoint) in lines.by_ref().take_while(|line| !line.is_empty()).enumerate() {
            if self.hanging.contains(mountpoint) {
                continue;
            }
            let was_there = self.markers.remove(&path(mountpoint, name));
            writeln!(said, "ok {number} {}", u8::from(was_there))?;
        }
        said.push_str("--\n");
        self.tell(lines, mountpoints, said)
    }

    fn tell<'l>(
        &self,
        paths: impl Iterator<Item = &'l str>,
        mountpoints: &[String],
        said: &mut String,
    ) -> std::fmt::Result {
        for path in paths {
            let real = self.targets.get(path).map_or(path, String::as_str);
            let on = mountpoints.iter().enumerate().filter(|(_, point)| Path::new(real).starts_with(point));
            match on.max_by_key(|(_, point)| point.len()) {
                Some((minor, _)) if !self.missing.contains(path) => {
                    let device = DeviceNumber { major: MAJOR, minor: u32::try_from(minor).unwrap_or(u32::MAX) };
                    let inode = self.inodes.get(path).copied().unwrap_or(FILE_INODE);
                    writeln!(said, "at {} {inode} d {real}", device.to_stat())?;
                }
                _ => writeln!(said, "not No such file or directory")?,
            }
        }
        Ok(())
    }
}

fn path(mountpoint: &str, name: &str) -> String {
    format!("{}/{name}", mountpoint.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::{
        agent::SimulatedGuest,
        call_log::CallLog,
        places::{MarkerName, look, mark, unmark},
    };

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_simulated_guest_tells_where_its_paths_lie() {
        let mut guest = SimulatedGuest::new(CallLog::new(), ["/", "/srv/my data"]).with_places(|places| {
            places.uuid("/", "aa");
            places.fs_type("/", "xfs");
            places.link("/var/lib/mysql", "/srv/my data/mysql");
            places.lack("/gone");
        });
        let paths: [PathBuf; 3] = ["/var/lib/mysql".into(), "/srv".into(), "/gone".into()];
        let places = look(&mut guest, &paths, SOON).await.unwrap();
        let of = |number: usize| places.paths[number].on.as_ref().map(|on| on.device.to_string());
        assert_eq!((of(0).unwrap().as_str(), of(1).unwrap().as_str()), ("253:1", "253:0"));
        of(2).unwrap_err();
        assert_eq!(places.paths[3].path, PathBuf::from("/srv/my data"), "it is mounted beneath /srv");
        assert_eq!((places.mounts[0].uuid.as_deref(), places.mounts[0].fs_type.as_str()), (Some("aa"), "xfs"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_guest_tells_what_lies_in_files_and_what_others_keep() {
        let mut guest = SimulatedGuest::new(CallLog::new(), ["/", "/tmp"]).with_places(|places| {
            places.in_file("/tmp", "/tmp.img");
            places.also_mounted("9 1 253:0 /jail /jail rw - ext4 /dev/vda1 rw");
            places.also_mounted("10 1 0:50 / /home rw - nfs4 store:/home rw");
        });
        let places = look(&mut guest, &[], SOON).await.unwrap();
        let told = &places.loops[0];
        assert_eq!((&*told.mountpoint, told.deadlocks_by.as_deref()), ("/tmp", Some("/jail")));
        assert_eq!(
            (places.served[0].mountpoint.as_str(), &places.mounted_again[..]),
            ("/home", &["/jail".to_owned()][..])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_guest_keeps_its_markers_until_they_are_removed() {
        let log = CallLog::new();
        let mut guest = SimulatedGuest::new(log.clone(), ["/", "/srv", "/full"]).with_places(|places| {
            places.inode("/srv", 7);
            places.inode("/srv/ibdata1", 8);
            places.refuse("/full", "No space left on device");
        });
        let name = MarkerName::new();
        let marked = mark(&mut guest, &name, SOON).await.unwrap();
        assert_eq!(marked.markers.iter().map(|marker| marker.inode).collect::<Vec<_>>(), [MARKER_INODE, 7]);
        assert_eq!(marked.refused[0].reason, "No space left on device");
        assert_eq!(guest.markers(), [format!("/{name}"), format!("/srv/{name}")]);

        let files = ["no/path".into(), "/srv/ibdata1".into(), "/a\nb".into()];
        let unmarked = unmark(&mut guest, &name, &files, SOON).await.unwrap();
        assert_eq!((unmarked.left, guest.markers()), (vec![], vec![]));
        assert_eq!(unmarked.removed, [0, 1].map(|minor| DeviceNumber { major: MAJOR, minor }));
        assert_eq!(unmark(&mut guest, &name, &[], SOON).await.unwrap().removed, [], "it is gone already");
        let at = unmarked.files.iter().map(|file| file.at).collect::<Vec<_>>();
        assert_eq!(at, [None, Some((DeviceNumber { major: MAJOR, minor: 1 }, 8)), None]);
        assert!(log.entries().contains(&format!("agent: guest-exec places mark {name} 2")));
    }
}
