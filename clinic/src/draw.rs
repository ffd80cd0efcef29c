//! Ids that nobody can guess, drawn from the operating system. Owns nothing; imports nothing of ours but the error.

use std::fmt::Write;

use store::{Error, Fault};

/// 32 hexadecimal digits: 128 random bits.
///
/// # Errors
/// [`Fault::Io`] when the operating system gives no random bytes.
pub(crate) fn id() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::new("drawing an id", Fault::Io))?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
