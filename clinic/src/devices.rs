//! The last known state of gateways, lines, readers and doors. Owns nothing of their history (that is in `events`)
//! and decides nothing. What a gateway does not mention in a report stays as it was: reports come in parts.

pub use domain::equipment::{Door, DoorState, Line, Peer, PeerKind, Reader, ReaderState};
use domain::{Direction, Epoch, GatewayId, LineId, PointId, ReaderId, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read, transact};

use crate::rows::{code, column, number, optional};

/// Rows of one statement, by the widest table (23 columns).
const ROWS_MAX: usize = 500;
/// Longest text kept of what a device says about itself, in characters.
const TEXT_MAX_CHARS: usize = 200;

/// What a gateway reports, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose. Its `online` and `seen` are set by [`report`].
    pub gateway: Gateway,
    /// Serial lines and network peers.
    pub lines: Vec<Line>,
    /// Readers.
    pub readers: Vec<Reader>,
    /// Access points.
    pub doors: Vec<Door>,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Which.
    pub id: GatewayId,
    /// Whether it is connected, as far as the bridge knows.
    pub online: bool,
    /// When it was heard last, by our clock.
    pub seen: UtcMillis,
    /// When it made its last report, by its clock.
    pub at: Option<UtcMillis>,
    /// When its program started.
    pub started: Option<UtcMillis>,
    /// Its program version.
    pub software: Option<String>,
    /// The life of its journal.
    pub epoch: Option<Epoch>,
    /// The journal's last entry.
    pub last_seq: Option<u64>,
    /// What it believes that we have.
    pub acked_seq: Option<u64>,
    /// Version of the policy in force there.
    pub policy_version: Option<u64>,
    /// Age of that policy since it was last confirmed, in milliseconds.
    pub policy_age_ms: Option<u64>,
}

impl Gateway {
    /// A gateway of which nothing but its name is known; fill in the rest by struct update.
    pub const fn new(id: GatewayId) -> Self {
        Self {
            id,
            online: true,
            seen: UtcMillis(0),
            at: None,
            started: None,
            software: None,
            epoch: None,
            last_seq: None,
            acked_seq: None,
            policy_version: None,
            policy_age_ms: None,
        }
    }
}

/// Something of a gateway, with when it was reported last (our clock).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<T> {
    /// Whose report.
    pub gateway: GatewayId,
    /// When.
    pub seen: UtcMillis,
    /// What.
    pub device: T,
}

