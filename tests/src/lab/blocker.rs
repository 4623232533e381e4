//! Another backup in the guest, that keeps the lock from the one under test.

use super::guest::{Guest, until};

/// A session in the guest that holds `BACKUP STAGE START`. It ends when this is dropped.
#[derive(Debug)]
pub struct Blocker<'g> {
    guest: &'g Guest,
    /// The server's id of the session.
    pub thread_id: u64,
}

/// What the session says it is doing.
pub const STATEMENT: &str = "DO SLEEP(86399)";

impl<'g> Blocker<'g> {
    /// Takes the lock.
    pub fn start(guest: &'g Guest) -> Self {
        guest.sh(&format!("mariadb -e 'BACKUP STAGE START; {STATEMENT}' >/dev/null 2>&1 &"));
        let find = format!("SELECT ID FROM information_schema.PROCESSLIST WHERE INFO = '{STATEMENT}'");
        until("the other backup has its lock", || !guest.sql(&find).is_empty());
        Self { guest, thread_id: guest.sql(&find).parse().unwrap() }
    }

    /// Whether a session waits for the lock.
    pub fn blocks(&self) -> bool {
        let waiting = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for backup lock'";
        self.guest.sql(waiting) != "0"
    }
}

impl Drop for Blocker<'_> {
    fn drop(&mut self) {
        self.guest.sql(&format!("KILL {}", self.thread_id));
    }
}
