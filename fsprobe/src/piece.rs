//! Where a volume lies that is not in one piece, for who wants to read it by its numbers.

use serde::{Deserialize, Serialize};

use crate::Volume;
use crate::map::Place;

/// One piece of a volume, in logical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VolumePiece {
    /// Its first byte within the volume.
    pub volume_offset_bytes: u64,
    /// Its first byte on the disk; `null` where that is not on this disk, and where it is striped.
    pub offset_bytes: Option<u64>,
    /// Its length.
    pub size_bytes: u64,
    /// How it is spread, where it is striped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripes: Option<Stripes>,
}

/// A piece that lies unit by unit in turn over areas of the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stripes {
    /// The unit.
    pub stripe_size_bytes: u64,
    /// Where the areas begin on the disk, in the order of the turns.
    pub offsets_bytes: Vec<u64>,
}

impl Volume {
    /// Its pieces; none where it is in one, or nothing of it is on this disk.
    #[must_use]
    pub fn pieces(&self) -> Vec<VolumePiece> {
        let is_here = |place: &Place| !matches!(place, Place::Elsewhere);
        if self.contiguous().is_some() || !self.map.segments().any(|(_, place)| is_here(place)) {
            return Vec::new();
        }
        let piece = |(run, place): (crate::Extent, &Place)| VolumePiece {
            volume_offset_bytes: run.offset_bytes,
            offset_bytes: if let Place::Linear(offset_bytes) = place { Some(*offset_bytes) } else { None },
            size_bytes: run.size_bytes,
            stripes: match place {
                Place::Striped { stripe_size_bytes, areas } => {
                    Some(Stripes { stripe_size_bytes: *stripe_size_bytes, offsets_bytes: areas.clone() })
                }
                Place::Linear(_) | Place::Elsewhere => None,
            },
        };
        self.map.segments().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Extent;
    use crate::map::Map;

    #[test]
    fn a_volume_in_one_piece_or_elsewhere_has_none() {
        assert_eq!(Volume::new("1".into(), Map::linear(Extent::new(512, 4096))).pieces(), []);
        let mut elsewhere = Map::default();
        elsewhere.push(4096, Place::Elsewhere);
        assert_eq!(Volume::new("0/vg/lv".into(), elsewhere).pieces(), []);
    }

    #[test]
    fn pieces_are_listed_in_order_stripes_with_their_areas() {
        let mut map = Map::default();
        map.push(8192, Place::Linear(65536));
        map.push(4096, Place::Elsewhere);
        map.push(16384, Place::Striped { stripe_size_bytes: 4096, areas: vec![0, 32768] });
        let json = serde_json::to_string(&Volume::new("0/vg/lv".into(), map).pieces()).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"[{"volume_offset_bytes":0,"offset_bytes":65536,"size_bytes":8192},"#,
                r#"{"volume_offset_bytes":8192,"offset_bytes":null,"size_bytes":4096},"#,
                r#"{"volume_offset_bytes":12288,"offset_bytes":null,"size_bytes":16384,"#,
                r#""stripes":{"stripe_size_bytes":4096,"offsets_bytes":[0,32768]}}]"#
            )
        );
    }
}
