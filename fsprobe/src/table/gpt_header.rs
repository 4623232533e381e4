//! One GPT header with its entries, checked before anything in it is believed.
//!
//! UEFI specification 2.10, section 5.3: header in table 5.5, entry in table 5.6. All integers are little-endian.

use crc::{CRC_32_ISO_HDLC, Crc};
use uuid::Uuid;

use crate::ReadAt;
use crate::bytes::{has, le16, le32, le64};
use crate::read_at::read;

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// Entry arrays beyond this are refused: it is 256 times the usual one.
const MAX_ARRAY_BYTES: u64 = 4 << 20;

/// A header whose checksums hold, and its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub my_lba: u64,
    pub alternate_lba: u64,
    pub first_usable_lba: u64,
    pub last_usable_lba: u64,
    pub disk_guid: Uuid,
    pub partition_entry_lba: u64,
    pub number_of_partition_entries: u32,
    pub size_of_partition_entry: u32,
    pub partition_entry_array_crc32: u32,
    /// Used entries with their number, from 1.
    pub entries: Vec<(u32, Entry)>,
}

impl Header {
    /// Length of the whole array, used or not.
    pub fn entries_bytes(&self) -> u64 {
        u64::from(self.number_of_partition_entries) * u64::from(self.size_of_partition_entry)
    }
}

/// One used partition entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub partition_type_guid: Uuid,
    pub unique_partition_guid: Uuid,
    pub starting_lba: u64,
    pub ending_lba: u64,
    pub attributes: u64,
    pub partition_name: String,
}

/// Whether a header, sound or not, stands at `lba`.
pub(super) fn has_signature(disk: &dyn ReadAt, lba: u64, sector_size: u64) -> bool {
    let at = lba.checked_mul(sector_size);
    at.and_then(|at| read(disk, at, 8, "").ok()).is_some_and(|bytes| bytes == b"EFI PART")
}

/// Reads the header at `lba` and its entries; the error says what keeps it from being believed.
pub(super) fn parse(disk: &dyn ReadAt, lba: u64, sector_size: u64) -> Result<Header, String> {
    let sector_bytes = usize::try_from(sector_size).unwrap_or(512);
    let at = lba.checked_mul(sector_size).ok_or("its sector number overflows")?;
    let sector = read(disk, at, sector_bytes, "GPT header").map_err(|error| error.to_string())?;
    if !has(&sector, 0, b"EFI PART") {
        return Err("it has no \"EFI PART\" signature".into());
    }
    let header_size = le32(&sector, 12);
    let header = usize::try_from(header_size).ok().filter(|size| *size >= 92).and_then(|size| sector.get(..size));
    let Some(header) = header else {
        return Err(format!("its size of {header_size} bytes is not between 92 and {sector_size}"));
    };
    let stored = le32(&sector, 16);
    let mut digest = CRC32.digest();
    digest.update(header.get(..16).unwrap_or_default());
    digest.update(&[0; 4]);
    digest.update(header.get(20..).unwrap_or_default());
    let computed = digest.finalize();
    if stored != computed {
        return Err(format!("its checksum is {stored:#010x}, its bytes give {computed:#010x}"));
    }
    let mut parsed = Header {
        my_lba: le64(&sector, 24),
        alternate_lba: le64(&sector, 32),
        first_usable_lba: le64(&sector, 40),
        last_usable_lba: le64(&sector, 48),
        disk_guid: guid(&sector, 56),
        partition_entry_lba: le64(&sector, 72),
        number_of_partition_entries: le32(&sector, 80),
        size_of_partition_entry: le32(&sector, 84),
        partition_entry_array_crc32: le32(&sector, 88),
        entries: Vec::new(),
    };
    if parsed.my_lba != lba {
        return Err(format!("it says that it lies at sector {}, but lies at sector {lba}", parsed.my_lba));
    }
    if parsed.first_usable_lba > parsed.last_usable_lba {
        let (first, last) = (parsed.first_usable_lba, parsed.last_usable_lba);
        return Err(format!("its usable sectors end ({last}) before they begin ({first})"));
    }
    parsed.entries = read_entries(disk, &parsed, sector_size)?;
    Ok(parsed)
}

fn read_entries(disk: &dyn ReadAt, header: &Header, sector_size: u64) -> Result<Vec<(u32, Entry)>, String> {
    let (count, size) = (header.number_of_partition_entries, header.size_of_partition_entry);
    if size < 128 || !size.is_power_of_two() {
        return Err(format!("its entries of {size} bytes are not 128 times a power of two"));
    }
    let array_bytes = header.entries_bytes();
    if array_bytes > MAX_ARRAY_BYTES {
        return Err(format!("its {count} entries of {size} bytes are more than the {MAX_ARRAY_BYTES} bytes read here"));
    }
    let length = usize::try_from(array_bytes).map_err(|error| error.to_string())?;
    let at = header.partition_entry_lba.checked_mul(sector_size).ok_or("its entry array's sector number overflows")?;
    let array = read(disk, at, length, "GPT entries").map_err(|error| error.to_string())?;
    let computed = CRC32.checksum(&array);
    let stored = header.partition_entry_array_crc32;
    if stored != computed {
        return Err(format!("the checksum of its entries is {stored:#010x}, their bytes give {computed:#010x}"));
    }
    let entries = array.chunks_exact(usize::try_from(size).unwrap_or(128)).map(entry).zip(1..);
    Ok(entries
        .filter(|(entry, _)| !entry.partition_type_guid.is_nil())
        .map(|(entry, number)| (number, entry))
        .collect())
}

fn entry(bytes: &[u8]) -> Entry {
    let name: Vec<u16> = (56..128).step_by(2).map(|at| le16(bytes, at)).take_while(|&unit| unit != 0).collect();
    Entry {
        partition_type_guid: guid(bytes, 0),
        unique_partition_guid: guid(bytes, 16),
        starting_lba: le64(bytes, 32),
        ending_lba: le64(bytes, 40),
        attributes: le64(bytes, 48),
        partition_name: String::from_utf16_lossy(&name),
    }
}

/// The mixed-endian form of a GUID that UEFI stores.
fn guid(bytes: &[u8], at: usize) -> Uuid {
    let raw = bytes.get(at..at + 16).and_then(|slice| Uuid::from_slice_le(slice).ok());
    raw.unwrap_or_default()
}
