//! Random valid tables and groups: what was built is what is found, nothing else, and nothing is wrong with it.

use std::fmt::Write;
use std::io::Cursor;
use std::ops::Range;

use fsprobe::{Disk, Extent, Severity, Table, layout};
use proptest::prelude::*;

use crate::support::{code, lvm_crc};

const DISK_SECTORS: u32 = 8 << 10;

/// Path and place of every volume, none of which has a finding.
fn found(disk: &Disk) -> Vec<(String, Option<Extent>)> {
    let findings: Vec<_> = disk.findings.iter().chain(disk.volumes.iter().flat_map(|v| &v.findings)).collect();
    let harmless = ["mbr-extended", "no-partition"];
    assert!(
        findings.iter().all(|finding| harmless.contains(&code(finding)) && finding.severity == Severity::Note),
        "{findings:#?}"
    );
    disk.volumes.iter().map(|volume| (volume.path.clone(), volume.contiguous())).collect()
}

fn in_sectors(number: u32, range: &Range<u64>, sector_bytes: u64) -> (String, Option<Extent>) {
    let size = (range.end - range.start) * sector_bytes;
    (number.to_string(), Some(Extent::new(range.start * sector_bytes, size)))
}

/// Ranges within `within` that do not overlap, each of `multiple` times some units, in the order they lie in.
fn ranges(within: Range<u64>, multiple: u64, most: usize) -> impl Strategy<Value = Vec<Range<u64>>> {
    let units = (within.end - within.start) / multiple;
    prop::collection::btree_set(0..=units, 0..=2 * most).prop_map(move |cuts| {
        let cuts: Vec<_> = cuts.into_iter().map(|cut| within.start + cut * multiple).collect();
        cuts.chunks_exact(2).map(|cut| cut[0]..cut[1]).collect()
    })
}

/// Ranges in any order, each with another number below `numbers`.
fn numbered(
    within: Range<u64>,
    multiple: u64,
    most: usize,
    numbers: u32,
) -> impl Strategy<Value = Vec<(u32, Range<u64>)>> {
    let order = Just((1..=numbers).collect::<Vec<_>>()).prop_shuffle();
    (ranges(within, multiple, most), order).prop_map(|(ranges, numbers)| numbers.into_iter().zip(ranges).collect())
}

fn gpt(partitions: &[(u32, Range<u64>)], names: &[String], sector_bytes: u64) -> Vec<u8> {
    let mut image = Cursor::new(vec![0_u8; DISK_SECTORS as usize * 512]);
    let mut gpt = gptman::GPT::new_from(&mut image, sector_bytes, [7; 16]).unwrap();
    for ((number, range), name) in partitions.iter().zip(names.iter().cycle()) {
        gpt[*number] = gptman::GPTPartitionEntry {
            partition_type_guid: [1; 16],
            unique_partition_guid: [u8::try_from(*number).unwrap(); 16],
            starting_lba: range.start,
            ending_lba: range.end - 1,
            attribute_bits: 0,
            partition_name: name.as_str().into(),
        };
    }
    gptman::GPT::write_protective_mbr_into(&mut image, sector_bytes).unwrap();
    gpt.write_into(&mut image).unwrap();
    image.into_inner()
}

fn mbr_entry(range: &Range<u64>, sys: u8) -> mbrman::MBRPartitionEntry {
    mbrman::MBRPartitionEntry {
        boot: mbrman::BOOT_INACTIVE,
        first_chs: mbrman::CHS::empty(),
        sys,
        last_chs: mbrman::CHS::empty(),
        starting_lba: u32::try_from(range.start).unwrap(),
        sectors: u32::try_from(range.end - range.start).unwrap(),
    }
}

