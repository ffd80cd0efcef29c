//! The mechanics behind a reader: a turnstile with a rotor, a door with a contact, and the people who walk through,
//! squeeze in behind somebody, turn back, or use force.
//!
//! Pure: time comes in, changes of contacts come out. Knows nothing of readers or wires. Times are since an arbitrary
//! start and are real times: a clinic day may run faster than real time, a rotor does not turn faster for it.

use std::collections::VecDeque;
use std::time::Duration;

/// How long a rotor contact is closed while one person goes through. Panels must see 400 ms.
pub const ROTOR_PULSE: Duration = Duration::from_millis(500);
/// How long a door stands open for one person.
pub const DOOR_OPEN: Duration = Duration::from_millis(1500);
/// How much longer for each person who follows on the heels of the first.
pub const FOLLOWER: Duration = Duration::from_millis(700);
/// How long the request-to-exit button is pressed.
pub const BUTTON_PRESS: Duration = Duration::from_millis(300);
/// How long who pressed the button waits for the door.
pub const EXIT_PATIENCE: Duration = Duration::from_secs(5);
/// Contact changes waiting for their time. More plans than this are refused ([`Gate::force`] returns false …): nobody
/// has that many hands.
const CHANGES_MAX: usize = 64;

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateKind {
    /// A rotor that lets one person through a release and reports each turn.
    Turnstile,
    /// A leaf with a contact: a door, or a barrier's boom.
    Door,
    /// Nothing: a reader on a desk.
    None,
}

/// A contact that a reader's input can be wired to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// Rotor turning, or door open.
    Passage,
    /// Request-to-exit button.
    Exit,
}

/// One contact became active or inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContactChange {
    /// Which.
    pub contact: Contact,
    /// Active: rotor turning, door open, button pressed.
    pub active: bool,
}

/// What the person in front of the gate will do once it is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// Goes through after `after`, with so many people on the heels.
    Through {
        /// From the release to the first step.
        after: Duration,
        /// People who follow without a card of their own.
        followers: u8,
        /// How much longer than usual a door is held open.
        hold: Duration,
    },
    /// Changes their mind.
    Away,
}

/// How a person's walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// They are on the other side, and the gate is closed again.
    Through,
    /// They are still on this side.
    NotTaken,
}

/// One gate.
#[derive(Debug)]
pub struct Gate {
    kind: GateKind,
    released: bool,
    waiting: Option<Walk>,
    starts_at: Option<Duration>,
    /// When who pressed the exit button gives up.
    gives_up_at: Option<Duration>,
    changes: VecDeque<(Duration, ContactChange)>,
    ends_at: Option<(Duration, Walked)>,
    open: bool,
}

impl Gate {
    /// A closed gate.
    pub fn new(kind: GateKind) -> Self {
        Self {
            kind,
            released: false,
            waiting: None,
            starts_at: None,
            gives_up_at: None,
            changes: VecDeque::new(),
            ends_at: None,
            open: false,
        }
    }

    /// What kind of gate it is.
    pub fn kind(&self) -> GateKind {
        self.kind
    }

    /// Whether the lock is released now.
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// Whether somebody stands in front of it or is going through.
    pub fn is_busy(&self) -> bool {
        self.waiting.is_some() || self.ends_at.is_some()
    }

    /// Somebody stands in front of it and will do this when it is released. Replaces who stood there.
    pub fn expect(&mut self, walk: Walk) {
        self.waiting = Some(walk);
    }

    /// Whoever stood in front of it leaves.
    pub fn leave(&mut self) {
        self.waiting = None;
        self.starts_at = None;
        self.gives_up_at = None;
    }

    /// The reader's output released the lock, or locked it.
    pub fn set_released(&mut self, now: Duration, released: bool) {
        if released && !self.released {
            self.gives_up_at = None;
            self.starts_at = match self.waiting {
                Some(Walk::Through { after, .. }) => Some(now + after),
                Some(Walk::Away) | None => None,
            };
        }
        if !released && self.released && self.waiting.take().is_some() {
            // The release ended before a step was taken.
            self.starts_at = None;
            self.ends_at = Some((now, Walked::NotTaken));
        }
        self.released = released;
    }

