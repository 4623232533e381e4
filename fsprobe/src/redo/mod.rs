//! The redo log of MariaDB's InnoDB since 10.8: from which checkpoint a server would recover, and up to where.
//!
//! Format: `storage/innobase/include/log0log.h`, `log/log0recv.cc` and `include/mtr0log.h` of MariaDB; `ib_logfile0` is all of
//! it. A header block, two blocks of which each checkpoint writes one, and from byte 12288 on a ring of mini-transactions: an
//! LSN counts their bytes. Each is records, which say how long they are; a byte that is 1 on the first way around the ring, 0
//! on the second, and so on; and the CRC-32C of the records. Where one is not whole, or is that of the last way around, the
//! log ends. Integers are big-endian.

mod error;
mod header;
mod mini_transaction;
mod ring;

use crate::ReadAt;

pub use error::RedoError;
use header::Header;
use mini_transaction::Next;
use ring::Ring;

/// What a recovery would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redo {
    /// The changes before it are in the data files.
    pub checkpoint_lsn: u64,
    /// Where the last mini-transaction ends that is whole: the changes from there on are lost.
    pub end_lsn: u64,
    /// Who made the file, unprintable bytes escaped.
    pub creator: String,
    is_clean: bool,
}

impl Redo {
    /// Whether there is nothing to recover. A server that was shut down in good order leaves its log so, and so does one that
    /// runs and has had nothing to do since its last checkpoint: the log does not tell these apart.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_clean
    }
}

/// Reads the redo log `file`, from its checkpoint to its end.
///
/// # Errors
/// [`RedoError`] where there is none that a server would recover from.
pub fn read(file: &dyn ReadAt) -> Result<Redo, RedoError> {
    let header = Header::read(file)?;
    let mut ring = Ring::new(file, header.first_lsn)?;
    let mut lsn = header.checkpoint.lsn;
    let (mut is_at_end_of_checkpoint, mut has_checkpoint_record) = (false, false);
    let mut is_first_checkpoint_record = false;
    loop {
        is_at_end_of_checkpoint |= lsn == header.checkpoint.end_lsn;
        let Next::Whole { end_lsn, checkpoint } = mini_transaction::next(&mut ring, lsn)? else { break };
        if lsn >= header.checkpoint.end_lsn && checkpoint == Some(header.checkpoint.lsn) {
            has_checkpoint_record = true;
            is_first_checkpoint_record |= lsn == header.checkpoint.lsn;
        }
        // The ring holds no more than that, whatever its bits say.
        if end_lsn - header.checkpoint.lsn > ring.capacity_bytes() {
            return Err(RedoError::Bad("it goes around itself".into()));
        }
        lsn = end_lsn;
    }
    if !is_at_end_of_checkpoint || !has_checkpoint_record {
        let detail = format!(
            "its checkpoint at LSN {} was finished at LSN {} or later, its records end at LSN {lsn}",
            header.checkpoint.lsn, header.checkpoint.end_lsn
        );
        return Err(RedoError::Bad(detail));
    }
    let is_clean = is_first_checkpoint_record && lsn == header.checkpoint.lsn + mini_transaction::CHECKPOINT_BYTES;
    Ok(Redo { checkpoint_lsn: header.checkpoint.lsn, end_lsn: lsn, creator: header.creator, is_clean })
}
