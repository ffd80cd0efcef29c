//! One access point of the controller: a rotor between two readers, and what stands open there.
//!
//! Owns the question under way, the release and the mode. Pure: times come in, [`Happening`]s come out, in the order
//! in which they are to be recorded; the caller writes them down before it carries the point's actions on. Never
//! speaks to the gateway.

use std::time::Duration;

use domain::card::CardNumber;
use wire::acs_link::Uuid;
use wire::acs_link::message::{Action as Order, Direction, PassCode, PointState, Source};
use wire::acs_link::{Token, message};
use wire::osdp::device::CardTag;

use super::passes::Found;
use crate::gate::{Contact, Gate};
use crate::passage::{Action, AnsweredBy, PassagePoint};

/// The release of a standing order, beside those of the readers.
const STANDING: usize = usize::MAX;
/// The release of an order to let one person through.
const PULSE: usize = usize::MAX - 1;
/// How long an ordered pulse releases.
const PULSE_TIME: Duration = Duration::from_secs(5);

/// What holds until further notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One person a grant.
    Normal,
    /// Open to all.
    FreePass,
    /// Closed to all.
    Locked,
    /// Open for an emergency.
    Emergency,
}

impl Mode {
    /// As the link says it.
    pub const fn state(self) -> PointState {
        match self {
            Self::Normal => PointState::Online,
            Self::FreePass => PointState::FreePass,
            Self::Locked => PointState::Locked,
            Self::Emergency => PointState::Emergency,
        }
    }

    const fn stands_open(self) -> bool {
        matches!(self, Self::FreePass | Self::Emergency)
    }
}

/// A card held to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tap {
    /// Index of the reader.
    pub(super) reader: usize,
    pub(super) card: CardNumber,
    pub(super) direction: Direction,
}

/// What the controller has to do about a point.
#[derive(Debug)]
pub(super) enum Happening {
    /// Somebody holds a card to a reader: ask the gateway ([`Turnstile::ask`]) or decide ([`Turnstile::decide`]).
    Tapped(Tap),
    /// The gateway did not answer in time: decide.
    Unanswered(Tap, Uuid),
    /// To be told as a PassEvent.
    Passage(Passage),
    /// For the record of taps.
    Seen(Action),
}

/// What a PassEvent tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) code: PassCode,
    pub(super) reason: Option<String>,
    pub(super) by: Option<Source>,
    pub(super) card: Option<CardNumber>,
    pub(super) person: Option<Token>,
    pub(super) direction: Direction,
    pub(super) request: Option<Uuid>,
}

impl Passage {
    fn anybody(code: PassCode, direction: Direction, reason: Option<&str>, by: Option<Source>) -> Self {
        Self { code, reason: reason.map(str::to_owned), by, card: None, person: None, direction, request: None }
    }
}

/// A question to the gateway.
#[derive(Debug)]
struct Asked {
    tap: Tap,
    request: Uuid,
    until: Duration,
}

/// Somebody may go through.
#[derive(Debug)]
struct Release {
    key: usize,
    until: Duration,
    /// As it will be told, but for the code.
    passage: Passage,
}

/// One point.
#[derive(Debug)]
pub(super) struct Turnstile {
    pub(super) at: Token,
    /// What people and rotor do.
    passage: PassagePoint,
    mode: Mode,
    asked: Option<Asked>,
    release: Option<Release>,
}

impl Turnstile {
    pub(super) fn new(at: Token, gate: Gate) -> Self {
        Self { at, passage: PassagePoint::new(gate), mode: Mode::Normal, asked: None, release: None }
    }

    /// The people at it.
    pub(super) fn people(&mut self) -> &mut PassagePoint {
        &mut self.passage
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// What comes next by `now`. Call until `None`.
    pub(super) fn next(&mut self, now: Duration, directions: &[Direction]) -> Option<Happening> {
        if let Some(Asked { tap, request, .. }) = self.asked.take_if(|asked| asked.until <= now) {
            return Some(Happening::Unanswered(tap, request));
        }
        loop {
            // The rotor first: what it saw counts before a release ends.
            match self.passage.next(now) {
                Some(Action::Present { reader, card }) => {
                    self.passage.on_presented(Some(CardTag(0)));
                    self.passage.on_sent(reader, CardTag(0));
                    let direction = directions.get(reader).copied().unwrap_or(Direction::Unknown);
                    return Some(Happening::Tapped(Tap { reader, card, direction }));
                }
                Some(Action::Contact { contact: Contact::Passage, active: true }) => {
                    return Some(Happening::Passage(self.turned(now)));
                }
                Some(Action::Contact { contact: Contact::Exit, active: true }) => {
                    let by = Some(Source::Controller);
                    let passage = Passage::anybody(PassCode::Passed, Direction::Out, Some("exit-button"), by);
                    self.open(now, PULSE, PULSE_TIME, passage);
                }
                Some(Action::Contact { .. }) => {}
                Some(seen @ (Action::Answered { .. } | Action::Ended { .. })) => return Some(Happening::Seen(seen)),
                None => break,
            }
        }
        let ended = self.release.take_if(|release| release.until <= now)?;
        self.passage.on_release(now, ended.key, false);
        // An order that nobody made use of is nobody's pass.
        let told = ended.passage.card.is_some();
        if !told {
            return self.next(now, directions);
        }
        Some(Happening::Passage(Passage { code: PassCode::NotTaken, ..ended.passage }))
    }

    /// When [`Turnstile::next`] will have something.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let asked = self.asked.as_ref().map(|asked| asked.until);
        let release = self.release.as_ref().map(|release| release.until);
        [asked, release, self.passage.deadline()].into_iter().flatten().min()
    }

