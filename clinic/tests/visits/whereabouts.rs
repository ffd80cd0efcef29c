//! Where everybody is and was, and by whom rooms were used.

use clinic::audit::Purpose;
use clinic::whereabouts::{self, Part, WhereError};
use domain::visit::Rules;
use domain::{Direction, Draft, Kind, PointId, UtcMillis};

use crate::clinic_of::{Clinic, both, doctor, number};
use crate::scene::{HOUR, MINUTE, NOW, card, manager, person};

async fn passed(clinic: &Clinic, who: u8, direction: Direction) {
    let fact = Draft {
        point: Some(PointId::new("turnstile").unwrap()),
        direction: Some(direction),
        person: Some(person(who)),
        card: Some(card(who)),
        ..Draft::new(clinic.scene.now(), Kind::Passed)
    };
    clinic.scene.record(vec![fact]).await;
}

/// A doctor and a patient come, meet and go, a minute between each.
async fn day(clinic: &Clinic) {
    passed(clinic, 1, Direction::In).await;
    clinic.scene.go_on(MINUTE);
    clinic.scene.tap(1, 1).await;
    clinic.scene.go_on(MINUTE);
    passed(clinic, 10, Direction::In).await;
    clinic.scene.go_on(MINUTE);
    clinic.scene.tap(1, 10).await;
    clinic.scene.go_on(10 * MINUTE);
}

