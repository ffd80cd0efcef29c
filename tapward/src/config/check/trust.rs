//! Sign-in, the identity vault, the audit log, mail.

use clinic::retention::Terms;
use clinic::vault::S3Place;
use domain::network::Network;
use mis_bridge::mail::{MailPassword, Security, SettingsError};
use toml::Spanned;
use zeroize::Zeroizing;

use super::{Checker, read_secret};
use crate::config::file::{Dashboard, File, Mail, Retention, Vault};
use crate::config::trust::{
    AccountSettings, AuditSettings, MailSettings, PhotoPlace, SecondFactor, VaultKey, VaultMode, VaultSettings,
};

const MINUTE_MS: i64 = 60_000;
/// Most second places for heads of the audit log.
const HEADS_MAX: usize = 8;
/// Most proxies.
const PROXIES_MAX: usize = 64;

impl Checker<'_> {
    pub(super) fn accounts(&mut self, file: &File) -> Option<AccountSettings> {
        let words =
            [("off", SecondFactor::Optional), ("roles", SecondFactor::Powerful), ("all", SecondFactor::Everybody)];
        let given = &file.accounts;
        let second_factor =
            self.word(given.second_factor.as_ref(), "accounts.second_factor", &words, Some(SecondFactor::Optional));
        let idle_min = self.number(given.idle_min.as_ref(), "accounts.idle_min", 1..=480, 15);
        let absolute_h = self.number(given.absolute_h.as_ref(), "accounts.absolute_h", 1..=24, 12);
        let in_ms = |count: u64, unit: i64| i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(unit);
        Some(AccountSettings {
            second_factor: second_factor?,
            idle_ms: in_ms(idle_min, MINUTE_MS),
            absolute_ms: in_ms(absolute_h, 60 * MINUTE_MS),
        })
    }

    pub(super) fn vault(&mut self, file: &File, data: &std::path::Path) -> Option<VaultSettings> {
        let given = &file.vault;
        let words = [("server", VaultMode::Server), ("workstation", VaultMode::Workstation)];
        let mode = self.word(given.mode.as_ref(), "vault.mode", &words, Some(VaultMode::Server));
        let key = self.vault_key(given);
        let photos = self.photos(given, data);
        let shredded_copy = given.shredded_copy.as_ref().map(|path| self.path(path));
        Some(VaultSettings { mode: mode?, key: key?, shredded_copy, photos: photos? })
    }

    fn vault_key(&mut self, given: &Vault) -> Option<VaultKey> {
        let passphrase = given.passphrase_file.as_ref().map(|path| self.path(path));
        let key = match &given.key {
            None => VaultKey::Own,
            Some(key) => match key.get_ref().as_str() {
                "passphrase" => return Some(VaultKey::Passphrase(passphrase)),
                text => match text.strip_prefix("file:") {
                    Some(path) => VaultKey::File(self.folder.join(path)),
                    None => {
                        self.fault(
                            key,
                            "vault.key",
                            "write \"file:PATH\" (it may be on a removable medium) or \"passphrase\"",
                        );
                        return None;
                    }
                },
            },
        };
        if let Some(path) = &given.passphrase_file {
            self.fault(path, "vault.passphrase_file", "belongs to key = \"passphrase\"");
            return None;
        }
        Some(key)
    }

    fn photos(&mut self, given: &Vault, data: &std::path::Path) -> Option<PhotoPlace> {
        let in_bucket =
            given.photos.as_ref().and_then(|photos| Some((photos, photos.get_ref().strip_prefix("s3://")?)));
        let Some((photos, place)) = in_bucket else {
            let only_s3 = [&given.s3_endpoint, &given.s3_region, &given.s3_key_id, &given.s3_secret_file, &given.s3_ca];
            if let Some(extra) = only_s3.into_iter().flatten().next() {
                self.fault(
                    extra,
                    "vault.s3_endpoint",
                    "keys that begin with s3_ belong to photos = \"s3://BUCKET/PREFIX\"",
                );
                return None;
            }
            let folder = given.photos.as_ref().map_or_else(|| data.join("photos"), |path| self.path(path));
            return Some(PhotoPlace::Folder(folder));
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b));
        if bucket.len() < 3 || !plain(place) || place.contains("..") {
            self.fault(
                photos,
                "vault.photos",
                "write s3://BUCKET or s3://BUCKET/PREFIX, with letters, digits and - . _ /",
            );
            return None;
        }
        let (Some(endpoint), Some(key_id), Some(secret)) =
            (&given.s3_endpoint, &given.s3_key_id, &given.s3_secret_file)
        else {
            self.fault(photos, "vault.photos", "a bucket needs s3_endpoint, s3_key_id and s3_secret_file");
            return None;
        };
        let url = endpoint.get_ref().trim_end_matches('/');
        let on_this_machine = url.starts_with("http://127.0.0.1:") || url.starts_with("http://[::1]:");
        if !(url.starts_with("https://") || on_this_machine) {
            self.fault(endpoint, "vault.s3_endpoint", "write https://HOST or https://HOST:PORT");
            return None;
        }
        let secret = match read_secret(&self.path(secret)) {
            Ok(text) => Zeroizing::new(text.trim().to_owned()),
            Err(what) => {
                self.fault(secret, "vault.s3_secret_file", what);
                return None;
            }
        };
        Some(PhotoPlace::S3(S3Place {
            endpoint: url.to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            region: given.s3_region.as_ref().map_or_else(|| "us-east-1".to_owned(), |region| region.get_ref().clone()),
            key_id: key_id.get_ref().clone(),
            secret,
            ca: given.s3_ca.as_ref().map(|path| self.path(path)),
        }))
    }

    pub(super) fn audit(&mut self, file: &File) -> AuditSettings {
        let given = &file.audit;
        if let Some(extra) = given.heads.get(HEADS_MAX) {
            self.fault(extra, "audit.heads", format!("more than {HEADS_MAX} places"));
        }
        AuditSettings {
            heads: given.heads.iter().map(|path| self.path(path)).collect(),
            every_min: self.number(given.every_min.as_ref(), "audit.every_min", 1..=1440, 10),
        }
    }

    pub(super) fn retention(&mut self, given: &Retention) -> Terms {
        let usual = Terms::default();
        let mut days = |value: Option<&Spanned<u64>>, key: &str, usual: Option<u32>| {
            let default = u64::from(usual.unwrap_or(0));
            // 36,500 days: a hundred years.
            let days = self.number(value, key, 0..=36_500, default);
            u32::try_from(days).ok().filter(|days| *days > 0)
        };
        Terms {
            sessions: days(given.sessions.as_ref(), "retention.sessions", usual.sessions),
            links: days(given.links.as_ref(), "retention.links", usual.links),
            throttle: days(given.throttle.as_ref(), "retention.throttle", usual.throttle),
            notices: days(given.notices.as_ref(), "retention.notices", usual.notices),
            api_keys: days(given.api_keys.as_ref(), "retention.api_keys", usual.api_keys),
            orders: days(given.orders.as_ref(), "retention.orders", usual.orders),
            presence: days(given.presence.as_ref(), "retention.presence", usual.presence),
            events: days(given.events.as_ref(), "retention.events", usual.events),
        }
    }

    pub(super) fn mail(&mut self, mail: &Mail) -> Option<MailSettings> {
        let words = [("starttls", Security::StartTls), ("tls", Security::Tls), ("plain", Security::Plain)];
        let security = self.word(mail.security.as_ref(), "mail.security", &words, Some(Security::StartTls))?;
        let usual: u16 = match security {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::Plain => 25,
        };
        let port = self.number(mail.port.as_ref(), "mail.port", 1..=65_535, u64::from(usual));
        let login = match (&mail.user, &mail.password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => match read_secret(&self.path(file)) {
                Ok(password) => Some((user.get_ref().clone(), MailPassword::new(&password))),
                Err(what) => {
                    self.fault(file, "mail.password_file", what);
                    None
                }
            },
            (Some(one), None) | (None, Some(one)) => {
                self.fault(one, "mail.user", "a login needs both user and password_file");
                None
            }
        };
        if let Some(address) = &mail.address
            && !address.get_ref().starts_with("https://")
        {
            let what = "write the address of the pages, such as https://tapward.clinic.example";
            self.fault(address, "mail.address", what);
        }
        let server = mis_bridge::mail::Settings {
            server: mail.server.get_ref().clone(),
            port: u16::try_from(port).unwrap_or(usual),
            security,
            login,
            from: mail.from.get_ref().clone(),
            authority: mail.ca.as_ref().map(|path| self.path(path)),
        };
        if let Err(problem) = server.check() {
            let (at, key) = match problem {
                SettingsError::From(_) => (&mail.from, "mail.from"),
                SettingsError::Clear(_) | SettingsError::ClearPassword => {
                    (mail.security.as_ref().unwrap_or(&mail.server), "mail.security")
                }
                SettingsError::Authority { .. } => (mail.ca.as_ref().unwrap_or(&mail.server), "mail.ca"),
                SettingsError::Server => (&mail.server, "mail.server"),
            };
            self.fault(at, key, problem.to_string());
        }
        let address = mail.address.as_ref().map(|address| address.get_ref().trim_end_matches('/').to_owned());
        Some(MailSettings { server, address })
    }

    pub(super) fn trusted_proxies(&mut self, given: &Dashboard) -> Vec<Network> {
        if let Some(extra) = given.trusted_proxies.get(PROXIES_MAX) {
            self.fault(extra, "dashboard.trusted_proxies", format!("more than {PROXIES_MAX} proxies"));
        }
        given.trusted_proxies.iter().filter_map(|value| self.parse(value, "dashboard.trusted_proxies")).collect()
    }
}
