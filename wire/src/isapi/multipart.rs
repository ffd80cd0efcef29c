//! Parts of a multipart body: of a push (finite) or of the alert stream (endless). Sans-IO: bytes in, parts out.
//!
//! Memory is bounded: headers of a part by [`HEADERS_MAX_BYTES`], a text by [`PART_MAX_BYTES`]; pictures and longer texts
//! are skipped byte by byte and never kept. Dialects that are known: a boundary announced with dashes before it, line
//! ends without carriage return, parts without a length. Such a part would end only with the next one (at the next
//! heartbeat, ten seconds later), so a text that is complete in itself ends it at once.

use super::form::Form;

/// Longest text part that is kept: real events have 2 KB.
pub const PART_MAX_BYTES: usize = 64 * 1024;
/// Longest headers of one part.
pub const HEADERS_MAX_BYTES: usize = 4096;
/// Longest boundary (RFC 2046 allows 70 characters).
pub const BOUNDARY_MAX_BYTES: usize = 76;
/// How often a part without a length is tried for being complete: bounds the work that a slow sender can cause.
const TRIES_MAX: u8 = 32;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A text, most often XML or JSON.
    Text(Vec<u8>),
    /// A picture or other matter that is not read.
    Skipped,
    /// A text longer than [`PART_MAX_BYTES`]: lost.
    TooLong,
    /// Headers longer than [`HEADERS_MAX_BYTES`]: lost.
    BadHeaders,
}

/// A reader of parts.
pub struct Multipart {
    /// `--` and the boundary without its own dashes.
    mark: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
    /// Bytes of the buffer that were searched for the mark already.
    searched: usize,
    tries: u8,
}

enum State {
    /// Before the first boundary, or behind a part that was complete early.
    Between,
    Headers,
    /// A text or something to skip, with as many bytes to come as announced.
    Counted {
        left: usize,
        text: Option<Vec<u8>>,
    },
    /// The same up to the next boundary; what was skipped is not in the buffer any more.
    Uncounted {
        text: bool,
        too_long: bool,
    },
    End,
}

