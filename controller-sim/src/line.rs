//! One simulated line: its port, its readers, the gates behind them, and the faults that are on. One task owns it
//! all; everybody else sends [`LineCommand`]s.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::PointId;
use domain::card::CardNumber;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::osdp::command::TemporaryLed;
use wire::osdp::device::{DeviceEvent, DeviceStats, Step};
use wire::osdp::frame::Decoder;
use wire::osdp::reply::{CardBits, Characters};

use crate::ascii_lines;
use crate::fault::{Fault, Hostile, LATE_MS, LineFaults, collide, pervert};
use crate::gate::{Contact, Gate};
use crate::passage::{Action, AnsweredBy, Attempt, PassagePoint};
use crate::plant::{Line, PointKind, Protocol};
use crate::port::Port;
use crate::reader::{ReaderState, SimReader};
use crate::record::Record;

/// Answers on their way along the wire. More than one only when the panel does not wait; beyond that they are lost.
const OUTGOING_MAX: usize = 16;

/// After a failed attempt to open a port again, how long to wait.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// How long a card lies on a desktop reader.
const CARD_ON_DESK: Duration = Duration::from_millis(800);

/// What others may ask of a line.
#[derive(Debug)]
pub(crate) enum LineCommand {
    Attempt { point: PointId, attempt: Attempt },
    Keys { reader: usize, keys: Characters },
    Input { reader: usize, input: u8, active: bool },
    ExitButton { point: PointId, after: Duration },
    Force { point: PointId, hold: Duration },
    Inject { reader: Option<usize>, fault: Fault },
    Heal { reader: Option<usize> },
    Stats { reader: usize, answer: tokio::sync::oneshot::Sender<DeviceStats> },
}

/// One line's task.
pub(crate) struct LineTask {
    settings: Line,
    port: Option<Port>,
    /// Where a TCP line listens, also after it was unplugged.
    address: Option<SocketAddr>,
    reopen_at: Option<Duration>,
    started: Instant,
    readers: Vec<SimReader>,
    points: Vec<PassagePoint>,
    point_places: HashMap<PointId, usize>,
    decoder: Decoder,
    faults: LineFaults,
    rng: fastrand::Rng,
    outgoing: VecDeque<(Duration, Vec<u8>)>,
    /// How late the last answer went out: taken off the next one's wait, for timers round up.
    late_by: Duration,
    record: Arc<Record>,
}

