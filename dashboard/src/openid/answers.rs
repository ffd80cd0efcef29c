//! The answers of the provider to programs. Errors are JSON for the developer of a system; they never repeat what was sent.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clinic::openid::{
    AskError, Asked, Authenticated, Code, ConfirmationAsked, EndAsked, Ended, OpenIdError, Provider, Refusal,
    TokenAnswer, TokenAsked,
};
use domain::PointId;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::cross_origin::{public, registered};
use super::read::{Form, bearer};
use crate::app::App;
use crate::desk_visit::AtDesk;
use crate::fault::Fault;

/// The grant of a code.
const CODE_GRANT: &str = "authorization_code";
/// The grant of a confirmation.
const CIBA_GRANT: &str = "urn:openid:params:grant-type:ciba";

/// Why a program is not answered as it asked.
pub(super) enum No {
    /// There is no provider here.
    Off,
    Refused(Refusal),
    Broken,
}

impl From<OpenIdError> for No {
    fn from(error: OpenIdError) -> Self {
        match error {
            OpenIdError::Refused(refusal) => Self::Refused(refusal),
            other => {
                tracing::error!(error = %other, "openid.failed");
                Self::Broken
            }
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let refusal = match self {
            Self::Off => return StatusCode::NOT_FOUND.into_response(),
            Self::Refused(refusal) => refusal,
            Self::Broken => Refusal::new(Code::TemporarilyUnavailable, "the database does not answer now; try again"),
        };
        let status = match refusal.code {
            Code::InvalidClient | Code::InvalidToken => StatusCode::UNAUTHORIZED,
            Code::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::InsufficientScope => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({"error": refusal.code.as_str(), "error_description": refusal.what});
        let mut response = (status, Json(body)).into_response();
        let challenge = match refusal.code {
            Code::InvalidClient => Some("Basic realm=\"tapward\""),
            Code::InvalidToken => Some("Bearer error=\"invalid_token\""),
            _ => None,
        };
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

fn provider(app: &App) -> Result<&Provider, No> {
    app.openid.as_ref().ok_or(No::Off)
}

/// `GET /.well-known/openid-configuration`
pub async fn discovery(State(app): State<App>) -> Result<Response, No> {
    Ok(public(Json(provider(&app)?.discovery()).into_response()))
}

/// `GET /openid/jwks`
pub async fn jwks(State(app): State<App>) -> Result<Response, No> {
    let keys = provider(&app)?.jwks().await?;
    let mut response = public(Json(keys.to_json()).into_response());
    // Far below the day for which a key is published before it signs.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}

/// `GET /openid/authorize`
pub async fn authorize(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, No> {
    begin(&app, query.unwrap_or_default().as_bytes()).await
}

/// `POST /openid/authorize`
pub async fn authorize_form(State(app): State<App>, body: Bytes) -> Result<Response, No> {
    begin(&app, &body).await
}

async fn begin(app: &App, parameters: &[u8]) -> Result<Response, No> {
    let provider = provider(app)?;
    let asked = Asked::read(form_urlencoded::parse(parameters));
    let language = asked.get("ui_locales").and_then(crate::language::Language::parse);
    let language = language.map(|language| format!("&lang={}", language.code())).unwrap_or_default();
    match provider.ask(&asked).await {
        Ok(handle) => Ok(see(&format!("/openid/sign-in?request={}{language}", handle.reveal()))),
        Err(AskError::Back(url)) => Ok(see(&url)),
        Err(AskError::Page(refusal)) => {
            tracing::warn!(why = refusal.what, "openid.authorize.refused");
            Ok(see(&format!("/openid/sign-in?problem=unknown{language}")))
        }
        Err(AskError::Inner(error)) => Err(error.into()),
    }
}

/// 303: whatever the method was, the browser goes on by GET.
pub(super) fn see(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(mut url) => {
            url.set_sensitive(true);
            (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn caller(provider: &Provider, headers: &HeaderMap, form: &Form) -> Result<Authenticated, No> {
    let credentials = form.credentials(headers)?;
    Ok(provider.authenticate(&credentials).await?)
}

/// `POST /openid/token`
pub async fn token(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, No> {
    let provider = provider(&app)?;
    let answer = match redeem(&app, provider, &headers, &body).await {
        Ok(answer) => {
            let mut response = Json(answer).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
            response
        }
        Err(no) => no.into_response(),
    };
    Ok(registered(provider, &headers, answer).await)
}

async fn redeem(app: &App, provider: &Provider, headers: &HeaderMap, body: &[u8]) -> Result<Value, No> {
    let form = Form::read(headers, body)?;
    let caller = caller(provider, headers, &form).await?;
    let asked = TokenAsked {
        grant_type: form.get("grant_type").unwrap_or_default(),
        code: form.get("code"),
        redirect_uri: form.get("redirect_uri"),
        code_verifier: form.get("code_verifier"),
        auth_req_id: form.get("auth_req_id"),
    };
    let answer = match asked.grant_type.as_str() {
        CODE_GRANT => provider.redeem(&caller, &asked).await?,
        CIBA_GRANT => provider.confirmed(&caller, &asked).await?,
        _ => {
            let what = "grant_type must be authorization_code or urn:openid:params:grant-type:ciba";
            return Err(Refusal::new(Code::UnsupportedGrantType, what).into());
        }
    };
    told(app, provider, &answer).await
}

async fn told(app: &App, provider: &Provider, answer: &TokenAnswer) -> Result<Value, No> {
    let mut told = json!({
        "access_token": answer.access_token.reveal(),
        "token_type": "Bearer",
        "expires_in": answer.expires_in,
        "scope": answer.scope,
        "id_token": answer.id_token.reveal(),
    });
    let has = |wanted: &str| answer.scope.split_whitespace().any(|scope| scope.starts_with(wanted));
    if has("launch") {
        told["need_patient_banner"] = true.into();
        if let Some(launch) = &answer.launch {
            told["patient"] = launch.patient.as_str().into();
            told["encounter"] = launch.encounter.as_str().into();
        }
    }
    if has("launch") || has("fhircast/") {
        let topic = match &app.fhircast {
            Some(cast) => cast.hub.topic(&answer.session).await.map_err(OpenIdError::from)?,
            None => None,
        };
        if let Some(topic) = topic {
            told["hub.url"] = provider.rules().url(crate::fhircast::PATH).into();
            told["hub.topic"] = topic.reveal().into();
        }
    }
    Ok(told)
}

/// `GET` and `POST /openid/userinfo`
pub async fn userinfo(State(app): State<App>, headers: HeaderMap) -> Result<Response, No> {
    const BAD: Refusal = Refusal::new(Code::InvalidToken, "the access token is missing, expired or revoked");
    let provider = provider(&app)?;
    let answer = match bearer(&headers) {
        Some(token) => provider.userinfo(token).await?,
        None => None,
    };
    let answer = match answer {
        Some(claims) => Json(claims).into_response(),
        None => No::Refused(BAD).into_response(),
    };
    Ok(registered(provider, &headers, answer).await)
}

/// `POST /openid/introspect`
pub async fn introspect(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, No> {
    let provider = provider(&app)?;
    let form = Form::read(&headers, &body)?;
    let caller = caller(provider, &headers, &form).await?;
    let token = form.get("token").unwrap_or_default();
    Ok(Json(provider.introspect(&caller, &token).await?).into_response())
}

/// `POST /openid/revoke`
pub async fn revoke(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, No> {
    let provider = provider(&app)?;
    let form = Form::read(&headers, &body)?;
    let caller = caller(provider, &headers, &form).await?;
    provider.revoke(&caller, &form.get("token").unwrap_or_default()).await?;
    Ok(registered(provider, &headers, StatusCode::OK.into_response()).await)
}

/// `GET /openid/end`
pub async fn end(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, No> {
    sign_out(&app, query.unwrap_or_default().as_bytes()).await
}

/// `POST /openid/end`
pub async fn end_form(State(app): State<App>, body: Bytes) -> Result<Response, No> {
    sign_out(&app, &body).await
}

async fn sign_out(app: &App, parameters: &[u8]) -> Result<Response, No> {
    let provider = provider(app)?;
    let mut asked = EndAsked::default();
    for (name, value) in form_urlencoded::parse(parameters).filter(|(_, value)| !value.is_empty()) {
        let field = match name.as_ref() {
            "id_token_hint" => &mut asked.id_token_hint,
            "client_id" => &mut asked.client_id,
            "post_logout_redirect_uri" => &mut asked.post_logout_redirect_uri,
            "state" => &mut asked.state,
            _ => continue,
        };
        if field.replace(value.into_owned()).is_some() {
            return Ok(see("/openid/signed-out?problem=1"));
        }
    }
    Ok(match provider.end(&asked).await? {
        Ended::Go(url) => see(&url),
        Ended::Page => see("/openid/signed-out"),
        Ended::Nothing(refusal) => {
            tracing::warn!(why = refusal.what, "openid.end.refused");
            see("/openid/signed-out?problem=1")
        }
    })
}

/// `POST /openid/ciba`
pub async fn ciba(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, No> {
    let provider = provider(&app)?;
    let form = Form::read(&headers, &body)?;
    let caller = caller(provider, &headers, &form).await?;
    let asked = ConfirmationAsked {
        scope: form.get("scope").unwrap_or_default(),
        acr_values: form.get("acr_values"),
        login_hint: form.get("login_hint"),
        id_token_hint: form.get("id_token_hint"),
        login_hint_token: form.get("login_hint_token"),
        binding_message: form.get("binding_message"),
        notification_token: form.get("client_notification_token"),
        requested_expiry: form.get("requested_expiry"),
    };
    let started = provider.start_confirmation(&caller, &asked).await?;
    let told = json!({
        "auth_req_id": started.request.reveal(),
        "expires_in": started.expires_in,
        "interval": started.interval,
    });
    Ok(Json(told).into_response())
}

/// `POST /openid/assertion`: for the browser of a workstation, which sends its cookie and says so by a header that no form
/// of another site can send; or for a system that proves itself and names the workstation.
pub async fn assertion(
    State(app): State<App>,
    desk: Option<AtDesk>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, No> {
    const WHERE: Refusal =
        Refusal::new(Code::InvalidRequest, "workstation is missing, or is no name of an access point");
    let provider = provider(&app)?;
    let form = Form::read(&headers, &body)?;
    let is_own_page = headers.contains_key("x-tapward-desk") && crate::form::check_sender(&headers).is_ok();
    let (point, client) = match desk.filter(|_| is_own_page) {
        Some(desk) => (desk.workstation.point, form.get("client_id").unwrap_or_default()),
        None => {
            let caller = caller(provider, &headers, &form).await?;
            caller.must_prove()?;
            let named = form.get("workstation").and_then(|name| PointId::new(&name).ok());
            (named.ok_or(WHERE)?, caller.client().id.clone())
        }
    };
    let assertion = provider.vouch(&point, &client).await?;
    let expires_in = assertion.expires.since_ms(app.now()) / 1000;
    Ok(Json(json!({"assertion": assertion.reveal(), "expires_in": expires_in})).into_response())
}

/// `POST /openid/assertion/verify`
pub async fn verify_assertion(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, No> {
    let provider = provider(&app)?;
    let form = Form::read(&headers, &body)?;
    let caller = caller(provider, &headers, &form).await?;
    let vouched = provider.consume(&caller, &form.get("assertion").unwrap_or_default()).await?;
    Ok(Json(Value::Object(vouched.0)).into_response())
}

/// What is wrong with the browser's own request: no provider, or the database.
pub fn fault(error: OpenIdError) -> Fault {
    match error {
        OpenIdError::Store(error) => error.into(),
        other => {
            tracing::error!(error = %other, "page.openid.failed");
            Fault::Unavailable
        }
    }
}