impl Multipart {
    /// For a body of this content type; `None` if it is not a multipart one.
    pub fn new(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().get(..10)?.eq_ignore_ascii_case("multipart/") {
            return None;
        }
        let boundary = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim().trim_matches('"'))
        })?;
        let plain = boundary.trim_start_matches('-');
        if plain.is_empty() || plain.len() > BOUNDARY_MAX_BYTES {
            return None;
        }
        let mark = format!("--{plain}").into_bytes();
        Some(Self { mark, buffer: Vec::new(), state: State::Between, searched: 0, tries: 0 })
    }

    /// Takes bytes; ask [`Multipart::poll`] for parts afterwards. Feed at most what a socket read gives at once.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::End) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next part that is complete.
    pub fn poll(&mut self) -> Option<Part> {
        loop {
            match std::mem::replace(&mut self.state, State::End) {
                State::End => return None,
                State::Between => match self.find_mark() {
                    Some((_, after)) => self.after_mark(after),
                    None => {
                        self.keep_tail();
                        self.state = State::Between;
                        return None;
                    }
                },
                State::Headers => match self.headers() {
                    Step::Wait => return None,
                    Step::Part(part) => return Some(part),
                    Step::Go => {}
                },
                State::Counted { left, mut text } => {
                    let take = left.min(self.buffer.len());
                    let taken = self.buffer.drain(..take);
                    match &mut text {
                        Some(text) => text.extend(taken),
                        None => drop(taken),
                    }
                    if take < left {
                        self.state = State::Counted { left: left - take, text };
                        return None;
                    }
                    self.searched = 0;
                    self.state = State::Between;
                    return Some(text.map_or(Part::Skipped, Part::Text));
                }
                State::Uncounted { text, too_long } => return self.uncounted(text, too_long),
            }
        }
    }

    /// The body has ended: a last part without a closing boundary is complete now.
    pub fn finish(&mut self) -> Option<Part> {
        match std::mem::replace(&mut self.state, State::End) {
            State::Uncounted { text: true, too_long: false } => {
                let body = trimmed(&self.buffer);
                (!body.is_empty()).then(|| Part::Text(body.to_vec()))
            }
            _ => None,
        }
    }

    fn headers(&mut self) -> Step {
        // The line end of the boundary's own line comes first; then lines up to an empty one.
        let Some((end, after)) = end_of_headers(&self.buffer) else {
            if self.buffer.len() > HEADERS_MAX_BYTES {
                self.state = State::Between;
                self.searched = 0;
                return Step::Part(Part::BadHeaders);
            }
            self.state = State::Headers;
            return Step::Wait;
        };
        let headers = String::from_utf8_lossy(&self.buffer[..end.min(HEADERS_MAX_BYTES)]).into_owned();
        let header = |wanted: &str| {
            headers.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_ascii_lowercase())
            })
        };
        let text = !header("content-type").is_some_and(|kind| {
            kind.starts_with("image/") || kind.starts_with("video/") || kind.starts_with("application/octet-stream")
        });
        let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
        self.buffer.drain(..after);
        self.searched = 0;
        self.tries = 0;
        self.state = match length {
            Some(left) if text && left <= PART_MAX_BYTES => State::Counted { left, text: Some(Vec::new()) },
            Some(left) if text => {
                self.state = State::Counted { left, text: None };
                return Step::Part(Part::TooLong);
            }
            Some(left) => State::Counted { left, text: None },
            None => State::Uncounted { text, too_long: false },
        };
        Step::Go
    }

    fn uncounted(&mut self, text: bool, too_long: bool) -> Option<Part> {
        if let Some((before, after)) = self.find_mark() {
            let body = trimmed(&self.buffer[..before]).to_vec();
            self.after_mark(after);
            return Some(match (text, too_long || body.len() > PART_MAX_BYTES) {
                (false, _) => Part::Skipped,
                (true, true) => Part::TooLong,
                (true, false) => Part::Text(body),
            });
        }
        if !text || too_long {
            self.keep_tail();
        } else if self.buffer.len() > PART_MAX_BYTES + self.mark.len() {
            self.keep_tail();
            self.state = State::Uncounted { text, too_long: true };
            return None;
        } else if self.tries < TRIES_MAX && matches!(self.buffer.trim_ascii_end().last(), Some(b'}' | b'>')) {
            self.tries += 1;
            let body = trimmed(&self.buffer);
            if Form::read(body).is_ok() {
                let body = body.to_vec();
                self.buffer.clear();
                self.searched = 0;
                self.state = State::Between;
                return Some(Part::Text(body));
            }
        }
        self.state = State::Uncounted { text, too_long };
        None
    }

    fn after_mark(&mut self, after: usize) {
        self.buffer.drain(..after);
        self.searched = 0;
        // `--` behind the mark closes a body; the endless stream has none, and a new part is harmless.
        self.state = State::Headers;
    }

    /// Where the mark begins (with dashes that belong to it) and ends, if it stands at the beginning of a line.
    fn find_mark(&mut self) -> Option<(usize, usize)> {
        let mut from = self.searched;
        while let Some(at) = find(&self.buffer[from..], &self.mark).map(|at| at + from) {
            let dashes = self.buffer[..at].iter().rev().take_while(|byte| **byte == b'-').count();
            let start = at - dashes;
            if start == 0 || self.buffer[start - 1] == b'\n' {
                return Some((start, at + self.mark.len()));
            }
            from = at + 1;
        }
        // A line of dashes and the mark may have begun already.
        self.searched = self.buffer.len().saturating_sub(self.mark.len());
        None
    }

    /// Forgets all but the end, in which a mark may have begun.
    fn keep_tail(&mut self) {
        let keep = self.mark.len() + BOUNDARY_MAX_BYTES;
        if self.buffer.len() > keep {
            let cut = self.buffer.len() - keep;
            self.buffer.drain(..cut);
        }
        self.searched = 0;
    }
}

impl std::fmt::Debug for Multipart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Multipart({} bytes wait)", self.buffer.len())
    }
}

