//! Terms, groups and contracts, scales of discounts, overrides: what counts, and what is refused.

use clinic::till::{
    Member, NewOverride, NewPayer, NewScheme, NewTerms, OPEN_MAX, OverrideFilter, OverrideOwner, OverrideReason,
    PayerKind, TillError, Why, explain, overlaps,
};
use domain::UtcMillis;
use domain::money::Currency;
use domain::till::{Mode, Owner, Rounding, Step};

use crate::scene::{HOUR, NOON, Scene, cashier, day, hryvnia, story, uah};

fn everybody() -> NewTerms {
    NewTerms::new(Owner::Everybody, hryvnia(), day("2026-01-01"))
}

async fn works(scene: &Scene) {
    scene.till.put_payer(&scene.boss, NewPayer::new("works", PayerKind::Group, "Steel works")).await.unwrap();
}

fn field<T: std::fmt::Debug>(outcome: Result<T, TillError>) -> &'static str {
    match outcome {
        Err(TillError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

story!(each_change_of_terms_is_a_version_and_an_older_page_changes_nothing, |scene| {
    let first = scene.till.put_terms(&scene.boss, everybody()).await.unwrap();
    assert_eq!((first.terms.id.as_str(), first.terms.version), ("t000001", 1));
    let id = Some((first.terms.id.clone(), 1));
    let limited = NewTerms { mode: Mode::Postpaid, limit: Some(uah(100_000)), id: id.clone(), ..everybody() };
    let second = scene.till.put_terms(&scene.boss, limited.clone()).await.unwrap();
    assert_eq!(second.terms.version, 2);
    let late = scene.till.put_terms(&scene.boss, NewTerms { limit: Some(uah(5)), ..limited.clone() }).await;
    assert!(matches!(late, Err(TillError::Changed)), "somebody else was quicker");
    let same = NewTerms { id: Some(("t000001".to_owned(), 2)), ..limited.clone() };
    assert_eq!(scene.till.put_terms(&scene.boss, same.clone()).await.unwrap().terms.version, 2);
    let raised = NewTerms { limit: Some(uah(200_000)), ..same };
    scene.till.put_terms(&scene.boss, raised).await.unwrap();
    let history = scene.till.terms_history(&scene.boss, "t000001").await.unwrap();
    let limits: Vec<_> = history.iter().map(|it| it.terms.limit.map(|limit| limit.minor())).collect();
    assert_eq!(limits, [Some(200_000), Some(100_000), None]);
    assert_eq!(history.iter().filter(|it| it.is_current).count(), 1);
    let words = scene.words("terms/t000001").await;
    assert!(words[1].contains("mode=prepaid>postpaid") && words[1].contains("limit=->100000"), "{words:?}");
    assert!(words[2].contains("limit=100000>200000"), "{words:?}");
    assert!(matches!(scene.till.withdraw_terms(&scene.boss, "t000001", 2).await, Err(TillError::Changed)));
    scene.till.withdraw_terms(&scene.boss, "t000001", 3).await.unwrap();
    assert!(scene.till.terms_of(&scene.boss, None).await.unwrap().is_empty());
    assert!(matches!(scene.till.withdraw_terms(&scene.boss, "t000001", 4).await, Err(TillError::NotFound)));
    assert_eq!(scene.told().await.len(), 4, "pages hear of each change");
});

story!(terms_that_make_no_sense_are_refused, |scene| {
    works(&scene).await;
    let put = |new| scene.till.put_terms(&scene.boss, new);
    assert_eq!(field(put(NewTerms { mode: Mode::Postpaid, ..everybody() }).await), "terms", "without a limit");
    assert_eq!(field(put(NewTerms { limit: Some(uah(1)), ..everybody() }).await), "terms", "a limit of no use");
    assert_eq!(field(put(NewTerms { until: Some(day("2025-01-01")), ..everybody() }).await), "terms");
    assert_eq!(field(put(NewTerms { priority: 1001, ..everybody() }).await), "priority");
    assert_eq!(field(put(NewTerms { scheme: Some("none".to_owned()), ..everybody() }).await), "scheme");
    let pooled = NewTerms { mode: Mode::Postpaid, pot: Some("works".to_owned()), ..everybody() };
    assert_eq!(field(put(pooled.clone()).await), "pot", "it has no pot yet");
    scene.till.set_pot(&scene.boss, "works", Currency::default(), uah(100)).await.unwrap();
    assert_eq!(field(put(pooled.clone()).await), "pot", "its pot is in another currency");
    scene.till.set_pot(&scene.boss, "works", hryvnia(), uah(100)).await.unwrap();
    put(pooled).await.unwrap();
    let nobody = NewTerms { owner: Owner::Payer("none".to_owned()), ..everybody() };
    assert!(matches!(put(nobody).await, Err(TillError::NotFound)));
    let negative = NewTerms::postpaid(Owner::Everybody, hryvnia(), uah(-1), day("2026-01-01"));
    assert_eq!(field(put(negative).await), "terms");
    assert!(matches!(scene.till.put_terms(&cashier(), everybody()).await, Err(TillError::Denied(_))));
});

story!(it_is_said_which_terms_count_for_a_patient_and_why_the_others_do_not, |scene| {
    works(&scene).await;
    let anna = scene.person("R-1").await;
    let from = day("2026-01-01");
    let put = async |new| scene.till.put_terms(&scene.boss, new).await.unwrap().terms.id;
    let all = put(everybody()).await;
    let group = put(NewTerms::postpaid(Owner::Payer("works".to_owned()), hryvnia(), uah(10), from)).await;
    let later = put(NewTerms { from: day("2027-01-01"), ..NewTerms::new(Owner::Patient(anna), hryvnia(), from) }).await;
    let euro = put(NewTerms::new(Owner::Patient(anna), Currency::default(), from)).await;
    let why = async |on: &str| {
        let answer = scene.till.terms_for(&scene.boss, anna, day(on), hryvnia()).await.unwrap();
        let lines: Vec<_> = answer.lines.iter().map(|(stored, why)| (stored.terms.id.clone(), *why)).collect();
        (answer.counting().map(|terms| terms.id.clone()), lines)
    };
    let (counting, lines) = why("2026-11-22").await;
    assert_eq!(counting, Some(all.clone()), "she is no member");
    assert_eq!(lines.len(), 3);
    scene.till.put_member(&scene.boss, "works", Member { person: anna, from, until: None }).await.unwrap();
    let (counting, lines) = why("2026-11-22").await;
    assert_eq!(counting, Some(group.clone()), "a group is more particular than everybody");
    let expected = [
        (group.clone(), Why::Counts),
        (all.clone(), Why::Particular),
        (later.clone(), Why::Later),
        (euro, Why::Currency),
    ];
    assert_eq!(lines, expected);
    assert_eq!(why("2027-02-01").await.0, Some(later));
    let high = put(NewTerms { priority: 5, ..everybody() }).await;
    assert_eq!(why("2026-11-22").await.0, Some(high));
    assert!(why("2026-11-22").await.1.contains(&(group, Why::Priority)));
    // The group ends, and with it what it says.
    let ended = NewPayer { ended: true, ..NewPayer::new("works", PayerKind::Group, "Steel works") };
    scene.till.put_payer(&scene.boss, ended).await.unwrap();
    assert_eq!(why("2026-11-22").await.1.len(), 4);
    // Two alike: allowed, the older counts, and it is said.
    let twin = put(everybody()).await;
    assert!(why("2026-11-22").await.1.iter().any(|(id, _)| *id == twin));
    let stored = scene.till.terms_of(&scene.boss, Some(&Owner::Everybody)).await.unwrap();
    let pairs: Vec<_> = overlaps(&stored).iter().map(|(a, b)| (a.id.clone(), b.id.clone())).collect();
    assert_eq!(pairs, [(all, twin)]);
    let nobody = scene.till.terms_for(&scene.boss, "f".repeat(32).parse().unwrap(), from, hryvnia()).await;
    assert!(matches!(nobody, Err(TillError::NotFound)));
});

story!(a_scale_has_versions_and_explains_itself, |scene| {
    let step = |from, rate| Step { from: uah(from), rate };
    let new = NewScheme {
        id: "loyal".to_owned(),
        name: "Loyal patients".to_owned(),
        currency: hryvnia(),
        steps: vec![step(0, 0), step(100_000, 500), step(200_000, 1_000)],
        rounding: Rounding::HalfUp,
        unit: 1,
    };
    let first = scene.till.put_scheme(&scene.boss, new.clone()).await.unwrap();
    assert_eq!(first.scheme.version, 1);
    assert_eq!(scene.till.put_scheme(&scene.boss, new.clone()).await.unwrap().scheme.version, 1, "nothing new");
    let finer = NewScheme { unit: 100, ..new.clone() };
    assert_eq!(scene.till.put_scheme(&scene.boss, finer).await.unwrap().scheme.version, 2);
    assert_eq!(scene.till.schemes(&scene.boss).await.unwrap().len(), 1);
    assert_eq!(scene.till.scheme_history(&scene.boss, "loyal").await.unwrap().len(), 2);
    let put = |new| scene.till.put_scheme(&scene.boss, new);
    assert_eq!(field(put(NewScheme { steps: vec![], ..new.clone() }).await), "steps");
    assert_eq!(field(put(NewScheme { steps: vec![step(5, 1), step(5, 2)], ..new.clone() }).await), "steps");
    assert_eq!(field(put(NewScheme { steps: vec![step(0, 10_001)], ..new.clone() }).await), "steps");
    assert_eq!(field(put(NewScheme { currency: Currency::default(), ..new.clone() }).await), "currency");
    // 90 000 before: no discount; the next ones after what was paid before them.
    let lines = explain(&first.scheme, uah(90_000), &[uah(10_001), uah(100_000), uah(333)]).unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|it| (it.before.minor(), it.discount.rate, it.discount.amount.minor(), it.net.minor()))
        .collect();
    assert_eq!(told, [(90_000, 0, 0, 10_001), (100_001, 500, 5_000, 95_000), (195_001, 500, 17, 316)]);
    assert!(scene.words("scheme/loyal").await[1].contains("version=2"));
});

story!(a_pot_may_be_set_below_what_is_owed_and_keeps_what_is_used, |scene| {
    works(&scene).await;
    scene.till.set_pot(&scene.boss, "works", hryvnia(), uah(1_000)).await.unwrap();
    store::transact!(scene.database, "test.used", |conn| {
        store::sqlx::query("UPDATE pot SET used_minor = 700").execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    let state = scene.till.set_pot(&scene.boss, "works", hryvnia(), uah(500)).await.unwrap();
    assert_eq!((state.limit, state.used), (uah(500), uah(700)));
    assert_eq!(scene.till.payer(&scene.boss, "works").await.unwrap().unwrap().pots, [state]);
    assert_eq!(field(scene.till.set_pot(&scene.boss, "works", hryvnia(), uah(-1)).await), "limit");
    let unknown = scene.till.set_pot(&scene.boss, "none", hryvnia(), uah(1)).await;
    assert!(matches!(unknown, Err(TillError::NotFound)));
    assert!(scene.words("payer/works").await.last().unwrap().contains("pot_limit=1000>500"));
});

story!(more_than_a_limit_is_allowed_within_bounds_for_a_while_and_with_words, |scene| {
    works(&scene).await;
    let anna = scene.person("R-1").await;
    let new = NewOverride {
        owner: OverrideOwner::Patient(anna),
        currency: hryvnia(),
        extra: uah(100_000),
        until: UtcMillis(NOON + 24 * HOUR),
        reason: OverrideReason::Treatment,
        words: "The course of infusions must go on".to_owned(),
    };
    let allow = |new| scene.till.allow_more(&scene.boss, new);
    let most = scene.till.rules().override_max;
    assert_eq!(field(allow(NewOverride { extra: most.plus(uah(1)).unwrap(), ..new.clone() }).await), "extra");
    assert_eq!(field(allow(NewOverride { extra: uah(0), ..new.clone() }).await), "extra");
    assert_eq!(field(allow(NewOverride { until: UtcMillis(NOON + 24 * HOUR + 1), ..new.clone() }).await), "until");
    assert_eq!(field(allow(NewOverride { until: UtcMillis(NOON), ..new.clone() }).await), "until");
    assert_eq!(field(allow(NewOverride { currency: Currency::default(), ..new.clone() }).await), "currency");
    let silent = allow(NewOverride { words: "because  ".to_owned(), ..new.clone() }).await;
    assert!(matches!(silent, Err(TillError::ReasonWanted)));
    let no_pot = allow(NewOverride { owner: OverrideOwner::Pot("works".to_owned()), ..new.clone() }).await;
    assert!(matches!(no_pot, Err(TillError::NotFound)));
    let made = allow(new.clone()).await.unwrap();
    assert!(made.no == 1 && made.is_open_at(scene.now()) && !made.is_open_at(UtcMillis(NOON + 24 * HOUR)));
    let open = OverrideFilter { open: true, ..OverrideFilter::default() };
    assert_eq!(scene.till.overrides(&scene.boss, &open).await.unwrap(), std::slice::from_ref(&made));
    scene.till.end_override(&scene.boss, &made.id).await.unwrap();
    assert!(matches!(scene.till.end_override(&scene.boss, &made.id).await, Err(TillError::NotFound)));
    assert!(scene.till.overrides(&scene.boss, &open).await.unwrap().is_empty());
    assert_eq!(scene.till.overrides(&scene.boss, &OverrideFilter::default()).await.unwrap().len(), 1);
    for (reason, count) in [(OverrideReason::Treatment, 1), (OverrideReason::Mistake, 0)] {
        let filter = OverrideFilter { reason: Some(reason), ..OverrideFilter::default() };
        assert_eq!(scene.till.overrides(&scene.boss, &filter).await.unwrap().len(), count, "{reason}");
    }
    let words = scene.words(&format!("override/{}", made.id)).await;
    assert!(words[0].contains("extra=100000") && words[1].contains("ended"), "{words:?}");
    assert!(!words.join(" ").contains("infusions"), "what a person typed is a note");
    for _ in 0..OPEN_MAX {
        allow(new.clone()).await.unwrap();
    }
    assert_eq!(field(allow(new.clone()).await), "owner", "so that their sum has a bound");
    scene.set(NOON + 24 * HOUR);
    let until = UtcMillis(NOON + 25 * HOUR);
    allow(NewOverride { until, ..new }).await.unwrap();
    let told = scene.told().await;
    assert!(told.iter().filter(|patient| **patient == Some(anna.to_string())).count() > 10, "her pages hear of it");
});
