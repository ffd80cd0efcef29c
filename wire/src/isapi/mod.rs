//! ISAPI, the HTTP interface of Hikvision access control devices: the forms of its messages, in XML and in JSON, for
//! both ends (the gateway asks, the simulator answers).
//!
//! Owns what the texts look like and what their codes mean. Never opens a connection, never decides, never looks at a
//! clock. May import `domain`. The facts come from public clients and from guides for integrators, not from a
//! specification: unknown fields are ignored, unknown codes are kept as numbers, and each dialect that is known stands in
//! one table ([`codes`], [`form`]).
//!
//! | module | owns |
//! |---|---|
//! | [`form`] | one tree for both syntaxes, strictly bounded; XML by local names, because firmware differs in namespaces |
//! | [`digest`] | HTTP digest authentication, both ends (RFC 7616, RFC 2617) |
//! | [`multipart`] | parts of a push or of the endless alert stream, pictures skipped |
//! | [`time`] | the device's time: with an offset or without one, and its time zone |
//! | [`event`] | a pushed or streamed event |
//! | [`codes`] | what major and minor codes mean |
//! | [`history`] | the search in the device's own journal |
//! | [`device`] | identity, abilities, decision channel, push target, door orders, statuses |
//! | [`person`] | people and cards |
//! | [`card`] | how a device writes card numbers |

pub mod card;
pub mod codes;
pub mod device;
pub mod digest;
pub mod event;
pub mod form;
pub mod history;
pub mod multipart;
pub mod person;
pub mod time;

#[cfg(test)]
mod tests;

pub use form::{Form, FormError};

/// The namespace that current firmware writes; readers go by local names only.
pub const NAMESPACE: &str = "http://www.isapi.org/ver20/XMLSchema";
/// The namespace of older firmware.
pub const OLD_NAMESPACE: &str = "http://www.hikvision.com/ver20/XMLSchema";

/// In which syntax a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// XML.
    Xml,
    /// JSON.
    Json,
}

impl Syntax {
    /// The media type of such a text.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
            Self::Json => "application/json",
        }
    }
}
