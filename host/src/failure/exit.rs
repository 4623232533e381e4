//! The exit codes: one contract for scripts, stated once.

use std::process::ExitCode;

/// What the exit code of a command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, at the required grade.
    Done = 0,
    /// Failed; nothing usable was made.
    Failed = 1,
    /// The command line or the configuration asks for something that cannot be.
    Usage = 2,
    /// Done, but weaker than required. For `check`: sound only after a journal replay.
    Weaker = 3,
    /// Done by a dump instead of the image.
    ByDump = 4,
    /// Damage found.
    Damaged = 5,
    /// A guest may still be frozen, or something could not be undone: a person is needed now.
    NeedsPerson = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// All that a command can end with.
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Failed, Self::Usage, Self::Weaker, Self::ByDump, Self::Damaged, Self::NeedsPerson];

    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, as `--help` and the README say it.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::Done => {
                "done, at the required grade; `check`: consistent; `doctor`: nothing keeps a backup from it; `watch`: nothing is lost or nearly full"
            }
            Self::Failed => {
                "failed, nothing usable; `doctor`: a backup would fail; `watch`: a snapshot was lost, or a pool takes no writes"
            }
            Self::Usage => {
                "the command line or configuration asks for what cannot be, such as a target that is no disk"
            }
            Self::Weaker => {
                "done, but below the required grade; `doctor`: a backup would be; `watch`: something is nearly full, or nobody can tell how it is; `check`: sound only after a journal replay, or not to be judged (a \
                 kind that is not looked into, as LUKS or Btrfs, or that nobody recognised)"
            }
            Self::ByDump => {
                "done by a dump of the database, because a snapshot would not have lasted: there is no image"
            }
            Self::Damaged => "damage found",
            Self::NeedsPerson => {
                "a guest may still be frozen, or something could not be undone: a person is needed now"
            }
        }
    }
}

/// The exit codes for `--help`, a line each.
#[must_use]
pub fn help() -> String {
    let lines = Exit::ALL.map(|exit| format!("  {}  {}", exit.code(), exit.means()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// The exit code of which scripts have to hear: damage, then failure, then doubt.
#[must_use]
pub fn worse(one: Exit, other: Exit) -> Exit {
    let weight = |exit| match exit {
        Exit::Damaged => 3,
        Exit::Failed => 2,
        Exit::Weaker => 1,
        Exit::Done | Exit::Usage | Exit::ByDump | Exit::NeedsPerson => 0,
    };
    if weight(other) > weight(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_table_of_exit_codes() {
        let rows = Exit::ALL.map(|exit| format!("| {} | {} |\n", exit.code(), exit.means()));
        let table = format!("### Exit codes\n\n| code | means |\n|---|---|\n{}\n", rows.concat());
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        assert!(readme.contains(&table), "README.md should have\n{table}");
    }

    #[test]
    fn damage_counts_more_than_failure_and_failure_more_than_doubt() {
        assert_eq!(worse(Exit::Done, Exit::Weaker), Exit::Weaker);
        assert_eq!(worse(Exit::Weaker, Exit::Failed), Exit::Failed);
        assert_eq!(worse(Exit::Damaged, Exit::Failed), Exit::Damaged);
    }
}
