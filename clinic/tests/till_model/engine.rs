//! The till itself, asked for the same; over one database engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinic::till::payments::{
    NewPayment, NewRefund, PaymentFault, PaymentState, RefundOutcome, RefundReason, ReturnReason,
};
use clinic::till::requests::{NewWriteOff, RequestState, WriteOffReason};
use clinic::till::shifts::{Closing, DifferenceReason, NewShift};
use clinic::till::terminal::{BoxFuture, Terminal, TerminalAnswer, TerminalAsk, Terminals};
use clinic::till::{
    CancelReason, Member, NewOverride, NewPayer, NewPrice, NewScheme, NewTerms, OverrideOwner, OverrideReason,
    PayerKind, TillError,
};
use domain::UtcMillis;
use domain::money::Amount;
use domain::schedule::LocalDate;
use domain::till::{Method, Mode, Owner, Rounding, Step};

use crate::history::{How, PATIENTS, PAYERS, SERVICES};
use crate::reference::{For, Pays, Rounds, Terms, Whose};
use crate::stage::{Stage, WHY, amount, no, patient, uah};
use crate::wants::Want;

pub(crate) struct Engine {
    pub(crate) stage: Stage,
    /// Ids of charges, by their number less one.
    charges: Vec<String>,
    extras: Vec<String>,
    /// Ids of payments, in the order in which they were begun.
    payments: Vec<String>,
    terminals: Terminals,
    desk: Arc<Desk>,
    shift: Option<String>,
    pub(crate) name: &'static str,
}

fn service(number: usize) -> String {
    format!("s{number}")
}

fn payer(number: usize) -> String {
    format!("payer-{number}")
}

fn scheme(number: usize) -> String {
    format!("scale-{number}")
}

fn day(number: i64) -> LocalDate {
    LocalDate(i32::try_from(number).unwrap())
}

/// A card terminal that is silent until it is told what has become of an id.
#[derive(Debug, Default)]
struct Desk(Mutex<BTreeMap<String, TerminalAnswer>>);

impl Terminal for Desk {
    fn name(&self) -> &str {
        "desk-1"
    }

    fn pay<'a>(&'a self, _: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async { TerminalAnswer::Silent })
    }

    fn state<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        let known = self.0.lock().unwrap().get(&ask.id).cloned();
        Box::pin(async move { known.unwrap_or(TerminalAnswer::UnderWay) })
    }

    fn cancel<'a>(&'a self, _: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async { TerminalAnswer::Silent })
    }

    fn refund<'a>(&'a self, _: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(async { TerminalAnswer::Silent })
    }
}

impl Engine {
    pub(crate) async fn new(stage: Stage, name: &'static str) -> Self {
        let till = &stage.till;
        for number in 0..SERVICES {
            stage.service(&service(number), crate::FIRST_PRICES[number], number == SERVICES - 1).await;
        }
        for number in 0..PAYERS {
            let kind = if number == 0 { PayerKind::Group } else { PayerKind::Contract };
            till.put_payer(&stage.chief, NewPayer::new(&payer(number), kind, "Some people")).await.unwrap();
        }
        let desk = Arc::new(Desk::default());
        let terminals = Terminals::new(stage.till.clone(), vec![Arc::clone(&desk) as Arc<dyn Terminal>]);
        let (charges, extras, payments) = (Vec::new(), Vec::new(), Vec::new());
        Self { stage, charges, extras, payments, terminals, desk, shift: None, name }
    }

    /// What is wanted, and what came of it in the words of the reference.
    pub(crate) async fn apply(&mut self, want: &Want) -> String {
        match self.try_apply(want).await {
            Ok(answer) => answer,
            Err(error) => no(&error),
        }
    }

