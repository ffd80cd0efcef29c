//! The fixed files: style sheet, script, icon. Embedded; their address changes with their content, so browsers may
//! keep them for ever.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::fault::{Dressed, Fault};

const FILES: &[(&str, &str, &str)] = &[
    ("tapward.css", "text/css; charset=utf-8", include_str!("../../assets/tapward.css")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("../../assets/live.js")),
    ("desk.js", "text/javascript; charset=utf-8", include_str!("../../assets/desk.js")),
    ("reader.js", "text/javascript; charset=utf-8", include_str!("../../assets/reader.js")),
    ("local-keys.js", "text/javascript; charset=utf-8", include_str!("../../assets/local-keys.js")),
    ("vault.js", "text/javascript; charset=utf-8", include_str!("../../assets/vault.js")),
    ("cashier.js", "text/javascript; charset=utf-8", include_str!("../../assets/cashier.js")),
    ("people.js", "text/javascript; charset=utf-8", include_str!("../../assets/people.js")),
    ("openid.js", "text/javascript; charset=utf-8", include_str!("../../assets/openid.js")),
    ("icon.svg", "image/svg+xml; charset=utf-8", include_str!("../../assets/icon.svg")),
];

/// The address of a file, for example `/assets/tapward.css?v=1f3a…`.
pub fn path(name: &str) -> String {
    let version: String = digest(name).chars().take(12).collect();
    format!("/assets/{name}?v={version}")
}

/// SHA-256 of a file, in hexadecimal digits.
pub fn digest(name: &str) -> String {
    let text = FILES.iter().find(|(file, ..)| *file == name).map_or("", |(_, _, text)| text);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `GET /assets/{name}`
pub async fn show(Path(name): Path<String>) -> Result<Response, Fault> {
    let (_, kind, text) = FILES.iter().find(|(file, ..)| *file == name).ok_or(Fault::NotFound)?;
    let mut response = (StatusCode::OK, *text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response.extensions_mut().insert(Dressed);
    Ok(response)
}
