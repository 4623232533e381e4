//! A volume group, out of its metadata text.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{Section, Value, parse};

const SECTOR: u64 = 512;

/// What the text says of a group.
#[derive(Debug, Clone)]
pub(super) struct Vg {
    pub name: String,
    pub id: String,
    pub seqno: u64,
    pub extent_size_bytes: u64,
    /// By their names in the text, `pv0` and so on.
    pub pvs: BTreeMap<String, Pv>,
    pub lvs: Vec<Lv>,
}

/// A physical volume as the group knows it.
#[derive(Debug, Clone)]
pub(super) struct Pv {
    /// Without dashes, as in the header.
    pub id: String,
    pub pe_start_bytes: u64,
    pub pe_count: u64,
}

/// A logical volume.
#[derive(Debug, Clone)]
pub(super) struct Lv {
    pub name: String,
    /// `lvs` shows it without `-a`.
    pub visible: bool,
    pub segments: Vec<Segment>,
    /// Set where snapshots read through this volume, or this volume is the store of one.
    pub snapshot: Option<Role>,
}

/// What a volume is to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Its blocks are also those of its snapshots.
    Origin,
    /// A snapshot is being merged into it: its content is not yet all in its own blocks.
    Merging,
    /// Its own blocks are a store of exceptions, not the volume that its name stands for.
    Store,
}

/// A run of a logical volume's extents.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub start_extent: u64,
    pub extent_count: u64,
    pub mapping: Mapping,
}

/// Where a segment's extents are.
#[derive(Debug, Clone)]
pub(super) enum Mapping {
    /// Spread in units of `stripe_size_bytes` over areas of physical volumes; linear with one area.
    Striped { stripe_size_bytes: u64, areas: Vec<Area> },
    /// A type that is not read here.
    Other {
        type_name: String,
        /// It may claim extents of physical volumes itself, in a way that is not known here.
        names_pvs: bool,
    },
}

/// Where a stripe begins.
#[derive(Debug, Clone)]
pub(super) struct Area {
    /// Name of the physical volume in the text.
    pub pv: String,
    pub start_extent: u64,
}

impl Vg {
    /// Reads a whole metadata text. The error says what keeps it from being understood.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let root = parse(&String::from_utf8_lossy(text))?;
        let mut sections = root.sections.iter();
        let (Some((name, vg)), None) = (sections.next(), sections.next()) else {
            return Err(format!("it describes {} groups, not one", root.sections.len()));
        };
        check_name(name)?;
        let none = Section::default();
        let pvs = vg.sections.get("physical_volumes").unwrap_or(&none);
        let pvs: BTreeMap<_, _> = pvs
            .sections
            .iter()
            .map(|(name, pv)| Ok((name.clone(), Pv::parse(name, pv)?)))
            .collect::<Result<_, String>>()?;
        let mut ids = BTreeSet::new();
        if pvs.values().any(|pv| !ids.insert(&pv.id)) {
            return Err("two of its physical volumes have the same UUID".into());
        }
        let sections = &vg.sections.get("logical_volumes").unwrap_or(&none).sections;
        let lvs = sections.iter().map(|(name, lv)| Lv::parse(name, lv, &pvs));
        let mut lvs = lvs.collect::<Result<Vec<_>, _>>()?;
        assign_roles(&mut lvs, sections.values());
        Ok(Self {
            name: name.clone(),
            id: id(vg, "the group")?,
            seqno: number(vg, "seqno", "the group")?,
            extent_size_bytes: sectors(vg, "extent_size", "the group")?,
            pvs,
            lvs,
        })
    }
}

impl Pv {
    fn parse(name: &str, pv: &Section) -> Result<Self, String> {
        let pe_start_bytes = sectors(pv, "pe_start", name)?;
        Ok(Self { id: id(pv, name)?, pe_start_bytes, pe_count: number(pv, "pe_count", name)? })
    }
}

impl Lv {
    fn parse(name: &str, lv: &Section, pvs: &BTreeMap<String, Pv>) -> Result<Self, String> {
        check_name(name)?;
        let segments = lv.sections.iter().filter(|(key, _)| key.starts_with("segment"));
        let mut segments =
            segments.map(|(_, segment)| Segment::parse(name, segment, pvs)).collect::<Result<Vec<_>, _>>()?;
        segments.sort_by_key(|segment| segment.start_extent);
        let mut expected = 0_u64;
        for segment in &segments {
            if segment.start_extent != expected || segment.extent_count == 0 {
                return Err(format!("{name}: a segment begins at extent {}, not {expected}", segment.start_extent));
            }
            expected = expected.checked_add(segment.extent_count).ok_or_else(|| format!("{name}: too many extents"))?;
        }
        Ok(Self { name: name.into(), visible: lv.lists("status", "VISIBLE"), segments, snapshot: None })
    }

    /// Whether it is the hidden volume that ties an origin to its store.
    fn is_snapshot(&self) -> bool {
        self.segments.iter().any(
            |segment| matches!(&segment.mapping, Mapping::Other { type_name, .. } if type_name.starts_with("snapshot")),
        )
    }
}

