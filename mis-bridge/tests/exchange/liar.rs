//! A FHIR server in memory that can be told to lie: to answer late, wrongly, half, or not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn is(&self, method: &Method, begin: &str) -> bool {
        self.method == *method && self.path.starts_with(begin)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What it does instead of answering properly.
#[derive(Debug, Clone)]
pub enum Trick {
    /// This answer, and nothing is done.
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    /// It is done, but the connection breaks before the answer.
    DoneThenGone,
    /// The connection breaks, and nothing is done.
    Gone,
    /// It is done, and the answer is half a JSON.
    HalfJson,
    /// The answer comes too late; it is done.
    Late(Duration),
    /// Somebody else changes the resource before it is written.
    Overtaken(Value),
}

type Matcher = fn(&Asked) -> bool;
type Hook = Arc<dyn Fn(usize, bool) + Send + Sync>;

#[derive(Default)]
pub struct Inside {
    /// All versions of each resource; an empty list: deleted.
    pub resources: BTreeMap<(String, String), Vec<Value>>,
    pub asked: Vec<Asked>,
    pub tricks: Vec<(Option<Matcher>, Trick)>,
    /// It does not make resources under ids of others.
    pub refuses_ids: bool,
    /// The token that it wants; `None`: none.
    pub token: Option<String>,
    pub tokens_given: usize,
    /// What happens before and after each request.
    pub hook: Option<Hook>,
}

impl Inside {
    pub fn latest(&self, kind: &str, id: &str) -> Option<&Value> {
        self.resources.get(&(kind.to_owned(), id.to_owned()))?.last()
    }

    pub fn put(&mut self, mut resource: Value) -> usize {
        let (kind, id) =
            (resource["resourceType"].as_str().unwrap().to_owned(), resource["id"].as_str().unwrap().to_owned());
        let versions = self.resources.entry((kind, id)).or_default();
        let version = versions.len() + 1;
        resource["meta"]["versionId"] = version.to_string().into();
        versions.push(resource);
        version
    }

    pub fn all(&self, kind: &str) -> Vec<&Value> {
        self.resources.iter().filter(|((own, _), _)| own == kind).filter_map(|(_, versions)| versions.last()).collect()
    }

    pub fn count(&self, method: &Method, begin: &str) -> usize {
        self.asked.iter().filter(|asked| asked.is(method, begin)).count()
    }
}

#[derive(Clone)]
pub struct Liar {
    inside: Arc<Mutex<Inside>>,
    pub base: Url,
}

impl Liar {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/fhir", listener.local_addr().unwrap()).parse().unwrap();
        let liar = Self { inside: Arc::default(), base };
        let app = Router::new().fallback(answer).with_state(liar.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        liar
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// The next request that fits does this.
    pub fn when(&self, fits: Matcher, trick: Trick) {
        self.inside().tricks.push((Some(fits), trick));
    }
}

async fn answer(State(liar): State<Liar>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 10_000_000).await.unwrap();
    let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let path = head.uri.path().trim_start_matches("/fhir/").to_owned();
    let query = query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let asked = Asked { method: head.method, path, query, headers: head.headers, body: body.to_vec() };
    let (nth, hook, trick) = {
        let mut inside = liar.inside();
        inside.asked.push(asked.clone());
        let fits = |(matcher, _): &(Option<Matcher>, Trick)| matcher.is_none_or(|fits| fits(&asked));
        let place = inside.tricks.iter().position(fits);
        let trick = place.map(|place| inside.tricks.remove(place).1);
        (inside.asked.len(), inside.hook.clone(), trick)
    };
    if let Some(hook) = &hook {
        hook(nth, true);
    }
    let whole = match trick {
        None => serve(&liar, &asked),
        Some(Trick::Answer(status, headers, text)) => {
            let mut answer = Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            answer.body(Body::from(text)).unwrap()
        }
        Some(Trick::Gone) => std::panic::resume_unwind(Box::new(())),
        Some(Trick::DoneThenGone) => {
            serve(&liar, &asked);
            std::panic::resume_unwind(Box::new(()))
        }
        Some(Trick::HalfJson) => {
            serve(&liar, &asked);
            json_answer(200, &[], "{\"resourceType\":\"Enc")
        }
        Some(Trick::Late(after)) => {
            let answer = serve(&liar, &asked);
            tokio::time::sleep(after).await;
            answer
        }
        Some(Trick::Overtaken(with)) => {
            liar.inside().put(with);
            serve(&liar, &asked)
        }
    };
    if let Some(hook) = &hook {
        hook(nth, false);
    }
    whole
}

fn json_answer(status: u16, headers: &[(&str, &str)], text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::builder().status(status).header("content-type", "application/fhir+json; charset=utf-8");
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Body::from(text.into())).unwrap()
}

