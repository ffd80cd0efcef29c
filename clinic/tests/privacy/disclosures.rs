//! The register of disclosures: with the audit entry or not at all, by person, bounded.

use std::collections::BTreeSet;

use clinic::disclosures::{self, Class, Disclosure, DisclosureError, Filter, Ground, Recipient, RecipientKind, Route};
use domain::{Field, PersonId, Shipped};
use store::testing::both;

use crate::{DAY, NOW, acting, log, officer, person};

fn export(persons: &[u8]) -> Disclosure {
    let manager = acting(Shipped::Manager, '1');
    Disclosure {
        records: 240,
        persons: persons.iter().copied().map(person).collect(),
        ..Disclosure::export(&manager, "/journal.csv", &[Class::LocationTrace])
    }
}

#[tokio::test]
async fn an_export_is_in_the_register_with_whose_data_it_held() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let manager = acting(Shipped::Manager, '1');
        let id = disclosures::register(&database, &manager, export(&[1, 2]), None, NOW).await.unwrap();
        disclosures::register(&database, &manager, export(&[2]), None, NOW.plus_ms(DAY)).await.unwrap();
        let all = disclosures::list(&database, &officer(), &Filter::default(), None, 10).await.unwrap();
        assert_eq!(all.lines.len(), 2);
        let first = &all.lines[1];
        assert_eq!((first.id.as_str(), first.records, first.persons), (id.as_str(), 240, 2));
        assert_eq!((first.route, first.recipient_kind), (Route::PageExport, RecipientKind::Account));
        assert_eq!(disclosures::persons_of(&database, &officer(), &id).await.unwrap(), [person(1), person(2)]);
        assert_eq!(disclosures::of_person(&database, &officer(), person(1)).await.unwrap().len(), 1);
        assert_eq!(disclosures::of_person(&database, &officer(), person(2)).await.unwrap().len(), 2);
        assert_eq!(disclosures::count_since(&database, &officer(), NOW.plus_ms(1)).await.unwrap(), 1);
        let entries = log(&database).await;
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].0.as_str(), entries[0].2.as_deref()), ("exported", Some("/journal.csv")));
        assert!(entries[0].3.as_ref().unwrap().contains(&id), "the entry leads to the line");
    }
}

#[tokio::test]
async fn pages_of_the_register_follow_each_other_without_gap() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let manager = acting(Shipped::Manager, '1');
        for n in 0..23 {
            // Several at one moment.
            disclosures::register(&database, &manager, export(&[1]), None, NOW.plus_ms(n / 5)).await.unwrap();
        }
        let (mut seen, mut after) = (BTreeSet::new(), None);
        loop {
            let page = disclosures::list(&database, &officer(), &Filter::default(), after, 5).await.unwrap();
            seen.extend(page.lines.iter().map(|line| line.id.clone()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 23);
        let none = Filter { route: Some(Route::Api), ..Filter::default() };
        assert!(disclosures::list(&database, &officer(), &none, None, 5).await.unwrap().lines.is_empty());
    }
}

#[tokio::test]
async fn what_is_given_by_hand_is_written_by_the_officer() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let court = Disclosure {
            route: Route::ByHand,
            to: Recipient::organisation("District court, case 12/2026").unwrap(),
            ground: Ground::Law,
            object: None,
            classes: vec![Class::Identity, Class::LocationTrace],
            fields: vec![Field::Name],
            records: 12,
            persons: BTreeSet::from([person(3)]),
        };
        let guard = disclosures::register_by_hand(&database, &acting(Shipped::Guard, '1'), court.clone(), NOW).await;
        assert!(matches!(guard, Err(DisclosureError::Denied(_))));
        disclosures::register_by_hand(&database, &officer(), court, NOW).await.unwrap();
        let line = disclosures::of_person(&database, &officer(), person(3)).await.unwrap().remove(0);
        assert_eq!((line.recipient.as_str(), line.ground), ("District court, case 12/2026", Ground::Law));
        assert!(Recipient::organisation(" ").is_err() && Recipient::organisation("a\nb").is_err());
        assert_eq!(log(&database).await[0].0, "disclosed");
    }
}

#[tokio::test]
async fn a_large_export_lists_everybody_and_a_larger_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let many = |count: u32| {
        (0..count).map(|n| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            PersonId(id)
        })
    };
    for database in both(folder.path()).await {
        let manager = acting(Shipped::Manager, '1');
        let large = Disclosure { persons: many(12_000).collect(), ..export(&[]) };
        let id = disclosures::register(&database, &manager, large, None, NOW).await.unwrap();
        let count: i64 = store::read!(database, "test.count", |conn| {
            Ok(sqlx::query_scalar("SELECT COUNT(*) FROM disclosure_person WHERE disclosure = $1")
                .bind(&id)
                .fetch_one(&mut *conn)
                .await?)
        })
        .unwrap();
        assert_eq!(count, 12_000);
        let larger = Disclosure { persons: many(100_001).collect(), ..export(&[]) };
        let refused = disclosures::register(&database, &manager, larger, None, NOW).await;
        assert!(matches!(refused, Err(DisclosureError::TooMany)));
        assert_eq!(log(&database).await.len(), 1, "nothing of it was written");
    }
}

#[tokio::test]
async fn the_register_is_read_by_those_who_may() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        for (role, may) in [
            (Shipped::Auditor, true),
            (Shipped::PrivacyOfficer, true),
            (Shipped::Guard, false),
            (Shipped::Manager, false),
            (Shipped::PassOffice, false),
        ] {
            let somebody = acting(role, '1');
            let list = disclosures::list(&database, &somebody, &Filter::default(), None, 5).await;
            assert_eq!(list.is_ok(), may, "{role}");
            assert_eq!(disclosures::of_person(&database, &somebody, person(1)).await.is_ok(), may, "{role}");
            assert_eq!(disclosures::persons_of(&database, &somebody, "x").await.is_ok(), may, "{role}");
        }
    }
}
