//! Drawers and days.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clinic::till::days::Hindrance;
use clinic::till::shifts::{DifferenceReason, NewShift, ShiftFilter};
use clinic::till::{Till, TillError};
use domain::schedule::LocalDate;
use domain::till::Method;

use crate::stage::{Stage, WHY, amount, no, patient, uah};
use crate::{by, charge, closing, open_drawer, part, story};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn take(till: &Till, stage: &Stage, method: Method, minor: i64) {
    let new = by(method, stage.payment(stage.key(), 0, vec![], minor));
    till.pay(&stage.cashier, new).await.unwrap();
}

story!(a_drawer_is_opened_used_counted_and_closed, |stage| {
    let shift = open_drawer(&stage.till, &stage.cashier, "open-a-drawer", "1", 500).await;
    assert_eq!(open_drawer(&stage.till, &stage.cashier, "open-a-drawer", "1", 500).await, shift, "repeated");
    assert_eq!(stage.till.shift_of(&stage.cashier).await.unwrap(), Some(shift.clone()));
    for (who, drawer) in [(&stage.cashier, "2"), (&stage.chief, "1")] {
        let new = NewShift { key: stage.key(), drawer: drawer.into(), currency: None, float: amount(0) };
        let twice = stage.till.open_shift(who, new).await;
        assert!(matches!(twice, Err(TillError::Changed)), "one of a cashier, one at a drawer");
    }
    take(&stage.till, &stage, Method::Cash, 1_200).await;
    take(&stage.till, &stage, Method::Card, 300).await;
    take(&stage.till, &stage, Method::Transfer, 900).await;
    let totals = stage.till.shift_totals(&stage.cashier, &shift.id).await.unwrap();
    assert_eq!((totals.cash, totals.card, totals.methods.len()), (amount(1_700), amount(300), 3));
    let missing = stage.till.close_shift(&stage.cashier, closing("close-a-drawer", &shift, 1_690, 300)).await;
    assert!(matches!(missing, Err(TillError::ReasonWanted)));
    let mut explained = closing("close-a-drawer", &shift, 1_690, 300);
    explained.reason = Some(DifferenceReason::Change);
    explained.words = WHY.to_owned();
    let closed = stage.till.close_shift(&stage.cashier, explained.clone()).await.unwrap();
    assert_eq!((closed.expected, closed.counted), (Some(amount(1_700)), Some(amount(1_690))));
    assert_eq!(stage.till.close_shift(&stage.cashier, explained).await.unwrap(), closed, "repeated");
    let twice = stage.till.close_shift(&stage.cashier, closing("close-it-again", &shift, 0, 0)).await;
    assert!(matches!(twice, Err(TillError::NotFound)));
    assert_eq!(stage.till.shift_of(&stage.cashier).await.unwrap(), None);
    let cash = stage.till.pay(&stage.cashier, by(Method::Cash, stage.payment(stage.key(), 0, vec![], 1))).await;
    assert!(matches!(cash, Err(TillError::NoShift)));
});

story!(another_ones_drawer_needs_the_right_and_slips_are_compared_too, |stage| {
    let shift = open_drawer(&stage.till, &stage.chief, "open-a-drawer", "1", 0).await;
    let others = stage.till.close_shift(&stage.cashier, closing("close-a-drawer", &shift, 0, 0)).await;
    assert!(matches!(others, Err(TillError::NotTheirs)));
    let look = stage.till.shift_totals(&stage.cashier, &shift.id).await;
    assert!(matches!(look, Err(TillError::NotTheirs)));
    assert!(stage.till.shifts(&stage.cashier, &ShiftFilter::default()).await.unwrap().is_empty());
    let own = open_drawer(&stage.till, &stage.cashier, "open-mine-too", "2", 0).await;
    take(&stage.till, &stage, Method::Card, 300).await;
    let slips = stage.till.close_shift(&stage.chief, closing("close-theirs", &own, 0, 299)).await;
    assert!(matches!(slips, Err(TillError::ReasonWanted)), "a slip is missing");
    stage.till.close_shift(&stage.chief, closing("close-theirs", &own, 0, 300)).await.unwrap();
    let open = ShiftFilter { open: Some(true), ..ShiftFilter::default() };
    assert_eq!(stage.till.shifts(&stage.chief, &open).await.unwrap(), [shift]);
});

