//! How large a COW is made, and what a plan says of whether it will last.

use lvm::Bytes;
use stillpoint::backup::cow_plan::CowPlan;
use stillpoint::backup::dump_plan::{Reason, When};
use stillpoint::backup::foresight::Foresight;
use stillpoint::backup::survey::{DiskSurvey, Survey};
use stillpoint::cow::forecast::Known;
use stillpoint::cow::forecast::earlier::Earlier;
use stillpoint::cow::forecast::size::Verdict;
use stillpoint::cow::writes::WriteRate;

use super::*;

const MIB: u64 = 1 << 20;

/// A night in which the COW filled by so many MiB a second, while 35 GiB were copied at 200 MiB a second.
fn night(mib_per_second: u64) -> Earlier {
    let copy_s = 35 * 1024 / 200;
    Earlier {
        points: (0..=copy_s).map(|second| (second * 1000, second * mib_per_second * MIB)).collect(),
        copied: Bytes(35 * GIB),
        copy_time: Some(Duration::from_secs(copy_s)),
        written_per_second: Some(Bytes(2 * mib_per_second * MIB)),
    }
}

/// A disk of 35 GiB in a group with so much room, and what is known of it.
fn known(name: &str, free: u64, known: Known) -> DiskSurvey {
    let foresight = Foresight { known, allocated: Some(Bytes(35 * GIB)), ..Foresight::default() };
    DiskSurvey { foresight, ..disk(name, 35 * GIB, free) }
}

fn nights(name: &str, free: u64, mib_per_second: u64) -> DiskSurvey {
    known(name, free, Known { earlier: vec![night(mib_per_second); 5], now: None })
}

fn cows(config: &str, disks: Vec<DiskSurvey>) -> Result<Vec<CowPlan>, stillpoint::failure::Cause> {
    let names = disks.iter().map(|disk| disk.origin.name.to_string()).collect();
    let job = Job::new(Asked { disks: names, ..asked() }, &toml::from_str(config).unwrap()).unwrap();
    let plan = Plan::make(&job, &Survey { disks, ..survey() })?;
    Ok(plan.disks.into_iter().map(|disk| disk.cow).collect())
}

fn with_cow(size: &str) -> String {
    format!("[defaults]\ncow_size = \"{size}\"")
}

#[test]
fn a_cow_is_a_fifth_of_its_origin_where_nobody_says_otherwise() {
    assert_eq!(plan().disks[1].cow.size, Bytes(4 * GIB));
}

#[test]
fn a_cow_of_a_small_disk_has_room_for_every_chunk_of_it() {
    let small = Survey { disks: vec![disk("vg/root", 32 << 20, GIB)], ..survey() };
    let plan = plan_of(Asked { disks: vec!["vg/root".into()], ..asked() }, "", &small);
    // 8192 chunks of 4 KiB, 32 of exceptions, and the header: in whole extents of 4 MiB.
    assert_eq!(plan.disks[0].cow.size, Bytes(36 << 20));
    assert!(plan.disks[0].cow.reason.contains("cannot fill up"), "{}", plan.disks[0].cow.reason);
}

#[test]
fn the_cows_of_one_group_need_room_together() {
    let tight =
        Survey { disks: vec![disk("vg/root", 10 * GIB, 5 * GIB), disk("vg/data", 20 * GIB, 5 * GIB)], ..survey() };
    let job = Job::new(asked(), &Config::default()).unwrap();
    let refused = Plan::make(&job, &tight).unwrap_err();
    assert_eq!(refused.kind, Kind::NoRoom);
    assert!(refused.to_string().contains("6 GiB"), "{refused}");
}

#[test]
fn groups_apart_need_room_each() {
    let apart =
        Survey { disks: vec![disk("vg/root", 10 * GIB, 5 * GIB), disk("fast/data", 20 * GIB, 5 * GIB)], ..survey() };
    let asked = Asked { disks: vec!["vg/root".into(), "fast/data".into()], ..asked() };
    assert_eq!(plan_of(asked, "", &apart).disks.len(), 2);
}

/// The story that the first users told: 35 GB, 757 GB free, and 1 GB of COW that was full at 24 of 35 GB.
#[test]
fn a_cow_of_1_gib_for_a_disk_that_fills_8_mib_a_second_is_known_beforehand_not_to_last() {
    let disks = || vec![nights("vg/disk-0", 757 * GIB, 0), nights("vg/disk-1", 757 * GIB, 8)];
    let asked = cows(&with_cow("1G"), disks()).unwrap();
    assert_eq!([asked[0].verdict, asked[1].verdict], [Verdict::Lasts, Verdict::WillNotLast]);
    let by_forecast = cows("", disks()).unwrap();
    assert_eq!([by_forecast[0].verdict, by_forecast[1].verdict], [Verdict::Lasts, Verdict::Lasts]);
    assert_eq!(by_forecast[0].size, Bytes(64 * MIB), "an idle disk needs next to nothing");
    let need = by_forecast[1].forecast.as_ref().unwrap().expected;
    assert!(by_forecast[1].size < Bytes(2 * need.0), "{by_forecast:?}");
}

#[test]
fn the_disk_that_fills_fastest_is_copied_first_and_the_other_one_waits_for_it() {
    let cows = cows("", vec![nights("vg/quiet", 757 * GIB, 1), nights("vg/busy", 757 * GIB, 8)]).unwrap();
    let lasts = |cow: &CowPlan| cow.forecast.as_ref().unwrap().lasts.expected.as_secs();
    let one_copy = 35 * 1024 / 200;
    assert!(lasts(&cows[1]) < one_copy + 10 && lasts(&cows[0]) > 2 * one_copy, "{cows:?}");
}

