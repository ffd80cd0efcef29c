//! Reading what happened: the feed in the order of arrival, and search in the order of time.

use std::collections::BTreeSet;

use domain::policy::PassKind;
use domain::{CardId, CategoryId, Direction, Draft, Entry, Kind, PersonId, PointId, Reason, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read};

use crate::rows::{code, column, number, optional};

/// Events handed out by one read.
pub const READ_MAX: u32 = 5000;
/// Longest text to search for, in bytes.
pub const TEXT_MAX_BYTES: usize = 64;

/// An event of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number in the feed: rises in the order of arrival, without reuse.
    pub id: u64,
    /// When it arrived here.
    pub received: UtcMillis,
    /// What the gateway recorded.
    pub entry: Entry,
    /// The category that the card has now; `None` for no card or an unknown one.
    pub category: Option<CategoryId>,
    /// The kind of pass that the card is now.
    pub pass: Option<PassKind>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    received_ms: i64,
    gateway: String,
    epoch: String,
    seq: i64,
    at_ms: i64,
    kind: String,
    reason: Option<String>,
    point: Option<String>,
    reader: Option<String>,
    direction: Option<String>,
    card: Option<String>,
    person: Option<String>,
    age_ms: Option<i64>,
    detail: Option<String>,
    category: Option<String>,
    pass: Option<String>,
}

impl TryFrom<Row> for Event {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "event";
        let codes = |name, text: Option<String>| text.map(|text| (name, text));
        let reason = codes("reason", row.reason).map(|(name, text)| code(T, name, &text, Reason::parse)).transpose()?;
        let direction =
            codes("direction", row.direction).map(|(name, text)| code(T, name, &text, Direction::parse)).transpose()?;
        let pass = row.pass.map(|text| code("credential", "kind", &text, PassKind::parse)).transpose()?;
        Ok(Self {
            id: number(T, "id", row.id)?,
            received: UtcMillis(row.received_ms),
            entry: Entry {
                gateway: column("journal", "gateway", &row.gateway, |text: &str| text.parse())?,
                epoch: column("journal", "epoch", &row.epoch, |text: &str| text.parse())?,
                seq: number(T, "seq", row.seq)?,
                fact: Draft {
                    at: UtcMillis(row.at_ms),
                    kind: code(T, "kind", &row.kind, Kind::parse)?,
                    reason,
                    point: optional(T, "point", row.point.as_deref(), |text: &str| text.parse())?,
                    reader: optional(T, "reader", row.reader.as_deref(), |text: &str| text.parse())?,
                    direction,
                    card: optional(T, "card", row.card.as_deref(), |text: &str| text.parse())?,
                    person: optional(T, "person", row.person.as_deref(), |text: &str| text.parse())?,
                    age_ms: row.age_ms.map(|age| number(T, "age_ms", age)).transpose()?,
                    detail: row.detail,
                },
            },
            category: optional("credential", "category", row.category.as_deref(), |text: &str| text.parse())?,
            pass,
        })
    }
}

/// The beginning of every statement that reads events. A macro so that each statement stays one literal.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT e.id, e.received_ms, j.gateway, j.epoch, e.seq, e.at_ms, e.kind, e.reason, e.point, e.reader,
                    e.direction, e.card, e.person, e.age_ms, e.detail, c.category, c.kind AS pass
             FROM event e
             JOIN journal j ON j.no = e.journal
             LEFT JOIN credential c ON c.card = e.card AND c.until_ms IS NULL ",
            $rest
        )
    };
}

/// Events that arrived after the one numbered `id`, in order, at most `limit` (and [`READ_MAX`]). Asking again after
/// the last one received misses nothing and repeats nothing.
///
/// # Errors
/// Engine errors, or [`store::Fault::BadRow`].
pub async fn after(database: &Database, id: u64, limit: u32) -> Result<Vec<Event>, Error> {
    let rows: Vec<Row> = read!(database, "events.after", |conn| {
        Ok(sqlx::query_as(select!("WHERE e.id > $1 ORDER BY e.id LIMIT $2"))
            .bind(i64::try_from(id).unwrap_or(i64::MAX))
            .bind(i64::from(limit.min(READ_MAX)))
            .fetch_all(&mut *conn)
            .await?)
    })?;
    rows.into_iter().map(Event::try_from).collect()
}

/// The number of the last event; 0 if there is none.
///
/// # Errors
/// Engine errors.
pub async fn last_id(database: &Database) -> Result<u64, Error> {
    let id: i64 = read!(database, "events.last_id", |conn| {
        Ok(sqlx::query_scalar("SELECT value FROM counter WHERE name = 'event'").fetch_one(&mut *conn).await?)
    })?;
    Ok(id.cast_unsigned())
}

