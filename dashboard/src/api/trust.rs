//! What a privacy officer's own systems read: to whom data were given, and who broke glass.

use axum::response::Response;
use clinic::break_glass::{self, Case, GlassError, Queue};
use clinic::disclosures::{self, DisclosureError, Filter, Line};
use domain::{PersonId, UtcMillis};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::codes;
use super::describe::{Form, Operation, Parameter, Shape};
use super::problem::Problem;
use crate::rate::Rate;

/// Lines of one answer, if the caller names no number.
const PAGE: u32 = 100;

/// A page of the register of disclosures.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disclosures {
    /// Newest first.
    disclosures: Vec<DisclosureBody>,
    /// Give it as `behind` for the next page; nothing: this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A disclosure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisclosureBody {
    /// Its id.
    id: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// By which way.
    route: &'static str,
    /// What kind of recipient.
    recipient_kind: &'static str,
    /// An id, or an organisation's name.
    recipient: String,
    /// On which ground.
    ground: &'static str,
    /// Who gave it.
    actor: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// Kinds of data.
    classes: Vec<&'static str>,
    /// Fields of persons.
    #[schema(schema_with = codes::fields)]
    fields: Vec<&'static str>,
    /// Rows or records.
    records: u64,
    /// Number of persons.
    persons: u64,
    /// The breaking of glass under which it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    glass: Option<String>,
}

impl From<Line> for DisclosureBody {
    fn from(line: Line) -> Self {
        Self {
            id: line.id,
            at: line.at.to_rfc3339(),
            route: line.route.as_str(),
            recipient_kind: line.recipient_kind.as_str(),
            recipient: line.recipient,
            ground: line.ground.as_str(),
            actor: line.actor,
            object: line.object,
            classes: line.classes.iter().map(|class| class.as_str()).collect(),
            fields: line.fields.iter().map(|field| field.as_str()).collect(),
            records: line.records,
            persons: line.persons,
            glass: line.glass,
        }
    }
}

/// Breakings of glass.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Glasses {
    /// Latest first.
    glass: Vec<GlassBody>,
}

/// A breaking of glass. The words of its reason and review are on the pages only.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GlassBody {
    /// Its id, which every entry of the audit log made under it carries.
    id: String,
    /// The account.
    account: String,
    /// Since when.
    #[schema(format = DateTime)]
    started: String,
    /// Until when at most.
    #[schema(format = DateTime)]
    ends: String,
    /// Whether it is in force now.
    open: bool,
    /// What the review found; nothing: not reviewed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
}

fn queues() -> Vec<&'static str> {
    Queue::ALL.iter().map(|queue| queue.as_str()).collect()
}

pub const DISCLOSURES: Operation = Operation {
    parameters: &[
        Parameter::query("from", Form::Time, "Not earlier than this."),
        Parameter::query("until", Form::Time, "Earlier than this."),
        Parameter::query("person", Form::Id, "Of this person's data (pseudonym)."),
        Parameter::query("behind", Form::Place, "The `next` of the page before."),
        Parameter::query("limit", Form::Whole(1, disclosures::LIST_MAX as u64), "Lines at most; 100 if left out."),
    ],
    rate: Rate::Search,
    ..Operation::reads("disclosures", "privacy", "To whom data were given, newest first", Shape::of::<Disclosures>())
};

pub const GLASS: Operation = Operation {
    parameters: &[Parameter::query("queue", Form::Code(queues), "Which; all if left out.")],
    ..Operation::reads("glass", "privacy", "Who broke glass, and what reviews found", Shape::of::<Glasses>())
};

/// `GET /api/v1/disclosures`
pub async fn list(call: Call) -> Result<Response, Problem> {
    let time = |name: &str| call.text(name).and_then(UtcMillis::from_rfc3339);
    let person = call.read::<PersonId>("person")?;
    let filter = Filter { from: time("from"), until: time("until"), person, ..Filter::default() };
    let behind = match call.text("behind").and_then(|text| text.split_once(':')) {
        Some((at, id)) => {
            let at = at.parse().map_err(|_| Problem::invalid("behind", "it has the wrong form"))?;
            Some((UtcMillis(at), id.to_owned()))
        }
        None => None,
    };
    let limit = call.read("limit")?.unwrap_or(PAGE);
    let page = disclosures::list(&call.app.database, call.acting()?, &filter, behind, limit).await?;
    ok(&Disclosures {
        disclosures: page.lines.into_iter().map(DisclosureBody::from).collect(),
        next: page.next.map(|(at, id)| format!("{}:{id}", at.0)),
    })
}

/// `GET /api/v1/glass`
pub async fn glass(call: Call) -> Result<Response, Problem> {
    let queue = call.text("queue").and_then(Queue::parse).unwrap_or(Queue::All);
    let now = call.app.now();
    let body = |case: Case| GlassBody {
        open: case.is_open(now),
        id: case.glass.id,
        account: case.account,
        started: case.glass.started.to_rfc3339(),
        ends: case.glass.ends.to_rfc3339(),
        verdict: case.review.map(|review| review.verdict.as_str()),
    };
    let found = break_glass::list(&call.app.database, call.acting()?, queue, now).await?;
    ok(&Glasses { glass: found.into_iter().map(body).collect() })
}

impl From<DisclosureError> for Problem {
    fn from(error: DisclosureError) -> Self {
        match error {
            DisclosureError::Denied(denied) => denied.into(),
            DisclosureError::TooMany => Self::invalid("body", "too many persons at once; narrow it"),
            DisclosureError::BadRecipient => Self::Internal,
            DisclosureError::Store(error) => error.into(),
        }
    }
}

impl From<GlassError> for Problem {
    fn from(error: GlassError) -> Self {
        match error {
            GlassError::Denied(denied) => denied.into(),
            GlassError::NotFound => Self::NotFound,
            GlassError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "api.glass.failed");
                Self::Internal
            }
        }
    }
}
