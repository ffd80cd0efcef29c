//! Comparing charges with another system, on both engines: asked for by a person, done by a bridge, told again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::collections::BTreeSet;

use clinic::acting::Acting;
use clinic::changes::ChangeKind;
use clinic::outbox::{self, Begin, Claimed, DeliveryState, Destination, Ended, Fault, FaultCode, Settled};
use clinic::till::reconcile::{
    self, Basis, Compared, Difference, DifferenceKind, ReconciliationState, Theirs, compare,
};
use clinic::till::{Rules, Till, TillError};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{Clock, UtcMillis};
use store::{Database, sqlx, transact};

/// 2026-11-21T08:00:00Z, 10:00 in Kyiv.
const NOW: UtcMillis = UtcMillis(1_795_248_000_000);
const TODAY: LocalDate = LocalDate(20_778);
const PATIENT: &str = "11111111111111111111111111111111";

fn charge_id(number: u32) -> String {
    format!("c0c7c1e0-0d9b-4f8e-8a57-{number:012}")
}

/// A charge of a past moment with what was said of it, as the till writes them.
async fn charge(database: &Database, number: u32, rendered: UtcMillis, is_cancelled: bool) {
    let id = charge_id(number);
    transact!(database, "test.charge", |conn| {
        sqlx::query(
            "INSERT INTO charge (id, no, key, asked, patient, service, price_version, quantity, currency, gross_minor,
                 discount_minor, net_minor, rate, before_minor, terms, terms_version, mode, state, paid_minor,
                 written_off_minor, actor_kind, registered_ms, day, rendered_ms, entry)
             VALUES ($1, $2, $1, '', $3, 'ecg', 1, 1, 'EUR', 1000, 0, 1000, 0, 0, 't', 1, 'postpaid', $4, 0, 0, 'system', $5,
                 0, $5, 1)",
        )
        .bind(&id)
        .bind(i64::from(number))
        .bind(PATIENT)
        .bind(if is_cancelled { "cancelled" } else { "rendered" })
        .bind(rendered.0)
        .execute(&mut *conn)
        .await?;
        let kinds: &[&str] = if is_cancelled { &["charge_rendered", "charge_cancelled"] } else { &["charge_rendered"] };
        for kind in kinds {
            sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'change'").execute(&mut *conn).await?;
            sqlx::query(
                "INSERT INTO change (id, at_ms, happened_ms, kind, patient, detail)
                 SELECT value, $1, $1, $2, $3, $4 FROM counter WHERE name = 'change'",
            )
            .bind(rendered.0)
            .bind(*kind)
            .bind(PATIENT)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    })
    .unwrap();
}

async fn scene(database: &Database) -> Till {
    transact!(database, "test.scene", |conn| {
        sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, 0)").bind(PATIENT).execute(&mut *conn).await?;
        sqlx::query(
            "INSERT INTO service (code, names, category, at_home, external, changed_ms)
             VALUES ('ecg', '{\"en\":\"Electrocardiogram\",\"ru\":\"ЭКГ\"}', 'diagnostics', 0, 'ECG-12', 0)",
        )
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
    let destination = Destination {
        name: "mis".to_owned(),
        kind: "hl7".to_owned(),
        wants: vec![ChangeKind::ChargeRendered, ChangeKind::ChargeCancelled],
        begin: Begin::Now,
    };
    outbox::register(database, &destination, NOW).await.unwrap();
    Till::new(database.clone(), Clock::new(|| NOW), chrono_tz::Europe::Kyiv, Rules::of(Currency::default()))
}

async fn claim_all(database: &Database) -> Vec<Claimed> {
    outbox::fill(database, "mis", NOW).await.unwrap();
    outbox::claim(database, "mis", "bridge", 100, NOW, NOW.plus_ms(30_000)).await.unwrap()
}

macro_rules! story {
    ($name:ident, |$database:ident, $till:ident| $body:block) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let folder = tempfile::tempdir().unwrap();
            for $database in store::testing::both(folder.path()).await {
                let $till = scene(&$database).await;
                $body
                $database.close().await;
            }
        }
    };
}

