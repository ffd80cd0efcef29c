//! What the page of feeds shows and changes: how each feed stands, what was refused, where sources differ, which whole
//! lists wait, and where purposes and workplaces lead. No names, and no ids of persons but pseudonyms.

use domain::{Permission, PersonId, UtcMillis, ZoneId, codes};
use sqlx::FromRow;
use store::{Database, Error, read, transact};
use thiserror::Error as ThisError;

use super::persons::parse_person;
use super::{FeedError, FeedKind, Feeds, Problem};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::rows::code;

/// Most rows of one list.
pub const LIST_MAX: u32 = 5000;
/// Longest time around an appointment in which its patient may enter: a day.
pub const AROUND_MAX_MS: i64 = 24 * 3600 * 1000;

codes! {
    /// How a feed stands.
    FeedState {
        /// The last list was taken whole.
        Good = "good",
        /// Of the last list some records were refused.
        Refusing = "refusing",
        /// The last whole list waits for a person's word.
        Held = "held",
        /// The source cannot be asked, or what it sends cannot be read.
        Failing = "failing",
    }
}

/// How a feed stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedLine {
    /// The source.
    pub source: String,
    /// Of what it tells.
    pub kind: FeedKind,
    /// How it stands.
    pub state: FeedState,
    /// When it last told something, or could not be asked.
    pub told: UtcMillis,
    /// When a list was last taken.
    pub taken: Option<UtcMillis>,
    /// Records in this hour and the one before.
    pub rate: (u64, u64),
    /// All together: added, changed, unchanged, older, ended, refused.
    pub counts: [u64; 6],
    /// What is wrong with the source.
    pub error: Option<String>,
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemLine {
    /// Rises.
    pub id: u64,
    /// The source.
    pub source: String,
    /// Of what it told.
    pub kind: FeedKind,
    /// When.
    pub at: UtcMillis,
    /// The record's place in the list; 0: the whole list.
    pub row: u64,
    /// Which field.
    pub field: String,
    /// What is wrong.
    pub problem: Problem,
}

/// Two sources differ about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who.
    pub person: PersonId,
    /// As what.
    pub kind: FeedKind,
    /// Who says something else.
    pub source: String,
    /// Who is believed.
    pub believed: String,
    /// Since when.
    pub at: UtcMillis,
}

/// A whole list that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldLine {
    /// Its number.
    pub id: u64,
    /// The source.
    pub source: String,
    /// Of what it tells.
    pub kind: FeedKind,
    /// When it came first.
    pub at: UtcMillis,
    /// How many it would end.
    pub would_end: u64,
    /// Of how many.
    pub of: u64,
    /// Whether somebody allowed it; it is taken when it comes again.
    pub confirmed: bool,
}

/// What visits can be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeLine {
    /// Its code.
    pub code: String,
    /// What people call it.
    pub name: String,
    /// Minutes planned.
    pub minutes: Option<u32>,
    /// Its zones.
    pub zones: Vec<String>,
    /// From so long before the appointment; `None`: on its whole day.
    pub early_ms: Option<i64>,
    /// Until so long after it; `None`: on its whole day.
    pub late_ms: Option<i64>,
    /// Whether a person set the zones: feeds leave them alone.
    pub by_hand: bool,
    /// Whether it is in use.
    pub active: bool,
}

/// A workplace as a source calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkplaceLine {
    /// The source.
    pub source: String,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Our zone.
    pub zone: Option<String>,
    /// Our workstation.
    pub point: Option<String>,
    /// How many specialists work there.
    pub staff: u64,
    /// Whether a person set the zone.
    pub by_hand: bool,
    /// Whether it is in use.
    pub active: bool,
}

