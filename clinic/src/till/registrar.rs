//! The registrar: one task of a process, which takes many waiting registrations into one transaction, so that they share
//! one commit to the disk. One that is refused or fails never harms the others.
//!
//! The queue holds [`WAITING_MAX`]; when it is full the caller is told at once that the till is busy, and nothing was done.
//! The task begins with the first registration and ends when the last [`Till`] is gone and the queue is empty.

use std::sync::{Arc, Mutex, PoisonError};

use domain::money::Amount;
use domain::{Clock, Permission};
use store::{Database, Error, Fault};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Outcomes, Setting};
use super::charge::{Charge, NewCharge};
use super::decide::{No, Wish};
use super::keys::{self, Asked};
use super::{Rules, Till, TillError};
use crate::acting::Acting;
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::{draw, visits};

/// Most registrations that wait.
pub const WAITING_MAX: usize = 4096;
/// Most registrations of one transaction.
pub const BATCH_MAX: usize = 256;
/// Longest code of a service, id of a visit or of a session, in bytes.
const NAME_MAX_BYTES: usize = 100;

/// A registration and where its answer goes.
type Waiting = (Wish, oneshot::Sender<Result<Result<Charge, No>, Error>>);

/// The way to the task. Shared by all clones of a till.
#[derive(Debug, Default)]
pub(crate) struct Registrar {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
}

impl Registrar {
    /// The queue of a task that runs: the one there is, or a new one.
    fn queue(&self, till: &Till) -> mpsc::Sender<Waiting> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = queue.as_ref().filter(|open| !open.is_closed()) {
            return open.clone();
        }
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let (database, clock) = (till.database.clone(), till.clock.clone());
        tokio::spawn(work(receiver, database, clock, till.rules.clone(), till.zone));
        *queue = Some(sender.clone());
        sender
    }
}

/// The task: takes what waits, works it, answers, and takes what has come meanwhile.
async fn work(mut queue: mpsc::Receiver<Waiting>, database: Database, clock: Clock, rules: Rules, zone: chrono_tz::Tz) {
    let mut taken: Vec<Waiting> = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut taken, BATCH_MAX).await > 0 {
        // Those who were answered just now often have the next one ready.
        tokio::task::yield_now().await;
        while taken.len() < BATCH_MAX {
            let Ok(next) = queue.try_recv() else { break };
            taken.push(next);
        }
        let (wishes, answers): (Vec<Wish>, Vec<_>) = taken.drain(..).unzip();
        let setting = Setting { rules: rules.clone(), zone, now: clock.now() };
        let outcomes = together_or_alone(&database, setting, wishes).await;
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever has gone away finds it by the key.
            let _ = answer.send(outcome);
        }
    }
}

/// Works a batch; if something in it is such that the database refuses the whole, each one alone, so that only that fails.
async fn together_or_alone(
    database: &Database,
    setting: Setting,
    wishes: Vec<Wish>,
) -> Vec<Result<Result<Charge, No>, Error>> {
    let count = wishes.len();
    let wishes = Arc::new(wishes);
    let failed = match batch::run(database, setting.clone(), Arc::clone(&wishes)).await {
        Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    let is_about_a_row = matches!(failed.fault(), Fault::Conflict(_) | Fault::BadRow { .. } | Fault::Other);
    let again = |fault: &Fault| Error::new("till.register", fault.clone());
    if count == 1 {
        return vec![Err(failed)];
    }
    tracing::warn!(count, problem = %failed, alone = is_about_a_row, "till.batch.failed");
    if !is_about_a_row {
        return (0..count).map(|_| Err(again(failed.fault()))).collect();
    }
    let mut outcomes = Vec::with_capacity(count);
    for wish in wishes.iter() {
        let one: Result<Outcomes, Error> = batch::run(database, setting.clone(), Arc::new(vec![wish.clone()])).await;
        let first = one.map(|mut all| all.pop().unwrap_or(Err(No::NotFound)));
        outcomes.push(first);
    }
    outcomes
}

impl Till {
    /// Registers a service: orders it on prepaid terms, else renders it at once, if terms, limits, deposit and price
    /// allow it now. When the caller goes away, it is registered as a whole or not at all.
    ///
    /// # Errors
    /// [`TillError::Refused`] with the numbers; [`TillError::Invalid`] for what cannot be; [`TillError::NotFound`] for a
    /// patient or visit that is not there or over; [`TillError::NotTheirs`]; [`TillError::KeyReused`];
    /// [`TillError::ReasonWanted`]; [`TillError::Busy`] when too many wait; [`TillError::Denied`]; the database.
    pub async fn register(&self, acting: &Acting, new: NewCharge) -> Result<Charge, TillError> {
        acting.must(Permission::ServiceRegister)?;
        let wish = wish(acting, new)?;
        let (sender, answer) = oneshot::channel();
        let queue = self.registrar.queue(self);
        match queue.try_send((wish, sender)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(TillError::Busy),
            // It ended between two lines of ours; nothing was done.
            Err(TrySendError::Closed(_)) => return Err(TillError::Busy),
        }
        drop(queue);
        match answer.await {
            Ok(Ok(outcome)) => Ok(outcome?),
            // Collided again and again with other programs: nothing was done.
            Ok(Err(error)) if error.is_transient() => Err(TillError::Busy),
            Ok(Err(error)) => Err(error.into()),
            // The task or the program is ending; the key tells whether it was done.
            Err(_) => Err(Error::new("till.register", Fault::Unavailable).into()),
        }
    }
}

/// Checks what is given, as far as it can be without looking anything up.
fn wish(acting: &Acting, mut new: NewCharge) -> Result<Wish, TillError> {
    keys::check(&new.key)?;
    name("service", &new.service)?;
    for (field, text) in [("visit", &new.visit), ("session", &new.session)] {
        if let Some(text) = text {
            name(field, text)?;
        }
    }
    if new.visit.is_some() {
        new.out_of_card = None;
    } else {
        let (code, typed) = new.out_of_card.take().ok_or(TillError::ReasonWanted)?;
        let typed = words(&typed, REASON_MIN_CHARS).ok_or(TillError::ReasonWanted)?;
        new.out_of_card = Some((code, typed));
    }
    let asked = asked(&new, acting);
    Ok(Wish { id: visits::new_id()?, case: draw::id()?, asked, new, acting: acting.clone() })
}

/// Whether a name can be one of ours: not empty, not long, without control characters.
fn name(field: &'static str, text: &str) -> Result<(), TillError> {
    if !text.is_empty() && text.len() <= NAME_MAX_BYTES && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let problem = format!("give 1 to {NAME_MAX_BYTES} bytes without control characters");
    Err(TillError::Invalid { field, problem })
}

/// A hash of what is asked. Not of the session: whoever taps again and repeats the request asks for the same.
fn asked(new: &NewCharge, acting: &Acting) -> String {
    let (code, words) = new.out_of_card.as_ref().map(|(code, words)| (code.as_str(), words.as_str())).unzip();
    Asked::of("register")
        .with(acting.actor.kind())
        .with_some(acting.actor.id())
        .with(new.patient)
        .with_some(new.visit.as_deref())
        .with_some(code)
        .with_some(words)
        .with(&new.service)
        .with(new.quantity)
        .with_some(new.currency)
        .with_some(new.shown.map(Amount::minor))
        .hash()
}
