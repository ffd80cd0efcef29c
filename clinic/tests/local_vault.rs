//! Passports that workstations seal, told on both engines: the server takes boxes, finds them by hashes and hands them
//! out, each look recorded; it never has a key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use clinic::Database;
use clinic::acting::{Acting, Actor};
use clinic::audit::Purpose;
use clinic::vault::local::{
    BOX_MAX_BYTES, LocalError, LocalPassport, LocalPhoto, LocalRefused, Rewrapped, WRAPPED_BYTES, query_of,
};
use clinic::vault::{Blobs, KeySource, PhotoId, Size, Vault, VaultError};
use domain::vault::KeyId;
use domain::{Clock, Field, PersonId, Rights, Shipped, UtcMillis};
use store::read;
use store::sqlx;
use store::testing::both;

const NOW: UtcMillis = UtcMillis(1_795_305_600_000);
const KEY: KeyId = KeyId([1; 8]);
const NEXT: KeyId = KeyId([2; 8]);
const WHY: Purpose = Purpose::PassIssue;

fn vault(database: &Database, folder: &std::path::Path) -> Vault {
    let blobs = Blobs::folder(&folder.join("photos"));
    Vault::new(database.clone(), Clock::new(|| NOW), blobs, KeySource::Workstation)
}

fn acting(role: Shipped) -> Acting {
    Acting {
        actor: Actor::Account("a1".to_owned()),
        rights: Rights::of(role),
        session: Some("s1".to_owned()),
        address: None,
        glass: None,
    }
}

fn person(number: u8) -> PersonId {
    PersonId([number; 16])
}

/// A box of the right form; what is in it nobody here can tell.
fn sealed(by: KeyId, length: usize, fill: u8) -> Vec<u8> {
    let mut bytes = vec![fill; length];
    bytes[0] = 2;
    bytes[1..9].copy_from_slice(&by.0);
    bytes
}

/// Sealed by `by`, with everything under the person's own key.
fn passport(by: KeyId, number: u8, tokens: &[i64]) -> LocalPassport {
    let parts = ["names", "birth", "documents", "contacts"];
    let parts = parts.map(|part| (part.to_owned(), sealed(KeyId([number; 8]), 101, number))).to_vec();
    LocalPassport::new(sealed(by, WRAPPED_BYTES, number), parts, tokens.to_vec()).unwrap()
}

async fn entries(database: &Database, action: &str) -> i64 {
    let action = action.to_owned();
    read!(database, "test.entries", |conn| {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM audit_entry WHERE action = $1")
            .bind(&action)
            .fetch_one(&mut *conn)
            .await?)
    })
    .unwrap()
}

#[tokio::test]
async fn boxes_are_taken_in_found_by_hashes_and_handed_out_by_field_with_an_entry_each() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(&database, folder.path());
        let office = acting(Shipped::PassOffice);
        vault.local_announce(&acting(Shipped::Administrator), KEY, None).await.unwrap();
        for number in 1..=3 {
            let tokens = [100, i64::from(number)];
            vault.local_put(&office, person(number), passport(KEY, number, &tokens), None, WHY).await.unwrap();
        }
        assert_eq!(entries(&database, "person_changed").await, 3);

        let (all, more) = vault.local_search(&office, &[query_of(vec![100], false).unwrap()], 2, WHY).await.unwrap();
        assert_eq!((all.len(), more), (2, true));
        let both_words = query_of(vec![100, 2], false).unwrap();
        let (one, more) = vault.local_search(&office, &[both_words], 10, WHY).await.unwrap();
        assert_eq!((one.iter().map(|found| found.person).collect::<Vec<_>>(), more), (vec![person(2)], false));
        let columns: Vec<&str> = one[0].parts.iter().map(|(column, _)| *column).collect();
        assert_eq!(columns, ["names", "birth"], "what tells namesakes apart, and no more");
        let any = query_of(vec![777, 3], true).unwrap();
        assert_eq!(vault.local_search(&office, &[any], 10, WHY).await.unwrap().0[0].person, person(3));
        assert_eq!(entries(&database, "person_searched").await, 3);
        assert_eq!(entries(&database, "person_seen").await, 2, "the page's people only, each once in ten minutes");

        let all_fields = Field::ALL;
        let handed = vault.local_reveal(&office, person(1), all_fields, WHY, None).await.unwrap();
        assert_eq!(handed.parts.len(), 4);
        assert_eq!(handed.wrapped_key.unwrap(), sealed(KEY, WRAPPED_BYTES, 1));
        let doctor = acting(Shipped::Doctor);
        let handed = vault.local_reveal(&doctor, person(1), all_fields, Purpose::Treatment, None).await.unwrap();
        let columns: Vec<&str> = handed.parts.iter().map(|(column, _)| *column).collect();
        assert_eq!(columns, ["names", "birth"], "documents and contacts are not for doctors");
        assert_eq!(entries(&database, "person_revealed").await, 2);
        let guard = vault.local_cards(&acting(Shipped::Guard), &[person(1)], Purpose::Checkpoint).await.unwrap();
        assert_eq!(guard[0].parts.iter().map(|(column, _)| *column).collect::<Vec<_>>(), ["names"]);
        let manager = vault.local_cards(&acting(Shipped::Manager), &[person(1)], Purpose::Checkpoint).await.unwrap();
        assert!(manager[0].parts.is_empty(), "a manager sees pseudonyms");
    }
}

