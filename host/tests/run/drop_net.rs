//! The net below every explicit release: a guard that is dropped, by a panic or with its future, wherever that happens.

use std::time::Duration;

use stillpoint::run::held::{Held, Means, release_in_drop};
use tokio::runtime::{Builder, Runtime};

use crate::held::Setting;

struct Guard {
    held: Vec<Held>,
    means: Means,
}

impl Drop for Guard {
    fn drop(&mut self) {
        release_in_drop(&self.held, &self.means);
    }
}

/// A frozen guest and an attached volume, in the hands of a guard.
fn guard(setting: &Setting) -> Guard {
    let frozen = one_thread().block_on(setting.freeze());
    Guard { held: vec![setting.cow(0, true), frozen], means: setting.means() }
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn several_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn assert_given_back(setting: &Setting) {
    assert!(!setting.guest.is_frozen());
    assert_eq!(setting.lvm.volumes(), ["vg/data"]);
}

#[test]
fn without_a_runtime() {
    let setting = Setting::new();
    drop(guard(&setting));
    assert_given_back(&setting);
}

#[test]
fn in_a_runtime_of_one_thread() {
    let setting = Setting::new();
    let guard = guard(&setting);
    one_thread().block_on(async { drop(guard) });
    assert_given_back(&setting);
}

#[test]
fn in_a_runtime_of_several_threads_and_in_a_task_of_it() {
    for spawned in [false, true] {
        let setting = Setting::new();
        let guard = guard(&setting);
        several_threads()
            .block_on(async { if spawned { tokio::spawn(async { drop(guard) }).await.unwrap() } else { drop(guard) } });
        assert_given_back(&setting);
    }
}

#[test]
fn in_a_thread_that_is_there_for_blocking_work() {
    let setting = Setting::new();
    let guard = guard(&setting);
    several_threads().block_on(async { tokio::task::spawn_blocking(|| drop(guard)).await.unwrap() });
    assert_given_back(&setting);
}

#[test]
fn in_a_panic() {
    let setting = Setting::new();
    let guard = guard(&setting);
    let runtime = several_threads();
    let panicking = runtime.spawn(async {
        let _guard = guard;
        panic!("a bug of ours");
    });
    let panicking = runtime.block_on(panicking);
    assert!(panicking.unwrap_err().is_panic());
    assert_given_back(&setting);
}

#[test]
fn in_a_task_that_is_dropped_with_its_runtime() {
    for runtime in [one_thread(), several_threads()] {
        let setting = Setting::new();
        let guard = guard(&setting);
        runtime.block_on(async {
            let (begun, begins) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                let _guard = guard;
                begun.send(()).unwrap();
                std::future::pending::<()>().await;
            });
            begins.await.unwrap();
        });
        drop(runtime);
        assert_given_back(&setting);
    }
}

#[test]
fn what_cannot_be_given_back_does_not_panic() {
    let setting = Setting::new();
    let mut guard = guard(&setting);
    guard.means.agent = None;
    guard.means.thaw_deadline = Duration::ZERO;
    several_threads().block_on(async { drop(guard) });
    assert!(setting.guest.is_frozen());
    assert_eq!(setting.lvm.volumes(), ["vg/data"]);
}
