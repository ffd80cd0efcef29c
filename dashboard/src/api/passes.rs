//! Passes: what a card opens for whom, and until when; blocking and withdrawing one.

use axum::response::Response;
use clinic::disclosures::Class;
use clinic::people::{self, Change, Pass, PassError};
use domain::policy::PassState;
use domain::{CardId, Field, PersonId, UtcMillis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{Call, ok, tagged};
use super::codes;
use super::describe::{Form, Gives, Operation, Parameter, Shape};
use super::persons::note_of;
use super::problem::Problem;
use super::pulls::{self, Pull};

/// A pass.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassBody {
    /// The card's pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    card: String,
    /// The holder's pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: String,
    /// What kind of pass it is.
    #[schema(schema_with = codes::pass_kind)]
    kind: &'static str,
    /// Whether it works.
    #[schema(schema_with = codes::pass_state)]
    state: &'static str,
    /// The holder's category, for keys that see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    /// Whether it opens one entry only.
    one_time: bool,
    /// First instant at which it is valid, for keys that see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    valid_from: Option<String>,
    /// First instant at which it is no longer valid, for keys that see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// Since when it has been as it is.
    #[schema(format = DateTime)]
    since: String,
}

/// The passes of a person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Passes {
    /// All that were not replaced.
    passes: Vec<PassBody>,
}

/// Why a pass is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassChange {
    /// Why, in your words; kept in the audit log, where it can be blotted out.
    #[serde(default)]
    #[schema(max_length = 200)]
    note: Option<String>,
}

/// What a change led to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassChanged {
    /// The card's pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    card: String,
    /// Whether it works now.
    #[schema(schema_with = codes::pass_state)]
    state: &'static str,
    /// Whether this call changed it; it may have been so already.
    changed: bool,
    /// The version of the policy in which it is so; gateways report the version in force there.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<u64>,
}

fn body(pass: &Pass, call: &Call) -> Result<PassBody, Problem> {
    let rights = &call.acting()?.rights;
    let validity = rights.shows(Field::Validity);
    let time = |at: Option<UtcMillis>| at.filter(|_| validity).map(UtcMillis::to_rfc3339);
    Ok(PassBody {
        card: pass.card.to_string(),
        person: pass.person.to_string(),
        kind: pass.kind.as_str(),
        state: pass.state.as_str(),
        category: rights.shows(Field::Category).then(|| pass.category.to_string()),
        one_time: pass.one_time,
        valid_from: time(pass.valid_from),
        valid_until: time(pass.valid_until),
        since: pass.since.to_rfc3339(),
    })
}

const CARD: Parameter = Parameter::path("card", Form::Id, "The card's pseudonym.");
const IF_MATCH: Parameter = Parameter::header(
    "if-match",
    Form::Tag,
    "The `ETag` of the pass as you read it. If it has been changed since, nothing is done and the answer is 412.",
);

pub const SHOW: Operation = Operation {
    parameters: &[CARD],
    about: "The header `ETag` names this state of the pass.",
    ..Operation::reads("pass", "passes", "The pass of a card", Shape::of::<PassBody>())
};

pub const OF_PERSON: Operation = Operation {
    parameters: &[Parameter::path("person", Form::Id, "The person's pseudonym.")],
    ..Operation::reads("person_passes", "passes", "The passes of a person", Shape::of::<Passes>())
};

const fn changes(id: &'static str, summary: &'static str) -> Operation {
    Operation {
        about: "In force at every gateway that is connected within seconds; see `policy_version`.",
        parameters: &[CARD, IF_MATCH],
        takes: Some(Shape::of::<PassChange>()),
        gives: Gives::Json(200, Shape::of::<PassChanged>()),
        repeatable: true,
        problems: &[409, 412],
        ..Operation::reads(id, "passes", summary, Shape::of::<PassChanged>())
    }
}

pub const BLOCK: Operation = changes("pass_block", "Block a pass until it is activated again");
pub const LOSE: Operation = changes("pass_lose", "Mark the card as lost");
pub const ACTIVATE: Operation = changes("pass_activate", "Let a blocked or lost pass work again");
pub const WITHDRAW: Operation = changes("pass_withdraw", "Withdraw a pass for good");

async fn register(call: &Call, passes: &[Pass]) -> Result<(), Problem> {
    let rights = &call.acting()?.rights;
    let fields = [Field::Validity, Field::Category].into_iter().filter(|field| rights.shows(*field)).collect();
    let persons = passes.iter().map(|pass| pass.person).collect();
    pulls::register(call, Class::Identity, Pull { fields, records: passes.len(), persons, purpose: None }).await
}

/// `GET /api/v1/passes/{card}`
pub async fn show(call: Call) -> Result<Response, Problem> {
    let card: CardId = call.given("card")?;
    let pass = people::pass_for(&call.app.database, call.acting()?, card).await?.ok_or(Problem::NotFound)?;
    register(&call, std::slice::from_ref(&pass)).await?;
    tagged(&body(&pass, &call)?, &pass.since.0.to_string())
}

/// `GET /api/v1/persons/{person}/passes`
pub async fn of_person(call: Call) -> Result<Response, Problem> {
    let person: PersonId = call.given("person")?;
    let passes = people::passes_for(&call.app.database, call.acting()?, person).await?;
    register(&call, &passes).await?;
    ok(&Passes { passes: passes.iter().map(|pass| body(pass, &call)).collect::<Result<_, _>>()? })
}

/// `POST /api/v1/passes/{card}/…`: the last part of the path says what becomes of it.
pub async fn change(call: Call) -> Result<Response, Problem> {
    let card: CardId = call.given("card")?;
    let state = match call.route.path.rsplit('/').next() {
        Some("block") => PassState::Blocked,
        Some("lose") => PassState::Lost,
        Some("activate") => PassState::Active,
        Some("withdraw") => PassState::Withdrawn,
        _ => return Err(Problem::NotFound),
    };
    let change: PassChange = call.json()?;
    let seen = match call.text("if-match") {
        Some(tag) => Some(tag.trim_matches('"').parse().map(UtcMillis).map_err(|_| Problem::Changed)?),
        None => None,
    };
    let note = note_of(change.note)?;
    let (database, acting, now) = (&call.app.database, call.acting()?, call.app.now());
    let version = match people::change_state(database, acting, card, state, seen, note, now).await? {
        Change::Unknown => return Err(Problem::NotFound),
        Change::Unchanged => None,
        Change::Changed(version) => Some(version),
    };
    let changed = version.is_some();
    ok(&PassChanged { card: card.to_string(), state: state.as_str(), changed, policy_version: version })
}

impl From<PassError> for Problem {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Denied(denied) => denied.into(),
            PassError::ChangedSince(_) => Self::Changed,
            PassError::Withdrawn => Self::Conflict("This pass was withdrawn and stays so; give a new one instead."),
            PassError::Store(error) => error.into(),
        }
    }
}
