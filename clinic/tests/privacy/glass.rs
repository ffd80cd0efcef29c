//! Breaking glass: at once, for a while, with a reason, seen by others, and reviewed by somebody else.

use clinic::accounts::AccountId;
use clinic::audit::{Action, Draft, Purpose};
use clinic::break_glass::{self, Ended, FIELDS, Glass, GlassError, PERMISSIONS, Queue, Verdict};
use clinic::{Database, audit};
use domain::{Field, Permission, Rights, Shipped};
use store::testing::both;

use crate::{MINUTE, NOW, acting, log, officer, person};

const REASON: &str = "Unconscious patient at turnstile 2, nobody knows who it is";

fn account(digit: char) -> AccountId {
    AccountId::parse(&std::iter::repeat_n(digit, 32).collect::<String>()).unwrap()
}

async fn broken(database: &Database, digit: char) -> Glass {
    break_glass::start(database, &acting(Shipped::Guard, digit), REASON, 60, NOW).await.unwrap()
}

#[tokio::test]
async fn glass_is_broken_at_once_for_a_while_and_told_to_reviewers() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        assert_eq!(break_glass::open_for(&database, &account('1'), NOW).await.unwrap(), None);
        let glass = broken(&database, '1').await;
        let open = break_glass::open_for(&database, &account('1'), NOW).await.unwrap();
        assert_eq!(open.as_ref(), Some(&glass));
        assert_eq!(glass.remaining_ms(NOW.plus_ms(45 * MINUTE)), 15 * MINUTE);
        assert_eq!(break_glass::open_for(&database, &account('2'), NOW).await.unwrap(), None, "nobody else's");
        let mut rights = Rights::of(Shipped::Guard);
        glass.widen(&mut rights);
        assert!(PERMISSIONS.iter().all(|it| rights.allows(*it)) && FIELDS.iter().all(|it| rights.shows(*it)));
        assert!(!rights.shows(Field::VisitPurpose) && !rights.allows(Permission::PersonEdit));
        let last = NOW.plus_ms(60 * MINUTE - 1);
        assert!(break_glass::open_for(&database, &account('1'), last).await.unwrap().is_some());
        assert_eq!(break_glass::open_for(&database, &account('1'), last.plus_ms(1)).await.unwrap(), None, "by itself");
        let notices: Vec<(String, Option<String>, String)> = store::read!(database, "test.notices", |conn| {
            Ok(sqlx::query_as("SELECT kind, permission, state FROM notice").fetch_all(&mut *conn).await?)
        })
        .unwrap();
        let expected = ("break_glass".to_owned(), Some("break_glass_review".to_owned()), "queued".to_owned());
        assert_eq!(notices, [expected]);
        let entries = log(&database).await;
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].0.as_str(), entries[0].4.as_deref()), ("glass_broken", Some(REASON)));
        assert_eq!(entries[0].5.as_deref(), Some(glass.id.as_str()));
    }
}

#[tokio::test]
async fn a_broken_glass_cannot_be_prolonged_and_the_next_one_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let glass = broken(&database, '1').await;
        let guard = acting(Shipped::Guard, '1');
        let again = break_glass::start(&database, &guard, REASON, 240, NOW.plus_ms(MINUTE)).await;
        assert!(matches!(again, Err(GlassError::AlreadyOpen(open)) if open == glass));
        let later = glass.ends.plus_ms(1);
        break_glass::start(&database, &guard, REASON, 5, later).await.unwrap();
        let last = log(&database).await.pop().unwrap();
        assert_eq!(last.3.as_deref(), Some("started; minutes=5; earlier_in_30_days=1"));
    }
}

#[tokio::test]
async fn a_reason_a_time_and_a_person_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let guard = acting(Shipped::Guard, '1');
        for reason in ["", "urgent", "   nine    ", &"x".repeat(501), "a reason with \u{7} in it"] {
            let answer = break_glass::start(&database, &guard, reason, 60, NOW).await;
            assert!(matches!(answer, Err(GlassError::BadReason)), "{reason:?}");
        }
        for minutes in [i64::MIN, -1, 0, 4, 241, i64::MAX] {
            let answer = break_glass::start(&database, &guard, REASON, minutes, NOW).await;
            assert!(matches!(answer, Err(GlassError::BadTime)), "{minutes}");
        }
        let cashier = break_glass::start(&database, &acting(Shipped::Cashier, '2'), REASON, 60, NOW).await;
        assert!(matches!(cashier, Err(GlassError::Denied(denied)) if denied.0 == Permission::BreakGlassUse));
        let console = break_glass::start(&database, &clinic::acting::Acting::console(), REASON, 60, NOW).await;
        assert!(matches!(console, Err(GlassError::NotAPerson)));
        assert!(log(&database).await.is_empty(), "what was refused here changed nothing");
    }
}

