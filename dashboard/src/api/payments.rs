//! Payments: what was paid, taking a payment, and notices of payment services. A payment carries an `Idempotency-Key` that
//! counts for ever; a notice carries a signature in place of a key, and its own id.

use axum::http::StatusCode;
use axum::response::Response;
use clinic::acting::Acting;
use clinic::disclosures::Class;
use clinic::till::TillError;
use clinic::till::inbound::{NewNotice, NoticeKind};
use clinic::till::payments::{NewPayment, PARTS_MAX, PAYMENTS_MAX, Payment, PaymentFilter};
use domain::PersonId;
use domain::money::{Amount, Currency};
use domain::till::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{Call, json, ok};
use super::charges::{KEY, key_of};
use super::codes;
use super::describe::{Form, Gives, Operation, Parameter, Shape};
use super::problem::Problem;
use super::pulls::{self, Pull};

/// Longest id of a payment, a charge, or a service's own id, in characters.
const ID_MAX: usize = 64;
/// Longest name of a payment service.
const SOURCE_MAX: usize = 40;
/// Longest signature header: two or three signatures have some two hundred characters.
const SIGNATURE_MAX: usize = 800;

/// What of a payment is for which charge.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentPart {
    /// The id of the charge.
    #[schema(min_length = 1, max_length = 64)]
    charge: String,
    /// How much, a decimal number.
    #[schema(min_length = 1, max_length = 20)]
    amount: String,
}

/// Money that is taken. Amounts are decimal numbers of `currency` as text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPaymentBody {
    /// The patient's pseudonym. Either this or `payer`.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    patient: Option<String>,
    /// The id of the group or contract that pays.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64)]
    payer: Option<String>,
    /// How. Cash needs a drawer and so an account: it is not taken here.
    #[schema(schema_with = codes::till_method)]
    method: String,
    /// ISO 4217; the clinic's if left out.
    #[serde(default)]
    #[schema(min_length = 3, max_length = 3)]
    currency: Option<String>,
    /// How much altogether.
    #[schema(min_length = 1, max_length = 20)]
    amount: String,
    /// Charges, and how much of each: never more than is open. None for a pure deposit.
    #[serde(default)]
    #[schema(max_items = 500)]
    parts: Vec<PaymentPart>,
    /// Whether what the parts leave becomes the patient's deposit. Otherwise they must be the whole amount.
    #[serde(default)]
    rest_to_deposit: bool,
    /// The slip's number of a card, or the reference of a transfer. No names: it stands in the books.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64)]
    reference: Option<String>,
}

/// A payment. Amounts are decimal numbers of `currency` as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentBody {
    /// Its id.
    id: String,
    /// The number of its receipt, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<u64>,
    /// Whether money came, went back, or a payment before did not hold.
    #[schema(schema_with = codes::payment_kind)]
    kind: &'static str,
    /// How.
    #[schema(schema_with = codes::till_method)]
    method: &'static str,
    /// How far it has come.
    #[schema(schema_with = codes::payment_state)]
    state: &'static str,
    /// The patient's pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    patient: Option<String>,
    /// The group or contract that paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<String>,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// How much; always positive.
    amount: String,
    /// Which charges it pays, or no longer pays.
    parts: Vec<PaymentPart>,
    /// What went into the deposit, or came out of it.
    deposit: String,
    /// The terminal or payment service.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// The payment that it takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    reverses: Option<String>,
    /// The payment at a card terminal whose money it sends back to its card.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunds: Option<String>,
    /// When it began.
    #[schema(format = DateTime)]
    begun: String,
    /// When it was done, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    done: Option<String>,
}

/// Payments, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentsBody {
    payments: Vec<PaymentBody>,
}

/// A record number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordNumber {
    /// The system that gave it.
    #[schema(min_length = 1, max_length = 200)]
    system: String,
    /// The number.
    #[schema(min_length = 1, max_length = 200)]
    value: String,
}

/// What a payment service tells. Of `patient`, `record` and `charges` whatever is known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeBody {
    /// Whether money came, or was taken back.
    #[schema(schema_with = codes::notice_kind)]
    kind: String,
    /// The service's id of the payment; of a reversal, that of the reversal.
    #[schema(min_length = 1, max_length = 64)]
    id: String,
    /// For a reversal: the service's id of the payment that is taken back.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64)]
    of: Option<String>,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3)]
    currency: String,
    /// How much, a decimal number.
    #[schema(min_length = 1, max_length = 20)]
    amount: String,
    /// The patient's pseudonym.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    patient: Option<String>,
    /// The patient's record number.
    #[serde(default)]
    record: Option<RecordNumber>,
    /// Charges by id, paid in this order as far as they are open; what is left becomes the patient's deposit.
    #[serde(default)]
    #[schema(max_items = 500)]
    charges: Vec<String>,
}

