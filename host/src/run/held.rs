//! What a run holds, as data: it goes into the run log before it is taken, and one function gives it back.
//!
//! Guards, `Drop` and every way out of an error call [`Held::release`], and so can another process that has read the log.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use guest_bridge::agent::{self, AgentError, SharedAgent};
use guest_bridge::database::agent_session::{Owner, end_all};
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::dump::{self, DumpError, DumpName};
use guest_bridge::places::{self, MarkerName, PlacesError};
use guest_bridge::watchdog::{self, Token, WatchdogError};
use image::artifact;
use lvm::{LvName, Lvm};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use super::path_text;
use crate::blocking::blocking;
use crate::failure::{Cause, Kind};

/// One thing that must be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "held", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Held {
    /// A file under its temporary name.
    Partial {
        /// The file.
        #[serde(with = "path_text")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        path: PathBuf,
    },
    /// A COW volume, attached or not.
    Cow {
        /// The volume, by the name that it is made with.
        volume: LvName,
        /// What it is, or will be, a snapshot of.
        origin: LvName,
    },
    /// The database's lock. It lives with its session: the server frees it when that ends, or is idle for too long.
    Lock {
        /// How it is taken.
        method: LockMethod,
        /// How long it may outlive us, in milliseconds.
        expiry_ms: u64,
        /// Its session, where that is inside the guest and does not end with us.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<GuestSession>,
    },
    /// Markers at the roots of the guest's filesystems.
    Markers {
        /// The agent that they were written through.
        agent: String,
        /// What each is called.
        name: MarkerName,
    },
    /// A watchdog in the guest. It ends by itself, and thaws once.
    Watchdog {
        /// The agent that it was armed through.
        agent: String,
        /// What it is called.
        token: Token,
    },
    /// A dump in the guest: its client, and what waits for a reader. It ends by itself.
    Dump {
        /// The agent that it was started through.
        agent: String,
        /// What it is called.
        name: DumpName,
    },
    /// The guest's filesystems.
    Frozen {
        /// The agent that froze them, `unix:PATH`, `tcp:HOST:PORT` or `vsock:CID:PORT`.
        agent: String,
    },
}

/// A session of the database inside the guest, which outlives us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GuestSession {
    /// The agent that it was opened through.
    pub agent: String,
    /// What it is named after.
    pub owner: Owner,
}

/// What a release reaches through.
#[derive(Clone)]
pub struct Means {
    /// This host's LVM.
    pub lvm: Lvm,
    /// The guest's agent.
    pub agent: Option<SharedAgent>,
    /// The guest's disks on this host, as far as they are known.
    pub origins: Vec<LvName>,
    /// How long a thaw is repeated before a person is called.
    pub thaw_deadline: Duration,
    /// How long the guest may take to remove its markers, and to disarm its watchdog.
    pub unmark_deadline: Duration,
}

/// How something was given back.
#[derive(Debug)]
pub enum Released {
    /// It is gone now, or was before.
    Gone,
    /// The guest is thawed, for sure.
    Thawed(agent::Thawed),
    /// The VM does not run on this host any more: how its agent was missing.
    VmGone(AgentError),
    /// It goes by itself, within this time.
    ByItself(Duration),
    /// It lies on the guest's disks, and can be given back when the VM runs again: how its agent was missing. Nothing waits for that.
    WaitsForVm(AgentError),
}

impl Means {
    /// The agent.
    ///
    /// # Errors
    /// Where none is known.
    pub fn agent(&self) -> Result<SharedAgent, AgentError> {
        let last = || "no agent is known to send it to".into();
        self.agent.clone().ok_or_else(|| AgentError::MaybeFrozen { attempts: 0, waited_ms: 0, last: last() })
    }

    /// Whether `nobody` means that the VM does not run on this host any more.
    fn is_vm_gone(&self, nobody: &AgentError) -> bool {
        nobody.is_nobody() && self.are_disks_closed()
    }

    /// Whether nobody but us has any of the guest's disks open: a VM that runs has. `false` where that is not known.
    #[must_use]
    pub fn are_disks_closed(&self) -> bool {
        let is_closed = |origin| self.lvm.opens_elsewhere(origin).is_ok_and(|opens| opens == 0);
        !self.origins.is_empty() && blocking(|| self.origins.iter().all(is_closed))
    }
}

