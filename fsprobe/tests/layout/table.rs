//! Partition tables, held against what sfdisk makes and says. It is to tell the kernel nothing: else it waits until all
//! filesystems of the machine are on their disks.

use fsprobe::{Disk, Kind, Severity, Table, Verdict, layout};
use stillpoint_tests::machine::ext4;
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::loop_device::LoopDevice;
use stillpoint_tests::machine::program::{run, run_with_input};

use crate::support::code;

const MIB: u64 = 1 << 20;

fn partitioned(script: &str, size_bytes: u64) -> (Vec<u8>, Vec<(String, u64, u64)>) {
    let images = Images::new();
    let image = images.blank("disk", size_bytes);
    let image = image.to_str().unwrap();
    run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image], script);
    let json: serde_json::Value = serde_json::from_str(&run("sfdisk", &["--json", image])).unwrap();
    let table = &json["partitiontable"];
    let sector = table["sectorsize"].as_u64().unwrap_or(512);
    let partitions = table["partitions"].as_array().unwrap().iter().filter(|p| p["type"] != "5" && p["type"] != "f");
    let expected = partitions.map(|p| {
        let number = p["node"].as_str().unwrap().strip_prefix(image).unwrap();
        (number.into(), p["start"].as_u64().unwrap() * sector, p["size"].as_u64().unwrap() * sector)
    });
    (std::fs::read(image).unwrap(), expected.collect())
}

fn places(disk: &Disk) -> Vec<(String, u64, u64)> {
    disk.volumes.iter().map(|v| (v.path.clone(), v.offset_bytes().unwrap(), v.size_bytes())).collect()
}

fn codes(disk: &Disk) -> Vec<&'static str> {
    disk.findings.iter().chain(disk.volumes.iter().flat_map(|v| &v.findings)).map(code).collect()
}

fn worst(disk: &Disk) -> Verdict {
    let findings = disk.findings.iter().chain(disk.volumes.iter().flat_map(|v| &v.findings));
    findings.map(|finding| finding.severity.verdict()).max().unwrap_or_default()
}

const GPT: &str = "label: gpt\nsize=4MiB, type=uefi, name=ESP\nsize=8MiB\nsize=2MiB, type=swap\n";

fn gpt() -> (Vec<u8>, Vec<(String, u64, u64)>) {
    partitioned(GPT, 32 * MIB)
}

#[test]
fn a_gpt_has_the_partitions_that_sfdisk_says() {
    let (image, expected) = gpt();
    let disk = layout(&image).unwrap();
    assert_eq!((disk.table, disk.sector_size_bytes), (Table::Gpt, 512));
    assert_eq!(places(&disk), expected);
    assert_eq!(disk.volumes[0].name.as_deref(), Some("ESP"));
    assert_eq!(disk.volumes[0].partition_type.as_deref(), Some("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"));
    assert_eq!(codes(&disk), [""; 0]);
}

#[test]
fn a_gpt_of_4096_byte_sectors_is_recognised() {
    // gptman writes it: sfdisk knows only the sector size of the device.
    let mut image = std::io::Cursor::new(vec![0_u8; 32 << 20]);
    let mut gpt = gptman::GPT::new_from(&mut image, 4096, [7; 16]).unwrap();
    gpt[1] = gptman::GPTPartitionEntry {
        partition_type_guid: [1; 16],
        unique_partition_guid: [2; 16],
        starting_lba: gpt.header.first_usable_lba,
        ending_lba: gpt.header.first_usable_lba + 9,
        attribute_bits: 0,
        partition_name: "data".into(),
    };
    gptman::GPT::write_protective_mbr_into(&mut image, 4096).unwrap();
    gpt.write_into(&mut image).unwrap();
    let disk = layout(&image.into_inner()).unwrap();
    assert_eq!((disk.table, disk.sector_size_bytes), (Table::Gpt, 4096));
    assert_eq!(places(&disk), [("1".into(), gpt.header.first_usable_lba * 4096, 40960)]);
    assert_eq!(codes(&disk), [""; 0]);
}

