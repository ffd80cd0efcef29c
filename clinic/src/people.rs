//! People as pseudonyms, and their passes. Owns the link from an external reference (a personnel or record number) to
//! a pseudonym, and the life of each pass: rows are closed and followed by a new one, never overwritten. The number of
//! a card becomes a keyed hash the moment it is read; where some device must be told numbers it is kept beside it, sealed
//! by a key that the database does not have, and otherwise stored nowhere. Names are not known here.

/// Inside a read or a transaction: the row of a card as it is now.
macro_rules! current {
    ($conn:expr, $card:expr) => {{
        let row: Option<$crate::people::Row> =
            sqlx::query_as("SELECT * FROM credential WHERE card = $1 AND until_ms IS NULL")
                .bind($card)
                .fetch_optional(&mut *$conn)
                .await?;
        row
    }};
}

/// Inside a transaction: closes a row and lets another follow it; the value is the policy's new version.
macro_rules! replace {
    ($conn:expr, $before:expr, $after:expr, $now:expr) => {{
        let (before, after): (&$crate::people::Row, &$crate::people::Row) = ($before, $after);
        let now: domain::UtcMillis = $now;
        sqlx::query("UPDATE credential SET until_ms = $1, number = NULL WHERE id = $2")
            .bind(now.0)
            .bind(before.id)
            .execute(&mut *$conn)
            .await?;
        let id: i64 =
            sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'credential' RETURNING value")
                .fetch_one(&mut *$conn)
                .await?;
        sqlx::query(
            "INSERT INTO credential (id, card, person, kind, category, state, one_time, valid_from, valid_until, pin,
                 duress_pin, number, since_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(id)
        .bind(&after.card)
        .bind(&after.person)
        .bind(&after.kind)
        .bind(&after.category)
        .bind(&after.state)
        .bind(after.one_time)
        .bind(after.valid_from)
        .bind(after.valid_until)
        .bind(&after.pin)
        .bind(&after.duress_pin)
        .bind(&after.number)
        .bind(now.0)
        .execute(&mut *$conn)
        .await?;
        let version: i64 =
            sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'policy' RETURNING value")
                .fetch_one(&mut *$conn)
                .await?;
        version.cast_unsigned()
    }};
}

mod import;
mod language;
mod names;
mod passes;
mod register;
mod sheet;

use std::fmt;

use domain::pin::PinHash;
use domain::policy::{PassKind, PassState};
use domain::{CardId, CategoryId, PersonId, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read, transact};

pub use domain::Spoken;
pub use import::{ImportError, ImportReport, Options, Who, import_csv};
pub use language::{LanguageKnown, LanguageTold, language_known, language_of, set_language};
pub(crate) use language::{known as language_kept, news as language_news, spoken, write_told};
pub use passes::{PassError, change_state, pass_for, passes_for};
pub use register::{Person, PersonError, person, register, reveal_reference, set_reference};
pub use sheet::{
    COLUMNS, FIELD_MAX_BYTES, FILE_MAX_BYTES, NAME_COLUMNS, OPTIONAL_COLUMNS, ROWS_MAX, RowError, SheetError,
};

use crate::policy::pin_hash;
use crate::rows::{code, column, optional};

/// Passes handed out by one read.
pub const READ_MAX: u32 = 5000;
/// Longest external reference, in bytes.
pub const REFERENCE_MAX_BYTES: usize = 64;

/// What another system calls a person. Personal data: prints nothing of itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(String);

impl Reference {
    /// 1 to 64 bytes without control characters; blanks around it are dropped.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let sound = !text.is_empty() && text.len() <= REFERENCE_MAX_BYTES && !text.chars().any(char::is_control);
        sound.then(|| Self(text.to_owned()))
    }

    /// The text, for a page or file whose reader may see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference(hidden)")
    }
}

/// A pass as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The card.
    pub card: CardId,
    /// Its holder.
    pub person: PersonId,
    /// What kind of pass it is.
    pub kind: PassKind,
    /// The holder's category.
    pub category: CategoryId,
    /// Whether it works.
    pub state: PassState,
    /// Whether it opens one entry only.
    pub one_time: bool,
    /// First instant at which it is valid.
    pub valid_from: Option<UtcMillis>,
    /// First instant at which it is no longer valid.
    pub valid_until: Option<UtcMillis>,
    /// Whether a PIN is set.
    pub has_pin: bool,
    /// Whether the card's number is kept, sealed, so that devices can be told it.
    pub has_number: bool,
    /// Since when it has been as it is.
    pub since: UtcMillis,
}

