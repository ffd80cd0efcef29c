//! What can go wrong for a caller of the API, and how it is said: `application/problem+json` (RFC 9457). A problem says
//! what is wrong, where in the request and what to do; never a path of this computer, a statement or a panic's text.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clinic::api_keys::ApiKeyError;
use clinic::till::TillError;
use domain::money::{Amount, Currency};
use domain::till::Refusal;
use domain::{Denied, Permission};
use serde::Serialize;
use utoipa::ToSchema;

use crate::fault::Dressed;

/// The content type of problems.
pub const CONTENT_TYPE: &str = "application/problem+json; charset=utf-8";

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No key, or one that is not accepted.
    Unauthorized,
    /// The key may not do this.
    Forbidden(Permission),
    /// None of the fields asked for may be seen by this key.
    Hidden,
    /// Another site's page sent this: the API is not for browsers of strangers.
    ForeignPage,
    /// There is no such thing, or none that the key may know of.
    NotFound,
    /// There was such a person, and everything about them was erased.
    Gone,
    /// The path is there, for other methods.
    Method,
    /// The caller accepts nothing that we give.
    NotAcceptable,
    /// The request took too long to arrive.
    Slow,
    /// The request does not fit what is so now.
    Conflict(&'static str),
    /// Limits, deposit, price or terms of the till do not allow it; amounts are of this currency.
    Refused(Refusal, Currency),
    /// The thing was changed since the caller read it.
    Changed,
    /// The body is longer than allowed, in bytes.
    TooLarge(usize),
    /// The body is no JSON in UTF-8.
    MediaType,
    /// Part of the request cannot be understood or is not allowed.
    Invalid {
        /// Where: a header, a parameter, or a pointer into the body.
        at: String,
        /// What is wrong and what is expected.
        what: String,
    },
    /// Too many requests: try again in this many seconds.
    TooMany(u64),
    /// The vault is locked.
    Locked,
    /// The database or another part does not answer now.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// A problem, as it is sent (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemBody {
    /// Which kind: a place on the page `/api` of this server, where it is explained.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/api#problem-not_found")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// This problem in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Where in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// The permission that the key lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<&'static str>,
    /// Why the till refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<RefusedBody>,
}

/// Why the till refused, in numbers of the currency as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedBody {
    /// Which rule.
    #[schema(schema_with = refusal_codes)]
    code: &'static str,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// The limit that would be passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    /// What is left of the limit or the deposit.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<String>,
    /// What is missing: what must be paid first.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// What the caller took for the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
    /// What is to be paid now.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
}

fn refusal_codes() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Refusal::CODES.iter().copied())).into()
}

impl RefusedBody {
    fn of(refusal: Refusal, currency: Currency) -> Self {
        let say = |amount: Amount| Some(currency.decimal(amount));
        let (code, currency) = (refusal.code(), currency.to_string());
        let mut body = Self { code, currency, limit: None, left: None, missing: None, shown: None, now: None };
        match refusal {
            Refusal::PatientLimit { limit, left, missing } | Refusal::PotLimit { limit, left, missing } => {
                (body.limit, body.left, body.missing) = (say(limit), say(left), say(missing));
            }
            Refusal::Deposit { left, missing } => (body.left, body.missing) = (say(left), say(missing)),
            Refusal::NotPaid { missing } => body.missing = say(missing),
            Refusal::PriceChanged { shown, now } => (body.shown, body.now) = (say(shown), say(now)),
            Refusal::NoTerms | Refusal::OtherCurrency | Refusal::NoPrice | Refusal::Quantity | Refusal::TooLarge => {}
        }
        body
    }
}

impl Problem {
    /// Something wrong at a place of the request.
    pub fn invalid(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Invalid { at: at.into(), what: what.into() }
    }

    /// What the till says; amounts are of this currency.
    pub fn of_till(error: TillError, currency: Currency) -> Self {
        match error {
            TillError::Denied(denied) => denied.into(),
            TillError::Refused(refusal) => Self::Refused(refusal, currency),
            TillError::NotFound => Self::NotFound,
            TillError::NotTheirs => Self::Conflict("This belongs to another patient, specialist or cashier."),
            TillError::KeyReused => {
                Self::Conflict("Another request was sent under this name before; draw a new one for a new request.")
            }
            TillError::Changed => Self::Conflict("It has changed meanwhile: read it again, then decide."),
            TillError::Invalid { field, problem } => Self::invalid(format!("/{field}"), problem),
            TillError::ReasonWanted => Self::invalid("/words", "say why in 10 to 500 characters"),
            TillError::OwnRequest => Self::Conflict("Somebody else must decide this."),
            TillError::NoShift => Self::Conflict("There is no open drawer for this."),
            TillError::Busy => Self::Unavailable,
            TillError::Store(error) => error.into(),
        }
    }

