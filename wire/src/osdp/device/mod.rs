//! The peripheral device: one OSDP reader, as its panel sees it. For simulators and for tests of panels.
//!
//! Owns one address on a line: sequence numbers, the reader's end of Secure Channel, its inputs, outputs and the
//! events it has to report. Never reads a clock, draws randomness or touches a port. Imports the codec.
//!
//! # Run loop
//! Time is `now`, a duration since any fixed start. Whoever owns the port repeats:
//! 1. bytes come: [`Device::on_bytes`]; or, where many devices share a line, one [`Decoder`] reads it and each frame
//!    goes to [`Device::on_frame`] of every device;
//! 2. [`Device::next`]: send what it says (nothing may be put between the bytes), or wait until that time or for
//!    bytes, then ask again;
//! 3. drain [`Device::poll_event`].
//!
//! # What it does that not every reader does
//! A device with a key says nothing of interest in clear: POLL gets an ACK, ID, CAP and COMSET their answers,
//! everything else NAK 6. A command repeated with its sequence number and its very bytes gets the stored reply, as
//! bytes; other bytes under that number get NAK 4. The installation key is taken in install mode only.

mod answer;
mod handshake;
mod outputs;
mod report;

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroize;

use super::command::{self, BuzzerControl, LedControl, Opaque, TextControl};
use super::frame::{self, Decoder, Direction, Frame, Header, MARK, SecurityBlock, scs};
use super::reply::{Identity, NakReason, Reply};
use super::secure::{Scbk, Session};
use super::{BROADCAST, MAX_ADDRESS};
use handshake::Handshake;
use outputs::Outputs;
use report::Reports;
pub use report::{CARDS_MAX, CardTag, INPUT_CHANGES_MAX, KEYS_MAX, QueueFull};

/// A device that heard no command for so long considers its panel lost (SIA: 8 s).
pub const LOST_AFTER: Duration = Duration::from_secs(8);

/// Events kept until they are taken. More LED, buzzer and text commands than this between two calls of
/// [`Device::poll_event`] are carried out but not reported; output changes always are.
pub const EVENTS_MAX: usize = 512;

/// Bytes for nonces and keys.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// What a device is.
#[derive(Clone, Debug)]
pub struct DeviceSettings {
    /// 0 to 126.
    pub address: u8,
    /// Bits a second; only reported by COM.
    pub baud: u32,
    /// Its Secure Channel key. `None`: it works in clear.
    pub key: Option<Scbk>,
    /// Takes the public installation key, so that a panel can set a key.
    pub install_mode: bool,
    /// PDID.
    pub identity: Identity,
    /// How many inputs it has.
    pub inputs: u8,
    /// How many outputs it has.
    pub outputs: u8,
    /// From a command's last byte to the reply's first (SIA: nominal 3 ms, at most 200 ms).
    pub turnaround: Duration,
    /// Sends one mark byte before a frame.
    pub mark: bool,
    /// A card not fetched for so long is forgotten.
    pub card_hold: Duration,
    /// Names Secure Channel among its capabilities. False is a lie that downgrade tests need.
    pub claims_security: bool,
}

impl DeviceSettings {
    /// A reader with four inputs and four outputs, 3 ms turnaround and no key.
    pub fn new(address: u8) -> Self {
        Self {
            address,
            baud: 9600,
            key: None,
            install_mode: false,
            identity: Identity { vendor: [0x54, 0x57, 0x44], model: 1, version: 1, serial: 1, firmware: [1, 0, 0] },
            inputs: 4,
            outputs: 4,
            turnaround: Duration::from_millis(3),
            mark: true,
            card_hold: Duration::from_secs(10),
            claims_security: true,
        }
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Send these bytes, then ask again.
    Send(&'a [u8]),
    /// Nothing before this time unless bytes come.
    WaitUntil(Duration),
    /// Nothing until bytes come.
    WaitForBytes,
}

/// What the panel made the device do, or what became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    /// The panel speaks to it, after silence.
    Found,
    /// No command for [`LOST_AFTER`].
    Lost,
    /// The panel started the sequence anew; a session, if there was one, is over.
    LinkRestarted,
    /// Secure Channel is up.
    Secure {
        /// Under the public installation key.
        install_key: bool,
    },
    /// Secure Channel ended.
    SessionLost,
    /// LED.
    Led(LedControl),
    /// BUZ.
    Buzzer(BuzzerControl),
    /// TEXT.
    Text(TextControl),
    /// An output changed, by command or because its timer ended.
    Output {
        /// From 0.
        output: u8,
        /// Now on.
        on: bool,
    },
    /// MFG.
    Manufacturer {
        /// Vendor code (OUI).
        vendor: [u8; 3],
        /// The vendor's data.
        data: Opaque,
    },
    /// A new key is in force for the next handshake; install mode is over.
    KeySet(Scbk),
    /// Address and speed have changed, the reply being sent.
    ComSet {
        /// From now on.
        address: u8,
        /// From now on, bits a second.
        baud: u32,
    },
    /// The card went out in a reply to POLL.
    CardSent(CardTag),
    /// The card was not fetched within [`DeviceSettings::card_hold`].
    CardForgotten(CardTag),
}

/// Counts since the device was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceStats {
    /// Commands carried out.
    pub commands: u64,
    /// Commands repeated by the panel and answered with the stored reply.
    pub repeats: u64,
    /// NAK replies.
    pub naks: u64,
    /// Sessions set up.
    pub sessions: u64,
    /// Frames with a wrong MAC.
    pub bad_macs: u64,
}

