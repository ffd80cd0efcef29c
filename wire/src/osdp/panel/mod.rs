//! The control panel of one OSDP line: polls its readers, keeps their sessions, believes only
//! what is authenticated.
//!
//! # Run-loop contract
//!
//! The [`Bus`] owns no port and no clock. Its owner (one task a line) does this for ever:
//!
//! 1. Take every [`Bus::poll_event`]. While [`MAX_EVENTS`] events wait, nothing is sent: the
//!    readers keep what they have, so a slow owner delays taps and loses none.
//! 2. Call [`Bus::next`] and do what it says: `Send` — write the bytes to the port; `SetBaud` —
//!    change the speed of the port; `WaitUntil(t)` — wait until bytes arrive, a command comes,
//!    or the time is `t` (which is now if `next` itself found something to report).
//! 3. Hand arriving bytes to [`Bus::on_bytes`] with the time they arrived.
//! 4. Go to 1. Also after [`Bus::command`], at once, so that a relay is not kept waiting.
//!
//! `now` is a monotonic time since any fixed start, the same start in every call. When the port
//! is lost call [`Bus::line_down`]; when it is open again, [`Bus::line_up`].
//!
//! # Promises
//!
//! - One question is open on the line at a time; a reader has one open question at a time and it
//!   is repeated as the identical bytes until answered, withdrawn, or the reader is offline.
//! - Everything about one reader (sequence, session, retry, back-off) is its own: no reader's
//!   fault ends another's session.
//! - Readers that do not answer together get at most a fifth of the line while others do.
//! - An OUT command is the next frame on the line. It is never sent later than
//!   [`OUTPUT_MAX_AGE`] after it was given.
//! - A reader with a key delivers nothing before its session stands. SCBK-D is used only inside
//!   [`Bus::provision`].
//! - Memory is bounded: one frame buffer a line, one frame and [`MAX_QUEUED_COMMANDS`] a reader,
//!   [`MAX_EVENTS`] events (plus what a single reply causes).
//!
//! May import the codec beside it; nothing else.

mod comset;
mod connect;
mod event;
mod reader;
mod receive;
mod report;
mod settings;
mod silence;

use std::collections::VecDeque;
use std::time::Duration;

pub use event::{
    Alarm, BusEvent, CommandError, CommandFailure, CommandId, EventKind, Level, Levels, ProvisionFailure,
    ReaderCommand, ReaderIndex, ReaderState, ReaderStats, SessionEnd,
};
pub use settings::{BusSettings, PinnedIdentity, ReaderSettings, Security, SettingsError};

use super::frame::{self, Decoder, Direction, Frame, MAX_FRAME};
use super::secure::Scbk;
use super::{BAUD_RATES, MAX_ADDRESS};
use connect::Provisioning;
use reader::{Context, Reader};
use receive::Heard;

/// Events that may wait for the owner before polling pauses.
pub const MAX_EVENTS: usize = 256;
/// Commands that may wait for one reader; the next one is refused with `QueueFull`.
pub const MAX_QUEUED_COMMANDS: usize = 32;
/// An output command older than this is withdrawn: a late "open" must not open.
pub const OUTPUT_MAX_AGE: Duration = Duration::from_secs(2);

/// What the owner does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Write these bytes.
    Send(&'a [u8]),
    /// Change the speed of the port, bits a second.
    SetBaud(u32),
    /// Nothing to do before this time, unless bytes or commands come. Now, if there is an event
    /// to take.
    WaitUntil(Duration),
}

/// Random bytes for the handshakes: must be the operating system's.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// After an unauthenticated refusal, how long a better reply may still come.
const REFUSAL_GRACE: Duration = Duration::from_millis(20);
/// After garbage, how long the true reply may still come before the question is repeated.
const GARBAGE_GRACE: Duration = Duration::from_millis(5);
/// Steps of a handshake that one reader may take in a row.
const BURST: u32 = 8;
/// Output commands that may overtake the polls in a row.
const OUTPUTS_IN_A_ROW: u32 = 8;
/// A slot lost on a silent reader is followed by this many times its length without another
/// such slot, while other readers answer: the dead get at most a fifth of the line.
const PROBE_REST: u32 = 4;
/// The longest wait ever asked for.
const IDLE: Duration = Duration::from_secs(1);
/// Pause while the owner does not take events.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// Below this a timer is too coarse for the gap of two characters; marks are sent instead.
const TIMER_GRAIN: Duration = Duration::from_millis(1);

