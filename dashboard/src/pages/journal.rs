//! The journal: search in what happened, the whole of one entry, export.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::AccountId;
use clinic::audit::Purpose;
use clinic::events::{self, Event, Filter, Position};
use clinic::watch;
use domain::{Kind, Permission, PointId, Reason, UtcMillis};

use crate::csv::{Csv, ROWS_MAX};
use crate::faces::Faces;
use crate::fault::Fault;
use crate::pages::live::sub_of;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::{self, Late, label};

/// Entries on a page.
const PAGE: u32 = 50;
/// Entries read at once for an export.
const EXPORT_BATCH: u32 = 2000;
const MINUTE_MS: i64 = 60_000;

#[derive(Template)]
#[template(path = "journal.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    typed: Typed,
    problem: Option<String>,
    points: Vec<(String, String)>,
    kinds: &'static [Kind],
    reasons: &'static [Reason],
    next: Option<String>,
    is_first: bool,
    first: String,
    export: Option<String>,
    open: Option<Whole>,
    close: String,
    is_filtered: bool,
    zone: &'static str,
}

/// What was typed into the filter, to be shown again.
#[derive(Default)]
struct Typed {
    from: String,
    until: String,
    point: String,
    kind: String,
    reason: String,
    q: String,
}

struct Line {
    link: String,
    is_open: bool,
    day: String,
    clock: String,
    tone: &'static str,
    result: String,
    late: Option<String>,
    who: String,
    sub: String,
    place: String,
}

/// One entry, everything that is recorded of it.
struct Whole {
    tone: &'static str,
    title: String,
    why: Option<String>,
    todo: Option<String>,
    facts: Vec<Fact>,
}

struct Fact {
    name: String,
    value: String,
    is_code: bool,
    link: Option<String>,
}

/// Reads the filter; what cannot be understood is said, not ignored.
fn filter_of(visit: &Visit, query: &Query) -> Result<Filter, (&'static str, String)> {
    let times = visit.times();
    let mut filter = Filter::default();
    for (key, end) in [("from", &mut filter.from), ("until", &mut filter.until)] {
        if let Some(text) = query.one(key) {
            *end = Some(times.read_field(text).ok_or((key, "journal-bad-time".to_owned()))?);
        }
    }
    // A minute typed as the end is included.
    filter.until = filter.until.map(|until| until.plus_ms(MINUTE_MS));
    if let Some(text) = query.one("point") {
        filter.point = Some(PointId::new(text).map_err(|_| ("point", "journal-bad-point".to_owned()))?);
    }
    for text in query.all("kind").filter(|text| !text.is_empty()) {
        filter.kinds.push(Kind::parse(text).ok_or(("kind", "journal-bad-kind".to_owned()))?);
    }
    for text in query.all("reason").filter(|text| !text.is_empty()) {
        filter.reasons.push(Reason::parse(text).ok_or(("reason", "journal-bad-reason".to_owned()))?);
    }
    if let Some(text) = query.one("q") {
        match (query.one("as"), text.parse(), text.parse()) {
            (Some("card"), Ok(card), _) => filter.card = Some(card),
            (_, _, Ok(person)) => filter.person = Some(person),
            _ => filter.text = Some(text.replace(' ', "-").chars().take(events::TEXT_MAX_BYTES).collect()),
        }
    }
    if let Some(card) = query.one("card") {
        filter.card = Some(card.parse().map_err(|_| ("q", "journal-bad-card".to_owned()))?);
    }
    Ok(filter)
}

fn position_of(query: &Query) -> Option<Position> {
    let (at, id) = query.one("behind")?.split_once(':')?;
    Some(Position { at: UtcMillis(at.parse().ok()?), id: id.parse().ok()? })
}