impl LineTask {
    /// Opens the port; returns the task and a view of each reader.
    pub(crate) async fn open(
        settings: Line,
        kinds: &HashMap<PointId, PointKind>,
        seed: u64,
        record: Arc<Record>,
    ) -> std::io::Result<(Self, Vec<watch::Receiver<ReaderState>>)> {
        let port = Port::open(&settings.port).await?;
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut readers, mut states) = (Vec::new(), Vec::new());
        let (mut points, mut point_places) = (Vec::new(), HashMap::new());
        for place in 0..settings.readers.len() {
            let (state, seen) = watch::channel(ReaderState::default());
            let mut reader = SimReader::new(&settings, place, state, rng.fork());
            let id = &reader.settings.point;
            reader.point = *point_places.entry(id.clone()).or_insert_with(|| {
                let kind = kinds.get(id).copied().unwrap_or(PointKind::Workstation);
                points.push(PassagePoint::new(Gate::new(kind.gate())));
                points.len() - 1
            });
            readers.push(reader);
            states.push(seen);
        }
        let task = Self {
            address: port.address(),
            port: Some(port),
            reopen_at: None,
            started: Instant::now(),
            readers,
            points,
            point_places,
            decoder: Decoder::new(),
            faults: LineFaults::default(),
            rng,
            outgoing: VecDeque::new(),
            late_by: Duration::ZERO,
            record,
            settings,
        };
        Ok((task, states))
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Runs until `shutdown`, or until nobody can send commands any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<LineCommand>, shutdown: CancellationToken) {
        let mut buffer = [0_u8; 2048];
        loop {
            let now = self.started.elapsed();
            self.settle(now);
            let wake = self.deadline().map(|at| self.started + at);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                command = commands.recv() => match command {
                    Some(command) => self.obey(self.started.elapsed(), command),
                    None => return,
                },
                read = read(&mut self.port, &mut buffer) => match read {
                    Ok(len) => self.on_bytes(self.started.elapsed(), buffer.get(..len).unwrap_or_default()),
                    Err(error) => {
                        tracing::warn!(line = %self.settings.id, error = %error, "the simulated port failed; opening it again");
                        self.port = None;
                        self.reopen_at = Some(self.started.elapsed() + REOPEN_AFTER);
                    }
                },
                () = sleep_until(wake) => {}
            }
            if self.port.is_none() && !self.faults.unplugged && self.is_due(self.reopen_at) {
                self.reopen().await;
            }
        }
    }

    fn is_due(&self, at: Option<Duration>) -> bool {
        at.is_some_and(|at| at <= self.started.elapsed())
    }

    async fn reopen(&mut self) {
        let name = match self.address {
            Some(address) => format!("tcp://{address}"),
            None => self.settings.port.clone(),
        };
        match Port::open(&name).await {
            Ok(port) => {
                self.port = Some(port);
                self.reopen_at = None;
                self.decoder.reset();
            }
            Err(error) => {
                tracing::warn!(line = %self.settings.id, error = %error, "the simulated port cannot be opened");
                self.reopen_at = Some(self.started.elapsed() + REOPEN_AFTER);
            }
        }
    }

    /// Bytes from the panel.
    fn on_bytes(&mut self, now: Duration, bytes: &[u8]) {
        if self.settings.protocol == Protocol::Ascii {
            return;
        }
        let mut heard = bytes.to_vec();
        self.faults.damage(&mut self.rng, &mut heard);
        if self.faults.echo {
            self.send(now, heard.clone());
        }
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut rest = heard.as_slice();
        while let Some(found) = decoder.next(now, &mut rest) {
            let Ok(frame) = found else { continue };
            let mut answer: Option<Vec<u8>> = None;
            let mut turnaround = Duration::ZERO;
            for place in 0..self.readers.len() {
                let reader = &mut self.readers[place];
                let address = frame.header.address;
                let concerned = address == reader.device.settings().address || address == wire::osdp::BROADCAST;
                if !concerned || reader.silent || reader.off_until.is_some() {
                    continue;
                }
                reader.device.on_frame(now, &frame);
                let Step::Send(honest) = reader.device.next(now) else {
                    self.settle_reader(now, place);
                    continue;
                };
                let mut own = honest.to_vec();
                turnaround = turnaround.max(reader.settings.turnaround());
                if let Some(mode) = reader.hostile {
                    let before = std::mem::replace(&mut reader.answer_before, own.clone());
                    own = pervert(mode, &own, &before);
                    if mode == Hostile::Late {
                        turnaround += Duration::from_millis(LATE_MS);
                    }
                }
                match &mut answer {
                    Some(first) => collide(first, &own),
                    None => answer = Some(own),
                }
                self.settle_reader(now, place);
            }
            if let Some(answer) = answer {
                let wait = self.wire_time(frame.bytes().len() + answer.len(), turnaround);
                self.send(now + wait, answer);
            }
        }
        self.decoder = decoder;
    }

    /// How long a command and its answer take on a paced line; a hostile delay counts on any line.
    fn wire_time(&self, bytes: usize, turnaround: Duration) -> Duration {
        if !self.settings.paced {
            let late = Duration::from_millis(LATE_MS);
            return if turnaround >= late { late } else { Duration::ZERO };
        }
        let bits = 10 * u32::try_from(bytes).unwrap_or(u32::MAX);
        turnaround + Duration::from_secs_f64(f64::from(bits) / f64::from(self.settings.baud.max(1)))
    }

    fn send(&mut self, at: Duration, mut bytes: Vec<u8>) {
        self.faults.damage(&mut self.rng, &mut bytes);
        let at = at + Duration::from_millis(self.faults.delay_ms);
        if self.outgoing.len() < OUTGOING_MAX {
            self.outgoing.push_back((at, bytes));
        }
    }

    /// Does everything that is due: devices, gates, people, answers. Readers that were spoken to are settled where
    /// that happened, so that a line of many readers costs no more a poll than one of few.
    fn settle(&mut self, now: Duration) {
        for place in 0..self.readers.len() {
            let reader = &self.readers[place];
            if [reader.due, reader.off_until].into_iter().flatten().any(|due| due <= now) {
                self.settle_reader(now, place);
            }
        }
        for place in 0..self.points.len() {
            if self.points[place].is_quiet() {
                continue;
            }
            while let Some(action) = self.points.get_mut(place).and_then(|point| point.next(now)) {
                self.act(now, place, action);
            }
        }
        while let Some((at, bytes)) = self.outgoing.front() {
            let due = at.saturating_sub(self.late_by);
            if due > now {
                break;
            }
            self.late_by = now.saturating_sub(due).min(Duration::from_millis(2));
            if let Some(port) = &self.port {
                port.write(bytes);
            }
            self.outgoing.pop_front();
        }
    }

    fn settle_reader(&mut self, now: Duration, place: usize) {
        let Some(reader) = self.readers.get_mut(place) else { return };
        if reader.off_until.is_some_and(|until| until <= now) {
            reader.off_until = None;
            reader.device.restart();
        }
        // Timers only: an answer is taken where the command came.
        let _ = reader.device.next(now);
        while let Some(event) = reader.device.poll_event() {
            let point = self.points.get_mut(reader.point);
            match event {
                DeviceEvent::Output { output, on } if output == reader.settings.release_output => {
                    if let Some(point) = point {
                        point.on_release(now, place, on);
                    }
                }
                DeviceEvent::Led(led) => {
                    if let (Some(point), TemporaryLed::Show { .. }) = (point, led.temporary) {
                        point.on_answer(now, place, AnsweredBy::Led);
                    }
                }
                DeviceEvent::Buzzer(_) => {
                    if let Some(point) = point {
                        point.on_answer(now, place, AnsweredBy::Buzzer);
                    }
                }
                DeviceEvent::Text(_) => {
                    if let Some(point) = point {
                        point.on_answer(now, place, AnsweredBy::Text);
                    }
                }
                DeviceEvent::CardSent(tag) => {
                    if let Some(point) = point {
                        point.on_sent(place, tag);
                    }
                }
                DeviceEvent::LinkRestarted => {
                    if let Some(point) = point {
                        point.on_link_restarted(place);
                    }
                }
                DeviceEvent::Found => reader.state.send_modify(|state| state.found = true),
                DeviceEvent::Lost => reader.state.send_modify(|state| *state = ReaderState::default()),
                DeviceEvent::Secure { .. } => reader.state.send_modify(|state| state.secure = true),
                DeviceEvent::SessionLost => reader.state.send_modify(|state| state.secure = false),
                DeviceEvent::KeySet(_) => tracing::info!(reader = %reader.id, "the simulated reader has a new key"),
                DeviceEvent::Output { .. }
                | DeviceEvent::Manufacturer { .. }
                | DeviceEvent::ComSet { .. }
                | DeviceEvent::CardForgotten(_) => {}
            }
        }
        reader.due = match reader.device.next(now) {
            Step::WaitUntil(at) => Some(at),
            Step::Send(_) | Step::WaitForBytes => None,
        };
    }

    fn act(&mut self, now: Duration, point: usize, action: Action) {
        match action {
            Action::Present { reader, card } => self.present(now, point, reader, &card),
            Action::Contact { contact, active } => {
                for reader in self.readers.iter_mut().filter(|reader| reader.point == point) {
                    let input = match contact {
                        Contact::Passage => reader.passage_input,
                        Contact::Exit => reader.exit_input,
                    };
                    if let Some(input) = input {
                        reader.device.set_input(input, active);
                    }
                }
            }
            Action::Answered { tap, reader, card, by, waited } => {
                if let Some(reader) = self.readers.get(reader) {
                    self.record.answered(tap, &reader.id, &card, by, waited);
                }
            }
            Action::Ended { tap, reader, card, outcome, answered } => {
                if let Some(reader) = self.readers.get(reader) {
                    self.record.ended(tap, &reader.id, &card, outcome, answered);
                }
            }
        }
    }

    fn present(&mut self, now: Duration, point: usize, place: usize, card: &CardNumber) {
        let (bits, bytes) = card.to_bits();
        if self.settings.protocol == Protocol::Ascii {
            self.send(now, ascii_lines::placed(bits, &bytes));
            self.send(now + CARD_ON_DESK, ascii_lines::removed());
            if let Some(point) = self.points.get_mut(point) {
                point.on_printed();
            }
            return;
        }
        let reader = self.readers.get_mut(place).filter(|reader| reader.off_until.is_none());
        let tag = reader.and_then(|reader| reader.device.present_card(now, CardBits::new(bits, bytes)?).ok());
        if let Some(point) = self.points.get_mut(point) {
            point.on_presented(tag);
        }
        self.settle_reader(now, place);
    }

    fn obey(&mut self, now: Duration, command: LineCommand) {
        match command {
            LineCommand::Attempt { point, attempt } => {
                if let Some(point) = self.point(&point) {
                    point.enqueue(attempt);
                }
            }
            LineCommand::Keys { reader, keys } => {
                if let Some(reader) = self.readers.get_mut(reader) {
                    // A full reader beeps; so be it.
                    let _ = reader.device.press_keys(keys.expose());
                }
            }
            LineCommand::Input { reader, input, active } => {
                if let Some(reader) = self.readers.get_mut(reader) {
                    reader.device.set_input(input, active);
                }
            }
            LineCommand::ExitButton { point, after } => {
                if let Some(point) = self.point(&point) {
                    point.gate().press_exit(now, after);
                }
            }
            LineCommand::Force { point, hold } => {
                if let Some(point) = self.point(&point) {
                    point.gate().force(now, hold);
                }
            }
            LineCommand::Inject { reader: None, fault } => {
                self.faults.inject(fault);
                if self.faults.unplugged {
                    self.port = None;
                    self.outgoing.clear();
                }
            }
            LineCommand::Heal { reader: None } => {
                self.faults = LineFaults::default();
                if self.port.is_none() {
                    self.reopen_at = Some(now);
                }
            }
            LineCommand::Inject { reader: Some(place), fault } => {
                if let Some(reader) = self.readers.get_mut(place) {
                    reader.inject(now, fault, &mut self.rng);
                    self.settle_reader(now, place);
                }
            }
            LineCommand::Heal { reader: Some(place) } => {
                if let Some(reader) = self.readers.get_mut(place) {
                    reader.heal();
                    self.settle_reader(now, place);
                }
            }
            LineCommand::Stats { reader, answer } => {
                if let Some(reader) = self.readers.get(reader) {
                    let _ = answer.send(reader.device.stats());
                }
            }
        }
    }

    fn point(&mut self, id: &PointId) -> Option<&mut PassagePoint> {
        self.points.get_mut(*self.point_places.get(id)?)
    }

    fn deadline(&self) -> Option<Duration> {
        let readers = self.readers.iter().flat_map(|reader| [reader.due, reader.off_until]).flatten().min();
        let points = self.points.iter().filter_map(PassagePoint::deadline).min();
        let outgoing = self.outgoing.front().map(|(at, _)| at.saturating_sub(self.late_by));
        [readers, points, outgoing, self.reopen_at].into_iter().flatten().min()
    }
}

/// Reads from a port; never comes back from one that is not there.
async fn read(port: &mut Option<Port>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match port {
        Some(port) => port.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
