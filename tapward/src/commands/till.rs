//! `tapward till …`: the till at the command line.

use std::fmt::Write as _;

use clinic::acting::Acting;
use clinic::till::check::{Checked, FINDINGS_MAX, Finding};
use clinic::till::{Rules, Till};
use domain::Clock;
use domain::money::Currency;
use serde_json::{Value, json};

use crate::cli::{TillCommand, exit};
use crate::compose;
use crate::config::Config;
use crate::keys;

/// Carries it out.
pub async fn till(config: &Config, command: TillCommand, clock: &Clock) -> anyhow::Result<u8> {
    match command {
        TillCommand::Check { json } => check(config, json, clock).await,
        TillCommand::Balance { until, json } => super::till_books::balance(config, until.as_deref(), json, clock).await,
        TillCommand::Discounts { person, json } => super::till_books::discounts(config, &person, json, clock).await,
        TillCommand::Prices(command) => super::till_lists::prices(config, command, clock).await,
        TillCommand::Services(command) => super::till_lists::services(config, command, clock).await,
    }
}

/// Compares the till with itself. May run beside a working installation.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn check(config: &Config, as_json: bool, clock: &Clock) -> anyhow::Result<u8> {
    keys::private_folder(&config.data)?;
    let database = compose::open_database(config, clock, false).await?;
    // A check applies no rule of the clinic; any currency does.
    let rules = Rules::of(Currency::default());
    let till = Till::new(database.clone(), clock.clone(), config.time_zone, rules);
    let checked = till.check(&Acting::console()).await?;
    database.close().await;
    if as_json {
        println!("{:#}", to_json(&checked));
    } else {
        print!("{}", to_text(&checked));
    }
    Ok(if checked.is_right() { 0 } else { exit::FOUND })
}

fn to_text(checked: &Checked) -> String {
    let mut text = String::new();
    for Finding { code, id, currency, expected, found } in &checked.findings {
        // Writing to a string cannot fail.
        let _ = write!(text, "{code} {id}");
        if let Some(currency) = currency {
            let _ = write!(text, " {currency}");
        }
        let number = |number: &Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let _ = writeln!(text, ": expected {}, found {}", number(expected), number(found));
    }
    for code in &checked.more {
        let _ = writeln!(text, "{code}: more than {FINDINGS_MAX}; only the first are shown");
    }
    let _ = writeln!(
        text,
        "looked at {} charges, {} payments, {} balances, {} rows of the ledger: {}",
        checked.charges,
        checked.payments,
        checked.balances,
        checked.rows,
        if checked.is_right() { "all is right".to_owned() } else { format!("{} wrong", checked.findings.len()) }
    );
    text
}

fn to_json(checked: &Checked) -> Value {
    json!({
        "right": checked.is_right(),
        "charges": checked.charges,
        "payments": checked.payments,
        "balances": checked.balances,
        "ledger_rows": checked.rows,
        "findings": checked.findings.iter().map(|finding| json!({
            "code": finding.code.as_str(),
            "id": finding.id,
            "currency": finding.currency.map(|currency| currency.to_string()),
            "expected": finding.expected,
            "found": finding.found,
        })).collect::<Vec<_>>(),
        "more": checked.more.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use clinic::till::check::CheckCode;

    use super::*;

    #[test]
    fn an_answer_names_what_where_and_how_much() {
        let finding = Finding {
            code: CheckCode::Owed,
            id: "07".repeat(16),
            currency: Currency::parse("UAH"),
            expected: Some(101_800),
            found: Some(101_801),
        };
        let mut checked = Checked { findings: vec![finding], charges: 3, ..Checked::default() };
        let text = to_text(&checked);
        assert!(text.starts_with("owed 0707"), "{text}");
        assert!(text.contains(" UAH: expected 101800, found 101801\n") && text.ends_with("1 wrong\n"), "{text}");
        assert_eq!(to_json(&checked)["findings"][0]["code"], "owed");
        checked.findings.clear();
        assert!(to_text(&checked).ends_with("all is right\n"));
        assert_eq!(to_json(&checked)["right"], true);
    }
}