/// Partitions 255, which Linux sees, and 256, which it does not.
fn long_gpt() -> Vec<u8> {
    let images = Images::new();
    let image = images.blank("disk", 8 * MIB);
    let script = "label: gpt\ntable-length: 512\n255: start=2048, size=1MiB\n256: start=6144, size=1MiB\n";
    run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image.to_str().unwrap()], script);
    std::fs::read(image).unwrap()
}

#[test]
fn gpt_partitions_that_the_kernel_would_not_see_are_said_and_copied_whole() {
    let image = long_gpt();
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), [("255".into(), MIB, MIB)]);
    assert_eq!((codes(&disk), worst(&disk)), (vec!["gpt-too-many-partitions"], Verdict::Unknown));
    assert_eq!(fsprobe::allocated(&image, &disk).unwrap(), [fsprobe::Extent::new(0, 8 * MIB)]);
}

#[test]
fn a_gpt_partition_that_the_kernel_would_not_see_still_overlaps() {
    let mut image = long_gpt();
    let crc32 = |bytes: &[u8]| crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(bytes).to_le_bytes();
    let starting_lba = 1024 + 255 * 128 + 32;
    image[starting_lba..starting_lba + 8].copy_from_slice(&2100_u64.to_le_bytes());
    let entries = crc32(&image[1024..1024 + 512 * 128]);
    image[512 + 88..512 + 92].copy_from_slice(&entries);
    image[512 + 16..512 + 20].fill(0);
    let header = crc32(&image[512..512 + 92]);
    image[512 + 16..512 + 20].copy_from_slice(&header);
    let found = codes(&layout(&image).unwrap());
    assert_eq!(found, ["gpt-copies-differ", "gpt-too-many-partitions", "partition-overlap"]);
}

#[test]
fn the_backup_gpt_is_used_and_said_where_the_primary_is_bad() {
    let (image, expected) = gpt();
    // The header's checksum, an entry, and everything from the first byte on.
    for damage in [512 + 16..512 + 20, 1024 + 32..1024 + 40, 0..34 * 512] {
        let mut image = image.clone();
        image[damage.clone()].iter_mut().for_each(|byte| *byte = !*byte & 0x7f);
        if damage.start == 0 {
            image[damage.clone()].fill(0);
        }
        let disk = layout(&image).unwrap();
        assert_eq!((disk.table, places(&disk)), (Table::Gpt, expected.clone()), "{damage:?}");
        assert!(codes(&disk).contains(&"gpt-primary-bad"), "{damage:?}: {:?}", codes(&disk));
        // The partitions are found, but a Linux that boots from it sees none.
        assert_eq!(worst(&disk), Verdict::Unknown);
    }
}

#[test]
fn a_bad_backup_gpt_is_said_and_harms_nothing() {
    let (mut image, expected) = gpt();
    let last = image.len() - 512;
    image[last + 40] ^= 1;
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), expected);
    assert_eq!((codes(&disk), worst(&disk)), (vec!["gpt-backup-bad"], Verdict::Consistent));
}

#[test]
fn with_both_gpts_bad_the_disk_is_damaged() {
    let (mut image, _) = gpt();
    let last = image.len() - 512;
    image[512 + 40] ^= 1;
    image[last + 40] ^= 1;
    let disk = layout(&image).unwrap();
    assert_eq!(codes(&disk), ["gpt-primary-bad", "gpt-backup-bad"]);
    assert_eq!(worst(&disk), Verdict::Damaged);
}

