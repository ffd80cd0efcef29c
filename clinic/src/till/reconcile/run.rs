//! What a bridge does with a comparison: takes it for a while, reads our side, says what it found. A bridge that dies
//! leaves it to the next, which begins anew.

use std::collections::{BTreeMap, BTreeSet};

use domain::UtcMillis;
use domain::schedule::LocalDate;
use store::{Database, Error, read, sqlx, transact};

use super::{Basis, CHARGES_MAX, Compared, LINES_MAX, Ours};
use crate::outbox::{DeliveryState, Fault};
use crate::rows::code;
use crate::till::ledger::{amount, currency, day};

/// Rows of one statement.
const MANY_MAX: usize = 500;
/// How long before its rendering a service may have been ordered to be found: 400 days, in milliseconds.
const ORDERED_BEFORE_MS: i64 = 400 * 24 * 3_600_000;

/// A comparison that is ours for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// With which system.
    pub destination: String,
    /// Which days.
    pub days: Days,
}

/// Days of the clinic, and when they begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub first: LocalDate,
    /// The last day, which is included.
    pub last: LocalDate,
    /// The instant at which the first day begins.
    pub from: UtcMillis,
    /// The instant at which the last day has ended.
    pub until: UtcMillis,
}

/// Takes the oldest comparison with a system that waits, or that a bridge left; it is `holder`'s until `lease`.
///
/// # Errors
/// Engine errors.
pub async fn claim(
    database: &Database,
    destination: &str,
    holder: &str,
    now: UtcMillis,
    lease: UtcMillis,
) -> Result<Option<Job>, Error> {
    let (name, holder) = (destination.to_owned(), holder.to_owned());
    let waiting: Option<String> = read!(database, "till.reconcile.waiting", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT id FROM reconciliation
             WHERE destination = $1 AND (state = 'asked' OR (state = 'running' AND lease_ms < $2)) ORDER BY no LIMIT 1",
        )
        .bind(&name)
        .bind(now.0)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    let Some(id) = waiting else { return Ok(None) };
    let row: Option<(String, String, i64, i64, i64, i64)> = transact!(database, "till.reconcile.claim", |conn| {
        Ok(sqlx::query_as(
            "UPDATE reconciliation SET state = 'running', taken_by = $1, lease_ms = $2, ours = 0, theirs = 0
             WHERE id = $3 AND (state = 'asked' OR (state = 'running' AND lease_ms < $4))
             RETURNING id, destination, from_day, until_day, from_ms, until_ms",
        )
        .bind(&holder)
        .bind(lease.0)
        .bind(&id)
        .bind(now.0)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    let Some((id, destination, first, last, from, until)) = row else { return Ok(None) };
    let (first, last) = (day("reconciliation", "from_day", first)?, day("reconciliation", "until_day", last)?);
    let days = Days { first, last, from: UtcMillis(from), until: UtcMillis(until) };
    Ok(Some(Job { id, destination, days }))
}

/// Says how much was read so far and keeps the comparison until `lease`. `false`: it is somebody else's by now.
///
/// # Errors
/// Engine errors.
pub async fn progress(
    database: &Database,
    job: &Job,
    holder: &str,
    (ours, theirs): (usize, usize),
    lease: UtcMillis,
) -> Result<bool, Error> {
    let (id, holder) = (job.id.clone(), holder.to_owned());
    let count = |many: usize| i64::try_from(many).unwrap_or(i64::MAX);
    let (ours, theirs) = (count(ours), count(theirs));
    transact!(database, "till.reconcile.progress", |conn| {
        let kept = sqlx::query(
            "UPDATE reconciliation SET ours = $1, theirs = $2, lease_ms = $3
             WHERE id = $4 AND taken_by = $5 AND state = 'running'",
        )
        .bind(ours)
        .bind(theirs)
        .bind(lease.0)
        .bind(&id)
        .bind(&holder)
        .execute(&mut *conn)
        .await?;
        Ok(kept.rows_affected() > 0)
    })
}

/// Our charges that were rendered in the days of a comparison, in the order of their numbers; `None` if they are more than
/// [`CHARGES_MAX`].
///
/// # Errors
/// Engine errors, or a row that this version cannot read.
pub async fn ours(database: &Database, job: &Job) -> Result<Option<Vec<Ours>>, Error> {
    const T: &str = "charge";
    let (from, until) = (job.days.from.0, job.days.until.0);
    let rows: Vec<(String, String, i64, String)> = read!(database, "till.reconcile.ours", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, currency, net_minor, state FROM charge
             WHERE registered_ms >= $1 AND registered_ms < $2 AND rendered_ms >= $3 AND rendered_ms < $2
             ORDER BY no LIMIT $4",
        )
        .bind(from.saturating_sub(ORDERED_BEFORE_MS))
        .bind(until)
        .bind(from)
        .bind(i64::try_from(CHARGES_MAX + 1).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    if rows.len() > CHARGES_MAX {
        return Ok(None);
    }
    let one = |(charge, code, minor, state): (String, String, i64, String)| {
        Ok(Ours {
            charge,
            currency: currency(T, &code)?,
            amount: amount(T, "net_minor", minor)?,
            counts: state != domain::till::ChargeState::Cancelled.as_str(),
        })
    };
    rows.into_iter().map(one).collect::<Result<_, Error>>().map(Some)
}

/// Which of these ids are charges of ours, of whatever days.
///
/// # Errors
/// Engine errors.
pub async fn known(database: &Database, ids: Vec<String>) -> Result<BTreeSet<String>, Error> {
    let mut known = BTreeSet::new();
    for some in ids.chunks(MANY_MAX) {
        let some = some.to_vec();
        let found: Vec<String> = read!(database, "till.reconcile.known", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new("SELECT id FROM charge WHERE id IN (");
            let mut list = select.separated(", ");
            for id in &some {
                list.push_bind(id);
            }
            select.push(")");
            Ok(select.build_query_scalar().fetch_all(&mut *conn).await?)
        })?;
        known.extend(found);
    }
    Ok(known)
}

/// How far a system was told of a charge: of each of the two changes its number and what became of its delivery. `None`: it
/// is not (or no longer) in the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// That it was rendered.
    pub rendered: Option<(u64, Option<DeliveryState>)>,
    /// That it was taken back.
    pub cancelled: Option<(u64, Option<DeliveryState>)>,
}

impl Told {
    /// How far telling has come, a code: that of the delivery, or `not_told`.
    pub fn code(&self) -> &'static str {
        self.rendered.and_then(|(_, state)| state).map_or("not_told", DeliveryState::as_str)
    }
}

/// How far a system was told of charges.
///
/// # Errors
/// Engine errors, or a row that this version cannot read.
pub async fn told(
    database: &Database,
    destination: &str,
    charges: Vec<String>,
) -> Result<BTreeMap<String, Told>, Error> {
    let mut all: BTreeMap<String, Told> = BTreeMap::new();
    for some in charges.chunks(MANY_MAX) {
        let (name, some) = (destination.to_owned(), some.to_vec());
        let rows: Vec<(String, i64, String, Option<String>)> = read!(database, "till.reconcile.told", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(
                "SELECT change.detail, change.id, change.kind, delivery.state FROM change
                 LEFT JOIN delivery ON delivery.change = change.id AND delivery.destination = ",
            );
            select.push_bind(&name);
            select.push(" WHERE change.kind IN ('charge_rendered', 'charge_cancelled') AND change.detail IN (");
            let mut list = select.separated(", ");
            for id in &some {
                list.push_bind(id);
            }
            select.push(")");
            Ok(select.build_query_as().fetch_all(&mut *conn).await?)
        })?;
        for (charge, change, kind, state) in rows {
            let state = state.map(|text| code("delivery", "state", &text, DeliveryState::parse)).transpose()?;
            let told = all.entry(charge).or_default();
            let place = if kind == "charge_rendered" { &mut told.rendered } else { &mut told.cancelled };
            *place = Some((change.cast_unsigned(), state));
        }
    }
    Ok(all)
}

