//! Requests of persons: their days, their states, restriction and holds.

use clinic::Database;
use clinic::requests::{self, Channel, Filter, Identity, Kind, Law, NewRequest, RequestError, State};
use domain::{Shipped, UtcMillis};
use store::testing::both;

use crate::{DAY, NOW, acting, log, officer, person, register};

const ZONE: chrono_tz::Tz = chrono_tz::Europe::Kyiv;

fn asked(kind: Kind, law: Law, identity: Identity) -> NewRequest {
    let note = Some("wants to know who looked".to_owned());
    NewRequest { person: person(1), kind, law, channel: Channel::Letter, identity, received: NOW, note }
}

async fn taken(database: &Database, kind: Kind, law: Law) -> String {
    requests::take_in(database, &officer(), asked(kind, law, Identity::Document), ZONE, NOW).await.unwrap()
}

#[tokio::test]
async fn the_day_of_the_law_is_counted_from_receipt() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        register(&database, 1, None).await;
        store::transact!(database, "test.holiday", |conn| {
            sqlx::query("INSERT INTO holiday (day) VALUES ('2026-11-23')").execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
        for (law, last) in [(Law::Gdpr, "2026-12-20"), (Law::Ru152, "2026-12-07"), (Law::Ua2297, "2026-12-20")] {
            let id = taken(&database, Kind::Access, law).await;
            let request = requests::of(&database, &officer(), &id).await.unwrap();
            let end = format!("{last}T22:00:00.000Z");
            assert_eq!(request.due.to_rfc3339(), end, "{law}: the clinic's midnight after the last day");
            assert!(!request.is_late(request.due.plus_ms(-1)) && request.is_late(request.due));
        }
        let before = UtcMillis::from_rfc3339("2026-12-01T00:00:00Z").unwrap();
        let counts = requests::counts(&database, &officer(), before).await.unwrap();
        assert_eq!((counts.open, counts.soon, counts.late), (3, 1, 0));
        let after = UtcMillis::from_rfc3339("2026-12-20T22:00:00Z").unwrap();
        assert_eq!(requests::counts(&database, &officer(), after).await.unwrap().late, 3);
    }
}

#[tokio::test]
async fn a_request_is_answered_once_and_only_to_the_person() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        register(&database, 1, None).await;
        let new = asked(Kind::Access, Law::Gdpr, Identity::NotYet);
        let id = requests::take_in(&database, &officer(), new, ZONE, NOW).await.unwrap();
        let close = |state, note: Option<&'static str>| {
            let (database, id) = (&database, id.clone());
            async move { requests::close(database, &officer(), &id, state, note, NOW).await }
        };
        assert!(matches!(close(State::Answered, None).await, Err(RequestError::NotIdentified)));
        assert!(matches!(close(State::Refused, Some("no")).await, Err(RequestError::BadReason)));
        requests::identify(&database, &officer(), &id, Identity::Document, NOW).await.unwrap();
        close(State::Answered, None).await.unwrap();
        assert!(matches!(close(State::Withdrawn, None).await, Err(RequestError::NotOpen)));
        let open = Filter { state: Some(State::Open), ..Filter::default() };
        assert!(requests::list(&database, &officer(), &open).await.unwrap().is_empty());
        let entries = log(&database).await;
        assert_eq!(entries.len(), 3, "taken in, identified, answered");
        assert!(entries.iter().all(|entry| entry.0 == "request_handled"));
        assert_eq!(entries[0].4.as_deref(), Some("wants to know who looked"));
    }
}

#[tokio::test]
async fn an_answer_is_put_off_once_and_only_where_the_law_lets() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        register(&database, 1, None).await;
        let id = taken(&database, Kind::Access, Law::Gdpr).await;
        let extend = |id: String, reason: &'static str| {
            let database = &database;
            async move { requests::extend(database, &officer(), &id, reason, ZONE, NOW).await }
        };
        assert!(matches!(extend(id.clone(), "busy").await, Err(RequestError::BadReason)));
        extend(id.clone(), "the records of four years must be gathered").await.unwrap();
        let request = requests::of(&database, &officer(), &id).await.unwrap();
        assert_eq!(request.due.to_rfc3339(), "2027-02-20T22:00:00.000Z");
        assert!(matches!(extend(id, "and some more of them").await, Err(RequestError::NoDelay)));
        let id = taken(&database, Kind::Access, Law::Ua2297).await;
        assert!(matches!(extend(id, "the records of four years").await, Err(RequestError::NoDelay)));
    }
}