    /// A problem made of an answer that says no more than its status.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::ForeignPage,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::GONE => Self::Gone,
            StatusCode::METHOD_NOT_ALLOWED => Self::Method,
            StatusCode::REQUEST_TIMEOUT => Self::Slow,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(super::BODY_MAX_BYTES),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::MediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            other if other.is_client_error() => Self::invalid("request", "it cannot be understood"),
            _ => Self::Internal,
        }
    }

    /// One of each kind, for the page that explains them.
    pub fn samples() -> Vec<Self> {
        vec![
            Self::invalid("", ""),
            Self::Unauthorized,
            Self::Forbidden(Permission::PersonReveal),
            Self::Hidden,
            Self::ForeignPage,
            Self::NotFound,
            Self::Gone,
            Self::Method,
            Self::NotAcceptable,
            Self::Slow,
            Self::Conflict(""),
            Self::Refused(Refusal::NoTerms, Currency::default()),
            Self::Changed,
            Self::TooLarge(super::BODY_MAX_BYTES),
            Self::MediaType,
            Self::TooMany(1),
            Self::Internal,
            Self::Locked,
            Self::Unavailable,
        ]
    }

    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Hidden | Self::ForeignPage => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Gone => StatusCode::GONE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::Refused(..) => StatusCode::CONFLICT,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Locked | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code of its kind.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::Hidden => "hidden",
            Self::ForeignPage => "foreign_page",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::Method => "method",
            Self::NotAcceptable => "not_acceptable",
            Self::Slow => "slow",
            Self::Conflict(_) => "conflict",
            Self::Refused(..) => "refused",
            Self::Changed => "changed",
            Self::TooLarge(_) => "too_large",
            Self::MediaType => "media_type",
            Self::Invalid { .. } => "invalid",
            Self::TooMany(_) => "too_many",
            Self::Locked => "locked",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Its kind in words, with what to do.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Unauthorized => "Send a key that works, as `Authorization: Bearer tapward_…`.",
            Self::Forbidden(_) => "This key may not do that.",
            Self::Hidden => "This key sees none of these fields.",
            Self::ForeignPage => "Requests from pages of other sites are refused.",
            Self::NotFound => "There is no such thing, or none that this key may know of.",
            Self::Gone => "This person was erased.",
            Self::Method => "This path knows other methods; see the header Allow.",
            Self::NotAcceptable => "The answer is JSON; accept application/json.",
            Self::Slow => "The request took too long to arrive.",
            Self::Conflict(_) => "This does not fit the present state.",
            Self::Refused(..) => "Terms, limits, deposit or price do not allow it; see `refused`.",
            Self::Changed => "It was changed since you read it: read it again, then decide.",
            Self::TooLarge(_) => "The body is too long.",
            Self::MediaType => "Send JSON in UTF-8 as application/json.",
            Self::Invalid { .. } => "Part of the request is wrong.",
            Self::TooMany(_) => "Too many requests; see the header Retry-After.",
            Self::Locked => "The vault is locked, personal data cannot be read or written now.",
            Self::Unavailable => "A part of the server does not answer now; try again later.",
            Self::Internal => "A fault of the server; it is in its log.",
        }
    }

    fn body(&self) -> ProblemBody {
        let (mut at, mut needs, mut refused) = (None, None, None);
        let detail = match self {
            Self::Forbidden(permission) => {
                needs = Some(permission.as_str());
                Some(format!("It needs the permission {permission}."))
            }
            Self::Invalid { at: place, what } => {
                at = Some(place.clone());
                Some(what.clone())
            }
            Self::Conflict(what) => Some((*what).to_owned()),
            Self::Refused(refusal, currency) => {
                refused = Some(RefusedBody::of(*refusal, *currency));
                Some(format!("{refusal}."))
            }
            Self::TooLarge(most) => Some(format!("At most {most} bytes.")),
            Self::TooMany(seconds) => Some(format!("Try again in {seconds} s.")),
            _ => None,
        };
        let (status, title) = (self.status().as_u16(), self.title());
        ProblemBody { kind: format!("/api#problem-{}", self.code()), title, status, detail, at, needs, refused }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::Forbidden(denied.0)
    }
}

impl From<clinic::watch::WatchError> for Problem {
    fn from(error: clinic::watch::WatchError) -> Self {
        use clinic::watch::WatchError;
        match error {
            WatchError::Denied(denied) => Self::from(denied),
            WatchError::NotThere => Self::NotFound,
            WatchError::Store(error) => Self::from(error),
        }
    }
}

impl From<clinic::outbox::OutboxError> for Problem {
    fn from(error: clinic::outbox::OutboxError) -> Self {
        use clinic::outbox::OutboxError;
        match error {
            OutboxError::Denied(denied) => Self::from(denied),
            OutboxError::BadName => Self::invalid("system", "it is not the name of a system"),
            OutboxError::NoReason => Self::invalid("why", "say why"),
            OutboxError::Unknown => Self::NotFound,
            OutboxError::Store(error) => Self::from(error),
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        tracing::error!(error = %error, "api.database.failed");
        Self::Unavailable
    }
}

impl From<ApiKeyError> for Problem {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::Denied(denied) => denied.into(),
            ApiKeyError::NoKey => Self::NotFound,
            ApiKeyError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "api.key.failed");
                Self::Internal
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        match self {
            Self::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tapward\""));
            }
            Self::TooMany(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response.extensions_mut().insert(Dressed);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_is_wrong_where_and_what_to_do() {
        let body = serde_json::to_value(Problem::invalid("/purpose", "expected one of …").body()).unwrap();
        assert_eq!(body["type"], "/api#problem-invalid");
        assert_eq!(body["status"], 400);
        assert_eq!(body["at"], "/purpose");
        let body = serde_json::to_value(Problem::from(Denied(Permission::FeedRead)).body()).unwrap();
        assert_eq!((body["status"].as_u64(), body["needs"].as_str()), (Some(403), Some("feed_read")));
    }

    #[test]
    fn every_kind_has_a_code_and_words_of_its_own() {
        let codes: std::collections::BTreeSet<_> = Problem::samples().iter().map(Problem::code).collect();
        let words: std::collections::BTreeSet<_> = Problem::samples().iter().map(Problem::title).collect();
        assert_eq!((codes.len(), words.len()), (Problem::samples().len(), Problem::samples().len()));
    }
}
