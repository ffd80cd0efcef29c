//! Money that a payment service told of and nobody knows for whom: a cashier says for whom it is, or it is put aside.

use askama::Template;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::till::inbound::{NOTICES_MAX, NoticeKind, NoticeState, PaymentNotice};
use domain::money::Amount;
use domain::{Permission, PersonId};

use super::account::Known;
use super::sure::{self, Act};
use super::{Choice, choices, explain, read, words_of};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::money;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Charges named before a notice is assigned.
const NAMED_MAX: usize = 12;

#[derive(Template)]
#[template(path = "cashier/notices.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    states: Vec<Choice>,
    open: Option<Open>,
    export: String,
    back: String,
    typed: String,
    done: Option<String>,
    problem: Option<String>,
}

struct Line {
    link: String,
    at: String,
    source: String,
    external: String,
    kind: String,
    amount: String,
    tone: &'static str,
    state: String,
    is_open: bool,
}

/// A notice that is opened.
struct Open {
    id: String,
    amount: String,
    source: String,
    external: String,
    may_assign: bool,
    may_put_aside: bool,
    payment: Option<String>,
}

fn state_of(query: &Query) -> Result<Option<NoticeState>, Fault> {
    match query.one("state") {
        Some("any") => Ok(None),
        Some(text) => NoticeState::parse(text).map(Some).ok_or(Fault::Invalid),
        None => Ok(Some(NoticeState::Unassigned)),
    }
}

fn tone_of(state: NoticeState) -> &'static str {
    match state {
        NoticeState::Done => "ok",
        NoticeState::Unassigned => "warn",
        NoticeState::PutAside => "info",
    }
}

/// `GET /till/notices`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|code| visit.texts().code_if_any("cashier-done-", code));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let notices = visit.app.till.payment_notices(&acting, state_of(query)?, NOTICES_MAX).await?;
    let bare = Query::read(query.with("done", None).trim_start_matches('?'));
    let asked = query.one("open");
    let line = |notice: &PaymentNotice| Line {
        link: format!("/till/notices{}#notice", bare.with("open", Some(&notice.id))),
        at: times.full(notice.received),
        source: notice.source.clone(),
        external: notice.external.clone(),
        kind: texts.code("cashier-notice-kind-", notice.kind.as_str()),
        amount: money::amount(&texts, notice.currency, notice.amount),
        tone: tone_of(notice.state),
        state: texts.code("cashier-notice-", notice.state.as_str()),
        is_open: asked == Some(notice.id.as_str()),
    };
    let open = notices.iter().find(|notice| asked == Some(notice.id.as_str())).map(|notice| {
        let waits = notice.state == NoticeState::Unassigned;
        Open {
            id: notice.id.clone(),
            amount: money::amount(&texts, notice.currency, notice.amount),
            source: notice.source.clone(),
            external: notice.external.clone(),
            may_assign: waits && notice.kind == NoticeKind::Paid && acting.rights.allows(Permission::ChargeSee),
            may_put_aside: waits && acting.rights.allows(Permission::TillApprove),
            payment: notice.payment.as_ref().map(|id| format!("/till/payments/{id}")),
        }
    });
    let mut states = choices(
        &texts,
        "cashier-notice-",
        NoticeState::ALL.iter().map(|it| it.as_str()),
        Some(query.one("state").unwrap_or("unassigned")),
    );
    states.push(Choice { code: "any".to_owned(), text: texts.t("any"), is_set: query.one("state") == Some("any") });
    Ok(Page {
        frame: Frame::new(visit, "till-notices"),
        lines: notices.iter().map(line).collect(),
        states,
        open,
        export: format!("/till/notices.csv{}", query.with("open", None)),
        back: format!("/till/notices{}", bare.with("open", None)),
        typed: String::new(),
        done: None,
        problem: None,
    })
}

