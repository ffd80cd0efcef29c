//! The other end for the tests: scripted readers on the codec, a line in virtual time, and a
//! place where an attacker or a bad cable can sit.

use std::collections::VecDeque;
use std::time::Duration;

use wire::osdp::command::{Command, code as command};
use wire::osdp::frame::{self, Check, Direction, Frame, Header, SecurityBlock, scs};
use wire::osdp::panel::{
    Alarm, Bus, BusEvent, BusSettings, CommandId, EventKind, ReaderCommand, ReaderIndex, ReaderSettings, ReaderState,
    ReaderStats, Security, Step,
};
use wire::osdp::reply::{Capability, CardBits, Characters, Identity, NakReason, Reply};
use wire::osdp::secure::{Scbk, Session, SessionKeys};

pub const MS: Duration = Duration::from_millis(1);
pub const S: Duration = Duration::from_secs(1);

pub fn key(number: u8) -> Scbk {
    let mut bytes = *b"\x91\x7e\x02\xc4\x55\xd8\x3b\xa6\x19\xf0\x6d\x84\x2c\xb7\x40\xee";
    bytes[7] = number;
    Scbk::new(bytes)
}

pub fn card(bits: u16, bytes: &[u8]) -> Reply {
    Reply::Raw { reader: 0, format: 1, card: CardBits::new(bits, bytes.to_vec()).unwrap() }
}

pub fn card26() -> Reply {
    card(26, &[0x12, 0x34, 0x56, 0x40])
}

pub fn reply_frame(address: u8, sequence: u8, block: Option<SecurityBlock<'_>>, reply: &Reply) -> Vec<u8> {
    let header = Header { address, direction: Direction::Reply, sequence, check: Check::Crc };
    let mut data = Vec::new();
    reply.encode_data(&mut data);
    let mut out = Vec::new();
    frame::encode(&mut out, header, block, reply.code(), &data);
    out
}

/// A command as it went over the line.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Duration,
    pub address: u8,
    pub sequence: u8,
    pub code: u8,
    pub scs: Option<u8>,
    pub bytes: Vec<u8>,
}

/// A reader that does what the standard says, with a few switches.
pub struct FakeReader {
    pub address: u8,
    pub key: Scbk,
    pub check: Check,
    pub silent: bool,
    /// Refuses everything but ID, CAP and CHLNG in clear.
    pub strict: bool,
    pub install_mode: bool,
    pub events: VecDeque<Reply>,
    pub tamper: bool,
    pub inputs: Vec<u8>,
    pub outputs: Vec<u8>,
    pub capabilities: Vec<Capability>,
    pub identity: Identity,
    pub rmac_status: u8,
    /// Replies to the next commands of this code, before anything else; removed as used.
    pub scripted: VecDeque<(u8, Reply)>,
    /// Commands acted upon (not repetitions).
    pub done: Vec<Command>,
    pub session: Option<Session>,
    pub offered: Option<(SessionKeys, [u8; 8], [u8; 8])>,
    pub baud: Option<u32>,
    last_sequence: Option<u8>,
    last_reply: Vec<u8>,
    counter: u8,
}

impl FakeReader {
    pub fn new(address: u8, key: Scbk) -> Self {
        let capability = |function, compliance, count| Capability { function, compliance, count };
        Self {
            address,
            key,
            check: Check::Crc,
            silent: false,
            strict: false,
            install_mode: false,
            events: VecDeque::new(),
            tamper: false,
            inputs: vec![0, 0],
            outputs: vec![0],
            capabilities: vec![
                capability(1, 1, 2),
                capability(2, 1, 1),
                capability(8, 1, 0),
                capability(9, 1, 1),
                capability(10, 0x00, 0x02),
            ],
            identity: Identity { vendor: [0xCA, 0xFE, 1], model: 1, version: 1, serial: 77, firmware: [1, 0, 0] },
            rmac_status: 1,
            scripted: VecDeque::new(),
            done: Vec::new(),
            session: None,
            offered: None,
            baud: None,
            last_sequence: None,
            last_reply: Vec::new(),
            counter: 0,
        }
    }

    pub fn power_cycle(&mut self) {
        self.session = None;
        self.offered = None;
        self.last_sequence = None;
        self.last_reply.clear();
    }

