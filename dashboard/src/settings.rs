//! What the dashboard is told at its start.

use std::path::PathBuf;

use chrono_tz::Tz;
use clinic::accounts::SessionRules;
use domain::vault::BoxKey;
use domain::{Network, SiteId};

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
