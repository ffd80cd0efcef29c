//! Reading requests: the list with its deadlines, one request, and how many wait.

use domain::{Permission, PersonId, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read};

use super::{Channel, Identity, Kind, Law, Request, RequestError, State};
use crate::acting::Acting;
use crate::rows::{code, column};

/// Requests handed out by one read.
pub const LIST_MAX: i64 = 1000;

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    person: String,
    kind: String,
    law: String,
    channel: String,
    identity: String,
    state: String,
    received_ms: i64,
    due_ms: i64,
    extended: i64,
    answered_ms: Option<i64>,
    taken_by: String,
    answered_by: Option<String>,
}

impl TryFrom<Row> for Request {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "privacy_request";
        Ok(Self {
            person: column(T, "person", &row.person, |text: &str| text.parse())?,
            kind: code(T, "kind", &row.kind, Kind::parse)?,
            law: code(T, "law", &row.law, Law::parse)?,
            channel: code(T, "channel", &row.channel, Channel::parse)?,
            identity: code(T, "identity", &row.identity, Identity::parse)?,
            state: code(T, "state", &row.state, State::parse)?,
            received: UtcMillis(row.received_ms),
            due: UtcMillis(row.due_ms),
            is_extended: row.extended != 0,
            answered: row.answered_ms.map(UtcMillis),
            taken_by: row.taken_by,
            answered_by: row.answered_by,
            id: row.id,
        })
    }
}

/// What to look for; an empty one finds all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of this person.
    pub person: Option<PersonId>,
}

/// Requests, those whose day comes first at the top, at most 1000.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; engine errors.
pub async fn list(database: &Database, acting: &Acting, filter: &Filter) -> Result<Vec<Request>, RequestError> {
    acting.must(Permission::PrivacyManage)?;
    let (state, kind) = (filter.state.map(State::as_str), filter.kind.map(Kind::as_str));
    let person = filter.person.map(|person| person.to_string());
    let rows: Vec<Row> = read!(database, "requests.list", |conn| {
        Ok(sqlx::query_as(
            "SELECT * FROM privacy_request
             WHERE ($1 IS NULL OR state = $1) AND ($2 IS NULL OR kind = $2) AND ($3 IS NULL OR person = $3)
             ORDER BY CASE WHEN state = 'open' THEN 0 ELSE 1 END, due_ms, id LIMIT $4",
        )
        .bind(state)
        .bind(kind)
        .bind(person.as_deref())
        .bind(LIST_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(Request::try_from).collect::<Result<_, Error>>()?)
}

/// One request.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; [`RequestError::NotFound`]; engine errors.
pub async fn of(database: &Database, acting: &Acting, id: &str) -> Result<Request, RequestError> {
    acting.must(Permission::PrivacyManage)?;
    let row: Option<Row> = read!(database, "requests.of", |conn| {
        Ok(sqlx::query_as("SELECT * FROM privacy_request WHERE id = $1").bind(id).fetch_optional(&mut *conn).await?)
    })?;
    Ok(Request::try_from(row.ok_or(RequestError::NotFound)?)?)
}

/// How many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Open.
    pub open: u64,
    /// Open, and the day of the law has passed.
    pub late: u64,
    /// Open, and the day of the law comes within seven days.
    pub soon: u64,
    /// Persons whose data are restricted.
    pub restricted: u64,
    /// Persons under a legal hold.
    pub held: u64,
}

/// Counts what waits.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; engine errors.
pub async fn counts(database: &Database, acting: &Acting, now: UtcMillis) -> Result<Counts, RequestError> {
    const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;
    acting.must(Permission::PrivacyManage)?;
    let found: (i64, i64, i64, i64, i64) = read!(database, "requests.counts", |conn| {
        Ok(sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM privacy_request WHERE state = 'open'),
                    (SELECT COUNT(*) FROM privacy_request WHERE state = 'open' AND due_ms <= $1),
                    (SELECT COUNT(*) FROM privacy_request WHERE state = 'open' AND due_ms > $1 AND due_ms <= $2),
                    (SELECT COUNT(*) FROM restriction),
                    (SELECT COUNT(*) FROM legal_hold WHERE until_ms IS NULL OR until_ms > $1)",
        )
        .bind(now.0)
        .bind(now.plus_ms(WEEK_MS).0)
        .fetch_one(&mut *conn)
        .await?)
    })?;
    let (open, late, soon, restricted, held) = found;
    Ok(Counts {
        open: open.cast_unsigned(),
        late: late.cast_unsigned(),
        soon: soon.cast_unsigned(),
        restricted: restricted.cast_unsigned(),
        held: held.cast_unsigned(),
    })
}
