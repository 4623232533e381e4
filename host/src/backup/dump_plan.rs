//! Whether a dump is made in place of an image, and within which deadlines.

use std::time::Duration;

use guest_bridge::database::lock::LockTerms;
use guest_bridge::dump::DumpTerms;

use super::survey::Survey;
use crate::ask::database::Via;
use crate::ask::job::Job;
use crate::ask::policy::DumpWish;
use crate::documents::plan as document;
use crate::failure::Cause;

/// A dump of the database.
#[derive(Clone, Debug)]
pub struct DumpPlan {
    /// When it is made.
    pub when: When,
    /// The agent that it comes through.
    pub agent: String,
    /// How long what of it may take.
    pub terms: DumpTerms,
    /// Of the lock under which a client begins that cannot note its coordinates itself.
    pub lock: LockTerms,
    /// How long its snapshot may take from the grant of that lock.
    pub snapshot_deadline: Duration,
    /// How long each statement may take before.
    pub statement_deadline: Duration,
}

/// When a dump is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// In place of the image.
    Instead(Reason),
    /// Where the snapshot turns out not to last while it is copied.
    IfNeeded,
}

/// Why a dump is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A person asked for it.
    Asked,
    /// By the forecast the snapshot would not last.
    Planned(String),
    /// It did not last, or would not have, while it was copied.
    DuringCopy(String),
}

impl DumpPlan {
    /// What `job` asks for, where it can be had. `image` says why an image would not last.
    ///
    /// # Errors
    /// Where only a dump is asked for, and none can be made; `image`, where there can be neither.
    pub(crate) fn make(
        job: &Job,
        survey: &Survey,
        lock: LockTerms,
        image: Result<(), Cause>,
    ) -> Result<Option<Self>, Cause> {
        let policy = &job.policy;
        let dump = |agent, when| Self {
            when,
            agent,
            terms: DumpTerms {
                start: policy.survey_database.value,
                progress: policy.dump_progress.value,
                idle: policy.dump_progress.value,
                lifetime: policy.dump_deadline.value,
            },
            lock,
            snapshot_deadline: policy.window.value,
            statement_deadline: policy.survey_database.value,
        };
        match (policy.dump.value, agent(job, survey), image) {
            (DumpWish::Only, Ok(agent), _) => Ok(Some(dump(agent, When::Instead(Reason::Asked)))),
            (DumpWish::Only, Err(why), _) => Err(Cause::refused(
                format!("no dump can be made: {why}"),
                "name the database with --db agent, and the guest's agent with --agent",
            )),
            (DumpWish::Auto, Ok(agent), Ok(())) => Ok(Some(dump(agent, When::IfNeeded))),
            (DumpWish::Auto, Ok(agent), Err(image)) => {
                Ok(Some(dump(agent, When::Instead(Reason::Planned(image.to_string())))))
            }
            (DumpWish::Auto | DumpWish::Never, _, image) => image.map(|()| None),
        }
    }

    /// Why it is made in place of the image, where it is.
    #[must_use]
    pub fn instead(&self) -> Option<&Reason> {
        match &self.when {
            When::Instead(reason) => Some(reason),
            When::IfNeeded => None,
        }
    }

    pub(super) fn document(&self) -> document::Dump {
        let (when, why) = match &self.when {
            When::IfNeeded => (document::DumpWhen::IfNeeded, None),
            When::Instead(Reason::Asked) => (document::DumpWhen::Asked, None),
            When::Instead(Reason::Planned(why) | Reason::DuringCopy(why)) => {
                (document::DumpWhen::Instead, Some(why.clone()))
            }
        };
        document::Dump { when, why }
    }
}

/// The agent that a dump would come through.
fn agent(job: &Job, survey: &Survey) -> Result<String, &'static str> {
    if survey.is_off {
        return Err("the VM is off");
    }
    let Some(route) = &job.database.value else { return Err("no database is configured") };
    let Via::Agent { .. } = route.via else {
        return Err("the database is not reached through the agent, and so neither would its client in the guest be");
    };
    if survey.server.is_none() {
        return Err("the database was not found");
    }
    job.agent.value.as_ref().map(ToString::to_string).ok_or("no agent is configured")
}
