//! `stillpoint doctor`.

use std::sync::Arc;

use super::args::DoctorArgs;
use super::listen::Told;
use super::{describe, render, voice};
use crate::ask::asked::Asked;
use crate::ask::config::Config;
use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::doctor::{Examination, examine};
use crate::failure::exit::Exit;
use crate::failure::{At, Failure};
use crate::run::event::Listeners;
use crate::step::Step;

pub(super) async fn run(args: DoctorArgs) -> Exit {
    let json = args.json;
    let what = args.job.what("doctor");
    match look(args).await {
        Ok(found) if json => render::json(&found.document(), found.exit()),
        Ok(found) => render::text(&describe::diagnosis(&found.document(), render::columns()), found.exit()),
        Err(failure) => render::failure(&what, &failure, json),
    }
}

async fn look(args: DoctorArgs) -> Result<Examination, Failure> {
    // Clients in the guest, and a freeze, which a signal must not leave there.
    let stop = super::stop_on_signals()?;
    let config = Config::load(args.job.config.as_deref()).at(Step::Job)?;
    let asked = Asked { to: args.to, require: args.require, ..args.job.asked() };
    let job = Job::new(asked, &config).at(Step::Job)?;
    let world = World::of(&job).at(Step::Job)?;
    let told = || Listeners::default().with(Arc::new(Told::by(voice::stderr().clone())));
    examine(&job, &world, args.freeze_test.then(told), &stop).await
}
