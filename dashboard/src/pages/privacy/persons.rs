//! One person as the privacy officer sees them: who looked, to whom data were given, restriction and hold, the package
//! for the person, and erasure with its act. By pseudonym; names are on the person's own page.

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clinic::disclosures::RecipientKind;
use clinic::erasure::{self, Act, ErasureError, Fate, GROUND_MIN_CHARS, Item, Plan};
use clinic::requests::{self, RequestError};
use clinic::subjects::{self, Package, SubjectError};
use clinic::till::books::{BookedCharge, BookedPayment};
use clinic::vault::VaultError;
use domain::schedule::LocalDate;
use domain::{Permission, PersonId};
use serde::Deserialize;

use super::Names;
use crate::fault::{Dressed, Fault};
use crate::money;
use crate::pages::people::language;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::{label, short_id};

/// Looks shown on the page; the package has all.
const LOOKS: usize = 200;

impl From<SubjectError> for Fault {
    fn from(error: SubjectError) -> Self {
        match error {
            SubjectError::Denied(denied) => Self::from(denied),
            SubjectError::Unknown => Self::NotFound,
            SubjectError::Store(error) => Self::from(error),
            SubjectError::Disclosure(error) => Self::from(error),
            SubjectError::Request(error) => Self::from(error),
            SubjectError::Vault(error) => {
                tracing::error!(%error, "page.vault.failed");
                Self::Unavailable
            }
        }
    }
}

#[derive(Template)]
#[template(path = "privacy/subject.html")]
struct Page {
    frame: Frame,
    id: String,
    short: String,
    since: String,
    erased: Option<String>,
    is_restricted: bool,
    hold: Option<(String, String)>,
    looks: Vec<Look>,
    more: usize,
    given: Vec<Given>,
    asked: Vec<(String, String, String)>,
    may_erase: bool,
    may_package: bool,
    problem: Option<String>,
    done: Option<String>,
}

struct Look {
    when: String,
    who: String,
    what: String,
    fields: String,
    purpose: String,
    under_glass: bool,
    is_refused: bool,
}

struct Given {
    when: String,
    what: String,
    recipient: String,
    ground: String,
}

fn person_of(text: &str) -> Result<PersonId, Fault> {
    subjects::person_of(text).ok_or(Fault::NotFound)
}

/// `GET /subjects/{person}`
pub async fn show(visit: Visit, Path(person): Path<String>, query: Query) -> Result<Response, Fault> {
    let done = query.one("done").and_then(|done| visit.texts().code_if_any("subject-done-", done));
    page(&visit, StatusCode::OK, person_of(&person)?, None, done).await
}

async fn page(
    visit: &Visit,
    status: StatusCode,
    person: PersonId,
    problem: Option<String>,
    done: Option<String>,
) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    let subject = subjects::view(&visit.app.database, &acting, person, visit.app.now()).await?;
    let (texts, times, mut names) = (visit.texts(), visit.times(), Names::default());
    let mut looks = Vec::new();
    for look in subject.looks.iter().take(LOOKS) {
        let who = match (look.actor_kind.as_str(), &look.actor) {
            ("account", Some(id)) => names.of(visit, id).await?,
            (kind, _) => texts.code("privacy-actor-", kind),
        };
        let fields: Vec<String> = look.fields.iter().map(|code| texts.code("field-", code)).collect();
        looks.push(Look {
            when: times.full(look.at),
            who,
            what: texts.code("action-", &look.action),
            fields: fields.join(", "),
            purpose: look.purpose.as_ref().map(|code| texts.code("audit-purpose-", code)).unwrap_or_default(),
            under_glass: look.under_glass,
            is_refused: look.outcome != "done",
        });
    }
    let mut given = Vec::new();
    for line in &subject.disclosures {
        let recipient = match line.recipient_kind {
            RecipientKind::Account => names.of(visit, &line.recipient).await?,
            RecipientKind::Organisation => line.recipient.clone(),
            RecipientKind::ApiKey | RecipientKind::Console | RecipientKind::Person => {
                texts.code("recipient-", line.recipient_kind.as_str())
            }
        };
        given.push(Given {
            when: times.full(line.at),
            what: texts.code("disclosure-route-", line.route.as_str()),
            recipient,
            ground: texts.code("ground-", line.ground.as_str()),
        });
    }
    let asked = subject.requests.iter().map(|request| {
        (
            format!("/requests/{}", request.id),
            texts.code("request-kind-", request.kind.as_str()),
            texts.code("request-state-", request.state.as_str()),
        )
    });
    let page = Page {
        frame: Frame::new(visit, "requests"),
        id: person.to_string(),
        short: short_id(&person.to_string()),
        since: times.day(subject.created),
        erased: subject.erased.map(|at| times.full(at)),
        is_restricted: subject.is_restricted,
        hold: subject.hold.as_ref().map(|hold| {
            let until = hold.until.map_or_else(|| texts.t("hold-until-released"), |until| times.full(until));
            (hold.ground.clone(), until)
        }),
        more: subject.looks.len().saturating_sub(LOOKS),
        looks,
        given,
        asked: asked.collect(),
        may_erase: acting.rights.allows(Permission::PersonErase) && subject.erased.is_none(),
        may_package: acting.rights.allows(Permission::PersonReveal),
        problem,
        done,
    };
    render(status, &page)
}

