//! Taking over a price list from a file: a look at what would change, line by line, and then exactly that. The page of the look
//! carries the file back, and with it the digest of what was shown.

use askama::Template;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clinic::till::{ListFault, ListLine, ListReport, ListState, Take, TillError};
use domain::money::Amount;
use domain::schedule::LocalDate;

use super::said;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::multipart;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Largest file that a page takes, in bytes; larger ones are for the command line.
const FILE_MAX: usize = 2 << 20;
/// Largest body: the file as text, and the form around it.
pub const BODY_MAX: usize = (FILE_MAX / 3 + 1) * 4 + 16 * 1024;
/// Lines shown of a list, those that change something first.
const SHOWN_MAX: usize = 500;
/// Faults shown.
pub const FAULTS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "till_office/import.html")]
struct Page {
    frame: Frame,
    from: String,
    today: String,
    look: Option<Look>,
    problem: Option<String>,
}

struct Look {
    from: String,
    new: usize,
    changed: usize,
    unchanged: usize,
    faults: Vec<Fault_>,
    more_faults: u64,
    lines: Vec<Line>,
    hidden: usize,
    may_take: bool,
    digest: String,
    file: String,
}

/// A fault as a page says it.
pub struct Fault_ {
    pub line: u64,
    pub column: String,
    pub words: String,
}

impl Fault_ {
    pub fn of(texts: &Texts, fault: &ListFault) -> Self {
        let words = texts.code("till-office-fault-", fault.kind.as_str());
        Self { line: fault.line, column: fault.column.clone(), words }
    }
}

struct Line {
    line: u64,
    code: String,
    name: String,
    tone: &'static str,
    state: String,
    before: String,
    after: String,
    what: Vec<String>,
}

/// `GET /till/services/import`
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    render(StatusCode::OK, &empty(&visit, String::new(), None))
}

fn empty(visit: &Visit, from: String, problem: Option<String>) -> Page {
    let today = visit.app.till.today().to_string();
    let from = if from.is_empty() { today.clone() } else { from };
    Page { frame: Frame::new(visit, "till-services"), from, today, look: None, problem }
}

/// What was sent with a file.
pub struct Sent {
    pub from: Option<LocalDate>,
    pub from_text: String,
    pub digest: String,
    pub payer: String,
    pub file: Vec<u8>,
}

/// What of a form is kept where its file or its day cannot be read.
pub struct Unsent {
    pub error: TillError,
    pub from: String,
    pub payer: String,
}

/// Reads a form with a file, or with the file carried back as text.
pub fn sent(headers: &HeaderMap, body: &Bytes) -> Result<Result<Sent, Unsent>, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).ok_or(Fault::Invalid)?;
    let parts = multipart::parts(kind, body).ok_or(Fault::Invalid)?;
    let part = |name: &str| parts.iter().find(|part| part.name == name).map(|part| part.bytes);
    let text = |name: &str| {
        let bytes = part(name).unwrap_or_default();
        std::str::from_utf8(bytes).map(|text| text.trim().to_owned()).map_err(|_| Fault::Invalid)
    };
    let file = match part("kept") {
        Some(kept) => STANDARD.decode(kept).map_err(|_| Fault::Invalid)?,
        None => part("file").unwrap_or_default().to_vec(),
    };
    let (from_text, digest, payer) = (text("from")?, text("digest")?, text("payer")?);
    let from = match from_text.as_str() {
        "" => Ok(None),
        day => day.parse().map(Some),
    };
    let from = match from {
        _ if file.is_empty() || file.len() > FILE_MAX => Err(super::bad("file")),
        Ok(from) => Ok(from),
        Err(()) => Err(super::bad("from")),
    };
    let from = match from {
        Ok(from) => from,
        Err(error) => return Ok(Err(Unsent { error, from: from_text, payer })),
    };
    Ok(Ok(Sent { from, from_text, digest, payer, file }))
}

/// Carries a file to the next form.
pub fn kept(file: &[u8]) -> String {
    STANDARD.encode(file)
}

/// `POST /till/services/import`: a look.
pub async fn look(visit: Visit, headers: HeaderMap, body: Bytes) -> Result<Response, Fault> {
    let sent = match sent(&headers, &body)? {
        Ok(sent) => sent,
        Err(wrong) => return refused(&visit, wrong),
    };
    match visit.app.till.import_prices(&visit.acting()?, sent.file.clone(), sent.from, Take::Look).await {
        Ok(report) => render(StatusCode::OK, &looked(&visit, &sent, &report, None)),
        Err(error) => refused(&visit, Unsent { error, from: sent.from_text, payer: sent.payer }),
    }
}

