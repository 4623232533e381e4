//! Times and sizes as a person reads them.

use std::time::Duration;

/// How long something took: `4 ms`, `0.31 s`, `42.1 s`, `12 min 34 s`, `1 h 02 min`.
#[must_use]
pub fn took(time: Duration) -> String {
    let (seconds, precise) = (time.as_secs(), time.as_secs_f64());
    match seconds {
        0 if time < Duration::from_millis(100) => format!("{} ms", time.as_millis()),
        0..=9 => format!("{precise:.2} s"),
        10..=59 => format!("{precise:.1} s"),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// The same of milliseconds.
#[must_use]
pub fn took_ms(ms: u64) -> String {
    took(Duration::from_millis(ms))
}

/// Time left: `0:09`, `12:34`, `1:02:03`; a started second counts.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A part and the whole in the whole's unit, so that a growing part keeps its place: ` 3.2 of 12.0 GiB`, `  3 of 112 GiB`.
#[must_use]
pub fn part_of(part_bytes: u64, whole_bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let (unit, unit_bytes) = UNITS.into_iter().find(|(_, unit)| whole_bytes >= *unit).unwrap_or(("KiB", 1 << 10));
    let per_unit = if whole_bytes / unit_bytes < 100 { 10.0 } else { 1.0 };
    // Downwards: the whole is only named where all of it is there.
    let floor = |bytes: u64| (bytes as f64 * per_unit / unit_bytes as f64).floor() / per_unit;
    let amount = |bytes| if per_unit > 1.0 { format!("{:.1}", floor(bytes)) } else { format!("{:.0}", floor(bytes)) };
    let whole = amount(whole_bytes);
    format!("{:>width$} of {whole} {unit}", amount(part_bytes), width = whole.len())
}

/// `488 MiB/s`, `0.4 MiB/s`.
#[must_use]
pub fn speed(bytes_per_s: f64) -> String {
    let mib_per_s = bytes_per_s / f64::from(1 << 20);
    if mib_per_s < 9.95 { format!("{mib_per_s:.1} MiB/s") } else { format!("{mib_per_s:.0} MiB/s") }
}

/// `1 disk`, `2 disks`.
#[must_use]
pub fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_digits_that_matter() {
        let times = [4, 310, 1_999, 42_140, 754_000, 3_723_000].map(took_ms);
        assert_eq!(times, ["4 ms", "0.31 s", "2.00 s", "42.1 s", "12 min 34 s", "1 h 02 min"]);
    }

    #[test]
    fn times_left_are_read_like_a_clock() {
        let clocks = [0, 8_200, 60_000, 754_000, 3_723_000].map(|ms| clock(Duration::from_millis(ms)));
        assert_eq!(clocks, ["0:00", "0:09", "1:00", "12:34", "1:02:03"]);
    }

    #[test]
    fn a_part_keeps_its_place_and_is_the_whole_only_at_the_end() {
        let gib = 1 << 30;
        assert_eq!(part_of(3 * gib, 12 * gib), " 3.0 of 12.0 GiB");
        assert_eq!(part_of(12 * gib - 1, 12 * gib), "11.9 of 12.0 GiB");
        assert_eq!(part_of(3 * gib, 112 * gib), "  3 of 112 GiB");
        assert_eq!(part_of(112 * gib - 1, 112 * gib), "111 of 112 GiB");
        assert_eq!(part_of(112 * gib, 112 * gib), "112 of 112 GiB");
        assert_eq!(part_of(0, 0), "0.0 of 0.0 KiB");
    }

    #[test]
    fn slow_copies_have_a_speed_too() {
        assert_eq!([0.0, 4e5, 512e6].map(speed), ["0.0 MiB/s", "0.4 MiB/s", "488 MiB/s"]);
    }
}
