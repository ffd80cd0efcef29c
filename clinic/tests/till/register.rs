//! One service after the other: what is registered, what is refused and why.

use clinic::till::{NewCharge, TillError};
use domain::money::{Amount, Currency};
use domain::till::terms::{Mode, Owner};
use domain::till::{ChargeState, Refusal};
use domain::visit::OutOfCardCode;
use domain::{Permission, Rights};

use crate::clinic_of::{amount, both, doctor};
use crate::scene::{HOUR, MINUTE, person};

#[tokio::test]
async fn a_service_on_postpaid_terms_is_rendered_owed_posted_told_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(100_000), None).await;
        let (session, visit) = clinic.visit(1, 10).await;
        let new = NewCharge {
            visit: Some(visit.clone()),
            session: Some(session.clone()),
            out_of_card: None,
            quantity: 2,
            shown: Some(amount(20_000)),
            ..clinic.wish(10, "blood")
        };
        let charge = clinic.till.register(&doctor(1), new).await.unwrap();
        assert_eq!((charge.no, charge.state, charge.mode), (1, ChargeState::Rendered, Mode::Postpaid));
        assert_eq!((charge.price.net, charge.open()), (amount(20_000), amount(20_000)));
        assert_eq!(charge.staff, Some(person(1)));
        assert_eq!(charge.zone.as_ref().unwrap().as_str(), "room-1");
        assert_eq!(charge.card, Some(crate::scene::card(1)), "the card by which the doctor is at the desk");
        assert_eq!(charge.irregular, None);
        assert_eq!(clinic.account(person(10)).await.owed, amount(20_000));
        assert_eq!(clinic.ledger().await, ["rendered owed>revenue 20000"]);
        assert_eq!(clinic.told().await, ["charge_rendered -"]);
        let log = clinic.log().await;
        assert!(log[0].2.contains(&format!("charge={}; no=1;", charge.id)), "{log:?}");
        assert!(log[0].2.contains("postings=owed>revenue:20000"), "{log:?}");
        let stored = clinic.till.charge(&doctor(1), &charge.id).await.unwrap();
        assert_eq!(stored, charge);
        assert_eq!(clinic.till.charges_of_visit(&doctor(1), &visit).await.unwrap(), std::slice::from_ref(&charge));
        assert_eq!(clinic.till.open_charges(&doctor(1), person(10)).await.unwrap(), [charge]);
    }
}

#[tokio::test]
async fn the_limit_of_a_patient_holds_to_the_last_unit_and_opens_with_what_supervisors_allow() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(20_000), None).await;
        clinic.register(10, "blood").await.unwrap();
        clinic.price("blood", 10_001).await;
        let refusal = clinic.refused(10, "blood").await;
        let left = amount(10_000);
        assert_eq!(refusal, Refusal::PatientLimit { limit: amount(20_000), left, missing: amount(1) });
        clinic.price("blood", 10_000).await;
        clinic.register(10, "blood").await.unwrap();
        assert_eq!(clinic.account(person(10)).await.owed, amount(20_000));
        clinic.register(11, "blood").await.unwrap();
        let log = clinic.log().await;
        let refused: Vec<_> = log.iter().filter(|(action, ..)| action == "service_refused").collect();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].1, "refused");
        assert!(refused[0].2.contains("code=patient_limit") && refused[0].2.contains("missing=1"), "{refused:?}");
        assert_eq!(clinic.told().await[1], "charge_refused patient_limit");

        let until = crate::clinic_of::at(HOUR);
        let new = clinic::till::NewOverride {
            owner: clinic::till::OverrideOwner::Patient(person(10)),
            currency: crate::clinic_of::uah(),
            extra: amount(10_000),
            until,
            reason: clinic::till::OverrideReason::Emergency,
            words: "cannot wait until morning".to_owned(),
        };
        clinic.till.allow_more(&crate::scene::manager(), new).await.unwrap();
        clinic.register(10, "blood").await.unwrap();
        clinic.scene.go_on(HOUR);
        assert_eq!(
            clinic.refused(10, "blood").await,
            Refusal::PatientLimit { limit: amount(20_000), left: Amount::ZERO, missing: amount(20_000) }
        );
    }
}

