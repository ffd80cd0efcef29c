//! A charge as a ChargeItem of FHIR R4: made when the service is rendered, entered in error when it is taken back. Pure.

use std::collections::BTreeMap;

use clinic::outbox::{Fact, FactCharge};
use domain::money::{Amount, Currency};
use serde_json::{Map, Number, Value, json};

use super::Settings;
use super::resource::practitioner;

/// The status of a ChargeItem that is to be paid.
const BILLABLE: &str = "billable";
/// The status of one that never was.
const NEVER_WAS: &str = "entered-in-error";

/// What a ChargeItem is made of.
pub(super) struct Charge<'a> {
    pub(super) charge: &'a FactCharge,
    pub(super) fact: &'a Fact,
    /// The id of the patient's resource.
    pub(super) patient: &'a str,
    /// A reference to the Encounter of its visit, where it belongs to one.
    pub(super) context: Option<Value>,
    pub(super) settings: &'a Settings,
    /// Whether the fact is that it was taken back.
    pub(super) is_taken_back: bool,
}

/// A ChargeItem that is not there yet.
pub(super) fn charge_item(wanted: &Charge<'_>) -> Value {
    let Charge { charge, fact, patient, context, settings, is_taken_back } = wanted;
    let code = match &charge.external {
        Some(external) => json!({ "system": settings.service_system, "code": external }),
        None => json!({ "system": "urn:tapward:service", "code": charge.service }),
    };
    let occurred = charge.rendered.unwrap_or(charge.registered).to_rfc3339();
    let mut item = json!({
        "resourceType": "ChargeItem",
        "id": charge.id,
        "identifier": [
            { "system": settings.charge_system, "value": charge.id },
            { "system": "urn:tapward:charge-number", "value": charge.no.to_string() },
        ],
        "status": if *is_taken_back { NEVER_WAS } else { BILLABLE },
        "code": { "coding": [code], "text": charge.name(&settings.language) },
        "subject": { "reference": format!("Patient/{patient}") },
        "occurrenceDateTime": occurred,
        "quantity": { "value": charge.quantity },
        "priceOverride": money(charge.currency, charge.net),
        "enteredDate": charge.registered.to_rfc3339(),
    });
    if let Some(context) = context {
        item["context"] = context.clone();
    }
    if charge.discount.is_positive() {
        item["overrideReason"] = reason(charge).into();
    }
    if let Some(staff) = charge.staff.as_ref().or(fact.staff.as_ref().filter(|_| !is_taken_back)) {
        let who = practitioner(staff, settings);
        item["performer"] = json!([{ "actor": who }]);
        item["enterer"] = who;
    }
    item
}

/// Why the price is not that of the list, in codes.
fn reason(charge: &FactCharge) -> String {
    let (list, discount) = (charge.currency.decimal(charge.gross), charge.currency.decimal(charge.discount));
    let by = charge.scheme.as_ref().map(|(id, version)| format!(", scheme {id} version {version}")).unwrap_or_default();
    format!("price {list} less discount {discount} ({}.{:02} %{by})", charge.rate / 100, charge.rate % 100)
}

/// Money of FHIR. Its value is a JSON number; each amount that there can be is read back from it to the last minor unit.
pub(super) fn money(currency: Currency, amount: Amount) -> Value {
    let value = match currency.digits() {
        0 => Number::from(amount.minor()),
        // At most 10^15 minor units: sixteen digits, which the shortest form of a double tells apart.
        _ => currency.decimal(amount).parse().ok().and_then(Number::from_f64).unwrap_or_else(|| Number::from(0)),
    };
    json!({ "value": value, "currency": currency.as_str() })
}

/// The amount that a server's Money states; `None` if it is none of ours.
pub(super) fn read_money(value: &Value) -> Option<(Currency, Amount)> {
    let currency = Currency::parse(value["currency"].as_str()?)?;
    let text = value["value"].as_number()?.to_string();
    let text = match text.split_once('.') {
        Some((whole, part)) => {
            let part = part.trim_end_matches('0');
            if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
        }
        None => text,
    };
    Some((currency, currency.read(&text).ok()?))
}

/// What is there, brought to what the fact says; `None`: it stays. Whatever somebody else wrote into it stays.
pub(super) fn merged(found: &Value, is_taken_back: bool) -> Option<Value> {
    if !is_taken_back || found["status"] == NEVER_WAS {
        return None;
    }
    let mut next = found.clone();
    next["status"] = NEVER_WAS.into();
    Some(next)
}

/// A charge of theirs: our id of it, what it costs where they say so, and whether it stands.
pub(super) type ReadItem = (String, Option<(Currency, Amount)>, bool);

/// A charge of a ChargeItem that a server has: our id, what it costs there, and whether it counts.
pub(super) fn read(item: &Value, charge_system: &str) -> Option<ReadItem> {
    let identifiers = item["identifier"].as_array().into_iter().flatten();
    let id = identifiers.filter(|own| own["system"] == charge_system).find_map(|own| own["value"].as_str())?;
    let counts = !matches!(item["status"].as_str(), Some("entered-in-error" | "aborted" | "not-billable"));
    Some((id.to_owned(), read_money(&item["priceOverride"]), counts))
}

/// What a server says of the resources it takes: their kinds, and whether it makes them under ids of others. Empty: it
/// says nothing.
pub(super) fn kinds(statement: &Value) -> BTreeMap<String, bool> {
    let resources = statement["rest"].as_array().into_iter().flatten().filter_map(|rest| rest["resource"].as_array());
    let one = |resource: &Map<String, Value>| {
        let kind = resource.get("type")?.as_str()?.to_owned();
        Some((kind, resource.get("updateCreate").and_then(Value::as_bool).unwrap_or(true)))
    };
    resources.flatten().filter_map(Value::as_object).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use domain::money::AMOUNT_MAX;

    use super::*;

    #[test]
    fn money_is_read_back_to_the_last_minor_unit() {
        for code in ["UAH", "JPY", "KWD"] {
            let currency = Currency::parse(code).unwrap();
            for minor in
                [0, 1, 5, 10, 99, 100, 101_800, 999_999_999_999_999, 999_999_999_999_997, AMOUNT_MAX - 1, AMOUNT_MAX]
            {
                let amount = Amount::new(minor).unwrap();
                let text = money(currency, amount).to_string();
                let read: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read_money(&read), Some((currency, amount)), "{text}");
            }
        }
        for bad in [json!({}), json!({ "value": "5", "currency": "EUR" }), json!({ "value": 0.001, "currency": "EUR" })]
        {
            assert_eq!(read_money(&bad), None, "{bad}");
        }
        assert_eq!(read_money(&json!({ "value": 500.0, "currency": "JPY" })).unwrap().1.minor(), 500);
    }
}
