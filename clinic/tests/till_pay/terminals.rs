//! Card terminals: whatever happens between asking one and storing its answer, money is neither lost nor counted twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinic::till::TillError;
use clinic::till::payments::{NewPayment, Payment, PaymentFault, PaymentState};
use clinic::till::terminal::{BoxFuture, Terminal, TerminalAnswer, TerminalAsk, Terminals};
use domain::till::{Method, Mode};

use crate::stage::{Stage, amount, no};
use crate::{account, again, charge, part, story};

/// How a terminal behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Declines,
    /// Takes the money; its answer is lost.
    Mute,
    /// Does nothing and answers nothing.
    Dead,
    /// The patient has not answered yet.
    Slow,
}

#[derive(Debug)]
pub(crate) struct Fake {
    mood: Mutex<Mood>,
    /// What it has done, by id.
    pub(crate) known: Mutex<BTreeMap<String, TerminalAnswer>>,
    taken: Mutex<i64>,
    /// How often it was asked for money while it was dead.
    unheard: Mutex<u32>,
}

impl Fake {
    pub(crate) fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self { mood: Mutex::new(mood), known: Mutex::default(), taken: Mutex::new(0), unheard: Mutex::new(0) })
    }

    pub(crate) fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn taken(&self) -> i64 {
        *self.taken.lock().unwrap()
    }

    /// Waits until it was asked for money and did not hear it.
    pub(crate) async fn was_asked_in_vain(&self) {
        while *self.unheard.lock().unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn ask(&self, ask: &TerminalAsk, sign: i64) -> TerminalAnswer {
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Dead {
            *self.unheard.lock().unwrap() += 1;
            return TerminalAnswer::Silent;
        }
        let mut known = self.known.lock().unwrap();
        let answer = known.entry(ask.id.clone()).or_insert_with(|| match mood {
            Mood::Declines => TerminalAnswer::Failed(PaymentFault::Declined),
            Mood::Slow => TerminalAnswer::UnderWay,
            _ => {
                *self.taken.lock().unwrap() += sign * ask.amount.minor();
                TerminalAnswer::Done { external: format!("slip-{}", &ask.id[..8]) }
            }
        });
        if mood == Mood::Mute { TerminalAnswer::Silent } else { answer.clone() }
    }
}

impl Terminal for Fake {
    fn name(&self) -> &str {
        "desk-1"
    }

    fn pay<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async move { self.ask(ask, 1) })
    }

    fn state<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async move {
            if *self.mood.lock().unwrap() == Mood::Dead {
                return TerminalAnswer::Silent;
            }
            self.known.lock().unwrap().get(&ask.id).cloned().unwrap_or(TerminalAnswer::Unknown)
        })
    }

    fn cancel<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async move {
            if *self.mood.lock().unwrap() == Mood::Dead {
                return TerminalAnswer::Silent;
            }
            let mut known = self.known.lock().unwrap();
            let answer = known.entry(ask.id.clone()).or_insert(TerminalAnswer::UnderWay);
            if *answer == TerminalAnswer::UnderWay {
                *answer = TerminalAnswer::Failed(PaymentFault::Cancelled);
            }
            answer.clone()
        })
    }

    fn refund<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        assert!(ask.of.is_some(), "a terminal is told to which card");
        Box::pin(async move { self.ask(ask, -1) })
    }
}

pub(crate) fn terminals(stage: &Stage, fake: &Arc<Fake>) -> Terminals {
    Terminals::new(stage.till.clone(), vec![Arc::clone(fake) as Arc<dyn Terminal>])
}

pub(crate) fn at_terminal(new: NewPayment) -> NewPayment {
    NewPayment { method: Method::Card, terminal: Some("desk-1".to_owned()), ..new }
}

/// Waits until a payment is settled.
pub(crate) async fn settled(stage: &Stage, terminals: &Terminals, id: &str) -> Payment {
    let done = tokio::time::timeout(Duration::from_secs(20), async {
        while terminals.progress(&stage.cashier, id).await.unwrap().0 == PaymentState::Waiting {
            tokio::task::yield_now().await;
        }
    });
    done.await.expect("it is settled in time");
    stage.till.payment(&stage.chief, id).await.unwrap()
}

story!(a_terminal_takes_the_money_once_and_gives_the_slip, |stage| {
    let fake = Fake::new(Mood::Good);
    let terminals = terminals(&stage, &fake);
    let one = charge(&stage, 0, "visit", 2).await;
    let new = at_terminal(stage.payment(stage.key(), 0, vec![part(&one, 1_500)], 100));
    let begun = terminals.pay(&stage.cashier, new.clone()).await.unwrap();
    let payment = settled(&stage, &terminals, &begun.id).await;
    assert_eq!((payment.state, payment.no), (PaymentState::Done, Some(1)));
    assert_eq!(payment.external.as_deref(), Some(&*format!("slip-{}", &begun.id[..8])));
    assert_eq!(terminals.pay(&stage.cashier, new).await.unwrap().id, begun.id, "pressed twice");
    assert_eq!(fake.taken(), 1_600);
    assert_eq!((account(&stage, 0).await.owed, account(&stage, 0).await.deposit), (amount(500), amount(100)));
    let unknown =
        NewPayment { terminal: Some("desk-9".into()), ..at_terminal(stage.payment(stage.key(), 0, vec![], 1)) };
    let told = terminals.pay(&stage.cashier, unknown).await.map_err(|error| no(&error)).unwrap_err();
    assert_eq!(told, "invalid terminal");
});

