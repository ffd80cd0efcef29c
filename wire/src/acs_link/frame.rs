//! Lengths before documents: a 4-byte big-endian length and that many bytes. Owns the bytes of the one frame that is
//! not complete yet; knows nothing of what is in it. May import the codes beside it.
//!
//! Memory: at most the limit (65,536 bytes by default), and that only as bytes arrive: an announced length alone
//! reserves nothing, and one that is 0 or beyond the limit is refused before a byte of it is kept. When a frame is
//! complete its buffer is given back, but for [`KEPT_BYTES`].

use std::time::Duration;

use super::code::{Code, Refusal};

/// Longest frame, in bytes, without the length: the default and the most that either end may ask for.
pub const FRAME_MAX: u32 = 65_536;
/// The shortest limit that either end may ask for, in bytes.
pub const FRAME_MIN: u32 = 4_096;
/// A frame is complete this long after its first byte (of the length), or the connection ends.
pub const FRAME_TIME: Duration = Duration::from_secs(10);
/// What a buffer keeps between frames, in bytes: most messages fit, and 2,000 idle peers are 8 MB.
const KEPT_BYTES: usize = 4_096;

/// Collects the bytes of one connection into frames.
#[derive(Debug)]
pub struct Accumulator {
    limit: u32,
    /// Bytes of the length, as far as they came.
    head: [u8; 4],
    head_len: usize,
    /// The announced length, once its four bytes are there.
    expected: Option<usize>,
    body: Vec<u8>,
    began: Option<Duration>,
}

impl Accumulator {
    /// A limit in bytes, brought between [`FRAME_MIN`] and [`FRAME_MAX`].
    pub fn new(limit: u32) -> Self {
        let limit = limit.clamp(FRAME_MIN, FRAME_MAX);
        Self { limit, head: [0; 4], head_len: 0, expected: None, body: Vec::new(), began: None }
    }

    /// Takes bytes from the front of `input`, up to the end of one frame, and gives that frame if it is complete: from
    /// `input` itself where it lies there whole. To be called until `input` is empty. `now` is monotonic.
    ///
    /// # Errors
    /// `FRAME_TOO_LARGE` for a length of 0 or beyond the limit. The connection cannot go on: where the next frame
    /// begins is unknown.
    pub fn take<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8], now: Duration) -> Result<Option<&'s [u8]>, Refusal> {
        if self.finished() {
            self.reset();
        }
        if input.is_empty() {
            return Ok(None);
        }
        self.began.get_or_insert(now);
        let Some(expected) = self.length(input)? else { return Ok(None) };
        if self.body.is_empty()
            && let Some((whole, rest)) = input.split_at_checked(expected)
        {
            *input = rest;
            (self.head_len, self.expected, self.began) = (0, None, None);
            return Ok(Some(whole));
        }
        let (part, rest) = input.split_at(input.len().min(expected - self.body.len()));
        *input = rest;
        self.keep(part, expected);
        Ok(self.finished().then_some(self.body.as_slice()))
    }

    /// When the frame that has begun must be complete.
    pub fn deadline(&self) -> Option<Duration> {
        (!self.finished()).then_some(self.began?.saturating_add(FRAME_TIME))
    }

    /// The rest of a frame that has begun is here and cannot be taken yet: its time begins anew.
    pub fn excuse(&mut self, now: Duration) {
        self.began = self.began.map(|_| now);
    }

    /// Bytes of memory held for the frame.
    pub fn memory(&self) -> usize {
        self.body.capacity()
    }

    fn finished(&self) -> bool {
        self.expected == Some(self.body.len())
    }

    fn reset(&mut self) {
        self.body.clear();
        self.body.shrink_to(KEPT_BYTES);
        (self.head_len, self.expected, self.began) = (0, None, None);
    }

    /// The announced length, as soon as its bytes are there.
    fn length(&mut self, input: &mut &[u8]) -> Result<Option<usize>, Refusal> {
        if self.expected.is_some() {
            return Ok(self.expected);
        }
        let (part, rest) = input.split_at(input.len().min(4 - self.head_len));
        self.head[self.head_len..self.head_len + part.len()].copy_from_slice(part);
        self.head_len += part.len();
        *input = rest;
        if self.head_len < 4 {
            return Ok(None);
        }
        match u32::from_be_bytes(self.head) {
            0 => Err(Refusal::new(Code::FrameTooLarge, "a frame of length 0")),
            length if length > self.limit => {
                let limit = self.limit;
                Err(Refusal::new(Code::FrameTooLarge, format!("a frame of {length} bytes; {limit} is the limit")))
            }
            length => {
                self.expected = usize::try_from(length).ok();
                Ok(self.expected)
            }
        }
    }

    /// Grows by doubling, but never beyond the frame's own length.
    fn keep(&mut self, part: &[u8], expected: usize) {
        let needed = self.body.len() + part.len();
        if needed > self.body.capacity() {
            let wanted = needed.max(self.body.capacity() * 2).min(expected);
            self.body.reserve_exact(wanted - self.body.len());
        }
        self.body.extend_from_slice(part);
    }
}
