//! A file's time in words.

use fsprobe::ext4::files::Time;

const DAY_SECONDS: i64 = 86_400;

/// RFC 3339 in UTC with nanoseconds. Files of ext4 may be from 1901 to 2446.
pub(super) fn rfc3339(time: Time) -> String {
    let (year, month, day) = civil(time.seconds.div_euclid(DAY_SECONDS));
    let second = time.seconds.rem_euclid(DAY_SECONDS);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{:09}Z", second % 60, time.nanoseconds)
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
            assert_eq!(rfc3339(Time { seconds, nanoseconds }), words);
        }
    }
}
