//! Taking a mount of a test away. Included by path: the packages' tests share no library.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Unmounts `point`, as often as needed: a program that another test is just starting holds, until it runs, whatever was
/// open here.
///
/// # Panics
/// Where it is still busy after five seconds.
pub fn unmount(point: &Path) {
    let umount = || Command::new("umount").arg(point).output().unwrap_or_else(|error| panic!("umount: {error}"));
    for _ in 0..50 {
        if umount().status.success() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let last = umount();
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
}