story!(a_comparison_is_asked_for_once_taken_by_one_bridge_and_left_to_the_next, |database, till| {
    let console = Acting::console();
    let id = till.ask_reconciliation(&console, "mis", TODAY, TODAY).await.unwrap();
    assert_eq!(
        till.ask_reconciliation(&console, "mis", TODAY, TODAY).await.unwrap(),
        id,
        "a second would say the same"
    );
    assert!(matches!(till.ask_reconciliation(&console, "other", TODAY, TODAY).await, Err(TillError::NotFound)));
    for (from, until) in [(1, 0), (-40, 0), (1, 1)] {
        let day = |ahead: i32| LocalDate(TODAY.0 + ahead);
        let refused = till.ask_reconciliation(&console, "mis", day(from), day(until)).await;
        assert!(matches!(refused, Err(TillError::Invalid { .. })), "{from} {until}");
    }
    let claim = async |holder: &'static str, now: UtcMillis| {
        reconcile::claim(&database, "mis", holder, now, now.plus_ms(60_000)).await.unwrap()
    };
    let (one, two) = tokio::join!(claim("a", NOW), claim("b", NOW));
    assert_eq!(usize::from(one.is_some()) + usize::from(two.is_some()), 1, "one bridge does it");
    let first = if one.is_some() { "a" } else { "b" };
    let job = one.or(two).unwrap();
    assert_eq!(
        (job.days.from, job.days.until),
        (UtcMillis(NOW.0 - 36_000_000), UtcMillis(NOW.0 + 50_400_000)),
        "Kyiv's day"
    );
    assert!(claim("c", NOW.plus_ms(59_000)).await.is_none());
    // It died; the next one begins anew, and what the first still says is not heard.
    let later = NOW.plus_ms(61_000);
    assert_eq!(claim("c", later).await.as_ref(), Some(&job));
    assert!(!reconcile::progress(&database, &job, first, (1, 1), later).await.unwrap());
    assert!(!reconcile::end(&database, &job, first, Basis::Records, Compared::default(), later).await.unwrap());
    reconcile::fail(&database, &job, first, &Fault::of(FaultCode::Late), later).await.unwrap();
    assert!(reconcile::progress(&database, &job, "c", (7, 5), later.plus_ms(60_000)).await.unwrap());
    let running = till.reconciliation(&console, &id).await.unwrap();
    assert_eq!((running.state, running.ours, running.theirs), (ReconciliationState::Running, 7, 5));
    reconcile::fail(&database, &job, "c", &Fault::new(FaultCode::Refused, "403"), later).await.unwrap();
    let failed = till.reconciliations(&console, None, 10).await.unwrap().remove(0);
    assert_eq!(failed.state, ReconciliationState::Failed);
    assert_eq!(failed.fault, Some(Fault::new(FaultCode::Refused, "403")));
    let next = till.ask_reconciliation(&console, "mis", TODAY, TODAY).await.unwrap();
    assert_ne!(next, id);
    assert_eq!(till.reconciliation(&console, &next).await.unwrap().no, failed.no + 1, "numbers without a gap");
});

story!(what_is_missing_is_listed_with_why_and_told_again, |database, till| {
    let console = Acting::console();
    for number in 1..=5 {
        charge(&database, number, NOW, number == 5).await;
    }
    charge(&database, 6, NOW.plus_ms(-24 * 3_600_000), false).await;
    // 1 is told, 2 is a dead letter, 3 waits, 4 and 5 are told; then 5 is taken back and that is told too.
    let claimed = claim_all(&database).await;
    assert_eq!(claimed.len(), 7);
    let ended = |claimed: &Claimed| match claimed.change {
        2 => Ended::Dead(Fault::new(FaultCode::Refused, "422")),
        3 => Ended::Released,
        _ => Ended::Done,
    };
    let ended = claimed.iter().map(|claimed| Settled { change: claimed.change, ended: ended(claimed) }).collect();
    outbox::settle(&database, "mis", "bridge", ended, NOW).await.unwrap();
    let id = till.ask_reconciliation(&console, "mis", TODAY, TODAY).await.unwrap();
    let job = reconcile::claim(&database, "mis", "bridge", NOW, NOW.plus_ms(60_000)).await.unwrap().unwrap();
    let ours = reconcile::ours(&database, &job).await.unwrap().unwrap();
    assert_eq!(
        ours.iter().map(|own| own.counts).collect::<Vec<_>>(),
        [true, true, true, true, false],
        "not yesterday's"
    );
    let ids: Vec<String> = ours.iter().map(|own| own.charge.clone()).collect();
    let told = reconcile::told(&database, "mis", ids).await.unwrap();
    assert_eq!(told[&charge_id(5)].cancelled, Some((6, Some(DeliveryState::Done))));
    let there = |number: u32, minor: i64| Theirs {
        charge: charge_id(number),
        external: format!("x{number}"),
        money: Some((Currency::default(), Amount::new(minor).unwrap())),
        counts: true,
        state: "billable".to_owned(),
    };
    let theirs = vec![there(1, 1000), there(4, 999), there(5, 1000), there(6, 1000), there(99, 5)];
    let known = reconcile::known(&database, theirs.iter().map(|one| one.charge.clone()).collect()).await.unwrap();
    assert!(!known.contains(&charge_id(99)));
    let own: BTreeSet<String> = known.into_iter().filter(|id| *id == charge_id(6)).collect();
    let found = compare(&ours, theirs, &own, |id| told.get(id).map_or("not_told", |told| told.code()).to_owned());
    assert!(reconcile::end(&database, &job, "bridge", Basis::Records, found, NOW).await.unwrap());

    let done = till.reconciliation(&console, &id).await.unwrap();
    assert_eq!((done.state, done.basis), (ReconciliationState::Done, Some(Basis::Records)));
    assert_eq!((done.ours, done.theirs, done.alike, done.differences), (4, 4, 1, 5));
    let lines = till.differences(&console, &id, None, 0, 100).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.kind, line.no, line.state.as_str())).collect();
    use DifferenceKind as D;
    assert_eq!(
        told,
        [
            (D::MissingThere, Some(2), "dead"),
            (D::MissingThere, Some(3), "waiting"),
            (D::Amount, Some(4), "billable"),
            (D::State, Some(5), "billable"),
            (D::MissingHere, None, "billable"),
        ]
    );
    assert_eq!(lines[0].service.as_deref(), Some("ecg"));
    assert!(lines[0].may_be_told_again() && !lines[2].may_be_told_again() && !lines[4].may_be_told_again());
    let missing = till.differences(&console, &id, Some(D::MissingThere), 1, 10).await.unwrap();
    assert_eq!(missing.iter().map(|line| line.n).collect::<Vec<_>>(), [2]);

    assert!(matches!(till.tell_again(&console, &id, Some(3)).await, Err(TillError::NotFound)), "an amount is not told");
    assert_eq!(till.tell_again(&console, &id, Some(1)).await.unwrap(), 1);
    assert_eq!(till.tell_again(&console, &id, None).await.unwrap(), 2, "what waits is not doubled; both of 5");
    assert!(matches!(till.tell_again(&console, &id, None).await, Err(TillError::NotFound)), "all of it waits");
    let again: Vec<u64> = claim_all(&database).await.iter().map(|claimed| claimed.change).collect();
    assert_eq!(again, [2, 3, 5, 6]);
});

