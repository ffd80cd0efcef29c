//! One access point seen from the street: people queue, one at a time holds a card to a reader, waits for an answer,
//! walks through or leaves.
//!
//! Pure: events of the point's readers come in with the time, [`Action`]s come out. Knows no wire and no panel.

use std::collections::VecDeque;
use std::time::Duration;

use domain::card::CardNumber;
use tokio::sync::oneshot;
use wire::osdp::device::CardTag;

use crate::gate::{Contact, Gate, Walk, Walked};

/// People waiting at one point. Whoever comes to a longer queue goes away: [`Outcome::QueueFull`].
pub const QUEUE_MAX: usize = 1000;

/// After an answer without a release, how long a person waits before understanding that it was a refusal.
pub const REFUSAL_UNDERSTOOD_AFTER: Duration = Duration::from_millis(600);

/// How an attempt to go through ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Released, and through.
    Passed,
    /// Released, but did not go.
    NotTaken,
    /// Answered, not released.
    Refused,
    /// Answered, at a desk where there is nothing to release.
    Answered,
    /// Printed on a line that takes no answers.
    Printed,
    /// No answer within the person's patience.
    Unanswered,
    /// Too long a queue, or a reader that takes no more cards.
    QueueFull,
}

/// How the reader answered first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnsweredBy {
    /// The release.
    Output,
    /// A temporary LED pattern. A permanent one is the reader's idle state and no answer.
    Led,
    /// The buzzer.
    Buzzer,
    /// A text.
    Text,
}

/// One person at one point.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Number of the tap, for the record.
    pub(crate) tap: u64,
    /// Index of the reader on its line.
    pub(crate) reader: usize,
    /// The card held to it.
    pub(crate) card: CardNumber,
    /// What the person does when released.
    pub(crate) walk: Walk,
    /// How long the person waits for an answer.
    pub(crate) patience: Duration,
    /// Who wants to know.
    pub(crate) done: oneshot::Sender<Outcome>,
}

/// What the owner of the line has to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Hold the card to the reader; then call [`PassagePoint::on_presented`].
    Present { reader: usize, card: CardNumber },
    /// A contact changed.
    Contact { contact: Contact, active: bool },
    /// The tap was answered for the first time.
    Answered { tap: u64, reader: usize, card: CardNumber, by: AnsweredBy, waited: Duration },
    /// The attempt is over; whoever waited has been told.
    Ended { tap: u64, reader: usize, card: CardNumber, outcome: Outcome, answered: bool },
}

/// One access point.
#[derive(Debug)]
pub(crate) struct PassagePoint {
    gate: Gate,
    released: Vec<usize>,
    queue: VecDeque<Attempt>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    attempt: Attempt,
    since: Duration,
    tag: Option<CardTag>,
    sent: bool,
    answered: Option<(Duration, AnsweredBy)>,
    announced: bool,
    released: bool,
    outcome: Option<Outcome>,
}

