//! Card numbers at rest, for the few places that must know them again: a controller with a memory of its own, or a
//! device with its own list of cards, has to be told real numbers, and the pseudonym cannot be turned back into one.
//!
//! Owns one key of the site ([`SealKey`]), the sealed form of a number ([`SealedNumber`], 16 bytes, in the database and
//! in policy snapshots) and of messages that contain numbers ([`SealedBytes`], in a gateway's journal). Never draws
//! randomness: sealing the same thing twice gives the same bytes. May import nothing but `card`.
//!
//! # What sealing protects, and what not
//! - A copy of the database, of a snapshot or of a journal says nothing about numbers without the key. With it,
//!   everything: it stays on the site's machines that enrol cards and talk to such devices, and out of backups of data.
//! - A sealed number is one AES-256 block over family, length, number and a check. Equal numbers give equal blocks; that
//!   tells nothing new, because the card's pseudonym stands beside it and is equal too. One block is a permutation, so a
//!   changed block opens to a random one: the check (32 bits), the family and the zeros behind the number let fewer than
//!   one in 2^40 of those through, and the same goes for the wrong key.
//! - A block moved from one card's row to another's opens well. Who tells a device a number compares it with the card
//!   first: [`SealKey::open_for`].
//! - Sealed bytes are encrypted and authenticated (the SIV construction of RFC 5297, section 2, with HMAC-SHA256 cut to
//!   128 bits as its PRF and AES-256 in counter mode): a change anywhere, or the wrong key, is an error. Equal texts give
//!   equal bytes; their length is visible.

use std::fmt;

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::{CardKey, CardNumber, Family, UID_MAX_BYTES, keyed_hash};
use crate::ids::CardId;

/// What [`SealedBytes`] are longer than their text: the tag.
pub const SEAL_OVERHEAD_BYTES: usize = BLOCK;

const BLOCK: usize = 16;
/// The last four bytes of every number before it is sealed.
const CHECK: [u8; 4] = *b"TWn1";

/// Why something sealed cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// Sealed with another key, or changed since.
    #[error("this was sealed with another key, or was changed; put the site's own file of that key back")]
    NotOurs,
    /// The number is another card's.
    #[error("the sealed number stored for this card is another card's; import the card's number again")]
    OtherCard,
}

/// The site's key for numbers that must be known again. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct SealKey {
    number: Aes256,
    text: Aes256,
    tag: Zeroizing<[u8; 32]>,
}

impl SealKey {
    /// Takes 32 random bytes; each use has a key of its own derived from them.
    pub fn new(bytes: [u8; 32]) -> Self {
        let mut bytes = Zeroizing::new(bytes);
        let derived = |label: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            for (half, no) in key.chunks_exact_mut(BLOCK).zip(1_u8..) {
                half.copy_from_slice(&keyed_hash(&bytes, &[label, &[no]]));
            }
            key
        };
        let (number, text) = (derived(b"tapward seal number 1"), derived(b"tapward seal text 1"));
        let (number, text) = (aes256(&number), aes256(&text));
        let tag = derived(b"tapward seal tag 1");
        bytes.zeroize();
        Self { number, text, tag }
    }

    /// Seals a number.
    pub fn seal(&self, number: &CardNumber) -> SealedNumber {
        let mut block = Array::from([0; BLOCK]);
        block[0] = number.family as u8;
        block[1] = number.len;
        block[2..2 + UID_MAX_BYTES].copy_from_slice(&number.bytes);
        block[2 + UID_MAX_BYTES..].copy_from_slice(&CHECK);
        self.number.encrypt_block(&mut block);
        SealedNumber(block.0)
    }

    /// The number.
    ///
    /// # Errors
    /// [`SealError::NotOurs`].
    pub fn open(&self, sealed: SealedNumber) -> Result<CardNumber, SealError> {
        let mut block = Array::from(sealed.0);
        self.number.decrypt_block(&mut block);
        let (mut bytes, mut check) = ([0; UID_MAX_BYTES], [0; 4]);
        bytes.copy_from_slice(&block[2..2 + UID_MAX_BYTES]);
        check.copy_from_slice(&block[2 + UID_MAX_BYTES..]);
        let number = Family::from_byte(block[0]).map(|family| CardNumber { family, len: block[1], bytes });
        bytes.zeroize();
        block.zeroize();
        number.filter(|number| check == CHECK && number.is_canonical()).ok_or(SealError::NotOurs)
    }

    /// The number, if it is this card's: for everything that goes to a device.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn open_for(&self, sealed: SealedNumber, card: CardId, cards: &CardKey) -> Result<CardNumber, SealError> {
        let number = self.open(sealed)?;
        if cards.id(&number) == card { Ok(number) } else { Err(SealError::OtherCard) }
    }

    /// Seals a message.
    pub fn seal_bytes(&self, text: &[u8]) -> SealedBytes {
        let tag = self.tag(text);
        let mut sealed = Vec::with_capacity(BLOCK + text.len());
        sealed.extend_from_slice(&tag);
        sealed.extend_from_slice(text);
        self.apply_keystream(tag, &mut sealed[BLOCK..]);
        SealedBytes(sealed)
    }

    /// The message.
    ///
    /// # Errors
    /// [`SealError::NotOurs`].
    pub fn open_bytes(&self, sealed: &SealedBytes) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (tag, text) = sealed.0.split_first_chunk::<BLOCK>().ok_or(SealError::NotOurs)?;
        let mut text = Zeroizing::new(text.to_vec());
        self.apply_keystream(*tag, &mut text);
        let right: bool = self.tag(&text).ct_eq(tag).into();
        if right { Ok(text) } else { Err(SealError::NotOurs) }
    }

    fn tag(&self, text: &[u8]) -> [u8; BLOCK] {
        keyed_hash(&self.tag, &[text])
    }

    /// Counter mode from `start`, big endian, as AES-CTR in RFC 5297, section 2.5, without clearing bits: the counter
    /// wraps over the whole block.
    fn apply_keystream(&self, start: [u8; BLOCK], text: &mut [u8]) {
        let mut counter = u128::from_be_bytes(start);
        for chunk in text.chunks_mut(BLOCK) {
            let mut block = Array::from(counter.to_be_bytes());
            self.text.encrypt_block(&mut block);
            chunk.iter_mut().zip(&block).for_each(|(byte, key)| *byte ^= key);
            block.zeroize();
            counter = counter.wrapping_add(1);
        }
    }
}

