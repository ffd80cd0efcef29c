//! Setting up the till: services and prices, groups and contracts, terms, scales of discounts, and what is allowed on top of a
//! limit. What may be done is the clinic's decision; the pages only offer what may work.

pub mod discounts;
pub mod import;
pub mod overrides;
pub mod payers;
pub mod services;
pub mod terms;

use axum::body::Bytes;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::till::{Made, TillError, read_currency};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;

use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::hands::Hands;
use crate::pages::problem::Problem;
use crate::pages::query::Query;
use crate::visit::Visit;

/// Longest text of a search, in characters.
const FIND_MAX_CHARS: usize = 64;
/// Pairs of the largest form: a scale of fifty steps with its spare rows, two fields each, and the rest of it.
const PAIRS_MAX: usize = 160;

/// One choice of a field.
pub struct Choice {
    pub code: String,
    pub text: String,
    pub is_set: bool,
}

impl Choice {
    fn new(code: &str, text: String, chosen: &str) -> Self {
        Self { code: code.to_owned(), text, is_set: code == chosen }
    }
}

/// The choices of codes that have a text under a prefix.
fn choices(texts: &Texts, prefix: &str, codes: &[&str], chosen: &str) -> Vec<Choice> {
    codes.iter().map(|code| Choice::new(code, texts.code(prefix, code), chosen)).collect()
}

/// A bar of how much of a limit is used, in hundredths, with its tone.
pub struct Bar {
    pub share: i64,
    pub tone: &'static str,
}

impl Bar {
    fn of(used: Amount, limit: Amount) -> Self {
        let (used, limit) = (i128::from(used.minor().max(0)), i128::from(limit.minor().max(0)));
        let share = if limit == 0 { if used > 0 { 100 } else { 0 } } else { (used * 100 / limit).min(100) };
        let share = i64::try_from(share).unwrap_or(100);
        let tone = match share {
            100.. => "bad",
            80.. => "warn",
            _ => "ok",
        };
        Self { share, tone }
    }
}

/// The fields of a form.
fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read_up_to(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?, PAIRS_MAX))
}

/// A field as it was typed, or nothing.
fn typed<'a>(form: &'a Query, key: &str) -> &'a str {
    form.one(key).unwrap_or_default()
}

/// The text of a search.
fn searched(query: &Query) -> String {
    typed(query, "q").chars().take(FIND_MAX_CHARS).collect()
}

/// Something typed that cannot be understood.
fn bad(field: &'static str) -> TillError {
    TillError::Invalid { field, problem: String::new() }
}

/// An amount that was typed.
fn amount(field: &'static str, text: &str, currency: Currency) -> Result<Amount, TillError> {
    currency.read(text).map_err(|_| bad(field))
}

/// The currency that was typed; that of the clinic if none was.
fn currency_of(visit: &Visit, form: &Query) -> Result<Currency, TillError> {
    form.one("currency").map_or(Ok(visit.app.till.rules().currency), |code| read_currency(&code.to_uppercase()))
}

/// A day that was typed; `None` if none was.
fn day(field: &'static str, form: &Query) -> Result<Option<LocalDate>, TillError> {
    form.one(field).map(|text| text.parse().map_err(|()| bad(field))).transpose()
}

/// What is wrong, in words for the page; what is nothing of the visitor's is a fault.
fn said(visit: &Visit, error: TillError) -> Result<String, Fault> {
    let (texts, rules) = (visit.texts(), visit.app.till.rules());
    let own = match &error {
        TillError::Invalid { field: "extra", .. } => {
            Some(texts.a("till-office-bad-extra", &money::amount(&texts, rules.currency, rules.override_max)))
        }
        TillError::Invalid { field: "until_at", .. } => {
            let longest = overrides::span(&texts, &visit.times(), rules.override_longest_ms);
            Some(texts.a("till-office-bad-until_at", &longest))
        }
        TillError::Invalid { field, .. } => texts.code_if_any("till-office-bad-", field),
        _ => None,
    };
    own.or_else(|| money::problem(&texts, rules.currency, &error)).ok_or_else(|| error.into())
}

/// Writes into the register of disclosures, and with it into the audit log, that a table is taken away as a file.
async fn exported(visit: &Visit, path: &str, class: Class, rows: usize) -> Result<(), Fault> {
    let acting = visit.acting()?;
    let mut disclosure = Disclosure::export(&acting, path, &[class]);
    disclosure.records = rows.try_into().unwrap_or(u64::MAX);
    disclosures::register(&visit.app.database, &acting, disclosure, None, visit.app.now()).await?;
    Ok(())
}

/// Who made a version.
async fn who(hands: &mut Hands<'_>, made: &Made) -> Result<String, Fault> {
    hands.name(&made.actor_kind, made.actor.as_deref()).await
}

/// `2026-11-01 – 2026-12-31`, or without an end.
fn days(texts: &Texts, from: LocalDate, until: Option<LocalDate>) -> String {
    match until {
        Some(until) => format!("{from} – {until}"),
        None => texts.a("till-office-since", &from.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_when_the_limit_is_used_or_there_is_none() {
        let bar = |used, limit| {
            let bar = Bar::of(Amount::new(used).unwrap(), Amount::new(limit).unwrap());
            (bar.share, bar.tone)
        };
        assert_eq!(bar(0, 100), (0, "ok"));
        assert_eq!(bar(79, 100), (79, "ok"));
        assert_eq!(bar(80, 100), (80, "warn"));
        assert_eq!(bar(250, 100), (100, "bad"));
        assert_eq!((bar(0, 0), bar(1, 0)), ((0, "ok"), (100, "bad")));
        assert_eq!(bar(domain::money::AMOUNT_MAX, domain::money::AMOUNT_MAX), (100, "bad"));
    }
}
