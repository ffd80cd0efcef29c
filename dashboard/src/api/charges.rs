//! Services registered for patients: what one would cost now, registering, rendering what was paid, taking back. Each change
//! carries an `Idempotency-Key`, and a repetition of it gets the first outcome, for ever.

use axum::http::StatusCode;
use axum::response::Response;
use clinic::disclosures::Class;
use clinic::till::{CancelReason, Charge, Left, NewCharge, OFFERS_MAX, Offer, Offers, TillError};
use domain::money::{Amount, Currency};
use domain::visit::OutOfCardCode;
use domain::{Field, PersonId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::call::{Call, json, ok};
use super::codes;
use super::describe::{Form, Gives, Operation, Parameter, Shape};
use super::problem::Problem;
use super::pulls::{self, Pull};

/// Longest id of a charge or visit, in characters.
const ID_MAX: usize = 64;
/// Shortest key of a request, in characters: what is shorter is drawn twice.
const KEY_MIN: usize = 8;
/// Longest.
const KEY_MAX: usize = 100;

/// A service to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChargeBody {
    /// The patient's pseudonym. Merged records are followed.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    patient: String,
    /// The visit: one that runs, or ended today. Without it, say why in `out_of_card`.
    #[serde(default)]
    #[schema(max_length = 64)]
    visit: Option<String>,
    /// Why there is no visit.
    #[serde(default)]
    out_of_card: Option<WithoutCard>,
    /// The code of the service.
    #[schema(min_length = 1, max_length = 64)]
    service: String,
    /// How many; 1 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10000)]
    quantity: Option<u32>,
    /// ISO 4217; the clinic's if left out.
    #[serde(default)]
    #[schema(min_length = 3, max_length = 3)]
    currency: Option<String>,
    /// What is to be paid altogether, as it was shown to whoever decided. Another sum is refused. Nothing is compared if
    /// left out.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 20)]
    shown: Option<String>,
}

/// Why a service is registered without the card that opens a visit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithoutCard {
    /// The reason.
    #[schema(schema_with = codes::out_of_card)]
    code: String,
    /// The reason in words: 10 to 500 characters. Kept for the review, where it can be blotted out.
    #[schema(min_length = 10, max_length = 500)]
    words: String,
}

/// Why a service is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// The reason.
    #[schema(schema_with = codes::cancel_reason)]
    reason: String,
    /// In words, 10 to 500 characters: needed for `other`, and from who has not registered it, or comes on a later day.
    #[serde(default)]
    #[schema(max_length = 500)]
    words: Option<String>,
}

/// A registered service. Amounts are decimal numbers of `currency` as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargeBody {
    /// Its id; the same in other systems.
    id: String,
    /// 1, 2, 3 … for people.
    no: u64,
    /// The patient's pseudonym.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    patient: String,
    /// The visit, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    visit: Option<String>,
    /// The code of the service.
    service: String,
    /// How many.
    quantity: u32,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// Before the discount.
    gross: String,
    /// The discount.
    discount: String,
    /// Its rate in per cent.
    rate: String,
    /// What is to be paid.
    net: String,
    /// What was paid.
    paid: String,
    /// What was written off.
    written_off: String,
    /// What is still to be paid.
    open: String,
    /// What had been rendered to the patient before: the discount goes by it.
    before: String,
    /// The scale of discounts, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    /// The terms, with their version.
    terms: String,
    /// How it is paid.
    #[schema(schema_with = codes::till_mode)]
    mode: &'static str,
    /// How far it has come.
    #[schema(schema_with = codes::charge_state)]
    state: &'static str,
    /// The version of the price list.
    price_version: u64,
    /// When it was registered.
    #[schema(format = DateTime)]
    registered: String,
    /// When it was rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    rendered: Option<String>,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    cancelled: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<String>,
}

/// What a patient could have now, and what is left. Amounts are decimal numbers of `currency` as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OffersBody {
    /// The record that is left of the patient.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    patient: String,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// How services are paid; absent without terms: nothing can be registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = codes::till_mode)]
    mode: Option<&'static str>,
    /// What is owed.
    owed: String,
    /// What was paid in and not used.
    deposit: String,
    /// What was rendered before.
    before: String,
    /// The rate of discount that counts now, in per cent.
    rate: String,
    /// The patient's own limit, on postpaid terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<LeftBody>,
    /// The limit that the members of a group share, on postpaid terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pot: Option<LeftBody>,
    /// Those registered most come first.
    services: Vec<OfferBody>,
    /// Whether more fit than are given.
    more: bool,
}

/// A limit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftBody {
    /// The limit, with what supervisors have allowed on top.
    limit: String,
    /// What of it is used.
    used: String,
    /// What is left.
    left: String,
}

