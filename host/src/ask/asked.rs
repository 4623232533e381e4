//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

use guest_bridge::database::lock_method::LockWish;
use guest_bridge::database::net::TlsWish;

use crate::ask::cow_size::CowSize;
use crate::ask::policy::{DumpWish, WatchdogWish};
use crate::grade::Grade;

/// What the command line says; each overrides the configuration's.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The VM, of the configuration.
    pub vm: Option<String>,
    /// `--disk`, `vg/lv`.
    pub disks: Vec<String>,
    /// `--ignore-mount`: mountpoints of the guest that are left out on purpose.
    pub ignore_mounts: Vec<String>,
    /// `--agent`: its endpoint.
    pub agent: Option<String>,
    /// `--no-freeze`: decline the freeze.
    pub no_freeze: bool,
    /// `--db`: `agent`, `unix:PATH`, `tcp:HOST:PORT` or `none`.
    pub database: Option<String>,
    /// `--db-credentials`.
    pub credentials: Option<PathBuf>,
    /// `--db-tls`.
    pub tls: Option<TlsWish>,
    /// `--db-ca`.
    pub tls_ca: Option<PathBuf>,
    /// `--to`: a folder, or `-`.
    pub to: Option<PathBuf>,
    /// `--require`.
    pub require: Option<Grade>,
    /// `--watchdog`.
    pub watchdog: Option<WatchdogWish>,
    /// `--cow-size`.
    pub cow_size: Option<CowSize>,
    /// `--dump`.
    pub dump: Option<DumpWish>,
    /// `--lock`.
    pub lock: Option<LockWish>,
    /// `--lock-deadline`.
    pub lock_deadline: Option<Duration>,
    /// `--window-deadline`.
    pub window_deadline: Option<Duration>,
    /// `--freeze-deadline`.
    pub freeze_deadline: Option<Duration>,
    /// `--level`.
    pub level: Option<i32>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
}

/// What a flag says, with its name.
pub(super) fn flag<T>(name: &'static str, value: Option<T>) -> Option<(&'static str, T)> {
    value.map(|value| (name, value))
}
