//! Terminals and systems with emulators of their own, as peers of a plant: taps and faults of the plant become theirs.
//!
//! Owns the queue of people at each of their doors. How a device behaves is the business of [`crate::hikvision`] and
//! [`crate::parsec`].

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Direction, LineId, PointId, ReaderId};
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use wire::isapi::card::CardForm;
use wire::isapi::codes;
use wire::parsec::Guid;
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::gate::Walk;
use crate::hikvision::{DeviceSettings, HikvisionDevice};
use crate::line::LineCommand;
use crate::parsec::{self, ParsecServer};
use crate::passage::{AnsweredBy, Attempt, Outcome, QUEUE_MAX};
use crate::plant::Peer;
use crate::reader::ReaderState;
use crate::record::Record;

/// How often it is looked whether somebody speaks to a device.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A Hikvision terminal or controller of a plant. Its readers' `at` is a door number, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hikvision {
    /// Where it listens (port 0: any; see [`crate::Handle::port_of`]).
    pub listen: SocketAddr,
    /// The password of its account `admin`: an invention.
    pub password: String,
}

/// A ParsecNET 3 server of a plant. Its readers' `at` is the GUID of a territory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parsec {
    /// Where it listens (port 0: any; see [`crate::Handle::port_of`]).
    pub listen: SocketAddr,
    /// The password of its account `parsec`: an invention.
    pub password: String,
}

/// One of them, running.
pub(crate) struct NetworkTask {
    id: LineId,
    device: Arc<Device>,
    readers: Vec<Place>,
    /// One person at a time at each door.
    doors: HashMap<PointId, Arc<Semaphore>>,
    states: Vec<watch::Sender<ReaderState>>,
    record: Arc<Record>,
}

enum Device {
    Hikvision(HikvisionDevice),
    Parsec(ParsecServer),
}

/// A reader, as the device knows it.
#[derive(Debug, Clone)]
struct Place {
    id: ReaderId,
    point: PointId,
    direction: Direction,
    door: Door,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Number(u32),
    Territory(Guid),
}

impl NetworkTask {
    /// Starts a terminal.
    pub(crate) async fn hikvision(
        peer: &Peer,
        settings: &Hikvision,
        clock: Clock,
        record: Arc<Record>,
    ) -> io::Result<(Self, Vec<watch::Receiver<ReaderState>>)> {
        let readers = places(peer, |at| at.parse().ok().filter(|door| *door > 0).map(Door::Number))?;
        let number = |place: &Place| if let Door::Number(number) = place.door { number } else { 0 };
        let device = HikvisionDevice::start(DeviceSettings {
            listen: settings.listen,
            password: Zeroizing::new(settings.password.clone()),
            doors: readers.iter().map(number).max().unwrap_or(1),
            ..DeviceSettings::new(clock)
        });
        Ok(Self::of(peer, Device::Hikvision(device.await?), readers, record))
    }

    /// Starts a server.
    pub(crate) async fn parsec(
        peer: &Peer,
        settings: &Parsec,
        clock: Clock,
        seed: u64,
        record: Arc<Record>,
        shutdown: &CancellationToken,
    ) -> io::Result<(Self, Vec<watch::Receiver<ReaderState>>)> {
        let readers = places(peer, |at| at.parse().ok().map(Door::Territory))?;
        let mut doors: Vec<parsec::Door> = Vec::new();
        for place in &readers {
            if let Door::Territory(id) = place.door
                && doors.iter().all(|door| door.id != id)
            {
                doors.push(parsec::Door { id, name: place.point.to_string(), verify: false });
            }
        }
        let mut settings_of = parsec::Settings { listen: settings.listen, seed, ..parsec::Settings::new(clock, doors) };
        settings_of.password.clone_from(&settings.password);
        let server = ParsecServer::start(settings_of, shutdown).await?;
        Ok(Self::of(peer, Device::Parsec(server), readers, record))
    }

    fn of(
        peer: &Peer,
        device: Device,
        readers: Vec<Place>,
        record: Arc<Record>,
    ) -> (Self, Vec<watch::Receiver<ReaderState>>) {
        let doors = readers.iter().map(|place| (place.point.clone(), Arc::new(Semaphore::new(1)))).collect();
        let (states, views) = readers.iter().map(|_| watch::channel(ReaderState::default())).unzip();
        (Self { id: peer.id.clone(), device: Arc::new(device), readers, doors, states, record }, views)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &*self.device {
            Device::Hikvision(device) => device.url().strip_prefix("http://")?.parse().ok(),
            Device::Parsec(server) => Some(server.address()),
        }
    }

