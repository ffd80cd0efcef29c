//! Card terminals: what the till asks of one, and how a payment at it goes on whatever happens in between. The payment is
//! stored as waiting before the terminal is asked, with the id under which it is asked; whoever starts afterwards asks the
//! terminal what became of it. So money is neither lost nor counted twice. Money that goes back to a card goes the same way;
//! it is set aside from the deposit first.
//!
//! Knows no protocol: adapters stand in `mis_bridge::terminal` and implement [`Terminal`].

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Permission;
use domain::money::{Amount, Currency};
use store::{Error, read, transact};
use tracing::{info, warn};

use super::payments::rows::{PaymentRow, PaymentsOn, select_payment, with_parts};
use super::payments::take::{check, settle};
use super::payments::{NewPayment, NewRefund, Payment, PaymentFault, PaymentKind, PaymentState, RefundOutcome};
use super::requests::Request;
use super::shifts::invalid;
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::Action;

/// How often a terminal is asked what became of a payment of which nothing is known.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Most waiting payments looked after at once; the oldest first.
const WAITING_MAX: u32 = 200;

/// A future that can stand behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a terminal is asked: an amount, under an id that is asked once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalAsk {
    /// The payment's id: the terminal does nothing twice under it.
    pub id: String,
    /// The currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// For money that goes back: the id under which the terminal took it, so that it goes to the same card.
    pub of: Option<String>,
}

impl TerminalAsk {
    fn about(payment: &Payment) -> Self {
        let (id, of) = (payment.id.clone(), payment.refunds.clone());
        Self { id, currency: payment.currency, amount: payment.amount, of }
    }
}

/// What a terminal answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalAnswer {
    /// The money was taken (or given back); its id at the terminal, which is on the slip.
    Done {
        /// The terminal's id of it.
        external: String,
    },
    /// It did not and will not come about.
    Failed(PaymentFault),
    /// It is under way: the patient has not answered, or the bank.
    UnderWay,
    /// It has never heard of this id.
    Unknown,
    /// No answer, or none that can be understood. Nothing is known.
    Silent,
}

/// A card terminal. Calls end within a time that the adapter bounds; they never panic.
pub trait Terminal: Send + Sync + fmt::Debug {
    /// Its name in the configuration.
    fn name(&self) -> &str;
    /// Takes money. The same id again: the same answer, nothing taken twice.
    fn pay<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer>;
    /// What became of an id. An answer about another amount than was asked for is no answer, here as everywhere.
    fn state<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer>;
    /// Breaks it off: afterwards the terminal never begins what it has not begun. What was taken meanwhile is
    /// [`TerminalAnswer::Done`]; also an id it has never heard of is refused from now on.
    fn cancel<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer>;
    /// Gives money back to the card that paid under [`TerminalAsk::of`]. The same id again: the same answer, nothing given
    /// twice.
    fn refund<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer>;
}

/// All terminals of the clinic, with the till that they pay into. Cheap to clone; clones share what is under way.
#[derive(Debug, Clone)]
pub struct Terminals {
    till: Till,
    all: Arc<[Arc<dyn Terminal>]>,
    /// Payments that a task of this program looks after now.
    busy: Arc<Mutex<BTreeSet<String>>>,
}

/// Takes a payment out of the set when its task ends, however it ends.
struct Busy {
    set: Arc<Mutex<BTreeSet<String>>>,
    id: String,
}

