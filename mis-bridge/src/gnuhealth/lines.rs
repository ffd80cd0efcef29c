//! Reading the lines of health services, to compare them with our charges: those that carry a charge of ours, and those that
//! somebody wrote by hand. By the user who reads; writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use clinic::outbox::{Fault, FaultCode};
use clinic::till::reconcile::{Days, Theirs};
use domain::UtcMillis;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use serde_json::{Value, json};

use super::charges::LINE;
use super::rpc::{Rpc, RpcError, day};
use super::sessions::{NoSession, Sessions};
use super::visits::Failed;
use super::{Assertions, BadAddress, Settings};
use crate::delivery::Delivered;
use crate::http::Client;
use crate::reconcile::{Charges, THEIRS_MAX};

/// Lines read by one call.
const PAGE: usize = 500;
/// Days there are those of UTC: so much more is read at both ends, in milliseconds.
const AROUND_MS: i64 = 24 * 3_600_000;

/// The lines of one GNU Health.
pub struct Lines {
    sessions: Sessions,
    login: String,
    /// The product that each visit gets by itself: its lines were not written by hand.
    service: Option<String>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl Lines {
    /// `login` is the user there who reads. Connects to nothing yet.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn new(settings: &Settings, http: Client, assertions: Assertions, login: &str) -> Result<Self, BadAddress> {
        let rpc = Rpc::new(http, &settings.url, &settings.database).ok_or(BadAddress)?;
        let (sessions, login) = (Sessions::new(rpc, assertions), login.to_owned());
        Ok(Self { sessions, login, service: settings.service.clone() })
    }

    async fn all(&self, days: Days, read: &AtomicUsize) -> Result<Vec<Value>, Failed> {
        let date = |at: UtcMillis| day(chrono::DateTime::from_timestamp_millis(at.0).unwrap_or_default().date_naive());
        let ours = json!([
            ["tapward_charge", "!=", null],
            ["from_date", ">=", date(days.from.plus_ms(-AROUND_MS))],
            ["from_date", "<=", date(days.until.plus_ms(AROUND_MS))],
        ]);
        // What people write there bears the day that they see on their calendar, or only its service does.
        let (first, last) = (calendar(days.first), calendar(days.last));
        let by_hand = json!([
            ["tapward_charge", "=", null],
            ["to_invoice", "=", true],
            [
                "OR",
                [["from_date", ">=", first], ["from_date", "<=", last]],
                [["from_date", "=", null], ["service.service_date", ">=", first], ["service.service_date", "<=", last]]
            ],
        ]);
        let session = self.sessions.of(&self.login).await.map_err(Failed::NoSession)?;
        let fields = [
            "tapward_charge",
            "tapward_reversal",
            "tapward_taken_back",
            "tapward_amount",
            "tapward_currency",
            "to_invoice",
            "service.state",
            "service.name",
            "service.tapward_visit",
            "product.code",
        ];
        let (mut found, mut last) = (Vec::new(), 0_i64);
        loop {
            // By the id of the last one: what is written meanwhile moves no page.
            let domain = json!([["id", ">", last], ["OR", ours, by_hand]]);
            let page = self.sessions.rpc.search_read(&session, LINE, domain, (0, PAGE), &fields).await?;
            let is_last = page.len() < PAGE;
            last = page.last().and_then(|line| line["id"].as_i64()).unwrap_or(i64::MAX);
            found.extend(page);
            read.store(found.len(), Ordering::Relaxed);
            if found.len() > THEIRS_MAX {
                return Err(Failed::Dead(FaultCode::TooLong, "lines"));
            }
            if is_last {
                return Ok(found);
            }
        }
    }
}

impl Charges for Lines {
    async fn charges(&self, days: Days, read: &AtomicUsize) -> Result<Vec<Theirs>, Fault> {
        let lines = match self.all(days, read).await {
            // It ended there by itself; once more with a new one.
            Err(Failed::Rpc(RpcError::NoSession) | Failed::NoSession(NoSession::Rpc(RpcError::NoSession))) => {
                self.sessions.forget(&self.login);
                self.all(days, read).await
            }
            lines => lines,
        };
        // Its session would stay open for weeks otherwise.
        let _ = self.sessions.end(&self.login).await;
        let lines = lines.map_err(|failed| match failed.delivered() {
            Delivered::Retry(fault, _) | Delivered::Away(fault, _) | Delivered::Dead(fault) => fault,
            Delivered::Done => Fault::of(FaultCode::BadAnswer),
        })?;
        Ok(theirs(&lines, self.service.as_deref()))
    }
}

fn calendar(date: LocalDate) -> Value {
    day(chrono::NaiveDate::from_epoch_days(date.0).unwrap_or_default())
}

