//! Every snapshot and every thin pool of this host, whoever made them, looked at again and again: how full, how fast, how long it lasts.
//!
//! Pure: it is given what device-mapper says, and when.

mod news;
pub mod prometheus;
mod seen;

use std::collections::BTreeMap;
use std::time::Duration;

use lvm::{DmStatus, LvName, PoolMode, PoolState, SnapshotState};

pub use self::news::News;
use self::seen::Seen;
use crate::documents::watch::{Fill, Pool, PoolMode as Mode, Sample, Snapshot, State};

/// Everything that was seen so far.
#[derive(Debug)]
pub struct Watch {
    /// From this share of a COW or pool on somebody is told.
    alert_percent: f64,
    /// What fills, by name; data and metadata of a pool apart.
    seen: BTreeMap<String, Seen>,
    lost: bool,
    /// Of something that is there now, nobody can tell how it is.
    is_unclear: bool,
}

impl Watch {
    /// One that tells from `alert_percent` on.
    #[must_use]
    pub fn new(alert_percent: f64) -> Self {
        Self { alert_percent, seen: BTreeMap::new(), lost: false, is_unclear: false }
    }

    /// Takes what device-mapper says at a moment: what there is, and what of it has to be told at once.
    pub fn look(&mut self, statuses: &[DmStatus], since: Duration, at: String) -> (Sample, Vec<News>) {
        let mut news = Vec::new();
        let (mut snapshots, mut pools) = (Vec::new(), Vec::new());
        for status in statuses {
            match &*status.target {
                "snapshot" | "snapshot-merge" => snapshots.push(self.snapshot(status, since, &mut news)),
                "thin-pool" => pools.push(self.pool(status, since, &mut news)),
                _ => {}
            }
        }
        snapshots.sort_by(|one, other| one.name.cmp(&other.name));
        pools.sort_by(|one, other| one.name.cmp(&other.name));
        let there = |name: &String| {
            let is_of = |pool: &Pool| [data(&pool.name), metadata(&pool.name)].contains(name);
            snapshots.iter().any(|it| it.name == *name) || pools.iter().any(is_of)
        };
        self.seen.retain(|name, _| there(name));
        self.is_unclear =
            snapshots.iter().any(|it| it.state == State::Unknown) || pools.iter().any(|it| it.mode == Mode::Unknown);
        (Sample::new(at, snapshots, pools), news)
    }

    /// Whether a snapshot was lost, or found so, or a pool has failed.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.lost
    }

    /// Whether nobody can tell how something that is there now is.
    #[must_use]
    pub fn is_unclear(&self) -> bool {
        self.is_unclear
    }

    /// Whether anything is over the alert's share now.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.seen.values().any(|seen| seen.percent() >= self.alert_percent)
    }

    fn snapshot(&mut self, status: &DmStatus, since: Duration, news: &mut Vec<News>) -> Snapshot {
        let name = name(&status.device);
        let state = lvm::snapshot_state_of(&status.target, &status.words);
        let Some(SnapshotState::Active { used, total, .. }) = state else {
            let (state, dead) = match state {
                Some(SnapshotState::Invalid) => (State::Invalid, true),
                Some(SnapshotState::Overflow) => (State::Overflow, true),
                Some(SnapshotState::Merging) => (State::Merging, false),
                _ => (State::Unknown, false),
            };
            if dead {
                self.lost = true;
                let seen = self.seen.entry(name.clone()).or_default();
                news.extend(seen.lost(&name));
            }
            return Snapshot { name, state, cow: None };
        };
        let cow = self.fill(&name, used.bytes().0, total.bytes().0, since, news);
        Snapshot { name, state: State::Active, cow: Some(cow) }
    }

    fn pool(&mut self, status: &DmStatus, since: Duration, news: &mut Vec<News>) -> Pool {
        let name = name(status.device.strip_suffix("-tpool").unwrap_or(&status.device));
        let Some(pool) = PoolState::parse(&status.words) else {
            return Pool { name, mode: Mode::Unknown, data: None, metadata: None };
        };
        let mode = match pool.mode {
            PoolMode::ReadWrite => Mode::ReadWrite,
            PoolMode::OutOfDataSpace => Mode::OutOfDataSpace,
            PoolMode::ReadOnly => Mode::ReadOnly,
            PoolMode::Failed => Mode::Failed,
        };
        if mode != Mode::ReadWrite {
            self.lost = true;
            let seen = self.seen.entry(data(&name)).or_default();
            news.extend(seen.stopped(&name, mode));
        } else if let Some(seen) = self.seen.get_mut(&data(&name)) {
            seen.is_well_again();
        }
        if mode == Mode::Failed {
            return Pool { name, mode, data: None, metadata: None };
        }
        let data = self.fill(&data(&name), pool.data_used, pool.data_total, since, news);
        let metadata = self.fill(&metadata(&name), pool.metadata_used, pool.metadata_total, since, news);
        Pool { name, mode, data: Some(data), metadata: Some(metadata) }
    }

    fn fill(&mut self, name: &str, used: u64, total: u64, since: Duration, news: &mut Vec<News>) -> Fill {
        let seen = self.seen.entry(name.to_owned()).or_default();
        let was = seen.percent();
        seen.add(since, used, total);
        let fill = seen.fill();
        if fill.percent >= self.alert_percent && was < self.alert_percent {
            news.push(News::Over { name: name.to_owned(), percent: fill.percent, full_in_s: fill.full_in_s });
        }
        fill
    }
}

