//! Payments: the list with its filter and export; one of them with what it paid, its way through a terminal, its receipt,
//! and its taking back.

use askama::Template;
use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clinic::audit::Purpose;
use clinic::till::TillError;
use clinic::till::payments::{PAYMENTS_MAX, Payment, PaymentFilter, PaymentKind, PaymentState, ReturnReason};
use domain::Permission;
use domain::till::Method;
use serde_json::json;

use super::account::name_of;
use super::sure::{self, Act};
use super::{Choice, Hands, choices, day_of, day_words, explain, lacking, new_key, position, read, words_of};
use crate::csv::{Csv, ROWS_MAX};
use crate::faces::Faces;
use crate::fault::{Dressed, Fault};
use crate::money;
use crate::pages::assets;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Payments of one page.
const PAGE: u32 = 50;
/// Charges of one payment that are named.
const PARTS_SHOWN: usize = 40;

#[derive(Template)]
#[template(path = "cashier/payments.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    kinds: Vec<Choice>,
    methods: Vec<Choice>,
    states: Vec<Choice>,
    from: String,
    until: String,
    no: String,
    is_filtered: bool,
    next: Option<String>,
    export: String,
}

struct Line {
    id: String,
    no: String,
    at: String,
    who: String,
    kind: String,
    method: String,
    amount: String,
    tone: &'static str,
    state: String,
    by: String,
}

#[derive(Template)]
#[template(path = "cashier/payment.html")]
struct One {
    frame: Frame,
    script: String,
    id: String,
    title: String,
    whose: String,
    account: Option<String>,
    amount: String,
    tone: &'static str,
    state: String,
    facts: Vec<(String, String)>,
    parts: Vec<Part>,
    more_parts: usize,
    is_waiting: bool,
    receipt: Option<String>,
    reverses: Option<String>,
    refunds: Option<String>,
    at_terminal: String,
    at_terminal_text: String,
    returns: Option<Returns>,
    may_leave: bool,
    problem: Option<String>,
    done: Option<String>,
}

struct Part {
    no: String,
    name: String,
    amount: String,
}

/// The form that takes a payment back.
struct Returns {
    key: String,
    reasons: Vec<Choice>,
}

fn tone_of(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Done => "ok",
        PaymentState::Waiting => "info",
        PaymentState::Failed => "bad",
        PaymentState::Returned => "warn",
    }
}

fn filter_of(query: &Query) -> Result<PaymentFilter, Fault> {
    fn code<T>(query: &Query, key: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        query.one(key).map(|text| parse(text).ok_or(Fault::Invalid)).transpose()
    }
    Ok(PaymentFilter {
        kind: code(query, "kind", PaymentKind::parse)?,
        method: code(query, "method", Method::parse)?,
        state: code(query, "state", PaymentState::parse)?,
        shift: query.one("shift").map(str::to_owned),
        from: day_of(query.one("from"))?,
        until: day_of(query.one("until"))?,
        no: query.one("no").map(|text| text.parse().map_err(|_| Fault::Invalid)).transpose()?,
        before: position(query.one("before")),
        ..PaymentFilter::default()
    })
}

/// `GET /till/payments`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    if let Some(page) = lacking(&visit, "till-payments")? {
        return Ok(page);
    }
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let filter = PaymentFilter { limit: PAGE, ..filter_of(&query)? };
    let payments = visit.app.till.payments(&acting, &filter).await?;
    let persons = payments.iter().filter_map(|payment| payment.patient).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let mut hands = Hands::new(&visit);
    let mut lines = Vec::with_capacity(payments.len());
    for payment in &payments {
        lines.push(Line {
            id: payment.id.clone(),
            no: payment.no.map_or_else(|| "—".to_owned(), |no| no.to_string()),
            at: times.full(payment.done.unwrap_or(payment.begun)),
            who: who(&visit, &faces, payment),
            kind: texts.code("cashier-kind-", payment.kind.as_str()),
            method: texts.code("till-method-", payment.method.as_str()),
            amount: signed(&visit, payment),
            tone: tone_of(payment.state),
            state: texts.code("cashier-payment-", payment.state.as_str()),
            by: hands.name(&payment.actor_kind, payment.actor.as_deref()).await?,
        });
    }
    let full = payments.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
    let last = payments.last().filter(|_| full);
    let narrowed = ["kind", "method", "state", "from", "until", "no", "shift"];
    let one = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let page = Page {
        frame: Frame::new(&visit, "till-payments"),
        lines,
        kinds: choices(&texts, "cashier-kind-", PaymentKind::ALL.iter().map(|it| it.as_str()), query.one("kind")),
        methods: choices(&texts, "till-method-", Method::ALL.iter().map(|it| it.as_str()), query.one("method")),
        states: choices(&texts, "cashier-payment-", PaymentState::ALL.iter().map(|it| it.as_str()), query.one("state")),
        from: one("from"),
        until: one("until"),
        no: one("no"),
        is_filtered: narrowed.iter().any(|key| query.one(key).is_some()),
        next: last.map(|last| {
            let before = format!("{}:{}", last.begun.0, last.id);
            format!("/till/payments{}", query.with("before", Some(&before)))
        }),
        export: format!("/till/payments.csv{}", query.with("before", None)),
    };
    render(StatusCode::OK, &page)
}