    /// Opened without a release: climbed over, or broken open, for `hold`. False if the plan is full.
    pub fn force(&mut self, now: Duration, hold: Duration) -> bool {
        let open_for = if self.kind == GateKind::Turnstile { ROTOR_PULSE } else { DOOR_OPEN + hold };
        self.plan(now, Contact::Passage, open_for)
    }

    /// The request-to-exit button is pressed; the one who pressed walks through when released.
    pub fn press_exit(&mut self, now: Duration, after: Duration) -> bool {
        if self.waiting.is_none() && !self.released {
            self.waiting = Some(Walk::Through { after, followers: 0, hold: Duration::ZERO });
            self.gives_up_at = Some(now + EXIT_PATIENCE);
        }
        self.plan(now, Contact::Exit, BUTTON_PRESS)
    }

    /// Whether the door is open or the rotor turning.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Contact changes due by `now`, oldest first. Call until it returns `None`.
    pub fn next_change(&mut self, now: Duration) -> Option<ContactChange> {
        if self.gives_up_at.is_some_and(|at| at <= now) {
            self.leave();
        }
        self.start_walk(now);
        let (at, change) = *self.changes.front()?;
        if at > now {
            return None;
        }
        self.changes.pop_front();
        if change.contact == Contact::Passage {
            if self.open == change.active {
                return self.next_change(now);
            }
            self.open = change.active;
        }
        Some(change)
    }

    /// How the person's walk ended, once it has.
    pub fn next_walked(&mut self, now: Duration) -> Option<Walked> {
        let (at, walked) = self.ends_at?;
        if at > now {
            return None;
        }
        self.ends_at = None;
        Some(walked)
    }

    /// When [`Self::next_change`] or [`Self::next_walked`] will have something.
    pub fn deadline(&self) -> Option<Duration> {
        let change = self.changes.front().map(|(at, _)| *at);
        let end = self.ends_at.map(|(at, _)| at);
        [change, end, self.starts_at, self.gives_up_at].into_iter().flatten().min()
    }

    fn start_walk(&mut self, now: Duration) {
        let Some(at) = self.starts_at.filter(|at| *at <= now) else { return };
        self.starts_at = None;
        let Some(Walk::Through { followers, hold, .. }) = self.waiting.take() else { return };
        let end = match self.kind {
            GateKind::Turnstile => {
                // Everyone who squeezes through turns the rotor once more.
                let turn = ROTOR_PULSE + ROTOR_PULSE / 2;
                for follower in 0..=u32::from(followers) {
                    self.plan(at + turn * follower, Contact::Passage, ROTOR_PULSE);
                }
                at + turn * u32::from(followers) + ROTOR_PULSE
            }
            GateKind::Door => {
                let open_for = DOOR_OPEN + FOLLOWER * u32::from(followers) + hold;
                self.plan(at, Contact::Passage, open_for);
                at + open_for
            }
            GateKind::None => at,
        };
        self.ends_at = Some((end, Walked::Through));
    }