/// What a pool's data is called among all that fills.
fn data(pool: &str) -> String {
    format!("{pool} data")
}

fn metadata(pool: &str) -> String {
    format!("{pool} metadata")
}

/// `vg/lv`, where device-mapper's name is one of LVM's.
fn name(device: &str) -> String {
    format!("/dev/mapper/{device}").parse::<LvName>().map_or_else(|_| device.to_owned(), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(device: &str, target: &str, words: &str) -> DmStatus {
        DmStatus { device: device.to_owned(), target: target.to_owned(), words: words.to_owned() }
    }

    fn snapshot(used: u64) -> DmStatus {
        status("vg-a--b", "snapshot", &format!("{used}/1000 16"))
    }

    /// What is told of looks that are so many seconds apart.
    fn told(looks: &[DmStatus], apart: u64) -> (Watch, Vec<String>) {
        let mut watch = Watch::new(80.0);
        let mut told = Vec::new();
        for (look, at) in looks.iter().zip(0..) {
            let (_, news) = watch.look(std::slice::from_ref(look), Duration::from_secs(at * apart), String::new());
            told.extend(news.iter().map(ToString::to_string));
        }
        (watch, told)
    }

    #[test]
    fn a_snapshot_is_shown_with_its_fill_its_rate_and_how_long_it_lasts() {
        let mut watch = Watch::new(80.0);
        let look =
            |watch: &mut Watch, used, at| watch.look(&[snapshot(used)], Duration::from_secs(at), "now".to_owned()).0;
        let first = look(&mut watch, 100, 0).snapshots.remove(0);
        assert_eq!((&*first.name, first.state), ("vg/a-b", State::Active));
        assert_eq!(first.cow.unwrap().full_in_s, None, "one look knows no rate");
        let cow = look(&mut watch, 200, 10).snapshots.remove(0).cow.unwrap();
        assert_eq!((cow.used, cow.total, cow.per_second, cow.full_in_s), (200 * 512, 1000 * 512, 10 * 512, Some(80)));
        assert!((cow.percent - 20.0).abs() < 1e-9);
    }

    #[test]
    fn what_gets_over_the_alert_is_told_once() {
        let (watch, told) = told(&[snapshot(700), snapshot(850), snapshot(900)], 10);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("vg/a-b is 85% full"), "{told:?}");
        assert!(watch.is_over() && !watch.has_lost());
    }

    #[test]
    fn a_snapshot_that_was_full_is_told_from_one_whose_disk_failed() {
        let dead = || status("vg-a--b", "snapshot", "Invalid");
        let (watch, full) = told(&[snapshot(500), snapshot(970), dead(), dead()], 10);
        assert!(watch.has_lost());
        assert!(full.last().unwrap().contains("its COW was full"), "{full:?}");
        assert_eq!(full.len(), 2, "over, and lost, once each: {full:?}");
        let (_, failed) = told(&[snapshot(100), dead()], 10);
        assert!(failed[0].contains("10% full") && failed[0].contains("dmesg"), "{failed:?}");
        let (_, found) = told(&[dead()], 10);
        assert!(found[0].contains("was lost before"), "{found:?}");
    }

    #[test]
    fn a_pool_is_watched_for_data_and_metadata() {
        let pool = |data, metadata, mode| {
            status(
                "vg-pool-tpool",
                "thin-pool",
                &format!("1 {metadata}/100 {data}/100 - {mode} discard_passdown queue_if_no_space - 4"),
            )
        };
        let (watch, told) = told(&[pool(10, 10, "rw"), pool(10, 81, "rw"), pool(100, 81, "out_of_data_space")], 10);
        assert!(told[0].contains("vg/pool metadata is 81% full"), "{told:?}");
        assert!(told.iter().any(|line| line.contains("vg/pool has no free data block")), "{told:?}");
        assert!(watch.has_lost());
    }

    #[test]
    fn a_pool_that_stops_a_second_time_is_told_a_second_time() {
        let pool =
            |mode| status("vg-pool-tpool", "thin-pool", &format!("1 1/100 1/100 - {mode} - queue_if_no_space - 4"));
        let (_, told) = told(&["out_of_data_space", "out_of_data_space", "rw", "ro"].map(pool), 10);
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn a_snapshot_that_was_removed_is_forgotten_also_where_a_pool_has_the_beginning_of_its_name() {
        let mut watch = Watch::new(80.0);
        let pool = status("vg-a-tpool", "thin-pool", "1 1/100 1/100 - rw - queue_if_no_space - 4");
        watch.look(&[pool.clone(), snapshot(900)], Duration::ZERO, String::new());
        assert!(watch.is_over());
        watch.look(&[pool], Duration::from_secs(1), String::new());
        assert!(!watch.is_over());
    }

    #[test]
    fn words_that_make_no_sense_are_shown_as_unknown_and_never_as_whole() {
        let mut watch = Watch::new(80.0);
        let (sample, _) = watch.look(&[status("vg-x", "snapshot", "Unknown")], Duration::ZERO, String::new());
        assert_eq!((sample.snapshots[0].state, &sample.snapshots[0].cow), (State::Unknown, &None));
        assert!(watch.is_unclear());
    }

    #[test]
    fn what_is_removed_is_forgotten() {
        let mut watch = Watch::new(80.0);
        watch.look(&[snapshot(900)], Duration::ZERO, String::new());
        let (sample, _) = watch.look(&[], Duration::from_secs(1), String::new());
        assert!(sample.snapshots.is_empty() && !watch.is_over());
    }
}
