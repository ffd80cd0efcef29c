//! Staff and patients: persons, names, passes, staff rows, sources that disagree.

use clinic::acting::Acting;
use clinic::feeds::{ControlRecord, FeedError, Mode, Order, PatientRecord, Problem, Records, StaffRecord};
use clinic::vault::KeySource;
use domain::policy::{PassKind, PassState};
use domain::vault::Secret;
use domain::{Rights, Shipped};
use store::{read, sqlx, transact};

use crate::*;

fn doctor(id: &str) -> StaffRecord {
    StaffRecord {
        role: Some(Shipped::Doctor),
        login: Some(Secret::new(&format!("login-{id}"))),
        practitioner: Some(reference(&format!("pr-{id}"))),
        ..staff(id)
    }
}

#[tokio::test]
async fn an_employee_comes_changes_and_leaves_with_their_passes() {
    for scene in scenes(|_| {}).await {
        let new = StaffRecord { cards: Some(vec![card("04A1B2C3")]), passport: named("Kovalenko"), ..doctor("7") };
        let report = scene.changes("hr", Records::Staff(vec![new.clone()])).await;
        assert_eq!(counts(&report), (1, 0, 0, 0, 0, 0), "{report:?}");
        let pass = scene.pass("04A1B2C3").await;
        assert_eq!((pass.kind, pass.state, pass.category.as_str()), (PassKind::Staff, PassState::Active, "staff"));
        assert_eq!(pass.person, scene.person("hr", "7").await);
        let version = scene.policy_version().await;
        let report = scene.changes("hr", Records::Staff(vec![new.clone()])).await;
        assert_eq!(counts(&report), (0, 0, 1, 0, 0, 0));
        assert_eq!(scene.policy_version().await, version, "told again it changes nothing");
        // Another card: the first is withdrawn. Told again it works again.
        let other = StaffRecord { cards: Some(vec![card("04FFFFFF")]), ..new.clone() };
        scene.changes("hr", Records::Staff(vec![other])).await;
        assert_eq!(scene.pass("04A1B2C3").await.state, PassState::Withdrawn);
        scene.changes("hr", Records::Staff(vec![new.clone()])).await;
        assert_eq!(scene.pass("04A1B2C3").await.state, PassState::Active);
        // One that the guard blocked stays blocked.
        clinic::people::block(&scene.database, card_id("04A1B2C3"), NOW).await.unwrap();
        let renamed = StaffRecord { passport: named("Ivanenko"), ..new.clone() };
        scene.changes("hr", Records::Staff(vec![renamed])).await;
        assert_eq!(scene.pass("04A1B2C3").await.state, PassState::Blocked);
        let gone = StaffRecord { active: false, until: Some(NOW.plus_ms(HOUR)), ..new };
        let report = scene.changes("hr", Records::Staff(vec![gone.clone()])).await;
        assert_eq!(counts(&report), (0, 0, 0, 0, 1, 0), "{report:?}");
        assert_eq!(scene.pass("04A1B2C3").await.valid_until, Some(NOW.plus_ms(HOUR)), "at the time given");
        let ended: Option<i64> = read!(scene.database, "test", |conn| {
            Ok(sqlx::query_scalar("SELECT ended_ms FROM staff").fetch_one(&mut *conn).await?)
        })
        .unwrap();
        assert!(ended.is_some());
        let report = scene.changes("hr", Records::Staff(vec![gone])).await;
        assert_eq!(counts(&report), (0, 0, 1, 0, 0, 0));
    }
}

