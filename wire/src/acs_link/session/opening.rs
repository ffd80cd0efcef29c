//! Hello and Welcome: who speaks, which version, what each end holds. Owns the agreement. May import the messages and
//! the state beside it.

use std::time::Duration;

use super::super::code::{Code, Refusal};
use super::super::frame::{FRAME_MAX, FRAME_MIN};
use super::super::message::{Body, Hello, Msg, Received, Welcome};
use super::super::token::{Uuid, Version};
use super::event::{Agreed, Event, PeerHello, SendError};
use super::output::common;
use super::settings::{HEARTBEAT, Now, Positions, VERSIONS};
use super::streams::{Incoming, Outgoing, ahead};
use super::{Session, State, Up};

/// The terms of one connection.
struct Terms {
    version: Version,
    heartbeat: Duration,
    window: u16,
}

impl Session {
    pub(super) fn say_hello(&mut self, positions: Positions, now: Now) {
        let hello = self.hello(positions.held.map_or(0, |(_, seq)| seq));
        self.say(None, Body::Hello(hello), now);
        self.state = State::Greeting(positions);
    }

    /// Acceptor: answers [`Event::Hello`]. The session then stands, or is over because the Hello claims more than our
    /// journal has.
    ///
    /// # Errors
    /// `NotUp` if no Hello waits for an answer.
    pub fn welcome(&mut self, positions: Positions, now: Now) -> Result<(), SendError> {
        if !matches!(self.state, State::Asked(..)) {
            return Err(SendError::NotUp);
        }
        let State::Asked(hello, re) = std::mem::replace(&mut self.state, State::Listening) else {
            return Err(SendError::NotUp);
        };
        let Some(use_v) = common(hello.min_v, hello.max_v) else { return Err(SendError::NotUp) };
        let held = positions.held.filter(|(epoch, _)| *epoch == hello.epoch).map_or(0, |(_, seq)| seq);
        let heartbeat_ms = u32::try_from(self.settings.heartbeat.as_millis()).unwrap_or(u32::MAX);
        let window = self.settings.window;
        let welcome = Welcome { hello: self.hello(held), use_v, heartbeat_ms, window };
        // A claim counts only if the peer is known to count within our present epoch. One that is further ahead than
        // acknowledgements can get lost is of another epoch: the peer's next word, by then in this one, decides.
        let claim = positions.acked.map(|acked| match self.claim(&hello) {
            claim if claim > positions.last || claim <= acked.saturating_add(window.into()) => claim,
            _ => acked,
        });
        let terms = Terms { version: use_v, heartbeat: self.settings.heartbeat, window };
        match self.checked(claim, &positions) {
            Ok(holds) => {
                self.say(Some(re), Body::Welcome(welcome), now);
                self.stand(&hello, terms, positions, holds, now);
            }
            Err(refusal) => self.refuse_with(refusal, None, now),
        }
        Ok(())
    }

    pub(super) fn on_hello(&mut self, hello: Hello, id: Uuid, now: Now) {
        if let Err(refusal) = self.check_hello(&hello) {
            return self.refuse_with(refusal, None, now);
        }
        let Hello { node, role, epoch, caps, .. } = hello.clone();
        self.events.push_back(Event::Hello(PeerHello { node, role, epoch, caps }));
        self.state = State::Asked(Box::new(hello), id);
    }

    pub(super) fn on_welcome(&mut self, welcome: Welcome, positions: Positions, now: Now) {
        let heartbeat = Duration::from_millis(welcome.heartbeat_ms.into());
        let terms = Terms { version: welcome.use_v, heartbeat, window: welcome.window };
        // The acceptor knows our epoch from the Hello, so its claim always counts.
        let claim = Some(self.claim(&welcome.hello));
        let checked = self
            .check_hello(&welcome.hello)
            .and_then(|()| check_terms(&welcome, heartbeat))
            .and_then(|()| self.checked(claim, &positions));
        match checked {
            Ok(holds) => self.stand(&welcome.hello, terms, positions, holds, now),
            Err(refusal) => self.refuse_with(refusal, None, now),
        }
    }

    fn hello(&self, held: u64) -> Hello {
        let settings = &self.settings;
        let received = if held == 0 { vec![] } else { vec![Received::of(settings.role.other().sends(), held)] };
        Hello {
            node: settings.node.clone(),
            role: settings.role,
            epoch: settings.epoch,
            min_v: VERSIONS.0,
            max_v: VERSIONS.1,
            max_frame: Some(settings.max_frame),
            received,
            caps: settings.caps.clone(),
        }
    }

