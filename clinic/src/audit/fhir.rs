//! The log as FHIR R4 AuditEvent resources. What was done with a person's data follows the profiles of IHE Basic Audit
//! Log Patterns (BALP 1.1.4): PatientRead, PatientCreate, PatientUpdate, PatientDelete, Query and PrivacyDisclosure.Source; those fix a
//! successful outcome, so refusals and failures, and everything that is not about a person, are plain AuditEvents with
//! the codes of DICOM PS3.16 (CID 400 to 403). Every event also carries our own code of the action.
//!
//! Persons are pseudonyms here too; notes are not exported.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::SiteId;
use domain::audit::Entry;
use serde_json::{Value, json};

use super::read::Recorded;
use super::{Action, Outcome, Purpose};

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ENTITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const PROFILES: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/";

/// Characters of the id of a visit, which is that of the encounter.
const UUID_CHARS: usize = 36;

/// What a profile of BALP asks for.
struct Pattern {
    /// The end of its address; `None`: no profile.
    profile: Option<&'static str>,
    /// `AuditEvent.type`.
    event: Value,
    /// The first `AuditEvent.subtype`.
    subtype: Option<Value>,
    /// `AuditEvent.action`: create, read, update, delete, execute.
    action: &'static str,
    /// The type of the agent that is the other side.
    client: Value,
    /// The type of the agent that is this server.
    server: Value,
    /// The type of the agent that is the person or system acting.
    user: Value,
}

/// One entry as an AuditEvent.
pub fn event(recorded: &Recorded, site: &SiteId) -> Value {
    let entry = &recorded.entry;
    let pattern = pattern(entry);
    let mut subtypes: Vec<Value> = pattern.subtype.into_iter().collect();
    subtypes.push(json!({ "system": "urn:tapward:audit:action", "code": entry.action }));
    let server = json!({ "display": format!("Tapward {site}") });
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": format!("audit-{}", entry.no),
        "type": pattern.event,
        "subtype": subtypes,
        "action": pattern.action,
        "recorded": entry.at.to_rfc3339(),
        "outcome": match Outcome::parse(&entry.outcome) {
            Some(Outcome::Done) => "0",
            Some(Outcome::Refused) => "4",
            Some(Outcome::Failed) | None => "8",
        },
        "agent": agents(entry, &pattern.client, &pattern.server, &pattern.user, &server, site),
        "source": {
            "site": site.as_str(),
            "observer": server,
            "type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")],
        },
        "entity": entities(entry, pattern.profile),
    });
    if let Some(profile) = pattern.profile {
        event["meta"] = json!({ "profile": [format!("{PROFILES}{profile}")] });
    }
    let reasons = reasons(entry);
    if !reasons.is_empty() {
        event["purposeOfEvent"] = Value::Array(reasons);
    }
    event
}

/// The beginning of a Bundle of events; between them stands [`BUNDLE_BETWEEN`], at the end [`BUNDLE_END`].
pub const BUNDLE_BEGIN: &str = "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[\n";
/// Stands between the entries of a Bundle.
pub const BUNDLE_BETWEEN: &str = ",\n";
/// The end of a Bundle.
pub const BUNDLE_END: &str = "\n]}\n";

/// One entry of a Bundle.
pub fn bundle_entry(recorded: &Recorded, site: &SiteId) -> String {
    let full = format!("urn:tapward:audit:{site}:{}", recorded.entry.no);
    json!({ "fullUrl": full, "resource": event(recorded, site) }).to_string()
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({ "coding": [coding(system, code, display)] })
}

