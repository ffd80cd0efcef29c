//! Writing messages: segments field by field, everything escaped.

use super::charset::Charset;
use super::delimiters::Delimiters;
use super::error::Hl7Error;
use super::escape::escape;

/// A segment being written. Fields may be set in any order; what is not set stays empty.
#[derive(Clone)]
pub struct Line {
    name: &'static str,
    fields: Vec<String>,
    delimiters: Delimiters,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({}, {} fields)", self.name, self.fields.len())
    }
}

impl Line {
    /// An empty segment with the usual delimiters.
    pub fn new(name: &'static str) -> Self {
        Self::with(name, Delimiters::default())
    }

    /// An empty segment with other delimiters.
    pub const fn with(name: &'static str, delimiters: Delimiters) -> Self {
        Self { name, fields: Vec::new(), delimiters }
    }

    /// Sets a field from 1 to a text. In MSH, fields 1 and 2 are not set: the delimiters stand there.
    #[must_use]
    pub fn put(self, field: usize, text: &str) -> Self {
        self.components(field, &[text])
    }

    /// Sets a field to components; empty ones at the end are left out.
    #[must_use]
    pub fn components(mut self, field: usize, parts: &[&str]) -> Self {
        let text = self.joined(parts.iter().map(|part| escape(part, &self.delimiters)));
        self.set(field, text);
        self
    }

    /// Sets a field to components of subcomponents.
    #[must_use]
    pub fn parts(mut self, field: usize, parts: &[&[&str]]) -> Self {
        let inner = self.delimiters.subcomponent.unwrap_or(' ');
        let text = self.joined(parts.iter().map(|parts| {
            let parts = parts.iter().map(|part| escape(part, &self.delimiters));
            trimmed(parts.collect::<Vec<_>>().join(&inner.to_string()), inner)
        }));
        self.set(field, text);
        self
    }

    /// Adds a repetition of components to a field.
    #[must_use]
    pub fn repeat(mut self, field: usize, parts: &[&str]) -> Self {
        let text = self.joined(parts.iter().map(|part| escape(part, &self.delimiters)));
        let before = field.checked_sub(1).and_then(|at| self.fields.get(at)).filter(|before| !before.is_empty());
        let text = match before {
            Some(before) => format!("{before}{}{text}", self.delimiters.repetition.unwrap_or(' ')),
            None => text,
        };
        self.set(field, text);
        self
    }

    /// Says of a field that what is known is deleted.
    #[must_use]
    pub fn delete(mut self, field: usize) -> Self {
        self.set(field, "\"\"".to_owned());
        self
    }

    fn joined(&self, parts: impl Iterator<Item = String>) -> String {
        let sign = self.delimiters.component;
        trimmed(parts.collect::<Vec<_>>().join(&sign.to_string()), sign)
    }

    fn set(&mut self, field: usize, text: String) {
        let Some(at) = field.checked_sub(1).filter(|at| *at < super::FIELDS_MAX) else { return };
        if self.fields.len() <= at {
            self.fields.resize(at + 1, String::new());
        }
        if let Some(place) = self.fields.get_mut(at) {
            *place = text;
        }
    }

    /// The segment's text, without CR.
    fn text(&self) -> String {
        let sign = self.delimiters.field;
        let mut text = self.name.to_owned();
        let fields = if self.name == "MSH" {
            text.push(sign);
            text.push_str(&self.delimiters.encoding_characters());
            self.fields.get(2..).unwrap_or_default()
        } else {
            &self.fields
        };
        for field in fields {
            text.push(sign);
            text.push_str(field);
        }
        trimmed(text, sign)
    }
}

/// Without the sign at its end.
fn trimmed(mut text: String, sign: char) -> String {
    text.truncate(text.trim_end_matches(sign).len());
    text
}

/// The bytes of a message of these segments, each ended with CR.
///
/// # Errors
/// [`Hl7Error::CannotWrite`].
pub fn message(lines: &[Line], charset: Charset) -> Result<Vec<u8>, Hl7Error> {
    let text: String = lines.iter().map(|line| line.text() + "\r").collect();
    charset.encode(&text).ok_or(Hl7Error::CannotWrite(charset))
}
