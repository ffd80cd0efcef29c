//! The audit log: what was done, by whom, to whom and why, written in the transaction of the act itself, so that there
//! is no act without its entry. An entry names accounts and persons by their ids only.
//!
//! [`record!`] is used inside [`store::transact!`]; whatever cannot be recorded is not done. Owns the tables `audit_*`;
//! the format of entries and tree is `domain::audit`'s.

mod adopt;
mod append;
mod blot;
mod check;
mod export;
pub mod fhir;
mod heads;
mod lines;
mod proof;
mod publish;
mod read;
mod second_place;
mod strangers;

use domain::{Denied, Field, PersonId, UtcMillis, codes};
use store::{Database, Error, transact};
use thiserror::Error as ThisError;

use crate::acting::Actor;
use crate::disclosures::DisclosureError;

pub use adopt::adopt;
pub(crate) use append::Log;
pub use append::{DETAIL_MAX_BYTES, NOTE_MAX_BYTES, OBJECT_MAX_BYTES};
#[allow(unused_imports, reason = "used by the erasure of a person")]
pub(crate) use blot::blot_notes_of;
pub use blot::{Blotted, blot};
pub use check::{Check, CheckResult, ask_check, checks, note_check, take_check};
pub use export::{Export, export};
pub use heads::{BadSeed, HeadKey, Place, PlaceState, heads, places, sign_head};
pub use lines::line;
pub use proof::{Proof, consistency, proof, root_at};
pub use publish::{ENTRIES_PER_HEAD, Publisher, Publishing, publish_heads};
pub use read::{Filter, Note, PAGE_MAX, Page, Position, Recorded, entry, search, size};
pub use second_place::file_of as heads_file;
pub use strangers::{STRANGERS_WINDOW_MS, flush_strangers};

codes! {
    /// What was done. Stable codes, keys of translations.
    Action {
        /// Signed in.
        SignedIn = "signed_in",
        /// A sign-in that failed.
        SignInFailed = "sign_in_failed",
        /// Signed out, or a session was ended.
        SessionEnded = "session_ended",
        /// All sessions of an account were ended.
        SessionsEnded = "sessions_ended",
        /// The first administrator was made.
        FirstRun = "first_run",
        /// An account was made.
        AccountCreated = "account_created",
        /// An account was closed.
        AccountDisabled = "account_disabled",
        /// An account was opened again.
        AccountEnabled = "account_enabled",
        /// The roles of an account were changed.
        RolesChanged = "roles_changed",
        /// A role was made, changed or removed.
        RoleEdited = "role_edited",
        /// A one-time link was made.
        LinkMade = "link_made",
        /// A password was set by link.
        PasswordSet = "password_set",
        /// A password was changed by its holder.
        PasswordChanged = "password_changed",
        /// A second factor was set up or removed; recovery codes were drawn or used.
        FactorChanged = "factor_changed",
        /// Language or look, or the address for notices, was changed.
        PreferencesChanged = "preferences_changed",
        /// A notice was sent to oneself, to see whether mail works.
        NoticeTested = "notice_tested",
        /// A key of the HTTP API was made or ended.
        ApiKeyChanged = "api_key_changed",
        /// Something was refused: no permission, a false form, a forged request.
        Refused = "refused",
        /// People were looked for.
        PersonSearched = "person_searched",
        /// Fields of a person were shown.
        PersonSeen = "person_seen",
        /// Masked fields of a person were revealed.
        PersonRevealed = "person_revealed",
        /// A person was registered, or something known of them was changed.
        PersonChanged = "person_changed",
        /// A photograph was stored or removed.
        PhotoChanged = "photo_changed",
        /// A person was erased.
        PersonErased = "person_erased",
        /// Processing of a person's data was restricted, or the restriction lifted.
        PersonRestricted = "person_restricted",
        /// A pass was given or changed.
        PassChanged = "pass_changed",
        /// An order was given to a door.
        DoorOrdered = "door_ordered",
        /// Data were taken away as a file.
        Exported = "exported",
        /// Data were given to somebody, or pulled by another system.
        Disclosed = "disclosed",
        /// People or rules were imported.
        Imported = "imported",
        /// The vault was unlocked, or locked.
        VaultOpened = "vault_opened",
        /// The vault's key was changed, or the change went on or ended.
        VaultKeyChanged = "vault_key_changed",
        /// Somebody broke glass, or the time ran out.
        GlassBroken = "glass_broken",
        /// A breaking of glass was reviewed.
        GlassReviewed = "glass_reviewed",
        /// A request of a person about their data was taken in or answered.
        RequestHandled = "request_handled",
        /// A breach of personal data was written down, or a step of dealing with it was done.
        IncidentHandled = "incident_handled",
        /// Data that had outlived their term were removed.
        DataExpired = "data_expired",
        /// Configuration came into force.
        SettingsChanged = "settings_changed",
        /// The audit log itself was read or checked.
        AuditRead = "audit_read",
        /// A note of the audit log was blotted out.
        NoteBlotted = "note_blotted",
        /// The log was found behind what had been published: an older copy of the database was put back.
        LogRolledBack = "log_rolled_back",
        /// Somebody was bound to a workstation by their card, or confirmed with a second factor.
        DeskOpened = "desk_opened",
        /// The binding to a workstation was locked, unlocked or ended.
        DeskEnded = "desk_ended",
        /// A workstation was set up or changed; a PIN was set.
        DeskChanged = "desk_changed",
        /// A visit started.
        VisitStarted = "visit_started",
        /// A visit ended or was taken back.
        VisitEnded = "visit_ended",
        /// The chart of a patient was opened in the medical system.
        ChartOpened = "chart_opened",
        /// Something was done without the card it needs.
        OutOfCard = "out_of_card",
        /// Somebody signed in to the medical system without a card.
        IrregularSignIn = "irregular_sign_in",
        /// What was done without a card was reviewed.
        IrregularReviewed = "irregular_reviewed",
        /// Somebody was signed in to the medical system by their card.
        BadgeSignedIn = "badge_signed_in",
        /// It was asked where a person is.
        PersonLocated = "person_located",
        /// Connection to another system was made or changed; deliveries were repeated, paused or given up.
        ExchangeChanged = "exchange_changed",
        /// Something was taken over from another system.
        FeedTaken = "feed_taken",
        /// A service was registered for a patient: ordered or rendered.
        ServiceRegistered = "service_registered",
        /// A registered service was taken back.
        ServiceCancelled = "service_cancelled",
        /// Registering a service was refused: a limit, a deposit, a price.
        ServiceRefused = "service_refused",
        /// What a patient was charged, owes and has paid was shown.
        AccountSeen = "account_seen",
        /// Money was taken.
        PaymentTaken = "payment_taken",
        /// Money was given back, or a payment did not hold.
        PaymentReturned = "payment_returned",
        /// A write-off or money back was asked for.
        TillRequested = "till_requested",
        /// A write-off or money back was allowed or refused.
        TillDecided = "till_decided",
        /// More than a limit was allowed for a while, or that was ended.
        LimitOverridden = "limit_overridden",
        /// A drawer was opened or closed.
        DrawerChanged = "drawer_changed",
        /// A day of the till was closed.
        DayClosed = "day_closed",
        /// Services or prices were changed.
        PricesChanged = "prices_changed",
        /// Terms, groups, contracts, limits or schemes of discounts were changed.
        TermsChanged = "terms_changed",
        /// The till was compared with itself or with another system.
        TillChecked = "till_checked",
        /// Lines of the older log of accounts were taken over.
        Adopted = "adopted",
    }
}

