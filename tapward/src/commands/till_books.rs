//! `tapward till balance` and `tapward till discounts`: the trial balance of the ledger, and the discounts of one patient worked
//! out again from their first service on.

use std::fmt::Write as _;

use anyhow::bail;
use clinic::acting::Acting;
use clinic::people::{self, Reference};
use clinic::till::check::TrialLine;
use clinic::till::recalculate::{Line, Recalculated};
use clinic::till::{Rules, Till};
use domain::money::Currency;
use domain::schedule::LocalDate;
use domain::{Clock, PersonId};
use serde_json::{Value, json};
use store::Database;

use crate::cli::exit;
use crate::compose;
use crate::config::Config;
use crate::keys;

/// `tapward till balance`
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn balance(config: &Config, until: Option<&str>, as_json: bool, clock: &Clock) -> anyhow::Result<u8> {
    let until: Option<LocalDate> = match until.map(str::parse) {
        None => None,
        Some(Ok(day)) => Some(day),
        Some(Err(())) => bail!("--until {}: write a day as 2027-03-31", until.unwrap_or_default()),
    };
    let (database, till) = open(config, clock).await?;
    let outcome = till.trial_balance(&Acting::console(), until).await;
    database.close().await;
    let lines = outcome?;
    let is_even = sums(&lines).iter().all(|(_, sum)| *sum == 0);
    if as_json {
        println!("{:#}", balance_json(&lines, is_even));
    } else {
        print!("{}", balance_text(&lines));
    }
    Ok(if is_even { 0 } else { exit::FOUND })
}

