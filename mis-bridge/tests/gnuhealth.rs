//! Visits in a real GNU Health: `make test-mis` prepares and runs it. Each test has a server and a database of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use clinic::changes::{Change, ChangeKind};
use clinic::jose::{Algorithm, JwkSet, SigningKey};
use clinic::outbox::{Fact, FactCharge, FactParty, FactStaff, FactVisit, FaultCode};
use clinic::till::reconcile::{Ours, compare};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Mode};
use domain::{PersonId, UtcMillis, ZoneId};
use mis_bridge::delivery::{Deliver, Delivered};
use mis_bridge::gnuhealth::{Assertions, GnuHealth, Lines, Settings};
use mis_bridge::http::{self, Client};
use mis_bridge::reconcile::Charges;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use url::Url;
use zeroize::Zeroizing;

const ISSUER: &str = "https://tapward.example";
/// 2026-11-23 09:02:14 UTC: beside the seeded appointment.
const TAP: UtcMillis = UtcMillis(1_795_424_534_000);

const PEOPLE: &str = r#"{
    "doctors": [
        {"ref": "D-0001", "login": "petrenko", "given": "Ivan", "family": "Petrenko", "gender": "m", "birth": "1975-03-04"},
        {"ref": "D-0002", "login": "kovalenko", "given": "Oksana", "family": "Kovalenko", "birth": "1980-03-04"}],
    "patients": [
        {"ref": "P-10017", "given": "Olena", "family": "Ivanenko", "birth": "1984-02-01"},
        {"ref": "P-10018", "given": "Maksym", "family": "Bondar", "gender": "m", "birth": "1990-05-06"}],
    "appointments": [
        {"patient": "P-10017", "doctor": "D-0001", "at": "2026-11-23T09:00:00"},
        {"patient": "P-10018", "doctor": "D-0001", "at": "2026-11-23T09:20:00"},
        {"patient": "P-10018", "doctor": "D-0001", "at": "2026-11-23T10:40:00"}],
    "products": [{"code": "ECG-12", "name": "Electrocardiogram"}],
    "readers": ["tapward"]
}"#;

