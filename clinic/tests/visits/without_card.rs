//! Work without the card: at once, with a reason, for a while, and looked at afterwards by somebody else.

use clinic::irregular::{Counts, Filter, IrregularError, NewOutOfCard, Queue, SignIn};
use domain::visit::{IrregularVerdict, OutOfCardCode, Rules};
use domain::{Permission, UtcMillis};

use crate::clinic_of::{Booked, Clinic, both, doctor};
use crate::scene::{HOUR, MINUTE, NOW, SECOND, manager, person};

const WHY: &str = "left the card at home, shown a passport";

async fn new(clinic: &Clinic, patient: u8) -> NewOutOfCard {
    NewOutOfCard {
        session: clinic.scene.at(1).await.unwrap().id,
        patient: person(patient),
        code: OutOfCardCode::Forgotten,
        words: WHY.to_owned(),
        appointment: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_starts_a_visit_without_the_card_and_it_waits_for_a_review() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(Booked { id: "a", patient: 11, staff: Some(1), zone: None, in_minutes: 5 }).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(MINUTE);
        let wanted = NewOutOfCard { appointment: Some("a".to_owned()), ..new(&clinic, 11).await };
        let (case, visit) = clinic.irregular.start(&doctor(1), wanted).await.unwrap();
        let case = case.unwrap();
        assert_eq!((visit.appointment.as_deref(), visit.zone.as_str(), visit.no), (Some("a"), "room-1", 2));
        let expected = ["10 with 1 at desk-1 from 0 until 60 next_patient", "11 with 1 at desk-1 from 60 runs"];
        assert_eq!(clinic.shown().await, expected);
        assert_eq!((case.visit.as_deref(), case.patient), (Some(visit.id.as_str()), Some(person(11))));
        assert_eq!(case.due.since_ms(clinic.scene.now()), 72 * HOUR);
        let told = clinic.told(0).await;
        assert_eq!(told.last().unwrap(), "out_of_card card_forgotten");
        assert!(told.contains(&"visit_started out_of_card".to_owned()));
        let log = clinic.log().await;
        assert_eq!(
            log.last().unwrap(),
            "out_of_card done by staff about 11: started; kind=start; code=card_forgotten +words"
        );
        // The card comes after all: the visit goes on, and what was open without it is over.
        clinic.scene.go_on(MINUTE);
        clinic.scene.tap(1, 11).await;
        assert_eq!(clinic.shown().await[1], "11 with 1 at desk-1 from 60 runs");
        let known = clinic.irregular.of(&manager(), &case.id).await.unwrap();
        assert_eq!(known.case.ended, Some(clinic.scene.now()));
        assert_eq!(known.words.as_deref(), Some(WHY));
        clinic.scene.go_on(2 * HOUR);
        assert_eq!(clinic.irregular.tick().await.unwrap(), clinic::irregular::Ticked::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_words_a_fresh_confirmation_and_ones_own_open_desk() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        let start = |who: u8, wanted: NewOutOfCard| {
            let irregular = clinic.irregular.clone();
            async move { irregular.start(&doctor(who), wanted).await.map(|_| ()).map_err(|error| error.to_string()) }
        };
        let said = |error: IrregularError| Err(error.to_string());
        let short = NewOutOfCard { words: "  forgot  ".to_owned(), ..new(&clinic, 10).await };
        assert_eq!(start(1, short).await, said(IrregularError::BadReason));
        assert_eq!(start(2, new(&clinic, 10).await).await, said(IrregularError::NotYours));
        assert_eq!(start(1, new(&clinic, 99).await).await, said(IrregularError::NotFound));
        assert_eq!(start(1, new(&clinic, 1).await).await, said(IrregularError::NotFound), "one's own record");
        let elsewhere = NewOutOfCard { session: "f".repeat(32), ..new(&clinic, 10).await };
        assert_eq!(start(1, elsewhere).await, said(IrregularError::NotBound));
        let foreign = NewOutOfCard { appointment: Some("none".to_owned()), ..new(&clinic, 10).await };
        assert_eq!(start(1, foreign).await, said(IrregularError::BadAppointment));
        clinic.scene.go_on(5 * MINUTE + 1);
        let late = new(&clinic, 10).await;
        assert_eq!(start(1, late.clone()).await, said(IrregularError::NotFresh));
        assert!(clinic.shown().await.is_empty() && clinic.log().await.is_empty());
        clinic.scene.tap(1, 1).await;
        assert_eq!(start(1, late).await, Ok(()));
        let session = clinic.scene.at(1).await.unwrap();
        clinic.scene.desk.lock(&clinic.at_desk(&session).await, &session).await.unwrap();
        assert_eq!(start(1, new(&clinic, 11).await).await, said(IrregularError::NotBound));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_who_is_here_by_card_is_not_out_of_card() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        let (case, visit) = clinic.irregular.start(&doctor(1), new(&clinic, 10).await).await.unwrap();
        assert_eq!((case, visit), (None, clinic.running(1).await.unwrap()));
        assert_eq!(clinic.irregular.counts(&manager()).await.unwrap(), Counts::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_counts_for_a_while_and_then_visit_and_work_end_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.irregular.start(&doctor(1), new(&clinic, 10).await).await.unwrap();
        let work = clinic.irregular.work(&doctor(1), new(&clinic, 11).await).await.unwrap();
        let other = clinic.irregular.work(&doctor(1), new(&clinic, 12).await).await.unwrap();
        clinic.scene.go_on(MINUTE);
        assert!(matches!(clinic.irregular.finish(&doctor(2), &work.id).await, Err(IrregularError::NotYours)));
        clinic.irregular.finish(&doctor(1), &work.id).await.unwrap();
        assert!(matches!(clinic.irregular.finish(&doctor(1), &work.id).await, Err(IrregularError::NotFound)), "once");
        clinic.scene.go_on(59 * MINUTE - 1);
        assert_eq!(clinic.irregular.tick().await.unwrap().expired, 0);
        clinic.scene.go_on(HOUR);
        assert_eq!(clinic.irregular.tick().await.unwrap().expired, 2);
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 until 3600 expired"]);
        let over = clinic.irregular.of(&manager(), &other.id).await.unwrap().case;
        assert_eq!(over.ended, Some(NOW.plus_ms(HOUR)));
        let log = clinic.log().await;
        let ends = log.iter().filter(|line| line.starts_with("out_of_card") && line.contains("ended; by=")).count();
        assert_eq!(ends, 3, "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_reviewed_once_by_somebody_else_with_words() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        let (case, _) = clinic.irregular.start(&doctor(1), new(&clinic, 10).await).await.unwrap();
        let id = case.unwrap().id;
        let mut own = doctor(1);
        own.rights.add(&[Permission::IrregularReview], &[], &domain::Zones::All);
        assert_eq!(clinic.irregular.own(&doctor(1), person(1)).await.unwrap().len(), 1);
        assert!(matches!(clinic.irregular.own(&doctor(1), person(2)).await, Err(IrregularError::NotYours)));
        let comment = "the patient's card is at the pass office";
        let verdict = IrregularVerdict::Regular;
        assert!(matches!(clinic.irregular.review(&own, &id, verdict, comment).await, Err(IrregularError::Own)));
        let short = clinic.irregular.review(&manager(), &id, verdict, "ok").await;
        assert!(matches!(short, Err(IrregularError::BadReason)));
        clinic.irregular.review(&manager(), &id, verdict, comment).await.unwrap();
        let again = clinic.irregular.review(&manager(), &id, IrregularVerdict::Misuse, comment).await;
        assert!(matches!(again, Err(IrregularError::Reviewed)));
        let told = clinic.irregular.of(&manager(), &id).await.unwrap();
        assert_eq!(told.comment.as_deref(), Some(comment));
        assert_eq!(told.case.review.unwrap().verdict, verdict);
        assert!(!format!("{:?}", clinic.irregular.of(&manager(), &id).await.unwrap()).contains("passport"));
        let (waiting, _) = clinic.irregular.list(&manager(), &Filter::default(), None, 10).await.unwrap();
        assert!(waiting.is_empty());
        let done = Filter { queue: Queue::Done, verdict: Some(verdict), ..Filter::default() };
        assert_eq!(clinic.irregular.list(&manager(), &done, None, 10).await.unwrap().0.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_are_told_once_of_what_nobody_looked_at_in_time() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        for patient in [10, 11] {
            clinic.irregular.work(&doctor(1), new(&clinic, patient).await).await.unwrap();
        }
        clinic.scene.go_on(72 * HOUR + SECOND);
        assert_eq!(clinic.irregular.tick().await.unwrap().overdue, 2);
        assert_eq!(clinic.irregular.tick().await.unwrap().overdue, 0);
        let counts = Counts { waiting: 2, overdue: 2 };
        assert_eq!(clinic.irregular.counts(&manager()).await.unwrap(), counts);
        let letters: Vec<(String, String)> = store::read!(clinic.scene.database, "test.notices", |conn| {
            Ok(sqlx::query_as("SELECT permission, args FROM notice WHERE kind = 'irregular_overdue'")
                .fetch_all(&mut *conn)
                .await?)
        })
        .unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].0, "irregular_review");
        let overdue = Filter { queue: Queue::Overdue, ..Filter::default() };
        assert_eq!(clinic.irregular.list(&manager(), &overdue, None, 10).await.unwrap().0.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_without_a_card_is_taken_once_however_often_it_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        let seen = SignIn {
            source: "mis".to_owned(),
            external: "login-77".to_owned(),
            staff: Some(person(1)),
            workstation: None,
            at: NOW.plus_ms(-MINUTE),
        };
        let (first, is_new) = clinic.irregular.report_sign_in(&manager(), &seen).await.unwrap();
        assert!(is_new && first.kind.as_str() == "sign_in");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (irregular, seen) = (clinic.irregular.clone(), seen.clone());
            tasks.spawn(async move { irregular.saw_sign_in(&seen).await.unwrap() });
        }
        while let Some(again) = tasks.join_next().await {
            assert_eq!(again.unwrap(), (first.clone(), false));
        }
        assert_eq!(clinic.log().await.len(), 1);
        let changes = clinic.scene.changes().await;
        let told: Vec<_> =
            changes.iter().filter(|it| it.kind == clinic::changes::ChangeKind::IrregularSignIn).collect();
        assert_eq!((told.len(), told[0].happened), (1, NOW.plus_ms(-MINUTE)));
        let unknown = SignIn { external: "2".to_owned(), staff: Some(person(99)), ..seen.clone() };
        assert!(matches!(clinic.irregular.saw_sign_in(&unknown).await, Err(IrregularError::NotFound)));
        let bad = SignIn { external: "a\nb".to_owned(), ..seen };
        assert!(matches!(clinic.irregular.saw_sign_in(&bad).await, Err(IrregularError::BadName(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_of_each_specialist_is_visits_without_the_card_for_each_hundred() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(2, 2).await;
        for patient in 10..=16 {
            clinic.scene.go_on(5 * SECOND);
            clinic.scene.tap(1, patient).await;
        }
        clinic.irregular.start(&doctor(1), new(&clinic, 17).await).await.unwrap();
        clinic.scene.tap(2, 18).await;
        let until = UtcMillis(i64::MAX);
        let rates = clinic.irregular.rates(&manager(), NOW, until).await.unwrap();
        let line = |rate: &clinic::irregular::Rate| {
            (rate.staff, rate.visits, rate.without_card, rate.cases, rate.per_100_in_tenths())
        };
        let lines: Vec<_> = rates.iter().map(line).collect();
        assert_eq!(lines, [(person(1), 8, 1, 1, 125), (person(2), 1, 0, 0, 0)]);
        assert!(clinic.irregular.rates(&manager(), until, until).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_about_a_patient_stand_in_the_log_only_as_a_note_that_can_be_blotted_out() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        let case = clinic.irregular.work(&doctor(1), new(&clinic, 10).await).await.unwrap();
        let blotted =
            clinic::audit::blot(&clinic.scene.database, &manager(), clinic.scene.now(), case.entry, "erasure").await;
        assert_eq!(blotted.unwrap(), clinic::audit::Blotted::Done);
        let told = clinic.irregular.of(&manager(), &case.id).await.unwrap();
        assert_eq!((told.words, told.case.code), (None, OutOfCardCode::Forgotten), "the case stays");
        let kept = format!("{:?}{:?}", clinic.scene.changes().await, clinic.log().await);
        assert!(!kept.contains("passport"), "{kept}");
    }
}