/// One reader. See the [module's text](self) for its run loop.
pub struct Device {
    settings: DeviceSettings,
    random: Random,
    decoder: Decoder,
    last: Option<Exchange>,
    handshake: Option<Handshake>,
    session: Option<Session>,
    outputs: Outputs,
    reports: Reports,
    busy: u32,
    out: Vec<u8>,
    send_at: Option<Duration>,
    comset: Option<(u8, u32)>,
    heard: Option<Duration>,
    events: VecDeque<DeviceEvent>,
    stats: DeviceStats,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("settings", &self.settings)
            .field("secure", &self.session.is_some())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// The last command carried out and what was answered, for the panel that did not hear it.
struct Exchange {
    sequence: u8,
    command: Vec<u8>,
    reply: Vec<u8>,
}

/// How a reply travels.
enum Envelope {
    Plain,
    Handshake(u8, u8),
    Session,
}

impl Device {
    /// A device that was just switched on.
    pub fn new(settings: DeviceSettings, random: Random) -> Self {
        Self {
            outputs: Outputs::new(settings.outputs),
            reports: Reports::new(settings.inputs),
            settings,
            random,
            decoder: Decoder::new(),
            last: None,
            handshake: None,
            session: None,
            busy: 0,
            out: Vec::new(),
            send_at: None,
            comset: None,
            heard: None,
            events: VecDeque::new(),
            stats: DeviceStats::default(),
        }
    }

    /// Its settings as they are now (KEYSET and COMSET change them).
    pub fn settings(&self) -> &DeviceSettings {
        &self.settings
    }

    /// Whether Secure Channel is up.
    pub fn is_secure(&self) -> bool {
        self.session.is_some()
    }

    /// Counts since the device was made.
    pub fn stats(&self) -> DeviceStats {
        self.stats
    }

    /// The oldest event not taken yet.
    pub fn poll_event(&mut self) -> Option<DeviceEvent> {
        self.events.pop_front()
    }

    /// A card is held to the reader. Fails when [`CARDS_MAX`] cards wait.
    pub fn present_card(&mut self, now: Duration, card: super::reply::CardBits) -> Result<CardTag, QueueFull> {
        self.reports.push_card(now + self.settings.card_hold, card)
    }

    /// Keys are pressed: `0`..`9`, 0x7F for `*`, 0x0D for `#`. Fails when [`KEYS_MAX`] wait.
    pub fn press_keys(&mut self, keys: &[u8]) -> Result<(), QueueFull> {
        self.reports.push_keys(keys)
    }

    /// A contact changes; reported by the next POLL. Numbers the device does not have are ignored.
    pub fn set_input(&mut self, input: u8, active: bool) {
        self.reports.set_input(input, active);
    }

    /// The case is opened or closed.
    pub fn set_tamper(&mut self, tamper: bool) {
        self.reports.set_local(|local| local.tamper = tamper);
    }

    /// The supply fails or returns.
    pub fn set_power_failed(&mut self, failed: bool) {
        self.reports.set_local(|local| local.power_failed = failed);
    }

    /// The next `commands` commands are answered BUSY.
    pub fn set_busy(&mut self, commands: u32) {
        self.busy = commands;
    }

    /// Replaces the key without the panel's knowledge; a session goes on until it ends.
    pub fn set_key(&mut self, key: Option<Scbk>) {
        self.settings.key = key;
    }

