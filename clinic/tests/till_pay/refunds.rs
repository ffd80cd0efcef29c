//! Money that goes back to a card at its terminal: set aside first, sent once, and in the deposit again when it did not go.

use std::time::Duration;

use clinic::till::TillError;
use clinic::till::payments::{
    NewRefund, Payment, PaymentFault, PaymentKind, PaymentState, RefundOutcome, RefundReason,
};
use clinic::till::requests::RequestState;
use clinic::till::terminal::{TerminalAnswer, Terminals};
use domain::till::{Method, Mode};

use crate::stage::{Stage, WHY, amount, no, patient, uah};
use crate::terminals::{Fake, Mood, at_terminal, settled, terminals};
use crate::{account, charge, somebody, story};

/// So much of a payment back to its card.
fn back(stage: &Stage, payment: &Payment, minor: i64) -> NewRefund {
    NewRefund {
        key: stage.key(),
        patient: patient(0),
        method: Method::Card,
        currency: uah(),
        amount: amount(minor),
        external: None,
        refunds: Some(payment.id.clone()),
        reason: RefundReason::Wish,
        words: WHY.to_owned(),
    }
}

/// A patient has paid in so much at the terminal.
async fn paid_in(stage: &Stage, terminals: &Terminals, minor: i64) -> Payment {
    let new = at_terminal(stage.payment(stage.key(), 0, vec![], minor));
    let begun = terminals.pay(&stage.cashier, new).await.unwrap();
    settled(stage, terminals, &begun.id).await
}

fn begun(outcome: Result<RefundOutcome, TillError>) -> Payment {
    match outcome.unwrap() {
        RefundOutcome::Paid(payment) => payment,
        RefundOutcome::Asked(request) => panic!("{request:?}"),
    }
}

/// Deposit and what is set aside.
async fn has(stage: &Stage) -> (i64, i64) {
    let account = account(stage, 0).await;
    (account.deposit.minor(), account.held.minor())
}

/// Looks after what waits until a payment is settled.
async fn looked_after(stage: &Stage, terminals: &Terminals, id: &str) -> Payment {
    tokio::time::timeout(Duration::from_secs(20), async {
        while terminals.progress(&stage.cashier, id).await.unwrap().0 == PaymentState::Waiting {
            terminals.look_after().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is settled in time");
    stage.till.payment(&stage.chief, id).await.unwrap()
}

story!(money_goes_back_to_the_card_that_paid_once_and_no_more_than_it_paid, |stage| {
    let fake = Fake::new(Mood::Good);
    let terminals = terminals(&stage, &fake);
    let payment = paid_in(&stage, &terminals, 3_000).await;
    let new = back(&stage, &payment, 2_000);
    let sent = begun(terminals.refund(&stage.cashier, new.clone()).await);
    let done = settled(&stage, &terminals, &sent.id).await;
    assert_eq!((done.kind, done.state, done.no), (PaymentKind::Refunded, PaymentState::Done, Some(2)));
    assert_eq!((done.refunds.as_deref(), done.source.as_deref()), (Some(&*payment.id), Some("desk-1")));
    assert_eq!(done.external.as_deref(), Some(&*format!("slip-{}", &sent.id[..8])));
    let again = begun(terminals.refund(&stage.cashier, new.clone()).await);
    assert_eq!((again.id, fake.taken(), has(&stage).await), (sent.id, 1_000, (1_000, 0)), "pressed twice");
    let other = NewRefund { amount: amount(1), ..new };
    assert!(matches!(terminals.refund(&stage.cashier, other).await, Err(TillError::KeyReused)));
    // Other money in the deposit does not go to this card.
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![], 5_000)).await.unwrap();
    let more = terminals.refund(&stage.cashier, back(&stage, &payment, 1_001)).await;
    assert!(matches!(more, Err(TillError::Changed)));
    let rest = begun(terminals.refund(&stage.cashier, back(&stage, &payment, 1_000)).await);
    settled(&stage, &terminals, &rest.id).await;
    assert_eq!((fake.taken(), has(&stage).await), (0, (5_000, 0)));
});

story!(only_what_a_patient_paid_at_a_terminal_goes_back_there_and_only_to_them, |stage| {
    let fake = Fake::new(Mood::Good);
    let terminals = terminals(&stage, &fake);
    let payment = paid_in(&stage, &terminals, 3_000).await;
    let transfer = stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![], 3_000)).await.unwrap();
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 1, vec![], 3_000)).await.unwrap();
    let good = back(&stage, &payment, 100);
    let bad = [
        ("not_theirs", NewRefund { patient: patient(1), key: stage.key(), ..good.clone() }),
        ("invalid refunds", back(&stage, &transfer, 100)),
        ("over", NewRefund { refunds: Some("nothing".to_owned()), ..good.clone() }),
        ("invalid method", NewRefund { method: Method::Transfer, ..good.clone() }),
        ("invalid method", NewRefund { external: Some("slip-1".to_owned()), ..good.clone() }),
        ("invalid amount", NewRefund { amount: amount(0), ..good.clone() }),
        ("invalid amount", NewRefund { amount: amount(-100), ..good.clone() }),
        ("changed", back(&stage, &payment, 3_001)),
    ];
    for (expected, new) in bad {
        let told = terminals.refund(&stage.cashier, new).await.map_err(|error| no(&error)).unwrap_err();
        assert_eq!(told, expected);
    }
    let told = stage.till.refund(&stage.cashier, good.clone()).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(told, "invalid refunds", "without terminals nobody would be asked");
    let gone = Terminals::new(stage.till.clone(), Vec::new());
    let told = gone.refund(&stage.cashier, good.clone()).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(told, "invalid refunds", "the terminal is not there any more");
    // What the bank took back has nothing that could go back.
    let reason = clinic::till::payments::ReturnReason::CardReversed;
    stage.till.return_payment(&stage.chief, "bank-reversed", &payment.id, reason, WHY).await.unwrap();
    assert!(matches!(terminals.refund(&stage.cashier, good).await, Err(TillError::Changed)));
    assert_eq!((fake.taken(), has(&stage).await), (3_000, (3_000, 0)));
});

