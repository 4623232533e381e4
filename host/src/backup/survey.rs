//! The survey: what is there, on the host, in the guest and in the database. It changes nothing.

use crate::blocking::blocking;
use fsprobe::Kind;
use guest_bridge::agent::{self, AgentError, AgentInfo, Filesystem, FreezeStatus};
use guest_bridge::database::privileges;
use guest_bridge::database::server::{self, Server};

use crate::ask::connect::World;
use crate::ask::database::Via;
use crate::ask::job::Job;
use crate::backup::proof::keeps_no_proof;
use crate::failure::{self, At, Cause, Failure};
use crate::step::Step;
use crate::stop::Stop;
use image::device::Device;
use lvm::{LvName, Origin};

/// Needed to freeze, and to be sure of the thaw.
const FREEZE_COMMANDS: [&str; 3] = ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw", "guest-fsfreeze-status"];
/// Needed to run a client in the guest.
const EXEC_COMMANDS: [&str; 2] = ["guest-exec", "guest-exec-status"];

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// Each disk, in the job's order.
    pub disks: Vec<DiskSurvey>,
    /// The guest, where it has an agent.
    pub guest: Option<GuestSurvey>,
    /// The database server, where one is configured.
    pub server: Option<Server>,
    /// What its account may not, and a backup can do without.
    pub account: Vec<String>,
}

/// One disk.
#[derive(Debug)]
pub struct DiskSurvey {
    /// The volume.
    pub origin: Origin,
    /// What lies on it. Read from the live origin: good for the layout, no evidence of anything.
    pub layout: fsprobe::Disk,
}

/// The guest, as its agent describes it: claims, not facts.
#[derive(Debug)]
pub struct GuestSurvey {
    /// Version and commands.
    pub info: AgentInfo,
    /// Mounted filesystems; empty where the agent does not say.
    pub filesystems: Vec<Filesystem>,
    /// Why it does not say.
    pub unlisted: Option<String>,
}

impl Survey {
    /// Looks at everything that `job` names.
    ///
    /// # Errors
    /// What is not there, or not fit for a backup.
    pub async fn take(job: &Job, world: &World, stop: &Stop) -> Result<Self, Failure> {
        Self::look(job, world, stop).await.at(Step::Survey)
    }

    async fn look(job: &Job, world: &World, stop: &Stop) -> Result<Self, Cause> {
        let disks = job
            .disks
            .value
            .iter()
            .map(|name| blocking(|| DiskSurvey::take(name, world)))
            .collect::<Result<Vec<_>, Cause>>()?;
        let guest = stop.or(GuestSurvey::take(job, world)).await??;
        let (server, account) = survey_server(job, world, stop).await?.unzip();
        Ok(Self { disks, guest, server, account: account.unwrap_or_default() })
    }

    /// Whether programs can be run in the guest.
    #[must_use]
    pub fn guest_can_exec(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.info.missing(&EXEC_COMMANDS).is_empty())
    }

    /// What an admin should know before a backup.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for DiskSurvey { origin, layout } in &self.disks {
            if !origin.snapshots.is_empty() {
                notes.push(format!(
                    "{} has {} snapshots already; each makes every write of the guest slower",
                    origin.name,
                    origin.snapshots.len()
                ));
            }
            for volume in layout.volumes.iter().filter(|volume| keeps_no_proof(volume.kind)) {
                notes.push(format!(
                    "{} volume {} is {:?}: a freeze of it cannot be proven from its bytes",
                    origin.name, volume.path, volume.kind
                ));
            }
        }
        if let Some(server) = &self.server {
            if !server.log_bin {
                notes.push("the database writes no binlog: the receipt will have no coordinates".to_owned());
            }
            match server.non_transactional_tables {
                Some(0) => {}
                Some(count) => {
                    notes.push(format!("{count} tables are in an engine without transactions (MyISAM, Aria, ...)"));
                }
                None => notes.push(
                    "whether there are tables in an engine without transactions (MyISAM, Aria, ...) cannot be seen: the \
                     database account needs SELECT on *.* for it"
                        .to_owned(),
                ),
            }
        }
        notes.extend(self.account.iter().cloned());
        if let Some(why) = self.guest.as_ref().and_then(|guest| guest.unlisted.as_ref()) {
            notes.push(format!("whether the guest has disks that this job does not name cannot be seen: {why}"));
        }
        if self.guest.is_some() && !self.guest_can_exec() {
            notes.push(
                "the agent blocks guest-exec: dirty pages are not written out beforehand, so the freeze takes longer"
                    .to_owned(),
            );
        }
        notes
    }
}