    async fn try_apply(&mut self, want: &Want) -> Result<String, TillError> {
        let stage = self.stage.clone();
        let (till, chief, cashier) = (&stage.till, &stage.chief, &stage.cashier);
        match want.clone() {
            Want::Register { key, who, service: number, quantity, shown } => {
                let quantity = u32::try_from(quantity).unwrap();
                let new = clinic::till::NewCharge {
                    shown: shown.map(amount),
                    ..stage.charge(key, who, &service(number), quantity)
                };
                let charge = till.register(&stage.doctor, new).await?;
                let number = usize::try_from(charge.no).unwrap();
                if number > self.charges.len() {
                    self.charges.push(charge.id);
                }
                return Ok(format!("ok {number}"));
            }
            Want::Render { key, charge } => {
                till.render(&stage.doctor, key, &self.charges[charge], None).await?;
            }
            Want::Cancel { key, charge } => {
                // The chief: whose it is and from which day does not matter here.
                till.cancel(&stage.chief_doctor(), key, &self.charges[charge], CancelReason::Mistake, WHY).await?;
            }
            Want::Pay { key, who, parts, rest, how } => {
                let new = stage.payment(key, who, self.parts(&parts), rest);
                let payment = till.pay(cashier, NewPayment { method: method(how), ..new }).await?;
                self.remember(payment.id);
            }
            Want::PayFor { key, payer: number, parts, how } => {
                let new = stage.payment(key, 0, self.parts(&parts), 0);
                let new = NewPayment { patient: None, payer: Some(payer(number)), method: method(how), ..new };
                let payment = till.pay(cashier, new).await?;
                self.remember(payment.id);
            }
            Want::Swipe { key, who, parts, rest } => {
                let new = stage.payment(key, who, self.parts(&parts), rest);
                let new = NewPayment { method: Method::Card, terminal: Some("desk-1".to_owned()), ..new };
                let payment = self.terminals.pay(cashier, new).await?;
                self.remember(payment.id);
            }
            Want::SendBack { key, who, payment, minor } => {
                let refunds = Some(self.payments[payment].clone());
                self.give_back(NewRefund { refunds, ..refund(key, who, minor, How::Card) }).await?;
            }
            Want::Settle { payment, is_done } => self.settle(payment, is_done).await,
            Want::TakeBack { key, payment } => {
                let (id, reason) = (self.payments[payment].clone(), ReturnReason::Other);
                let payment = till.return_payment(chief, &key, &id, reason, WHY).await?;
                self.remember(payment.id);
            }
            Want::GiveBack { key, who, minor, how } => self.give_back(refund(key, who, minor, how)).await?,
            Want::WriteOff { key, charge, minor, is_allowed } => {
                let new = NewWriteOff {
                    key,
                    charge: self.charges[charge].clone(),
                    amount: amount(minor),
                    reason: WriteOffReason::Small,
                    words: WHY.to_owned(),
                };
                let request = till.ask_write_off(cashier, new).await?;
                if request.state == RequestState::Asked {
                    till.decide_request(chief, &request.id, is_allowed, WHY).await?;
                }
            }
            Want::Price { service: number, minor, is_tomorrow } => {
                let from = is_tomorrow.then(|| LocalDate(stage.today().0 + 1));
                let price =
                    NewPrice { amount: minor.map(amount), ..NewPrice::new(&service(number), uah(), Amount::ZERO) };
                till.set_prices(chief, from, vec![price]).await?;
            }
            Want::NewTerms(terms) => {
                let stored = till.put_terms(chief, self.terms(&terms, None)).await?;
                assert_eq!(stored.terms.id, terms.id);
            }
            Want::ChangeTerms(terms) => {
                till.put_terms(chief, self.terms(&terms, Some((terms.id.clone(), terms.version)))).await?;
            }
            Want::Withdraw(terms) => till.withdraw_terms(chief, &terms.id, terms.version).await?,
            Want::Pot { payer: number, limit } => {
                till.set_pot(chief, &payer(number), uah(), amount(limit)).await?;
            }
            Want::Member { payer: number, who, from, until } => {
                let member = Member { person: patient(who), from: day(from), until: until.map(day) };
                till.put_member(chief, &payer(number), member).await?;
            }
            Want::Scheme { number, scheme: wanted } => {
                let steps = wanted.steps.iter();
                let new = NewScheme {
                    id: scheme(number),
                    name: "A scale".to_owned(),
                    currency: uah(),
                    steps: steps
                        .map(|(from, rate)| Step { from: amount(*from), rate: u32::try_from(*rate).unwrap() })
                        .collect(),
                    rounding: match wanted.rounds {
                        Rounds::HalfUp => Rounding::HalfUp,
                        Rounds::HalfEven => Rounding::HalfEven,
                        Rounds::Down => Rounding::Down,
                    },
                    unit: wanted.unit,
                };
                till.put_scheme(chief, new).await?;
            }
            Want::More { whom, minor, until } => {
                let owner = match whom {
                    Whose::Patient(who) => OverrideOwner::Patient(patient(who)),
                    Whose::Pot(number) => OverrideOwner::Pot(payer(number)),
                };
                let (extra, until) = (amount(minor), UtcMillis(until));
                let (reason, words) = (OverrideReason::Treatment, WHY.to_owned());
                let new = NewOverride { owner, currency: uah(), extra, until, reason, words };
                self.extras.push(till.allow_more(chief, new).await?.id);
            }
            Want::EndMore { number } => till.end_override(chief, &self.extras[number]).await?,
            Want::Merge { gone, into } => stage.merge(gone, into).await,
            Want::Open { key, float } => {
                let new = NewShift { key, drawer: "front".to_owned(), currency: None, float: amount(float) };
                self.shift = Some(till.open_shift(cashier, new).await?.id);
            }
            Want::Close { key, counted, difference } => {
                let shift = self.shift.take().unwrap();
                let card = till.shift_totals(cashier, &shift).await?.card;
                let reason = (difference != 0).then_some(DifferenceReason::Counting);
                let words = if difference == 0 { String::new() } else { WHY.to_owned() };
                let closing = Closing { key, shift, counted: amount(counted), card, reason, words };
                let closed = till.close_shift(cashier, closing).await?;
                assert_eq!(closed.expected, Some(amount(counted - difference)), "{}", self.name);
            }
            Want::CloseDay { day: number } => {
                till.close_day(chief, day(number)).await?;
            }
            Want::Time { now } => stage.set_clock(now),
        }
        Ok("ok".to_owned())
    }

