//! Labels and UUIDs of volumes and partitions, held against what blkid prints.

use std::path::Path;

use fsprobe::{Depth, Report, check};
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::loop_device::LoopDevice;
use stillpoint_tests::machine::program::{run, run_with_input};

use crate::support::Patched;

fn report(image: &Path) -> Report {
    check(&Patched::open(image), Depth::Default).unwrap()
}

/// One value of `blkid -p`, which fails where it has none.
fn blkid(image: &Path, tag: &str) -> Option<String> {
    let output = std::process::Command::new("blkid").args(["-p", "-o", "value", "-s", tag]).arg(image).output();
    let value = String::from_utf8(output.unwrap().stdout).unwrap().trim_end_matches('\n').to_owned();
    (!value.is_empty()).then_some(value)
}

#[test]
fn label_and_uuid_of_every_kind_are_those_that_blkid_prints() {
    const LUKS: [&str; 7] = ["luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--label"];
    for (program, args, size_mib, input) in [
        ("mkfs.ext2", &["-q", "-L", "my root"][..], 8, ""),
        ("mkfs.ext4", &["-q", "-L", "größe"], 8, ""),
        ("mke2fs", &["-q", "-F", "-O", "journal_dev", "-L", "journal"], 8, ""),
        ("mkfs.xfs", &["-q", "-L", "twelve bytes"], 300, ""),
        ("mkfs.ntfs", &["-Q", "-F", "-q", "-L", "Daten der Größe"], 8, ""),
        ("mkfs.fat", &["-F12", "-n", "FLOPPY"], 2, ""),
        ("mkfs.fat", &["-F16", "-n", "BOOT"], 32, ""),
        ("mkfs.fat", &["-F32", "-n", "EFI SYSTEM"], 64, ""),
        ("mkfs.fat", &["-F32"], 64, ""),
        ("mkswap", &["-q", "-L", "swap one"], 8, ""),
        ("mkfs.btrfs", &["-q", "-L", "pool"], 128, ""),
        ("cryptsetup", &[&LUKS[..], &["secret", "--type", "luks2"]].concat(), 32, "key"),
    ] {
        let images = Images::new();
        let image = images.blank("disk", size_mib << 20);
        let mut args = args.to_vec();
        args.push(image.to_str().unwrap());
        if program == "cryptsetup" {
            args.push("-");
        }
        run_with_input(program, &args, input);
        let report = report(&image);
        let volume = &report.volumes[0];
        let uuid = blkid(&image, if program == "mke2fs" { "LOGUUID" } else { "UUID" });
        assert!(uuid.is_some(), "{program} {args:?}");
        assert_eq!((&volume.label, &volume.uuid), (&blkid(&image, "LABEL"), &uuid), "{program} {args:?}");
    }
}

#[test]
fn a_physical_volume_has_the_uuid_that_lvm_shows() {
    let images = Images::new();
    let image = images.blank("disk", 16 << 20);
    let device = LoopDevice::new(&image, &[]);
    let config = format!("devices{{filter=[\"a|^{}$|\",\"r|.*|\"] use_devicesfile=0 scan_lvs=0}}", device.path);
    run("pvcreate", &["-q", "--driverloaded", "n", "--config", &config, &device.path]);
    run("blockdev", &["--flushbufs", &device.path]);
    drop(device);
    let uuid = report(&image).volumes[0].uuid.clone();
    assert!(uuid.is_some());
    assert_eq!(uuid, blkid(&image, "UUID"));
}

#[test]
fn partitions_have_the_names_and_uuids_that_blkid_prints() {
    for (script, name) in
        [("label: gpt\nsize=4MiB, name=\"the root\"\nsize=4MiB\n", Some("the root")), ("label: dos\nsize=4MiB\n", None)]
    {
        let images = Images::new();
        let image = images.blank("disk", 16 << 20);
        run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image.to_str().unwrap()], script);
        let report = report(&image);
        let json: serde_json::Value =
            serde_json::from_str(&run("sfdisk", &["--json", image.to_str().unwrap()])).unwrap();
        assert_eq!(report.table_uuid, blkid(&image, "PTUUID"));
        assert!(report.table_uuid.is_some());
        assert_eq!(report.volumes[0].partition_name.as_deref(), name);
        let uuid = report.volumes[0].partition_uuid.as_deref().unwrap();
        match json["partitiontable"]["partitions"][0]["uuid"].as_str() {
            Some(of_sfdisk) => assert_eq!(uuid, of_sfdisk.to_lowercase()),
            // As the kernel makes it up.
            None => assert_eq!(uuid, format!("{}-01", report.table_uuid.unwrap())),
        }
    }
}

#[test]
fn a_raid_member_has_the_uuid_and_the_name_of_its_array() {
    let mut image = vec![0_u8; 4 << 20];
    let mut put = |at: usize, bytes: &[u8]| image[4096 + at..4096 + at + bytes.len()].copy_from_slice(bytes);
    put(0, &0xa92b_4efc_u32.to_le_bytes());
    put(4, &[1]);
    put(16, &[0xab; 16]);
    put(32, b"host:array");
    put(144, &[8]);
    let report = check(&image, Depth::Default).unwrap();
    let volume = &report.volumes[0];
    assert_eq!(volume.label.as_deref(), Some("host:array"));
    assert_eq!(volume.uuid.as_deref(), Some("abababab-abab-abab-abab-abababababab"));
}

#[test]
fn what_is_known_by_its_signature_has_a_label_and_a_uuid_where_their_place_is_known() {
    let mut image = vec![0_u8; 1 << 20];
    image[1024..1028].copy_from_slice(&[0xe2, 0xe1, 0xf5, 0xe0]);
    image[1024 + 48..1024 + 64].fill(0xcd);
    image[1024 + 64..1024 + 69].copy_from_slice(b"image");
    let report = check(&image, Depth::Default).unwrap();
    let volume = &report.volumes[0];
    assert_eq!((volume.kind.as_str(), volume.label.as_deref()), ("erofs", Some("image")));
    assert_eq!(volume.uuid.as_deref(), Some("cdcdcdcd-cdcd-cdcd-cdcd-cdcdcdcdcdcd"));
}