/// The amount, with a minus where money went back.
fn signed(visit: &Visit, payment: &Payment) -> String {
    let goes_back = payment.kind != PaymentKind::Paid;
    let amount = if goes_back { payment.amount.times(-1).unwrap_or(payment.amount) } else { payment.amount };
    money::amount(&visit.texts(), payment.currency, amount)
}

fn who(visit: &Visit, faces: &Faces, payment: &Payment) -> String {
    let texts = visit.texts();
    match payment.patient {
        Some(patient) => name_of(faces, patient, &texts),
        None => texts.t("cashier-a-payer"),
    }
}

/// `GET /till/payments.csv`: by pseudonym.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    if !acting.rights.allows(Permission::ChargeSee) {
        return Ok(go("/till/payments"));
    }
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let times = visit.times();
    let mut filter = PaymentFilter { limit: PAYMENTS_MAX, ..filter_of(&query)? };
    let mut csv = Csv::new(&[
        "id",
        "no",
        "kind",
        "method",
        "state",
        "amount",
        "currency",
        "deposit",
        "patient",
        "payer",
        "shift",
        "source",
        "reverses",
        "refunds",
        "begun",
        "done",
        "day",
        "fault",
        "actor_kind",
        "actor",
        "entry",
    ]);
    let mut rows = 0;
    loop {
        let payments = visit.app.till.payments(&acting, &filter).await?;
        rows += payments.len();
        for payment in &payments {
            let or = |text: &Option<String>| text.clone().unwrap_or_default();
            csv.row(&[
                payment.id.clone(),
                payment.no.map(|no| no.to_string()).unwrap_or_default(),
                payment.kind.to_string(),
                payment.method.to_string(),
                payment.state.to_string(),
                payment.currency.decimal(payment.amount),
                payment.currency.to_string(),
                payment.currency.decimal(payment.deposit),
                payment.patient.map(|patient| patient.to_string()).unwrap_or_default(),
                or(&payment.payer),
                or(&payment.shift),
                or(&payment.source),
                or(&payment.reverses),
                or(&payment.refunds),
                times.exact(payment.begun),
                payment.done.map(|at| times.exact(at)).unwrap_or_default(),
                payment.day.map(|day| day.to_string()).unwrap_or_default(),
                payment.fault.map(|fault| fault.to_string()).unwrap_or_default(),
                payment.actor_kind.clone(),
                or(&payment.actor),
                payment.entry.map(|entry| entry.to_string()).unwrap_or_default(),
            ]);
        }
        let full = payments.len() == usize::try_from(PAYMENTS_MAX).unwrap_or(usize::MAX);
        match payments.last().filter(|_| full && rows < ROWS_MAX) {
            Some(last) => filter.before = Some((last.begun, last.id.clone())),
            None => break,
        }
    }
    Ok(csv.into_response("payments.csv"))
}

/// `GET /till/payments/{id}`
pub async fn one(visit: Visit, Path(id): Path<String>, query: Query) -> Result<Response, Fault> {
    if let Some(page) = lacking(&visit, "till-payments")? {
        return Ok(page);
    }
    let done = query.one("done").and_then(|code| visit.texts().code_if_any("cashier-done-", code));
    page(&visit, &id, StatusCode::OK, None, done).await
}

