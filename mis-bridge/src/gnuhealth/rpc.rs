//! trytond 7's JSON-RPC: one POST a call, errors inside an answer of status 200, dates as objects with `__class__`.
//! Owns how calls look; knows nothing of clinics.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Timelike, Utc};
use domain::UtcMillis;
use serde_json::{Map, Value, json};
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use crate::http::{Client, HttpError, Request};

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RpcError {
    /// No answer, or a broken one.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The session has ended: sign in anew.
    #[error("the session has ended")]
    NoSession,
    /// The sign-in was refused.
    #[error("the sign-in was refused: is the module tapward activated, and does it know our keys?")]
    SignIn,
    /// Too many sign-ins that failed: nothing is asked for a while.
    #[error("GNU Health slows sign-ins down")]
    Throttled,
    /// Somebody else has changed the record meanwhile: ask again.
    #[error("the record was changed by somebody else at the same time")]
    Conflict,
    /// GNU Health refuses it; the kind of refusal, without its words, which may hold names.
    #[error("GNU Health refuses it ({0})")]
    Refused(String),
    /// Another status than 200.
    #[error("GNU Health answered with status {0}")]
    Status(u16),
    /// The answer is not what this call answers.
    #[error("the answer is not one of GNU Health's")]
    Answer,
}

impl RpcError {
    /// Whether asking again later may help.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Http(_) | Self::NoSession | Self::Throttled | Self::Conflict => true,
            Self::Status(status) => *status >= 500,
            Self::SignIn | Self::Refused(_) | Self::Answer => false,
        }
    }
}

/// A user's session.
#[derive(Clone)]
pub struct Session {
    /// The value of the header.
    header: Zeroizing<String>,
    /// What each call says about itself: language, company.
    pub context: Map<String, Value>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

/// One database of a server.
#[derive(Debug, Clone)]
pub struct Rpc {
    http: Client,
    /// `https://host/DATABASE/`
    url: Url,
}

impl Rpc {
    /// The database `name` of the server at `base`; `None` if the two make no address.
    pub fn new(http: Client, base: &Url, name: &str) -> Option<Self> {
        let mut url = base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push(name).push("");
        Some(Self { http, url })
    }

