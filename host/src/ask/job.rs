//! The job: what the command line and the configuration ask for together, validated, nothing looked at yet.

use std::path::PathBuf;
use std::time::Duration;

use guest_bridge::agent::Endpoint;
use guest_bridge::database::net::Address;

use crate::ask::config::{Config, VmConfig};
use crate::ask::cow_size::CowSize;
use crate::failure::Cause;
use crate::grade::Grade;
use lvm::LvName;

/// A backup that is asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// The VM's name: the configuration's, or the first disk's where flags alone describe it.
    pub vm: String,
    /// Its disks, in the order in which they are attached.
    pub disks: Vec<LvName>,
    /// The guest agent.
    pub agent: Option<Endpoint>,
    /// The agent to freeze through; `None` where the freeze was declined.
    pub freeze: Option<Endpoint>,
    /// How to reach the database; `None` where there is none.
    pub database: Option<DatabaseRoute>,
    /// How to do it.
    pub policy: Policy,
    /// Where run logs live.
    pub state_dir: PathBuf,
}

/// The way to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseRoute {
    /// Through what.
    pub via: Via,
    /// A file with user and password.
    pub credentials: Option<PathBuf>,
}

/// Through what the database is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A client inside the guest, fed through the agent.
    Agent {
        /// The server's socket, a path in the guest; `None` where the client finds it.
        socket: Option<String>,
    },
    /// A socket on this host, or an address in the network.
    Net(Address),
}

/// How a backup is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The weakest grade that is a success.
    pub require: Grade,
    /// Size of each COW volume.
    pub cow_size: CowSize,
    /// How long to wait for the tables.
    pub lock_deadline: Duration,
    /// How long the guest may take to freeze.
    pub freeze_deadline: Duration,
    /// zstd level.
    pub level: i32,
}

/// What the command line says; each overrides the configuration's.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The VM, of the configuration.
    pub vm: Option<String>,
    /// Disks, `vg/lv`.
    pub disks: Vec<String>,
    /// The agent's endpoint.
    pub agent: Option<String>,
    /// Decline the freeze.
    pub no_freeze: bool,
    /// `agent`, `unix:PATH`, `tcp:HOST:PORT` or `none`.
    pub database: Option<String>,
    /// The credentials file.
    pub credentials: Option<PathBuf>,
    /// The required grade.
    pub require: Option<Grade>,
    /// COW size.
    pub cow_size: Option<CowSize>,
    /// Lock deadline.
    pub lock_deadline: Option<Duration>,
    /// Freeze deadline.
    pub freeze_deadline: Option<Duration>,
    /// zstd level.
    pub level: Option<i32>,
    /// State folder.
    pub state_dir: Option<PathBuf>,
}

const DEFAULT_COW: CowSize = CowSize::PercentOfOrigin(20);
const DEFAULT_LOCK_DEADLINE: Duration = Duration::from_secs(30);
const DEFAULT_FREEZE_DEADLINE: Duration = Duration::from_secs(20);
const DEFAULT_STATE_DIR: &str = "/var/lib/stillpoint";
/// The copy's length is what the COW has to survive, and level 1 halves it.
const DEFAULT_LEVEL: i32 = 1;

impl Job {
    /// Puts the two together.
    ///
    /// # Errors
    /// Where something needed is missing, malformed or contradictory; nothing has been touched then.
    pub fn new(asked: Asked, config: &Config) -> Result<Self, Cause> {
        let vm_config = vm_config(asked.vm.as_deref(), config)?;
        let disks = disks(if asked.disks.is_empty() { &vm_config.disks } else { &asked.disks }, asked.vm.as_deref())?;
        let agent = match asked.agent.as_ref().or(vm_config.agent.as_ref()) {
            Some(text) => Some(text.parse::<Endpoint>().map_err(|error| {
                Cause::usage(format!("agent `{text}`: {error}"), "write unix:PATH, tcp:HOST:PORT or vsock:CID:PORT")
            })?),
            None => None,
        };
        let freeze = match (&agent, asked.no_freeze) {
            (_, true) => None,
            (Some(agent), false) => Some(agent.clone()),
            (None, false) => {
                return Err(Cause::usage(
                    "no guest agent is configured, so the guest cannot be frozen",
                    "give --agent unix:PATH, or --no-freeze for a copy that needs a journal replay",
                ));
            }
        };
        let database = database(&asked, &vm_config)?;
        if agent.is_none() && database.as_ref().is_some_and(|database| matches!(database.via, Via::Agent { .. })) {
            return Err(Cause::usage(
                "the database is to be reached through the agent, and no agent is configured",
                "give --agent unix:PATH",
            ));
        }
        let policy = policy(&asked, &vm_config, database.is_some())?;
        let first_disk = disks.first().map(|disk| disk.lv().to_owned()).unwrap_or_default();
        Ok(Self {
            vm: asked.vm.unwrap_or(first_disk),
            disks,
            agent,
            freeze,
            database,
            policy,
            state_dir: asked.state_dir.or_else(|| config.state_dir.clone()).unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
        })
    }
}

fn vm_config(name: Option<&str>, config: &Config) -> Result<VmConfig, Cause> {
    let Some(name) = name else { return Ok(VmConfig::default()) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Cause::usage(
            format!("`{}` cannot name a VM: it becomes a part of file names", name.escape_default()),
            "use up to 64 letters, digits, dots, dashes and underscores",
        ));
    }
    match config.vm.get(name) {
        Some(vm) => Ok(vm.clone()),
        None if config.vm.is_empty() => Ok(VmConfig::default()),
        None => {
            let known: Vec<&str> = config.vm.keys().map(String::as_str).collect();
            Err(Cause::usage(
                format!("the configuration has no VM `{name}`; it has {}", known.join(", ")),
                "name one of these, or describe the VM with --disk and --agent",
            ))
        }
    }
}

