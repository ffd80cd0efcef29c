//! What every handler shares.

use std::sync::Arc;
use std::time::Duration;

use clinic::accounts::Accounts;
use clinic::api_keys::ApiKeys;
use clinic::desk::Desk;
use clinic::feeds::Feeds;
use clinic::fhircast::{Grant, Hub, Scopes};
use clinic::irregular::Irregular;
use clinic::notices::Notices;
use clinic::openid::{OpenIdError, Provider};
use clinic::till::Till;
use clinic::till::terminal::Terminals;
use clinic::vault::Vault;
use clinic::visits::Visits;
use clinic::workstations::Workstations;
use domain::{Clock, UtcMillis};
use store::Database;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::changes::ChangeFeed;
use crate::feed::Feed;
use crate::fhircast::{Cast, Sockets};
use crate::language::{Language, Texts};
use crate::post::{self, Facts};
use crate::rate::Rates;
use crate::times::Times;

/// Searches and exports at once; more wait their turn (and give up with the request). They read much; live pages must
/// not feel them.
const HEAVY_AT_ONCE: usize = 3;

/// How long the panel's facts serve all live pages before they are read again.
const PANEL_AGE: Duration = Duration::from_millis(900);

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// See [`App`].
pub struct Inner {
    pub settings: Settings,
    pub language: Language,
    pub database: Database,
    pub clock: Clock,
    pub accounts: Accounts,
    /// Who pseudonyms are.
    pub vault: Vault,
    pub notices: Notices,
    pub api_keys: ApiKeys,
    /// Who asked how often for what is expensive.
    pub rates: Rates,
    pub feed: Feed,
    /// What happens at desks and with visits.
    pub changes: ChangeFeed,
    /// Which browser stands at which desk.
    pub workstations: Workstations,
    /// Who is bound to which desk.
    pub desk: Desk,
    /// Which chart is open at which desk, for programs; `None`: not set up.
    pub fhircast: Option<Cast>,
    /// Patients at desks.
    pub visits: Visits,
    /// What is done without the card.
    pub irregular: Irregular,
    /// Sign-in to other systems by card; `None`: not set up.
    pub openid: Option<Provider>,
    /// Services, money and limits.
    pub till: Till,
    /// The card terminals at the cash desks, with the till that they pay into.
    pub terminals: Terminals,
    /// Takes what other systems tell; `None`: not set up.
    pub feeds: Option<Feeds>,
    pub heavy: Semaphore,
    /// The facts of the live pages' panel, with when they were read. The lock is held while reading, so that many
    /// pages make one read.
    pub panel: Mutex<Option<(Instant, Arc<Facts>)>>,
    /// Cancelled when the server ends: streams finish.
    pub ending: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Over `database`; the feed still has to be run.
    pub fn new(settings: Settings, database: Database, clock: Clock, vault: Vault, ending: CancellationToken) -> Self {
        let (site, key) = (settings.site.as_str(), settings.accounts_key.clone());
        let accounts = Accounts::new(database.clone(), clock.clone(), settings.sessions, site, key.clone());
        let notices = Notices::new(database.clone(), clock.clone(), key);
        let api_keys = ApiKeys::new(database.clone(), clock.clone());
        let workstations = Workstations::new(database.clone(), clock.clone());
        let rules = settings.desk.visits;
        let desk = Desk::new(database.clone(), clock.clone(), settings.desk.rules).with_visits(rules);
        let visits = Visits::new(database.clone(), clock.clone(), rules);
        let irregular = Irregular::new(database.clone(), clock.clone(), settings.desk.irregular);
        let changes = ChangeFeed::new(database.clone());
        let fhircast = settings.desk.fhircast.clone().map(|how| {
            let hub = Hub::new(database.clone(), clock.clone(), settings.accounts_key.clone(), how);
            Cast { hub, sockets: Sockets::default() }
        });
        let openid = settings
            .desk
            .openid
            .clone()
            .map(|rules| Provider::new(database.clone(), clock.clone(), settings.accounts_key.clone(), rules));
        let feeds = settings
            .desk
            .feeds
            .clone()
            .map(|how| Feeds::new(database.clone(), clock.clone(), Some(vault.clone()), how.keys, how.settings));
        let till = Till::new(database.clone(), clock.clone(), settings.time_zone, settings.till.rules.clone());
        let terminals = Terminals::new(till.clone(), settings.till.terminals.clone());
        let language = Language::parse(&settings.language).unwrap_or(Language::En);
        let heavy = Semaphore::new(HEAVY_AT_ONCE);
        Self(Arc::new(Inner {
            settings,
            language,
            database,
            clock,
            accounts,
            vault,
            notices,
            api_keys,
            rates: Rates::default(),
            feed: Feed::default(),
            changes,
            workstations,
            desk,
            fhircast,
            visits,
            irregular,
            openid,
            feeds,
            till,
            terminals,
            heavy,
            panel: Mutex::new(None),
            ending,
        }))
    }

    /// The wall time.
    pub fn now(&self) -> UtcMillis {
        self.clock.now()
    }

    /// What an access token allows at the FHIRcast hub; `None`: it is not good.
    pub async fn fhircast_grant(&self, token: &str) -> Result<Option<Grant>, store::Error> {
        let Some(provider) = &self.openid else { return Ok(None) };
        let access = match provider.access(token).await {
            Ok(access) => access,
            Err(OpenIdError::Store(error)) => return Err(error),
            Err(_) => None,
        };
        Ok(access.map(|access| Grant {
            client: access.client,
            session: access.session,
            scopes: Scopes::parse(&access.scopes.join(" ")),
            until: access.expires,
        }))
    }

    /// Times in the clinic's zone for a language.
    pub fn times(&self, texts: Texts) -> Times {
        Times::new(self.settings.time_zone, texts)
    }

    /// The facts of the live pages' panel, at most [`PANEL_AGE`] old.
    pub async fn panel(&self, now: UtcMillis) -> Result<Arc<Facts>, store::Error> {
        let mut panel = self.0.panel.lock().await;
        if let Some((read_at, facts)) = &*panel
            && read_at.elapsed() < PANEL_AGE
        {
            return Ok(Arc::clone(facts));
        }
        let facts = Arc::new(post::read(&self.database, now).await?);
        *panel = Some((Instant::now(), Arc::clone(&facts)));
        Ok(facts)
    }
}
