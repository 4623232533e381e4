//! A fault of any peer at any of its calls: nothing is left behind.

use std::sync::Arc;

use guest_bridge::agent::Fault as AgentFault;
use guest_bridge::database::lock_method::LockWish;
use guest_bridge::database::scripted::Outcome as Answer;
use lvm::Lvm;
use lvm::simulated::Fault as LvmFault;
use stillpoint::ask::connect::World;
use stillpoint::backup::Outcome;
use stillpoint::failure::exit::Exit;
use stillpoint::grade::{Grade, Indication};

use super::peers::Panicking;
use super::setting::{Setting, assert_all_or_nothing};

#[tokio::test(start_paused = true)]
async fn any_fault_of_the_agent_at_any_of_its_calls_leaves_nothing_behind() {
    let calls = {
        let healthy = Setting::new();
        healthy.back_up().await.unwrap();
        healthy.guest.calls()
    };
    for nth in 0..calls {
        for fault in AgentFault::ALL {
            let case = format!("agent call {nth}: {fault:?}");
            let setting = Setting::new();
            let setting = Setting { guest: setting.guest.clone().fails_at_call(nth, fault), ..setting };
            let result = setting.back_up().await;
            assert_all_or_nothing(&setting, &result, &case);
            if setting.guest.is_frozen() {
                // Nobody can thaw a guest whose agent is gone: it has to be said, loudly.
                assert_eq!(fault, AgentFault::Gone, "{case}: the guest is frozen");
                assert_eq!(result.unwrap_err().exit(), Exit::NeedsPerson, "{case}");
                continue;
            }
            setting.assert_nothing_is_held(&case);
            if fault != AgentFault::Gone {
                setting.assert_no_marker_is_left(&case);
            }
            if let Err(failure) = result {
                let gone = fault == AgentFault::Gone && failure.exit() == Exit::NeedsPerson;
                assert!(failure.exit() == Exit::Failed || gone, "{case}: {failure}: {:?}", failure.exit());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_fault_of_the_database_at_any_of_its_statements_leaves_nothing_behind() {
    for wish in [LockWish::Auto, LockWish::None] {
        let healthy = Setting::new();
        healthy.back_up_as(|asked| asked.lock = Some(wish)).await.unwrap();
        for nth in 1..=healthy.database.statements() {
            let refused = Answer::Refuses(1205, "Lock wait timeout exceeded".to_owned());
            for (name, answer) in [("refused", refused), ("lost", Answer::LosesSession), ("hangs", Answer::Hangs)] {
                let setting = Setting::new();
                let case = format!("lock {wish}: statement {nth} {name}");
                let setting = Setting { database: setting.database.clone().fails_at_statement(nth, answer), ..setting };
                let result = setting.back_up_as(|asked| asked.lock = Some(wish)).await;
                assert_all_or_nothing(&setting, &result, &case);
                setting.assert_nothing_is_held(&case);
                setting.assert_no_marker_is_left(&case);
                match result {
                    // After the snapshot a database that fails weakens the grade, and never fails the backup.
                    Ok(outcome) => assert!(outcome.receipt.grade >= Grade::Filesystem, "{case}"),
                    Err(failure) => assert_eq!(failure.exit(), Exit::Failed, "{case}: {failure}"),
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_fault_of_lvm_at_any_of_its_calls_leaves_nothing_behind() {
    let calls = {
        let healthy = Setting::new();
        healthy.back_up().await.unwrap();
        healthy.lvm.calls()
    };
    for nth in 1..=calls {
        for fault in LvmFault::ALL_BUT_DEATH {
            let case = format!("lvm call {nth}: {fault:?}");
            let setting = Setting::new();
            setting.lvm.fail_call(nth, fault);
            let result = setting.back_up().await;
            assert!(!setting.guest.is_frozen(), "{case}: the guest is frozen");
            assert!(!setting.database.is_locked(), "{case}: the tables are locked");
            for disk in ["vg/root", "vg/data"] {
                assert!(!setting.lvm.is_suspended(&disk.parse().unwrap()), "{case}: {disk} is suspended");
            }
            let left = setting.lvm.volumes() != ["vg/data", "vg/root"];
            match result {
                Ok(outcome) => assert_eq!(left, outcome.exit() == Exit::NeedsPerson, "{case}: {:?}", outcome.left),
                Err(failure) => {
                    assert_eq!(setting.files(), [""; 0], "{case}: {failure}");
                    assert_eq!(left, failure.exit() == Exit::NeedsPerson, "{case}: {failure}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_dies_inside_the_window_leaves_grade_filesystem() {
    let healthy = Setting::new();
    healthy.back_up().await.unwrap();
    let entries = healthy.log.entries();
    let thaw = entries.iter().position(|entry| entry.starts_with("agent: guest-fsfreeze-thaw")).unwrap();
    let sent = |entry: &&String| entry.starts_with("database: ") && *entry != "database: close";
    let first_after_thaw = entries[..thaw].iter().filter(sent).count() + 1;

    let setting = Setting::new();
    let dying = setting.database.clone().fails_at_statement(first_after_thaw, Answer::LosesSession);
    let setting = Setting { database: dying, ..setting };
    let outcome = setting.back_up().await.unwrap();
    assert_eq!(outcome.receipt.grade, Grade::Filesystem);
    assert_eq!(outcome.exit(), Exit::Weaker);
    assert!(outcome.receipt.reasons[0].contains("lock was lost"), "{:?}", outcome.receipt.reasons);
}

#[tokio::test(start_paused = true)]
async fn engine_logs_that_the_server_does_not_flush_leave_grade_filesystem_and_are_in_the_receipt() {
    let setting = Setting::new();
    let refuses = Answer::Refuses(1227, "Access denied; you need the RELOAD privilege".to_owned());
    let setting =
        Setting { database: setting.database.clone().fails_at("FLUSH LOCAL ENGINE LOGS", refuses), ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem);
    assert_eq!(receipt.indications, [Indication::EngineLogsNotFlushed]);
    for word in ["MariaDB 10.11.19", "innodb_flush_log_at_trx_commit = 1", "RELOAD"] {
        assert!(receipt.reasons[0].contains(word), "{:?}", receipt.reasons);
    }
    let window = serde_json::to_value(&receipt.window).unwrap();
    assert_eq!(window["engine_logs"]["state"], "not-flushed", "{window}");
    assert_eq!(window["lock"]["state"], "held-through", "{window}");
    setting.assert_nothing_is_held("engine logs");
    setting.assert_no_marker_is_left("engine logs");
}

#[tokio::test(start_paused = true)]
async fn any_fault_under_the_lock_leaves_the_database_as_it_was_set() {
    let set =
        |setting: Setting| Setting { database: setting.database.clone().with_flush_log_at_trx_commit(0), ..setting };
    let statements = {
        let healthy = set(Setting::new());
        assert_eq!(healthy.back_up().await.unwrap().receipt.grade, Grade::Application);
        healthy.database.statements()
    };
    for nth in 1..=statements {
        for answer in [Answer::Refuses(1227, "Access denied".to_owned()), Answer::LosesSession, Answer::Hangs] {
            let setting = set(Setting::new());
            let setting = Setting { database: setting.database.clone().fails_at_statement(nth, answer), ..setting };
            setting.back_up().await.ok();
            setting.assert_nothing_is_held(&format!("statement {nth}"));
            setting.assert_no_marker_is_left(&format!("statement {nth}"));
            assert_eq!(setting.database.flush_log_at_trx_commit(), 0, "statement {nth}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_inside_the_window_thaws_unlocks_and_removes() {
    let setting = Arc::new(Setting::new());
    let lvm = Lvm::with_device_dir(Arc::new(Panicking(setting.lvm.clone())), setting.path("dev"));
    let panicking = setting.clone();
    let run = tokio::spawn(async move {
        let world = World { lvm, ..panicking.world() };
        panicking.back_up_in(world).await.map(drop)
    });
    assert!(run.await.unwrap_err().is_panic());
    setting.assert_nothing_is_held("panic");
    setting.assert_no_marker_is_left("panic");
    assert_eq!(setting.files(), [""; 0]);
}
