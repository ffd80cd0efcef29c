//! The privacy officer's pages: the overview, requests of persons, the register of disclosures, breaking of glass and
//! its review, incidents, acts of destruction, the data map. What they all share stands here: reading a query, words
//! for codes, names of accounts.

pub mod disclosures;
pub mod glass;
pub mod incidents;
pub mod map;
pub mod overview;
pub mod persons;
pub mod requests;

use std::collections::BTreeMap;

use clinic::accounts::AccountId;
use clinic::break_glass::GlassError;
use clinic::erasure::ErasureError;
use clinic::incidents::IncidentError;
use clinic::requests::RequestError;
use clinic::retention::RetentionError;
use domain::UtcMillis;

use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::visit::Visit;

/// A code and its words, for lists to choose from.
pub type Choice = (&'static str, String);

/// The words of all codes of a list.
fn choices(texts: Texts, prefix: &str, codes: impl IntoIterator<Item = &'static str>) -> Vec<Choice> {
    codes.into_iter().map(|code| (code, texts.code(prefix, code))).collect()
}

/// Times typed into a filter: from, and until with the whole of its last minute.
fn span(visit: &Visit, query: &Query) -> Result<(Option<UtcMillis>, Option<UtcMillis>), Fault> {
    const MINUTE_MS: i64 = 60_000;
    let times = visit.times();
    let read = |key: &str| match query.one(key) {
        Some(text) => times.read_field(text).map(Some).ok_or(Fault::Invalid),
        None => Ok(None),
    };
    Ok((read("from")?, read("until")?.map(|until| until.plus_ms(MINUTE_MS))))
}

/// Reads a code of a filter; an unknown one is said, not ignored.
fn code_of<T>(query: &Query, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Fault> {
    match query.one(key) {
        Some(text) => parse(text).map(Some).ok_or(Fault::Invalid),
        None => Ok(None),
    }
}

/// Where a page begins: behind the time and id of the last line of the page before.
fn behind(query: &Query) -> Option<(UtcMillis, String)> {
    let (at, id) = query.one("behind")?.split_once(':')?;
    Some((UtcMillis(at.parse().ok()?), id.to_owned()))
}

/// Names of accounts, each looked up once.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// The shown name of an account; other codes of actors in words.
    async fn of(&mut self, visit: &Visit, code: &str) -> Result<String, Fault> {
        if let Some(name) = self.0.get(code) {
            return Ok(name.clone());
        }
        let texts = visit.texts();
        let name = match AccountId::parse(code) {
            Some(id) => visit.app.accounts.shown_name(&id).await?.unwrap_or_else(|| texts.t("privacy-gone")),
            None if code.starts_with("key:") => texts.t("privacy-actor-key"),
            None => texts.code("privacy-actor-", code),
        };
        self.0.insert(code.to_owned(), name.clone());
        Ok(name)
    }
}

/// What each error of the clinic is to a visitor: no right, not there, the database, or something typed.
macro_rules! faults {
    ($($error:ident, $missing:path;)*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                match error {
                    $error::Denied(denied) => Self::from(denied),
                    $error::Store(error) => Self::from(error),
                    error if matches!(error, $missing) => Self::NotFound,
                    _ => Self::Invalid,
                }
            }
        })*
    };
}
faults! {
    GlassError, GlassError::NotFound;
    RequestError, RequestError::NotFound;
    IncidentError, IncidentError::NotFound;
    ErasureError, ErasureError::Unknown;
}

impl From<RetentionError> for Fault {
    fn from(error: RetentionError) -> Self {
        match error {
            RetentionError::Denied(denied) => Self::from(denied),
            RetentionError::Store(error) => Self::from(error),
        }
    }
}
