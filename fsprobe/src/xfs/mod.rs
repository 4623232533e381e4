//! XFS: whether its log is clean or has to be replayed, the headers of its groups, and a file by its inode number.
//!
//! Format: "XFS Algorithms & Data Structures" (kernel.org), chapters 13 and 14, and `fs/xfs/libxfs/xfs_format.h`,
//! `xfs_log_format.h`. All integers are big-endian, but for checksums.

mod bmap;
mod content;
mod geometry;
mod group;
mod inode;
mod inode_tree;
mod log;
mod record;
mod superblock;
mod verify;

use crate::read_at::read;
use crate::{Finding, Findings, ProbeError, ReadAt, Verdict, Window};

pub(crate) use content::file;
use log::{Log, State};
pub(crate) use superblock::has_superblock;
use superblock::{LogPlace, Superblock};

/// Adds what is known of the state of an XFS volume; nothing where its log is clean and its headers are right.
pub(crate) fn check(volume: &dyn ReadAt, findings: &mut Findings) -> Result<(), ProbeError> {
    let length = usize::try_from(volume.size_bytes().min(32 << 10)).unwrap_or(0);
    let head = read(volume, 0, length, "XFS superblock")?;
    let superblock = match Superblock::parse(&head) {
        Ok(superblock) => superblock,
        Err(why) => {
            findings.push(Finding::damage("xfs-superblock-bad", "superblock at byte 0", why));
            return Ok(());
        }
    };
    findings.extend(superblock.findings(volume.size_bytes()));
    match superblock.log() {
        LogPlace::External => {
            let detail = "its log is on another device, so nothing here says whether it has to be replayed";
            findings.push(Finding::unknown("xfs-external-log", "superblock at byte 0", detail));
        }
        // What leads to the log would lead to the groups.
        LogPlace::Invalid(why) => {
            findings.push(Finding::damage("xfs-superblock-bad", "superblock at byte 0", why));
            return Ok(());
        }
        LogPlace::Internal { offset_bytes, size_bytes } => {
            let window = Window::new(volume, offset_bytes, size_bytes);
            let log = Log::new(&window, &superblock);
            let place = format!("log at byte {offset_bytes}");
            let relative = |error: ProbeError| error.within(&format!("log, which begins at byte {offset_bytes},"));
            match log.state().map_err(relative)? {
                State::Clean { torn_block } => findings.extend(torn(torn_block, &place)),
                State::Dirty { head_block, tail_block, covered, torn_block } => {
                    let detail = format!(
                        "the log has to be replayed from block {tail_block} to block {head_block} of 512 bytes"
                    );
                    findings.push(Finding::replay("xfs-log-dirty", &place, detail));
                    findings.extend(torn(torn_block, &place));
                    if covered {
                        let detail =
                            "all there is to replay is the superblock: the filesystem was frozen, or had been idle";
                        findings.push(Finding::note("xfs-log-covered", &place, detail));
                    }
                }
                State::Bad(why) => findings.push(Finding::damage("xfs-log-bad", &place, why)),
                State::Unknown(why) => findings.push(Finding::unknown("xfs-log-unknown", &place, why)),
            }
        }
    }
    let is_clean = findings.verdict() == Verdict::Consistent;
    group::check(volume, &superblock, is_clean, findings)
}

fn torn(block: Option<u64>, place: &str) -> Option<Finding> {
    let detail = |block| {
        format!(
            "the record at block {block} of 512 bytes was not written whole; a mount drops it and goes by the one before"
        )
    };
    block.map(|block| Finding::note("xfs-log-torn", place, detail(block)))
}
