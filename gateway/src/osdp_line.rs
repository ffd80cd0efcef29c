//! A line with OSDP readers: the run loop around [`wire::osdp::panel::Bus`], and the translation between its words
//! and the core's.

use std::io;
use std::time::Duration;

use domain::Reason;
use domain::card;
use domain::ids::ReaderId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::osdp::command::{Blink, BuzzerControl, Colour, LedControl, OutputAction, OutputControl, TemporaryLed};
use wire::osdp::panel::{
    Alarm, Bus, BusEvent, BusSettings, EventKind, PinnedIdentity, ReaderCommand, ReaderIndex, ReaderSettings, Step,
};
use zeroize::Zeroizing;

use crate::line::{Keys, LineFact, LineOrder, ReaderCounters, ReaderFact, ReaderOrder, Signal, Teller};
use crate::port::OpenPort;
use crate::settings::{OsdpReader, Security};

/// Least time between two polls of one reader. A wire is slower than this by itself; a pseudo-terminal or a TCP serial
/// server is not, and a line of few readers would burn a core. `scripts/bench gateway` shows what it costs.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// How often counters are told.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);
/// An age that is not known counts as this: late.
const AGE_UNKNOWN: Duration = Duration::from_secs(3600);
/// How long a colour and tone answer a tap.
const SHOW_100MS: u16 = 20;

/// One OSDP line.
pub struct OsdpLine {
    bus: Bus,
    readers: Vec<(ReaderIndex, OsdpReader)>,
    started: Instant,
    counters_due: Instant,
}

impl OsdpLine {
    /// A line whose port is not open yet.
    pub fn new(baud: u32, readers: &[OsdpReader], started: Instant) -> Self {
        let mut settings = BusSettings::new(baud);
        settings.poll_interval = POLL_INTERVAL;
        if let Some(offline_after) = readers.iter().map(|reader| reader.offline_after).min() {
            settings.offline_after = offline_after;
        }
        let random = Box::new(|bytes: &mut [u8]| fill_random(bytes));
        let mut bus = match Bus::new(settings, Vec::new(), random) {
            Ok(bus) => bus,
            Err(error) => {
                // Settings were checked when the configuration was read; the line stays silent rather than wrong.
                tracing::error!(%error, "the line's settings are refused");
                return Self::silent(started);
            }
        };
        let mut known = Vec::new();
        for reader in readers {
            match bus.add_reader(Duration::ZERO, panel_settings(reader)) {
                Ok(index) => known.push((index, reader.clone())),
                Err(error) => tracing::error!(reader.id = %reader.place.reader, %error, "the reader is refused"),
            }
        }
        Self { bus, readers: known, started, counters_due: started }
    }

