//! The hash by which a directory's index sorts names.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html#hash-tree-directories>: `hash_version`. Half MD4 is the first
//! three of MD4's rounds with half as many steps in each; TEA is the Tiny Encryption Algorithm with the name as its key.

use super::super::fields::le32;
use super::super::superblock::Superblock;

/// `s_flags`: the bytes of names count as unsigned.
const UNSIGNED_HASH: u32 = 2;
/// MD4's initial state.
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

#[derive(Clone, Copy)]
enum Version {
    Legacy,
    HalfMd4,
    Tea,
}

/// How the names of one directory are hashed.
#[derive(Clone, Copy)]
pub(super) struct NameHash {
    version: Version,
    seed: [u32; 4],
    widen: fn(u8) -> u32,
}

impl NameHash {
    /// By `hash_version` of the directory's root; `None` where a key is needed (SipHash).
    pub(super) fn new(superblock: &Superblock, hash_version: u8) -> Option<Self> {
        let version = match hash_version {
            0 => Version::Legacy,
            1 => Version::HalfMd4,
            2 => Version::Tea,
            _ => return None,
        };
        let raw = superblock.raw();
        let s_hash_seed = [0xec, 0xf0, 0xf4, 0xf8].map(|offset| le32(raw, offset));
        let seed = if s_hash_seed == [0; 4] { INITIAL } else { s_hash_seed };
        let is_unsigned = le32(raw, 0x160) & UNSIGNED_HASH != 0;
        let widen = if is_unsigned { u32::from } else { |byte| byte as i8 as u32 };
        Some(Self { version, seed, widen })
    }

    /// The hash of `name`, its lowest bit clear.
    pub(super) fn of(&self, name: &[u8]) -> u32 {
        let mut state = self.seed;
        let hash = match self.version {
            Version::Legacy => self.legacy(name),
            Version::HalfMd4 => {
                self.words::<8>(name, |words| half_md4(&mut state, words));
                state[1]
            }
            Version::Tea => {
                self.words::<4>(name, |words| tea(&mut state, words));
                state[0]
            }
        };
        hash & !1
    }

    fn legacy(&self, name: &[u8]) -> u32 {
        let (mut last, mut before) = (0x12a3_fe2d_u32, 0x37ab_e8f9_u32);
        for &byte in name {
            let sum = before.wrapping_add(last ^ (self.widen)(byte).wrapping_mul(7_152_373));
            before = last;
            last = if sum & 0x8000_0000 != 0 { sum.wrapping_sub(0x7fff_ffff) } else { sum };
        }
        last << 1
    }

    /// Hands over a name in groups of `N` words, most significant byte first, padded with the length of what is left.
    fn words<const N: usize>(&self, name: &[u8], mut take: impl FnMut(&[u32; N])) {
        let mut rest = name;
        while !rest.is_empty() {
            let pad = (rest.len() as u32 & 0xff).wrapping_mul(0x0101_0101);
            let (group, after) = rest.split_at(rest.len().min(4 * N));
            let mut words = [pad; N];
            for (word, bytes) in words.iter_mut().zip(group.chunks(4)) {
                *word = bytes.iter().fold(pad, |word, &byte| (word << 8).wrapping_add((self.widen)(byte)));
            }
            take(&words);
            rest = after;
        }
    }
}

fn half_md4(state: &mut [u32; 4], words: &[u32; 8]) {
    type Mix = fn(u32, u32, u32) -> u32;
    const ROUNDS: [(Mix, u32, [usize; 8], [u32; 4]); 3] = [
        (|x, y, z| z ^ (x & (y ^ z)), 0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19]),
        (|x, y, z| (x & y).wrapping_add((x ^ y) & z), 0x5a82_7999, [1, 3, 5, 7, 0, 2, 4, 6], [3, 5, 9, 13]),
        (|x, y, z| x ^ y ^ z, 0x6ed9_eba1, [3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15]),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (mix, constant, order, shifts) in ROUNDS {
        for (index, shift) in order.into_iter().zip(shifts.into_iter().cycle()) {
            let sum = a.wrapping_add(mix(b, c, d)).wrapping_add(words[index]).wrapping_add(constant);
            (a, b, c, d) = (d, sum.rotate_left(shift), b, c);
        }
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

fn tea(state: &mut [u32; 4], key: &[u32; 4]) {
    let [mut left, mut right, ..] = *state;
    let mix = |half: u32, sum: u32, low: u32, high: u32| {
        (half << 4).wrapping_add(low) ^ half.wrapping_add(sum) ^ (half >> 5).wrapping_add(high)
    };
    let mut sum = 0_u32;
    for _ in 0..16 {
        sum = sum.wrapping_add(0x9e37_79b9);
        left = left.wrapping_add(mix(right, sum, key[0], key[1]));
        right = right.wrapping_add(mix(left, sum, key[2], key[3]));
    }
    state[0] = state[0].wrapping_add(left);
    state[1] = state[1].wrapping_add(right);
}
