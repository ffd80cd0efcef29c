//! What the server calls a patient: by the alias, by a search (PDQm, `Patient?identifier=`), or by a cross-reference
//! (PIXm, `$ihe-pix`); and where a record was merged, the one that is left.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use clinic::outbox::FactParty;
use domain::{Clock, UtcMillis, codes};
use serde_json::Value;

use super::Settings;
use super::server::{Server, Told, resources_of};
use crate::delivery::{Delivered, FaultCode};

/// Patients kept in mind; beyond that all are forgotten and asked for again.
const KEPT_MAX: usize = 20_000;
/// For how long, in milliseconds: ten minutes.
const KEPT_MS: i64 = 600_000;
/// Merges that are followed, one after the other.
const MERGES_MAX: usize = 8;

/// What the aliases of a system are at a FHIR server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alias {
    /// Ids of its resources.
    Id,
    /// Values of identifiers of this system.
    Identifier(String),
}

codes! {
    /// How a patient is looked for.
    LookupBy {
        /// `GET Patient?identifier=system|value` (IHE PDQm, ITI-78).
        Search = "search",
        /// `GET Patient/$ihe-pix?sourceIdentifier=system|value` (IHE PIXm, ITI-83).
        Pix = "pix",
    }
}

/// A way of finding a patient who has no alias at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The system of `person_alias` whose value is asked with; for example the name of the feed of patients.
    pub alias_of: String,
    /// The system of that identifier, as the server knows it; for example `urn:oid:1.2.3`.
    pub identifier: String,
    /// How.
    pub by: LookupBy,
}

/// The ids of patients, kept for a while.
pub(super) struct Patients {
    clock: Clock,
    kept: Mutex<BTreeMap<domain::PersonId, (String, UtcMillis)>>,
}

impl Patients {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, kept: Mutex::new(BTreeMap::new()) }
    }

    /// The id of the patient's resource.
    pub(super) async fn resolve(&self, server: &Server, settings: &Settings, party: &FactParty) -> Told<String> {
        let person = party.survivor.unwrap_or(party.person);
        let now = self.clock.now();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&person).cloned();
        if let Some((id, _)) = kept.filter(|(_, until)| *until > now) {
            return Ok(id);
        }
        let id = find(server, settings, party).await?;
        let id = if settings.follows_merges { follow(server, id).await? } else { id };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(person, (id.clone(), now.plus_ms(KEPT_MS)));
        Ok(id)
    }
}

async fn find(server: &Server, settings: &Settings, party: &FactParty) -> Told<String> {
    if let Some(alias) = party.aliases.first() {
        return match &settings.patients {
            Alias::Id => Ok(alias.clone()),
            Alias::Identifier(system) => {
                let found = search(server, system, alias).await?;
                found.ok_or_else(|| Delivered::retry(FaultCode::NotFound, "Patient"))
            }
        };
    }
    for lookup in &settings.lookups {
        for (_, value) in party.elsewhere.iter().filter(|(system, _)| *system == lookup.alias_of) {
            let found = match lookup.by {
                LookupBy::Search => search(server, &lookup.identifier, value).await?,
                LookupBy::Pix => cross_reference(server, &lookup.identifier, value).await?,
            };
            if let Some(id) = found {
                return Ok(id);
            }
        }
    }
    // Somebody may still tell us, or the server, who that is.
    Err(Delivered::retry(FaultCode::NoAlias, "patient"))
}

/// One patient by identifier; several are nobody's guess.
async fn search(server: &Server, system: &str, value: &str) -> Told<Option<String>> {
    let bundle = server.get(&["Patient"], &[("identifier", &format!("{system}|{value}"))]).await?;
    let found = resources_of(bundle.as_ref(), "Patient");
    // Of several records those count that were not merged into another.
    let left: Vec<&&Value> = found.iter().filter(|patient| replaced_by(patient).is_none()).collect();
    let candidates = if left.is_empty() { found.iter().collect() } else { left };
    match candidates.as_slice() {
        [] => Ok(None),
        [patient] => Ok(patient["id"].as_str().map(str::to_owned)),
        _ => Err(Delivered::dead(FaultCode::Conflict, "several patients")),
    }
}

/// PIXm answers Parameters with `targetId` (a reference) and `targetIdentifier`.
async fn cross_reference(server: &Server, system: &str, value: &str) -> Told<Option<String>> {
    let source = format!("{system}|{value}");
    let answer = server.get(&["Patient", "$ihe-pix"], &[("sourceIdentifier", &source)]).await?;
    let Some(answer) = answer else { return Ok(None) };
    let parameters = answer["parameter"].as_array().into_iter().flatten();
    let targets = parameters.filter(|parameter| parameter["name"] == "targetId");
    let mut ids: Vec<String> =
        targets.filter_map(|target| id_of(target["valueReference"]["reference"].as_str()?)).collect();
    ids.sort();
    ids.dedup();
    match ids.len() {
        0 | 1 => Ok(ids.pop()),
        _ => Err(Delivered::dead(FaultCode::Conflict, "several patients")),
    }
}

/// Follows merged records to the one that is left.
async fn follow(server: &Server, mut id: String) -> Told<String> {
    for _ in 0..MERGES_MAX {
        let Some(found) = server.read("Patient", &id).await? else {
            return Err(Delivered::retry(FaultCode::NotFound, "Patient"));
        };
        match replaced_by(&found.body) {
            Some(next) if next != id => id = next,
            _ => return Ok(id),
        }
    }
    Err(Delivered::dead(FaultCode::Conflict, "merges"))
}

/// The record that took a patient's place.
pub(super) fn replaced_by(patient: &Value) -> Option<String> {
    let links = patient["link"].as_array()?;
    let link = links.iter().find(|link| link["type"] == "replaced-by")?;
    id_of(link["other"]["reference"].as_str()?)
}

/// The id at the end of a reference to a Patient, relative or absolute, with or without a version.
fn id_of(reference: &str) -> Option<String> {
    let path = reference.split("/_history/").next()?;
    let mut parts = path.rsplit('/');
    let id = parts.next().filter(|id| !id.is_empty() && id.len() <= 64)?;
    (parts.next() == Some("Patient")).then(|| id.to_owned())
}