    #[expect(clippy::expect_used, reason = "the defaults of the standard with no reader cannot be refused")]
    fn silent(started: Instant) -> Self {
        let bus = Bus::new(BusSettings::new(9600), Vec::new(), Box::new(fill_random)).expect("default settings");
        Self { bus, readers: Vec::new(), started, counters_due: started }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Works until the port ends (an error) or the line is cancelled.
    ///
    /// # Errors
    /// What ended the port.
    pub async fn drive(
        &mut self,
        port: &mut OpenPort,
        teller: &Teller,
        orders: &mut mpsc::Receiver<LineOrder>,
        cancel: &CancellationToken,
    ) -> io::Result<()> {
        self.bus.line_up(self.now());
        let ended = self.work(port, teller, orders, cancel).await;
        if ended.is_err() {
            self.bus.line_down(self.now());
            self.tell(teller).await;
        }
        ended
    }

    /// The speed at which the port is to be opened.
    pub fn baud(&self) -> u32 {
        self.bus.baud()
    }

    /// While the port is gone: readers go offline in their time.
    pub async fn without_port(&mut self, teller: &Teller) {
        let now = self.now();
        // Nothing can be sent; this only lets supervision see the time.
        let _ = self.bus.next(now);
        self.tell(teller).await;
    }

    async fn work(
        &mut self,
        port: &mut OpenPort,
        teller: &Teller,
        orders: &mut mpsc::Receiver<LineOrder>,
        cancel: &CancellationToken,
    ) -> io::Result<()> {
        let mut buffer = [0_u8; 2048];
        loop {
            self.tell(teller).await;
            let until = match self.bus.next(self.started.elapsed()) {
                Step::Send(bytes) => {
                    port.write(bytes).await?;
                    continue;
                }
                Step::SetBaud(baud) => {
                    port.set_baud(baud)?;
                    continue;
                }
                Step::WaitUntil(at) => self.started + at,
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                Some(order) = orders.recv() => self.order(&order),
                read = port.read(&mut buffer) => self.bus.on_bytes(self.started.elapsed(), &buffer[..read?]),
                () = sleep_until(until) => {}
            }
        }
    }

    async fn tell(&mut self, teller: &Teller) {
        // Taken before the first event waits for room: those behind it are as old.
        let noticed = Instant::now();
        while let Some(event) = self.bus.poll_event() {
            let Some((_, reader)) = self.readers.iter().find(|(index, _)| *index == event.reader) else { continue };
            for fact in facts(&event, reader) {
                teller.reader(noticed, &reader.place.reader, fact).await;
            }
        }
        let now = Instant::now();
        if now >= self.counters_due {
            self.counters_due = now + COUNTERS_EVERY;
            let counters = self.readers.iter().filter_map(|(index, reader)| self.counters(*index, reader)).collect();
            teller.tell(LineFact::Counters(counters)).await;
        }
    }

    fn counters(&self, index: ReaderIndex, reader: &OsdpReader) -> Option<(ReaderId, ReaderCounters)> {
        let stats = self.bus.stats(index)?;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let counters = ReaderCounters {
            polls: stats.polls,
            retries: stats.retries,
            timeouts: stats.timeouts,
            crc_errors: stats.check_errors,
            reply_us: stats.turnaround_mean.map_or(0, micros),
            silent_ms: 0,
        };
        Some((reader.place.reader.clone(), counters))
    }

    fn order(&mut self, order: &LineOrder) {
        let Some((index, _)) = self.readers.iter().find(|(_, reader)| reader.place.reader == order.reader) else {
            return;
        };
        let (index, now) = (*index, self.started.elapsed());
        for command in commands(&order.what) {
            if let Err(error) = self.bus.command(now, index, command) {
                tracing::warn!(reader.id = %order.reader, %error, "an order was not taken");
            }
        }
    }
}

fn fill_random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        // Without randomness no handshake may be made; a constant challenge would invite replay. The process cannot
        // do its work any more.
        tracing::error!(%error, "the operating system gives no random bytes");
        std::process::abort();
    }
}

fn panel_settings(reader: &OsdpReader) -> ReaderSettings {
    let mut settings = match &reader.security {
        Security::Key(key) => ReaderSettings::keyed(reader.address, key.clone()),
        Security::Insecure { accepted_by, until } => ReaderSettings::insecure(reader.address, accepted_by, until),
    };
    settings.pinned = reader.serial.and_then(|serial| Some(PinnedIdentity { vendor: reader.vendor?, serial }));
    settings
}

fn commands(order: &ReaderOrder) -> Vec<ReaderCommand> {
    let output =
        |output, action, timer_100ms| vec![ReaderCommand::Output(vec![OutputControl { output, action, timer_100ms }])];
    match *order {
        ReaderOrder::Release(number, time) => {
            let tenths = u16::try_from(time.as_millis().div_ceil(100)).unwrap_or(u16::MAX).max(1);
            output(number, OutputAction::OnTimed, tenths)
        }
        ReaderOrder::Secure(number) => output(number, OutputAction::OffPermanent, 0),
        ReaderOrder::HoldOpen(number) => output(number, OutputAction::OnPermanent, 0),
        ReaderOrder::Show(signal) => show(signal),
        // For peers only.
        ReaderOrder::Answer { .. } | ReaderOrder::Control { .. } => Vec::new(),
    }
}

fn show(signal: Signal) -> Vec<ReaderCommand> {
    let (colour, beeps) = match signal {
        Signal::Granted => (Colour::Green, 1),
        Signal::Refused => (Colour::Red, 2),
        Signal::AskPin => (Colour::Amber, 1),
    };
    let led = LedControl {
        reader: 0,
        led: 0,
        temporary: TemporaryLed::Show { blink: Blink::steady(colour), timer_100ms: SHOW_100MS },
        permanent: None,
    };
    let buzzer = BuzzerControl { reader: 0, tone: 2, on_100ms: 1, off_100ms: 1, count: beeps };
    vec![ReaderCommand::Led(vec![led]), ReaderCommand::Buzzer(buzzer)]
}

