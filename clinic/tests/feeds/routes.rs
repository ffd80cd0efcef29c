//! Which rooms a patient may enter: appointments, purposes, conditions, and the policy that gateways get.

use clinic::feeds::{
    AppointmentRecord, AppointmentState, ConditionRecord, Mode, PatientPasses, PatientRecord, Place, Problem,
    PurposeRecord, Records, WorkplaceRecord,
};
use domain::policy::{Asked, Demand};
use domain::{ConditionId, Direction, PointId, Policy, Presence, Reason, Request, decide};

use crate::*;

fn appointment(id: &str, starts: i64) -> AppointmentRecord {
    AppointmentRecord {
        id: reference(id),
        changed: None,
        patient: alias("P-1"),
        staff: None,
        place: None,
        purpose: None,
        starts: NOW.plus_ms(starts),
        ends: Some(NOW.plus_ms(starts + HOUR / 2)),
        state: AppointmentState::Booked,
    }
}

fn purpose(id: &str, zones: &[&str]) -> PurposeRecord {
    let zones = Some(zones.iter().map(|name| zone(name)).collect());
    PurposeRecord { id: reference(id), changed: None, name: "x".to_owned(), zones, minutes: Some(20), active: true }
}

/// Rooms ask for a visit, room 2 for a contract as well; one patient with a card.
async fn asking(scene: &Scene) {
    let contract = Asked::Condition(ConditionId::new("contract").unwrap());
    let mut layout = layout();
    layout.demands = vec![
        Demand::purpose(zone("room-1")),
        Demand::purpose(zone("room-2")),
        Demand { zone: zone("room-2"), asked: contract, kinds: Vec::new() },
    ];
    clinic::policy::put_layout(&scene.database, layout, NOW).await.unwrap();
    let told = PatientRecord { cards: Some(vec![card("04000001")]), ..patient("P-1") };
    scene.changes("mis", Records::Patients(vec![told])).await;
}

async fn at(scene: &Scene, door: &str, later: i64) -> Reason {
    let source = clinic::policy::source(&scene.database, scene.at()).await.unwrap().unwrap();
    let policy = Policy::compile(source, 7).unwrap();
    let door = PointId::new(door).unwrap();
    let request = Request::new(&door, Direction::In, card_id("04000001"), NOW.plus_ms(later));
    decide(&policy, &Presence::new(&policy), &request).reason
}

