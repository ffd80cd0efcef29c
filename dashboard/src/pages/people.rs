//! Finding people. What is typed travels in the body of a form, never in an address; what for is chosen once and stays
//! in the form and in the links of its results. The vault records the search and whom it showed.

mod edit;
pub mod language;
mod passes;
mod person;
mod photo;
pub mod purpose;

use askama::Template;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::people;
use clinic::vault::{CardState, Found, PersonCard, RESULTS_MAX, VaultError};
use domain::{CardId, Field, Permission, PersonId};
use serde::Deserialize;

pub use edit::{create, edit, new, save};
pub use passes::change as change_pass;
pub use person::{history, looks, reveal, show as show_person};
pub use photo::{
    BODY_MAX as PHOTO_BODY_MAX, remove as remove_photo, show as show_photo, store as store_photo, take as take_photo,
};

use crate::csv::Csv;
use crate::faces::Face;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::{self, label, short_id};
use passes::PassLine;
use purpose::{Choice, Purposes};

/// Results of one page at first; "show more" asks for all that one search may show.
const PAGE: usize = 24;
/// Longest text to search for, in characters.
const WORDS_MAX: usize = 120;

#[derive(Template)]
#[template(path = "people.html")]
struct Page {
    frame: Frame,
    typed: String,
    purposes: Vec<Choice>,
    results: Option<Results>,
    /// The field that has to be corrected, and why.
    problem: Option<(&'static str, String)>,
    /// The vault is locked: why, in words.
    locked: Option<String>,
    may_add: bool,
    may_export: bool,
    words_max: usize,
}

impl Page {
    fn is_bad(&self, field: &str) -> bool {
        self.problem.as_ref().is_some_and(|(at, _)| *at == field)
    }
}

struct Results {
    people: Vec<Hit>,
    /// Whether more fit than are shown.
    more: bool,
    /// Whether a larger page can show them.
    may_grow: bool,
    purpose: &'static str,
}

/// One result.
struct Hit {
    link: String,
    face: Face,
    title: String,
    instead: Option<String>,
    birth_date: Option<String>,
    pass: Option<PassLine>,
    no_pass: bool,
}

/// What was asked.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    words: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    all: bool,
}

/// `GET /people`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let chosen = query.one("for").unwrap_or_default().to_owned();
    page(&visit, StatusCode::OK, String::new(), &chosen, None, None)
}

/// `POST /people`
pub async fn search(visit: Visit, Form(asked): Form<Asked>) -> Result<Response, Fault> {
    let texts = visit.texts();
    let typed: String = asked.words.trim().chars().take(WORDS_MAX).collect();
    let refused = |field, text: String| {
        page(&visit, StatusCode::UNPROCESSABLE_ENTITY, typed.clone(), &asked.purpose, Some((field, text)), None)
    };
    let acting = visit.acting()?;
    let Some(purpose) = Purposes::of(&acting).read(&asked.purpose) else {
        return refused("purpose", texts.t("purpose-missing"));
    };
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let limit = if asked.all { RESULTS_MAX } else { PAGE };
    let found = match find(&visit, &typed, limit, purpose).await {
        Ok(found) => found,
        Err(VaultError::Locked(_)) => return page(&visit, StatusCode::OK, typed, &asked.purpose, None, None),
        Err(VaultError::Query(_)) => return refused("words", texts.t("people-words-short")),
        Err(VaultError::TooMany) => return refused("words", texts.t("people-words-many")),
        Err(error) => return Err(error.into()),
    };
    let mut people = Vec::with_capacity(found.people.len());
    for card in &found.people {
        people.push(hit(&visit, card, purpose.as_str()).await?);
    }
    let results = Results { people, more: found.more, may_grow: found.more && !asked.all, purpose: purpose.as_str() };
    page(&visit, StatusCode::OK, typed, purpose.as_str(), None, Some(results))
}

/// People by words; 32 hexadecimal digits are a pseudonym out of the journal, a person's or a card's.
async fn find(visit: &Visit, words: &str, limit: usize, purpose: clinic::audit::Purpose) -> Result<Found, VaultError> {
    let (acting, database) = (visit.acting().map_err(|_| VaultError::Denied(NO_SESSION))?, &visit.app.database);
    if let Ok(id) = words.parse::<PersonId>() {
        acting.must(Permission::PersonFind)?;
        let card = people::pass(database, CardId(id.0)).await?;
        let person = card.map_or(id, |pass| pass.person);
        let people = match people::person(database, &acting, person).await {
            Ok(Some(_)) => visit.app.vault.cards(&acting, &[person], purpose).await?,
            Ok(None) | Err(_) => Vec::new(),
        };
        return Ok(Found { people, more: false });
    }
    visit.app.vault.search(&acting, words, limit, purpose).await
}

