//! The bridge's task.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::{Incoming, Link, Message, PublishError, Publisher};
use clinic::Database;
use clinic::desk::Desk;
use domain::{Clock, GatewayId};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use wire::bus::{Channel, Down, LinkKey, Topic};

use crate::chunks::ChunkSender;
use crate::commands;
use crate::desk::DeskTask;
use crate::policy::{Offered, PolicyDesk};

/// Most gateways that one bridge keeps in mind. Further ones are served when they speak, but not told of a new policy
/// before they do.
const GATEWAYS_MAX: usize = 10_000;

/// How the bridge works. `Settings::new` is right for nearly everybody.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Authenticates what goes down.
    pub key: LinkKey,
    /// How often a change of policy and waiting commands are looked for. Together with building the snapshot this is
    /// the time between "revoked" in the database and "refused" at the door.
    pub look_every: Duration,
    /// A gateway that has not been heard for this long is shown as away.
    pub silent_after: Duration,
    /// Takes taps at workstations, where there are any.
    pub desk: Option<Desk>,
}

impl Settings {
    /// Looks for changes every 200 ms; a gateway is away after 20 s; no workstations.
    pub const fn new(key: LinkKey) -> Self {
        Self { key, look_every: Duration::from_millis(200), silent_after: Duration::from_secs(20), desk: None }
    }
}

/// Serves the gateways of one site until `shutdown`, then says goodbye to the bus. Returns early only if the link ends
/// for good (another bridge of the same name took its place in one process).
pub async fn run(settings: Settings, database: Database, link: Link, clock: Clock, shutdown: CancellationToken) {
    let Link { publisher, mut inbox } = link;
    let mut bridge = Bridge {
        chunks: ChunkSender::new(publisher.clone()),
        line: Line { publisher, key: settings.key },
        policy: PolicyDesk::new(database.clone(), clock.clone()),
        database,
        clock,
        gateways: BTreeMap::new(),
        silent_after: settings.silent_after,
        database_ok: true,
        desk: settings.desk.map(DeskTask::start),
    };
    let mut look = interval(settings.look_every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // In this order: stop, then what is ready, then what came.
            biased;
            () = shutdown.cancelled() => break,
            built = bridge.policy.built() => {
                if let Some(offered) = bridge.note(built, "reading the policy") {
                    bridge.offer_to_all(&offered);
                }
            }
            _ = look.tick() => bridge.look().await,
            incoming = inbox.next() => match incoming {
                Some(incoming) => bridge.take(incoming).await,
                None => break,
            },
        }
    }
    if let Some(desk) = bridge.desk.take() {
        desk.end().await;
    }
    inbox.close().await;
}

/// What goes down, authenticated.
pub(crate) struct Line {
    publisher: Publisher,
    key: LinkKey,
}

impl Line {
    /// Hands a message over. Losing one is no fault: every status is answered again.
    pub(crate) fn send(&self, down: &Down) -> Result<(), PublishError> {
        let channel = match down {
            Down::Ack(_) => Channel::Ack,
            Down::Policy(_) => Channel::Policy,
            Down::Command(_) => Channel::Command,
        };
        let bytes = match down.encode(&self.key) {
            Ok(bytes) => bytes,
            Err(error) => {
                warn!(gateway = %down.gateway(), "a message cannot be written: {error}");
                return Ok(());
            }
        };
        let sent = self.publisher.try_publish(&Topic::new(down.gateway().clone(), channel), bytes);
        if let Err(error) = &sent {
            debug!(gateway = %down.gateway(), channel = channel.as_str(), "not sent: {error}");
        }
        sent
    }
}

/// What is remembered of a gateway while the bridge runs; nothing that matters after a restart.
pub(crate) struct Known {
    pub(crate) heard: Instant,
    pub(crate) online: bool,
    /// The last answer to a gap: it is given once, not for each of the batches that were on the way.
    pub(crate) gap_answered: Option<(u64, Instant)>,
}

pub(crate) struct Bridge {
    pub(crate) line: Line,
    pub(crate) chunks: ChunkSender,
    pub(crate) policy: PolicyDesk,
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) gateways: BTreeMap<GatewayId, Known>,
    silent_after: Duration,
    database_ok: bool,
    pub(crate) desk: Option<DeskTask>,
}

impl Bridge {
    async fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Connected { session_present } => info!(session_present, "the bridge is on the bus"),
            Incoming::Lost { why } => warn!("the bridge lost the bus: {why}"),
            // Nothing that gateways say is stored at a broker; a stored copy is somebody's leftover.
            Incoming::Message(Message { retained: true, topic, .. }) => {
                warn!(gateway = %topic.gateway, channel = topic.channel.as_str(), "a stored message is ignored");
            }
            Incoming::Message(message) => self.hear(&message).await,
        }
    }

    async fn look(&mut self) {
        let checked = self.policy.look().await;
        self.note(checked, "looking for a new policy");
        let sent = commands::send_waiting(&self.database, &self.line, self.clock.now()).await;
        self.note(sent, "sending commands");
        self.notice_silence().await;
    }

    async fn notice_silence(&mut self) {
        let silent_after = self.silent_after;
        let silent = |known: &Known| known.online && known.heard.elapsed() > silent_after;
        let gone: Vec<GatewayId> =
            self.gateways.iter().filter(|(_, known)| silent(known)).map(|(id, _)| id.clone()).collect();
        for gateway in gone {
            warn!(gateway = %gateway, "the gateway is silent");
            self.gone(&gateway).await;
        }
    }

    pub(crate) async fn gone(&mut self, gateway: &GatewayId) {
        let noted = clinic::devices::gone(&self.database, gateway).await;
        let noted = self.note(noted, "noting that a gateway is away").is_some();
        if let Some(known) = self.gateways.get_mut(gateway).filter(|_| noted) {
            known.online = false;
        }
    }

    /// Remembers that a gateway was heard; `None` if there are too many to remember it.
    pub(crate) fn heard(&mut self, gateway: &GatewayId) -> Option<&mut Known> {
        if self.gateways.len() >= GATEWAYS_MAX && !self.gateways.contains_key(gateway) {
            return None;
        }
        let fresh = || Known { heard: Instant::now(), online: true, gap_answered: None };
        let known = self.gateways.entry(gateway.clone()).or_insert_with(fresh);
        known.heard = Instant::now();
        known.online = true;
        Some(known)
    }

    fn offer_to_all(&self, offered: &Offered) {
        info!(policy.version = offered.version, policy.bytes = offered.bytes.len(), "a new policy is offered");
        for gateway in self.gateways.keys() {
            let _ = self.line.send(&Down::Policy(offered.offer(gateway, self.clock.now())));
        }
    }

    /// Says once that the database has failed, and once that it is back.
    pub(crate) fn note<T>(&mut self, outcome: Result<T, clinic::Error>, doing: &'static str) -> Option<T> {
        match outcome {
            Ok(value) => {
                if !self.database_ok {
                    info!("the database is back");
                }
                self.database_ok = true;
                Some(value)
            }
            Err(error) => {
                if self.database_ok {
                    warn!("{doing}: {error}; gateways keep what they recorded and send it again");
                }
                self.database_ok = false;
                None
            }
        }
    }
}
