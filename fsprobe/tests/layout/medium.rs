//! Media that fail, and images that somebody writes meanwhile.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use fsprobe::{Depth, ReadAt, Verdict, allocated, check, layout};
use proptest::prelude::*;
use stillpoint_tests::machine::ext4;
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::run_with_input;

use crate::failing::Failing;

const MIB: usize = 1 << 20;

/// Two partitions of 16 MiB with ext4, whose UUIDs end in `digit`.
fn two_filesystems(digit: u8) -> Vec<u8> {
    let images = Images::new();
    let image = images.blank("disk", 34 << 20);
    let path = image.to_str().unwrap();
    run_with_input(
        "sfdisk",
        &["--quiet", "--no-tell-kernel", path],
        "label: gpt\nstart=2048, size=16MiB\nsize=16MiB\n",
    );
    let uuid = format!("12345678-1234-1234-1234-12345678900{digit}");
    for offset_bytes in [1 << 20, 17 << 20] {
        ext4::make_at(&image, offset_bytes, 16, &["-U", &uuid]);
    }
    std::fs::read(image).unwrap()
}

#[test]
fn a_disk_that_fails_half_way_is_damage_in_the_volume_that_cannot_be_read() {
    let image = two_filesystems(0);
    let disk = Failing { image: &image, from_byte: 17 * MIB as u64 };
    let report = check(&disk, Depth::Default).unwrap();
    assert_eq!(report.verdict, Verdict::Damaged);
    let [first, second] = report.volumes.as_slice() else { panic!("{:#?}", report.volumes) };
    assert_eq!((first.verdict, first.path.as_str()), (Verdict::Consistent, "1"));
    assert_eq!((second.verdict, second.path.as_str()), (Verdict::Damaged, "2"));
    let said: Vec<_> = second.findings.iter().map(|finding| (finding.code.as_ref(), finding.detail.as_str())).collect();
    let [("unreadable", detail)] = said.as_slice() else { panic!("{said:?}") };
    assert!(detail.contains("signatures") && detail.contains("byte 0") && detail.contains("os error 5"), "{detail}");
    // What cannot be recognised is copied whole: the copy will say that it cannot be read.
    let needed = allocated(&disk, &layout(&disk).unwrap()).unwrap();
    assert_eq!(needed.last().unwrap().end_bytes(), image.size_bytes());
    assert!(needed.last().unwrap().offset_bytes <= 17 * MIB as u64);
}

#[test]
fn a_filesystem_that_fails_half_way_is_damage_with_the_structure_and_the_byte() {
    let image = two_filesystems(0);
    // Recognised by its start; the journal is further in.
    let disk = Failing { image: &image, from_byte: 17 * MIB as u64 + 100 * 1024 };
    let report = check(&disk, Depth::Default).unwrap();
    let second = &report.volumes[1];
    let said: Vec<_> = second.findings.iter().map(|finding| (finding.code.as_ref(), finding.detail.as_str())).collect();
    let [("unreadable", detail)] = said.as_slice() else { panic!("{said:?}") };
    assert!(detail.contains("ext4") && detail.contains("at byte ") && detail.contains("os error 5"), "{detail}");
    let error = allocated(&disk, &layout(&disk).unwrap()).unwrap_err().to_string();
    assert!(error.contains("volume 2") && error.contains("os error 5"), "{error}");
}

/// One image until it is another: which one a read comes by, nobody knows.
struct Written<'i> {
    versions: [&'i [u8]; 2],
    which: Vec<bool>,
    reads: AtomicUsize,
}

impl ReadAt for Written<'_> {
    fn size_bytes(&self) -> u64 {
        self.versions[0].size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let read = self.reads.fetch_add(1, Ordering::Relaxed) % self.which.len();
        self.versions[usize::from(self.which[read])].read_exact_at(buf, offset_bytes)
    }
}

#[test]
fn an_image_that_is_written_meanwhile_is_judged_without_a_panic() {
    let (before, after) = (two_filesystems(1), two_filesystems(2));
    // Cut while it is looked at, and partitioned anew.
    let cut = &before[..20 * MIB];
    let images = Images::new();
    let new = images.blank("new", 34 << 20);
    run_with_input(
        "sfdisk",
        &["--quiet", "--no-tell-kernel", new.to_str().unwrap()],
        "label: dos\nstart=2048, size=30MiB\n",
    );
    let new = std::fs::read(new).unwrap();
    let later_versions = [after.as_slice(), cut, &new];
    proptest!(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() },
        |(later in 0..3_usize, which in prop::collection::vec(any::<bool>(), 1..40))| {
        let versions = [before.as_slice(), later_versions[later]];
        let disk = Written { versions, which, reads: AtomicUsize::new(0) };
        let Ok(report) = check(&disk, Depth::Default) else { return Ok(()) };
        prop_assert_eq!(report.size_bytes, before.size_bytes());
        if let Ok(layout) = layout(&disk)
            && let Ok(needed) = allocated(&disk, &layout)
        {
            prop_assert!(needed.windows(2).all(|pair| pair[0].end_bytes() < pair[1].offset_bytes));
            prop_assert!(needed.last().is_none_or(|last| last.end_bytes() <= before.size_bytes()));
        }
    });
}
