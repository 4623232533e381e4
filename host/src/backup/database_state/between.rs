//! A binlog that went on while the image was made: where it ends in it are the coordinates.
//!
//! The server says where it stands before the freeze and after the thaw, and the snapshot is of a moment in between. The last transaction
//! that is whole in its binlog is the last that its recovery keeps; whoever was told that his was committed has it in there.

use fsprobe::binlog::{GtidSet, Gtids, TornBy, Walked};
use guest_bridge::database::server::{Coordinates, Server};

use super::walk::{gtid, walk};
use super::{Doubt, ProvenBy, Snapshots, not_proven};
use crate::grade::Indication;

/// Finds where the binlog ends in the snapshots: it stood at `before` before the freeze, and at `after` behind the thaw.
pub(super) fn by_binlog(
    server: &Server,
    before: &Coordinates,
    after: &Coordinates,
    snapshots: &Snapshots<'_>,
) -> Result<ProvenBy, Doubt> {
    let (path, walked) = walk(server, before, Some(before.position), snapshots)?;
    goes_on_from(before, &walked)?;
    let is_left = walked.at.as_ref().is_some_and(|at| at.is_rotated);
    let (path, walked, file) = match is_left {
        false => (path, walked, &before.file),
        true if is_next(&before.file, &after.file) && walked.torn.is_none() => {
            let (path, walked) = walk(server, after, None, snapshots)?;
            (path, walked, &after.file)
        }
        true => return Err(not_proven("the binlog was changed for another more than once while commits went on")),
    };
    if *file == after.file {
        ends_by(after, &walked)?;
    }
    has_all_of(before, &walked, server)?;
    Ok(ProvenBy::Binlog { path, end_bytes: walked.transactions_end_bytes, gtid: gtid_there(before, &walked) })
}

/// The GTIDs of the image. A MySQL has more than its binlogs where it was set up or replicates without writing one.
fn gtid_there(before: &Coordinates, walked: &Walked) -> Option<String> {
    let Gtids::MySql { logged: Some(logged), .. } = &walked.gtids else { return gtid(walked) };
    let said = before.gtid.as_deref().and_then(GtidSet::parse).unwrap_or_default();
    let both = logged.clone().and(&said)?;
    (!both.is_empty()).then(|| both.to_string())
}

/// Whether the binlog in the image goes on from `before`.
fn goes_on_from(before: &Coordinates, walked: &Walked) -> Result<(), Doubt> {
    let Coordinates { file, position, .. } = before;
    let is_end = walked.at.as_ref().is_some_and(|at| at.is_event_end && at.is_outside_transaction);
    let ends = walked.transactions_end_bytes;
    if !is_end || ends < *position {
        let why = format!("it is whole up to {ends}, and before the freeze the server stood at {file}:{position}");
        return Err((
            Indication::LogShortOfCoordinates,
            format!("the binlog in the image is not this server's: {why}"),
        ));
    }
    // Half of an event is one that was being written. Anything else is no whole log.
    match walked.torn.filter(|torn| torn.why != TornBy::End) {
        Some(torn) => Err((Indication::LogShortOfCoordinates, format!("the binlog in the image is not whole: {torn}"))),
        None => Ok(()),
    }
}

/// Whether it has nothing that was committed after the unlock.
fn ends_by(after: &Coordinates, walked: &Walked) -> Result<(), Doubt> {
    let Coordinates { file, position, .. } = after;
    let ends = walked.transactions_end_bytes;
    if ends <= *position {
        return Ok(());
    }
    let why =
        format!("the binlog in the image ends at {ends}, and behind the thaw the server stood at {file}:{position}");
    Err((Indication::LogBeyondCoordinates, why))
}

/// Whether every transaction is in it that the server had before the freeze.
fn has_all_of(before: &Coordinates, walked: &Walked, server: &Server) -> Result<(), Doubt> {
    let own = server.server_uuid.as_deref().and_then(|uuid| uuid.parse().ok());
    let said = before.gtid.as_deref().unwrap_or_default();
    match walked.gtids.reaches(said, own) {
        Some(true) => Ok(()),
        Some(false) => {
            let why =
                format!("the GTIDs in the image are {}, and before the freeze the server said {said}", walked.gtids);
            Err((Indication::LogShortOfCoordinates, why))
        }
        None => Err(not_proven("the GTIDs of its binlog cannot be read")),
    }
}