async fn again(visit: &Visit, id: &str, typed: &str, problem: String) -> Result<Response, Fault> {
    let query = Query::default().with("open", Some(id));
    let query = Query::read(&format!("{}&state=any", query.trim_start_matches('?')));
    let mut page = page(visit, &query).await?;
    page.problem = Some(problem);
    page.typed = typed.to_owned();
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The patient whom a cashier means: by pseudonym or record number.
async fn patient_of(visit: &Visit, typed: &str) -> Result<Result<PersonId, String>, Fault> {
    if let Ok(person) = typed.parse::<PersonId>() {
        return Ok(Ok(person));
    }
    let acting = visit.acting()?;
    if typed.is_empty() || !acting.rights.allows(Permission::PersonFind) {
        return Ok(Err(visit.texts().t("cashier-notice-whom")));
    }
    let found = visit.app.till.of_record(&acting, typed).await?;
    Ok(match found.as_slice() {
        [person] => Ok(*person),
        [] => Err(visit.texts().t("cashier-notice-nobody")),
        _ => Err(visit.texts().t("cashier-notice-several")),
    })
}

/// `POST /till/notices/{id}`: for whom it is.
pub async fn assign(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let whom = form.one("whom").unwrap_or_default();
    if !acting.rights.allows(Permission::ChargeSee) {
        return again(&visit, &id, whom, texts.t("cashier-lacking-text")).await;
    }
    let person = match patient_of(&visit, whom).await? {
        Ok(person) => person,
        Err(problem) => return again(&visit, &id, whom, problem).await,
    };
    let notices = till.payment_notices(&acting, None, NOTICES_MAX).await?;
    let notice = notices.into_iter().find(|notice| notice.id == id).ok_or(Fault::NotFound)?;
    let known = match Known::read(&visit, &person.to_string(), Some(notice.currency.as_str())).await {
        Ok(known) => known,
        Err(Fault::NotFound) => return again(&visit, &id, whom, texts.t("cashier-notice-nobody")).await,
        Err(fault) => return Err(fault),
    };
    // The oldest items first; what is left becomes the deposit.
    let mut left = notice.amount;
    let mut parts: Vec<(String, Amount)> = Vec::new();
    let mut lines = Vec::new();
    let text = |amount| money::amount(&texts, notice.currency, amount);
    for charge in known.open() {
        if !left.is_positive() || parts.len() == clinic::till::payments::PARTS_MAX {
            break;
        }
        let part = left.min(charge.open());
        left = left.minus(part).unwrap_or(Amount::ZERO);
        if parts.len() < NAMED_MAX {
            let values = [
                ("no", charge.no.to_string()),
                ("name", charge.name(texts.language().code()).to_owned()),
                ("part", text(part)),
                ("left", text(charge.open().minus(part).unwrap_or(Amount::ZERO))),
            ];
            let key = if part < charge.open() { "cashier-sure-part" } else { "cashier-sure-whole" };
            lines.push(texts.with(key, &values));
        }
        parts.push((charge.id.clone(), part));
    }
    if parts.len() > NAMED_MAX {
        lines.push(texts.n("cashier-sure-more", parts.len() - NAMED_MAX));
    }
    if left.is_positive() {
        lines.push(texts.a("cashier-sure-rest", &text(left)));
    }
    // What would be done now; when that is not what was shown, it is shown again.
    let plan = format!("{}:{}", parts.len(), left.minor());
    if !sure::is_meant(&form) || form.one("plan") != Some(plan.as_str()) {
        let form = Query::read(form.with("plan", Some(&plan)).trim_start_matches('?'));
        let title = texts.a("cashier-sure-assign", &text(notice.amount));
        let act = Act {
            button: title.clone(),
            title,
            who: known.name(&visit).await?,
            lines,
            large: None,
            warning: None,
            action: format!("/till/notices/{id}"),
            back: format!("/till/notices?open={id}#notice"),
        };
        return sure::ask(&visit, "till-notices", &form, act);
    }
    match till.assign_notice(&acting, &id, known.patient, parts).await {
        Ok(payment) => Ok(go(&format!("/till/patient/{}?done=paid&payment={}", known.patient, payment.id))),
        Err(error) => {
            let problem = explain(&texts, notice.currency, error)?;
            again(&visit, &id, whom, problem).await
        }
    }
}

/// `POST /till/notices/{id}/aside`: it is dealt with outside the till.
pub async fn put_aside(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    match visit.app.till.put_notice_aside(&visit.acting()?, &id, &words_of(&form)).await {
        Ok(_) => Ok(go("/till/notices?done=aside")),
        Err(error) => {
            let problem = explain(&visit.texts(), visit.app.till.rules().currency, error)?;
            if !visit.acting()?.rights.allows(Permission::PaymentTake) {
                return Err(Fault::Invalid);
            }
            again(&visit, &id, "", problem).await
        }
    }
}

/// `GET /till/notices.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, times) = (visit.acting()?, visit.times());
    let notices = visit.app.till.payment_notices(&acting, state_of(&query)?, NOTICES_MAX).await?;
    let mut csv = Csv::new(&[
        "id", "source", "external", "kind", "amount", "currency", "state", "payment", "received", "handled",
    ]);
    for notice in &notices {
        csv.row(&[
            notice.id.clone(),
            notice.source.clone(),
            notice.external.clone(),
            notice.kind.to_string(),
            notice.currency.decimal(notice.amount),
            notice.currency.to_string(),
            notice.state.to_string(),
            notice.payment.clone().unwrap_or_default(),
            times.exact(notice.received),
            notice.handled.map(|at| times.exact(at)).unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("payment-notices.csv"))
}
