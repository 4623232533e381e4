//! What the search finds where the model is broken on purpose: a model that cannot fail would test nothing.

use crate::broken::Broken;
use crate::search::explore;
use crate::{EVERYTHING, Model};

const FOR_EVER: &str = "this goes on for ever";
const HELD: &str = "nobody does anything any more, and something is held";
const UNLOCKED: &str = "the tables were unlocked, and the guest may be frozen";
const APPLICATION: &str = "a backup was called `application`, and its window was broken";
const NO_INTENT: &str = "something was taken, and no intent to take it was on the disk";

/// The search finds `what`, after these moves among others, and with one fault less it finds nothing.
#[track_caller]
fn assert_found(model: Model, what: &str, moves: &[&str]) {
    let found = explore(&model).expect_err("the search finds nothing");
    println!("{model:?}: {found}");
    assert_eq!(found.what, what);
    let mut way = found.way.iter();
    for wanted in moves {
        assert!(way.any(|done| done == wanted), "`{wanted}` is not there, or comes before another: {found}");
    }
    if let Some(faults) = model.faults.checked_sub(1) {
        explore(&Model { faults, ..model }).unwrap_or_else(|found| panic!("{faults} faults are enough: {found}"));
    }
}

fn broken(broken: Broken, faults: u8) -> Model {
    Model { broken: Some(broken), faults, ..EVERYTHING }
}

#[test]
fn a_recovery_that_forgets_the_freeze_leaves_the_guest_frozen() {
    let without_watchdog = Model { watchdog: false, ..broken(Broken::RecoverForgetsTheFreeze, 1) };
    let way = ["coordinator freezes", "coordinator is killed", "guardian reads what the run may hold", "guardian ends"];
    assert_found(without_watchdog, HELD, &way);
}

#[test]
fn a_thaw_that_believes_the_first_status_misses_a_freeze_that_comes_late() {
    let way = ["coordinator freezes: is done later", "coordinator thaws", "coordinator has thawed"];
    assert_found(broken(Broken::FirstStatusIsBelieved, 2), UNLOCKED, &way);
}

/// So much is too late for a second look, too; the channel, which keeps the order, is what rules it out.
#[test]
fn a_freeze_that_three_later_commands_overtake_is_missed() {
    let way = ["coordinator freezes: is done later", "coordinator asks for the status", "coordinator has thawed"];
    assert_found(Model { overtaken_by: 3, ..EVERYTHING }, UNLOCKED, &way);
}

/// Each answer is then that to the question before, and it is never sure.
#[test]
fn a_client_that_does_not_resynchronise_takes_a_reply_for_another() {
    assert_found(
        broken(Broken::NoResync, 1),
        FOR_EVER,
        &["coordinator freezes: is done, and its reply comes too late"],
    );
}

#[test]
fn a_guardian_that_begins_before_the_resync_is_never_sure() {
    let way = ["coordinator is killed", "guardian has the log's lock", "for ever: guardian asks for the status"];
    assert_found(broken(Broken::RecoverBeforeTheResync, 2), FOR_EVER, &way);
}

#[test]
fn a_watchdog_without_a_token_is_armed_after_it_was_disarmed() {
    let way = ["coordinator arms the watchdog: is done later", "coordinator disarms the watchdog"];
    let late = ["guest comes to arm the watchdog"];
    assert_found(broken(Broken::WatchdogWithoutToken, 1), NO_INTENT, &[&way[..], &late[..]].concat());
}

#[test]
fn an_unlock_before_the_thaw_is_found_without_any_fault() {
    assert_found(broken(Broken::UnlockBeforeThaw, 0), UNLOCKED, &["coordinator freezes"]);
}

#[test]
fn a_grade_that_ignores_the_counts_calls_a_window_whole_that_another_client_broke() {
    let way = ["coordinator attaches a snapshot", "another client thaws", "coordinator publishes"];
    assert_found(broken(Broken::CountsAreIgnored, 1), APPLICATION, &way);
}

#[test]
fn a_lock_that_is_not_asked_for_after_the_snapshot_may_have_been_lost_in_it() {
    let way = ["coordinator freezes", "database ends the session that holds the lock", "coordinator publishes"];
    assert_found(broken(Broken::LockIsNotAskedFor, 1), APPLICATION, &way);
}

#[test]
fn an_intent_behind_its_freeze_is_found_without_any_fault() {
    assert_found(broken(Broken::IntentAfterTheFreeze, 0), NO_INTENT, &["coordinator freezes"]);
}

#[test]
fn a_log_that_speaks_of_a_thaw_before_it_leaves_the_guest_frozen() {
    let without_watchdog = Model { watchdog: false, ..broken(Broken::OutcomeBeforeTheThaw, 1) };
    assert_found(without_watchdog, HELD, &["coordinator freezes", "guardian ends"]);
}

#[test]
fn a_volume_that_is_forgotten_while_its_origin_is_suspended_leaves_the_guest_frozen() {
    let killed = "coordinator is killed: with LVM, in the middle of an attach";
    let way = [killed, "guardian resumes origins that are suspended: fails", "guardian removes the COW volumes"];
    assert_found(broken(Broken::OriginsAreForgotten, 2), FOR_EVER, &way);
}
