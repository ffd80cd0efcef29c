//! Money of one patient, in: for items, as a deposit; and out: from the deposit, or by asking for a write-off. What is read
//! from a form is exactly what the cashier was shown: items with the amounts of that moment. Whether they still hold is the
//! till's decision, and a repetition under the same key has its first outcome.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::Response;
use clinic::till::TillError;
use clinic::till::payments::{NewPayment, NewRefund, Payment, PaymentState, RefundOutcome, RefundReason};
use clinic::till::requests::{NewWriteOff, WriteOffReason};
use domain::money::{Amount, Currency};
use domain::till::Method;

use super::account::{Known, TO_CARD, again, anew};
use super::sure::{self, Act};
use super::{explain, minor, read, sum, typed, words_of};
use crate::fault::Fault;
use crate::language::Texts;
use crate::money;
use crate::pages::query::Query;
use crate::view::go;
use crate::visit::Visit;

/// Items named in the words before a payment.
const NAMED_MAX: usize = 12;
/// What a choice of terminals holds for a slip that is typed.
const BY_HAND: &str = "-";

/// How money moves.
struct How {
    method: Method,
    terminal: Option<String>,
    external: Option<String>,
}

impl How {
    fn read(texts: &Texts, form: &Query) -> Result<Self, String> {
        let method = form.one("method").and_then(Method::parse).ok_or_else(|| texts.t("cashier-no-method"))?;
        let external = form.one("external").map(str::to_owned);
        let chosen = form.one("terminal").filter(|name| method == Method::Card && *name != BY_HAND);
        let terminal = chosen.map(str::to_owned);
        let external = external.filter(|_| matches!(method, Method::Card | Method::Transfer) && terminal.is_none());
        match method {
            Method::Card if terminal.is_none() && external.is_none() => Err(texts.t("cashier-no-slip")),
            Method::Transfer if external.is_none() => Err(texts.t("cashier-no-reference")),
            _ => Ok(Self { method, terminal, external }),
        }
    }

    fn words(&self, texts: &Texts) -> String {
        let method = texts.code("cashier-by-", self.method.as_str());
        match (&self.terminal, &self.external) {
            (Some(terminal), _) => format!("{method}, {terminal}"),
            (None, Some(external)) => format!("{method}, {external}"),
            (None, None) => method,
        }
    }
}

/// A payment as the form asks for it.
struct Wish {
    key: String,
    how: How,
    /// Items by id: what was shown as open, and what is to be paid of it.
    parts: Vec<(String, Amount, Amount)>,
    /// What is taken altogether.
    amount: Amount,
    /// What of it becomes the deposit.
    rest: Amount,
    /// What is given back at once.
    change: Amount,
}

impl Wish {
    /// Reads what is to be paid: everything that was shown, or what is ticked with its amounts.
    fn read(texts: &Texts, currency: Currency, form: &Query) -> Result<Self, String> {
        let how = How::read(texts, form)?;
        let shown = |text: &str| {
            let (id, open) = text.split_once(':')?;
            Some((id.to_owned(), minor(open)?))
        };
        let unreadable = || texts.t("till-problem-invalid");
        let mut parts = Vec::new();
        if form.one("all").is_some() {
            for text in form.all("every") {
                let (id, open) = shown(text).ok_or_else(unreadable)?;
                parts.push((id, open, open));
            }
        } else {
            for text in form.all("item") {
                let (id, open) = shown(text).ok_or_else(unreadable)?;
                let part = typed(texts, currency, form.one(&format!("amount-{id}")))?.unwrap_or(open);
                if part > open {
                    return Err(texts.with(
                        "cashier-part-too-much",
                        &[
                            ("part", money::amount(texts, currency, part)),
                            ("open", money::amount(texts, currency, open)),
                        ],
                    ));
                }
                if part.is_positive() {
                    parts.push((id, open, part));
                }
            }
        }
        if parts.is_empty() {
            return Err(texts.t("cashier-nothing-ticked"));
        }
        let due = sum(parts.iter().map(|(.., part)| *part));
        let received = match how.method {
            Method::Deposit => None,
            _ => typed(texts, currency, form.one("received"))?,
        };
        let over = received.and_then(|received| received.minus(due)).unwrap_or(Amount::ZERO);
        if over.minor() < 0 {
            let missing = over.times(-1).unwrap_or(Amount::ZERO);
            return Err(texts.a("cashier-received-short", &money::amount(texts, currency, missing)));
        }
        let keeps = form.one("keep").is_some();
        if over.is_positive() && !keeps && how.method != Method::Cash {
            return Err(texts.t("cashier-over-not-cash"));
        }
        let (rest, change) = if keeps { (over, Amount::ZERO) } else { (Amount::ZERO, over) };
        let key = form.one("key").unwrap_or_default().to_owned();
        Ok(Self { key, how, parts, amount: sum([due, rest]), rest, change })
    }
}

