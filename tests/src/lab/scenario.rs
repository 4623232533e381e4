//! What holds before and after every scenario.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use serde_json::json;

use super::guest::Guest;
use super::volume;

/// Runs `act` on the guest and asserts that it leaves nothing behind: no volume of its own, the guest thawed, its
/// database taking commits. Puts the lab in order for the next scenario, also when `act` fails.
pub fn scenario(act: impl FnOnce(&Guest)) {
    let guest = Guest::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        act(&guest);
        assert_nothing_is_left(&guest);
    }));
    guest.agent.call("guest-fsfreeze-thaw", json!({})).unwrap();
    guest.stop_ticks();
    volume::remove_foreign();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// No volume but the guest's disks, the guest thawed, and a commit goes through.
pub fn assert_nothing_is_left(guest: &Guest) {
    assert_eq!(volume::foreign(), [], "volumes left behind");
    assert!(!guest.is_frozen(), "the guest is still frozen");
    guest.sql(
        "SET lock_wait_timeout = 5, innodb_lock_wait_timeout = 5; \
         CREATE TABLE IF NOT EXISTS stillpoint_demo.probe (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB; \
         INSERT INTO stillpoint_demo.probe VALUES ()",
    );
}
