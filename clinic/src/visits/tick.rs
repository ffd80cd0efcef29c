//! What time does to visits: those whose specialist did not come back, those that are too long, and questions that nobody
//! answered. Each end is an entry of the audit log by the program itself.

use domain::PointId;
use domain::visit::VisitEnd;
use store::{Error, read, transact};

use super::act::{self, How};
use super::rows::{VisitRow, select_visit};
use super::{Visit, Visits, VisitsOn};
use crate::acting::Actor;
use crate::rows::column;

/// Most visits that one run ends; the rest waits for the next.
const AT_ONCE: i64 = 200;

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Visits whose specialist did not come back.
    pub left: usize,
    /// Visits that were too long.
    pub run_out: usize,
    /// Questions dropped.
    pub dropped: usize,
}

impl Visits {
    /// Ends what time has ended. Two cheap statements when there is nothing; call it every few seconds.
    ///
    /// # Errors
    /// Engine errors; what was ended before stays ended.
    pub async fn tick(&self) -> Result<Ticked, Error> {
        let now = self.clock.now();
        let (left_before, long_before) = (now.plus_ms(-self.rules.return_ms), now.plus_ms(-self.rules.longest_ms));
        let asked_before = now.plus_ms(-self.rules.question_ms);
        let (due, stale): (Vec<VisitRow>, Vec<String>) = read!(self.database, "visits.due", |conn| {
            let due = sqlx::query_as(select_visit!(
                "WHERE ended_ms IS NULL AND (suspended_ms <= $1 OR started_ms <= $2) ORDER BY started_ms, id LIMIT $3"
            ))
            .bind(left_before.0)
            .bind(long_before.0)
            .bind(AT_ONCE)
            .fetch_all(&mut *conn)
            .await?;
            let stale = sqlx::query_scalar("SELECT workstation FROM visit_question WHERE asked_ms <= $1")
                .bind(asked_before.0)
                .fetch_all(&mut *conn)
                .await?;
            Ok((due, stale))
        })?;
        let mut ticked = Ticked::default();
        for row in due {
            let visit = row.read()?;
            match self.end_due(visit).await? {
                Some(VisitEnd::RunOut) => ticked.run_out += 1,
                Some(_) => ticked.left += 1,
                None => {}
            }
        }
        for workstation in stale {
            let workstation = column("visit_question", "workstation", &workstation, PointId::new)?;
            ticked.dropped += transact!(self.database, "visits.drop_question", |conn| {
                let done = sqlx::query("DELETE FROM visit_question WHERE workstation = $1 AND asked_ms <= $2")
                    .bind(workstation.as_str())
                    .bind(asked_before.0)
                    .execute(&mut *conn)
                    .await?;
                Ok(usize::from(done.rows_affected() > 0))
            })?;
        }
        Ok(ticked)
    }

    /// Ends one visit if it is still due.
    async fn end_due(&self, visit: Visit) -> Result<Option<VisitEnd>, Error> {
        let (now, rules) = (self.clock.now(), self.rules);
        transact!(self.database, "visits.end_due", |conn| {
            let Some(visit) = conn.visit(&visit.id).await?.filter(|visit| visit.ended.is_none()) else {
                return Ok(None);
            };
            let left = visit.suspended.filter(|since| now.since_ms(*since) >= rules.return_ms);
            let (why, at) = match left {
                Some(since) => (VisitEnd::SessionEnded, since),
                None if now.since_ms(visit.started) >= rules.longest_ms => {
                    (VisitEnd::RunOut, visit.started.plus_ms(rules.longest_ms))
                }
                None => return Ok(None),
            };
            let how = How { actor: Actor::System, now, ..How::default() };
            act::end(conn, &visit, why, at, &how).await?;
            conn.unask_visit(&visit.id).await?;
            Ok(Some(why))
        })
    }
}
