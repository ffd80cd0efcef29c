//! How long it has been owed what nobody has paid.

use axum::response::Response;
use clinic::till::figures::{AGES, AgeingLine};
use domain::money::Amount;
use domain::till::Owner;

use super::{Cell, Grid, Head, Input, Kind, Page, owner, told};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::money;
use crate::pages::query::Query;
use crate::papers::Words;
use crate::papers::statement::currency_of;
use crate::view::Frame;
use crate::visit::Visit;
use crate::words::short_id;

/// `0–7`, `8–30`, `31–90`, `> 90`.
fn ages() -> [String; 4] {
    let [a, b, c] = AGES;
    [format!("0–{a}"), format!("{}–{b}", a + 1), format!("{}–{c}", b + 1), format!("> {c}")]
}

/// `GET /till/ageing`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let w = Words::of_visitor(&visit);
    let t = |key: &str| w.texts.t(key);
    let only = currency_of(&query)?;
    let ageing = visit.app.till.ageing(&visit.acting()?, only).await?;
    let late_words = w.texts.a("report-age", &format!("> {}", AGES[0]));
    let columns = |first: String, rest: Vec<Head>| {
        let mut heads = vec![Head::word(first)];
        heads.extend(ages().into_iter().map(|age| Head::number(w.texts.a("report-age", &age))));
        heads.extend([
            Head::number(t("report-owed")),
            Head::bar_of(late_words.clone()),
            Head::number(t("report-charges")),
        ]);
        heads.extend(rest);
        heads
    };
    let bare = |currency, amount| money::bare(&w.texts, currency, amount);
    // The bar is the share that is older than the youngest age.
    let late = |ages: &[Amount; 4], total: Amount| {
        let late: i128 = ages.iter().skip(1).map(|age| i128::from(age.minor())).sum();
        u32::try_from(late * 100 / i128::from(total.minor().max(1))).unwrap_or(0)
    };
    let lines = ageing.lines.iter().map(|line| {
        let mut cells = vec![Cell::text(owner(&w.texts, &line.owner, line.name.as_deref()))];
        cells.extend(line.ages.iter().map(|age| Cell::text(bare(line.currency, *age))));
        cells.push(Cell::text(money::amount(&w.texts, line.currency, line.total)));
        cells.extend([Cell::bar(late(&line.ages, line.total)), Cell::text(line.charges.to_string())]);
        cells
    });
    let debtors = ageing.debtors.iter().map(|line| {
        let mut cells = vec![Cell::text(short_id(&line.patient.to_string()))];
        cells.extend(line.ages.iter().map(|age| Cell::text(bare(line.currency, *age))));
        cells.push(Cell::text(money::amount(&w.texts, line.currency, line.total)));
        cells.extend([Cell::bar(late(&line.ages, line.total)), Cell::text(line.charges.to_string())]);
        cells.push(Cell::text(w.date(line.oldest)));
        cells
    });
    let by_terms =
        Grid::new(&w.texts, t("report-by-terms"), columns(t("report-terms-of"), Vec::new()), lines.collect());
    let oldest = vec![Head::word(t("report-oldest"))];
    let by_patient = Grid::new(&w.texts, t("report-patients"), columns(t("paper-patient"), oldest), debtors.collect());
    let old: usize = ageing.debtors.iter().filter(|line| line.ages[3] != Amount::ZERO).count();
    let value = only.map(|currency| currency.to_string()).unwrap_or_default();
    super::show(&Page {
        frame: Frame::new(&visit, "till-ageing"),
        title: t("place-till-ageing"),
        finding: w.texts.n("report-old", old),
        action: "/till/ageing",
        inputs: vec![Input { name: "currency", label: t("paper-currency"), value, kind: Kind::Code }],
        problem: None,
        export: format!("/till/ageing.csv{}", query.with("", None)),
        paper: None,
        facts: Vec::new(),
        columns: None,
        grids: vec![by_terms, by_patient],
    })
}

/// `GET /till/ageing.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let ageing = visit.app.till.ageing(&visit.acting()?, currency_of(&query)?).await?;
    let mut csv = Csv::new(&[
        "what",
        "id",
        "name",
        "currency",
        "days_0_7",
        "days_8_30",
        "days_31_90",
        "days_over_90",
        "owed",
        "charges",
        "oldest",
    ]);
    for line in &ageing.lines {
        csv.row(&row(line));
    }
    for line in &ageing.debtors {
        let mut cells = vec!["patient".to_owned(), line.patient.to_string(), String::new(), line.currency.to_string()];
        cells.extend(line.ages.iter().map(|age| line.currency.decimal(*age)));
        cells.extend([line.currency.decimal(line.total), line.charges.to_string(), line.oldest.to_string()]);
        csv.row(&cells);
    }
    let persons = ageing.debtors.iter().map(|line| line.patient).collect();
    told(&visit, "/till/ageing.csv", persons, ageing.lines.len() + ageing.debtors.len()).await?;
    Ok(csv.into_response("ageing.csv"))
}

fn row(line: &AgeingLine) -> Vec<String> {
    let id = match &line.owner {
        Owner::Everybody => String::new(),
        Owner::Payer(id) => id.clone(),
        Owner::Patient(person) => person.to_string(),
    };
    let name = line.name.clone().unwrap_or_default();
    let mut cells = vec!["terms".to_owned(), id, name, line.currency.to_string()];
    cells.extend(line.ages.iter().map(|age| line.currency.decimal(*age)));
    cells.extend([line.currency.decimal(line.total), line.charges.to_string(), String::new()]);
    cells
}
