//! Gives a COW more room where it will not last.

use std::time::Duration;

use lvm::{Bytes, Lvm, LvmError};

use super::cow_plan::CowPlan;
use crate::cow::attached::Attached;
use crate::cow::curve::CowCurve;
use crate::cow::fill;

/// LVM's own work takes a second; another command may have the group. Meanwhile nobody looks at the COWs.
const DEADLINE: Duration = Duration::from_secs(10);
/// As much more than it seems to need.
const MARGIN: f64 = 1.5;

/// Gives the COW of `snapshot` room for `needed` more time, as far as the policy and the group allow; its new size, or `None` where they allow
/// no more.
///
/// # Errors
/// Where LVM does not say what room there is, or does not make it larger.
pub(super) fn grow(
    lvm: &Lvm,
    snapshot: &Attached,
    plan: &CowPlan,
    needed: Duration,
) -> Result<Option<Bytes>, LvmError> {
    let curve = snapshot.curve();
    let vg = lvm.volume_group_within(snapshot.volume.origin().vg(), DEADLINE)?;
    let free = Bytes(vg.free.0.saturating_sub(plan.reserve.0));
    let Some(size) = grown(&curve, needed, plan.may_grow_to, free, vg.extent_size) else { return Ok(None) };
    snapshot.volume.extend(size, DEADLINE)?;
    Ok(Some(size))
}

/// The size that is enough, within `most` and what is `free` in the group, in whole extents; `None` where it would be no larger.
fn grown(curve: &CowCurve, needed: Duration, most: Bytes, free: Bytes, extent: Bytes) -> Option<Bytes> {
    let now = curve.total_bytes;
    let used = curve.points.last().map_or(0, |(_, used)| *used);
    let per_second = fill::per_second(&curve.points, (0, 0));
    if per_second <= 0.0 {
        return None;
    }
    let enough = Bytes(used.saturating_add((per_second * needed.as_secs_f64() * MARGIN) as u64)).round_up(extent);
    let room = now.saturating_add(free.0 - free.0.checked_rem(extent.0).unwrap_or(0));
    let size = enough.0.min(most.0).min(room);
    (size > now).then_some(Bytes(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const EXTENT: Bytes = Bytes(4 * MIB);

    /// 100 MiB of COW, of which 80 were filled in 80 s.
    fn curve() -> CowCurve {
        let mut curve = CowCurve::new("vg/db".to_owned(), Bytes(100 * MIB));
        (0..=80).for_each(|second| curve.add(second * 1000, Bytes(second * MIB), Bytes(100 * MIB)));
        curve
    }

    fn size(needed: u64, most: u64, free: u64) -> Option<u64> {
        let size = grown(&curve(), Duration::from_secs(needed), Bytes(most * MIB), Bytes(free * MIB), EXTENT);
        size.map(|size| size.0 / MIB)
    }

    #[test]
    fn a_cow_gets_what_it_still_needs_and_half_as_much_more() {
        assert_eq!(size(100, 1000, 1000), Some(232));
    }

    #[test]
    fn one_that_is_full_to_the_last_byte_gets_room_too() {
        let mut full = curve();
        full.add(100_000, Bytes(100 * MIB), Bytes(100 * MIB));
        let size = grown(&full, Duration::from_secs(10), Bytes(1000 * MIB), Bytes(1000 * MIB), EXTENT);
        assert_eq!(size, Some(Bytes(116 * MIB)));
    }

    #[test]
    fn it_gets_no_more_than_policy_and_group_allow() {
        assert_eq!(size(100, 152, 1000), Some(152));
        assert_eq!(size(100, 1000, 43), Some(140));
        assert_eq!(size(100, 100, 1000), None);
        assert_eq!(size(100, 1000, 3), None);
    }

    #[test]
    fn a_cow_that_is_large_enough_stays_as_it_is() {
        assert_eq!(size(10, 1000, 1000), None);
    }
}
