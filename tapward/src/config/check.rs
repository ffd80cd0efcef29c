//! Gives the configuration file its meaning, and says everything that is wrong with it at once. Here: the whole, and
//! what programs are told; in [`layout`] who may go where, in [`wiring`] lines and readers, in [`peers`] what is joined
//! by network, in [`trust`] sign-in, vault, audit log and mail.

mod exchange;
mod layout;
mod peers;
mod till;
mod trust;
mod wiring;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveDate;
use domain::ids::{Direction, GatewayId, SiteId};
use gateway::settings::GatewaySettings;
use toml::Spanned;
use zeroize::Zeroizing;

use super::error::{Fault, hint, line_of};
use super::file::File;
use super::{BusSettings, Config, DashboardSettings};

/// Checks `file`, whose text is `text` and which stands in `folder`.
pub fn check(text: &str, file: &File, folder: &Path, today: NaiveDate) -> Result<Config, Vec<Fault>> {
    let mut checker = Checker { text, folder, today, faults: Vec::new() };
    let config = checker.config(file);
    checker.faults.sort_by_key(|fault| fault.line);
    match (config, checker.faults.is_empty()) {
        (Some(config), true) => Ok(config),
        _ => Err(checker.faults),
    }
}

struct Checker<'a> {
    text: &'a str,
    folder: &'a Path,
    today: NaiveDate,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn fault<T>(&mut self, at: &Spanned<T>, key: &str, what: impl Into<String>) {
        let line = line_of(self.text, &at.span());
        self.faults.push(Fault { line, key: key.to_owned(), what: what.into() });
    }

    /// Parses a value, or records why it cannot be.
    fn parse<T: FromStr>(&mut self, value: &Spanned<String>, key: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match value.get_ref().parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fault(value, key, format!("\"{}\": {error}", value.get_ref()));
                None
            }
        }
    }

    /// One of a few words; `default` when nothing is written.
    fn word<T: Copy>(
        &mut self,
        value: Option<&Spanned<String>>,
        key: &str,
        words: &[(&str, T)],
        default: Option<T>,
    ) -> Option<T> {
        let Some(value) = value else { return default };
        let text = value.get_ref().as_str();
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let valid: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = hint(text, valid.iter().copied());
        self.fault(value, key, format!("\"{text}\" is not one of: {}{near}", valid.join(", ")));
        None
    }

    fn number(
        &mut self,
        value: Option<&Spanned<u64>>,
        key: &str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(value) = value else { return default };
        let number = *value.get_ref();
        if !range.contains(&number) {
            self.fault(value, key, format!("{number} is not between {} and {}", range.start(), range.end()));
        }
        number
    }

    fn path(&self, value: &Spanned<String>) -> PathBuf {
        self.folder.join(value.get_ref())
    }

    fn config(&mut self, file: &File) -> Option<Config> {
        let site = self.parse::<SiteId>(&file.site.id, "site.id");
        let time_zone = self.time_zone(&file.site.time_zone);
        let gateway = match &file.gateway.id {
            Some(id) => self.parse::<GatewayId>(id, "gateway.id"),
            None => site.as_ref().and_then(|site| GatewayId::new(&format!("{}-gw", site.as_str())).ok()),
        };
        let layout = self.layout(file);
        let wiring = self.wiring(file);
        let acs_link = self.acs_link(file, gateway.as_ref().map(GatewayId::as_str));
        let push = self.push(file);
        let data = self.path(&file.data.folder);
        let bus = self.bus(file);
        let dashboard = self.dashboard(file);
        let database = self.database(file, &data);
        let accounts = self.accounts(file);
        let vault = self.vault(file, &data);
        let audit = self.audit(file);
        let retention = self.retention(&file.retention);
        let desk = self.desk(&file.desk);
        let (visits, irregular) = (self.visits(&file.visits), self.irregular(&file.visits));
        let web_reader = self.web_reader(&file.desk);
        let till = self.till(&file.till, irregular);
        let exchange = self.exchange(file, time_zone);
        let mail = file.mail.as_ref().map(|mail| self.mail(mail));
        let stall = self.number(file.gateway.journal_stall_ms.as_ref(), "gateway.journal_stall_ms", 50..=5000, 250);
        let stale = self.number(file.gateway.stale_after_ms.as_ref(), "gateway.stale_after_ms", 500..=60_000, 3000);
        let age = file.gateway.policy_max_age_h.as_ref();
        let policy_max_age =
            age.map(|_| Duration::from_secs(3600 * self.number(age, "gateway.policy_max_age_h", 1..=8760, 24)));
        let wrong_pins = self.number(file.gateway.wrong_pins.as_ref(), "gateway.wrong_pins", 1..=20, 3);
        let pin_lock = self.number(file.gateway.pin_lock_s.as_ref(), "gateway.pin_lock_s", 10..=86_400, 300);
        Some(Config {
            gateway: GatewaySettings {
                site: site?,
                gateway: gateway?,
                points: wiring.points,
                lines: wiring.lines,
                peers: wiring.peers,
                acs_link,
                push,
                journal_stall: Duration::from_millis(stall),
                stale_after: Duration::from_millis(stale),
                policy_max_age,
                wrong_pins: u8::try_from(wrong_pins).unwrap_or(3),
                pin_lock: Duration::from_secs(pin_lock),
            },
            time_zone: time_zone?,
            layout: layout?,
            data,
            database: database?,
            bus: bus?,
            dashboard: dashboard?,
            accounts: accounts?,
            vault: vault?,
            audit,
            retention,
            desk: desk?,
            visits: visits?,
            irregular,
            web_reader: web_reader?,
            till: till?,
            exchange: exchange?,
            mail: match mail {
                Some(mail) => Some(mail?),
                None => None,
            },
        })
    }

    fn time_zone(&mut self, value: &Spanned<String>) -> Option<chrono_tz::Tz> {
        let name = value.get_ref();
        let zone = name.parse().ok();
        if zone.is_none() {
            let near = hint(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            self.fault(value, "site.time_zone", format!("\"{name}\" is no IANA time zone such as Europe/Kyiv{near}"));
        }
        zone
    }

    // ---- programs ----

    fn database(&mut self, file: &File, data: &Path) -> Option<String> {
        match (&file.database.url, &file.database.url_file) {
            (None, None) => Some(format!("sqlite:{}", data.join("tapward.db").display())),
            (Some(url), None) => {
                let text = url.get_ref();
                if !(text.starts_with("sqlite:")
                    || text.starts_with("postgres://")
                    || text.starts_with("postgresql://"))
                {
                    self.fault(url, "database.url", "write \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"");
                    return None;
                }
                Some(match text.strip_prefix("sqlite:") {
                    Some(path) => format!("sqlite:{}", self.folder.join(path).display()),
                    None => text.clone(),
                })
            }
            (None, Some(name)) => match read_secret(&self.path(name)) {
                Ok(url) => Some(url.trim().to_owned()),
                Err(what) => {
                    self.fault(name, "database.url_file", what);
                    None
                }
            },
            (Some(_), Some(name)) => {
                self.fault(
                    name,
                    "database.url_file",
                    "write either url or url_file (for addresses that hold a password), not both",
                );
                None
            }
        }
    }

    fn bus(&mut self, file: &File) -> Option<Option<BusSettings>> {
        let Some(url) = &file.bus.url else { return Some(None) };
        let text = url.get_ref();
        let (tls, address) = match (text.strip_prefix("mqtts://"), text.strip_prefix("mqtt://")) {
            (Some(address), _) => (true, address),
            (_, Some(address)) => (false, address),
            _ => {
                self.fault(
                    url,
                    "bus.url",
                    "write \"mqtts://HOST:PORT\", or \"mqtt://127.0.0.1:PORT\" for a broker on this machine",
                );
                return None;
            }
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().ok()),
            None => (address, Some(if tls { 8883 } else { 1883 })),
        };
        let Some(port) = port.filter(|_| !host.is_empty()) else {
            self.fault(url, "bus.url", format!("\"{text}\" needs a host and a port"));
            return None;
        };
        let Some(command_key) = &file.bus.command_key else {
            self.fault(url, "bus.command_key", "programs that run apart sign what they send down to doors: write command_key = \"file:keys/bus\" (64 hexadecimal digits, mode 0600)");
            return None;
        };
        let key_path = self.folder.join(command_key.get_ref().trim_start_matches("file:"));
        let secret = match read_secret(&key_path).and_then(|text| {
            parse_key32(text.trim())
                .ok_or_else(|| format!("{} does not hold 64 hexadecimal digits", key_path.display()))
        }) {
            Ok(secret) => secret,
            Err(what) => {
                self.fault(command_key, "bus.command_key", what);
                return None;
            }
        };
        let path = |value: &Option<Spanned<String>>| value.as_ref().map(|value| self.folder.join(value.get_ref()));
        Some(Some(BusSettings {
            host: host.to_owned(),
            port,
            tls,
            ca: path(&file.bus.ca),
            cert: path(&file.bus.cert),
            key: path(&file.bus.key),
            command_key: Zeroizing::new(secret),
        }))
    }

    fn dashboard(&mut self, file: &File) -> Option<DashboardSettings> {
        let listen = match &file.dashboard.listen {
            None => SocketAddr::from(([127, 0, 0, 1], 8443)),
            Some(value) => match value.get_ref().parse() {
                Ok(listen) => listen,
                Err(_) => {
                    self.fault(
                        value,
                        "dashboard.listen",
                        format!("\"{}\" is no address and port such as 127.0.0.1:8443", value.get_ref()),
                    );
                    return None;
                }
            },
        };
        let language = self.word(
            file.dashboard.language.as_ref(),
            "dashboard.language",
            &[("en", "en"), ("ru", "ru")],
            Some("en"),
        )?;
        let certificate = match (&file.dashboard.cert, &file.dashboard.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((self.path(cert), self.path(key))),
            (Some(one), None) | (None, Some(one)) => {
                self.fault(one, "dashboard.cert", "a certificate needs both cert and key");
                return None;
            }
        };
        let trusted_proxies = self.trusted_proxies(&file.dashboard);
        Some(DashboardSettings { listen, language: language.to_owned(), certificate, trusted_proxies })
    }
}

const DIRECTIONS: [(&str, Direction); 2] = [("in", Direction::In), ("out", Direction::Out)];

/// Reads a file that only its owner may read.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("{shown} may be read by others (mode {mode:04o}): chmod 600 {shown}"));
    }
    if meta.len() > 4096 {
        return Err(format!("{shown} is too large for a key ({} bytes)", meta.len()));
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| format!("cannot read {shown}: {error}"))
}

/// 64 hexadecimal digits.
pub fn parse_key32(text: &str) -> Option<[u8; 32]> {
    let (left, right) = text.split_at_checked(32)?;
    let half = |digits: &str| digits.parse::<domain::CardId>().ok().map(|id| id.0);
    let mut key = [0; 32];
    key[..16].copy_from_slice(&half(left)?);
    key[16..].copy_from_slice(&half(right)?);
    Some(key)
}
