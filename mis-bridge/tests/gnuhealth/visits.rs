//! Visits, and the sign-in of doctors.

use clinic::changes::ChangeKind;
use clinic::jose::{Algorithm, SigningKey};
use clinic::outbox::FaultCode;
use mis_bridge::delivery::{Deliver, Delivered};
use serde_json::{Map, Value, json};

use super::{DONE, ISSUER, Server, TAP, fact, seconds};

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn a_visit_is_written_once_as_its_doctor_with_the_times_of_the_taps() {
    let server = Server::start();
    let bridge = server.bridge(Some("CONSULT"));
    let begun = fact(ChangeKind::VisitStarted, "9c0c8cc4-0000-4000-8000-000000000001", "P-10017", None);
    for _ in 0..3 {
        assert_eq!(bridge.deliver(&begun).await, DONE);
    }
    // Others at the same moment, as after a crash in between.
    let (one, two) = (server.bridge(Some("CONSULT")), server.bridge(Some("CONSULT")));
    let other = fact(ChangeKind::VisitStarted, "9c0c8cc4-0000-4000-8000-000000000002", "P-10018", None);
    let (first, second) = tokio::join!(one.deliver(&other), two.deliver(&other));
    for told in [first, second] {
        assert!(matches!(told, Delivered::Done | Delivered::Retry(..)), "{told:?}");
    }
    assert_eq!(one.deliver(&other).await, DONE);

    let fields = ["state", "checked_in_date", "write_uid.login"];
    let appointments = server.ask("petrenko", "gnuhealth.appointment", json!([]), &fields).await;
    assert_eq!(appointments[0]["state"], "checked_in");
    assert_eq!(appointments[0]["checked_in_date"]["second"], 14, "the second of the tap: {}", appointments[0]);
    assert_eq!(appointments[0]["write_uid."]["login"], "petrenko", "as the doctor");
    assert_eq!(appointments[1]["state"], "confirmed", "two fit the other patient: none is guessed");
    let fields = ["tapward_visit", "evaluation_start", "appointment", "create_uid.login", "evaluation_endtime"];
    let evaluations = server.ask("petrenko", "gnuhealth.patient.evaluation", json!([]), &fields).await;
    assert_eq!(evaluations.len(), 2, "{evaluations:?}");
    assert_eq!(
        (&evaluations[0]["appointment"], &evaluations[1]["appointment"]),
        (&appointments[0]["id"], &Value::Null)
    );
    let services = server.ask("petrenko", "gnuhealth.health_service", json!([]), &["tapward_visit", "state"]).await;
    assert_eq!(services.len(), 2, "{services:?}");
    assert_eq!(services[0]["state"], "draft");

    let ended =
        fact(ChangeKind::VisitEnded, "9c0c8cc4-0000-4000-8000-000000000001", "P-10017", Some(TAP.plus_ms(600_000)));
    assert_eq!(bridge.deliver(&ended).await, DONE);
    let later =
        fact(ChangeKind::VisitEnded, "9c0c8cc4-0000-4000-8000-000000000001", "P-10017", Some(TAP.plus_ms(900_000)));
    assert_eq!(bridge.deliver(&later).await, DONE, "an end that is there stays");
    let one = json!([["tapward_visit", "=", "9c0c8cc4-0000-4000-8000-000000000001"]]);
    let evaluation = server.ask("petrenko", "gnuhealth.patient.evaluation", one, &["evaluation_endtime"]).await;
    assert_eq!(evaluation[0]["evaluation_endtime"]["minute"], 12);

    let taken_back = fact(ChangeKind::VisitCancelled, "9c0c8cc4-0000-4000-8000-000000000001", "P-10017", None);
    assert_eq!(bridge.deliver(&taken_back).await, DONE);
    let appointments = server.ask("petrenko", "gnuhealth.appointment", json!([]), &["state", "checked_in_date"]).await;
    assert_eq!((&appointments[0]["state"], &appointments[0]["checked_in_date"]), (&json!("confirmed"), &Value::Null));
}

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn who_is_not_known_there_is_a_dead_letter_and_a_server_that_is_away_is_waited_for() {
    let server = Server::start();
    let bridge = server.bridge(None);
    let visit = "9c0c8cc4-0000-4000-8000-000000000003";
    let stranger = fact(ChangeKind::VisitStarted, visit, "P-99999", None);
    assert_eq!(bridge.deliver(&stranger).await, Delivered::dead(FaultCode::NotFound, "patient"));
    let mut nobody = fact(ChangeKind::VisitStarted, visit, "P-10017", None);
    nobody.staff.as_mut().unwrap().login = None;
    assert_eq!(bridge.deliver(&nobody).await, Delivered::dead(FaultCode::NoAlias, "staff"));
    let early = fact(ChangeKind::VisitEnded, visit, "P-10017", Some(TAP));
    assert!(matches!(bridge.deliver(&early).await, Delivered::Retry(..)));
    nobody.staff.as_mut().unwrap().login = Some("nobody".to_owned());
    for _ in 0..4 {
        let told = bridge.deliver(&nobody).await;
        assert_eq!(told, Delivered::retry(FaultCode::Unauthorised, "sign-in"));
    }
    assert!(server.ask("petrenko", "gnuhealth.patient.evaluation", json!([]), &[]).await.is_empty());

    server.kill();
    let begun = fact(ChangeKind::VisitStarted, visit, "P-10017", None);
    let away = bridge.deliver(&begun).await;
    assert!(matches!(away, Delivered::Away(..)), "{away:?}");
    server.restart();
    assert_eq!(bridge.deliver(&begun).await, DONE);
}

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn an_assertion_signs_in_its_doctor_once_and_nobody_else() {
    let server = Server::start();
    let (now, id) = (seconds(), "0123456789abcdef0123456789abcdef");
    let good = server.assertion("petrenko", now, id);
    assert_eq!(server.sign_in("kovalenko", &good).await, None, "for somebody else");
    assert!(server.sign_in("petrenko", &good).await.is_some());
    assert_eq!(server.sign_in("petrenko", &good).await, None, "a second time");
    assert_eq!(server.sign_in("petrenko", &server.assertion("petrenko", now, id)).await, None, "signed anew, same id");
    let old = server.assertion("petrenko", now - 60, "1123456789abcdef0123456789abcdef");
    assert_eq!(server.sign_in("petrenko", &old).await, None, "too old");
    let ahead = server.assertion("petrenko", now + 60, "2123456789abcdef0123456789abcdef");
    assert_eq!(server.sign_in("petrenko", &ahead).await, None, "from the future");
    let other = SigningKey::from_pkcs8(Algorithm::Es256, &SigningKey::draw(Algorithm::Es256).unwrap()).unwrap();
    let claims = json!({ "iss": ISSUER, "aud": "gnuhealth", "sub": "petrenko", "iat": now, "exp": now + 30,
        "jti": "3123456789abcdef0123456789abcdef" });
    let forged = other.known_as(server.key.kid()).sign("JWT", Map::new(), &claims).unwrap();
    assert_eq!(server.sign_in("petrenko", &forged).await, None, "another key");
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = format!("{}.{}.", clinic::jose::encode(br#"{"alg":"none","typ":"JWT"}"#), parts[1]);
    assert_eq!(server.sign_in("petrenko", &unsigned).await, None, "unsigned");
    for nonsense in ["", "a.b.c", "x"] {
        assert_eq!(server.sign_in("petrenko", nonsense).await, None);
    }
    let log = std::fs::read_to_string(server.path("trytond.log")).unwrap();
    assert!(log.contains("badge sign-in refused"), "the reason is in the log");
    assert!(!log.contains(&good) && !log.contains(id), "the assertion is not");
}
