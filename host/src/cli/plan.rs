//! `stillpoint plan`.

use tracing::Level;

use super::args::PlanArgs;
use super::{describe, render, voice};
use crate::ask::config::Config;
use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::backup::plan::Plan;
use crate::backup::survey::Survey;
use crate::documents::plan as document;
use crate::failure::exit::Exit;
use crate::failure::{At, Failure};
use crate::step::Step;

pub(super) async fn run(args: PlanArgs) -> Exit {
    let (json, every_setting) = (args.json, args.settings || voice::stderr().says(Level::DEBUG));
    let what = args.job.what("plan");
    match plan(args).await {
        Ok(plan) => {
            if json {
                render::json(&plan, Exit::Done)
            } else {
                render::text(&describe::plan(&plan, every_setting, render::columns()), Exit::Done)
            }
        }
        Err(failure) => render::failure(&what, &failure, json),
    }
}

async fn plan(args: PlanArgs) -> Result<document::Plan, Failure> {
    // The survey has a client in the guest, which a signal must not leave there.
    let stop = super::stop_on_signals()?;
    let config = Config::load(args.job.config.as_deref()).at(Step::Job)?;
    let job = Job::new(args.job.asked(), &config).at(Step::Job)?;
    let world = World::of(&job).at(Step::Job)?;
    let survey = Survey::take(&job, &world, &stop).await?;
    Ok(Plan::make(&job, &survey).at(Step::Plan)?.document())
}
