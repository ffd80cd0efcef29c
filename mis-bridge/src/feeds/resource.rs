//! FHIR R4 resources as records. Pure. What is missing is left out, what cannot be read is no record; nothing in a resource
//! can make it fail.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use clinic::feeds::{
    Alias, AppointmentRecord, AppointmentState, PatientRecord, Place, PurposeRecord, Source, StaffRecord,
    WorkplaceRecord,
};
use clinic::people::Reference;
use domain::vault::{BirthDate, Contact, ContactKind, Names, PassportChange, Secret};
use domain::{PointId, Shipped, Spoken, UtcMillis, ZoneId};
use serde_json::Value;

use crate::fhir;

/// The identifier by which a Location says which of our zones it is.
pub const ZONE_SYSTEM: &str = "urn:tapward:zone";
/// The identifier by which a Location says which of our workstations stands there.
pub const POINT_SYSTEM: &str = "urn:tapward:point";
/// The system of language tags.
const LANGUAGE_SYSTEM: &str = "urn:ietf:bcp:47";
/// Longest resource id (FHIR: 64).
const ID_MAX: usize = 64;
/// Identifiers, names and roles of one resource that are looked at.
const LIST_MAX: usize = 32;

/// How resources are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Who tells.
    pub source: Source,
    /// For times without a zone.
    pub zone: Tz,
    /// What patients are called.
    pub patients: fhir::Alias,
    /// What staff are called.
    pub staff: fhir::Alias,
}

pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten().take(LIST_MAX)
}

/// The id of a resource.
pub fn id_of(resource: &Value) -> Option<&str> {
    resource["id"].as_str().filter(|id| is_id(id))
}

fn is_id(id: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    // FHIR would allow these two, but in an address they are other folders.
    !matches!(id, "" | "." | "..") && id.len() <= ID_MAX && id.chars().all(sound)
}

/// The id in a reference such as `Patient/17` or `https://…/Patient/17/_history/2`.
pub fn referred<'a>(reference: &'a Value, kind: &str) -> Option<&'a str> {
    let text = reference["reference"].as_str()?;
    let mut parts = text.split('/').skip_while(|part| *part != kind);
    parts.next()?;
    parts.next().filter(|id| is_id(id))
}

/// When the server last changed a resource.
pub fn changed(resource: &Value, zone: Tz) -> Option<UtcMillis> {
    instant(resource["meta"]["lastUpdated"].as_str()?, zone)
}

/// An instant, date and time, or day.
pub fn instant(text: &str, zone: Tz) -> Option<UtcMillis> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(UtcMillis(at.timestamp_millis()));
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok();
    let local = local.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    zone.from_local_datetime(&local).earliest().map(|at| UtcMillis(at.timestamp_millis()))
}

/// The end of a period: a day means its end.
fn end(text: &str, zone: Tz) -> Option<UtcMillis> {
    match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(day) => instant(&day.succ_opt()?.to_string(), zone),
        Err(_) => instant(text, zone),
    }
}

/// What a person is called by this source: by id, or by an identifier and by id beside it.
fn called(resource: &Value, alias: &fhir::Alias, source: &Source) -> Option<(Reference, Vec<Alias>)> {
    let id = Reference::new(id_of(resource)?)?;
    match alias {
        fhir::Alias::Id => Some((id, Vec::new())),
        fhir::Alias::Identifier(system) => {
            let own =
                items(&resource["identifier"]).find(|it| it["system"] == system.as_str() && it["use"] != "old")?;
            let value = Reference::new(own["value"].as_str()?)?;
            Some((value, vec![Alias { system: Some(ids(source)), value: id }]))
        }
    }
}

/// The system of resource ids where people are called by identifiers.
fn ids(source: &Source) -> String {
    format!("{source}.id")
}

/// How a reference calls a person.
pub fn alias_of(id: &str, alias: &fhir::Alias, source: &Source) -> Option<Alias> {
    let value = Reference::new(id)?;
    Some(match alias {
        fhir::Alias::Id => Alias::own(value),
        fhir::Alias::Identifier(_) => Alias { system: Some(ids(source)), value },
    })
}

