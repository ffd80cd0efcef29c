//! Who was with whom: specialists at the left, patients at the right, a line for each pair, as thick as they met often.
//! Drawn here as SVG, with the table behind it; by pseudonym unless the role shows names.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::whereabouts::{self, Edge, Graph, Part};
use domain::PersonId;

use super::{Span, faces_of, span_of, told, who};
use crate::csv::Csv;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

/// Specialists drawn: the busiest.
const LEFT_MAX: usize = 14;
/// Patients drawn.
const RIGHT_MAX: usize = 34;
/// Pairs read.
const READ_MAX: u32 = 20_000;
/// Pairs in the table.
const TABLE_MAX: usize = 300;
const WIDTH: usize = 960;
const LEFT_X: usize = 250;
const RIGHT_X: usize = 710;
const ROW: usize = 26;
const TOP: usize = 34;
const MINUTE_MS: u64 = 60_000;

#[derive(Template)]
#[template(path = "visits/graph.html")]
struct Page {
    frame: Frame,
    finding: String,
    day: String,
    days: i64,
    max_day: String,
    export: String,
    figures: [(String, String); 4],
    drawing: Option<Drawing>,
    note: Option<String>,
    rows: Vec<Row>,
    more: usize,
    is_empty: bool,
}

struct Drawing {
    width: usize,
    height: usize,
    left: Vec<Node>,
    right: Vec<Node>,
    lines: Vec<Curve>,
    left_title: String,
    right_title: String,
}

struct Node {
    x: usize,
    y: usize,
    text_y: usize,
    name: String,
    title: String,
}

struct Curve {
    path: String,
    width: String,
    shade: usize,
    title: String,
}

struct Row {
    staff: String,
    patient: String,
    visits: u64,
    minutes: u64,
    last: String,
}

async fn read(visit: &Visit, span: &Span) -> Result<Graph, Fault> {
    let now = visit.app.now();
    let (database, acting) = (&visit.app.database, visit.acting()?);
    Ok(whereabouts::graph(database, &acting, span.from, span.until, &Part::default(), READ_MAX, now).await?)
}

/// `GET /visits/graph`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (texts, times) = (visit.texts(), visit.times());
    let span = span_of(&visit, &query);
    let graph = read(&visit, &span).await?;
    let drawn = chosen(&graph);
    let tabled: Vec<&Edge> = graph.edges.iter().take(TABLE_MAX).collect();
    let persons = drawn.iter().chain(&tabled).flat_map(|edge| [edge.staff, edge.patient]).collect();
    let faces = faces_of(&visit, persons, Purpose::Maintenance).await?;
    let specialists = graph.specialists();
    let visits: u64 = graph.edges.iter().map(|edge| edge.visits).sum();
    let minutes = graph.edges.iter().map(|edge| edge.lasted_ms).sum::<u64>() / MINUTE_MS;
    let (year, month, day) = times.date(visit.app.now());
    let page = Page {
        frame: Frame::new(&visit, "visits-graph"),
        finding: finding(&texts, &specialists, visits),
        export: format!("/visits/graph.csv{}", query.with("open", None)),
        figures: [
            (visits.to_string(), texts.t("graph-visits")),
            (specialists.len().to_string(), texts.t("graph-specialists")),
            (graph.patients().len().to_string(), texts.t("graph-patients")),
            (minutes.to_string(), texts.t("graph-minutes")),
        ],
        note: (drawn.len() < graph.edges.len()).then(|| texts.n("graph-drawn", drawn.len())),
        drawing: (!drawn.is_empty()).then(|| draw(&drawn, &faces, &texts)),
        rows: tabled
            .iter()
            .map(|edge| Row {
                staff: who(&faces, edge.staff),
                patient: who(&faces, edge.patient),
                visits: edge.visits,
                minutes: edge.lasted_ms / MINUTE_MS,
                last: times.full(edge.last),
            })
            .collect(),
        more: graph.edges.len().saturating_sub(TABLE_MAX),
        is_empty: graph.edges.is_empty(),
        max_day: format!("{year:04}-{month:02}-{day:02}"),
        day: span.day,
        days: span.days,
    };
    render(StatusCode::OK, &page)
}

