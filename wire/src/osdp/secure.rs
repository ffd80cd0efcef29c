//! Secure Channel: keys, cryptograms and the chain of MACs, for both ends.
//!
//! Owns all cryptography of OSDP. Never draws randomness (the caller hands it in), never
//! compares secrets except in constant time, never decrypts before the MAC is good, and never
//! shows a key: every type here zeroizes on drop and redacts in `Debug`. Imports `frame`.
//!
//! ```text
//! S-ENC = AES(SCBK, 01 82 RND.A[0..6] 0..)   S-MAC1 = ... 01 01 ...   S-MAC2 = ... 01 02 ...
//! client cryptogram = AES(S-ENC, RND.A RND.B)   server cryptogram = AES(S-ENC, RND.B RND.A)
//! R-MAC-I = AES(S-MAC2, AES(S-MAC1, server cryptogram))
//! MAC  = CBC over the frame up to the MAC, padded 80 00.. to 16; last block under S-MAC2, the
//!        others under S-MAC1; start value = the last MAC of the other side
//! data = CBC under S-ENC, padded 80 00.. always; start value = complement of the same MAC
//! ```

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::frame::{self, Check, Direction, Frame, Header, MAC_LEN, SecurityBlock, scs};

/// Bytes of an AES-128 block, key and full MAC.
pub const BLOCK: usize = 16;

/// A Secure Channel base key: the secret one reader shares with its panel.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Scbk([u8; BLOCK]);

impl std::fmt::Debug for Scbk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scbk(..)")
    }
}

impl PartialEq for Scbk {
    /// Constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Scbk {}

/// Why a key must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// The installation key of the standard: everybody has it.
    #[error("it is the public installation key SCBK-D; make a random key")]
    InstallDefault,
    /// One byte repeated.
    #[error("it repeats one byte; make a random key")]
    Repeated,
    /// Bytes that rise or fall by one.
    #[error("its bytes only count up or down; make a random key")]
    Counting,
    /// A pattern of a few bytes repeated, or a key printed in a public sample.
    #[error("it is a known sample key; make a random key")]
    Sample,
}

/// Keys printed in public samples and test vectors, besides the patterns recognised by rule.
const SAMPLE_KEYS: [[u8; BLOCK]; 3] = [
    // FIPS-197 appendix B and C (the second is also a counting row).
    [0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C],
    [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10],
    // "0123456789ABCDEF" typed as text.
    *b"0123456789ABCDEF",
];

impl Scbk {
    /// A key from 16 bytes. Wipe the source yourself.
    pub fn new(bytes: [u8; BLOCK]) -> Self {
        Self(bytes)
    }

    /// A key from 32 hexadecimal digits, either case, no blanks inside.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim().as_bytes();
        if text.len() != 2 * BLOCK {
            return None;
        }
        let mut key = Self([0; BLOCK]);
        for (byte, pair) in key.0.iter_mut().zip(text.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(key)
    }

    /// SCBK-D, the public installation key. Only for provisioning and for device simulators.
    pub fn install_default() -> Self {
        let mut key = [0u8; BLOCK];
        for (byte, value) in key.iter_mut().zip(0x30u8..) {
            *byte = value;
        }
        Self(key)
    }

    /// The bytes, for the one who stores or sends the key. Never log them.
    pub fn expose(&self) -> &[u8; BLOCK] {
        &self.0
    }

    /// Refuses keys that anybody would try first (Bishop Fox, "Badge of Shame", attack 4).
    pub fn check_strength(&self) -> Result<(), WeakKey> {
        if *self == Self::install_default() {
            return Err(WeakKey::InstallDefault);
        }
        let steps = |step: u8| self.0.windows(2).all(|w| w[1] == w[0].wrapping_add(step));
        if steps(0) {
            return Err(WeakKey::Repeated);
        }
        if steps(1) || steps(0xFF) {
            return Err(WeakKey::Counting);
        }
        let periodic = [2, 4, 8].iter().any(|&period| self.0[period..] == self.0[..BLOCK - period]);
        if periodic || SAMPLE_KEYS.contains(&self.0) {
            return Err(WeakKey::Sample);
        }
        Ok(())
    }
}

