//! How often an operator hears of the same trouble with one peer: at first once a minute a reason, and more and more
//! rarely while it lasts, up to once an hour, always with how often it happened meanwhile. A peer that misbehaves a
//! thousand times a second, or for a week, must not fill the journal.

use std::collections::HashMap;
use std::time::Duration;

use domain::Reason;
use tokio::time::Instant;

/// First and longest time between two alarms of one reason.
const EVERY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// What was told when. At most one entry a reason.
#[derive(Debug, Default)]
pub struct Nags(HashMap<&'static str, Told>);

#[derive(Debug)]
struct Told {
    at: Instant,
    passed_over: u32,
    every: Duration,
}

impl Nags {
    /// The text to be told now, or nothing for now.
    pub fn tell(&mut self, reason: Reason, text: String, now: Instant) -> Option<String> {
        let Some(told) = self.0.get_mut(reason.as_str()) else {
            self.0.insert(reason.as_str(), Told { at: now, passed_over: 0, every: EVERY.0 });
            return Some(text);
        };
        let quiet = now.duration_since(told.at);
        if quiet < told.every {
            told.passed_over = told.passed_over.saturating_add(1);
            return None;
        }
        let lasts = quiet < told.every * 2;
        let every = if lasts { (told.every * 2).min(EVERY.1) } else { EVERY.0 };
        let before = std::mem::replace(told, Told { at: now, passed_over: 0, every }).passed_over;
        Some(if before == 0 { text } else { format!("{text}; {before} more before") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = EVERY.0;

    #[tokio::test]
    async fn the_same_trouble_is_told_once_a_minute_with_its_number() {
        let (mut nags, now) = (Nags::default(), Instant::now());
        assert_eq!(nags.tell(Reason::Quarantined, "a".into(), now).as_deref(), Some("a"));
        assert_eq!(nags.tell(Reason::Quarantined, "b".into(), now + MINUTE / 2), None);
        assert_eq!(nags.tell(Reason::StreamGap, "c".into(), now).as_deref(), Some("c"), "another trouble");
        assert_eq!(nags.tell(Reason::Quarantined, "d".into(), now + MINUTE).as_deref(), Some("d; 1 more before"));
    }

    #[tokio::test]
    async fn trouble_that_lasts_is_told_more_and_more_rarely_and_new_trouble_at_once() {
        let (mut nags, start) = (Nags::default(), Instant::now());
        let mut tell = |at: Duration| nags.tell(Reason::StreamGap, "x".into(), start + at).is_some();
        let told = (0..24 * 360_u32).filter(|n| tell(Duration::from_secs(10) * *n)).count();
        assert!((25..=35).contains(&told), "{told} times in a day");
        let days = Duration::from_secs(3 * 24 * 3600);
        assert!(tell(days) && !tell(days + MINUTE / 2) && tell(days + MINUTE));
    }
}
