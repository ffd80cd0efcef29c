//! Where a service is searched for and added: what fits the words, with what it costs this patient now, and what became of
//! the last try. Drawn into the page and, for the page's script, alone: typed words and a refused wish travel in the
//! query, so that a refusal turns into an offer by itself once there is enough money.

use askama::Template;
use clinic::acting::Acting;
use clinic::people::{self, PersonError};
use clinic::till::{Offer, Offers, TillError};
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
    /// What all pieces cost, as far as it is known.
    pub net: Option<Amount>,
    /// What was shown before, if that was another sum.
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
            net: amount("net"),
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
    net: String,
    old: String,
    problem: Option<String>,
    card: Option<Card>,
    offers: Vec<Row>,
    has_more: bool,
}

struct Row {
    key: String,
    service: String,
    name: String,
    sub: String,
    price: String,
    discount: Option<String>,
    net: String,
    /// Minor units of what is to be paid, as it is shown.
    shown: i64,
    /// What stands in the way, in a word.
    hindered: Option<String>,
    may_try: bool,
    go: String,
}

/// What became of the wanted service.
enum Card {
    /// It cannot be registered now.
    Refused(RefusedCard),
    /// It can, for another sum than was shown, or now that there is enough.
    Ready(ReadyCard),
}

struct RefusedCard {
    what: String,
    said: Refused,
    /// The same for the patient, in the patient's language.
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
        Some(code) => wanted(visit, acting, running.patient, code, &found).await?,
        None => None,
    };
    let card = match &wanted {
        Some(offer) => {
            let language = spoken(visit, acting, running.patient).await?;
            Some(card(&texts, language, &found, offer, &wish)?)
        }
        None => match wish.refusal {
            Some(refusal) => {
                let language = spoken(visit, acting, running.patient).await?;
                Some(Card::Refused(refused(&texts, language, found.currency, "", &refusal, "")))
            }
            None => None,
        },
    };
    let net = match (&wanted, wish.pieces()) {
        (Some(offer), 1) => offer.price.map(|price| price.net),
        _ => wish.net,
    };
    let minor = |amount: Option<Amount>| amount.map(|amount| amount.minor().to_string()).unwrap_or_default();
    let page = Adder {
        x: texts,
        form: desk.form_token(app.now()),
        visit: running.id.clone(),
        wanted: wanted.as_ref().map(|offer| offer.service.clone()).unwrap_or_default(),
        pieces: wish.pieces(),
        net: minor(net),
        old: minor(wish.old),
        find: wish.find,
        problem: wish.problem,
        card,
        offers: found.services.iter().map(|offer| row(&texts, found.currency, offer)).collect::<Result<_, _>>()?,
        has_more: found.has_more,
    };
    Ok(page.render()?)
}

/// The wanted service as it can be had now; `None`: it is given no more.
pub async fn wanted(
    visit: &Visit,
    acting: &Acting,
    patient: PersonId,
    code: &str,
    found: &Offers,
) -> Result<Option<Offer>, Fault> {
    if let Some(offer) = found.services.iter().find(|offer| offer.service == code) {
        return Ok(Some(offer.clone()));
    }
    let more = visit.app.till.offers(acting, patient, code, clinic::till::OFFERS_MAX).await?;
    Ok(more.services.into_iter().find(|offer| offer.service == code))
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

fn card(texts: &Texts, language: Language, found: &Offers, offer: &Offer, wish: &Wish) -> Result<Card, Fault> {
    let name = with_pieces(texts, &name_in(offer, texts.language()), wish.pieces());
    let net = match wish.pieces() {
        1 => offer.price.map(|price| price.net),
        _ => wish.net,
    };
    // What the till has just said counts; later it is worked out from what is left now.
    let hindered = match wish.refusal {
        Some(Refusal::PriceChanged { .. }) => None,
        Some(refusal) => Some(refusal),
        None => hindrance(found, offer, net),
    };
    if let Some(refusal) = hindered {
        let patient = with_pieces(&language.texts(), &name_in(offer, language), wish.pieces());
        return Ok(Card::Refused(refused(texts, language, found.currency, &name, &refusal, &patient)));
    }
    let Some(net) = net else {
        let refusal = Refusal::NoPrice;
        let patient = name_in(offer, language);
        return Ok(Card::Refused(refused(texts, language, found.currency, &name, &refusal, &patient)));
    };
    let sum = money::amount(texts, found.currency, net);
    let changed = wish.old.filter(|old| *old != net);
    let is_prepaid = offer.mode == Some(Mode::Prepaid);
    let (title, text) = match changed {
        Some(shown) => {
            let said = money::refused(texts, found.currency, &Refusal::PriceChanged { shown, now: net });
            (said.fact, format!("{} {}", said.left, said.todo))
        }
        None => (texts.t("services-ready"), texts.t("services-ready-text")),
    };
    Ok(Card::Ready(ReadyCard {
        title,
        text,
        key: key()?,
        service: offer.service.clone(),
        pieces: wish.pieces(),
        shown: net.minor(),
        go: texts.with(
            if is_prepaid { "services-order-for" } else { "services-register-for" },
            &[("name", name), ("sum", sum)],
        ),
    }))
}

fn with_pieces(texts: &Texts, name: &str, pieces: u32) -> String {
    if pieces > 1 { format!("{name} {}", texts.n("services-pieces", i64::from(pieces))) } else { name.to_owned() }
}

fn refused(
    texts: &Texts,
    language: Language,
    currency: Currency,
    what: &str,
    refusal: &Refusal,
    patient_name: &str,
) -> RefusedCard {
    let theirs = language.texts();
    RefusedCard {
        what: what.to_owned(),
        said: money::refused(texts, currency, refusal),
        patient: money::refused_to_patient(&theirs, currency, refusal),
        patient_name: patient_name.to_owned(),
        language: language.code(),
        show: texts.t("services-show"),
        close: texts.t("services-show-close"),
    }
}

/// What stands in the way of a service that costs `net` altogether, by what is left now.
fn hindrance(found: &Offers, offer: &Offer, net: Option<Amount>) -> Option<Refusal> {
    let one = offer.price.map(|price| price.net);
    if net.is_none() || net == one {
        return offer.refusal;
    }
    let net = net.unwrap_or(Amount::ZERO);
    if let Some(refusal @ (Refusal::NoTerms | Refusal::OtherCurrency | Refusal::NoPrice)) = offer.refusal {
        return Some(refusal);
    }
    let missing = |left: Amount| net.minus(left).filter(|missing| missing.is_positive());
    match offer.mode? {
        Mode::Prepaid => None,
        Mode::Deposit => {
            let left = found.account.deposit;
            missing(left).map(|missing| Refusal::Deposit { left, missing })
        }
        Mode::Postpaid => {
            let own = found.limit.and_then(|it| {
                missing(it.left).map(|missing| Refusal::PatientLimit { limit: it.limit, left: it.left, missing })
            });
            own.or_else(|| {
                let it = found.pot.as_ref()?.left;
                missing(it.left).map(|missing| Refusal::PotLimit { limit: it.limit, left: it.left, missing })
            })
        }
    }
}

fn row(texts: &Texts, currency: Currency, offer: &Offer) -> Result<Row, Fault> {
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
