//! How rooms were used on a day: a line for each room, a block for each visit, drawn here as SVG with the table behind it.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::whereabouts::{self, Rooms};
use domain::{PersonId, UtcMillis, ZoneId};

use super::{Span, faces_of, span_of, told, who};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::label;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// The picture: names at the left, the day, the share at the right. Numbers of the drawing, not of the screen.
const WIDTH: i64 = 1080;
const LEFT: i64 = 150;
const RIGHT: i64 = 1000;
const ROW: i64 = 34;
const TOP: i64 = 28;
/// Rooms drawn.
const ROOMS_MAX: usize = 60;
/// Visits in the table.
const TABLE_MAX: usize = 400;

#[derive(Template)]
#[template(path = "visits/rooms.html")]
struct Page {
    frame: Frame,
    finding: String,
    day: String,
    max_day: String,
    zone: String,
    export: String,
    width: i64,
    height: i64,
    hours: Vec<(i64, String)>,
    foot: i64,
    lines: Vec<Line>,
    now: Option<i64>,
    rooms: Vec<RoomRow>,
    rows: Vec<Row>,
    is_cut: bool,
    is_empty: bool,
}

struct Line {
    y: i64,
    text_y: i64,
    name: String,
    share: String,
    blocks: Vec<Block>,
}

struct Block {
    x: i64,
    y: i64,
    width: i64,
    title: String,
    is_running: bool,
}

struct RoomRow {
    name: String,
    visits: u64,
    occupied: i64,
    staffed: i64,
    share: String,
}

struct Row {
    room: String,
    from: String,
    until: String,
    patient: String,
    staff: String,
}

async fn read(visit: &Visit, query: &Query, span: &Span) -> Result<Rooms, Fault> {
    let now = visit.app.now();
    let zone = match query.one("zone") {
        Some(text) => Some(ZoneId::new(text).map_err(|_| Fault::Invalid)?),
        None => None,
    };
    let (database, acting) = (&visit.app.database, visit.acting()?);
    Ok(whereabouts::rooms(database, &acting, zone.as_ref(), span.from, span.until, now).await?)
}

/// `75 %`, or a dash where nobody was bound to a workstation there.
fn share(thousandths: Option<i64>) -> String {
    thousandths.map_or_else(|| "—".to_owned(), |n| format!("{} %", (n + 5) / 10))
}

/// `GET /visits/rooms`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    let only_day = Query::read(query.with("days", None).trim_start_matches('?'));
    let span = span_of(&visit, &only_day);
    let rooms = read(&visit, &query, &span).await?;
    let persons: Vec<PersonId> = rooms.occupied.iter().take(TABLE_MAX).flat_map(|it| [it.patient, it.staff]).collect();
    let faces = faces_of(&visit, persons, Purpose::Maintenance).await?;
    let is_today = (span.from..span.until).contains(&now);
    let (begin, end) = hours_of(&rooms, &span, now);
    let x = |at: UtcMillis| {
        let at = at.0.clamp(begin.0, end.0);
        LEFT + (RIGHT - LEFT) * (at - begin.0) / (end.0 - begin.0).max(1)
    };
    let mut lines = Vec::new();
    let mut by_room: BTreeMap<&ZoneId, Vec<&whereabouts::Occupied>> = BTreeMap::new();
    for one in &rooms.occupied {
        by_room.entry(&one.zone).or_default().push(one);
    }
    for (n, room) in rooms.rooms.iter().take(ROOMS_MAX).enumerate() {
        let y = TOP + ROW * i64::try_from(n).unwrap_or(0);
        let blocks = by_room.get(&room.zone).into_iter().flatten().map(|one| {
            let until = one.until.unwrap_or(now);
            let said = format!(
                "{}–{} · {} · {}",
                clock(&times, one.from),
                one.until.map_or_else(|| texts.t("day-running"), |at| clock(&times, at)),
                who(&faces, one.patient),
                who(&faces, one.staff)
            );
            let from = x(one.from);
            Block { x: from, y: y + 5, width: (x(until) - from).max(3), title: said, is_running: one.until.is_none() }
        });
        lines.push(Line {
            y,
            text_y: y + 22,
            name: label(room.zone.as_str()),
            share: share(room.used_in_thousandths()),
            blocks: blocks.collect(),
        });
    }
    let mut hours = Vec::new();
    let mut at = begin;
    while at <= end {
        hours.push((x(at), clock(&times, at).chars().take(2).collect()));
        at = at.plus_ms(HOUR_MS);
    }
    let height = TOP + ROW * i64::try_from(lines.len()).unwrap_or(0) + 6;
    let (year, month, day) = times.date(now);
    let page = Page {
        frame: Frame::new(&visit, "visits-rooms"),
        finding: finding(&texts, &rooms),
        zone: query.one("zone").unwrap_or_default().to_owned(),
        export: format!("/visits/rooms.csv{}", query.with("days", None)),
        width: WIDTH,
        height,
        foot: height - 4,
        hours,
        now: is_today.then(|| x(now)),
        rooms: rooms
            .rooms
            .iter()
            .map(|room| RoomRow {
                name: label(room.zone.as_str()),
                visits: room.visits,
                occupied: room.occupied_ms / MINUTE_MS,
                staffed: room.staffed_ms / MINUTE_MS,
                share: share(room.used_in_thousandths()),
            })
            .collect(),
        rows: rooms
            .occupied
            .iter()
            .take(TABLE_MAX)
            .map(|one| Row {
                room: label(one.zone.as_str()),
                from: clock(&times, one.from),
                until: one.until.map_or_else(|| texts.t("day-running"), |at| clock(&times, at)),
                patient: who(&faces, one.patient),
                staff: who(&faces, one.staff),
            })
            .collect(),
        is_cut: rooms.is_cut || rooms.occupied.len() > TABLE_MAX,
        is_empty: rooms.rooms.is_empty(),
        max_day: format!("{year:04}-{month:02}-{day:02}"),
        day: span.day,
        lines,
    };
    render(StatusCode::OK, &page)
}

