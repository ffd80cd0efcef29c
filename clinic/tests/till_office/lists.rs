//! Price lists and lists of members from files: looked at, then taken as shown, or not at all.

use clinic::till::{ListFaultKind, ListState, Member, NewPayer, PayerKind, ServiceFilter, Take, TillError, price_text};
use domain::schedule::LocalDate;

use crate::scene::{Scene, cashier, day, hryvnia, story};

const LIST: &str = "service,price,name_en,name_ru,category,at_home\n\
    C-1,500.00,Consultation,Консультация,Visits,no\n\
    H-1,900,Visit at home,,Visits,yes\n\
    G-1,free,Advice,,,\n";

async fn look(scene: &Scene, list: &str, from: Option<LocalDate>) -> clinic::till::ListReport {
    scene.till.import_prices(&scene.boss, list.as_bytes().to_vec(), from, Take::Look).await.unwrap()
}

async fn take(scene: &Scene, list: &str, take: Take<'_>) -> Result<clinic::till::ListReport, TillError> {
    scene.till.import_prices(&scene.boss, list.as_bytes().to_vec(), None, take).await
}

story!(a_list_is_looked_at_and_then_taken_as_it_was_shown, |scene| {
    let shown = look(&scene, LIST, None).await;
    assert_eq!((shown.count(ListState::New), shown.is_taken, shown.set), (3, false, None));
    assert!(scene.till.services(&cashier(), &ServiceFilter::default()).await.unwrap().is_empty(), "a look");
    let taken = take(&scene, LIST, Take::AsShown(&shown.digest)).await.unwrap();
    assert!(taken.is_taken);
    assert_eq!(taken.set.unwrap().changes, 3);
    let lines = scene.till.services(&cashier(), &ServiceFilter::default()).await.unwrap();
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            let price = price_text(line.price.unwrap().amount, hryvnia());
            (line.service.code.as_str(), line.service.name("ru"), price, line.service.at_home)
        })
        .collect();
    let expected = [
        ("C-1", "Консультация", "500.00".to_owned(), false),
        ("G-1", "Advice", "free".to_owned(), false),
        ("H-1", "Visit at home", "900.00".to_owned(), true),
    ];
    assert_eq!(found, expected);
    let again = look(&scene, LIST, None).await;
    assert_eq!(again.count(ListState::Unchanged), 3);
    // Without columns everything but the price stays.
    let changed = look(&scene, "service;price\nC-1;520,50\nH-1;\nG-1;none\n", Some(day("2026-12-01"))).await;
    let states: Vec<_> = changed.lines.iter().map(|line| line.state).collect();
    assert_eq!(states, [ListState::Changed, ListState::Unchanged, ListState::Changed]);
    assert_eq!(changed.lines[0].service.category, "Visits");
    assert!(scene.words("services").await[0].contains("H-1 new category=Visits at_home=1"));
});

story!(a_list_is_not_taken_when_it_no_longer_changes_what_was_shown, |scene| {
    take(&scene, LIST, Take::Now).await.unwrap();
    let list = LIST.replace("500.00", "550.00");
    let shown = look(&scene, &list, None).await;
    // Somebody else sets another price meanwhile; and another file or another day is not what was shown either.
    let digest = shown.digest.clone();
    take(&scene, &LIST.replace("500.00", "560.00"), Take::Now).await.unwrap();
    assert!(matches!(take(&scene, &list, Take::AsShown(&digest)).await, Err(TillError::Changed)));
    let shown = look(&scene, &list, None).await;
    let other = format!("{list}\n");
    assert!(matches!(take(&scene, &other, Take::AsShown(&shown.digest)).await, Err(TillError::Changed)));
    let later = Some(day("2026-12-01"));
    let outcome =
        scene.till.import_prices(&scene.boss, list.as_bytes().to_vec(), later, Take::AsShown(&shown.digest)).await;
    assert!(matches!(outcome, Err(TillError::Changed)));
    assert!(take(&scene, &list, Take::AsShown(&shown.digest)).await.unwrap().is_taken);
});

story!(a_list_with_one_fault_changes_nothing, |scene| {
    let list = format!("{LIST}Z-1,0,Zero,,,\nN-1,5,,,,\nC-1,7,Consultation,,,\n");
    let report = take(&scene, &list, Take::Now).await.unwrap();
    let faults: Vec<_> = report.faults.kept.iter().map(|fault| (fault.line, fault.kind)).collect();
    let expected = [(5, ListFaultKind::Zero), (7, ListFaultKind::Twice), (6, ListFaultKind::NameMissing)];
    assert_eq!(faults, expected);
    assert!(!report.is_taken);
    assert!(scene.till.services(&cashier(), &ServiceFilter::default()).await.unwrap().is_empty());
    assert!(scene.till.price_versions(&cashier()).await.unwrap().is_empty());
    // Two lines of one service, in two currencies, must agree about the service.
    let two = "service,price,currency,name_en\nA,1,UAH,One\nA,2,EUR,Two\n";
    assert_eq!(look(&scene, two, None).await.faults.kept[0].kind, ListFaultKind::Differs);
    let two = two.replace("Two", "One");
    assert_eq!(take(&scene, &two, Take::Now).await.unwrap().set.unwrap().changes, 2);
});

