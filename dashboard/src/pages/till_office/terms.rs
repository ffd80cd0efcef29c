//! Terms of payment: the list, one with its versions, changing and withdrawing them, and which count for a patient today and why.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::disclosures::Class;
use clinic::till::{NewTerms, Payer, StoredTerms, TillError, Why, overlaps};
use domain::PersonId;
use domain::money::Amount;
use domain::till::{Mode, Owner, Scope, Terms};

use super::{
    Choice, Problem, amount, bad, choices, currency_of, day, days, exported, read, said, searched, typed, who,
};
use crate::csv::Csv;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::hands::Hands;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Lines of the page; the file has all of them.
const SHOWN_MAX: usize = 500;

#[derive(Template)]
#[template(path = "till_office/terms.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    /// Lines left out beyond [`SHOWN_MAX`].
    hidden: usize,
    all: usize,
    scopes: Vec<Choice>,
    modes: Vec<Choice>,
    search: String,
    overlaps: Vec<String>,
    has_everybody: bool,
    open: Option<Open>,
    form: Option<Form>,
    asked: Option<Asked>,
    /// A record number that meant nobody, as typed.
    number: String,
    export: String,
    back: String,
    done: Option<String>,
    problem: Problem,
}

struct Line {
    id: String,
    link: String,
    owner: String,
    scope: String,
    mode: String,
    bounds: Vec<String>,
    scheme: String,
    priority: u32,
    days: String,
    state: (&'static str, String),
    is_open: bool,
}

struct Open {
    id: String,
    version: u32,
    owner: String,
    versions: Vec<Version>,
}

struct Version {
    version: u32,
    words: String,
    made: String,
    who: String,
    is_withdrawn: bool,
}

struct Form {
    id: String,
    version: u32,
    owner: String,
    owners: Vec<Choice>,
    modes: Vec<Choice>,
    currency: String,
    limit: String,
    pots: Vec<Choice>,
    schemes: Vec<Choice>,
    priority: String,
    from: String,
    until: String,
}

/// Which terms count for a patient.
struct Asked {
    name: String,
    id: String,
    day: String,
    counts: Option<String>,
    lines: Vec<(Line, &'static str, String)>,
}

/// An owner as a form carries it.
fn owner_code(owner: &Owner) -> String {
    match owner {
        Owner::Everybody => "everybody".to_owned(),
        Owner::Payer(id) => format!("payer:{id}"),
        Owner::Patient(person) => format!("patient:{person}"),
    }
}

fn read_owner(text: &str) -> Result<Owner, TillError> {
    match text.split_once(':') {
        None if text == "everybody" => Ok(Owner::Everybody),
        Some(("payer", id)) => Ok(Owner::Payer(id.to_owned())),
        Some(("patient", id)) => id.parse().map(Owner::Patient).map_err(|_| bad("owner")),
        _ => Err(bad("owner")),
    }
}

/// What a page says of terms.
struct Words<'a> {
    texts: Texts,
    visit: &'a Visit,
    payers: &'a [Payer],
    faces: &'a Faces,
    today: domain::schedule::LocalDate,
}

impl Words<'_> {
    fn owner(&self, owner: &Owner) -> String {
        match owner {
            Owner::Everybody => self.texts.t("till-scope-everybody"),
            Owner::Payer(id) => {
                let payer = self.payers.iter().find(|payer| payer.id == *id);
                payer.map_or_else(|| id.clone(), |payer| payer.name.clone())
            }
            Owner::Patient(person) => {
                self.faces.name(Some(*person)).map_or_else(|| short_id(&person.to_string()), str::to_owned)
            }
        }
    }

    /// Whether the list is narrowed to these.
    fn is_listed(&self, terms: &Terms, query: &Query) -> bool {
        let (scope, mode, search) = (typed(query, "scope"), typed(query, "mode"), searched(query).to_lowercase());
        let found = || {
            let scheme = terms.scheme.as_deref().unwrap_or_default();
            format!("{} {} {scheme}", terms.id, self.owner(&terms.owner)).to_lowercase().contains(&search)
        };
        (scope.is_empty() || terms.scope.as_str() == scope)
            && (mode.is_empty() || terms.mode.as_str() == mode)
            && (search.is_empty() || found())
    }

