//! What the commands of the office share: who a record is today, numbers, days, and how texts are checked. Statements and
//! arithmetic only; decides nothing about money.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveTime, TimeDelta, TimeZone};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{PersonId, UtcMillis};
use store::Error;

use super::{Till, TillError};
use crate::acting::Acting;
use crate::rows::column;

/// Longest code of a service, a group or a scale, in characters.
pub const CODE_MAX_CHARS: usize = 40;
/// Longest name that people read, in characters.
pub const NAME_MAX_CHARS: usize = 120;
/// Longest category of a service and longest id that another system uses, in characters.
pub const WORD_MAX_CHARS: usize = 80;
/// Fewest and most characters of a reason in words.
pub const REASON_CHARS: (usize, usize) = (10, 500);
/// The 1st of January 1970, counted from the first day of year 1.
const EPOCH_DAY: i32 = 719_163;
/// Days that people may write: the years 1990 to 2200.
const DAYS: (i32, i32) = (7_305, 84_371);

/// Who made a version, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// When.
    pub at: UtcMillis,
    /// The kind of who did it: a code of [`crate::acting::Actor`].
    pub actor_kind: String,
    /// The id of who did it, where the kind has one.
    pub actor: Option<String>,
    /// The number of its entry in the audit log.
    pub entry: u64,
}

/// An engine's connection inside a transaction of the office.
pub(crate) trait OfficeOn {
    /// The next number of a counter.
    ///
    /// # Errors
    /// Engine errors.
    async fn next_no(&mut self, counter: &'static str) -> Result<i64, Error>;

    /// The record that is left of a person after merges; `None` for somebody unknown.
    ///
    /// # Errors
    /// Engine errors.
    async fn survivor(&mut self, person: PersonId) -> Result<Option<PersonId>, Error>;
}

macro_rules! office_on {
    ($connection:ty) => {
        impl OfficeOn for $connection {
            async fn next_no(&mut self, counter: &'static str) -> Result<i64, Error> {
                Ok(sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value")
                    .bind(counter)
                    .fetch_one(&mut *self)
                    .await?)
            }

            async fn survivor(&mut self, person: PersonId) -> Result<Option<PersonId>, Error> {
                let left: Option<String> = sqlx::query_scalar(
                    "SELECT COALESCE(m.into_person, p.id) FROM person p LEFT JOIN person_merge m ON m.person = p.id
                     WHERE p.id = $1",
                )
                .bind(person.to_string())
                .fetch_optional(&mut *self)
                .await?;
                left.map(|text| column("person_merge", "into_person", &text, str::parse)).transpose()
            }
        }
    };
}

store::for_each_connection!(office_on);

impl Till {
    /// The instant at which a day of the clinic begins: where midnight is skipped by a change of the clock, the first one
    /// after it.
    pub fn day_begins(&self, day: LocalDate) -> UtcMillis {
        let date = day.0.checked_add(EPOCH_DAY).and_then(NaiveDate::from_num_days_from_ce_opt);
        let Some(midnight) = date.map(|date| date.and_time(NaiveTime::MIN)) else { return UtcMillis(i64::MAX) };
        let begins = (0..=12).find_map(|quarter| {
            let local = midnight.checked_add_signed(TimeDelta::minutes(15 * quarter))?;
            self.zone.from_local_datetime(&local).earliest()
        });
        UtcMillis(begins.map_or_else(|| midnight.and_utc().timestamp_millis(), |at| at.timestamp_millis()))
    }
}

/// What is wrong with a field.
pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> TillError {
    TillError::Invalid { field, problem: problem.into() }
}

/// A code: letters of any script, digits, `.`, `_` and `-`, beginning with a letter or digit.
pub(crate) fn read_code(field: &'static str, text: &str) -> Result<String, TillError> {
    let text = text.trim();
    let is_sound = text.chars().count() <= CODE_MAX_CHARS
        && text.starts_with(char::is_alphanumeric)
        && text.chars().all(|it| it.is_alphanumeric() || matches!(it, '.' | '_' | '-'));
    if is_sound {
        return Ok(text.to_owned());
    }
    Err(invalid(field, format!("a code has 1 to {CODE_MAX_CHARS} letters, digits, points, hyphens and underscores")))
}

/// A text that people read.
pub(crate) fn read_name(field: &'static str, text: &str, max_chars: usize) -> Result<String, TillError> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > max_chars || text.chars().any(char::is_control) {
        return Err(invalid(field, format!("write 1 to {max_chars} characters in one line")));
    }
    Ok(text.to_owned())
}

/// As [`read_name`]; nothing is nothing.
pub(crate) fn read_optional(field: &'static str, text: Option<&str>, max: usize) -> Result<Option<String>, TillError> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(|text| read_name(field, text, max)).transpose()
}

/// A reason in words, for the audit log.
pub(crate) fn read_reason(words: &str) -> Result<String, TillError> {
    let words = words.trim();
    let length = words.chars().count();
    let is_sound = length >= REASON_CHARS.0 && length <= REASON_CHARS.1;
    if is_sound { Ok(words.to_owned()) } else { Err(TillError::ReasonWanted) }
}

/// A day that can be meant.
pub(crate) fn check_day(field: &'static str, day: LocalDate) -> Result<LocalDate, TillError> {
    if day.0 >= DAYS.0 && day.0 <= DAYS.1 {
        return Ok(day);
    }
    Err(invalid(field, "write a day of the years 1990 to 2200"))
}

/// The columns that say who acts.
pub(crate) fn who(acting: &Acting) -> (&'static str, Option<String>) {
    (acting.actor.kind(), acting.actor.id().map(Cow::into_owned))
}

/// An amount in a detail of the audit log: minor units, `-` for none.
pub(crate) fn minor(amount: Option<Amount>) -> String {
    amount.map_or_else(|| "-".to_owned(), |amount| amount.minor().to_string())
}

/// `before>after` in a detail of the audit log, or the one value that stays.
pub(crate) fn step<T: PartialEq + ToString>(name: &str, before: Option<&T>, after: &T) -> String {
    match before {
        Some(before) if before != after => format!("{name}={}>{}", before.to_string(), after.to_string()),
        _ => format!("{name}={}", after.to_string()),
    }
}

/// A currency that was written.
///
/// # Errors
/// [`TillError::Invalid`] for a code that ISO 4217 does not have in use.
pub fn read_currency(code: &str) -> Result<Currency, TillError> {
    let text = code.trim();
    Currency::parse(text).ok_or_else(|| {
        let shown: String = text.chars().take(8).collect();
        invalid(
            "currency",
            format!("{shown:?} is no currency in use; write the three capital letters of ISO 4217, like EUR"),
        )
    })
}