    fn parts(&self, parts: &[(usize, i64)]) -> Vec<(String, Amount)> {
        parts.iter().map(|(charge, minor)| (self.charges[*charge].clone(), amount(*minor))).collect()
    }

    /// A repetition gives a payment that is known.
    fn remember(&mut self, id: String) {
        if !self.payments.contains(&id) {
            self.payments.push(id);
        }
    }

    async fn give_back(&mut self, new: NewRefund) -> Result<(), TillError> {
        let stage = self.stage.clone();
        let id = match self.terminals.refund(&stage.cashier, new).await? {
            RefundOutcome::Paid(payment) => payment.id,
            RefundOutcome::Asked(request) if request.state == RequestState::Asked => {
                let done = self.terminals.decide_request(&stage.chief, &request.id, true, WHY).await?;
                done.payment.unwrap()
            }
            RefundOutcome::Asked(request) => request.payment.unwrap(),
        };
        self.remember(id);
        Ok(())
    }

    /// The terminal answers, and the till hears it.
    async fn settle(&self, payment: usize, is_done: bool) {
        let id = &self.payments[payment];
        let answer = match is_done {
            true => TerminalAnswer::Done { external: format!("slip-{}", &id[..12]) },
            false => TerminalAnswer::Failed(PaymentFault::Declined),
        };
        self.desk.0.lock().unwrap().insert(id.clone(), answer);
        let heard = async {
            while self.terminals.progress(&self.stage.cashier, id).await.unwrap().0 == PaymentState::Waiting {
                self.terminals.look_after().await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), heard).await.expect("what waits is asked about");
    }

    fn terms(&self, terms: &Terms, id: Option<(String, u32)>) -> NewTerms {
        let owner = match terms.whom {
            For::All => Owner::Everybody,
            For::Group(number) | For::Contract(number) => Owner::Payer(payer(number)),
            For::One(who) => Owner::Patient(patient(who)),
        };
        NewTerms {
            id,
            owner,
            mode: match terms.pays {
                Pays::Before => Mode::Prepaid,
                Pays::FromDeposit => Mode::Deposit,
                Pays::After => Mode::Postpaid,
            },
            currency: uah(),
            limit: terms.limit.map(amount),
            pot: terms.pot.map(payer),
            scheme: terms.scheme.map(scheme),
            priority: terms.priority,
            from: day(terms.from_day),
            until: terms.until_day.map(day),
        }
    }

