//! One desktop reader: its profile, its line buffer, and for a TWN4 the rhythm of asking.

use std::collections::VecDeque;
use std::time::Duration;

use super::line::LineReader;
use super::pattern::Pattern;
use super::reading::{Reading, Rejection};
use super::{ironlogic, twn};

/// Events kept until they are taken. When full, [`Source::on_bytes`] stops taking bytes: the serial driver's buffer
/// fills and nothing is lost here.
pub const EVENTS_MAX: usize = 64;

/// The reader model, and with it the form of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// IronLogic Z-2 USB, Matrix III RD-All: prints a line on placing and on removing a card.
    IronLogic,
    /// A reader whose output was configured: prints a line of this form on placing a card.
    Pattern(Pattern),
    /// Elatec TWN4 with the Simple Protocol image: is asked ten times a second.
    Twn4,
    /// Elatec TWN3: prints by itself on placing a card.
    Twn3,
}

/// What a reader did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A card was placed.
    Card(Reading),
    /// The card was taken away (only IronLogic and TWN4 say so).
    Removed,
    /// A line that cannot be used; counted as well.
    Rejected(Rejection),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write these bytes, then ask again.
    Send(&'static [u8]),
    /// Nothing to do before this time unless bytes come.
    WaitUntil(Duration),
    /// Nothing to do until bytes come.
    WaitForBytes,
}

/// Counts since the source was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Cards placed.
    pub cards: u64,
    /// Lines that could not be used, of any reason.
    pub rejected: u64,
    /// Questions that were not answered in time (TWN4 only).
    pub timeouts: u64,
}

/// One desktop reader; see the [module's text](super) for its run loop.
#[derive(Debug)]
pub struct Source {
    profile: Profile,
    lines: LineReader,
    events: VecDeque<Event>,
    counters: Counters,
    asking: Asking,
    present: Option<Reading>,
    misses: u8,
}

#[derive(Debug, Clone, Copy)]
enum Asking {
    At(Duration),
    Answer { due: Duration, ask_again: Duration },
}

