//! What is known of persons that zones ask about: coming appointments and conditions, as grants of the policy. Reads
//! only; the rows are the feeds'.

use std::collections::HashMap;

use chrono::{Days, NaiveTime, TimeZone};
use chrono_tz::Tz;
use domain::policy::{Grant, Granted, Layout};
use domain::{PersonId, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read};

use crate::rows::column;

/// Rows read by one statement.
const PAGE: i64 = 5000;
/// How far ahead appointments come with the policy: a gateway that is cut off for so long goes on.
const AHEAD_MS: i64 = 60 * DAY_MS;
/// Appointments that began so long ago are over.
const BEHIND_MS: i64 = 2 * DAY_MS;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Most grants of appointments: the nearest in time; fewer than the policy takes, so that conditions have room.
const VISITS_MAX: usize = 600_000;
/// Most conditions of persons.
const CONDITIONS_MAX: usize = 400_000;

/// Where a purpose leads and when.
#[derive(Default)]
struct Purpose {
    zones: Vec<u16>,
    early_ms: Option<i64>,
    late_ms: Option<i64>,
}

#[derive(FromRow)]
struct Visit {
    id: String,
    patient: String,
    zone: Option<String>,
    purpose: Option<String>,
    starts_ms: i64,
    ends_ms: i64,
}

#[derive(FromRow)]
struct Held {
    person: String,
    condition: String,
    from_ms: Option<i64>,
    until_ms: Option<i64>,
}

/// All grants that this layout's zones ask about; none if no zone asks.
pub(super) async fn read_grants(database: &Database, layout: &Layout, now: UtcMillis) -> Result<Vec<Grant>, Error> {
    let mut grants = Vec::new();
    if layout.demands.iter().any(|demand| demand.condition().is_none()) {
        visits(database, layout, now, &mut grants).await?;
    }
    let conditions = layout.conditions();
    if conditions.is_empty() {
        return Ok(grants);
    }
    let places: HashMap<&str, u16> = conditions.iter().map(|id| id.as_str()).zip(0..).collect();
    let (mut person, mut condition) = (String::new(), String::new());
    let most = grants.len() + CONDITIONS_MAX;
    loop {
        let rows: Vec<Held> = read!(database, "policy.conditions", |conn| {
            Ok(sqlx::query_as(
                "SELECT person, condition, from_ms, until_ms FROM person_condition
                 WHERE (person, condition) > ($1, $2) AND holds = 1 ORDER BY person, condition LIMIT $3",
            )
            .bind(&person)
            .bind(&condition)
            .bind(PAGE)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let Some(last) = rows.last() else { return Ok(grants) };
        (person, condition) = (last.person.clone(), last.condition.clone());
        for row in rows {
            let until = row.until_ms.unwrap_or(i64::MAX);
            let Some(position) = places.get(row.condition.as_str()).filter(|_| until > now.0) else { continue };
            if grants.len() >= most {
                return Ok(grants);
            }
            let person = column("person_condition", "person", &row.person, |text: &str| text.parse())?;
            let from = UtcMillis(row.from_ms.unwrap_or(i64::MIN));
            grants.push(Grant { person, of: Granted::Condition(*position), from, until: UtcMillis(until) });
        }
    }
}

async fn visits(database: &Database, layout: &Layout, now: UtcMillis, grants: &mut Vec<Grant>) -> Result<(), Error> {
    let zones: HashMap<&str, u16> = layout.zones.iter().map(|zone| zone.id.as_str()).zip(0..).collect();
    let purposes = purposes(database, &zones).await?;
    let zone_of_clock: Tz = layout.time_zone.parse().unwrap_or(Tz::UTC);
    let (mut starts, mut id) = (now.0.saturating_sub(BEHIND_MS), String::new());
    loop {
        let rows: Vec<Visit> = read!(database, "policy.visits", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, patient, zone, purpose, starts_ms, ends_ms FROM appointment
                 WHERE (starts_ms, id) > ($1, $2) AND starts_ms < $3 AND state IN ('booked', 'arrived')
                 ORDER BY starts_ms, id LIMIT $4",
            )
            .bind(starts)
            .bind(&id)
            .bind(now.0.saturating_add(AHEAD_MS))
            .bind(PAGE)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let Some(last) = rows.last() else { return Ok(()) };
        (starts, id) = (last.starts_ms, last.id.clone());
        for row in rows {
            let purpose = row.purpose.as_deref().and_then(|code| purposes.get(code));
            let (from, until) = window(&row, purpose, zone_of_clock);
            if until.0 <= now.0 {
                continue;
            }
            let person: PersonId = column("appointment", "patient", &row.patient, |text: &str| text.parse())?;
            let own = row.zone.as_deref().and_then(|zone| zones.get(zone).copied());
            let of_purpose = purpose.into_iter().flat_map(|purpose| purpose.zones.iter().copied());
            for zone in own.into_iter().chain(of_purpose.filter(|zone| Some(*zone) != own)) {
                if grants.len() >= VISITS_MAX {
                    return Ok(());
                }
                grants.push(Grant { person, of: Granted::Zone(zone), from, until });
            }
        }
    }
}

/// When an appointment lets its patient in: as its purpose says, else on the whole day of the clinic.
fn window(visit: &Visit, purpose: Option<&Purpose>, zone: Tz) -> (UtcMillis, UtcMillis) {
    let early = purpose.and_then(|purpose| purpose.early_ms);
    let late = purpose.and_then(|purpose| purpose.late_ms);
    let from = early.map_or_else(|| midnight(visit.starts_ms, 0, zone), |ms| visit.starts_ms.saturating_sub(ms));
    let until = late.map_or_else(|| midnight(visit.ends_ms, 1, zone), |ms| visit.ends_ms.saturating_add(ms));
    (UtcMillis(from), UtcMillis(until))
}

/// The first instant of the clinic's day of `at`, or of the day so many later; `at` itself if there is no such day.
pub(crate) fn midnight(at: i64, days_later: u64, zone: Tz) -> i64 {
    let Some(at_utc) = UtcMillis(at).to_chrono() else { return at };
    let day = at_utc.with_timezone(&zone).date_naive();
    let Some(day) = day.checked_add_days(Days::new(days_later)) else { return at };
    let midnight = day.and_time(NaiveTime::MIN);
    // Where midnight is skipped by the clock, the day begins an hour later.
    let found = zone.from_local_datetime(&midnight).earliest();
    let found = found.or_else(|| zone.from_local_datetime(&(midnight + chrono::TimeDelta::hours(1))).earliest());
    found.map_or(at, |instant| instant.timestamp_millis())
}

/// Code, minutes early and late in milliseconds, a zone.
type PurposeRow = (String, Option<i64>, Option<i64>, Option<String>);

async fn purposes(database: &Database, zones: &HashMap<&str, u16>) -> Result<HashMap<String, Purpose>, Error> {
    let rows: Vec<PurposeRow> = read!(database, "policy.purposes", |conn| {
        Ok(sqlx::query_as(
            "SELECT purpose.code, purpose.early_ms, purpose.late_ms, purpose_zone.zone FROM purpose
             LEFT JOIN purpose_zone ON purpose_zone.purpose = purpose.code",
        )
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let mut purposes: HashMap<String, Purpose> = HashMap::new();
    for (code, early_ms, late_ms, zone) in rows {
        let purpose = purposes.entry(code).or_default();
        (purpose.early_ms, purpose.late_ms) = (early_ms, late_ms);
        purpose.zones.extend(zone.and_then(|zone| zones.get(zone.as_str()).copied()));
    }
    Ok(purposes)
}
