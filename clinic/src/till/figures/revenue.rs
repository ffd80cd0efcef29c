//! What was earned, by what; and the discounts in it. From the ledger's entries of the days, so that the sums are those of
//! the closed days. What costs nothing has no entry and is not counted.

use std::collections::BTreeMap;

use chrono::Timelike as _;
use domain::codes;
use domain::money::{Amount, Currency};
use domain::{Permission, UtcMillis};
use store::{Error, read};

use super::Days;
use crate::acting::Acting;
use crate::rows::{column, number};
use crate::till::account::names;
use crate::till::ledger::amount;
use crate::till::{Till, TillError};

/// Most lines of one list; those with the most come first, and the total counts all.
pub const LINES_MAX: usize = 5000;
/// The zones of the world differ by quarters of an hour.
const QUARTER_MS: i64 = 15 * 60 * 1000;

codes! {
    /// By what revenue is summed up.
    RevenueBy {
        /// By service.
        Service = "service",
        /// By who rendered it.
        Staff = "staff",
        /// By room.
        Room = "room",
        /// By hour of the clinic's day.
        Hour = "hour",
        /// By day.
        Day = "day",
    }
}

/// What was earned within days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revenue {
    /// By what.
    pub by: RevenueBy,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The lines: hours and days in their order, all others by what they earned, the most first; at most [`LINES_MAX`].
    pub lines: Vec<RevenueLine>,
    /// All of it; its key is empty.
    pub total: RevenueLine,
    /// Written off within the days.
    pub written_off: Amount,
}

/// What was earned by one service, person, room, hour or day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevenueLine {
    /// Which: a code of a service, a pseudonym, a zone, an hour (`00` to `23`), a day as number of days since 1970; empty where
    /// there is none.
    pub key: String,
    /// What the service is called, by language.
    pub names: BTreeMap<String, String>,
    /// Services rendered.
    pub rendered: u64,
    /// Services taken back.
    pub cancelled: u64,
    /// Prices, less those of what was taken back.
    pub gross: Amount,
    /// Discounts, less those of what was taken back.
    pub discount: Amount,
    /// What was to be paid: `gross - discount`.
    pub net: Amount,
}

/// Discounts given within days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The currency of all amounts.
    pub currency: Currency,
    /// By scheme, version and step.
    pub lines: Vec<DiscountLine>,
    /// All prices on which a discount was given, and all discounts.
    pub total: (Amount, Amount),
}

/// Discounts of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscountLine {
    /// The scheme, by its id; empty where the row is older than schemes.
    pub scheme: String,
    /// What the scheme is called.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// From which sum the step counts.
    pub from: Option<Amount>,
    /// Its rate in hundredths of a per cent.
    pub rate: u32,
    /// Services rendered with it.
    pub rendered: u64,
    /// Taken back.
    pub cancelled: u64,
    /// Prices.
    pub gross: Amount,
    /// Discounts.
    pub discount: Amount,
}

/// What each of these statements sums up; `key` is the first column.
macro_rules! sums {
    ($key:literal, $join:literal, $group:literal) => {
        concat!(
            "SELECT ", $key, " AS k,
                 CAST(COUNT(DISTINCT CASE WHEN l.kind = 'rendered' THEN l.entry END) AS BIGINT) AS rendered,
                 CAST(COUNT(DISTINCT CASE WHEN l.kind = 'cancelled' THEN l.entry END) AS BIGINT) AS cancelled,
                 CAST(SUM(CASE WHEN l.credit = 'revenue' THEN l.minor WHEN l.debit = 'revenue' THEN -l.minor ELSE 0 END)
                     AS BIGINT) AS gross,
                 CAST(SUM(CASE WHEN l.debit = 'discount' THEN l.minor WHEN l.credit = 'discount' THEN -l.minor ELSE 0 END)
                     AS BIGINT) AS discount
             FROM ledger l ", $join, "
             WHERE l.day >= $1 AND l.day <= $2 AND l.currency = $3 AND l.kind IN ('rendered', 'cancelled')
             GROUP BY ", $group
        )
    };
}

