//! Taking money: what is asked is checked against what is open, then moved, or kept for a terminal that is asked first.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::Amount;
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Method, Refusal};
use domain::{Permission, PersonId, UtcMillis};
use store::{Error, Fault, transact};

use super::moves::{Moves, TillOn, What};
use super::{EXTERNAL_MAX_BYTES, NewPayment, PARTS_MAX, Payment, PaymentFault, PaymentKind, PaymentState};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Outcome, Purpose};
use crate::changes::{Change, ChangeKind};
use crate::till::charge::Charge;
use crate::till::keys::{self, Asked};
use crate::till::shifts::{Shift, invalid};
use crate::till::{Till, TillError};
use crate::visits;

/// Who takes money, as rows and entries say it.
#[derive(Debug, Clone)]
pub(crate) struct By {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    /// The account whose drawer counts.
    pub(crate) account: Option<String>,
    pub(crate) draft: Draft,
}

impl By {
    pub(crate) fn of(acting: &Acting, now: UtcMillis, action: Action) -> Self {
        Self {
            kind: acting.actor.kind().to_owned(),
            id: acting.actor.id().map(std::borrow::Cow::into_owned),
            account: acting.account().map(str::to_owned),
            draft: acting.draft(now, action),
        }
    }
}

/// What is to be paid, checked by itself.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) new: NewPayment,
    pub(crate) parts: BTreeMap<String, Amount>,
    pub(crate) rest: Amount,
    pub(crate) asked: String,
    /// Where it comes from, if not from the cashier's hands: a terminal or a payment service.
    pub(crate) source: Option<String>,
}

/// Checks what can be checked without looking anything up.
pub(crate) fn check(new: NewPayment) -> Result<Wanted, TillError> {
    keys::check(&new.key)?;
    if !new.amount.is_positive() {
        return Err(invalid("amount", "an amount above zero"));
    }
    if new.patient.is_some() == new.payer.is_some() {
        return Err(invalid("patient", "either a patient or a payer"));
    }
    if new.parts.len() > PARTS_MAX {
        return Err(invalid("parts", "at most 500 charges at once; pay the others with another payment"));
    }
    if new.terminal.is_some() && new.method != Method::Card {
        return Err(invalid("terminal", "only cards are paid at a terminal"));
    }
    check_external(new.external.as_deref())?;
    let mut parts = BTreeMap::new();
    let mut sum = Amount::ZERO;
    for (charge, amount) in &new.parts {
        if !amount.is_positive() {
            return Err(invalid("parts", "each part is above zero"));
        }
        if parts.insert(charge.clone(), *amount).is_some() {
            return Err(invalid("parts", "each charge stands there once"));
        }
        sum = sum.plus(*amount).ok_or(TillError::Refused(Refusal::TooLarge))?;
    }
    let rest = new.amount.minus(sum).ok_or(TillError::Refused(Refusal::TooLarge))?;
    if rest.minor() < 0 {
        return Err(invalid("parts", "the parts are more than the amount"));
    }
    if rest.is_positive() {
        if !new.rest_to_deposit {
            return Err(invalid(
                "rest_to_deposit",
                "the parts are less than the amount; say that the rest is a deposit",
            ));
        }
        if new.payer.is_some() {
            return Err(invalid("payer", "a payer has no deposit; pay charges in full or in part"));
        }
        if new.method == Method::Deposit {
            return Err(invalid("method", "a deposit cannot be paid in from the deposit"));
        }
    }
    if new.method == Method::Deposit && new.payer.is_some() {
        return Err(invalid("method", "a payer has no deposit"));
    }
    let mut asked = Asked::of("pay")
        .with_some(new.patient)
        .with_some(new.payer.as_deref())
        .with(new.method)
        .with(new.currency)
        .with(new.amount.minor())
        .with_some(new.terminal.as_deref())
        .with_some(new.external.as_deref());
    for (charge, amount) in &parts {
        asked = asked.with(charge).with(amount.minor());
    }
    let asked = asked.hash();
    Ok(Wanted { source: new.terminal.clone(), new, parts, rest, asked })
}

