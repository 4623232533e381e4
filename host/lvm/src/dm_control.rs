//! What device-mapper says of its devices, asked of the kernel itself: `/dev/mapper/control` (linux/dm-ioctl.h). A look that is made each second
//! starts no program for it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const CONTROL: &str = "/dev/mapper/control";

/// `struct dm_ioctl`, which begins each request and each answer: its size, and where its fields are.
const HEADER_BYTES: usize = 312;
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const FLAGS: usize = 28;
const NAME: usize = 48;
const NAME_MAX_BYTES: usize = 127;
/// `DM_VERSION_MAJOR`; the kernel takes any minor one that is no newer than its own.
const VERSION_MAJOR: u32 = 4;
/// `DM_BUFFER_FULL_FLAG`: there is more to say than fits.
const BUFFER_FULL: u32 = 1 << 8;
/// `DM_NOFLUSH_FLAG`: a thin pool does not write its metadata out first.
const NOFLUSH: u32 = 1 << 11;

/// `struct dm_target_spec`, before the words of each target.
const SPEC_BYTES: usize = 40;
const SPEC_NEXT: usize = 20;
const SPEC_TYPE: usize = 24;
/// `struct dm_name_list`, before each name.
const LIST_NEXT: usize = 8;
const LIST_NAME: usize = 12;

/// Thousands of devices fit.
const BUFFER_MAX_BYTES: usize = 1 << 20;
/// It takes microseconds. One that takes longer waits for a device that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

// Both take and give a `struct dm_ioctl` with room behind it, whose size is in it: `data_size`.
nix::ioctl_readwrite!(dm_list_devices, 0xfd, 2, [u8; HEADER_BYTES]);
nix::ioctl_readwrite!(dm_table_status, 0xfd, 12, [u8; HEADER_BYTES]);

/// What device-mapper says of one target of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmStatus {
    /// The device, by device-mapper's name.
    pub device: String,
    /// Its kind: `snapshot`, `thin-pool`, `linear`.
    pub target: String,
    /// The target's own words.
    pub words: String,
}

/// The first target of each device, or of the one called `of`; none where there is no such device.
///
/// # Errors
/// Where the kernel cannot be asked, gives no answer in time, or one that makes no sense.
pub(crate) fn statuses(of: Option<&str>) -> io::Result<Vec<DmStatus>> {
    /// A call that hangs cannot be ended: after one, programs are started, which can be.
    static HANGS: AtomicBool = AtomicBool::new(false);
    if HANGS.load(Relaxed) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let (tell, told) = mpsc::channel();
    let of = of.map(str::to_owned);
    thread::Builder::new().name("device-mapper".to_owned()).spawn(move || drop(tell.send(ask(of.as_deref()))))?;
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        HANGS.store(true, Relaxed);
        Err(io::ErrorKind::TimedOut.into())
    })
}

