//! The slow reference: a till that knows no database, no balances and no rules of the program. It keeps the history of what
//! happened and works every figure out again from the whole of it, each time it is asked, in plain numbers. Written from the
//! words of the rules (`docs/till.md`): whoever changes a rule changes it here as well, by hand.

use std::collections::BTreeMap;

use crate::money::Payment;

pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Kyiv in winter: two hours before Greenwich.
const ZONE_MS: i64 = 2 * 60 * 60 * 1000;
const MONEY_MAX: i128 = 1_000_000_000_000_000;

/// When a service is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pays {
    Before,
    FromDeposit,
    After,
}

/// Whom terms are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    All,
    Group(usize),
    Contract(usize),
    One(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub id: String,
    pub version: u32,
    pub whom: For,
    pub pays: Pays,
    pub limit: Option<i64>,
    /// The payer whose shared limit counts.
    pub pot: Option<usize>,
    pub scheme: Option<usize>,
    pub priority: u32,
    pub from_day: i64,
    pub until_day: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounds {
    HalfUp,
    HalfEven,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme {
    /// From which sum, how many hundredths of a per cent.
    pub steps: Vec<(i64, i64)>,
    pub rounds: Rounds,
    pub unit: i64,
}

/// More than a limit, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extra {
    pub whom: Whose,
    pub minor: i64,
    pub from: i64,
    pub until: i64,
    pub ended: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Patient(usize),
    Pot(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub key: String,
    pub patient: usize,
    pub service: usize,
    pub quantity: i64,
    pub gross: i64,
    pub discount: i64,
    pub rate: i64,
    pub before: i64,
    pub terms: String,
    /// Whose terms they were.
    pub whom: For,
    pub pays: Pays,
    pub pot: Option<usize>,
    pub state: &'static str,
    pub day: i64,
}

impl Charge {
    pub(crate) fn net(&self) -> i64 {
        self.gross - self.discount
    }
}

/// What happened with money, beside charges being registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Something of a charge was paid; from the deposit or with money from outside.
    Paid {
        charge: usize,
        minor: i64,
        from_deposit: bool,
    },
    /// It was not: what paid it did not hold. What came from the deposit is there again.
    Unpaid {
        charge: usize,
        minor: i64,
        from_deposit: bool,
    },
    PaidIn {
        patient: usize,
        minor: i64,
    },
    /// What was paid in did not hold.
    TakenOut {
        patient: usize,
        minor: i64,
    },
    /// Money that was given back did not arrive.
    CameBack {
        patient: usize,
        minor: i64,
    },
    /// The patient has had more than they ever paid: it is lost.
    Lost {
        patient: usize,
        minor: i64,
    },
    WrittenOff {
        charge: usize,
        minor: i64,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub owed: i64,
    pub deposit: i64,
    pub held: i64,
    pub rendered: i64,
}

/// Why not, as the program's answers are put into words by `driver`.
pub(crate) type No = String;

#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    pub now: i64,
    /// Service, price list, from when, how much of one piece; none: not sold.
    pub prices: Vec<(usize, u64, i64, Option<i64>)>,
    /// Services at the patient's home.
    pub at_home: Vec<bool>,
    pub terms: BTreeMap<String, Terms>,
    /// Payer, patient, first and last day.
    pub members: Vec<(usize, usize, i64, Option<i64>)>,
    pub pots: BTreeMap<usize, i64>,
    pub schemes: Vec<Scheme>,
    pub extras: Vec<Extra>,
    pub charges: Vec<Charge>,
    pub(crate) facts: Vec<Fact>,
    pub payments: Vec<Payment>,
    /// Drawers that were opened so far.
    pub drawers: usize,
    /// Who became whom.
    pub merged: BTreeMap<usize, usize>,
    pub closed: Vec<i64>,
    /// What should be in the drawer that is open, from which day.
    pub drawer: Option<i64>,
    /// Terms that were ever made.
    pub terms_made: usize,
}

pub(crate) struct Asked<'a> {
    pub key: &'a str,
    pub patient: usize,
    pub service: usize,
    pub quantity: i64,
    pub shown: Option<i64>,
}

impl Reference {
    pub(crate) fn today(&self) -> i64 {
        (self.now + ZONE_MS).div_euclid(DAY_MS)
    }

    /// Today, or the first day that is not closed after the last one that is.
    pub(crate) fn day(&self) -> i64 {
        self.closed.iter().map(|day| day + 1).chain([self.today()]).max().unwrap()
    }

    pub(crate) fn left(&self, patient: usize) -> usize {
        self.merged.get(&patient).copied().unwrap_or(patient)
    }

    pub(crate) fn paid(&self, charge: usize) -> i64 {
        self.facts
            .iter()
            .map(|fact| match fact {
                Fact::Paid { charge: paid, minor, .. } if *paid == charge => *minor,
                Fact::Unpaid { charge: open, minor, .. } if *open == charge => -minor,
                _ => 0,
            })
            .sum()
    }

