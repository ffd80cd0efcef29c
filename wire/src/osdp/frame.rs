//! Frames: the shape of everything on an OSDP line.
//!
//! ```text
//! 53 | address, 80 = reply | length, 2 bytes LE, whole frame | control | [security block] | code | data | [MAC] | check
//! control: bits 0-1 sequence, bit 2 CRC-16 instead of checksum, bit 3 security block present
//! ```
//!
//! Owns framing and its check values. Never interprets a code and never decrypts: the MAC and
//! the encrypted data of a secured frame are handed over as they are. Imports nothing.

use std::time::Duration;

/// The longest frame, bytes (SIA 050-06: tolerate 1440).
pub const MAX_FRAME: usize = 1440;
/// The longest silence inside a frame (SIA 050-08).
pub const INTER_CHARACTER_TIMEOUT: Duration = Duration::from_millis(20);
/// Start of message.
pub const SOM: u8 = 0x53;
/// The idle-line byte sent before a frame (SIA 050-07).
pub const MARK: u8 = 0xFF;
/// Bytes of MAC carried in a frame.
pub const MAC_LEN: usize = 4;

/// Frame bytes around the data of a plain CRC frame.
pub const PLAIN_OVERHEAD: usize = 8;
/// Frame bytes around the data of a secured frame.
pub const SECURE_OVERHEAD: usize = 14;

const HEADER: usize = 5;
const REPLY_BIT: u8 = 0x80;
const CONTROL_SEQUENCE: u8 = 0x03;
const CONTROL_CRC: u8 = 0x04;
const CONTROL_SECURITY: u8 = 0x08;

/// Security block types (SCS_11 to SCS_18).
pub mod scs {
    /// CHLNG, panel to reader.
    pub const CHALLENGE: u8 = 0x11;
    /// CCRYPT, reader to panel.
    pub const CLIENT_CRYPTOGRAM: u8 = 0x12;
    /// SCRYPT, panel to reader.
    pub const SERVER_CRYPTOGRAM: u8 = 0x13;
    /// RMAC_I, reader to panel.
    pub const INITIAL_RMAC: u8 = 0x14;
    /// Command with MAC, without data.
    pub const COMMAND: u8 = 0x15;
    /// Reply with MAC, without data.
    pub const REPLY: u8 = 0x16;
    /// Command with MAC and encrypted data.
    pub const COMMAND_DATA: u8 = 0x17;
    /// Reply with MAC and encrypted data.
    pub const REPLY_DATA: u8 = 0x18;
    /// Security block data of a handshake under the default key SCBK-D.
    pub const KEY_DEFAULT: u8 = 0x00;
    /// Security block data of a handshake under the device's own key SCBK.
    pub const KEY_OWN: u8 = 0x01;
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Control panel to peripheral device.
    Command,
    /// Peripheral device to control panel.
    Reply,
}

/// The check value at the end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// CRC-16, the only one allowed with Secure Channel (050-09-15).
    Crc,
    /// Two's complement of the sum of bytes: old readers, plain only.
    Checksum,
}

impl Check {
    /// Bytes of the check value.
    pub fn len(self) -> usize {
        match self {
            Self::Crc => 2,
            Self::Checksum => 1,
        }
    }

    /// Never empty; here because `len` is.
    pub fn is_empty(self) -> bool {
        false
    }
}

/// What stands before the security block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0 to 0x7E, or [`super::BROADCAST`].
    pub address: u8,
    /// Who speaks.
    pub direction: Direction,
    /// 0 (link start) to 3.
    pub sequence: u8,
    /// How the frame ends.
    pub check: Check,
}

/// The security block of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityBlock<'a> {
    /// One of [`scs`], or something unknown.
    pub kind: u8,
    /// The bytes after the type.
    pub data: &'a [u8],
}

impl SecurityBlock<'_> {
    /// Frames of this type carry a MAC (SCS_15 to SCS_18).
    pub fn has_mac(&self) -> bool {
        matches!(self.kind, scs::COMMAND..=scs::REPLY_DATA)
    }

    /// Frames of this type carry encrypted data (SCS_17, SCS_18).
    pub fn is_encrypted(&self) -> bool {
        matches!(self.kind, scs::COMMAND_DATA | scs::REPLY_DATA)
    }
}

/// A frame whose shape and check value are good. Its content is not yet trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Address, direction, sequence, check.
    pub header: Header,
    /// The security block, if there is one.
    pub security: Option<SecurityBlock<'a>>,
    /// Command or reply code. Never encrypted.
    pub code: u8,
    /// The data after the code: encrypted in SCS_17 and SCS_18 frames.
    pub data: &'a [u8],
    /// The MAC of an SCS_15 to SCS_18 frame.
    pub mac: Option<[u8; MAC_LEN]>,
    bytes: &'a [u8],
}

impl std::fmt::Debug for Frame<'_> {
    /// Shows the length of the data, never the data: it may hold a key, a card or a PIN.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("header", &self.header)
            .field("security", &self.security.map(|s| s.kind))
            .field("code", &format_args!("{:#04x}", self.code))
            .field("data_len", &self.data.len())
            .field("mac", &self.mac.is_some())
            .finish()
    }
}

