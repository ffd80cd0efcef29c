//! What was done without the card, for who reviews it: the queue with its deadlines, one case with its words, the verdict,
//! and how often each specialist does it.

use askama::Template;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::irregular::{Case, Counts, Filter, IrregularError, LIST_MAX, Position, Queue, Told};
use domain::visit::{IrregularVerdict, OutOfCardCode, OutOfCardKind};
use domain::{PersonId, UtcMillis};

use crate::csv::{Csv, ROWS_MAX};
use crate::faces::Faces;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::{label, short_id};

/// Cases of one page.
const PAGE: u32 = 50;
/// The rates are those of so many days.
const RATE_DAYS: i64 = 31;
const DAY_MS: i64 = 24 * 3_600_000;
/// Specialists in the table of rates.
const RATES_MAX: usize = 20;

#[derive(Template)]
#[template(path = "irregular.html")]
struct Page {
    frame: Frame,
    counts: Counts,
    lines: Vec<Line>,
    queues: Vec<Choice>,
    codes: Vec<Choice>,
    kinds: Vec<Choice>,
    staff: String,
    open: Option<Open>,
    rates: Vec<RateRow>,
    finding: String,
    next: Option<String>,
    export: String,
    done: Option<String>,
    problem: Option<String>,
    back: String,
    comment: String,
}

struct Choice {
    code: &'static str,
    text: String,
    is_set: bool,
}

struct Line {
    link: String,
    day: String,
    clock: String,
    what: String,
    reason: String,
    who: String,
    patient: String,
    tone: &'static str,
    state: String,
    is_open: bool,
}

struct Open {
    id: String,
    title: String,
    tone: &'static str,
    state: String,
    words: Option<String>,
    comment: Option<String>,
    facts: Vec<(String, String)>,
    verdicts: Vec<Choice>,
    may_review: bool,
}

struct RateRow {
    who: String,
    visits: u64,
    without: u64,
    cases: u64,
    misuse: u64,
    rate: String,
    share: u64,
}

fn who(faces: &Faces, person: Option<PersonId>) -> String {
    let short = |person: PersonId| short_id(&person.to_string());
    person
        .map_or_else(|| "—".to_owned(), |person| faces.name(Some(person)).map_or_else(|| short(person), str::to_owned))
}

fn filter_of(query: &Query) -> Result<Filter, Fault> {
    let mut filter = Filter::default();
    if let Some(text) = query.one("queue") {
        filter.queue = Queue::parse(text).ok_or(Fault::Invalid)?;
    }
    if let Some(text) = query.one("code") {
        filter.code = Some(OutOfCardCode::parse(text).ok_or(Fault::Invalid)?);
    }
    if let Some(text) = query.one("kind") {
        filter.kind = Some(OutOfCardKind::parse(text).ok_or(Fault::Invalid)?);
    }
    if let Some(text) = query.one("staff") {
        filter.staff = Some(text.parse().map_err(|_| Fault::Invalid)?);
    }
    Ok(filter)
}

fn position_of(query: &Query) -> Option<Position> {
    let (at, id) = query.one("behind")?.split_once(':')?;
    Some(Position { at: UtcMillis(at.parse().ok()?), id: id.to_owned() })
}

/// Tone and words of how far the review of a case is.
fn state(visit: &Visit, case: &Case) -> (&'static str, String) {
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    match &case.review {
        Some(review) => {
            let tone = match review.verdict {
                IrregularVerdict::Regular => "ok",
                IrregularVerdict::Irregular => "warn",
                IrregularVerdict::Misuse => "bad",
            };
            (tone, texts.code("verdict-", review.verdict.as_str()))
        }
        None if case.is_overdue(now) => ("bad", texts.a("irregular-overdue-by", &times.span(now.since_ms(case.due)))),
        None => ("info", texts.a("irregular-due-in", &times.span(case.due.since_ms(now)))),
    }
}

