//! The data map, as it is compiled into this program.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::data_map::{self, Entry};
use clinic::disclosures::Class;

use super::{Choice, choices, code_of};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "privacy/map.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    classes: Vec<Choice>,
    class: String,
    q: String,
}

struct Line {
    place: String,
    class: String,
    purpose: String,
    basis: String,
    kept: String,
    protection: String,
    seen_by: String,
}

fn found(query: &Query) -> Result<Vec<&'static Entry>, Fault> {
    let class = code_of(query, "class", Class::parse)?;
    let words = query.one("q").map(str::to_lowercase);
    let fits = |entry: &&Entry| {
        class.is_none_or(|class| entry.class == class)
            && words.as_ref().is_none_or(|words| {
                entry.place.to_string().to_lowercase().contains(words) || entry.purpose.to_lowercase().contains(words)
            })
    };
    Ok(data_map::map().entries.iter().filter(fits).collect())
}

fn basis(entry: &Entry) -> String {
    let bases = &data_map::map().bases;
    let words = entry.basis.iter().filter_map(|key| bases.get(key)).map(|basis| basis.gdpr.as_str());
    words.collect::<Vec<_>>().join(" · ")
}

/// `GET /privacy/map`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let texts = visit.texts();
    let lines = found(&query)?.into_iter().map(|entry| Line {
        place: entry.place.to_string(),
        class: texts.code("class-", entry.class.as_str()),
        purpose: entry.purpose.clone(),
        basis: basis(entry),
        kept: entry.kept.clone(),
        protection: entry.protection.clone(),
        seen_by: entry.seen_by.iter().map(|who| texts.code("permission-", who)).collect::<Vec<_>>().join(", "),
    });
    let page = Page {
        lines: lines.collect(),
        classes: choices(texts, "class-", Class::ALL.iter().map(|it| it.as_str())),
        class: query.one("class").unwrap_or_default().to_owned(),
        q: query.one("q").unwrap_or_default().to_owned(),
        frame: Frame::new(&visit, "privacy"),
    };
    render(StatusCode::OK, &page)
}

/// `GET /privacy/map.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    visit.signed_in()?;
    let mut csv = Csv::new(&["place", "set", "class", "purpose", "basis", "kept", "protection", "seen_by"]);
    for entry in found(&query)? {
        csv.row(&[
            entry.place.to_string(),
            entry.set.clone(),
            entry.class.to_string(),
            entry.purpose.clone(),
            basis(entry),
            entry.kept.clone(),
            entry.protection.clone(),
            entry.seen_by.join(" "),
        ]);
    }
    Ok(csv.into_response("data-map.csv"))
}
