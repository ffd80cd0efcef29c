//! One connection's talk, for both roles and both sides: greeting, heartbeats, durable streams, the end.
//!
//! # Run-loop contract
//!
//! The [`Session`] owns no socket, clock or journal. Its owner (one task a connection) does this until it has seen
//! [`Event::Closed`]:
//!
//! 1. Take every [`Session::poll_event`] and act on it.
//! 2. While [`Session::wants`] names a number and the journal has it, hand it over: [`Session::send_durable`].
//! 3. Write [`Session::output`] to the socket and say with [`Session::wrote`] how much of it went.
//! 4. Wait for bytes, for room in the socket, for something new in the journal, or until [`Session::deadline`]; then
//!    call [`Session::receive`] with the bytes, or [`Session::tick`].
//! 5. Go to 1. When a batch of [`Event::Durable`] is stored for good, say [`Session::committed`].
//!
//! [`Session::receive`] takes fewer bytes than it is given while [`EVENTS_MAX`] events or [`EVENTS_MAX_BYTES`] of them
//! wait, and none behind a Hello until it is answered: the owner takes the events and hands over the rest. An owner that
//! cannot store stops reading the socket.
//! After `Closed`, what `output` still has is written (it tells the peer why), and the socket is closed.
//!
//! # Promises
//!
//! - Durable messages of the peer come out in their order, each once, without a gap; what is held already is only
//!   acknowledged again. An acknowledgement never names more than the owner has committed.
//! - Messages of ours go out in order, at most `window` beyond the peer's acknowledgement.
//! - Whatever a peer sends ends in events, and at worst in `Closed` with a reason that is also told to the peer.
//! - Nothing is kept of a durable message that was sent: the owner's journal is the only place for that.
//!
//! # Memory
//!
//! A session holds at most, in bytes: one unfinished frame (65,536), waiting events (frames of [`EVENTS_MAX_BYTES`] and
//! one more: as bytes, and as strings and list headers, some 150,000), and output ([`OUTPUT_MAX_BYTES`] and one message,
//! in a buffer that grows by doubling: 131,072): **below 400 KB for the worst peer, 1.4 KB for an idle one** and 4 KB
//! that each of the two buffers keeps. A test counts the bytes.
//!
//! May import the messages, reader, writer and frames beside it; nothing else.

mod event;
mod opening;
mod output;
mod receive;
mod settings;
mod skew;
mod streams;

use std::collections::VecDeque;
use std::time::Duration;

pub use event::{Agreed, Durable, End, Event, PeerHello, Raw, SendError, Skew};
pub use settings::{
    HEARTBEAT, HEARTBEAT_USUAL, HEARTBEATS_MISSED, HELLO_TIME, Now, Positions, Random, Settings, Side, VERSIONS,
    WINDOW_USUAL,
};
pub use skew::{DRIFTING_MS, WARN_MS};
pub use streams::{ACK_COUNT, ACK_TIME};

use super::code::{Code, Refusal};
use super::frame::{Accumulator, FRAME_MAX, FRAME_MIN};
use super::message::{Body, Bye, ClockState, Failure, Hello};
use super::token::{Reason, Text, Token, Uuid, Version};
use streams::{Incoming, Outgoing};

/// Events that may wait for the owner.
pub const EVENTS_MAX: usize = 64;
/// Bytes of frames that may wait as events.
pub const EVENTS_MAX_BYTES: usize = 65_536;
/// Bytes that may wait to be written before nothing more is taken for sending.
pub const OUTPUT_MAX_BYTES: usize = 65_536;

/// One connection.
pub struct Session {
    settings: Settings,
    side: Side,
    random: Random,
    state: State,
    frames: Accumulator,
    events: VecDeque<Event>,
    /// Bytes of the frames that the waiting events came in.
    events_bytes: usize,
    output: output::Output,
    /// When the greeting must be over.
    greet_by: Duration,
    /// When the last complete message came.
    heard: Duration,
    /// When our next heartbeat is due.
    beat: Duration,
    clock: ClockState,
    queued: Option<u32>,
    skew: skew::Estimate,
}

/// Where the talk is.
enum State {
    /// Connector: Hello is sent. Keeps what the journals hold until the Welcome.
    Greeting(Positions),
    /// Acceptor: nothing has come yet.
    Listening,
    /// Acceptor: the owner is to answer the Hello.
    Asked(Box<Hello>, Uuid),
    /// The session stands.
    Up(Up),
    /// It is over.
    Closed,
}

/// A session that stands.
struct Up {
    version: Version,
    max_frame: usize,
    heartbeat: Duration,
    out: Outgoing,
    incoming: Incoming,
}

impl Session {
    /// Begins a session on a connection that we made; Hello is the first output.
    pub fn connect(settings: Settings, positions: Positions, now: Now, random: Random) -> Self {
        let mut session = Self::new(settings, Side::Connector, now, random);
        session.say_hello(positions, now);
        session
    }

    /// Begins a session on a connection that we accepted: the next event is [`Event::Hello`], or the end.
    pub fn accept(settings: Settings, now: Now, random: Random) -> Self {
        Self::new(settings, Side::Acceptor, now, random)
    }

