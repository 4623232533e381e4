//! How the COWs of earlier runs filled, disk by disk: what the next forecast is made of.
//!
//! `history/VG:LV.jsonl` below the state folder, a line a run, the last one last; `docs/formats.md` has its fields. It is kept beside the
//! receipts, because these go with the artifacts to wherever they are stored.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lvm::{Bytes, LvName};
use serde::{Deserialize, Serialize};

use super::curve::CowCurve;
use super::forecast::earlier::Earlier;
use crate::clock::millis;

/// The version of a line. It changes when a name here changes its meaning or goes; names may be added.
pub const FORMAT: u32 = 1;

/// Runs of a disk that are kept: a month of nights. Older ones say little of the next.
const RUNS: usize = 30;
/// Points of a curve that are kept.
const POINTS: usize = 64;
/// A file of more was not written here.
const MAX_BYTES: u64 = 1 << 20;

/// The folder.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

/// One snapshot of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "HistoryLine"))]
pub struct Line {
    /// The version of this form.
    pub format: u32,
    /// The run, as in the run log's name.
    pub run: String,
    /// The VM: a volume of the same name may have been another's.
    pub vm: String,
    /// When its copy ended, RFC 3339.
    pub at: String,
    /// Size of the COW, in bytes.
    pub cow_bytes: u64,
    /// Milliseconds since the snapshot, and bytes in use then. Of one that was lost, the last is when, and all of it.
    pub points: Vec<(u64, u64)>,
    /// What was copied, in bytes.
    pub copied_bytes: u64,
    /// How long that took; `null` where the copy did not come to its end.
    pub copy_ms: Option<u64>,
    /// What the disk was given to write each second meanwhile, in bytes; `null` where the kernel did not say.
    pub written_per_second: Option<u64>,
}

impl History {
    /// Below the state folder.
    #[must_use]
    pub fn below(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("history") }
    }

    /// The earlier snapshots of this disk of this VM. What cannot be read is said in the log, and as if it were not there: a forecast knows less
    /// then.
    #[must_use]
    pub fn of(&self, vm: &str, origin: &LvName) -> Vec<Earlier> {
        match self.lines(origin) {
            Ok(lines) => lines.into_iter().filter(|line| line.vm == vm).map(Earlier::from).collect(),
            Err(error) => {
                tracing::warn!(%origin, %error, "how its COW filled in earlier runs cannot be read");
                Vec::new()
            }
        }
    }

    /// Adds a run of this disk, and drops those that are too many. Lines of a newer version stay as they are.
    ///
    /// # Errors
    /// Where what is there cannot be read, or this cannot be written: what was there before is there then.
    pub fn add(&self, origin: &LvName, line: Line) -> io::Result<()> {
        let before = self.text(origin)?;
        let mut lines: Vec<&str> = before.lines().filter(|line| sound(line).is_some() || is_newer(line)).collect();
        let line = serde_json::to_string(&line)?;
        lines.push(&line);
        lines.drain(..lines.len().saturating_sub(RUNS));
        let text = lines.join("\n") + "\n";
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        // One run of a disk goes on at a time, so that nobody else writes this one.
        let (path, new) = (self.path(origin), self.path(origin).with_extension("new"));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)
    }

    fn lines(&self, origin: &LvName) -> io::Result<Vec<Line>> {
        Ok(self.text(origin)?.lines().filter_map(sound).collect())
    }

    fn text(&self, origin: &LvName) -> io::Result<String> {
        let file = match File::open(self.path(origin)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
        }
        Ok(text)
    }

    /// No name of a volume or group has a colon in it (lvm(8)).
    fn path(&self, origin: &LvName) -> PathBuf {
        self.folder.join(format!("{}:{}.jsonl", origin.vg(), origin.lv()))
    }
}

/// A line that can be reckoned with.
fn sound(text: &str) -> Option<Line> {
    serde_json::from_str::<Line>(text).ok().filter(|line| line.format == FORMAT && line.is_sound())
}

fn is_newer(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Versioned {
        format: u32,
    }
    serde_json::from_str::<Versioned>(text).is_ok_and(|line| line.format > FORMAT)
}

impl Line {
    /// Of the snapshot whose COW filled so.
    #[must_use]
    pub fn of_curve(run: &str, vm: &str, at: String, curve: &CowCurve) -> Self {
        let stride = curve.points.len().div_ceil(POINTS).max(1);
        let mut points: Vec<_> = curve.points.iter().copied().step_by(stride).collect();
        if let Some(last) = curve.points.last().filter(|last| points.last() != Some(last)) {
            points.push(*last);
        }
        Self {
            format: FORMAT,
            run: run.to_owned(),
            vm: vm.to_owned(),
            at,
            cow_bytes: curve.total_bytes,
            points,
            copied_bytes: 0,
            copy_ms: None,
            written_per_second: None,
        }
    }

