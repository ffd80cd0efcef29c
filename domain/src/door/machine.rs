//! The state machine of [`super`].

use std::time::Duration;

use super::debounce::Debounced;
use super::{
    DEBOUNCE_MAX_MS, DoorKind, DoorSettings, DoorState, Fact, HELD_RANGE_MS, Holder, Input, Order, Output,
    RELEASE_RANGE_MS, REPORT_GRACE_MS,
};
use crate::decide::PointCondition;
use crate::event::{Kind, Reason};
use crate::ids::{CardId, Direction};

/// One access point's hardware.
#[derive(Debug, Clone)]
pub struct Door {
    settings: DoorSettings,
    now: Duration,
    standing: Standing,
    emergency: bool,
    contact: Debounced,
    exit: Debounced,
    grant: Option<Grant>,
    window: Option<Window>,
    released_until: Option<Duration>,
    repeat_at: Option<Duration>,
    opening: Option<Opening>,
}

/// Later than this is this (some 139,000 years), so that every deadline lies after every `now`.
const NOW_MAX: Duration = Duration::from_secs(1 << 42);

/// What was ordered until further notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Normal,
    Locked,
    FreePassage,
}

#[derive(Debug, Clone, Copy)]
struct Grant {
    direction: Direction,
    holder: Holder,
    until: Duration,
}

/// Somebody may go through, and nobody asked who: an exit request, or opened once by order.
#[derive(Debug, Clone, Copy)]
struct Window {
    direction: Direction,
    until: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Opening {
    forced: bool,
    held: bool,
    held_at: Duration,
}

/// What comes next by itself. In this order where times are equal: what the contact saw counts before a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Contact,
    ExitRequest,
    Grant,
    Window,
    Release,
    Held,
    Repeat,
}

impl Due {
    const fn why(self) -> &'static str {
        match self {
            Self::Contact => "the contact has settled",
            Self::ExitRequest => "the exit request has settled",
            Self::Grant => "the grant is not taken",
            Self::Window => "the exit is not taken",
            Self::Release => "the release ends",
            Self::Held => "the door is held open",
            Self::Repeat => "free passage is prolonged",
        }
    }
}

impl Door {
    /// A closed door. Settings outside their limits are brought to the nearest limit.
    pub fn new(settings: DoorSettings) -> Self {
        let within = |ms: u32, range: std::ops::RangeInclusive<u32>| ms.clamp(*range.start(), *range.end());
        Self {
            settings: DoorSettings {
                release_ms: within(settings.release_ms, RELEASE_RANGE_MS),
                held_ms: within(settings.held_ms, HELD_RANGE_MS),
                debounce_ms: settings.debounce_ms.min(DEBOUNCE_MAX_MS),
                ..settings
            },
            now: Duration::ZERO,
            standing: Standing::Normal,
            emergency: false,
            contact: Debounced::new(),
            exit: Debounced::new(),
            grant: None,
            window: None,
            released_until: None,
            repeat_at: None,
            opening: None,
        }
    }