story!(what_is_on_its_way_back_cannot_be_used_and_is_in_the_deposit_again_when_it_did_not_go, |stage| {
    let terms = clinic::till::NewTerms { priority: 3, ..stage.terms(Mode::Deposit, None) };
    stage.till.put_terms(&stage.chief, terms).await.unwrap();
    let fake = Fake::new(Mood::Good);
    let terminals = terminals(&stage, &fake);
    let payment = paid_in(&stage, &terminals, 3_000).await;
    fake.feel(Mood::Slow);
    let sent = begun(terminals.refund(&stage.cashier, back(&stage, &payment, 2_500)).await);
    assert_eq!((sent.state, sent.no, has(&stage).await), (PaymentState::Waiting, None, (500, 2_500)));
    stage.is_sound().await;
    let refused = stage.till.register(&stage.doctor, stage.charge(stage.key(), 0, "visit", 1)).await;
    assert_eq!(no(&refused.unwrap_err()), "deposit left=500 missing=500");
    let twice = terminals.refund(&stage.cashier, back(&stage, &payment, 600)).await;
    assert!(matches!(twice, Err(TillError::Changed)), "of 3000 only 500 are left");
    let hindered = stage.till.close_day(&stage.chief, stage.today()).await.map_err(|error| no(&error));
    assert_eq!(hindered.unwrap_err(), "invalid day");
    let ended = terminals.cancel(&stage.cashier, &sent.id).await.unwrap();
    assert_eq!((ended.state, ended.fault, ended.no), (PaymentState::Failed, Some(PaymentFault::Cancelled), None));
    assert_eq!((has(&stage).await, fake.taken()), ((3_000, 0), 3_000));
    charge(&stage, 0, "visit", 1).await;
    fake.feel(Mood::Declines);
    let declined = begun(terminals.refund(&stage.cashier, back(&stage, &payment, 2_000)).await);
    let declined = settled(&stage, &terminals, &declined.id).await;
    assert_eq!((declined.state, declined.fault), (PaymentState::Failed, Some(PaymentFault::Declined)));
    assert_eq!(has(&stage).await, (2_000, 0));
    fake.feel(Mood::Good);
    let done = begun(terminals.refund(&stage.cashier, back(&stage, &payment, 2_000)).await);
    assert_eq!(settled(&stage, &terminals, &done.id).await.no, Some(2), "receipts have no gap");
    assert_eq!((has(&stage).await, fake.taken()), ((0, 0), 1_000));
});

story!(an_answer_about_money_back_that_was_lost_is_asked_for_after_a_restart, |stage| {
    let fake = Fake::new(Mood::Good);
    let first = terminals(&stage, &fake);
    let payment = paid_in(&stage, &first, 3_000).await;
    fake.feel(Mood::Mute);
    let sent = begun(first.refund(&stage.cashier, back(&stage, &payment, 1_200)).await);
    while fake.taken() == 3_000 {
        tokio::task::yield_now().await;
    }
    drop(first);
    fake.feel(Mood::Good);
    let after: Vec<Terminals> = (0..3).map(|_| terminals(&stage, &fake)).collect();
    for terminals in &after {
        terminals.look_after().await.unwrap();
    }
    let done = settled(&stage, &after[0], &sent.id).await;
    assert_eq!((done.state, done.no), (PaymentState::Done, Some(2)));
    for terminals in &after {
        terminals.look_after().await.unwrap();
    }
    assert_eq!((fake.taken(), has(&stage).await), (1_800, (1_800, 0)));
});

