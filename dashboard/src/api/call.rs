//! One call as its handler sees it: who acts, with which parameters and body, all checked. Made by the guard.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use clinic::acting::Acting;
use clinic::api_keys::Caller;
use domain::UtcMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Problem;
use crate::app::App;
use crate::fault::Dressed;
use crate::routes::Route;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// One call.
#[derive(Clone)]
pub struct Call {
    pub app: App,
    pub route: &'static Route,
    /// Whose key; `None` where anyone may call.
    pub caller: Option<Caller>,
    /// Names and values, each of the form that the table asks for.
    pub parameters: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Call {
    /// Whose key it is.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or(Problem::Unauthorized)
    }

    /// Who acts.
    pub fn acting(&self) -> Result<&Acting, Problem> {
        Ok(&self.caller()?.acting)
    }

    /// A parameter as it was sent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that may be left out.
    pub fn read<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |text: &str| text.parse().map_err(|_| Problem::invalid(name, "it has the wrong form"));
        self.text(name).map(parse).transpose()
    }

    /// A parameter of the path.
    pub fn given<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.read(name)?.ok_or(Problem::NotFound)
    }

    /// Where the page before ended.
    pub fn position(&self, name: &str) -> Result<Option<(UtcMillis, u64)>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let parts = text.split_once(':').and_then(|(at, no)| Some((UtcMillis(at.parse().ok()?), no.parse().ok()?)));
        parts.map(Some).ok_or_else(|| Problem::invalid(name, "it has the wrong form"))
    }

    /// The body. What is wrong in it is said without repeating it: it may hold names of people.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // A list would pass for an object whose fields it holds in order.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::invalid("body", "expected an object, as the description says"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let said = error.to_string();
            let about_fields = ["unknown field", "missing field", "duplicate field"];
            let what = if about_fields.iter().any(|start| said.starts_with(start)) {
                said.split(" at line ").next().unwrap_or_default().to_owned()
            } else if error.is_data() {
                "a value has the wrong form; see the description of this call".to_owned()
            } else {
                "this is no JSON".to_owned()
            };
            Problem::invalid(format!("body, line {}, column {}", error.line(), error.column()), what)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Put there by the guard; a handler outside the table of routes would not have it.
        parts.extensions.get::<Self>().cloned().ok_or(Problem::NotFound)
    }
}

/// An answer in JSON.
pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Result<Response, Problem> {
    let text = serde_json::to_string(body).map_err(|error| {
        tracing::error!(error = %error, "api.answer.failed");
        Problem::Internal
    })?;
    let mut response = (status, text).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

/// An answer in JSON when all is well.
pub fn ok<T: Serialize>(body: &T) -> Result<Response, Problem> {
    json(StatusCode::OK, body)
}

/// As [`ok`], with the name of this state; `tag` is digits.
pub fn tagged<T: Serialize>(body: &T, tag: &str) -> Result<Response, Problem> {
    let mut response = ok(body)?;
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    Ok(response)
}