/// A slip's number or a reference: short, visible, nothing that could be a name with spaces in it.
pub(crate) fn check_external(external: Option<&str>) -> Result<(), TillError> {
    let is_good = |text: &str| {
        !text.is_empty() && text.len() <= EXTERNAL_MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if external.is_none_or(is_good) {
        return Ok(());
    }
    Err(invalid(
        "external",
        "1 to 64 letters, digits and signs without spaces: the number of the slip or the reference",
    ))
}

/// The cashier's shift of a payment: cash needs one in the currency; others are counted to one that is open.
pub(crate) async fn shift_for<C: TillOn>(
    conn: &mut C,
    by: &By,
    method: Method,
    currency: domain::money::Currency,
) -> Result<Result<Option<Shift>, TillError>, Error> {
    let shift = match &by.account {
        Some(account) => conn.open_shift_of(account).await?,
        None => None,
    };
    Ok(match shift {
        Some(shift) if shift.currency == currency => Ok(Some(shift)),
        Some(_) if method == Method::Cash => Err(invalid("currency", "the drawer is in another currency")),
        None if method == Method::Cash => Err(TillError::NoShift),
        _ => Ok(None),
    })
}

/// Charges that are to be paid, checked against what is open and what waiting payments are to pay of them.
async fn open_for<C: TillOn>(
    conn: &mut C,
    wanted: &Wanted,
    patient: Option<PersonId>,
) -> Result<Result<BTreeMap<String, Charge>, TillError>, Error> {
    let ids: BTreeSet<String> = wanted.parts.keys().cloned().collect();
    if ids.is_empty() {
        return Ok(Ok(BTreeMap::new()));
    }
    let charges = conn.charges_of(&ids).await?;
    if charges.len() < ids.len() {
        return Ok(Err(TillError::NotFound));
    }
    if let Some(patient) = patient {
        let of: BTreeSet<PersonId> = charges.values().map(|charge| charge.patient).collect();
        if conn.survivors(&of).await?.values().any(|left| *left != patient) {
            return Ok(Err(TillError::NotTheirs));
        }
    }
    if let Some(payer) = &wanted.new.payer
        && conn.charges_for_payer(&ids, payer).await?.len() < ids.len()
    {
        return Ok(Err(TillError::NotTheirs));
    }
    let waiting = conn.waiting_for(&ids).await?;
    for (id, part) in &wanted.parts {
        let Some(charge) = charges.get(id) else { return Ok(Err(TillError::NotFound)) };
        if charge.currency != wanted.new.currency {
            return Ok(Err(invalid("currency", "a charge is in another currency")));
        }
        let left = charge.open().minus(waiting.get(id).copied().unwrap_or_default()).unwrap_or_default();
        if charge.state == ChargeState::Cancelled || *part > left {
            return Ok(Err(TillError::Changed));
        }
    }
    Ok(Ok(charges))
}

/// When money is taken, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) now: UtcMillis,
    pub(crate) today: LocalDate,
    pub(crate) id: String,
}