/// The question that is open on the line.
struct Outstanding {
    reader: ReaderIndex,
    sent_at: Duration,
    sent_by: Duration,
    /// The reply must have begun by then.
    deadline: Duration,
    /// The reply must be complete by then, whatever dribbles in.
    limit: Duration,
    garbled: bool,
}

/// The control panel of one line. See the module's contract.
pub struct Bus {
    settings: BusSettings,
    /// In order of index.
    readers: Vec<Reader>,
    random: Random,
    events: VecDeque<BusEvent>,
    decoder: Decoder,
    outgoing: Vec<u8>,
    outstanding: Option<Outstanding>,
    /// Nothing is sent before this: the gap after a reply.
    free_at: Duration,
    /// Readers that do not answer are not asked before this.
    probe_at: Duration,
    /// Place in `readers` that was polled last.
    cursor: usize,
    /// Ask this one again first.
    again: Option<ReaderIndex>,
    burst: u32,
    outputs_in_a_row: u32,
    last_was_command: bool,
    last_was_neglected: bool,
    down: bool,
    now: Duration,
    next_index: u32,
    next_command: u64,
    foreign: u64,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("baud", &self.settings.baud).field("readers", &self.readers.len()).finish()
    }
}

impl Bus {
    /// A panel for these readers. Nothing is sent before the first [`Bus::next`].
    pub fn new(settings: BusSettings, readers: Vec<ReaderSettings>, random: Random) -> Result<Self, SettingsError> {
        settings.check()?;
        let mut bus = Self {
            settings,
            readers: Vec::with_capacity(readers.len()),
            random,
            events: VecDeque::new(),
            decoder: Decoder::new(),
            outgoing: Vec::new(),
            outstanding: None,
            free_at: Duration::ZERO,
            probe_at: Duration::ZERO,
            cursor: 0,
            again: None,
            burst: 0,
            outputs_in_a_row: 0,
            last_was_command: false,
            last_was_neglected: false,
            down: false,
            now: Duration::ZERO,
            next_index: 0,
            next_command: 0,
            foreign: 0,
        };
        for reader in readers {
            bus.insert(None, reader)?;
        }
        // The first one polled is the first one given.
        bus.cursor = bus.readers.len().saturating_sub(1);
        Ok(bus)
    }

    /// Bytes arrived from the port at `now`.
    pub fn on_bytes(&mut self, now: Duration, bytes: &[u8]) {
        self.now = now;
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut input = bytes;
        while let Some(found) = decoder.next(now, &mut input) {
            match found {
                Ok(frame) => self.on_frame(now, &frame),
                Err(_) => self.on_garbage(now),
            }
        }
        self.decoder = decoder;
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> Step<'_> {
        self.now = now;
        let known = self.events.len();
        self.supervise(now);
        if self.events.len() > known {
            return Step::WaitUntil(now);
        }
        if self.down {
            return Step::WaitUntil(now + IDLE);
        }
        if let Some(until) = self.await_reply(now) {
            return Step::WaitUntil(until);
        }
        if self.events.len() >= MAX_EVENTS {
            return Step::WaitUntil(now + FULL_PAUSE);
        }
        if now < self.free_at {
            return Step::WaitUntil(self.free_at);
        }
        // A reader may have nothing to say after all (its command was withdrawn): look again.
        for _ in 0..=self.readers.len() {
            let Some((place, commands)) = self.pick(now) else { break };
            if let Some(baud) = self.readers[place].baud_wanted.take().filter(|&baud| baud != self.settings.baud) {
                self.settings.baud = baud;
                self.decoder.reset();
                return Step::SetBaud(baud);
            }
            let (readers, mut ctx) = self.split(now);
            if readers[place].prepare(&mut ctx, commands) {
                self.launch(now, place);
                return Step::Send(&self.outgoing);
            }
        }
        let until = if self.events.len() > known { now } else { self.wake_at(now) };
        Step::WaitUntil(until)
    }