    /// Takes an input, after what was due before it.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut Vec<Output>) {
        self.tick(now, out);
        match input {
            Input::Grant(direction, holder) => self.take_grant(direction, holder, out),
            Input::Contact(active) => {
                if self.contact.report(self.now, active).is_some() {
                    self.opened(true, out);
                }
            }
            Input::ExitRequest(active) => {
                if self.exit.report(self.now, active).is_some() {
                    self.exit_requested(out);
                }
            }
            Input::Outcome(passed) => self.outcome(passed, out),
            Input::Order(order) => self.obey(order, out),
        }
        // With no debounce a change counts at once.
        self.tick(now, out);
    }

    /// Lets time go by: everything due until `now` happens, in its order.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Output>) {
        let now = now.clamp(self.now, NOW_MAX);
        while let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= now) {
            self.now = at.max(self.now);
            match due {
                Due::Contact => match self.contact.settle() {
                    true => self.opened(false, out),
                    false => self.closed(out),
                },
                Due::ExitRequest => {
                    if self.exit.settle() {
                        self.exit_requested(out);
                    }
                }
                Due::Grant => match self.settings.reported {
                    true => self.end_grant_as(Kind::NotTaken, Some(Reason::ReportMissing), false, out),
                    false => self.end_grant(None, out),
                },
                Due::Window => self.window = None,
                Due::Release => self.released_until = None,
                Due::Held => {
                    if let Some(opening) = &mut self.opening {
                        opening.held = true;
                        out.push(fact(Kind::Held));
                    }
                }
                Due::Repeat => {
                    // Counted from the real `now`: after a long pause one repetition makes up for all.
                    self.now = now;
                    self.release(out);
                }
            }
        }
        self.now = now;
    }

    /// The point is rebuilt or taken out of service: a grant that is being taken ends as not taken, and with it the
    /// release. What was ordered until further notice is not touched.
    pub fn retire(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.tick(now, out);
        self.end_grant(None, out);
        self.window = None;
        self.end_release(out);
    }

    /// When [`Door::tick`] must be called next, and what for.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        self.next_due().map(|(at, due)| (at, due.why()))
    }

    /// What to put into a request, unless an interlock or [`Door::repeats`] comes first.
    pub fn condition(&self) -> PointCondition {
        if self.emergency {
            return PointCondition::Emergency;
        }
        match self.standing {
            Standing::Locked => PointCondition::Locked,
            Standing::FreePassage => PointCondition::FreePassage,
            Standing::Normal if self.grant.is_some() => PointCondition::Busy,
            Standing::Normal => PointCondition::Ready,
        }
    }

    /// Whether a tap is the same card's, in the same direction, while its grant is being taken.
    pub fn repeats(&self, direction: Direction, card: CardId) -> bool {
        self.grant.is_some_and(|grant| grant.direction == direction && grant.holder.card == Some(card))
    }

    /// Whether somebody may go through without having been asked who: opened once by order, free passage, emergency.
    pub fn awaits_anybody(&self) -> bool {
        self.grant.is_none() && (self.window.is_some() || self.stands_free())
    }

    /// Open or released: the other doors of an interlock must stay closed.
    pub fn holds_interlock(&self) -> bool {
        self.opening.is_some() || self.released_until.is_some() || self.stands_free()
    }

    /// What a page shows.
    pub fn state(&self) -> DoorState {
        match (self.emergency, self.opening, self.standing) {
            (true, _, _) => DoorState::Emergency,
            (_, Some(opening), _) if opening.forced => DoorState::Forced,
            (_, Some(opening), _) if opening.held => DoorState::Held,
            (_, _, Standing::FreePassage) => DoorState::FreePassage,
            (_, Some(_), _) => DoorState::Open,
            _ if self.released_until.is_some() => DoorState::Released,
            (_, None, Standing::Locked) => DoorState::Locked,
            (_, None, Standing::Normal) => DoorState::Secured,
        }
    }

    /// How it is built, limits applied.
    pub const fn settings(&self) -> &DoorSettings {
        &self.settings
    }

    fn take_grant(&mut self, direction: Direction, holder: Holder, out: &mut Vec<Output>) {
        if self.stands_free() {
            // Nothing keeps the next person back, so the one before has gone through.
            self.end_grant(Some(true), out);
        }
        let refused = match (self.emergency, self.standing, self.grant) {
            (false, Standing::Locked, _) => Some(Reason::PointLocked),
            (_, _, Some(_)) => Some(Reason::PointBusy),
            _ => None,
        };
        if let Some(reason) = refused {
            let reason = Some(reason);
            let direction = Some(direction);
            out.push(Output::Fact(Fact { kind: Kind::NotTaken, reason, direction, holder, assumed: false }));
            return;
        }
        self.release(out);
        let grace = Duration::from_millis(if self.settings.reported { u64::from(REPORT_GRACE_MS) } else { 0 });
        self.grant = Some(Grant { direction, holder, until: self.now.saturating_add(self.release_time() + grace) });
        let stands_open = self.opening.is_some() && self.settings.kind != DoorKind::Turnstile;
        if stands_open || !self.settings.watched {
            self.end_grant(Some(true), out);
        }
        self.restart_held();
    }

    /// Ends the grant: passage seen (`Some(false)`), assumed (`Some(true)`), or none (`None`).
    fn end_grant(&mut self, passed: Option<bool>, out: &mut Vec<Output>) {
        let (kind, reason) = match passed {
            Some(_) => (Kind::Passed, self.free_reason()),
            None => (Kind::NotTaken, None),
        };
        self.end_grant_as(kind, reason, passed == Some(true), out);
    }

    fn end_grant_as(&mut self, kind: Kind, reason: Option<Reason>, assumed: bool, out: &mut Vec<Output>) {
        let Some(Grant { direction, holder, .. }) = self.grant.take() else { return };
        out.push(Output::Fact(Fact { kind, reason, direction: Some(direction), holder, assumed }));
    }

    /// The controller says how the release ended: of the grant, else of an opening by order.
    fn outcome(&mut self, somebody: bool, out: &mut Vec<Output>) {
        if self.grant.is_some() {
            self.end_grant(somebody.then_some(false), out);
        } else if let Some(window) = self.window.take().filter(|_| somebody) {
            out.push(passed(Some(window.direction), None));
        } else if let Some(reason) = self.free_reason().filter(|_| somebody) {
            out.push(passed(None, Some(reason)));
        }
        self.end_release(out);
    }

    /// The contact became active; `first`: it was so at its first report, and nobody knows since when.
    fn opened(&mut self, first: bool, out: &mut Vec<Output>) {
        let mut forced = false;
        if self.grant.is_some() {
            self.end_grant(Some(false), out);
        } else if let Some(window) = self.window.take() {
            out.push(passed(Some(window.direction), None));
        } else if let Some(reason) = self.free_reason() {
            out.push(passed(None, Some(reason)));
        } else if !first {
            forced = true;
            out.push(fact(Kind::Forced));
        }
        if self.settings.kind == DoorKind::Turnstile {
            self.end_release(out);
        } else {
            // Whoever opened is through; the release runs on until the door is closed or its time is over.
            self.window = None;
        }
        self.opening = Some(Opening { forced, held: false, held_at: self.now.saturating_add(self.held_time()) });
    }

    fn closed(&mut self, out: &mut Vec<Output>) {
        let Some(opening) = self.opening.take() else { return };
        if opening.forced {
            out.push(fact(Kind::ForcedEnd));
        }
        if opening.held {
            out.push(fact(Kind::HeldEnd));
        }
        if self.settings.kind != DoorKind::Turnstile {
            self.end_release(out);
        }
    }

    fn exit_requested(&mut self, out: &mut Vec<Output>) {
        let direction = Some(Direction::Out);
        out.push(Output::Fact(Fact {
            kind: Kind::ExitRequest,
            reason: None,
            direction,
            holder: Holder::default(),
            assumed: false,
        }));
        self.open_once(Direction::Out, out);
    }

    fn open_once(&mut self, direction: Direction, out: &mut Vec<Output>) {
        self.window = Some(Window { direction, until: self.now.saturating_add(self.release_time()) });
        self.release(out);
        self.restart_held();
    }

    fn obey(&mut self, order: Order, out: &mut Vec<Output>) {
        match order {
            Order::OpenOnce(direction) => self.open_once(direction, out),
            Order::Normal => self.stand(Standing::Normal, out),
            Order::FreePassage => self.stand(Standing::FreePassage, out),
            Order::Lock => {
                if let Some(Grant { direction, holder, .. }) = self.grant.take_if(|_| !self.emergency) {
                    let (reason, direction) = (Some(Reason::PointLocked), Some(direction));
                    out.push(Output::Fact(Fact { kind: Kind::NotTaken, reason, direction, holder, assumed: false }));
                }
                self.window = None;
                self.stand(Standing::Locked, out);
                self.end_release(out);
            }
            Order::Emergency => {
                self.emergency = true;
                self.released_until = None;
                self.repeat_at = None;
                out.push(Output::HoldOpen);
            }
            Order::EmergencyEnd => {
                if self.emergency {
                    self.emergency = false;
                    self.settle_release(out);
                    self.restart_held();
                }
            }
        }
    }

    fn stand(&mut self, standing: Standing, out: &mut Vec<Output>) {
        let before = std::mem::replace(&mut self.standing, standing);
        if self.emergency || before == standing {
            return;
        }
        if before == Standing::FreePassage || standing == Standing::FreePassage {
            self.settle_release(out);
            self.restart_held();
        }
    }

    /// Brings the release to what standing order, grant and window ask for.
    fn settle_release(&mut self, out: &mut Vec<Output>) {
        self.repeat_at = None;
        let until = self.grant.map(|grant| grant.until).max(self.window.map(|window| window.until));
        match until.and_then(|until| until.checked_sub(self.now)).filter(|left| !left.is_zero()) {
            _ if self.standing == Standing::FreePassage => self.release(out),
            Some(left) => {
                self.released_until = Some(self.now.saturating_add(left));
                out.push(Output::Release(left));
            }
            None => {
                self.released_until = None;
                out.push(Output::Secure);
            }
        }
    }

    /// Releases for the full time, unless it is held open anyway.
    fn release(&mut self, out: &mut Vec<Output>) {
        if self.emergency {
            return;
        }
        let time = self.release_time();
        self.released_until = Some(self.now.saturating_add(time));
        self.repeat_at = (self.standing == Standing::FreePassage).then(|| self.now.saturating_add(time / 2));
        out.push(Output::Release(time));
    }

    /// Ends a release that nobody needs any more.
    fn end_release(&mut self, out: &mut Vec<Output>) {
        if !self.stands_free() && self.grant.is_none() && self.window.is_none() && self.released_until.take().is_some()
        {
            out.push(Output::Secure);
        }
    }

    fn restart_held(&mut self) {
        let held_at = self.now.saturating_add(self.held_time());
        if let Some(opening) = self.opening.as_mut().filter(|opening| !opening.held) {
            opening.held_at = held_at;
        }
    }

    const fn stands_free(&self) -> bool {
        self.emergency || matches!(self.standing, Standing::FreePassage)
    }

    const fn free_reason(&self) -> Option<Reason> {
        match (self.emergency, self.standing) {
            (true, _) => Some(Reason::Emergency),
            (false, Standing::FreePassage) => Some(Reason::FreePassage),
            (false, Standing::Normal | Standing::Locked) => None,
        }
    }

    fn next_due(&self) -> Option<(Duration, Due)> {
        let debounce = Duration::from_millis(u64::from(self.settings.debounce_ms));
        let contact = self.contact.due(debounce);
        // A passage that began in time is not lost to the time its contact takes to settle.
        let in_time = |until: Duration| match contact {
            Some(due) if self.contact.is_turning_active(until) => until.max(due),
            _ => until,
        };
        let held = self.opening.filter(|opening| !opening.held && !opening.forced && !self.stands_free());
        [
            (contact, Due::Contact),
            (self.exit.due(debounce), Due::ExitRequest),
            (self.grant.map(|grant| in_time(grant.until)), Due::Grant),
            (self.window.map(|window| in_time(window.until)), Due::Window),
            (self.released_until.filter(|_| self.repeat_at.is_none()), Due::Release),
            (held.map(|opening| opening.held_at), Due::Held),
            (self.repeat_at, Due::Repeat),
        ]
        .into_iter()
        .filter_map(|(at, due)| Some((at?, due)))
        // The first of equal times, which is the order of `Due`.
        .min_by_key(|(at, _)| *at)
    }

    const fn release_time(&self) -> Duration {
        Duration::from_millis(self.settings.release_ms as u64)
    }

    const fn held_time(&self) -> Duration {
        Duration::from_millis(self.settings.held_ms as u64)
    }
}

/// Whether a door of an interlock must stay closed because of the others in it.
pub fn interlocked<'a>(others: impl IntoIterator<Item = &'a Door>) -> bool {
    others.into_iter().any(Door::holds_interlock)
}

const fn fact(kind: Kind) -> Output {
    let holder = Holder { card: None, person: None };
    Output::Fact(Fact { kind, reason: None, direction: None, holder, assumed: false })
}

const fn passed(direction: Option<Direction>, reason: Option<Reason>) -> Output {
    let holder = Holder { card: None, person: None };
    Output::Fact(Fact { kind: Kind::Passed, reason, direction, holder, assumed: false })
}
