//! How large each disk's COW volume is made, and whether it will last: by the forecast, within policy and room.

use lvm::{Bytes, Origin};

use super::cow_plan::CowPlan;
use super::disk::DiskPlan;
use super::survey::DiskSurvey;
use crate::ask::cow_size::CowSize;
use crate::ask::policy::Policy;
use crate::ask::share::Share;
use crate::cow::forecast::forecast;
use crate::cow::forecast::lasts::{Lasts, Speed, one_after_the_other};
use crate::cow::forecast::size::{Asked, COW_MIN, Verdict, Wanted, share_out};
use crate::failure::{Cause, Kind};
use crate::show::amount::took;

/// Where nothing is known of what a guest writes: a fifth of a disk outlasts most copies.
const CAUTIOUS: Share = Share::Percent(20);

/// What is known of one disk's COW, before it has a size.
struct Sizing<'s> {
    disk: &'s DiskSurvey,
    speed: Speed,
    to_copy: Bytes,
    wanted: Wanted,
    room: Bytes,
}

/// The COW volumes of `disks`. Where a group has no room for them, they are as small as makes sense, and do not fit.
pub(crate) fn cow_plans<'s>(policy: &Policy, disks: &'s [DiskSurvey]) -> Vec<(&'s DiskSurvey, CowPlan)> {
    let mut sizings: Vec<Sizing<'_>> = disks.iter().map(|disk| sizing(policy, disk)).collect();
    foresee(&mut sizings);
    let mut groups: Vec<&str> = disks.iter().map(|disk| &*disk.origin.vg.name).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let mut room = Bytes(0);
        let of_group = sizings.iter_mut().filter(|sizing| sizing.disk.origin.vg.name == group);
        let mut wanted: Vec<&mut Wanted> = of_group
            .map(|sizing| {
                room = sizing.room;
                &mut sizing.wanted
            })
            .collect();
        if share_out(&mut wanted, room).is_err() {
            wanted.iter_mut().for_each(|wanted| wanted.size = wanted.least());
        }
    }
    sizings.into_iter().map(|sizing| (sizing.disk, sizing.plan(policy.cow_size.value))).collect()
}

fn sizing<'s>(policy: &Policy, disk: &'s DiskSurvey) -> Sizing<'s> {
    let DiskSurvey { origin, foresight, .. } = disk;
    let vg = &origin.vg;
    let whole = whole(origin);
    let (asked, most, room) = match policy.cow_size.value {
        CowSize::Auto => (
            Asked::ByForecast { cautious: CAUTIOUS.of(origin.size) },
            policy.cow_max.value.of(origin.size).max(COW_MIN).round_up(vg.extent_size).min(whole),
            Bytes(vg.free.0.saturating_sub(policy.vg_reserve.value.of(vg.size).0)),
        ),
        // A handful of log writes fills less.
        CowSize::Of(share @ Share::Percent(_)) => (Asked::Exactly(share.of(origin.size).max(COW_MIN)), whole, vg.free),
        CowSize::Of(Share::Bytes(size)) => (Asked::Exactly(size), whole, vg.free),
    };
    let speed = Speed::of(&foresight.known.earlier, foresight.read_speed, policy.threads.value, policy.level.value);
    let to_copy = foresight.allocated.unwrap_or(origin.size);
    Sizing { disk, speed, to_copy, wanted: Wanted::new(None, asked, most, vg.extent_size), room }
}

/// The forecast of each. The disk whose COW fills fastest is copied first, and the others wait for it.
fn foresee(sizings: &mut [Sizing<'_>]) {
    let a_second = |sizing: &Sizing<'_>| {
        let lasts = sizing.speed.copies(sizing.to_copy);
        let alone = forecast(&sizing.disk.foresight.known, lasts);
        alone.map_or(0.0, |forecast| forecast.expected.0 as f64 / lasts.expected.as_secs_f64().max(1.0))
    };
    let mut order: Vec<(&mut Sizing<'_>, f64)> = sizings
        .iter_mut()
        .map(|sizing| {
            let a_second = a_second(sizing);
            (sizing, a_second)
        })
        .collect();
    order.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let copies: Vec<Lasts> = order.iter().map(|(sizing, _)| sizing.speed.copies(sizing.to_copy)).collect();
    for ((sizing, _), lasts) in order.into_iter().zip(one_after_the_other(&copies)) {
        sizing.wanted.forecast = forecast(&sizing.disk.foresight.known, lasts);
    }
}

impl Sizing<'_> {
    fn plan(self, asked: CowSize) -> CowPlan {
        let Self { disk, speed, to_copy, wanted, room } = self;
        let verdict = wanted.verdict(whole(&disk.origin));
        let reason = reason(asked, verdict, &wanted);
        let may_grow_to = match asked {
            CowSize::Auto => wanted.most,
            CowSize::Of(_) => wanted.size,
        };
        let reserve = Bytes(disk.origin.vg.free.0.saturating_sub(room.0));
        CowPlan {
            forecast: wanted.forecast,
            speed,
            to_copy,
            room,
            verdict,
            size: wanted.size,
            may_grow_to,
            reserve,
            reason,
        }
    }
}