#[tokio::test]
async fn a_pot_is_shared_by_its_members_and_holds_beside_their_own_limits() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        let payer = pot(&clinic, 25_000, &[10, 11]).await;
        clinic.terms_for(Owner::Payer(payer.clone()), Mode::Postpaid, Some(20_000), Some(&payer), None, 0).await;
        clinic.register(10, "blood").await.unwrap();
        clinic.register(11, "blood").await.unwrap();
        assert_eq!(clinic.pot_used(&payer).await, 20_000);
        let refusal = clinic.refused(11, "blood").await;
        assert_eq!(refusal, Refusal::PotLimit { limit: amount(25_000), left: amount(5_000), missing: amount(5_000) });
        assert_eq!(clinic.refused(12, "blood").await, Refusal::NoTerms, "no member");
    }
}

/// A group with a pot and these members.
pub(crate) async fn pot(clinic: &crate::clinic_of::Clinic, limit: i64, members: &[u8]) -> String {
    let (acting, uah) = (crate::scene::manager(), crate::clinic_of::uah());
    let new = clinic::till::NewPayer {
        id: "firm".to_owned(),
        kind: clinic::till::PayerKind::Group,
        name: "The firm".to_owned(),
        external: None,
        ended: false,
    };
    let payer = clinic.till.put_payer(&acting, new).await.unwrap().id;
    clinic.till.set_pot(&acting, &payer, uah, amount(limit)).await.unwrap();
    for member in members {
        let from = domain::schedule::LocalDate(20_000);
        let member = clinic::till::Member { person: person(*member), from, until: None };
        clinic.till.put_member(&acting, &payer, member).await.unwrap();
    }
    payer
}

#[tokio::test]
async fn a_deposit_is_used_to_the_last_unit_and_paid_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Deposit, None, None).await;
        clinic.pay_in(10, 19_999).await;
        let charge = clinic.register(10, "blood").await.unwrap();
        assert_eq!((charge.paid, charge.open()), (amount(10_000), Amount::ZERO));
        assert_eq!(clinic.refused(10, "blood").await, Refusal::Deposit { left: amount(9_999), missing: amount(1) });
        assert_eq!(clinic.ledger().await, ["rendered deposit>revenue 10000"]);
    }
}

#[tokio::test]
async fn prepaid_and_home_calls_are_ordered_paid_and_then_rendered() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        let order = clinic.register(10, "home").await.unwrap();
        assert_eq!((order.state, order.mode, order.rendered), (ChargeState::Ordered, Mode::Prepaid, None));
        assert_eq!(clinic.ledger().await, [] as [String; 0]);
        let acting = doctor(1);
        let render = |key: String| clinic.till.render(&acting, key, &order.id, None);
        let refused = render(clinic.key()).await;
        assert!(
            matches!(refused, Err(TillError::Refused(Refusal::NotPaid { missing })) if missing == amount(50_000)),
            "{refused:?}"
        );
        clinic.pay_order(&order).await;
        clinic.scene.go_on(24 * HOUR);
        let key = clinic.key();
        let done = render(key.clone()).await.unwrap();
        assert_eq!((done.state, done.day), (ChargeState::Rendered, clinic.till.today()));
        assert_eq!(render(key.clone()).await.unwrap(), done, "repeated");
        assert_eq!(render(clinic.key()).await.unwrap(), done, "asked again");
        assert_eq!(clinic.ledger().await, ["rendered held>revenue 50000"]);
        let account = clinic.account(person(10)).await;
        assert_eq!((account.held, account.rendered), (Amount::ZERO, amount(50_000)));
        assert_eq!(clinic.told().await, ["charge_ordered -", "charge_refused not_paid", "charge_rendered -"]);
        let other = clinic.register(10, "home").await.unwrap();
        let reused = clinic.till.render(&doctor(1), key, &other.id, None).await;
        assert!(matches!(reused, Err(TillError::KeyReused)), "{reused:?}");
    }
}

