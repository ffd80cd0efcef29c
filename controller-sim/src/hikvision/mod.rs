//! A Hikvision access control device as far as its network interface goes (ISAPI): doors, readers, users, cards, a
//! journal, pushes and the alert stream, remote decisions, a clock of its own; and what goes wrong with such devices.
//!
//! ```text
//! mod      settings, faults, the handle: who taps what where
//! state    what the device knows and decides
//! server   what it answers over HTTP
//! sender   what it sends by itself: pushes, questions, the stream
//! ```
//!
//! Behaviour follows what public integrations describe; where they differ it is a setting or a [`Faults`] entry. It is
//! no proof of how a certain firmware behaves.

mod sender;
mod server;
mod state;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Clock;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use wire::isapi::Syntax;
use wire::isapi::codes;
use wire::isapi::device::{Abilities, DeviceInfo};
use wire::isapi::event::Access;
use wire::isapi::person::{Card, User};
use wire::isapi::time::Zone;
use zeroize::Zeroizing;

pub use state::DoorMode;
use state::{State, Verdict};

/// What a device is.
#[derive(Clone)]
pub struct DeviceSettings {
    /// Where it listens; port 0: any.
    pub listen: SocketAddr,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: Zeroizing<String>,
    /// What it says it is.
    pub info: DeviceInfo,
    /// How many doors, from 1.
    pub doors: u32,
    /// Its zone.
    pub zone: Zone,
    /// The time that its clock shows, unless somebody sets it.
    pub clock: Clock,
    /// How it writes.
    pub dialect: Dialect,
    /// Time between two heartbeats on the stream.
    pub heartbeat: Duration,
    /// Time before a push that was not taken is tried again.
    pub retry: Duration,
}

impl std::fmt::Debug for DeviceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceSettings({} {})", self.info.model, self.listen)
    }
}

impl DeviceSettings {
    /// A turnstile terminal with two doors on a free port of this machine.
    pub fn new(clock: Clock) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            user: "admin".into(),
            password: Zeroizing::new("a password of 1 device".into()),
            info: DeviceInfo {
                model: "DS-K1T671".into(),
                serial: "DS-K1T671-SIM-0001".into(),
                firmware: "V3.2.30".into(),
                mac: "c0:51:7e:00:00:01".into(),
            },
            doors: 2,
            zone: Zone::ahead_s(10_800),
            clock,
            dialect: Dialect::default(),
            heartbeat: Duration::from_secs(10),
            retry: Duration::from_millis(500),
        }
    }
}

/// How a device writes.
#[derive(Debug, Clone)]
pub struct Dialect {
    /// The namespace of older firmware.
    pub old: bool,
    /// Events on the stream and in pushes without a format of their own.
    pub syntax: Syntax,
    /// Event times have their offset.
    pub offset: bool,
    /// Parts of the stream say how long they are.
    pub part_length: bool,
    /// Pushes come as a form with a picture behind the event.
    pub form_push: bool,
    /// What it says it can; `None`: it does not answer that question.
    pub abilities: Option<Abilities>,
    /// Words of its doors; empty: it does not answer that question.
    pub door_words: Vec<&'static str>,
    /// Most events of one page of a search.
    pub page_max: u32,
    /// A search can be narrowed by serial numbers.
    pub serial_search: bool,
    /// A search gives the newest events first.
    pub newest_first: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            old: false,
            syntax: Syntax::Json,
            offset: true,
            part_length: true,
            form_push: false,
            abilities: Some(Abilities {
                people: Some(true),
                cards: Some(true),
                remote_check: Some(true),
                settings: Some(true),
                history: Some(true),
            }),
            door_words: vec!["open", "close", "alwaysOpen", "alwaysClose", "resume"],
            page_max: 30,
            serial_search: true,
            newest_first: false,
        }
    }
}