    /// What the peer says to hold of our stream.
    fn claim(&self, hello: &Hello) -> u64 {
        claims(&hello.received, self.settings.role.sends().as_str()).max().unwrap_or(0)
    }

    /// Where our stream goes on: behind a claim that our journal can back.
    fn checked(&self, claim: Option<u64>, positions: &Positions) -> Result<u64, Refusal> {
        match claim {
            Some(seq) if seq > positions.last => Err(ahead(seq, positions.last)),
            Some(seq) => Ok(seq),
            None => Ok(0),
        }
    }

    fn check_hello(&self, hello: &Hello) -> Result<(), Refusal> {
        if hello.role != self.settings.role.other() {
            let text = format!("both ends say that they are {}", hello.role);
            return Err(Refusal::new(Code::AuthNodeMismatch, text));
        }
        if hello.max_frame.is_some_and(|most| most < FRAME_MIN) {
            return Err(Refusal::new(Code::SchemaInvalid, format!("maxFrame is at least {FRAME_MIN}")));
        }
        if common(hello.min_v, hello.max_v).is_none() {
            let (least, most) = VERSIONS;
            return Err(Refusal::new(Code::VersionUnsupported, format!("here {least} to {most} are spoken")));
        }
        Ok(())
    }

    fn stand(&mut self, hello: &Hello, terms: Terms, positions: Positions, holds: u64, now: Now) {
        let Terms { version, heartbeat, window } = terms;
        let held = match positions.held {
            Some((epoch, seq)) if epoch == hello.epoch => seq,
            Some((old, _)) => {
                self.events.push_back(Event::EpochChanged { old, new: hello.epoch });
                0
            }
            None => 0,
        };
        let max_frame = hello.max_frame.unwrap_or(FRAME_MAX).min(FRAME_MAX);
        let (node, epoch, caps) = (hello.node.clone(), hello.epoch, hello.caps.clone());
        let agreed = Agreed { node, epoch, caps, version, max_frame, heartbeat, window, held };
        self.events.push_back(Event::Up(agreed));
        match positions.acked {
            Some(acked) if holds < acked => self.events.push_back(Event::PeerBehind { held: holds, acked }),
            acked if holds > acked.unwrap_or(0) => self.events.push_back(Event::Acked { seq: holds }),
            _ => {}
        }
        let (out, incoming) = (Outgoing::new(holds, positions.last, window), Incoming::new(held, window));
        self.state = State::Up(Up { version, max_frame: max_frame as usize, heartbeat, out, incoming });
        // At once, so that the peer hears what we hold in its present epoch.
        self.beat = now.mono;
        self.heard = now.mono;
    }
}

/// What a list says of one stream.
pub(super) fn claims<'a>(received: &'a [Received], stream: &'a str) -> impl Iterator<Item = u64> + 'a {
    received.iter().filter(move |one| one.stream.as_str() == stream).map(|one| one.seq)
}

fn check_terms(welcome: &Welcome, heartbeat: Duration) -> Result<(), Refusal> {
    let refuse = |code, text: &'static str| Err(Refusal::new(code, text));
    if !HEARTBEAT.contains(&heartbeat) {
        return refuse(Code::SchemaInvalid, "heartbeatMs is from 1000 to 30000");
    }
    if welcome.window == 0 {
        return refuse(Code::SchemaInvalid, "window is at least 1");
    }
    if common(welcome.hello.min_v, welcome.hello.max_v) != Some(welcome.use_v) {
        return refuse(Code::VersionUnsupported, "useV is not the highest common version");
    }
    Ok(())
}

impl Session {
    /// Takes a message while the session does not stand yet.
    pub(super) fn greet(&mut self, msg: Msg, now: Now) {
        match (msg.body, &self.state) {
            (Body::Hello(hello), State::Listening) => self.on_hello(hello, msg.id, now),
            (Body::Welcome(welcome), State::Greeting(positions)) => {
                let positions = *positions;
                self.on_welcome(welcome, positions, now);
            }
            (body, _) => {
                let text = format!("{} out of place: the greeting comes first", body.kind());
                self.refuse_with(Refusal::new(Code::SchemaInvalid, text), None, now);
            }
        }
    }
}