#[test]
fn a_snapshot_that_would_not_last_is_refused_with_the_numbers() {
    let refused = |policy: &str, free| {
        let config = format!("[defaults]\ndump = \"never\"\n{policy}");
        cows(&config, vec![nights("vg/db", free, 8)]).unwrap_err()
    };
    let tight = refused("", GIB);
    assert_eq!(tight.kind, Kind::SnapshotWouldNotLast);
    for number in ["vg/db", "3 min 04 s", "1.4 GiB", "room for 1 GiB"] {
        assert!(tight.to_string().contains(number), "{number}: {tight}");
    }
    let capped = refused("cow_max = \"1G\"", 99 * GIB);
    assert!(capped.to_string().contains("(cow_max)"), "{capped}");
    let reserved = refused("vg_reserve = \"90%\"", 9 * GIB);
    assert!(reserved.to_string().contains("room for "), "{reserved}");
}

/// What a plan says of a dump.
fn dump(config: &str, otherwise: fn(&mut Asked), free: u64) -> Result<Option<When>, stillpoint::failure::Cause> {
    let mut asked = Asked { disks: vec!["vg/db".into()], ..asked() };
    otherwise(&mut asked);
    let job = Job::new(asked, &toml::from_str(config).unwrap()).unwrap();
    let plan = Plan::make(&job, &Survey { disks: vec![nights("vg/db", free, 8)], ..survey() })?;
    Ok(plan.dump.map(|dump| dump.when))
}

#[test]
fn a_dump_takes_the_place_of_an_image_that_would_not_last() {
    let When::Instead(Reason::Planned(why)) = dump("", |_| (), GIB).unwrap().unwrap() else { panic!("a dump") };
    assert!(why.contains("room for 1 GiB"), "{why}");
    assert_eq!(dump("", |_| (), 99 * GIB).unwrap(), Some(When::IfNeeded));
    assert_eq!(dump("[defaults]\ndump = \"only\"", |_| (), 99 * GIB).unwrap(), Some(When::Instead(Reason::Asked)));
    assert_eq!(dump("[defaults]\ndump = \"never\"", |_| (), 99 * GIB).unwrap(), None);
}

#[test]
fn without_a_database_that_the_agent_reaches_there_is_no_dump() {
    let over_tcp: fn(&mut Asked) = |asked| asked.database = Some("tcp:127.0.0.1:3306".into());
    assert_eq!(dump("", over_tcp, 99 * GIB).unwrap(), None);
    assert_eq!(dump("", over_tcp, GIB).unwrap_err().kind, Kind::SnapshotWouldNotLast);
    let refused = dump("[defaults]\ndump = \"only\"", over_tcp, 99 * GIB).unwrap_err();
    assert!(refused.to_string().contains("not reached through the agent"), "{refused}");
}

#[test]
fn room_for_what_is_expected_but_not_for_the_margin_is_taken_and_said() {
    let job = Job::new(Asked { disks: vec!["vg/db".into()], ..asked() }, &Config::default()).unwrap();
    let disks = vec![nights("vg/db", 3 * GIB / 2, 8)];
    let plan = Plan::make(&job, &Survey { disks, ..survey() }).unwrap();
    assert_eq!((plan.disks[0].cow.verdict, plan.disks[0].cow.size), (Verdict::Tight, Bytes(3 * GIB / 2)));
    assert!(plan.notes.iter().any(|note| note.contains("not for all of the margin")), "{:?}", plan.notes);
}

#[test]
fn a_disk_that_was_never_copied_gets_a_fifth_or_what_its_writes_would_fill() {
    let now = |mib_per_second| {
        let rate = WriteRate { per_second: Bytes(mib_per_second * MIB), over: Duration::from_secs(3) };
        Known { earlier: Vec::new(), now: Some(rate) }
    };
    let size = |mib_per_second| cows("", vec![known("vg/db", 99 * GIB, now(mib_per_second))]).unwrap()[0].size;
    assert_eq!(size(1), Bytes(7 * GIB));
    assert!(size(100) > Bytes(20 * GIB));
    let tight = cows("", vec![known("vg/db", GIB, now(1))]).unwrap();
    assert_eq!((tight[0].verdict, tight[0].size), (Verdict::Lasts, Bytes(GIB)), "less than a fifth, and enough");
}

#[test]
fn what_a_plan_knows_beforehand_is_in_its_document() {
    let job = Job::new(Asked { disks: vec!["vg/db".into()], ..asked() }, &Config::default()).unwrap();
    let plan = Plan::make(&job, &Survey { disks: vec![nights("vg/db", 99 * GIB, 8)], ..survey() }).unwrap();
    let forecast = plan.document().disks[0].forecast.clone().unwrap();
    assert_eq!((forecast.to_copy, forecast.copy_speed_is_known, forecast.room), (35 * GIB, true, 99 * GIB));
    assert!(forecast.need > forecast.expected && forecast.lasts_at_most_ms > forecast.lasts_ms);
}

#[test]
fn what_a_group_keeps_in_reserve_is_no_room_for_a_disk_of_which_nothing_is_known_either() {
    let unknown = || vec![disk("vg/db", 20 * GIB, 10 * GIB)];
    assert_eq!(cows("", unknown()).unwrap()[0].size, Bytes(4 * GIB));
    let refused = cows("[defaults]\nvg_reserve = \"8G\"", unknown()).unwrap_err();
    assert_eq!(refused.kind, Kind::NoRoom, "{refused}");
}
