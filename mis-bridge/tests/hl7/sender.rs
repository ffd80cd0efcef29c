//! Telling a system of visits.

use std::collections::BTreeSet;

use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::changes::ChangeKind;
use clinic::disclosures;
use clinic::outbox::{Fault, FaultCode};
use clinic::vault::{Blobs, KeySource, Vault};
use domain::UtcMillis;
use domain::vault::{BirthDate, Names as PersonNames, PassportChange};
use mis_bridge::delivery::{Deliver, Delivered, run};
use mis_bridge::hl7::{Names, Sender, SenderSettings, delivery_settings};
use store::Database;
use tokio_util::sync::CancellationToken;
use wire::hl7::view::{Event, Header, Patient, Visit};
use wire::hl7::{Charset, Message, Told};

use super::clinic_of::{charge, clock, database, fact, patient, payment, settle_in, visit, visit_id};
use super::liars::{Act, Got, Liar};
use super::line::settings;
use super::{PATIENCE, ZONE, answer, framed, until};

fn read(got: &Got) -> Message {
    Message::parse(&got.bytes, 1_000_000, Charset::Ascii).unwrap()
}

fn sender(settings: SenderSettings, database: &Database, vault: Option<Vault>) -> Sender {
    Sender::new(settings, database.clone(), vault, clock()).unwrap()
}

fn patient_of(liar: &Liar) -> SenderSettings {
    SenderSettings { answer_within: PATIENCE, ..settings(liar) }
}

#[tokio::test]
async fn a_visit_is_told_with_the_times_of_its_taps() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    let liar = Liar::start(|got, _| vec![Act::Say(answer("AA", &got.control))]).await;
    let sender = sender(patient_of(&liar), &database, None);
    let (started, ended) = (fact(7, ChangeKind::VisitStarted), fact(7, ChangeKind::VisitEnded));
    let cancelled = fact(7, ChangeKind::VisitCancelled);
    for fact in [&started, &ended, &cancelled, &fact(7, ChangeKind::VisitConfirmed)] {
        assert_eq!(sender.deliver(fact).await, Delivered::Done);
    }
    let got = liar.got();
    assert_eq!(got.iter().map(|got| got.event.as_str()).collect::<Vec<_>>(), ["A04", "A03", "A11"]);
    let controls: BTreeSet<_> = got.iter().map(|got| got.control.clone()).collect();
    assert_eq!(controls.len(), 3);
    assert!(controls.iter().all(|control| control.len() == 20));
    let message = read(&got[0]);
    let told = Visit::read(&message).unwrap().unwrap();
    assert_eq!(told.admitted.is().unwrap().to_utc(&ZONE), Some(started.change.happened));
    assert_eq!(told.discharged, Told::Unsaid);
    assert_eq!((told.location.unwrap().name(), told.doctor.unwrap().id.as_str()), ("ROOM204", "D0042"));
    assert_eq!((told.number.unwrap().value.as_str(), told.class.as_str()), ("7", "O"));
    assert_eq!(message.segment("PV1").unwrap().text(50), Some(visit_id(7)));
    assert_eq!(Event::read(&message).occurred.unwrap().to_utc(&ZONE), Some(started.change.happened));
    let person = Patient::read(&message).unwrap();
    assert_eq!((person.ids[0].value.as_str(), person.ids[0].kind.as_str()), ("P-7", "MR"));
    assert_eq!(person.names, Told::Unsaid, "a pseudonym is no name");
    let told = Visit::read(&read(&got[1])).unwrap().unwrap();
    assert_eq!(told.discharged.is().unwrap().to_utc(&ZONE), Some(ended.change.happened));
    assert_eq!(Header::read(&message).unwrap().processing, "P");
}