#[derive(FromRow, Clone)]
struct Row {
    id: i64,
    card: String,
    person: String,
    kind: String,
    category: String,
    state: String,
    one_time: i64,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    pin: Option<String>,
    duress_pin: Option<String>,
    number: Option<String>,
    since_ms: i64,
}

impl TryFrom<Row> for Pass {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "credential";
        Ok(Self {
            card: column(T, "card", &row.card, |text: &str| text.parse())?,
            person: column(T, "person", &row.person, |text: &str| text.parse())?,
            kind: code(T, "kind", &row.kind, PassKind::parse)?,
            category: column(T, "category", &row.category, CategoryId::new)?,
            state: code(T, "state", &row.state, PassState::parse)?,
            one_time: row.one_time != 0,
            valid_from: row.valid_from.map(UtcMillis),
            valid_until: row.valid_until.map(UtcMillis),
            has_pin: optional(T, "pin", row.pin.as_deref(), pin_hash)?.is_some(),
            has_number: row.number.is_some(),
            since: UtcMillis(row.since_ms),
        })
    }
}

/// The pass of a card; `None` for a card that was never registered.
///
/// # Errors
/// Engine errors.
pub async fn pass(database: &Database, card: CardId) -> Result<Option<Pass>, Error> {
    let row: Option<Row> = read!(database, "people.pass", |conn| {
        Ok(sqlx::query_as("SELECT * FROM credential WHERE card = $1 AND until_ms IS NULL")
            .bind(card.to_string())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    row.map(Pass::try_from).transpose()
}

/// The passes of a person, by card.
///
/// # Errors
/// Engine errors.
pub async fn passes_of(database: &Database, person: PersonId) -> Result<Vec<Pass>, Error> {
    let rows: Vec<Row> = read!(database, "people.passes_of", |conn| {
        Ok(sqlx::query_as("SELECT * FROM credential WHERE person = $1 AND until_ms IS NULL ORDER BY card")
            .bind(person.to_string())
            .fetch_all(&mut *conn)
            .await?)
    })?;
    rows.into_iter().map(Pass::try_from).collect()
}

/// Passes behind a card, in the order of cards, at most `limit` (and [`READ_MAX`]).
///
/// # Errors
/// Engine errors.
pub async fn list(database: &Database, after: Option<CardId>, limit: u32) -> Result<Vec<Pass>, Error> {
    let after = after.map_or_else(String::new, |card| card.to_string());
    let rows: Vec<Row> = read!(database, "people.list", |conn| {
        Ok(sqlx::query_as("SELECT * FROM credential WHERE until_ms IS NULL AND card > $1 ORDER BY card LIMIT $2")
            .bind(&after)
            .bind(i64::from(limit.min(READ_MAX)))
            .fetch_all(&mut *conn)
            .await?)
    })?;
    rows.into_iter().map(Pass::try_from).collect()
}

/// The person whom another system calls so; `None` if nobody.
///
/// # Errors
/// Engine errors.
pub async fn find(database: &Database, reference: &Reference) -> Result<Option<PersonId>, Error> {
    let id: Option<String> = read!(database, "people.find", |conn| {
        Ok(sqlx::query_scalar("SELECT id FROM person WHERE external_ref = $1")
            .bind(reference.reveal())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    id.map(|id| column("person", "id", &id, |text: &str| text.parse())).transpose()
}

/// What other systems call a person; `None` if unknown.
///
/// # Errors
/// Engine errors.
pub async fn reference_of(database: &Database, person: PersonId) -> Result<Option<Reference>, Error> {
    let text: Option<Option<String>> = read!(database, "people.reference_of", |conn| {
        Ok(sqlx::query_scalar("SELECT external_ref FROM person WHERE id = $1")
            .bind(person.to_string())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    Ok(text.flatten().map(Reference))
}

/// How many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Persons.
    pub persons: u64,
    /// Passes by kind and state, ordered by their codes.
    pub passes: Vec<(PassKind, PassState, u64)>,
}

/// Counts persons and passes.
///
/// # Errors
/// Engine errors.
pub async fn counts(database: &Database) -> Result<Counts, Error> {
    let persons: i64 = read!(database, "people.count", |conn| {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM person").fetch_one(&mut *conn).await?)
    })?;
    let rows: Vec<(String, String, i64)> = read!(database, "people.counts", |conn| {
        Ok(sqlx::query_as(
            "SELECT kind, state, COUNT(*) FROM credential WHERE until_ms IS NULL GROUP BY kind, state
             ORDER BY kind, state",
        )
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let passes = rows
        .into_iter()
        .map(|(kind, state, count)| {
            Ok((
                code("credential", "kind", &kind, PassKind::parse)?,
                code("credential", "state", &state, PassState::parse)?,
                count.cast_unsigned(),
            ))
        })
        .collect::<Result<_, Error>>()?;
    Ok(Counts { persons: persons.cast_unsigned(), passes })
}

/// What became of a change to a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No such card is registered.
    Unknown,
    /// It was so already.
    Unchanged,
    /// Done; the policy has this version now.
    Changed(u64),
}

/// Blocks a pass, or makes it work again, or marks it lost or withdrawn.
///
/// # Errors
/// Engine errors.
pub async fn set_state(database: &Database, card: CardId, state: PassState, now: UtcMillis) -> Result<Change, Error> {
    change(database, card, Edit::State(state), now).await
}

/// Blocks a pass.
///
/// # Errors
/// Engine errors.
pub async fn block(database: &Database, card: CardId, now: UtcMillis) -> Result<Change, Error> {
    set_state(database, card, PassState::Blocked, now).await
}

/// Withdraws a pass: the card may be given to somebody else afterwards.
///
/// # Errors
/// Engine errors.
pub async fn withdraw(database: &Database, card: CardId, now: UtcMillis) -> Result<Change, Error> {
    set_state(database, card, PassState::Withdrawn, now).await
}

/// Sets or removes the PINs of a pass; the duress PIN must differ from the ordinary one.
///
/// # Errors
/// Engine errors.
pub async fn set_pins(
    database: &Database,
    card: CardId,
    pin: Option<PinHash>,
    duress: Option<PinHash>,
    now: UtcMillis,
) -> Result<Change, Error> {
    change(database, card, Edit::Pins(pin, duress), now).await
}

#[derive(Clone, Copy)]
enum Edit {
    State(PassState),
    Pins(Option<PinHash>, Option<PinHash>),
}

impl Edit {
    /// The row after the change; `None` if it is so already.
    fn applied_to(self, before: &Row) -> Option<Row> {
        let mut after = before.clone();
        match self {
            Self::State(state) => after.state = state.as_str().to_owned(),
            Self::Pins(pin, duress) => {
                after.pin = pin.map(|pin| hex(pin.0));
                after.duress_pin = duress.map(|pin| hex(pin.0));
            }
        }
        let is_same = (&after.state, &after.pin, &after.duress_pin) == (&before.state, &before.pin, &before.duress_pin);
        (!is_same).then_some(after)
    }
}

async fn change(database: &Database, card: CardId, edit: Edit, now: UtcMillis) -> Result<Change, Error> {
    let card = card.to_string();
    transact!(database, "people.change", |conn| {
        let Some(before) = current!(conn, &card) else { return Ok(Change::Unknown) };
        match edit.applied_to(&before) {
            Some(after) => Ok(Change::Changed(replace!(conn, &before, &after, now))),
            None => Ok(Change::Unchanged),
        }
    })
}

/// Removes all sealed numbers: no device is to be told any more, or the key was changed and the lists will be imported
/// again. Returns how many there were; the policy's version rises if there was any.
///
/// # Errors
/// Engine errors.
pub async fn forget_numbers(database: &Database) -> Result<u64, Error> {
    transact!(database, "people.forget_numbers", |conn| {
        let removed = sqlx::query("UPDATE credential SET number = NULL WHERE number IS NOT NULL")
            .execute(&mut *conn)
            .await?
            .rows_affected();
        if removed > 0 {
            sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'policy'").execute(&mut *conn).await?;
        }
        Ok(removed)
    })
}

/// The form of all 128-bit values in the database.
fn hex(value: [u8; 16]) -> String {
    CardId(value).to_string()
}