#[tokio::test]
async fn it_ends_by_hand_by_reviewer_or_by_time_and_each_end_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let (mine, other, third) =
            (broken(&database, '1').await, broken(&database, '2').await, broken(&database, '3').await);
        let guard = acting(Shipped::Guard, '1');
        let at = NOW.plus_ms(MINUTE);
        assert!(matches!(break_glass::end(&database, &guard, &other.id, at).await, Err(GlassError::NotFound)));
        break_glass::end(&database, &guard, &mine.id, at).await.unwrap();
        assert!(matches!(break_glass::end(&database, &guard, &mine.id, at).await, Err(GlassError::NotFound)), "twice");
        assert_eq!(break_glass::open_for(&database, &account('1'), at).await.unwrap(), None, "at once");
        break_glass::end(&database, &officer(), &other.id, at).await.unwrap();
        assert_eq!(break_glass::close_expired(&database, third.ends.plus_ms(-1)).await.unwrap(), 0);
        assert_eq!(break_glass::close_expired(&database, third.ends).await.unwrap(), 1);
        assert_eq!(break_glass::close_expired(&database, third.ends).await.unwrap(), 0, "once");
        let cases = break_glass::list(&database, &officer(), Queue::All, third.ends).await.unwrap();
        let mut ends: Vec<Ended> = cases.iter().map(|case| case.ended.unwrap().1).collect();
        ends.sort();
        assert_eq!(ends, [Ended::ByHand, Ended::ByReviewer, Ended::ByTime]);
        let details: Vec<String> = log(&database).await.into_iter().skip(3).filter_map(|entry| entry.3).collect();
        assert_eq!(details.len(), 3, "{details:?}");
    }
}

#[tokio::test]
async fn a_review_sees_what_was_looked_at_and_nobody_reviews_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let everything = acting(Shipped::Administrator, '1');
        let glass = break_glass::start(&database, &everything, REASON, 60, NOW).await.unwrap();
        let seen = Draft {
            subject: Some(person(7)),
            fields: vec![Field::Name, Field::Contact],
            purpose: Some(Purpose::Emergency),
            glass: Some(glass.id.clone()),
            ..everything.draft(NOW.plus_ms(MINUTE), Action::PersonRevealed)
        };
        audit::write(&database, seen).await.unwrap();
        let after = glass.ends;
        let queue = |queue| {
            let database = &database;
            async move { break_glass::list(database, &officer(), queue, after).await.unwrap().len() }
        };
        assert_eq!((queue(Queue::Waiting).await, queue(Queue::Done).await), (1, 0));
        let early =
            break_glass::review(&database, &officer(), &glass.id, Verdict::Justified, "It was needed", NOW).await;
        assert!(matches!(early, Err(GlassError::NotReviewable)), "still open");
        let own =
            break_glass::review(&database, &everything, &glass.id, Verdict::Justified, "It was needed", after).await;
        assert!(matches!(own, Err(GlassError::Own)));
        let looks = break_glass::looked_at(&database, &officer(), &glass.id, after).await.unwrap();
        assert_eq!(looks.len(), 2);
        assert_eq!((looks[1].subject, looks[1].fields.as_str()), (Some(person(7)), "name,contact"));
        break_glass::review(&database, &officer(), &glass.id, Verdict::NotJustified, "Nobody was there at all", after)
            .await
            .unwrap();
        assert_eq!((queue(Queue::Waiting).await, queue(Queue::Done).await), (0, 1));
        assert_eq!(break_glass::unreviewed(&database, &officer(), after).await.unwrap(), 0);
        let again =
            break_glass::review(&database, &officer(), &glass.id, Verdict::Justified, "It was needed", after).await;
        assert!(matches!(again, Err(GlassError::NotReviewable)), "a verdict stays");
        let case = break_glass::of(&database, &officer(), &glass.id).await.unwrap();
        assert_eq!(case.review.unwrap().verdict, Verdict::NotJustified);
    }
}

#[tokio::test]
async fn the_queue_is_for_reviewers_only() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let glass = broken(&database, '1').await;
        for role in [Shipped::Guard, Shipped::Doctor, Shipped::Manager, Shipped::Auditor, Shipped::Integrator] {
            let somebody = acting(role, '5');
            let id = glass.id.as_str();
            assert!(break_glass::list(&database, &somebody, Queue::All, NOW).await.is_err(), "{role}");
            assert!(break_glass::of(&database, &somebody, id).await.is_err(), "{role}");
            assert!(break_glass::looked_at(&database, &somebody, id, NOW).await.is_err(), "{role}");
            assert!(break_glass::unreviewed(&database, &somebody, NOW).await.is_err(), "{role}");
            let verdict =
                break_glass::review(&database, &somebody, id, Verdict::Justified, "It was needed", glass.ends);
            assert!(verdict.await.is_err(), "{role}");
        }
        let own = break_glass::of(&database, &acting(Shipped::Guard, '1'), &glass.id).await.unwrap();
        assert!(own.is_open(NOW), "its holder sees it");
    }
}

#[tokio::test]
async fn of_two_breakings_at_the_same_moment_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move {
                    break_glass::start(&database, &acting(Shipped::Guard, '1'), REASON, 60, NOW).await.is_ok()
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            won += usize::from(task.await.unwrap());
        }
        assert_eq!(won, 1);
    }
}
