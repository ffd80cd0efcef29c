//! Charges as lines of health services, and comparing them.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use clinic::changes::ChangeKind;
use clinic::outbox::{Fact, FaultCode};
use clinic::till::reconcile::{Days, DifferenceKind, Ours, compare};
use domain::schedule::LocalDate;
use mis_bridge::delivery::{Deliver, Delivered};
use mis_bridge::gnuhealth::{Lines, Settings};
use mis_bridge::http::{self, Client};
use mis_bridge::reconcile::Charges;
use serde_json::{Value, json};

use super::{DONE, Server, TAP, charge};

/// The day of the taps.
fn days() -> Days {
    let day = LocalDate::new(2026, 11, 23).unwrap();
    Days { first: day, last: day, from: TAP, until: TAP.plus_ms(3_600_000) }
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
    for number in 1..=MANY {
        if number == MANY / 2 {
            // The server dies in the middle of the day, and comes back.
            server.kill();
            let away = one.deliver(&charge(number, ChangeKind::ChargeRendered)).await;
            assert!(matches!(away, Delivered::Away(..)), "{away:?}");
            server.restart();
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
    let read = AtomicUsize::new(0);
    let theirs = server.lines().charges(days(), &read).await.unwrap();
    assert_eq!((theirs.len(), read.into_inner()), (MANY as usize, MANY as usize), "one line for each");
    let ours: Vec<Ours> = (1..=MANY).map(ours).collect();
    let found = compare(&ours, theirs, &BTreeSet::new(), |_| String::new());
    assert_eq!(found.differences, Vec::new());
    assert_eq!((found.ours, found.theirs, found.alike), (52, 52, u64::from(MANY)));
    let visits = server.ask("petrenko", "gnuhealth.health_service", json!([["tapward_visit", "!=", null]]), &[]).await;
    assert!(visits.len() <= 8, "lines of a visit are in one service: {}", visits.len());

    // A product that is not there is a dead letter; a comparison then names what is missing.
    let mut unknown = charge(MANY + 1, ChangeKind::ChargeRendered);
    unknown.charge.as_mut().unwrap().external = Some("NONE".to_owned());
    assert_eq!(one.deliver(&unknown).await, Delivered::dead(FaultCode::NotFound, "product"));
}

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn a_line_that_somebody_wrote_there_by_hand_is_only_there() {
    let server = Server::start();
    // Each visit gets a line by itself, which nobody wrote by hand.
    let bridge = server.bridge(Some("CONSULT"));
    let rendered = charge(1, ChangeKind::ChargeRendered);
    assert_eq!(bridge.deliver(&Fact { charge: None, ..charge(1, ChangeKind::VisitStarted) }).await, DONE);
    assert_eq!(bridge.deliver(&rendered).await, DONE);
    let patient = server.ask("petrenko", "gnuhealth.patient", json!([["puid", "=", "P-10018"]]), &[]).await;
    let product = server.ask("petrenko", "product.product", json!([["code", "=", "ECG-12"]]), &[]).await;
    let date = |day| json!({ "__class__": "date", "year": 2026, "month": 11, "day": day });
    let line = |desc: &str, from: Value, to_invoice: bool| {
        json!({
        "desc": desc, "product": product[0]["id"], "qty": 1, "from_date": from, "to_invoice": to_invoice })
    };
    for (of, lines) in [
        (23, vec![line("of its service's day", Value::Null, true), line("not to be invoiced", Value::Null, false)]),
        (1, vec![line("of its own day", date(23), true), line("of another day", date(22), true)]),
        (24, vec![line("of a service of another day", Value::Null, true)]),
    ] {
        let service = json!([[{ "patient": patient[0]["id"], "desc": "by hand", "service_date": date(of),
            "service_line": [["create", lines]] }]]);
        server.act("petrenko", "model.gnuhealth.health_service.create", service).await.unwrap();
    }
    let lines = Lines::new(
        &Settings { service: Some("CONSULT".to_owned()), ..server.settings() },
        Client::new(http::Settings::default()).unwrap(),
        server.assertions(),
        "tapward",
    );
    let theirs = lines.unwrap().charges(days(), &AtomicUsize::new(0)).await.unwrap();
    let found = compare(&[ours(1)], theirs, &BTreeSet::new(), |_| String::new());
    let kinds: Vec<_> = found.differences.iter().map(|one| (one.kind, one.state.as_str())).collect();
    assert_eq!(kinds, [(DifferenceKind::OnlyThere, "draft"), (DifferenceKind::OnlyThere, "draft")], "{found:?}");
    assert_eq!((found.ours, found.theirs, found.alike), (1, 3, 1));
}
