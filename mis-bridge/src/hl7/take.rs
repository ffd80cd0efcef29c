//! From a message to what feeds take: patients, merges, appointments. Says what is wrong with a message by segment and
//! field, never by what stands there.

use std::ops::ControlFlow;

use chrono_tz::Tz;
use clinic::acting::Acting;
use clinic::feeds::{
    Alias, AppointmentRecord, AppointmentState, FeedError, Feeds, Mode, PatientRecord, Place, Problem, Records,
    Refusal, Report,
};
use clinic::people::Reference;
use clinic::received;
use domain::UtcMillis;
use domain::vault::{Contact, PassportChange};
use store::Database;
use wire::hl7::view::{AckCode, AppointmentStatus, Event, Header, Id, Merge, Patient, Practitioner, Schedule, merges};
use wire::hl7::{Code, Hl7Error, Message, Place as Where, Stamp, Told};

use super::settings::SenderRule;

/// How a message is answered that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// AE: there is an error in it. AR: it is of a kind, version or processing that is not taken.
    pub code: AckCode,
    /// ERR-3.
    pub error: Code,
    /// ERR-2.
    pub place: Option<Where>,
    /// ERR-8.
    pub advice: &'static str,
    /// Whether the same message may be taken later: its answer is not remembered then.
    pub passing: bool,
}

impl Answer {
    const fn error(error: Code, place: Option<Where>, advice: &'static str) -> Self {
        Self { code: AckCode::Error, error, place, advice, passing: false }
    }

    pub(crate) const fn reject(error: Code, place: Option<Where>, advice: &'static str) -> Self {
        Self { code: AckCode::Reject, error, place, advice, passing: false }
    }
}

impl From<Hl7Error> for Answer {
    fn from(error: Hl7Error) -> Self {
        let advice = match error {
            Hl7Error::TooLong(_) => "divide it",
            Hl7Error::UnknownCharset | Hl7Error::NotInCharset(_) => "send UNICODE UTF-8 and say so in MSH-18",
            _ => "correct it; the documentation says what is read",
        };
        let code = match error {
            Hl7Error::NotHl7 | Hl7Error::TooLong(_) => AckCode::Reject,
            _ => AckCode::Error,
        };
        Self { code, error: error.code(), place: error.place(), advice, passing: false }
    }
}

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// Something is wrong with it.
    Answer(Answer),
    /// Nothing is wrong with it, but it cannot be taken now (the database, the vault): it is not answered, so that the
    /// sender keeps it and sends it again.
    NotNow(&'static str),
}

impl<T: Into<Answer>> From<T> for NotTaken {
    fn from(answer: T) -> Self {
        Self::Answer(answer.into())
    }
}

/// What is needed to take messages.
pub(crate) struct Taker<'a> {
    pub feeds: &'a Feeds,
    pub database: &'a Database,
    pub rule: &'a SenderRule,
    pub acting: &'a Acting,
    pub now: UtcMillis,
}

/// Most versions' names that are taken begin so.
const VERSION_PREFIX: &str = "2.";

/// Whether type, version and processing of a message are taken.
pub(crate) fn check(header: &Header, rule: &SenderRule) -> Result<(), Answer> {
    let (kind, event) = (header.code.as_str(), header.event.as_str());
    if !header.version.starts_with(VERSION_PREFIX) {
        return Err(Answer::reject(Code::VersionId, Some(Where::of("MSH", 12)), "send version 2.5.1"));
    }
    if !rule.processing.iter().any(|taken| header.processing.starts_with(*taken)) {
        let advice = "this system is in production: send test messages elsewhere";
        return Err(Answer::reject(Code::ProcessingId, Some(Where::of("MSH", 11)), advice));
    }
    let known = match kind {
        "ADT" => matches!(event, "A01" | "A04" | "A05" | "A08" | "A28" | "A31" | "A40"),
        "SIU" => AppointmentStatus::of_event(event).is_some(),
        _ => {
            let advice = "ADT and SIU are taken";
            return Err(Answer::reject(Code::MessageType, Some(Where::of("MSH", 9)), advice));
        }
    };
    if !known {
        let advice = "ADT A01, A04, A05, A08, A28, A31, A40 and SIU S12 to S24, S26 are taken";
        return Err(Answer::reject(Code::EventCode, Some(Where::of("MSH", 9)), advice));
    }
    Ok(())
}