async fn page(
    visit: &Visit,
    id: &str,
    status: StatusCode,
    problem: Option<String>,
    done: Option<String>,
) -> Result<Response, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let payment = visit.app.till.payment(&acting, id).await?;
    let persons = payment.patient.into_iter().collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let mut parts = Vec::new();
    if let Some(patient) = payment.patient {
        let account = visit.app.till.account(&acting, patient, Purpose::Payment).await?;
        let all = || account.open.iter().chain(&account.lately);
        for (charge, amount) in payment.parts.iter().take(PARTS_SHOWN) {
            let found = all().find(|line| line.id == *charge);
            parts.push(Part {
                no: found.map(|line| line.no.to_string()).unwrap_or_default(),
                name: found.map_or_else(
                    || texts.t("cashier-earlier-service"),
                    |line| line.name(texts.language().code()).to_owned(),
                ),
                amount: money::amount(&texts, payment.currency, *amount),
            });
        }
    }
    let mut facts = vec![
        (texts.t("cashier-col-method"), texts.code("till-method-", payment.method.as_str())),
        (texts.t("cashier-begun"), times.full(payment.begun)),
    ];
    if let Some(at) = payment.done {
        facts.push((texts.t("cashier-ended"), times.full(at)));
    }
    if let Some(day) = payment.day {
        facts.push((texts.t("cashier-day"), day_words(&times, day)));
    }
    if let Some(source) = &payment.source {
        facts.push((texts.t("cashier-source"), source.clone()));
    }
    if let Some(external) = &payment.external {
        facts.push((texts.t("cashier-external"), external.clone()));
    }
    if payment.deposit.is_positive() {
        facts.push((texts.t("cashier-fact-deposit"), money::amount(&texts, payment.currency, payment.deposit)));
    }
    if let Some(fault) = payment.fault {
        facts.push((texts.t("cashier-fault"), texts.code("cashier-fault-", fault.as_str())));
    }
    let by = Hands::new(visit).name(&payment.actor_kind, payment.actor.as_deref()).await?;
    facts.push((texts.t("cashier-by"), by));
    let goes_back = payment.kind == PaymentKind::Refunded;
    let may_return = payment.state == PaymentState::Done
        && payment.kind == PaymentKind::Paid
        && acting.rights.allows(Permission::TillApprove);
    let title = match payment.no {
        Some(no) => texts.with("cashier-payment-title", &[("no", no.to_string())]),
        None => texts.t("cashier-payment-unnumbered"),
    };
    let returns = match may_return {
        true => Some(Returns {
            key: new_key()?,
            reasons: choices(&texts, "cashier-return-", ReturnReason::ALL.iter().map(|it| it.as_str()), None),
        }),
        false => None,
    };
    render(
        status,
        &One {
            frame: Frame::new(visit, "till-payments"),
            script: assets::path("cashier.js"),
            id: payment.id.clone(),
            title,
            whose: who(visit, &faces, &payment),
            account: payment.patient.map(|patient| format!("/till/patient/{patient}")),
            amount: signed(visit, &payment),
            tone: tone_of(payment.state),
            state: texts.code("cashier-payment-", payment.state.as_str()),
            facts,
            more_parts: payment.parts.len().saturating_sub(PARTS_SHOWN),
            parts,
            is_waiting: payment.state == PaymentState::Waiting,
            receipt: payment.no.map(|_| format!("/till/payments/{}/receipt.pdf", payment.id)),
            refunds: payment.refunds.map(|other| format!("/till/payments/{other}")),
            at_terminal: texts.t(if goes_back { "cashier-back-at-terminal" } else { "cashier-at-terminal" }),
            at_terminal_text: texts.t(match goes_back {
                true => "cashier-back-at-terminal-text",
                false => "cashier-at-terminal-text",
            }),
            reverses: payment.reverses.map(|other| format!("/till/payments/{other}")),
            returns,
            may_leave: acting.rights.allows(Permission::PaymentTake),
            problem,
            done,
        },
    )
}

/// `GET /till/payments/{id}/progress`: for the page that waits for a terminal. No personal data.
pub async fn progress(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let (state, _) = visit.app.terminals.progress(&visit.acting()?, &id).await?;
    let mut response = Json(json!({ "state": state.as_str() })).into_response();
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

/// `POST /till/payments/{id}/break-off`: a payment that waits for its terminal is broken off.
pub async fn break_off(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    match visit.app.terminals.cancel(&visit.acting()?, &id).await {
        Ok(_) => Ok(go(&format!("/till/payments/{id}"))),
        Err(TillError::Busy) => {
            let problem = visit.texts().t("cashier-terminal-silent");
            page(&visit, &id, StatusCode::CONFLICT, Some(problem), None).await
        }
        Err(error) => {
            let problem = explain(&visit.texts(), visit.app.till.rules().currency, error)?;
            page(&visit, &id, StatusCode::UNPROCESSABLE_ENTITY, Some(problem), None).await
        }
    }
}

/// `POST /till/payments/{id}/return`
pub async fn take_back(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let Some(reason) = form.one("reason").and_then(ReturnReason::parse) else {
        let problem = texts.t("cashier-no-reason");
        return page(&visit, &id, StatusCode::UNPROCESSABLE_ENTITY, Some(problem), None).await;
    };
    if !sure::is_meant(&form) {
        let payment = visit.app.till.payment(&acting, &id).await?;
        let persons = payment.patient.into_iter().collect();
        let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
        let amount = money::amount(&texts, payment.currency, payment.amount);
        let title = texts.a("cashier-sure-return", &amount);
        let mut lines = vec![texts.a("cashier-sure-reason", &texts.code("cashier-return-", reason.as_str()))];
        if !payment.parts.is_empty() {
            lines.push(texts.n("cashier-sure-reopen", payment.parts.len()));
        }
        if payment.deposit.is_positive() {
            lines.push(
                texts.a("cashier-sure-out-of-deposit", &money::amount(&texts, payment.currency, payment.deposit)),
            );
        }
        let act = Act {
            button: title.clone(),
            title,
            who: who(&visit, &faces, &payment),
            lines,
            large: None,
            warning: Some(texts.t("cashier-sure-return-stays")),
            action: format!("/till/payments/{id}/return"),
            back: format!("/till/payments/{id}"),
        };
        return sure::ask(&visit, "till-payments", &form, act);
    }
    let key = form.one("key").unwrap_or_default();
    match visit.app.till.return_payment(&acting, key, &id, reason, &words_of(&form)).await {
        Ok(_) => Ok(go(&format!("/till/payments/{id}?done=returned"))),
        Err(error) => {
            let problem = explain(&texts, visit.app.till.rules().currency, error)?;
            page(&visit, &id, StatusCode::UNPROCESSABLE_ENTITY, Some(problem), None).await
        }
    }
}
