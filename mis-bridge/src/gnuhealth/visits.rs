//! A visit in GNU Health: the appointment is checked in at the time of the tap, an evaluation is begun and ended, a
//! service may be noted. Everything is read before it is written, so that saying it twice changes nothing; the evaluation
//! carries the visit's id, which is unique there.

use clinic::changes::ChangeKind;
use clinic::outbox::FactVisit;
use domain::UtcMillis;
use serde_json::{Value, json};

use super::rpc::{RpcError, Session, day, read_time, time};
use super::sessions::NoSession;
use super::{Fact, GnuHealth};
use crate::delivery::{Delivered, FaultCode};
use crate::http::HttpError;

const EVALUATION: &str = "gnuhealth.patient.evaluation";
const APPOINTMENT: &str = "gnuhealth.appointment";
pub(super) const SERVICE: &str = "gnuhealth.health_service";
/// How far from its visit an appointment may begin to be found without our knowing its id, in milliseconds.
const SAME_DAY_MS: i64 = 12 * 3_600_000;

/// Why something was not written.
#[derive(Debug)]
pub enum Failed {
    Rpc(RpcError),
    NoSession(NoSession),
    /// For ever: why, and of what.
    Dead(FaultCode, &'static str),
    /// What must have happened before has not yet.
    NotYet(&'static str),
    /// All is written, but no invoice: what is missing for it there.
    NoInvoice(&'static str),
}

impl From<RpcError> for Failed {
    fn from(error: RpcError) -> Self {
        Self::Rpc(error)
    }
}

impl Failed {
    pub fn delivered(self) -> Delivered {
        let error = match self {
            Self::Dead(code, of) => return Delivered::dead(code, of),
            Self::NoInvoice(what) => return Delivered::dead(FaultCode::Refused, &format!("invoice {what}")),
            Self::NotYet(of) => return Delivered::retry(FaultCode::NotFound, of),
            Self::NoSession(NoSession::Unsigned) => return Delivered::away(FaultCode::Unauthorised, "keys"),
            Self::NoSession(NoSession::Refused) => return Delivered::retry(FaultCode::Unauthorised, "sign-in"),
            Self::NoSession(NoSession::Rpc(error)) | Self::Rpc(error) => error,
        };
        match error {
            RpcError::Http(http) => match http {
                HttpError::Unreachable => Delivered::away(FaultCode::Unreachable, ""),
                HttpError::Tls => Delivered::away(FaultCode::Tls, ""),
                HttpError::Late => Delivered::away(FaultCode::Late, ""),
                HttpError::Broken => Delivered::away(FaultCode::Broken, ""),
                HttpError::AnswerTooLong | HttpError::RequestTooLong => Delivered::dead(FaultCode::TooLong, ""),
                HttpError::BadRequest | HttpError::Plain => Delivered::away(FaultCode::Unspeakable, "address"),
            },
            RpcError::NoSession | RpcError::SignIn => Delivered::retry(FaultCode::Unauthorised, ""),
            RpcError::Throttled => Delivered::away(FaultCode::Overloaded, ""),
            RpcError::Conflict => Delivered::retry(FaultCode::Conflict, ""),
            RpcError::Status(status) if status >= 500 => Delivered::away(FaultCode::ServerFault, &status.to_string()),
            RpcError::Status(status) => Delivered::dead(FaultCode::Refused, &status.to_string()),
            RpcError::Refused(kind) => Delivered::dead(FaultCode::Refused, &kind),
            RpcError::Answer => Delivered::away(FaultCode::BadAnswer, ""),
        }
    }
}

/// One doctor's hand.
pub(super) struct Hand<'a> {
    pub(super) there: &'a GnuHealth,
    session: Session,
}

impl GnuHealth {
    pub(super) async fn tell(&self, fact: &Fact) -> Result<(), Failed> {
        if !matches!(fact.change.kind, ChangeKind::PaymentTaken | ChangeKind::PaymentReturned) {
            self.tell_act(fact).await?;
        }
        self.settle(fact).await
    }

    /// What somebody did at a desk, as them.
    async fn tell_act(&self, fact: &Fact) -> Result<(), Failed> {
        let is_charge = matches!(fact.change.kind, ChangeKind::ChargeRendered | ChangeKind::ChargeCancelled);
        if is_charge && !self.settings.charges {
            return Ok(());
        }
        // Who rendered a service wrote it, also if somebody else takes it back.
        let rendered_by = fact.charge.as_ref().and_then(|charge| charge.staff.as_ref());
        let staff = rendered_by.filter(|_| is_charge).or(fact.staff.as_ref());
        let Some(staff) = staff else {
            return if is_charge { Err(Failed::Dead(FaultCode::NoAlias, "staff")) } else { Ok(()) };
        };
        let Some(login) = &staff.login else {
            return match fact.change.kind {
                // Who is not a user there has no session there either.
                ChangeKind::SessionOpened | ChangeKind::SessionEnded => Ok(()),
                _ => Err(Failed::Dead(FaultCode::NoAlias, "staff")),
            };
        };
        match fact.change.kind {
            ChangeKind::SessionEnded => return Ok(self.sessions.end(login).await?),
            ChangeKind::SessionOpened => {
                self.sessions.of(login).await.map_err(Failed::NoSession)?;
                return Ok(());
            }
            _ => {}
        }
        match self.as_doctor(login, fact).await {
            // It ended there by itself; once more with a new one.
            Err(Failed::Rpc(RpcError::NoSession)) => {
                self.sessions.forget(login);
                self.as_doctor(login, fact).await
            }
            done => done,
        }
    }

    async fn as_doctor(&self, login: &str, fact: &Fact) -> Result<(), Failed> {
        let session = self.sessions.of(login).await.map_err(Failed::NoSession)?;
        let hand = Hand { there: self, session };
        if let Some(charge) = &fact.charge {
            return match fact.change.kind {
                ChangeKind::ChargeRendered => hand.charge(fact, charge).await,
                ChangeKind::ChargeCancelled => hand.take_charge_back(fact, charge).await,
                _ => Ok(()),
            };
        }
        let Some(visit) = &fact.visit else { return Err(Failed::Dead(FaultCode::Missing, "visit")) };
        match fact.change.kind {
            ChangeKind::ChargeRendered | ChangeKind::ChargeCancelled => Err(Failed::Dead(FaultCode::Missing, "charge")),
            ChangeKind::VisitStarted => hand.begin(fact, visit).await,
            ChangeKind::VisitEnded => hand.end(visit, fact.change.happened).await,
            ChangeKind::VisitCancelled => hand.take_back(visit).await,
            _ => Ok(()),
        }
    }
}

impl Hand<'_> {
    pub(super) async fn read(
        &self,
        model: &str,
        domain: Value,
        limit: usize,
        fields: &[&str],
    ) -> Result<Vec<Value>, Failed> {
        Ok(self.there.sessions.rpc.search_read(&self.session, model, domain, (0, limit), fields).await?)
    }

    pub(super) async fn call(&self, model: &str, method: &str, params: Vec<Value>) -> Result<Value, RpcError> {
        self.there.sessions.rpc.call(&self.session, &format!("model.{model}.{method}"), params).await
    }

    async fn evaluation(&self, visit: &FactVisit) -> Result<Option<Value>, Failed> {
        let fields = ["evaluation_start", "evaluation_endtime", "appointment", "state"];
        let found = self.read(EVALUATION, json!([["tapward_visit", "=", visit.id]]), 1, &fields).await?;
        Ok(found.into_iter().next())
    }

    async fn begin(&self, fact: &Fact, visit: &FactVisit) -> Result<(), Failed> {
        let patient = self.patient(fact).await?;
        let appointment = self.appointment(fact, visit, patient).await?;
        if let Some(appointment) = appointment {
            self.check_in(appointment, visit.started).await?;
        }
        if self.evaluation(visit).await?.is_none() {
            let values = json!([{
                "patient": patient, "appointment": appointment, "tapward_visit": visit.id,
                "evaluation_start": time(visit.started),
            }]);
            self.create_once(EVALUATION, values, visit).await?;
        }
        match &self.there.settings.service {
            Some(product) => self.service(product, patient, appointment, visit).await,
            None => Ok(()),
        }
    }

    pub(super) async fn patient(&self, fact: &Fact) -> Result<i64, Failed> {
        let known = fact.patient.as_ref().and_then(|patient| patient.aliases.first());
        let Some(puid) = known else { return Err(Failed::Dead(FaultCode::NoAlias, "patient")) };
        let found = self.read("gnuhealth.patient", json!([["puid", "=", puid]]), 1, &["puid"]).await?;
        found.first().and_then(id).ok_or(Failed::Dead(FaultCode::NotFound, "patient"))
    }

    /// The appointment by its id if this system told of it; else the only one of this patient with this doctor around
    /// this time. Several, or none: none.
    async fn appointment(&self, fact: &Fact, visit: &FactVisit, patient: i64) -> Result<Option<i64>, Failed> {
        if let Some(known) = &fact.appointment
            && known.source == self.there.settings.name
            && let Ok(id) = known.external.parse::<i64>()
        {
            let found =
                self.read(APPOINTMENT, json!([["id", "=", id], ["patient", "=", patient]]), 1, &["state"]).await?;
            return Ok(found.first().and_then(self::id));
        }
        let doctor = fact.staff.as_ref().and_then(|staff| staff.login.as_deref()).unwrap_or_default();
        let near = json!([
            ["patient", "=", patient],
            ["healthprof.party.internal_user.login", "=", doctor],
            ["state", "in", ["confirmed", "checked_in"]],
            ["appointment_date", ">=", time(visit.started.plus_ms(-SAME_DAY_MS))],
            ["appointment_date", "<=", time(visit.started.plus_ms(SAME_DAY_MS))],
        ]);
        match self.read(APPOINTMENT, near, 2, &["state"]).await?.as_slice() {
            [only] => Ok(id(only)),
            _ => Ok(None),
        }
    }

    /// From `confirmed` only, with the time of the tap: `check_in` itself would write the time of the message, and would
    /// do so again and again.
    async fn check_in(&self, appointment: i64, at: UtcMillis) -> Result<(), Failed> {
        let found = self.read(APPOINTMENT, json!([["id", "=", appointment]]), 1, &["state"]).await?;
        if found.first().and_then(|found| found["state"].as_str()) == Some("confirmed") {
            let values = json!({ "state": "checked_in", "checked_in_date": time(at) });
            self.call(APPOINTMENT, "write", vec![json!([appointment]), values]).await?;
        }
        Ok(())
    }

    async fn service(
        &self,
        product: &str,
        patient: i64,
        appointment: Option<i64>,
        visit: &FactVisit,
    ) -> Result<(), Failed> {
        if !self.read(SERVICE, json!([["tapward_visit", "=", visit.id]]), 1, &["state"]).await?.is_empty() {
            return Ok(());
        }
        let found = self.read("product.product", json!([["code", "=", product]]), 1, &["rec_name"]).await?;
        let Some(of) = found.first().and_then(id) else { return Err(Failed::Dead(FaultCode::NotFound, "product")) };
        let name = found.first().and_then(|found| found["rec_name"].as_str()).unwrap_or(product).to_owned();
        let at = chrono::DateTime::from_timestamp_millis(visit.started.0).unwrap_or_default();
        let line = json!({ "desc": name, "product": of, "qty": 1, "appointment": appointment });
        let values = json!([{
            "patient": patient, "desc": name, "service_date": day(at.date_naive()), "tapward_visit": visit.id,
            "service_line": [["create", [line]]],
        }]);
        self.create_once(SERVICE, values, visit).await
    }

    /// Creates what carries the visit's id. Refused because it is there already, from an answer that was lost: done.
    async fn create_once(&self, model: &str, values: Value, visit: &FactVisit) -> Result<(), Failed> {
        let refused = match self.call(model, "create", vec![values]).await {
            Ok(_) => return Ok(()),
            Err(refused @ RpcError::Refused(_)) => refused,
            Err(error) => return Err(error.into()),
        };
        match self.read(model, json!([["tapward_visit", "=", visit.id]]), 1, &["rec_name"]).await?.is_empty() {
            true => Err(refused.into()),
            false => Ok(()),
        }
    }

    async fn end(&self, visit: &FactVisit, happened: UtcMillis) -> Result<(), Failed> {
        let Some(found) = self.evaluation(visit).await? else { return Err(Failed::NotYet("evaluation")) };
        let (Some(evaluation), None) = (id(&found), read_time(&found["evaluation_endtime"])) else { return Ok(()) };
        if found["state"].as_str() == Some("signed") {
            return Ok(());
        }
        let ended = visit.ended.unwrap_or(happened).max(visit.started);
        self.call(EVALUATION, "write", vec![json!([evaluation]), json!({ "evaluation_endtime": time(ended) })]).await?;
        Ok(())
    }

    /// The appointment is as before the tap; the evaluation, which cannot be unmade, ends where it began and says so.
    async fn take_back(&self, visit: &FactVisit) -> Result<(), Failed> {
        let Some(found) = self.evaluation(visit).await? else { return Ok(()) };
        let Some(evaluation) = id(&found) else { return Ok(()) };
        if found["state"].as_str() != Some("signed") {
            let values = json!({
                "evaluation_endtime": time(visit.started),
                "notes": "Taken back: the visit did not take place.",
            });
            self.call(EVALUATION, "write", vec![json!([evaluation]), values]).await?;
        }
        if let Some(appointment) = found["appointment"].as_i64() {
            let there = self.read(APPOINTMENT, json!([["id", "=", appointment]]), 1, &["state"]).await?;
            if there.first().and_then(|there| there["state"].as_str()) == Some("checked_in") {
                let values = json!({ "state": "confirmed", "checked_in_date": null });
                self.call(APPOINTMENT, "write", vec![json!([appointment]), values]).await?;
            }
        }
        Ok(())
    }
}

pub(super) fn id(record: &Value) -> Option<i64> {
    record["id"].as_i64()
}
