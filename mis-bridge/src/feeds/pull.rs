//! A FHIR R4 server read at intervals: the first round reads everything, later ones what was changed since, with an overlap
//! for clocks that differ. How far a round has come is remembered only after what came before it was taken; what is told
//! twice changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono_tz::Tz;
use clinic::acting::Acting;
use clinic::feeds::{FeedError, FeedKind, Feeds, MergeOutcome, Mode, Problem, Records, Report, Source};
use domain::{Clock, UtcMillis};
use serde_json::Value;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::resource::{self, Reading, alias_of, changed, id_of, referred};
use crate::fhir::{self, At, ReadError, Reader, SetupError};

/// How far back a later round looks beyond the newest change seen: clocks differ, transactions take time. In milliseconds.
const OVERLAP_MS: i64 = 120_000;
/// Appointments that began so long ago are not read, in milliseconds: a day.
const PAST_MS: i64 = 24 * 3_600_000;
/// Resources of one page, as asked.
const PAGE: &str = "200";
/// Most practitioners joined with their roles in one round.
const STAFF_MAX: usize = 100_000;
/// Patients read by themselves because another record was merged into them, in one round.
const MERGES_MAX: usize = 10_000;
/// Most roles of one practitioner.
const ROLES_MAX: usize = 1000;

/// How a server is read.
#[derive(Debug, Clone)]
pub struct PullSettings {
    /// Where it is, how it lets us in, and what people are called there.
    pub server: fhir::Settings,
    /// How often. 10 s.
    pub every: Duration,
    /// For times without a zone: the clinic's.
    pub zone: Tz,
}

/// Why a round brought nothing, or stopped half-way.
#[derive(Debug, Error)]
enum RoundError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error("there are more than {0} of one kind in one round")]
    TooMany(usize),
}

/// Reads until `stop`.
///
/// # Errors
/// [`SetupError`], at once.
pub async fn read_fhir(
    settings: PullSettings,
    feeds: Feeds,
    source: Source,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), SetupError> {
    let reader = Reader::new(&settings.server, clock.clone())?;
    let reading = Reading {
        source: source.clone(),
        zone: settings.zone,
        patients: settings.server.patients.clone(),
        staff: settings.server.staff.clone(),
    };
    let pull = Pull { reader, reading, acting: Acting::feed(&source), feeds, source, clock };
    let mut failing = BTreeSet::new();
    loop {
        for kind in
            [FeedKind::Workplaces, FeedKind::Purposes, FeedKind::Staff, FeedKind::Patients, FeedKind::Appointments]
        {
            let outcome = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                outcome = pull.round(kind) => outcome,
            };
            match outcome {
                Ok(()) => {
                    if failing.remove(&kind) {
                        tracing::info!(system = %pull.source, kind = %kind, "feeds.fhir.back");
                    }
                }
                Err(error) => {
                    if failing.insert(kind) {
                        tracing::warn!(system = %pull.source, kind = %kind, %error, "feeds.fhir.failed");
                    }
                }
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(settings.every)).await.is_none() {
            return Ok(());
        }
    }
}

struct Pull {
    reader: Reader,
    reading: Reading,
    acting: Acting,
    feeds: Feeds,
    source: Source,
    clock: Clock,
}

/// How far the resources of a round reach.
#[derive(Default)]
struct Reach {
    newest: Option<UtcMillis>,
    /// Something may be taken when it is told again: the cursor stays.
    again: bool,
}

impl Pull {
    async fn round(&self, kind: FeedKind) -> Result<(), RoundError> {
        let cursor = self.feeds.cursor(&self.source, kind).await.map_err(FeedError::from)?;
        let since = cursor.as_deref().and_then(UtcMillis::from_rfc3339);
        let mut outcome = self.told(kind, since).await;
        if matches!(outcome, Err(RoundError::Read(ReadError::Expired))) {
            outcome = self.told(kind, since).await;
        }
        let noted = match &outcome {
            Ok(reach) if reach.again => Ok(None),
            Ok(reach) => Ok(reach.newest.max(since).map(UtcMillis::to_rfc3339)),
            Err(error) => Err(error.to_string()),
        };
        self.feeds.note_pull(&self.acting, &self.source, kind, noted).await?;
        outcome.map(|_| ())
    }

