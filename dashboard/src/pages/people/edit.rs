//! Registering a person and correcting what is known of them. The form holds the fields that the role shows; what it
//! does not show it cannot change. To be corrected, a passport is unmasked first, and the vault records that. A refused
//! form comes back as it was typed, with the first mistake in focus.

use askama::Template;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::people::{self as clinic_people, PersonError, Reference, Spoken};
use clinic::vault::VaultError;
use domain::vault::{
    BirthDate, CONTACTS_MAX, Contact, ContactKind, DOCUMENTS_MAX, Document, DocumentKind, NAME_MAX_CHARS, Names,
    Passport, PassportChange, PassportRefused, Secret, TEXT_MAX_CHARS,
};
use domain::{Field, Permission, PersonId};

use super::language::{self, LANGUAGES};
use super::person::{Done, after};
use super::purpose::{Choice, Purposes};
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

/// Empty rows offered for a further document or contact.
const SPARE: usize = 1;
#[derive(Template)]
#[template(path = "person_edit.html")]
struct Page {
    frame: Frame,
    title: String,
    action: String,
    back: String,
    is_new: bool,
    purposes: Vec<Choice>,
    names: Vec<(&'static str, String)>,
    typed: Typed,
    shows_birth: bool,
    shows_documents: bool,
    shows_contacts: bool,
    shows_reference: bool,
    /// What counts if none is set here, in words.
    otherwise: String,
    /// Code, name, whether it is set.
    languages: Vec<(String, String, bool)>,
    document_kinds: Vec<(&'static str, String)>,
    contact_kinds: Vec<(&'static str, String)>,
    problems: Vec<(String, String)>,
    today: String,
    name_max: usize,
    text_max: usize,
    reference_max: usize,
    script: String,
}

impl Page {
    /// What is wrong with a field, in words.
    fn problem(&self, field: &str) -> Option<&str> {
        self.problems.iter().find(|(at, _)| at == field).map(|(_, text)| text.as_str())
    }

    /// Whether this is the first field with a mistake.
    fn is_first(&self, field: &str) -> bool {
        self.problems.first().is_some_and(|(at, _)| at == field)
    }
}

/// What stands in the form, as typed.
#[derive(Default)]
struct Typed {
    family: String,
    given: String,
    middle: String,
    birth_date: String,
    reference: String,
    language: String,
    documents: Vec<DocumentRow>,
    contacts: Vec<ContactRow>,
}

#[derive(Default)]
struct DocumentRow {
    /// Id of the field with the number.
    key: String,
    kind: String,
    number: String,
    issued: String,
}

#[derive(Default)]
struct ContactRow {
    /// Id of the field with the number or address.
    key: String,
    kind: String,
    value: String,
}

impl Typed {
    fn of(passport: &Passport, reference: Option<&Reference>, language: Option<&Spoken>) -> Self {
        let text = |secret: &Secret| secret.reveal().to_owned();
        Self {
            family: text(&passport.names.family),
            given: text(&passport.names.given),
            middle: text(&passport.names.middle),
            birth_date: passport.birth_date.map(|date| text(&date.reveal_iso())).unwrap_or_default(),
            reference: reference.map(|reference| reference.reveal().to_owned()).unwrap_or_default(),
            language: language.map(|language| language.as_str().to_owned()).unwrap_or_default(),
            documents: passport
                .documents
                .iter()
                .map(|one| DocumentRow {
                    kind: one.kind.as_str().to_owned(),
                    number: text(&one.number),
                    issued: text(&one.issued),
                    ..DocumentRow::default()
                })
                .collect(),
            contacts: passport
                .contacts
                .iter()
                .map(|one| ContactRow {
                    kind: one.kind.as_str().to_owned(),
                    value: text(&one.value),
                    ..ContactRow::default()
                })
                .collect(),
        }
    }

    fn read(form: &Query) -> Self {
        let one = |key: &str| form.one(key).unwrap_or_default().to_owned();
        let all = |key: &str, most: usize| form.all(key).map(|v| v.trim().to_owned()).take(most).collect::<Vec<_>>();
        // One more than may be stored: too many is said, not cut off.
        let numbers = all("document_number", DOCUMENTS_MAX + 1);
        let mut kinds = all("document_kind", DOCUMENTS_MAX + 1).into_iter();
        let mut issued = all("document_issued", DOCUMENTS_MAX + 1).into_iter();
        let documents = numbers.into_iter().map(|number| DocumentRow {
            kind: kinds.next().unwrap_or_default(),
            number,
            issued: issued.next().unwrap_or_default(),
            ..DocumentRow::default()
        });
        let values = all("contact_value", CONTACTS_MAX + 1);
        let mut ways = all("contact_kind", CONTACTS_MAX + 1).into_iter();
        let contacts = values.into_iter().map(|value| ContactRow {
            kind: ways.next().unwrap_or_default(),
            value,
            ..ContactRow::default()
        });
        Self {
            family: one("family"),
            given: one("given"),
            middle: one("middle"),
            birth_date: one("birth_date"),
            reference: one("reference"),
            language: one("language"),
            documents: documents.filter(|row| !row.number.is_empty() || !row.issued.is_empty()).collect(),
            contacts: contacts.filter(|row| !row.value.is_empty()).collect(),
        }
    }

    /// Offers empty rows below those that are filled.
    fn with_spares(mut self) -> Self {
        for _ in 0..SPARE {
            if self.documents.len() < DOCUMENTS_MAX {
                let kind = DocumentKind::Passport.as_str().to_owned();
                self.documents.push(DocumentRow { kind, ..DocumentRow::default() });
            }
            if self.contacts.len() < CONTACTS_MAX {
                let kind = if self.contacts.is_empty() { ContactKind::Phone } else { ContactKind::Email };
                self.contacts.push(ContactRow { kind: kind.as_str().to_owned(), ..ContactRow::default() });
            }
        }
        for (n, row) in self.documents.iter_mut().enumerate() {
            row.key = format!("document_number-{n}");
        }
        for (n, row) in self.contacts.iter_mut().enumerate() {
            row.key = format!("contact_value-{n}");
        }
        self
    }

    /// What is to be stored; or every mistake, with its field, in the order of the form.
    fn change(&self, acting: &Acting, visit: &Visit) -> Result<PassportChange, Vec<(String, String)>> {
        let (texts, shows) = (visit.texts(), |field| acting.rights.shows(field));
        let today = visit.app.now().to_chrono().map(|at| at.date_naive()).unwrap_or_default();
        let mut problems: Vec<(String, String)> = Vec::new();
        let mut check = |field: String, part: PassportChange| {
            let refused = part.check(today).err();
            problems.extend(refused.map(|why| (field, texts.t(refused_words(why)))));
            part
        };
        let mut change = PassportChange::default();
        if shows(Field::Name) {
            let names = Names::new(&self.family, &self.given, &self.middle);
            let long = |text: &str| text.chars().count() > NAME_MAX_CHARS;
            let at = if long(&self.given) {
                "given"
            } else if long(&self.middle) {
                "middle"
            } else {
                "family"
            };
            change.names =
                check(at.to_owned(), PassportChange { names: Some(names), ..PassportChange::default() }).names;
        }
        let mut bad_date = None;
        if shows(Field::BirthDate) {
            let born = BirthDate::parse(&self.birth_date);
            if born.is_none() && !self.birth_date.is_empty() {
                bad_date = Some(("birth_date".to_owned(), texts.t("edit-bad-date")));
            }
            let part = PassportChange { birth_date: Some(born), ..PassportChange::default() };
            change.birth_date = check("birth_date".to_owned(), part).birth_date;
        }
        if shows(Field::Document) {
            let mut documents = Vec::new();
            for (n, row) in self.documents.iter().enumerate() {
                let kind = DocumentKind::parse(&row.kind).unwrap_or(DocumentKind::Other);
                let (number, issued) = (Secret::new(&row.number), Secret::new(&row.issued));
                let one = Document { kind, number, issued };
                let part = PassportChange { documents: Some(vec![one.clone()]), ..PassportChange::default() };
                check(format!("document_number-{n}"), part);
                documents.push(one);
            }
            if documents.len() > DOCUMENTS_MAX {
                check(
                    "document_number-0".to_owned(),
                    PassportChange { documents: Some(documents.clone()), ..PassportChange::default() },
                );
            }
            change.documents = Some(documents);
        }
        let mut bad_mail = Vec::new();
        if shows(Field::Contact) {
            let mut contacts = Vec::new();
            for (n, row) in self.contacts.iter().enumerate() {
                let kind = ContactKind::parse(&row.kind).unwrap_or(ContactKind::Phone);
                let key = match kind {
                    ContactKind::Email if !is_mail(&row.value) => Some("edit-bad-mail"),
                    ContactKind::Phone if !is_phone(&row.value) => Some("edit-bad-phone"),
                    ContactKind::Email | ContactKind::Phone | ContactKind::Address => None,
                };
                bad_mail.extend(key.map(|key| (format!("contact_value-{n}"), texts.t(key))));
                let one = Contact { kind, value: Secret::new(&row.value) };
                let part = PassportChange { contacts: Some(vec![one.clone()]), ..PassportChange::default() };
                check(format!("contact_value-{n}"), part);
                contacts.push(one);
            }
            if contacts.len() > CONTACTS_MAX {
                check(
                    "contact_value-0".to_owned(),
                    PassportChange { contacts: Some(contacts.clone()), ..PassportChange::default() },
                );
            }
            change.contacts = Some(contacts);
        }
        problems.extend(bad_date);
        problems.extend(bad_mail);
        if problems.is_empty() { Ok(change) } else { Err(problems) }
    }

    /// Chosen from a list: anything else was not typed by anybody.
    fn language(&self) -> Result<Option<Spoken>, Fault> {
        match self.language.as_str() {
            "" => Ok(None),
            text => Spoken::parse(text).map(Some).ok_or(Fault::Invalid),
        }
    }

    fn reference(&self) -> Result<Option<Reference>, ()> {
        match self.reference.as_str() {
            "" => Ok(None),
            text => Reference::new(text).map(Some).ok_or(()),
        }
    }
}

fn is_mail(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !text.contains(' '))
}

fn is_phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    (2..=20).contains(&digits) && text.chars().all(|c| c.is_ascii_digit() || " +-().,#*/".contains(c))
}

const fn refused_words(why: PassportRefused) -> &'static str {
    match why {
        PassportRefused::NoName => "edit-no-name",
        PassportRefused::LongName => "edit-long-name",
        PassportRefused::LongText => "edit-long-text",
        PassportRefused::EmptyText => "edit-empty-text",
        PassportRefused::Control => "edit-control",
        PassportRefused::BornLater => "edit-born-later",
        PassportRefused::ManyDocuments => "edit-many-documents",
        PassportRefused::ManyContacts => "edit-many-contacts",
    }
}

