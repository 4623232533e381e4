//! The Debian changelog: the one place that has the date of a release.

const CHANGELOG: &str = include_str!("../debian/changelog");
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The day of the newest release, `YYYY-MM-DD`: man pages have it, so that they say the same whenever they are built.
pub fn date() -> Option<String> {
    let trailer = CHANGELOG.lines().find(|line| line.starts_with(" -- "))?;
    let (_, date) = trailer.split_once(">  ")?;
    let [_, day, month, year, ..] = *date.split(' ').collect::<Vec<_>>() else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Some(format!("{year}-{month:02}-{day:0>2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entry_is_of_the_version_that_is_built() {
        let expected = format!("stillpoint ({}-", env!("CARGO_PKG_VERSION"));
        assert!(CHANGELOG.starts_with(&expected), "{expected}");
    }

    #[test]
    fn a_release_has_a_date() {
        let date = date().unwrap();
        assert!(date.len() == 10 && date.starts_with("20"), "{date}");
    }
}
