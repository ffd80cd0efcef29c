//! What the configuration says about workstations and other systems.

use std::path::PathBuf;
use std::time::Duration;

use clinic::feeds::Source;
use mis_bridge::hl7::{ReceiverSettings, SenderSettings};
use mis_bridge::{fhir, gnuhealth, http, webhook};

/// How others reach these pages, and what they are told of.
#[derive(Debug, Clone, Default)]
pub struct IdentitySettings {
    /// `https://…` without a slash at the end: the name of the OpenID provider. Without it there is no provider and no
    /// FHIRcast hub.
    pub address: Option<String>,
    /// The system whose ids of patients are told at a launch and by FHIRcast.
    pub patient_system: Option<String>,
    /// Whether locking a workstation signs out of other systems.
    pub ends_on_lock: bool,
    /// Whether the topic of FHIRcast is enough, without a token.
    pub topic_alone: bool,
    /// Certificates and limits for telling systems that sign people in by card that a session ended.
    pub http: http::Settings,
}

/// A system that is told of visits, or tells us something, or both.
#[derive(Debug, Clone)]
pub struct SystemSettings {
    /// Its name: the system of its ids for people, the source of what it tells.
    pub name: Source,
    /// How many facts it is told at once; `None`: what is usual for its kind.
    pub at_once: Option<usize>,
    /// Tries before a dead letter; `None`: what is usual.
    pub attempts: Option<u32>,
    /// How it is spoken to.
    pub kind: SystemKind,
}

/// How a system is spoken to.
#[derive(Debug, Clone)]
pub enum SystemKind {
    /// A FHIR R4 server.
    Fhir {
        /// How it is told; `None`: it is not.
        tell: Option<Box<fhir::Settings>>,
        /// How often it is read and how; `None`: it is not.
        read: Option<(Box<fhir::Settings>, Duration)>,
    },
    /// HL7 version 2 over MLLP.
    Hl7(Box<SenderSettings>),
    /// A signed webhook.
    Webhook(Box<webhook::Settings>),
    /// GNU Health.
    GnuHealth {
        /// Where it is.
        settings: gnuhealth::Settings,
        /// Certificates and limits.
        http: http::Settings,
        /// How it is read; `None`: it is not.
        read: Option<gnuhealth::FeedSettings>,
    },
    /// Another FHIRcast hub.
    Fhircast {
        /// Its address.
        url: url::Url,
        /// The token for it.
        token: Option<zeroize::Zeroizing<String>>,
        /// Certificates and limits.
        http: http::Settings,
    },
    /// Lists in a folder.
    Csv(PathBuf),
}

/// Everything about other systems.
#[derive(Debug, Clone)]
pub struct ExchangeSettings {
    /// How others reach us.
    pub identity: IdentitySettings,
    /// How feeds are taken.
    pub feeds: clinic::feeds::Settings,
    /// The systems.
    pub systems: Vec<SystemSettings>,
    /// Where HL7 messages are taken.
    pub hl7: Option<ReceiverSettings>,
}