/// Whether `after` has the number behind that of `before`.
fn is_next(before: &str, after: &str) -> bool {
    let parts = |name: &str| {
        let (base, number) = name.rsplit_once('.')?;
        Some((base.to_owned(), number.parse::<u64>().ok()?))
    };
    let next = parts(before).map(|(base, number)| (base, number.saturating_add(1)));
    next.is_some() && next == parts(after)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BINLOG, END, coordinates, server, walked};
    use super::*;

    /// Where the transaction before the last ends.
    const EARLIER: u64 = END - 162;

    /// What is said of a binlog with `bytes` of which the server had written up to `before` and then up to `after`.
    fn said(bytes: &[u8], before: &Coordinates, after: &Coordinates) -> Result<u64, Doubt> {
        let walked = walked(bytes, before.position);
        goes_on_from(before, &walked)?;
        ends_by(after, &walked)?;
        has_all_of(before, &walked, &server())?;
        Ok(walked.transactions_end_bytes)
    }

    #[test]
    fn the_coordinates_are_where_the_log_ends_in_between() {
        let (before, after) = (coordinates(EARLIER, "0-1-6"), coordinates(END + 500, "0-1-9"));
        assert_eq!(said(BINLOG, &before, &after), Ok(END));
        assert_eq!(said(BINLOG, &coordinates(END, "0-1-7"), &coordinates(END, "0-1-7")), Ok(END));
    }

    #[test]
    fn a_transaction_that_was_being_written_is_not_counted() {
        let cut = &BINLOG[..END as usize - 10];
        assert_eq!(said(cut, &coordinates(EARLIER, "0-1-6"), &coordinates(END, "0-1-7")), Ok(EARLIER));
    }

    #[test]
    fn a_log_that_is_older_or_newer_than_the_window_is_another_days() {
        let after = coordinates(END + 500, "0-1-9");
        let (short, _) = said(BINLOG, &coordinates(END + 178, "0-1-8"), &after).unwrap_err();
        assert_eq!(short, Indication::LogShortOfCoordinates);
        let (beyond, why) = said(BINLOG, &coordinates(EARLIER, "0-1-6"), &coordinates(EARLIER, "0-1-6")).unwrap_err();
        assert_eq!(beyond, Indication::LogBeyondCoordinates, "{why}");
    }

    #[test]
    fn a_log_without_what_the_server_had_is_another_servers() {
        let (indication, why) = said(BINLOG, &coordinates(EARLIER, "0-1-8"), &coordinates(END, "0-1-9")).unwrap_err();
        assert_eq!(indication, Indication::LogShortOfCoordinates);
        assert!(why.contains("0-1-8"), "{why}");
    }

    #[test]
    fn what_is_wrong_in_its_midst_is_no_write_that_was_cut_off() {
        let at = EARLIER as usize + 30;
        let flipped = [&BINLOG[..at], &[BINLOG[at] ^ 1], &BINLOG[at + 1..]].concat();
        let (indication, why) = said(&flipped, &coordinates(EARLIER, "0-1-6"), &coordinates(END, "0-1-7")).unwrap_err();
        assert_eq!(indication, Indication::LogShortOfCoordinates);
        assert!(why.contains("not whole"), "{why}");
    }

    #[test]
    fn what_mysql_has_and_its_binlog_has_not_is_in_the_image_as_well() {
        const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";
        let logged = GtidSet::parse(&format!("{A}:1-9"));
        let walked = Walked { gtids: Gtids::MySql { last: None, logged }, ..walked(BINLOG, END) };
        let there = gtid_there(&coordinates(END, &format!("{A}:1-7,{B}:1-3")), &walked);
        assert_eq!(there, Some(format!("{A}:1-9,{B}:1-3")));
    }

    #[test]
    fn one_change_of_the_file_is_followed_and_no_leap() {
        assert!(is_next("binlog.000009", "binlog.000010") && is_next("b.999999", "b.1000000"));
        for (before, after) in
            [("b.000001", "b.000003"), ("b.000001", "b.000001"), ("b.000001", "c.000002"), ("b", "c")]
        {
            assert!(!is_next(before, after), "{before} {after}");
        }
    }
}
