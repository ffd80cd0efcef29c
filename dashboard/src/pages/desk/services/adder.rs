//! Where a service is searched for and added: what fits the words, with what it costs this patient now, and what became of
//! the last try. Drawn into the page and, for the page's script, alone: typed words and a refused wish travel in the
//! query, so that a refusal turns into an offer by itself once there is enough money.

use askama::Template;
use clinic::acting::Acting;
use clinic::people::{self, PersonError};
use clinic::till::{Offer, TillError};
use clinic::visits::Visit as PatientVisit;
use domain::money::{Amount, Currency};
use domain::till::{Mode, Refusal};
use domain::{Permission, PersonId};

use crate::desk_visit::AtDesk;
use crate::fault::Fault;
use crate::language::{Language, Texts};
use crate::money::{self, Refused};
use crate::pages::query::Query;
use crate::visit::Visit;

/// Services listed at once.
const OFFERED: u32 = 8;
/// Longest text to search for, in characters.
const FIND_MAX_CHARS: usize = 80;

/// What is searched for, and which service is wanted and was not registered yet.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// A part of a code or name.
    pub find: String,
    /// The code of the service that was refused.
    pub wanted: Option<String>,
    /// How many of it; 0 counts as one.
    pub pieces: u32,
    /// What all pieces were shown to cost before, if that was another sum.
    pub old: Option<Amount>,
    /// Why it was refused, when that was just now.
    pub refusal: Option<Refusal>,
    /// What else is wrong, in words.
    pub problem: Option<String>,
}

impl Wish {
    /// Reads the query of a page; what cannot be understood is nothing.
    pub fn read(query: &Query) -> Self {
        let amount = |key| query.one(key).and_then(|text| text.parse().ok()).and_then(Amount::new);
        Self {
            find: cut(query.one("find").unwrap_or_default()),
            wanted: query.one("wanted").map(cut),
            pieces: query.one("pieces").and_then(|text| text.parse().ok()).unwrap_or(1),
            old: amount("old"),
            refusal: None,
            problem: None,
        }
    }

