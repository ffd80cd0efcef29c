//! The feed of changes at desks and with visits, for systems that ask themselves: the same JSON as webhooks are sent,
//! behind a number that the asker keeps, with a wait for what is new.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The charge as it is now, for keys that see what patients were charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    charge: Option<ChangeCharge>,
    /// The payment as it is now, for keys that see what patients were charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment: Option<ChangePayment>,
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

/// A service that a patient was charged. Amounts are whole minor units of the currency.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeCharge {
    /// A UUID, also that of the charge in other systems.
    id: String,
    /// Its number here.
    number: u64,
    /// How far it has come, a code.
    state: String,
    /// On which terms, a code.
    mode: String,
    /// What was given.
    service: ChangeService,
    /// How many.
    quantity: u32,
    /// ISO 4217.
    currency: String,
    /// Digits of the minor unit.
    digits: u8,
    /// The price of all.
    gross_minor: i64,
    /// The discount.
    discount_minor: i64,
    /// What is to be paid: price less discount.
    net_minor: i64,
    /// What was paid of it.
    paid_minor: i64,
    /// What was written off.
    written_off_minor: i64,
    /// When it was registered.
    #[schema(format = DateTime)]
    registered: String,
    /// In which visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    visit: Option<String>,
    /// Why without the patient's card, a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    out_of_card: Option<String>,
    /// Who rendered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staff: Option<ChangeParty>,
    /// The scheme of the discount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<ChangeScheme>,
    /// When it was rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    rendered: Option<String>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    cancelled: Option<String>,
    /// Why, a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_why: Option<String>,
}

/// A service of the price list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeService {
    /// Its code here.
    code: String,
    /// Its category.
    category: String,
    /// What other systems call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external: Option<String>,
    /// Its names, by language.
    names: BTreeMap<String, String>,
}

/// The version of a discount scheme that was used.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeScheme {
    /// Which.
    id: String,
    /// Its version.
    version: u64,
    /// The rate, in hundredths of a per cent.
    rate: u32,
}

/// Money that came from a patient or payer, or went back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePayment {
    /// A UUID.
    id: String,
    /// Money taken, paid in or given back: a code.
    kind: String,
    /// How it came or went, a code.
    method: String,
    /// How far it has come, a code.
    state: String,
    /// ISO 4217.
    currency: String,
    /// Digits of the minor unit.
    digits: u8,
    /// How much.
    minor: i64,
    /// Which charges it pays.
    parts: Vec<ChangePart>,
    /// When it was begun.
    #[schema(format = DateTime)]
    begun: String,
    /// The number of its receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<u64>,
    /// The group or contract that paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer: Option<String>,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    done: Option<String>,
    /// The payment it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reverses: Option<String>,
}

/// What a payment pays of a charge.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePart {
    /// The charge.
    charge: String,
    /// How much of it.
    minor: i64,
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
        let rendered_by = fact.charge.as_ref().and_then(|charge| charge.staff.as_ref());
        persons.extend(fact.staff.iter().chain(rendered_by).map(|staff| staff.party.person));
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
