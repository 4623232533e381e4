//! Hostile artifacts.

use std::sync::OnceLock;

use fsprobe::ReadAt;
use image::artifact::{ArtifactReader, MAX_FRAME_BYTES};
use zeekstd::{EncodeOptions, FrameSizePolicy};

const FRAME_BYTES: u32 = 3000;

/// Five frames, with checksums.
fn seed() -> &'static [u8] {
    static SEED: OnceLock<Vec<u8>> = OnceLock::new();
    SEED.get_or_init(|| {
        let raw: Vec<u8> = (0..5 * FRAME_BYTES).map(|i| (i % 251) as u8).collect();
        let mut stored = Vec::new();
        let options = EncodeOptions::new().frame_size_policy(FrameSizePolicy::Uncompressed(FRAME_BYTES));
        let mut encoder = options.checksum_flag(true).into_encoder(&mut stored).expect("options that zstd takes");
        encoder.compress(&raw).expect("a vector takes everything");
        encoder.finish().expect("a vector takes everything");
        stored
    })
}

/// Reads here and there in the artifact that `input` describes: patches of `offset:u16 length:u8 bytes`, counted from the
/// end where the length's first bit is set, so that the seek table is near. No bytes cut the file there. An input whose
/// first byte is 0xff is the file itself.
pub fn read(input: &[u8]) {
    let stored = match input.split_first() {
        Some((0xff, file)) => file.to_vec(),
        _ => patched(input),
    };
    let Ok(artifact) = ArtifactReader::new(stored) else { return };
    let size = artifact.size_bytes();
    let mut buf = vec![0; 5000.min(usize::try_from(size).unwrap_or(5000))];
    for at in [0, size / 2, size.saturating_sub(buf.len() as u64)] {
        let _ = std::hint::black_box(artifact.read_exact_at(&mut buf, at));
    }
    assert!(artifact.read_exact_at(&mut [0], size).is_err());
    for frame in 0..artifact.frame_count().min(6) {
        if let Ok(raw) = artifact.unpack(frame) {
            assert!(!raw.is_empty() && raw.len() <= MAX_FRAME_BYTES as usize);
        }
    }
}

fn patched(mut patches: &[u8]) -> Vec<u8> {
    let mut stored = seed().to_vec();
    while let Some((&[o0, o1, length], rest)) = patches.split_first_chunk() {
        let offset = usize::from(u16::from_le_bytes([o0, o1])) % stored.len().max(1);
        let at = if length & 0x80 == 0 { offset } else { stored.len().saturating_sub(1 + offset) };
        let (bytes, rest) = rest.split_at(usize::from(length & 0x7f).min(rest.len()));
        if bytes.is_empty() {
            stored.truncate(at);
        }
        stored.iter_mut().skip(at).zip(bytes).for_each(|(there, byte)| *there = *byte);
        patches = rest;
    }
    stored
}
