//! The register of disclosures: each time data about persons leave the program (a file, a report, another system's
//! pull, an answer to the person) one line says what, how much, whose, to whom and on which ground (GDPR articles 15
//! and 19; the Polish act on patients' rights, article 27(4)).
//!
//! Owns the tables `disclosure` and `disclosure_person`. [`disclose!`] is used inside [`store::transact!`], beside the
//! audit entry of the act: what cannot be registered is not given. Never holds the data themselves. May import
//! `domain` and `store`.

mod read;

use std::collections::BTreeSet;

use domain::{Field, PersonId, UtcMillis, codes};
use store::Database;
use thiserror::Error;

use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft, Purpose};
use crate::draw;

pub use read::{Filter, LIST_MAX, Line, Page, count_since, list, of_person, person_ids, persons_of};

/// Persons that one disclosure may list: as many as rows may stand in one export. More is refused: it would have to be
/// split into several.
pub const PERSONS_MAX: usize = 100_000;
/// Longest name of a recipient, in characters.
pub const RECIPIENT_MAX_CHARS: usize = 120;
/// Persons written by one statement: each has two values, and SQLite allows 32,766.
pub(crate) const PERSONS_AT_ONCE: usize = 5000;

codes! {
    /// By which way data left.
    Route {
        /// A file taken away from a page.
        PageExport = "page_export",
        /// Another system asked by the HTTP API.
        Api = "api",
        /// A report.
        Report = "report",
        /// A file made at the command line.
        Console = "console",
        /// The answer to a person about their own data.
        SubjectPackage = "subject_package",
        /// A message to another system.
        Message = "message",
        /// By hand: on paper, by telephone, by mail; written into the register by whoever gave it.
        ByHand = "by_hand",
    }
}

codes! {
    /// Who received.
    RecipientKind {
        /// Somebody of the clinic, by account.
        Account = "account",
        /// A system that holds a key of the HTTP API.
        ApiKey = "api_key",
        /// Somebody at the server's command line.
        Console = "console",
        /// The person whom the data are about, or who acts for them.
        Person = "person",
        /// An organisation, by its name.
        Organisation = "organisation",
    }
}

codes! {
    /// On which ground.
    Ground {
        /// The clinic's own work: care, access control, security.
        Operation = "operation",
        /// Checking what was done.
        Audit = "audit",
        /// The person asked for it, or agreed.
        Person = "person",
        /// A law obliges the clinic: court, police, health authority.
        Law = "law",
        /// A contract with a processor (GDPR article 28).
        Processor = "processor",
        /// To save life or health.
        Vital = "vital",
    }
}

codes! {
    /// What kind of data.
    Class {
        /// Names, birth dates, documents, contacts.
        Identity = "identity",
        /// Photographs.
        Photo = "photo",
        /// What a visit is for, doctors' specialties on a route.
        HealthRelated = "health_related",
        /// Who passed where and when.
        LocationTrace = "location_trace",
        /// Payments and limits.
        Payment = "payment",
        /// Who did what in the program.
        Audit = "audit",
        /// Accounts of staff.
        Account = "account",
        /// State of equipment and configuration.
        Technical = "technical",
        /// Keys, tokens, hashes of passwords.
        Secret = "secret",
    }
}

/// Who receives data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// What they are.
    pub kind: RecipientKind,
    /// An id, or an organisation's name; never the name of a person.
    pub name: String,
}

impl Recipient {
    /// An organisation; its name has 2 to 120 characters without control characters.
    ///
    /// # Errors
    /// [`DisclosureError::BadRecipient`].
    pub fn organisation(name: &str) -> Result<Self, DisclosureError> {
        let name = name.trim();
        let length = name.chars().count();
        if !(2..=RECIPIENT_MAX_CHARS).contains(&length) || name.chars().any(char::is_control) {
            return Err(DisclosureError::BadRecipient);
        }
        Ok(Self { kind: RecipientKind::Organisation, name: name.to_owned() })
    }

    /// The person whom it is about.
    pub fn person() -> Self {
        Self { kind: RecipientKind::Person, name: String::new() }
    }

