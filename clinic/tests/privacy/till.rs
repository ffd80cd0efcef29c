//! Patients and the till: what was charged and paid is in a person's package; nobody is erased while their account is open;
//! afterwards the books stay as they were, by pseudonym.

use std::path::Path;

use clinic::erasure::{self, ErasureError, Fate, What};
use clinic::subjects;
use clinic::till::{Member, NewPayer, NewTerms, PayerKind, TillError};
use clinic::vault::{Blobs, KeySource, Vault};
use domain::Clock;
use domain::till::{Mode, Owner};
use store::testing::both;

use crate::stage::{Stage, patient};
use crate::{NOW, officer};

const GROUND: &str = "asked for by the person, treatment ended";
const CANARY: &str = "kanareika-consultation";

async fn vault(folder: &Path, stage: &Stage) -> Vault {
    let name = format!("{:?}", stage.database.engine());
    let place = folder.join(&name);
    std::fs::create_dir_all(&place).unwrap();
    let clock = Clock::new(|| NOW);
    let key = KeySource::Own(folder.join(format!("{name}.key")));
    let vault = Vault::new(stage.database.clone(), clock, Blobs::folder(&place.join("photos")), key)
        .remembering(vec![place.join("shredded.log")]);
    vault.start().await.unwrap();
    vault
}

/// Two patients: the first one of a group, on terms of their own, with a service that is not paid; the second with another.
async fn stages(folder: &Path) -> Vec<Stage> {
    let mut stages = Vec::new();
    for database in both(folder).await {
        let stage = Stage::new(database, 2).await;
        stage.service(CANARY, 12_345, false).await;
        stage.service("another-one", 777, false).await;
        let (till, chief) = (&stage.till, &stage.chief);
        till.put_payer(chief, NewPayer::new("g1", PayerKind::Group, "Kanareika brothers")).await.unwrap();
        let member = Member { person: patient(0), from: stage.today(), until: None };
        till.put_member(chief, "g1", member).await.unwrap();
        for (who, limit) in [(0, 99_901), (1, 88_802)] {
            let terms = stage.terms(Mode::Postpaid, Some(limit));
            till.put_terms(chief, NewTerms { owner: Owner::Patient(patient(who)), ..terms }).await.unwrap();
        }
        till.register(&stage.doctor, stage.charge(stage.key(), 0, CANARY, 2)).await.unwrap();
        till.register(&stage.doctor, stage.charge(stage.key(), 1, "another-one", 1)).await.unwrap();
        stages.push(stage);
    }
    stages
}

#[tokio::test]
async fn the_package_holds_what_was_charged_and_on_which_terms_and_nothing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path()).await {
        let vault = vault(folder.path(), &stage).await;
        let package = subjects::package(&stage.database, &vault, &officer(), patient(0), NOW).await.unwrap();
        let json = package.to_json("clinic-3");
        let (account, text) = (&json["account"], json.to_string());
        assert_eq!(account["charges"][0]["service"], CANARY);
        assert_eq!(account["charges"][0]["gross"], "246.90");
        assert_eq!(account["balances"][0]["owed"], "246.90");
        assert_eq!(account["terms"][0]["limit"], "999.01");
        assert_eq!(account["memberships"][0]["name"], "Kanareika brothers");
        for others in ["another-one", "888.02", "7.77"] {
            assert!(!text.contains(others), "{others} is somebody else's");
        }
    }
}

#[tokio::test]
async fn nobody_is_erased_while_their_account_is_open_and_afterwards_the_books_are_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for stage in stages(folder.path()).await {
        let (database, vault) = (&stage.database, vault(folder.path(), &stage).await);
        let erase = async || erasure::erase(database, &vault, &officer(), patient(0), GROUND, None, NOW).await;
        let plan = erasure::plan(database, &officer(), patient(0), NOW).await.unwrap();
        assert_eq!((plan.account.owing, plan.account.charges, plan.account.deposits), (1, 1, 0));
        assert_eq!((plan.count(What::Books), What::Books.fate()), (1, Fate::KeptByLaw));
        assert_eq!((plan.count(What::Memberships), What::Memberships.fate()), (1, Fate::Destroyed));
        assert!(matches!(erase().await, Err(ErasureError::OpenAccount(open)) if !open.is_settled()));

        // Paid with more than is owed: now something is to be given back.
        let charge = stage.till.open_charges(&stage.cashier, patient(0)).await.unwrap().remove(0);
        let payment = stage.payment(stage.key(), 0, vec![(charge.id.clone(), charge.open())], 500);
        stage.till.pay(&stage.cashier, payment).await.unwrap();
        assert!(matches!(erase().await, Err(ErasureError::OpenAccount(open)) if open.deposits == 1 && open.owing == 0));
        stage.give_back(0, 500).await;

        let before = stage.till.trial_balance(&stage.chief, None).await.unwrap();
        erase().await.unwrap();
        assert_eq!(stage.till.trial_balance(&stage.chief, None).await.unwrap(), before);
        stage.is_sound().await;
        let plan = erasure::plan(database, &officer(), patient(0), NOW).await.unwrap();
        assert_eq!((plan.count(What::Memberships), plan.leads_to_somebody()), (0, false));
        let refused = stage.till.register(&stage.doctor, stage.charge(stage.key(), 0, CANARY, 1)).await;
        assert!(refused.is_err(), "whoever is erased is charged nothing");
    }
}