#[tokio::test]
async fn nobody_gets_a_box_without_the_right_to_it() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(&database, folder.path());
        vault.local_announce(&acting(Shipped::Administrator), KEY, None).await.unwrap();
        vault.local_put(&acting(Shipped::PassOffice), person(1), passport(KEY, 1, &[5]), None, WHY).await.unwrap();
        let denied = |error: VaultError| matches!(error, VaultError::Denied(_));
        for role in [Shipped::Guard, Shipped::Manager, Shipped::Auditor, Shipped::Integrator] {
            let acting = acting(role);
            assert!(denied(vault.local_reveal(&acting, person(1), Field::ALL, WHY, None).await.unwrap_err()));
            let query = query_of(vec![5], false).unwrap();
            assert!(denied(vault.local_search(&acting, &[query], 5, WHY).await.unwrap_err()));
            let put = vault.local_put(&acting, person(1), passport(KEY, 1, &[5]), Some(NOW), WHY).await;
            assert!(matches!(put, Err(LocalError::Vault(VaultError::Denied(_)))), "{put:?}");
            assert!(vault.local_announce(&acting, NEXT, Some(KEY)).await.is_err());
            assert!(vault.local_to_rewrap(&acting).await.is_err());
        }
        let auditor = acting(Shipped::Auditor);
        assert!(denied(vault.local_cards(&auditor, &[person(1)], WHY).await.unwrap_err()));
        assert_eq!(entries(&database, "person_seen").await, 0);
    }
}

#[tokio::test]
async fn a_box_of_a_wrong_form_or_key_or_made_over_anothers_change_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(&database, folder.path());
        let office = acting(Shipped::PassOffice);
        let put = async |what: LocalPassport, base| match vault.local_put(&office, person(1), what, base, WHY).await {
            Err(LocalError::Refused(refused)) => Some(refused),
            Err(LocalError::Vault(error)) => panic!("{error}"),
            Ok(_) => None,
        };
        assert_eq!(put(passport(KEY, 1, &[1]), None).await, Some(LocalRefused::NoKey));
        vault.local_announce(&acting(Shipped::Administrator), KEY, None).await.unwrap();
        assert_eq!(put(passport(NEXT, 1, &[1]), None).await, Some(LocalRefused::OtherKey(NEXT, KEY)));
        assert_eq!(put(passport(KEY, 1, &[1]), None).await, None);
        assert_eq!(put(passport(KEY, 1, &[1]), None).await, Some(LocalRefused::Changed), "registered twice");
        assert_eq!(put(passport(KEY, 1, &[2]), Some(NOW)).await, None);
        assert_eq!(put(passport(KEY, 1, &[3]), Some(NOW)).await, Some(LocalRefused::Changed), "over another one");
        assert_eq!(entries(&database, "person_changed").await, 2);
    }
    let good = || sealed(KEY, WRAPPED_BYTES, 1);
    let names = |bytes| vec![("names".to_owned(), bytes)];
    let form = |wrapped, parts, tokens| LocalPassport::new(wrapped, parts, tokens).is_err();
    let by_server = {
        let mut bytes = sealed(KEY, 101, 1);
        bytes[0] = 1;
        bytes
    };
    assert!(form(good()[1..].to_vec(), vec![], vec![]));
    assert!(form(sealed(KEY, WRAPPED_BYTES + 1, 1), vec![], vec![]));
    assert!(form(good(), names(sealed(KEY, BOX_MAX_BYTES + 1, 1)), vec![]));
    assert!(form(good(), names(by_server), vec![]), "not a browser's");
    assert!(form(good(), names(b"Bondarenko".to_vec()), vec![]));
    assert!(form(good(), vec![("photo".to_owned(), sealed(KEY, 101, 1))], vec![]));
    let mixed = vec![("names".to_owned(), sealed(KEY, 101, 1)), ("birth".to_owned(), sealed(NEXT, 101, 1))];
    assert!(form(good(), mixed, vec![]), "two keys in one passport");
    assert!(form(good(), vec![], (0..1000).collect()));
    assert!(query_of(vec![], false).is_err() && query_of(vec![1; 19], false).is_err());
}