impl Till {
    /// What was earned within days, summed up by something.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_report`; [`TillError::Invalid`]; engine errors.
    pub async fn revenue(&self, acting: &Acting, days: &Days, by: RevenueBy) -> Result<Revenue, TillError> {
        acting.must(Permission::TillReport)?;
        days.check()?;
        let currency = days.currency.unwrap_or(self.rules.currency);
        let statement = match by {
            RevenueBy::Service => sums!("c.service", "JOIN charge c ON c.id = l.charge", "1"),
            RevenueBy::Staff => sums!("COALESCE(c.staff, '')", "JOIN charge c ON c.id = l.charge", "1"),
            RevenueBy::Room => sums!("COALESCE(c.zone, '')", "JOIN charge c ON c.id = l.charge", "1"),
            RevenueBy::Hour => sums!("CAST(l.at_ms / 900000 AS TEXT)", "", "1"),
            RevenueBy::Day => sums!("CAST(l.day AS TEXT)", "", "1"),
        };
        let (rows, written_off, services): (Vec<SumRow>, i64, Vec<(String, String)>) =
            read!(self.database, "till.revenue", |conn| {
                let rows = sqlx::query_as(statement)
                    .bind(i64::from(days.from.0))
                    .bind(i64::from(days.until.0))
                    .bind(currency.to_string())
                    .fetch_all(&mut *conn)
                    .await?;
                let written_off = sqlx::query_scalar(
                    "SELECT CAST(COALESCE(SUM(CASE WHEN debit = 'write_off' THEN minor ELSE -minor END), 0) AS BIGINT)
                     FROM ledger WHERE day >= $1 AND day <= $2 AND currency = $3
                       AND (debit = 'write_off' OR credit = 'write_off')",
                )
                .bind(i64::from(days.from.0))
                .bind(i64::from(days.until.0))
                .bind(currency.to_string())
                .fetch_one(&mut *conn)
                .await?;
                let services = match by {
                    RevenueBy::Service => {
                        sqlx::query_as("SELECT code, names FROM service").fetch_all(&mut *conn).await?
                    }
                    _ => Vec::new(),
                };
                Ok((rows, written_off, services))
            })?;
        let services: BTreeMap<String, String> = services.into_iter().collect();
        let mut found: BTreeMap<String, RevenueLine> = BTreeMap::new();
        let mut total = RevenueLine::empty(String::new());
        for row in rows {
            let key = if by == RevenueBy::Hour { self.hour(&row.k)? } else { row.k.clone() };
            row.add_to(&mut total)?;
            row.add_to(found.entry(key.clone()).or_insert_with(|| RevenueLine::empty(key)))?;
        }
        let mut lines: Vec<RevenueLine> = found.into_values().collect();
        match by {
            RevenueBy::Hour => {}
            RevenueBy::Day => lines.sort_by_key(|line| line.key.parse::<i64>().unwrap_or(0)),
            _ => lines.sort_by(|a, b| b.net.cmp(&a.net).then_with(|| a.key.cmp(&b.key))),
        }
        lines.truncate(LINES_MAX);
        for line in &mut lines {
            line.names = names(services.get(&line.key).map(String::as_str))?;
        }
        Ok(Revenue { by, currency, lines, total, written_off: amount("ledger", "minor", written_off)? })
    }

