//! Money comes.

use clinic::till::payments::{PaymentFilter, PaymentKind, PaymentState};
use clinic::till::{NewPayer, PayerKind, TillError};
use domain::till::{ChargeState, Method, Refusal};

use crate::stage::{amount, no, patient, uah};
use crate::{account, again, by, charge, open_drawer, part, story};

story!(a_payment_settles_what_it_names_and_frees_the_limit_at_once, |stage| {
    let (one, two) = (charge(&stage, 0, "visit", 6).await, charge(&stage, 0, "visit", 4).await);
    let refused = stage.till.register(&stage.doctor, stage.charge(stage.key(), 0, "visit", 1)).await;
    assert!(matches!(refused, Err(TillError::Refused(Refusal::PatientLimit { .. }))));
    let new = stage.payment(stage.key(), 0, vec![part(&one, 6_000), part(&two, 500)], 0);
    let payment = stage.till.pay(&stage.cashier, new).await.unwrap();
    assert_eq!((payment.no, payment.state, payment.deposit), (Some(1), PaymentState::Done, amount(0)));
    assert_eq!(account(&stage, 0).await.owed, amount(3_500));
    let (one, two) = (again(&stage, &one).await, again(&stage, &two).await);
    assert_eq!((one.open(), two.open()), (amount(0), amount(3_500)));
    charge(&stage, 0, "visit", 6).await;
    let new = stage.payment(stage.key(), 0, vec![part(&two, 3_500)], 0);
    assert_eq!(stage.till.pay(&stage.cashier, new).await.unwrap().no, Some(2), "receipts have no gap");
});

story!(what_changed_is_never_paid_twice, |stage| {
    let one = charge(&stage, 0, "visit", 2).await;
    let first = stage.payment(stage.key(), 0, vec![part(&one, 1_500)], 0);
    let second = stage.payment(stage.key(), 0, vec![part(&one, 1_500)], 0);
    let (first, second) = tokio::join!(stage.till.pay(&stage.cashier, first), stage.till.pay(&stage.chief, second),);
    let outcomes = [first.map(|_| ()).map_err(|error| no(&error)), second.map(|_| ()).map_err(|error| no(&error))];
    assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 1, "two cashiers at one item: {outcomes:?}");
    assert!(outcomes.contains(&Err("changed".to_owned())), "{outcomes:?}");
    assert_eq!(again(&stage, &one).await.open(), amount(500));
});

story!(a_repeated_key_gives_the_same_payment_and_another_request_under_it_is_refused, |stage| {
    let one = charge(&stage, 0, "visit", 2).await;
    let new = stage.payment("a-key-of-a-form".to_owned(), 0, vec![part(&one, 1_000)], 0);
    // Eight browsers press at once.
    let pressed: Vec<_> = (0..8)
        .map(|_| {
            let (till, cashier, new) = (stage.till.clone(), stage.cashier.clone(), new.clone());
            tokio::spawn(async move { till.pay(&cashier, new).await.unwrap().id })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for one in pressed {
        ids.insert(one.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(account(&stage, 0).await.owed, amount(1_000));
    let other = stage.payment("a-key-of-a-form".to_owned(), 0, vec![part(&one, 999)], 0);
    assert!(matches!(stage.till.pay(&stage.cashier, other).await, Err(TillError::KeyReused)));
});

story!(bad_payments_are_refused_for_what_they_are_and_change_nothing, |stage| {
    let (mine, theirs) = (charge(&stage, 0, "visit", 1).await, charge(&stage, 1, "visit", 1).await);
    let ask =
        async |new| stage.till.pay(&stage.cashier, new).await.map(|_| ()).map_err(|error| no(&error)).unwrap_err();
    let pay = |parts, rest| stage.payment(stage.key(), 0, parts, rest);
    assert_eq!(ask(pay(vec![part(&theirs, 1_000)], 0)).await, "not_theirs");
    assert_eq!(ask(pay(vec![part(&mine, 1_001)], 0)).await, "changed");
    assert_eq!(ask(pay(vec![("no-such".to_owned(), amount(1))], 0)).await, "over");
    assert_eq!(ask(pay(vec![part(&mine, 0)], 5)).await, "invalid parts");
    assert_eq!(ask(pay(vec![part(&mine, 1), part(&mine, 1)], 0)).await, "invalid parts");
    let mut rest = pay(vec![part(&mine, 1)], 5);
    rest.rest_to_deposit = false;
    assert_eq!(ask(rest).await, "invalid rest_to_deposit");
    let mut less = pay(vec![part(&mine, 900)], 0);
    less.amount = amount(899);
    assert_eq!(ask(less).await, "invalid parts");
    let mut negative = pay(vec![], 0);
    negative.amount = amount(-5);
    assert_eq!(ask(negative).await, "invalid amount");
    let mut nobody = pay(vec![], 5);
    nobody.patient = Some(patient(77));
    assert_eq!(ask(nobody).await, "over");
    let mut both = pay(vec![], 5);
    both.payer = Some("x".to_owned());
    assert_eq!(ask(both).await, "invalid patient");
    let mut euro = pay(vec![part(&mine, 1)], 0);
    euro.currency = domain::money::Currency::default();
    assert_eq!(ask(euro).await, "invalid currency");
    let mut key = pay(vec![], 5);
    key.key = "short".to_owned();
    assert_eq!(ask(key).await, "invalid key");
    let mut words = pay(vec![], 5);
    words.external = Some("Ivan Franko, invoice".to_owned());
    assert_eq!(ask(words).await, "invalid external");
    assert_eq!(ask(by(Method::Cash, pay(vec![], 5))).await, "no_shift");
    let deposit = by(Method::Deposit, pay(vec![part(&mine, 1_000)], 0));
    let told = ask(deposit).await;
    assert!(told.starts_with("deposit"), "{told}");
    assert_eq!(account(&stage, 0).await.owed, amount(1_000));
    assert!(stage.till.payments(&stage.chief, &PaymentFilter::default()).await.unwrap().is_empty());
});

story!(an_order_is_paid_held_and_then_rendered_and_what_is_over_becomes_the_deposit, |stage| {
    let order = charge(&stage, 0, "home", 1).await;
    assert_eq!(order.state, ChargeState::Ordered);
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![part(&order, 200)], 0)).await.unwrap();
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![part(&order, 400)], 1_300)).await.unwrap();
    let now = account(&stage, 0).await;
    assert_eq!((now.held, now.deposit, now.owed), (amount(600), amount(1_300), amount(0)));
    // The last hundred from the deposit.
    let new = by(Method::Deposit, stage.payment(stage.key(), 0, vec![part(&order, 100)], 0));
    stage.till.pay(&stage.cashier, new).await.unwrap();
    let now = account(&stage, 0).await;
    assert_eq!((now.held, now.deposit), (amount(700), amount(1_200)));
    assert_eq!(again(&stage, &order).await.open(), amount(0));
});

