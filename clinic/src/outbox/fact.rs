//! What a delivery is about, read fresh when it is sent: the change, and the visit, patient, specialist, workstation and
//! appointment that it names, with what the other system calls them. Pseudonyms, ids and codes; no names of people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::{PersonId, UtcMillis, ZoneId};
use store::{Database, Error, read, sqlx};

use super::Claimed;
use super::money::{self, FactCharge, FactPayment, Money};
use crate::changes::{self, Change};
use crate::rows::{column, optional};

/// A change with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// For which destination.
    pub destination: String,
    /// How often it was tried before; 0 the first time.
    pub attempts: u32,
    /// What happened. `change.happened` is when: for a tap, at the reader. `change.id` names it for ever: the same at
    /// each repetition, rising in the order of what happened.
    pub change: Change,
    /// The visit as it is now, which may be further than at the change: compare `change.kind`.
    pub visit: Option<FactVisit>,
    /// The patient of the change, or else of the visit or appointment.
    pub patient: Option<FactParty>,
    /// For [`crate::changes::ChangeKind::PersonMerged`]: the one that is left.
    pub merged_into: Option<FactParty>,
    /// The specialist of the change, or else of the visit or appointment.
    pub staff: Option<FactStaff>,
    /// The workstation.
    pub desk: Option<FactDesk>,
    /// The appointment of the change, or else of the visit.
    pub appointment: Option<FactAppointment>,
    /// The charge that a change of the till is about.
    pub charge: Option<FactCharge>,
    /// The payment that a change of the till is about.
    pub payment: Option<FactPayment>,
}

impl Fact {
    /// Takes out what patients are charged and pay, for those who may not see it.
    pub fn without_money(&mut self) {
        (self.charge, self.payment) = (None, None);
    }

    /// Takes out what other systems call people, for those who may not see it.
    pub fn without_names(&mut self) {
        let rendered_by = self.charge.as_mut().and_then(|charge| charge.staff.as_mut());
        let mut parties: Vec<&mut FactParty> =
            [self.patient.as_mut(), self.merged_into.as_mut()].into_iter().flatten().collect();
        for staff in [self.staff.as_mut(), rendered_by].into_iter().flatten() {
            (staff.login, staff.practitioner) = (None, None);
            parties.push(&mut staff.party);
        }
        for party in parties {
            party.aliases.clear();
            party.elsewhere.clear();
        }
        if let Some(appointment) = &mut self.appointment {
            appointment.external.clear();
        }
    }
}

/// A visit as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactVisit {
    /// Its id: a UUID, also that of the encounter elsewhere.
    pub id: String,
    /// Its number here: 1, 2, 3 …
    pub no: u64,
    /// The patient.
    pub patient: PersonId,
    /// The specialist.
    pub staff: PersonId,
    /// The workstation.
    pub workstation: String,
    /// The room.
    pub zone: ZoneId,
    /// What began it, a code.
    pub began_by: String,
    /// The tap at the reader.
    pub started: UtcMillis,
    /// When it ended.
    pub ended: Option<UtcMillis>,
    /// Why, a code.
    pub ended_why: Option<String>,
}

/// A person, and what the other system calls them. Never shown by `Debug`: record numbers stay out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct FactParty {
    /// The pseudonym that the change names.
    pub person: PersonId,
    /// The person that this record was merged into, where it was: aliases are theirs.
    pub survivor: Option<PersonId>,
    /// What the destination's system calls them, in alphabetical order; normally one or none.
    pub aliases: Vec<String>,
    /// What other systems call them: system and value, in order.
    pub elsewhere: Vec<(String, String)>,
}

impl fmt::Debug for FactParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactParty").field("person", &self.person).field("aliases", &self.aliases.len()).finish()
    }
}

/// A specialist. What systems call them is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct FactStaff {
    /// As a person: pseudonym and aliases.
    pub party: FactParty,
    /// What the medical system calls them as its user.
    pub login: Option<String>,
    /// What it calls them as a practitioner.
    pub practitioner: Option<String>,
    /// The specialty, a code or word of the feed.
    pub specialty: Option<String>,
}

