//! What supervisors allow on top of a limit: what is open, what was, allowing more and ending it early.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::disclosures::Class;
use clinic::till::{
    NewOverride, OVERRIDES_PAGE_MAX, Override, OverrideFilter, OverrideOwner, OverrideReason, PotState, REASON_CHARS,
    TillError,
};
use domain::{PersonId, UtcMillis};

use super::{Choice, Problem, amount, bad, choices, currency_of, exported, read, said, typed, who};
use crate::csv::{Csv, ROWS_MAX};
use crate::faces::Faces;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::accounts::explain;
use crate::pages::hands::Hands;
use crate::pages::query::Query;
use crate::times::Times;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Lines of a page.
const PAGE: u32 = 100;
/// What is offered as the time for which more is allowed, in hours.
const HOURS: &[i64] = &[1, 4, 12, 24, 72, 168];
const HOUR_MS: i64 = 60 * 60 * 1000;

#[derive(Template)]
#[template(path = "till_office/overrides.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    shows: Vec<Choice>,
    reason_filter: Vec<Choice>,
    is_filtered: bool,
    export: String,
    next: Option<String>,
    form: Form,
    allow_text: String,
    ask_password: bool,
    words_min: usize,
    words_max: usize,
    done: Option<String>,
    problem: Problem,
}

struct Line {
    id: String,
    no: u64,
    owner: String,
    target: String,
    extra: String,
    reason: String,
    from: String,
    until: String,
    state: (&'static str, String),
    who: String,
    entry: u64,
    is_open: bool,
}

/// The form, as typed so far.
struct Form {
    /// Whose limit when it is said already: the pseudonym and the words for it.
    patient: Option<(String, String)>,
    number: String,
    pots: Vec<Choice>,
    currency: String,
    extra: String,
    hours: Vec<Choice>,
    reasons: Vec<Choice>,
    words: String,
}

fn filter(query: &Query) -> OverrideFilter {
    OverrideFilter {
        open: typed(query, "show") != "all",
        reason: OverrideReason::parse(typed(query, "reason")),
        before: query.one("before").and_then(|text| text.parse().ok()),
        limit: PAGE + 1,
        ..OverrideFilter::default()
    }
}

/// `GET /till/overrides`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("till-office-done-", done));
    render(StatusCode::OK, &page)
}

/// For how long: in hours where they are whole.
pub fn span(texts: &Texts, times: &Times, ms: i64) -> String {
    if ms % HOUR_MS == 0 { texts.n("till-office-hours", ms / HOUR_MS) } else { times.span(ms) }
}

