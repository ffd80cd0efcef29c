//! Workplaces and purposes: rooms as a source calls them, what visits are for, and which zones of ours both mean. What a
//! person has set on the page of feeds is not changed by a feed.

use std::collections::{HashMap, HashSet};

use store::{Error, read, transact};

use super::digest::Canon;
use super::persons::BATCH_MAX;
use super::take::{Batch, Row, save_records};
use super::{Alias, FeedError, FeedKind, Feeds, Problem, PurposeRecord, Source, WorkplaceRecord};
use crate::acting::Acting;
use crate::audit;

impl Feeds {
    pub(super) async fn workplaces(
        &self,
        acting: &Acting,
        source: &Source,
        told: Vec<WorkplaceRecord>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let zones = self.zone_ids().await?;
        let desks = self.desk_ids().await?;
        let mut row_no = 0;
        let mut told = told.into_iter().peekable();
        while told.peek().is_some() {
            let some: Vec<WorkplaceRecord> = told.by_ref().take(BATCH_MAX).collect();
            let known = self
                .known(source, FeedKind::Workplaces, some.iter().map(|it| it.id.reveal().to_owned()).collect())
                .await?;
            let staff: Vec<&Alias> = some.iter().flat_map(|it| it.staff.iter().flatten()).collect();
            let persons = self.persons_called(source, &staff).await?;
            let (mut rows, mut places, mut workers, mut done) = (Vec::new(), Vec::new(), Vec::new(), Batch::default());
            let mut seen = HashSet::new();
            // Of several records of one id the last counts.
            for (place, record) in (1_u64..).zip(some).collect::<Vec<_>>().into_iter().rev() {
                let row_no = row_no + place;
                let id = record.id.reveal().to_owned();
                if !seen.insert(id.clone()) {
                    done.report.older += 1;
                    continue;
                }
                let mut canon = Canon::new();
                canon.text(&record.name).opt(record.zone.as_ref().map(|it| it.as_str()));
                canon.opt(record.point.as_ref().map(|it| it.as_str())).number(record.active.into());
                let who: Option<Vec<String>> = record
                    .staff
                    .as_ref()
                    .map(|all| all.iter().filter_map(|alias| persons.get(&called(source, alias)).cloned()).collect());
                for person in who.iter().flatten() {
                    canon.text(person);
                }
                let digest = canon.digest(&self.inner.keys.card);
                let before = known.get(&id);
                if let Some(before) = before
                    && !done.is_news(before, record.changed, &digest)
                {
                    continue;
                }
                if record.zone.as_ref().is_some_and(|zone| !zones.contains(zone.as_str())) {
                    done.refuse(row_no, "zone", Problem::UnknownZone);
                    continue;
                }
                if record.point.as_ref().is_some_and(|point| !desks.contains(point.as_str())) {
                    done.refuse(row_no, "point", Problem::UnknownPoint);
                    continue;
                }
                done.count(before, record.active);
                let ended_ms = (!record.active).then_some(now.0);
                if let Some(who) = who {
                    workers.push((id.clone(), who));
                }
                let (zone, point) = (record.zone.map(|it| it.to_string()), record.point.map(|it| it.to_string()));
                places.push((id.clone(), record.name, zone, point, ended_ms));
                rows.push(Row {
                    external: id,
                    version_ms: record.changed.map(|at| at.0).or(before.and_then(|before| before.version_ms)),
                    digest,
                    content: String::new(),
                    person: None,
                    ended_ms,
                });
            }
            if !rows.is_empty() {
                let entry = done.described(&done.entry(acting, source, FeedKind::Workplaces, now));
                let name = source.to_string();
                transact!(self.inner.database, "feeds.workplaces", |conn| {
                    let mut insert = sqlx::QueryBuilder::<Db>::new(
                        "INSERT INTO workplace (source, external, name, zone, point, by_hand, ended_ms, changed_ms) ",
                    );
                    insert.push_values(&places, |mut row, (id, title, zone, point, ended)| {
                        row.push_bind(name.clone())
                            .push_bind(id.clone())
                            .push_bind(title.clone())
                            .push_bind(zone.clone())
                            .push_bind(point.clone())
                            .push("0")
                            .push_bind(*ended)
                            .push_bind(now.0);
                    });
                    insert.push(
                        " ON CONFLICT (source, external) DO UPDATE SET name = excluded.name,
                              zone = CASE WHEN workplace.by_hand = 1 THEN workplace.zone
                                  ELSE COALESCE(excluded.zone, workplace.zone) END,
                              point = COALESCE(excluded.point, workplace.point), ended_ms = excluded.ended_ms,
                              changed_ms = excluded.changed_ms",
                    );
                    insert.build().persistent(false).execute(&mut *conn).await?;
                    if !workers.is_empty() {
                        let mut delete = sqlx::QueryBuilder::<Db>::new("DELETE FROM workplace_staff WHERE source = ");
                        delete.push_bind(name.clone()).push(" AND external IN (");
                        let mut list = delete.separated(", ");
                        for (id, _) in &workers {
                            list.push_bind(id.clone());
                        }
                        delete.push(")");
                        delete.build().persistent(false).execute(&mut *conn).await?;
                    }
                    let all: Vec<(&String, &String)> =
                        workers.iter().flat_map(|(id, who)| who.iter().map(move |person| (id, person))).collect();
                    for all in all.chunks(500) {
                        let mut insert =
                            sqlx::QueryBuilder::<Db>::new("INSERT INTO workplace_staff (source, external, person) ");
                        insert.push_values(all, |mut row, (id, person)| {
                            row.push_bind(name.clone()).push_bind((*id).clone()).push_bind((*person).clone());
                        });
                        insert.push(" ON CONFLICT DO NOTHING");
                        insert.build().persistent(false).execute(&mut *conn).await?;
                    }
                    save_records!(conn, Db, &rows, name, FeedKind::Workplaces, now);
                    audit::record!(conn, &entry);
                    Ok(())
                })?;
            }
            row_no += BATCH_MAX as u64;
            batch.add(done);
        }
        Ok(())
    }

