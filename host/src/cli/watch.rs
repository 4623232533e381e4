//! `stillpoint watch`.

use std::sync::Arc;
use std::time::Instant;

use lvm::Lvm;
use lvm::programs::HostPrograms;

use super::args::WatchArgs;
use super::{describe, render};
use crate::blocking::blocking;
use crate::clock::Clock;
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure};
use crate::step::Step;
use crate::watch::{Watch, prometheus};

pub(super) async fn run(args: WatchArgs) -> Exit {
    let json = args.json;
    match watch(&args).await {
        Ok(exit) => exit,
        Err(failure) => render::failure("watch", &failure, json),
    }
}

async fn watch(args: &WatchArgs) -> Result<Exit, Failure> {
    let stop = super::stop_on_signals()?;
    let (lvm, clock) = (Lvm::new(Arc::new(HostPrograms)), Clock::system());
    let (mut watch, began) = (Watch::new(f64::from(args.alert)), Instant::now());
    loop {
        let look = Instant::now();
        let statuses = blocking(|| lvm.statuses()).at(Step::Check)?;
        let (sample, news) = watch.look(&statuses, began.elapsed(), clock.utc());
        news.iter().for_each(|news| tracing::warn!("{news}"));
        if let Some(file) = &args.prometheus {
            prometheus::write(&sample, file).map_err(|error| no_textfile(file, &error)).at(Step::Check)?;
        }
        let exit = exit(&watch);
        let shown =
            if args.json { render::line(&sample, exit) } else { render::look(&describe::sample(&sample), exit) };
        let is_over = args.once || args.r#for.is_some_and(|time| began.elapsed() + args.interval > time);
        if is_over || shown != exit {
            return Ok(shown);
        }
        // A signal is how most of them end.
        if stop.or(tokio::time::sleep(args.interval.saturating_sub(look.elapsed()))).await.is_err() {
            return Ok(exit);
        }
    }
}

fn exit(watch: &Watch) -> Exit {
    match (watch.has_lost(), watch.is_over() || watch.is_unclear()) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Weaker,
        (false, false) => Exit::Done,
    }
}

fn no_textfile(file: &std::path::Path, error: &std::io::Error) -> Cause {
    Cause::refused(format!("cannot write {}: {error}", file.display()), "name a file in a folder that is there")
}
