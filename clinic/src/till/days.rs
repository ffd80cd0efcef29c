//! Days of the till: what a day brought, and its closing. A closed day stays as it is: nothing is posted to it any more, and it
//! is never opened again. Owns the table `till_day`.

mod totals;

use chrono::{Days, NaiveDate, NaiveTime, TimeZone};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{Permission, UtcMillis};
use store::{Error, transact};

use super::shifts::{MethodTotals, invalid};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use totals::{DaysOn, from_json, to_json};

/// Most days read at once.
pub const DAYS_MAX: u32 = 400;

/// What a day brought in one currency. All sums come from the ledger's rows of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyTotals {
    /// The currency.
    pub currency: Currency,
    /// Charges registered on this day.
    pub charges: u64,
    /// Of them, taken back until the totals were made.
    pub cancelled: u64,
    /// Services at their price, less what was taken back.
    pub revenue: Amount,
    /// Discounts on it.
    pub discounts: Amount,
    /// What was written off.
    pub written_off: Amount,
    /// What went into deposits.
    pub deposit_in: Amount,
    /// What came out of deposits, used or given back.
    pub deposit_out: Amount,
    /// Cash too much (positive) or missing (negative) at closings of drawers.
    pub difference: Amount,
    /// Charges of this day that were still open when the totals were made.
    pub unpaid_count: u64,
    /// What was open of them.
    pub unpaid: Amount,
}

/// What a day brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// By currency.
    pub currencies: Vec<CurrencyTotals>,
    /// Payments by method and currency.
    pub methods: Vec<MethodTotals>,
}

/// What hinders the closing of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// The day has not come yet.
    Future,
    /// An earlier day with something on it is not closed.
    Earlier(LocalDate),
    /// An open shift, by its id and drawer.
    OpenShift(String, String),
    /// So many payments wait for a terminal.
    Waiting(u64),
}

/// The closing of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayClosed {
    /// When.
    pub at: UtcMillis,
    /// The kind of who did it.
    pub actor_kind: String,
    /// Their id.
    pub actor: Option<String>,
    /// The number of the last row of the ledger before it.
    pub last_ledger: u64,
    /// The number of its entry in the audit log.
    pub entry: u64,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub day: LocalDate,
    /// What it brought: as stored at its closing, or as it is now.
    pub totals: DayTotals,
    /// Its closing.
    pub closed: Option<DayClosed>,
    /// What hinders its closing now; nothing for a closed one.
    pub hindrances: Vec<Hindrance>,
}

impl Hindrance {
    /// A stable code, the key of its translation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Future => "future",
            Self::Earlier(_) => "earlier",
            Self::OpenShift(..) => "open_shift",
            Self::Waiting(_) => "waiting",
        }
    }

    /// All codes, for completeness of translations.
    pub const CODES: &'static [&'static str] = &["future", "earlier", "open_shift", "waiting"];
}

/// A range of days with its instants: from the first, until before the second.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    day: LocalDate,
    today: LocalDate,
    /// The first instant after the day.
    end: UtcMillis,
}

/// Reads a day inside a transaction.
async fn look<C: DaysOn>(conn: &mut C, bounds: Bounds) -> Result<Day, Error> {
    let day = bounds.day;
    if let Some((closed, totals)) = conn.closed_day(day).await? {
        return Ok(Day { day, totals: from_json(&totals)?, closed: Some(closed), hindrances: Vec::new() });
    }
    let mut hindrances = Vec::new();
    if day > bounds.today {
        hindrances.push(Hindrance::Future);
    }
    if let Some(earlier) = conn.first_open_day().await?.filter(|earlier| *earlier < day) {
        hindrances.push(Hindrance::Earlier(earlier));
    }
    for (id, drawer) in conn.shifts_opened_before(bounds.end).await? {
        hindrances.push(Hindrance::OpenShift(id, drawer));
    }
    let waiting = conn.waiting_before(bounds.end).await?;
    if waiting > 0 {
        hindrances.push(Hindrance::Waiting(waiting));
    }
    Ok(Day { day, totals: conn.totals_of(day).await?, closed: None, hindrances })
}

fn told(hindrance: &Hindrance) -> String {
    match hindrance {
        Hindrance::Future => "the day has not come yet".to_owned(),
        Hindrance::Earlier(day) => format!("close {} first", day_text(*day)),
        Hindrance::OpenShift(_, drawer) => format!("the drawer {drawer:?} is open; close it first"),
        Hindrance::Waiting(count) => format!("{count} payments wait for a card terminal; settle them first"),
    }
}

/// `2026-11-22`.
fn day_text(day: LocalDate) -> String {
    date_of(day).map_or_else(|| day.0.to_string(), |date| date.format("%Y-%m-%d").to_string())
}

fn date_of(day: LocalDate) -> Option<NaiveDate> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    if day.0 >= 0 {
        epoch.checked_add_days(Days::new(u64::from(day.0.unsigned_abs())))
    } else {
        epoch.checked_sub_days(Days::new(u64::from(day.0.unsigned_abs())))
    }
}

