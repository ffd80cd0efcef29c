//! A fact as JSON: what webhooks send and the feed of the HTTP API answers. A stable format, documented in
//! `docs/exchange.md`: members are added, never renamed; whoever reads it leaves out what they do not know.

use serde_json::{Map, Value, json};

use super::{Fact, FactParty};

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
        put(
            members,
            "staff",
            fact.staff.as_ref().map(|staff| {
                let mut value = party(&staff.party);
                if let (Some(practitioner), Some(members)) = (staff.practitioner_id(), value.as_object_mut()) {
                    members.insert("practitioner".to_owned(), practitioner.into());
                }
                value
            }),
        );
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
