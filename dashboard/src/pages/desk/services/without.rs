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
use super::super::without::check_pin;
use super::super::{Places, places, read, room_of};
use super::adder::{key, name_in};
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

/// `GET /desk/without/service`
pub async fn show(visit: Visit, desk: AtDesk, query: Query) -> Result<Response, Fault> {
    let patient = query.one("patient").and_then(|id| id.parse().ok()).ok_or(Fault::NotFound)?;
    let find = query.one("find").unwrap_or_default().chars().take(80).collect();
    page(&visit, &desk, patient, Typed { find, pieces: "1".to_owned(), ..Typed::default() }, None).await
}

/// `POST /desk/without/service`
pub async fn register(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (session, acting) = desk.signed_in()?;
    let texts = visit.texts();
    let patient: PersonId = form.one("patient").and_then(|id| id.parse().ok()).ok_or(Fault::Invalid)?;
    let one = |name: &str| form.one(name).unwrap_or_default().to_owned();
    let mut typed = Typed {
        find: one("find"),
        code: one("code"),
        words: one("words"),
        service: one("pick").rsplit_once('|').map(|(code, _)| code.to_owned()).unwrap_or_default(),
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
        return page(&visit, &desk, patient, typed, problem).await;
    };
    let minor = |text: &str| text.parse().ok().and_then(Amount::new);
    let shown = one("pick").rsplit_once('|').and_then(|(_, shown)| minor(shown));
    let choice = format!("{}|{pieces}", typed.service);
    let shown = match one("net_of") == choice {
        true => minor(&one("net")),
        false => shown.and_then(|shown| shown.times(i64::from(pieces))),
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
        shown,
    };
    match visit.app.till.register(acting, new).await {
        Ok(_) => Ok(go("/desk?said=without")),
        Err(error) => {
            if let TillError::Refused(Refusal::PriceChanged { now, .. }) = &error {
                (typed.net, typed.net_of) = (now.minor().to_string(), choice);
            }
            let Some(problem) = money::problem(&texts, visit.app.till.rules().currency, &error) else {
                return Err(error.into());
            };
            page(&visit, &desk, patient, typed, Some(problem)).await
        }
    }
}

async fn page(
    visit: &Visit,
    desk: &AtDesk,
    patient: PersonId,
    typed: Typed,
    problem: Option<String>,
) -> Result<Response, Fault> {
    let (session, acting) = desk.signed_in()?;
    let (app, texts, now) = (&visit.app, visit.texts(), visit.app.now());
    let found = app.till.offers(acting, patient, &typed.find, OFFERED).await?;
    let faces = Faces::look(app, acting, vec![patient], Purpose::Treatment).await?;
    let is_fresh = now.since_ms(session.confirmed) < app.irregular.settings().fresh_ms;
    let code =
        |code: &OutOfCardCode| (code.as_str(), texts.code("out-of-card-", code.as_str()), typed.code == code.as_str());
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = Page {
        frame: Frame::new(visit, ""),
        room: room_of(desk),
        state: state_of(desk),
        places: places("desk-without"),
        problem,
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
