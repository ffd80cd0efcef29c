//! The language that a person is spoken to in: refusals at the till and papers are in it. Not part of the passport: it says
//! little of anybody, is wanted while the vault is locked, and goes with the person's other traces.
//!
//! What people of the clinic set counts before what other systems tell, and nothing that they tell removes it. Of what they
//! tell, the source counts that is believed first ([`crate::feeds::Settings::order`]), of those that tell it at all; an
//! imported list counts least. Owns the columns `person.language`, `language_told` and `language_by`.

use domain::{Permission, PersonId, Spoken, UtcMillis};
use store::{Database, Error, read, transact};

use super::PersonError;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

/// What is known of the language of a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LanguageKnown {
    /// What was set here.
    pub set: Option<Spoken>,
    /// What was told.
    pub told: Option<LanguageTold>,
}

impl LanguageKnown {
    /// The one that counts.
    pub fn spoken(&self) -> Option<&Spoken> {
        self.set.as_ref().or(self.told.as_ref().map(|told| &told.language))
    }
}

/// A language that another system told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageTold {
    /// Which.
    pub language: Spoken,
    /// The source; `None`: a list that was imported.
    pub by: Option<String>,
}

/// Inside a read or a transaction: the code of the language that counts for a person, if one is known. Merged records are
/// followed.
macro_rules! spoken {
    ($conn:expr, $person:expr) => {{
        let found: Option<Option<String>> = sqlx::query_scalar(
            "SELECT COALESCE(language, language_told) FROM person
             WHERE id = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)",
        )
        .bind($person)
        .fetch_optional(&mut *$conn)
        .await?;
        found.flatten()
    }};
}
pub(crate) use spoken;

/// What is known of the language of a person; nothing of somebody whom nobody knows. Merged records are followed.
///
/// # Errors
/// [`PersonError::Denied`] without `person_see`, or the database.
pub async fn language_known(
    database: &Database,
    acting: &Acting,
    person: PersonId,
) -> Result<LanguageKnown, PersonError> {
    acting.must(Permission::PersonSee)?;
    Ok(known(database, person).await?)
}

/// The language to speak to a person in, as [`language_known`].
///
/// # Errors
/// As [`language_known`].
pub async fn language_of(
    database: &Database,
    acting: &Acting,
    person: PersonId,
) -> Result<Option<Spoken>, PersonError> {
    Ok(language_known(database, acting, person).await?.spoken().cloned())
}

/// As [`language_known`], for those who asked for their permission already.
pub(crate) async fn known(database: &Database, person: PersonId) -> Result<LanguageKnown, Error> {
    type Row = (Option<String>, Option<String>, Option<String>);
    let found: Option<Row> = read!(database, "people.language", |conn| {
        Ok(sqlx::query_as(
            "SELECT language, language_told, language_by FROM person
             WHERE id = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)",
        )
        .bind(person.to_string())
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    let (set, told, by) = found.unwrap_or_default();
    // What a hand wrote into the database and is no code is no language.
    let read = |text: Option<String>| text.and_then(|text| Spoken::parse(&text));
    Ok(LanguageKnown { set: read(set), told: read(told).map(|language| LanguageTold { language, by }) })
}

/// Says which language a person is spoken to in; `None`: nothing is set here, and what other systems tell counts. What is so
/// already changes nothing. Merged records are followed.
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

/// Inside a transaction: writes what was told, `(person, language, source)`; each person once.
macro_rules! write_told {
    ($conn:expr, $db:ty, $told:expr) => {{
        let told: &[(String, Option<String>, Option<String>)] = $told;
        for some in told.chunks(500) {
            let mut update = sqlx::QueryBuilder::<$db>::new("WITH told (person, language, source) AS (");
            update.push_values(some, |mut row, (person, language, source)| {
                row.push_bind(person.clone()).push_bind(language.clone()).push_bind(source.clone());
            });
            update.push(
                ") UPDATE person SET language_told = told.language, language_by = told.source FROM told
                 WHERE told.person = person.id",
            );
            update.build().persistent(false).execute(&mut *$conn).await?;
        }
    }};
}
pub(crate) use write_told;

/// What of what a source tells now is to be written: `(person, language, source)`. `may` says whether the source is believed
/// before the one that told what is known. A source takes back only what it told itself.
pub(crate) fn news(
    told: &std::collections::BTreeMap<String, Option<Spoken>>,
    there: &[(String, Option<String>, Option<String>)],
    source: Option<&str>,
    may: impl Fn(&str) -> bool,
) -> Vec<(String, Option<String>, Option<String>)> {
    let mut news = Vec::new();
    for (person, language, by) in there {
        let Some(wanted) = told.get(person) else { continue };
        let wanted = wanted.as_ref().map(|spoken| spoken.as_str().to_owned());
        let is_own = by.as_deref() == source;
        let is_free = language.is_none() || is_own || by.as_deref().is_none_or(&may);
        if !is_free || (wanted.is_none() && !is_own) || (*language == wanted && is_own) {
            continue;
        }
        let by = wanted.as_ref().and(source).map(str::to_owned);
        news.push((person.clone(), wanted, by));
    }
    news
}
