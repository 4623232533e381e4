//! ext4 against mke2fs, the kernel and e2fsprogs. Needs root, for loop mounts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocated;
mod backups;
mod corruption;
mod deep;
mod deep_corruption;
mod deep_hostile;
#[path = "../failing/mod.rs"]
mod failing;
mod fast_commits;
mod fast_commits_hostile;
mod files;
mod files_hostile;
mod freeze;
mod hostile;
mod image;
mod replay;
mod second_opinion;
mod size;

use std::borrow::Cow;

use fsprobe::ReadAt;
use fsprobe::{Depth, Ext4Check, Finding, ext4};

/// The default check, with its findings' codes on a failure.
fn check(volume: &dyn ReadAt) -> Ext4Check {
    ext4::check(volume, Depth::Default)
}

/// The code of a finding that was made here, and not read from a file.
fn code(finding: &Finding) -> &'static str {
    match finding.code {
        Cow::Borrowed(code) => code,
        Cow::Owned(_) => panic!("{finding:?} was read from a file"),
    }
}

fn codes(check: &Ext4Check) -> Vec<&'static str> {
    check.findings.iter().map(code).collect()
}

/// Whether this kernel mounts it: not with blocks larger than pages, casefolding, or quota where that is not built in.
fn is_mountable(flavour: &[&str]) -> bool {
    !flavour.iter().any(|option| ["65536", "casefold", "mmp", "quota"].iter().any(|cannot| option.contains(cannot)))
}

/// mke2fs options of the last decade's filesystems.
const FLAVOURS: &[&[&str]] = &[
    &["-t", "ext4", "-b", "4096"],
    &["-t", "ext4", "-b", "1024"],
    &["-t", "ext4", "-b", "2048"],
    &["-t", "ext4", "-b", "65536"],
    &["-t", "ext4", "-I", "128"],
    &["-t", "ext4", "-O", "^64bit"],
    &["-t", "ext4", "-O", "^metadata_csum", "-b", "4096"],
    &["-t", "ext4", "-O", "^metadata_csum,uninit_bg"],
    &["-t", "ext4", "-O", "^metadata_csum,^64bit,uninit_bg"],
    &["-t", "ext4", "-O", "^flex_bg", "-b", "4096"],
    &["-t", "ext4", "-O", "^flex_bg", "-b", "1024"],
    &["-t", "ext4", "-O", "^extent,^64bit"],
    &["-t", "ext4", "-O", "metadata_csum_seed"],
    &["-t", "ext4", "-O", "orphan_file", "-b", "4096"],
    &["-t", "ext4", "-O", "orphan_file", "-b", "1024"],
    &["-t", "ext4", "-O", "bigalloc", "-b", "4096", "-C", "16384"],
    &["-t", "ext4", "-O", "bigalloc", "-b", "1024", "-C", "2048"],
    &["-t", "ext4", "-O", "inline_data", "-b", "4096"],
    &["-t", "ext4", "-O", "meta_bg,^resize_inode"],
    &["-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024", "-g", "1024"],
    &["-t", "ext4", "-O", "sparse_super2"],
    &["-t", "ext4", "-O", "^sparse_super,^resize_inode", "-b", "1024"],
    &["-t", "ext4", "-O", "encrypt,casefold"],
    &["-t", "ext4", "-O", "fast_commit"],
    &["-t", "ext4", "-O", "quota,project"],
    &["-t", "ext4", "-O", "mmp"],
    &["-t", "ext4", "-O", "ea_inode,large_dir,verity"],
    &["-t", "ext4", "-J", "size=4"],
    &["-t", "ext3"],
    &["-t", "ext3", "-b", "1024"],
    &["-t", "ext2"],
    &["-t", "ext2", "-b", "1024"],
    &["-t", "ext2", "-r", "0"],
];
