//! Facts as FHIR R4 resources, and what is there already brought to where a fact says it is. Pure.

use clinic::changes::ChangeKind;
use clinic::outbox::{Fact, FactStaff, FactVisit};
use domain::UtcMillis;
use serde_json::{Value, json};

use super::{Alias, ArrivalStatus, Settings};

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ENTITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const PROFILES: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/";
/// What ids of AuditEvents are made of: the name space of ours in UUIDs of version 5.
const NAME_SPACE: uuid::Uuid = uuid::uuid!("3f0a9d0c-7a55-5b6f-9e0b-7f2f6c0d6a11");

/// What an Encounter is made of.
pub(super) struct Visit<'a> {
    pub(super) visit: &'a FactVisit,
    pub(super) fact: &'a Fact,
    /// The id of the patient's resource.
    pub(super) patient: &'a str,
    pub(super) settings: &'a Settings,
}

impl Visit<'_> {
    /// The status that the fact brings about.
    fn status(&self) -> &'static str {
        match self.fact.change.kind {
            ChangeKind::VisitEnded => "finished",
            ChangeKind::VisitCancelled => "entered-in-error",
            _ => self.settings.started.fhir(),
        }
    }

    /// When the visit reached it. The end of a visit is that of the visit, not of its telling.
    fn since(&self) -> UtcMillis {
        match self.fact.change.kind {
            ChangeKind::VisitEnded => self.visit.ended.unwrap_or(self.fact.change.happened),
            ChangeKind::VisitStarted => self.visit.started,
            _ => self.fact.change.happened,
        }
    }

    /// The end of the visit, where the fact is about that.
    fn end(&self) -> Option<String> {
        let is_end = matches!(self.fact.change.kind, ChangeKind::VisitEnded | ChangeKind::VisitCancelled);
        // Never before the begin, whatever clocks did.
        is_end.then(|| self.since().max(self.visit.started).to_rfc3339())
    }
}

/// How far a status is; a write never goes back.
fn rank(status: &str) -> u8 {
    match status {
        "planned" | "unknown" => 0,
        "arrived" => 1,
        "triaged" => 2,
        "in-progress" | "onleave" => 3,
        "finished" => 4,
        "cancelled" => 5,
        "entered-in-error" => 6,
        _ => 0,
    }
}

/// An Encounter that is not there yet.
pub(super) fn encounter(wanted: &Visit<'_>) -> Value {
    let Visit { visit, fact, patient, settings } = wanted;
    let start = visit.started.to_rfc3339();
    let mut encounter = json!({
        "resourceType": "Encounter",
        "id": visit.id,
        "identifier": [{ "system": settings.visit_system, "value": visit.id }],
        "status": wanted.status(),
        "class": { "system": ACT_CODE, "code": "AMB", "display": "ambulatory" },
        "subject": { "reference": format!("Patient/{patient}") },
        "period": { "start": start },
    });
    if let Some(staff) = &fact.staff {
        encounter["participant"] = json!([{
            "type": [{ "coding": [{ "system": PARTICIPATION, "code": "ATND", "display": "attender" }] }],
            "period": { "start": start },
            "individual": practitioner(staff, settings),
        }]);
    }
    if let Some(desk) = &fact.desk {
        let location = match &desk.external {
            Some(external) => json!({ "reference": format!("Location/{external}") }),
            None => json!({ "identifier": { "system": "urn:tapward:point", "value": desk.point } }),
        };
        encounter["location"] = json!([{ "location": location, "status": "active", "period": { "start": start } }]);
    }
    if let Some(appointment) = &fact.appointment
        && settings.appointments.as_deref() == Some(appointment.source.as_str())
    {
        encounter["appointment"] = json!([{ "reference": format!("Appointment/{}", appointment.external) }]);
    }
    close(&mut encounter, wanted);
    if let Some(end) = wanted.end() {
        // It was never told that it began: that stays visible.
        let period = json!({ "start": start, "end": end });
        encounter["statusHistory"] = json!([{ "status": settings.started.fhir(), "period": period }]);
    }
    encounter
}

