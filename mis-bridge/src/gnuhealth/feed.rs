//! What GNU Health tells: its health professionals are staff, its patients and appointments ours. Read at intervals by a
//! user of its own, who signs in by assertion like everybody. The first round reads everything, later ones what was
//! written since; what is told twice changes nothing.

use std::time::Duration;

use clinic::acting::Acting;
use clinic::feeds::{
    Alias, AppointmentRecord, AppointmentState, FeedError, Feeds, Mode, PatientRecord, RECORDS_MAX, Records, Source,
    StaffRecord,
};
use clinic::people::Reference;
use domain::vault::{BirthDate, Names, PassportChange, Secret};
use domain::{Clock, Shipped, Spoken, UtcMillis};
use serde_json::{Value, json};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::rpc::{Rpc, RpcError, Session, read_day, read_time, time};
use super::sessions::{NoSession, Sessions};
use super::{Assertions, BadAddress, Settings};
use crate::http::Client;

/// Records read by one call.
const PAGE: usize = 500;
/// How far back a later round looks beyond the round before: clocks differ, transactions take time. In milliseconds.
const OVERLAP_MS: i64 = 120_000;
/// Appointments from so long ago, in milliseconds: a day.
const PAST_MS: i64 = 24 * 3_600_000;
/// Appointments until so far ahead, in milliseconds: two weeks.
const AHEAD_MS: i64 = 14 * 24 * 3_600_000;

/// How it reads.
#[derive(Debug, Clone)]
pub struct FeedSettings {
    /// The user in GNU Health that reads.
    pub login: String,
    /// How often. 10 s.
    pub every: Duration,
}

