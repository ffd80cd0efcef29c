//! Persons as the pass office makes them: a new pseudonym, and what other systems call the person. Each is written with
//! its entry of the audit log; a look at a reference is too.

use domain::{Denied, Field, Permission, PersonId, UtcMillis};
use store::{Database, read, transact};
use thiserror::Error;

use super::Reference;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::rows::column;

/// Why a person was not registered, or a reference not changed or shown.
#[derive(Debug, Error)]
pub enum PersonError {
    /// A permission is missing, or the role does not show references.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such person.
    #[error("there is no such person")]
    Unknown,
    /// Another person is called so.
    #[error("another person has this reference already")]
    ReferenceTaken,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A person, without anything personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// Whether another system has a name for them.
    pub has_reference: bool,
    /// Since when they are known here.
    pub since: UtcMillis,
}

/// A person by pseudonym; `None` if there is none.
///
/// # Errors
/// [`PersonError::Denied`] without `person_see`; the database.
pub async fn person(database: &Database, acting: &Acting, id: PersonId) -> Result<Option<Person>, PersonError> {
    acting.must(Permission::PersonSee)?;
    let found: Option<(Option<String>, i64)> = read!(database, "people.person", |conn| {
        Ok(sqlx::query_as("SELECT external_ref, created_ms FROM person WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    Ok(found.map(|(reference, since)| Person { id, has_reference: reference.is_some(), since: UtcMillis(since) }))
}

/// Makes a person, known by a new pseudonym only.
///
/// # Errors
/// [`PersonError`].
pub async fn register(
    database: &Database,
    acting: &Acting,
    reference: Option<Reference>,
    now: UtcMillis,
) -> Result<PersonId, PersonError> {
    acting.must(Permission::PersonEdit)?;
    let drawn = crate::draw::id()?;
    let id: PersonId = column("person", "id", &drawn, |text: &str| text.parse())?;
    let fields = reference.iter().map(|_| Field::Reference).collect();
    let detail = Some("registered".to_owned());
    let entry = Draft { subject: Some(id), fields, detail, ..acting.draft(now, Action::PersonChanged) };
    transact!(database, "people.register", |conn| {
        if let Some(reference) = &reference {
            let taken: Option<String> = sqlx::query_scalar("SELECT id FROM person WHERE external_ref = $1")
                .bind(reference.reveal())
                .fetch_optional(&mut *conn)
                .await?;
            if taken.is_some() {
                return Ok(Err(PersonError::ReferenceTaken));
            }
        }
        sqlx::query("INSERT INTO person (id, external_ref, created_ms) VALUES ($1, $2, $3)")
            .bind(&drawn)
            .bind(reference.as_ref().map(Reference::reveal))
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
        audit::record!(conn, &entry);
        Ok(Ok(id))
    })?
}

/// Says what other systems call a person, or that they call them nothing. What is so already changes nothing.
///
/// # Errors
/// [`PersonError`].
pub async fn set_reference(
    database: &Database,
    acting: &Acting,
    id: PersonId,
    reference: Option<Reference>,
    now: UtcMillis,
) -> Result<(), PersonError> {
    acting.must(Permission::PersonEdit)?;
    must_show(acting)?;
    let fields = vec![Field::Reference];
    let entry = Draft { subject: Some(id), fields, ..acting.draft(now, Action::PersonChanged) };
    transact!(database, "people.set_reference", |conn| {
        let before: Option<(Option<String>,)> = sqlx::query_as("SELECT external_ref FROM person WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *conn)
            .await?;
        let Some((before,)) = before else { return Ok(Err(PersonError::Unknown)) };
        let wanted = reference.as_ref().map(Reference::reveal);
        if before.as_deref() == wanted {
            return Ok(Ok(()));
        }
        let taken: Option<String> = sqlx::query_scalar("SELECT id FROM person WHERE external_ref = $1")
            .bind(wanted)
            .fetch_optional(&mut *conn)
            .await?;
        if taken.is_some() {
            return Ok(Err(PersonError::ReferenceTaken));
        }
        sqlx::query("UPDATE person SET external_ref = $1 WHERE id = $2")
            .bind(wanted)
            .bind(id.to_string())
            .execute(&mut *conn)
            .await?;
        audit::record!(conn, &entry);
        Ok(Ok(()))
    })?
}

/// What other systems call a person, in clear. The look is written in the transaction that fetches it.
///
/// # Errors
/// [`PersonError`].
pub async fn reveal_reference(
    database: &Database,
    acting: &Acting,
    id: PersonId,
    purpose: Purpose,
    now: UtcMillis,
) -> Result<Option<Reference>, PersonError> {
    acting.must(Permission::PersonReveal)?;
    must_show(acting)?;
    let entry = Draft {
        subject: Some(id),
        fields: vec![Field::Reference],
        purpose: Some(purpose),
        ..acting.draft(now, Action::PersonRevealed)
    };
    transact!(database, "people.reveal_reference", |conn| {
        let found: Option<(Option<String>,)> = sqlx::query_as("SELECT external_ref FROM person WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *conn)
            .await?;
        let Some((text,)) = found else { return Ok(Err(PersonError::Unknown)) };
        audit::record!(conn, &entry);
        Ok(Ok(text.map(Reference)))
    })?
}

/// A role that may unmask people and does not show references is refused like one that may not unmask.
fn must_show(acting: &Acting) -> Result<(), Denied> {
    if acting.rights.shows(Field::Reference) { Ok(()) } else { Err(Denied(Permission::PersonReveal)) }
}
