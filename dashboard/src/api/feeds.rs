//! What other systems tell by the API: lists of records, and sign-ins that happened without a card. Answers name places
//! and fields, never what a record holds.

use axum::response::Response;
use clinic::feeds::read::{Fields, read_list};
use clinic::feeds::{Alias, FeedError, FeedKind, Mode, Problem as Wrong, Report, Source, person_of_alias};
use clinic::irregular::{IrregularError, SignIn};
use clinic::people::Reference;
use domain::{PointId, UtcMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};

use super::call::{Call, ok};
use super::describe::{Form, Gives, Operation, Parameter, Shape};
use super::problem::Problem;

/// Refused records of one answer; further ones are counted.
const REFUSALS_MAX: usize = 200;
/// Longest name of a source.
const SOURCE_MAX: usize = 64;

fn any_objects() -> Schema {
    let any = ObjectBuilder::new().schema_type(Type::Object);
    ArrayBuilder::new().items(RefOr::T(Schema::from(any))).into()
}

fn modes() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["changes", "whole"])).into()
}

fn kinds() -> Vec<&'static str> {
    FeedKind::ALL.iter().map(|kind| kind.as_str()).collect()
}

fn problems() -> Schema {
    let codes: Vec<&'static str> = Wrong::ALL.iter().map(|problem| problem.as_str()).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)).into()
}

/// Records of one kind.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedList {
    /// Whether these changed, or this is everything there is: then what is missing has ended.
    #[schema(schema_with = modes)]
    #[serde(default)]
    mode: Option<String>,
    /// The records; their fields stand in the documentation of feeds.
    #[schema(schema_with = any_objects)]
    records: Vec<Map<String, Value>>,
}

/// What became of the records.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedReport {
    /// Not told before.
    added: u64,
    /// Changed something.
    changed: u64,
    /// Say what is known.
    unchanged: u64,
    /// Older than what is known, or repetitions.
    older: u64,
    /// Ended.
    ended: u64,
    /// In which another source is believed first.
    differences: u64,
    /// Not taken.
    refused: Vec<FeedRefusal>,
    /// How many further ones were not taken.
    more_refused: u64,
    /// The list waits for a person's word, and nothing of it was taken: send it again afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<FeedHeld>,
}

/// A record that was not taken.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedRefusal {
    /// Its place in the list, the first being 1; 0: the whole list.
    row: u64,
    /// Which field; empty: the whole record.
    field: &'static str,
    /// What is wrong.
    #[schema(schema_with = problems)]
    problem: &'static str,
    /// What to do.
    advice: String,
}

/// A whole list that would end too much.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedHeld {
    /// Its number on the page of feeds.
    id: u64,
    /// How many it would end.
    would_end: u64,
    /// Of how many.
    of: u64,
}

/// A sign-in to the medical system without a card.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IrregularSignIn {
    /// The system, by its name in the configuration.
    #[schema(min_length = 1, max_length = 64)]
    source: String,
    /// Its id of the sign-in: the same is taken once.
    #[schema(min_length = 1, max_length = 64)]
    id: String,
    /// Its id of who signed in, where it is known.
    #[serde(default)]
    #[schema(max_length = 64)]
    staff: Option<String>,
    /// Our name of the workstation, where it is known.
    #[serde(default)]
    #[schema(max_length = 64)]
    workstation: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IrregularTaken {
    /// The id of the case that somebody reviews.
    case: String,
    /// Whether it was new.
    added: bool,
}

pub const TAKE: Operation = Operation {
    about: "At most 4 MB. Telling the same again changes nothing, and an older record changes nothing. Records that cannot \
            be taken are named in the answer; the others are taken. A whole list that would end more than the clinic \
            allows waits for a person's word.",
    parameters: &[
        Parameter::path("source", Form::Token(SOURCE_MAX), "Who tells: the name of a system."),
        Parameter::path("kind", Form::Code(kinds), "Of what."),
    ],
    takes: Some(Shape::of::<FeedList>()),
    gives: Gives::Json(200, Shape::of::<FeedReport>()),
    repeatable: true,
    ..Operation::reads(
        "feed_take",
        "feeds",
        "Tell of staff, patients, appointments and the like",
        Shape::of::<FeedReport>(),
    )
};

