//! What host, guest and database say, asked once: the checks judge it, and ask nobody.
//!
//! That one does not answer ends nothing: the others are asked, and what it would have said is missing with the reason.

mod database;
mod guest;
mod host;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use guest_bridge::agent::AgentInfo;
use guest_bridge::database::holder::Holder;
use guest_bridge::database::privileges::Remark;
use guest_bridge::watchdog::Possible;
use lvm::{LvName, LvmVersion, Monitoring};

use self::database::DatabaseSeen;
use self::guest::GuestSeen;
use self::host::HostSeen;
use super::folders::FolderSeen;
use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::backup::foresight;
use crate::backup::survey::{self, DiskSurvey, Survey};
use crate::blocking::blocking;
use crate::failure::Cause;
use crate::recover::LeftRun;
use crate::stop::{Stop, Stopped};

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Unseen>;

/// Why there is no answer.
#[derive(Debug)]
pub enum Unseen {
    /// It was asked, and this came.
    Failed(Cause),
    /// It was not asked, for this reason.
    NotAsked(String),
}

/// Everything that was asked.
#[derive(Debug)]
pub struct Seen {
    /// As far as it goes, what a backup's survey would have: the disks that are fit, guest, server and places.
    pub survey: Survey,
    /// The disks that are not, and why.
    pub unfit: Vec<(LvName, Cause)>,
    /// What the agent says of itself; `None` where the job has none.
    pub agent: Option<Answer<AgentSeen>>,
    /// Whether the guest is not frozen: by its agent's word.
    pub thawed: Answer<()>,
    /// The guest's clock, and ours before and after.
    pub clock: Answer<ClockSeen>,
    /// Whether a watchdog could be armed.
    pub watchdog: Answer<Possible>,
    /// The database server.
    pub server: Answer<()>,
    /// What its account may not and a backup can do without; or that it may not lock.
    pub account: Answer<Vec<Remark>>,
    /// Who would keep the lock waiting now.
    pub busy: Answer<Vec<Holder>>,
    /// `wsrep_local_state_comment` of a Galera node.
    pub galera: Answer<Option<String>>,
    /// This host's LVM.
    pub lvm: Answer<LvmVersion>,
    /// What dmeventd does with snapshots.
    pub monitoring: Answer<Monitoring>,
    /// Whether LVM looks into this host's volumes.
    pub scans_volumes: Answer<bool>,
    /// Runs that died.
    pub left: io::Result<Vec<LeftRun>>,
    /// Where artifacts go; `None` where nobody has named a folder.
    pub target: Option<FolderSeen>,
    /// Where run logs are kept.
    pub state_dir: FolderSeen,
    /// Whether a guardian could be started.
    pub guardian: Answer<&'static str>,
}

/// What the agent says of itself.
#[derive(Debug)]
pub struct AgentSeen {
    /// Version and commands.
    pub info: AgentInfo,
    /// How long one answer took.
    pub answers_in: Duration,
}

/// A look at the guest's clock. All since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug)]
pub struct ClockSeen {
    /// Ours, just before it was asked.
    pub before: Duration,
    /// The guest's, in nanoseconds.
    pub guest_ns: i64,
    /// Ours, when it had answered.
    pub after: Duration,
}

impl Seen {
    /// Asks. It changes nothing.
    ///
    /// # Errors
    /// Only where a signal came.
    pub async fn take(job: &Job, world: &World, stop: &Stop) -> Result<Self, Stopped> {
        let (begun, mut disks, mut unfit) = (Instant::now(), Vec::new(), Vec::new());
        for name in &job.disks.value {
            stop.check()?;
            match blocking(|| DiskSurvey::take(name, world)) {
                Ok(disk) => disks.push(disk),
                Err(cause) => unfit.push((name.clone(), cause)),
            }
        }
        let host = HostSeen::take(job, world);
        let guest = stop.or(GuestSeen::take(job, world)).await?;
        let is_off = unfit.is_empty() && guest.is_nobody_there && disks.iter().all(|disk| !disk.origin.open);
        let database = match is_off {
            true => DatabaseSeen::none("the VM is off"),
            false => DatabaseSeen::take(job, world, stop).await?,
        };
        let (server, said) = match database.server {
            Ok(server) => (Some(server), Ok(())),
            Err(why) => (None, Err(why)),
        };
        let places = match (&guest.agent, is_off) {
            (_, true) => Err("the VM is off".to_owned()),
            (Some(Err(why)), _) => Err(why.to_string()),
            _ if matches!(guest.thawed, Err(Unseen::Failed(_))) => Err("the guest is frozen, or may be".to_owned()),
            _ => match stop.or(survey::look(job, world, guest.guest.as_ref(), server.as_ref())).await? {
                Ok(places) => places,
                Err(cause) => Err(cause.to_string()),
            },
        };
        if !is_off {
            foresight::look(job, disks.iter_mut().map(DiskSurvey::parts), begun, stop).await?;
        }
        let HostSeen { lvm, monitoring, scans_volumes, left, target, state_dir, guardian } = host;
        Ok(Self {
            survey: Survey { is_off, disks, guest: guest.guest, server, account: Vec::new(), places },
            unfit,
            agent: guest.agent,
            thawed: guest.thawed,
            clock: guest.clock,
            watchdog: guest.watchdog,
            server: said,
            account: database.account,
            busy: database.busy,
            galera: database.galera,
            lvm,
            monitoring,
            scans_volumes,
            left,
            target,
            state_dir,
            guardian,
        })
    }

    /// What the agent says of itself, where it said so.
    #[must_use]
    pub fn agent_info(&self) -> Option<&AgentInfo> {
        self.agent.as_ref()?.as_ref().ok().map(|agent| &agent.info)
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(cause) => write!(f, "{cause}"),
            Self::NotAsked(why) => f.write_str(why),
        }
    }
}

fn answer<T, E: Into<Cause>>(answer: Result<T, E>) -> Answer<T> {
    answer.map_err(|error| Unseen::Failed(error.into()))
}

fn not_asked<T>(why: &str) -> Answer<T> {
    Err(Unseen::NotAsked(why.to_owned()))
}
