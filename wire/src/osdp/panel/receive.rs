//! What a reply means: what is believed, what is dropped, what ends a session.

use std::time::Duration;

use zeroize::Zeroize;

use super::super::frame::{Check, Frame, scs};
use super::super::reply::{NakReason, Reply, code};
use super::super::secure::SecureFault;
use super::event::{Alarm, CommandFailure, EventKind, ReaderCommand, SessionEnd};
use super::reader::{Context, Inflight, Inspection, Purpose, Reader, Stage};
use super::settings::Security;

/// What a frame did to the open question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing; the answer may still come.
    Ignored,
    /// Something unauthenticated says the session is gone; wait only a little for better.
    Suspicious,
    /// It is closed.
    Closed,
}

impl Reader {
    /// A reply frame with this reader's address while its question is open.
    pub(super) fn receive(&mut self, ctx: &mut Context<'_>, frame: &Frame<'_>, turnaround: Duration) -> Heard {
        let Some(inflight) = &self.inflight else {
            self.unexpected(ctx);
            return Heard::Ignored;
        };
        if frame.code == code::BUSY && frame.security.is_none() {
            // Always in clear and with sequence 0; proves nothing, so supervision goes on.
            self.busy(ctx);
            return Heard::Closed;
        }
        if inflight.sealed {
            self.receive_sealed(ctx, frame, turnaround)
        } else {
            self.receive_plain(ctx, frame, turnaround)
        }
    }

    fn receive_sealed(&mut self, ctx: &mut Context<'_>, frame: &Frame<'_>, turnaround: Duration) -> Heard {
        let expected = self.inflight.as_ref().map_or(0, |i| i.sequence);
        match frame.security.map(|s| s.kind) {
            None if frame.header.sequence == 0 && expected != 0 => self.believe_little(ctx, SessionEnd::Restarted),
            None if frame.header.sequence != expected => {
                self.unexpected(ctx);
                Heard::Ignored
            }
            None if frame.code == code::NAK => {
                self.stats.naks += 1;
                self.believe_little(ctx, SessionEnd::Refused)
            }
            None => {
                if !self.suspect_session_gone(ctx, SessionEnd::Plaintext) {
                    return Heard::Ignored;
                }
                self.note_interference(ctx.now);
                self.alarm(ctx, Alarm::PlaintextInSession);
                self.end_session(ctx, SessionEnd::Plaintext);
                Heard::Closed
            }
            Some(scs::REPLY | scs::REPLY_DATA) if frame.header.sequence == expected => {
                self.authenticate(ctx, frame, turnaround)
            }
            Some(scs::REPLY | scs::REPLY_DATA) => {
                self.unexpected(ctx);
                Heard::Ignored
            }
            Some(_) => {
                self.stats.untrusted += 1;
                self.alarm(ctx, Alarm::HandshakeBlockInSession);
                Heard::Ignored
            }
        }
    }

    /// An unauthenticated message may end a session a few times a minute, not more.
    fn believe_little(&mut self, ctx: &mut Context<'_>, why: SessionEnd) -> Heard {
        if self.suspect_session_gone(ctx, why) { Heard::Suspicious } else { Heard::Ignored }
    }

    fn authenticate(&mut self, ctx: &mut Context<'_>, frame: &Frame<'_>, turnaround: Duration) -> Heard {
        let Some(active) = &mut self.session else { return Heard::Ignored };
        let mut data = Vec::new();
        match active.session.open(frame, &mut data) {
            Ok(()) => {}
            Err(SecureFault::Mac | SecureFault::Padding | SecureFault::Unprotected) => {
                self.alarm(ctx, Alarm::BadMac);
                self.end_session(ctx, SessionEnd::BadMac);
                return Heard::Closed;
            }
        }
        let reply = Reply::decode(frame.code, &data);
        data.zeroize();
        self.answered(ctx, turnaround);
        self.close(ctx, frame, reply.ok());
        Heard::Closed
    }

