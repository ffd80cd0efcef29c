//! The reference's payments: what comes, waits for a terminal, goes back, and what did not hold. As slow as the rest: every
//! figure is worked out from the history.

use std::collections::BTreeSet;

use crate::history::How;
use crate::reference::{Fact, For, No, Reference};

/// Who pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Patient(usize),
    Payer(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub kind: &'static str,
    pub how: How,
    pub state: &'static str,
    pub minor: i64,
    pub patient: Option<usize>,
    /// Charges, and how much of each.
    pub parts: Vec<(usize, i64)>,
    /// At a terminal.
    pub is_terminal: bool,
    /// The payment whose money goes back to its card.
    pub refunds: Option<usize>,
    /// The drawer through which it went.
    drawer: Option<usize>,
}

impl Payment {
    fn of_parts(&self) -> i64 {
        self.parts.iter().map(|(_, minor)| minor).sum()
    }

    /// A line to compare.
    pub(crate) fn line(&self, number: usize, patient: Option<usize>) -> String {
        let how = match self.how {
            How::Transfer => "transfer",
            How::Cash => "cash",
            How::Deposit => "deposit",
            How::Card => "card",
        };
        format!(
            "payment {number}: {} {how} {} minor={} parts={} patient={patient:?}",
            self.kind,
            self.state,
            self.minor,
            self.of_parts()
        )
    }
}

impl Reference {
    /// What waiting payments are to pay of a charge.
    pub(crate) fn waiting(&self, charge: usize) -> i64 {
        let waiting = self.payments.iter().filter(|payment| payment.state == "waiting" && payment.kind == "paid");
        waiting.flat_map(|payment| &payment.parts).filter(|(part, _)| *part == charge).map(|(_, minor)| minor).sum()
    }

    /// Whether a payer stands for a charge: it counts against their pot, or their terms were those.
    pub(crate) fn stands_for(&self, payer: usize, charge: usize) -> bool {
        let charge = &self.charges[charge];
        charge.pot == Some(payer) || matches!(charge.whom, For::Group(whose) | For::Contract(whose) if whose == payer)
    }

    /// Takes a payment of so much for these charges; what is left of it becomes a deposit. At a terminal it waits.
    pub(crate) fn pay(
        &mut self,
        by: By,
        parts: &[(usize, i64)],
        rest: i64,
        how: How,
        is_terminal: bool,
    ) -> Result<(), No> {
        let patient = match by {
            By::Patient(patient) => Some(self.left(patient)),
            By::Payer(_) => None,
        };
        let is_theirs = |charge: usize| match by {
            By::Patient(patient) => self.left(self.charges[charge].patient) == self.left(patient),
            By::Payer(payer) => self.stands_for(payer, charge),
        };
        if parts.iter().any(|(charge, _)| !is_theirs(*charge)) {
            return Err("not_theirs".to_owned());
        }
        if parts.iter().any(|(charge, minor)| *minor > self.open(*charge) - self.waiting(*charge)) {
            return Err("changed".to_owned());
        }
        // First whether it is open, then whether there is a drawer for it.
        if how == How::Cash && self.drawer.is_none() {
            return Err("no_shift".to_owned());
        }
        let sum: i64 = parts.iter().map(|(_, minor)| minor).sum();
        if let (How::Deposit, Some(patient)) = (how, patient) {
            let deposit = self.account(patient).deposit;
            if sum > deposit {
                return Err(format!("deposit left={deposit} missing={}", sum - deposit));
            }
        }
        self.payments.push(Payment {
            kind: "paid",
            how,
            state: "waiting",
            minor: sum + rest,
            patient,
            parts: parts.to_vec(),
            is_terminal,
            refunds: None,
            drawer: (how == How::Cash).then_some(self.drawers),
        });
        if !is_terminal {
            self.settle(self.payments.len() - 1, true);
        }
        Ok(())
    }

    /// What waits is done, or is not. What a charge is not open for any more becomes its patient's deposit.
    pub(crate) fn settle(&mut self, number: usize, is_done: bool) {
        let payment = self.payments[number].clone();
        if payment.state != "waiting" {
            return;
        }
        self.payments[number].state = if is_done { "done" } else { "failed" };
        if !is_done || payment.kind == "refunded" {
            return;
        }
        if let (How::Cash, Some(drawer)) = (payment.how, &mut self.drawer) {
            *drawer += payment.minor;
        }
        let mut parts = Vec::new();
        for (charge, minor) in &payment.parts {
            let now = self.open(*charge).min(*minor);
            if now > 0 {
                self.facts.push(Fact::Paid { charge: *charge, minor: now, from_deposit: payment.how == How::Deposit });
                parts.push((*charge, now));
            }
            if now < *minor {
                self.facts.push(Fact::PaidIn { patient: self.charges[*charge].patient, minor: minor - now });
            }
        }
        let rest = payment.minor - payment.of_parts();
        if let (Some(patient), true) = (payment.patient, rest > 0) {
            self.facts.push(Fact::PaidIn { patient, minor: rest });
        }
        self.payments[number].parts = parts;
    }