#[test]
fn a_backup_of_another_table_is_said_to_differ() {
    let (mut image, expected) = gpt();
    let (other, _) = partitioned("label: gpt\nsize=4MiB, type=uefi, name=ESP\nsize=9MiB\n", 32 * MIB);
    let tail = image.len() - 33 * 512;
    image[tail..].copy_from_slice(&other[tail..]);
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), expected);
    let differences: Vec<_> =
        disk.findings.iter().map(|finding| finding.detail.split(" is ").next().unwrap()).collect();
    assert_eq!(differences, ["disk GUID", "partition 1", "partition 2", "partition 3"]);
}

#[test]
fn a_disk_that_has_grown_keeps_its_partitions_even_without_the_primary() {
    let (mut image, expected) = gpt();
    image.resize(48 << 20, 0);
    let disk = layout(&image).unwrap();
    assert_eq!((places(&disk), codes(&disk)), (expected.clone(), vec!["gpt-backup-not-at-end"]));

    image[512..1024].fill(0);
    let disk = layout(&image).unwrap();
    assert_eq!((places(&disk), codes(&disk)), (expected, vec!["gpt-primary-bad", "gpt-backup-not-at-end"]));
}

#[test]
fn a_truncated_image_names_the_partition_that_is_cut() {
    let (mut image, expected) = gpt();
    image.truncate(10 << 20);
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), expected);
    let cut: Vec<_> =
        disk.volumes.iter().map(|v| v.findings.iter().any(|f| f.code == "partition-beyond-end")).collect();
    assert_eq!(cut, [false, true, true]);
    let kinds: Vec<_> = disk.volumes.iter().map(|volume| volume.kind).collect();
    assert_eq!(kinds, [Kind::Empty, Kind::Unknown, Kind::Unknown], "what is cut off may hold anything");
    assert_eq!(worst(&disk), Verdict::Damaged);
}

#[test]
fn an_image_that_lacks_its_last_byte_is_damaged_though_its_partitions_are_whole() {
    let (mut image, expected) = gpt();
    image.truncate(image.len() - 1);
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), expected);
    assert!(codes(&disk).contains(&"gpt-beyond-end"), "{:?}", codes(&disk));
    assert_eq!(worst(&disk), Verdict::Damaged);
}

const MBR: &str = "label: dos\n1 : start=2048, size=8192, type=83\n2 : size=4096, type=82\n3 : size=40960, type=5\n\
                   5 : size=8192, type=83\n6 : size=4096, type=8e\n7 : size=10240, type=7\n";

fn mbr() -> (Vec<u8>, Vec<(String, u64, u64)>) {
    let named =
        MBR.lines().map(|line| if line.contains(" : ") { format!("/dev/x{line}\n") } else { format!("{line}\n") });
    partitioned(&named.collect::<String>(), 32 * MIB)
}

#[test]
fn an_mbr_has_the_primary_and_logical_partitions_that_sfdisk_says() {
    let (image, expected) = mbr();
    let disk = layout(&image).unwrap();
    assert_eq!(disk.table, Table::Mbr);
    assert_eq!(places(&disk), expected);
    assert_eq!(expected.iter().map(|p| p.0.as_str()).collect::<Vec<_>>(), ["1", "2", "5", "6", "7"]);
    assert_eq!(codes(&disk), ["mbr-extended"]);
}

/// The extended boot record before logical partition 6, and the start of the extended partition, in bytes.
fn second_record(image: &[u8]) -> (usize, usize) {
    let lba = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    let extended = lba(0x1be + 32 + 8) * 512;
    (extended + lba(extended + 0x1be + 16 + 8) * 512, extended)
}

#[test]
fn a_loop_in_the_chain_of_logical_partitions_is_named_and_ends() {
    let (mut image, expected) = mbr();
    let (record, _) = second_record(&image);
    image[record + 0x1be + 16 + 8..record + 0x1be + 16 + 12].fill(0);
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), expected[..4]);
    assert!(codes(&disk).contains(&"mbr-chain-loop"));
    assert_eq!(worst(&disk), Verdict::Damaged);
}