/// One event; `None` if there is none of that number.
///
/// # Errors
/// Engine errors.
pub async fn get(database: &Database, id: u64) -> Result<Option<Event>, Error> {
    let row: Option<Row> = read!(database, "events.get", |conn| {
        Ok(sqlx::query_as(select!("WHERE e.id = $1"))
            .bind(i64::try_from(id).unwrap_or(i64::MAX))
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    row.map(Event::try_from).transpose()
}

/// What to search for; everything given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not earlier than this.
    pub from: Option<UtcMillis>,
    /// Earlier than this.
    pub until: Option<UtcMillis>,
    /// At this point.
    pub point: Option<PointId>,
    /// At one of these points; `None`: anywhere, also at none. An empty set finds nothing.
    pub points: Option<BTreeSet<PointId>>,
    /// Of one of these kinds; empty: all.
    pub kinds: Vec<Kind>,
    /// For one of these reasons; empty: all, with none too.
    pub reasons: Vec<Reason>,
    /// This person.
    pub person: Option<PersonId>,
    /// This card.
    pub card: Option<CardId>,
    /// This text within the name of the point or reader, capitals or not; cut to [`TEXT_MAX_BYTES`].
    pub text: Option<String>,
}

/// Where a page of search results ended; the next page starts behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Time of the last event shown.
    pub at: UtcMillis,
    /// Its number.
    pub id: u64,
}

/// One page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Latest first.
    pub events: Vec<Event>,
    /// Give this to get the next page; `None` when this is the last one.
    pub next: Option<Position>,
}

/// Searches, latest first.
///
/// # Errors
/// Engine errors.
pub async fn search(database: &Database, filter: &Filter, behind: Option<Position>, limit: u32) -> Result<Page, Error> {
    let limit = limit.clamp(1, READ_MAX);
    let pattern = filter.text.as_deref().map(like);
    let rows: Vec<Row> = read!(database, "events.search", |conn| {
        let mut query = sqlx::QueryBuilder::<Db>::new(select!("WHERE 1 = 1"));
        if let Some(from) = filter.from {
            query.push(" AND e.at_ms >= ").push_bind(from.0);
        }
        if let Some(until) = filter.until {
            query.push(" AND e.at_ms < ").push_bind(until.0);
        }
        if let Some(point) = &filter.point {
            query.push(" AND e.point = ").push_bind(point.as_str().to_owned());
        }
        match filter.points.as_ref().map(BTreeSet::len) {
            None => {}
            Some(0) => {
                query.push(" AND 1 = 0");
            }
            Some(_) => {
                query.push(" AND e.point IN (");
                let mut list = query.separated(", ");
                for point in filter.points.iter().flatten() {
                    list.push_bind(point.as_str().to_owned());
                }
                query.push(")");
            }
        }
        if let Some(person) = filter.person {
            query.push(" AND e.person = ").push_bind(person.to_string());
        }
        if let Some(card) = filter.card {
            query.push(" AND e.card = ").push_bind(card.to_string());
        }
        if !filter.kinds.is_empty() {
            query.push(" AND e.kind IN (");
            let mut list = query.separated(", ");
            for kind in &filter.kinds {
                list.push_bind(kind.as_str());
            }
            query.push(")");
        }
        if !filter.reasons.is_empty() {
            query.push(" AND e.reason IN (");
            let mut list = query.separated(", ");
            for reason in &filter.reasons {
                list.push_bind(reason.as_str());
            }
            query.push(")");
        }
        if let Some(pattern) = &pattern {
            query.push(" AND (LOWER(e.point) LIKE ").push_bind(pattern.clone());
            query.push(" ESCAPE '!' OR LOWER(e.reader) LIKE ").push_bind(pattern.clone()).push(" ESCAPE '!')");
        }
        if let Some(behind) = behind {
            query.push(" AND (e.at_ms, e.id) < (").push_bind(behind.at.0).push(", ");
            query.push_bind(i64::try_from(behind.id).unwrap_or(i64::MAX)).push(")");
        }
        query.push(" ORDER BY e.at_ms DESC, e.id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        Ok(query.build_query_as().persistent(false).fetch_all(&mut *conn).await?)
    })?;
    let more = rows.len() > limit as usize;
    let mut events: Vec<Event> = rows.into_iter().map(Event::try_from).collect::<Result<_, _>>()?;
    events.truncate(limit as usize);
    let next = events.last().filter(|_| more).map(|last| Position { at: last.entry.fact.at, id: last.id });
    Ok(Page { events, next })
}

/// A pattern for LIKE in which the text stands for itself. Names are ASCII, so lower case is too.
fn like(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_MAX_BYTES);
    let mut pattern = String::from("%");
    for character in text[..end].to_ascii_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// How often something happened at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointCount {
    /// Where.
    pub point: PointId,
    /// What.
    pub kind: Kind,
    /// How often.
    pub count: u64,
}

/// Counts by point and kind since an instant (for "this hour": its beginning), ordered by point and kind.
///
/// # Errors
/// Engine errors.
pub async fn counts_since(database: &Database, since: UtcMillis) -> Result<Vec<PointCount>, Error> {
    let rows: Vec<(String, String, i64)> = read!(database, "events.counts", |conn| {
        Ok(sqlx::query_as(
            "SELECT point, kind, COUNT(*) FROM event WHERE at_ms >= $1 AND point IS NOT NULL
             GROUP BY point, kind ORDER BY point, kind",
        )
        .bind(since.0)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    rows.into_iter()
        .map(|(point, kind, count)| {
            Ok(PointCount {
                point: column("event", "point", &point, PointId::new)?,
                kind: code("event", "kind", &kind, Kind::parse)?,
                count: count.cast_unsigned(),
            })
        })
        .collect()
}
