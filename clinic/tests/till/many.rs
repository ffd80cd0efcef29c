//! Many at once: limits under concurrency, failures that harm nobody else, and the registrar's own life.

use std::time::Duration;

use clinic::till::{NewCharge, TillError, WAITING_MAX};
use domain::till::terms::{Mode, Owner};

use crate::clinic_of::{Clinic, amount, both, doctor, till};
use crate::register::pot;
use crate::scene::person;

/// How many of these wishes were accepted, asked all at once by two tills.
async fn accepted(clinic: &Clinic, wishes: Vec<NewCharge>) -> usize {
    let tills = [clinic.till.clone(), till(&clinic.scene)];
    let mut running = Vec::new();
    for (at, new) in wishes.into_iter().enumerate() {
        let till = tills[at % 2].clone();
        running.push(tokio::spawn(async move { till.register(&doctor(1), new).await }));
    }
    let mut accepted = 0;
    for one in running {
        match one.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(TillError::Refused(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_when_everybody_asks_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(109_999), None).await;
        let wishes = (0..64).map(|_| clinic.wish(10, "blood")).collect();
        assert_eq!(accepted(&clinic, wishes).await, 10);
        assert_eq!(clinic.account(person(10)).await.owed, amount(100_000));
        let payer = pot(&clinic, 75_000, &[11, 12, 13]).await;
        let owner = Owner::Payer(payer.clone());
        clinic.terms_for(owner, Mode::Postpaid, None, Some(&payer), None, 1).await;
        let wishes = (0..64).map(|n| clinic.wish(11 + n % 3, "blood")).collect();
        assert_eq!(accepted(&clinic, wishes).await, 7);
        assert_eq!(clinic.pot_used(&payer).await, 70_000);
        let checked = clinic.till.check(&crate::scene::manager()).await.unwrap();
        assert!(checked.is_right(), "{:?}", checked.findings);
        let numbers: (i64, i64) = store::read!(clinic.scene.database, "test.numbers", |conn| {
            Ok(sqlx::query_as("SELECT COUNT(*), MAX(no) FROM charge").fetch_one(&mut *conn).await?)
        })
        .unwrap();
        assert_eq!(numbers, (17, 17), "numbers have no gap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_worked_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.scheme("broken").await;
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        clinic.terms_for(Owner::Patient(person(10)), Mode::Postpaid, Some(1), None, Some("broken"), 1).await;
        clinic.sql("UPDATE discount_scheme SET steps = 'nothing' WHERE id = $1", vec!["broken".to_owned()]).await;
        let acting = doctor(1);
        let (bad, good) = (clinic.wish(10, "blood"), clinic.wish(11, "blood"));
        let both = tokio::join!(clinic.till.register(&acting, bad), clinic.till.register(&acting, good));
        assert!(matches!(&both.0, Err(TillError::Store(error)) if error.to_string().contains("steps")), "{both:?}");
        assert_eq!(both.1.unwrap().no, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_is_registered_though_the_caller_went_away() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        let new = clinic.wish(10, "blood");
        {
            let (acting, new) = (doctor(1), new.clone());
            let mut call = Box::pin(clinic.till.register(&acting, new));
            // Asked once, and dropped.
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
            assert!(!polled);
        }
        let (key, database) = (new.key.clone(), clinic.scene.database.clone());
        let found = async {
            loop {
                let key = key.clone();
                let count: i64 = store::read!(database, "test.count", |conn| {
                    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM charge WHERE key = $1")
                        .bind(&key)
                        .fetch_one(&mut *conn)
                        .await?)
                })
                .unwrap();
                if count == 1 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found).await.unwrap();
        assert_eq!(clinic.till.register(&doctor(1), new).await.unwrap().no, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_wait_the_caller_is_told_at_once_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = both(folder.path()).await.remove(0);
    clinic.terms(Mode::Postpaid, Some(1_000_000_000), None).await;
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    let held = std::sync::Arc::new(tokio::sync::Mutex::new(Some(held)));
    let (begun, began) = tokio::sync::oneshot::channel::<()>();
    let begun = std::sync::Arc::new(std::sync::Mutex::new(Some(begun)));
    let database = clinic.scene.database.clone();
    // Somebody else writes for a while.
    let writer = tokio::spawn(async move {
        store::transact!(database, "test.hold", |conn| {
            sqlx::query("UPDATE counter SET value = value WHERE name = 'charge'").execute(&mut *conn).await?;
            if let Some(begun) = begun.lock().unwrap().take() {
                let _ = begun.send(());
            }
            if let Some(held) = held.lock().await.take() {
                let _ = held.await;
            }
            Ok(())
        })
    });
    began.await.unwrap();
    let all = WAITING_MAX + 2 * clinic::till::BATCH_MAX;
    let mut running = Vec::new();
    for _ in 0..all {
        let (till, new) = (clinic.till.clone(), clinic.wish(10, "free"));
        running.push(tokio::spawn(async move { till.register(&doctor(1), new).await }));
    }
    let (mut busy, mut done) = (0, 0);
    // Those who were refused answer while the others still wait.
    let mut waiting = Vec::new();
    let watch = async {
        loop {
            let (ended, rest): (Vec<_>, Vec<_>) = running.drain(..).partition(|one| one.is_finished());
            for one in ended {
                assert!(matches!(one.await.unwrap(), Err(TillError::Busy)));
                busy += 1;
            }
            running = rest;
            if running.len() <= WAITING_MAX + clinic::till::BATCH_MAX {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), watch).await.unwrap();
    waiting.append(&mut running);
    release.send(()).unwrap();
    writer.await.unwrap().unwrap();
    for one in waiting {
        match one.await.unwrap() {
            Ok(_) => done += 1,
            Err(TillError::Busy) => busy += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(busy + done, all);
    assert!(busy >= clinic::till::BATCH_MAX, "{busy}");
    let stored: i64 = store::read!(clinic.scene.database, "test.count", |conn| {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM charge").fetch_one(&mut *conn).await?)
    })
    .unwrap();
    assert_eq!(usize::try_from(stored).unwrap(), done);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_on_one_server_take_turns_and_neither_is_left_waiting() {
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    let clinic = Clinic::new(store::Database::open(&url).await.unwrap()).await;
    clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
    let rules = clinic.till.rules().clone();
    let other = store::Database::open(&url).await.unwrap();
    let clock = domain::Clock::new(|| crate::scene::NOW);
    let other = clinic::till::Till::new(other, clock, chrono_tz::Europe::Kyiv, rules);
    let mut running = Vec::new();
    for writer in 0..16_u8 {
        let till = if writer % 2 == 0 { clinic.till.clone() } else { other.clone() };
        let wishes: Vec<NewCharge> = (0..10).map(|_| clinic.wish(10 + writer % 8, "blood")).collect();
        running.push(tokio::spawn(async move {
            for new in wishes {
                till.register(&doctor(1), new).await.unwrap();
            }
        }));
    }
    for one in running {
        one.await.unwrap();
    }
    for patient in 10..18 {
        assert_eq!(clinic.account(person(patient)).await.owed, amount(200_000));
    }
    let checked = clinic.till.check(&crate::scene::manager()).await.unwrap();
    assert!(checked.is_right(), "{:?}", checked.findings);
}

#[tokio::test]
async fn the_registrars_task_ends_with_the_last_till_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        // The task holds the clock as long as it lives.
        let held = std::sync::Arc::new(());
        let seen = std::sync::Arc::downgrade(&held);
        let clock = domain::Clock::new(move || {
            let _ = &held;
            crate::scene::NOW
        });
        let first = clinic::till::Till::new(
            clinic.scene.database.clone(),
            clock,
            chrono_tz::Europe::Kyiv,
            clinic::till::Rules::of(crate::clinic_of::uah()),
        );
        let second = first.clone();
        first.register(&doctor(1), clinic.wish(10, "blood")).await.unwrap();
        drop(first);
        second.register(&doctor(1), clinic.wish(10, "blood")).await.unwrap();
        assert!(seen.upgrade().is_some());
        // Somebody who goes away leaves what they asked for in the queue: it is done, then the task ends.
        let wish = clinic.wish(10, "blood");
        let asking = second.clone();
        let asked = tokio::spawn(async move { asking.register(&doctor(1), wish).await });
        drop(second);
        asked.await.unwrap().unwrap();
        tokio::time::timeout(Duration::from_secs(20), async {
            while seen.upgrade().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the task ends when nobody can ask it any more");
        assert_eq!(clinic.account(person(10)).await.owed, amount(30_000));
    }
}