#[tokio::test]
async fn at_a_desk_a_paid_order_is_rendered_while_its_patient_is_there_and_a_home_call_without() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Prepaid, None, None).await;
        let (session, visit) = clinic.visit(1, 10).await;
        let new = NewCharge { visit: Some(visit), session: Some(session), ..clinic.wish(10, "blood") };
        let order = clinic.till.register(&doctor(1), new).await.unwrap();
        clinic.pay_order(&order).await;
        let (theirs, _) = clinic.visit(2, 11).await;
        let render = async |id: &str| clinic.till.render(&doctor(2), clinic.key(), id, Some(theirs.clone())).await;
        let refused = render(&order.id).await;
        assert!(
            matches!(refused, Err(TillError::Invalid { field: "visit", .. })),
            "another patient is there: {refused:?}"
        );
        let home = clinic.register(10, "home").await.unwrap();
        clinic.pay_order(&home).await;
        assert_eq!(render(&home.id).await.unwrap().state, ChargeState::Rendered, "nobody taps a card for a home call");
        // With the card at the second specialist, who gives it.
        clinic.visit(2, 10).await;
        let done = render(&order.id).await.unwrap();
        assert_eq!((done.state, done.staff), (ChargeState::Rendered, Some(person(2))));
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        assert_eq!(clinic.refused(10, "blood").await, Refusal::NoTerms);
        clinic.terms(Mode::Postpaid, Some(domain::money::AMOUNT_MAX), None).await;
        let ask = async |change: &dyn Fn(&mut NewCharge)| {
            let mut new = clinic.wish(10, "blood");
            change(&mut new);
            match clinic.till.register(&doctor(1), new).await.unwrap_err() {
                TillError::Refused(refusal) => refusal.code().to_owned(),
                TillError::Invalid { field, .. } => format!("invalid {field}"),
                other => other.to_string(),
            }
        };
        assert_eq!(ask(&|new| new.shown = Some(amount(9_999))).await, "price_changed");
        assert_eq!(ask(&|new| new.quantity = 0).await, "quantity");
        assert_eq!(ask(&|new| new.quantity = 10_001).await, "quantity");
        assert_eq!(ask(&|new| new.currency = Currency::parse("EUR")).await, "other_currency");
        assert_eq!(ask(&|new| new.service = "nothing".to_owned()).await, "invalid service");
        assert_eq!(ask(&|new| new.service = "a\0b".to_owned()).await, "invalid service");
        assert_eq!(ask(&|new| new.service = "x".repeat(101)).await, "invalid service");
        assert_eq!(ask(&|new| new.key = "short".to_owned()).await, "invalid key");
        assert_eq!(ask(&|new| new.session = Some("nobody".to_owned())).await, "invalid session");
        let words = TillError::ReasonWanted.to_string();
        assert_eq!(ask(&|new| new.out_of_card = None).await, words);
        assert_eq!(ask(&|new| new.out_of_card = Some((OutOfCardCode::Other, "short".to_owned()))).await, words);
        let missing = TillError::NotFound.to_string();
        assert_eq!(ask(&|new| new.patient = domain::PersonId([99; 16])).await, missing);
        assert_eq!(ask(&|new| new.visit = Some("none".to_owned())).await, missing);
        assert_eq!(ask(&|new| new.patient = person(1)).await, TillError::NotTheirs.to_string(), "oneself");
        clinic.price("blood", domain::money::AMOUNT_MAX).await;
        assert_eq!(ask(&|new| new.quantity = 2).await, "too_large");
        let ended = clinic::till::NewService {
            code: "blood".to_owned(),
            names: [("en".to_owned(), "Blood".to_owned())].into(),
            category: "any".to_owned(),
            at_home: false,
            external: None,
            ended: true,
        };
        clinic.till.put_service(&crate::scene::manager(), ended).await.unwrap();
        assert_eq!(ask(&|_| ()).await, "no_price");
        assert_eq!(clinic.ledger().await, [] as [String; 0]);
        let denied = clinic.till.register(&clinic::acting::Acting::system(), clinic.wish(10, "blood")).await;
        assert!(matches!(denied, Err(TillError::Denied(_))), "{denied:?}");
    }
}

