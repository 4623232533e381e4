//! The configuration file: what cannot be discovered, and what an admin wants otherwise than by default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::ask::cow_size::CowSize;
use crate::ask::share::Share;
use crate::failure::{Cause, Kind};

/// Where the configuration is looked for without `--config`.
pub const DEFAULT_PATH: &str = "/etc/stillpoint.toml";

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not the TOML that it should be.
    #[error("configuration {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        source: Box<toml::de::Error>,
    },
}

impl From<ConfigError> for Cause {
    fn from(error: ConfigError) -> Self {
        Self::of(Kind::Configuration, None, error)
    }
}

/// `stillpoint.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Run logs live under it; `/var/lib/stillpoint` by default.
    pub state_dir: Option<PathBuf>,
    /// What every VM does that says nothing else: `[defaults]`.
    #[serde(default)]
    pub defaults: PolicyConfig,
    /// Each VM by its name: `[vm.NAME]`.
    #[serde(default)]
    pub vm: BTreeMap<String, VmConfig>,
}

/// `[vm.NAME]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmConfig {
    /// `unix:PATH`, `tcp:HOST:PORT` or `vsock:CID:PORT` of the guest agent.
    pub agent: Option<String>,
    /// Its disks, each `VG/LV`.
    #[serde(default)]
    pub disks: Vec<String>,
    /// Mountpoints of the guest that are left out on purpose: their disks are none of `disks`.
    pub ignore_mounts: Option<Vec<String>>,
    /// Folder for artifacts.
    pub target: Option<PathBuf>,
    /// `[vm.NAME.database]`; without it no tables are locked.
    pub database: Option<DatabaseConfig>,
    /// `[vm.NAME.policy]`.
    #[serde(default, deserialize_with = "of_a_vm")]
    pub policy: PolicyConfig,
}

/// `[vm.NAME.database]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `agent`, `unix:PATH` or `tcp:HOST:PORT`.
    pub via: String,
    /// A file with a `[client]` section: `user` and `password`. Readable by its owner alone.
    pub credentials: Option<PathBuf>,
    /// `off`, `preferred` or `required`.
    pub tls: Option<String>,
    /// A file with the certificates that the server's may be signed by.
    pub tls_ca: Option<PathBuf>,
}

/// `[vm.NAME.policy]`, and `[defaults]`: everything in it may be left out. What each bounds, and what it is then, says
/// [`Policy`](super::policy::Policy).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// `application`, `filesystem` or `crash`.
    pub require: Option<String>,
    /// `auto`, `10G`, or `20%` of each origin.
    pub cow_size: Option<CowSize>,
    /// `10G`, or `50%` of each origin.
    pub cow_max: Option<Share>,
    /// `10G`, or `5%` of the group.
    pub vg_reserve: Option<Share>,
    /// zstd level.
    pub level: Option<i32>,
    /// How many threads copy.
    pub threads: Option<usize>,
    /// How long the agent may take for an answer to the survey.
    pub survey_agent_deadline_s: Option<u64>,
    /// How long the database may take for one.
    pub survey_database_deadline_s: Option<u64>,
    /// How long the guest may write out its dirty pages before the window.
    pub guest_sync_deadline_s: Option<u64>,
    /// `auto`, `require` or `none`.
    pub watchdog: Option<String>,
    /// How long each look at where things lie in the guest may take.
    pub marker_deadline_s: Option<u64>,
    /// `auto`, `tables`, `none` or `require`.
    pub lock: Option<String>,
    /// `auto`, `only` or `never`.
    pub dump: Option<String>,
    /// How long the next piece of a dump may take.
    pub dump_progress_deadline_s: Option<u64>,
    /// How long all of a dump may take.
    pub dump_deadline_s: Option<u64>,
    /// How long to wait for the lock.
    pub lock_deadline_s: Option<u64>,
    /// How long any other statement of the locking session may take.
    pub statement_deadline_s: Option<u64>,
    /// How long the guest may stand still until the snapshots are there.
    pub window_deadline_s: Option<u64>,
    /// How long the guest may take to freeze.
    pub freeze_deadline_s: Option<u64>,
    /// How long the volume groups may be another command's, before the window.
    pub attach_deadline_s: Option<u64>,
    /// How long to wait for the answer to the first thaw.
    pub first_thaw_deadline_s: Option<u64>,
    /// How long a thaw is repeated before a person is called.
    pub thaw_deadline_s: Option<u64>,
    /// How long udev may take to make a snapshot's device node.
    pub node_deadline_s: Option<u64>,
    /// Folder for artifacts. In `[defaults]` alone: a VM's own is no matter of policy, and stands in `[vm.NAME]`.
    pub target: Option<PathBuf>,
}

/// `[vm.NAME.policy]`, which has no target beside the VM's own.
fn of_a_vm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PolicyConfig, D::Error> {
    let policy = PolicyConfig::deserialize(deserializer)?;
    match policy.target {
        None => Ok(policy),
        Some(_) => Err(serde::de::Error::custom("`target` stands in [vm.NAME] itself, not in its policy")),
    }
}

impl Config {
    /// Reads `path`; where it is `None`, the default file, which may be missing.
    ///
    /// # Errors
    /// [`ConfigError`], with line and column where the text is at fault.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path: file.to_owned(), source }),
        };
        toml::from_str(&text).map_err(|source| ConfigError::Parse { path: file.to_owned(), source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    #[test]
    fn a_vm_is_read_with_its_database_and_policy() {
        let config: Config = toml::from_str(
            r#"
            [vm.db1]
            agent = "unix:/run/db1.qga"
            disks = ["vg/db1-root", "vg/db1-data"]
            target = "/backup"
            database = { via = "agent" }
            policy = { cow_size = "20%", lock_deadline_s = 10 }
            "#,
        )
        .unwrap();
        let vm = &config.vm["db1"];
        assert_eq!(vm.disks.len(), 2);
        assert_eq!(vm.policy.cow_size, Some(CowSize::Of(Share::Percent(20))));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_the_callers_mistake() {
        let cause = Cause::from(Config::load(Some(Path::new("/no-such-folder/stillpoint.toml"))).unwrap_err());
        assert_eq!((cause.kind, row(cause.kind, false).exit), (Kind::Configuration, Exit::Usage));
        assert!(cause.hint().contains("--config"), "{}", cause.hint());
    }

    #[test]
    fn a_misspelt_key_is_refused_by_name() {
        let error = toml::from_str::<Config>("[vm.db1]\nagnet = \"unix:/x\"").unwrap_err();
        assert!(error.to_string().contains("agnet"), "{error}");
    }
}
