//! MySQL's events with GTIDs (`Gtid_event`, `Previous_gtids_event` of `mysql/binlog/event/control_events.h`; `Gtid_set::encode`
//! of `sql/rpl_gtid_set.cc`; `libs/mysql/serialization` for those with tags).

use uuid::Uuid;

use super::gtid_set::{GtidSet, MAX_TAG_BYTES, MySqlGtid, Source};

/// Bytes, from the front.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    fn uuid(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.take(16)?).ok()
    }

    /// A number in as many bytes as it needs: as many follow the first as that has ones at its lower end; above those and a
    /// zero is the number, little-endian.
    fn short_number(&mut self) -> Option<u64> {
        let more = self.0.first()?.trailing_ones();
        let bytes = self.take(more as usize + 1)?;
        let value = bytes.iter().rev().fold(0_u128, |value, &byte| value << 8 | u128::from(byte));
        // Eight ones leave no room for the zero.
        u64::try_from(value >> (more + 1).min(8)).ok()
    }

    fn tag(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.short_number()?).ok().filter(|length| *length <= MAX_TAG_BYTES)?;
        self.take(length)
    }
}

/// The GTID of a `Gtid` event, from what follows its header: `flags` 1 byte, `sid` 16, `gno` 8.
pub(super) fn gtid(body: &[u8]) -> Option<MySqlGtid> {
    let mut bytes = Bytes(body);
    bytes.take(1)?;
    let source = Source::new(bytes.uuid()?, b"")?;
    Some(MySqlGtid { source, number: bytes.number()? })
}

/// That of a `Gtid_tagged` event: a version, the size of it all, the number of the last field that has to be understood, and
/// fields, each behind its number: flags 0, UUID 1, number 2, tag 3. Everything is a short number; signed ones have the sign
/// in the lowest bit.
pub(super) fn tagged_gtid(body: &[u8]) -> Option<MySqlGtid> {
    let mut bytes = Bytes(body);
    let (version, _size, _last) = (bytes.short_number()?, bytes.short_number()?, bytes.short_number()?);
    if version != 1 {
        return None;
    }
    let mut field = bytes.short_number()?;
    if field == 0 {
        bytes.short_number()?;
        field = bytes.short_number()?;
    }
    let mut uuid = [0; 16];
    for byte in uuid.iter_mut().filter(|_| field == 1) {
        *byte = u8::try_from(bytes.short_number()?).ok()?;
    }
    if field != 1 || bytes.short_number()? != 2 {
        return None;
    }
    let number = bytes.short_number()?;
    let tag = if bytes.short_number()? == 3 { bytes.tag()? } else { return None };
    let source = Source::new(Uuid::from_bytes(uuid), tag)?;
    (number & 1 == 0).then_some(MySqlGtid { source, number: number >> 1 })
}

/// The set of a `Previous_gtids` event: how many sources there are in 8 bytes, and of each the UUID, how many intervals there
/// are, and of each of those the first number and the one behind the last. Where the uppermost byte of all is 1, and so is
/// the lowest, each has a tag behind its UUID.
pub(super) fn previous_gtids(body: &[u8]) -> Option<GtidSet> {
    let mut bytes = Bytes(body);
    let count = bytes.number()?;
    let (count, is_tagged) = match count >> 56 {
        0 => (count, false),
        1 => (count >> 8 & 0xffff_ffff_ffff, true),
        _ => return None,
    };
    let mut set = GtidSet::default();
    // Every turn takes bytes, so the body bounds them.
    for _ in 0..count {
        let uuid = bytes.uuid()?;
        let tag = if is_tagged { bytes.tag()? } else { b"" };
        let source = Source::new(uuid, tag)?;
        for _ in 0..bytes.number()? {
            let (start, end) = (bytes.number()?, bytes.number()?);
            set.insert(&source, start, end).then_some(())?;
        }
    }
    Some(set)
}

/// Built by the book: no server of MySQL made these bytes.
#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn uuid() -> [u8; 16] {
        Uuid::parse_str(UUID).unwrap().into_bytes()
    }

    fn short(value: u64) -> Vec<u8> {
        let more = (0..8).find(|more| value >> (7 * (more + 1)) == 0).unwrap();
        let value = (u128::from(value) << (more + 1)) | ((1 << more) - 1);
        value.to_le_bytes()[..=more as usize].to_vec()
    }

    #[test]
    fn a_gtid_is_read_behind_its_flags() {
        let body = [&[1][..], &uuid(), &77_u64.to_le_bytes(), &[2, 0, 0]].concat();
        assert_eq!(gtid(&body).unwrap().to_string(), format!("{UUID}:77"));
        assert_eq!(gtid(&body[..24]), None);
    }

    #[test]
    fn a_gtid_with_a_tag_is_read() {
        for number in [1, 77, 300_000, 1 << 40] {
            let mut body = [short(1), short(99), short(12), short(0), short(1), short(1)].concat();
            body.extend(uuid().iter().flat_map(|&byte| short(byte.into())));
            body.extend(
                [short(2), short(number << 1), short(3), short(5), b"alpha".to_vec(), short(4), short(9)].concat(),
            );
            assert_eq!(tagged_gtid(&body).unwrap().to_string(), format!("{UUID}:alpha:{number}"));
        }
    }

    #[test]
    fn the_longest_short_number_has_eight_bytes_behind_ones() {
        let bytes = [&[0xff][..], &u64::MAX.to_le_bytes()].concat();
        assert_eq!(Bytes(&bytes).short_number(), Some(u64::MAX));
        assert_eq!(Bytes(&bytes[..8]).short_number(), None);
    }

    #[test]
    fn the_set_of_those_before_is_read_with_and_without_tags() {
        let intervals = [1_u64, 6, 7, 8].map(u64::to_le_bytes).concat();
        let plain = [&1_u64.to_le_bytes()[..], &uuid(), &2_u64.to_le_bytes(), &intervals].concat();
        assert_eq!(previous_gtids(&plain).unwrap().to_string(), format!("{UUID}:1-5:7"));
        let count = (1_u64 << 56 | 1 << 8 | 1).to_le_bytes();
        let tagged = [&count[..], &uuid(), &[4 << 1], b"beta", &2_u64.to_le_bytes(), &intervals].concat();
        assert_eq!(previous_gtids(&tagged).unwrap().to_string(), format!("{UUID}:beta:1-5:7"));
        assert_eq!(previous_gtids(&0_u64.to_le_bytes()).unwrap(), GtidSet::default());
    }

    #[test]
    fn a_set_that_promises_more_than_it_has_is_none() {
        let endless = [&u64::MAX.to_le_bytes()[..7], &[0], &uuid(), &u64::MAX.to_le_bytes()].concat();
        assert_eq!(previous_gtids(&endless), None);
    }
}