    fn receive_plain(&mut self, ctx: &mut Context<'_>, frame: &Frame<'_>, turnaround: Duration) -> Heard {
        let Some(inflight) = &self.inflight else { return Heard::Ignored };
        let handshake = matches!(inflight.purpose, Purpose::Challenge { .. } | Purpose::Prove(_));
        let keyed = matches!(self.settings.security, Security::Keyed { .. }) || handshake;
        if keyed && frame.header.check != Check::Crc {
            // Never a fallback to the checksum (attack 16).
            self.stats.untrusted += 1;
            return Heard::Ignored;
        }
        if frame.security.is_some_and(|s| s.has_mac() || !handshake) {
            self.stats.untrusted += 1;
            return Heard::Ignored;
        }
        if frame.header.sequence != inflight.sequence {
            if frame.header.sequence == 0 && frame.code != code::BUSY {
                // It restarted: begin again at 0.
                self.answered(ctx, turnaround);
                self.fail_all(ctx, CommandFailure::Unconfirmed);
                self.restart();
                return Heard::Closed;
            }
            self.unexpected(ctx);
            return Heard::Ignored;
        }
        self.answered(ctx, turnaround);
        self.close(ctx, frame, Reply::decode(frame.code, frame.data).ok());
        Heard::Closed
    }

    /// The open question has its answer (`None`: data that does not fit its code).
    fn close(&mut self, ctx: &mut Context<'_>, frame: &Frame<'_>, reply: Option<Reply>) {
        let Some(Inflight { purpose, sealed, first_sent, .. }) = self.inflight.take() else { return };
        if let Some(Reply::Nak(reason)) = reply {
            self.stats.naks += 1;
            if self.refused(ctx, &purpose, sealed, reason) {
                return;
            }
        }
        match purpose {
            Purpose::Start => self.started(ctx, reply),
            Purpose::Diagnose(step) => self.diagnosed(ctx, step, reply),
            Purpose::Challenge { rnd_a, install } => match reply {
                Some(reply) => self.challenged(ctx, frame, &reply, rnd_a, install),
                None => self.handshake_refused(ctx, Alarm::HandshakeRefused),
            },
            Purpose::Prove(handshake) => match reply {
                Some(reply) => self.proved(ctx, frame, &reply, &handshake),
                None => self.handshake_refused(ctx, Alarm::HandshakeRefused),
            },
            Purpose::InstallKey => match reply {
                Some(reply) => self.key_installed(ctx, &reply),
                None => self.restart(),
            },
            Purpose::Inspect(step) => {
                self.inspected_reply(ctx, reply);
                self.inspected(step);
            }
            Purpose::Poll => self.polled(ctx, first_sent, reply),
            Purpose::Command { id, command } => self.commanded(ctx, id, command, reply),
        }
    }

    /// Refusals that concern the link. True if the question is settled by that.
    fn refused(&mut self, ctx: &mut Context<'_>, purpose: &Purpose, sealed: bool, reason: NakReason) -> bool {
        let link = matches!(reason, NakReason::Sequence | NakReason::SecurityUnsupported | NakReason::SecurityRequired);
        match purpose {
            // Alive is all that was asked, and a strict reader refuses polls in clear.
            Purpose::Start if reason != NakReason::Sequence => {
                if matches!(self.settings.security, Security::Insecure { .. }) && reason == NakReason::SecurityRequired
                {
                    self.alarm(ctx, Alarm::SecurityDemanded);
                    self.due = ctx.now + Duration::from_secs(5);
                    return true;
                }
                false
            }
            Purpose::Challenge { .. } | Purpose::Prove(_) if reason == NakReason::Sequence => {
                self.restart();
                true
            }
            Purpose::Challenge { .. } | Purpose::Prove(_) => {
                self.handshake_refused(ctx, Alarm::HandshakeRefused);
                true
            }
            _ if link && sealed => {
                if let Purpose::Command { id, .. } = purpose {
                    self.command_failed(ctx, *id, CommandFailure::Refused(reason));
                }
                self.end_session(ctx, SessionEnd::Refused);
                true
            }
            _ if link => {
                if reason == NakReason::SecurityRequired && matches!(self.settings.security, Security::Insecure { .. })
                {
                    self.alarm(ctx, Alarm::SecurityDemanded);
                }
                if let Purpose::Command { id, .. } = purpose {
                    self.command_failed(ctx, *id, CommandFailure::Refused(reason));
                }
                if reason == NakReason::Sequence {
                    self.restart();
                    return true;
                }
                // In clear 5 and 6 refuse this one question, not the link.
                matches!(purpose, Purpose::Command { .. })
            }
            _ => false,
        }
    }

    fn started(&mut self, ctx: &mut Context<'_>, reply: Option<Reply>) {
        self.settle_trial(ctx);
        self.stage = match self.settings.security {
            _ if self.provisioning.is_some() => Stage::Challenge,
            Security::Keyed { .. } => {
                if self.handshake_failures > 0 {
                    self.due = ctx.now + self.handshake_pause();
                }
                Stage::Challenge
            }
            Security::Insecure { .. } | Security::Unprovisioned => Stage::Inspect(Inspection::Identity),
        };
        self.take_in(ctx, reply);
    }