    /// Moves it to another address without the panel's knowledge, for example onto another reader's.
    pub fn set_address(&mut self, address: u8) {
        self.settings.address = address;
    }

    /// Makes it name Secure Channel among its capabilities, or hide it.
    pub fn set_claims_security(&mut self, claims: bool) {
        self.settings.claims_security = claims;
    }

    /// Switched off and on: session, sequence, outputs and what waited to be reported are gone; contacts and tamper
    /// are as they are.
    pub fn restart(&mut self) {
        self.last = None;
        self.handshake = None;
        self.end_session();
        self.send_at = None;
        self.comset = None;
        self.heard = None;
        self.decoder.reset();
        self.reports.forget();
        for output in self.outputs.all_off() {
            self.events.push_back(DeviceEvent::Output { output, on: false });
        }
    }

    /// Bytes from the line.
    pub fn on_bytes(&mut self, now: Duration, bytes: &[u8]) {
        let mut rest = bytes;
        let mut decoder = std::mem::take(&mut self.decoder);
        while let Some(found) = decoder.next(now, &mut rest) {
            // A broken frame is not answered: the panel repeats.
            if let Ok(frame) = found {
                self.on_frame(now, &frame);
            }
        }
        self.decoder = decoder;
    }

    /// A whole good frame from the line, whoever it is for.
    pub fn on_frame(&mut self, now: Duration, frame: &Frame<'_>) {
        let header = frame.header;
        let broadcast = header.address == BROADCAST;
        if header.direction == Direction::Reply || !(broadcast || header.address == self.settings.address) {
            return;
        }
        if broadcast && !answered_to_all(frame.code) {
            return;
        }
        if self.heard.is_none() {
            self.events.push_back(DeviceEvent::Found);
        }
        self.heard = Some(now);
        // Whatever was to be said belongs to a command that the panel gave up.
        self.send_at = None;
        self.comset = None;

        match self.last.as_ref().map(|last| last.sequence) {
            _ if header.sequence == 0 => {
                if self.last.take().is_some() {
                    self.events.push_back(DeviceEvent::LinkRestarted);
                }
                self.end_session();
            }
            Some(last) if header.sequence == last => {
                let stored = self.last.as_ref().filter(|last| last.command == frame.bytes());
                if let Some(stored) = stored {
                    self.out.clear();
                    self.out.extend_from_slice(&stored.reply);
                    self.stats.repeats += 1;
                    self.send_at = Some(now + self.settings.turnaround);
                } else {
                    self.refuse(now, header, NakReason::Sequence);
                }
                return;
            }
            Some(last) if header.sequence == last % 3 + 1 => {}
            _ => return self.refuse(now, header, NakReason::Sequence),
        }
        if self.busy > 0 {
            self.busy -= 1;
            // BUSY is always plain, with sequence 0, and the command will come again as new.
            self.compose(Header { sequence: 0, ..header }, &Reply::Busy, &Envelope::Plain);
            self.send_at = Some(now + self.settings.turnaround);
            return;
        }
        self.carry_out(now, frame);
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Duration) -> Step<'_> {
        while let Some((output, on)) = self.outputs.expire(now) {
            self.events.push_back(DeviceEvent::Output { output, on });
        }
        while let Some(tag) = self.reports.expire(now) {
            self.note(DeviceEvent::CardForgotten(tag));
        }
        if self.heard.is_some_and(|heard| now >= heard + LOST_AFTER) {
            self.heard = None;
            self.note(DeviceEvent::Lost);
        }
        match self.send_at {
            Some(at) if at <= now => {
                self.send_at = None;
                if let Some((address, baud)) = self.comset.take() {
                    self.settings.address = address;
                    self.settings.baud = baud;
                    // The link starts anew at the new settings.
                    self.last = None;
                    self.end_session();
                    self.note(DeviceEvent::ComSet { address, baud });
                }
                Step::Send(&self.out)
            }
            send_at => {
                let lost = self.heard.map(|heard| heard + LOST_AFTER);
                let deadlines = [send_at, lost, self.outputs.deadline(), self.reports.deadline()];
                deadlines.into_iter().flatten().min().map_or(Step::WaitForBytes, Step::WaitUntil)
            }
        }
    }

