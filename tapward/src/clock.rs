//! The one place where the operating system's wall clock is read.

use domain::{Clock, UtcMillis};

/// The operating system's wall clock.
#[expect(clippy::disallowed_methods, reason = "the one place where wall time enters the product")]
pub fn system() -> Clock {
    Clock::new(|| {
        let now = std::time::SystemTime::now();
        match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => UtcMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => UtcMillis(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
        }
    })
}
