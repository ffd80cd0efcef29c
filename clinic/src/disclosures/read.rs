//! Reading the register: by time, recipient and person, newest first.

use domain::{Field, Permission, PersonId, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read};

use super::{Class, DisclosureError, Ground, RecipientKind, Route};
use crate::acting::Acting;
use crate::rows::{code, column};

/// Lines handed out by one read.
pub const LIST_MAX: u32 = 1000;
/// Persons handed out by one read of one line.
const PERSONS_READ_MAX: i64 = 1000;

/// A line of the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// When.
    pub at: UtcMillis,
    /// By which way.
    pub route: Route,
    /// Who received.
    pub recipient_kind: RecipientKind,
    /// The account's or key's id, or an organisation's name.
    pub recipient: String,
    /// On which ground.
    pub ground: Ground,
    /// Who gave it: an account's id, `key:` and a key's id, `console` or `system`.
    pub actor: String,
    /// What it was.
    pub object: Option<String>,
    /// Kinds of data.
    pub classes: Vec<Class>,
    /// Fields of persons.
    pub fields: Vec<Field>,
    /// Rows or records.
    pub records: u64,
    /// Number of persons.
    pub persons: u64,
    /// The breaking of glass under which it was given.
    pub glass: Option<String>,
}

/// What to look for; an empty one finds all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not before.
    pub from: Option<UtcMillis>,
    /// Before.
    pub until: Option<UtcMillis>,
    /// By which way.
    pub route: Option<Route>,
    /// What kind of recipient.
    pub recipient: Option<RecipientKind>,
    /// Whose data.
    pub person: Option<PersonId>,
}

/// Lines, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub lines: Vec<Line>,
    /// Time and id of the last one, when there are more.
    pub next: Option<(UtcMillis, String)>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    at_ms: i64,
    route: String,
    recipient_kind: String,
    recipient: String,
    ground: String,
    actor: String,
    object: Option<String>,
    classes: String,
    fields: String,
    records: i64,
    persons: i64,
    glass: Option<String>,
}

impl TryFrom<Row> for Line {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "disclosure";
        let classes = row.classes.split_whitespace().map(|text| code(T, "classes", text, Class::parse));
        let fields = row.fields.split_whitespace().map(|text| code(T, "fields", text, Field::parse));
        Ok(Self {
            at: UtcMillis(row.at_ms),
            route: code(T, "route", &row.route, Route::parse)?,
            recipient_kind: code(T, "recipient_kind", &row.recipient_kind, RecipientKind::parse)?,
            recipient: row.recipient,
            ground: code(T, "ground", &row.ground, Ground::parse)?,
            actor: row.actor,
            object: row.object,
            classes: classes.collect::<Result<_, Error>>()?,
            fields: fields.collect::<Result<_, Error>>()?,
            records: row.records.cast_unsigned(),
            persons: row.persons.cast_unsigned(),
            glass: row.glass,
            id: row.id,
        })
    }
}

/// Lines behind `after` (time and id of the last line of the page before), newest first, at most `limit` (and
/// [`LIST_MAX`]).
///
/// # Errors
/// [`domain::Denied`] without `disclosure_see`; engine errors.
pub async fn list(
    database: &Database,
    acting: &Acting,
    filter: &Filter,
    after: Option<(UtcMillis, String)>,
    limit: u32,
) -> Result<Page, DisclosureError> {
    acting.must(Permission::DisclosureSee)?;
    Ok(find(database, filter, after, limit).await?)
}

/// The disclosures of one person's data, for their own package; at most [`LIST_MAX`], newest first.
///
/// # Errors
/// [`domain::Denied`] without `disclosure_see` and without `privacy_manage`; engine errors.
pub async fn of_person(database: &Database, acting: &Acting, person: PersonId) -> Result<Vec<Line>, DisclosureError> {
    if !acting.rights.allows(Permission::PrivacyManage) {
        acting.must(Permission::DisclosureSee)?;
    }
    let filter = Filter { person: Some(person), ..Filter::default() };
    Ok(find(database, &filter, None, LIST_MAX).await?.lines)
}

/// Whose data a line held, at most 1000 of them.
///
/// # Errors
/// [`domain::Denied`] without `disclosure_see`; engine errors.
pub async fn persons_of(database: &Database, acting: &Acting, id: &str) -> Result<Vec<PersonId>, DisclosureError> {
    acting.must(Permission::DisclosureSee)?;
    let ids: Vec<String> = read!(database, "disclosures.persons", |conn| {
        Ok(sqlx::query_scalar("SELECT person FROM disclosure_person WHERE disclosure = $1 ORDER BY person LIMIT $2")
            .bind(id)
            .bind(PERSONS_READ_MAX)
            .fetch_all(&mut *conn)
            .await?)
    })?;
    Ok(person_ids("disclosure_person", &ids)?)
}

/// Reads a column of pseudonyms.
pub fn person_ids(table: &'static str, ids: &[String]) -> Result<Vec<PersonId>, Error> {
    ids.iter().map(|id| column(table, "person", id, |text: &str| text.parse())).collect()
}

/// How many lines since an instant.
///
/// # Errors
/// [`domain::Denied`] without `disclosure_see` and without `privacy_manage`; engine errors.
pub async fn count_since(database: &Database, acting: &Acting, since: UtcMillis) -> Result<u64, DisclosureError> {
    if !acting.rights.allows(Permission::PrivacyManage) {
        acting.must(Permission::DisclosureSee)?;
    }
    let count: i64 = read!(database, "disclosures.count", |conn| {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM disclosure WHERE at_ms >= $1")
            .bind(since.0)
            .fetch_one(&mut *conn)
            .await?)
    })?;
    Ok(count.cast_unsigned())
}

async fn find(
    database: &Database,
    filter: &Filter,
    after: Option<(UtcMillis, String)>,
    limit: u32,
) -> Result<Page, Error> {
    let limit = i64::from(limit.min(LIST_MAX));
    let (before_ms, before_id) = after.map_or((i64::MAX, String::new()), |(at, id)| (at.0, id));
    let person = filter.person.map(|person| person.to_string());
    let (route, recipient) = (filter.route.map(Route::as_str), filter.recipient.map(RecipientKind::as_str));
    let mut rows: Vec<Row> = read!(database, "disclosures.find", |conn| {
        Ok(sqlx::query_as(
            "SELECT * FROM disclosure
             WHERE at_ms >= $1 AND at_ms < $2 AND (at_ms < $3 OR (at_ms = $3 AND id < $4))
               AND ($5 IS NULL OR route = $5) AND ($6 IS NULL OR recipient_kind = $6)
               AND ($7 IS NULL OR id IN (SELECT disclosure FROM disclosure_person WHERE person = $7))
             ORDER BY at_ms DESC, id DESC LIMIT $8",
        )
        .bind(filter.from.map_or(i64::MIN, |at| at.0))
        .bind(filter.until.map_or(i64::MAX, |at| at.0))
        .bind(before_ms)
        .bind(&before_id)
        .bind(route)
        .bind(recipient)
        .bind(person.as_deref())
        .bind(limit + 1)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let has_more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    if has_more {
        rows.pop();
    }
    let lines = rows.into_iter().map(Line::try_from).collect::<Result<Vec<_>, Error>>()?;
    let next = if has_more { lines.last().map(|line| (line.at, line.id.clone())) } else { None };
    Ok(Page { lines, next })
}
