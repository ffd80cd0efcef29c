//! The rules of the till, case by case and for random cases.

use super::posting::{cancelled, closed, float, paid, paid_in, rendered, written_off};
use super::terms::choose;
use super::*;
use crate::money::{Amount, Currency};
use crate::schedule::LocalDate;

fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

fn terms(mode: Mode, limit: Option<i64>) -> Terms {
    Terms {
        id: "t".into(),
        version: 1,
        scope: Scope::Everybody,
        owner: Owner::Everybody,
        mode,
        currency: uah(),
        limit: limit.map(amount),
        pot: None,
        scheme: None,
        priority: 0,
        from: LocalDate(0),
        until: None,
    }
}

fn wanted(minor: i64) -> Wanted {
    Wanted { unit: Some(amount(minor)), currency: uah(), quantity: 1, at_home: false, shown: None }
}

fn scheme() -> Scheme {
    let step = |from, rate| Step { from: amount(from), rate };
    Scheme {
        id: "loyal".into(),
        version: 3,
        steps: vec![step(500_000, 300), step(1_000_000, 500), step(1_500_000, 700)],
        rounding: Rounding::HalfUp,
        unit: 1,
    }
}

#[test]
fn the_limit_holds_to_the_last_unit_and_says_what_is_missing() {
    let account = Account { owed: amount(148_200), ..Account::default() };
    let bounds = Bounds { limit: Some(amount(250_000)), pot: None };
    let terms = terms(Mode::Postpaid, Some(250_000));
    let registered = register(&wanted(101_800), Some(&terms), None, &account, &bounds).unwrap();
    assert_eq!((registered.account.owed, registered.rendered), (amount(250_000), true));
    let refused = register(&wanted(101_801), Some(&terms), None, &account, &bounds).unwrap_err();
    let expected = Refusal::PatientLimit { limit: amount(250_000), left: amount(101_800), missing: amount(1) };
    assert_eq!(refused, expected);
}

#[test]
fn a_pot_holds_beside_the_patients_own_limit() {
    let bounds = Bounds { limit: Some(amount(1_000)), pot: Some((amount(5_000), amount(4_900))) };
    let terms = Terms { pot: Some("g".into()), ..terms(Mode::Postpaid, Some(1_000)) };
    let account = Account::default();
    let registered = register(&wanted(100), Some(&terms), None, &account, &bounds).unwrap();
    assert_eq!(registered.pot_used, Some(amount(5_000)));
    let refused = register(&wanted(101), Some(&terms), None, &account, &bounds).unwrap_err();
    assert_eq!(refused, Refusal::PotLimit { limit: amount(5_000), left: amount(100), missing: amount(1) });
}

#[test]
fn a_limit_that_was_lowered_below_what_is_owed_leaves_nothing() {
    let account = Account { owed: amount(900), ..Account::default() };
    let bounds = Bounds { limit: Some(amount(500)), pot: None };
    let terms = terms(Mode::Postpaid, Some(500));
    let refused = register(&wanted(1), Some(&terms), None, &account, &bounds).unwrap_err();
    assert_eq!(refused, Refusal::PatientLimit { limit: amount(500), left: amount(0), missing: amount(401) });
    assert!(register(&wanted(0), Some(&terms), None, &account, &bounds).is_ok());
}

#[test]
fn a_deposit_is_used_to_the_last_unit() {
    let account = Account { deposit: amount(300), ..Account::default() };
    let terms = terms(Mode::Deposit, None);
    let registered = register(&wanted(300), Some(&terms), None, &account, &Bounds::default()).unwrap();
    assert_eq!((registered.account.deposit, registered.account.rendered), (Amount::ZERO, amount(300)));
    let refused = register(&wanted(301), Some(&terms), None, &account, &Bounds::default()).unwrap_err();
    assert_eq!(refused, Refusal::Deposit { left: amount(300), missing: amount(1) });
}

#[test]
fn prepaid_is_ordered_paid_and_then_rendered() {
    let terms = terms(Mode::Prepaid, None);
    let account = Account::default();
    let ordered = register(&wanted(700), Some(&terms), None, &account, &Bounds::default()).unwrap();
    assert_eq!((ordered.rendered, ordered.account), (false, account));
    let account = Account { held: amount(700), ..account };
    assert_eq!(render(amount(700), amount(699), &account), Err(Refusal::NotPaid { missing: amount(1) }));
    let after = render(amount(700), amount(700), &account).unwrap();
    assert_eq!((after.held, after.rendered), (Amount::ZERO, amount(700)));
}

