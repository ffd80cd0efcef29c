//! Money goes back, and what did not hold.

use clinic::till::payments::{
    NewRefund, PaymentFilter, PaymentKind, PaymentState, RefundOutcome, RefundReason, ReturnReason,
};
use clinic::till::requests::{NewWriteOff, RequestFilter, RequestState, WriteOffReason};
use clinic::till::{CancelReason, NewTerms, TillError};
use domain::till::{Method, Mode, Refusal};

use crate::stage::{Stage, WHY, amount, no, patient, uah};
use crate::{account, again, by, charge, open_drawer, part, somebody, story};

fn refund(stage: &Stage, minor: i64) -> NewRefund {
    NewRefund {
        key: stage.key(),
        patient: patient(0),
        method: Method::Transfer,
        currency: uah(),
        amount: amount(minor),
        external: None,
        refunds: None,
        reason: RefundReason::Wish,
        words: WHY.to_owned(),
    }
}

async fn pay_in(stage: &Stage, minor: i64) -> clinic::till::payments::Payment {
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![], minor)).await.unwrap()
}

story!(small_money_goes_back_at_once_and_more_by_somebody_elses_permission, |stage| {
    pay_in(&stage, 20_000).await;
    let small = refund(&stage, 5_000);
    let done = stage.till.refund(&stage.cashier, small.clone()).await.unwrap();
    let RefundOutcome::Paid(payment) = &done else { panic!("{done:?}") };
    assert_eq!((payment.kind, payment.no), (PaymentKind::Refunded, Some(2)));
    assert_eq!(stage.till.refund(&stage.cashier, small).await.unwrap(), done, "repeated");
    let large = refund(&stage, 5_001);
    let asked = stage.till.refund(&stage.chief, large.clone()).await.unwrap();
    let RefundOutcome::Asked(request) = &asked else { panic!("{asked:?}") };
    assert_eq!(stage.till.refund(&stage.chief, large).await.unwrap(), asked, "repeated");
    assert_eq!(account(&stage, 0).await.deposit, amount(15_000), "nothing moved yet");
    let own = stage.till.decide_request(&stage.chief, &request.id, true, WHY).await;
    assert!(matches!(own, Err(TillError::OwnRequest)));
    let other = somebody(&stage, "f", &stage.chief).await;
    let done = stage.till.decide_request(&other, &request.id, true, WHY).await.unwrap();
    assert_eq!(done.state, RequestState::Allowed);
    assert_eq!(account(&stage, 0).await.deposit, amount(9_999));
    let repeated = stage.till.decide_request(&other, &request.id, true, WHY).await.unwrap();
    assert_eq!(repeated, done);
    let otherwise = stage.till.decide_request(&other, &request.id, false, WHY).await;
    assert!(matches!(otherwise, Err(TillError::Changed)));
    let too_much = stage.till.refund(&stage.cashier, refund(&stage, 10_000)).await;
    assert!(matches!(too_much, Err(TillError::Refused(Refusal::Deposit { .. }))), "{too_much:?}");
    let mut silent = refund(&stage, 1);
    silent.words = "no".to_owned();
    assert!(matches!(stage.till.refund(&stage.cashier, silent).await, Err(TillError::ReasonWanted)));
});

story!(a_request_that_waited_too_long_is_decided_by_what_is_there_then, |stage| {
    pay_in(&stage, 9_000).await;
    let RefundOutcome::Asked(request) = stage.till.refund(&stage.cashier, refund(&stage, 9_000)).await.unwrap() else {
        panic!("it needs permission")
    };
    let RefundOutcome::Paid(_) = stage.till.refund(&stage.cashier, refund(&stage, 1)).await.unwrap() else {
        panic!("it needs none")
    };
    let gone = stage.till.decide_request(&stage.chief, &request.id, true, WHY).await;
    assert!(matches!(gone, Err(TillError::Refused(Refusal::Deposit { .. }))));
    let refused = stage.till.decide_request(&stage.chief, &request.id, false, WHY).await.unwrap();
    assert_eq!(refused.state, RequestState::Refused);
    assert_eq!(account(&stage, 0).await.deposit, amount(8_999));
});