#[tokio::test]
async fn an_appointment_opens_the_rooms_of_its_purpose_on_its_day_and_no_others() {
    for scene in scenes(|_| {}).await {
        asking(&scene).await;
        assert_eq!(at(&scene, "d1", 0).await, Reason::NoPurpose);
        assert_eq!(at(&scene, "d2", 0).await, Reason::ConditionMissing, "asked first");
        scene.changes("mis", Records::Purposes(vec![purpose("xray", &["room-1"])])).await;
        let with = AppointmentRecord { purpose: Some(reference("xray")), ..appointment("A-1", 6 * HOUR) };
        let version = scene.policy_version().await;
        let report = scene.changes("mis", Records::Appointments(vec![with.clone()])).await;
        assert_eq!(counts(&report), (1, 0, 0, 0, 0, 0), "{report:?}");
        assert!(scene.policy_version().await > version);
        assert_eq!(at(&scene, "d1", 0).await, Reason::Allowed, "the whole day");
        // NOW is 10:00 in Kyiv.
        assert_eq!(at(&scene, "d1", 14 * HOUR - 1).await, Reason::Allowed);
        assert_eq!(at(&scene, "d1", 14 * HOUR).await, Reason::NoPurpose, "until midnight there");
        assert_eq!(at(&scene, "d1", -10 * HOUR).await, Reason::Allowed);
        assert_eq!(at(&scene, "d1", -10 * HOUR - 1).await, Reason::NoPurpose);
        let version = scene.policy_version().await;
        assert_eq!(scene.changes("mis", Records::Appointments(vec![with.clone()])).await.unchanged, 1);
        assert_eq!(scene.policy_version().await, version);
        let off = AppointmentRecord { state: AppointmentState::Cancelled, ..with };
        scene.changes("mis", Records::Appointments(vec![off])).await;
        assert_eq!(at(&scene, "d1", 0).await, Reason::NoPurpose);
        // A room of its own, by the source's name of it.
        let place = WorkplaceRecord {
            id: reference("L-2"),
            changed: None,
            name: "Room 2".to_owned(),
            zone: Some(zone("room-2")),
            point: None,
            staff: None,
            active: true,
        };
        scene.changes("mis", Records::Workplaces(vec![place])).await;
        let there = AppointmentRecord { place: Some(Place::Workplace(reference("L-2"))), ..appointment("A-2", HOUR) };
        scene.changes("mis", Records::Appointments(vec![there])).await;
        assert_eq!(at(&scene, "d2", 0).await, Reason::ConditionMissing);
        let holds = |holds, until| ConditionRecord {
            person: alias("P-1"),
            condition: ConditionId::new("contract").unwrap(),
            changed: None,
            holds,
            from: None,
            until,
        };
        scene.changes("mis", Records::Conditions(vec![holds(true, Some(NOW.plus_ms(HOUR)))])).await;
        assert_eq!(at(&scene, "d2", 0).await, Reason::Allowed);
        assert_eq!(at(&scene, "d2", HOUR).await, Reason::ConditionMissing, "until it ends");
        scene.changes("mis", Records::Conditions(vec![holds(false, None)])).await;
        assert_eq!(at(&scene, "d2", 0).await, Reason::ConditionMissing);
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_appointment_is_said_by_its_place() {
    for scene in scenes(|_| {}).await {
        asking(&scene).await;
        let told = vec![
            AppointmentRecord { patient: alias("P-9"), ..appointment("A-1", 0) },
            AppointmentRecord { place: Some(Place::Zone(zone("attic"))), ..appointment("A-2", 0) },
            AppointmentRecord { ends: Some(NOW.plus_ms(-1)), ..appointment("A-3", 0) },
            AppointmentRecord { ends: Some(NOW.plus_ms(25 * HOUR)), ..appointment("A-4", 0) },
            appointment("A-5", 0),
        ];
        let report = scene.changes("mis", Records::Appointments(told)).await;
        let refused: Vec<_> = report.refused.iter().map(|it| (it.row, it.field, it.problem)).collect();
        let wrong = [
            (1, "patient", Problem::UnknownPerson),
            (2, "zone", Problem::UnknownZone),
            (3, "ends", Problem::Backwards),
            (4, "ends", Problem::Backwards),
        ];
        assert_eq!((refused.as_slice(), report.added), (wrong.as_slice(), 1));
        let whole = scene.told("mis", Records::Appointments(vec![]), Mode::Whole).await;
        assert_eq!(whole.ended, 1, "what a whole list does not mention is called off");
    }
}

#[tokio::test]
async fn cards_of_patients_work_around_their_appointments_where_the_clinic_wants_it_so() {
    let around = PatientPasses::Appointments { before_ms: HOUR, after_ms: 2 * HOUR };
    for scene in scenes(|settings| settings.patient_passes = around.clone()).await {
        let told = PatientRecord { cards: Some(vec![card("04000001")]), ..patient("P-1") };
        scene.changes("mis", Records::Patients(vec![told])).await;
        assert!(scene.pass("04000001").await.valid_until.is_some_and(|until| until <= NOW), "no appointment yet");
        let told = vec![appointment("A-1", 5 * HOUR), appointment("A-2", 30 * HOUR)];
        scene.changes("mis", Records::Appointments(told)).await;
        let pass = scene.pass("04000001").await;
        let window = (Some(NOW.plus_ms(4 * HOUR)), Some(NOW.plus_ms(32 * HOUR + HOUR / 2)));
        assert_eq!((pass.valid_from, pass.valid_until), window);
        let off = AppointmentRecord { state: AppointmentState::Cancelled, ..appointment("A-2", 30 * HOUR) };
        scene.changes("mis", Records::Appointments(vec![off])).await;
        assert_eq!(scene.pass("04000001").await.valid_until, Some(NOW.plus_ms(7 * HOUR + HOUR / 2)));
    }
}
