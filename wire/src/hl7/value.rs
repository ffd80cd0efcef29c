//! The three ways in which a field says nothing, and the fourth in which it says something.

use std::borrow::Cow;
use std::fmt;

/// What stands in a field, component or subcomponent.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// The message ends before it.
    Absent,
    /// It is empty: what is known stays as it is.
    Empty,
    /// It is `""`: what is known is deleted.
    Delete,
    /// A text, escapes resolved.
    Text(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// The text, without blanks around it; `None` if there is none.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            Self::Absent | Self::Empty | Self::Delete => None,
        }
    }

    /// The text as its owner.
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Empty | Self::Delete => None,
        }
    }

    /// What it means for what is known; `read` makes a value of the text, and its `None` is an error of the sender.
    ///
    /// # Errors
    /// What `wrong` says.
    pub fn told<T, E>(&self, read: impl FnOnce(&str) -> Option<T>, wrong: E) -> Result<Told<T>, E> {
        match self {
            Self::Delete => Ok(Told::Delete),
            _ => match self.text() {
                None => Ok(Told::Unsaid),
                Some(text) => read(text).map(Told::Is).ok_or(wrong),
            },
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Empty => "Empty",
            Self::Delete => "Delete",
            Self::Text(_) => "Text(redacted)",
        })
    }
}

/// What a message means for something that is known.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Told<T> {
    /// Nothing is said: it stays as it is.
    #[default]
    Unsaid,
    /// It is deleted.
    Delete,
    /// It is this from now on.
    Is(T),
}

impl<T> Told<T> {
    /// The new value, if there is one.
    pub fn is(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unsaid | Self::Delete => None,
        }
    }

    /// The new value, if there is one.
    pub const fn as_is(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unsaid | Self::Delete => None,
        }
    }
}

impl<T> fmt::Debug for Told<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsaid => "Unsaid",
            Self::Delete => "Delete",
            Self::Is(_) => "Is(redacted)",
        })
    }
}