/// The specialist: by id, by the identifier that the server knows, or by our pseudonym.
pub(super) fn practitioner(staff: &FactStaff, settings: &Settings) -> Value {
    match (staff.practitioner_id(), &settings.staff) {
        (Some(id), Alias::Id) => json!({ "reference": format!("Practitioner/{id}") }),
        (Some(value), Alias::Identifier(system)) => {
            json!({ "type": "Practitioner", "identifier": { "system": system, "value": value } })
        }
        (None, _) => {
            let value = staff.party.person.to_string();
            json!({ "type": "Practitioner", "identifier": { "system": "urn:tapward:person", "value": value } })
        }
    }
}

/// Ends periods that a visit's end ends; ends that are there stay.
fn close(encounter: &mut Value, wanted: &Visit<'_>) {
    let Some(end) = wanted.end() else { return };
    set_if_absent(&mut encounter["period"], "end", &end);
    for list in ["participant", "location"] {
        for item in encounter.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if item["period"]["start"].is_string() {
                set_if_absent(&mut item["period"], "end", &end);
            }
            if list == "location" && item["status"] == "active" {
                item["status"] = "completed".into();
            }
        }
    }
}

fn set_if_absent(object: &mut Value, member: &str, value: &str) {
    if !object[member].is_string() {
        object[member] = value.into();
    }
}

/// What is there, brought to where the fact says the visit is; `None` if it is there already, or further. Whatever else
/// somebody wrote into it stays.
pub(super) fn merged_encounter(found: &Value, wanted: &Visit<'_>) -> Option<Value> {
    let mut next = found.clone();
    let before = found["status"].as_str().unwrap_or("unknown").to_owned();
    let status = wanted.status();
    set_if_absent(&mut next["period"], "start", &wanted.visit.started.to_rfc3339());
    if rank(status) > rank(&before) {
        let since = wanted.since().max(wanted.visit.started).to_rfc3339();
        let history = found["statusHistory"].as_array();
        let begun = history.and_then(|history| history.last()?["period"]["end"].as_str());
        let begun = begun.or(next["period"]["start"].as_str()).unwrap_or(&since);
        let mut period = json!({ "start": begun });
        // Clocks of two systems: a period never ends before it begins.
        let is_in_order = match (UtcMillis::from_rfc3339(begun), UtcMillis::from_rfc3339(&since)) {
            (Some(begun), Some(since)) => begun <= since,
            _ => false,
        };
        period["end"] = if is_in_order { since.clone() } else { begun.to_owned() }.into();
        let entry = json!({ "status": before, "period": period });
        match next.get_mut("statusHistory").and_then(Value::as_array_mut) {
            Some(history) => history.push(entry),
            None => next["statusHistory"] = json!([entry]),
        }
        next["status"] = status.into();
        close(&mut next, wanted);
    } else if status == "finished" && before == "finished" {
        close(&mut next, wanted);
    }
    (next != *found).then_some(next)
}

/// What an Appointment becomes by a fact; `None`: it stays.
pub(super) const fn appointment_status(kind: ChangeKind, arrival: ArrivalStatus) -> Option<&'static str> {
    match (kind, arrival.fhir()) {
        (ChangeKind::VisitStarted, arrived) => arrived,
        (ChangeKind::VisitEnded, Some(_)) => Some("fulfilled"),
        _ => None,
    }
}

/// An Appointment with another status; `None` if it has it already, is further, or was called off.
pub(super) fn moved_appointment(found: &Value, status: &str) -> Option<Value> {
    let rank = |status: &str| match status {
        "proposed" | "pending" | "booked" | "waitlist" => Some(0),
        "arrived" => Some(1),
        "checked-in" => Some(2),
        "fulfilled" => Some(3),
        // cancelled, noshow, entered-in-error: somebody decided; nothing of ours changes that.
        _ => None,
    };
    let before = rank(found["status"].as_str()?)?;
    let after = rank(status)?;
    (after > before).then(|| {
        let mut next = found.clone();
        next["status"] = status.into();
        next
    })
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({ "coding": [coding(system, code, display)] })
}

