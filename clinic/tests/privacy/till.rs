//! Patients and the till: what was charged and paid is in a person's package; nobody is erased while their account is open;
//! afterwards the books stay as they were, by pseudonym.

use std::path::Path;

use clinic::erasure::{self, ErasureError, Fate, What};
use clinic::subjects;
use clinic::till::{Member, NewPayer, NewTerms, PayerKind};
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
