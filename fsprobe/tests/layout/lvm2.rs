//! LVM2 inside a disk, made by the real LVM on loop devices and held against what `lvs` says. Needs root.

use crate::support::{Images, Loop, run, run_with};
use fsprobe::{Depth, Disk, Extent, Kind, ReadAt, Verdict, Volume, allocated, check, layout};

const MIB: u64 = 1 << 20;

/// A disk of two partitions, each open as a loop device for LVM.
struct Lab {
    _images: Images,
    image: String,
    parts: Vec<Loop>,
}

impl Lab {
    fn new() -> Self {
        let images = Images::new();
        let image = images.blank("disk", 132 * MIB);
        let image = image.to_str().unwrap().to_owned();
        run_with("sfdisk", &["--quiet", &image], "label: gpt\nstart=2048, size=64MiB\nsize=64MiB\n");
        let parts = vec![Loop::new(&image, MIB, 64 * MIB), Loop::new(&image, 65 * MIB, 64 * MIB)];
        Self { _images: images, image, parts }
    }

    /// Runs an LVM command that sees these partitions only, and no device-mapper.
    fn lvm(&self, args: &[&str]) -> String {
        let accept: String = self.parts.iter().map(|part| format!("\"a|^{}$|\",", part.device)).collect();
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
            run("blockdev", &["--flushbufs", &part.device]);
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
    let [one, two] = [&lab.parts[0].device, &lab.parts[1].device];
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
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].device, &lab.parts[1].device]);
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
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].device, &lab.parts[1].device]);
    lab.create("vg0", "here", &["-l", "2"]);
    lab.create("vg0", "both", &["-i2", "-l", "2"]);
    let mut bytes = lab.bytes();
    bytes[65 * MIB as usize..][..MIB as usize].fill(0);
    let report = check(&bytes, Depth::Default).unwrap();
    let both = report.volumes.iter().find(|volume| volume.path == "1/vg0/both").unwrap();
    assert_eq!(
        (both.kind, both.verdict, both.findings[0].code),
        (Kind::Unknown, Verdict::Unknown, "lv-needs-other-pv")
    );
    assert_eq!(report.verdict, Verdict::Unknown);
    assert!(report.volumes.iter().any(|volume| volume.path == "1/vg0/here" && volume.findings.is_empty()));
}

#[test]
fn a_volume_of_a_type_that_cannot_be_read_is_said_to_be_so() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].device]);
    lab.create("vg0", "root", &["-l", "2"]);
    lab.edit("vg0", |text| text.replace("type = \"striped\"", "type = \"zero\""));
    let disk = layout(&lab.bytes()).unwrap();
    let root = volume(&disk, "1/vg0/root");
    assert_eq!((root.findings[0].code, root.is_whole()), ("lv-type-unsupported", false));
    assert!(root.findings[0].detail.contains("\"zero\""));
}

#[test]
fn the_text_may_wrap_around_the_end_of_its_ring() {
    let lab = Lab::new();
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].device]);
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
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].device]);
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
    lab.lvm(&["vgcreate", "-q", "vg0", &lab.parts[0].device]);
    let mut bytes = lab.bytes();
    let header = MIB as usize + 4096;
    let text = header + u64::from_le_bytes(bytes[header + 40..][..8].try_into().unwrap()) as usize;
    bytes[text + 20] ^= 1;
    let report = check(&bytes, Depth::Default).unwrap();
    assert_eq!((report.verdict, report.volumes[0].findings[0].code), (Verdict::Damaged, "lvm-metadata-bad"));
    let disk = layout(&bytes).unwrap();
    assert_eq!(allocated(&bytes, &disk).unwrap(), [Extent::new(0, bytes.len() as u64)]);
}
