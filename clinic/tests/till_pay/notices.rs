//! Notices of payment services.

use clinic::acting::Acting;
use clinic::till::TillError;
use clinic::till::inbound::{NewNotice, NoticeKind, NoticeProblem, NoticeState};
use clinic::till::payments::{PaymentFilter, PaymentState};

use crate::stage::{WHY, amount, no, patient, uah};
use crate::{account, again, charge, part, story};

fn notice(external: &str, minor: i64) -> NewNotice {
    NewNotice {
        source: "bank".to_owned(),
        external: external.to_owned(),
        kind: NoticeKind::Paid,
        of: None,
        currency: uah(),
        amount: amount(minor),
        patient: None,
        record: None,
        charges: Vec::new(),
    }
}

fn bank() -> Acting {
    Acting::payment_service("bank", None)
}

story!(a_notice_pays_what_it_names_once_however_often_it_comes, |stage| {
    let (one, two) = (charge(&stage, 0, "visit", 1).await, charge(&stage, 0, "visit", 2).await);
    let new = NewNotice { charges: vec![one.id.clone(), two.id.clone()], ..notice("tx-1", 2_500) };
    let told: Vec<_> = (0..6)
        .map(|_| {
            let (till, new) = (stage.till.clone(), new.clone());
            tokio::spawn(async move { till.take_notice(&bank(), new).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for one in told {
        answers.push(one.await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same answer");
    assert_eq!(answers[0].state, NoticeState::Done);
    assert_eq!((again(&stage, &one).await.open(), again(&stage, &two).await.open()), (amount(0), amount(500)));
    assert_eq!(stage.till.payments(&stage.chief, &PaymentFilter::default()).await.unwrap().len(), 1);
    let other = NewNotice { amount: amount(2_501), ..new };
    assert!(matches!(stage.till.take_notice(&bank(), other).await, Err(TillError::KeyReused)));
    // More than is open: the rest is a deposit.
    let more = NewNotice { charges: vec![two.id.clone()], patient: Some(patient(0)), ..notice("tx-2", 800) };
    stage.till.take_notice(&bank(), more).await.unwrap();
    assert_eq!((account(&stage, 0).await.owed, account(&stage, 0).await.deposit), (amount(0), amount(300)));
});

story!(a_notice_that_fits_nobody_waits_for_somebody_who_assigns_it, |stage| {
    let one = charge(&stage, 0, "visit", 1).await;
    let new = NewNotice { record: Some(("urn:mis".into(), "no such".into())), ..notice("tx-1", 1_200) };
    let kept = stage.till.take_notice(&bank(), new.clone()).await.unwrap();
    assert_eq!((kept.state, kept.problem), (NoticeState::Unassigned, Some(NoticeProblem::UnknownPatient)));
    assert_eq!(stage.till.take_notice(&bank(), new).await.unwrap(), kept, "it comes again");
    let waiting = stage.till.payment_notices(&stage.cashier, Some(NoticeState::Unassigned), 0).await.unwrap();
    assert_eq!(waiting, std::slice::from_ref(&kept));
    let assign =
        async |minor| stage.till.assign_notice(&stage.cashier, &kept.id, patient(0), vec![part(&one, minor)]).await;
    let payment = assign(1_000).await.unwrap();
    assert_eq!((payment.deposit, payment.source.as_deref()), (amount(200), Some("bank")));
    assert_eq!(assign(1_000).await.unwrap().id, payment.id, "pressed twice");
    assert!(matches!(assign(900).await, Err(TillError::Changed)), "not otherwise afterwards");
    assert!(stage.till.payment_notices(&stage.cashier, Some(NoticeState::Unassigned), 0).await.unwrap().is_empty());
    let aside = stage.till.take_notice(&bank(), notice("tx-2", 1)).await.unwrap();
    let aside = stage.till.put_notice_aside(&stage.chief, &aside.id, WHY).await.unwrap();
    assert_eq!(aside.state, NoticeState::PutAside);
    let late = stage.till.assign_notice(&stage.cashier, &aside.id, patient(0), vec![]).await;
    assert!(matches!(late, Err(TillError::NotFound)));
});

story!(a_reversal_takes_back_the_payment_it_names_and_nothing_else, |stage| {
    let one = charge(&stage, 0, "visit", 1).await;
    let paid = NewNotice { charges: vec![one.id.clone()], ..notice("tx-1", 1_000) };
    let paid = stage.till.take_notice(&bank(), paid).await.unwrap();
    let reversal = |external: &str, of: &str, minor| NewNotice {
        kind: NoticeKind::Reversed,
        of: Some(of.to_owned()),
        ..notice(external, minor)
    };
    let tell = async |new| stage.till.take_notice(&bank(), new).await.unwrap().problem;
    assert_eq!(tell(reversal("rv-1", "tx-9", 1_000)).await, Some(NoticeProblem::UnknownPayment));
    assert_eq!(tell(reversal("rv-2", "tx-1", 999)).await, Some(NoticeProblem::OtherAmount));
    assert_eq!(tell(reversal("rv-3", "tx-1", 1_000)).await, None);
    assert_eq!(tell(reversal("rv-3", "tx-1", 1_000)).await, None, "it comes again");
    assert_eq!(tell(reversal("rv-4", "tx-1", 1_000)).await, Some(NoticeProblem::TakenBack));
    assert_eq!(again(&stage, &one).await.open(), amount(1_000));
    let old = stage.till.payment(&stage.chief, paid.payment.as_deref().unwrap()).await.unwrap();
    assert_eq!(old.state, PaymentState::Returned);
    let bad = stage.till.take_notice(&bank(), notice("", 1)).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(bad, "invalid id");
    let bad = stage.till.take_notice(&bank(), notice("tx-0", 0)).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(bad, "invalid amount");
});