/// A GNU Health of our own, ended with it.
struct Server {
    folder: TempDir,
    url: String,
    key: Arc<SigningKey>,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .unwrap();
        let key = SigningKey::from_pkcs8(Algorithm::Es256, &SigningKey::draw(Algorithm::Es256).unwrap()).unwrap();
        let keys = JwkSet(vec![key.public().clone()]).to_json();
        std::fs::write(folder.path().join("jwks.json"), keys.to_string()).unwrap();
        std::fs::write(folder.path().join("people.json"), PEOPLE).unwrap();
        let mut server = Self { folder, url: String::new(), key: Arc::new(key) };
        let jwks = server.path("jwks.json");
        server.url = server.script(&["start", &server.path(""), &jwks, ISSUER]);
        server.script(&["seed", &server.path(""), &server.path("people.json")]);
        server
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().trim_end_matches('/').to_owned()
    }

    fn script(&self, arguments: &[&str]) -> String {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/gnuhealth");
        let done = Command::new(script).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn assertion(&self, login: &str, now_s: i64, jti: &str) -> String {
        let claims =
            json!({ "iss": ISSUER, "aud": "gnuhealth", "sub": login, "iat": now_s, "exp": now_s + 30, "jti": jti });
        self.key.sign("JWT", Map::new(), &claims).unwrap()
    }

    fn assertions(&self) -> Assertions {
        let (key, _) = (Arc::clone(&self.key), ());
        Arc::new(move |login| {
            let key = Arc::clone(&key);
            Box::pin(async move {
                let now_s = seconds();
                let jti = format!("{:032x}", fastrand::u128(..));
                let claims = json!({ "iss": ISSUER, "aud": "gnuhealth", "sub": login, "iat": now_s, "exp": now_s + 30, "jti": jti });
                key.sign("JWT", Map::new(), &claims).map(Zeroizing::new).map_err(|error| error.to_string())
            })
        })
    }

    fn settings(&self) -> Settings {
        Settings {
            name: "gnuhealth".to_owned(),
            url: Url::parse(&self.url).unwrap(),
            database: "health".to_owned(),
            service: None,
            charges: true,
            language: "en".to_owned(),
        }
    }

    fn lines(&self) -> Lines {
        let http = Client::new(http::Settings::default()).unwrap();
        Lines::new(&self.settings(), http, self.assertions(), "tapward").unwrap()
    }

    fn bridge(&self, service: Option<&str>) -> GnuHealth {
        let settings = Settings { service: service.map(str::to_owned), ..self.settings() };
        GnuHealth::new(settings, Client::new(http::Settings::default()).unwrap(), self.assertions()).unwrap()
    }

    /// Asks as a doctor, with a session of the test's own.
    async fn ask(&self, login: &str, model: &str, domain: Value, fields: &[&str]) -> Vec<Value> {
        let session =
            self.sign_in(login, &self.assertion(login, seconds(), &format!("{:032x}", fastrand::u128(..)))).await;
        let session = session.unwrap();
        let params = json!([domain, 0, 50, [["id", "ASC"]], fields, {}]);
        let answer = self.rpc(&format!("model.{model}.search_read"), params, Some((login, &session))).await;
        answer["result"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    async fn sign_in(&self, login: &str, assertion: &str) -> Option<Value> {
        let answer = self.rpc("common.db.login", json!([login, { "tapward": assertion }]), None).await;
        answer.get("result").cloned()
    }

    async fn rpc(&self, method: &str, params: Value, session: Option<(&str, &Value)>) -> Value {
        use base64::Engine;
        let url = Url::parse(&format!("{}/health/", self.url)).unwrap();
        let body = json!({ "id": 1, "method": method, "params": params }).to_string();
        let mut request = http::Request::post(url, "application/json", body);
        if let Some((login, session)) = session {
            let text = format!("{login}:{}:{}", session[0], session[1].as_str().unwrap());
            let header = format!("Session {}", base64::engine::general_purpose::STANDARD.encode(text));
            request = request.authorization(&header).unwrap();
        }
        let answer = Client::new(http::Settings::default()).unwrap().send(request).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let folder = self.path("");
        self.script(&["stop", &folder]);
    }
}

#[expect(clippy::disallowed_methods, reason = "assertions are compared with the server's clock")]
fn seconds() -> i64 {
    i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn fact(kind: ChangeKind, visit: &str, patient: &str, ended: Option<UtcMillis>) -> Fact {
    let (person, doctor) = (PersonId([1; 16]), PersonId([2; 16]));
    let party = |person, alias: &str| FactParty {
        person,
        survivor: None,
        aliases: vec![alias.to_owned()],
        elsewhere: Vec::new(),
    };
    let visit = FactVisit {
        id: visit.to_owned(),
        no: 1,
        patient: person,
        staff: doctor,
        workstation: "desk-1".to_owned(),
        zone: ZoneId::new("room-1").unwrap(),
        began_by: "card".to_owned(),
        started: TAP,
        ended,
        ended_why: None,
    };
    Fact {
        destination: "gnuhealth".to_owned(),
        attempts: 0,
        change: Change { id: 1, ..Change::new(TAP, ended.unwrap_or(TAP), kind) },
        visit: Some(visit),
        patient: Some(party(person, patient)),
        merged_into: None,
        staff: Some(FactStaff {
            party: party(doctor, "D-0001"),
            login: Some("petrenko".to_owned()),
            practitioner: Some("D-0001".to_owned()),
            specialty: None,
        }),
        desk: None,
        appointment: None,
        charge: None,
        payment: None,
    }
}

const DONE: Delivered = Delivered::Done;

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

    let pid: String = std::fs::read_to_string(server.path("trytond.pid")).unwrap();
    assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    let begun = fact(ChangeKind::VisitStarted, visit, "P-10017", None);
    let away = bridge.deliver(&begun).await;
    assert!(matches!(away, Delivered::Away(..)), "{away:?}");
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    let (folder, jwks) = (server.path(""), server.path("jwks.json"));
    server.script(&["stop", &folder]);
    server.script(&["start", &folder, &jwks, ISSUER, &port]);
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

/// A charge of this number: of four visits in turn, every fifth without one.
fn charge(number: u32, kind: ChangeKind) -> Fact {
    let visit = format!("9c0c8cc4-0000-4000-9000-{:012}", number % 4);
    let id = format!("c0c7c1e0-0d9b-4f8e-8a57-{number:012}");
    let mut told =
        fact(ChangeKind::VisitStarted, &visit, if number.is_multiple_of(2) { "P-10017" } else { "P-10018" }, None);
    if number.is_multiple_of(5) {
        told.visit = None;
    }
    let net = Amount::new(1000 + i64::from(number)).unwrap();
    told.charge = Some(FactCharge {
        id: id.clone(),
        no: u64::from(number),
        patient: PersonId([1; 16]),
        visit: told.visit.as_ref().map(|visit| visit.id.clone()),
        irregular: None,
        staff: told.staff.clone(),
        workstation: None,
        service: "ecg".to_owned(),
        external: Some("ECG-12".to_owned()),
        names: vec![("en".to_owned(), "Electrocardiogram".to_owned())],
        category: "diagnostics".to_owned(),
        quantity: 3,
        currency: Currency::default(),
        gross: net,
        discount: Amount::ZERO,
        net,
        rate: 0,
        scheme: None,
        mode: Mode::Postpaid,
        state: if kind == ChangeKind::ChargeCancelled { ChargeState::Cancelled } else { ChargeState::Rendered },
        paid: Amount::ZERO,
        written_off: Amount::ZERO,
        registered: TAP,
        day: LocalDate(20_780),
        rendered: Some(TAP.plus_ms(i64::from(number) * 1000)),
        cancelled: None,
    });
    told.change = Change { kind, id: u64::from(number) + 100, detail: Some(id), ..told.change };
    told
}

fn ours(number: u32) -> Ours {
    let charge = charge(number, ChangeKind::ChargeRendered).charge.unwrap();
    Ours { charge: charge.id, currency: charge.currency, amount: charge.net, counts: !number.is_multiple_of(7) }
}

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn the_charges_of_a_day_with_faults_are_there_once_and_nothing_differs() {
    const MANY: u32 = 60;
    let server = Server::start();
    let (one, two) = (server.bridge(None), server.bridge(None));
    for visit in 0..4 {
        let begun = charge(visit, ChangeKind::VisitStarted);
        let begun = Fact { charge: None, ..begun };
        if begun.visit.is_some() {
            assert_eq!(one.deliver(&begun).await, DONE);
        }
    }
    let pid: String = std::fs::read_to_string(server.path("trytond.pid")).unwrap();
    for number in 1..=MANY {
        if number == MANY / 2 {
            // The server dies in the middle of the day, and comes back.
            assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
            let away = one.deliver(&charge(number, ChangeKind::ChargeRendered)).await;
            assert!(matches!(away, Delivered::Away(..)), "{away:?}");
            let port = server.url.rsplit(':').next().unwrap().to_owned();
            let (folder, jwks) = (server.path(""), server.path("jwks.json"));
            server.script(&["stop", &folder]);
            server.script(&["start", &folder, &jwks, ISSUER, &port]);
        }
        let mut kinds = vec![ChangeKind::ChargeRendered];
        if number.is_multiple_of(7) {
            kinds.push(ChangeKind::ChargeCancelled);
        }
        for kind in kinds {
            let told = charge(number, kind);
            // Two bridges at the same moment, as after a lease that ran out; then until it is taken.
            let (first, second) = tokio::join!(one.deliver(&told), two.deliver(&told));
            for told in [first, second] {
                assert!(matches!(told, Delivered::Done | Delivered::Retry(..) | Delivered::Away(..)), "{told:?}");
            }
            let mut ended = one.deliver(&told).await;
            for _ in 0..5 {
                if ended != DONE {
                    ended = two.deliver(&told).await;
                }
            }
            assert_eq!(ended, DONE, "{number} {kind}");
        }
        if number.is_multiple_of(9) {
            // An old repetition.
            assert_eq!(one.deliver(&charge(number, ChangeKind::ChargeRendered)).await, DONE);
        }
    }
    let read = std::sync::atomic::AtomicUsize::new(0);
    let theirs = server.lines().charges(TAP, TAP.plus_ms(3_600_000), &read).await.unwrap();
    assert_eq!((theirs.len(), read.into_inner()), (MANY as usize, MANY as usize), "one line for each");
    let ours: Vec<Ours> = (1..=MANY).map(ours).collect();
    let found = compare(&ours, theirs, &std::collections::BTreeSet::new(), |_| String::new());
    assert_eq!(found.differences, Vec::new());
    assert_eq!((found.ours, found.theirs, found.alike), (52, 52, u64::from(MANY)));
    let visits = server.ask("petrenko", "gnuhealth.health_service", json!([["tapward_visit", "!=", null]]), &[]).await;
    assert!(visits.len() <= 8, "lines of a visit are in one service: {}", visits.len());

    // A product that is not there is a dead letter; a comparison then names what is missing.
    let mut unknown = charge(MANY + 1, ChangeKind::ChargeRendered);
    unknown.charge.as_mut().unwrap().external = Some("NONE".to_owned());
    assert_eq!(one.deliver(&unknown).await, Delivered::dead(FaultCode::NotFound, "product"));
}
