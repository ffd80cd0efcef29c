//! What comes from the peer: bytes to frames, frames to messages, messages to events. Owns the order of the checks.
//! May import the reader and the state beside it.

use super::super::code::{Code, Refusal};
use super::super::message::{Body, Failure, Msg, Received};
use super::super::read;
use super::event::{Durable, End, Event, Raw};
use super::opening::claims;
use super::output::about;
use super::settings::Now;
use super::{EVENTS_MAX, EVENTS_MAX_BYTES, Session, State};

impl Session {
    /// Takes bytes that came, and says how many: fewer than given while too many events wait, or a Hello for its answer.
    /// When the session is over, all of them, unread.
    pub fn receive(&mut self, bytes: &[u8], now: Now) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.is_closed() {
                return bytes.len();
            }
            let busy = self.events.len() >= EVENTS_MAX || self.events_bytes >= EVENTS_MAX_BYTES;
            if busy || matches!(self.state, State::Asked(..)) {
                // What waits because of us is neither silence nor a slow frame.
                self.heard = now.mono;
                self.frames.excuse(now.mono);
                break;
            }
            let numbered = matches!(self.state, State::Up(_));
            match self.frames.take(&mut rest, now.mono) {
                Ok(None) => {}
                Ok(Some(document)) => {
                    let size = document.len();
                    let read = read::read(document).map(|msg| {
                        let raw = (numbered && msg.stream_seq.is_some()).then(|| Raw(document.into()));
                        (msg, raw)
                    });
                    self.heard = now.mono;
                    match read {
                        Ok((msg, raw)) => self.hear(msg, raw, size, now),
                        Err(refusal) => self.refuse_with(refusal, None, now),
                    }
                }
                Err(refusal) => self.refuse_with(refusal, None, now),
            }
        }
        // Afterwards, so that what has come counts, however late the owner hands it over.
        self.tick(now);
        bytes.len() - rest.len()
    }

    fn hear(&mut self, msg: Msg, raw: Option<Raw>, size: usize, now: Now) {
        if !msg.replay
            && let Some((ms, grade)) = self.skew.observe(now.wall.since_ms(msg.sent_at.to_utc()), now.mono)
        {
            self.events.push_back(Event::Skew { ms, grade });
        }
        let before = self.events.len();
        match (msg.body, &mut self.state) {
            (Body::Error(failure), _) => self.on_error(failure),
            (Body::Bye(bye), _) => self.close(End::Left(bye)),
            (body, State::Up(_)) => self.converse(Msg { body, ..msg }, raw, now),
            (body, _) => self.greet(Msg { body, ..msg }, now),
        }
        if self.events.len() > before {
            self.events_bytes += size;
        }
    }

    fn on_error(&mut self, failure: Failure) {
        // A fatal code is fatal, whatever the flag says: both ends must agree that it is over.
        if failure.fatal || Code::of(&failure.code).is_some_and(Code::is_fatal) {
            self.close(End::Failed(failure));
        } else {
            self.events.push_back(Event::Complaint(failure));
        }
    }

    /// Takes a message of a session that stands.
    fn converse(&mut self, msg: Msg, raw: Option<Raw>, now: Now) {
        let kind = msg.body.kind();
        let State::Up(up) = &mut self.state else { return };
        if msg.v > up.version {
            let text = format!("{} was agreed upon, and {} came", up.version, msg.v);
            return self.refuse_with(Refusal::new(Code::VersionUnsupported, text), None, now);
        }
        if kind.from().is_some_and(|from| from == self.settings.role) {
            let text = format!("{kind} is not for this role to send");
            return self.refuse_with(Refusal::new(Code::SchemaInvalid, text), None, now);
        }
        if let (Some((stream, seq)), Some(bytes)) = (msg.stream_seq, raw) {
            return match up.incoming.take(seq) {
                Ok(true) => {
                    let durable = Durable { seq, msg: Box::new(msg), bytes, received_at: now.wall };
                    self.events.push_back(Event::Durable(durable));
                }
                Ok(false) => {}
                Err(refusal) => self.refuse_with(refusal, Some(about(stream, seq)), now),
            };
        }
        match msg.body {
            Body::Heartbeat(beat) => {
                self.events.push_back(Event::Heartbeat { clock: beat.clock, queued: beat.queued });
                self.on_received(&beat.received, now);
            }
            Body::Ack(received) => self.on_received(&received, now),
            Body::AccessRequest(_) | Body::AccessDecision(_) => self.events.push_back(Event::Message(Box::new(msg))),
            _ => {
                let text = format!("{kind} out of place: the session stands already");
                self.refuse_with(Refusal::new(Code::SchemaInvalid, text), None, now);
            }
        }
    }

    fn on_received(&mut self, received: &[Received], now: Now) {
        let stream = self.settings.role.sends();
        let State::Up(up) = &mut self.state else { return };
        let mut highest = None;
        for seq in claims(received, stream.as_str()) {
            match up.out.acked(seq) {
                Ok(true) => highest = Some(seq),
                Ok(false) => {}
                Err(refusal) => return self.refuse_with(refusal, Some(about(stream, seq)), now),
            }
        }
        if let Some(seq) = highest {
            self.events.push_back(Event::Acked { seq });
        }
    }
}