fn aes256(key: &[u8; 32]) -> Aes256 {
    let mut copy = Array::from(*key);
    let cipher = Aes256::new(&copy);
    copy.zeroize();
    cipher
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(redacted)")
    }
}

/// A card number as only the owner of the [`SealKey`] can read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SealedNumber(pub [u8; 16]);

impl fmt::Debug for SealedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedNumber(sealed)")
    }
}

/// A message as only the owner of the [`SealKey`] can read it. What takes this type cannot be given a number in clear
/// by mistake.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct SealedBytes(Vec<u8>);

impl SealedBytes {
    /// What was stored. Whether it can be opened, opening shows.
    pub const fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// For storing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes, [`SEAL_OVERHEAD_BYTES`] more than the message has.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing at all, not even an empty message.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SealedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBytes({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{CardFormat, from_uid, parse};
    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::new([byte; 32])
    }

    fn numbers() -> Vec<CardNumber> {
        let uid = |len: u8| from_uid(&(1..=len).collect::<Vec<u8>>()).unwrap();
        vec![
            parse(CardFormat::Wiegand26, "90,324").unwrap(),
            parse(CardFormat::Wiegand26, "0,0").unwrap(),
            parse(CardFormat::Wiegand34, "65535,65535").unwrap(),
            parse(CardFormat::Wiegand37, "34359738367").unwrap(),
            uid(4),
            uid(5),
            uid(7),
            uid(8),
            uid(10),
            from_uid(&[0; 4]).unwrap(),
        ]
    }

    #[test]
    fn every_number_comes_back_and_numbers_that_differ_seal_differently() {
        let sealed: std::collections::HashSet<_> = numbers().iter().map(|number| key(1).seal(number)).collect();
        assert_eq!(sealed.len(), numbers().len());
        for number in numbers() {
            assert_eq!(key(1).open(key(1).seal(&number)), Ok(number.clone()));
            assert_eq!(key(1).seal(&number), key(1).seal(&number), "the same list again changes nothing");
        }
    }

    #[test]
    fn another_key_a_changed_bit_and_noise_open_nothing() {
        let number = &numbers()[0];
        assert_eq!(key(2).open(key(1).seal(number)), Err(SealError::NotOurs));
        for bit in 0..128 {
            let mut changed = key(1).seal(number);
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key(1).open(changed), Err(SealError::NotOurs), "bit {bit}");
        }
        let noise = (0..100_000_u128).filter(|no| key_of_noise().open(SealedNumber(no.to_le_bytes())).is_ok()).count();
        assert_eq!(noise, 0);
    }

    fn key_of_noise() -> &'static SealKey {
        static KEY: std::sync::OnceLock<SealKey> = std::sync::OnceLock::new();
        KEY.get_or_init(|| key(7))
    }

    #[test]
    fn a_number_moved_to_another_card_is_found() {
        let cards = CardKey::new([9; 32]);
        let (mine, other) = (&numbers()[0], &numbers()[4]);
        let sealed = key(1).seal(mine);
        assert_eq!(key(1).open_for(sealed, cards.id(mine), &cards), Ok(mine.clone()));
        assert_eq!(key(1).open_for(sealed, cards.id(other), &cards), Err(SealError::OtherCard));
    }

    #[test]
    fn the_sealed_form_never_changes() {
        // What is stored today must open with every later version.
        let sealed = key(1).seal(&numbers()[0]);
        let bytes = key(1).seal_bytes(b"a message of more than one block").0;
        assert_eq!((hex(&sealed.0), hex(&bytes)), (VECTOR_NUMBER.to_owned(), VECTOR_BYTES.to_owned()));
    }

    const VECTOR_NUMBER: &str = "7d13ad2172d96e7c54dc10364c3c7a3e";
    const VECTOR_BYTES: &str =
        "6917b0d8e52b55236d00ede6b687a301795b772aaa92e53e4a3aa1bc33bed500588481fefd171344aaacfad6da651c8e";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn nothing_prints_a_key_a_number_or_a_message() {
        let sealed = (key(0x47).seal(&numbers()[0]), key(0x47).seal_bytes(b"abc"));
        let printed = format!("{:?} {:?} {:?}", key(0x47), sealed.0, sealed.1);
        assert_eq!(printed, "SealKey(redacted) SealedNumber(sealed) SealedBytes(19 bytes)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn messages_come_back_and_any_change_is_found(
            text in proptest::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, flip in 1_u8..,
        ) {
            let key = key_of_noise();
            let sealed = key.seal_bytes(&text);
            prop_assert_eq!(sealed.len(), text.len() + SEAL_OVERHEAD_BYTES);
            let opened = key.open_bytes(&sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), text.as_slice());
            let mut changed = sealed.0.clone();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            prop_assert_eq!(key.open_bytes(&SealedBytes(changed)).unwrap_err(), SealError::NotOurs);
            let cut = SealedBytes(sealed.0[..at].to_vec());
            prop_assert_eq!(key.open_bytes(&cut).unwrap_err(), SealError::NotOurs);
        }
    }
}