    fn bounds(&self, terms: &Terms) -> Vec<String> {
        let limit = terms
            .limit
            .map(|limit| self.texts.a("till-office-limit-is", &money::amount(&self.texts, terms.currency, limit)));
        let pot = terms.pot.as_ref().map(|pot| {
            let name = self.payers.iter().find(|payer| payer.id == *pot).map_or(pot.as_str(), |payer| &payer.name);
            self.texts.a("till-office-pot-of", name)
        });
        let all: Vec<String> = limit.into_iter().chain(pot).collect();
        if all.is_empty() { vec![terms.currency.to_string()] } else { all }
    }

    fn all(&self, terms: &Terms) -> String {
        let mut words = vec![self.texts.code("till-mode-", terms.mode.as_str())];
        words.extend(self.bounds(terms));
        words.extend(terms.scheme.as_ref().map(|scheme| self.texts.a("till-office-scheme-is", scheme)));
        words.push(self.texts.n("till-office-priority-is", i64::from(terms.priority)));
        words.push(days(&self.texts, terms.from, terms.until));
        words.join(" · ")
    }

    fn line(&self, terms: &Terms, base: &str, is_open: bool) -> Line {
        let state = if terms.is_valid_on(self.today) {
            ("ok", "now")
        } else if terms.from > self.today {
            ("info", "later")
        } else {
            ("warn", "over")
        };
        Line {
            id: terms.id.clone(),
            link: base.to_owned(),
            owner: self.owner(&terms.owner),
            scope: self.texts.code("till-scope-", terms.scope.as_str()),
            mode: self.texts.code("till-mode-", terms.mode.as_str()),
            bounds: self.bounds(terms),
            scheme: terms.scheme.clone().unwrap_or_default(),
            priority: terms.priority,
            days: days(&self.texts, terms.from, terms.until),
            state: (state.0, self.texts.code("till-office-valid-", state.1)),
            is_open,
        }
    }

    async fn version(&self, hands: &mut Hands<'_>, stored: &StoredTerms) -> Result<Version, Fault> {
        Ok(Version {
            version: stored.terms.version,
            words: self.all(&stored.terms),
            made: self.visit.times().full(stored.made.at),
            who: who(hands, &stored.made).await?,
            is_withdrawn: stored.is_withdrawn,
        })
    }
}

fn patients<'a>(all: impl IntoIterator<Item = &'a StoredTerms>) -> Vec<PersonId> {
    let patient = |stored: &StoredTerms| match stored.terms.owner {
        Owner::Patient(person) => Some(person),
        Owner::Everybody | Owner::Payer(_) => None,
    };
    all.into_iter().filter_map(patient).collect()
}