/// Restriction or hold, as typed.
#[derive(Deserialize)]
pub struct Marked {
    #[serde(default)]
    what: String,
    #[serde(default)]
    ground: String,
    #[serde(default)]
    until: String,
}

/// `POST /subjects/{person}`
pub async fn mark(visit: Visit, Path(person): Path<String>, Form(typed): Form<Marked>) -> Result<Response, Fault> {
    let person = person_of(&person)?;
    let (acting, now, database) = (visit.acting()?, visit.app.now(), &visit.app.database);
    let done = match typed.what.as_str() {
        "restrict" => requests::restrict(database, &acting, person, true, None, now).await,
        "lift" => requests::restrict(database, &acting, person, false, None, now).await,
        "hold" => {
            let until = match typed.until.trim() {
                "" => None,
                text => Some(visit.times().read_field(text).ok_or(Fault::Invalid)?),
            };
            requests::hold(database, &acting, person, &typed.ground, until, now).await
        }
        "release" => requests::release(database, &acting, person, now).await,
        _ => return Err(Fault::Invalid),
    };
    match done {
        Ok(()) => Ok(go(&format!("/subjects/{person}?done={}", typed.what))),
        Err(RequestError::BadReason) => {
            let problem = Some(visit.texts().t("request-bad-reason"));
            page(&visit, StatusCode::UNPROCESSABLE_ENTITY, person, problem, None).await
        }
        Err(other) => Err(other.into()),
    }
}

async fn gather(visit: &Visit, person: &str) -> Result<Package, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let person = person_of(person)?;
    let app = &visit.app;
    Ok(subjects::package(&app.database, &app.vault, &visit.acting()?, person, app.now()).await?)
}