fn disks(names: &[String], vm: Option<&str>) -> Result<Vec<LvName>, Cause> {
    let mut disks: Vec<LvName> = Vec::new();
    for text in names {
        let name: LvName = text
            .parse()
            .map_err(|error| Cause::usage(format!("disk: {error}"), "a disk is a logical volume, VG/LV"))?;
        if disks.contains(&name) {
            return Err(Cause::usage(format!("disk {name} is named twice"), "name each disk once"));
        }
        disks.push(name);
    }
    if disks.is_empty() {
        let what = vm.map_or("no disk is named".to_owned(), |vm| format!("no disk of {vm} is named"));
        let hint =
            "give --disk VG/LV for each disk, or describe the VM in the configuration (/etc/stillpoint.toml, --config)";
        return Err(Cause::usage(what, hint));
    }
    Ok(disks)
}

fn database(asked: &Asked, vm: &VmConfig) -> Result<Option<DatabaseRoute>, Cause> {
    let via = asked.database.as_deref().or(vm.database.as_ref().map(|database| &*database.via));
    let credentials =
        asked.credentials.clone().or_else(|| vm.database.as_ref().and_then(|database| database.credentials.clone()));
    let via = match via {
        None | Some("none") => return Ok(None),
        Some("agent") => Via::Agent { socket: None },
        Some(text) if text.starts_with("agent:/") => {
            Via::Agent { socket: text.strip_prefix("agent:").map(str::to_owned) }
        }
        Some(text) => {
            let hint = "write agent, agent:/PATH-IN-THE-GUEST, unix:/PATH, tcp:HOST:PORT or none";
            Via::Net(text.parse().map_err(|error| Cause::usage(format!("database: {error}"), hint))?)
        }
    };
    Ok(Some(DatabaseRoute { via, credentials }))
}

fn policy(asked: &Asked, vm: &VmConfig, database: bool) -> Result<Policy, Cause> {
    let configured = &vm.policy;
    let required = match (asked.require, &configured.require) {
        (Some(grade), _) => grade,
        (None, Some(text)) => text.parse().map_err(|error: String| Cause::usage(error, "see policy.require"))?,
        (None, None) if database => Grade::Application,
        (None, None) => Grade::Filesystem,
    };
    let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    let level = asked.level.or(configured.level).unwrap_or(DEFAULT_LEVEL);
    if !(1..=19).contains(&level) {
        return Err(Cause::usage(format!("zstd level {level} is out of range"), "use 1 (fast) to 19 (small)"));
    }
    let policy = Policy {
        require: required,
        cow_size: asked.cow_size.or(configured.cow_size).unwrap_or(DEFAULT_COW),
        lock_deadline: asked.lock_deadline.or(seconds(configured.lock_deadline_s)).unwrap_or(DEFAULT_LOCK_DEADLINE),
        freeze_deadline: asked
            .freeze_deadline
            .or(seconds(configured.freeze_deadline_s))
            .unwrap_or(DEFAULT_FREEZE_DEADLINE),
        level,
    };
    for (name, deadline) in [("lock", policy.lock_deadline), ("freeze", policy.freeze_deadline)] {
        if deadline < Duration::from_secs(1) || deadline > Duration::from_secs(600) {
            return Err(Cause::usage(
                format!("the {name} deadline of {deadline:?} is out of range"),
                "use 1 s to 600 s",
            ));
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked { disks: vec!["vg/db".into()], agent: Some("unix:/run/qga".into()), ..Asked::default() }
    }

    fn refusal(asked: Asked, config: &str) -> String {
        Job::new(asked, &toml::from_str(config).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn flags_alone_describe_a_job_named_after_its_first_disk() {
        let job = Job::new(asked(), &Config::default()).unwrap();
        assert_eq!(job.vm, "db");
        assert_eq!(job.policy.require, Grade::Filesystem);
    }

    #[test]
    fn a_configured_database_requires_the_application_grade() {
        let job = Job::new(Asked { database: Some("agent".into()), ..asked() }, &Config::default()).unwrap();
        assert_eq!(job.policy.require, Grade::Application);
    }

    #[test]
    fn a_flag_overrides_the_configuration() {
        let config = toml::from_str("[vm.db1]\nagent = \"unix:/a\"\ndisks = [\"vg/a\"]\n").unwrap();
        let job = Job::new(Asked { vm: Some("db1".into()), disks: vec!["vg/b".into()], ..Asked::default() }, &config);
        assert_eq!(job.unwrap().disks[0].lv(), "b");
    }

    #[test]
    fn an_unknown_vm_is_refused_with_those_there_are() {
        let error = refusal(Asked { vm: Some("db2".into()), ..Asked::default() }, "[vm.db1]\n");
        assert!(error.contains("db1"), "{error}");
    }

    #[test]
    fn a_vm_name_that_would_leave_the_target_folder_is_refused() {
        let error = refusal(Asked { vm: Some("../etc".into()), ..asked() }, "");
        assert!(error.contains("cannot name a VM"), "{error}");
    }

    #[test]
    fn without_an_agent_the_freeze_has_to_be_declined_in_words() {
        let no_agent = Asked { agent: None, ..asked() };
        assert!(refusal(no_agent.clone(), "").contains("no guest agent"));
        assert!(Job::new(Asked { no_freeze: true, ..no_agent }, &Config::default()).unwrap().freeze.is_none());
    }

    #[test]
    fn a_disk_named_twice_is_refused() {
        let twice = Asked { disks: vec!["vg/db".into(), "/dev/vg/db".into()], ..asked() };
        assert!(refusal(twice, "").contains("twice"));
    }
}