#[test]
fn a_service_at_home_is_prepaid_on_any_terms() {
    let bounds = Bounds { limit: Some(amount(1_000)), pot: None };
    for terms in [terms(Mode::Postpaid, Some(1_000)), terms(Mode::Deposit, None)] {
        let account = Account { deposit: amount(1_000), ..Account::default() };
        let home = Wanted { at_home: true, ..wanted(700) };
        let ordered = register(&home, Some(&terms), None, &account, &bounds).unwrap();
        assert_eq!((ordered.mode, ordered.rendered), (Mode::Prepaid, false));
    }
}

#[test]
fn bad_wishes_are_refused_for_what_they_are() {
    let account = Account::default();
    let bounds = Bounds { limit: Some(amount(1_000)), pot: None };
    let terms = terms(Mode::Postpaid, Some(1_000));
    let ask = |wanted: Wanted| register(&wanted, Some(&terms), None, &account, &bounds).unwrap_err();
    assert_eq!(ask(Wanted { unit: None, ..wanted(1) }), Refusal::NoPrice);
    assert_eq!(ask(wanted(-1)), Refusal::NoPrice);
    assert_eq!(ask(Wanted { quantity: 0, ..wanted(1) }), Refusal::Quantity);
    assert_eq!(ask(Wanted { quantity: 10_000, ..wanted(crate::money::AMOUNT_MAX) }), Refusal::TooLarge);
    let shown = Some(amount(9));
    assert_eq!(ask(Wanted { shown, ..wanted(10) }), Refusal::PriceChanged { shown: amount(9), now: amount(10) });
    assert_eq!(ask(Wanted { currency: Currency::parse("EUR").unwrap(), ..wanted(1) }), Refusal::OtherCurrency);
    assert_eq!(register(&wanted(1), None, None, &account, &bounds), Err(Refusal::NoTerms));
    assert_eq!(register(&wanted(1), Some(&terms), None, &account, &Bounds::default()), Err(Refusal::NoTerms));
}

#[test]
fn the_scale_goes_by_what_was_rendered_before() {
    let rate = |before| scheme().discount(amount(before), amount(62_000)).rate;
    assert_eq!((rate(0), rate(499_999), rate(500_000)), (0, 0, 300));
    assert_eq!((rate(1_240_000), rate(1_500_000), rate(9_000_000)), (500, 700, 700));
    let discount = scheme().discount(amount(1_240_000), amount(62_000));
    assert_eq!((discount.amount, discount.next.unwrap().from), (amount(3_100), amount(1_500_000)));
}

#[test]
fn rounding_is_as_stated() {
    let with = |rounding, unit, gross| {
        let scheme = Scheme { rounding, unit, ..scheme() };
        scheme.discount(amount(500_000), amount(gross)).amount.minor()
    };
    // 3 % of 50 is 1.5; of 150 it is 4.5.
    assert_eq!((with(Rounding::HalfUp, 1, 50), with(Rounding::HalfUp, 1, 150)), (2, 5));
    assert_eq!((with(Rounding::HalfEven, 1, 50), with(Rounding::HalfEven, 1, 150)), (2, 4));
    assert_eq!((with(Rounding::Down, 1, 50), with(Rounding::Down, 1, 150)), (1, 4));
    assert_eq!((with(Rounding::HalfUp, 100, 5_000), with(Rounding::Down, 100, 5_000)), (200, 100));
}

#[test]
fn a_discount_is_never_more_than_the_price() {
    let all = Scheme { steps: vec![Step { from: Amount::ZERO, rate: 10_000 }], unit: 100, ..scheme() };
    for gross in [0, 1, 49, 50, 99, 100, 151, crate::money::AMOUNT_MAX] {
        let discount = all.discount(Amount::ZERO, amount(gross)).amount;
        assert!(discount <= amount(gross), "{gross}");
    }
    assert_eq!(all.discount(Amount::ZERO, amount(-5)).amount, Amount::ZERO);
}

#[test]
fn schemes_that_make_no_sense_are_refused() {
    let step = |from, rate| Step { from: amount(from), rate };
    let with = |steps: Vec<Step>| Scheme { steps, ..scheme() }.check();
    assert_eq!(scheme().check(), Ok(()));
    assert_eq!(with(vec![]), Err(SchemeError::Steps));
    assert_eq!(with(vec![step(0, 10_001)]), Err(SchemeError::Rate(1)));
    assert_eq!(with(vec![step(5, 1), step(5, 2)]), Err(SchemeError::Order(2)));
    assert_eq!(with(vec![step(-1, 1)]), Err(SchemeError::Order(1)));
    assert_eq!(Scheme { unit: 0, ..scheme() }.check(), Err(SchemeError::Unit));
}

