//! The seams to the world that a backup works through, real ones or scripted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use guest_bridge::agent::{Agent, QgaTransport, SharedAgent};
use guest_bridge::database::agent_session::{AgentSession, Owner};
use guest_bridge::database::net::{NetSession, Tls};
use guest_bridge::database::{Credentials, DatabaseError, OpenSession};

use crate::ask::database::{DatabaseRoute, Via};
use crate::ask::job::Job;
use crate::clock::Clock;
use crate::failure::Cause;
use lvm::Lvm;
use lvm::programs::{HostPrograms, Programs};

/// Everything outside: programs (below [`Lvm`]), agent, database, clock. Disks are read through the paths that LVM names.
#[derive(Clone)]
pub struct World {
    /// LVM, and through it every program that is started.
    pub lvm: Lvm,
    /// The guest agent; `None` where the job has none.
    pub agent: Option<SharedAgent>,
    /// Opens sessions to the database; `None` where the job has none.
    pub database: Option<OpenSession>,
    /// What the sessions that are inside the guest are named after, and found again by when we are dead; `None` where they end with us.
    pub session: Option<Owner>,
    /// How a dump client in the guest gets into the server; `None` where the database is not reached through the agent.
    pub guest_login: Option<GuestLogin>,
    /// How a run's guardian is started; `None` where it has none.
    pub guardian: Option<Starter>,
    /// The clock.
    pub clock: Clock,
}

/// Who a client inside the guest is, and where it finds the server.
#[derive(Clone, Debug, Default)]
pub struct GuestLogin {
    /// The account; `None` where the guest's own option files say, or root needs none.
    pub credentials: Option<Credentials>,
    /// The server's socket, a path in the guest; `None` where the client finds it.
    pub socket: Option<String>,
}

/// What starts a guardian.
#[derive(Clone)]
pub struct Starter {
    /// This host's programs.
    pub programs: Arc<dyn Programs>,
    /// This very program.
    pub program: PathBuf,
}

impl World {
    /// The real world of `job`. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the database's credentials cannot be read, or its address is malformed.
    pub fn of(job: &Job) -> Result<Self, Cause> {
        let agent = job.agent.value.clone().map(|endpoint| SharedAgent::new(QgaTransport::new(endpoint)));
        let owner = Owner::new();
        let database = job.database.value.as_ref().map(|route| opener(route, agent.as_ref(), &owner)).transpose()?;
        let guest_login = job.database.value.as_ref().map(guest_login).transpose()?.flatten();
        let session = guest_login.is_some().then_some(owner);
        let programs = Arc::new(HostPrograms);
        let starter = |program| Starter { programs: programs.clone(), program };
        // Also where the file has been replaced meanwhile, it is this program.
        let guardian = std::env::current_exe().ok().map(starter);
        Ok(Self {
            lvm: Lvm::new(programs.clone()),
            agent,
            database,
            session,
            guest_login,
            guardian,
            clock: Clock::system(),
        })
    }

    /// The agent, for what cannot be done without it.
    ///
    /// # Errors
    /// Where the job has none: `what` is refused, and not left out.
    pub fn agent_for(&self, what: &str) -> Result<SharedAgent, Cause> {
        let none =
            || Cause::usage(format!("{what} needs the guest agent, and the job has none"), "give --agent unix:PATH");
        self.agent.clone().ok_or_else(none)
    }

    /// Closes the agent's channel: it serves one client, and for as long as a copy runs nobody else would get through, no rescuer
    /// either. The next call opens it again.
    pub async fn release_agent(&self) {
        if let Some(agent) = &self.agent {
            agent.clone().release().await;
        }
    }

    /// The database, for what cannot be done without it.
    ///
    /// # Errors
    /// Where the job has none: `what` is refused, and not left out.
    pub fn database_for(&self, what: &str) -> Result<OpenSession, Cause> {
        let none = || {
            Cause::usage(
                format!("{what} needs a database, and the job has none"),
                "give --db agent, unix:PATH or tcp:HOST:PORT",
            )
        };
        self.database.clone().ok_or_else(none)
    }
}

fn opener(route: &DatabaseRoute, agent: Option<&SharedAgent>, owner: &Owner) -> Result<OpenSession, Cause> {
    let credentials = route.credentials.as_ref().map(|file| credentials(&file.value)).transpose()?;
    match (&route.via, agent) {
        (Via::Agent { socket }, Some(agent)) => {
            Ok(AgentSession::opener(agent.clone(), credentials, socket.clone(), owner.clone()))
        }
        (Via::Agent { .. }, None) => {
            Err(Cause::usage("a session through the agent needs an agent", "give --agent ENDPOINT"))
        }
        (Via::Net(address), _) => {
            let credentials = credentials.unwrap_or_else(|| Credentials::new("root", None));
            Ok(NetSession::opener(address.clone(), credentials, Tls::new(route.tls, route.tls_ca.as_deref())?))
        }
    }
}

fn guest_login(route: &DatabaseRoute) -> Result<Option<GuestLogin>, Cause> {
    let Via::Agent { socket } = &route.via else { return Ok(None) };
    let credentials = route.credentials.as_ref().map(|file| credentials(&file.value)).transpose()?;
    Ok(Some(GuestLogin { credentials, socket: socket.clone() }))
}

/// A file, or `env:USER_VARIABLE:PASSWORD_VARIABLE`.
fn credentials(from: &Path) -> Result<Credentials, DatabaseError> {
    let variables = from.to_str().and_then(|text| text.strip_prefix("env:")?.split_once(':'));
    match variables {
        Some((user, password)) => Credentials::from_environment(user, password),
        None => Credentials::from_file(from),
    }
}