#[tokio::test]
async fn a_charge_is_told_once_by_its_id_and_taken_back_by_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    let liar = Liar::start(|got, _| vec![Act::Say(answer("AA", &got.control))]).await;
    let settings = SenderSettings { payments: true, ..patient_of(&liar) };
    let telling = sender(settings.clone(), &database, None);
    let mut order = charge(8, ChangeKind::ChargeCancelled);
    order.charge.as_mut().unwrap().rendered = None;
    let alone = {
        let mut alone = charge(9, ChangeKind::ChargeRendered);
        alone.visit = None;
        alone
    };
    let told = [
        charge(7, ChangeKind::ChargeRendered),
        charge(7, ChangeKind::ChargeCancelled),
        order,
        alone,
        payment(7, ChangeKind::PaymentTaken),
        payment(7, ChangeKind::PaymentReturned),
    ];
    for fact in &told {
        assert_eq!(telling.deliver(fact).await, Delivered::Done);
    }
    let got: Vec<Message> = liar.got().iter().map(read).collect();
    let text = |at: usize, field: usize| got[at].segment("FT1").unwrap().text(field).unwrap_or_default().to_owned();
    assert_eq!(got.len(), 5, "an order that was not rendered is nothing to others");
    let kinds: Vec<String> = (0..5).map(|at| text(at, 6)).collect();
    assert_eq!(kinds, ["CG", "CD", "CG", "PY", "PY"]);
    assert_eq!((text(0, 2), text(1, 2)), (told[0].change.detail.clone().unwrap(), text(0, 2)));
    assert_eq!((text(0, 7), text(0, 10)), ("ECG-12".to_owned(), "3".to_owned()));
    let raw: Vec<String> = liar.got().iter().map(|got| String::from_utf8_lossy(&got.bytes).into_owned()).collect();
    assert!(raw[0].contains("|10.00&EUR^TP|"), "the whole amount, and no price of one where there is none: {}", raw[0]);
    assert!(raw[4].contains("|-10.00&EUR^TP"), "{}", raw[4]);
    assert!(!raw[0].contains("^UP") && raw[0].contains("PV1|1|O|ROOM204") && !raw[2].contains("PV1"));
    // A repetition is the same message, byte for byte: receivers know it by MSH-10 and by FT1-2 with FT1-6.
    assert_eq!(telling.deliver(&told[0]).await, Delivered::Done);
    assert_eq!(liar.got()[5].bytes, liar.got()[0].bytes);
    let silent = sender(SenderSettings { charges: false, payments: false, ..settings }, &database, None);
    for fact in &told {
        assert_eq!(silent.deliver(fact).await, Delivered::Done);
    }
    assert_eq!(liar.got().len(), 6);
    database.close().await;
}

#[tokio::test]
async fn what_the_system_answers_decides_what_becomes_of_the_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    let outcome = async |answers: &'static str| {
        let liar = Liar::start(move |got, _| vec![Act::Say(framed(&answers.replace("ID", &got.control)))]).await;
        sender(settings(&liar), &database, None).deliver(&fact(1, ChangeKind::VisitStarted)).await
    };
    let refused = |detail: &str| Delivered::Dead(Fault::new(FaultCode::Refused, detail));
    assert_eq!(outcome("MSH|^~\\&|M|C|T|C|20260105||ACK|9|P|2.5.1\rMSA|AE|ID").await, refused("AE"));
    assert_eq!(
        outcome("MSH|^~\\&|M|C|T|C|20260105||ACK|9|P|2.5.1\rMSA|AR|ID\rERR|||204^Unknown Ivanova").await,
        refused("AR 204")
    );
    let busy = outcome("MSH|^~\\&|M|C|T|C|20260105||ACK|9|P|2.5.1\rMSA|AE|ID\rERR|||207").await;
    assert_eq!(busy, Delivered::Retry(Fault::new(FaultCode::ServerFault, "AE 207"), None));
    assert_eq!(outcome("nothing").await, Delivered::Away(Fault::of(FaultCode::WrongAnswer), None));

    let liar = Liar::start(|_, _| Vec::new()).await;
    let silent = sender(settings(&liar), &database, None);
    let fact = fact(1, ChangeKind::VisitStarted);
    for _ in 0..2 {
        assert_eq!(silent.deliver(&fact).await, Delivered::Away(Fault::of(FaultCode::Late), None));
    }
    let third = silent.deliver(&fact).await;
    assert_eq!(third, Delivered::Retry(Fault::of(FaultCode::Late), None), "others have their turn");
    let got = liar.got();
    assert!(got.len() == 3 && got.iter().all(|it| it.bytes == got[0].bytes), "the same message each time");
    let missing = clinic::outbox::Fact { visit: None, ..super::clinic_of::fact(2, ChangeKind::VisitStarted) };
    assert_eq!(silent.deliver(&missing).await, Delivered::Dead(Fault::new(FaultCode::Missing, "visit")));
}

