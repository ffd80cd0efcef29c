//! The services of a visit on a workstation's page: what is registered, what limits, deposit and discount leave, and what
//! can be added. Shows what `clinic::till` says and decides nothing: whether something may be registered is asked when it
//! is. Sums are looked up once for a visit and again when a change says that they are other ones.

pub mod acts;
mod adder;
pub mod without;

use std::collections::BTreeMap;

use askama::Template;
use clinic::acting::Acting;
use clinic::changes::{Change, ChangeKind};
use clinic::till::{CancelReason, Charge, Left, Offers, TillError};
use clinic::visits::Visit as PatientVisit;
use domain::money::{Amount, Currency};
use domain::till::{ChargeState, Mode};
use domain::{Permission, PersonId, UtcMillis};

pub use adder::{Wish, adder};

use super::board::Seen;
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::visit::Visit;

/// Sums that nothing was heard of are read again after so long: what a supervisor allowed runs out without a change.
const AGAIN_AFTER_MS: i64 = 60_000;
/// From this share of a limit on it is said to be near, in per cent.
const NEAR_PERCENT: i64 = 90;

/// What a patient was charged in a visit and what is left, as it was read.
#[derive(Debug, Clone)]
pub struct Money {
    visit: String,
    /// The record of the visit and the one that is left of it.
    patients: [PersonId; 2],
    has_pot: bool,
    read: UtcMillis,
    charges: Vec<Charge>,
    /// Ordered before, in another visit or without one, and not rendered.
    orders: Vec<Charge>,
    offers: Option<Offers>,
    /// Names of the services in it, by code and language.
    names: BTreeMap<String, String>,
}

impl Money {
    /// Whether a change makes other sums: of this patient, or of somebody who may share the pot.
    pub fn is_touched_by(&self, change: &Change) -> bool {
        use ChangeKind as K;
        let is_theirs = change.patient.is_some_and(|patient| self.patients.contains(&patient));
        match change.kind {
            K::ChargeOrdered | K::ChargeRendered | K::ChargeCancelled => is_theirs,
            K::PaymentTaken | K::PaymentReturned => is_theirs || self.has_pot,
            K::TermsChanged => is_theirs || change.patient.is_none(),
            _ => false,
        }
    }

    /// Whether a change may make the shared pot another one: then [`Money::is_pot_other`] tells.
    pub fn may_touch_pot(&self, change: &Change) -> bool {
        use ChangeKind as K;
        self.has_pot && matches!(change.kind, K::ChargeRendered | K::ChargeCancelled)
    }

    /// Whether the members of the group owe another sum of the shared pot than was read.
    ///
    /// # Errors
    /// The database.
    pub async fn is_pot_other(&self, visit: &Visit, acting: &Acting) -> Result<bool, Fault> {
        let Some(pot) = self.offers.as_ref().and_then(|offers| offers.pot.as_ref()) else { return Ok(false) };
        let used = visit.app.till.pot_used(acting, &pot.payer).await?;
        Ok(used != Some(pot.left.used))
    }
}

/// How a limit stands, as a bar.
struct Bar {
    text: String,
    more: Option<String>,
    /// Of a hundred.
    percent: i64,
    tone: &'static str,
}

struct Line {
    charge: String,
    no: u64,
    name: String,
    pieces: Option<String>,
    price: String,
    discount: String,
    net: String,
    tone: &'static str,
    state: String,
    /// What is still to be paid before it can be rendered.
    to_pay: Option<String>,
    may_render: bool,
    may_cancel: bool,
}

#[derive(Template)]
#[template(path = "desk/services.html")]
struct Panel {
    x: Texts,
    form: String,
    how: String,
    currency: String,
    lines: Vec<Line>,
    total: String,
    open: Option<String>,
    reasons: Vec<(&'static str, String)>,
    orders: String,
}

/// What was ordered before, with a button at what is paid.
#[derive(Template)]
#[template(path = "desk/orders.html")]
struct Orders {
    x: Texts,
    form: String,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "desk/limits.html")]
struct Limits {
    bars: Vec<Bar>,
    notes: Vec<String>,
}

/// The panel of a visit and what is left, drawn; both empty for who may not see what patients are charged.
///
/// # Errors
/// The database.
pub async fn parts(
    visit: &Visit,
    acting: &Acting,
    form: &str,
    running: &PatientVisit,
    seen: &mut Seen,
) -> Result<(String, String), Fault> {
    if !acting.rights.allows(Permission::ChargeSee) {
        return Ok((String::new(), String::new()));
    }
    let now = visit.app.now();
    let known = seen
        .money
        .take()
        .filter(|known| known.visit == running.id && (0..AGAIN_AFTER_MS).contains(&now.since_ms(known.read)));
    let money = match known {
        Some(money) => money,
        None => read(visit, acting, running, now).await?,
    };
    let texts = visit.texts();
    let panel = panel(&texts, form, &money, visit.app.till.rules().currency)?;
    let panel = panel.render()?;
    let limits = match &money.offers {
        Some(offers) => Limits { bars: bars(&texts, offers), notes: notes(&texts, offers) }.render()?,
        None => String::new(),
    };
    seen.money = Some(money);
    Ok((panel, limits))
}

