//! Instants. Wall time is UTC in milliseconds; who needs to know "now" is handed a [`Clock`].
//! Durations are never computed from two wall times when a monotonic clock is at hand: wall clocks jump.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// Later by `ms` milliseconds (earlier if negative); stays at the end of the range instead of overflowing.
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How many milliseconds `self` is later than `earlier`; negative if it is earlier.
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As a chrono instant; `None` outside chrono's range of years.
    pub fn to_chrono(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }

    /// RFC 3339 with milliseconds and `Z`, for example `2026-11-21T09:15:30.412Z`.
    pub fn to_rfc3339(self) -> String {
        match self.to_chrono() {
            Some(at) => at.to_rfc3339_opts(SecondsFormat::Millis, true),
            None => format!("@{}ms", self.0),
        }
    }

    /// Reads an RFC 3339 instant with any offset.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_millis()))
    }
}

impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where programs get the wall time from: the operating system in production, a hand-set value in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UtcMillis + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> UtcMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The wall time.
    pub fn now(&self) -> UtcMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_any_offset_and_write_utc() {
        let at = UtcMillis::from_rfc3339("2026-11-21T12:15:30.412+03:00").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-21T09:15:30.412Z");
        assert_eq!(UtcMillis::from_rfc3339("2026-11-21 09:15"), None);
        assert_eq!(UtcMillis(i64::MAX).plus_ms(1), UtcMillis(i64::MAX));
        assert_eq!(UtcMillis(i64::MAX).to_string(), format!("@{}ms", i64::MAX));
    }
}
