//! Copies an image and says how fast: `cargo run --release -p stillpoint-image --example copy_speed IMAGE [TARGET] [LEVEL]`.
//!
//! To be compared with `dd if=IMAGE bs=4M | zstd -T0 -1 > TARGET` of the same image.
#![allow(clippy::print_stdout)]

use std::{env, error::Error, fs::File, path::Path, sync::atomic::AtomicBool};

use fsprobe::{Extent, ReadAt};
use image::{
    copy::{self, Options, Progress},
    device::Device,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let image = arguments.next().ok_or("which image?")?;
    let target = arguments.next().unwrap_or_else(|| "/dev/null".to_owned());
    let level = arguments.next().map_or(Ok(1), |level| level.parse())?;

    let disk = Device::open_for_copy(Path::new(&image))?;
    let allocated = [Extent { offset_bytes: 0, size_bytes: disk.size_bytes() }];
    let options = Options { level, ..Options::default() };
    let stop = AtomicBool::new(false);
    let copied = copy::copy(&disk, &allocated, &mut File::create(target)?, &options, &Progress::default(), &stop)?;
    let seconds = copied.duration.as_secs_f64();
    let mb_per_s = |bytes: u64| bytes as f64 / 1e6 / seconds;
    println!(
        "{} bytes of disk, {} allocated, {} stored, {} of {} frames zero: {seconds:.2} s, {:.0} MB/s of allocated bytes",
        copied.raw_bytes,
        copied.allocated_bytes,
        copied.stored_bytes,
        copied.zero_frames,
        copied.frames,
        mb_per_s(copied.allocated_bytes),
    );
    Ok(())
}
