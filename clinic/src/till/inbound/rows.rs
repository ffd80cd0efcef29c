//! The rows of notices, on either engine. Statements only; no rule.

use domain::{PersonId, UtcMillis};
use sqlx::FromRow;
use store::Error;

use super::{NoticeKind, NoticeProblem, NoticeState, PaymentNotice};
use crate::rows::{code, optional};
use crate::till::ledger::{amount, currency};
use crate::till::payments::take::By;

/// Columns of a notice, in the order of [`NoticeRow`]; the beginning of every statement that reads one.
macro_rules! select_notice {
    ($rest:literal) => {
        concat!(
            "SELECT id, source, external, asked, kind, reverses, currency, minor, state, problem, payment, received_ms, \
             handled_ms FROM payment_notice ",
            $rest
        )
    };
}
pub(super) use select_notice;

/// A stored notice.
#[derive(FromRow)]
pub(super) struct NoticeRow {
    id: String,
    source: String,
    external: String,
    asked: String,
    kind: String,
    reverses: Option<String>,
    currency: String,
    minor: i64,
    state: String,
    problem: Option<String>,
    payment: Option<String>,
    received_ms: i64,
    handled_ms: Option<i64>,
}

impl NoticeRow {
    pub(super) fn read(self) -> Result<PaymentNotice, Error> {
        const T: &str = "payment_notice";
        Ok(PaymentNotice {
            kind: code(T, "kind", &self.kind, NoticeKind::parse)?,
            currency: currency(T, &self.currency)?,
            amount: amount(T, "minor", self.minor)?,
            state: code(T, "state", &self.state, NoticeState::parse)?,
            problem: self.problem.as_deref().map(|text| code(T, "problem", text, NoticeProblem::parse)).transpose()?,
            received: UtcMillis(self.received_ms),
            handled: self.handled_ms.map(UtcMillis),
            id: self.id,
            source: self.source,
            external: self.external,
            reverses: self.reverses,
            payment: self.payment,
        })
    }
}

/// An engine's connection inside a transaction, with the rows of notices.
pub(super) trait NoticesOn {
    /// The notice of a service's id, with the hash of what was told.
    async fn notice_of(&mut self, source: &str, external: &str) -> Result<Option<(PaymentNotice, String)>, Error>;
    /// The notice of an id.
    async fn notice(&mut self, id: &str) -> Result<Option<PaymentNotice>, Error>;
    /// Stores a notice.
    async fn insert_notice(&mut self, notice: &PaymentNotice, asked: &str, entry: u64) -> Result<(), Error>;
    /// Stores what somebody has done with a notice.
    async fn handle_notice(&mut self, notice: &PaymentNotice, by: &By) -> Result<(), Error>;
    /// The person of a record number.
    async fn person_of_record(&mut self, system: &str, value: &str) -> Result<Option<PersonId>, Error>;
}

macro_rules! notices_on {
    ($connection:ty) => {
        impl NoticesOn for $connection {
            async fn notice_of(
                &mut self,
                source: &str,
                external: &str,
            ) -> Result<Option<(PaymentNotice, String)>, Error> {
                let row: Option<NoticeRow> = sqlx::query_as(select_notice!("WHERE source = $1 AND external = $2"))
                    .bind(source)
                    .bind(external)
                    .fetch_optional(&mut *self)
                    .await?;
                let Some(row) = row else { return Ok(None) };
                let asked = row.asked.clone();
                Ok(Some((row.read()?, asked)))
            }

            async fn notice(&mut self, id: &str) -> Result<Option<PaymentNotice>, Error> {
                let row: Option<NoticeRow> =
                    sqlx::query_as(select_notice!("WHERE id = $1")).bind(id).fetch_optional(&mut *self).await?;
                row.map(NoticeRow::read).transpose()
            }

            async fn insert_notice(&mut self, notice: &PaymentNotice, asked: &str, entry: u64) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO payment_notice (id, source, external, asked, kind, reverses, currency, minor, state,
                         problem, payment, received_ms, handled_ms, entry)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                )
                .bind(&notice.id)
                .bind(&notice.source)
                .bind(&notice.external)
                .bind(asked)
                .bind(notice.kind.as_str())
                .bind(notice.reverses.as_deref())
                .bind(notice.currency.to_string())
                .bind(notice.amount.minor())
                .bind(notice.state.as_str())
                .bind(notice.problem.map(NoticeProblem::as_str))
                .bind(notice.payment.as_deref())
                .bind(notice.received.0)
                .bind(notice.handled.map(|at| at.0))
                .bind(entry.cast_signed())
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn handle_notice(&mut self, notice: &PaymentNotice, by: &By) -> Result<(), Error> {
                sqlx::query(
                    "UPDATE payment_notice SET state = $2, problem = $3, payment = $4, handled_ms = $5, handled_kind = $6,
                         handled_by = $7
                     WHERE id = $1",
                )
                .bind(&notice.id)
                .bind(notice.state.as_str())
                .bind(notice.problem.map(NoticeProblem::as_str))
                .bind(notice.payment.as_deref())
                .bind(notice.handled.map(|at| at.0))
                .bind(&by.kind)
                .bind(by.id.as_deref())
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn person_of_record(&mut self, system: &str, value: &str) -> Result<Option<PersonId>, Error> {
                let found: Option<String> =
                    sqlx::query_scalar("SELECT person FROM person_alias WHERE system = $1 AND value = $2")
                        .bind(system)
                        .bind(value)
                        .fetch_optional(&mut *self)
                        .await?;
                optional("person_alias", "person", found.as_deref(), str::parse)
            }
        }
    };
}

store::for_each_connection!(notices_on);
