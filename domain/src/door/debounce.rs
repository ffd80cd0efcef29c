//! One input line with its bounces taken out.

use std::time::Duration;

/// An input as it is and as it counts.
#[derive(Debug, Clone, Copy)]
pub struct Debounced {
    /// What counts; `None` before the first report.
    counts: Option<bool>,
    raw: bool,
    raw_since: Duration,
}

impl Debounced {
    pub const fn new() -> Self {
        Self { counts: None, raw: false, raw_since: Duration::ZERO }
    }

    /// Takes a report. The first one counts at once, and is returned if it is active.
    pub fn report(&mut self, now: Duration, active: bool) -> Option<bool> {
        if active != self.raw {
            self.raw = active;
            self.raw_since = now;
        }
        match self.counts {
            None => {
                self.counts = Some(active);
                active.then_some(true)
            }
            Some(_) => None,
        }
    }

    /// When a change that is under way will count.
    pub fn due(&self, debounce: Duration) -> Option<Duration> {
        let changing = self.counts.is_some_and(|counts| counts != self.raw);
        changing.then(|| self.raw_since.saturating_add(debounce))
    }

    /// Lets the change that is under way count; what counts now.
    pub fn settle(&mut self) -> bool {
        self.counts = Some(self.raw);
        self.raw
    }

    /// Whether a change to active is under way that began at `until` or earlier.
    pub fn is_turning_active(&self, until: Duration) -> bool {
        self.counts == Some(false) && self.raw && self.raw_since <= until
    }
}
