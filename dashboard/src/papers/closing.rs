//! Closings on paper: of a drawer for the one who counted it, and of a day for the office. In the site's language.

use axum::extract::Path;
use axum::response::Response;
use clinic::till::shifts::MethodTotals;
use domain::money::Amount;
use domain::schedule::LocalDate;
use reports::{Part, Row, Sheet};

use super::{Words, answer, blank, fact, numbers, table, words};
use crate::fault::Fault;
use crate::visit::Visit;
use crate::words::short_id;

/// `GET /till/drawers/{id}/closing.pdf`
pub async fn drawer(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    let totals = visit.app.till.shift_totals(&acting, &id).await?;
    let (w, shift) = (Words::of(&visit, None), &totals.shift);
    let currency = shift.currency;
    let title = w.texts.with("paper-drawer", &[("no", shift.no.to_string()), ("drawer", shift.drawer.clone())]);
    let mut paper = blank(&visit, &w, Sheet::A4, title);
    // Their own name for who closes their own drawer; others are an account.
    let own = visit.session.as_ref().filter(|session| session.account.id.as_str() == shift.account);
    let cashier = own.map(|session| session.account.shown_name.clone()).filter(|name| !name.trim().is_empty());
    paper.facts.push(fact(w.t("paper-cashier"), cashier.unwrap_or_else(|| short_id(&shift.account))));
    paper.facts.push(fact(w.t("paper-opened"), w.stamp(shift.opened)));
    let closed = shift.closed.map_or_else(|| w.t("paper-not-closed"), |at| w.stamp(at));
    paper.facts.push(fact(w.t("paper-closed"), closed));
    if shift.closed.is_none() {
        paper.facts.push(fact(w.t("paper-made"), w.stamp(visit.app.now())));
    }
    paper.parts.push(Part::Heading(w.t("paper-by-method")));
    paper.parts.push(methods(&w, &totals.methods));
    let money = |amount: Option<Amount>| amount.map_or_else(|| "—".to_owned(), |amount| w.money(currency, amount));
    let less = |one: Option<Amount>, other: Amount| one.and_then(|one| one.minus(other));
    let row = |what: &str, should: Amount, is: Option<Amount>| {
        Row::plain(vec![w.t(what), money(Some(should)), money(is), money(less(is, should))])
    };
    paper.parts.push(Part::Heading(w.t("paper-counted-title")));
    let columns = vec![
        words(w.t("paper-what"), 40),
        numbers(w.t("paper-should"), 22),
        numbers(w.t("paper-counted"), 22),
        numbers(w.t("paper-difference"), 22),
    ];
    let rows = vec![
        row("till-method-cash", shift.expected.unwrap_or(totals.cash), shift.counted),
        row("paper-slips", shift.card_expected.unwrap_or(totals.card), shift.card),
    ];
    paper.parts.push(table(columns, rows));
    let mut facts = vec![fact(w.t("paper-float"), w.money(currency, shift.float))];
    if let Some(reason) = shift.reason {
        facts.push(fact(w.t("paper-difference-reason"), w.texts.code("paper-reason-", reason.as_str())));
    }
    if totals.waiting > 0 {
        facts.push(fact(w.t("paper-waiting"), totals.waiting.to_string()));
    }
    paper.parts.push(Part::Facts(facts));
    paper.parts.push(Part::Text(w.t("paper-signatures")));
    answer(&visit, paper, &format!("drawer-{}", shift.no)).await
}

/// `GET /till/days/{day}/closing.pdf`
pub async fn day(visit: Visit, Path(day): Path<String>) -> Result<Response, Fault> {
    let day: LocalDate = day.parse().map_err(|()| Fault::NotFound)?;
    let found = visit.app.till.day(&visit.acting()?, day).await?;
    let w = Words::of(&visit, None);
    let mut paper = blank(&visit, &w, Sheet::A4, w.texts.a("paper-day-closing", &w.date(day)));
    match &found.closed {
        Some(closed) => {
            paper.facts.push(fact(w.t("paper-closed"), w.stamp(closed.at)));
            paper.facts.push(fact(w.t("paper-last-row"), closed.last_ledger.to_string()));
            paper.facts.push(fact(w.t("paper-audit-entry"), closed.entry.to_string()));
        }
        None => {
            paper.facts.push(fact(w.t("paper-closed"), w.t("paper-not-closed")));
            paper.facts.push(fact(w.t("paper-made"), w.stamp(visit.app.now())));
        }
    }
    if found.totals.currencies.is_empty() && found.totals.methods.is_empty() {
        paper.parts.push(Part::Text(w.t("paper-day-nothing")));
    }
    for of in &found.totals.currencies {
        let money = |amount: Amount| w.money(of.currency, amount);
        paper.parts.push(Part::Heading(w.texts.a("paper-day-in", of.currency.as_str())));
        let net = of.revenue.minus(of.discounts).unwrap_or(of.revenue);
        paper.parts.push(Part::Facts(vec![
            fact(w.t("paper-day-charges"), of.charges.to_string()),
            fact(w.t("paper-day-cancelled"), of.cancelled.to_string()),
            fact(w.t("paper-day-revenue"), money(of.revenue)),
            fact(w.t("till-ledger-discount"), money(of.discounts)),
            fact(w.t("paper-day-net"), money(net)),
            fact(w.t("till-ledger-write_off"), money(of.written_off)),
            fact(w.t("paper-day-deposit-in"), money(of.deposit_in)),
            fact(w.t("paper-day-deposit-out"), money(of.deposit_out)),
            fact(w.t("till-ledger-difference"), money(of.difference)),
            fact(w.t("paper-day-unpaid-count"), of.unpaid_count.to_string()),
        ]));
        paper.parts.push(Part::Strong(w.t("paper-day-unpaid"), money(of.unpaid)));
    }
    if !found.totals.methods.is_empty() {
        paper.parts.push(Part::Heading(w.t("paper-by-method")));
        paper.parts.push(methods(&w, &found.totals.methods));
    }
    paper.parts.push(Part::Text(w.t("paper-signatures")));
    answer(&visit, paper, &format!("day-{day}")).await
}

/// What each method brought and took.
fn methods(w: &Words, methods: &[MethodTotals]) -> Part {
    let columns = vec![
        words(w.t("paper-method"), 36),
        numbers(w.t("paper-count"), 14),
        numbers(w.t("paper-taken"), 24),
        numbers(w.t("paper-given"), 24),
    ];
    let row = |of: &MethodTotals| {
        Row::plain(vec![
            w.texts.code("till-method-", of.method.as_str()),
            of.count.to_string(),
            w.money(of.currency, of.taken),
            w.money(of.currency, of.given),
        ])
    };
    table(columns, methods.iter().map(row).collect())
}