#[tokio::test]
async fn names_are_in_the_vault_only_and_a_locked_vault_lets_the_record_come_again() {
    for scene in scenes(|_| {}).await {
        let told =
            PatientRecord { passport: named("Canarybird"), cards: Some(vec![card("04000001")]), ..patient("P-1") };
        let folder = tempfile::tempdir().unwrap();
        let locked = vault(&scene.database, folder.path(), &scene.now, KeySource::Own(folder.path().join("other.key")));
        let shut = feeds(&scene.database, &scene.now, Some(locked), scene.feeds.settings().clone());
        let by = source("mis");
        let records = || Records::Patients(vec![told.clone(), patient("P-2")]);
        let report = shut.take(&Acting::feed(&by), &by, records(), Mode::Changes).await.unwrap();
        assert_eq!((report.added, report.refused[0].problem), (1, Problem::VaultLocked));
        assert!(report.worth_repeating());
        let report = scene.changes("mis", records()).await;
        assert_eq!(counts(&report), (1, 0, 1, 0, 0, 0), "told again it is taken");
        let person = scene.person("mis", "P-1").await;
        let mut acting = Acting::console();
        acting.rights = Rights::of(Shipped::Administrator);
        let cards = scene.vault.search(&acting, "canarybird", 10, clinic::audit::Purpose::Maintenance).await.unwrap();
        assert_eq!(cards.people.iter().map(|it| it.person).collect::<Vec<_>>(), [person]);
        let printed = format!("{told:?}");
        assert!(
            !printed.contains("Canarybird") && !printed.contains("P-1") && !printed.contains("04000001"),
            "{printed}"
        );
        for table in ["feed_record", "feed_problem", "change", "audit_entry", "person_alias", "feed"] {
            let text = dump(&scene, table).await;
            assert!(!text.to_lowercase().contains("canarybird"), "{table}: {text}");
        }
    }
}

/// All text of a table.
async fn dump(scene: &Scene, table: &'static str) -> String {
    let column = match table {
        "feed_record" => "source || kind || external || digest || content",
        "feed_problem" => "words || field || problem",
        "change" => "kind || COALESCE(reason, '') || COALESCE(detail, '')",
        "audit_entry" => "action || COALESCE(object, '') || COALESCE(detail, '') || COALESCE(note, '')",
        "person_alias" => "system || value",
        _ => "source || kind || COALESCE(error, '')",
    };
    let rows: Vec<String> = read!(scene.database, "test", |conn| {
        let select = sqlx::AssertSqlSafe(format!("SELECT {column} FROM {table}"));
        Ok(sqlx::query_scalar(select).fetch_all(&mut *conn).await?)
    })
    .unwrap();
    rows.join("\n")
}

#[tokio::test]
async fn of_two_sources_the_first_one_is_believed_and_the_difference_is_shown() {
    let order = |settings: &mut clinic::feeds::Settings| settings.order = vec![source("hr"), source("mis")];
    for scene in scenes(order).await {
        let hr = StaffRecord { passport: named("Kovalenko"), ..doctor("7") };
        scene.changes("hr", Records::Staff(vec![hr.clone()])).await;
        let known_as = vec![clinic::feeds::Alias { system: Some("hr".to_owned()), value: reference("7") }];
        let mis = StaffRecord {
            aliases: known_as,
            passport: named("Petrenko"),
            cards: Some(vec![card("04A1B2C3")]),
            ..doctor("7")
        };
        let mis = StaffRecord { id: reference("u-9"), login: Some(Secret::new("other")), ..mis };
        let report = scene.changes("mis", Records::Staff(vec![mis.clone()])).await;
        assert_eq!((report.differences, report.refusals()), (1, 0), "{report:?}");
        assert_eq!(scene.person("mis", "u-9").await, scene.person("hr", "7").await, "both ids are one person");
        assert!(clinic::people::pass(&scene.database, card_id("04A1B2C3")).await.unwrap().is_none());
        let login: String = read!(scene.database, "test", |conn| {
            Ok(sqlx::query_scalar("SELECT login FROM staff").fetch_one(&mut *conn).await?)
        })
        .unwrap();
        assert_eq!(login, "login-7");
        let shown: i64 = read!(scene.database, "test", |conn| {
            Ok(sqlx::query_scalar("SELECT COUNT(*) FROM feed_difference").fetch_one(&mut *conn).await?)
        })
        .unwrap();
        assert_eq!(shown, 1);
    }
}

