//! What other systems tell us: how each feed stands, whole lists that wait for a word, what was refused, where sources
//! differ, and where purposes of visits and workplaces lead.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::feeds::look::{self, FeedState, LookError};
use domain::{Permission, ZoneId};

use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Lines of each table of the page; the rest is in the export.
const SHOWN_MAX: usize = 200;
/// Rows of one export at most.
const EXPORT_MAX: u32 = 5000;
const MINUTE_MS: i64 = 60_000;

#[derive(Template)]
#[template(path = "feeds.html")]
struct Page {
    frame: Frame,
    may_manage: bool,
    feeds: Vec<FeedRow>,
    holds: Vec<HoldRow>,
    problems: Vec<ProblemRow>,
    differences: Vec<DifferenceRow>,
    purposes: Vec<PurposeRow>,
    workplaces: Vec<WorkplaceRow>,
    zones: Vec<String>,
    source: String,
    search: String,
    sources: Vec<String>,
    done: Option<String>,
    problem: Option<String>,
}

struct FeedRow {
    source: String,
    kind: String,
    tone: &'static str,
    state: String,
    told: String,
    taken: String,
    rate: String,
    counts: String,
    error: String,
}

struct HoldRow {
    id: u64,
    source: String,
    kind: String,
    words: String,
    at: String,
    confirmed: bool,
}

struct ProblemRow {
    at: String,
    source: String,
    kind: String,
    row: u64,
    field: String,
    words: String,
    advice: String,
}

struct DifferenceRow {
    person: String,
    kind: String,
    words: String,
    at: String,
}

struct PurposeRow {
    code: String,
    name: String,
    minutes: String,
    zones: String,
    early: String,
    late: String,
    by_hand: bool,
    active: bool,
}

struct WorkplaceRow {
    source: String,
    id: String,
    name: String,
    zone: String,
    staff: String,
    by_hand: bool,
    active: bool,
}

