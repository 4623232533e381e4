//! The logs of a running server as they are in a copy of its frozen filesystem, found by their inode numbers.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use fsprobe::{Kind, ReadAt, binlog, redo, with_file};
use stillpoint_tests::machine::ext4;
use stillpoint_tests::machine::image::{Images, copy};
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::run;

use crate::server::Server;

struct Image(File);

impl ReadAt for Image {
    fn size_bytes(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buf, offset_bytes)
    }
}

#[test]
fn a_frozen_snapshot_holds_the_logs_up_to_where_the_server_was() {
    for kind in [Kind::Ext4, Kind::Xfs] {
        let images = Images::new();
        let image = images.blank("image", 1 << 30);
        match kind {
            Kind::Xfs => drop(run("mkfs.xfs", &["-q", image.to_str().unwrap()])),
            _ => ext4::make(&image, 1024, &["-t", "ext4"]),
        }
        let mount = Mount::image(&image, "rw");
        let server = Server::start_in(&mount.point, &[]);
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY, b BLOB) ENGINE=InnoDB");
        server.sql("USE d; INSERT INTO t SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_2000");
        let before = server.lsn();
        let (file, position, gtids) = server.coordinates();
        let inode = |name: &str| fs::metadata(server.data().join(name)).unwrap().ino();
        let inodes = [inode(&file), inode("ib_logfile0")];
        mount.freeze();
        let frozen = images.path("frozen");
        copy(&image, &frozen);
        mount.thaw();
        let after = server.lsn();

        let volume = Image(File::open(&frozen).unwrap());
        let walked = with_file(&volume, kind, inodes[0], |log| binlog::walk(log, Some(position))).unwrap().unwrap();
        assert_eq!((walked.end_bytes, walked.transactions_end_bytes), (position, position), "{kind}");
        assert!(walked.gtids.is(&gtids) && walked.in_use && walked.torn.is_none(), "{kind}: {walked:?}");
        let at = walked.at.unwrap();
        assert!(at.is_event_end && at.is_outside_transaction && at.beyond.is_empty(), "{kind}: {at:?}");
        let redo = with_file(&volume, kind, inodes[1], |log| redo::read(log)).unwrap().unwrap();
        assert!((before..=after).contains(&redo.end_lsn), "{kind}: {before} to {after}: {redo:?}");
    }
}
