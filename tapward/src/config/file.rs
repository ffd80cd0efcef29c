//! The shape of the configuration file, exactly as it is written. Meaning is given to it in [`super::check`].

mod exchange;
mod till;

use serde::Deserialize;
use toml::Spanned;

pub use exchange::{Desk, Feeds, Hl7, Hl7Sender, Identity, System, Visits};
pub use till::{PaymentService, Terminal, Till};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub site: Site,
    pub data: Data,
    #[serde(default)]
    pub database: Database,
    #[serde(default)]
    pub gateway: Gateway,
    #[serde(default)]
    pub bus: Bus,
    #[serde(default)]
    pub dashboard: Dashboard,
    #[serde(default)]
    pub accounts: Accounts,
    #[serde(default)]
    pub vault: Vault,
    #[serde(default)]
    pub audit: Audit,
    pub mail: Option<Mail>,
    #[serde(default)]
    pub desk: Desk,
    #[serde(default)]
    pub visits: Visits,
    #[serde(default)]
    pub till: Till,
    #[serde(default)]
    pub identity: Identity,
    #[serde(default)]
    pub feeds: Feeds,
    #[serde(default)]
    pub system: Vec<System>,
    #[serde(default)]
    pub hl7: Hl7,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub zone: Vec<Zone>,
    #[serde(default)]
    pub schedule: Vec<Schedule>,
    #[serde(default)]
    pub holiday: Vec<Holiday>,
    #[serde(default)]
    pub rule: Vec<Rule>,
    #[serde(default)]
    pub point: Vec<Point>,
    #[serde(default)]
    pub line: Vec<Line>,
    #[serde(default)]
    pub acs_link: AcsLink,
    #[serde(default)]
    pub push: Push,
    #[serde(default)]
    pub peer: Vec<Peer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub id: Spanned<String>,
    pub time_zone: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub folder: Spanned<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: Option<Spanned<String>>,
    pub url_file: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub id: Option<Spanned<String>>,
    pub journal_stall_ms: Option<Spanned<u64>>,
    pub stale_after_ms: Option<Spanned<u64>>,
    pub policy_max_age_h: Option<Spanned<u64>>,
    pub wrong_pins: Option<Spanned<u64>>,
    pub pin_lock_s: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    pub url: Option<Spanned<String>>,
    pub ca: Option<Spanned<String>>,
    pub cert: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub command_key: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    pub listen: Option<Spanned<String>>,
    pub cert: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub language: Option<Spanned<String>>,
    #[serde(default)]
    pub trusted_proxies: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    pub second_factor: Option<Spanned<String>>,
    pub idle_min: Option<Spanned<u64>>,
    pub absolute_h: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    pub mode: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub passphrase_file: Option<Spanned<String>>,
    pub shredded_copy: Option<Spanned<String>>,
    pub photos: Option<Spanned<String>>,
    pub s3_endpoint: Option<Spanned<String>>,
    pub s3_region: Option<Spanned<String>>,
    pub s3_key_id: Option<Spanned<String>>,
    pub s3_secret_file: Option<Spanned<String>>,
    pub s3_ca: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    #[serde(default)]
    pub heads: Vec<Spanned<String>>,
    pub every_min: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub sessions: Option<Spanned<u64>>,
    pub links: Option<Spanned<u64>>,
    pub throttle: Option<Spanned<u64>>,
    pub notices: Option<Spanned<u64>>,
    pub api_keys: Option<Spanned<u64>>,
    pub orders: Option<Spanned<u64>>,
    pub presence: Option<Spanned<u64>>,
    pub events: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    pub server: Spanned<String>,
    pub port: Option<Spanned<u64>>,
    pub security: Option<Spanned<String>>,
    pub from: Spanned<String>,
    pub user: Option<Spanned<String>>,
    pub password_file: Option<Spanned<String>>,
    pub ca: Option<Spanned<String>>,
    pub address: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    pub id: Spanned<String>,
    pub inside: Option<Spanned<String>>,
    pub outside: Option<Spanned<bool>>,
    pub capacity: Option<Spanned<u64>>,
    pub anti_passback: Option<Spanned<String>>,
    pub needs_purpose: Option<Spanned<bool>>,
    #[serde(default)]
    pub needs: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    pub id: Spanned<String>,
    pub hours: Vec<Spanned<String>>,
    pub holidays: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    pub date: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: Option<Spanned<String>>,
    pub effect: Option<Spanned<String>>,
    #[serde(default)]
    pub categories: Vec<Spanned<String>>,
    #[serde(default)]
    pub kinds: Vec<Spanned<String>>,
    pub zone: Option<Spanned<String>>,
    pub direction: Option<Spanned<String>>,
    pub schedule: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    pub id: Spanned<String>,
    pub kind: Spanned<String>,
    pub from: Option<Spanned<String>>,
    pub to: Option<Spanned<String>>,
    pub mode: Option<Spanned<String>>,
    pub on_fault: Option<Spanned<String>>,
    pub release_ms: Option<Spanned<u64>>,
    pub held_ms: Option<Spanned<u64>>,
    pub verify: Option<Spanned<String>>,
    pub reuse_s: Option<Spanned<u64>>,
    pub output: Option<Spanned<u64>>,
    pub contact_input: Option<Spanned<u64>>,
    pub exit_input: Option<Spanned<u64>>,
    pub fire_input: Option<Spanned<u64>>,
    pub interlock: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub id: Spanned<String>,
    pub port: Spanned<String>,
    pub protocol: Spanned<String>,
    pub baud: Option<Spanned<u64>>,
    pub profile: Option<Spanned<String>>,
    pub pattern: Option<Spanned<String>>,
    pub number: Option<Spanned<String>>,
    #[serde(default)]
    pub reader: Vec<Reader>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    pub id: Spanned<String>,
    pub address: Option<Spanned<u64>>,
    pub key: Option<Spanned<String>>,
    pub insecure: Option<Spanned<String>>,
    pub point: Option<Spanned<String>>,
    pub direction: Option<Spanned<String>>,
    pub uid_order: Option<Spanned<String>>,
    pub offline_after_ms: Option<Spanned<u64>>,
    pub serial: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcsLink {
    pub listen: Option<Spanned<String>>,
    pub node: Option<Spanned<String>>,
    pub ca: Option<Spanned<String>>,
    pub cert: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    pub listen: Option<Spanned<String>>,
    pub address: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    pub id: Spanned<String>,
    pub protocol: Spanned<String>,
    pub cache: Option<Spanned<String>>,
    pub reports_passage: Option<Spanned<bool>>,
    pub node: Option<Spanned<String>>,
    pub connect: Option<Spanned<String>>,
    pub heartbeat_s: Option<Spanned<u64>>,
    pub url: Option<Spanned<String>>,
    pub user: Option<Spanned<String>>,
    pub password: Option<Spanned<String>>,
    pub events: Option<Spanned<String>>,
    pub online: Option<Spanned<bool>>,
    pub set_time: Option<Spanned<bool>>,
    pub card_form: Option<Spanned<String>>,
    pub certificate: Option<Spanned<String>>,
    pub domain: Option<Spanned<String>>,
    pub org_unit: Option<Spanned<String>>,
    pub subscribe: Option<Spanned<bool>>,
    pub verify: Option<Spanned<bool>>,
    pub poll_s: Option<Spanned<u64>>,
    pub access_group: Option<Spanned<String>>,
    pub visitors: Option<Spanned<bool>>,
    pub block_type: Option<Spanned<i32>>,
    pub verify_codes: Option<Spanned<Vec<u32>>>,
    pub subscribe_format: Option<Spanned<i32>>,
    pub subscribe_method: Option<Spanned<i32>>,
    pub commands: Option<Spanned<PeerCommands>>,
    #[serde(default)]
    pub reader: Vec<PeerReader>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerCommands {
    pub open: Option<i32>,
    pub normal: Option<i32>,
    pub lock: Option<i32>,
    pub free: Option<i32>,
    pub emergency: Option<i32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerReader {
    pub id: Spanned<String>,
    pub at: Spanned<String>,
    pub point: Option<Spanned<String>>,
    pub direction: Option<Spanned<String>>,
    pub uid_order: Option<Spanned<String>>,
}
