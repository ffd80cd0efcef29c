//! How often an operator hears of the same trouble with one peer: once a minute a reason, with how often it happened
//! meanwhile. A peer that misbehaves a thousand times a second must not fill the journal.

use std::collections::HashMap;
use std::time::Duration;

use domain::Reason;
use tokio::time::Instant;

/// Time between two alarms of one reason.
const EVERY: Duration = Duration::from_secs(60);

/// What was told when. At most one entry a reason.
#[derive(Debug, Default)]
pub struct Nags(HashMap<&'static str, (Instant, u32)>);

impl Nags {
    /// The text to be told now, or nothing for now.
    pub fn tell(&mut self, reason: Reason, text: String, now: Instant) -> Option<String> {
        match self.0.get_mut(reason.as_str()) {
            Some((at, passed_over)) if now.duration_since(*at) < EVERY => {
                *passed_over = passed_over.saturating_add(1);
                None
            }
            known => {
                let before = known.map_or(0, |(_, passed_over)| *passed_over);
                self.0.insert(reason.as_str(), (now, 0));
                Some(if before == 0 { text } else { format!("{text}; {before} more before") })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_trouble_is_told_once_a_minute_with_its_number() {
        let (mut nags, now) = (Nags::default(), Instant::now());
        assert_eq!(nags.tell(Reason::Quarantined, "a".into(), now).as_deref(), Some("a"));
        assert_eq!(nags.tell(Reason::Quarantined, "b".into(), now + EVERY / 2), None);
        assert_eq!(nags.tell(Reason::StreamGap, "c".into(), now).as_deref(), Some("c"), "another trouble");
        assert_eq!(nags.tell(Reason::Quarantined, "d".into(), now + EVERY).as_deref(), Some("d; 1 more before"));
    }
}
