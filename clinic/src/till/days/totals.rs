//! What days brought: the sums, on either engine, and how they are kept. Statements only; no rule.

use std::collections::BTreeMap;

use domain::UtcMillis;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use serde_json::{Value, json};
use store::Error;

use super::{CurrencyTotals, DAYS_MAX, DayClosed, DayTotals};
use crate::till::ledger::{amount, currency, day};
use crate::till::shifts::{MethodRow, MethodTotals, read_method};

/// An engine's connection inside a transaction, with the rows of days.
pub(super) trait DaysOn {
    /// Holds the ledger until the transaction ends, so that nobody posts meanwhile; the number of its last row.
    async fn hold_ledger(&mut self) -> Result<u64, Error>;
    /// The closing of a day, and what was stored of it.
    async fn closed_day(&mut self, day: LocalDate) -> Result<Option<(DayClosed, String)>, Error>;
    /// The closings of days in a range.
    async fn closed_days(
        &mut self,
        from: LocalDate,
        until: LocalDate,
    ) -> Result<BTreeMap<LocalDate, (DayClosed, String)>, Error>;
    /// Stores the closing of a day.
    async fn insert_day(&mut self, day: LocalDate, closed: &DayClosed, totals: &str) -> Result<(), Error>;
    /// The first day with something on it that is not closed.
    async fn first_open_day(&mut self) -> Result<Option<LocalDate>, Error>;
    /// Days with something on them in a range, newest first.
    async fn days_with_something(&mut self, from: LocalDate, until: LocalDate) -> Result<Vec<LocalDate>, Error>;
    /// Open shifts that were opened before an instant: id and drawer.
    async fn shifts_opened_before(&mut self, at: UtcMillis) -> Result<Vec<(String, String)>, Error>;
    /// Payments begun before an instant that wait for a terminal.
    async fn waiting_before(&mut self, at: UtcMillis) -> Result<u64, Error>;
    /// What days of a range brought.
    async fn totals_of_days(
        &mut self,
        from: LocalDate,
        until: LocalDate,
    ) -> Result<BTreeMap<LocalDate, DayTotals>, Error>;
    /// What a day brought.
    async fn totals_of(&mut self, day: LocalDate) -> Result<DayTotals, Error>;
}

/// Day, closed_ms, actor_kind, actor, last_ledger, totals, entry.
type ClosedRow = (i64, i64, String, Option<String>, i64, String, i64);

fn read_closed(
    (days, at, actor_kind, actor, last, totals, entry): ClosedRow,
) -> Result<(LocalDate, (DayClosed, String)), Error> {
    let closed = DayClosed {
        at: UtcMillis(at),
        actor_kind,
        actor,
        last_ledger: last.cast_unsigned(),
        entry: entry.cast_unsigned(),
    };
    Ok((day("till_day", "day", days)?, (closed, totals)))
}

/// Day, currency, revenue, discounts, written off, into deposits, out of deposits, difference.
type LedgerRow = (i64, String, i64, i64, i64, i64, i64, i64);
/// Day, currency, charges, cancelled, unpaid charges, unpaid.
type ChargeSums = (i64, String, i64, i64, i64, i64);
/// Day, and what a method brought.
type DayMethod = (i64, String, String, i64, i64, i64);

/// The line of a currency, made where there is none.
fn line(totals: &mut DayTotals, money: Currency) -> &mut CurrencyTotals {
    let at = match totals.currencies.iter().position(|sums| sums.currency == money) {
        Some(at) => at,
        None => {
            totals.currencies.push(CurrencyTotals {
                currency: money,
                charges: 0,
                cancelled: 0,
                revenue: Amount::ZERO,
                discounts: Amount::ZERO,
                written_off: Amount::ZERO,
                deposit_in: Amount::ZERO,
                deposit_out: Amount::ZERO,
                difference: Amount::ZERO,
                unpaid_count: 0,
                unpaid: Amount::ZERO,
            });
            totals.currencies.len() - 1
        }
    };
    &mut totals.currencies[at]
}

