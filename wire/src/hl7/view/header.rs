//! MSH and EVN: who says what to whom, when, under which number.

use crate::hl7::error::{Hl7Error, Place};
use crate::hl7::message::{Message, Repetition};
use crate::hl7::stamp::Stamp;

/// Longest control id that is taken, in characters; the standard says 20, some count further.
const CONTROL_MAX_CHARS: usize = 199;

/// An application or a facility (data type HD).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party {
    /// Its name where both agree on one.
    pub namespace: String,
    /// Its universal id.
    pub universal: String,
    /// The kind of that: `ISO`, `DNS`, …
    pub kind: String,
}

impl Party {
    /// One that has a name only.
    pub fn named(name: &str) -> Self {
        Self { namespace: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn read(field: Repetition<'_>) -> Self {
        let part = |number| field.text(number).unwrap_or_default();
        Self { namespace: part(1), universal: part(2), kind: part(3) }
    }

    /// Its components.
    pub fn components(&self) -> [&str; 3] {
        [&self.namespace, &self.universal, &self.kind]
    }

    /// Whether it goes by this name: as its namespace, or as its universal id.
    pub fn is(&self, name: &str) -> bool {
        self.namespace == name || (!self.universal.is_empty() && self.universal == name)
    }
}

/// When an acknowledgement is wanted (HL7 table 0155).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckWhen {
    /// Always.
    Always,
    /// Never.
    Never,
    /// When something is wrong.
    Error,
    /// When nothing is wrong.
    Success,
}

impl AckWhen {
    /// As the table has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "AL",
            Self::Never => "NE",
            Self::Error => "ER",
            Self::Success => "SU",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Always, Self::Never, Self::Error, Self::Success].into_iter().find(|when| when.as_str() == text)
    }

    /// Whether one is wanted about something that went well, or did not.
    pub const fn wants(self, good: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Error => !good,
            Self::Success => good,
        }
    }
}

/// What MSH says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// MSH-3.
    pub application: Party,
    /// MSH-4.
    pub facility: Party,
    /// MSH-5.
    pub to_application: Party,
    /// MSH-6.
    pub to_facility: Party,
    /// MSH-7, if it can be read.
    pub at: Option<Stamp>,
    /// MSH-9.1: `ADT`.
    pub code: String,
    /// MSH-9.2: `A04`.
    pub event: String,
    /// MSH-10.
    pub control: String,
    /// MSH-11.1: `P`, `T`, `D`.
    pub processing: String,
    /// MSH-12.1.
    pub version: String,
    /// MSH-15, in enhanced mode.
    pub accept: Option<AckWhen>,
    /// MSH-16, in enhanced mode.
    pub result: Option<AckWhen>,
}

impl Header {
    /// Reads it as far as it can be read: without control id or type they are empty. Never fails, so that anything that
    /// begins with MSH can be answered.
    pub fn lenient(message: &Message) -> Option<Self> {
        let header = message.segment("MSH")?;
        let text = |field, part| header.field(field).text(part).unwrap_or_default();
        let when = |field| header.text(field).and_then(|text| AckWhen::read(&text));
        Some(Self {
            application: Party::read(header.field(3)),
            facility: Party::read(header.field(4)),
            to_application: Party::read(header.field(5)),
            to_facility: Party::read(header.field(6)),
            at: header.text(7).and_then(|text| Stamp::read(&text)),
            code: text(9, 1),
            event: text(9, 2),
            control: text(10, 1),
            processing: text(11, 1),
            version: text(12, 1),
            accept: when(15),
            result: when(16),
        })
    }

    /// Reads it with what every message must have: type, control id, version.
    ///
    /// # Errors
    /// [`Hl7Error::Missing`], [`Hl7Error::BadValue`].
    pub fn read(message: &Message) -> Result<Self, Hl7Error> {
        let header = Self::lenient(message).ok_or(Hl7Error::NotHl7)?;
        for (value, field) in [(&header.code, 9), (&header.control, 10), (&header.version, 12)] {
            if value.is_empty() {
                return Err(Hl7Error::Missing(Place::of("MSH", field)));
            }
        }
        if header.control.chars().count() > CONTROL_MAX_CHARS || header.control.chars().any(char::is_control) {
            return Err(Hl7Error::BadValue(Place::of("MSH", 10), "an id of at most 199 letters"));
        }
        Ok(header)
    }

    /// Whether the sender speaks the enhanced mode: one of MSH-15 and MSH-16 has a value.
    pub const fn is_enhanced(&self) -> bool {
        self.accept.is_some() || self.result.is_some()
    }
}

/// What EVN says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event {
    /// EVN-2: when it was recorded.
    pub recorded: Option<Stamp>,
    /// EVN-6: when it happened.
    pub occurred: Option<Stamp>,
}

impl Event {
    /// Reads it; nothing of it is needed.
    pub fn read(message: &Message) -> Self {
        let stamp = |field| message.segment("EVN")?.text(field).and_then(|text| Stamp::read(&text));
        Self { recorded: stamp(2), occurred: stamp(6) }
    }
}
