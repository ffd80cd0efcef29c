//! The auditor's page: search in the audit log, one entry with its whole story and its proof, how the log itself is
//! doing. Each look is an entry of the log.

mod entry;
mod export;
mod state;

use std::collections::HashMap;

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::{AccountId, Login};
use clinic::acting::Actor;
use clinic::audit::{self, Action, Filter, Outcome, Page as Found, Position, Purpose, Recorded};
use domain::audit::Entry;
use domain::{PersonId, UtcMillis};

use self::entry::Whole;
pub use self::export::{bundle, csv, events, lines, proof};
use self::state::State;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Entries on a page.
const PAGE: u32 = 50;
const MINUTE_MS: i64 = 60_000;
/// Characters of a pseudonym that a table shows.
const SHORT: usize = 8;
/// Longest text of a field that is looked at, in characters.
const TYPED_MAX: usize = 200;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    state: State,
    lines: Vec<Line>,
    typed: Typed,
    problem: Option<String>,
    actions: Vec<(&'static str, String)>,
    outcomes: Vec<(&'static str, String)>,
    purposes: Vec<(&'static str, String)>,
    next: Option<String>,
    is_first: bool,
    first: String,
    exports: Vec<(String, String)>,
    open: Option<Whole>,
    close: String,
    is_filtered: bool,
    done: Option<String>,
    zone: &'static str,
}

/// What was typed into the filter, to be shown again.
struct Typed {
    from: String,
    until: String,
    who: String,
    action: String,
    outcome: String,
    purpose: String,
    subject: String,
    /// What came by a link of an entry: session, object or glass, with its name.
    more: Vec<(&'static str, String, String)>,
}

struct Line {
    link: String,
    is_open: bool,
    day: String,
    clock: String,
    who: String,
    what: String,
    tone: &'static str,
    outcome: Option<String>,
    about: String,
    why: String,
    no: u64,
}

/// The colour of an entry: quiet, unless somebody should look at it.
fn tone(entry: &Entry) -> &'static str {
    match (Outcome::parse(&entry.outcome), Action::parse(&entry.action)) {
        (_, Some(Action::LogRolledBack)) => "bad",
        (Some(Outcome::Refused | Outcome::Failed) | None, _) => "warn",
        (_, Some(Action::GlassBroken)) => "warn",
        _ if entry.glass.is_some() => "warn",
        _ => "idle",
    }
}

/// A code in words; a later version's code as it is.
fn word(texts: &Texts, prefix: &str, code: &str) -> String {
    texts.code_if_any(prefix, code).unwrap_or_else(|| code.replace('_', " "))
}

/// Names of accounts, looked up once a page.
struct Names<'a> {
    visit: &'a Visit,
    known: HashMap<String, String>,
}

impl<'a> Names<'a> {
    fn new(visit: &'a Visit) -> Self {
        Self { visit, known: HashMap::new() }
    }

    /// Who did it, as people call them.
    async fn actor(&mut self, entry: &Entry) -> Result<String, Fault> {
        let texts = self.visit.texts();
        match (entry.actor_kind.as_str(), &entry.actor) {
            ("account", Some(id)) => self.account(id).await,
            (kind, Some(id)) => Ok(format!("{} {}", word(&texts, "actor-", kind), short(id))),
            (kind, None) => Ok(word(&texts, "actor-", kind)),
        }
    }

    async fn account(&mut self, id: &str) -> Result<String, Fault> {
        if let Some(name) = self.known.get(id) {
            return Ok(name.clone());
        }
        let name = match AccountId::parse(id) {
            Some(account) => self.visit.app.accounts.shown_name(&account).await?,
            None => None,
        };
        let name = name.unwrap_or_else(|| format!("{} {}", self.visit.texts().t("actor-account"), short(id)));
        self.known.insert(id.to_owned(), name.clone());
        Ok(name)
    }

    /// What it is about, in the table: the person's pseudonym, or the object in words where we know them.
    async fn about(&mut self, entry: &Entry) -> Result<String, Fault> {
        match (&entry.subject, &entry.object) {
            (Some(person), _) => Ok(format!("{} {}", self.visit.texts().t("audit-person"), short(person))),
            (None, Some(object)) => self.object(entry, object).await,
            (None, None) => Ok(String::new()),
        }
    }

    async fn object(&mut self, entry: &Entry, object: &str) -> Result<String, Fault> {
        if AccountId::parse(object).is_some() {
            return self.account(object).await;
        }
        Ok(match Action::parse(&entry.action) {
            Some(Action::Refused) => word(&self.visit.texts(), "permission-", object),
            _ => object.to_owned(),
        })
    }
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// Reads the filter; what cannot be understood is said, not ignored.
async fn filter_of(visit: &Visit, query: &Query) -> Result<Result<Filter, &'static str>, Fault> {
    let times = visit.times();
    let mut filter = Filter::default();
    for (key, end) in [("from", &mut filter.from), ("until", &mut filter.until)] {
        if let Some(text) = query.one(key) {
            match times.read_field(text) {
                Some(at) => *end = Some(at),
                None => return Ok(Err("journal-bad-time")),
            }
        }
    }
    // A minute typed as the end is included.
    filter.until = filter.until.map(|until| until.plus_ms(MINUTE_MS));
    if let Some(text) = query.one("who") {
        match who(visit, text).await? {
            Some(actor) => filter.actor = Some(actor),
            None => return Ok(Err("audit-bad-who")),
        }
    }
    for text in query.all("action").filter(|text| !text.is_empty()) {
        match Action::parse(text) {
            Some(action) => filter.actions.push(action),
            None => return Ok(Err("audit-bad-code")),
        }
    }
    if let Some(text) = query.one("outcome") {
        filter.outcome = Some(match Outcome::parse(text) {
            Some(outcome) => outcome,
            None => return Ok(Err("audit-bad-code")),
        });
    }
    if let Some(text) = query.one("purpose") {
        filter.purpose = Some(match Purpose::parse(text) {
            Some(purpose) => purpose,
            None => return Ok(Err("audit-bad-code")),
        });
    }
    if let Some(text) = query.one("subject") {
        filter.subject = Some(match text.parse::<PersonId>() {
            Ok(person) => person,
            Err(_) => return Ok(Err("audit-bad-subject")),
        });
    }
    let clipped = |key| query.one(key).map(|text: &str| text.chars().take(TYPED_MAX).collect::<String>());
    filter.session = clipped("session");
    filter.object = clipped("object");
    filter.glass = clipped("glass");
    Ok(Ok(filter))
}

/// A sign-in name, an id of an account or key, or the code of a kind without one.
async fn who(visit: &Visit, text: &str) -> Result<Option<Actor>, Fault> {
    match text {
        "console" => return Ok(Some(Actor::Console)),
        "system" => return Ok(Some(Actor::System)),
        "anybody" => return Ok(Some(Actor::Anybody)),
        _ => {}
    }
    if let Some(key) = text.strip_prefix("key:") {
        return Ok(Some(Actor::ApiKey(key.to_owned())));
    }
    if let Some(peer) = text.strip_prefix("peer:") {
        return Ok(Some(Actor::Peer(peer.to_owned())));
    }
    if let Some(Ok(person)) = text.strip_prefix("staff:").map(str::parse) {
        return Ok(Some(Actor::Staff(person)));
    }
    if let Some(account) = AccountId::parse(text) {
        return Ok(Some(Actor::Account(account.as_str().to_owned())));
    }
    let Ok(login) = Login::new(text) else { return Ok(None) };
    Ok(visit.app.accounts.find(&login).await?.map(|account| Actor::Account(account.as_str().to_owned())))
}

fn position_of(query: &Query) -> Option<Position> {
    let (at, no) = query.one("behind")?.split_once(':')?;
    Some(Position { at: UtcMillis(at.parse().ok()?), no: no.parse().ok()? })
}

/// `GET /audit`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (texts, times, database) = (visit.texts(), visit.times(), &visit.app.database);
    let (acting, now) = (visit.acting()?, visit.app.now());
    let mut names = Names::new(&visit);
    let (mut status, mut problem) = (StatusCode::OK, None);
    let behind = position_of(&query);
    let (found, is_filtered) = match filter_of(&visit, &query).await? {
        Ok(filter) => {
            let is_filtered = filter != Filter::default();
            (audit::search(database, &acting, now, &filter, behind, PAGE).await?, is_filtered)
        }
        Err(key) => {
            status = StatusCode::UNPROCESSABLE_ENTITY;
            problem = Some(texts.t(key));
            (Found { entries: Vec::new(), next: None }, true)
        }
    };
    let open_no: Option<u64> = query.one("open").and_then(|text| text.parse().ok());
    let open = match open_no {
        Some(no) => entry::whole(&visit, &mut names, no).await?,
        None => None,
    };
    let mut lines = Vec::with_capacity(found.entries.len());
    for recorded in &found.entries {
        lines.push(line(recorded, &mut names, &query, open_no, &texts, &times).await?);
    }
    let narrowed = Query::read(query.with("open", None).trim_start_matches('?'));
    let narrowed = Query::read(narrowed.with("done", None).trim_start_matches('?'));
    let first = narrowed.with("behind", None);
    let next = found
        .next
        .map(|next| format!("/audit{}", narrowed.with("behind", Some(&format!("{}:{}", next.at.0, next.no)))));
    let forms = [
        ("audit-export-csv", "/audit.csv"),
        ("audit-export-lines", "/audit.jsonl"),
        ("audit-export-fhir", "/audit.fhir.json"),
    ];
    let exports = match visit.rights().is_some_and(|rights| rights.allows(domain::Permission::AuditExport)) {
        true => forms.iter().map(|(key, path)| (texts.t(key), format!("{path}{first}"))).collect(),
        false => Vec::new(),
    };
    let page = Page {
        state: State::read(&visit).await?,
        frame: Frame::new(&visit, "audit"),
        lines,
        typed: typed(&query, &texts),
        problem,
        actions: Action::ALL.iter().map(|code| (code.as_str(), texts.code("action-", code.as_str()))).collect(),
        outcomes: Outcome::ALL.iter().map(|code| (code.as_str(), texts.code("outcome-", code.as_str()))).collect(),
        purposes: Purpose::ALL
            .iter()
            .map(|code| (code.as_str(), texts.code("audit-purpose-", code.as_str())))
            .collect(),
        next,
        is_first: behind.is_none(),
        first: format!("/audit{first}"),
        exports,
        open,
        close: format!("/audit{}", query.with("open", None)),
        is_filtered,
        done: (query.one("done") == Some("check")).then(|| texts.t("audit-check-asked")),
        zone: times.zone_name(),
    };
    render(status, &page)
}