    pub(crate) fn written_off(&self, charge: usize) -> i64 {
        self.facts
            .iter()
            .map(|fact| match fact {
                Fact::WrittenOff { charge: off, minor } if *off == charge => *minor,
                _ => 0,
            })
            .sum()
    }

    pub(crate) fn open(&self, charge: usize) -> i64 {
        if self.charges[charge].state == "cancelled" {
            return 0;
        }
        self.charges[charge].net() - self.paid(charge) - self.written_off(charge)
    }

    /// Everything from the history.
    pub(crate) fn account(&self, patient: usize) -> Account {
        let mut account = Account::default();
        for (number, charge) in self.charges.iter().enumerate() {
            if self.left(charge.patient) != patient {
                continue;
            }
            let paid = self.paid(number);
            match charge.state {
                "rendered" => {
                    account.rendered += charge.net();
                    account.owed += self.open(number);
                }
                "ordered" => account.held += paid,
                // Whatever was paid for it is a deposit now.
                "cancelled" => account.deposit += paid,
                other => panic!("{other}"),
            }
        }
        let own = |whose: &usize| self.left(*whose) == patient;
        for fact in &self.facts {
            match fact {
                Fact::Paid { charge, minor, from_deposit: true } if own(&self.charges[*charge].patient) => {
                    account.deposit -= minor;
                }
                Fact::Unpaid { charge, minor, from_deposit: true } if own(&self.charges[*charge].patient) => {
                    account.deposit += minor;
                }
                Fact::PaidIn { patient, minor } | Fact::CameBack { patient, minor } | Fact::Lost { patient, minor }
                    if own(patient) =>
                {
                    account.deposit += minor;
                }
                Fact::TakenOut { patient, minor } if own(patient) => account.deposit -= minor,
                _ => {}
            }
        }
        // What was given back, or is set aside for it.
        for payment in self.payments.iter().filter(|payment| payment.kind == "refunded") {
            if payment.patient.is_some_and(|whose| own(&whose)) && payment.state != "failed" {
                account.deposit -= payment.minor;
                if payment.state == "waiting" {
                    account.held += payment.minor;
                }
            }
        }
        account
    }

    /// What the members of a pot owe of it.
    pub(crate) fn used(&self, pot: usize) -> i64 {
        (0..self.charges.len())
            .filter(|number| self.charges[*number].pot == Some(pot) && self.charges[*number].state == "rendered")
            .map(|number| self.open(number))
            .sum()
    }

    /// Whose it is now: what was allowed a record that became another one is that one's.
    fn who(&self, whose: Whose) -> Whose {
        match whose {
            Whose::Patient(patient) => Whose::Patient(self.left(patient)),
            pot @ Whose::Pot(_) => pot,
        }
    }

    fn extra(&self, whom: Whose) -> i64 {
        self.extras
            .iter()
            .filter(|extra| self.who(extra.whom) == whom && extra.from <= self.now && self.now < extra.until)
            .filter(|extra| extra.ended.is_none())
            .map(|extra| extra.minor)
            .sum()
    }

    fn price_of(&self, service: usize) -> Option<i64> {
        let come = self.prices.iter().filter(|(what, _, from, _)| *what == service && *from <= self.now);
        come.max_by_key(|(_, version, from, _)| (*from, *version)).and_then(|(.., minor)| *minor)
    }

    fn counts(&self, terms: &Terms, patient: usize) -> bool {
        let day = self.today();
        let is_in_time = terms.from_day <= day && terms.until_day.is_none_or(|last| day <= last);
        let is_theirs = match terms.whom {
            For::All => true,
            For::One(whose) => self.left(whose) == patient,
            For::Group(payer) | For::Contract(payer) => self.members.iter().any(|(whose, member, from, until)| {
                *whose == payer && self.left(*member) == patient && *from <= day && until.is_none_or(|last| day <= last)
            }),
        };
        is_in_time && is_theirs
    }

    pub(crate) fn terms_of(&self, patient: usize) -> Option<&Terms> {
        let rank = |terms: &Terms| match terms.whom {
            For::All => 0,
            For::Group(_) => 1,
            For::Contract(_) => 2,
            For::One(_) => 3,
        };
        let mut best: Option<&Terms> = None;
        // In the order of their ids: the first of equals counts.
        for terms in self.terms.values().filter(|terms| self.counts(terms, patient)) {
            if best.is_none_or(|best| (terms.priority, rank(terms)) > (best.priority, rank(best))) {
                best = Some(terms);
            }
        }
        best
    }