/// What became of a notice.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeTaken {
    /// Its id here.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    notice: String,
    /// `done`: it is booked. `unassigned`: it is kept, and somebody of the clinic decides for whom it is.
    #[schema(schema_with = codes::notice_state)]
    state: &'static str,
    /// Why somebody must decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = codes::notice_problem)]
    problem: Option<&'static str>,
}

pub const PAY: Operation = Operation {
    about: "In one transaction: charges are paid, limits are free again, and the receipt has its number. A refusal is a \
            problem of the kind `refused`; 409 says that something changed since it was read.",
    parameters: &[KEY],
    takes: Some(Shape::of::<NewPaymentBody>()),
    gives: Gives::Json(201, Shape::of::<PaymentBody>()),
    problems: &[409],
    ..Operation::reads("payment_take", "payments", "Take a payment", Shape::of::<PaymentBody>())
};
pub const SHOW: Operation = Operation {
    parameters: &[Parameter::path("payment", Form::Token(ID_MAX), "The id of the payment.")],
    ..Operation::reads("payment", "payments", "A payment", Shape::of::<PaymentBody>())
};
pub const LIST: Operation = Operation {
    parameters: &[
        Parameter::query("patient", Form::Id, "Only those of this patient."),
        Parameter::query("receipt", Form::Whole(1, i64::MAX as u64), "Only that with this number."),
        Parameter::query("limit", Form::Whole(1, PAYMENTS_MAX as u64), "At most so many; 100 if left out."),
    ],
    ..Operation::reads("payments", "payments", "Payments, newest first", Shape::of::<PaymentsBody>())
};
pub const NOTICE: Operation = Operation {
    about: "Signed as Standard Webhooks 1.0.0 says, with the secret that the clinic has set for this service; no key. The \
            same notice again gets the same answer and does nothing twice. The same id with another content is refused with \
            409.",
    parameters: &[
        Parameter::path("source", Form::Token(SOURCE_MAX), "The payment service, as the clinic calls it."),
        Parameter::header("webhook-id", Form::Token(ID_MAX * 2), "The id of the message. Required."),
        Parameter::header("webhook-timestamp", Form::Token(20), "When it is sent, in seconds since 1970. Required."),
        Parameter::header(
            "webhook-signature",
            Form::Line(SIGNATURE_MAX),
            "`v1,` and the signature in base64. Required.",
        ),
    ],
    takes: Some(Shape::of::<NoticeBody>()),
    gives: Gives::Json(200, Shape::of::<NoticeTaken>()),
    problems: &[401, 404, 409],
    ..Operation::reads("payment_notice", "payments", "Tell of a payment", Shape::of::<NoticeTaken>())
};

fn said(call: &Call, error: TillError) -> Problem {
    Problem::of_till(error, call.app.till.rules().currency)
}

fn body(payment: &Payment) -> PaymentBody {
    let say = |amount: Amount| payment.currency.decimal(amount);
    let part = |(charge, amount): &(String, Amount)| PaymentPart { charge: charge.clone(), amount: say(*amount) };
    PaymentBody {
        id: payment.id.clone(),
        receipt: payment.no,
        kind: payment.kind.as_str(),
        method: payment.method.as_str(),
        state: payment.state.as_str(),
        patient: payment.patient.map(|patient| patient.to_string()),
        payer: payment.payer.clone(),
        currency: payment.currency.to_string(),
        amount: say(payment.amount),
        parts: payment.parts.iter().map(part).collect(),
        deposit: say(payment.deposit),
        source: payment.source.clone(),
        reverses: payment.reverses.clone(),
        refunds: payment.refunds.clone(),
        begun: payment.begun.to_rfc3339(),
        done: payment.done.map(|at| at.to_rfc3339()),
    }
}

fn currency(code: &str) -> Result<Currency, Problem> {
    Currency::parse(code)
        .ok_or_else(|| Problem::invalid("/currency", "expected the code of a currency in use, like EUR"))
}

fn amount(currency: Currency, at: &str, text: &str) -> Result<Amount, Problem> {
    currency.read(text).map_err(|error| Problem::invalid(at, error.to_string()))
}

