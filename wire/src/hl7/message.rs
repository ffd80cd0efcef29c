//! A message: its text, its segments, and access to fields without copying. A field is cut into repetitions, components
//! and subcomponents only when somebody asks, so a message takes no more memory than its text.

use std::fmt;
use std::ops::Range;

use super::charset::Charset;
use super::delimiters::Delimiters;
use super::error::{Hl7Error, Place};
use super::escape::unescape;
use super::value::Value;
use super::{FIELDS_MAX, SEGMENTS_MAX};

/// A message that could be cut into segments.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    text: String,
    segments: Vec<Range<usize>>,
    delimiters: Delimiters,
    charset: Charset,
}

impl Message {
    /// Reads a message of at most `max` bytes. Segments end with CR; LF and CR LF are taken too, as are empty lines and
    /// a byte order mark. `unsaid` is the charset if MSH-18 is empty: the standard says ASCII, peers mean others.
    ///
    /// # Errors
    /// See [`Hl7Error`].
    pub fn parse(bytes: &[u8], max: usize, unsaid: Charset) -> Result<Self, Hl7Error> {
        if bytes.len() > max {
            return Err(Hl7Error::TooLong(max));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let bytes = bytes.trim_ascii_start();
        let delimiters = Delimiters::read(bytes)?;
        let charset = charset_of(bytes, &delimiters, unsaid)?;
        Self::cut(charset.decode(bytes)?, delimiters, charset)
    }

    /// Reads a message in a charset that is known, whatever MSH-18 says: answers, whose codes are ASCII and whose words
    /// are not read.
    ///
    /// # Errors
    /// See [`Hl7Error`].
    pub fn parse_in(bytes: &[u8], max: usize, charset: Charset) -> Result<Self, Hl7Error> {
        if bytes.len() > max {
            return Err(Hl7Error::TooLong(max));
        }
        let bytes = bytes.trim_ascii_start();
        Self::cut(charset.decode(bytes)?, Delimiters::read(bytes)?, charset)
    }

    /// Its first segment alone, however broken the rest and its charset are: what an answer needs to say to whom it
    /// answers. `None` if not even that can be read.
    pub fn salvage(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let bytes = bytes.get(..bytes.len().min(super::MESSAGE_MAX_BYTES))?;
        let delimiters = Delimiters::read(bytes).ok()?;
        let first = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
        let charset = charset_of(first, &delimiters, Charset::Utf8).unwrap_or(Charset::Latin1);
        // Latin-1 has every byte, and no byte of another charset becomes a delimiter in it.
        let text = charset.decode(first).or_else(|_| Charset::Latin1.decode(first)).ok()?;
        Self::cut(text, delimiters, Charset::Ascii).ok()
    }

    fn cut(text: String, delimiters: Delimiters, charset: Charset) -> Result<Self, Hl7Error> {
        let mut segments = Vec::new();
        let mut start = 0;
        for (at, line) in text.split(['\r', '\n']).enumerate() {
            let range = start..start + line.len();
            start += line.len() + 1;
            if line.trim().is_empty() {
                continue;
            }
            if segments.len() == SEGMENTS_MAX {
                return Err(Hl7Error::TooManySegments);
            }
            let (name, rest) = (line.as_bytes().get(..3).unwrap_or_default(), line.get(3..).unwrap_or_default());
            let named = name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            if name.len() != 3 || !named || !(rest.is_empty() || rest.starts_with(delimiters.field)) {
                return Err(Hl7Error::BadSegment(at + 1));
            }
            if rest.matches(delimiters.field).count() > FIELDS_MAX {
                return Err(Hl7Error::TooManyFields(segments.len() + 1));
            }
            segments.push(range);
        }
        Ok(Self { text, segments, delimiters, charset })
    }

    /// The delimiters that it names.
    pub const fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// The charset that it came in.
    pub const fn charset(&self) -> Charset {
        self.charset
    }

    /// Its segments in order.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> {
        self.segments.iter().filter_map(|range| Some(Segment { text: self.text.get(range.clone())?, message: self }))
    }

    /// The first segment of a name.
    pub fn segment(&self, name: &str) -> Option<Segment<'_>> {
        self.segments().find(|segment| segment.name() == name)
    }

    /// The first segment of a name, which has to be there.
    ///
    /// # Errors
    /// [`Hl7Error::Missing`].
    pub fn must(&self, name: &'static str) -> Result<Segment<'_>, Hl7Error> {
        self.segment(name).ok_or(Hl7Error::Missing(Place { segment: name, sequence: 0, field: 0 }))
    }

    /// A message that begins anew at each segment `first`: what stands before the first of them is in no part.
    pub fn groups(&self, first: &str) -> Vec<Vec<Segment<'_>>> {
        let mut groups: Vec<Vec<Segment<'_>>> = Vec::new();
        for segment in self.segments() {
            if segment.name() == first {
                groups.push(vec![segment]);
            } else if let Some(group) = groups.last_mut() {
                group.push(segment);
            }
        }
        groups
    }

    /// The text after the first segment, as it came but for its charset: what the message says, without who sent it
    /// when under which number.
    pub fn body(&self) -> &str {
        self.segments.get(1).and_then(|second| self.text.get(second.start..)).unwrap_or_default()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.segments().map(|segment| segment.name()).take(20).collect();
        write!(f, "Message({} segments: {})", self.segments.len(), names.join(" "))
    }
}

