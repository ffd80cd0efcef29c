//! Services and prices: versions, prices to come, what is refused.

use clinic::till::{NewPrice, NewService, ServiceFilter, TillError};
use domain::money::Currency;

use crate::scene::{HOUR, NOON, Scene, cashier, day, hryvnia, story, uah};

async fn service(scene: &Scene, code: &str, name: &str) {
    scene.till.put_service(&scene.boss, NewService::new(code, name)).await.unwrap();
}

fn price(code: &str, minor: i64) -> Vec<NewPrice> {
    vec![NewPrice::new(code, hryvnia(), uah(minor))]
}

/// The price that counts now and the next one, in minor units.
async fn now_and_next(scene: &Scene, code: &str) -> (Option<i64>, Option<i64>) {
    let filter = ServiceFilter { find: code.to_owned(), ..ServiceFilter::default() };
    let line = scene.till.services(&cashier(), &filter).await.unwrap().remove(0);
    let minor = |price: Option<clinic::till::PriceNow>| price.and_then(|price| price.amount).map(|it| it.minor());
    (minor(line.price), minor(line.next))
}

story!(a_price_counts_from_its_day_and_a_planned_one_stays_planned_when_todays_changes, |scene| {
    service(&scene, "A-1", "Consultation").await;
    assert_eq!(now_and_next(&scene, "A-1").await, (None, None));
    let set = scene.till.set_prices(&scene.boss, None, price("A-1", 50_000)).await.unwrap();
    assert_eq!((set.version, set.changes), (Some(1), 1));
    let later = Some(day("2026-12-01"));
    scene.till.set_prices(&scene.boss, later, price("A-1", 60_000)).await.unwrap();
    assert_eq!(now_and_next(&scene, "A-1").await, (Some(50_000), Some(60_000)));
    // Changed after the other was planned: today's price is this, and the planned one still comes.
    scene.till.set_prices(&scene.boss, Some(day("2026-11-22")), price("A-1", 55_000)).await.unwrap();
    assert_eq!(now_and_next(&scene, "A-1").await, (Some(55_000), Some(60_000)));
    // For the same instant the newer version counts.
    scene.till.set_prices(&scene.boss, later, price("A-1", 62_000)).await.unwrap();
    assert_eq!(now_and_next(&scene, "A-1").await, (Some(55_000), Some(62_000)));
    // Midnight in Kyiv is 22:00 UTC the day before.
    let midnight = NOON + 8 * 24 * HOUR + 12 * HOUR;
    scene.set(midnight - 1);
    assert_eq!(now_and_next(&scene, "A-1").await, (Some(55_000), Some(62_000)));
    scene.set(midnight);
    assert_eq!(now_and_next(&scene, "A-1").await, (Some(62_000), None));
    let (_, history) = scene.till.service(&cashier(), "A-1").await.unwrap().unwrap();
    let versions: Vec<_> = history.iter().map(|price| (price.version, price.amount.unwrap().minor())).collect();
    assert_eq!(versions, [(4, 62_000), (3, 55_000), (2, 60_000), (1, 50_000)]);
    let words = scene.words("price_list/3").await;
    assert_eq!(words, [format!("version=3 from={NOON} changes=1 A-1:UAH:50000>55000")]);
});

story!(what_is_so_already_makes_no_version, |scene| {
    service(&scene, "A-1", "Consultation").await;
    scene.till.set_prices(&scene.boss, None, price("A-1", 50_000)).await.unwrap();
    let again = scene.till.set_prices(&scene.boss, None, price("A-1", 50_000)).await.unwrap();
    assert_eq!((again.version, again.changes), (None, 0));
    service(&scene, "A-1", "Consultation").await;
    assert_eq!(scene.words("service/A-1").await.len(), 1, "nor does a service that is as it was");
    assert_eq!(scene.till.price_versions(&cashier()).await.unwrap().len(), 1);
});