#[tokio::test]
async fn only_the_specialist_of_the_visit_at_their_own_open_desk_registers_and_only_today() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        let (session, visit) = clinic.visit(1, 10).await;
        let (other_session, other_visit) = clinic.visit(2, 11).await;
        let ask = async |staff: u8, patient: u8, visit: &str, session: Option<&str>| {
            let new = NewCharge {
                visit: Some(visit.to_owned()),
                session: session.map(str::to_owned),
                ..clinic.wish(patient, "blood")
            };
            clinic.till.register(&doctor(staff), new).await.map(|charge| charge.no).map_err(|error| error.to_string())
        };
        let theirs = Err(TillError::NotTheirs.to_string());
        assert_eq!(ask(2, 10, &visit, Some(&other_session)).await, theirs, "another's visit");
        assert_eq!(ask(2, 10, &visit, Some(&session)).await, theirs, "another's session");
        assert_eq!(ask(2, 10, &visit, None).await, theirs);
        assert_eq!(ask(1, 11, &visit, Some(&session)).await, theirs, "another patient");
        assert_eq!(ask(1, 11, &other_visit, Some(&session)).await, theirs, "a colleague's patient");
        assert_eq!(ask(1, 10, &visit, Some(&session)).await, Ok(1));
        // The next patient ends the visit; what was done in it can still be registered today.
        clinic.visit(1, 12).await;
        clinic.scene.go_on(HOUR);
        assert_eq!(ask(1, 10, &visit, None).await, Ok(2));
        clinic.scene.go_on(24 * HOUR);
        assert_eq!(ask(1, 10, &visit, None).await, Err(TillError::NotFound.to_string()));
    }
}

#[tokio::test]
async fn without_a_visit_it_is_a_case_with_its_words_and_needs_a_fresh_tap() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        clinic.scene.tap(1, 1).await;
        let session = Some(clinic.scene.at(1).await.unwrap().id);
        let new = NewCharge { session: session.clone(), ..clinic.wish(10, "blood") };
        let charge = clinic.till.register(&doctor(1), new).await.unwrap();
        let case = charge.irregular.clone().unwrap();
        let row: (String, String, String, i64) = store::read!(clinic.scene.database, "test.case", |conn| {
            Ok(sqlx::query_as("SELECT kind, code, patient, entry FROM irregular WHERE id = $1")
                .bind(&case)
                .fetch_one(&mut *conn)
                .await?)
        })
        .unwrap();
        assert_eq!((row.0.as_str(), row.1.as_str()), ("service", "telephone"));
        assert_eq!(row.2, person(10).to_string());
        let entry = clinic::audit::entry(
            &clinic.scene.database,
            &crate::scene::manager(),
            clinic.scene.now(),
            row.3.cast_unsigned(),
        )
        .await;
        let note = entry.unwrap().unwrap().note;
        assert!(matches!(note, clinic::audit::Note::Kept { text, .. } if text == "asked for it by telephone"));
        assert_eq!(row.3.cast_unsigned() + 1, charge.entry);
        clinic.scene.go_on(6 * MINUTE);
        let new = NewCharge { session, ..clinic.wish(10, "blood") };
        let refused = clinic.till.register(&doctor(1), new).await;
        assert!(matches!(refused, Err(TillError::Invalid { field: "session", .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_key_counts_once_and_its_repetition_gets_the_first_outcome() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(15_000), None).await;
        let new = clinic.wish(10, "blood");
        let first = clinic.till.register(&doctor(1), new.clone()).await.unwrap();
        assert_eq!(clinic.till.register(&doctor(1), new.clone()).await.unwrap(), first);
        let (acting, twice) = (doctor(1), clinic.wish(11, "blood"));
        let at_once =
            tokio::join!(clinic.till.register(&acting, twice.clone()), clinic.till.register(&acting, twice.clone()),);
        assert_eq!(at_once.0.unwrap(), at_once.1.unwrap());
        let another = NewCharge { quantity: 2, ..new.clone() };
        let reused = clinic.till.register(&doctor(1), another).await;
        assert!(matches!(reused, Err(TillError::KeyReused)), "{reused:?}");
        let reused = clinic.till.register(&doctor(2), new).await;
        assert!(matches!(reused, Err(TillError::KeyReused)), "another actor: {reused:?}");
        // A refusal is not remembered: the same key goes when there is room.
        let more = clinic.wish(10, "blood");
        assert!(clinic.till.register(&doctor(1), more.clone()).await.is_err());
        clinic.terms_for(Owner::Patient(person(10)), Mode::Postpaid, Some(20_000), None, None, 1).await;
        clinic.till.register(&doctor(1), more).await.unwrap();
        assert_eq!(clinic.account(person(10)).await.owed, amount(20_000));
    }
}

#[tokio::test]
async fn discounts_follow_what_was_rendered_before() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.scheme("loyal").await;
        clinic.terms(Mode::Postpaid, Some(1_000_000), Some("loyal")).await;
        let mut nets = Vec::new();
        for service in ["blood", "blood", "scan", "blood"] {
            let charge = clinic.register(10, service).await.unwrap();
            nets.push((charge.before.minor(), charge.price.discount.rate, charge.price.net.minor()));
        }
        assert_eq!(nets, [(0, 0, 10_000), (10_000, 300, 9_700), (19_700, 300, 60_140), (79_840, 1_000, 9_000)]);
        assert_eq!(clinic.ledger().await[1..3], ["rendered owed>revenue 9700", "rendered discount>revenue 300"]);
    }
}