/// What is wrong with it now.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// A nonce is good for so many calls, then it is called stale; 0: for ever.
    pub nonce_uses: u32,
    /// It does not say that a nonce is stale, it just refuses.
    pub silent_stale: bool,
    /// So many orders about people, cards and doors are answered with "busy".
    pub busy: u32,
    /// So many of the next events are never sent (they are in the journal).
    pub lose: u32,
    /// Every event is sent twice, the second time as an old one.
    pub resend: bool,
    /// Questions are not sent: as if the network were gone.
    pub mute: bool,
    /// Its clock is so much ahead.
    pub clock_ahead: Duration,
    /// Deleting people is never finished.
    pub delete_stuck: bool,
    /// Orders to delete people are refused.
    pub delete_refused: bool,
    /// The network is gone: it answers nothing and sends nothing.
    pub unplugged: bool,
}

/// Who decided a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedBy {
    /// The server.
    Server,
    /// The device, by what it was told.
    Device,
    /// The device, because the server did not answer in time.
    Timeout,
}

/// What came of a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapOutcome {
    /// The door was released.
    pub granted: bool,
    /// By whose word.
    pub by: DecidedBy,
    /// How long the person stood there.
    pub waited: Duration,
}

/// A running device.
#[derive(Debug)]
pub struct HikvisionDevice {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
}

/// What its tasks share.
struct Shared {
    settings: DeviceSettings,
    state: Mutex<State>,
    /// There is something to push.
    wake: Notify,
    /// Parts of the stream, as they are written there.
    stream: broadcast::Sender<Arc<String>>,
    /// An answer to a question came by a call of its own.
    answered: Notify,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.settings)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event into the journal and sends it.
    fn happen(&self, event: Access) -> u64 {
        let serial = {
            let mut state = self.state();
            let at = state.now(&self.settings);
            state.record(event, at)
        };
        self.send_out(serial);
        serial
    }

    /// Offers an event of the journal to the stream and the push.
    fn send_out(&self, serial: u64) {
        let parts = {
            let mut state = self.state();
            if state.faults.unplugged {
                return;
            }
            if state.faults.lose > 0 {
                state.faults.lose -= 1;
                state.skip_push(serial);
                return;
            }
            let Some((event, at)) = state.event(serial) else { return };
            let times = if state.faults.resend { 2 } else { 1 };
            (0..times)
                .map(|time| {
                    let mut event = event.clone();
                    event.current = time == 0;
                    sender::part(&self.settings, &event, at)
                })
                .collect::<Vec<_>>()
        };
        for part in parts {
            // Nobody may be listening.
            let _ = self.stream.send(Arc::new(part));
        }
        self.wake.notify_one();
    }
}

