//! What other systems are told: how each destination does, what waits, and the dead letters, to be tried again or given
//! up. Shows no persons: deliveries are numbers of changes here.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::changes::ChangeKind;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::outbox::{self, DeliveryLine, DeliveryState, DestinationLine, DestinationState, Filter, OutboxError};
use domain::{Permission, UtcMillis};

use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::times::Times;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Lines of one page.
const PAGE: u32 = 50;
/// Lines read at once for an export.
const CHUNK: u32 = 1000;
/// Lines of one export at most.
const EXPORT_MAX: usize = 20_000;
/// Something that waits for longer is worth a look, in milliseconds.
const WAIT_WARN_MS: i64 = 5 * 60_000;

#[derive(Template)]
#[template(path = "exchange.html")]
struct Page {
    frame: Frame,
    destinations: Vec<Destination>,
    lines: Vec<Line>,
    open: Option<Line>,
    typed: Typed,
    names: Vec<String>,
    states: Vec<(&'static str, String)>,
    kinds: Vec<(&'static str, String)>,
    is_filtered: bool,
    is_first: bool,
    first: String,
    next: Option<String>,
    export: String,
    may_change: bool,
    problem: Option<String>,
    done: Option<String>,
}

/// What the list is narrowed to, as typed.
struct Typed {
    destination: String,
    state: String,
    kind: String,
}

struct Destination {
    name: String,
    kind: String,
    tone: &'static str,
    state: String,
    story: String,
    is_paused: bool,
    is_failing: bool,
    waiting: u64,
    oldest: Option<String>,
    is_old: bool,
    last_minute: u64,
    taken: Option<String>,
    delivered: u64,
    dead: u64,
    dead_link: String,
}

struct Line {
    destination: String,
    change: u64,
    kind: String,
    happened: String,
    tone: &'static str,
    state: String,
    story: String,
    attempts: u64,
    link: String,
    is_open: bool,
    may_retry: bool,
    may_give_up: bool,
}

const fn tone_of(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "info",
        DeliveryState::Done => "ok",
        DeliveryState::Dead => "bad",
        DeliveryState::GivenUp => "warn",
    }
}

/// Why something failed, in words.
fn words(fault: Option<&outbox::Fault>, texts: &Texts) -> Option<String> {
    let fault = fault?;
    let said = texts.code("exchange-fault-", fault.code.as_str());
    Some(if fault.detail.is_empty() { said } else { format!("{said} ({})", fault.detail.trim()) })
}

fn destination(line: &DestinationLine, texts: &Texts, times: &Times, now: UtcMillis) -> Destination {
    let paused = line.state == DestinationState::Paused;
    let (tone, state) = match (paused, line.failing) {
        (true, _) => ("warn", texts.t("exchange-paused")),
        (false, Some(since)) => ("bad", texts.a("exchange-failing", &times.span(now.since_ms(since).max(0)))),
        (false, None) => ("ok", texts.t("exchange-running")),
    };
    let mut story: Vec<String> = words(line.fault.as_ref(), texts).into_iter().collect();
    if let Some(retry) = line.retry.filter(|retry| *retry > now && !paused) {
        story.push(texts.a("exchange-again-in", &times.span(retry.since_ms(now))));
    }
    let age = outbox::age_ms(line.oldest, now);
    Destination {
        name: line.name.clone(),
        kind: texts.code_if_any("exchange-speaks-", &line.kind).unwrap_or_else(|| line.kind.clone()),
        tone,
        state,
        story: story.join(" "),
        is_paused: paused,
        is_failing: line.failing.is_some(),
        waiting: line.waiting + line.behind,
        oldest: line.oldest.map(|_| times.span(age)),
        is_old: age > WAIT_WARN_MS,
        last_minute: line.last_minute,
        taken: line.done.map(|at| times.full(at)),
        delivered: line.delivered,
        dead: line.dead,
        dead_link: format!(
            "/exchange{}",
            Query::default().with("destination", Some(&line.name)) + "&state=dead#letters"
        ),
    }
}

fn line(
    line: &DeliveryLine,
    query: &Query,
    opened: Option<&str>,
    texts: &Texts,
    times: &Times,
    now: UtcMillis,
) -> Line {
    let key = format!("{}:{}", line.destination, line.change);
    let mut story: Vec<String> = words(line.fault.as_ref(), texts).into_iter().collect();
    if line.state == DeliveryState::Waiting && line.attempts > 0 && line.due > now {
        story.push(texts.a("exchange-again-in", &times.span(line.due.since_ms(now))));
    }
    if let Some(ended) = line.ended {
        story.push(texts.a("exchange-ended", &times.full(ended)));
    }
    Line {
        destination: line.destination.clone(),
        change: line.change,
        kind: texts.code("exchange-kind-", line.kind.as_str()),
        happened: line.happened.map(|at| times.full(at)).unwrap_or_default(),
        tone: tone_of(line.state),
        state: texts.code("exchange-state-", line.state.as_str()),
        story: story.join(" "),
        attempts: u64::from(line.attempts),
        link: format!("/exchange{}#letter", query.with("open", Some(&key))),
        is_open: opened == Some(key.as_str()),
        may_retry: line.state != DeliveryState::Done,
        may_give_up: matches!(line.state, DeliveryState::Dead | DeliveryState::Waiting),
    }
}

/// What the list is narrowed to; without a choice the dead letters are shown.
fn filter_of(query: &Query) -> Result<Filter, ()> {
    let state = match query.one("state") {
        None => Some(DeliveryState::Dead),
        Some("all") => None,
        Some(code) => Some(DeliveryState::parse(code).ok_or(())?),
    };
    let destination = query.one("destination").unwrap_or_default().to_owned();
    if !destination.is_empty() && !outbox::is_name(&destination) {
        return Err(());
    }
    let kind = query.one("kind").map(|code| ChangeKind::parse(code).ok_or(())).transpose()?;
    Ok(Filter { destination, state, kind })
}

/// `GET /exchange`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, texts, times, now) = (visit.acting()?, visit.texts(), visit.times(), visit.app.now());
    let database = &visit.app.database;
    let all = outbox::destinations(database, &acting, now).await?;
    let (mut status, mut problem) =
        (StatusCode::OK, query.one("problem").and_then(|it| texts.code_if_any("exchange-problem-", it)));
    let behind: Option<u64> = query.one("behind").and_then(|text| text.parse().ok());
    let mut found = match filter_of(&query) {
        Ok(filter) => outbox::deliveries(database, &acting, &filter, behind, PAGE + 1).await?,
        Err(()) => {
            status = StatusCode::UNPROCESSABLE_ENTITY;
            problem = Some(texts.t("exchange-bad-filter"));
            Vec::new()
        }
    };
    let has_more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|line| format!("/exchange{}", query.with("behind", Some(&line.change.to_string()))));
    let opened = query.one("open");
    let lines: Vec<Line> = found.iter().map(|it| line(it, &query, opened, &texts, &times, now)).collect();
    let open = found.iter().map(|it| line(it, &query, opened, &texts, &times, now)).find(|line| line.is_open);
    let one = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let typed = Typed { destination: one("destination"), state: one("state"), kind: one("kind") };
    let page = Page {
        destinations: all.iter().map(|it| destination(it, &texts, &times, now)).collect(),
        lines,
        open,
        names: all.into_iter().map(|line| line.name).collect(),
        states: DeliveryState::ALL.iter().map(|s| (s.as_str(), texts.code("exchange-state-", s.as_str()))).collect(),
        kinds: ChangeKind::ALL.iter().map(|k| (k.as_str(), texts.code("exchange-kind-", k.as_str()))).collect(),
        is_filtered: !(typed.destination.is_empty() && typed.state.is_empty() && typed.kind.is_empty()),
        typed,
        is_first: behind.is_none(),
        first: format!("/exchange{}", query.with("behind", None)),
        next,
        export: format!("/exchange.csv{}", query.with("behind", None)),
        may_change: acting.rights.allows(Permission::ExchangeManage),
        problem,
        done: query.one("done").and_then(|done| texts.code_if_any("exchange-done-", done)),
        frame: Frame::new(&visit, "exchange"),
    };
    render(status, &page)
}