    /// Delivers if trusted, counts otherwise.
    fn take_in(&mut self, ctx: &mut Context<'_>, reply: Option<Reply>) {
        match reply {
            None | Some(Reply::Ack | Reply::Nak(_)) => {}
            Some(reply) if self.trusted() => self.deliver(ctx, reply),
            Some(_) => self.stats.untrusted += 1,
        }
    }

    /// In clear after a refused handshake: shown to the administrator, obeyed in nothing.
    fn diagnosed(&mut self, ctx: &mut Context<'_>, step: Inspection, reply: Option<Reply>) {
        match reply {
            Some(Reply::Identity(identity)) => self.report(ctx, EventKind::Identity(identity)),
            Some(Reply::Capabilities(records)) => {
                let secure = records
                    .iter()
                    .any(|r| r.function == super::super::reply::capability::SECURITY && r.compliance & 1 != 0);
                self.report(ctx, EventKind::Capabilities(records));
                if !secure {
                    self.alarm(ctx, Alarm::Downgrade);
                }
            }
            _ => {}
        }
        if step == Inspection::Identity {
            self.stage = Stage::Diagnose(Inspection::Capabilities);
        } else {
            self.stage = Stage::Challenge;
            self.due = ctx.now + self.handshake_pause();
        }
    }

    /// Inspection of an unprovisioned reader is shown too: the administrator needs it.
    fn inspected_reply(&mut self, ctx: &mut Context<'_>, reply: Option<Reply>) {
        match reply {
            Some(reply @ (Reply::Identity(_) | Reply::Capabilities(_) | Reply::LocalStatus { .. })) => {
                self.deliver(ctx, reply);
            }
            other => self.take_in(ctx, other),
        }
    }

    fn polled(&mut self, ctx: &mut Context<'_>, asked_at: Duration, reply: Option<Reply>) {
        if matches!(reply, Some(Reply::Ack)) {
            self.last_idle = Some(asked_at);
        }
        self.due = asked_at + ctx.settings.poll_interval;
        self.take_in(ctx, reply);
    }

    fn commanded(
        &mut self,
        ctx: &mut Context<'_>,
        id: super::event::CommandId,
        command: ReaderCommand,
        reply: Option<Reply>,
    ) {
        let Some(reply) = reply else {
            return self.command_failed(ctx, id, CommandFailure::UnexpectedReply);
        };
        if let Reply::Nak(reason) = reply {
            return self.command_failed(ctx, id, CommandFailure::Refused(reason));
        }
        if let (ReaderCommand::SetCommunication { .. }, Reply::Communication { address, baud }) = (&command, &reply) {
            // What the reader says it will use, which may differ from what was asked.
            let possible = *address <= super::super::MAX_ADDRESS && super::super::BAUD_RATES.contains(baud);
            if !possible {
                return self.command_failed(ctx, id, CommandFailure::UnexpectedReply);
            }
            return self.begin_trial(ctx, id, (*address, *baud));
        }
        let fits = match &command {
            ReaderCommand::LocalStatus => matches!(reply, Reply::LocalStatus { .. }),
            ReaderCommand::InputStatus => matches!(reply, Reply::Inputs(_)),
            ReaderCommand::OutputStatus => matches!(reply, Reply::Outputs(_)),
            ReaderCommand::ReaderStatus => matches!(reply, Reply::Readers(_)),
            ReaderCommand::Identity => matches!(reply, Reply::Identity(_)),
            ReaderCommand::Capabilities => matches!(reply, Reply::Capabilities(_)),
            ReaderCommand::RotateKey(_) => matches!(reply, Reply::Ack),
            ReaderCommand::SetCommunication { .. } => false,
            // ACK, or the state it led to, or something unasked that took its place.
            ReaderCommand::Led(_)
            | ReaderCommand::Buzzer(_)
            | ReaderCommand::Text(_)
            | ReaderCommand::Output(_)
            | ReaderCommand::Manufacturer { .. }
            | ReaderCommand::RenewSession => !matches!(reply, Reply::Other { .. }),
        };
        self.take_in(ctx, Some(reply));
        if !fits {
            return self.command_failed(ctx, id, CommandFailure::UnexpectedReply);
        }
        self.report(ctx, EventKind::CommandDone(id));
        if matches!(command, ReaderCommand::RotateKey(_)) {
            self.rotation_taken();
        }
    }
}