    /// With the moment at which it was lost, as nearly as that is known: not before it was last seen whole.
    #[must_use]
    pub fn lost(mut self, after: Duration) -> Self {
        let seen_ms = self.points.last().map_or(0, |(ms, _)| *ms);
        self.points.push((millis(after).max(seen_ms + 1), self.cow_bytes));
        self
    }

    /// No time goes back, and no COW empties.
    fn is_sound(&self) -> bool {
        self.points.is_sorted_by(|(earlier, less), (later, more)| earlier <= later && less <= more)
    }
}

impl From<Line> for Earlier {
    fn from(line: Line) -> Self {
        Self {
            points: line.points,
            copied: Bytes(line.copied_bytes),
            copy_time: line.copy_ms.map(Duration::from_millis),
            written_per_second: line.written_per_second.map(Bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> LvName {
        "vg/db".parse().unwrap()
    }

    fn line(run: usize) -> Line {
        let mut curve = CowCurve::new("vg/db".to_owned(), Bytes(1 << 30));
        (0..200).for_each(|second| curve.add(second * 1000, Bytes(second * 4096), Bytes(1 << 30)));
        Line::of_curve(&format!("r{run}"), "db1", "2026-11-27T01:02:03Z".to_owned(), &curve)
    }

    #[test]
    fn what_was_added_is_read_back_the_last_one_last() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(folder.path());
        assert!(history.of("db1", &origin()).is_empty());
        history.add(&origin(), Line { copied_bytes: 7, copy_ms: Some(1000), ..line(1) }).unwrap();
        history.add(&origin(), line(2)).unwrap();
        let [first, second] = &history.of("db1", &origin())[..] else { panic!("two runs") };
        assert_eq!((first.copied, first.copy_time), (Bytes(7), Some(Duration::from_secs(1))));
        assert_eq!(second.copy_time, None);
        assert_eq!(second.used_at(Duration::from_secs(199)), 199.0 * 4096.0);
    }

    #[test]
    fn a_month_of_nights_is_kept_and_a_curve_in_few_points() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(folder.path());
        (0..RUNS + 5).for_each(|run| history.add(&origin(), line(run)).unwrap());
        let lines = history.lines(&origin()).unwrap();
        assert_eq!((lines.len(), &*lines[0].run), (RUNS, "r5"));
        assert!(lines.iter().all(|line| line.points.len() <= POINTS + 1));
    }

    #[test]
    fn another_vms_volume_of_the_same_name_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(folder.path());
        history.add(&origin(), line(1)).unwrap();
        assert!(history.of("db2", &origin()).is_empty());
        assert!(history.of("db1", &"vg/db2".parse().unwrap()).is_empty());
    }

    #[test]
    fn a_lost_snapshot_is_known_to_have_needed_all_of_its_cow() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(folder.path());
        history.add(&origin(), line(1).lost(Duration::from_secs(300))).unwrap();
        assert_eq!(history.of("db1", &origin())[0].used_at(Duration::from_secs(300)), f64::from(1 << 30));
    }

    #[test]
    fn one_that_was_lost_within_the_second_of_its_last_look_is_kept_too() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(folder.path());
        let mut seen = line(1);
        seen.points.push((199_700, 200 * 4096));
        history.add(&origin(), seen.lost(Duration::from_secs(199))).unwrap();
        assert_eq!(history.of("db1", &origin())[0].points.last(), Some(&(199_701, 1 << 30)));
    }

    #[test]
    fn lines_that_make_no_sense_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(folder.path());
        history.add(&origin(), line(1)).unwrap();
        let path = history.path(&origin());
        let good = fs::read_to_string(&path).unwrap();
        let backwards = serde_json::to_string(&Line { points: vec![(5, 1), (4, 2)], ..line(2) }).unwrap();
        let newer = serde_json::to_string(&Line { format: FORMAT + 1, ..line(3) }).unwrap();
        fs::write(&path, format!("{good}{backwards}\n{newer}\nnonsense\n{{\"format\":1")).unwrap();
        assert_eq!(history.of("db1", &origin()).len(), 1);
        history.add(&origin(), line(4)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3, "the newer one stays for whoever wrote it: {text}");
        assert!(text.contains(&newer));
    }

    #[test]
    fn a_file_beyond_all_measure_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::below(folder.path());
        history.add(&origin(), line(1)).unwrap();
        File::create(history.path(&origin())).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(history.of("db1", &origin()).is_empty());
        history.add(&origin(), line(2)).unwrap_err();
        assert_eq!(fs::metadata(history.path(&origin())).unwrap().len(), MAX_BYTES + 1, "nor written over");
    }
}
