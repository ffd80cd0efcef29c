//! Services and their prices: the list, one service with the history of its prices, and changing both.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::till::{
    NewPrice, NewService, PriceNow, Service, ServiceFilter, ServiceLine, TillError, price_text, read_price,
};
use domain::money::Currency;

use super::{Choice, Problem, bad, currency_of, day, exported, read, said, searched, typed};
use crate::csv::{Csv, ROWS_MAX};
use crate::fault::Fault;
use crate::language::{Language, Texts};
use crate::money;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use clinic::disclosures::Class;

/// Lines of a page.
const PAGE: u32 = 100;
/// Lines read at once for an export.
const CHUNK: u32 = 1000;

#[derive(Template)]
#[template(path = "till_office/services.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    search: String,
    categories: Vec<Choice>,
    with_ended: bool,
    currency: String,
    is_filtered: bool,
    may_edit: bool,
    export: String,
    back: String,
    next: Option<String>,
    open: Option<Open>,
    form: Option<Form>,
    set: PriceForm,
    today: String,
    done: Option<String>,
    problem: Problem,
}

struct Line {
    link: String,
    code: String,
    name: String,
    category: String,
    price: String,
    next: Option<String>,
    is_ended: bool,
    at_home: bool,
    is_open: bool,
}

/// The service that is looked at.
struct Open {
    code: String,
    name: String,
    is_ended: bool,
    at_home: bool,
    external: String,
    category: String,
    prices: Vec<Version>,
}

struct Version {
    version: u32,
    from: String,
    price: String,
    state: Option<(&'static str, String)>,
}

/// The form of a service, as typed so far.
struct Form {
    code: String,
    is_new: bool,
    names: Vec<(String, String, String)>,
    category: String,
    at_home: bool,
    external: String,
    ended: bool,
}

/// The form of a price, as typed so far.
struct PriceForm {
    price: String,
    currency: String,
    sold: Vec<Choice>,
    from: String,
}

impl PriceForm {
    fn new(texts: &Texts, currency: Currency, today: String) -> Self {
        let choice = |code: &str, key: &str| Choice::new(code, texts.t(key), "");
        let sold = vec![
            choice("", "till-office-sold-price"),
            choice("free", "till-office-free"),
            choice("none", "till-office-not-sold"),
        ];
        Self { price: String::new(), currency: currency.to_string(), sold, from: today }
    }