impl PassagePoint {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, released: Vec::new(), queue: VecDeque::new(), current: None }
    }

    /// Somebody comes.
    pub(crate) fn enqueue(&mut self, attempt: Attempt) {
        if self.queue.len() >= QUEUE_MAX {
            let _ = attempt.done.send(Outcome::QueueFull);
        } else {
            self.queue.push_back(attempt);
        }
    }

    /// The gate, for force and buttons.
    pub(crate) fn gate(&mut self) -> &mut Gate {
        &mut self.gate
    }

    /// The card was held to the reader; `None`: it takes no more.
    pub(crate) fn on_presented(&mut self, tag: Option<CardTag>) {
        let Some(current) = &mut self.current else { return };
        match tag {
            Some(tag) => current.tag = Some(tag),
            None => current.outcome = Some(Outcome::QueueFull),
        }
    }

    /// The line takes no answers: the attempt is over.
    pub(crate) fn on_printed(&mut self) {
        if let Some(current) = &mut self.current {
            current.outcome = Some(Outcome::Printed);
        }
    }

    /// The reader sent that card to its panel.
    pub(crate) fn on_sent(&mut self, reader: usize, tag: CardTag) {
        if let Some(current) = self.current.as_mut().filter(|current| current.attempt.reader == reader) {
            current.sent |= current.tag == Some(tag);
        }
    }

    /// The reader's panel began anew: the card it was sent is lost with the old link, and what the new one says is
    /// no answer to it.
    pub(crate) fn on_link_restarted(&mut self, reader: usize) {
        if let Some(current) = self.current.as_mut().filter(|current| current.attempt.reader == reader) {
            current.sent &= current.answered.is_some();
        }
    }

    /// The panel answered at that reader.
    pub(crate) fn on_answer(&mut self, now: Duration, reader: usize, by: AnsweredBy) {
        if let Some(current) = self.current.as_mut().filter(|current| current.attempt.reader == reader && current.sent)
        {
            current.answered.get_or_insert((now, by));
        }
    }

    /// The release output of one of the point's readers changed.
    pub(crate) fn on_release(&mut self, now: Duration, reader: usize, on: bool) {
        self.released.retain(|other| *other != reader);
        if on {
            self.released.push(reader);
        }
        let released = !self.released.is_empty();
        if on && let Some(current) = self.current.as_mut().filter(|current| current.sent) {
            current.answered.get_or_insert((now, AnsweredBy::Output));
            current.released = true;
        }
        self.gate.set_released(now, released);
    }

    /// What has to be done by `now`. Call until `None`.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Action> {
        if let Some(change) = self.gate.next_change(now) {
            return Some(Action::Contact { contact: change.contact, active: change.active });
        }
        let walked = self.gate.next_walked(now);
        let Some(current) = &mut self.current else {
            // One at a time, and not into a gate that is still moving.
            if self.gate.is_busy() || self.gate.is_open() || self.gate.is_released() {
                return None;
            }
            let attempt = self.queue.pop_front()?;
            let (reader, card) = (attempt.reader, attempt.card.clone());
            self.gate.expect(attempt.walk);
            self.current = Some(Current {
                attempt,
                since: now,
                tag: None,
                sent: false,
                answered: None,
                announced: false,
                released: false,
                outcome: None,
            });
            return Some(Action::Present { reader, card });
        };
        if let Some((at, by)) = current.answered
            && !current.announced
        {
            current.announced = true;
            let Attempt { tap, reader, card, .. } = &current.attempt;
            let waited = at.saturating_sub(current.since);
            return Some(Action::Answered { tap: *tap, reader: *reader, card: card.clone(), by, waited });
        }
        current.outcome = current.outcome.or(match walked {
            Some(Walked::Through) => Some(Outcome::Passed),
            Some(Walked::NotTaken) => Some(Outcome::NotTaken),
            None => None,
        });
        let kind = self.gate.kind();
        current.outcome = current.outcome.or_else(|| current.verdict(now, kind));
        let outcome = current.outcome?;
        let Current { attempt, answered, .. } = self.current.take()?;
        // Who stood there has left; who is walking through goes on.
        self.gate.leave();
        let Attempt { tap, reader, card, done, .. } = attempt;
        let _ = done.send(outcome);
        Some(Action::Ended { tap, reader, card, outcome, answered: answered.is_some() })
    }

    /// When [`Self::next`] will have something.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let person = self.current.as_ref().and_then(|current| match current.answered {
            _ if current.released => None,
            Some((at, _)) => Some(at + REFUSAL_UNDERSTOOD_AFTER),
            None => Some(current.since + current.attempt.patience),
        });
        [person, self.gate.deadline()].into_iter().flatten().min()
    }

    /// Whether nobody is there.
    pub(crate) fn is_quiet(&self) -> bool {
        self.current.is_none() && self.queue.is_empty() && self.gate.deadline().is_none()
    }
}

