//! Registering, looking and finding.

use clinic::audit::Purpose;
use clinic::vault::{CardState, VaultError, VaultState};
use domain::vault::PassportRefused;
use domain::{Field, Permission, Rights, Shipped, Zones};

use crate::scene::{both, office, passport, renamed, somebody};

#[tokio::test]
async fn a_passport_reads_back_as_it_was_written_and_as_far_as_the_role_goes() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        let office = office();
        let shown = scene.vault.reveal(&office, person, Field::ALL, Purpose::PassIssue, None).await.unwrap();
        assert_eq!(shown, passport("Іваненко", "Олена"));
        // The contact centre's role shows no documents, whatever is asked for.
        let centre = somebody(Shipped::ContactCentre);
        let shown = scene.vault.reveal(&centre, person, Field::ALL, Purpose::Booking, None).await.unwrap();
        assert!(shown.documents.is_empty() && !shown.contacts.is_empty());
        let refused = scene.vault.reveal(&centre, person, &[Field::Document], Purpose::Booking, None).await;
        assert!(matches!(refused, Err(VaultError::NothingToShow)));
        assert_eq!(scene.entries("person_revealed").await, 2);
        let masked = scene.vault.masked(&office, person).await.unwrap();
        assert_eq!(masked.name.reveal(), "І••••• О••••• П•••••");
        assert_eq!(scene.entries("person_seen").await, 1);
    }
}

#[tokio::test]
async fn a_correction_changes_what_it_names_and_keeps_what_was_known() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        let office = office();
        scene.pass(1000);
        scene.vault.put(&office, person, renamed("Галаган"), Purpose::PassIssue).await.unwrap();
        let shown = scene.vault.reveal(&office, person, Field::ALL, Purpose::PassIssue, None).await.unwrap();
        assert_eq!(shown.names.short().reveal(), "Галаган О.");
        assert_eq!(shown.documents, passport("", "x").documents);
        let found = |words: &'static str| {
            let vault = scene.vault.clone();
            let office = office.clone();
            async move { vault.search(&office, words, 10, Purpose::PassIssue).await.unwrap().people.len() }
        };
        assert_eq!((found("галаг").await, found("іваненко").await, found("петр").await), (1, 0, 0));
        let history = scene.vault.history(&office, person, Purpose::PassIssue).await.unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].names.as_ref().unwrap().full().reveal(), "Іваненко Олена Петрівна");
        assert!(matches!(
            scene.vault.put(&office, person, renamed("a\nb"), Purpose::PassIssue).await,
            Err(VaultError::Refused(PassportRefused::Control))
        ));
        assert_eq!(scene.entries("person_changed").await, 2, "a change that is refused is none");
    }
}

#[tokio::test]
async fn cards_show_what_the_role_shows_and_write_one_entry_for_a_look() {
    for scene in both().await {
        let (one, two) = (scene.registered("Іваненко", "Олена").await, scene.registered("Галаган", "Олег").await);
        let nobody = scene.person().await;
        let guard = somebody(Shipped::Guard);
        let asked = [two, one, two, nobody];
        for _ in 0..3 {
            let cards = scene.vault.cards(&guard, &asked, Purpose::Checkpoint).await.unwrap();
            let names: Vec<_> = cards.iter().map(|card| card.name.as_ref().map(|name| name.short())).collect();
            assert_eq!(names.len(), 3);
            assert_eq!(names[0].as_ref().unwrap().reveal(), "Галаган О. П.");
            assert_eq!(cards[2].state, CardState::Unknown);
            scene.pass(1000);
        }
        assert_eq!(scene.entries("person_seen").await, 2);
        scene.pass(10 * 60 * 1000);
        scene.vault.cards(&guard, &[one], Purpose::Checkpoint).await.unwrap();
        assert_eq!(scene.entries("person_seen").await, 3);
        let manager = somebody(Shipped::Manager);
        let cards = scene.vault.cards(&manager, &asked, Purpose::Checkpoint).await.unwrap();
        assert!(cards.iter().all(|card| card.name.is_none() && card.photo.is_none()));
        assert_eq!(scene.entries("person_seen").await, 3, "who sees nothing has not looked");
        let integrator = somebody(Shipped::Integrator);
        assert!(matches!(
            scene.vault.cards(&integrator, &[one], Purpose::Checkpoint).await,
            Err(VaultError::Denied(_))
        ));
    }
}