    /// Whoever acts.
    pub fn of(actor: &Actor) -> Self {
        let (kind, name) = match actor {
            Actor::Account(id) => (RecipientKind::Account, id.clone()),
            Actor::ApiKey(id) => (RecipientKind::ApiKey, id.clone()),
            Actor::Staff(person) => (RecipientKind::Account, person.to_string()),
            Actor::Peer(name) => (RecipientKind::ApiKey, name.clone()),
            Actor::Console | Actor::System | Actor::Anybody => (RecipientKind::Console, String::new()),
        };
        Self { kind, name }
    }
}

/// A line to be written.
#[derive(Debug, Clone)]
pub struct Disclosure {
    /// By which way.
    pub route: Route,
    /// To whom.
    pub to: Recipient,
    /// On which ground.
    pub ground: Ground,
    /// What it is: a path such as `/journal.csv`, a report's name. Never personal data.
    pub object: Option<String>,
    /// What kinds of data.
    pub classes: Vec<Class>,
    /// Which fields of persons.
    pub fields: Vec<Field>,
    /// How many rows or records.
    pub records: u64,
    /// Whose; at most [`PERSONS_MAX`].
    pub persons: BTreeSet<PersonId>,
}

impl Disclosure {
    /// A file that somebody takes away for the clinic's own work.
    pub fn export(acting: &Acting, object: &str, classes: &[Class]) -> Self {
        let route = match acting.actor {
            Actor::ApiKey(_) | Actor::Peer(_) => Route::Api,
            Actor::Console | Actor::System => Route::Console,
            Actor::Account(_) | Actor::Staff(_) | Actor::Anybody => Route::PageExport,
        };
        Self {
            route,
            to: Recipient::of(&acting.actor),
            ground: Ground::Operation,
            object: Some(object.to_owned()),
            classes: classes.to_vec(),
            fields: Vec::new(),
            records: 0,
            persons: BTreeSet::new(),
        }
    }
}

/// Why nothing was registered, and so nothing may be given.
#[derive(Debug, Error)]
pub enum DisclosureError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] domain::Denied),
    /// Too many persons at once.
    #[error("a disclosure lists at most {PERSONS_MAX} persons; narrow it")]
    TooMany,
    /// The name of the recipient cannot be used.
    #[error("the recipient's name needs 2 to {RECIPIENT_MAX_CHARS} characters")]
    BadRecipient,
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The code of who did something, as tables of this and its neighbour modules keep it.
pub(crate) fn actor_code(actor: &Actor) -> String {
    match actor {
        Actor::Account(id) => id.clone(),
        Actor::ApiKey(id) => format!("key:{id}"),
        Actor::Staff(person) => format!("staff:{person}"),
        Actor::Peer(name) => format!("peer:{name}"),
        Actor::Console => "console".to_owned(),
        Actor::System => "system".to_owned(),
        Actor::Anybody => "anybody".to_owned(),
    }
}

/// Writes a line of the register inside a transaction: `disclose!(conn, id, at, acting, disclosure)` with `id: &str`
/// (of [`new_id`]), `at: UtcMillis`, `acting: &Acting`, `disclosure: &Disclosure`. The audit entry of the act is the
/// caller's; [`entry`] makes one.
macro_rules! disclose {
    ($conn:expr, $id:expr, $at:expr, $acting:expr, $disclosure:expr) => {{
        let (acting, disclosure): (&$crate::acting::Acting, &$crate::disclosures::Disclosure) = ($acting, $disclosure);
        let codes = $crate::disclosures::Codes::of(disclosure);
        store::sqlx::query(
            "INSERT INTO disclosure (id, at_ms, route, recipient_kind, recipient, ground, actor, object, classes, fields,
                 records, persons, glass)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind($id)
        .bind($at.0)
        .bind(disclosure.route.as_str())
        .bind(disclosure.to.kind.as_str())
        .bind(&disclosure.to.name)
        .bind(disclosure.ground.as_str())
        .bind($crate::disclosures::actor_code(&acting.actor))
        .bind(disclosure.object.as_deref())
        .bind(&codes.classes)
        .bind(&codes.fields)
        .bind(i64::try_from(disclosure.records).unwrap_or(i64::MAX))
        .bind(i64::try_from(disclosure.persons.len()).unwrap_or(i64::MAX))
        .bind(acting.glass.as_deref())
        .execute(&mut *$conn)
        .await?;
        let persons: Vec<String> = disclosure.persons.iter().map(ToString::to_string).collect();
        for some in persons.chunks($crate::disclosures::PERSONS_AT_ONCE) {
            let mut insert =
                store::sqlx::QueryBuilder::<Db>::new("INSERT INTO disclosure_person (person, disclosure) ");
            insert.push_values(some, |mut row, person| {
                row.push_bind(person.clone()).push_bind($id.to_owned());
            });
            insert.build().execute(&mut *$conn).await?;
        }
    }};
}
#[allow(unused_imports, reason = "used by the modules that give data away")]
pub(crate) use disclose;

