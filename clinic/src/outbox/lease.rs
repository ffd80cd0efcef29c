//! Taking deliveries for a while, and saying how they ended. Whoever takes first moves the destination's row on, so
//! that two bridges take turns and no line is taken from two sides.

use domain::UtcMillis;
use store::{Database, Error, read, sqlx, transact};

use super::Fault;

/// Most deliveries taken at once.
pub const TAKE_MAX: usize = 1000;

/// A delivery that is ours for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The number of its change.
    pub change: u64,
    /// What it must keep its order with.
    pub line: String,
    /// How often it was tried before.
    pub attempts: u32,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The system has it.
    Done,
    /// It failed; it is tried again then. Counts as an attempt.
    Again(UtcMillis, Fault),
    /// It failed for good.
    Dead(Fault),
    /// It was not tried: free again, nothing counted.
    Released,
}

/// A delivery and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The number of its change.
    pub change: u64,
    /// How it ended.
    pub ended: Ended,
}

/// Whether some delivery of a destination that is told at present may be due; a read, to ask before [`claim`], which writes.
///
/// # Errors
/// Engine errors.
pub async fn has_due(database: &Database, name: &str, now: UtcMillis) -> Result<bool, Error> {
    let name = name.to_owned();
    let found: Option<i64> = read!(database, "outbox.has_due", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT change FROM delivery WHERE destination = $1 AND state = 'waiting' AND due_ms <= $2
                 AND EXISTS (SELECT 1 FROM destination WHERE name = $1 AND state = 'running'
                     AND (retry_ms IS NULL OR retry_ms <= $2)) LIMIT 1",
        )
        .bind(&name)
        .bind(now.0)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    Ok(found.is_some())
}