async fn read(visit: &Visit, acting: &Acting, running: &PatientVisit, now: UtcMillis) -> Result<Money, Fault> {
    let till = &visit.app.till;
    let charges = till.charges_of_visit(acting, &running.id).await?;
    let offers = match till.offers(acting, running.patient, "", 1).await {
        Ok(offers) => Some(offers),
        // Who may see and not register is shown what is registered; so is everybody when the record is gone.
        Err(TillError::Denied(_) | TillError::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let orders = till.orders_of(acting, running.patient).await?;
    let orders: Vec<Charge> =
        orders.into_iter().filter(|order| order.visit.as_deref() != Some(running.id.as_str())).collect();
    let names = names_of(visit, acting, charges.iter().chain(&orders)).await?;
    let survivor = offers.as_ref().map_or(running.patient, |offers| offers.patient);
    Ok(Money {
        visit: running.id.clone(),
        patients: [running.patient, survivor],
        has_pot: offers.as_ref().is_some_and(|offers| offers.pot.is_some()),
        read: now,
        charges,
        orders,
        offers,
        names,
    })
}

/// The names of the services of charges in the language of the page, by code.
async fn names_of(
    visit: &Visit,
    acting: &Acting,
    charges: impl Iterator<Item = &Charge>,
) -> Result<BTreeMap<String, String>, Fault> {
    let mut names = BTreeMap::new();
    for charge in charges {
        if !names.contains_key(&charge.service) {
            let service = visit.app.till.service(acting, &charge.service).await?;
            let language = visit.texts().language().code();
            let name = service.map_or_else(|| charge.service.clone(), |(service, _)| service.name(language).to_owned());
            names.insert(charge.service.clone(), name);
        }
    }
    Ok(names)
}

/// What was ordered for a patient and is not rendered, drawn; empty if there is nothing, or for who may not see it.
///
/// # Errors
/// The database.
pub async fn orders(visit: &Visit, acting: &Acting, form: &str, patient: PersonId) -> Result<String, Fault> {
    if !acting.rights.allows(Permission::ChargeSee) {
        return Ok(String::new());
    }
    let orders = visit.app.till.orders_of(acting, patient).await?;
    let names = names_of(visit, acting, orders.iter()).await?;
    let may_change = acting.rights.allows(Permission::ServiceRegister);
    draw_orders(&visit.texts(), form, &orders, &names, may_change)
}

fn draw_orders(
    texts: &Texts,
    form: &str,
    orders: &[Charge],
    names: &BTreeMap<String, String>,
    may_change: bool,
) -> Result<String, Fault> {
    if orders.is_empty() {
        return Ok(String::new());
    }
    let say = |currency, amount| money::amount(texts, currency, amount);
    let lines = orders.iter().map(|order| line(texts, order, names, may_change, say)).collect();
    Ok(Orders { x: *texts, form: form.to_owned(), lines }.render()?)
}

/// One charge; sums are said by `say`.
fn line(
    texts: &Texts,
    charge: &Charge,
    names: &BTreeMap<String, String>,
    may_change: bool,
    say: impl Fn(Currency, Amount) -> String,
) -> Line {
    let open = charge.open();
    let (tone, state) = state_of(texts, charge);
    let is_ordered = charge.state == ChargeState::Ordered;
    let rate = charge.price.discount.rate;
    Line {
        charge: charge.id.clone(),
        no: charge.no,
        name: names.get(&charge.service).unwrap_or(&charge.service).clone(),
        pieces: (charge.quantity > 1).then(|| texts.n("services-pieces", i64::from(charge.quantity))),
        price: say(charge.currency, charge.price.gross),
        discount: if rate == 0 { "–".to_owned() } else { money::rate(texts, rate) },
        net: say(charge.currency, charge.price.net),
        tone,
        state,
        to_pay: (is_ordered && open.is_positive()).then(|| money::amount(texts, charge.currency, open)),
        may_render: may_change && is_ordered && !open.is_positive(),
        may_cancel: may_change && charge.state != ChargeState::Cancelled,
    }
}

fn panel(texts: &Texts, form: &str, money: &Money, clinics: Currency) -> Result<Panel, Fault> {
    let currency = money.offers.as_ref().map_or(clinics, |offers| offers.currency);
    let may_change = money.offers.is_some();
    let say = |of: Currency, amount| match of == currency {
        true => money::bare(texts, of, amount),
        false => money::amount(texts, of, amount),
    };
    let counts = |charge: &&Charge| charge.state != ChargeState::Cancelled && charge.currency == currency;
    let sum = |of: fn(&Charge) -> Amount| {
        let all = money.charges.iter().filter(counts).map(of);
        all.fold(Amount::ZERO, |sum, amount| sum.plus(amount).unwrap_or(sum))
    };
    let open = sum(Charge::open);
    Ok(Panel {
        x: *texts,
        form: form.to_owned(),
        how: money.offers.as_ref().map(|offers| how(texts, offers)).unwrap_or_default(),
        currency: currency.to_string(),
        lines: money.charges.iter().map(|charge| line(texts, charge, &money.names, may_change, say)).collect(),
        total: money::bare(texts, currency, sum(|charge| charge.price.net)),
        open: open.is_positive().then(|| money::amount(texts, currency, open)),
        reasons: CancelReason::ALL
            .iter()
            .map(|reason| (reason.as_str(), texts.code("till-cancel-", reason.as_str())))
            .collect(),
        orders: draw_orders(texts, form, &money.orders, &money.names, may_change)?,
    })
}

/// How far a charge has come: its mark and its word.
fn state_of(texts: &Texts, charge: &Charge) -> (&'static str, String) {
    let (tone, code) = match charge.state {
        ChargeState::Cancelled => ("info", "cancelled"),
        ChargeState::Ordered if charge.open().is_positive() => ("warn", "ordered"),
        ChargeState::Ordered => ("ok", "paid"),
        ChargeState::Rendered => ("ok", "rendered"),
    };
    (tone, texts.code("till-state-", code))
}

/// On which terms, and whose.
fn how(texts: &Texts, offers: &Offers) -> String {
    let Some(terms) = &offers.terms else { return texts.t("services-no-terms") };
    let mode = texts.code("till-mode-", terms.mode.as_str());
    match &offers.pot {
        Some(pot) => texts.with("services-how-pot", &[("mode", mode), ("pot", pot.name.clone())]),
        None => format!("{mode} · {}", texts.code("services-terms-", terms.scope.as_str())),
    }
}

fn bar(texts: &Texts, key: &str, name: &str, currency: Currency, left: &Left) -> Bar {
    let (limit, used) = (left.limit.minor(), left.used.minor());
    // Both are within what money can be, so a hundred times one fits.
    let percent = if limit > 0 { (used.saturating_mul(100) / limit).clamp(0, 100) } else { 100 };
    let full = !left.left.is_positive();
    let values = [
        ("name", name.to_owned()),
        ("used", money::bare(texts, currency, left.used)),
        ("limit", money::amount(texts, currency, left.limit)),
        ("left", money::amount(texts, currency, left.left)),
    ];
    let extra =
        left.extra.is_positive().then(|| texts.a("services-extra", &money::amount(texts, currency, left.extra)));
    Bar {
        text: texts.with(key, &values),
        more: extra,
        percent: if full { 100 } else { percent },
        tone: match percent {
            _ if full => "bad",
            NEAR_PERCENT.. => "warn",
            _ => "info",
        },
    }
}

fn bars(texts: &Texts, offers: &Offers) -> Vec<Bar> {
    let own = offers.limit.as_ref().map(|left| bar(texts, "services-limit", "", offers.currency, left));
    let pot = offers.pot.as_ref().map(|pot| bar(texts, "services-pot", &pot.name, offers.currency, &pot.left));
    own.into_iter().chain(pot).collect()
}

/// What else there is to know: the deposit, and why the discount is what it is.
fn notes(texts: &Texts, offers: &Offers) -> Vec<String> {
    let say = |amount| money::amount(texts, offers.currency, amount);
    let mut notes = Vec::new();
    if let Some(terms) = &offers.terms {
        notes.push(texts.code("till-mode-text-", terms.mode.as_str()));
    }
    let is_deposit = offers.terms.as_ref().is_some_and(|terms| terms.mode == Mode::Deposit);
    if is_deposit || offers.account.deposit.is_positive() {
        notes.push(texts.a("services-deposit", &say(offers.account.deposit)));
    }
    if offers.account.held.is_positive() {
        notes.push(texts.a("services-held", &say(offers.account.held)));
    }
    if offers.scheme.is_some() {
        notes.push(scale(texts, offers));
    }
    notes
}

/// `5 % by the scale: 12 400.00 of services before; 7 % from 15 000.00`
fn scale(texts: &Texts, offers: &Offers) -> String {
    let say = |amount| money::bare(texts, offers.currency, amount);
    let now = texts
        .with("services-scale", &[("rate", money::rate(texts, offers.rate)), ("before", say(offers.account.rendered))]);
    match offers.next {
        Some(next) => {
            let values = [("rate", money::rate(texts, next.rate)), ("from", say(next.from))];
            format!("{now}; {}", texts.with("services-scale-next", &values))
        }
        None => now,
    }
}
