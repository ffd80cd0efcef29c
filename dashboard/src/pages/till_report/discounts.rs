//! Discounts that were given, by scheme, version and step.

use axum::response::Response;
use domain::money::Amount;

use super::{Cell, Grid, Head, Page, day_inputs, problem, read_days, told};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::money;
use crate::pages::query::Query;
use crate::papers::Words;
use crate::view::Frame;
use crate::visit::Visit;

/// `GET /till/discounts-given`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let w = Words::of_visitor(&visit);
    let t = |key: &str| w.texts.t(key);
    let days = read_days(&visit, &query)?;
    let (given, trouble) = match visit.app.till.discounts_given(&visit.acting()?, &days).await {
        Ok(given) => (Some(given), None),
        Err(error) => (None, Some(problem(&w.texts, error)?)),
    };
    let mut grids = Vec::new();
    let mut finding = String::new();
    if let Some(given) = given {
        let bare = |amount| money::bare(&w.texts, given.currency, amount);
        let most = given.lines.iter().map(|line| line.discount.minor()).max().unwrap_or(0).max(1);
        let (gross, discount) = given.total;
        let values = [("discount", money::amount(&w.texts, given.currency, discount)), ("gross", bare(gross))];
        finding = w.texts.with("report-discounted", &values);
        let rows = given.lines.iter().map(|line| {
            let share = u32::try_from(i128::from(line.discount.minor().max(0)) * 100 / i128::from(most)).unwrap_or(100);
            let from = line.from.unwrap_or(Amount::ZERO);
            let version = [("name", line.name.clone()), ("version", line.version.to_string())];
            vec![
                Cell::text(w.texts.with("report-scheme-version", &version)),
                Cell::text(bare(from)),
                Cell::text(money::rate(&w.texts, line.rate)),
                Cell::bar(share),
                Cell::text(line.rendered.to_string()),
                Cell::text(line.cancelled.to_string()),
                Cell::text(bare(line.gross)),
                Cell::text(bare(line.discount)),
            ]
        });
        let heads = vec![
            Head::word(t("report-scheme")),
            Head::number(t("report-step")),
            Head::number(t("report-rate")),
            Head::bar(),
            Head::number(t("report-rendered")),
            Head::number(t("report-cancelled")),
            Head::number(t("paper-price")),
            Head::number(t("paper-discount")),
        ];
        let nothing = Cell::default;
        let total = vec![
            Cell::text(t("paper-together")),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            Cell::text(bare(gross)),
            Cell::text(bare(discount)),
        ];
        grids.push(Grid::new(&w.texts, String::new(), heads, rows.collect()).with_total(total));
    }
    super::show(&Page {
        frame: Frame::new(&visit, "till-discounts"),
        title: t("place-till-discounts"),
        finding,
        action: "/till/discounts-given",
        inputs: day_inputs(&visit, &days),
        problem: trouble,
        export: format!("/till/discounts-given.csv{}", query.with("", None)),
        paper: None,
        facts: Vec::new(),
        columns: None,
        grids,
    })
}

/// `GET /till/discounts-given.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let days = read_days(&visit, &query)?;
    let given = visit.app.till.discounts_given(&visit.acting()?, &days).await?;
    let mut csv = Csv::new(&[
        "scheme",
        "name",
        "version",
        "from",
        "rate_percent",
        "rendered",
        "cancelled",
        "price",
        "discount",
        "currency",
    ]);
    for line in &given.lines {
        let decimal = |amount| given.currency.decimal(amount);
        csv.row(&[
            line.scheme.clone(),
            line.name.clone(),
            line.version.to_string(),
            line.from.map(decimal).unwrap_or_default(),
            format!("{}.{:02}", line.rate / 100, line.rate % 100),
            line.rendered.to_string(),
            line.cancelled.to_string(),
            decimal(line.gross),
            decimal(line.discount),
            given.currency.to_string(),
        ]);
    }
    told(&visit, "/till/discounts-given.csv", Vec::new(), given.lines.len()).await?;
    Ok(csv.into_response("discounts.csv"))
}
