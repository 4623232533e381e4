//! blake3 of the whole disk, from hashes of its frames.
//!
//! blake3 is a tree: a frame whose size is a power of two, at a multiple of that size, is one whole subtree of it. So
//! every worker hashes the frame that it has in its cache, and only 32 bytes a frame are left to be put together.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use blake3::{
    Hash, Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

use super::{frames::Frames, give_way::give_way, zeros::Zeros};

/// What frame `index`, holding `raw`, contributes.
pub(super) fn of_frame(frames: &Frames<'_>, index: u32, raw: &[u8]) -> ChainingValue {
    if frames.count() == 1 {
        return blake3::hash(raw).into();
    }
    Hasher::new().set_input_offset(frames.offset_bytes(index)).update(raw).finalize_non_root()
}

/// Hashes the frames that have no hash yet, as zeros, on `threads` threads. `None` when it was told to stop.
pub(super) fn fill_in_zeros(
    frames: &Frames<'_>,
    hashes: &mut [Option<ChainingValue>],
    zeros: &Zeros,
    threads: usize,
    stop: &AtomicBool,
) -> Option<Vec<ChainingValue>> {
    let mut missing: Vec<_> = (0..).zip(&mut *hashes).filter(|(_, hash)| hash.is_none()).collect();
    let share = missing.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        for share in missing.chunks_mut(share) {
            scope.spawn(move || {
                give_way();
                for (index, hash) in share {
                    if stop.load(Relaxed) {
                        return;
                    }
                    **hash = Some(of_frame(frames, *index, zeros.raw(frames.size_bytes(*index))));
                }
            });
        }
    });
    hashes.iter().copied().collect()
}

/// blake3 of the disk.
pub(super) fn of_disk(frames: &[ChainingValue]) -> Hash {
    match frames {
        [] => blake3::hash(&[]),
        [whole] => Hash::from_bytes(*whole),
        _ => {
            let (left, right) = frames.split_at(left_frames(frames.len()));
            merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

fn subtree(frames: &[ChainingValue]) -> ChainingValue {
    match frames {
        [] => ChainingValue::default(),
        [frame] => *frame,
        _ => {
            let (left, right) = frames.split_at(left_frames(frames.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The left subtree is the largest power of two that leaves something on the right.
fn left_frames(frames: usize) -> usize {
    frames.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::{super::Options, *};

    #[test]
    fn the_hash_put_together_from_frames_is_that_of_the_whole() {
        let frame_bytes = 64 << 10;
        let options = Options { frame_size_bytes: frame_bytes, ..Options::default() };
        let disk: Vec<u8> = (0..20 * frame_bytes).map(|byte| (byte % 251) as u8).collect();
        for size in [0, 1, 1000, 65_536, 65_537, 131_072, 196_608, 200_000, 458_752, 458_753, 1_310_720] {
            let disk = &disk[..size];
            let frames = Frames::new(size as u64, &[], &options).unwrap();
            let hashes: Vec<_> =
                disk.chunks(frame_bytes as usize).zip(0..).map(|(raw, index)| of_frame(&frames, index, raw)).collect();
            assert_eq!(of_disk(&hashes), blake3::hash(disk), "{size} bytes");
        }
    }
}