/// Primary partitions, then an extended one in the second half of the disk with logical ones.
fn mbr(primary: &[(u32, Range<u64>)], extended: u32, logical: &[Range<u64>]) -> Vec<u8> {
    let mut image = Cursor::new(vec![0_u8; DISK_SECTORS as usize * 512]);
    let mut mbr = mbrman::MBR::new_from(&mut image, 512, [1, 2, 3, 4]).unwrap();
    mbr.align = 1;
    for (number, range) in primary {
        mbr[*number as usize] = mbr_entry(range, 0x83);
    }
    if !logical.is_empty() {
        mbr[extended as usize] = mbr_entry(&(u64::from(DISK_SECTORS) / 2..DISK_SECTORS.into()), 0x05);
    }
    for range in logical {
        mbr.push(0x83, u32::try_from(range.start).unwrap(), u32::try_from(range.end - range.start).unwrap()).unwrap();
    }
    mbr.write_into(&mut image).unwrap();
    image.into_inner()
}

/// One segment of a logical volume, over one or more stripes of `each` extents.
#[derive(Debug, Clone)]
struct Segment {
    each: u64,
    starts: Vec<u64>,
}

const EXTENT_SECTORS: u64 = 8;
const STRIPE_SECTORS: u64 = 2;
const PE_START_SECTORS: u64 = 2048;
const PE_COUNT: u64 = 1200;

/// A physical volume whose extents are dealt out to segments, and those to logical volumes.
fn segments() -> impl Strategy<Value = Vec<Vec<Segment>>> {
    let dealt = prop::collection::vec((1..6_u64, 1..4_usize, 0..3_u64), 1..8).prop_map(|wanted| {
        let mut next = 0;
        let deal = |(each, stripes, gap)| {
            let mut start = || {
                next += each;
                next - each
            };
            let segment = Segment { each, starts: (0..stripes).map(|_| start()).collect() };
            next += gap;
            segment
        };
        wanted.into_iter().map(deal).collect::<Vec<_>>()
    });
    (dealt.prop_shuffle(), 1..4_usize)
        .prop_map(|(segments, per_lv)| segments.chunks(per_lv).map(<[_]>::to_vec).collect())
}

/// The text as LVM writes it, with comments and line breaks where it has them.
fn metadata(lvs: &[Vec<Segment>]) -> String {
    let mut text = String::from("vg0 {\nid = \"vg-id\"\nseqno = 3\nformat = \"lvm2\" # informational\n");
    write!(text, "status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nextent_size = {EXTENT_SECTORS}\t\t# 4 Kilobytes\n")
        .unwrap();
    write!(text, "physical_volumes {{\n\npv0 {{\nid = \"{}\"\ndevice = \"/dev/\\\"vda\"\n", "a".repeat(32)).unwrap();
    write!(text, "pe_start = {PE_START_SECTORS}\npe_count = {PE_COUNT}\n}}\n}}\nlogical_volumes {{\n").unwrap();
    for (number, segments) in lvs.iter().enumerate() {
        write!(text, "\nlv{number} {{\nid = \"lv-{number}\"\nstatus = [\"READ\", \"VISIBLE\"]\n").unwrap();
        writeln!(text, "segment_count = {}", segments.len()).unwrap();
        let mut at = 0;
        for (index, Segment { each, starts }) in segments.iter().enumerate() {
            let (count, stripes) = (each * starts.len() as u64, starts.len());
            write!(text, "\nsegment{} {{\nstart_extent = {at}\nextent_count = {count}\t# of 4k\n", index + 1).unwrap();
            write!(text, "type = \"striped\"\nstripe_count = {stripes}\n").unwrap();
            if stripes > 1 {
                writeln!(text, "stripe_size = {STRIPE_SECTORS}").unwrap();
            }
            let areas: Vec<_> = starts.iter().map(|start| format!("\"pv0\", {start}")).collect();
            write!(text, "\nstripes = [\n{}\n]\n}}\n", areas.join(",\n")).unwrap();
            at += count;
        }
        text += "}\n";
    }
    text + "}\n}\n# Generated\ncontents = \"Text Format Volume Group\"\nversion = 1\n\0"
}

