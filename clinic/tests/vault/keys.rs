//! Keys: where they come from, how they are changed, and that neither an interruption nor a thief changes anything.

use std::fs;

use clinic::audit::Purpose;
use clinic::vault::{KeySource, Vault};
use clinic::vault::{Locked, NewKey, Passphrase, Size, VaultError, VaultState, make_key_file};
use domain::{Field, PersonId, Shipped, UtcMillis};

use crate::photos::picture;
use crate::scene::{NOW, Scene, both, office, passport, renamed, somebody};

async fn reads(vault: &Vault, person: PersonId) -> bool {
    let shown = vault.reveal(&office(), person, Field::ALL, Purpose::PassIssue, None).await;
    shown.is_ok_and(|shown| shown.names == passport("Іваненко", "Олена").names)
}

/// Many persons, so that a change takes several steps.
async fn many(scene: &Scene) -> Vec<PersonId> {
    let mut batch = Vec::new();
    for _ in 0..450 {
        batch.push((scene.person().await, passport("Іваненко", "Олена").into()));
    }
    let persons = batch.iter().map(|(person, _)| *person).collect();
    assert_eq!(scene.vault.load(&office(), batch, Purpose::PassIssue).await.unwrap(), 450);
    persons
}

#[tokio::test]
async fn the_key_is_changed_while_people_are_read_and_written() {
    for scene in both().await {
        let admin = somebody(Shipped::Administrator);
        let persons = many(&scene).await;
        let photo = scene.vault.put_photo(&office(), persons[0], picture(9), Some(UtcMillis(NOW))).await.unwrap();
        let old_file = fs::read(scene.folder.join("vault.key")).unwrap();
        scene.vault.rotate(&admin, NewKey::Random).await.unwrap();
        assert!(matches!(scene.vault.rotate(&admin, NewKey::Random).await, Err(VaultError::AlreadyChanging)));
        let mut left = Vec::new();
        loop {
            let progress = scene.vault.rotate_step().await.unwrap();
            left.push(progress.left);
            assert!(reads(&scene.vault, persons[0]).await && reads(&scene.vault, persons[449]).await);
            let new = scene.person().await;
            scene.vault.put(&office(), new, passport("Іваненко", "Олена").into(), Purpose::PassIssue).await.unwrap();
            assert!(reads(&scene.vault, new).await);
            if !progress.changing {
                break;
            }
        }
        assert_eq!(left, [250, 50, 0, 0]);
        scene.vault.photo(&office(), &photo, Size::Small).await.unwrap();
        let new_file = fs::read(scene.folder.join("vault.key")).unwrap();
        assert!(new_file.len() == old_file.len() && new_file != old_file);
        assert!(reads(&scene.again().await, persons[200]).await, "the new key alone opens everything");
        fs::write(scene.folder.join("vault.key"), old_file).unwrap();
        assert_eq!(scene.again().await.state(), VaultState::Locked(Locked::WrongKey), "the old key opens nothing");
    }
}

#[tokio::test]
async fn a_change_that_is_killed_at_any_step_is_taken_up_again() {
    for scene in both().await {
        let admin = somebody(Shipped::Administrator);
        let persons = many(&scene).await;
        let file = scene.folder.join("vault.key");
        let old = fs::read_to_string(&file).unwrap();
        // Killed with both keys in the file and nothing in the database: nothing has begun, and a new try works.
        let unused = scene.folder.join("unused.key");
        make_key_file(&unused).unwrap();
        fs::write(&file, format!("{old}{}", fs::read_to_string(&unused).unwrap())).unwrap();
        let vault = scene.again().await;
        assert!(reads(&vault, persons[7]).await);
        vault.rotate(&admin, NewKey::Random).await.unwrap();
        // Killed after the database's step and before the file was tidied: both keys are still in it.
        let new = fs::read_to_string(&file).unwrap();
        assert_eq!(new.lines().count(), 1);
        fs::write(&file, format!("{old}{new}")).unwrap();
        // Killed between the steps, again and again.
        for _ in 0..10 {
            let vault = scene.again().await;
            for index in [0, 199, 200, 399, 449] {
                assert!(reads(&vault, persons[index]).await, "old or new, always readable");
            }
            if !vault.rotate_step().await.unwrap().changing {
                break;
            }
        }
        let vault = scene.again().await;
        assert!(matches!(vault.state(), VaultState::Open { changing: false, .. }));
        assert_eq!(fs::read_to_string(&file).unwrap(), new, "the former key is gone from the file");
        let former = scene.count("SELECT COUNT(*) FROM vault_key").await;
        assert_eq!(former, 1, "and from the database");
    }
}

