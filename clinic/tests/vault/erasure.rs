//! Erasure: nothing opens any more, nothing is left to open, and no backup brings anybody back.

use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::vault::{CardState, Size, VaultError};
use domain::{Field, Shipped, UtcMillis};

use crate::photos::picture;
use crate::scene::{NOW, both, office, renamed, somebody};

#[tokio::test]
async fn an_erased_person_is_gone_from_rows_index_photographs_and_files() {
    for scene in both().await {
        let (person, other) = (scene.registered("Іваненко", "Олена").await, scene.registered("Галаган", "Олег").await);
        let (office, officer) = (office(), somebody(Shipped::PrivacyOfficer));
        let photo = scene.vault.put_photo(&office, person, picture(1), Some(UtcMillis(NOW))).await.unwrap();
        scene.vault.put(&office, person, renamed("Петренко"), Purpose::PassIssue).await.unwrap();
        let wrapped = scene.bytes("SELECT wrapped_key FROM passport WHERE person = $1", person).await;
        scene.vault.shred(&officer, person).await.unwrap();
        for outcome in [
            scene.vault.masked(&office, person).await.err(),
            scene.vault.reveal(&office, person, Field::ALL, Purpose::PassIssue, None).await.err(),
            scene.vault.put(&office, person, renamed("Нова"), Purpose::PassIssue).await.err(),
        ] {
            assert!(matches!(outcome, Some(VaultError::Erased(UtcMillis(NOW)))), "{outcome:?}");
        }
        assert!(matches!(scene.vault.photo(&office, &photo, Size::Full).await, Err(VaultError::Unknown)));
        let cards = scene.vault.cards(&office, &[person, other], Purpose::PassIssue).await.unwrap();
        assert_eq!((cards[0].state, cards[1].state), (CardState::Erased, CardState::Shown));
        for words in ["петренко", "іван", "олена"] {
            assert!(scene.vault.search(&office, words, 9, Purpose::PassIssue).await.unwrap().people.is_empty());
        }
        assert_eq!(scene.vault.search(&office, "067 5550199", 9, Purpose::PassIssue).await.unwrap().people.len(), 1);
        // Not a byte of the wrapped key is left: with it, whoever has an old vault key could open an old backup's rows.
        for file in scene.all_files() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(!bytes.windows(wrapped.len()).any(|window| window == wrapped), "{}", file.display());
        }
        assert_eq!(scene.vault.remembered().await.unwrap().len(), 1);
        assert_eq!(scene.entries("person_erased").await, 1);
        scene.vault.shred(&officer, person).await.unwrap();
        assert_eq!(scene.entries("person_erased").await, 1, "twice is once");
    }
}

#[tokio::test]
async fn a_restored_backup_brings_nobody_back() {
    for scene in both().await {
        let (person, other) = (scene.registered("Іваненко", "Олена").await, scene.registered("Галаган", "Олег").await);
        scene.execute("CREATE TABLE backup AS SELECT * FROM passport").await;
        scene.execute("CREATE TABLE backup_token AS SELECT * FROM passport_token").await;
        let officer = somebody(Shipped::PrivacyOfficer);
        scene.vault.shred(&officer, person).await.unwrap();
        scene.execute("DELETE FROM passport").await;
        scene.execute("DELETE FROM passport_token").await;
        scene.execute("INSERT INTO passport SELECT * FROM backup").await;
        scene.execute("INSERT INTO passport_token SELECT * FROM backup_token").await;
        // The start of the program is what applies the list.
        let vault = scene.again().await;
        let office = office();
        assert!(matches!(vault.masked(&office, person).await, Err(VaultError::Erased(_))));
        assert!(vault.search(&office, "іван", 9, Purpose::PassIssue).await.unwrap().people.is_empty());
        vault.masked(&office, other).await.unwrap();
        assert_eq!(scene.entries("person_erased").await, 2);
        assert_eq!(vault.reapply(&Acting::system()).await.unwrap().again, []);
    }
}

#[tokio::test]
async fn an_erasure_that_was_interrupted_is_finished_at_the_next_start() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        // The program ended between the list and the database: the list has the person, the row is whole.
        std::fs::create_dir_all(scene.folder.join("copy")).unwrap();
        scene.execute("CREATE TABLE backup AS SELECT * FROM passport").await;
        scene.vault.shred(&somebody(Shipped::PrivacyOfficer), person).await.unwrap();
        scene.execute("DELETE FROM passport").await;
        scene.execute("INSERT INTO passport SELECT * FROM backup").await;
        // And the copy is all that is left of the list.
        std::fs::remove_file(scene.folder.join("shredded.log")).unwrap();
        let vault = scene.again().await;
        assert!(matches!(vault.masked(&office(), person).await, Err(VaultError::Erased(_))));
    }
}

#[tokio::test]
async fn what_cannot_be_remembered_is_not_erased() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        std::fs::create_dir_all(scene.folder.join("shredded.log")).unwrap();
        let refused = scene.vault.shred(&somebody(Shipped::PrivacyOfficer), person).await;
        assert!(matches!(refused, Err(VaultError::File { .. })), "{refused:?}");
        scene.vault.masked(&office(), person).await.unwrap();
        assert_eq!(scene.entries("person_erased").await, 0);
    }
}

#[tokio::test]
async fn somebody_without_a_passport_can_be_erased_and_stays_so() {
    for scene in both().await {
        let person = scene.person().await;
        scene.vault.shred(&somebody(Shipped::PrivacyOfficer), person).await.unwrap();
        let refused = scene.vault.put(&office(), person, renamed("Нова"), Purpose::PassIssue).await;
        assert!(matches!(refused, Err(VaultError::Erased(_))));
        assert_eq!(scene.vault.erased_at(person).await.unwrap(), Some(UtcMillis(NOW)));
    }
}
