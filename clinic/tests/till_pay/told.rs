//! What other systems are told of payments.

use clinic::changes::{self, ChangeKind};
use clinic::outbox::{FactPayment, facts_of};
use clinic::till::payments::ReturnReason;

use crate::stage::{Stage, WHY, amount};
use crate::{charge, part, story};

/// Payments as they are told now, in their order.
async fn told(stage: &Stage) -> Vec<(ChangeKind, FactPayment)> {
    let all = changes::after(&stage.database, 0, 1_000).await.unwrap();
    let facts = facts_of(&stage.database, "mis", all).await.unwrap();
    facts.into_iter().filter_map(|fact| Some((fact.change.kind, fact.payment?))).collect()
}

story!(a_payment_is_told_with_the_charges_that_are_paid_in_full_now, |stage| {
    let (one, two) = (charge(&stage, 0, "visit", 2).await, charge(&stage, 0, "visit", 1).await);
    let order = charge(&stage, 0, "home", 1).await;
    let first = stage.payment(stage.key(), 0, vec![part(&one, 1_500), part(&two, 1_000), part(&order, 700)], 0);
    let first = stage.till.pay(&stage.cashier, first).await.unwrap();
    let (kind, payment) = told(&stage).await.remove(0);
    assert_eq!((kind, payment.line.no, payment.line.amount), (ChangeKind::PaymentTaken, Some(1), amount(3_200)));
    assert_eq!(payment.parts.len(), 3);
    assert_eq!(payment.paid, [two.id.clone()].into(), "one is open in part, the order is not rendered");

    // Told later, it says what is paid by then.
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![part(&one, 500)], 0)).await.unwrap();
    stage.till.render(&stage.doctor, stage.key(), &order.id, None).await.unwrap();
    let all = told(&stage).await;
    assert_eq!(all[0].1.paid, [one.id.clone(), two.id.clone(), order.id.clone()].into());
    assert_eq!(all[1].1.paid, [one.id.clone()].into());

    let why = ReturnReason::TransferBounced;
    stage.till.return_payment(&stage.chief, "it-bounced", &first.id, why, WHY).await.unwrap();
    let all = told(&stage).await;
    let (kind, back) = all.last().unwrap();
    assert_eq!((*kind, back.is_back(), back.parts.len()), (ChangeKind::PaymentReturned, true, 3));
    assert!(all.iter().all(|(_, payment)| payment.paid.is_empty()), "all of it is owed again");
});