    /// The next thing that happened, oldest first.
    pub fn poll_event(&mut self) -> Option<BusEvent> {
        self.events.pop_front()
    }

    /// Queues a command for a reader. Its outcome comes as `CommandDone` or `CommandFailed`.
    pub fn command(
        &mut self,
        now: Duration,
        reader: ReaderIndex,
        command: ReaderCommand,
    ) -> Result<CommandId, CommandError> {
        let place = self.place(reader).ok_or(CommandError::NoSuchReader)?;
        self.check_command(place, &command)?;
        if let ReaderCommand::RotateKey(new) = &command
            && let Security::Keyed { next, .. } = &mut self.readers[place].settings.security
        {
            *next = Some(new.clone());
        }
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.readers[place].enqueue(now, id, command);
        Ok(id)
    }

    /// Adds a reader without disturbing the others.
    pub fn add_reader(&mut self, now: Duration, settings: ReaderSettings) -> Result<ReaderIndex, SettingsError> {
        self.insert(Some(now), settings)
    }

    /// Removes a reader without disturbing the others; its waiting commands fail.
    pub fn remove_reader(&mut self, reader: ReaderIndex) {
        let Some(place) = self.place(reader) else { return };
        self.abandon(reader);
        let (readers, mut ctx) = self.split(self.now);
        readers[place].fail_all(&mut ctx, CommandFailure::Removed);
        self.readers.remove(place);
        // The one after the removed one is still the next.
        if place <= self.cursor {
            self.cursor = self.cursor.checked_sub(1).unwrap_or(self.readers.len().saturating_sub(1));
        }
    }

    /// Forgets a reader's key: its session ends and it is `Unprovisioned` (SIA 060-16-03).
    pub fn forget_key(&mut self, reader: ReaderIndex) {
        let Some(place) = self.place(reader) else { return };
        self.abandon(reader);
        let (readers, mut ctx) = self.split(self.now);
        let reader = &mut readers[place];
        reader.lose_session(&mut ctx, SessionEnd::Requested);
        reader.fail_all(&mut ctx, CommandFailure::Offline);
        reader.settings.security = Security::Unprovisioned;
        reader.restart();
        reader.due = ctx.now;
    }

    /// Gives one reader in install mode its first own key, within `time_box` from `now`
    /// (attack 4). The only use of SCBK-D. The reader must be `Unprovisioned`. `key` must be
    /// fresh from the operating system; it is refused if weak or another reader's. Ends in
    /// `Provisioned` or `ProvisionFailed`; store the key before calling.
    pub fn provision(
        &mut self,
        now: Duration,
        reader: ReaderIndex,
        key: Scbk,
        time_box: Duration,
    ) -> Result<(), CommandError> {
        let place = self.place(reader).ok_or(CommandError::NoSuchReader)?;
        if !matches!(self.readers[place].settings.security, Security::Unprovisioned) || self.down {
            return Err(CommandError::NotConnected);
        }
        self.check_key(&key)?;
        self.abandon(reader);
        let (readers, mut ctx) = self.split(now);
        let reader = &mut readers[place];
        reader.fail_all(&mut ctx, CommandFailure::Offline);
        reader.restart();
        reader.provisioning = Some(Provisioning { key, until: now + time_box, sent: false, taken: false });
        reader.due = now;
        Ok(())
    }

    /// The port is gone: every reader is offline from now.
    pub fn line_down(&mut self, now: Duration) {
        self.outstanding = None;
        self.decoder.reset();
        self.down = true;
        let (readers, mut ctx) = self.split(now);
        for reader in readers {
            if !reader.offline_announced {
                let silent_for = now.saturating_sub(reader.heard.unwrap_or(now));
                reader.go_offline(&mut ctx, silent_for);
            }
        }
    }

