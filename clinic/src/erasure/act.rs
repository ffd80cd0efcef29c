//! Acts of destruction: who had what destroyed, when and on which ground.

use domain::{Permission, PersonId, UtcMillis};
use serde_json::{Map, Value};
use sqlx::FromRow;
use store::{Database, Error, read};

use super::ErasureError;
use super::plan::{Item, What};
use crate::acting::Acting;
use crate::rows::column;

/// Acts handed out by one read.
const LIST_MAX: i64 = 500;

/// An act of destruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Its id.
    pub id: String,
    /// The pseudonym, which leads to nobody any more.
    pub person: PersonId,
    /// When.
    pub at: UtcMillis,
    /// Who: an account's id, `console` or `system`.
    pub by: String,
    /// Why.
    pub ground: String,
    /// The request that asked for it.
    pub request: Option<String>,
    /// What there was; what became of each follows from its kind.
    pub items: Vec<Item>,
    /// The number of its entry in the audit log, where it is known.
    pub log: Option<u64>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    person: String,
    at_ms: i64,
    actor: String,
    ground: String,
    request: Option<String>,
    act: String,
    no: Option<i64>,
}

impl TryFrom<Row> for Act {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            person: column("erasure", "person", &row.person, |text: &str| text.parse())?,
            at: UtcMillis(row.at_ms),
            by: row.actor,
            ground: row.ground,
            request: row.request,
            items: from_json(&row.act)?,
            log: row.no.map(i64::cast_unsigned),
            id: row.id,
        })
    }
}

/// The newest acts, at most 500.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; engine errors.
pub async fn acts(database: &Database, acting: &Acting) -> Result<Vec<Act>, ErasureError> {
    acting.must(Permission::PrivacyManage)?;
    let rows: Vec<Row> = read!(database, "erasure.acts", |conn| {
        Ok(sqlx::query_as(
            "SELECT e.id, e.person, e.at_ms, e.actor, e.ground, e.request, e.act,
                 (SELECT MAX(a.no) FROM audit_entry a WHERE a.object = e.id AND a.action = 'person_erased') AS no
             FROM erasure e ORDER BY e.at_ms DESC, e.id LIMIT $1",
        )
        .bind(LIST_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(Act::try_from).collect::<Result<_, Error>>()?)
}

/// One act.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; [`ErasureError::Unknown`]; engine errors.
pub async fn of(database: &Database, acting: &Acting, id: &str) -> Result<Act, ErasureError> {
    acting.must(Permission::PrivacyManage)?;
    let row: Option<Row> = read!(database, "erasure.of", |conn| {
        Ok(sqlx::query_as(
            "SELECT e.id, e.person, e.at_ms, e.actor, e.ground, e.request, e.act,
                 (SELECT MAX(a.no) FROM audit_entry a WHERE a.object = e.id AND a.action = 'person_erased') AS no
             FROM erasure e WHERE e.id = $1",
        )
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    Ok(Act::try_from(row.ok_or(ErasureError::Unknown)?)?)
}

/// Counts in one line, for the audit log.
pub(super) fn summary(items: &[Item]) -> String {
    let some = items.iter().filter(|item| item.count > 0);
    some.map(|item| format!("{}={} {}", item.what, item.count, item.what.fate())).collect::<Vec<_>>().join("; ")
}

pub(super) fn to_json(items: &[Item]) -> String {
    let map: Map<String, Value> =
        items.iter().map(|item| (item.what.as_str().to_owned(), Value::from(item.count))).collect();
    Value::Object(map).to_string()
}

fn from_json(text: &str) -> Result<Vec<Item>, Error> {
    let bad = || Error::bad_row("erasure", "act", "this is not a list of counts");
    let Ok(Value::Object(map)) = serde_json::from_str(text) else { return Err(bad()) };
    What::ALL
        .iter()
        .filter_map(|what| map.get(what.as_str()).map(|count| (what, count)))
        .map(|(what, count)| Ok(Item { what: *what, count: count.as_u64().ok_or_else(bad)? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_reads_back_as_it_was_written() {
        let items: Vec<Item> = What::ALL.iter().zip(0..).map(|(what, count)| Item { what: *what, count }).collect();
        assert_eq!(from_json(&to_json(&items)).unwrap(), items);
        assert!(from_json("{\"passes\":-1}").is_err() && from_json("[]").is_err());
        assert!(summary(&items).starts_with("corrections=1 destroyed; photos=2 destroyed"));
    }
}
