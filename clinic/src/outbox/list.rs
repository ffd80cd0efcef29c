//! Destinations and deliveries as people see them.

use domain::{Permission, UtcMillis};
use store::{Database, Error, read, sqlx};

use super::{DeliveryState, DestinationState, Fault, OutboxError};
use crate::acting::Acting;
use crate::changes::ChangeKind;
use crate::rows::code;

/// Most lines of one answer.
pub const LIST_MAX: u32 = 1000;
/// Deliveries that are counted before it says "at least".
const COUNT_MAX: i64 = 1_000_000;
/// The rate is that of so much time, in milliseconds: a minute.
const RATE_OF_MS: i64 = 60_000;

/// A destination and how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationLine {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: String,
    /// What it wants to be told.
    pub wants: Vec<ChangeKind>,
    /// Whether it is told anything.
    pub state: DestinationState,
    /// Since when it fails as a whole.
    pub failing: Option<UtcMillis>,
    /// How often in a row.
    pub failures: u32,
    /// When it is tried next, while it fails.
    pub retry: Option<UtcMillis>,
    /// What it failed with last.
    pub fault: Option<Fault>,
    /// When it last took something.
    pub done: Option<UtcMillis>,
    /// How many deliveries it has taken in all.
    pub delivered: u64,
    /// How many in the last minute.
    pub last_minute: u64,
    /// How many wait.
    pub waiting: u64,
    /// Since when the oldest waits.
    pub oldest: Option<UtcMillis>,
    /// How many are dead letters.
    pub dead: u64,
    /// Changes that it has not been given yet.
    pub behind: u64,
    /// When a program last started with it in its configuration.
    pub configured: UtcMillis,
}

/// Which deliveries are asked for; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this destination.
    pub destination: String,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of this kind of change.
    pub kind: Option<ChangeKind>,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryLine {
    /// To whom.
    pub destination: String,
    /// The number of the change.
    pub change: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// When it happened; `None` when the change is not kept any more.
    pub happened: Option<UtcMillis>,
    /// How far it has got.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub due: UtcMillis,
    /// What went wrong last.
    pub fault: Option<Fault>,
    /// When it became a delivery.
    pub queued: UtcMillis,
    /// When it ended.
    pub ended: Option<UtcMillis>,
}

#[derive(sqlx::FromRow)]
struct DestinationRow {
    name: String,
    kind: String,
    wants: String,
    state: String,
    last_change: i64,
    failures: i64,
    failing_ms: Option<i64>,
    retry_ms: Option<i64>,
    fault: Option<String>,
    done_ms: Option<i64>,
    delivered: i64,
    configured_ms: i64,
    newest: i64,
    waiting: i64,
    oldest: Option<i64>,
    dead: i64,
    last_minute: i64,
}

