//! The queue of reviews: who broke glass, what they looked at under it, and whether it was justified. Nobody reviews
//! their own.

use domain::{Permission, PersonId, UtcMillis, codes};
use sqlx::FromRow;
use store::{Database, Error, read, transact};

use super::{Case, Ended, Glass, GlassError, Reviewed, holder, words};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::rows::{code, optional};

/// Cases handed out by one read.
const LIST_MAX: i64 = 500;

codes! {
    /// What a review found.
    Verdict {
        /// It was needed.
        Justified = "justified",
        /// It was not.
        NotJustified = "not_justified",
    }
}

codes! {
    /// Which cases.
    Queue {
        /// In force now.
        Open = "open",
        /// Over, and nobody has looked yet.
        Waiting = "waiting",
        /// Reviewed.
        Done = "done",
        /// All.
        All = "all",
    }
}

/// One thing done under a broken glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its number in the audit log.
    pub number: u64,
    /// When.
    pub at: UtcMillis,
    /// What; a code of [`audit::Action`].
    pub action: String,
    /// How it ended; a code of [`audit::Outcome`].
    pub outcome: String,
    /// Whose data.
    pub subject: Option<PersonId>,
    /// Which fields; codes of [`domain::Field`].
    pub fields: String,
    /// What for; a code of [`audit::Purpose`].
    pub purpose: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    account: String,
    reason: String,
    started_ms: i64,
    ends_ms: i64,
    ended_ms: Option<i64>,
    ended_why: Option<String>,
    address: Option<String>,
    reviewed_ms: Option<i64>,
    reviewer: Option<String>,
    verdict: Option<String>,
    comment: Option<String>,
}

impl TryFrom<Row> for Case {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "glass";
        let ended = match (row.ended_ms, row.ended_why) {
            (Some(at), Some(why)) => Some((UtcMillis(at), code(T, "ended_why", &why, Ended::parse)?)),
            _ => None,
        };
        let review = match (row.reviewed_ms, row.verdict) {
            (Some(at), Some(verdict)) => Some(Reviewed {
                at: UtcMillis(at),
                by: row.reviewer.unwrap_or_default(),
                verdict: code(T, "verdict", &verdict, Verdict::parse)?,
                comment: row.comment.unwrap_or_default(),
            }),
            _ => None,
        };
        Ok(Self {
            glass: Glass { id: row.id, started: UtcMillis(row.started_ms), ends: UtcMillis(row.ends_ms) },
            account: row.account,
            reason: row.reason,
            address: row.address,
            ended,
            review,
        })
    }
}

#[derive(FromRow)]
struct LookRow {
    no: i64,
    at_ms: i64,
    action: String,
    outcome: String,
    subject: Option<String>,
    fields: Option<String>,
    purpose: Option<String>,
}

impl TryFrom<LookRow> for Look {
    type Error = Error;

    fn try_from(row: LookRow) -> Result<Self, Error> {
        Ok(Self {
            number: row.no.cast_unsigned(),
            at: UtcMillis(row.at_ms),
            action: row.action,
            outcome: row.outcome,
            subject: optional("audit_entry", "subject", row.subject.as_deref(), |text| text.parse())?,
            fields: row.fields.unwrap_or_default(),
            purpose: row.purpose,
        })
    }
}

/// The newest cases of a queue, at most 500.
///
/// # Errors
/// [`domain::Denied`] without `break_glass_review`; engine errors.
pub async fn list(database: &Database, acting: &Acting, queue: Queue, now: UtcMillis) -> Result<Vec<Case>, GlassError> {
    acting.must(Permission::BreakGlassReview)?;
    let rows: Vec<Row> = read!(database, "glass.list", |conn| {
        Ok(sqlx::query_as(
            "SELECT * FROM glass
             WHERE ($1 = 'all' OR ($1 = 'done' AND reviewed_ms IS NOT NULL)
                OR ($1 = 'open' AND ended_ms IS NULL AND ends_ms > $2)
                OR ($1 = 'waiting' AND reviewed_ms IS NULL AND (ended_ms IS NOT NULL OR ends_ms <= $2)))
             ORDER BY started_ms DESC, id LIMIT $3",
        )
        .bind(queue.as_str())
        .bind(now.0)
        .bind(LIST_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(Case::try_from).collect::<Result<_, Error>>()?)
}

/// One case; also for its holder.
///
/// # Errors
/// [`GlassError::NotFound`]; [`domain::Denied`] for another's without `break_glass_review`; engine errors.
pub async fn of(database: &Database, acting: &Acting, id: &str) -> Result<Case, GlassError> {
    let row: Option<Row> = read!(database, "glass.of", |conn| {
        Ok(sqlx::query_as("SELECT * FROM glass WHERE id = $1").bind(id).fetch_optional(&mut *conn).await?)
    })?;
    let case = match row {
        Some(row) => Case::try_from(row)?,
        None => {
            acting.must(Permission::BreakGlassReview)?;
            return Err(GlassError::NotFound);
        }
    };
    if !matches!(&acting.actor, Actor::Account(account) if *account == case.account) {
        acting.must(Permission::BreakGlassReview)?;
    }
    Ok(case)
}

/// How many wait for a review.
///
/// # Errors
/// [`domain::Denied`] without `break_glass_review` and without `privacy_manage`; engine errors.
pub async fn unreviewed(database: &Database, acting: &Acting, now: UtcMillis) -> Result<u64, GlassError> {
    if !acting.rights.allows(Permission::PrivacyManage) {
        acting.must(Permission::BreakGlassReview)?;
    }
    let count: i64 = read!(database, "glass.unreviewed", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(*) FROM glass WHERE reviewed_ms IS NULL AND (ended_ms IS NOT NULL OR ends_ms <= $1)",
        )
        .bind(now.0)
        .fetch_one(&mut *conn)
        .await?)
    })?;
    Ok(count.cast_unsigned())
}