#[test]
fn of_several_terms_priority_counts_then_the_particular() {
    let base = terms(Mode::Postpaid, Some(1));
    let group = Terms { id: "g".into(), scope: Scope::Group, ..base.clone() };
    let own = Terms { id: "p".into(), scope: Scope::Patient, ..base.clone() };
    let urgent = Terms { id: "u".into(), priority: 5, ..base.clone() };
    let euro = Terms { id: "e".into(), priority: 9, currency: Currency::parse("EUR").unwrap(), ..base.clone() };
    let over = Terms { id: "o".into(), priority: 9, until: Some(LocalDate(9)), ..base.clone() };
    let day = LocalDate(10);
    let all = [base.clone(), group.clone(), own.clone(), euro, over];
    assert_eq!(choose(&all, uah(), day), Some(&own));
    assert_eq!(choose([&own, &urgent, &group], uah(), day), Some(&urgent));
    assert_eq!(choose(&[base.clone(), Terms { id: "a".into(), ..base.clone() }], uah(), day).unwrap().id, "a");
    assert_eq!(choose(&[], uah(), day), None);
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    assert_eq!(terms(Mode::Postpaid, None).check(), Err(TermsError::NoLimit));
    assert_eq!(terms(Mode::Deposit, Some(1)).check(), Err(TermsError::LimitWithoutUse));
    assert_eq!(terms(Mode::Postpaid, Some(-1)).check(), Err(TermsError::NegativeLimit));
    let ends = Terms { until: Some(LocalDate(-1)), ..terms(Mode::Prepaid, None) };
    assert_eq!(ends.check(), Err(TermsError::EndsBeforeItBegins));
}

/// What an account gained by debits less credits.
fn balance(postings: &[Posting], ledger: Ledger) -> i64 {
    postings
        .iter()
        .map(|posting| {
            let minor = posting.amount.minor();
            i64::from(posting.debit == ledger) * minor - i64::from(posting.credit == ledger) * minor
        })
        .sum()
}

#[test]
fn what_is_taken_back_leaves_nothing_but_a_deposit_of_what_was_paid() {
    for (mode, paid_minor, off) in [
        (Mode::Postpaid, 0, 0),
        (Mode::Postpaid, 30, 20),
        (Mode::Postpaid, 95, 0),
        (Mode::Deposit, 95, 0),
        (Mode::Prepaid, 95, 0),
    ] {
        let (net, discount) = (amount(95), amount(5));
        let mut all = paid_in(Method::Cash, amount(1_000));
        if mode == Mode::Prepaid {
            all.extend(paid(Method::Cash, false, net));
        }
        all.extend(rendered(mode, net, discount));
        if mode == Mode::Postpaid {
            all.extend(paid(Method::Cash, true, amount(paid_minor)));
            all.extend(written_off(amount(off)));
        }
        all.extend(cancelled(true, net, discount, amount(paid_minor), amount(off)).unwrap());
        for ledger in [Ledger::Revenue, Ledger::Discount, Ledger::Owed, Ledger::Held, Ledger::WriteOff] {
            assert_eq!(balance(&all, ledger), 0, "{mode} {paid_minor} {ledger}");
        }
        assert_eq!(balance(&all, Ledger::Deposit), -balance(&all, Ledger::Drawer), "{mode}");
        assert!(all.iter().all(|posting| posting.amount.is_positive()));
    }
    assert_eq!(cancelled(true, amount(5), amount(0), amount(5), amount(1)), Err(PostingError::TooMuch));
}

#[test]
fn a_drawer_is_empty_after_it_is_closed() {
    for counted in [0, 95, 100, 105] {
        let mut all = float(amount(20));
        all.extend(paid(Method::Cash, true, amount(80)));
        all.extend(closed(amount(100), amount(counted)));
        assert_eq!(balance(&all, Ledger::Drawer), 0, "{counted}");
        assert_eq!(balance(&all, Ledger::Difference), 100 - counted, "{counted}");
        assert_eq!(balance(&all, Ledger::Safe), counted - 20, "{counted}");
    }
}

mod always {
    use proptest::prelude::*;

    use super::*;