/// Why something about feeds was not shown or changed.
#[derive(Debug, ThisError)]
pub enum LookError {
    /// A permission is missing.
    #[error(transparent)]
    Denied(#[from] domain::Denied),
    /// There is no such thing, or it was decided already.
    #[error("there is nothing of this number that waits for a word")]
    Gone,
    /// No such zone.
    #[error("the zone \"{0}\" does not exist")]
    Zone(String),
    /// Too long.
    #[error("at most a day before or after an appointment")]
    Around,
    /// The engine.
    #[error(transparent)]
    Store(#[from] Error),
}

#[derive(FromRow)]
struct FeedRow {
    source: String,
    kind: String,
    state: String,
    told_ms: i64,
    taken_ms: Option<i64>,
    hour_ms: i64,
    hour_count: i64,
    hour_before: i64,
    added: i64,
    changed: i64,
    unchanged: i64,
    older: i64,
    ended: i64,
    refused: i64,
    error: Option<String>,
}

fn kind_of(table: &'static str, text: &str) -> Result<FeedKind, Error> {
    code(table, "kind", text, FeedKind::parse)
}

/// How each feed stands.
///
/// # Errors
/// [`LookError::Denied`] without `exchange_see`; the engine.
pub async fn feeds(database: &Database, acting: &Acting, now: UtcMillis) -> Result<Vec<FeedLine>, LookError> {
    acting.must(Permission::ExchangeSee)?;
    let rows: Vec<FeedRow> = read!(database, "feeds.list", |conn| {
        Ok(sqlx::query_as(
            "SELECT source, kind, state, told_ms, taken_ms, hour_ms, hour_count, hour_before, added, changed, unchanged,
                 older, ended, refused, error FROM feed ORDER BY source, kind LIMIT $1",
        )
        .bind(i64::from(LIST_MAX))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let hour = now.0 - now.0.rem_euclid(3_600_000);
    let lines = rows.into_iter().map(|row| {
        let (this, before) = match hour - row.hour_ms {
            0 => (row.hour_count, row.hour_before),
            3_600_000 => (0, row.hour_count),
            _ => (0, 0),
        };
        Ok(FeedLine {
            kind: kind_of("feed", &row.kind)?,
            state: code("feed", "state", &row.state, FeedState::parse)?,
            told: UtcMillis(row.told_ms),
            taken: row.taken_ms.map(UtcMillis),
            rate: (this.cast_unsigned(), before.cast_unsigned()),
            counts: [row.added, row.changed, row.unchanged, row.older, row.ended, row.refused].map(i64::cast_unsigned),
            error: row.error,
            source: row.source,
        })
    });
    Ok(lines.collect::<Result<_, Error>>()?)
}

/// The newest refused records, of one source if one is named.
///
/// # Errors
/// As [`feeds`].
pub async fn problems(
    database: &Database,
    acting: &Acting,
    source: Option<&str>,
    limit: u32,
) -> Result<Vec<ProblemLine>, LookError> {
    acting.must(Permission::ExchangeSee)?;
    let rows: Vec<(i64, String, String, i64, i64, String, String)> = read!(database, "feeds.problems", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, source, kind, at_ms, row_no, field, problem FROM feed_problem
             WHERE ($1 = '' OR source = $1) ORDER BY id DESC LIMIT $2",
        )
        .bind(source.unwrap_or_default())
        .bind(i64::from(limit.min(LIST_MAX)))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let lines = rows.into_iter().map(|(id, source, kind, at, row, field, problem)| {
        Ok(ProblemLine {
            id: id.cast_unsigned(),
            kind: kind_of("feed_problem", &kind)?,
            at: UtcMillis(at),
            row: row.cast_unsigned(),
            problem: code("feed_problem", "problem", &problem, Problem::parse)?,
            source,
            field,
        })
    });
    Ok(lines.collect::<Result<_, Error>>()?)
}

/// Where sources differ, the newest first.
///
/// # Errors
/// As [`feeds`].
pub async fn differences(database: &Database, acting: &Acting) -> Result<Vec<Difference>, LookError> {
    acting.must(Permission::ExchangeSee)?;
    let rows: Vec<(String, String, String, String, i64)> = read!(database, "feeds.differences", |conn| {
        Ok(sqlx::query_as(
            "SELECT person, kind, source, believed, at_ms FROM feed_difference ORDER BY at_ms DESC, person LIMIT $1",
        )
        .bind(i64::from(LIST_MAX))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let lines = rows.into_iter().map(|(person, kind, source, believed, at)| {
        let (person, kind) = (parse_person(&person)?, kind_of("feed_difference", &kind)?);
        Ok(Difference { person, kind, source, believed, at: UtcMillis(at) })
    });
    Ok(lines.collect::<Result<_, Error>>()?)
}

/// The whole lists that wait.
///
/// # Errors
/// As [`feeds`].
pub async fn holds(database: &Database, acting: &Acting) -> Result<Vec<HoldLine>, LookError> {
    acting.must(Permission::ExchangeSee)?;
    let rows: Vec<(i64, String, String, i64, i64, i64, String)> = read!(database, "feeds.holds", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, source, kind, at_ms, would_end, of_all, state FROM feed_hold
             WHERE state IN ('waiting', 'confirmed') ORDER BY id DESC LIMIT $1",
        )
        .bind(i64::from(LIST_MAX))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let lines = rows.into_iter().map(|(id, source, kind, at, would_end, of, state)| {
        Ok(HoldLine {
            id: id.cast_unsigned(),
            kind: kind_of("feed_hold", &kind)?,
            at: UtcMillis(at),
            would_end: would_end.cast_unsigned(),
            of: of.cast_unsigned(),
            confirmed: state == "confirmed",
            source,
        })
    });
    Ok(lines.collect::<Result<_, Error>>()?)
}

/// All purposes of visits.
///
/// # Errors
/// As [`feeds`].
pub async fn purposes(database: &Database, acting: &Acting) -> Result<Vec<PurposeLine>, LookError> {
    acting.must(Permission::ExchangeSee)?;
    #[derive(FromRow)]
    struct Row {
        code: String,
        name: String,
        minutes: Option<i64>,
        early_ms: Option<i64>,
        late_ms: Option<i64>,
        by_hand: i64,
        ended_ms: Option<i64>,
        zone: Option<String>,
    }
    let rows: Vec<Row> = read!(database, "feeds.purpose_list", |conn| {
        Ok(sqlx::query_as(
            "SELECT purpose.code, purpose.name, purpose.minutes, purpose.early_ms, purpose.late_ms, purpose.by_hand,
                 purpose.ended_ms, purpose_zone.zone
             FROM purpose LEFT JOIN purpose_zone ON purpose_zone.purpose = purpose.code
             ORDER BY purpose.code, purpose_zone.zone",
        )
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let mut lines: Vec<PurposeLine> = Vec::new();
    for row in rows {
        match lines.last_mut().filter(|line| line.code == row.code) {
            Some(line) => line.zones.extend(row.zone),
            None => lines.push(PurposeLine {
                code: row.code,
                name: row.name,
                minutes: row.minutes.and_then(|minutes| u32::try_from(minutes).ok()),
                zones: row.zone.into_iter().collect(),
                early_ms: row.early_ms,
                late_ms: row.late_ms,
                by_hand: row.by_hand != 0,
                active: row.ended_ms.is_none(),
            }),
        }
    }
    Ok(lines)
}

/// All workplaces of all sources.
///
/// # Errors
/// As [`feeds`].
pub async fn workplaces(database: &Database, acting: &Acting) -> Result<Vec<WorkplaceLine>, LookError> {
    acting.must(Permission::ExchangeSee)?;
    #[derive(FromRow)]
    struct Row {
        source: String,
        external: String,
        name: String,
        zone: Option<String>,
        point: Option<String>,
        by_hand: i64,
        ended_ms: Option<i64>,
        staff: i64,
    }
    let rows: Vec<Row> = read!(database, "feeds.workplace_list", |conn| {
        Ok(sqlx::query_as(
            "SELECT source, external, name, zone, point, by_hand, ended_ms,
                 (SELECT COUNT(*) FROM workplace_staff AS s WHERE s.source = workplace.source
                  AND s.external = workplace.external) AS staff
             FROM workplace ORDER BY source, external LIMIT $1",
        )
        .bind(i64::from(LIST_MAX))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let line = |row: Row| WorkplaceLine {
        source: row.source,
        id: row.external,
        name: row.name,
        zone: row.zone,
        point: row.point,
        staff: row.staff.cast_unsigned(),
        by_hand: row.by_hand != 0,
        active: row.ended_ms.is_none(),
    };
    Ok(rows.into_iter().map(line).collect())
}

impl Feeds {
    /// Allows a whole list that waits, or drops it. An allowed one is taken when the source tells it again.
    ///
    /// # Errors
    /// [`LookError::Denied`] without `exchange_manage`, [`LookError::Gone`].
    pub async fn decide_hold(&self, acting: &Acting, id: u64, allow: bool) -> Result<(), LookError> {
        acting.must(Permission::ExchangeManage)?;
        let now = self.inner.clock.now();
        let state = if allow { "confirmed" } else { "refused" };
        let entry = Draft {
            object: Some(format!("hold:{id}")),
            detail: Some(state.to_owned()),
            ..acting.draft(now, Action::ExchangeChanged)
        };
        transact!(self.inner.database, "feeds.decide", |conn| {
            let changed =
                sqlx::query("UPDATE feed_hold SET state = $1, decided_ms = $2 WHERE id = $3 AND state = 'waiting'")
                    .bind(state)
                    .bind(now.0)
                    .bind(id.cast_signed())
                    .execute(&mut *conn)
                    .await?
                    .rows_affected();
            if changed == 0 {
                return Ok(Err(LookError::Gone));
            }
            audit::record!(conn, &entry);
            Ok(Ok(()))
        })?
    }

    /// Says where a purpose leads and how long around an appointment; feeds leave it alone from then on.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn set_purpose(
        &self,
        acting: &Acting,
        purpose: &str,
        zones: Vec<ZoneId>,
        early_ms: Option<i64>,
        late_ms: Option<i64>,
    ) -> Result<(), LookError> {
        acting.must(Permission::ExchangeManage)?;
        if [early_ms, late_ms].into_iter().flatten().any(|ms| !(0..=AROUND_MAX_MS).contains(&ms)) {
            return Err(LookError::Around);
        }
        let known = self.zone_ids().await?;
        if let Some(zone) = zones.iter().find(|zone| !known.contains(zone.as_str())) {
            return Err(LookError::Zone(zone.to_string()));
        }
        let now = self.inner.clock.now();
        let entry = Draft {
            object: Some("purpose".to_owned()),
            detail: Some(format!("zones={}", zones.len())),
            ..acting.draft(now, Action::ExchangeChanged)
        };
        let purpose = purpose.to_owned();
        transact!(self.inner.database, "feeds.set_purpose", |conn| {
            let changed = sqlx::query(
                "UPDATE purpose SET early_ms = $1, late_ms = $2, by_hand = 1, changed_ms = $3 WHERE code = $4",
            )
            .bind(early_ms)
            .bind(late_ms)
            .bind(now.0)
            .bind(&purpose)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if changed == 0 {
                return Ok(Err(LookError::Gone));
            }
            sqlx::query("DELETE FROM purpose_zone WHERE purpose = $1").bind(&purpose).execute(&mut *conn).await?;
            if !zones.is_empty() {
                let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO purpose_zone (purpose, zone) ");
                insert.push_values(&zones, |mut row, zone| {
                    row.push_bind(purpose.clone()).push_bind(zone.to_string());
                });
                insert.push(" ON CONFLICT DO NOTHING");
                insert.build().persistent(false).execute(&mut *conn).await?;
            }
            sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'policy'").execute(&mut *conn).await?;
            audit::record!(conn, &entry);
            Ok(Ok(()))
        })?
    }

    /// Says which zone of ours a workplace is; feeds leave it alone from then on. Coming appointments of that source come
    /// with their next list.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn set_workplace(
        &self,
        acting: &Acting,
        source: &str,
        id: &str,
        zone: Option<ZoneId>,
    ) -> Result<(), LookError> {
        acting.must(Permission::ExchangeManage)?;
        let known = self.zone_ids().await?;
        if let Some(zone) = zone.as_ref().filter(|zone| !known.contains(zone.as_str())) {
            return Err(LookError::Zone(zone.to_string()));
        }
        let now = self.inner.clock.now();
        let entry = Draft {
            object: Some("workplace".to_owned()),
            detail: zone.as_ref().map(|zone| format!("zone={zone}")),
            ..acting.draft(now, Action::ExchangeChanged)
        };
        let (source, id) = (source.to_owned(), id.to_owned());
        transact!(self.inner.database, "feeds.set_workplace", |conn| {
            let changed = sqlx::query(
                "UPDATE workplace SET zone = $1, by_hand = 1, changed_ms = $2 WHERE source = $3 AND external = $4",
            )
            .bind(zone.as_ref().map(|zone| zone.to_string()))
            .bind(now.0)
            .bind(&source)
            .bind(&id)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if changed == 0 {
                return Ok(Err(LookError::Gone));
            }
            audit::record!(conn, &entry);
            Ok(Ok(()))
        })?
    }

    /// How far a pull of a source has come; `None` before the first.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn cursor(&self, source: &super::Source, kind: FeedKind) -> Result<Option<String>, Error> {
        let cursor: Option<Option<String>> = read!(self.inner.database, "feeds.cursor", |conn| {
            Ok(sqlx::query_scalar("SELECT cursor FROM feed WHERE source = $1 AND kind = $2")
                .bind(source.as_str())
                .bind(kind.as_str())
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(cursor.flatten())
    }

    /// Remembers how far a pull has come, after what came before it was taken; or that it failed, and why in words of ours.
    ///
    /// # Errors
    /// [`FeedError::Denied`] without `feed_write`; engine errors.
    pub async fn note_pull(
        &self,
        acting: &Acting,
        source: &super::Source,
        kind: FeedKind,
        outcome: Result<Option<String>, String>,
    ) -> Result<(), FeedError> {
        acting.must(Permission::FeedWrite)?;
        let now = self.inner.clock.now();
        let source = source.to_string();
        let (cursor, error) = match outcome {
            Ok(cursor) => (cursor, None),
            Err(words) => (None, Some(words.chars().take(300).collect::<String>())),
        };
        transact!(self.inner.database, "feeds.note_pull", |conn| {
            sqlx::query(
                "INSERT INTO feed (source, kind, state, told_ms, hour_ms, hour_count, hour_before, added, changed,
                     unchanged, older, ended, refused, cursor, error)
                 VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, 0, 0, 0, 0, $5, $6)
                 ON CONFLICT (source, kind) DO UPDATE SET error = excluded.error, told_ms = excluded.told_ms,
                     state = CASE WHEN excluded.error IS NOT NULL THEN 'failing'
                         WHEN feed.state = 'failing' THEN 'good' ELSE feed.state END,
                     cursor = COALESCE(excluded.cursor, feed.cursor)",
            )
            .bind(&source)
            .bind(kind.as_str())
            .bind(if error.is_some() { "failing" } else { "good" })
            .bind(now.0)
            .bind(&cursor)
            .bind(&error)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })?;
        Ok(())
    }

    /// To be called about once an hour: what gateways know of coming appointments reaches some weeks ahead, so the policy is
    /// made anew once a day where zones ask for visits.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn tick(&self) -> Result<(), Error> {
        const DAY_MS: i64 = 24 * 3600 * 1000;
        let today = self.inner.clock.now().0.div_euclid(DAY_MS);
        transact!(self.inner.database, "feeds.tick", |conn| {
            let moved = sqlx::query(
                "INSERT INTO follower (name, last_id) VALUES ('feeds_day', $1)
                 ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id WHERE follower.last_id < excluded.last_id",
            )
            .bind(today)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if moved > 0 {
                sqlx::query(
                    "UPDATE counter SET value = value + 1 WHERE name = 'policy'
                     AND EXISTS (SELECT 1 FROM demand WHERE condition IS NULL)",
                )
                .execute(&mut *conn)
                .await?;
            }
            Ok(())
        })
    }
}