    /// Signs a user in by an assertion.
    ///
    /// # Errors
    /// [`RpcError::SignIn`], [`RpcError::Throttled`] and what prevents a call.
    pub async fn sign_in(&self, login: &str, assertion: &str) -> Result<Session, RpcError> {
        let found = match self.ask("common.db.login", json!([login, { "tapward": assertion }]), None).await {
            Err(RpcError::Refused(_) | RpcError::NoSession) => return Err(RpcError::SignIn),
            Err(RpcError::Status(429)) => return Err(RpcError::Throttled),
            found => found?,
        };
        let (Some(user), Some(token)) = (found[0].as_i64(), found[1].as_str()) else { return Err(RpcError::Answer) };
        let header = Zeroizing::new(format!("Session {}", STANDARD.encode(format!("{login}:{user}:{token}"))));
        let mut session = Session { header, context: Map::new() };
        let Value::Object(mut context) =
            self.call(&session, "model.res.user.get_preferences", vec![json!(true)]).await?
        else {
            return Err(RpcError::Answer);
        };
        // How numbers look concerns nobody here.
        context.remove("locale");
        session.context = context;
        Ok(session)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// What prevents a call; a session that has ended already is none.
    pub async fn sign_out(&self, session: &Session) -> Result<(), RpcError> {
        match self.ask("common.db.logout", json!([]), Some(session)).await {
            Ok(_) | Err(RpcError::NoSession) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A method of a model with its parameters; the context is added.
    ///
    /// # Errors
    /// What is refused, and what prevents a call.
    pub async fn call(&self, session: &Session, method: &str, mut params: Vec<Value>) -> Result<Value, RpcError> {
        params.push(Value::Object(session.context.clone()));
        self.ask(method, Value::Array(params), Some(session)).await
    }

    /// Records of a model by a domain: these fields, at most `limit`, in the order of their ids, from `offset` on.
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn search_read(
        &self,
        session: &Session,
        model: &str,
        domain: Value,
        (offset, limit): (usize, usize),
        fields: &[&str],
    ) -> Result<Vec<Value>, RpcError> {
        let method = format!("model.{model}.search_read");
        let params = vec![domain, json!(offset), json!(limit), json!([["id", "ASC"]]), json!(fields)];
        match self.call(session, &method, params).await? {
            Value::Array(found) if found.len() <= limit => Ok(found),
            _ => Err(RpcError::Answer),
        }
    }

    async fn ask(&self, method: &str, params: Value, session: Option<&Session>) -> Result<Value, RpcError> {
        let body = json!({ "id": 1, "method": method, "params": params }).to_string();
        let mut request = Request::post(self.url.clone(), "application/json", body);
        if let Some(session) = session {
            request = request.authorization(&session.header)?;
        }
        let answer = self.http.send(request).await?;
        match answer.status {
            200 => {}
            401 => return Err(RpcError::NoSession),
            status => return Err(RpcError::Status(status)),
        }
        let mut answer: Value = serde_json::from_slice(&answer.body).map_err(|_| RpcError::Answer)?;
        if let Some(error) = answer.get("error") {
            let kind = error.as_array().and_then(|parts| parts.first()?.as_str()).unwrap_or("unknown");
            return Err(match kind {
                "ConcurrencyException" => RpcError::Conflict,
                "RateLimitException" => RpcError::Throttled,
                kind => RpcError::Refused(kind.chars().filter(char::is_ascii_alphanumeric).take(40).collect()),
            });
        }
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(RpcError::Answer),
        }
    }
}

/// A time as trytond writes it: without a zone, in UTC.
pub fn time(at: UtcMillis) -> Value {
    let at = DateTime::<Utc>::from_timestamp_millis(at.0).unwrap_or_default();
    json!({
        "__class__": "datetime", "year": at.year(), "month": at.month(), "day": at.day(),
        "hour": at.hour(), "minute": at.minute(), "second": at.second(), "microsecond": 0,
    })
}

/// A day as trytond writes it.
pub fn day(date: NaiveDate) -> Value {
    json!({ "__class__": "date", "year": date.year(), "month": date.month(), "day": date.day() })
}

/// The time that trytond has written, if it is one.
pub fn read_time(value: &Value) -> Option<UtcMillis> {
    let part = |name: &str| value.get(name)?.as_u64().and_then(|part| u32::try_from(part).ok());
    let year = i32::try_from(value.get("year")?.as_i64()?).ok()?;
    let at = NaiveDate::from_ymd_opt(year, part("month")?, part("day")?)?.and_hms_opt(
        part("hour")?,
        part("minute")?,
        part("second")?,
    )?;
    Some(UtcMillis(Utc.from_utc_datetime(&at).timestamp_millis()))
}

/// The day that trytond has written, if it is one.
pub fn read_day(value: &Value) -> Option<NaiveDate> {
    let part = |name: &str| value.get(name)?.as_u64().and_then(|part| u32::try_from(part).ok());
    NaiveDate::from_ymd_opt(i32::try_from(value.get("year")?.as_i64()?).ok()?, part("month")?, part("day")?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_and_nonsense_is_not() {
        let at = UtcMillis(1_795_341_734_000);
        assert_eq!(read_time(&time(at)), Some(at));
        for bad in [json!(null), json!("2026-11-22"), json!({ "year": 2026, "month": 13, "day": 1 }), json!({})] {
            assert_eq!((read_time(&bad), read_day(&bad)), (None, None), "{bad}");
        }
    }

    #[test]
    fn the_address_of_a_database_is_a_folder_of_the_server() {
        let http = Client::new(crate::http::Settings::default()).unwrap();
        for base in ["https://gh.example", "https://gh.example/", "https://gh.example/a/"] {
            let rpc = Rpc::new(http.clone(), &Url::parse(base).unwrap(), "health").unwrap();
            assert!(rpc.url.path().ends_with("/health/"), "{}", rpc.url);
        }
        assert!(Rpc::new(http, &Url::parse("mailto:a@b").unwrap(), "health").is_none());
    }

    #[test]
    fn a_session_is_never_shown() {
        let session = Session { header: Zeroizing::new("Session abc".to_owned()), context: Map::new() };
        assert_eq!(format!("{session:?}"), "Session(..)");
    }
}