/// A service as a patient could have it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferBody {
    /// Its code.
    service: String,
    /// Its names by language.
    names: std::collections::BTreeMap<String, String>,
    /// Its category; may be empty.
    category: String,
    /// Whether it is given at the patient's home: paid before.
    at_home: bool,
    /// The price of one; absent where there is none in this currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// What one costs with the discount.
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<String>,
    /// Why one could not be registered now.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
}

pub(super) const KEY: Parameter = Parameter::header(
    "idempotency-key",
    Form::Token(KEY_MAX),
    "Required. 8 to 100 characters, unique for ever among the requests of this key. A repetition of the same request gets \
     the first outcome; another request under the same name is refused with 409.",
);
const CHARGE: Parameter = Parameter::path("charge", Form::Token(ID_MAX), "The id of the charge.");

const fn changes(id: &'static str, summary: &'static str, takes: Option<Shape>) -> Operation {
    Operation {
        parameters: &[CHARGE, KEY],
        takes,
        problems: &[409],
        ..Operation::reads(id, "charges", summary, Shape::of::<ChargeBody>())
    }
}

pub const REGISTER: Operation = Operation {
    about: "On postpaid terms and from a deposit the service is rendered at once; on prepaid terms it is ordered, to be \
            paid and then rendered. Terms, limits, deposit, price and discount are checked in one transaction. A refusal \
            is a problem of the kind `refused`, with the code, what is left and what is missing.",
    parameters: &[KEY],
    takes: Some(Shape::of::<NewChargeBody>()),
    gives: Gives::Json(201, Shape::of::<ChargeBody>()),
    problems: &[409],
    ..Operation::reads("charge_register", "charges", "Register a service for a patient", Shape::of::<ChargeBody>())
};
pub const SHOW: Operation = Operation {
    parameters: &[CHARGE],
    ..Operation::reads("charge", "charges", "A registered service", Shape::of::<ChargeBody>())
};
pub const RENDER: Operation = changes("charge_render", "Render what was ordered and paid", None);
pub const CANCEL: Operation = Operation {
    about: "What was paid for it becomes the patient's deposit. What was taken back already stays as it is.",
    ..changes("charge_cancel", "Take a service back", Some(Shape::of::<CancelBody>()))
};
pub const OFFERS: Operation = Operation {
    about: "Nothing is kept for the patient: registering decides anew.",
    parameters: &[
        Parameter::path("person", Form::Id, "The patient's pseudonym."),
        Parameter::query("find", Form::Token(80), "A part of a code or name, in any language."),
        Parameter::query("limit", Form::Whole(1, OFFERS_MAX as u64), "Services at most; 20 if left out."),
    ],
    ..Operation::reads("person_offers", "charges", "What services cost a patient now", Shape::of::<OffersBody>())
};

/// Which names of other systems' requests count: each API key has its own.
pub(super) fn key_of(call: &Call) -> Result<String, Problem> {
    let given = call.text("idempotency-key");
    let given = given.filter(|key| key.len() >= KEY_MIN).ok_or_else(|| {
        Problem::invalid("idempotency-key", "this header is required here, with 8 to 100 visible ASCII characters")
    })?;
    let mut hash = Sha256::new();
    hash.update(call.caller()?.key.to_string());
    hash.update([0]);
    hash.update(given);
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("api-{hex}"))
}

/// A rate in per cent: `7.05`.
fn percent(hundredths: u32) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn body(charge: &Charge) -> ChargeBody {
    let say = |amount: Amount| charge.currency.decimal(amount);
    ChargeBody {
        id: charge.id.clone(),
        no: charge.no,
        patient: charge.patient.to_string(),
        visit: charge.visit.clone(),
        service: charge.service.clone(),
        quantity: charge.quantity,
        currency: charge.currency.to_string(),
        gross: say(charge.price.gross),
        discount: say(charge.price.discount.amount),
        rate: percent(charge.price.discount.rate),
        net: say(charge.price.net),
        paid: say(charge.paid),
        written_off: say(charge.written_off),
        open: say(charge.open()),
        before: say(charge.before),
        scheme: charge.scheme.as_ref().map(|(id, version)| format!("{id}/{version}")),
        terms: format!("{}/{}", charge.terms.0, charge.terms.1),
        mode: charge.mode.as_str(),
        state: charge.state.as_str(),
        price_version: charge.price_version,
        registered: charge.registered.to_rfc3339(),
        rendered: charge.rendered.map(|at| at.to_rfc3339()),
        cancelled: charge.cancelled.as_ref().map(|(at, _)| at.to_rfc3339()),
        cancel_reason: charge.cancelled.as_ref().map(|(_, reason)| reason.clone()),
    }
}

async fn pulled(call: &Call, patient: PersonId, records: usize) -> Result<(), Problem> {
    let pull = Pull { fields: Vec::<Field>::new(), records, persons: [patient].into(), purpose: None };
    pulls::register(call, Class::Payment, pull).await
}