    pub(super) async fn purposes(
        &self,
        acting: &Acting,
        source: &Source,
        told: Vec<PurposeRecord>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let zones = self.zone_ids().await?;
        let mut row_no = 0;
        let mut told = told.into_iter().peekable();
        while told.peek().is_some() {
            let some: Vec<PurposeRecord> = told.by_ref().take(BATCH_MAX).collect();
            let known = self
                .known(source, FeedKind::Purposes, some.iter().map(|it| it.id.reveal().to_owned()).collect())
                .await?;
            let (mut rows, mut purposes, mut leads, mut done) = (Vec::new(), Vec::new(), Vec::new(), Batch::default());
            let mut seen = HashSet::new();
            for record in some {
                row_no += 1;
                let id = record.id.reveal().to_owned();
                if !seen.insert(id.clone()) {
                    done.report.older += 1;
                    continue;
                }
                let mut canon = Canon::new();
                canon.text(&record.name).number(record.minutes.map_or(-1, i64::from)).number(record.active.into());
                canon.number(record.zones.is_some().into());
                for zone in record.zones.iter().flatten() {
                    canon.text(zone.as_str());
                }
                let digest = canon.digest(&self.inner.keys.card);
                let before = known.get(&id);
                if let Some(before) = before
                    && !done.is_news(before, record.changed, &digest)
                {
                    continue;
                }
                if record.zones.iter().flatten().any(|zone| !zones.contains(zone.as_str())) {
                    done.refuse(row_no, "zones", Problem::UnknownZone);
                    continue;
                }
                done.count(before, record.active);
                let ended_ms = (!record.active).then_some(now.0);
                if let Some(zones) = &record.zones {
                    leads.push((id.clone(), zones.iter().map(ToString::to_string).collect::<Vec<_>>()));
                }
                purposes.push((id.clone(), record.name, record.minutes.map(i64::from), ended_ms));
                rows.push(Row {
                    external: id,
                    version_ms: record.changed.map(|at| at.0).or(before.and_then(|before| before.version_ms)),
                    digest,
                    content: String::new(),
                    person: None,
                    ended_ms,
                });
            }
            if !rows.is_empty() {
                let entry = done.described(&done.entry(acting, source, FeedKind::Purposes, now));
                let name = source.to_string();
                transact!(self.inner.database, "feeds.purposes", |conn| {
                    let by_hand: Vec<String> =
                        sqlx::query_scalar("SELECT code FROM purpose WHERE by_hand = 1").fetch_all(&mut *conn).await?;
                    let mut insert = sqlx::QueryBuilder::<Db>::new(
                        "INSERT INTO purpose (code, name, minutes, by_hand, ended_ms, changed_ms) ",
                    );
                    insert.push_values(&purposes, |mut row, (id, title, minutes, ended)| {
                        row.push_bind(id.clone()).push_bind(title.clone()).push_bind(*minutes).push("0");
                        row.push_bind(*ended).push_bind(now.0);
                    });
                    insert.push(
                        " ON CONFLICT (code) DO UPDATE SET name = excluded.name,
                              minutes = COALESCE(excluded.minutes, purpose.minutes), ended_ms = excluded.ended_ms,
                              changed_ms = excluded.changed_ms",
                    );
                    insert.build().persistent(false).execute(&mut *conn).await?;
                    let leads: Vec<_> = leads.iter().filter(|(id, _)| !by_hand.contains(id)).collect();
                    if !leads.is_empty() {
                        let mut delete = sqlx::QueryBuilder::<Db>::new("DELETE FROM purpose_zone WHERE purpose IN (");
                        let mut list = delete.separated(", ");
                        for (id, _) in &leads {
                            list.push_bind(id.clone());
                        }
                        delete.push(")");
                        delete.build().persistent(false).execute(&mut *conn).await?;
                        let all: Vec<(&String, &String)> =
                            leads.iter().flat_map(|(id, zones)| zones.iter().map(move |zone| (id, zone))).collect();
                        for all in all.chunks(500) {
                            let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO purpose_zone (purpose, zone) ");
                            insert.push_values(all, |mut row, (id, zone)| {
                                row.push_bind((*id).clone()).push_bind((*zone).clone());
                            });
                            insert.push(" ON CONFLICT DO NOTHING");
                            insert.build().persistent(false).execute(&mut *conn).await?;
                        }
                        sqlx::query(
                            "UPDATE counter SET value = value + 1 WHERE name = 'policy'
                             AND EXISTS (SELECT 1 FROM demand WHERE condition IS NULL)",
                        )
                        .execute(&mut *conn)
                        .await?;
                    }
                    save_records!(conn, Db, &rows, name, FeedKind::Purposes, now);
                    audit::record!(conn, &entry);
                    Ok(())
                })?;
            }
            batch.add(done);
        }
        Ok(())
    }

