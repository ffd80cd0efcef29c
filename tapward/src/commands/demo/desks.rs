//! Workstations of the demo: who works at them, and the code by which a browser becomes one. All of it by the commands
//! that a technician would use on the pages.

use clinic::acting::Acting;
use clinic::staff::{self, Staff};
use clinic::workstations::Workstations;
use controller_sim::{Person, Scenario};
use domain::{Clock, PointId, Shipped};

use super::people::find;
use crate::compose;
use crate::config::Config;

/// The workstation for which a code is made.
const SHOWN: &str = "workstation-101";
/// Categories whose people work at workstations, with what they are called there.
const WORKING: &[(&str, &str)] = &[("therapist", "therapy"), ("surgeon", "surgery"), ("doctor", "therapy")];

/// Puts the scenario's specialists among the staff at desks, and makes a one-time code for a workstation; `None` if the
/// scenario has no such workstation.
pub async fn put(config: &Config, scenario: &Scenario, clock: &Clock) -> anyhow::Result<Option<String>> {
    let database = compose::open_database(config, clock, false).await?;
    let acting = Acting::console();
    for person in controller_sim::people(scenario) {
        let Some(specialty) = specialty(scenario, &person) else { continue };
        let Some(id) = find(&database, &person).await? else { continue };
        if staff::by_person(&database, id).await?.is_some() {
            continue;
        }
        let member = Staff {
            login: Some(person.reference.clone()),
            specialty: Some(specialty.to_owned()),
            ..Staff::new(id, Shipped::Doctor)
        };
        staff::put(&database, &acting, &member, clock.now()).await?;
    }
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

/// What somebody is called at a workstation; `None` for who does not work at one.
fn specialty(scenario: &Scenario, person: &Person) -> Option<&'static str> {
    let category = scenario.categories.get(person.category)?;
    WORKING.iter().find(|(name, _)| *name == category.name).map(|(_, specialty)| *specialty)
}
