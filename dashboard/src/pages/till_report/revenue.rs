//! What was earned, by service, specialist, room, hour or day.

use axum::response::Response;
use clinic::till::figures::{Revenue, RevenueBy, RevenueLine};
use domain::money::Amount;
use domain::schedule::LocalDate;

use super::{Cell, Columns, Grid, Head, Input, Kind, Page, day_inputs, problem, read_days, told};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::money;
use crate::pages::query::Query;
use crate::papers::Words;
use crate::view::Frame;
use crate::visit::Visit;
use crate::words::{label, short_id};

fn by_of(query: &Query) -> Result<RevenueBy, Fault> {
    match query.one("by") {
        Some(code) => RevenueBy::parse(code).ok_or(Fault::Invalid),
        None => Ok(RevenueBy::Service),
    }
}

/// What a line is about, in words.
fn name(w: &Words, by: RevenueBy, line: &RevenueLine) -> String {
    let language = w.texts.language().code();
    match by {
        _ if line.key.is_empty() => w.texts.t("report-nowhere"),
        RevenueBy::Service => {
            let any = || line.names.values().next();
            let found = line.names.get(language).or_else(|| line.names.get("en")).or_else(any);
            found.cloned().unwrap_or_else(|| line.key.clone())
        }
        RevenueBy::Staff => short_id(&line.key),
        RevenueBy::Room => label(&line.key),
        RevenueBy::Hour => format!("{}:00", line.key),
        RevenueBy::Day => line.key.parse().map_or_else(|_| line.key.clone(), |day| w.date(LocalDate(day))),
    }
}

/// `GET /till/revenue`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, w) = (visit.acting()?, Words::of_visitor(&visit));
    let t = |key: &str| w.texts.t(key);
    let (days, by) = (read_days(&visit, &query)?, by_of(&query)?);
    let (revenue, trouble) = match visit.app.till.revenue(&acting, &days, by).await {
        Ok(revenue) => (Some(revenue), None),
        Err(error) => (None, Some(problem(&w.texts, error)?)),
    };
    let choices = RevenueBy::ALL.iter().map(|it| (it.as_str().to_owned(), w.texts.code("report-by-", it.as_str())));
    let mut inputs = day_inputs(&visit, &days);
    let kind = Kind::Choice(choices.collect());
    inputs.push(Input { name: "by", label: t("report-sum-by"), value: by.as_str().to_owned(), kind });
    let finding = revenue.as_ref().map_or_else(String::new, |revenue| {
        let values = [
            ("net", money::amount(&w.texts, revenue.currency, revenue.total.net)),
            ("discount", money::amount(&w.texts, revenue.currency, revenue.total.discount)),
        ];
        w.texts.with("report-earned", &values)
    });
    let facts = revenue
        .iter()
        .filter(|it| it.written_off != Amount::ZERO)
        .map(|it| (t("report-written-off"), money::amount(&w.texts, it.currency, it.written_off)));
    super::show(&Page {
        frame: Frame::new(&visit, "till-revenue"),
        title: t("place-till-revenue"),
        finding,
        action: "/till/revenue",
        inputs,
        problem: trouble,
        export: format!("/till/revenue.csv{}", query.with("", None)),
        paper: None,
        facts: facts.collect(),
        columns: revenue.as_ref().and_then(|revenue| standing(&w, revenue)),
        grids: revenue.iter().map(|revenue| grid(&w, revenue)).collect(),
    })
}

/// Hours and days stand beside each other.
fn standing(w: &Words, revenue: &Revenue) -> Option<Columns> {
    let is_time = matches!(revenue.by, RevenueBy::Hour | RevenueBy::Day);
    let is_some = (1..=240).contains(&revenue.lines.len());
    let bar = |line: &RevenueLine| {
        let name = name(w, revenue.by, line);
        let label = match revenue.by {
            RevenueBy::Hour => line.key.clone(),
            _ if revenue.lines.len() <= 31 => name.split('\u{a0}').next().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let said = format!("{name}: {}", money::amount(&w.texts, revenue.currency, line.net));
        (label, said, line.net.minor())
    };
    (is_time && is_some).then(|| {
        let title = w.texts.code("report-by-", revenue.by.as_str());
        Columns::new(title, revenue.lines.iter().map(bar).collect())
    })
}

fn grid(w: &Words, revenue: &Revenue) -> Grid {
    let t = |key: &str| w.texts.t(key);
    let bare = |amount| money::bare(&w.texts, revenue.currency, amount);
    let most = revenue.lines.iter().map(|line| line.net.minor()).max().unwrap_or(0).max(1);
    let cells = |first: String, line: &RevenueLine, is_total: bool| {
        let share = u32::try_from(i128::from(line.net.minor().max(0)) * 100 / i128::from(most)).unwrap_or(100);
        vec![
            Cell::text(first),
            if is_total { Cell::default() } else { Cell::bar(share) },
            Cell::text(line.rendered.to_string()),
            Cell::text(line.cancelled.to_string()),
            Cell::text(bare(line.gross)),
            Cell::text(bare(line.discount)),
            Cell::text(bare(line.net)),
        ]
    };
    let heads = vec![
        Head::word(w.texts.code("report-by-", revenue.by.as_str())),
        Head::bar(),
        Head::number(t("report-rendered")),
        Head::number(t("report-cancelled")),
        Head::number(t("paper-price")),
        Head::number(t("paper-discount")),
        Head::number(w.texts.a("report-net", revenue.currency.as_str())),
    ];
    let rows = revenue.lines.iter().map(|line| cells(name(w, revenue.by, line), line, false)).collect();
    Grid::new(&w.texts, String::new(), heads, rows).with_total(cells(t("paper-together"), &revenue.total, true))
}

/// `GET /till/revenue.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let w = Words::of_visitor(&visit);
    let (days, by) = (read_days(&visit, &query)?, by_of(&query)?);
    let revenue = visit.app.till.revenue(&visit.acting()?, &days, by).await?;
    let mut csv = Csv::new(&["by", "key", "name", "rendered", "cancelled", "price", "discount", "net", "currency"]);
    for line in &revenue.lines {
        let key = match by {
            RevenueBy::Day => line.key.parse().map_or_else(|_| line.key.clone(), |day| LocalDate(day).to_string()),
            _ => line.key.clone(),
        };
        let decimal = |amount| revenue.currency.decimal(amount);
        csv.row(&[
            by.to_string(),
            key,
            if by == RevenueBy::Service { name(&w, by, line) } else { String::new() },
            line.rendered.to_string(),
            line.cancelled.to_string(),
            decimal(line.gross),
            decimal(line.discount),
            decimal(line.net),
            revenue.currency.to_string(),
        ]);
    }
    told(&visit, "/till/revenue.csv", Vec::new(), revenue.lines.len()).await?;
    Ok(csv.into_response("revenue.csv"))
}