/// `GET /exchange/feeds`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    let texts = visit.texts();
    page.done = query.one("done").and_then(|done| texts.code_if_any("feeds-done-", done));
    page.problem = query.one("problem").and_then(|problem| texts.code_if_any("feeds-wrong-", problem));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, texts, times, now) = (visit.acting()?, visit.texts(), visit.times(), visit.app.now());
    let database = &visit.app.database;
    let (source, search) = (query.one("source").unwrap_or_default(), query.one("q").unwrap_or_default());
    let wanted = search.to_lowercase();
    let kind = |kind: clinic::feeds::FeedKind| texts.code("feed-kind-", kind.as_str());
    let lines = look::feeds(database, &acting, now).await?;
    let mut sources: Vec<String> = lines.iter().map(|line| line.source.clone()).collect();
    sources.dedup();
    let is_wanted = |own: &str| source.is_empty() || own == source;
    let feeds = lines.into_iter().filter(|line| is_wanted(&line.source)).map(|line| FeedRow {
        kind: kind(line.kind),
        tone: match line.state {
            FeedState::Good => "ok",
            FeedState::Refusing | FeedState::Held => "warn",
            FeedState::Failing => "bad",
        },
        state: texts.code("feed-state-", line.state.as_str()),
        told: times.full(line.told),
        taken: line.taken.map(|at| times.full(at)).unwrap_or_default(),
        rate: format!("{} / {}", line.rate.0, line.rate.1),
        counts: {
            let [added, changed, _, _, ended, refused] = line.counts;
            let mut parts =
                vec![texts.n("feeds-added", added), texts.n("feeds-changed", changed), texts.n("feeds-ended", ended)];
            parts.extend((refused > 0).then(|| texts.n("feeds-refused", refused)));
            parts.join(" · ")
        },
        error: line.error.unwrap_or_default(),
        source: line.source,
    });
    let feeds: Vec<FeedRow> = feeds.collect();
    let holds = look::holds(database, &acting).await?.into_iter().map(|line| HoldRow {
        id: line.id,
        kind: kind(line.kind),
        words: format!("{} / {}", line.would_end, line.of),
        at: times.full(line.at),
        confirmed: line.confirmed,
        source: line.source,
    });
    let holds: Vec<HoldRow> = holds.collect();
    let named = (!source.is_empty()).then_some(source);
    let problems =
        look::problems(database, &acting, named, SHOWN_MAX as u32).await?.into_iter().map(|line| ProblemRow {
            at: times.full(line.at),
            kind: kind(line.kind),
            row: line.row,
            words: texts.code("feed-problem-", line.problem.as_str()),
            advice: texts.code("feed-todo-", line.problem.as_str()),
            field: line.field,
            source: line.source,
        });
    let problems = problems.collect();
    let differences = look::differences(database, &acting).await?;
    let differences = differences.into_iter().filter(|line| is_wanted(&line.source)).take(SHOWN_MAX);
    let differences = differences.map(|line| DifferenceRow {
        person: short_id(&line.person.to_string()),
        kind: kind(line.kind),
        words: format!("{} ≠ {}", line.source, line.believed),
        at: times.full(line.at),
    });
    let differences = differences.collect();
    let minutes = |ms: Option<i64>| ms.map(|ms| (ms / MINUTE_MS).to_string()).unwrap_or_default();
    let purposes = look::purposes(database, &acting).await?.into_iter();
    let purposes = purposes.filter(|line| format!("{} {}", line.code, line.name).to_lowercase().contains(&wanted));
    let purposes = purposes.take(SHOWN_MAX).map(|line| PurposeRow {
        minutes: line.minutes.map(|minutes| minutes.to_string()).unwrap_or_default(),
        zones: line.zones.join("; "),
        early: minutes(line.early_ms),
        late: minutes(line.late_ms),
        by_hand: line.by_hand,
        active: line.active,
        code: line.code,
        name: line.name,
    });
    let purposes = purposes.collect();
    let workplaces = look::workplaces(database, &acting).await?.into_iter();
    let workplaces = workplaces.filter(|line| is_wanted(&line.source) && line.name.to_lowercase().contains(&wanted));
    let workplaces = workplaces.take(SHOWN_MAX).map(|line| WorkplaceRow {
        zone: line.zone.unwrap_or_default(),
        staff: if line.staff > 0 { texts.n("feeds-staff", line.staff) } else { String::new() },
        by_hand: line.by_hand,
        active: line.active,
        source: line.source,
        id: line.id,
        name: line.name,
    });
    let workplaces = workplaces.collect();
    let layout = clinic::policy::read_layout(database).await?;
    let zones = layout.into_iter().flat_map(|layout| layout.zones).map(|zone| zone.id.to_string()).collect();
    Ok(Page {
        may_manage: acting.rights.allows(Permission::ExchangeManage) && visit.app.feeds.is_some(),
        feeds,
        holds,
        problems,
        differences,
        purposes,
        workplaces,
        zones,
        source: source.to_owned(),
        search: search.to_owned(),
        sources,
        done: None,
        problem: None,
        frame: Frame::new(visit, "feeds"),
    })
}

/// `GET /exchange/feeds.csv`: one of the tables.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, database, now) = (visit.acting()?, &visit.app.database, visit.app.now());
    let (mut csv, mut count): (Csv, u64);
    count = 0;
    let source = query.one("source").filter(|source| !source.is_empty());
    match query.one("what").unwrap_or("feeds") {
        "problems" => {
            csv = Csv::new(&["at", "source", "kind", "row", "field", "problem"]);
            for line in look::problems(database, &acting, source, EXPORT_MAX).await? {
                count += 1;
                csv.row(&[
                    line.at.to_rfc3339(),
                    line.source,
                    line.kind.to_string(),
                    line.row.to_string(),
                    line.field,
                    line.problem.to_string(),
                ]);
            }
        }
        "differences" => {
            csv = Csv::new(&["at", "person", "kind", "source", "believed"]);
            for line in look::differences(database, &acting).await? {
                count += 1;
                let person = line.person.to_string();
                csv.row(&[line.at.to_rfc3339(), person, line.kind.to_string(), line.source, line.believed]);
            }
        }
        "purposes" => {
            csv = Csv::new(&["code", "name", "minutes", "zones", "in_use"]);
            for line in look::purposes(database, &acting).await? {
                count += 1;
                let minutes = line.minutes.map(|minutes| minutes.to_string()).unwrap_or_default();
                csv.row(&[line.code, line.name, minutes, line.zones.join("; "), line.active.to_string()]);
            }
        }
        "workplaces" => {
            csv = Csv::new(&["source", "id", "name", "zone", "staff", "in_use"]);
            for line in look::workplaces(database, &acting).await? {
                count += 1;
                let zone = line.zone.unwrap_or_default();
                csv.row(&[line.source, line.id, line.name, zone, line.staff.to_string(), line.active.to_string()]);
            }
        }
        "feeds" => {
            csv = Csv::new(&[
                "source",
                "kind",
                "state",
                "told",
                "added",
                "changed",
                "unchanged",
                "older",
                "ended",
                "refused",
            ]);
            for line in look::feeds(database, &acting, now).await? {
                count += 1;
                let mut row = vec![line.source, line.kind.to_string(), line.state.to_string(), line.told.to_rfc3339()];
                row.extend(line.counts.map(|count| count.to_string()));
                csv.row(&row);
            }
        }
        _ => return Err(Fault::NotFound),
    }
    let mut disclosure = Disclosure::export(&acting, "/exchange/feeds.csv", &[Class::Technical]);
    disclosure.records = count;
    disclosures::register(database, &acting, disclosure, None, now).await?;
    Ok(csv.into_response("feeds.csv"))
}

