//! The survey: what is there, on the host, in the guest and in the database. It changes nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::blocking::blocking;
use fsprobe::Kind;
use guest_bridge::agent::{self, AgentError, AgentInfo, Filesystem, FreezeStatus, SharedAgent};
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::database::privileges;
use guest_bridge::database::server::{self, Server};
use guest_bridge::places::{self, Places};

use crate::ask::connect::World;
use crate::ask::database::Via;
use crate::ask::job::Job;
use crate::backup::foresight::{self, Foresight};
use crate::backup::other_snapshots;
use crate::failure::{self, At, Cause, Failure};
use crate::step::Step;
use crate::stop::Stop;
use image::device::Device;
use lvm::{LvName, Origin};

/// Needed to freeze, and to be sure of the thaw.
pub(crate) const FREEZE_COMMANDS: [&str; 3] = ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw", "guest-fsfreeze-status"];
/// Needed to run a client in the guest.
pub(crate) const EXEC_COMMANDS: [&str; 2] = ["guest-exec", "guest-exec-status"];

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// The VM is off: nobody has any of its disks open, and where it has an agent, nothing listens there.
    pub is_off: bool,
    /// Each disk, in the job's order.
    pub disks: Vec<DiskSurvey>,
    /// The guest, where it has an agent.
    pub guest: Option<GuestSurvey>,
    /// The database server, where one is configured.
    pub server: Option<Server>,
    /// What its account may not, and a backup can do without.
    pub account: Vec<String>,
    /// Where in the guest its filesystems lie and what the database keeps; or why nobody could look.
    pub places: Result<Places, String>,
}

/// One disk.
#[derive(Debug)]
pub struct DiskSurvey {
    /// The volume.
    pub origin: Origin,
    /// What lies on it. Read from the live origin: good for the layout, no evidence of anything.
    pub layout: fsprobe::Disk,
    /// What is known of its writes and of its copy.
    pub foresight: Foresight,
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
        let begun = Instant::now();
        let mut disks = job
            .disks
            .value
            .iter()
            .map(|name| blocking(|| DiskSurvey::take(name, world)))
            .collect::<Result<Vec<_>, Cause>>()?;
        refuse_without_filesystem(&disks)?;
        if disks.iter().all(|disk| !disk.origin.open) && stop.or(nobody_listens(job, world)).await? {
            return Ok(Self::of_off(disks));
        }
        let guest = stop.or(GuestSurvey::take(job, world)).await??;
        let (server, account) = survey_server(job, world, stop).await?.unzip();
        let places = stop.or(look(job, world, guest.as_ref(), server.as_ref())).await??;
        foresight::look(job, disks.iter_mut().map(DiskSurvey::parts), begun, stop).await?;
        Ok(Self { is_off: false, disks, guest, server, account: account.unwrap_or_default(), places })
    }

    fn of_off(disks: Vec<DiskSurvey>) -> Self {
        let places = Err("the VM is off".to_owned());
        Self { is_off: true, disks, guest: None, server: None, account: Vec::new(), places }
    }

    /// Whether programs can be run in the guest.
    #[must_use]
    pub fn guest_can_exec(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.info.missing(&EXEC_COMMANDS).is_empty())
    }

    /// The directories in which the database keeps anything; none where none is configured.
    #[must_use]
    pub fn data_directories(&self) -> Vec<PathBuf> {
        directories_of(self.server.as_ref())
    }

    /// Why the database may keep more than was looked at: in the guest at the survey, and `after` the window.
    #[must_use]
    pub fn database_unseen(&self, places: &Places, after: &Result<Places, String>) -> Vec<String> {
        let Some(server) = &self.server else { return Vec::new() };
        let mut unseen = Vec::new();
        if server.table_directories_seen != Some(true) {
            unseen.push(
                "whether it has tables outside of its data directory (DATA DIRECTORY) could not be seen: its account needs PROCESS"
                    .to_owned(),
            );
        }
        if places.more || after.as_ref().is_ok_and(|after| after.more) {
            unseen.push("its directories have more links and mounts in them than are looked at".to_owned());
        }
        if let Err(why) = after {
            unseen.push(format!(
                "what was mounted or linked into its directories since the survey could not be seen: {why}"
            ));
        }
        unseen
    }

    /// What an admin should know before a backup.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        notes.extend(self.disks.iter().filter_map(|disk| other_snapshots::note(&disk.origin)));
        notes.extend(self.disks.iter().filter_map(|disk| pool_note(&disk.origin)));
        if let Some(server) = &self.server {
            if !server.log_bin {
                notes.push("the database writes no binlog: the receipt will have no coordinates".to_owned());
            }
            notes.extend(cluster_notes(server));
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
        if self.guest.is_some() && !self.guest_can_exec() {
            notes.push(
                "the agent blocks guest-exec: dirty pages are not written out beforehand, so the freeze takes longer; and that \
                 these disks are the guest's, with its database on them, cannot be proven: the grade is at best `filesystem`"
                    .to_owned(),
            );
        }
        notes
    }
}