pub const SIGN_IN: Operation = Operation {
    about: "Each becomes a case that somebody reviews.",
    takes: Some(Shape::of::<IrregularSignIn>()),
    gives: Gives::Json(200, Shape::of::<IrregularTaken>()),
    repeatable: true,
    ..Operation::reads("irregular_sign_in", "feeds", "Report a sign-in without a card", Shape::of::<IrregularTaken>())
};

/// `POST /api/v1/feeds/{source}/{kind}`
pub async fn take(call: Call) -> Result<Response, Problem> {
    let feeds = call.app.feeds.as_ref().ok_or(Problem::Unavailable)?;
    let source = Source::new(call.text("source").unwrap_or_default())?;
    let kind = call.text("kind").and_then(FeedKind::parse).ok_or(Problem::NotFound)?;
    let list: FeedList = call.json()?;
    let mode = match list.mode.as_deref() {
        None | Some("changes") => Mode::Changes,
        Some("whole") => Mode::Whole,
        Some(_) => return Err(Problem::invalid("/mode", "expected changes or whole")),
    };
    let rows: Vec<Fields> = list.records;
    let list = read_list(kind, rows, mode, feeds.settings().time_zone);
    ok(&body(feeds.take_list(call.acting()?, &source, list).await?))
}

fn body(report: Report) -> FeedReport {
    let more = report.refused.len().saturating_sub(REFUSALS_MAX) as u64;
    let refusal = |it: clinic::feeds::Refusal| FeedRefusal {
        row: it.row,
        field: it.field,
        problem: it.problem.as_str(),
        advice: it.words,
    };
    FeedReport {
        added: report.added,
        changed: report.changed,
        unchanged: report.unchanged,
        older: report.older,
        ended: report.ended,
        differences: report.differences,
        more_refused: report.more_refused + more,
        refused: report.refused.into_iter().take(REFUSALS_MAX).map(refusal).collect(),
        held: report.held.map(|held| FeedHeld { id: held.id, would_end: held.would_end, of: held.of }),
    }
}

/// `POST /api/v1/irregular-sign-ins`
pub async fn sign_in(call: Call) -> Result<Response, Problem> {
    let told: IrregularSignIn = call.json()?;
    let source = Source::new(&told.source)?;
    let external = Reference::new(&told.id).ok_or_else(|| Problem::invalid("/id", "expected 1 to 64 characters"))?;
    let staff = match told.staff.as_deref().map(|id| Reference::new(id).map(Alias::own)) {
        None => None,
        Some(None) => return Err(Problem::invalid("/staff", "expected 1 to 64 characters")),
        Some(Some(alias)) => person_of_alias(&call.app.database, source.as_str(), alias.value.reveal()).await?,
    };
    let workstation = told.workstation.as_deref().map(PointId::new).transpose();
    let workstation =
        workstation.map_err(|_| Problem::invalid("/workstation", "expected the name of a workstation"))?;
    let at = UtcMillis::from_rfc3339(&told.at).ok_or_else(|| Problem::invalid("/at", "expected a time"))?;
    let seen = SignIn { source: source.to_string(), external: external.reveal().to_owned(), staff, workstation, at };
    let (case, added) = call.app.irregular.report_sign_in(call.acting()?, &seen).await?;
    ok(&IrregularTaken { case: case.id, added })
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Denied(denied) => denied.into(),
            FeedError::Source(_) => Self::invalid("source", "expected 1 to 64 letters, digits and . _ -"),
            FeedError::TooMany(_) => Self::invalid("/records", "there are too many; send them in parts"),
            FeedError::Unknown => Self::NotFound,
            FeedError::System(_) => Self::Unavailable,
            FeedError::Store(error) => error.into(),
        }
    }
}

impl From<IrregularError> for Problem {
    fn from(error: IrregularError) -> Self {
        match error {
            IrregularError::Denied(denied) => denied.into(),
            IrregularError::Store(error) => error.into(),
            other => Self::invalid("body", other.to_string()),
        }
    }
}
