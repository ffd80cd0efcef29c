//! `tapward till prices import` and `tapward till services list`: the price list at the command line, for files that are
//! larger than a page takes and for programs that bring one every night.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use clinic::acting::Acting;
use clinic::till::{
    LIST_MAX_BYTES, ListReport, ListState, PriceNow, ServiceFilter, ServiceLine, Take, Till, price_text, read_currency,
};
use domain::Clock;
use domain::schedule::LocalDate;
use serde_json::{Value, json};

use crate::cli::{PricesCommand, ServicesCommand, exit};
use crate::compose;
use crate::config::Config;
use crate::keys;

/// Services read at once.
const CHUNK: u32 = 1000;

/// `tapward till prices …`
pub async fn prices(config: &Config, command: PricesCommand, clock: &Clock) -> anyhow::Result<u8> {
    let PricesCommand::Import { file, from, dry_run, json } = command;
    let from: Option<LocalDate> = match from {
        None => None,
        Some(text) => match text.parse() {
            Ok(day) => Some(day),
            Err(()) => bail!("--from {text}: write a day as 2027-03-31"),
        },
    };
    let list = read(&file)?;
    keys::private_folder(&config.data)?;
    let database = compose::open_database(config, clock, false).await?;
    let till = Till::new(database.clone(), clock.clone(), config.time_zone, config.till.rules.clone());
    let take = if dry_run { Take::Look } else { Take::Now };
    let outcome = till.import_prices(&Acting::console(), list, from, take).await;
    database.close().await;
    let report = outcome.with_context(|| file.display().to_string())?;
    print(&report, json);
    Ok(if report.faults.is_empty() { 0 } else { exit::FOUND })
}

/// The file, not larger than a list may be.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(LIST_MAX_BYTES).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut bytes).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(bytes)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
fn print(report: &ListReport, as_json: bool) {
    if as_json {
        println!("{:#}", to_json(report));
        return;
    }
    for fault in &report.faults.kept {
        println!("{fault}");
    }
    if report.faults.more > 0 {
        println!("and {} further faults", report.faults.more);
    }
    let counts = format!(
        "{} new, {} changed, {} unchanged",
        report.count(ListState::New),
        report.count(ListState::Changed),
        report.count(ListState::Unchanged)
    );
    let became = match (report.is_taken, report.set.and_then(|set| set.version)) {
        _ if !report.faults.is_empty() => "nothing is taken: correct the lines above".to_owned(),
        (false, _) => "nothing is changed (dry run)".to_owned(),
        (true, Some(version)) => {
            format!("taken as version {version} of the price list, from {}", report.from.to_rfc3339())
        }
        (true, None) => "taken; no price changed".to_owned(),
    };
    println!("{counts}: {became}");
}

fn to_json(report: &ListReport) -> Value {
    json!({
        "taken": report.is_taken,
        "from": report.from.to_rfc3339(),
        "version": report.set.and_then(|set| set.version),
        "new": report.count(ListState::New),
        "changed": report.count(ListState::Changed),
        "unchanged": report.count(ListState::Unchanged),
        "faults": report.faults.kept.iter().map(|fault| json!({
            "line": fault.line,
            "column": fault.column,
            "kind": fault.kind.as_str(),
        })).collect::<Vec<_>>(),
        "more_faults": report.faults.more,
    })
}

/// `tapward till services …`
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn services(config: &Config, command: ServicesCommand, clock: &Clock) -> anyhow::Result<u8> {
    let ServicesCommand::List { currency, all, json } = command;
    let currency = match currency {
        Some(code) => read_currency(&code)?,
        None => config.till.rules.currency,
    };
    keys::private_folder(&config.data)?;
    let database = compose::open_database(config, clock, false).await?;
    let till = Till::new(database.clone(), clock.clone(), config.time_zone, config.till.rules.clone());
    let (mut filter, mut lines) = (
        ServiceFilter { with_ended: all, currency: Some(currency), limit: CHUNK, ..ServiceFilter::default() },
        Vec::new(),
    );
    loop {
        let found = till.services(&Acting::console(), &filter).await?;
        let is_last = found.len() < CHUNK as usize;
        filter.after = found.last().map(|line| line.service.code.clone());
        lines.extend(found);
        if is_last {
            break;
        }
    }
    database.close().await;
    if json {
        println!("{:#}", Value::Array(lines.iter().map(line_json).collect()));
    } else {
        for line in &lines {
            let price = |price: &Option<PriceNow>| {
                price.map_or_else(|| "-".to_owned(), |price| price_text(price.amount, price.currency))
            };
            let ended = if line.service.ended.is_some() { "\tended" } else { "" };
            println!("{}\t{}\t{currency}\t{}{ended}", line.service.code, price(&line.price), line.service.name("en"));
        }
    }
    Ok(0)
}

fn line_json(line: &ServiceLine) -> Value {
    let price = |price: &Option<PriceNow>| {
        price.map(|price| {
            json!({
                "currency": price.currency.to_string(),
                "amount": price.amount.map(|amount| price.currency.decimal(amount)),
                "from": price.from.to_rfc3339(),
                "version": price.version,
            })
        })
    };
    json!({
        "code": line.service.code,
        "names": line.service.names,
        "category": line.service.category,
        "at_home": line.service.at_home,
        "external": line.service.external,
        "ended": line.service.ended.map(domain::UtcMillis::to_rfc3339),
        "price": price(&line.price),
        "next": price(&line.next),
    })
}