    /// Rate and discount on a sum, after so much was rendered.
    fn discount(&self, scheme: Option<usize>, before: i64, gross: i64) -> (i64, i64) {
        let Some(scheme) = scheme.map(|number| &self.schemes[number]) else { return (0, 0) };
        let mut rate = 0;
        for (from, at) in &scheme.steps {
            if before >= *from {
                rate = *at;
            }
        }
        // In units of a ten-thousandth: how many whole units of rounding, and what is over.
        let exact = i128::from(gross) * i128::from(rate);
        let unit = i128::from(scheme.unit) * 10_000;
        let mut whole = 0_i128;
        let mut rest = exact;
        if unit > 0 {
            whole = exact / unit;
            rest = exact - whole * unit;
        }
        let goes_up = match scheme.rounds {
            Rounds::Down => false,
            Rounds::HalfUp => 2 * rest >= unit,
            Rounds::HalfEven => 2 * rest > unit || (2 * rest == unit && whole % 2 != 0),
        };
        if goes_up {
            whole += 1;
        }
        let minor = (whole * i128::from(scheme.unit)).min(i128::from(gross));
        (rate, i64::try_from(minor).unwrap())
    }

    /// Registers: the number of the charge, or why not.
    pub(crate) fn register(&mut self, asked: &Asked<'_>) -> Result<usize, No> {
        let patient = self.left(asked.patient);
        let terms = self.terms_of(patient).cloned().ok_or("no_terms")?;
        let unit = self.price_of(asked.service).ok_or("no_price")?;
        if asked.quantity < 1 || asked.quantity > 10_000 {
            return Err("quantity".to_owned());
        }
        let gross = i128::from(unit) * i128::from(asked.quantity);
        if gross > MONEY_MAX {
            return Err("too_large".to_owned());
        }
        let gross = i64::try_from(gross).unwrap();
        let account = self.account(patient);
        let before = account.rendered;
        let (rate, discount) = self.discount(terms.scheme, before, gross);
        let net = gross - discount;
        if let Some(shown) = asked.shown.filter(|shown| *shown != net) {
            return Err(format!("price_changed shown={shown} now={net}"));
        }
        let pays = if self.at_home[asked.service] { Pays::Before } else { terms.pays };
        let mut pot = None;
        match pays {
            Pays::Before => {}
            Pays::FromDeposit if account.deposit < net => {
                return Err(format!("deposit left={} missing={}", account.deposit, net - account.deposit));
            }
            Pays::FromDeposit => {}
            Pays::After => {
                let over = |what: &str, limit: i64, used: i64| {
                    let left = limit - used;
                    let text = format!("{what} limit={limit} left={} missing={}", left.max(0), net - left);
                    if net > 0 && used + net > limit { Err(text) } else { Ok(()) }
                };
                if let Some(limit) = terms.limit {
                    over("patient_limit", limit + self.extra(Whose::Patient(patient)), account.owed)?;
                }
                if let Some(payer) = terms.pot {
                    match self.pots.get(&payer) {
                        Some(limit) => {
                            over("pot_limit", limit + self.extra(Whose::Pot(payer)), self.used(payer))?;
                            pot = Some(payer);
                        }
                        None => return Err("no_terms".to_owned()),
                    }
                }
            }
        }
        let state = if pays == Pays::Before && net > 0 { "ordered" } else { "rendered" };
        self.charges.push(Charge {
            key: asked.key.to_owned(),
            patient,
            service: asked.service,
            quantity: asked.quantity,
            gross,
            discount,
            rate,
            before,
            terms: terms.id,
            whom: terms.whom,
            pays,
            pot,
            state,
            day: self.day(),
        });
        let charge = self.charges.len() - 1;
        // From a deposit it is paid with the rendering.
        if pays == Pays::FromDeposit && net > 0 {
            self.facts.push(Fact::Paid { charge, minor: net, from_deposit: true });
        }
        Ok(charge)
    }

    pub(crate) fn render(&mut self, charge: usize) -> Result<(), No> {
        match self.charges[charge].state {
            "ordered" if self.open(charge) > 0 => Err(format!("not_paid missing={}", self.open(charge))),
            "ordered" => {
                // It counts to the day on which it is rendered.
                self.charges[charge].day = self.day();
                self.charges[charge].state = "rendered";
                Ok(())
            }
            "rendered" => Ok(()),
            _ => Err("over".to_owned()),
        }
    }

    /// What is taken back already stays so.
    pub(crate) fn cancel(&mut self, charge: usize) {
        self.charges[charge].state = "cancelled";
    }

    /// Only what is owed can be written off.
    pub(crate) fn write_off(&mut self, charge: usize, minor: i64) -> Result<(), No> {
        let is_owed = self.charges[charge].state == "rendered";
        if !is_owed || minor > self.open(charge) - self.waiting(charge) {
            return Err("changed".to_owned());
        }
        self.facts.push(Fact::WrittenOff { charge, minor });
        Ok(())
    }

    /// One record becomes another one.
    pub(crate) fn merge(&mut self, gone: usize, into: usize) {
        let (gone, into) = (self.left(gone), self.left(into));
        if gone == into {
            return;
        }
        for target in self.merged.values_mut() {
            if *target == gone {
                *target = into;
            }
        }
        self.merged.insert(gone, into);
    }
}