#[tokio::test]
async fn names_are_told_only_where_they_are_to_be_and_each_telling_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    settle_in(&database, 2).await;
    let blobs = Blobs::folder(&folder.path().join("photographs"));
    let vault = Vault::new(database.clone(), clock(), blobs, KeySource::Own(folder.path().join("vault.key")));
    let liar =
        Liar::start(|got, before| if before == 0 { Vec::new() } else { vec![Act::Say(answer("AA", &got.control))] });
    let liar = liar.await;
    let told = SenderSettings { names: Names::Told, ..settings(&liar) };
    let telling = sender(told.clone(), &database, Some(vault.clone()));
    let first = fact(1, ChangeKind::VisitStarted);
    assert!(matches!(telling.deliver(&first).await, Delivered::Away(..)), "with the vault locked it waits");
    assert!(liar.got().is_empty());

    vault.start().await.unwrap();
    let change = PassportChange {
        names: Some(PersonNames::new("Иванова", "Анна", "")),
        birth_date: Some(BirthDate::new(1980, 2, 1)),
        ..PassportChange::default()
    };
    let registered = async || disclosures::count_since(&database, &Acting::console(), UtcMillis(0)).await.unwrap();
    vault.put(&Acting::console(), patient(1), change, Purpose::PassIssue).await.unwrap();
    assert!(matches!(telling.deliver(&first).await, Delivered::Away(..)), "no answer");
    assert_eq!(telling.deliver(&first).await, Delivered::Done);
    assert_eq!(registered().await, 1, "the same message again is the same telling");
    assert_eq!(telling.deliver(&fact(2, ChangeKind::VisitStarted)).await, Delivered::Done, "nothing is known of them");
    assert_eq!(registered().await, 1);
    let ascii = sender(SenderSettings { charset: Charset::Ascii, ..told }, &database, Some(vault));
    let lost = ascii.deliver(&first).await;
    assert_eq!(lost, Delivered::Dead(Fault::new(FaultCode::Unspeakable, "ASCII")), "no half of a name");

    let names = |got: &Got| Patient::read(&read(got)).unwrap();
    let got = liar.got();
    assert_eq!(got.len(), 3);
    assert_eq!(names(&got[1]).names.is().unwrap().full().reveal(), "Иванова Анна");
    assert_eq!(names(&got[1]).birth.is().unwrap().reveal(), (1980, 2, 1));
    assert_eq!(names(&got[2]).names, Told::Unsaid);
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_arrive_in_order_once_each_from_the_feed_of_changes() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    let liar = Liar::start(|got, _| vec![Act::Say(answer("AA", &got.control))]).await;
    settle_in(&database, 30).await;
    let mut delivery = delivery_settings(&SenderSettings::new("mis", "127.0.0.1", 1, ZONE));
    delivery.destination.begin = clinic::outbox::Begin::Everything;
    for number in 1..=30 {
        visit(&database, number, true).await;
    }
    let shutdown = CancellationToken::new();
    let sender = sender(patient_of(&liar), &database, None);
    let task = tokio::spawn(run(delivery, database.clone(), clock(), sender, shutdown.clone()));
    until("all are told", || liar.got().len() >= 60).await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
    let got = liar.got();
    assert_eq!(got.len(), 60, "once each");
    for number in 1..=30 {
        let of: Vec<&str> = got
            .iter()
            .filter(|it| Patient::read(&read(it)).unwrap().ids[0].value == format!("P-{number}"))
            .map(|it| it.event.as_str())
            .collect();
        assert_eq!(of, ["A04", "A03"]);
    }
    database.close().await;
}
