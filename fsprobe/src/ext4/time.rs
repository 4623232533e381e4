//! Points in time, and how they are written.

use std::fmt;

const DAY_SECONDS: i64 = 86_400;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Since 1970, UTC; negative before.
    pub seconds: i64,
    /// On top of them, below 10^9.
    pub nanoseconds: u32,
}

/// RFC 3339 in UTC: with nanoseconds, or as `{:.0}` without. Files of ext4 may be from 1901 to 2446.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.seconds.div_euclid(DAY_SECONDS));
        let second = self.seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}", second % 60)?;
        if f.precision() != Some(0) {
            write!(f, ".{:09}", self.nanoseconds)?;
        }
        f.write_str("Z")
    }
}

/// `seconds` of a superblock field, without a fraction.
pub(super) fn utc(seconds: u64) -> String {
    format!("{:.0}", Time { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanoseconds: 0 })
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_from_the_first_to_the_last_that_ext4_keeps_are_right() {
        for (seconds, nanoseconds, words) in [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (-0x8000_0000, 0, "1901-12-13T20:45:52.000000000Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000000001Z"),
            (0x3_7fff_ffff, 0, "2446-05-10T22:38:55.000000000Z"),
        ] {
            assert_eq!(Time { seconds, nanoseconds }.to_string(), words);
        }
    }

    #[test]
    fn a_time_of_the_superblock_has_no_fraction_and_may_be_any_number() {
        assert_eq!(utc(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(utc(u64::MAX), "292277026596-12-04T15:30:07Z");
    }
}
