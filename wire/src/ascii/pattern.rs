//! Readers whose line is whatever somebody configured (RF IDeas pcProx, many others): the same form is written in
//! the settings. There is no default, for a wrong guess gives wrong cards silently.
//!
//! # The pattern language
//! A pattern describes the whole line. Outside braces every character stands for itself, but a blank stands for one
//! or more blanks. In braces stands a field, optionally with its length in characters: `{number}`, `{number,5}`,
//! `{number,1-5}`.
//!
//! | field | takes | gives |
//! |---|---|---|
//! | `facility`, `number` | decimal digits, at most 4294967295 | the two halves of a printed card number |
//! | `uid` | hexadecimal digits, an even count, at most 32 | the identifier's bytes |
//! | `decimal4`, `decimal5`, `decimal7` | decimal digits | an identifier of that many bytes, big-endian |
//! | `skip` | anything up to the next character of the pattern that stands for itself | nothing |
//!
//! A field takes as many characters as it can, up to its length; nothing is ever given back, so neighbours without a
//! separator need lengths: `{facility,3}{number,5}`. A pattern gives exactly one identifier: `uid`, one `decimalN`,
//! or both `facility` and `number`.

use thiserror::Error;

use super::reading::{Identifier, Reading, Rejection, hex};

/// Longest pattern, in bytes.
const PATTERN_MAX_BYTES: usize = 200;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A brace is missing its partner.
    #[error("a brace is not closed, or closes nothing")]
    Brace,
    /// Not the name of a field.
    #[error("`{0}` is not a field: use facility, number, uid, decimal4, decimal5, decimal7 or skip")]
    Field(String),
    /// A length that is not `N` or `N-M`.
    #[error("`{0}` is not a length: write 5 or 1-5, at most 128")]
    Length(String),
    /// No identifier, or more than one.
    #[error("a pattern must give one identifier: uid, or decimal4/5/7, or facility and number")]
    Identifier,
    /// Longer than 200 bytes, or not ASCII.
    #[error("a pattern has at most 200 characters, all of them ASCII")]
    Text,
}

/// A compiled pattern; see the module's text for the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(u8),
    Blanks,
    Field { what: What, min: usize, max: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Facility,
    Number,
    Uid,
    Decimal(u8),
    Skip,
}

impl Pattern {
    /// Compiles a pattern.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_MAX_BYTES || !text.is_ascii() {
            return Err(PatternError::Text);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = match first {
                '{' => {
                    let (field, after) = rest.get(1..).and_then(|r| r.split_once('}')).ok_or(PatternError::Brace)?;
                    parts.push(field_part(field)?);
                    after
                }
                '}' => return Err(PatternError::Brace),
                ' ' => {
                    parts.push(Part::Blanks);
                    rest.trim_start_matches(' ')
                }
                other => {
                    parts.push(Part::Literal(u8::try_from(other).map_err(|_| PatternError::Text)?));
                    rest.get(1..).unwrap_or_default()
                }
            };
        }
        let count = |wanted: fn(What) -> bool| {
            parts.iter().filter(|part| matches!(part, Part::Field { what, .. } if wanted(*what))).count()
        };
        let whole = count(|what| matches!(what, What::Uid | What::Decimal(_)));
        let halves = (count(|what| what == What::Facility), count(|what| what == What::Number));
        if !matches!((whole, halves), (1, (0, 0)) | (0, (1, 1))) {
            return Err(PatternError::Identifier);
        }
        Ok(Self(parts))
    }

    /// Reads one line.
    pub fn parse(&self, line: &[u8]) -> Result<Reading, Rejection> {
        let mut rest = line;
        let (mut facility, mut number, mut whole) = (None, None, None);
        for (place, part) in self.0.iter().enumerate() {
            match part {
                Part::Literal(byte) => rest = rest.strip_prefix(&[*byte]).ok_or(Rejection::Form)?,
                Part::Blanks => {
                    let trimmed = rest.trim_ascii_start();
                    if trimmed.len() == rest.len() {
                        return Err(Rejection::Form);
                    }
                    rest = trimmed;
                }
                Part::Field { what, min, max } => {
                    let fits = |byte: &u8| match what {
                        What::Facility | What::Number | What::Decimal(_) => byte.is_ascii_digit(),
                        What::Uid => byte.is_ascii_hexdigit(),
                        What::Skip => match self.0.get(place + 1) {
                            Some(Part::Literal(stop)) => byte != stop,
                            Some(Part::Blanks) => *byte != b' ',
                            _ => true,
                        },
                    };
                    let len = rest.iter().take(*max).take_while(|byte| fits(byte)).count();
                    if len < *min {
                        return Err(Rejection::Form);
                    }
                    let (field, after) = rest.split_at(len);
                    rest = after;
                    match what {
                        What::Facility => facility = Some(decimal(field)?),
                        What::Number => number = Some(decimal(field)?),
                        What::Uid => {
                            let (bytes, len) = hex(field).ok_or(Rejection::Form)?;
                            whole = bytes.get(..len).and_then(Identifier::from_bytes);
                        }
                        What::Decimal(size) => whole = Some(decimal_identifier(field, *size)?),
                        What::Skip => {}
                    }
                }
            }
        }
        if !rest.is_empty() {
            return Err(Rejection::Form);
        }
        let identifier = match (whole, facility, number) {
            (Some(whole), _, _) => whole,
            (None, Some(facility), Some(number)) => Identifier::from_facility_number(facility, number),
            _ => return Err(Rejection::Form),
        };
        Ok(Reading { technology: "card".into(), identifier })
    }
}

