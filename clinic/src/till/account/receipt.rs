//! What a receipt says: one payment, and what it paid.

use std::collections::BTreeMap;

use domain::money::Amount;
use domain::{Permission, PersonId};
use store::{read, transact};

use super::{ChargeLine, ChargeRow, PaymentLine, PaymentRow, select_charge, select_payment};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::people::spoken;
use crate::till::ledger::amount;
use crate::till::{Till, TillError};

/// A payment and what it paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The payment.
    pub payment: PaymentLine,
    /// The charges, and how much of each, in the order of their numbers.
    pub parts: Vec<(ChargeLine, Amount)>,
    /// What of the payment went to the deposit (or came from there): the rest.
    pub rest: Amount,
    /// The kind and id of who took it.
    pub actor: (String, Option<String>),
    /// What the patient is spoken to in.
    pub language: Option<String>,
    /// What the payer is called, if one paid.
    pub payer: Option<String>,
}

impl Till {
    /// A payment and what it paid. The look is in the audit log.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`; [`TillError::NotFound`]; engine errors.
    pub async fn receipt(&self, acting: &Acting, id: &str) -> Result<Receipt, TillError> {
        acting.must(Permission::ChargeSee)?;
        let look = Draft {
            purpose: Some(Purpose::Payment),
            object: Some(id.to_owned()),
            detail: Some("receipt".to_owned()),
            ..acting.draft(self.clock.now(), Action::AccountSeen)
        };
        let id = id.to_owned();
        let found = transact!(self.database, "till.receipt", |conn| {
            let payment: Option<PaymentRow> =
                sqlx::query_as(select_payment!("WHERE id = $1")).bind(&id).fetch_optional(&mut *conn).await?;
            let Some(payment) = payment else { return Ok(None) };
            let payment = payment.read()?;
            let actor: (String, Option<String>) = sqlx::query_as("SELECT actor_kind, actor FROM payment WHERE id = $1")
                .bind(&id)
                .fetch_one(&mut *conn)
                .await?;
            let parts: Vec<(String, i64)> = sqlx::query_as("SELECT charge, minor FROM payment_part WHERE payment = $1")
                .bind(&id)
                .fetch_all(&mut *conn)
                .await?;
            let charges: Vec<ChargeRow> = sqlx::query_as(select_charge!(
                "WHERE c.id IN (SELECT charge FROM payment_part WHERE payment = $1) ORDER BY c.no"
            ))
            .bind(&id)
            .fetch_all(&mut *conn)
            .await?;
            let language = spoken!(conn, payment.patient.map(|person: PersonId| person.to_string()));
            let payer: Option<String> = sqlx::query_scalar("SELECT name FROM payer WHERE id = $1")
                .bind(payment.payer.as_deref())
                .fetch_optional(&mut *conn)
                .await?;
            let draft = Draft { subject: payment.patient, ..look.clone() };
            audit::record!(conn, &draft);
            Ok(Some((payment, actor, parts, charges, language, payer)))
        })?;
        let (payment, actor, parts, charges, language, payer) = found.ok_or(TillError::NotFound)?;
        let amounts: BTreeMap<String, i64> = parts.into_iter().collect();
        let mut rest = payment.amount;
        let mut parts = Vec::with_capacity(charges.len());
        for row in charges {
            let charge = row.read()?;
            let minor = amounts.get(&charge.id).copied().unwrap_or(0);
            let part = amount("payment_part", "minor", minor)?;
            rest = rest.minus(part).unwrap_or(Amount::ZERO);
            parts.push((charge, part));
        }
        Ok(Receipt { payment, parts, rest, actor, language, payer })
    }

    /// What a patient is spoken to in: the code of a language, if one is known. Merged records are followed. No look at money:
    /// it is asked for together with one.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`; engine errors.
    pub async fn language_of(&self, acting: &Acting, patient: PersonId) -> Result<Option<String>, TillError> {
        acting.must(Permission::ChargeSee)?;
        let id = patient.to_string();
        Ok(read!(self.database, "till.language", |conn| { Ok(spoken!(conn, &id)) })?)
    }
}
