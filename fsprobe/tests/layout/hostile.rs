//! Nothing that a disk holds may panic, hang, or make what is copied lose its order.

use std::path::PathBuf;
use std::sync::LazyLock;

use fsprobe::{Depth, ReadAt, allocated, check, layout};
use proptest::prelude::*;
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::loop_device::LoopDevice;
use stillpoint_tests::machine::program::{run, run_with_input};

use crate::support::Patched;

/// One image of each kind, and the bytes of it that say something.
struct Subject {
    path: PathBuf,
    told: Vec<std::ops::Range<u64>>,
}

static SUBJECTS: LazyLock<(Images, Vec<Subject>)> = LazyLock::new(|| {
    let images = Images::new();
    let mut subjects = Vec::new();
    let mut add = |name: &str, size_mib: u64, told: &[std::ops::Range<u64>], make: &dyn Fn(&str)| {
        let path = images.blank(name, size_mib << 20);
        make(path.to_str().unwrap());
        subjects.push(Subject { path, told: told.to_vec() });
    };
    add("gpt", 16, &[440..2048, (16 << 20) - 512..16 << 20], &|image| {
        run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image], "label: gpt\nsize=4MiB\nsize=4MiB\n");
    });
    add("mbr", 16, &[446..512, (2 << 20) + 446..(2 << 20) + 512, (3 << 20) + 446..(3 << 20) + 512], &|image| {
        let script = "label: dos\n/dev/x1 : start=2048, size=1MiB\n/dev/x2 : start=2MiB, size=10MiB, type=5\n\
                      /dev/x5 : start=2560KiB, size=512KiB\n/dev/x6 : start=3584KiB, size=512KiB\n";
        run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image], script);
    });
    add("lvm", 32, &[512..1024, 4096..4608, 4608..8192], &|image| {
        let device = LoopDevice::of_part(image.as_ref(), 0, 32 << 20);
        let config = format!(
            "devices{{filter=[\"a|^{}$|\",\"r|.*|\"] use_devicesfile=0 scan_lvs=0}} backup{{backup=0 archive=0}} \
             activation{{udev_sync=0 udev_rules=0}}",
            device.path
        );
        let lvm = ["--driverloaded", "n", "--config", &config];
        run("lvm", &[&["vgcreate"], &lvm[..], &["-q", "vg0", &device.path]].concat());
        run(
            "lvm",
            &[&["lvcreate"], &lvm[..], &["-q", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-l", "2", "vg0"]].concat(),
        );
        run("blockdev", &["--flushbufs", &device.path]);
    });
    add("xfs", 300, &[0..264, (150 << 20)..(150 << 20) + 4096], &|image| {
        run("mkfs.xfs", &["-q", "-m", "crc=0", image]);
    });
    add("ntfs", 16, &[0..80, 16384..16384 + 6 * 1024], &|image| {
        run("mkfs.ntfs", &["-Q", "-F", "-q", image]);
    });
    add("fat", 32, &[0..64, 512..2048], &|image| {
        run("mkfs.fat", &["-F16", image]);
    });
    add("xfs-v5", 300, &[0..264, 512..736, 1024..1360, 1536..1600], &|image| {
        run("mkfs.xfs", &["-q", image]);
    });
    let btrfs = (64 << 10)..(64 << 10) + 400;
    add("btrfs", 128, std::slice::from_ref(&btrfs), &|image| {
        run("mkfs.btrfs", &["-q", image]);
    });
    (images, subjects)
});

fn looked_at(disk: &dyn ReadAt) {
    let report = check(disk, Depth::Default).unwrap();
    serde_json::to_string(&report).unwrap();
    let layout = layout(disk).unwrap();
    if let Ok(extents) = allocated(disk, &layout) {
        let mut end = 0;
        for extent in extents {
            assert!(extent.size_bytes > 0 && (end == 0 || extent.offset_bytes > end), "{extent:?} after {end}");
            end = extent.end_bytes();
        }
        assert!(end <= disk.size_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_disk_with_changed_bytes_is_judged_without_a_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let subject = which.get(&SUBJECTS.1);
        let mut image = Patched::open(&subject.path);
        for (range, at, byte) in changes {
            let range = range.get(&subject.told);
            let length = usize::try_from(range.end - range.start).unwrap();
            image.patches.push((range.start + at.index(length) as u64, byte));
        }
        looked_at(&image);
    }

    #[test]
    fn a_cut_disk_is_judged_without_a_panic(which in any::<prop::sample::Index>(), size in 0_u64..2 << 20) {
        looked_at(&Patched::open(&which.get(&SUBJECTS.1).path).truncated(size));
    }

    #[test]
    fn noise_is_judged_without_a_panic(noise in prop::collection::vec(any::<u8>(), 0..8192)) {
        looked_at(&noise);
    }
}
