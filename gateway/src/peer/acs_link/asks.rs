//! The questions of a peer: which are open, and what was answered, for recognising in its reports what our own answer
//! brought about and what it decided by itself.
//!
//! Owns the numbers by which the core knows them. Never decides. Bounded: [`OPEN_MAX`] open, [`KNOWN_MAX`] remembered.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;
use wire::acs_link::Uuid;
use wire::acs_link::message::PassCode;

/// Questions of one peer that may be open at once: each of 32 turnstiles both ways. One more is answered `BUSY`.
pub const OPEN_MAX: usize = 64;
/// Questions remembered for the reports about them; the oldest is forgotten, and its report is then told by its card.
pub const KNOWN_MAX: usize = 512;

/// What is known of the questions of one peer.
#[derive(Debug)]
pub struct Asks {
    next: u64,
    open: HashMap<u64, (Uuid, Instant)>,
    known: HashMap<Uuid, Known>,
    order: VecDeque<Uuid>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    no: u64,
    /// What the core answered, in time or not.
    answer: Option<bool>,
}

/// Why a question is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAsked {
    /// [`OPEN_MAX`] are open.
    Busy,
    /// The same question was asked before.
    Again,
}

/// What a report has to do with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearing {
    /// The question that it ends as it was answered; `None`: the peer decided by itself.
    pub ask: Option<u64>,
    /// The question that was granted, too late: the peer had refused already.
    pub in_vain: Option<u64>,
}

impl Asks {
    /// No question yet. Numbers begin behind `from`: at random, so that those of a task that was started again are not
    /// taken for those of the one before.
    pub fn new(from: u64) -> Self {
        Self { next: from >> 1, open: HashMap::new(), known: HashMap::new(), order: VecDeque::new() }
    }

    /// Notes a question whose answer is of use until `until`. Gives it a number.
    ///
    /// # Errors
    /// See [`NotAsked`].
    pub fn ask(&mut self, request: Uuid, until: Instant, now: Instant) -> Result<u64, NotAsked> {
        if self.known.contains_key(&request) {
            return Err(NotAsked::Again);
        }
        if self.open.len() >= OPEN_MAX {
            self.open.retain(|_, (_, until)| *until > now);
        }
        if self.open.len() >= OPEN_MAX {
            return Err(NotAsked::Busy);
        }
        self.next += 1;
        self.open.insert(self.next, (request, until));
        self.known.insert(request, Known { no: self.next, answer: None });
        self.order.push_back(request);
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        Ok(self.next)
    }

    /// The core has answered. Gives the request, if the answer is still of use.
    pub fn answered(&mut self, no: u64, granted: bool, now: Instant) -> Option<Uuid> {
        let (request, until) = self.open.remove(&no)?;
        if let Some(known) = self.known.get_mut(&request) {
            known.answer = Some(granted);
        }
        (now <= until).then_some(request)
    }

    /// The connection is gone: nobody waits for answers any more. What they were is still of interest.
    pub fn lost(&mut self, now: Instant) {
        for (_, until) in self.open.values_mut() {
            *until = (*until).min(now);
        }
    }

    /// What a report about `request` means.
    pub fn bearing(&self, request: Option<Uuid>, code: PassCode) -> Bearing {
        let known = request.and_then(|request| self.known.get(&request));
        let Some(Known { no, answer: Some(answer) }) = known.copied() else {
            return Bearing { ask: None, in_vain: None };
        };
        let granted = match code {
            PassCode::Granted | PassCode::Passed | PassCode::NotTaken => true,
            PassCode::Denied => false,
            PassCode::Forced | PassCode::Duress => return Bearing { ask: None, in_vain: None },
        };
        Bearing { ask: (granted == answer).then_some(no), in_vain: (answer && !granted).then_some(no) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(n: u16) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        Uuid(bytes)
    }

    #[tokio::test]
    async fn an_answer_in_time_goes_out_and_a_late_one_does_not() {
        let (now, mut asks) = (Instant::now(), Asks::new(7));
        let until = now + Duration::from_millis(700);
        let (first, second) = (asks.ask(request(1), until, now).unwrap(), asks.ask(request(2), until, now).unwrap());
        assert_eq!(asks.answered(first, true, until), Some(request(1)));
        assert_eq!(asks.answered(second, true, until + Duration::from_millis(1)), None);
        assert_eq!(asks.answered(first, true, now), None, "answered once");
        assert_eq!(asks.ask(request(1), until, now), Err(NotAsked::Again));
    }

    #[tokio::test]
    async fn a_report_is_told_apart_from_what_was_answered() {
        let (now, mut asks) = (Instant::now(), Asks::new(7));
        let until = now + Duration::from_secs(1);
        let no = asks.ask(request(1), until, now).unwrap();
        let open = asks.bearing(Some(request(1)), PassCode::Granted);
        assert_eq!(open, Bearing { ask: None, in_vain: None }, "not answered: its own decision");
        asks.answered(no, true, now);
        assert_eq!(asks.bearing(Some(request(1)), PassCode::Passed), Bearing { ask: Some(no), in_vain: None });
        assert_eq!(asks.bearing(Some(request(1)), PassCode::Denied), Bearing { ask: None, in_vain: Some(no) });
        assert_eq!(asks.bearing(Some(request(9)), PassCode::Passed), Bearing { ask: None, in_vain: None });
        assert_eq!(asks.bearing(None, PassCode::Passed), Bearing { ask: None, in_vain: None });
    }

    #[tokio::test]
    async fn open_and_remembered_questions_are_bounded() {
        let (now, mut asks) = (Instant::now(), Asks::new(7));
        let until = now + Duration::from_millis(50);
        for n in 0..OPEN_MAX as u16 {
            asks.ask(request(n), until, now).unwrap();
        }
        assert_eq!(asks.ask(request(9999), until, now), Err(NotAsked::Busy));
        // Those whose time is over make room.
        let later = until + Duration::from_millis(1);
        for n in 0..2 * KNOWN_MAX as u16 {
            let no = asks.ask(request(10_000 + n), later, later).unwrap();
            asks.answered(no, true, later);
        }
        assert!(asks.known.len() <= KNOWN_MAX && asks.order.len() <= KNOWN_MAX && asks.open.len() <= OPEN_MAX);
    }

    #[tokio::test]
    async fn after_the_connection_is_lost_no_answer_goes_out() {
        let (now, mut asks) = (Instant::now(), Asks::new(7));
        let no = asks.ask(request(1), now + Duration::from_secs(9), now).unwrap();
        asks.lost(now);
        assert_eq!(asks.answered(no, true, now + Duration::from_millis(1)), None);
        assert_eq!(asks.bearing(Some(request(1)), PassCode::Passed).ask, Some(no));
    }
}