/// `POST /subjects/{person}/package.json`: for machines. Taking it is an act, so it is no GET.
pub async fn json(visit: Visit, Path(person): Path<String>) -> Result<Response, Fault> {
    let package = gather(&visit, &person).await?;
    let value = package.to_json(visit.app.settings.site.as_str());
    let text = serde_json::to_string_pretty(&value).map_err(|_| Fault::Unavailable)?;
    let mut response = (StatusCode::OK, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    let name = HeaderValue::from_static("attachment; filename=\"subject-package.json\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

#[derive(Template)]
#[template(path = "privacy/package.html")]
struct Paper {
    frame: Frame,
    made: String,
    name: String,
    locked: bool,
    facts: Vec<(String, String)>,
    sections: Vec<(String, Vec<Entry>)>,
}

/// When, what, and where or what for.
type Entry = (String, String, String);

/// `POST /subjects/{person}/package`: for people, to be printed.
pub async fn paper(visit: Visit, Path(person): Path<String>) -> Result<Response, Fault> {
    let package = gather(&visit, &person).await?;
    let (texts, times) = (visit.texts(), visit.times());
    let mut facts = vec![(texts.t("privacy-pseudonym"), package.subject.person.to_string())];
    let mut name = String::new();
    if let Some(passport) = &package.passport {
        name = passport.names.full().reveal().to_owned();
        facts.push((texts.code("field-", "name"), name.clone()));
        if let Some(day) = passport.birth_date {
            facts.push((texts.code("field-", "birth_date"), day.reveal_iso().reveal().to_owned()));
        }
        for document in &passport.documents {
            let value = format!("{} {}", document.number.reveal(), document.issued.reveal());
            facts.push((texts.code("field-", "document"), value.trim().to_owned()));
        }
        for contact in &passport.contacts {
            facts.push((texts.code("field-", "contact"), contact.value.reveal().to_owned()));
        }
    }
    if let Some(reference) = &package.reference {
        facts.push((texts.code("field-", "reference"), reference.reveal().to_owned()));
    }
    facts.extend(language::known(&package.language, &texts).map(|language| (texts.t("person-language"), language)));
    let subject = &package.subject;
    let passes: Vec<Entry> = package
        .passes
        .iter()
        .map(|pass| (times.full(pass.since), texts.code("pass-", &pass.kind), texts.code("pass-state-", &pass.state)))
        .collect();
    let traces: Vec<Entry> = package
        .traces
        .iter()
        .map(|trace| {
            let place = trace.point.as_deref().map(label).unwrap_or_default();
            (times.full(trace.at), texts.code("kind-", &trace.kind), place)
        })
        .collect();
    let looks: Vec<Entry> = subject
        .looks
        .iter()
        .map(|look| {
            let purpose = look.purpose.as_ref().map(|code| texts.code("audit-purpose-", code)).unwrap_or_default();
            (times.full(look.at), texts.code("action-", &look.action), purpose)
        })
        .collect();
    let given: Vec<Entry> = subject
        .disclosures
        .iter()
        .map(|line| {
            let recipient = match line.recipient_kind {
                RecipientKind::Organisation => line.recipient.clone(),
                other => texts.code("recipient-", other.as_str()),
            };
            (times.full(line.at), texts.code("disclosure-route-", line.route.as_str()), recipient)
        })
        .collect();
    let sections = vec![
        (texts.t("package-charges"), charges_of(&visit, &package)),
        (texts.t("package-payments"), payments_of(&visit, &package)),
        (texts.t("package-terms"), terms_of(&visit, &package)),
        (texts.t("package-passes"), passes),
        (texts.t("package-passages"), traces),
        (texts.t("subject-looks"), looks),
        (texts.t("disclosures-title"), given),
    ];
    let page = Paper {
        frame: Frame::new(&visit, "requests"),
        made: times.full(package.made),
        name,
        locked: package.locked,
        facts,
        sections,
    };
    render(StatusCode::OK, &page)
}

/// Services: when, which, what they cost and how they stand.
fn charges_of(visit: &Visit, package: &Package) -> Vec<Entry> {
    let (texts, times) = (visit.texts(), visit.times());
    let line = |charge: &BookedCharge| {
        let net = charge.gross.minus(charge.discount).unwrap_or(charge.gross);
        let state = texts.code("till-state-", &charge.state);
        let sum = format!("{} · {state}", money::amount(&texts, charge.currency, net));
        (times.full(charge.registered), format!("{} × {}", charge.service, charge.quantity), sum)
    };
    package.books.charges.iter().map(line).collect()
}

/// Payments: when, what and how, how much.
fn payments_of(visit: &Visit, package: &Package) -> Vec<Entry> {
    let (texts, times) = (visit.texts(), visit.times());
    let line = |payment: &BookedPayment| {
        let what = texts.code("till-entry-", &payment.kind);
        let sum = money::amount(&texts, payment.currency, payment.amount);
        (times.full(payment.begun), format!("{what} · {}", texts.code("till-method-", &payment.method)), sum)
    };
    package.books.payments.iter().map(line).collect()
}

/// Terms of payment, groups and contracts: from which day, what, how much.
fn terms_of(visit: &Visit, package: &Package) -> Vec<Entry> {
    let texts = visit.texts();
    let days = |from: LocalDate, until: Option<LocalDate>| match until {
        Some(until) => format!("{from} – {until}"),
        None => format!("{from} –"),
    };
    let own = package.books.terms.iter().map(|terms| {
        let limit = terms.limit.map(|limit| money::amount(&texts, terms.currency, limit)).unwrap_or_default();
        (days(terms.from, terms.until), texts.code("till-mode-", &terms.mode), limit)
    });
    let members = package.books.memberships.iter();
    let members = members.map(|it| (days(it.from, it.until), texts.code("till-scope-", &it.kind), it.name.clone()));
    own.chain(members).collect()
}

#[derive(Template)]
#[template(path = "privacy/erase.html")]
struct Erase {
    frame: Frame,
    id: String,
    short: String,
    goes: Vec<(String, u64)>,
    stays: Vec<(String, u64, String)>,
    is_account_open: bool,
    hold: Option<String>,
    request: String,
    ground: String,
    least: usize,
    problem: Option<String>,
}

fn words_of(visit: &Visit, items: &[Item], kept: bool) -> Vec<(String, u64, String)> {
    let texts = visit.texts();
    let is_kept = |item: &&Item| matches!(item.what.fate(), Fate::KeptByLaw | Fate::KeptPseudonymous) == kept;
    let words = |item: &Item| {
        (texts.code("erase-", item.what.as_str()), item.count, texts.code("fate-", item.what.fate().as_str()))
    };
    items.iter().filter(is_kept).filter(|item| item.count > 0).map(words).collect()
}

/// `GET /subjects/{person}/erase`: the dry run.
pub async fn ask(visit: Visit, Path(person): Path<String>, query: Query) -> Result<Response, Fault> {
    let request = query.one("request").unwrap_or_default().to_owned();
    dry(&visit, StatusCode::OK, person_of(&person)?, request, String::new(), None).await
}

async fn dry(
    visit: &Visit,
    status: StatusCode,
    person: PersonId,
    request: String,
    ground: String,
    problem: Option<String>,
) -> Result<Response, Fault> {
    let plan: Plan = erasure::plan(&visit.app.database, &visit.acting()?, person, visit.app.now()).await?;
    let page = Erase {
        frame: Frame::new(visit, "requests"),
        id: person.to_string(),
        short: short_id(&person.to_string()),
        goes: words_of(visit, &plan.items, false).into_iter().map(|(what, count, _)| (what, count)).collect(),
        stays: words_of(visit, &plan.items, true),
        is_account_open: !plan.account.is_settled(),
        hold: plan.hold.map(|hold| hold.ground),
        request,
        ground,
        least: GROUND_MIN_CHARS,
        problem,
    };
    render(status, &page)
}

/// An erasure, as typed.
#[derive(Deserialize)]
pub struct Erasing {
    #[serde(default)]
    ground: String,
    #[serde(default)]
    request: String,
    #[serde(default)]
    sure: String,
}

/// `POST /subjects/{person}/erase`
pub async fn erase(visit: Visit, Path(person): Path<String>, Form(typed): Form<Erasing>) -> Result<Response, Fault> {
    let person = person_of(&person)?;
    let texts = visit.texts();
    let (app, acting) = (&visit.app, visit.acting()?);
    let request = Some(typed.request.trim()).filter(|text| !text.is_empty());
    let problem = if typed.sure == "yes" {
        match erasure::erase(&app.database, &app.vault, &acting, person, &typed.ground, request, app.now()).await {
            Ok(act) => return Ok(go(&format!("/erasures/{}", act.id))),
            Err(ErasureError::BadGround) => texts.n("erase-bad-ground", GROUND_MIN_CHARS),
            Err(ErasureError::OpenAccount(_)) => texts.t("erase-account"),
            Err(ErasureError::Held(hold)) => texts.a("erase-held", &hold.ground),
            Err(ErasureError::Vault(error @ (VaultError::ShredList(_) | VaultError::File { .. }))) => {
                tracing::error!(%error, "page.erasure.failed");
                texts.t("erase-not-remembered")
            }
            Err(other) => return Err(other.into()),
        }
    } else {
        texts.t("erase-not-sure")
    };
    dry(&visit, StatusCode::UNPROCESSABLE_ENTITY, person, typed.request, typed.ground, Some(problem)).await
}

#[derive(Template)]
#[template(path = "privacy/acts.html")]
struct Acts {
    frame: Frame,
    lines: Vec<(String, String, String, String, String)>,
}

/// `GET /erasures`
pub async fn acts(visit: Visit) -> Result<Response, Fault> {
    let found = erasure::acts(&visit.app.database, &visit.acting()?).await?;
    let (times, mut names, mut lines) = (visit.times(), Names::default(), Vec::new());
    for act in &found {
        let by = names.of(&visit, &act.by).await?;
        let link = format!("/erasures/{}", act.id);
        lines.push((link, times.full(act.at), short_id(&act.person.to_string()), by, act.ground.clone()));
    }
    render(StatusCode::OK, &Acts { frame: Frame::new(&visit, "privacy"), lines })
}

#[derive(Template)]
#[template(path = "privacy/act.html")]
struct OneAct {
    frame: Frame,
    site: String,
    act: Act,
    when: String,
    by: String,
    goes: Vec<(String, u64, String)>,
    stays: Vec<(String, u64, String)>,
}

/// `GET /erasures/{id}`: the act, to be printed.
pub async fn act(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let act = erasure::of(&visit.app.database, &visit.acting()?, &id).await?;
    let page = OneAct {
        frame: Frame::new(&visit, "privacy"),
        site: visit.app.settings.site.to_string(),
        when: visit.times().exact(act.at),
        by: Names::default().of(&visit, &act.by).await?,
        goes: words_of(&visit, &act.items, false),
        stays: words_of(&visit, &act.items, true),
        act,
    };
    render(StatusCode::OK, &page)
}
