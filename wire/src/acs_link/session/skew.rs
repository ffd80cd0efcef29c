//! How far two clocks differ: the least `received at - sent at` of late, as a message may be delayed and never
//! hastened. Owns a few minima; reads no clock. May import the grades.

use std::time::Duration;

use super::event::Skew;

/// Beyond it, a warning (specification, 8).
pub const WARN_MS: i64 = 2_000;
/// Beyond it, the peer's times take no part in rules about time.
pub const DRIFTING_MS: i64 = 60_000;
/// How long a minimum counts: a clock that is set shows after this time at most.
const SLOT: Duration = Duration::from_secs(30);
const SLOTS: usize = 4;

/// The minima of the last two minutes.
#[derive(Debug, Default)]
pub struct Estimate {
    slots: [Option<i64>; SLOTS],
    /// Which slot of time the newest minimum is of.
    newest: u64,
    grade: Option<Skew>,
}

impl Estimate {
    /// A message came that was sent `ms` before, by two clocks. Gives the new grade if it changed; `Fine` at first is
    /// no change.
    pub fn observe(&mut self, ms: i64, now: Duration) -> Option<(i64, Skew)> {
        let slot = now.as_secs() / SLOT.as_secs();
        let passed = slot.saturating_sub(self.newest);
        for gone in 0..passed.min(SLOTS as u64) {
            self.slots[((self.newest + 1 + gone) % SLOTS as u64) as usize] = None;
        }
        self.newest = self.newest.max(slot);
        let place = &mut self.slots[(self.newest % SLOTS as u64) as usize];
        *place = Some(place.map_or(ms, |least| least.min(ms)));
        let least = self.ms().unwrap_or(ms);
        let grade = match least.unsigned_abs() {
            size if size > DRIFTING_MS.unsigned_abs() => Skew::Drifting,
            size if size > WARN_MS.unsigned_abs() => Skew::Warn,
            _ => Skew::Fine,
        };
        let before = self.grade.replace(grade).unwrap_or(Skew::Fine);
        (grade != before).then_some((least, grade))
    }

    /// The estimate, in milliseconds: positive if our clock is ahead.
    pub fn ms(&self) -> Option<i64> {
        self.slots.iter().flatten().min().copied()
    }

    /// What it means; `Fine` before the first message.
    pub fn grade(&self) -> Skew {
        self.grade.unwrap_or(Skew::Fine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn one_delayed_message_is_no_skew() {
        let mut clock = Estimate::default();
        assert_eq!(clock.observe(20, at(0)), None);
        assert_eq!(clock.observe(90_000, at(1)), None);
        assert_eq!((clock.ms(), clock.grade()), (Some(20), Skew::Fine));
    }

    #[test]
    fn a_clock_that_is_wrong_or_set_again_is_told_once() {
        let mut clock = Estimate::default();
        assert_eq!(clock.observe(2_001, at(0)), Some((2_001, Skew::Warn)));
        assert_eq!(clock.observe(2_001, at(1)), None);
        assert_eq!(clock.observe(-60_001, at(2)), Some((-60_001, Skew::Drifting)));
        // Set right: the old minimum goes with its time.
        assert_eq!(clock.observe(5, at(60)), None);
        assert_eq!(clock.observe(5, at(119)), None);
        assert_eq!(clock.observe(5, at(120)), Some((5, Skew::Fine)));
        assert_eq!(clock.observe(61_000, at(100_000)), Some((61_000, Skew::Drifting)));
        assert_eq!(clock.observe(i64::MIN, at(100_001)), None);
    }
}