impl Till {
    /// The first instant of a day of the clinic. Where midnight is left out by summer time, the first instant after it.
    pub(crate) fn start_of(&self, day: LocalDate) -> UtcMillis {
        let Some(date) = date_of(day) else { return UtcMillis(i64::from(day.0).saturating_mul(86_400_000)) };
        let midnight = date.and_time(NaiveTime::MIN);
        // Summer time leaves out or repeats at most a few hours.
        let found = (0..24).find_map(|quarter| {
            let at = midnight + chrono::TimeDelta::minutes(15 * quarter);
            self.zone.from_local_datetime(&at).earliest()
        });
        found.map_or(UtcMillis(midnight.and_utc().timestamp_millis()), |at| UtcMillis(at.timestamp_millis()))
    }

    /// The first instant after a day of the clinic.
    pub(crate) fn end_of(&self, day: LocalDate) -> UtcMillis {
        self.start_of(LocalDate(day.0.saturating_add(1)))
    }

    fn bounds(&self, day: LocalDate) -> Bounds {
        Bounds { day, today: self.today(), end: self.end_of(day) }
    }

    /// Closes a day: what it brought is stored, and nothing posts to it any more; what comes later on the same day counts to
    /// the next. Closing a closed day again gives what was stored.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillClose`]; `Invalid` with the field `day` and what hinders it.
    pub async fn close_day(&self, acting: &Acting, day: LocalDate) -> Result<Day, TillError> {
        acting.must(Permission::TillClose)?;
        let (bounds, now) = (self.bounds(day), self.clock.now());
        let draft = acting.draft(now, Action::DayClosed);
        let (actor_kind, actor) = (acting.actor.kind().to_owned(), acting.actor.id().map(std::borrow::Cow::into_owned));
        transact!(self.database, "till.close_day", |conn| {
            // First the lock: whoever posts meanwhile comes before or after all of this.
            let last_ledger = conn.hold_ledger().await?;
            let mut found = look(conn, bounds).await?;
            if found.closed.is_some() {
                return Ok(Ok(found));
            }
            if let Some(hindrance) = found.hindrances.first() {
                return Ok(Err(invalid("day", &told(hindrance))));
            }
            let json = to_json(&found.totals);
            let mut detail = format!("day={} last_ledger={last_ledger}", day_text(day));
            for sums in &found.totals.currencies {
                detail.push_str(&format!(
                    " currency={} charges={} revenue={} discounts={} written_off={} difference={} unpaid={}",
                    sums.currency,
                    sums.charges,
                    sums.revenue.minor(),
                    sums.discounts.minor(),
                    sums.written_off.minor(),
                    sums.difference.minor(),
                    sums.unpaid.minor(),
                ));
            }
            let draft = Draft { object: Some(day_text(day)), detail: Some(detail), ..draft.clone() };
            let entry = audit::record!(conn, &draft);
            let closed =
                DayClosed { at: now, actor_kind: actor_kind.clone(), actor: actor.clone(), last_ledger, entry };
            conn.insert_day(day, &closed, &json).await?;
            found.closed = Some(closed);
            Ok(Ok(found))
        })?
    }

    /// A day: as stored at its closing, or as it is now, with what hinders its closing.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillClose`] or [`domain::Permission::TillReport`].
    pub async fn day(&self, acting: &Acting, day: LocalDate) -> Result<Day, TillError> {
        acting.must(Permission::TillClose).or_else(|_| acting.must(Permission::TillReport))?;
        let bounds = self.bounds(day);
        // A transaction, so that all sums are of one moment.
        Ok(transact!(self.database, "till.day", |conn| { look(conn, bounds).await })?)
    }

    /// Days with something on them in a range, newest first, at most [`DAYS_MAX`]. Hindrances are not looked for here.
    ///
    /// # Errors
    /// As [`Till::day`].
    pub async fn days(&self, acting: &Acting, from: LocalDate, until: LocalDate) -> Result<Vec<Day>, TillError> {
        acting.must(Permission::TillClose).or_else(|_| acting.must(Permission::TillReport))?;
        Ok(transact!(self.database, "till.days", |conn| {
            let mut days = Vec::new();
            let mut closed = conn.closed_days(from, until).await?;
            let mut open = conn.totals_of_days(from, until).await?;
            for day in conn.days_with_something(from, until).await? {
                let day = match closed.remove(&day) {
                    Some((closing, totals)) => {
                        Day { day, totals: from_json(&totals)?, closed: Some(closing), hindrances: Vec::new() }
                    }
                    None => {
                        Day { day, totals: open.remove(&day).unwrap_or_default(), closed: None, hindrances: Vec::new() }
                    }
                };
                days.push(day);
            }
            Ok(days)
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_people_write_it() {
        assert_eq!(day_text(LocalDate::new(2026, 11, 22).unwrap()), "2026-11-22");
        assert_eq!(day_text(LocalDate::new(1969, 12, 31).unwrap()), "1969-12-31");
    }
}
