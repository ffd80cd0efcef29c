//! How a gateway, its lines, readers and doors are doing. Sent every few seconds and on each change; the bridge keeps
//! the last one. A large gateway sends several parts, each complete for the items that it names.

pub use domain::equipment::{
    Door as DoorStatus, DoorState, Line as LineStatus, Peer as PeerStatus, PeerKind, Reader as ReaderStatus,
    ReaderState,
};
use domain::{Direction, Epoch, GatewayId, UtcMillis};
use serde_json::{Value, json};

use super::{BusError, STATUS_MAX_ITEMS};
use crate::json::{Fields, opt};

/// Lines, readers and doors each in one part that we send: with every text at its longest it stays below the longest
/// message.
const PART_ITEMS: usize = STATUS_MAX_ITEMS / 2;

/// One part of a gateway's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Whose.
    pub gateway: GatewayId,
    /// When it was taken, wall time of the gateway.
    pub at: UtcMillis,
    /// When the gateway's program started.
    pub started: UtcMillis,
    /// Program version, for example `0.1.0`.
    pub software: String,
    /// The life of its journal.
    pub epoch: Epoch,
    /// The journal's last entry, 0 if it has none.
    pub last_seq: u64,
    /// What the gateway believes that the bridge has.
    pub acked_seq: u64,
    /// Version of the policy in force.
    pub policy_version: Option<u64>,
    /// Age of that policy since it was last confirmed as current, in milliseconds.
    pub policy_age_ms: Option<u64>,
    /// Serial lines and network peers.
    pub lines: Vec<LineStatus>,
    /// Readers.
    pub readers: Vec<ReaderStatus>,
    /// Access points.
    pub doors: Vec<DoorStatus>,
}

impl Status {
    /// Parts that fit the limits of a message, of [`PART_ITEMS`] each. A status without items gives one part.
    pub fn split(&self) -> Vec<Self> {
        let longest = self.lines.len().max(self.readers.len()).max(self.doors.len());
        let part = |index: usize| Self {
            lines: slice(&self.lines, index),
            readers: slice(&self.readers, index),
            doors: slice(&self.doors, index),
            ..self.clone_head()
        };
        (0..longest.div_ceil(PART_ITEMS).max(1)).map(part).collect()
    }

    fn clone_head(&self) -> Self {
        Self {
            gateway: self.gateway.clone(),
            software: self.software.clone(),
            lines: Vec::new(),
            readers: Vec::new(),
            doors: Vec::new(),
            ..*self
        }
    }

    pub(super) fn to_json(&self) -> Result<Value, BusError> {
        for (field, count) in
            [("lines", self.lines.len()), ("readers", self.readers.len()), ("doors", self.doors.len())]
        {
            if count > STATUS_MAX_ITEMS {
                return Err(BusError::TooMany { field: field.into(), count, limit: STATUS_MAX_ITEMS });
            }
        }
        Ok(json!({
            "v": 1, "type": "status", "gateway": self.gateway.as_str(), "at": self.at.0, "started": self.started.0,
            "software": self.software, "epoch": self.epoch.to_string(), "last_seq": self.last_seq,
            "acked_seq": self.acked_seq, "policy_version": self.policy_version, "policy_age_ms": self.policy_age_ms,
            "lines": self.lines.iter().map(LineStatus::to_json).collect::<Vec<_>>(),
            "readers": self.readers.iter().map(ReaderStatus::to_json).collect::<Vec<_>>(),
            "doors": self.doors.iter().map(DoorStatus::to_json).collect::<Vec<_>>(),
        }))
    }

    pub(super) fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        Ok(Self {
            gateway: fields.parse("gateway")?,
            at: fields.instant("at")?,
            started: fields.instant("started")?,
            software: fields.opt_text("software")?.unwrap_or_default(),
            epoch: fields.parse("epoch")?,
            last_seq: fields.u64("last_seq")?,
            acked_seq: fields.u64("acked_seq")?,
            policy_version: fields.opt_u64("policy_version")?,
            policy_age_ms: fields.opt_u64("policy_age_ms")?,
            lines: items(fields, "lines", LineStatus::from_json)?,
            readers: items(fields, "readers", ReaderStatus::from_json)?,
            doors: items(fields, "doors", DoorStatus::from_json)?,
        })
    }
}

/// What stands in a status as a JSON object.
trait Item: Sized {
    fn to_json(&self) -> Value;
    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError>;
}

