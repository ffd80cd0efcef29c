//! Money that moves: accounts, pots and charges as they become, and the postings that say so, gathered in memory and then
//! written as one. Statements and arithmetic; whether it may be is decided by those who call it.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::posting::{self, Posting};
use domain::till::{Account, ChargeState, EntryKind, Ledger, Method, Refusal};
use domain::{PersonId, UtcMillis};
use store::Error;

use super::rows::PaymentsOn;
use crate::audit::{Draft, Log};
use crate::changes::Feed;
use crate::till::TillError;
use crate::till::charge::Charge;
use crate::till::ledger::{LedgerOn, NewEntry, Pot, PotKey};
use crate::till::shifts::ShiftsOn;

/// An engine's connection inside a transaction, with all that payments need.
pub(crate) trait TillOn: LedgerOn + PaymentsOn + ShiftsOn + Log + Feed {}
impl<T: LedgerOn + PaymentsOn + ShiftsOn + Log + Feed> TillOn for T {}

/// When and for what money moves.
#[derive(Debug, Clone)]
pub(crate) struct What {
    pub(crate) now: UtcMillis,
    /// The clinic's day that it counts to.
    pub(crate) day: LocalDate,
    pub(crate) currency: Currency,
    /// The payment that moves it.
    pub(crate) payment: Option<String>,
    /// The shift, where cash moves.
    pub(crate) shift: Option<String>,
}

/// Money that moves.
#[derive(Debug)]
pub(crate) struct Moves {
    what: What,
    accounts: BTreeMap<PersonId, Account>,
    pots: BTreeMap<String, Pot>,
    charges: BTreeMap<String, Charge>,
    /// The record that is left, for each patient of a charge.
    left: BTreeMap<PersonId, PersonId>,
    /// Charges, accounts and pots that changed.
    touched: BTreeSet<String>,
    moved: BTreeSet<PersonId>,
    drawn: BTreeSet<String>,
    entries: Vec<NewEntry>,
}

/// The sum, or why there is none.
fn plus(a: Amount, b: Amount) -> Result<Amount, TillError> {
    a.plus(b).ok_or(TillError::Refused(Refusal::TooLarge))
}

/// The difference, or why there is none.
fn minus(a: Amount, b: Amount) -> Result<Amount, TillError> {
    a.minus(b).ok_or(TillError::Refused(Refusal::TooLarge))
}

impl Moves {
    /// Loads what is needed: these charges with the accounts of their patients and their pots, and the accounts of these
    /// patients, who must be records that are left.
    pub(crate) async fn load<C: TillOn>(
        conn: &mut C,
        what: What,
        charges: BTreeMap<String, Charge>,
        patients: &[PersonId],
    ) -> Result<Self, Error> {
        let mut moves = Self {
            what,
            accounts: BTreeMap::new(),
            pots: BTreeMap::new(),
            charges: BTreeMap::new(),
            left: BTreeMap::new(),
            touched: BTreeSet::new(),
            moved: BTreeSet::new(),
            drawn: BTreeSet::new(),
            entries: Vec::new(),
        };
        let keys: BTreeSet<_> = patients.iter().map(|patient| (*patient, moves.what.currency)).collect();
        for ((patient, _), account) in conn.accounts(&keys).await? {
            moves.accounts.insert(patient, account);
        }
        moves.add_charges(conn, charges).await?;
        Ok(moves)
    }

    /// Loads further charges with what belongs to them. What is known stays as it has become.
    async fn add_charges<C: TillOn>(&mut self, conn: &mut C, charges: BTreeMap<String, Charge>) -> Result<(), Error> {
        let patients: BTreeSet<PersonId> = charges.values().map(|charge| charge.patient).collect();
        self.left.extend(conn.survivors(&patients).await?);
        let wanted = self.left.values().filter(|patient| !self.accounts.contains_key(patient));
        let keys: BTreeSet<_> = wanted.map(|patient| (*patient, self.what.currency)).collect();
        if !keys.is_empty() {
            for ((patient, _), account) in conn.accounts(&keys).await? {
                self.accounts.insert(patient, account);
            }
        }
        let pots: BTreeSet<PotKey> = charges
            .values()
            .filter_map(|charge| charge.pot.clone())
            .filter(|pot| !self.pots.contains_key(pot))
            .map(|pot| (pot, self.what.currency))
            .collect();
        if !pots.is_empty() {
            self.pots.extend(conn.pots(&pots).await?.into_iter().map(|((payer, _), pot)| (payer, pot)));
        }
        for (id, charge) in charges {
            self.charges.entry(id).or_insert(charge);
        }
        Ok(())
    }

