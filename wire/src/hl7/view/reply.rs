//! MSA and ERR: what a peer answers to what it was sent.

use crate::hl7::error::{Hl7Error, Place};
use crate::hl7::message::Message;

/// Longest code of ERR-3 that is kept, in characters.
const CODE_MAX_CHARS: usize = 20;

/// HL7 table 0008.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckCode {
    /// `AA`: taken.
    Accept,
    /// `AE`: there is an error in it.
    Error,
    /// `AR`: it was refused.
    Reject,
    /// `CA`: kept; what becomes of it is said later.
    CommitAccept,
    /// `CE`: could not be kept because of an error in it.
    CommitError,
    /// `CR`: could not be kept.
    CommitReject,
}

impl AckCode {
    const ALL: [Self; 6] =
        [Self::Accept, Self::Error, Self::Reject, Self::CommitAccept, Self::CommitError, Self::CommitReject];

    /// As the table has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "AA",
            Self::Error => "AE",
            Self::Reject => "AR",
            Self::CommitAccept => "CA",
            Self::CommitError => "CE",
            Self::CommitReject => "CR",
        }
    }

    /// Reads the code.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// Whether it answers the keeping of a message, not what it says.
    pub const fn is_commit(self) -> bool {
        matches!(self, Self::CommitAccept | Self::CommitError | Self::CommitReject)
    }

    /// Whether it is good news.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Accept | Self::CommitAccept)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2: the control id of what is answered.
    pub control: String,
    /// The code of the error: ERR-3.1, or of older versions ERR-1.4, or MSA-6.1; letters, digits and signs of codes only.
    /// Texts of answers are not kept: they repeat what a message held.
    pub error: Option<String>,
}

impl Reply {
    /// Reads an answer. Its type does not matter: some answer with other types than ACK.
    ///
    /// # Errors
    /// [`Hl7Error::Missing`] if it is none; [`Hl7Error::BadValue`].
    pub fn read(message: &Message) -> Result<Self, Hl7Error> {
        let answer = message.must("MSA")?;
        let code = answer.text(1).ok_or(Hl7Error::Missing(Place::of("MSA", 1)))?;
        let code = AckCode::parse(&code).ok_or(Hl7Error::BadValue(Place::of("MSA", 1), "AA, AE, AR, CA, CE or CR"))?;
        let control = answer.text(2).ok_or(Hl7Error::Missing(Place::of("MSA", 2)))?;
        let error = message
            .segment("ERR")
            .and_then(|error| error.text(3).or_else(|| error.field(1).subcomponent(4, 1).text().map(str::to_owned)));
        let error = error.or_else(|| answer.text(6)).filter(|code| is_code(code));
        Ok(Self { code, control, error })
    }
}

fn is_code(text: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    text.chars().count() <= CODE_MAX_CHARS && text.chars().all(allowed) && text.chars().any(|c| c.is_ascii_digit())
}