    /// Everything that can be compared, a line each, as the reference has it.
    pub(crate) async fn state(&self) -> Vec<String> {
        let database = &self.stage.database;
        let numbers: BTreeMap<String, usize> =
            (0..PATIENTS).map(|number| (patient(number).to_string(), number)).collect();
        let left: BTreeMap<String, String> = store::read!(database, "test.merged", |conn| {
            Ok(sqlx::query_as("SELECT person, into_person FROM person_merge").fetch_all(&mut *conn).await?)
        })
        .unwrap()
        .into_iter()
        .collect();
        let number = |person: &str| numbers[left.get(person).map_or(person, String::as_str)];
        type Balance = (String, i64, i64, i64, i64);
        let mut balances: Vec<Balance> = store::read!(database, "test.balances", |conn| {
            Ok(sqlx::query_as(
                "SELECT person, owed_minor, deposit_minor, held_minor, rendered_minor FROM till_balance
                 WHERE owed_minor <> 0 OR deposit_minor <> 0 OR held_minor <> 0 OR rendered_minor <> 0",
            )
            .fetch_all(&mut *conn)
            .await?)
        })
        .unwrap();
        balances.sort_by_key(|(person, ..)| numbers[person]);
        let mut lines: Vec<String> = balances
            .into_iter()
            .map(|(person, owed, deposit, held, rendered)| {
                let who = numbers[&person];
                format!("patient {who}: owed={owed} deposit={deposit} held={held} rendered={rendered}")
            })
            .collect();
        let pots: Vec<(String, i64, i64)> = store::read!(database, "test.pots", |conn| {
            Ok(sqlx::query_as("SELECT payer, used_minor, limit_minor FROM pot ORDER BY payer")
                .fetch_all(&mut *conn)
                .await?)
        })
        .unwrap();
        lines.extend(pots.iter().map(|(payer, used, limit)| {
            format!("pot {}: used={used} of {limit}", payer.strip_prefix("payer-").unwrap())
        }));
        type Row = (i64, String, String, i64, i64, i64, i64, String, String, Option<String>, i64, i64, i64);
        let rows: Vec<Row> = store::read!(database, "test.charges", |conn| {
            Ok(sqlx::query_as(
                "SELECT no, patient, state, gross_minor, discount_minor, rate, before_minor, terms, mode, pot,
                     CASE WHEN state = 'cancelled' THEN 0 ELSE paid_minor END,
                     CASE WHEN state = 'cancelled' THEN 0 ELSE written_off_minor END, day
                 FROM charge ORDER BY no",
            )
            .fetch_all(&mut *conn)
            .await?)
        })
        .unwrap();
        for (no, patient, state, gross, discount, rate, before, terms, mode, pot, paid, off, day) in rows {
            let pot: Option<usize> = pot.map(|pot| pot.strip_prefix("payer-").unwrap().parse().unwrap());
            lines.push(format!(
                "charge {no}: patient={} {state} gross={gross} discount={discount} rate={rate} before={before} \
                 terms={terms} {mode} pot={pot:?} paid={paid} off={off} day={day}",
                number(&patient)
            ));
        }
        type Line = (String, String, String, String, i64, Option<String>, i64);
        let rows: Vec<Line> = store::read!(database, "test.payments", |conn| {
            Ok(sqlx::query_as(
                "SELECT p.id, p.kind, p.method, p.state, p.minor, p.patient,
                     CAST(COALESCE((SELECT SUM(t.minor) FROM payment_part t WHERE t.payment = p.id), 0) AS BIGINT)
                 FROM payment p",
            )
            .fetch_all(&mut *conn)
            .await?)
        })
        .unwrap();
        let mut payments: Vec<(usize, String)> = Vec::new();
        for (id, kind, method, state, minor, patient, parts) in rows {
            let at = self.payments.iter().position(|known| *known == id).expect("a payment that nobody asked for");
            let patient = patient.as_deref().map(number);
            let line = format!("payment {at}: {kind} {method} {state} minor={minor} parts={parts} patient={patient:?}");
            payments.push((at, line));
        }
        payments.sort_unstable();
        lines.extend(payments.into_iter().map(|(_, line)| line));
        lines
    }
}

fn method(how: How) -> Method {
    match how {
        How::Transfer => Method::Transfer,
        How::Cash => Method::Cash,
        How::Deposit => Method::Deposit,
        How::Card => Method::Card,
    }
}

fn refund(key: String, who: usize, minor: i64, how: How) -> NewRefund {
    NewRefund {
        key,
        patient: patient(who),
        method: method(how),
        currency: uah(),
        amount: amount(minor),
        external: None,
        refunds: None,
        reason: RefundReason::Wish,
        words: WHY.to_owned(),
    }
}