/// Takes in a report that arrived at `now`; the gateway counts as online from then.
///
/// # Errors
/// Engine errors.
pub async fn report(database: &Database, report: Report, now: UtcMillis) -> Result<(), Error> {
    transact!(database, "devices.report", |conn| {
        let gateway = &report.gateway;
        let id = gateway.id.as_str();
        sqlx::query(
            "INSERT INTO device_gateway (id, online, seen_ms, at_ms, started_ms, software, epoch, last_seq, acked_seq,
                 policy_version, policy_age_ms)
             VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (id) DO UPDATE SET online = 1, seen_ms = excluded.seen_ms, at_ms = excluded.at_ms,
                 started_ms = excluded.started_ms, software = excluded.software, epoch = excluded.epoch,
                 last_seq = excluded.last_seq, acked_seq = excluded.acked_seq,
                 policy_version = excluded.policy_version, policy_age_ms = excluded.policy_age_ms",
        )
        .bind(id)
        .bind(now.0)
        .bind(gateway.at.map(|it| it.0))
        .bind(gateway.started.map(|it| it.0))
        .bind(gateway.software.as_deref().map(short))
        .bind(gateway.epoch.map(|it| it.to_string()))
        .bind(gateway.last_seq.map(signed))
        .bind(gateway.acked_seq.map(signed))
        .bind(gateway.policy_version.map(signed))
        .bind(gateway.policy_age_ms.map(signed))
        .execute(&mut *conn)
        .await?;
        for lines in report.lines.chunks(ROWS_MAX) {
            let mut upsert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO device_line (gateway, id, seen_ms, port, open, polls_per_1000_s, problem, peer_kind,
                     peer_address, peer_node, peer_secure, peer_connected_since_ms, peer_events_held,
                     peer_commands_waiting, peer_passes_told, peer_passes_wanted, peer_quarantined, peer_skew_ms,
                     peer_software) ",
            );
            upsert.push_values(lines, |mut row, line| {
                let peer = line.peer.as_ref();
                row.push_bind(id.to_owned())
                    .push_bind(line.id.as_str().to_owned())
                    .push_bind(now.0)
                    .push_bind(short(&line.port))
                    .push_bind(i64::from(line.open))
                    .push_bind(signed(line.polls_per_1000_s))
                    .push_bind(line.problem.as_deref().map(short))
                    .push_bind(peer.map(|it| it.kind.as_str()))
                    .push_bind(peer.map(|it| short(&it.address)))
                    .push_bind(peer.and_then(|it| it.node.as_deref()).map(short))
                    .push_bind(peer.map(|it| i64::from(it.secure)))
                    .push_bind(peer.and_then(|it| it.connected_since).map(|it| it.0))
                    .push_bind(peer.map(|it| signed(it.events_held)))
                    .push_bind(peer.map(|it| signed(it.commands_waiting)))
                    .push_bind(peer.map(|it| signed(it.passes_told)))
                    .push_bind(peer.map(|it| signed(it.passes_wanted)))
                    .push_bind(peer.map(|it| signed(it.quarantined)))
                    .push_bind(peer.and_then(|it| it.skew_ms))
                    .push_bind(peer.and_then(|it| it.software.as_deref()).map(short));
            });
            upsert.push(
                " ON CONFLICT (gateway, id) DO UPDATE SET seen_ms = excluded.seen_ms, port = excluded.port,
                  open = excluded.open, polls_per_1000_s = excluded.polls_per_1000_s, problem = excluded.problem,
                  peer_kind = excluded.peer_kind, peer_address = excluded.peer_address,
                  peer_node = excluded.peer_node, peer_secure = excluded.peer_secure,
                  peer_connected_since_ms = excluded.peer_connected_since_ms,
                  peer_events_held = excluded.peer_events_held,
                  peer_commands_waiting = excluded.peer_commands_waiting,
                  peer_passes_told = excluded.peer_passes_told, peer_passes_wanted = excluded.peer_passes_wanted,
                  peer_quarantined = excluded.peer_quarantined, peer_skew_ms = excluded.peer_skew_ms,
                  peer_software = excluded.peer_software",
            );
            upsert.build().persistent(false).execute(&mut *conn).await?;
        }
        for readers in report.readers.chunks(ROWS_MAX) {
            let mut upsert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO device_reader (gateway, id, seen_ms, line, point, direction, address, at, state, secure,
                     insecure_accepted, poll_period_us, reply_us, polls, retries, timeouts, crc_errors, alarms,
                     silent_ms, model, serial, firmware, tamper) ",
            );
            upsert.push_values(readers, |mut row, reader| {
                row.push_bind(id.to_owned())
                    .push_bind(reader.id.as_str().to_owned())
                    .push_bind(now.0)
                    .push_bind(reader.line.as_str().to_owned())
                    .push_bind(reader.point.as_ref().map(|it| it.as_str().to_owned()))
                    .push_bind(reader.direction.map(Direction::as_str))
                    .push_bind(i64::from(reader.address))
                    .push_bind(reader.at.as_deref().map(short))
                    .push_bind(reader.state.as_str())
                    .push_bind(i64::from(reader.secure))
                    .push_bind(reader.insecure_accepted.as_deref().map(short))
                    .push_bind(signed(reader.poll_period_us))
                    .push_bind(signed(reader.reply_us))
                    .push_bind(signed(reader.polls))
                    .push_bind(signed(reader.retries))
                    .push_bind(signed(reader.timeouts))
                    .push_bind(signed(reader.crc_errors))
                    .push_bind(signed(reader.alarms))
                    .push_bind(signed(reader.silent_ms))
                    .push_bind(reader.model.as_deref().map(short))
                    .push_bind(reader.serial.as_deref().map(short))
                    .push_bind(reader.firmware.as_deref().map(short))
                    .push_bind(i64::from(reader.tamper));
            });
            upsert.push(
                " ON CONFLICT (gateway, id) DO UPDATE SET seen_ms = excluded.seen_ms, line = excluded.line,
                  point = excluded.point, direction = excluded.direction, address = excluded.address,
                  at = excluded.at,
                  state = excluded.state, secure = excluded.secure, insecure_accepted = excluded.insecure_accepted,
                  poll_period_us = excluded.poll_period_us, reply_us = excluded.reply_us, polls = excluded.polls,
                  retries = excluded.retries, timeouts = excluded.timeouts, crc_errors = excluded.crc_errors,
                  alarms = excluded.alarms, silent_ms = excluded.silent_ms, model = excluded.model,
                  serial = excluded.serial, firmware = excluded.firmware, tamper = excluded.tamper",
            );
            upsert.build().persistent(false).execute(&mut *conn).await?;
        }
        for doors in report.doors.chunks(ROWS_MAX) {
            let mut upsert =
                sqlx::QueryBuilder::<Db>::new("INSERT INTO device_door (gateway, point, seen_ms, state, since_ms) ");
            upsert.push_values(doors, |mut row, door| {
                row.push_bind(id.to_owned())
                    .push_bind(door.point.as_str().to_owned())
                    .push_bind(now.0)
                    .push_bind(door.state.as_str())
                    .push_bind(door.since.0);
            });
            upsert.push(
                " ON CONFLICT (gateway, point) DO UPDATE SET seen_ms = excluded.seen_ms, state = excluded.state,
                  since_ms = excluded.since_ms",
            );
            upsert.build().persistent(false).execute(&mut *conn).await?;
        }
        Ok(())
    })
}