const NO_SESSION: domain::Denied = domain::Denied(Permission::PersonFind);

async fn hit(visit: &Visit, card: &PersonCard, purpose: &str) -> Result<Hit, Fault> {
    let (acting, texts) = (visit.acting()?, visit.texts());
    let face = Face::of(card, &acting);
    let shows = |field| acting.rights.shows(field);
    let mut pass = None;
    let mut no_pass = false;
    if shows(Field::Validity) && card.state != CardState::Erased {
        let passes = passes::lines(visit, card.person).await?;
        no_pass = passes.is_empty();
        pass = passes.into_iter().next();
    }
    Ok(Hit {
        link: format!("/people/{}?for={purpose}", card.person),
        title: title_of(&face, card.person, &texts),
        instead: face.instead(&texts),
        birth_date: card.birth_date.map(|date| day_of(date, &texts)),
        face,
        pass,
        no_pass,
    })
}

/// The name, or the pseudonym where there is none to be shown.
fn title_of(face: &Face, person: PersonId, texts: &Texts) -> String {
    face.name.clone().unwrap_or_else(|| texts.a("person-short", &short_id(&person.to_string())))
}

/// `21 Apr 1987`
fn day_of(date: domain::vault::BirthDate, texts: &Texts) -> String {
    let (year, month, day) = date.reveal();
    format!("{day} {} {year}", texts.code("month-", &month.to_string()))
}

fn page(
    visit: &Visit,
    status: StatusCode,
    typed: String,
    purpose: &str,
    problem: Option<(&'static str, String)>,
    results: Option<Results>,
) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    let may = |permission| acting.rights.allows(permission);
    let page = Page {
        frame: Frame::new(visit, "people"),
        typed,
        purposes: Purposes::of(&acting).choices(purpose, &visit.texts()),
        may_add: may(Permission::PersonEdit) && visit.app.vault.is_open(),
        may_export: may(Permission::PersonReveal),
        results,
        problem,
        locked: words::locked(&visit.app.vault.state(), &visit.texts()),
        words_max: WORDS_MAX,
    };
    render(status, &page)
}

/// `POST /people.csv`: what the search shows, as a file. A disclosure, with everybody who is in it.
pub async fn export(visit: Visit, Form(asked): Form<Asked>) -> Result<Response, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    acting.must(Permission::PersonReveal)?;
    let purpose = Purposes::of(&acting).read(&asked.purpose).ok_or(Fault::Invalid)?;
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let words: String = asked.words.trim().chars().take(WORDS_MAX).collect();
    let found = find(&visit, &words, RESULTS_MAX, purpose).await?;
    let fields: Vec<Field> = [Field::Name, Field::BirthDate, Field::Validity, Field::Category]
        .into_iter()
        .filter(|field| acting.rights.shows(*field))
        .collect();
    let mut disclosure = Disclosure::export(&acting, "/people.csv", &[Class::Identity]);
    disclosure.persons = found.people.iter().map(|card| card.person).collect();
    (disclosure.records, disclosure.fields) = (found.people.len() as u64, fields);
    disclosures::register(&visit.app.database, &acting, disclosure, Some(purpose), visit.app.now()).await?;
    let mut csv = Csv::new(&["person", "name", "birth_date", "pass", "category", "state", "valid_until"]);
    for card in &found.people {
        let shows = |field| acting.rights.shows(field);
        let pass = match shows(Field::Validity) {
            true => people::passes_for(&visit.app.database, &acting, card.person).await?.into_iter().next(),
            false => None,
        };
        let name = card.name.as_ref().map(|name| name.full().reveal().to_owned());
        let until = pass.as_ref().and_then(|pass| pass.valid_until).map(|at| times.exact(at));
        csv.row(&[
            card.person.to_string(),
            name.unwrap_or_default(),
            card.birth_date.map(|date| date.reveal_iso().reveal().to_owned()).unwrap_or_default(),
            pass.as_ref().map(|pass| texts.code("pass-", pass.kind.as_str())).unwrap_or_default(),
            pass.as_ref().filter(|_| shows(Field::Category)).map(|p| label(p.category.as_str())).unwrap_or_default(),
            pass.as_ref().map(|pass| texts.code("pass-state-", pass.state.as_str())).unwrap_or_default(),
            until.unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("people.csv"))
}
