//! Which device lies on which, whatever made them.

use std::collections::{BTreeMap, BTreeSet};

use lvm::{LvName, Mapped};

use super::blocks::{Block, BlockKind};
use super::mounts::Mount;
use super::seen::Seen;

/// A device that lies on another one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Device<'s> {
    Mapped(&'s Mapped),
    Block(&'s Block),
}

impl<'s> Device<'s> {
    pub fn name(self) -> &'s str {
        match self {
            Self::Mapped(device) => &device.name,
            Self::Block(block) => &block.name,
        }
    }

    pub fn number(self) -> &'s str {
        match self {
            Self::Mapped(device) => &device.number,
            Self::Block(block) => &block.number,
        }
    }
}

/// A device above others, and the one that it was found on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above<'s> {
    pub device: Device<'s>,
    pub on: &'s str,
}

/// What lies on what.
pub(super) struct Tree<'s> {
    seen: &'s Seen,
    on: BTreeMap<&'s str, Vec<Device<'s>>>,
}

impl<'s> Tree<'s> {
    pub fn of(seen: &'s Seen) -> Self {
        let mut on: BTreeMap<&str, Vec<Device<'_>>> = BTreeMap::new();
        for device in &seen.mapped {
            for below in &device.lies_on {
                on.entry(below).or_default().push(Device::Mapped(device));
            }
        }
        for block in &seen.blocks {
            let below = match &block.kind {
                BlockKind::Loop { backing } => number_of(backing, seen),
                BlockKind::Partition { of } => Some(&**of),
                BlockKind::Other { on } => Some(&**on),
            };
            if let Some(below) = below {
                on.entry(below).or_default().push(Device::Block(block));
            }
        }
        Self { seen, on }
    }

    /// What lies on these, directly or not, each once and after all that lies on it: the order in which it is taken down. Of what
    /// lies on them directly only what `is_meant`.
    pub fn above(&self, devices: &[&'s Mapped], is_meant: impl Fn(Device<'s>) -> bool) -> Vec<Above<'s>> {
        let mut visited: BTreeSet<&str> = devices.iter().map(|device| &*device.number).collect();
        let mut found = Vec::new();
        for device in devices {
            for above in self.on.get(&*device.number).into_iter().flatten().filter(|above| is_meant(**above)) {
                self.visit(*above, &device.name, &mut visited, &mut found);
            }
        }
        found
    }

    fn visit(&self, device: Device<'s>, on: &'s str, visited: &mut BTreeSet<&'s str>, found: &mut Vec<Above<'s>>) {
        if !visited.insert(device.number()) {
            return;
        }
        for above in self.on.get(device.number()).into_iter().flatten() {
            self.visit(*above, device.name(), visited, found);
        }
        found.push(Above { device, on });
    }

    /// Where in the kernel's order a mount stands: a later one lies over an earlier one.
    pub fn place_of(&self, mount: &Mount) -> Option<usize> {
        self.seen.mounts.iter().position(|other| other == mount)
    }

    /// The mounts of the device of this number.
    pub fn mounts_of(&self, number: &str) -> impl Iterator<Item = &'s Mount> {
        let (seen, number) = (self.seen, number.to_owned());
        // A filesystem of several devices has a number of its own.
        seen.mounts.iter().filter(move |mount| {
            mount.number == number
                || (mount.number.starts_with("0:") && number_of(&mount.source, seen) == Some(&*number))
        })
    }
}

/// The number of the device at a path in `/dev`, by its name there.
fn number_of<'s>(path: &str, seen: &'s Seen) -> Option<&'s str> {
    let name = path.trim_end_matches(" (deleted)").strip_prefix("/dev/")?;
    let mapped =
        |is_it: &dyn Fn(&Mapped) -> bool| seen.mapped.iter().find(|device| is_it(device)).map(|it| &*it.number);
    if let Some(minor) = name.strip_prefix("dm-") {
        return mapped(&|device| device.number.split_once(':').is_some_and(|(_, its)| its == minor));
    }
    if let Some(name) = name.strip_prefix("mapper/") {
        return mapped(&|device| device.name == name);
    }
    let block = seen.blocks.iter().find(|block| block.name == name).map(|block| &*block.number);
    let dm_name = name.parse::<LvName>().ok().map(|name| name.dm_name());
    block.or_else(|| mapped(&|device| dm_name.as_ref() == Some(&device.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::recorded::{host, loop_device, mapped, mount};

    fn above(seen: &Seen, name: &str) -> Vec<String> {
        let devices: Vec<&Mapped> = seen.mapped.iter().filter(|device| device.name == name).collect();
        let found = Tree::of(seen).above(&devices, |_| true);
        found.iter().map(|above| format!("{} on {}", above.device.name(), above.on)).collect()
    }

    #[test]
    fn what_lies_on_top_of_all_comes_first() {
        let mut seen = host();
        seen.blocks = vec![loop_device("loop0", "7:0", "/dev/dm-7"), loop_device("loop1", "7:1", "/dev/sda")];
        seen.mapped.push(mapped("x", "", "254:9", "7:0 254:7", "0 8 linear 7:0 0"));
        assert_eq!(above(&seen, "vg-snap"), ["x on vg-snap1", "loop0 on vg-snap1", "vg-snap1 on vg-snap"]);
    }

    #[test]
    fn a_loop_device_is_found_by_every_name_of_what_it_is_over() {
        for backing in ["/dev/dm-6", "/dev/mapper/vg-snap", "/dev/vg/snap", "/dev/dm-6 (deleted)"] {
            let seen = Seen { blocks: vec![loop_device("loop0", "7:0", backing)], ..host() };
            assert!(above(&seen, "vg-snap").contains(&"loop0 on vg-snap".to_owned()), "{backing}");
        }
        for backing in ["/dev/dm-66", "/srv/dm-6", "/dev/mapper/vg-sna", "/dev/loop0"] {
            let seen = Seen { blocks: vec![loop_device("loop0", "7:0", backing)], ..host() };
            assert!(!above(&seen, "vg-snap").contains(&"loop0 on vg-snap".to_owned()), "{backing}");
        }
    }

    #[test]
    fn devices_that_lie_on_each_other_are_not_walked_for_ever() {
        let mut seen = host();
        seen.mapped.push(mapped("x", "", "254:9", "254:6 254:10", "0 8 linear 254:6 0"));
        seen.mapped.push(mapped("y", "", "254:10", "254:9", "0 8 linear 254:9 0"));
        assert_eq!(above(&seen, "vg-snap"), ["vg-snap1 on vg-snap", "y on x", "x on vg-snap"]);
    }

    #[test]
    fn a_filesystem_with_a_number_of_its_own_is_found_by_what_was_mounted() {
        let mut seen = host();
        let source = "/dev/mapper/vg-snap1".to_owned();
        seen.mounts = vec![Mount { source, ..mount(30, "0:44", "/mnt/btrfs") }, mount(31, "0:45", "/proc")];
        let ids: Vec<u64> = Tree::of(&seen).mounts_of("254:7").map(|mount| mount.id).collect();
        assert_eq!(ids, [30]);
    }
}
