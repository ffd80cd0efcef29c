//! One patient's account at the cash desk: what is to be paid, item by item, what was paid in, what is left of limits, and
//! the forms that take money, give it back and ask for a write-off. The look is recorded before anything is shown.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::till::Left;
use clinic::till::account::{ChargeLine, PatientAccount, PaymentLine, TermsNow};
use clinic::till::payments::{PARTS_MAX, RefundReason};
use clinic::till::requests::{Request, RequestFilter, RequestState, WriteOffReason};
use domain::money::{Amount, Currency};
use domain::till::{ChargeState, Method};
use domain::{Permission, PersonId};

use super::kept::Kept;
use super::{Choice, choices, day_words, minor, new_key, person_of, sum};
use crate::faces::Faces;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::assets;
use crate::pages::problem::Problem;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::{label, short_id};

/// Items with a box and an amount of their own; the rest is paid together with them or afterwards.
pub const ITEMS_MAX: usize = 200;
/// Lines of what was before.
const LATELY_MAX: usize = 30;
/// Payments at terminals that are offered for giving money back, the newest.
const CARDS_MAX: usize = 5;
/// What stands before the id of a payment whose card the money goes back to, in place of a method.
pub(super) const TO_CARD: &str = "card:";

#[derive(Template)]
#[template(path = "cashier/account.html")]
struct Page {
    frame: Frame,
    script: String,
    id: String,
    name: String,
    pseudonym: String,
    restricted: bool,
    instead: Option<String>,
    currency: String,
    currencies: Vec<Choice>,
    digits: u8,
    key: String,
    facts: Vec<Fact>,
    bounds: Vec<Bar>,
    mode: Option<(String, String)>,
    items: Vec<Item>,
    /// Open items beyond those with a box.
    hidden: usize,
    /// What "pay everything" pays: id and minor units.
    every: Vec<String>,
    total: String,
    methods: Vec<MethodChoice>,
    terminals: Vec<String>,
    drawer: Option<String>,
    may_take: bool,
    deposit: Option<String>,
    back_methods: Vec<Choice>,
    refund_reasons: Vec<Choice>,
    write_off_reasons: Vec<Choice>,
    alone: Option<String>,
    requests: Vec<Asked>,
    waiting_orders: Vec<Item>,
    payments: Vec<Paid>,
    lately: Vec<Item>,
    from: String,
    until: String,
    done: Option<Done>,
    kept: Kept,
    problem: Problem,
}

/// One figure of the account.
struct Fact {
    name: String,
    amount: String,
    is_main: bool,
}

/// A limit, drawn.
struct Bar {
    name: String,
    words: String,
    share: i64,
    tone: &'static str,
}

struct MethodChoice {
    code: &'static str,
    text: String,
    key: usize,
    is_set: bool,
    is_off: bool,
}

/// A service on the account.
struct Item {
    id: String,
    no: u64,
    day: String,
    name: String,
    place: String,
    tone: &'static str,
    state: String,
    net: String,
    paid: Option<String>,
    open: String,
    /// The open amount as a field of a form holds it.
    field: String,
    open_minor: i64,
    may_write_off: bool,
}

struct Paid {
    id: String,
    at: String,
    no: Option<u64>,
    method: String,
    kind: String,
    amount: String,
    tone: &'static str,
    state: String,
}

struct Asked {
    no: u64,
    what: String,
    amount: String,
    reason: String,
}

/// What was just done.
struct Done {
    text: String,
    change: Option<String>,
    receipt: Option<String>,
}

/// What a page of the account needs to know.
pub struct Known {
    pub patient: PersonId,
    pub account: PatientAccount,
    pub currency: Currency,
}

impl Known {
    /// Reads the account; the look is recorded.
    pub async fn read(visit: &Visit, id: &str, asked: Option<&str>) -> Result<Self, Fault> {
        let acting = visit.acting()?;
        let account = visit.app.till.account(&acting, person_of(id)?, Purpose::Payment).await?;
        let currency = match asked {
            Some(code) => Currency::parse(code).ok_or(Fault::Invalid)?,
            None => visit.app.till.rules().currency,
        };
        Ok(Self { patient: account.patient, account, currency })
    }

    /// The items that are to be paid in the page's currency, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &ChargeLine> {
        self.account.open.iter().filter(|charge| charge.currency == self.currency && charge.open().is_positive())
    }

    /// The patient's name, or the pseudonym where none may be shown.
    pub async fn name(&self, visit: &Visit) -> Result<String, Fault> {
        let faces = Faces::look(&visit.app, &visit.acting()?, vec![self.patient], Purpose::Payment).await?;
        Ok(name_of(&faces, self.patient, &visit.texts()))
    }
}

