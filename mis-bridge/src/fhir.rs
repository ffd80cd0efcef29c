//! Telling a FHIR R4 server: visits become Encounters under our own ids, charges ChargeItems, appointments get their
//! status, what concerns security becomes AuditEvents by the patterns of IHE BALP.
//!
//! Owns what is said and how faults of the server are understood. Every write begins with a read: what somebody else has
//! written there stays, a status never goes back, and saying a fact twice changes nothing. Never keeps names; never logs
//! ids of the other system. May import `clinic`, `domain`, and the HTTP client.

mod auth;
mod charge;
mod fault;
mod ledger;
mod patient;
mod reader;
mod resource;
mod server;

use clinic::changes::ChangeKind;
use domain::{Clock, SiteId, codes};
use serde_json::{Value, json};
use url::Url;

use crate::delivery::{Deliver, Delivered, Fact, FaultCode};
use crate::http;

pub use auth::{Auth, BackendKey};
pub use ledger::ChargeItems;
pub use patient::{Alias, Lookup, LookupBy};
pub use reader::ReadError;
pub(crate) use reader::{At, Reader};
pub use server::NotOfTheWeb;

use patient::Patients;
use server::{Server, Told, Wrote};

/// How often a write is begun anew because somebody else wrote in between.
const CONFLICTS_MAX: u32 = 4;

codes! {
    /// The status of an Encounter whose visit has started.
    StartedStatus {
        /// The patient is here.
        Arrived = "arrived",
        /// The patient is being seen: right for a tap at the specialist's desk.
        InProgress = "in_progress",
    }
}

codes! {
    /// The status of an Appointment whose visit has started.
    ArrivalStatus {
        /// It is left as it is.
        Leave = "leave",
        /// The patient has come.
        Arrived = "arrived",
        /// The patient has come and is registered.
        CheckedIn = "checked_in",
    }
}

codes! {
    /// Whether charges are told.
    Charges {
        /// To a server whose CapabilityStatement names ChargeItem, or that does not say what it takes.
        WhereTaken = "where_taken",
        /// Yes, whatever the server says of itself.
        Always = "always",
        /// No.
        Never = "never",
    }
}

impl StartedStatus {
    /// As FHIR writes it.
    pub const fn fhir(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::InProgress => "in-progress",
        }
    }
}

impl ArrivalStatus {
    /// As FHIR writes it; `None`: it is left as it is.
    pub const fn fhir(self) -> Option<&'static str> {
        match self {
            Self::Leave => None,
            Self::Arrived => Some("arrived"),
            Self::CheckedIn => Some("checked-in"),
        }
    }
}

/// How a FHIR server is told. `Settings::new` is right for a server that takes ids of ours and knows patients by ours.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is: what stands before `/Encounter`.
    pub base: Url,
    /// How it lets us in.
    pub auth: Auth,
    /// Certificates, time-outs and limits.
    pub http: http::Settings,
    /// What the aliases of patients are there.
    pub patients: Alias,
    /// What the aliases of staff are there.
    pub staff: Alias,
    /// Ways of finding a patient who has no alias there, in order.
    pub lookups: Vec<Lookup>,
    /// Whether patients are looked at before they are named, so that merged records are followed. Yes.
    pub follows_merges: bool,
    /// The feed whose appointments are this server's; `None`: its appointments are not touched.
    pub appointments: Option<String>,
    /// The status of an Encounter that has begun: `in-progress`.
    pub started: StartedStatus,
    /// The status of an Appointment whose visit has begun: `arrived`.
    pub arrival: ArrivalStatus,
    /// Whether AuditEvents are written. No.
    pub audit: bool,
    /// The system of the identifier that every Encounter bears: our id of the visit.
    pub visit_system: String,
    /// Whether charges are told: where the server takes them.
    pub charges: Charges,
    /// The system of the identifier that every ChargeItem bears: our id of the charge.
    pub charge_system: String,
    /// The code system of what other systems call our services; services without such a code have ours, in
    /// `urn:tapward:service`.
    pub service_system: String,
    /// The language of the names of services: `en`.
    pub language: String,
    /// The site, for AuditEvents.
    pub site: SiteId,
}