codes! {
    /// How it ended.
    Outcome {
        /// It was done.
        Done = "done",
        /// It was refused.
        Refused = "refused",
        /// It failed.
        Failed = "failed",
    }
}

codes! {
    /// What for somebody looks at a person's data.
    Purpose {
        /// To decide at a checkpoint who may pass.
        Checkpoint = "checkpoint",
        /// To issue or change a pass.
        PassIssue = "pass_issue",
        /// To treat.
        Treatment = "treatment",
        /// To book or change an appointment.
        Booking = "booking",
        /// To take or return a payment.
        Payment = "payment",
        /// To answer a person's request about their own data.
        PersonRequest = "person_request",
        /// To look into an incident.
        Incident = "incident",
        /// To keep the data right.
        Maintenance = "maintenance",
        /// To save life or health, outside one's role.
        Emergency = "emergency",
    }
}

/// Why the log was not read or taken away.
#[derive(Debug, ThisError)]
pub enum AuditError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The export could not be registered.
    #[error("the export could not be registered: {0}")]
    Disclosure(#[from] DisclosureError),
    /// The engine.
    #[error(transparent)]
    Store(#[from] Error),
}

/// An entry to be written.
#[derive(Debug, Clone)]
pub struct Draft {
    /// When.
    pub at: UtcMillis,
    /// Who.
    pub actor: Actor,
    /// The id of the session, where there is one.
    pub session: Option<String>,
    /// The network address, where there is one.
    pub address: Option<String>,
    /// What.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Whose data, where it is about a person.
    pub subject: Option<PersonId>,
    /// What else it is about: an account's id, a role, a point, a route, a file's name. Never personal data.
    pub object: Option<String>,
    /// Which fields of the person.
    pub fields: Vec<Field>,
    /// What for.
    pub purpose: Option<Purpose>,
    /// Further facts in a few words of ours, for example numbers of rows. Never personal data.
    pub detail: Option<String>,
    /// What a person typed as the reason. It can be blotted out later without breaking the log: the log holds a salted
    /// hash of it.
    pub note: Option<String>,
    /// The breaking of glass under which it was done.
    pub glass: Option<String>,
}

impl Draft {
    /// An entry about an act that was done, without anything optional.
    pub fn new(at: UtcMillis, actor: Actor, action: Action) -> Self {
        Self {
            at,
            actor,
            session: None,
            address: None,
            action,
            outcome: Outcome::Done,
            subject: None,
            object: None,
            fields: Vec::new(),
            purpose: None,
            detail: None,
            note: None,
            glass: None,
        }
    }
}

/// Writes an entry inside a transaction: `audit::record!(conn, &draft)`; the value is the entry's number. On failure it
/// leaves the body with `?`, and the act is rolled back with it.
#[allow(unused_macros, reason = "used by the modules that record")]
macro_rules! record {
    ($conn:expr, $draft:expr) => {
        $crate::audit::Log::append(&mut *$conn, $draft).await?
    };
}
#[allow(unused_imports, reason = "used by the modules that record")]
pub(crate) use record;

/// Writes an entry by itself: for refusals, where nothing else is written. What strangers are refused is written at
/// most once in [`STRANGERS_WINDOW_MS`] for each of their networks, with the number of times.
///
/// # Errors
/// Engine errors.
pub async fn write(database: &Database, draft: Draft) -> Result<(), Error> {
    let Some(draft) = strangers::admit(database, draft) else { return Ok(()) };
    transact!(database, "audit.write", |conn| {
        record!(conn, &draft);
        Ok(())
    })
}
