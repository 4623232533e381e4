//! Nights: what a disk's COW needed, second by second, and how long its copy took.

use std::path::Path;
use std::time::Duration;

use lvm::Bytes;
use serde::Deserialize;
use stillpoint::cow::forecast::earlier::Earlier;

pub const GIB: u64 = 1 << 30;

/// A night.
#[derive(Clone)]
pub struct Night {
    /// Its snapshot, as far as anybody may know it before.
    pub run: Earlier,
    /// What its COW needed until its disk was copied.
    pub need: f64,
    /// Size of the disk.
    pub disk: Bytes,
}

/// A line of `fixtures/series`.
#[derive(Deserialize)]
struct Line {
    points: Vec<(u64, u64)>,
    written_per_second: u64,
}

/// What real snapshots needed. They overlap, so that every sixth is a night after another: six times twenty nights, one after the other. An
/// emulated guest on an emulated hypervisor writes a hundredth of what a real one does: all of it, disk too, is taken a hundred times.
pub fn recorded() -> Vec<Night> {
    const TIMES: u64 = 100;
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/series/shop.jsonl")).unwrap();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let apart = (0..6).flat_map(|first| lines.iter().skip(first).step_by(6));
    let mut random = Random(1);
    apart
        .map(|line| {
            let points = line.points.iter().map(|(ms, bytes)| (*ms, bytes * TIMES)).collect();
            let written_per_second = Some(Bytes(line.written_per_second * TIMES));
            let run = Earlier { written_per_second, points, ..Earlier::default() };
            // Copies of 20 s, give or take a fifth.
            Night::of(run, 16.0 + 8.0 * random.next(), Bytes(GIB * 5 / 2 * TIMES))
        })
        .collect()
}

/// Writes of 4 MiB a second that are new to the COW, every night the same but for a tenth.
pub fn even_nights() -> Vec<Night> {
    made_up(200, 0.1, |_| 1.0)
}

/// The same, but twice or half as much is nothing unusual.
pub fn uneven_nights() -> Vec<Night> {
    made_up(200, 0.3, |_| 1.0)
}

/// Even nights, but every tenth there is five times as much.
pub fn batch_nights() -> Vec<Night> {
    made_up(200, 0.1, |night| if night % 10 == 9 { 5.0 } else { 1.0 })
}

/// Nights of a disk of 35 GiB that is copied in three minutes, whose writes spread by `sigma` in proportion.
fn made_up(count: usize, sigma: f64, times: impl Fn(usize) -> f64) -> Vec<Night> {
    let mut random = Random(7);
    (0..count)
        .map(|night| {
            let per_second = 4.0 * f64::from(1 << 20) * (sigma * random.normal()).exp() * times(night);
            let points = (1..=300).map(|second| (second * 1000, (per_second * second as f64) as u64)).collect();
            Night::of(Earlier { points, ..Earlier::default() }, 170.0 + 40.0 * random.next(), Bytes(35 * GIB))
        })
        .collect()
}

impl Night {
    fn of(mut run: Earlier, copy_s: f64, disk: Bytes) -> Self {
        let copy = Duration::from_secs_f64(copy_s);
        (run.copied, run.copy_time) = (Bytes(disk.0 / 2), Some(copy));
        let end = Duration::from_secs(5) + copy;
        let need = run.used_at(end);
        // It was removed then: nobody saw more of it.
        run.points.retain(|(ms, _)| Duration::from_millis(*ms) <= end);
        Self { run, need, disk }
    }
}

/// The same numbers every time (xorshift).
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}
