//! Who comes next at a point: a question stands behind the report of how the grant before it ended.
//!
//! A report is looked up in the journal before it goes to the core, a question is not. Without this, whoever steps up
//! at once behind somebody would be refused because the point still seems taken. Owns the questions that wait for such
//! reports: as many as are open at most, each for as long as one look into the journal takes. Never decides.

use std::collections::VecDeque;
use std::time::Duration;

use domain::card::{CardError, CardNumber};
use domain::ids::ReaderId;
use tokio::time::Instant;
use wire::acs_link::message::{PassCode, PassEvent};
use wire::acs_link::{Body, Token};

use crate::line::{Ask, ReaderFact};

/// A question that is ready for the core.
#[derive(Debug)]
pub struct Question {
    /// Where.
    pub reader: ReaderId,
    /// The card.
    pub number: Result<CardNumber, CardError>,
    /// Its age when it came.
    pub age: Duration,
    /// What it is known by.
    pub ask: Ask,
    /// When it came.
    pub at: Instant,
}

impl Question {
    /// As the core is told.
    pub fn into_fact(self) -> ReaderFact {
        ReaderFact::Asked { number: self.number, age: self.age, ask: self.ask }
    }
}

/// Reports on their way to the core, and the questions behind them.
#[derive(Debug, Default)]
pub struct Turns {
    /// Points whose grant ends with a message that has not gone to the core, and its number, rising.
    ends: VecDeque<(Token, u64)>,
    /// Questions, and the message that each waits for.
    waiting: Vec<(u64, Question)>,
}

impl Turns {
    /// The point whose grant of ours a message ends, if it does that.
    pub fn ended_by(body: &Body) -> Option<Token> {
        let Body::PassEvent(PassEvent { request: Some(_), point, result, .. }) = body else { return None };
        matches!(result.code, PassCode::Passed | PassCode::NotTaken).then(|| point.clone())
    }

    /// A message that ends a grant at that point is on its way to the core.
    pub fn under_way(&mut self, seq: u64, point: Token) {
        self.ends.push_back((point, seq));
    }

    /// A question about a point. Given back if nothing is before it.
    pub fn queue(&mut self, point: &Token, question: Question) -> Option<Question> {
        match self.ends.iter().rev().find(|(at, _)| at == point) {
            Some((_, seq)) => {
                self.waiting.push((*seq, question));
                None
            }
            None => Some(question),
        }
    }

    /// Messages up to `seq` are with the core: gives the questions that waited for them, in their order.
    pub fn reached(&mut self, seq: u64) -> Vec<Question> {
        while self.ends.pop_front_if(|(_, end)| *end <= seq).is_some() {}
        self.waiting.extract_if(.., |(behind, _)| *behind <= seq).map(|(_, question)| question).collect()
    }

    /// The connection is gone, and with it what waited.
    pub fn lost(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use domain::UtcMillis;
    use domain::card::{self, CardFormat};
    use wire::acs_link::message::{ClockState, Direction, PassResult};
    use wire::acs_link::{self as acs, Uuid};

    use super::*;

    fn ended(point: &str, code: PassCode, asked: bool) -> Body {
        Body::PassEvent(PassEvent {
            event_id: Token::new("e").unwrap(),
            occurred_at: acs::Instant::from_utc(UtcMillis(0)),
            clock: ClockState::Synced,
            request: asked.then_some(Uuid([1; 16])),
            point: Token::new(point).unwrap(),
            credential: None,
            person: None,
            direction: Direction::In,
            result: PassResult { code, reason: None, by: None },
            ext: Vec::new(),
        })
    }

    fn question(no: u64) -> Question {
        let at = Instant::now();
        let number = card::parse(CardFormat::Wiegand26, "1,2");
        let reader = ReaderId::new("in").unwrap();
        Question { reader, number, age: Duration::ZERO, ask: Ask { no, until: at }, at }
    }

    fn numbers(questions: Vec<Question>) -> Vec<u64> {
        questions.into_iter().map(|question| question.ask.no).collect()
    }

    #[test]
    fn a_question_waits_for_the_end_of_the_grant_before_it_at_its_point_and_for_nothing_else() {
        let (a, b) = (Token::new("a").unwrap(), Token::new("b").unwrap());
        let mut turns = Turns::default();
        assert!(turns.queue(&a, question(1)).is_some());
        assert_eq!(Turns::ended_by(&ended("a", PassCode::Granted, true)), None);
        assert_eq!(Turns::ended_by(&ended("a", PassCode::Passed, false)), None, "no grant of ours");
        turns.under_way(9, Turns::ended_by(&ended("a", PassCode::NotTaken, true)).unwrap());
        assert!(turns.queue(&b, question(3)).is_some());
        assert!(turns.queue(&a, question(4)).is_none());
        turns.under_way(10, Turns::ended_by(&ended("a", PassCode::Passed, true)).unwrap());
        assert!(turns.queue(&a, question(5)).is_none());
        assert_eq!(numbers(turns.reached(8)), [0; 0]);
        assert_eq!(numbers(turns.reached(9)), [4]);
        assert_eq!(numbers(turns.reached(12)), [5]);
        assert!(turns.queue(&a, question(6)).is_some());
    }

    #[test]
    fn nothing_waits_beyond_the_connection() {
        let a = Token::new("a").unwrap();
        let mut turns = Turns::default();
        turns.under_way(1, a.clone());
        assert!(turns.queue(&a, question(1)).is_none());
        turns.lost();
        assert!(turns.queue(&a, question(2)).is_some());
        assert_eq!(numbers(turns.reached(1)), [0; 0]);
    }
}