#[test]
fn a_cut_chain_keeps_the_partitions_before_the_cut() {
    let (mut image, expected) = mbr();
    let (record, _) = second_record(&image);
    image[record + 510] = 0;
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), expected[..3]);
    assert!(codes(&disk).contains(&"mbr-chain-truncated"));
}

#[test]
fn overlapping_partitions_are_named() {
    let (mut image, _) = mbr();
    image[0x1be + 12..0x1be + 16].copy_from_slice(&10_000_u32.to_le_bytes());
    let disk = layout(&image).unwrap();
    let overlap = disk.volumes[1].findings.iter().find(|finding| finding.code == "partition-overlap").unwrap();
    assert!(overlap.detail.contains("before partition 1 ends"), "{}", overlap.detail);
}

#[test]
fn a_hybrid_mbr_is_said_and_the_gpt_counts() {
    let (mut image, expected) = gpt();
    image[0x1ce + 4] = 0x83;
    image[0x1ce + 8..0x1ce + 12].copy_from_slice(&2048_u32.to_le_bytes());
    image[0x1ce + 12..0x1ce + 16].copy_from_slice(&8192_u32.to_le_bytes());
    let disk = layout(&image).unwrap();
    assert_eq!((disk.table, places(&disk)), (Table::Gpt, expected));
    assert_eq!(codes(&disk), ["gpt-hybrid-mbr"]);
}

/// gptman would ask for 652 GB here.
#[test]
fn a_header_of_four_thousand_million_entries_with_a_valid_checksum_is_refused() {
    let (mut image, expected) = gpt();
    image[512 + 80..512 + 84].copy_from_slice(&u32::MAX.to_le_bytes());
    image[512 + 16..512 + 20].fill(0);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&image[512..512 + 92]);
    image[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), expected);
    assert!(disk.findings[0].detail.contains("4294967295 entries"), "{:?}", disk.findings[0]);
}

const BOTH_HEADERS: [usize; 2] = [512, 32 * MIB as usize - 512];

/// Makes the checksums of the GPT header at `at` and of its entries right again.
fn seal(image: &mut [u8], at: usize) {
    let crc32 = |bytes: &[u8]| crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(bytes).to_le_bytes();
    let field = |image: &[u8], at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    let entries = field(image, at + 72) * 512;
    let length = field(image, at + 80) * field(image, at + 84);
    let checksum = crc32(&image[entries..entries + length]);
    image[at + 88..at + 92].copy_from_slice(&checksum);
    image[at + 16..at + 20].fill(0);
    let checksum = crc32(&image[at..at + 92]);
    image[at + 16..at + 20].copy_from_slice(&checksum);
}

#[test]
fn a_gpt_that_linux_would_refuse_is_read_and_said() {
    let (image, expected) = gpt();
    // Entries of 256 bytes, of which only the first is where it was; and usable sectors past the end of the disk.
    let mut large_entries = image.clone();
    let mut past_the_end = image;
    for at in BOTH_HEADERS {
        large_entries[at + 80..at + 88].copy_from_slice(&[64, 0, 0, 0, 0, 1, 0, 0]);
        seal(&mut large_entries, at);
        past_the_end[at + 48..at + 56].copy_from_slice(&u64::from(u32::MAX).to_le_bytes());
        seal(&mut past_the_end, at);
    }
    let disk = layout(&large_entries).unwrap();
    assert_eq!(places(&disk)[0], expected[0]);
    assert_eq!((codes(&disk)[0], worst(&disk)), ("gpt-not-for-linux", Verdict::Unknown));
    let disk = layout(&past_the_end).unwrap();
    assert_eq!((places(&disk), codes(&disk)), (expected, vec!["gpt-not-for-linux"]));
}

#[test]
fn gpt_entries_where_a_partition_may_lie_are_said() {
    let (mut image, expected) = gpt();
    image.copy_within(1024..1024 + 128 * 128, 30 * MIB as usize);
    image[512 + 72..512 + 80].copy_from_slice(&(30 * 2048_u64).to_le_bytes());
    seal(&mut image, 512);
    let disk = layout(&image).unwrap();
    assert_eq!((places(&disk), codes(&disk)), (expected, vec!["gpt-entries-in-usable"]));
}

