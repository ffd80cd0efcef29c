//! The language that a person is spoken to in: refusals at the till and papers are in it. Not part of the passport: it says
//! little of anybody, is wanted while the vault is locked, and goes with the person's other traces. Owns the column
//! `person.language`.

use domain::{Permission, PersonId, UtcMillis};
use store::{Database, Error, read, transact};

use super::PersonError;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

/// The code of a language (ISO 639): two or three small letters, without a region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spoken(String);

impl Spoken {
    /// Reads a code, with or without script and region (`uk`, `uk-UA`, `ru_RU`); `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let main = text.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let is_code = matches!(main.len(), 2 | 3) && main.bytes().all(|byte| byte.is_ascii_lowercase());
        is_code.then_some(Self(main))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The language of a person; `None`: not known, or nobody of this pseudonym. Merged records are followed.
///
/// # Errors
/// [`PersonError::Denied`] without `person_see`, or the database.
pub async fn language_of(
    database: &Database,
    acting: &Acting,
    person: PersonId,
) -> Result<Option<Spoken>, PersonError> {
    acting.must(Permission::PersonSee)?;
    let found: Option<(Option<String>,)> = read!(database, "people.language", |conn| {
        Ok(sqlx::query_as(
            "SELECT language FROM person
             WHERE id = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)",
        )
        .bind(person.to_string())
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    // What an earlier version or a hand wrote and is no code is no language.
    Ok(found.and_then(|(text,)| text).and_then(|text| Spoken::parse(&text)))
}

/// Says which language a person is spoken to in, or that it is not known. What is so already changes nothing. Merged
/// records are followed.
///
/// # Errors
/// [`PersonError::Denied`] without `person_edit`, [`PersonError::Unknown`], or the database.
pub async fn set_language(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    language: Option<Spoken>,
    now: UtcMillis,
) -> Result<(), PersonError> {
    acting.must(Permission::PersonEdit)?;
    let entry = Draft {
        subject: Some(person),
        detail: Some("language".to_owned()),
        ..acting.draft(now, Action::PersonChanged)
    };
    transact!(database, "people.set_language", |conn| {
        let before: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT id, language FROM person
             WHERE id = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)",
        )
        .bind(person.to_string())
        .fetch_optional(&mut *conn)
        .await?;
        let Some((id, before)) = before else { return Ok(Err(PersonError::Unknown)) };
        let wanted = language.as_ref().map(Spoken::as_str);
        if before.as_deref() == wanted {
            return Ok(Ok(()));
        }
        sqlx::query("UPDATE person SET language = $1 WHERE id = $2").bind(wanted).bind(&id).execute(&mut *conn).await?;
        audit::record!(conn, &entry);
        Ok::<_, Error>(Ok(()))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_a_code_with_or_without_a_region() {
        for (text, code) in [("uk", "uk"), (" UK-ua ", "uk"), ("ru_RU", "ru"), ("fil", "fil"), ("zh-Hant-TW", "zh")] {
            assert_eq!(Spoken::parse(text).unwrap().as_str(), code);
        }
        for text in ["", "u", "ukrainian", "12", "u1", "українська", "-uk"] {
            assert_eq!(Spoken::parse(text), None, "{text:?}");
        }
    }
}