/// `POST /exchange/feeds/hold`: a whole list that waits is allowed, or dropped.
pub async fn hold(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let id = typed.one("id").and_then(|text| text.parse().ok()).ok_or(Fault::NotFound)?;
    let allow = typed.one("allow") == Some("yes");
    let feeds = visit.app.feeds.as_ref().ok_or(Fault::Unavailable)?;
    said(feeds.decide_hold(&visit.acting()?, id, allow).await, if allow { "allowed" } else { "dropped" })
}

/// `POST /exchange/feeds/purpose`
pub async fn purpose(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let feeds = visit.app.feeds.as_ref().ok_or(Fault::Unavailable)?;
    let zones = typed.one("zones").unwrap_or_default().split(';').map(str::trim).filter(|text| !text.is_empty());
    let Ok(zones) = zones.map(ZoneId::new).collect::<Result<Vec<_>, _>>() else {
        return Ok(go("/exchange/feeds?problem=zone#purposes"));
    };
    let minutes = |name: &str| match typed.one(name).map(str::trim).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse::<i64>().map(|minutes| Some(minutes.saturating_mul(MINUTE_MS))),
    };
    let (Ok(early), Ok(late)) = (minutes("early"), minutes("late")) else {
        return Ok(go("/exchange/feeds?problem=minutes#purposes"));
    };
    let code = typed.one("code").unwrap_or_default();
    said(feeds.set_purpose(&visit.acting()?, code, zones, early, late).await, "purpose")
}

/// `POST /exchange/feeds/workplace`
pub async fn workplace(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let feeds = visit.app.feeds.as_ref().ok_or(Fault::Unavailable)?;
    let zone = typed.one("zone").map(str::trim).filter(|text| !text.is_empty()).map(ZoneId::new).transpose();
    let Ok(zone) = zone else { return Ok(go("/exchange/feeds?problem=zone#workplaces")) };
    let (source, id) = (typed.one("source").unwrap_or_default(), typed.one("id").unwrap_or_default());
    said(feeds.set_workplace(&visit.acting()?, source, id, zone).await, "workplace")
}

fn said(outcome: Result<(), LookError>, done: &str) -> Result<Response, Fault> {
    match outcome {
        Ok(()) => Ok(go(&format!("/exchange/feeds?done={done}"))),
        Err(LookError::Gone) => Ok(go("/exchange/feeds?problem=gone")),
        Err(LookError::Zone(_)) => Ok(go("/exchange/feeds?problem=zone")),
        Err(LookError::Around) => Ok(go("/exchange/feeds?problem=minutes")),
        Err(error) => Err(error.into()),
    }
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}

impl From<LookError> for Fault {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Denied(denied) => Self::from(denied),
            LookError::Gone => Self::NotFound,
            LookError::Zone(_) | LookError::Around => Self::Invalid,
            LookError::Store(error) => Self::from(error),
        }
    }
}
