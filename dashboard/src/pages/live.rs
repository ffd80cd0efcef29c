//! The live page of a post: the last attempt, who passes, the state of its points, who is inside.

mod attempt;
mod stream;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::events::{self, Event, Filter};
use clinic::roles::Reach;
use clinic::watch;
use domain::{Draft, Kind, Permission, PointId};

pub use attempt::{Banner, Row, sub_of};
pub use stream::stream;

use crate::faces::Faces;
use crate::fault::Fault;
use crate::pages::devices::grouped;
use crate::pages::query::Query;
use crate::post::{self, Facts, Inside, PointTile};
use crate::routes;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::{Place, is_told_late, label, place_of};

/// Rows shown at first and kept by the page.
const ROWS: usize = 40;
/// Events read to fill them: most attempts are two events, and some belong to other points.
const EVENTS_READ: u32 = 400;
/// Points that one post can choose.
const POINTS_MAX: usize = 64;

#[derive(Template)]
#[template(path = "live.html")]
struct Page {
    frame: Frame,
    /// The number of the last event on the page; the stream goes on from there.
    after: u64,
    stream: String,
    rows: Vec<Row>,
    banner: Option<Banner>,
    post: Post,
    choices: Vec<Choice>,
    chosen_name: Option<String>,
    rows_max: usize,
    newest_ms: i64,
}

struct Choice {
    id: String,
    name: String,
    is_chosen: bool,
}

/// The panel beside the table.
#[derive(Template, PartialEq)]
#[template(path = "part/post.html")]
pub struct Post {
    pub x: crate::language::Texts,
    pub tiles: Vec<PointTile>,
    pub inside: Option<Inside>,
}

/// `GET /`: the first place that one may open.
pub async fn home(visit: Visit) -> Response {
    let first = visit.rights().and_then(|rights| routes::places(rights).next());
    go(first.map_or("/me", |(_, path)| path))
}

/// The points of this post; repeated, `?point=a&point=b`.
pub fn chosen(query: &Query) -> Vec<PointId> {
    query.all("point").filter_map(|text| PointId::new(text).ok()).take(POINTS_MAX).collect()
}

/// How far somebody sees: at which points things are shown, and in which zones who is inside.
pub struct Sight {
    points: Reach,
    zones: Option<Reach>,
}

impl Sight {
    /// What the one who is signed in may see now.
    pub async fn of(visit: &Visit) -> Result<Self, Fault> {
        let rights = &visit.signed_in()?.rights;
        let points = watch::reach(&visit.app.database, &visit.acting()?, Permission::LiveWatch).await?;
        let zones = match rights.allows(Permission::PresenceSee) {
            true => Some(watch::reach(&visit.app.database, &visit.acting()?, Permission::PresenceSee).await?),
            false => None,
        };
        Ok(Self { points, zones })
    }

    /// Whether there is anything out of sight.
    pub fn is_limited(&self) -> bool {
        self.points != Reach::Everywhere || self.zones.as_ref().is_some_and(|zones| *zones != Reach::Everywhere)
    }

    /// Whether an event is in sight.
    pub fn has(&self, event: &Event) -> bool {
        self.points.has(event.entry.fact.point.as_ref())
    }

    /// The facts of the panel that are in sight.
    pub fn of_facts(&self, facts: &Facts) -> Facts {
        facts.within(&self.points, self.zones.as_ref())
    }
}

/// `GET /live`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let chosen = chosen(&query);
    let (database, acting) = (&visit.app.database, visit.acting()?);
    let sight = Sight::of(&visit).await?;
    // First where the stream will go on, then what is there already: nothing falls between.
    let after = events::last_id(database).await?;
    let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| place_of(*kind) != Place::Quiet).collect();
    let point = if let [only] = chosen.as_slice() { Some(only.clone()) } else { None };
    let filter = Filter { kinds, point, ..Filter::default() };
    let found = watch::lately(database, &acting, &filter, EVENTS_READ).await?;
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    let newest_ms = found.events.iter().map(|event| event.entry.fact.at.0).max().unwrap_or(0);
    let mut past: Vec<_> = found.events.into_iter().filter(|event| event.id <= after).collect();
    past.retain(|event| attempt::is_of_post(event, &chosen));
    past.sort_by_key(|event| event.id);
    let persons = attempt::persons_shown(&past, ROWS);
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Checkpoint).await?;
    let rows = attempt::fold(&past, &faces, &texts, &times, ROWS);
    let is_large = |fact: &Draft| place_of(fact.kind) != Place::Quiet && !is_told_late(fact);
    let banner = past.iter().rev().find(|event| is_large(&event.entry.fact));
    let banner = banner.map(|event| Banner::new(event, &faces, &texts, &times));
    let facts = sight.of_facts(&post::read(database, now).await?);
    let choices: Vec<Choice> = facts
        .points()
        .into_iter()
        .map(|point| Choice { name: label(point.as_str()), is_chosen: chosen.contains(&point), id: point.to_string() })
        .collect();
    let chosen_name = match chosen.as_slice() {
        [] => None,
        [only] => Some(label(only.as_str())),
        several => Some(texts.n("points-count", several.len())),
    };
    let stream = chosen.iter().map(|point| format!("&point={point}")).collect::<String>();
    let stream = format!("/live/stream?{}", stream.trim_start_matches('&'));
    let post = Post { x: texts, tiles: facts.tiles(&chosen, now, &times, &texts), inside: facts.inside(&texts) };
    let frame = Frame::new(&visit, "live");
    let page = Page { frame, after, stream, rows, banner, post, choices, chosen_name, rows_max: ROWS, newest_ms };
    render(StatusCode::OK, &page)
}

impl Post {
    fn group(&self, persons: &u64) -> String {
        grouped(*persons)
    }
}
