//! Names of events, without regard to case, and lists of them as subscribers ask for them. Pure.

use std::fmt;

use domain::codes;

codes! {
    /// A resource that a chart is opened at: what FHIRcast calls an anchor.
    Anchor {
        /// A patient.
        Patient = "Patient",
        /// A visit.
        Encounter = "Encounter",
        /// An examination with pictures.
        ImagingStudy = "ImagingStudy",
        /// A report.
        DiagnosticReport = "DiagnosticReport",
        /// The first page of a program: nothing is open.
        Home = "Home",
    }
}

impl Anchor {
    /// Under which key its resource stands in an event's context.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Encounter => "encounter",
            Self::ImagingStudy => "study",
            Self::DiagnosticReport => "report",
            Self::Home => "",
        }
    }

    fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|anchor| anchor.as_str().eq_ignore_ascii_case(text))
    }
}

/// Longest name of an event, in bytes.
pub const NAME_MAX_BYTES: usize = 100;
/// Most names in one list.
pub const NAMES_MAX: usize = 40;

/// The name of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventName {
    /// Something was opened.
    Open(Anchor),
    /// Something was closed.
    Close(Anchor),
    /// The specialist's session ended.
    UserLogout,
    /// The workstation was locked.
    UserHibernate,
    /// A program did not follow.
    SyncError,
    /// An event of somebody's own, by a domain name written backwards: `org.example.result_ready`. Lower case.
    Own(String),
}

impl EventName {
    /// What this hub sends and takes, in its spelling.
    pub const SUPPORTED: &'static [&'static str] = &[
        "Patient-open",
        "Patient-close",
        "Encounter-open",
        "Encounter-close",
        "ImagingStudy-open",
        "ImagingStudy-close",
        "DiagnosticReport-open",
        "DiagnosticReport-close",
        "Home-open",
        "UserLogout",
        "UserHibernate",
        "SyncError",
    ];

    /// Reads a name without regard to case; `None` for one that this hub does not know.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > NAME_MAX_BYTES {
            return None;
        }
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("UserLogout") {
            return Some(Self::UserLogout);
        }
        if is("UserHibernate") {
            return Some(Self::UserHibernate);
        }
        if is("SyncError") {
            return Some(Self::SyncError);
        }
        if let Some((anchor, verb)) = text.split_once('-') {
            let anchor = Anchor::find(anchor)?;
            return match verb.to_ascii_lowercase().as_str() {
                "open" => Some(Self::Open(anchor)),
                "close" if anchor != Anchor::Home => Some(Self::Close(anchor)),
                _ => None,
            };
        }
        let own = text.to_ascii_lowercase();
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        (own.contains('.') && own.split('.').all(part)).then_some(Self::Own(own))
    }

    /// What it opens or closes.
    pub const fn anchor(&self) -> Option<Anchor> {
        match self {
            Self::Open(anchor) | Self::Close(anchor) => Some(*anchor),
            Self::UserLogout | Self::UserHibernate | Self::SyncError | Self::Own(_) => None,
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(anchor) => write!(f, "{anchor}-open"),
            Self::Close(anchor) => write!(f, "{anchor}-close"),
            Self::UserLogout => f.write_str("UserLogout"),
            Self::UserHibernate => f.write_str("UserHibernate"),
            Self::SyncError => f.write_str("SyncError"),
            Self::Own(name) => f.write_str(name),
        }
    }
}

/// What a subscriber asked to be told, without doubles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventList(Vec<EventName>);

impl EventList {
    /// Reads a list separated by commas (or spaces, as some write it); `*` is everything. Names that this hub does not
    /// know are left out: the confirmation says what is left.
    pub fn parse(text: &str) -> Self {
        let mut list = Vec::new();
        let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
        for word in words.take(NAMES_MAX) {
            let known = if word == "*" { Self::all().0 } else { EventName::parse(word).into_iter().collect() };
            for name in known {
                if !list.contains(&name) {
                    list.push(name);
                }
            }
        }
        Self(list)
    }

    /// Everything that this hub sends by itself.
    pub fn all() -> Self {
        Self(EventName::SUPPORTED.iter().filter_map(|name| EventName::parse(name)).collect())
    }

    /// Only those for which `keep` holds.
    pub fn filtered(self, keep: impl Fn(&EventName) -> bool) -> Self {
        Self(self.0.into_iter().filter(keep).collect())
    }

    /// Whether this one is in the list.
    pub fn has(&self, name: &EventName) -> bool {
        self.0.contains(name)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for EventList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            write!(f, "{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_regard_to_case_and_written_in_one_way() {
        for (given, written) in [
            ("patient-OPEN", "Patient-open"),
            (" Encounter-close ", "Encounter-close"),
            ("syncerror", "SyncError"),
            ("USERLOGOUT", "UserLogout"),
            ("userHibernate", "UserHibernate"),
            ("home-open", "Home-open"),
            ("imagingstudy-open", "ImagingStudy-open"),
            ("org.Example.visit_started", "org.example.visit_started"),
        ] {
            assert_eq!(EventName::parse(given).unwrap().to_string(), written);
        }
        for name in EventName::SUPPORTED {
            assert_eq!(EventName::parse(name).unwrap().to_string(), *name);
        }
        let long = "a.".repeat(60);
        for unknown in
            ["", "Patient", "Patient-", "-open", "Home-close", "Patient-select", "a b", "org..x", "é.x", &long]
        {
            assert_eq!(EventName::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_list_keeps_what_is_known_once() {
        let list = EventList::parse("patient-open, Patient-open,,DiagnosticReport-update heartbeat,SyncError");
        assert_eq!(list.to_string(), "Patient-open,SyncError");
        assert!(list.has(&EventName::SyncError) && !list.has(&EventName::UserLogout));
        assert_eq!(EventList::parse("*"), EventList::all());
        assert!(EventList::parse("nothing").is_empty());
        assert_eq!(EventList::parse(&list.to_string()), list);
        assert!(EventList::parse(&"a.b,".repeat(10_000)).to_string().len() < 10);
    }
}