    /// What a whole list of anything but persons does not mention: workplaces and purposes are out of use, appointments
    /// called off, conditions do not hold.
    pub(super) async fn end_others(
        &self,
        acting: &Acting,
        source: &Source,
        kind: FeedKind,
        ids: Vec<String>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        let now = self.inner.clock.now();
        let mut done = Batch::default();
        done.report.ended = ids.len() as u64;
        let entry = done.described(&done.entry(acting, source, kind, now));
        let name = source.to_string();
        let settings = self.inner.settings.clone();
        transact!(self.inner.database, "feeds.end", |conn| {
            let (before, after) = match kind {
                FeedKind::Workplaces => ("UPDATE workplace SET ended_ms = ", " AND external IN ("),
                FeedKind::Purposes => ("UPDATE purpose SET ended_ms = ", " AND code IN ("),
                FeedKind::Appointments => (
                    "UPDATE appointment SET state = 'cancelled', changed_ms = ",
                    " AND state IN ('booked') AND external IN (",
                ),
                _ => ("UPDATE person_condition SET holds = 0, changed_ms = ", " AND (condition || ' ' || person) IN ("),
            };
            let persons: Vec<(String, Option<String>)> = {
                let mut select = sqlx::QueryBuilder::<Db>::new(
                    "SELECT external, person FROM feed_record WHERE person IS NOT NULL AND source = ",
                );
                select.push_bind(name.clone()).push(" AND kind = ").push_bind(kind.as_str());
                select.push(" AND external IN (");
                let mut list = select.separated(", ");
                for id in &ids {
                    list.push_bind(id.clone());
                }
                select.push(")");
                select.build_query_as().persistent(false).fetch_all(&mut *conn).await?
            };
            let mut update = sqlx::QueryBuilder::<Db>::new(before);
            update.push_bind(now.0);
            if kind == FeedKind::Purposes {
                update.push(" WHERE by_hand = 0");
            } else {
                update.push(" WHERE source = ").push_bind(name.clone());
            }
            update.push(after);
            let mut list = update.separated(", ");
            for id in &ids {
                // A condition's record is called by the condition and the source's id; its row by condition and person.
                let of_condition = persons.iter().find(|(external, _)| kind == FeedKind::Conditions && external == id);
                let key = match of_condition {
                    Some((external, Some(person))) => {
                        format!("{} {person}", external.split(' ').next().unwrap_or_default())
                    }
                    _ => id.clone(),
                };
                list.push_bind(key);
            }
            update.push(")");
            update.build().persistent(false).execute(&mut *conn).await?;
            let mut update = sqlx::QueryBuilder::<Db>::new("UPDATE feed_record SET digest = 'ended', ended_ms = ");
            update.push_bind(now.0).push(" WHERE source = ").push_bind(name.clone());
            update.push(" AND kind = ").push_bind(kind.as_str()).push(" AND external IN (");
            let mut list = update.separated(", ");
            for id in &ids {
                list.push_bind(id.clone());
            }
            update.push(")");
            update.build().persistent(false).execute(&mut *conn).await?;
            if matches!(kind, FeedKind::Appointments | FeedKind::Conditions) {
                let persons: Vec<String> = persons.into_iter().filter_map(|(_, person)| person).collect();
                super::passes::reopen_passes!(conn, Db, &settings, &persons, &name, now);
                sqlx::query(
                    "UPDATE counter SET value = value + 1 WHERE name = 'policy' AND EXISTS (SELECT 1 FROM demand)",
                )
                .execute(&mut *conn)
                .await?;
            }
            audit::record!(conn, &entry);
            Ok(())
        })?;
        batch.add(done);
        Ok(())
    }

