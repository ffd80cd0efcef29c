//! Charges as ChargeItems, on a server that lies and on one of another make.

use axum::http::Method;
use clinic::changes::ChangeKind;
use clinic::outbox::{Fact, FactCharge, FaultCode};
use domain::UtcMillis;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Mode};
use mis_bridge::delivery::{Deliver, Delivered};
use mis_bridge::fhir::{Charges, Fhir, Settings};
use serde_json::{Value, json};

use crate::fhir::{fact, settings};
use crate::liar::{Asked, Liar, Trick};
use crate::world::{Hand, NOW, person, visit_id};

pub fn charge_id(number: u64) -> String {
    format!("c0c7c1e0-0d9b-4f8e-8a57-{number:012}")
}

/// A service of 10.70 less 5 %, rendered in a visit: 2 of them.
pub fn charge(kind: ChangeKind, number: u64) -> Fact {
    let mut fact = fact(ChangeKind::VisitStarted, number);
    let rendered = NOW.plus_ms(120_000);
    let amount = |minor| Amount::new(minor).unwrap();
    fact.change.kind = kind;
    fact.change.id = 1000 + number * 10 + u64::from(kind == ChangeKind::ChargeCancelled);
    fact.change.detail = Some(charge_id(number));
    fact.change.happened = rendered;
    fact.charge = Some(FactCharge {
        id: charge_id(number),
        no: number,
        patient: person(number),
        visit: Some(visit_id(number)),
        irregular: None,
        staff: fact.staff.clone(),
        workstation: Some("desk-1".to_owned()),
        service: "ecg".to_owned(),
        external: Some("ECG-12".to_owned()),
        names: vec![("en".to_owned(), "Electrocardiogram".to_owned()), ("ru".to_owned(), "ЭКГ".to_owned())],
        category: "diagnostics".to_owned(),
        quantity: 2,
        currency: Currency::parse("UAH").unwrap(),
        gross: amount(2140),
        discount: amount(107),
        net: amount(2033),
        rate: 500,
        scheme: Some(("regulars".to_owned(), 3)),
        mode: Mode::Postpaid,
        state: ChargeState::Rendered,
        paid: Amount::ZERO,
        written_off: Amount::ZERO,
        registered: rendered,
        day: LocalDate(20_779),
        rendered: Some(rendered),
        cancelled: (kind == ChangeKind::ChargeCancelled).then(|| (UtcMillis(rendered.0 + 1), "mistake".to_owned())),
    });
    fact
}

fn client(settings: Settings) -> Fhir {
    Fhir::new(settings, Hand::new().1).unwrap()
}

async fn tell(fhir: &Fhir, kind: ChangeKind) -> Delivered {
    fhir.deliver(&charge(kind, 1)).await
}

fn item(liar: &Liar) -> Option<Value> {
    liar.inside().latest("ChargeItem", &charge_id(1)).cloned()
}