/// Takes money inside a transaction: stores it as done, or as waiting where a terminal is to be asked.
pub(crate) async fn take<C: TillOn>(
    conn: &mut C,
    wanted: &Wanted,
    by: &By,
    at: &At,
) -> Result<Result<Payment, TillError>, Error> {
    let new = &wanted.new;
    if let Some((payment, asked)) = conn.payment_of_key(&new.key).await? {
        return Ok(if asked == wanted.asked { Ok(payment) } else { Err(TillError::KeyReused) });
    }
    let mut patient = None;
    if let Some(given) = new.patient {
        if !conn.is_person(given).await? {
            return Ok(Err(TillError::NotFound));
        }
        patient = conn.survivors(&BTreeSet::from([given])).await?.get(&given).copied();
    }
    if let Some(payer) = &new.payer
        && !conn.is_payer(payer).await?
    {
        return Ok(Err(TillError::NotFound));
    }
    let charges = match open_for(conn, wanted, patient).await? {
        Ok(charges) => charges,
        Err(error) => return Ok(Err(error)),
    };
    let shift = match shift_for(conn, by, new.method, new.currency).await? {
        Ok(shift) => shift,
        Err(error) => return Ok(Err(error)),
    };
    let mut payment = Payment {
        id: at.id.clone(),
        no: None,
        kind: PaymentKind::Paid,
        method: new.method,
        state: PaymentState::Waiting,
        patient,
        payer: new.payer.clone(),
        currency: new.currency,
        amount: new.amount,
        parts: parts_in_order(&wanted.parts, &charges),
        deposit: wanted.rest,
        shift: shift.map(|shift| shift.id),
        source: wanted.source.clone(),
        external: new.external.clone(),
        reverses: None,
        refunds: None,
        actor_kind: by.kind.clone(),
        actor: by.id.clone(),
        begun: at.now,
        done: None,
        day: None,
        fault: None,
        entry: None,
    };
    if new.terminal.is_some() {
        conn.insert_payment(&payment, &new.key, &wanted.asked).await?;
        let draft = Draft { detail: Some(told(&payment)), ..about(&payment, by.draft.clone()) };
        conn.append(&draft).await?;
        return Ok(Ok(payment));
    }
    match finish(conn, &mut payment, charges, by.draft.clone(), at.now, at.today).await? {
        Ok(change) => {
            conn.insert_payment(&payment, &new.key, &wanted.asked).await?;
            conn.append_changes(&change).await?;
            Ok(Ok(payment))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn parts_in_order(parts: &BTreeMap<String, Amount>, charges: &BTreeMap<String, Charge>) -> Vec<(String, Amount)> {
    let mut all: Vec<(String, Amount)> = parts.iter().map(|(charge, amount)| (charge.clone(), *amount)).collect();
    all.sort_by_key(|(charge, _)| charges.get(charge).map(|charge| charge.no));
    all
}

/// Moves the money of a payment and makes it done; the row is the caller's to store, and then the changes. What a charge is
/// not open for any more (it was taken back while the terminal was asked) becomes its patient's deposit.
pub(crate) async fn finish<C: TillOn>(
    conn: &mut C,
    payment: &mut Payment,
    charges: BTreeMap<String, Charge>,
    draft: Draft,
    now: UtcMillis,
    today: LocalDate,
) -> Result<Result<Vec<Change>, TillError>, Error> {
    let day = conn.posting_day(today).await?;
    let what =
        What { now, day, currency: payment.currency, payment: Some(payment.id.clone()), shift: payment.shift.clone() };
    let patients: Vec<PersonId> = payment.patient.into_iter().collect();
    let mut moves = Moves::load(conn, what, charges, &patients).await?;
    if let Err(error) = apply(&mut moves, payment) {
        return Ok(Err(error));
    }
    let no = conn.next_no("payment").await?;
    payment.no = Some(no);
    payment.state = PaymentState::Done;
    payment.done = Some(now);
    payment.day = Some(day);
    let draft = Draft { detail: Some(told(payment)), ..about(payment, draft) };
    payment.entry = Some(moves.write(conn, draft).await?);
    Ok(Ok(changes(payment, ChangeKind::PaymentTaken, &moves, now)))
}

fn apply(moves: &mut Moves, payment: &mut Payment) -> Result<(), TillError> {
    let mut paid = Vec::new();
    let mut rests: BTreeMap<PersonId, Amount> = BTreeMap::new();
    let mut add = |patient: PersonId, amount: Amount| -> Result<(), TillError> {
        let sum = rests.entry(patient).or_default();
        *sum = sum.plus(amount).ok_or(TillError::Refused(Refusal::TooLarge))?;
        Ok(())
    };
    for (id, part) in &payment.parts {
        let charge = moves.charge(id).ok_or(TillError::NotFound)?;
        let (open, owner) = (charge.open(), moves.patient_of(charge));
        let part_now = open.min(*part);
        if part_now.is_positive() {
            moves.pay_charge(id, payment.method, part_now)?;
            paid.push((id.clone(), part_now));
        }
        let rest = part.minus(part_now).unwrap_or_default();
        if rest.is_positive() {
            add(owner, rest)?;
        }
    }
    if let Some(patient) = payment.patient.filter(|_| payment.deposit.is_positive()) {
        add(patient, payment.deposit)?;
    }
    for (patient, rest) in rests {
        moves.pay_in(patient, payment.method, rest)?;
    }
    payment.parts = paid;
    let sum = payment.parts.iter().try_fold(Amount::ZERO, |sum, (_, part)| sum.plus(*part));
    payment.deposit = sum.and_then(|sum| payment.amount.minus(sum)).ok_or(TillError::Refused(Refusal::TooLarge))?;
    if let Some(patient) = payment.patient.filter(|_| payment.method == Method::Deposit) {
        let left = moves.account(patient).deposit;
        if left.minor() < 0 {
            let before = left.plus(payment.amount).unwrap_or_default();
            let missing = Amount::ZERO.minus(left).unwrap_or_default();
            return Err(Refusal::Deposit { left: before.max(Amount::ZERO), missing }.into());
        }
    }
    Ok(())
}

/// What the audit log says of a payment, in codes.
pub(crate) fn told(payment: &Payment) -> String {
    let no = payment.no.map(|no| format!(" receipt={no}")).unwrap_or_default();
    let source = payment.source.as_ref().map(|source| format!(" source={source}")).unwrap_or_default();
    let reverses = payment.reverses.as_ref().map(|other| format!(" reverses={other}")).unwrap_or_default();
    let refunds = payment.refunds.as_ref().map(|other| format!(" refunds={other}")).unwrap_or_default();
    let charge = match payment.parts.as_slice() {
        [(charge, _)] => format!(" charge={charge}"),
        _ => String::new(),
    };
    format!(
        "payment={}{no} kind={} method={} state={} minor={} currency={} parts={}{charge} deposit={}{source}{reverses}{refunds}",
        payment.id,
        payment.kind,
        payment.method,
        payment.state,
        payment.amount.minor(),
        payment.currency,
        payment.parts.len(),
        payment.deposit.minor(),
    )
}

/// An entry about a payment.
pub(crate) fn about(payment: &Payment, draft: Draft) -> Draft {
    Draft { subject: payment.patient, object: Some(payment.id.clone()), purpose: Some(Purpose::Payment), ..draft }
}

/// One change about the payment, and one for each further patient whose account it changed.
pub(crate) fn changes(payment: &Payment, kind: ChangeKind, moves: &Moves, now: UtcMillis) -> Vec<Change> {
    let about = Change {
        patient: payment.patient,
        reason: Some(payment.method.as_str().to_owned()),
        detail: Some(payment.id.clone()),
        ..Change::new(now, now, kind)
    };
    let others = moves.patients().into_iter().filter(|patient| Some(*patient) != payment.patient);
    let others = others.map(|patient| Change {
        patient: Some(patient),
        reason: Some("payment".to_owned()),
        ..Change::new(now, now, ChangeKind::TermsChanged)
    });
    std::iter::once(about).chain(others).collect()
}

/// What has changed while the terminal was asked: its id of it, and whose it is.
pub(crate) async fn answered<C: TillOn>(conn: &mut C, payment: &mut Payment, external: &str) -> Result<(), Error> {
    // The terminal's id of it, unless another payment has the same: then it is not worth refusing the money.
    let source = payment.source.clone().unwrap_or_default();
    let taken = conn.payment_of_source(&source, external).await?;
    if taken.is_none_or(|other| other.id == payment.id) && check_external(Some(external)).is_ok() {
        payment.external = Some(external.to_owned());
    }
    // Records may have become one while the terminal was asked.
    if let Some(patient) = payment.patient {
        payment.patient = conn.survivors(&BTreeSet::from([patient])).await?.get(&patient).copied();
    }
    Ok(())
}

/// What became of a payment that waited: settled once, whoever asks again.
pub(crate) async fn settle<C: TillOn>(
    conn: &mut C,
    id: &str,
    outcome: &Result<String, PaymentFault>,
    draft: Draft,
    now: UtcMillis,
    today: LocalDate,
) -> Result<Result<Payment, TillError>, Error> {
    let Some(mut payment) = conn.payment_of_id(id).await? else { return Ok(Err(TillError::NotFound)) };
    if payment.state != PaymentState::Waiting {
        return Ok(Ok(payment));
    }
    let draft = Draft { detail: None, ..draft };
    if payment.kind == PaymentKind::Refunded {
        return super::back::settle_refund(conn, payment, outcome, draft, now, today).await;
    }
    match outcome {
        Ok(external) => {
            answered(conn, &mut payment, external).await?;
            let ids: BTreeSet<String> = payment.parts.iter().map(|(charge, _)| charge.clone()).collect();
            let charges = conn.charges_of(&ids).await?;
            let before = payment.parts.clone();
            let changes = match finish(conn, &mut payment, charges, draft, now, today).await? {
                Ok(changes) => changes,
                Err(error) => return Ok(Err(error)),
            };
            conn.update_payment(&payment).await?;
            if before != payment.parts {
                conn.replace_parts(&payment).await?;
            }
            conn.append_changes(&changes).await?;
        }
        Err(fault) => {
            payment.state = PaymentState::Failed;
            payment.fault = Some(*fault);
            payment.done = Some(now);
            let detail = format!("{} fault={fault}", told(&payment));
            let draft = Draft { outcome: Outcome::Failed, detail: Some(detail), ..about(&payment, draft) };
            payment.entry = Some(conn.append(&draft).await?);
            conn.update_payment(&payment).await?;
        }
    }
    Ok(Ok(payment))
}

impl Till {
    /// Takes money: for charges, as a deposit, or both. A part may be less than what is open, never more. Repeating the key
    /// gives the same payment again. [`NewPayment::terminal`] must be empty here.
    ///
    /// # Errors
    /// [`TillError`]: `Denied` without [`domain::Permission::PaymentTake`], `Invalid`, `NotTheirs`, `NotFound`, `Changed`
    /// when a part is more than what is open, `NoShift` for cash without a drawer, `Refused` when the deposit does not
    /// suffice, `KeyReused`.
    pub async fn pay(&self, acting: &Acting, new: NewPayment) -> Result<Payment, TillError> {
        acting.must(Permission::PaymentTake)?;
        if new.terminal.is_some() {
            return Err(invalid("terminal", "a terminal is asked by the terminals of the till"));
        }
        self.take(acting, check(new)?).await
    }

    /// Takes what was checked. Two with the same key at once: the engine lets one through, the other one finds it.
    pub(crate) async fn take(&self, acting: &Acting, wanted: Wanted) -> Result<Payment, TillError> {
        let by = By::of(acting, self.clock.now(), Action::PaymentTaken);
        let mut is_first = true;
        loop {
            let now = self.clock.now();
            let at = At { now, today: self.day_at(now), id: visits::new_id()? };
            let (wanted, by) = (wanted.clone(), by.clone());
            let done = transact!(self.database, "till.pay", |conn| { take(conn, &wanted, &by, &at).await });
            match done {
                Err(error) if is_first && matches!(error.fault(), Fault::Conflict(_)) => is_first = false,
                done => return done?,
            }
        }
    }
}