impl FactStaff {
    /// The id of the practitioner at the destination: an alias there, or else what the feed of staff told.
    pub fn practitioner_id(&self) -> Option<&str> {
        self.party.aliases.first().or(self.practitioner.as_ref()).map(String::as_str)
    }
}

impl fmt::Debug for FactStaff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactStaff").field("party", &self.party).finish_non_exhaustive()
    }
}

/// A workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactDesk {
    /// Its point.
    pub point: String,
    /// What people call it; the point where nobody has named it.
    pub name: String,
    /// What other systems call it or its room.
    pub external: Option<String>,
}

/// An appointment as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactAppointment {
    /// Its id here.
    pub id: String,
    /// Which feed told of it.
    pub source: String,
    /// Its id there.
    pub external: String,
    /// The patient.
    pub patient: PersonId,
    /// The specialist.
    pub staff: Option<PersonId>,
    /// Its begin.
    pub starts: UtcMillis,
    /// Its end.
    pub ends: UtcMillis,
    /// How far it has got, a code.
    pub state: String,
    /// When the patient arrived.
    pub arrived: Option<UtcMillis>,
}

type VisitRow = (String, i64, String, String, String, String, Option<String>, String, i64, Option<i64>, Option<String>);
type AppointmentRow = (String, String, String, String, Option<String>, i64, i64, String, Option<i64>);
type StaffRow = (String, Option<String>, Option<String>, Option<String>);

/// What is known of a batch, each kind read by one statement.
#[derive(Default)]
struct Known {
    visits: BTreeMap<String, (FactVisit, Option<String>)>,
    appointments: BTreeMap<String, FactAppointment>,
    staff: BTreeMap<PersonId, StaffRow>,
    survivors: BTreeMap<PersonId, PersonId>,
    aliases: BTreeMap<PersonId, Vec<(String, String)>>,
    system: String,
    desks: BTreeMap<String, FactDesk>,
    money: Money,
}

/// Reads statements of the form `SELECT … WHERE column IN (…)`; an empty list reads nothing.
macro_rules! rows_in {
    ($database:expr, $operation:literal, $sql:literal, $keys:expr) => {{
        let keys: Vec<String> = $keys;
        if keys.is_empty() {
            Vec::new()
        } else {
            read!($database, $operation, |conn| {
                let mut select = sqlx::QueryBuilder::<Db>::new($sql);
                let mut list = select.separated(", ");
                for key in &keys {
                    list.push_bind(key);
                }
                select.push(")");
                Ok(select.build_query_as().fetch_all(&mut *conn).await?)
            })?
        }
    }};
}

/// What deliveries of `destination` are about, in the order given; `system` is the system of `person_alias` in which the
/// destination's names stand. A delivery whose change is not there any more is left out.
///
/// # Errors
/// Engine errors, or a row that this version cannot read.
pub async fn facts(
    database: &Database,
    destination: &str,
    system: &str,
    claimed: &[Claimed],
) -> Result<Vec<Fact>, Error> {
    let ids: Vec<u64> = claimed.iter().map(|claimed| claimed.change).collect();
    let changes = changes::some(database, &ids).await?;
    let known = know(database, system, &changes).await?;
    let attempts: BTreeMap<u64, u32> = claimed.iter().map(|claimed| (claimed.change, claimed.attempts)).collect();
    Ok(changes.into_iter().map(|change| known.fact(destination, &attempts, change)).collect())
}

/// What is known of these changes, for the feed of the HTTP API.
///
/// # Errors
/// As [`facts`].
pub async fn facts_of(database: &Database, system: &str, changes: Vec<Change>) -> Result<Vec<Fact>, Error> {
    let known = know(database, system, &changes).await?;
    Ok(changes.into_iter().map(|change| known.fact(system, &BTreeMap::new(), change)).collect())
}