/// Lines as charges: one counts unless it was taken back, is reversed by another one, or somebody took it off the invoice.
/// One that bears no charge was written by hand, unless it is that of a visit with the product `service`.
fn theirs(lines: &[Value], service: Option<&str>) -> Vec<Theirs> {
    let is_of_visit = |line: &Value| {
        line["service."]["tapward_visit"].is_string()
            && service.is_some()
            && line["product."]["code"].as_str() == service
    };
    let charge = |line: &Value| line["tapward_charge"].as_str().map(str::to_owned);
    let reversed: BTreeSet<String> =
        lines.iter().filter(|line| line["tapward_reversal"] == true).filter_map(charge).collect();
    let mut found: BTreeMap<i64, Theirs> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["tapward_reversal"] != true) {
        let Some(id) = line["id"].as_i64() else { continue };
        let charge = charge(line).unwrap_or_default();
        if charge.is_empty() && is_of_visit(line) {
            continue;
        }
        let is_reversed = reversed.contains(&charge);
        let state = match (is_reversed, line["tapward_taken_back"] == true, line["to_invoice"] == true) {
            (true, _, _) => "reversed",
            (_, true, _) => "taken_back",
            (_, _, false) => "not_invoiced",
            _ if line["service."]["state"] == "invoiced" => "invoiced",
            _ => "draft",
        };
        let counts = matches!(state, "draft" | "invoiced");
        let number: String = line["service."]["name"].as_str().unwrap_or_default().chars().take(40).collect();
        let external = if number.is_empty() { id.to_string() } else { format!("{number}/{id}") };
        found.insert(id, Theirs { charge, external, money: money(line), counts, state: state.to_owned() });
    }
    found.into_values().collect()
}

fn money(line: &Value) -> Option<(Currency, Amount)> {
    let currency = Currency::parse(line["tapward_currency"].as_str()?)?;
    let text = line["tapward_amount"]["decimal"].as_str()?;
    // The database may keep more digits than the currency has.
    let text = match text.split_once('.') {
        Some((whole, part)) => {
            let part = part.trim_end_matches('0');
            if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
        }
        None => text.to_owned(),
    };
    Some((currency, currency.read(&text).ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn line(id: i64, charge: &str, state: &str) -> Value {
        json!({ "id": id, "tapward_charge": charge, "tapward_reversal": false, "tapward_taken_back": false,
            "tapward_amount": { "__class__": "Decimal", "decimal": "10.500" }, "tapward_currency": "EUR",
            "to_invoice": true, "service.": { "state": state, "name": "HS-1" } })
    }

    #[test]
    fn a_line_counts_unless_it_was_taken_back_reversed_or_taken_off_the_invoice() {
        let mut lines = vec![line(1, "a", "draft"), line(2, "b", "invoiced"), line(3, "c", "draft")];
        lines.extend([line(4, "d", "invoiced"), line(5, "d", "draft"), line(6, "e", "draft")]);
        lines[2]["tapward_taken_back"] = true.into();
        lines[2]["to_invoice"] = false.into();
        lines[4]["tapward_reversal"] = true.into();
        lines[5]["to_invoice"] = false.into();
        let found = theirs(&lines, None);
        let told: Vec<_> = found.iter().map(|one| (one.charge.as_str(), one.state.as_str(), one.counts)).collect();
        assert_eq!(
            told,
            [
                ("a", "draft", true),
                ("b", "invoiced", true),
                ("c", "taken_back", false),
                ("d", "reversed", false),
                ("e", "not_invoiced", false)
            ]
        );
        assert_eq!(found[0].money.unwrap().1.minor(), 1050);
        assert_eq!(found[0].external, "HS-1/1");
    }

    #[test]
    fn a_line_without_a_charge_was_written_by_hand_unless_each_visit_gets_it() {
        let mut lines = vec![line(1, "", "draft"), line(2, "", "draft"), line(3, "", "draft")];
        for line in &mut lines {
            line["tapward_charge"] = Value::Null;
            line["tapward_amount"] = Value::Null;
            line["product."] = json!({ "code": "CONSULT" });
        }
        lines[1]["service."]["tapward_visit"] = "v".into();
        lines[2]["service."]["tapward_visit"] = "v".into();
        lines[2]["product."]["code"] = "ECG".into();
        let found = theirs(&lines, Some("CONSULT"));
        let told: Vec<_> = found.iter().map(|one| (one.charge.as_str(), one.external.as_str(), one.money)).collect();
        assert_eq!(told, [("", "HS-1/1", None), ("", "HS-1/3", None)]);
        assert_eq!(theirs(&lines, None).len(), 3);
    }
}
