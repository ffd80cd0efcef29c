//! What a session says: its own messages, the owner's, and the bytes that wait to be written. Owns the output buffer.
//! May import the messages and the writer.

use std::time::Duration;

use super::super::code::Code;
use super::super::frame::FRAME_MAX;
use super::super::instant::Instant;
use super::super::message::{Body, Failure, Heartbeat, Msg, Received, Stream};
use super::super::token::{Text, Token, Uuid, Version};
use super::super::write;
use super::event::SendError;
use super::settings::{Now, VERSIONS};
use super::{OUTPUT_MAX_BYTES, Session, State, Up};

/// A buffer of this size is kept when it is empty, in bytes.
const KEPT_BYTES: usize = 4_096;

/// Bytes that wait to be written.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// Of them, so many are written.
    gone: usize,
    /// When bytes began to wait, or last went.
    moved: Duration,
}

impl Output {
    pub(super) const fn new(now: Duration) -> Self {
        Self { bytes: Vec::new(), gone: 0, moved: now }
    }

    fn waiting(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting().len() >= OUTPUT_MAX_BYTES
    }

    /// When a peer that takes nothing has taken nothing for too long.
    pub(super) fn stalled_at(&self, patience: Duration) -> Option<Duration> {
        (!self.waiting().is_empty()).then_some(self.moved.saturating_add(patience))
    }

