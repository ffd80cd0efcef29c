//! Who is inside, by zone: counts, and pseudonyms.

use axum::response::Response;
use clinic::disclosures::Class;
use clinic::watch;
use domain::{Field, ZoneId};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::describe::{Form, Operation, Parameter, Shape};
use super::problem::Problem;
use super::pulls::{self, Pull};

/// Persons of one answer at most.
const PERSONS_MAX: u32 = 5000;

/// How many are where.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Occupancy {
    /// Zones with anybody in them, by name.
    zones: Vec<ZoneOccupancy>,
}

/// How many are in one zone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneOccupancy {
    /// The zone.
    zone: String,
    /// Persons directly in it; those in zones inside it are counted there.
    persons: u64,
    /// The same by category, for keys that see it; persons whose card is no longer registered have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<CategoryOccupancy>>,
}

/// How many of one category.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryOccupancy {
    /// The category.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    /// Persons.
    persons: u64,
}

/// Who is in a zone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Inside {
    /// The zone.
    zone: String,
    /// Persons directly in it, latest first; at most 5000.
    persons: Vec<PersonInside>,
}

/// Somebody inside.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonInside {
    /// The pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    person: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
}

pub const OCCUPANCY: Operation =
    Operation::reads("presence", "presence", "How many are inside, by zone", Shape::of::<Occupancy>());

pub const INSIDE: Operation = Operation {
    parameters: &[Parameter::path("zone", Form::Name, "The zone.")],
    ..Operation::reads("presence_in_zone", "presence", "Who is in a zone, by pseudonym", Shape::of::<Inside>())
};

/// `GET /api/v1/presence`
pub async fn occupancy(call: Call) -> Result<Response, Problem> {
    let shows_category = call.acting()?.rights.shows(Field::Category);
    let mut zones: Vec<ZoneOccupancy> = Vec::new();
    for count in watch::counts(&call.app.database, call.acting()?).await? {
        let zone = count.zone.to_string();
        if zones.last().is_none_or(|last| last.zone != zone) {
            zones.push(ZoneOccupancy { zone, persons: 0, categories: shows_category.then(Vec::new) });
        }
        if let Some(last) = zones.last_mut() {
            last.persons += count.persons;
            if let Some(categories) = &mut last.categories {
                let category = count.category.map(|category| category.to_string());
                categories.push(CategoryOccupancy { category, persons: count.persons });
            }
        }
    }
    ok(&Occupancy { zones })
}

/// `GET /api/v1/presence/{zone}`
pub async fn inside(call: Call) -> Result<Response, Problem> {
    let zone: ZoneId = call.given("zone")?;
    let found = watch::inside(&call.app.database, call.acting()?, &zone, PERSONS_MAX).await?;
    let persons = found.iter().map(|present| present.person).collect();
    let pull = Pull { records: found.len(), persons, ..Pull::default() };
    pulls::register(&call, Class::LocationTrace, pull).await?;
    let persons = found.into_iter();
    let persons =
        persons.map(|present| PersonInside { person: present.person.to_string(), since: present.since.to_rfc3339() });
    ok(&Inside { zone: zone.to_string(), persons: persons.collect() })
}
