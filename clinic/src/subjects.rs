//! One person's own view: who looked at their data and what for, to whom they were given, and the package with
//! everything that is kept of them (GDPR articles 15 and 20).
//!
//! Owns no table: it reads those of others and registers each package as a disclosure before anything is gathered. May
//! import `domain`, `store` and the clinic's other modules.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::vault::Passport;
use domain::{Denied, Field, Permission, PersonId, Spoken, UtcMillis};
use serde_json::{Value, json};
use store::{Database, Error, read, transact};
use thiserror::Error as ThisError;

use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::disclosures::{self, Class, Disclosure, DisclosureError, Ground, Line, Recipient, RecipientKind, Route};
use crate::requests::{self, Filter, Hold, Request, RequestError};
use crate::rows::column;
use crate::till::books::{self, Books};
use crate::vault::{Consent, Size, Vault, VaultError};

/// Looks and events in one package or on one page: the newest.
pub const LINES_MAX: i64 = 100_000;
/// Version of the package's form, raised when a reader would notice.
const FORM: u32 = 1;

/// A look at somebody's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its number in the audit log.
    pub number: u64,
    /// When.
    pub at: UtcMillis,
    /// What kind of actor; a code.
    pub actor_kind: String,
    /// Who, by id.
    pub actor: Option<String>,
    /// What; a code of [`audit::Action`].
    pub action: String,
    /// How it ended; a code of [`audit::Outcome`].
    pub outcome: String,
    /// Which fields; codes of [`Field`].
    pub fields: Vec<String>,
    /// What for; a code of [`Purpose`].
    pub purpose: Option<String>,
    /// Whether glass was broken for it.
    pub under_glass: bool,
}

/// A pass, as it was for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassTime {
    /// Its kind; a code.
    pub kind: String,
    /// The holder's category.
    pub category: String,
    /// Its state; a code.
    pub state: String,
    /// Valid from.
    pub valid_from: Option<UtcMillis>,
    /// Valid until.
    pub valid_until: Option<UtcMillis>,
    /// Since when it was so.
    pub since: UtcMillis,
    /// Until when it was so.
    pub until: Option<UtcMillis>,
}

/// A passage, or what else happened to the person at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When.
    pub at: UtcMillis,
    /// What; a code of [`domain::Kind`].
    pub kind: String,
    /// Why; a code of [`domain::Reason`].
    pub reason: Option<String>,
    /// Where.
    pub point: Option<String>,
    /// In or out.
    pub direction: Option<String>,
}

/// A visit, for its patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitTime {
    /// When it began.
    pub started: UtcMillis,
    /// When it ended.
    pub ended: Option<UtcMillis>,
    /// In which room.
    pub zone: String,
    /// By card or without it; a code of [`domain::visit::BeganBy`].
    pub began_by: String,
    /// Why it ended; a code of [`domain::visit::VisitEnd`].
    pub ended_why: Option<String>,
}

/// What the officer sees of a person, by pseudonym.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Who.
    pub person: PersonId,
    /// Since when they are known here.
    pub created: UtcMillis,
    /// When they were erased.
    pub erased: Option<UtcMillis>,
    /// Whether processing is restricted.
    pub is_restricted: bool,
    /// The legal hold in force.
    pub hold: Option<Hold>,
    /// Who looked, the newest first.
    pub looks: Vec<Look>,
    /// To whom data were given.
    pub disclosures: Vec<Line>,
    /// What they asked.
    pub requests: Vec<Request>,
}

/// Everything kept of a person.
pub struct Package {
    /// By pseudonym.
    pub subject: Subject,
    /// The passport; `None` when nothing is known, or the vault is locked.
    pub passport: Option<Passport>,
    /// What other systems call the person.
    pub reference: Option<crate::people::Reference>,
    /// The language that the person is spoken to in.
    pub language: crate::people::LanguageKnown,
    /// Passes, the oldest first.
    pub passes: Vec<PassTime>,
    /// Passages and refusals, the oldest first.
    pub traces: Vec<Trace>,
    /// Visits, the oldest first.
    pub visits: Vec<VisitTime>,
    /// What the till keeps: charges, payments, terms.
    pub books: Books,
    /// The photograph, as JPEG.
    pub photo: Option<Vec<u8>>,
    /// When it was made.
    pub made: UtcMillis,
    /// Why the passport is missing, where it should not be.
    pub locked: bool,
}

