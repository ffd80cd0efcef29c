//! The demo with GNU Health beside it: what the configuration says of it, and the people whom it is to know.

use std::path::Path;

use anyhow::Context;
use chrono::DateTime;
use controller_sim::identity::{Script, identity};
use controller_sim::{Person, Scenario};
use domain::Clock;
use serde_json::{Value, json};

use super::desks::{BOOKED, EVERY_MS, is_of, specialty};
use super::till;

/// The user as whom it is read.
const READER: &str = "tapward";

/// The sections of the configuration.
pub fn configuration(url: &str, listen: &str) -> String {
    format!(
        "[identity]\naddress = {:?}\npatient_system = \"gnuhealth\"\n\
         [[system]]\nname = \"gnuhealth\"\nkind = \"gnuhealth\"\nurl = {url:?}\ndatabase = \"health\"\n\
         login = \"{READER}\"\nservice = \"CONSULT\"\nread_every_s = 5\n",
        format!("https://{listen}")
    )
}

/// Writes whom and what `deploy/gnuhealth/seed.py` puts there: products for the services of the till, specialists, the patients that they see in their rooms,
/// and the appointments of the next hours.
pub fn write_people(file: &Path, scenario: &Scenario, clock: &Clock) -> anyhow::Result<()> {
    let people = controller_sim::people(scenario);
    let row = |person: &Person| -> Option<Value> {
        let who = identity(scenario, person, Script::Latin)?;
        Some(json!({
            "ref": person.reference, "login": person.reference, "given": who.given, "family": who.family,
            "birth": who.birth_date(),
        }))
    };
    let doctors: Vec<Value> =
        people.iter().filter(|person| specialty(scenario, person).is_some()).filter_map(row).collect();
    let patients: Vec<&Person> =
        people.iter().filter(|person| is_of(scenario, person, "patient")).take(2 * BOOKED).collect();
    let first = clock.now().0 / EVERY_MS * EVERY_MS;
    let mut appointments = Vec::new();
    for (place, name) in ["therapist", "surgeon"].into_iter().enumerate() {
        let Some(doctor) = people.iter().find(|person| is_of(scenario, person, name)) else { continue };
        for (turn, patient) in patients.iter().skip(place).step_by(2).enumerate() {
            let at = DateTime::from_timestamp_millis(first + EVERY_MS * i64::try_from(turn)?).unwrap_or_default();
            appointments.push(json!({
                "patient": patient.reference, "doctor": doctor.reference, "at": at.format("%Y-%m-%dT%H:%M:%S").to_string(),
            }));
        }
    }
    let all = json!({
        "institution": "Demo clinic", "readers": [READER], "doctors": doctors,
        "products": till::SERVICES.iter().map(|it| json!({ "code": it.0, "name": it.1 })).collect::<Vec<_>>(),
        "patients": patients.iter().filter_map(|person| row(person)).collect::<Vec<_>>(), "appointments": appointments,
    });
    std::fs::write(file, all.to_string()).with_context(|| format!("{} cannot be written", file.display()))
}
