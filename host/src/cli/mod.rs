//! The command line: parses, dispatches, and turns what came out into words and an exit code.

mod args;
mod backup;
mod cat;
mod check;
mod cp;
mod describe;
mod listen;
mod log;
mod ls;
mod plan;
mod render;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::failure::bug::caught;
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure};
use crate::step::Step;
use crate::stop::Stop;
use args::{Args, Command};

/// What is begun while a panic unwinds has so long: ending a client in the guest takes a moment.
const LET_GO: Duration = Duration::from_secs(5);

/// The command line as clap knows it, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs the program as the shell called it.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nowhere to say that the message cannot be printed.
            let _unprintable = error.print();
            return exit.into();
        }
    };
    start_log(args.quiet, args.verbose);
    let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the runtime: {error}");
            return Exit::Failed.into();
        }
    };
    keep_children(&runtime);
    let (about, json, may_hold) = (args.command.about(), args.command.is_json(), args.command.may_hold());
    let exit = caught(may_hold, || runtime.block_on(run(args.command))).unwrap_or_else(|failure| {
        render::failure(&about, &failure, json);
        if may_hold {
            // What the guards began on the way out and could not wait for: the client in the guest still has the lock.
            runtime.block_on(tokio::time::sleep(LET_GO));
        }
        failure.exit()
    });
    // A thread that is stuck in a dead NFS mount or a lost device must not keep the exit code from the caller.
    runtime.shutdown_background();
    log::flush();
    exit.into()
}

async fn run(command: Command) -> Exit {
    match command {
        Command::Backup(command) => backup::run(command).await,
        Command::Plan(command) => plan::run(command).await,
        Command::Check(command) => check::run(&command),
        Command::Ls(command) => ls::run(&command),
        Command::Cat(command) => cat::run(&command),
        Command::Cp(command) => cp::run(&command),
    }
}

/// Whoever started us may have ignored SIGCHLD, and that is handed down: the kernel then takes the programs that we start away
/// before we can ask how they ended. A handler of ours, which stays to the end, puts that right.
fn keep_children(runtime: &Runtime) {
    let _context = runtime.enter();
    if let Err(error) = signal(SignalKind::child()) {
        tracing::warn!("cannot listen for the end of programs: {error}");
    }
}

/// Listens for the signals that end a command.
fn stop_on_signals() -> Result<Stop, Failure> {
    let refused = |error| Cause::refused(format!("cannot listen for signals: {error}"), "is the system out of memory?");
    Stop::on_signals().map_err(refused).at(Step::Job)
}

/// Logs go to stderr, so that stdout holds one document or one image and nothing else.
fn start_log(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::WARN,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_writer(log::on_stderr)
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // Complaints about a lost stderr would go to stderr, and panic: a terminal that went away must not do that.
        .log_internal_errors(false)
        .init();
}