fn field_part(text: &str) -> Result<Part, PatternError> {
    let (name, length) = text.split_once(',').map_or((text, None), |(name, length)| (name, Some(length)));
    let what = match name {
        "facility" => What::Facility,
        "number" => What::Number,
        "uid" => What::Uid,
        "decimal4" => What::Decimal(4),
        "decimal5" => What::Decimal(5),
        "decimal7" => What::Decimal(7),
        "skip" => What::Skip,
        _ => return Err(PatternError::Field(name.into())),
    };
    let (min, max) = match length {
        None => (usize::from(what != What::Skip), super::LINE_MAX_BYTES),
        Some(length) => {
            let bad = || PatternError::Length(length.into());
            let (min, max) = length.split_once('-').unwrap_or((length, length));
            let (min, max) = (min.parse().map_err(|_| bad())?, max.parse().map_err(|_| bad())?);
            if min > max || max == 0 || max > super::LINE_MAX_BYTES {
                return Err(bad());
            }
            (min, max)
        }
    };
    Ok(Part::Field { what, min, max })
}

fn decimal(digits: &[u8]) -> Result<u32, Rejection> {
    digits
        .iter()
        .try_fold(0_u32, |value, digit| value.checked_mul(10)?.checked_add(u32::from(digit.wrapping_sub(b'0'))))
        .ok_or(Rejection::Range)
}

fn decimal_identifier(digits: &[u8], size: u8) -> Result<Identifier, Rejection> {
    let value = digits
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))))
        .ok_or(Rejection::Range)?;
    let bytes = value.to_be_bytes();
    let (above, own) = bytes.split_at(bytes.len().saturating_sub(usize::from(size)));
    if above.iter().any(|byte| *byte != 0) {
        return Err(Rejection::Range);
    }
    Identifier::from_bytes(own).ok_or(Rejection::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, line: &str) -> Result<Identifier, Rejection> {
        Pattern::new(pattern).unwrap().parse(line.as_bytes()).map(|reading| reading.identifier)
    }

    #[test]
    fn facility_and_number_with_any_separator() {
        for (pattern, line) in [
            ("{facility}:{number}", "126:58404"),
            ("{facility,3}{number,5}", "12658404"),
            ("ID {facility} - {number}", "ID   126 -  58404"),
            ("{skip};{facility},{number}", "door 7;126,58404"),
        ] {
            assert_eq!(read(pattern, line).unwrap().facility_number(), Some((126, 58404)), "{pattern}");
        }
    }

    #[test]
    fn identifiers_in_hexadecimal_and_decimal() {
        assert_eq!(read("{uid}", "04a1B2c3d4e5f6").unwrap().bytes(), [0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]);
        assert_eq!(read("{decimal4}", "0287454020").unwrap().bytes(), [0x11, 0x22, 0x33, 0x44]);
        assert_eq!(read("{decimal5}", "1099511627775").unwrap().bytes(), [0xFF; 5]);
        assert_eq!(read("{uid,8}", "11223344").unwrap().bits(), 32);
    }

    #[test]
    fn what_does_not_fit_is_rejected() {
        for (pattern, line, why) in [
            ("{facility}:{number}", "126;58404", Rejection::Form),
            ("{facility}:{number}", "126:58404x", Rejection::Form),
            ("{facility}:{number}", ":58404", Rejection::Form),
            ("{facility}:{number}", "126:4294967296", Rejection::Range),
            ("{uid}", "112", Rejection::Form),
            ("{uid}", "", Rejection::Form),
            ("{uid}", "112233445566778899aabbccddeeff0011", Rejection::Form),
            ("{decimal4}", "4294967296", Rejection::Range),
            ("{decimal7}", "99999999999999999999999", Rejection::Range),
            ("{uid,8}", "112233", Rejection::Form),
        ] {
            assert_eq!(read(pattern, line), Err(why), "{pattern} {line}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_work_is_refused_with_its_reason() {
        for (pattern, why) in [
            ("", PatternError::Identifier),
            ("{facility}", PatternError::Identifier),
            ("{uid}{number}", PatternError::Identifier),
            ("{uid", PatternError::Brace),
            ("uid}", PatternError::Brace),
            ("{card}", PatternError::Field("card".into())),
            ("{uid,x}", PatternError::Length("x".into())),
            ("{uid,9-3}", PatternError::Length("9-3".into())),
            ("{uid}é", PatternError::Text),
        ] {
            assert_eq!(Pattern::new(pattern), Err(why), "{pattern}");
        }
    }
}