enum Step {
    Wait,
    Go,
    Part(Part),
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Where headers end and their body begins.
fn end_of_headers(bytes: &[u8]) -> Option<(usize, usize)> {
    let with = find(bytes, b"\r\n\r\n").map(|at| (at, at + 4));
    let without = find(bytes, b"\n\n").map(|at| (at, at + 2));
    match (with, without) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"--MIME_boundary\r\nContent-Type: application/json; charset=\"UTF-8\"\r\nContent-Length: 7\r\n\r\n{\"a\":1}\r\n\
--MIME_boundary\r\nContent-Disposition: form-data; name=\"Picture\"\r\nContent-Type: image/jpeg\r\nContent-Length: 30\r\n\r\n\xff\xd8--MIME_boundary\r\n0123456789\x00\r\n\
--MIME_boundary\nContent-Type: application/xml\n\n<a>\n--b</a>\n\
--MIME_boundary\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8 no length \xff\xd9\r\n\
--MIME_boundary\r\nContent-Type: text/plain\r\n\r\nplain words\r\n--MIME_boundary--\r\n";

    fn parts(kind: &str, bytes: &[u8], chunk: usize) -> Vec<Part> {
        let mut parser = Multipart::new(kind).unwrap();
        let mut parts = Vec::new();
        for piece in bytes.chunks(chunk) {
            parser.feed(piece);
            while let Some(part) = parser.poll() {
                parts.push(part);
            }
        }
        parts.extend(parser.finish());
        parts
    }

    #[test]
    fn parts_come_out_the_same_however_the_bytes_are_cut() {
        let whole = [
            Part::Text(b"{\"a\":1}".to_vec()),
            Part::Skipped,
            Part::Text(b"<a>\n--b</a>".to_vec()),
            Part::Skipped,
            Part::Text(b"plain words".to_vec()),
        ];
        for chunk in 1..STREAM.len() {
            for kind in ["multipart/mixed; boundary=MIME_boundary", "Multipart/Form-Data;boundary=\"MIME_boundary\""] {
                assert_eq!(parts(kind, STREAM, chunk), whole, "cut at every {chunk} bytes");
            }
        }
    }

    #[test]
    fn a_boundary_announced_with_its_dashes_is_found_with_or_without_them() {
        let kind = "multipart/mixed; boundary=--MIME_boundary";
        assert_eq!(parts(kind, STREAM, 17).len(), 5);
        let dashed = String::from_utf8_lossy(STREAM).replace("--MIME", "----MIME").into_bytes();
        assert_eq!(parts(kind, &dashed, 1000).len(), parts(kind, &dashed, 1).len());
    }

    #[test]
    fn a_text_without_a_length_is_there_before_the_next_boundary() {
        let mut parser = Multipart::new("multipart/mixed; boundary=b").unwrap();
        parser.feed(b"--b\r\nContent-Type: application/json\r\n\r\n{\"a\":{\"b\":1}");
        assert_eq!(parser.poll(), None);
        parser.feed(b"}\r\n");
        assert_eq!(parser.poll(), Some(Part::Text(b"{\"a\":{\"b\":1}}".to_vec())));
        parser.feed(b"--b\r\n\r\n<x/>");
        assert_eq!(parser.poll(), Some(Part::Text(b"<x/>".to_vec())));
    }

    #[test]
    fn memory_stays_bounded_whatever_comes() {
        let mut parser = Multipart::new("multipart/mixed; boundary=b").unwrap();
        parser.feed(b"--b\r\nContent-Type: application/json\r\n\r\n");
        for _ in 0..100 {
            parser.feed(&[b'{'; 10_000]);
            assert_eq!(parser.poll(), None);
            assert!(parser.buffer.len() < 2 * PART_MAX_BYTES);
        }
        parser.feed(b"\r\n--b\r\nContent-Length: 99999999999\r\n\r\n");
        assert_eq!(parser.poll(), Some(Part::TooLong));
        assert_eq!(parser.poll(), Some(Part::TooLong));
        parser.feed(&[0; 100_000]);
        assert_eq!(parser.poll(), None);
        assert!(parser.buffer.is_empty());
        let mut parser = Multipart::new("multipart/mixed; boundary=b").unwrap();
        parser.feed(b"--b\r\n");
        parser.feed(&[b'x'; 5000]);
        assert_eq!(parser.poll(), Some(Part::BadHeaders));
        for bad in [
            "multipart/mixed",
            "text/plain; boundary=b",
            "multipart/mixed; boundary=",
            "multipart/mixed; boundary=----",
        ] {
            assert!(Multipart::new(bad).is_none(), "{bad}");
        }
    }
}
