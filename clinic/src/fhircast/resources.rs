//! The resources of our own events: patient, visit, reasons, errors. FHIR R4, as small as the profiles of FHIRcast allow.
//! Pseudonyms and record numbers only; never a name or a date of birth. Pure.

use domain::{PersonId, UtcMillis};
use serde_json::{Value, json};

/// Where the codes of reasons stand.
const LOGOUT_CODES: &str = "http://hl7.org/fhir/uv/fhircast/CodeSystem/fhircast-logout-codesystem";
const HIBERNATE_CODES: &str = "http://hl7.org/fhir/uv/fhircast/CodeSystem/fhircast-hibernate-codesystem";
/// Where the facts of an error stand. Some read the last one as `…/subscriber`: both are taken, this one is written.
const EVENT_ID: &str = "https://fhircast.hl7.org/events/syncerror/eventid";
const EVENT_NAME: &str = "https://fhircast.hl7.org/events/syncerror/eventname";
const SUBSCRIBER_NAME: &str = "https://fhircast.hl7.org/events/syncerror/subscribername";
const SUBSCRIBER: &str = "https://fhircast.hl7.org/events/syncerror/subscriber";
/// The identifier of a person here, where the medical system has none.
pub const OWN_PERSON: &str = "urn:tapward:person";
/// The identifier of a visit here.
pub const OWN_VISIT: &str = "urn:tapward:visit";

/// How record numbers of the medical system are written in events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordNumber {
    /// The system as it is called in the configuration: the numbers that its feed or message brought.
    pub system: String,
    /// The identifier system of FHIR, a URI.
    pub uri: String,
    /// Its type of table HL7 0203: `MR` for a record number.
    pub kind: String,
}

/// What a patient is called elsewhere: system and value.
pub type Alias = (String, String);

/// The entry of a patient. The id is that of `id_system`, where the patient has one there that FHIR allows, else ours.
pub fn patient(person: PersonId, aliases: &[Alias], id_system: Option<&str>, numbers: &[RecordNumber]) -> Value {
    let id = patient_id(person, aliases, id_system);
    let mut identifier: Vec<Value> = numbers
        .iter()
        .flat_map(|number| aliases.iter().filter(|(system, _)| *system == number.system).map(move |(_, value)| (number, value)))
        .map(|(number, value)| {
            json!({ "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": number.kind }] },
                "system": number.uri, "value": value })
        })
        .collect();
    if identifier.is_empty() {
        identifier.push(json!({ "system": OWN_PERSON, "value": person.to_string() }));
    }
    json!({ "key": "patient", "resource": { "resourceType": "Patient", "id": id, "identifier": identifier } })
}

/// The id of a patient's resource.
pub fn patient_id(person: PersonId, aliases: &[Alias], id_system: Option<&str>) -> String {
    let known = aliases.iter().find(|(system, value)| Some(system.as_str()) == id_system && is_id(value));
    known.map_or_else(|| person.to_string(), |(_, value)| value.clone())
}

/// FHIR R4: letters, digits, `-` and `.`, at most 64.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// A visit as an encounter.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Its id, also that of the encounter in the medical system.
    pub id: &'a str,
    /// Its number, for people.
    pub no: i64,
    /// When it started.
    pub started: UtcMillis,
    /// When it ended.
    pub ended: Option<UtcMillis>,
    /// The code of its state in FHIR.
    pub status: &'a str,
}

/// The entry of a visit; `patient_id` is that of the patient's entry in the same event.
pub fn encounter(visit: Visit<'_>, patient_id: &str) -> Value {
    let mut period = json!({ "start": visit.started.to_rfc3339() });
    if let (Some(ended), Some(period)) = (visit.ended, period.as_object_mut()) {
        period.insert("end".to_owned(), Value::String(ended.to_rfc3339()));
    }
    json!({ "key": "encounter", "resource": {
        "resourceType": "Encounter",
        "id": visit.id,
        "identifier": [{ "system": OWN_VISIT, "value": format!("V-{}", visit.no) }],
        "status": visit.status,
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory" },
        "subject": { "reference": format!("Patient/{patient_id}") },
        "period": period,
    } })
}

/// Who ended or locked a session, as FHIRcast has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The specialist.
    User,
    /// Time.
    Timeout,
    /// The program, for another reason: a blocked card, another specialist.
    System,
}

impl Cause {
    /// Reads the reason of the end or lock of a binding (`domain::desk::{EndWhy, LockWhy}`).
    pub fn of_reason(reason: Option<&str>) -> Self {
        match reason {
            Some("idle" | "factor_missing") => Self::Timeout,
            Some("by_hand" | "retap" | "elsewhere") => Self::User,
            _ => Self::System,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::User => "user-initiated",
            Self::Timeout => "system-timeout",
            Self::System => "system-initiated",
        }
    }
}