fn gather(
    sums: Vec<LedgerRow>,
    charges: Vec<ChargeSums>,
    methods: Vec<DayMethod>,
) -> Result<BTreeMap<LocalDate, DayTotals>, Error> {
    const T: &str = "ledger";
    let mut days: BTreeMap<LocalDate, DayTotals> = BTreeMap::new();
    for (on, money, revenue, discounts, written_off, deposit_in, deposit_out, difference) in sums {
        let line = line(days.entry(day(T, "day", on)?).or_default(), currency(T, &money)?);
        line.revenue = amount(T, "minor", revenue)?;
        line.discounts = amount(T, "minor", discounts)?;
        line.written_off = amount(T, "minor", written_off)?;
        line.deposit_in = amount(T, "minor", deposit_in)?;
        line.deposit_out = amount(T, "minor", deposit_out)?;
        line.difference = amount(T, "minor", difference)?;
    }
    for (on, money, count, cancelled, unpaid_count, unpaid) in charges {
        let line = line(days.entry(day("charge", "day", on)?).or_default(), currency("charge", &money)?);
        line.charges = count.cast_unsigned();
        line.cancelled = cancelled.cast_unsigned();
        line.unpaid_count = unpaid_count.cast_unsigned();
        line.unpaid = amount("charge", "net_minor", unpaid)?;
    }
    for (on, method, money, count, taken, given) in methods {
        let row: MethodRow = (method, money, count, taken, given);
        days.entry(day("payment", "day", on)?).or_default().methods.push(read_method(row)?);
    }
    for totals in days.values_mut() {
        totals.currencies.sort_by_key(|sums| sums.currency);
        totals.methods.sort_by_key(|sums| (sums.currency, sums.method));
    }
    Ok(days)
}

