//! Two records of a patient become one: what the one owes, has paid in and was given becomes the other's, with the charges
//! that are not settled yet. Part of the merge's own transaction.
//!
//! Settled charges stay under the record that they were registered for and are read as the other's; what is posted stays as
//! it is. Terms of the record that is gone count for the one that is left ([`super::resolve`]); its memberships, and what
//! supervisors allowed it on top of its limit, are moved.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use domain::money::{Amount, Currency};
use domain::till::{Account, EntryKind, Ledger, Posting};
use domain::{PersonId, UtcMillis};
use store::Error;

use super::ledger::{LedgerOn, NewEntry};
use super::rows::{ChargesOn, told};
use crate::audit::{Draft, Log};
use crate::changes::{Change, ChangeKind, Feed};

/// What a merge moves, besides charges.
pub(crate) trait AbsorbOn {
    /// The currencies in which a person has an account.
    ///
    /// # Errors
    /// Engine errors.
    async fn currencies_of(&mut self, person: PersonId) -> Result<BTreeSet<Currency>, Error>;

    /// What was allowed on top of a person's limit is another's.
    ///
    /// # Errors
    /// Engine errors.
    async fn move_overrides(&mut self, from: PersonId, into: PersonId) -> Result<(), Error>;

    /// A person belongs to groups and contracts as another: of two memberships that begin on one day the longer one is left.
    ///
    /// # Errors
    /// Engine errors.
    async fn move_members(&mut self, from: PersonId, into: PersonId) -> Result<u64, Error>;
}

macro_rules! absorb_on {
    ($connection:ty) => {
        impl AbsorbOn for $connection {
            async fn currencies_of(&mut self, person: PersonId) -> Result<BTreeSet<Currency>, Error> {
                let codes: Vec<String> = sqlx::query_scalar("SELECT currency FROM till_balance WHERE person = $1")
                    .bind(person.to_string())
                    .fetch_all(&mut *self)
                    .await?;
                codes.iter().map(|code| super::ledger::currency("till_balance", code)).collect()
            }

            async fn move_overrides(&mut self, from: PersonId, into: PersonId) -> Result<(), Error> {
                sqlx::query("UPDATE limit_override SET owner = $1 WHERE owner = $2 AND target = 'patient'")
                    .bind(into.to_string())
                    .bind(from.to_string())
                    .execute(&mut *self)
                    .await?;
                Ok(())
            }

            async fn move_members(&mut self, from: PersonId, into: PersonId) -> Result<u64, Error> {
                let (from, into) = (from.to_string(), into.to_string());
                sqlx::query(
                    "INSERT INTO payer_member (payer, person, from_day, until_day)
                     SELECT payer, CAST($1 AS TEXT), from_day, until_day FROM payer_member WHERE person = $2
                     ON CONFLICT (payer, person, from_day) DO UPDATE SET until_day = CASE
                         WHEN payer_member.until_day IS NULL OR excluded.until_day IS NULL THEN NULL
                         WHEN excluded.until_day > payer_member.until_day THEN excluded.until_day
                         ELSE payer_member.until_day END",
                )
                .bind(&into)
                .bind(&from)
                .execute(&mut *self)
                .await?;
                let gone =
                    sqlx::query("DELETE FROM payer_member WHERE person = $1").bind(&from).execute(&mut *self).await?;
                Ok(gone.rows_affected())
            }
        }
    };
}

store::for_each_connection!(absorb_on);