    /// Takes over what was typed.
    fn keep(&mut self, form: &Query) {
        let text = |key: &str| typed(form, key).to_owned();
        (self.price, self.currency, self.from) = (text("price"), text("currency"), text("from"));
        self.sold.iter_mut().for_each(|choice| choice.is_set = choice.code == typed(form, "sold"));
    }
}

/// How a price is said.
fn price_words(texts: &Texts, price: &PriceNow) -> String {
    match price.amount {
        None => texts.t("till-office-not-sold"),
        Some(amount) if amount.minor() == 0 => texts.t("till-office-free"),
        Some(amount) => money::amount(texts, price.currency, amount),
    }
}

fn filter(query: &Query, currency: Currency) -> ServiceFilter {
    ServiceFilter {
        find: searched(query),
        category: query.one("category").map(str::to_owned),
        with_ended: query.one("ended").is_some(),
        currency: Some(currency),
        after: query.one("after").map(str::to_owned),
        limit: PAGE + 1,
    }
}

/// `GET /till/services`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("till-office-done-", done));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, frame) = (visit.acting()?, Frame::new(visit, "till-services"));
    let (texts, times, till) = (visit.texts(), visit.times(), &visit.app.till);
    let (currency, mut problem) = match currency_of(visit, query) {
        Ok(currency) => (currency, Problem::default()),
        Err(error) => (till.rules().currency, Problem::at("", said(visit, error)?)),
    };
    let filter = filter(query, currency);
    let mut found = till.services(&acting, &filter).await?;
    let has_more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let next = found.last().filter(|_| has_more).map(|last| {
        format!(
            "/till/services{}",
            Query::read(query.with("open", None).trim_start_matches('?')).with("after", Some(&last.service.code))
        )
    });
    let plain = Query::read(query.with("done", None).trim_start_matches('?'));
    let wanted = query.one("open");
    let language = texts.language().code();
    let line = |line: ServiceLine| {
        let next = line.next.as_ref().map(|next| {
            let from = till.day_at(next.from).to_string();
            texts.with("till-office-price-from", &[("price", price_words(&texts, next)), ("from", from)])
        });
        Line {
            link: format!("/till/services{}#service", plain.with("open", Some(&line.service.code))),
            name: line.service.name(language).to_owned(),
            category: line.service.category.clone(),
            price: line
                .price
                .as_ref()
                .map_or_else(|| texts.t("till-office-no-price"), |price| price_words(&texts, price)),
            next,
            is_ended: line.service.ended.is_some(),
            at_home: line.service.at_home,
            is_open: wanted == Some(line.service.code.as_str()),
            code: line.service.code,
        }
    };
    let lines: Vec<Line> = found.into_iter().map(line).collect();
    let may_edit = frame.may("price_edit");
    let (mut open, mut form) = (None, None);
    if let Some(code) = wanted {
        match till.service(&acting, code).await? {
            Some((service, prices)) => {
                form = may_edit.then(|| Form::of(&service, &texts));
                let now = visit.app.now();
                // The versions come newest first; the one that counts is that of the latest instant that has come.
                let counting: BTreeSet<(Currency, u32)> = prices
                    .iter()
                    .filter(|price| price.from <= now)
                    .fold(BTreeMap::<Currency, &PriceNow>::new(), |mut best, price| {
                        let known = best.entry(price.currency).or_insert(price);
                        if (price.from, price.version) > (known.from, known.version) {
                            *known = price;
                        }
                        best
                    })
                    .into_values()
                    .map(|price| (price.currency, price.version))
                    .collect();
                let version = |price: &PriceNow| Version {
                    version: price.version,
                    from: times.exact(price.from).chars().take(16).collect(),
                    price: price_words(&texts, price),
                    state: if price.from > now {
                        Some(("info", texts.t("till-office-planned")))
                    } else if counting.contains(&(price.currency, price.version)) {
                        Some(("ok", texts.t("till-office-counts")))
                    } else {
                        None
                    },
                };
                open = Some(Open {
                    code: service.code.clone(),
                    name: service.name(language).to_owned(),
                    is_ended: service.ended.is_some(),
                    at_home: service.at_home,
                    external: service.external.clone().unwrap_or_default(),
                    category: service.category.clone(),
                    prices: prices.iter().map(version).collect(),
                });
            }
            None => problem = Problem::at("", texts.t("till-problem-not_found")),
        }
    } else if may_edit && query.one("new").is_some() {
        form = Some(Form::empty(&texts));
    }
    let category = query.one("category").unwrap_or_default();
    let categories = till.categories(&acting).await?;
    Ok(Page {
        lines,
        search: filter.find.clone(),
        categories: categories.iter().map(|it| Choice::new(it, it.clone(), category)).collect(),
        with_ended: filter.with_ended,
        currency: currency.to_string(),
        is_filtered: !filter.find.is_empty() || filter.category.is_some() || filter.after.is_some(),
        may_edit,
        export: format!("/till/services.csv{}", plain.with("open", None)),
        back: format!("/till/services{}", plain.with("open", None)),
        next,
        open,
        form,
        set: PriceForm::new(&texts, currency, till.today().to_string()),
        today: till.today().to_string(),
        done: None,
        problem,
        frame,
    })
}

impl Form {
    fn names(texts: &Texts, of: &BTreeMap<String, String>) -> Vec<(String, String, String)> {
        let mut codes: Vec<String> = Language::ALL.iter().map(|it| it.code().to_owned()).collect();
        codes.extend(of.keys().filter(|code| !Language::ALL.iter().any(|it| it.code() == code.as_str())).cloned());
        let name = |code: String| {
            let label = texts.a("till-office-name-in", &code);
            let name = of.get(&code).cloned().unwrap_or_default();
            (code, label, name)
        };
        codes.into_iter().map(name).collect()
    }

    fn empty(texts: &Texts) -> Self {
        Self {
            code: String::new(),
            is_new: true,
            names: Self::names(texts, &BTreeMap::new()),
            category: String::new(),
            at_home: false,
            external: String::new(),
            ended: false,
        }
    }

    fn of(service: &Service, texts: &Texts) -> Self {
        Self {
            code: service.code.clone(),
            is_new: false,
            names: Self::names(texts, &service.names),
            category: service.category.clone(),
            at_home: service.at_home,
            external: service.external.clone().unwrap_or_default(),
            ended: service.ended.is_some(),
        }
    }

    fn typed(texts: &Texts, new: &NewService, is_new: bool) -> Self {
        Self {
            code: new.code.clone(),
            is_new,
            names: Self::names(texts, &new.names),
            category: new.category.clone(),
            at_home: new.at_home,
            external: new.external.clone().unwrap_or_default(),
            ended: new.ended,
        }
    }
}