/// `GET /people/new`
pub async fn new(visit: Visit, query: Query) -> Result<Response, Fault> {
    must_be_open(&visit)?;
    let purpose = query.one("for").unwrap_or(Purpose::PassIssue.as_str()).to_owned();
    page(&visit, StatusCode::OK, None, &purpose, Typed::default(), Vec::new()).await
}

/// `POST /people/new`
pub async fn create(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    must_be_open(&visit)?;
    let form = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let (acting, texts, typed) = (visit.acting()?, visit.texts(), Typed::read(&form));
    let language = typed.language()?;
    let chosen = form.one("purpose").unwrap_or_default().to_owned();
    let (change, purpose, reference) = match whole(&visit, &acting, &typed, &chosen) {
        Ok(whole) => whole,
        Err(problems) => return page(&visit, UNPROCESSABLE, None, &chosen, typed, problems).await,
    };
    let (database, now) = (&visit.app.database, visit.app.now());
    let person = match clinic_people::register(database, &acting, reference, now).await {
        Ok(person) => person,
        Err(PersonError::ReferenceTaken) => {
            let problems = vec![("reference".to_owned(), texts.t("edit-reference-taken"))];
            return page(&visit, UNPROCESSABLE, None, &chosen, typed, problems).await;
        }
        Err(error) => return Err(error.into()),
    };
    clinic_people::set_language(database, &acting, person, language, now).await?;
    visit.app.vault.put(&acting, person, change, purpose).await?;
    Ok(after(person, &chosen, Done::Registered))
}