story!(many_differences_are_counted_and_the_first_of_them_kept, |database, till| {
    let console = Acting::console();
    let id = till.ask_reconciliation(&console, "mis", TODAY, TODAY).await.unwrap();
    let job = reconcile::claim(&database, "mis", "bridge", NOW, NOW.plus_ms(60_000)).await.unwrap().unwrap();
    let one = |number: u32| Difference {
        kind: DifferenceKind::MissingHere,
        charge: charge_id(number),
        external: None,
        currency: None,
        ours: None,
        theirs: None,
        state: String::new(),
    };
    let many = u32::try_from(reconcile::LINES_MAX).unwrap() + 1;
    let found = Compared { differences: (0..many).map(one).collect(), ..Compared::default() };
    assert!(reconcile::end(&database, &job, "bridge", Basis::Acknowledged, found, NOW).await.unwrap());
    assert_eq!(till.reconciliation(&console, &id).await.unwrap().differences, u64::from(many));
    let last = till.differences(&console, &id, None, u64::from(many) - 2, 10).await.unwrap();
    assert_eq!(last.len(), 1, "{last:?}");
});

story!(what_is_told_of_a_charge_and_of_a_payment_is_what_they_are_now, |database, till| {
    charge(&database, 1, NOW, true).await;
    transact!(database.clone(), "test.payment", |conn| {
        sqlx::query(
            "INSERT INTO payment (id, no, key, asked, kind, method, state, patient, currency, minor, actor_kind, begun_ms,
                 done_ms)
             VALUES ('pay-1', 7, 'k', '', 'paid', 'card', 'done', $1, 'EUR', 400, 'system', $2, $2)",
        )
        .bind(PATIENT)
        .bind(NOW.0)
        .execute(&mut *conn)
        .await?;
        sqlx::query("INSERT INTO payment_part (payment, charge, minor) VALUES ('pay-1', $1, 400)")
            .bind(charge_id(1))
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
    .unwrap();
    let changes = clinic::changes::after(&database, 0, 10).await.unwrap();
    let mut paid = changes[0].clone();
    (paid.kind, paid.detail, paid.id) = (ChangeKind::PaymentTaken, Some("pay-1".to_owned()), 99);
    let facts = outbox::facts_of(&database, "mis", vec![changes[0].clone(), changes[1].clone(), paid]).await.unwrap();
    let told = facts[0].charge.as_ref().unwrap();
    assert_eq!(
        (told.net.minor(), told.code(), told.name("ru"), told.name("de")),
        (1000, "ECG-12", "ЭКГ", "Electrocardiogram")
    );
    assert_eq!(told.state, domain::till::ChargeState::Cancelled, "as it is now");
    assert_eq!(facts[1].charge.as_ref().map(|charge| &charge.id), Some(&told.id));
    let payment = facts[2].payment.as_ref().unwrap();
    assert_eq!((payment.line.no, payment.line.amount.minor(), payment.is_back()), (Some(7), 400, false));
    assert_eq!(
        payment.parts.iter().map(|(of, minor)| (of.as_str(), minor.minor())).collect::<Vec<_>>(),
        [(charge_id(1).as_str(), 400)]
    );
    assert_eq!(facts[2].patient.as_ref().unwrap().person.to_string(), PATIENT);
    let body = outbox::body(&facts[0], "clinic-3");
    assert_eq!((&body["charge"]["net_minor"], &body["charge"]["digits"]), (&1000.into(), &2.into()));
    assert_eq!(outbox::body(&facts[2], "clinic-3")["payment"]["parts"][0]["minor"], 400);
    let mut hidden = facts[2].clone();
    hidden.without_money();
    assert!(outbox::body(&hidden, "clinic-3").get("payment").is_none());
    assert_eq!(till.today(), TODAY);
});
