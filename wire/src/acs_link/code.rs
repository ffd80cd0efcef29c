//! What can go wrong on the link: the codes of acs-link 1.0 and a refusal of bytes that came. Owns the list; the
//! wire carries an open list, [`ErrCode`]. May import the checked values beside it.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use super::token::ErrCode;

/// The codes of acs-link 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A frame of length 0, or longer than agreed.
    FrameTooLarge,
    /// A frame was not complete in time, or the Hello.
    FrameTimeout,
    /// Not well-formed XML, or not UTF-8.
    XmlMalformed,
    /// Well-formed, but of the parts of XML that acs-link does not use.
    XmlForbidden,
    /// More of something than the limits allow.
    XmlLimit,
    /// Not what the schema describes, or out of place in the session.
    SchemaInvalid,
    /// No common version.
    VersionUnsupported,
    /// The node is not who its certificate says, or has the wrong role.
    AuthNodeMismatch,
    /// A number was left out.
    SeqGap,
    /// The peer claims to hold more than was ever sent.
    SeqAhead,
    /// The epoch cannot be continued.
    EpochUnknown,
    /// More was sent without an acknowledgement than agreed.
    WindowExceeded,
    /// No such point.
    PointUnknown,
    /// Not a point of this node.
    PointForbidden,
    /// A credential of a format that cannot be used.
    CredentialFormat,
    /// The credential belongs to another pass.
    CredentialConflict,
    /// No room for more credentials.
    CredentialCapacity,
    /// The command came too late.
    CommandExpired,
    /// The command is not one that the peer can do.
    CommandUnsupported,
    /// The device does not answer.
    DeviceOffline,
    /// The device said no.
    DeviceRejected,
    /// Count or digest of a sync do not agree: nothing was removed.
    SyncMismatch,
    /// The clocks differ by more than 60 s.
    ClockSkew,
    /// Not now.
    Busy,
}

impl Code {
    /// All codes, the fatal ones first.
    pub const ALL: [Self; 24] = [
        Self::FrameTooLarge,
        Self::FrameTimeout,
        Self::XmlMalformed,
        Self::XmlForbidden,
        Self::XmlLimit,
        Self::SchemaInvalid,
        Self::VersionUnsupported,
        Self::AuthNodeMismatch,
        Self::SeqGap,
        Self::SeqAhead,
        Self::EpochUnknown,
        Self::WindowExceeded,
        Self::PointUnknown,
        Self::PointForbidden,
        Self::CredentialFormat,
        Self::CredentialConflict,
        Self::CredentialCapacity,
        Self::CommandExpired,
        Self::CommandUnsupported,
        Self::DeviceOffline,
        Self::DeviceRejected,
        Self::SyncMismatch,
        Self::ClockSkew,
        Self::Busy,
    ];

    /// As the link writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FrameTooLarge => "FRAME_TOO_LARGE",
            Self::FrameTimeout => "FRAME_TIMEOUT",
            Self::XmlMalformed => "XML_MALFORMED",
            Self::XmlForbidden => "XML_FORBIDDEN",
            Self::XmlLimit => "XML_LIMIT",
            Self::SchemaInvalid => "SCHEMA_INVALID",
            Self::VersionUnsupported => "VERSION_UNSUPPORTED",
            Self::AuthNodeMismatch => "AUTH_NODE_MISMATCH",
            Self::SeqGap => "SEQ_GAP",
            Self::SeqAhead => "SEQ_AHEAD",
            Self::EpochUnknown => "EPOCH_UNKNOWN",
            Self::WindowExceeded => "WINDOW_EXCEEDED",
            Self::PointUnknown => "POINT_UNKNOWN",
            Self::PointForbidden => "POINT_FORBIDDEN",
            Self::CredentialFormat => "CREDENTIAL_FORMAT",
            Self::CredentialConflict => "CREDENTIAL_CONFLICT",
            Self::CredentialCapacity => "CREDENTIAL_CAPACITY",
            Self::CommandExpired => "COMMAND_EXPIRED",
            Self::CommandUnsupported => "COMMAND_UNSUPPORTED",
            Self::DeviceOffline => "DEVICE_OFFLINE",
            Self::DeviceRejected => "DEVICE_REJECTED",
            Self::SyncMismatch => "SYNC_MISMATCH",
            Self::ClockSkew => "CLOCK_SKEW",
            Self::Busy => "BUSY",
        }
    }

    /// Ends the connection; the others are about one message.
    pub const fn is_fatal(self) -> bool {
        matches!(
            self,
            Self::FrameTooLarge
                | Self::FrameTimeout
                | Self::XmlMalformed
                | Self::XmlForbidden
                | Self::XmlLimit
                | Self::SchemaInvalid
                | Self::VersionUnsupported
                | Self::AuthNodeMismatch
                | Self::SeqGap
                | Self::SeqAhead
                | Self::EpochUnknown
                | Self::WindowExceeded
        )
    }

    /// The code that the link wrote, if this version has it.
    pub fn of(code: &ErrCode) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code.as_str())
    }
}

impl From<Code> for ErrCode {
    fn from(code: Code) -> Self {
        #[expect(clippy::expect_used, reason = "a test makes all of them")]
        Self::new(code.as_str()).expect("a code of ours has the form of a code")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why bytes that came are not a message of acs-link. The text names places and rules, and never repeats a value, so
/// that it may be logged, shown, and sent to the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {text}")]
pub struct Refusal {
    /// What is wrong; always a fatal one.
    pub code: Code,
    /// Where and which rule, for an operator.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal; the text must not repeat what came.
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }

    /// Whether the connection ends with it. All refusals of bytes do.
    pub const fn fatal(&self) -> bool {
        self.code.is_fatal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_can_be_written_and_read() {
        for code in Code::ALL {
            assert_eq!(Code::of(&ErrCode::from(code)), Some(code));
        }
        assert_eq!(Code::ALL.iter().filter(|code| code.is_fatal()).count(), 12);
        assert_eq!(Code::of(&ErrCode::new("FROM_THE_FUTURE").unwrap()), None);
    }
}
