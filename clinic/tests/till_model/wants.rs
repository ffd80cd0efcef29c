//! From an act of a history to what exactly is wanted, by what the reference knows; and what the reference says to it.

use std::collections::BTreeMap;

use crate::history::{Act, How};
use crate::money::By;
use crate::reference::{Asked, DAY_MS, Extra, For, Pays, Reference, Scheme, Terms, Whose};

const ZONE_MS: i64 = 2 * 60 * 60 * 1000;

/// What is wanted, to the last unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Want {
    Register {
        key: String,
        who: usize,
        service: usize,
        quantity: i64,
        shown: Option<i64>,
    },
    Render {
        key: String,
        charge: usize,
    },
    Cancel {
        key: String,
        charge: usize,
    },
    Pay {
        key: String,
        who: usize,
        parts: Vec<(usize, i64)>,
        rest: i64,
        how: How,
    },
    PayFor {
        key: String,
        payer: usize,
        parts: Vec<(usize, i64)>,
        how: How,
    },
    Swipe {
        key: String,
        who: usize,
        parts: Vec<(usize, i64)>,
        rest: i64,
    },
    SendBack {
        key: String,
        who: usize,
        payment: usize,
        minor: i64,
    },
    Settle {
        payment: usize,
        is_done: bool,
    },
    TakeBack {
        key: String,
        payment: usize,
    },
    GiveBack {
        key: String,
        who: usize,
        minor: i64,
        how: How,
    },
    WriteOff {
        key: String,
        charge: usize,
        minor: i64,
        is_allowed: bool,
    },
    Price {
        service: usize,
        minor: Option<i64>,
        is_tomorrow: bool,
    },
    NewTerms(Terms),
    /// The terms with another limit.
    ChangeTerms(Terms),
    Withdraw(Terms),
    Pot {
        payer: usize,
        limit: i64,
    },
    Member {
        payer: usize,
        who: usize,
        from: i64,
        until: Option<i64>,
    },
    Scheme {
        number: usize,
        scheme: Scheme,
    },
    More {
        whom: Whose,
        minor: i64,
        until: i64,
    },
    EndMore {
        number: usize,
    },
    Merge {
        gone: usize,
        into: usize,
    },
    Open {
        key: String,
        float: i64,
    },
    Close {
        key: String,
        counted: i64,
        difference: i64,
    },
    CloseDay {
        day: i64,
    },
    Time {
        now: i64,
    },
}

/// The reference with the keys that were used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub reference: Reference,
    /// What was wanted with a key, and the answer.
    used: BTreeMap<String, (Want, String)>,
    /// Everything that was wanted with a key, in order.
    asked: Vec<Want>,
    /// The first day of the history that is not closed.
    pub first_day: i64,
}

