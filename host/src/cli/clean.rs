//! `stillpoint clean`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use lvm::programs::HostPrograms;
use lvm::{LvName, Lvm};

use super::args::CleanArgs;
use super::{describe, render};
use crate::ask::config::Config;
use crate::ask::job::state_dir;
use crate::blocking::blocking;
use crate::clean::find::find;
use crate::clean::{self, Outcome, Reach, Roots};
use crate::documents::clean::Clean;
use crate::failure::exit::{Exit, worse};
use crate::failure::{At, Cause, Failure};
use crate::step::Step;
use crate::stop::Stop;

pub(super) async fn run(args: CleanArgs) -> Exit {
    let json = args.json;
    match clean(&args) {
        Ok((document, exit)) if json => render::json(&document, exit),
        Ok((document, exit)) if args.names.is_empty() && !document.findings.is_empty() => {
            let hint = "\n`stillpoint clean VG/LV...` takes the steps of those that are named.\n";
            render::text(&(describe::clean(&document) + hint), exit)
        }
        Ok((document, exit)) => render::text(&describe::clean(&document), exit),
        Err(failure) => render::failure("clean", &failure, json),
    }
}

fn clean(args: &CleanArgs) -> Result<(Clean, Exit), Failure> {
    // A second signal in the middle of a removal must not leave half of it.
    let stop = super::stop_on_signals()?;
    let names = args.names.iter().map(|name| name.parse());
    let names: Vec<_> = names.collect::<Result<_, lvm::NameError>>().map_err(no_name).at(Step::Job)?;
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !names.is_empty() && !args.yes && !can_ask {
        let hint = "give --yes where nobody can be asked; without names it only lists";
        return Err(Cause::usage("what is named is removed only after a question, and there is no terminal", hint))
            .at(Step::Job);
    }
    let config = Config::load(args.config.as_deref()).at(Step::Job)?;
    let reach = reach(args, &config);
    let seen = blocking(|| clean::look(&reach)).at(Step::Clean)?;
    let found = find(&seen);
    if names.is_empty() {
        // What is listed is not all of it where a group was not looked at.
        let exit = if seen.inventory.unseen.is_empty() { Exit::Done } else { Exit::Failed };
        return Ok((clean::listing(&found, &seen), exit));
    }
    let chosen = clean::choose(&found, &seen, &guests(&config), &names, args.thin).at(Step::Clean)?;
    let listed = clean::listing(&chosen, &seen);
    if !args.yes && !render::confirmed(&format!("{}\nTake these steps? [y/N] ", describe::clean(&listed))) {
        return Err(Cause::usage("it was not confirmed, and nothing was done", "answer y, or give --yes"))
            .at(Step::Clean);
    }
    Ok(carry_out(&chosen, &reach, &stop))
}

fn carry_out(chosen: &[clean::finding::Finding], reach: &Reach, stop: &Stop) -> (Clean, Exit) {
    let done = blocking(|| clean::carry_out(chosen, reach, stop));
    let exit = done.iter().map(|done| done.outcome.exit()).fold(Exit::Done, worse);
    let needs_person = done.iter().any(|done| matches!(done.outcome, Outcome::Left { needs_person: true, .. }));
    (clean::report(&done), if needs_person { Exit::NeedsPerson } else { exit })
}

/// The disks of the configuration's VMs, with the VM of each. One that is written wrongly is none here.
fn guests(config: &Config) -> BTreeMap<LvName, String> {
    let disks = config.vm.iter().flat_map(|(vm, its)| its.disks.iter().map(move |disk| (disk.parse(), vm.clone())));
    disks.filter_map(|(disk, vm)| Some((disk.ok()?, vm))).collect()
}

fn no_name(error: lvm::NameError) -> Cause {
    Cause::usage(error.to_string(), "`stillpoint clean` without a name lists what is stale")
}

/// The real world.
fn reach(args: &CleanArgs, config: &Config) -> Reach {
    let programs = Arc::new(HostPrograms);
    Reach {
        lvm: Lvm::new(programs.clone()),
        programs,
        roots: Roots::default(),
        state_dir: state_dir(args.state_dir.clone(), config).value,
    }
}