    /// The reply to one frame on the line, if it is for this reader.
    pub fn hear(&mut self, frame: &Frame<'_>) -> Option<Vec<u8>> {
        let header = frame.header;
        if self.silent || header.direction != Direction::Command || header.address != self.address {
            return None;
        }
        if header.check != self.check {
            return Some(self.plain(0, &Reply::Nak(NakReason::Check)));
        }
        if header.sequence == 0 {
            self.session = None;
        } else if Some(header.sequence) == self.last_sequence {
            return Some(self.last_reply.clone());
        } else if self.last_sequence.is_none_or(|last| header.sequence != last % 3 + 1) {
            return Some(self.plain(header.sequence, &Reply::Nak(NakReason::Sequence)));
        }
        let out = self.answer(frame);
        self.last_sequence = Some(header.sequence);
        self.last_reply.clone_from(&out);
        Some(out)
    }

    fn plain(&self, sequence: u8, reply: &Reply) -> Vec<u8> {
        let header = Header { address: self.address, direction: Direction::Reply, sequence, check: self.check };
        let (mut data, mut out) = (Vec::new(), Vec::new());
        reply.encode_data(&mut data);
        frame::encode(&mut out, header, None, reply.code(), &data);
        out
    }

    fn answer(&mut self, frame: &Frame<'_>) -> Vec<u8> {
        let sequence = frame.header.sequence;
        let mut data = frame.data.to_vec();
        let kind = frame.security.map(|s| s.kind);
        let in_session = matches!(kind, Some(scs::COMMAND | scs::COMMAND_DATA));
        if in_session {
            let good = self.session.as_mut().is_some_and(|session| session.open(frame, &mut data).is_ok());
            if !good {
                self.session = None;
                return self.plain(sequence, &Reply::Nak(NakReason::SecurityRequired));
            }
        }
        let parsed = Command::decode(frame.code, &data).unwrap();
        let allowed = matches!(parsed, Command::Id | Command::Capabilities | Command::Challenge(_));
        if let Some(at) = self.scripted.iter().position(|(code, _)| *code == frame.code) {
            let reply = self.scripted.remove(at).unwrap().1;
            return self.wrap(sequence, in_session, &reply);
        }
        match parsed {
            Command::Challenge(rnd_a) => return self.challenged(sequence, frame, rnd_a),
            Command::ServerCryptogram(cryptogram) => return self.proved(sequence, frame, cryptogram),
            _ if self.strict && !in_session && !allowed => {
                return self.plain(sequence, &Reply::Nak(NakReason::SecurityRequired));
            }
            _ => {}
        }
        let reply = match &parsed {
            Command::Poll => self.events.pop_front().unwrap_or(Reply::Ack),
            Command::Id => Reply::Identity(self.identity),
            Command::Capabilities => Reply::Capabilities(self.capabilities.clone()),
            Command::LocalStatus => Reply::LocalStatus { tamper: self.tamper, power_failed: false },
            Command::InputStatus => Reply::Inputs(self.inputs.clone()),
            Command::OutputStatus => Reply::Outputs(self.outputs.clone()),
            Command::Comset { address, baud } => Reply::Communication { address: *address, baud: *baud },
            Command::Manufacturer { vendor, data } => Reply::Manufacturer { vendor: *vendor, data: data.clone() },
            Command::Keyset(key) => {
                self.key = key.clone();
                self.install_mode = false;
                Reply::Ack
            }
            Command::Other { .. } => Reply::Nak(NakReason::UnknownCommand),
            _ => Reply::Ack,
        };
        let out = self.wrap(sequence, in_session, &reply);
        if let Command::Comset { address, baud } = parsed {
            self.address = address;
            self.baud = Some(baud);
            self.power_cycle();
        }
        self.done.push(parsed);
        out
    }

    fn wrap(&mut self, sequence: u8, in_session: bool, reply: &Reply) -> Vec<u8> {
        match &mut self.session {
            Some(session) if in_session && *reply != Reply::Busy => {
                let header = Header { address: self.address, direction: Direction::Reply, sequence, check: Check::Crc };
                let (mut data, mut out) = (Vec::new(), Vec::new());
                reply.encode_data(&mut data);
                session.seal(&mut out, header, reply.code(), &data);
                out
            }
            _ => self.plain(sequence, reply),
        }
    }

    fn challenged(&mut self, sequence: u8, frame: &Frame<'_>, rnd_a: [u8; 8]) -> Vec<u8> {
        let flag = frame.security.unwrap().data[0];
        let key = match (flag, self.install_mode) {
            (scs::KEY_DEFAULT, true) => Scbk::install_default(),
            (scs::KEY_OWN, false) => self.key.clone(),
            _ => return self.plain(sequence, &Reply::Nak(NakReason::SecurityUnsupported)),
        };
        self.session = None;
        self.counter = self.counter.wrapping_add(1);
        let rnd_b = [self.counter; 8];
        let keys = SessionKeys::derive(&key, &rnd_a);
        let reply = Reply::ClientCryptogram { uid: [7; 8], rnd_b, cryptogram: keys.client_cryptogram(&rnd_a, &rnd_b) };
        self.offered = Some((keys, rnd_a, rnd_b));
        let block = SecurityBlock { kind: scs::CLIENT_CRYPTOGRAM, data: &[flag] };
        reply_frame(self.address, sequence, Some(block), &reply)
    }