#[tokio::test]
async fn a_program_with_the_former_key_writes_nothing_under_it_and_finds_the_new_one() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        let other = scene.again().await;
        scene.vault.rotate(&somebody(Shipped::Administrator), NewKey::Random).await.unwrap();
        while scene.vault.rotate_step().await.unwrap().changing {}
        let refused = other.put(&office(), person, renamed("Нова"), Purpose::PassIssue).await;
        assert!(matches!(refused, Err(VaultError::Interrupted | VaultError::Locked(Locked::WrongKey))), "{refused:?}");
        let watching = tokio::spawn(other.clone().watch());
        tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while other.put(&office(), person, renamed("Нова"), Purpose::PassIssue).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        watching.abort();
    }
}

#[tokio::test]
async fn the_index_is_rebuilt_under_a_new_key_while_people_are_found() {
    for scene in both().await {
        let admin = somebody(Shipped::Administrator);
        many(&scene).await;
        let before = scene.count("SELECT COUNT(*) FROM passport_token").await;
        scene.vault.rebuild_index(&admin).await.unwrap();
        loop {
            let progress = scene.vault.rotate_step().await.unwrap();
            let mut found = Vec::new();
            for words in ["іваненко", "олен", "0675550199"] {
                found.push(scene.vault.search(&office(), words, 100, Purpose::PassIssue).await.unwrap());
            }
            assert!(found.iter().all(|found| found.people.len() == 100 && found.more));
            if !progress.changing {
                break;
            }
        }
        assert_eq!(scene.count("SELECT COUNT(*) FROM passport_token").await, before);
        assert_eq!(scene.count("SELECT COUNT(*) FROM vault_index").await, 1);
        assert_eq!(scene.entries("vault_key_changed").await, 2);
    }
}