/// Takes up to `most` deliveries (at most [`TAKE_MAX`]) that may go now, in the order of the changes; they are `holder`'s
/// until `until`. Of a line only what no earlier delivery holds up. None while the destination is paused or held back.
///
/// # Errors
/// Engine errors.
pub async fn claim(
    database: &Database,
    name: &str,
    holder: &str,
    most: usize,
    now: UtcMillis,
    until: UtcMillis,
) -> Result<Vec<Claimed>, Error> {
    let (name, holder) = (name.to_owned(), holder.to_owned());
    let most = i64::try_from(most.min(TAKE_MAX)).unwrap_or(0);
    let mut rows: Vec<(i64, String, i64)> = transact!(database, "outbox.claim", |conn| {
        let open = sqlx::query(
            "UPDATE destination SET claims = claims + 1
             WHERE name = $1 AND state = 'running' AND (retry_ms IS NULL OR retry_ms <= $2)",
        )
        .bind(&name)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
        if open.rows_affected() == 0 {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_as(
            "UPDATE delivery SET due_ms = $1, taken_by = $2
             WHERE destination = $3 AND change IN (
                 SELECT change FROM delivery AS own
                 WHERE destination = $3 AND state = 'waiting' AND due_ms <= $4 AND NOT EXISTS (
                     SELECT 1 FROM delivery AS earlier
                     WHERE earlier.destination = $3 AND earlier.line = own.line AND earlier.state = 'waiting'
                         AND earlier.change < own.change AND earlier.due_ms > $4)
                 ORDER BY change LIMIT $5)
             RETURNING change, line, attempts",
        )
        .bind(until.0)
        .bind(&holder)
        .bind(&name)
        .bind(now.0)
        .bind(most)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    rows.sort_unstable_by_key(|(change, ..)| *change);
    let claimed = |(change, line, attempts): (i64, String, i64)| Claimed {
        change: change.cast_unsigned(),
        line,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    };
    Ok(rows.into_iter().map(claimed).collect())
}

/// Keeps what `holder` has until `until`; the value is how many those are.
///
/// # Errors
/// Engine errors.
pub async fn renew(database: &Database, name: &str, holder: &str, until: UtcMillis) -> Result<u64, Error> {
    let (name, holder) = (name.to_owned(), holder.to_owned());
    transact!(database, "outbox.renew", |conn| {
        let kept = sqlx::query(
            "UPDATE delivery SET due_ms = $1 WHERE destination = $2 AND state = 'waiting' AND taken_by = $3",
        )
        .bind(until.0)
        .bind(&name)
        .bind(&holder)
        .execute(&mut *conn)
        .await?;
        Ok(kept.rows_affected())
    })
}

/// Says how deliveries that `holder` has ended, all in one transaction. What another one has taken meanwhile, or what
/// somebody gave up, is left alone.
///
/// # Errors
/// Engine errors.
pub async fn settle(
    database: &Database,
    name: &str,
    holder: &str,
    ended: Vec<Settled>,
    now: UtcMillis,
) -> Result<(), Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let (name, holder) = (name.to_owned(), holder.to_owned());
    let (mut done, mut free, mut again, mut dead) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Settled { change, ended } in ended {
        let change = change.cast_signed();
        match ended {
            Ended::Done => done.push(change),
            Ended::Released => free.push(change),
            Ended::Again(due, fault) => again.push((change, due.0, fault.stored())),
            Ended::Dead(fault) => dead.push((change, fault.stored())),
        }
    }
    transact!(database, "outbox.settle", |conn| {
        // First the destination's row, as everybody does: no two wait for each other.
        sqlx::query("UPDATE destination SET claims = claims + 1 WHERE name = $1")
            .bind(&name)
            .execute(&mut *conn)
            .await?;
        if !done.is_empty() {
            let mut update = sqlx::QueryBuilder::<Db>::new("UPDATE delivery SET state = 'done', ended_ms = ");
            update
                .push_bind(now.0)
                .push(", attempts = attempts + 1, taken_by = NULL, fault = NULL WHERE destination = ");
            update
                .push_bind(&name)
                .push(" AND taken_by = ")
                .push_bind(&holder)
                .push(" AND state = 'waiting' AND change IN (");
            let mut list = update.separated(", ");
            for change in &done {
                list.push_bind(*change);
            }
            update.push(")");
            let count = update.build().execute(&mut *conn).await?.rows_affected();
            sqlx::query(
                "UPDATE destination SET delivered = delivered + $1, done_ms = $2, failures = 0, failing_ms = NULL,
                     retry_ms = NULL, fault = NULL WHERE name = $3",
            )
            .bind(count.cast_signed())
            .bind(now.0)
            .bind(&name)
            .execute(&mut *conn)
            .await?;
        }
        if !free.is_empty() {
            let mut update = sqlx::QueryBuilder::<Db>::new("UPDATE delivery SET due_ms = ");
            update.push_bind(now.0).push(", taken_by = NULL WHERE destination = ").push_bind(&name);
            update.push(" AND taken_by = ").push_bind(&holder).push(" AND state = 'waiting' AND change IN (");
            let mut list = update.separated(", ");
            for change in &free {
                list.push_bind(*change);
            }
            update.push(")");
            update.build().execute(&mut *conn).await?;
        }
        if !again.is_empty() {
            // Both engines call the columns of VALUES column1, column2 …
            let mut update = sqlx::QueryBuilder::<Db>::new(
                "UPDATE delivery SET attempts = attempts + 1, taken_by = NULL, due_ms = ended.column2,
                     fault = ended.column3 FROM (",
            );
            update.push_values(&again, |mut row, (change, due, fault)| {
                row.push_bind(*change).push_bind(*due).push_bind(fault);
            });
            update.push(") AS ended WHERE delivery.change = ended.column1 AND destination = ").push_bind(&name);
            update.push(" AND taken_by = ").push_bind(&holder).push(" AND state = 'waiting'");
            update.build().execute(&mut *conn).await?;
        }
        if !dead.is_empty() {
            let mut update = sqlx::QueryBuilder::<Db>::new(
                "UPDATE delivery SET state = 'dead', attempts = attempts + 1, taken_by = NULL, fault = ended.column2,
                     ended_ms = ",
            );
            update.push_bind(now.0).push(" FROM (");
            update.push_values(&dead, |mut row, (change, fault)| {
                row.push_bind(*change).push_bind(fault);
            });
            update.push(") AS ended WHERE delivery.change = ended.column1 AND destination = ").push_bind(&name);
            update.push(" AND taken_by = ").push_bind(&holder).push(" AND state = 'waiting'");
            update.build().execute(&mut *conn).await?;
        }
        Ok(())
    })
}

/// Holds a whole destination back until `until`, because of a fault of the system itself; the value is how often that
/// was so in a row, with this one. Delivering something ends it.
///
/// # Errors
/// Engine errors.
pub async fn hold_back(
    database: &Database,
    name: &str,
    fault: &Fault,
    now: UtcMillis,
    until: UtcMillis,
) -> Result<u32, Error> {
    let (name, fault) = (name.to_owned(), fault.stored());
    let count: Option<i64> = transact!(database, "outbox.hold_back", |conn| {
        Ok(sqlx::query_scalar(
            "UPDATE destination SET failures = failures + 1, failing_ms = COALESCE(failing_ms, $1), retry_ms = $2,
                 fault = $3 WHERE name = $4 RETURNING failures",
        )
        .bind(now.0)
        .bind(until.0)
        .bind(&fault)
        .bind(&name)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    Ok(count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0))
}
