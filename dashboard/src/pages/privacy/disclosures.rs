//! The register of disclosures: filter, one line whole, export, and what was given by hand.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::disclosures::{
    self, Class, Disclosure, DisclosureError, Filter, Ground, Line, Recipient, RecipientKind, Route,
};
use domain::{Field, PersonId};
use serde::Deserialize;

use super::{Choice, Names, behind, choices, code_of, span};
use crate::csv::{Csv, ROWS_MAX};
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Lines on a page.
const PAGE: u32 = 50;

/// Registers that somebody takes lists without persons' data away, before they are given.
pub async fn note(visit: &Visit, object: &str, records: usize) -> Result<(), Fault> {
    let acting = visit.acting()?;
    let mut disclosure = Disclosure::export(&acting, object, &[Class::Audit]);
    disclosure.records = u64::try_from(records).unwrap_or(u64::MAX);
    disclosures::register(&visit.app.database, &acting, disclosure, None, visit.app.now()).await?;
    Ok(())
}

#[derive(Template)]
#[template(path = "privacy/disclosures.html")]
struct Page {
    frame: Frame,
    lines: Vec<Row>,
    open: Option<Whole>,
    close: String,
    routes: Vec<Choice>,
    recipients: Vec<Choice>,
    grounds: Vec<Choice>,
    classes: Vec<Choice>,
    typed: Typed,
    problem: Option<String>,
    next: Option<String>,
    is_first: bool,
    first: String,
    is_filtered: bool,
    export: String,
    may_add: bool,
}

#[derive(Default)]
struct Typed {
    from: String,
    until: String,
    route: String,
    to: String,
    person: String,
}

struct Row {
    link: String,
    is_open: bool,
    day: String,
    clock: String,
    what: String,
    object: String,
    recipient: String,
    ground: String,
    scope: String,
}

struct Whole {
    row: Row,
    by: String,
    classes: String,
    fields: String,
    glass: Option<String>,
    persons: Vec<(String, String)>,
    more: u64,
}

fn filter_of(visit: &Visit, query: &Query) -> Result<Filter, Fault> {
    let (from, until) = span(visit, query)?;
    let person = match query.one("person") {
        Some(text) => Some(text.parse::<PersonId>().map_err(|_| Fault::Invalid)?),
        None => None,
    };
    Ok(Filter {
        from,
        until,
        route: code_of(query, "route", Route::parse)?,
        recipient: code_of(query, "to", RecipientKind::parse)?,
        person,
    })
}

async fn row(visit: &Visit, names: &mut Names, line: &Line, link: String, is_open: bool) -> Result<Row, Fault> {
    let (texts, times) = (visit.texts(), visit.times());
    let recipient = match line.recipient_kind {
        RecipientKind::Account => names.of(visit, &line.recipient).await?,
        RecipientKind::Organisation => line.recipient.clone(),
        RecipientKind::ApiKey | RecipientKind::Console | RecipientKind::Person => {
            texts.code("recipient-", line.recipient_kind.as_str())
        }
    };
    let scope = match line.persons {
        0 => texts.n("disclosure-records", line.records),
        persons => format!("{} · {}", texts.n("disclosure-records", line.records), texts.n("people-count", persons)),
    };
    Ok(Row {
        link,
        is_open,
        day: times.day(line.at),
        clock: times.clock(line.at),
        what: texts.code("disclosure-route-", line.route.as_str()),
        object: line.object.clone().unwrap_or_default(),
        recipient,
        ground: texts.code("ground-", line.ground.as_str()),
        scope,
    })
}

/// `GET /disclosures`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    page(&visit, StatusCode::OK, query, None).await
}