macro_rules! days_on {
    ($connection:ty) => {
        impl DaysOn for $connection {
            async fn hold_ledger(&mut self) -> Result<u64, Error> {
                let last: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value WHERE name = 'ledger' RETURNING value")
                        .fetch_one(&mut *self)
                        .await?;
                Ok(last.cast_unsigned())
            }

            async fn closed_day(&mut self, day: LocalDate) -> Result<Option<(DayClosed, String)>, Error> {
                Ok(self.closed_days(day, day).await?.remove(&day))
            }

            async fn closed_days(
                &mut self,
                from: LocalDate,
                until: LocalDate,
            ) -> Result<BTreeMap<LocalDate, (DayClosed, String)>, Error> {
                let rows: Vec<ClosedRow> = sqlx::query_as(
                    "SELECT day, closed_ms, actor_kind, actor, last_ledger, totals, entry FROM till_day
                     WHERE day >= $1 AND day <= $2 ORDER BY day DESC LIMIT $3",
                )
                .bind(i64::from(from.0))
                .bind(i64::from(until.0))
                .bind(i64::from(DAYS_MAX))
                .fetch_all(&mut *self)
                .await?;
                rows.into_iter().map(read_closed).collect()
            }

            async fn insert_day(&mut self, day: LocalDate, closed: &DayClosed, totals: &str) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO till_day (day, closed_ms, actor_kind, actor, last_ledger, totals, entry)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(i64::from(day.0))
                .bind(closed.at.0)
                .bind(&closed.actor_kind)
                .bind(closed.actor.as_deref())
                .bind(closed.last_ledger.cast_signed())
                .bind(totals)
                .bind(closed.entry.cast_signed())
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn first_open_day(&mut self) -> Result<Option<LocalDate>, Error> {
                let first: Option<i64> = sqlx::query_scalar(
                    "SELECT MIN(day) FROM (
                         SELECT MIN(day) AS day FROM ledger WHERE day > (SELECT COALESCE(MAX(day), -1000000) FROM till_day)
                         UNION ALL
                         SELECT MIN(day) FROM charge WHERE day > (SELECT COALESCE(MAX(day), -1000000) FROM till_day)
                     ) AS days",
                )
                .fetch_one(&mut *self)
                .await?;
                first.map(|days| day("ledger", "day", days)).transpose()
            }

            async fn days_with_something(
                &mut self,
                from: LocalDate,
                until: LocalDate,
            ) -> Result<Vec<LocalDate>, Error> {
                let rows: Vec<i64> = sqlx::query_scalar(
                    "SELECT day FROM ledger WHERE day >= $1 AND day <= $2
                     UNION SELECT day FROM charge WHERE day >= $1 AND day <= $2
                     UNION SELECT day FROM till_day WHERE day >= $1 AND day <= $2
                     ORDER BY day DESC LIMIT $3",
                )
                .bind(i64::from(from.0))
                .bind(i64::from(until.0))
                .bind(i64::from(DAYS_MAX))
                .fetch_all(&mut *self)
                .await?;
                rows.into_iter().map(|days| day("ledger", "day", days)).collect()
            }

            async fn shifts_opened_before(&mut self, at: UtcMillis) -> Result<Vec<(String, String)>, Error> {
                Ok(sqlx::query_as(
                    "SELECT id, drawer FROM till_shift WHERE closed_ms IS NULL AND opened_ms < $1 ORDER BY no LIMIT 50",
                )
                .bind(at.0)
                .fetch_all(&mut *self)
                .await?)
            }

            async fn waiting_before(&mut self, at: UtcMillis) -> Result<u64, Error> {
                let count: i64 =
                    sqlx::query_scalar("SELECT COUNT(*) FROM payment WHERE state = 'waiting' AND begun_ms < $1")
                        .bind(at.0)
                        .fetch_one(&mut *self)
                        .await?;
                Ok(count.cast_unsigned())
            }

            async fn totals_of_days(
                &mut self,
                from: LocalDate,
                until: LocalDate,
            ) -> Result<BTreeMap<LocalDate, DayTotals>, Error> {
                let (from, until) = (i64::from(from.0), i64::from(until.0));
                let sums: Vec<LedgerRow> = sqlx::query_as(
                    "SELECT day, currency,
                         CAST(SUM(CASE WHEN credit = 'revenue' THEN minor WHEN debit = 'revenue' THEN -minor ELSE 0 END)
                             AS BIGINT),
                         CAST(SUM(CASE WHEN debit = 'discount' THEN minor WHEN credit = 'discount' THEN -minor ELSE 0 END)
                             AS BIGINT),
                         CAST(SUM(CASE WHEN debit = 'write_off' THEN minor WHEN credit = 'write_off' THEN -minor ELSE 0 END)
                             AS BIGINT),
                         CAST(SUM(CASE WHEN credit = 'deposit' AND debit <> 'merged' THEN minor ELSE 0 END) AS BIGINT),
                         CAST(SUM(CASE WHEN debit = 'deposit' AND credit <> 'merged' THEN minor ELSE 0 END) AS BIGINT),
                         CAST(SUM(CASE WHEN credit = 'difference' THEN minor WHEN debit = 'difference' THEN -minor ELSE 0 END)
                             AS BIGINT)
                     FROM ledger WHERE day >= $1 AND day <= $2 GROUP BY day, currency",
                )
                .bind(from)
                .bind(until)
                .fetch_all(&mut *self)
                .await?;
                let charges: Vec<ChargeSums> = sqlx::query_as(
                    "SELECT day, currency, COUNT(*),
                         CAST(SUM(CASE WHEN state = 'cancelled' THEN 1 ELSE 0 END) AS BIGINT),
                         CAST(SUM(CASE WHEN state <> 'cancelled' AND paid_minor + written_off_minor < net_minor
                             THEN 1 ELSE 0 END) AS BIGINT),
                         CAST(SUM(CASE WHEN state <> 'cancelled' THEN net_minor - paid_minor - written_off_minor ELSE 0 END)
                             AS BIGINT)
                     FROM charge WHERE day >= $1 AND day <= $2 GROUP BY day, currency",
                )
                .bind(from)
                .bind(until)
                .fetch_all(&mut *self)
                .await?;
                let methods: Vec<DayMethod> = sqlx::query_as(
                    "SELECT p.day, p.method, p.currency, COUNT(*),
                         CAST(SUM(CASE WHEN p.kind = 'paid' OR (p.kind = 'returned' AND o.kind = 'refunded')
                             THEN p.minor ELSE 0 END) AS BIGINT),
                         CAST(SUM(CASE WHEN p.kind = 'refunded' OR (p.kind = 'returned' AND o.kind = 'paid')
                             THEN p.minor ELSE 0 END) AS BIGINT)
                     FROM payment p LEFT JOIN payment o ON o.id = p.reverses
                     WHERE p.state IN ('done', 'returned') AND p.day >= $1 AND p.day <= $2
                     GROUP BY p.day, p.method, p.currency",
                )
                .bind(from)
                .bind(until)
                .fetch_all(&mut *self)
                .await?;
                gather(sums, charges, methods)
            }

            async fn totals_of(&mut self, day: LocalDate) -> Result<DayTotals, Error> {
                Ok(self.totals_of_days(day, day).await?.remove(&day).unwrap_or_default())
            }
        }
    };
}