#[test]
fn a_gpt_partition_that_ends_before_it_begins_is_no_overlap() {
    let (mut image, _) = gpt();
    for at in BOTH_HEADERS {
        let entries = u32::from_le_bytes(image[at + 72..at + 76].try_into().unwrap()) as usize * 512;
        image[entries + 128 + 32..entries + 128 + 40].copy_from_slice(&3000_u64.to_le_bytes());
        image[entries + 128 + 40..entries + 128 + 48].copy_from_slice(&2900_u64.to_le_bytes());
        seal(&mut image, at);
    }
    let disk = layout(&image).unwrap();
    assert_eq!((codes(&disk), disk.volumes[1].size_bytes()), (vec!["partition-bad-range"], 0));
}

#[test]
fn what_linux_asks_of_a_protective_mbr_is_what_counts() {
    let (image, expected) = gpt();
    // Linux ignores the boot indicator, and demands the first sector.
    for (at, value, code) in [(0x1be, 1, None), (0x1be, 0x80, None), (0x1be + 8, 2, Some("gpt-protective-mbr-bad"))] {
        let mut image = image.clone();
        image[at] = value;
        let disk = layout(&image).unwrap();
        assert_eq!((places(&disk), codes(&disk)), (expected.clone(), code.into_iter().collect()), "{at:#x} = {value}");
    }
}

/// The image of a filesystem on the whole disk, into whose first sector sfdisk then puts `script`.
fn partitioned_over(program: &str, args: &[&str], script: &str) -> Vec<u8> {
    let images = Images::new();
    let image = images.blank("disk", 64 * MIB);
    let image = image.to_str().unwrap();
    run(program, &[args, &[image]].concat());
    if !script.is_empty() {
        run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", "--wipe", "never", image], script);
    }
    std::fs::read(image).unwrap()
}

#[test]
fn a_partition_table_counts_though_parameters_of_a_filesystem_are_left_in_its_sector() {
    let script = "label: dos\nstart=2048, size=20480\nstart=40960\n";
    for (program, args) in
        [("mkfs.fat", &["-F32"][..]), ("mkfs.ntfs", &["-Q", "-F", "-q"]), ("mke2fs", &["-q", "-F", "-t", "ext4"])]
    {
        let bare = layout(&partitioned_over(program, args, "")).unwrap();
        assert_eq!((bare.table, bare.volumes.len(), codes(&bare)), (Table::None, 1, vec![]), "{program}");

        let image = partitioned_over(program, args, script);
        let disk = layout(&image).unwrap();
        let expected = [("1".into(), MIB, 10 * MIB), ("2".into(), 20 * MIB, 44 * MIB)];
        assert_eq!((disk.table, places(&disk)), (Table::Mbr, expected.to_vec()), "{program}");
        let said: Vec<_> = disk.findings.iter().map(|finding| (code(finding), finding.severity)).collect();
        assert_eq!(said, [("table-and-filesystem", Severity::Warning)], "{program}");
        assert_eq!(fsprobe::allocated(&image, &disk).unwrap(), [fsprobe::Extent::new(0, 64 * MIB)], "{program}");
    }
}

#[test]
fn a_fat_that_pretends_to_be_partitioned_is_a_fat() {
    let disk = layout(&partitioned_over("mkfs.fat", &["-F32", "--mbr=yes"], "")).unwrap();
    assert_eq!((disk.table, disk.volumes[0].kind), (Table::None, fsprobe::Kind::Fat));
}