fn minutes(at: UtcMillis) -> i64 {
    at.since_ms(NOW) / MINUTE
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_for_somebody_shows_the_latest_that_is_known_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        day(&clinic).await;
        let locate = |who: u8| {
            let (database, now) = (clinic.scene.database.clone(), clinic.scene.now());
            async move { whereabouts::locate(&database, &manager(), person(who), Purpose::Treatment, now).await }
        };
        let stay = locate(10).await.unwrap().stay.unwrap();
        assert_eq!((stay.zone.as_str(), stay.source.as_str(), minutes(stay.from)), ("room-1", "visit", 3));
        assert_eq!(number(stay.visit.unwrap().1), 1, "with whom");
        let stay = locate(1).await.unwrap().stay.unwrap();
        assert_eq!((stay.zone.as_str(), number(stay.visit.unwrap().1)), ("room-1", 10));
        clinic.visits.end(&doctor(1), &clinic.running(1).await.unwrap().id).await.unwrap();
        let stay = locate(10).await.unwrap().stay.unwrap();
        assert_eq!((stay.zone.as_str(), stay.source.as_str()), ("clinic", "passage"));
        clinic.scene.go_on(MINUTE);
        passed(&clinic, 10, Direction::Out).await;
        assert_eq!(locate(10).await.unwrap().stay, None, "outside");
        assert_eq!(locate(20).await.unwrap().stay, None, "never came");
        assert!(matches!(locate(99).await, Err(WhereError::Unknown)));
        let looks: Vec<String> = clinic.log().await.into_iter().filter(|it| it.starts_with("person_located")).collect();
        assert_eq!(looks.len(), 5);
        assert!(looks[0].starts_with("person_located done by account about 10:"), "{looks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_route_of_a_day_is_zones_and_within_them_visits() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        day(&clinic).await;
        clinic.visits.end(&doctor(1), &clinic.running(1).await.unwrap().id).await.unwrap();
        clinic.scene.go_on(MINUTE);
        passed(&clinic, 10, Direction::Out).await;
        let (database, now) = (&clinic.scene.database, clinic.scene.now());
        let route = |who: u8| async move {
            let today =
                whereabouts::today(database, &manager(), person(who), Purpose::Incident, NOW, NOW.plus_ms(HOUR), now)
                    .await
                    .unwrap();
            let line = |stay: &whereabouts::Stay| {
                let until = stay.until.map_or("-".to_owned(), |at| minutes(at).to_string());
                format!("{} {} {} {until}", stay.source, stay.zone, minutes(stay.from))
            };
            today.stays.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(route(10).await, ["passage clinic 2 14", "visit room-1 3 13"]);
        assert_eq!(route(1).await, ["passage clinic 0 -", "desk room-1 1 -", "visit room-1 3 13"]);
        let backward =
            whereabouts::today(database, &manager(), person(10), Purpose::Incident, NOW, NOW, now).await.unwrap_err();
        assert!(matches!(backward, WhereError::BadSpan));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_counts_meetings_and_time_and_leaves_out_what_never_was() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(2, 2).await;
        for (desk, patient) in [(1, 10), (1, 11), (2, 10), (1, 12)] {
            clinic.scene.tap(desk, patient).await;
            clinic.scene.go_on(10 * MINUTE);
        }
        let wrong = clinic.running(1).await.unwrap();
        clinic.visits.cancel(&doctor(1), &wrong.id, "a card found on the floor").await.unwrap();
        let graph = |part: Part, limit: u32| {
            let (database, now) = (clinic.scene.database.clone(), clinic.scene.now());
            async move {
                whereabouts::graph(&database, &manager(), NOW, NOW.plus_ms(24 * HOUR), &part, limit, now).await.unwrap()
            }
        };
        let all = graph(Part::default(), 100).await;
        let lines: Vec<_> = all
            .edges
            .iter()
            .map(|it| (number(it.staff), number(it.patient), it.visits, it.lasted_ms / 60_000))
            .collect();
        assert_eq!(lines, [(1, 11, 1, 20), (2, 10, 1, 20), (1, 10, 1, 10)]);
        assert_eq!(all.specialists()[0], (person(1), 2, 30 * 60_000));
        assert_eq!(all.patients()[0], (person(10), 2, 30 * 60_000));
        assert!(!all.is_cut && graph(Part::default(), 2).await.is_cut);
        let of_second = graph(Part { staff: Some(person(2)), ..Part::default() }, 100).await;
        assert_eq!(of_second.edges.len(), 1);
        let room = domain::ZoneId::new("room-1").unwrap();
        assert_eq!(graph(Part { zone: Some(room), ..Part::default() }, 100).await.edges.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_show_by_whom_they_were_occupied_and_how_well_they_are_used() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.go_on(10 * MINUTE);
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(20 * MINUTE);
        clinic.scene.tap(1, 11).await;
        clinic.scene.go_on(10 * MINUTE);
        let database = &clinic.scene.database;
        let now = clinic.scene.now();
        let at = |minute: i64| async move {
            let found = whereabouts::occupied_at(database, &manager(), NOW.plus_ms(minute * MINUTE)).await.unwrap();
            found.iter().map(|it| (it.zone.to_string(), number(it.patient), number(it.staff))).collect::<Vec<_>>()
        };
        assert!(at(9).await.is_empty());
        assert_eq!(at(10).await, [("room-1".to_owned(), 10, 1)]);
        assert_eq!(at(30).await, [("room-1".to_owned(), 11, 1)], "the end of one is the start of the next");
        let day = whereabouts::rooms(database, &manager(), None, NOW, NOW.plus_ms(HOUR), now).await.unwrap();
        assert_eq!(day.rooms.len(), 1);
        let room = &day.rooms[0];
        assert_eq!((room.occupied_ms / MINUTE, room.staffed_ms / MINUTE, room.visits), (30, 40, 2));
        assert_eq!(room.used_in_thousandths(), Some(750));
        assert_eq!(day.occupied.len(), 2);
        // Only what lies within the time asked about counts.
        let part = whereabouts::rooms(
            database,
            &manager(),
            Some(&room.zone),
            NOW.plus_ms(25 * MINUTE),
            NOW.plus_ms(35 * MINUTE),
            now,
        )
        .await
        .unwrap();
        assert_eq!((part.rooms[0].occupied_ms / MINUTE, part.rooms[0].visits), (10, 2));
        let other = domain::ZoneId::new("room-2").unwrap();
        let none = whereabouts::rooms(database, &manager(), Some(&other), NOW, NOW.plus_ms(HOUR), now).await.unwrap();
        assert!(none.rooms.is_empty());
    }
}
