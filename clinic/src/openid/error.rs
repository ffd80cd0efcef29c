//! What can go wrong, for the system that asks (an error code of the standard) and for us.

use domain::codes;
use store::Error;
use thiserror::Error as ThisError;

codes! {
    /// The error codes of OAuth 2.0, OpenID Connect and CIBA that are given here.
    Code {
        /// A parameter is missing, twice there, or not understood.
        InvalidRequest = "invalid_request",
        /// The system is not known, or did not prove who it is.
        InvalidClient = "invalid_client",
        /// The code or the request is not good: used, expired, another system's, or the session ended.
        InvalidGrant = "invalid_grant",
        /// The system may not do that.
        UnauthorizedClient = "unauthorized_client",
        /// Not a grant of ours.
        UnsupportedGrantType = "unsupported_grant_type",
        /// Only `code` is answered.
        UnsupportedResponseType = "unsupported_response_type",
        /// A scope that this system may not have.
        InvalidScope = "invalid_scope",
        /// The token is not good.
        InvalidToken = "invalid_token",
        /// The token does not reach so far.
        InsufficientScope = "insufficient_scope",
        /// The specialist refused, or has no name in that system.
        AccessDenied = "access_denied",
        /// Nobody is signed in, and nobody may be asked.
        LoginRequired = "login_required",
        /// A PIN would be needed, and nobody may be asked.
        InteractionRequired = "interaction_required",
        /// Request objects are not read.
        RequestNotSupported = "request_not_supported",
        /// Request objects are not fetched.
        RequestUriNotSupported = "request_uri_not_supported",
        /// The specialist has not confirmed yet.
        AuthorizationPending = "authorization_pending",
        /// Asked again too soon.
        SlowDown = "slow_down",
        /// The request without a browser ran out.
        ExpiredToken = "expired_token",
        /// Nobody is known by this hint, or they are at no workstation.
        UnknownUserId = "unknown_user_id",
        /// The message to be shown is too long or cannot be shown.
        InvalidBindingMessage = "invalid_binding_message",
        /// Something of ours does not answer now.
        TemporarilyUnavailable = "temporarily_unavailable",
    }
}

/// What the system that asks is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the standard.
    pub code: Code,
    /// What is wrong and what to do, in ASCII, for the one who connects the system. Holds nothing that was sent.
    pub what: &'static str,
}

impl Refusal {
    /// A refusal.
    pub const fn new(code: Code, what: &'static str) -> Self {
        Self { code, what }
    }
}

/// Why something was not done.
#[derive(Debug, ThisError)]
pub enum OpenIdError {
    /// The asking system is told why.
    #[error("{}: {}", .0.code, .0.what)]
    Refused(Refusal),
    /// Random bytes or a key could not be had, or what was sealed does not open with this site's key.
    #[error("{0}")]
    System(&'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<Refusal> for OpenIdError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