story!(what_a_terminal_declines_is_not_paid_and_has_no_receipt, |stage| {
    let fake = Fake::new(Mood::Declines);
    let terminals = terminals(&stage, &fake);
    let one = charge(&stage, 0, "visit", 2).await;
    let new = at_terminal(stage.payment(stage.key(), 0, vec![part(&one, 2_000)], 0));
    let begun = terminals.pay(&stage.cashier, new).await.unwrap();
    let payment = settled(&stage, &terminals, &begun.id).await;
    assert_eq!((payment.state, payment.fault, payment.no), (PaymentState::Failed, Some(PaymentFault::Declined), None));
    let new = stage.payment(stage.key(), 0, vec![part(&one, 2_000)], 0);
    assert_eq!(stage.till.pay(&stage.cashier, new).await.unwrap().no, Some(1), "no gap");
});

story!(an_answer_that_was_lost_is_asked_for_after_a_restart_and_counted_once, |stage| {
    let fake = Fake::new(Mood::Mute);
    let first = terminals(&stage, &fake);
    let one = charge(&stage, 0, "visit", 1).await;
    let new = at_terminal(stage.payment(stage.key(), 0, vec![part(&one, 1_000)], 0));
    let begun = first.pay(&stage.cashier, new).await.unwrap();
    while fake.taken() == 0 {
        tokio::task::yield_now().await;
    }
    // Nobody else can pay it meanwhile.
    let other = stage.till.pay(&stage.chief, stage.payment(stage.key(), 0, vec![part(&one, 1)], 0)).await;
    assert!(matches!(other, Err(TillError::Changed)));
    let hindered = stage.till.close_day(&stage.chief, stage.today()).await.map_err(|error| no(&error));
    assert_eq!(hindered.unwrap_err(), "invalid day", "a day is not closed over it");
    drop(first);
    fake.feel(Mood::Good);
    // Three programs start at once and ask.
    let after: Vec<Terminals> = (0..3).map(|_| terminals(&stage, &fake)).collect();
    for terminals in &after {
        assert!(terminals.look_after().await.unwrap() <= 1);
    }
    let payment = settled(&stage, &after[0], &begun.id).await;
    assert_eq!((payment.state, payment.no), (PaymentState::Done, Some(1)));
    for terminals in &after {
        terminals.look_after().await.unwrap();
    }
    assert_eq!((fake.taken(), account(&stage, 0).await.owed), (1_000, amount(0)));
});

story!(a_payment_that_never_reached_the_terminal_fails_and_can_never_reach_it_later, |stage| {
    let fake = Fake::new(Mood::Dead);
    let first = terminals(&stage, &fake);
    let one = charge(&stage, 0, "visit", 1).await;
    let new = at_terminal(stage.payment(stage.key(), 0, vec![part(&one, 1_000)], 0));
    let begun = first.pay(&stage.cashier, new).await.unwrap();
    let busy = first.cancel(&stage.cashier, &begun.id).await;
    assert!(matches!(busy, Err(TillError::Busy)), "nothing is known, so it waits");
    fake.was_asked_in_vain().await;
    drop(first);
    fake.feel(Mood::Good);
    let after = terminals(&stage, &fake);
    after.look_after().await.unwrap();
    let payment = settled(&stage, &after, &begun.id).await;
    assert_eq!((payment.state, payment.fault), (PaymentState::Failed, Some(PaymentFault::NotAsked)));
    // An order that was still on its way comes now.
    let ask = TerminalAsk { id: begun.id.clone(), currency: begun.currency, amount: begun.amount, of: None };
    assert_eq!(fake.pay(&ask).await, TerminalAnswer::Failed(PaymentFault::Cancelled));
    assert_eq!((fake.taken(), again(&stage, &one).await.open()), (0, amount(1_000)));
});

story!(a_cashier_breaks_off_what_the_patient_does_not_answer, |stage| {
    let fake = Fake::new(Mood::Slow);
    let terminals = terminals(&stage, &fake);
    let begun = terminals.pay(&stage.cashier, at_terminal(stage.payment(stage.key(), 0, vec![], 900))).await.unwrap();
    let ended = terminals.cancel(&stage.cashier, &begun.id).await.unwrap();
    assert_eq!((ended.state, ended.fault), (PaymentState::Failed, Some(PaymentFault::Cancelled)));
    assert_eq!(terminals.cancel(&stage.cashier, &begun.id).await.unwrap(), ended, "pressed twice");
    assert_eq!(account(&stage, 0).await.deposit, amount(0));
});

story!(money_for_a_service_that_was_taken_back_meanwhile_becomes_the_deposit, |stage| {
    let fake = Fake::new(Mood::Slow);
    let terminals = terminals(&stage, &fake);
    let (one, two) = (charge(&stage, 0, "visit", 1).await, charge(&stage, 0, "visit", 2).await);
    let new = at_terminal(stage.payment(stage.key(), 0, vec![part(&one, 1_000), part(&two, 2_000)], 0));
    let begun = terminals.pay(&stage.cashier, new).await.unwrap();
    let reason = clinic::till::CancelReason::Mistake;
    stage.till.cancel(&stage.doctor, stage.key(), &one.id, reason, "").await.unwrap();
    let external = "slip-7".to_owned();
    fake.known.lock().unwrap().insert(begun.id.clone(), TerminalAnswer::Done { external });
    tokio::time::timeout(Duration::from_secs(20), async {
        while terminals.progress(&stage.cashier, &begun.id).await.unwrap().0 == PaymentState::Waiting {
            terminals.look_after().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is settled in time");
    let payment = stage.till.payment(&stage.chief, &begun.id).await.unwrap();
    assert_eq!((payment.parts, payment.deposit), (vec![part(&two, 2_000)], amount(1_000)));
    assert_eq!(account(&stage, 0).await.deposit, amount(1_000));
    let _ = Mode::Prepaid;
});