    /// The port is open again, at the speed of [`Bus::baud`].
    pub fn line_up(&mut self, now: Duration) {
        self.down = false;
        self.outstanding = None;
        self.decoder.reset();
        self.free_at = now;
        self.probe_at = now;
        for reader in &mut self.readers {
            reader.restart();
            reader.due = now;
        }
    }

    /// The speed the port should have, bits a second.
    pub fn baud(&self) -> u32 {
        self.settings.baud
    }

    /// Frames so far from addresses that are not on this line's list.
    pub fn foreign_frames(&self) -> u64 {
        self.foreign
    }

    /// Bytes so far that belonged to no frame.
    pub fn noise_bytes(&self) -> u64 {
        self.decoder.noise()
    }

    /// Counters and state of one reader.
    pub fn stats(&self, reader: ReaderIndex) -> Option<ReaderStats> {
        let reader = &self.readers[self.place(reader)?];
        Some(ReaderStats { state: reader.state(), ..reader.stats })
    }

    /// The readers of this line with their addresses.
    pub fn readers(&self) -> impl Iterator<Item = (ReaderIndex, u8)> {
        self.readers.iter().map(|reader| (reader.index, reader.settings.address))
    }

    // ---- choosing ----

    /// Whose turn it is, and whether its commands may go.
    fn pick(&mut self, now: Duration) -> Option<(usize, bool)> {
        let count = self.readers.len();
        if let Some(place) = self.again.take().and_then(|index| self.place(index)) {
            return Some((place, true));
        }
        if self.outputs_in_a_row < OUTPUTS_IN_A_ROW
            && let Some(place) = self.readers.iter().position(Reader::ready_for_output)
        {
            self.outputs_in_a_row += 1;
            return Some((place, true));
        }
        self.outputs_in_a_row = 0;
        if !std::mem::take(&mut self.last_was_neglected)
            && let Some(place) = self.most_neglected(now)
        {
            self.last_was_neglected = true;
            let next = (self.cursor + 1) % count;
            if place == next && !self.readers.get(self.cursor).is_some_and(Reader::connecting) {
                self.cursor = place;
            }
            return Some((place, false));
        }
        if self.burst < BURST
            && let Some(reader) = self.readers.get(self.cursor)
            && reader.connecting()
            && reader.due <= now
        {
            self.burst += 1;
            return Some((self.cursor, true));
        }
        self.burst = 0;
        let ring = (1..=count).map(|step| (self.cursor + step) % count);
        if !self.last_was_command
            && let Some(place) = ring.clone().find(|&place| self.readers[place].ready_for_command())
        {
            self.last_was_command = true;
            return Some((place, true));
        }
        self.last_was_command = false;
        let probes_rest = now < self.probe_at && self.readers.iter().any(Reader::healthy);
        let place = ring.into_iter().find(|&place| {
            let reader = &self.readers[place];
            reader.due <= now && !(probes_rest && reader.suspect())
        })?;
        self.cursor = place;
        Some((place, false))
    }

    /// The connected reader whose session is most in danger because others are connecting.
    fn most_neglected(&self, now: Duration) -> Option<usize> {
        let neglected = self.readers.iter().enumerate().filter(|(_, reader)| reader.neglected(now, &self.settings));
        neglected.min_by_key(|(_, reader)| reader.heard).map(|(place, _)| place)
    }

    /// When something will be due if nothing happens.
    fn wake_at(&self, now: Duration) -> Duration {
        let healthy = self.readers.iter().any(Reader::healthy);
        let due = self
            .readers
            .iter()
            .map(|reader| if healthy && reader.suspect() { reader.due.max(self.probe_at) } else { reader.due });
        let offline = self.readers.iter().filter_map(|reader| reader.offline_at(&self.settings));
        due.chain(offline).min().unwrap_or(now + IDLE).clamp(now + Duration::from_micros(1), now + IDLE)
    }