story!(prices_that_make_no_sense_are_refused_and_nothing_changes, |scene| {
    service(&scene, "A-1", "Consultation").await;
    let set = |from, prices| scene.till.set_prices(&scene.boss, from, prices);
    let field = |outcome: Result<_, TillError>| match outcome {
        Err(TillError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(set(None, price("A-1", -1)).await), "price");
    assert_eq!(field(set(None, price("B-9", 100)).await), "service");
    assert_eq!(field(set(None, [price("A-1", 1), price("A-1", 2)].concat()).await), "service");
    assert_eq!(field(set(Some(day("2026-11-21")), price("A-1", 100)).await), "from", "a day that is over");
    assert_eq!(field(set(Some(day("9999-01-01")), price("A-1", 100)).await), "from");
    let many = (0..=clinic::till::PRICES_MAX).map(|n| NewPrice::new(&format!("N{n}"), hryvnia(), uah(1))).collect();
    assert_eq!(field(set(None, many).await), "prices");
    let denied = scene.till.set_prices(&cashier(), None, price("A-1", 100)).await;
    assert!(matches!(denied, Err(TillError::Denied(_))));
    for bad in [NewService::new("a b", "x"), NewService::new("", "x"), NewService::new("A", " "), NewService::default()]
    {
        assert!(matches!(scene.till.put_service(&scene.boss, bad).await, Err(TillError::Invalid { .. })));
    }
    assert!(scene.till.price_versions(&cashier()).await.unwrap().is_empty());
});

story!(a_service_can_be_found_ended_and_sold_in_two_currencies, |scene| {
    for (code, name) in [("A-1", "Консультация"), ("B-1", "X-ray"), ("B-2", "Ultrasound")] {
        service(&scene, code, name).await;
    }
    let (euro, rates) = (Currency::default(), NewPrice::new("B-1", Currency::default(), uah(2_000)));
    scene.till.set_prices(&scene.boss, None, [price("B-1", 80_000), vec![rates]].concat()).await.unwrap();
    let found = async |filter: ServiceFilter| {
        let lines = scene.till.services(&cashier(), &filter).await.unwrap();
        lines.into_iter().map(|line| line.service.code).collect::<Vec<_>>()
    };
    let filter = ServiceFilter::default;
    assert_eq!(found(ServiceFilter { find: "КОНСУЛЬТ".to_owned(), ..filter() }).await, ["A-1"], "of any script");
    assert_eq!(found(ServiceFilter { find: "b-".to_owned(), limit: 1, ..filter() }).await, ["B-1"]);
    assert_eq!(found(ServiceFilter { after: Some("B-1".to_owned()), ..filter() }).await, ["B-2"]);
    let in_euro = ServiceFilter { currency: Some(euro), find: "B-1".to_owned(), ..filter() };
    let line = scene.till.services(&cashier(), &in_euro).await.unwrap().remove(0);
    assert_eq!(line.price.unwrap().amount, Some(uah(2_000)));
    // Not sold any more in one of them: a price that is absent, from a day on.
    let stop = NewPrice { amount: None, ..NewPrice::new("B-1", euro, uah(0)) };
    scene.till.set_prices(&scene.boss, None, vec![stop]).await.unwrap();
    let line = scene.till.services(&cashier(), &in_euro).await.unwrap().remove(0);
    assert_eq!(line.price.unwrap().amount, None);
    let mut ended = NewService::new("B-2", "Ultrasound");
    ended.ended = true;
    let ended = scene.till.put_service(&scene.boss, ended).await.unwrap();
    assert_eq!(ended.ended, Some(scene.now()));
    assert_eq!(found(filter()).await, ["A-1", "B-1"]);
    assert_eq!(found(ServiceFilter { with_ended: true, ..filter() }).await, ["A-1", "B-1", "B-2"]);
    assert!(scene.words("service/B-2").await[1].contains("ended=0>1"));
});