/// Notes that a gateway is gone (its last will came, or it has been silent for too long).
///
/// # Errors
/// Engine errors.
pub async fn gone(database: &Database, gateway: &GatewayId) -> Result<(), Error> {
    let id = gateway.to_string();
    transact!(database, "devices.gone", |conn| {
        sqlx::query("UPDATE device_gateway SET online = 0 WHERE id = $1").bind(&id).execute(&mut *conn).await?;
        Ok(())
    })
}

/// Forgets equipment of a gateway that has not been reported since `before`: it was taken out of its settings.
/// Returns how many items.
///
/// # Errors
/// Engine errors.
pub async fn forget(database: &Database, gateway: &GatewayId, before: UtcMillis) -> Result<u64, Error> {
    let id = gateway.to_string();
    transact!(database, "devices.forget", |conn| {
        let lines = sqlx::query("DELETE FROM device_line WHERE gateway = $1 AND seen_ms < $2")
            .bind(&id)
            .bind(before.0)
            .execute(&mut *conn)
            .await?;
        let readers = sqlx::query("DELETE FROM device_reader WHERE gateway = $1 AND seen_ms < $2")
            .bind(&id)
            .bind(before.0)
            .execute(&mut *conn)
            .await?;
        let doors = sqlx::query("DELETE FROM device_door WHERE gateway = $1 AND seen_ms < $2")
            .bind(&id)
            .bind(before.0)
            .execute(&mut *conn)
            .await?;
        Ok(lines.rows_affected() + readers.rows_affected() + doors.rows_affected())
    })
}

#[derive(FromRow)]
struct GatewayRow {
    id: String,
    online: i64,
    seen_ms: i64,
    at_ms: Option<i64>,
    started_ms: Option<i64>,
    software: Option<String>,
    epoch: Option<String>,
    last_seq: Option<i64>,
    acked_seq: Option<i64>,
    policy_version: Option<i64>,
    policy_age_ms: Option<i64>,
}