impl Source {
    /// A reader of this profile, not yet heard of.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            lines: LineReader::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            asking: Asking::At(Duration::ZERO),
            present: None,
            misses: 0,
        }
    }

    /// Takes bytes from the port and returns how many it took: fewer than all only when [`EVENTS_MAX`] events wait
    /// in [`Self::poll_event`].
    #[must_use = "bytes not taken must be handed in again"]
    pub fn on_bytes(&mut self, _now: Duration, bytes: &[u8]) -> usize {
        for (taken, byte) in bytes.iter().enumerate() {
            if self.events.len() >= EVENTS_MAX {
                return taken;
            }
            let Some(line) = self.lines.push(*byte) else { continue };
            let parsed = match (line, &self.profile) {
                (Err(_), _) => Err(Rejection::TooLong),
                (Ok(line), Profile::IronLogic) => ironlogic::parse(line),
                (Ok(line), Profile::Pattern(pattern)) => pattern.parse(line).map(Some),
                (Ok(line), Profile::Twn3) => twn::parse_twn3(line).map(Some),
                (Ok(line), Profile::Twn4) => twn::parse_twn4(line),
            };
            if self.profile == Profile::Twn4 {
                self.on_answer(parsed);
            } else {
                self.push(match parsed {
                    Ok(Some(reading)) => Event::Card(reading),
                    Ok(None) => Event::Removed,
                    Err(rejection) => Event::Rejected(rejection),
                });
            }
        }
        bytes.len()
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Duration) -> Step {
        if self.profile != Profile::Twn4 {
            return Step::WaitForBytes;
        }
        match self.asking {
            Asking::At(at) if now < at => Step::WaitUntil(at),
            Asking::Answer { due, .. } if now < due => Step::WaitUntil(due),
            state => {
                if matches!(state, Asking::Answer { .. }) {
                    self.counters.timeouts += 1;
                }
                // Whatever came before the question does not answer it.
                self.lines.clear();
                self.asking =
                    Asking::Answer { due: now + twn::TWN4_REPLY_TIMEOUT, ask_again: now + twn::TWN4_POLL_EVERY };
                Step::Send(twn::SEARCH_TAG)
            }
        }
    }

    /// The oldest event not taken yet.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Counts since the source was made.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn on_answer(&mut self, parsed: Result<Option<Reading>, Rejection>) {
        // An answer that nobody waits for belongs to a question given up: it is old.
        let Asking::Answer { ask_again, .. } = self.asking else { return };
        self.asking = Asking::At(ask_again);
        match parsed {
            Ok(Some(reading)) => {
                self.misses = 0;
                if self.present.as_ref() != Some(&reading) {
                    self.present = Some(reading.clone());
                    self.push(Event::Card(reading));
                }
            }
            Ok(None) if self.present.is_some() => {
                self.misses += 1;
                if self.misses >= twn::TWN4_MISSES_TO_REMOVE {
                    self.misses = 0;
                    self.present = None;
                    self.push(Event::Removed);
                }
            }
            Ok(None) => {}
            Err(rejection) => self.push(Event::Rejected(rejection)),
        }
    }

    fn push(&mut self, event: Event) {
        match event {
            Event::Card(_) => self.counters.cards += 1,
            Event::Rejected(_) => self.counters.rejected += 1,
            Event::Removed => {}
        }
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn feed(source: &mut Source, now: Duration, bytes: &[u8]) -> Vec<Event> {
        assert_eq!(source.on_bytes(now, bytes), bytes.len());
        std::iter::from_fn(|| source.poll_event()).collect()
    }

    #[test]
    fn a_card_placed_and_removed_gives_two_events() {
        let mut source = Source::new(Profile::IronLogic);
        assert_eq!(source.next(Duration::ZERO), Step::WaitForBytes);
        let events = feed(&mut source, Duration::ZERO, b"Em-Marine[5500] 126,58404\r\nNo card\r\nrubbish\r\n");
        assert!(matches!(events[..], [Event::Card(_), Event::Removed, Event::Rejected(Rejection::Form)]));
        assert_eq!(source.counters(), Counters { cards: 1, rejected: 1, timeouts: 0 });
    }

    #[test]
    fn no_number_is_shown_by_debug() {
        let mut source = Source::new(Profile::IronLogic);
        let events = feed(&mut source, Duration::ZERO, b"Em-Marine[5500] 126,58404\r\nEm-Marine[5500] 12");
        let shown = format!("{events:?} {source:?}");
        for secret in ["5500", "58404", "126", "85", "228"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_full_event_queue_stops_taking_bytes_and_loses_nothing() {
        let mut source = Source::new(Profile::IronLogic);
        let line = b"No card\r";
        let bytes = line.repeat(EVENTS_MAX + 10);
        let taken = source.on_bytes(Duration::ZERO, &bytes);
        assert_eq!(taken, EVENTS_MAX * line.len());
        assert_eq!(std::iter::from_fn(|| source.poll_event()).count(), EVENTS_MAX);
        assert_eq!(source.on_bytes(Duration::ZERO, &bytes[taken..]), 10 * line.len());
        assert_eq!(std::iter::from_fn(|| source.poll_event()).count(), 10);
    }

    #[test]
    fn twn4_is_asked_each_tenth_of_a_second_and_one_card_is_one_event() {
        let mut source = Source::new(Profile::Twn4);
        let mut events = Vec::new();
        let card = &b"000180380704112233445566\r"[..];
        for (tick, answer) in [card, card, b"0000\r", card, b"0000\r", b"0000\r", b"0000\r"].iter().enumerate() {
            let now = twn::TWN4_POLL_EVERY * u32::try_from(tick).unwrap();
            assert_eq!(source.next(now), Step::Send(b"0500FF\r"));
            assert_eq!(source.next(now), Step::WaitUntil(now + twn::TWN4_REPLY_TIMEOUT));
            events.extend(feed(&mut source, now + MS, answer));
            assert_eq!(source.next(now + MS), Step::WaitUntil(now + twn::TWN4_POLL_EVERY));
        }
        // One flicker is no removal; two misses are one.
        assert!(matches!(events[..], [Event::Card(_), Event::Removed]), "{events:?}");
    }

    #[test]
    fn twn4_that_does_not_answer_is_asked_again_and_a_late_half_answer_is_dropped() {
        let mut source = Source::new(Profile::Twn4);
        assert!(matches!(source.next(Duration::ZERO), Step::Send(_)));
        assert!(feed(&mut source, MS, b"00018038").is_empty());
        assert!(matches!(source.next(Duration::from_secs(1)), Step::Send(_)));
        assert_eq!(source.counters().timeouts, 1);
        assert!(feed(&mut source, Duration::from_secs(1) + MS, b"0000\r").is_empty());
        assert_eq!(source.counters().rejected, 0);
        // Nobody asked: not an answer.
        assert!(feed(&mut source, Duration::from_secs(1) + MS, b"000180380704112233445566\r").is_empty());
    }
}
