//! The till's figures for managers, and statements: filters, tables with bars that are drawn on the server, the same as a file.
//! By pseudonym; no names. Owns what these pages share: their tables and how a query's days are read.

pub mod ageing;
pub mod discounts;
pub mod exposure;
pub mod revenue;
pub mod statements;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::till::TillError;
use clinic::till::figures::Days;
use domain::PersonId;
use domain::till::Owner;

use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::papers::statement::{currency_of, days_of};
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Rows of a table on a page; the file has all of them.
const SHOWN_MAX: usize = 500;
/// Days of a figure unless said otherwise.
const DAYS: i32 = 31;

#[derive(Template)]
#[template(path = "till_report/page.html")]
struct Page {
    frame: Frame,
    title: String,
    /// What it says, in a sentence.
    finding: String,
    /// Where the filter leads.
    action: &'static str,
    inputs: Vec<Input>,
    problem: Option<String>,
    export: String,
    paper: Option<String>,
    facts: Vec<(String, String)>,
    columns: Option<Columns>,
    grids: Vec<Grid>,
}

/// A field of the filter.
struct Input {
    name: &'static str,
    label: String,
    value: String,
    kind: Kind,
}

enum Kind {
    Date,
    Text,
    Code,
    Tick,
    Choice(Vec<(String, String)>),
}

/// A table.
struct Grid {
    title: String,
    heads: Vec<Head>,
    rows: Vec<Vec<Cell>>,
    /// The last row, of sums.
    total: Option<Vec<Cell>>,
    /// Said where there is no row.
    none: (String, String),
    /// Said where rows were left out.
    cut: Option<String>,
}

struct Head {
    text: String,
    is_number: bool,
    is_bar: bool,
}

/// A cell.
#[derive(Default)]
struct Cell {
    text: String,
    /// The class of a chip around it.
    tone: &'static str,
    /// A bar of so many hundredths.
    bar: Option<u32>,
}

/// Columns that stand: hours of the day, days.
struct Columns {
    title: String,
    width: usize,
    bars: Vec<Bar>,
}

struct Bar {
    x: usize,
    y: u32,
    height: u32,
    width: usize,
    middle: usize,
    label: String,
    title: String,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn bar(share: u32) -> Self {
        Self { bar: Some(share.min(100)), ..Self::default() }
    }
}

impl Head {
    fn word(text: String) -> Self {
        Self { text, is_number: false, is_bar: false }
    }

    fn number(text: String) -> Self {
        Self { text, is_number: true, is_bar: false }
    }

    fn bar() -> Self {
        Self { text: String::new(), is_number: false, is_bar: true }
    }

    /// A bar whose meaning is not that of the column before it.
    fn bar_of(text: String) -> Self {
        Self { text, ..Self::bar() }
    }
}

impl Grid {
    /// A table of at most [`SHOWN_MAX`] rows; further ones are left out, and that is said.
    fn new(texts: &Texts, title: String, heads: Vec<Head>, mut rows: Vec<Vec<Cell>>) -> Self {
        let left_out = rows.len().saturating_sub(SHOWN_MAX);
        rows.truncate(SHOWN_MAX);
        let cut = (left_out > 0).then(|| texts.n("report-cut", left_out));
        let none = (texts.t("report-none-title"), texts.t("report-none-text"));
        Self { title, heads, rows, total: None, none, cut }
    }

    fn with_total(self, total: Vec<Cell>) -> Self {
        Self { total: Some(total), ..self }
    }

    /// A cell with its column.
    fn cells<'a>(&'a self, row: &'a [Cell]) -> impl Iterator<Item = (&'a Head, &'a Cell)> {
        self.heads.iter().zip(row)
    }
}

impl Columns {
    /// Bars of these amounts, with what stands below each and what is said of it; negative ones are drawn as nothing.
    fn new(title: String, amounts: Vec<(String, String, i64)>) -> Self {
        const FULL: u32 = 150;
        let most = amounts.iter().map(|(.., minor)| *minor).max().unwrap_or(0).max(1);
        let step = (960 / amounts.len().max(1)).clamp(4, 60);
        let bar = |(at, (label, title, minor)): (usize, (String, String, i64))| {
            let share = i128::from(minor.max(0)) * i128::from(FULL) / i128::from(most);
            let height = u32::try_from(share).unwrap_or(FULL);
            let x = 10 + at * step;
            Bar { x, y: 20 + FULL - height, height, width: step * 3 / 4, middle: x + step * 3 / 8, label, title }
        };
        let count = amounts.len();
        let bars = amounts.into_iter().enumerate().map(bar).collect();
        // Few columns stay columns: the picture is as wide as one of many.
        Self { title, width: (20 + count * step).max(980), bars }
    }
}

/// Why nothing can be shown, in words; or a fault where it is no matter of what was typed.
fn problem(texts: &Texts, error: TillError) -> Result<String, Fault> {
    match error {
        TillError::Denied(_) => Ok(texts.t("report-problem-denied")),
        TillError::NotFound => Ok(texts.t("report-problem-none")),
        TillError::Invalid { .. } => Ok(texts.t("report-problem-days")),
        other => Err(Fault::from(other)),
    }
}

/// The days and the currency of a query.
fn read_days(visit: &Visit, query: &Query) -> Result<Days, Fault> {
    let (from, until) = days_of(visit, query, DAYS)?;
    Ok(Days { from, until, currency: currency_of(query)? })
}

/// The fields of every filter by days.
fn day_inputs(visit: &Visit, days: &Days) -> Vec<Input> {
    let texts = visit.texts();
    let date = |name, label: &str, value: String| Input { name, label: texts.t(label), value, kind: Kind::Date };
    let currency = days.currency.unwrap_or(visit.app.till.rules().currency);
    vec![
        date("from", "report-from", days.from.to_string()),
        date("until", "report-until", days.until.to_string()),
        Input { name: "currency", label: texts.t("paper-currency"), value: currency.to_string(), kind: Kind::Code },
    ]
}

/// Whom terms are for, in words.
fn owner(texts: &Texts, owner: &Owner, name: Option<&str>) -> String {
    match owner {
        Owner::Everybody => texts.t("till-scope-everybody"),
        Owner::Payer(id) => name.unwrap_or(id).to_owned(),
        Owner::Patient(person) => short_id(&person.to_string()),
    }
}

/// A share of a limit as a chip.
fn share(texts: &Texts, share: Option<u32>) -> Cell {
    let Some(share) = share else { return Cell::text("—") };
    let tone = match share {
        100.. => "bad",
        clinic::till::figures::NEAR_PER_CENT.. => "warn",
        _ => "",
    };
    Cell { tone, ..Cell::text(texts.n("report-per-cent", i64::from(share))) }
}

/// Registers that a file with what patients were charged and owe was taken away.
async fn told(visit: &Visit, what: &'static str, persons: Vec<PersonId>, records: usize) -> Result<(), Fault> {
    let acting = visit.acting()?;
    let mut disclosure = Disclosure::export(&acting, what, &[Class::Payment]);
    disclosure.persons = persons.into_iter().take(disclosures::PERSONS_MAX).collect();
    disclosure.records = records as u64;
    disclosures::register(&visit.app.database, &acting, disclosure, Some(Purpose::Payment), visit.app.now()).await?;
    Ok(())
}

fn show(page: &Page) -> Result<Response, Fault> {
    let status = if page.problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    render(status, page)
}