async fn line(
    recorded: &Recorded,
    names: &mut Names<'_>,
    query: &Query,
    open: Option<u64>,
    texts: &Texts,
    times: &crate::times::Times,
) -> Result<Line, Fault> {
    let entry = &recorded.entry;
    let outcome = (entry.outcome != Outcome::Done.as_str()).then(|| word(texts, "outcome-", &entry.outcome));
    Ok(Line {
        link: format!("/audit{}", query.with("open", Some(&entry.no.to_string()))),
        is_open: Some(entry.no) == open,
        day: times.day(entry.at),
        clock: times.clock(entry.at),
        who: names.actor(entry).await?,
        what: word(texts, "action-", &entry.action),
        tone: tone(entry),
        outcome,
        about: names.about(entry).await?,
        why: entry.purpose.as_deref().map(|code| word(texts, "audit-purpose-", code)).unwrap_or_default(),
        no: entry.no,
    })
}

fn typed(query: &Query, texts: &Texts) -> Typed {
    let one = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let more = [("session", "audit-session"), ("object", "audit-object"), ("glass", "audit-glass")];
    Typed {
        from: one("from"),
        until: one("until"),
        who: one("who"),
        action: one("action"),
        outcome: one("outcome"),
        purpose: one("purpose"),
        subject: one("subject"),
        more: more
            .into_iter()
            .filter_map(|(key, name)| Some((key, texts.t(name), query.one(key)?.to_owned())))
            .collect(),
    }
}

/// `POST /audit/check`: asks for a check of the whole log.
pub async fn check(visit: Visit, _: Bytes) -> Result<Response, Fault> {
    audit::ask_check(&visit.app.database, &visit.acting()?, visit.app.now()).await?;
    Ok(go("/audit?done=check"))
}