/// `GET /till/terms`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("till-office-done-", done));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let mut all = till.terms_of(&acting, None).await?;
    // From the most general to the most particular, as one thinks of them.
    all.sort_by_key(|stored| stored.terms.scope);
    let payers = till.payers(&acting, "", true).await?;
    let patient: Option<PersonId> =
        query.one("patient").map(|text| text.parse().map_err(|_| Fault::NotFound)).transpose()?;
    let mut persons = patients(&all);
    persons.extend(patient);
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let today = till.today();
    let words = Words { texts, visit, payers: &payers, faces: &faces, today };
    let plain = Query::read(query.with("done", None).trim_start_matches('?'));
    let (scope, mode) = (typed(query, "scope"), typed(query, "mode"));
    let search = searched(query);
    let wanted = query.one("open");
    let link = |id: &str| format!("/till/terms{}#terms", plain.with("open", Some(id)));
    let mut lines: Vec<Line> = all
        .iter()
        .filter(|stored| words.is_listed(&stored.terms, query))
        .map(|stored| words.line(&stored.terms, &link(&stored.terms.id), wanted == Some(stored.terms.id.as_str())))
        .collect();
    let hidden = lines.len().saturating_sub(SHOWN_MAX);
    lines.truncate(SHOWN_MAX);
    let pairs = overlaps(&all).into_iter().take(20).map(|(counts, hidden)| {
        let values =
            [("counts", counts.id.clone()), ("hidden", hidden.id.clone()), ("owner", words.owner(&counts.owner))];
        words.texts.with("till-office-overlap", &values)
    });
    let (mut open, mut form, mut problem) = (None, None, Problem::default());
    if let Some(id) = wanted {
        let history = till.terms_history(&acting, id).await?;
        match history.first() {
            Some(newest) => {
                if !newest.is_withdrawn {
                    form = Some(Form::of(visit, &words, &newest.terms).await?);
                }
                let (mut hands, mut versions) = (Hands::new(visit), Vec::new());
                for stored in &history {
                    versions.push(words.version(&mut hands, stored).await?);
                }
                open = Some(Open {
                    id: newest.terms.id.clone(),
                    version: newest.terms.version,
                    owner: words.owner(&newest.terms.owner),
                    versions,
                });
            }
            None => problem = Problem::at("", words.texts.t("till-problem-not_found")),
        }
    } else if let Some(owner) = query.one("new") {
        let owner = read_owner(owner).unwrap_or(Owner::Everybody);
        form = Some(Form::empty(visit, &words, &owner, patient).await?);
    }
    let asked = match patient {
        Some(person) => Some(asked(visit, query, &words, person).await?),
        None => None,
    };
    Ok(Page {
        frame: Frame::new(visit, "till-terms"),
        all: all.len(),
        has_everybody: all
            .iter()
            .any(|stored| stored.terms.scope == Scope::Everybody && stored.terms.is_valid_on(today)),
        lines,
        hidden,
        scopes: choices(&words.texts, "till-scope-", &codes(Scope::ALL, Scope::as_str), scope),
        modes: choices(&words.texts, "till-mode-", &codes(Mode::ALL, Mode::as_str), mode),
        search,
        overlaps: pairs.collect(),
        open,
        form,
        asked,
        number: String::new(),
        export: format!("/till/terms.csv{}", plain.with("open", None)),
        back: format!("/till/terms{}", Query::read(plain.with("open", None).trim_start_matches('?')).with("new", None)),
        done: None,
        problem,
    })
}

fn codes<T: Copy>(all: &[T], code: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|it| code(*it)).collect()
}

async fn asked(visit: &Visit, query: &Query, words: &Words<'_>, person: PersonId) -> Result<Asked, Fault> {
    let till = &visit.app.till;
    let on = day("on", query).ok().flatten().unwrap_or_else(|| till.today());
    let currency = currency_of(visit, query).unwrap_or(till.rules().currency);
    let answer = till.terms_for(&visit.acting()?, person, on, currency).await?;
    let words = Words { texts: visit.texts(), today: on, ..*words };
    let tone = |why| match why {
        Why::Counts => "ok",
        Why::Over | Why::Currency => "warn",
        Why::Priority | Why::Particular | Why::Older | Why::Later => "info",
    };
    let lines = answer.lines.iter().map(|(stored, why)| {
        let link = format!("/till/terms?open={}#terms", stored.terms.id);
        let why_words = words.texts.code("till-office-why-", why.as_str());
        (words.line(&stored.terms, &link, false), tone(*why), why_words)
    });
    Ok(Asked {
        name: words.owner(&Owner::Patient(answer.patient)),
        id: answer.patient.to_string(),
        day: answer.day.to_string(),
        counts: answer.counting().map(|terms| words.all(terms)),
        lines: lines.collect(),
    })
}