async fn know(database: &Database, system: &str, changes: &[Change]) -> Result<Known, Error> {
    let mut known = Known { money: money::money(database, changes).await?, ..Known::default() };
    let mut visits: BTreeSet<String> = changes.iter().filter_map(|change| change.visit.clone()).collect();
    visits.extend(known.money.visits());
    let rows: Vec<VisitRow> = rows_in!(
        database,
        "outbox.visits",
        "SELECT id, no, patient, staff, workstation, zone, appointment, began_by, started_ms, ended_ms, ended_why
         FROM visit WHERE id IN (",
        visits.into_iter().collect()
    );
    for row in rows {
        let (visit, appointment) = visit(row)?;
        known.visits.insert(visit.id.clone(), (visit, appointment));
    }
    let mut wanted: BTreeSet<String> = changes.iter().filter_map(|change| change.appointment.clone()).collect();
    wanted.extend(known.visits.values().filter_map(|(_, appointment)| appointment.clone()));
    let rows: Vec<AppointmentRow> = rows_in!(
        database,
        "outbox.appointments",
        "SELECT id, source, external, patient, staff, starts_ms, ends_ms, state, arrived_ms FROM appointment WHERE id IN (",
        wanted.into_iter().collect()
    );
    for row in rows {
        let appointment = appointment(row)?;
        known.appointments.insert(appointment.id.clone(), appointment);
    }
    let (patients, staff) = persons(changes, &known);
    let rows: Vec<(String, String)> = rows_in!(
        database,
        "outbox.merges",
        "SELECT person, into_person FROM person_merge WHERE person IN (",
        patients.iter().map(ToString::to_string).collect()
    );
    for (person, into) in rows {
        known.survivors.insert(read_person("person_merge", &person)?, read_person("person_merge", &into)?);
    }
    let rows: Vec<StaffRow> = rows_in!(
        database,
        "outbox.staff",
        "SELECT person, login, practitioner, specialty FROM staff WHERE person IN (",
        staff.iter().map(ToString::to_string).collect()
    );
    for row in rows {
        known.staff.insert(read_person("staff", &row.0)?, row);
    }
    let everybody: BTreeSet<PersonId> =
        patients.iter().chain(&staff).chain(known.survivors.values()).copied().collect();
    let keys: Vec<String> = everybody.iter().map(ToString::to_string).collect();
    system.clone_into(&mut known.system);
    let rows: Vec<(String, String, String)> =
        rows_in!(database, "outbox.aliases", "SELECT person, system, value FROM person_alias WHERE person IN (", keys);
    for (person, system, value) in rows {
        known.aliases.entry(read_person("person_alias", &person)?).or_default().push((system, value));
    }
    known.aliases.values_mut().for_each(|aliases| aliases.sort());
    let mut desks: BTreeSet<String> =
        changes.iter().filter_map(|change| change.workstation.as_ref().map(ToString::to_string)).collect();
    desks.extend(known.visits.values().map(|(visit, _)| visit.workstation.clone()));
    desks.extend(known.money.desks());
    let rows: Vec<(String, String, Option<String>)> = rows_in!(
        database,
        "outbox.desks",
        "SELECT point, name, external FROM workstation WHERE point IN (",
        desks.into_iter().collect()
    );
    for (point, name, external) in rows {
        known.desks.insert(point.clone(), FactDesk { point, name, external });
    }
    Ok(known)
}

/// Patients and specialists that changes, visits and appointments name.
fn persons(changes: &[Change], known: &Known) -> (BTreeSet<PersonId>, BTreeSet<PersonId>) {
    let mut patients: BTreeSet<PersonId> = changes.iter().filter_map(|change| change.patient).collect();
    patients.extend(changes.iter().filter_map(into_of));
    let mut staff: BTreeSet<PersonId> = changes.iter().filter_map(|change| change.staff).collect();
    for (visit, _) in known.visits.values() {
        patients.insert(visit.patient);
        staff.insert(visit.staff);
    }
    for appointment in known.appointments.values() {
        patients.insert(appointment.patient);
        staff.extend(appointment.staff);
    }
    patients.extend(known.money.patients());
    staff.extend(known.money.staff());
    (patients, staff)
}

/// The record that is left of a merge.
fn into_of(change: &Change) -> Option<PersonId> {
    let detail = change.detail.as_deref().filter(|_| change.kind == changes::ChangeKind::PersonMerged)?;
    detail.parse().ok()
}

impl Known {
    fn fact(&self, destination: &str, attempts: &BTreeMap<u64, u32>, change: Change) -> Fact {
        let (mut charge, payment) = (self.money.charge(&change), self.money.payment(&change));
        let of_charge = charge.as_ref().and_then(|(charge, _)| charge.visit.as_ref());
        let visit = change.visit.as_ref().or(of_charge).and_then(|id| self.visits.get(id));
        let appointment = change.appointment.as_ref().or(visit.and_then(|(_, appointment)| appointment.as_ref()));
        let appointment = appointment.and_then(|id| self.appointments.get(id));
        let visit = visit.map(|(visit, _)| visit);
        let of_money =
            charge.as_ref().map(|(charge, _)| charge.patient).or(payment.as_ref().and_then(|it| it.line.patient));
        let patient = change.patient.or(of_money).or(visit.map(|it| it.patient)).or(appointment.map(|it| it.patient));
        let rendered_by = charge.as_ref().and_then(|(_, staff)| *staff);
        let staff = change.staff.or(rendered_by).or(visit.map(|it| it.staff)).or(appointment.and_then(|it| it.staff));
        let of_charge = charge.as_ref().and_then(|(charge, _)| charge.workstation.as_deref());
        let point = change.workstation.as_ref().map(|point| point.as_str()).or(of_charge);
        let point = point.or(visit.map(|it| it.workstation.as_str()));
        let desk = point.map(|point| {
            let unnamed = || FactDesk { point: point.to_owned(), name: point.to_owned(), external: None };
            self.desks.get(point).cloned().unwrap_or_else(unnamed)
        });
        if let Some((charge, Some(by))) = &mut charge {
            charge.staff = Some(self.specialist(*by));
        }
        Fact {
            destination: destination.to_owned(),
            attempts: attempts.get(&change.id).copied().unwrap_or(0),
            visit: visit.cloned(),
            patient: patient.map(|person| self.party(person)),
            merged_into: into_of(&change).map(|person| self.party(person)),
            staff: staff.map(|person| self.specialist(person)),
            desk,
            appointment: appointment.cloned(),
            charge: charge.map(|(charge, _)| charge),
            payment,
            change,
        }
    }

    fn party(&self, person: PersonId) -> FactParty {
        let survivor = self.survivors.get(&person).copied();
        let all = self.aliases.get(&survivor.unwrap_or(person)).cloned().unwrap_or_default();
        let (own, elsewhere): (Vec<_>, Vec<_>) = all.into_iter().partition(|(system, _)| *system == self.system);
        FactParty { person, survivor, aliases: own.into_iter().map(|(_, value)| value).collect(), elsewhere }
    }

    fn specialist(&self, person: PersonId) -> FactStaff {
        let row = self.staff.get(&person);
        FactStaff {
            party: self.party(person),
            login: row.and_then(|row| row.1.clone()),
            practitioner: row.and_then(|row| row.2.clone()),
            specialty: row.and_then(|row| row.3.clone()),
        }
    }
}

fn read_person(table: &'static str, text: &str) -> Result<PersonId, Error> {
    column(table, "person", text, str::parse)
}

fn visit(row: VisitRow) -> Result<(FactVisit, Option<String>), Error> {
    let (id, no, patient, staff, workstation, zone, appointment, began_by, started, ended, ended_why) = row;
    let visit = FactVisit {
        id,
        no: no.cast_unsigned(),
        patient: column("visit", "patient", &patient, str::parse)?,
        staff: column("visit", "staff", &staff, str::parse)?,
        workstation,
        zone: column("visit", "zone", &zone, ZoneId::new)?,
        began_by,
        started: UtcMillis(started),
        ended: ended.map(UtcMillis),
        ended_why,
    };
    Ok((visit, appointment))
}

fn appointment(row: AppointmentRow) -> Result<FactAppointment, Error> {
    let (id, source, external, patient, staff, starts, ends, state, arrived) = row;
    Ok(FactAppointment {
        id,
        source,
        external,
        patient: column("appointment", "patient", &patient, str::parse)?,
        staff: optional("appointment", "staff", staff.as_deref(), str::parse)?,
        starts: UtcMillis(starts),
        ends: UtcMillis(ends),
        state,
        arrived: arrived.map(UtcMillis),
    })
}
