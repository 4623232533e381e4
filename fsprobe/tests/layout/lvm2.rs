//! LVM2 inside a disk, made by the real LVM on loop devices and held against what `lvs` says. Needs root.

use fsprobe::{Depth, Disk, Extent, Kind, ReadAt, Verdict, Volume, allocated, check, layout};
use stillpoint_tests::machine::ext4;
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::loop_device::LoopDevice;
use stillpoint_tests::machine::program::{run, run_with_input};

use crate::support::{Patched, code, lvm_crc};

const MIB: u64 = 1 << 20;

/// A disk of two partitions, each open as a loop device for LVM.
struct Lab {
    _images: Images,
    image: String,
    parts: Vec<LoopDevice>,
}

impl Lab {
    fn new() -> Self {
        let images = Images::new();
        let image = images.blank("disk", 132 * MIB);
        let image = image.to_str().unwrap().to_owned();
        run_with_input(
            "sfdisk",
            &["--quiet", "--no-tell-kernel", &image],
            "label: gpt\nstart=2048, size=64MiB\nsize=64MiB\n",
        );
        let parts = vec![
            LoopDevice::of_part(image.as_ref(), MIB, 64 * MIB),
            LoopDevice::of_part(image.as_ref(), 65 * MIB, 64 * MIB),
        ];
        Self { _images: images, image, parts }
    }

    /// Runs an LVM command that sees these partitions only, and no device-mapper.
    fn lvm(&self, args: &[&str]) -> String {
        let accept: String = self.parts.iter().map(|part| format!("\"a|^{}$|\",", part.path)).collect();
        let config = format!(
            "devices{{filter=[{accept}\"r|.*|\"] use_devicesfile=0 scan_lvs=0}} activation{{udev_sync=0 udev_rules=0}} \
             backup{{backup=0 archive=0}}"
        );
        run("lvm", &[&[args[0], "--driverloaded", "n", "--config", &config], &args[1..]].concat())
    }

    fn create(&self, vg: &str, lv: &str, args: &[&str]) {
        self.lvm(&[&["lvcreate", "-q", "-an", "-Zn", "-Wn", "-y", "-n", lv], args, &[vg]].concat());
    }

    /// Replaces the metadata of group `vg` by an edited copy of it.
    fn edit(&self, vg: &str, edit: impl Fn(String) -> String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vg");
        let file = file.to_str().unwrap();
        self.lvm(&["vgcfgbackup", "-f", file, vg]);
        std::fs::write(file, edit(std::fs::read_to_string(file).unwrap())).unwrap();
        self.lvm(&["vgcfgrestore", "-q", "--force", "-f", file, vg]);
    }

    fn bytes(&self) -> Vec<u8> {
        for part in &self.parts {
            run("blockdev", &["--flushbufs", &part.path]);
        }
        std::fs::read(&self.image).unwrap()
    }
}

fn volume<'d>(disk: &'d Disk, path: &str) -> &'d Volume {
    let paths = || disk.volumes.iter().map(|volume| volume.path.as_str()).collect::<Vec<_>>();
    disk.volumes.iter().find(|volume| volume.path == path).unwrap_or_else(|| panic!("{path} is not in {:?}", paths()))
}

#[test]
fn logical_volumes_lie_where_lvs_says() {
    let lab = Lab::new();
    let [one, two] = [&lab.parts[0].path, &lab.parts[1].path];
    lab.lvm(&["vgcreate", "-q", "vg0", one, two]);
    lab.create("vg0", "root", &["-l", "3"]);
    lab.create("vg0", "striped", &["-i2", "-I", "64k", "-l", "4"]);
    lab.create("vg0", "span", &["-l", "20"]);
    let bytes = lab.bytes();
    let disk = layout(&bytes).unwrap();
    let paths: Vec<_> = disk.volumes.iter().map(|volume| volume.path.as_str()).collect();
    assert_eq!(paths, ["1", "2", "1/vg0/root", "1/vg0/span", "1/vg0/striped"]);

    let format = ["lvs", "--noheadings", "--separator", " ", "--units", "b", "--nosuffix", "-o"];
    let said = lab.lvm(&[&format[..], &["lv_name,vg_extent_size,lv_size,seg_pe_ranges", "vg0"]].concat());
    for line in said.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (name, extent, size): (_, u64, u64) = (words[0], words[1].parse().unwrap(), words[2].parse().unwrap());
        let volume = volume(&disk, &format!("1/vg0/{name}"));
        assert_eq!(volume.size_bytes(), size, "{line}");
        for range in &words[3..] {
            let (device, extents) = range.split_once(':').unwrap();
            let first: u64 = extents.split('-').next().unwrap().parse().unwrap();
            let part = if device == one { MIB } else { 65 * MIB };
            // The data of a physical volume begins a mebibyte in.
            let start = part + MIB + first * extent;
            assert!(volume.extents().any(|piece| piece.offset_bytes == start), "{line}: nothing at {start}");
        }
    }
}

