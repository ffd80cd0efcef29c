//! How the two directions work. Plain data; the programs fill it in from the configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use chrono_tz::Tz;
use clinic::feeds::Source;
use thiserror::Error;
use wire::hl7::Charset;
use wire::hl7::view::{AckWhen, Party};

use crate::http::{Identity, Roots, TlsError};

/// How a system acknowledges (HL7 2.5.1, 2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckMode {
    /// Original mode: MSH-15 and MSH-16 stay empty, `AA` says that the message was taken.
    #[default]
    Original,
    /// Enhanced mode: `CA` says that the message was kept, and that is enough.
    Commit,
    /// Enhanced mode: after `CA`, on the same connection, `AA` says that it was taken.
    CommitAndResult,
}

impl AckMode {
    /// MSH-15 and MSH-16.
    pub const fn wanted(self) -> (Option<AckWhen>, Option<AckWhen>) {
        match self {
            Self::Original => (None, None),
            Self::Commit => (Some(AckWhen::Always), Some(AckWhen::Never)),
            Self::CommitAndResult => (Some(AckWhen::Always), Some(AckWhen::Always)),
        }
    }
}

/// Whether a system is told names and dates of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// No: it knows its own numbers; PID-5 is a pseudonym.
    #[default]
    Pseudonym,
    /// Yes, from the vault; each telling stands in the register of disclosures. With the vault locked, messages wait.
    Told,
}

/// TLS of a connection that we make.
#[derive(Debug, Clone)]
pub struct TlsClient {
    /// Whose certificates are trusted.
    pub roots: Roots,
    /// Our own certificate, for systems that ask for one.
    pub identity: Option<Identity>,
}

/// A system that is told of visits.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Its name in the configuration; also the system of its numbers among a person's aliases.
    pub name: String,
    /// Where it listens: a name or address. With TLS, its certificate is for this name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS; without it the system must be this machine itself, or [`SenderSettings::plain`] say otherwise.
    pub tls: Option<TlsClient>,
    /// Whether messages may travel in clear. No.
    pub plain: bool,
    /// MSH-3: what we are called. `TAPWARD`.
    pub application: Party,
    /// MSH-4: what the clinic is called.
    pub facility: Party,
    /// MSH-5: what the system is called.
    pub to_application: Party,
    /// MSH-6: its facility.
    pub to_facility: Party,
    /// Who gives the patient numbers and doctors' ids that the system knows (CX-4). Empty: its facility.
    pub authority: String,
    /// MSH-18, and how messages are written. UTF-8.
    pub charset: Charset,
    /// The zone in which times are written; each states its offset.
    pub zone: Tz,
    /// MSH-11: `P`, or `T` for a system under test.
    pub processing: char,
    /// How it acknowledges.
    pub mode: AckMode,
    /// Whether it is told names.
    pub names: Names,
    /// Whether it is told charges, as DFT^P03. Yes.
    pub charges: bool,
    /// Whether it is told payments, as DFT^P03 with FT1-6 `PY`. No.
    pub payments: bool,
    /// The code system of services (FT1-7.3). `TAPWARD`.
    pub services: String,
    /// The language of the names of services. `en`.
    pub language: String,
    /// Whether TCP, and with TLS the protected connection, stand within this time. 5 s.
    pub connect_within: Duration,
    /// From sending to the answer. 8 s; then the connection is closed and the same message sent again.
    pub answer_within: Duration,
    /// In [`AckMode::CommitAndResult`], from `CA` to `AA`. 8 s.
    pub result_within: Duration,
    /// A connection that was silent for so long is asked by the operating system whether the other end is there. 30 s.
    pub keepalive: Duration,
}

impl SenderSettings {
    /// A system in original mode, by pseudonym, without TLS.
    pub fn new(name: &str, host: &str, port: u16, zone: Tz) -> Self {
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            tls: None,
            plain: false,
            application: Party::named("TAPWARD"),
            facility: Party::named("CLINIC"),
            to_application: Party::named("MIS"),
            to_facility: Party::named("CLINIC"),
            authority: String::new(),
            charset: Charset::Utf8,
            zone,
            processing: 'P',
            mode: AckMode::default(),
            names: Names::default(),
            charges: true,
            payments: false,
            services: "TAPWARD".to_owned(),
            language: "en".to_owned(),
            connect_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(8),
            result_within: Duration::from_secs(8),
            keepalive: Duration::from_secs(30),
        }
    }

    /// Who gives the numbers that the system knows.
    pub fn authority(&self) -> &str {
        if self.authority.is_empty() { &self.to_facility.namespace } else { &self.authority }
    }

    /// Looks for what cannot work.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.host.trim().is_empty() || self.port == 0 {
            return Err(SettingsError::Address);
        }
        if self.tls.is_none() && !self.plain && !is_here(&self.host) {
            return Err(SettingsError::Plain);
        }
        if self.application.namespace.is_empty() || self.to_application.namespace.is_empty() {
            return Err(SettingsError::Application);
        }
        Ok(())
    }
}

/// TLS of our listener: both ends show a certificate.
#[derive(Debug, Clone)]
pub struct TlsServer {
    /// Our certificate and key.
    pub identity: Identity,
    /// The authorities of senders, a text of PEM certificates; nobody else is let in.
    pub clients: Vec<u8>,
}

