//! How a run fails: the cause, the step, and what could not be undone after it.
//!
//! Typed errors come up from below; this is the one place that turns them into an exit code and a hint.

pub mod exit;

use std::{fmt, io};

use fsprobe::ProbeError;
use guest_bridge::agent::AgentError;
use guest_bridge::database::DatabaseError;

use crate::ask::config::ConfigError;
use crate::failure::exit::Exit;
use crate::run::log::RunLogError;
use crate::step::Step;
use crate::stop::Stopped;
use image::artifact::ArtifactError;
use image::copy::CopyError;
use image::device::DeviceError;
use lvm::LvmError;

/// Why a run ended without what was asked.
#[derive(Debug)]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// Why.
    pub cause: Box<Cause>,
    /// What failed while the run undid what it held.
    pub clean_up: Vec<(Step, Box<Cause>)>,
}

/// What a step can die of.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The guest agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The database session.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// LVM, or a program of its.
    #[error(transparent)]
    Lvm(#[from] LvmError),
    /// What the run holds could not be given back.
    #[error(transparent)]
    Left(#[from] crate::run::held::Left),
    /// The bytes of a disk.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A disk that cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The files of the artifact.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run log.
    #[error(transparent)]
    RunLog(#[from] RunLogError),
    /// A signal.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A snapshot lost its content because its COW filled up.
    #[error(transparent)]
    CowFull(#[from] crate::cow::full::CowFull),
    /// What was asked for cannot be done here and now.
    #[error("{what}")]
    Refused {
        /// One sentence, with the numbers.
        what: String,
        /// What would help.
        hint: &'static str,
        /// 2 where the command line or configuration is at fault, else 1.
        exit: Exit,
    },
}

impl Cause {
    /// The command line or the configuration asks for what cannot be.
    pub fn usage(what: impl Into<String>, hint: &'static str) -> Self {
        Self::Refused { what: what.into(), hint, exit: Exit::Usage }
    }

    /// Host, guest or database are in no state for it.
    pub fn refused(what: impl Into<String>, hint: &'static str) -> Self {
        Self::Refused { what: what.into(), hint, exit: Exit::Failed }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Agent(error) => error.hint().map(str::to_owned),
            Self::Database(error) => error.hint().map(str::to_owned),
            Self::Left(_) => Some(
                "free what holds them, then `lvremove` each; they cost every write of the guest until then".to_owned(),
            ),
            Self::Copy(CopyError::TargetFull { .. }) => Some(
                "free some room there, or name another target with --to; nothing partial was left behind".to_owned(),
            ),
            Self::CowFull(full) => Some(full.hint()),
            Self::Refused { hint, .. } => Some((*hint).to_owned()),
            Self::Lvm(_)
            | Self::Probe(_)
            | Self::Device(_)
            | Self::Artifact(_)
            | Self::Copy(_)
            | Self::Config(_)
            | Self::RunLog(_)
            | Self::Stopped(_) => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Agent(AgentError::MaybeFrozen { .. }) | Self::Left(_) | Self::Lvm(LvmError::Suspended { .. }) => {
                Exit::NeedsPerson
            }
            Self::Agent(AgentError::QmpSocket { .. }) | Self::Config(_) => Exit::Usage,
            Self::Database(DatabaseError::AccessDenied { .. } | DatabaseError::Credentials { .. }) => Exit::Usage,
            Self::Lvm(LvmError::NoSuchVg { .. } | LvmError::NoSuchLv { .. } | LvmError::NotAnOrigin { .. }) => {
                Exit::Usage
            }
            Self::Artifact(
                ArtifactError::Name { .. }
                | ArtifactError::Folder { .. }
                | ArtifactError::NotAFolder { .. }
                | ArtifactError::NotWritable { .. }
                | ArtifactError::Exists { .. }
                | ArtifactError::Terminal,
            ) => Exit::Usage,
            // What the command line names as a disk is none.
            Self::Artifact(ArtifactError::Device(DeviceError::NotADisk { .. })) => Exit::Usage,
            Self::Artifact(ArtifactError::Device(DeviceError::Open { source, .. }))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Exit::Usage
            }
            Self::Refused { exit, .. } => *exit,
            _ => Exit::Failed,
        }
    }
}

impl Failure {
    /// `cause` at `step`.
    pub fn new(step: Step, cause: impl Into<Cause>) -> Self {
        Self { step, cause: Box::new(cause.into()), clean_up: Vec::new() }
    }

    /// The exit code that says what happened.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.clean_up.is_empty() { self.cause.exit() } else { Exit::NeedsPerson }
    }

    /// Keeps a failed clean-up beside the cause.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.clean_up.push((later.step, later.cause));
        self.clean_up.extend(later.clean_up);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)?;
        for (step, cause) in &self.clean_up {
            write!(f, "\nand then {step} failed: {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Says at which step an error happened.
pub trait At<T> {
    /// # Errors
    /// The error, with its step.
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T, E: Into<Cause>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step, error))
    }
}

/// The outcome of work that held something, and of giving that back: both errors are kept.
///
/// A release that fails after work that succeeded is a failure all the same, and needs a person.
///
/// # Errors
/// The first failure, with the second beside it.
pub fn both<T, U>(work: Result<T, Failure>, release: Result<U, Failure>) -> Result<(T, U), Failure> {
    match (work, release) {
        (Ok(work), Ok(release)) => Ok((work, release)),
        (Ok(_), Err(release)) => Err(release),
        (Err(work), Ok(_)) => Err(work),
        (Err(work), Err(release)) => Err(work.and(release)),
    }
}
