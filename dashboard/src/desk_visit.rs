//! A request from the browser of a workstation: which one, who is bound there, and as whom it acts. Owns the cookie and
//! the tokens of forms at desks.
//!
//! The cookie says where the browser stands, never who sits there: that is the binding of the desk, read anew for each
//! request. Tokens of forms hang on the binding, so a page that was opened under one specialist does nothing under the
//! next.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header::{HeaderMap, HeaderValue};
use axum::http::request::Parts;
use clinic::acting::Acting;
use clinic::desk::{DeskError, DeskSession};
use clinic::workstations::{DeskToken, Workstation};
use domain::{Permission, UtcMillis};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

use crate::address;
use crate::app::App;
use crate::fault::Fault;
use crate::form::{Foreign, SLOT_MS};
use crate::visit::cookie;

/// Holds what a workstation's browser is known by.
pub const DESK_COOKIE: &str = "__Host-tapward-desk";
/// Lax, not Strict: the sign-in page of the provider is reached by a link of the medical system, which is another site.
/// Nothing is done by a request without a form's token.
const COOKIE_ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";
/// How long a browser keeps it, in seconds: the longest that browsers allow, 400 days. Each visit renews it.
const COOKIE_AGE_S: u32 = 400 * 24 * 3600;

/// The browser of a workstation.
#[derive(Debug, Clone)]
pub struct AtDesk {
    /// Where it stands.
    pub workstation: Workstation,
    /// Who is bound there, in whatever state.
    pub session: Option<DeskSession>,
    /// As whom it acts, while the binding is open.
    pub acting: Option<Acting>,
    token: DeskToken,
}

impl AtDesk {
    /// Reads the cookie and looks up what it stands for; `None` for a browser that is no workstation's.
    ///
    /// # Errors
    /// The database.
    pub async fn read(app: &App, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Option<Self>, Fault> {
        let Some(token) = cookie(headers, DESK_COOKIE).and_then(|text| DeskToken::parse(&text)) else {
            return Ok(None);
        };
        let Some(workstation) = app.workstations.resume(&token).await? else { return Ok(None) };
        let session = app.desk.current(&workstation.point).await?;
        let acting = acting(app, session.as_ref(), address).await?;
        Ok(Some(Self { workstation, session, acting, token }))
    }

    /// The open binding and as whom it acts.
    ///
    /// # Errors
    /// [`Fault::DeskClosed`]: nobody is bound, or the binding is locked or waits for its second factor.
    pub fn signed_in(&self) -> Result<(&DeskSession, &Acting), Fault> {
        match (&self.session, &self.acting) {
            (Some(session), Some(acting)) => Ok((session, acting)),
            _ => Err(Fault::DeskClosed),
        }
    }

    /// Whether somebody is bound and the binding is open and may be worked in.
    pub fn is_open(&self) -> bool {
        self.acting.as_ref().is_some_and(|acting| acting.rights.allows(Permission::DeskUse))
    }

    /// The same browser as it is now; `None` if it is no workstation's any more.
    ///
    /// # Errors
    /// The database.
    pub async fn again(&self, app: &App, address: Option<IpAddr>) -> Result<Option<Self>, Fault> {
        let Some(workstation) = app.workstations.resume(&self.token).await? else { return Ok(None) };
        let session = app.desk.current(&workstation.point).await?;
        let acting = acting(app, session.as_ref(), address).await?;
        Ok(Some(Self { workstation, session, acting, token: self.token.clone() }))
    }

    /// The `Set-Cookie` value that keeps the cookie for as long again.
    pub fn renewed(&self) -> Option<HeaderValue> {
        set_cookie(&self.token)
    }

    fn in_slot(&self, slot: i64) -> String {
        let session = self.session.as_ref().map_or("-", |session| session.id.as_str());
        self.token.derive(&format!("form:{session}:{slot}"))
    }

    /// What forms of a page made `now` must carry: good for this browser and this binding, for an hour or two.
    pub fn form_token(&self, now: UtcMillis) -> String {
        self.in_slot(now.0.div_euclid(SLOT_MS))
    }

    /// Whether a token was made for this browser, this binding and this hour or the one before.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_form(&self, given: Option<&str>, now: UtcMillis) -> Result<(), Foreign> {
        let given = given.filter(|given| !given.is_empty()).ok_or(Foreign::NoToken)?;
        let slot = now.0.div_euclid(SLOT_MS);
        let is = |slot: i64| self.in_slot(slot).as_bytes().ct_eq(given.as_bytes());
        if bool::from(is(slot) | is(slot - 1)) { Ok(()) } else { Err(Foreign::BadToken) }
    }
}

/// As whom a binding acts; nobody while it is not open, and nobody whose work here has ended.
async fn acting(app: &App, session: Option<&DeskSession>, address: Option<IpAddr>) -> Result<Option<Acting>, Fault> {
    let Some(session) = session.filter(|session| session.is_open()) else { return Ok(None) };
    match app.desk.acting(session, address).await {
        Ok(acting) => Ok(Some(acting)),
        Err(DeskError::NoSession | DeskError::NotOpen | DeskError::NotStaff) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl FromRequestParts<App> for AtDesk {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        <Self as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await?.ok_or(Fault::NotAtDesk)
    }
}

/// For pages that are reached from elsewhere too, as the provider's sign-in.
impl OptionalFromRequestParts<App> for AtDesk {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Fault> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(Some(known.clone()));
        }
        let address = address::of(parts, &app.settings.trusted_proxies);
        Self::read(app, &parts.headers, Some(address)).await
    }
}

/// The `Set-Cookie` value that makes a browser a workstation's.
pub fn set_cookie(token: &DeskToken) -> Option<HeaderValue> {
    let text = format!("{DESK_COOKIE}={}; Max-Age={COOKIE_AGE_S}; {COOKIE_ATTRIBUTES}", token.reveal());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
