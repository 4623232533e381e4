//! Completions for the shells that Debian has.

use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate_to};

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// `stillpoint.bash`, `_stillpoint` and `stillpoint.fish`.
pub fn write(mut command: Command, folder: &Path) -> io::Result<()> {
    for shell in SHELLS {
        generate_to(shell, &mut command, "stillpoint", folder)?;
    }
    Ok(())
}