/// Writes down what was found. `false`: the comparison is somebody else's by now.
///
/// # Errors
/// Engine errors.
pub async fn end(
    database: &Database,
    job: &Job,
    holder: &str,
    basis: Basis,
    found: Compared,
    now: UtcMillis,
) -> Result<bool, Error> {
    let (id, holder) = (job.id.clone(), holder.to_owned());
    let signed = u64::cast_signed;
    let differences = i64::try_from(found.differences.len()).unwrap_or(i64::MAX);
    transact!(database, "till.reconcile.end", |conn| {
        let done = sqlx::query(
            "UPDATE reconciliation SET state = 'done', ended_ms = $1, basis = $2, ours = $3, theirs = $4, alike = $5,
                 differences = $6, taken_by = NULL, lease_ms = NULL
             WHERE id = $7 AND taken_by = $8 AND state = 'running'",
        )
        .bind(now.0)
        .bind(basis.as_str())
        .bind(signed(found.ours))
        .bind(signed(found.theirs))
        .bind(signed(found.alike))
        .bind(differences)
        .bind(&id)
        .bind(&holder)
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let mut n = 0_i64;
        let kept = found.differences.len().min(LINES_MAX);
        for some in found.differences.get(..kept).unwrap_or_default().chunks(MANY_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO reconciliation_line (reconciliation, n, kind, charge, external, currency, ours_minor,
                     theirs_minor, state) ",
            );
            insert.push_values(some, |mut row, one| {
                n += 1;
                row.push_bind(&id)
                    .push_bind(n)
                    .push_bind(one.kind.as_str())
                    .push_bind(&one.charge)
                    .push_bind(one.external.as_deref())
                    .push_bind(one.currency.map(|currency| currency.to_string()))
                    .push_bind(one.ours.map(|amount| amount.minor()))
                    .push_bind(one.theirs.map(|amount| amount.minor()))
                    .push_bind(&one.state);
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        Ok(true)
    })
}

/// Says that a comparison could not be done. Nothing if it is somebody else's by now.
///
/// # Errors
/// Engine errors.
pub async fn fail(database: &Database, job: &Job, holder: &str, fault: &Fault, now: UtcMillis) -> Result<(), Error> {
    let (id, holder, fault) = (job.id.clone(), holder.to_owned(), fault.stored());
    transact!(database, "till.reconcile.fail", |conn| {
        sqlx::query(
            "UPDATE reconciliation SET state = 'failed', ended_ms = $1, fault = $2, taken_by = NULL, lease_ms = NULL
             WHERE id = $3 AND taken_by = $4 AND state = 'running'",
        )
        .bind(now.0)
        .bind(&fault)
        .bind(&id)
        .bind(&holder)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
}
