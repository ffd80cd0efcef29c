//! Comparing charges with a FHIR server, and with what a system acknowledged.

use std::collections::BTreeMap;

use clinic::acting::Acting;
use clinic::changes::ChangeKind;
use clinic::outbox;
use clinic::till::reconcile::{Basis, DifferenceKind, ReconciliationState};
use clinic::till::{Rules, Till};
use domain::money::Currency;
use mis_bridge::fhir::ChargeItems;
use mis_bridge::reconcile::{Unread, once};
use serde_json::{Value, json};
use store::Database;

use crate::charge::charge_id;
use crate::fhir::settings;
use crate::liar::{Liar, Trick};
use crate::world::{self, Hand, NOW, open, person};

/// Charges 1 to 3 of 20.33 UAH, rendered now; none was told.
async fn scene(database: &Database) -> Till {
    open(database, 3).await;
    let mut settings = world::settings();
    settings.destination.wants.push(ChangeKind::ChargeRendered);
    outbox::register(database, &settings.destination, NOW).await.unwrap();
    store::transact!(database.clone(), "test.charges", |conn| {
        store::sqlx::query(
            "INSERT INTO service (code, names, category, at_home, changed_ms) VALUES ('ecg', '{}', 'diagnostics', 0, 0)",
        )
        .execute(&mut *conn)
        .await?;
        for number in 1..=3_u64 {
            store::sqlx::query(
                "INSERT INTO charge (id, no, key, asked, patient, service, price_version, quantity, currency, gross_minor,
                     discount_minor, net_minor, rate, before_minor, terms, terms_version, mode, state, paid_minor,
                     written_off_minor, actor_kind, registered_ms, day, rendered_ms, entry)
                 VALUES ($1, $2, $1, '', $3, 'ecg', 1, 1, 'UAH', 2033, 0, 2033, 0, 0, 't', 1, 'postpaid', 'rendered', 0, 0,
                     'system', $4, 0, $4, 1)",
            )
            .bind(charge_id(number))
            .bind(number.cast_signed())
            .bind(person(number).to_string())
            .bind(NOW.0)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    })
    .unwrap();
    let (_, clock) = Hand::new();
    Till::new(database.clone(), clock, chrono_tz::UTC, Rules::of(Currency::default()))
}

fn item(id: &str, value: f64) -> Value {
    json!({ "resourceType": "ChargeItem", "id": id, "status": "billable",
        "identifier": [{ "system": "urn:tapward:charge", "value": id }],
        "priceOverride": { "value": value, "currency": "UAH" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_compared_with_the_charge_items_of_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", folder.path().join("clinic.db").display())).await.unwrap();
    let till = scene(&database).await;
    let (console, today, (_, clock)) = (Acting::console(), till.today(), Hand::new());
    let liar = Liar::start().await;
    let there = || Some(ChargeItems::new(&settings(&liar), clock.clone()).unwrap());
    assert!(!once("mis", there(), &database, &clock).await.unwrap(), "nobody asked");
    liar.inside().put(item(&charge_id(1), 20.33));
    liar.inside().put(item(&charge_id(2), 20.34));
    liar.inside().put(item("5e0c7c1e-0d9b-4f8e-8a57-000000000099", 1.0));
    liar.inside().put(json!({ "resourceType": "ChargeItem", "id": "theirs", "status": "billable" }));
    let id = till.ask_reconciliation(&console, "mis", today, today).await.unwrap();
    assert!(once("mis", there(), &database, &clock).await.unwrap());
    let done = till.reconciliation(&console, &id).await.unwrap();
    assert_eq!((done.state, done.basis), (ReconciliationState::Done, Some(Basis::Records)));
    assert_eq!((done.ours, done.theirs, done.alike), (3, 3, 1));
    let lines = till.differences(&console, &id, None, 0, 10).await.unwrap();
    let kinds: BTreeMap<String, DifferenceKind> = lines.iter().map(|line| (line.charge.clone(), line.kind)).collect();
    assert_eq!(kinds[&charge_id(2)], DifferenceKind::Amount);
    assert_eq!(kinds[&charge_id(3)], DifferenceKind::MissingThere);
    assert_eq!(kinds["5e0c7c1e-0d9b-4f8e-8a57-000000000099"], DifferenceKind::MissingHere);
    assert_eq!(lines.len(), 3, "what bears no id of ours is not ours");
    let asked = liar.inside().asked.last().cloned().unwrap();
    assert!(asked.query["occurrence"].starts_with("lt2026-11-23T00:00:01"), "{:?}", asked.query);

    // A server that cannot be asked is a comparison that failed, and says why.
    liar.when(|asked| asked.path == "ChargeItem", Trick::Answer(403, &[], ""));
    let id = till.ask_reconciliation(&console, "mis", today, today).await.unwrap();
    assert!(once("mis", there(), &database, &clock).await.unwrap());
    let failed = till.reconciliation(&console, &id).await.unwrap();
    assert_eq!(failed.state, ReconciliationState::Failed);
    assert_eq!(failed.fault.unwrap().to_string(), "forbidden (403)");

    // Of one whose records cannot be read, what it acknowledged counts.
    let id = till.ask_reconciliation(&console, "mis", today, today).await.unwrap();
    assert!(once("mis", None::<Unread>, &database, &clock).await.unwrap());
    let done = till.reconciliation(&console, &id).await.unwrap();
    assert_eq!((done.basis, done.ours, done.differences), (Some(Basis::Acknowledged), 3, 3), "nothing was told");
}