/// `POST /till/services/take`: what was shown.
pub async fn take(visit: Visit, headers: HeaderMap, body: Bytes) -> Result<Response, Fault> {
    let sent = match sent(&headers, &body)? {
        Ok(sent) => sent,
        Err(wrong) => return refused(&visit, wrong),
    };
    let (acting, till) = (visit.acting()?, &visit.app.till);
    match till.import_prices(&acting, sent.file.clone(), sent.from, Take::AsShown(&sent.digest)).await {
        Ok(report) if report.is_taken => {
            let done = if report.count(ListState::Unchanged) == report.lines.len() { "same" } else { "list" };
            Ok(go(&format!("/till/services{}", Query::default().with("done", Some(done)))))
        }
        Ok(report) => render(StatusCode::UNPROCESSABLE_ENTITY, &looked(&visit, &sent, &report, None)),
        Err(TillError::Changed) => {
            // Somebody was quicker: what would change now is shown anew.
            let report = till.import_prices(&acting, sent.file.clone(), sent.from, Take::Look).await?;
            let problem = Some(visit.texts().t("till-office-list-changed"));
            render(StatusCode::CONFLICT, &looked(&visit, &sent, &report, problem))
        }
        Err(error) => refused(&visit, Unsent { error, from: sent.from_text, payer: sent.payer }),
    }
}

/// The page without a look, with what is wrong and the day as it was typed.
fn refused(visit: &Visit, wrong: Unsent) -> Result<Response, Fault> {
    let problem = said(visit, wrong.error)?;
    render(StatusCode::UNPROCESSABLE_ENTITY, &empty(visit, wrong.from, Some(problem)))
}

fn looked(visit: &Visit, sent: &Sent, report: &ListReport, problem: Option<String>) -> Page {
    let texts = visit.texts();
    let mut sorted: Vec<&ListLine> = report.lines.iter().collect();
    sorted.sort_by_key(|line| (line.state == ListState::Unchanged, line.line));
    let lines: Vec<Line> = sorted.iter().take(SHOWN_MAX).map(|line| line_of(visit, &texts, line)).collect();
    let faults: Vec<Fault_> =
        report.faults.kept.iter().take(FAULTS_MAX).map(|fault| Fault_::of(&texts, fault)).collect();
    let hidden_faults = report.faults.kept.len().saturating_sub(FAULTS_MAX);
    let look = Look {
        from: visit.times().exact(report.from).chars().take(16).collect(),
        new: report.count(ListState::New),
        changed: report.count(ListState::Changed),
        unchanged: report.count(ListState::Unchanged),
        more_faults: report.faults.more + u64::try_from(hidden_faults).unwrap_or(0),
        hidden: report.lines.len() - lines.len(),
        lines,
        may_take: faults.is_empty() && report.count(ListState::Unchanged) < report.lines.len(),
        faults,
        digest: report.digest.clone(),
        file: kept(&sent.file),
    };
    Page { look: Some(look), ..empty(visit, sent.from_text.clone(), problem) }
}

fn line_of(visit: &Visit, texts: &Texts, line: &ListLine) -> Line {
    let words = |price: Option<Amount>| match price {
        None => texts.t("till-office-not-sold"),
        Some(amount) if amount == Amount::ZERO => texts.t("till-office-free"),
        Some(amount) => money::amount(texts, line.currency, amount),
    };
    let (tone, code) = match line.state {
        ListState::New => ("ok", "new"),
        ListState::Changed => ("warn", "changed"),
        ListState::Unchanged => ("info", "unchanged"),
    };
    let mut what = Vec::new();
    if line.is_service_changed && line.state == ListState::Changed {
        what.push(texts.t("till-office-service-changes"));
    }
    if line.service.ended {
        what.push(texts.t("till-office-ended"));
    }
    if let Some(planned) = &line.planned {
        let from = visit.app.till.day_at(planned.from).to_string();
        what.push(texts.with("till-office-stays-planned", &[("price", words(planned.amount)), ("from", from)]));
    }
    let names = &line.service.names;
    let name = names.get(texts.language().code()).or_else(|| names.values().next());
    Line {
        line: line.line,
        code: line.service.code.clone(),
        name: name.cloned().unwrap_or_default(),
        tone,
        state: texts.code("till-office-state-", code),
        before: line.before.map_or_else(|| "—".to_owned(), words),
        after: line.after.map_or_else(|| texts.t("till-office-stays"), words),
        what,
    }
}
