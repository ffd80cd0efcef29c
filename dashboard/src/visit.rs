//! One request as handlers see it: who asks, in which language, from where. Owns the cookies.

use axum::extract::FromRequestParts;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use clinic::accounts::{AccountError, DeviceToken, HalfToken, Password, Session, SessionToken, Visitor};
use clinic::acting::Acting;
use domain::Rights;

use crate::address;
use crate::app::App;
use crate::desk_visit::AtDesk;
use crate::fault::Fault;
use crate::form;
use crate::language::{Language, Texts};
use crate::routes::Route;
use crate::times::Times;

/// Holds the session's token. `__Host-`: only this host, only over TLS, the whole site.
pub const SESSION_COOKIE: &str = "__Host-tapward";
/// Holds a random value that forms before sign-in are bound to.
pub const VISIT_COOKIE: &str = "__Host-tapward-visit";
/// Holds what a browser is known again by: guessing elsewhere does not slow it down.
pub const DEVICE_COOKIE: &str = "__Host-tapward-device";
/// Holds what stands between password and second factor.
pub const STEP_COOKIE: &str = "__Host-tapward-step";
const COOKIE_ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

/// One request.
#[derive(Clone)]
pub struct Visit {
    pub app: App,
    pub route: Option<&'static Route>,
    pub session: Option<Session>,
    /// The workstation that the browser stands at, for routes of workstations.
    pub desk: Option<AtDesk>,
    /// The random value of [`VISIT_COOKIE`].
    pub visit_token: SessionToken,
    /// Whether the browser has the visit cookie already.
    pub has_visit_cookie: bool,
    /// What the browser holds between password and second factor.
    pub half: Option<HalfToken>,
    pub language: Language,
    pub visitor: Visitor,
    pub path_and_query: String,
}

impl Visit {
    /// Reads cookies, address and language; looks the session up. `use_it`: the request counts as use of the session.
    pub async fn read(app: &App, parts: &Parts, route: Option<&'static Route>, use_it: bool) -> Result<Self, Fault> {
        let session = match cookie(&parts.headers, SESSION_COOKIE).and_then(|text| SessionToken::parse(&text)) {
            Some(token) => app.accounts.resume(&token, use_it).await?,
            None => None,
        };
        Ok(Self::assemble(app, parts, route, session)?)
    }

    /// Reads a request to a route of workstations: who it is says the binding there, not a session of the pages. A
    /// browser that is no workstation's is read as any other.
    pub async fn at_desk(app: &App, parts: &Parts, route: &'static Route) -> Result<Self, Fault> {
        let mut visit = Self::assemble(app, parts, Some(route), None)?;
        visit.desk = AtDesk::read(app, &parts.headers, Some(visit.visitor.address)).await?;
        if visit.desk.is_none() {
            return Self::read(app, parts, Some(route), false).await;
        }
        Ok(visit)
    }

    /// As [`Visit::read`] for somebody unknown; needs no database.
    pub fn anonymous(app: &App, parts: &Parts) -> Result<Self, AccountError> {
        Self::assemble(app, parts, None, None)
    }