/// `POST /till/patient/{id}/pay`
pub async fn pay(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let known = Known::read(&visit, &id, form.one("currency")).await?;
    let wish = match Wish::read(&texts, known.currency, &form) {
        Ok(wish) => wish,
        Err(problem) => return again(&visit, known, ("pay", &form), problem).await,
    };
    // Everything at once needs no second question: the button says what it does. The rest is said in words first.
    if form.one("all").is_none() && !sure::is_meant(&form) {
        return match changed(&known, &wish) {
            true => anew(&visit, known, texts.t("till-problem-changed")).await,
            false => ask_to_pay(&visit, &known, &form, &wish).await,
        };
    }
    let new = NewPayment {
        key: wish.key,
        patient: Some(known.patient),
        payer: None,
        method: wish.how.method,
        currency: known.currency,
        amount: wish.amount,
        parts: wish.parts.into_iter().map(|(id, _, part)| (id, part)).collect(),
        rest_to_deposit: wish.rest.is_positive(),
        terminal: wish.how.terminal,
        external: wish.how.external,
    };
    let change = wish.change;
    match take(&visit, &acting, new).await {
        Ok(payment) => Ok(after(&known, &payment, "paid", change)),
        Err(error) => not_done(&visit, &id, ("pay", &form), error).await,
    }
}

