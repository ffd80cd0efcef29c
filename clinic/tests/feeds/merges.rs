//! Two records of one person: cards, ids and appointments follow; never a circle.

use clinic::feeds::{FeedError, MergeOutcome, PatientRecord, Records};

use crate::*;

#[tokio::test]
async fn after_a_merge_the_old_card_is_the_surviving_persons_and_chains_end_at_the_last() {
    for scene in scenes(|_| {}).await {
        let told = ["P-1", "P-2", "P-3"].iter().zip(["04000001", "04000002", "04000003"]);
        let told = told.map(|(id, no)| PatientRecord { cards: Some(vec![card(no)]), ..patient(id) }).collect();
        scene.changes("mis", Records::Patients(told)).await;
        let by = source("mis");
        let acting = Acting::feed(&by);
        let merge =
            async |from: &str, into: &str| scene.feeds.merge(&acting, &by, &alias(from), &alias(into), NOW).await;
        let (one, two, three) =
            (scene.person("mis", "P-1").await, scene.person("mis", "P-2").await, scene.person("mis", "P-3").await);
        assert_eq!(merge("P-1", "P-2").await.unwrap(), MergeOutcome::Merged(two));
        assert_eq!(scene.pass("04000001").await.person, two);
        assert_eq!(scene.person("mis", "P-1").await, two);
        assert_eq!(merge("P-1", "P-2").await.unwrap(), MergeOutcome::Unchanged(two), "again");
        assert_eq!(merge("P-2", "P-1").await.unwrap(), MergeOutcome::Unchanged(two), "the other way is no circle");
        assert_eq!(merge("P-2", "P-3").await.unwrap(), MergeOutcome::Merged(three));
        assert_eq!(scene.pass("04000001").await.person, three);
        for gone in [one, two] {
            assert_eq!(clinic::feeds::surviving(&scene.database, gone).await.unwrap(), three);
        }
        assert!(matches!(merge("P-3", "P-9").await, Err(FeedError::Unknown)));
        // The old record says nothing of the person that is left, and neither its absence nor the other one's list of cards
        // ends the old card.
        let report = scene
            .changes("mis", Records::Patients(vec![PatientRecord { until: Some(NOW.plus_ms(HOUR)), ..patient("P-1") }]))
            .await;
        assert_eq!((report.changed, report.unchanged), (0, 1));
        let left = PatientRecord { cards: Some(vec![card("04000003")]), ..patient("P-3") };
        let report = scene
            .told(
                "mis",
                Records::Patients(vec![PatientRecord { until: Some(NOW.plus_ms(HOUR)), ..left }]),
                clinic::feeds::Mode::Whole,
            )
            .await;
        assert_eq!((report.changed, report.ended), (1, 0), "{report:?}");
        let pass = scene.pass("04000001").await;
        assert_eq!((pass.state, pass.valid_until), (domain::policy::PassState::Active, None));
        assert_eq!(scene.person("mis", "P-1").await, three);
        let changes = clinic::changes::after(&scene.database, 0, 100).await.unwrap();
        let merged = changes.iter().filter(|it| it.kind == clinic::changes::ChangeKind::PersonMerged);
        assert_eq!(merged.count(), 2);
    }
}
