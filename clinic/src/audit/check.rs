//! When the log was last checked as a whole, and what came of it. Owns the table `audit_check`. The check itself is the
//! verifier's, a program of its own; a page asks for one, whoever runs the verifier answers.

use domain::{Permission, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read, transact};

use super::read::reading;
use super::{AuditError, record};
use crate::acting::Acting;
use crate::notices::{self, Notice, NoticeKind, To};

/// Longest description of the first fault that is kept, in bytes.
const FIRST_MAX_BYTES: usize = 1000;
/// Checks remembered; older ones are forgotten.
const KEPT: i64 = 100;
/// A check that was begun but not ended within this time is taken for dead, and another may be asked for.
const DEAD_AFTER_MS: i64 = 3_600_000;

/// One check of the whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// When it was asked for.
    pub asked: UtcMillis,
    /// What came of it; `None` while it is waited for.
    pub result: Option<CheckResult>,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// When it ended.
    pub ended: UtcMillis,
    /// How many entries were checked.
    pub size: u64,
    /// How many faults were found.
    pub faults: u64,
    /// The first of them, in words.
    pub first: Option<String>,
}

#[derive(FromRow)]
struct Row {
    asked_ms: i64,
    ended_ms: Option<i64>,
    size: Option<i64>,
    faults: Option<i64>,
    first: Option<String>,
}

impl From<Row> for Check {
    fn from(row: Row) -> Self {
        let result = row.ended_ms.map(|ended| CheckResult {
            ended: UtcMillis(ended),
            size: row.size.unwrap_or_default().cast_unsigned(),
            faults: row.faults.unwrap_or_default().cast_unsigned(),
            first: row.first,
        });
        Self { asked: UtcMillis(row.asked_ms), result }
    }
}

/// Asks for a check; one that is asked for or under way already serves. Answers soon, the check comes later.
///
/// # Errors
/// [`AuditError::Denied`] without `audit_see`; engine errors.
pub async fn ask_check(database: &Database, acting: &Acting, now: UtcMillis) -> Result<(), AuditError> {
    acting.must(Permission::AuditSee)?;
    let draft = reading(acting, now, "check".to_owned(), None);
    Ok(transact!(database, "audit.ask_check", |conn| {
        let open: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit_check WHERE ended_ms IS NULL AND asked_ms > $1")
            .bind(now.plus_ms(-DEAD_AFTER_MS).0)
            .fetch_one(&mut *conn)
            .await?;
        if open == 0 {
            sqlx::query(
                "INSERT INTO audit_check (no, asked_ms)
                 VALUES ((SELECT COALESCE(MAX(no), 0) + 1 FROM audit_check), $1)",
            )
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            record!(conn, &draft);
        }
        Ok(())
    })?)
}

/// Takes the check that is asked for, for whoever runs the verifier: its number, `None` if nobody asks or another has
/// taken it.
///
/// # Errors
/// Engine errors.
pub async fn take_check(database: &Database, now: UtcMillis) -> Result<Option<i64>, Error> {
    let waiting: Option<i64> = read!(database, "audit.waiting_check", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT no FROM audit_check WHERE ended_ms IS NULL AND begun_ms IS NULL ORDER BY no DESC LIMIT 1",
        )
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    let Some(no) = waiting else { return Ok(None) };
    let taken = transact!(database, "audit.take_check", |conn| {
        let taken = sqlx::query("UPDATE audit_check SET begun_ms = $1 WHERE no = $2 AND begun_ms IS NULL")
            .bind(now.0)
            .bind(no)
            .execute(&mut *conn)
            .await?;
        Ok(taken.rows_affected() == 1)
    })?;
    Ok(taken.then_some(no))
}

/// Notes what came of a check: of the one taken, or (`None`) of one that ran by schedule or by hand. Whoever may read the
/// log is told by mail when it found something.
///
/// # Errors
/// Engine errors.
pub async fn note_check(database: &Database, taken: Option<i64>, result: &CheckResult) -> Result<(), Error> {
    let mut result = result.clone();
    if let Some(first) = &mut result.first {
        first.truncate(first.floor_char_boundary(FIRST_MAX_BYTES));
    }
    transact!(database, "audit.note_check", |conn| {
        let no: i64 = match taken {
            Some(no) => no,
            None => {
                let no = sqlx::query_scalar("SELECT COALESCE(MAX(no), 0) + 1 FROM audit_check")
                    .fetch_one(&mut *conn)
                    .await?;
                sqlx::query("INSERT INTO audit_check (no, asked_ms, begun_ms) VALUES ($1, $2, $2)")
                    .bind(no)
                    .bind(result.ended.0)
                    .execute(&mut *conn)
                    .await?;
                no
            }
        };
        sqlx::query("UPDATE audit_check SET ended_ms = $1, size = $2, faults = $3, first = $4 WHERE no = $5")
            .bind(result.ended.0)
            .bind(result.size.cast_signed())
            .bind(result.faults.cast_signed())
            .bind(&result.first)
            .bind(no)
            .execute(&mut *conn)
            .await?;
        sqlx::query("DELETE FROM audit_check WHERE no <= $1").bind(no - KEPT).execute(&mut *conn).await?;
        if result.faults > 0 {
            let notice = Notice::new(result.ended, To::Holders(Permission::AuditSee), NoticeKind::AuditAlarm);
            notices::enqueue!(conn, &notice);
        }
        Ok(())
    })
}

/// The last checks, the latest first.
///
/// # Errors
/// [`AuditError::Denied`] without `audit_see`; engine errors.
pub async fn checks(database: &Database, acting: &Acting, limit: u32) -> Result<Vec<Check>, AuditError> {
    acting.must(Permission::AuditSee)?;
    let rows: Vec<Row> = read!(database, "audit.checks", |conn| {
        Ok(sqlx::query_as("SELECT asked_ms, ended_ms, size, faults, first FROM audit_check ORDER BY no DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await?)
    })?;
    Ok(rows.into_iter().map(Check::from).collect())
}
