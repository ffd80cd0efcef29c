//! What the device knows and decides. No network here.

use std::collections::{BTreeMap, VecDeque};

use domain::UtcMillis;
use wire::isapi::codes;
use wire::isapi::device::{Check, DoorOrder, PushTarget, RemoteCheck, Status};
use wire::isapi::event::Access;
use wire::isapi::history::{Page, Search};
use wire::isapi::person::{CARDS_MAX, Card, User};
use wire::isapi::time::DeviceTime;

use super::{DecidedBy, DeviceSettings, Faults};

/// Events that it keeps; the oldest goes.
const JOURNAL_MAX: usize = 10_000;
/// Nonces that are good at a time.
const NONCES_MAX: usize = 64;
/// People that it keeps.
const USERS_MAX: usize = 50_000;

/// What was ordered of a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorMode {
    /// By its rules.
    Normal,
    /// Open.
    Open,
    /// Closed.
    Closed,
}

/// A decision and the event that tells of it.
pub(super) struct Verdict {
    pub(super) granted: bool,
    pub(super) by: DecidedBy,
    pub(super) event: Access,
    pub(super) minor: u32,
}

/// Everything that it remembers.
pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) check: Check,
    pub(super) target: Option<PushTarget>,
    pub(super) openings: u32,
    pub(super) refusals: u32,
    /// The last nonce given, and the use count of those that are good.
    pub(super) nonces: (u64, BTreeMap<String, u32>),
    /// Answers that came by a call of their own.
    pub(super) answers: Vec<RemoteCheck>,
    users: BTreeMap<String, User>,
    cards: BTreeMap<String, String>,
    doors: Vec<DoorMode>,
    journal: VecDeque<(Access, UtcMillis)>,
    next_serial: u64,
    /// The next event to push.
    pushed: u64,
    skipped: Vec<u64>,
    /// How far its clock was set from the true one, milliseconds.
    set_off_ms: i64,
    deleting: u32,
    searches: VecDeque<(String, Vec<u64>)>,
}

/// An event at a door without a person.
pub(super) fn at_door(major: u32, minor: u32, door: u32) -> Access {
    Access { major, minor, door: (door > 0).then_some(door), current: true, ..Access::default() }
}

impl State {
    pub(super) fn new(doors: u32) -> Self {
        Self {
            faults: Faults::default(),
            check: Check { timeout_s: Some(5), offline: Some(true), ..Check::default() },
            target: None,
            openings: 0,
            refusals: 0,
            nonces: (0, BTreeMap::new()),
            answers: Vec::new(),
            users: BTreeMap::new(),
            cards: BTreeMap::new(),
            doors: vec![DoorMode::Normal; doors as usize],
            journal: VecDeque::new(),
            next_serial: 1,
            pushed: 1,
            skipped: Vec::new(),
            set_off_ms: 0,
            deleting: 0,
            searches: VecDeque::new(),
        }
    }

    /// A nonce that was never given before; the oldest are forgotten.
    pub(super) fn fresh_nonce(&mut self) -> String {
        self.nonces.0 += 1;
        let nonce = format!("{:032x}", self.nonces.0);
        self.nonces.1.insert(nonce.clone(), 0);
        while self.nonces.1.len() > NONCES_MAX {
            self.nonces.1.pop_first();
        }
        nonce
    }

    // ---- clock ----

    pub(super) fn now(&self, settings: &DeviceSettings) -> UtcMillis {
        let ahead = i64::try_from(self.faults.clock_ahead.as_millis()).unwrap_or(0);
        settings.clock.now().plus_ms(self.set_off_ms).plus_ms(ahead)
    }

    pub(super) fn set_clock(&mut self, settings: &DeviceSettings, to: DeviceTime) -> bool {
        let Some(to) = to.to_utc(Some(settings.zone)) else { return false };
        self.set_off_ms = to.since_ms(settings.clock.now());
        self.faults.clock_ahead = std::time::Duration::ZERO;
        true
    }

    // ---- journal ----

