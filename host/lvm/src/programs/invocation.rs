//! What is to be run, as data.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::time::Duration;

/// A program, its arguments and its deadline. Never a shell line: an argument arrives as it is, whatever characters it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    program: &'static str,
    args: Vec<OsString>,
    deadline: Duration,
}

impl Invocation {
    /// `program` is looked up in `PATH` and in the sbin folders.
    #[must_use]
    pub fn new(program: &'static str, deadline: Duration) -> Self {
        Self { program, args: Vec::new(), deadline }
    }

    /// The same with another deadline.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// The program's name.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Its arguments, without the program.
    #[must_use]
    pub fn arguments(&self) -> &[OsString] {
        &self.args
    }

    /// How long it may run.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// The command line as a person would type it into a shell.
impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        for arg in &self.args {
            let arg = arg.to_string_lossy();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
            if !arg.is_empty() && arg.chars().all(plain) {
                write!(f, " {arg}")?;
            } else {
                write!(f, " '{}'", arg.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}