fn line(visit: &Visit, query: &Query, case: &Case, faces: &Faces, open: Option<&str>) -> Line {
    let (texts, times) = (visit.texts(), visit.times());
    let (tone, state) = state(visit, case);
    Line {
        link: format!("/irregular{}#case", query.with("open", Some(&case.id))),
        day: times.day(case.at),
        clock: times.clock(case.at),
        what: texts.code("out-of-card-kind-", case.kind.as_str()),
        reason: texts.code("out-of-card-", case.code.as_str()),
        who: who(faces, case.staff),
        patient: who(faces, case.patient),
        tone,
        state,
        is_open: open == Some(case.id.as_str()),
    }
}

fn opened(visit: &Visit, told: &Told, faces: &Faces, chosen: Option<&str>) -> Open {
    let (texts, times) = (visit.texts(), visit.times());
    let case = &told.case;
    let (tone, state) = state(visit, case);
    let mut facts = vec![
        (texts.t("irregular-when"), times.full(case.at)),
        (texts.t("visits-specialist"), who(faces, case.staff)),
        (texts.t("visits-patient"), who(faces, case.patient)),
        (texts.t("irregular-reason"), texts.code("out-of-card-", case.code.as_str())),
    ];
    if let Some(zone) = &case.zone {
        facts.push((texts.t("visits-room"), label(zone.as_str())));
    }
    if let Some(source) = &case.source {
        facts.push((texts.t("irregular-source"), source.clone()));
    }
    if let Some(one) = &told.visit {
        let until = one.ended.map_or_else(|| texts.t("day-running"), |(at, _)| times.clock(at));
        facts.push((texts.t("irregular-visit"), format!("{} · {}–{until}", one.no, times.clock(one.started))));
    }
    facts.push((texts.t("irregular-due"), times.full(case.due)));
    facts.push((texts.t("irregular-entry"), case.entry.to_string()));
    if let Some(review) = &case.review {
        facts.push((texts.t("irregular-reviewed"), times.full(review.at)));
    }
    Open {
        id: case.id.clone(),
        title: texts.code("out-of-card-kind-", case.kind.as_str()),
        tone,
        state,
        words: told.words.clone(),
        comment: told.comment.clone(),
        facts,
        verdicts: IrregularVerdict::ALL
            .iter()
            .map(|it| Choice {
                code: it.as_str(),
                text: texts.code("verdict-", it.as_str()),
                is_set: chosen == Some(it.as_str()),
            })
            .collect(),
        may_review: case.review.is_none(),
    }
}

