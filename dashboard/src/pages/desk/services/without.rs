//! A service for a patient without a visit, as after a telephone call: who was chosen on the page before; here it is said which
//! service, and why without the card. It makes a case that somebody else reviews.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::desk::Factor;
use clinic::till::{NewCharge, Offers, TillError};
use domain::PersonId;
use domain::money::Amount;
use domain::till::Refusal;
use domain::visit::OutOfCardCode;

use super::super::board::{name_of, state_of};
use super::super::without::{check_pin, who_again};
use super::super::{Places, places, read, room_of};
use super::adder::{key, name_in, offer_of, refused, with_pieces};
use super::orders;
use crate::desk_visit::AtDesk;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::money;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Services listed at once.
const OFFERED: u32 = 30;

#[derive(Template)]
#[template(path = "desk/without_service.html")]
struct Page {
    frame: Frame,
    room: String,
    state: &'static str,
    places: Places,
    problem: Option<String>,
    /// What several pieces cost, before they are registered.
    asks: Option<String>,
    card: Option<String>,
    /// What was ordered for the patient before.
    orders: String,
    patient: String,
    name: String,
    key: String,
    typed: Typed,
    offers: Vec<Choice>,
    has_more: bool,
    codes: Vec<(&'static str, String, bool)>,
    asks_pin: bool,
    may_tap: bool,
}

struct Choice {
    /// The code and what one costs in minor units, as they are shown.
    value: String,
    name: String,
    sub: String,
    is_set: bool,
}

/// What was typed, kept when something is wrong.
#[derive(Default)]
struct Typed {
    find: String,
    code: String,
    words: String,
    service: String,
    pieces: String,
    /// What all pieces cost, as the page has said it, and of which choice it said so.
    net: String,
    net_of: String,
}

/// What became of the last try.
#[derive(Default)]
struct Said {
    problem: Option<String>,
    asks: Option<String>,
    card: Option<String>,
}

/// `GET /desk/without/service`
pub async fn show(visit: Visit, desk: AtDesk, query: Query) -> Result<Response, Fault> {
    let Some(patient) = query.one("patient").and_then(|id| id.parse().ok()) else {
        return who_again(&visit, &desk).await;
    };
    let find = query.one("find").unwrap_or_default().chars().take(80).collect();
    page(&visit, &desk, patient, Typed { find, pieces: "1".to_owned(), ..Typed::default() }, Said::default()).await
}

/// `POST /desk/without/service`
pub async fn register(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (session, acting) = desk.signed_in()?;
    let (app, texts) = (&visit.app, visit.texts());
    let one = |name: &str| form.one(name).unwrap_or_default().to_owned();
    let Some(patient) = form.one("patient").and_then(|id| id.parse::<PersonId>().ok()) else {
        return who_again(&visit, &desk).await;
    };
    let pick = one("pick");
    let (service, of_one) = pick.rsplit_once('|').unwrap_or_default();
    let mut typed = Typed {
        find: one("find"),
        code: one("code"),
        words: one("words"),
        service: service.to_owned(),
        pieces: form.one("pieces").unwrap_or("1").to_owned(),
        ..Typed::default()
    };
    let pieces: Option<u32> = typed.pieces.parse().ok();
    let problem = match (OutOfCardCode::parse(&typed.code), pieces) {
        (None, _) => Some(texts.t("without-problem-code")),
        (_, None) => Some(texts.t("till-problem-field-quantity")),
        _ if typed.service.is_empty() => Some(texts.t("services-without-pick")),
        _ => match form.one("pin") {
            Some(pin) => check_pin(&visit, session, pin).await?,
            None => None,
        },
    };
    let (Some(code), Some(pieces), None) = (OutOfCardCode::parse(&typed.code), pieces, &problem) else {
        return page(&visit, &desk, patient, typed, Said { problem, ..Said::default() }).await;
    };
    // What was shown counts for the choice that it was shown for; for another number of pieces the page says it and asks.
    let choice = format!("{}|{pieces}", typed.service);
    let shown = if one("net_of") == choice { one("net") } else { of_one.to_owned() };
    let is_shown = pieces == 1 || one("net_of") == choice;
    let Some(shown) = shown.parse().ok().and_then(Amount::new).filter(|_| is_shown) else {
        let Ok(Some(offer)) = app.till.offer(acting, patient, &typed.service, pieces).await else {
            let problem = Some(texts.t("till-problem-field-service"));
            return page(&visit, &desk, patient, typed, Said { problem, ..Said::default() }).await;
        };
        let mut said = Said::default();
        match (offer.price, offer.refusal) {
            (Some(price), None) => {
                (typed.net, typed.net_of) = (price.net.minor().to_string(), choice);
                let name = with_pieces(&texts, &name_in(&offer, texts.language()), pieces);
                let sum = money::amount(&texts, app.till.rules().currency, price.net);
                said.asks = Some(texts.with("services-without-sum", &[("name", name), ("sum", sum)]));
            }
            (_, refusal) => {
                let refusal = refusal.unwrap_or(Refusal::NoPrice);
                said.card = Some(refused(&visit, acting, patient, Some(&offer), pieces, &refusal).await?);
            }
        }
        return page(&visit, &desk, patient, typed, said).await;
    };
    let new = NewCharge {
        key: form.one("key").ok_or(Fault::Invalid)?.to_owned(),
        patient,
        visit: None,
        session: Some(session.id.clone()),
        out_of_card: Some((code, typed.words.clone())),
        service: typed.service.clone(),
        quantity: pieces,
        currency: None,
        shown: Some(shown),
    };
    let said = match app.till.register(acting, new).await {
        Ok(charge) if charge.rendered.is_some() => return Ok(go("/desk?said=without")),
        Ok(_) => return Ok(go("/desk?said=without-ordered")),
        Err(TillError::NotFound) => return who_again(&visit, &desk).await,
        Err(TillError::Refused(refusal)) => {
            if let Refusal::PriceChanged { now, .. } = refusal {
                (typed.net, typed.net_of) = (now.minor().to_string(), choice);
            }
            let offer = offer_of(&visit, acting, patient, &typed.service, pieces).await?;
            let card = refused(&visit, acting, patient, offer.as_ref(), pieces, &refusal).await?;
            Said { card: Some(card), ..Said::default() }
        }
        Err(error) => match money::problem(&texts, app.till.rules().currency, &error) {
            Some(problem) => Said { problem: Some(problem), ..Said::default() },
            None => return Err(error.into()),
        },
    };
    page(&visit, &desk, patient, typed, said).await
}

async fn page(visit: &Visit, desk: &AtDesk, patient: PersonId, typed: Typed, said: Said) -> Result<Response, Fault> {
    let (session, acting) = desk.signed_in()?;
    let (app, texts, now) = (&visit.app, visit.texts(), visit.app.now());
    let found = match app.till.offers(acting, patient, &typed.find, OFFERED).await {
        Ok(found) => found,
        Err(TillError::NotFound) => return who_again(visit, desk).await,
        Err(error) => return Err(error.into()),
    };
    let faces = Faces::look(app, acting, vec![patient], Purpose::Treatment).await?;
    let is_fresh = now.since_ms(session.confirmed) < app.irregular.settings().fresh_ms;
    let code =
        |code: &OutOfCardCode| (code.as_str(), texts.code("out-of-card-", code.as_str()), typed.code == code.as_str());
    let is_wrong = said.problem.is_some() || said.card.is_some();
    let status = if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let frame = Frame::new(visit, "");
    let page = Page {
        room: room_of(desk),
        state: state_of(desk),
        places: places("desk-without"),
        problem: said.problem,
        asks: said.asks,
        card: said.card,
        orders: orders(visit, acting, &frame.form, patient).await?,
        frame,
        patient: patient.to_string(),
        name: name_of(&faces, patient),
        key: key()?,
        offers: choices(visit, &found, &typed),
        has_more: found.has_more,
        codes: OutOfCardCode::ALL.iter().map(code).collect(),
        asks_pin: !is_fresh && app.desk.rules().factor != Factor::None,
        may_tap: !is_fresh,
        typed,
    };
    render(status, &page)
}

fn choices(visit: &Visit, found: &Offers, typed: &Typed) -> Vec<Choice> {
    let texts = visit.texts();
    let offers = found.services.iter().filter_map(|offer| {
        let net = offer.price?.net;
        let mut sub = vec![money::amount(&texts, found.currency, net), offer.service.clone()];
        sub.extend(offer.mode.map(|mode| texts.code("till-mode-", mode.as_str())));
        sub.extend(offer.refusal.map(|refusal| texts.code("services-hindered-", refusal.code())));
        Some(Choice {
            value: format!("{}|{}", offer.service, net.minor()),
            name: name_in(offer, texts.language()),
            sub: sub.join(" · "),
            is_set: offer.service == typed.service,
        })
    });
    offers.collect()
}