fn reason(asked: CowSize, verdict: Verdict, wanted: &Wanted) -> String {
    match (asked, verdict, &wanted.forecast) {
        (_, Verdict::CannotFill, _) => "room for every chunk of the origin: it cannot fill up".to_owned(),
        (CowSize::Of(_), ..) => asked.to_string(),
        (CowSize::Auto, _, None) => {
            format!("{CAUTIOUS} of the origin: nothing is known yet of what is written to it")
        }
        (CowSize::Auto, Verdict::Tight | Verdict::WillNotLast, Some(_)) => {
            "what there is for it, less than the forecast with its margin".to_owned()
        }
        (CowSize::Auto, _, Some(forecast)) if wanted.size > forecast.need.max(COW_MIN).round_up(wanted.extent) => {
            format!("{CAUTIOUS} of the origin, more than the forecast: too little is known for less")
        }
        (CowSize::Auto, _, Some(_)) => "by the forecast".to_owned(),
    }
}

/// A size by forecast that is known not to last is no plan. One that a person asked for is theirs.
///
/// # Errors
/// Where the snapshot of a disk would not last.
pub(crate) fn refuse_what_will_not_last(policy: &Policy, disks: &[DiskPlan]) -> Result<(), Cause> {
    let CowSize::Auto = policy.cow_size.value else { return Ok(()) };
    for DiskPlan { origin, cow, .. } in disks {
        let same_group = || disks.iter().filter(|other| other.origin.vg.name == origin.vg.name);
        let Some(forecast) = &cow.forecast else { continue };
        // What a disk takes of which nothing is known, no forecast asks for: that there is no room for it is another matter.
        let foreseen = same_group().filter(|other| other.cow.forecast.is_some());
        let together = Bytes(foreseen.fold(0, |sum, other| sum.saturating_add(other.cow.size.0)));
        let why = if together > cow.room {
            let others = if same_group().count() > 1 { " with those of the other disks" } else { "" };
            format!("there is room for {} in the group {}{others}", cow.room, origin.vg.name)
        } else if cow.verdict == Verdict::WillNotLast {
            format!("it may not be larger than {} (cow_max)", cow.size)
        } else {
            continue;
        };
        let lasts = took(forecast.lasts.expected);
        return Err(Cause::plain(
            Kind::SnapshotWouldNotLast,
            format!(
                "the snapshot of {} would not last: in the {lasts} until it is copied its COW needs about {}, with a margin {}, and {why}",
                origin.name, forecast.expected, forecast.need
            ),
        ));
    }
    Ok(())
}

/// What a person should know of a COW that may not last.
pub(crate) fn notes(disks: &[DiskPlan]) -> Vec<String> {
    let note = |DiskPlan { origin, cow, .. }: &DiskPlan| {
        let forecast = cow.forecast.as_ref()?;
        let (name, size, expected, need) = (&origin.name, cow.size, forecast.expected, forecast.need);
        match cow.verdict {
            Verdict::Tight => Some(format!(
                "the COW of {name} has room for the {expected} that are expected, and not for all of the margin ({need}): a busier hour than \
                 usual fills it"
            )),
            Verdict::WillNotLast => Some(format!(
                "the COW of {name} ({size}) is not expected to last: about {expected} will be needed, with a margin {need}"
            )),
            Verdict::CannotFill | Verdict::Lasts | Verdict::NotKnown => None,
        }
    };
    disks.iter().filter_map(note).collect()
}

/// Room for every chunk of an origin: 16 bytes of exception table for each (`struct disk_exception`), and the header.
fn whole(origin: &Origin) -> Bytes {
    const CHUNK_BYTES: u64 = 4096;
    let chunks = origin.size.0.div_ceil(CHUNK_BYTES);
    let exceptions_per_chunk = CHUNK_BYTES / 16;
    let tables = chunks.div_ceil(exceptions_per_chunk) + 1;
    Bytes((chunks + tables + 1).saturating_mul(CHUNK_BYTES)).round_up(origin.vg.extent_size)
}
