//! The FHIR client against a server that lies.

use std::time::Duration;

use axum::http::Method;
use clinic::changes::{Change, ChangeKind};
use clinic::jose::{Algorithm, JwkSet, SigningKey, verify};
use clinic::outbox::{FactAppointment, FactDesk, FactParty, FactStaff, FactVisit, Fault, FaultCode};
use domain::{PointId, SiteId, ZoneId};
use mis_bridge::delivery::{Deliver, Delivered, Fact};
use mis_bridge::fhir::{Alias, ArrivalStatus, Auth, BackendKey, Fhir, Lookup, LookupBy, Settings};
use serde_json::{Value, json};

use crate::liar::{Asked, Liar, Trick};
use crate::world::{self, Hand, NOW, doctor, person, visit_id};

pub fn fact(kind: ChangeKind, visit: u64) -> Fact {
    let party =
        FactParty { person: person(visit), survivor: None, aliases: vec![format!("P-{visit}")], elsewhere: vec![] };
    let specialist = FactParty { person: doctor(), survivor: None, aliases: vec![], elsewhere: vec![] };
    let (started, ended) = (NOW.plus_ms(1234), NOW.plus_ms(600_000));
    let happened = if kind == ChangeKind::VisitStarted { started } else { ended };
    let mut change = Change::new(NOW.plus_ms(5000), happened, kind);
    change.id = visit * 10 + u64::from(kind != ChangeKind::VisitStarted);
    change.workstation = Some(PointId::new("desk-1").unwrap());
    Fact {
        destination: "mis".to_owned(),
        attempts: 0,
        visit: Some(FactVisit {
            id: visit_id(visit),
            no: visit,
            patient: person(visit),
            staff: doctor(),
            workstation: "desk-1".to_owned(),
            zone: ZoneId::new("hall").unwrap(),
            began_by: "card".to_owned(),
            started,
            ended: Some(ended),
            ended_why: Some("tap_out".to_owned()),
        }),
        patient: Some(party),
        merged_into: None,
        staff: Some(FactStaff {
            party: specialist,
            login: Some("d42".to_owned()),
            practitioner: Some("D0042".to_owned()),
            specialty: None,
        }),
        desk: Some(FactDesk {
            point: "desk-1".to_owned(),
            name: "Room 204".to_owned(),
            external: Some("L-204".to_owned()),
        }),
        appointment: None,
        charge: None,
        payment: None,
        change,
    }
}

pub fn settings(liar: &Liar) -> Settings {
    Settings::new(liar.base.clone(), SiteId::new("clinic-3").unwrap())
}

fn client(settings: Settings) -> Fhir {
    Fhir::new(settings, Hand::new().1).unwrap()
}

async fn tell(fhir: &Fhir, kind: ChangeKind) -> Delivered {
    fhir.deliver(&fact(kind, 1)).await
}

fn encounter(liar: &Liar) -> Value {
    liar.inside().latest("Encounter", &visit_id(1)).cloned().unwrap()
}

fn is_put(asked: &Asked) -> bool {
    asked.is(&Method::PUT, "Encounter/")
}