const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

type Whole = (PassportChange, Purpose, Option<Reference>);

/// Everything that was typed, or every mistake in the order of the form.
fn whole(visit: &Visit, acting: &Acting, typed: &Typed, chosen: &str) -> Result<Whole, Vec<(String, String)>> {
    let texts = visit.texts();
    let mut problems = Vec::new();
    let change = typed.change(acting, visit).unwrap_or_else(|found| {
        problems = found;
        PassportChange::default()
    });
    let reference = typed.reference().unwrap_or_else(|()| {
        problems.push(("reference".to_owned(), texts.t("edit-bad-reference")));
        None
    });
    match Purposes::of(acting).read(chosen) {
        Some(purpose) if problems.is_empty() => Ok((change, purpose, reference)),
        Some(_) => Err(problems),
        None => {
            problems.push(("purpose".to_owned(), texts.t("purpose-missing")));
            Err(problems)
        }
    }
}

/// `GET /people/{person}/edit`: unmasks what can be corrected.
pub async fn edit(visit: Visit, Path(person): Path<String>, query: Query) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let acting = visit.acting()?;
    let (database, now) = (&visit.app.database, visit.app.now());
    clinic_people::person(database, &acting, person).await?.ok_or(Fault::NotFound)?;
    let purpose = Purposes::of(&acting).read(query.one("for").unwrap_or_default()).unwrap_or(Purpose::Maintenance);
    let fields = [Field::Name, Field::BirthDate, Field::Document, Field::Contact];
    let passport = match visit.app.vault.reveal(&acting, person, &fields, purpose, None).await {
        Ok(passport) => passport,
        // Nothing is known yet: an empty form.
        Err(VaultError::Unknown) => Passport::default(),
        Err(error) => return Err(error.into()),
    };
    let reference = match acting.rights.shows(Field::Reference) {
        true => clinic_people::reveal_reference(database, &acting, person, purpose, now).await?,
        false => None,
    };
    let language = clinic_people::language_known(database, &acting, person).await?;
    let typed = Typed::of(&passport, reference.as_ref(), language.set.as_ref());
    page(&visit, StatusCode::OK, Some(person), purpose.as_str(), typed, Vec::new()).await
}