    fn wrote(&mut self, count: usize, now: Duration) {
        self.gone = (self.gone + count).min(self.bytes.len());
        if count > 0 {
            self.moved = now;
        }
        if self.gone == self.bytes.len() {
            (self.gone, self.bytes) = (0, std::mem::take(&mut self.bytes));
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }

    /// Adds a frame; one longer than `most` is taken back.
    fn add(&mut self, msg: &Msg, most: usize, now: Duration) -> Result<(), SendError> {
        if self.waiting().is_empty() {
            self.moved = now;
        }
        if self.gone > 0 && self.bytes.len() >= OUTPUT_MAX_BYTES {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let written = write::write(msg, &mut self.bytes).map_err(|misfit| SendError::Misfit(misfit.0));
        let length = self.bytes.len() - start - 4;
        let fits = if length > most { Err(SendError::TooLarge { bytes: length, most }) } else { Ok(()) };
        match (written.and(fits), u32::try_from(length)) {
            (Ok(()), Ok(announced)) => {
                self.bytes[start..start + 4].copy_from_slice(&announced.to_be_bytes());
                Ok(())
            }
            (done, _) => {
                self.bytes.truncate(start);
                done
            }
        }
    }
}

impl Session {
    /// Bytes to write to the socket, among them what is due now. Say [`Session::wrote`] afterwards.
    pub fn output(&mut self, now: Now) -> &[u8] {
        self.say_what_is_due(now);
        self.output.waiting()
    }

    /// So many bytes of [`Session::output`] were written.
    pub fn wrote(&mut self, count: usize, now: Now) {
        self.output.wrote(count, now.mono);
    }

    /// The number of the durable message that may be sent next; `None` while the session does not stand, the window is
    /// full or too many bytes wait.
    pub fn wants(&self) -> Option<u64> {
        match &self.state {
            State::Up(up) if !self.output.is_full() => up.out.wants(),
            _ => None,
        }
    }

    /// Sends the durable message `seq` of the owner's journal; `id`, `re` and `body` are the same each time. To be
    /// called with the number that [`Session::wants`] names.
    ///
    /// # Errors
    /// The message was not sent, and the same number is still wanted. One that is too large or misfits will never go:
    /// the owner replaces it in its journal.
    pub fn send_durable(
        &mut self,
        seq: u64,
        id: Uuid,
        re: Option<Uuid>,
        body: Body,
        now: Now,
    ) -> Result<(), SendError> {
        let full = self.output.is_full();
        let stream = self.settings.role.sends();
        let State::Up(up) = &mut self.state else { return Err(SendError::NotUp) };
        let wanted = up.out.wants().filter(|_| !full).ok_or(SendError::Full)?;
        if seq != wanted {
            return Err(SendError::Order { wanted, given: seq });
        }
        if body.kind().stream() != Some(stream) {
            return Err(SendError::Misfit("not a durable message of our role"));
        }
        let replay = up.out.is_replay();
        let sent_at = Instant::from_utc(now.wall);
        let msg = Msg { v: up.version, id, stream_seq: Some((stream, seq)), re, sent_at, replay, body };
        self.output.add(&msg, up.max_frame, now.mono)?;
        up.out.sent();
        Ok(())
    }

    /// Sends an AccessRequest (as `acs`) or an AccessDecision (as `gw`); `re` is what it answers. Gives the id of the
    /// message.
    ///
    /// # Errors
    /// It was not sent.
    pub fn send(&mut self, re: Option<Uuid>, body: Body, now: Now) -> Result<Uuid, SendError> {
        if !matches!(self.state, State::Up(_)) {
            return Err(SendError::NotUp);
        }
        if self.output.is_full() {
            return Err(SendError::Full);
        }
        if !matches!(body, Body::AccessRequest(_) | Body::AccessDecision(_))
            || body.kind().from() != Some(self.settings.role)
        {
            return Err(SendError::Misfit("not a message for our role to send so"));
        }
        self.add(re, body, now)
    }

    /// Complains about one message of the peer: a code that is not fatal, what it is about and a text for people that
    /// holds nothing secret or personal. Dropped while too many bytes wait.
    pub fn complain(
        &mut self,
        re: Option<Uuid>,
        about: Option<(Stream, u64)>,
        code: Code,
        text: Option<&str>,
        now: Now,
    ) {
        if !matches!(self.state, State::Up(_)) || self.output.is_full() || code.is_fatal() {
            return;
        }
        let (stream, seq) = about.map(|(stream, seq)| (Received::of(stream, seq).stream, seq)).unzip();
        let text = text.map(Text::lossy);
        let failure = Failure { code: code.into(), fatal: false, stream, seq: seq.filter(|seq| *seq > 0), text };
        self.say(re, Body::Error(failure), now);
    }

    /// The owner durably stored the peer's messages up to `seq`: they will be acknowledged.
    pub fn committed(&mut self, seq: u64, now: Now) {
        if let State::Up(up) = &mut self.state {
            up.incoming.committed(seq, now.mono);
            // While it stored, the owner may have left the socket alone: that is not the peer's silence.
            self.heard = now.mono;
        }
    }

    /// Heartbeat and acknowledgement, if their time has come. Neither piles up: while much waits to be written, they
    /// wait as well, and one acknowledgement stands for all.
    pub(super) fn say_what_is_due(&mut self, now: Now) {
        let t = now.mono;
        let full = self.output.is_full();
        let State::Up(up) = &mut self.state else { return };
        if full {
            return;
        }
        let stream = self.settings.role.other().sends();
        if t >= self.beat {
            self.beat = t.saturating_add(up.heartbeat);
            let received = vec![Received::of(stream, up.incoming.tell())];
            let body = Body::Heartbeat(Heartbeat { clock: self.clock, queued: self.queued, received });
            self.say(None, body, now);
        } else if up.incoming.due(t).is_some_and(|due| t >= due) {
            let body = Body::Ack(vec![Received::of(stream, up.incoming.tell())]);
            self.say(None, body, now);
        }
    }

    /// Adds a message of the session's own, which always fits.
    pub(super) fn say(&mut self, re: Option<Uuid>, body: Body, now: Now) {
        let added = self.add(re, body, now);
        debug_assert!(added.is_ok(), "{added:?}");
    }

    fn add(&mut self, re: Option<Uuid>, body: Body, now: Now) -> Result<Uuid, SendError> {
        let (v, most) = match &self.state {
            State::Up(Up { version, max_frame, .. }) => (*version, *max_frame),
            _ => (VERSIONS.0, FRAME_MAX as usize),
        };
        let id = self.id(now);
        let sent_at = Instant::from_utc(now.wall);
        self.output.add(&Msg { v, id, stream_seq: None, re, sent_at, replay: false, body }, most, now.mono)?;
        Ok(id)
    }

    fn id(&mut self, now: Now) -> Uuid {
        let mut random = [0; 10];
        (self.random)(&mut random);
        Uuid::v7(now.wall.0, random)
    }
}

/// The stream that a refusal is about, as the link writes it.
pub(super) fn about(stream: Stream, seq: u64) -> (Token, u64) {
    (Received::of(stream, seq).stream, seq)
}

/// The version of what is said before one is agreed upon.
pub(super) const fn common(min: Version, max: Version) -> Option<Version> {
    let (our_min, our_max) = (VERSIONS.0.minor(), VERSIONS.1.minor());
    let highest = if max.minor() < our_max { max } else { VERSIONS.1 };
    if highest.minor() >= our_min && highest.minor() >= min.minor() { Some(highest) } else { None }
}