    async fn told(&self, kind: FeedKind, since: Option<UtcMillis>) -> Result<Reach, RoundError> {
        let updated = since.map(|since| format!("ge{}", since.plus_ms(-OVERLAP_MS).to_rfc3339()));
        let mut query: Vec<(&str, &str)> = vec![("_count", PAGE)];
        query.extend(updated.as_deref().map(|updated| ("_lastUpdated", updated)));
        let mut reach = Reach::default();
        let zone = self.reading.zone;
        let resource = match kind {
            FeedKind::Workplaces => "Location",
            FeedKind::Purposes => "HealthcareService",
            FeedKind::Patients => "Patient",
            FeedKind::Appointments => "Appointment",
            FeedKind::Staff => {
                self.staff(&query, &mut reach).await?;
                return Ok(reach);
            }
            FeedKind::Conditions | FeedKind::Messages => return Ok(reach),
        };
        let from = format!("ge{}", self.clock.now().plus_ms(-PAST_MS).to_rfc3339());
        if kind == FeedKind::Appointments && since.is_none() {
            query.push(("date", &from));
        }
        let mut search = Search::new(resource, &query);
        loop {
            let page = match self.next(&mut search).await {
                // Few servers have these.
                Err(error) if kind == FeedKind::Purposes => return optional(Err(error)).map(|()| reach),
                other => other?,
            };
            let Some(page) = page else { return Ok(reach) };
            let records = match kind {
                FeedKind::Workplaces => {
                    Records::Workplaces(page.iter().filter_map(|it| resource::workplace(it, zone)).collect())
                }
                FeedKind::Purposes => {
                    Records::Purposes(page.iter().filter_map(|it| resource::purpose(it, zone)).collect())
                }
                FeedKind::Appointments => Records::Appointments(
                    page.iter().filter_map(|it| resource::appointment(it, &self.reading)).collect(),
                ),
                _ => Records::Patients(Vec::new()),
            };
            if kind == FeedKind::Patients {
                self.patients(&page, &mut reach).await?;
            } else {
                self.take(records, &mut reach).await?;
            }
            reach.newest = reach.newest.max(self.newest(&page));
        }
    }