    /// Gives money back from the deposit; to the card of a payment it waits for the terminal.
    pub(crate) fn give_back(&mut self, patient: usize, minor: i64, how: How, refunds: Option<usize>) -> Result<(), No> {
        let patient = self.left(patient);
        if how == How::Cash {
            match self.drawer {
                None => return Err("no_shift".to_owned()),
                Some(drawer) if drawer < minor => return Err("invalid amount".to_owned()),
                Some(_) => {}
            }
        }
        if let Some(old) = refunds {
            let gone = self.payments.iter().filter(|other| other.refunds == Some(old) && other.kind == "refunded");
            let gone: i64 =
                gone.filter(|other| matches!(other.state, "waiting" | "done")).map(|other| other.minor).sum();
            if self.payments[old].state != "done" || minor > self.payments[old].minor - gone {
                return Err("changed".to_owned());
            }
        }
        let deposit = self.account(patient).deposit;
        if minor > deposit {
            return Err(format!("deposit left={deposit} missing={}", minor - deposit));
        }
        if let (How::Cash, Some(drawer)) = (how, &mut self.drawer) {
            *drawer -= minor;
        }
        self.payments.push(Payment {
            kind: "refunded",
            how,
            state: if refunds.is_some() { "waiting" } else { "done" },
            minor,
            patient: Some(patient),
            parts: Vec::new(),
            is_terminal: refunds.is_some(),
            refunds,
            drawer: (how == How::Cash).then_some(self.drawers),
        });
        Ok(())
    }

    /// A payment did not hold: what it paid is open again, what it paid in is taken out of the deposit; where that was used,
    /// what was paid out of it is open again, the newest first; and what even that does not cover is lost.
    pub(crate) fn take_back(&mut self, number: usize) -> Result<(), No> {
        let old = self.payments[number].clone();
        if old.kind == "returned" || old.state != "done" {
            return Err("changed".to_owned());
        }
        if old.how == How::Cash {
            let is_open = self.drawer.is_some() && old.drawer == Some(self.drawers);
            if !is_open || (old.kind == "paid" && self.drawer < Some(old.minor)) {
                return Err("invalid payment".to_owned());
            }
            if let Some(drawer) = &mut self.drawer {
                *drawer += if old.kind == "paid" { -old.minor } else { old.minor };
            }
        }
        let mut parts: Vec<(usize, i64)> = Vec::new();
        if let ("refunded", Some(patient)) = (old.kind, old.patient) {
            self.facts.push(Fact::CameBack { patient, minor: old.minor });
        } else {
            let mut patients: BTreeSet<usize> = old.patient.iter().map(|patient| self.left(*patient)).collect();
            let from_deposit = old.how == How::Deposit;
            for (charge, minor) in &old.parts {
                let (charge, owner) = (*charge, self.left(self.charges[*charge].patient));
                patients.insert(owner);
                // What was paid for a service that was taken back afterwards is a deposit.
                let is_gone = self.charges[charge].state == "cancelled";
                let again = if is_gone { 0 } else { self.paid(charge).min(*minor) };
                if again > 0 {
                    self.facts.push(Fact::Unpaid { charge, minor: again, from_deposit });
                    parts.push((charge, again));
                }
                if again < *minor && !from_deposit {
                    self.facts.push(Fact::TakenOut { patient: owner, minor: minor - again });
                }
            }
            let rest = old.minor - old.of_parts();
            if let (Some(patient), true) = (old.patient, rest > 0) {
                self.facts.push(Fact::TakenOut { patient, minor: rest });
            }
            for patient in patients {
                self.cover(patient, &mut parts);
            }
        }
        self.payments[number].state = "returned";
        let patient = old.patient.map(|patient| self.left(patient));
        self.payments.push(Payment { kind: "returned", state: "done", patient, parts, refunds: None, ..old });
        Ok(())
    }

    /// Makes a deposit that is below zero good.
    fn cover(&mut self, patient: usize, parts: &mut Vec<(usize, i64)>) {
        for charge in (0..self.charges.len()).rev() {
            let missing = -self.account(patient).deposit;
            let own = &self.charges[charge];
            if missing <= 0 || self.left(own.patient) != patient || own.state == "cancelled" {
                continue;
            }
            let out_of_deposit: i64 = self
                .facts
                .iter()
                .map(|fact| match fact {
                    Fact::Paid { charge: paid, minor, from_deposit: true } if *paid == charge => *minor,
                    Fact::Unpaid { charge: open, minor, from_deposit: true } if *open == charge => -minor,
                    _ => 0,
                })
                .sum();
            let minor = missing.min(out_of_deposit).min(self.paid(charge));
            if minor > 0 {
                self.facts.push(Fact::Unpaid { charge, minor, from_deposit: true });
                parts.push((charge, minor));
            }
        }
        let lost = -self.account(patient).deposit;
        if lost > 0 {
            self.facts.push(Fact::Lost { patient, minor: lost });
        }
    }
}