#[tokio::test]
async fn restriction_and_hold_are_set_lifted_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        register(&database, 1, None).await;
        let restrict = |on| {
            let database = &database;
            async move { requests::restrict(database, &officer(), person(1), on, None, NOW).await }
        };
        restrict(true).await.unwrap();
        restrict(true).await.unwrap();
        assert!(requests::is_restricted(&database, person(1)).await.unwrap());
        assert!(!requests::is_restricted(&database, person(2)).await.unwrap());
        assert_eq!(requests::restricted(&database, &[person(1), person(2)]).await.unwrap().len(), 1);
        restrict(false).await.unwrap();
        assert!(!requests::is_restricted(&database, person(1)).await.unwrap());
        assert_eq!(log(&database).await.len(), 2, "what changes nothing is no entry");
        let until = NOW.plus_ms(10 * DAY);
        let hold = |ground: &'static str| {
            let database = &database;
            async move { requests::hold(database, &officer(), person(1), ground, Some(until), NOW).await }
        };
        assert!(matches!(hold("court").await, Err(RequestError::BadReason)));
        hold("Labour case 14/2026, keep until it ends").await.unwrap();
        assert!(requests::hold_of(&database, person(1), until.plus_ms(-1)).await.unwrap().is_some());
        assert!(requests::hold_of(&database, person(1), until).await.unwrap().is_none(), "it runs out");
        requests::release(&database, &officer(), person(1), NOW).await.unwrap();
        assert!(requests::hold_of(&database, person(1), NOW).await.unwrap().is_none());
        let unknown = requests::restrict(&database, &officer(), person(9), true, None, NOW).await;
        assert!(matches!(unknown, Err(RequestError::NotFound)));
    }
}

#[tokio::test]
async fn requests_are_for_the_privacy_officer_only() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        register(&database, 1, None).await;
        let id = taken(&database, Kind::Erasure, Law::Gdpr).await;
        let before = log(&database).await.len();
        for role in [Shipped::Guard, Shipped::PassOffice, Shipped::Doctor, Shipped::Manager, Shipped::Auditor] {
            let it = acting(role, '1');
            let new = asked(Kind::Access, Law::Gdpr, Identity::Document);
            assert!(requests::take_in(&database, &it, new, ZONE, NOW).await.is_err(), "{role}");
            assert!(requests::identify(&database, &it, &id, Identity::Signature, NOW).await.is_err(), "{role}");
            assert!(requests::close(&database, &it, &id, State::Withdrawn, None, NOW).await.is_err(), "{role}");
            assert!(requests::list(&database, &it, &Filter::default()).await.is_err(), "{role}");
            assert!(requests::of(&database, &it, &id).await.is_err(), "{role}");
            assert!(requests::counts(&database, &it, NOW).await.is_err(), "{role}");
            assert!(requests::restrict(&database, &it, person(1), true, None, NOW).await.is_err(), "{role}");
            let held = requests::hold(&database, &it, person(1), "a ground of some length", None, NOW).await;
            assert!(held.is_err(), "{role}");
            assert!(requests::release(&database, &it, person(1), NOW).await.is_err(), "{role}");
        }
        assert_eq!(log(&database).await.len(), before);
        let stranger = NewRequest { person: person(9), ..asked(Kind::Access, Law::Gdpr, Identity::Document) };
        let unknown = requests::take_in(&database, &officer(), stranger, ZONE, NOW).await;
        assert!(matches!(unknown, Err(RequestError::NotFound)));
        let future = NewRequest { received: NOW.plus_ms(1), ..asked(Kind::Access, Law::Gdpr, Identity::Document) };
        let unborn = requests::take_in(&database, &officer(), future, ZONE, NOW).await;
        assert!(matches!(unborn, Err(RequestError::BadDay)));
    }
}