fn passport(resource: &Value) -> Option<PassportChange> {
    let rank = |name: &Value| match name["use"].as_str() {
        Some("official") => 0,
        Some("usual") | None => 1,
        Some("old" | "maiden" | "temp") => 3,
        Some(_) => 2,
    };
    let name = items(&resource["name"]).min_by_key(|name| rank(name));
    let names = name.map(|name| {
        let mut given = items(&name["given"]).filter_map(Value::as_str);
        let first = given.next().unwrap_or_default();
        let middle = given.collect::<Vec<_>>().join(" ");
        let family = name["family"].as_str().unwrap_or_default();
        if family.is_empty() && first.is_empty() {
            Names::new(name["text"].as_str().unwrap_or_default(), "", "")
        } else {
            Names::new(family, first, &middle)
        }
    });
    let contacts: Vec<Contact> = items(&resource["telecom"])
        .filter(|it| it["use"] != "old")
        .filter_map(|it| {
            let kind = match it["system"].as_str()? {
                "phone" => ContactKind::Phone,
                "email" => ContactKind::Email,
                _ => return None,
            };
            Some(Contact { kind, value: Secret::new(it["value"].as_str()?) })
        })
        .take(domain::vault::CONTACTS_MAX)
        .collect();
    let change = PassportChange {
        names: names.filter(|names| !names.is_empty()),
        birth_date: resource["birthDate"].as_str().and_then(BirthDate::parse).map(Some),
        documents: None,
        contacts: (!contacts.is_empty()).then_some(contacts),
    };
    (!change.is_empty()).then_some(change)
}

/// The language to speak to a patient in: of those that read as one, the first that is preferred, else the first.
fn language(resource: &Value) -> Option<Spoken> {
    let code = |concept: &Value| {
        let of = |is_tag: bool| {
            let codings = items(&concept["coding"]).filter(move |it| (it["system"] == LANGUAGE_SYSTEM) == is_tag);
            codings.filter_map(|it| it["code"].as_str()).find_map(Spoken::parse)
        };
        of(true).or_else(|| of(false)).or_else(|| Spoken::parse(concept["text"].as_str()?))
    };
    let of = |is_preferred: bool| {
        let said = items(&resource["communication"]).filter(move |it| (it["preferred"] == true) == is_preferred);
        said.map(|it| &it["language"]).find_map(code)
    };
    of(true).or_else(|| of(false))
}

/// A Patient, and the one that replaced it, if it was merged.
pub fn patient(resource: &Value, reading: &Reading) -> Option<(PatientRecord, Option<String>)> {
    let (id, aliases) = called(resource, &reading.patients, &reading.source)?;
    let replaced = items(&resource["link"]).find(|link| link["type"] == "replaced-by");
    let into = replaced.and_then(|link| referred(&link["other"], "Patient")).map(str::to_owned);
    let record = PatientRecord {
        changed: changed(resource, reading.zone),
        aliases,
        passport: passport(resource),
        language: language(resource).map(Some),
        // A record that was replaced lives on in the other one: its cards do.
        active: resource["active"] != false || into.is_some(),
        ..PatientRecord::new(id)
    };
    Some((record, into))
}

/// A Practitioner with all roles of theirs.
pub fn staff(resource: &Value, roles: &[Value], now: UtcMillis, reading: &Reading) -> Option<StaffRecord> {
    let (id, aliases) = called(resource, &reading.staff, &reading.source)?;
    let zone = reading.zone;
    let (mut until, mut endless, mut working, mut latest) = (None, false, false, changed(resource, zone));
    let (mut is_nurse, mut specialty) = (false, None);
    for role in roles {
        latest = latest.max(changed(role, zone));
        let ends = role["period"]["end"].as_str().and_then(|text| end(text, zone));
        if role["active"] == false || ends.is_some_and(|ends| ends <= now) {
            until = until.max(ends);
            continue;
        }
        working = true;
        endless |= ends.is_none();
        until = until.max(ends);
        let code = |field: &str| {
            items(&role[field]).flat_map(|it| items(&it["coding"])).find_map(|coding| coding["code"].as_str())
        };
        is_nurse |= code("code") == Some("nurse");
        specialty = specialty.or_else(|| code("specialty").filter(|code| code.len() <= 64).map(str::to_owned));
    }
    let active = resource["active"] != false && (roles.is_empty() || working);
    Some(StaffRecord {
        changed: latest,
        aliases,
        passport: passport(resource),
        role: Some(if is_nurse { Shipped::Nurse } else { Shipped::Doctor }),
        practitioner: Reference::new(id_of(resource)?),
        specialty,
        until: until.filter(|_| !endless),
        active,
        ..StaffRecord::new(id)
    })
}