story!(a_payer_pays_charges_of_its_members_and_the_pot_is_free_again, |stage| {
    let payer = NewPayer::new("family", PayerKind::Group, "A family");
    stage.till.put_payer(&stage.chief, payer).await.unwrap();
    stage.till.set_pot(&stage.chief, "family", uah(), amount(3_000)).await.unwrap();
    for who in [1, 2] {
        let member = clinic::till::Member { person: patient(who), from: stage.today(), until: None };
        stage.till.put_member(&stage.chief, "family", member).await.unwrap();
    }
    let mut terms = stage.terms(domain::till::Mode::Postpaid, None);
    terms.owner = domain::till::Owner::Payer("family".to_owned());
    terms.pot = Some("family".to_owned());
    terms.priority = 5;
    stage.till.put_terms(&stage.chief, terms).await.unwrap();
    let (one, two) = (charge(&stage, 1, "visit", 2).await, charge(&stage, 2, "visit", 1).await);
    let strangers = charge(&stage, 3, "visit", 1).await;
    let over = stage.till.register(&stage.doctor, stage.charge(stage.key(), 2, "visit", 1)).await;
    assert!(matches!(over, Err(TillError::Refused(Refusal::PotLimit { .. }))));
    let pay = |parts| {
        let mut new = stage.payment(stage.key(), 0, parts, 0);
        new.patient = None;
        new.payer = Some("family".to_owned());
        new
    };
    let not = stage.till.pay(&stage.cashier, pay(vec![part(&strangers, 1)])).await;
    assert!(matches!(not, Err(TillError::NotTheirs)));
    let payment = stage.till.pay(&stage.cashier, pay(vec![part(&one, 2_000), part(&two, 400)])).await.unwrap();
    assert_eq!((payment.patient, payment.kind), (None, PaymentKind::Paid));
    assert_eq!((account(&stage, 1).await.owed, account(&stage, 2).await.owed), (amount(0), amount(600)));
    // The pot is free at once.
    charge(&stage, 2, "visit", 2).await;
});

story!(payments_are_listed_newest_first_and_found_by_what_they_are, |stage| {
    open_drawer(&stage.till, &stage.cashier, "open-a-drawer", "1", 0).await;
    for (method, minor) in [(Method::Cash, 100), (Method::Card, 200), (Method::Transfer, 300)] {
        let new = by(method, stage.payment(stage.key(), 0, vec![], minor));
        stage.till.pay(&stage.cashier, new).await.unwrap();
        stage.set_clock(stage.now() + 1_000);
    }
    stage.till.pay(&stage.cashier, stage.payment(stage.key(), 1, vec![], 400)).await.unwrap();
    let find = async |filter: PaymentFilter| {
        let found = stage.till.payments(&stage.chief, &filter).await.unwrap();
        found.iter().map(|payment| payment.amount.minor()).collect::<Vec<_>>()
    };
    let all = PaymentFilter::default;
    assert_eq!(find(all()).await, [400, 300, 200, 100]);
    assert_eq!(find(PaymentFilter { patient: Some(patient(0)), ..all() }).await, [300, 200, 100]);
    assert_eq!(find(PaymentFilter { method: Some(Method::Card), ..all() }).await, [200]);
    assert_eq!(find(PaymentFilter { no: Some(4), ..all() }).await, [400]);
    let yesterday = domain::schedule::LocalDate(stage.today().0 - 1);
    assert!(find(PaymentFilter { until: Some(yesterday), ..all() }).await.is_empty());
    let page = stage.till.payments(&stage.chief, &PaymentFilter { limit: 2, ..all() }).await.unwrap();
    let before = page.last().map(|last| (last.begun, last.id.clone()));
    assert_eq!(find(PaymentFilter { before, ..all() }).await, [200, 100]);
});
