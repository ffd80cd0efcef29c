//! The log taken away: CSV for people, lines of JSON for the verifier, FHIR for other systems, the proof of one entry.
//! Written block by block while it is sent, so that a log of any length needs the memory of one block.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clinic::audit::{self, Export, Note, Recorded, fhir};
use domain::SiteId;
use futures_util::stream;

use super::filter_of;
use crate::csv::Csv;
use crate::fault::{Dressed, Fault};
use crate::pages::query::Query;
use crate::times::Times;
use crate::visit::Visit;

/// The columns of the CSV file; stable names, for programs.
const COLUMNS: [&str; 17] = [
    "no",
    "at",
    "local_time",
    "actor_kind",
    "actor",
    "session",
    "address",
    "action",
    "outcome",
    "subject",
    "object",
    "fields",
    "purpose",
    "detail",
    "note",
    "glass",
    "leaf",
];

/// As what the log is taken away.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    Lines,
    Events,
    Bundle,
}

/// `GET /audit.csv`
pub async fn csv(visit: Visit, query: Query) -> Result<Response, Fault> {
    taken(visit, query, Form::Csv).await
}

/// `GET /audit.jsonl`: for the verifier.
pub async fn lines(visit: Visit, query: Query) -> Result<Response, Fault> {
    taken(visit, query, Form::Lines).await
}

/// `GET /audit.fhir.ndjson`: FHIR AuditEvents, one a line.
pub async fn events(visit: Visit, query: Query) -> Result<Response, Fault> {
    taken(visit, query, Form::Events).await
}

/// `GET /audit.fhir.json`: one FHIR Bundle.
pub async fn bundle(visit: Visit, query: Query) -> Result<Response, Fault> {
    taken(visit, query, Form::Bundle).await
}

/// `GET /audit/proof`
pub async fn proof(visit: Visit, query: Query) -> Result<Response, Fault> {
    let no: u64 = query.one("no").and_then(|text| text.parse().ok()).ok_or(Fault::NotFound)?;
    let proof = audit::proof(&visit.app.database, &visit.acting()?, visit.app.now(), no).await?;
    let proof = proof.ok_or(Fault::NotFound)?;
    Ok(download(Body::from(proof.to_json()), "application/json", &format!("audit-proof-{no}.json")))
}

/// Where a running export is.
enum Step {
    Begin(Box<Running>),
    Go(Box<Running>),
    Over,
}

struct Running {
    export: Export,
    form: Form,
    site: SiteId,
    times: Times,
    is_first: bool,
}

async fn taken(visit: Visit, query: Query, form: Form) -> Result<Response, Fault> {
    let filter = filter_of(&visit, &query).await?.map_err(|_| Fault::Invalid)?;
    let (path, kind, name) = match form {
        Form::Csv => ("/audit.csv", "text/csv; charset=utf-8", "audit.csv"),
        Form::Lines => ("/audit.jsonl", "application/x-ndjson; charset=utf-8", "audit.jsonl"),
        Form::Events => ("/audit.fhir.ndjson", "application/fhir+ndjson; charset=utf-8", "audit-events.ndjson"),
        Form::Bundle => ("/audit.fhir.json", "application/fhir+json; charset=utf-8", "audit-events.json"),
    };
    let export = audit::export(&visit.app.database, &visit.acting()?, visit.app.now(), filter, path).await?;
    let running = Running { export, form, site: visit.app.settings.site.clone(), times: visit.times(), is_first: true };
    let blocks =
        stream::unfold(Step::Begin(Box::new(running)), |step| -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(next(step))
        });
    Ok(download(Body::from_stream(blocks), kind, name))
}

/// The next piece of the file; an error cuts the answer off, so that half a file is not taken for a whole one.
async fn next(step: Step) -> Option<(Result<Bytes, store::Error>, Step)> {
    match step {
        Step::Over => None,
        Step::Begin(running) => {
            let head = match running.form {
                Form::Csv => Csv::new(&COLUMNS).into_text(),
                Form::Lines => running.export.first_line(&running.site) + "\n",
                Form::Events => String::new(),
                Form::Bundle => fhir::BUNDLE_BEGIN.to_owned(),
            };
            Some((Ok(Bytes::from(head)), Step::Go(running)))
        }
        Step::Go(mut running) => match running.block().await {
            Ok((text, false)) => Some((Ok(Bytes::from(text)), Step::Go(running))),
            Ok((text, true)) => Some((Ok(Bytes::from(text)), Step::Over)),
            Err(error) => {
                tracing::error!(%error, "page.audit.export.failed");
                Some((Err(error), Step::Over))
            }
        },
    }
}

impl Running {
    /// The text of one block, and whether it was the last.
    async fn block(&mut self) -> Result<(String, bool), store::Error> {
        let block = self.export.next().await?;
        if block.is_empty() {
            let end = match self.form {
                Form::Csv | Form::Events => String::new(),
                Form::Lines => self.export.last_line().await? + "\n",
                Form::Bundle => fhir::BUNDLE_END.to_owned(),
            };
            return Ok((end, true));
        }
        let mut text = String::new();
        let mut csv = Csv::default();
        for recorded in &block {
            match self.form {
                Form::Csv => csv.row(&self.cells(recorded)),
                Form::Lines => text.push_str(&(audit::line(recorded) + "\n")),
                Form::Events => text.push_str(&(fhir::event(recorded, &self.site).to_string() + "\n")),
                Form::Bundle => {
                    if !self.is_first {
                        text.push_str(fhir::BUNDLE_BETWEEN);
                    }
                    text.push_str(&fhir::bundle_entry(recorded, &self.site));
                }
            }
            self.is_first = false;
        }
        Ok((text + &csv.into_text(), false))
    }

    fn cells(&self, recorded: &Recorded) -> [String; 17] {
        let entry = &recorded.entry;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let note = match &recorded.note {
            Note::Kept { text, .. } => text.clone(),
            Note::None | Note::Blotted => String::new(),
        };
        [
            entry.no.to_string(),
            entry.at.to_rfc3339(),
            self.times.exact(entry.at),
            entry.actor_kind.clone(),
            text(&entry.actor),
            text(&entry.session),
            text(&entry.address),
            entry.action.clone(),
            entry.outcome.clone(),
            text(&entry.subject),
            text(&entry.object),
            text(&entry.fields),
            text(&entry.purpose),
            text(&entry.detail),
            note,
            text(&entry.glass),
            recorded.leaf.to_string(),
        ]
    }
}

/// As a download; the name is ours, never the visitor's.
fn download(body: Body, kind: &'static str, name: &str) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response.extensions_mut().insert(Dressed);
    response
}
