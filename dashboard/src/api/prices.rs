//! Services and prices by the API: what there is and what it costs now and next, and taking over a price list after a look at
//! what it would change.

use axum::response::Response;
use clinic::till::{
    ListReport, ListState, PriceNow, SERVICES_PAGE_MAX, ServiceFilter, ServiceLine, Take, read_currency,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::describe::{Form, Gives, Operation, Parameter, Shape};
use super::problem::Problem;

/// Where price lists are sent: longer bodies are taken there.
pub const PRICES: &str = "/api/v1/prices";
/// Faults of one answer; further ones are counted.
const FAULTS_MAX: usize = 200;

fn yes_no() -> Vec<&'static str> {
    vec!["true", "false"]
}

/// A price list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// The list as CSV; its columns stand in the documentation of the till.
    #[schema(min_length = 1)]
    list: String,
    /// From which day of the clinic it counts, like `2027-01-01`; left out or today: from now on.
    #[serde(default)]
    #[schema(max_length = 10)]
    from: Option<String>,
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
    /// The digest of an answer to a dry run: the list is taken only if it still changes what that answer has shown.
    #[serde(default)]
    #[schema(max_length = 64)]
    digest: Option<String>,
}

/// What became of a price list, or would.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceReport {
    /// Whether it was taken: whole, or with any fault not at all.
    taken: bool,
    /// From when its prices count.
    #[schema(format = DateTime)]
    from: String,
    /// The version of the price list that it made, where prices changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    /// Of the list and of what it changes.
    digest: String,
    /// Lines that make a service.
    new: usize,
    /// Lines that change a service or its price.
    changed: usize,
    /// Lines that say what is so.
    unchanged: usize,
    /// What is wrong.
    faults: Vec<PriceFault>,
    /// How many further faults there are.
    more_faults: u64,
}

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PriceFault {
    /// The line, the first being 1.
    line: u64,
    /// The column; empty: the whole line.
    column: String,
    /// Which rule.
    kind: &'static str,
    /// What is wrong and what to do.
    advice: String,
}

/// Services in the order of their codes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// The services.
    services: Vec<ServiceBody>,
    /// The code to go on after; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ServiceBody {
    /// Its code.
    code: String,
    /// Its name by language.
    names: BTreeMap<String, String>,
    /// What it belongs to; may be empty.
    category: String,
    /// Rendered at the patient's home, and so paid before.
    at_home: bool,
    /// What other systems call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    external: Option<String>,
    /// Since when it is not given any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended: Option<String>,
    /// Its price now.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<PriceBody>,
    /// The next one that is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    planned: Option<PriceBody>,
}

/// A price of one piece.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PriceBody {
    /// A decimal number as text, like `1018.00`; absent: not sold any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// From when.
    #[schema(format = DateTime)]
    from: String,
    /// By which version of the price list.
    version: u32,
}

pub const LIST: Operation = Operation {
    about: "Prices are in one currency, the clinic's if none is asked for.",
    parameters: &[
        Parameter::query("find", Form::Token(80), "A part of a code or name."),
        Parameter::query("currency", Form::Token(3), "The currency of the prices (ISO 4217)."),
        Parameter::query("ended", Form::Code(yes_no), "Also those that are not given any more."),
        Parameter::query("after", Form::Token(160), "The `next` of an earlier answer."),
        Parameter::query("limit", Form::Whole(1, SERVICES_PAGE_MAX as u64), "At most so many; 100 if left out."),
    ],
    ..Operation::reads("services", "prices", "Services and what they cost", Shape::of::<Services>())
};

pub const TAKE: Operation = Operation {
    about: "At most 4 MB. A list with any fault changes nothing; the faults stand in the answer with line and column. A \
            price is an amount, `free`, or `none` for what is not sold any more; a bare 0 is a fault.",
    takes: Some(Shape::of::<PriceList>()),
    gives: Gives::Json(200, Shape::of::<PriceReport>()),
    repeatable: true,
    ..Operation::reads("prices_take", "prices", "Take over a price list", Shape::of::<PriceReport>())
};

/// `GET /api/v1/services`
pub async fn list(call: Call) -> Result<Response, Problem> {
    let till = &call.app.till;
    let clinics = till.rules().currency;
    let currency = call.text("currency").map(read_currency).transpose();
    let currency = currency.map_err(|error| Problem::of_till(error, clinics))?;
    let limit = call.read::<u32>("limit")?.unwrap_or(100);
    let filter = ServiceFilter {
        find: call.text("find").unwrap_or_default().to_owned(),
        with_ended: call.text("ended") == Some("true"),
        currency,
        after: call.text("after").map(str::to_owned),
        limit,
        ..ServiceFilter::default()
    };
    let lines = till.services(call.acting()?, &filter).await.map_err(|error| Problem::of_till(error, clinics))?;
    let next = lines.last().filter(|_| lines.len() >= limit as usize).map(|line| line.service.code.clone());
    ok(&Services { services: lines.into_iter().map(service).collect(), next })
}

fn service(line: ServiceLine) -> ServiceBody {
    let price = |price: PriceNow| PriceBody {
        amount: price.amount.map(|amount| price.currency.decimal(amount)),
        currency: price.currency.to_string(),
        from: price.from.to_rfc3339(),
        version: price.version,
    };
    ServiceBody {
        code: line.service.code,
        names: line.service.names,
        category: line.service.category,
        at_home: line.service.at_home,
        external: line.service.external,
        ended: line.service.ended.map(|at| at.to_rfc3339()),
        price: line.price.map(price),
        planned: line.next.map(price),
    }
}

/// `POST /api/v1/prices`
pub async fn take(call: Call) -> Result<Response, Problem> {
    let wanted: PriceList = call.json()?;
    let till = &call.app.till;
    if wanted.list.is_empty() {
        return Err(Problem::invalid("/list", "expected the lines of a price list"));
    }
    let day = wanted.from.as_deref().map(str::parse).transpose();
    let day = day.map_err(|()| Problem::invalid("/from", "expected a day like 2027-01-01"))?;
    let how = match &wanted.digest {
        _ if wanted.dry_run => Take::Look,
        Some(digest) => Take::AsShown(digest),
        None => Take::Now,
    };
    let report = till.import_prices(call.acting()?, wanted.list.into_bytes(), day, how).await;
    ok(&body(&report.map_err(|error| Problem::of_till(error, till.rules().currency))?))
}

fn body(report: &ListReport) -> PriceReport {
    let kept = &report.faults.kept;
    let fault = |fault: &clinic::till::ListFault| PriceFault {
        line: fault.line,
        column: fault.column.clone(),
        kind: fault.kind.as_str(),
        advice: fault.to_string(),
    };
    PriceReport {
        taken: report.is_taken,
        from: report.from.to_rfc3339(),
        version: report.set.and_then(|set| set.version),
        digest: report.digest.clone(),
        new: report.count(ListState::New),
        changed: report.count(ListState::Changed),
        unchanged: report.count(ListState::Unchanged),
        faults: kept.iter().take(FAULTS_MAX).map(fault).collect(),
        more_faults: report.faults.more + kept.len().saturating_sub(FAULTS_MAX) as u64,
    }
}
