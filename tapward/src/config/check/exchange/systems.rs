//! Systems that are told of visits or tell us something.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono_tz::Tz;
use clinic::jose::{Algorithm, SigningKey};
use domain::SiteId;
use mis_bridge::fhir::{Alias, ArrivalStatus, Auth, BackendKey, Charges, Lookup, LookupBy, StartedStatus};
use mis_bridge::hl7::{AckMode, Names, ReceiverSettings, SenderRule, SenderSettings, TlsClient, TlsServer};
use mis_bridge::http::{self, Identity, Roots};
use mis_bridge::{fhir, gnuhealth, webhook};
use toml::Spanned;
use url::Url;
use wire::hl7::Charset;
use wire::hl7::view::Party;
use zeroize::Zeroizing;

use super::Checker;
use crate::config::exchange::{SystemKind, SystemSettings};
use crate::config::file::{File, Hl7, Hl7Sender, System};
use crate::config::read_secret;

/// Most systems.
const SYSTEMS_MAX: usize = 64;
/// Largest file of certificates.
const PEM_MAX_BYTES: u64 = 1024 * 1024;
const CHARSETS: [(&str, Charset); 6] = [
    ("ascii", Charset::Ascii),
    ("utf-8", Charset::Utf8),
    ("8859-1", Charset::Latin1),
    ("8859-2", Charset::Latin2),
    ("8859-5", Charset::Cyrillic),
    ("windows-1251", Charset::Windows1251),
];

