//! Invoices in GNU Health, where the settings want them: says which charges were paid at the till, and the module on the other
//! side makes the invoice of what is complete, in the same transaction. Said twice it changes nothing there. Writes as the
//! user who reads, because a cashier need not be known there.

use std::collections::BTreeMap;

use clinic::changes::ChangeKind;
use clinic::outbox::Fact;
use serde_json::{Value, json};

use super::GnuHealth;
use super::rpc::{RpcError, Session};
use super::visits::{Failed, SERVICE};
use crate::delivery::FaultCode;

/// What may be missing for an invoice, as the module says it.
const MISSING: &[&str] = &["address", "payment_term", "receivable", "account", "tax", "currency", "company"];

impl GnuHealth {
    /// Tells what is paid by now of what a fact is about.
    pub(super) async fn settle(&self, fact: &Fact) -> Result<(), Failed> {
        let Some(login) = &self.settings.invoices else { return Ok(()) };
        let Some((charges, visit)) = told(fact)? else { return Ok(()) };
        let params = || vec![json!(charges), json!(visit)];
        let session = self.sessions.of(login).await.map_err(Failed::NoSession)?;
        let missing = match self.say(&session, params()).await {
            // It ended there by itself; once more with a new one.
            Err(RpcError::NoSession) => {
                self.sessions.forget(login);
                let session = self.sessions.of(login).await.map_err(Failed::NoSession)?;
                self.say(&session, params()).await?
            }
            missing => missing?,
        };
        let Value::Array(missing) = missing else { return Err(RpcError::Answer.into()) };
        match missing.first() {
            None => Ok(()),
            Some(first) => {
                let known = MISSING.iter().find(|code| first.as_str() == Some(**code));
                Err(Failed::NoInvoice(known.copied().unwrap_or("unknown")))
            }
        }
    }

    async fn say(&self, session: &Session, params: Vec<Value>) -> Result<Value, RpcError> {
        self.sessions.rpc.call(session, &format!("model.{SERVICE}.tapward_settle"), params).await
    }
}

/// Charges and whether they are paid in full, and the visit that has ended; `None`: nothing that invoices wait for.
#[expect(clippy::type_complexity, reason = "said once")]
fn told(fact: &Fact) -> Result<Option<(BTreeMap<&str, bool>, Option<&str>)>, Failed> {
    match fact.change.kind {
        ChangeKind::ChargeRendered | ChangeKind::ChargeCancelled => {
            let charge = fact.charge.as_ref().ok_or(Failed::Dead(FaultCode::Missing, "charge"))?;
            let matters = charge.is_paid() || fact.change.kind == ChangeKind::ChargeCancelled;
            Ok(matters.then(|| ([(charge.id.as_str(), charge.is_paid())].into(), None)))
        }
        ChangeKind::PaymentTaken | ChangeKind::PaymentReturned => {
            let payment = fact.payment.as_ref().ok_or(Failed::Dead(FaultCode::Missing, "payment"))?;
            let charges: BTreeMap<&str, bool> =
                payment.parts.iter().map(|(charge, _)| (charge.as_str(), payment.paid.contains(charge))).collect();
            Ok(if charges.is_empty() { None } else { Some((charges, None)) })
        }
        ChangeKind::VisitEnded => {
            let visit = fact.visit.as_ref().ok_or(Failed::Dead(FaultCode::Missing, "visit"))?;
            Ok(Some((BTreeMap::new(), Some(visit.id.as_str()))))
        }
        _ => Ok(None),
    }
}
