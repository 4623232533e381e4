//! `stillpoint cat`.

use std::io::{self, BufWriter, IsTerminal, Write};

use fsprobe::ReadAt;
use fsprobe::ext4::FileType;
use fsprobe::ext4::files::{Content, Follow};

use super::args::{CatArgs, about};
use super::render;
use crate::failure::exit::Exit;
use crate::failure::{At, Failure};
use crate::inspect::disk::device_path;
use crate::inspect::files::{Place, Source, exit_of, with_source};
use crate::show::terminal::TerminalSafe;
use crate::step::Step;

const CHUNK_BYTES: u64 = 1 << 20;

pub(super) fn run(args: &CatArgs) -> Exit {
    match cat(args) {
        Ok(exit) => exit,
        Err(failure) => render::failure(&about("cat", &args.target), &failure, false),
    }
}

fn cat(args: &CatArgs) -> Result<Exit, Failure> {
    let place = Place::parse(&args.place).at(Step::Files)?;
    with_source(&device_path(&args.target), &place, |source| {
        source.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let path = place.path();
        let node = source.filesystem.lookup(path, Follow::Last);
        let node = node.map_err(|error| source.lookup_failure(path, &error))?;
        if node.file_type != FileType::Regular {
            return Err(source.failure(path, &"it is no regular file", Exit::Failed));
        }
        let content = source.filesystem.content(&node);
        let content = content.map_err(|fault| source.failure(path, &fault, exit_of(&fault)))?;
        let stdout = io::stdout().lock();
        if stdout.is_terminal() {
            write(source, path, &content, &mut TerminalSafe::new(BufWriter::new(stdout)))?;
        } else {
            write(source, path, &content, &mut { stdout })?;
        }
        Ok(source.exit)
    })
}

/// All of the file, its holes as zeros; or as much of it as the reader takes, as `head` does.
fn write(source: &Source<'_>, path: &[u8], content: &Content<'_>, to: &mut dyn Write) -> Result<(), Failure> {
    let mut offset_bytes = 0;
    let mut chunk = Vec::new();
    while offset_bytes < content.size_bytes() {
        let length = CHUNK_BYTES.min(content.size_bytes() - offset_bytes);
        chunk.resize(usize::try_from(length).unwrap_or_default(), 0);
        content.read_exact_at(&mut chunk, offset_bytes).map_err(|error| {
            let what = format!("cannot read {length} bytes at byte {offset_bytes} of it: {error}");
            source.failure(path, &what, Exit::Failed)
        })?;
        match to.write_all(&chunk) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(|error| unwritable(source, path, &error))?,
        }
        offset_bytes += length;
    }
    to.flush().map_err(|error| unwritable(source, path, &error))
}

fn unwritable(source: &Source<'_>, path: &[u8], error: &io::Error) -> Failure {
    source.failure(path, &format!("cannot write it to stdout: {error}"), Exit::Failed)
}