/// The keys of one session, from the base key and the panel's random number.
#[derive(Clone)]
pub struct SessionKeys {
    enc: Aes128,
    mac1: Aes128,
    mac2: Aes128,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

impl SessionKeys {
    /// Derives the three session keys.
    pub fn derive(scbk: &Scbk, rnd_a: &[u8; 8]) -> Self {
        let base = cipher(&scbk.0);
        let key = |kind: u8| {
            let mut block = [0u8; BLOCK];
            block[0] = 0x01;
            block[1] = kind;
            block[2..8].copy_from_slice(&rnd_a[..6]);
            encrypt_block(&base, &mut block);
            let made = cipher(&block);
            block.zeroize();
            made
        };
        Self { enc: key(0x82), mac1: key(0x01), mac2: key(0x02) }
    }

    /// What the reader proves itself with.
    pub fn client_cryptogram(&self, rnd_a: &[u8; 8], rnd_b: &[u8; 8]) -> [u8; BLOCK] {
        self.cryptogram(rnd_a, rnd_b)
    }

    /// What the panel proves itself with.
    pub fn server_cryptogram(&self, rnd_a: &[u8; 8], rnd_b: &[u8; 8]) -> [u8; BLOCK] {
        self.cryptogram(rnd_b, rnd_a)
    }

    /// The start of the MAC chain.
    pub fn initial_rmac(&self, server_cryptogram: &[u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = *server_cryptogram;
        encrypt_block(&self.mac1, &mut block);
        encrypt_block(&self.mac2, &mut block);
        block
    }

    fn cryptogram(&self, first: &[u8; 8], second: &[u8; 8]) -> [u8; BLOCK] {
        let mut block = [0u8; BLOCK];
        block[..8].copy_from_slice(first);
        block[8..].copy_from_slice(second);
        encrypt_block(&self.enc, &mut block);
        block
    }

    /// The full MAC of `covered`.
    fn mac(&self, start: &[u8; BLOCK], covered: &[u8]) -> [u8; BLOCK] {
        let mut state = *start;
        let mut blocks = covered.chunks(BLOCK).peekable();
        while let Some(chunk) = blocks.next() {
            for (state, byte) in state.iter_mut().zip(chunk) {
                *state ^= byte;
            }
            if chunk.len() < BLOCK {
                state[chunk.len()] ^= 0x80;
            }
            encrypt_block(if blocks.peek().is_some() { &self.mac1 } else { &self.mac2 }, &mut state);
        }
        state
    }
}

/// Compares two cryptograms or MACs in constant time.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Why a frame was not accepted into a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecureFault {
    /// Not an SCS_15..18 frame of the right direction, or a checksum instead of a CRC.
    #[error("not protected by the session")]
    Unprotected,
    /// The MAC does not fit: forged, replayed, or the ends lost step.
    #[error("wrong MAC")]
    Mac,
    /// The MAC is good but the padding or length of the encrypted data is not.
    #[error("malformed encrypted data")]
    Padding,
}

/// One end of an established session: the two last MACs.
///
/// The panel seals commands and opens replies; the device opens commands and seals replies.
/// A repeated frame must be repeated as bytes, never sealed again: sealing moves the chain.
#[derive(Clone)]
pub struct Session {
    keys: SessionKeys,
    command_mac: [u8; BLOCK],
    reply_mac: [u8; BLOCK],
}

impl Drop for Session {
    fn drop(&mut self) {
        self.command_mac.zeroize();
        self.reply_mac.zeroize();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(..)")
    }
}

impl Session {
    /// A session right after the handshake.
    pub fn new(keys: SessionKeys, initial_rmac: [u8; BLOCK]) -> Self {
        Self { keys, command_mac: [0; BLOCK], reply_mac: initial_rmac }
    }

