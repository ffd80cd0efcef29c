//! A fact as JSON: what webhooks send and the feed of the HTTP API answers. A stable format, documented in
//! `docs/exchange.md`: members are added, never renamed; whoever reads it leaves out what they do not know.

use serde_json::{Map, Value, json};

use super::{Fact, FactCharge, FactParty, FactPayment, FactStaff};

/// The version of the format; it rises when something in it means something else.
pub const BODY_VERSION: u32 = 1;

/// A fact as JSON. Pseudonyms, codes, and what the system that is told calls people and places itself.
pub fn body(fact: &Fact, site: &str) -> Value {
    let change = &fact.change;
    let mut body = json!({
        "version": BODY_VERSION,
        "site": site,
        "id": change.id,
        "type": change.kind.as_str(),
        "at": change.at.to_rfc3339(),
        "happened": change.happened.to_rfc3339(),
    });
    let optional =
        [("reason", change.reason.clone()), ("detail", change.detail.clone()), ("session", change.session.clone())];
    if let Some(members) = body.as_object_mut() {
        for (name, value) in optional {
            put(members, name, value.map(Value::String));
        }
        put(members, "patient", fact.patient.as_ref().map(party));
        put(members, "merged_into", fact.merged_into.as_ref().map(party));
        put(members, "staff", fact.staff.as_ref().map(specialist));
        put(
            members,
            "workstation",
            fact.desk.as_ref().map(|desk| {
                let mut value = json!({ "point": desk.point, "name": desk.name });
                if let (Some(external), Some(members)) = (&desk.external, value.as_object_mut()) {
                    members.insert("external".to_owned(), external.clone().into());
                }
                value
            }),
        );
        put(
            members,
            "visit",
            fact.visit.as_ref().map(|visit| {
                let mut value = json!({
                    "id": visit.id,
                    "number": visit.no,
                    "zone": visit.zone.as_str(),
                    "began_by": visit.began_by,
                    "started": visit.started.to_rfc3339(),
                });
                if let Some(members) = value.as_object_mut() {
                    put(members, "ended", visit.ended.map(|ended| ended.to_rfc3339().into()));
                    put(members, "ended_why", visit.ended_why.clone().map(Value::String));
                }
                value
            }),
        );
        put(
            members,
            "appointment",
            fact.appointment.as_ref().map(|appointment| {
                json!({
                    "id": appointment.id,
                    "source": appointment.source,
                    "external": appointment.external,
                    "starts": appointment.starts.to_rfc3339(),
                    "ends": appointment.ends.to_rfc3339(),
                    "state": appointment.state,
                })
            }),
        );
        put(members, "charge", fact.charge.as_ref().map(charge));
        put(members, "payment", fact.payment.as_ref().map(payment));
    }
    body
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value);
    }
}

fn party(party: &FactParty) -> Value {
    let mut value = json!({ "person": party.person.to_string() });
    if let Some(members) = value.as_object_mut() {
        put(members, "survivor", party.survivor.map(|person| person.to_string().into()));
        if !party.aliases.is_empty() {
            members.insert("aliases".to_owned(), party.aliases.clone().into());
        }
    }
    value
}

fn specialist(staff: &FactStaff) -> Value {
    let mut value = party(&staff.party);
    if let (Some(practitioner), Some(members)) = (staff.practitioner_id(), value.as_object_mut()) {
        members.insert("practitioner".to_owned(), practitioner.into());
    }
    value
}

/// Amounts are whole minor units; `digits` says how many digits of them stand after the decimal sign.
fn charge(charge: &FactCharge) -> Value {
    let names: Map<String, Value> =
        charge.names.iter().map(|(language, name)| (language.clone(), name.clone().into())).collect();
    let mut service = json!({ "code": charge.service, "category": charge.category, "names": names });
    if let Some(members) = service.as_object_mut() {
        put(members, "external", charge.external.clone().map(Value::String));
    }
    let mut value = json!({
        "id": charge.id,
        "number": charge.no,
        "state": charge.state.as_str(),
        "mode": charge.mode.as_str(),
        "service": service,
        "quantity": charge.quantity,
        "currency": charge.currency.as_str(),
        "digits": charge.currency.digits(),
        "gross_minor": charge.gross.minor(),
        "discount_minor": charge.discount.minor(),
        "net_minor": charge.net.minor(),
        "paid_minor": charge.paid.minor(),
        "written_off_minor": charge.written_off.minor(),
        "registered": charge.registered.to_rfc3339(),
    });
    if let Some(members) = value.as_object_mut() {
        put(members, "visit", charge.visit.clone().map(Value::String));
        put(members, "out_of_card", charge.irregular.clone().map(Value::String));
        put(members, "staff", charge.staff.as_ref().map(specialist));
        let scheme = charge.scheme.as_ref();
        put(
            members,
            "scheme",
            scheme.map(|(id, version)| json!({ "id": id, "version": version, "rate": charge.rate })),
        );
        put(members, "rendered", charge.rendered.map(|at| at.to_rfc3339().into()));
        let cancelled = charge.cancelled.as_ref();
        put(members, "cancelled", cancelled.map(|(at, _)| at.to_rfc3339().into()));
        put(members, "cancelled_why", cancelled.map(|(_, why)| why.clone().into()));
    }
    value
}

fn payment(payment: &FactPayment) -> Value {
    let parts =
        |(charge, amount): &(String, domain::money::Amount)| json!({ "charge": charge, "minor": amount.minor() });
    let line = &payment.line;
    let mut value = json!({
        "id": line.id,
        "kind": line.kind,
        "method": line.method.as_str(),
        "state": line.state,
        "currency": line.currency.as_str(),
        "digits": line.currency.digits(),
        "minor": line.amount.minor(),
        "parts": payment.parts.iter().map(parts).collect::<Vec<Value>>(),
        "begun": line.begun.to_rfc3339(),
    });
    if let Some(members) = value.as_object_mut() {
        put(members, "receipt", line.no.map(Value::from));
        put(members, "payer", line.payer.clone().map(Value::String));
        put(members, "done", line.done.map(|at| at.to_rfc3339().into()));
        put(members, "reverses", line.reverses.clone().map(Value::String));
    }
    value
}