    /// The question is on its way.
    pub(super) fn ask(&mut self, tap: Tap, request: Uuid, until: Duration) {
        self.asked = Some(Asked { tap, request, until });
    }

    /// The link is gone: nothing will answer.
    pub(super) fn give_up_asking(&mut self) -> Option<(Tap, Uuid)> {
        self.asked.take().map(|asked| (asked.tap, asked.request))
    }

    /// The gateway's answer; `None`: nobody asked, or it is too late.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        request: Uuid,
        granted: bool,
        reason: &str,
        time: Duration,
    ) -> Option<Passage> {
        let Asked { tap, .. } = self.asked.take_if(|asked| asked.request == request && asked.until > now)?;
        let passage = passage_of(&tap, Some(request), None, reason, Source::Server);
        Some(self.settle(now, &tap, granted, passage, time))
    }

    /// Decides without the gateway.
    pub(super) fn decide(
        &mut self,
        now: Duration,
        tap: &Tap,
        request: Option<Uuid>,
        found: Found,
        fallback: bool,
        time: Duration,
    ) -> Passage {
        let person = match &found {
            Found::Valid(person) | Found::Invalid(person, _) => Some(person.clone()),
            Found::Unknown => None,
        };
        let (granted, reason, by) = match (self.mode, found) {
            (Mode::Locked, _) => (false, "point-locked", Source::Controller),
            (Mode::FreePass, _) => (true, "free-pass", Source::Controller),
            (Mode::Emergency, _) => (true, "emergency", Source::Controller),
            (Mode::Normal, Found::Valid(_)) => (true, "ok", Source::OfflineCache),
            (Mode::Normal, Found::Invalid(_, why)) => (false, why, Source::OfflineCache),
            (Mode::Normal, Found::Unknown) if fallback => (true, "fallback", Source::Controller),
            (Mode::Normal, Found::Unknown) => (false, "unknown-credential", Source::Controller),
        };
        let passage = passage_of(tap, request, person, reason, by);
        self.settle(now, tap, granted, passage, time)
    }

    /// Refuses without a word to anybody: there is no room to record it.
    pub(super) fn ignore(&mut self, now: Duration, tap: &Tap) {
        self.passage.on_answer(now, tap.reader, AnsweredBy::Buzzer);
    }

    fn settle(&mut self, now: Duration, tap: &Tap, granted: bool, passage: Passage, time: Duration) -> Passage {
        let code = if granted { PassCode::Granted } else { PassCode::Denied };
        if granted {
            self.passage.on_answer(now, tap.reader, AnsweredBy::Output);
            self.open(now, tap.reader, time, passage.clone());
        } else {
            self.passage.on_answer(now, tap.reader, AnsweredBy::Led);
        }
        Passage { code, ..passage }
    }

    fn open(&mut self, now: Duration, key: usize, time: Duration, passage: Passage) {
        if let Some(before) = self.release.replace(Release { key, until: now + time, passage })
            && before.key != key
        {
            self.passage.on_release(now, before.key, false);
        }
        self.passage.on_release(now, key, true);
    }

    /// The rotor turned.
    fn turned(&mut self, now: Duration) -> Passage {
        match self.release.take() {
            Some(release) => {
                self.passage.on_release(now, release.key, false);
                Passage { code: PassCode::Passed, ..release.passage }
            }
            None => {
                let (code, reason, by) = match self.mode {
                    Mode::FreePass => (PassCode::Passed, Some("free-pass"), Some(Source::Operator)),
                    Mode::Emergency => (PassCode::Passed, Some("emergency"), Some(Source::Operator)),
                    Mode::Normal | Mode::Locked => (PassCode::Forced, None, None),
                };
                Passage::anybody(code, Direction::Unknown, reason, by)
            }
        }
    }

    /// Carries out an order. The new mode, if it changed.
    pub(super) fn obey(&mut self, now: Duration, order: Order) -> Option<Mode> {
        let mode = match order {
            Order::PulseIn | Order::PulseOut => {
                let direction = if order == Order::PulseIn { Direction::In } else { Direction::Out };
                let by = Some(Source::Operator);
                self.open(now, PULSE, PULSE_TIME, Passage::anybody(PassCode::Passed, direction, Some("order"), by));
                return None;
            }
            message::Action::FreePass => Mode::FreePass,
            message::Action::Normal => Mode::Normal,
            message::Action::Lock => Mode::Locked,
            message::Action::EmergencyOpen => Mode::Emergency,
        };
        self.stand(now, mode)
    }

    fn stand(&mut self, now: Duration, mode: Mode) -> Option<Mode> {
        if mode == self.mode {
            return None;
        }
        self.mode = mode;
        self.passage.on_release(now, STANDING, mode.stands_open());
        if mode == Mode::Locked
            && let Some(release) = &mut self.release
        {
            // Nobody goes through a locked rotor: the release ends with the next look at it.
            release.until = now;
        }
        Some(mode)
    }
}

fn passage_of(tap: &Tap, request: Option<Uuid>, person: Option<Token>, reason: &str, by: Source) -> Passage {
    Passage {
        code: PassCode::Granted,
        reason: Some(reason.to_owned()),
        by: Some(by),
        card: Some(tap.card.clone()),
        person,
        direction: tap.direction,
        request,
    }
}
