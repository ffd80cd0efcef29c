//! One reader as the panel sees it: its link, its open question, its waiting commands.
//!
//! Owns what to say next ([`Reader::prepare`]). What a reply means stands in `receive`, what
//! silence means in `silence`, handshakes in `connect`, COMSET in `comset`, reports in `report`.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::command::Command;
use super::super::frame::{self, Direction, Header, PLAIN_OVERHEAD, SECURE_OVERHEAD};
use super::super::secure::{BLOCK, Session};
use super::comset::Trial;
use super::connect::{Handshake, Provisioning};
use super::event::{
    BusEvent, CommandFailure, CommandId, EventKind, ReaderCommand, ReaderIndex, ReaderState, ReaderStats, SessionEnd,
};
use super::report::{AlarmLimiter, Levelled};
use super::settings::{BusSettings, ReaderSettings, Security};
use super::{OUTPUT_MAX_AGE, Random};

/// A reader that reports no receive buffer must take this (SIA 050-06).
const LEAST_RECEIVE_BUFFER: usize = 128;
/// COMSET without an answer is taken as possibly done after this.
const COMSET_PATIENCE: Duration = Duration::from_secs(1);

/// What every step of a reader needs from its line.
pub(super) struct Context<'a> {
    pub now: Duration,
    pub settings: &'a BusSettings,
    pub events: &'a mut VecDeque<BusEvent>,
    pub random: &'a mut Random,
}

/// How far the connection is.
pub(super) enum Stage {
    /// POLL with sequence 0, to see who is there.
    Start,
    /// After a refused handshake: ask in clear who it is.
    Diagnose(Inspection),
    /// CHLNG.
    Challenge,
    /// SCRYPT.
    Prove(Box<Handshake>),
    /// Inside the install session: KEYSET.
    InstallKey,
    /// Connected: learn what it is and how it stands.
    Inspect(Inspection),
    /// Connected: polls and commands.
    Ready,
}

/// Steps of the inspection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inspection {
    Identity,
    Capabilities,
    LocalStatus,
    Inputs,
    Outputs,
}

/// Why a question was asked.
pub(super) enum Purpose {
    Start,
    Diagnose(Inspection),
    Challenge { rnd_a: [u8; 8], install: bool },
    Prove(Box<Handshake>),
    InstallKey,
    Inspect(Inspection),
    Poll,
    Command { id: CommandId, command: ReaderCommand },
}

/// The open question of a reader, as the bytes that are repeated until it is answered.
pub(super) struct Inflight {
    pub frame: Vec<u8>,
    pub purpose: Purpose,
    pub sequence: u8,
    /// It went through the session: only an authenticated reply counts.
    pub sealed: bool,
    pub attempts: u32,
    pub first_sent: Duration,
    pub busy: u32,
    /// After this it is not repeated any more.
    pub withdraw_at: Option<Duration>,
    /// An unauthenticated message says the session is gone; acted on if nothing better comes.
    pub suspicion: Option<SessionEnd>,
}

pub(super) struct ActiveSession {
    pub session: Session,
    pub since: Duration,
    pub frames: u64,
    /// Under SCBK-D: nothing in it is trusted but the answer to KEYSET.
    pub install: bool,
}

struct Queued {
    id: CommandId,
    command: ReaderCommand,
    given_at: Duration,
}