/// A system that tells us something.
#[derive(Debug, Clone)]
pub struct SenderRule {
    /// Its name as a feed.
    pub source: Source,
    /// MSH-3 of its messages.
    pub application: String,
    /// MSH-4; `None`: any.
    pub facility: Option<String>,
    /// SHA-256 of its certificate; `None`: any that our authorities signed.
    pub certificate: Option<[u8; 32]>,
    /// From where it may connect; empty: from anywhere.
    pub addresses: Vec<IpAddr>,
    /// Who gives the patient numbers by which it knows people (CX-4 in PID-3 and MRG-1); `None`: the first number.
    pub authority: Option<String>,
    /// Further authorities, and the system of aliases in which their numbers belong.
    pub aliases: BTreeMap<String, String>,
    /// The zone of times without an offset.
    pub zone: Tz,
    /// The charset of messages whose MSH-18 is empty. The standard says ASCII; UTF-8 takes that too.
    pub unsaid: Charset,
    /// MSH-11 that are taken. `P`.
    pub processing: Vec<char>,
}

impl SenderRule {
    /// A system that is known by MSH-3 alone.
    pub fn new(source: Source, application: &str, zone: Tz) -> Self {
        Self {
            source,
            application: application.to_owned(),
            facility: None,
            certificate: None,
            addresses: Vec::new(),
            authority: None,
            aliases: BTreeMap::new(),
            zone,
            unsaid: Charset::Utf8,
            processing: vec!['P'],
        }
    }
}

/// Our listener.
#[derive(Debug, Clone)]
pub struct ReceiverSettings {
    /// Where it listens. 2575 is the registered port.
    pub listen: SocketAddr,
    /// TLS with certificates of both ends; without it the address must be of this machine itself, or
    /// [`ReceiverSettings::plain`] say otherwise.
    pub tls: Option<TlsServer>,
    /// Whether messages may travel in clear. No.
    pub plain: bool,
    /// Who may tell something.
    pub senders: Vec<SenderRule>,
    /// Most connections at a time; further ones are closed at once. 64.
    pub connections_max: usize,
    /// Longest message, in bytes; a longer one is answered with AR. 1 MB.
    pub message_max_bytes: usize,
    /// A message that has begun has to end within this time. 60 s.
    pub message_within: Duration,
    /// A connection that says nothing for so long is closed. 12 h: senders keep theirs open.
    pub idle_for: Duration,
    /// A connection that was silent for so long is asked by the operating system whether the other end is there. 30 s.
    pub keepalive: Duration,
    /// For how long answers are remembered, so that a message sent again gets the same. 14 days.
    pub remember: Duration,
    /// The zone in which answers state their time.
    pub zone: Tz,
}

impl ReceiverSettings {
    /// Listens in clear on an address of this machine.
    pub const fn new(listen: SocketAddr, zone: Tz) -> Self {
        Self {
            listen,
            tls: None,
            plain: false,
            senders: Vec::new(),
            connections_max: 64,
            message_max_bytes: 1024 * 1024,
            message_within: Duration::from_secs(60),
            idle_for: Duration::from_secs(12 * 3600),
            keepalive: Duration::from_secs(30),
            remember: Duration::from_secs(14 * 24 * 3600),
            zone,
        }
    }

    /// Looks for what cannot work.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.tls.is_none() && !self.plain && !self.listen.ip().is_loopback() {
            return Err(SettingsError::PlainListener);
        }
        if self.senders.is_empty() {
            return Err(SettingsError::NoSender);
        }
        for (at, rule) in self.senders.iter().enumerate() {
            if rule.application.trim().is_empty() {
                return Err(SettingsError::Application);
            }
            let same = |other: &&SenderRule| {
                other.application == rule.application
                    && (other.facility.is_none() || rule.facility.is_none() || other.facility == rule.facility)
            };
            if self.senders.iter().skip(at + 1).any(|other| same(&other)) {
                return Err(SettingsError::SameSender);
            }
            if rule.certificate.is_some() && self.tls.is_none() {
                return Err(SettingsError::CertificateWithoutTls);
            }
        }
        Ok(())
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why settings cannot work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// No address.
    #[error("name the host and the port where the system listens for HL7")]
    Address,
    /// In clear.
    #[error("sending HL7 in clear is for this machine itself only; give TLS, or allow it for this system")]
    Plain,
    /// In clear.
    #[error("listening for HL7 in clear is for this machine itself only; give TLS, or allow it")]
    PlainListener,
    /// No name of an application.
    #[error("name the sending and the receiving application (MSH-3, MSH-5)")]
    Application,
    /// Nobody may send.
    #[error("name at least one system that may send HL7")]
    NoSender,
    /// Two rules for one sender.
    #[error("two systems have the same application and facility (MSH-3, MSH-4): nobody could tell them apart")]
    SameSender,
    /// A certificate is asked for that nobody shows.
    #[error("a sender's certificate can only be checked with TLS")]
    CertificateWithoutTls,
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The name of the host cannot be in a certificate.
    #[error("the host's name cannot stand in a certificate")]
    ServerName,
}