story!(cash_back_comes_out_of_the_askers_open_drawer_and_never_more_than_is_in_it, |stage| {
    let drawer = open_drawer(&stage.till, &stage.cashier, "open-a-drawer", "1", 100).await;
    pay_in(&stage, 9_000).await;
    let cash = |minor| NewRefund { method: Method::Cash, ..refund(&stage, minor) };
    let told = stage.till.refund(&stage.cashier, cash(101)).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(told, "invalid amount");
    stage.till.refund(&stage.cashier, cash(60)).await.unwrap();
    let without = stage.till.refund(&stage.chief, cash(10)).await;
    assert!(matches!(without, Err(TillError::NoShift)));
    let totals = stage.till.shift_totals(&stage.cashier, &drawer.id).await.unwrap();
    assert_eq!(totals.cash, amount(40));
});

story!(what_is_owed_is_written_off_by_two, |stage| {
    let one = charge(&stage, 0, "visit", 3).await;
    let ask = |minor| NewWriteOff {
        key: stage.key(),
        charge: one.id.clone(),
        amount: amount(minor),
        reason: WriteOffReason::Hardship,
        words: WHY.to_owned(),
    };
    let over = stage.till.ask_write_off(&stage.cashier, ask(3_001)).await;
    assert!(matches!(over, Err(TillError::Changed)));
    let request = stage.till.ask_write_off(&stage.cashier, ask(1_200)).await.unwrap();
    let waiting = RequestFilter { state: Some(RequestState::Asked), ..RequestFilter::default() };
    assert_eq!(stage.till.requests(&stage.chief, &waiting).await.unwrap(), std::slice::from_ref(&request));
    stage.till.decide_request(&stage.chief, &request.id, true, WHY).await.unwrap();
    assert!(stage.till.requests(&stage.chief, &waiting).await.unwrap().is_empty());
    let now = again(&stage, &one).await;
    assert_eq!((now.written_off, now.open()), (amount(1_200), amount(1_800)));
    assert_eq!(account(&stage, 0).await.owed, amount(1_800));
    let late = stage.till.ask_write_off(&stage.cashier, ask(1_000)).await.unwrap();
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![part(&one, 1_500)], 0)).await.unwrap();
    let gone = stage.till.decide_request(&stage.chief, &late.id, true, WHY).await;
    assert!(matches!(gone, Err(TillError::Changed)), "it was paid meanwhile");
});

story!(a_payment_that_did_not_hold_opens_again_what_it_paid, |stage| {
    let (one, order) = (charge(&stage, 0, "visit", 2).await, charge(&stage, 0, "home", 1).await);
    let new = stage.payment(stage.key(), 0, vec![part(&one, 1_500), part(&order, 700)], 300);
    let payment = stage.till.pay(&stage.cashier, by(Method::Card, new)).await.unwrap();
    let back = async |key: &str| {
        stage.till.return_payment(&stage.chief, key, &payment.id, ReturnReason::CardReversed, WHY).await
    };
    let done = back("take-it-back").await.unwrap();
    assert_eq!((done.kind, done.amount, done.deposit), (PaymentKind::Returned, amount(2_500), amount(300)));
    assert_eq!(done.reverses.as_deref(), Some(&*payment.id));
    assert_eq!(back("take-it-back").await.unwrap(), done, "repeated");
    assert!(matches!(back("another-key").await, Err(TillError::Changed)), "once only");
    let old = stage.till.payment(&stage.chief, &payment.id).await.unwrap();
    assert_eq!((old.state, old.no), (PaymentState::Returned, Some(1)));
    let now = account(&stage, 0).await;
    assert_eq!((now.owed, now.deposit, now.held), (amount(2_000), amount(0), amount(0)));
    assert_eq!((again(&stage, &one).await.open(), again(&stage, &order).await.open()), (amount(2_000), amount(700)));
});