/// `POST /api/v1/charges`
pub async fn register(call: Call) -> Result<Response, Problem> {
    let key = key_of(&call)?;
    let wanted: NewChargeBody = call.json()?;
    let patient = wanted.patient.parse().map_err(|_| Problem::invalid("/patient", "expected 32 hexadecimal digits"))?;
    let clinics = call.app.till.rules().currency;
    let currency = match &wanted.currency {
        Some(code) => Some(
            Currency::parse(code)
                .ok_or_else(|| Problem::invalid("/currency", "expected the code of a currency in use, like EUR"))?,
        ),
        None => None,
    };
    let used = currency.unwrap_or(clinics);
    let shown = match &wanted.shown {
        Some(text) => Some(used.read(text).map_err(|error| Problem::invalid("/shown", error.to_string()))?),
        None => None,
    };
    let out_of_card = match wanted.out_of_card {
        Some(why) => {
            let code = OutOfCardCode::parse(&why.code)
                .ok_or_else(|| Problem::invalid("/out_of_card/code", "expected one of the codes of the description"))?;
            Some((code, why.words))
        }
        None => None,
    };
    let new = NewCharge {
        key,
        patient,
        visit: wanted.visit,
        session: None,
        out_of_card,
        service: wanted.service,
        quantity: wanted.quantity.unwrap_or(1),
        currency,
        shown,
    };
    let charge = call.app.till.register(call.acting()?, new).await.map_err(|error| Problem::of_till(error, used))?;
    json(StatusCode::CREATED, &body(&charge))
}

/// `GET /api/v1/charges/{charge}`
pub async fn show(call: Call) -> Result<Response, Problem> {
    let id = call.text("charge").ok_or(Problem::NotFound)?;
    let charge = call.app.till.charge(call.acting()?, id).await.map_err(|error| said(&call, error))?;
    pulled(&call, charge.patient, 1).await?;
    ok(&body(&charge))
}

/// `POST /api/v1/charges/{charge}/render`
pub async fn render(call: Call) -> Result<Response, Problem> {
    let (key, id) = (key_of(&call)?, call.text("charge").ok_or(Problem::NotFound)?);
    let charge = call.app.till.render(call.acting()?, key, id, None).await.map_err(|error| said(&call, error))?;
    ok(&body(&charge))
}

/// `POST /api/v1/charges/{charge}/cancel`
pub async fn cancel(call: Call) -> Result<Response, Problem> {
    let (key, id) = (key_of(&call)?, call.text("charge").ok_or(Problem::NotFound)?);
    let wanted: CancelBody = call.json()?;
    let reason = CancelReason::parse(&wanted.reason)
        .ok_or_else(|| Problem::invalid("/reason", "expected one of the codes of the description"))?;
    let words = wanted.words.unwrap_or_default();
    let done = call.app.till.cancel(call.acting()?, key, id, reason, &words).await;
    ok(&body(&done.map_err(|error| said(&call, error))?))
}

/// `GET /api/v1/persons/{person}/offers`
pub async fn offers(call: Call) -> Result<Response, Problem> {
    let person: PersonId = call.given("person")?;
    let limit = call.read::<u32>("limit")?.unwrap_or(20);
    let find = call.text("find").unwrap_or_default();
    let found = call.app.till.offers(call.acting()?, person, find, limit).await.map_err(|error| said(&call, error))?;
    pulled(&call, found.patient, 1).await?;
    ok(&offers_body(&found))
}

fn said(call: &Call, error: TillError) -> Problem {
    Problem::of_till(error, call.app.till.rules().currency)
}

fn offers_body(found: &Offers) -> OffersBody {
    let say = |amount: Amount| found.currency.decimal(amount);
    let left = |left: &Left| LeftBody { limit: say(left.limit), used: say(left.used), left: say(left.left) };
    let offer = |offer: &Offer| OfferBody {
        service: offer.service.clone(),
        names: offer.names.clone(),
        category: offer.category.clone(),
        at_home: offer.at_home,
        price: offer.unit.map(say),
        net: offer.price.map(|price| say(price.net)),
        refused: offer.refusal.map(|refusal| refusal.code()),
    };
    OffersBody {
        patient: found.patient.to_string(),
        currency: found.currency.to_string(),
        mode: found.terms.as_ref().map(|terms| terms.mode.as_str()),
        owed: say(found.account.owed),
        deposit: say(found.account.deposit),
        before: say(found.account.rendered),
        rate: percent(found.rate),
        limit: found.limit.as_ref().map(left),
        pot: found.pot.as_ref().map(|pot| left(&pot.left)),
        services: found.services.iter().map(offer).collect(),
        more: found.has_more,
    }
}
