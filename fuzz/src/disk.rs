//! A seed image, and the same with some bytes changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};

use fsprobe::ReadAt;

const SECTOR: usize = 512;

type Sectors = BTreeMap<u64, [u8; SECTOR]>;

/// A valid image. Only sectors that are not zero are kept: they are what there is to change.
pub struct Seed {
    size_bytes: u64,
    sectors: Sectors,
    /// Their numbers.
    told: Vec<u64>,
}

impl Seed {
    pub fn load(name: &str) -> Self {
        let path = format!("{}/target/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}; run fuzz/make-seeds"));
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut sectors = Sectors::new();
        let mut sector = [0; SECTOR];
        let mut number = 0;
        while file.read_exact(&mut sector).is_ok() {
            if sector != [0; SECTOR] {
                sectors.insert(number, sector);
            }
            number += 1;
        }
        let told = sectors.keys().copied().collect();
        Self { size_bytes: number * SECTOR as u64, sectors, told }
    }
}

/// A seed with patches, which are kept apart.
pub struct Image<'s> {
    seed: &'s Seed,
    size_bytes: u64,
    changed: Sectors,
}

impl<'s> Image<'s> {
    pub fn new(seed: &'s Seed) -> Self {
        Self { seed, size_bytes: seed.size_bytes, changed: Sectors::new() }
    }

    /// Applies patches of `sector:u16 offset:u16 bytes`, where the sector is one of those that are not zero.
    ///
    /// The upper bits of the offset are the number of bytes, and their most significant bit the direction of the sector
    /// numbers, so that the end of the disk is as near as its start. No bytes cut the disk at the place.
    pub fn patch(&mut self, mut patches: &[u8]) {
        while let Some((&[s0, s1, o0, o1], rest)) = patches.split_first_chunk() {
            let (sector, offset) = (usize::from(u16::from_le_bytes([s0, s1])), u16::from_le_bytes([o0, o1]));
            let index = sector % self.seed.told.len();
            let index = if offset & 0x8000 == 0 { index } else { self.seed.told.len() - 1 - index };
            let at = self.seed.told[index] * SECTOR as u64 + u64::from(offset & 0x1ff);
            let length = usize::from(offset >> 9 & 0x3f).min(rest.len());
            let (bytes, rest) = rest.split_at(length);
            if bytes.is_empty() {
                self.size_bytes = at.max(SECTOR as u64);
            }
            self.write(at, bytes);
            patches = rest;
        }
    }

    /// Changes bytes; what lies past the end is dropped.
    pub fn write(&mut self, offset_bytes: u64, bytes: &[u8]) {
        for (at, &byte) in (offset_bytes..self.seed.size_bytes).zip(bytes) {
            let number = at / SECTOR as u64;
            let original = || self.seed.sectors.get(&number).copied().unwrap_or([0; SECTOR]);
            let sector = self.changed.entry(number).or_insert_with(original);
            sector[(at % SECTOR as u64) as usize] = byte;
        }
    }

    /// Where sectors of the seed begin with `magic`.
    pub fn seeded_with(&self, magic: &[u8]) -> Vec<u64> {
        let begins = |(_, sector): &(&u64, &[u8; SECTOR])| sector.starts_with(magic);
        self.seed.sectors.iter().filter(begins).map(|(number, _)| number * SECTOR as u64).collect()
    }

    /// The bytes there, where the disk has them all.
    pub fn bytes(&self, offset_bytes: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read_exact_at(&mut bytes, offset_bytes).ok()?;
        Some(bytes)
    }
}

impl ReadAt for Image<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let end = offset_bytes.checked_add(buf.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf.fill(0);
        let sectors = offset_bytes / SECTOR as u64..end.div_ceil(SECTOR as u64);
        for source in [&self.seed.sectors, &self.changed] {
            for (number, sector) in source.range(sectors.clone()) {
                let start = number * SECTOR as u64;
                let (from, to) = (start.max(offset_bytes), (start + SECTOR as u64).min(end));
                buf[(from - offset_bytes) as usize..(to - offset_bytes) as usize]
                    .copy_from_slice(&sector[(from - start) as usize..(to - start) as usize]);
            }
        }
        Ok(())
    }
}
