//! The framing of MLLP, sans-IO: 0x0B, the message, 0x1C 0x0D. Several frames in one piece and one frame in many pieces
//! are the same to it; what stands between frames is skipped.

/// Begins a frame.
const START: u8 = 0x0b;
/// Ends the message of a frame; the CR after it is not waited for.
const END: u8 = 0x1c;
/// How much of a message that is too long is kept, in bytes: its first segment, to answer it.
const HEAD_MAX_BYTES: usize = 1024;

/// Puts a message into a frame: one piece, to be written at once.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 3);
    frame.push(START);
    frame.extend_from_slice(message);
    frame.extend_from_slice(&[END, b'\r']);
    frame
}

/// What a stream held.
#[derive(Clone, PartialEq, Eq)]
pub enum Framed {
    /// A message.
    Message(Vec<u8>),
    /// A message of more bytes than are taken; its beginning.
    TooLong(Vec<u8>),
    /// A message that was broken off: another one began before its end.
    BrokenOff,
}

impl std::fmt::Debug for Framed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(bytes) => write!(f, "Message({} bytes)", bytes.len()),
            Self::TooLong(_) => f.write_str("TooLong"),
            Self::BrokenOff => f.write_str("BrokenOff"),
        }
    }
}

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct Framer {
    max: usize,
    state: State,
    skipped: u64,
}

#[derive(Debug)]
enum State {
    Between,
    Inside(Vec<u8>),
    /// Too long: waits for the end.
    Over(Vec<u8>),
}

impl Framer {
    /// Takes messages of at most `max` bytes; it never holds more.
    pub const fn new(max: usize) -> Self {
        Self { max, state: State::Between, skipped: 0 }
    }

    /// Takes from the front of `input` up to the end of the next message and returns it; `None` when all is taken and
    /// more is needed.
    pub fn take(&mut self, input: &mut &[u8]) -> Option<Framed> {
        loop {
            let at = input.iter().position(|byte| matches!(*byte, START | END));
            let (before, sign, after) = match at {
                Some(at) => (&input[..at], Some(input[at]), &input[at + 1..]),
                None => (*input, None, &input[input.len()..]),
            };
            *input = after;
            self.hold(before);
            let sign = sign?;
            let begun = if sign == START { State::Inside(Vec::new()) } else { State::Between };
            match (std::mem::replace(&mut self.state, begun), sign) {
                (State::Between, START) => {}
                (State::Between, _) => self.skipped += 1,
                (State::Inside(message), END) => return Some(Framed::Message(message)),
                (State::Over(head), END) => return Some(Framed::TooLong(head)),
                (State::Inside(_) | State::Over(_), _) => return Some(Framed::BrokenOff),
            }
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Between => {
                self.skipped += bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).count() as u64;
            }
            State::Inside(message) if message.len() + bytes.len() <= self.max => message.extend_from_slice(bytes),
            State::Inside(message) => {
                let room = HEAD_MAX_BYTES.saturating_sub(message.len());
                message.extend_from_slice(&bytes[..bytes.len().min(room)]);
                message.truncate(HEAD_MAX_BYTES);
                message.shrink_to_fit();
                self.state = State::Over(std::mem::take(message));
            }
            State::Over(_) => {}
        }
    }

    /// Bytes that were in no frame, but blanks.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether a message has begun and not ended.
    pub const fn is_inside(&self) -> bool {
        !matches!(self.state, State::Between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(max: usize, bytes: &[u8], piece: usize) -> (Vec<Framed>, u64) {
        let mut framer = Framer::new(max);
        let mut found = Vec::new();
        for mut chunk in bytes.chunks(piece) {
            found.extend(std::iter::from_fn(|| framer.take(&mut chunk)));
            assert!(chunk.is_empty());
        }
        (found, framer.skipped())
    }

    #[test]
    fn frames_come_out_the_same_however_they_are_cut() {
        let mut stream = b"noise\r\n".to_vec();
        stream.extend(frame(b"MSH|one"));
        stream.extend(frame(b"MSH|two"));
        stream.extend(b"\x1c\r");
        stream.extend(b"\x0bMSH|broken");
        stream.extend(frame(b""));
        stream.extend(b"\x0bMSH|without CR\x1c\x0bMSH|tail");
        let want = [
            Framed::Message(b"MSH|one".to_vec()),
            Framed::Message(b"MSH|two".to_vec()),
            Framed::BrokenOff,
            Framed::Message(Vec::new()),
            Framed::Message(b"MSH|without CR".to_vec()),
        ];
        for piece in 1..=stream.len() {
            assert_eq!(all(100, &stream, piece), (want.to_vec(), 6), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_not_kept_and_the_next_one_is_taken() {
        let mut stream = frame(&[b'x'; 5000]);
        stream.extend(frame(b"MSH|next"));
        for piece in [1, 7, 1024, 9000] {
            let (found, _) = all(2000, &stream, piece);
            assert_eq!(found, [Framed::TooLong(vec![b'x'; 1024]), Framed::Message(b"MSH|next".to_vec())]);
        }
        assert_eq!(all(5000, &stream, 3).0.len(), 2);
        let (found, _) = all(10, &frame(b"12345678901"), 1);
        assert_eq!(found, [Framed::TooLong(b"12345678901".to_vec())]);
    }

    proptest::proptest! {
        #[test]
        fn any_stream_is_cut_within_bounds(
            bytes in proptest::collection::vec(proptest::prop_oneof![proptest::num::u8::ANY, proptest::strategy::Just(0x0b), proptest::strategy::Just(0x1c)], 0..600),
            piece in 1_usize..40,
        ) {
            let (found, skipped) = all(64, &bytes, piece);
            proptest::prop_assert_eq!((found.clone(), skipped), all(64, &bytes, 1000));
            for framed in found {
                if let Framed::Message(message) = framed {
                    proptest::prop_assert!(message.len() <= 64);
                }
            }
        }
    }
}
