//! The feed of changes: what happened, in the order of arrival, under pseudonyms. Asking again behind the last event
//! received misses nothing and repeats nothing.

use std::collections::BTreeSet;

use axum::response::Response;
use clinic::disclosures::Class;
use clinic::events::Event;
use clinic::watch;
use domain::PersonId;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::codes;
use super::describe::{Form, Operation, Parameter, Shape};
use super::problem::Problem;
use super::pulls::{self, Pull};

/// Events of one answer, if the caller names no number.
const PAGE: u32 = 500;
/// Events of one answer at most.
const PAGE_MAX: u32 = 5000;

/// A part of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// In the order of arrival.
    events: Vec<FeedEvent>,
    /// Ask for what is behind this number next.
    next: u64,
    /// Whether there is more already.
    more: bool,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedEvent {
    /// Its number: rises in the order of arrival, with gaps where the key may not look.
    id: u64,
    /// When it arrived here.
    #[schema(format = DateTime)]
    received: String,
    /// When it happened, by the gateway's clock.
    #[schema(format = DateTime)]
    at: String,
    /// What happened.
    #[schema(schema_with = codes::kind)]
    kind: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = codes::reason)]
    reason: Option<&'static str>,
    /// The gateway that recorded it.
    gateway: String,
    /// The life of that gateway's journal, and the number of the entry there: together with the gateway they name the
    /// event for ever.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    epoch: String,
    /// See `epoch`.
    seq: u64,
    /// At which point.
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<String>,
    /// At which reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    reader: Option<String>,
    /// In or out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = codes::direction)]
    direction: Option<&'static str>,
    /// The card's pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    card: Option<String>,
    /// The person's pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: Option<String>,
    /// The category that the card has now, for keys that see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    /// How old it was when it was read, in milliseconds: it came late.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u32>,
}

impl FeedEvent {
    fn new(event: Event, shows_category: bool) -> Self {
        let (entry, fact) = (event.entry.clone(), event.entry.fact);
        Self {
            id: event.id,
            received: event.received.to_rfc3339(),
            at: fact.at.to_rfc3339(),
            kind: fact.kind.as_str(),
            reason: fact.reason.map(|reason| reason.as_str()),
            gateway: entry.gateway.to_string(),
            epoch: entry.epoch.to_string(),
            seq: entry.seq,
            point: fact.point.map(|point| point.to_string()),
            reader: fact.reader.map(|reader| reader.to_string()),
            direction: fact.direction.map(|direction| direction.as_str()),
            card: fact.card.map(|card| card.to_string()),
            person: fact.person.map(|person| person.to_string()),
            category: event.category.filter(|_| shows_category).map(|category| category.to_string()),
            age_ms: fact.age_ms,
        }
    }
}

pub const FEED: Operation = Operation {
    about: "Begin with `after=0`, then give the `next` of the last answer. An empty answer means that nothing new has \
            arrived; ask again later.",
    parameters: &[
        Parameter::query("after", Form::Whole(0, u64::MAX >> 1), "The number of the last event that you have."),
        Parameter::query("limit", Form::Whole(1, PAGE_MAX as u64), "Events of this answer at most; 500 if left out."),
    ],
    ..Operation::reads("events", "events", "What happened, in the order of arrival", Shape::of::<Feed>())
};

/// `GET /api/v1/events`
pub async fn feed(call: Call) -> Result<Response, Problem> {
    let after = call.read::<u64>("after")?.unwrap_or(0);
    let limit = call.read::<u32>("limit")?.unwrap_or(PAGE);
    let shows_category = call.acting()?.rights.shows(domain::Field::Category);
    let (found, next, more) = watch::feed(&call.app.database, call.acting()?, after, limit).await?;
    let persons: BTreeSet<PersonId> = found.iter().filter_map(|event| event.entry.fact.person).collect();
    let pull = Pull { records: found.len(), persons, ..Pull::default() };
    pulls::register(&call, Class::LocationTrace, pull).await?;
    let events = found.into_iter().map(|event| FeedEvent::new(event, shows_category)).collect();
    ok(&Feed { events, next, more })
}
