//! What the script of sealed people asks for, as JSON: boxes out, boxes in. Each answer is made by the vault, which
//! checks rights and records the look; nothing here can be opened here.

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clinic::audit::Purpose;
use clinic::vault::local::{
    Handed, LocalError, LocalPassport, LocalPhoto, LocalRefused, LocalState, Rewrapped, query_of,
};
use clinic::vault::{PhotoId, Size, VaultError};
use domain::vault::KeyId;
use domain::{Field, PersonId, UtcMillis};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::{Dressed, Fault};
use crate::visit::Visit;

/// Largest request, in bytes: a photograph in two sizes in base64, or a page of a key change.
pub const PAGE_MAX_BYTES: usize = 1024 * 1024;

type Answer = Result<Response, Fault>;

/// Boxes of somebody, as the script reads them.
#[derive(Serialize)]
struct Out {
    person: String,
    wrapped: Option<String>,
    parts: serde_json::Map<String, Value>,
    photo: Option<String>,
    changed: Option<i64>,
    restricted: bool,
    erased: bool,
}

impl From<Handed> for Out {
    fn from(handed: Handed) -> Self {
        let part = |(column, sealed): (&str, Vec<u8>)| (column.to_owned(), Value::String(STANDARD.encode(sealed)));
        Self {
            person: handed.person.to_string(),
            wrapped: handed.wrapped_key.map(|key| STANDARD.encode(key)),
            parts: handed.parts.into_iter().map(part).collect(),
            photo: handed.photo.map(|id| id.to_string()),
            changed: handed.changed_at.map(|at| at.0),
            restricted: handed.restricted,
            erased: handed.erased,
        }
    }
}

fn all_out(handed: Vec<Handed>) -> Vec<Out> {
    handed.into_iter().map(Out::from).collect()
}

/// Hashes of a search: all of them, or any of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    #[serde(default)]
    all: Vec<String>,
    #[serde(default)]
    any: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    queries: Vec<Words>,
    purpose: String,
}

