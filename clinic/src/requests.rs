//! What persons ask about their own data: access, rectification, erasure, restriction, portability, objection; each
//! with the day by which the law wants an answer, its state and who dealt with it (GDPR articles 12 to 21).
//!
//! Owns the tables `privacy_request`, `restriction` and `legal_hold`. A restricted person is hidden from search and
//! analytics of everybody without `privacy_manage`; a person under a legal hold is not erased. No words about a person
//! stand in these tables: what was said is a note of the audit log, which can be blotted out. May import `domain` and
//! `store`.

mod deadline;
mod hold;
mod read;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use chrono_tz::Tz;
use domain::{Denied, Permission, PersonId, UtcMillis, codes};
use store::{Database, transact};
use thiserror::Error;

use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::break_glass::words;
use crate::{disclosures, draw};

pub use deadline::Law;
pub(crate) use deadline::local_date;
pub use hold::{Hold, hold, hold_of, is_restricted, release, restrict, restricted};
pub use read::{Counts, Filter, LIST_MAX, counts, list, of};

codes! {
    /// What is asked.
    Kind {
        /// A copy of the data, who received them and who looked.
        Access = "access",
        /// To correct them.
        Rectification = "rectification",
        /// To erase them.
        Erasure = "erasure",
        /// To keep them but not to use them.
        Restriction = "restriction",
        /// A copy for another system to read.
        Portability = "portability",
        /// Not to use them for a purpose.
        Objection = "objection",
    }
}

codes! {
    /// How it came.
    Channel {
        /// At a desk.
        InPerson = "in_person",
        /// On paper.
        Letter = "letter",
        /// By e-mail.
        Email = "email",
        /// By telephone.
        Telephone = "telephone",
        /// By the clinic's own site.
        Site = "site",
    }
}

codes! {
    /// How it was made sure that the one who asks is the person, or acts for them.
    Identity {
        /// By a document.
        Document = "document",
        /// By a signature that the law trusts.
        Signature = "signature",
        /// By a representative's authority.
        Representative = "representative",
        /// Not yet; nothing is answered before.
        NotYet = "not_yet",
    }
}

codes! {
    /// Where it stands.
    State {
        /// Waits for an answer.
        Open = "open",
        /// Done as asked.
        Answered = "answered",
        /// Not done; the person was told why.
        Refused = "refused",
        /// The person no longer asks.
        Withdrawn = "withdrawn",
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// Who asks.
    pub person: PersonId,
    /// What.
    pub kind: Kind,
    /// Under which law.
    pub law: Law,
    /// How it came.
    pub channel: Channel,
    /// How identity was made sure.
    pub identity: Identity,
    /// Where it stands.
    pub state: State,
    /// When it came.
    pub received: UtcMillis,
    /// The answer must be out before this instant.
    pub due: UtcMillis,
    /// Whether the term was put off once.
    pub is_extended: bool,
    /// When it was answered.
    pub answered: Option<UtcMillis>,
    /// Who took it in.
    pub taken_by: String,
    /// Who answered.
    pub answered_by: Option<String>,
}

impl Request {
    /// Whether the day of the law has passed without an answer.
    pub fn is_late(&self, now: UtcMillis) -> bool {
        self.state == State::Open && now >= self.due
    }
}

/// A request to be taken in.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// Who asks.
    pub person: PersonId,
    /// What.
    pub kind: Kind,
    /// Under which law.
    pub law: Law,
    /// How it came.
    pub channel: Channel,
    /// How identity was made sure.
    pub identity: Identity,
    /// When it came; not in the future.
    pub received: UtcMillis,
    /// What the person said, in a few words: a note of the audit log.
    pub note: Option<String>,
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum RequestError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such request or person.
    #[error("there is no such request or person")]
    NotFound,
    /// It is answered already.
    #[error("it is answered already")]
    NotOpen,
    /// Nobody has made sure who asks.
    #[error("nobody has made sure yet that it is the person who asks")]
    NotIdentified,
    /// It was put off before, or this law knows no delay.
    #[error("it cannot be put off (again)")]
    NoDelay,
    /// A refusal, a delay and a hold need a reason of 10 characters or more.
    #[error("this needs a reason of 10 to 500 characters")]
    BadReason,
    /// It came in the future.
    #[error("the day of receipt lies in the future")]
    BadDay,
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

pub(crate) enum Done {
    Yes,
    Missing,
    NotOpen,
    NotIdentified,
    NoDelay,
}

impl Done {
    pub(crate) fn into_result(self) -> Result<(), RequestError> {
        match self {
            Self::Yes => Ok(()),
            Self::Missing => Err(RequestError::NotFound),
            Self::NotOpen => Err(RequestError::NotOpen),
            Self::NotIdentified => Err(RequestError::NotIdentified),
            Self::NoDelay => Err(RequestError::NoDelay),
        }
    }
}

/// The clinic's days off, inside a transaction or read.
macro_rules! holidays {
    ($conn:expr) => {{
        let days: Vec<String> = sqlx::query_scalar("SELECT day FROM holiday").fetch_all(&mut *$conn).await?;
        days.iter().filter_map(|day| day.parse::<chrono::NaiveDate>().ok()).collect::<std::collections::BTreeSet<_>>()
    }};
}

fn due(law: Law, received: UtcMillis, zone: Tz, holidays: &BTreeSet<NaiveDate>) -> UtcMillis {
    deadline::end_of(law.due(local_date(received, zone), holidays), zone)
}

/// Takes a request in; its deadline follows from the law, in the clinic's `zone`. Returns its id.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`RequestError::NotFound`], [`RequestError::BadDay`]; engine errors.
pub async fn take_in(
    database: &Database,
    acting: &Acting,
    new: NewRequest,
    zone: Tz,
    now: UtcMillis,
) -> Result<String, RequestError> {
    acting.must(Permission::PrivacyManage)?;
    if new.received > now {
        return Err(RequestError::BadDay);
    }
    let id = draw::id()?;
    let draft = Draft {
        subject: Some(new.person),
        object: Some(id.clone()),
        purpose: Some(Purpose::PersonRequest),
        detail: Some(format!("taken in; kind={}; law={}; channel={}", new.kind, new.law, new.channel)),
        note: new.note.as_deref().and_then(|note| words(note, 1)),
        ..acting.draft(now, Action::RequestHandled)
    };
    let (by, key) = (disclosures::actor_code(&acting.actor), id.clone());
    transact!(database, "requests.take_in", |conn| {
        let known: Option<String> = sqlx::query_scalar("SELECT id FROM person WHERE id = $1")
            .bind(new.person.to_string())
            .fetch_optional(&mut *conn)
            .await?;
        if known.is_none() {
            return Ok(Done::Missing);
        }
        let holidays = holidays!(conn);
        sqlx::query(
            "INSERT INTO privacy_request (id, person, kind, law, channel, identity, state, received_ms, due_ms,
                 extended, taken_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)",
        )
        .bind(&key)
        .bind(new.person.to_string())
        .bind(new.kind.as_str())
        .bind(new.law.as_str())
        .bind(new.channel.as_str())
        .bind(new.identity.as_str())
        .bind(State::Open.as_str())
        .bind(new.received.0)
        .bind(due(new.law, new.received, zone, &holidays).0)
        .bind(&by)
        .execute(&mut *conn)
        .await?;
        audit::record!(conn, &draft);
        Ok(Done::Yes)
    })?
    .into_result()?;
    Ok(id)
}