#[tokio::test]
async fn who_was_erased_or_merged_is_not_charged_or_charged_as_who_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        clinic
            .sql(
                "INSERT INTO person_merge (person, into_person, at_ms) VALUES ($1, $2, 0)",
                vec![person(10).to_string(), person(11).to_string()],
            )
            .await;
        let charge = clinic.register(10, "blood").await.unwrap();
        assert_eq!(charge.patient, person(11));
        assert_eq!(clinic.till.open_charges(&doctor(1), person(10)).await.unwrap(), [charge]);
        clinic
            .sql(
                "INSERT INTO passport (no, person, mode, created_ms, changed_ms, shredded_ms) VALUES (1, $1, 'own', 0, 0, 5)",
                vec![person(11).to_string()],
            )
            .await;
        for patient in [10, 11] {
            let gone = clinic.register(patient, "blood").await;
            assert!(matches!(gone, Err(TillError::NotFound)), "{gone:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_posted_to_a_closed_day_even_when_the_clock_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        clinic.terms(Mode::Postpaid, Some(1_000_000), None).await;
        let today = clinic.till.today();
        let closed = today.0.to_string();
        clinic
            .sql(
                "INSERT INTO till_day (day, closed_ms, actor_kind, last_ledger, totals, entry)
                 VALUES (CAST($1 AS BIGINT), 0, 'console', 0, '{}', 0)",
                vec![closed],
            )
            .await;
        let charge = clinic.register(10, "blood").await.unwrap();
        assert_eq!(charge.day.0, today.0 + 1);
        // The prices of the scene began just now.
        clinic.sql("UPDATE price SET from_ms = 0", vec![]).await;
        clinic.scene.go_on(-HOUR * 30);
        let charge = clinic.register(10, "blood").await.unwrap();
        assert_eq!(charge.day.0, today.0 + 1, "a clock that went back over midnight");
    }
}

#[tokio::test]
async fn looking_is_recorded_once_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path()).await {
        for minute in 0..20 {
            clinic.till.open_charges(&doctor(1), person(10)).await.unwrap();
            assert!(minute < 15 || clinic.log().await.len() == 2);
            clinic.scene.go_on(MINUTE);
        }
        clinic.till.open_charges(&doctor(1), person(11)).await.unwrap();
        assert_eq!(clinic.log().await.len(), 3);
        let mut rights = Rights::default();
        rights.add(&[Permission::ServiceRegister], &[], &domain::Zones::All);
        let acting = clinic::acting::Acting { rights, ..doctor(1) };
        assert!(matches!(clinic.till.open_charges(&acting, person(10)).await, Err(TillError::Denied(_))));
    }
}
