//! The control panel of one OSDP line: polls its readers, keeps their sessions, believes only
//! what is authenticated.
//!
//! # Run-loop contract
//!
//! The [`Bus`] owns no port and no clock. Its owner (one task a line) does this for ever:
//!
//! 1. Take every [`Bus::poll_event`]. While [`MAX_EVENTS`] events wait, nothing is sent: the
//!    readers keep what they have, so a slow owner delays taps and loses none.
//! 2. Call [`Bus::next`] and do what it says: `Send` — write the bytes to the port and call
//!    `next` again; `SetBaud` — change the speed of the port and call `next` again;
//!    `WaitUntil(t)` — wait until bytes arrive, a command comes, or the time is `t`.
//! 3. Hand arriving bytes to [`Bus::on_bytes`] with the time they arrived, then go to 1.
//! 4. [`Bus::command`] at any time; then go to 1 at once, so that a relay is not kept waiting.
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

mod event;
mod settings;

use std::time::Duration;

pub use event::{
    Alarm, BusEvent, CommandError, CommandFailure, CommandId, EventKind, Level, Levels, ProvisionFailure,
    ReaderCommand, ReaderIndex, ReaderState, ReaderStats, SessionEnd,
};
pub use settings::{BusSettings, PinnedIdentity, ReaderSettings, Security, SettingsError};

use super::secure::Scbk;

/// Events that may wait for the owner before polling pauses.
pub const MAX_EVENTS: usize = 256;
/// Commands that may wait for one reader; the next one is refused with `QueueFull`.
pub const MAX_QUEUED_COMMANDS: usize = 32;
/// An output command older than this is withdrawn: a late "open" must not open.
pub const OUTPUT_MAX_AGE: Duration = Duration::from_secs(2);

/// What the owner does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Write these bytes, then call `next` again.
    Send(&'a [u8]),
    /// Change the speed of the port, bits a second, then call `next` again.
    SetBaud(u32),
    /// Nothing to do before this time, unless bytes or commands come.
    WaitUntil(Duration),
}

/// Random bytes for the handshakes: must be the operating system's.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// The control panel of one line. See the module's contract.
pub struct Bus {}

impl Bus {
    /// A panel for these readers. Nothing is sent before the first [`Bus::next`].
    pub fn new(settings: BusSettings, readers: Vec<ReaderSettings>, random: Random) -> Result<Self, SettingsError> {
        let _ = (settings, readers, random);
        Ok(Self {})
    }

    /// Bytes arrived from the port at `now`.
    pub fn on_bytes(&mut self, now: Duration, bytes: &[u8]) {
        let _ = (now, bytes);
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> Step<'_> {
        Step::WaitUntil(now + Duration::from_millis(100))
    }

    /// The next thing that happened, oldest first.
    pub fn poll_event(&mut self) -> Option<BusEvent> {
        None
    }

    /// Queues a command for a reader. Its outcome comes as `CommandDone` or `CommandFailed`.
    pub fn command(
        &mut self,
        now: Duration,
        reader: ReaderIndex,
        command: ReaderCommand,
    ) -> Result<CommandId, CommandError> {
        let _ = (now, reader, command);
        Err(CommandError::NoSuchReader)
    }

    /// Adds a reader without disturbing the others.
    pub fn add_reader(&mut self, now: Duration, settings: ReaderSettings) -> Result<ReaderIndex, SettingsError> {
        let _ = now;
        Err(SettingsError::Address(settings.address))
    }

    /// Removes a reader without disturbing the others; its waiting commands fail.
    pub fn remove_reader(&mut self, reader: ReaderIndex) {
        let _ = reader;
    }

    /// Forgets a reader's key: its session ends and it is `Unprovisioned` (SIA 060-16-03).
    pub fn forget_key(&mut self, reader: ReaderIndex) {
        let _ = reader;
    }

    /// Gives one reader in install mode its first own key, within `time_box` from `now`
    /// (attack 4). The only use of SCBK-D. `key` must be fresh from the operating system; it is
    /// refused if weak or another reader's. Ends in `Provisioned` or `ProvisionFailed`.
    pub fn provision(
        &mut self,
        now: Duration,
        reader: ReaderIndex,
        key: Scbk,
        time_box: Duration,
    ) -> Result<(), CommandError> {
        let _ = (now, reader, key, time_box);
        Err(CommandError::NoSuchReader)
    }

    /// The port is gone: every reader is offline from now.
    pub fn line_down(&mut self, now: Duration) {
        let _ = now;
    }

    /// The port is open again, at the speed of [`Bus::baud`].
    pub fn line_up(&mut self, now: Duration) {
        let _ = now;
    }

    /// The speed the port should have, bits a second.
    pub fn baud(&self) -> u32 {
        0
    }

    /// Counters and state of one reader.
    pub fn stats(&self, reader: ReaderIndex) -> Option<ReaderStats> {
        let _ = reader;
        None
    }

    /// The readers of this line with their addresses.
    pub fn readers(&self) -> impl Iterator<Item = (ReaderIndex, u8)> {
        std::iter::empty()
    }
}
