//! Hashing of pseudonyms for tables in memory. Pseudonyms are uniformly random or keyed hashes, so a stranger cannot
//! choose them; the seed keeps even one who can (an insider with the card key) from aiming at one bucket.

use std::hash::{BuildHasher, Hasher};

/// Folds two words into one by a full multiplication (the step of wyhash, Wang Yi 2019).
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Hash of a pseudonym under `seed`.
#[inline]
pub const fn hash16(seed: u64, id: &[u8; 16]) -> u64 {
    let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = *id;
    let a = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
    let b = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    fold(fold(a ^ seed, ODD) ^ b, ODD ^ seed.rotate_left(32))
}

/// Builds hashers for `HashMap`s keyed by pseudonyms or short names.
#[derive(Debug, Clone, Copy)]
pub struct Keyed(pub u64);

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    #[inline]
    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher(self.0 ^ ODD)
    }
}

/// See [`Keyed`].
#[derive(Debug)]
pub struct KeyedHasher(u64);

impl Hasher for KeyedHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = fold(self.0 ^ u64::from_le_bytes(word), ODD);
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, ODD);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    #[inline]
    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold(self.0, ODD.rotate_left(17))
    }
}
