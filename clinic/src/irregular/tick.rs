//! What time does to cases: what counts no longer ends, and reviewers are told of what waits too long.

use domain::visit::{OutOfCardKind, VisitEnd};
use domain::{Permission, UtcMillis};
use store::{Error, read, transact};

use super::Irregular;
use super::act;
use super::rows::{CaseRow, IrregularOn, select_case};
use crate::acting::Actor;
use crate::notices::{self, Notice, NoticeKind, To};
use crate::visits::{self, How, VisitsOn};

/// Most cases that one run ends; the rest waits for the next.
const AT_ONCE: i64 = 200;

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Cases whose time was over.
    pub expired: usize,
    /// Cases that reviewers were told of, because nobody looked in time.
    pub overdue: u64,
}

impl Irregular {
    /// Ends what counts no longer and tells reviewers once of each case that nobody reviewed in time, together in one
    /// letter. Two cheap statements when there is nothing; call it every few seconds.
    ///
    /// # Errors
    /// Engine errors; what was done before stays done.
    pub async fn tick(&self) -> Result<Ticked, Error> {
        let now = self.clock.now();
        let (rows, late): (Vec<CaseRow>, i64) = read!(self.database, "irregular.due", |conn| {
            let rows = sqlx::query_as(select_case!(
                "WHERE expires_ms IS NOT NULL AND ended_ms IS NULL AND expires_ms <= $1 ORDER BY expires_ms, id LIMIT $2"
            ))
            .bind(now.0)
            .bind(AT_ONCE)
            .fetch_all(&mut *conn)
            .await?;
            let late = sqlx::query_scalar(
                "SELECT COUNT(*) FROM irregular WHERE reviewed_ms IS NULL AND due_ms < $1 AND alarmed_ms IS NULL",
            )
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?;
            Ok((rows, late))
        })?;
        let mut ticked = Ticked::default();
        for row in rows {
            ticked.expired += usize::from(self.expire(row.read()?.id, now).await?);
        }
        if late > 0 {
            ticked.overdue = self.alarm(now).await?;
        }
        Ok(ticked)
    }

    /// Ends one case whose time is over, and the visit that ran by it.
    async fn expire(&self, id: String, now: UtcMillis) -> Result<bool, Error> {
        transact!(self.database, "irregular.expire", |conn| {
            let Some(case) = conn.case(&id).await?.filter(|case| case.ended.is_none()) else { return Ok(false) };
            let at = case.expires.filter(|at| *at <= now);
            let Some(at) = at else { return Ok(false) };
            let how = How { actor: Actor::System, now, ..How::default() };
            if !act::over(conn, &case, at, "time", &how).await? {
                return Ok(false);
            }
            if case.kind == OutOfCardKind::Start
                && let Some(visit) = &case.visit
                && let Some(visit) = conn.visit(visit).await?.filter(|visit| visit.ended.is_none())
            {
                visits::end(conn, &visit, VisitEnd::Expired, visit.suspended.unwrap_or(at), &how).await?;
                conn.unask_visit(&visit.id).await?;
            }
            Ok(true)
        })
    }

    async fn alarm(&self, now: UtcMillis) -> Result<u64, Error> {
        transact!(self.database, "irregular.alarm", |conn| {
            let told = sqlx::query(
                "UPDATE irregular SET alarmed_ms = $1 WHERE reviewed_ms IS NULL AND due_ms < $1 AND alarmed_ms IS NULL",
            )
            .bind(now.0)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if told > 0 {
                let waiting: i64 =
                    sqlx::query_scalar("SELECT COUNT(*) FROM irregular WHERE reviewed_ms IS NULL AND due_ms < $1")
                        .bind(now.0)
                        .fetch_one(&mut *conn)
                        .await?;
                let to = To::Holders(Permission::IrregularReview);
                let notice =
                    Notice::new(now, to, NoticeKind::IrregularOverdue).with("new", told).with("waiting", waiting);
                notices::enqueue!(conn, &notice);
            }
            Ok(told)
        })
    }
}
