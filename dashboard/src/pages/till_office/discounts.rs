//! Scales of discounts: the list, one with its versions, changing it, and a calculator that shows line by line what it gives.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::disclosures::Class;
use clinic::till::{NewScheme, StoredScheme, TillError, explain};
use domain::money::{Amount, Currency};
use domain::till::{Rounding, Step};

use super::{Choice, Problem, amount, bad, choices, currency_of, exported, read, said, searched, typed, who};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::hands::Hands;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Prices that the calculator takes at once.
const PRICES_MAX: usize = 50;
/// Rows of steps in the form beyond those that are filled.
const SPARE_STEPS: usize = 3;

#[derive(Template)]
#[template(path = "till_office/discounts.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    search: String,
    export: String,
    back: String,
    open: Option<Open>,
    form: Option<Form>,
    done: Option<String>,
    problem: Problem,
}

struct Line {
    id: String,
    link: String,
    name: String,
    version: u32,
    currency: String,
    steps: String,
    rounding: String,
    is_open: bool,
}

struct Open {
    id: String,
    name: String,
    currency: String,
    steps: Vec<(String, String)>,
    rounding: String,
    versions: Vec<(u32, String, String, String)>,
    /// The calculator: what was typed, and what it gives.
    before: String,
    prices: String,
    explained: Vec<Explained>,
    total: Option<(String, String, String)>,
}

struct Explained {
    before: String,
    price: String,
    rate: String,
    discount: String,
    net: String,
    next: String,
}

struct Form {
    id: String,
    is_new: bool,
    name: String,
    currency: String,
    steps: Vec<(String, String)>,
    roundings: Vec<Choice>,
    unit: String,
}

/// A rate as it is typed: `7.5` for 750 hundredths of a per cent.
fn rate_text(rate: u32) -> String {
    match rate % 100 {
        0 => (rate / 100).to_string(),
        part => format!("{}.{part:02}", rate / 100).trim_end_matches('0').to_owned(),
    }
}

/// Reads a rate in per cent with at most two digits after the decimal sign.
fn read_rate(text: &str) -> Option<u32> {
    let text = text.trim().trim_end_matches('%').trim_end();
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let is_digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    if !is_digits(whole, 3) || !is_digits(part, 2) {
        return None;
    }
    let part: u32 = format!("{part:0<2}").parse().ok()?;
    Some(whole.parse::<u32>().ok()? * 100 + part)
}

fn rounding_words(texts: &Texts, stored: &StoredScheme) -> String {
    let unit = Amount::new(stored.scheme.unit).unwrap_or_default();
    let to = money::amount(texts, stored.currency, unit);
    let how = texts.code("till-rounding-", stored.scheme.rounding.as_str());
    texts.with("till-office-rounded", &[("how", how), ("to", to)])
}

fn steps(texts: &Texts, stored: &StoredScheme) -> Vec<(String, String)> {
    let step = |step: &Step| (money::amount(texts, stored.currency, step.from), money::rate(texts, step.rate));
    stored.scheme.steps.iter().map(step).collect()
}

fn steps_words(texts: &Texts, stored: &StoredScheme) -> String {
    let all = stored.scheme.steps.iter().map(|step| {
        let from = money::bare(texts, stored.currency, step.from);
        texts.with("till-office-step", &[("from", from), ("rate", money::rate(texts, step.rate))])
    });
    all.collect::<Vec<_>>().join("; ")
}

/// `GET /till/discounts`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("till-office-done-", done));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let all = till.schemes(&acting).await?;
    let (wanted, search) = (query.one("open"), searched(query));
    let narrowed = Query::default().with("q", query.one("q").map(|_| search.as_str()));
    let narrowed = Query::read(narrowed.trim_start_matches('?'));
    let line = |stored: &StoredScheme| Line {
        link: format!("/till/discounts{}#scale", narrowed.with("open", Some(&stored.scheme.id))),
        name: stored.name.clone(),
        version: stored.scheme.version,
        currency: stored.currency.to_string(),
        steps: steps_words(&texts, stored),
        rounding: rounding_words(&texts, stored),
        is_open: wanted == Some(stored.scheme.id.as_str()),
        id: stored.scheme.id.clone(),
    };
    let (mut open, mut form, mut problem) = (None, None, Problem::default());
    if let Some(id) = wanted {
        match all.iter().find(|stored| stored.scheme.id == id) {
            Some(stored) => {
                form = Some(Form::of(&texts, Some(stored), till.rules().currency));
                let history = till.scheme_history(&acting, id).await?;
                let (shown, wrong) = opened(visit, query, stored, &history).await?;
                open = Some(shown);
                problem = wrong.map_or_else(Problem::default, |words| Problem::at("calculator", words));
            }
            None => problem = Problem::at("", texts.t("till-problem-not_found")),
        }
    } else if query.one("new").is_some() {
        form = Some(Form::of(&texts, None, till.rules().currency));
    }
    Ok(Page {
        frame: Frame::new(visit, "till-scales"),
        lines: all.iter().filter(|stored| is_found(stored, &search)).map(line).collect(),
        export: format!("/till/discounts.csv{}", narrowed.with("", None)),
        back: format!("/till/discounts{}", narrowed.with("", None)),
        search,
        open,
        form,
        done: None,
        problem,
    })
}

