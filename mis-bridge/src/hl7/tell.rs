//! From a fact to a message: which event it is, and what the system is told of patient, doctor, room, visit, charge and
//! payment. The same fact gives the same number and the same bytes.

use clinic::changes::ChangeKind;
use clinic::outbox::{Fact, FactCharge, FactParty, FactPayment, FactStaff, FactVisit};
use domain::money::Amount;
use domain::vault::{BirthDate, Names as PersonNames};
use domain::{PersonId, UtcMillis};
use sha2::{Digest, Sha256};
use wire::hl7::Hl7Error;
use wire::hl7::out::{
    AccountOut, CONTROL_MAX_CHARS, ChargeKind, ChargeOut, DoctorOut, Envelope, PatientOut, VisitEvent, VisitOut, adt,
    dft,
};

use super::settings::SenderSettings;

/// What the vault told, where the system is told names.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub patient: Option<PersonNames>,
    pub birth: Option<BirthDate>,
    pub doctor: Option<PersonNames>,
}

/// Changes that a system is told; others are nothing to it.
pub(crate) fn wanted(settings: &SenderSettings) -> Vec<ChangeKind> {
    use ChangeKind as K;
    let mut wanted = vec![K::VisitStarted, K::VisitEnded, K::VisitCancelled];
    if settings.charges {
        wanted.extend([K::ChargeRendered, K::ChargeCancelled]);
    }
    if settings.payments {
        wanted.extend([K::PaymentTaken, K::PaymentReturned]);
    }
    wanted
}

/// What a message is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// A visit: ADT.
    Visit(VisitEvent, &'a FactVisit),
    /// A charge: DFT.
    Charge(ChargeKind, &'a FactCharge),
    /// A payment: DFT.
    Payment(&'a FactPayment),
}

impl About<'_> {
    /// Who must be known for it: the patient and the doctor.
    pub(crate) fn persons(&self, fact: &Fact) -> (Option<PersonId>, Option<PersonId>) {
        let patient = fact.patient.as_ref().map(|party| party.survivor.unwrap_or(party.person));
        match self {
            Self::Visit(_, visit) => (Some(patient.unwrap_or(visit.patient)), Some(visit.staff)),
            Self::Charge(_, charge) => {
                (Some(patient.unwrap_or(charge.patient)), charge.staff.as_ref().map(|staff| staff.party.person))
            }
            Self::Payment(payment) => (patient.or(payment.line.patient), None),
        }
    }
}

/// What a fact is told as; `None`: not at all. The error says what is missing.
pub(crate) fn about<'a>(settings: &SenderSettings, fact: &'a Fact) -> Result<Option<About<'a>>, &'static str> {
    let visit = |event| fact.visit.as_ref().map(|visit| Some(About::Visit(event, visit))).ok_or("visit");
    match fact.change.kind {
        ChangeKind::VisitStarted => visit(VisitEvent::Started),
        ChangeKind::VisitEnded => visit(VisitEvent::Ended),
        ChangeKind::VisitCancelled => visit(VisitEvent::Cancelled),
        kind @ (ChangeKind::ChargeRendered | ChangeKind::ChargeCancelled) if settings.charges => {
            let charge = fact.charge.as_ref().ok_or("charge")?;
            let is_taken_back = kind == ChangeKind::ChargeCancelled;
            let kind = if is_taken_back { ChargeKind::Credit } else { ChargeKind::Charge };
            // An order that was never rendered was never told.
            Ok(charge.rendered.map(|_| About::Charge(kind, charge)))
        }
        ChangeKind::PaymentTaken | ChangeKind::PaymentReturned if settings.payments => {
            let payment = fact.payment.as_ref().ok_or("payment")?;
            // What a payer pays is on nobody's account: PID must name a patient.
            Ok(payment.line.patient.map(|_| About::Payment(payment)))
        }
        _ => Ok(None),
    }
}

/// MSH-10: the same for the same fact, and no other for ever, also when a restored database counts its changes anew.
pub(crate) fn control_of(fact: &Fact) -> String {
    let mut hash = Sha256::new();
    let change = &fact.change;
    let about = change.visit.as_deref().or(change.detail.as_deref()).unwrap_or_default();
    for part in [&fact.destination, &change.id.to_string(), change.kind.as_str(), about, &change.happened.0.to_string()]
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
    about: About<'_>,
    told: &Told,
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
    let (item, at) = match about {
        About::Visit(event, visit) => {
            return adt(event, &envelope, &said(settings, fact, Some(event), visit, told), &settings.zone);
        }
        About::Charge(kind, charge) => (charged(settings, kind, charge), fact.change.happened),
        About::Payment(payment) => (paid(settings, fact, payment), payment.line.done.unwrap_or(payment.line.begun)),
    };
    let patient = about.persons(fact).0.unwrap_or(PersonId([0; 16]));
    let staff = fact.charge.as_ref().and_then(|charge| charge.staff.as_ref());
    let account = AccountOut {
        patient: self::patient(settings, fact.patient.as_ref(), patient, told),
        doctor: staff.map(|staff| doctor(settings, staff, told)),
        visit: fact.visit.as_ref().map(|visit| said(settings, fact, None, visit, told)),
        occurred: at,
    };
    dft(&envelope, &account, &[item], &settings.zone)
}