    pub(crate) fn charge(&self, id: &str) -> Option<&Charge> {
        self.charges.get(id)
    }

    pub(crate) fn account(&self, patient: PersonId) -> Account {
        self.accounts.get(&patient).copied().unwrap_or_default()
    }

    /// Whose account a charge stands in.
    pub(crate) fn patient_of(&self, charge: &Charge) -> PersonId {
        self.left.get(&charge.patient).copied().unwrap_or(charge.patient)
    }

    /// Patients whose charges changed, or whose accounts.
    pub(crate) fn patients(&self) -> BTreeSet<PersonId> {
        self.moved.clone()
    }

    fn entry(&mut self, kind: EntryKind, patient: Option<PersonId>, charge: Option<&str>, postings: Vec<Posting>) {
        self.moved.extend(patient);
        let moves_cash = postings.iter().any(|it| it.debit == Ledger::Drawer || it.credit == Ledger::Drawer);
        self.entries.push(NewEntry {
            kind,
            at: self.what.now,
            day: self.what.day,
            currency: self.what.currency,
            patient,
            charge: charge.map(str::to_owned),
            payment: self.what.payment.clone(),
            shift: self.what.shift.clone().filter(|_| moves_cash),
            audit: 0,
            postings,
        });
    }

    /// Changes what is paid of a charge, with the account and the pot that it counts against: `by` is positive when it is
    /// paid, negative when it is open again.
    fn shift_paid(&mut self, id: &str, by: Amount, written_off: Amount) -> Result<(PersonId, bool), TillError> {
        let charge = self.charges.get_mut(id).ok_or(TillError::NotFound)?;
        let patient = self.left.get(&charge.patient).copied().unwrap_or(charge.patient);
        let is_rendered = charge.state == ChargeState::Rendered;
        charge.paid = plus(charge.paid, by)?;
        charge.written_off = plus(charge.written_off, written_off)?;
        let less = plus(by, written_off)?;
        let account = self.accounts.entry(patient).or_default();
        if is_rendered {
            account.owed = minus(account.owed, less)?;
            if let Some((payer, pot)) = charge.pot.as_ref().and_then(|payer| Some((payer, self.pots.get_mut(payer)?))) {
                pot.used = minus(pot.used, less)?;
                self.drawn.insert(payer.clone());
            }
        } else {
            account.held = plus(account.held, by)?;
        }
        self.touched.insert(id.to_owned());
        Ok((patient, is_rendered))
    }

    /// A charge is paid, in part or in full: an order's money is held, the rest lessens what is owed and what is used of the
    /// pot.
    pub(crate) fn pay_charge(&mut self, id: &str, method: Method, amount: Amount) -> Result<(), TillError> {
        let (patient, is_rendered) = self.shift_paid(id, amount, Amount::ZERO)?;
        if method == Method::Deposit {
            let account = self.accounts.entry(patient).or_default();
            account.deposit = minus(account.deposit, amount)?;
        }
        self.entry(EntryKind::Paid, Some(patient), Some(id), posting::paid(method, is_rendered, amount));
        Ok(())
    }

    /// A charge is open again, because what paid it did not hold.
    pub(crate) fn unpay_charge(&mut self, id: &str, method: Method, amount: Amount) -> Result<(), TillError> {
        let back = minus(Amount::ZERO, amount)?;
        let (patient, is_rendered) = self.shift_paid(id, back, Amount::ZERO)?;
        if method == Method::Deposit {
            let account = self.accounts.entry(patient).or_default();
            account.deposit = plus(account.deposit, amount)?;
        }
        let postings = posting::reversed(&posting::paid(method, is_rendered, amount));
        self.entry(EntryKind::Returned, Some(patient), Some(id), postings);
        Ok(())
    }

    /// What is open of a rendered charge is not to be paid.
    pub(crate) fn write_off(&mut self, id: &str, amount: Amount) -> Result<(), TillError> {
        let (patient, _) = self.shift_paid(id, Amount::ZERO, amount)?;
        self.entry(EntryKind::WrittenOff, Some(patient), Some(id), posting::written_off(amount));
        Ok(())
    }