impl<'a> Frame<'a> {
    /// Reads one whole frame: exactly its bytes, from the start of message to the check value.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameFault> {
        let total = frame_length(bytes)?.ok_or(FrameFault::Length)?;
        if bytes.len() != total {
            return Err(FrameFault::Length);
        }
        let control = bytes[4];
        let check = if control & CONTROL_CRC != 0 { Check::Crc } else { Check::Checksum };
        let body_end = total.checked_sub(check.len()).ok_or(FrameFault::Length)?;
        let good = match check {
            Check::Crc => crc16(&bytes[..body_end]).to_le_bytes() == bytes[body_end..],
            Check::Checksum => checksum(&bytes[..body_end]) == bytes[body_end],
        };
        if !good {
            return Err(FrameFault::Check);
        }
        let header = Header {
            address: bytes[1] & !REPLY_BIT,
            direction: if bytes[1] & REPLY_BIT != 0 { Direction::Reply } else { Direction::Command },
            sequence: control & CONTROL_SEQUENCE,
            check,
        };
        let mut at = HEADER;
        let mut security = None;
        if control & CONTROL_SECURITY != 0 {
            let len = usize::from(*bytes.get(at).ok_or(FrameFault::SecurityBlock)?);
            if len < 2 || at + len > body_end {
                return Err(FrameFault::SecurityBlock);
            }
            security = Some(SecurityBlock { kind: bytes[at + 1], data: &bytes[at + 2..at + len] });
            at += len;
        }
        if at >= body_end {
            return Err(FrameFault::Length);
        }
        let code = bytes[at];
        let mut data = &bytes[at + 1..body_end];
        let mut mac = None;
        if security.is_some_and(|s| s.has_mac()) {
            let (plain, tail) = data.split_last_chunk::<MAC_LEN>().ok_or(FrameFault::SecurityBlock)?;
            data = plain;
            mac = Some(*tail);
        }
        Ok(Self { header, security, code, data, mac, bytes })
    }

    /// The whole frame, start of message to check value.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the MAC covers: everything before it.
    pub fn mac_covered(&self) -> &'a [u8] {
        &self.bytes[..self.bytes.len() - self.header.check.len() - MAC_LEN.min(self.bytes.len())]
    }
}

/// What was wrong with bytes that looked like a frame. A peer's fault: counted, never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The length field is impossible, or leaves no room for a code.
    #[error("impossible length")]
    Length,
    /// The CRC or checksum does not fit: noise, or two speakers at once.
    #[error("wrong check value")]
    Check,
    /// The security block or MAC does not fit in the frame.
    #[error("malformed security block")]
    SecurityBlock,
    /// The frame stopped in the middle for [`INTER_CHARACTER_TIMEOUT`].
    #[error("frame broken off")]
    BrokenOff,
}

/// The total length of the frame that begins `bytes`; `None` while the header is incomplete.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, FrameFault> {
    let Some(&[som, _, low, high, control]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    if som != SOM {
        return Err(FrameFault::Length);
    }
    let total = usize::from(u16::from_le_bytes([low, high]));
    let check = if control & CONTROL_CRC != 0 { 2 } else { 1 };
    if total < HEADER + 1 + check || total > MAX_FRAME {
        return Err(FrameFault::Length);
    }
    Ok(Some(total))
}

/// Finds frames in a stream of bytes that may be cut anywhere and may be noise.
///
/// Memory is bounded by two frames. After a bad frame the search goes on at the next start of
/// message *inside* it, so noise in front of a good frame does not swallow the good frame.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    handed_out: usize,
    last_byte: Duration,
    /// The bytes held are all there will be of them.
    stale: bool,
    noise: u64,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("pending", &self.pending()).field("noise", &self.noise).finish()
    }
}

