//! One list: what is news in it, what a whole list ends and whether it may, how the feed stands afterwards.

use std::collections::{HashMap, HashSet};

use domain::{PersonId, UtcMillis};
use store::{read, transact};

use super::digest::hex;
use super::persons::{BATCH_MAX, Told, parse_person};
use super::{FeedError, FeedKind, Feeds, Held, List, Mode, Problem, Records, Refusal, Report, Source};
use crate::acting::Acting;
use crate::audit::{Action, Draft};

/// Problems kept of each feed; older ones go.
pub(super) const PROBLEMS_KEPT: i64 = 2000;
const HOUR_MS: i64 = 3_600_000;
/// Stands for the digest of a record that was joined to another one.
const MERGED: &str = "merged";

/// What is known of a record.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Known {
    pub external: String,
    pub version_ms: Option<i64>,
    pub digest: String,
    pub ended_ms: Option<i64>,
}

/// A record to be remembered.
pub(super) struct Row {
    pub external: String,
    pub version_ms: Option<i64>,
    pub digest: String,
    pub content: String,
    pub person: Option<String>,
    pub ended_ms: Option<i64>,
}

/// What became of the records so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    pub report: Report,
    /// Records that say nothing new, at a later time than known: what lies between is older.
    touched: Vec<(String, i64)>,
}

impl Batch {
    /// Whether a record says more than is known; counts it if not.
    pub fn is_news(&mut self, known: &Known, changed: Option<UtcMillis>, digest: &str) -> bool {
        if changed.zip(known.version_ms).is_some_and(|(changed, known)| changed.0 < known) {
            self.report.older += 1;
            return false;
        }
        if known.digest == digest || known.digest == MERGED {
            self.report.unchanged += 1;
            if let Some(changed) = changed.filter(|changed| Some(changed.0) > known.version_ms) {
                self.touched.push((known.external.clone(), changed.0));
            }
            return false;
        }
        true
    }

    /// Counts a record that was taken.
    pub fn count(&mut self, before: Option<&Known>, active: bool) {
        let was_active = before.is_some_and(|before| before.ended_ms.is_none());
        match (before, active) {
            (_, false) if was_active => self.report.ended += 1,
            (None, _) => self.report.added += 1,
            (Some(_), _) => self.report.changed += 1,
        }
    }

    pub fn refuse(&mut self, row: u64, field: &'static str, problem: Problem) {
        self.report.refuse(Refusal::new(row, field, problem));
    }

    pub fn add(&mut self, other: Self) {
        let Report { added, changed, unchanged, older, ended, differences, refused, more_refused, held } = other.report;
        self.report.added += added;
        self.report.changed += changed;
        self.report.unchanged += unchanged;
        self.report.older += older;
        self.report.ended += ended;
        self.report.differences += differences;
        refused.into_iter().for_each(|refusal| self.report.refuse(refusal));
        self.report.more_refused += more_refused;
        self.report.held = held.or(self.report.held.take());
        self.touched.extend(other.touched);
    }

    /// The entry of the audit log; the counts are added when they are known.
    pub fn entry(&self, acting: &Acting, source: &Source, kind: FeedKind, now: UtcMillis) -> Draft {
        Draft { object: Some(format!("{source}/{kind}")), ..acting.draft(now, Action::FeedTaken) }
    }

    pub fn described(&self, entry: &Draft) -> Draft {
        let Report { added, changed, ended, differences, .. } = &self.report;
        let detail = format!("added={added}; changed={changed}; ended={ended}; differences={differences}");
        Draft { detail: Some(detail), ..entry.clone() }
    }
}

/// Remembers records inside a transaction.
macro_rules! save_records {
    ($conn:expr, $db:ty, $rows:expr, $source:expr, $kind:expr, $now:expr) => {{
        let rows: &[$crate::feeds::take::Row] = $rows;
        for rows in rows.chunks(500) {
            let mut insert = sqlx::QueryBuilder::<$db>::new(
                "INSERT INTO feed_record (source, kind, external, version_ms, digest, content, person, told_ms, ended_ms) ",
            );
            insert.push_values(rows, |mut values, row| {
                values
                    .push_bind($source.to_string())
                    .push_bind($kind.as_str())
                    .push_bind(row.external.clone())
                    .push_bind(row.version_ms)
                    .push_bind(row.digest.clone())
                    .push_bind(row.content.clone())
                    .push_bind(row.person.clone())
                    .push_bind($now.0)
                    .push_bind(row.ended_ms);
            });
            insert.push(
                " ON CONFLICT (source, kind, external) DO UPDATE SET version_ms = excluded.version_ms,
                      digest = excluded.digest, content = excluded.content, person = excluded.person,
                      told_ms = excluded.told_ms, ended_ms = excluded.ended_ms",
            );
            insert.build().persistent(false).execute(&mut *$conn).await?;
        }
    }};
}
pub(super) use save_records;