impl Taker<'_> {
    /// Takes a message in; when this returns, what it says is stored.
    pub(crate) async fn take(&self, message: &Message, header: &Header) -> Result<(), NotTaken> {
        let event = Event::read(message);
        let zone = &self.rule.zone;
        let at = |stamp: Option<Stamp>| stamp.and_then(|stamp| stamp.to_utc(zone));
        let changed = at(event.recorded).or_else(|| at(header.at));
        match (header.code.as_str(), header.event.as_str()) {
            ("ADT", "A40") => {
                let happened = at(event.occurred).or(changed).unwrap_or(self.now);
                for merge in merges(message)? {
                    self.merge(merge, changed, happened).await?;
                }
                Ok(())
            }
            ("ADT", _) => self.patient(Patient::read(message)?, changed).await,
            (_, event) => {
                let status = AppointmentStatus::of_event(event).unwrap_or(AppointmentStatus::Booked);
                self.appointment(Schedule::read(message, status)?, changed).await
            }
        }
    }

    async fn patient(&self, patient: Patient, changed: Option<UtcMillis>) -> Result<(), NotTaken> {
        let record = self.record(patient, changed)?;
        self.hand_over(Records::Patients(vec![record])).await
    }

    /// The number by which the sender knows a person, and those of others that are ours to keep.
    fn ids(&self, ids: &[Id], place: Where) -> Result<(Reference, Vec<Alias>), Answer> {
        let own = match &self.rule.authority {
            Some(authority) => ids.iter().find(|id| id.authority.is(authority)),
            None => ids.first(),
        };
        let advice = "send the number of the authority that was agreed on (CX-4)";
        let own = own.ok_or(Answer::error(Code::UnknownKey, Some(place), advice))?;
        let number = reference(&own.value, place)?;
        let mut aliases = Vec::new();
        for id in ids.iter().filter(|id| *id != own) {
            let system = self.rule.aliases.iter().find(|(authority, _)| id.authority.is(authority));
            if let Some((_, system)) = system {
                aliases.push(Alias { system: Some(system.clone()), value: reference(&id.value, place)? });
            }
        }
        Ok((number, aliases))
    }

    fn record(&self, patient: Patient, changed: Option<UtcMillis>) -> Result<PatientRecord, Answer> {
        let (id, aliases) = self.ids(&patient.ids, Where::of("PID", 3))?;
        let birth_date = match patient.birth {
            Told::Unsaid => None,
            Told::Delete => Some(None),
            Told::Is(date) => Some(Some(date)),
        };
        let contacts: Option<Vec<Contact>> = match patient.contacts {
            Told::Unsaid => None,
            Told::Delete => Some(Vec::new()),
            Told::Is(contacts) => Some(contacts),
        };
        // A name cannot be deleted: a person without one could not be found.
        let passport = PassportChange { names: patient.names.is(), birth_date, documents: None, contacts };
        let says_nothing = passport == PassportChange::default();
        let active = !patient.dead;
        let passport = (!says_nothing).then_some(passport);
        let language = match patient.language {
            Told::Unsaid => None,
            Told::Delete => Some(None),
            Told::Is(language) => Some(Some(language)),
        };
        Ok(PatientRecord { changed, aliases, passport, language, active, ..PatientRecord::new(id) })
    }

    async fn merge(&self, merge: Merge, changed: Option<UtcMillis>, happened: UtcMillis) -> Result<(), NotTaken> {
        let (from, _) = self.ids(&merge.from, Where::of("MRG", 1))?;
        let into = self.record(merge.into, changed)?;
        if from == into.id {
            let advice = "PID-3 is the number that stays, MRG-1 the one that goes";
            return Err(Answer::error(Code::DuplicateKey, Some(Where::of("MRG", 1)), advice).into());
        }
        let (goes, stays) = (Alias::own(from.clone()), Alias::own(into.id.clone()));
        // The one that stays first, so that its names are known whatever comes of the merge.
        self.hand_over(Records::Patients(vec![into])).await?;
        if let ControlFlow::Break(done) = self.try_merge(&goes, &stays, happened).await {
            return done;
        }
        // Nobody told of the one that goes: it is made known, so that what still comes about it reaches the other.
        self.hand_over(Records::Patients(vec![PatientRecord::new(from)])).await?;
        match self.try_merge(&goes, &stays, happened).await {
            ControlFlow::Break(done) => done,
            ControlFlow::Continue(()) => {
                let advice = "send both records first";
                Err(Answer::error(Code::UnknownKey, Some(Where::of("MRG", 1)), advice).into())
            }
        }
    }

    /// Continues if one of them is not known.
    async fn try_merge(&self, from: &Alias, into: &Alias, at: UtcMillis) -> ControlFlow<Result<(), NotTaken>> {
        match self.feeds.merge(self.acting, &self.rule.source, from, into, at).await {
            Ok(_) => ControlFlow::Break(Ok(())),
            Err(FeedError::Unknown) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(not_now(&error))),
        }
    }

    async fn appointment(&self, schedule: Schedule, changed: Option<UtcMillis>) -> Result<(), NotTaken> {
        let place = Where::of("SCH", 2);
        let id = reference(&schedule.id.value, place)?;
        // What a message does not say stays as it is: calling off often names nothing but the appointment.
        let known = received::known_appointment(self.database, self.rule.source.as_str(), id.reveal())
            .await
            .map_err(|_| NotTaken::NotNow("database"))?;
        let known = known.as_ref();
        let record = schedule.patient.map(|patient| self.record(patient, changed)).transpose()?;
        let alias = match (&record, known.and_then(|known| known.patient.clone())) {
            (Some(record), _) => record.id.clone(),
            (None, Some(known)) => known,
            (None, None) => return Err(Hl7Error::Missing(Where { segment: "PID", sequence: 0, field: 0 }).into()),
        };
        let starts = match (schedule.starts, known) {
            (Some(stamp), _) => utc(stamp, &self.rule.zone)?,
            (None, Some(known)) => known.starts,
            (None, None) => return Err(Hl7Error::Missing(Where::of("SCH", 11)).into()),
        };
        let ends = match (schedule.ends, schedule.minutes, known) {
            (Some(stamp), ..) => Some(utc(stamp, &self.rule.zone)?),
            (None, Some(minutes), _) => Some(starts.plus_ms(minutes * 60_000)),
            (None, None, Some(known)) => Some(starts.plus_ms(known.ends.since_ms(known.starts))),
            (None, None, None) => None,
        };
        let staff = schedule.doctor.as_ref().map(|doctor: &Practitioner| reference(&doctor.id, Where::of("AIP", 3)));
        let room = schedule.location.as_ref().map(|location| reference(location.name(), Where::of("AIL", 3)));
        let purpose = schedule.purpose.as_ref().map(|purpose| reference(purpose, Where::of("AIS", 3)));
        let known_place = || known.and_then(|known| known.zone.clone()).map(Place::Zone);
        let appointment = AppointmentRecord {
            id,
            changed,
            patient: Alias::own(alias),
            staff: staff.transpose()?.or_else(|| known.and_then(|known| known.staff.clone())).map(Alias::own),
            place: room.transpose()?.map(Place::Workplace).or_else(known_place),
            purpose: purpose.transpose()?.or_else(|| known.and_then(|known| known.purpose.clone())),
            starts,
            ends,
            state: match schedule.status {
                AppointmentStatus::Booked => AppointmentState::Booked,
                AppointmentStatus::Started => AppointmentState::Arrived,
                AppointmentStatus::Complete => AppointmentState::Fulfilled,
                AppointmentStatus::Cancelled | AppointmentStatus::Deleted => AppointmentState::Cancelled,
                AppointmentStatus::NoShow => AppointmentState::NoShow,
            },
        };
        // An appointment need not say more of the patient than a number; it never says that a known one is anything less.
        if let Some(record) = record {
            self.hand_over(Records::Patients(vec![record])).await?;
        }
        self.hand_over(Records::Appointments(vec![appointment])).await
    }

    async fn hand_over(&self, records: Records) -> Result<(), NotTaken> {
        let report = self.feeds.take(self.acting, &self.rule.source, records, Mode::Changes).await;
        judge(&report.map_err(|error| not_now(&error))?)
    }
}

