//! Invoices of what was paid at the till.

use std::collections::BTreeSet;
use std::time::Duration;

use clinic::changes::{Change, ChangeKind};
use clinic::outbox::{Fact, FactPayment, FaultCode};
use clinic::till::account::PaymentLine;
use domain::money::Currency;
use domain::till::Method;
use mis_bridge::delivery::{Deliver, Delivered};
use mis_bridge::gnuhealth::GnuHealth;
use serde_json::{Value, json};

use super::{DONE, Server, TAP, charge};

/// A charge, paid in full or not at all.
fn told(number: u32, kind: ChangeKind, is_paid: bool) -> Fact {
    let mut fact = charge(number, kind);
    let charge = fact.charge.as_mut().unwrap();
    if is_paid {
        charge.paid = charge.net;
    }
    fact
}

/// A payment of these charges, told when `paid` were paid in full.
fn payment(kind: ChangeKind, numbers: &[u32], paid: &[u32]) -> Fact {
    let of = |number: &u32| charge(*number, ChangeKind::ChargeRendered).charge.unwrap();
    let line = PaymentLine {
        id: "d0c7c1e0-0d9b-4f8e-8a57-000000000001".to_owned(),
        no: Some(1),
        kind: "paid".to_owned(),
        method: Method::Card,
        state: "done".to_owned(),
        patient: None,
        payer: None,
        currency: Currency::default(),
        amount: of(&numbers[0]).net,
        shift: None,
        reverses: None,
        source: None,
        refunds: None,
        begun: TAP,
        done: Some(TAP),
        day: None,
    };
    let payment = FactPayment {
        line,
        parts: numbers.iter().map(|number| (of(number).id, of(number).net)).collect(),
        paid: paid.iter().map(|number| of(number).id).collect::<BTreeSet<_>>(),
    };
    let base = charge(numbers[0], kind);
    Fact {
        change: Change { kind, ..base.change },
        charge: None,
        visit: None,
        staff: None,
        payment: Some(payment),
        ..base
    }
}

/// What is invoiced, by the accountant: number of the invoice's lines, and its total.
async fn invoices(server: &Server) -> Vec<(u64, String)> {
    let fields = ["lines", "total_amount", "state", "type", "create_uid.login"];
    let found = server.ask("books", "account.invoice", json!([]), &fields).await;
    let one = |invoice: &Value| {
        assert_eq!(invoice["create_uid."]["login"], "tapward", "{invoice}");
        let total = invoice["total_amount"]["decimal"].as_str().unwrap().to_owned();
        (invoice["lines"].as_array().unwrap().len() as u64, total)
    };
    found.iter().map(one).collect()
}

