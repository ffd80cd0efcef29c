//! The privacy officer's first page: what waits, what runs out, how much there is.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::data_map::{self, papers::SUBJECTS_WARNED};
use clinic::retention::{self, Terms};
use clinic::{break_glass, disclosures, incidents, people, requests};
use domain::UtcMillis;
use domain::policy::PassKind;

use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

const MONTH_MS: i64 = 30 * 24 * 60 * 60 * 1000;

#[derive(Template)]
#[template(path = "privacy/overview.html")]
struct Page {
    frame: Frame,
    today: String,
    urgent: Vec<(&'static str, String, &'static str)>,
    figures: Vec<Figure>,
    retention: Vec<Line>,
    columns: usize,
}

struct Figure {
    tone: &'static str,
    value: String,
    name: String,
    sub: Option<String>,
    link: &'static str,
}

struct Line {
    name: String,
    term: String,
    over: u64,
    last: String,
}

/// `GET /privacy`
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    let (acting, database) = (visit.acting()?, &visit.app.database);
    let waiting = requests::counts(database, &acting, now).await?;
    let glass = break_glass::unreviewed(database, &acting, now).await?;
    let given = disclosures::count_since(database, &acting, now.plus_ms(-MONTH_MS)).await?;
    let all = incidents::list(database, &acting).await?;
    let people = people::counts(database).await?;
    let staff: u64 = people.passes.iter().filter(|(kind, ..)| *kind == PassKind::Staff).map(|(_, _, n)| n).sum();
    let outsiders = people.persons.saturating_sub(staff);
    let mut urgent = Vec::new();
    if waiting.late > 0 {
        urgent.push(("bad", texts.n("privacy-late", waiting.late), "/requests?state=open"));
    }
    for (step, end) in all.iter().filter_map(incidents::Incident::next_term) {
        let (left, step) = (end.since_ms(now), texts.code("incident-step-", step.as_str()));
        let (tone, words) = match left > 0 {
            true => ("warn", format!("{step}: {}", texts.a("request-left", &times.span(left)))),
            false => ("bad", format!("{step}: {}", texts.a("request-late-by", &times.span(-left)))),
        };
        urgent.push((tone, words, "/incidents"));
    }
    if outsiders >= SUBJECTS_WARNED {
        urgent.push(("warn", texts.n("privacy-many-subjects", outsiders), "/privacy/map"));
    }
    let open = u64::try_from(all.iter().filter(|it| it.done(incidents::Step::Closed).is_none()).count()).unwrap_or(0);
    let figure = |tone, value: u64, key: &str, sub: Option<String>, link| Figure {
        tone,
        value: value.to_string(),
        name: texts.code("", key),
        sub,
        link,
    };
    let soon = (waiting.soon > 0).then(|| texts.n("privacy-soon", waiting.soon));
    let requests_tone = if waiting.late > 0 {
        "bad"
    } else if waiting.soon > 0 {
        "warn"
    } else {
        "ok"
    };
    let held = texts.n("privacy-held", waiting.held);
    let figures = vec![
        figure(requests_tone, waiting.open, FIGURES[0], soon, "/requests?state=open"),
        figure(if glass > 0 { "warn" } else { "ok" }, glass, FIGURES[1], None, "/glass?show=waiting"),
        figure(if open > 0 { "bad" } else { "ok" }, open, FIGURES[2], None, "/incidents"),
        figure("info", given, FIGURES[3], None, "/disclosures"),
        figure(
            "info",
            waiting.restricted,
            FIGURES[4],
            (waiting.held > 0).then_some(held),
            "/requests?kind=restriction",
        ),
        figure("info", people.persons, FIGURES[5], Some(texts.n("privacy-outsiders", outsiders)), "/privacy/map"),
    ];
    let terms: Terms = visit.app.settings.retention;
    let lines = retention::dry_run(database, &acting, &terms, now).await?;
    let retention = lines.iter().map(|line| Line {
        name: texts.code("retention-class-", line.class.as_str()),
        term: line.days.map_or_else(|| texts.t("retention-for-ever"), |days| texts.n("span-d", u64::from(days))),
        over: line.rows,
        last: line.last.map_or_else(|| texts.t("never"), |at: UtcMillis| times.full(at)),
    });
    let page = Page {
        frame: Frame::new(&visit, "privacy"),
        today: times.day(now),
        urgent,
        figures,
        retention: retention.collect(),
        columns: data_map::map().entries.len(),
    };
    render(StatusCode::OK, &page)
}

/// Texts of the figures.
const FIGURES: [&str; 6] = [
    "privacy-open-requests",
    "privacy-unreviewed",
    "privacy-open-incidents",
    "privacy-given",
    "privacy-restricted",
    "privacy-persons",
];

/// `POST /privacy/retention`: clears now what the daily work would clear.
pub async fn clear(visit: Visit) -> Result<Response, Fault> {
    let terms: Terms = visit.app.settings.retention;
    retention::run(&visit.app.database, &visit.acting()?, &terms, visit.app.now()).await?;
    Ok(go("/privacy"))
}

/// `GET /privacy/person`: from a pseudonym typed in a field to the person's page.
pub async fn person(visit: Visit, query: Query) -> Result<Response, Fault> {
    visit.signed_in()?;
    let person = query.one("person").and_then(clinic::subjects::person_of).ok_or(Fault::NotFound)?;
    Ok(go(&format!("/subjects/{person}")))
}
