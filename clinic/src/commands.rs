//! Orders for doors: given on a page, sent by a bridge, answered by a gateway. Owns their way and its record; never
//! decides who may give which (that is `accounts`), nor carries anything out.
//!
//! An order that nobody sent before it expired is never sent: late is not live.

use domain::{GatewayId, PersonId, PointId, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read, transact};

use crate::rows::{column, optional};

/// How long an order may take to the door.
pub const LIFE_MS: i64 = 10_000;
/// Orders read at once.
const WAITING_MAX: i64 = 100;
/// Longest actor, reason or problem kept, in bytes.
const TEXT_MAX_BYTES: usize = 200;

/// What somebody wants done. The codes of actions are `wire::bus::Action`'s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// 128 random bits.
    pub id: [u8; 16],
    /// By whom it is to be done.
    pub gateway: GatewayId,
    /// For example `open`.
    pub action: String,
    /// Where.
    pub point: Option<PointId>,
    /// Whom it concerns.
    pub person: Option<PersonId>,
    /// The account that ordered it, by its id: names of people stay out of gateways and journals.
    pub actor: String,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// When.
    pub issued_at: UtcMillis,
    /// From when on it must not be done any more.
    pub expires_at: UtcMillis,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not sent yet.
    Waiting,
    /// Sent, not answered yet.
    Sent,
    /// Carried out.
    Done,
    /// Not carried out, and why.
    Refused(String),
    /// It came too late to be sent or answered.
    Expired,
}

/// Inside a transaction: writes an order down; the value says whether it is new.
macro_rules! put {
    ($conn:expr, $order:expr) => {{
        let order: &$crate::commands::Order = $order;
        let done = store::sqlx::query(
            "INSERT INTO command (id, gateway, action, point, person, actor, reason, issued_ms, expires_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
        )
        .bind($crate::commands::hex(&order.id))
        .bind(order.gateway.as_str())
        .bind(&order.action)
        .bind(order.point.as_ref().map(|point| point.as_str()))
        .bind(order.person.map(|person| person.to_string()))
        .bind($crate::commands::clip(&order.actor))
        .bind(order.reason.as_deref().map($crate::commands::clip))
        .bind(order.issued_at.0)
        .bind(order.expires_at.0)
        .execute(&mut *$conn)
        .await?;
        done.rows_affected() == 1
    }};
}
pub(crate) use put;

/// Gives an order for a program; people give theirs through [`crate::watch`]. Giving the same order again changes
/// nothing.
///
/// # Errors
/// Engine errors.
pub async fn give(database: &Database, order: &Order) -> Result<(), Error> {
    let order = order.clone();
    transact!(database, "commands.give", |conn| {
        let _ = put!(conn, &order);
        Ok(())
    })
}

