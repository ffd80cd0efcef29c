//! What happens at workstations without a tap: idleness, cards that stopped working, staff who left. One timer for all of
//! it; each binding is looked at again inside its own transaction, so that a tap in between is never undone.

use std::sync::atomic::Ordering;

use domain::desk::{EndWhy, Idle, LockWhy};
use store::{Error, read, transact};

use super::rows::{Row, select};
use super::sessions::{By, Sessions};
use super::{Desk, DeskError, DeskSession};

/// Bindings looked at in one call; the rest follow in the next.
const AT_ONCE: i64 = 500;
/// Cards are compared whenever a pass changed, and at least so often (a pass may run out), in milliseconds.
const COMPARE_EVERY_MS: i64 = 1_000;

/// What [`Desk::tick`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Bindings that were locked.
    pub locked: u64,
    /// Bindings that were ended.
    pub ended: u64,
}

impl Desk {
    /// Locks and ends what is idle; ends what was opened with a card that does not work any more, or by somebody who no
    /// longer works here. Cheap: called many times a second.
    ///
    /// # Errors
    /// Engine errors: the rest is done by the next call.
    pub async fn tick(&self) -> Result<Ticked, DeskError> {
        let mut ticked = Ticked::default();
        self.compare_cards(&mut ticked).await?;
        self.end_idle(&mut ticked).await?;
        Ok(ticked)
    }

    async fn end_idle(&self, ticked: &mut Ticked) -> Result<(), DeskError> {
        let (now, rules) = (self.clock.now(), self.rules);
        let rows: Vec<Row> = read!(self.database, "desk.idle", |conn| {
            Ok(sqlx::query_as(select!(
                "WHERE s.ended_ms IS NULL AND (s.used_ms <= $1 OR (s.state = 'open' AND s.used_ms <= $2)
                     OR (s.state = 'waiting' AND s.used_ms <= $3)) ORDER BY s.used_ms LIMIT $4"
            ))
            .bind(now.plus_ms(-rules.idle_end_ms).0)
            .bind(now.plus_ms(-rules.idle_lock_ms).0)
            .bind(now.plus_ms(-rules.factor_wait_ms).0)
            .bind(AT_ONCE)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        for row in rows {
            let id = DeskSession::try_from(row)?.id;
            let done = transact!(self.database, "desk.end_idle", |conn| {
                let Some(session) = conn.session_by_id(&id).await? else { return Ok(Idle::No) };
                let idle = session.idle(&rules, now);
                match idle {
                    Idle::Lock => conn.lock_session(&session, LockWhy::Idle, &By::system(now)).await?,
                    Idle::End(why) => conn.end_session(&session, why, &By::system(now)).await?,
                    Idle::No | Idle::Warn(_) => {}
                }
                Ok(idle)
            })?;
            match done {
                Idle::Lock => ticked.locked += 1,
                Idle::End(_) => ticked.ended += 1,
                Idle::No | Idle::Warn(_) => {}
            }
        }
        Ok(())
    }

    /// Only when a pass has changed, or now and then.
    async fn compare_cards(&self, ticked: &mut Ticked) -> Result<(), DeskError> {
        let now = self.clock.now();
        let passes: i64 = read!(self.database, "desk.passes", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT CAST(SUM(value) AS BIGINT) FROM counter WHERE name IN ('credential', 'policy')",
            )
            .fetch_one(&mut *conn)
            .await?)
        })?;
        let [seen, compared] = &*self.seen;
        let since = now.0.saturating_sub(compared.load(Ordering::Relaxed));
        if seen.load(Ordering::Relaxed) == passes && (0..COMPARE_EVERY_MS).contains(&since) {
            return Ok(());
        }
        let mut is_all = true;
        for why in [EndWhy::StaffLeft, EndWhy::CardNotValid] {
            let rows = match why {
                EndWhy::StaffLeft => self.of_no_staff().await?,
                _ => self.of_no_card(now.0).await?,
            };
            is_all &= (rows.len() as i64) < AT_ONCE;
            for row in rows {
                let id = DeskSession::try_from(row)?.id;
                ticked.ended += u64::from(transact!(self.database, "desk.end_not_valid", |conn| {
                    let found = conn.session_by_id(&id).await?.filter(|session| session.ended.is_none());
                    let Some(session) = found else { return Ok(false) };
                    conn.end_session(&session, why, &By::system(now)).await?;
                    Ok(true)
                })?);
            }
        }
        // After the work: when it failed it is done again.
        if is_all {
            seen.store(passes, Ordering::Relaxed);
            compared.store(now.0, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn of_no_staff(&self) -> Result<Vec<Row>, Error> {
        read!(self.database, "desk.of_no_staff", |conn| {
            Ok(sqlx::query_as(select!(
                "LEFT JOIN staff t ON t.person = s.person
                 WHERE s.ended_ms IS NULL AND (t.person IS NULL OR t.ended_ms IS NOT NULL) LIMIT $1"
            ))
            .bind(AT_ONCE)
            .fetch_all(&mut *conn)
            .await?)
        })
    }

    async fn of_no_card(&self, now: i64) -> Result<Vec<Row>, Error> {
        read!(self.database, "desk.of_no_card", |conn| {
            Ok(sqlx::query_as(select!(
                "LEFT JOIN credential c ON c.card = s.card AND c.until_ms IS NULL
                 LEFT JOIN person_merge m ON m.person = c.person
                 WHERE s.ended_ms IS NULL AND s.card IS NOT NULL AND (c.card IS NULL OR c.state <> 'active'
                     OR COALESCE(m.into_person, c.person) <> s.person OR c.valid_until <= $1) LIMIT $2"
            ))
            .bind(now)
            .bind(AT_ONCE)
            .fetch_all(&mut *conn)
            .await?)
        })
    }
}