    fn proved(&mut self, sequence: u8, frame: &Frame<'_>, cryptogram: [u8; 16]) -> Vec<u8> {
        let Some((keys, rnd_a, rnd_b)) = self.offered.take() else {
            return self.plain(sequence, &Reply::Nak(NakReason::SecurityUnsupported));
        };
        assert_eq!(frame.security.unwrap().kind, scs::SERVER_CRYPTOGRAM);
        if keys.server_cryptogram(&rnd_a, &rnd_b) != cryptogram {
            return self.plain(sequence, &Reply::Nak(NakReason::SecurityUnsupported));
        }
        let rmac = keys.initial_rmac(&cryptogram);
        self.session = Some(Session::new(keys, rmac));
        let status = [self.rmac_status];
        let block = SecurityBlock { kind: scs::INITIAL_RMAC, data: &status };
        reply_frame(self.address, sequence, Some(block), &Reply::InitialRmac(rmac))
    }
}

/// What the line makes of a command and its true reply: bytes and when they are complete, after
/// the end of the command. `None` as reply: nobody answers.
pub type Cable = Box<dyn FnMut(&Heard, Option<Vec<u8>>) -> Vec<(Duration, Vec<u8>)>>;

pub struct Line {
    pub now: Duration,
    pub bus: Bus,
    pub readers: Vec<FakeReader>,
    pub tau: Duration,
    pub baud: u32,
    pub cable: Option<Cable>,
    pub events: Vec<BusEvent>,
    pub heard: Vec<Heard>,
    arrivals: VecDeque<(Duration, Vec<u8>)>,
}

/// The first reader of every test.
pub fn first() -> ReaderIndex {
    let bus = Bus::new(BusSettings::new(9600), vec![ReaderSettings::keyed(0, key(0))], Box::new(|_| {})).unwrap();
    bus.readers().map(|(index, _)| index).next().unwrap()
}

pub fn nth(number: usize) -> ReaderIndex {
    let settings = (0..=number).map(|n| ReaderSettings::insecure(n as u8, "test", "test")).collect();
    let bus = Bus::new(BusSettings::new(9600), settings, Box::new(|_| {})).unwrap();
    bus.readers().map(|(index, _)| index).nth(number).unwrap()
}

pub fn random() -> wire::osdp::panel::Random {
    let mut state = 1u64;
    Box::new(move |bytes| {
        for byte in bytes {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = (state >> 56) as u8;
        }
    })
}

impl Line {
    pub fn with(settings: BusSettings, configured: Vec<ReaderSettings>, readers: Vec<FakeReader>) -> Self {
        Self {
            now: S,
            baud: settings.baud,
            bus: Bus::new(settings, configured, random()).unwrap(),
            readers,
            tau: 3 * MS,
            cable: None,
            events: Vec::new(),
            heard: Vec::new(),
            arrivals: VecDeque::new(),
        }
    }

    /// `count` keyed readers, addresses from 0, at 115200.
    pub fn keyed(count: u8) -> Self {
        let configured = (0..count).map(|n| ReaderSettings::keyed(n, key(n))).collect();
        let readers = (0..count).map(|n| FakeReader::new(n, key(n))).collect();
        Self::with(BusSettings::new(115_200), configured, readers)
    }

    /// One reader accepted without a key.
    pub fn insecure() -> Self {
        let configured = vec![ReaderSettings::insecure(0, "the test", "the end")];
        Self::with(BusSettings::new(115_200), configured, vec![FakeReader::new(0, key(0))])
    }

    pub fn unprovisioned() -> Self {
        let settings = ReaderSettings { security: Security::Unprovisioned, ..ReaderSettings::keyed(0, key(0)) };
        Self::with(BusSettings::new(115_200), vec![settings], vec![FakeReader::new(0, key(0))])
    }

    pub fn cable(&mut self, cable: impl FnMut(&Heard, Option<Vec<u8>>) -> Vec<(Duration, Vec<u8>)> + 'static) {
        self.cable = Some(Box::new(cable));
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
    }

    /// Runs until an event satisfies `stop` (true) or the time is over (false).
    pub fn run_for(&mut self, time: Duration, stop: impl Fn(&EventKind) -> bool) -> bool {
        let end = self.now + time;
        self.run_until(end, stop)
    }