/// `GET /exchange.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let acting = visit.acting()?;
    let filter = filter_of(&query).map_err(|()| Fault::Invalid)?;
    let mut lines: Vec<DeliveryLine> = Vec::new();
    loop {
        let behind = lines.last().map(|line| line.change);
        let chunk = outbox::deliveries(&visit.app.database, &acting, &filter, behind, CHUNK).await?;
        let is_last = chunk.len() < CHUNK as usize;
        lines.extend(chunk);
        if is_last || lines.len() >= EXPORT_MAX {
            break;
        }
    }
    let mut disclosure = Disclosure::export(&acting, "/exchange.csv", &[Class::Technical]);
    disclosure.records = lines.len().try_into().unwrap_or(u64::MAX);
    disclosures::register(&visit.app.database, &acting, disclosure, None, visit.app.now()).await?;
    let mut csv = Csv::new(&[
        "destination",
        "change",
        "kind",
        "happened",
        "state",
        "tries",
        "queued",
        "ended",
        "fault",
        "detail",
    ]);
    for line in lines {
        csv.row(&[
            line.destination,
            line.change.to_string(),
            line.kind.as_str().to_owned(),
            line.happened.map(UtcMillis::to_rfc3339).unwrap_or_default(),
            line.state.as_str().to_owned(),
            line.attempts.to_string(),
            line.queued.to_rfc3339(),
            line.ended.map(UtcMillis::to_rfc3339).unwrap_or_default(),
            line.fault.as_ref().map(|fault| fault.code.as_str().to_owned()).unwrap_or_default(),
            line.fault.map(|fault| fault.detail).unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("exchange.csv"))
}

/// A form of the page: for which destination, and for which delivery, where it is about one.
struct Asked {
    name: String,
    change: Option<u64>,
    why: String,
}

fn read(body: &Bytes) -> Result<Asked, Fault> {
    let typed = Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?);
    let name = typed.one("destination").filter(|name| outbox::is_name(name)).ok_or(Fault::Invalid)?.to_owned();
    let change = typed.one("change").map(|text| text.parse().map_err(|_| Fault::Invalid)).transpose()?;
    Ok(Asked { name, change, why: typed.one("why").unwrap_or_default().to_owned() })
}

