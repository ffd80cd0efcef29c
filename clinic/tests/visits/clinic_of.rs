//! The scene of desks with visits: what is asked of it, in short words.

use std::path::Path;
use std::sync::Arc;

use clinic::acting::{Acting, Actor};
use clinic::irregular::{Irregular, Settings};
use clinic::visits::{Filter, Visit, Visits};
use domain::visit::Rules;
use domain::{Clock, PersonId, Rights, Shipped, UtcMillis};

use crate::scene::{NOW, Scene, manager, person, plain, point};

pub(crate) struct Clinic {
    pub(crate) scene: Arc<Scene>,
    pub(crate) visits: Visits,
    pub(crate) irregular: Irregular,
}

/// The same clinic on both engines.
pub(crate) async fn both(folder: &Path, rules: Rules) -> Vec<Clinic> {
    let mut clinics = Vec::new();
    for database in store::testing::both(folder).await {
        let mut scene = Scene::new(database, plain()).await;
        scene.desk = scene.desk.clone().with_visits(rules);
        let scene = Arc::new(scene);
        let clock = {
            let scene = scene.clone();
            Clock::new(move || scene.now())
        };
        let visits = Visits::new(scene.database.clone(), clock.clone(), rules);
        let irregular = Irregular::new(scene.database.clone(), clock, Settings::default());
        clinics.push(Clinic { scene, visits, irregular });
    }
    clinics
}

/// A doctor at their desk.
pub(crate) fn doctor(number: u8) -> Acting {
    Acting { actor: Actor::Staff(person(number)), rights: Rights::of(Shipped::Doctor), ..Acting::system() }
}

/// An appointment of a patient.
pub(crate) struct Booked {
    pub(crate) id: &'static str,
    pub(crate) patient: u8,
    pub(crate) staff: Option<u8>,
    pub(crate) zone: Option<&'static str>,
    pub(crate) in_minutes: i64,
}

/// Action, outcome, kind of actor, subject, detail, note.
type LogRow = (String, String, String, Option<String>, Option<String>, Option<String>);

impl Clinic {
    pub(crate) async fn book(&self, booked: Booked) {
        let starts = NOW.plus_ms(booked.in_minutes * 60_000);
        store::transact!(self.scene.database, "test.book", |conn| {
            sqlx::query(
                "INSERT INTO appointment (id, source, external, patient, staff, zone, starts_ms, ends_ms, state, changed_ms)
                 VALUES ($1, 'mis', $1, $2, $3, $4, $5, $6, 'booked', $5)",
            )
            .bind(booked.id)
            .bind(person(booked.patient).to_string())
            .bind(booked.staff.map(|number| person(number).to_string()))
            .bind(booked.zone)
            .bind(starts.0)
            .bind(starts.plus_ms(20 * 60_000).0)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })
        .unwrap();
    }

    /// Who is bound, as the page knows them.
    pub(crate) async fn at_desk(&self, session: &clinic::desk::DeskSession) -> Acting {
        self.scene.desk.acting(session, None).await.unwrap()
    }

    /// All visits, the first first, in short: `10 with 1 at desk-1 from 0 until 60 next_patient`, in seconds.
    pub(crate) async fn shown(&self) -> Vec<String> {
        let mut all: Vec<Visit> = self.all().await;
        all.sort_by_key(|visit| visit.no);
        all.iter().map(short).collect()
    }

    pub(crate) async fn all(&self) -> Vec<Visit> {
        self.visits.list(&manager(), &Filter::default(), None, 1000).await.unwrap().visits
    }

    pub(crate) async fn running(&self, desk: u8) -> Option<Visit> {
        self.visits.current(&manager(), &point(desk)).await.unwrap()
    }

    /// What is asked at a desk: question and the appointments offered.
    pub(crate) async fn asked(&self, desk: u8) -> Option<(String, String, Vec<String>)> {
        let asked = self.visits.asked(&manager(), &point(desk)).await.unwrap()?;
        let offered = asked.appointments.into_iter().map(|appointment| appointment.id).collect();
        Some((asked.question.id, asked.question.why.to_string(), offered))
    }

    /// Kinds and reasons of the changes about patients after the first `skip`.
    pub(crate) async fn told(&self, skip: usize) -> Vec<String> {
        let all = self.scene.changes().await;
        let short = |change: &clinic::changes::Change| match &change.reason {
            Some(reason) => format!("{} {reason}", change.kind),
            None => change.kind.to_string(),
        };
        all.iter().filter(|change| change.patient.is_some()).skip(skip).map(short).collect()
    }

    /// Entries of the audit log about visits: action, outcome, actor, subject, detail.
    pub(crate) async fn log(&self) -> Vec<String> {
        let rows: Vec<LogRow> =
            store::read!(self.scene.database, "test.log", |conn| {
                Ok(sqlx::query_as(
                    "SELECT action, outcome, actor_kind, subject, detail, note FROM audit_entry
                     WHERE action IN ('visit_started', 'visit_ended', 'chart_opened', 'out_of_card', 'irregular_sign_in',
                         'irregular_reviewed', 'person_located') ORDER BY no",
                )
                .fetch_all(&mut *conn)
                .await?)
            })
            .unwrap();
        rows.into_iter()
            .map(|(action, outcome, actor, subject, detail, note)| {
                let subject = subject.map_or_else(|| "-".to_owned(), |id| number(id.parse().unwrap()).to_string());
                let note = note.map(|_| " +words").unwrap_or_default();
                format!("{action} {outcome} by {actor} about {subject}: {}{note}", detail.unwrap_or_default())
            })
            .collect()
    }

    pub(crate) async fn appointment(&self, id: &str) -> (String, Option<i64>) {
        let found = clinic::appointments::of(&self.scene.database, id).await.unwrap().unwrap();
        (found.state.to_string(), found.arrived.map(|at| at.since_ms(NOW) / 1000))
    }
}

pub(crate) fn number(person: PersonId) -> u8 {
    person.0[0]
}

pub(crate) fn short(visit: &Visit) -> String {
    let since = |at: UtcMillis| at.since_ms(NOW) / 1000;
    let end = match visit.ended {
        Some((at, why)) => format!("until {} {why}", since(at)),
        None if visit.suspended.is_some() => "waits".to_owned(),
        None => "runs".to_owned(),
    };
    let (patient, staff) = (number(visit.patient), number(visit.staff));
    format!("{patient} with {staff} at {} from {} {end}", visit.workstation, since(visit.started))
}