/// Moves what is `from`'s to `into`; `draft` is the entry of the merge, which gets the detail. Call it in the transaction of
/// the merge, before it writes entries and changes of its own. Nothing is written when there is nothing.
///
/// # Errors
/// Engine errors; sums that no amount can be.
pub(crate) async fn absorb<C: LedgerOn + ChargesOn + AbsorbOn + Log + Feed>(
    conn: &mut C,
    from: PersonId,
    into: PersonId,
    draft: &Draft,
    zone: Tz,
) -> Result<(), Error> {
    let now = draft.at;
    let currencies = conn.currencies_of(from).await?;
    let keys: BTreeSet<_> = currencies.iter().flat_map(|currency| [(from, *currency), (into, *currency)]).collect();
    let accounts = conn.accounts(&keys).await?;
    let mut after = BTreeMap::new();
    let mut moved: Vec<(Currency, Vec<Posting>, Vec<Posting>)> = Vec::new();
    for currency in currencies {
        let of = |person: PersonId| accounts.get(&(person, currency)).copied().unwrap_or_default();
        let (gone, left) = (of(from), of(into));
        if gone == Account::default() {
            continue;
        }
        after.insert((from, currency), Account::default());
        after.insert((into, currency), sum(&gone, &left)?);
        let (out, inward) = postings(&gone);
        if !out.is_empty() {
            moved.push((currency, out, inward));
        }
    }
    conn.save_accounts(&after).await?;
    conn.move_overrides(from, into).await?;
    let members = conn.move_members(from, into).await?;
    let charges = conn.move_unsettled(from, into).await?;
    if after.is_empty() && charges == 0 && members == 0 {
        return Ok(());
    }
    let words =
        moved.iter().fold(format!("till merged; charges={charges}; members={members}"), |words, (currency, out, _)| {
            format!("{words}; currency={currency}; postings={}", told(out))
        });
    let number = conn.append(&Draft { subject: Some(into), detail: Some(words), ..draft.clone() }).await?;
    let day = conn.posting_day(super::day_in(zone, now)).await?;
    let entry = |person: PersonId, currency: Currency, postings: Vec<Posting>| NewEntry {
        kind: EntryKind::Merged,
        at: now,
        day,
        currency,
        patient: Some(person),
        charge: None,
        payment: None,
        shift: None,
        audit: number,
        postings,
    };
    let entries: Vec<NewEntry> = moved
        .into_iter()
        .flat_map(|(currency, out, inward)| [entry(from, currency, out), entry(into, currency, inward)])
        .collect();
    if !entries.is_empty() {
        conn.post(&entries).await?;
    }
    // Pages that show the patient's limits read them anew.
    conn.append_change(&changed(into, now)).await?;
    Ok(())
}

fn changed(patient: PersonId, now: UtcMillis) -> Change {
    Change {
        patient: Some(patient),
        reason: Some("merged".to_owned()),
        ..Change::new(now, now, ChangeKind::TermsChanged)
    }
}

/// Both accounts together.
fn sum(one: &Account, other: &Account) -> Result<Account, Error> {
    let plus = |a: Amount, b: Amount| {
        a.plus(b)
            .ok_or_else(|| Error::bad_row("till_balance", "rendered_minor", "the sum of two accounts is too large"))
    };
    Ok(Account {
        owed: plus(one.owed, other.owed)?,
        deposit: plus(one.deposit, other.deposit)?,
        held: plus(one.held, other.held)?,
        rendered: plus(one.rendered, other.rendered)?,
    })
}

/// What empties an account, and what fills the other one with it.
fn postings(gone: &Account) -> (Vec<Posting>, Vec<Posting>) {
    let mut out = Vec::new();
    for (ledger, amount, is_asset) in
        [(Ledger::Owed, gone.owed, true), (Ledger::Deposit, gone.deposit, false), (Ledger::Held, gone.held, false)]
    {
        // A balance below zero moves the other way round.
        let minor = amount.minor();
        let Some(size) = Amount::new(minor.saturating_abs()).filter(|size| size.is_positive()) else { continue };
        let posting = if is_asset == (minor > 0) {
            Posting { debit: Ledger::Merged, credit: ledger, amount: size }
        } else {
            Posting { debit: ledger, credit: Ledger::Merged, amount: size }
        };
        out.push(posting);
    }
    let inward = domain::till::posting::reversed(&out);
    (out, inward)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_out_of_one_record_comes_into_the_other() {
        let amount = |minor| Amount::new(minor).unwrap();
        let gone = Account { owed: amount(300), deposit: amount(20), held: amount(0), rendered: amount(900) };
        let (out, inward) = postings(&gone);
        assert_eq!(told(&out), "merged>owed:300,deposit>merged:20");
        assert_eq!(told(&inward), "owed>merged:300,merged>deposit:20");
        let (out, _) = postings(&Account { owed: amount(-5), ..Account::default() });
        assert_eq!(told(&out), "owed>merged:5");
    }
}
