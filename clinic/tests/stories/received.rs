//! Messages that are sent again.

use clinic::received::{Numbered, answer_of, forget_before, remember};

use super::NOW;

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
