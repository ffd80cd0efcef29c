//! Reading the log: search, one entry, and how the rows become what `domain` knows. Whoever reads is written down in the
//! same transaction; if that fails, nothing is shown.

use domain::audit::{Entry, NOTE_SALT_BYTES, TreeHash};
use domain::{Permission, PersonId, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, transact};

use super::{Action, AuditError, Draft, Outcome, Purpose, record};
use crate::acting::{Acting, Actor};

/// Entries of one page of results, at most.
pub const PAGE_MAX: u32 = 1000;

/// An entry as it is stored, with its note and its leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What the leaf is the hash of.
    pub entry: Entry,
    /// What a person typed as the reason; gone if it was blotted out.
    pub note: Note,
    /// The stored hash of the leaf.
    pub leaf: TreeHash,
}

/// The note of an entry.
#[derive(Clone, PartialEq, Eq)]
pub enum Note {
    /// There never was one.
    None,
    /// As it was typed, with the salt of its hash.
    Kept {
        /// The text; personal data may stand in it.
        text: String,
        /// The salt, for the verifier.
        salt: [u8; NOTE_SALT_BYTES],
    },
    /// It was blotted out; its hash is still in the entry.
    Blotted,
}

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Kept { .. } => "Kept(…)",
            Self::Blotted => "Blotted",
        })
    }
}

/// What to search for; everything given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not earlier than this.
    pub from: Option<UtcMillis>,
    /// Earlier than this.
    pub until: Option<UtcMillis>,
    /// By this actor.
    pub actor: Option<Actor>,
    /// One of these; empty: all.
    pub actions: Vec<Action>,
    /// It ended so.
    pub outcome: Option<Outcome>,
    /// About this person.
    pub subject: Option<PersonId>,
    /// About exactly this object.
    pub object: Option<String>,
    /// In this session.
    pub session: Option<String>,
    /// For this purpose.
    pub purpose: Option<Purpose>,
    /// Under this breaking of glass.
    pub glass: Option<String>,
}

impl Filter {
    /// The filter in words of ours, for the entry about the search.
    fn described(&self) -> String {
        let mut words = Vec::new();
        let mut say = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
        say("from", self.from.map(|at| at.to_rfc3339()));
        say("until", self.until.map(|at| at.to_rfc3339()));
        say("actor", self.actor.as_ref().map(|actor| actor.id().unwrap_or(actor.kind().into()).into_owned()));
        let actions: Vec<&str> = self.actions.iter().map(|action| action.as_str()).collect();
        say("action", (!actions.is_empty()).then(|| actions.join(",")));
        say("outcome", self.outcome.map(|outcome| outcome.to_string()));
        say("object", self.object.clone());
        say("session", self.session.clone());
        say("purpose", self.purpose.map(|purpose| purpose.to_string()));
        say("glass", self.glass.clone());
        words.join("; ")
    }
}

/// Where a page of results ended; the next one starts behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Time of the last entry shown.
    pub at: UtcMillis,
    /// Its number.
    pub no: u64,
}

/// One page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Latest first.
    pub entries: Vec<Recorded>,
    /// Give this to get the next page; `None` when this is the last one.
    pub next: Option<Position>,
}

#[derive(FromRow)]
pub(super) struct Row {
    no: i64,
    at_ms: i64,
    actor_kind: String,
    actor: Option<String>,
    session: Option<String>,
    address: Option<String>,
    action: String,
    outcome: String,
    subject: Option<String>,
    object: Option<String>,
    fields: Option<String>,
    purpose: Option<String>,
    detail: Option<String>,
    note: Option<String>,
    note_salt: Option<Vec<u8>>,
    note_hash: Option<Vec<u8>>,
    glass: Option<String>,
    leaf: Vec<u8>,
}

impl TryFrom<Row> for Recorded {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "audit_entry";
        let hash = |name, bytes: &[u8]| {
            TreeHash::from_slice(bytes).ok_or_else(|| Error::bad_row(T, name, "a hash has 32 bytes"))
        };
        let note_hash = row.note_hash.as_deref().map(|bytes| hash("note_hash", bytes)).transpose()?;
        let note = match (note_hash, row.note, row.note_salt) {
            (None, ..) => Note::None,
            (Some(_), Some(text), Some(salt)) => {
                let salt = salt.try_into().map_err(|_| Error::bad_row(T, "note_salt", "a salt has 32 bytes"))?;
                Note::Kept { text, salt }
            }
            (Some(_), ..) => Note::Blotted,
        };
        let entry = Entry {
            no: crate::rows::number(T, "no", row.no)?,
            at: UtcMillis(row.at_ms),
            actor_kind: row.actor_kind,
            actor: row.actor,
            session: row.session,
            address: row.address,
            action: row.action,
            outcome: row.outcome,
            subject: row.subject,
            object: row.object,
            fields: row.fields,
            purpose: row.purpose,
            detail: row.detail,
            note_hash,
            glass: row.glass,
        };
        Ok(Self { entry, note, leaf: hash("leaf", &row.leaf)? })
    }
}