/// What was done under a broken glass, in order, at most 500; the looking is itself recorded.
///
/// # Errors
/// As [`of`].
pub async fn looked_at(
    database: &Database,
    acting: &Acting,
    id: &str,
    now: UtcMillis,
) -> Result<Vec<Look>, GlassError> {
    of(database, acting, id).await?;
    let draft = Draft { object: Some(id.to_owned()), ..acting.draft(now, Action::AuditRead) };
    let id = id.to_owned();
    let rows: Vec<LookRow> = transact!(database, "glass.looked_at", |conn| {
        let rows = sqlx::query_as(
            "SELECT no, at_ms, action, outcome, subject, fields, purpose FROM audit_entry
             WHERE glass = $1 ORDER BY no LIMIT $2",
        )
        .bind(&id)
        .bind(LIST_MAX)
        .fetch_all(&mut *conn)
        .await?;
        audit::record!(conn, &draft);
        Ok(rows)
    })?;
    Ok(rows.into_iter().map(Look::try_from).collect::<Result<_, Error>>()?)
}

enum Found {
    Missing,
    Own,
    Not,
    Done,
}

/// Writes the result of a review; the glass must be over, and not the reviewer's own.
///
/// # Errors
/// Everything of [`GlassError`] that is about reviews; the comment needs 10 to 500 characters.
pub async fn review(
    database: &Database,
    acting: &Acting,
    id: &str,
    verdict: Verdict,
    comment: &str,
    now: UtcMillis,
) -> Result<(), GlassError> {
    acting.must(Permission::BreakGlassReview)?;
    let comment = words(comment, super::REASON_MIN_CHARS).ok_or(GlassError::BadReason)?;
    let (id, reviewer, acting) = (id.to_owned(), holder(acting), acting.clone());
    let found = transact!(database, "glass.review", |conn| {
        let case: Option<(String, i64, Option<i64>, Option<i64>)> =
            sqlx::query_as("SELECT account, ends_ms, ended_ms, reviewed_ms FROM glass WHERE id = $1")
                .bind(&id)
                .fetch_optional(&mut *conn)
                .await?;
        match case {
            None => return Ok(Found::Missing),
            Some((account, ..)) if account == reviewer => return Ok(Found::Own),
            Some((_, _, _, Some(_))) => return Ok(Found::Not),
            Some((_, ends, None, None)) if ends > now.0 => return Ok(Found::Not),
            Some(_) => {}
        }
        sqlx::query("UPDATE glass SET reviewed_ms = $1, reviewer = $2, verdict = $3, comment = $4 WHERE id = $5")
            .bind(now.0)
            .bind(&reviewer)
            .bind(verdict.as_str())
            .bind(&comment)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        let draft = Draft {
            object: Some(id.clone()),
            detail: Some(format!("verdict={verdict}")),
            note: Some(comment.clone()),
            ..acting.draft(now, Action::GlassReviewed)
        };
        audit::record!(conn, &draft);
        // Words about somebody who was erased meanwhile were kept for this review only.
        let erased: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM erasure WHERE person IN (SELECT subject FROM audit_entry WHERE glass = $1)",
        )
        .bind(&id)
        .fetch_one(&mut *conn)
        .await?;
        if erased > 0 {
            crate::erasure::blot_glass!(conn, &id, acting, now);
        }
        Ok(Found::Done)
    })?;
    match found {
        Found::Done => Ok(()),
        Found::Missing => Err(GlassError::NotFound),
        Found::Own => Err(GlassError::Own),
        Found::Not => Err(GlassError::NotReviewable),
    }
}