impl Form {
    async fn of(visit: &Visit, words: &Words<'_>, terms: &Terms) -> Result<Self, Fault> {
        let acting = visit.acting()?;
        let schemes = visit.app.till.schemes(&acting).await?;
        let texts = &words.texts;
        let scheme = terms.scheme.as_deref().unwrap_or_default();
        let named = |it: &clinic::till::StoredScheme| {
            Choice::new(&it.scheme.id, format!("{} · {}", it.name, it.currency), scheme)
        };
        let pot = terms.pot.as_deref().unwrap_or_default();
        let pots = words
            .payers
            .iter()
            .filter(|payer| !payer.pots.is_empty())
            .map(|payer| Choice::new(&payer.id, payer.name.clone(), pot));
        let amount = |amount: Amount| terms.currency.decimal(amount);
        Ok(Self {
            id: terms.id.clone(),
            version: terms.version,
            owner: owner_code(&terms.owner),
            owners: Vec::new(),
            modes: choices(texts, "till-mode-", &codes(Mode::ALL, Mode::as_str), terms.mode.as_str()),
            currency: terms.currency.to_string(),
            limit: terms.limit.map(amount).unwrap_or_default(),
            pots: pots.collect(),
            schemes: schemes.iter().map(named).collect(),
            priority: terms.priority.to_string(),
            from: terms.from.to_string(),
            until: terms.until.map(|day| day.to_string()).unwrap_or_default(),
        })
    }

    async fn empty(visit: &Visit, words: &Words<'_>, owner: &Owner, patient: Option<PersonId>) -> Result<Self, Fault> {
        let till = &visit.app.till;
        let terms = Terms {
            id: String::new(),
            version: 0,
            scope: Scope::Everybody,
            owner: owner.clone(),
            mode: Mode::Postpaid,
            currency: till.rules().currency,
            limit: None,
            pot: None,
            scheme: None,
            priority: 0,
            from: till.today(),
            until: None,
        };
        let chosen = owner_code(owner);
        let mut owners = vec![Choice::new("everybody", words.texts.t("till-scope-everybody"), &chosen)];
        let mut patients: Vec<PersonId> = patient.into_iter().collect();
        if let Owner::Patient(person) = owner
            && !patients.contains(person)
        {
            patients.push(*person);
        }
        for person in patients {
            let owner = Owner::Patient(person);
            owners.push(Choice::new(&owner_code(&owner), words.owner(&owner), &chosen));
        }
        owners.extend(words.payers.iter().filter(|payer| payer.ended.is_none()).map(|payer| {
            let kind = words.texts.code("till-scope-", payer.kind.as_str());
            Choice::new(&format!("payer:{}", payer.id), format!("{kind}: {}", payer.name), &chosen)
        }));
        Ok(Self { owners, ..Self::of(visit, words, &terms).await? })
    }
}

/// What the form says.
fn wanted(visit: &Visit, form: &Query) -> Result<NewTerms, TillError> {
    let currency = currency_of(visit, form)?;
    let id = match (form.one("id"), form.one("version")) {
        (Some(id), Some(version)) => Some((id.to_owned(), version.parse().map_err(|_| bad("version"))?)),
        _ => None,
    };
    let priority = typed(form, "priority");
    Ok(NewTerms {
        id,
        owner: read_owner(typed(form, "owner"))?,
        mode: Mode::parse(typed(form, "mode")).ok_or_else(|| bad("mode"))?,
        currency,
        limit: form.one("limit").map(|text| amount("limit", text, currency)).transpose()?,
        pot: form.one("pot").map(str::to_owned),
        scheme: form.one("scheme").map(str::to_owned),
        priority: if priority.is_empty() { 0 } else { priority.parse().map_err(|_| bad("priority"))? },
        from: day("from", form)?.ok_or_else(|| bad("from"))?,
        until: day("until", form)?,
    })
}