#[tokio::test]
async fn a_change_of_the_key_goes_on_where_it_stopped_and_loses_no_change_made_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(&database, folder.path());
        let (office, head) = (acting(Shipped::PassOffice), acting(Shipped::Administrator));
        vault.local_announce(&head, KEY, None).await.unwrap();
        for number in 1..=120 {
            vault.local_put(&office, person(number), passport(KEY, number, &[7]), None, WHY).await.unwrap();
        }
        assert!(matches!(
            vault.local_announce(&head, NEXT, None).await,
            Err(LocalError::Refused(LocalRefused::NotAfter(KEY)))
        ));
        let state = vault.local_announce(&head, NEXT, Some(KEY)).await.unwrap();
        assert_eq!((state.current.map(|(id, _)| id), state.former, state.left), (Some(NEXT), Some(KEY), 120));
        let third = vault.local_announce(&head, KeyId([3; 8]), Some(NEXT)).await;
        assert!(matches!(third, Err(LocalError::Refused(LocalRefused::AlreadyChanging))));

        let page = vault.local_to_rewrap(&head).await.unwrap();
        assert_eq!((page.people.len(), page.left), (100, 120));
        // One of them is corrected by somebody who has loaded the new key, between fetching and giving back.
        vault.local_put(&office, person(5), passport(NEXT, 55, &[8]), Some(NOW), WHY).await.unwrap();
        let anew = |handed: &clinic::vault::local::Handed| {
            let after = sealed(NEXT, WRAPPED_BYTES, handed.person.0[0]);
            Rewrapped::new(handed.person, handed.wrapped_key.clone().unwrap(), after, vec![9]).unwrap()
        };
        let state = vault.local_rewrap(&head, page.people.iter().map(anew).collect()).await.unwrap();
        assert_eq!((state.sealed, state.left, state.former), (100, 20, Some(KEY)));
        let kept = vault.local_reveal(&office, person(5), Field::ALL, WHY, None).await.unwrap();
        assert_eq!(kept.wrapped_key.unwrap(), sealed(NEXT, WRAPPED_BYTES, 55), "the correction stands");
        // Meanwhile both are found, by the hashes of both keys.
        let queries = [query_of(vec![9], false).unwrap(), query_of(vec![7], false).unwrap()];
        let (found, more) = vault.local_search(&office, &queries, 100, WHY).await.unwrap();
        assert_eq!((found.len(), more), (100, true));

        let page = vault.local_to_rewrap(&head).await.unwrap();
        assert_eq!(page.people.len(), 20);
        let state = vault.local_rewrap(&head, page.people.iter().map(anew).collect()).await.unwrap();
        assert_eq!((state.sealed, state.left, state.former), (120, 0, None));
        assert!(vault.local_to_rewrap(&head).await.unwrap().people.is_empty());
        let old = vault.local_announce(&head, KEY, Some(NEXT)).await;
        assert!(old.is_err(), "a key that was given up does not come back");
        assert_eq!(entries(&database, "person_seen").await, 120 + 100, "each hand-out of the change, and the search");
    }
}

#[tokio::test]
async fn a_sealed_photograph_is_kept_as_files_and_handed_out_with_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(&database, folder.path());
        let office = acting(Shipped::PassOffice);
        vault.local_announce(&acting(Shipped::Administrator), KEY, None).await.unwrap();
        vault.local_put(&office, person(4), passport(KEY, 4, &[1]), None, WHY).await.unwrap();
        let id: PhotoId = "00112233445566778899aabbccddeeff".parse().unwrap();
        let photo =
            |by: u8| LocalPhoto::new(id, sealed(KeyId([by; 8]), 5000, 1), sealed(KeyId([by; 8]), 500, 2)).unwrap();
        let refused = vault.local_put_photo(&office, person(4), photo(4), None).await;
        assert!(matches!(refused, Err(LocalError::Vault(VaultError::NoConsent))));
        assert!(vault.local_put_photo(&office, person(4), photo(9), Some(NOW)).await.is_err(), "another person's key");
        vault.local_put_photo(&office, person(4), photo(4), Some(NOW)).await.unwrap();
        let guard = acting(Shipped::Guard);
        assert_eq!(vault.local_cards(&guard, &[person(4)], WHY).await.unwrap()[0].photo, Some(id));
        let small = vault.local_photo(&guard, &id, Size::Small, Purpose::Checkpoint).await.unwrap();
        assert_eq!(small, sealed(KeyId([4; 8]), 500, 2));
        assert_eq!(vault.local_photo(&guard, &id, Size::Full, Purpose::Checkpoint).await.unwrap().len(), 5000);
        assert_eq!(entries(&database, "person_seen").await, 2, "the card, and the photograph once");
        let cashier = acting(Shipped::Cashier);
        assert!(vault.local_photo(&cashier, &id, Size::Full, Purpose::Payment).await.is_err());
        let again: PhotoId = "ffeeddccbbaa99887766554433221100".parse().unwrap();
        let newer = LocalPhoto::new(again, sealed(KeyId([4; 8]), 6000, 1), sealed(KeyId([4; 8]), 600, 2)).unwrap();
        vault.local_put_photo(&office, person(4), newer, Some(NOW)).await.unwrap();
        assert!(vault.local_photo(&guard, &id, Size::Full, WHY).await.is_err(), "the earlier one is gone");
        assert!(LocalPhoto::new(id, b"\xff\xd8\xff\xe0 a picture in clear".to_vec(), vec![]).is_err());
    }
    let files = std::fs::read_dir(folder.path().join("photos")).unwrap();
    assert!(files.count() > 0);
}
