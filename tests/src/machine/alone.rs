//! Turns between tests whose mounts would disturb each other: tests of one program, and of programs that run side by side.

use std::fs::File;

use nix::fcntl::{Flock, FlockArg};

/// While it lives, something of this test may be mounted.
#[derive(Debug)]
pub struct Mounting {
    _lock: Flock<File>,
}

/// While it lives, no other test has anything mounted.
#[derive(Debug)]
pub struct Alone {
    _lock: Flock<File>,
}

/// Waits until nobody has to be alone. [`Mount`](super::mount::Mount) does it by itself.
pub fn mounting() -> Mounting {
    Mounting { _lock: lock(FlockArg::LockShared) }
}

/// Waits until no other test has anything mounted. For a test that
///
/// * makes a mount namespace: it would keep mounted what is mounted now, after its `umount` here;
/// * asks a real agent on this machine for its filesystems, or to thaw: it looks at, thaws and counts every one.
///
/// A thread that has a mount waits for ever here. What it mounts afterwards it mounts through [`Alone::mount`].
pub fn alone() -> Alone {
    Alone { _lock: lock(FlockArg::LockExclusive) }
}

fn lock(kind: FlockArg) -> Flock<File> {
    let path = std::env::temp_dir().join("stillpoint-tests-mounts.lock");
    let file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Flock::lock(file, kind).unwrap_or_else(|(_, errno)| panic!("{}: {errno}", path.display()))
}
