//! What the guest says, through its agent.

use std::time::Duration;

use guest_bridge::agent::{self, AgentError, AgentInfo, SharedAgent};
use guest_bridge::watchdog::{self, Possible};

use super::{AgentSeen, Answer, ClockSeen, Unseen, answer, not_asked};
use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::backup::survey::{self, EXEC_COMMANDS, GuestSurvey};
use crate::failure::Cause;

/// Its answers.
pub(super) struct GuestSeen {
    pub agent: Option<Answer<AgentSeen>>,
    pub guest: Option<GuestSurvey>,
    pub thawed: Answer<()>,
    pub clock: Answer<ClockSeen>,
    pub watchdog: Answer<Possible>,
    pub is_nobody_there: bool,
}

impl GuestSeen {
    pub(super) async fn take(job: &Job, world: &World) -> Self {
        let Some(mut agent) = world.agent.clone() else { return Self::silent(None, "the job has no agent", true) };
        let deadline = job.policy.survey_agent.value;
        let opening = world.clock.now();
        let info = match agent::info(&mut agent, deadline).await {
            Ok(info) => info,
            Err(error) => {
                let is_nobody_there = matches!(error, AgentError::Connect { .. });
                return Self::silent(Some(Cause::from(error)), "the agent does not answer", is_nobody_there);
            }
        };
        let (opened_in, began) = (opening.elapsed(), world.clock.now());
        let thawed = answer(survey::refuse_frozen(&info, &mut agent, deadline).await);
        let (thawed, answers_in) = match info.supports("guest-fsfreeze-status") {
            true => (thawed, began.elapsed()),
            // Nothing was asked: what is left is the first answer, with the opening of the channel.
            false => (not_asked("the agent does not offer guest-fsfreeze-status"), opened_in),
        };
        let can_exec = info.missing(&EXEC_COMMANDS).is_empty();
        let watchdog = match (&thawed, can_exec) {
            (Err(Unseen::Failed(_)), _) => not_asked("the guest is frozen, or may be"),
            (_, true) => answer(watchdog::probe(&mut agent, job.policy.marker.value).await),
            (_, false) => not_asked("the agent blocks guest-exec"),
        };
        let clock = clock(world, &info, &mut agent, deadline).await;
        let guest = GuestSurvey::list(info.clone(), &mut agent, deadline).await.ok();
        Self { agent: Some(Ok(AgentSeen { info, answers_in })), guest, thawed, clock, watchdog, is_nobody_there: false }
    }

    /// A guest that says nothing.
    fn silent(cause: Option<Cause>, why: &str, is_nobody_there: bool) -> Self {
        Self {
            agent: cause.map(|cause| Err(Unseen::Failed(cause))),
            guest: None,
            thawed: not_asked(why),
            clock: not_asked(why),
            watchdog: not_asked(why),
            is_nobody_there,
        }
    }
}

async fn clock(world: &World, info: &AgentInfo, agent: &mut SharedAgent, deadline: Duration) -> Answer<ClockSeen> {
    if !info.supports("guest-get-time") {
        return not_asked("the agent does not offer guest-get-time");
    }
    let before = world.clock.since_1970();
    let guest_ns = answer(agent::time(agent, deadline).await)?;
    Ok(ClockSeen { before, guest_ns, after: world.clock.since_1970() })
}
