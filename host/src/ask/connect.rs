//! The seams to the world that a backup works through, real ones or scripted.

use std::path::Path;
use std::sync::Arc;

use guest_bridge::agent::{QgaTransport, SharedAgent};
use guest_bridge::database::agent_session::AgentSession;
use guest_bridge::database::net::NetSession;
use guest_bridge::database::{Credentials, DatabaseError, OpenSession};

use crate::ask::job::{DatabaseRoute, Job, Via};
use crate::clock::Clock;
use crate::failure::Cause;
use lvm::Lvm;
use lvm::programs::HostPrograms;

/// Everything outside: programs (below [`Lvm`]), agent, database, clock. Disks are read through the paths that LVM names.
#[derive(Clone)]
pub struct World {
    /// LVM, and through it every program that is started.
    pub lvm: Lvm,
    /// The guest agent; `None` where the job has none.
    pub agent: Option<SharedAgent>,
    /// Opens sessions to the database; `None` where the job has none.
    pub database: Option<OpenSession>,
    /// The clock.
    pub clock: Clock,
}

impl World {
    /// The real world of `job`. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the database's credentials cannot be read, or its address is malformed.
    pub fn of(job: &Job) -> Result<Self, Cause> {
        let agent = job.agent.clone().map(|endpoint| SharedAgent::new(QgaTransport::new(endpoint)));
        let database = job.database.as_ref().map(|route| opener(route, agent.as_ref())).transpose()?;
        Ok(Self { lvm: Lvm::new(Arc::new(HostPrograms)), agent, database, clock: Clock::system() })
    }
}

fn opener(route: &DatabaseRoute, agent: Option<&SharedAgent>) -> Result<OpenSession, Cause> {
    let credentials = route.credentials.as_deref().map(credentials).transpose()?;
    match (&route.via, agent) {
        (Via::Agent { socket }, Some(agent)) => Ok(AgentSession::opener(agent.clone(), credentials, socket.clone())),
        (Via::Agent { .. }, None) => {
            Err(Cause::usage("a session through the agent needs an agent", "give --agent ENDPOINT"))
        }
        (Via::Net(address), _) => {
            let credentials = credentials.unwrap_or_else(|| Credentials::new("root", None));
            Ok(NetSession::opener(address.clone(), credentials))
        }
    }
}

/// A file, or `env:USER_VARIABLE:PASSWORD_VARIABLE`.
fn credentials(from: &Path) -> Result<Credentials, DatabaseError> {
    let variables = from.to_str().and_then(|text| text.strip_prefix("env:")?.split_once(':'));
    match variables {
        Some((user, password)) => Credentials::from_environment(user, password),
        None => Credentials::from_file(from),
    }
}