fn facts(event: &BusEvent, reader: &OsdpReader) -> Vec<ReaderFact> {
    let one = |fact| vec![fact];
    match &event.kind {
        EventKind::Online => match &reader.security {
            Security::Key(_) => one(ReaderFact::Online),
            Security::Insecure { .. } => vec![ReaderFact::Online, ReaderFact::Insecure],
        },
        EventKind::Offline { silent_for } => one(ReaderFact::Offline(*silent_for)),
        EventKind::Secure => one(ReaderFact::Secure),
        EventKind::SessionLost(_) => one(ReaderFact::SessionLost),
        EventKind::Card { card, age_at_most, .. } => {
            let mut bytes = Zeroizing::new(card.expose().to_vec());
            if reader.place.uid_reversed && card.bits() % 8 == 0 {
                bytes.reverse();
            }
            let number = card::from_bits(card.bits(), &bytes);
            one(ReaderFact::Card { number, age: age_at_most.unwrap_or(AGE_UNKNOWN) })
        }
        EventKind::CardText { .. } => {
            one(ReaderFact::Card { number: Err(card::CardError::BitCount(0)), age: AGE_UNKNOWN })
        }
        EventKind::Keypad { keys, age_at_most, .. } => {
            // Keys that waited in a silent reader belong to nobody who stands there now.
            if age_at_most.is_none_or(|age| age > Duration::from_secs(3)) {
                return Vec::new();
            }
            let text = keys.expose().iter().filter_map(|key| match key {
                b'0'..=b'9' => Some(char::from(*key)),
                0x7F | b'*' => Some('*'),
                0x0D | b'#' => Some('#'),
                _ => None,
            });
            one(ReaderFact::Keys(Keys(Zeroizing::new(text.collect()))))
        }
        EventKind::Inputs(levels) => one(ReaderFact::Inputs((levels.active & 0xFFFF_FFFF) as u32)),
        EventKind::LocalStatus { tamper, power_failed } => {
            let mut facts = Vec::new();
            if tamper.edge || tamper.active {
                facts.push(ReaderFact::Tamper(tamper.active));
            }
            if power_failed.edge || power_failed.active {
                facts.push(ReaderFact::PowerFault(power_failed.active));
            }
            facts
        }
        EventKind::Identity(identity) => one(ReaderFact::Identity {
            model: format!(
                "{:02X}{:02X}{:02X}-{}.{}",
                identity.vendor[0], identity.vendor[1], identity.vendor[2], identity.model, identity.version
            ),
            serial: format!("{:08X}", identity.serial),
            firmware: format!("{}.{}.{}", identity.firmware[0], identity.firmware[1], identity.firmware[2]),
        }),
        EventKind::Alarm { kind, repeats } => {
            let (reason, detail) = alarm(*kind);
            let detail = match (detail, repeats) {
                (detail, 0) => detail,
                (Some(detail), more) => Some(format!("{detail}; {more} more before")),
                (None, more) => Some(format!("{more} more before")),
            };
            one(ReaderFact::Alarm(reason, detail))
        }
        EventKind::KeyRotated | EventKind::Provisioned => one(ReaderFact::Alarm(Reason::KeyChanged, None)),
        EventKind::Outputs(_)
        | EventKind::Readers(_)
        | EventKind::Capabilities(_)
        | EventKind::Manufacturer { .. }
        | EventKind::CommandDone(_)
        | EventKind::CommandFailed { .. }
        | EventKind::ProvisionFailed(_)
        | EventKind::Communication { .. } => Vec::new(),
    }
}

fn alarm(alarm: Alarm) -> (Reason, Option<String>) {
    match alarm {
        Alarm::Downgrade => (Reason::Downgrade, None),
        Alarm::HandshakeRefused => (Reason::HandshakeFailed, Some("the reader refused the handshake".into())),
        Alarm::DefaultKeyOffered => (Reason::InstallMode, Some("the reader offered the installation key".into())),
        Alarm::WrongKey => (Reason::HandshakeFailed, Some("the reader does not know its key".into())),
        Alarm::HandshakeBlockInSession => (Reason::HandshakeInSession, None),
        Alarm::PlaintextInSession => (Reason::PlaintextInSession, None),
        Alarm::BadMac => (Reason::BadMac, None),
        Alarm::BusInterference => (Reason::BusInterference, None),
        Alarm::StuckBusy => (Reason::BusInterference, Some("the reader answers BUSY without end".into())),
        Alarm::IdentityChanged(identity) => {
            (Reason::IdentityChanged, Some(format!("now serial {:08X}", identity.serial)))
        }
        Alarm::AddressConflict => (Reason::AddressConflict, None),
        Alarm::SecurityDemanded => (Reason::HandshakeFailed, Some("the reader demands Secure Channel".into())),
        Alarm::KeyNotTaken => (Reason::KeyChanged, Some("confirmed, but the reader still proves its old key".into())),
    }
}