    /// A deposit grows.
    pub(crate) fn pay_in(&mut self, patient: PersonId, method: Method, amount: Amount) -> Result<(), TillError> {
        let account = self.accounts.entry(patient).or_default();
        account.deposit = plus(account.deposit, amount)?;
        self.entry(EntryKind::PaidIn, Some(patient), None, posting::paid_in(method, amount));
        Ok(())
    }

    /// Money goes back out of a deposit.
    pub(crate) fn refund(&mut self, patient: PersonId, method: Method, amount: Amount) -> Result<(), TillError> {
        let account = self.accounts.entry(patient).or_default();
        let missing = minus(amount, account.deposit)?;
        if missing.is_positive() {
            return Err(Refusal::Deposit { left: account.deposit.max(Amount::ZERO), missing }.into());
        }
        account.deposit = minus(account.deposit, amount)?;
        self.entry(EntryKind::Refunded, Some(patient), None, posting::refunded(method, amount));
        Ok(())
    }

    /// What is to go back to a card leaves the deposit: nothing else can use it while the terminal is asked.
    pub(crate) fn set_aside(&mut self, patient: PersonId, amount: Amount) -> Result<(), TillError> {
        let account = self.accounts.entry(patient).or_default();
        let missing = minus(amount, account.deposit)?;
        if missing.is_positive() {
            return Err(Refusal::Deposit { left: account.deposit.max(Amount::ZERO), missing }.into());
        }
        account.deposit = minus(account.deposit, amount)?;
        account.held = plus(account.held, amount)?;
        self.entry(EntryKind::SetAside, Some(patient), None, posting::set_aside(amount));
        Ok(())
    }

    /// What was set aside has gone back to the card.
    pub(crate) fn send_back(&mut self, patient: PersonId, method: Method, amount: Amount) -> Result<(), TillError> {
        let account = self.accounts.entry(patient).or_default();
        account.held = minus(account.held, amount)?;
        self.entry(EntryKind::Refunded, Some(patient), None, posting::sent_back(method, amount));
        Ok(())
    }

    /// What was set aside has not gone back: it is in the deposit again.
    pub(crate) fn release(&mut self, patient: PersonId, amount: Amount) -> Result<(), TillError> {
        let account = self.accounts.entry(patient).or_default();
        account.held = minus(account.held, amount)?;
        account.deposit = plus(account.deposit, amount)?;
        self.entry(EntryKind::Released, Some(patient), None, posting::reversed(&posting::set_aside(amount)));
        Ok(())
    }

    /// Money given back did not arrive: it is in the deposit again.
    pub(crate) fn unrefund(&mut self, patient: PersonId, method: Method, amount: Amount) -> Result<(), TillError> {
        let account = self.accounts.entry(patient).or_default();
        account.deposit = plus(account.deposit, amount)?;
        let postings = posting::reversed(&posting::refunded(method, amount));
        self.entry(EntryKind::Returned, Some(patient), None, postings);
        Ok(())
    }

    /// What was paid in did not hold. The deposit may be below zero afterwards: [`Moves::cover`] must follow.
    pub(crate) fn unpay_in(&mut self, patient: PersonId, method: Method, amount: Amount) -> Result<(), TillError> {
        let account = self.accounts.entry(patient).or_default();
        account.deposit = minus(account.deposit, amount)?;
        let postings = posting::reversed(&posting::paid_in(method, amount));
        self.entry(EntryKind::Returned, Some(patient), None, postings);
        Ok(())
    }

