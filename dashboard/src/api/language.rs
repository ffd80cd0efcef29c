//! The language that a person is spoken to in, as another system tells it.

use axum::response::Response;
use clinic::people::{self, PersonError, Spoken};
use domain::PersonId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::describe::{Form, Operation, Parameter, Shape};
use super::problem::Problem;

/// What language a person is spoken to in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLanguage {
    /// Its code (ISO 639), with or without a region, such as `uk` or `uk-UA`; empty: nothing is set here, and what
    /// other systems tell counts.
    #[schema(max_length = 35)]
    language: String,
}

/// What language a person is spoken to in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonLanguage {
    /// The person's pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: String,
    /// The code of the language that is set here; empty: none.
    language: String,
}

pub const SET: Operation = Operation {
    about: "Refusals at the till and papers are in it, as far as this program knows it.",
    parameters: &[Parameter::path("person", Form::Id, "The person's pseudonym.")],
    takes: Some(Shape::of::<NewLanguage>()),
    repeatable: true,
    ..Operation::reads("person_language", "persons", "Set a person's language", Shape::of::<PersonLanguage>())
};

/// `POST /api/v1/persons/{person}/language`
pub async fn set(call: Call) -> Result<Response, Problem> {
    let person: PersonId = call.given("person")?;
    let told: NewLanguage = call.json()?;
    let language = match told.language.trim() {
        "" => None,
        text => Some(Spoken::parse(text).ok_or_else(|| {
            Problem::invalid("/language", "expected the code of a language, two or three letters, such as uk or uk-UA")
        })?),
    };
    let said = language.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default();
    match people::set_language(&call.app.database, call.acting()?, person, language, call.app.now()).await {
        Ok(()) => ok(&PersonLanguage { person: person.to_string(), language: said }),
        Err(PersonError::Denied(denied)) => Err(denied.into()),
        Err(PersonError::Unknown) => Err(Problem::NotFound),
        Err(PersonError::Store(error)) => Err(error.into()),
        Err(PersonError::ReferenceTaken) => Err(Problem::Internal),
    }
}