/// All destinations, by name.
///
/// # Errors
/// [`OutboxError::Denied`] without [`Permission::ExchangeSee`]; engine errors.
pub async fn destinations(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
) -> Result<Vec<DestinationLine>, OutboxError> {
    acting.must(Permission::ExchangeSee)?;
    let since = now.plus_ms(-RATE_OF_MS);
    let rows: Vec<DestinationRow> = read!(database, "outbox.destinations", |conn| {
        Ok(sqlx::query_as(
            "SELECT name, kind, wants, state, last_change, failures, failing_ms, retry_ms, fault, done_ms, delivered,
                 configured_ms, (SELECT value FROM counter WHERE name = 'change') AS newest,
                 (SELECT COUNT(*) FROM delivery WHERE destination = name AND state = 'waiting') AS waiting,
                 (SELECT queued_ms FROM delivery WHERE destination = name AND state = 'waiting'
                  ORDER BY change LIMIT 1) AS oldest,
                 (SELECT COUNT(*) FROM delivery WHERE destination = name AND state = 'dead') AS dead,
                 (SELECT COUNT(*) FROM delivery WHERE destination = name AND ended_ms >= $1 AND state = 'done')
                  AS last_minute
             FROM destination ORDER BY name LIMIT $2",
        )
        .bind(since.0)
        .bind(i64::from(LIST_MAX))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(destination).collect::<Result<_, _>>()?)
}

fn destination(row: DestinationRow) -> Result<DestinationLine, Error> {
    Ok(DestinationLine {
        state: code("destination", "state", &row.state, DestinationState::parse)?,
        // Kinds that a later version wrote are left out.
        wants: row.wants.split(',').filter_map(ChangeKind::parse).collect(),
        name: row.name,
        kind: row.kind,
        failing: row.failing_ms.map(UtcMillis),
        failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
        retry: row.retry_ms.map(UtcMillis),
        fault: row.fault.as_deref().and_then(Fault::read),
        done: row.done_ms.map(UtcMillis),
        delivered: row.delivered.cast_unsigned(),
        last_minute: row.last_minute.cast_unsigned(),
        waiting: row.waiting.min(COUNT_MAX).cast_unsigned(),
        oldest: row.oldest.map(UtcMillis),
        dead: row.dead.cast_unsigned(),
        behind: (row.newest - row.last_change).max(0).cast_unsigned(),
        configured: UtcMillis(row.configured_ms),
    })
}

type LineRow = (String, i64, String, Option<i64>, String, i64, i64, Option<String>, i64, Option<i64>);

/// Deliveries, the newest change first; `before` goes on where an earlier answer ended (the number of its last change).
///
/// # Errors
/// [`OutboxError::Denied`] without [`Permission::ExchangeSee`]; engine errors.
pub async fn deliveries(
    database: &Database,
    acting: &Acting,
    filter: &Filter,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<DeliveryLine>, OutboxError> {
    acting.must(Permission::ExchangeSee)?;
    let (destination, state) = (filter.destination.clone(), filter.state.map_or("", DeliveryState::as_str));
    let kind = filter.kind.map_or("", ChangeKind::as_str);
    let before = before.map_or(i64::MAX, u64::cast_signed);
    let rows: Vec<LineRow> = read!(database, "outbox.deliveries", |conn| {
        Ok(sqlx::query_as(
            "SELECT destination, delivery.change, delivery.kind, change.happened_ms, state, attempts, due_ms, fault,
                 queued_ms, ended_ms
             FROM delivery LEFT JOIN change ON change.id = delivery.change
             WHERE ($1 = '' OR destination = $1) AND ($2 = '' OR state = $2) AND ($3 = '' OR delivery.kind = $3)
                 AND delivery.change < $4
             ORDER BY delivery.change DESC, destination LIMIT $5",
        )
        .bind(&destination)
        .bind(state)
        .bind(kind)
        .bind(before)
        .bind(i64::from(limit.clamp(1, LIST_MAX)))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(line).collect::<Result<_, _>>()?)
}

fn line(row: LineRow) -> Result<DeliveryLine, Error> {
    let (destination, change, kind, happened, state, attempts, due, fault, queued, ended) = row;
    Ok(DeliveryLine {
        destination,
        change: change.cast_unsigned(),
        kind: code("delivery", "kind", &kind, ChangeKind::parse)?,
        happened: happened.map(UtcMillis),
        state: code("delivery", "state", &state, DeliveryState::parse)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        due: UtcMillis(due),
        fault: fault.as_deref().and_then(Fault::read),
        queued: UtcMillis(queued),
        ended: ended.map(UtcMillis),
    })
}

/// How long a destination is still to be left alone: until then, while it is held back; `None` when it may be told.
///
/// # Errors
/// Engine errors.
pub async fn rest_of(database: &Database, name: &str, now: UtcMillis) -> Result<Option<UtcMillis>, Error> {
    let name = name.to_owned();
    let until: Option<Option<i64>> = read!(database, "outbox.rest", |conn| {
        Ok(sqlx::query_scalar("SELECT retry_ms FROM destination WHERE name = $1")
            .bind(&name)
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    Ok(until.flatten().map(UtcMillis).filter(|until| *until > now))
}