/// `POST /people/{person}/edit`
pub async fn save(visit: Visit, Path(person): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let form = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let (acting, texts, typed) = (visit.acting()?, visit.texts(), Typed::read(&form));
    let language = typed.language()?;
    let chosen = form.one("purpose").unwrap_or_default().to_owned();
    let (change, purpose, reference) = match whole(&visit, &acting, &typed, &chosen) {
        Ok(whole) => whole,
        Err(problems) => return page(&visit, UNPROCESSABLE, Some(person), &chosen, typed, problems).await,
    };
    if acting.rights.shows(Field::Reference) {
        let (database, now) = (&visit.app.database, visit.app.now());
        match clinic_people::set_reference(database, &acting, person, reference, now).await {
            Ok(()) => {}
            Err(PersonError::ReferenceTaken) => {
                let problems = vec![("reference".to_owned(), texts.t("edit-reference-taken"))];
                return page(&visit, UNPROCESSABLE, Some(person), &chosen, typed, problems).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    clinic_people::set_language(&visit.app.database, &acting, person, language, visit.app.now()).await?;
    visit.app.vault.put(&acting, person, change, purpose).await?;
    Ok(after(person, &chosen, Done::Saved))
}

/// Nothing is typed into a form that could not be stored.
fn must_be_open(visit: &Visit) -> Result<(), Fault> {
    visit.acting()?.must(Permission::PersonEdit)?;
    if visit.app.vault.is_open() { Ok(()) } else { Err(Fault::Locked) }
}

async fn page(
    visit: &Visit,
    status: StatusCode,
    person: Option<PersonId>,
    purpose: &str,
    typed: Typed,
    problems: Vec<(String, String)>,
) -> Result<Response, Fault> {
    let (acting, texts) = (visit.acting()?, visit.texts());
    let shows = |field| acting.rights.shows(field);
    let kept = Purpose::parse(purpose).map(|purpose| format!("?for={purpose}")).unwrap_or_default();
    let (title, action, back) = match person {
        None => (texts.t("edit-new-title"), "/people/new".to_owned(), format!("/people{kept}")),
        Some(id) => (texts.t("edit-title"), format!("/people/{id}/edit"), format!("/people/{id}{kept}")),
    };
    let told = match person {
        Some(id) => clinic_people::language_known(&visit.app.database, &acting, id).await?.told,
        None => None,
    };
    let is_other = Spoken::parse(&typed.language).is_some_and(|code| LANGUAGES.iter().all(|it| it.0 != code.as_str()));
    let other = is_other.then(|| (typed.language.clone(), typed.language.clone(), true));
    let known = LANGUAGES.iter().map(|(code, name)| ((*code).to_owned(), (*name).to_owned(), *code == typed.language));
    let languages = known.chain(other).collect();
    let page = Page {
        frame: Frame::new(visit, "people"),
        title,
        action,
        back,
        is_new: person.is_none(),
        purposes: Purposes::of(&acting).choices(purpose, &texts),
        names: vec![("family", typed.family.clone()), ("given", typed.given.clone()), ("middle", typed.middle.clone())],
        typed: typed.with_spares(),
        shows_birth: shows(Field::BirthDate),
        shows_documents: shows(Field::Document),
        shows_contacts: shows(Field::Contact),
        shows_reference: shows(Field::Reference),
        otherwise: told.map_or_else(|| texts.t("edit-language-unknown"), |told| language::told(&told, &texts)),
        languages,
        document_kinds: kinds("document-", DocumentKind::ALL.iter().map(|kind| kind.as_str()), &texts),
        contact_kinds: kinds("contact-", ContactKind::ALL.iter().map(|kind| kind.as_str()), &texts),
        problems,
        today: visit.app.now().to_chrono().map(|at| at.format("%Y-%m-%d").to_string()).unwrap_or_default(),
        name_max: NAME_MAX_CHARS,
        text_max: TEXT_MAX_CHARS,
        reference_max: clinic_people::REFERENCE_MAX_BYTES,
        script: crate::pages::assets::path("people.js"),
    };
    render(status, &page)
}

fn kinds(prefix: &str, codes: impl Iterator<Item = &'static str>, texts: &Texts) -> Vec<(&'static str, String)> {
    codes.map(|code| (code, texts.code(prefix, code))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_form_stay_together_and_empty_ones_are_left_out() {
        let form = Query::read(
            "family=+Bondar+&document_kind=passport&document_number=&document_issued=&document_kind=id_card\
             &document_number=77&document_issued=x&contact_kind=phone&contact_value=%2B380&contact_kind=email\
             &contact_value=",
        );
        let typed = Typed::read(&form);
        assert_eq!(typed.family, "Bondar");
        let rows: Vec<_> = typed.documents.iter().map(|row| (row.kind.as_str(), row.number.as_str())).collect();
        assert_eq!(rows, [("id_card", "77")]);
        assert_eq!(typed.contacts.len(), 1);
        assert_eq!(typed.with_spares().contacts.len(), 2);
    }

    #[test]
    fn telephone_numbers_and_addresses_are_told_from_anything_else() {
        for good in ["+380 67 555-01-99", "103", "(044) 1234567"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["", "call me", "<b>1</b>22", "1"] {
            assert!(!is_phone(bad), "{bad}");
        }
        assert!(is_mail("olena@example.org") && !is_mail("olena@") && !is_mail("@a.b") && !is_mail("a b@c.d"));
    }
}
