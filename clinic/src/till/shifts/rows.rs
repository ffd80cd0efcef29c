//! The rows of shifts and the sums of what moved in one, on either engine. Statements only; no rule.

use domain::UtcMillis;
use domain::money::{Amount, Currency};
use domain::till::Method;
use sqlx::FromRow;
use store::Error;

use super::{DifferenceReason, MethodTotals, Shift};
use crate::rows::code;
use crate::till::ledger::{amount, currency};

/// Columns of a shift, in the order of [`ShiftRow`]; the beginning of every statement that reads one.
macro_rules! select_shift {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, drawer, account, currency, asked, close_asked, opened_ms, float_minor, expected_minor, \
             counted_minor, card_expected_minor, card_minor, reason, closed_ms, closed_by, entry FROM till_shift ",
            $rest
        )
    };
}
pub(super) use select_shift;

/// A stored shift.
#[derive(FromRow)]
pub(super) struct ShiftRow {
    id: String,
    no: i64,
    drawer: String,
    account: String,
    currency: String,
    asked: String,
    close_asked: Option<String>,
    opened_ms: i64,
    float_minor: i64,
    expected_minor: Option<i64>,
    counted_minor: Option<i64>,
    card_expected_minor: Option<i64>,
    card_minor: Option<i64>,
    reason: Option<String>,
    closed_ms: Option<i64>,
    closed_by: Option<String>,
    entry: i64,
}

impl ShiftRow {
    pub(super) fn read(self) -> Result<Shift, Error> {
        const T: &str = "till_shift";
        let money = |name, minor: Option<i64>| minor.map(|minor| amount(T, name, minor)).transpose();
        Ok(Shift {
            no: self.no.cast_unsigned(),
            currency: currency(T, &self.currency)?,
            opened: UtcMillis(self.opened_ms),
            float: amount(T, "float_minor", self.float_minor)?,
            expected: money("expected_minor", self.expected_minor)?,
            counted: money("counted_minor", self.counted_minor)?,
            card_expected: money("card_expected_minor", self.card_expected_minor)?,
            card: money("card_minor", self.card_minor)?,
            reason: self.reason.as_deref().map(|text| code(T, "reason", text, DifferenceReason::parse)).transpose()?,
            closed: self.closed_ms.map(UtcMillis),
            closed_by: self.closed_by,
            entry: self.entry.cast_unsigned(),
            id: self.id,
            drawer: self.drawer,
            account: self.account,
        })
    }
}

/// What a method brought and took: method, currency, count, taken, given.
pub(crate) type MethodRow = (String, String, i64, i64, i64);

pub(crate) fn read_method((method, money, count, taken, given): MethodRow) -> Result<MethodTotals, Error> {
    const T: &str = "payment";
    Ok(MethodTotals {
        method: code(T, "method", &method, Method::parse)?,
        currency: currency(T, &money)?,
        count: count.cast_unsigned(),
        taken: amount(T, "minor", taken)?,
        given: amount(T, "minor", given)?,
    })
}

/// What each method brought and took in a shift: what came, and what takes a refund back, against the rest.
const METHODS_OF_SHIFT: &str = "SELECT p.method, p.currency, COUNT(*),
         CAST(SUM(CASE WHEN p.kind = 'paid' OR (p.kind = 'returned' AND o.kind = 'refunded') THEN p.minor ELSE 0 END)
             AS BIGINT),
         CAST(SUM(CASE WHEN p.kind = 'refunded' OR (p.kind = 'returned' AND o.kind = 'paid') THEN p.minor ELSE 0 END)
             AS BIGINT)
     FROM payment p LEFT JOIN payment o ON o.id = p.reverses
     WHERE p.state IN ('done', 'returned') AND p.shift = $1
     GROUP BY p.method, p.currency ORDER BY p.currency, p.method";

/// An engine's connection inside a transaction, with the rows of shifts.
pub(crate) trait ShiftsOn {
    /// The shift of a key, with the hash of what was asked.
    async fn shift_of_key(&mut self, key: &str) -> Result<Option<(Shift, String)>, Error>;
    /// The shift that was closed with a key, with the hash of what was asked.
    async fn shift_of_close_key(&mut self, key: &str) -> Result<Option<(Shift, String)>, Error>;
    /// The shift of an id.
    async fn shift(&mut self, id: &str) -> Result<Option<Shift>, Error>;
    /// The open shift of an account.
    async fn open_shift_of(&mut self, account: &str) -> Result<Option<Shift>, Error>;
    /// Whether this drawer is open, or this account has one open.
    async fn is_drawer_open(&mut self, drawer: &str, account: &str) -> Result<bool, Error>;
    /// Stores an opened shift.
    async fn insert_shift(&mut self, shift: &Shift, key: &str, asked: &str) -> Result<(), Error>;
    /// Stores the closing of a shift.
    async fn end_shift(&mut self, shift: &Shift, key: &str, asked: &str) -> Result<(), Error>;
    /// The cash in a drawer by the ledger.
    async fn cash_of(&mut self, shift: &str) -> Result<Amount, Error>;
    /// What the card slips of a shift should sum up to: what came less what went.
    async fn card_of(&mut self, shift: &str, currency: Currency) -> Result<Amount, Error>;
    /// What each method brought and took in a shift.
    async fn methods_of_shift(&mut self, shift: &str) -> Result<Vec<MethodTotals>, Error>;
    /// Payments of a shift that wait for a terminal.
    async fn waiting_of_shift(&mut self, shift: &str) -> Result<u64, Error>;
}