fn slice<T: Clone>(items: &[T], index: usize) -> Vec<T> {
    items.chunks(PART_ITEMS).nth(index).unwrap_or_default().to_vec()
}

fn items<T>(
    fields: &Fields<'_>,
    key: &str,
    read: impl Fn(&Fields<'_>) -> Result<T, BusError>,
) -> Result<Vec<T>, BusError> {
    fields.list(key, STATUS_MAX_ITEMS)?.iter().map(read).collect()
}

impl Item for LineStatus {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id.as_str(), "port": self.port, "open": self.open, "polls_per_1000_s": self.polls_per_1000_s,
            "problem": self.problem, "peer": self.peer.as_ref().map(PeerStatus::to_json),
        })
    }

    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        Ok(Self {
            id: fields.parse("id")?,
            port: fields.text("port")?.to_owned(),
            open: fields.flag("open")?,
            polls_per_1000_s: fields.u64("polls_per_1000_s")?,
            problem: fields.opt_text("problem")?,
            peer: fields.opt_object("peer")?.map(|peer| PeerStatus::from_json(&peer)).transpose()?,
        })
    }
}

impl Item for PeerStatus {
    fn to_json(&self) -> Value {
        json!({
            "kind": self.kind.as_str(), "address": self.address, "node": self.node, "secure": self.secure,
            "connected_since": self.connected_since.map(|at| at.0), "events_held": self.events_held,
            "commands_waiting": self.commands_waiting, "passes_told": self.passes_told,
            "passes_wanted": self.passes_wanted, "quarantined": self.quarantined, "skew_ms": self.skew_ms,
            "software": self.software,
        })
    }

    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        let count = |key| Ok::<_, BusError>(fields.opt_u64(key)?.unwrap_or_default());
        Ok(Self {
            kind: fields.code("kind", PeerKind::parse)?,
            address: fields.text("address")?.to_owned(),
            node: fields.opt_text("node")?,
            secure: fields.flag("secure")?,
            connected_since: fields.opt_instant("connected_since")?,
            events_held: count("events_held")?,
            commands_waiting: count("commands_waiting")?,
            passes_told: count("passes_told")?,
            passes_wanted: count("passes_wanted")?,
            quarantined: count("quarantined")?,
            skew_ms: fields.opt_i64("skew_ms")?,
            software: fields.opt_text("software")?,
        })
    }
}

impl Item for ReaderStatus {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id.as_str(), "line": self.line.as_str(), "point": opt(self.point.as_ref()),
            "direction": opt(self.direction), "address": self.address, "at": self.at, "state": self.state.as_str(),
            "secure": self.secure, "insecure_accepted": self.insecure_accepted, "poll_period_us": self.poll_period_us,
            "reply_us": self.reply_us, "polls": self.polls, "retries": self.retries, "timeouts": self.timeouts,
            "crc_errors": self.crc_errors, "alarms": self.alarms, "silent_ms": self.silent_ms, "model": self.model,
            "serial": self.serial, "firmware": self.firmware, "tamper": self.tamper,
        })
    }

    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        Ok(Self {
            id: fields.parse("id")?,
            line: fields.parse("line")?,
            point: fields.opt_parse("point")?,
            direction: fields.opt_code("direction", Direction::parse)?,
            address: fields.number("address")?,
            at: fields.opt_text("at")?,
            state: fields.code("state", ReaderState::parse)?,
            secure: fields.flag("secure")?,
            insecure_accepted: fields.opt_text("insecure_accepted")?,
            poll_period_us: fields.u64("poll_period_us")?,
            reply_us: fields.u64("reply_us")?,
            polls: fields.u64("polls")?,
            retries: fields.u64("retries")?,
            timeouts: fields.u64("timeouts")?,
            crc_errors: fields.u64("crc_errors")?,
            alarms: fields.u64("alarms")?,
            silent_ms: fields.u64("silent_ms")?,
            model: fields.opt_text("model")?,
            serial: fields.opt_text("serial")?,
            firmware: fields.opt_text("firmware")?,
            tamper: fields.flag("tamper")?,
        })
    }
}

impl Item for DoorStatus {
    fn to_json(&self) -> Value {
        json!({"point": self.point.as_str(), "state": self.state.as_str(), "since": self.since.0})
    }

    fn from_json(fields: &Fields<'_>) -> Result<Self, BusError> {
        Ok(Self {
            point: fields.parse("point")?,
            state: fields.code("state", DoorState::parse)?,
            since: fields.instant("since")?,
        })
    }
}