fn state_of(one: &Override, now: UtcMillis) -> (&'static str, &'static str) {
    if one.is_open_at(now) {
        ("warn", "open")
    } else if one.ended.is_some() {
        ("info", "ended")
    } else {
        ("info", "over")
    }
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, texts, times, till) = (visit.acting()?, visit.texts(), visit.times(), &visit.app.till);
    let reason = typed(query, "reason");
    let mut found = till.overrides(&acting, &filter(query)).await?;
    let next = found.get(PAGE as usize).map(|_| {
        let last = found[PAGE as usize - 1].no.to_string();
        format!(
            "/till/overrides{}",
            Query::read(query.with("done", None).trim_start_matches('?')).with("before", Some(&last))
        )
    });
    found.truncate(PAGE as usize);
    let pots = till.pots_to_override(&acting).await?;
    let names: BTreeMap<&str, &str> = pots.iter().map(|(id, name, _)| (id.as_str(), name.as_str())).collect();
    let patient: Option<PersonId> =
        query.one("patient").map(|text| text.parse().map_err(|_| Fault::NotFound)).transpose()?;
    let persons = found.iter().filter_map(|one| match one.owner {
        OverrideOwner::Patient(person) => Some(person),
        OverrideOwner::Pot(_) => None,
    });
    let persons = persons.chain(patient).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let name = |person: PersonId| faces.name(Some(person)).map_or_else(|| short_id(&person.to_string()), str::to_owned);
    let (now, mut hands) = (visit.app.now(), Hands::new(visit));
    let mut by = Vec::new();
    for one in &found {
        by.push(who(&mut hands, &one.made).await?);
    }
    let line = |(one, who): (&Override, String)| {
        let (tone, state) = state_of(one, now);
        Line {
            id: one.id.clone(),
            no: one.no,
            owner: match &one.owner {
                OverrideOwner::Patient(person) => name(*person),
                OverrideOwner::Pot(payer) => names.get(payer.as_str()).map_or(payer.clone(), |it| (*it).to_owned()),
            },
            target: texts.code("till-office-target-", one.owner.target().as_str()),
            extra: money::amount(&texts, one.currency, one.extra),
            reason: texts.code("till-office-reason-", one.reason.as_str()),
            from: times.full(one.from),
            until: times.full(one.ended.unwrap_or(one.until)),
            state: (tone, texts.code("till-office-override-", state)),
            who,
            entry: one.made.entry,
            is_open: one.is_open_at(now),
        }
    };
    let show = if typed(query, "show") == "all" { "all" } else { "open" };
    let codes: Vec<&str> = OverrideReason::ALL.iter().map(|it| it.as_str()).collect();
    let rules = till.rules();
    let most = money::amount(&texts, rules.currency, rules.override_max);
    let longest = span(&texts, &times, rules.override_longest_ms);
    let plain = Query::read(query.with("done", None).trim_start_matches('?'));
    Ok(Page {
        frame: Frame::new(visit, "till-overrides"),
        lines: found.iter().zip(by).map(line).collect(),
        shows: choices(&texts, "till-office-show-", &["open", "all"], show),
        reason_filter: choices(&texts, "till-office-reason-", &codes, reason),
        is_filtered: !reason.is_empty() || show == "all",
        export: format!("/till/overrides.csv{}", plain.with("patient", None)),
        next,
        form: Form::new(visit, query, &pots, patient.map(|person| (person.to_string(), name(person)))),
        allow_text: texts.with("till-office-allow-text", &[("most", most), ("longest", longest)]),
        ask_password: visit.is_stale(),
        words_min: REASON_CHARS.0,
        words_max: REASON_CHARS.1,
        done: None,
        problem: Problem::default(),
    })
}

impl Form {
    fn new(
        visit: &Visit,
        typed_in: &Query,
        pots: &[(String, String, PotState)],
        patient: Option<(String, String)>,
    ) -> Self {
        let (texts, times, rules) = (visit.texts(), visit.times(), visit.app.till.rules());
        let chosen = typed(typed_in, "pot");
        let pot = |(id, name, state): &(String, String, PotState)| {
            let left = state.limit.minus(state.used).unwrap_or_default();
            let left = texts.a("till-office-left", &money::amount(&texts, state.currency, left));
            Choice::new(id, format!("{name} · {left}"), chosen)
        };
        let hours = HOURS.iter().filter(|hours| **hours * HOUR_MS <= rules.override_longest_ms);
        let wanted = typed(typed_in, "hours");
        let mut hours: Vec<Choice> =
            hours.map(|hours| Choice::new(&hours.to_string(), texts.n("till-office-hours", *hours), wanted)).collect();
        if hours.is_empty() {
            // Shorter than an hour: only the longest that the rules allow.
            hours.push(Choice::new("0", span(&texts, &times, rules.override_longest_ms), wanted));
        }
        let codes: Vec<&str> = OverrideReason::ALL.iter().map(|it| it.as_str()).collect();
        Self {
            patient,
            number: typed(typed_in, "number").to_owned(),
            pots: pots.iter().filter(|(_, _, state)| state.currency == rules.currency).map(pot).collect(),
            currency: rules.currency.to_string(),
            extra: typed(typed_in, "extra").to_owned(),
            hours,
            reasons: choices(&texts, "till-office-reason-", &codes, typed(typed_in, "reason_code")),
            words: typed(typed_in, "words").to_owned(),
        }
    }
}