store::for_each_connection!(days_on);

/// The totals as they are kept: codes and minor units.
pub(super) fn to_json(totals: &DayTotals) -> String {
    let currencies: Vec<Value> = totals
        .currencies
        .iter()
        .map(|sums| {
            json!({
                "currency": sums.currency.as_str(),
                "charges": sums.charges,
                "cancelled": sums.cancelled,
                "revenue": sums.revenue.minor(),
                "discounts": sums.discounts.minor(),
                "written_off": sums.written_off.minor(),
                "deposit_in": sums.deposit_in.minor(),
                "deposit_out": sums.deposit_out.minor(),
                "difference": sums.difference.minor(),
                "unpaid_count": sums.unpaid_count,
                "unpaid": sums.unpaid.minor(),
            })
        })
        .collect();
    let methods: Vec<Value> = totals
        .methods
        .iter()
        .map(|sums| {
            json!({
                "method": sums.method.as_str(),
                "currency": sums.currency.as_str(),
                "count": sums.count,
                "taken": sums.taken.minor(),
                "given": sums.given.minor(),
            })
        })
        .collect();
    json!({ "currencies": currencies, "methods": methods }).to_string()
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json(text: &str) -> Result<DayTotals, Error> {
    const T: &str = "till_day";
    let bad = |what: &str| Error::bad_row(T, "totals", format!("{what} is missing or no number"));
    let all: Value = serde_json::from_str(text).map_err(|_| Error::bad_row(T, "totals", "this is not JSON"))?;
    let list = |name: &str| all.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text =
        |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| bad(name));
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_i64).ok_or_else(|| bad(name));
    let money = |of: &Value, name: &str| amount(T, "totals", number(of, name)?);
    let mut totals = DayTotals::default();
    for sums in list("currencies") {
        totals.currencies.push(CurrencyTotals {
            currency: currency(T, &text(&sums, "currency")?)?,
            charges: number(&sums, "charges")?.cast_unsigned(),
            cancelled: number(&sums, "cancelled")?.cast_unsigned(),
            revenue: money(&sums, "revenue")?,
            discounts: money(&sums, "discounts")?,
            written_off: money(&sums, "written_off")?,
            deposit_in: money(&sums, "deposit_in")?,
            deposit_out: money(&sums, "deposit_out")?,
            difference: money(&sums, "difference")?,
            unpaid_count: number(&sums, "unpaid_count")?.cast_unsigned(),
            unpaid: money(&sums, "unpaid")?,
        });
    }
    for sums in list("methods") {
        let row: MethodRow = (
            text(&sums, "method")?,
            text(&sums, "currency")?,
            number(&sums, "count")?,
            number(&sums, "taken")?,
            number(&sums, "given")?,
        );
        let read: MethodTotals = read_method(row)?;
        totals.methods.push(read);
    }
    Ok(totals)
}
