//! Looking for readers whose address or speed is unknown, for `osdp scan`.
//!
//! A full search is 6 speeds x 127 addresses x 200 ms = 152 s, so everybody is asked first: one
//! reader alone on its line answers the broadcast in at most 1.2 s. Only ID is sent, in clear,
//! with sequence 0. Never changes anything in a reader. Not for a line in service: it would
//! disturb the sequence of its readers.
//!
//! Run it like the panel: do what [`Scan::next`] says, hand arriving bytes to
//! [`Scan::on_bytes`], look at [`Scan::found`] and [`Scan::progress`].

use std::time::Duration;

use super::command::{Command, code};
use super::frame::{self, Check, Decoder, Direction, Header};
use super::reply::{Identity, Reply};
use super::{BROADCAST, MAX_ADDRESS};

/// How long a reader may take to answer (SIA 050-04).
const REPLY_TIMEOUT: Duration = Duration::from_millis(200);
/// Addresses of one speed, and the broadcast.
const ADDRESSES: usize = MAX_ADDRESS as usize + 1;

/// A reader that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its address.
    pub address: u8,
    /// The speed it answered at, bits a second.
    pub baud: u32,
    /// Who it says it is; `None` if it refused to say in clear.
    pub identity: Option<Identity>,
}

/// What the owner does next.
#[derive(Debug, PartialEq, Eq)]
pub enum ScanStep<'a> {
    /// Change the speed of the port.
    SetBaud(u32),
    /// Write these bytes.
    Send(&'a [u8]),
    /// Wait for bytes until this time.
    WaitUntil(Duration),
    /// Nothing is left to ask.
    Finished,
}

/// One search over a line.
#[derive(Debug)]
pub struct Scan {
    bauds: Vec<u32>,
    /// Questions asked so far: first one broadcast a speed, then each address of each speed.
    asked: usize,
    waiting_until: Option<Duration>,
    baud: Option<u32>,
    found: Vec<Found>,
    decoder: Decoder,
    outgoing: Vec<u8>,
    cancelled: bool,
}

impl Scan {
    /// A search at these speeds, in this order.
    pub fn new(bauds: &[u32]) -> Self {
        Self {
            bauds: bauds.to_vec(),
            asked: 0,
            waiting_until: None,
            baud: None,
            found: Vec::new(),
            decoder: Decoder::new(),
            outgoing: Vec::new(),
            cancelled: false,
        }
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> ScanStep<'_> {
        if self.cancelled {
            return ScanStep::Finished;
        }
        if let Some(until) = self.waiting_until {
            if now < until {
                return ScanStep::WaitUntil(until);
            }
            self.waiting_until = None;
            self.asked += 1;
            // What stands in the buffer belongs to no coming reply.
            self.decoder.reset();
        }
        let Some((baud, address)) = self.question() else { return ScanStep::Finished };
        if self.baud != Some(baud) {
            self.baud = Some(baud);
            self.decoder.reset();
            return ScanStep::SetBaud(baud);
        }
        let header = Header { address, direction: Direction::Command, sequence: 0, check: Check::Crc };
        let mut data = Vec::new();
        Command::Id.encode_data(&mut data);
        self.outgoing.clear();
        self.outgoing.push(frame::MARK);
        frame::encode(&mut self.outgoing, header, None, code::ID, &data);
        let length = u32::try_from(self.outgoing.len()).unwrap_or(u32::MAX);
        self.waiting_until = Some(now + REPLY_TIMEOUT + Duration::from_secs(10) * length / baud.max(1));
        ScanStep::Send(&self.outgoing)
    }

    /// Bytes arrived from the port at `now`.
    pub fn on_bytes(&mut self, now: Duration, bytes: &[u8]) {
        let Some((baud, _)) = self.question().filter(|_| self.waiting_until.is_some()) else { return };
        let mut input = bytes;
        while let Some(heard) = self.decoder.next(now, &mut input) {
            let Ok(frame) = heard else { continue };
            let address = frame.header.address;
            if frame.header.direction != Direction::Reply || address == BROADCAST {
                continue;
            }
            let identity = match Reply::decode(frame.code, frame.data) {
                Ok(Reply::Identity(identity)) if frame.security.is_none() => Some(identity),
                _ => None,
            };
            // At most one entry an address and speed: bounded by the plan.
            if !self.found.iter().any(|f| f.address == address && f.baud == baud) {
                self.found.push(Found { address, baud, identity });
            }
            self.waiting_until = Some(now);
        }
    }

    /// The readers found so far.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Questions asked, and questions in all.
    pub fn progress(&self) -> (usize, usize) {
        (self.asked, self.bauds.len() * (1 + ADDRESSES))
    }

    /// Stops the search.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// Speed and address of the present question.
    fn question(&self) -> Option<(u32, u8)> {
        match self.asked.checked_sub(self.bauds.len()) {
            None => Some((self.bauds[self.asked], BROADCAST)),
            Some(number) => {
                let baud = *self.bauds.get(number / ADDRESSES)?;
                Some((baud, u8::try_from(number % ADDRESSES).ok()?))
            }
        }
    }
}