impl Busy {
    /// `None` when somebody looks after it already.
    fn begin(set: &Arc<Mutex<BTreeSet<String>>>, id: &str) -> Option<Self> {
        let is_new = set.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        is_new.then(|| Self { set: Arc::clone(set), id: id.to_owned() })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Terminals {
    /// Over the terminals of the configuration. [`Terminals::run`] must run somewhere, or what a program left behind when it
    /// was ended is never settled.
    pub fn new(till: Till, all: Vec<Arc<dyn Terminal>>) -> Self {
        Self { till, all: all.into(), busy: Arc::default() }
    }

    /// Their names, in the order of the configuration.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|terminal| terminal.name()).collect()
    }

    fn of(&self, name: &str) -> Option<&Arc<dyn Terminal>> {
        self.all.iter().find(|terminal| terminal.name() == name)
    }

    /// Takes a payment at [`NewPayment::terminal`]: stored as waiting, asked in a task of its own, and given back at once;
    /// [`Terminals::progress`] tells how it goes on. Without a terminal the same as [`Till::pay`]. Repeating the key gives
    /// the same payment and asks the terminal nothing twice.
    ///
    /// # Errors
    /// As [`Till::pay`]; `Invalid` for an unknown terminal.
    pub async fn pay(&self, acting: &Acting, new: NewPayment) -> Result<Payment, TillError> {
        let Some(name) = new.terminal.clone() else { return self.till.pay(acting, new).await };
        acting.must(Permission::PaymentTake)?;
        if self.of(&name).is_none() {
            return Err(invalid("terminal", "there is no terminal of this name"));
        }
        if new.external.is_some() {
            return Err(invalid("external", "the terminal gives the number of its slip itself"));
        }
        let payment = self.till.take(acting, check(new)?).await?;
        self.send_off(&payment, acting);
        Ok(payment)
    }

    /// Sends money of a deposit back to the card that paid at a terminal ([`NewRefund::refunds`]): set aside and stored as
    /// waiting first, then asked in a task of its own, or, beyond what one may give back alone, asked for. Without such a
    /// payment the same as [`Till::refund`]. Repeating the key gives the same and asks the terminal nothing twice.
    ///
    /// # Errors
    /// As [`Till::refund`]; `NotTheirs` for another patient's payment, `Changed` when less is left of it, `Invalid` for a
    /// payment that was not taken at a terminal, or at one that is not there any more.
    pub async fn refund(&self, acting: &Acting, new: NewRefund) -> Result<RefundOutcome, TillError> {
        acting.must(Permission::PaymentTake)?;
        if let Some(payment) = new.refunds.clone() {
            self.terminal_of(&payment).await?;
        }
        let outcome = self.till.give_back(acting, new).await?;
        if let RefundOutcome::Paid(payment) = &outcome {
            self.send_off(payment, acting);
        }
        Ok(outcome)
    }

    /// Decides about a request, as [`Till::decide_request`]; what is to go back at a terminal is sent off when it is allowed.
    ///
    /// # Errors
    /// As [`Till::decide_request`] and [`Terminals::refund`].
    pub async fn decide_request(
        &self,
        acting: &Acting,
        id: &str,
        allow: bool,
        typed: &str,
    ) -> Result<Request, TillError> {
        acting.must(Permission::TillApprove)?;
        let request = self.till.decide(acting, id, allow, typed, true).await?;
        if let (Some(payment), true) = (&request.payment, request.refunds.is_some()) {
            let id = payment.clone();
            let payment = read!(self.till.database, "till.decided", |conn| { conn.payment_of_id(&id).await })?;
            if let Some(payment) = payment {
                self.send_off(&payment, acting);
            }
        }
        Ok(request)
    }

    /// The terminal at which a payment was taken, if it is still there.
    async fn terminal_of(&self, payment: &str) -> Result<(), TillError> {
        let id = payment.to_owned();
        let found = read!(self.till.database, "till.terminal_of", |conn| { conn.payment_of_id(&id).await })?;
        let name = found.ok_or(TillError::NotFound)?.source.unwrap_or_default();
        if self.of(&name).is_some() {
            return Ok(());
        }
        Err(invalid("refunds", "the payment was not taken at a terminal that is there; give it back by hand"))
    }

    /// Asks the terminal of a payment that waits, if it is there; otherwise whoever starts with it asks.
    fn send_off(&self, payment: &Payment, acting: &Acting) {
        let terminal = payment.source.as_deref().and_then(|name| self.of(name));
        if let (PaymentState::Waiting, Some(terminal)) = (payment.state, terminal) {
            self.spawn(Arc::clone(terminal), payment, Some(acting.clone()));
        }
    }

    /// Looks after a waiting payment in a task of its own, so that a page that goes away stops nothing.
    fn spawn(&self, terminal: Arc<dyn Terminal>, payment: &Payment, acting: Option<Acting>) {
        let Some(busy) = Busy::begin(&self.busy, &payment.id) else { return };
        let (this, payment) = (self.clone(), payment.clone());
        tokio::spawn(async move {
            let ask = TerminalAsk::about(&payment);
            let answer = match (&acting, payment.kind) {
                (None, _) => this.clear_up(&*terminal, &ask).await,
                (Some(_), PaymentKind::Refunded) => terminal.refund(&ask).await,
                (Some(_), _) => terminal.pay(&ask).await,
            };
            let acting = acting.unwrap_or_else(Acting::system);
            // Where nothing is known yet, or it could not be stored, the loop asks again.
            if let Err(error) = this.settle(&acting, &payment.id, answer).await {
                warn!(payment = %payment.id, %error, "till.terminal.settle_failed");
            }
            drop(busy);
        });
    }

    /// What became of a payment that nobody waits for any more. What the terminal has never heard of is broken off first, so
    /// that an order that is still on its way does not take money after it was given up.
    async fn clear_up(&self, terminal: &dyn Terminal, ask: &TerminalAsk) -> TerminalAnswer {
        match terminal.state(ask).await {
            TerminalAnswer::Unknown => match terminal.cancel(ask).await {
                TerminalAnswer::Unknown | TerminalAnswer::Failed(PaymentFault::Cancelled) => {
                    TerminalAnswer::Failed(PaymentFault::NotAsked)
                }
                other => other,
            },
            other => other,
        }
    }

    /// Stores what a terminal has answered; `None` when nothing is known yet.
    async fn settle(&self, acting: &Acting, id: &str, answer: TerminalAnswer) -> Result<Option<Payment>, TillError> {
        let outcome = match answer {
            TerminalAnswer::Done { external } => Ok(external),
            TerminalAnswer::Failed(fault) => Err(fault),
            TerminalAnswer::UnderWay | TerminalAnswer::Unknown | TerminalAnswer::Silent => return Ok(None),
        };
        let now = self.till.clock.now();
        let (today, draft) = (self.till.day_at(now), acting.draft(now, Action::PaymentTaken));
        let id = id.to_owned();
        let payment = transact!(self.till.database, "till.settle", |conn| {
            settle(conn, &id, &outcome, draft.clone(), now, today).await
        })??;
        info!(payment = %payment.id, state = %payment.state, "till.terminal.settled");
        Ok(Some(payment))
    }

    /// Looks after payments that wait and that no task of this program waits for: those that a program left behind when it
    /// was ended, and those whose terminal did not answer. Asks at the start and then every few seconds; ends with `stop`.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            if let Err(error) = self.look_after().await {
                warn!(%error, "till.terminal.look_failed");
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(ASK_AGAIN) => {}
            }
        }
    }

    /// One look at what waits: returns how many payments are being asked about.
    ///
    /// # Errors
    /// The engine's.
    pub async fn look_after(&self) -> Result<usize, Error> {
        let waiting = self.waiting().await?;
        let mut asked = 0;
        for payment in waiting {
            let Some(terminal) = payment.source.as_deref().and_then(|name| self.of(name)) else {
                warn!(payment = %payment.id, "till.terminal.unknown");
                continue;
            };
            let is_busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner).contains(&payment.id);
            if !is_busy {
                asked += 1;
                self.spawn(Arc::clone(terminal), &payment, None);
            }
        }
        Ok(asked)
    }

    async fn waiting(&self) -> Result<Vec<Payment>, Error> {
        let rows: Vec<PaymentRow> = read!(self.till.database, "till.waiting", |conn| {
            Ok(sqlx::query_as(select_payment!("WHERE state = 'waiting' ORDER BY begun_ms LIMIT $1"))
                .bind(i64::from(WAITING_MAX))
                .fetch_all(&mut *conn)
                .await?)
        })?;
        with_parts(rows, Vec::new())
    }

    /// How far a payment has come, for a page that waits: no personal data, nothing recorded.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `NotFound`.
    pub async fn progress(
        &self,
        acting: &Acting,
        payment: &str,
    ) -> Result<(PaymentState, Option<PaymentFault>), TillError> {
        acting.must(Permission::PaymentTake)?;
        let id = payment.to_owned();
        let found = read!(self.till.database, "till.progress", |conn| { conn.payment_of_id(&id).await })?;
        found.map(|payment| (payment.state, payment.fault)).ok_or(TillError::NotFound)
    }

    /// Breaks a waiting payment off. What the terminal has taken meanwhile is done nevertheless: the answer says so.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `NotFound`; `Busy` when the terminal does not answer: it is
    /// asked again, and until then the payment waits.
    pub async fn cancel(&self, acting: &Acting, payment: &str) -> Result<Payment, TillError> {
        acting.must(Permission::PaymentTake)?;
        let id = payment.to_owned();
        let found = read!(self.till.database, "till.cancel", |conn| { conn.payment_of_id(&id).await })?;
        let payment = found.ok_or(TillError::NotFound)?;
        if payment.state != PaymentState::Waiting {
            return Ok(payment);
        }
        let name = payment.source.clone().unwrap_or_default();
        let terminal =
            self.of(&name).ok_or_else(|| invalid("terminal", "there is no terminal of this name any more"))?;
        let answer = match terminal.cancel(&TerminalAsk::about(&payment)).await {
            TerminalAnswer::Unknown => TerminalAnswer::Failed(PaymentFault::Cancelled),
            other => other,
        };
        self.settle(acting, &payment.id, answer).await?.ok_or(TillError::Busy)
    }
}
