//! Why a delivery failed: a stable code for pages and alarms, and a few further codes of the other system. Never its own
//! words: they may hold names.

use std::fmt;

use domain::codes;

/// Longest detail kept, in characters.
const DETAIL_MAX_CHARS: usize = 120;

codes! {
    /// What kind of fault it is. Stable codes, keys of translations.
    FaultCode {
        /// No connection: the name is not known, nobody listens, no way there.
        Unreachable = "unreachable",
        /// No protected connection: a certificate is not trusted, has expired or is missing.
        Tls = "tls",
        /// No answer in time.
        Late = "late",
        /// The connection broke, or what came is not the protocol.
        Broken = "broken",
        /// It asks for patience.
        Overloaded = "overloaded",
        /// It does not let us in.
        Unauthorised = "unauthorised",
        /// It lets us in, but not do this.
        Forbidden = "forbidden",
        /// It does not know what we speak of, and must.
        NotFound = "not_found",
        /// What we speak of is gone there.
        Gone = "gone",
        /// Somebody else changed it at the same time, again and again.
        Conflict = "conflict",
        /// It refused what we said as wrong.
        Refused = "refused",
        /// It failed itself.
        ServerFault = "server_fault",
        /// Its answer does not read.
        BadAnswer = "bad_answer",
        /// Longer than it or we allow.
        TooLong = "too_long",
        /// It has no id for this patient or specialist that we know.
        NoAlias = "no_alias",
        /// What it is about is not here any more.
        Missing = "missing",
        /// It cannot be said to a system of this kind, or the settings are wrong.
        Unspeakable = "unspeakable",
        /// It acknowledged something else.
        WrongAnswer = "wrong_answer",
    }
}

/// Why a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub code: FaultCode,
    /// Further codes, for example a status and the code of an OperationOutcome: letters, digits and a few signs only.
    pub detail: String,
}

impl Fault {
    /// A fault with further codes; whatever is not a code in them is left out, so that no words of another system get in.
    pub fn new(code: FaultCode, detail: &str) -> Self {
        let known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ':' | '/' | '[' | ']');
        Self { code, detail: detail.chars().filter(known).take(DETAIL_MAX_CHARS).collect() }
    }

    /// A fault without further codes.
    pub const fn of(code: FaultCode) -> Self {
        Self { code, detail: String::new() }
    }

    pub(crate) fn stored(&self) -> String {
        format!("{} {}", self.code, self.detail)
    }

    pub(crate) fn read(stored: &str) -> Option<Self> {
        let (code, detail) = stored.split_once(' ')?;
        Some(Self { code: FaultCode::parse(code)?, detail: detail.to_owned() })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail.is_empty() {
            true => write!(f, "{}", self.code),
            false => write!(f, "{} ({})", self.code, self.detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_back_and_holds_codes_only() {
        let fault = Fault::new(FaultCode::Refused, "422 invalid Encounter.subject «Анна»\n");
        assert_eq!(fault.detail, "422 invalid Encounter.subject ");
        assert_eq!(Fault::read(&fault.stored()), Some(fault));
        assert_eq!(Fault::read(&Fault::of(FaultCode::Late).stored()), Some(Fault::of(FaultCode::Late)));
        assert_eq!(Fault::read("nonsense"), None);
        assert_eq!(Fault::new(FaultCode::Refused, &"x".repeat(1000)).detail.len(), DETAIL_MAX_CHARS);
    }
}
