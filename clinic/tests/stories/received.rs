//! Messages that are sent again.

use clinic::people::Reference;
use clinic::received::{Numbered, answer_of, forget_before, known_appointment, remember};
use domain::UtcMillis;
use store::{sqlx, transact};

use super::{NOW, person, zone};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_again_gets_the_answer_of_the_first_time_until_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let text = |text: &str| text.to_owned();
        let first = Numbered {
            source: text("mis"),
            application: text("MIS"),
            facility: text("CLINIC1"),
            control: text("1"),
            content: u32::MAX,
        };
        assert_eq!(answer_of(&database, &first).await.unwrap(), None);
        assert_eq!(remember(&database, &first, text("\u{b}one\u{1c}\r"), NOW).await.unwrap(), "\u{b}one\u{1c}\r");
        assert_eq!(remember(&database, &first, text("two"), NOW).await.unwrap(), "\u{b}one\u{1c}\r", "the first stays");
        assert_eq!(answer_of(&database, &first).await.unwrap().as_deref(), Some("\u{b}one\u{1c}\r"));

        let elsewhere = Numbered { facility: text("CLINIC2"), ..first.clone() };
        assert_eq!(answer_of(&database, &elsewhere).await.unwrap(), None, "another sender's number");
        let anew = Numbered { content: 7, ..first.clone() };
        assert_eq!(answer_of(&database, &anew).await.unwrap(), None, "the same number for something else");
        assert_eq!(remember(&database, &anew, text("three"), NOW.plus_ms(5)).await.unwrap(), "three");
        assert_eq!(answer_of(&database, &first).await.unwrap(), None);

        remember(&database, &elsewhere, text("four"), NOW).await.unwrap();
        assert_eq!(forget_before(&database, NOW.plus_ms(1)).await.unwrap(), 1);
        assert_eq!(answer_of(&database, &elsewhere).await.unwrap(), None);
        assert_eq!(answer_of(&database, &anew).await.unwrap().as_deref(), Some("three"));
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_an_appointment_is_told_in_the_words_of_its_source() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let (patient, staff) = (person(1).to_string(), person(2).to_string());
        transact!(database, "test.appointment", |conn| {
            for (id, system, value) in [(&patient, "mis", "P-1"), (&patient, "other", "A-0"), (&staff, "other", "D-1")] {
                sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, 0) ON CONFLICT (id) DO NOTHING")
                    .bind(id)
                    .execute(&mut *conn)
                    .await?;
                sqlx::query("INSERT INTO person_alias (system, value, person) VALUES ($1, $2, $3)")
                    .bind(system)
                    .bind(value)
                    .bind(id)
                    .execute(&mut *conn)
                    .await?;
            }
            sqlx::query(
                "INSERT INTO appointment (id, source, external, patient, staff, zone, purpose, starts_ms, ends_ms, state,
                     changed_ms)
                 VALUES ('a1', 'mis', 'F-9', $1, $2, 'room-204', 'CARDIO', 1000, 2000, 'booked', 0)",
            )
            .bind(&patient)
            .bind(&staff)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })
        .unwrap();
        let known = known_appointment(&database, "mis", "F-9").await.unwrap().unwrap();
        assert_eq!((known.starts, known.ends), (UtcMillis(1000), UtcMillis(2000)));
        assert_eq!(known.patient.as_ref().map(Reference::reveal), Some("P-1"), "not what another source calls them");
        assert_eq!((known.staff, known.zone), (None, Some(zone("room-204"))));
        assert_eq!(known.purpose.as_ref().map(Reference::reveal), Some("CARDIO"));
        assert_eq!(known_appointment(&database, "other", "F-9").await.unwrap(), None);
        database.close().await;
    }
}