const AREA_BYTES: usize = 512 << 10;

/// The label, a metadata area at byte 4096 and its text, which begins at `text_offset` of the area and may wrap around.
fn physical_volume(text: &str, text_offset: usize) -> Vec<u8> {
    const AREA: usize = 4096;
    let mut image = vec![0; ((PE_START_SECTORS + PE_COUNT * EXTENT_SECTORS) * 512) as usize];
    let size = image.len() as u64;
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);

    let mut label = vec![0; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8] = 1;
    label[20] = 32;
    label[24..32].copy_from_slice(b"LVM2 001");
    label[32..64].fill(b'a');
    let areas = [size, PE_START_SECTORS * 512, 0, 0, 0, AREA as u64, AREA_BYTES as u64];
    for (field, value) in areas.into_iter().enumerate() {
        label[64 + field * 8..72 + field * 8].copy_from_slice(&value.to_le_bytes());
    }
    let checksum = lvm_crc(&label[20..]);
    label[16..20].copy_from_slice(&checksum.to_le_bytes());
    put(512, &label);

    let mut header = vec![0; 512];
    header[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
    header[20] = 1;
    for (field, value) in [AREA, AREA_BYTES, text_offset, text.len()].into_iter().enumerate() {
        header[24 + field * 8..32 + field * 8].copy_from_slice(&(value as u64).to_le_bytes());
    }
    header[56..60].copy_from_slice(&lvm_crc(text.as_bytes()).to_le_bytes());
    let checksum = lvm_crc(&header[4..]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    put(AREA, &header);
    let (first, wrapped) = text.split_at(text.len().min(AREA_BYTES - text_offset));
    put(AREA + text_offset, first.as_bytes());
    put(AREA + 512, wrapped.as_bytes());
    image
}

/// Where every 1024 bytes of the volume are on the disk.
fn units(segments: &[Segment]) -> Vec<u64> {
    let unit = |extent: u64, within: u64| (PE_START_SECTORS + extent * EXTENT_SECTORS + within * STRIPE_SECTORS) * 512;
    let per_extent = EXTENT_SECTORS / STRIPE_SECTORS;
    let of_segment = |Segment { each, starts }: &Segment| {
        let starts = starts.clone();
        (0..each * per_extent).flat_map(move |row| starts.clone().into_iter().map(move |start| unit(start, row)))
    };
    segments.iter().flat_map(of_segment).collect()
}

#[test]
fn logical_volumes_beyond_all_measure_are_said_and_copied_whole() {
    let lvs: Vec<_> = (0..1030).map(|extent| vec![Segment { each: 1, starts: vec![extent] }]).collect();
    let image = physical_volume(&metadata(&lvs), 512);
    let disk = layout(&image).unwrap();
    assert_eq!(disk.volumes.len(), 1 + 1024);
    assert_eq!(disk.volumes[0].findings.iter().map(code).collect::<Vec<_>>(), ["lvm-too-many-volumes"]);
    assert_eq!(
        fsprobe::allocated(&image, &disk).unwrap(),
        [Extent::new(0, (PE_START_SECTORS + 1030 * EXTENT_SECTORS) * 512)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_built_gpt_is_found_as_it_was_built(
        partitions in numbered(34..u64::from(DISK_SECTORS) - 33, 1, 12, 128),
        names in prop::collection::vec("[a-zA-Zäß ]{0,36}", 1..5),
    ) {
        let image = gpt(&partitions, &names, 512);
        let disk = layout(&image).unwrap();
        let mut expected: Vec<_> = partitions.iter().zip(names.iter().cycle()).collect();
        expected.sort_unstable_by_key(|((number, _), _)| *number);
        let places: Vec<_> = expected.iter().map(|((number, range), _)| in_sectors(*number, range, 512)).collect();
        prop_assert_eq!(found(&disk), places);
        prop_assert_eq!((disk.table, disk.sector_size_bytes), (Table::Gpt, 512));
        let expected: Vec<_> = expected.iter().map(|(_, name)| Some(name.as_str()).filter(|name| !name.is_empty())).collect();
        prop_assert_eq!(disk.volumes.iter().map(|volume| volume.name.as_deref()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_built_gpt_of_4096_byte_sectors_is_found_as_it_was_built(
        mut partitions in numbered(6..u64::from(DISK_SECTORS) / 8 - 5, 1, 12, 128),
    ) {
        let image = gpt(&partitions, &["data".into()], 4096);
        let disk = layout(&image).unwrap();
        partitions.sort_unstable_by_key(|(number, _)| *number);
        let places: Vec<_> = partitions.iter().map(|(number, range)| in_sectors(*number, range, 4096)).collect();
        prop_assert_eq!(found(&disk), places);
        prop_assert_eq!((disk.table, disk.sector_size_bytes), (Table::Gpt, 4096));
    }

    #[test]
    fn a_built_gpt_is_found_by_its_backup_alone(partitions in numbered(34..u64::from(DISK_SECTORS) - 33, 1, 12, 128)) {
        let mut image = gpt(&partitions, &["data".into()], 512);
        let whole = layout(&image).unwrap();
        image[512..34 * 512].fill(0);
        let disk = layout(&image).unwrap();
        let places = |disk: &Disk| disk.volumes.iter().map(|v| (v.path.clone(), v.contiguous())).collect::<Vec<_>>();
        prop_assert_eq!(places(&disk), places(&whole));
        prop_assert_eq!(code(&disk.findings[0]), "gpt-primary-bad");
        found(&Disk { findings: disk.findings[1..].to_vec(), ..disk });
    }

    #[test]
    fn a_built_mbr_is_found_as_it_was_built(
        mut primary in numbered(1..u64::from(DISK_SECTORS) / 2, 1, 3, 4),
        logical in ranges(u64::from(DISK_SECTORS) / 2 + 2..DISK_SECTORS.into(), 2, 20),
    ) {
        let extended = (1..=4).find(|number| primary.iter().all(|(used, _)| used != number)).unwrap();
        // The first boot record of the chain lies where the extended partition begins.
        let start = u64::from(DISK_SECTORS) / 2;
        let logical: Vec<_> = logical.iter().enumerate().map(|(i, r)| if i == 0 { start..r.end } else { r.clone() }).collect();
        prop_assume!(!primary.is_empty() || !logical.is_empty());
        let disk = layout(&mbr(&primary, extended, &logical)).unwrap();
        primary.sort_unstable_by_key(|(number, _)| *number);
        // Each logical partition follows its boot record.
        let logical = (5..).zip(logical.iter().map(|range| range.start + 1..range.end));
        let expected: Vec<_> = primary.into_iter().chain(logical).map(|(number, range)| in_sectors(number, &range, 512)).collect();
        prop_assert_eq!(found(&disk), expected);
        prop_assert_eq!(disk.table, Table::Mbr);
    }

    #[test]
    fn a_built_volume_group_is_found_as_it_was_built(lvs in segments(), before_wrap in 1..8192_usize) {
        let image = physical_volume(&metadata(&lvs), AREA_BYTES - before_wrap);
        let disk = layout(&image).unwrap();
        let paths: Vec<_> = disk.volumes.iter().map(|volume| volume.path.clone()).collect();
        let expected = ["0".to_owned()].into_iter().chain((0..lvs.len()).map(|number| format!("0/vg0/lv{number}")));
        prop_assert_eq!(paths, expected.collect::<Vec<_>>());
        found(&disk);
        for (volume, segments) in disk.volumes.iter().skip(1).zip(&lvs) {
            let unit = STRIPE_SECTORS * 512;
            let pieces = volume.extents().flat_map(|piece| (piece.offset_bytes..piece.end_bytes()).step_by(unit as usize));
            prop_assert_eq!(pieces.collect::<Vec<_>>(), units(segments));
        }
    }
}
