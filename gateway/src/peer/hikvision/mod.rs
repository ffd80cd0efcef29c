//! A Hikvision access control terminal or controller as a peer, by its HTTP interface (ISAPI).
//!
//! Owns everything that is said with one device. Never decides who may pass: a question of the device becomes
//! [`ReaderFact::Asked`], the core's answer becomes the device's. May import `peer::{http, push}`, `wire::isapi`, `line`.
//!
//! Five futures in one task share a [`Device`]; none waits for another, so that a long search in the device's journal or
//! a thousand cards on their way to it never delay an answer at a turnstile:
//!
//! | module | does |
//! |---|---|
//! | `upkeep` | finds the device, its identity and abilities; sets it up; watches its clock and whether it answers |
//! | `ears` | takes what it says (pushes or alert stream), and the core's orders |
//! | `intake` | brings what it said into the order of its journal, fills gaps from there, hands it to the core durably |
//! | `translate` | what events mean: pure |
//! | `hands` | doors and decisions by calls of their own |
//! | `people`, `wanted` | whose cards it should know, and telling it |
//!
//! Between them: events to `intake` ([`ITEMS_MAX`]; full: a push is answered "not now" and comes again, a part of the
//! stream is lost and found in the journal by its number) and orders to `hands` ([`ORDERS_WAITING_MAX`]; full: the order
//! is lost and an alarm says so).

mod ears;
mod hands;
mod intake;
mod people;
mod places;
mod translate;
mod upkeep;
mod wanted;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Reason, UtcMillis};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::isapi::device::Abilities;
use wire::isapi::time::{DeviceTime, Zone};

use super::PeerContext;
use super::http::{HttpClient, Trust};
use crate::line::{Age, LineFact, LineOrder, ReaderFact, Teller};
use crate::settings::{HikvisionDevice, PeerSettings};
use places::Places;
use translate::Memory;

/// Events on their way to the core.
const ITEMS_MAX: usize = 256;
/// Orders and decisions on their way to the device.
const ORDERS_WAITING_MAX: usize = 64;
/// What a device's clock can be off by without anybody being able to tell: it counts whole seconds.
const CLOCK_GRAIN: Duration = Duration::from_millis(1500);
/// An alarm of one kind about one device is given once in this time.
const ALARM_EVERY: Duration = Duration::from_secs(600);

/// What is known of a device that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    /// Its serial number: whose journal it is.
    serial: String,
    model: String,
    firmware: String,
    abilities: Abilities,
    zone: Option<Zone>,
    /// Our clock less its clock, milliseconds.
    skew_ms: Option<i64>,
    /// How long it waits for a decision; `None`: it does not ask.
    waits: Option<Duration>,
    /// Rises with every time that the device was found again.
    number: u64,
    since: UtcMillis,
}

/// What the futures share.
struct Device {
    /// Never used itself: the futures' clients are its siblings.
    base: HttpClient,
    settings: PeerSettings,
    device: HikvisionDevice,
    context: Arc<PeerContext>,
    teller: Teller,
    places: Places,
    session: watch::Sender<Option<Arc<Session>>>,
    memory: Mutex<Memory>,
    /// Zone and skew of its clock, as last seen.
    clock: Mutex<(Option<Zone>, Option<i64>)>,
    /// When alarms of each kind were given last.
    alarms: Mutex<Vec<(&'static str, Instant)>>,
    told: Mutex<(u64, u64)>,
}

/// Works with a device until cancelled.
pub async fn run(
    device: HikvisionDevice,
    settings: PeerSettings,
    teller: Teller,
    mut orders: mpsc::Receiver<LineOrder>,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
) {
    let places = Places::new(&settings.readers);
    let memory = Mutex::new(Memory::new(settings.reports_passage, device.online));
    let trust = device.certificate.map_or(Trust::Nobody, Trust::Fingerprint);
    let base = match HttpClient::new(&device.url, &trust) {
        Ok(base) => base.with_login(&device.user, device.password.clone()),
        Err(error) => {
            // Settings are checked when they are read; what is left is an address that cannot be used.
            teller.tell(LineFact::Closed { why: error.to_string() }).await;
            return idle(orders, cancel).await;
        }
    };
    let device = Device {
        base,
        settings,
        device,
        context,
        teller,
        places,
        session: watch::Sender::new(None),
        memory,
        clock: Mutex::default(),
        alarms: Mutex::default(),
        told: Mutex::default(),
    };
    let (items, queue) = mpsc::channel(ITEMS_MAX);
    let (to_hands, hands) = mpsc::channel(ORDERS_WAITING_MAX);
    let work = async {
        tokio::join!(
            Box::pin(upkeep::run(&device)),
            Box::pin(ears::run(&device, &mut orders, items, to_hands)),
            Box::pin(intake::run(&device, queue)),
            Box::pin(hands::run(&device, hands)),
            Box::pin(people::run(&device)),
        )
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        _ = work => {}
    }
}

/// Takes orders, all of them void, until cancelled.
async fn idle(mut orders: mpsc::Receiver<LineOrder>, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            order = orders.recv() => if order.is_none() { return },
        }
    }
}