/// The finding in one sentence: how few carry half of the visits.
fn finding(texts: &Texts, specialists: &[(PersonId, u64, u64)], visits: u64) -> String {
    let mut sum = 0;
    let half = specialists.iter().take_while(|(_, count, _)| {
        let before = sum;
        sum += count;
        before * 2 < visits
    });
    let few = half.count();
    if visits == 0 {
        return texts.t("graph-none-title");
    }
    texts.with(
        "graph-finding",
        &[
            ("few", texts.n("graph-few", few)),
            ("all", specialists.len().to_string()),
            ("visits", texts.n("graph-of-visits", visits)),
        ],
    )
}

/// The pairs that are drawn: of the busiest specialists, the heaviest.
fn chosen(graph: &Graph) -> Vec<&Edge> {
    let left: Vec<PersonId> = graph.specialists().iter().take(LEFT_MAX).map(|(person, ..)| *person).collect();
    let mut right: Vec<PersonId> = Vec::new();
    let mut drawn = Vec::new();
    for edge in graph.edges.iter().filter(|edge| left.contains(&edge.staff)) {
        if !right.contains(&edge.patient) {
            if right.len() == RIGHT_MAX {
                continue;
            }
            right.push(edge.patient);
        }
        drawn.push(edge);
    }
    drawn
}

fn draw(drawn: &[&Edge], faces: &Faces, texts: &Texts) -> Drawing {
    let mut left: Vec<(PersonId, u64)> = Vec::new();
    let mut right: Vec<(PersonId, u64)> = Vec::new();
    for edge in drawn {
        for (side, person) in [(&mut left, edge.staff), (&mut right, edge.patient)] {
            match side.iter_mut().find(|(own, _)| *own == person) {
                Some((_, count)) => *count += edge.visits,
                None => side.push((person, edge.visits)),
            }
        }
    }
    left.sort_by_key(|(person, count)| (u64::MAX - count, *person));
    // Patients stand where their specialists do, so that lines cross little.
    let at = |person: PersonId| left.iter().position(|(own, _)| *own == person).unwrap_or(0);
    let middle = |patient: PersonId| {
        let (mut sum, mut count) = (0, 0);
        for edge in drawn.iter().filter(|edge| edge.patient == patient) {
            sum += at(edge.staff) * 1000;
            count += 1;
        }
        sum / count.max(1)
    };
    right.sort_by_cached_key(|(person, count)| (middle(*person), u64::MAX - count, *person));
    let rows = left.len().max(right.len());
    let height = TOP + rows * ROW + 12;
    // The shorter side stands apart, so that both fill the height.
    let spread = |n: usize, of: usize| {
        let apart = (rows - of) * ROW * n / of.saturating_sub(1).max(1);
        TOP + ROW / 2 + n * ROW + apart
    };
    let y_left: HashMap<PersonId, usize> =
        left.iter().enumerate().map(|(n, (person, _))| (*person, spread(n, left.len()))).collect();
    let y_right: HashMap<PersonId, usize> =
        right.iter().enumerate().map(|(n, (person, _))| (*person, spread(n, right.len()))).collect();
    let most = drawn.iter().map(|edge| edge.visits).max().unwrap_or(1);
    let node = |x: usize, ys: &HashMap<PersonId, usize>, person: PersonId, count: u64| {
        let y = ys.get(&person).copied().unwrap_or(TOP);
        let name = who(faces, person);
        let count = texts.n("graph-of-visits", count);
        Node { x, y, text_y: y + 5, title: format!("{name}: {count}"), name: cut(&name) }
    };
    let lines = drawn.iter().map(|edge| {
        let (from, to) = (y_left.get(&edge.staff).copied(), y_right.get(&edge.patient).copied());
        let (from, to) = (from.unwrap_or(TOP), to.unwrap_or(TOP));
        let bend = (LEFT_X + RIGHT_X) / 2;
        let tenths = 14 + 60 * edge.visits / most.max(1);
        Curve {
            path: format!("M{} {from}C{bend} {from} {bend} {to} {} {to}", LEFT_X + 8, RIGHT_X - 8),
            width: format!("{}.{}", tenths / 10, tenths % 10),
            shade: y_left.get(&edge.staff).map_or(0, |_| at(edge.staff) % 6),
            title: format!(
                "{} – {}: {}, {}",
                who(faces, edge.staff),
                who(faces, edge.patient),
                texts.n("graph-of-visits", edge.visits),
                texts.n("span-min", edge.lasted_ms / MINUTE_MS)
            ),
        }
    });
    Drawing {
        width: WIDTH,
        height,
        lines: lines.collect(),
        left: left.iter().map(|(person, count)| node(LEFT_X, &y_left, *person, *count)).collect(),
        right: right.iter().map(|(person, count)| node(RIGHT_X, &y_right, *person, *count)).collect(),
        left_title: texts.t("graph-specialists"),
        right_title: texts.t("graph-patients"),
    }
}