/// `GET /irregular`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query, None).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("irregular-done-", done));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query, chosen: Option<&str>) -> Result<Page, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, texts, now) = (visit.acting()?, visit.texts(), visit.app.now());
    let irregular = &visit.app.irregular;
    let filter = filter_of(query)?;
    let (cases, next) = irregular.list(&acting, &filter, position_of(query).as_ref(), PAGE).await?;
    let counts = irregular.counts(&acting).await?;
    let rates = irregular.rates(&acting, now.plus_ms(-RATE_DAYS * DAY_MS), now.plus_ms(1)).await?;
    let told = match query.one("open") {
        Some(id) => match irregular.of(&acting, id).await {
            Ok(told) => Some(told),
            Err(IrregularError::NotFound) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let persons = cases.iter().flat_map(|case| [case.staff, case.patient]).flatten();
    let persons = persons.chain(rates.iter().take(RATES_MAX).map(|rate| rate.staff));
    let persons = persons.chain(told.iter().flat_map(|told| [told.case.staff, told.case.patient]).flatten()).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Incident).await?;
    let rate = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
    let (all_visits, all_without): (u64, u64) =
        rates.iter().fold((0, 0), |(visits, without), rate| (visits + rate.visits, without + rate.without_card));
    let most = rates.iter().map(|rate| rate.per_100_in_tenths()).max().unwrap_or(0).max(1);
    let choice = |code: &'static str, prefix: &str, set: Option<&str>| Choice {
        code,
        text: texts.code(prefix, code),
        is_set: set == Some(code),
    };
    Ok(Page {
        frame: Frame::new(visit, "irregular"),
        lines: cases.iter().map(|case| line(visit, query, case, &faces, query.one("open"))).collect(),
        queues: Queue::ALL
            .iter()
            .map(|it| choice(it.as_str(), "irregular-queue-", Some(filter.queue.as_str())))
            .collect(),
        codes: OutOfCardCode::ALL.iter().map(|it| choice(it.as_str(), "out-of-card-", query.one("code"))).collect(),
        kinds: OutOfCardKind::ALL
            .iter()
            .map(|it| choice(it.as_str(), "out-of-card-kind-", query.one("kind")))
            .collect(),
        staff: query.one("staff").unwrap_or_default().to_owned(),
        open: told.as_ref().map(|told| opened(visit, told, &faces, chosen)),
        finding: match all_visits {
            0 => texts.t("irregular-rates-none"),
            visits => texts.with(
                "irregular-finding",
                &[
                    ("rate", rate(all_without * 1000 / visits)),
                    ("without", all_without.to_string()),
                    ("visits", visits.to_string()),
                ],
            ),
        },
        rates: rates
            .iter()
            .take(RATES_MAX)
            .map(|it| RateRow {
                who: who(&faces, Some(it.staff)),
                visits: it.visits,
                without: it.without_card,
                cases: it.cases,
                misuse: it.misuse,
                rate: rate(it.per_100_in_tenths()),
                share: it.per_100_in_tenths() * 100 / most,
            })
            .collect(),
        next: next.map(|next| {
            let behind = format!("{}:{}", next.at.0, next.id);
            format!("/irregular{}", query.with("behind", Some(&behind)))
        }),
        export: format!("/irregular.csv{}", query.with("open", None)),
        back: format!("/irregular{}", query.with("open", None)),
        counts,
        done: None,
        problem: None,
        comment: String::new(),
    })
}

/// `POST /irregular/{id}`: the verdict.
pub async fn review(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let typed = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let texts = visit.texts();
    let comment = typed.one("comment").unwrap_or_default();
    let verdict = typed.one("verdict").and_then(IrregularVerdict::parse);
    let problem = match verdict {
        None => texts.t("irregular-no-verdict"),
        Some(verdict) => match visit.app.irregular.review(&visit.acting()?, &id, verdict, comment).await {
            Ok(_) => return Ok(go("/irregular?done=reviewed")),
            Err(IrregularError::BadReason) => texts.t("irregular-bad-comment"),
            Err(IrregularError::Own) => texts.t("irregular-own"),
            Err(IrregularError::Reviewed) => texts.t("irregular-already"),
            Err(error) => return Err(error.into()),
        },
    };
    let query = Query::default().with("open", Some(&id));
    let mut page = page(&visit, &Query::read(query.trim_start_matches('?')), typed.one("verdict")).await?;
    page.problem = Some(problem);
    page.comment = comment.to_owned();
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `GET /irregular.csv`: by pseudonym and without words.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let acting = visit.acting()?;
    let filter = filter_of(&query)?;
    let times = visit.times();
    let mut csv =
        Csv::new(&["id", "at", "what", "reason", "staff", "patient", "visit", "room", "due", "verdict", "entry"]);
    let (mut behind, mut rows) = (None, 0);
    loop {
        let (cases, next) = visit.app.irregular.list(&acting, &filter, behind.as_ref(), LIST_MAX).await?;
        rows += cases.len();
        for case in &cases {
            csv.row(&[
                case.id.clone(),
                times.exact(case.at),
                case.kind.to_string(),
                case.code.to_string(),
                case.staff.map(|it| it.to_string()).unwrap_or_default(),
                case.patient.map(|it| it.to_string()).unwrap_or_default(),
                case.visit.clone().unwrap_or_default(),
                case.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
                times.exact(case.due),
                case.review.as_ref().map(|review| review.verdict.to_string()).unwrap_or_default(),
                case.entry.to_string(),
            ]);
        }
        match next {
            Some(next) if rows < ROWS_MAX => behind = Some(next),
            _ => break,
        }
    }
    Ok(csv.into_response("irregular.csv"))
}
