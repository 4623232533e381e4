//! Freezing the guest's filesystems, and above all thawing them.

use std::{error::Error, time::Duration};

use qapi::qga::{
    GuestFsfreezeStatus, guest_fsfreeze_freeze, guest_fsfreeze_freeze_list, guest_fsfreeze_status, guest_fsfreeze_thaw,
};
use tokio::time::{Instant, sleep};

use super::request::{SHORT_REPLY_MAX_BYTES, ask};
use super::thawing::{FreezeStatus, Heard, Next, Question};
use super::{Agent, AgentError, millis};

/// One attempt to thaw, or to ask for the status, waits this long at most.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Between attempts, and before the status is asked a second time.
const PAUSE: Duration = Duration::from_millis(100);

/// At least one mountpoint.
///
/// `guest-fsfreeze-freeze-list` without its list freezes *everything*, so a list that may be empty is no argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mountpoints(Vec<String>);

impl Mountpoints {
    /// `None` if `mountpoints` is empty.
    pub fn new(mountpoints: Vec<String>) -> Option<Self> {
        (!mountpoints.is_empty()).then_some(Self(mountpoints))
    }

    /// The mountpoints, as the guest names them.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Which filesystems to freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreezeScope {
    /// Every filesystem that the guest can freeze.
    All,
    /// These only. The agent ignores the ones that it does not find: compare the count.
    Mountpoints(Mountpoints),
}

/// A guest that is thawed for sure.
#[derive(Debug)]
pub struct Thawed {
    /// How many filesystems were thawed. `None` if the reply that carried the count, or a part of it, was lost.
    /// Fewer than were frozen means that someone else thawed before; more, that someone else had frozen too: the agent
    /// thaws every filesystem of the guest, whoever froze it.
    pub count: Option<u64>,
    /// How often thaw was tried; 1 when nothing went wrong.
    pub attempts: u32,
    /// What the agent complained about in the last attempt although it thawed: a thaw hook that failed.
    pub complaint: Option<AgentError>,
}

/// `guest-fsfreeze-freeze` or `guest-fsfreeze-freeze-list`: how many filesystems the agent says that it froze.
///
/// 0 is a success to the agent, and so is a filesystem that cannot be frozen. After *any* outcome but
/// [`AgentError::Unavailable`] the guest may be frozen, now or later, until [`thaw_until_sure`] has succeeded.
///
/// # Errors
/// See [`AgentError`].
pub async fn freeze(agent: &mut dyn Agent, scope: &FreezeScope, deadline: Duration) -> Result<u64, AgentError> {
    match scope {
        FreezeScope::All => ask(agent, &guest_fsfreeze_freeze {}, SHORT_REPLY_MAX_BYTES, deadline).await,
        FreezeScope::Mountpoints(list) => {
            let command = guest_fsfreeze_freeze_list { mountpoints: Some(list.0.clone()) };
            ask(agent, &command, SHORT_REPLY_MAX_BYTES, deadline).await
        }
    }
}

/// `guest-fsfreeze-status`.
///
/// # Errors
/// See [`AgentError`].
pub async fn freeze_status(agent: &mut dyn Agent, deadline: Duration) -> Result<FreezeStatus, AgentError> {
    Ok(match ask(agent, &guest_fsfreeze_status {}, SHORT_REPLY_MAX_BYTES, deadline).await? {
        GuestFsfreezeStatus::thawed => FreezeStatus::Thawed,
        GuestFsfreezeStatus::frozen => FreezeStatus::Frozen,
    })
}

/// `guest-fsfreeze-thaw`, once: how many filesystems were thawed. It is legal when nothing is frozen.
///
/// # Errors
/// See [`AgentError`].
pub async fn thaw(agent: &mut dyn Agent, deadline: Duration) -> Result<u64, AgentError> {
    ask(agent, &guest_fsfreeze_thaw {}, SHORT_REPLY_MAX_BYTES, deadline).await
}

/// Thaws until the agent says that it is thawed, and says so again a moment later.
///
/// A freeze that timed out may take effect after the first thaw, and a reply may be lost: every failed attempt is
/// followed by another on a new, resynchronised connection, until `deadline`, or until nobody listens there any more and `is_gone`,
/// which is asked then, knows that the VM is gone.
///
/// # Errors
/// [`AgentError::MaybeFrozen`] when the deadline passes first; [`AgentError::VmGone`].
pub async fn thaw_until_sure(
    agent: &mut dyn Agent,
    deadline: Duration,
    is_gone: &mut (dyn FnMut() -> bool + Send),
) -> Result<Thawed, AgentError> {
    let start = Instant::now();
    let left = || deadline.saturating_sub(start.elapsed()).min(ATTEMPT);
    let mut thawed = Thawed { count: Some(0), attempts: 0, complaint: None };
    let mut question = Question::Thaw;
    loop {
        let (heard, error) = match question {
            Question::Thaw => {
                let answer = thaw(agent, left()).await;
                let heard = Heard::of_thaw(&answer);
                thawed.attempts = thawed.attempts.saturating_add(1);
                thawed.count = heard.add_to(thawed.count);
                (heard, answer.err())
            }
            Question::Status => look(agent, left()).await,
            Question::StatusAgain => {
                sleep(PAUSE).await;
                look(agent, left()).await
            }
        };
        match question.next(heard) {
            Next::Sure => return Ok(thawed),
            Next::Ask(next) => {
                if question == Question::Thaw {
                    thawed.complaint = error;
                }
                question = next;
            }
            Next::StartOver => {
                let error = match error {
                    Some(error) if error.is_nobody() && is_gone() => {
                        return Err(AgentError::VmGone { source: Box::new(error) });
                    }
                    error => error,
                };
                if left() <= PAUSE {
                    let says_frozen = || "guest-fsfreeze-status says frozen".into();
                    let last: Box<dyn Error + Send + Sync> = error.map_or_else(says_frozen, Into::into);
                    let waited_ms = millis(start.elapsed());
                    return Err(AgentError::MaybeFrozen { attempts: thawed.attempts, waited_ms, last });
                }
                sleep(PAUSE).await;
                question = Question::Thaw;
            }
        }
    }
}

async fn look(agent: &mut dyn Agent, deadline: Duration) -> (Heard, Option<AgentError>) {
    let status = freeze_status(agent, deadline).await;
    (Heard::of_status(&status), status.err())
}