impl DiskSurvey {
    fn take(name: &LvName, world: &World) -> Result<Self, Cause> {
        let origin = world.lvm.origin(name)?;
        let device = Device::open(&origin.device_path)?;
        let layout = fsprobe::layout(&device).map_err(|error| Cause::from(error).on(name))?;
        if !layout.volumes.iter().any(|volume| holds_something(volume.kind)) {
            return Err(Cause::refused(
                format!("{name} holds no filesystem that is known here, on {} of disk", origin.size),
                "is it the right LV, and has the guest ever written to it? `stillpoint check` shows what is on it",
            ));
        }
        Ok(Self { origin, layout })
    }
}

impl GuestSurvey {
    async fn take(job: &Job, world: &World) -> Result<Option<Self>, Cause> {
        let Some(mut agent) = world.agent.clone() else { return Ok(None) };
        let deadline = job.policy.survey_agent.value;
        let info = agent::info(&mut agent, deadline).await?;
        if job.freeze.value {
            // Asked first: while it is frozen an agent offers next to nothing.
            if info.supports("guest-fsfreeze-status")
                && agent::freeze_status(&mut agent, deadline).await? == FreezeStatus::Frozen
            {
                return Err(Cause::plain(
                    failure::Kind::GuestFrozen,
                    "the guest's filesystems are frozen already, by someone else or by a run that died",
                ));
            }
            let missing = info.missing(&FREEZE_COMMANDS);
            if !missing.is_empty() {
                return Err(Cause::refused(
                    format!("the guest agent {} does not offer {}", info.version, missing.join(", ")),
                    "allow these commands in the guest's qemu-ga configuration, or use --no-freeze",
                ));
            }
        }
        if job.database.value.as_ref().is_some_and(|database| matches!(database.via, Via::Agent { .. })) {
            let missing = info.missing(&EXEC_COMMANDS);
            if !missing.is_empty() {
                return Err(Cause::refused(
                    format!("the guest agent blocks {}: no database session can go through it", missing.join(" and ")),
                    "allow guest-exec and guest-exec-status in the guest (FILTER_RPC_ARGS, BLOCK_RPCS or BLACKLIST_RPC in \
                     /etc/sysconfig/qemu-ga, block-rpcs or allow-rpcs in qemu-ga.conf), or reach the database with --db \
                     unix:PATH or tcp:HOST:PORT",
                ));
            }
        }
        let (mut filesystems, mut unlisted) = (Vec::new(), None);
        if info.supports("guest-get-fsinfo") {
            // Only the plan's notes need them: an agent that stumbles over an odd device is backed up all the same.
            match agent::fsinfo(&mut agent, deadline).await {
                Ok(listed) => filesystems = listed,
                // Also where we are not to freeze: somebody has to know.
                Err(error @ AgentError::Frozen { .. }) => return Err(error.into()),
                Err(error) => unlisted = Some(error.to_string()),
            }
        } else {
            unlisted = Some("the agent does not offer guest-get-fsinfo".to_owned());
        }
        Ok(Some(Self { info, filesystems, unlisted }))
    }
}

/// The server, and what its account may not. One that may not lock it is refused here, before anything is made or locked.
async fn survey_server(job: &Job, world: &World, stop: &Stop) -> Result<Option<(Server, Vec<String>)>, Cause> {
    let Some(open) = &world.database else { return Ok(None) };
    let deadline = job.policy.survey_database.value;
    // Opened to the end also after a signal: half open it could not be closed, and its client would stay in the guest.
    let mut session = open(deadline).await?;
    let surveyed = async {
        let server = server::identify(&mut *session, deadline).await?;
        let account = privileges::prove(&mut *session, &server, deadline).await?;
        Ok::<_, Cause>((server, account))
    };
    let surveyed = stop.or(surveyed).await;
    session.close().await;
    Ok(Some(surveyed??))
}

fn holds_something(kind: Kind) -> bool {
    !matches!(kind, Kind::Empty | Kind::Unknown | Kind::Lvm2Pv)
}
