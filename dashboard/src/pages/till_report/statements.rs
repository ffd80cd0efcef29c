//! Statements: of a patient, a group or contract, a cashier, a shift, or the whole clinic; on the page, as a file and on paper.

use axum::response::Response;
use clinic::till::statement::{Statement, StatementFilter, StatementOf};
use domain::PersonId;

use super::{Cell, Grid, Head, Input, Kind, Page, problem, told};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::money;
use crate::pages::query::Query;
use crate::papers::statement::{currency_of, days_of, heads, is_cash, paper, what};
use crate::papers::{self, Words};
use crate::view::Frame;
use crate::visit::Visit;
use crate::words::short_id;

/// Days of a statement unless said otherwise: today.
const DAYS: i32 = 1;
const KINDS: [&str; 5] = ["everybody", "patient", "payer", "cashier", "shift"];

/// Which statement a query asks for; `None`: of something without saying of which.
fn filter_of(visit: &Visit, query: &Query) -> Result<Option<StatementFilter>, Fault> {
    let (from, until) = days_of(visit, query, DAYS)?;
    let id = query.one("id").map(str::to_owned);
    let of = match (query.one("of").unwrap_or("everybody"), id) {
        ("everybody", _) => StatementOf::Everybody,
        (_, None) => return Ok(None),
        ("patient", Some(id)) => StatementOf::Patient(id.parse::<PersonId>().map_err(|_| Fault::Invalid)?),
        ("payer", Some(id)) => StatementOf::Payer(id),
        ("cashier", Some(id)) => StatementOf::Cashier(id),
        ("shift", Some(id)) => StatementOf::Shift(id),
        _ => return Err(Fault::Invalid),
    };
    Ok(Some(StatementFilter { of, from, until, currency: currency_of(query)? }))
}

/// `GET /till/statements`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let w = Words::of_visitor(&visit);
    let t = |key: &str| w.texts.t(key);
    let (statement, trouble) = match filter_of(&visit, &query) {
        Ok(Some(filter)) => match visit.app.till.statement(&visit.acting()?, &filter).await {
            Ok(statement) => (Some(statement), None),
            Err(error) => (None, Some(problem(&w.texts, error)?)),
        },
        Ok(None) => (None, Some(t("report-problem-which"))),
        Err(Fault::Invalid) => (None, Some(t("report-problem-typed"))),
        Err(fault) => return Err(fault),
    };
    let (from, until) = days_of(&visit, &query, DAYS).unwrap_or((visit.app.till.today(), visit.app.till.today()));
    let date = |name, label: &str, value: String| Input { name, label: t(label), value, kind: Kind::Date };
    let kinds = KINDS.iter().map(|kind| ((*kind).to_owned(), w.texts.code("report-of-", kind))).collect();
    let typed = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let currency = query.one("currency").map_or_else(|| visit.app.till.rules().currency.to_string(), str::to_owned);
    let inputs = vec![
        Input { name: "of", label: t("report-of"), value: typed("of"), kind: Kind::Choice(kinds) },
        Input { name: "id", label: t("report-id"), value: typed("id"), kind: Kind::Text },
        date("from", "report-from", from.to_string()),
        date("until", "report-until", until.to_string()),
        Input { name: "currency", label: t("paper-currency"), value: currency, kind: Kind::Code },
    ];
    let facts = statement.as_ref().map(|it| facts(&w, it)).unwrap_or_default();
    super::show(&Page {
        frame: Frame::new(&visit, "till-statements"),
        title: t("place-till-statements"),
        finding: statement.as_ref().map(|it| w.texts.n("report-lines", it.lines.len())).unwrap_or_default(),
        action: "/till/statements",
        inputs,
        problem: trouble,
        export: format!("/till/statements.csv{}", query.with("", None)),
        paper: statement.is_some().then(|| format!("/till/statements.pdf{}", query.with("", None))),
        facts,
        columns: None,
        grids: statement.iter().map(|statement| grid(&w, statement)).collect(),
    })
}

fn facts(w: &Words, statement: &Statement) -> Vec<(String, String)> {
    let money = |amount| money::amount(&w.texts, statement.currency, amount);
    let (plus, minus, _) = heads(is_cash(statement));
    vec![
        (w.texts.t("paper-opening"), money(statement.opening)),
        (w.texts.t(plus), money(statement.plus)),
        (w.texts.t(minus), money(statement.minus)),
        (w.texts.t("paper-closing"), money(statement.closing)),
    ]
}