story!(a_list_of_thousands_of_services_is_taken_at_once, |scene| {
    let mut list = "service,price,name_en\n".to_owned();
    (0..3000).for_each(|n| list.push_str(&format!("S{n:05},{}.50,Service {n}\n", n + 1)));
    let report = take(&scene, &list, Take::Now).await.unwrap();
    assert_eq!(report.set.unwrap().changes, 3000);
    let version = report.set.unwrap().version.unwrap();
    assert_eq!(scene.till.prices_of(&cashier(), version).await.unwrap().len(), 3000);
    let filter = ServiceFilter { find: "service 2999".to_owned(), ..ServiceFilter::default() };
    assert_eq!(scene.till.services(&cashier(), &filter).await.unwrap().len(), 1, "beyond the first page");
    let words = scene.words(&format!("price_list/{version}")).await;
    assert_eq!(words.iter().map(|text| text.matches(">").count()).sum::<usize>(), 3000, "each change is in the log");
});

story!(members_come_by_number_from_a_file_or_one_by_one, |scene| {
    let (anna, boris, clara) = (scene.person("R-1").await, scene.person("R-2").await, scene.person("R-3").await);
    scene.till.put_payer(&scene.boss, NewPayer::new("works", PayerKind::Group, "Steel works")).await.unwrap();
    let first = day("2026-11-01");
    let member = |person| Member { person, from: first, until: None };
    scene.till.put_member(&scene.boss, "works", member(anna)).await.unwrap();
    let list = |text: &'static str| scene.till.import_members(&scene.boss, "works", text.into(), first, Take::Now);
    // One number is nobody's: nothing is taken, and the report names the line, not the number.
    let report = list("number,until\nR-1,\nR-2,2026-12-31\nR-9,\n").await.unwrap();
    assert_eq!((report.is_taken, report.changed, report.unchanged), (false, 1, 1));
    assert_eq!((report.faults.kept[0].line, report.faults.kept[0].kind), (4, ListFaultKind::Person));
    assert!(!format!("{report:?}").contains("R-9"), "a record number is personal data");
    let taken = list("number,until\nR-1,\nR-2,2026-12-31\n").await.unwrap();
    assert!(taken.is_taken);
    let members = scene.till.members(&scene.boss, "works", None, 10).await.unwrap();
    let untils: Vec<_> =
        [anna, boris].iter().map(|who| members.iter().find(|it| it.person == *who).unwrap().until).collect();
    assert_eq!(untils, [None, Some(day("2026-12-31"))]);
    assert_eq!(scene.till.payer(&scene.boss, "works").await.unwrap().unwrap().members, 2);
    // A later beginning ends what was open before.
    let again = list("number,from,until\nR-1,2027-01-01,2027-06-30\n").await.unwrap();
    assert!(again.is_taken);
    let members = scene.till.members(&scene.boss, "works", None, 10).await.unwrap();
    let annas: Vec<_> = members.iter().filter(|it| it.person == anna).map(|it| (it.from, it.until)).collect();
    assert_eq!(annas, [(first, Some(day("2026-12-31"))), (day("2027-01-01"), Some(day("2027-06-30")))]);
    scene.till.end_member(&scene.boss, "works", anna, day("2026-11-22")).await.unwrap();
    let members = scene.till.members(&scene.boss, "works", None, 10).await.unwrap();
    let annas: Vec<_> = members.iter().filter(|it| it.person == anna).map(|it| (it.from, it.until)).collect();
    assert_eq!(annas, [(first, Some(day("2026-11-22")))], "what was to begin later never does");
    let twice = scene.till.end_member(&scene.boss, "works", anna, day("2026-11-22")).await;
    assert!(matches!(twice, Err(TillError::NotFound)));
    let unknown = scene.till.put_member(&scene.boss, "nobody", member(clara)).await;
    assert!(matches!(unknown, Err(TillError::NotFound)));
    let odd = Member { until: Some(day("2026-10-01")), ..member(clara) };
    assert!(matches!(scene.till.put_member(&scene.boss, "works", odd).await, Err(TillError::Invalid { .. })));
    assert_eq!(scene.till.person_by_number(&scene.boss, " R-3 ").await.unwrap(), Some(clara));
    assert_eq!(scene.till.person_by_number(&scene.boss, "R-9").await.unwrap(), None);
});

story!(a_number_that_two_systems_give_to_two_people_is_not_clear, |scene| {
    let (anna, boris) = (scene.person("R-1").await, scene.person("R-2").await);
    store::transact!(scene.database, "test.alias", |conn| {
        for (system, person) in [("mis", anna), ("lab", boris)] {
            store::sqlx::query("INSERT INTO person_alias (system, value, person) VALUES ($1, '77', $2)")
                .bind(system)
                .bind(person.to_string())
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(scene.till.person_by_number(&scene.boss, "77").await.unwrap(), None);
    scene.till.put_payer(&scene.boss, NewPayer::new("works", PayerKind::Group, "Works")).await.unwrap();
    let list = b"number\n77\n".to_vec();
    let report = scene.till.import_members(&scene.boss, "works", list, day("2026-11-01"), Take::Now).await.unwrap();
    assert_eq!(report.faults.kept[0].kind, ListFaultKind::Person);
    // When the two records become one, it is clear again.
    store::transact!(scene.database, "test.merge", |conn| {
        store::sqlx::query("INSERT INTO person_merge (person, into_person, at_ms) VALUES ($1, $2, 1)")
            .bind(boris.to_string())
            .bind(anna.to_string())
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
    .unwrap();
    assert_eq!(scene.till.person_by_number(&scene.boss, "77").await.unwrap(), Some(anna));
    let member = Member { person: boris, from: day("2026-11-01"), until: None };
    scene.till.put_member(&scene.boss, "works", member).await.unwrap();
    assert_eq!(scene.till.members(&scene.boss, "works", None, 10).await.unwrap()[0].person, anna);
});
