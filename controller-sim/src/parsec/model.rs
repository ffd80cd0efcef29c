//! What the simulated system knows: doors, people, cards, events, who is signed in, and what goes wrong.
//!
//! Pure: the time is a parameter. Refuses what the real one is known or believed to refuse.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use domain::{Direction, UtcMillis};
use tokio::sync::oneshot;
use wire::parsec::event::{Event, Source};
use wire::parsec::object::{Identifier, Person, TransactionType, VisitorRequest};
use wire::parsec::{Code, Guid};

use super::Settings;

/// Events kept; older ones are forgotten.
const EVENTS_MAX: usize = 200_000;
/// Reports kept open at once; the oldest is thrown away.
const REPORTS_MAX: usize = 16;

/// Transaction codes of the simulated system beside the public ones. Its own numbers: the adapter learns them from the
/// dictionary.
pub(super) mod code {
    pub(in crate::parsec) const ENTRY: u32 = 590_144;
    pub(in crate::parsec) const EXIT: u32 = 590_145;
    pub(in crate::parsec) const ENTERED: u32 = 590_152;
    pub(in crate::parsec) const LEFT: u32 = 590_153;
    pub(in crate::parsec) const UNKNOWN_IN: u32 = 600_001;
    pub(in crate::parsec) const UNKNOWN_OUT: u32 = 600_002;
    pub(in crate::parsec) const HOURS_IN: u32 = 600_003;
    pub(in crate::parsec) const HOURS_OUT: u32 = 600_004;
    pub(in crate::parsec) const NO_RIGHT_IN: u32 = 600_005;
    pub(in crate::parsec) const NO_RIGHT_OUT: u32 = 600_006;
    pub(in crate::parsec) const ASKS_IN: u32 = 600_007;
    pub(in crate::parsec) const ASKS_OUT: u32 = 600_008;
    pub(in crate::parsec) const FORCED: u32 = 600_009;
    pub(in crate::parsec) const RIGHTS_CHANGED: u32 = 600_010;
}

const DICTIONARY: [(u32, &str); 14] = [
    (code::ENTRY, "Нормальный вход по ключу"),
    (code::EXIT, "Нормальный выход по ключу"),
    (code::ENTERED, "Фактический вход"),
    (code::LEFT, "Фактический выход"),
    (code::UNKNOWN_IN, "Нет входа - идентификатора нет в БД"),
    (code::UNKNOWN_OUT, "Нет выхода - идентификатора нет в БД"),
    (code::HOURS_IN, "Нет входа по временному профилю"),
    (code::HOURS_OUT, "Нет выхода по временному профилю"),
    (code::NO_RIGHT_IN, "Нет входа - нет разрешения"),
    (code::NO_RIGHT_OUT, "Нет выхода - нет разрешения"),
    (code::ASKS_IN, "Запрос верификации на вход"),
    (code::ASKS_OUT, "Запрос верификации на выход"),
    (code::FORCED, "Взлом двери"),
    (code::RIGHTS_CHANGED, "Изменение прав доступа"),
];

/// What goes wrong. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Signing in fails with these words, for example of a licence.
    pub refuse_login: Option<String>,
    /// So many of the next calls are answered with a fault.
    pub fail_next: u32,
    /// Each answer takes so long.
    pub delay: Duration,
    /// Every event stands twice in each report.
    pub double_events: bool,
    /// Calls of these methods are answered with a fault: an older version of the service, or a missing licence.
    pub without: Vec<&'static str>,
    /// Made persons get another id than was asked for.
    pub own_person_ids: bool,
    /// Answers are no XML.
    pub rubbish: bool,
    /// Its clock is ahead by so much, in what it says of the time and in the times of events.
    pub clock_skew_ms: i64,
}