impl Held {
    /// Whether it may be there, as far as can be seen without asking anybody: an unfinished file goes with its guard.
    #[must_use]
    pub fn may_be_there(&self) -> bool {
        match self {
            // That it cannot be looked at does not say that it is gone.
            Self::Partial { path } => !std::fs::symlink_metadata(path).is_err_and(|error| says_gone(&error)),
            Self::Cow { .. }
            | Self::Lock { .. }
            | Self::Markers { .. }
            | Self::Watchdog { .. }
            | Self::Dump { .. }
            | Self::Frozen { .. } => true,
        }
    }

    /// The disk of the guest that it is of.
    pub(super) fn origin(&self) -> Option<&LvName> {
        match self {
            Self::Cow { origin, .. } => Some(origin),
            _ => None,
        }
    }

    /// Gives it back. To be called as often as wanted: what is not held any more is not touched.
    ///
    /// # Errors
    /// Why it may still be held.
    pub async fn release(&self, means: &Means) -> Result<Released, Cause> {
        match self {
            Self::Partial { path } => Ok(blocking(|| artifact::remove_partial(path)).map(|()| Released::Gone)?),
            Self::Cow { volume, .. } => Ok(blocking(|| means.lvm.remove(volume)).map(|()| Released::Gone)?),
            Self::Lock { session: None, expiry_ms, .. } => Ok(Released::ByItself(Duration::from_millis(*expiry_ms))),
            Self::Lock { session: Some(session), expiry_ms, .. } => {
                let by_itself = Ok(Released::ByItself(Duration::from_millis(*expiry_ms)));
                let Some(agent) = means.agent.clone() else { return by_itself };
                match end_all(agent, &session.owner, means.unmark_deadline).await {
                    Ok(()) => Ok(Released::Gone),
                    Err(error) => {
                        tracing::warn!(%error, "the database's lock is left to its expiry");
                        by_itself
                    }
                }
            }
            Self::Markers { name, .. } => {
                let none =
                    || Cause::plain(Kind::AgentUnreachable, "the agent that they were written through cannot be asked");
                let mut agent = means.agent.clone().ok_or_else(none)?;
                let unmarked = match places::unmark(&mut agent, name, &[], means.unmark_deadline).await {
                    Err(PlacesError::Agent(nobody)) if means.is_vm_gone(&nobody) => {
                        return Ok(Released::WaitsForVm(nobody));
                    }
                    unmarked => unmarked?,
                };
                match unmarked.left.first() {
                    None => Ok(Released::Gone),
                    Some((path, why)) => Err(Cause::plain(Kind::GuestProgram, format!("{path}: {why}"))),
                }
            }
            Self::Dump { name, .. } => {
                let none =
                    || Cause::plain(Kind::AgentUnreachable, "the agent that it was started through cannot be asked");
                let mut agent = means.agent.clone().ok_or_else(none)?;
                match dump::end(&mut agent, name, means.unmark_deadline).await {
                    Ok(()) => Ok(Released::Gone),
                    // Its VM has gone with it.
                    Err(DumpError::Agent { source: nobody, .. }) if means.is_vm_gone(&nobody) => Ok(Released::Gone),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Watchdog { token, .. } => {
                let none =
                    || Cause::plain(Kind::AgentUnreachable, "the agent that it was armed through cannot be asked");
                let mut agent = means.agent.clone().ok_or_else(none)?;
                match watchdog::disarm(&mut agent, token, means.unmark_deadline).await {
                    // A process of the guest goes with it.
                    Err(WatchdogError::Agent(nobody)) if means.is_vm_gone(&nobody) => Ok(Released::Gone),
                    disarmed => Ok(disarmed.map(|_| Released::Gone)?),
                }
            }
            Self::Frozen { .. } => {
                let mut agent = means.agent()?;
                match agent::thaw_until_sure(&mut agent, means.thaw_deadline, &mut || means.are_disks_closed()).await {
                    Err(gone @ AgentError::VmGone { .. }) => Ok(Released::VmGone(gone)),
                    thawed => Ok(thawed.map(Released::Thawed)?),
                }
            }
        }
    }
}

fn says_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partial { path } => write!(f, "the file {}", path.display()),
            Self::Cow { volume, origin } => write!(f, "the COW volume {volume} of {origin}"),
            Self::Lock { method, .. } => write!(f, "the database's lock ({method})"),
            Self::Markers { name, .. } => write!(f, "the files {name} at the roots of the guest's filesystems"),
            Self::Watchdog { token, .. } => write!(f, "the watchdog {token} in the guest"),
            Self::Dump { name, .. } => write!(f, "the dump {name} in the guest"),
            Self::Frozen { agent } => write!(f, "the guest's filesystems, frozen through {agent}"),
        }
    }
}