/// The account as it is now, with why the till did not do it.
async fn not_done(visit: &Visit, id: &str, sent: (&'static str, &Query), error: TillError) -> Result<Response, Fault> {
    let is_other = matches!(error, TillError::Changed | TillError::KeyReused);
    let known = Known::read(visit, id, sent.1.one("currency")).await?;
    let problem = explain(&visit.texts(), known.currency, error)?;
    if is_other { anew(visit, known, problem).await } else { again(visit, known, sent, problem).await }
}

/// Whether something is not as it was when the page was made.
fn changed(known: &Known, wish: &Wish) -> bool {
    wish.parts.iter().any(|(id, shown, _)| {
        let now = known.open().find(|charge| charge.id == *id).map(|charge| charge.open());
        now != Some(*shown)
    })
}

async fn take(visit: &Visit, acting: &clinic::acting::Acting, new: NewPayment) -> Result<Payment, TillError> {
    match new.terminal {
        Some(_) => visit.app.terminals.pay(acting, new).await,
        None => visit.app.till.pay(acting, new).await,
    }
}

/// Where one goes after money has moved: to the payment while a terminal is asked, else back to the account.
fn after(known: &Known, payment: &Payment, done: &str, change: Amount) -> Response {
    if payment.state != PaymentState::Done {
        return go(&format!("/till/payments/{}", payment.id));
    }
    let mut path = format!("/till/patient/{}?done={done}&payment={}", known.patient, payment.id);
    if change.is_positive() {
        path += &format!("&change={}", change.minor());
    }
    if !is_own(known) {
        path += &format!("&currency={}", known.currency);
    }
    go(&path)
}

/// Whether the page is in the account's first currency, which is the clinic's.
fn is_own(known: &Known) -> bool {
    known.account.balances.first().is_none_or(|balance| balance.currency == known.currency)
}

async fn ask_to_pay(visit: &Visit, known: &Known, form: &Query, wish: &Wish) -> Result<Response, Fault> {
    let texts = visit.texts();
    let text = |amount| money::amount(&texts, known.currency, amount);
    let mut lines = Vec::new();
    for (id, shown, part) in wish.parts.iter().take(NAMED_MAX) {
        let charge = known.open().find(|charge| charge.id == *id);
        let name = charge.map_or("", |charge| charge.name(texts.language().code())).to_owned();
        let no = charge.map(|charge| charge.no.to_string()).unwrap_or_default();
        let left = shown.minus(*part).unwrap_or(Amount::ZERO);
        let key = if left.is_positive() { "cashier-sure-part" } else { "cashier-sure-whole" };
        let values = [("no", no), ("name", name), ("part", text(*part)), ("left", text(left))];
        lines.push(texts.with(key, &values));
    }
    if wish.parts.len() > NAMED_MAX {
        lines.push(texts.n("cashier-sure-more", wish.parts.len() - NAMED_MAX));
    }
    if wish.rest.is_positive() {
        lines.push(texts.a("cashier-sure-rest", &text(wish.rest)));
    }
    let how = wish.how.words(&texts);
    let title = texts.with("cashier-sure-take", &[("amount", text(wish.amount)), ("how", how)]);
    let act = Act {
        button: title.clone(),
        title,
        who: known.name(visit).await?,
        lines,
        large: wish.change.is_positive().then(|| (texts.t("cashier-change"), text(wish.change))),
        warning: wish.how.terminal.as_ref().map(|_| texts.t("cashier-sure-terminal")),
        action: format!("/till/patient/{}/pay", known.patient),
        back: format!("/till/patient/{}", known.patient),
    };
    sure::ask(visit, "till", form, act)
}

/// `POST /till/patient/{id}/pay-in`
pub async fn pay_in(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let known = Known::read(&visit, &id, form.one("currency")).await?;
    let wish = amount_of(&texts, known.currency, &form).and_then(|amount| Ok((amount, How::read(&texts, &form)?)));
    let (amount, how) = match wish {
        Ok(wish) => wish,
        Err(problem) => return again(&visit, known, ("in", &form), problem).await,
    };
    let text = |amount| money::amount(&texts, known.currency, amount);
    if !sure::is_meant(&form) {
        let before = known.account.balance(known.currency).account.deposit;
        let title = texts.with("cashier-sure-pay-in", &[("amount", text(amount)), ("how", how.words(&texts))]);
        let act = Act {
            button: title.clone(),
            title,
            who: known.name(&visit).await?,
            lines: vec![
                texts.with("cashier-sure-deposit", &[("before", text(before)), ("after", text(sum([before, amount])))]),
            ],
            large: None,
            warning: how.terminal.as_ref().map(|_| texts.t("cashier-sure-terminal")),
            action: format!("/till/patient/{}/pay-in", known.patient),
            back: format!("/till/patient/{}", known.patient),
        };
        return sure::ask(&visit, "till", &form, act);
    }
    let new = NewPayment {
        key: form.one("key").unwrap_or_default().to_owned(),
        patient: Some(known.patient),
        payer: None,
        method: how.method,
        currency: known.currency,
        amount,
        parts: Vec::new(),
        rest_to_deposit: true,
        terminal: how.terminal,
        external: how.external,
    };
    match take(&visit, &acting, new).await {
        Ok(payment) => Ok(after(&known, &payment, "paid_in", Amount::ZERO)),
        Err(error) => not_done(&visit, &id, ("in", &form), error).await,
    }
}

fn amount_of(texts: &Texts, currency: Currency, form: &Query) -> Result<Amount, String> {
    let amount = typed(texts, currency, form.one("amount"))?.filter(|amount| amount.is_positive());
    amount.ok_or_else(|| texts.t("cashier-amount-missing"))
}

/// `POST /till/patient/{id}/give-back`
pub async fn give_back(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let known = Known::read(&visit, &id, form.one("currency")).await?;
    let reason = form.one("reason").and_then(RefundReason::parse).ok_or_else(|| texts.t("cashier-no-reason"));
    let wish = reason.and_then(|reason| {
        let amount = amount_of(&texts, known.currency, &form)?;
        let how = form.one("method").unwrap_or_default();
        let refunds = how.strip_prefix(TO_CARD).map(str::to_owned);
        let method = if refunds.is_some() { Some(Method::Card) } else { Method::parse(how) };
        let method = method.filter(|method| *method != Method::Deposit);
        Ok((reason, amount, method.ok_or_else(|| texts.t("cashier-no-method"))?, refunds))
    });
    let (reason, amount, method, refunds) = match wish {
        Ok(wish) => wish,
        Err(problem) => return again(&visit, known, ("back", &form), problem).await,
    };
    let currency = known.currency;
    let text = |amount| money::amount(&texts, currency, amount);
    if !sure::is_meant(&form) {
        let alone = visit.app.till.rules().refund_alone_max;
        let before = known.account.balance(known.currency).account.deposit;
        let left = before.minus(amount).unwrap_or(Amount::ZERO);
        if left.minor() < 0 {
            let problem = texts.a("cashier-back-too-much", &text(before));
            return again(&visit, known, ("back", &form), problem).await;
        }
        let is_alone = amount <= alone;
        let how = match &refunds {
            Some(_) => texts.t("cashier-to-the-card"),
            None => texts.code("cashier-by-", method.as_str()),
        };
        let key = if is_alone { "cashier-sure-give" } else { "cashier-sure-ask" };
        let title = texts.with(key, &[("amount", text(amount)), ("how", how)]);
        let act = Act {
            button: title.clone(),
            title,
            who: known.name(&visit).await?,
            lines: vec![
                texts.with("cashier-sure-deposit", &[("before", text(before)), ("after", text(left))]),
                texts.a("cashier-sure-reason", &texts.code("cashier-refund-", reason.as_str())),
            ],
            large: None,
            warning: (!is_alone).then(|| texts.t("cashier-sure-second")),
            action: format!("/till/patient/{}/give-back", known.patient),
            back: format!("/till/patient/{}", known.patient),
        };
        return sure::ask(&visit, "till", &form, act);
    }
    let new = NewRefund {
        key: form.one("key").unwrap_or_default().to_owned(),
        patient: known.patient,
        method,
        currency: known.currency,
        amount,
        external: form.one("external").filter(|_| method != Method::Cash && refunds.is_none()).map(str::to_owned),
        refunds,
        reason,
        words: words_of(&form),
    };
    match visit.app.terminals.refund(&acting, new).await {
        Ok(RefundOutcome::Paid(payment)) => Ok(after(&known, &payment, "refunded", Amount::ZERO)),
        Ok(RefundOutcome::Asked(_)) => Ok(go(&format!("/till/patient/{}?done=asked", known.patient))),
        Err(error) => not_done(&visit, &id, ("back", &form), error).await,
    }
}

/// `POST /till/patient/{id}/write-off`: asks for it; somebody else decides.
pub async fn write_off(visit: Visit, Path(id): Path<String>, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let known = Known::read(&visit, &id, form.one("currency")).await?;
    let reason = form.one("reason").and_then(WriteOffReason::parse).ok_or_else(|| texts.t("cashier-no-reason"));
    let wish = reason.and_then(|reason| {
        let (charge, open) = form
            .one("charge")
            .and_then(|text| text.split_once(':'))
            .and_then(|(id, open)| Some((id.to_owned(), minor(open)?)))
            .ok_or_else(|| texts.t("cashier-no-charge"))?;
        let amount = typed(&texts, known.currency, form.one("amount"))?.unwrap_or(open);
        if !amount.is_positive() {
            return Err(texts.t("cashier-amount-missing"));
        }
        Ok(NewWriteOff {
            key: form.one("key").unwrap_or_default().to_owned(),
            charge,
            amount,
            reason,
            words: words_of(&form),
        })
    });
    let new = match wish {
        Ok(new) => new,
        Err(problem) => return again(&visit, known, ("off", &form), problem).await,
    };
    match visit.app.till.ask_write_off(&acting, new).await {
        Ok(_) => Ok(go(&format!("/till/patient/{}?done=asked", known.patient))),
        Err(error) => not_done(&visit, &id, ("off", &form), error).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn wish(form: &str) -> Result<Wish, String> {
        let uah = Currency::parse("UAH").unwrap();
        Wish::read(&Language::En.texts(), uah, &Query::read(form))
    }

    fn amounts(wish: &Wish) -> (i64, i64, i64) {
        (wish.amount.minor(), wish.rest.minor(), wish.change.minor())
    }

    #[test]
    fn everything_is_what_was_shown_whatever_is_ticked() {
        let found = wish("method=cash&all=1&every=a:10000&every=b:250&item=a:10000&amount-a=1&key=k").unwrap();
        assert_eq!(found.parts.len(), 2);
        assert_eq!(amounts(&found), (10_250, 0, 0));
    }

    #[test]
    fn what_is_ticked_is_paid_with_its_own_amount_and_the_change_is_told() {
        let found = wish("method=cash&item=a:10000&amount-a=60,00&item=b:250&amount-b=2.50&received=100").unwrap();
        assert_eq!(amounts(&found), (6_250, 0, 3_750));
        let found = wish("method=cash&item=a:10000&received=150&keep=1").unwrap();
        assert_eq!(amounts(&found), (15_000, 5_000, 0), "the rest becomes the deposit");
        let found = wish("method=deposit&item=a:10000&received=1").unwrap();
        assert_eq!(amounts(&found), (10_000, 0, 0), "nothing is received from a deposit");
    }

    #[test]
    fn what_makes_no_sense_is_said_before_anything_is_asked() {
        for bad in [
            "item=a:100&key=k",
            "method=gold&item=a:100",
            "method=cash",
            "method=cash&all=1",
            "method=cash&item=a",
            "method=cash&item=a:x",
            "method=cash&item=a:100&amount-a=1.01",
            "method=cash&item=a:100&amount-a=-1",
            "method=cash&item=a:100&amount-a=0",
            "method=cash&item=a:100&received=0.99",
            "method=card&item=a:100",
            "method=card&item=a:100&terminal=-",
            "method=transfer&item=a:100",
            "method=transfer&item=a:100&external=r&received=2",
        ] {
            let Err(problem) = wish(bad) else { panic!("{bad}") };
            assert!(problem.contains(' ') && !problem.starts_with("cashier-"), "{bad}: {problem}");
        }
        assert!(wish("method=card&item=a:100&terminal=desk-1").is_ok());
        assert!(wish("method=card&item=a:100&terminal=-&external=0042").is_ok());
    }
}