story!(a_day_is_closed_once_when_nothing_hinders_and_stays_as_it_was, |stage| {
    let (till, chief) = (&stage.till, &stage.chief);
    let today = stage.today();
    let shift = open_drawer(till, &stage.cashier, "open-a-drawer", "1", 100).await;
    let one = charge(&stage, 0, "visit", 3).await;
    till.pay(&stage.cashier, by(Method::Cash, stage.payment(stage.key(), 0, vec![part(&one, 2_000)], 50)))
        .await
        .unwrap();
    let told = till.close_day(chief, today).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(told, "invalid day");
    assert_eq!(till.day(chief, today).await.unwrap().hindrances, [Hindrance::OpenShift(shift.id.clone(), "1".into())]);
    till.close_shift(&stage.cashier, closing("close-a-drawer", &shift, 2_150, 0)).await.unwrap();
    let tomorrow = LocalDate(today.0 + 1);
    let early = till.day(chief, tomorrow).await.unwrap();
    assert_eq!(early.hindrances, [Hindrance::Future, Hindrance::Earlier(today)]);
    let closed = till.close_day(chief, today).await.unwrap();
    let sums = &closed.totals.currencies[0];
    assert_eq!((sums.revenue, sums.unpaid, sums.deposit_in), (amount(3_000), amount(1_000), amount(50)));
    assert_eq!((sums.charges, sums.unpaid_count, closed.totals.methods[0].taken), (1, 1, amount(2_050)));
    // What comes later today counts to tomorrow, and the day stays as it was.
    let late = till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![part(&one, 1_000)], 0)).await.unwrap();
    assert_eq!(late.day, Some(tomorrow));
    assert_eq!(till.close_day(chief, today).await.unwrap().totals, closed.totals, "closing again changes nothing");
    assert_eq!(till.day(chief, today).await.unwrap().totals, closed.totals);
    let days: Vec<_> = till.days(chief, today, tomorrow).await.unwrap().into_iter().map(|day| day.day).collect();
    assert_eq!(days, [tomorrow, today]);
    // A clock that goes back over midnight posts to no closed day.
    stage.set_clock(stage.now() - DAY_MS);
    let back = till.pay(&stage.cashier, stage.payment(stage.key(), 1, vec![], 10)).await.unwrap();
    assert_eq!(back.day, Some(tomorrow));
    stage.set_clock(stage.now() + 2 * DAY_MS);
    till.close_day(chief, tomorrow).await.unwrap();
});

story!(what_runs_while_a_day_is_closed_lands_in_it_or_in_the_next_and_never_in_a_closed_one, |stage| {
    let today = stage.today();
    let ended = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|who| {
            let (stage, ended) = (stage.clone(), ended.clone());
            tokio::spawn(async move {
                let mut all = Vec::new();
                // A few more after the closing, so that both sides of it are seen.
                let mut after = 3;
                while after > 0 {
                    if ended.load(Ordering::Relaxed) {
                        after -= 1;
                    }
                    let new = stage.charge(stage.key(), who, "visit", 1);
                    let charge = stage.till.register(&stage.doctor, new).await.unwrap();
                    let new = stage.payment(stage.key(), who, vec![part(&charge, 1_000)], 0);
                    let payment = stage.till.pay(&stage.cashier, new).await.unwrap();
                    all.push((charge.day, payment.day.unwrap()));
                }
                all
            })
        })
        .collect();
    // Some come before.
    loop {
        let payments =
            stage.till.payments(&stage.chief, &clinic::till::payments::PaymentFilter::default()).await.unwrap();
        if payments.len() >= 8 {
            break;
        }
    }
    let closed = stage.till.close_day(&stage.chief, today).await.unwrap();
    ended.store(true, Ordering::Relaxed);
    let (mut charges, mut payments) = ([0_u64; 2], [0_i64; 2]);
    for writer in writers {
        for (charged, paid) in writer.await.unwrap() {
            charges[usize::try_from(charged.0 - today.0).unwrap()] += 1;
            payments[usize::try_from(paid.0 - today.0).unwrap()] += 1_000;
        }
    }
    assert!(charges[0] > 0 && charges[1] > 0, "{charges:?}");
    let sums = &closed.totals.currencies[0];
    assert_eq!(sums.charges, charges[0], "each one of the day is in what was stored");
    assert_eq!(sums.revenue, amount(i64::try_from(charges[0]).unwrap() * 1_000));
    assert_eq!(closed.totals.methods[0].taken, amount(payments[0]));
    let _ = (patient(0), uah());
});