/// A name on pages of the till.
pub fn name_of(faces: &Faces, person: PersonId, texts: &Texts) -> String {
    let short = || texts.a("person-short", &short_id(&person.to_string()));
    faces.name(Some(person)).map_or_else(short, str::to_owned)
}

/// Tone and words of how far a service has come, and what of it is paid.
fn state_of(texts: &Texts, charge: &ChargeLine) -> (&'static str, String) {
    let (tone, code) = match charge.state {
        ChargeState::Cancelled => ("info", "cancelled"),
        ChargeState::Ordered if charge.open().is_positive() => ("warn", "ordered"),
        _ if !charge.open().is_positive() => ("ok", "paid"),
        _ if charge.paid.is_positive() || charge.written_off.is_positive() => ("warn", "part_paid"),
        _ => ("bad", "open"),
    };
    (tone, texts.code("till-state-", code))
}

fn item(visit: &Visit, charge: &ChargeLine) -> Item {
    let (texts, times) = (visit.texts(), visit.times());
    let bare = |amount| money::bare(&texts, charge.currency, amount);
    let (tone, state) = state_of(&texts, charge);
    let open = charge.open();
    Item {
        id: charge.id.clone(),
        no: charge.no,
        day: day_words(&times, charge.day),
        name: match charge.quantity {
            1 => charge.name(texts.language().code()).to_owned(),
            many => format!("{} × {many}", charge.name(texts.language().code())),
        },
        place: charge.zone.as_ref().map(|zone| label(zone.as_str())).unwrap_or_default(),
        tone,
        state,
        net: bare(charge.net),
        paid: (charge.paid.is_positive() || charge.written_off.is_positive())
            .then(|| bare(sum([charge.paid, charge.written_off]))),
        open: bare(open),
        field: charge.currency.decimal(open),
        open_minor: open.minor(),
        may_write_off: charge.state == ChargeState::Rendered && open.is_positive(),
    }
}

fn paid(visit: &Visit, payment: &PaymentLine) -> Paid {
    let (texts, times) = (visit.texts(), visit.times());
    let tone = match payment.state.as_str() {
        "done" => "ok",
        "waiting" => "info",
        _ => "warn",
    };
    Paid {
        id: payment.id.clone(),
        at: times.full(payment.done.unwrap_or(payment.begun)),
        no: payment.no,
        method: texts.code("till-method-", payment.method.as_str()),
        kind: texts.code("cashier-kind-", &payment.kind),
        amount: money::amount(&texts, payment.currency, payment.amount),
        tone,
        state: texts.code("cashier-payment-", &payment.state),
    }
}

fn bar(texts: &Texts, name: &str, currency: Currency, bound: Left) -> Bar {
    let share = match bound.limit.minor() {
        0 => 100,
        limit => (bound.used.minor().clamp(0, limit) * 100) / limit,
    };
    Bar {
        name: texts.t(name),
        words: texts.with(
            "cashier-left-of",
            &[
                ("left", money::amount(texts, currency, bound.left)),
                ("limit", money::amount(texts, currency, bound.limit)),
            ],
        ),
        share,
        tone: if share >= 100 {
            "bad"
        } else if share >= 80 {
            "warn"
        } else {
            "ok"
        },
    }
}

/// `GET /till/patient/{id}`
pub async fn show(visit: Visit, Path(id): Path<String>, query: Query) -> Result<Response, Fault> {
    let known = Known::read(&visit, &id, query.one("currency")).await?;
    page(&visit, known, &query, Kept::default(), Problem::default()).await
}

