//! What is wrong with a message, where, and by which code of HL7 table 0357 it is answered.

use std::fmt;

use thiserror::Error;

use super::charset::Charset;

/// Where in a message something is, as ERR-2 says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The segment's name, such as `PID`.
    pub segment: &'static str,
    /// Which of its name, from 1; 0: said of the whole message.
    pub sequence: usize,
    /// The field, from 1; 0: the segment itself.
    pub field: usize,
}

impl Place {
    /// A field of the first segment of a name.
    pub const fn of(segment: &'static str, field: usize) -> Self {
        Self { segment, sequence: 1, field }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            0 => f.write_str(self.segment),
            field => write!(f, "{}-{field}", self.segment),
        }
    }
}

/// HL7 table 0357, message error conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Segments missing or out of order.
    SegmentSequence,
    /// A field that is needed is not there.
    RequiredMissing,
    /// A value of the wrong form.
    DataType,
    /// A value that its table does not have.
    TableValue,
    /// A message type that is not taken.
    MessageType,
    /// An event that is not taken.
    EventCode,
    /// A processing id (test, training) that is not taken.
    ProcessingId,
    /// A version that is not taken.
    VersionId,
    /// An id that nobody knows.
    UnknownKey,
    /// An id that is taken already.
    DuplicateKey,
    /// Something went wrong inside; the same message may be sent again later.
    Internal,
}

impl Code {
    /// The code and its text.
    pub const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::SegmentSequence => ("100", "Segment sequence error"),
            Self::RequiredMissing => ("101", "Required field missing"),
            Self::DataType => ("102", "Data type error"),
            Self::TableValue => ("103", "Table value not found"),
            Self::MessageType => ("200", "Unsupported message type"),
            Self::EventCode => ("201", "Unsupported event code"),
            Self::ProcessingId => ("202", "Unsupported processing id"),
            Self::VersionId => ("203", "Unsupported version id"),
            Self::UnknownKey => ("204", "Unknown key identifier"),
            Self::DuplicateKey => ("205", "Duplicate key identifier"),
            Self::Internal => ("207", "Application internal error"),
        }
    }

    /// The code alone.
    pub const fn as_str(self) -> &'static str {
        self.text().0
    }
}

/// What is wrong with a message. Its text never holds what stood in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Hl7Error {
    /// It does not begin with MSH.
    #[error("this is not an HL7 message: it does not begin with MSH")]
    NotHl7,
    /// MSH-1 and MSH-2 cannot divide anything.
    #[error("MSH-1 and MSH-2 do not name different signs as delimiters")]
    BadDelimiters,
    /// Longer than is taken.
    #[error("the message is longer than {0} bytes")]
    TooLong(usize),
    /// More segments than are taken.
    #[error("the message has more than {} segments", super::SEGMENTS_MAX)]
    TooManySegments,
    /// More fields than are taken.
    #[error("segment {0} of the message has more than {max} fields", max = super::FIELDS_MAX)]
    TooManyFields(usize),
    /// A line that is no segment: the number of the line from 1.
    #[error("line {0} of the message does not begin with a segment's name and a field separator")]
    BadSegment(usize),
    /// MSH-18 names a charset that is not taken.
    #[error(
        "MSH-18 names a charset that is not taken; UNICODE UTF-8, ASCII, 8859/1, 8859/2, 8859/5 and windows-1251 are"
    )]
    UnknownCharset,
    /// The bytes contradict MSH-18.
    #[error("the message says that it is in {}, but its bytes are not", .0.name())]
    NotInCharset(Charset),
    /// Something that is needed is not there.
    #[error("{0} is missing")]
    Missing(Place),
    /// A value that cannot be read.
    #[error("{0} cannot be read: {1} is expected")]
    BadValue(Place, &'static str),
    /// A value that the message's own charset does not have, when one is written.
    #[error("a text of the message has a letter that {} does not have; send UNICODE UTF-8", .0.name())]
    CannotWrite(Charset),
}

impl Hl7Error {
    /// The code by which it is answered.
    pub const fn code(self) -> Code {
        match self {
            Self::NotHl7 | Self::BadSegment(_) | Self::TooManySegments => Code::SegmentSequence,
            Self::Missing(place) if place.field == 0 => Code::SegmentSequence,
            Self::Missing(_) => Code::RequiredMissing,
            Self::UnknownCharset => Code::TableValue,
            Self::BadDelimiters | Self::TooManyFields(_) | Self::NotInCharset(_) | Self::BadValue(..) => Code::DataType,
            Self::TooLong(_) | Self::CannotWrite(_) => Code::Internal,
        }
    }

    /// Where it is, if it is somewhere.
    pub const fn place(self) -> Option<Place> {
        match self {
            Self::Missing(place) | Self::BadValue(place, _) => Some(place),
            Self::BadDelimiters => Some(Place::of("MSH", 2)),
            Self::UnknownCharset | Self::NotInCharset(_) => Some(Place::of("MSH", 18)),
            Self::NotHl7
            | Self::TooLong(_)
            | Self::TooManySegments
            | Self::TooManyFields(_)
            | Self::BadSegment(_)
            | Self::CannotWrite(_) => None,
        }
    }
}