impl TryFrom<GatewayRow> for Gateway {
    type Error = Error;

    fn try_from(row: GatewayRow) -> Result<Self, Error> {
        Ok(Self {
            id: column("device_gateway", "id", &row.id, GatewayId::new)?,
            online: row.online != 0,
            seen: UtcMillis(row.seen_ms),
            at: row.at_ms.map(UtcMillis),
            started: row.started_ms.map(UtcMillis),
            software: row.software,
            epoch: optional("device_gateway", "epoch", row.epoch.as_deref(), |text: &str| text.parse())?,
            last_seq: row.last_seq.map(i64::cast_unsigned),
            acked_seq: row.acked_seq.map(i64::cast_unsigned),
            policy_version: row.policy_version.map(i64::cast_unsigned),
            policy_age_ms: row.policy_age_ms.map(i64::cast_unsigned),
        })
    }
}

/// All gateways, by name.
///
/// # Errors
/// Engine errors.
pub async fn gateways(database: &Database) -> Result<Vec<Gateway>, Error> {
    let rows: Vec<GatewayRow> = read!(database, "devices.gateways", |conn| {
        Ok(sqlx::query_as("SELECT * FROM device_gateway ORDER BY id").fetch_all(&mut *conn).await?)
    })?;
    rows.into_iter().map(Gateway::try_from).collect()
}

#[derive(FromRow)]
struct LineRow {
    gateway: String,
    id: String,
    seen_ms: i64,
    port: String,
    open: i64,
    polls_per_1000_s: i64,
    problem: Option<String>,
    peer_kind: Option<String>,
    peer_address: Option<String>,
    peer_node: Option<String>,
    peer_secure: Option<i64>,
    peer_connected_since_ms: Option<i64>,
    peer_events_held: Option<i64>,
    peer_commands_waiting: Option<i64>,
    peer_passes_told: Option<i64>,
    peer_passes_wanted: Option<i64>,
    peer_quarantined: Option<i64>,
    peer_skew_ms: Option<i64>,
    peer_software: Option<String>,
}

impl LineRow {
    fn peer(&self) -> Result<Option<Peer>, Error> {
        let Some(kind) = &self.peer_kind else { return Ok(None) };
        let kind = code("device_line", "peer_kind", kind, PeerKind::parse)?;
        let count = |value: Option<i64>| value.unwrap_or_default().cast_unsigned();
        Ok(Some(Peer {
            node: self.peer_node.clone(),
            secure: self.peer_secure.is_some_and(|secure| secure != 0),
            connected_since: self.peer_connected_since_ms.map(UtcMillis),
            events_held: count(self.peer_events_held),
            commands_waiting: count(self.peer_commands_waiting),
            passes_told: count(self.peer_passes_told),
            passes_wanted: count(self.peer_passes_wanted),
            quarantined: count(self.peer_quarantined),
            skew_ms: self.peer_skew_ms,
            software: self.peer_software.clone(),
            ..Peer::new(kind, self.peer_address.clone().unwrap_or_default())
        }))
    }
}

/// All lines, by gateway and name.
///
/// # Errors
/// Engine errors.
pub async fn lines(database: &Database) -> Result<Vec<Seen<Line>>, Error> {
    let rows: Vec<LineRow> = read!(database, "devices.lines", |conn| {
        Ok(sqlx::query_as("SELECT * FROM device_line ORDER BY gateway, id").fetch_all(&mut *conn).await?)
    })?;
    rows.into_iter()
        .map(|row| {
            let peer = row.peer()?;
            let device = Line {
                peer,
                id: column("device_line", "id", &row.id, LineId::new)?,
                port: row.port,
                open: row.open != 0,
                polls_per_1000_s: row.polls_per_1000_s.cast_unsigned(),
                problem: row.problem,
            };
            seen("device_line", &row.gateway, row.seen_ms, device)
        })
        .collect()
}