#[test]
fn a_striped_filesystem_is_read_through_its_stripes() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path, &lab.parts[1].path]);
    lab.create("vg0", "data", &["-i2", "-I", "4k", "-l", "4"]);
    let images = Images::new();
    let filesystem = images.blank("fs", 16 * MIB);
    run("mkfs.ext4", &["-q", filesystem.to_str().unwrap()]);
    let filesystem = std::fs::read(filesystem).unwrap();
    let mut bytes = lab.bytes();
    let pieces: Vec<Extent> = volume(&layout(&bytes).unwrap(), "1/vg0/data").extents().collect();
    let mut rest = filesystem.as_slice();
    for piece in pieces {
        let (head, tail) = rest.split_at(piece.size_bytes as usize);
        bytes[piece.offset_bytes as usize..][..head.len()].copy_from_slice(head);
        rest = tail;
    }
    let disk = layout(&bytes).unwrap();
    let data = volume(&disk, "1/vg0/data");
    assert_eq!(data.kind, Kind::Ext4);
    let mut read = vec![0; filesystem.len()];
    data.open(&bytes).read_exact_at(&mut read, 0).unwrap();
    assert!(read == filesystem);
}

#[test]
fn a_volume_on_another_disk_is_said_to_need_it() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path, &lab.parts[1].path]);
    lab.create("vg0", "here", &["-l", "2"]);
    lab.create("vg0", "both", &["-i2", "-l", "2"]);
    let mut bytes = lab.bytes();
    bytes[65 * MIB as usize..][..MIB as usize].fill(0);
    let report = check(&bytes, Depth::Default).unwrap();
    let both = report.volumes.iter().find(|volume| volume.path == "1/vg0/both").unwrap();
    assert_eq!(
        (both.kind, both.verdict, both.findings[0].code.as_ref()),
        (Kind::Unknown, Verdict::Unknown, "lv-needs-other-pv")
    );
    assert_eq!(report.verdict, Verdict::Unknown);
    assert!(report.volumes.iter().any(|volume| volume.path == "1/vg0/here" && volume.verdict == Verdict::Consistent));
}

#[test]
fn a_volume_of_a_type_that_cannot_be_read_is_said_to_be_so() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path]);
    lab.create("vg0", "root", &["-l", "2"]);
    lab.edit("vg0", |text| text.replace("type = \"striped\"", "type = \"zero\""));
    let disk = layout(&lab.bytes()).unwrap();
    let root = volume(&disk, "1/vg0/root");
    assert_eq!((root.findings[0].code.as_ref(), root.is_whole()), ("lv-type-unsupported", false));
    assert!(root.findings[0].detail.contains("\"zero\""));
}

#[test]
fn the_text_may_wrap_around_the_end_of_its_ring() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path]);
    lab.create("vg0", "root", &["-l", "2"]);
    let mut bytes = lab.bytes();
    // LVM wraps after a megabyte of changes; here its text is moved so that a hundred bytes end the ring.
    let area = MIB as usize + 4096;
    let field = |at: usize| u64::from_le_bytes(bytes[area + at..][..8].try_into().unwrap()) as usize;
    let (size, text_offset, text_size) = (field(32), field(40), field(48));
    let text = bytes[area + text_offset..][..text_size].to_vec();
    bytes[area + 512..area + size].fill(0);
    bytes[area + size - 100..area + size].copy_from_slice(&text[..100]);
    bytes[area + 512..][..text_size - 100].copy_from_slice(&text[100..]);
    bytes[area + 40..][..8].copy_from_slice(&(size as u64 - 100).to_le_bytes());
    let table = crc::Algorithm { init: 0xf597_a6cf_u32.reverse_bits(), xorout: 0, ..crc::CRC_32_ISO_HDLC };
    let table: &'static _ = Box::leak(Box::new(table));
    let checksum = crc::Crc::<u32>::new(table).checksum(&bytes[area + 4..area + 512]);
    bytes[area..][..4].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(volume(&layout(&bytes).unwrap(), "1/vg0/root").size_bytes(), 8 * MIB);
}