    /// Runs until `shutdown`, or until nobody can send commands any more.
    pub(crate) async fn run(self, mut commands: mpsc::Receiver<LineCommand>, shutdown: CancellationToken) {
        let mut look = interval(LOOK_EVERY);
        let waiting = Arc::new(Semaphore::new(QUEUE_MAX));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                command = commands.recv() => match command {
                    Some(LineCommand::Attempt { attempt, .. }) => self.attempt(attempt, &waiting),
                    Some(LineCommand::Force { point, .. }) => self.force(&point),
                    Some(LineCommand::Inject { reader: None, fault: Fault::Unplug }) => self.unplug(true),
                    Some(LineCommand::Heal { reader: None }) => self.unplug(false),
                    Some(_) => {}
                    None => return,
                },
                _ = look.tick() => {
                    let found = match &*self.device {
                        Device::Hikvision(device) => device.is_heard(),
                        Device::Parsec(server) => server.handle().sessions() > 0,
                    };
                    for state in &self.states {
                        state.send_if_modified(|state| std::mem::replace(&mut state.found, found) != found);
                    }
                }
            }
        }
    }

    /// Lets somebody come to a door, behind those who stand there.
    fn attempt(&self, attempt: Attempt, waiting: &Arc<Semaphore>) {
        let place = self.readers.get(attempt.reader).cloned();
        let door = place.as_ref().and_then(|place| self.doors.get(&place.point)).cloned();
        let (Some(place), Some(door), Ok(queued)) = (place, door, Arc::clone(waiting).try_acquire_owned()) else {
            let _ = attempt.done.send(Outcome::QueueFull);
            return;
        };
        let (device, record) = (Arc::clone(&self.device), Arc::clone(&self.record));
        tokio::spawn(async move {
            let _queued = queued;
            // Closed never: the device owns it.
            let Ok(_turn) = door.acquire().await else { return };
            let Attempt { tap, card, walk, patience, done, .. } = attempt;
            let began = Instant::now();
            let outcome = tokio::time::timeout(patience, device.present(&place, &card, walk)).await;
            let outcome = outcome.unwrap_or(Outcome::Unanswered);
            let answered = match outcome {
                Outcome::Passed | Outcome::NotTaken => Some(AnsweredBy::Output),
                Outcome::Refused | Outcome::Answered => Some(AnsweredBy::Led),
                Outcome::Unanswered | Outcome::QueueFull | Outcome::Printed => None,
            };
            if let Some(by) = answered {
                record.answered(tap, &place.id, &card, by, began.elapsed());
            }
            record.ended(tap, &place.id, &card, outcome, answered.is_some());
            // Who brought the person may have gone home.
            let _ = done.send(outcome);
        });
    }

    fn force(&self, point: &PointId) {
        let Some(place) = self.readers.iter().find(|place| place.point == *point) else { return };
        match (&*self.device, place.door) {
            (Device::Hikvision(device), Door::Number(door)) => device.happen(codes::MAJOR_EVENT, codes::FORCED, door),
            (Device::Parsec(server), Door::Territory(door)) => server.handle().force(door),
            _ => {}
        }
    }

    /// Pulls the network cable, or puts it back.
    fn unplug(&self, off: bool) {
        tracing::info!(peer = %self.id, off, "the simulated device is unplugged, or back");
        match &*self.device {
            Device::Hikvision(device) => device.faults(|faults| faults.unplugged = off),
            Device::Parsec(server) => {
                for place in &self.readers {
                    if let Door::Territory(door) = place.door {
                        server.handle().cut_off(door, off);
                    }
                }
            }
        }
    }
}

impl Device {
    async fn present(&self, place: &Place, card: &domain::card::CardNumber, walk: Walk) -> Outcome {
        match (self, place.door) {
            (Self::Hikvision(device), Door::Number(door)) => {
                // A card that its reader cannot read is none.
                let Some(number) = CardForm::UidDecimal.write(card, false) else { return Outcome::Unanswered };
                let reader = if place.direction == Direction::In { 1 } else { 2 };
                let walks = matches!(walk, Walk::Through { .. });
                let told = device.tap(door, reader, &number, walks).await;
                match (told.granted, walk) {
                    (false, _) => Outcome::Refused,
                    (true, Walk::Away) => Outcome::NotTaken,
                    (true, Walk::Through { after, .. }) => {
                        tokio::time::sleep(after).await;
                        Outcome::Passed
                    }
                }
            }
            (Self::Parsec(server), Door::Territory(door)) => {
                server.handle().present(card, door, place.direction, walk).await
            }
            _ => Outcome::Unanswered,
        }
    }
}

/// The readers of a peer with their doors.
fn places(peer: &Peer, door: impl Fn(&str) -> Option<Door>) -> io::Result<Vec<Place>> {
    let place = |reader: &crate::plant::PeerReader| {
        let door = door(&reader.at).ok_or_else(|| {
            let what = format!("reader `{}`: `{}` is no door of such a device", reader.id, reader.at);
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })?;
        let (id, point) = (reader.id.clone(), reader.point.clone());
        Ok(Place { id, point, direction: reader.direction, door })
    };
    peer.readers.iter().map(place).collect()
}
