//! The feed of changes at desks and with visits, for systems that ask themselves: the same JSON as webhooks are sent,
//! behind a number that the asker keeps, with a wait for what is new.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::response::Response;
use clinic::disclosures::Class;
use clinic::outbox;
use domain::{Field, PersonId};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::describe::{Form, Operation, Parameter, Shape};
use super::problem::Problem;
use super::pulls::{self, Pull};

/// Changes of one answer, if the caller names no number.
const PAGE: u32 = 200;
/// Changes of one answer at most.
const PAGE_MAX: u32 = 1000;
/// Longest wait for something new, in seconds; below the time that an answer may take at all.
const WAIT_MAX_S: u64 = 15;
/// Callers that wait at once; further ones are answered at once, as if nothing were new.
const WAITING_MAX: usize = 64;

static WAITING: Semaphore = Semaphore::const_new(WAITING_MAX);

/// A part of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// In the order of the commits.
    changes: Vec<ChangeItem>,
    /// Ask for what is behind this number next.
    next: u64,
    /// Whether there is more already.
    more: bool,
}

/// A change with what it is about, as it is now. Members are added in later versions, never renamed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeItem {
    /// The version of this form.
    version: u32,
    /// The site.
    site: String,
    /// 1, 2, 3 …: names the change for ever.
    id: u64,
    /// What happened, a code.
    r#type: String,
    /// When it was stored.
    #[schema(format = DateTime)]
    at: String,
    /// When it happened: for a tap, at the reader.
    #[schema(format = DateTime)]
    happened: String,
    /// Why, a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Further facts in codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// In which binding to a workstation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patient: Option<ChangeParty>,
    /// The record that is left when two became one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged_into: Option<ChangeParty>,
    /// The specialist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staff: Option<ChangeParty>,
    /// The workstation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workstation: Option<ChangeDesk>,
    /// The visit as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    visit: Option<ChangeVisit>,
    /// The appointment as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    appointment: Option<ChangeAppointment>,
}

/// A person by pseudonym, and by what the caller's system calls them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeParty {
    /// The pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: String,
    /// The pseudonym of the record that this one was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survivor: Option<String>,
    /// What the system named in the call calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aliases: Option<Vec<String>>,
    /// The id of a specialist in the medical system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    practitioner: Option<String>,
}

/// A workstation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeDesk {
    /// Its point.
    point: String,
    /// What people call it.
    name: String,
    /// What other systems call it or its room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external: Option<String>,
}

/// A visit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeVisit {
    /// A UUID, also that of the encounter in the medical system.
    id: String,
    /// Its number here.
    number: u64,
    /// The room.
    zone: String,
    /// What began it, a code.
    began_by: String,
    /// The tap at the reader.
    #[schema(format = DateTime)]
    started: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended: Option<String>,
    /// Why, a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_why: Option<String>,
}

/// An appointment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAppointment {
    /// Its id here.
    id: String,
    /// Which feed told of it.
    source: String,
    /// Its id there, for keys that see what other systems call people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external: Option<String>,
    /// Its begin.
    #[schema(format = DateTime)]
    starts: String,
    /// Its end.
    #[schema(format = DateTime)]
    ends: String,
    /// How far it has got, a code.
    state: String,
}

pub const FEED: Operation = Operation {
    about: "Begin with `after=0`, then give the `next` of the last answer. With `wait` an answer without anything new \
            comes after so many seconds only (the first call, and a number ahead of the last change, are answered at \
            once). `system` names your system, so that the answer tells \
            what you call people; only to keys that see what other systems call people.",
    parameters: &[
        Parameter::query("after", Form::Whole(0, u64::MAX >> 1), "The number of the last change that you have."),
        Parameter::query("limit", Form::Whole(1, PAGE_MAX as u64), "Changes of this answer at most; 200 if left out."),
        Parameter::query("wait", Form::Whole(0, WAIT_MAX_S), "Seconds to wait for something new; 0 if left out."),
        Parameter::query("system", Form::Name, "Your system's name in the configuration."),
    ],
    ..Operation::reads("changes", "exchange", "What happened at desks and with visits", Shape::of::<Changes>())
};

/// `GET /api/v1/changes`
pub async fn feed(call: Call) -> Result<Response, Problem> {
    let after = call.read::<u64>("after")?.unwrap_or(0);
    let limit = call.read::<u32>("limit")?.unwrap_or(PAGE);
    let wait = call.read::<u64>("wait")?.unwrap_or(0).min(WAIT_MAX_S);
    let system = call.text("system").unwrap_or_default().to_owned();
    // Followed from before the first look, so that nothing slips between look and wait.
    let mut news = call.app.changes.subscribe();
    let until = Instant::now() + Duration::from_secs(wait);
    let acting = call.acting()?;
    let (facts, next, more) = loop {
        let found = outbox::feed(&call.app.database, acting, &system, after, limit).await?;
        // The first call is answered at once, and so is a number that nobody was told yet.
        let is_last = after > 0 && clinic::changes::last_id(&call.app.database).await? == after;
        if !found.0.is_empty() || !is_last || Instant::now() >= until {
            break found;
        }
        let Ok(_turn) = WAITING.try_acquire() else { break found };
        let changed = async {
            tokio::select! {
                changed = news.changed() => changed.is_ok(),
                () = call.app.ending.cancelled() => false,
            }
        };
        if !timeout_at(until, changed).await.unwrap_or(true) {
            break found;
        }
    };
    let mut persons: BTreeSet<PersonId> = BTreeSet::new();
    for fact in &facts {
        persons.extend(fact.patient.iter().chain(&fact.merged_into).map(|party| party.person));
        persons.extend(fact.staff.as_ref().map(|staff| staff.party.person));
    }
    let shows_names = acting.rights.shows(Field::Reference) && !system.is_empty();
    let fields = if shows_names { vec![Field::Reference] } else { Vec::new() };
    let pull = Pull { fields, records: facts.len(), persons, ..Pull::default() };
    pulls::register(&call, Class::LocationTrace, pull).await?;
    let site = call.app.settings.site.as_str();
    let item = |fact: &outbox::Fact| serde_json::from_value(outbox::body(fact, site));
    let changes: Result<Vec<ChangeItem>, _> = facts.iter().map(item).collect();
    let changes = changes.map_err(|error| {
        tracing::error!(error = %error, "api.change.form");
        Problem::Internal
    })?;
    ok(&Changes { changes, next, more })
}
