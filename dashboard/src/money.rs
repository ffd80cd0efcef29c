//! How money is said on pages: amounts, rates, and why the till refused something. The one place where an amount becomes
//! text for people; machines (the API, CSV, values of forms) are given [`Currency::decimal`]. Texts stand in
//! `locales/*/till.ftl`.

use clinic::till::TillError;
use domain::money::{Amount, Currency};
use domain::till::Refusal;

use crate::language::{Language, Texts};

/// Between groups of three digits and before the code: a space that does not break.
const SPACE: char = '\u{a0}';
/// Before an amount below zero: a minus as wide as a digit.
const MINUS: char = '\u{2212}';

/// An amount with its currency: `1 018,00 UAH`, with the spaces that do not break and the decimal sign of the language.
pub fn amount(texts: &Texts, currency: Currency, amount: Amount) -> String {
    format!("{}{SPACE}{currency}", bare(texts, currency, amount))
}

/// An amount where the currency stands elsewhere, as in the columns of a table: `1 018,00`.
pub fn bare(texts: &Texts, currency: Currency, amount: Amount) -> String {
    let text = currency.decimal(amount);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (Some(MINUS), digits),
        None => (None, text.as_str()),
    };
    let (whole, part) = match digits.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (digits, None),
    };
    let mut said: String = sign.into_iter().collect();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            said.push(SPACE);
        }
        said.push(digit);
    }
    if let Some(part) = part {
        said.push(decimal_sign(texts));
        said.push_str(part);
    }
    said
}

/// A rate in hundredths of a per cent: `5 %`, `2,5 %`, `0,25 %`.
pub fn rate(texts: &Texts, hundredths: u32) -> String {
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let part = format!("{part:02}");
    match part.trim_end_matches('0') {
        "" => format!("{whole}{SPACE}%"),
        part => format!("{whole}{}{part}{SPACE}%", decimal_sign(texts)),
    }
}

fn decimal_sign(texts: &Texts) -> char {
    match texts.language() {
        Language::En => '.',
        Language::Ru => ',',
    }
}

/// A refusal in words: the fact first, then the reason in numbers, then what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was not done, and why: `Not registered: it would pass the postpaid limit by 388.00 UAH.`
    pub fact: String,
    /// Which limit and what is left of it; empty where there are no numbers to say.
    pub left: String,
    /// What to do now.
    pub todo: String,
}

/// What the specialist or the cashier is told.
pub fn refused(texts: &Texts, currency: Currency, refusal: &Refusal) -> Refused {
    said(texts, "till-refused", currency, refusal)
}

/// What the patient is told, in large type and in the patient's language. Nothing of it is about anybody else: of a group's
/// limit it says that it is used up, and not by how much.
pub fn refused_to_patient(texts: &Texts, currency: Currency, refusal: &Refusal) -> Refused {
    said(texts, "till-patient", currency, refusal)
}

fn said(texts: &Texts, prefix: &str, currency: Currency, refusal: &Refusal) -> Refused {
    let text = |amount| self::amount(texts, currency, amount);
    let mut values = vec![("currency", currency.to_string())];
    let mut put = |name, amount| values.push((name, text(amount)));
    match *refusal {
        Refusal::PatientLimit { limit, left, missing } | Refusal::PotLimit { limit, left, missing } => {
            put("limit", limit);
            put("left", left);
            put("missing", missing);
        }
        Refusal::Deposit { left, missing } => {
            put("left", left);
            put("missing", missing);
        }
        Refusal::NotPaid { missing } => put("missing", missing),
        Refusal::PriceChanged { shown, now } => {
            put("shown", shown);
            put("now", now);
        }
        Refusal::NoTerms | Refusal::OtherCurrency | Refusal::NoPrice | Refusal::Quantity | Refusal::TooLarge => {}
    }
    let find = |part: &str| {
        let key = format!("{prefix}{part}{}", refusal.code());
        let is_there = texts.code_if_any("", &key).is_some();
        if is_there { texts.with(&key, &values) } else { String::new() }
    };
    Refused { fact: find("-"), left: find("-left-"), todo: find("-todo-") }
}