impl Checker<'_> {
    pub(super) fn systems(&mut self, file: &File, zone: Option<Tz>) -> Option<Vec<SystemSettings>> {
        if let Some(extra) = file.system.get(SYSTEMS_MAX) {
            self.fault(&extra.name, "system.name", format!("more than {SYSTEMS_MAX} systems"));
        }
        let site = file.site.id.get_ref().parse::<SiteId>().ok();
        let mut seen = BTreeSet::new();
        let mut made = Vec::new();
        for given in &file.system {
            if !seen.insert(given.name.get_ref().clone()) {
                self.fault(&given.name, "system.name", format!("system \"{}\" is named twice", given.name.get_ref()));
            }
            made.extend(self.system(given, site.clone(), zone));
        }
        Some(made)
    }

    fn system(&mut self, given: &System, site: Option<SiteId>, zone: Option<Tz>) -> Option<SystemSettings> {
        let name = self.source(&given.name, "system.name")?;
        let kinds = [("fhir", 0), ("hl7", 1), ("webhook", 2), ("gnuhealth", 3), ("fhircast", 4), ("csv", 5)];
        let kind = match self.word(Some(&given.kind), "system.kind", &kinds, None)? {
            0 => self.fhir(given, site?)?,
            1 => SystemKind::Hl7(Box::new(self.hl7_sender(given, zone?)?)),
            2 => SystemKind::Webhook(Box::new(self.webhook(given, site?)?)),
            3 => self.gnuhealth(given)?,
            4 => {
                let token = self.secret(given.token_file.as_ref(), "system.token_file")?;
                SystemKind::Fhircast { url: self.url(given)?, token, http: self.http(given)? }
            }
            _ => match &given.folder {
                Some(folder) => SystemKind::Csv(self.path(folder)),
                None => {
                    self.fault(
                        &given.name,
                        "system.folder",
                        "a system of the kind \"csv\" needs the folder of its lists",
                    );
                    return None;
                }
            },
        };
        let at_once = given.at_once.as_ref().map(|_| self.number(given.at_once.as_ref(), "system.at_once", 1..=64, 8));
        let attempts =
            given.attempts.as_ref().map(|_| self.number(given.attempts.as_ref(), "system.attempts", 1..=1000, 20));
        Some(SystemSettings {
            name,
            at_once: at_once.and_then(|count| usize::try_from(count).ok()),
            attempts: attempts.and_then(|count| u32::try_from(count).ok()),
            kind,
        })
    }

    fn url(&mut self, given: &System) -> Option<Url> {
        let Some(text) = &given.url else {
            self.fault(&given.name, "system.url", "a system of this kind needs its address");
            return None;
        };
        self.address(text, given.plain.as_ref().is_some_and(|it| *it.get_ref()), "system.url")
    }

    pub(in crate::config::check) fn address(&mut self, text: &Spanned<String>, plain: bool, key: &str) -> Option<Url> {
        let fault = match Url::parse(text.get_ref()) {
            Err(error) => error.to_string(),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "a name or password does not belong in the address".to_owned()
            }
            Ok(url) => match http::may_ask(&url, plain) {
                Ok(_) => return Some(url),
                Err(error) => error.to_string(),
            },
        };
        self.fault(text, key, fault);
        None
    }

    fn pem(&mut self, path: &Spanned<String>, key: &str) -> Option<Vec<u8>> {
        let at = self.path(path);
        let read = std::fs::metadata(&at).and_then(|found| match found.len() <= PEM_MAX_BYTES {
            true => std::fs::read(&at),
            false => Err(std::io::Error::other("the file is too large for certificates")),
        });
        match read {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.fault(path, key, format!("{} cannot be read: {error}", at.display()));
                None
            }
        }
    }

    /// The content of a file of mode 0600; `Some(None)` where none is named.
    #[expect(clippy::option_option, reason = "a fault, nothing named, or a secret")]
    pub(in crate::config::check) fn secret(
        &mut self,
        file: Option<&Spanned<String>>,
        key: &str,
    ) -> Option<Option<Zeroizing<String>>> {
        let Some(file) = file else { return Some(None) };
        match read_secret(&self.path(file)) {
            Ok(text) => Some(Some(Zeroizing::new(text.trim().to_owned()))),
            Err(what) => {
                self.fault(file, key, what);
                None
            }
        }
    }

    pub(in crate::config::check) fn roots(&mut self, ca: Option<&Spanned<String>>, key: &str) -> Option<Roots> {
        match ca {
            None => Some(Roots::Public),
            Some(path) => self.pem(path, key).map(Roots::Given),
        }
    }

    #[expect(clippy::option_option, reason = "a fault, nothing named, or an identity")]
    fn own_certificate(
        &mut self,
        cert: Option<&Spanned<String>>,
        key: Option<&Spanned<String>>,
        name: &str,
    ) -> Option<Option<Identity>> {
        match (cert, key) {
            (None, None) => Some(None),
            (Some(cert), Some(key)) => {
                let certificates = self.pem(cert, name)?;
                let key = self.secret(Some(key), name)??;
                Some(Some(Identity::new(certificates, Zeroizing::new(key.as_bytes().to_vec()))))
            }
            (Some(alone), None) | (None, Some(alone)) => {
                self.fault(alone, name, "cert and key belong together");
                None
            }
        }
    }

    fn http(&mut self, given: &System) -> Option<http::Settings> {
        let roots = self.roots(given.ca.as_ref(), "system.ca")?;
        let identity = self.own_certificate(given.cert.as_ref(), given.key.as_ref(), "system.cert")?;
        let plain = given.plain.as_ref().is_some_and(|it| *it.get_ref());
        Some(http::Settings { roots, identity, plain, ..http::Settings::default() })
    }

    fn fhir(&mut self, given: &System, site: SiteId) -> Option<SystemKind> {
        let mut settings = fhir::Settings::new(self.url(given)?, site);
        settings.http = self.http(given)?;
        settings.auth = self.fhir_auth(given)?;
        let alias = |value: Option<&Spanned<String>>| match value.map(|it| it.get_ref().as_str()) {
            None | Some("id") => Alias::Id,
            Some(system) => Alias::Identifier(system.to_owned()),
        };
        settings.patients = alias(given.patients.as_ref());
        settings.staff = alias(given.staff.as_ref());
        if let (Some(of), Some(system)) = (&given.lookup, &given.lookup_system) {
            let words: Vec<_> = LookupBy::ALL.iter().map(|it| (it.as_str(), *it)).collect();
            let by = self.word(given.lookup_by.as_ref(), "system.lookup_by", &words, Some(LookupBy::Search))?;
            let (alias_of, identifier) = (of.get_ref().clone(), system.get_ref().clone());
            settings.lookups.push(Lookup { alias_of, identifier, by });
        }
        let words: Vec<_> = StartedStatus::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        settings.started = self.word(given.started.as_ref(), "system.started", &words, Some(settings.started))?;
        let words: Vec<_> = ArrivalStatus::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        settings.arrival = self.word(given.arrival.as_ref(), "system.arrival", &words, Some(settings.arrival))?;
        settings.audit = given.audit_events.as_ref().is_some_and(|it| *it.get_ref());
        settings.appointments = Some(given.name.get_ref().clone());
        let words = [("where_taken", Charges::WhereTaken), ("always", Charges::Always), ("never", Charges::Never)];
        settings.charges = self.word(given.charges.as_ref(), "system.charges", &words, Some(settings.charges))?;
        if let Some(system) = &given.charge_system {
            settings.charge_system = system.get_ref().clone();
        }
        if let Some(system) = &given.service_system {
            settings.service_system = system.get_ref().clone();
        }
        settings.language = language(given, settings.language);
        let every = self.number(given.read_every_s.as_ref(), "system.read_every_s", 1..=86_400, 30);
        let is_told = given.tell.as_ref().is_none_or(|it| *it.get_ref());
        let is_read = given.read.as_ref().is_some_and(|it| *it.get_ref());
        Some(SystemKind::Fhir {
            read: is_read.then(|| (Box::new(settings.clone()), Duration::from_secs(every))),
            tell: is_told.then(|| Box::new(settings)),
        })
    }

    fn fhir_auth(&mut self, given: &System) -> Option<Auth> {
        let words = [("none", 0), ("basic", 1), ("bearer", 2), ("smart", 3)];
        let kind = self.word(given.auth.as_ref(), "system.auth", &words, Some(0))?;
        let auth = match kind {
            0 => return Some(Auth::None),
            1 => {
                let password = self.secret(given.password_file.as_ref(), "system.password_file")?;
                given
                    .user
                    .as_ref()
                    .zip(password)
                    .map(|(user, password)| Auth::Basic { user: user.get_ref().clone(), password })
            }
            2 => self.secret(given.token_file.as_ref(), "system.token_file")?.map(Auth::Bearer),
            _ => self.fhir_backend(given)?,
        };
        if auth.is_none()
            && let Some(at) = &given.auth
        {
            let what = "\"basic\" needs user and password_file, \"bearer\" token_file, \"smart\" token_url, client_id, scope \
                        and signing_key";
            self.fault(at, "system.auth", what);
        }
        auth
    }

    #[expect(clippy::option_option, reason = "a fault, something missing, or a way in")]
    fn fhir_backend(&mut self, given: &System) -> Option<Option<Auth>> {
        let (Some(url), Some(client), Some(scope), Some(file)) =
            (&given.token_url, &given.client_id, &given.scope, &given.signing_key)
        else {
            return Some(None);
        };
        let plain = given.plain.as_ref().is_some_and(|it| *it.get_ref());
        let token_url = self.address(url, plain, "system.token_url")?;
        let text = self.secret(Some(file), "system.signing_key")??;
        let mut key = None;
        for algorithm in [Algorithm::Es384, Algorithm::Es256, Algorithm::Rs384] {
            key = key.or_else(|| SigningKey::from_pkcs8(algorithm, &der_of(&text)?).ok());
        }
        let Some(mut key) = key else {
            let what = "is no private key as PKCS#8 PEM: EC P-384 or P-256, or RSA of 2048 to 4096 bits";
            self.fault(file, "system.signing_key", what);
            return None;
        };
        if let Some(id) = &given.signing_key_id {
            key = key.known_as(id.get_ref());
        }
        let (client_id, scope) = (client.get_ref().clone(), scope.get_ref().clone());
        Some(Some(Auth::Backend { token_url, client_id, scope, key: BackendKey::new(key) }))
    }

    fn webhook(&mut self, given: &System, site: SiteId) -> Option<webhook::Settings> {
        let (url, http) = (self.url(given)?, self.http(given)?);
        let mut secrets = Vec::new();
        for file in &given.secret_files {
            let text = self.secret(Some(file), "system.secret_files")??;
            match webhook::Secret::parse(&text) {
                Ok(secret) => secrets.push(secret),
                Err(error) => self.fault(file, "system.secret_files", error.to_string()),
            }
        }
        if secrets.is_empty() || secrets.len() > 2 {
            self.fault(&given.name, "system.secret_files", "a webhook needs one secret, or two while one is changed");
            return None;
        }
        Some(webhook::Settings { url, secrets, http, site })
    }

    /// Whether a system that cannot be asked is told charges.
    fn tells_charges(&mut self, given: &System) -> Option<bool> {
        self.word(given.charges.as_ref(), "system.charges", &[("always", true), ("never", false)], Some(true))
    }

    fn gnuhealth(&mut self, given: &System) -> Option<SystemKind> {
        let (url, http) = (self.url(given)?, self.http(given)?);
        let Some(database) = &given.database else {
            self.fault(&given.name, "system.database", "GNU Health needs the name of its database");
            return None;
        };
        let every = self.number(given.read_every_s.as_ref(), "system.read_every_s", 1..=86_400, 10);
        let read = given
            .login
            .as_ref()
            .map(|login| gnuhealth::FeedSettings { login: login.get_ref().clone(), every: Duration::from_secs(every) });
        let invoices = self.invoices(given)?;
        let settings = gnuhealth::Settings {
            name: given.name.get_ref().clone(),
            url,
            database: database.get_ref().clone(),
            service: given.service.as_ref().map(|code| code.get_ref().clone()),
            charges: self.tells_charges(given)?,
            language: language(given, "en".to_owned()),
            invoices,
        };
        Some(SystemKind::GnuHealth { settings, http, read })
    }

    /// As whom invoices are made in GNU Health, if they are.
    #[expect(clippy::option_option, reason = "a fault, no invoices, or a user")]
    fn invoices(&mut self, given: &System) -> Option<Option<String>> {
        let words = [("never", false), ("when_paid", true)];
        if !self.word(given.invoices.as_ref(), "system.invoices", &words, Some(false))? {
            return Some(None);
        }
        let at = given.invoices.as_ref().unwrap_or(&given.name);
        let is_told = given.charges.as_ref().is_none_or(|word| word.get_ref() == "always");
        let what = match (&given.login, &given.service) {
            _ if !is_told => "invoices are made of charges, which this system is not told (charges = \"never\")",
            (None, _) => "invoices are made by the user named as login; name one",
            (_, Some(_)) => {
                "with service each visit has a line that nobody pays at the till, and no invoice is ever complete"
            }
            (Some(login), None) => return Some(Some(login.get_ref().clone())),
        };
        self.fault(at, "system.invoices", what);
        None
    }

    fn hl7_sender(&mut self, given: &System, zone: Tz) -> Option<SenderSettings> {
        let (Some(host), Some(port)) = (&given.host, &given.port) else {
            self.fault(&given.name, "system.host", "a system of the kind \"hl7\" needs host and port");
            return None;
        };
        let number = self.number(Some(port), "system.port", 1..=65_535, 2575);
        let port = u16::try_from(number).ok()?;
        let mut made = SenderSettings::new(given.name.get_ref(), host.get_ref(), port, zone);
        made.plain = given.plain.as_ref().is_some_and(|it| *it.get_ref());
        if given.ca.is_some() || given.cert.is_some() {
            let roots = self.roots(given.ca.as_ref(), "system.ca")?;
            let identity = self.own_certificate(given.cert.as_ref(), given.key.as_ref(), "system.cert")?;
            made.tls = Some(TlsClient { roots, identity });
        }
        let named = |value: &Option<Spanned<String>>, usual: Party| {
            value.as_ref().map_or(usual, |text| Party::named(text.get_ref()))
        };
        made.application = named(&given.application, made.application);
        made.facility = named(&given.facility, made.facility);
        made.to_application = named(&given.to_application, made.to_application);
        made.to_facility = named(&given.to_facility, made.to_facility);
        made.authority = given.authority.as_ref().map(|text| text.get_ref().clone()).unwrap_or_default();
        made.charset = self.word(given.charset.as_ref(), "system.charset", &CHARSETS, Some(Charset::Utf8))?;
        let modes =
            [("original", AckMode::Original), ("commit", AckMode::Commit), ("result", AckMode::CommitAndResult)];
        made.mode = self.word(given.acknowledge.as_ref(), "system.acknowledge", &modes, Some(AckMode::Original))?;
        made.names = match given.names.as_ref().is_some_and(|it| *it.get_ref()) {
            true => Names::Told,
            false => Names::Pseudonym,
        };
        made.charges = self.tells_charges(given)?;
        made.payments = given.payments.as_ref().is_some_and(|it| *it.get_ref());
        if let Some(system) = &given.service_system {
            made.services = system.get_ref().clone();
        }
        made.language = language(given, made.language);
        made.processing = if given.test.as_ref().is_some_and(|it| *it.get_ref()) { 'T' } else { 'P' };
        if let Err(error) = made.check() {
            self.fault(host, "system.host", error.to_string());
            return None;
        }
        Some(made)
    }

    /// Where HL7 is taken; `Some(None)`: nowhere.
    #[expect(clippy::option_option, reason = "a fault, no listener, or one")]
    pub(super) fn hl7_listener(&mut self, given: &Hl7, zone: Option<Tz>) -> Option<Option<ReceiverSettings>> {
        let Some(listen) = &given.listen else {
            if let Some(sender) = given.sender.first() {
                self.fault(&sender.name, "hl7.listen", "senders of HL7 need an address where it is taken");
            }
            return Some(None);
        };
        let mut made = ReceiverSettings::new(self.parse(listen, "hl7.listen")?, zone?);
        made.plain = given.plain.as_ref().is_some_and(|it| *it.get_ref());
        let connections = self.number(given.connections.as_ref(), "hl7.connections", 1..=10_000, 64);
        made.connections_max = usize::try_from(connections).unwrap_or(64);
        match (self.own_certificate(given.cert.as_ref(), given.key.as_ref(), "hl7.cert")?, &given.clients_ca) {
            (Some(identity), Some(ca)) => {
                made.tls = Some(TlsServer { identity, clients: self.pem(ca, "hl7.clients_ca")? });
            }
            (None, None) => {}
            _ => self.fault(listen, "hl7.clients_ca", "TLS needs cert, key and clients_ca"),
        }
        for sender in &given.sender {
            made.senders.extend(self.hl7_rule(sender, zone?));
        }
        if let Err(error) = made.check() {
            self.fault(listen, "hl7.listen", error.to_string());
            return None;
        }
        Some(Some(made))
    }

    fn hl7_rule(&mut self, given: &Hl7Sender, zone: Tz) -> Option<SenderRule> {
        let source = self.source(&given.name, "hl7.sender.name")?;
        let mut rule = SenderRule::new(source, given.application.get_ref(), zone);
        rule.facility = given.facility.as_ref().map(|text| text.get_ref().clone());
        rule.authority = given.authority.as_ref().map(|text| text.get_ref().clone());
        for (authority, system) in &given.aliases {
            self.source(system, "hl7.sender.aliases")?;
            rule.aliases.insert(authority.clone(), system.get_ref().clone());
        }
        for address in &given.addresses {
            rule.addresses.extend(self.parse::<std::net::IpAddr>(address, "hl7.sender.addresses"));
        }
        if let Some(text) = &given.certificate {
            let Some(print) = super::super::parse_key32(&text.get_ref().replace(':', "").to_lowercase()) else {
                self.fault(
                    text,
                    "hl7.sender.certificate",
                    "write the SHA-256 of the certificate, 64 hexadecimal digits",
                );
                return None;
            };
            rule.certificate = Some(print);
        }
        rule.unsaid = self.word(given.charset.as_ref(), "hl7.sender.charset", &CHARSETS, Some(Charset::Utf8))?;
        if given.test.as_ref().is_some_and(|it| *it.get_ref()) {
            rule.processing = vec!['P', 'T', 'D'];
        }
        Some(rule)
    }
}

/// The DER of a private key as PKCS#8 PEM.
fn der_of(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::pki_types::pem::PemObject;
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    Some(Zeroizing::new(key.secret_pkcs8_der().to_vec()))
}

/// The language of the names of services at a system.
fn language(given: &System, usual: String) -> String {
    given.language.as_ref().map_or(usual, |it| it.get_ref().clone())
}
