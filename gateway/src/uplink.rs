//! The way to the bridge: copies the journal from its cursor, takes acknowledgements, policies and commands.
//!
//! One task owns the link. It never holds up a door: what the bridge does not take waits in the journal. Delivery is
//! what an acknowledgement says, never what a transport says; after every reconnection, and when acknowledgements
//! stay away, sending starts again from the cursor, and the bridge recognises repetitions.

use std::path::PathBuf;
use std::time::Duration;

use bus::{Incoming, Link, Message, Publisher};
use domain::{Clock, Draft, GatewayId, Kind, Reason, UtcMillis};
use store::journal::Journal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::bus::{
    Ack, BATCH_MAX_ENTRIES, Channel, Command, CommandGuard, CommandOutcome, CommandResult, Down, EventBatch, KeyRing,
    PolicyAssembly, PolicyChunk, PolicyOffer, Status, Topic, Up, is_chunk,
};

use crate::core::{Board, Request, clipped};
use crate::history::{self, KEEP_ENTRIES};
use crate::snapshot;

/// Entries that may be on their way without an acknowledgement.
const WINDOW: u64 = 4 * BATCH_MAX_ENTRIES as u64;
/// How often the state is told, and how long an answer may take before something is sent again.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// Changes of state are told at once, but not more often than this.
const STATUS_GAP: Duration = Duration::from_millis(250);
/// How long acknowledgements may stay away before sending starts again from the cursor.
const ACK_LIMIT: Duration = Duration::from_secs(5);
/// An acknowledgement that repeats itself this long after the last progress means that something got lost.
const REPEATED_ACK: Duration = Duration::from_millis(500);
/// How long a decision core may take to carry out a command.
const COMMAND_LIMIT: Duration = Duration::from_secs(2);

/// Alarms about the bus that may be raised at once, and the time in which one more is earned.
const ALARMS_AT_ONCE: u32 = 20;
const ALARM_GAP: Duration = Duration::from_secs(10);
/// Entries removed at a time: some milliseconds of the journal's writer.
const PRUNE_STEP: u64 = 2000;

/// What the uplink works with.
pub struct Parts {
    /// This gateway.
    pub gateway: GatewayId,
    /// The journal to copy.
    pub journal: Journal,
    /// The link to the bus.
    pub link: Link,
    /// Keys by which the bridge is believed.
    pub keys: KeyRing,
    /// Wall time.
    pub clock: Clock,
    /// How the gateway is.
    pub board: watch::Receiver<Board>,
    /// To the core.
    pub requests: mpsc::Sender<Request>,
    /// Where the policy is kept.
    pub policy_file: PathBuf,
    /// Program version.
    pub software: String,
    /// Version of the policy in force at start.
    pub version: Option<u64>,
}

struct Uplink {
    gateway: GatewayId,
    journal: Journal,
    publisher: Publisher,
    keys: KeyRing,
    guard: CommandGuard,
    clock: Clock,
    started: UtcMillis,
    board: watch::Receiver<Board>,
    requests: mpsc::Sender<Request>,
    policy_file: PathBuf,
    software: String,
    connected: bool,
    /// The last entry handed to the transport.
    sent: u64,
    /// When an acknowledgement last moved the cursor, or there was nothing to acknowledge.
    progress: Instant,
    assembly: Option<(PolicyAssembly, Instant)>,
    version: Option<u64>,
    refused_version: Option<u64>,
    told: Instant,
    ahead_told: bool,
    /// The bridge has answered since the start.
    greeted: bool,
    /// Entries up to this one have been removed.
    pruned: u64,
    /// Alarms that may be raised at once.
    alarms_left: u32,
    alarms_since: Instant,
    alarms_kept_back: u32,
}