/// A mistake of a page's visitor in words, for showing beside the form; `None`: it is none of theirs, and the error page
/// speaks. A refusal is said in one line.
pub fn problem(texts: &Texts, currency: Currency, error: &TillError) -> Option<String> {
    let code = match error {
        TillError::Refused(refusal) => {
            let Refused { fact, left, todo } = refused(texts, currency, refusal);
            let parts = [fact, left, todo];
            return Some(
                parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" "),
            );
        }
        TillError::NotFound => "not_found",
        TillError::NotTheirs => "not_theirs",
        TillError::KeyReused => "key_reused",
        TillError::Changed => "changed",
        TillError::Invalid { field, .. } => {
            return Some(
                texts.code_if_any("till-problem-field-", field).unwrap_or_else(|| texts.t("till-problem-invalid")),
            );
        }
        TillError::ReasonWanted => "reason_wanted",
        TillError::OwnRequest => "own_request",
        TillError::NoShift => "no_shift",
        TillError::Busy => "busy",
        // Not every reader of this knows of every error that the till may have.
        _ => return None,
    };
    Some(texts.code("till-problem-", code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(minor: i64) -> Amount {
        Amount::new(minor).unwrap()
    }

    #[test]
    fn amounts_are_said_as_people_of_the_language_write_them() {
        let (en, ru) = (Language::En.texts(), Language::Ru.texts());
        let uah = Currency::parse("UAH").unwrap();
        assert_eq!(amount(&ru, uah, of(101_800)), "1\u{a0}018,00\u{a0}UAH");
        assert_eq!(amount(&en, uah, of(101_800)), "1\u{a0}018.00\u{a0}UAH");
        assert_eq!(amount(&en, uah, of(-5)), "\u{2212}0.05\u{a0}UAH");
        assert_eq!(bare(&en, uah, of(12_345_678_900)), "123\u{a0}456\u{a0}789.00");
        assert_eq!(bare(&en, uah, of(10_000)), "100.00");
        assert_eq!(bare(&ru, Currency::parse("JPY").unwrap(), of(-1_000)), "\u{2212}1\u{a0}000");
        assert_eq!(bare(&ru, Currency::parse("KWD").unwrap(), of(1_000_001)), "1\u{a0}000,001");
    }

    #[test]
    fn what_is_said_reads_back() {
        for language in Language::ALL {
            for code in ["UAH", "JPY", "KWD"] {
                let currency = Currency::parse(code).unwrap();
                for minor in [0, 7, -7, 99, 100_000, -123_456_789, domain::money::AMOUNT_MAX] {
                    let said = bare(&language.texts(), currency, of(minor));
                    assert_eq!(currency.read(&said), Ok(of(minor)), "{said}");
                }
            }
        }
    }

    #[test]
    fn rates_have_no_digits_that_say_nothing() {
        let (en, ru) = (Language::En.texts(), Language::Ru.texts());
        assert_eq!(
            [0, 500, 750, 25, 10_000].map(|rate| super::rate(&en, rate)),
            ["0\u{a0}%", "5\u{a0}%", "7.5\u{a0}%", "0.25\u{a0}%", "100\u{a0}%"]
        );
        assert_eq!(super::rate(&ru, 705), "7,05\u{a0}%");
    }

    #[test]
    fn every_refusal_says_what_happened_and_what_to_do_in_every_language() {
        let (limit, left, missing, now) = (of(250_000), of(101_800), of(38_800), of(1));
        let all = [
            Refusal::NoTerms,
            Refusal::OtherCurrency,
            Refusal::NoPrice,
            Refusal::Quantity,
            Refusal::TooLarge,
            Refusal::PriceChanged { shown: left, now },
            Refusal::PatientLimit { limit, left, missing },
            Refusal::PotLimit { limit, left, missing },
            Refusal::Deposit { left, missing },
            Refusal::NotPaid { missing },
        ];
        assert_eq!(all.map(|refusal| refusal.code()).as_slice(), Refusal::CODES);
        for language in Language::ALL {
            let (texts, uah) = (language.texts(), Currency::parse("UAH").unwrap());
            for refusal in all {
                for said in [refused(&texts, uah, &refusal), refused_to_patient(&texts, uah, &refusal)] {
                    assert!(!said.fact.is_empty() && !said.todo.is_empty(), "{language:?} {refusal:?} {said:?}");
                    let all = format!("{said:?}");
                    assert!(!all.contains("{ $") && !all.contains("{$"), "a value is missing: {all}");
                }
            }
            let said = refused(&texts, uah, &Refusal::PatientLimit { limit, left, missing });
            let sign = decimal_sign(&texts);
            for number in ["388", "1\u{a0}018", "2\u{a0}500"] {
                let number = format!("{number}{sign}00\u{a0}UAH");
                assert!(format!("{}{}", said.fact, said.left).contains(&number), "{number} in {said:?}");
            }
            let patient = refused_to_patient(&texts, uah, &Refusal::PotLimit { limit, left, missing });
            assert!(!format!("{patient:?}").contains("018"), "what others of the group owe is not shown: {patient:?}");
        }
    }

    #[test]
    fn every_code_of_the_till_has_a_text() {
        use domain::till::{ChargeState, EntryKind, Ledger, Method, Mode, Rounding, Scope};
        let lists: [(&str, Vec<&str>); 9] = [
            ("till-mode-", Mode::ALL.iter().map(|it| it.as_str()).collect()),
            ("till-state-", ChargeState::ALL.iter().map(|it| it.as_str()).collect()),
            ("till-method-", Method::ALL.iter().map(|it| it.as_str()).collect()),
            ("till-ledger-", Ledger::ALL.iter().map(|it| it.as_str()).collect()),
            ("till-entry-", EntryKind::ALL.iter().map(|it| it.as_str()).collect()),
            ("till-scope-", Scope::ALL.iter().map(|it| it.as_str()).collect()),
            ("till-rounding-", Rounding::ALL.iter().map(|it| it.as_str()).collect()),
            ("till-cancel-", clinic::till::CancelReason::ALL.iter().map(|it| it.as_str()).collect()),
            ("services-hindered-", Refusal::CODES.to_vec()),
        ];
        for language in Language::ALL {
            for (prefix, codes) in &lists {
                for code in codes {
                    assert!(language.texts().code_if_any(prefix, code).is_some(), "{language:?} {prefix}{code}");
                }
            }
        }
    }
}
