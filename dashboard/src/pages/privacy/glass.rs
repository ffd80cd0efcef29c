//! Breaking glass: the form for those who may, the queue and the review for those who answer.

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::Response;
use clinic::break_glass::{
    self, Case, GlassError, MINUTES_DEFAULT, MINUTES_MAX, MINUTES_MIN, Queue, REASON_MAX_CHARS, REASON_MIN_CHARS,
    Verdict,
};
use serde::Deserialize;

use super::{Choice, Names, choices, code_of};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Times offered, in minutes.
const OFFERED: [i64; 5] = [15, 30, 60, 120, 240];
const MINUTE_MS: i64 = 60_000;

#[derive(Template)]
#[template(path = "privacy/glass_break.html")]
struct Break {
    frame: Frame,
    problem: Option<(&'static str, String)>,
    reason: String,
    minutes: i64,
    offered: [i64; 5],
    least: usize,
    most: usize,
    done: Option<String>,
}

/// `GET /glass/break`
pub async fn ask(visit: Visit, query: Query) -> Result<Response, Fault> {
    let done = query.one("done").and_then(|done| visit.texts().code_if_any("glass-done-", done));
    form(&visit, StatusCode::OK, None, String::new(), MINUTES_DEFAULT, done)
}

fn form(
    visit: &Visit,
    status: StatusCode,
    problem: Option<(&'static str, String)>,
    reason: String,
    minutes: i64,
    done: Option<String>,
) -> Result<Response, Fault> {
    let frame = Frame::new(visit, "glass-break");
    let (least, most) = (REASON_MIN_CHARS, REASON_MAX_CHARS);
    render(status, &Break { frame, problem, reason, minutes, offered: OFFERED, least, most, done })
}

/// What was typed.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    minutes: i64,
}

/// `POST /glass/break`
pub async fn start(visit: Visit, Form(asked): Form<Asked>) -> Result<Response, Fault> {
    let (texts, now) = (visit.texts(), visit.app.now());
    let started = break_glass::start(&visit.app.database, &visit.acting()?, &asked.reason, asked.minutes, now).await;
    let problem = match started {
        Ok(_) => return Ok(go("/glass/break?done=broken")),
        Err(GlassError::BadReason) => ("reason", texts.n("glass-bad-reason", REASON_MIN_CHARS)),
        Err(GlassError::BadTime) => ("minutes", texts.a("glass-bad-time", &format!("{MINUTES_MIN}–{MINUTES_MAX}"))),
        Err(GlassError::AlreadyOpen(open)) => {
            ("reason", texts.a("glass-already-open", &visit.times().clock(open.ends)))
        }
        Err(other) => return Err(other.into()),
    };
    form(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(problem), asked.reason, asked.minutes, None)
}

/// `POST /glass/end`: one's own.
pub async fn end(visit: Visit) -> Result<Response, Fault> {
    let Some(glass) = &visit.signed_in()?.glass else { return Ok(go("/glass/break")) };
    break_glass::end(&visit.app.database, &visit.acting()?, &glass.id, visit.app.now()).await?;
    Ok(go("/glass/break?done=ended"))
}

#[derive(Template)]
#[template(path = "privacy/glass.html")]
struct List {
    frame: Frame,
    lines: Vec<Line>,
    queues: Vec<Choice>,
    queue: String,
    export: String,
}

struct Line {
    link: String,
    day: String,
    clock: String,
    who: String,
    reason: String,
    minutes: i64,
    tone: &'static str,
    state: String,
}

fn line(visit: &Visit, case: &Case, who: String) -> Line {
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    let (tone, state) = state(case, &visit.texts(), now);
    let end = case.ended.map_or(case.glass.ends, |(at, _)| at).min(now);
    Line {
        link: format!("/glass/{}", case.glass.id),
        day: times.day(case.glass.started),
        clock: times.clock(case.glass.started),
        who,
        reason: if case.reason.is_empty() { texts.t("glass-words-gone") } else { case.reason.clone() },
        minutes: (end.since_ms(case.glass.started) + MINUTE_MS - 1) / MINUTE_MS,
        tone,
        state,
    }
}

fn state(case: &Case, texts: &crate::language::Texts, now: domain::UtcMillis) -> (&'static str, String) {
    match &case.review {
        Some(review) if review.verdict == Verdict::Justified => ("ok", texts.code("verdict-", review.verdict.as_str())),
        Some(review) => ("bad", texts.code("verdict-", review.verdict.as_str())),
        None if case.is_open(now) => ("warn", texts.t("glass-open")),
        None => ("info", texts.t("glass-waits")),
    }
}

async fn cases(visit: &Visit, query: &Query) -> Result<(Queue, Vec<Case>), Fault> {
    let queue = code_of(query, "show", Queue::parse)?.unwrap_or(Queue::All);
    let found = break_glass::list(&visit.app.database, &visit.acting()?, queue, visit.app.now()).await?;
    Ok((queue, found))
}

/// `GET /glass`
pub async fn list(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (queue, found) = cases(&visit, &query).await?;
    let (mut names, mut lines) = (Names::default(), Vec::new());
    for case in &found {
        let who = names.of(&visit, &case.account).await?;
        lines.push(line(&visit, case, who));
    }
    let queues = choices(visit.texts(), "glass-queue-", Queue::ALL.iter().map(|it| it.as_str()));
    let export = format!("/glass.csv{}", query.with("", None));
    render(
        StatusCode::OK,
        &List { frame: Frame::new(&visit, "glass"), lines, queues, queue: queue.to_string(), export },
    )
}

/// `GET /glass.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (_, found) = cases(&visit, &query).await?;
    let times = visit.times();
    let mut csv = Csv::new(&["id", "account", "started", "ends", "ended", "ended_why", "verdict", "reviewer"]);
    for case in &found {
        let (ended, why) = case.ended.map_or_else(Default::default, |(at, why)| (times.exact(at), why.to_string()));
        let (verdict, reviewer) = case
            .review
            .as_ref()
            .map_or_else(Default::default, |review| (review.verdict.to_string(), review.by.clone()));
        csv.row(&[
            case.glass.id.clone(),
            case.account.clone(),
            times.exact(case.glass.started),
            times.exact(case.glass.ends),
            ended,
            why,
            verdict,
            reviewer,
        ]);
    }
    super::disclosures::note(&visit, "/glass.csv", found.len()).await?;
    Ok(csv.into_response("glass.csv"))
}