/// Writes down how identity was made sure.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`RequestError::NotFound`], [`RequestError::NotOpen`]; engine errors.
pub async fn identify(
    database: &Database,
    acting: &Acting,
    id: &str,
    identity: Identity,
    now: UtcMillis,
) -> Result<(), RequestError> {
    change(database, acting, id, Step::Identify(identity), None, now).await
}

/// Ends a request: answered, refused or withdrawn. A refusal needs a reason, told to the person and kept as a note.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`RequestError`] as its words say; engine errors.
pub async fn close(
    database: &Database,
    acting: &Acting,
    id: &str,
    state: State,
    note: Option<&str>,
    now: UtcMillis,
) -> Result<(), RequestError> {
    let note = note.and_then(|note| words(note, 10));
    if state == State::Open || (state == State::Refused && note.is_none()) {
        return Err(RequestError::BadReason);
    }
    change(database, acting, id, Step::Close(state), note, now).await
}

/// Puts the answer off once, as far as the law allows; the person must be told the reason.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`RequestError`] as its words say; engine errors.
pub async fn extend(
    database: &Database,
    acting: &Acting,
    id: &str,
    reason: &str,
    zone: Tz,
    now: UtcMillis,
) -> Result<(), RequestError> {
    let reason = words(reason, 10).ok_or(RequestError::BadReason)?;
    change(database, acting, id, Step::Extend(zone), Some(reason), now).await
}

#[derive(Clone, Copy)]
enum Step {
    Identify(Identity),
    Close(State),
    Extend(Tz),
}

async fn change(
    database: &Database,
    acting: &Acting,
    id: &str,
    step: Step,
    note: Option<String>,
    now: UtcMillis,
) -> Result<(), RequestError> {
    acting.must(Permission::PrivacyManage)?;
    let (id, by) = (id.to_owned(), disclosures::actor_code(&acting.actor));
    let draft = Draft {
        object: Some(id.clone()),
        purpose: Some(Purpose::PersonRequest),
        note,
        ..acting.draft(now, Action::RequestHandled)
    };
    transact!(database, "requests.change", |conn| {
        let row: Option<read::Row> =
            sqlx::query_as("SELECT * FROM privacy_request WHERE id = $1").bind(&id).fetch_optional(&mut *conn).await?;
        let Some(row) = row else { return Ok(Done::Missing) };
        let request = Request::try_from(row)?;
        if request.state != State::Open {
            return Ok(Done::NotOpen);
        }
        let detail = match step {
            Step::Identify(identity) => {
                sqlx::query("UPDATE privacy_request SET identity = $1 WHERE id = $2")
                    .bind(identity.as_str())
                    .bind(&id)
                    .execute(&mut *conn)
                    .await?;
                format!("identity={identity}")
            }
            Step::Close(State::Answered) if request.identity == Identity::NotYet => return Ok(Done::NotIdentified),
            Step::Close(state) => {
                sqlx::query("UPDATE privacy_request SET state = $1, answered_ms = $2, answered_by = $3 WHERE id = $4")
                    .bind(state.as_str())
                    .bind(now.0)
                    .bind(&by)
                    .bind(&id)
                    .execute(&mut *conn)
                    .await?;
                format!("state={state}; late={}", request.is_late(now))
            }
            Step::Extend(zone) => {
                let holidays = holidays!(conn);
                let day = local_date(request.due.plus_ms(-1), zone);
                let later = deadline::end_of(request.law.extended(day, &holidays), zone);
                if request.is_extended || later <= request.due {
                    return Ok(Done::NoDelay);
                }
                sqlx::query("UPDATE privacy_request SET due_ms = $1, extended = 1 WHERE id = $2")
                    .bind(later.0)
                    .bind(&id)
                    .execute(&mut *conn)
                    .await?;
                format!("put off until {later}")
            }
        };
        let draft = Draft { subject: Some(request.person), detail: Some(detail), ..draft.clone() };
        audit::record!(conn, &draft);
        Ok(Done::Yes)
    })?
    .into_result()
}