    fn money() -> impl Strategy<Value = i64> {
        prop_oneof![0..200_i64, 0..5_000_000_i64, Just(crate::money::AMOUNT_MAX)]
    }

    /// Some of them far from the bound of what money can be, often close to each other.
    fn some() -> impl Strategy<Value = i64> {
        prop_oneof![0..200_i64, 0..5_000_000_i64]
    }

    fn scale() -> impl Strategy<Value = Scheme> {
        let steps = proptest::collection::btree_map(0..2_000_000_i64, 0..=10_000_u32, 1..6);
        let rounding = proptest::sample::select(Rounding::ALL);
        (steps, rounding, proptest::sample::select(vec![1_i64, 5, 100])).prop_map(|(steps, rounding, unit)| {
            // Rates rise with the sums, as on a progressive scale.
            let mut rates: Vec<u32> = steps.values().copied().collect();
            rates.sort_unstable();
            let steps = steps.keys().zip(rates).map(|(from, rate)| Step { from: amount(*from), rate }).collect();
            Scheme { steps, rounding, unit, ..scheme() }
        })
    }

    proptest! {
        #[test]
        fn the_more_was_rendered_the_larger_the_discount(
            scale in scale(), less in 0..2_000_000_i64, more in 0..2_000_000_i64, gross in money(),
        ) {
            prop_assert_eq!(scale.check(), Ok(()));
            let at = |before| scale.discount(amount(before), amount(gross)).amount;
            prop_assert!(at(less.min(more)) <= at(less.max(more)));
            prop_assert!(at(more) <= amount(gross) && at(more) >= Amount::ZERO);
        }

        #[test]
        fn what_is_registered_never_passes_a_bound_and_what_is_refused_would(
            owed in some(), limit in some(), used in some(), whole in some(), deposit in some(), price in some(),
            mode in proptest::sample::select(Mode::ALL), has_pot in any::<bool>(),
        ) {
            let terms = terms(mode, (mode == Mode::Postpaid).then_some(limit));
            let pot = (has_pot && mode == Mode::Postpaid).then_some((amount(whole), amount(used)));
            let bounds = Bounds { limit: terms.limit, pot };
            let account = Account { owed: amount(owed), deposit: amount(deposit), ..Account::default() };
            match register(&wanted(price), Some(&terms), None, &account, &bounds) {
                Ok(done) => {
                    prop_assert!(done.account.deposit >= Amount::ZERO);
                    if mode == Mode::Postpaid && price > 0 {
                        prop_assert!(done.account.owed <= amount(limit));
                        prop_assert_eq!(done.account.owed.minus(account.owed), Some(amount(price)));
                        prop_assert!(pot.is_none_or(|(whole, _)| done.pot_used.is_some_and(|used| used <= whole)));
                    }
                }
                Err(Refusal::PatientLimit { left, missing, .. }) => {
                    prop_assert!(owed + price > limit);
                    prop_assert_eq!((left, missing), (amount((limit - owed).max(0)), amount(owed + price - limit)));
                }
                Err(Refusal::PotLimit { left, missing, .. }) => {
                    prop_assert!(used + price > whole);
                    prop_assert_eq!((left, missing), (amount((whole - used).max(0)), amount(used + price - whole)));
                }
                Err(Refusal::Deposit { left, missing }) => {
                    prop_assert_eq!((left, missing), (amount(deposit), amount(price - deposit)));
                }
                Err(other) => prop_assert!(other == Refusal::TooLarge, "{other}"),
            }
        }

        #[test]
        fn taking_back_undoes_a_charge_to_the_last_unit(
            net in 0..5_000_000_i64, discount in 0..50_000_i64, paid_part in 0..=100_i64, off_part in 0..=100_i64,
        ) {
            let paid_minor = net * paid_part / 100;
            let off = (net - paid_minor) * off_part / 100;
            let mut all = rendered(Mode::Postpaid, amount(net), amount(discount));
            all.extend(paid(Method::Card, true, amount(paid_minor)));
            all.extend(written_off(amount(off)));
            let (net, discount) = (amount(net), amount(discount));
            all.extend(cancelled(true, net, discount, amount(paid_minor), amount(off)).unwrap());
            for ledger in Ledger::ALL {
                let expected = match ledger {
                    Ledger::Card => paid_minor,
                    Ledger::Deposit => -paid_minor,
                    _ => 0,
                };
                prop_assert_eq!(balance(&all, *ledger), expected, "{}", ledger);
            }
            prop_assert!(all.iter().all(|posting| posting.amount.is_positive()));
        }
    }
}