#[derive(Template)]
#[template(path = "privacy/glass_case.html")]
struct Whole {
    frame: Frame,
    line: Line,
    id: String,
    address: Option<String>,
    until: String,
    ended: Option<(String, String)>,
    looks: Vec<Look>,
    review: Option<(String, String, String)>,
    may_review: bool,
    is_own: bool,
    is_open: bool,
    verdicts: Vec<Choice>,
    problem: Option<String>,
    comment: String,
    least: usize,
}

struct Look {
    when: String,
    number: u64,
    what: String,
    person: Option<(String, String)>,
    fields: String,
    purpose: String,
}

/// `GET /glass/{id}`
pub async fn case(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    whole(&visit, StatusCode::OK, &id, None, String::new()).await
}

async fn whole(
    visit: &Visit,
    status: StatusCode,
    id: &str,
    problem: Option<String>,
    comment: String,
) -> Result<Response, Fault> {
    let (acting, now, database) = (visit.acting()?, visit.app.now(), &visit.app.database);
    let case = break_glass::of(database, &acting, id).await?;
    let looks = break_glass::looked_at(database, &acting, id, now).await?;
    let (texts, times, mut names) = (visit.texts(), visit.times(), Names::default());
    let who = names.of(visit, &case.account).await?;
    let review = match &case.review {
        Some(review) => Some((names.of(visit, &review.by).await?, times.full(review.at), review.comment.clone())),
        None => None,
    };
    let looks = looks
        .into_iter()
        .map(|look| Look {
            when: times.clock(look.at),
            number: look.number,
            what: texts.code("action-", &look.action),
            person: look.subject.map(|person| (person.to_string(), short_id(&person.to_string()))),
            fields: look
                .fields
                .split([',', ' '])
                .filter(|code| !code.is_empty())
                .map(|code| texts.code("field-", code))
                .collect::<Vec<_>>()
                .join(", "),
            purpose: look.purpose.map(|code| texts.code("audit-purpose-", &code)).unwrap_or_default(),
        })
        .collect();
    let is_own = acting.account() == Some(case.account.as_str());
    let is_open = case.is_open(now);
    let page = Whole {
        frame: Frame::new(visit, "glass"),
        line: line(visit, &case, who),
        id: case.glass.id.clone(),
        address: case.address.clone(),
        until: times.full(case.glass.ends),
        ended: case.ended.map(|(at, why)| (times.full(at), texts.code("glass-ended-", why.as_str()))),
        looks,
        may_review: !is_own && !is_open && review.is_none(),
        review,
        is_own,
        is_open,
        verdicts: choices(texts, "verdict-", Verdict::ALL.iter().map(|it| it.as_str())),
        problem,
        comment,
        least: REASON_MIN_CHARS,
    };
    render(status, &page)
}

/// A verdict, as typed.
#[derive(Deserialize)]
pub struct Judged {
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    comment: String,
}

/// `POST /glass/{id}/review`
pub async fn review(visit: Visit, Path(id): Path<String>, Form(judged): Form<Judged>) -> Result<Response, Fault> {
    let texts = visit.texts();
    let Some(verdict) = Verdict::parse(&judged.verdict) else {
        let problem = Some(texts.t("glass-choose-verdict"));
        return whole(&visit, StatusCode::UNPROCESSABLE_ENTITY, &id, problem, judged.comment).await;
    };
    let (acting, now) = (visit.acting()?, visit.app.now());
    let problem = match break_glass::review(&visit.app.database, &acting, &id, verdict, &judged.comment, now).await {
        Ok(()) => return Ok(go(&format!("/glass/{id}"))),
        Err(GlassError::BadReason) => texts.n("glass-bad-comment", REASON_MIN_CHARS),
        Err(GlassError::Own) => texts.t("glass-own"),
        Err(GlassError::NotReviewable) => texts.t("glass-not-reviewable"),
        Err(other) => return Err(other.into()),
    };
    whole(&visit, StatusCode::UNPROCESSABLE_ENTITY, &id, Some(problem), judged.comment).await
}

/// `POST /glass/{id}/end`: another's, by a reviewer.
pub async fn stop(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    break_glass::end(&visit.app.database, &visit.acting()?, &id, visit.app.now()).await?;
    Ok(go(&format!("/glass/{id}")))
}