/// What could not be given back, each with the reason.
#[derive(Debug, thiserror::Error)]
#[error("{}", left.iter().map(|(held, why)| format!("{held} is left: {why}")).collect::<Vec<_>>().join("; "))]
pub struct Left {
    /// Each of it.
    pub left: Vec<(Held, Cause)>,
}

impl From<Left> for Cause {
    /// A guest that may hang comes before volumes that only burden it.
    fn from(left: Left) -> Self {
        let hangs = |cause: &&Self| matches!(cause.kind, Kind::GuestMayBeFrozen | Kind::OriginSuspended);
        let (kind, hint) = match left.left.iter().map(|(_, cause)| cause).find(hangs) {
            Some(cause) => (cause.kind, cause.hint().to_owned()),
            None => (Kind::VolumesLeft, left.hint()),
        };
        Self::of(kind, Some(hint), left)
    }
}

impl Left {
    fn hint(&self) -> String {
        let command = |held: &Held| match held {
            Held::Cow { volume, .. } => Some(format!("`lvremove {volume}`")),
            Held::Partial { path } => Some(format!("remove {}", path.display())),
            Held::Markers { name, .. } => Some(format!("remove {name} in the guest")),
            Held::Lock { .. } | Held::Watchdog { .. } | Held::Dump { .. } | Held::Frozen { .. } => None,
        };
        let commands: Vec<String> = self.left.iter().filter_map(|(held, _)| command(held)).collect();
        let costs = match self.left.iter().any(|(held, _)| matches!(held, Held::Cow { .. })) {
            true => "; volumes cost every write of the guest until then",
            false => "",
        };
        match commands.is_empty() {
            true => "`stillpoint recover` gives it back as soon as the guest's agent answers".to_owned(),
            false => format!("free what holds them, then {}{costs}", commands.join(", ")),
        }
    }
}

/// Gives everything back, last taken first: a guest that stands still does not wait for volumes. One that cannot be given
/// back does not keep the others; each is tried a second time, because what was in the way may have passed.
///
/// # Errors
/// What is left.
pub async fn release_all(held: &[Held], means: &Means) -> Result<(), Left> {
    let mut left = Vec::new();
    for one in held.iter().rev() {
        if let Err(first) = one.release(means).await {
            tracing::warn!("{first}; trying once more");
            if let Err(why) = one.release(means).await {
                left.push((one.clone(), why));
            }
        }
    }
    if left.is_empty() { Ok(()) } else { Err(Left { left }) }
}

/// The net below every explicit release: what a panic, or a future that was dropped, would leave behind.
pub fn release_in_drop(held: &[Held], means: &Means) {
    if held.is_empty() {
        return;
    }
    let releasing = async {
        match release_all(held, means).await {
            Ok(()) => tracing::warn!("gave back what a run held that did not end as it should"),
            Err(left) => tracing::error!("{left}"),
        }
    };
    // On a thread and a runtime of its own: the one around may be ending, whose timers and sockets then never wake anybody,
    // and one of a single thread cannot be waited for from within.
    let released = blocking(|| {
        thread::scope(|scope| {
            let release =
                || Builder::new_current_thread().enable_all().build().map(|runtime| runtime.block_on(releasing));
            let thread = thread::Builder::new().spawn_scoped(scope, release)?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a bug of ours ended it")))
        })
    });
    if let Err(error) = released {
        tracing::error!("cannot give back what is held: {error}");
    }
}