async fn say(bridge: &GnuHealth, fact: &Fact) {
    assert_eq!(bridge.deliver(fact).await, DONE, "{}", fact.change.kind);
}

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn what_is_paid_becomes_one_invoice_when_its_visit_has_ended_and_a_credit_note_when_it_is_taken_back() {
    use ChangeKind as K;
    let server = Server::start();
    let (one, two) = (server.invoicing(), server.invoicing());
    // Charges 1 and 9 are of one visit, 10 is of none.
    say(&one, &Fact { charge: None, ..charge(1, K::VisitStarted) }).await;
    say(&one, &told(1, K::ChargeRendered, false)).await;
    say(&one, &told(9, K::ChargeRendered, true)).await;
    say(&one, &payment(K::PaymentTaken, &[1], &[])).await;
    let mut ended = Fact { charge: None, ..charge(1, K::VisitEnded) };
    ended.visit.as_mut().unwrap().ended = Some(TAP.plus_ms(600_000));
    say(&one, &ended).await;
    assert_eq!(invoices(&server).await, [], "a part of it was paid");
    say(&one, &payment(K::PaymentTaken, &[1, 9], &[1, 9])).await;
    let first = (2, "20.10".to_owned());
    assert_eq!(
        invoices(&server).await,
        std::slice::from_ref(&first),
        "10.01 for three, which no price gives, and 10.09"
    );

    // Again, late, and from two sides: nothing more.
    let again = payment(K::PaymentTaken, &[1], &[1]);
    let (left, right) = tokio::join!(one.deliver(&again), two.deliver(&ended));
    assert_eq!((left, right), (DONE, DONE));
    say(&two, &told(1, K::ChargeRendered, true)).await;
    assert_eq!(invoices(&server).await, std::slice::from_ref(&first));

    // Without a visit nothing is waited for; paid, taken back by the bank, and paid again before it is told.
    say(&one, &told(10, K::ChargeRendered, false)).await;
    say(&one, &payment(K::PaymentReturned, &[10], &[])).await;
    assert_eq!(invoices(&server).await.len(), 1);
    let paid = payment(K::PaymentTaken, &[10], &[10]);
    let (left, right) = tokio::join!(one.deliver(&paid), two.deliver(&paid));
    for told in [left, right] {
        assert!(matches!(told, Delivered::Done | Delivered::Retry(..)), "{told:?}");
    }
    say(&one, &paid).await;
    assert_eq!(invoices(&server).await, [first.clone(), (1, "10.10".to_owned())]);

    // Taken back after the invoice: a credit note, once.
    for bridge in [&one, &two, &one] {
        say(bridge, &told(1, K::ChargeCancelled, false)).await;
    }
    let all = [first, (1, "10.10".to_owned()), (1, "-10.01".to_owned())];
    assert_eq!(invoices(&server).await, all);
    // Taken back before it: what is left is invoiced without it.
    say(&one, &told(15, K::ChargeRendered, false)).await;
    say(&one, &told(15, K::ChargeCancelled, false)).await;
    assert_eq!(invoices(&server).await, all);

    // What was made can be posted, a credit note with a number of its own.
    let drafts = server.ask("books", "account.invoice", json!([["state", "=", "draft"]]), &[]).await;
    let ids: Vec<&Value> = drafts.iter().map(|draft| &draft["id"]).collect();
    server.act("books", "model.account.invoice.post", json!([ids])).await.unwrap();
    let posted = server.ask("books", "account.invoice", json!([["state", "=", "posted"]]), &[]).await;
    assert_eq!(posted.len(), 3);
}

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn an_invoice_that_cannot_be_made_is_a_dead_letter_that_says_what_is_missing() {
    let server = Server::start();
    let bridge = server.invoicing();
    let mut other = told(5, ChangeKind::ChargeRendered, true);
    other.charge.as_mut().unwrap().currency = Currency::parse("UAH").unwrap();
    let missing = |what: &str| Delivered::dead(FaultCode::Refused, &format!("invoice {what}"));
    assert_eq!(bridge.deliver(&other).await, missing("currency"));
    // The line is there all the same, and says that it was paid.
    let lines =
        server.ask("petrenko", "gnuhealth.health_service.line", json!([]), &["tapward_paid", "service.state"]).await;
    assert_eq!(
        (lines.len(), &lines[0]["tapward_paid"], &lines[0]["service."]["state"]),
        (1, &json!(true), &json!("draft"))
    );
    assert_eq!(invoices(&server).await, []);

    // The patient's address is missing; once it is there, the same message makes the invoice.
    let of = json!([["party.ref", "=", "P-10017"]]);
    let address = server.ask("books", "party.address", of, &[]).await[0]["id"].clone();
    let set = |is_there: bool| json!([[address], { "active": is_there }]);
    server.act("books", "model.party.address.write", set(false)).await.unwrap();
    let paid = told(10, ChangeKind::ChargeRendered, true);
    for _ in 0..2 {
        assert_eq!(bridge.deliver(&paid).await, missing("address"));
    }
    server.act("books", "model.party.address.write", set(true)).await.unwrap();
    say(&bridge, &paid).await;
    assert_eq!(invoices(&server).await, [(1, "10.10".to_owned())]);
}

#[tokio::test]
#[ignore = "needs GNU Health: make test-mis"]
async fn a_server_that_is_killed_while_invoices_are_made_has_each_once() {
    const ROUNDS: u32 = 4;
    let server = Server::start();
    let (one, two) = (server.invoicing(), server.invoicing());
    let numbers = |round: u32| (0..5).map(move |place| (round * 5 + place + 1) * 5);
    for round in 0..ROUNDS {
        let facts: Vec<Fact> = numbers(round).map(|number| told(number, ChangeKind::ChargeRendered, true)).collect();
        // Somewhere in the middle of the first two or three.
        let killed = async {
            tokio::time::sleep(Duration::from_millis(100 + 150 * u64::from(round))).await;
            server.kill();
        };
        let telling = async {
            for fact in &facts {
                let _ = one.deliver(fact).await;
            }
        };
        tokio::join!(telling, killed);
        server.restart();
        for fact in &facts {
            let (left, right) = tokio::join!(one.deliver(fact), two.deliver(fact));
            for told in [left, right] {
                assert!(!matches!(told, Delivered::Dead(_)), "{told:?}");
            }
            say(&one, fact).await;
        }
    }
    let mut wanted: Vec<(u64, String)> = (0..ROUNDS)
        .flat_map(numbers)
        .map(|number| (1, format!("{}.{:02}", (1000 + number) / 100, (1000 + number) % 100)))
        .collect();
    let mut found = invoices(&server).await;
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}
