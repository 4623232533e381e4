//! `activation/volume_list` of lvm.conf(5): the volumes that may be activated on this host. A COW volume that may not be cannot be wiped.

use super::command::{DEADLINE, PLAIN};
use super::owned::TAG;
use super::{Lvm, LvmError};
use crate::programs::Invocation;

/// The host's `activation/volume_list`.
pub(super) struct VolumeList(Vec<String>);

impl Lvm {
    /// `None` where the host has no such list: then every volume may be activated.
    pub(super) fn volume_list(&self) -> Result<Option<VolumeList>, LvmError> {
        let invocation = Invocation::new("lvmconfig", DEADLINE).args([
            "--config",
            PLAIN,
            "--type",
            "full",
            "activation/volume_list",
        ]);
        let output = self.run(&invocation)?;
        VolumeList::read(&String::from_utf8_lossy(&output.stdout))
            .map_err(|why| LvmError::Answer { command: invocation.to_string(), why })
    }
}

impl VolumeList {
    /// `volume_list=["vg","@tag","vg/lv"]`, or one string without brackets, or nothing where it is not set.
    fn read(said: &str) -> Result<Option<Self>, String> {
        if said.trim().is_empty() {
            return Ok(None);
        }
        let (_, value) = said.split_once("volume_list=").ok_or("it says nothing of volume_list")?;
        let (mut entries, mut open) = (Vec::new(), None::<String>);
        let mut characters = value.chars();
        while let Some(character) = characters.next() {
            match (&mut open, character) {
                (None, '"') => open = Some(String::new()),
                (None, _) => {}
                (Some(_), '"') => entries.extend(open.take()),
                (Some(entry), '\\') => entry.extend(characters.next()),
                (Some(entry), other) => entry.push(other),
            }
        }
        if open.is_some() { Err("a string in it has no end".to_owned()) } else { Ok(Some(Self(entries))) }
    }

    /// Whether a new volume of ours in the group `vg` may be activated. Its name is in no list; its group, its tag and the group's
    /// tags can be. `@*` goes by the tags of the host, which nothing reports: LVM has the last word there.
    pub fn may_activate_ours(&self, vg: &str, group_has_tag: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|entry| match entry.strip_prefix('@') {
            Some("*") => true,
            Some(tag) => tag == TAG || group_has_tag(tag),
            None => entry == vg,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // As lvmconfig of LVM 2.03.16 prints them.
    #[test]
    fn a_host_without_the_list_activates_everything() {
        assert!(VolumeList::read("").unwrap().is_none());
    }

    fn may(said: &str) -> bool {
        VolumeList::read(said).unwrap().unwrap().may_activate_ours("vg", |tag| tag == "ssd")
    }

    #[test]
    fn a_group_its_tags_and_our_tag_let_our_volumes_in() {
        for said in [
            "volume_list=[\"root\",\"vg\"]\n",
            "volume_list=\"vg\"\n",
            "volume_list=[\"@stillpoint\"]\n",
            "volume_list=[\"@ssd\",\"other\"]\n",
            "volume_list=[\"@*\"]\n",
        ] {
            assert!(may(said), "{said}");
        }
    }

    #[test]
    fn other_volumes_of_the_group_and_other_groups_do_not() {
        for said in [
            "volume_list=[]\n",
            "volume_list=[\"vg/root\"]\n",
            "volume_list=[\"vg1\",\"@still\",\"v\"]\n",
            "volume_list=\"a\\\"vg\"\n",
        ] {
            assert!(!may(said), "{said}");
        }
    }

    #[test]
    fn what_is_no_such_list_is_an_error() {
        assert!(VolumeList::read("auto_set=1\n").is_err());
        assert!(VolumeList::read("volume_list=[\"vg\n").is_err());
    }
}