/// Why a round brought nothing.
#[derive(Debug, Error)]
enum RoundError {
    #[error("no session: {0}")]
    NoSession(&'static str),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl From<NoSession> for RoundError {
    fn from(why: NoSession) -> Self {
        match why {
            NoSession::Unsigned => Self::NoSession("the keys are not there"),
            NoSession::Refused => Self::NoSession("the sign-in was refused"),
            NoSession::Rpc(error) => Self::Rpc(error),
        }
    }
}

/// Reads until `stop`.
///
/// # Errors
/// [`BadAddress`], at once.
pub async fn run(
    settings: Settings,
    reading: FeedSettings,
    (http, assertions): (Client, Assertions),
    (feeds, source): (Feeds, Source),
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), BadAddress> {
    let rpc = Rpc::new(http, &settings.url, &settings.database).ok_or(BadAddress)?;
    let mut reader = Reader {
        sessions: Sessions::new(rpc, assertions),
        login: reading.login,
        acting: Acting::feed(&source),
        feeds,
        source,
        since: None,
    };
    let mut is_failing = false;
    loop {
        let now = clock.now();
        match reader.round(now).await {
            Ok(()) => {
                if is_failing {
                    tracing::info!(system = %reader.source, "gnuhealth.feed.back");
                }
                is_failing = false;
                reader.since = Some(now);
            }
            Err(error) => {
                if !is_failing {
                    tracing::warn!(system = %reader.source, %error, "gnuhealth.feed.failed");
                }
                is_failing = true;
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(reading.every)).await.is_none() {
            // Its session would stay open for weeks otherwise.
            let _ = tokio::time::timeout(Duration::from_secs(1), reader.sessions.end(&reader.login)).await;
            return Ok(());
        }
    }
}

struct Reader {
    sessions: Sessions,
    login: String,
    acting: Acting,
    feeds: Feeds,
    source: Source,
    /// When the last round began that went well.
    since: Option<UtcMillis>,
}

impl Reader {
    async fn round(&mut self, now: UtcMillis) -> Result<(), RoundError> {
        let session = self.sessions.of(&self.login).await?;
        let told = self.all(&session, now).await;
        if let Err(RoundError::Rpc(RpcError::NoSession)) = told {
            // It has ended there; the next round opens a new one.
            self.sessions.forget(&self.login);
        }
        told
    }

    async fn all(&self, session: &Session, now: UtcMillis) -> Result<(), RoundError> {
        let written = match self.since {
            None => json!([]),
            Some(since) => {
                let since = time(since.plus_ms(-OVERLAP_MS));
                json!(["OR", ["write_date", ">=", since], ["create_date", ">=", since]])
            }
        };
        // What is known of a patient stands in the party, and the language beside it.
        let patients = match written.as_array().map(Vec::as_slice) {
            None | Some([]) => json!([]),
            Some(own) => {
                let since = &own[1][2];
                let mut any = own.to_vec();
                for field in ["party.write_date", "party.langs.write_date", "party.langs.create_date"] {
                    any.push(json!([field, ">=", since]));
                }
                Value::Array(any)
            }
        };
        let staff =
            &["party.ref", "party.name", "party.lastname", "party.active", "party.internal_user.login", "active"];
        self.read(session, "gnuhealth.healthprofessional", json!([]), staff, |found| {
            Records::Staff(found.iter().filter_map(read_staff).collect())
        })
        .await?;
        let patient = &["puid", "party.name", "party.lastname", "party.dob", "party.lang.code", "active"];
        self.read(session, "gnuhealth.patient", patients, patient, |found| {
            Records::Patients(found.iter().filter_map(read_patient).collect())
        })
        .await?;
        let window = json!([
            ["appointment_date", ">=", time(now.plus_ms(-PAST_MS))],
            ["appointment_date", "<=", time(now.plus_ms(AHEAD_MS))],
            ["patient", "!=", null],
            written,
        ]);
        let appointment = &["appointment_date", "state", "patient.puid", "healthprof.party.ref", "write_date"];
        self.read(session, "gnuhealth.appointment", window, appointment, |found| {
            Records::Appointments(found.iter().filter_map(read_appointment).collect())
        })
        .await
    }

    /// Reads all records of a domain, page by page, and hands each page on.
    async fn read(
        &self,
        session: &Session,
        model: &str,
        domain: Value,
        fields: &[&str],
        records: impl Fn(&[Value]) -> Records,
    ) -> Result<(), RoundError> {
        const { assert!(PAGE <= RECORDS_MAX) };
        let mut offset = 0;
        loop {
            let found = self.sessions.rpc.search_read(session, model, domain.clone(), (offset, PAGE), fields).await?;
            if !found.is_empty() {
                let report = self.feeds.take(&self.acting, &self.source, records(&found), Mode::Changes).await?;
                if report.refusals() > 0 {
                    tracing::warn!(system = %self.source, rows = report.refusals(), "gnuhealth.feed.refused");
                }
            }
            if found.len() < PAGE {
                return Ok(());
            }
            offset += PAGE;
        }
    }
}

/// A value behind several names: trytond writes `party.` for what is read through `party`.
fn at<'a>(record: &'a Value, path: &[&str]) -> &'a Value {
    let (last, through) = path.split_last().unwrap_or((&"", &[]));
    let inner = through.iter().fold(record, |value, name| &value[format!("{name}.")]);
    &inner[*last]
}

fn reference(value: &Value) -> Option<Reference> {
    Reference::new(value.as_str()?)
}

fn names(record: &Value) -> Option<PassportChange> {
    let text = |name| at(record, &["party", name]).as_str().unwrap_or_default();
    let (family, given) = (text("lastname"), text("name"));
    let names = (!family.is_empty() || !given.is_empty()).then(|| Names::new(family, given, ""));
    names.is_some().then(|| PassportChange { names, ..PassportChange::default() })
}

fn read_staff(record: &Value) -> Option<StaffRecord> {
    let id = reference(at(record, &["party", "ref"]))?;
    Some(StaffRecord {
        passport: names(record),
        role: Some(Shipped::Doctor),
        login: at(record, &["party", "internal_user", "login"]).as_str().map(Secret::new),
        practitioner: Some(id.clone()),
        active: at(record, &["party", "active"]).as_bool().unwrap_or(true)
            && record["active"].as_bool().unwrap_or(true),
        ..StaffRecord::new(id)
    })
}