impl Settings {
    /// What it is told.
    pub fn wants(&self) -> Vec<ChangeKind> {
        use ChangeKind as K;
        let mut wants = vec![K::SessionOpened, K::SessionEnded, K::VisitStarted, K::VisitEnded, K::VisitCancelled];
        wants.extend([K::OutOfCard, K::IrregularSignIn]);
        if self.charges != Charges::Never {
            wants.extend([K::ChargeRendered, K::ChargeCancelled]);
        }
        wants
    }

    /// A server without authentication at this address, with the usual settings.
    pub fn new(base: Url, site: SiteId) -> Self {
        Self {
            base,
            auth: Auth::None,
            http: http::Settings::default(),
            patients: Alias::Id,
            staff: Alias::Id,
            lookups: Vec::new(),
            follows_merges: true,
            appointments: None,
            started: StartedStatus::InProgress,
            arrival: ArrivalStatus::Arrived,
            audit: false,
            visit_system: "urn:tapward:visit".to_owned(),
            charges: Charges::WhereTaken,
            charge_system: "urn:tapward:charge".to_owned(),
            service_system: "urn:tapward:service".to_owned(),
            language: "en".to_owned(),
            site,
        }
    }
}

/// Why a FHIR destination cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Certificates or keys.
    #[error(transparent)]
    Tls(#[from] http::TlsError),
    /// The address.
    #[error(transparent)]
    Address(#[from] NotOfTheWeb),
}

/// A FHIR server that is told what happens.
pub struct Fhir {
    settings: Settings,
    server: Server,
    patients: Patients,
}

impl std::fmt::Debug for Fhir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fhir").finish_non_exhaustive()
    }
}