impl Model {
    /// What an act means now: nothing, one or several wishes.
    pub(crate) fn wants(&self, number: usize, act: &Act) -> Vec<Want> {
        let known = &self.reference;
        let key = format!("act-{number:06}");
        let charges = known.charges.len();
        let today = known.today();
        match act {
            Act::Register { who, service, quantity, shown } => {
                let mut trial = known.clone();
                let asked = Asked { key: &key, patient: *who, service: *service, quantity: *quantity, shown: None };
                // What would be shown: the sum, whatever else stands against it.
                let net = trial.register(&asked).ok().map(|charge| trial.charges[charge].net());
                let shown = match shown {
                    0 => None,
                    1 => net,
                    _ => net.map(|net| net + 1),
                };
                vec![Want::Register { key, who: *who, service: *service, quantity: *quantity, shown }]
            }
            Act::Render { charge } if charges > 0 => {
                vec![Want::Render { key, charge: self.some_charge(*charge, "ordered") }]
            }
            Act::Cancel { charge } if charges > 0 => vec![Want::Cancel { key, charge: charge % charges }],
            Act::Pay { who, charges: wanted, share, rest, how } => {
                let parts = self
                    .some_parts(wanted, *share, |charge| known.left(known.charges[charge].patient) == known.left(*who));
                let rest = if *how == How::Deposit { 0 } else { *rest };
                if parts.is_empty() && rest == 0 {
                    return Vec::new();
                }
                vec![Want::Pay { key, who: *who, parts, rest, how: *how }]
            }
            Act::PayFor { payer, charges: wanted, share, how } => {
                let parts = self.some_parts(wanted, *share, |charge| known.stands_for(*payer, charge));
                if parts.is_empty() {
                    return Vec::new();
                }
                vec![Want::PayFor { key, payer: *payer, parts, how: *how }]
            }
            Act::Swipe { who, charges: wanted, share, rest } => {
                let parts = self
                    .some_parts(wanted, *share, |charge| known.left(known.charges[charge].patient) == known.left(*who));
                if parts.is_empty() && *rest == 0 {
                    return Vec::new();
                }
                vec![Want::Swipe { key, who: *who, parts, rest: *rest }]
            }
            Act::SendBack { payment, share } => {
                let all = known.payments.iter().enumerate();
                let at_terminals: Vec<usize> = all
                    .filter(|(_, payment)| payment.kind == "paid" && payment.is_terminal)
                    .map(|(number, _)| number)
                    .collect();
                let Some(payment) = at_terminals.get(payment % at_terminals.len().max(1)) else { return Vec::new() };
                let who = known.left(known.payments[*payment].patient.unwrap());
                let minor = (known.account(who).deposit * share / 100).max(1);
                vec![Want::SendBack { key, who, payment: *payment, minor }]
            }
            Act::Settle { number, is_done } => {
                let waiting = self.waiting();
                let payment = waiting.get(number % waiting.len().max(1));
                payment.map(|payment| Want::Settle { payment: *payment, is_done: *is_done }).into_iter().collect()
            }
            Act::TakeBack { payment } if !known.payments.is_empty() => {
                vec![Want::TakeBack { key, payment: payment % known.payments.len() }]
            }
            Act::GiveBack { who, share, is_cash } => {
                let minor = (known.account(known.left(*who)).deposit * share / 100).max(1);
                // More than that somebody else allows, and then it is asked whether the drawer has it.
                let how = if *is_cash && minor <= 5_000 { How::Cash } else { How::Transfer };
                vec![Want::GiveBack { key, who: *who, minor, how }]
            }
            Act::WriteOff { charge, share, is_allowed } if charges > 0 => {
                let charge = self.some_charge(*charge, "rendered");
                let minor = (known.open(charge) * share / 100).max(1);
                vec![Want::WriteOff { key, charge, minor, is_allowed: *is_allowed }]
            }
            Act::Price { service, minor, is_tomorrow } => {
                vec![Want::Price { service: *service, minor: *minor, is_tomorrow: *is_tomorrow }]
            }
            Act::Terms { pot: Some(pot), .. } if !known.pots.contains_key(pot) => Vec::new(),
            Act::More { whom: Err(payer), .. } if !known.pots.contains_key(payer) => Vec::new(),
            Act::Terms { whom, pays, limit, pot, scheme, priority, days } => {
                let whom = match whom {
                    For::One(who) => For::One(known.left(*who)),
                    other => *other,
                };
                vec![Want::NewTerms(Terms {
                    id: format!("t{:06}", known.terms_made + 1),
                    version: 1,
                    whom,
                    pays: *pays,
                    limit: *limit,
                    pot: *pot,
                    scheme: scheme.filter(|number| *number < known.schemes.len()),
                    priority: *priority,
                    from_day: today,
                    until_day: days.map(|days| today + days),
                })]
            }
            Act::ChangeTerms { terms, limit } => {
                let limited: Vec<&Terms> = known.terms.values().filter(|terms| terms.limit.is_some()).collect();
                let Some(terms) = limited.get(terms % limited.len().max(1)) else { return Vec::new() };
                vec![Want::ChangeTerms(Terms { limit: Some(*limit), ..(*terms).clone() })]
            }
            Act::Withdraw { terms } => {
                // The first ones stay, so that something can be registered.
                let all: Vec<&Terms> = known.terms.values().skip(1).collect();
                all.get(terms % all.len().max(1)).map(|terms| Want::Withdraw((*terms).clone())).into_iter().collect()
            }
            Act::Pot { payer, limit } => vec![Want::Pot { payer: *payer, limit: *limit }],
            Act::Member { payer, who, days } => {
                let until = days.map(|days| today + days);
                vec![Want::Member { payer: *payer, who: known.left(*who), from: today, until }]
            }
            Act::Scheme { number, scheme } => {
                vec![Want::Scheme { number: (*number).min(known.schemes.len()), scheme: scheme.clone() }]
            }
            Act::More { whom, minor, minutes } => {
                let whom = match whom {
                    Ok(who) => Whose::Patient(known.left(*who)),
                    Err(payer) => Whose::Pot(*payer),
                };
                let open = known.extras.iter().filter(|extra| extra.whom == whom && extra.ended.is_none());
                if open.filter(|extra| extra.until > known.now).count() >= 5 {
                    return Vec::new();
                }
                vec![Want::More { whom, minor: *minor, until: known.now + minutes * 60_000 }]
            }
            Act::EndMore { number } if !known.extras.is_empty() => {
                vec![Want::EndMore { number: number % known.extras.len() }]
            }
            Act::Merge { gone, into } if known.left(*gone) != known.left(*into) => {
                vec![Want::Merge { gone: *gone, into: *into }]
            }
            Act::Open { float } if known.drawer.is_none() => vec![Want::Open { key, float: *float }],
            Act::Close { difference } => {
                // Nothing is closed over a payment that waits for its terminal.
                self.all_settled().into_iter().chain(self.close(&key, *difference)).collect()
            }
            Act::CloseDays { is_today_too } => {
                let upto = if *is_today_too { today } else { today - 1 };
                let mut all: Vec<Want> = (self.first_day..=upto).map(|day| Want::CloseDay { day }).collect();
                if !all.is_empty() {
                    all.splice(..0, self.all_settled().into_iter().chain(self.close(&key, 0)));
                }
                all
            }
            Act::Time { ms } => vec![Want::Time { now: known.now + ms }],
            Act::Again { act, is_other } if !self.asked.is_empty() => {
                let mut want = self.asked[act % self.asked.len()].clone();
                if *is_other {
                    match &mut want {
                        Want::Register { quantity, .. } => *quantity += 1,
                        Want::Pay { rest, how, .. } if *how != How::Deposit => *rest += 1,
                        // One unit more in cash would be asked for, which is another way.
                        Want::GiveBack { minor: 5_000, how: How::Cash, .. } => {}
                        Want::GiveBack { minor, .. } | Want::SendBack { minor, .. } => *minor += 1,
                        Want::Swipe { rest, .. } => *rest += 1,
                        Want::PayFor { parts, .. } => parts[0].1 += 1,
                        Want::WriteOff { minor, .. } => *minor += 1,
                        _ => {}
                    }
                }
                vec![want]
            }
            _ => Vec::new(),
        }
    }

