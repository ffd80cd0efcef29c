//! Reading the ChargeItems of a server, to compare them with our charges.

use std::sync::atomic::{AtomicUsize, Ordering};

use clinic::outbox::{Fault, FaultCode};
use clinic::till::reconcile::{Days, Theirs};
use domain::Clock;
use serde_json::Value;

use super::reader::{At, ReadError, Reader};
use super::server::resources_of;
use super::{Settings, SetupError, charge};
use crate::reconcile::{Charges, THEIRS_MAX};

/// ChargeItems of one page.
const PAGE: &str = "500";
/// Servers search times by the second: so much more is asked for at both ends, in milliseconds.
const AROUND_MS: i64 = 1000;

/// The ChargeItems of a FHIR server.
pub struct ChargeItems {
    reader: Reader,
    system: String,
}

impl std::fmt::Debug for ChargeItems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChargeItems").finish_non_exhaustive()
    }
}

impl ChargeItems {
    /// Checks the settings; asks nothing yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, SetupError> {
        Ok(Self { reader: Reader::new(settings, clock)?, system: settings.charge_system.clone() })
    }
}

/// Why a search failed, in our codes.
fn fault(error: &ReadError) -> Fault {
    match error {
        ReadError::Fault(words) => {
            let (code, detail) = words.split_once(' ').unwrap_or((words, ""));
            Fault::new(FaultCode::parse(code).unwrap_or(FaultCode::BadAnswer), detail)
        }
        ReadError::Expired => Fault::new(FaultCode::BadAnswer, "page expired"),
        ReadError::Foreign => Fault::new(FaultCode::BadAnswer, "page elsewhere"),
        ReadError::Endless => Fault::new(FaultCode::TooLong, "pages"),
    }
}

impl Charges for ChargeItems {
    async fn charges(&self, days: Days, read: &AtomicUsize) -> Result<Vec<Theirs>, Fault> {
        let from = format!("ge{}", days.from.plus_ms(-AROUND_MS).to_rfc3339());
        let until = format!("lt{}", days.until.plus_ms(AROUND_MS).to_rfc3339());
        let query = [("occurrence", from.as_str()), ("occurrence", until.as_str()), ("_count", PAGE)];
        let (mut found, mut at, mut pages) = (Vec::new(), At::Start, 0);
        loop {
            let (page, next) = self.reader.page("ChargeItem", &query, at, &mut pages).await.map_err(|it| fault(&it))?;
            found.extend(resources_of(Some(&page), "ChargeItem").into_iter().filter_map(|item| self.theirs(item)));
            read.store(found.len(), Ordering::Relaxed);
            if found.len() > THEIRS_MAX {
                return Err(Fault::new(FaultCode::TooLong, "ChargeItem"));
            }
            match next {
                At::End => return Ok(found),
                next => at = next,
            }
        }
    }
}

impl ChargeItems {
    /// One that bears an id of ours.
    fn theirs(&self, item: &Value) -> Option<Theirs> {
        let (charge, money, counts) = charge::read(item, &self.system)?;
        let text = |name: &str| item[name].as_str().unwrap_or_default().chars().take(80).collect::<String>();
        Some(Theirs { charge, external: text("id"), money, counts, state: text("status") })
    }
}