/// `tapward till discounts`
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn discounts(config: &Config, person: &str, as_json: bool, clock: &Clock) -> anyhow::Result<u8> {
    let (database, till) = open(config, clock).await?;
    let outcome = match patient(&database, person).await {
        Ok(patient) => till.recalculate(&Acting::console(), patient).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    database.close().await;
    let again = outcome?;
    if again.is_cut {
        bail!("this patient has too many charges to work them out again at once");
    }
    if as_json {
        println!("{:#}", discounts_json(&again));
    } else {
        print!("{}", discounts_text(&again));
    }
    Ok(if again.is_same() { 0 } else { exit::FOUND })
}

/// The till; what reads only applies no rule of the clinic, so any currency does.
async fn open(config: &Config, clock: &Clock) -> anyhow::Result<(Database, Till)> {
    keys::private_folder(&config.data)?;
    let database = compose::open_database(config, clock, false).await?;
    let till = Till::new(database.clone(), clock.clone(), config.time_zone, Rules::of(Currency::default()));
    Ok((database, till))
}

/// The person of a reference or pseudonym.
async fn patient(database: &Database, text: &str) -> anyhow::Result<PersonId> {
    if let Some(reference) = Reference::new(text)
        && let Some(person) = people::find(database, &reference).await?
    {
        return Ok(person);
    }
    match text.parse() {
        Ok(person) => Ok(person),
        Err(_) => bail!("nobody is known by this reference; a pseudonym has 32 hexadecimal digits"),
    }
}

/// What each currency sums to: zero, or the ledger was changed.
fn sums(lines: &[TrialLine]) -> Vec<(Currency, i128)> {
    let mut sums: Vec<(Currency, i128)> = Vec::new();
    for line in lines {
        let balance = i128::from(line.debit.minor()) - i128::from(line.credit.minor());
        match sums.iter_mut().find(|(currency, _)| *currency == line.currency) {
            Some((_, sum)) => *sum += balance,
            None => sums.push((line.currency, balance)),
        }
    }
    sums
}

fn balance_text(lines: &[TrialLine]) -> String {
    let mut text = String::new();
    for line in lines {
        let decimal = |amount| line.currency.decimal(amount);
        let balance = line.balance().map_or_else(|| "-".to_owned(), decimal);
        let (debit, credit) = (decimal(line.debit), decimal(line.credit));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {:<10} {debit:>18} {credit:>18} {balance:>18}", line.currency, line.ledger.as_str());
    }
    for (currency, sum) in sums(lines) {
        let _ = match sum {
            0 => writeln!(text, "{currency}: sums to zero"),
            sum => writeln!(text, "{currency}: off by {sum} minor units"),
        };
    }
    if lines.is_empty() {
        text.push_str("nothing is posted\n");
    }
    text
}

fn balance_json(lines: &[TrialLine], is_even: bool) -> Value {
    json!({
        "even": is_even,
        "accounts": lines.iter().map(|line| json!({
            "currency": line.currency.to_string(),
            "account": line.ledger.as_str(),
            "debit_minor": line.debit.minor(),
            "credit_minor": line.credit.minor(),
        })).collect::<Vec<_>>(),
    })
}

fn discounts_text(again: &Recalculated) -> String {
    let mut text = String::new();
    for Line { no, before, discount, net } in again.lines.iter().filter(|line| !line.is_same()) {
        let both = |(stored, now): &(domain::Amount, domain::Amount)| format!("{} > {}", stored.minor(), now.minor());
        let (before, discount, net) = (both(before), both(discount), both(net));
        let _ = writeln!(text, "charge {no}: sum before {before}, discount {discount}, to pay {net} (minor units)");
    }
    let wrong = again.lines.iter().filter(|line| !line.is_same()).count();
    let _ = match wrong {
        0 => writeln!(text, "{} charges: the same again", again.lines.len()),
        wrong => writeln!(text, "{} charges: {wrong} differ", again.lines.len()),
    };
    text
}

fn discounts_json(again: &Recalculated) -> Value {
    json!({
        "same": again.is_same(),
        "charges": again.lines.iter().map(|line| json!({
            "number": line.no,
            "same": line.is_same(),
            "before_minor": { "stored": line.before.0.minor(), "again": line.before.1.minor() },
            "discount_minor": { "stored": line.discount.0.minor(), "again": line.discount.1.minor() },
            "net_minor": { "stored": line.net.0.minor(), "again": line.net.1.minor() },
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use domain::Amount;
    use domain::till::Ledger;

    use super::*;

    fn of(minor: i64) -> Amount {
        Amount::new(minor).unwrap()
    }

    #[test]
    fn a_balance_that_is_off_by_one_unit_says_so() {
        let line = |ledger, debit, credit| TrialLine {
            currency: Currency::parse("UAH").unwrap(),
            ledger,
            debit: of(debit),
            credit: of(credit),
        };
        let mut lines = vec![line(Ledger::Owed, 101_800, 0), line(Ledger::Revenue, 0, 101_800)];
        let text = balance_text(&lines);
        assert!(text.contains("1018.00") && text.ends_with("UAH: sums to zero\n"), "{text}");
        lines[1].credit = of(101_801);
        assert!(balance_text(&lines).ends_with("UAH: off by -1 minor units\n"));
        assert_eq!(balance_json(&lines, false)["accounts"][1]["credit_minor"], 101_801);
        assert_eq!(balance_text(&[]), "nothing is posted\n");
    }

    #[test]
    fn a_charge_that_comes_out_otherwise_is_named_with_both_sums() {
        let same = Line { no: 1, before: (of(0), of(0)), discount: (of(0), of(0)), net: (of(100), of(100)) };
        let other = Line { no: 2, discount: (of(3), of(4)), net: (of(97), of(96)), ..same.clone() };
        let mut again = Recalculated { lines: vec![same], is_cut: false };
        assert_eq!(discounts_text(&again), "1 charges: the same again\n");
        again.lines.push(other);
        let text = discounts_text(&again);
        assert!(text.starts_with("charge 2: sum before 0 > 0, discount 3 > 4, to pay 97 > 96"), "{text}");
        assert!(text.ends_with("2 charges: 1 differ\n") && discounts_json(&again)["same"] == false, "{text}");
    }
}
