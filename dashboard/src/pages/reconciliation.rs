//! Charges compared with those of other systems: which comparisons there were, what differs, and telling again what is
//! missing there. Asks a bridge by a row; never calls another system itself. Shows no persons: charges are numbers here.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::outbox;
use clinic::till::TillError;
use clinic::till::reconcile::{
    Comparable, DifferenceKind, DifferenceLine, LINES_PAGE_MAX, Reconciliation, ReconciliationState,
};
use domain::Permission;
use domain::schedule::LocalDate;

use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::query::Query;
use crate::times::Times;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Comparisons that are listed.
const LIST: u32 = 20;
/// Differences of one page.
const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "reconciliation.html")]
struct Page {
    frame: Frame,
    /// Name, what stands in the list, whether it was chosen.
    systems: Vec<(String, String, bool)>,
    today: String,
    /// Days as typed so far.
    from: String,
    until: String,
    lines: Vec<Line>,
    open: Option<Open>,
    is_waiting: bool,
    may_change: bool,
    problem: Option<String>,
    done: Option<String>,
}

/// A comparison in the list.
struct Line {
    id: String,
    no: u64,
    destination: String,
    days: String,
    asked: String,
    tone: &'static str,
    state: String,
    story: String,
    is_open: bool,
}

/// The comparison that is looked at.
struct Open {
    line: Line,
    basis: Option<String>,
    ours: u64,
    theirs: u64,
    alike: u64,
    differences: u64,
    is_done: bool,
    is_alike: bool,
    kind: String,
    kinds: Vec<(&'static str, String)>,
    found: Vec<Found>,
    may_tell: bool,
    next: Option<String>,
    export: String,
}

/// A difference.
struct Found {
    n: u64,
    kind: String,
    tone: &'static str,
    charge: String,
    service: String,
    external: String,
    ours: String,
    theirs: String,
    state: String,
    may_tell: bool,
}

const fn tone_of(one: &Reconciliation) -> &'static str {
    match one.state {
        ReconciliationState::Asked | ReconciliationState::Running => "info",
        ReconciliationState::Failed => "bad",
        ReconciliationState::Done => {
            if one.differences == 0 {
                "ok"
            } else {
                "warn"
            }
        }
    }
}

fn line(one: &Reconciliation, opened: Option<&str>, texts: &Texts, times: &Times) -> Line {
    let story = match (one.state, &one.fault) {
        (ReconciliationState::Asked, _) => texts.t("reconcile-waits"),
        (ReconciliationState::Running, _) => {
            format!("{} · {}", texts.n("reconcile-ours-read", one.ours), texts.n("reconcile-theirs-read", one.theirs))
        }
        (ReconciliationState::Failed, Some(fault)) => {
            let said = texts.code("exchange-fault-", fault.code.as_str());
            format!("{said} {}", fault.detail).trim().to_owned()
        }
        (ReconciliationState::Failed, None) => String::new(),
        (ReconciliationState::Done, _) if one.differences == 0 => texts.t("reconcile-nothing"),
        (ReconciliationState::Done, _) => texts.n("reconcile-differences", one.differences),
    };
    let days = if one.from == one.until { one.from.to_string() } else { format!("{} – {}", one.from, one.until) };
    Line {
        is_open: opened == Some(one.id.as_str()),
        id: one.id.clone(),
        no: one.no,
        destination: one.destination.clone(),
        days,
        asked: times.full(one.asked),
        tone: tone_of(one),
        state: texts.code("reconcile-state-", one.state.as_str()),
        story,
    }
}

/// A system in the list of those to choose from; of one that cannot be asked it says so before somebody compares.
fn named(one: Comparable, texts: &Texts) -> (String, String) {
    let shown = match one.kind.as_str() {
        "hl7" | "webhook" => format!("{} · {}", one.destination, texts.t("reconcile-by-acknowledged")),
        _ => one.destination.clone(),
    };
    (one.destination, shown)
}

fn found(one: &DifferenceLine, texts: &Texts) -> Found {
    let amount = |amount| match (amount, one.currency) {
        (Some(amount), Some(currency)) => money::amount(texts, currency, amount),
        _ => "—".to_owned(),
    };
    Found {
        n: one.n,
        kind: texts.code("reconcile-kind-", one.kind.as_str()),
        tone: if one.kind == DifferenceKind::MissingThere { "bad" } else { "warn" },
        charge: match one.no {
            Some(no) => no.to_string(),
            // By hand: it has no id of ours.
            None if one.charge.is_empty() => "—".to_owned(),
            None => one.charge.clone(),
        },
        service: one.service.clone().unwrap_or_default(),
        external: one.external.clone().unwrap_or_default(),
        ours: amount(one.ours),
        theirs: amount(one.theirs),
        state: texts.code_if_any("reconcile-there-", &one.state).unwrap_or_else(|| one.state.clone()),
        may_tell: one.may_be_told_again(),
    }
}