    pub(super) fn record(&mut self, mut event: Access, at: UtcMillis) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        event.serial = Some(serial);
        event.front_serial = serial.checked_sub(1).filter(|front| *front > 0);
        if self.journal.len() >= JOURNAL_MAX {
            self.journal.pop_front();
        }
        self.journal.push_back((event, at));
        serial
    }

    pub(super) fn event(&self, serial: u64) -> Option<(Access, UtcMillis)> {
        self.journal.iter().find(|(event, _)| event.serial == Some(serial)).cloned()
    }

    pub(super) fn last_serial(&self) -> u64 {
        self.next_serial - 1
    }

    pub(super) fn skip_push(&mut self, serial: u64) {
        self.skipped.push(serial);
    }

    /// The next event to push.
    pub(super) fn next_push(&mut self) -> Option<(Access, UtcMillis)> {
        while self.skipped.contains(&self.pushed) {
            self.skipped.retain(|serial| *serial != self.pushed);
            self.pushed += 1;
        }
        let found = self.event(self.pushed);
        // Questions are pushed by whoever asks them.
        if found.as_ref().is_some_and(|(event, _)| event.minor == codes::CARD_ASKS) {
            self.pushed += 1;
            return self.next_push();
        }
        found
    }

    pub(super) fn was_pushed(&mut self, serial: u64) {
        self.pushed = self.pushed.max(serial + 1);
    }

    /// Without a target nothing waits to be pushed.
    pub(super) fn nothing_waits(&mut self) {
        self.pushed = self.next_serial;
        self.skipped.clear();
    }

    pub(super) fn jump_to(&mut self, serial: u64) {
        self.next_serial = serial;
        self.pushed = serial;
    }

    pub(super) fn restart(&mut self, forget: bool) {
        self.nonces.1.clear();
        if forget {
            self.journal.clear();
            self.next_serial = 1;
            self.pushed = 1;
            self.skipped.clear();
        }
    }

    pub(super) fn search(&mut self, search: &Search, settings: &DeviceSettings) -> String {
        let known = self.searches.iter().find(|(id, _)| *id == search.id).map(|(_, serials)| serials.clone());
        // A search id is a cursor: what it found the first time is what its pages are cut from.
        let serials = known.unwrap_or_else(|| {
            let bound = |text: &str| DeviceTime::read(text).and_then(|at| at.to_utc(Some(settings.zone)));
            let (from, to) = (bound(&search.between.0), bound(&search.between.1));
            let by_serial = settings.dialect.serial_search;
            let begin = search.begin_serial.filter(|_| by_serial).unwrap_or(0);
            let end = search.end_serial.filter(|_| by_serial).unwrap_or(u64::MAX);
            let found: Vec<u64> = self
                .journal
                .iter()
                .filter(|(_, at)| from.is_none_or(|from| *at >= from) && to.is_none_or(|to| *at <= to))
                .filter_map(|(event, _)| event.serial)
                .filter(|serial| (begin..=end).contains(serial))
                .collect();
            let mut found = found;
            if settings.dialect.newest_first {
                found.reverse();
            }
            self.searches.push_back((search.id.clone(), found.clone()));
            if self.searches.len() > 8 {
                self.searches.pop_front();
            }
            found
        });
        let size = search.results.min(settings.dialect.page_max) as usize;
        let position = search.position as usize;
        let page: Vec<u64> = serials.iter().skip(position).take(size).copied().collect();
        let more = position + page.len() < serials.len();
        let events: Vec<(Access, String)> = page
            .iter()
            .filter_map(|serial| self.event(*serial))
            .map(|(event, at)| (event, stamp(settings, at)))
            .collect();
        Page::write(search, u32::try_from(serials.len()).unwrap_or(u32::MAX), more, &events)
    }

    // ---- people ----

    pub(super) fn knows(&self) -> (usize, usize) {
        (self.users.len(), self.cards.len())
    }

    pub(super) fn forget_people(&mut self) {
        self.users.clear();
        self.cards.clear();
    }

    pub(super) fn holder_of(&self, card: &str) -> Option<String> {
        self.cards.get(card).cloned()
    }

    /// Takes a person: as a new one, or over what is there.
    pub(super) fn put_user(&mut self, user: User, new: bool) -> Status {
        if new && self.users.contains_key(&user.employee) {
            return refused("employeeNoAlreadyExist");
        }
        if self.users.len() >= USERS_MAX {
            return refused("deviceUserFull");
        }
        self.users.insert(user.employee.clone(), user);
        ok()
    }

    /// Takes a card of a person that it knows.
    pub(super) fn put_card(&mut self, card: &Card, new: bool) -> Status {
        if !self.users.contains_key(&card.employee) {
            return refused("employeeNoNotExist");
        }
        let number = card.number.to_string();
        match self.cards.get(&number) {
            Some(_) if new => return refused("cardNoAlreadyExist"),
            Some(other) if *other != card.employee => return refused("cardNoAlreadyExist"),
            _ => {}
        }
        let others = self.cards.iter().filter(|(known, owner)| **owner == card.employee && **known != number).count();
        if others >= CARDS_MAX {
            return refused("cardNumberOverLimit");
        }
        self.cards.insert(number, card.employee.clone());
        ok()
    }

    pub(super) fn delete_users(&mut self, employees: &[String]) -> Status {
        if self.faults.delete_refused {
            return refused("notSupport");
        }
        for employee in employees {
            self.users.remove(employee);
            self.cards.retain(|_, owner| owner != employee);
        }
        // Two looks until it says that it is done.
        self.deleting = 2;
        ok()
    }

    pub(super) fn delete_cards(&mut self, numbers: &[zeroize::Zeroizing<String>], employees: &[String]) -> Status {
        for number in numbers {
            self.cards.remove(number.as_str());
        }
        self.cards.retain(|_, owner| !employees.contains(owner));
        ok()
    }

    pub(super) fn is_deleting(&mut self) -> bool {
        if self.faults.delete_stuck {
            return true;
        }
        self.deleting = self.deleting.saturating_sub(1);
        self.deleting > 0
    }

    // ---- doors ----

    pub(super) fn door(&self, door: u32) -> Option<DoorMode> {
        self.doors.get((door as usize).checked_sub(1)?).copied()
    }

    /// Carries an order out; gives the event that it causes.
    pub(super) fn order(&mut self, door: u32, order: DoorOrder) -> Option<Access> {
        let mode = self.doors.get_mut((door as usize).checked_sub(1)?)?;
        let minor = match order {
            DoorOrder::Open => {
                self.openings += 1;
                codes::REMOTE_OPEN
            }
            DoorOrder::Close | DoorOrder::Resume => {
                *mode = DoorMode::Normal;
                0x401
            }
            DoorOrder::AlwaysOpen => {
                *mode = DoorMode::Open;
                0x402
            }
            DoorOrder::AlwaysClose => {
                *mode = DoorMode::Closed;
                0x403
            }
        };
        Some(at_door(codes::MAJOR_OPERATION, minor, door))
    }

    /// What it decides by what it was told.
    pub(super) fn own_decision(
        &self,
        employee: Option<&str>,
        door: u32,
        at: UtcMillis,
        settings: &DeviceSettings,
    ) -> u32 {
        let Some(user) = employee.and_then(|employee| self.users.get(employee)) else {
            return codes::CARD_UNKNOWN;
        };
        let within = user.valid.as_ref().is_none_or(|(begin, end)| {
            let bound = |text: &str| DeviceTime::read(text).and_then(|at| at.to_utc(Some(settings.zone)));
            bound(begin).is_none_or(|begin| at >= begin) && bound(end).is_none_or(|end| at < end)
        });
        match (user.doors.contains(&door), within) {
            (true, true) => codes::CARD_PASS,
            (false, _) => codes::CARD_NO_RIGHT,
            (true, false) => 8,
        }
    }
}

pub(super) fn stamp(settings: &DeviceSettings, at: UtcMillis) -> String {
    if settings.dialect.offset { settings.zone.stamp(at) } else { settings.zone.stamp_plain(at) }
}

pub(super) fn ok() -> Status {
    Status { code: 1, sub: "ok".into() }
}

pub(super) fn refused(sub: &str) -> Status {
    Status { code: 6, sub: sub.into() }
}
