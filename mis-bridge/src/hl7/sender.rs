//! Telling a system of visits and money: ADT A04 when a visit starts, A03 when it ends, A11 when it never was; DFT P03 for
//! charges and, where it is to have them, payments.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clinic::acting::{Acting, Actor};
use clinic::audit::Purpose;
use clinic::disclosures::{self, Class, Disclosure, Ground, Recipient, Route};
use clinic::outbox::Fact;
use clinic::vault::{Vault, VaultError};
use domain::vault::Passport;
use domain::{Clock, Field, Permission, PersonId, Rights, Zones};
use store::Database;
use tokio::sync::Mutex;
use tracing::warn;

use super::line::{Line, LineFault, Verdict};
use super::settings::{Names, SenderSettings, SettingsError};
use super::tell::{self, About, Told};
use crate::delivery::{self, Deliver, Delivered, FaultCode};

/// Codes of ERR-3 that say that the system failed itself, so that the same message may go well later: a locked record, an
/// internal error.
const PASSING: [&str; 2] = ["206", "207"];
/// A message that the system did not answer so often in a row gives way to others: it may be what the system cannot take.
const SILENT_MAX: u32 = 3;

/// How deliveries to such a system go: one at a time, and not given up while it is away for a day. One message in flight
/// is the line's rule; the second one waits for it.
pub fn delivery_settings(settings: &SenderSettings) -> delivery::Settings {
    delivery::Settings {
        at_once: 2,
        attempts_max: 40,
        // The second one waits for the first one's connection, answer and result before its own begin.
        lease: Duration::from_secs(60),
        ..delivery::Settings::new(&settings.name, "hl7", &tell::wanted(settings))
    }
}

/// Tells one system. Deliveries wait for each other: one message is in flight.
pub struct Sender {
    settings: Arc<SenderSettings>,
    database: Database,
    vault: Option<Vault>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    line: Line,
    /// The message that has no answer yet: sent again byte for byte, and its disclosure is registered once.
    unanswered: Option<(String, Vec<u8>)>,
    silent: u32,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({})", self.settings.name)
    }
}

impl Sender {
    /// `vault` is needed for [`Names::Told`]; without it messages wait as if it were locked.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(
        settings: SenderSettings,
        database: Database,
        vault: Option<Vault>,
        clock: Clock,
    ) -> Result<Self, SettingsError> {
        let state = Mutex::new(State { line: Line::new(&settings)?, unanswered: None, silent: 0 });
        Ok(Self { settings: Arc::new(settings), database, vault, clock, state })
    }

    /// The message of a fact.
    async fn message(&self, fact: &Fact, about: About<'_>) -> Result<Vec<u8>, Delivered> {
        let told = match self.settings.names {
            Names::Pseudonym => Told::default(),
            Names::Told => self.tell_names(fact, about).await?,
        };
        let bytes = tell::message(&self.settings, fact, about, &told);
        let bytes = bytes.map_err(|error| {
            warn!(destination = %self.settings.name, "hl7.message.not_written: {error}");
            Delivered::dead(FaultCode::Unspeakable, self.settings.charset.name())
        })?;
        Ok(bytes)
    }

    /// Names of patient and doctor, once their disclosure is registered.
    async fn tell_names(&self, fact: &Fact, about: About<'_>) -> Result<Told, Delivered> {
        let away = |_| Delivered::away(FaultCode::ServerFault, "own-database");
        let Some(vault) = &self.vault else { return Err(Delivered::away(FaultCode::Unspeakable, "vault")) };
        let mut rights = Rights::default();
        rights.add(&[Permission::PersonReveal], &[Field::Name, Field::BirthDate], &Zones::All);
        let actor = Actor::Peer(self.settings.name.clone());
        let acting = Acting { actor, rights, session: None, address: None, glass: None };
        let (patient, doctor) = about.persons(fact);
        let of_patient = match patient {
            Some(patient) => reveal(vault, &acting, patient, &[Field::Name, Field::BirthDate]).await?,
            None => None,
        };
        let of_doctor = match doctor {
            Some(doctor) => reveal(vault, &acting, doctor, &[Field::Name]).await?,
            None => None,
        };
        let told = [patient.filter(|_| of_patient.is_some()), doctor.filter(|_| of_doctor.is_some())];
        let persons: BTreeSet<PersonId> = told.into_iter().flatten().collect();
        if !persons.is_empty() {
            let disclosure = Disclosure {
                route: Route::Message,
                to: Recipient::of(&acting.actor),
                ground: Ground::Operation,
                object: Some(if matches!(about, About::Visit(..)) { "HL7 ADT" } else { "HL7 DFT" }.to_owned()),
                classes: vec![Class::Identity, Class::HealthRelated],
                fields: vec![Field::Name, Field::BirthDate],
                records: 1,
                persons,
            };
            let now = self.clock.now();
            disclosures::register(&self.database, &acting, disclosure, Some(Purpose::Treatment), now)
                .await
                .map_err(away)?;
        }
        let birth = of_patient.as_ref().and_then(|passport| passport.birth_date);
        let names = |passport: Option<Passport>| passport.map(|it| it.names).filter(|names| !names.is_empty());
        Ok(Told { patient: names(of_patient), birth, doctor: names(of_doctor) })
    }
}