fn patient(text: Option<&str>) -> Result<Option<PersonId>, Problem> {
    let parse = |text: &str| text.parse().map_err(|_| Problem::invalid("/patient", "expected 32 hexadecimal digits"));
    text.map(parse).transpose()
}

async fn pulled(call: &Call, payments: &[Payment]) -> Result<(), Problem> {
    let persons = payments.iter().filter_map(|payment| payment.patient).collect();
    let pull = Pull { records: payments.len(), persons, ..Pull::default() };
    pulls::register(call, Class::Payment, pull).await
}

/// `POST /api/v1/payments`
pub async fn pay(call: Call) -> Result<Response, Problem> {
    let key = key_of(&call)?;
    let wanted: NewPaymentBody = call.json()?;
    let used = match &wanted.currency {
        Some(code) => currency(code)?,
        None => call.app.till.rules().currency,
    };
    let method = Method::parse(&wanted.method)
        .ok_or_else(|| Problem::invalid("/method", "expected one of the codes of the description"))?;
    if wanted.parts.len() > PARTS_MAX {
        return Err(Problem::invalid("/parts", "at most 500 charges at once"));
    }
    let mut parts = Vec::with_capacity(wanted.parts.len());
    for (at, part) in wanted.parts.into_iter().enumerate() {
        let sum = amount(used, &format!("/parts/{at}/amount"), &part.amount)?;
        parts.push((part.charge, sum));
    }
    let new = NewPayment {
        key,
        patient: patient(wanted.patient.as_deref())?,
        payer: wanted.payer,
        method,
        currency: used,
        amount: amount(used, "/amount", &wanted.amount)?,
        parts,
        rest_to_deposit: wanted.rest_to_deposit,
        terminal: None,
        external: wanted.reference,
    };
    let payment = call.app.till.pay(call.acting()?, new).await.map_err(|error| Problem::of_till(error, used))?;
    json(StatusCode::CREATED, &body(&payment))
}

/// `GET /api/v1/payments/{payment}`
pub async fn show(call: Call) -> Result<Response, Problem> {
    let id = call.text("payment").ok_or(Problem::NotFound)?;
    let payment = call.app.till.payment(call.acting()?, id).await.map_err(|error| said(&call, error))?;
    pulled(&call, std::slice::from_ref(&payment)).await?;
    ok(&body(&payment))
}

/// `GET /api/v1/payments`
pub async fn list(call: Call) -> Result<Response, Problem> {
    let filter = PaymentFilter {
        patient: call.read("patient")?,
        no: call.read("receipt")?,
        limit: call.read("limit")?.unwrap_or(100),
        ..PaymentFilter::default()
    };
    let found = call.app.till.payments(call.acting()?, &filter).await.map_err(|error| said(&call, error))?;
    pulled(&call, &found).await?;
    ok(&PaymentsBody { payments: found.iter().map(body).collect() })
}

/// `POST /api/v1/payments/notices/{source}`
pub async fn notice(call: Call) -> Result<Response, Problem> {
    let source = call.text("source").ok_or(Problem::NotFound)?;
    let services = &call.app.settings.till.services;
    let service = services.iter().find(|service| service.name == source).ok_or(Problem::NotFound)?;
    let header = |name: &str| call.text(name).unwrap_or_default();
    let (id, at, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    if let Err(why) = service.check(id, at, signatures, &call.body, call.app.now()) {
        tracing::warn!(%source, %why, "till.notice.unbelieved");
        return Err(Problem::Unauthorized);
    }
    let told: NoticeBody = call.json()?;
    let used = currency(&told.currency)?;
    let new = NewNotice {
        source: service.name.clone(),
        external: told.id,
        kind: NoticeKind::parse(&told.kind)
            .ok_or_else(|| Problem::invalid("/kind", "expected one of the codes of the description"))?,
        of: told.of,
        currency: used,
        amount: amount(used, "/amount", &told.amount)?,
        patient: patient(told.patient.as_deref())?,
        record: told.record.map(|record| (record.system, record.value)),
        charges: told.charges,
    };
    let acting = Acting::payment_service(&service.name, None);
    let taken = call.app.till.take_notice(&acting, new).await.map_err(|error| Problem::of_till(error, used))?;
    ok(&NoticeTaken {
        notice: taken.id,
        state: taken.state.as_str(),
        problem: taken.problem.map(|problem| problem.as_str()),
    })
}
