//! HL7 version 2 (2.1 to 2.8 are read, 2.5.1 is written): messages, their text in the charset that they name, typed views
//! of the segments that visits, patients and appointments need, and the framing of MLLP.
//!
//! Owns the grammar: delimiters, escapes, repetitions, the difference between a field that is not there, one that is
//! empty and one that says "delete". Never decides whose message is taken, never prints what a message holds: it is
//! personal data, so every `Debug` here shows form only. May import `domain` and the charsets of `encoding_rs`.
//!
//! The way in: [`mllp::Framer`] cuts bytes into messages, [`Message::parse`] makes segments of them, the modules of
//! [`view`] read what they say. The way out: [`write::Writer`] and the builders of [`out`], then [`mllp::frame`].

mod charset;
mod delimiters;
mod error;
mod escape;
mod message;
pub mod mllp;
pub mod out;
mod stamp;
mod value;
pub mod view;
pub mod write;

pub use charset::Charset;
pub use delimiters::Delimiters;
pub use error::{Code, Hl7Error, Place};
pub use message::{Message, Repetition, Segment};
pub use stamp::{Precision, Stamp};
pub use value::{Told, Value};

/// Longest message that is parsed, in bytes; a receiver may set less. ADT and SIU messages have a few kilobytes.
pub const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// Most segments of a message.
pub const SEGMENTS_MAX: usize = 1000;
/// Most fields of a segment; the longest of the standard has about 60.
pub const FIELDS_MAX: usize = 300;
