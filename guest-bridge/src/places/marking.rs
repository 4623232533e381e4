//! Writing markers to the guest's filesystems, and removing them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    DeviceNumber, MarkerName, Mount, PlacesError,
    lies_on::Told,
    mountinfo::{self, Line, Uuids, mounts},
    script::{BY_UUID, MOUNTINFO, ask, askable, path_lines},
};
use crate::agent::{Agent, guest_text};

/// How long a filesystem that gives no answer is waited for at most. Only others that it keeps busy take longer than a moment.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// What [`mark`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// The markers that are there.
    pub markers: Vec<Marker>,
    /// The filesystems that should have taken one, and did not.
    pub refused: Vec<Refused>,
    /// How long the guest's kernel leaves in memory what was written last: the least of `vm.dirty_expire_centisecs` and
    /// `fs.xfs.xfssyncd_centisecs`. `None` where that was not told.
    pub stays_unwritten: Option<Duration>,
}

/// A marker on a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The device of the filesystem.
    pub device: DeviceNumber,
    /// Where that is mounted; the marker is right in it.
    pub mountpoint: String,
    /// The inode of the marker.
    pub inode: u64,
}

/// A filesystem without its marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The device of the filesystem.
    pub device: DeviceNumber,
    /// Where that is mounted.
    pub mountpoint: String,
    /// Why it has none.
    pub reason: String,
}

/// What [`unmark`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmarked {
    /// The paths of markers that may still be there, each with the reason.
    pub left: Vec<(String, String)>,
    /// The devices of the filesystems that one was removed from: they were written to, and so are not frozen.
    pub removed: Vec<DeviceNumber>,
    /// Where the files are that were asked about, in their order.
    pub files: Vec<FilePlace>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlace {
    /// The path that was asked about.
    pub path: PathBuf,
    /// The device of its filesystem, and its inode there. `None` where that is not known, such as for a file that does not exist.
    pub at: Option<(DeviceNumber, u64)>,
}

/// Writes one small file into the root of every filesystem that [takes one](Mount::takes_marker). It is new, root's alone (mode 0600),
/// holds [`MarkerName::content`], and is not synced. A filesystem that hangs or refuses keeps no other.
///
/// Whatever this returns, also an error, [`unmark`] has to follow.
///
/// # Errors
/// See [`PlacesError`].
pub async fn mark(agent: &mut dyn Agent, name: &MarkerName, deadline: Duration) -> Result<Marked, PlacesError> {
    let (mut marked, mut asked, mut input) = (Marked::default(), Vec::new(), Vec::new());
    for mount in mounted(agent, deadline).await?.1.into_iter().filter(Mount::takes_marker) {
        let Some(line) = as_line(&mount) else {
            marked.refused.push(refused(mount, "its name cannot be told to a program"));
            continue;
        };
        // The number that stat(1) tells of btrfs is another, and not known here.
        let st_dev = if mount.device.major == 0 { "-".to_owned() } else { mount.device.to_stat().to_string() };
        input.extend(format!("{} {st_dev} {line}\n", mount.device).into_bytes());
        asked.push(mount);
    }
    let parts = ask(agent, &["mark", name.as_str(), &patience_s(deadline)], input, deadline).await?;
    let [said] = parts.as_slice() else { return Err(wrong_parts(parts.len(), 1)) };
    let (settings, said): (Vec<_>, Vec<_>) = said.iter().cloned().partition(|line| line.starts_with(KEEPS));
    marked.stays_unwritten = stays_unwritten(&settings)?;
    let answers = answers(&said, asked.len())?;
    for (mount, answer) in asked.into_iter().zip(answers) {
        match answer {
            Some(Ok(inode)) => {
                marked.markers.push(Marker { device: mount.device, mountpoint: mount.mountpoint, inode });
            }
            Some(Err(reason)) => marked.refused.push(refused(mount, &reason)),
            None => marked.refused.push(refused(mount, NO_ANSWER)),
        }
    }
    Ok(marked)
}

/// Removes the markers, wherever they are, and tells where `files` are, symlinks followed. To remove what is gone already is a success.
/// A path that cannot be asked about keeps no marker in the guest: it is not known where that file is.
///
/// # Errors
/// See [`PlacesError`]. The markers may be gone also then.
pub async fn unmark(
    agent: &mut dyn Agent,
    name: &MarkerName,
    files: &[PathBuf],
    deadline: Duration,
) -> Result<Unmarked, PlacesError> {
    let askable: Vec<PathBuf> = askable(files).cloned().collect();
    let files_input = path_lines(&askable)?;
    let (table, mounts) = mounted(agent, deadline).await?;
    // One whose name is no line had none written to it.
    let asked: Vec<(Mount, String)> = mounts
        .into_iter()
        .filter(Mount::may_hold_marker)
        .filter_map(|mount| as_line(&mount).map(str::to_owned).map(|line| (mount, line)))
        .collect();
    let points: String = asked.iter().map(|(_, line)| format!("{line}\n")).collect();
    let input = [points.as_bytes(), b"\n", &files_input].concat();
    let parts = ask(agent, &["unmark", name.as_str(), &patience_s(deadline)], input, deadline).await?;
    let [said, told] = parts.as_slice() else { return Err(wrong_parts(parts.len(), 2)) };

    let (mut left, mut removed) = (Vec::new(), Vec::new());
    for ((mount, line), answer) in asked.iter().zip(answers(said, asked.len())?) {
        let why = match answer {
            Some(Ok(0)) => continue,
            // Of two mounts at one place only the upper one was reached, and which that is nobody says.
            Some(Ok(_)) if asked.iter().filter(|(_, other)| other == line).count() > 1 => continue,
            Some(Ok(_)) => {
                removed.push(mount.device);
                continue;
            }
            Some(Err(why)) => why,
            None => NO_ANSWER.to_owned(),
        };
        left.push((format!("{}/{name}", mount.mountpoint.trim_end_matches('/')), why));
    }
    let mut told = told.iter().map(Vec::as_slice);
    let mut at = BTreeMap::new();
    for path in &askable {
        at.insert(path, Told::read(told.next())?.at(&table));
    }
    let place = |path: &PathBuf| FilePlace { path: path.clone(), at: at.get(path).copied().flatten() };
    let files = files.iter().map(place).collect();
    match told.next() {
        None => Ok(Unmarked { left, removed, files }),
        Some(more) => Err(PlacesError::line("this is of no path", more)),
    }
}

