//! Appointments and conditions: who is expected where and when, and what holds for whom. Both may shape which zones a
//! person may enter, and when patients' cards work.

use std::collections::{HashMap, HashSet};

use store::{read, transact};

use super::digest::Canon;
use super::passes::reopen_passes;
use super::persons::{BATCH_MAX, parse_person};
use super::places::called;
use super::take::{Batch, Row, save_records};
use super::{
    Alias, AppointmentRecord, AppointmentState, ConditionRecord, FeedError, FeedKind, Feeds, Place, Problem, Source,
};
use crate::acting::Acting;
use crate::audit;
use crate::changes::{Change, ChangeKind, Feed};

/// Minutes of an appointment whose end and purpose say nothing.
const USUAL_MINUTES: i64 = 30;
/// Longest appointment: a day. A longer one is a mistake that would open doors.
const LONGEST_MS: i64 = 24 * 3600 * 1000;

/// An appointment as it is written.
struct Wanted {
    id: String,
    external: String,
    patient: String,
    staff: Option<String>,
    zone: Option<String>,
    purpose: Option<String>,
    starts: i64,
    ends: i64,
    state: AppointmentState,
}

/// Person, condition, whether it holds, from, until.
type WantedCondition = (String, String, i64, Option<i64>, Option<i64>);

impl Feeds {
    pub(super) async fn appointments(
        &self,
        acting: &Acting,
        source: &Source,
        told: Vec<AppointmentRecord>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let zones = self.zone_ids().await?;
        let places: HashMap<String, Option<String>> = read!(self.inner.database, "feeds.workplace_zones", |conn| {
            let rows: Vec<(String, Option<String>)> =
                sqlx::query_as("SELECT external, zone FROM workplace WHERE source = $1")
                    .bind(source.as_str())
                    .fetch_all(&mut *conn)
                    .await?;
            Ok(rows.into_iter().collect())
        })?;
        let minutes: HashMap<String, Option<i64>> = read!(self.inner.database, "feeds.purpose_minutes", |conn| {
            let rows: Vec<(String, Option<i64>)> =
                sqlx::query_as("SELECT code, minutes FROM purpose").fetch_all(&mut *conn).await?;
            Ok(rows.into_iter().collect())
        })?;
        let newest = newest(&told, |record| (record.id.reveal().to_owned(), record.changed.map(|at| at.0)));
        let mut told = (1_u64..).zip(told).peekable();
        while told.peek().is_some() {
            let some: Vec<(u64, AppointmentRecord)> = told.by_ref().take(BATCH_MAX).collect();
            let ids = some.iter().map(|(_, it)| it.id.reveal().to_owned()).collect();
            let known = self.known(source, FeedKind::Appointments, ids).await?;
            let aliases: Vec<&Alias> =
                some.iter().flat_map(|(_, it)| std::iter::once(&it.patient).chain(&it.staff)).collect();
            let persons = self.persons_called(source, &aliases).await?;
            let (mut rows, mut wanted, mut done) = (Vec::new(), Vec::new(), Batch::default());
            for (row, record) in some {
                let external = record.id.reveal().to_owned();
                if newest.get(&external) != Some(&row) {
                    done.report.older += 1;
                    continue;
                }
                let before = known.get(&external);
                let zone = match &record.place {
                    Some(Place::Zone(zone)) => Some(zone.to_string()),
                    Some(Place::Workplace(place)) => places.get(place.reveal()).cloned().flatten(),
                    None => None,
                };
                let purpose = record.purpose.as_ref().map(|it| it.reveal().to_owned());
                let planned = purpose.as_ref().and_then(|code| minutes.get(code).copied().flatten());
                let usual = planned.unwrap_or(USUAL_MINUTES).saturating_mul(60_000);
                let ends = record.ends.map_or_else(|| record.starts.0.saturating_add(usual), |at| at.0);
                let patient = persons.get(&called(source, &record.patient)).cloned();
                let staff = record.staff.as_ref().and_then(|alias| persons.get(&called(source, alias)).cloned());
                let mut canon = Canon::new();
                canon.opt(patient.as_deref()).opt(staff.as_deref()).opt(zone.as_deref()).opt(purpose.as_deref());
                canon.number(record.starts.0).number(ends).text(record.state.as_str());
                let digest = canon.digest(&self.inner.keys.card);
                if let Some(before) = before
                    && !done.is_news(before, record.changed, &digest)
                {
                    continue;
                }
                let Some(patient) = patient else {
                    done.refuse(row, "patient", Problem::UnknownPerson);
                    continue;
                };
                if matches!(&record.place, Some(Place::Zone(zone)) if !zones.contains(zone.as_str())) {
                    done.refuse(row, "zone", Problem::UnknownZone);
                    continue;
                }
                if ends < record.starts.0 || ends.saturating_sub(record.starts.0) > LONGEST_MS {
                    done.refuse(row, "ends", Problem::Backwards);
                    continue;
                }
                let is_off = matches!(record.state, AppointmentState::Cancelled | AppointmentState::NoShow);
                done.count(before, !is_off);
                rows.push(Row {
                    external: external.clone(),
                    version_ms: record.changed.map(|at| at.0).or(before.and_then(|before| before.version_ms)),
                    digest,
                    content: String::new(),
                    person: Some(patient.clone()),
                    ended_ms: is_off.then_some(now.0),
                });
                let id = crate::draw::id()?;
                let starts = record.starts.0;
                wanted.push(Wanted { id, external, patient, staff, zone, purpose, starts, ends, state: record.state });
            }
            if !rows.is_empty() {
                let entry = done.described(&done.entry(acting, source, FeedKind::Appointments, now));
                self.write_appointments(source, wanted, rows, entry).await?;
            }
            batch.add(done);
        }
        Ok(())
    }