/// A Location.
pub fn workplace(resource: &Value, zone: Tz) -> Option<WorkplaceRecord> {
    let ours = |system: &str| {
        items(&resource["identifier"]).find(|it| it["system"] == system).and_then(|it| it["value"].as_str())
    };
    let id = id_of(resource)?;
    let name: String = resource["name"].as_str().unwrap_or(id).chars().filter(|c| !c.is_control()).take(64).collect();
    Some(WorkplaceRecord {
        id: Reference::new(id)?,
        changed: changed(resource, zone),
        name,
        zone: ours(ZONE_SYSTEM).and_then(|text| ZoneId::new(text).ok()),
        point: ours(POINT_SYSTEM).and_then(|text| PointId::new(text).ok()),
        staff: None,
        active: resource["status"] != "inactive",
    })
}

/// A HealthcareService: what visits can be for.
pub fn purpose(resource: &Value, zone: Tz) -> Option<PurposeRecord> {
    let code = items(&resource["type"]).flat_map(|it| items(&it["coding"])).find_map(|it| it["code"].as_str());
    let id = Reference::new(code.or_else(|| id_of(resource))?)?;
    let name = resource["name"].as_str().unwrap_or(id.reveal()).chars().filter(|c| !c.is_control()).take(128).collect();
    let active = resource["active"] != false;
    Some(PurposeRecord { id, changed: changed(resource, zone), name, zones: None, minutes: None, active })
}