    /// Discounts given within days, by scheme, version and step.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_report`; [`TillError::Invalid`]; engine errors.
    pub async fn discounts_given(&self, acting: &Acting, days: &Days) -> Result<Given, TillError> {
        acting.must(Permission::TillReport)?;
        days.check()?;
        let currency = days.currency.unwrap_or(self.rules.currency);
        let rows: Vec<StepRow> = read!(self.database, "till.discounts_given", |conn| {
            Ok(sqlx::query_as(
                "SELECT c.scheme, c.scheme_version, c.rate, d.name, d.steps,
                     CAST(COUNT(DISTINCT CASE WHEN l.kind = 'rendered' THEN l.entry END) AS BIGINT) AS rendered,
                     CAST(COUNT(DISTINCT CASE WHEN l.kind = 'cancelled' THEN l.entry END) AS BIGINT) AS cancelled,
                     CAST(SUM(CASE WHEN l.credit = 'revenue' THEN l.minor WHEN l.debit = 'revenue' THEN -l.minor ELSE 0 END)
                         AS BIGINT) AS gross,
                     CAST(SUM(CASE WHEN l.debit = 'discount' THEN l.minor WHEN l.credit = 'discount' THEN -l.minor ELSE 0
                         END) AS BIGINT) AS discount
                 FROM ledger l JOIN charge c ON c.id = l.charge
                 LEFT JOIN discount_scheme d ON d.id = c.scheme AND d.version = c.scheme_version
                 WHERE l.day >= $1 AND l.day <= $2 AND l.currency = $3 AND l.kind IN ('rendered', 'cancelled')
                   AND c.discount_minor > 0
                 GROUP BY c.scheme, c.scheme_version, c.rate, d.name, d.steps
                 ORDER BY c.scheme, c.scheme_version, c.rate LIMIT $4",
            )
            .bind(i64::from(days.from.0))
            .bind(i64::from(days.until.0))
            .bind(currency.to_string())
            .bind(LINES_MAX as i64)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let lines = rows.into_iter().map(StepRow::read).collect::<Result<Vec<_>, _>>()?;
        let add = |sum: Amount, more: Amount| sum.plus(more).ok_or_else(too_much);
        let gross = lines.iter().try_fold(Amount::ZERO, |sum, line| add(sum, line.gross))?;
        let discount = lines.iter().try_fold(Amount::ZERO, |sum, line| add(sum, line.discount))?;
        Ok(Given { currency, lines, total: (gross, discount) })
    }

    /// The hour of the clinic's day in which a quarter of an hour lies, counted since 1970.
    fn hour(&self, quarter: &str) -> Result<String, Error> {
        let quarter: i64 = column("ledger", "at_ms", quarter, str::parse)?;
        let at = UtcMillis(quarter.saturating_mul(QUARTER_MS)).to_chrono();
        Ok(at.map_or_else(String::new, |at| format!("{:02}", at.with_timezone(&self.zone).hour())))
    }
}

impl RevenueLine {
    fn empty(key: String) -> Self {
        let zero = Amount::ZERO;
        Self { key, names: BTreeMap::new(), rendered: 0, cancelled: 0, gross: zero, discount: zero, net: zero }
    }
}

fn too_much() -> Error {
    Error::bad_row("ledger", "minor", "the sum is beyond what money can be")
}

#[derive(sqlx::FromRow)]
struct SumRow {
    k: String,
    rendered: i64,
    cancelled: i64,
    gross: i64,
    discount: i64,
}

impl SumRow {
    fn add_to(&self, line: &mut RevenueLine) -> Result<(), Error> {
        let (gross, discount) = (amount("ledger", "minor", self.gross)?, amount("ledger", "minor", self.discount)?);
        line.rendered += number::<u64>("ledger", "entry", self.rendered)?;
        line.cancelled += number::<u64>("ledger", "entry", self.cancelled)?;
        line.gross = line.gross.plus(gross).ok_or_else(too_much)?;
        line.discount = line.discount.plus(discount).ok_or_else(too_much)?;
        line.net = line.gross.minus(line.discount).ok_or_else(too_much)?;
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct StepRow {
    scheme: Option<String>,
    scheme_version: Option<i64>,
    rate: i64,
    name: Option<String>,
    steps: Option<String>,
    rendered: i64,
    cancelled: i64,
    gross: i64,
    discount: i64,
}

impl StepRow {
    fn read(self) -> Result<DiscountLine, Error> {
        const T: &str = "charge";
        let rate: u32 = number(T, "rate", self.rate)?;
        let read = |json: &str| serde_json::from_str::<Vec<(i64, u32)>>(json);
        let steps = self.steps.as_deref().map(|json| column("discount_scheme", "steps", json, read)).transpose()?;
        // The lowest step of this rate: two steps of one rate are one to whoever pays.
        let step = steps.unwrap_or_default().into_iter().find(|(_, of)| *of == rate);
        let scheme = self.scheme.unwrap_or_default();
        Ok(DiscountLine {
            name: self.name.unwrap_or_else(|| scheme.clone()),
            scheme,
            version: number(T, "scheme_version", self.scheme_version.unwrap_or(0))?,
            from: step.map(|(from, _)| amount("discount_scheme", "steps", from)).transpose()?,
            rate,
            rendered: number(T, "rendered", self.rendered)?,
            cancelled: number(T, "cancelled", self.cancelled)?,
            gross: amount(T, "gross_minor", self.gross)?,
            discount: amount(T, "discount_minor", self.discount)?,
        })
    }
}
