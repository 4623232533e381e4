//! Whether a guest could have one, found out without making anything.

use std::{path::PathBuf, time::Duration};

use super::{WatchdogError, script::ask};
use crate::agent::Agent;

/// What a watchdog would live on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possible {
    /// The filesystem in memory in which its folder would be.
    pub place: PathBuf,
    /// The guest's program that would thaw.
    pub fsfreeze: PathBuf,
}

/// Looks whether a watchdog could be armed in the guest. It makes and starts nothing: that the programs work shows only when one is armed.
///
/// # Errors
/// [`WatchdogError::Impossible`] with what the guest lacks; else see [`WatchdogError`].
pub async fn probe(agent: &mut dyn Agent, deadline: Duration) -> Result<Possible, WatchdogError> {
    read(&ask(agent, "probe", &[], deadline).await?)
}

/// `place PATH` and `fsfreeze PATH`.
fn read(lines: &[String]) -> Result<Possible, WatchdogError> {
    let odd = || WatchdogError::answer("this says nothing of a watchdog", &lines.join(" "));
    let [place, fsfreeze] = lines else { return Err(odd()) };
    let path = |line: &str, name: &str| line.strip_prefix(name).map(PathBuf::from).ok_or_else(odd);
    Ok(Possible { place: path(place, "place ")?, fsfreeze: path(fsfreeze, "fsfreeze ")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Result<Possible, WatchdogError> {
        read(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_one_would_live_on_is_told_or_nothing_is() {
        let possible = told(&["place /run", "fsfreeze /usr/sbin/fsfreeze"]).unwrap();
        assert_eq!(possible, Possible { place: "/run".into(), fsfreeze: "/usr/sbin/fsfreeze".into() });
        for odd in [&[][..], &["place /run"], &["fsfreeze /x", "place /run"], &["place /run", "fsfreeze /x", ""]] {
            assert!(matches!(told(odd), Err(WatchdogError::Unexpected { .. })), "{odd:?}");
        }
    }
}