/// What the vault has of a person; `None` if nothing, or nothing any more.
async fn reveal(
    vault: &Vault,
    acting: &Acting,
    person: PersonId,
    fields: &[Field],
) -> Result<Option<Passport>, Delivered> {
    match vault.reveal(acting, person, fields, Purpose::Treatment, None).await {
        Ok(passport) => Ok(Some(passport)),
        Err(VaultError::Unknown | VaultError::Erased(_)) => Ok(None),
        Err(VaultError::Locked(locked)) => {
            Err(Delivered::away(FaultCode::Unspeakable, &format!("vault_{}", locked.as_str())))
        }
        Err(_) => Err(Delivered::away(FaultCode::Unspeakable, "vault")),
    }
}

impl Deliver for Sender {
    async fn deliver(&self, fact: &Fact) -> Delivered {
        let about = match tell::about(&self.settings, fact) {
            Ok(Some(about)) => about,
            Ok(None) => return Delivered::Done,
            Err(missing) => return Delivered::dead(FaultCode::Missing, missing),
        };
        let mut state = self.state.lock().await;
        let control = tell::control_of(fact);
        let waiting = state.unanswered.take().filter(|(known, _)| *known == control);
        let bytes = match waiting {
            Some((_, bytes)) => bytes,
            None => {
                state.silent = 0;
                match self.message(fact, about).await {
                    Ok(bytes) => bytes,
                    Err(delivered) => return delivered,
                }
            }
        };
        state.unanswered = Some((control.clone(), bytes.clone()));
        let verdict = state.line.exchange(&control, &bytes).await;
        if verdict.is_ok() {
            state.unanswered = None;
            state.silent = 0;
        }
        match verdict {
            Ok(Verdict::Accepted) => Delivered::Done,
            Ok(Verdict::Refused { code, error }) => {
                let detail = format!("{} {}", code.as_str(), error.as_deref().unwrap_or_default());
                match error.is_some_and(|error| PASSING.contains(&error.as_str())) {
                    true => Delivered::retry(FaultCode::ServerFault, detail.trim()),
                    false => Delivered::dead(FaultCode::Refused, detail.trim()),
                }
            }
            Err(LineFault::Unreachable) => Delivered::away(FaultCode::Unreachable, ""),
            Err(LineFault::Tls) => Delivered::away(FaultCode::Tls, ""),
            Err(fault) => {
                let code = match fault {
                    LineFault::Broken => FaultCode::Broken,
                    LineFault::Wrong => FaultCode::WrongAnswer,
                    _ => FaultCode::Late,
                };
                state.silent += 1;
                match state.silent >= SILENT_MAX {
                    true => {
                        state.silent = 0;
                        Delivered::retry(code, "")
                    }
                    false => Delivered::away(code, ""),
                }
            }
        }
    }
}