/// One event as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) event: Event,
    pub(super) territory: Guid,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) root_territory: Guid,
    pub(super) root_org_unit: Guid,
    pub(super) faults: Faults,
    pub(super) sessions: HashMap<Guid, UtcMillis>,
    /// Editing sessions: whose, and of which session.
    pub(super) edits: HashMap<Guid, (Guid, Guid)>,
    pub(super) persons: BTreeMap<Guid, Person>,
    pub(super) visitors: Vec<Guid>,
    pub(super) blocked: BTreeMap<Guid, i32>,
    pub(super) cards: Vec<Identifier>,
    pub(super) requests: Vec<(VisitorRequest, Option<Code>)>,
    pub(super) events: VecDeque<Kept>,
    /// Events of doors whose controller cannot reach the server.
    held: Vec<Kept>,
    cut_off: Vec<Guid>,
    pub(super) reports: VecDeque<(Guid, Vec<Event>)>,
    pub(super) subscriptions: HashMap<Guid, String>,
    /// Who waits for a guard's answer: door and person.
    pub(super) asking: HashMap<(Guid, Guid), oneshot::Sender<bool>>,
    pub(super) commands: Vec<(Guid, i32)>,
    pub(super) calls: BTreeMap<&'static str, u64>,
    /// States of hardware, by door.
    pub(super) hardware: BTreeMap<Guid, u64>,
    random: fastrand::Rng,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        let mut random = fastrand::Rng::with_seed(settings.seed);
        let mut guid = || Guid(random.u128(..).to_be_bytes());
        let (root_territory, root_org_unit) = (guid(), guid());
        let hardware = settings.doors.iter().map(|door| (door.id, 1)).collect();
        Self {
            settings,
            root_territory,
            root_org_unit,
            faults: Faults::default(),
            sessions: HashMap::new(),
            edits: HashMap::new(),
            persons: BTreeMap::new(),
            visitors: Vec::new(),
            blocked: BTreeMap::new(),
            cards: Vec::new(),
            requests: Vec::new(),
            events: VecDeque::new(),
            held: Vec::new(),
            cut_off: Vec::new(),
            reports: VecDeque::new(),
            subscriptions: HashMap::new(),
            asking: HashMap::new(),
            commands: Vec::new(),
            calls: BTreeMap::new(),
            hardware,
            random,
        }
    }

    pub(super) fn guid(&mut self) -> Guid {
        Guid(self.random.u128(..).to_be_bytes())
    }

    /// The server's memory is lost: sessions, editing sessions, reports, subscriptions.
    pub(super) fn restart(&mut self) {
        self.sessions.clear();
        self.edits.clear();
        self.reports.clear();
        self.subscriptions.clear();
        self.asking.clear();
    }

    /// The database is made anew: nobody and nothing is known any more.
    pub(super) fn begin_anew(&mut self) {
        self.restart();
        self.persons.clear();
        self.visitors.clear();
        self.blocked.clear();
        self.cards.clear();
        self.requests.clear();
        self.events.clear();
        self.root_territory = self.guid();
        self.root_org_unit = self.guid();
    }

    /// Whether a session is good; a call keeps it.
    pub(super) fn session(&mut self, session: Guid, now: UtcMillis) -> bool {
        let life = i64::try_from(self.settings.session.as_millis()).unwrap_or(i64::MAX);
        let good = self.sessions.get(&session).is_some_and(|used| now.since_ms(*used) < life);
        if good {
            self.sessions.insert(session, now);
        } else {
            self.sessions.remove(&session);
            // What the session had open goes with it.
            self.edits.retain(|_, (_, owner)| *owner != session);
        }
        good
    }

    pub(super) fn dictionary() -> Vec<TransactionType> {
        DICTIONARY.iter().map(|(id, name)| TransactionType { id: *id, classes: 1, name: (*name).to_owned() }).collect()
    }

    pub(super) fn make_report(&mut self, events: Vec<Event>) -> Guid {
        let report = self.guid();
        if self.reports.len() >= REPORTS_MAX {
            self.reports.pop_front();
        }
        self.reports.push_back((report, events));
        report
    }

    pub(super) fn add_person(&mut self, mut person: Person) -> Guid {
        if person.id.is_nil() || self.faults.own_person_ids {
            person.id = self.guid();
        }
        let id = person.id;
        self.persons.insert(id, person);
        id
    }

    pub(super) fn card(&self, code: &Code) -> Option<&Identifier> {
        self.cards.iter().find(|card| card.code == *code)
    }

    /// What the system itself makes of a card at a door.
    pub(super) fn judge(&self, code: &Code, now: UtcMillis) -> Judgement {
        let Some(card) = self.card(code) else { return Judgement::Unknown };
        let in_time = card.valid.is_none_or(|(from, to)| (from.0..to.0).contains(&now.0));
        if self.blocked.contains_key(&card.person) || card.group.is_nil() {
            Judgement::NoRight(card.person)
        } else if in_time {
            Judgement::Good(card.person)
        } else {
            Judgement::OutOfTime(card.person)
        }
    }

    /// Writes an event down, unless its controller is cut off. Returns where subscribers want to be called.
    pub(super) fn happen(&mut self, territory: Guid, event: Event) -> Vec<String> {
        let kept = Kept { event, territory };
        if self.cut_off.contains(&territory) {
            self.held.push(kept);
            return Vec::new();
        }
        self.keep(kept);
        self.subscriptions.values().cloned().collect()
    }

    fn keep(&mut self, kept: Kept) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(kept);
    }

    /// Cuts a door's controller off from the server, or joins it again: then what it kept arrives, late.
    pub(super) fn cut(&mut self, door: Guid, off: bool) {
        self.cut_off.retain(|cut| *cut != door);
        if off {
            self.cut_off.push(door);
        }
        let held = std::mem::take(&mut self.held);
        let (waiting, arrived): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|kept| self.cut_off.contains(&kept.territory));
        self.held = waiting;
        arrived.into_iter().for_each(|kept| self.keep(kept));
    }

    /// An event at a door.
    pub(super) fn event(
        &self,
        door: Guid,
        code: u32,
        at: UtcMillis,
        person: Option<Guid>,
        card: Option<Code>,
    ) -> Event {
        let name = self.settings.doors.iter().find(|other| other.id == door).map(|door| door.name.clone());
        Event { at, code, source: name.map_or(Source::Unknown, Source::Name), person, card }
    }
}

/// See [`Model::judge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Unknown,
    OutOfTime(Guid),
    NoRight(Guid),
    Good(Guid),
}

impl Judgement {
    /// The event that the judgement makes, and of whom.
    pub(super) fn event(self, direction: Direction) -> (u32, Option<Guid>) {
        let inward = direction == Direction::In;
        let either = |way_in, way_out| if inward { way_in } else { way_out };
        match self {
            Self::Unknown => (either(code::UNKNOWN_IN, code::UNKNOWN_OUT), None),
            Self::OutOfTime(person) => (either(code::HOURS_IN, code::HOURS_OUT), Some(person)),
            Self::NoRight(person) => (either(code::NO_RIGHT_IN, code::NO_RIGHT_OUT), Some(person)),
            Self::Good(person) => (either(code::ENTRY, code::EXIT), Some(person)),
        }
    }
}