/// An Appointment; `None` for one that is only proposed, or is of no patient.
pub fn appointment(resource: &Value, reading: &Reading) -> Option<AppointmentRecord> {
    let state = match resource["status"].as_str()? {
        "booked" => AppointmentState::Booked,
        "arrived" | "checked-in" => AppointmentState::Arrived,
        "fulfilled" => AppointmentState::Fulfilled,
        "cancelled" | "entered-in-error" => AppointmentState::Cancelled,
        "noshow" => AppointmentState::NoShow,
        _ => return None,
    };
    let actor = |kind: &'static str| {
        let came = items(&resource["participant"]).filter(|it| it["status"] != "declined");
        came.filter_map(move |it| referred(&it["actor"], kind)).next()
    };
    let starts = instant(resource["start"].as_str()?, reading.zone)?;
    let ends = resource["end"].as_str().and_then(|text| instant(text, reading.zone));
    let minutes = resource["minutesDuration"].as_i64().filter(|minutes| (1..=1440).contains(minutes));
    let purpose =
        items(&resource["serviceType"]).flat_map(|it| items(&it["coding"])).find_map(|it| it["code"].as_str());
    Some(AppointmentRecord {
        id: Reference::new(id_of(resource)?)?,
        changed: changed(resource, reading.zone),
        patient: alias_of(actor("Patient")?, &reading.patients, &reading.source)?,
        staff: actor("Practitioner").and_then(|id| alias_of(id, &reading.staff, &reading.source)),
        place: actor("Location").and_then(Reference::new).map(Place::Workplace),
        purpose: purpose.and_then(Reference::new),
        starts,
        ends: ends.or_else(|| minutes.map(|minutes| starts.plus_ms(minutes * 60_000))),
        state,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reading() -> Reading {
        let source = Source::new("mis").unwrap();
        Reading { source, zone: Tz::Europe__Kyiv, patients: fhir::Alias::Id, staff: fhir::Alias::Id }
    }

    #[test]
    fn a_patient_that_was_replaced_names_the_one_that_is_left() {
        let resource = json!({"resourceType": "Patient", "id": "p-1", "active": false, "birthDate": "1980-02",
            "meta": {"lastUpdated": "2026-01-05T06:00:11.120Z"},
            "name": [{"use": "old", "family": "X"}, {"use": "official", "family": "Y", "given": ["A", "B"]}],
            "link": [{"other": {"reference": "https://mis/fhir/Patient/p-2/_history/3"}, "type": "replaced-by"}]});
        let (record, into) = patient(&resource, &reading()).unwrap();
        assert_eq!((record.id.reveal(), into.as_deref(), record.active), ("p-1", Some("p-2"), true));
        let names = record.passport.unwrap().names.unwrap();
        assert_eq!((names.family.reveal(), names.middle.reveal()), ("Y", "B"));
        let mut by_number = reading();
        by_number.patients = fhir::Alias::Identifier("urn:mrn".to_owned());
        assert!(patient(&resource, &by_number).is_none(), "it has no such number");
    }

    #[test]
    fn a_patient_is_spoken_to_in_the_first_preferred_language_that_reads_as_one() {
        let spoken = |communication: Value| {
            let (record, _) = patient(&json!({"id": "p-1", "communication": communication}), &reading()).unwrap();
            record.language.map(|it| it.unwrap().as_str().to_owned())
        };
        let coded = |code: &str| json!({"coding": [{"system": LANGUAGE_SYSTEM, "code": code}]});
        let one = |code: &str, preferred: Value| json!({"language": coded(code), "preferred": preferred});
        assert_eq!(spoken(json!([one("uk-UA", Value::Null)])).as_deref(), Some("uk"));
        assert_eq!(spoken(json!([one("en", json!(false)), one("RUS", json!(true))])).as_deref(), Some("ru"));
        assert_eq!(spoken(json!([one("pl", json!(true)), one("ru", json!(true))])).as_deref(), Some("pl"), "both");
        assert_eq!(spoken(json!([one("und", json!(true)), one("ru", Value::Null)])).as_deref(), Some("ru"));
        // A code of the server's own stands before the tag; there is only a text.
        let two = json!({"coding": [{"system": "urn:local", "code": "en"}, {"system": LANGUAGE_SYSTEM, "code": "pl"}]});
        assert_eq!(spoken(json!([{"language": two}])).as_deref(), Some("pl"));
        assert_eq!(spoken(json!([{"language": {"coding": [{"code": "fil"}]}}])).as_deref(), Some("fil"));
        assert_eq!(spoken(json!([{"language": {"text": "uk"}}])).as_deref(), Some("uk"));
        let long = "a".repeat(10_000);
        for silent in [
            json!(null),
            json!([]),
            json!("uk"),
            json!([1, {"language": 7}]),
            json!([{"language": {"text": "Ukrainian"}}]),
            json!([{"language": coded(&long), "preferred": "yes"}]),
            json!([{"language": coded("")}]),
        ] {
            assert_eq!(spoken(silent.clone()), None, "{silent}");
        }
    }

    #[test]
    fn a_practitioner_works_as_long_as_some_role_does() {
        let now = instant("2026-06-01", Tz::UTC).unwrap();
        let who = json!({"id": "d-1", "name": [{"family": "X"}]});
        let role = |active: bool, end: Option<&str>| json!({"active": active, "period": {"end": end}});
        let told = |roles: &[Value]| {
            let record = staff(&who, roles, now, &reading()).unwrap();
            (record.active, record.until.is_some())
        };
        assert_eq!(told(&[]), (true, false));
        assert_eq!(told(&[role(true, None), role(false, None)]), (true, false));
        assert_eq!(told(&[role(true, Some("2026-12-31"))]), (true, true));
        assert_eq!(told(&[role(true, Some("2026-01-31"))]), (false, true));
        assert_eq!(told(&[role(false, None)]), (false, false));
    }

    #[test]
    fn an_appointment_knows_patient_specialist_room_and_times_with_their_zone() {
        let actor = |reference: &str| json!({"actor": {"reference": reference}, "status": "accepted"});
        let mut resource = json!({"id": "a-1", "status": "booked", "start": "2026-01-05T09:00:00", "minutesDuration": 20,
            "participant": [actor("Patient/p-1"), actor("Practitioner/d-1"), actor("Location/l-1")],
            "serviceType": [{"coding": [{"code": "xray"}]}]});
        let record = appointment(&resource, &reading()).unwrap();
        assert_eq!(record.starts.to_rfc3339(), "2026-01-05T07:00:00.000Z");
        assert_eq!(record.ends, Some(record.starts.plus_ms(20 * 60_000)));
        assert_eq!(record.place, Reference::new("l-1").map(Place::Workplace));
        for (status, state) in [("checked-in", AppointmentState::Arrived), ("noshow", AppointmentState::NoShow)] {
            resource["status"] = json!(status);
            assert_eq!(appointment(&resource, &reading()).unwrap().state, state);
        }
        resource["status"] = json!("proposed");
        assert!(appointment(&resource, &reading()).is_none());
    }

    #[test]
    fn nothing_in_a_resource_makes_it_fail() {
        let odd = [
            json!(null),
            json!([]),
            json!({"id": 7}),
            json!({"id": "../x", "name": 3}),
            json!({"id": "x", "name": [1],
            "telecom": {"a": 1}, "link": "y", "identifier": [[]], "participant": [null], "start": 3, "status": {}}),
        ];
        for resource in odd {
            let _ = (patient(&resource, &reading()), staff(&resource, &[json!(3)], UtcMillis(0), &reading()));
            let _ = (workplace(&resource, Tz::UTC), purpose(&resource, Tz::UTC), appointment(&resource, &reading()));
        }
        assert!(referred(&json!({"reference": "Patient/../../x"}), "Patient").is_none());
    }
}
