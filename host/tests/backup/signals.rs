//! A signal at any moment: everything before it is undone.

use std::sync::Arc;

use guest_bridge::agent::SharedAgent;
use lvm::Lvm;
use stillpoint::ask::connect::World;
use stillpoint::backup::Outcome;
use stillpoint::failure::Failure;
use stillpoint::failure::exit::Exit;

use super::peers::Interrupting;
use super::setting::{Setting, assert_all_or_nothing};

fn assert_stopped(setting: &Setting, result: Result<Outcome, Failure>, case: &str) {
    assert_all_or_nothing(setting, &result, case);
    setting.assert_nothing_is_held(case);
    setting.assert_no_marker_is_left(case);
    if let Err(failure) = result {
        assert_eq!(failure.exit(), Exit::Failed, "{case}: {failure}");
        assert!(failure.to_string().contains("stopped by SIGTERM"), "{case}: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_at_any_program_undoes_everything_before_it() {
    let healthy = Setting::new();
    healthy.back_up().await.unwrap();
    for at in 0..healthy.lvm.calls() {
        let setting = Setting::new();
        let programs = Interrupting::new(setting.lvm.clone(), setting.stop.clone(), at);
        let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
        let result = setting.back_up_in(World { lvm, ..setting.world() }).await;
        assert_stopped(&setting, result, &format!("signal at program {at}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_at_any_agent_call_undoes_everything_before_it() {
    let healthy = Setting::new();
    healthy.back_up().await.unwrap();
    for at in 0..healthy.guest.calls() {
        let setting = Setting::new();
        let agent = SharedAgent::new(Interrupting::new(setting.guest.clone(), setting.stop.clone(), at));
        let result = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await;
        assert_stopped(&setting, result, &format!("signal at agent call {at}"));
    }
}