#[tokio::test]
async fn a_person_gets_a_new_key_and_everything_still_opens() {
    for scene in both().await {
        let (admin, office) = (somebody(Shipped::Administrator), office());
        let person = scene.registered("Петренко", "Олена").await;
        scene.pass(1);
        scene.vault.put(&office, person, passport("Іваненко", "Олена").into(), Purpose::PassIssue).await.unwrap();
        let photo = scene.vault.put_photo(&office, person, picture(9), Some(UtcMillis(NOW))).await.unwrap();
        let select = "SELECT names FROM passport WHERE person = $1";
        let before = scene.bytes(select, person).await;
        scene.vault.renew_person(&admin, person).await.unwrap();
        assert_ne!(scene.bytes(select, person).await, before);
        assert!(reads(&scene.vault, person).await);
        scene.vault.photo(&office, &photo, Size::Full).await.unwrap();
        let past = scene.vault.history(&office, person, Purpose::PassIssue).await.unwrap();
        assert_eq!(past[0].names.as_ref().unwrap().family.reveal(), "Петренко");
        assert_eq!(scene.vault.sweep_photos().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_vault_on_a_medium_locks_when_it_is_taken_out_and_opens_when_it_is_back() {
    let temporary = tempfile::tempdir().unwrap();
    for (index, database) in store::testing::both(temporary.path()).await.into_iter().enumerate() {
        let folder = temporary.path().join(index.to_string());
        fs::create_dir(&folder).unwrap();
        let scene = Scene::locked(database, folder, |folder| KeySource::File(folder.join("medium.key")));
        assert_eq!(scene.vault.start().await.unwrap(), VaultState::Locked(Locked::KeyAbsent), "a medium is never made");
        let medium = scene.folder.join("medium.key");
        let away = scene.folder.join("away.key");
        make_key_file(&medium).unwrap();
        let watching = tokio::spawn(scene.vault.clone().watch());
        becomes(&scene.vault, true).await;
        let person = scene.registered("Іваненко", "Олена").await;
        fs::rename(&medium, &away).unwrap();
        becomes(&scene.vault, false).await;
        assert!(!reads(&scene.vault, person).await);
        fs::rename(&away, &medium).unwrap();
        becomes(&scene.vault, true).await;
        assert!(reads(&scene.vault, person).await);
        watching.abort();
    }
}

async fn becomes(vault: &Vault, open: bool) {
    let changed = async {
        while vault.is_open() != open {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), changed).await.unwrap();
}

#[tokio::test]
async fn a_passphrase_opens_the_vault_and_can_be_changed() {
    let temporary = tempfile::tempdir().unwrap();
    for (index, database) in store::testing::both(temporary.path()).await.into_iter().enumerate() {
        let folder = temporary.path().join(index.to_string());
        fs::create_dir(&folder).unwrap();
        let scene = Scene::locked(database, folder, |_| KeySource::Passphrase(None));
        let admin = somebody(Shipped::Administrator);
        let first = Passphrase::new("seven quiet herons over Podil");
        let second = Passphrase::new("nine loud magpies under a viaduct");
        assert_eq!(scene.vault.start().await.unwrap(), VaultState::Locked(Locked::NoPassphraseYet));
        let early = scene.vault.unlock(&admin, first.clone()).await;
        assert!(matches!(early, Err(VaultError::Locked(Locked::NoPassphraseYet))), "a mistyped one must not become it");
        let weak = scene.vault.set_passphrase(&admin, Passphrase::new("password")).await;
        assert!(matches!(weak, Err(VaultError::WeakPassphrase)));
        scene.vault.set_passphrase(&admin, first.clone()).await.unwrap();
        let person = scene.registered("Іваненко", "Олена").await;
        let vault = scene.again().await;
        assert_eq!(vault.state(), VaultState::Locked(Locked::PassphraseNeeded));
        let wrong = vault.unlock(&admin, second.clone()).await;
        assert!(matches!(wrong, Err(VaultError::WrongPassphrase)));
        assert!(matches!(vault.set_passphrase(&admin, second.clone()).await, Err(VaultError::AlreadyChanging)));
        vault.unlock(&admin, first.clone()).await.unwrap();
        assert!(reads(&vault, person).await);
        vault.rotate(&admin, NewKey::Passphrase(second.clone())).await.unwrap();
        // Interrupted at once: the new passphrase alone opens what is still under the former one.
        let vault = scene.again().await;
        assert!(matches!(vault.unlock(&admin, first).await, Err(VaultError::WrongPassphrase)));
        vault.unlock(&admin, second).await.unwrap();
        assert!(reads(&vault, person).await);
        while vault.rotate_step().await.unwrap().changing {}
        assert!(reads(&vault, person).await);
    }
}

#[tokio::test]
async fn rows_that_were_swapped_or_altered_in_the_database_do_not_open() {
    for scene in both().await {
        let (one, two) = (scene.registered("Іваненко", "Олена").await, scene.registered("Галаган", "Олег").await);
        let office = office();
        let all = |person| {
            let (vault, office) = (scene.vault.clone(), office.clone());
            async move { vault.reveal(&office, person, Field::ALL, Purpose::PassIssue, None).await }
        };
        for statement in [
            // Another person's name under this person's key, another column's text, another person's key.
            "UPDATE passport SET names = (SELECT names FROM backup AS other WHERE other.no <> passport.no)",
            "UPDATE passport SET names = documents",
            "UPDATE passport SET wrapped_key = (SELECT wrapped_key FROM backup AS other WHERE other.no <> passport.no)",
        ] {
            scene.execute("CREATE TABLE backup AS SELECT * FROM passport").await;
            scene.execute(statement).await;
            for person in [one, two] {
                assert!(matches!(all(person).await, Err(VaultError::Damaged(_))), "{statement}");
            }
            scene.execute("DELETE FROM passport").await;
            scene.execute("INSERT INTO passport SELECT * FROM backup").await;
            scene.execute("DROP TABLE backup").await;
            all(one).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_list_of_erased_persons_locks_the_vault_and_nothing_else() {
    for scene in both().await {
        let (person, other) = (scene.registered("Іваненко", "Олена").await, scene.registered("Галаган", "Олег").await);
        scene.vault.shred(&somebody(Shipped::PrivacyOfficer), other).await.unwrap();
        let list = scene.folder.join("shredded.log");
        let text = fs::read_to_string(&list).unwrap();
        fs::write(&list, text.replacen("1 ", "7 ", 1)).unwrap();
        let vault = scene.again().await;
        assert_eq!(vault.state(), VaultState::Locked(Locked::ListDamaged));
        assert!(!reads(&vault, person).await);
        fs::write(&list, text).unwrap();
        assert!(reads(&scene.again().await, person).await);
    }
}
