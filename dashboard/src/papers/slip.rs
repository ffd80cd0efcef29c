//! The patient's own slip to take away: what was done on a day, what was paid, and what is open.

use axum::extract::Path;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::till::account::{ChargeLine, PatientAccount, PaymentLine};
use domain::PersonId;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::ChargeState;
use reports::{Paper, Part, Row, Sheet};

use super::{Words, answer, blank, fact, numbers, patient, sheet, table, words};
use crate::fault::Fault;
use crate::money;
use crate::pages::query::Query;
use crate::visit::Visit;

/// `GET /till/patient/{id}/slip.pdf`; `day` is today unless given.
pub async fn show(visit: Visit, Path(id): Path<String>, query: Query) -> Result<Response, Fault> {
    let person: PersonId = id.parse().map_err(|_| Fault::NotFound)?;
    let day = match query.one("day") {
        Some(text) => text.parse().map_err(|()| Fault::Invalid)?,
        None => visit.app.till.today(),
    };
    let account = visit.app.till.account(&visit.acting()?, person, Purpose::Payment).await?;
    let w = Words::of(&visit, account.language.as_deref());
    let sheet = sheet(&visit, &query);
    let mut paper = blank(&visit, &w, sheet, w.texts.a("paper-slip", &w.date(day)));
    paper.facts.push(fact(w.t("paper-patient"), patient(&visit, account.patient).await?));
    paper.facts.push(fact(w.t("paper-made"), w.stamp(account.at)));
    let mut is_blank = true;
    for balance in &account.balances {
        let charges = charges_of(&account, balance.currency, day);
        let payments = payments_of(&account, balance.currency, day);
        let (owed, ordered) = account.to_pay(balance.currency);
        let nothing = Amount::ZERO;
        if charges.is_empty()
            && payments.is_empty()
            && [owed, ordered, balance.account.deposit].iter().all(|it| *it == nothing)
        {
            continue;
        }
        is_blank = false;
        services(&mut paper, &w, sheet, balance.currency, &charges);
        paid(&mut paper, &w, balance.currency, &payments);
        paper.parts.push(Part::Heading(w.t("paper-open-now")));
        paper.parts.push(Part::Strong(w.t("paper-open-rendered"), w.money(balance.currency, owed)));
        let mut facts = Vec::new();
        if ordered != nothing {
            facts.push(fact(w.t("paper-open-ordered"), w.money(balance.currency, ordered)));
        }
        if balance.account.held != nothing {
            facts.push(fact(w.t("paper-held"), w.money(balance.currency, balance.account.held)));
        }
        facts.push(fact(w.t("paper-deposit"), w.money(balance.currency, balance.account.deposit)));
        if let Some(left) =
            account.terms.iter().find(|it| it.terms.currency == balance.currency).and_then(|terms| terms.limit)
        {
            let values =
                [("left", w.money(balance.currency, left.left)), ("limit", w.money(balance.currency, left.limit))];
            facts.push(fact(w.t("paper-limit"), w.texts.with("paper-limit-left", &values)));
        }
        paper.parts.push(Part::Facts(facts));
    }
    if is_blank {
        paper.parts.push(Part::Text(w.t("paper-slip-none")));
    }
    answer(&visit, paper, &format!("slip-{day}")).await
}

fn charges_of(account: &PatientAccount, currency: Currency, day: LocalDate) -> Vec<&ChargeLine> {
    let all = account.open.iter().chain(&account.lately);
    let mut of_day: Vec<&ChargeLine> =
        all.filter(|it| it.currency == currency && it.day == day && it.state != ChargeState::Cancelled).collect();
    of_day.sort_by_key(|charge| charge.no);
    of_day
}

fn payments_of(account: &PatientAccount, currency: Currency, day: LocalDate) -> Vec<&PaymentLine> {
    let is_of = |it: &&PaymentLine| it.currency == currency && it.day == Some(day) && it.no.is_some();
    let mut of_day: Vec<&PaymentLine> = account.payments.iter().filter(is_of).collect();
    of_day.sort_by_key(|payment| payment.no);
    of_day
}

fn services(paper: &mut Paper, w: &Words, sheet: Sheet, currency: Currency, charges: &[&ChargeLine]) {
    if charges.is_empty() {
        return;
    }
    let language = w.texts.language().code();
    let sum = |of: fn(&ChargeLine) -> Amount| {
        charges.iter().fold(Amount::ZERO, |sum, charge| sum.plus(of(charge)).unwrap_or(sum))
    };
    paper.parts.push(Part::Heading(w.t("paper-services")));
    let name = |charge: &ChargeLine| {
        let name = w.pieces(charge.name(language), charge.quantity);
        match charge.state {
            ChargeState::Ordered => format!("{name} ({})", w.t("till-state-ordered")),
            _ => name,
        }
    };
    if sheet == Sheet::Roll80 {
        let rows = charges.iter().map(|charge| Row::plain(vec![name(charge), w.bare(currency, charge.net)]));
        let total = Row::total(vec![w.t("paper-together"), w.bare(currency, sum(|charge| charge.net))]);
        let columns = vec![words(w.t("paper-service"), 42), numbers(currency.to_string(), 20)];
        paper.parts.push(table(columns, rows.chain([total]).collect()));
        return;
    }
    let row = |charge: &&ChargeLine| {
        let discount = match charge.rate {
            0 => String::new(),
            rate => format!("{} ({})", w.bare(currency, charge.discount), money::rate(&w.texts, rate)),
        };
        Row::plain(vec![
            charge.no.to_string(),
            name(charge),
            w.bare(currency, charge.gross),
            discount,
            w.bare(currency, charge.net),
            w.bare(currency, charge.paid),
        ])
    };
    let total = Row::total(vec![
        String::new(),
        w.t("paper-together"),
        w.bare(currency, sum(|charge| charge.gross)),
        w.bare(currency, sum(|charge| charge.discount)),
        w.bare(currency, sum(|charge| charge.net)),
        w.bare(currency, sum(|charge| charge.paid)),
    ]);
    let columns = vec![
        numbers(w.t("paper-no"), 9),
        words(w.t("paper-service"), 42),
        numbers(w.t("paper-price"), 15),
        numbers(w.t("paper-discount"), 19),
        numbers(w.t("paper-to-pay"), 15),
        numbers(w.t("paper-paid"), 15),
    ];
    paper.parts.push(table(columns, charges.iter().map(row).chain([total]).collect()));
}

fn paid(paper: &mut Paper, w: &Words, currency: Currency, payments: &[&PaymentLine]) {
    if payments.is_empty() {
        return;
    }
    paper.parts.push(Part::Heading(w.t("paper-payments")));
    let rows = payments.iter().map(|payment| {
        let kind = w.texts.code("paper-receipt-", &payment.kind);
        let method = w.texts.code("till-method-", payment.method.as_str());
        let what = format!("{kind} {}, {method}", payment.no.unwrap_or_default());
        Row::plain(vec![what, w.bare(currency, payment.amount)])
    });
    let columns = vec![words(w.t("paper-payment"), 60), numbers(currency.to_string(), 20)];
    paper.parts.push(table(columns, rows.collect()));
}
