//! A visit is whole or not at all: whichever of its writes fails, nothing of it stays, and the same tap taken in again
//! makes it once.

use clinic::changes::ChangeKind;
use domain::visit::Rules;

use crate::clinic_of::{Booked, Clinic, both};
use crate::scene::{MINUTE, card, person, point};

/// What a tap of the next patient writes: table and kind of statement.
const WRITES: &[(&str, &str)] = &[
    ("visit", "UPDATE"),
    ("audit_entry", "INSERT"),
    ("audit_state", "UPDATE"),
    ("appointment", "UPDATE"),
    ("change", "INSERT"),
    ("counter", "UPDATE"),
    ("visit", "INSERT"),
    ("visit_question", "DELETE"),
];

async fn rows(clinic: &Clinic) -> Vec<i64> {
    store::read!(clinic.scene.database, "test.rows", |conn| {
        let mut counts = Vec::new();
        for text in [
            "SELECT COUNT(*) FROM visit",
            "SELECT COUNT(*) FROM visit WHERE ended_ms IS NULL",
            "SELECT COUNT(*) FROM audit_entry",
            "SELECT size FROM audit_state",
            "SELECT COUNT(*) FROM change",
            "SELECT COUNT(*) FROM appointment WHERE state = 'booked'",
            "SELECT COUNT(*) FROM visit_question",
        ] {
            counts.push(sqlx::query_scalar::<_, i64>(text).fetch_one(&mut *conn).await?);
        }
        Ok(counts)
    })
    .unwrap()
}

async fn sql(clinic: &Clinic, text: String) {
    store::transact!(clinic.scene.database, "test.sql", |conn| {
        sqlx::query(sqlx::AssertSqlSafe(text.clone())).execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_leaves_nothing_and_the_tap_is_taken_in_once_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        let is_sqlite = clinic.scene.database.engine() == store::Engine::Sqlite;
        clinic.book(Booked { id: "a", patient: 10, staff: Some(1), zone: None, in_minutes: 5 }).await;
        clinic.book(Booked { id: "b", patient: 11, staff: Some(1), zone: None, in_minutes: 5 }).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 12).await;
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(MINUTE);
        if !is_sqlite {
            let text = "CREATE FUNCTION test_fail() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'made to fail'; END $$";
            sql(&clinic, text.to_owned()).await;
        }
        // Something is asked, so that the tap has something to take away.
        let session = clinic.scene.at(1).await.unwrap().id;
        let asked = format!(
            "INSERT INTO visit_question (workstation, id, session, staff, patient, zone, why, tapped_ms, asked_ms)
             VALUES ('desk-1', 'q', '{session}', '{}', '{}', 'room-1', 'no_appointment', 0, 0)",
            person(1),
            person(13)
        );
        sql(&clinic, asked).await;
        let before = rows(&clinic).await;
        let tap = || {
            let (desk, at) = (clinic.scene.desk.clone(), clinic.scene.now());
            async move { desk.tap_from_page(&point(1), card(11), at).await }
        };
        for (table, event) in WRITES {
            let made = if is_sqlite {
                format!(
                    "CREATE TRIGGER test_trip BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'made to fail'); END"
                )
            } else {
                // For each row: a statement that touches none fails nothing, on either engine.
                format!("CREATE TRIGGER test_trip BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION test_fail()")
            };
            sql(&clinic, made).await;
            let failed = tap().await;
            let dropped = if is_sqlite {
                "DROP TRIGGER test_trip".to_owned()
            } else {
                format!("DROP TRIGGER test_trip ON {table}")
            };
            sql(&clinic, dropped).await;
            assert!(failed.is_err(), "{event} {table}: {failed:?}");
            assert_eq!(rows(&clinic).await, before, "{event} {table}");
        }
        tap().await.unwrap();
        let expected = [
            "12 with 1 at desk-1 from 0 until 0 next_patient",
            "10 with 1 at desk-1 from 0 until 60 next_patient",
            "11 with 1 at desk-1 from 60 runs",
        ];
        assert_eq!(clinic.shown().await, expected);
        let told = clinic.scene.changes().await;
        assert_eq!(told.iter().filter(|change| change.kind == ChangeKind::VisitStarted).count(), 3);
        tap().await.unwrap();
        assert_eq!(clinic.shown().await, expected);
    }
}