/// Works until cancelled or the link ends for good.
pub async fn run(parts: Parts, shutdown: CancellationToken) {
    let Link { publisher, mut inbox } = parts.link;
    let started = parts.clock.now();
    let mut last = parts.journal.watch_last();
    // Not readable now: pruning begins at 1 then, and passes over what is not there.
    let oldest = match parts.journal.read_after(0, 1).await {
        Ok(entries) => entries.first().map_or(1, |entry| entry.seq),
        Err(_) => 1,
    };
    let mut uplink = Uplink {
        guard: CommandGuard::new(parts.gateway.clone(), started),
        sent: parts.journal.acked(),
        gateway: parts.gateway,
        journal: parts.journal,
        publisher,
        keys: parts.keys,
        clock: parts.clock,
        started,
        board: parts.board.clone(),
        requests: parts.requests,
        policy_file: parts.policy_file,
        software: parts.software,
        connected: false,
        progress: Instant::now(),
        assembly: None,
        version: parts.version,
        refused_version: None,
        told: Instant::now(),
        ahead_told: false,
        greeted: false,
        pruned: oldest.saturating_sub(1),
        alarms_left: ALARMS_AT_ONCE,
        alarms_since: Instant::now(),
        alarms_kept_back: 0,
    };
    let mut board = parts.board;
    let mut revision = board.borrow_and_update().revision;
    let mut status_due = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            incoming = inbox.next() => match incoming {
                Some(incoming) => uplink.incoming(incoming).await,
                None => return,
            },
            Ok(()) = last.changed() => uplink.send_entries().await,
            Ok(()) = board.changed() => {
                let now = board.borrow_and_update().revision;
                if now != revision {
                    revision = now;
                    status_due = status_due.min(uplink.told + STATUS_GAP);
                }
            }
            () = sleep_until(status_due) => {
                uplink.send_status().await;
                uplink.look_after().await;
                uplink.prune().await;
                status_due = Instant::now() + STATUS_EVERY;
            }
        }
    }
    // A last word, so that the pages know at once; not waited for.
    uplink.send_entries().await;
    inbox.close().await;
}