    /// Puts the reader's open question on the line.
    fn launch(&mut self, now: Duration, place: usize) {
        let reader = &self.readers[place];
        let character = self.settings.character();
        let marks = if character * 2 >= TIMER_GRAIN { 1 } else { 3 };
        self.outgoing.clear();
        self.outgoing.resize(marks, frame::MARK);
        if let Some(inflight) = &reader.inflight {
            self.outgoing.extend_from_slice(&inflight.frame);
        }
        let sent_by = now + character * u32::try_from(self.outgoing.len()).unwrap_or(u32::MAX);
        let deadline = sent_by + reader.patience(&self.settings);
        let limit = deadline + character * MAX_FRAME as u32;
        let reader = reader.index;
        self.outstanding = Some(Outstanding { reader, sent_at: now, sent_by, deadline, limit, garbled: false });
    }

    // ---- listening ----

    /// `Some(until)` while the answer may still come.
    fn await_reply(&mut self, now: Duration) -> Option<Duration> {
        if self.outstanding.is_some() && self.decoder.gives_up_at().is_some_and(|at| now >= at) {
            // A frame broke off; a whole one may stand inside it.
            self.on_bytes(now, &[]);
        }
        let open = self.outstanding.as_ref()?;
        let partial = self.decoder.gives_up_at();
        if now < open.deadline {
            return Some(partial.map_or(open.deadline, |at| at.min(open.deadline)));
        }
        if let Some(at) = partial.filter(|_| now < open.limit) {
            return Some(at.min(open.limit));
        }
        let Outstanding { reader, sent_at, garbled, .. } = self.outstanding.take()?;
        let place = self.place(reader)?;
        let alone = self.readers.len() == 1;
        let (readers, mut ctx) = self.split(now);
        let suspicious = readers[place].inflight.as_ref().is_some_and(|i| i.suspicion.is_some());
        if garbled && !suspicious {
            self.again = Some(reader);
            return None;
        }
        readers[place].unanswered(&mut ctx, alone);
        if self.readers[place].suspect() {
            self.probe_at = now + (now - sent_at) * PROBE_REST;
        }
        None
    }