    /// The next page of a search; `None` at its end.
    async fn next(&self, search: &mut Search<'_>) -> Result<Option<Vec<Value>>, RoundError> {
        if matches!(search.at, At::End) {
            return Ok(None);
        }
        let at = std::mem::replace(&mut search.at, At::End);
        let (page, next) = self.reader.page(search.kind, search.query, at, &mut search.pages).await?;
        search.at = next;
        let entries = page["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]);
        Ok(Some(entries.filter(|it| it["resourceType"] == search.kind).cloned().collect()))
    }

    fn newest(&self, page: &[Value]) -> Option<UtcMillis> {
        page.iter().filter_map(|it| changed(it, self.reading.zone)).max()
    }

    async fn take(&self, records: Records, reach: &mut Reach) -> Result<(), RoundError> {
        if records.is_empty() {
            return Ok(());
        }
        let report = self.feeds.take(&self.acting, &self.source, records, Mode::Changes).await?;
        reach.again |= is_waiting(&report);
        Ok(())
    }

    async fn patients(&self, page: &[Value], reach: &mut Reach) -> Result<(), RoundError> {
        let told: Vec<_> =
            page.iter().filter_map(|it| Some((id_of(it)?, resource::patient(it, &self.reading)?))).collect();
        let merges: Vec<(String, String)> = told
            .iter()
            .filter_map(|(id, (_, into))| Some(((*id).to_owned(), into.clone()?)))
            .take(MERGES_MAX)
            .collect();
        let records = told.into_iter().map(|(_, (record, _))| record).collect();
        self.take(Records::Patients(records), reach).await?;
        for (from, into) in merges {
            self.merge(&from, &into, reach).await?;
        }
        Ok(())
    }

    /// Joins two records; the one that is left may not have been read yet.
    async fn merge(&self, from: &str, into: &str, reach: &mut Reach) -> Result<(), RoundError> {
        let (patients, source) = (&self.reading.patients, &self.source);
        let (Some(gone), Some(left)) = (alias_of(from, patients, source), alias_of(into, patients, source)) else {
            return Ok(());
        };
        let now = self.clock.now();
        for is_read in [false, true] {
            match self.feeds.merge(&self.acting, source, &gone, &left, now).await {
                Ok(MergeOutcome::Merged(_) | MergeOutcome::Unchanged(_)) => return Ok(()),
                Err(FeedError::Unknown) if !is_read => {
                    let Some(resource) = self.reader.read("Patient", into).await? else { return Ok(()) };
                    if let Some((record, _)) = resource::patient(&resource, &self.reading) {
                        self.take(Records::Patients(vec![record]), reach).await?;
                    }
                }
                Err(FeedError::Unknown) => {
                    reach.again = true;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Practitioners whose own record or one of whose roles changed, each with all roles.
    async fn staff(&self, query: &[(&str, &str)], reach: &mut Reach) -> Result<(), RoundError> {
        let is_first = query.iter().all(|(name, _)| *name != "_lastUpdated");
        let mut people: BTreeMap<String, Option<Value>> = BTreeMap::new();
        let mut roles: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut search = Search::new("Practitioner", query);
        while let Some(page) = self.next(&mut search).await? {
            reach.newest = reach.newest.max(self.newest(&page));
            people.extend(page.into_iter().filter_map(|it| Some((id_of(&it)?.to_owned(), Some(it)))));
            if people.len() > STAFF_MAX {
                return Err(RoundError::TooMany(STAFF_MAX));
            }
        }
        for role in self.roles(query, STAFF_MAX).await? {
            reach.newest = reach.newest.max(changed(&role, self.reading.zone));
            if let Some(id) = referred(&role["practitioner"], "Practitioner").map(str::to_owned) {
                people.entry(id.clone()).or_default();
                roles.entry(id).or_default().push(role);
            }
        }
        let now = self.clock.now();
        let mut records = Vec::new();
        for (id, person) in people {
            let person = match person {
                Some(person) => person,
                None => match self.reader.read("Practitioner", &id).await? {
                    Some(person) => person,
                    None => continue,
                },
            };
            // Later rounds bring only what changed: the others of this practitioner are asked for.
            let own = match is_first {
                true => roles.remove(&id).unwrap_or_default(),
                false => self.roles(&[("practitioner", id.as_str()), ("_count", PAGE)], ROLES_MAX).await?,
            };
            records.extend(resource::staff(&person, &own, now, &self.reading));
        }
        self.take(Records::Staff(records), reach).await
    }

    /// All roles of a search; none where the server has no such resource.
    async fn roles(&self, query: &[(&str, &str)], most: usize) -> Result<Vec<Value>, RoundError> {
        let mut search = Search::new("PractitionerRole", query);
        let mut roles = Vec::new();
        loop {
            match self.next(&mut search).await {
                Ok(Some(page)) => roles.extend(page),
                Ok(None) => return Ok(roles),
                Err(error) => return optional(Err(error)).map(|()| roles),
            }
            if roles.len() > most {
                return Err(RoundError::TooMany(most));
            }
        }
    }
}

/// A search and where it is.
struct Search<'a> {
    kind: &'static str,
    query: &'a [(&'a str, &'a str)],
    at: At,
    pages: usize,
}

impl<'a> Search<'a> {
    const fn new(kind: &'static str, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { kind, query, at: At::Start, pages: 0 }
    }
}

/// Whether some of it may be taken when it is told again without a change. A person who is not known may be one of those
/// that never will be: only the vault is waited for.
fn is_waiting(report: &Report) -> bool {
    report.refused.iter().any(|refusal| refusal.problem == Problem::VaultLocked)
}

/// A kind of resource that a server need not have.
fn optional(told: Result<(), RoundError>) -> Result<(), RoundError> {
    match told {
        Err(RoundError::Read(ReadError::Fault(words)))
            if words.starts_with("not_found") || words.starts_with("refused") || words.starts_with("unspeakable") =>
        {
            Ok(())
        }
        other => other,
    }
}
