//! One person: the card with photograph and name, fields that are masked until somebody unmasks them with a purpose,
//! passes, what happened lately, and who looked. What is unmasked is shown in the answer to the form and nowhere else:
//! opened again, the page is masked again.

use std::collections::BTreeSet;

use askama::Template;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::{self, Purpose};
use clinic::events::Filter;
use clinic::people as clinic_people;
use clinic::vault::{CardState, Past, VaultError};
use clinic::watch;
use domain::vault::{Contact, Document, Masked, Passport};
use domain::{Field, Permission, PersonId};

use super::language;
use super::passes::{self, PassLine};
use super::purpose::{Choice, Purposes};
use super::{day_of, title_of};
use crate::faces::{Face, Faces};
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::routes;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::{self, short_id};

/// Events shown.
const EVENTS: u32 = 8;
/// Looks shown.
const LOOKS: u32 = 50;
/// What stands for a date or a reference that is masked.
const DOTS: &str = "•••••";
/// The fields that are masked at first, in the order of the page.
const MASKED: [Field; 4] = [Field::BirthDate, Field::Document, Field::Contact, Field::Reference];

#[derive(Template)]
#[template(path = "person.html")]
struct Page {
    frame: Frame,
    person: String,
    pseudonym: String,
    title: String,
    face: Option<Face>,
    instead: Option<String>,
    is_erased: bool,
    is_unknown: bool,
    restricted: bool,
    since: String,
    /// The language that the person is spoken to in, and where that is known from.
    language: Option<String>,
    groups: Vec<Group>,
    purposes: Vec<Choice>,
    purpose: &'static str,
    /// Whether fields can be unmasked here and now.
    may_reveal: bool,
    may_reveal_all: bool,
    problem: Option<String>,
    done: Option<(&'static str, String)>,
    passes: Option<Vec<PassLine>>,
    may_change_passes: bool,
    events: Option<Vec<Line>>,
    looks: Option<Vec<Look>>,
    past: Option<Vec<Before>>,
    may_see_looks: bool,
    edit: Option<String>,
    photo: Option<String>,
    erase: Option<String>,
    script: String,
}

/// One field of the passport.
struct Group {
    field: &'static str,
    name: String,
    values: Vec<(String, String)>,
    is_masked: bool,
    is_empty: bool,
}

struct Line {
    day: String,
    clock: String,
    tone: &'static str,
    result: String,
    place: String,
}

struct Look {
    at: String,
    who: String,
    what: String,
    fields: String,
    purpose: String,
    glass: bool,
}

struct Before {
    until: String,
    name: String,
    values: Vec<(String, String)>,
}

/// What was just done, said once on the page that follows.
#[derive(Debug, Clone, Copy)]
pub enum Done {
    Registered,
    Saved,
    Photo,
    PhotoRemoved,
    Pass,
    PassChanged,
}

impl Done {
    const ALL: [Self; 6] =
        [Self::Registered, Self::Saved, Self::Photo, Self::PhotoRemoved, Self::Pass, Self::PassChanged];

    const fn code(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Saved => "saved",
            Self::Photo => "photo",
            Self::PhotoRemoved => "photo_removed",
            Self::Pass => "pass",
            Self::PassChanged => "pass_changed",
        }
    }

    const fn tone(self) -> &'static str {
        match self {
            Self::PassChanged => "warn",
            Self::Registered | Self::Saved | Self::Photo | Self::PhotoRemoved | Self::Pass => "ok",
        }
    }
}

/// Back to the person's page after a change, with the purpose that was chosen before.
pub fn after(person: PersonId, purpose: &str, done: Done) -> Response {
    let kept = Purpose::parse(purpose).map(|purpose| format!("&for={purpose}")).unwrap_or_default();
    go(&format!("/people/{person}?done={}{kept}", done.code()))
}

/// What has been unmasked for this one answer.
#[derive(Default)]
struct Unmasked {
    fields: BTreeSet<Field>,
    passport: Passport,
    reference: Option<String>,
    past: Option<Vec<Past>>,
    looks: bool,
}