/// The context of the end of a session.
pub fn logout(cause: Cause) -> Value {
    parameters(LOGOUT_CODES, cause)
}

/// The context of a lock.
pub fn hibernate(cause: Cause) -> Value {
    parameters(HIBERNATE_CODES, cause)
}

fn parameters(system: &str, cause: Cause) -> Value {
    json!({ "key": "parameters", "resource": { "resourceType": "Parameters", "parameter": [
        { "name": "code", "valueCoding": { "system": system, "code": cause.code() } },
    ] } })
}

/// The context of an error: which event, and who did not follow.
pub fn sync_error(event_id: &str, event_name: &str, subscriber: &str, diagnostics: &str) -> Value {
    json!({ "key": "operationoutcome", "resource": { "resourceType": "OperationOutcome", "issue": [{
        "severity": "warning",
        "code": "processing",
        "diagnostics": diagnostics,
        "details": { "coding": [
            { "system": EVENT_ID, "code": event_id },
            { "system": EVENT_NAME, "code": event_name },
            { "system": SUBSCRIBER_NAME, "code": subscriber },
        ] },
    }] } })
}

/// What an error that a program published says: the id of the event, and who did not follow.
pub fn read_sync_error(context: &[Value]) -> (Option<String>, Option<String>) {
    let codings = context
        .iter()
        .filter_map(|entry| entry.get("resource")?.get("issue")?.as_array())
        .flatten()
        .filter_map(|issue| issue.get("details")?.get("coding")?.as_array())
        .flatten();
    let (mut event, mut subscriber) = (None, None);
    for coding in codings {
        let code = || coding.get("code").and_then(Value::as_str).map(|code| code.chars().take(128).collect::<String>());
        match coding.get("system").and_then(Value::as_str) {
            Some(EVENT_ID) => event = code(),
            Some(SUBSCRIBER_NAME | SUBSCRIBER) => subscriber = code(),
            _ => {}
        }
    }
    (event, subscriber)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: PersonId = PersonId([7; 16]);

    #[test]
    fn a_patient_has_an_identifier_whatever_is_known() {
        let numbers =
            [RecordNumber { system: "mis".to_owned(), uri: "urn:clinic:mrn".to_owned(), kind: "MR".to_owned() }];
        let aliases = [("mis".to_owned(), "P-10017".to_owned()), ("lab".to_owned(), "ü".to_owned())];
        let known = patient(PERSON, &aliases, Some("mis"), &numbers);
        assert_eq!(known["resource"]["id"], "P-10017");
        assert_eq!(known["resource"]["identifier"][0]["value"], "P-10017");
        assert_eq!(known["resource"]["identifier"][0]["type"]["coding"][0]["code"], "MR");
        let unknown = patient(PERSON, &[], Some("mis"), &numbers);
        assert_eq!(unknown["resource"]["id"], PERSON.to_string());
        assert_eq!(unknown["resource"]["identifier"][0]["system"], OWN_PERSON);
        assert_eq!(patient_id(PERSON, &aliases, Some("lab")), PERSON.to_string(), "what FHIR does not allow as an id");
    }

    #[test]
    fn an_error_is_read_with_either_spelling_of_the_subscriber() {
        let ours = [sync_error("e-1", "Patient-open", "MIS", "did not follow")];
        assert_eq!(read_sync_error(&ours), (Some("e-1".to_owned()), Some("MIS".to_owned())));
        assert_eq!(ours[0]["resource"]["issue"][0]["severity"], "warning");
        let theirs = ours[0].to_string().replace(SUBSCRIBER_NAME, SUBSCRIBER);
        let theirs = [serde_json::from_str(&theirs).unwrap()];
        assert_eq!(read_sync_error(&theirs).1.as_deref(), Some("MIS"));
        assert_eq!(read_sync_error(&[json!(5), json!({ "resource": { "issue": [{}] } })]), (None, None));
    }

    #[test]
    fn reasons_become_codes_of_fhircast() {
        let code = |reason| logout(Cause::of_reason(reason))["resource"]["parameter"][0]["valueCoding"]["code"].clone();
        assert_eq!(code(Some("idle")), "system-timeout");
        assert_eq!(code(Some("retap")), "user-initiated");
        assert_eq!(code(Some("card_not_valid")), "system-initiated");
        assert_eq!(code(None), "system-initiated");
    }
}
