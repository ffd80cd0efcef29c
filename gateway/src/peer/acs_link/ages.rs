//! How long ago something happened at a peer, whose clock is not ours.
//!
//! Times of one clock are subtracted from times of the same clock; what is left of the difference between the clocks
//! is the rolling minimum of `received - sent` that the session keeps ("skew", positive if the peer's clock is behind).
//! Pure.

use std::time::Duration;

use domain::UtcMillis;
use wire::acs_link::Instant;
use wire::acs_link::message::ClockState;

use crate::line::Age;

/// Beyond this difference of the clocks a peer's times take no part in rules about time.
pub const DRIFTING_MS: i64 = 60_000;
/// A time that is ahead by more than this is nonsense, and flagged.
const AHEAD_MAX_MS: i64 = 24 * 3600 * 1000;
/// A time that is ahead by more than this, after the difference of the clocks, is not believed.
const AHEAD_BELIEVED_MS: i64 = 5_000;

/// An age, and whether the time that it comes from is nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// How long ago.
    pub age: Age,
    /// More than a day ahead of our clock.
    pub absurd: bool,
}

/// The age of an event that a peer recorded.
pub fn of_event(occurred: Instant, clock: ClockState, received: UtcMillis, skew_ms: Option<i64>) -> Dated {
    let skew_ms = skew_ms.unwrap_or(0);
    let ago = received.since_ms(occurred.to_utc());
    let absurd = ago < -AHEAD_MAX_MS;
    let corrected = ago.saturating_sub(skew_ms);
    let believed = clock != ClockState::Unset
        && skew_ms.saturating_abs() <= DRIFTING_MS
        && !absurd
        && corrected >= -AHEAD_BELIEVED_MS;
    let age = if believed { Age::Known(millis(corrected)) } else { Age::Unknown };
    Dated { age, absurd }
}

/// The age of a question, which is asked in the moment and never kept: the state of the peer's clock does not matter,
/// only how much later than usual it arrived. A clock that was set between makes it look old, never young.
pub fn of_question(occurred: Instant, sent: Instant, received: UtcMillis, skew_ms: Option<i64>) -> Duration {
    let kept = sent.to_utc().since_ms(occurred.to_utc()).max(0);
    let on_the_way = skew_ms.map_or(0, |skew| received.since_ms(sent.to_utc()).saturating_sub(skew)).max(0);
    millis(kept.saturating_add(on_the_way))
}

/// One of our times as the peer's clock shows it: what it must not do after a time it judges by its own clock.
pub fn as_theirs(at: UtcMillis, skew_ms: Option<i64>) -> Instant {
    Instant::from_utc(at.plus_ms(skew_ms.unwrap_or(0).saturating_neg()))
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UtcMillis = UtcMillis(1_795_255_200_000);

    fn ago(ms: i64) -> Instant {
        Instant::from_utc(NOON.plus_ms(-ms))
    }

    fn known(ms: u64) -> Age {
        Age::Known(Duration::from_millis(ms))
    }

    #[test]
    fn the_difference_of_the_clocks_is_taken_out_of_an_age() {
        let age = |ms, skew| of_event(ago(ms), ClockState::Synced, NOON, skew).age;
        assert_eq!(age(1500, None), known(1500));
        // The peer's clock is 10 s behind ours: what looks 11.5 s old is 1.5 s old.
        assert_eq!(age(11_500, Some(10_000)), known(1500));
        assert_eq!(age(-8_500, Some(-10_000)), known(1500));
        assert_eq!(age(-2_000, Some(0)), known(0));
    }

    #[test]
    fn times_that_cannot_be_believed_make_no_age() {
        let age = |ms, clock, skew| of_event(ago(ms), clock, NOON, skew);
        assert_eq!(age(1000, ClockState::Unset, Some(0)).age, Age::Unknown);
        assert_eq!(age(61_000, ClockState::Synced, Some(60_001)).age, Age::Unknown);
        assert_eq!(age(-6_000, ClockState::Synced, Some(0)), Dated { age: Age::Unknown, absurd: false });
        let tomorrow = age(-25 * 3_600_000, ClockState::Synced, Some(0));
        assert_eq!(tomorrow, Dated { age: Age::Unknown, absurd: true });
    }

    #[test]
    fn a_question_is_as_old_as_it_was_kept_and_late_on_the_way() {
        let sent = ago(0);
        assert_eq!(of_question(ago(120), sent, NOON, Some(0)), Duration::from_millis(120));
        // Two hours behind, and always so.
        let (occurred, sent) = (ago(7_200_050), ago(7_200_000));
        assert_eq!(of_question(occurred, sent, NOON, Some(7_200_000)), Duration::from_millis(50));
        // It arrives four seconds later than others do.
        assert_eq!(of_question(occurred, sent, NOON.plus_ms(4_000), Some(7_200_000)), Duration::from_millis(4_050));
    }

    #[test]
    fn an_expiry_is_told_in_the_peers_own_time() {
        assert_eq!(as_theirs(NOON, Some(10_000)).to_utc(), NOON.plus_ms(-10_000));
        assert_eq!(as_theirs(NOON, None).to_utc(), NOON);
    }
}