/// `GET /journal`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (texts, times, database) = (visit.texts(), visit.times(), &visit.app.database);
    let acting = visit.acting()?;
    let read = filter_of(&visit, &query);
    let (mut status, mut problem) = (StatusCode::OK, None);
    let behind = position_of(&query);
    let (found, is_filtered) = match read {
        Ok(filter) => {
            let is_filtered = filter != Filter::default();
            (watch::search(database, &acting, &filter, behind, PAGE).await?, is_filtered)
        }
        Err((_, key)) => {
            status = StatusCode::UNPROCESSABLE_ENTITY;
            problem = Some(texts.t(&key));
            (events::Page { events: Vec::new(), next: None }, true)
        }
    };
    let open_id: Option<u64> = query.one("open").and_then(|text| text.parse().ok());
    let open_event = match open_id {
        Some(id) => watch::event(database, &acting, id).await?,
        None => None,
    };
    let persons = found.events.iter().filter_map(|event| event.entry.fact.person);
    let persons: Vec<_> = persons.chain(open_event.as_ref().and_then(|event| event.entry.fact.person)).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Incident).await?;
    let open = match &open_event {
        Some(event) => Some(whole(&visit, event, &faces, ordered_by(&visit, event).await?)),
        None => None,
    };
    let lines = found.events.iter().map(|event| {
        let fact = &event.entry.fact;
        Line {
            link: format!("/journal{}", query.with("open", Some(&event.id.to_string()))),
            is_open: Some(event.id) == open_id,
            day: times.day(fact.at),
            clock: times.clock(fact.at),
            tone: words::tone_of(fact).class(),
            result: words::result_of(fact, &texts),
            late: words::late_words(fact, &texts, &times),
            who: faces.name(fact.person).map_or_else(|| words::who_in_line(fact, &texts), str::to_owned),
            sub: sub_of(event, &texts),
            place: words::where_of(fact, event.entry.gateway.as_str(), &texts),
        }
    });
    let lines = lines.collect();
    let reach = watch::reach(database, &acting, domain::Permission::JournalSee).await?;
    let facts = visit.app.panel(visit.app.now()).await?;
    let points = facts.points();
    let points = points.iter().filter(|point| reach.has_point(point));
    let points = points.map(|point| (point.to_string(), label(point.as_str()))).collect();
    let one = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let typed = Typed {
        from: one("from"),
        until: one("until"),
        point: one("point"),
        kind: one("kind"),
        reason: one("reason"),
        q: query.one("q").or_else(|| query.one("card")).unwrap_or_default().to_owned(),
    };
    let next = found.next.map(|next| {
        let behind = format!("{}:{}", next.at.0, next.id);
        format!(
            "/journal{}",
            Query::read(query.with("open", None).trim_start_matches('?')).with("behind", Some(&behind))
        )
    });
    let first = Query::read(query.with("open", None).trim_start_matches('?')).with("behind", None);
    let may_export = visit.rights().is_some_and(|rights| rights.allows(domain::Permission::JournalExport));
    let page = Page {
        frame: Frame::new(&visit, "journal"),
        lines,
        typed,
        problem,
        points,
        kinds: Kind::ALL,
        reasons: Reason::ALL,
        next,
        is_first: behind.is_none(),
        export: may_export.then(|| format!("/journal.csv{first}")),
        first: format!("/journal{first}"),
        open,
        close: format!("/journal{}", query.with("open", None)),
        is_filtered,
        zone: times.zone_name(),
    };
    render(status, &page)
}

/// The account that a command of the journal names by its number: "open by NUMBER: why".
async fn ordered_by(visit: &Visit, event: &Event) -> Result<Option<String>, Fault> {
    let fact = &event.entry.fact;
    if !matches!((fact.kind, fact.reason), (Kind::Command, _) | (Kind::Alarm, Some(Reason::CommandRefused))) {
        return Ok(None);
    }
    let number = fact.detail.as_deref().and_then(|detail| detail.split_once(" by ")?.1.get(..32));
    match number.and_then(AccountId::parse) {
        Some(id) => Ok(visit.app.accounts.shown_name(&id).await?),
        None => Ok(None),
    }
}