/// The file of a comparison, narrowed as the list is.
fn export_of(id: &str, kind: Option<DifferenceKind>) -> String {
    let open = Query::read(Query::default().with("open", Some(id)).trim_start_matches('?'));
    format!("/till/reconciliation.csv{}", open.with("kind", kind.map(DifferenceKind::as_str)))
}

fn kind_of(query: &Query) -> Result<Option<DifferenceKind>, Fault> {
    query.one("kind").map(|code| DifferenceKind::parse(code).ok_or(Fault::Invalid)).transpose()
}

/// `GET /till/reconciliation`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, texts, times, till) = (visit.acting()?, visit.texts(), visit.times(), &visit.app.till);
    let systems = till.comparable(&acting).await?;
    let all = till.reconciliations(&acting, None, LIST).await?;
    let opened = query.one("open").or_else(|| all.first().map(|one| one.id.as_str()));
    let (kind, today) = (kind_of(&query)?, till.today().to_string());
    let mut open = None;
    if let Some(id) = opened {
        let one = till.reconciliation(&acting, id).await?;
        let after: u64 = query.one("after").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut lines = till.differences(&acting, id, kind, after, PAGE + 1).await?;
        let has_more = lines.len() > PAGE as usize;
        lines.truncate(PAGE as usize);
        let last = lines.last().filter(|_| has_more);
        let here = |after: Option<u64>| {
            let after = after.map(|n| n.to_string());
            format!("/till/reconciliation{}#differences", query.with("after", after.as_deref()))
        };
        open = Some(Open {
            line: line(&one, Some(id), &texts, &times),
            basis: one.basis.map(|basis| texts.code("reconcile-basis-", basis.as_str())),
            ours: one.ours,
            theirs: one.theirs,
            alike: one.alike,
            differences: one.differences,
            is_done: one.state == ReconciliationState::Done,
            is_alike: one.state == ReconciliationState::Done && one.differences == 0,
            kind: kind.map_or("", DifferenceKind::as_str).to_owned(),
            kinds: DifferenceKind::ALL
                .iter()
                .map(|kind| (kind.as_str(), texts.code("reconcile-kind-", kind.as_str())))
                .collect(),
            may_tell: lines.iter().any(DifferenceLine::may_be_told_again),
            found: lines.iter().map(|one| found(one, &texts)).collect(),
            next: last.map(|line| here(Some(line.n))),
            export: export_of(id, kind),
        });
    }
    let page = Page {
        is_waiting: all
            .iter()
            .any(|one| matches!(one.state, ReconciliationState::Asked | ReconciliationState::Running)),
        lines: all.iter().map(|one| line(one, opened, &texts, &times)).collect(),
        open,
        systems: systems
            .into_iter()
            .map(|one| {
                let is_set = query.one("system") == Some(one.destination.as_str());
                let (name, shown) = named(one, &texts);
                (name, shown, is_set)
            })
            .collect(),
        from: query.one("from").unwrap_or(&today).to_owned(),
        until: query.one("until").unwrap_or(&today).to_owned(),
        today,
        may_change: acting.rights.allows(Permission::ExchangeManage),
        problem: query.one("problem").and_then(|code| texts.code_if_any("reconcile-problem-", code)),
        done: query.one("done").and_then(|code| texts.code_if_any("reconcile-done-", code)),
        frame: Frame::new(&visit, "reconciliation"),
    };
    render(StatusCode::OK, &page)
}

