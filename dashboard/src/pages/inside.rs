//! Who is inside, zone by zone: a list to look at, to take away and to print for a muster. With names for those whose
//! role shows them, by pseudonym for others; one look at all of them is in the audit log.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::presence::Present;
use clinic::{people, watch};
use domain::{Field, Permission, ZoneId};

use crate::csv::Csv;
use crate::faces::{Face, Faces};
use crate::fault::Fault;
use crate::pages::devices::grouped;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::{self, label, short_id};

/// People listed of one zone; the count says when there are more.
const ZONE_MAX: u32 = 500;
/// People listed at all: what one look of the vault and one page can hold.
const LIST_MAX: usize = 2000;

#[derive(Template)]
#[template(path = "inside.html")]
struct Page {
    frame: Frame,
    zones: Vec<Zone>,
    choices: Vec<(String, String, bool)>,
    total: String,
    is_empty: bool,
    is_cut: bool,
    locked: Option<String>,
    has_names: bool,
    has_photos: bool,
    export: String,
    at: String,
}

struct Zone {
    name: String,
    count: String,
    people: Vec<Line>,
    categories: Vec<(String, String)>,
}

struct Line {
    face: Option<Face>,
    who: String,
    sub: String,
    since: String,
    ago: String,
    link: Option<String>,
}

/// Zone, how many, how many of each category, and who.
type InZone = (ZoneId, u64, Vec<(Option<String>, u64)>, Vec<Present>);

/// Everybody in sight, by zone.
struct Seen {
    zones: Vec<InZone>,
    faces: Faces,
    is_cut: bool,
}

async fn look(visit: &Visit, only: Option<&str>) -> Result<Seen, Fault> {
    let (acting, database) = (visit.acting()?, &visit.app.database);
    let mut counts: BTreeMap<ZoneId, Vec<(Option<String>, u64)>> = BTreeMap::new();
    for count in watch::counts(database, &acting).await? {
        if only.is_none_or(|only| count.zone.as_str() == only) {
            let category = count.category.map(|category| category.to_string());
            counts.entry(count.zone).or_default().push((category, count.persons));
        }
    }
    let (mut zones, mut listed, mut is_cut) = (Vec::new(), 0, false);
    for (zone, categories) in counts {
        let total: u64 = categories.iter().map(|(_, persons)| persons).sum();
        let mut present = watch::inside(database, &acting, &zone, ZONE_MAX).await?;
        present.truncate(LIST_MAX - listed);
        is_cut |= (present.len() as u64) < total;
        listed += present.len();
        zones.push((zone, total, categories, present));
    }
    let mut everybody = Vec::with_capacity(listed);
    for (_, _, _, present) in &zones {
        everybody.extend(present.iter().map(|one: &Present| one.person));
    }
    let faces = Faces::look(&visit.app, &acting, everybody, Purpose::Checkpoint).await?;
    Ok(Seen { zones, faces, is_cut })
}

/// `GET /inside`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, texts, times, now) = (visit.acting()?, visit.texts(), visit.times(), visit.app.now());
    let only = query.one("zone");
    let all = watch::counts(&visit.app.database, &acting).await?;
    let mut names: Vec<String> = all.iter().map(|count| count.zone.to_string()).collect();
    names.sort();
    names.dedup();
    let seen = look(&visit, only).await?;
    let shows = |field| acting.rights.shows(field);
    let total: u64 = seen.zones.iter().map(|(_, total, ..)| total).sum();
    let mut zones = Vec::with_capacity(seen.zones.len());
    for (zone, count, categories, present) in &seen.zones {
        let mut lines = Vec::with_capacity(present.len());
        for one in present {
            let face = seen.faces.get(Some(one.person)).cloned();
            let name = face.as_ref().and_then(|face| face.name.clone());
            let id = one.person.to_string();
            lines.push(Line {
                sub: name.as_ref().map(|_| short_id(&id)).unwrap_or_default(),
                who: name.unwrap_or_else(|| short_id(&id)),
                face,
                since: times.clock(one.since),
                ago: times.span(now.since_ms(one.since)),
                link: acting.rights.allows(Permission::PersonSee).then(|| format!("/people/{id}?for=checkpoint")),
            });
        }
        if shows(Field::Name) {
            lines.sort_by_key(|line| line.who.to_lowercase());
        }
        let of_category =
            |category: &Option<String>| category.as_deref().map_or_else(|| texts.t("category-none"), label);
        zones.push(Zone {
            name: label(zone.as_str()),
            count: grouped(*count),
            people: lines,
            categories: match shows(Field::Category) {
                true => categories.iter().map(|(name, n)| (of_category(name), grouped(*n))).collect(),
                false => Vec::new(),
            },
        });
    }
    let page = Page {
        frame: Frame::new(&visit, "inside"),
        is_empty: zones.is_empty(),
        zones,
        choices: names.into_iter().map(|id| (id.clone(), label(&id), Some(id.as_str()) == only)).collect(),
        total: grouped(total),
        is_cut: seen.is_cut,
        locked: if shows(Field::Name) { words::locked(&visit.app.vault.state(), &texts) } else { None },
        has_names: shows(Field::Name),
        has_photos: shows(Field::Photo),
        export: format!("/inside.csv{}", Query::default().with("zone", only)),
        at: times.full(now),
    };
    render(StatusCode::OK, &page)
}

/// `GET /inside.csv`: the same as a file; a disclosure of where everybody on it is.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, times) = (visit.acting()?, visit.times());
    let seen = look(&visit, query.one("zone")).await?;
    let has_names = acting.rights.shows(Field::Name);
    let classes: &[Class] = if has_names { &[Class::LocationTrace, Class::Identity] } else { &[Class::LocationTrace] };
    let mut disclosure = Disclosure::export(&acting, "/inside.csv", classes);
    disclosure.persons = seen.zones.iter().flat_map(|(.., present)| present.iter().map(|one| one.person)).collect();
    disclosure.records = disclosure.persons.len() as u64;
    disclosure.fields = if has_names { vec![Field::Name] } else { Vec::new() };
    let (database, now) = (&visit.app.database, visit.app.now());
    disclosures::register(database, &acting, disclosure, Some(Purpose::Checkpoint), now).await?;
    let mut csv = Csv::new(&["zone", "person", "name", "category", "since"]);
    for (zone, _, _, present) in &seen.zones {
        for one in present {
            let category = match (acting.rights.shows(Field::Category), one.card) {
                (true, Some(card)) => people::pass(database, card).await?.map(|pass| pass.category.to_string()),
                _ => None,
            };
            csv.row(&[
                zone.to_string(),
                one.person.to_string(),
                seen.faces.name(Some(one.person)).unwrap_or_default().to_owned(),
                category.unwrap_or_default(),
                times.exact(one.since),
            ]);
        }
    }
    Ok(csv.into_response("inside.csv"))
}