/// `POST /till/services/put`
pub async fn put(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let names = form.pairs().filter_map(|(key, value)| {
        let (language, value) = (key.strip_prefix("name_")?, value.trim());
        (!value.is_empty()).then(|| (language.to_owned(), value.to_owned()))
    });
    let new = NewService {
        code: typed(&form, "code").to_owned(),
        names: names.collect(),
        category: typed(&form, "category").to_owned(),
        at_home: form.one("at_home").is_some(),
        external: form.one("external").map(str::to_owned),
        ended: form.one("ended").is_some(),
    };
    let is_new = form.one("new").is_some();
    let (acting, till) = (visit.acting()?, &visit.app.till);
    let known = if is_new { till.service(&acting, &new.code).await? } else { None };
    let outcome = match known {
        // Somebody who makes a service does not mean to change another one.
        Some(_) => Err(bad("code_taken")),
        None => till.put_service(&acting, new.clone()).await,
    };
    match outcome {
        Ok(service) => {
            let query = Query::default().with("open", Some(&service.code));
            Ok(go(&format!("/till/services{}&done=service#service", query)))
        }
        Err(error) => {
            let problem = said(&visit, error)?;
            let query = if is_new { String::new() } else { Query::default().with("open", Some(&new.code)) };
            let mut page = page(&visit, &Query::read(query.trim_start_matches('?'))).await?;
            page.form = Some(Form::typed(&visit.texts(), &new, is_new));
            page.problem = Problem::at("service", problem);
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// `POST /till/services/price`
pub async fn price(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let code = typed(&form, "code").to_owned();
    match set(&visit, &form, &code).await {
        Ok(is_changed) => {
            let query = Query::default().with("open", Some(&code));
            let done = if is_changed { "price" } else { "same" };
            Ok(go(&format!("/till/services{query}&done={done}#service")))
        }
        Err(error) => {
            let problem = said(&visit, error)?;
            let mut page =
                page(&visit, &Query::read(Query::default().with("open", Some(&code)).trim_start_matches('?'))).await?;
            page.set.keep(&form);
            // A service that is gone has no form at which it could be said.
            page.problem = Problem::at(if page.open.is_some() { "price" } else { "" }, problem);
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

async fn set(visit: &Visit, form: &Query, code: &str) -> Result<bool, TillError> {
    let currency = currency_of(visit, form)?;
    let amount = match typed(form, "sold") {
        "none" => None,
        "free" => Some(domain::money::Amount::ZERO),
        // A forgotten or mistyped price is none: what costs nothing is said in words.
        _ => read_price(typed(form, "price"), currency).map_err(|kind| match kind {
            clinic::till::ListFaultKind::Zero => bad("zero"),
            _ => bad("price"),
        })?,
    };
    let acting = visit.acting().map_err(|_| bad("price"))?;
    let price = NewPrice { service: code.to_owned(), currency, amount };
    let set = visit.app.till.set_prices(&acting, day("from", form)?, vec![price]).await?;
    Ok(set.version.is_some())
}

/// `GET /till/services.csv`: a list as the import reads it.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, till) = (visit.acting()?, &visit.app.till);
    let currency = currency_of(&visit, &query).map_err(Fault::from)?;
    let mut filter = ServiceFilter { limit: CHUNK, after: None, ..filter(&query, currency) };
    let mut all: Vec<ServiceLine> = Vec::new();
    loop {
        let lines = till.services(&acting, &filter).await?;
        let is_last = lines.len() < CHUNK as usize;
        filter.after = lines.last().map(|line| line.service.code.clone());
        all.extend(lines);
        if is_last || all.len() >= ROWS_MAX {
            break;
        }
    }
    all.truncate(ROWS_MAX);
    let mut languages: BTreeSet<&str> = Language::ALL.iter().map(|it| it.code()).collect();
    languages.extend(all.iter().flat_map(|line| line.service.names.keys().map(String::as_str)));
    let mut head: Vec<String> = ["service", "price", "currency", "category", "at_home", "external", "ended"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    head.extend(languages.iter().map(|language| format!("name_{language}")));
    let mut csv = Csv::new(&head);
    let flag = |it: bool| if it { "yes" } else { "no" }.to_owned();
    for line in &all {
        let service = &line.service;
        let price = line.price.as_ref().map(|price| price_text(price.amount, currency)).unwrap_or_default();
        let mut row = vec![
            service.code.clone(),
            price,
            currency.to_string(),
            service.category.clone(),
            flag(service.at_home),
            service.external.clone().unwrap_or_default(),
            flag(service.ended.is_some()),
        ];
        row.extend(languages.iter().map(|language| service.names.get(*language).cloned().unwrap_or_default()));
        csv.row(&row);
    }
    exported(&visit, "/till/services.csv", Class::Technical, all.len()).await?;
    Ok(csv.into_response("price-list.csv"))
}