fn pattern(entry: &Entry) -> Pattern {
    use Action as A;
    let destination = || concept(DICOM, "110152", "Destination Role ID");
    let source = || concept(DICOM, "110153", "Source Role ID");
    let rest = || coding(EVENT_TYPE, "rest", "Restful Operation");
    let dicom = |code: &str, display: &str| coding(DICOM, code, display);
    let recipient = || concept(PARTICIPATION, "IRCP", "information recipient");
    let author = || concept(PARTICIPATION, "AUT", "author (originator)");
    let plain = |code, display, subtype: Option<(&str, &str)>, action| Pattern {
        profile: None,
        event: dicom(code, display),
        subtype: subtype.map(|(code, display)| dicom(code, display)),
        action,
        client: source(),
        server: destination(),
        user: author(),
    };
    let known = Action::parse(&entry.action);
    if entry.outcome == Outcome::Done.as_str() {
        match (known, &entry.subject) {
            (Some(A::PersonSeen | A::PersonRevealed | A::ChartOpened | A::PersonLocated), Some(_)) => {
                return Pattern {
                    profile: Some("IHE.BasicAudit.PatientRead"),
                    event: rest(),
                    subtype: Some(coding(INTERACTION, "read", "read")),
                    action: "R",
                    client: destination(),
                    server: source(),
                    user: recipient(),
                };
            }
            (Some(A::PersonSearched), _) => {
                return Pattern {
                    profile: Some("IHE.BasicAudit.Query"),
                    event: rest(),
                    subtype: Some(coding(INTERACTION, "search", "search")),
                    action: "E",
                    client: source(),
                    server: destination(),
                    user: recipient(),
                };
            }
            (Some(A::VisitStarted), Some(_)) if !is_later(entry) => {
                return Pattern {
                    profile: Some("IHE.BasicAudit.PatientCreate"),
                    event: rest(),
                    subtype: Some(coding(INTERACTION, "create", "create")),
                    action: "C",
                    client: source(),
                    server: destination(),
                    user: author(),
                };
            }
            (
                Some(
                    A::PersonChanged
                    | A::PhotoChanged
                    | A::PassChanged
                    | A::PersonRestricted
                    | A::VisitStarted
                    | A::VisitEnded,
                ),
                Some(_),
            ) => {
                return Pattern {
                    profile: Some("IHE.BasicAudit.PatientUpdate"),
                    event: rest(),
                    subtype: Some(coding(INTERACTION, "update", "update")),
                    action: "U",
                    client: source(),
                    server: destination(),
                    user: author(),
                };
            }
            (Some(A::PersonErased), Some(_)) => {
                return Pattern {
                    profile: Some("IHE.BasicAudit.PatientDelete"),
                    event: rest(),
                    subtype: Some(coding(INTERACTION, "delete", "delete")),
                    action: "D",
                    client: concept(DICOM, "110150", "Application"),
                    server: concept(PARTICIPANT, "custodian", "Custodian"),
                    user: author(),
                };
            }
            (Some(A::Disclosed), Some(_)) => {
                return Pattern {
                    profile: Some("IHE.BasicAudit.PrivacyDisclosure.Source"),
                    event: dicom("110106", "Export"),
                    subtype: Some(coding(LIFECYCLE, "disclose", "Disclose Record Lifecycle Event")),
                    action: "R",
                    client: destination(),
                    server: source(),
                    user: author(),
                };
            }
            _ => {}
        }
    }
    match known {
        Some(A::SignedIn | A::SignInFailed | A::FirstRun | A::DeskOpened | A::BadgeSignedIn | A::IrregularSignIn) => {
            plain("110114", "User Authentication", Some(("110122", "Login")), "E")
        }
        Some(A::SessionEnded | A::SessionsEnded | A::DeskEnded) => {
            plain("110114", "User Authentication", Some(("110123", "Logout")), "E")
        }
        Some(A::RolesChanged | A::RoleEdited) => {
            plain("110113", "Security Alert", Some(("110136", "Security Roles Changed")), "U")
        }
        Some(
            A::AccountCreated
            | A::AccountDisabled
            | A::AccountEnabled
            | A::LinkMade
            | A::PasswordSet
            | A::PasswordChanged
            | A::FactorChanged
            | A::ApiKeyChanged,
        ) => plain("110113", "Security Alert", Some(("110137", "User Security Attributes Changed")), "U"),
        Some(A::VaultOpened | A::VaultKeyChanged | A::SettingsChanged | A::DeskChanged | A::ExchangeChanged) => {
            plain("110113", "Security Alert", Some(("110129", "Security Configuration")), "U")
        }
        Some(A::Refused) => plain("110113", "Security Alert", Some(("110132", "Use of Restricted Function")), "E"),
        // Their entries about an end say so with their first word.
        Some(A::GlassBroken | A::OutOfCard) if is_end(entry) => {
            plain("110113", "Security Alert", Some(("110138", "Emergency Override Stopped")), "E")
        }
        Some(A::GlassBroken | A::OutOfCard) => {
            plain("110113", "Security Alert", Some(("110127", "Emergency Override Started")), "E")
        }
        Some(A::LogRolledBack) => {
            plain("110113", "Security Alert", Some(("110135", "Object Security Attributes Changed")), "E")
        }
        Some(A::Exported | A::Disclosed) => plain("110106", "Export", None, "R"),
        Some(A::Imported | A::FeedTaken) => plain("110107", "Import", None, "C"),
        Some(A::AuditRead | A::NoteBlotted | A::Adopted) => plain("110101", "Audit Log Used", None, "R"),
        // Everything else, and words of a later version.
        _ => plain("110100", "Application Activity", None, "E"),
    }
}

/// Whether an entry is about the end of an override.
fn is_end(entry: &Entry) -> bool {
    entry.detail.as_deref().is_some_and(|detail| detail.starts_with("ended"))
}

/// Whether an entry about a visit adds to one that started before.
fn is_later(entry: &Entry) -> bool {
    entry.detail.as_deref().is_some_and(|detail| detail.starts_with("answered"))
}