/// Whether a scale is one that is looked for, by its code or name.
fn is_found(stored: &StoredScheme, search: &str) -> bool {
    format!("{} {}", stored.scheme.id, stored.name).to_lowercase().contains(&search.to_lowercase())
}

async fn opened(
    visit: &Visit,
    query: &Query,
    stored: &StoredScheme,
    history: &[StoredScheme],
) -> Result<(Open, Option<String>), Fault> {
    let (texts, times) = (visit.texts(), visit.times());
    let (mut hands, mut versions) = (Hands::new(visit), Vec::new());
    for one in history {
        let by = who(&mut hands, &one.made).await?;
        versions.push((one.scheme.version, steps_words(&texts, one), times.full(one.made.at), by));
    }
    let mut open = Open {
        id: stored.scheme.id.clone(),
        name: stored.name.clone(),
        currency: stored.currency.to_string(),
        steps: steps(&texts, stored),
        rounding: rounding_words(&texts, stored),
        versions,
        before: typed(query, "before").to_owned(),
        prices: typed(query, "prices").to_owned(),
        explained: Vec::new(),
        total: None,
    };
    if open.prices.is_empty() {
        return Ok((open, None));
    }
    match calculate(&texts, stored, &open.before, &open.prices) {
        Ok((lines, total)) => {
            (open.explained, open.total) = (lines, Some(total));
            Ok((open, None))
        }
        Err(error) => {
            let problem = said(visit, error)?;
            Ok((open, Some(problem)))
        }
    }
}

type Calculated = (Vec<Explained>, (String, String, String));

/// Prices one after the other, separated by semicolons or lines.
fn calculate(texts: &Texts, stored: &StoredScheme, before: &str, prices: &str) -> Result<Calculated, TillError> {
    let currency = stored.currency;
    let before = if before.is_empty() { Amount::ZERO } else { amount("before", before, currency)? };
    let prices: Vec<Amount> = prices
        .split([';', '\n', '\r'])
        .filter(|text| !text.trim().is_empty())
        .take(PRICES_MAX + 1)
        .map(|text| amount("prices", text, currency))
        .collect::<Result<_, _>>()?;
    if prices.len() > PRICES_MAX || before.minor() < 0 || prices.iter().any(|price| price.minor() < 0) {
        return Err(bad("prices"));
    }
    let lines = explain(&stored.scheme, before, &prices)?;
    let bare = |amount| money::bare(texts, currency, amount);
    let (mut gross, mut off, mut net) = (0_i64, 0_i64, 0_i64);
    for line in &lines {
        // Fifty amounts fit into 64 bits.
        (gross, off, net) = (gross + line.price.minor(), off + line.discount.amount.minor(), net + line.net.minor());
    }
    let sum = |minor| Amount::new(minor).map(bare).unwrap_or_default();
    let explained = lines.iter().map(|line| Explained {
        before: bare(line.before),
        price: bare(line.price),
        rate: money::rate(texts, line.discount.rate),
        discount: bare(line.discount.amount),
        net: bare(line.net),
        next: line.discount.next.map_or_else(String::new, |next| {
            texts.with("till-office-step", &[("from", bare(next.from)), ("rate", money::rate(texts, next.rate))])
        }),
    });
    Ok((explained.collect(), (sum(gross), sum(off), sum(net))))
}

impl Form {
    fn of(texts: &Texts, stored: Option<&StoredScheme>, currency: Currency) -> Self {
        let codes: Vec<&str> = Rounding::ALL.iter().map(|it| it.as_str()).collect();
        let rounding = stored.map_or(Rounding::HalfUp, |stored| stored.scheme.rounding);
        let currency = stored.map_or(currency, |stored| stored.currency);
        let mut steps: Vec<(String, String)> = stored.map_or_else(Vec::new, |stored| {
            let step = |step: &Step| (currency.decimal(step.from), rate_text(step.rate));
            stored.scheme.steps.iter().map(step).collect()
        });
        steps.extend(std::iter::repeat_n((String::new(), String::new()), SPARE_STEPS));
        let unit = stored.map_or(1, |stored| stored.scheme.unit);
        Self {
            id: stored.map(|stored| stored.scheme.id.clone()).unwrap_or_default(),
            is_new: stored.is_none(),
            name: stored.map(|stored| stored.name.clone()).unwrap_or_default(),
            currency: currency.to_string(),
            steps,
            roundings: choices(texts, "till-rounding-", &codes, rounding.as_str()),
            unit: Amount::new(unit).map(|unit| currency.decimal(unit)).unwrap_or_default(),
        }
    }
}