impl Feeds {
    /// Takes a list, with the records of it that could not be read.
    pub(super) async fn take_all(&self, acting: &Acting, source: &Source, list: List) -> Result<Report, FeedError> {
        let List { records, refused, mode } = list;
        let kind = records.kind();
        // One list at a time: an older one never overtakes a newer one between the vault and the rest.
        let _turn = self.inner.turn.lock().await;
        let mut batch = Batch::default();
        let has_unread = !refused.is_empty();
        refused.into_iter().for_each(|refusal| batch.report.refuse(refusal));
        let mut ending = Vec::new();
        if mode == Mode::Whole && !has_unread {
            match self.missing(source, &records).await? {
                Missing::End(ids) => ending = ids,
                Missing::Held(held) => {
                    batch.report.held = Some(held);
                    self.note(source, kind, records.len(), &batch.report).await?;
                    return Ok(batch.report);
                }
            }
        }
        let count = records.len();
        match records {
            Records::Staff(all) => {
                let told = (1..).zip(all).map(|(row, record)| Told::of_staff(row, record, source, self)).collect();
                self.all_persons(acting, source, kind, told, &mut batch).await?;
            }
            Records::Patients(all) => {
                let told = (1..).zip(all).map(|(row, record)| Told::of_patient(row, record, source, self)).collect();
                self.all_persons(acting, source, kind, told, &mut batch).await?;
            }
            Records::Workplaces(all) => self.workplaces(acting, source, all, &mut batch).await?,
            Records::Appointments(all) => self.appointments(acting, source, all, &mut batch).await?,
            Records::Purposes(all) => self.purposes(acting, source, all, &mut batch).await?,
            Records::Conditions(all) => self.conditions(acting, source, all, &mut batch).await?,
            Records::Messages(all) => self.orders(acting, source, all, &mut batch).await?,
        }
        for ids in ending.chunks(BATCH_MAX) {
            match kind {
                FeedKind::Staff | FeedKind::Patients => {
                    let named = ids.iter().filter_map(|(id, person)| Some((id.clone(), (*person)?))).collect();
                    self.end_persons(acting, source, kind, named, &mut batch).await?;
                }
                _ => {
                    let ids = ids.iter().map(|(id, _)| id.clone()).collect();
                    self.end_others(acting, source, kind, ids, &mut batch).await?;
                }
            }
        }
        self.touch(source, kind, std::mem::take(&mut batch.touched)).await?;
        self.note(source, kind, count, &batch.report).await?;
        Ok(batch.report)
    }

    /// Remembers the later times of records that said nothing new.
    async fn touch(&self, source: &Source, kind: FeedKind, touched: Vec<(String, i64)>) -> Result<(), store::Error> {
        if touched.is_empty() {
            return Ok(());
        }
        let source = source.to_string();
        transact!(self.inner.database, "feeds.touch", |conn| {
            for some in touched.chunks(500) {
                let mut update = sqlx::QueryBuilder::<Db>::new("WITH told (external, version) AS (");
                update.push_values(some, |mut row, (external, version)| {
                    row.push_bind(external.clone()).push_bind(*version);
                });
                update.push(
                    ") UPDATE feed_record SET version_ms = told.version FROM told
                     WHERE told.external = feed_record.external AND feed_record.source = ",
                );
                update.push_bind(source.clone()).push(" AND feed_record.kind = ").push_bind(kind.as_str());
                update.push(" AND (feed_record.version_ms IS NULL OR feed_record.version_ms < told.version)");
                update.build().persistent(false).execute(&mut *conn).await?;
            }
            Ok(())
        })
    }

    async fn all_persons(
        &self,
        acting: &Acting,
        source: &Source,
        kind: FeedKind,
        told: Vec<Told>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        // Of several records of one id the newest counts, of equal ones the last.
        let mut newest: HashMap<String, (Option<UtcMillis>, u64)> = HashMap::new();
        for told in &told {
            let at = newest.entry(told.id.reveal().to_owned()).or_insert((told.changed, told.row));
            if told.changed >= at.0 {
                *at = (told.changed, told.row);
            }
        }
        let before = told.len();
        let told: Vec<Told> = told
            .into_iter()
            .filter(|told| newest.get(told.id.reveal()).is_some_and(|(_, row)| *row == told.row))
            .collect();
        batch.report.older += (before - told.len()) as u64;
        let mut told = told.into_iter().peekable();
        while told.peek().is_some() {
            let some = told.by_ref().take(BATCH_MAX).collect();
            self.persons(acting, source, kind, some, batch).await?;
        }
        Ok(())
    }

