//! Writes what comes with the program: man pages, completions, and the licences of what is linked into it.
//!
//! Run when a package is built, never by the program itself, which so carries none of this code.

mod changelog;
mod completions;
mod extras;
mod licences;
mod manual;
mod markdown;
mod page;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        return end("usage: stillpoint-packaging FOLDER");
    };
    match write_all(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&format!("stillpoint-packaging: {}: {error}", folder.display())),
    }
}

fn write_all(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (man, shells) = (folder.join("man"), folder.join("completions"));
    for folder in [&man, &shells] {
        fs::create_dir_all(folder)?;
    }
    let command = stillpoint::cli::command();
    for (name, text) in manual::pages(&command) {
        fs::write(man.join(name), text)?;
    }
    completions::write(command, &shells)?;
    fs::write(folder.join("third-party-licences"), licences::of_linked_crates()?)?;
    Ok(())
}

#[allow(clippy::print_stderr, reason = "a tool of the build, which has no other place to say it")]
fn end(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}
