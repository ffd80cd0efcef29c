//! Incidents: their clocks, their steps, and who was affected.

use clinic::accounts::AccountId;
use clinic::audit::{self, Action, Draft};
use clinic::disclosures::{Class, Disclosure, register};
use clinic::incidents::{self, AUTHORITY_MS, FIRST_MS, IncidentError, NewIncident, Step};
use domain::Shipped;
use store::testing::both;

use crate::{DAY, MINUTE, NOW, acting, log, officer, person};

fn found() -> NewIncident {
    NewIncident {
        title: "A list of visits was left on the bus".to_owned(),
        noticed: NOW,
        span: Some((NOW.plus_ms(-DAY), NOW)),
        account: None,
        is_high_risk: true,
    }
}

#[tokio::test]
async fn the_clocks_run_from_the_moment_it_was_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let id = incidents::open(&database, &officer(), found(), NOW.plus_ms(MINUTE)).await.unwrap();
        let read = || async { incidents::list(&database, &officer()).await.unwrap().remove(0) };
        assert_eq!(read().await.next_term(), Some((Step::First, NOW.plus_ms(FIRST_MS))));
        incidents::mark(&database, &officer(), &id, Step::First, NOW.plus_ms(2 * MINUTE)).await.unwrap();
        assert_eq!(read().await.next_term(), Some((Step::Authority, NOW.plus_ms(AUTHORITY_MS))));
        incidents::mark(&database, &officer(), &id, Step::Authority, NOW.plus_ms(DAY)).await.unwrap();
        assert_eq!(read().await.next_term(), None);
        let twice = incidents::mark(&database, &officer(), &id, Step::Authority, NOW.plus_ms(2 * DAY)).await;
        assert!(matches!(twice, Err(IncidentError::NotFound)), "what was told when stays as it is");
        assert_eq!(read().await.done(Step::Authority), Some(NOW.plus_ms(DAY)));
        assert_eq!(log(&database).await.len(), 3);
    }
}

#[tokio::test]
async fn who_was_affected_follows_from_what_was_seen_or_given_away_in_that_time() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let thief = acting(Shipped::Manager, '1');
        let other = acting(Shipped::Manager, '2');
        for (who, number, at) in [(&thief, 1, -MINUTE), (&other, 2, -MINUTE), (&thief, 3, -2 * DAY)] {
            let file = Disclosure {
                persons: [person(number)].into(),
                ..Disclosure::export(who, "/journal.csv", &[Class::LocationTrace])
            };
            register(&database, who, file, None, NOW.plus_ms(at)).await.unwrap();
        }
        let look = Draft { subject: Some(person(4)), ..other.draft(NOW.plus_ms(-MINUTE), Action::PersonRevealed) };
        audit::write(&database, look).await.unwrap();
        let all = incidents::open(&database, &officer(), found(), NOW).await.unwrap();
        assert_eq!(incidents::affected(&database, &officer(), &all).await.unwrap(), [person(1), person(2), person(4)]);
        let account = AccountId::parse(&"1".repeat(32));
        let one = NewIncident { account, ..found() };
        let one = incidents::open(&database, &officer(), one, NOW).await.unwrap();
        assert_eq!(incidents::affected(&database, &officer(), &one).await.unwrap(), [person(1)]);
        let unknown = NewIncident { span: None, ..found() };
        let unknown = incidents::open(&database, &officer(), unknown, NOW).await.unwrap();
        assert!(incidents::affected(&database, &officer(), &unknown).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_nobody_else_may() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let bad = [
            NewIncident { title: "short".to_owned(), ..found() },
            NewIncident { noticed: NOW.plus_ms(1), ..found() },
            NewIncident { span: Some((NOW, NOW.plus_ms(-1))), ..found() },
        ];
        for new in bad {
            assert!(incidents::open(&database, &officer(), new, NOW).await.is_err());
        }
        for role in [Shipped::Guard, Shipped::Auditor, Shipped::Manager] {
            let it = acting(role, '1');
            assert!(incidents::open(&database, &it, found(), NOW).await.is_err(), "{role}");
            assert!(incidents::list(&database, &it).await.is_err(), "{role}");
            assert!(incidents::mark(&database, &it, "x", Step::Closed, NOW).await.is_err(), "{role}");
            assert!(incidents::affected(&database, &it, "x").await.is_err(), "{role}");
        }
        assert!(log(&database).await.is_empty());
    }
}