fn is_read(asked: &Asked) -> bool {
    asked.is(&Method::GET, "Encounter/")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_becomes_an_encounter_under_our_id_and_is_closed_with_its_history() {
    let liar = Liar::start().await;
    let fhir = client(settings(&liar));
    assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Done);
    let begun = encounter(&liar);
    assert_eq!(begun["status"], "in-progress");
    assert_eq!(begun["subject"]["reference"], "Patient/P-1");
    assert_eq!(begun["participant"][0]["individual"]["reference"], "Practitioner/D0042");
    assert_eq!(begun["location"][0]["location"]["reference"], "Location/L-204");
    assert_eq!(begun["period"], json!({ "start": "2026-11-22T08:00:01.234Z" }), "the tap at the reader");
    assert_eq!(tell(&fhir, ChangeKind::VisitEnded).await, Delivered::Done);
    let ended = encounter(&liar);
    assert_eq!(ended["status"], "finished");
    assert_eq!(ended["period"]["end"], "2026-11-22T08:10:00.000Z");
    assert_eq!(ended["location"][0]["status"], "completed");
    let before = json!({ "status": "in-progress", "period": ended["period"] });
    assert_eq!(ended["statusHistory"], json!([before]));
    let puts: Vec<Asked> = liar.inside().asked.iter().filter(|asked| is_put(asked)).cloned().collect();
    assert_eq!((puts[0].header("if-match"), puts[1].header("if-match")), ("", "W/\"1\""));
    for put in puts {
        assert_eq!(put.header("content-type"), "application/fhir+json");
        assert_eq!(put.header("prefer"), "return=minimal");
        assert_eq!(put.header("x-request-id").len(), 36);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn saying_a_fact_again_changes_nothing_and_a_status_never_goes_back() {
    let liar = Liar::start().await;
    let fhir = client(settings(&liar));
    for kind in [ChangeKind::VisitStarted, ChangeKind::VisitStarted, ChangeKind::VisitEnded] {
        assert_eq!(tell(&fhir, kind).await, Delivered::Done);
    }
    let ended = encounter(&liar);
    for kind in [ChangeKind::VisitEnded, ChangeKind::VisitStarted] {
        assert_eq!(tell(&fhir, kind).await, Delivered::Done);
    }
    assert_eq!(encounter(&liar), ended);
    assert_eq!(liar.inside().count(&Method::PUT, "Encounter/"), 2);
    assert_eq!(tell(&fhir, ChangeKind::VisitCancelled).await, Delivered::Done);
    assert_eq!(encounter(&liar)["status"], "entered-in-error");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_meanwhile_stays() {
    let liar = Liar::start().await;
    let fhir = client(settings(&liar));
    assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Done);
    let mut other = encounter(&liar);
    other["reasonCode"] = json!([{ "text": "cough" }]);
    other["diagnosis"] = json!([{ "condition": { "reference": "Condition/c-1" } }]);
    // Between our reading and our writing.
    liar.when(is_put, Trick::Overtaken(other));
    assert_eq!(tell(&fhir, ChangeKind::VisitEnded).await, Delivered::Done);
    let ended = encounter(&liar);
    assert_eq!(ended["status"], "finished");
    assert_eq!(ended["reasonCode"][0]["text"], "cough");
    assert_eq!(ended["diagnosis"][0]["condition"]["reference"], "Condition/c-1");
    // A server that always says so is no reason to go on for ever.
    for _ in 0..10 {
        liar.when(is_put, Trick::Answer(412, &[], ""));
    }
    assert_eq!(tell(&fhir, ChangeKind::VisitCancelled).await, Delivered::retry(FaultCode::Conflict, "Encounter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_ids_of_ours_gets_each_visit_once_by_identifier() {
    let liar = Liar::start().await;
    liar.inside().refuses_ids = true;
    let fhir = client(settings(&liar));
    // It made the resource, but we never heard of it.
    liar.when(|asked| asked.is(&Method::POST, "Encounter"), Trick::DoneThenGone);
    assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::retry(FaultCode::Broken, ""));
    assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Done);
    assert_eq!(tell(&fhir, ChangeKind::VisitEnded).await, Delivered::Done);
    let inside = liar.inside();
    let all = inside.all("Encounter");
    assert_eq!(all.len(), 1);
    assert_eq!((all[0]["status"].as_str(), all[0]["id"] == visit_id(1)), (Some("finished"), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lie_is_understood_for_what_it_is() {
    let html = &[("content-type", "text/html")];
    let cases: Vec<(Trick, Delivered)> = vec![
        (Trick::Answer(422, &[], REFUSAL), Delivered::dead(FaultCode::Refused, "422 required Encounter.subject")),
        (Trick::Answer(400, &[], "no JSON"), Delivered::dead(FaultCode::Refused, "400")),
        (Trick::Answer(410, &[], ""), Delivered::dead(FaultCode::Gone, "410")),
        (Trick::Answer(403, &[], ""), Delivered::retry(FaultCode::Forbidden, "403")),
        (Trick::Answer(404, &[], ""), Delivered::retry(FaultCode::NotFound, "404")),
        (Trick::Answer(413, &[], ""), Delivered::dead(FaultCode::TooLong, "413")),
        (Trick::Answer(500, &[], "Anna"), Delivered::retry(FaultCode::ServerFault, "500")),
        (
            Trick::Answer(429, &[("retry-after", "7")], ""),
            Delivered::Away(Fault::new(FaultCode::Overloaded, "429"), Some(Duration::from_secs(7))),
        ),
        (Trick::Answer(503, &[], ""), Delivered::away(FaultCode::Overloaded, "503")),
        (Trick::Answer(502, &[], ""), Delivered::away(FaultCode::Unreachable, "502")),
        (Trick::Answer(302, &[("location", "/login")], ""), Delivered::retry(FaultCode::BadAnswer, "302")),
        (Trick::Answer(202, &[], ""), Delivered::retry(FaultCode::BadAnswer, "202")),
        (Trick::Answer(200, html, "<html>sign in</html>"), Delivered::retry(FaultCode::BadAnswer, "media type")),
        (Trick::Gone, Delivered::retry(FaultCode::Broken, "")),
        (Trick::DoneThenGone, Delivered::retry(FaultCode::Broken, "")),
        (Trick::Late(Duration::from_secs(3)), Delivered::retry(FaultCode::Late, "")),
    ];
    for (trick, wanted) in cases {
        let liar = Liar::start().await;
        let mut settings = settings(&liar);
        settings.http.answer_within = Duration::from_millis(300);
        let fhir = client(settings);
        liar.when(is_put, trick.clone());
        assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, wanted, "{trick:?}");
        // And the next time all is well, whether or not it had been done.
        assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Done, "{trick:?}");
        assert_eq!(liar.inside().all("Encounter").len(), 1, "{trick:?}");
    }
}

const REFUSAL: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required",
    "details":{"text":"Anna Ivanova is not known"},"diagnostics":"Anna Ivanova","expression":["Encounter.subject"]}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_at_reading_never_leads_to_a_write() {
    let wrong = r#"{"resourceType":"Encounter","id":"somebody-else","status":"planned"}"#;
    let cases: Vec<(Trick, Delivered)> = vec![
        (Trick::HalfJson, Delivered::retry(FaultCode::BadAnswer, "json")),
        (
            Trick::Answer(200, &[], r#"{"resourceType":"Bundle"}"#),
            Delivered::retry(FaultCode::BadAnswer, "resourceType"),
        ),
        (Trick::Answer(200, &[], wrong), Delivered::retry(FaultCode::WrongAnswer, "Encounter")),
        (Trick::Answer(410, &[], ""), Delivered::dead(FaultCode::Gone, "410")),
        (Trick::Answer(500, &[], ""), Delivered::retry(FaultCode::ServerFault, "500")),
    ];
    for (trick, wanted) in cases {
        let liar = Liar::start().await;
        let fhir = client(settings(&liar));
        liar.when(is_read, trick.clone());
        assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, wanted, "{trick:?}");
        assert_eq!(liar.inside().count(&Method::PUT, "Encounter/"), 0, "{trick:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_holds_everything_back() {
    let liar = Liar::start().await;
    let mut settings = settings(&liar);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    settings.base = format!("http://{}/fhir", nobody.local_addr().unwrap()).parse().unwrap();
    drop(nobody);
    assert_eq!(tell(&client(settings), ChangeKind::VisitStarted).await, Delivered::away(FaultCode::Unreachable, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_patient_is_followed_to_the_record_that_is_left() {
    let liar = Liar::start().await;
    let link = |to: &str| json!([{ "type": "replaced-by", "other": { "reference": format!("{}/Patient/{to}/_history/3", liar.base) } }]);
    liar.inside().put(json!({ "resourceType": "Patient", "id": "P-1", "active": false, "link": link("P-8") }));
    liar.inside().put(json!({ "resourceType": "Patient", "id": "P-8", "active": false, "link": link("P-9") }));
    let fhir = client(settings(&liar));
    assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Done);
    assert_eq!(encounter(&liar)["subject"]["reference"], "Patient/P-9");
    // Records that are merged in a circle are nobody's.
    liar.inside().put(json!({ "resourceType": "Patient", "id": "P-9", "active": false, "link": link("P-1") }));
    let other = client(settings(&liar));
    assert_eq!(tell(&other, ChangeKind::VisitStarted).await, Delivered::dead(FaultCode::Conflict, "merges"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_without_an_alias_is_looked_for() {
    for by in [LookupBy::Search, LookupBy::Pix] {
        let liar = Liar::start().await;
        let mut settings = settings(&liar);
        settings.lookups = vec![Lookup { alias_of: "registry".to_owned(), identifier: "urn:oid:1.2.3".to_owned(), by }];
        let fhir = client(settings);
        let mut fact = fact(ChangeKind::VisitStarted, 1);
        let party = fact.patient.as_mut().unwrap();
        party.aliases.clear();
        assert_eq!(fhir.deliver(&fact).await, Delivered::retry(FaultCode::NoAlias, "patient"));
        fact.patient.as_mut().unwrap().elsewhere = vec![("registry".to_owned(), "R-77".to_owned())];
        assert_eq!(fhir.deliver(&fact).await, Delivered::retry(FaultCode::NoAlias, "patient"), "not known there yet");
        let own = json!([{ "system": "urn:oid:1.2.3", "value": "R-77" }]);
        liar.inside().put(json!({ "resourceType": "Patient", "id": "P-500", "identifier": own }));
        assert_eq!(fhir.deliver(&fact).await, Delivered::Done);
        assert_eq!(encounter(&liar)["subject"]["reference"], "Patient/P-500");
        liar.inside().put(json!({ "resourceType": "Patient", "id": "P-501", "identifier": own }));
        let other = client(Settings {
            lookups: vec![Lookup { alias_of: "registry".to_owned(), identifier: "urn:oid:1.2.3".to_owned(), by }],
            ..self::settings(&liar)
        });
        assert_eq!(
            other.deliver(&fact).await,
            Delivered::dead(FaultCode::Conflict, "several patients"),
            "never a guess"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_known_by_an_identifier_are_named_by_their_id() {
    let liar = Liar::start().await;
    let own = json!([{ "system": "urn:clinic:mrn", "value": "P-1" }]);
    liar.inside().put(json!({ "resourceType": "Patient", "id": "p-17", "identifier": own }));
    let identifier = |system: &str| Alias::Identifier(system.to_owned());
    let patients = identifier("urn:clinic:mrn");
    let fhir = client(Settings { patients, staff: identifier("urn:clinic:staff"), ..settings(&liar) });
    assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Done);
    let made = encounter(&liar);
    assert_eq!(made["subject"]["reference"], "Patient/p-17");
    assert_eq!(
        made["participant"][0]["individual"]["identifier"],
        json!({ "system": "urn:clinic:staff", "value": "D0042" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appointment_moves_on_and_never_back() {
    let liar = Liar::start().await;
    let settings =
        Settings { appointments: Some("mis".to_owned()), arrival: ArrivalStatus::CheckedIn, ..settings(&liar) };
    let fhir = client(settings);
    let with = |kind, external: &str| {
        let mut fact = fact(kind, 1);
        fact.appointment = Some(FactAppointment {
            id: "a".to_owned(),
            source: "mis".to_owned(),
            external: external.to_owned(),
            patient: person(1),
            staff: Some(doctor()),
            starts: NOW,
            ends: NOW.plus_ms(900_000),
            state: "booked".to_owned(),
            arrived: None,
        });
        fact
    };
    for (id, status) in [("a-1", "booked"), ("a-2", "cancelled")] {
        let resource = json!({ "resourceType": "Appointment", "id": id, "status": status, "comment": "fasting" });
        liar.inside().put(resource);
    }
    let status = |id: &str| liar.inside().latest("Appointment", id).unwrap()["status"].as_str().unwrap().to_owned();
    assert_eq!(fhir.deliver(&with(ChangeKind::VisitStarted, "a-1")).await, Delivered::Done);
    assert_eq!(status("a-1"), "checked-in");
    assert_eq!(fhir.deliver(&with(ChangeKind::VisitEnded, "a-1")).await, Delivered::Done);
    assert_eq!(fhir.deliver(&with(ChangeKind::VisitStarted, "a-1")).await, Delivered::Done);
    assert_eq!(status("a-1"), "fulfilled");
    assert_eq!(liar.inside().latest("Appointment", "a-1").unwrap()["comment"], "fasting");
    assert_eq!(fhir.deliver(&with(ChangeKind::VisitStarted, "a-2")).await, Delivered::Done);
    assert_eq!(status("a-2"), "cancelled");
    assert_eq!(fhir.deliver(&with(ChangeKind::VisitStarted, "a-3")).await, Delivered::Done, "not there: not ours");
    assert_eq!(encounter(&liar)["appointment"][0]["reference"], "Appointment/a-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_asked_for_with_a_signed_assertion_and_once_anew_when_refused() {
    let liar = Liar::start().await;
    liar.inside().token = Some("none given yet".to_owned());
    let der = SigningKey::draw(Algorithm::Es256).unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::Es256, &der).unwrap();
    let keys = JwkSet(vec![key.public().clone()]);
    let token_url: url::Url = format!("{}/token", liar.base).parse().unwrap();
    let auth = Auth::Backend {
        token_url: token_url.clone(),
        client_id: "tapward".to_owned(),
        scope: "system/Encounter.cru".to_owned(),
        key: BackendKey::new(key),
    };
    let fhir = client(Settings { auth, ..settings(&liar) });
    assert_eq!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Done);
    assert_eq!(liar.inside().tokens_given, 1, "kept for the next request");
    // The server forgets its tokens.
    liar.inside().token = Some("another".to_owned());
    assert_eq!(tell(&fhir, ChangeKind::VisitEnded).await, Delivered::Done);
    assert_eq!(liar.inside().tokens_given, 2);
    let asked = liar.inside().asked.iter().find(|asked| asked.path == "token").cloned().unwrap();
    let form: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(&asked.body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    assert_eq!(form["grant_type"], "client_credentials");
    let token = verify(&form["client_assertion"], &keys, &[Algorithm::Es256]).unwrap();
    assert_eq!(token.claims.text("iss"), Some("tapward"));
    assert!(token.claims.is_for(token_url.as_str()));
    assert!(token.claims.is_current(NOW.plus_ms(1000), 300_000, 5000));
    // A server that refuses every token is left alone.
    for _ in 0..2 {
        liar.when(|asked| asked.path != "token", Trick::Answer(401, &[], ""));
    }
    let refused = tell(&fhir, ChangeKind::VisitCancelled).await;
    let wanted = Fault::new(FaultCode::Unauthorised, "401");
    assert_eq!(refused, Delivered::Away(wanted, Some(Duration::from_secs(30))));
    // And one that gives none.
    liar.inside().token = Some("another".to_owned());
    liar.when(|asked| asked.path == "token", Trick::Answer(401, &[], r#"{"error":"invalid_client"}"#));
    let refused = tell(&fhir, ChangeKind::VisitCancelled).await;
    assert_eq!(refused, Delivered::away(FaultCode::Unauthorised, "token 401 invalid_client"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_token_that_is_refused_is_never_tried_in_a_row() {
    let liar = Liar::start().await;
    liar.inside().token = Some("right".to_owned());
    let auth = Auth::Bearer(zeroize::Zeroizing::new("wrong".to_owned()));
    let fhir = client(Settings { auth, ..settings(&liar) });
    assert!(matches!(tell(&fhir, ChangeKind::VisitStarted).await, Delivered::Away(..)));
    assert_eq!(liar.inside().asked.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_written_into_the_servers_audit_once() {
    let liar = Liar::start().await;
    let fhir = client(Settings { audit: true, ..settings(&liar) });
    for kind in [ChangeKind::VisitStarted, ChangeKind::VisitStarted, ChangeKind::VisitEnded] {
        assert_eq!(tell(&fhir, kind).await, Delivered::Done);
    }
    let mut login = fact(ChangeKind::SessionOpened, 2);
    (login.visit, login.patient) = (None, None);
    assert_eq!(fhir.deliver(&login).await, Delivered::Done);
    let inside = liar.inside();
    let events = inside.all("AuditEvent");
    let subtypes: std::collections::BTreeSet<&str> =
        events.iter().filter_map(|event| event["subtype"][0]["code"].as_str()).collect();
    assert_eq!(events.len(), 3);
    assert_eq!(subtypes, ["110122", "create", "update"].into());
    let text = serde_json::to_string(&events).unwrap();
    assert!(text.contains(&format!("Encounter/{}", visit_id(1))) && text.contains("Patient/P-1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_without_its_visit_is_a_dead_letter() {
    let liar = Liar::start().await;
    let mut lost = fact(ChangeKind::VisitStarted, 1);
    lost.visit = None;
    assert_eq!(client(settings(&liar)).deliver(&lost).await, Delivered::dead(FaultCode::Missing, "visit"));
    assert_eq!(liar.inside().asked.len(), 0);
    assert!(world::WITHIN > Duration::ZERO);
}