impl Current {
    /// How the attempt ends by `now` without the gate's help, if it does.
    fn verdict(&self, now: Duration, gate: crate::gate::GateKind) -> Option<Outcome> {
        match self.answered {
            Some(_) if gate == crate::gate::GateKind::None => Some(Outcome::Answered),
            _ if self.released => None,
            Some((at, _)) => (now >= at + REFUSAL_UNDERSTOOD_AFTER).then_some(Outcome::Refused),
            None => (now >= self.since + self.attempt.patience).then_some(Outcome::Unanswered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::GateKind;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn attempt(tap: u64, reader: usize) -> (Attempt, oneshot::Receiver<Outcome>) {
        let (done, outcome) = oneshot::channel();
        let card = domain::card::parse(domain::card::CardFormat::FacilityNumber, "12,345").unwrap();
        let walk = Walk::Through { after: ms(500), followers: 0, hold: Duration::ZERO };
        (Attempt { tap, reader, card, walk, patience: ms(4000), done }, outcome)
    }

    /// Runs the point to `until`; every action's name with its time.
    fn run(point: &mut PassagePoint, from: u64, until: u64) -> Vec<(u64, String)> {
        let mut out = Vec::new();
        let mut now = ms(from);
        loop {
            while let Some(action) = point.next(now) {
                let name = match action {
                    Action::Present { reader, .. } => {
                        point.on_presented(Some(CardTag(7)));
                        format!("present at {reader}")
                    }
                    Action::Contact { active, .. } => format!("contact {active}"),
                    Action::Answered { by, .. } => format!("answered {by:?}"),
                    Action::Ended { outcome, .. } => format!("{outcome:?}"),
                };
                out.push((u64::try_from(now.as_millis()).unwrap(), name));
            }
            match point.deadline() {
                Some(at) if at <= ms(until) => now = at.max(now),
                _ => return out,
            }
        }
    }

    fn names(actions: Vec<(u64, String)>) -> Vec<String> {
        actions.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn a_released_person_passes_and_the_next_one_waits_for_it() {
        let mut point = PassagePoint::new(Gate::new(GateKind::Turnstile));
        let (first, mut first_outcome) = attempt(1, 0);
        let (second, _second_outcome) = attempt(2, 1);
        point.enqueue(first);
        point.enqueue(second);
        assert_eq!(names(run(&mut point, 0, 0)), ["present at 0"]);
        point.on_sent(0, CardTag(7));
        point.on_answer(ms(20), 0, AnsweredBy::Led);
        point.on_release(ms(30), 0, true);
        let actions = run(&mut point, 30, 2900);
        assert_eq!(
            actions,
            [
                (30, "answered Led".into()),
                (530, "contact true".into()),
                (1030, "contact false".into()),
                (1030, "Passed".into())
            ]
        );
        assert_eq!(first_outcome.try_recv(), Ok(Outcome::Passed));
        point.on_release(ms(3000), 0, false);
        assert_eq!(names(run(&mut point, 3000, 3000)), ["present at 1"]);
    }

    #[test]
    fn an_answer_without_a_release_is_a_refusal() {
        let mut point = PassagePoint::new(Gate::new(GateKind::Door));
        let (attempt, mut outcome) = attempt(1, 0);
        point.enqueue(attempt);
        run(&mut point, 0, 0);
        point.on_sent(0, CardTag(7));
        point.on_answer(ms(20), 0, AnsweredBy::Buzzer);
        assert_eq!(run(&mut point, 20, 9000), [(20, "answered Buzzer".into()), (620, "Refused".into())]);
        assert_eq!(outcome.try_recv(), Ok(Outcome::Refused));
        assert!(point.is_quiet());
    }

    #[test]
    fn no_answer_counts_that_came_before_the_card_was_sent_or_from_another_reader() {
        let mut point = PassagePoint::new(Gate::new(GateKind::Door));
        let (attempt, mut outcome) = attempt(1, 0);
        point.enqueue(attempt);
        run(&mut point, 0, 0);
        point.on_answer(ms(10), 0, AnsweredBy::Led);
        point.on_sent(0, CardTag(6));
        point.on_answer(ms(20), 0, AnsweredBy::Led);
        point.on_sent(0, CardTag(7));
        point.on_answer(ms(30), 1, AnsweredBy::Led);
        assert_eq!(run(&mut point, 30, 9000), [(4000, "Unanswered".into())]);
        assert_eq!(outcome.try_recv(), Ok(Outcome::Unanswered));
    }

    #[test]
    fn what_a_restarted_panel_says_is_no_answer_to_a_card_of_before() {
        let mut point = PassagePoint::new(Gate::new(GateKind::Door));
        let (attempt, mut outcome) = attempt(1, 0);
        point.enqueue(attempt);
        run(&mut point, 0, 0);
        point.on_sent(0, CardTag(7));
        point.on_link_restarted(0);
        point.on_answer(ms(30), 0, AnsweredBy::Led);
        assert_eq!(run(&mut point, 30, 9000), [(4000, "Unanswered".into())]);
        assert_eq!(outcome.try_recv(), Ok(Outcome::Unanswered));
    }

    #[test]
    fn a_desk_only_answers() {
        let mut point = PassagePoint::new(Gate::new(GateKind::None));
        let (attempt, mut outcome) = attempt(1, 0);
        point.enqueue(attempt);
        run(&mut point, 0, 0);
        point.on_sent(0, CardTag(7));
        point.on_answer(ms(20), 0, AnsweredBy::Led);
        assert_eq!(names(run(&mut point, 20, 20)), ["answered Led", "Answered"]);
        assert_eq!(outcome.try_recv(), Ok(Outcome::Answered));
    }

    #[test]
    fn who_walks_away_leaves_the_release_to_run_out() {
        let mut point = PassagePoint::new(Gate::new(GateKind::Turnstile));
        let (mut attempt, mut outcome) = attempt(1, 0);
        attempt.walk = Walk::Away;
        point.enqueue(attempt);
        run(&mut point, 0, 0);
        point.on_sent(0, CardTag(7));
        point.on_release(ms(30), 0, true);
        assert_eq!(names(run(&mut point, 30, 2900)), ["answered Output"]);
        point.on_release(ms(3030), 0, false);
        assert_eq!(names(run(&mut point, 3030, 3030)), ["NotTaken"]);
        assert_eq!(outcome.try_recv(), Ok(Outcome::NotTaken));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut point = PassagePoint::new(Gate::new(GateKind::Turnstile));
        let mut waiting = Vec::new();
        for tap in 0..=QUEUE_MAX as u64 {
            let (attempt, outcome) = attempt(tap, 0);
            point.enqueue(attempt);
            waiting.push(outcome);
        }
        assert_eq!(waiting.pop().unwrap().try_recv(), Ok(Outcome::QueueFull));
    }
}