    fn assemble(
        app: &App,
        parts: &Parts,
        route: Option<&'static Route>,
        session: Option<Session>,
    ) -> Result<Self, AccountError> {
        let visit_token = cookie(&parts.headers, VISIT_COOKIE).and_then(|text| SessionToken::parse(&text));
        let has_visit_cookie = visit_token.is_some();
        let visit_token = match visit_token {
            Some(token) => token,
            None => SessionToken::draw()?,
        };
        let asked = text_of(&parts.headers, &header::ACCEPT_LANGUAGE);
        let chosen = session.as_ref().and_then(|session| Language::parse(&session.account.locale));
        let by_query = || parts.uri.query().and_then(language_in_query);
        let language = chosen.or_else(by_query).or_else(|| Language::from_header(&asked)).unwrap_or(app.language);
        let address = address::of(parts, &app.settings.trusted_proxies);
        let agent = text_of(&parts.headers, &header::USER_AGENT);
        let device = cookie(&parts.headers, DEVICE_COOKIE).and_then(|text| DeviceToken::parse(&text));
        let half = cookie(&parts.headers, STEP_COOKIE).and_then(|text| HalfToken::parse(&text));
        let path_and_query = parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Self {
            app: app.clone(),
            route,
            session,
            desk: None,
            visit_token,
            has_visit_cookie,
            half,
            language,
            visitor: Visitor { device, ..Visitor::new(address, agent) },
            path_and_query,
        })
    }

    /// The visitor with something to be known again by; drawn where the browser has nothing yet.
    pub fn with_device(&self) -> Result<Visitor, AccountError> {
        let mut visitor = self.visitor.clone();
        if visitor.device.is_none() {
            visitor.device = Some(DeviceToken::draw()?);
        }
        Ok(visitor)
    }

    /// The texts of this visit's language.
    pub fn texts(&self) -> Texts {
        self.language.texts()
    }

    /// Times in the clinic's zone.
    pub fn times(&self) -> Times {
        self.app.times(self.texts())
    }

    /// What forms of this visit must carry.
    pub fn form_token(&self) -> String {
        if let Some(desk) = &self.desk {
            return desk.form_token(self.app.now());
        }
        form::token(self.form_secret(), self.app.now())
    }

    /// What the tokens of this visit's forms are made from.
    pub fn form_secret(&self) -> &SessionToken {
        self.session.as_ref().map_or(&self.visit_token, |session| &session.form_secret)
    }

    /// Who is signed in; the guard lets nobody else reach a page that asks.
    pub fn signed_in(&self) -> Result<&Session, Fault> {
        self.session.as_ref().ok_or(Fault::SignIn)
    }

    /// Whether a form that does something grave asks for the password: who is signed in has not given it lately.
    pub fn is_stale(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.is_fresh)
    }

    /// Whoever does something grave gives their own password, if they have not lately.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`] when nobody is signed in; a wrong password, or too many of them; the database.
    pub async fn confirm(&self, password: Option<&str>) -> Result<(), AccountError> {
        let session = self.session.as_ref().ok_or(AccountError::NoAccount)?;
        if session.is_fresh {
            return Ok(());
        }
        let password = Password::new(password.unwrap_or_default());
        self.app.accounts.confirm(session, password, self.visitor.address).await
    }

    /// What the one who is signed in may do.
    pub fn rights(&self) -> Option<&Rights> {
        self.session.as_ref().map(|session| &session.rights)
    }

    /// The one who is signed in, as who does something; at a workstation the one who is bound to it.
    pub fn acting(&self) -> Result<Acting, Fault> {
        if let Some(desk) = &self.desk {
            return desk.signed_in().map(|(_, acting)| acting.clone());
        }
        Ok(self.signed_in()?.acting(&self.visitor))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        // Put there by the guard; a handler outside the table of routes would not have it.
        parts.extensions.get::<Self>().cloned().ok_or(Fault::NotFound)
    }
}

/// The `Set-Cookie` value that hands out a token.
pub fn set_cookie(name: &str, token: &SessionToken) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{name}={}; {COOKIE_ATTRIBUTES}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The `Set-Cookie` value of a cookie that outlives the browser's session, by its age in seconds.
pub fn set_lasting_cookie(name: &str, text: &str, age_s: i64) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{name}={text}; Max-Age={age_s}; {COOKIE_ATTRIBUTES}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The `Set-Cookie` value that takes a cookie away.
pub fn clear_cookie(name: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{name}=; Max-Age=0; {COOKIE_ATTRIBUTES}")).ok()
}

/// A cookie of the request; one that is there twice is not believed.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned());
    let first = found.next();
    // Two cookies of one name: somebody has planted one. Neither is believed.
    if found.next().is_some() { None } else { first }
}

fn language_in_query(query: &str) -> Option<Language> {
    query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Language::parse)
}

fn text_of(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.chars().take(400).collect()
}
