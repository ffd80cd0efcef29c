//! The signs between fields, components, repetitions and subcomponents: each message says its own in MSH-1 and MSH-2.

use super::error::Hl7Error;

/// The delimiters of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields; MSH-1.
    pub field: char,
    /// Between components.
    pub component: char,
    /// Between repetitions; a message that has none need not name one.
    pub repetition: Option<char>,
    /// Around escapes.
    pub escape: Option<char>,
    /// Between subcomponents.
    pub subcomponent: Option<char>,
}

impl Default for Delimiters {
    /// Those that the standard recommends: `|^~\&`.
    fn default() -> Self {
        Self { field: '|', component: '^', repetition: Some('~'), escape: Some('\\'), subcomponent: Some('&') }
    }
}

impl Delimiters {
    /// Most signs in MSH-2: four, and from version 2.7 one for texts that were cut off, which is not needed to read.
    const SIGNS_MAX: usize = 5;

    /// Reads them from the beginning of a message: `MSH`, the sign between fields, the other signs up to the next one.
    ///
    /// # Errors
    /// [`Hl7Error::NotHl7`], [`Hl7Error::BadDelimiters`].
    pub fn read(bytes: &[u8]) -> Result<Self, Hl7Error> {
        let rest = bytes.strip_prefix(b"MSH").ok_or(Hl7Error::NotHl7)?;
        let (field, rest) = rest.split_first().ok_or(Hl7Error::BadDelimiters)?;
        let end = rest.iter().position(|byte| byte == field || matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let signs = &rest[..end];
        let mut all = vec![*field];
        all.extend(signs);
        let usable = all.iter().enumerate().all(|(at, sign)| is_usable(*sign) && !all[..at].contains(sign));
        if signs.is_empty() || signs.len() > Self::SIGNS_MAX || !usable {
            return Err(Hl7Error::BadDelimiters);
        }
        let sign = |at: usize| signs.get(at).map(|sign| char::from(*sign));
        Ok(Self {
            field: char::from(*field),
            component: sign(0).ok_or(Hl7Error::BadDelimiters)?,
            repetition: sign(1),
            escape: sign(2),
            subcomponent: sign(3),
        })
    }

    /// MSH-2: the signs but the first.
    pub fn encoding_characters(&self) -> String {
        let rest = [self.repetition, self.escape, self.subcomponent];
        std::iter::once(self.component).chain(rest.into_iter().map_while(|sign| sign)).collect()
    }
}

/// Not a letter, a digit, a quote (which says "delete"), a full stop (which is in escapes and numbers), a blank, nor a
/// sign of the line itself.
const fn is_usable(sign: u8) -> bool {
    let of_the_line = matches!(sign, b'\r' | b'\n' | 0x0b | 0x1c | 0);
    sign.is_ascii() && !sign.is_ascii_alphanumeric() && !matches!(sign, b'"' | b'.' | b' ') && !of_the_line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_says_its_delimiters() {
        assert_eq!(Delimiters::read(b"MSH|^~\\&|A").unwrap(), Delimiters::default());
        let other = Delimiters::read(b"MSH$*!%/$A").unwrap();
        assert_eq!((other.field, other.component, other.repetition), ('$', '*', Some('!')));
        assert_eq!((other.escape, other.subcomponent), (Some('%'), Some('/')));
        let newer = Delimiters::read(b"MSH|^~\\&#|A").unwrap();
        assert_eq!(newer, Delimiters::default());
        let few = Delimiters::read(b"MSH|^|A").unwrap();
        assert_eq!((few.repetition, few.escape, few.subcomponent), (None, None, None));
        assert_eq!(few.encoding_characters(), "^");
        assert_eq!(Delimiters::default().encoding_characters(), "^~\\&");
    }

    #[test]
    fn signs_that_cannot_divide_are_refused() {
        for bad in [
            &b"MSH"[..],
            b"MSH|",
            b"MSH||A",
            b"MSH|^^\\&|A",
            b"MSHA^~\\&A",
            b"MSH|^~\\&#!|",
            b"MSH\r^~\\&\r",
            b"MSH|\"~\\&|",
        ] {
            assert_eq!(Delimiters::read(bad), Err(Hl7Error::BadDelimiters), "{}", bad.escape_ascii());
        }
        for bad in [&b""[..], b"PID|1", b"msh|^~\\&|"] {
            assert_eq!(Delimiters::read(bad), Err(Hl7Error::NotHl7));
        }
    }
}