    /// Checks how the command is protected, carries it out, stores the reply.
    fn carry_out(&mut self, now: Duration, frame: &Frame<'_>) {
        let header = frame.header;
        let kind = frame.security.map(|block| block.kind);
        let key_kind = frame.security.and_then(|block| block.data.first().copied()).unwrap_or(scs::KEY_OWN);
        let (reply, envelope) = match kind {
            Some(scs::COMMAND | scs::COMMAND_DATA) => {
                let mut data = Vec::new();
                match self.session.as_mut().map(|session| session.open(frame, &mut data)) {
                    Some(Ok(())) => {
                        let reply = self.answer(now, frame.code, &data, header.address == BROADCAST);
                        data.zeroize();
                        (reply, Envelope::Session)
                    }
                    Some(Err(_)) => {
                        self.stats.bad_macs += 1;
                        self.end_session();
                        return self.refuse(now, header, NakReason::SecurityRequired);
                    }
                    None => return self.refuse(now, header, NakReason::SecurityRequired),
                }
            }
            Some(scs::CHALLENGE) => match self.challenge(frame, key_kind) {
                Ok(reply) => (reply, Envelope::Handshake(scs::CLIENT_CRYPTOGRAM, key_kind)),
                Err(reason) => (Reply::Nak(reason), Envelope::Plain),
            },
            Some(scs::SERVER_CRYPTOGRAM) => match self.server_cryptogram(frame) {
                Ok((reply, status)) => (reply, Envelope::Handshake(scs::INITIAL_RMAC, status)),
                Err(reason) => (Reply::Nak(reason), Envelope::Plain),
            },
            Some(_) => (Reply::Nak(NakReason::SecurityUnsupported), Envelope::Plain),
            // In a session the panel never speaks in clear: somebody else did. Nothing changes by it.
            None if self.session.is_some() => return self.refuse(now, header, NakReason::SecurityRequired),
            None if self.settings.key.is_some() && !answered_in_clear(frame.code) => {
                (Reply::Nak(NakReason::SecurityRequired), Envelope::Plain)
            }
            None => (self.answer(now, frame.code, frame.data, header.address == BROADCAST), Envelope::Plain),
        };
        self.stats.commands += 1;
        if matches!(reply, Reply::Nak(_)) {
            self.stats.naks += 1;
        }
        self.compose(header, &reply, &envelope);
        self.last =
            Some(Exchange { sequence: header.sequence, command: frame.bytes().to_vec(), reply: self.out.clone() });
        self.send_at = Some(now + self.settings.turnaround);
    }

    /// Answers NAK in clear and remembers nothing, so that the panel's own next command is still the expected one.
    fn refuse(&mut self, now: Duration, header: Header, reason: NakReason) {
        self.stats.naks += 1;
        self.compose(header, &Reply::Nak(reason), &Envelope::Plain);
        self.send_at = Some(now + self.settings.turnaround);
    }

    fn compose(&mut self, command: Header, reply: &Reply, envelope: &Envelope) {
        let header = Header { address: self.settings.address, direction: Direction::Reply, ..command };
        let mut data = Vec::new();
        reply.encode_data(&mut data);
        self.out.clear();
        if self.settings.mark {
            self.out.push(MARK);
        }
        match (envelope, &mut self.session) {
            (Envelope::Session, Some(session)) => session.seal(&mut self.out, header, reply.code(), &data),
            (Envelope::Handshake(kind, status), _) => {
                let block = SecurityBlock { kind: *kind, data: &[*status] };
                frame::encode(&mut self.out, header, Some(block), reply.code(), &data);
            }
            (Envelope::Plain | Envelope::Session, _) => {
                frame::encode(&mut self.out, header, None, reply.code(), &data);
            }
        }
        data.zeroize();
    }

    fn end_session(&mut self) {
        self.handshake = None;
        if self.session.take().is_some() {
            self.note(DeviceEvent::SessionLost);
        }
    }

    fn note(&mut self, event: DeviceEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        }
    }
}

/// Commands that a device answers when sent to the broadcast address (SIA 050-09-05).
fn answered_to_all(code: u8) -> bool {
    matches!(code, command::code::ID | command::code::CAP | command::code::COMSET)
}

/// Commands that a device with a key answers outside a session (SIA 050-09-18), and POLL, with a bare ACK: panels
/// begin with it.
fn answered_in_clear(code: u8) -> bool {
    answered_to_all(code) || code == command::code::POLL
}

/// Whether a COMSET can be followed.
fn follows_comset(address: u8, baud: u32) -> bool {
    address <= MAX_ADDRESS && super::BAUD_RATES.contains(&baud)
}
