//! `stillpoint cp`.

use fsprobe::ext4::files::Follow;

use super::args::{CpArgs, about};
use super::render;
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure};
use crate::inspect::disk::device_path;
use crate::inspect::extract::{Options, Report, extract};
use crate::inspect::files::{Place, with_source};
use crate::step::Step;
use crate::stop::Stop;

pub(super) fn run(args: &CpArgs) -> Exit {
    match copy(args) {
        Ok((report, exit)) => {
            for complaint in report.complaints() {
                render::note(&format!("stillpoint: {complaint}\n"));
            }
            if args.json { render::json(&report, exit) } else { render::text(&report.summary(), exit) }
        }
        Err(failure) => render::failure(&about("cp", &args.target), &failure, args.json),
    }
}

fn copy(args: &CpArgs) -> Result<(Report, Exit), Failure> {
    let place = Place::parse(&args.place).at(Step::Files)?;
    let stop = Stop::on_signals()
        .map_err(|error| Cause::refused(format!("cannot listen for signals: {error}"), "is the system out of memory?"))
        .at(Step::Files)?;
    with_source(&device_path(&args.target), &place, |source| {
        source.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let node = source.filesystem.lookup(place.path(), Follow::AllButLast);
        let node = node.map_err(|error| source.lookup_failure(place.path(), &error))?;
        let options = Options { overwrite: args.overwrite, devices: args.devices };
        let report = extract(&source.filesystem, &node, place.name(), &args.destination, options, &stop)
            .map_err(|trouble| {
                let what = format!("destination {}: {trouble}", args.destination.display());
                Cause::usage(what, "name a folder that exists, or a new name in one")
            })
            .at(Step::Files)?;
        let exit = report.exit(source.exit);
        Ok((report, exit))
    })
}