#[test]
fn free_extents_are_not_copied_and_metadata_is() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path]);
    lab.create("vg0", "root", &["-l", "2"]);
    let bytes = lab.bytes();
    let disk = layout(&bytes).unwrap();
    let copied = allocated(&bytes, &disk).unwrap();
    // Up to the end of the two extents, and from the end of the last extent on: 15 fit.
    let free = Extent::new(2 * MIB + 8 * MIB, 13 * 4 * MIB);
    let end = free.end_bytes();
    assert_eq!(copied, [Extent::new(0, free.offset_bytes), Extent::new(end, bytes.len() as u64 - end)]);
}

#[test]
fn bad_metadata_is_damage_and_everything_is_copied() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path]);
    let mut bytes = lab.bytes();
    let header = MIB as usize + 4096;
    let text = header + u64::from_le_bytes(bytes[header + 40..][..8].try_into().unwrap()) as usize;
    bytes[text + 20] ^= 1;
    let report = check(&bytes, Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[0].findings[0].code.as_ref()), (Verdict::Damaged, "lvm-metadata-bad"));
    let disk = layout(&bytes).unwrap();
    assert_eq!(allocated(&bytes, &disk).unwrap(), [Extent::new(0, bytes.len() as u64)]);
}

/// Partition, first sector and length.
type Piece = (usize, u64, u64);

/// Where `dmsetup table` has each of these in a kernel that runs them, from the start of its partition: `every-type.vg`
/// says how they were made.
const BY_DEVICE_MAPPER: [(&str, &[Piece]); 6] = [
    ("lin", &[(0, 2048, 20480)]),
    ("str2", &[(0, 22528, 128), (1, 2048, 128), (0, 22656, 128)]),
    ("str3", &[(0, 34816, 8), (1, 14336, 8), (2, 2048, 8), (0, 34824, 8)]),
    ("multi", &[(0, 40960, 8192), (1, 20480, 10240), (0, 53248, 6144)]),
    ("mv", &[(2, 8192, 12288)]),
    ("snapd", &[(0, 75776, 10240)]),
];