story!(money_back_that_never_reached_the_terminal_stays_with_the_clinic_for_good, |stage| {
    let fake = Fake::new(Mood::Good);
    let first = terminals(&stage, &fake);
    let payment = paid_in(&stage, &first, 3_000).await;
    fake.feel(Mood::Dead);
    let sent = begun(first.refund(&stage.cashier, back(&stage, &payment, 1_200)).await);
    assert!(matches!(first.cancel(&stage.cashier, &sent.id).await, Err(TillError::Busy)), "nothing is known");
    assert_eq!(has(&stage).await, (1_800, 1_200));
    fake.was_asked_in_vain().await;
    drop(first);
    fake.feel(Mood::Good);
    let after = terminals(&stage, &fake);
    let ended = looked_after(&stage, &after, &sent.id).await;
    assert_eq!((ended.state, ended.fault), (PaymentState::Failed, Some(PaymentFault::NotAsked)));
    // What was still on its way comes now and is refused there.
    assert_eq!(fake.known.lock().unwrap().get(&sent.id), Some(&TerminalAnswer::Failed(PaymentFault::Cancelled)));
    assert_eq!((fake.taken(), has(&stage).await), (3_000, (3_000, 0)));
});

story!(beyond_what_one_gives_back_alone_somebody_else_allows_it_and_then_it_is_sent, |stage| {
    let fake = Fake::new(Mood::Good);
    let terminals = terminals(&stage, &fake);
    let payment = paid_in(&stage, &terminals, 9_000).await;
    let RefundOutcome::Asked(request) = terminals.refund(&stage.cashier, back(&stage, &payment, 8_000)).await.unwrap()
    else {
        panic!("more than 5000 is asked for");
    };
    assert_eq!((request.refunds.as_deref(), fake.taken()), (Some(&*payment.id), 9_000));
    let id = request.id.as_str();
    let told = stage.till.decide_request(&stage.chief, id, true, WHY).await.map_err(|error| no(&error));
    assert_eq!(told.unwrap_err(), "invalid refunds", "nobody would ask the terminal");
    let own = somebody(&stage, "f", &stage.chief).await;
    let allowed = terminals.decide_request(&own, id, true, WHY).await.unwrap();
    assert_eq!(allowed.state, RequestState::Allowed);
    let sent = allowed.payment.clone().unwrap();
    let done = settled(&stage, &terminals, &sent).await;
    assert_eq!((done.state, done.actor_kind.as_str()), (PaymentState::Done, "account"));
    assert_eq!(done.actor.as_deref(), stage.cashier.account(), "whoever asked gives it back");
    assert_eq!(terminals.decide_request(&own, id, true, WHY).await.unwrap(), allowed, "pressed twice");
    assert_eq!((fake.taken(), has(&stage).await), (1_000, (1_000, 0)));
    // Refused, nothing is asked.
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![], 9_000)).await.unwrap();
    let second = paid_in(&stage, &terminals, 9_000).await;
    let outcome = terminals.refund(&stage.cashier, back(&stage, &second, 9_000)).await.unwrap();
    let RefundOutcome::Asked(request) = outcome else { panic!("{outcome:?}") };
    terminals.decide_request(&own, &request.id, false, WHY).await.unwrap();
    assert_eq!((fake.taken(), has(&stage).await), (10_000, (19_000, 0)));
});

story!(money_on_its_way_back_is_of_the_record_that_is_left_when_two_become_one, |stage| {
    let fake = Fake::new(Mood::Good);
    let terminals = terminals(&stage, &fake);
    let payment = paid_in(&stage, &terminals, 3_000).await;
    fake.feel(Mood::Slow);
    let sent = begun(terminals.refund(&stage.cashier, back(&stage, &payment, 1_000)).await);
    stage.merge(0, 1).await;
    stage.is_sound().await;
    let external = format!("slip-{}", &sent.id[..8]);
    fake.known.lock().unwrap().insert(sent.id.clone(), TerminalAnswer::Done { external });
    let done = looked_after(&stage, &terminals, &sent.id).await;
    assert_eq!((done.state, done.patient), (PaymentState::Done, Some(patient(1))));
    let left = account(&stage, 1).await;
    assert_eq!((left.deposit, left.held, account(&stage, 0).await.held), (amount(2_000), amount(0), amount(0)));
    // The rest goes back too, whichever record is named.
    fake.feel(Mood::Good);
    let rest = begun(terminals.refund(&stage.cashier, back(&stage, &payment, 2_000)).await);
    settled(&stage, &terminals, &rest.id).await;
    assert_eq!((account(&stage, 1).await.deposit, fake.taken()), (amount(0), 1_000));
});
