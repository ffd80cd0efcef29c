//! On which terms a patient is today, and what their limits leave. As the registrar decides it, from the same statements.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{Mode, Terms, terms};
use domain::{PersonId, UtcMillis};
use store::Error;

use super::Balance;
use crate::till::ledger::{LedgerOn, PotKey};
use crate::till::offer::{Left, PotLeft};
use crate::till::resolve::{OF_PATIENT, OF_POT, ResolveOn};

/// The terms that count for a patient today in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsNow {
    /// The terms.
    pub terms: Terms,
    /// The patient's own limit, on postpaid terms that have one.
    pub limit: Option<Left>,
    /// The shared limit, on postpaid terms that name one.
    pub pot: Option<PotLeft>,
}

/// Reads them; the names of pots are not filled in.
pub(super) async fn terms_now<C: ResolveOn + LedgerOn>(
    conn: &mut C,
    person: PersonId,
    balances: &[Balance],
    day: LocalDate,
    now: UtcMillis,
) -> Result<Vec<TermsNow>, Error> {
    let all = conn.terms_for(&[person], day).await?.remove(&person).unwrap_or_default();
    let currencies: BTreeSet<Currency> = all.iter().map(|terms| terms.currency).collect();
    let chosen: Vec<&Terms> =
        currencies.into_iter().filter_map(|currency| terms::choose(&all, currency, day)).collect();
    let pots: BTreeSet<PotKey> =
        chosen.iter().filter_map(|terms| terms.pot.clone().map(|pot| (pot, terms.currency))).collect();
    let owners: BTreeSet<String> =
        pots.iter().map(|(payer, _)| payer.clone()).chain(std::iter::once(person.to_string())).collect();
    let extras = conn.overrides(&owners, now).await?;
    let pots = conn.pots(&pots).await?;
    let extra = |kind: &'static str, owner: String, currency| {
        extras.get(&(kind, owner, currency)).copied().unwrap_or(Amount::ZERO)
    };
    let more = |limit: Amount, extra: Amount| limit.plus(extra).unwrap_or(limit);
    let limits = |terms: &Terms| {
        let owed = balances.iter().find(|balance| balance.currency == terms.currency);
        let owed = owed.map_or(Amount::ZERO, |balance| balance.account.owed);
        let own = extra(OF_PATIENT, person.to_string(), terms.currency);
        let limit =
            terms.limit.filter(|_| terms.mode == Mode::Postpaid).map(|limit| Left::of(more(limit, own), own, owed));
        let pot = terms.pot.clone().filter(|_| terms.mode == Mode::Postpaid).map(|payer| {
            let pot = pots.get(&(payer.clone(), terms.currency)).copied().unwrap_or_default();
            let extra = extra(OF_POT, payer.clone(), terms.currency);
            PotLeft { name: payer.clone(), payer, left: Left::of(more(pot.limit, extra), extra, pot.used) }
        });
        TermsNow { terms: terms.clone(), limit, pot }
    };
    Ok(chosen.into_iter().map(limits).collect())
}

/// The limits of many patients by the terms of a day: of those whose terms in a currency are postpaid and have one.
pub(in crate::till) async fn limits_of<C: ResolveOn>(
    conn: &mut C,
    patients: &[PersonId],
    day: LocalDate,
) -> Result<BTreeMap<(PersonId, Currency), Amount>, Error> {
    let mut limits = BTreeMap::new();
    for (person, all) in conn.terms_for(patients, day).await? {
        let currencies: BTreeSet<Currency> = all.iter().map(|terms| terms.currency).collect();
        for currency in currencies {
            let chosen = terms::choose(&all, currency, day).filter(|terms| terms.mode == Mode::Postpaid);
            if let Some(limit) = chosen.and_then(|terms| terms.limit) {
                limits.insert((person, currency), limit);
            }
        }
    }
    Ok(limits)
}