fn read_patient(record: &Value) -> Option<PatientRecord> {
    let born = read_day(at(record, &["party", "dob"]));
    let birth_date = born.and_then(|born| BirthDate::parse(&born.to_string()));
    let mut passport = names(record);
    if let Some(passport) = &mut passport {
        passport.birth_date = birth_date.map(Some);
    }
    let active = record["active"].as_bool().unwrap_or(true);
    let language = at(record, &["party", "lang", "code"]).as_str().and_then(Spoken::parse).map(Some);
    Some(PatientRecord { passport, language, active, ..PatientRecord::new(reference(&record["puid"])?) })
}

fn read_appointment(record: &Value) -> Option<AppointmentRecord> {
    let state = match record["state"].as_str()? {
        "confirmed" => AppointmentState::Booked,
        "checked_in" => AppointmentState::Arrived,
        "done" => AppointmentState::Fulfilled,
        "user_cancelled" | "center_cancelled" => AppointmentState::Cancelled,
        "no_show" => AppointmentState::NoShow,
        // A free slot is nobody's.
        _ => return None,
    };
    Some(AppointmentRecord {
        id: Reference::new(&record["id"].as_i64()?.to_string())?,
        changed: read_time(&record["write_date"]),
        patient: Alias::own(reference(at(record, &["patient", "puid"]))?),
        staff: reference(at(record, &["healthprof", "party", "ref"])).map(Alias::own),
        place: None,
        purpose: None,
        starts: read_time(&record["appointment_date"])?,
        ends: None,
        state,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn records_are_read_through_their_relations() {
        let record = json!({ "id": 1, "active": true, "party.": { "ref": "D-1", "name": "Ivan", "lastname": "Petrenko",
            "active": true, "internal_user.": { "login": "petrenko", "id": 7 } } });
        let staff = read_staff(&record).unwrap();
        assert_eq!((staff.id.reveal(), staff.login.unwrap().reveal()), ("D-1", "petrenko"));
        assert_eq!(staff.passport.unwrap().names.unwrap().family.reveal(), "Petrenko");
        assert_eq!(
            read_staff(&json!({ "id": 2, "party.": { "name": "X" } })),
            None,
            "without a reference nobody is known"
        );
    }

    #[test]
    fn a_patients_language_is_the_partys_and_a_party_without_one_says_nothing() {
        let language = |lang: Value| {
            let record = json!({ "id": 2, "puid": "P-1", "active": true, "party.": { "lastname": "Ivanenko", "name": "Olena",
                "dob": null, "id": 3, "lang.": lang } });
            read_patient(&record).unwrap().language.map(|it| it.unwrap().as_str().to_owned())
        };
        assert_eq!(language(json!({ "code": "ru", "id": 21 })).as_deref(), Some("ru"));
        assert_eq!(language(json!({ "code": "es_419", "id": 7 })).as_deref(), Some("es"));
        for silent in [Value::Null, json!({ "id": 1 }), json!({ "code": 7 }), json!({ "code": "klingon" })] {
            assert_eq!(language(silent), None);
        }
    }

    #[test]
    fn a_free_slot_is_no_appointment_and_one_without_a_patient_neither() {
        let slot = |state: &str, patient: Value| json!({ "id": 5, "state": state, "appointment_date": time(UtcMillis(1_795_341_600_000)), "patient.": patient });
        let booked = read_appointment(&slot("confirmed", json!({ "puid": "P-1" }))).unwrap();
        assert_eq!((booked.starts, booked.state), (UtcMillis(1_795_341_600_000), AppointmentState::Booked));
        assert_eq!(read_appointment(&slot("free", json!({ "puid": "P-1" }))), None);
        assert_eq!(read_appointment(&slot("confirmed", Value::Null)), None);
    }
}