    fn run_until(&mut self, end: Duration, stop: impl Fn(&EventKind) -> bool) -> bool {
        loop {
            let mut stopped = false;
            while let Some(event) = self.bus.poll_event() {
                stopped |= stop(&event.kind);
                self.events.push(event);
            }
            if stopped || self.now >= end {
                return stopped;
            }
            let character = Duration::from_nanos(10_000_000_000 / u64::from(self.baud));
            match self.bus.next(self.now) {
                Step::Send(bytes) => {
                    let sent = bytes.to_vec();
                    self.now += character * sent.len() as u32;
                    self.speak(&sent, character);
                }
                Step::SetBaud(baud) => self.baud = baud,
                Step::WaitUntil(until) => {
                    if until <= self.now {
                        let event = self.bus.poll_event().expect("waiting for the past without an event to take");
                        stopped = stop(&event.kind);
                        self.events.push(event);
                        if stopped {
                            return true;
                        }
                        continue;
                    }
                    let arrival = self.arrivals.front().map(|a| a.0).filter(|&at| at <= until.min(end));
                    match arrival {
                        Some(at) => {
                            let (_, bytes) = self.arrivals.pop_front().unwrap();
                            self.now = self.now.max(at);
                            self.bus.on_bytes(self.now, &bytes);
                        }
                        None => self.now = until.min(end),
                    }
                }
            }
        }
    }

    fn speak(&mut self, sent: &[u8], character: Duration) {
        let start = sent.iter().position(|&b| b != frame::MARK).unwrap();
        let frame = Frame::parse(&sent[start..]).unwrap();
        let heard = Heard {
            at: self.now,
            address: frame.header.address,
            sequence: frame.header.sequence,
            code: frame.code,
            scs: frame.security.map(|s| s.kind),
            bytes: sent[start..].to_vec(),
        };
        let baud = self.baud;
        let reply = self
            .readers
            .iter_mut()
            .filter(|r| r.baud.is_none_or(|own| own == baud))
            .find_map(|reader| reader.hear(&frame));
        let tau = self.tau;
        let arriving = match &mut self.cable {
            Some(cable) => cable(&heard, reply),
            None => reply.map(|r| (tau + character * (r.len() as u32 + 1), r)).into_iter().collect(),
        };
        for (delay, bytes) in arriving {
            self.arrivals.push_back((self.now + delay, bytes));
        }
        self.arrivals.make_contiguous().sort_by_key(|a| a.0);
        self.heard.push(heard);
    }

    // ---- looking at what happened ----

    pub fn connected(mut self) -> Self {
        let count = self.readers.len();
        for _ in 0..count {
            // The last step of the inspection.
            assert!(self.run_for(10 * S, |e| matches!(e, EventKind::Outputs(_))), "it connects");
        }
        self.run(S);
        assert!(self.events.iter().all(|e| !matches!(e.kind, EventKind::Alarm { .. })), "{:?}", self.events);
        self.events.clear();
        self.heard.clear();
        self
    }

    pub fn online(mut self) -> Self {
        self.run(S);
        assert_eq!(self.state(), ReaderState::Insecure);
        self.events.clear();
        self.heard.clear();
        self
    }

    pub fn state(&self) -> ReaderState {
        self.stats().state
    }

    pub fn stats(&self) -> ReaderStats {
        self.bus.stats(first()).unwrap()
    }

    pub fn count(&self, wanted: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|e| wanted(&e.kind)).count()
    }

    pub fn cards(&self) -> usize {
        self.count(|e| matches!(e, EventKind::Card { .. }))
    }

    pub fn alarmed(&self, alarm: Alarm) -> bool {
        self.count(|e| matches!(e, EventKind::Alarm { kind, .. } if *kind == alarm)) > 0
    }

    pub fn lost_sessions(&self) -> usize {
        self.count(|e| matches!(e, EventKind::SessionLost(_)))
    }

    pub fn order(&mut self, command: ReaderCommand) -> CommandId {
        self.bus.command(self.now, first(), command).unwrap()
    }

    pub fn done(&self, id: CommandId) -> bool {
        self.count(|e| *e == EventKind::CommandDone(id)) == 1
    }

    pub fn sent(&self, code: u8) -> Vec<&Heard> {
        self.heard.iter().filter(|h| h.code == code).collect()
    }
}

pub fn delayed(reply: Option<Vec<u8>>) -> Vec<(Duration, Vec<u8>)> {
    reply.into_iter().map(|r| (5 * MS, r)).collect()
}

pub fn digits(text: &[u8]) -> Reply {
    Reply::Keypad { reader: 0, keys: Characters::new(text.to_vec()) }
}

pub const POLL: u8 = command::POLL;
