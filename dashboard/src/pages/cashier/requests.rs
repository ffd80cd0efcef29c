//! What one person asks for and another must allow: write-offs, and money given back. Whoever decides says why, in words;
//! what one has asked for oneself shows no form, and the till would refuse it.

use askama::Template;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::till::requests::{REQUESTS_MAX, Request, RequestFilter, RequestKind, RequestState};
use domain::Permission;

use super::account::name_of;
use super::{Choice, Hands, choices, explain, read, words_of};
use crate::csv::{Csv, ROWS_MAX};
use crate::faces::Faces;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Requests of one page.
const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "cashier/requests.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    states: Vec<Choice>,
    kinds: Vec<Choice>,
    open: Option<Open>,
    next: Option<String>,
    export: String,
    back: String,
    words: String,
    done: Option<String>,
    problem: Option<String>,
}

struct Line {
    link: String,
    no: u64,
    at: String,
    who: String,
    what: String,
    amount: String,
    reason: String,
    by: String,
    tone: &'static str,
    state: String,
    is_open: bool,
}

/// One request, opened.
struct Open {
    id: String,
    title: String,
    amount: String,
    tone: &'static str,
    state: String,
    facts: Vec<(String, String)>,
    account: String,
    /// Whether this visitor decides it.
    may_decide: bool,
    is_own: bool,
    allow: String,
    /// What was said when it was asked for and when it was decided, for whoever decides.
    asked_words: Option<String>,
    decided_words: Option<String>,
}

fn reason(texts: &Texts, request: &Request) -> String {
    let prefix = match request.kind {
        RequestKind::WriteOff => "cashier-write-off-",
        RequestKind::Refund => "cashier-refund-",
    };
    texts.code(prefix, &request.reason)
}

fn tone_of(state: RequestState) -> &'static str {
    match state {
        RequestState::Asked => "warn",
        RequestState::Allowed => "ok",
        RequestState::Refused => "bad",
    }
}

/// Open ones unless something else is asked for.
fn filter_of(query: &Query) -> Result<RequestFilter, Fault> {
    Ok(RequestFilter {
        state: match query.one("state") {
            Some("any") => None,
            Some(text) => Some(RequestState::parse(text).ok_or(Fault::Invalid)?),
            None => Some(RequestState::Asked),
        },
        kind: query.one("kind").map(|text| RequestKind::parse(text).ok_or(Fault::Invalid)).transpose()?,
        before: query.one("before").map(|text| text.parse().map_err(|_| Fault::Invalid)).transpose()?,
        ..RequestFilter::default()
    })
}

/// `GET /till/requests`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|code| visit.texts().code_if_any("cashier-done-", code));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let filter = RequestFilter { limit: PAGE, ..filter_of(query)? };
    let requests = visit.app.till.requests(&acting, &filter).await?;
    let persons = requests.iter().map(|request| request.patient).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let mut hands = Hands::new(visit);
    let bare = Query::read(query.with("done", None).trim_start_matches('?'));
    let asked = query.one("open");
    let mut lines = Vec::with_capacity(requests.len());
    let mut open = None;
    for request in &requests {
        let is_open = asked == Some(request.id.as_str());
        let by = hands.name(&request.asked_kind, request.asked_by.as_deref()).await?;
        if is_open {
            open = Some(opened(visit, request, &faces, &mut hands, by.clone()).await?);
        }
        lines.push(Line {
            link: format!("/till/requests{}#request", bare.with("open", Some(&request.id))),
            no: request.no,
            at: times.full(request.asked),
            who: name_of(&faces, request.patient, &texts),
            what: texts.code("cashier-request-", request.kind.as_str()),
            amount: money::amount(&texts, request.currency, request.amount),
            reason: reason(&texts, request),
            by,
            tone: tone_of(request.state),
            state: texts.code("cashier-asked-", request.state.as_str()),
            is_open,
        });
    }
    let full = requests.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
    let mut states = choices(
        &texts,
        "cashier-asked-",
        RequestState::ALL.iter().map(|it| it.as_str()),
        Some(query.one("state").unwrap_or("asked")),
    );
    states.push(Choice { code: "any".to_owned(), text: texts.t("any"), is_set: query.one("state") == Some("any") });
    Ok(Page {
        frame: Frame::new(visit, "till-requests"),
        lines,
        states,
        kinds: choices(&texts, "cashier-request-", RequestKind::ALL.iter().map(|it| it.as_str()), query.one("kind")),
        open,
        next: requests
            .last()
            .filter(|_| full)
            .map(|last| format!("/till/requests{}", bare.with("before", Some(&last.no.to_string())))),
        export: format!("/till/requests.csv{}", query.with("open", None)),
        back: format!("/till/requests{}", bare.with("open", None)),
        words: String::new(),
        done: None,
        problem: None,
    })
}