story!(a_deposit_that_was_used_meanwhile_opens_again_what_it_paid_and_the_rest_is_lost, |stage| {
    let terms = NewTerms { priority: 9, ..stage.terms(Mode::Deposit, None) };
    stage.till.put_terms(&stage.chief, terms).await.unwrap();
    let payment = pay_in(&stage, 5_000).await;
    let used = charge(&stage, 0, "visit", 2).await;
    stage.till.refund(&stage.cashier, refund(&stage, 2_500)).await.unwrap();
    // 500 are left in the deposit, 2000 were used, 2500 went back.
    let done = stage
        .till
        .return_payment(&stage.chief, "it-bounced", &payment.id, ReturnReason::TransferBounced, WHY)
        .await
        .unwrap();
    assert_eq!(done.parts, [(used.id.clone(), amount(2_000))]);
    let now = account(&stage, 0).await;
    assert_eq!((now.owed, now.deposit), (amount(2_000), amount(0)));
    assert_eq!(again(&stage, &used).await.open(), amount(2_000));
    stage.is_sound().await;
    // It can be paid like any other.
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![part(&used, 2_000)], 0)).await.unwrap();
    assert_eq!(account(&stage, 0).await.owed, amount(0));
});

story!(a_paid_order_that_was_rendered_is_owed_when_its_payment_did_not_hold, |stage| {
    let order = charge(&stage, 0, "home", 1).await;
    let new = stage.payment(stage.key(), 0, vec![part(&order, 700)], 0);
    let payment = stage.till.pay(&stage.cashier, new).await.unwrap();
    stage.till.render(&stage.doctor, stage.key(), &order.id, None).await.unwrap();
    stage
        .till
        .return_payment(&stage.chief, "it-bounced", &payment.id, ReturnReason::TransferBounced, WHY)
        .await
        .unwrap();
    let now = account(&stage, 0).await;
    assert_eq!((now.owed, now.held, now.rendered), (amount(700), amount(0), amount(700)));
    stage.is_sound().await;
    // Taken back, it leaves nothing.
    stage.till.cancel(&stage.chief_doctor(), stage.key(), &order.id, CancelReason::Mistake, WHY).await.unwrap();
    let now = account(&stage, 0).await;
    assert_eq!((now.owed, now.deposit, now.rendered), (amount(0), amount(0), amount(0)));
});

story!(cash_is_taken_back_only_by_somebody_else_and_while_its_drawer_is_open, |stage| {
    let drawer = open_drawer(&stage.till, &stage.chief, "open-a-drawer", "1", 0).await;
    let new = by(Method::Cash, stage.payment(stage.key(), 0, vec![], 800));
    let payment = stage.till.pay(&stage.chief, new.clone()).await.unwrap();
    let back = async |who: &clinic::acting::Acting, key: &str, id: &str| {
        stage.till.return_payment(who, key, id, ReturnReason::Mistake, WHY).await
    };
    assert!(matches!(back(&stage.chief, "take-it-back", &payment.id).await, Err(TillError::OwnRequest)));
    let other = somebody(&stage, "f", &stage.chief).await;
    back(&other, "take-it-back", &payment.id).await.unwrap();
    assert_eq!(stage.till.shift_totals(&stage.chief, &drawer.id).await.unwrap().cash, amount(0));
    let mut new = new;
    new.key = stage.key();
    let payment = stage.till.pay(&stage.chief, new).await.unwrap();
    stage.till.close_shift(&stage.chief, crate::closing("close-a-drawer", &drawer, 800, 0)).await.unwrap();
    let late = back(&other, "take-it-back-2", &payment.id).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(late, "invalid payment");
    let kinds: Vec<_> = stage
        .till
        .payments(&stage.chief, &PaymentFilter { kind: Some(PaymentKind::Returned), ..PaymentFilter::default() })
        .await
        .unwrap();
    assert_eq!(kinds.len(), 1);
});
