//! Persons: found by words, masked, and revealed field by field with a purpose. Every answer with anything in clear is
//! in the audit log and in the register of disclosures before it is sent. Words and names travel in bodies, never in
//! addresses.

use std::collections::BTreeSet;

use axum::response::Response;
use clinic::audit::Purpose;
use clinic::disclosures::Class;
use clinic::vault::{PersonCard, VaultError};
use domain::vault::{Masked, Names, Passport};
use domain::{Field, PersonId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::codes;
use super::describe::{Form, Operation, Parameter, Shape};
use super::problem::Problem;
use super::pulls::{self, Pull};
use crate::rate::Rate;

/// Longest words to search for, in characters.
const WORDS_MAX_CHARS: usize = 200;
/// Longest note, in characters.
const NOTE_MAX_CHARS: usize = 200;
/// Persons of one answer, if the caller names no number.
const FOUND: usize = 20;
/// Persons of one answer at most.
const FOUND_MAX: usize = 50;

/// Whom to search for, and what for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonQuery {
    /// Beginnings of names in any order; or a whole telephone number, e-mail address, document number or reference.
    #[schema(min_length = 1, max_length = 200)]
    words: String,
    /// What for.
    #[schema(schema_with = codes::purpose)]
    purpose: String,
    /// Persons at most; 20 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 50)]
    limit: Option<usize>,
}

/// Who was found.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundPersons {
    /// Ordered by name, as far as the key sees names.
    persons: Vec<FoundPerson>,
    /// Whether more fit than are given.
    more: bool,
}

/// Somebody who was found.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundPerson {
    /// The pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: String,
    /// The names, for keys that see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<PersonName>,
    /// The date of birth, for keys that see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date)]
    birth_date: Option<String>,
    /// Whether there is a photograph, for keys that see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<bool>,
    /// Whether processing of this person's data is restricted.
    restricted: bool,
}

/// A name.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonName {
    /// Family name.
    family: String,
    /// Given name.
    given: String,
    /// Middle name or patronymic; may be empty.
    middle: String,
}

/// A person, masked: enough to recognise somebody whom one has before oneself, not enough to know who it is.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskedPerson {
    /// The pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: String,
    /// Initials.
    name: String,
    /// Whether a date of birth is known.
    has_birth_date: bool,
    /// Documents: kind, and the end of the number.
    documents: Vec<MaskedValue>,
    /// Contacts: kind, and the end of a telephone number.
    contacts: Vec<MaskedValue>,
}

/// A document or contact, masked.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskedValue {
    /// Its kind.
    kind: &'static str,
    /// What is left of it.
    value: String,
}

/// Which fields, and what for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// The fields; those that the key does not see are left out of the answer.
    #[schema(schema_with = codes::vault_fields)]
    fields: Vec<String>,
    /// What for.
    #[schema(schema_with = codes::purpose)]
    purpose: String,
    /// Why, in your words; kept in the audit log, where it can be blotted out.
    #[serde(default)]
    #[schema(max_length = 200)]
    note: Option<String>,
}

/// Fields of a person in clear.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealedPerson {
    /// The pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: String,
    /// The names.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<PersonName>,
    /// The date of birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date)]
    birth_date: Option<String>,
    /// Identity documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<Vec<RevealedDocument>>,
    /// Ways to reach the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    contacts: Option<Vec<RevealedContact>>,
}

/// An identity document.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealedDocument {
    /// Its kind.
    kind: &'static str,
    /// Series and number.
    number: String,
    /// By whom and when it was issued; may be empty.
    issued: String,
}

/// A way to reach a person.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealedContact {
    /// Its kind.
    kind: &'static str,
    /// The number or address.
    value: String,
}

const PERSON: Parameter = Parameter::path("person", Form::Id, "The person's pseudonym.");

pub const SEARCH: Operation = Operation {
    about: "Recorded as a search; those found with anything in clear are a disclosure. Words of a search are never \
            stored.",
    takes: Some(Shape::of::<PersonQuery>()),
    rate: Rate::Search,
    ..Operation::reads(
        "person_search",
        "persons",
        "Find persons by name, number or document",
        Shape::of::<FoundPersons>(),
    )
};

pub const MASKED: Operation = Operation {
    parameters: &[PERSON],
    problems: &[410],
    ..Operation::reads("person", "persons", "A person, masked", Shape::of::<MaskedPerson>())
};

pub const REVEAL: Operation = Operation {
    about: "One person at a time, recorded and registered as a disclosure with its purpose. Only fields that the key \
            sees are in the answer; 403 if there is none.",
    parameters: &[PERSON],
    takes: Some(Shape::of::<Reveal>()),
    rate: Rate::Reveal,
    problems: &[410],
    ..Operation::reads("person_reveal", "persons", "Fields of a person in clear", Shape::of::<RevealedPerson>())
};

