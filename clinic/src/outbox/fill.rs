//! From changes to deliveries: who is told what, and what is forgotten again.

use domain::UtcMillis;
use store::{Database, Error, read, sqlx, transact};

use super::{Begin, Destination, OutboxError, is_name};

/// Changes that one transaction makes into deliveries.
const FILL_MAX: i64 = 2000;
/// Rows that one transaction forgets.
const TIDY_MAX: i64 = 5000;

/// Makes a destination known, or notes what the configuration says of it now. A new one begins where
/// [`Destination::begin`] says; a known one goes on where it was.
///
/// # Errors
/// [`OutboxError::BadName`]; engine errors.
pub async fn register(database: &Database, destination: &Destination, now: UtcMillis) -> Result<(), OutboxError> {
    if !is_name(&destination.name) {
        return Err(OutboxError::BadName);
    }
    let (name, kind) = (destination.name.clone(), destination.kind.clone());
    let wants = destination.wants.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
    let everything = destination.begin == Begin::Everything;
    Ok(transact!(database, "outbox.register", |conn| {
        sqlx::query(
            "INSERT INTO destination (name, kind, wants, state, last_change, claims, failures, delivered, configured_ms,
                 registered_ms)
             VALUES ($1, $2, $3, 'running',
                 CASE WHEN $4 THEN 0 ELSE (SELECT value FROM counter WHERE name = 'change') END, 0, 0, 0, $5, $5)
             ON CONFLICT (name) DO UPDATE SET kind = $2, wants = $3, configured_ms = $5",
        )
        .bind(&name)
        .bind(&kind)
        .bind(&wants)
        .bind(everything)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })?)
}

/// What [`fill`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Whether the cursor moved, by us or another bridge: there may be new deliveries.
    pub moved: bool,
    /// Whether there are more changes to look at.
    pub left: bool,
}

/// Makes deliveries of the changes behind a destination's cursor, so many at once, and moves it on. Several bridges may
/// do so at once: each change becomes one delivery.
///
/// # Errors
/// Engine errors.
pub async fn fill(database: &Database, name: &str, now: UtcMillis) -> Result<Filled, Error> {
    const NOTHING: Filled = Filled { moved: false, left: false };
    let place: Option<(i64, i64)> = {
        let name = name.to_owned();
        read!(database, "outbox.behind", |conn| {
            Ok(sqlx::query_as(
                "SELECT last_change, (SELECT value FROM counter WHERE name = 'change') FROM destination WHERE name = $1",
            )
            .bind(&name)
            .fetch_optional(&mut *conn)
            .await?)
        })?
    };
    let Some((last, newest)) = place else { return Ok(NOTHING) };
    if newest <= last {
        return Ok(NOTHING);
    }
    let upto = newest.min(last + FILL_MAX);
    let name = name.to_owned();
    let moved: u64 = transact!(database, "outbox.fill", |conn| {
        // The cursor first: of two that do this at once, the second finds it moved.
        let moved = sqlx::query("UPDATE destination SET last_change = $1 WHERE name = $2 AND last_change = $3")
            .bind(upto)
            .bind(&name)
            .bind(last)
            .execute(&mut *conn)
            .await?
            .rows_affected();
        if moved == 0 {
            return Ok(0);
        }
        sqlx::query(
            "INSERT INTO delivery (destination, change, line, kind, state, attempts, due_ms, queued_ms)
             SELECT destination.name, change.id, COALESCE(change.patient, change.staff, change.workstation, 'site'),
                 change.kind, 'waiting', 0, 0, $1
             FROM change JOIN destination ON destination.name = $2
             WHERE change.id > $3 AND change.id <= $4
                 AND ',' || destination.wants || ',' LIKE '%,' || change.kind || ',%'
             ORDER BY change.id
             ON CONFLICT (destination, change) DO NOTHING",
        )
        .bind(now.0)
        .bind(&name)
        .bind(last)
        .bind(upto)
        .execute(&mut *conn)
        .await?;
        Ok(moved)
    })?;
    // Another one moved the cursor: look again.
    Ok(Filled { moved: true, left: moved == 0 || newest > upto })
}

/// Forgets deliveries that ended before `before`, dead letters never; the value is how many went. Ask again while it is
/// not 0.
///
/// # Errors
/// Engine errors.
pub async fn tidy(database: &Database, before: UtcMillis) -> Result<u64, Error> {
    transact!(database, "outbox.tidy", |conn| {
        let gone = sqlx::query(
            "DELETE FROM delivery WHERE (destination, change) IN (
                 SELECT destination, change FROM delivery
                 WHERE ended_ms < $1 AND state IN ('done', 'given_up') LIMIT $2)",
        )
        .bind(before.0)
        .bind(TIDY_MAX)
        .execute(&mut *conn)
        .await?;
        Ok(gone.rows_affected())
    })
}