/// Before a setting of the kernel, in hundredths of a second.
const KEEPS: &[u8] = b"keeps ";

fn stays_unwritten(settings: &[Vec<u8>]) -> Result<Option<Duration>, PlacesError> {
    let read = |line: &Vec<u8>| {
        let number = std::str::from_utf8(line.strip_prefix(KEEPS)?).ok()?.parse::<u32>().ok()?;
        Some(Duration::from_millis(u64::from(number) * 10))
    };
    let setting = |line| read(line).ok_or_else(|| PlacesError::line("this is no time", line));
    settings.iter().map(setting).try_fold(None, |least: Option<Duration>, setting| {
        let setting = setting?;
        Ok(Some(least.map_or(setting, |least| least.min(setting))))
    })
}

const NO_ANSWER: &str = "it gave no answer in time";

async fn mounted(agent: &mut dyn Agent, deadline: Duration) -> Result<(Vec<Line>, Vec<Mount>), PlacesError> {
    let parts = ask(agent, &["look", MOUNTINFO, BY_UUID, "0"], Vec::new(), deadline).await?;
    let [table, ..] = parts.as_slice() else { return Err(wrong_parts(parts.len(), 3)) };
    let table = mountinfo::table(table)?;
    let mounts = mounts(&table, &Uuids::default())?;
    Ok((table, mounts))
}

fn wrong_parts(got: usize, wanted: usize) -> PlacesError {
    PlacesError::Unexpected { detail: format!("it has {got} parts in place of {wanted}") }
}

/// The mountpoint as one line, where it is one: what was not UTF-8 is not known any more.
fn as_line(mount: &Mount) -> Option<&str> {
    Some(mount.mountpoint.as_str()).filter(|point| !point.contains(['\n', '\0', char::REPLACEMENT_CHARACTER]))
}

fn refused(mount: Mount, reason: &str) -> Refused {
    Refused { device: mount.device, mountpoint: mount.mountpoint, reason: reason.to_owned() }
}

/// Less than the whole deadline: what is known of the others has to arrive.
fn patience_s(deadline: Duration) -> String {
    (deadline / 2).min(PATIENCE_MAX).as_secs().max(1).to_string()
}

/// `ok NUMBER INODE` or `no NUMBER WHY`, each at most once. Of a removal, `INODE` is 1 where there was something to remove, else 0.
fn answers(lines: &[Vec<u8>], asked: usize) -> Result<Vec<Option<Result<u64, String>>>, PlacesError> {
    let mut answers = vec![None; asked];
    for line in lines {
        let text = String::from_utf8_lossy(line);
        let mut words = text.splitn(3, ' ');
        let (verdict, number) = (words.next(), words.next().and_then(|number| number.parse::<usize>().ok()));
        let answer = match (verdict, words.next()) {
            (Some("ok"), Some(inode)) => inode.parse().ok().map(Ok),
            (Some("no"), Some(why)) => Some(Err(guest_text(why))),
            _ => None,
        };
        let slot = number.and_then(|number| answers.get_mut(number)).filter(|slot: &&mut Option<_>| slot.is_none());
        match (slot, answer) {
            (Some(slot), Some(answer)) => *slot = Some(answer),
            _ => return Err(PlacesError::line("this is no answer of a filesystem", line)),
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filesystem_answers_once_in_any_order_or_not_at_all() {
        let read = |text: &str| answers(&text.lines().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>(), 3);
        let full = Err("No space left on device".to_owned());
        assert_eq!(read("no 2 No space left on device\nok 0 12").unwrap(), [Some(Ok(12)), None, Some(full)]);
        for odd in ["ok 3 12", "ok 0 12\nok 0 12", "ok 0", "ok 0 x", "ok x 1", "yes 0 1", ""] {
            let read = if odd.is_empty() { answers(&[vec![]], 3) } else { read(odd) };
            assert!(matches!(read, Err(PlacesError::Unexpected { .. })), "{odd}");
        }
    }

    #[test]
    fn what_was_written_stays_in_memory_for_the_shortest_time_that_the_kernel_says() {
        let read =
            |lines: &[&str]| stays_unwritten(&lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["keeps 3000", "keeps 150"]).unwrap(), Some(Duration::from_millis(1500)));
        assert_eq!(read(&["keeps 0"]).unwrap(), Some(Duration::ZERO));
        for odd in ["keeps ", "keeps -1", "keeps 3000 "] {
            assert!(matches!(read(&[odd]), Err(PlacesError::Unexpected { .. })), "{odd}");
        }
    }

    #[test]
    fn a_filesystem_that_hangs_takes_half_of_the_time_at_most() {
        let patience = |seconds| patience_s(Duration::from_secs(seconds));
        assert_eq!(
            (patience(0), patience(1), patience(8), patience(600)),
            ("1".into(), "1".into(), "4".into(), "10".into())
        );
    }
}