fn grid(w: &Words, statement: &Statement) -> Grid {
    let t = |key: &str| w.texts.t(key);
    let (plus, minus, beside) = heads(is_cash(statement));
    let bare = |amount| Cell::text(w.bare(statement.currency, amount));
    let rows = statement.lines.iter().map(|line| {
        let who = line.patient.map(|person| short_id(&person.to_string())).unwrap_or_default();
        vec![
            Cell::text(line.entry.to_string()),
            Cell::text(w.stamp(line.at)),
            Cell::text(what(w, statement, line)),
            Cell::text(who),
            bare(line.plus),
            bare(line.minus),
            bare(line.beside),
            Cell::text(money::bare(&w.texts, statement.currency, line.balance)),
        ]
    });
    let heads = vec![
        Head::number(t("paper-no")),
        Head::word(t("paper-when")),
        Head::word(t("paper-what")),
        Head::word(t("paper-patient")),
        Head::number(t(plus)),
        Head::number(t(minus)),
        Head::number(t(beside)),
        Head::number(t("paper-balance")),
    ];
    Grid::new(&w.texts, String::new(), heads, rows.collect())
}

async fn read(visit: &Visit, query: &Query) -> Result<Statement, Fault> {
    let filter = filter_of(visit, query)?.ok_or(Fault::Invalid)?;
    Ok(visit.app.till.statement(&visit.acting()?, &filter).await?)
}

fn persons(statement: &Statement) -> Vec<PersonId> {
    let mut persons: Vec<PersonId> = statement.lines.iter().filter_map(|line| line.patient).collect();
    persons.sort_unstable();
    persons.dedup();
    persons
}

/// `GET /till/statements.csv`: all lines.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let w = Words::of_visitor(&visit);
    let statement = read(&visit, &query).await?;
    told(&visit, "/till/statements.csv", persons(&statement), statement.lines.len()).await?;
    let mut csv = Csv::new(&[
        "entry", "at", "day", "kind", "patient", "charge", "service", "name", "quantity", "receipt", "method", "plus",
        "minus", "beside", "discount", "balance", "currency",
    ]);
    let decimal = |amount| statement.currency.decimal(amount);
    for line in &statement.lines {
        let (charge, payment) = (line.charge.as_ref(), line.payment.as_ref());
        let name = charge.map(|charge| statement.service(&charge.service, w.texts.language().code()).to_owned());
        csv.row(&[
            line.entry.to_string(),
            visit.times().exact(line.at),
            line.day.to_string(),
            line.kind.to_string(),
            line.patient.map(|person| person.to_string()).unwrap_or_default(),
            charge.map(|charge| charge.no.to_string()).unwrap_or_default(),
            charge.map(|charge| charge.service.clone()).unwrap_or_default(),
            name.unwrap_or_default(),
            charge.map(|charge| charge.quantity.to_string()).unwrap_or_default(),
            payment.and_then(|payment| payment.no).map(|no| no.to_string()).unwrap_or_default(),
            payment.map(|payment| payment.method.to_string()).unwrap_or_default(),
            decimal(line.plus),
            decimal(line.minus),
            decimal(line.beside),
            decimal(line.discount),
            decimal(line.balance),
            statement.currency.to_string(),
        ]);
    }
    Ok(csv.into_response("statement.csv"))
}

/// `GET /till/statements.pdf`: all lines, on paper.
pub async fn print(visit: Visit, query: Query) -> Result<Response, Fault> {
    let w = Words::of_visitor(&visit);
    let statement = read(&visit, &query).await?;
    told(&visit, "/till/statements.pdf", persons(&statement), statement.lines.len()).await?;
    let mut paper = paper(&visit, &w, &statement);
    let of = match &statement.of {
        StatementOf::Everybody => None,
        StatementOf::Patient(person) => Some(short_id(&person.to_string())),
        StatementOf::Payer(id) => Some(id.clone()),
        StatementOf::Cashier(id) | StatementOf::Shift(id) => Some(short_id(id)),
    };
    if let Some(of) = of {
        paper.facts.insert(0, (w.texts.code("report-of-", statement.of.code()), of));
    }
    papers::answer(&visit, paper, &format!("statement-{}-{}", statement.from, statement.until)).await
}