    /// Some of the charges, and a share of what is open of each; rather those that fit.
    fn some_parts(&self, wanted: &[usize], share: i64, fits: impl Fn(usize) -> bool) -> Vec<(usize, i64)> {
        let known = &self.reference;
        let charges = known.charges.len();
        let own: Vec<usize> =
            (0..charges).filter(|charge| fits(*charge)).filter(|charge| known.open(*charge) > 0).collect();
        let mut parts: BTreeMap<usize, i64> = BTreeMap::new();
        for number in wanted {
            // Now and then somebody else's, or one that is paid.
            let charge = match own.is_empty() || number % 12 == 0 {
                true if charges > 0 => number % charges,
                true => continue,
                false => own[number % own.len()],
            };
            parts.insert(charge, (known.open(charge) * share / 100).max(1));
        }
        parts.into_iter().collect()
    }

    /// Payments that wait for a terminal.
    fn waiting(&self) -> Vec<usize> {
        let all = self.reference.payments.iter().enumerate();
        all.filter(|(_, payment)| payment.state == "waiting").map(|(number, _)| number).collect()
    }

    fn all_settled(&self) -> Vec<Want> {
        self.waiting().into_iter().map(|payment| Want::Settle { payment, is_done: true }).collect()
    }

    /// One of the charges, rather one in this state.
    fn some_charge(&self, number: usize, state: &str) -> usize {
        let all = &self.reference.charges;
        let fitting: Vec<usize> = (0..all.len()).filter(|charge| all[*charge].state == state).collect();
        if fitting.is_empty() || number.is_multiple_of(8) {
            number % all.len()
        } else {
            fitting[number % fitting.len()]
        }
    }