/// `POST /sealed/search`
pub async fn search(visit: Visit, body: Bytes) -> Answer {
    /// Most people of one page.
    const PAGE: usize = 100;
    /// One for each key that a browser can hold while it is changed.
    const KEYS_MAX: usize = 2;
    let asked: Search = read(&body)?;
    let purpose = purpose(&asked.purpose)?;
    if asked.queries.len() > KEYS_MAX {
        return Err(Fault::Invalid);
    }
    let mut queries = Vec::new();
    for words in &asked.queries {
        let any = words.all.is_empty();
        let query = query_of(hashes(if any { &words.any } else { &words.all })?, any);
        queries.push(match query {
            Ok(query) => query,
            Err(refused) => return refuse(&visit, refused.into()),
        });
    }
    match visit.app.vault.local_search(&visit.acting()?, &queries, PAGE, purpose).await {
        Ok((people, more)) => answer(&json!({ "people": all_out(people), "more": more })),
        Err(error) => refuse(&visit, error.into()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cards {
    persons: Vec<String>,
    purpose: String,
}

/// `POST /sealed/cards`, `POST /sealed/live-cards`
pub async fn cards(visit: Visit, body: Bytes) -> Answer {
    let asked: Cards = read(&body)?;
    let persons: Result<Vec<PersonId>, Fault> = asked.persons.iter().map(|id| person(id)).collect();
    match visit.app.vault.local_cards(&visit.acting()?, &persons?, purpose(&asked.purpose)?).await {
        Ok(people) => answer(&json!({ "people": all_out(people) })),
        Err(error) => refuse(&visit, error.into()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reveal {
    person: String,
    purpose: String,
    #[serde(default)]
    note: Option<String>,
}

/// `POST /sealed/reveal`
pub async fn reveal(visit: Visit, body: Bytes) -> Answer {
    /// Longest reason, in characters.
    const NOTE_MAX: usize = 500;
    let asked: Reveal = read(&body)?;
    let note = asked.note.filter(|note| !note.trim().is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_MAX) {
        return Err(Fault::Invalid);
    }
    let (id, purpose) = (person(&asked.person)?, purpose(&asked.purpose)?);
    match visit.app.vault.local_reveal(&visit.acting()?, id, Field::ALL, purpose, note).await {
        Ok(handed) => answer(&Out::from(handed)),
        Err(error) => refuse(&visit, error.into()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    person: String,
    wrapped: String,
    parts: std::collections::BTreeMap<String, String>,
    tokens: Vec<String>,
    base: Option<i64>,
    purpose: String,
}

/// `POST /sealed/put`
pub async fn put(visit: Visit, body: Bytes) -> Answer {
    let asked: Put = read(&body)?;
    let (id, purpose) = (person(&asked.person)?, purpose(&asked.purpose)?);
    let parts: Result<Vec<(String, Vec<u8>)>, Fault> =
        asked.parts.into_iter().map(|(column, sealed)| Ok((column, bytes(&sealed)?))).collect();
    let passport = match LocalPassport::new(bytes(&asked.wrapped)?, parts?, hashes(&asked.tokens)?) {
        Ok(passport) => passport,
        Err(refused) => return refuse(&visit, refused.into()),
    };
    let base = asked.base.map(UtcMillis);
    match visit.app.vault.local_put(&visit.acting()?, id, passport, base, purpose).await {
        Ok(changed) => answer(&json!({ "changed": changed.0 })),
        Err(error) => refuse(&visit, error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskPhoto {
    photo: String,
    small: bool,
    purpose: String,
}

/// `POST /sealed/photo`, `POST /sealed/live-photo`: the box itself.
pub async fn photo(visit: Visit, body: Bytes) -> Answer {
    let asked: AskPhoto = read(&body)?;
    let size = if asked.small { Size::Small } else { Size::Full };
    let id: PhotoId = asked.photo.parse().map_err(|_| Fault::Invalid)?;
    match visit.app.vault.local_photo(&visit.acting()?, &id, size, purpose(&asked.purpose)?).await {
        Ok(sealed) => Ok(dressed(sealed.into_response(), "application/octet-stream")),
        Err(error) => refuse(&visit, error.into()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutPhoto {
    person: String,
    photo: String,
    full: String,
    small: String,
    consent: bool,
}

/// `POST /sealed/photo/put`
pub async fn put_photo(visit: Visit, body: Bytes) -> Answer {
    let asked: PutPhoto = read(&body)?;
    let id: PhotoId = asked.photo.parse().map_err(|_| Fault::Invalid)?;
    let photo = match LocalPhoto::new(id, bytes(&asked.full)?, bytes(&asked.small)?) {
        Ok(photo) => photo,
        Err(refused) => return refuse(&visit, refused.into()),
    };
    let consent = asked.consent.then(|| visit.app.now());
    match visit.app.vault.local_put_photo(&visit.acting()?, person(&asked.person)?, photo, consent).await {
        Ok(()) => answer(&json!({})),
        Err(error) => refuse(&visit, error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announce {
    key: String,
    after: Option<String>,
}

/// `POST /sealed/key`
pub async fn announce(visit: Visit, body: Bytes) -> Answer {
    let asked: Announce = read(&body)?;
    let key = |text: &str| text.parse::<KeyId>().map_err(|_| Fault::Invalid);
    let (id, after) = (key(&asked.key)?, asked.after.as_deref().map(key).transpose()?);
    state(&visit, visit.app.vault.local_announce(&visit.acting()?, id, after).await)
}

/// `POST /sealed/key/next`
pub async fn to_rewrap(visit: Visit) -> Answer {
    match visit.app.vault.local_to_rewrap(&visit.acting()?).await {
        Ok(page) => answer(&json!({ "people": all_out(page.people), "left": page.left })),
        Err(error) => refuse(&visit, error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Anew {
    person: String,
    before: String,
    after: String,
    tokens: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewrap {
    people: Vec<Anew>,
}

/// `POST /sealed/key/wrapped`
pub async fn rewrap(visit: Visit, body: Bytes) -> Answer {
    let asked: Rewrap = read(&body)?;
    let mut people = Vec::with_capacity(asked.people.len());
    for one in asked.people {
        let (before, after) = (bytes(&one.before)?, bytes(&one.after)?);
        match Rewrapped::new(person(&one.person)?, before, after, hashes(&one.tokens)?) {
            Ok(anew) => people.push(anew),
            Err(refused) => return refuse(&visit, refused.into()),
        }
    }
    state(&visit, visit.app.vault.local_rewrap(&visit.acting()?, people).await)
}

fn state(visit: &Visit, state: Result<LocalState, LocalError>) -> Answer {
    match state {
        Ok(state) => answer(&json!({
            "current": state.current.map(|(id, _)| id.to_string()),
            "former": state.former.map(|id| id.to_string()),
            "sealed": state.sealed,
            "left": state.left,
        })),
        Err(error) => refuse(visit, error),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Invalid)
}

fn person(id: &str) -> Result<PersonId, Fault> {
    id.parse().map_err(|_| Fault::Invalid)
}

fn purpose(code: &str) -> Result<Purpose, Fault> {
    Purpose::parse(code).ok_or(Fault::Invalid)
}

fn bytes(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text).map_err(|_| Fault::Invalid)
}

/// Hashes of 16 hexadecimal digits each.
fn hashes(texts: &[String]) -> Result<Vec<i64>, Fault> {
    let hash = |text: &String| {
        let is_hash = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hash);
        number.map(u64::cast_signed).ok_or(Fault::Invalid)
    };
    texts.iter().map(hash).collect()
}

fn answer(value: &impl Serialize) -> Answer {
    let text = serde_json::to_string(value).map_err(|_| Fault::Unavailable)?;
    Ok(dressed(text.into_response(), "application/json; charset=utf-8"))
}

fn dressed(mut response: Response, kind: &'static str) -> Response {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.extensions_mut().insert(Dressed);
    response
}

/// What the vault refused, with words for the page.
fn refuse(visit: &Visit, error: LocalError) -> Answer {
    let (status, code) = match &error {
        LocalError::Refused(refused) => match refused {
            LocalRefused::Form(_) => (StatusCode::UNPROCESSABLE_ENTITY, "form"),
            LocalRefused::NoKey => (StatusCode::CONFLICT, "none-announced"),
            LocalRefused::OtherKey(..) => (StatusCode::CONFLICT, "key-of-others"),
            LocalRefused::Changed => (StatusCode::CONFLICT, "changed-meanwhile"),
            LocalRefused::NotAfter(_) => (StatusCode::CONFLICT, "not-after"),
            LocalRefused::AlreadyChanging => (StatusCode::CONFLICT, "already-changing"),
        },
        LocalError::Vault(VaultError::TooMany) => (StatusCode::UNPROCESSABLE_ENTITY, "too-many"),
        LocalError::Vault(VaultError::NoConsent) => (StatusCode::UNPROCESSABLE_ENTITY, "no-consent"),
        LocalError::Vault(VaultError::Erased(_)) => (StatusCode::GONE, "erased"),
        LocalError::Vault(VaultError::NothingToShow) => (StatusCode::FORBIDDEN, "nothing-to-show"),
        LocalError::Vault(VaultError::Unknown) => return Err(Fault::NotFound),
        LocalError::Vault(VaultError::Denied(denied)) => return Err((*denied).into()),
        LocalError::Vault(other) => {
            tracing::error!(error = %other, "sealed.failed");
            return Err(Fault::Unavailable);
        }
    };
    let mut response = answer(&json!({ "text": visit.texts().code("sealed-refused-", code) }))?;
    *response.status_mut() = status;
    Ok(response)
}