impl Segment {
    fn parse(lv: &str, segment: &Section, pvs: &BTreeMap<String, Pv>) -> Result<Self, String> {
        let full_type = segment.text("type").ok_or_else(|| format!("{lv}: a segment has no type"))?;
        // Flags of newer LVMs follow a plus sign; a reader that does not know one cannot trust the rest.
        let striped = matches!(full_type, "striped" | "linear");
        let mapping = if striped { Self::striped(lv, segment, pvs)? } else { Self::other(full_type, segment, pvs) };
        let start_extent = number(segment, "start_extent", lv)?;
        Ok(Self { start_extent, extent_count: number(segment, "extent_count", lv)?, mapping })
    }

    fn striped(lv: &str, segment: &Section, pvs: &BTreeMap<String, Pv>) -> Result<Mapping, String> {
        let mut areas = Vec::new();
        for pair in segment.array("stripes").chunks(2) {
            let [Value::Text(pv), Value::Integer(start)] = pair else {
                return Err(format!("{lv}: its stripes are not pairs of a volume and an extent"));
            };
            if !pvs.contains_key(pv) {
                return Ok(Mapping::Other { type_name: format!("striped over {pv:?}"), names_pvs: true });
            }
            let start_extent = u64::try_from(*start).map_err(|_| format!("{lv}: a stripe begins at extent {start}"))?;
            areas.push(Area { pv: pv.clone(), start_extent });
        }
        let count = number(segment, "stripe_count", lv)?;
        if areas.is_empty() || areas.len() as u64 != count {
            return Err(format!("{lv}: it has {} stripes, and says {count}", areas.len()));
        }
        let stripe_size_bytes = if areas.len() > 1 { sectors(segment, "stripe_size", lv)? } else { 0 };
        if areas.len() > 1 && (stripe_size_bytes == 0 || number(segment, "extent_count", lv)? % count != 0) {
            return Err(format!(
                "{lv}: its extents do not spread evenly over {count} stripes of {stripe_size_bytes} bytes"
            ));
        }
        Ok(Mapping::Striped { stripe_size_bytes, areas })
    }

    fn other(type_name: &str, segment: &Section, pvs: &BTreeMap<String, Pv>) -> Mapping {
        let mut arrays = segment.values.values().filter_map(|value| match value {
            Value::Array(values) => Some(values),
            _ => None,
        });
        let names_pvs =
            arrays.any(|values| values.iter().any(|v| matches!(v, Value::Text(name) if pvs.contains_key(name))));
        Mapping::Other { type_name: type_name.into(), names_pvs }
    }
}

/// A snapshot is a hidden volume of its own, which names its origin and the store of its exceptions.
fn assign_roles<'s>(lvs: &mut [Lv], sections: impl Iterator<Item = &'s Section>) {
    let mut roles = BTreeMap::new();
    let segments = sections.flat_map(|lv| lv.sections.values());
    for segment in segments.filter(|segment| segment.text("type").is_some_and(|name| name.starts_with("snapshot"))) {
        let merging = segment.text("merging_store");
        if let Some(origin) = segment.text("origin") {
            let role = if merging.is_some() { Role::Merging } else { Role::Origin };
            let kept = roles.entry(origin).or_insert(role);
            if role == Role::Merging {
                *kept = role;
            }
        }
        if let Some(store) = segment.text("cow_store").or(merging) {
            roles.insert(store, Role::Store);
        }
    }
    for lv in lvs {
        lv.snapshot = roles.get(lv.name.as_str()).copied();
        // The hidden volume is marked visible, and the store that `lvs` shows in its place is not.
        lv.visible = if lv.is_snapshot() { false } else { lv.visible || lv.snapshot == Some(Role::Store) };
    }
}

/// LVM allows no other characters (`lvm(8)`, VALID NAMES); a name is used in paths and on terminals.
fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+_.-".contains(c);
    let valid = !name.is_empty() && name.len() < 128 && name.chars().all(allowed) && !matches!(name, "." | "..");
    if valid { Ok(()) } else { Err(format!("{name:?} is no valid name")) }
}

fn number(section: &Section, key: &str, of: &str) -> Result<u64, String> {
    section.integer(key).ok_or_else(|| format!("{of}: {key} is missing or no number"))
}

fn sectors(section: &Section, key: &str, of: &str) -> Result<u64, String> {
    number(section, key, of)?.checked_mul(SECTOR).ok_or_else(|| format!("{of}: {key} is too large"))
}

fn id(section: &Section, of: &str) -> Result<String, String> {
    Ok(section.text("id").ok_or_else(|| format!("{of}: it has no id"))?.replace('-', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_physical_volumes_of_a_group_have_one_uuid() {
        let pv = |name: &str, id: &str| format!("{name} {{ id = \"{id}\" pe_start = 2048 pe_count = 1 }}\n");
        let vg = |pvs: String| {
            Vg::parse(format!("vg {{ id = \"v\" seqno = 1 extent_size = 8 physical_volumes {{ {pvs} }} }}").as_bytes())
        };
        assert_eq!(vg(pv("pv0", "a-b") + &pv("pv1", "ac")).unwrap().pvs.len(), 2);
        let error = vg(pv("pv0", "a-b") + &pv("pv1", "ab")).unwrap_err();
        assert_eq!(error, "two of its physical volumes have the same UUID");
    }
}