fn charged(settings: &SenderSettings, kind: ChargeKind, charge: &FactCharge) -> ChargeOut {
    let quantity = i64::from(charge.quantity.max(1));
    let price = charge.net.minor().checked_rem(quantity).filter(|rest| *rest == 0);
    ChargeOut {
        id: charge.id.clone(),
        kind,
        at: charge.rendered.unwrap_or(charge.registered),
        service: (charge.code().to_owned(), charge.name(&settings.language).to_owned()),
        system: settings.services.clone(),
        quantity: charge.quantity,
        amount: charge.net,
        price: price.and_then(|_| Amount::new(charge.net.minor() / quantity)),
        currency: charge.currency,
    }
}

/// Money that went back is a payment of less than nothing.
fn paid(settings: &SenderSettings, fact: &Fact, payment: &FactPayment) -> ChargeOut {
    let is_back = fact.change.kind == ChangeKind::PaymentReturned || payment.is_back();
    let amount = if is_back { payment.line.amount.times(-1) } else { None };
    ChargeOut {
        id: payment.line.id.clone(),
        kind: ChargeKind::Payment,
        at: payment.line.done.unwrap_or(payment.line.begun),
        service: (payment.line.method.as_str().to_owned(), "Payment".to_owned()),
        system: settings.services.clone(),
        quantity: 1,
        amount: amount.unwrap_or(payment.line.amount),
        price: None,
        currency: payment.line.currency,
    }
}

fn doctor(settings: &SenderSettings, staff: &FactStaff, told: &Told) -> DoctorOut {
    let (id, authority) = match staff.practitioner_id() {
        Some(id) => (id.to_owned(), settings.authority()),
        None => (staff.party.person.to_string(), settings.facility.namespace.as_str()),
    };
    DoctorOut { id, authority: authority.to_owned(), names: told.doctor.clone() }
}

/// A visit; without an event, as a message about something else says it.
fn said(settings: &SenderSettings, fact: &Fact, event: Option<VisitEvent>, visit: &FactVisit, told: &Told) -> VisitOut {
    let own = &settings.facility.namespace;
    // The one who rendered a charge may be another one than the visit's.
    let of_charge = fact.charge.as_ref().and_then(|charge| charge.staff.as_ref());
    let staff = of_charge.or(fact.staff.as_ref()).filter(|staff| staff.party.person == visit.staff || event.is_some());
    let doctor = match staff {
        Some(staff) if staff.practitioner_id().is_some() => doctor(settings, staff, told),
        _ => {
            let names = told.doctor.clone().filter(|_| event.is_some());
            DoctorOut { id: visit.staff.to_string(), authority: own.clone(), names }
        }
    };
    let room = fact.desk.as_ref().and_then(|desk| desk.external.clone());
    VisitOut {
        patient: patient(settings, fact.patient.as_ref(), visit.patient, told),
        doctor,
        room: room.unwrap_or_else(|| visit.zone.to_string()),
        facility: own.clone(),
        number: visit.no.to_string(),
        id: visit.id.clone(),
        authority: own.clone(),
        started: visit.started,
        ended: event.and_then(|event| ended(event, fact, visit)),
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

fn patient(settings: &SenderSettings, party: Option<&FactParty>, otherwise: PersonId, told: &Told) -> PatientOut {
    let person = party.map_or(otherwise, |party| party.survivor.unwrap_or(party.person));
    let pseudonym = person.to_string();
    let theirs = party.map(|party| party.aliases.as_slice()).unwrap_or_default();
    let mut ids: Vec<(String, String, &'static str)> =
        theirs.iter().map(|alias| (alias.clone(), settings.authority().to_owned(), "MR")).collect();
    if ids.is_empty() {
        ids.push((pseudonym.clone(), settings.facility.namespace.clone(), "PI"));
    }
    PatientOut { ids, pseudonym, names: told.patient.clone(), birth: told.birth }
}
