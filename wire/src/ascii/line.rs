//! Lines from bytes. Any run of CR and LF ends a line (readers send `\r`, `\n`, `\r\n` and even `\n\r`); empty lines
//! do not exist. A line that grows too long is reported once and dropped up to its end.

/// Longest line, in bytes without its end. The longest known reader line has 64.
pub const LINE_MAX_BYTES: usize = 128;

/// A line was longer than [`LINE_MAX_BYTES`] and has been dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Cuts a byte stream into lines, in constant memory.
pub struct LineReader {
    line: [u8; LINE_MAX_BYTES],
    len: usize,
    dropping: bool,
}

impl Default for LineReader {
    fn default() -> Self {
        Self { line: [0; LINE_MAX_BYTES], len: 0, dropping: false }
    }
}

impl std::fmt::Debug for LineReader {
    /// Without the bytes: a half line may hold a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineReader").field("len", &self.len).field("dropping", &self.dropping).finish()
    }
}

impl LineReader {
    /// An empty reader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one byte; returns the line that it ended, if it ended one. The line is valid until the next call.
    pub fn push(&mut self, byte: u8) -> Option<Result<&[u8], TooLong>> {
        if matches!(byte, b'\r' | b'\n') {
            let len = std::mem::take(&mut self.len);
            return if std::mem::take(&mut self.dropping) {
                Some(Err(TooLong))
            } else if len > 0 {
                self.line.get(..len).map(Ok)
            } else {
                None
            };
        }
        match self.line.get_mut(self.len) {
            Some(place) if !self.dropping => {
                *place = byte;
                self.len += 1;
            }
            _ => {
                self.dropping = true;
                self.len = 0;
            }
        }
        None
    }

    /// Forgets an unfinished line, for example before a question is sent.
    pub fn clear(&mut self) {
        self.len = 0;
        self.dropping = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Result<String, TooLong>> {
        let mut reader = LineReader::new();
        let mut out = Vec::new();
        for byte in bytes {
            if let Some(line) = reader.push(*byte) {
                out.push(line.map(|line| String::from_utf8_lossy(line).into_owned()));
            }
        }
        out
    }

    #[test]
    fn any_run_of_line_ends_ends_one_line() {
        for end in ["\r", "\n", "\r\n", "\n\r", "\r\n\r\n"] {
            assert_eq!(
                lines(format!("{end}one{end}two{end}three").as_bytes()),
                [Ok("one".into()), Ok("two".into())],
                "{end:?}"
            );
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_kept_and_a_longer_one_dropped_to_its_end() {
        let longest = "x".repeat(LINE_MAX_BYTES);
        assert_eq!(lines(format!("{longest}\r\nok\r").as_bytes()), [Ok(longest.clone()), Ok("ok".into())]);
        assert_eq!(lines(format!("{longest}y\r\nok\r").as_bytes()), [Err(TooLong), Ok("ok".into())]);
        assert_eq!(lines(format!("{longest}{longest}{longest}\rok\r").as_bytes()), [Err(TooLong), Ok("ok".into())]);
    }

    #[test]
    fn half_a_line_is_not_shown_by_debug() {
        let mut reader = LineReader::new();
        b"Em-Marine[5500]".iter().for_each(|byte| assert!(reader.push(*byte).is_none()));
        assert_eq!(format!("{reader:?}"), "LineReader { len: 15, dropping: false }");
    }
}
