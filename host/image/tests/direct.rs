//! Reading past the page cache, from a real block device. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fsprobe::ReadAt as _;
use image::device::Device;
use stillpoint_tests::machine::loop_device::LoopDevice;

/// Longer than one piece, and no whole number of pages.
const SIZE: usize = 200 * 1024 + 512;

#[test]
fn any_range_of_a_block_device_can_be_read_directly_up_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let content: Vec<u8> = (0..SIZE).map(|at| (at / 7 % 251) as u8).collect();
    fs::write(&path, &content).unwrap();
    let disk = LoopDevice::new(&path, &[]);
    let device = Device::open_direct(Path::new(&disk.path)).unwrap();
    assert_eq!(device.size_bytes(), SIZE as u64);
    for (from, to) in [(0, 1024), (1023, 1025), (4095, 4097), (511, 150_001), (SIZE - 3, SIZE), (0, SIZE), (7, 7)] {
        let mut read = vec![0; to - from];
        device.read_exact_at(&mut read, from as u64).unwrap();
        assert!(read == content[from..to], "{from} to {to}");
    }
    let past_the_end = device.read_exact_at(&mut [0; 4], SIZE as u64 - 3).unwrap_err();
    assert_eq!(past_the_end.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn what_is_written_past_the_page_cache_is_seen_although_older_bytes_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    fs::write(&path, vec![b'-'; 1 << 20]).unwrap();
    let disk = LoopDevice::new(&path, &[]);
    let read = |device: &Device| {
        let mut read = [0; 4];
        device.read_exact_at(&mut read, 8192).unwrap();
        read
    };
    // Kept open: the pages of a device that nobody has open are dropped.
    let cached = Device::open(Path::new(&disk.path)).unwrap();
    assert_eq!(&read(&cached), b"----");
    // Beneath the device, as a guest writes beneath the cache of its host.
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"live", 8192).unwrap();
    assert_eq!((&read(&cached), &read(&Device::open_direct(Path::new(&disk.path)).unwrap())), (b"----", b"live"));
}