/// `POST /api/v1/persons/search`
pub async fn search(call: Call) -> Result<Response, Problem> {
    let asked: PersonQuery = call.json()?;
    let purpose = purpose_of(&asked.purpose)?;
    let limit = asked.limit.unwrap_or(FOUND);
    if !(1..=FOUND_MAX).contains(&limit) {
        return Err(Problem::invalid("/limit", format!("expected a whole number from 1 to {FOUND_MAX}")));
    }
    if asked.words.chars().count() > WORDS_MAX_CHARS || asked.words.trim().is_empty() {
        return Err(Problem::invalid("/words", format!("expected 1 to {WORDS_MAX_CHARS} characters")));
    }
    let acting = call.acting()?;
    let found = call.app.vault.search(acting, &asked.words, limit, purpose).await?;
    let fields = [Field::Name, Field::BirthDate, Field::Photo];
    let pull = Pull {
        fields: fields.into_iter().filter(|field| acting.rights.shows(*field)).collect(),
        records: found.people.len(),
        persons: found.people.iter().map(|card| card.person).collect(),
        purpose: Some(purpose),
    };
    pulls::register(&call, Class::Identity, pull).await?;
    let sees_photo = acting.rights.shows(Field::Photo);
    let person = |card: PersonCard| FoundPerson {
        person: card.person.to_string(),
        name: card.name.as_ref().map(PersonName::from),
        birth_date: card.birth_date.map(|date| date.reveal_iso().reveal().to_owned()),
        photo: sees_photo.then_some(card.photo.is_some()),
        restricted: card.restricted,
    };
    ok(&FoundPersons { persons: found.people.into_iter().map(person).collect(), more: found.more })
}

/// `GET /api/v1/persons/{person}`
pub async fn masked(call: Call) -> Result<Response, Problem> {
    let person: PersonId = call.given("person")?;
    let masked: Masked = call.app.vault.masked(call.acting()?, person).await?;
    pulls::register(&call, Class::Identity, one(person, Vec::new(), None)).await?;
    let documents = masked.documents.iter();
    let contacts = masked.contacts.iter();
    ok(&MaskedPerson {
        person: person.to_string(),
        name: masked.name.reveal().to_owned(),
        has_birth_date: masked.has_birth_date,
        documents: documents
            .map(|it| MaskedValue { kind: it.kind.as_str(), value: it.number.reveal().to_owned() })
            .collect(),
        contacts: contacts
            .map(|it| MaskedValue { kind: it.kind.as_str(), value: it.value.reveal().to_owned() })
            .collect(),
    })
}

/// `POST /api/v1/persons/{person}/reveal`
pub async fn reveal(call: Call) -> Result<Response, Problem> {
    let person: PersonId = call.given("person")?;
    let asked: Reveal = call.json()?;
    let purpose = purpose_of(&asked.purpose)?;
    let note = note_of(asked.note)?;
    let mut fields = BTreeSet::new();
    for (n, code) in asked.fields.iter().enumerate() {
        let field = Field::parse(code).filter(|field| codes::VAULT_FIELDS.contains(field));
        fields.insert(field.ok_or_else(|| Problem::invalid(format!("/fields/{n}"), "it names no field"))?);
    }
    let acting = call.acting()?;
    let fields: Vec<Field> = fields.into_iter().filter(|field| acting.rights.shows(*field)).collect();
    let passport: Passport = call.app.vault.reveal(acting, person, &fields, purpose, note).await?;
    pulls::register(&call, Class::Identity, one(person, fields.clone(), Some(purpose))).await?;
    let shows = |field: Field| fields.contains(&field);
    let documents = passport.documents.iter().map(|document| RevealedDocument {
        kind: document.kind.as_str(),
        number: document.number.reveal().to_owned(),
        issued: document.issued.reveal().to_owned(),
    });
    let contacts = passport.contacts.iter();
    let contacts = contacts.map(|it| RevealedContact { kind: it.kind.as_str(), value: it.value.reveal().to_owned() });
    let born = passport.birth_date.filter(|_| shows(Field::BirthDate));
    ok(&RevealedPerson {
        person: person.to_string(),
        name: shows(Field::Name).then(|| PersonName::from(&passport.names)),
        birth_date: born.map(|date| date.reveal_iso().reveal().to_owned()),
        documents: shows(Field::Document).then(|| documents.collect()),
        contacts: shows(Field::Contact).then(|| contacts.collect()),
    })
}

fn one(person: PersonId, fields: Vec<Field>, purpose: Option<Purpose>) -> Pull {
    Pull { fields, records: 1, persons: BTreeSet::from([person]), purpose }
}

fn purpose_of(code: &str) -> Result<Purpose, Problem> {
    let known = || Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect::<Vec<_>>().join(", ");
    Purpose::parse(code).ok_or_else(|| Problem::invalid("/purpose", format!("expected one of: {}", known())))
}

/// A note as it is kept: one line, bounded; blanks are none.
pub(super) fn note_of(note: Option<String>) -> Result<Option<String>, Problem> {
    let Some(note) = note else { return Ok(None) };
    if note.chars().count() > NOTE_MAX_CHARS || note.chars().any(char::is_control) {
        return Err(Problem::invalid("/note", format!("at most {NOTE_MAX_CHARS} characters, all on one line")));
    }
    Ok(Some(note).filter(|note| !note.trim().is_empty()))
}

impl From<&Names> for PersonName {
    fn from(names: &Names) -> Self {
        let text = |part: &domain::vault::Secret| part.reveal().to_owned();
        Self { family: text(&names.family), given: text(&names.given), middle: text(&names.middle) }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Locked(_) => Self::Locked,
            VaultError::Denied(denied) => denied.into(),
            VaultError::Unknown => Self::NotFound,
            VaultError::Erased(_) => Self::Gone,
            VaultError::NothingToShow => Self::Hidden,
            VaultError::Query(refused) => Self::invalid("/words", refused.to_string()),
            VaultError::TooMany => Self::invalid("/words", "too many people fit; give more letters or another name"),
            VaultError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "api.vault.failed");
                Self::Internal
            }
        }
    }
}