async fn opened(
    visit: &Visit,
    request: &Request,
    faces: &Faces,
    hands: &mut Hands<'_>,
    by: String,
) -> Result<Open, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let me = visit.signed_in()?.account.id.as_str();
    let is_own = request.asked_kind == "account" && request.asked_by.as_deref() == Some(me);
    let amount = money::amount(&texts, request.currency, request.amount);
    let mut facts = vec![
        (texts.t("visits-patient"), name_of(faces, request.patient, &texts)),
        (texts.t("cashier-reason"), reason(&texts, request)),
        (texts.t("cashier-asked-by"), by),
        (texts.t("cashier-asked-at"), times.full(request.asked)),
    ];
    if let Some(method) = request.method {
        let how = match request.refunds {
            Some(_) => texts.t("cashier-to-the-card"),
            None => texts.code("till-method-", method.as_str()),
        };
        facts.push((texts.t("cashier-col-method"), how));
    }
    facts.push((texts.t("irregular-entry"), request.ask_entry.to_string()));
    if let Some(at) = request.decided {
        let kind = request.decided_kind.as_deref().unwrap_or_default();
        facts.push((texts.t("cashier-decided-by"), hands.name(kind, request.decided_by.as_deref()).await?));
        facts.push((texts.t("cashier-decided-at"), times.full(at)));
    }
    let said = match acting.rights.allows(Permission::TillApprove) {
        true => Some(visit.app.till.words_of_request(&acting, &request.id).await?),
        false => None,
    };
    let (asked_words, decided_words) = said.map_or((None, None), |said| (said.asked, said.decided));
    Ok(Open {
        asked_words,
        decided_words,
        id: request.id.clone(),
        title: texts.with("cashier-request-title", &[("no", request.no.to_string())]),
        allow: match request.kind {
            RequestKind::WriteOff => texts.a("cashier-allow-write-off", &amount),
            RequestKind::Refund => texts.a("cashier-allow-refund", &amount),
        },
        amount,
        tone: tone_of(request.state),
        state: texts.code("cashier-asked-", request.state.as_str()),
        facts,
        account: format!("/till/patient/{}", request.patient),
        may_decide: request.state == RequestState::Asked && !is_own && acting.rights.allows(Permission::TillApprove),
        is_own: request.state == RequestState::Asked && is_own,
    })
}

/// `POST /till/requests/{id}`: allowed or refused.
pub async fn decide(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let words = words_of(&form);
    let problem = match form.one("verdict") {
        Some(verdict @ ("allow" | "refuse")) => {
            match visit.app.terminals.decide_request(&acting, &id, verdict == "allow", &words).await {
                Ok(_) if verdict == "allow" => return Ok(go("/till/requests?done=allowed")),
                Ok(_) => return Ok(go("/till/requests?done=refused")),
                Err(error) => explain(&texts, visit.app.till.rules().currency, error)?,
            }
        }
        _ => texts.t("cashier-no-verdict"),
    };
    let query = Query::default().with("open", Some(&id));
    let query = Query::read(&format!("{}&state=any", query.trim_start_matches('?')));
    let mut page = page(&visit, &query).await?;
    page.problem = Some(problem);
    page.words = words;
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `GET /till/requests.csv`: by pseudonym and without words.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, times) = (visit.acting()?, visit.times());
    let mut filter = RequestFilter { limit: REQUESTS_MAX, ..filter_of(&query)? };
    let mut csv = Csv::new(&[
        "id",
        "no",
        "kind",
        "patient",
        "charge",
        "amount",
        "currency",
        "method",
        "reason",
        "state",
        "asked",
        "asked_kind",
        "asked_by",
        "decided",
        "decided_kind",
        "decided_by",
        "payment",
    ]);
    let mut rows = 0;
    loop {
        let requests = visit.app.till.requests(&acting, &filter).await?;
        rows += requests.len();
        for request in &requests {
            let or = |text: &Option<String>| text.clone().unwrap_or_default();
            csv.row(&[
                request.id.clone(),
                request.no.to_string(),
                request.kind.to_string(),
                request.patient.to_string(),
                or(&request.charge),
                request.currency.decimal(request.amount),
                request.currency.to_string(),
                request.method.map(|method| method.to_string()).unwrap_or_default(),
                request.reason.clone(),
                request.state.to_string(),
                times.exact(request.asked),
                request.asked_kind.clone(),
                or(&request.asked_by),
                request.decided.map(|at| times.exact(at)).unwrap_or_default(),
                or(&request.decided_kind),
                or(&request.decided_by),
                or(&request.payment),
            ]);
        }
        let full = requests.len() == usize::try_from(REQUESTS_MAX).unwrap_or(usize::MAX);
        match requests.last().filter(|_| full && rows < ROWS_MAX) {
            Some(last) => filter.before = Some(last.no),
            None => break,
        }
    }
    Ok(csv.into_response("requests.csv"))
}
