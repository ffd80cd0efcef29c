//! Reading and writing resources: client-assigned ids where the server takes them, `If-Match` on every change, and a
//! search by identifier where it does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use domain::{Clock, UtcMillis};
use hyper::header::{ACCEPT, ETAG, HeaderName, IF_MATCH, LOCATION};
use hyper::{Method, StatusCode};
use serde_json::Value;
use thiserror::Error;
use url::Url;

use super::auth::{Auth, Doorman, REFUSED_WAIT};
use super::{charge, fault};
use crate::delivery::{Delivered, FaultCode};
use crate::http::{self, Answer, Client, Request};

/// FHIR in JSON.
const FHIR_JSON: &str = "application/fhir+json";
/// For how long what the server says of itself is believed, in milliseconds: an hour.
const PROBE_LIFE_MS: i64 = 3_600_000;
/// For how long its silence about itself is, in milliseconds: a minute.
const PROBE_AGAIN_MS: i64 = 60_000;

/// What came of something; the error is how the delivery ends.
pub(super) type Told<T> = Result<T, Delivered>;

/// An address that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the address of a FHIR server begins with https:// (http:// on this machine itself, or where it is allowed) and has no ? or #"
)]
pub struct NotOfTheWeb;

/// A resource as it is there now.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) body: Value,
    version: Option<String>,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    Done,
    /// Somebody else wrote in between: read again.
    Conflict,
}

/// The kinds of resources that a server takes, and whether under ids of others.
type Kinds = Arc<BTreeMap<String, bool>>;

pub(super) struct Server {
    client: Client,
    base: Url,
    doorman: Doorman,
    clock: Clock,
    /// What the server says of itself, and until when that is believed.
    known: Mutex<Option<(Kinds, UtcMillis)>>,
}

impl Server {
    pub(super) fn new(client: Client, base: &Url, auth: Auth, clock: Clock, plain: bool) -> Result<Self, NotOfTheWeb> {
        let may = http::may_ask(base, plain).unwrap_or(false);
        if !may || base.cannot_be_a_base() || base.query().is_some() || base.fragment().is_some() {
            return Err(NotOfTheWeb);
        }
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Ok(Self { client, base, doorman: Doorman::new(auth, clock.clone()), clock, known: Mutex::new(None) })
    }