    /// Appends a protected frame to `out` and moves the chain: SCS_15/17 for commands,
    /// SCS_16/18 for replies, encrypted if there is data. `header.check` must be the CRC.
    pub fn seal(&mut self, out: &mut Vec<u8>, header: Header, code: u8, data: &[u8]) {
        let kind = match (header.direction, data.is_empty()) {
            (Direction::Command, true) => scs::COMMAND,
            (Direction::Command, false) => scs::COMMAND_DATA,
            (Direction::Reply, true) => scs::REPLY,
            (Direction::Reply, false) => scs::REPLY_DATA,
        };
        let start_value = *self.other_mac(header.direction);
        let start = frame::begin(out, header, Some(SecurityBlock { kind, data: &[] }), code);
        if !data.is_empty() {
            let at = out.len();
            out.extend_from_slice(data);
            out.push(0x80);
            out.resize(at + (out.len() - at).next_multiple_of(BLOCK), 0);
            self.encrypt(&start_value, &mut out[at..]);
        }
        frame::set_length(out, start, header.check, MAC_LEN);
        let mac = self.keys.mac(&start_value, &out[start..]);
        out.extend_from_slice(&mac[..MAC_LEN]);
        frame::finish(out, start, header.check);
        *self.own_mac(header.direction) = mac;
    }

    /// Verifies a frame, then decrypts its data into `data` (cleared first), then moves the
    /// chain. On any fault nothing moved and `data` is empty.
    pub fn open(&mut self, frame: &Frame<'_>, data: &mut Vec<u8>) -> Result<(), SecureFault> {
        data.clear();
        let direction = frame.header.direction;
        let (plain, encrypted) = match direction {
            Direction::Command => (scs::COMMAND, scs::COMMAND_DATA),
            Direction::Reply => (scs::REPLY, scs::REPLY_DATA),
        };
        let kind = frame.security.ok_or(SecureFault::Unprotected)?.kind;
        let claimed = frame.mac.ok_or(SecureFault::Unprotected)?;
        if (kind != plain && kind != encrypted) || frame.header.check != Check::Crc {
            return Err(SecureFault::Unprotected);
        }
        let start_value = *self.other_mac(direction);
        let mac = self.keys.mac(&start_value, frame.mac_covered());
        if !same(&mac[..MAC_LEN], &claimed) {
            return Err(SecureFault::Mac);
        }
        if kind == encrypted {
            data.extend_from_slice(frame.data);
            if let Err(fault) = self.decrypt(&start_value, data) {
                data.zeroize();
                return Err(fault);
            }
        } else {
            // SCS_15/16 are authenticated but in clear; SIA leaves their data empty.
            data.extend_from_slice(frame.data);
        }
        *self.own_mac(direction) = mac;
        Ok(())
    }

    /// The last MAC of the side that is not speaking: start value for the speaker.
    fn other_mac(&self, speaker: Direction) -> &[u8; BLOCK] {
        match speaker {
            Direction::Command => &self.reply_mac,
            Direction::Reply => &self.command_mac,
        }
    }

    fn own_mac(&mut self, speaker: Direction) -> &mut [u8; BLOCK] {
        match speaker {
            Direction::Command => &mut self.command_mac,
            Direction::Reply => &mut self.reply_mac,
        }
    }

    fn encrypt(&self, start: &[u8; BLOCK], data: &mut [u8]) {
        let mut previous = start.map(|b| !b);
        for chunk in data.chunks_exact_mut(BLOCK) {
            for (byte, previous) in chunk.iter_mut().zip(previous) {
                *byte ^= previous;
            }
            previous.copy_from_slice(chunk);
            encrypt_block(&self.keys.enc, &mut previous);
            chunk.copy_from_slice(&previous);
        }
    }

