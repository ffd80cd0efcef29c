//! The language a patient is spoken to in, as sources tell it: who wins, who is silent, what a merge keeps.

use clinic::acting::Acting;
use clinic::feeds::{PatientRecord, Records};
use clinic::people::{self, Spoken};
use domain::PersonId;
use domain::policy::PassState;

use crate::*;

fn speaking(id: &str, code: &str) -> PatientRecord {
    PatientRecord { language: Some(Spoken::parse(code)), ..patient(id) }
}

impl Scene {
    /// What counts, what was set, what was told and by whom.
    async fn language(&self, person: PersonId) -> [Option<String>; 4] {
        let known = people::language_known(&self.database, &Acting::console(), person).await.unwrap();
        let text = |spoken: Option<&Spoken>| spoken.map(|it| it.as_str().to_owned());
        let told = known.told.as_ref();
        [
            text(known.spoken()),
            text(known.set.as_ref()),
            text(told.map(|told| &told.language)),
            told.and_then(|told| told.by.clone()),
        ]
    }

    async fn set(&self, person: PersonId, code: &str) {
        people::set_language(&self.database, &Acting::console(), person, Spoken::parse(code), NOW).await.unwrap();
    }
}

fn known(all: [&str; 4]) -> [Option<String>; 4] {
    all.map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

#[tokio::test]
async fn what_the_desk_sets_counts_and_no_source_removes_it_whether_it_speaks_or_is_silent() {
    for scene in scenes(|_| {}).await {
        scene.changes("mis", Records::Patients(vec![speaking("P-1", "uk-UA")])).await;
        let person = scene.person("mis", "P-1").await;
        assert_eq!(scene.language(person).await, known(["uk", "", "uk", "mis"]));
        scene.set(person, "ru").await;
        assert_eq!(scene.language(person).await, known(["ru", "ru", "uk", "mis"]));
        // Another language, silence, and that it is not known any more: what was set stays.
        scene.changes("mis", Records::Patients(vec![speaking("P-1", "pl")])).await;
        assert_eq!(scene.language(person).await, known(["ru", "ru", "pl", "mis"]));
        let silent = PatientRecord { until: Some(NOW.plus_ms(HOUR)), ..patient("P-1") };
        assert_eq!(scene.changes("mis", Records::Patients(vec![silent])).await.changed, 1);
        assert_eq!(scene.language(person).await, known(["ru", "ru", "pl", "mis"]), "silence says nothing");
        scene.set(person, "").await;
        assert_eq!(scene.language(person).await, known(["pl", "", "pl", "mis"]), "nothing is set: what is told counts");
        let gone = PatientRecord { language: Some(None), ..patient("P-1") };
        scene.changes("mis", Records::Patients(vec![gone])).await;
        assert_eq!(scene.language(person).await, known(["", "", "", ""]));
        // Where nobody tells, what the desk sets is all there is.
        scene.changes("mis", Records::Patients(vec![patient("P-2")])).await;
        let other = scene.person("mis", "P-2").await;
        scene.set(other, "fil").await;
        assert_eq!(scene.language(other).await, known(["fil", "fil", "", ""]));
    }
}

#[tokio::test]
async fn a_language_told_twice_is_told_once_and_a_new_one_alone_is_news() {
    for scene in scenes(|_| {}).await {
        let told = |code: &str| {
            Records::Patients(vec![PatientRecord { cards: Some(vec![card("04A1B2C3")]), ..speaking("P-1", code) }])
        };
        assert_eq!(counts(&scene.changes("mis", told("uk")).await), (1, 0, 0, 0, 0, 0));
        assert_eq!(counts(&scene.changes("mis", told("ukr")).await), (0, 0, 1, 0, 0, 0), "the same in another code");
        assert_eq!(counts(&scene.changes("mis", told("en")).await), (0, 1, 0, 0, 0, 0));
        let person = scene.person("mis", "P-1").await;
        assert_eq!(scene.language(person).await, known(["en", "", "en", "mis"]));
        assert_eq!(scene.pass("04A1B2C3").await.state, PassState::Active);
    }
}

#[tokio::test]
async fn of_the_sources_that_tell_a_language_the_first_is_believed_and_a_silent_one_leaves_the_word_to_the_next() {
    let order = |settings: &mut clinic::feeds::Settings| settings.order = vec![source("first"), source("second")];
    for scene in scenes(order).await {
        let known_as = |record: PatientRecord| PatientRecord {
            aliases: vec![clinic::feeds::Alias { system: Some("first".to_owned()), value: reference("P-1") }],
            ..record
        };
        let told = async |by: &str, record: PatientRecord| {
            let report = scene.changes(by, Records::Patients(vec![record])).await;
            assert_eq!((report.refusals(), report.differences), (0, 0), "a language is no difference: {report:?}");
        };
        told("first", patient("P-1")).await;
        let person = scene.person("first", "P-1").await;
        told("third", known_as(speaking("T-1", "de"))).await;
        assert_eq!(scene.language(person).await, known(["de", "", "de", "third"]));
        told("second", known_as(speaking("S-1", "uk"))).await;
        assert_eq!(scene.language(person).await, known(["uk", "", "uk", "second"]));
        told("third", known_as(speaking("T-1", "fr"))).await;
        assert_eq!(scene.language(person).await, known(["uk", "", "uk", "second"]), "it comes after");
        told("first", PatientRecord { language: Some(None), ..patient("P-1") }).await;
        assert_eq!(scene.language(person).await, known(["uk", "", "uk", "second"]), "it takes back its own word only");
        told("first", speaking("P-1", "ru")).await;
        assert_eq!(scene.language(person).await, known(["ru", "", "ru", "first"]));
        told("second", known_as(speaking("S-1", "pl"))).await;
        assert_eq!(scene.language(person).await, known(["ru", "", "ru", "first"]));
    }
}

#[tokio::test]
async fn a_merge_keeps_what_either_record_knows_and_the_one_that_is_left_first() {
    for scene in scenes(|_| {}).await {
        let all = vec![speaking("P-1", "uk"), patient("P-2"), speaking("P-3", "pl")];
        scene.changes("mis", Records::Patients(all)).await;
        let by = source("mis");
        let merge = async |from: &str, into: &str| {
            scene.feeds.merge(&Acting::feed(&by), &by, &alias(from), &alias(into), NOW).await.unwrap();
        };
        let (one, two, three) =
            (scene.person("mis", "P-1").await, scene.person("mis", "P-2").await, scene.person("mis", "P-3").await);
        scene.set(one, "ru").await;
        merge("P-1", "P-2").await;
        for person in [one, two] {
            assert_eq!(scene.language(person).await, known(["ru", "ru", "uk", "mis"]));
        }
        merge("P-2", "P-3").await;
        for person in [one, two, three] {
            assert_eq!(scene.language(person).await, known(["ru", "ru", "pl", "mis"]));
        }
        // What is set under the number of a record that is gone is set for the one that is left.
        scene.set(one, "en").await;
        assert_eq!(scene.language(three).await, known(["en", "en", "pl", "mis"]));
    }
}
