//! From a fact to a message: which event it is, and what the system is told of patient, doctor, room and visit. The same
//! fact gives the same number and the same bytes.

use clinic::changes::ChangeKind;
use clinic::outbox::{Fact, FactParty, FactVisit};
use domain::UtcMillis;
use domain::vault::{BirthDate, Names as PersonNames};
use sha2::{Digest, Sha256};
use wire::hl7::Hl7Error;
use wire::hl7::out::{CONTROL_MAX_CHARS, DoctorOut, Envelope, PatientOut, VisitEvent, VisitOut, adt};

use super::settings::SenderSettings;

/// What the vault told, where the system is told names.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub patient: Option<PersonNames>,
    pub birth: Option<BirthDate>,
    pub doctor: Option<PersonNames>,
}

/// Changes that are told; others are nothing to an HL7 system.
pub(crate) const WANTED: [ChangeKind; 3] =
    [ChangeKind::VisitStarted, ChangeKind::VisitEnded, ChangeKind::VisitCancelled];

/// Which message a change becomes.
pub(crate) const fn event_of(kind: ChangeKind) -> Option<VisitEvent> {
    match kind {
        ChangeKind::VisitStarted => Some(VisitEvent::Started),
        ChangeKind::VisitEnded => Some(VisitEvent::Ended),
        ChangeKind::VisitCancelled => Some(VisitEvent::Cancelled),
        _ => None,
    }
}

/// MSH-10: the same for the same fact, and no other for ever, also when a restored database counts its changes anew.
pub(crate) fn control_of(fact: &Fact) -> String {
    let mut hash = Sha256::new();
    let change = &fact.change;
    let visit = change.visit.as_deref().unwrap_or_default();
    for part in [&fact.destination, &change.id.to_string(), change.kind.as_str(), visit, &change.happened.0.to_string()]
    {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect();
    digits.chars().take(CONTROL_MAX_CHARS).collect()
}

/// The message.
pub(crate) fn message(
    settings: &SenderSettings,
    fact: &Fact,
    event: VisitEvent,
    visit: &FactVisit,
    told: Told,
) -> Result<Vec<u8>, Hl7Error> {
    let (accept, result) = settings.mode.wanted();
    let envelope = Envelope {
        application: settings.application.clone(),
        facility: settings.facility.clone(),
        to_application: settings.to_application.clone(),
        to_facility: settings.to_facility.clone(),
        at: fact.change.at,
        control: control_of(fact),
        processing: settings.processing,
        accept,
        result,
        charset: settings.charset,
    };
    adt(event, &envelope, &said(settings, fact, event, visit, told), &settings.zone)
}

fn said(settings: &SenderSettings, fact: &Fact, event: VisitEvent, visit: &FactVisit, told: Told) -> VisitOut {
    let own = &settings.facility.namespace;
    let staff = fact.staff.as_ref();
    let (doctor, authority) = match staff.and_then(|staff| staff.practitioner_id()) {
        Some(id) => (id.to_owned(), settings.authority()),
        None => (visit.staff.to_string(), own.as_str()),
    };
    let room = fact.desk.as_ref().and_then(|desk| desk.external.clone());
    VisitOut {
        patient: patient(settings, fact.patient.as_ref(), visit, &told),
        doctor: DoctorOut { id: doctor, authority: authority.to_owned(), names: told.doctor },
        room: room.unwrap_or_else(|| visit.zone.to_string()),
        facility: own.clone(),
        number: visit.no.to_string(),
        id: visit.id.clone(),
        authority: own.clone(),
        started: visit.started,
        ended: ended(event, fact, visit),
        occurred: fact.change.happened,
    }
}

/// PV1-45 belongs to the messages that say so: what has happened since is told by a later one.
fn ended(event: VisitEvent, fact: &Fact, visit: &FactVisit) -> Option<UtcMillis> {
    match event {
        VisitEvent::Started | VisitEvent::Changed => None,
        VisitEvent::Ended => Some(visit.ended.unwrap_or(fact.change.happened)),
        VisitEvent::Cancelled => visit.ended,
    }
}

fn patient(settings: &SenderSettings, party: Option<&FactParty>, visit: &FactVisit, told: &Told) -> PatientOut {
    let person = party.map_or(visit.patient, |party| party.survivor.unwrap_or(party.person));
    let pseudonym = person.to_string();
    let theirs = party.map(|party| party.aliases.as_slice()).unwrap_or_default();
    let mut ids: Vec<(String, String, &'static str)> =
        theirs.iter().map(|alias| (alias.clone(), settings.authority().to_owned(), "MR")).collect();
    if ids.is_empty() {
        ids.push((pseudonym.clone(), settings.facility.namespace.clone(), "PI"));
    }
    PatientOut { ids, pseudonym, names: told.patient.clone(), birth: told.birth }
}