/// `GET /till/reconciliation.csv`: the differences of a comparison, all of them or those of a kind.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, till) = (visit.acting()?, &visit.app.till);
    let (id, kind) = (query.one("open").ok_or(Fault::Invalid)?, kind_of(&query)?);
    let one = till.reconciliation(&acting, id).await?;
    let mut lines: Vec<DifferenceLine> = Vec::new();
    loop {
        let after = lines.last().map_or(0, |line| line.n);
        let chunk = till.differences(&acting, id, kind, after, LINES_PAGE_MAX).await?;
        let is_last = chunk.len() < LINES_PAGE_MAX as usize;
        lines.extend(chunk);
        if is_last || lines.len() >= clinic::till::reconcile::LINES_MAX {
            break;
        }
    }
    let mut disclosure = Disclosure::export(&acting, "/till/reconciliation.csv", &[Class::Payment]);
    disclosure.records = lines.len().try_into().unwrap_or(u64::MAX);
    disclosures::register(&visit.app.database, &acting, disclosure, None, visit.app.now()).await?;
    let mut csv = Csv::new(&[
        "system",
        "from",
        "until",
        "kind",
        "charge",
        "number",
        "service",
        "theirs",
        "currency",
        "amount_here",
        "amount_there",
        "state_there",
    ]);
    for line in lines {
        let decimal = |amount: Option<domain::money::Amount>| match (amount, line.currency) {
            (Some(amount), Some(currency)) => currency.decimal(amount),
            _ => String::new(),
        };
        csv.row(&[
            one.destination.clone(),
            one.from.to_string(),
            one.until.to_string(),
            line.kind.as_str().to_owned(),
            line.charge.clone(),
            line.no.map(|no| no.to_string()).unwrap_or_default(),
            line.service.clone().unwrap_or_default(),
            line.external.clone().unwrap_or_default(),
            line.currency.map(|currency| currency.to_string()).unwrap_or_default(),
            decimal(line.ours),
            decimal(line.theirs),
            line.state.clone(),
        ]);
    }
    Ok(csv.into_response("reconciliation.csv"))
}

fn typed(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}

/// `POST /till/reconciliation/run`: asks for a comparison.
pub async fn run(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = typed(&body)?;
    let name = typed.one("system").filter(|name| outbox::is_name(name)).ok_or(Fault::Invalid)?;
    let day = |key: &str| {
        let date = typed.one(key).and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
        date.map(LocalDate::from_chrono)
    };
    let wrong = || {
        let typed = ["from", "until"].map(|key| (key, typed.one(key).unwrap_or_default()));
        let query = [("problem", "days"), ("system", name)].into_iter().chain(typed);
        let query = query.fold(Query::default(), |query, (key, value)| {
            Query::read(query.with(key, Some(value)).trim_start_matches('?'))
        });
        go(&format!("/till/reconciliation{}", query.with("", None)))
    };
    let (Some(from), Some(until)) = (day("from"), day("until")) else { return Ok(wrong()) };
    match visit.app.till.ask_reconciliation(&visit.acting()?, name, from, until).await {
        Ok(id) => Ok(go(&format!("/till/reconciliation?open={id}&done=asked"))),
        Err(TillError::Invalid { .. }) => Ok(wrong()),
        Err(TillError::NotFound) => Ok(go("/till/reconciliation?problem=system")),
        Err(error) => Err(error.into()),
    }
}

/// `POST /till/reconciliation/again`: tells again what is missing there, one charge or all of them.
pub async fn again(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = typed(&body)?;
    let id = typed.one("open").ok_or(Fault::Invalid)?;
    let n = typed.one("n").map(|text| text.parse().map_err(|_| Fault::Invalid)).transpose()?;
    match visit.app.till.tell_again(&visit.acting()?, id, n).await {
        Ok(_) => Ok(go(&format!("/till/reconciliation{}&done=again", Query::default().with("open", Some(id))))),
        Err(TillError::NotFound) => Ok(go("/till/reconciliation?problem=nothing")),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use clinic::till::reconcile::Basis;

    use super::*;
    use crate::language::Language;

    #[test]
    fn every_code_of_a_comparison_has_words_in_both_languages() {
        let mut missing = Vec::new();
        for language in [Language::En, Language::Ru] {
            let texts = language.texts();
            let mut ask = |prefix: &str, code: &str| {
                if texts.code_if_any(prefix, code).is_none() {
                    missing.push(format!("{} {prefix}{code}", language.code()));
                }
            };
            ReconciliationState::ALL.iter().for_each(|code| ask("reconcile-state-", code.as_str()));
            DifferenceKind::ALL.iter().for_each(|code| ask("reconcile-kind-", code.as_str()));
            Basis::ALL.iter().for_each(|code| ask("reconcile-basis-", code.as_str()));
            outbox::DeliveryState::ALL.iter().for_each(|code| ask("reconcile-there-", code.as_str()));
            ["not_told", "draft", "invoiced", "taken_back", "reversed", "not_invoiced", "cancelled"]
                .iter()
                .for_each(|code| ask("reconcile-there-", code));
            ["days", "system", "nothing"].iter().for_each(|code| ask("reconcile-problem-", code));
            ["asked", "again"].iter().for_each(|code| ask("reconcile-done-", code));
        }
        assert_eq!(missing, Vec::<String>::new());
    }
}