#[tokio::test]
async fn a_record_that_would_take_what_is_anothers_is_refused_and_the_rest_is_taken() {
    for scene in scenes(|_| {}).await {
        let first = StaffRecord { cards: Some(vec![card("04A1B2C3")]), ..doctor("1") };
        scene.changes("hr", Records::Staff(vec![first])).await;
        let told = vec![
            StaffRecord { cards: Some(vec![card("04A1B2C3")]), ..doctor("2") },
            StaffRecord { login: Some(Secret::new("login-1")), ..doctor("3") },
            doctor("4"),
            StaffRecord { cards: Some(vec![card("04EEEEEE")]), ..doctor("5") },
            StaffRecord { cards: Some(vec![card("04EEEEEE")]), ..doctor("6") },
        ];
        let report = scene.changes("hr", Records::Staff(told)).await;
        let refused: Vec<_> = report.refused.iter().map(|it| (it.row, it.problem)).collect();
        assert_eq!(refused, [(1, Problem::CardTaken), (2, Problem::NameTaken), (5, Problem::CardTaken)]);
        assert_eq!(report.added, 2);
        let both = clinic::feeds::Alias { system: None, value: reference("1") };
        let report =
            scene.changes("hr", Records::Staff(vec![StaffRecord { aliases: vec![both], ..doctor("4") }])).await;
        assert_eq!(report.refused[0].problem, Problem::SeveralPersons);
    }
}

#[tokio::test]
async fn people_of_an_imported_list_are_recognised_by_their_number() {
    for scene in scenes(|_| {}).await {
        let id = "0f".repeat(16);
        transact!(scene.database, "test", |conn| {
            sqlx::query("INSERT INTO person (id, external_ref, created_ms) VALUES ($1, 'P-77', 0)")
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        scene.changes("mis", Records::Patients(vec![patient("P-77")])).await;
        assert_eq!(scene.person("mis", "P-77").await.to_string(), "0f".repeat(16));
    }
}

#[tokio::test]
async fn orders_block_and_withdraw_once_and_an_older_one_changes_nothing() {
    for scene in scenes(|_| {}).await {
        let told = PatientRecord { cards: Some(vec![card("04000001")]), ..patient("P-1") };
        scene.changes("mis", Records::Patients(vec![told])).await;
        let order = |id: &str, order, ms| ControlRecord {
            id: reference(id),
            at: NOW.plus_ms(ms),
            person: alias("P-1"),
            order,
            note: Some(Secret::new("unpaid")),
        };
        let tell = async |record| counts(&scene.changes("mis", Records::Messages(vec![record])).await);
        assert_eq!(tell(order("m1", Order::Block, 10)).await, (0, 1, 0, 0, 0, 0));
        assert_eq!(scene.pass("04000001").await.state, PassState::Blocked);
        assert_eq!(tell(order("m0", Order::Unblock, 5)).await, (0, 0, 0, 1, 0, 0), "given before the block");
        assert_eq!(scene.pass("04000001").await.state, PassState::Blocked);
        assert_eq!(tell(order("m2", Order::Unblock, 20)).await, (0, 1, 0, 0, 0, 0));
        assert_eq!(tell(order("m1", Order::Block, 10)).await, (0, 0, 1, 0, 0, 0), "once");
        assert_eq!(scene.pass("04000001").await.state, PassState::Active);
        assert_eq!(tell(order("m3", Order::Withdraw, 30)).await, (0, 1, 0, 0, 0, 0));
        assert_eq!(scene.pass("04000001").await.state, PassState::Withdrawn);
        let unknown = ControlRecord { person: alias("P-9"), ..order("m4", Order::Block, 40) };
        assert_eq!(
            scene.changes("mis", Records::Messages(vec![unknown])).await.refused[0].problem,
            Problem::UnknownPerson
        );
    }
}

#[tokio::test]
async fn whoever_may_not_tell_tells_nothing() {
    for scene in scenes(|_| {}).await {
        let mut acting = Acting::feed(&source("hr"));
        acting.rights = Rights::of(Shipped::Manager);
        let outcome = scene.feeds.take(&acting, &source("hr"), Records::Staff(vec![staff("1")]), Mode::Changes).await;
        assert!(matches!(outcome, Err(FeedError::Denied(_))));
        assert!(clinic::feeds::person_of_alias(&scene.database, "hr", "1").await.unwrap().is_none());
    }
}