fn whole(visit: &Visit, event: &Event, faces: &Faces, ordered_by: Option<String>) -> Whole {
    let (texts, times, fact) = (visit.texts(), visit.times(), &event.entry.fact);
    let mut facts = Vec::new();
    let mut add = |key: &str, value: Option<String>, is_code: bool, link: Option<String>| {
        if let Some(value) = value {
            facts.push(Fact { name: texts.t(key), value, is_code, link });
        }
    };
    add("fact-at", Some(times.exact(fact.at)), false, None);
    add(
        "fact-place",
        fact.point.as_ref().map(|point| label(point.as_str())),
        false,
        fact.point.as_ref().map(|point| format!("/journal?point={point}")),
    );
    add("fact-direction", fact.direction.map(|way| words::direction(Some(way), &texts)), false, None);
    add("fact-reader", fact.reader.as_ref().map(|reader| label(reader.as_str())), false, None);
    let may_open = visit.rights().is_some_and(|rights| rights.allows(Permission::PersonSee));
    let page = fact.person.filter(|_| may_open).map(|id| format!("/people/{id}?for=incident"));
    add("fact-name", faces.name(fact.person).map(str::to_owned), false, page);
    add("fact-person", fact.person.map(|id| id.to_string()), true, fact.person.map(|id| format!("/journal?q={id}")));
    add("fact-card", fact.card.map(|id| id.to_string()), true, fact.card.map(|id| format!("/journal?card={id}")));
    add("fact-pass", Some(sub_of(event, &texts)).filter(|text| event.pass.is_some() && !text.is_empty()), false, None);
    match words::lateness(fact) {
        Some(Late::Unknown) => add("fact-age", Some(texts.t("late-unknown")), false, None),
        Some(Late::By(ms)) => {
            add("fact-happened", Some(times.exact(fact.happened_at())), false, None);
            add("fact-age", Some(times.span(ms)), false, None);
        }
        None => add("fact-age", fact.age_ms.map(|age| times.span(i64::from(age))), false, None),
    }
    add("fact-ordered-by", ordered_by, false, None);
    add("fact-detail", fact.detail.clone(), false, None);
    add("fact-arrived", Some(times.exact(event.received)), false, None);
    add("fact-gateway", Some(event.entry.gateway.to_string()), false, None);
    add("fact-number", Some(format!("{} · {}", event.entry.seq, event.entry.epoch)), true, None);
    Whole {
        tone: words::tone_of(fact).class(),
        title: words::result_of(fact, &texts),
        why: words::why_of(fact, &texts),
        todo: words::todo_of(fact, &texts),
        facts,
    }
}

/// `GET /journal.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let filter = filter_of(&visit, &query).map_err(|_| Fault::Invalid)?;
    let (acting, now) = (visit.acting()?, visit.app.now());
    let export = watch::export(&visit.app.database, &acting, now, "/journal.csv", &filter).await?;
    let mut csv = Csv::new(&[
        "gateway",
        "epoch",
        "seq",
        "at",
        "local_time",
        "kind",
        "reason",
        "point",
        "reader",
        "direction",
        "person",
        "card",
        "category",
        "age_ms",
        "detail",
        "received",
    ]);
    let (times, mut behind, mut rows) = (visit.times(), None, 0);
    loop {
        let page = export.next(&visit.app.database, behind, EXPORT_BATCH).await?;
        for event in &page.events {
            let fact = &event.entry.fact;
            csv.row(&[
                event.entry.gateway.to_string(),
                event.entry.epoch.to_string(),
                event.entry.seq.to_string(),
                fact.at.to_rfc3339(),
                times.exact(fact.at),
                fact.kind.to_string(),
                fact.reason.map(|reason| reason.to_string()).unwrap_or_default(),
                fact.point.as_ref().map(ToString::to_string).unwrap_or_default(),
                fact.reader.as_ref().map(ToString::to_string).unwrap_or_default(),
                fact.direction.map(|way| way.to_string()).unwrap_or_default(),
                fact.person.map(|id| id.to_string()).unwrap_or_default(),
                fact.card.map(|id| id.to_string()).unwrap_or_default(),
                event.category.as_ref().map(ToString::to_string).unwrap_or_default(),
                fact.age_ms.map(|age| age.to_string()).unwrap_or_default(),
                fact.detail.clone().unwrap_or_default(),
                event.received.to_rfc3339(),
            ]);
        }
        rows += page.events.len();
        behind = page.next;
        if behind.is_none() || rows >= ROWS_MAX {
            break;
        }
    }
    tracing::info!(rows, account = visit.signed_in()?.account.id.as_str(), "journal.exported");
    Ok(csv.into_response("journal.csv"))
}