    /// What is known of these records, by id.
    pub(super) async fn known(
        &self,
        source: &Source,
        kind: FeedKind,
        ids: Vec<String>,
    ) -> Result<HashMap<String, Known>, store::Error> {
        let mut known = HashMap::new();
        for ids in ids.chunks(1000) {
            let rows: Vec<Known> = read!(self.inner.database, "feeds.known", |conn| {
                let mut select = sqlx::QueryBuilder::<Db>::new(
                    "SELECT external, version_ms, digest, ended_ms FROM feed_record WHERE source = ",
                );
                select.push_bind(source.as_str()).push(" AND kind = ").push_bind(kind.as_str());
                select.push(" AND external IN (");
                let mut list = select.separated(", ");
                for id in ids {
                    list.push_bind(id.clone());
                }
                select.push(")");
                Ok(select.build_query_as().persistent(false).fetch_all(&mut *conn).await?)
            })?;
            known.extend(rows.into_iter().map(|row| (row.external.clone(), row)));
        }
        Ok(known)
    }

    /// What a whole list does not mention, if it may end.
    async fn missing(&self, source: &Source, records: &Records) -> Result<Missing, FeedError> {
        let kind = records.kind();
        if kind == FeedKind::Messages {
            return Ok(Missing::End(Vec::new()));
        }
        let told: HashSet<String> = match records {
            Records::Conditions(all) => all.iter().map(|it| super::appointments::condition_id(source, it)).collect(),
            others => others.ids().collect(),
        };
        let known: Vec<(String, Option<String>)> = read!(self.inner.database, "feeds.live", |conn| {
            Ok(sqlx::query_as(
                "SELECT external, person FROM feed_record
                 WHERE source = $1 AND kind = $2 AND ended_ms IS NULL ORDER BY external",
            )
            .bind(source.as_str())
            .bind(kind.as_str())
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let of = known.len() as u64;
        let missing: Vec<(String, Option<PersonId>)> = known
            .into_iter()
            .filter(|(id, _)| !told.contains(id))
            .map(|(id, person)| Ok((id, person.as_deref().map(parse_person).transpose()?)))
            .collect::<Result<_, store::Error>>()?;
        let would_end = missing.len() as u64;
        let settings = &self.inner.settings;
        let too_many = would_end > u64::from(settings.end_free)
            && would_end * 100 > of * u64::from(settings.end_max_percent.min(100));
        if !too_many {
            return Ok(Missing::End(missing));
        }
        let mut all = Vec::new();
        for (id, _) in &missing {
            all.extend((id.len() as u64).to_be_bytes());
            all.extend(id.as_bytes());
        }
        let fingerprint = hex(self.inner.keys.card.digest("feed hold", &all));
        let (source, now) = (source.to_string(), self.inner.clock.now());
        let (counted, counted_of) = (would_end.cast_signed(), of.cast_signed());
        let allowed = transact!(self.inner.database, "feeds.hold", |conn| {
            let held: Option<(i64, String)> = sqlx::query_as(
                "SELECT id, state FROM feed_hold WHERE source = $1 AND kind = $2 AND fingerprint = $3
                 AND state IN ('waiting', 'confirmed', 'refused') ORDER BY id DESC LIMIT 1",
            )
            .bind(&source)
            .bind(kind.as_str())
            .bind(&fingerprint)
            .fetch_optional(&mut *conn)
            .await?;
            match held {
                Some((id, state)) if state == "confirmed" => {
                    sqlx::query("UPDATE feed_hold SET state = 'done' WHERE id = $1")
                        .bind(id)
                        .execute(&mut *conn)
                        .await?;
                    Ok(Err(()))
                }
                Some((id, _)) => Ok(Ok(id)),
                None => {
                    sqlx::query(
                        "UPDATE feed_hold SET state = 'replaced' WHERE source = $1 AND kind = $2
                         AND state IN ('waiting', 'confirmed')",
                    )
                    .bind(&source)
                    .bind(kind.as_str())
                    .execute(&mut *conn)
                    .await?;
                    let id: i64 = sqlx::query_scalar(
                        "UPDATE counter SET value = value + 1 WHERE name = 'feed_hold' RETURNING value",
                    )
                    .fetch_one(&mut *conn)
                    .await?;
                    sqlx::query(
                        "INSERT INTO feed_hold (id, source, kind, at_ms, would_end, of_all, fingerprint, state)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting')",
                    )
                    .bind(id)
                    .bind(&source)
                    .bind(kind.as_str())
                    .bind(now.0)
                    .bind(counted)
                    .bind(counted_of)
                    .bind(&fingerprint)
                    .execute(&mut *conn)
                    .await?;
                    Ok(Ok(id))
                }
            }
        })?;
        Ok(match allowed {
            Err(()) => Missing::End(missing),
            Ok(id) => Missing::Held(Held { would_end, of, id: id.cast_unsigned() }),
        })
    }

    /// How the feed stands now, and what was refused.
    async fn note(&self, source: &Source, kind: FeedKind, count: usize, report: &Report) -> Result<(), store::Error> {
        let now = self.inner.clock.now();
        let state = match report {
            Report { held: Some(_), .. } => "held",
            report if report.refusals() > 0 => "refusing",
            _ => "good",
        };
        let hour = now.0 - now.0.rem_euclid(HOUR_MS);
        let (source, report) = (source.to_string(), report.clone());
        let signed = |number: u64| number.cast_signed();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        transact!(self.inner.database, "feeds.note", |conn| {
            sqlx::query(
                "INSERT INTO feed (source, kind, state, told_ms, taken_ms, hour_ms, hour_count, hour_before, added,
                     changed, unchanged, older, ended, refused)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11, $12, $13)
                 ON CONFLICT (source, kind) DO UPDATE SET state = excluded.state, told_ms = excluded.told_ms,
                     taken_ms = COALESCE(excluded.taken_ms, feed.taken_ms),
                     hour_before = CASE WHEN feed.hour_ms = excluded.hour_ms THEN feed.hour_before
                         WHEN feed.hour_ms = excluded.hour_ms - 3600000 THEN feed.hour_count ELSE 0 END,
                     hour_count = CASE WHEN feed.hour_ms = excluded.hour_ms
                         THEN feed.hour_count + excluded.hour_count ELSE excluded.hour_count END,
                     hour_ms = excluded.hour_ms, added = feed.added + excluded.added,
                     changed = feed.changed + excluded.changed, unchanged = feed.unchanged + excluded.unchanged,
                     older = feed.older + excluded.older, ended = feed.ended + excluded.ended,
                     refused = feed.refused + excluded.refused, error = NULL",
            )
            .bind(&source)
            .bind(kind.as_str())
            .bind(state)
            .bind(now.0)
            .bind(report.held.is_none().then_some(now.0))
            .bind(hour)
            .bind(count)
            .bind(signed(report.added))
            .bind(signed(report.changed))
            .bind(signed(report.unchanged))
            .bind(signed(report.older))
            .bind(signed(report.ended))
            .bind(signed(report.refusals()))
            .execute(&mut *conn)
            .await?;
            if report.refused.is_empty() {
                return Ok(());
            }
            let added = i64::try_from(report.refused.len()).unwrap_or(i64::MAX);
            let last: i64 =
                sqlx::query_scalar("UPDATE counter SET value = value + $1 WHERE name = 'feed_problem' RETURNING value")
                    .bind(added)
                    .fetch_one(&mut *conn)
                    .await?;
            let mut id = last - added;
            for some in report.refused.chunks(500) {
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO feed_problem (id, source, kind, at_ms, row_no, field, problem, words) ",
                );
                insert.push_values(some, |mut row, refusal| {
                    id += 1;
                    row.push_bind(id)
                        .push_bind(source.clone())
                        .push_bind(kind.as_str())
                        .push_bind(now.0)
                        .push_bind(refusal.row.cast_signed())
                        .push_bind(refusal.field)
                        .push_bind(refusal.problem.as_str())
                        .push_bind(refusal.words.clone());
                });
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            sqlx::query(
                "DELETE FROM feed_problem WHERE source = $1 AND kind = $2 AND id <= (SELECT MAX(id) FROM (
                     SELECT id FROM feed_problem WHERE source = $1 AND kind = $2 ORDER BY id DESC LIMIT 1 OFFSET $3
                 ) AS oldest)",
            )
            .bind(&source)
            .bind(kind.as_str())
            .bind(PROBLEMS_KEPT)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })
    }
}

enum Missing {
    /// These end: ids with their persons.
    End(Vec<(String, Option<PersonId>)>),
    /// Nothing is done before somebody says so.
    Held(Held),
}