/// A snapshot that has a COW volume of its own, of a thin volume: LVM suspends what is below the origin with it.
fn pool_note(origin: &lvm::Origin) -> Option<String> {
    let pool = origin.pool.as_ref()?;
    Some(format!(
        "{} is a thin volume in the pool {pool}: while its snapshot is attached and removed LVM suspends the whole pool for a moment, and \
         every guest on it waits",
        origin.name
    ))
}

/// What a database that is one of several means for a backup, and a backup for it.
fn cluster_notes(server: &Server) -> Vec<String> {
    let mut notes = Vec::new();
    if server.galera {
        notes.push(
            "the database is a Galera node: while it is locked it takes no part in its cluster (desync), and catches up after it"
                .to_owned(),
        );
    }
    if server.replication_group.is_some() {
        notes.push(
            "the database is set up as a member of a replication group: frozen, it answers no other member, and the group suspects it after \
             5 s and expels it group_replication_member_expel_timeout (5 s by default) later; a shorter window_deadline_s is below that"
                .to_owned(),
        );
    }
    let channels = server.replicates.iter().flat_map(|replicates| &replicates.channels);
    notes.extend(channels.map(|channel| {
        let name = if channel.name.is_empty() { String::new() } else { format!(" (channel {})", channel.name) };
        format!(
            "the database replicates from {}{name}: the receipt has how far it was, under `replicates`; its own coordinates are \
             of its own binlog",
            channel.source
        )
    }));
    if server.table_directories_seen == Some(false) {
        notes.push(
            "whether tables lie outside of the data directory (DATA DIRECTORY) cannot be seen: the database account needs \
             PROCESS for it; the grade will be `filesystem` at best"
                .to_owned(),
        );
    }
    notes
}

impl DiskSurvey {
    /// # Errors
    /// Where it is not there, cannot be read, or is not fit for a backup.
    pub(crate) fn take(name: &LvName, world: &World) -> Result<Self, Cause> {
        let origin = world.lvm.origin(name)?;
        let device = Device::open(&origin.device_path)?;
        let layout = fsprobe::layout(&device).map_err(|error| Cause::from(error).on(name))?;
        let foresight = Foresight::begin(&origin.device_path);
        Ok(Self { origin, layout, foresight })
    }

    /// What a look at its writes needs.
    pub(crate) fn parts(&mut self) -> (&Origin, &fsprobe::Disk, &mut Foresight) {
        (&self.origin, &self.layout, &mut self.foresight)
    }

    fn holds_something(&self) -> bool {
        self.layout.volumes.iter().any(|volume| !matches!(volume.kind, Kind::Empty | Kind::Unknown | Kind::Lvm2Pv))
    }
}

fn directories_of(server: Option<&Server>) -> Vec<PathBuf> {
    server.map(Server::data_directories).unwrap_or_default()
}

/// Whether nothing listens where the agent would be. A VM that runs has its side of the channel open, agent or not.
async fn nobody_listens(job: &Job, world: &World) -> bool {
    let Some(mut agent) = world.agent.clone() else { return true };
    let asked = agent::info(&mut agent, job.policy.survey_agent.value).await;
    asked.is_err_and(|error| error.is_nobody())
}

/// A disk of EFI variables, one that is still empty or one with raw data is copied whole beside the others. A job of nothing else
/// names the wrong volumes.
pub(crate) fn refuse_without_filesystem(disks: &[DiskSurvey]) -> Result<(), Cause> {
    if disks.iter().any(DiskSurvey::holds_something) {
        return Ok(());
    }
    let names: Vec<String> =
        disks.iter().map(|DiskSurvey { origin, .. }| format!("{} ({})", origin.name, origin.size)).collect();
    Err(Cause::refused(
        format!("no filesystem that is known here is on {}", names.join(", ")),
        "are they the right LVs, and has the guest ever written to them? `stillpoint check` shows what is on them",
    ))
}