/// `POST /till/terms/put`
pub async fn put(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let outcome = match wanted(&visit, &form) {
        Ok(new) => visit.app.till.put_terms(&visit.acting()?, new).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(stored) => Ok(go(&format!("/till/terms?open={}&done=terms#terms", stored.terms.id))),
        Err(error) => {
            let is_changed = matches!(error, TillError::Changed);
            let problem = said(&visit, error)?;
            let query = match form.one("id") {
                Some(id) => Query::default().with("open", Some(id)),
                None => Query::default().with("new", form.one("owner")),
            };
            let mut page = page(&visit, &Query::read(query.trim_start_matches('?'))).await?;
            // What was typed stays, unless it was typed over something that is no longer so.
            if let Some(shown) = page.form.as_mut().filter(|_| !is_changed) {
                shown.keep(&form);
            }
            page.problem = Problem::at(if page.form.is_some() { "terms" } else { "" }, problem);
            render(if is_changed { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY }, &page)
        }
    }
}

impl Form {
    /// Takes over what was typed.
    fn keep(&mut self, form: &Query) {
        let text = |key: &str| typed(form, key).to_owned();
        let choose = |all: &mut Vec<Choice>, key: &str| {
            all.iter_mut().for_each(|choice| choice.is_set = choice.code == typed(form, key));
        };
        (self.currency, self.limit, self.priority) = (text("currency"), text("limit"), text("priority"));
        (self.from, self.until) = (text("from"), text("until"));
        choose(&mut self.modes, "mode");
        choose(&mut self.pots, "pot");
        choose(&mut self.schemes, "scheme");
        choose(&mut self.owners, "owner");
    }
}

/// `POST /till/terms/withdraw`
pub async fn withdraw(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let id = typed(&form, "id");
    let version = typed(&form, "version").parse().map_err(|_| Fault::Invalid)?;
    match visit.app.till.withdraw_terms(&visit.acting()?, id, version).await {
        Ok(()) => Ok(go("/till/terms?done=withdrawn")),
        Err(error) => {
            let problem = said(&visit, error)?;
            let query = Query::default().with("open", Some(id));
            let mut page = page(&visit, &Query::read(query.trim_start_matches('?'))).await?;
            page.problem = Problem::at(if page.form.is_some() { "terms" } else { "" }, problem);
            render(StatusCode::CONFLICT, &page)
        }
    }
}

/// `POST /till/terms/patient`: whom a record number means; the number stands in no address.
pub async fn patient(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    match visit.app.till.person_by_number(&visit.acting()?, typed(&form, "number")).await? {
        Some(person) => Ok(go(&format!("/till/terms?patient={person}#asked"))),
        None => {
            let mut page = page(&visit, &Query::default()).await?;
            page.problem = Problem::at("patient", visit.texts().t("till-office-bad-number"));
            page.number = typed(&form, "number").to_owned();
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// `GET /till/terms.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let all = till.terms_of(&acting, None).await?;
    let payers = till.payers(&acting, "", true).await?;
    // Names are looked at only where one is searched for.
    let persons = if searched(&query).is_empty() { Vec::new() } else { patients(&all) };
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let words = Words { texts, visit: &visit, payers: &payers, faces: &faces, today: till.today() };
    let mut csv = Csv::new(&[
        "id", "version", "scope", "owner", "mode", "currency", "limit", "pot", "scheme", "priority", "from", "until",
    ]);
    let mut rows = 0;
    for terms in all.iter().map(|stored| &stored.terms).filter(|terms| words.is_listed(terms, &query)) {
        rows += 1;
        let owner = match &terms.owner {
            Owner::Everybody => String::new(),
            Owner::Payer(id) => id.clone(),
            Owner::Patient(person) => person.to_string(),
        };
        csv.row(&[
            terms.id.clone(),
            terms.version.to_string(),
            terms.scope.to_string(),
            owner,
            terms.mode.to_string(),
            terms.currency.to_string(),
            terms.limit.map(|limit| terms.currency.decimal(limit)).unwrap_or_default(),
            terms.pot.clone().unwrap_or_default(),
            terms.scheme.clone().unwrap_or_default(),
            terms.priority.to_string(),
            terms.from.to_string(),
            terms.until.map(|day| day.to_string()).unwrap_or_default(),
        ]);
    }
    exported(&visit, "/till/terms.csv", Class::Payment, rows).await?;
    Ok(csv.into_response("terms.csv"))
}
