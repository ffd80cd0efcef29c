//! Photographs: stored with consent, shown by right, gone when they are to be gone.

use clinic::audit::Purpose;
use clinic::vault::{Consent, Size, VaultError, VaultState};
use domain::{Shipped, UtcMillis};

use crate::scene::{NOW, both, office, somebody};

const CONSENT: Option<UtcMillis> = Some(UtcMillis(NOW - 1));

/// A picture whose colour tells it from others.
pub fn picture(red: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_pixel(90, 120, image::Rgb([red, 90, 90]));
    image.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
    bytes
}

fn files(folder: &std::path::Path) -> usize {
    let count = |folder: std::path::PathBuf| match std::fs::read_dir(folder) {
        Ok(found) => found.count(),
        Err(_) => 0,
    };
    let Ok(folders) = std::fs::read_dir(folder.join("photos")) else { return 0 };
    folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).map(count).sum()
}

#[tokio::test]
async fn a_photograph_is_stored_sealed_and_shown_to_whose_role_shows_it() {
    for scene in both().await {
        let person = scene.registered("Іваненко", "Олена").await;
        let id = scene.vault.put_photo(&office(), person, picture(200), CONSENT).await.unwrap();
        let guard = somebody(Shipped::Guard);
        let cards = scene.vault.cards(&guard, &[person], Purpose::Checkpoint).await.unwrap();
        assert_eq!(cards[0].photo, Some(id));
        let seen = scene.entries("person_seen").await;
        for size in [Size::Full, Size::Small] {
            let shown = scene.vault.photo(&guard, &id, size).await.unwrap();
            let image = image::load_from_memory(&shown).unwrap();
            assert_eq!(image.width(), if size == Size::Full { 600 } else { 150 });
        }
        assert_eq!(scene.entries("person_seen").await, seen, "the photograph of a card is the same look");
        for role in [Shipped::Manager, Shipped::ContactCentre] {
            let refused = scene.vault.photo(&somebody(role), &id, Size::Full).await;
            assert!(matches!(refused, Err(VaultError::NothingToShow)), "{role:?}");
        }
        let nobodys = "00000000000000000000000000000000".parse().unwrap();
        assert!(matches!(scene.vault.photo(&guard, &nobodys, Size::Full).await, Err(VaultError::Unknown)));
        for path in walk(&scene.folder.join("photos")) {
            let bytes = std::fs::read(path).unwrap();
            assert!(!bytes.starts_with(&[0xFF, 0xD8]), "nothing on the disk is a picture");
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|path| std::fs::read_dir(path).unwrap());
    let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    files
}

#[tokio::test]
async fn without_consent_there_is_no_photograph_and_a_refusal_is_remembered() {
    for scene in both().await {
        let (person, office) = (scene.registered("Іваненко", "Олена").await, office());
        let refused = scene.vault.put_photo(&office, person, picture(1), None).await;
        assert!(matches!(refused, Err(VaultError::NoConsent)));
        assert_eq!(scene.vault.photo_of(&office, person).await.unwrap(), Consent::NotAsked);
        scene.vault.put_photo(&office, person, picture(1), CONSENT).await.unwrap();
        let Consent::Given(photo) = scene.vault.photo_of(&office, person).await.unwrap() else { panic!("given") };
        assert_eq!(photo.consent_at, UtcMillis(NOW - 1));
        scene.vault.remove_photo(&office, person, true).await.unwrap();
        assert_eq!(scene.vault.photo_of(&office, person).await.unwrap(), Consent::Refused(UtcMillis(NOW)));
        assert_eq!(files(&scene.folder), 0);
        assert_eq!(scene.entries("photo_changed").await, 2);
    }
}

#[tokio::test]
async fn a_new_photograph_replaces_the_old_one_and_what_no_row_names_is_swept() {
    for scene in both().await {
        let (person, office) = (scene.registered("Іваненко", "Олена").await, office());
        let first = scene.vault.put_photo(&office, person, picture(1), CONSENT).await.unwrap();
        let second = scene.vault.put_photo(&office, person, picture(250), CONSENT).await.unwrap();
        assert!(matches!(scene.vault.photo(&office, &first, Size::Full).await, Err(VaultError::Unknown)));
        scene.vault.photo(&office, &second, Size::Full).await.unwrap();
        assert_eq!(files(&scene.folder), 2);
        // Left behind by a crash between file and row, long ago.
        let stray = scene.folder.join("photos/ab/ab000000000000000000000000000000");
        std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
        std::fs::write(&stray, b"x").unwrap();
        assert_eq!(scene.vault.sweep_photos().await.unwrap(), 0, "too young: it may be on its way");
        let old = std::fs::metadata(&stray).unwrap().modified().unwrap() - std::time::Duration::from_secs(3601);
        std::fs::File::options().write(true).open(&stray).unwrap().set_modified(old).unwrap();
        assert_eq!(scene.vault.sweep_photos().await.unwrap(), 1);
        assert_eq!(files(&scene.folder), 2);
    }
}

#[tokio::test]
async fn a_photograph_moved_to_somebody_else_does_not_open() {
    for scene in both().await {
        let (one, two) = (scene.registered("Іваненко", "Олена").await, scene.registered("Галаган", "Олег").await);
        let office = office();
        scene.vault.put_photo(&office, one, picture(1), CONSENT).await.unwrap();
        scene.vault.put_photo(&office, two, picture(250), CONSENT).await.unwrap();
        scene.execute("UPDATE photo SET full_blob = small_blob, small_blob = full_blob").await;
        let Consent::Given(photo) = scene.vault.photo_of(&office, one).await.unwrap() else { panic!("given") };
        let swapped = scene.vault.photo(&office, &photo.id, Size::Full).await;
        assert!(matches!(swapped, Err(VaultError::Damaged(_))));
        assert!(matches!(scene.vault.state(), VaultState::Open { .. }));
    }
}
