//! Restriction of processing (GDPR article 18) and legal holds (article 17(3)): the first hides a person, the second
//! forbids to erase them.

use std::collections::BTreeSet;

use domain::{Permission, PersonId, UtcMillis};
use store::{Database, Error, read, transact};

use super::{Done, RequestError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::break_glass::words;
use crate::disclosures;

/// Persons asked about by one read.
const ASKED_MAX: usize = 1000;

/// A reason not to erase somebody yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The law or case, in words; about a duty, never about the person.
    pub ground: String,
    /// Since when.
    pub since: UtcMillis,
    /// Until when; `None`: until it is released.
    pub until: Option<UtcMillis>,
    /// Who set it.
    pub by: String,
}

/// Restricts the processing of a person's data, or lifts the restriction. `request` is the request that asked for it.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; [`RequestError::NotFound`] for an unknown person; engine errors.
pub async fn restrict(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    is_restricted: bool,
    request: Option<&str>,
    now: UtcMillis,
) -> Result<(), RequestError> {
    acting.must(Permission::PrivacyManage)?;
    let draft = Draft {
        subject: Some(person),
        object: request.map(str::to_owned),
        purpose: Some(Purpose::PersonRequest),
        detail: Some(if is_restricted { "restricted" } else { "lifted" }.to_owned()),
        ..acting.draft(now, Action::PersonRestricted)
    };
    let (by, id, request) = (disclosures::actor_code(&acting.actor), person.to_string(), request.map(str::to_owned));
    transact!(database, "requests.restrict", |conn| {
        let known: Option<String> =
            sqlx::query_scalar("SELECT id FROM person WHERE id = $1").bind(&id).fetch_optional(&mut *conn).await?;
        if known.is_none() {
            return Ok(Done::Missing);
        }
        let changed = if is_restricted {
            sqlx::query(
                "INSERT INTO restriction (person, since_ms, actor, request) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (person) DO NOTHING",
            )
            .bind(&id)
            .bind(now.0)
            .bind(&by)
            .bind(request.as_deref())
            .execute(&mut *conn)
            .await?
            .rows_affected()
        } else {
            sqlx::query("DELETE FROM restriction WHERE person = $1")
                .bind(&id)
                .execute(&mut *conn)
                .await?
                .rows_affected()
        };
        // The vault hides by its own row.
        sqlx::query("UPDATE passport SET restricted_ms = $1 WHERE person = $2")
            .bind(is_restricted.then_some(now.0))
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        if changed > 0 {
            audit::record!(conn, &draft);
        }
        Ok(Done::Yes)
    })?
    .into_result()
}

/// Whether processing of a person's data is restricted.
///
/// # Errors
/// Engine errors.
pub async fn is_restricted(database: &Database, person: PersonId) -> Result<bool, Error> {
    Ok(restricted(database, &[person]).await?.contains(&person))
}

/// Which of these persons (at most 1000 are looked at) are restricted.
///
/// # Errors
/// Engine errors.
pub async fn restricted(database: &Database, persons: &[PersonId]) -> Result<BTreeSet<PersonId>, Error> {
    let asked: Vec<String> = persons.iter().take(ASKED_MAX).map(ToString::to_string).collect();
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found: Vec<String> = read!(database, "requests.restricted", |conn| {
        let mut query = sqlx::QueryBuilder::<Db>::new("SELECT person FROM restriction WHERE person IN (");
        let mut list = query.separated(", ");
        for id in &asked {
            list.push_bind(id.clone());
        }
        query.push(")");
        Ok(query.build_query_scalar().fetch_all(&mut *conn).await?)
    })?;
    Ok(disclosures::person_ids("restriction", &found)?.into_iter().collect())
}

/// Forbids to erase a person until an instant, or until it is released; a hold that stands is replaced.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; [`RequestError::BadReason`], [`RequestError::NotFound`]; engine errors.
pub async fn hold(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    ground: &str,
    until: Option<UtcMillis>,
    now: UtcMillis,
) -> Result<(), RequestError> {
    acting.must(Permission::PrivacyManage)?;
    let ground = words(ground, 10).ok_or(RequestError::BadReason)?;
    let draft = Draft {
        subject: Some(person),
        detail: Some(until.map_or_else(|| "held".to_owned(), |until| format!("held until {until}"))),
        note: Some(ground.clone()),
        ..acting.draft(now, Action::RequestHandled)
    };
    let (by, id) = (disclosures::actor_code(&acting.actor), person.to_string());
    transact!(database, "requests.hold", |conn| {
        let known: Option<String> =
            sqlx::query_scalar("SELECT id FROM person WHERE id = $1").bind(&id).fetch_optional(&mut *conn).await?;
        if known.is_none() {
            return Ok(Done::Missing);
        }
        sqlx::query(
            "INSERT INTO legal_hold (person, ground, since_ms, until_ms, actor) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (person) DO UPDATE SET ground = excluded.ground, since_ms = excluded.since_ms,
                 until_ms = excluded.until_ms, actor = excluded.actor",
        )
        .bind(&id)
        .bind(&ground)
        .bind(now.0)
        .bind(until.map(|until| until.0))
        .bind(&by)
        .execute(&mut *conn)
        .await?;
        audit::record!(conn, &draft);
        Ok(Done::Yes)
    })?
    .into_result()
}

/// Takes a hold away.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; engine errors.
pub async fn release(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    now: UtcMillis,
) -> Result<(), RequestError> {
    acting.must(Permission::PrivacyManage)?;
    let draft = Draft {
        subject: Some(person),
        detail: Some("hold released".to_owned()),
        ..acting.draft(now, Action::RequestHandled)
    };
    let id = person.to_string();
    transact!(database, "requests.release", |conn| {
        let gone = sqlx::query("DELETE FROM legal_hold WHERE person = $1").bind(&id).execute(&mut *conn).await?;
        if gone.rows_affected() > 0 {
            audit::record!(conn, &draft);
        }
        Ok(())
    })?;
    Ok(())
}

/// The hold on a person that is in force; `None` if there is none.
///
/// # Errors
/// Engine errors.
pub async fn hold_of(database: &Database, person: PersonId, now: UtcMillis) -> Result<Option<Hold>, Error> {
    let id = person.to_string();
    let row: Option<(String, i64, Option<i64>, String)> = read!(database, "requests.hold_of", |conn| {
        Ok(sqlx::query_as(
            "SELECT ground, since_ms, until_ms, actor FROM legal_hold
             WHERE person = $1 AND (until_ms IS NULL OR until_ms > $2)",
        )
        .bind(&id)
        .bind(now.0)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    Ok(row.map(|(ground, since, until, by)| Hold { ground, since: UtcMillis(since), until: until.map(UtcMillis), by }))
}