#[tokio::test]
async fn people_are_found_by_what_they_are_called_and_each_search_is_recorded_without_its_words() {
    for scene in both().await {
        let person = scene.registered("Константинопольська", "Олена").await;
        scene.registered("Костенко", "Олег").await;
        let office = office();
        for (words, count) in [
            ("ко", 2),
            ("конст", 1),
            ("оле кост", 1),
            ("петрівна", 2),
            ("константинопольська", 1),
            ("константинопольський", 0),
            ("067 555 01 99", 2),
            ("сн-123477", 2),
            ("сн-123478", 0),
        ] {
            let found = scene.vault.search(&office, words, 10, Purpose::PassIssue).await.unwrap();
            assert_eq!(found.people.len(), count, "{words}");
        }
        let reference = format!("ref-{person}");
        let found = scene.vault.search(&office, &reference, 10, Purpose::PassIssue).await.unwrap();
        assert_eq!(found.people[0].person, person);
        let page = scene.vault.search(&office, "ко", 1, Purpose::PassIssue).await.unwrap();
        assert!(page.more && page.people.len() == 1);
        assert!(matches!(scene.vault.search(&office, "к", 9, Purpose::PassIssue).await, Err(VaultError::Query(_))));
        assert_eq!(scene.entries("person_searched").await, 11);
        let guard = somebody(Shipped::Guard);
        let refused = scene.vault.search(&guard, "ко", 9, Purpose::Checkpoint).await;
        assert!(matches!(refused, Err(VaultError::Denied(denied)) if denied.0 == Permission::PersonFind));
    }
}

#[tokio::test]
async fn restricted_persons_are_found_only_by_who_answers_for_privacy() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        let officer = somebody(Shipped::PrivacyOfficer);
        scene.vault.restrict(&officer, person, true).await.unwrap();
        let reference = format!("ref-{person}");
        for words in ["іван", "сн123477", &reference] {
            let found = scene.vault.search(&office(), words, 9, Purpose::PassIssue).await.unwrap();
            assert!(found.people.is_empty(), "{words}");
            let found = scene.vault.search(&officer, words, 9, Purpose::PersonRequest).await.unwrap();
            assert!(found.people[0].restricted, "{words}");
        }
        scene.vault.restrict(&officer, person, false).await.unwrap();
        assert_eq!(scene.vault.search(&office(), "іван", 9, Purpose::PassIssue).await.unwrap().people.len(), 1);
        assert_eq!(scene.entries("person_restricted").await, 2);
    }
}

#[tokio::test]
async fn a_locked_vault_shows_pseudonyms_and_opens_again() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        let admin = somebody(Shipped::Administrator);
        scene.vault.lock(&admin).await.unwrap();
        let cards = scene.vault.cards(&somebody(Shipped::Guard), &[person], Purpose::Checkpoint).await.unwrap();
        assert_eq!(cards[0].state, CardState::Locked);
        let office = office();
        for outcome in [
            scene.vault.masked(&office, person).await.err(),
            scene.vault.reveal(&office, person, Field::ALL, Purpose::PassIssue, None).await.err(),
            scene.vault.search(&office, "іван", 9, Purpose::PassIssue).await.err(),
            scene.vault.put(&office, person, renamed("x"), Purpose::PassIssue).await.err(),
        ] {
            assert!(matches!(outcome, Some(VaultError::Locked(_))), "{outcome:?}");
        }
        assert!(matches!(scene.vault.reopen(&admin).await.unwrap(), VaultState::Open { .. }));
        scene.vault.masked(&office, person).await.unwrap();
    }
}

#[tokio::test]
async fn without_the_permission_nothing_is_shown_or_changed() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        let mut nobody = somebody(Shipped::Integrator);
        nobody.rights = Rights::default();
        // All fields, and no permission at all.
        nobody.rights.add(&[], Field::ALL, &Zones::All);
        let vault = &scene.vault;
        for outcome in [
            vault.masked(&nobody, person).await.err(),
            vault.reveal(&nobody, person, Field::ALL, Purpose::PassIssue, None).await.err(),
            vault.search(&nobody, "іван", 9, Purpose::PassIssue).await.err(),
            vault.put(&nobody, person, renamed("x"), Purpose::PassIssue).await.err(),
            vault.cards(&nobody, &[person], Purpose::PassIssue).await.err(),
            vault.history(&nobody, person, Purpose::PassIssue).await.err(),
            vault.restrict(&nobody, person, true).await.err(),
            vault.lock(&nobody).await.err(),
            vault.reopen(&nobody).await.err(),
            vault.shred(&nobody, person).await.err(),
            vault.put_photo(&nobody, person, Vec::new(), None).await.err(),
            vault.remove_photo(&nobody, person, false).await.err(),
            vault.rotate(&nobody, clinic::vault::NewKey::Random).await.err(),
        ] {
            assert!(matches!(outcome, Some(VaultError::Denied(_))), "{outcome:?}");
        }
        let shown = vault.reveal(&office(), person, Field::ALL, Purpose::PassIssue, None).await.unwrap();
        assert_eq!(shown, passport("Іваненко", "Олена"));
    }
}