    fn on_frame(&mut self, now: Duration, frame: &Frame<'_>) {
        if frame.header.direction == Direction::Command {
            // Our own words, echoed by a two-wire adapter, or another panel's.
            return;
        }
        let address = frame.header.address;
        let open = self.outstanding.as_ref().map(|open| (open.reader, open.sent_by));
        let asked = open.and_then(|(reader, sent_by)| Some((self.place(reader)?, sent_by)));
        let Some((place, sent_by)) = asked.filter(|(place, _)| self.readers[*place].settings.address == address) else {
            let known = self.readers.iter().position(|reader| reader.settings.address == address);
            match known {
                Some(place) => {
                    let (readers, mut ctx) = self.split(now);
                    readers[place].unexpected(&mut ctx);
                }
                None => self.foreign += 1,
            }
            return;
        };
        let length = u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX);
        let turnaround = now.saturating_sub(sent_by).saturating_sub(self.settings.character() * length);
        let (readers, mut ctx) = self.split(now);
        match readers[place].receive(&mut ctx, frame, turnaround) {
            Heard::Ignored => {}
            Heard::Suspicious => {
                let usual = readers[place].stats.turnaround_max.unwrap_or_default();
                if let Some(open) = &mut self.outstanding {
                    let better_by = now.max(open.sent_by + usual) + REFUSAL_GRACE;
                    open.deadline = open.deadline.min(better_by);
                }
            }
            Heard::Closed => {
                self.outstanding = None;
                let gap = self.settings.character() * 2;
                self.free_at = if gap >= TIMER_GRAIN { now + gap } else { now };
            }
        }
    }

    fn on_garbage(&mut self, now: Duration) {
        let Some(place) = self.outstanding.as_ref().and_then(|open| self.place(open.reader)) else { return };
        let (readers, mut ctx) = self.split(now);
        let repeat = readers[place].garbled(&mut ctx);
        if let Some(open) = self.outstanding.as_mut().filter(|_| repeat) {
            open.garbled = true;
            open.deadline = open.deadline.min(now + GARBAGE_GRACE);
        }
    }

    fn supervise(&mut self, now: Duration) {
        let (readers, mut ctx) = self.split(now);
        for reader in readers {
            reader.supervise(&mut ctx);
            reader.watch_time_box(&mut ctx);
        }
    }

    // ---- bookkeeping ----

    fn split(&mut self, now: Duration) -> (&mut Vec<Reader>, Context<'_>) {
        let ctx = Context { now, settings: &self.settings, events: &mut self.events, random: &mut self.random };
        (&mut self.readers, ctx)
    }

    fn place(&self, index: ReaderIndex) -> Option<usize> {
        self.readers.binary_search_by_key(&index, |reader| reader.index).ok()
    }

    fn insert(&mut self, now: Option<Duration>, settings: ReaderSettings) -> Result<ReaderIndex, SettingsError> {
        settings.check()?;
        for other in &self.readers {
            if other.settings.address == settings.address {
                return Err(SettingsError::DuplicateAddress(settings.address));
            }
            if other.settings.shares_key(&settings) {
                return Err(SettingsError::SharedKey(other.settings.address, settings.address));
            }
        }
        let index = ReaderIndex(self.next_index);
        self.next_index += 1;
        self.readers.push(Reader::new(index, settings, now));
        Ok(index)
    }

    /// Gives up the open question of a reader; the line stays silent until its reply would
    /// have come.
    fn abandon(&mut self, reader: ReaderIndex) {
        if let Some(open) = self.outstanding.take_if(|open| open.reader == reader) {
            self.free_at = self.free_at.max(open.deadline);
        }
    }

    fn check_command(&self, place: usize, command: &ReaderCommand) -> Result<(), CommandError> {
        let reader = &self.readers[place];
        let state = reader.state();
        let connected = matches!(state, ReaderState::Secure | ReaderState::Insecure);
        let harmless = matches!(
            command,
            ReaderCommand::Identity | ReaderCommand::Capabilities | ReaderCommand::SetCommunication { .. }
        );
        let unprovisioned = matches!(reader.settings.security, Security::Unprovisioned) && reader.online;
        if !(connected || unprovisioned && harmless) {
            return Err(CommandError::NotConnected);
        }
        if reader.queued() >= MAX_QUEUED_COMMANDS {
            return Err(CommandError::QueueFull);
        }
        match command {
            ReaderCommand::RotateKey(key) => {
                if state != ReaderState::Secure {
                    return Err(CommandError::NotConnected);
                }
                // Its own next key may be sent again: the last try may have got lost.
                let own = &reader.settings.security;
                if !matches!(own, Security::Keyed { next: Some(next), .. } if next == key) {
                    self.check_key(key)?;
                }
            }
            ReaderCommand::RenewSession if state != ReaderState::Secure => return Err(CommandError::NotConnected),
            ReaderCommand::SetCommunication { address, baud } => {
                let taken =
                    self.readers.iter().any(|other| other.index != reader.index && other.settings.address == *address);
                let cuts_off = *baud != self.settings.baud && self.readers.len() > 1;
                if taken || cuts_off || *address > MAX_ADDRESS || !BAUD_RATES.contains(baud) {
                    return Err(CommandError::BadCommunication);
                }
            }
            ReaderCommand::Text(text) if text.text.len() > usize::from(u8::MAX) => return Err(CommandError::TooLong),
            ReaderCommand::Manufacturer { data, .. } if data.0.len() > MAX_FRAME - 64 => {
                return Err(CommandError::TooLong);
            }
            ReaderCommand::Led(records) if records.len() > 64 => return Err(CommandError::TooLong),
            ReaderCommand::Output(records) if records.len() > 64 => return Err(CommandError::TooLong),
            _ => {}
        }
        Ok(())
    }

    fn check_key(&self, key: &Scbk) -> Result<(), CommandError> {
        let used = self.readers.iter().any(|reader| reader.settings.keys().any(|theirs| theirs == key));
        if used || key.check_strength().is_err() { Err(CommandError::BadKey) } else { Ok(()) }
    }
}
