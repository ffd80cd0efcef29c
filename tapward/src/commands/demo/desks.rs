//! Workstations of the demo: who works at them, who is booked there today, and the code by which a browser becomes one.
//! Staff and appointments come as a feed of a medical system would bring them.

use clinic::acting::Acting;
use clinic::feeds::{
    Alias, AppointmentRecord, AppointmentState, Feeds, Mode, PatientRecord, Place, Records, Settings, SiteKeys, Source,
    StaffRecord,
};
use clinic::people::Reference;
use clinic::workstations::Workstations;
use controller_sim::{Person, Scenario};
use domain::{CategoryId, Clock, PointId, Shipped, UtcMillis, ZoneId};

use crate::config::Config;
use crate::{compose, keys};

/// What the feed is called.
const SOURCE: &str = "demo-mis";
/// Appointments of one specialist, and the minutes from one to the next.
pub(super) const BOOKED: usize = 24;
pub(super) const EVERY_MS: i64 = 15 * 60_000;

/// The workstation for which a code is made.
const SHOWN: &str = "workstation-101";
/// Categories whose people work at workstations, with what they are called there.
const WORKING: &[(&str, &str)] = &[("therapist", "therapy"), ("surgeon", "surgery"), ("doctor", "therapy")];

/// Puts the scenario's specialists among the staff at desks, and makes a one-time code for a workstation; `None` if the
/// scenario has no such workstation.
///
/// With a medical system beside the demo, appointments are that system's to tell.
pub async fn put(
    config: &Config,
    scenario: &Scenario,
    clock: &Clock,
    booked_elsewhere: bool,
) -> anyhow::Result<Option<String>> {
    let database = compose::open_database(config, clock, false).await?;
    let acting = Acting::console();
    tell(config, scenario, &database, clock, booked_elsewhere).await?;
    let point = PointId::new(SHOWN)?;
    let code = match scenario.plant.points.iter().any(|it| it.id == point) {
        true => {
            let workstations = Workstations::new(database.clone(), clock.clone());
            for (name, shown) in [(SHOWN, "Room 101"), ("workstation-102", "Room 102")] {
                workstations.rename(&acting, &PointId::new(name)?, shown).await?;
            }
            Some(workstations.make_code(&acting, &point).await?.reveal())
        }
        false => None,
    };
    database.close().await;
    Ok(code)
}

/// Tells who works at workstations, and a few hours of appointments with the two who work in rooms.
async fn tell(
    config: &Config,
    scenario: &Scenario,
    database: &store::Database,
    clock: &Clock,
    booked_elsewhere: bool,
) -> anyhow::Result<()> {
    let site = keys::site_keys(&config.data)?;
    let feeds = Feeds::new(
        database.clone(),
        clock.clone(),
        None,
        SiteKeys { card: site.card, seal: None },
        Settings::new(config.time_zone),
    );
    let (acting, source) = (Acting::console(), Source::new(SOURCE)?);
    let people = controller_sim::people(scenario);
    let mut staff = Vec::new();
    for person in &people {
        let (Some(specialty), Some(id)) = (specialty(scenario, person), Reference::new(&person.reference)) else {
            continue;
        };
        let category = scenario.categories.get(person.category).and_then(|it| CategoryId::new(&it.name).ok());
        staff.push(StaffRecord {
            role: Some(Shipped::Doctor),
            login: Some(person.reference.as_str().into()),
            specialty: Some(specialty.to_owned()),
            category,
            ..StaffRecord::new(id)
        });
    }
    let mut all = vec![Records::Staff(staff)];
    if !booked_elsewhere {
        all.extend(booked(scenario, &people, clock)?);
    }
    for records in all {
        let report = feeds.take(&acting, &source, records, Mode::Changes).await?;
        if let Some(refused) = report.refused.first() {
            tracing::warn!(refused = ?refused, "demo.feed.refused");
        }
    }
    Ok(())
}

/// The patients of the two who work in rooms, and their appointments.
fn booked(scenario: &Scenario, people: &[Person], clock: &Clock) -> anyhow::Result<[Records; 2]> {
    let of = |name: &'static str| people.iter().filter(move |it| is_of(scenario, it, name));
    let patients: Vec<Reference> =
        of("patient").take(2 * BOOKED).filter_map(|it| Reference::new(&it.reference)).collect();
    let category = CategoryId::new("patient").ok();
    let records = patients
        .iter()
        .map(|id| PatientRecord { category: category.clone(), ..PatientRecord::new(id.clone()) })
        .collect();
    let mut booked = Vec::new();
    let first = UtcMillis(clock.now().0 / EVERY_MS * EVERY_MS);
    for (place, (name, room)) in [("therapist", "room-101"), ("surgeon", "room-102")].into_iter().enumerate() {
        let Some(doctor) = of(name).find_map(|it| Reference::new(&it.reference)) else { continue };
        for (turn, patient) in patients.iter().skip(place).step_by(2).enumerate() {
            let starts = first.plus_ms(EVERY_MS * i64::try_from(turn)?);
            booked.push(AppointmentRecord {
                id: Reference::new(&format!("{room}-{}", starts.0 / EVERY_MS)).unwrap_or_else(|| patient.clone()),
                changed: None,
                patient: Alias::own(patient.clone()),
                staff: Some(Alias::own(doctor.clone())),
                place: Some(Place::Zone(ZoneId::new(room)?)),
                purpose: None,
                starts,
                ends: Some(starts.plus_ms(EVERY_MS)),
                state: AppointmentState::Booked,
            });
        }
    }
    Ok([Records::Patients(records), Records::Appointments(booked)])
}

pub(super) fn is_of(scenario: &Scenario, person: &Person, category: &str) -> bool {
    scenario.categories.get(person.category).is_some_and(|it| it.name == category)
}

/// What somebody is called at a workstation; `None` for who does not work at one.
pub(super) fn specialty(scenario: &Scenario, person: &Person) -> Option<&'static str> {
    let category = scenario.categories.get(person.category)?;
    WORKING.iter().find(|(name, _)| *name == category.name).map(|(_, specialty)| *specialty)
}