    fn close(&self, key: &str, difference: i64) -> Option<Want> {
        let expected = self.reference.drawer?;
        let counted = (expected + difference).max(0);
        Some(Want::Close { key: key.to_owned(), counted, difference: counted - expected })
    }

    /// What comes of it.
    pub(crate) fn apply(&mut self, want: &Want) -> String {
        let key = match want {
            Want::Register { key, .. }
            | Want::Render { key, .. }
            | Want::Cancel { key, .. }
            | Want::Pay { key, .. }
            | Want::PayFor { key, .. }
            | Want::Swipe { key, .. }
            | Want::SendBack { key, .. }
            | Want::TakeBack { key, .. }
            | Want::GiveBack { key, .. }
            | Want::WriteOff { key, .. } => Some(key.clone()),
            _ => None,
        };
        if let Some((before, answer)) = key.as_ref().and_then(|key| self.used.get(key)) {
            return if before == want { answer.clone() } else { "key_reused".to_owned() };
        }
        if key.is_some() {
            self.asked.push(want.clone());
        }
        let answer = self.answer(want);
        // What was refused is not remembered: it may be possible now.
        if let (Some(key), true) = (key, answer.starts_with("ok")) {
            self.used.insert(key, (want.clone(), answer.clone()));
        }
        answer
    }