macro_rules! shifts_on {
    ($connection:ty) => {
        impl ShiftsOn for $connection {
            async fn shift_of_key(&mut self, key: &str) -> Result<Option<(Shift, String)>, Error> {
                let row: Option<ShiftRow> =
                    sqlx::query_as(select_shift!("WHERE key = $1")).bind(key).fetch_optional(&mut *self).await?;
                let Some(row) = row else { return Ok(None) };
                let asked = row.asked.clone();
                Ok(Some((row.read()?, asked)))
            }

            async fn shift_of_close_key(&mut self, key: &str) -> Result<Option<(Shift, String)>, Error> {
                let row: Option<ShiftRow> =
                    sqlx::query_as(select_shift!("WHERE close_key = $1")).bind(key).fetch_optional(&mut *self).await?;
                let Some(row) = row else { return Ok(None) };
                let asked = row.close_asked.clone().unwrap_or_default();
                Ok(Some((row.read()?, asked)))
            }

            async fn shift(&mut self, id: &str) -> Result<Option<Shift>, Error> {
                let row: Option<ShiftRow> =
                    sqlx::query_as(select_shift!("WHERE id = $1")).bind(id).fetch_optional(&mut *self).await?;
                row.map(ShiftRow::read).transpose()
            }

            async fn open_shift_of(&mut self, account: &str) -> Result<Option<Shift>, Error> {
                let row: Option<ShiftRow> = sqlx::query_as(select_shift!("WHERE account = $1 AND closed_ms IS NULL"))
                    .bind(account)
                    .fetch_optional(&mut *self)
                    .await?;
                row.map(ShiftRow::read).transpose()
            }

            async fn is_drawer_open(&mut self, drawer: &str, account: &str) -> Result<bool, Error> {
                let found: Option<String> = sqlx::query_scalar(
                    "SELECT id FROM till_shift WHERE closed_ms IS NULL AND (drawer = $1 OR account = $2) LIMIT 1",
                )
                .bind(drawer)
                .bind(account)
                .fetch_optional(&mut *self)
                .await?;
                Ok(found.is_some())
            }

            async fn insert_shift(&mut self, shift: &Shift, key: &str, asked: &str) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO till_shift (id, no, drawer, account, currency, key, asked, opened_ms, float_minor, entry)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                )
                .bind(&shift.id)
                .bind(shift.no.cast_signed())
                .bind(&shift.drawer)
                .bind(&shift.account)
                .bind(shift.currency.to_string())
                .bind(key)
                .bind(asked)
                .bind(shift.opened.0)
                .bind(shift.float.minor())
                .bind(shift.entry.cast_signed())
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn end_shift(&mut self, shift: &Shift, key: &str, asked: &str) -> Result<(), Error> {
                sqlx::query(
                    "UPDATE till_shift SET expected_minor = $2, counted_minor = $3, card_expected_minor = $4,
                         card_minor = $5, reason = $6, close_key = $7, close_asked = $8, closed_ms = $9, closed_by = $10
                     WHERE id = $1 AND closed_ms IS NULL",
                )
                .bind(&shift.id)
                .bind(shift.expected.map(Amount::minor))
                .bind(shift.counted.map(Amount::minor))
                .bind(shift.card_expected.map(Amount::minor))
                .bind(shift.card.map(Amount::minor))
                .bind(shift.reason.map(DifferenceReason::as_str))
                .bind(key)
                .bind(asked)
                .bind(shift.closed.map(|at| at.0))
                .bind(shift.closed_by.as_deref())
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn cash_of(&mut self, shift: &str) -> Result<Amount, Error> {
                let minor: i64 = sqlx::query_scalar(
                    "SELECT CAST(COALESCE(SUM(CASE WHEN debit = 'drawer' THEN minor ELSE -minor END), 0) AS BIGINT)
                     FROM ledger WHERE shift = $1 AND (debit = 'drawer' OR credit = 'drawer')",
                )
                .bind(shift)
                .fetch_one(&mut *self)
                .await?;
                amount("ledger", "minor", minor)
            }

            async fn card_of(&mut self, shift: &str, currency: Currency) -> Result<Amount, Error> {
                let all = self.methods_of_shift(shift).await?;
                let card = all.iter().find(|it| it.method == Method::Card && it.currency == currency);
                let sum = card.map_or(Some(Amount::ZERO), |it| it.taken.minus(it.given));
                sum.ok_or_else(|| Error::bad_row("payment", "minor", "the sum is out of range"))
            }

            async fn methods_of_shift(&mut self, shift: &str) -> Result<Vec<MethodTotals>, Error> {
                let rows: Vec<MethodRow> =
                    sqlx::query_as(METHODS_OF_SHIFT).bind(shift).fetch_all(&mut *self).await?;
                rows.into_iter().map(read_method).collect()
            }

            async fn waiting_of_shift(&mut self, shift: &str) -> Result<u64, Error> {
                let count: i64 =
                    sqlx::query_scalar("SELECT COUNT(*) FROM payment WHERE shift = $1 AND state = 'waiting'")
                        .bind(shift)
                        .fetch_one(&mut *self)
                        .await?;
                Ok(count.cast_unsigned())
            }
        }
    };
}

store::for_each_connection!(shifts_on);