impl Fhir {
    /// Checks the settings; asks nothing yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        let client = http::Client::new(settings.http.clone())?;
        let server = Server::new(client, &settings.base, settings.auth.clone(), clock.clone(), settings.http.plain)?;
        Ok(Self { patients: Patients::new(clock), settings, server })
    }

    async fn tell(&self, fact: &Fact) -> Told<()> {
        match fact.change.kind {
            ChangeKind::VisitStarted | ChangeKind::VisitEnded | ChangeKind::VisitCancelled => {
                self.visit(fact).await?;
                self.appointment(fact).await?;
                self.audit(fact).await
            }
            ChangeKind::SessionOpened
            | ChangeKind::SessionEnded
            | ChangeKind::OutOfCard
            | ChangeKind::IrregularSignIn => self.audit(fact).await,
            ChangeKind::ChargeRendered | ChangeKind::ChargeCancelled => self.charge(fact).await,
            _ => Ok(()),
        }
    }

    /// Brings the Encounter to where the fact says the visit is.
    async fn visit(&self, fact: &Fact) -> Told<()> {
        let missing = || Delivered::dead(FaultCode::Missing, "visit");
        let visit = fact.visit.as_ref().ok_or_else(missing)?;
        let party = fact.patient.as_ref().ok_or_else(missing)?;
        let patient = self.patients.resolve(&self.server, &self.settings, party).await?;
        let wanted = resource::Visit { visit, fact, patient: &patient, settings: &self.settings };
        for _ in 0..CONFLICTS_MAX {
            let found = self.server.read_own("Encounter", &visit.id, &self.settings.visit_system).await?;
            let next = match &found {
                Some(found) => resource::merged_encounter(&found.body, &wanted),
                None => Some(resource::encounter(&wanted)),
            };
            let Some(next) = next else { return Ok(()) };
            let wrote = match &found {
                Some(found) => self.server.update("Encounter", found, next).await?,
                None => self.server.create("Encounter", &visit.id, &self.settings.visit_system, next).await?,
            };
            match wrote {
                Wrote::Done => return Ok(()),
                Wrote::Conflict => {}
            }
        }
        Err(Delivered::retry(FaultCode::Conflict, "Encounter"))
    }

    /// Whether the server is told charges.
    async fn tells_charges(&self) -> Told<bool> {
        match self.settings.charges {
            Charges::Always => Ok(true),
            Charges::Never => Ok(false),
            Charges::WhereTaken => self.server.takes("ChargeItem").await,
        }
    }

    /// Makes the ChargeItem of a charge, or says that it never was.
    async fn charge(&self, fact: &Fact) -> Told<()> {
        let missing = || Delivered::dead(FaultCode::Missing, "charge");
        let charge = fact.charge.as_ref().ok_or_else(missing)?;
        let is_taken_back = fact.change.kind == ChangeKind::ChargeCancelled;
        // An order that was never rendered was never told.
        if charge.rendered.is_none() || !self.tells_charges().await? {
            return Ok(());
        }
        let party = fact.patient.as_ref().ok_or_else(missing)?;
        for _ in 0..CONFLICTS_MAX {
            let found = self.server.read_own("ChargeItem", &charge.id, &self.settings.charge_system).await?;
            let wrote = if let Some(found) = found {
                let Some(next) = charge::merged(&found.body, is_taken_back) else { return Ok(()) };
                self.server.update("ChargeItem", &found, next).await?
            } else {
                let patient = self.patients.resolve(&self.server, &self.settings, party).await?;
                let context = match &charge.visit {
                    Some(visit) => Some(self.encounter_of(visit).await?),
                    None => None,
                };
                let settings = &self.settings;
                let wanted = charge::Charge { charge, fact, patient: &patient, context, settings, is_taken_back };
                let item = charge::charge_item(&wanted);
                self.server.create("ChargeItem", &charge.id, &self.settings.charge_system, item).await?
            };
            match wrote {
                Wrote::Done => return Ok(()),
                Wrote::Conflict => {}
            }
        }
        Err(Delivered::retry(FaultCode::Conflict, "ChargeItem"))
    }

    /// A reference to a visit's Encounter: by id where it is there, or else by its identifier, so that a visit that could
    /// not be told does not hold up what was done in it.
    async fn encounter_of(&self, visit: &str) -> Told<Value> {
        let system = &self.settings.visit_system;
        match self.server.read_own("Encounter", visit, system).await {
            Ok(Some(found)) => Ok(json!({ "reference": format!("Encounter/{}", found.id) })),
            Ok(None) | Err(Delivered::Dead(_)) => {
                Ok(json!({ "type": "Encounter", "identifier": { "system": system, "value": visit } }))
            }
            Err(other) => Err(other),
        }
    }

    /// Says on the appointment that the patient came, or was seen.
    async fn appointment(&self, fact: &Fact) -> Told<()> {
        let Some(appointment) = &fact.appointment else { return Ok(()) };
        if self.settings.appointments.as_deref() != Some(appointment.source.as_str()) {
            return Ok(());
        }
        let Some(status) = resource::appointment_status(fact.change.kind, self.settings.arrival) else { return Ok(()) };
        for _ in 0..CONFLICTS_MAX {
            // An appointment that is not there (any more) is the business of the other system.
            let Some(found) = self.server.read("Appointment", &appointment.external).await? else { return Ok(()) };
            let Some(next) = resource::moved_appointment(&found.body, status) else { return Ok(()) };
            match self.server.update("Appointment", &found, next).await? {
                Wrote::Done => return Ok(()),
                Wrote::Conflict => {}
            }
        }
        Err(Delivered::retry(FaultCode::Conflict, "Appointment"))
    }

    /// Writes the AuditEvent of a fact, once: its id comes from the number of the change.
    async fn audit(&self, fact: &Fact) -> Told<()> {
        if !self.settings.audit {
            return Ok(());
        }
        let patient = match &fact.patient {
            Some(party) => self.patients.resolve(&self.server, &self.settings, party).await.ok(),
            None => None,
        };
        let Some(event) = resource::audit_event(fact, patient.as_deref(), &self.settings) else { return Ok(()) };
        let id = event.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.server.write_once("AuditEvent", &id, event).await
    }
}

impl Deliver for Fhir {
    async fn deliver(&self, fact: &Fact) -> Delivered {
        match self.tell(fact).await {
            Ok(()) => Delivered::Done,
            Err(ended) => ended,
        }
    }
}
