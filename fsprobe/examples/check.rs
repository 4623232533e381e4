//! Checks an image or device and prints the report as JSON: `cargo run -p fsprobe --example check -- disk.img [--deep] [--mount-hints]`.
#![allow(clippy::print_stdout)]

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use fsprobe::{Depth, ReadAt, check, layout, mount_hint};

struct Image {
    file: File,
    size_bytes: u64,
}

impl ReadAt for Image {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset_bytes)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: check IMAGE")?;
    let mut file = File::open(&path)?;
    let size_bytes = file.seek(SeekFrom::End(0))?;
    let disk = Image { file, size_bytes };
    let is_asked = |option: &str| std::env::args().skip(2).any(|argument| argument == option);
    let depth = if is_asked("--deep") { Depth::Deep } else { Depth::Default };
    let mut report = check(&disk, depth)?;
    report.target = path;
    println!("{}", serde_json::to_string_pretty(&report)?);
    if is_asked("--mount-hints") {
        for volume in layout(&disk)?.volumes {
            if let Some(hint) = mount_hint(report.target.as_bytes(), &volume) {
                println!("# {}: {}\n{}", volume.path, hint.warning, hint.commands.join("\n"));
            }
        }
    }
    Ok(())
}