/// The page again, with what was not done beside the form of this name, and what was typed there.
pub async fn again(
    visit: &Visit,
    known: Known,
    (name, form): (&'static str, &Query),
    problem: String,
) -> Result<Response, Fault> {
    page(visit, known, &Query::default(), Kept::of(name, form), Problem::at(name, problem)).await
}

/// The page as the account is now, with why nothing was done: what was typed was about something else.
pub async fn anew(visit: &Visit, known: Known, problem: String) -> Result<Response, Fault> {
    page(visit, known, &Query::default(), Kept::default(), Problem::at("", problem)).await
}

async fn page(visit: &Visit, known: Known, query: &Query, kept: Kept, problem: Problem) -> Result<Response, Fault> {
    let (acting, texts, till) = (visit.acting()?, visit.texts(), &visit.app.till);
    let Known { patient, account, currency } = &known;
    let (patient, currency) = (*patient, *currency);
    let may = |permission| acting.rights.allows(permission);
    let may_take = may(Permission::PaymentTake);
    let terms = account.terms.iter().find(|now| now.terms.currency == currency);
    let shift = if may_take { till.shift_of(&acting).await? } else { None };
    let requests = if may_take || may(Permission::TillApprove) {
        let filter =
            RequestFilter { state: Some(RequestState::Asked), patient: Some(patient), ..RequestFilter::default() };
        till.requests(&acting, &filter).await?
    } else {
        Vec::new()
    };
    let faces = Faces::look(&visit.app, &acting, vec![patient], Purpose::Payment).await?;
    let face = faces.get(Some(patient));
    let open: Vec<&ChargeLine> = known.open().collect();
    let total = sum(open.iter().map(|charge| charge.open()));
    let balance = account.balance(currency).account;
    let text = |amount| money::amount(&texts, currency, amount);
    let drawer = shift.as_ref().map(|shift| shift.drawer.clone());
    let is_off = |method| match method {
        Method::Cash => shift.is_none(),
        Method::Deposit => !balance.deposit.is_positive(),
        Method::Card | Method::Transfer => false,
    };
    let first = Method::ALL.iter().copied().find(|method| !is_off(*method));
    let today = till.today();
    let month = domain::schedule::LocalDate(today.0 - 30);
    let alone = till.rules().refund_alone_max;
    render(
        if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK },
        &Page {
            frame: Frame::new(visit, "till"),
            script: assets::path("cashier.js"),
            id: patient.to_string(),
            name: name_of(&faces, patient, &texts),
            pseudonym: short_id(&patient.to_string()),
            restricted: face.is_some_and(|face| face.restricted),
            instead: face.and_then(|face| face.instead(&texts)),
            currency: currency.to_string(),
            currencies: currencies(account, currency),
            digits: currency.digits(),
            key: new_key()?,
            facts: facts(&texts, &known, total),
            bounds: terms.map(|terms| bars(&texts, currency, terms)).unwrap_or_default(),
            mode: terms
                .map(|now| now.terms.mode)
                .map(|mode| (texts.code("till-mode-", mode.as_str()), texts.code("till-mode-text-", mode.as_str()))),
            items: open.iter().take(ITEMS_MAX).map(|charge| item(visit, charge)).collect(),
            hidden: open.len().saturating_sub(ITEMS_MAX),
            every: open
                .iter()
                .take(PARTS_MAX)
                .map(|charge| format!("{}:{}", charge.id, charge.open().minor()))
                .collect(),
            total: text(sum(open.iter().take(PARTS_MAX).map(|charge| charge.open()))),
            methods: Method::ALL
                .iter()
                .enumerate()
                .map(|(n, method)| MethodChoice {
                    code: method.as_str(),
                    text: texts.code("till-method-", method.as_str()),
                    key: n + 1,
                    is_set: first == Some(*method),
                    is_off: is_off(*method),
                })
                .collect(),
            terminals: visit.app.terminals.names().iter().map(|name| (*name).to_owned()).collect(),
            drawer,
            may_take,
            deposit: balance.deposit.is_positive().then(|| text(balance.deposit)),
            back_methods: back_methods(visit, &known),
            refund_reasons: choices(&texts, "cashier-refund-", RefundReason::ALL.iter().map(|it| it.as_str()), None),
            write_off_reasons: choices(
                &texts,
                "cashier-write-off-",
                WriteOffReason::ALL.iter().map(|it| it.as_str()),
                None,
            ),
            alone: alone.is_positive().then(|| text(alone)),
            requests: requests.iter().map(|request| asked(&texts, request)).collect(),
            waiting_orders: account
                .open
                .iter()
                .filter(|charge| !charge.open().is_positive())
                .map(|charge| item(visit, charge))
                .collect(),
            payments: account.payments.iter().take(LATELY_MAX).map(|payment| paid(visit, payment)).collect(),
            lately: account.lately.iter().take(LATELY_MAX).map(|charge| item(visit, charge)).collect(),
            from: month.to_string(),
            until: today.to_string(),
            done: done(&texts, query, account),
            kept,
            problem,
        },
    )
}

/// How money can be given back: to the cards that have paid at terminals, then by hand.
fn back_methods(visit: &Visit, known: &Known) -> Vec<Choice> {
    let texts = visit.texts();
    let by_hand = Method::ALL.iter().filter(|method| **method != Method::Deposit).map(|method| method.as_str());
    let to_card = to_cards(visit, known).map(|(payment, left)| {
        let values = [
            ("no", payment.no.map(|no| no.to_string()).unwrap_or_default()),
            ("terminal", payment.source.clone().unwrap_or_default()),
            ("left", money::amount(&texts, known.currency, left)),
        ];
        let (code, text) = (format!("{TO_CARD}{}", payment.id), texts.with("cashier-back-to-card", &values));
        Choice { code, text, is_set: false }
    });
    to_card.take(CARDS_MAX).chain(choices(&texts, "till-method-", by_hand, None)).collect()
}

