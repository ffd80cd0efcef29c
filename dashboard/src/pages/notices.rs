//! E-mail notices: what was to be told to whom, and whether it arrived.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::notices::{NoticeFilter, NoticeKind, NoticeLine, NoticePlace, NoticeState};
use domain::UtcMillis;

use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::times::Times;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Lines of one page.
const PAGE: i64 = 50;
/// Lines read at once for an export.
const CHUNK: i64 = 500;
/// Lines of one export at most.
const EXPORT_MAX: usize = 20_000;

#[derive(Template)]
#[template(path = "notices.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    typed: Typed,
    states: Vec<(&'static str, String)>,
    kinds: Vec<(&'static str, String)>,
    is_filtered: bool,
    is_first: bool,
    first: String,
    next: Option<String>,
    export: String,
    problem: Option<String>,
    done: Option<String>,
}

/// What the list is narrowed to, as typed.
struct Typed {
    q: String,
    state: String,
    kind: String,
    from: String,
    until: String,
}

struct Line {
    at: String,
    what: String,
    reader: String,
    tone: &'static str,
    state: String,
    story: String,
}

fn filter_of(visit: &Visit, query: &Query) -> Result<NoticeFilter, ()> {
    let times = visit.times();
    let instant = |key: &str| match query.one(key) {
        None => Ok(None),
        Some(text) => times.read_field(text).map(Some).ok_or(()),
    };
    Ok(NoticeFilter {
        state: query.one("state").map(|code| NoticeState::parse(code).ok_or(())).transpose()?,
        kind: query.one("kind").map(|code| NoticeKind::parse(code).ok_or(())).transpose()?,
        login: query.one("q").unwrap_or_default().chars().take(64).collect(),
        from: instant("from")?,
        until: instant("until")?,
    })
}

fn behind(query: &Query) -> Option<NoticePlace> {
    let (at, id) = query.one("behind")?.split_once(':')?;
    Some(NoticePlace { at: UtcMillis(at.parse().ok()?), id: id.to_owned() })
}

fn place_of(line: &NoticeLine) -> NoticePlace {
    NoticePlace { at: line.at, id: line.id.clone() }
}

/// Who reads it: one account, or everybody with a permission.
fn reader(line: &NoticeLine, texts: &Texts) -> String {
    match (&line.login, line.permission) {
        (Some(login), _) => login.clone(),
        (None, Some(permission)) => texts.a("notice-to-all", &texts.code("permission-", permission.as_str())),
        (None, None) => texts.t("notice-to-nobody"),
    }
}

/// What came of it, in a sentence.
fn story(line: &NoticeLine, texts: &Texts, times: &Times, now: UtcMillis) -> String {
    let mut parts = Vec::new();
    if let Some(reply) = &line.reply {
        parts.push(texts.code("notice-reply-", reply.code.as_str()));
        if !reply.words.is_empty() {
            parts.push(texts.a("notice-said", &reply.words));
        }
    }
    match (line.state, line.ended_at) {
        (NoticeState::Sent, Some(at)) => parts.push(texts.a("notice-sent-at", &times.full(at))),
        (NoticeState::Failed, _) => {
            parts.push(texts.n("notice-tries", line.attempts));
            parts.push(texts.a("notice-next", &times.span(line.due_at.since_ms(now).max(0))));
        }
        _ => {}
    }
    parts.join(" ")
}

/// `GET /notices`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, texts, times, now) = (visit.acting()?, visit.texts(), visit.times(), visit.app.now());
    let (mut status, mut problem) = (StatusCode::OK, None);
    let place = behind(&query);
    let mut found = match filter_of(&visit, &query) {
        Ok(filter) => visit.app.notices.list(&acting, &filter, place.as_ref(), PAGE + 1).await?,
        Err(()) => {
            status = StatusCode::UNPROCESSABLE_ENTITY;
            problem = Some(texts.t("notices-bad-filter"));
            Vec::new()
        }
    };
    let page_lines = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let has_more = found.len() > page_lines;
    found.truncate(page_lines);
    let next = found.last().filter(|_| has_more).map(|line| {
        let place = place_of(line);
        format!("/notices{}", query.with("behind", Some(&format!("{}:{}", place.at.0, place.id))))
    });
    let lines = found.iter().map(|line| Line {
        at: times.full(line.at),
        what: texts.code("notice-kind-", line.kind.as_str()),
        reader: reader(line, &texts),
        tone: match line.state {
            NoticeState::Queued => "info",
            NoticeState::Sent => "ok",
            NoticeState::Failed => "warn",
            NoticeState::GaveUp => "bad",
        },
        state: texts.code("notice-state-", line.state.as_str()),
        story: story(line, &texts, &times, now),
    });
    let lines: Vec<Line> = lines.collect();
    let one = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let typed = Typed { q: one("q"), state: one("state"), kind: one("kind"), from: one("from"), until: one("until") };
    let is_filtered = [&typed.q, &typed.state, &typed.kind, &typed.from, &typed.until].iter().any(|t| !t.is_empty());
    let page = Page {
        lines,
        typed,
        states: NoticeState::ALL.iter().map(|s| (s.as_str(), texts.code("notice-state-", s.as_str()))).collect(),
        kinds: NoticeKind::ALL.iter().map(|k| (k.as_str(), texts.code("notice-kind-", k.as_str()))).collect(),
        is_filtered,
        is_first: place.is_none(),
        first: format!("/notices{}", query.with("behind", None)),
        next,
        export: format!("/notices.csv{}", query.with("behind", None)),
        problem,
        done: query.one("done").and_then(|done| texts.code_if_any("notices-done-", done)),
        frame: Frame::new(&visit, "notices"),
    };
    render(status, &page)
}

/// `GET /notices.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let filter = filter_of(&visit, &query).map_err(|()| Fault::Invalid)?;
    let mut lines: Vec<NoticeLine> = Vec::new();
    loop {
        let place = lines.last().map(place_of);
        let chunk = visit.app.notices.list(&acting, &filter, place.as_ref(), CHUNK).await?;
        let is_last = i64::try_from(chunk.len()).is_ok_and(|read| read < CHUNK);
        lines.extend(chunk);
        if is_last || lines.len() >= EXPORT_MAX {
            break;
        }
    }
    let mut disclosure = Disclosure::export(&acting, "/notices.csv", &[Class::Account]);
    disclosure.records = lines.len().try_into().unwrap_or(u64::MAX);
    disclosures::register(&visit.app.database, &acting, disclosure, None, visit.app.now()).await?;
    let mut csv = Csv::new(&["happened", "kind", "to", "state", "tries", "ended", "why", "server_said"]);
    for line in lines {
        csv.row(&[
            line.at.to_rfc3339(),
            line.kind.as_str().to_owned(),
            reader(&line, &texts),
            line.state.as_str().to_owned(),
            line.attempts.to_string(),
            line.ended_at.map(UtcMillis::to_rfc3339).unwrap_or_default(),
            line.reply.as_ref().map(|reply| reply.code.as_str().to_owned()).unwrap_or_default(),
            line.reply.map(|reply| reply.words).unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("notices.csv"))
}

/// `POST /notices/test`: a notice to oneself.
pub async fn test(visit: Visit) -> Result<Response, Fault> {
    let email = visit.app.accounts.email_state(visit.signed_in()?).await?;
    if email.address.is_none() {
        return Ok(go("/notices?done=no_address"));
    }
    visit.app.notices.send_test(&visit.acting()?).await?;
    Ok(go("/notices?done=test"))
}