fn clock(times: &crate::times::Times, at: UtcMillis) -> String {
    times.clock(at).chars().take(5).collect()
}

/// The hours that are drawn: from the first visit's hour to the last's, at least eight.
fn hours_of(rooms: &Rooms, span: &Span, now: UtcMillis) -> (UtcMillis, UtcMillis) {
    let first = rooms.occupied.iter().map(|one| one.from.0).min().unwrap_or(span.from.0 + 8 * HOUR_MS).max(span.from.0);
    let last = rooms.occupied.iter().map(|one| one.until.unwrap_or(now).0).max().unwrap_or(first).min(span.until.0);
    // Hours of the day's own beginning, so that lines stand at full hours of the clinic.
    let begin = span.from.0 + (first - span.from.0).max(0) / HOUR_MS * HOUR_MS;
    let end = span.from.0 + ((last - span.from.0).max(0) / HOUR_MS + 1) * HOUR_MS;
    (UtcMillis(begin), UtcMillis(end.max(begin + 8 * HOUR_MS).min(span.until.0.max(begin + HOUR_MS))))
}

/// The finding in one sentence: the most and the least used room.
fn finding(texts: &Texts, rooms: &Rooms) -> String {
    let mut shares: Vec<(i64, String)> =
        rooms.rooms.iter().filter_map(|room| Some((room.used_in_thousandths()?, label(room.zone.as_str())))).collect();
    shares.sort();
    match (shares.first(), shares.last()) {
        (Some((low, least)), Some((high, most))) if shares.len() > 1 => texts.with(
            "rooms-finding",
            &[
                ("most", most.clone()),
                ("high", share(Some(*high))),
                ("least", least.clone()),
                ("low", share(Some(*low))),
            ],
        ),
        (Some((only, room)), _) => {
            texts.with("rooms-finding-one", &[("most", room.clone()), ("high", share(Some(*only)))])
        }
        _ => texts.t("rooms-none-title"),
    }
}

/// `GET /visits/rooms.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let span = span_of(&visit, &Query::read(query.with("days", None).trim_start_matches('?')));
    let rooms = read(&visit, &query, &span).await?;
    let persons: Vec<PersonId> = rooms.occupied.iter().flat_map(|one| [one.patient, one.staff]).collect();
    let faces = faces_of(&visit, persons.clone(), Purpose::Maintenance).await?;
    told(&visit, "/visits/rooms.csv", persons, rooms.occupied.len()).await?;
    let used: HashMap<&ZoneId, String> =
        rooms.rooms.iter().map(|room| (&room.zone, share(room.used_in_thousandths()))).collect();
    let times = visit.times();
    let mut csv =
        Csv::new(&["room", "workstation", "from", "until", "patient", "patient_name", "staff", "staff_name", "used"]);
    for one in &rooms.occupied {
        csv.row(&[
            one.zone.to_string(),
            one.workstation.to_string(),
            times.exact(one.from),
            one.until.map(|at| times.exact(at)).unwrap_or_default(),
            one.patient.to_string(),
            faces.name(Some(one.patient)).unwrap_or_default().to_owned(),
            one.staff.to_string(),
            faces.name(Some(one.staff)).unwrap_or_default().to_owned(),
            used.get(&one.zone).cloned().unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("rooms.csv"))
}
