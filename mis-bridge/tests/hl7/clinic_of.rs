//! A clinic with visits, made by SQL: what desks would have written.

use std::collections::BTreeSet;

use clinic::changes::{Change, ChangeKind};
use clinic::outbox::{Fact, FactCharge, FactDesk, FactParty, FactPayment, FactStaff, FactVisit};
use clinic::till::account::PaymentLine;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Method, Mode};
use domain::{Clock, PersonId, PointId, UtcMillis, ZoneId};
use store::{Database, sqlx, transact};

use super::NOW;

pub const DOCTOR: PersonId = PersonId([0xdd; 16]);

pub fn patient(number: u32) -> PersonId {
    let mut bytes = [0x11; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    PersonId(bytes)
}

pub fn clock() -> Clock {
    Clock::new(|| NOW)
}

pub async fn database(folder: &std::path::Path) -> Database {
    Database::open(&format!("sqlite:{}", folder.join("clinic.db").display())).await.unwrap()
}

pub fn visit_id(number: u32) -> String {
    format!("5f0c7c1e-0d9b-4f8e-8a57-{number:012}")
}

/// A doctor at a desk, and so many patients with a number of the system `mis`.
pub async fn settle_in(database: &Database, patients: u32) {
    transact!(database, "test.settle_in", |conn| {
        for number in 0..=patients {
            let person = if number == 0 { DOCTOR } else { patient(number) };
            let known: Option<i64> = sqlx::query_scalar("SELECT created_ms FROM person WHERE id = $1")
                .bind(person.to_string())
                .fetch_optional(&mut *conn)
                .await?;
            if known.is_none() {
                sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, 0)")
                    .bind(person.to_string())
                    .execute(&mut *conn)
                    .await?;
            }
            sqlx::query("INSERT INTO person_alias (system, value, person) VALUES ('mis', $1, $2)")
                .bind(if number == 0 { "D0042".to_owned() } else { format!("P-{number}") })
                .bind(person.to_string())
                .execute(&mut *conn)
                .await?;
        }
        sqlx::query("INSERT INTO workstation (point, name, external) VALUES ('desk-204', 'Desk', 'ROOM204')")
            .execute(&mut *conn)
            .await?;
        sqlx::query(
            "INSERT INTO desk_session (id, workstation, zone, person, state, factor, opened_ms, confirmed_ms,
                 used_ms)
             VALUES ('s1', 'desk-204', 'room-204', $1, 'open', 'none', 0, 0, 0)",
        )
        .bind(DOCTOR.to_string())
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
}

/// Visit and patient of this number: it started, and if `ended`, ended a minute later.
pub async fn visit(database: &Database, number: u32, ended: bool) {
    let (id, started) = (visit_id(number), NOW.plus_ms(i64::from(number) * 1000));
    let end = ended.then(|| started.plus_ms(60_000));
    transact!(database, "test.visit", |conn| {
        sqlx::query(
            "INSERT INTO visit (id, no, patient, staff, workstation, zone, session, began_by, started_ms, ended_ms)
             VALUES ($1, $2, $3, $4, $5, 'room-204', 's1', 'card', $6, $7)",
        )
        .bind(&id)
        .bind(i64::from(number))
        .bind(patient(number).to_string())
        .bind(DOCTOR.to_string())
        // At most one open visit at a desk.
        .bind(if ended { "desk-204".to_owned() } else { format!("desk-{number}") })
        .bind(started.0)
        .bind(end.map(|at| at.0))
        .execute(&mut *conn)
        .await?;
        let mut changes = vec![("visit_started", started)];
        changes.extend(end.map(|at| ("visit_ended", at)));
        for (kind, at) in changes {
            let no: i64 =
                sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value")
                    .fetch_one(&mut *conn)
                    .await?;
            sqlx::query(
                "INSERT INTO change (id, at_ms, happened_ms, kind, workstation, session, staff, patient, visit)
                 VALUES ($1, $2, $2, $3, 'desk-204', 's1', $4, $5, $6)",
            )
            .bind(no)
            .bind(at.0)
            .bind(kind)
            .bind(DOCTOR.to_string())
            .bind(patient(number).to_string())
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    })
    .unwrap();
}

/// A fact without a database.
pub fn fact(number: u32, kind: ChangeKind) -> Fact {
    let started = NOW.plus_ms(i64::from(number) * 1000);
    let party =
        |person, alias: String| FactParty { person, survivor: None, aliases: vec![alias], elsewhere: Vec::new() };
    let happened = if kind == ChangeKind::VisitStarted { started } else { started.plus_ms(60_000) };
    Fact {
        destination: "mis".to_owned(),
        attempts: 0,
        change: Change {
            id: u64::from(number),
            workstation: Some(PointId::new("desk-204").unwrap()),
            staff: Some(DOCTOR),
            patient: Some(patient(number)),
            visit: Some(visit_id(number)),
            ..Change::new(happened.plus_ms(20), happened, kind)
        },
        visit: Some(FactVisit {
            id: visit_id(number),
            no: u64::from(number),
            patient: patient(number),
            staff: DOCTOR,
            workstation: "desk-204".to_owned(),
            zone: ZoneId::new("room-204").unwrap(),
            began_by: "card".to_owned(),
            started,
            ended: (kind != ChangeKind::VisitStarted).then(|| UtcMillis(started.0 + 60_000)),
            ended_why: None,
        }),
        patient: Some(party(patient(number), format!("P-{number}"))),
        merged_into: None,
        staff: Some(FactStaff {
            party: party(DOCTOR, "D0042".to_owned()),
            login: None,
            practitioner: None,
            specialty: None,
        }),
        desk: Some(FactDesk {
            point: "desk-204".to_owned(),
            name: "Desk".to_owned(),
            external: Some("ROOM204".to_owned()),
        }),
        appointment: None,
        charge: None,
        payment: None,
    }
}

/// A charge in the visit of this number, without a database: 3 services of together 10.00.
pub fn charge(number: u32, kind: ChangeKind) -> Fact {
    let told = fact(number, ChangeKind::VisitStarted);
    let at = told.change.happened.plus_ms(30_000);
    let id = format!("c0c7c1e0-0d9b-4f8e-8a57-{number:012}");
    let net = Amount::new(1000).unwrap();
    let charge = FactCharge {
        id: id.clone(),
        no: u64::from(number),
        patient: patient(number),
        visit: Some(visit_id(number)),
        irregular: None,
        staff: told.staff.clone(),
        workstation: Some("desk-204".to_owned()),
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
        state: ChargeState::Rendered,
        paid: Amount::ZERO,
        written_off: Amount::ZERO,
        registered: at,
        day: LocalDate(20_779),
        rendered: Some(at),
        cancelled: None,
    };
    let change = Change { kind, detail: Some(id), happened: at, id: u64::from(number) + 5000, ..told.change };
    Fact { change, charge: Some(charge), ..told }
}

/// A payment of a patient, outside of any visit.
pub fn payment(number: u32, kind: ChangeKind) -> Fact {
    let told = fact(number, ChangeKind::VisitStarted);
    let id = format!("d0c7c1e0-0d9b-4f8e-8a57-{number:012}");
    let at = told.change.happened;
    let line = PaymentLine {
        id: id.clone(),
        no: Some(u64::from(number)),
        kind: "paid".to_owned(),
        method: Method::Card,
        state: "done".to_owned(),
        patient: Some(patient(number)),
        payer: None,
        currency: Currency::default(),
        amount: Amount::new(1000).unwrap(),
        shift: None,
        begun: at,
        done: Some(at),
        day: None,
        reverses: None,
        source: None,
        refunds: None,
    };
    let payment = FactPayment { line, parts: Vec::new(), paid: BTreeSet::new() };
    let change = Change { kind, detail: Some(id), visit: None, id: u64::from(number) + 9000, ..told.change };
    Fact { change, visit: None, staff: None, desk: None, payment: Some(payment), ..told }
}
