//! Telling a system again what it does not have: the delivery of a charge waits anew. It is said as it was the first time,
//! so that a system that has it after all changes nothing.

use domain::Permission;
use store::{sqlx, transact};

use super::LINES_MAX;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::till::{Till, TillError};

impl Till {
    /// Tells the system of a comparison again what is missing there or counts otherwise: one line, or all of them. What
    /// waits already is not doubled. The value is how many messages wait anew.
    ///
    /// # Errors
    /// [`TillError::Denied`] without [`Permission::ExchangeManage`]; [`TillError::NotFound`] when there is no such
    /// comparison or nothing in it that could be told again; engine errors.
    pub async fn tell_again(&self, acting: &Acting, id: &str, n: Option<u64>) -> Result<u64, TillError> {
        acting.must(Permission::ExchangeManage)?;
        let (id, now) = (id.to_owned(), self.clock.now());
        let one = n.map_or(-1, u64::cast_signed);
        let entry = acting.draft(now, Action::ExchangeChanged);
        transact!(self.database, "till.reconcile.again", |conn| {
            let destination: Option<String> =
                sqlx::query_scalar("SELECT destination FROM reconciliation WHERE id = $1 AND state = 'done'")
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some(destination) = destination else { return Ok(Err(TillError::NotFound)) };
            // What was forgotten, or never was in the queue, becomes a delivery; what ended waits anew; what waits, waits.
            let made = sqlx::query(
                "INSERT INTO delivery (destination, change, line, kind, state, attempts, due_ms, queued_ms)
                 SELECT $1, change.id, COALESCE(change.patient, change.staff, change.workstation, 'site'), change.kind,
                     'waiting', 0, $2, $2
                 FROM reconciliation_line AS line JOIN change ON change.detail = line.charge
                 WHERE line.reconciliation = $3 AND (line.n = $4 OR $4 = -1) AND line.kind IN ('missing_there', 'state')
                     AND change.kind IN ('charge_rendered', 'charge_cancelled')
                 ORDER BY change.id LIMIT $5
                 ON CONFLICT (destination, change) DO UPDATE SET state = 'waiting', attempts = 0, due_ms = excluded.due_ms,
                     taken_by = NULL, ended_ms = NULL, fault = NULL
                 WHERE delivery.state <> 'waiting'",
            )
            .bind(&destination)
            .bind(now.0)
            .bind(&id)
            .bind(one)
            .bind(i64::try_from(2 * LINES_MAX).unwrap_or(i64::MAX))
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if made == 0 {
                return Ok(Err(TillError::NotFound));
            }
            let detail = match one {
                -1 => format!("told again reconciliation={id} messages={made}"),
                line => format!("told again reconciliation={id} line={line} messages={made}"),
            };
            let entry = Draft { object: Some(destination), detail: Some(detail), ..entry.clone() };
            audit::record!(conn, &entry);
            Ok(Ok(made))
        })?
    }
}