/// Orders to be sent, oldest first.
///
/// # Errors
/// Engine errors, or a row that cannot be read.
pub async fn waiting(database: &Database, now: UtcMillis) -> Result<Vec<Order>, Error> {
    let rows: Vec<OrderRow> = read!(database, "commands.waiting", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, gateway, action, point, person, actor, reason, issued_ms, expires_ms FROM command
             WHERE sent_ms IS NULL AND ended_ms IS NULL AND expires_ms > $1 ORDER BY issued_ms, id LIMIT $2",
        )
        .bind(now.0)
        .bind(WAITING_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    rows.into_iter().map(Order::try_from).collect()
}

/// Notes that an order was sent.
///
/// # Errors
/// Engine errors.
pub async fn sent(database: &Database, id: [u8; 16], now: UtcMillis) -> Result<(), Error> {
    let id = hex(&id);
    transact!(database, "commands.sent", |conn| {
        sqlx::query("UPDATE command SET sent_ms = $1 WHERE id = $2 AND sent_ms IS NULL")
            .bind(now.0)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
}

/// Notes what became of an order: done, or not with a `problem`. The first answer counts: a second one speaks of a
/// repetition that the gateway refused.
///
/// # Errors
/// Engine errors.
pub async fn ended(
    database: &Database,
    gateway: &GatewayId,
    id: [u8; 16],
    problem: Option<&str>,
    now: UtcMillis,
) -> Result<(), Error> {
    let (id, gateway, problem) = (hex(&id), gateway.to_string(), problem.map(clip).map(str::to_owned));
    transact!(database, "commands.ended", |conn| {
        sqlx::query(
            "UPDATE command SET ended_ms = $1, problem = $2 WHERE id = $3 AND gateway = $4 AND ended_ms IS NULL",
        )
        .bind(now.0)
        .bind(&problem)
        .bind(&id)
        .bind(&gateway)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
}

/// What became of an order; `None` for one that was never given.
///
/// # Errors
/// Engine errors.
pub async fn progress(database: &Database, id: [u8; 16], now: UtcMillis) -> Result<Option<Progress>, Error> {
    let id = hex(&id);
    let row: Option<ProgressRow> = read!(database, "commands.progress", |conn| {
        Ok(sqlx::query_as("SELECT sent_ms, ended_ms, problem, expires_ms FROM command WHERE id = $1")
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    Ok(row.map(|row| row.progress(now)))
}

/// The last orders for a point, newest first, with what became of each.
///
/// # Errors
/// Engine errors, or a row that cannot be read.
pub async fn last_at(
    database: &Database,
    gateway: &GatewayId,
    point: &PointId,
    limit: i64,
    now: UtcMillis,
) -> Result<Vec<(Order, Progress)>, Error> {
    let (gateway, point) = (gateway.to_string(), point.to_string());
    let rows: Vec<PastRow> = read!(database, "commands.last_at", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, gateway, action, point, person, actor, reason, issued_ms, expires_ms, sent_ms, ended_ms, problem
             FROM command WHERE gateway = $1 AND point = $2 ORDER BY issued_ms DESC, id LIMIT $3",
        )
        .bind(&gateway)
        .bind(&point)
        .bind(limit)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    rows.into_iter().map(|PastRow { order, progress }| Ok((Order::try_from(order)?, progress.progress(now)))).collect()
}

#[derive(FromRow)]
struct PastRow {
    #[sqlx(flatten)]
    order: OrderRow,
    #[sqlx(flatten)]
    progress: ProgressRow,
}

#[derive(FromRow)]
struct ProgressRow {
    sent_ms: Option<i64>,
    ended_ms: Option<i64>,
    problem: Option<String>,
    expires_ms: i64,
}

impl ProgressRow {
    fn progress(self, now: UtcMillis) -> Progress {
        match (self.ended_ms, self.problem, self.sent_ms) {
            (Some(_), None, _) => Progress::Done,
            (Some(_), Some(problem), _) => Progress::Refused(problem),
            // The answer may take as long as the order.
            (None, _, _) if now.0 >= self.expires_ms.saturating_add(LIFE_MS) => Progress::Expired,
            (None, _, None) if now.0 >= self.expires_ms => Progress::Expired,
            (None, _, Some(_)) => Progress::Sent,
            (None, _, None) => Progress::Waiting,
        }
    }
}

#[derive(FromRow)]
struct OrderRow {
    id: String,
    gateway: String,
    action: String,
    point: Option<String>,
    person: Option<String>,
    actor: String,
    reason: Option<String>,
    issued_ms: i64,
    expires_ms: i64,
}

impl TryFrom<OrderRow> for Order {
    type Error = Error;

    fn try_from(row: OrderRow) -> Result<Self, Error> {
        Ok(Self {
            // A pseudonym has the same shape: 32 hexadecimal digits.
            id: column("command", "id", &row.id, str::parse::<PersonId>)?.0,
            gateway: column("command", "gateway", &row.gateway, GatewayId::new)?,
            action: row.action,
            point: optional("command", "point", row.point.as_deref(), PointId::new)?,
            person: optional("command", "person", row.person.as_deref(), str::parse)?,
            actor: row.actor,
            reason: row.reason,
            issued_at: UtcMillis(row.issued_ms),
            expires_at: UtcMillis(row.expires_ms),
        })
    }
}

pub(crate) fn hex(id: &[u8; 16]) -> String {
    PersonId(*id).to_string()
}

pub(crate) fn clip(text: &str) -> &str {
    let mut end = text.len().min(TEXT_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