    fn answer(&mut self, want: &Want) -> String {
        let known = &mut self.reference;
        let done = match want.clone() {
            Want::Register { key, who, service, quantity, shown } => {
                let asked = Asked { key: &key, patient: who, service, quantity, shown };
                return match known.register(&asked) {
                    Ok(charge) => format!("ok {}", charge + 1),
                    Err(no) => no,
                };
            }
            Want::Render { charge, .. } => known.render(charge),
            Want::Cancel { charge, .. } => {
                known.cancel(charge);
                Ok(())
            }
            Want::Pay { who, parts, rest, how, .. } => known.pay(By::Patient(who), &parts, rest, how, false),
            Want::PayFor { payer, parts, how, .. } => known.pay(By::Payer(payer), &parts, 0, how, false),
            Want::Swipe { who, parts, rest, .. } => known.pay(By::Patient(who), &parts, rest, How::Card, true),
            Want::SendBack { who, payment, minor, .. } => known.give_back(who, minor, How::Card, Some(payment)),
            Want::Settle { payment, is_done } => {
                known.settle(payment, is_done);
                Ok(())
            }
            Want::TakeBack { payment, .. } => known.take_back(payment),
            Want::GiveBack { who, minor, how, .. } => known.give_back(who, minor, how, None),
            Want::WriteOff { charge, minor, is_allowed, .. } => {
                if is_allowed {
                    known.write_off(charge, minor)
                } else {
                    known.clone().write_off(charge, minor)
                }
            }
            Want::Price { service, minor, is_tomorrow } => {
                let from = if is_tomorrow { (known.today() + 1) * DAY_MS - ZONE_MS } else { known.now };
                known.prices.push((service, known.prices.len() as u64 + 1, from, minor));
                Ok(())
            }
            Want::NewTerms(terms) => {
                known.terms_made += 1;
                known.terms.insert(terms.id.clone(), terms);
                Ok(())
            }
            Want::ChangeTerms(terms) => {
                let stored = known.terms.get_mut(&terms.id).unwrap();
                if stored.limit != terms.limit {
                    *stored = Terms { version: stored.version + 1, ..terms };
                }
                Ok(())
            }
            Want::Withdraw(terms) => {
                known.terms.remove(&terms.id);
                Ok(())
            }
            Want::Pot { payer, limit } => {
                known.pots.insert(payer, limit);
                Ok(())
            }
            Want::Member { payer, who, from, until } => {
                for (its, member, since, last) in &mut known.members {
                    let member = known.merged.get(member).unwrap_or(member);
                    if *its == payer && *member == who && *since < from && last.is_none_or(|last| last >= from) {
                        *last = Some(from - 1);
                    }
                }
                let merged = &known.merged;
                let own = |member: &usize| merged.get(member).unwrap_or(member) == &who;
                known.members.retain(|(its, member, since, _)| !(*its == payer && own(member) && *since == from));
                known.members.push((payer, who, from, until));
                Ok(())
            }
            Want::Scheme { number, scheme } => {
                known.schemes.resize(known.schemes.len().max(number + 1), scheme.clone());
                known.schemes[number] = scheme;
                Ok(())
            }
            Want::More { whom, minor, until } => {
                known.extras.push(Extra { whom, minor, from: known.now, until, ended: None });
                Ok(())
            }
            Want::EndMore { number } => {
                let now = known.now;
                let extra = &mut known.extras[number];
                if extra.ended.is_some() || extra.until <= now {
                    Err("over".to_owned())
                } else {
                    extra.ended = Some(now);
                    Ok(())
                }
            }
            Want::Merge { gone, into } => {
                known.merge(gone, into);
                Ok(())
            }
            Want::Open { float, .. } => {
                known.drawer = Some(float);
                known.drawers += 1;
                Ok(())
            }
            Want::Close { .. } => {
                known.drawer = None;
                Ok(())
            }
            Want::CloseDay { day } => {
                known.closed.push(day);
                self.first_day = self.first_day.max(day + 1);
                Ok(())
            }
            Want::Time { now } => {
                known.now = now;
                Ok(())
            }
        };
        done.map_or_else(|no| no, |()| "ok".to_owned())
    }

    /// Everything that can be compared, a line each.
    pub(crate) fn state(&self, patients: usize, payers: usize) -> Vec<String> {
        let known = &self.reference;
        let mut lines = Vec::new();
        for patient in 0..patients {
            let account = known.account(patient);
            if account != crate::reference::Account::default() {
                lines.push(format!(
                    "patient {patient}: owed={} deposit={} held={} rendered={}",
                    account.owed, account.deposit, account.held, account.rendered
                ));
            }
        }
        for payer in (0..payers).filter(|payer| known.pots.contains_key(payer)) {
            lines.push(format!("pot {payer}: used={} of {}", known.used(payer), known.pots[&payer]));
        }
        for (number, charge) in known.charges.iter().enumerate() {
            let pays = match charge.pays {
                Pays::Before => "prepaid",
                Pays::FromDeposit => "deposit",
                Pays::After => "postpaid",
            };
            let paid = if charge.state == "cancelled" { 0 } else { known.paid(number) };
            let off = if charge.state == "cancelled" { 0 } else { known.written_off(number) };
            lines.push(format!(
                "charge {}: patient={} {} gross={} discount={} rate={} before={} terms={} {pays} pot={:?} paid={paid} \
                 off={off} day={}",
                number + 1,
                known.left(charge.patient),
                charge.state,
                charge.gross,
                charge.discount,
                charge.rate,
                charge.before,
                charge.terms,
                charge.pot,
                charge.day,
            ));
        }
        for (number, payment) in known.payments.iter().enumerate() {
            lines.push(payment.line(number, payment.patient.map(|patient| known.left(patient))));
        }
        lines
    }
}
