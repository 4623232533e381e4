//! What is named by its signature and no further looked into: filesystems, members of arrays, and files that are no raw disk.
//!
//! Names and places are those of libblkid (`libblkid/src/superblocks/`), for image files QEMU's (`block/`), for packed ones
//! those of their specifications.

use super::{tail, unnamed, zfs};
use crate::bytes::has;
use crate::identity::{Identity, dce, text};
use crate::read_at::read;
use crate::{Finding, ReadAt};

/// A format that is known by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    pub name: &'static str,
    class: Class,
    /// All of them have to be there.
    magics: &'static [(usize, &'static [u8])],
    /// Where a UUID of 16 bytes is; 0 where nothing is known of one.
    uuid_at: usize,
    /// Where a label is, and how long; 0 bytes where nothing is known of one.
    label_at: (usize, usize),
}

/// What is to be said of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A filesystem.
    Filesystem,
    /// Something lies in it that is seen only once it is put together, or unlocked.
    Member,
    /// An image of a disk that QEMU reads.
    Image,
    /// An image or a backup of another program, which unpacks it.
    Foreign(&'static str),
    /// A packed file, or several in one.
    Packed,
}

impl Signature {
    const fn new(name: &'static str, class: Class, magics: &'static [(usize, &'static [u8])]) -> Self {
        Self { name, class, magics, uuid_at: 0, label_at: (0, 0) }
    }

    const fn labelled(self, uuid_at: usize, label_at: (usize, usize)) -> Self {
        Self { uuid_at, label_at, ..self }
    }

    /// Whether it is a file, and nothing that would lie on a disk.
    pub fn is_file(&self) -> bool {
        !matches!(self.class, Class::Filesystem | Class::Member)
    }
}

use Class::{Filesystem, Foreign, Image, Member, Packed};

#[rustfmt::skip]
const SIGNATURES: &[Signature] = &[
    Signature::new("qcow", Image, &[(0, b"QFI\xfb"), (4, &[0, 0, 0, 1])]),
    Signature::new("qcow2", Image, &[(0, b"QFI\xfb"), (4, &[0, 0, 0])]),
    Signature::new("qed", Image, &[(0, b"QED\0")]),
    Signature::new("vmdk", Image, &[(0, b"KDMV")]),
    Signature::new("vmdk", Image, &[(0, b"COWD")]),
    Signature::new("vmdk", Image, &[(0, b"# Disk DescriptorFile")]),
    Signature::new("vhdx", Image, &[(0, b"vhdxfile")]),
    Signature::new("vhd", Image, &[(0, b"conectix")]),
    Signature::new("vdi", Image, &[(64, &[0x7f, 0x10, 0xda, 0xbe])]),
    Signature::new("parallels", Image, &[(0, b"WithoutFreeSpace")]),
    Signature::new("parallels", Image, &[(0, b"WithouFreSpacExt")]),
    Signature::new("vma", Foreign("`vma extract` of Proxmox VE unpacks it"), &[(0, b"VMA\0")]),
    Signature::new("partclone", Foreign("`partclone.restore` unpacks it"), &[(0, b"partclone-image")]),
    Signature::new("ewf", Foreign("`ewfmount` shows what is in it"), &[(0, b"EVF\x09\r\n\xff\0")]),
    Signature::new("wim", Foreign("`wimapply` unpacks it"), &[(0, b"MSWIM\0\0\0")]),
    Signature::new("android-sparse", Foreign("`simg2img` unpacks it"), &[(0, &[0x3a, 0xff, 0x26, 0xed, 1, 0])]),
    Signature::new("gzip", Packed, &[(0, &[0x1f, 0x8b, 8])]),
    Signature::new("bzip2", Packed, &[(0, b"BZh"), (4, b"1AY&SY")]),
    Signature::new("xz", Packed, &[(0, b"\xfd7zXZ\0")]),
    Signature::new("zstd", Packed, &[(0, &[0x28, 0xb5, 0x2f, 0xfd])]),
    Signature::new("lz4", Packed, &[(0, &[4, 0x22, 0x4d, 0x18])]),
    Signature::new("lzop", Packed, &[(0, b"\x89LZO\0\r\n\x1a\n")]),
    Signature::new("zip", Packed, &[(0, b"PK\x03\x04")]),
    Signature::new("7z", Packed, &[(0, b"7z\xbc\xaf\x27\x1c")]),
    Signature::new("rar", Packed, &[(0, b"Rar!\x1a\x07")]),
    Signature::new("tar", Packed, &[(257, b"ustar")]),

    Signature::new("BitLocker", Member, &[(3, b"-FVE-FS-")]),
    Signature::new("bcache", Member, &[(4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf7\x7f\x48\xba\x6d\x81")]).labelled(4096 + 40, (4096 + 72, 32)),
    Signature::new("vdo", Member, &[(0, b"dmvdo001")]),
    Signature::new("stratis", Member, &[(512 + 4, b"!Stra0tis\x86\xff\x02^\x41rh")]),
    Signature::new("ceph_bluestore", Member, &[(0, b"bluestore block device")]),
    Signature::new("DM_verity_hash", Member, &[(0, b"verity\0\0")]).labelled(16, (0, 0)),
    Signature::new("DM_integrity", Member, &[(0, b"integrt\0")]),
    Signature::new("DM_snapshot_cow", Member, &[(0, b"SnAp")]),
    Signature::new("LVM1_member", Member, &[(0, b"HM\x01\0")]),
    Signature::new("LVM1_member", Member, &[(0, b"HM\x02\0")]),
    Signature::new("oracleasm", Member, &[(32, b"ORCLDISK")]),
    Signature::new("VMFS_volume_member", Member, &[(0x10_0000, &[0x0d, 0xd0, 1, 0xc0])]),
    Signature::new("xfs_external_log", Member, &[(0, &[0xfe, 0xed, 0xba, 0xbe]), (8, &[0, 0, 0])]),

    Signature::new("apfs", Filesystem, &[(32, b"NXSB")]).labelled(72, (0, 0)),
    Signature::new("bcachefs", Filesystem, &[(4096 + 24, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef")]).labelled(4096 + 56, (4096 + 72, 32)),
    Signature::new("befs", Filesystem, &[(32, b"BFS1")]),
    Signature::new("befs", Filesystem, &[(512 + 32, b"1SFB")]),
    Signature::new("bfs", Filesystem, &[(0, &[0xce, 0xfa, 0xad, 0x1b])]),
    Signature::new("cramfs", Filesystem, &[(0, &[0x45, 0x3d, 0xcd, 0x28])]).labelled(0, (48, 16)),
    Signature::new("cramfs", Filesystem, &[(0, &[0x28, 0xcd, 0x3d, 0x45])]).labelled(0, (48, 16)),
    Signature::new("erofs", Filesystem, &[(1024, &[0xe2, 0xe1, 0xf5, 0xe0])]).labelled(1024 + 48, (1024 + 64, 16)),
    Signature::new("f2fs", Filesystem, &[(1024, &[0x10, 0x20, 0xf5, 0xf2])]).labelled(1024 + 108, (0, 0)),
    Signature::new("gfs2", Filesystem, &[(65536, &[1, 0x16, 0x19, 0x70, 0, 0, 0, 1]), (65536 + 24, &[0, 0, 7])]),
    Signature::new("gfs", Filesystem, &[(65536, &[1, 0x16, 0x19, 0x70, 0, 0, 0, 1])]),
    Signature::new("hfsplus", Filesystem, &[(1024, b"H+\0\x04")]),
    Signature::new("hfsplus", Filesystem, &[(1024, b"HX\0\x05")]),
    Signature::new("hfsplus", Filesystem, &[(1024, b"BD"), (1024 + 124, b"H+")]),
    Signature::new("jfs", Filesystem, &[(32768, b"JFS1")]).labelled(32768 + 136, (32768 + 152, 16)),
    Signature::new("nilfs2", Filesystem, &[(1024, &[2, 0, 0, 0, 0, 0, 0x34, 0x34])]).labelled(1024 + 152, (1024 + 168, 80)),
    Signature::new("ocfs2", Filesystem, &[(1024, b"OCFSV2")]).labelled(1024 + 336, (1024 + 272, 64)),
    Signature::new("ocfs2", Filesystem, &[(2048, b"OCFSV2")]).labelled(2048 + 336, (2048 + 272, 64)),
    Signature::new("ocfs2", Filesystem, &[(4096, b"OCFSV2")]).labelled(4096 + 336, (4096 + 272, 64)),
    Signature::new("ocfs2", Filesystem, &[(8192, b"OCFSV2")]).labelled(8192 + 336, (8192 + 272, 64)),
    Signature::new("ocfs", Filesystem, &[(8, b"OracleCFS")]),
    Signature::new("reiserfs", Filesystem, &[(65536 + 52, b"ReIsErFs")]),
    Signature::new("reiserfs", Filesystem, &[(65536 + 52, b"ReIsEr2Fs")]).labelled(65536 + 84, (65536 + 100, 16)),
    Signature::new("reiserfs", Filesystem, &[(65536 + 52, b"ReIsEr3Fs")]).labelled(65536 + 84, (65536 + 100, 16)),
    Signature::new("reiserfs", Filesystem, &[(8192 + 52, b"ReIsErFs")]),
    Signature::new("reiserfs", Filesystem, &[(8192 + 20, b"ReIsErFs")]),
    Signature::new("reiser4", Filesystem, &[(65536, b"ReIsEr4")]).labelled(65536 + 20, (65536 + 36, 16)),
    Signature::new("romfs", Filesystem, &[(0, b"-rom1fs-")]).labelled(0, (16, 16)),
    Signature::new("squashfs", Filesystem, &[(0, b"hsqs")]),
    Signature::new("squashfs", Filesystem, &[(0, b"sqsh")]),
    Signature::new("ubi", Filesystem, &[(0, b"UBI#")]),
    Signature::new("ubifs", Filesystem, &[(0, &[0x31, 0x18, 0x10, 6])]),
    Signature::new("ufs", Filesystem, &[(8192 + 1372, &[0x54, 0x19, 1, 0])]),
    Signature::new("ufs", Filesystem, &[(8192 + 1372, &[0, 1, 0x19, 0x54])]),
    Signature::new("ufs", Filesystem, &[(65536 + 1372, &[0x19, 1, 0x54, 0x19])]),
    Signature::new("ufs", Filesystem, &[(65536 + 1372, &[0x19, 0x54, 1, 0x19])]),
    Signature::new("VMFS", Filesystem, &[(0x20_0000, &[0x5e, 0xf1, 0xab, 0x2f])]),
    Signature::new("vxfs", Filesystem, &[(1024, &[0xf5, 0xfc, 1, 0xa5])]),
    Signature::new("zonefs", Filesystem, &[(0, b"SFOZ")]),

    // Found in another way than by bytes at their places.
    Signature::new("udf", Filesystem, &[]),
    Signature::new("iso9660", Filesystem, &[]).labelled(0, (32768 + 40, 32)),
    Signature::new("hfs", Filesystem, &[]),
    Signature::new("minix", Filesystem, &[]),
    Signature::new("zfs_member", Member, &[]),
    Signature::new("isw_raid_member", Member, &[]),
    Signature::new("ddf_raid_member", Member, &[]),
    Signature::new("lsi_mega_raid_member", Member, &[]),
    Signature::new("adaptec_raid_member", Member, &[]),
    Signature::new("nvidia_raid_member", Member, &[]),
    Signature::new("hpt45x_raid_member", Member, &[]),
    Signature::new("promise_fasttrack_raid_member", Member, &[]),
    Signature::new("drbd", Member, &[]),
    Signature::new("dmg", Image, &[]),
];

/// The name, as a kind has it.
pub(super) fn named(name: &str) -> Option<&'static str> {
    SIGNATURES.iter().find(|signature| signature.name == name).map(|signature| signature.name)
}

/// What `volume`, which begins with `head`, has a signature of.
pub(super) fn find(volume: &dyn ReadAt, head: &[u8]) -> Option<&'static Signature> {
    let is_at = |&(at, magic): &(usize, &[u8])| match head.get(at..) {
        Some(rest) if rest.len() >= magic.len() => rest.starts_with(magic),
        // Behind what is read of every volume.
        _ => read(volume, at as u64, magic.len(), "").is_ok_and(|bytes| has(&bytes, 0, magic)),
    };
    let mut by_magic = SIGNATURES.iter().filter(|signature| !signature.magics.is_empty());
    by_magic.find(|signature| signature.magics.iter().all(is_at)).or_else(|| {
        let zfs = || zfs::is_member(volume, head).then_some("zfs_member");
        let name = unnamed::name(head).or_else(zfs).or_else(|| tail::name(volume))?;
        SIGNATURES.iter().find(|signature| signature.name == name)
    })
}

/// Label and UUID of what was recognised as `name`.
pub(crate) fn identity(volume: &dyn ReadAt, name: &str) -> Option<Identity> {
    let head = super::head(volume).ok()?;
    let found = find(volume, &head).filter(|signature| signature.name == name)?;
    let (at, length) = found.label_at;
    let uuid = (found.uuid_at > 0).then(|| dce(&head, found.uuid_at)).flatten();
    Some(Identity { label: head.get(at..at + length).and_then(text), uuid })
}

/// See [`super::not_judged`].
pub(super) fn not_judged(name: &str) -> Finding {
    let class = SIGNATURES.iter().find(|signature| signature.name == name).map(|signature| signature.class);
    match class {
        Some(Image) => {
            let detail = format!(
                "this is {name}, not a raw disk: convert it (`qemu-img convert -O raw`) or attach it (`qemu-nbd --read-only \
                 --connect=/dev/nbd0`), and check what comes of it"
            );
            Finding::unknown("not-a-raw-disk", "signatures", detail)
        }
        Some(Foreign(what_helps)) => {
            let detail = format!("this is {name}, not a raw disk: {what_helps}; check what comes of it");
            Finding::unknown("not-a-raw-disk", "signatures", detail)
        }
        Some(Packed) => {
            let detail = format!("this is a file of {name}, not a raw disk: unpack it, and check what is in it");
            Finding::unknown("not-a-raw-disk", "signatures", detail)
        }
        Some(Member) => {
            let detail = format!("it is {name}: what lies in it is seen only where it is assembled or opened");
            Finding::unknown("not-judged", "content", detail)
        }
        Some(Filesystem) | None => {
            let detail = format!("what a {name} volume holds is not judged");
            Finding::unknown("not-judged", "content", detail)
        }
    }
}
