//! What is offered before anything is registered.

use clinic::till::{Left, TillError};
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
        let new = clinic::till::NewCharge { shown: Some(shown), ..clinic.wish(10, "blood") };
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