#[derive(FromRow)]
struct ReaderRow {
    gateway: String,
    id: String,
    seen_ms: i64,
    line: String,
    point: Option<String>,
    direction: Option<String>,
    address: i64,
    at: Option<String>,
    state: String,
    secure: i64,
    insecure_accepted: Option<String>,
    poll_period_us: i64,
    reply_us: i64,
    polls: i64,
    retries: i64,
    timeouts: i64,
    crc_errors: i64,
    alarms: i64,
    silent_ms: i64,
    model: Option<String>,
    serial: Option<String>,
    firmware: Option<String>,
    tamper: i64,
}

impl TryFrom<ReaderRow> for Reader {
    type Error = Error;

    fn try_from(row: ReaderRow) -> Result<Self, Error> {
        const T: &str = "device_reader";
        Ok(Self {
            id: column(T, "id", &row.id, ReaderId::new)?,
            line: column(T, "line", &row.line, LineId::new)?,
            point: optional(T, "point", row.point.as_deref(), PointId::new)?,
            direction: row.direction.map(|text| code(T, "direction", &text, Direction::parse)).transpose()?,
            address: number(T, "address", row.address)?,
            at: row.at,
            state: code(T, "state", &row.state, ReaderState::parse)?,
            secure: row.secure != 0,
            insecure_accepted: row.insecure_accepted,
            poll_period_us: row.poll_period_us.cast_unsigned(),
            reply_us: row.reply_us.cast_unsigned(),
            polls: row.polls.cast_unsigned(),
            retries: row.retries.cast_unsigned(),
            timeouts: row.timeouts.cast_unsigned(),
            crc_errors: row.crc_errors.cast_unsigned(),
            alarms: row.alarms.cast_unsigned(),
            silent_ms: row.silent_ms.cast_unsigned(),
            model: row.model,
            serial: row.serial,
            firmware: row.firmware,
            tamper: row.tamper != 0,
        })
    }
}

/// All readers, by gateway and name.
///
/// # Errors
/// Engine errors.
pub async fn readers(database: &Database) -> Result<Vec<Seen<Reader>>, Error> {
    let rows: Vec<ReaderRow> = read!(database, "devices.readers", |conn| {
        Ok(sqlx::query_as("SELECT * FROM device_reader ORDER BY gateway, id").fetch_all(&mut *conn).await?)
    })?;
    rows.into_iter()
        .map(|row| {
            let (gateway, at) = (row.gateway.clone(), row.seen_ms);
            seen("device_reader", &gateway, at, Reader::try_from(row)?)
        })
        .collect()
}

#[derive(FromRow)]
struct DoorRow {
    gateway: String,
    point: String,
    seen_ms: i64,
    state: String,
    since_ms: i64,
}

/// All doors, by gateway and name.
///
/// # Errors
/// Engine errors.
pub async fn doors(database: &Database) -> Result<Vec<Seen<Door>>, Error> {
    let rows: Vec<DoorRow> = read!(database, "devices.doors", |conn| {
        Ok(sqlx::query_as("SELECT * FROM device_door ORDER BY gateway, point").fetch_all(&mut *conn).await?)
    })?;
    rows.into_iter()
        .map(|row| {
            let device = Door {
                point: column("device_door", "point", &row.point, PointId::new)?,
                state: code("device_door", "state", &row.state, DoorState::parse)?,
                since: UtcMillis(row.since_ms),
            };
            seen("device_door", &row.gateway, row.seen_ms, device)
        })
        .collect()
}

fn seen<T>(table: &'static str, gateway: &str, at: i64, device: T) -> Result<Seen<T>, Error> {
    Ok(Seen { gateway: column(table, "gateway", gateway, GatewayId::new)?, seen: UtcMillis(at), device })
}

/// Counters beyond 2^63 do not occur; one that claims to is kept as the largest.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What a device says about itself may be anything: cut, and without characters that a terminal would obey or a
/// database refuse.
fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(TEXT_MAX_CHARS).collect()
}