fn outcome(status: u16, code: &str) -> Response<Body> {
    let issue = json!({ "severity": "error", "code": code, "diagnostics": "Anna Ivanova is wrong", "expression": ["Encounter.subject"] });
    json_answer(status, &[], json!({ "resourceType": "OperationOutcome", "issue": [issue] }).to_string())
}

fn bundle(found: &[&Value]) -> Response<Body> {
    let entry: Vec<Value> = found.iter().map(|resource| json!({ "resource": resource })).collect();
    json_answer(200, &[], json!({ "resourceType": "Bundle", "type": "searchset", "entry": entry }).to_string())
}

fn with_identifier<'a>(inside: &'a Inside, kind: &str, wanted: &str) -> Vec<&'a Value> {
    let (system, value) = wanted.split_once('|').unwrap();
    let has = |resource: &&Value| {
        let identifiers = resource["identifier"].as_array().cloned().unwrap_or_default();
        identifiers.iter().any(|own| own["system"] == system && own["value"] == value)
    };
    inside.all(kind).into_iter().filter(has).collect()
}

/// What a good server does.
fn serve(liar: &Liar, asked: &Asked) -> Response<Body> {
    let mut inside = liar.inside();
    let parts: Vec<&str> = asked.path.split('/').collect();
    if asked.path == "token" {
        inside.tokens_given += 1;
        let token = format!("t-{}", inside.tokens_given);
        inside.token = Some(token.clone());
        let text =
            json!({ "access_token": token, "token_type": "bearer", "expires_in": 300, "scope": "system/*.cruds" });
        return json_answer(200, &[], text.to_string());
    }
    if inside.token.as_ref().is_some_and(|token| asked.header("authorization") != format!("Bearer {token}")) {
        return outcome(401, "login");
    }
    match (&asked.method, parts.as_slice()) {
        (&Method::GET, ["metadata"]) => {
            let one = |kind| json!({ "type": kind, "updateCreate": !inside.refuses_ids });
            let all = [one("Encounter"), one("ChargeItem")];
            let text =
                json!({ "resourceType": "CapabilityStatement", "rest": [{ "mode": "server", "resource": all }] });
            json_answer(200, &[], text.to_string())
        }
        (&Method::GET, ["Patient", "$ihe-pix"]) => {
            let found = with_identifier(&inside, "Patient", &asked.query["sourceIdentifier"]);
            let targets: Vec<Value> = found
                .iter()
                .map(|patient| json!({ "name": "targetId", "valueReference": { "reference": format!("Patient/{}", patient["id"].as_str().unwrap()) } }))
                .collect();
            json_answer(200, &[], json!({ "resourceType": "Parameters", "parameter": targets }).to_string())
        }
        (&Method::GET, [kind, id]) => match inside.resources.get(&((*kind).to_owned(), (*id).to_owned())) {
            Some(versions) if versions.is_empty() => outcome(410, "deleted"),
            Some(versions) => {
                let tag = format!("W/\"{}\"", versions.len());
                json_answer(200, &[("etag", &tag)], versions.last().unwrap().to_string())
            }
            // Everybody of the world is a patient here.
            None if *kind == "Patient" && id.starts_with("P-") => {
                json_answer(200, &[], json!({ "resourceType": "Patient", "id": id, "active": true }).to_string())
            }
            None => outcome(404, "not-found"),
        },
        (&Method::GET, [kind]) => match asked.query.get("identifier") {
            Some(wanted) => bundle(&with_identifier(&inside, kind, wanted)),
            None => bundle(&inside.all(kind)),
        },
        (&Method::PUT, [kind, id]) => {
            let resource: Value = serde_json::from_slice(&asked.body).unwrap();
            let key = ((*kind).to_owned(), (*id).to_owned());
            let version = inside.resources.get(&key).map(Vec::len);
            let wanted = asked.header("if-match");
            match version {
                None if inside.refuses_ids => outcome(405, "not-supported"),
                Some(version) if !wanted.is_empty() && wanted != format!("W/\"{version}\"") => outcome(412, "conflict"),
                _ => {
                    inside.put(resource);
                    json_answer(if version.is_some() { 200 } else { 201 }, &[], "")
                }
            }
        }
        (&Method::POST, [kind]) => {
            let mut resource: Value = serde_json::from_slice(&asked.body).unwrap();
            let condition = asked.header("if-none-exist");
            let wanted = url::form_urlencoded::parse(condition.as_bytes()).find(|(name, _)| name == "identifier");
            if let Some((_, wanted)) = wanted
                && !with_identifier(&inside, kind, &wanted).is_empty()
            {
                return json_answer(200, &[], "");
            }
            let id = format!("server-{}", inside.resources.len() + 1);
            resource["id"] = id.into();
            inside.put(resource);
            json_answer(201, &[], "")
        }
        _ => outcome(StatusCode::NOT_FOUND.as_u16(), "not-supported"),
    }
}
