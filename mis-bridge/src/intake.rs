//! What gateways say, and the answers.

use std::time::Duration;

use bus::Message;
use clinic::devices;
use clinic::ingest::{self, Ingested};
use domain::{Epoch, GatewayId};
use tokio::time::Instant;
use tracing::{info, warn};
use wire::bus::{Ack, Channel, CommandOutcome, CommandResult, Down, EventBatch, Status, Up};

use crate::commands;
use crate::run::Bridge;

/// A gap is answered again at the earliest after this time, if the answer is the same: several batches are on the way
/// when one is lost, and each answer makes the gateway send them all again.
const GAP_ANSWER_PAUSE: Duration = Duration::from_millis(500);

impl Bridge {
    pub(crate) async fn hear(&mut self, message: &Message) {
        let gateway = &message.topic.gateway;
        let up = match Up::decode(&message.bytes) {
            Ok(up) => up,
            Err(error) => {
                warn!(gateway = %gateway, "a message of the gateway is not understood: {error}");
                return;
            }
        };
        if up.gateway() != gateway || !belongs(&up, message.topic.channel) {
            // The broker's access list keeps a gateway to its own topics; so the topic is right and the text is not.
            warn!(gateway = %gateway, claimed = %up.gateway(), "a message speaks for another gateway and is ignored");
            return;
        }
        match up {
            Up::Events(batch) => {
                self.heard(&batch.gateway);
                self.events(batch).await;
            }
            Up::Status(status) => {
                self.heard(&status.gateway);
                self.status(*status).await;
            }
            Up::Gone(gateway) => {
                info!(gateway = %gateway, "the gateway has left the bus");
                self.gone(&gateway).await;
            }
            Up::ChunkRequest(request) => {
                self.heard(&request.gateway);
                if let Some(offered) = self.policy.offered(request.version) {
                    self.chunks.send(request, offered);
                } else if let Some(offered) = self.policy.current() {
                    // It asks for one that has been replaced meanwhile.
                    let _ = self.line.send(&Down::Policy(offered.offer(&request.gateway, self.clock.now())));
                }
            }
            Up::CommandResult(result) => {
                self.heard(&result.gateway);
                self.command_result(result).await;
            }
        }
    }

    async fn events(&mut self, batch: EventBatch) {
        let EventBatch { gateway, epoch, entries } = batch;
        let outcome = ingest::ingest(&self.database, entries, self.clock.now()).await;
        match self.note(outcome, "taking in events") {
            // An acknowledgement speaks of what is committed, nothing else.
            Some(Ingested::Committed { seq, added }) => {
                if let (Some(desk), true) = (&self.desk, added > 0) {
                    desk.wake();
                }
                self.acknowledge(gateway, epoch, seq);
            }
            Some(Ingested::Gap { have }) => self.answer_gap(gateway, epoch, have),
            Some(Ingested::Malformed) => warn!(gateway = %gateway, "a batch of the gateway is malformed and ignored"),
            None => {}
        }
    }

    fn acknowledge(&self, gateway: GatewayId, epoch: Epoch, seq: u64) {
        let _ = self.line.send(&Down::Ack(Ack { gateway, epoch, seq }));
    }

    fn answer_gap(&mut self, gateway: GatewayId, epoch: Epoch, have: u64) {
        let now = Instant::now();
        if let Some(known) = self.gateways.get_mut(&gateway) {
            let answered = |(seq, at): (u64, Instant)| seq == have && now.duration_since(at) < GAP_ANSWER_PAUSE;
            if known.gap_answered.is_some_and(answered) {
                return;
            }
            known.gap_answered = Some((have, now));
        }
        info!(gateway = %gateway, have, "entries are missing: the gateway is asked to send again");
        self.acknowledge(gateway, epoch, have);
    }

    /// Answered with what we have and what should be in force: so the loss of any message is repaired within one
    /// period of the status.
    async fn status(&mut self, status: Status) {
        let (gateway, epoch) = (status.gateway.clone(), status.epoch);
        let last_seq = status.last_seq;
        let noted = devices::report(&self.database, report(status), self.clock.now()).await;
        self.note(noted, "noting the state of a gateway");
        let have = ingest::cursor(&self.database, &gateway, epoch).await;
        if let Some(have) = self.note(have, "reading how far a gateway's journal is taken in") {
            if have > last_seq {
                warn!(
                    gateway = %gateway, have, last_seq,
                    "the gateway's journal is shorter than what it sent before: was an old copy of it restored?"
                );
            }
            // Also when it knows: a gateway that has just started sends nothing before it has heard this.
            self.acknowledge(gateway.clone(), epoch, have);
        }
        if let Some(offered) = self.policy.current() {
            let _ = self.line.send(&Down::Policy(offered.offer(&gateway, self.clock.now())));
        }
    }

    async fn command_result(&mut self, result: CommandResult) {
        if let CommandOutcome::Refused(problem) = &result.outcome {
            warn!(gateway = %result.gateway, command = %result.id, "the gateway refused a command: {problem}");
        }
        let noted = commands::note_result(&self.database, &result, self.clock.now()).await;
        self.note(noted, "noting the result of a command");
    }
}

fn belongs(up: &Up, channel: Channel) -> bool {
    match up {
        Up::Events(_) => channel == Channel::Events,
        Up::Status(_) | Up::Gone(_) => channel == Channel::Status,
        Up::ChunkRequest(_) | Up::CommandResult(_) => channel == Channel::Request,
    }
}

fn report(status: Status) -> devices::Report {
    devices::Report {
        gateway: devices::Gateway {
            at: Some(status.at),
            started: Some(status.started),
            software: Some(status.software),
            epoch: Some(status.epoch),
            last_seq: Some(status.last_seq),
            acked_seq: Some(status.acked_seq),
            policy_version: status.policy_version,
            policy_age_ms: status.policy_age_ms,
            ..devices::Gateway::new(status.gateway)
        },
        lines: status.lines,
        readers: status.readers,
        doors: status.doors,
    }
}