    /// Deposits that are below zero are made good: charges that were paid out of them, the newest first, are open again;
    /// what even they do not cover (the patient has had it back) is lost, and written off. Returns the charges that are
    /// open again and how much of each, and what is lost.
    pub(crate) async fn cover<C: TillOn>(
        &mut self,
        conn: &mut C,
    ) -> Result<Result<(BTreeMap<String, Amount>, Amount), TillError>, Error> {
        let below: Vec<PersonId> = self
            .accounts
            .iter()
            .filter(|(_, account)| account.deposit.minor() < 0)
            .map(|(patient, _)| *patient)
            .collect();
        let (mut opened, mut lost) = (BTreeMap::new(), Amount::ZERO);
        for patient in below {
            let paid = conn.paid_from_deposit(patient, self.what.currency).await?;
            let ids: BTreeSet<String> = paid.iter().map(|(charge, _)| charge.clone()).collect();
            let charges = conn.charges_of(&ids).await?;
            self.add_charges(conn, charges).await?;
            match self.cover_one(patient, &paid, &mut opened) {
                Ok(rest) => match lost.plus(rest) {
                    Some(sum) => lost = sum,
                    None => return Ok(Err(Refusal::TooLarge.into())),
                },
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok((opened, lost)))
    }

    fn cover_one(
        &mut self,
        patient: PersonId,
        paid: &[(String, Amount)],
        opened: &mut BTreeMap<String, Amount>,
    ) -> Result<Amount, TillError> {
        for (id, amount) in paid {
            let missing = minus(Amount::ZERO, self.account(patient).deposit)?;
            let of_it = self.charges.get(id).map_or(Amount::ZERO, |charge| charge.paid);
            let part = missing.min(*amount).min(of_it);
            if !part.is_positive() {
                continue;
            }
            // Paid out of the deposit before: now not any more.
            self.unpay_charge(id, Method::Deposit, part)?;
            let sum = plus(opened.get(id).copied().unwrap_or_default(), part)?;
            opened.insert(id.clone(), sum);
        }
        let missing = minus(Amount::ZERO, self.account(patient).deposit)?;
        if !missing.is_positive() {
            return Ok(Amount::ZERO);
        }
        let account = self.accounts.entry(patient).or_default();
        account.deposit = Amount::ZERO;
        let loss = vec![Posting { debit: Ledger::WriteOff, credit: Ledger::Deposit, amount: missing }];
        self.entry(EntryKind::WrittenOff, Some(patient), None, loss);
        Ok(missing)
    }

    /// Cash between drawer and safe.
    pub(crate) fn drawer(&mut self, kind: EntryKind, postings: Vec<Posting>) {
        if !postings.is_empty() {
            self.entry(kind, None, None, postings);
        }
    }

    /// The postings in codes, summed up: for the audit log.
    fn told(&self) -> String {
        let mut sums: BTreeMap<(Ledger, Ledger), i64> = BTreeMap::new();
        for posting in self.entries.iter().flat_map(|entry| &entry.postings) {
            *sums.entry((posting.debit, posting.credit)).or_default() += posting.amount.minor();
        }
        let all: Vec<String> =
            sums.iter().map(|((debit, credit), minor)| format!("{debit}>{credit}:{minor}")).collect();
        all.join(",")
    }

    /// Writes all of it, with its entry of the audit log, and returns that one's number. The draft's detail is completed by
    /// the postings. Whoever calls stores the payment and appends the change afterwards.
    pub(crate) async fn write<C: TillOn>(&mut self, conn: &mut C, mut draft: Draft) -> Result<u64, Error> {
        let currency = self.what.currency;
        let accounts = self.accounts.iter().filter(|(patient, _)| self.moved.contains(patient));
        let accounts: BTreeMap<_, _> = accounts.map(|(patient, account)| ((*patient, currency), *account)).collect();
        conn.save_accounts(&accounts).await?;
        let pots = self.pots.iter().filter(|(payer, _)| self.drawn.contains(*payer));
        let pots: BTreeMap<PotKey, Pot> = pots.map(|(payer, pot)| ((payer.clone(), currency), *pot)).collect();
        conn.save_pots(&pots, self.what.now).await?;
        let charges = self.charges.iter().filter(|(id, _)| self.touched.contains(*id));
        let charges: BTreeMap<String, Charge> = charges.map(|(id, charge)| (id.clone(), charge.clone())).collect();
        if !charges.is_empty() {
            conn.save_paid(&charges).await?;
        }
        let before = draft.detail.take().map(|detail| format!("{detail} ")).unwrap_or_default();
        draft.detail = Some(format!("{before}currency={} postings={}", self.what.currency, self.told()));
        let audit = conn.append(&draft).await?;
        for entry in &mut self.entries {
            entry.audit = audit;
        }
        if !self.entries.is_empty() {
            conn.post(&self.entries).await?;
        }
        Ok(audit)
    }
}