/// `GET /people/{person}`
pub async fn show(visit: Visit, Path(person): Path<String>, query: Query) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let done = query.one("done").and_then(|code| Done::ALL.into_iter().find(|done| done.code() == code));
    let chosen = query.one("for").unwrap_or_default();
    page(&visit, StatusCode::OK, person, chosen, Unmasked::default(), None, done).await
}

/// `POST /people/{person}/reveal`: the fields named by `field`, or all that the role shows.
pub async fn reveal(visit: Visit, Path(person): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let form = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let acting = visit.acting()?;
    let Some(purpose) = Purposes::of(&acting).read(form.one("purpose").unwrap_or_default()) else {
        let problem = Some(visit.texts().t("purpose-missing"));
        return page(&visit, StatusCode::UNPROCESSABLE_ENTITY, person, "", Unmasked::default(), problem, None).await;
    };
    let asked: Vec<Field> = match form.one("field") {
        Some("all") => MASKED.to_vec(),
        _ => form.all("field").filter_map(Field::parse).collect(),
    };
    let wanted: Vec<Field> =
        MASKED.into_iter().filter(|field| asked.contains(field) && acting.rights.shows(*field)).collect();
    if wanted.is_empty() {
        return Err(Fault::Forbidden);
    }
    let mut unmasked = Unmasked::default();
    if wanted.iter().any(|field| *field != Field::Reference) {
        unmasked.passport = visit.app.vault.reveal(&acting, person, &wanted, purpose, None).await?;
    }
    if wanted.contains(&Field::Reference) {
        let (database, now) = (&visit.app.database, visit.app.now());
        let found = clinic_people::reveal_reference(database, &acting, person, purpose, now).await?;
        unmasked.reference = found.map(|reference| reference.reveal().to_owned());
    }
    unmasked.fields = wanted.into_iter().collect();
    page(&visit, StatusCode::OK, person, purpose.as_str(), unmasked, None, None).await
}

/// `POST /people/{person}/history`: what was known before corrections.
pub async fn history(visit: Visit, Path(person): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let form = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let acting = visit.acting()?;
    let Some(purpose) = Purposes::of(&acting).read(form.one("purpose").unwrap_or_default()) else {
        let problem = Some(visit.texts().t("purpose-missing"));
        return page(&visit, StatusCode::UNPROCESSABLE_ENTITY, person, "", Unmasked::default(), problem, None).await;
    };
    let past = Some(visit.app.vault.history(&acting, person, purpose).await?);
    let unmasked = Unmasked { past, ..Unmasked::default() };
    page(&visit, StatusCode::OK, person, purpose.as_str(), unmasked, None, None).await
}

/// `POST /people/{person}/looks`: who looked at this person. Reading the audit log is recorded too.
pub async fn looks(visit: Visit, Path(person): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let form = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let unmasked = Unmasked { looks: true, ..Unmasked::default() };
    page(&visit, StatusCode::OK, person, form.one("purpose").unwrap_or_default(), unmasked, None, None).await
}