impl std::fmt::Debug for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Package").field("person", &self.subject.person).finish_non_exhaustive()
    }
}

/// Why nothing is shown.
#[derive(Debug, ThisError)]
pub enum SubjectError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such person.
    #[error("there is no such person")]
    Unknown,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The register.
    #[error(transparent)]
    Disclosure(#[from] DisclosureError),
    /// Requests.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

type LookRow = (i64, i64, String, Option<String>, String, String, Option<String>, Option<String>, Option<String>);

/// What the officer sees of a person; the look is recorded.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`SubjectError::Unknown`]; engine errors.
pub async fn view(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    now: UtcMillis,
) -> Result<Subject, SubjectError> {
    acting.must(Permission::PrivacyManage)?;
    let id = person.to_string();
    let known: Option<(i64, Option<i64>)> = read!(database, "subjects.person", |conn| {
        Ok(sqlx::query_as(
            "SELECT created_ms, (SELECT MAX(at_ms) FROM erasure WHERE person = $1) FROM person WHERE id = $1",
        )
        .bind(&id)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    let (created, erased) = known.ok_or(SubjectError::Unknown)?;
    let draft = Draft {
        subject: Some(person),
        purpose: Some(Purpose::PersonRequest),
        detail: Some("accesses and disclosures".to_owned()),
        ..acting.draft(now, Action::AuditRead)
    };
    let looks: Vec<LookRow> = transact!(database, "subjects.looks", |conn| {
        let looks = sqlx::query_as(
            "SELECT no, at_ms, actor_kind, actor, action, outcome, fields, purpose, glass FROM audit_entry
             WHERE subject = $1 ORDER BY no DESC LIMIT $2",
        )
        .bind(&id)
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?;
        audit::record!(conn, &draft);
        Ok(looks)
    })?;
    let looks = looks
        .into_iter()
        .map(|(no, at, actor_kind, actor, action, outcome, fields, purpose, glass)| Look {
            number: no.cast_unsigned(),
            at: UtcMillis(at),
            actor_kind,
            actor,
            action,
            outcome,
            fields: fields.unwrap_or_default().split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            purpose,
            under_glass: glass.is_some(),
        })
        .collect();
    let filter = Filter { person: Some(person), ..Filter::default() };
    Ok(Subject {
        person,
        created: UtcMillis(created),
        erased: erased.map(UtcMillis),
        is_restricted: requests::is_restricted(database, person).await?,
        hold: requests::hold_of(database, person, now).await?,
        looks,
        disclosures: disclosures::of_person(database, acting, person).await?,
        requests: requests::list(database, acting, &filter).await?,
    })
}

/// Gathers everything kept of a person, for themselves. It is in the register of disclosures before it is gathered; with
/// the vault locked the passport is missing and the package says so.
///
/// # Errors
/// [`Denied`] without `privacy_manage` or without `person_reveal`; [`SubjectError::Unknown`]; engine errors.
pub async fn package(
    database: &Database,
    vault: &Vault,
    acting: &Acting,
    person: PersonId,
    now: UtcMillis,
) -> Result<Package, SubjectError> {
    acting.must(Permission::PersonReveal)?;
    let subject = view(database, acting, person, now).await?;
    let fields: Vec<Field> = acting.rights.fields().collect();
    let given = Disclosure {
        route: Route::SubjectPackage,
        to: Recipient { kind: RecipientKind::Person, name: String::new() },
        ground: Ground::Person,
        object: None,
        classes: vec![
            Class::Identity,
            Class::Photo,
            Class::HealthRelated,
            Class::LocationTrace,
            Class::Payment,
            Class::Audit,
        ],
        fields: fields.clone(),
        records: 1,
        persons: [person].into(),
    };
    disclosures::register(database, acting, given, Some(Purpose::PersonRequest), now).await?;
    let (passport, locked) = match vault.reveal(acting, person, &fields, Purpose::PersonRequest, None).await {
        Ok(passport) => (Some(passport), false),
        Err(VaultError::Locked(_)) => (None, true),
        Err(VaultError::Unknown | VaultError::Erased(_) | VaultError::NothingToShow) => (None, false),
        Err(other) => return Err(other.into()),
    };
    let photo = photo(vault, acting, person).await?;
    let reference = match acting.rights.shows(Field::Reference) {
        true => crate::people::reference_of(database, person).await?,
        false => None,
    };
    let language = crate::people::language_kept(database, person).await?;
    let passes = passes(database, person).await?;
    let traces = traces(database, person).await?;
    let visits = visits(database, person).await?;
    let books = books::of_person(database, person).await?;
    Ok(Package { subject, passport, reference, language, passes, traces, visits, books, photo, made: now, locked })
}

async fn photo(vault: &Vault, acting: &Acting, person: PersonId) -> Result<Option<Vec<u8>>, SubjectError> {
    let none = |error: VaultError| match error {
        VaultError::Locked(_) | VaultError::Unknown | VaultError::Erased(_) | VaultError::NothingToShow => Ok(None),
        other => Err(SubjectError::Vault(other)),
    };
    match vault.photo_of(acting, person).await {
        Ok(Consent::Given(photo)) => match vault.photo(acting, &photo.id, Size::Full).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => none(error),
        },
        Ok(_) => Ok(None),
        Err(error) => none(error),
    }
}

async fn passes(database: &Database, person: PersonId) -> Result<Vec<PassTime>, Error> {
    type Row = (String, String, String, Option<i64>, Option<i64>, i64, Option<i64>);
    let rows: Vec<Row> = read!(database, "subjects.passes", |conn| {
        Ok(sqlx::query_as(
            "SELECT kind, category, state, valid_from, valid_until, since_ms, until_ms FROM credential
             WHERE person = $1 ORDER BY since_ms, id LIMIT $2",
        )
        .bind(person.to_string())
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let rows = rows.into_iter().map(|(kind, category, state, from, until, since, ended)| PassTime {
        kind,
        category,
        state,
        valid_from: from.map(UtcMillis),
        valid_until: until.map(UtcMillis),
        since: UtcMillis(since),
        until: ended.map(UtcMillis),
    });
    Ok(rows.collect())
}

async fn traces(database: &Database, person: PersonId) -> Result<Vec<Trace>, Error> {
    type Row = (i64, String, Option<String>, Option<String>, Option<String>);
    let rows: Vec<Row> = read!(database, "subjects.traces", |conn| {
        Ok(sqlx::query_as(
            "SELECT at_ms, kind, reason, point, direction FROM event WHERE person = $1 ORDER BY at_ms DESC, id DESC
             LIMIT $2",
        )
        .bind(person.to_string())
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let rows = rows.into_iter().rev().map(|(at, kind, reason, point, direction)| Trace {
        at: UtcMillis(at),
        kind,
        reason,
        point,
        direction,
    });
    Ok(rows.collect())
}

/// Start, end, room, what began it, why it ended.
type VisitRow = (i64, Option<i64>, String, String, Option<String>);

async fn visits(database: &Database, person: PersonId) -> Result<Vec<VisitTime>, Error> {
    let rows: Vec<VisitRow> = read!(database, "subjects.visits", |conn| {
        Ok(sqlx::query_as(
            "SELECT started_ms, ended_ms, zone, began_by, ended_why FROM visit WHERE patient = $1
             ORDER BY started_ms, id LIMIT $2",
        )
        .bind(person.to_string())
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let rows = rows.into_iter().map(|(started, ended, zone, began_by, ended_why)| VisitTime {
        started: UtcMillis(started),
        ended: ended.map(UtcMillis),
        zone,
        began_by,
        ended_why,
    });
    Ok(rows.collect())
}

/// The person of a text from a path; `None` if it is no pseudonym.
pub fn person_of(text: &str) -> Option<PersonId> {
    column("path", "person", text, |text: &str| text.parse()).ok()
}

impl Package {
    /// The package for machines, for article 20: a stable form with its version. Staff who looked are named by what
    /// they are and not by name: they have a right to their own.
    pub fn to_json(&self, site: &str) -> Value {
        let at = |at: UtcMillis| at.to_rfc3339();
        let maybe = |at: Option<UtcMillis>| at.map(UtcMillis::to_rfc3339);
        let subject = &self.subject;
        json!({
            "form": format!("tapward-subject-package/{FORM}"),
            "made": at(self.made),
            "site": site,
            "person": subject.person.to_string(),
            "known_since": at(subject.created),
            "erased": maybe(subject.erased),
            "restricted": subject.is_restricted,
            "vault_was_locked": self.locked,
            "reference": self.reference.as_ref().map(crate::people::Reference::reveal),
            "language": self.language.set.as_ref().map(Spoken::as_str),
            "language_told": self.language.told.as_ref().map(|told| told.language.as_str()),
            "language_told_by": self.language.told.as_ref().and_then(|told| told.by.as_deref()),
            "passport": self.passport.as_ref().map(passport_json),
            "photo_jpeg_base64": self.photo.as_ref().map(|bytes| STANDARD.encode(bytes)),
            "passes": self.passes.iter().map(|pass| json!({
                "kind": pass.kind, "category": pass.category, "state": pass.state,
                "valid_from": maybe(pass.valid_from), "valid_until": maybe(pass.valid_until),
                "since": at(pass.since), "until": maybe(pass.until),
            })).collect::<Vec<_>>(),
            "passages": self.traces.iter().map(|trace| json!({
                "at": at(trace.at), "kind": trace.kind, "reason": trace.reason, "point": trace.point,
                "direction": trace.direction,
            })).collect::<Vec<_>>(),
            "visits": self.visits.iter().map(|visit| json!({
                "started": at(visit.started), "ended": maybe(visit.ended), "zone": visit.zone,
                "began_by": visit.began_by, "ended_why": visit.ended_why,
            })).collect::<Vec<_>>(),
            "account": self.books.to_json(),
            "accesses": subject.looks.iter().map(|look| json!({
                "number": look.number, "at": at(look.at), "by": look.actor_kind, "action": look.action,
                "outcome": look.outcome, "fields": look.fields, "purpose": look.purpose,
                "emergency": look.under_glass,
            })).collect::<Vec<_>>(),
            "disclosures": subject.disclosures.iter().map(|line| json!({
                "at": at(line.at), "route": line.route.as_str(), "recipient_kind": line.recipient_kind.as_str(),
                "recipient": (line.recipient_kind == RecipientKind::Organisation).then_some(&line.recipient),
                "ground": line.ground.as_str(),
                "classes": line.classes.iter().map(|class| class.as_str()).collect::<Vec<_>>(),
                "fields": line.fields.iter().map(|field| field.as_str()).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "requests": subject.requests.iter().map(|request| json!({
                "kind": request.kind.as_str(), "law": request.law.as_str(), "state": request.state.as_str(),
                "received": at(request.received), "due": at(request.due), "answered": maybe(request.answered),
            })).collect::<Vec<_>>(),
        })
    }
}

fn passport_json(passport: &Passport) -> Value {
    json!({
        "family": passport.names.family.reveal(),
        "given": passport.names.given.reveal(),
        "middle": passport.names.middle.reveal(),
        "birth_date": passport.birth_date.map(|day| day.reveal_iso().reveal().to_owned()),
        "documents": passport.documents.iter().map(|document| json!({
            "kind": document.kind.as_str(), "number": document.number.reveal(), "issued": document.issued.reveal(),
        })).collect::<Vec<_>>(),
        "contacts": passport.contacts.iter().map(|contact| json!({
            "kind": contact.kind.as_str(), "value": contact.value.reveal(),
        })).collect::<Vec<_>>(),
    })
}
