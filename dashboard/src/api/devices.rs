//! Equipment as it reports itself: gateways, readers, network peers, doors.

use axum::response::Response;
use clinic::watch;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::codes;
use super::describe::{Operation, Shape};
use super::problem::Problem;

/// All equipment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// Gateways.
    gateways: Vec<Gateway>,
    /// Serial lines and network peers.
    lines: Vec<Line>,
    /// Readers.
    readers: Vec<Reader>,
}

/// A gateway.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Which.
    gateway: String,
    /// Whether it is connected.
    online: bool,
    /// When it was heard last.
    #[schema(format = DateTime)]
    seen: String,
    /// Its program version.
    #[serde(skip_serializing_if = "Option::is_none")]
    software: Option<String>,
    /// Version of the policy in force there.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<u64>,
    /// Age of that policy, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_age_ms: Option<u64>,
}

/// A serial line, or the connection to a controller or system in the network.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its gateway.
    gateway: String,
    /// Which.
    line: String,
    /// Whether it is open.
    open: bool,
    /// What is at its other end; nothing for a serial line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = codes::peer_kind)]
    peer: Option<&'static str>,
    /// Events that the peer holds and has not delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_held: Option<u64>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// When it was reported last.
    #[schema(format = DateTime)]
    seen: String,
}

/// A reader.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// Its gateway.
    gateway: String,
    /// Which.
    reader: String,
    /// Its line.
    line: String,
    /// The point that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<String>,
    /// Its direction there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = codes::direction)]
    direction: Option<&'static str>,
    /// Whether it answers.
    #[schema(schema_with = codes::reader_state)]
    state: &'static str,
    /// Whether its Secure Channel is up.
    secure: bool,
    /// Whether its case is reported open.
    tamper: bool,
    /// Alarms since the gateway's start.
    alarms: u64,
    /// When it was reported last.
    #[schema(format = DateTime)]
    seen: String,
}

/// Access points.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// By gateway and name.
    points: Vec<Point>,
}

/// An access point, as its gateway reports it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Which.
    point: String,
    /// Its gateway.
    gateway: String,
    /// What it is doing.
    #[schema(schema_with = codes::door_state)]
    state: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// When it was reported last.
    #[schema(format = DateTime)]
    seen: String,
}

pub const DEVICES: Operation =
    Operation::reads("devices", "devices", "Gateways, lines and readers, and how they do", Shape::of::<Devices>());

pub const POINTS: Operation =
    Operation::reads("points", "devices", "Doors and turnstiles, and what they do", Shape::of::<Points>());

/// `GET /api/v1/devices`
pub async fn show(call: Call) -> Result<Response, Problem> {
    let found = watch::equipment(&call.app.database, call.acting()?).await?;
    let gateways = found.gateways.into_iter().map(|gateway| Gateway {
        gateway: gateway.id.to_string(),
        online: gateway.online,
        seen: gateway.seen.to_rfc3339(),
        software: gateway.software,
        policy_version: gateway.policy_version,
        policy_age_ms: gateway.policy_age_ms,
    });
    let lines = found.lines.into_iter().map(|line| Line {
        gateway: line.gateway.to_string(),
        line: line.device.id.to_string(),
        open: line.device.open,
        events_held: line.device.peer.as_ref().map(|peer| peer.events_held),
        peer: line.device.peer.map(|peer| peer.kind.as_str()),
        problem: line.device.problem,
        seen: line.seen.to_rfc3339(),
    });
    let readers = found.readers.into_iter().map(|reader| Reader {
        gateway: reader.gateway.to_string(),
        reader: reader.device.id.to_string(),
        line: reader.device.line.to_string(),
        point: reader.device.point.map(|point| point.to_string()),
        direction: reader.device.direction.map(|direction| direction.as_str()),
        state: reader.device.state.as_str(),
        secure: reader.device.secure,
        tamper: reader.device.tamper,
        alarms: reader.device.alarms,
        seen: reader.seen.to_rfc3339(),
    });
    ok(&Devices { gateways: gateways.collect(), lines: lines.collect(), readers: readers.collect() })
}

/// `GET /api/v1/points`
pub async fn points(call: Call) -> Result<Response, Problem> {
    let points = watch::equipment(&call.app.database, call.acting()?).await?.doors.into_iter().map(|door| Point {
        point: door.device.point.to_string(),
        gateway: door.gateway.to_string(),
        state: door.device.state.as_str(),
        since: door.device.since.to_rfc3339(),
        seen: door.seen.to_rfc3339(),
    });
    ok(&Points { points: points.collect() })
}
