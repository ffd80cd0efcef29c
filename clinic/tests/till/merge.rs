//! Two records of a patient become one: what they owe and have paid in is one then.

use clinic::acting::Acting;
use clinic::feeds::{Alias, Feeds, MergeOutcome, Settings, SiteKeys, Source};
use clinic::people::Reference;
use domain::Clock;
use domain::money::Amount;
use domain::till::terms::{Mode, Owner};

use crate::clinic_of::{Clinic, amount, both, doctor, uah};
use crate::register::pot;
use crate::scene::{NOW, manager, person};

/// The record of the first patient is joined to that of the second.
async fn merge(clinic: &Clinic, from: u8, into: u8) {
    for number in [from, into] {
        clinic
            .sql(
                "INSERT INTO person_alias (system, value, person) VALUES ('mis', $1, $2) ON CONFLICT DO NOTHING",
                vec![format!("P-{number}"), person(number).to_string()],
            )
            .await;
    }
    let keys = SiteKeys { card: domain::CardKey::new([3; 32]), seal: None };
    let settings = Settings::new(chrono_tz::Europe::Kyiv);
    let feeds = Feeds::new(clinic.scene.database.clone(), Clock::new(|| NOW), None, keys, settings);
    let source = Source::new("mis").unwrap();
    let alias = |number: u8| Alias::own(Reference::new(&format!("P-{number}")).unwrap());
    let done = feeds.merge(&Acting::feed(&source), &source, &alias(from), &alias(into), NOW).await.unwrap();
    assert_eq!(done, MergeOutcome::Merged(person(into)));
}

#[tokio::test]
async fn what_both_owe_and_have_is_of_the_one_that_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.scheme("loyal").await;
        clinic.terms(Mode::Postpaid, Some(35_000), Some("loyal")).await;
        let one = clinic.register(10, "blood").await.unwrap();
        let order = clinic.register(10, "home").await.unwrap();
        clinic.register(11, "blood").await.unwrap();
        merge(&clinic, 10, 11).await;
        let account = clinic.account(person(11)).await;
        assert_eq!((account.owed, account.rendered), (amount(20_000), amount(20_000)));
        assert_eq!(clinic.account(person(10)).await, domain::till::Account::default());
        assert_eq!(clinic.ledger().await[2..], ["merged merged>owed 10000", "merged owed>merged 10000"]);
        let open: Vec<_> = clinic.till.open_charges(&doctor(1), person(10)).await.unwrap();
        assert_eq!(open.iter().map(|charge| charge.no).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(open.iter().all(|charge| charge.patient == person(11)));
        // The scale goes by both; the limit is that of both.
        let next = clinic.register(10, "blood").await.unwrap();
        assert_eq!((next.before, next.price.discount.rate), (amount(20_000), 300));
        assert!(clinic.register(11, "blood").await.is_err());
        clinic.till.cancel(&doctor(1), clinic.key(), &one.id, clinic::till::CancelReason::Twice, "").await.unwrap();
        clinic.register(11, "blood").await.unwrap();
        clinic
            .till
            .cancel(&doctor(1), clinic.key(), &order.id, clinic::till::CancelReason::Declined, "")
            .await
            .unwrap();
        let checked = clinic.till.check(&manager()).await.unwrap();
        assert!(checked.is_right(), "{:?}", checked.findings);
        let again = clinic.till.recalculate(&doctor(1), person(11)).await.unwrap();
        assert_eq!(again.lines.len(), 5);
        assert!(again.is_same(), "{:?}", again.lines);
    }
}

#[tokio::test]
async fn a_limit_of_a_group_holds_over_both_records_and_their_membership_is_one() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(5_000), None).await;
        let payer = pot(&clinic, 25_000, &[10, 12]).await;
        clinic.terms_for(Owner::Payer(payer.clone()), Mode::Postpaid, None, Some(&payer), None, 1).await;
        clinic.register(10, "blood").await.unwrap();
        assert!(clinic.register(11, "blood").await.is_err(), "alone, by the terms of everybody");
        merge(&clinic, 10, 11).await;
        // 11 is a member now; what 10 owes counts against the group's limit still.
        clinic.register(11, "blood").await.unwrap();
        assert_eq!(clinic.pot_used(&payer).await, 20_000);
        for who in [10, 11, 12] {
            assert!(clinic.register(who, "blood").await.is_err(), "5000 are left");
        }
        let members = clinic.till.members(&manager(), &payer, None, 100).await.unwrap();
        let mut members: Vec<_> = members.iter().map(|member| member.person).collect();
        members.sort_unstable();
        assert_eq!(members, [person(11), person(12)], "each once, the record that is left");
        let why = clinic.till.terms_for(&manager(), person(11), clinic.till.today(), uah()).await.unwrap();
        assert_eq!(why.lines.len(), 2, "the page says the same as the registrar");
        // Whoever ends it ends it for both.
        let last = domain::schedule::LocalDate(clinic.till.today().0 - 1);
        clinic.till.end_member(&manager(), &payer, person(11), last).await.unwrap();
        let account = clinic.account(person(11)).await;
        assert_eq!(account.owed, amount(20_000));
        assert!(clinic.register(11, "blood").await.is_err(), "20000 are more than 5000");
        let checked = clinic.till.check(&manager()).await.unwrap();
        assert!(checked.is_right(), "{:?}", checked.findings);
    }
}

#[tokio::test]
async fn of_two_memberships_from_one_day_the_longer_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        let payer = pot(&clinic, 25_000, &[10, 11]).await;
        let today = clinic.till.today();
        let until = Some(domain::schedule::LocalDate(today.0 + 5));
        let from = clinic.till.members(&manager(), &payer, None, 100).await.unwrap()[0].from;
        let short = clinic::till::Member { person: person(11), from, until };
        clinic.till.put_member(&manager(), &payer, short).await.unwrap();
        merge(&clinic, 10, 11).await;
        let members = clinic.till.members(&manager(), &payer, None, 100).await.unwrap();
        assert_eq!(members, [clinic::till::Member { person: person(11), from, until: None }]);
    }
}

#[tokio::test]
async fn terms_and_what_was_allowed_to_the_record_that_is_gone_count_for_the_one_that_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms_for(Owner::Patient(person(10)), Mode::Postpaid, Some(5_000), None, None, 0).await;
        let new = clinic::till::NewOverride {
            owner: clinic::till::OverrideOwner::Patient(person(10)),
            currency: crate::clinic_of::uah(),
            extra: amount(5_000),
            until: crate::clinic_of::at(1_000_000),
            reason: clinic::till::OverrideReason::Surety,
            words: "a letter of the insurer came".to_owned(),
        };
        clinic.till.allow_more(&manager(), new).await.unwrap();
        assert!(clinic.register(11, "blood").await.is_err());
        merge(&clinic, 10, 11).await;
        assert_eq!(clinic.ledger().await, [] as [String; 0]);
        clinic.register(11, "blood").await.unwrap();
        assert_eq!(clinic.account(person(11)).await.owed, amount(10_000));
        assert_eq!(clinic.account(person(11)).await.deposit, Amount::ZERO);
    }
}