fn is_put(asked: &Asked) -> bool {
    asked.is(&Method::PUT, "ChargeItem/")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendered_service_becomes_one_charge_item_and_never_was_when_it_is_taken_back() {
    let liar = Liar::start().await;
    let fhir = client(settings(&liar));
    assert_eq!(fhir.deliver(&fact(ChangeKind::VisitStarted, 1)).await, Delivered::Done);
    for _ in 0..3 {
        assert_eq!(tell(&fhir, ChangeKind::ChargeRendered).await, Delivered::Done);
    }
    let told = item(&liar).unwrap();
    assert_eq!((told["id"].as_str().unwrap(), told["status"].as_str()), (charge_id(1).as_str(), Some("billable")));
    assert_eq!(told["code"]["coding"], json!([{ "system": "urn:tapward:service", "code": "ECG-12" }]));
    assert_eq!(told["code"]["text"], "Electrocardiogram");
    assert_eq!(told["subject"]["reference"], "Patient/P-1");
    assert_eq!(told["context"]["reference"], format!("Encounter/{}", visit_id(1)));
    assert_eq!(told["priceOverride"], json!({ "value": 20.33, "currency": "UAH" }), "what is to be paid, exactly");
    assert_eq!(told["overrideReason"], "price 21.40 less discount 1.07 (5.00 %, scheme regulars version 3)");
    assert_eq!(told["quantity"]["value"], 2);
    assert_eq!(told["performer"][0]["actor"]["reference"], "Practitioner/D0042");
    assert_eq!(liar.inside().count(&Method::PUT, "ChargeItem/"), 1, "once");

    // Somebody billed it there meanwhile: what they wrote stays.
    let mut other = item(&liar).unwrap();
    other["note"] = json!([{ "text": "seen" }]);
    liar.when(is_put, Trick::Overtaken(other));
    for _ in 0..2 {
        assert_eq!(tell(&fhir, ChangeKind::ChargeCancelled).await, Delivered::Done);
    }
    let back = item(&liar).unwrap();
    assert_eq!((back["status"].as_str(), back["note"][0]["text"].as_str()), (Some("entered-in-error"), Some("seen")));
    let last = liar.inside().asked.iter().rfind(|asked| is_put(asked)).cloned().unwrap();
    assert_eq!(last.header("if-match"), "W/\"2\"");
    // An old repetition does not bring it back.
    assert_eq!(tell(&fhir, ChangeKind::ChargeRendered).await, Delivered::Done);
    assert_eq!(item(&liar).unwrap()["status"], "entered-in-error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_no_second_charge_item_also_where_ids_of_ours_are_refused() {
    for refuses_ids in [false, true] {
        let liar = Liar::start().await;
        liar.inside().refuses_ids = refuses_ids;
        let fhir = client(settings(&liar));
        let writes: fn(&Asked) -> bool = |asked| asked.method != Method::GET && asked.path.starts_with("ChargeItem");
        liar.when(writes, Trick::DoneThenGone);
        assert_eq!(tell(&fhir, ChangeKind::ChargeRendered).await, Delivered::retry(FaultCode::Broken, ""));
        assert_eq!(tell(&fhir, ChangeKind::ChargeRendered).await, Delivered::Done);
        assert_eq!(tell(&fhir, ChangeKind::ChargeCancelled).await, Delivered::Done);
        let inside = liar.inside();
        let all = inside.all("ChargeItem");
        assert_eq!(all.len(), 1);
        assert_eq!(all[0]["status"], "entered-in-error");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_without_a_visit_or_of_one_that_is_not_there_names_no_encounter_that_is_not_there() {
    let liar = Liar::start().await;
    let fhir = client(settings(&liar));
    assert_eq!(tell(&fhir, ChangeKind::ChargeRendered).await, Delivered::Done);
    let told = item(&liar).unwrap();
    assert_eq!(told["context"]["identifier"], json!({ "system": "urn:tapward:visit", "value": visit_id(1) }));
    assert_eq!(told["context"]["reference"], Value::Null);
    let mut alone = charge(ChangeKind::ChargeRendered, 2);
    alone.visit = None;
    alone.charge.as_mut().unwrap().visit = None;
    assert_eq!(fhir.deliver(&alone).await, Delivered::Done);
    let told = liar.inside().latest("ChargeItem", &charge_id(2)).cloned().unwrap();
    assert_eq!(told.get("context"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_charge_items_is_told_none_and_an_order_that_was_not_rendered_is_told_to_nobody() {
    let liar = Liar::start().await;
    let never = client(Settings { charges: Charges::Never, ..settings(&liar) });
    assert_eq!(tell(&never, ChangeKind::ChargeRendered).await, Delivered::Done);
    let statement = r#"{"resourceType":"CapabilityStatement","rest":[{"resource":[{"type":"Encounter"}]}]}"#;
    liar.when(|asked| asked.path == "metadata", Trick::Answer(200, &[], statement));
    let fhir = client(settings(&liar));
    assert_eq!(tell(&fhir, ChangeKind::ChargeRendered).await, Delivered::Done);
    assert!(item(&liar).is_none());
    let always = client(Settings { charges: Charges::Always, ..settings(&liar) });
    let mut order = charge(ChangeKind::ChargeCancelled, 1);
    order.charge.as_mut().unwrap().rendered = None;
    assert_eq!(always.deliver(&order).await, Delivered::Done);
    assert!(item(&liar).is_none());
    let missing = Fact { charge: None, ..order };
    assert_eq!(always.deliver(&missing).await, Delivered::dead(FaultCode::Missing, "charge"));
    assert_eq!(tell(&always, ChangeKind::ChargeRendered).await, Delivered::Done);
    assert!(item(&liar).is_some());
}