fn agents(entry: &Entry, client: &Value, server: &Value, user: &Value, who: &Value, site: &SiteId) -> Vec<Value> {
    let from = entry.address.as_deref().unwrap_or("localhost");
    let kind = if entry.address.is_some() { "2" } else { "1" };
    let mut agents = vec![
        json!({
            "type": client,
            "who": { "display": from },
            "requestor": false,
            "network": { "address": from, "type": kind },
        }),
        json!({
            "type": server,
            "who": who,
            "requestor": false,
            "network": { "address": site.as_str(), "type": "1" },
        }),
    ];
    // The program itself and strangers are no users.
    if let Some(id) = entry.actor.as_deref().or((entry.actor_kind == "console").then_some("console")) {
        let mut agent = json!({
            "type": user,
            "who": { "identifier": { "system": format!("urn:tapward:{}", entry.actor_kind), "value": id } },
            "requestor": true,
        });
        if let Some(session) = &entry.session {
            agent["altId"] = session.clone().into();
        }
        if let Some(purpose) = purpose(entry) {
            agent["purposeOfUse"] = json!([purpose]);
        }
        agents.push(agent);
    }
    if !agents.iter().any(|agent| agent["requestor"] == true)
        && let Some(first) = agents.first_mut()
    {
        first["requestor"] = Value::Bool(entry.actor_kind == "anybody");
    }
    agents
}

/// What for, in the vocabulary that receivers know.
fn purpose(entry: &Entry) -> Option<Value> {
    let purpose = Purpose::parse(entry.purpose.as_deref()?)?;
    Some(match purpose {
        Purpose::Treatment => concept(REASON, "TREAT", "treatment"),
        Purpose::Payment => concept(REASON, "HPAYMT", "healthcare payment"),
        Purpose::PersonRequest => concept(REASON, "PATRQT", "patient requested"),
        Purpose::Emergency => concept(REASON, "ETREAT", "Emergency Treatment"),
        Purpose::Booking => concept(REASON, "COC", "coordination of care"),
        Purpose::Checkpoint | Purpose::PassIssue | Purpose::Incident => {
            concept(REASON, "HOPERAT", "healthcare operations")
        }
        Purpose::Maintenance => concept(REASON, "HSYSADMIN", "health system administration"),
    })
}

fn reasons(entry: &Entry) -> Vec<Value> {
    let mut reasons: Vec<Value> = purpose(entry).into_iter().collect();
    // An emergency has its own purpose; everything else without the card is breaking glass.
    let is_out_of_card =
        entry.action == Action::OutOfCard.as_str() && entry.purpose.as_deref() != Some(Purpose::Emergency.as_str());
    if entry.glass.is_some() || is_out_of_card {
        reasons.push(concept(REASON, "BTG", "break the glass"));
    }
    reasons
}

fn entities(entry: &Entry, profile: Option<&str>) -> Vec<Value> {
    let mut entities = Vec::new();
    let system = || coding(ENTITY_TYPE, "2", "System Object");
    if profile == Some("IHE.BasicAudit.Query") {
        // The words searched for are recorded nowhere; this is what the log knows of the search.
        entities.push(json!({
            "type": system(),
            "role": coding(ENTITY_ROLE, "24", "Query"),
            "query": STANDARD.encode(entry.detail.as_deref().unwrap_or("persons")),
        }));
    } else {
        let object = entry.object.clone().or_else(|| entry.fields.clone()).unwrap_or_else(|| entry.action.clone());
        let is_visit = matches!(
            Action::parse(&entry.action),
            Some(Action::VisitStarted | Action::VisitEnded | Action::ChartOpened)
        ) && object.len() == UUID_CHARS;
        let what = if is_visit {
            json!({ "reference": format!("Encounter/{object}") })
        } else {
            json!({ "identifier": { "system": "urn:tapward:object", "value": object } })
        };
        let mut data = json!({
            "what": what,
            "type": system(),
            "role": coding(ENTITY_ROLE, "4", "Domain Resource"),
        });
        let told = [("fields", &entry.fields), ("detail", &entry.detail), ("glass", &entry.glass)];
        let details: Vec<Value> = told
            .iter()
            .filter_map(|(name, value)| Some(json!({ "type": name, "valueString": value.as_deref()? })))
            .filter(|_| profile != Some("IHE.BasicAudit.PatientDelete"))
            .collect();
        if !details.is_empty() {
            data["detail"] = Value::Array(details);
        }
        entities.push(data);
    }
    if let Some(subject) = &entry.subject {
        entities.push(json!({
            "what": { "reference": format!("Patient/{subject}") },
            "type": coding(ENTITY_TYPE, "1", "Person"),
            "role": coding(ENTITY_ROLE, "1", "Patient"),
        }));
    }
    entities
}
