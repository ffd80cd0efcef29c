//! What other systems tell us: staff from the personnel department, patients from the contingent department,
//! workplaces, appointments, purposes of visits, conditions, and control messages. They make and end passes, and say
//! which rooms a patient may enter today.
//!
//! Owns the tables of migration `0021_feeds.sql` and writes the rows of people, aliases, passes, staff and appointments
//! that a feed brings. Whoever reads a format (FHIR, HL7, CSV, JSON) makes records of it ([`records`]) and hands them to
//! [`Feeds::take`]; taking the same records again changes nothing, an older record changes nothing, and what is wrong
//! with a record is said by its place in the list and never by what it holds. Never calls out; imports `people`, `vault`,
//! `audit`, `changes`.

mod appointments;
mod digest;
pub mod look;
mod orders;
mod passes;
mod persons;
mod places;
pub mod read;
pub mod records;
pub mod report;
pub mod settings;
mod take;

use std::fmt;
use std::sync::Arc;

use domain::{CardKey, Clock, Denied, Permission, PersonId, SealKey};
use store::{Database, read};
use thiserror::Error;

use crate::acting::Acting;
use crate::rows::column;
use crate::vault::Vault;

pub use records::{
    Alias, AppointmentRecord, AppointmentState, CardRecord, ConditionRecord, ControlRecord, FeedKind, Order,
    PatientRecord, Place, PurposeRecord, Records, Source, StaffRecord, WorkplaceRecord,
};
pub use report::{Held, MergeOutcome, Problem, Refusal, Report};
pub use settings::{PatientPasses, Settings};

/// Most records of one call: a whole list of a large clinic.
pub const RECORDS_MAX: usize = 500_000;

/// The site's keys that cards from feeds need, as for an import.
#[derive(Clone, Debug)]
pub struct SiteKeys {
    /// Makes card numbers into pseudonyms.
    pub card: CardKey,
    /// Seals card numbers, where a device must be told them.
    pub seal: Option<SealKey>,
}

/// Whether a list is everything there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// These changed; what is not mentioned stays as it is.
    #[default]
    Changes,
    /// This is everything: what the source told earlier and does not mention now has ended. See [`Held`] for lists that
    /// would end too much.
    Whole,
}

/// What a source tells at once.
#[derive(Debug)]
pub struct List {
    /// The records that could be read.
    pub records: Records,
    /// Those that could not.
    pub refused: Vec<Refusal>,
    /// Whether it is everything.
    pub mode: Mode,
}

/// Why nothing was taken.
#[derive(Debug, Error)]
pub enum FeedError {
    /// A permission is missing.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The name of the source.
    #[error("{0:?} is no name of a source: 1 to 64 letters, digits and . _ -")]
    Source(String),
    /// More than [`RECORDS_MAX`].
    #[error("there are {0} records, at most {RECORDS_MAX} are taken at a time; send them in parts")]
    TooMany(usize),
    /// Nobody is called so.
    #[error("nobody is called so by this source")]
    Unknown,
    /// The keys of the vault or random bytes were not there.
    #[error("the system: {0}")]
    System(String),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Takes what other systems tell. Cheap to clone.
#[derive(Clone)]
pub struct Feeds {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Clock,
    vault: Option<Vault>,
    keys: SiteKeys,
    settings: Settings,
    turn: tokio::sync::Mutex<()>,
}

impl Feeds {
    /// Without a vault, records that bring names are refused with [`Problem::VaultLocked`].
    pub fn new(database: Database, clock: Clock, vault: Option<Vault>, keys: SiteKeys, settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { database, clock, vault, keys, settings, turn: tokio::sync::Mutex::default() }) }
    }

    /// How they work.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Takes records of one kind from one source. `acting` needs `feed_write`; a feed of the bridge acts as
    /// [`Acting::feed`].
    ///
    /// # Errors
    /// [`FeedError`]; what is wrong with single records is in the report.
    pub async fn take(
        &self,
        acting: &Acting,
        source: &Source,
        records: Records,
        mode: Mode,
    ) -> Result<Report, FeedError> {
        self.take_list(acting, source, List { records, refused: Vec::new(), mode }).await
    }

    /// As [`Feeds::take`], with what could not be read: it stands in the report, and nothing is ended by a whole list of
    /// which a part could not be read.
    ///
    /// # Errors
    /// As [`Feeds::take`].
    pub async fn take_list(&self, acting: &Acting, source: &Source, list: List) -> Result<Report, FeedError> {
        acting.must(Permission::FeedWrite)?;
        if list.records.len() > RECORDS_MAX {
            return Err(FeedError::TooMany(list.records.len()));
        }
        self.take_all(acting, source, list).await
    }
}

impl fmt::Debug for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Feeds")
    }
}

/// The person whom a system calls so, merges followed; `None` if nobody.
///
/// # Errors
/// Engine errors.
pub async fn person_of_alias(database: &Database, system: &str, value: &str) -> Result<Option<PersonId>, store::Error> {
    let id: Option<String> = read!(database, "feeds.person_of_alias", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT COALESCE(person_merge.into_person, person_alias.person) FROM person_alias
             LEFT JOIN person_merge ON person_merge.person = person_alias.person
             WHERE person_alias.system = $1 AND person_alias.value = $2",
        )
        .bind(system)
        .bind(value)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    id.map(|id| column("person_alias", "person", &id, |text: &str| text.parse())).transpose()
}

/// The record that is left of a person after merges; the same person where there was none.
///
/// # Errors
/// Engine errors.
pub async fn surviving(database: &Database, person: PersonId) -> Result<PersonId, store::Error> {
    let id: Option<String> = read!(database, "feeds.surviving", |conn| {
        Ok(sqlx::query_scalar("SELECT into_person FROM person_merge WHERE person = $1")
            .bind(person.to_string())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    let left = id.map(|id| column("person_merge", "into_person", &id, |text: &str| text.parse())).transpose()?;
    Ok(left.unwrap_or(person))
}
