//! What people do with deliveries: repeat, give up, pause, resume. Each with its entry of the audit log.

use domain::{Permission, UtcMillis};
use store::{Database, sqlx, transact};

use super::OutboxError;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

/// Shortest reason for giving something up, in characters.
pub const REASON_MIN_CHARS: usize = 10;
/// Longest reason kept, in characters.
const REASON_MAX_CHARS: usize = 500;

fn entry(acting: &Acting, now: UtcMillis, name: &str, what: &str, change: Option<u64>) -> Draft {
    let detail = match change {
        Some(change) => format!("{what} {change}"),
        None => what.to_owned(),
    };
    let object = Some(name.to_owned());
    Draft { object, detail: Some(detail), ..acting.draft(now, Action::ExchangeChanged) }
}

/// Tells nothing more to a destination until it is resumed; what happens waits.
///
/// # Errors
/// [`OutboxError::Denied`] without [`Permission::ExchangeManage`]; [`OutboxError::Unknown`]; engine errors.
pub async fn pause(database: &Database, acting: &Acting, name: &str, now: UtcMillis) -> Result<(), OutboxError> {
    acting.must(Permission::ExchangeManage)?;
    let (name, entry) = (name.to_owned(), entry(acting, now, name, "paused", None));
    transact!(database, "outbox.pause", |conn| {
        let done = sqlx::query("UPDATE destination SET state = 'paused' WHERE name = $1 AND state = 'running'")
            .bind(&name)
            .execute(&mut *conn)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(Err(OutboxError::Unknown));
        }
        audit::record!(conn, &entry);
        Ok(Ok(()))
    })?
}

/// Tells a destination again what waits, at once; also one that is held back because it fails.
///
/// # Errors
/// As [`pause`].
pub async fn resume(database: &Database, acting: &Acting, name: &str, now: UtcMillis) -> Result<(), OutboxError> {
    acting.must(Permission::ExchangeManage)?;
    let (name, entry) = (name.to_owned(), entry(acting, now, name, "resumed", None));
    transact!(database, "outbox.resume", |conn| {
        let done = sqlx::query("UPDATE destination SET state = 'running', retry_ms = NULL WHERE name = $1")
            .bind(&name)
            .execute(&mut *conn)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(Err(OutboxError::Unknown));
        }
        audit::record!(conn, &entry);
        Ok(Ok(()))
    })?
}

/// Tries a dead letter again as if it were new, or at once one that waits for its next try. `change`: the number of its
/// change; `None`: all dead letters of the destination. The value is how many.
///
/// # Errors
/// As [`pause`]; [`OutboxError::Unknown`] when there is none.
pub async fn retry(
    database: &Database,
    acting: &Acting,
    name: &str,
    change: Option<u64>,
    now: UtcMillis,
) -> Result<u64, OutboxError> {
    acting.must(Permission::ExchangeManage)?;
    let (name, entry) = (name.to_owned(), entry(acting, now, name, "retried", change));
    let one = change.map_or(-1, u64::cast_signed);
    transact!(database, "outbox.retry", |conn| {
        let done = sqlx::query(
            "UPDATE delivery SET state = 'waiting', attempts = 0, due_ms = $1, taken_by = NULL, ended_ms = NULL
             WHERE destination = $2 AND ((change = $3 AND state IN ('dead', 'given_up'))
                 OR (change = $3 AND state = 'waiting' AND taken_by IS NULL) OR ($3 = -1 AND state = 'dead'))",
        )
        .bind(now.0)
        .bind(&name)
        .bind(one)
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Err(OutboxError::Unknown));
        }
        audit::record!(conn, &entry);
        Ok(Ok(done.rows_affected()))
    })?
}

/// Gives a dead letter, or one that waits, up for good; `note` says why. `change`: the number of its change; `None`: all
/// dead letters of the destination. The value is how many.
///
/// # Errors
/// As [`pause`]; [`OutboxError::NoReason`]; [`OutboxError::Unknown`] when there is none.
pub async fn give_up(
    database: &Database,
    acting: &Acting,
    name: &str,
    change: Option<u64>,
    note: &str,
    now: UtcMillis,
) -> Result<u64, OutboxError> {
    acting.must(Permission::ExchangeManage)?;
    let note = note.trim();
    if note.chars().count() < REASON_MIN_CHARS {
        return Err(OutboxError::NoReason);
    }
    let note: String = note.chars().take(REASON_MAX_CHARS).collect();
    let entry = Draft { note: Some(note), ..entry(acting, now, name, "given_up", change) };
    let (name, one) = (name.to_owned(), change.map_or(-1, u64::cast_signed));
    transact!(database, "outbox.give_up", |conn| {
        let done = sqlx::query(
            "UPDATE delivery SET state = 'given_up', taken_by = NULL, ended_ms = $1
             WHERE destination = $2 AND ((change = $3 AND state IN ('dead', 'waiting')) OR ($3 = -1 AND state = 'dead'))",
        )
        .bind(now.0)
        .bind(&name)
        .bind(one)
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Err(OutboxError::Unknown));
        }
        audit::record!(conn, &entry);
        Ok(Ok(done.rows_affected()))
    })?
}