    async fn write_appointments(
        &self,
        source: &Source,
        wanted: Vec<Wanted>,
        rows: Vec<Row>,
        entry: audit::Draft,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let (name, settings) = (source.to_string(), self.inner.settings.clone());
        transact!(self.inner.database, "feeds.appointments", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(
                "SELECT external, id, patient, state, arrived_ms FROM appointment WHERE source = ",
            );
            select.push_bind(name.clone()).push(" AND external IN (");
            let mut list = select.separated(", ");
            for wanted in &wanted {
                list.push_bind(wanted.external.clone());
            }
            select.push(")");
            let there: Vec<(String, String, String, String, Option<i64>)> =
                select.build_query_as().persistent(false).fetch_all(&mut *conn).await?;
            let there: HashMap<String, _> = there
                .into_iter()
                .map(|(external, id, patient, state, at)| (external, (id, patient, state, at)))
                .collect();
            // What is not known yet can be led somewhere on the page of feeds.
            let codes: HashSet<&String> = wanted.iter().filter_map(|it| it.purpose.as_ref()).collect();
            if !codes.is_empty() {
                let mut insert =
                    sqlx::QueryBuilder::<Db>::new("INSERT INTO purpose (code, name, by_hand, changed_ms) ");
                insert.push_values(codes, |mut row, code| {
                    row.push_bind(code.clone()).push_bind(code.clone()).push("0").push_bind(now.0);
                });
                insert.push(" ON CONFLICT (code) DO NOTHING");
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            let mut changes = Vec::with_capacity(wanted.len());
            let mut patients: Vec<String> = Vec::with_capacity(wanted.len());
            let mut lines = Vec::with_capacity(wanted.len());
            for wanted in &wanted {
                let before = there.get(&wanted.external);
                let before_state = before.and_then(|(_, _, state, _)| AppointmentState::parse(state));
                // The patient is here by our own readers: a source that does not know it yet does not send them away.
                let state = match (before_state, wanted.state) {
                    (
                        Some(ours @ (AppointmentState::Arrived | AppointmentState::Fulfilled)),
                        AppointmentState::Booked,
                    ) => ours,
                    (Some(AppointmentState::Fulfilled), AppointmentState::Arrived) => AppointmentState::Fulfilled,
                    (_, told) => told,
                };
                let arrived = before
                    .and_then(|(.., at)| *at)
                    .or_else(|| matches!(state, AppointmentState::Arrived).then_some(now.0));
                let id = before.map_or(&wanted.id, |(id, ..)| id).clone();
                patients.push(wanted.patient.clone());
                patients.extend(before.map(|(_, patient, ..)| patient.clone()));
                changes.push(Change {
                    reason: Some(state.as_str().to_owned()),
                    patient: Some(parse_person(&wanted.patient)?),
                    staff: wanted.staff.as_deref().map(parse_person).transpose()?,
                    appointment: Some(id.clone()),
                    ..Change::new(now, now, ChangeKind::AppointmentChanged)
                });
                lines.push((id, wanted, state, arrived));
            }
            let mut insert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO appointment (id, source, external, patient, staff, zone, purpose, starts_ms, ends_ms, state,
                     arrived_ms, changed_ms) ",
            );
            insert.push_values(&lines, |mut row, (id, wanted, state, arrived)| {
                row.push_bind(id.clone())
                    .push_bind(name.clone())
                    .push_bind(wanted.external.clone())
                    .push_bind(wanted.patient.clone())
                    .push_bind(wanted.staff.clone())
                    .push_bind(wanted.zone.clone())
                    .push_bind(wanted.purpose.clone())
                    .push_bind(wanted.starts)
                    .push_bind(wanted.ends)
                    .push_bind(state.as_str())
                    .push_bind(*arrived)
                    .push_bind(now.0);
            });
            insert.push(
                " ON CONFLICT (source, external) DO UPDATE SET patient = excluded.patient, staff = excluded.staff,
                      zone = excluded.zone, purpose = excluded.purpose, starts_ms = excluded.starts_ms,
                      ends_ms = excluded.ends_ms, state = excluded.state, arrived_ms = excluded.arrived_ms,
                      changed_ms = excluded.changed_ms",
            );
            insert.build().persistent(false).execute(&mut *conn).await?;
            patients.sort_unstable();
            patients.dedup();
            reopen_passes!(conn, Db, &settings, &patients, &name, now);
            sqlx::query(
                "UPDATE counter SET value = value + 1 WHERE name = 'policy'
                 AND EXISTS (SELECT 1 FROM demand WHERE condition IS NULL)",
            )
            .execute(&mut *conn)
            .await?;
            save_records!(conn, Db, &rows, name, FeedKind::Appointments, now);
            audit::record!(conn, &entry);
            Feed::append_changes(&mut *conn, &changes).await?;
            Ok(())
        })?;
        Ok(())
    }

    pub(super) async fn conditions(
        &self,
        acting: &Acting,
        source: &Source,
        told: Vec<ConditionRecord>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let newest = newest(&told, |record| (condition_id(source, record), record.changed.map(|at| at.0)));
        let mut told = (1_u64..).zip(told).peekable();
        while told.peek().is_some() {
            let some: Vec<(u64, ConditionRecord)> = told.by_ref().take(BATCH_MAX).collect();
            let ids = some.iter().map(|(_, it)| condition_id(source, it)).collect();
            let known = self.known(source, FeedKind::Conditions, ids).await?;
            let aliases: Vec<&Alias> = some.iter().map(|(_, it)| &it.person).collect();
            let persons = self.persons_called(source, &aliases).await?;
            let mut wanted: Vec<WantedCondition> = Vec::new();
            let (mut rows, mut done) = (Vec::new(), Batch::default());
            let mut both = HashSet::new();
            for (row, record) in some {
                let external = condition_id(source, &record);
                if newest.get(&external) != Some(&row) {
                    done.report.older += 1;
                    continue;
                }
                let person = persons.get(&called(source, &record.person)).cloned();
                let mut canon = Canon::new();
                canon.opt(person.as_deref()).number(record.holds.into()).instant(record.from).instant(record.until);
                let digest = canon.digest(&self.inner.keys.card);
                let before = known.get(&external);
                if let Some(before) = before
                    && !done.is_news(before, record.changed, &digest)
                {
                    continue;
                }
                let Some(person) = person else {
                    done.refuse(row, "person", Problem::UnknownPerson);
                    continue;
                };
                if record.from.zip(record.until).is_some_and(|(from, until)| until <= from) {
                    done.refuse(row, "until", Problem::Backwards);
                    continue;
                }
                done.count(before, record.holds);
                // Two ids of one person in one batch: the later one counts.
                if !both.insert((person.clone(), record.condition.clone())) {
                    wanted.retain(|(other, condition, ..)| {
                        (other, condition) != (&person, &record.condition.to_string())
                    });
                }
                let (from, until) = (record.from.map(|at| at.0), record.until.map(|at| at.0));
                wanted.push((person.clone(), record.condition.to_string(), i64::from(record.holds), from, until));
                rows.push(Row {
                    external,
                    version_ms: record.changed.map(|at| at.0).or(before.and_then(|before| before.version_ms)),
                    digest,
                    content: String::new(),
                    person: Some(person),
                    ended_ms: (!record.holds).then_some(now.0),
                });
            }
            if !rows.is_empty() {
                let entry = done.entry(acting, source, FeedKind::Conditions, now);
                done.report.differences += self.write_conditions(source, wanted, rows, entry, done.clone()).await?;
            }
            batch.add(done);
        }
        Ok(())
    }

    /// Returns in how many a source that comes first is believed instead.
    async fn write_conditions(
        &self,
        source: &Source,
        wanted: Vec<WantedCondition>,
        rows: Vec<Row>,
        entry: audit::Draft,
        done: Batch,
    ) -> Result<u64, FeedError> {
        let now = self.inner.clock.now();
        let (own, settings) = (source.clone(), self.inner.settings.clone());
        Ok(transact!(self.inner.database, "feeds.conditions", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(
                "SELECT person, condition, source FROM person_condition WHERE person IN (",
            );
            let mut list = select.separated(", ");
            for (person, ..) in &wanted {
                list.push_bind(person.clone());
            }
            select.push(")");
            let there: Vec<(String, String, String)> =
                select.build_query_as().persistent(false).fetch_all(&mut *conn).await?;
            let there: HashMap<(String, String), String> =
                there.into_iter().map(|(person, condition, source)| ((person, condition), source)).collect();
            let is_believed = |(person, condition, ..): &&(String, String, i64, Option<i64>, Option<i64>)| {
                let other = there.get(&(person.clone(), condition.clone())).and_then(|other| Source::new(other).ok());
                other.is_none_or(|other| (settings.rank(&own), &own) <= (settings.rank(&other), &other))
            };
            let believed: Vec<_> = wanted.iter().filter(is_believed).collect();
            if !believed.is_empty() {
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO person_condition (person, condition, source, holds, from_ms, until_ms, changed_ms) ",
                );
                insert.push_values(&believed, |mut row, (person, condition, holds, from, until)| {
                    row.push_bind(person.clone())
                        .push_bind(condition.clone())
                        .push_bind(own.to_string())
                        .push_bind(*holds)
                        .push_bind(*from)
                        .push_bind(*until)
                        .push_bind(now.0);
                });
                insert.push(
                    " ON CONFLICT (person, condition) DO UPDATE SET source = excluded.source, holds = excluded.holds,
                          from_ms = excluded.from_ms, until_ms = excluded.until_ms, changed_ms = excluded.changed_ms",
                );
                insert.build().persistent(false).execute(&mut *conn).await?;
                let persons: Vec<String> = believed.iter().map(|(person, ..)| person.clone()).collect();
                if matches!(settings.patient_passes, super::PatientPasses::Condition(_)) {
                    reopen_passes!(conn, Db, &settings, &persons, &own.to_string(), now);
                }
                sqlx::query(
                    "UPDATE counter SET value = value + 1 WHERE name = 'policy'
                     AND EXISTS (SELECT 1 FROM demand WHERE condition IS NOT NULL)",
                )
                .execute(&mut *conn)
                .await?;
            }
            save_records!(conn, Db, &rows, own, FeedKind::Conditions, now);
            let entry = done.described(&entry);
            audit::record!(conn, &entry);
            Ok((wanted.len() - believed.len()) as u64)
        })?)
    }
}

/// What a condition's record is called.
pub(super) fn condition_id(source: &Source, record: &ConditionRecord) -> String {
    let (system, value) = called(source, &record.person);
    format!("{} {system} {value}", record.condition)
}

/// Of several records of one id the newest counts, of equal ones the last: its place, by id.
fn newest<T>(told: &[T], of: impl Fn(&T) -> (String, Option<i64>)) -> HashMap<String, u64> {
    let mut newest: HashMap<String, (Option<i64>, u64)> = HashMap::new();
    for (row, record) in (1..).zip(told) {
        let (id, changed) = of(record);
        let at = newest.entry(id).or_insert((changed, row));
        if changed >= at.0 {
            *at = (changed, row);
        }
    }
    newest.into_iter().map(|(id, (_, row))| (id, row)).collect()
}
