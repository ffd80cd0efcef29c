//! A charge in GNU Health: a line of the visit's health service, which is a draft until somebody makes its invoice. The line
//! carries the charge's id, unique there, and what is to be paid. Everything is read before it is written, so that saying it
//! twice changes nothing.

use clinic::outbox::{Fact, FactCharge};
use domain::till::ChargeState;
use serde_json::{Value, json};

use super::rpc::{RpcError, day};
use super::visits::{Failed, Hand, SERVICE, id};
use crate::delivery::FaultCode;

pub(super) const LINE: &str = "gnuhealth.health_service.line";

impl Hand<'_> {
    /// The line of a charge, or the one that reverses it.
    async fn line(&self, charge: &str, is_reversal: bool) -> Result<Option<Value>, Failed> {
        let domain = json!([["tapward_charge", "=", charge], ["tapward_reversal", "=", is_reversal]]);
        let fields = ["service.state", "product", "qty", "tapward_taken_back"];
        Ok(self.read(LINE, domain, 1, &fields).await?.into_iter().next())
    }

    /// Writes the line of a charge, once.
    pub(super) async fn charge(&self, fact: &Fact, charge: &FactCharge) -> Result<(), Failed> {
        if self.line(&charge.id, false).await?.is_some() {
            return Ok(());
        }
        let patient = self.patient(fact).await?;
        let found = self.read("product.product", json!([["code", "=", charge.code()]]), 1, &["rec_name"]).await?;
        let Some(product) = found.first().and_then(id) else {
            return Err(Failed::Dead(FaultCode::NotFound, "product"));
        };
        let values = self.values(charge, product, false);
        self.place(fact, charge, patient, values, false).await
    }

    /// In a draft the line stays, is not invoiced and says why; what was invoiced gets a line that reverses it.
    pub(super) async fn take_charge_back(&self, fact: &Fact, charge: &FactCharge) -> Result<(), Failed> {
        debug_assert!(charge.state == ChargeState::Cancelled);
        let Some(found) = self.line(&charge.id, false).await? else { return Ok(()) };
        let (Some(line), Some(product)) = (id(&found), found["product"].as_i64()) else {
            return Err(RpcError::Answer.into());
        };
        if found["tapward_taken_back"] == true || self.line(&charge.id, true).await?.is_some() {
            return Ok(());
        }
        if found["service."]["state"] != "invoiced" {
            let remarks = "Taken back: it was not rendered.";
            let values = json!({ "to_invoice": false, "tapward_taken_back": true, "remarks": remarks });
            return match self.call(LINE, "write", vec![json!([line]), values]).await {
                Ok(_) => Ok(()),
                // Invoiced at the same moment: then once more, with a line that reverses it.
                Err(refused @ RpcError::Refused(_)) => match self.line(&charge.id, false).await? {
                    Some(now) if now["service."]["state"] == "invoiced" => Err(RpcError::Conflict.into()),
                    _ => Err(refused.into()),
                },
                Err(error) => Err(error.into()),
            };
        }
        let patient = self.patient(fact).await?;
        let mut values = self.values(charge, product, true);
        values["qty"] = json!(-found["qty"].as_i64().unwrap_or_else(|| i64::from(charge.quantity)));
        self.place(fact, charge, patient, values, true).await
    }

    fn values(&self, charge: &FactCharge, product: i64, is_reversal: bool) -> Value {
        let at = charge.rendered.unwrap_or(charge.registered);
        let at = chrono::DateTime::from_timestamp_millis(at.0).unwrap_or_default().date_naive();
        let name = charge.name(&self.there.settings.language);
        let decimal = charge.currency.decimal(charge.net);
        let sign = if is_reversal && charge.net.is_positive() { "-" } else { "" };
        json!({
            "desc": if is_reversal { format!("Taken back: {name}") } else { name.to_owned() },
            "product": product, "qty": charge.quantity, "to_invoice": true, "from_date": day(at), "to_date": day(at),
            "tapward_charge": charge.id, "tapward_reversal": is_reversal, "tapward_taken_back": false,
            "tapward_amount": { "__class__": "Decimal", "decimal": format!("{sign}{decimal}") },
            "tapward_currency": charge.currency.as_str(),
        })
    }

    /// Into the visit's health service while that is a draft; otherwise into one of its own.
    async fn place(
        &self,
        fact: &Fact,
        charge: &FactCharge,
        patient: i64,
        mut line: Value,
        is_reversal: bool,
    ) -> Result<(), Failed> {
        let (service_date, desc) = (line["from_date"].clone(), line["desc"].clone());
        let visit = fact.visit.as_ref().map(|visit| visit.id.as_str()).or(charge.visit.as_deref());
        let of_visit = match visit {
            Some(visit) => {
                let domain = json!([["tapward_visit", "=", visit], ["patient", "=", patient]]);
                self.read(SERVICE, domain, 1, &["state"]).await?.into_iter().next()
            }
            None => None,
        };
        let made = match &of_visit {
            Some(service) if service["state"] == "draft" => {
                line["service"] = service["id"].clone();
                self.call(LINE, "create", vec![json!([line])]).await
            }
            _ => {
                let mut values = json!({
                    "patient": patient, "desc": desc, "service_date": service_date, "service_line": [["create", [line]]],
                });
                if let (Some(visit), None) = (visit, &of_visit) {
                    values["tapward_visit"] = visit.into();
                }
                self.call(SERVICE, "create", vec![json!([values])]).await
            }
        };
        match made {
            Ok(_) => Ok(()),
            // It is there already, from an answer that was lost; or the visit's service came into being, or was invoiced, at
            // the same moment: then once more.
            Err(refused @ RpcError::Refused(_)) if self.line(&charge.id, is_reversal).await?.is_none() => {
                let Some(visit) = visit else { return Err(refused.into()) };
                let domain = json!([["tapward_visit", "=", visit], ["patient", "=", patient]]);
                let now = self.read(SERVICE, domain, 1, &["state"]).await?.into_iter().next();
                let before = of_visit.map(|service| service["state"].clone());
                match now.map(|service| service["state"].clone()) == before {
                    true => Err(refused.into()),
                    false => Err(RpcError::Conflict.into()),
                }
            }
            Err(RpcError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
