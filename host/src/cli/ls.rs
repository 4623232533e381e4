//! `stillpoint ls`.

use fsprobe::ext4::files::Follow;

use super::args::{LsArgs, about};
use super::render;
use crate::failure::exit::Exit;
use crate::failure::{At, Failure};
use crate::inspect::disk::device_path;
use crate::inspect::files::{Listing, Place, with_source};
use crate::step::Step;

pub(super) fn run(args: &LsArgs) -> Exit {
    match list(args) {
        Ok(listing) => {
            for error in &listing.errors {
                render::note(&format!("stillpoint: {error}\n"));
            }
            if args.json {
                render::json(&listing, listing.exit)
            } else {
                render::text(&listing.describe(), listing.exit)
            }
        }
        Err(failure) => render::failure(&about("ls", &args.target), &failure, args.json),
    }
}

fn list(args: &LsArgs) -> Result<Listing, Failure> {
    let place = Place::parse(&args.place).at(Step::Files)?;
    with_source(&device_path(&args.target), &place, |source| {
        source.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let node = source.filesystem.lookup(place.path(), Follow::AllButLast);
        let node = node.map_err(|error| source.lookup_failure(place.path(), &error))?;
        Ok(Listing::of(source, place.path(), place.name().unwrap_or(b"/"), &node, args.recursive))
    })
}
