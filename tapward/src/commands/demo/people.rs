//! The people of the demo: passes, names and papers before the programs start, drawn faces while they run. All of it goes
//! the way that a clinic's data would go: through the import of people and through the vault.

use std::io::Cursor;

use anyhow::anyhow;
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::people::Reference;
use clinic::vault::{Consent, LOAD_MAX, Vault};
use controller_sim::identity::{Identity, Script, identity};
use controller_sim::portrait::portrait;
use controller_sim::{Person, Scenario};
use domain::vault::{BirthDate, Contact, ContactKind, Document, DocumentKind, Names, Passport, PassportChange};
use domain::{Clock, PersonId};
use store::Database;

use crate::config::Config;
use crate::{commands, compose, vault};

/// Of so many persons one has no photograph: not everybody consents, and pages must look well without.
const ONE_WITHOUT_PHOTO: usize = 12;

/// Imports the scenario's people, as `tapward people import` would, and puts into the vault who they are. Whoever is
/// there already is left as they are.
pub async fn put(config: &Config, scenario: &Scenario, clock: &Clock) -> anyhow::Result<()> {
    let database = compose::open_database(config, clock, true).await?;
    let csv = controller_sim::people_csv(scenario);
    let how = commands::people::How { dry_run: false, numbers: commands::people::told_numbers(config) };
    let report = commands::people::import_file(config, &database, Cursor::new(csv), how, clock).await;
    let named = match report?.errors.first() {
        None => name_people(config, &database, scenario, clock).await,
        Some(error) => Err(anyhow!("the demo's people were not imported: {error}")),
    };
    database.close().await;
    named
}

async fn name_people(config: &Config, database: &Database, scenario: &Scenario, clock: &Clock) -> anyhow::Result<()> {
    let vault = vault::open(config, database, clock).await?;
    if vault.local_state().await?.by_server > 0 {
        return Ok(());
    }
    let mut batch = Vec::new();
    for person in controller_sim::people(scenario) {
        let Some(who) = identity(scenario, &person, script(config)) else { continue };
        let Some(id) = find(database, &person).await? else { continue };
        batch.push((id, passport(&who).into()));
    }
    for part in batch.chunks(LOAD_MAX) {
        let part: Vec<(PersonId, PassportChange)> = part.to_vec();
        vault.load(&Acting::console(), part, Purpose::PassIssue).await?;
    }
    Ok(())
}

/// Draws the faces of those who have none yet, in the order in which people come, a few at a time beside the simulated
/// day. A failure is told once and ends the drawing.
pub async fn draw_faces(config: &Config, scenario: &Scenario, clock: &Clock) {
    match try_draw_faces(config, scenario, clock).await {
        Ok(0) => {}
        Ok(drawn) => tracing::info!(drawn, "demo.faces"),
        Err(error) => tracing::warn!(error = %error, "demo.faces.ended"),
    }
}

async fn try_draw_faces(config: &Config, scenario: &Scenario, clock: &Clock) -> anyhow::Result<usize> {
    let database = compose::open_database(config, clock, false).await?;
    let vault = vault::open(config, &database, clock).await?;
    let mut drawn = 0;
    for (place, person) in in_order_of_coming(scenario).into_iter().enumerate() {
        if place % ONE_WITHOUT_PHOTO == ONE_WITHOUT_PHOTO - 1 {
            continue;
        }
        let Some(who) = identity(scenario, &person, script(config)) else { continue };
        let Some(id) = find(&database, &person).await? else { continue };
        drawn += usize::from(draw_face(&vault, id, &who, clock).await?);
    }
    Ok(drawn)
}

/// Whether there was none yet.
async fn draw_face(vault: &Vault, person: PersonId, who: &Identity, clock: &Clock) -> anyhow::Result<bool> {
    let acting = Acting::console();
    if matches!(vault.photo_of(&acting, person).await?, Consent::Given(_)) {
        return Ok(false);
    }
    let look = who.look();
    let file = tokio::task::spawn_blocking(move || portrait(&look)).await??;
    vault.put_photo(&acting, person, file, Some(clock.now())).await?;
    Ok(true)
}

/// The scenario sends the people of each category in their order; so does this, one of each in turn.
fn in_order_of_coming(scenario: &Scenario) -> Vec<Person> {
    let mut people = controller_sim::people(scenario);
    let mut place = vec![0_usize; scenario.categories.len()];
    let mut turns: Vec<usize> = Vec::with_capacity(people.len());
    for person in &people {
        let turn = place.get_mut(person.category);
        turns.push(turn.map_or(usize::MAX, |turn| {
            *turn += 1;
            *turn
        }));
    }
    let mut turns = turns.into_iter();
    people.sort_by_cached_key(|_| turns.next().unwrap_or(usize::MAX));
    people
}

async fn find(database: &Database, person: &Person) -> anyhow::Result<Option<PersonId>> {
    let Some(reference) = Reference::new(&person.reference) else { return Ok(None) };
    Ok(clinic::people::find(database, &reference).await?)
}

/// Names in the letters of those who will read them.
fn script(config: &Config) -> Script {
    if config.dashboard.language == "ru" { Script::Cyrillic } else { Script::Latin }
}

fn passport(who: &Identity) -> Passport {
    let contact = |kind, value: &str| Contact { kind, value: value.into() };
    Passport {
        names: Names::new(&who.family, &who.given, &who.middle),
        birth_date: BirthDate::parse(&who.birth_date()),
        documents: vec![Document {
            kind: DocumentKind::Passport,
            number: who.document.as_str().into(),
            issued: "".into(),
        }],
        contacts: vec![contact(ContactKind::Phone, &who.phone), contact(ContactKind::Email, &who.email)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_are_drawn_one_of_each_kind_in_turn_and_nobody_is_left_out() {
        let scenario = Scenario::demo();
        let order = in_order_of_coming(&scenario);
        assert_eq!(order.len(), controller_sim::people(&scenario).len());
        let first: std::collections::HashSet<usize> = order[..6].iter().map(|person| person.category).collect();
        assert_eq!(first.len(), 6, "the first of each category come first");
    }

    #[test]
    fn what_the_demo_invents_is_what_the_vault_takes() {
        let scenario = Scenario::demo();
        let today = chrono::NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        for person in controller_sim::people(&scenario) {
            for script in [Script::Latin, Script::Cyrillic] {
                let Some(who) = identity(&scenario, &person, script) else { continue };
                let passport = passport(&who);
                assert!(passport.birth_date.is_some());
                PassportChange::from(passport).check(today).unwrap();
            }
        }
    }
}