    pub(super) async fn zone_ids(&self) -> Result<HashSet<String>, Error> {
        let ids: Vec<String> = read!(self.inner.database, "feeds.zones", |conn| {
            Ok(sqlx::query_scalar("SELECT id FROM zone").fetch_all(&mut *conn).await?)
        })?;
        Ok(ids.into_iter().collect())
    }

    async fn desk_ids(&self) -> Result<HashSet<String>, Error> {
        let ids: Vec<String> = read!(self.inner.database, "feeds.desks", |conn| {
            Ok(sqlx::query_scalar("SELECT id FROM point WHERE kind = 'workstation'").fetch_all(&mut *conn).await?)
        })?;
        Ok(ids.into_iter().collect())
    }

    /// Whom these ids mean, merges followed; unknown ones are missing.
    pub(super) async fn persons_called(
        &self,
        source: &Source,
        aliases: &[&Alias],
    ) -> Result<HashMap<(String, String), String>, Error> {
        let mut found = HashMap::new();
        for aliases in aliases.chunks(1000) {
            let rows: Vec<(String, String, String)> = read!(self.inner.database, "feeds.called", |conn| {
                let mut select = sqlx::QueryBuilder::<Db>::new(
                    "SELECT person_alias.system, person_alias.value,
                         COALESCE(person_merge.into_person, person_alias.person)
                     FROM person_alias LEFT JOIN person_merge ON person_merge.person = person_alias.person
                     WHERE person_alias.value IN (",
                );
                let mut list = select.separated(", ");
                for alias in aliases {
                    list.push_bind(alias.value.reveal().to_owned());
                }
                select.push(")");
                Ok(select.build_query_as().persistent(false).fetch_all(&mut *conn).await?)
            })?;
            found.extend(rows.into_iter().map(|(system, value, person)| ((system, value), person)));
        }
        let _ = source;
        Ok(found)
    }
}

/// System and value of an alias.
pub(super) fn called(source: &Source, alias: &Alias) -> (String, String) {
    (alias.system.clone().unwrap_or_else(|| source.to_string()), alias.value.reveal().to_owned())
}