/// Lists of codes, as columns hold them.
pub(crate) struct Codes {
    pub classes: String,
    pub fields: String,
}

impl Codes {
    pub(crate) fn of(disclosure: &Disclosure) -> Self {
        let classes: BTreeSet<&str> = disclosure.classes.iter().map(|class| class.as_str()).collect();
        let fields: BTreeSet<&str> = disclosure.fields.iter().map(|field| field.as_str()).collect();
        let join = |codes: BTreeSet<&str>| codes.into_iter().collect::<Vec<_>>().join(" ");
        Self { classes: join(classes), fields: join(fields) }
    }
}

/// The audit entry that goes with a line of the register.
pub(crate) fn entry(
    acting: &Acting,
    at: UtcMillis,
    id: &str,
    disclosure: &Disclosure,
    purpose: Option<Purpose>,
) -> Draft {
    let action = match disclosure.to.kind {
        RecipientKind::Account | RecipientKind::Console => Action::Exported,
        RecipientKind::ApiKey | RecipientKind::Person | RecipientKind::Organisation => Action::Disclosed,
    };
    let one = if disclosure.persons.len() == 1 { disclosure.persons.first().copied() } else { None };
    let detail = format!("disclosure={id}; records={}; persons={}", disclosure.records, disclosure.persons.len());
    Draft {
        object: disclosure.object.clone(),
        subject: one,
        fields: disclosure.fields.clone(),
        purpose,
        detail: Some(detail),
        ..acting.draft(at, action)
    }
}

/// An id for a new line.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn new_id() -> Result<String, store::Error> {
    draw::id()
}

/// Registers a disclosure and writes its audit entry, in one transaction; call it before the data are given. Who may
/// give what is the caller's check. Returns the line's id.
///
/// # Errors
/// [`DisclosureError::TooMany`]; engine errors. Nothing may be given then.
pub async fn register(
    database: &Database,
    acting: &Acting,
    disclosure: Disclosure,
    purpose: Option<Purpose>,
    now: UtcMillis,
) -> Result<String, DisclosureError> {
    if disclosure.persons.len() > PERSONS_MAX {
        return Err(DisclosureError::TooMany);
    }
    let id = new_id()?;
    let draft = entry(acting, now, &id, &disclosure, purpose);
    let (acting, line) = (acting.clone(), id.clone());
    store::transact!(database, "disclosures.register", |conn| {
        disclose!(conn, line.as_str(), now, &acting, &disclosure);
        audit::record!(conn, &draft);
        Ok(())
    })?;
    Ok(id)
}

/// Writes into the register what was given by hand: on paper, by telephone, by mail.
///
/// # Errors
/// [`domain::Denied`] without `privacy_manage`; as [`register`].
pub async fn register_by_hand(
    database: &Database,
    acting: &Acting,
    disclosure: Disclosure,
    now: UtcMillis,
) -> Result<String, DisclosureError> {
    acting.must(domain::Permission::PrivacyManage)?;
    register(database, acting, Disclosure { route: Route::ByHand, ..disclosure }, None, now).await
}