pub(super) struct Reader {
    pub index: ReaderIndex,
    pub settings: ReaderSettings,
    pub stage: Stage,
    pub session: Option<ActiveSession>,
    pub inflight: Option<Inflight>,
    /// Not asked before this.
    pub due: Duration,
    /// Last reply that counts for supervision. `None` before the first step.
    pub heard: Option<Duration>,
    /// First question since then.
    pub asked_since: Option<Duration>,
    pub online: bool,
    /// `Secure` was reported and `SessionLost` was not.
    pub secure_announced: bool,
    pub offline_announced: bool,
    pub handshake_failures: u32,
    pub provisioning: Option<Provisioning>,
    /// Authenticated capabilities lack Secure Channel (attack 2).
    pub downgraded: bool,
    /// The reader confirmed the next key and has not proven it yet.
    pub rotation_confirmed: bool,
    pub receive_buffer: usize,
    pub has_inputs: bool,
    pub has_outputs: bool,
    /// Sending time of the last poll answered by "nothing".
    pub last_idle: Option<Duration>,
    pub levelled: Levelled,
    pub stats: ReaderStats,
    /// The speed this reader needs, if a COMSET changed or may have changed it.
    pub baud_wanted: Option<u32>,
    pub alarms: AlarmLimiter,
    pub next_sequence: u8,
    /// Consecutive questions without any usable reply.
    pub misses: u32,
    queue: VecDeque<Queued>,
    pub trial: Option<Trial>,
    pub interference: VecDeque<Duration>,
    pub session_ends: VecDeque<Duration>,
    pub conflict: u32,
}

impl Reader {
    pub fn new(index: ReaderIndex, settings: ReaderSettings, now: Option<Duration>) -> Self {
        Self {
            index,
            settings,
            stage: Stage::Start,
            session: None,
            inflight: None,
            due: now.unwrap_or_default(),
            heard: now,
            asked_since: None,
            online: false,
            secure_announced: false,
            offline_announced: false,
            handshake_failures: 0,
            provisioning: None,
            downgraded: false,
            rotation_confirmed: false,
            receive_buffer: LEAST_RECEIVE_BUFFER,
            has_inputs: true,
            has_outputs: true,
            last_idle: None,
            levelled: Levelled::default(),
            stats: ReaderStats::default(),
            baud_wanted: None,
            alarms: AlarmLimiter::default(),
            next_sequence: 0,
            misses: 0,
            queue: VecDeque::new(),
            trial: None,
            interference: VecDeque::new(),
            session_ends: VecDeque::new(),
            conflict: 0,
        }
    }

    // ---- what others ask ----

    pub fn state(&self) -> ReaderState {
        let connected = matches!(self.stage, Stage::Ready | Stage::Inspect(_));
        match self.settings.security {
            _ if !self.online => ReaderState::Offline,
            Security::Insecure { .. } if connected => ReaderState::Insecure,
            Security::Keyed { .. } if connected && self.own_session() => ReaderState::Secure,
            // A renewal is two exchanges long and loses nothing.
            Security::Keyed { .. } if self.secure_announced => ReaderState::Secure,
            _ => ReaderState::Connecting,
        }
    }

    /// In a session with the reader's own key.
    pub fn own_session(&self) -> bool {
        self.session.as_ref().is_some_and(|s| !s.install)
    }

    /// What it says about people may be believed.
    pub fn trusted(&self) -> bool {
        match self.settings.security {
            Security::Keyed { .. } => self.own_session() && !self.downgraded,
            Security::Insecure { .. } => true,
            Security::Unprovisioned => false,
        }
    }

    /// It answers: it has a claim to the line before those that do not.
    pub fn healthy(&self) -> bool {
        self.online && self.misses == 0
    }

    /// Asking it will probably cost a time-out.
    pub fn suspect(&self) -> bool {
        self.misses >= 2 || (!self.online && self.misses > 0)
    }

    /// It has something to be asked besides polls: a command, or a step of its inspection.
    pub fn ready_for_command(&self) -> bool {
        let wanted = match self.stage {
            Stage::Ready => !self.queue.is_empty(),
            Stage::Inspect(_) => true,
            _ => false,
        };
        wanted && self.inflight.is_none()
    }

    pub fn ready_for_output(&self) -> bool {
        matches!(self.stage, Stage::Ready)
            && self.ready_for_command()
            && self.queue.iter().any(|q| matches!(q.command, ReaderCommand::Output(_)))
    }

    /// In the middle of a handshake, with the reader answering: go on at once.
    pub fn connecting(&self) -> bool {
        self.misses == 0 && matches!(self.stage, Stage::Challenge | Stage::Prove(_) | Stage::InstallKey)
    }