    /// Plans one pulse; keeps the plan in order of time.
    fn plan(&mut self, from: Duration, contact: Contact, length: Duration) -> bool {
        if self.changes.len() + 2 > CHANGES_MAX {
            return false;
        }
        for (at, active) in [(from, true), (from + length, false)] {
            let place = self.changes.partition_point(|(other, _)| *other <= at);
            self.changes.insert(place, (at, ContactChange { contact, active }));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn through(after: u64, followers: u8) -> Walk {
        Walk::Through { after: ms(after), followers, hold: Duration::ZERO }
    }

    /// All changes up to `until`, with the times at which they were due.
    fn run(gate: &mut Gate, until: Duration) -> (Vec<(u64, bool)>, Vec<Walked>) {
        let (mut changes, mut walked) = (Vec::new(), Vec::new());
        while let Some(now) = gate.deadline().filter(|at| *at <= until) {
            while let Some(change) = gate.next_change(now) {
                changes.push((u64::try_from(now.as_millis()).unwrap(), change.active));
            }
            walked.extend(gate.next_walked(now));
        }
        (changes, walked)
    }

    #[test]
    fn a_released_turnstile_turns_once_for_the_person_in_front() {
        let mut gate = Gate::new(GateKind::Turnstile);
        gate.expect(through(800, 0));
        assert!(gate.is_busy());
        gate.set_released(ms(1000), true);
        assert_eq!(run(&mut gate, ms(4000)), (vec![(1800, true), (2300, false)], vec![Walked::Through]));
        gate.set_released(ms(4000), false);
        assert!(!gate.is_busy());
        assert_eq!(gate.deadline(), None);
    }

    #[test]
    fn tailgating_turns_the_rotor_again_and_keeps_a_door_open_longer() {
        let mut gate = Gate::new(GateKind::Turnstile);
        gate.expect(through(100, 1));
        gate.set_released(ms(0), true);
        assert_eq!(run(&mut gate, ms(4000)).0, [(100, true), (600, false), (850, true), (1350, false)]);
        let mut door = Gate::new(GateKind::Door);
        door.expect(through(100, 2));
        door.set_released(ms(0), true);
        assert_eq!(run(&mut door, ms(9000)).0, [(100, true), (3000, false)]);
    }

    #[test]
    fn who_hesitates_longer_than_the_release_or_turns_back_has_not_passed() {
        for walk in [through(5000, 0), Walk::Away] {
            let mut gate = Gate::new(GateKind::Turnstile);
            gate.expect(walk);
            gate.set_released(ms(0), true);
            gate.set_released(ms(3000), false);
            assert_eq!(run(&mut gate, ms(9000)), (vec![], vec![Walked::NotTaken]), "{walk:?}");
        }
    }

    #[test]
    fn force_opens_without_a_release() {
        let mut gate = Gate::new(GateKind::Door);
        assert!(gate.force(ms(10), ms(500)));
        assert_eq!(run(&mut gate, ms(9000)), (vec![(10, true), (2010, false)], vec![]));
    }

    #[test]
    fn the_exit_button_is_a_pulse_and_its_presser_walks_when_released() {
        let mut gate = Gate::new(GateKind::Door);
        assert!(gate.press_exit(ms(0), ms(400)));
        assert_eq!(gate.next_change(ms(0)), Some(ContactChange { contact: Contact::Exit, active: true }));
        gate.set_released(ms(50), true);
        let (changes, walked) = run(&mut gate, ms(9000));
        assert_eq!(changes, [(300, false), (450, true), (1950, false)]);
        assert_eq!(walked, [Walked::Through]);
    }

    #[test]
    fn who_presses_the_exit_button_in_vain_goes_away() {
        let mut gate = Gate::new(GateKind::Door);
        gate.press_exit(ms(0), ms(400));
        assert!(gate.is_busy());
        assert_eq!(run(&mut gate, ms(60_000)), (vec![(0, true), (300, false)], vec![]));
        assert!(!gate.is_busy());
        gate.set_released(ms(60_000), true);
        assert_eq!(run(&mut gate, ms(90_000)), (vec![], vec![]));
    }

    #[test]
    fn nobody_walks_through_a_locked_gate() {
        let mut gate = Gate::new(GateKind::Turnstile);
        gate.expect(through(0, 0));
        assert_eq!(run(&mut gate, ms(60_000)), (vec![], vec![]));
        gate.leave();
        gate.set_released(ms(60_000), true);
        assert_eq!(run(&mut gate, ms(90_000)), (vec![], vec![]));
    }

    #[test]
    fn plans_are_bounded() {
        let mut gate = Gate::new(GateKind::Door);
        assert_eq!((0..1000).filter(|_| gate.force(ms(0), ms(0))).count(), CHANGES_MAX / 2);
    }
}
