//! What is offered before anything is registered.

use clinic::till::{CancelReason, Left, NewCharge, TillError};
use domain::money::Amount;
use domain::till::Refusal;
use domain::till::terms::{Mode, Owner};

use crate::clinic_of::{amount, both, doctor};
use crate::register::pot;
use crate::scene::person;

#[tokio::test]
async fn services_are_offered_with_what_they_cost_now_and_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.scheme("loyal").await;
        let payer = pot(&clinic, 60_000, &[10]).await;
        let owner = Owner::Payer(payer.clone());
        clinic.terms_for(owner, Mode::Postpaid, Some(50_000), Some(&payer), Some("loyal"), 0).await;
        clinic.register(10, "blood").await.unwrap();
        clinic.service("unpriced", false).await;
        let offers = clinic.till.offers(&doctor(1), person(10), "", 100).await.unwrap();
        assert_eq!(offers.services[0].service, "blood", "what is registered most comes first");
        let codes: Vec<&str> = offers.services.iter().map(|offer| offer.service.as_str()).collect();
        assert_eq!(codes, ["blood", "free", "home", "scan", "unpriced"]);
        let left = Left { limit: amount(50_000), extra: Amount::ZERO, used: amount(10_000), left: amount(40_000) };
        assert_eq!(offers.limit, Some(left));
        let shared = offers.pot.clone().unwrap();
        assert_eq!((shared.payer, shared.name.as_str(), shared.left.left), (payer, "The firm", amount(50_000)));
        assert_eq!((offers.rate, offers.next.unwrap().from), (300, amount(50_000)));
        let of = |code: &str| offers.services.iter().find(|offer| offer.service == code).unwrap();
        assert_eq!(of("blood").price.unwrap().net, amount(9_700));
        assert_eq!(of("home").mode, Some(Mode::Prepaid));
        assert_eq!(of("unpriced").refusal, Some(Refusal::NoPrice));
        let scan = of("scan");
        let limit = amount(50_000);
        assert_eq!(scan.refusal, Some(Refusal::PatientLimit { limit, left: amount(40_000), missing: amount(20_140) }));
        // What was shown is what is registered.
        let shown = of("blood").price.unwrap().net;
        let new = NewCharge { shown: Some(shown), ..clinic.wish(10, "blood") };
        assert_eq!(clinic.till.register(&doctor(1), new).await.unwrap().price.net, shown);
    }
}

#[tokio::test]
async fn services_are_found_by_code_and_by_name_in_any_language_and_case() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        let find = async |text: &str, limit: u32| {
            let offers = clinic.till.offers(&doctor(1), person(10), text, limit).await.unwrap();
            (offers.services.into_iter().map(|offer| offer.service).collect::<Vec<_>>(), offers.has_more)
        };
        assert_eq!(find("BLOO", 10).await, (vec!["blood".to_owned()], false));
        assert_eq!(find("послуга SC", 10).await, (vec!["scan".to_owned()], false));
        assert_eq!(find("нічого", 10).await, (vec![], false));
        assert_eq!(find("", 2).await, (vec!["blood".to_owned(), "free".to_owned()], true));
        let offers = clinic.till.offers(&doctor(1), person(10), "", 10).await.unwrap();
        assert_eq!((offers.terms, offers.services[0].refusal), (None, Some(Refusal::NoTerms)));
        let nobody = clinic.till.offers(&doctor(1), domain::PersonId([99; 16]), "", 10).await;
        assert!(matches!(nobody, Err(TillError::NotFound)), "{nobody:?}");
    }
}

#[tokio::test]
async fn several_pieces_are_offered_for_what_they_are_charged() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.scheme("loyal").await;
        clinic.terms(Mode::Postpaid, Some(50_000), Some("loyal")).await;
        clinic.register(10, "blood").await.unwrap();
        // 3 % of 49 is 1.47 and becomes 1; of three of them 4.41, which becomes 4 and not 3.
        clinic.service("drop", false).await;
        clinic.price("drop", 49).await;
        let doctor = doctor(1);
        let of =
            async |service: &str, quantity| clinic.till.offer(&doctor, person(10), service, quantity).await.unwrap();
        let (one, three) = (of("drop", 1).await.unwrap(), of("drop", 3).await.unwrap());
        let net = |offer: &clinic::till::Offer| offer.price.unwrap().net;
        assert_eq!((net(&one), net(&three)), (amount(48), amount(143)), "rounded once, not for each piece");
        assert_eq!((three.unit, three.price.unwrap().discount.rate), (Some(amount(49)), 300));
        let new = NewCharge { quantity: 3, shown: Some(net(&three)), ..clinic.wish(10, "drop") };
        assert_eq!(clinic.till.register(&doctor, new).await.unwrap().price.net, net(&three));
        // Whether so many can be registered, and not whether one can.
        assert_eq!(of("scan", 1).await.unwrap().refusal.map(|it| it.code()), Some("patient_limit"));
        assert_eq!(of("blood", 4).await.unwrap().refusal, None);
        assert_eq!(of("blood", 5).await.unwrap().refusal.map(|it| it.code()), Some("patient_limit"));
        for none in [0, 10_001] {
            let offer = of("blood", none).await.unwrap();
            assert_eq!((offer.price, offer.refusal), (None, Some(Refusal::Quantity)));
        }
        assert_eq!(of("nothing", 1).await, None);
        let nobody = clinic.till.offer(&doctor, domain::PersonId([99; 16]), "blood", 1).await;
        assert!(matches!(nobody, Err(TillError::NotFound)), "{nobody:?}");
    }
}

#[tokio::test]
async fn what_is_used_of_a_shared_pot_is_told_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        let payer = pot(&clinic, 60_000, &[10, 11]).await;
        clinic.terms_for(Owner::Payer(payer.clone()), Mode::Postpaid, Some(50_000), Some(&payer), None, 0).await;
        assert_eq!(clinic.till.pot_used(&doctor(1), &payer).await.unwrap(), Some(Amount::ZERO));
        clinic.register(11, "blood").await.unwrap();
        assert_eq!(clinic.till.pot_used(&doctor(1), &payer).await.unwrap(), Some(amount(10_000)));
        assert_eq!(clinic.till.pot_used(&doctor(1), "nobody").await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_was_ordered_is_listed_for_later_visits_until_it_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Prepaid, None, None).await;
        let (first, second) = (clinic.register(10, "blood").await.unwrap(), clinic.register(10, "scan").await.unwrap());
        clinic.register(11, "blood").await.unwrap();
        let listed = async || {
            let orders = clinic.till.orders_of(&doctor(1), person(10)).await.unwrap();
            orders.into_iter().map(|order| order.id).collect::<Vec<_>>()
        };
        assert_eq!(listed().await, [first.id.clone(), second.id.clone()]);
        let key = clinic.key();
        clinic.till.cancel(&doctor(1), key, &first.id, CancelReason::Mistake, "").await.unwrap();
        assert_eq!(listed().await, [second.id]);
    }
}