/// MSH-18 of bytes that are not decoded yet.
fn charset_of(bytes: &[u8], delimiters: &Delimiters, unsaid: Charset) -> Result<Charset, Hl7Error> {
    let header = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let field = u8::try_from(delimiters.field).map_err(|_| Hl7Error::BadDelimiters)?;
    let named = header.split(|byte| *byte == field).nth(17).unwrap_or_default();
    // The first repetition is the charset of the text; others are only reached by escapes that nobody writes.
    let repetition = delimiters.repetition.and_then(|sign| u8::try_from(sign).ok());
    let first = named.split(|byte| Some(*byte) == repetition).next().unwrap_or_default();
    let name = std::str::from_utf8(first).map_err(|_| Hl7Error::UnknownCharset)?.trim();
    match name {
        "" | "\"\"" => Ok(unsaid),
        name => Charset::parse(name).ok_or(Hl7Error::UnknownCharset),
    }
}

/// A segment.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    text: &'a str,
    message: &'a Message,
}

impl<'a> Segment<'a> {
    /// Its name: `PID`.
    pub fn name(&self) -> &'a str {
        self.text.get(..3).unwrap_or_default()
    }

    /// The raw text of a field, from 1; `None` if the segment ends before it. MSH-1 is the separator itself.
    pub fn raw(&self, field: usize) -> Option<&'a str> {
        let delimiters = &self.message.delimiters;
        let in_header = self.name() == "MSH";
        match field {
            0 => None,
            1 if in_header => self.text.get(3..4),
            field => self.text.split(delimiters.field).nth(field - usize::from(in_header)),
        }
    }

    /// The repetitions of a field, in order; none if it is not there. One that is empty is there.
    pub fn repetitions(&self, field: usize) -> impl Iterator<Item = Repetition<'a>> + use<'a> {
        let message = self.message;
        let whole = self.name() == "MSH" && field <= 2;
        let raw = self.raw(field);
        let sign = message.delimiters.repetition.filter(|_| !whole);
        // Without a sign for repetitions there is one: no text holds a CR.
        raw.into_iter()
            .flat_map(move |raw| raw.split(sign.unwrap_or('\r')))
            .map(move |text| Repetition { text, message })
    }

    /// The first repetition of a field.
    pub fn field(&self, field: usize) -> Repetition<'a> {
        let empty = Repetition { text: "", message: self.message };
        self.repetitions(field).next().unwrap_or(empty)
    }

    /// What stands in the first component of the first repetition of a field, which for simple fields is all of it.
    pub fn value(&self, field: usize) -> Value<'a> {
        if self.raw(field).is_none() { Value::Absent } else { self.field(field).component(1) }
    }

    /// [`Value::text`] of [`Segment::value`].
    pub fn text(&self, field: usize) -> Option<String> {
        self.value(field).text().map(str::to_owned)
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({})", self.name())
    }
}

/// One repetition of a field.
#[derive(Clone, Copy)]
pub struct Repetition<'a> {
    text: &'a str,
    message: &'a Message,
}

impl<'a> Repetition<'a> {
    /// A component from 1, its first subcomponent.
    pub fn component(&self, number: usize) -> Value<'a> {
        self.subcomponent(number, 1)
    }

    /// A subcomponent of a component, both from 1.
    pub fn subcomponent(&self, component: usize, subcomponent: usize) -> Value<'a> {
        let delimiters = &self.message.delimiters;
        let cut = |text: &'a str, sign: char, number: usize| text.split(sign).nth(number.checked_sub(1)?);
        let found = cut(self.text, delimiters.component, component)
            .and_then(|text| cut(text, delimiters.subcomponent.unwrap_or('\r'), subcomponent));
        match found {
            None => Value::Absent,
            Some("") => Value::Empty,
            Some("\"\"") => Value::Delete,
            Some(text) => Value::Text(unescape(text, delimiters, self.message.charset)),
        }
    }

    /// [`Value::text`] of a component.
    pub fn text(&self, component: usize) -> Option<String> {
        self.component(component).text().map(str::to_owned)
    }

    /// Whether all of it says "delete".
    pub fn is_delete(&self) -> bool {
        self.text == "\"\""
    }

    /// Whether nothing stands in it.
    pub fn is_empty(&self) -> bool {
        let signs = [Some(self.message.delimiters.component), self.message.delimiters.subcomponent];
        self.text.chars().all(|letter| letter.is_whitespace() || signs.contains(&Some(letter)))
    }
}

impl fmt::Debug for Repetition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repetition({} bytes)", self.text.len())
    }
}
