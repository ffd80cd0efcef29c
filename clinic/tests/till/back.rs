//! Taking charges back: who may, and what comes of the money.

use clinic::acting::{Acting, Actor};
use clinic::till::{CancelReason, Charge, TillError};
use domain::money::Amount;
use domain::till::ChargeState;
use domain::till::terms::{Mode, Owner};
use domain::{Rights, Shipped};

use crate::clinic_of::{Clinic, amount, both, doctor};
use crate::register::pot;
use crate::scene::{HOUR, person};

fn accountant() -> Acting {
    let rights = Rights::of(Shipped::Accountant);
    Acting { actor: Actor::Account("c".repeat(32)), rights, session: None, address: None, glass: None }
}

async fn cancel(clinic: &Clinic, acting: &Acting, charge: &Charge, words: &str) -> Result<Charge, TillError> {
    clinic.till.cancel(acting, clinic.key(), &charge.id, CancelReason::Mistake, words).await
}

#[tokio::test]
async fn what_is_taken_back_gives_limit_pot_and_scale_back_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.scheme("loyal").await;
        let payer = pot(&clinic, 10_000, &[10]).await;
        let owner = Owner::Payer(payer.clone());
        clinic.terms_for(owner, Mode::Postpaid, Some(10_000), Some(&payer), Some("loyal"), 0).await;
        let charge = clinic.register(10, "blood").await.unwrap();
        assert!(clinic.register(10, "blood").await.is_err());
        let key = clinic.key();
        let back = clinic.till.cancel(&doctor(1), key.clone(), &charge.id, CancelReason::NotGiven, "").await.unwrap();
        assert_eq!(back.state, ChargeState::Cancelled);
        assert_eq!(back.cancelled.as_ref().unwrap().1, "not_given");
        assert_eq!((back.open(), clinic.pot_used(&payer).await), (Amount::ZERO, 0));
        assert_eq!(clinic.account(person(10)).await, domain::till::Account::default());
        assert_eq!(clinic.ledger().await, ["rendered owed>revenue 10000", "cancelled revenue>owed 10000"]);
        assert_eq!(clinic.told().await.last().unwrap(), "charge_cancelled not_given");
        let again = clinic.till.cancel(&doctor(1), key.clone(), &charge.id, CancelReason::NotGiven, "").await.unwrap();
        assert_eq!(again, back, "repeated");
        assert_eq!(cancel(&clinic, &doctor(1), &charge, "").await.unwrap(), back, "taken back twice");
        let next = clinic.register(10, "blood").await.unwrap();
        assert_eq!(next.before, Amount::ZERO);
        let reused = clinic.till.cancel(&doctor(1), key, &next.id, CancelReason::NotGiven, "").await;
        assert!(matches!(reused, Err(TillError::KeyReused)), "{reused:?}");
        let checked = clinic.till.check(&crate::scene::manager()).await.unwrap();
        assert!(checked.is_right(), "{:?}", checked.findings);
    }
}

#[tokio::test]
async fn only_who_registered_it_takes_it_back_and_only_today() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        let charge = clinic.register(10, "blood").await.unwrap();
        let other = clinic.register(10, "blood").await.unwrap();
        assert!(matches!(cancel(&clinic, &doctor(2), &charge, "").await, Err(TillError::NotTheirs)));
        assert!(matches!(cancel(&clinic, &accountant(), &charge, "").await, Err(TillError::ReasonWanted)));
        assert!(matches!(cancel(&clinic, &accountant(), &charge, "short").await, Err(TillError::ReasonWanted)));
        let asked = clinic.till.cancel(&doctor(1), clinic.key(), &charge.id, CancelReason::Other, "").await;
        assert!(matches!(asked, Err(TillError::ReasonWanted)), "{asked:?}");
        cancel(&clinic, &accountant(), &charge, "the wrong patient was chosen").await.unwrap();
        clinic.scene.go_on(24 * HOUR);
        assert!(matches!(cancel(&clinic, &doctor(1), &other, "").await, Err(TillError::NotTheirs)));
        cancel(&clinic, &accountant(), &other, "the wrong patient was chosen").await.unwrap();
        let denied = cancel(&clinic, &Acting::system(), &other, "").await;
        assert!(matches!(denied, Err(TillError::Denied(_))), "{denied:?}");
        let none = clinic.till.cancel(&doctor(1), clinic.key(), "none", CancelReason::Mistake, "").await;
        assert!(matches!(none, Err(TillError::NotFound)), "{none:?}");
    }
}

#[tokio::test]
async fn what_was_paid_for_it_becomes_the_patients_deposit() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        let charge = clinic.register(10, "blood").await.unwrap();
        // A part of it is paid, as a cashier does it.
        clinic.sql("UPDATE charge SET paid_minor = 4000 WHERE id = $1", vec![charge.id.clone()]).await;
        clinic
            .sql(
                "UPDATE till_balance SET owed_minor = owed_minor - 4000 WHERE person = $1",
                vec![person(10).to_string()],
            )
            .await;
        cancel(&clinic, &doctor(1), &charge, "").await.unwrap();
        let account = clinic.account(person(10)).await;
        assert_eq!((account.owed, account.deposit), (Amount::ZERO, amount(4_000)));

        let order = clinic.register(11, "home").await.unwrap();
        clinic.pay_order(&order).await;
        cancel(&clinic, &doctor(1), &order, "").await.unwrap();
        let account = clinic.account(person(11)).await;
        assert_eq!((account.held, account.deposit), (Amount::ZERO, amount(50_000)));
        let gone = clinic.till.render(&doctor(1), clinic.key(), &order.id, None).await;
        assert!(matches!(gone, Err(TillError::NotFound)), "{gone:?}");

        clinic.terms_for(Owner::Patient(person(12)), Mode::Deposit, None, None, None, 1).await;
        clinic.pay_in(12, 10_000).await;
        let charge = clinic.register(12, "blood").await.unwrap();
        cancel(&clinic, &doctor(1), &charge, "").await.unwrap();
        let account = clinic.account(person(12)).await;
        assert_eq!((account.deposit, account.rendered), (amount(10_000), Amount::ZERO));
    }
}
