//! `stillpoint backup`.

use std::path::Path;

use super::args::BackupArgs;
use super::render;
use crate::ask::config::Config;
use crate::ask::connect::World;
use crate::ask::job::{Asked, Job};
use crate::backup::destination::Destination;
use crate::backup::{self, Outcome};
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure};
use crate::step::Step;

pub(super) async fn run(args: BackupArgs) -> Exit {
    let json = args.json;
    let what = args.job.what("backup");
    let image_on_stdout = args.to.as_deref() == Some(Path::new("-"));
    match back_up(args).await {
        Ok(outcome) => {
            if let Some(left) = &outcome.left {
                render::failure(&what, left, false);
            }
            let exit = outcome.exit();
            match (json, image_on_stdout) {
                (true, false) => render::json(&outcome.receipt),
                (_, true) => render::note(&outcome.receipt.summary()),
                (false, false) => render::text(&outcome.receipt.summary()),
            }
            exit
        }
        Err(failure) => {
            render::failure(&what, &failure, json && !image_on_stdout);
            failure.exit()
        }
    }
}

async fn back_up(args: BackupArgs) -> Result<Outcome, Failure> {
    let stop = super::stop_on_signals()?;
    let config = Config::load(args.job.config.as_deref()).at(Step::Job)?;
    let configured_target = args.job.vm.as_ref().and_then(|vm| config.vm.get(vm)?.target.clone());
    let asked = Asked { require: args.require, level: args.level, ..args.job.asked() };
    let job = Job::new(asked, &config).at(Step::Job)?;
    let world = World::of(&job).at(Step::Job)?;

    let destination = match args.to.or(configured_target) {
        None => {
            let hint = "give --to FOLDER, or --to - for standard output";
            return Err(Cause::usage("no target is named", hint)).at(Step::Job);
        }
        Some(stdout) if stdout == Path::new("-") => Destination::Stdout { receipt: args.receipt },
        Some(folder) => {
            let name = args.name.unwrap_or_else(|| format!("{}-{}", job.vm, world.clock.stamp()));
            Destination::Folder { folder, name }
        }
    };
    backup::run(&job, &destination, &world, &stop).await
}
