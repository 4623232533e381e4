//! The command line: parses, dispatches, and turns what came out into words and an exit code.

mod args;
mod backup;
mod cat;
mod check;
mod clean;
mod cp;
mod describe;
mod doctor;
mod guardian;
pub mod listen;
mod ls;
mod plan;
mod recover;
mod render;
pub mod sentence;
pub mod voice;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::bug::caught;
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure};
use crate::step::Step;
use crate::stop::Stop;
use args::{Args, Command};
use voice::{Manner, Passed, Surroundings, Voice};

/// What is begun while a panic unwinds has so long: the server is asked to end what a session over the network still executes.
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
            let exit = match (error.use_stderr(), error.print()) {
                // Nowhere to say that the message cannot be printed.
                (true, _) => Exit::Usage,
                (false, Err(lost)) if lost.kind() != std::io::ErrorKind::BrokenPipe => Exit::Failed,
                (false, _) => Exit::Done,
            };
            return exit.into();
        }
    };
    let voice = start_voice(&args);
    let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the runtime: {error}");
            voice.settle();
            return Exit::Failed.into();
        }
    };
    keep_children(&runtime);
    let (about, json, may_hold) = (args.command.about(), args.command.is_json(), args.command.may_hold());
    let exit = caught(may_hold, || runtime.block_on(run(args.command))).unwrap_or_else(|failure| {
        let exit = render::failure(&about, &failure, json);
        if may_hold {
            // What the guards began on the way out and could not wait for.
            runtime.block_on(tokio::time::sleep(LET_GO));
        }
        exit
    });
    // A thread that is stuck in a dead NFS mount or a lost device must not keep the exit code from the caller.
    runtime.shutdown_background();
    voice.settle();
    exit.into()
}

async fn run(command: Command) -> Exit {
    match command {
        Command::Backup(command) => backup::run(command).await,
        Command::Plan(command) => plan::run(command).await,
        Command::Doctor(command) => doctor::run(command).await,
        Command::Recover(command) => recover::run(command).await,
        Command::Guardian(command) => guardian::run(&command).await,
        Command::Clean(command) => clean::run(command).await,
        Command::Watch(command) => watch::run(command).await,
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

/// What is said goes to stderr, so that stdout holds one document or one image and nothing else.
fn start_voice(args: &Args) -> &'static Voice {
    let level = match (args.quiet, args.verbose) {
        (true, _) => Level::WARN,
        (false, 0) => Level::INFO,
        (false, 1) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    let voice = voice::start(Manner::of(args.command.progress(), Surroundings::here()), level);
    let passed = Passed(voice.clone()).with_filter(LevelFilter::from_level(level));
    tracing_subscriber::registry().with(passed).init();
    voice::say_panics(voice);
    voice
}