fn ask(of: Option<&str>) -> io::Result<Vec<DmStatus>> {
    let control = File::options().read(true).write(true).open(CONTROL)?;
    let names = match of {
        Some(name) => vec![name.to_owned()],
        None => names(&call(&control, None)?).ok_or_else(no_sense)?,
    };
    let mut all = Vec::new();
    for device in names {
        match call(&control, Some(&device)) {
            Ok(answer) => all.extend(first_target(&answer, &device).ok_or_else(no_sense)?),
            // It has gone since it was listed.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn no_sense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "device-mapper's answer makes no sense")
}

/// Asks for the status of a device, or for the names of all. The answer is what the kernel says is filled of the buffer.
fn call(control: &File, device: Option<&str>) -> io::Result<Vec<u8>> {
    let mut size = 16 << 10;
    loop {
        let mut buffer = request(size, device)?;
        send(control.as_raw_fd(), &mut buffer, device.is_some())?;
        if number(&buffer, FLAGS).is_some_and(|flags| flags & BUFFER_FULL == 0) {
            let filled = number(&buffer, DATA_SIZE).ok_or_else(no_sense)? as usize;
            buffer.truncate(filled.max(HEADER_BYTES));
            return Ok(buffer);
        }
        size *= 4;
        if size > BUFFER_MAX_BYTES {
            return Err(no_sense());
        }
    }
}

fn request(size: usize, device: Option<&str>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; size];
    let mut put = |at: usize, value: u32| buffer[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    put(0, VERSION_MAJOR);
    put(DATA_SIZE, size as u32);
    put(DATA_START, HEADER_BYTES as u32);
    put(FLAGS, NOFLUSH);
    let name = device.unwrap_or_default().as_bytes();
    if name.len() > NAME_MAX_BYTES || name.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    buffer[NAME..NAME + name.len()].copy_from_slice(name);
    Ok(buffer)
}

#[allow(unsafe_code, reason = "nix has no call for device-mapper")]
fn send(control: RawFd, buffer: &mut [u8], is_status: bool) -> nix::Result<()> {
    let request = buffer.as_mut_ptr().cast::<[u8; HEADER_BYTES]>();
    // SAFETY: the kernel reads and writes no further than `data_size` of the header says, which `request` has set to the buffer's length
    // (drivers/md/dm-ioctl.c, copy_params), and `buffer` is ours alone until it returns.
    let done = unsafe { if is_status { dm_table_status(control, request) } else { dm_list_devices(control, request) } };
    done.map(drop)
}

/// The names in an answer to `DM_LIST_DEVICES`; `None` where it makes no sense.
fn names(answer: &[u8]) -> Option<Vec<String>> {
    let mut at = number(answer, DATA_START)? as usize;
    let mut names = Vec::new();
    if answer.len() < at + LIST_NAME || number(answer, at)? == 0 && number(answer, at + 4)? == 0 {
        return Some(names);
    }
    loop {
        names.push(text(answer.get(at + LIST_NAME..)?)?);
        match number(answer, at + LIST_NEXT)? as usize {
            0 => return Some(names),
            // Each lies behind the one before, so that this comes to an end.
            next => at = at.checked_add(next)?,
        }
    }
}

/// The first target in an answer to `DM_TABLE_STATUS`; `Some(None)` where the device has none.
fn first_target(answer: &[u8], device: &str) -> Option<Option<DmStatus>> {
    if number(answer, TARGET_COUNT)? == 0 {
        return Some(None);
    }
    let spec = answer.get(number(answer, DATA_START)? as usize..)?;
    let end = (number(spec, SPEC_NEXT)? as usize).min(spec.len());
    let target = text(spec.get(SPEC_TYPE..SPEC_BYTES)?)?;
    let words = text(spec.get(SPEC_BYTES..end)?)?;
    Some(Some(DmStatus { device: device.to_owned(), target, words }))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Up to the NUL that ends it, or to the end.
fn text(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(answer: &mut [u8], at: usize, value: u32) {
        answer[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// As the kernel fills it in.
    fn list(devices: &[&str]) -> Vec<u8> {
        let mut answer = request(HEADER_BYTES, None).unwrap();
        let mut last = None;
        for device in devices {
            let at = answer.len();
            answer.resize(at + LIST_NAME, 0);
            put(&mut answer, at, 0xfe05);
            answer.extend_from_slice(device.as_bytes());
            answer.push(0);
            answer.resize(answer.len().next_multiple_of(8), 0);
            if let Some(last) = last {
                put(&mut answer, last + LIST_NEXT, (at - last) as u32);
            }
            last = Some(at);
        }
        answer
    }

    fn status(target: &str, words: &str) -> Vec<u8> {
        let mut answer = request(HEADER_BYTES, Some("vg-snap")).unwrap();
        put(&mut answer, TARGET_COUNT, 1);
        let at = answer.len();
        answer.resize(at + SPEC_BYTES, 0);
        answer[at + SPEC_TYPE..at + SPEC_TYPE + target.len()].copy_from_slice(target.as_bytes());
        answer.extend_from_slice(words.as_bytes());
        answer.push(0);
        let next = (answer.len() - at).next_multiple_of(8);
        answer.resize(at + next, 0);
        put(&mut answer, at + SPEC_NEXT, next as u32);
        answer
    }

    #[test]
    fn the_names_of_all_devices_are_read() {
        assert_eq!(names(&list(&["vg-root", "vg-snap", "x"])).unwrap(), ["vg-root", "vg-snap", "x"]);
        assert_eq!(names(&list(&[])).unwrap(), [""; 0]);
    }

    #[test]
    fn the_words_of_a_target_are_read() {
        let read = first_target(&status("snapshot", "16/40960 16"), "vg-snap").unwrap().unwrap();
        assert_eq!((&*read.device, &*read.target, &*read.words), ("vg-snap", "snapshot", "16/40960 16"));
        let none = request(HEADER_BYTES, Some("vg-snap")).unwrap();
        assert_eq!(first_target(&none, "vg-snap"), Some(None));
    }

    #[test]
    fn an_answer_that_is_cut_short_anywhere_is_refused_or_says_less() {
        for whole in [list(&["vg-root", "vg-snap"]), status("snapshot", "16/40960 16")] {
            for length in 0..whole.len() {
                let cut = &whole[..length];
                let (_, _) = (names(cut), first_target(cut, "vg-snap"));
            }
        }
    }

    #[test]
    fn numbers_that_lead_elsewhere_are_no_way_out_of_the_answer() {
        let mut wild = status("snapshot", "16/40960 16");
        for at in [DATA_START, HEADER_BYTES + SPEC_NEXT] {
            for value in [0, 1, 39, 0x7fff_ffff, u32::MAX] {
                let mut wild = wild.clone();
                put(&mut wild, at, value);
                let _ = first_target(&wild, "vg-snap");
                let _ = names(&wild);
            }
        }
        wild.truncate(HEADER_BYTES);
        assert_eq!(first_target(&wild, "vg-snap"), None);
    }

    #[test]
    fn a_name_that_device_mapper_cannot_have_is_not_asked_for() {
        assert!(request(1024, Some(&"x".repeat(128))).is_err());
        assert!(request(1024, Some("a\0b")).is_err());
    }
}
