//! The cashier's pages: a patient is found, the account is opened, money is taken, given back or asked to be written off;
//! the drawer is opened and closed, days are closed, requests are decided. Every form that moves money carries a key that
//! works once: pressed twice, reloaded or sent again from the history, it has the outcome of the first time. What may be
//! done is the till's decision; these pages only show it and ask.

pub mod account;
pub mod days;
pub mod drawer;
pub mod find;
mod kept;
pub mod notices;
pub mod pay;
pub mod payments;
pub mod requests;
mod sure;

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::till::TillError;
use domain::money::{Amount, Currency, MoneyError};
use domain::schedule::LocalDate;
use domain::{Permission, PersonId, UtcMillis};

use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::hands::Hands;
use crate::pages::query::Query;
use crate::times::Times;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

/// Pairs of the largest form: two for each item of an account and some more.
const PAIRS_MAX: usize = 1_200;
/// The largest form, in bytes: [`PAIRS_MAX`] pairs of an id and an amount.
pub const FORM_MAX_BYTES: usize = 128 * 1024;
/// Longest words of a reason that are read, in characters; the till says how many it wants.
const WORDS_MAX: usize = 600;

/// A choice of a form or filter.
pub struct Choice {
    pub code: String,
    pub text: String,
    pub is_set: bool,
}

/// Choices by code, with the texts of a prefix.
fn choices(
    texts: &Texts,
    prefix: &str,
    codes: impl IntoIterator<Item = &'static str>,
    set: Option<&str>,
) -> Vec<Choice> {
    let choice =
        |code: &str| Choice { code: code.to_owned(), text: texts.code(prefix, code), is_set: set == Some(code) };
    codes.into_iter().map(choice).collect()
}

/// A key for one form: 128 random bits, so that nobody else has it.
fn new_key() -> Result<String, Fault> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Fault::Unavailable)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The fields of a form.
fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read_up_to(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?, PAIRS_MAX))
}

/// The words of a reason.
fn words_of(form: &Query) -> String {
    form.one("words").unwrap_or_default().chars().take(WORDS_MAX).collect()
}

fn person_of(id: &str) -> Result<PersonId, Fault> {
    id.parse().map_err(|_| Fault::NotFound)
}

/// Money as typed; `None` where nothing was. What it cannot be is said in words.
fn typed(texts: &Texts, currency: Currency, text: Option<&str>) -> Result<Option<Amount>, String> {
    let Some(text) = text else { return Ok(None) };
    match currency.read(text) {
        Ok(amount) if amount.minor() < 0 => Err(texts.t("cashier-amount-negative")),
        Ok(amount) => Ok(Some(amount)),
        Err(MoneyError::NotANumber) => Err(texts.t("cashier-amount-bad")),
        Err(MoneyError::TooFine(digits)) => Err(texts.n("cashier-amount-fine", i64::from(digits))),
        Err(MoneyError::TooLarge) => Err(texts.t("cashier-amount-large")),
    }
}

/// An amount that a page of ours put into a form, in minor units.
fn minor(text: &str) -> Option<Amount> {
    text.parse().ok().and_then(Amount::new)
}

/// The sum; stays at the largest amount where it would go beyond, which the till then refuses.
fn sum(amounts: impl IntoIterator<Item = Amount>) -> Amount {
    amounts.into_iter().fold(Amount::ZERO, |sum, one| sum.plus(one).unwrap_or(sum))
}

/// What the till did not do, in words for the cashier; what is no matter of the form stays a fault.
fn explain(texts: &Texts, currency: Currency, error: TillError) -> Result<String, Fault> {
    if let TillError::Invalid { field, .. } = &error
        && let Some(text) = texts.code_if_any("cashier-problem-", field)
    {
        return Ok(text);
    }
    match money::problem(texts, currency, &error) {
        Some(text) => Ok(text),
        None => Err(error.into()),
    }
}

/// A day of a filter or form.
fn day_of(text: Option<&str>) -> Result<Option<LocalDate>, Fault> {
    text.map(|text| text.parse().map_err(|()| Fault::Invalid)).transpose()
}

/// `Tue 24 Nov` of a day.
fn day_words(times: &Times, day: LocalDate) -> String {
    times.read_field(&format!("{day}T12:00")).map_or_else(|| day.to_string(), |noon| times.day(noon))
}

/// Where a list goes on: an instant and an id.
fn position(text: Option<&str>) -> Option<(UtcMillis, String)> {
    let (at, id) = text?.split_once(':')?;
    Some((UtcMillis(at.parse().ok()?), id.to_owned()))
}

#[derive(Template)]
#[template(path = "cashier/lacking.html")]
struct Lacking {
    frame: Frame,
}

/// A page for a role that may take payments and not see accounts: it says what is missing. `None`: nothing is.
fn lacking(visit: &Visit, place: &str) -> Result<Option<Response>, Fault> {
    if visit.acting()?.rights.allows(Permission::ChargeSee) {
        return Ok(None);
    }
    render(StatusCode::OK, &Lacking { frame: Frame::new(visit, place) }).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn what_is_typed_as_money_is_an_amount_or_says_why_not() {
        let texts = Language::En.texts();
        let uah = Currency::parse("UAH").unwrap();
        let read = |text| typed(&texts, uah, Some(text)).map(|amount| amount.map(Amount::minor));
        assert_eq!(read("1 018,5"), Ok(Some(101_850)));
        assert_eq!(typed(&texts, uah, None), Ok(None));
        for bad in ["-5", "ten", "1.005", "99999999999999999999"] {
            let problem = read(bad).unwrap_err();
            assert!(!problem.starts_with("cashier-"), "{bad}: {problem}");
        }
    }

    #[test]
    fn keys_are_of_the_shape_that_the_till_takes_and_never_the_same() {
        let (one, other) = (new_key().unwrap(), new_key().unwrap());
        assert!(one != other && one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_graphic()), "{one}");
    }

    #[test]
    fn a_list_goes_on_where_it_ended_and_ignores_what_it_did_not_say() {
        assert_eq!(position(Some("17:ab")), Some((UtcMillis(17), "ab".to_owned())));
        for bad in [None, Some(""), Some("x:ab"), Some("17")] {
            assert_eq!(position(bad), None, "{bad:?}");
        }
    }
}
