//! The configuration: where it is, what it says, what is wrong with it.

mod check;
mod error;
pub mod exchange;
mod file;
pub mod till;
pub mod trust;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use domain::policy::Layout;
use gateway::settings::GatewaySettings;
use zeroize::Zeroizing;

pub use check::{parse_key32, read_secret};
pub use error::{ConfigError, Fault, hint};

/// A configuration to start from; every key explained.
pub const DEFAULT: &str = include_str!("default.toml");
/// Largest configuration file: a clinic of 2,000 readers needs about 400 KB.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// What `tapward` was told.
#[derive(Debug)]
pub struct Config {
    /// Lines, readers, doors.
    pub gateway: GatewaySettings,
    /// The clinic's zone; every time shown is in it.
    pub time_zone: chrono_tz::Tz,
    /// Zones, schedules, rules.
    pub layout: Layout,
    /// Where files are kept.
    pub data: PathBuf,
    /// `sqlite:PATH` or `postgres://…`. May hold a password: never shown.
    pub database: String,
    /// The broker, when programs run apart.
    pub bus: Option<BusSettings>,
    /// The pages.
    pub dashboard: DashboardSettings,
    /// Signing in.
    pub accounts: trust::AccountSettings,
    /// The identity vault.
    pub vault: trust::VaultSettings,
    /// The audit log.
    pub audit: trust::AuditSettings,
    /// How long what is kept.
    pub retention: clinic::retention::Terms,
    /// How workstations behave.
    pub desk: clinic::desk::Rules,
    /// How visits behave.
    pub visits: domain::visit::Rules,
    /// How work without the card behaves.
    pub irregular: clinic::irregular::Settings,
    /// How lines of readers are read that are plugged into doctors' own computers.
    pub web_reader: Option<(wire::ascii::Profile, wire::ascii::IdentityRule)>,
    /// The till.
    pub till: till::TillSettings,
    /// Other systems.
    pub exchange: exchange::ExchangeSettings,
    /// The server for e-mail notices.
    pub mail: Option<trust::MailSettings>,
}

/// The broker.
#[derive(Clone)]
pub struct BusSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is encrypted; required unless the broker is on this machine.
    pub tls: bool,
    /// The authority that signed the broker's certificate.
    pub ca: Option<PathBuf>,
    /// This program's certificate.
    pub cert: Option<PathBuf>,
    /// And its key.
    pub key: Option<PathBuf>,
    /// What commands and policies are signed with.
    pub command_key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for BusSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BusSettings({}:{}, tls={})", self.host, self.port, self.tls)
    }
}

/// The pages.
#[derive(Debug, Clone)]
pub struct DashboardSettings {
    /// Where they listen.
    pub listen: SocketAddr,
    /// Language before sign-in.
    pub language: String,
    /// Certificate and key files; made at first start if not given.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Proxies whose word about a visitor's address is believed.
    pub trusted_proxies: Vec<domain::network::Network>,
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Everything wrong with it, each with its line and key.
pub fn load(path: &Path, today: NaiveDate) -> Result<Config, ConfigError> {
    let whole =
        |what: String| ConfigError { file: path.to_owned(), faults: vec![Fault { line: 0, key: String::new(), what }] };
    let meta = std::fs::metadata(path).map_err(|error| {
        whole(format!("cannot be read: {error}. Write one: tapward config default > {}", path.display()))
    })?;
    if meta.len() > FILE_MAX_BYTES {
        return Err(whole(format!("is larger than {FILE_MAX_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| whole(format!("cannot be read: {error}")))?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    parse(&text, &folder, today).map_err(|faults| ConfigError { file: path.to_owned(), faults })
}

/// Checks a configuration's text; relative paths are taken from `folder`.
///
/// # Errors
/// Everything wrong with it.
pub fn parse(text: &str, folder: &Path, today: NaiveDate) -> Result<Config, Vec<Fault>> {
    let file = toml::from_str(text).map_err(|error| vec![error::from_toml(text, &error)])?;
    check::check(text, &file, folder, today)
}

#[cfg(test)]
mod tests;
