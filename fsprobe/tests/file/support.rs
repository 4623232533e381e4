//! Images with files on them, read through their inode numbers.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use fsprobe::{FileError, Kind, ReadAt, with_file};
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::run;

/// An image, with some bytes changed in memory.
pub struct Image {
    file: File,
    pub changed: Vec<(u64, u8)>,
}

impl Image {
    pub fn open(path: &Path) -> Self {
        Self { file: File::open(path).unwrap(), changed: Vec::new() }
    }

    /// Whether what stands at the place of an inode in the first group of an XFS is that inode, of a regular file.
    pub fn holds_regular_inode(&self, inode: u64) -> bool {
        let mut raw = [0; 512];
        self.read_exact_at(&mut raw, inode * 512)
            .is_ok_and(|()| raw[..2] == *b"IN" && raw[2] >> 4 == 8 && raw[152..160] == inode.to_be_bytes())
    }
}

impl ReadAt for Image {
    fn size_bytes(&self) -> u64 {
        self.file.metadata().unwrap().len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> std::io::Result<()> {
        self.file.read_exact_at(buf, offset_bytes)?;
        for &(at, byte) in &self.changed {
            if let Some(place) = at.checked_sub(offset_bytes).and_then(|at| buf.get_mut(usize::try_from(at).ok()?)) {
                *place = byte;
            }
        }
        Ok(())
    }
}

/// All bytes of a file.
pub fn content(volume: &dyn ReadAt, kind: Kind, inode: u64) -> Result<Vec<u8>, FileError> {
    with_file(volume, kind, inode, |file| {
        let mut bytes = vec![0xee; usize::try_from(file.size_bytes()).unwrap()];
        // In odd pieces: no read begins or ends where a block does.
        for (number, part) in bytes.chunks_mut(77_777).enumerate() {
            file.read_exact_at(part, number as u64 * 77_777).unwrap();
        }
        bytes
    })
}

pub fn inode_of(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// A new XFS of `size`, as truncate(1) writes it.
pub fn xfs(images: &Images, size: &str, options: &[&str]) -> PathBuf {
    let image = images.path("xfs");
    run("truncate", &["-s", size, image.to_str().unwrap()]);
    run("mkfs.xfs", &[&["-q"], options, &[image.to_str().unwrap()]].concat());
    image
}

/// What `xfs_db` prints for `commands`; it may change the image, and then makes checksums right.
pub fn xfs_db(image: &Path, commands: &[&str]) -> String {
    let commands = commands.iter().flat_map(|command| ["-c", command]);
    run("xfs_db", &["-x"].into_iter().chain(commands).chain([image.to_str().unwrap()]).collect::<Vec<_>>())
}