impl HikvisionDevice {
    /// Starts a device.
    ///
    /// # Errors
    /// When it cannot listen where it should.
    pub async fn start(settings: DeviceSettings) -> std::io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let (stream, _) = broadcast::channel(256);
        let state = Mutex::new(State::new(settings.doors));
        let shared = Arc::new(Shared { settings, state, wake: Notify::new(), stream, answered: Notify::new() });
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, Arc::clone(&shared), stop.clone()));
        tokio::spawn(sender::push(Arc::clone(&shared), stop.clone()));
        tokio::spawn(sender::heartbeat(Arc::clone(&shared), stop.clone()));
        Ok(Self { shared, address, stop })
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Somebody taps a card, written as this device writes cards, and goes through if let in and if `walks`.
    pub async fn tap(&self, door: u32, reader: u32, card: &str, walks: bool) -> TapOutcome {
        let shown = Access { card: Some(Zeroizing::new(card.to_owned())), ..Access::default() };
        self.shown(door, reader, shown, walks).await
    }

    /// Somebody shows a face that the device knows as this person's.
    pub async fn show_face(&self, door: u32, reader: u32, employee: &str, walks: bool) -> TapOutcome {
        let shown = Access { employee: Some(employee.to_owned()), ..Access::default() };
        self.shown(door, reader, shown, walks).await
    }

    async fn shown(&self, door: u32, reader: u32, shown: Access, walks: bool) -> TapOutcome {
        let started = tokio::time::Instant::now();
        let verdict = sender::decide(&self.shared, door, reader, shown).await;
        let Verdict { granted, by, event, minor } = verdict;
        let mut event = event;
        event.minor = minor;
        event.remote_check = false;
        event.remote_result = match by {
            DecidedBy::Server => Some(if granted { "success" } else { "failed" }.into()),
            DecidedBy::Timeout => Some("timeout".into()),
            DecidedBy::Device => None,
        };
        self.shared.happen(event);
        let outcome = TapOutcome { granted, by, waited: started.elapsed() };
        if granted {
            self.release(door, walks);
        }
        outcome
    }

    fn release(&self, door: u32, walks: bool) {
        let simple = |minor| state::at_door(codes::MAJOR_EVENT, minor, door);
        self.shared.happen(simple(codes::UNLOCKED));
        if walks {
            self.shared.happen(simple(codes::OPENED));
            self.shared.happen(simple(codes::CLOSED));
        }
        self.shared.happen(simple(codes::LOCKED));
    }

    /// Something else happens at a door: codes as in [`wire::isapi::codes`].
    pub fn happen(&self, major: u32, minor: u32, door: u32) {
        self.shared.happen(state::at_door(major, minor, door));
    }

    /// Changes what is wrong with it.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.state().faults);
        self.shared.wake.notify_one();
    }

    /// It restarts; with `forget`, its journal begins anew with number 1.
    pub fn restart(&self, forget: bool) {
        self.shared.state().restart(forget);
        self.shared.happen(state::at_door(codes::MAJOR_EXCEPTION, 0x400, 0));
    }

    /// Somebody enters a person and a card by hand.
    pub fn teach(&self, card: &str, employee: &str, door: u32) {
        let mut state = self.shared.state();
        let user = User { employee: employee.to_owned(), valid: None, doors: vec![door] };
        state.put_user(user, false);
        let number = Zeroizing::new(card.to_owned());
        state.put_card(&Card { employee: employee.to_owned(), number }, false);
    }

    /// Somebody resets it: it knows nobody any more, under the same serial number.
    pub fn forget_people(&self) {
        self.shared.state().forget_people();
    }

    /// The next event has this number, and those before it are in no journal.
    pub fn jump_to(&self, serial: u64) {
        self.shared.state().jump_to(serial);
    }

    /// How many people and cards it knows.
    pub fn knows(&self) -> (usize, usize) {
        self.shared.state().knows()
    }

    /// Whether it knows a card, and for which person.
    pub fn holder_of(&self, card: &str) -> Option<String> {
        self.shared.state().holder_of(card)
    }

    /// What was ordered of a door.
    pub fn door(&self, door: u32) -> Option<DoorMode> {
        self.shared.state().door(door)
    }

    /// How often doors were opened by order.
    pub fn openings(&self) -> u32 {
        self.shared.state().openings
    }

    /// Whether it asks the server.
    pub fn asks(&self) -> bool {
        let state = self.shared.state();
        state.check.enabled && (state.target.is_some() || self.shared.stream.receiver_count() > 0)
    }

    /// Whether anybody holds its alert stream, or it has a place to push to.
    pub fn is_heard(&self) -> bool {
        self.shared.stream.receiver_count() > 0 || self.shared.state().target.is_some()
    }

    /// Calls refused for a wrong or missing password so far.
    pub fn refusals(&self) -> u32 {
        self.shared.state().refusals
    }

    /// Difference of its clock from true time.
    pub fn clock_ahead_ms(&self) -> i64 {
        let state = self.shared.state();
        state.now(&self.shared.settings).since_ms(self.shared.settings.clock.now())
    }

    /// The number of its last event.
    pub fn last_serial(&self) -> u64 {
        self.shared.state().last_serial()
    }
}

impl Drop for HikvisionDevice {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
