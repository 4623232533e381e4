//! `stillpoint backup`.

use std::path::Path;
use std::sync::Arc;

use super::args::BackupArgs;
use super::listen::Told;
use super::{describe, render, voice};
use crate::ask::asked::Asked;
use crate::ask::config::Config;
use crate::ask::connect::World;
use crate::ask::job::{Job, Target};
use crate::backup::destination::Destination;
use crate::backup::{self, Outcome};
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure};
use crate::run::event::Listeners;
use crate::step::Step;

pub(super) async fn run(args: BackupArgs) -> Exit {
    let json = args.json;
    let what = args.job.what("backup");
    let image_on_stdout = args.to.as_deref() == Some(Path::new("-"));
    match back_up(args).await {
        Ok(outcome) => {
            if let Some(left) = &outcome.left {
                // The outcome's own exit code has it, too.
                let _of_clean_up = render::failure(&format!("clean-up after {what}"), left, false);
            }
            let exit = outcome.exit();
            match (json, image_on_stdout) {
                (true, false) => render::json(&outcome.receipt, exit),
                (false, false) => render::text(&describe::receipt(&outcome.receipt, render::columns()), exit),
                (_, true) => {
                    render::receipt_beside_image(&outcome.receipt);
                    exit
                }
            }
        }
        Err(failure) => render::failure(&what, &failure, json && !image_on_stdout),
    }
}

async fn back_up(args: BackupArgs) -> Result<Outcome, Failure> {
    let stop = super::stop_on_signals()?;
    let config = Config::load(args.job.config.as_deref()).at(Step::Job)?;
    let asked = Asked { to: args.to, require: args.require, level: args.level, ..args.job.asked() };
    let job = Job::new(asked, &config).at(Step::Job)?;
    let world = World::of(&job).at(Step::Job)?;

    let destination = match job.target().at(Step::Job)? {
        Target::Stdout if args.name.is_some() => {
            let hint = "name the receipt's file with --receipt, or write to a folder with --to FOLDER";
            return Err(Cause::usage("--name names files of a folder, and the image goes to standard output", hint))
                .at(Step::Job);
        }
        Target::Stdout => Destination::Stdout { receipt: args.receipt },
        Target::Folder(_) if args.receipt.is_some() => {
            let hint = "leave --receipt out: in a folder the receipt is beside its images, as NAME.json";
            return Err(Cause::usage("--receipt is for an image that goes to standard output", hint)).at(Step::Job);
        }
        Target::Folder(folder) => {
            let name = args.name.unwrap_or_else(|| format!("{}-{}", job.vm, world.clock.stamp()));
            Destination::Folder { folder: folder.clone(), name }
        }
    };
    super::recover::recover_first(&job.state_dir.value).await;
    let told = Told::by(voice::stderr().clone());
    backup::run(&job, &destination, &world, Listeners::default().with(Arc::new(told)), &stop).await
}