/// What feeds say about a record, as an answer.
fn judge(report: &Report) -> Result<(), NotTaken> {
    let Some(refusal) = report.refused.first() else { return Ok(()) };
    Err(match refusal.problem {
        Problem::VaultLocked => NotTaken::NotNow("vault"),
        problem => {
            let error = match problem {
                Problem::Missing => Code::RequiredMissing,
                Problem::UnknownPerson | Problem::UnknownZone | Problem::UnknownPoint | Problem::Erased => {
                    Code::UnknownKey
                }
                Problem::SeveralPersons | Problem::CardTaken | Problem::NameTaken | Problem::Unmerge => {
                    Code::DuplicateKey
                }
                _ => Code::DataType,
            };
            let answer = Answer::error(error, place_of(refusal), problem.advice());
            NotTaken::Answer(Answer { passing: problem.may_pass(), ..answer })
        }
    })
}

fn place_of(refusal: &Refusal) -> Option<Where> {
    Some(match (refusal.problem, refusal.field) {
        (Problem::Passport, _) => Where::of("PID", 5),
        (_, "patient" | "id" | "aliases") => Where::of("PID", 3),
        (_, "staff") => Where::of("AIP", 3),
        (_, "place") => Where::of("AIL", 3),
        (_, "purpose") => Where::of("AIS", 3),
        (_, "starts" | "ends") => Where::of("SCH", 11),
        _ => return None,
    })
}

fn not_now(error: &FeedError) -> NotTaken {
    match error {
        FeedError::Denied(_) => NotTaken::NotNow("permission"),
        FeedError::Store(_) => NotTaken::NotNow("database"),
        _ => NotTaken::NotNow("system"),
    }
}

fn utc(stamp: Stamp, zone: &Tz) -> Result<UtcMillis, Answer> {
    let wrong = Hl7Error::BadValue(Where::of("SCH", 11), "a time of the calendar");
    stamp.to_utc(zone).ok_or_else(|| wrong.into())
}

fn reference(text: &str, place: Where) -> Result<Reference, Answer> {
    Reference::new(text).ok_or_else(|| Hl7Error::BadValue(place, "an id of at most 64 bytes").into())
}