    fn url(&self, parts: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Asks, with authentication; a token that is refused is renewed once.
    async fn ask(&self, request: Request) -> Told<Answer> {
        let mut renewed = false;
        loop {
            let header = self.doorman.header(&self.client).await?;
            let mut asked = request.clone();
            if let Some(header) = &header {
                asked = asked.authorization(header).map_err(fault::of_http)?;
            }
            let answer = self.client.send(asked).await.map_err(fault::of_http)?;
            if answer.status != StatusCode::UNAUTHORIZED.as_u16() {
                return Ok(answer);
            }
            let again = match &header {
                Some(header) => self.doorman.refused(header).await,
                None => false,
            };
            if renewed || !again {
                let refused = clinic::outbox::Fault::new(FaultCode::Unauthorised, &fault::detail(&answer));
                return Err(Delivered::Away(refused, Some(REFUSED_WAIT)));
            }
            renewed = true;
        }
    }

    fn request(&self, method: Method, url: Url) -> Told<Request> {
        let mut random = [0_u8; 16];
        // Only to find a request in the server's log.
        let _ = getrandom::fill(&mut random);
        let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        Request::new(method, url)
            .text_header(ACCEPT, FHIR_JSON)
            .and_then(|request| request.text_header(HeaderName::from_static("x-request-id"), &id))
            .map_err(fault::of_http)
    }

    fn write_request(&self, method: Method, url: Url, body: &Value) -> Told<Request> {
        self.request(method, url)?
            .body(FHIR_JSON, body.to_string())
            .text_header(HeaderName::from_static("prefer"), "return=minimal")
            .map_err(fault::of_http)
    }

    /// A search or operation, with its answer as JSON.
    pub(super) async fn get(&self, parts: &[&str], query: &[(&str, &str)]) -> Told<Option<Value>> {
        let answer = self.ask(self.request(Method::GET, self.url(parts, query))?).await?;
        match answer.status {
            404 => Ok(None),
            _ if answer.is_success() => Ok(Some(json(&answer)?)),
            _ => Err(fault::of_answer(&answer, self.clock.now())),
        }
    }

    /// A page behind a link of an earlier answer; `None` if it leads to another server or above our base.
    pub(super) async fn follow(&self, link: &str) -> Option<Told<Option<Value>>> {
        // Links may be relative.
        let url = self.base.join(link).ok()?;
        let is_ours = url.origin() == self.base.origin()
            && url.path().starts_with(self.base.path().trim_end_matches('/'))
            && url.username().is_empty()
            && url.password().is_none();
        if !is_ours {
            return None;
        }
        let asked = match self.request(Method::GET, url) {
            Ok(request) => self.ask(request).await,
            Err(fault) => Err(fault),
        };
        Some(match asked {
            Ok(answer) if answer.status == 404 => Ok(None),
            Ok(answer) if answer.is_success() => json(&answer).map(Some),
            Ok(answer) => Err(fault::of_answer(&answer, self.clock.now())),
            Err(fault) => Err(fault),
        })
    }

    /// A resource by its id; `None` if it was never there. One that was deleted there ends the delivery.
    pub(super) async fn read(&self, kind: &str, id: &str) -> Told<Option<Found>> {
        let answer = self.ask(self.request(Method::GET, self.url(&[kind, id], &[]))?).await?;
        match answer.status {
            404 => Ok(None),
            200 => {
                let body = resource(&answer, kind)?;
                if body["id"].as_str() != Some(id) {
                    return Err(Delivered::retry(FaultCode::WrongAnswer, kind));
                }
                let etag = answer.header(&ETAG).filter(|tag| !tag.is_empty()).map(str::to_owned);
                let version = etag.or_else(|| version_of(&body));
                Ok(Some(Found { id: id.to_owned(), body, version }))
            }
            _ => Err(fault::of_answer(&answer, self.clock.now())),
        }
    }

    /// A resource of ours: by its id where the server takes ids of ours, or else by its identifier.
    pub(super) async fn read_own(&self, kind: &str, id: &str, system: &str) -> Told<Option<Found>> {
        if self.takes_ids(kind).await? {
            return self.read(kind, id).await;
        }
        let bundle = self.get(&[kind], &[("identifier", &format!("{system}|{id}"))]).await?;
        let found = resources_of(bundle.as_ref(), kind);
        match found.as_slice() {
            [] => Ok(None),
            [body] => {
                let id = body["id"].as_str().ok_or_else(|| Delivered::retry(FaultCode::BadAnswer, "id"))?.to_owned();
                Ok(Some(Found { id, version: version_of(body), body: (*body).clone() }))
            }
            _ => Err(Delivered::dead(FaultCode::Conflict, "several")),
        }
    }

    /// Makes a resource of ours that is not there.
    pub(super) async fn create(&self, kind: &str, id: &str, system: &str, body: Value) -> Told<Wrote> {
        let request = if self.takes_ids(kind).await? {
            self.write_request(Method::PUT, self.url(&[kind, id], &[]), &body)?
        } else {
            let mut body = body;
            if let Some(members) = body.as_object_mut() {
                members.remove("id");
            }
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            let query = query.append_pair("identifier", &format!("{system}|{id}")).finish();
            self.write_request(Method::POST, self.url(&[kind], &[]), &body)?
                .text_header(HeaderName::from_static("if-none-exist"), &query)
                .map_err(fault::of_http)?
        };
        self.wrote(self.ask(request).await?)
    }

    /// Changes a resource as it was read: a change in between is a conflict.
    pub(super) async fn update(&self, kind: &str, found: &Found, body: Value) -> Told<Wrote> {
        let mut request = self.write_request(Method::PUT, self.url(&[kind, &found.id], &[]), &body)?;
        if let Some(version) = &found.version {
            request = request.text_header(IF_MATCH, version).map_err(fault::of_http)?;
        }
        self.wrote(self.ask(request).await?)
    }

    /// Writes a resource that never changes; one that is there already is well.
    pub(super) async fn write_once(&self, kind: &str, id: &str, body: Value) -> Told<()> {
        if self.takes_ids(kind).await? {
            if self.read(kind, id).await?.is_some() {
                return Ok(());
            }
            let request = self.write_request(Method::PUT, self.url(&[kind, id], &[]), &body)?;
            return self.wrote(self.ask(request).await?).map(|_| ());
        }
        let mut body = body;
        if let Some(members) = body.as_object_mut() {
            members.remove("id");
        }
        // Nothing can be searched for in an AuditEvent of ours but its entity: a repetition may write it twice.
        let request = self.write_request(Method::POST, self.url(&[kind], &[]), &body)?;
        self.wrote(self.ask(request).await?).map(|_| ())
    }

    fn wrote(&self, answer: Answer) -> Told<Wrote> {
        match answer.status {
            200 | 201 | 204 => {
                // A sign-in page, or the page of a proxy, is no success.
                let kind = answer.media_type();
                let is_other = !answer.body.is_empty() && !kind.is_empty() && !kind.contains("json");
                if is_other && answer.header(&LOCATION).is_none() {
                    return Err(Delivered::retry(FaultCode::BadAnswer, "media type"));
                }
                Ok(Wrote::Done)
            }
            409 | 412 => Ok(Wrote::Conflict),
            _ => Err(fault::of_answer(&answer, self.clock.now())),
        }
    }

    /// Whether a PUT to an id of ours makes a resource. What the server does not say of itself is taken for yes.
    pub(super) async fn takes_ids(&self, kind: &str) -> Told<bool> {
        Ok(self.kinds().await?.get(kind).copied().unwrap_or(true))
    }

    /// Whether the server takes resources of a kind. One that says nothing of itself does.
    pub(super) async fn takes(&self, kind: &str) -> Told<bool> {
        let kinds = self.kinds().await?;
        Ok(kinds.is_empty() || kinds.contains_key(kind))
    }

    async fn kinds(&self) -> Told<Kinds> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some((kinds, until)) = known
            && until > now
        {
            return Ok(kinds);
        }
        let answer = self.ask(self.request(Method::GET, self.url(&["metadata"], &[]))?).await?;
        let (kinds, life) = match (answer.is_success(), serde_json::from_slice::<Value>(&answer.body)) {
            (true, Ok(statement)) => (charge::kinds(&statement), PROBE_LIFE_MS),
            _ if answer.status >= 500 || answer.status == 429 => return Err(fault::of_answer(&answer, now)),
            _ => (BTreeMap::new(), PROBE_AGAIN_MS),
        };
        let kinds = Arc::new(kinds);
        let kept = Some((Arc::clone(&kinds), now.plus_ms(life)));
        *self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = kept;
        Ok(kinds)
    }
}

fn json(answer: &Answer) -> Told<Value> {
    serde_json::from_slice(&answer.body).map_err(|_| Delivered::retry(FaultCode::BadAnswer, "json"))
}

fn resource(answer: &Answer, kind: &str) -> Told<Value> {
    let body = json(answer)?;
    match body["resourceType"] == kind {
        true => Ok(body),
        false => Err(Delivered::retry(FaultCode::BadAnswer, "resourceType")),
    }
}

fn version_of(body: &Value) -> Option<String> {
    body["meta"]["versionId"].as_str().map(|version| format!("W/\"{version}\""))
}

/// The resources of a kind in a Bundle of search results.
pub(super) fn resources_of<'a>(bundle: Option<&'a Value>, kind: &str) -> Vec<&'a Value> {
    let entries = bundle.and_then(|bundle| bundle["entry"].as_array());
    let resources = entries.into_iter().flatten().map(|entry| &entry["resource"]);
    resources.filter(|resource| resource["resourceType"] == kind).collect()
}
