//! What the database says, in one session.

use std::time::Duration;

use guest_bridge::database::Database;
use guest_bridge::database::holder::{self, Holder};
use guest_bridge::database::lock_method::{LockMethod, LockWish};
use guest_bridge::database::privileges::{self, Remark};
use guest_bridge::database::server::{self, Server, wait_for_synced};

use super::{Answer, Unseen, answer, not_asked};
use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::stop::{Stop, Stopped};

/// How long a Galera node is waited for that takes no part in its cluster just now.
const GALERA: Duration = Duration::from_secs(5);

/// Its answers.
pub(super) struct DatabaseSeen {
    pub server: Answer<Server>,
    pub account: Answer<Vec<Remark>>,
    pub busy: Answer<Vec<Holder>>,
    pub galera: Answer<Option<String>>,
}

impl DatabaseSeen {
    pub(super) fn none(why: &str) -> Self {
        Self { server: not_asked(why), account: not_asked(why), busy: not_asked(why), galera: not_asked(why) }
    }

    pub(super) async fn take(job: &Job, world: &World, stop: &Stop) -> Result<Self, Stopped> {
        let Some(open) = &world.database else { return Ok(Self::none("no database is configured")) };
        let deadline = job.policy.survey_database.value;
        // Opened to the end also after a signal: half open it could not be closed, and its client would stay in the guest.
        let mut session = match open(deadline).await {
            Ok(session) => session,
            Err(error) => {
                return Ok(Self {
                    server: Err(Unseen::Failed(error.into())),
                    ..Self::none("the database does not answer")
                });
            }
        };
        let seen = stop.or(Self::ask(&mut *session, job.policy.lock_wish.value, deadline)).await;
        session.close().await;
        seen
    }

    async fn ask(session: &mut dyn Database, wish: LockWish, deadline: Duration) -> Self {
        let server = match server::identify(session, deadline).await {
            Ok(server) => server,
            Err(error) => {
                return Self {
                    server: Err(Unseen::Failed(error.into())),
                    ..Self::none("the server does not say what it is")
                };
            }
        };
        let method = LockMethod::choose(&server, wish).method;
        let account = answer(privileges::prove(session, &server, method, deadline).await);
        let galera = match server.galera {
            true => answer(wait_for_synced(session, GALERA.min(deadline)).await),
            false => Ok(None),
        };
        // Who has no PROCESS sees no tables' directories, and no session but its own.
        let busy = match server.table_directories_seen {
            Some(true) => answer(holder::before_a_lock(session, method, deadline).await),
            Some(false) | None => not_asked("the account has no PROCESS, and sees no session but its own"),
        };
        Self { server: Ok(server), account, busy, galera }
    }
}