/// What the form says; whose limit it is comes by pseudonym, by record number or as a pot.
async fn wanted(visit: &Visit, form: &Query) -> Result<NewOverride, TillError> {
    let till = &visit.app.till;
    let acting = visit.acting().map_err(|_| TillError::NotFound)?;
    let owner = match (form.one("patient"), form.one("number"), form.one("pot")) {
        (Some(person), ..) => OverrideOwner::Patient(person.parse().map_err(|_| bad("number"))?),
        (None, Some(_), Some(_)) => return Err(bad("owner_twice")),
        (None, Some(number), None) => {
            let person = till.patient_to_override(&acting, number).await?;
            OverrideOwner::Patient(person.ok_or_else(|| bad("number"))?)
        }
        (None, None, Some(pot)) => OverrideOwner::Pot(pot.to_owned()),
        (None, None, None) => return Err(bad("owner")),
    };
    let currency = currency_of(visit, form)?;
    let hours: i64 = typed(form, "hours").parse().map_err(|_| bad("until_at"))?;
    let longest = till.rules().override_longest_ms;
    let span = if hours == 0 { longest } else { hours.checked_mul(HOUR_MS).ok_or_else(|| bad("until_at"))? };
    Ok(NewOverride {
        owner,
        currency,
        extra: amount("extra", typed(form, "extra"), currency)?,
        until: UtcMillis(visit.app.now().0.saturating_add(span.min(longest.max(0)))),
        reason: OverrideReason::parse(typed(form, "reason_code")).ok_or_else(|| bad("reason_code"))?,
        words: typed(form, "words").to_owned(),
    })
}

/// `POST /till/overrides/add`
pub async fn add(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    match allow(&visit, &form).await? {
        None => Ok(go("/till/overrides?done=override")),
        Some(problem) => {
            // The list is narrowed by the address only; what was typed goes into the form.
            let mut page = page(&visit, &Query::read(&patient_query(&form))).await?;
            let pots = visit.app.till.pots_to_override(&visit.acting()?).await?;
            page.form = Form::new(&visit, &form, &pots, page.form.patient.take());
            page.problem = Problem::at("allow", problem);
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// Allows more; a problem is said in words. Who allows it shows that it is still they who sit there.
async fn allow(visit: &Visit, form: &Query) -> Result<Option<String>, Fault> {
    let new = match wanted(visit, form).await {
        Ok(new) => new,
        Err(error) => return said(visit, error).map(Some),
    };
    if let Err(error) = visit.confirm(form.one("password")).await {
        return Ok(Some(explain(visit, error)?.text));
    }
    match visit.app.till.allow_more(&visit.acting()?, new).await {
        Ok(_) => Ok(None),
        Err(error) => said(visit, error).map(Some),
    }
}

/// The patient of a form as a query, where it names one.
fn patient_query(form: &Query) -> String {
    let person = form.one("patient").and_then(|text| text.parse::<PersonId>().ok());
    person.map(|person| format!("patient={person}")).unwrap_or_default()
}

/// `POST /till/overrides/end`
pub async fn end(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    match visit.app.till.end_override(&visit.acting()?, typed(&form, "id")).await {
        Ok(()) => Ok(go("/till/overrides?done=ended")),
        Err(error) => {
            let problem = said(&visit, error)?;
            let mut page = page(&visit, &Query::default()).await?;
            page.problem = Problem::at("", problem);
            render(StatusCode::CONFLICT, &page)
        }
    }
}

/// `GET /till/overrides.csv`: by pseudonym.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, times, till) = (visit.acting()?, visit.times(), &visit.app.till);
    let mut csv = Csv::new(&[
        "no",
        "target",
        "owner",
        "currency",
        "extra",
        "reason",
        "from",
        "until",
        "ended",
        "by",
        "audit_entry",
    ]);
    let (mut filter, mut rows) = (OverrideFilter { limit: OVERRIDES_PAGE_MAX, before: None, ..filter(&query) }, 0);
    loop {
        let found = till.overrides(&acting, &filter).await?;
        for one in &found {
            csv.row(&[
                one.no.to_string(),
                one.owner.target().to_string(),
                one.owner.id(),
                one.currency.to_string(),
                one.currency.decimal(one.extra),
                one.reason.to_string(),
                times.exact(one.from),
                times.exact(one.until),
                one.ended.map(|at| times.exact(at)).unwrap_or_default(),
                one.made.actor.clone().unwrap_or_else(|| one.made.actor_kind.clone()),
                one.made.entry.to_string(),
            ]);
        }
        rows += found.len();
        filter.before = found.last().map(|one| one.no);
        if found.len() < OVERRIDES_PAGE_MAX as usize || rows >= ROWS_MAX {
            break;
        }
    }
    exported(&visit, "/till/overrides.csv", Class::Payment, rows).await?;
    Ok(csv.into_response("overrides.csv"))
}