/// A name as long as there is room for.
fn cut(name: &str) -> String {
    match name.chars().count() > 24 {
        true => name.chars().take(23).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

/// `GET /visits/graph.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let graph = read(&visit, &span_of(&visit, &query)).await?;
    let persons: Vec<PersonId> = graph.edges.iter().flat_map(|edge| [edge.staff, edge.patient]).collect();
    let faces = faces_of(&visit, persons.clone(), Purpose::Maintenance).await?;
    told(&visit, "/visits/graph.csv", persons, graph.edges.len()).await?;
    let mut csv = Csv::new(&["staff", "staff_name", "patient", "patient_name", "visits", "minutes", "last"]);
    for edge in &graph.edges {
        csv.row(&[
            edge.staff.to_string(),
            faces.name(Some(edge.staff)).unwrap_or_default().to_owned(),
            edge.patient.to_string(),
            faces.name(Some(edge.patient)).unwrap_or_default().to_owned(),
            edge.visits.to_string(),
            (edge.lasted_ms / MINUTE_MS).to_string(),
            visit.times().exact(edge.last),
        ]);
    }
    Ok(csv.into_response("graph.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use domain::UtcMillis;

    fn edge(staff: u8, patient: u8, visits: u64) -> Edge {
        let (staff, patient) = (PersonId([staff; 16]), PersonId([patient; 16]));
        Edge { staff, patient, visits, lasted_ms: visits * 20 * MINUTE_MS, last: UtcMillis(0) }
    }

    #[test]
    fn the_finding_counts_how_few_carry_half() {
        let graph = Graph { edges: vec![edge(1, 9, 6), edge(2, 9, 3), edge(3, 8, 3)], is_cut: false };
        let said = finding(&Language::En.texts(), &graph.specialists(), 12);
        assert!(said.contains('1') && said.contains('3') && said.contains("12"), "{said}");
    }

    #[test]
    fn a_large_graph_is_drawn_in_bounds() {
        let edges: Vec<Edge> = (0..200_u8).map(|n| edge(n % 40, n, u64::from(n) + 1)).collect();
        let graph = Graph { edges, is_cut: false };
        let drawn = chosen(&graph);
        let drawing = draw(&drawn, &Faces::default(), &Language::En.texts());
        assert!(drawing.left.len() <= LEFT_MAX && drawing.right.len() <= RIGHT_MAX);
        let lowest = drawing.left.iter().chain(&drawing.right).map(|node| node.y).max().unwrap();
        assert!(lowest < drawing.height, "{lowest} of {}", drawing.height);
    }
}