    /// Connected and not asked for so long that its session is in danger: others connecting
    /// took the line.
    pub fn neglected(&self, now: Duration, settings: &BusSettings) -> bool {
        self.misses == 0
            && matches!(self.stage, Stage::Ready | Stage::Inspect(_))
            && self.heard.is_some_and(|heard| now.saturating_sub(heard) > settings.offline_after / 3)
    }

    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    // ---- what to say ----

    /// Makes sure there is an open question and counts this sending. False: nothing to say now.
    pub fn prepare(&mut self, ctx: &mut Context<'_>, commands: bool) -> bool {
        if self.withdraw_late(ctx) {
            return false;
        }
        if self.inflight.is_none() && !self.ask(ctx, commands) {
            return false;
        }
        let Some(inflight) = &mut self.inflight else { return false };
        if inflight.attempts > 0 {
            self.stats.retries += 1;
        } else {
            match inflight.purpose {
                Purpose::Poll | Purpose::Start => self.stats.polls += 1,
                _ => self.stats.commands += 1,
            }
        }
        inflight.attempts += 1;
        self.asked_since.get_or_insert(ctx.now);
        true
    }

    /// Opens a new question according to the stage.
    fn ask(&mut self, ctx: &mut Context<'_>, commands: bool) -> bool {
        if self.renewal_due(ctx) {
            self.stage = Stage::Challenge;
        }
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Start => {
                self.session = None;
                self.next_sequence = 0;
                self.open(ctx, &Command::Poll, Purpose::Start);
            }
            Stage::Diagnose(step) => {
                self.stage = Stage::Diagnose(step);
                self.open(ctx, &step.command(), Purpose::Diagnose(step));
            }
            Stage::Challenge => {
                self.stage = Stage::Challenge;
                self.challenge(ctx);
            }
            Stage::Prove(handshake) => {
                self.stage = Stage::Challenge;
                self.prove(ctx, handshake);
            }
            Stage::InstallKey => {
                self.stage = Stage::InstallKey;
                self.install_key(ctx);
            }
            // Inspection takes turns with polls, as commands do: nobody's card waits for it.
            Stage::Inspect(step) => {
                self.stage = Stage::Inspect(step);
                while commands && self.inflight.is_none() {
                    match self.take_command() {
                        Some(queued) => self.open_command(ctx, queued),
                        None => self.open(ctx, &step.command(), Purpose::Inspect(step)),
                    }
                }
                if self.inflight.is_none() {
                    self.open(ctx, &Command::Poll, Purpose::Poll);
                }
            }
            Stage::Ready => {
                self.stage = Stage::Ready;
                while commands && self.inflight.is_none() {
                    match self.take_command() {
                        Some(queued) => self.open_command(ctx, queued),
                        None => break,
                    }
                }
                // A command may have started a renewal instead of a question.
                if self.inflight.is_none() {
                    match self.stage {
                        Stage::Ready => self.open(ctx, &Command::Poll, Purpose::Poll),
                        _ => return self.ask(ctx, commands),
                    }
                }
            }
        }
        self.inflight.is_some()
    }

    /// Outputs first, then in order. What changes the link waits for the end of the inspection.
    fn take_command(&mut self) -> Option<Queued> {
        let output = self.queue.iter().position(|q| matches!(q.command, ReaderCommand::Output(_)));
        let inspecting = matches!(self.stage, Stage::Inspect(_));
        let first = self.queue.iter().position(|q| {
            !inspecting
                || !matches!(
                    q.command,
                    ReaderCommand::RotateKey(_) | ReaderCommand::RenewSession | ReaderCommand::SetCommunication { .. }
                )
        });
        self.queue.remove(output.or(first)?)
    }

    fn open_command(&mut self, ctx: &mut Context<'_>, queued: Queued) {
        let Queued { id, command, given_at } = queued;
        let is_output = matches!(command, ReaderCommand::Output(_));
        if is_output && ctx.now.saturating_sub(given_at) > OUTPUT_MAX_AGE {
            return self.command_failed(ctx, id, CommandFailure::Expired);
        }
        let Some(wire) = command.to_wire() else {
            // RenewSession: the handshake itself is the command; it is confirmed by `Secure`.
            self.stage = Stage::Challenge;
            return self.report(ctx, EventKind::CommandDone(id));
        };
        let mut data = Vec::new();
        wire.encode_data(&mut data);
        let length = match self.session {
            Some(_) if data.is_empty() => SECURE_OVERHEAD,
            Some(_) => SECURE_OVERHEAD + (data.len() + 1).next_multiple_of(BLOCK),
            None => PLAIN_OVERHEAD + data.len(),
        };
        if length > self.receive_buffer {
            return self.command_failed(ctx, id, CommandFailure::TooLong);
        }
        let withdraw_at = match command {
            ReaderCommand::Output(_) => Some(given_at + OUTPUT_MAX_AGE),
            ReaderCommand::SetCommunication { .. } => Some(ctx.now + COMSET_PATIENCE),
            _ => None,
        };
        self.open(ctx, &wire, Purpose::Command { id, command });
        if let Some(inflight) = &mut self.inflight {
            inflight.withdraw_at = withdraw_at;
        }
    }

    /// Encodes a question, sealed if a session stands, and moves the sequence.
    pub(super) fn open(&mut self, ctx: &Context<'_>, command: &Command, purpose: Purpose) {
        self.open_with_block(ctx, command, purpose, None);
    }

    pub(super) fn open_with_block(
        &mut self,
        ctx: &Context<'_>,
        command: &Command,
        purpose: Purpose,
        block: Option<frame::SecurityBlock<'_>>,
    ) {
        let header = Header {
            address: self.settings.address,
            direction: Direction::Command,
            sequence: self.next_sequence,
            check: self.settings.check,
        };
        let mut data = Vec::new();
        command.encode_data(&mut data);
        let mut frame = Vec::with_capacity(64);
        let sealed = match &mut self.session {
            Some(active) if block.is_none() => {
                active.frames += 1;
                active.session.seal(&mut frame, header, command.code(), &data);
                true
            }
            _ => {
                frame::encode(&mut frame, header, block, command.code(), &data);
                false
            }
        };
        zeroize::Zeroize::zeroize(&mut data);
        self.inflight = Some(Inflight {
            frame,
            purpose,
            sequence: self.next_sequence,
            sealed,
            attempts: 0,
            first_sent: ctx.now,
            busy: 0,
            withdraw_at: None,
            suspicion: None,
        });
        self.next_sequence = self.next_sequence % 3 + 1;
    }

    fn renewal_due(&self, ctx: &Context<'_>) -> bool {
        let Some(active) = &self.session else { return false };
        matches!(self.stage, Stage::Ready)
            && self.queue.is_empty()
            && !active.install
            && (active.frames >= ctx.settings.session_max_frames
                || ctx.now.saturating_sub(active.since) >= ctx.settings.session_max_age)
    }

    // ---- commands ----

    pub fn enqueue(&mut self, now: Duration, id: CommandId, command: ReaderCommand) {
        if matches!(command, ReaderCommand::Output(_)) && self.misses < 2 {
            self.due = self.due.min(now);
        }
        self.queue.push_back(Queued { id, command, given_at: now });
    }

    pub fn fail_all(&mut self, ctx: &mut Context<'_>, reason: CommandFailure) {
        self.fail_inflight(ctx, CommandFailure::Unconfirmed);
        for queued in std::mem::take(&mut self.queue) {
            self.command_failed(ctx, queued.id, reason);
        }
    }

    pub fn fail_inflight(&mut self, ctx: &mut Context<'_>, reason: CommandFailure) {
        if let Some(Inflight { purpose: Purpose::Command { id, .. }, .. }) = self.inflight.take() {
            self.command_failed(ctx, id, reason);
        }
    }

    pub fn command_failed(&mut self, ctx: &mut Context<'_>, id: CommandId, reason: CommandFailure) {
        self.report(ctx, EventKind::CommandFailed { id, reason });
    }
}

impl Inspection {
    pub fn command(self) -> Command {
        match self {
            Self::Identity => Command::Id,
            Self::Capabilities => Command::Capabilities,
            Self::LocalStatus => Command::LocalStatus,
            Self::Inputs => Command::InputStatus,
            Self::Outputs => Command::OutputStatus,
        }
    }
}