impl Decoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next frame or fault, taking bytes from the front of `input`; `None` when the input
    /// is used up and no frame is complete. Call in a loop until it returns `None`.
    ///
    /// `now` is the time the input arrived, since any fixed start. Called with no input after
    /// [`INTER_CHARACTER_TIMEOUT`] of silence, it gives up a frame that broke off.
    pub fn next<'a>(&'a mut self, now: Duration, input: &mut &[u8]) -> Option<Result<Frame<'a>, FrameFault>> {
        self.start += std::mem::take(&mut self.handed_out);
        self.stale |= self.pending() > 0 && now.saturating_sub(self.last_byte) > INTER_CHARACTER_TIMEOUT;
        let total = loop {
            self.seek_start();
            match frame_length(&self.buffer[self.start..]) {
                Err(_) => self.skip_start(),
                Ok(Some(total)) if self.pending() >= total => break total,
                // No more bytes belong to it, but a whole frame may stand inside it.
                Ok(_) if self.stale && self.pending() > 0 => self.skip_start(),
                Ok(_) if self.stale => {
                    self.stale = false;
                    return Some(Err(FrameFault::BrokenOff));
                }
                Ok(wanted) => {
                    if self.pending() == 0 {
                        self.skip_noise(input);
                    }
                    if input.is_empty() {
                        return None;
                    }
                    let missing = wanted.unwrap_or(HEADER) - self.pending();
                    let (taken, rest) = input.split_at(missing.min(input.len()));
                    self.take(taken);
                    *input = rest;
                    self.last_byte = now;
                }
            }
        };
        match Frame::parse(&self.buffer[self.start..self.start + total]) {
            Ok(_) => {
                self.handed_out = total;
                // Parsed again because the borrow of the failed case must end before the skip.
                Some(Frame::parse(&self.buffer[self.start..self.start + total]))
            }
            Err(fault) => {
                self.skip_start();
                Some(Err(fault))
            }
        }
    }

    /// Forgets a partial frame, for instance when the line was reopened.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.start = 0;
        self.handed_out = 0;
        self.stale = false;
    }

    /// When [`Decoder::next`] gives up the frame that is not complete yet, if there is one and
    /// no byte comes.
    pub fn gives_up_at(&self) -> Option<Duration> {
        (self.pending() > 0).then(|| self.last_byte + INTER_CHARACTER_TIMEOUT + Duration::from_micros(1))
    }

    /// Bytes of a frame that is not complete yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start - self.handed_out
    }

    /// Bytes so far that were neither mark nor part of a frame.
    pub fn noise(&self) -> u64 {
        self.noise
    }

    /// Drops input up to the next start of message without storing it.
    fn skip_noise(&mut self, input: &mut &[u8]) {
        let skipped = input.iter().position(|&b| b == SOM).unwrap_or(input.len());
        let (noise, rest) = input.split_at(skipped);
        self.noise += noise.iter().filter(|&&b| b != MARK).count() as u64;
        *input = rest;
    }

    /// Gives up the start of message at the front.
    fn skip_start(&mut self) {
        if self.pending() > 0 {
            self.start += 1;
            self.noise += 1;
            self.seek_start();
        }
    }

    /// Moves to the next start of message, dropping marks and noise before it.
    fn seek_start(&mut self) {
        let pending = &self.buffer[self.start..];
        let skipped = pending.iter().position(|&b| b == SOM).unwrap_or(pending.len());
        self.noise += pending[..skipped].iter().filter(|&&b| b != MARK).count() as u64;
        self.start += skipped;
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.start >= MAX_FRAME || self.start == self.buffer.len() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }
}

/// Appends a plain frame (no MAC) to `out`. `security` is the handshake block, if any.
pub fn encode(out: &mut Vec<u8>, header: Header, security: Option<SecurityBlock<'_>>, code: u8, data: &[u8]) {
    let start = begin(out, header, security, code);
    out.extend_from_slice(data);
    finish(out, start, header.check);
}

/// Writes everything up to the code with a length yet unknown; returns where the frame starts.
pub(super) fn begin(out: &mut Vec<u8>, header: Header, security: Option<SecurityBlock<'_>>, code: u8) -> usize {
    let start = out.len();
    let direction = if header.direction == Direction::Reply { REPLY_BIT } else { 0 };
    let crc = if header.check == Check::Crc { CONTROL_CRC } else { 0 };
    let block = if security.is_some() { CONTROL_SECURITY } else { 0 };
    let control = (header.sequence & CONTROL_SEQUENCE) | crc | block;
    out.extend_from_slice(&[SOM, (header.address & !REPLY_BIT) | direction, 0, 0, control]);
    if let Some(security) = security {
        let len = u8::try_from(security.data.len() + 2).unwrap_or(u8::MAX);
        out.extend_from_slice(&[len, security.kind]);
        out.extend_from_slice(&security.data[..usize::from(len) - 2]);
    }
    out.push(code);
    start
}

/// Sets the length field, counting `still_to_come` bytes (a MAC) and the check value.
pub(super) fn set_length(out: &mut [u8], start: usize, check: Check, still_to_come: usize) {
    let total = out.len() - start + still_to_come + check.len();
    // Callers keep data within MAX_FRAME; saturate rather than wrap if one does not.
    let total = u16::try_from(total).unwrap_or(u16::MAX).to_le_bytes();
    out[start + 2..start + 4].copy_from_slice(&total);
}

/// Completes a frame begun at `start`: length, then check value.
pub(super) fn finish(out: &mut Vec<u8>, start: usize, check: Check) {
    set_length(out, start, check, 0);
    match check {
        Check::Crc => out.extend_from_slice(&crc16(&out[start..]).to_le_bytes()),
        Check::Checksum => out.push(checksum(&out[start..])),
    }
}

const CRC_TABLE: [u16; 256] = crc_table();

const fn crc_table() -> [u16; 256] {
    let mut table = [0u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// CRC-16, polynomial 0x1021, start value 0x1D0F; sent low byte first.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0x1D0F, |crc, &b| (crc << 8) ^ CRC_TABLE[usize::from((crc >> 8) as u8 ^ b)])
}

/// The byte that makes the sum of the frame zero.
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, &b| sum.wrapping_add(b)).wrapping_neg()
}
