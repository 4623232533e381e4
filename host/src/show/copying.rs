//! How far a copy is, in a line.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::amount::{clock, part_of, speed, took};
use super::printable::printable_text;
use super::speed::Reading;
use super::wrap::{fitting, shortened};

const MIN_BAR_COLUMNS: usize = 8;
const MAX_BAR_COLUMNS: usize = 40;
const MIN_NAME_COLUMNS: usize = 8;

/// The copy of one disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Copying {
    /// The origin.
    pub origin: String,
    /// How it stands.
    pub reading: Reading,
    /// How full the fullest COW is that it has to finish before, in percent; `None` before the first look.
    pub cow_percent: Option<f64>,
}

impl Copying {
    /// The line on a terminal, never longer than `columns`. Where there is no room for all, the bar goes first, then the
    /// amounts, the speed, the time left.
    #[must_use]
    pub fn bar(&self, columns: usize) -> String {
        let origin = printable_text(&self.origin);
        let percent = self.reading.percent().floor();
        let mut parts = vec![
            format!("{percent:>3.0}%"),
            format!("COW {:>4}", self.cow()),
            format!("ETA {:>5}", self.eta()),
            format!("{:>9}", speed(self.reading.bytes_per_s)),
            self.amounts(),
        ];
        let width = |parts: &[String]| parts.iter().map(|part| part.width() + 2).sum::<usize>();
        let least_name = origin.width().min(MIN_NAME_COLUMNS);
        while parts.len() > 1 && least_name + width(&parts) > columns {
            parts.pop();
        }
        let room = columns.saturating_sub(width(&parts));
        // Least important last there, in the order of reading here.
        if let [_, rest @ ..] = &mut *parts {
            rest.reverse();
        }
        let bar_room = room.saturating_sub(origin.width() + 4);
        if bar_room >= MIN_BAR_COLUMNS {
            let bar = drawn(self.reading.percent(), bar_room.min(MAX_BAR_COLUMNS));
            format!("{origin}  [{bar}]  {}", parts.join("  "))
        } else {
            let line = format!("{}  {}", shortened(&origin, room), parts.join("  "));
            fitting(line.chars(), columns)
        }
    }

    /// The line in a log.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "copying {}: {:.0}%, {}, {}, ETA {}, COW {}",
            printable_text(&self.origin),
            self.reading.percent().floor(),
            self.amounts().trim_start(),
            speed(self.reading.bytes_per_s),
            self.eta(),
            self.cow()
        )
    }

    /// What is said when it has ended, `time` after it began.
    #[must_use]
    pub fn end(&self, time: Duration) -> String {
        let Reading { copied_bytes, total_bytes, .. } = self.reading;
        let origin = printable_text(&self.origin);
        let average = copied_bytes as f64 / time.as_secs_f64().max(0.001);
        let cow = self.cow_percent.map(|percent| format!(", COW up to {:.0}%", percent.ceil())).unwrap_or_default();
        if copied_bytes < total_bytes {
            format!("the copy of {origin} ended at {} after {}{cow}", self.amounts().trim_start(), took(time))
        } else {
            format!("copied {origin}: {} in {}, {}{cow}", lvm::Bytes(copied_bytes), took(time), speed(average))
        }
    }

    fn amounts(&self) -> String {
        part_of(self.reading.copied_bytes, self.reading.total_bytes)
    }

    fn eta(&self) -> String {
        self.reading.eta.map_or_else(|| "?".to_owned(), clock)
    }

    fn cow(&self) -> String {
        self.cow_percent.map_or_else(|| "?".to_owned(), |percent| format!("{:.0}%", percent.floor()))
    }
}

/// In ASCII: a serial console, and a shell of the locale C, show it as well.
fn drawn(percent: f64, columns: usize) -> String {
    let filled = ((percent / 100.0 * columns as f64) as usize).min(columns);
    "#".repeat(filled) + &"-".repeat(columns - filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copying(copied_bytes: u64, total_bytes: u64) -> Copying {
        let eta = Some(Duration::from_millis(8_200));
        let reading = Reading { copied_bytes, total_bytes, bytes_per_s: 512e6, eta };
        Copying { origin: "vg/data".to_owned(), reading, cow_percent: Some(12.7) }
    }

    #[test]
    fn a_line_has_percent_amounts_speed_time_left_and_cow() {
        let half = copying(4_000_000_000, 8_000_000_000);
        assert_eq!(half.bar(79), "vg/data  [#######-------]   50%  3.7 of 7.4 GiB  488 MiB/s  ETA  0:09  COW  12%");
        assert_eq!(half.line(), "copying vg/data: 50%, 3.7 of 7.4 GiB, 488 MiB/s, ETA 0:09, COW 12%");
    }

    #[test]
    fn no_terminal_is_too_narrow_and_no_name_too_long() {
        for name in [
            "vg/data",
            "a_rather_long_volume_group/and-a-volume-with-a-name-that-nobody-would-type",
            "\u{65e5}/\u{672c}",
        ] {
            let copying = Copying { origin: name.to_owned(), ..copying(999 << 30, 9_999 << 30) };
            for columns in 0..200 {
                let bar = copying.bar(columns);
                assert!(bar.width() <= columns, "{columns}: {bar}");
                assert!(columns < 12 || bar.contains("  9%"), "{columns}: {bar}");
            }
        }
    }

    #[test]
    fn a_copy_is_at_100_percent_only_when_done() {
        assert!(copying(7_999_999_999, 8_000_000_000).bar(79).contains(" 99%"));
        assert!(copying(8_000_000_000, 8_000_000_000).bar(79).contains("[##############]  100%"));
        assert!(copying(0, 0).bar(79).contains("100%"));
    }

    #[test]
    fn what_nobody_knows_is_not_guessed() {
        let mut still = copying(1 << 30, 8 << 30);
        (still.reading.bytes_per_s, still.reading.eta, still.cow_percent) = (0.0, None, None);
        assert_eq!(still.line(), "copying vg/data: 12%, 1.0 of 8.0 GiB, 0.0 MiB/s, ETA ?, COW ?");
    }

    #[test]
    fn the_end_has_the_average_speed_or_how_far_it_came() {
        let (whole, half) = (copying(8 << 30, 8 << 30), copying(4 << 30, 8 << 30));
        assert_eq!(whole.end(Duration::from_secs(64)), "copied vg/data: 8 GiB in 1 min 04 s, 128 MiB/s, COW up to 13%");
        assert_eq!(
            half.end(Duration::from_secs(32)),
            "the copy of vg/data ended at 4.0 of 8.0 GiB after 32.0 s, COW up to 13%"
        );
    }
}
