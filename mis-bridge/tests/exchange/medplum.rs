//! The FHIR client against a server that we did not write and that validates: Medplum's router. What was sent is validated
//! again by fhir.resources, a library of another make.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clinic::changes::ChangeKind;
use clinic::outbox::DeliveryState;
use domain::SiteId;
use mis_bridge::delivery::{self, Deliver, Delivered};
use mis_bridge::fhir::{Fhir, Settings};
use mis_bridge::http::{self, Client, Request};
use serde_json::{Value, json};
use store::Database;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::charge::{charge, charge_id};
use crate::fhir::fact;
use crate::world::{self, Hand, open, until, visit_id, whole_visits};

struct Medplum {
    process: Child,
    base: Url,
    client: Client,
}

impl Drop for Medplum {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Medplum {
    fn start() -> Self {
        let packages = std::env::var_os("TAPWARD_NODE").map_or_else(|| root().join("target/node"), PathBuf::from);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchange/medplum_peer.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .arg(&packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node is missing ({error}): run `make prepare`"));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port: Option<u16> = lines.next().and_then(|line| line.parse().ok());
        let port =
            port.unwrap_or_else(|| panic!("@medplum/fhir-router is not in {}: run `make prepare`", packages.display()));
        let base = format!("http://127.0.0.1:{port}/fhir").parse().unwrap();
        Self { process, base, client: Client::new(http::Settings::default()).unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        let url = self.base.join(path).unwrap();
        let answer = self.client.send(Request::get(url)).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Makes a resource that was there before us; the value is its id.
    async fn post(&self, resource: Value) -> String {
        let url = format!("{}/{}", self.base, resource["resourceType"].as_str().unwrap()).parse().unwrap();
        let request = Request::post(url, "application/fhir+json", resource.to_string());
        let answer = self.client.send(request).await.unwrap();
        let made: Value = serde_json::from_slice(&answer.body).unwrap();
        made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    async fn put(&self, resource: Value) {
        let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let url = format!("{}/{kind}/{id}", self.base).parse().unwrap();
        let request = Request::put(url, "application/fhir+json", resource.to_string());
        let answer = self.client.send(request).await.unwrap();
        assert!(answer.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    }
}

fn validate(resources: &Value) {
    let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root().join("target/venv"), PathBuf::from);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchange/validate_fhir.py");
    let mut python = Command::new(venv.join("bin/python"))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} is missing ({error}): run `make prepare`", venv.display()));
    python.stdin.take().unwrap().write_all(resources.to_string().as_bytes()).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_appointments_and_audit_are_valid_on_a_server_of_another_make() {
    let medplum = Medplum::start();
    let patient = medplum.post(json!({ "resourceType": "Patient", "name": [{ "family": "Ivanova" }] })).await;
    let old = json!({ "resourceType": "Patient", "active": false,
        "link": [{ "type": "replaced-by", "other": { "reference": format!("Patient/{patient}") } }] });
    let old = medplum.post(old).await;
    let booked = json!({ "resourceType": "Appointment", "status": "booked",
        "start": "2026-11-22T08:00:00Z", "end": "2026-11-22T08:15:00Z",
        "participant": [{ "status": "accepted", "actor": { "reference": format!("Patient/{patient}") } }] });
    let appointment = medplum.post(booked).await;
    let settings = Settings {
        audit: true,
        appointments: Some("mis".to_owned()),
        ..Settings::new(medplum.base.clone(), SiteId::new("clinic-3").unwrap())
    };
    let fhir = Fhir::new(settings, Hand::new().1).unwrap();
    let tell = |kind| {
        let mut fact = fact(kind, 1);
        fact.patient.as_mut().unwrap().aliases = vec![old.clone()];
        fact.change.reason = Some("tap_out".to_owned());
        fact.appointment = Some(clinic::outbox::FactAppointment {
            id: "a".to_owned(),
            source: "mis".to_owned(),
            external: appointment.clone(),
            patient: world::person(1),
            staff: None,
            starts: world::NOW,
            ends: world::NOW.plus_ms(900_000),
            state: "booked".to_owned(),
            arrived: None,
        });
        fact
    };
    let path = format!("/fhir/Encounter/{}", visit_id(1));
    assert_eq!(fhir.deliver(&tell(ChangeKind::VisitStarted)).await, Delivered::Done);
    let begun = medplum.get(&path).await;
    assert_eq!(begun["status"], "in-progress");
    assert_eq!(begun["subject"]["reference"], format!("Patient/{patient}"), "the record that is left");
    assert_eq!(medplum.get(&format!("/fhir/Appointment/{appointment}")).await["status"], "arrived");
    for kind in [ChangeKind::VisitEnded, ChangeKind::VisitEnded, ChangeKind::VisitStarted] {
        assert_eq!(fhir.deliver(&tell(kind)).await, Delivered::Done);
    }
    let ended = medplum.get(&path).await;
    assert_eq!(ended["status"], "finished");
    assert_eq!(ended["statusHistory"].as_array().unwrap().len(), 1);
    assert_eq!(medplum.get(&format!("/fhir/Appointment/{appointment}")).await["status"], "fulfilled");
    for kind in
        [ChangeKind::SessionOpened, ChangeKind::SessionEnded, ChangeKind::OutOfCard, ChangeKind::IrregularSignIn]
    {
        let mut other = fact(kind, 2);
        (other.visit, other.patient) = (None, None);
        other.change.id = 100 + kind as u64;
        assert_eq!(fhir.deliver(&other).await, Delivered::Done, "{kind}");
    }
    let mut cancelled = tell(ChangeKind::VisitCancelled);
    cancelled.change.id = 200;
    assert_eq!(fhir.deliver(&cancelled).await, Delivered::Done);
    assert_eq!(medplum.get(&path).await["status"], "entered-in-error");
    for (kind, status) in [(ChangeKind::ChargeRendered, "billable"), (ChangeKind::ChargeCancelled, "entered-in-error")]
    {
        let mut of_charge = charge(kind, 1);
        of_charge.patient.as_mut().unwrap().aliases = vec![old.clone()];
        for _ in 0..2 {
            assert_eq!(fhir.deliver(&of_charge).await, Delivered::Done);
        }
        let item = medplum.get(&format!("/fhir/ChargeItem/{}", charge_id(1))).await;
        assert_eq!((item["status"].as_str(), &item["priceOverride"]["value"]), (Some(status), &json!(20.33)));
    }
    let sent = medplum.get("/sent").await;
    let kinds: std::collections::BTreeSet<&str> =
        sent.as_array().unwrap().iter().filter_map(|it| it["resourceType"].as_str()).collect();
    assert_eq!(kinds, ["Appointment", "AuditEvent", "ChargeItem", "Encounter", "Patient"].into());
    validate(&sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_visits_arrives_on_a_server_of_another_make() {
    let medplum = Medplum::start();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", folder.path().join("clinic.db").display())).await.unwrap();
    open(&database, 60).await;
    for number in 1..=60 {
        medplum.put(json!({ "resourceType": "Patient", "id": format!("P-{number}") })).await;
    }
    let (_, clock) = Hand::new();
    let settings = world::settings();
    clinic::outbox::register(&database, &settings.destination, world::NOW).await.unwrap();
    whole_visits(&database, 60).await;
    let fhir = Settings::new(medplum.base.clone(), SiteId::new("clinic-3").unwrap());
    let fhir = Fhir::new(fhir, clock.clone()).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(delivery::run(settings, database.clone(), clock, fhir, stop.clone()));
    until(&database, DeliveryState::Done, 120).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let found = medplum.get("/fhir/Encounter?status=finished&_count=100").await;
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(60));
    validate(&medplum.get("/sent").await);
}
