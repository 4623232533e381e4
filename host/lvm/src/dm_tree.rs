//! The mapped devices of this host, and which of them lie on which, as device-mapper lists them.

use std::collections::{BTreeMap, BTreeSet};

use super::LvName;

/// The fields of [`DmTree`], for `dmsetup info`.
pub(super) const FIELDS: &str = "name,suspended,devno,devnos_used";

/// What `dmsetup` says where there are none.
const NONE: &str = "No devices found";

/// Every mapped device, by its number.
#[derive(Debug)]
pub(super) struct DmTree(BTreeMap<String, Device>);

#[derive(Debug)]
struct Device {
    name: String,
    is_suspended: bool,
    /// The numbers of the devices that it lies on, mapped ones or others.
    lies_on: Vec<String>,
}

impl DmTree {
    /// Of lines like `vg-db-real Active 254:3 254:1,8:16`. The last field is empty where a device lies on none.
    pub fn read(listed: &str) -> Result<Self, String> {
        let mut devices = BTreeMap::new();
        for line in listed.lines().map(str::trim).filter(|line| !line.is_empty() && *line != NONE) {
            let unreadable = || format!("`{}` is no device", line.escape_debug());
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (name, state, number, lies_on) = match fields[..] {
                [name, state, number] => (name, state, number, ""),
                [name, state, number, lies_on] => (name, state, number, lies_on),
                _ => return Err(unreadable()),
            };
            let is_suspended = match state {
                "Suspended" => true,
                "Active" => false,
                _ => return Err(unreadable()),
            };
            let lies_on = lies_on.split(',').filter(|number| !number.is_empty()).map(str::to_owned).collect();
            devices.insert(number.to_owned(), Device { name: name.to_owned(), is_suspended, lies_on });
        }
        Ok(Self(devices))
    }

    /// The suspended devices among those of an origin, by name, and each after those that it lies on. The origin's are: its own; what
    /// LVM puts below it (`-real`, images and logs of RAID, `-tpool` of a thin pool and what that lies on); its snapshots, with their
    /// COWs; and the pool's own device, which LVM suspends and resumes with it.
    pub fn suspended_of(&self, origin: &LvName) -> Vec<String> {
        let (top, real) = (origin.dm_name(), format!("{}-real", origin.dm_name()));
        let mut found = Found::default();
        // `-real` first: the table that waits for the origin's resumption may already lie on it.
        for name in [&real, &top] {
            for (number, _) in self.0.iter().filter(|(_, device)| device.name == *name) {
                self.walk(number, &mut found);
            }
        }
        let snapshots = self.0.iter().filter(|(_, device)| self.lies_on(device, |below| below.name == real));
        let pools = self.0.iter().filter(|(_, device)| {
            let tpool = format!("{}-tpool", device.name);
            self.lies_on(device, |below| below.name == tpool && found.names.contains(&below.name))
        });
        let above: Vec<&String> = snapshots.chain(pools).map(|(number, _)| number).collect();
        for number in above {
            self.walk(number, &mut found);
        }
        let suspended = found.in_order.iter().filter_map(|number| self.0.get(number));
        suspended.filter(|device| device.is_suspended).map(|device| device.name.clone()).collect()
    }

    fn lies_on(&self, device: &Device, is_it: impl Fn(&Device) -> bool) -> bool {
        device.lies_on.iter().filter_map(|number| self.0.get(number)).any(is_it)
    }

    /// Adds a device after all that it lies on.
    fn walk(&self, number: &str, found: &mut Found) {
        let Some(device) = self.0.get(number) else { return };
        if !found.names.insert(device.name.clone()) {
            return;
        }
        for below in &device.lies_on {
            self.walk(below, found);
        }
        found.in_order.push(number.to_owned());
    }
}

/// Devices that a walk has come to.
#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    in_order: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspended(listed: &str) -> Vec<String> {
        DmTree::read(listed).unwrap().suspended_of(&LvName::new("vg", "db").unwrap())
    }

    #[test]
    fn a_volume_of_which_nothing_is_suspended_has_no_suspended_devices() {
        assert_eq!(suspended("vg-db Active 254:0 8:16\nvg-other Suspended 254:1 8:16\n"), [""; 0]);
        assert_eq!(suspended("No devices found\n"), [""; 0]);
        assert_eq!(suspended("vg-other Suspended 254:1 8:16\n"), [""; 0], "it is not active");
    }

    #[test]
    fn what_an_attach_puts_below_its_origin_comes_before_it() {
        let before_the_swap = "vg-db Suspended 254:0 8:16\nvg-db-real Suspended 254:1 8:16\n";
        assert_eq!(suspended(before_the_swap), ["vg-db-real", "vg-db"], "by the table that is loaded and not yet used");
        let after_it = "vg-db Suspended 254:0 254:1\nvg-db-real Suspended 254:1 8:16\n";
        assert_eq!(suspended(after_it), ["vg-db-real", "vg-db"]);
    }

    #[test]
    fn a_thin_pool_is_resumed_from_its_data_upwards_and_other_guests_volumes_are_left_alone() {
        let listed = "vg-db Suspended 254:9 254:4\n\
                      vg-db-real Suspended 254:5 254:4\n\
                      vg-pool Suspended 254:6 254:4\n\
                      vg-pool-tpool Suspended 254:4 254:3,254:2\n\
                      vg-pool_tdata Suspended 254:3 8:16\n\
                      vg-pool_tmeta Suspended 254:2 8:16\n\
                      vg-other Suspended 254:7 254:4\n";
        let expected = ["vg-pool_tdata", "vg-pool_tmeta", "vg-pool-tpool", "vg-db-real", "vg-db", "vg-pool"];
        assert_eq!(suspended(listed), expected);
    }

    #[test]
    fn raid_is_resumed_from_its_images_upwards() {
        let listed = "vg-db Suspended 254:0 254:5\n\
                      vg-db-real Suspended 254:5 254:1,254:2,254:3,254:4\n\
                      vg-db_rimage_0 Suspended 254:2 8:16\n\
                      vg-db_rimage_1 Suspended 254:4 8:32\n\
                      vg-db_rmeta_0 Suspended 254:1 8:16\n\
                      vg-db_rmeta_1 Active 254:3 8:32\n";
        let expected = ["vg-db_rmeta_0", "vg-db_rimage_0", "vg-db_rimage_1", "vg-db-real", "vg-db"];
        assert_eq!(suspended(listed), expected);
    }

    #[test]
    fn snapshots_of_it_are_found_with_their_cows() {
        let listed = "vg-db Active 254:0 254:1\n\
                      vg-db-real Active 254:1 8:16\n\
                      vg-snap Suspended 254:3 254:1,254:2\n\
                      vg-snap-cow Suspended 254:2 8:16\n\
                      vg-elsewhere Suspended 254:4 254:2\n";
        assert_eq!(suspended(listed), ["vg-snap-cow", "vg-snap"]);
    }

    #[test]
    fn a_device_without_a_table_lies_on_nothing() {
        assert_eq!(suspended("vg-db Suspended 254:0 \n"), ["vg-db"]);
    }

    #[test]
    fn devices_that_lie_on_each_other_are_not_walked_for_ever() {
        assert_eq!(suspended("vg-db Suspended 254:0 254:1\na Suspended 254:1 254:0\n"), ["a", "vg-db"]);
    }

    #[test]
    fn what_is_no_list_of_devices_is_an_error() {
        for listed in ["vg-db", "vg-db Gone 254:0 8:16", "vg-db Suspended 254:0 8:16 more", "Device does not exist."] {
            assert!(DmTree::read(listed).is_err(), "{listed}");
        }
    }
}