impl Uplink {
    async fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Connected { .. } => {
                self.connected = true;
                self.rewind(self.journal.acked());
                self.send_status().await;
                self.send_entries().await;
            }
            Incoming::Lost { why } => {
                tracing::warn!(%why, "the bus is lost; entries wait in the journal");
                self.connected = false;
            }
            Incoming::Message(message) => self.message(message).await,
        }
    }

    async fn message(&mut self, message: Message) {
        if is_chunk(&message.bytes) {
            return self.chunk(&message.bytes).await;
        }
        match Down::decode(&message.bytes, &self.keys, &self.gateway) {
            Ok(Down::Ack(ack)) => self.ack(&ack).await,
            Ok(Down::Policy(offer)) => self.offer(offer).await,
            Ok(Down::Command(command)) => self.command(command, message.retained).await,
            Err(error) => {
                tracing::warn!(%error, "a message from the bus is refused");
                self.alarm(Reason::CommandRefused, error.to_string()).await;
            }
        }
    }

    // ---- entries ----

    fn rewind(&mut self, to: u64) {
        self.sent = to;
        self.progress = Instant::now();
    }

    async fn send_entries(&mut self) {
        // Before the first answer of the bridge nobody knows whether this journal is an older copy, whose new entries
        // would be taken for repetitions.
        while self.connected
            && self.greeted
            && self.sent < self.journal.last_seq()
            && self.sent < self.journal.acked() + WINDOW
        {
            let entries = match self.journal.read_after(self.sent, BATCH_MAX_ENTRIES).await {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be read");
                    return;
                }
            };
            let Some(batch) = EventBatch::beginning(&entries) else { return };
            let to = batch.last_seq();
            if !self.publish(Channel::Events, &Up::Events(batch)).await {
                return;
            }
            self.sent = to;
        }
    }

    async fn ack(&mut self, ack: &Ack) {
        if ack.epoch != self.journal.epoch() {
            return;
        }
        if !self.greeted {
            if ack.seq > self.journal.opened_at() && !self.resume(ack.seq).await {
                return;
            }
            self.greeted = true;
        }
        let before = self.journal.acked();
        if let Err(ahead) = self.journal.set_acked(ack.seq) {
            if !self.ahead_told {
                self.ahead_told = true;
                self.alarm(Reason::Overload, ahead.to_string()).await;
            }
            return;
        }
        if ack.seq < before {
            // The receiver lost what it had: it gets it again.
            tracing::warn!(ack.seq, journal.acked = before, "the bridge has less than before; sending again");
            self.rewind(ack.seq);
        } else if ack.seq > before || self.sent <= ack.seq {
            self.progress = Instant::now();
        } else if self.progress.elapsed() > REPEATED_ACK {
            // The same answer again while more is on its way: something got lost.
            self.rewind(ack.seq);
        }
        self.sent = self.sent.max(ack.seq);
        self.send_entries().await;
    }

    /// The file was replaced by an older copy: numbering goes on behind what the bridge has. `false` if that failed;
    /// it is tried again with the next answer.
    async fn resume(&mut self, seq: u64) -> bool {
        match self.journal.resume_after(seq).await {
            Ok(_) => {
                self.rewind(seq);
                let opened_at = self.journal.opened_at();
                let detail = format!(
                    "the journal was replaced by an older copy: it ended at {opened_at}, the bridge has {seq}; numbering goes on behind that"
                );
                self.alarm(Reason::JournalStalled, detail).await;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the journal is older than what the bridge has, and cannot go on behind it");
                false
            }
        }
    }

    /// Every status period: entries that the bridge has and nobody needs here any more go, a few at a time, so that
    /// no tap waits for it.
    async fn prune(&mut self) {
        let acked = self.journal.acked();
        let until = acked.saturating_sub(KEEP_ENTRIES).min(self.pruned + PRUNE_STEP);
        if until <= self.pruned {
            return;
        }
        match self.journal.prune(acked - until).await {
            Ok(_) => self.pruned = until,
            Err(error) => tracing::warn!(%error, "old entries could not be removed from the journal"),
        }
    }

    /// Every status period: what stays without an answer is asked for again.
    async fn look_after(&mut self) {
        if self.sent > self.journal.acked() && self.progress.elapsed() > ACK_LIMIT {
            self.rewind(self.journal.acked());
        }
        self.send_entries().await;
        let stuck = self.assembly.as_ref().is_some_and(|(_, since)| since.elapsed() > ACK_LIMIT);
        if stuck {
            self.request_chunks().await;
        }
    }

    async fn publish(&self, channel: Channel, up: &Up) -> bool {
        let bytes = match up.encode() {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "a message could not be written");
                return false;
            }
        };
        match self.publisher.publish(&Topic::new(self.gateway.clone(), channel), bytes).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "the bus did not take a message");
                false
            }
        }
    }

    async fn send_status(&mut self) {
        self.told = Instant::now();
        if !self.connected {
            return;
        }
        let board = self.board.borrow().clone();
        let now = self.clock.now();
        let age = |confirmed: UtcMillis| u64::try_from(now.since_ms(confirmed)).unwrap_or(0);
        let status = Status {
            gateway: self.gateway.clone(),
            at: now,
            started: self.started,
            software: self.software.clone(),
            epoch: self.journal.epoch(),
            last_seq: self.journal.last_seq(),
            acked_seq: self.journal.acked(),
            policy_version: board.policy_version,
            policy_age_ms: board.policy_confirmed.map(age),
            lines: board.lines,
            readers: board.readers,
            doors: board.doors,
        };
        for part in status.split() {
            self.publish(Channel::Status, &Up::Status(Box::new(part))).await;
        }
    }

    // ---- policy ----

    async fn offer(&mut self, offer: PolicyOffer) {
        if Some(offer.version) == self.version {
            self.ask(Request::PolicyConfirmed(offer.at)).await;
            return;
        }
        if self.refused_version == Some(offer.version) {
            return;
        }
        if self.version.is_some_and(|version| offer.version < version) {
            self.refused_version = Some(offer.version);
            let detail = format!("version {} is older than the one in force", offer.version);
            return self.alarm(Reason::PolicyRefused, detail).await;
        }
        if self.assembly.as_ref().is_some_and(|(assembly, _)| assembly.offer().digest == offer.digest) {
            return;
        }
        self.assembly = Some((PolicyAssembly::new(offer), Instant::now()));
        self.request_chunks().await;
    }

    async fn request_chunks(&mut self) {
        let Some((assembly, since)) = &mut self.assembly else { return };
        *since = Instant::now();
        if let Some(request) = assembly.request(&self.gateway) {
            self.publish(Channel::Request, &Up::ChunkRequest(request)).await;
        }
    }

    async fn chunk(&mut self, bytes: &[u8]) {
        let Some((assembly, since)) = &mut self.assembly else { return };
        let taken = PolicyChunk::decode(bytes).and_then(|chunk| assembly.take(&chunk));
        *since = Instant::now();
        match taken {
            Ok(Some(whole)) => {
                let version = assembly.offer().version;
                self.assembly = None;
                self.put_in_force(version, whole).await;
            }
            Ok(None) if assembly.wants_request() => self.request_chunks().await,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a policy chunk was not taken"),
        }
    }

    async fn put_in_force(&mut self, version: u64, bytes: Vec<u8>) {
        let file = self.policy_file.clone();
        let first = self.version.is_none();
        let work = tokio::task::spawn_blocking(move || {
            let policy = snapshot::compile(&bytes)?;
            Ok::<_, snapshot::UseError>((policy, snapshot::keep(&file, &bytes)))
        });
        match work.await {
            Ok(Ok((policy, kept))) => {
                let presence = match first {
                    true => match history::presence(&self.journal, &policy).await {
                        Ok(presence) => Some(Box::new(presence)),
                        Err(error) => {
                            // Without knowing which one-time passes are used no door opens; it is offered again.
                            tracing::error!(%error, "the journal cannot be read; the policy is not put in force");
                            return;
                        }
                    },
                    false => None,
                };
                self.version = Some(version);
                self.refused_version = None;
                self.ask(Request::Policy(policy, presence)).await;
                if let Err(error) = kept {
                    self.alarm(Reason::PolicyRefused, format!("in force, but not kept for a restart: {error}")).await;
                }
            }
            Ok(Err(error)) => {
                self.refused_version = Some(version);
                self.alarm(Reason::PolicyRefused, format!("version {version}: {error}")).await;
            }
            Err(error) => tracing::error!(%error, "compiling a policy failed"),
        }
    }

    // ---- commands ----

    async fn command(&mut self, command: Command, retained: bool) {
        let outcome = match self.guard.admit(&command, retained, self.clock.now()) {
            Err(refused) => {
                self.alarm(Reason::CommandRefused, format!("{}: {refused}", command.action.as_str())).await;
                CommandOutcome::Refused(refused.to_string())
            }
            Ok(()) => self.carry_out(&command).await,
        };
        let result = CommandResult { gateway: self.gateway.clone(), id: command.id, outcome };
        self.publish(Channel::Request, &Up::CommandResult(result)).await;
    }

    async fn carry_out(&self, command: &Command) -> CommandOutcome {
        let (answer, outcome) = oneshot::channel();
        let (action, actor, reason) = (command.action.clone(), command.actor.clone(), command.reason.clone());
        self.ask(Request::Command { action, actor, reason, answer }).await;
        match tokio::time::timeout(COMMAND_LIMIT, outcome).await {
            Ok(Ok(outcome)) => outcome,
            _ => CommandOutcome::Refused("the gateway did not answer in time".into()),
        }
    }

    async fn ask(&self, request: Request) {
        // The core only goes away at shutdown.
        let _ = self.requests.send(request).await;
    }

    /// Alarms about what the bus brings. Whoever floods the bus must not fill the journal: beyond
    /// [`ALARMS_AT_ONCE`] one a [`ALARM_GAP`] is raised, with the number of those that were not.
    async fn alarm(&mut self, reason: Reason, detail: String) {
        let earned = self.alarms_since.elapsed().as_secs() / ALARM_GAP.as_secs();
        if earned > 0 {
            self.alarms_since = Instant::now();
            self.alarms_left =
                self.alarms_left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(ALARMS_AT_ONCE);
        }
        let Some(left) = self.alarms_left.checked_sub(1) else {
            self.alarms_kept_back = self.alarms_kept_back.saturating_add(1);
            return;
        };
        self.alarms_left = left;
        let detail = match std::mem::take(&mut self.alarms_kept_back) {
            0 => detail,
            more => format!("{more} more before; {detail}"),
        };
        let detail = Some(clipped(&detail));
        let fact = Draft { reason: Some(reason), detail, ..Draft::new(self.clock.now(), Kind::Alarm) };
        self.ask(Request::Record(fact)).await;
    }
}