/// A fact as an AuditEvent of R4: sign-ins at desks with the codes of DICOM, visits by the patterns of IHE BALP, work
/// without a card as a security alert. `None` for what is none, and for a visit whose patient the server does not know.
pub(super) fn audit_event(fact: &Fact, patient: Option<&str>, settings: &Settings) -> Option<Value> {
    use ChangeKind as K;
    let dicom = |code, display| coding(DICOM, code, display);
    let rest = || coding(EVENT_TYPE, "rest", "Restful Operation");
    let login = || dicom("110114", "User Authentication");
    let alert = || dicom("110113", "Security Alert");
    let (profile, kind, subtype, action) = match fact.change.kind {
        K::SessionOpened => (None, login(), dicom("110122", "Login"), "E"),
        K::SessionEnded => (None, login(), dicom("110123", "Logout"), "E"),
        K::OutOfCard => (None, alert(), dicom("110127", "Emergency Override Started"), "E"),
        K::IrregularSignIn => (None, alert(), dicom("110132", "Use of Restricted Function"), "E"),
        K::VisitStarted => (Some("IHE.BasicAudit.PatientCreate"), rest(), coding(INTERACTION, "create", "create"), "C"),
        K::VisitEnded | K::VisitCancelled => {
            (Some("IHE.BasicAudit.PatientUpdate"), rest(), coding(INTERACTION, "update", "update"), "U")
        }
        _ => return None,
    };
    if profile.is_some() && patient.is_none() {
        return None;
    }
    let site = settings.site.as_str();
    let here = json!({ "display": format!("Tapward {site}") });
    let desk = fact.desk.as_ref().map_or(site, |desk| desk.point.as_str());
    let mut agents = vec![
        json!({
            "type": concept(DICOM, "110153", "Source Role ID"),
            "who": here,
            "requestor": false,
            "network": { "address": desk, "type": "1" },
        }),
        json!({
            "type": concept(DICOM, "110152", "Destination Role ID"),
            "who": { "display": "FHIR server" },
            "requestor": false,
            "network": { "address": settings.base.host_str().unwrap_or("localhost"), "type": "1" },
        }),
    ];
    if let Some(staff) = &fact.staff {
        let mut agent = json!({
            "type": concept(PARTICIPATION, "AUT", "author (originator)"),
            "who": practitioner(staff, settings),
            "requestor": true,
        });
        if fact.change.kind == K::OutOfCard {
            agent["purposeOfUse"] = json!([concept(REASON, "BTG", "break the glass")]);
        }
        agents.push(agent);
    } else if let Some(first) = agents.first_mut() {
        first["requestor"] = Value::Bool(true);
    }
    let id = uuid::Uuid::new_v5(&NAME_SPACE, format!("{site}/change/{}", fact.change.id).as_bytes());
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": id.to_string(),
        "type": kind,
        "subtype": [subtype, coding("urn:tapward:change", fact.change.kind.as_str(), fact.change.kind.as_str())],
        "action": action,
        "recorded": fact.change.happened.to_rfc3339(),
        "outcome": "0",
        "agent": agents,
        "source": {
            "site": site,
            "observer": here,
            "type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")],
        },
        "entity": entities(fact, patient),
    });
    if let Some(profile) = profile {
        event["meta"] = json!({ "profile": [format!("{PROFILES}{profile}")] });
    }
    if fact.change.kind == K::OutOfCard {
        event["purposeOfEvent"] = json!([concept(REASON, "BTG", "break the glass")]);
    }
    Some(event)
}

fn entities(fact: &Fact, patient: Option<&str>) -> Vec<Value> {
    let mut entities = Vec::new();
    if let Some(patient) = patient {
        entities.push(json!({
            "what": { "reference": format!("Patient/{patient}") },
            "type": coding(ENTITY_TYPE, "1", "Person"),
            "role": coding(ENTITY_ROLE, "1", "Patient"),
        }));
    }
    let (what, role) = match (&fact.visit, &fact.desk) {
        (Some(visit), _) => (json!({ "reference": format!("Encounter/{}", visit.id) }), ("4", "Domain Resource")),
        (None, Some(desk)) => {
            let identifier = json!({ "system": "urn:tapward:point", "value": desk.point });
            (json!({ "identifier": identifier }), ("13", "Security Resource"))
        }
        (None, None) => return entities,
    };
    let mut entity = json!({
        "what": what,
        "type": coding(ENTITY_TYPE, "2", "System Object"),
        "role": coding(ENTITY_ROLE, role.0, role.1),
    });
    if let Some(reason) = &fact.change.reason {
        entity["detail"] = json!([{ "type": "reason", "valueString": reason }]);
    }
    entities.push(entity);
    entities
}
