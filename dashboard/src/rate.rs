//! How often one account or key may ask for what is expensive or reveals much: search, export, photographs, reveals.
//! A token bucket for each (ASVS 2.4.1). Pure but for its lock: the instant is a parameter.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Buckets kept; beyond it those that are full again are forgotten, then the one that rested longest.
const BUCKETS_MAX: usize = 10_000;

/// How much work a route makes, or how much it reveals, and so how often it may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rate {
    /// An ordinary page or answer.
    Page,
    /// A search through much.
    Search,
    /// An export.
    Export,
    /// A file taken in or a picture given out; a guard's page asks for many.
    File,
    /// Personal data in clear, one person at a time. A desk that serves a queue stays under it, a program that copies
    /// the vault does not.
    Reveal,
    /// A guess at a secret: sign-in, link, second factor. Throttled by the clinic itself.
    Secret,
    /// A call of another program by a standard; many workstations may stand behind one address.
    Service,
}

impl Rate {
    /// Requests at once.
    pub const fn burst(self) -> u32 {
        match self {
            Self::Page | Self::Secret => 300,
            Self::Service => 3000,
            Self::Search | Self::Export => 20,
            Self::File => 200,
            Self::Reveal => 30,
        }
    }

    /// Requests a minute in the long run.
    pub const fn per_minute(self) -> u32 {
        match self {
            Self::Page | Self::Secret => 1200,
            Self::Service => 30_000,
            Self::Search | Self::Reveal => 60,
            Self::Export => 20,
            Self::File => 600,
        }
    }
}

/// A request that comes too soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSoon {
    /// When there is room again; at least a second.
    pub retry_after: Duration,
    /// Whether this is the first one refused since requests were let through: what is worth recording.
    pub begins: bool,
}

/// The buckets of everybody. Memory: [`BUCKETS_MAX`] of about 100 bytes.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<(String, Rate), Bucket>>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Requests that may come at once, in fractions.
    room: f64,
    at: Instant,
    refusing: bool,
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.room = (self.room + passed * f64::from(rate.per_minute()) / 60.0).min(f64::from(rate.burst()));
        self.at = now;
    }
}

impl Rates {
    /// Counts a request of `who` (the id of an account or key, or an address), or refuses it.
    ///
    /// # Errors
    /// [`TooSoon`].
    pub fn take(&self, who: &str, rate: Rate, now: Instant) -> Result<(), TooSoon> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let subject = (who.to_owned(), rate);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&subject) {
            make_room(&mut buckets, now);
        }
        let full = Bucket { room: f64::from(rate.burst()), at: now, refusing: false };
        let bucket = buckets.entry(subject).or_insert(full);
        bucket.fill(rate, now);
        if bucket.room >= 1.0 {
            bucket.room -= 1.0;
            bucket.refusing = false;
            return Ok(());
        }
        let begins = !bucket.refusing;
        bucket.refusing = true;
        let seconds = ((1.0 - bucket.room) * 60.0 / f64::from(rate.per_minute())).ceil().max(1.0);
        Err(TooSoon { retry_after: Duration::from_secs_f64(seconds), begins })
    }
}

fn make_room(buckets: &mut HashMap<(String, Rate), Bucket>, now: Instant) {
    buckets.retain(|(_, rate), bucket| {
        bucket.fill(*rate, now);
        bucket.room < f64::from(rate.burst())
    });
    if buckets.len() >= BUCKETS_MAX
        && let Some(longest) = buckets.iter().max_by(|a, b| a.1.room.total_cmp(&b.1.room)).map(|(who, _)| who.clone())
    {
        buckets.remove(&longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_too_often_is_told_when_to_come_back() {
        let (rates, start) = (Rates::default(), Instant::now());
        for _ in 0..Rate::Search.burst() {
            rates.take("a", Rate::Search, start).unwrap();
        }
        let first = rates.take("a", Rate::Search, start).unwrap_err();
        assert_eq!((first.retry_after, first.begins), (Duration::from_secs(1), true));
        assert!(!rates.take("a", Rate::Search, start).unwrap_err().begins, "recorded once");
        rates.take("b", Rate::Search, start).unwrap();
        rates.take("a", Rate::Page, start).unwrap();
        rates.take("a", Rate::Search, start + first.retry_after).unwrap();
        assert!(
            rates.take("a", Rate::Search, start + first.retry_after).unwrap_err().begins,
            "and again after a success"
        );
    }

    #[tokio::test]
    async fn in_the_long_run_the_rate_holds() {
        let (rates, start) = (Rates::default(), Instant::now());
        let let_through = (0..36_000_u64)
            .filter(|n| rates.take("a", Rate::Reveal, start + Duration::from_millis(n * 100)).is_ok())
            .count();
        let expected = 60 * 60 + 30;
        assert!((expected - 2..=expected + 1).contains(&let_through), "{let_through} in an hour");
    }

    #[tokio::test]
    async fn the_table_is_bounded_and_keeps_those_who_must_wait() {
        let (rates, start) = (Rates::default(), Instant::now());
        for _ in 0..=Rate::Search.burst() {
            let _ = rates.take("busy", Rate::Search, start);
        }
        for n in 0..BUCKETS_MAX * 2 {
            let _ = rates.take(&n.to_string(), Rate::Search, start);
        }
        assert!(rates.0.lock().unwrap().len() <= BUCKETS_MAX);
        assert!(rates.take("busy", Rate::Search, start).is_err(), "a flood of others does not clear its account");
    }
}