async fn page(
    visit: &Visit,
    status: StatusCode,
    person: PersonId,
    chosen: &str,
    unmasked: Unmasked,
    problem: Option<String>,
    done: Option<Done>,
) -> Result<Response, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let known = clinic_people::person(&visit.app.database, &acting, person).await?.ok_or(Fault::NotFound)?;
    let spoken = clinic_people::language_known(&visit.app.database, &acting, person).await?;
    let purposes = Purposes::of(&acting);
    let purpose = purposes.read(chosen);
    let look = purpose.unwrap_or(Purpose::Maintenance);
    let faces = Faces::look(&visit.app, &acting, vec![person], look).await?;
    let face = faces.get(Some(person)).cloned();
    let masked = match visit.app.vault.masked(&acting, person).await {
        Ok(masked) => Some(masked),
        Err(VaultError::Unknown | VaultError::Erased(_) | VaultError::Locked(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let state = face.as_ref().map_or(CardState::Shown, |face| face.state);
    let is_erased = state == CardState::Erased;
    let groups = match masked.as_ref() {
        Some(masked) => groups(visit, masked, known.has_reference, &unmasked, &acting),
        None => Vec::new(),
    };
    let may = |permission| acting.rights.allows(permission);
    let link = |path: &str, permission| {
        (may(permission) && visit.app.vault.is_open() && !is_erased)
            .then(|| format!("/people/{person}/{path}{}", purpose.map(|it| format!("?for={it}")).unwrap_or_default()))
    };
    let may_reveal = may(Permission::PersonReveal) && !groups.is_empty();
    let erasure = "/subjects/{person}/erase";
    let erase = routes::opens(&acting.rights, erasure).then(|| erasure.replace("{person}", &person.to_string()));
    let page = Page {
        frame: Frame::new(visit, "people"),
        pseudonym: short_id(&person.to_string()),
        title: face.as_ref().map_or_else(
            || texts.a("person-short", &short_id(&person.to_string())),
            |face| title_of(face, person, &texts),
        ),
        instead: face.as_ref().and_then(|face| face.instead(&texts)).or_else(|| locked_words(visit)),
        is_unknown: masked.is_none() && !is_erased && visit.app.vault.is_open(),
        is_erased,
        restricted: face.as_ref().is_some_and(|face| face.restricted),
        face,
        since: times.full(known.since),
        language: language::known(&spoken, &texts),
        may_reveal_all: may_reveal && groups.iter().filter(|group| group.is_masked && !group.is_empty).count() > 1,
        groups,
        purposes: purposes.choices(chosen, &texts),
        purpose: purpose.map_or("", Purpose::as_str),
        may_reveal,
        problem,
        done: done.map(|done| (done.tone(), texts.code("person-done-", done.code()))),
        passes: match acting.rights.shows(Field::Validity) {
            true => Some(passes::lines(visit, person).await?),
            false => None,
        },
        may_change_passes: may(Permission::PassEdit),
        events: events(visit, person).await?,
        looks: if unmasked.looks { Some(accesses(visit, person).await?) } else { None },
        past: unmasked.past.as_ref().map(|past| past.iter().map(|one| before(one, visit)).collect()),
        may_see_looks: may(Permission::PrivacyManage) && may(Permission::AuditSee),
        edit: link("edit", Permission::PersonEdit),
        photo: link("photo", Permission::PersonEdit),
        erase: erase.filter(|_| !is_erased),
        person: person.to_string(),
        script: crate::pages::assets::path("people.js"),
    };
    render(status, &page)
}

fn locked_words(visit: &Visit) -> Option<String> {
    words::locked(&visit.app.vault.state(), &visit.texts())
}

fn groups(
    visit: &Visit,
    masked: &Masked,
    has_reference: bool,
    unmasked: &Unmasked,
    acting: &clinic::acting::Acting,
) -> Vec<Group> {
    let texts = visit.texts();
    let shown = MASKED.into_iter().filter(|field| acting.rights.shows(*field));
    let group = |field: Field| {
        let is_masked = !unmasked.fields.contains(&field);
        let values = if is_masked {
            masked_values(field, masked, has_reference, &texts)
        } else {
            clear_values(field, unmasked, &texts)
        };
        Group {
            field: field.as_str(),
            name: texts.code("known-", field.as_str()),
            is_empty: values.is_empty(),
            values,
            is_masked,
        }
    };
    shown.map(group).collect()
}

fn masked_values(field: Field, masked: &Masked, has_reference: bool, texts: &Texts) -> Vec<(String, String)> {
    let dots = |is_there: bool| is_there.then(|| (String::new(), DOTS.to_owned())).into_iter().collect();
    match field {
        Field::BirthDate => dots(masked.has_birth_date),
        Field::Reference => dots(has_reference),
        Field::Document => masked
            .documents
            .iter()
            .map(|one| (texts.code("document-", one.kind.as_str()), one.number.reveal().to_owned()))
            .collect(),
        Field::Contact => masked
            .contacts
            .iter()
            .map(|one| (texts.code("contact-", one.kind.as_str()), one.value.reveal().to_owned()))
            .collect(),
        Field::Name | Field::Photo | Field::Validity | Field::Category | Field::VisitPurpose => Vec::new(),
    }
}

fn clear_values(field: Field, unmasked: &Unmasked, texts: &Texts) -> Vec<(String, String)> {
    let passport = &unmasked.passport;
    match field {
        Field::BirthDate => passport.birth_date.map(|date| (String::new(), day_of(date, texts))).into_iter().collect(),
        Field::Reference => unmasked.reference.iter().map(|text| (String::new(), text.clone())).collect(),
        Field::Document => passport.documents.iter().map(|one| document(one, texts)).collect(),
        Field::Contact => passport.contacts.iter().map(|one| contact(one, texts)).collect(),
        Field::Name | Field::Photo | Field::Validity | Field::Category | Field::VisitPurpose => Vec::new(),
    }
}

fn document(one: &Document, texts: &Texts) -> (String, String) {
    let parts = [one.number.reveal(), one.issued.reveal()];
    let text = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(", ");
    (texts.code("document-", one.kind.as_str()), text)
}

fn contact(one: &Contact, texts: &Texts) -> (String, String) {
    (texts.code("contact-", one.kind.as_str()), one.value.reveal().to_owned())
}

fn before(past: &Past, visit: &Visit) -> Before {
    let texts = visit.texts();
    let none = || vec![(String::new(), texts.t("nothing-known"))];
    let (field, values) = if let Some(names) = &past.names {
        (Field::Name, vec![(String::new(), names.full().reveal().to_owned())])
    } else if let Some(date) = past.birth_date {
        (Field::BirthDate, date.map(|date| vec![(String::new(), day_of(date, &texts))]).unwrap_or_else(none))
    } else if let Some(documents) = &past.documents {
        (Field::Document, documents.iter().map(|one| document(one, &texts)).collect())
    } else {
        let contacts = past.contacts.as_deref().unwrap_or_default();
        (Field::Contact, contacts.iter().map(|one| contact(one, &texts)).collect())
    };
    let values = if values.is_empty() { none() } else { values };
    Before { until: visit.times().full(past.until), name: texts.code("known-", field.as_str()), values }
}

/// The last events, for who may read the journal; `None` for others.
async fn events(visit: &Visit, person: PersonId) -> Result<Option<Vec<Line>>, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    if !acting.rights.allows(Permission::JournalSee) {
        return Ok(None);
    }
    let filter = Filter { person: Some(person), ..Filter::default() };
    let found = watch::search(&visit.app.database, &acting, &filter, None, EVENTS).await?;
    let line = |event: &clinic::events::Event| {
        let fact = &event.entry.fact;
        Line {
            day: times.day(fact.at),
            clock: times.clock(fact.at),
            tone: words::tone_of(fact).class(),
            result: words::result_of(fact, &texts),
            place: words::where_of(fact, event.entry.gateway.as_str(), &texts),
        }
    };
    Ok(Some(found.events.iter().map(line).collect()))
}

/// Who looked, latest first.
async fn accesses(visit: &Visit, person: PersonId) -> Result<Vec<Look>, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    acting.must(Permission::PrivacyManage)?;
    let filter = audit::Filter { subject: Some(person), ..audit::Filter::default() };
    let found = audit::search(&visit.app.database, &acting, visit.app.now(), &filter, None, LOOKS).await?;
    let mut looks = Vec::with_capacity(found.entries.len());
    for recorded in found.entries {
        let entry = recorded.entry;
        let account = entry.actor.as_deref().filter(|_| entry.actor_kind == "account");
        let name = match account.and_then(clinic::accounts::AccountId::parse) {
            Some(id) => visit.app.accounts.shown_name(&id).await?,
            None => None,
        };
        let fields = entry.fields.unwrap_or_default();
        let fields = fields.split([',', ' ']).filter(|code| !code.is_empty());
        looks.push(Look {
            at: times.full(entry.at),
            who: name.unwrap_or_else(|| texts.code("actor-", &entry.actor_kind)),
            what: texts.code("look-", &entry.action),
            fields: fields.map(|code| texts.code("field-", code)).collect::<Vec<_>>().join(", "),
            purpose: entry.purpose.map(|code| texts.code("purpose-", &code)).unwrap_or_default(),
            glass: entry.glass.is_some(),
        });
    }
    Ok(looks)
}