#[test]
fn every_type_of_volume_is_where_device_mapper_has_it_or_said_to_be_unreadable() {
    let images = Images::new();
    let image = images.blank("disk", 362 * MIB);
    let path = image.to_str().unwrap();
    run_with_input(
        "sfdisk",
        &["--quiet", "--no-tell-kernel", path],
        "label: gpt\nstart=2048, size=120MiB\nsize=120MiB\nsize=120MiB\n",
    );
    let starts = [MIB, 121 * MIB, 241 * MIB];
    let parts: Vec<_> = starts.iter().map(|start| LoopDevice::of_part(path.as_ref(), *start, 120 * MIB)).collect();
    let lab = Lab { _images: images, image: path.to_owned(), parts };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/layout/every-type.vg");
    let uuids = ["VNg6mO-v6LY-eKQQ-9Kh1-3AH5-89Cs-SzMriy", "l1lYYx-oFgR-MIBO-51YP-3v0v-32uY-RgVX2F"];
    let uuids = [&uuids[..], &["ljdE2M-ZYPZ-HNrr-Q3TO-ndA2-DveA-N3PXbT"]].concat();
    for ((part, uuid), copies) in lab.parts.iter().zip(uuids).zip(["2", "1", "1"]) {
        lab.lvm(&["pvcreate", "-q", "--uuid", uuid, "--restorefile", file, "--metadatacopies", copies, &part.path]);
    }
    lab.lvm(&["vgcfgrestore", "-q", "-y", "--force", "-f", file, "vg0"]);
    lab.parts.iter().for_each(|part| drop(run("blockdev", &["--flushbufs", &part.path])));

    let disk = layout(&Patched::open(&image)).unwrap();
    let names = |lvs: String| lvs.split_whitespace().map(|name| format!("1/vg0/{name}")).collect::<Vec<_>>();
    let mut shown = names(lab.lvm(&["lvs", "--noheadings", "-o", "lv_name", "vg0"]));
    shown.sort();
    let found: Vec<_> = disk.volumes.iter().skip(3).map(|volume| volume.path.clone()).collect();
    assert_eq!(found, shown);
    for volume in disk.volumes.iter().skip(3) {
        let name = volume.path.strip_prefix("1/vg0/").unwrap();
        let codes: Vec<_> = volume.findings.iter().map(code).collect();
        let Some((_, pieces)) = BY_DEVICE_MAPPER.iter().find(|(here, _)| *here == name) else {
            assert_eq!((codes, volume.is_whole()), (vec!["lv-type-unsupported"], false), "{name}");
            continue;
        };
        assert!(codes.is_empty() || codes == ["lv-origin"], "{name}: {codes:?}");
        let expected =
            pieces.iter().map(|&(part, start, length)| Extent::new(starts[part] + start * 512, length * 512));
        let found: Vec<_> = volume.extents().take(pieces.len()).collect();
        assert_eq!(found, expected.collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn an_extent_that_two_volumes_claim_is_damage_and_everything_is_copied_at_once() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "-s", "4k", "vg0", &lab.parts[0].path]);
    lab.create("vg0", "one", &["-l", "2048"]);
    lab.create("vg0", "two", &["-l", "1"]);
    drop(lab.bytes());
    ext4::make_at(lab.image.as_ref(), 2 * MIB, 8, &[]);
    let mut bytes = lab.bytes();
    // As a hostile guest would: a thousand volumes, each of which is the first with its filesystem.
    let area = MIB as usize + 4096;
    let lvs: String = (0..1000)
        .map(|i| {
            format!(
                "x{i}{{id=\"x\"\nstatus=[\"VISIBLE\"]\nsegment1{{start_extent=0\nextent_count=2048\ntype=\"striped\"\n\
                 stripe_count=1\nstripes=[\"pv0\",0]\n}}\n}}\n"
            )
        })
        .collect();
    let field = |at: usize| u64::from_le_bytes(bytes[area + at..][..8].try_into().unwrap()) as usize;
    let (size, text_offset, text_size) = (field(32), field(40), field(48));
    let text = std::str::from_utf8(&bytes[area + text_offset..][..text_size]).unwrap();
    let text = text.replace("logical_volumes {\n", &format!("logical_volumes {{\n{lvs}"));
    assert!(text.len() < size - 512);
    bytes[area + 512..][..text.len()].copy_from_slice(text.as_bytes());
    bytes[area + 40..][..8].copy_from_slice(&512_u64.to_le_bytes());
    bytes[area + 48..][..8].copy_from_slice(&(text.len() as u64).to_le_bytes());
    bytes[area + 56..][..4].copy_from_slice(&lvm_crc(text.as_bytes()).to_le_bytes());
    let checksum = lvm_crc(&bytes[area + 4..area + 512]);
    bytes[area..][..4].copy_from_slice(&checksum.to_le_bytes());

    let disk = layout(&bytes).unwrap();
    let found: Vec<_> = disk.volumes[0].findings.iter().map(code).collect();
    assert_eq!(found, ["lvm-extent-claimed-twice"]);
    assert_eq!(disk.volumes.iter().filter(|volume| volume.kind == Kind::Ext4).count(), 1001);
    let reads = Counted { bytes: &bytes, reads: 0.into() };
    assert_eq!(allocated(&reads, &disk).unwrap(), [Extent::new(0, bytes.len() as u64)]);
    assert_eq!(reads.reads.load(std::sync::atomic::Ordering::Relaxed), 0, "nothing is asked that could not be used");
}

struct Counted<'b> {
    bytes: &'b Vec<u8>,
    reads: std::sync::atomic::AtomicUsize,
}

impl ReadAt for Counted<'_> {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> std::io::Result<()> {
        self.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.bytes.read_exact_at(buf, offset_bytes)
    }
}

#[test]
fn a_physical_volume_that_is_cut_is_damage() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path]);
    let size = 40 * MIB;
    // The physical volume on the whole of a disk that lost its end.
    let whole: Vec<u8> = lab.bytes()[MIB as usize..(MIB + size) as usize].to_vec();
    let report = check(&whole, Depth::Default).unwrap();
    let said = &report.volumes[0].findings[0];
    assert_eq!((report.verdict, said.code.as_ref()), (Verdict::Damaged, "lvm-pv-truncated"));
    let detail = format!("it says that it has {} bytes, the volume has {size}", 64 * MIB);
    assert_eq!(said.detail, detail);
}