/// Where things lie in the guest. It reads, and writes nothing. That it fails makes a backup less proven, and is no reason to refuse it.
pub(crate) async fn look(
    job: &Job,
    world: &World,
    guest: Option<&GuestSurvey>,
    server: Option<&Server>,
) -> Result<Result<Places, String>, Cause> {
    let (Some(mut agent), Some(guest)) = (world.agent.clone(), guest) else {
        return Ok(Err("no agent is configured".to_owned()));
    };
    if !job.freeze.value {
        return Ok(Err("no freeze was asked for".to_owned()));
    }
    let blocked = guest.info.missing(&EXEC_COMMANDS);
    if !blocked.is_empty() {
        return Ok(Err(format!("the agent blocks {}", blocked.join(" and "))));
    }
    match places::look(&mut agent, &directories_of(server), job.policy.marker.value).await.map_err(Cause::from) {
        Ok(places) => Ok(Ok(places)),
        Err(frozen) if frozen.kind == failure::Kind::GuestFrozen => Err(frozen),
        Err(cause) => Ok(Err(cause.to_string())),
    }
}

impl GuestSurvey {
    async fn take(job: &Job, world: &World) -> Result<Option<Self>, Cause> {
        let Some(mut agent) = world.agent.clone() else { return Ok(None) };
        let deadline = job.policy.survey_agent.value;
        let info = agent::info(&mut agent, deadline).await?;
        if job.freeze.value {
            // Asked first: while it is frozen an agent offers next to nothing.
            refuse_frozen(&info, &mut agent, deadline).await?;
        }
        refuse_blocked(job, &info)?;
        Self::list(info, &mut agent, deadline).await.map(Some)
    }

    /// What the agent says of the guest's mounts.
    ///
    /// # Errors
    /// Where the guest is found frozen.
    pub(crate) async fn list(info: AgentInfo, agent: &mut SharedAgent, deadline: Duration) -> Result<Self, Cause> {
        let (mut filesystems, mut unlisted) = (Vec::new(), None);
        if info.supports("guest-get-fsinfo") {
            // Only the plan's notes need them: an agent that stumbles over an odd device is backed up all the same.
            match agent::fsinfo(agent, deadline).await {
                Ok(listed) => filesystems = listed,
                // Also where we are not to freeze: somebody has to know.
                Err(error @ AgentError::Frozen { .. }) => return Err(error.into()),
                Err(error) => unlisted = Some(error.to_string()),
            }
        } else {
            unlisted = Some("the agent does not offer guest-get-fsinfo".to_owned());
        }
        Ok(Self { info, filesystems, unlisted })
    }
}

/// # Errors
/// Where the agent says that it is frozen, or gives no answer.
pub(crate) async fn refuse_frozen(info: &AgentInfo, agent: &mut SharedAgent, deadline: Duration) -> Result<(), Cause> {
    if info.supports("guest-fsfreeze-status") && agent::freeze_status(agent, deadline).await? == FreezeStatus::Frozen {
        return Err(Cause::plain(
            failure::Kind::GuestFrozen,
            "the guest's filesystems are frozen already, by someone else or by a run that died",
        ));
    }
    Ok(())
}

/// # Errors
/// Where the agent does not offer what the job cannot do without.
pub(crate) fn refuse_blocked(job: &Job, info: &AgentInfo) -> Result<(), Cause> {
    if job.freeze.value {
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
    Ok(())
}

/// The server, and what its account may not. One that may not lock it is refused here, before anything is made or locked.
async fn survey_server(job: &Job, world: &World, stop: &Stop) -> Result<Option<(Server, Vec<String>)>, Cause> {
    let Some(open) = &world.database else { return Ok(None) };
    let deadline = job.policy.survey_database.value;
    // Opened to the end also after a signal: half open it could not be closed, and its client would stay in the guest.
    let mut session = open(deadline).await?;
    let surveyed = async {
        let server = server::identify(&mut *session, deadline).await?;
        let method = LockMethod::choose(&server, job.policy.lock_wish.value).method;
        let account = privileges::prove(&mut *session, &server, method, deadline).await?;
        Ok::<_, Cause>((server, account.into_iter().map(|remark| remark.text).collect()))
    };
    let surveyed = stop.or(surveyed).await;
    session.close().await;
    Ok(Some(surveyed??))
}