    fn new(mut settings: Settings, side: Side, now: Now, random: Random) -> Self {
        settings.max_frame = settings.max_frame.clamp(FRAME_MIN, FRAME_MAX);
        settings.heartbeat = settings.heartbeat.clamp(*HEARTBEAT.start(), *HEARTBEAT.end());
        settings.window = settings.window.max(1);
        settings.caps.truncate(super::message::CAPS_MAX);
        Self {
            frames: Accumulator::new(settings.max_frame),
            settings,
            side,
            random,
            state: State::Listening,
            events: VecDeque::new(),
            events_bytes: 0,
            output: output::Output::new(now.mono),
            greet_by: now.mono.saturating_add(HELLO_TIME),
            heard: now.mono,
            beat: now.mono,
            clock: ClockState::Synced,
            queued: None,
            skew: skew::Estimate::default(),
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.events_bytes = 0;
        }
        event
    }

    /// The session is over: only [`Session::poll_event`] and [`Session::output`] still have something to say.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// How far our clock is ahead of the peer's, in milliseconds, and what that means; `None` before the first message.
    pub fn skew(&self) -> Option<(i64, Skew)> {
        self.skew.ms().map(|ms| (ms, self.skew.grade()))
    }

    /// What our heartbeats say of our clock: synced until told otherwise.
    pub const fn set_clock(&mut self, clock: ClockState) {
        self.clock = clock;
    }

    /// What our heartbeats say of durable messages that wait in our journal.
    pub const fn set_queued(&mut self, queued: u32) {
        self.queued = Some(queued);
    }

    /// When [`Session::tick`] must be called at latest, and why. The past means now.
    pub fn deadline(&self) -> Option<(Duration, &'static str)> {
        let mut nearest = None;
        let mut offer = |at: Option<Duration>, why| match (at, nearest) {
            (Some(at), Some((other, _))) if at >= other => {}
            (Some(at), _) => nearest = Some((at, why)),
            (None, _) => {}
        };
        match &self.state {
            State::Closed => return None,
            State::Greeting(_) | State::Listening | State::Asked(..) => offer(Some(self.greet_by), "greeting"),
            State::Up(up) => {
                offer(Some(self.heard.saturating_add(up.patience())), "silence");
                offer(self.output.stalled_at(up.patience()), "stall");
                // While much waits to be written these wait as well, for the socket and not for a time.
                if !self.output.is_full() {
                    offer(Some(self.beat), "heartbeat");
                    offer(up.incoming.due(Duration::ZERO), "acknowledgement");
                }
            }
        }
        offer(self.frames.deadline(), "frame");
        nearest
    }

    /// Time went on: what is due is done. Harmless at any time.
    pub fn tick(&mut self, now: Now) {
        let t = now.mono;
        match &self.state {
            State::Closed => return,
            State::Greeting(_) | State::Listening | State::Asked(..) if t >= self.greet_by => {
                let awaited = if self.side == Side::Connector { "Welcome" } else { "Hello" };
                let text = format!("the {awaited} did not come or was not answered within 5 s");
                return self.refuse_with(Refusal::new(Code::FrameTimeout, text), None, now);
            }
            State::Greeting(_) | State::Listening | State::Asked(..) => {}
            State::Up(up) => {
                let patience = up.patience();
                if t >= self.heard.saturating_add(patience) {
                    return self.close(End::Silent(patience));
                }
                if self.output.stalled_at(patience).is_some_and(|at| t >= at) {
                    return self.close(End::Stalled(patience));
                }
            }
        }
        if self.frames.deadline().is_some_and(|at| t >= at) {
            let refusal = Refusal::new(Code::FrameTimeout, "a frame was not complete 10 s after its first byte");
            return self.refuse_with(refusal, None, now);
        }
        self.say_what_is_due(now);
    }

    /// Refuses the peer, or breaks off: it is told why, and the session is over. The text is for people at the other
    /// end and must hold nothing secret or personal.
    pub fn refuse(&mut self, code: Code, text: &str, now: Now) {
        self.refuse_with(Refusal::new(code, text.to_owned()), None, now);
    }

    /// Leaves in order; `retry_after` tells the peer when to come again.
    pub fn bye(&mut self, reason: Reason, retry_after: Option<Duration>, now: Now) {
        if self.is_closed() {
            return;
        }
        let retry_after_ms = retry_after.map(|after| u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
        self.say(None, Body::Bye(Bye { reason: reason.clone(), retry_after_ms }), now);
        self.close(End::Bye(reason));
    }

    fn refuse_with(&mut self, refusal: Refusal, about: Option<(Token, u64)>, now: Now) {
        if self.is_closed() {
            return;
        }
        let (stream, seq) = about.unzip();
        let failure =
            Failure { code: refusal.code.into(), fatal: true, stream, seq, text: Some(Text::lossy(&refusal.text)) };
        self.say(None, Body::Error(failure), now);
        self.close(End::Refused(refusal));
    }

    fn close(&mut self, end: End) {
        self.state = State::Closed;
        self.events.push_back(Event::Closed(end));
    }
}

impl Up {
    /// How long a peer may be silent, or take nothing.
    fn patience(&self) -> Duration {
        self.heartbeat * HEARTBEATS_MISSED
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Greeting(_) => "greeting",
            State::Listening => "listening",
            State::Asked(..) => "asked",
            State::Up(_) => "up",
            State::Closed => "closed",
        };
        let mut out = f.debug_struct("Session");
        out.field("role", &self.settings.role).field("side", &self.side).field("state", &state).finish_non_exhaustive()
    }
}
