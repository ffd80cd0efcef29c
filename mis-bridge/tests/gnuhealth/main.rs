//! Tapward with a real GNU Health: `make test-mis` prepares and runs it. Each test has a server and a database of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod charges;
mod invoices;
mod visits;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use clinic::changes::{Change, ChangeKind};
use clinic::jose::{Algorithm, JwkSet, SigningKey};
use clinic::outbox::{Fact, FactCharge, FactParty, FactStaff, FactVisit};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Mode};
use domain::{PersonId, UtcMillis, ZoneId};
use mis_bridge::delivery::Delivered;
use mis_bridge::gnuhealth::{Assertions, GnuHealth, Lines, Settings};
use mis_bridge::http::{self, Client};
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
    "readers": ["tapward"], "accountants": ["books"]
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

    /// Kills it in the middle of whatever it does.
    fn kill(&self) {
        let pid = std::fs::read_to_string(self.path("trytond.pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    }

    /// Starts it again where it was.
    fn restart(&self) {
        let port = self.url.rsplit(':').next().unwrap().to_owned();
        let (folder, jwks) = (self.path(""), self.path("jwks.json"));
        self.script(&["stop", &folder]);
        self.script(&["start", &folder, &jwks, ISSUER, &port]);
    }

    fn assertion(&self, login: &str, now_s: i64, jti: &str) -> String {
        let claims =
            json!({ "iss": ISSUER, "aud": "gnuhealth", "sub": login, "iat": now_s, "exp": now_s + 30, "jti": jti });
        self.key.sign("JWT", Map::new(), &claims).unwrap()
    }

    fn assertions(&self) -> Assertions {
        let key = Arc::clone(&self.key);
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
            invoices: None,
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

    /// One that makes invoices.
    fn invoicing(&self) -> GnuHealth {
        let settings = Settings { invoices: Some("tapward".to_owned()), ..self.settings() };
        GnuHealth::new(settings, Client::new(http::Settings::default()).unwrap(), self.assertions()).unwrap()
    }

    /// Does something as a user, with a session of the test's own; the result, or what went wrong.
    async fn act(&self, login: &str, method: &str, params: Value) -> Result<Value, Value> {
        let assertion = self.assertion(login, seconds(), &format!("{:032x}", fastrand::u128(..)));
        let session = self.sign_in(login, &assertion).await.unwrap();
        let context = self.rpc("model.res.user.get_preferences", json!([true, {}]), Some((login, &session))).await;
        let mut params = params.as_array().unwrap().clone();
        params.push(json!({ "company": context["result"]["company"] }));
        let answer = self.rpc(method, Value::Array(params), Some((login, &session))).await;
        answer.get("result").cloned().ok_or_else(|| answer["error"].clone())
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