#[test]
fn a_physical_volume_whose_group_is_described_elsewhere_is_unknown() {
    let lab = Lab::new();
    let [one, two] = [&lab.parts[0].path, &lab.parts[1].path];
    lab.lvm(&["pvcreate", "-q", "--metadatacopies", "0", two]);
    let unused = check(&lab.bytes(), Depth::Default).unwrap();
    assert_eq!((unused.verdict, unused.volumes[1].findings[0].code.as_ref()), (Verdict::Consistent, "lvm-pv-unused"));

    lab.lvm(&["vgcreate", "-q", "vg0", one, two]);
    lab.create("vg0", "root", &["-l", "2"]);
    let mut bytes = lab.bytes();
    assert_eq!(check(&bytes, Depth::Default).unwrap().verdict, Verdict::Consistent);
    bytes[MIB as usize..65 * MIB as usize].fill(0);
    let report = check(&bytes, Depth::Default).unwrap();
    assert_eq!(
        (report.verdict, report.volumes[1].findings[0].code.as_ref()),
        (Verdict::Unknown, "lvm-group-elsewhere")
    );
}

#[test]
fn of_two_copies_of_a_physical_volume_the_second_is_said_and_not_used() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path]);
    lab.create("vg0", "root", &["-l", "2"]);
    let mut bytes = lab.bytes();
    bytes.copy_within(MIB as usize..65 * MIB as usize, 65 * MIB as usize);
    let report = check(&bytes, Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[1].findings[0].code.as_ref()), (Verdict::Unknown, "lvm-duplicate-pv"));
    assert_eq!(report.volumes[2].path, "1/vg0/root");
}

#[test]
fn with_one_of_two_metadata_areas_bad_or_stale_the_other_counts() {
    let lab = Lab::new();
    let pv = &lab.parts[0].path;
    lab.lvm(&["pvcreate", "-q", "--metadatacopies", "2", pv]);
    lab.lvm(&["vgcreate", "-q", "vg0", pv]);
    lab.create("vg0", "root", &["-l", "2"]);
    let before = lab.bytes();
    lab.create("vg0", "data", &["-l", "3"]);
    let bytes = lab.bytes();
    let second = (1..).map(|mib| (65 - mib) * MIB as usize).find(|at| &bytes[at + 4..at + 20] == b" LVM2 x[5A%r0N*>");
    let second = second.unwrap();
    let said = |bytes: &Vec<u8>| {
        let report = check(bytes, Depth::Default).unwrap();
        let codes: Vec<_> = report.volumes[0].findings.iter().map(code).collect();
        let paths: Vec<_> = report.volumes.iter().skip(2).map(|volume| volume.path.clone()).collect();
        (report.verdict, codes, paths)
    };
    let both = vec!["1/vg0/data".to_owned(), "1/vg0/root".to_owned()];
    assert_eq!(said(&bytes), (Verdict::Consistent, vec![], both.clone()));
    for area in [MIB as usize + 4096, second] {
        let mut bad = bytes.clone();
        bad[area] ^= 1;
        assert_eq!(said(&bad), (Verdict::Consistent, vec!["lvm-metadata-bad"], both.clone()), "{area}");
        // As a crash between the two writes leaves it.
        let mut stale = bytes.clone();
        stale[area..area + 512].copy_from_slice(&before[area..area + 512]);
        assert_eq!(said(&stale), (Verdict::Consistent, vec!["lvm-metadata-differs"], both.clone()), "{area}");
    }
}

#[test]
fn a_volume_in_pieces_says_where_each_is() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].path]);
    // The first extent, then one between them for another volume.
    lab.create("vg0", "pieces", &["-l", "1"]);
    lab.create("vg0", "between", &["-l", "1"]);
    lab.lvm(&["lvextend", "-q", "-l", "+2", "vg0/pieces"]);
    let report = check(&lab.bytes(), Depth::Default).unwrap();
    let of = |path: &str| report.volumes.iter().find(|volume| volume.path == path).unwrap();
    let (pieces, between) = (of("1/vg0/pieces"), of("1/vg0/between"));
    assert_eq!(between.pieces, []);
    let places: Vec<_> =
        pieces.pieces.iter().map(|it| (it.volume_offset_bytes, it.offset_bytes.unwrap(), it.size_bytes)).collect();
    let (first, extent) = (pieces.offset_bytes.unwrap(), between.size_bytes);
    assert_eq!(places, [(0, first, extent), (extent, first + 2 * extent, 2 * extent)]);
    assert_eq!(between.offset_bytes, Some(first + extent));
}
