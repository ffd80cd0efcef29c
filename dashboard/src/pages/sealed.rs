//! Pages of people whose passports workstations seal (docs/local-keys.md), and the page of the clinic's own key. The
//! server renders frames without a name in them; the script fetches boxes, opens them with the key in the browser and
//! fills the frames. What the script asks for is in `boxes`.

pub mod boxes;

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::vault::local::LocalState;
use clinic::vault::{KeySource, Vault};
use domain::vault::{ContactKind, DocumentKind};
use domain::{Field, Permission, PersonId};

use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::assets;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

/// What the script may have to say; the texts are `sealed-say-…` in `local.ftl`.
const SCRIPT_TEXTS: &[&str] = &[
    "no_key",
    "no_key_do",
    "other_key",
    "altered",
    "malformed",
    "unsupported",
    "no_store",
    "not_a_key_file",
    "damaged_file",
    "passphrase",
    "wrong_passphrase",
    "other_site",
    "too_short",
    "not_this_key",
    "passphrase_differs",
    "passphrase_short",
    "no_name",
    "failed",
    "lost",
    "loaded",
    "saved",
    "nothing_found",
    "found",
    "more",
    "locked",
    "erased",
    "restricted",
    "holds_none",
    "holds_tab",
    "holds_workstation",
    "holds_former",
    "holds_other",
    "made",
    "announced",
    "changing",
    "changed",
    "bad_picture",
    "photo_saved",
    "born",
    "label_name",
    "label_birth",
];

/// What a page needs to open boxes: the script, its texts as JSON, the module with the form of keys and boxes.
pub struct Sealed {
    pub script: String,
    pub keys: String,
    pub texts: String,
}

impl Sealed {
    /// For pages of this language.
    pub fn new(texts: &Texts) -> Self {
        let text = |key: &str| texts.code("sealed-say-", &key.replace('_', "-"));
        let mut said: serde_json::Map<String, serde_json::Value> =
            SCRIPT_TEXTS.iter().map(|key| ((*key).to_owned(), text(key).into())).collect();
        for kind in DocumentKind::ALL.iter().map(|kind| kind.as_str()) {
            said.insert(format!("documents_{kind}"), texts.code("sealed-document-", kind).into());
        }
        for kind in ContactKind::ALL.iter().map(|kind| kind.as_str()) {
            said.insert(format!("contacts_{kind}"), texts.code("sealed-contact-", kind).into());
        }
        Self {
            script: assets::path("vault.js"),
            keys: assets::path("local-keys.js"),
            texts: serde_json::Value::Object(said).to_string(),
        }
    }
}

/// Whether passports are sealed by workstations here.
pub fn is_on(vault: &Vault) -> bool {
    matches!(vault.source(), KeySource::Workstation)
}

async fn state(visit: &Visit) -> Result<LocalState, Fault> {
    visit.app.vault.local_state().await.map_err(|error| {
        tracing::error!(error = %error, "sealed.failed");
        Fault::Unavailable
    })
}

/// A choice of a form: the code and its text.
struct Choice {
    code: &'static str,
    text: String,
}

fn purposes(texts: &Texts) -> Vec<Choice> {
    let choice =
        |purpose: &Purpose| Choice { code: purpose.as_str(), text: texts.code("sealed-purpose-", purpose.as_str()) };
    Purpose::ALL.iter().map(choice).collect()
}

#[derive(Template)]
#[template(path = "sealed_people.html")]
struct People {
    frame: Frame,
    purposes: Vec<Choice>,
    may_register: bool,
}

/// `GET /sealed`
pub async fn people(visit: Visit) -> Result<Response, Fault> {
    let may_register = may_edit(&visit);
    let mut frame = Frame::new(&visit, "sealed");
    frame.sealed.get_or_insert_with(|| Sealed::new(&visit.texts()));
    let purposes = purposes(&frame.x);
    render(StatusCode::OK, &People { frame, purposes, may_register })
}

#[derive(Template)]
#[template(path = "sealed_person.html")]
struct Person {
    frame: Frame,
    /// `None` registers somebody new.
    person: Option<PersonId>,
    /// The number of the clinic's key; empty until there is one.
    current: String,
    purposes: Vec<Choice>,
    documents: Vec<Choice>,
    contacts: Vec<Choice>,
    may_edit: bool,
    may_reveal: bool,
}

/// `GET /sealed/{person}`
pub async fn person(visit: Visit, Path(person): Path<String>) -> Result<Response, Fault> {
    let person = person.parse().map_err(|_| Fault::NotFound)?;
    frame_of_person(&visit, Some(person)).await
}

/// `GET /sealed/new`
pub async fn register(visit: Visit) -> Result<Response, Fault> {
    if may_edit(&visit) { frame_of_person(&visit, None).await } else { Err(Fault::Forbidden) }
}

async fn frame_of_person(visit: &Visit, person: Option<PersonId>) -> Result<Response, Fault> {
    let current = state(visit).await?.current;
    let mut frame = Frame::new(visit, "sealed");
    frame.sealed.get_or_insert_with(|| Sealed::new(&visit.texts()));
    let x = &frame.x;
    let documents = DocumentKind::ALL.iter().map(|kind| kind.as_str());
    let contacts = ContactKind::ALL.iter().map(|kind| kind.as_str());
    let page = Person {
        person,
        current: current.map(|(id, _)| id.to_string()).unwrap_or_default(),
        purposes: purposes(x),
        documents: documents.map(|code| Choice { code, text: x.code("sealed-document-", code) }).collect(),
        contacts: contacts.map(|code| Choice { code, text: x.code("sealed-contact-", code) }).collect(),
        may_edit: may_edit(visit),
        may_reveal: visit.rights().is_some_and(|rights| rights.allows(Permission::PersonReveal)),
        frame,
    };
    render(StatusCode::OK, &page)
}

/// A passport is sealed as a whole, index included: only who may see all of it can change it.
fn may_edit(visit: &Visit) -> bool {
    let all = [Field::Name, Field::BirthDate, Field::Document, Field::Contact];
    visit
        .rights()
        .is_some_and(|rights| rights.allows(Permission::PersonEdit) && all.iter().all(|field| rights.shows(*field)))
}

#[derive(Template)]
#[template(path = "local_key.html")]
struct Key {
    frame: Frame,
    state: LocalState,
    is_on: bool,
    may_manage: bool,
    scripts: [(&'static str, String); 2],
}

/// `GET /vault/key`
pub async fn key(visit: Visit) -> Result<Response, Fault> {
    let state = state(&visit).await?;
    let mut frame = Frame::new(&visit, "key");
    frame.sealed.get_or_insert_with(|| Sealed::new(&visit.texts()));
    let may_manage = visit.rights().is_some_and(|rights| rights.allows(Permission::VaultManage));
    let page = Key {
        is_on: is_on(&visit.app.vault),
        may_manage,
        state,
        scripts: ["local-keys.js", "vault.js"].map(|name| (name, assets::digest(name))),
        frame,
    };
    render(StatusCode::OK, &page)
}
