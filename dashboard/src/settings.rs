//! What the dashboard is told at its start.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chrono_tz::Tz;
use clinic::accounts::SessionRules;
use domain::vault::BoxKey;
use domain::{CardId, Network, SiteId};

/// Settings of one dashboard.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The clinic, shown in the top bar.
    pub site: SiteId,
    /// The zone in which times are shown and typed.
    pub time_zone: Tz,
    /// Language of who has not chosen one and whose browser asks for none of ours: `en` or `ru`.
    pub language: String,
    /// Where the TLS certificate comes from.
    pub tls: TlsSource,
    /// How long sessions live, and who needs a second factor.
    pub sessions: SessionRules,
    /// How long each class of data is kept.
    pub retention: clinic::retention::Terms,
    /// Seals what belongs to accounts.
    pub accounts_key: BoxKey,
    /// The proxies whose `X-Forwarded-For` is believed; nobody's, if there is none.
    pub trusted_proxies: Vec<Network>,
    /// Workstations.
    pub desk: DeskSettings,
    /// The till.
    pub till: TillSettings,
}

/// What pages of the till are told.
#[derive(Debug, Clone)]
pub struct TillSettings {
    /// How the clinic keeps its till.
    pub rules: clinic::till::Rules,
    /// What stands on papers.
    pub papers: crate::papers::PaperSettings,
    /// The card terminals at the cash desks; none: the numbers of slips are typed.
    pub terminals: Vec<Arc<dyn clinic::till::terminal::Terminal>>,
    /// Payment services that tell of payments.
    pub services: Vec<clinic::till::inbound::PaymentService>,
}

impl TillSettings {
    /// A till in a currency, with careful rules and nothing attached.
    pub fn of(currency: domain::Currency) -> Self {
        Self {
            rules: clinic::till::Rules::of(currency),
            papers: crate::papers::PaperSettings::default(),
            terminals: Vec::new(),
            services: Vec::new(),
        }
    }
}

impl Default for TillSettings {
    fn default() -> Self {
        Self::of(domain::Currency::default())
    }
}

/// What pages of workstations are told.
#[derive(Clone, Default)]
pub struct DeskSettings {
    /// How bindings behave: the same as the bridge's.
    pub rules: clinic::desk::Rules,
    /// How visits behave: the same as the bridge's.
    pub visits: domain::visit::Rules,
    /// How work without the card behaves: the same as the bridge's.
    pub irregular: clinic::irregular::Settings,
    /// Reads a line of a desktop reader that is plugged into the doctor's own computer; `None`: the page does not offer
    /// it.
    pub reader: Option<DeskReader>,
    /// Links that open the medical system.
    pub launches: Vec<Launch>,
    /// How what other systems tell by the HTTP API and on the page of feeds is taken; `None`: nothing is taken there.
    pub feeds: Option<FeedSetup>,
    /// How the FHIRcast hub works; `None`: there is none.
    pub fhircast: Option<clinic::fhircast::Settings>,
    /// Sign-in to other systems by card; `None`: there is none.
    pub openid: Option<clinic::openid::Rules>,
}

impl fmt::Debug for DeskSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeskSettings")
            .field("rules", &self.rules)
            .field("visits", &self.visits)
            .field("irregular", &self.irregular)
            .field("reader", &self.reader.is_some())
            .field("launches", &self.launches)
            .field("feeds", &self.feeds.is_some())
            .field("fhircast", &self.fhircast)
            .field("openid", &self.openid)
            .finish()
    }
}

/// What taking from other systems needs.
#[derive(Debug, Clone)]
pub struct FeedSetup {
    /// The site's keys, as for an import.
    pub keys: clinic::feeds::SiteKeys,
    /// How feeds are taken: the same as the bridge's.
    pub settings: clinic::feeds::Settings,
}

/// Reads one line of a desktop reader: the card's pseudonym, or `None` for what is no card.
pub type DeskReader = Arc<dyn Fn(&str) -> Option<CardId> + Send + Sync>;

/// A link that opens the medical system from a workstation's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Its name for people.
    pub name: String,
    /// Where it leads: an address that begins with `https://`, or `http://` on the same computer. It holds no secret.
    pub url: String,
}

/// Where the TLS certificate and its key come from.
#[derive(Debug, Clone)]
pub enum TlsSource {
    /// Made at the first start and kept in this folder as `certificate.pem` and `key.pem` (mode 0600). `names` are
    /// added to `localhost`, `127.0.0.1`, `::1` and the computer's own name.
    Own {
        /// The folder; made if missing.
        folder: PathBuf,
        /// Further names and addresses by which browsers reach this computer.
        names: Vec<String>,
    },
    /// Given files, PEM.
    Files {
        /// The certificate, followed by its chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}
