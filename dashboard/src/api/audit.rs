//! The audit log: search, one entry, and the proof that it is in the log. Every reading is itself written down.

use axum::response::Response;
use clinic::acting::Actor;
use clinic::audit::{self, Action, AuditError, Filter, Note, Outcome, Position, Recorded};
use domain::{PersonId, UtcMillis};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::describe::{Form, Operation, Parameter, Shape};
use super::problem::Problem;
use crate::rate::Rate;

/// Entries of one answer, if the caller names no number.
const PAGE: u32 = 100;
/// Entries of one answer at most.
const PAGE_MAX: u32 = 1000;

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditPage {
    /// Latest first.
    entries: Vec<AuditEntry>,
    /// Give it as `behind` for the next page; nothing: this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An entry of the audit log. Codes may be newer than this description.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its number in the log, from 1 without a gap.
    #[schema(minimum = 1)]
    no: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What kind of actor: `account`, `api_key`, `console`, `system`, `anybody`.
    actor_kind: String,
    /// The id of the account or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// The session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The network address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What was done.
    action: String,
    /// How it ended.
    outcome: String,
    /// Whose data: a person's pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// What else it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// Fields of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<String>,
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    /// Further facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Whether a reason was typed: `kept` or `blotted`. Its words are on the auditor's page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    /// The breaking of glass under which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    glass: Option<String>,
    /// The hash of the entry: its leaf in the tree.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    leaf: String,
}

/// That an entry is in the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditProof {
    /// The entry.
    entry: AuditEntry,
    /// How many entries the tree has.
    size: u64,
    /// Hashes from the leaf upward (RFC 9162 section 2.1.3).
    path: Vec<String>,
    /// The root of the tree.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    root: String,
    /// The signed head of that tree, as it is published; nothing while no head covers the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
}

impl From<&Recorded> for AuditEntry {
    fn from(recorded: &Recorded) -> Self {
        let entry = recorded.entry.clone();
        Self {
            no: entry.no,
            at: entry.at.to_rfc3339(),
            actor_kind: entry.actor_kind,
            actor: entry.actor,
            session: entry.session,
            address: entry.address,
            action: entry.action,
            outcome: entry.outcome,
            subject: entry.subject,
            object: entry.object,
            fields: entry.fields,
            purpose: entry.purpose,
            detail: entry.detail,
            note: match recorded.note {
                Note::None => None,
                Note::Kept { .. } => Some("kept"),
                Note::Blotted => Some("blotted"),
            },
            glass: entry.glass,
            leaf: recorded.leaf.to_string(),
        }
    }
}

fn actions() -> Vec<&'static str> {
    Action::ALL.iter().map(|action| action.as_str()).collect()
}

fn outcomes() -> Vec<&'static str> {
    Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect()
}

const NO: Parameter = Parameter::path("no", Form::Whole(1, u64::MAX >> 1), "The number of the entry.");

pub const SEARCH: Operation = Operation {
    parameters: &[
        Parameter::query("from", Form::Time, "Not earlier than this."),
        Parameter::query("until", Form::Time, "Earlier than this."),
        Parameter::query("action", Form::Code(actions), "What was done."),
        Parameter::query("outcome", Form::Code(outcomes), "How it ended."),
        Parameter::query("account", Form::Id, "By this account."),
        Parameter::query("key", Form::Id, "By this key of the API."),
        Parameter::query("subject", Form::Id, "About this person (pseudonym)."),
        Parameter::query("behind", Form::Position, "The `next` of the page before."),
        Parameter::query("limit", Form::Whole(1, PAGE_MAX as u64), "Entries at most; 100 if left out."),
    ],
    rate: Rate::Search,
    ..Operation::reads("audit_search", "audit", "Search in the audit log, latest first", Shape::of::<AuditPage>())
};

pub const ENTRY: Operation = Operation {
    parameters: &[NO],
    ..Operation::reads("audit_entry", "audit", "One entry of the audit log", Shape::of::<AuditEntry>())
};

pub const PROOF: Operation = Operation {
    about: "Check it against a published head, without this server: docs/audit.md says how.",
    parameters: &[NO],
    ..Operation::reads("audit_proof", "audit", "The proof that an entry is in the log", Shape::of::<AuditProof>())
};

/// `GET /api/v1/audit`
pub async fn search(call: Call) -> Result<Response, Problem> {
    let time = |name: &str| call.text(name).and_then(UtcMillis::from_rfc3339);
    let actor = match (call.text("account"), call.text("key")) {
        (Some(_), Some(_)) => return Err(Problem::invalid("key", "give an account or a key, not both")),
        (Some(account), None) => Some(Actor::Account(account.to_owned())),
        (None, Some(key)) => Some(Actor::ApiKey(key.to_owned())),
        (None, None) => None,
    };
    let filter = Filter {
        from: time("from"),
        until: time("until"),
        actor,
        actions: call.text("action").and_then(Action::parse).into_iter().collect(),
        outcome: call.text("outcome").and_then(Outcome::parse),
        subject: call.read::<PersonId>("subject")?,
        ..Filter::default()
    };
    let behind = call.position("behind")?.map(|(at, no)| Position { at, no });
    let limit = call.read("limit")?.unwrap_or(PAGE);
    let (database, acting, now) = (&call.app.database, call.acting()?, call.app.now());
    let page = audit::search(database, acting, now, &filter, behind, limit).await?;
    ok(&AuditPage {
        entries: page.entries.iter().map(AuditEntry::from).collect(),
        next: page.next.map(|next| format!("{}:{}", next.at.0, next.no)),
    })
}

/// `GET /api/v1/audit/{no}`
pub async fn entry(call: Call) -> Result<Response, Problem> {
    let (database, acting, now) = (&call.app.database, call.acting()?, call.app.now());
    let found = audit::entry(database, acting, now, call.given("no")?).await?.ok_or(Problem::NotFound)?;
    ok(&AuditEntry::from(&found))
}

/// `GET /api/v1/audit/{no}/proof`
pub async fn proof(call: Call) -> Result<Response, Problem> {
    let (database, acting, now) = (&call.app.database, call.acting()?, call.app.now());
    let proof = audit::proof(database, acting, now, call.given("no")?).await?.ok_or(Problem::NotFound)?;
    ok(&AuditProof {
        entry: AuditEntry::from(&proof.recorded),
        size: proof.inclusion.size,
        path: proof.inclusion.path.iter().map(ToString::to_string).collect(),
        root: proof.root.to_string(),
        head: proof.head.map(|head| head.to_string()),
    })
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Denied(denied) => denied.into(),
            AuditError::Store(error) => error.into(),
            #[allow(unreachable_patterns, reason = "kinds of errors that reading does not meet")]
            other => {
                tracing::error!(error = %other, "api.audit.failed");
                Self::Internal
            }
        }
    }
}