    /// Decrypts in place and cuts the padding. Empty data is tolerated (some readers send
    /// SCS_18 without any).
    fn decrypt(&self, start: &[u8; BLOCK], data: &mut Vec<u8>) -> Result<(), SecureFault> {
        if data.is_empty() {
            return Ok(());
        }
        if !data.len().is_multiple_of(BLOCK) {
            return Err(SecureFault::Padding);
        }
        let mut previous = start.map(|b| !b);
        for chunk in data.chunks_exact_mut(BLOCK) {
            let mut block = Array::from([0u8; BLOCK]);
            block.copy_from_slice(chunk);
            let encrypted: [u8; BLOCK] = block.into();
            self.keys.enc.decrypt_block(&mut block);
            for ((byte, plain), previous) in chunk.iter_mut().zip(block).zip(previous) {
                *byte = plain ^ previous;
            }
            previous = encrypted;
        }
        let end = data.iter().rposition(|&b| b != 0).filter(|&at| data[at] == 0x80).ok_or(SecureFault::Padding)?;
        if data.len() - end > BLOCK {
            return Err(SecureFault::Padding);
        }
        data.truncate(end);
        Ok(())
    }
}

fn cipher(key: &[u8; BLOCK]) -> Aes128 {
    Aes128::new(&Array::from(*key))
}

fn encrypt_block(cipher: &Aes128, block: &mut [u8; BLOCK]) {
    let mut array = Array::from(*block);
    cipher.encrypt_block(&mut array);
    *block = array.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Session, Session) {
        let keys = SessionKeys::derive(&Scbk::install_default(), &[3; 8]);
        let rmac = keys.initial_rmac(&keys.server_cryptogram(&[3; 8], &[4; 8]));
        (Session::new(keys.clone(), rmac), Session::new(keys, rmac))
    }

    fn header(direction: Direction) -> Header {
        Header { address: 1, direction, sequence: 1, check: Check::Crc }
    }

    #[test]
    fn pitfall_18_encrypted_frames_with_empty_data_are_tolerated() {
        let (mut panel, mut reader) = pair();
        let (mut out, mut data) = (Vec::new(), Vec::new());
        panel.seal(&mut out, header(Direction::Command), 0x60, &[]);
        reader.open(&Frame::parse(&out).unwrap(), &mut data).unwrap();
        out.clear();
        let block = SecurityBlock { kind: scs::REPLY_DATA, data: &[] };
        let start = frame::begin(&mut out, header(Direction::Reply), Some(block), 0x40);
        frame::set_length(&mut out, start, Check::Crc, MAC_LEN);
        let mac = reader.keys.mac(&reader.command_mac, &out);
        out.extend_from_slice(&mac[..MAC_LEN]);
        frame::finish(&mut out, start, Check::Crc);
        assert_eq!(panel.open(&Frame::parse(&out).unwrap(), &mut data), Ok(()));
        assert!(data.is_empty());
    }

    #[test]
    fn a_fault_moves_nothing_and_shows_nothing() {
        let (mut panel, mut reader) = pair();
        let (mut out, mut data) = (Vec::new(), vec![1]);
        panel.seal(&mut out, header(Direction::Command), 0x69, &[7; 20]);
        let mut forged = out.clone();
        let end = forged.len() - 2;
        forged[10] ^= 1;
        let crc = frame::crc16(&forged[..end]).to_le_bytes();
        forged[end..].copy_from_slice(&crc);
        assert_eq!(reader.open(&Frame::parse(&forged).unwrap(), &mut data), Err(SecureFault::Mac));
        assert!(data.is_empty());
        assert_eq!(reader.open(&Frame::parse(&out).unwrap(), &mut data), Ok(()));
        assert_eq!(data, [7; 20]);
        assert_eq!(reader.open(&Frame::parse(&out).unwrap(), &mut data), Ok(()), "replies have not moved the chain");
    }
}