/// Back to the page, with what was done or why it was not.
fn answer<T>(asked: &Asked, outcome: Result<T, OutboxError>, done: &str) -> Result<Response, Fault> {
    match (outcome, asked.change) {
        (Ok(_), _) => Ok(go(&format!("/exchange?done={done}"))),
        (Err(OutboxError::NoReason), Some(change)) => {
            let name = &asked.name;
            Ok(go(&format!("/exchange?destination={name}&state=all&open={name}%3A{change}&problem=reason#letter")))
        }
        (Err(OutboxError::NoReason), None) => Ok(go("/exchange?problem=reason")),
        (Err(OutboxError::Unknown | OutboxError::BadName), _) => Ok(go("/exchange?problem=unknown")),
        (Err(error), _) => Err(error.into()),
    }
}

/// `POST /exchange/pause`
pub async fn pause(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let asked = read(&body)?;
    let outcome = outbox::pause(&visit.app.database, &visit.acting()?, &asked.name, visit.app.now()).await;
    answer(&asked, outcome, "paused")
}

/// `POST /exchange/resume`: goes on, also with a destination that is held back because it fails.
pub async fn resume(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let asked = read(&body)?;
    let outcome = outbox::resume(&visit.app.database, &visit.acting()?, &asked.name, visit.app.now()).await;
    answer(&asked, outcome, "resumed")
}

/// `POST /exchange/retry`: one delivery, or all dead letters of a destination.
pub async fn retry(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let asked = read(&body)?;
    let (database, acting, now) = (&visit.app.database, visit.acting()?, visit.app.now());
    let outcome = outbox::retry(database, &acting, &asked.name, asked.change, now).await;
    answer(&asked, outcome, "retried")
}

/// `POST /exchange/give-up`: one delivery, with a reason.
pub async fn give_up(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let asked = read(&body)?;
    let change = asked.change.ok_or(Fault::Invalid)?;
    let (database, acting, now) = (&visit.app.database, visit.acting()?, visit.app.now());
    let outcome = outbox::give_up(database, &acting, &asked.name, Some(change), &asked.why, now).await;
    answer(&asked, outcome, "given_up")
}

#[cfg(test)]
mod tests {
    use clinic::outbox::FaultCode;

    use super::*;
    use crate::language::Language;

    #[test]
    fn every_code_of_an_exchange_has_words_in_both_languages() {
        let mut missing = Vec::new();
        for language in [Language::En, Language::Ru] {
            let texts = language.texts();
            let mut ask = |prefix: &str, code: &str| {
                if texts.code_if_any(prefix, code).is_none() {
                    missing.push(format!("{} {prefix}{code}", language.code()));
                }
            };
            FaultCode::ALL.iter().for_each(|code| ask("exchange-fault-", code.as_str()));
            DeliveryState::ALL.iter().for_each(|code| ask("exchange-state-", code.as_str()));
            ChangeKind::ALL.iter().for_each(|code| ask("exchange-kind-", code.as_str()));
            ["paused", "resumed", "retried", "given_up"].iter().for_each(|code| ask("exchange-done-", code));
            ["reason", "unknown"].iter().for_each(|code| ask("exchange-problem-", code));
        }
        assert_eq!(missing, Vec::<String>::new());
    }
}