/// The patient's payments at terminals that are there, with what is left of each that could go back to its card; the newest
/// first.
fn to_cards<'a>(visit: &Visit, known: &'a Known) -> impl Iterator<Item = (&'a PaymentLine, Amount)> {
    let names: Vec<String> = visit.app.terminals.names().iter().map(|name| (*name).to_owned()).collect();
    let all = &known.account.payments;
    let back = move |id: &str| {
        let its = all.iter().filter(|other| other.refunds.as_deref() == Some(id));
        sum(its.filter(|other| matches!(other.state.as_str(), "waiting" | "done")).map(|other| other.amount))
    };
    let (currency, mut shown) = (known.currency, all.iter());
    std::iter::from_fn(move || {
        shown.find_map(|payment| {
            let is_there = payment.source.as_ref().is_some_and(|source| names.contains(source));
            let is_such = payment.kind == "paid"
                && payment.state == "done"
                && payment.method == Method::Card
                && payment.patient.is_some()
                && payment.currency == currency;
            let left = payment.amount.minus(back(&payment.id)).unwrap_or(Amount::ZERO);
            (is_there && is_such && left.is_positive()).then_some((payment, left))
        })
    })
}

fn currencies(account: &PatientAccount, own: Currency) -> Vec<Choice> {
    let mut all: Vec<Currency> = account.balances.iter().map(|balance| balance.currency).collect();
    all.extend(account.open.iter().map(|charge| charge.currency));
    all.push(own);
    all.sort_unstable();
    all.dedup();
    let choice = |of: Currency| Choice { code: of.to_string(), text: of.to_string(), is_set: of == own };
    if all.len() > 1 { all.into_iter().map(choice).collect() } else { Vec::new() }
}

fn facts(texts: &Texts, known: &Known, total: Amount) -> Vec<Fact> {
    let text = |amount| money::amount(texts, known.currency, amount);
    let account = known.account.balance(known.currency).account;
    let (_, ordered) = known.account.to_pay(known.currency);
    let mut facts = vec![Fact { name: texts.t("cashier-fact-total"), amount: text(total), is_main: true }];
    for (key, amount) in [
        ("cashier-fact-owed", account.owed),
        ("cashier-fact-ordered", ordered),
        ("cashier-fact-deposit", account.deposit),
        ("cashier-fact-held", account.held),
    ] {
        if amount.is_positive() || matches!(key, "cashier-fact-owed" | "cashier-fact-deposit") {
            facts.push(Fact { name: texts.code("", key), amount: text(amount), is_main: false });
        }
    }
    facts
}

fn bars(texts: &Texts, currency: Currency, now: &TermsNow) -> Vec<Bar> {
    let own = now.limit.map(|left| bar(texts, "cashier-limit-own", currency, left));
    let pot = now.pot.as_ref().map(|pot| bar(texts, "cashier-limit-pot", currency, pot.left));
    own.into_iter().chain(pot).collect()
}

fn asked(texts: &Texts, request: &Request) -> Asked {
    let prefix = match request.kind {
        clinic::till::requests::RequestKind::WriteOff => "cashier-write-off-",
        clinic::till::requests::RequestKind::Refund => "cashier-refund-",
    };
    Asked {
        no: request.no,
        what: texts.code("cashier-request-", request.kind.as_str()),
        amount: money::amount(texts, request.currency, request.amount),
        reason: texts.code(prefix, &request.reason),
    }
}

/// What was just done, as the address says and the account confirms.
fn done(texts: &Texts, query: &Query, account: &PatientAccount) -> Option<Done> {
    let code = query.one("done")?;
    let payment = query.one("payment").and_then(|id| account.payments.iter().find(|payment| payment.id == id));
    let Some(payment) = payment else {
        let text = texts.code_if_any("cashier-done-", code)?;
        return Some(Done { text, change: None, receipt: None });
    };
    let amount = money::amount(texts, payment.currency, payment.amount);
    let no = payment.no.map_or_else(String::new, |no| no.to_string());
    let key = match payment.kind.as_str() {
        "refunded" => "cashier-said-refunded",
        "returned" => "cashier-said-returned",
        _ => "cashier-said-paid",
    };
    let method = texts.code("till-method-", payment.method.as_str());
    let text = texts.with(key, &[("amount", amount), ("method", method), ("no", no)]);
    let change = query.one("change").and_then(minor).filter(|change| change.is_positive());
    let change = change.map(|change| money::amount(texts, payment.currency, change));
    Some(Done { text, change, receipt: payment.no.map(|_| format!("/till/payments/{}/receipt.pdf", payment.id)) })
}
