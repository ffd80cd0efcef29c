//! Discounts worked out again give the same totals, after whatever happened.

use clinic::till::{CancelReason, Charge};
use domain::till::ChargeState;
use domain::till::terms::Mode;

use crate::clinic_of::{Clinic, both, doctor};
use crate::scene::{HOUR, person};

/// A random history of one patient, the same for each engine by its seed.
async fn live(clinic: &Clinic, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut charges: Vec<Charge> = Vec::new();
    for step in 0..60 {
        match random.u8(0..10) {
            0..=5 => {
                let service = ["blood", "scan", "free", "home"][random.usize(0..4)];
                let new = clinic::till::NewCharge { quantity: random.u32(1..=4), ..clinic.wish(10, service) };
                charges.push(clinic.till.register(&doctor(1), new).await.unwrap());
            }
            6 | 7 if !charges.is_empty() => {
                let at = random.usize(0..charges.len());
                let reason = CancelReason::Mistake;
                charges[at] = clinic
                    .till
                    .cancel(&crate::scene::manager(), clinic.key(), &charges[at].id, reason, "taken back by the test")
                    .await
                    .unwrap();
            }
            8 => {
                if let Some(order) = charges.iter_mut().find(|charge| charge.state == ChargeState::Ordered) {
                    clinic.pay_order(order).await;
                    *order = clinic.till.render(&doctor(1), clinic.key(), &order.id, None).await.unwrap();
                }
            }
            _ => {
                // The price and the scale change, and time goes on.
                clinic.price("blood", random.i64(1..20_000)).await;
                if step % 3 == 0 {
                    clinic.scheme_from("loyal", random.i64(1..30_000)).await;
                }
                clinic.scene.go_on(HOUR);
            }
        }
    }
}

#[tokio::test]
async fn a_history_worked_out_again_gives_the_same_totals() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        for seed in 0..2 {
            if seed == 0 {
                clinic.scheme("loyal").await;
                clinic.terms(Mode::Postpaid, Some(1_000_000_000), Some("loyal")).await;
            }
            live(&clinic, seed).await;
        }
        let again = clinic.till.recalculate(&doctor(1), person(10)).await.unwrap();
        assert!(again.lines.len() > 30, "{}", again.lines.len());
        assert!(again.is_same(), "{:?}", again.lines.iter().find(|line| !line.is_same()));
        let given = again.lines.iter().filter(|line| line.discount.0.is_positive()).count();
        assert!(given > 10, "discounts were given: {given}");
        // Somebody changes by hand what must not change.
        clinic.sql("UPDATE charge SET before_minor = before_minor + 1 WHERE no = 7", vec![]).await;
        let again = clinic.till.recalculate(&doctor(1), person(10)).await.unwrap();
        assert!(!again.is_same() && again.lines.iter().filter(|line| !line.is_same()).all(|line| line.no == 7));
    }
}