#[test]
fn more_logical_partitions_than_sfdisk_shows_are_found() {
    let mut image = vec![0; 16 * MIB as usize];
    let mut put = |sector: u32, entries: &[Vec<u8>]| {
        let at = sector as usize * 512;
        image[at + 510..at + 512].copy_from_slice(&[0x55, 0xaa]);
        image[at + 0x1be..at + 0x1be + 16 * entries.len()].copy_from_slice(&entries.concat());
    };
    put(0, &[entry(5, 64, 32_000)]);
    for i in 0..250 {
        let next = entry(5, (i + 1) * 128, 128);
        put(64 + i * 128, &if i < 249 { vec![entry(0x83, 64, 64), next] } else { vec![entry(0x83, 64, 64)] });
    }
    let disk = layout(&image).unwrap();
    let expected = (0..250).map(|i| ((i + 5).to_string(), (128 + i * 128) * 512, 64 * 512));
    assert_eq!((places(&disk), codes(&disk)), (expected.collect::<Vec<_>>(), vec!["mbr-extended"]));
}

/// An entry of an MBR.
fn entry(kind: u8, start: u32, size: u32) -> Vec<u8> {
    [&[0, 0, 0, 0, kind, 0, 0, 0][..], &start.to_le_bytes(), &size.to_le_bytes()].concat()
}

#[test]
fn a_disc_that_boots_as_a_disk_is_not_damaged_but_copied_whole() {
    let mut image = vec![0; 4 << 20];
    image[0x8000..0x8006].copy_from_slice(b"\x01CD001");
    image[0x1be..0x1be + 32].copy_from_slice(&[entry(0x17, 0, 8192), entry(0xef, 256, 4)].concat());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    let disk = layout(&image).unwrap();
    assert_eq!(places(&disk), [("1".into(), 0, 4 << 20), ("2".into(), 256 * 512, 2048)]);
    assert_eq!(disk.volumes[0].kind, Kind::Other("iso9660"));
    assert_eq!((codes(&disk), worst(&disk)), (vec!["table-and-filesystem", "partition-overlap"], Verdict::Consistent));
    assert_eq!(fsprobe::allocated(&image, &disk).unwrap(), [fsprobe::Extent::new(0, 4 << 20)]);
    // The disc itself is not looked into.
    assert_eq!(fsprobe::check(&image, fsprobe::Depth::Default).unwrap().verdict, Verdict::Unknown);

    // Without any partition in its table it is one volume.
    image[0x1be..0x1be + 32].fill(0);
    let disk = layout(&image).unwrap();
    assert_eq!((disk.table, disk.volumes[0].kind), (Table::None, Kind::Other("iso9660")));
}

#[test]
fn an_mbr_of_4096_byte_sectors_is_recognised_by_what_is_in_its_partitions() {
    let images = Images::new();
    let image = images.blank("disk", 100 * MIB);
    let device = LoopDevice::new(&image, &["--sector-size", "4096"]);
    let script = "label: dos\n/dev/x1 : start=256, size=40MiB\n/dev/x2 : size=50MiB, type=5\n/dev/x5 : size=40MiB\n";
    run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", "--no-reread", &device.path], script);
    run("blockdev", &["--flushbufs", &device.path]);
    drop(device);
    let empty = layout(&std::fs::read(&image).unwrap()).unwrap();
    // An extended boot record is where it says.
    assert_eq!((empty.sector_size_bytes, empty.volumes.len()), (4096, 2));

    ext4::make_at(&image, MIB, 40, &[]);
    let image = std::fs::read(&image).unwrap();
    let disk = layout(&image).unwrap();
    assert_eq!((disk.table, disk.sector_size_bytes), (Table::Mbr, 4096));
    let found: Vec<_> = disk.volumes.iter().map(|it| (it.path.as_str(), it.kind)).collect();
    assert_eq!(found, [("1", Kind::Ext4), ("5", Kind::Empty)]);
    assert_eq!(places(&disk)[0], ("1".into(), MIB, 40 * MIB));
    assert_eq!(codes(&disk), ["mbr-sector-size", "mbr-extended"]);
}