/// Patients with settled accounts on terms for everybody.
async fn settled(folder: &Path, patients: usize) -> Vec<Stage> {
    let mut stages = Vec::new();
    for database in both(folder).await {
        let stage = Stage::new(database, patients).await;
        stage.service("visit", 1_000, false).await;
        stage.till.put_terms(&stage.chief, stage.terms(Mode::Postpaid, Some(10_000))).await.unwrap();
        stages.push(stage);
    }
    stages
}

#[tokio::test]
async fn whoever_is_being_erased_is_charged_nothing_and_nothing_is_paid_in_for_them() {
    let folder = tempfile::tempdir().unwrap();
    for stage in settled(folder.path(), 1).await {
        store::transact!(stage.database, "test.erasing", |conn| {
            sqlx::query("UPDATE person SET erasing_ms = $1").bind(NOW.0).execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
        let refused = stage.till.register(&stage.doctor, stage.charge(stage.key(), 0, "visit", 1)).await;
        assert!(matches!(refused, Err(TillError::NotFound)));
        let refused = stage.till.pay(&stage.cashier, stage.payment(stage.key(), 0, vec![], 100)).await;
        assert!(matches!(refused, Err(TillError::NotFound)));
        // A program that was ended before anything was destroyed: at the next start the account is open again.
        let vault = vault(folder.path(), &stage).await;
        erasure::reapply(&stage.database, &vault, NOW).await.unwrap();
        let refused = stage.till.register(&stage.doctor, stage.charge(stage.key(), 0, "visit", 1)).await;
        assert!(refused.is_err(), "another program may be about it");
        erasure::reapply(&stage.database, &vault, NOW.plus_ms(60 * 60_000)).await.unwrap();
        stage.till.register(&stage.doctor, stage.charge(stage.key(), 0, "visit", 1)).await.unwrap();
    }
}

#[tokio::test]
async fn an_erasure_that_cannot_be_remembered_leaves_the_account_open() {
    let folder = tempfile::tempdir().unwrap();
    for stage in settled(folder.path(), 1).await {
        let name = format!("{:?}-nowhere", stage.database.engine());
        let key = KeySource::Own(folder.path().join(format!("{name}.key")));
        let photos = Blobs::folder(&folder.path().join(&name));
        // A folder stands where the list should be.
        let list = folder.path().join(format!("{name}.log"));
        let vault = Vault::new(stage.database.clone(), Clock::new(|| NOW), photos, key).remembering(vec![list.clone()]);
        vault.start().await.unwrap();
        let _ = std::fs::remove_file(&list);
        std::fs::create_dir_all(&list).unwrap();
        let failed = erasure::erase(&stage.database, &vault, &officer(), patient(0), GROUND, None, NOW).await;
        assert!(matches!(failed, Err(ErasureError::Vault(_))), "{failed:?}");
        stage.till.register(&stage.doctor, stage.charge(stage.key(), 0, "visit", 1)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_comes_beside_an_erasure_is_before_it_or_refused() {
    const PATIENTS: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    for stage in settled(folder.path(), PATIENTS).await {
        let vault = vault(folder.path(), &stage).await;
        let (mut charged, mut erased) = (0, 0);
        for who in 0..PATIENTS {
            let (beside, other) = (stage.clone(), vault.clone());
            let erasing = tokio::spawn(async move {
                erasure::erase(&beside.database, &other, &officer(), patient(who), GROUND, None, NOW).await
            });
            // So that now the one and now the other is quicker.
            for _ in 0..(who % 4) * 40 {
                tokio::task::yield_now().await;
            }
            let registered = stage.till.register(&stage.doctor, stage.charge(stage.key(), who, "visit", 1)).await;
            match (erasing.await.unwrap(), registered) {
                (Ok(_), Err(TillError::NotFound)) => erased += 1,
                (Err(ErasureError::OpenAccount(open)), Ok(_)) if open.charges == 1 => charged += 1,
                other => panic!("both or neither: {other:?}"),
            }
        }
        assert_eq!(charged + erased, PATIENTS);
        stage.is_sound().await;
    }
}