/// The beginning of every statement that reads entries. A macro so that each statement stays one literal.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT no, at_ms, actor_kind, actor, session, address, action, outcome, subject, object, fields, purpose,
                    detail, note, note_salt, note_hash, glass, leaf FROM audit_entry ",
            $rest
        )
    };
}
pub(super) use select;

/// Adds what a filter asks for to a `QueryBuilder` that ends within its WHERE clause.
macro_rules! narrow {
    ($query:expr, $filter:expr) => {{
        let (query, filter): (_, &$crate::audit::Filter) = (&mut $query, $filter);
        if let Some(from) = filter.from {
            query.push(" AND at_ms >= ").push_bind(from.0);
        }
        if let Some(until) = filter.until {
            query.push(" AND at_ms < ").push_bind(until.0);
        }
        if let Some(actor) = &filter.actor {
            query.push(" AND actor_kind = ").push_bind(actor.kind());
            if let Some(id) = actor.id() {
                query.push(" AND actor = ").push_bind(id.into_owned());
            }
        }
        if !filter.actions.is_empty() {
            query.push(" AND action IN (");
            let mut codes = query.separated(", ");
            for action in &filter.actions {
                codes.push_bind(action.as_str());
            }
            query.push(")");
        }
        if let Some(outcome) = filter.outcome {
            query.push(" AND outcome = ").push_bind(outcome.as_str());
        }
        if let Some(subject) = filter.subject {
            query.push(" AND subject = ").push_bind(subject.to_string());
        }
        if let Some(object) = &filter.object {
            query.push(" AND object = ").push_bind(object.clone());
        }
        if let Some(session) = &filter.session {
            query.push(" AND session = ").push_bind(session.clone());
        }
        if let Some(purpose) = filter.purpose {
            query.push(" AND purpose = ").push_bind(purpose.as_str());
        }
        if let Some(glass) = &filter.glass {
            query.push(" AND glass = ").push_bind(glass.clone());
        }
    }};
}
pub(super) use narrow;

/// The entry about a reading of the log.
pub(super) fn reading(acting: &Acting, now: UtcMillis, object: String, detail: Option<String>) -> Draft {
    Draft { object: Some(object), detail, ..acting.draft(now, Action::AuditRead) }
}

/// Searches, latest first.
///
/// # Errors
/// [`AuditError::Denied`] without `audit_see`; engine errors.
pub async fn search(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    filter: &Filter,
    behind: Option<Position>,
    limit: u32,
) -> Result<Page, AuditError> {
    acting.must(Permission::AuditSee)?;
    let limit = limit.clamp(1, PAGE_MAX);
    let (acting, filter) = (acting.clone(), filter.clone());
    let rows: Vec<Row> = transact!(database, "audit.search", |conn| {
        let mut query = sqlx::QueryBuilder::<Db>::new(select!("WHERE 1 = 1"));
        narrow!(query, &filter);
        if let Some(Position { at, no }) = behind {
            query.push(" AND (at_ms < ").push_bind(at.0).push(" OR (at_ms = ").push_bind(at.0);
            query.push(" AND no < ").push_bind(i64::try_from(no).unwrap_or(i64::MAX)).push("))");
        }
        query.push(" ORDER BY at_ms DESC, no DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&mut *conn).await?;
        let found = rows.len().min(limit as usize);
        let detail = format!("rows={found}; {}", filter.described());
        let mut draft = reading(&acting, now, "search".to_owned(), Some(detail));
        draft.subject = filter.subject;
        record!(conn, &draft);
        Ok(rows)
    })?;
    let more = rows.len() > limit as usize;
    let entries: Vec<Recorded> =
        rows.into_iter().take(limit as usize).map(Recorded::try_from).collect::<Result<_, Error>>()?;
    let next = entries.last().filter(|_| more).map(|last| Position { at: last.entry.at, no: last.entry.no });
    Ok(Page { entries, next })
}

/// One entry; `None` if there is none of that number.
///
/// # Errors
/// As [`search`].
pub async fn entry(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    no: u64,
) -> Result<Option<Recorded>, AuditError> {
    acting.must(Permission::AuditSee)?;
    let acting = acting.clone();
    let row: Option<Row> = transact!(database, "audit.entry", |conn| {
        let row: Option<Row> = sqlx::query_as(select!("WHERE no = $1"))
            .bind(i64::try_from(no).unwrap_or(i64::MAX))
            .fetch_optional(&mut *conn)
            .await?;
        if row.is_some() {
            record!(conn, &reading(&acting, now, format!("entry:{no}"), None));
        }
        Ok(row)
    })?;
    Ok(row.map(Recorded::try_from).transpose()?)
}

/// How many entries the log has. Says nothing about anybody and is not written down.
///
/// # Errors
/// Engine errors.
pub async fn size(database: &Database) -> Result<u64, Error> {
    let size: i64 = store::read!(database, "audit.size", |conn| {
        Ok(sqlx::query_scalar("SELECT size FROM audit_state WHERE id = 1").fetch_one(&mut *conn).await?)
    })?;
    crate::rows::number("audit_state", "size", size)
}