    fn pieces(&self) -> u32 {
        self.pieces.max(1)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(FIND_MAX_CHARS).collect()
}

#[derive(Template)]
#[template(path = "desk/adder.html")]
struct Adder {
    x: Texts,
    form: String,
    visit: String,
    find: String,
    /// So that the script asks for the same again.
    wanted: String,
    pieces: u32,
    old: String,
    problem: Option<String>,
    card: Option<Card>,
    offers: Vec<Row>,
    has_more: bool,
}

/// One line of it alone: a service in as many pieces as were typed.
#[derive(Template)]
#[template(path = "desk/offer.html")]
struct One {
    x: Texts,
    form: String,
    visit: String,
    find: String,
    offer: Row,
}

struct Row {
    key: String,
    service: String,
    name: String,
    sub: String,
    /// Of one piece.
    price: String,
    discount: Option<String>,
    /// What all pieces cost.
    net: String,
    pieces: u32,
    /// Minor units of what is to be paid for all of them, as it is shown.
    shown: i64,
    /// What stands in the way, in a word.
    hindered: Option<String>,
    may_try: bool,
    go: String,
}

/// What became of the wanted service.
enum Card {
    /// It cannot be registered now.
    Refused(String),
    /// It can, for another sum than was shown, or now that there is enough.
    Ready(ReadyCard),
}

/// A refusal, for the specialist and, in the patient's language, for the patient.
#[derive(Template)]
#[template(path = "desk/refused.html")]
struct RefusedCard {
    what: String,
    said: Refused,
    patient: Refused,
    patient_name: String,
    language: &'static str,
    show: String,
    close: String,
}

struct ReadyCard {
    title: String,
    text: String,
    key: String,
    service: String,
    pieces: u32,
    shown: i64,
    go: String,
}

/// Draws it; empty without an open binding, a running visit or the right to register.
///
/// # Errors
/// The database.
pub async fn adder(visit: &Visit, desk: &AtDesk, wish: Wish) -> Result<String, Fault> {
    let Some(acting) = desk.acting.as_ref().filter(|_| desk.is_open()) else { return Ok(String::new()) };
    if !acting.rights.allows(Permission::ServiceRegister) {
        return Ok(String::new());
    }
    match visit.app.visits.current(acting, &desk.workstation.point).await? {
        Some(running) => draw(visit, desk, acting, &running, wish).await,
        None => Ok(String::new()),
    }
}

async fn draw(
    visit: &Visit,
    desk: &AtDesk,
    acting: &Acting,
    running: &PatientVisit,
    wish: Wish,
) -> Result<String, Fault> {
    let (app, texts) = (&visit.app, visit.texts());
    let found = match app.till.offers(acting, running.patient, &wish.find, OFFERED).await {
        Ok(found) => found,
        Err(TillError::NotFound | TillError::Denied(_)) => return Ok(String::new()),
        Err(error) => return Err(error.into()),
    };
    let wanted = match &wish.wanted {
        Some(code) => offer_of(visit, acting, running.patient, code, wish.pieces()).await?,
        None => None,
    };
    let card = card(visit, acting, running.patient, wanted.as_ref(), &wish).await?;
    let minor = |amount: Option<Amount>| amount.map(|amount| amount.minor().to_string()).unwrap_or_default();
    let page = Adder {
        x: texts,
        form: desk.form_token(app.now()),
        visit: running.id.clone(),
        wanted: wanted.as_ref().map(|offer| offer.service.clone()).unwrap_or_default(),
        pieces: wish.pieces(),
        old: minor(wish.old),
        find: wish.find,
        problem: wish.problem,
        card,
        offers: found.services.iter().map(|offer| row(&texts, found.currency, offer, 1)).collect::<Result<_, _>>()?,
        has_more: found.has_more,
    };
    Ok(page.render()?)
}

/// One line for as many pieces of a service as were typed: what they cost together, and what stands in the way.
///
/// # Errors
/// [`Fault::NotFound`] without a visit that runs, or for a service that is given no more; the database.
pub async fn one(visit: &Visit, desk: &AtDesk, service: &str, pieces: u32) -> Result<String, Fault> {
    let (_, acting) = desk.signed_in()?;
    let running = visit.app.visits.current(acting, &desk.workstation.point).await?.ok_or(Fault::NotFound)?;
    let offer = offer_of(visit, acting, running.patient, service, pieces).await?.ok_or(Fault::NotFound)?;
    let (texts, currency) = (visit.texts(), visit.app.till.rules().currency);
    let page = One {
        x: texts,
        form: desk.form_token(visit.app.now()),
        visit: running.id,
        find: String::new(),
        offer: row(&texts, currency, &offer, pieces)?,
    };
    Ok(page.render()?)
}

/// A service in so many pieces as it can be had now; `None`: it is given no more.
///
/// # Errors
/// The database; who may not register, and a patient who is not there.
pub async fn offer_of(
    visit: &Visit,
    acting: &Acting,
    patient: PersonId,
    code: &str,
    pieces: u32,
) -> Result<Option<Offer>, Fault> {
    Ok(visit.app.till.offer(acting, patient, code, pieces).await?)
}

/// The language that the patient is spoken to in; the site's where it is not known or we do not have it.
async fn spoken(visit: &Visit, acting: &Acting, patient: PersonId) -> Result<Language, Fault> {
    match people::language_of(&visit.app.database, acting, patient).await {
        Ok(found) => Ok(found.and_then(|code| Language::parse(code.as_str())).unwrap_or(visit.app.language)),
        Err(PersonError::Store(error)) => Err(error.into()),
        // Who may not see people is still to tell them why something is refused.
        Err(_) => Ok(visit.app.language),
    }
}

/// A name of a service in a language, or in English, or whichever there is.
pub fn name_in(offer: &Offer, language: Language) -> String {
    let found =
        offer.names.get(language.code()).or_else(|| offer.names.get("en")).or_else(|| offer.names.values().next());
    found.unwrap_or(&offer.service).clone()
}

/// Why so many pieces of a service are refused to a patient, drawn.
///
/// # Errors
/// The database.
pub async fn refused(
    visit: &Visit,
    acting: &Acting,
    patient: PersonId,
    offer: Option<&Offer>,
    pieces: u32,
    refusal: &Refusal,
) -> Result<String, Fault> {
    let (texts, language) = (visit.texts(), spoken(visit, acting, patient).await?);
    let currency = visit.app.till.rules().currency;
    let name = |texts: &Texts| match offer {
        Some(offer) => with_pieces(texts, &name_in(offer, texts.language()), pieces),
        None => String::new(),
    };
    let card = RefusedCard {
        what: name(&texts),
        said: money::refused(&texts, currency, refusal),
        patient: money::refused_to_patient(&language.texts(), currency, refusal),
        patient_name: name(&language.texts()),
        language: language.code(),
        show: texts.t("services-show"),
        close: texts.t("services-show-close"),
    };
    Ok(card.render()?)
}

/// What became of what is wanted, as things stand now.
async fn card(
    visit: &Visit,
    acting: &Acting,
    patient: PersonId,
    wanted: Option<&Offer>,
    wish: &Wish,
) -> Result<Option<Card>, Fault> {
    // What the till has just said counts; later it is worked out from what is left now.
    let hindered = match wish.refusal {
        None | Some(Refusal::PriceChanged { .. }) => wanted.and_then(|offer| offer.refusal),
        said => said,
    };
    if let Some(refusal) = hindered {
        let card = refused(visit, acting, patient, wanted, wish.pieces(), &refusal).await?;
        return Ok(Some(Card::Refused(card)));
    }
    let Some((offer, price)) = wanted.and_then(|offer| Some((offer, offer.price?))) else { return Ok(None) };
    let (texts, currency, net) = (visit.texts(), visit.app.till.rules().currency, price.net);
    let (title, text) = match wish.old.filter(|old| *old != net) {
        Some(shown) => {
            let said = money::refused(&texts, currency, &Refusal::PriceChanged { shown, now: net });
            (said.fact, format!("{} {}", said.left, said.todo))
        }
        None => (texts.t("services-ready"), texts.t("services-ready-text")),
    };
    let go = if offer.mode == Some(Mode::Prepaid) { "services-order-for" } else { "services-register-for" };
    let name = with_pieces(&texts, &name_in(offer, texts.language()), wish.pieces());
    Ok(Some(Card::Ready(ReadyCard {
        title,
        text,
        key: key()?,
        service: offer.service.clone(),
        pieces: wish.pieces(),
        shown: net.minor(),
        go: texts.with(go, &[("name", name), ("sum", money::amount(&texts, currency, net))]),
    })))
}

/// `Blood count × 3`
pub fn with_pieces(texts: &Texts, name: &str, pieces: u32) -> String {
    if pieces > 1 { format!("{name} {}", texts.n("services-pieces", i64::from(pieces))) } else { name.to_owned() }
}

fn row(texts: &Texts, currency: Currency, offer: &Offer, pieces: u32) -> Result<Row, Fault> {
    let mut sub = vec![offer.service.clone()];
    if !offer.category.is_empty() {
        sub.push(offer.category.clone());
    }
    if offer.at_home {
        sub.push(texts.t("services-at-home"));
    }
    let say = |amount: Option<Amount>| amount.map_or_else(|| "–".to_owned(), |it| money::bare(texts, currency, it));
    let rate = offer.price.map(|price| price.discount.rate).filter(|rate| *rate > 0);
    let is_prepaid = offer.mode == Some(Mode::Prepaid);
    Ok(Row {
        key: key()?,
        service: offer.service.clone(),
        name: name_in(offer, texts.language()),
        sub: sub.join(" · "),
        price: say(offer.unit),
        discount: rate.map(|rate| money::rate(texts, rate)),
        net: say(offer.price.map(|price| price.net)),
        pieces,
        shown: offer.price.map_or(0, |price| price.net.minor()),
        hindered: offer.refusal.map(|refusal| texts.code("services-hindered-", refusal.code())),
        may_try: offer.price.is_some(),
        go: texts.t(if is_prepaid { "services-order" } else { "services-register" }),
    })
}

/// What makes a form count once: 64 hexadecimal digits, drawn anew for each form.
pub fn key() -> Result<String, Fault> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| Fault::Unavailable)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