impl Device {
    /// A client with a connection of its own.
    fn client(&self) -> HttpClient {
        self.base.sibling()
    }

    fn now(&self) -> UtcMillis {
        self.context.clock.now()
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.session.borrow().clone()
    }

    fn put_session(&self, session: Session) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = (session.zone, session.skew_ms);
        self.session.send_replace(Some(Arc::new(session)));
    }

    // A panic elsewhere ends the whole task; what is locked here is changed by whole calls.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells something about each reader.
    async fn of_each(&self, fact: impl Fn() -> ReaderFact) {
        for reader in self.places.readers() {
            self.teller.reader(Instant::now(), reader, fact()).await;
        }
    }

    /// Gives an alarm, at most one of a kind in [`ALARM_EVERY`].
    async fn alarm(&self, kind: &'static str, reason: Reason, detail: String) {
        if !self.is_due(kind) {
            return;
        }
        tracing::warn!(line.id = %self.settings.id, %detail, "a device needs attention");
        let detail = format!("{}: {detail}", self.settings.id);
        self.teller.tell(LineFact::Notice { reason, detail }).await;
    }

    fn is_due(&self, kind: &'static str) -> bool {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match alarms.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, at)) if now.duration_since(*at) < ALARM_EVERY => false,
            Some((_, at)) => {
                *at = now;
                true
            }
            None => {
                alarms.push((kind, now));
                true
            }
        }
    }

    /// The trouble is over: the next one is worth an alarm at once.
    fn is_over(&self, kind: &'static str) {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != kind);
    }

    /// How long ago something happened that the device dates so. `live`: it says that it happened just now, and we
    /// heard of it at `heard`; its word counts where its clock says nothing.
    fn age(&self, at: Option<DeviceTime>, live: bool, heard: Instant) -> Age {
        // While it is away, as its clock was: what it sends first when it is back may be hours old.
        let (zone, skew) = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = if live { Age::Known(heard.elapsed()) } else { Age::Unknown };
        // A zone with summer time leaves an hour open where the device writes no offset.
        let zone = zone.filter(|zone| !zone.summer);
        let (Some(at), Some(skew)) = (at.and_then(|at| at.to_utc(zone)), skew) else { return unknown };
        let age = self.now().since_ms(at.plus_ms(skew));
        match u64::try_from(age) {
            Ok(age) => Age::Known(Duration::from_millis(age).saturating_sub(CLOCK_GRAIN)),
            // A little ahead is the grain; more is a clock that cannot be believed.
            Err(_) if age > -60_000 => Age::Known(Duration::ZERO),
            Err(_) => unknown,
        }
    }

    fn reader_age(&self, at: Option<DeviceTime>, heard: Instant) -> Duration {
        match self.age(at, true, heard) {
            Age::Known(age) => age,
            Age::Unknown => heard.elapsed(),
        }
    }

    /// Waits until the device answers.
    async fn present(&self) -> Arc<Session> {
        let mut watcher = self.session.subscribe();
        loop {
            if let Some(session) = watcher.borrow_and_update().clone() {
                return session;
            }
            if watcher.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn set_told(&self, told: u64, wanted: u64) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = (told, wanted);
    }

    fn told(&self) -> (u64, u64) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
