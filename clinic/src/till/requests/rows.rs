//! The rows of requests, on either engine. Statements only; no rule.

use domain::till::Method;
use domain::{PersonId, UtcMillis};
use sqlx::FromRow;
use store::Error;

use super::{Request, RequestKind, RequestState};
use crate::rows::{code, column};
use crate::till::ledger::{amount, currency};

/// Columns of a request, in the order of [`RequestRow`]; the beginning of every statement that reads one.
macro_rules! select_request {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, asked, kind, patient, charge, currency, minor, method, external, refunds, reason, state, asked_ms, \
             asked_kind, asked_by, ask_entry, decided_ms, decided_kind, decided_by, decide_entry, payment \
             FROM till_request ",
            $rest
        )
    };
}
pub(super) use select_request;

/// A stored request.
#[derive(FromRow)]
pub(super) struct RequestRow {
    id: String,
    no: i64,
    asked: String,
    kind: String,
    patient: String,
    charge: Option<String>,
    currency: String,
    minor: i64,
    method: Option<String>,
    external: Option<String>,
    refunds: Option<String>,
    reason: String,
    state: String,
    asked_ms: i64,
    asked_kind: String,
    asked_by: Option<String>,
    ask_entry: i64,
    decided_ms: Option<i64>,
    decided_kind: Option<String>,
    decided_by: Option<String>,
    decide_entry: Option<i64>,
    payment: Option<String>,
}

impl RequestRow {
    pub(super) fn read(self) -> Result<Request, Error> {
        const T: &str = "till_request";
        Ok(Request {
            no: self.no.cast_unsigned(),
            kind: code(T, "kind", &self.kind, RequestKind::parse)?,
            patient: column(T, "patient", &self.patient, str::parse::<PersonId>)?,
            currency: currency(T, &self.currency)?,
            amount: amount(T, "minor", self.minor)?,
            method: self.method.as_deref().map(|text| code(T, "method", text, Method::parse)).transpose()?,
            external: self.external,
            refunds: self.refunds,
            state: code(T, "state", &self.state, RequestState::parse)?,
            asked: UtcMillis(self.asked_ms),
            ask_entry: self.ask_entry.cast_unsigned(),
            decided: self.decided_ms.map(UtcMillis),
            decide_entry: self.decide_entry.map(i64::cast_unsigned),
            id: self.id,
            charge: self.charge,
            reason: self.reason,
            asked_kind: self.asked_kind,
            asked_by: self.asked_by,
            decided_kind: self.decided_kind,
            decided_by: self.decided_by,
            payment: self.payment,
        })
    }
}

/// An engine's connection inside a transaction, with the rows of requests.
pub(crate) trait RequestsOn {
    /// The request of a key, with the hash of what was asked.
    async fn request_of_key(&mut self, key: &str) -> Result<Option<(Request, String)>, Error>;
    /// The request of an id.
    async fn request(&mut self, id: &str) -> Result<Option<Request>, Error>;
    /// Stores a request.
    async fn insert_request(&mut self, request: &Request, key: &str, asked: &str) -> Result<(), Error>;
    /// Stores the decision.
    async fn decide(&mut self, request: &Request) -> Result<(), Error>;
}

macro_rules! requests_on {
    ($connection:ty) => {
        impl RequestsOn for $connection {
            async fn request_of_key(&mut self, key: &str) -> Result<Option<(Request, String)>, Error> {
                let row: Option<RequestRow> =
                    sqlx::query_as(select_request!("WHERE key = $1")).bind(key).fetch_optional(&mut *self).await?;
                let Some(row) = row else { return Ok(None) };
                let asked = row.asked.clone();
                Ok(Some((row.read()?, asked)))
            }

            async fn request(&mut self, id: &str) -> Result<Option<Request>, Error> {
                let row: Option<RequestRow> =
                    sqlx::query_as(select_request!("WHERE id = $1")).bind(id).fetch_optional(&mut *self).await?;
                row.map(RequestRow::read).transpose()
            }

            async fn insert_request(&mut self, request: &Request, key: &str, asked: &str) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO till_request (id, no, key, asked, kind, patient, charge, currency, minor, method, external,
                         refunds, reason, state, asked_ms, asked_kind, asked_by, ask_entry)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
                )
                .bind(&request.id)
                .bind(request.no.cast_signed())
                .bind(key)
                .bind(asked)
                .bind(request.kind.as_str())
                .bind(request.patient.to_string())
                .bind(request.charge.as_deref())
                .bind(request.currency.to_string())
                .bind(request.amount.minor())
                .bind(request.method.map(Method::as_str))
                .bind(request.external.as_deref())
                .bind(request.refunds.as_deref())
                .bind(&request.reason)
                .bind(request.state.as_str())
                .bind(request.asked.0)
                .bind(&request.asked_kind)
                .bind(request.asked_by.as_deref())
                .bind(request.ask_entry.cast_signed())
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn decide(&mut self, request: &Request) -> Result<(), Error> {
                sqlx::query(
                    "UPDATE till_request SET state = $2, decided_ms = $3, decided_kind = $4, decided_by = $5,
                         decide_entry = $6, payment = $7
                     WHERE id = $1 AND state = 'asked'",
                )
                .bind(&request.id)
                .bind(request.state.as_str())
                .bind(request.decided.map(|at| at.0))
                .bind(request.decided_kind.as_deref())
                .bind(request.decided_by.as_deref())
                .bind(request.decide_entry.map(u64::cast_signed))
                .bind(request.payment.as_deref())
                .execute(&mut *self)
                .await?;
                Ok(())
            }
        }
    };
}

store::for_each_connection!(requests_on);