/// The steps as they were typed: sums and rates in the order of the form, empty rows left out.
fn typed_steps(form: &Query) -> Vec<(String, String)> {
    let rates = form.all("rate").map(|text| text.trim().to_owned());
    let rows = form.all("sum").map(|text| text.trim().to_owned()).zip(rates);
    rows.filter(|(sum, rate)| !(sum.is_empty() && rate.is_empty())).collect()
}

fn wanted(visit: &Visit, form: &Query) -> Result<NewScheme, TillError> {
    let currency = currency_of(visit, form)?;
    let step = |(sum, rate): &(String, String)| {
        let from = amount("steps", if sum.is_empty() { "0" } else { sum }, currency)?;
        Ok(Step { from, rate: read_rate(rate).ok_or_else(|| bad("rate"))? })
    };
    Ok(NewScheme {
        id: typed(form, "id").to_owned(),
        name: typed(form, "name").to_owned(),
        currency,
        steps: typed_steps(form).iter().map(step).collect::<Result<_, TillError>>()?,
        rounding: Rounding::parse(typed(form, "rounding")).ok_or_else(|| bad("rounding"))?,
        unit: amount("unit", typed(form, "unit"), currency)?.minor(),
    })
}

/// `POST /till/discounts/put`
pub async fn put(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, till, is_new) = (visit.acting()?, &visit.app.till, form.one("new").is_some());
    let id = typed(&form, "id").to_owned();
    let is_taken = is_new && till.schemes(&acting).await?.iter().any(|stored| stored.scheme.id == id);
    let outcome = match wanted(&visit, &form) {
        Ok(_) if is_taken => Err(bad("code_taken")),
        Ok(new) => till.put_scheme(&acting, new).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(stored) => {
            let query = Query::default().with("open", Some(&stored.scheme.id));
            Ok(go(&format!("/till/discounts{query}&done=scheme#scale")))
        }
        Err(error) => {
            let problem = said(&visit, error)?;
            let query = if is_new { "new=1".to_owned() } else { Query::default().with("open", Some(&id)) };
            let mut page = page(&visit, &Query::read(query.trim_start_matches('?'))).await?;
            if let Some(shown) = page.form.as_mut() {
                shown.steps = typed_steps(&form);
                shown.steps.extend(std::iter::repeat_n((String::new(), String::new()), SPARE_STEPS));
                (shown.id, shown.name) = (id, typed(&form, "name").to_owned());
                (shown.currency, shown.unit) = (typed(&form, "currency").to_owned(), typed(&form, "unit").to_owned());
                shown.roundings.iter_mut().for_each(|it| it.is_set = it.code == typed(&form, "rounding"));
            }
            page.problem = Problem::at(if page.form.is_some() { "scale" } else { "" }, problem);
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// `GET /till/discounts.csv`: each step of each scale as it is now.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let search = searched(&query);
    let mut all = visit.app.till.schemes(&visit.acting()?).await?;
    all.retain(|stored| is_found(stored, &search));
    let mut csv = Csv::new(&["code", "version", "name", "currency", "from", "rate", "rounding", "to"]);
    for stored in &all {
        for step in &stored.scheme.steps {
            csv.row(&[
                stored.scheme.id.clone(),
                stored.scheme.version.to_string(),
                stored.name.clone(),
                stored.currency.to_string(),
                stored.currency.decimal(step.from),
                rate_text(step.rate),
                stored.scheme.rounding.to_string(),
                Amount::new(stored.scheme.unit).map(|unit| stored.currency.decimal(unit)).unwrap_or_default(),
            ]);
        }
    }
    exported(&visit, "/till/discounts.csv", Class::Technical, all.len()).await?;
    Ok(csv.into_response("discounts.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_per_cents() {
        for (text, rate) in [("5", 500), ("7.5", 750), ("7,25 %", 725), ("0", 0), ("100", 10_000), ("0.05", 5)] {
            assert_eq!(read_rate(text), Some(rate), "{text}");
        }
        for text in ["", "-5", "5.125", "1e2", "%", "1.", ".5", "5 5"] {
            assert_eq!(read_rate(text), None, "{text}");
        }
        for rate in [0, 5, 50, 500, 705, 750, 10_000] {
            assert_eq!(read_rate(&rate_text(rate)), Some(rate));
        }
    }
}