async fn page(visit: &Visit, status: StatusCode, query: Query, problem: Option<String>) -> Result<Response, Fault> {
    let (texts, acting, database) = (visit.texts(), visit.acting()?, &visit.app.database);
    let filter = filter_of(visit, &query)?;
    let after = behind(&query);
    let is_first = after.is_none();
    let found = disclosures::list(database, &acting, &filter, after, PAGE).await?;
    let (mut names, mut lines, mut open) = (Names::default(), Vec::new(), None);
    for line in &found.lines {
        let is_open = query.one("line") == Some(line.id.as_str());
        let link = format!("/disclosures{}", query.with("line", Some(&line.id)));
        if is_open {
            let persons = disclosures::persons_of(database, &acting, &line.id).await?;
            let more = line.persons.saturating_sub(u64::try_from(persons.len()).unwrap_or(0));
            open = Some(Whole {
                row: row(visit, &mut names, line, link.clone(), true).await?,
                by: names.of(visit, &line.actor).await?,
                classes: words(line.classes.iter().map(|class| texts.code("class-", class.as_str()))),
                fields: words(line.fields.iter().map(|field| texts.code("field-", field.as_str()))),
                glass: line.glass.clone(),
                persons: persons.iter().map(|id| (id.to_string(), short_id(&id.to_string()))).collect(),
                more,
            });
        }
        lines.push(row(visit, &mut names, line, link, is_open).await?);
    }
    let next =
        found.next.map(|(at, id)| format!("/disclosures{}", query.with("behind", Some(&format!("{}:{id}", at.0)))));
    let text = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let page = Page {
        lines,
        open,
        close: format!("/disclosures{}", query.with("line", None)),
        routes: choices(texts, "disclosure-route-", Route::ALL.iter().map(|it| it.as_str())),
        recipients: choices(texts, "recipient-", RecipientKind::ALL.iter().map(|it| it.as_str())),
        grounds: choices(texts, "ground-", Ground::ALL.iter().map(|it| it.as_str())),
        classes: choices(texts, "class-", Class::ALL.iter().map(|it| it.as_str())),
        typed: Typed {
            from: text("from"),
            until: text("until"),
            route: text("route"),
            to: text("to"),
            person: text("person"),
        },
        problem,
        next,
        is_first,
        first: format!("/disclosures{}", query.with("behind", None)),
        is_filtered: filter != Filter::default(),
        export: format!("/disclosures.csv{}", query.with("behind", None)),
        may_add: acting.rights.allows(domain::Permission::PrivacyManage),
        frame: Frame::new(visit, "disclosures"),
    };
    render(status, &page)
}

fn words(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join(", ")
}

/// `GET /disclosures.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, times, filter) = (visit.acting()?, visit.times(), filter_of(&visit, &query)?);
    let mut csv = Csv::new(&[
        "id",
        "at",
        "route",
        "recipient_kind",
        "recipient",
        "ground",
        "actor",
        "object",
        "classes",
        "fields",
        "records",
        "persons",
    ]);
    let (mut after, mut count) = (None, 0);
    loop {
        let page = disclosures::list(&visit.app.database, &acting, &filter, after, disclosures::LIST_MAX).await?;
        for line in &page.lines {
            csv.row(&[
                line.id.clone(),
                times.exact(line.at),
                line.route.to_string(),
                line.recipient_kind.to_string(),
                line.recipient.clone(),
                line.ground.to_string(),
                line.actor.clone(),
                line.object.clone().unwrap_or_default(),
                words(line.classes.iter().map(ToString::to_string)),
                words(line.fields.iter().map(ToString::to_string)),
                line.records.to_string(),
                line.persons.to_string(),
            ]);
        }
        count += page.lines.len();
        after = page.next;
        if after.is_none() || count >= ROWS_MAX {
            break;
        }
    }
    note(&visit, "/disclosures.csv", count).await?;
    Ok(csv.into_response("disclosures.csv"))
}

/// Something given by hand, as typed.
#[derive(Deserialize)]
pub struct ByHand {
    #[serde(default)]
    recipient: String,
    #[serde(default)]
    ground: String,
    #[serde(default)]
    class: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    object: String,
}

/// `POST /disclosures/add`
pub async fn add(visit: Visit, Form(typed): Form<ByHand>) -> Result<Response, Fault> {
    match read(&typed) {
        Ok(disclosure) => {
            let (acting, now) = (visit.acting()?, visit.app.now());
            disclosures::register_by_hand(&visit.app.database, &acting, disclosure, now).await?;
            Ok(go("/disclosures"))
        }
        Err(key) => {
            let problem = Some(visit.texts().t(key));
            page(&visit, StatusCode::UNPROCESSABLE_ENTITY, Query::default(), problem).await
        }
    }
}

fn read(typed: &ByHand) -> Result<Disclosure, &'static str> {
    const OBJECT_MAX_CHARS: usize = 120;
    let to = Recipient::organisation(&typed.recipient).map_err(|error| match error {
        DisclosureError::BadRecipient
        | DisclosureError::Denied(_)
        | DisclosureError::TooMany
        | DisclosureError::Store(_) => "disclosure-bad-recipient",
    })?;
    let ground = Ground::parse(&typed.ground).ok_or("disclosure-bad-ground")?;
    let class = Class::parse(&typed.class).ok_or("disclosure-bad-class")?;
    let persons: Result<BTreeSet<PersonId>, _> =
        typed.person.split([',', ' ', '\n']).map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect();
    let persons = persons.map_err(|_| "disclosure-bad-person")?;
    let object: String = typed.object.trim().chars().filter(|c| !c.is_control()).take(OBJECT_MAX_CHARS).collect();
    Ok(Disclosure {
        route: Route::ByHand,
        to,
        ground,
        object: (!object.is_empty()).then_some(object),
        classes: vec![class],
        fields: if class == Class::Identity { vec![Field::Name] } else { Vec::new() },
        records: u64::try_from(persons.len()).unwrap_or(u64::MAX),
        persons,
    })
}
