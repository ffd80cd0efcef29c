//! What an access token allows at the hub: scopes of the form `fhircast/Patient-open.read`. Pure.

use super::names::EventName;

/// Most scopes of one token that are looked at.
const SCOPES_MAX: usize = 100;

/// What is done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To be told it.
    Read,
    /// To tell it.
    Write,
}

/// The FHIRcast scopes of one token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<(String, bool, bool)>);

impl Scopes {
    /// Reads the scopes of a token, separated by spaces; others than FHIRcast's are left out.
    pub fn parse(text: &str) -> Self {
        let known = text.split_ascii_whitespace().take(SCOPES_MAX).filter_map(|scope| {
            let (prefix, rest) = scope.split_at_checked(9)?;
            if !prefix.eq_ignore_ascii_case("fhircast/") {
                return None;
            }
            let (event, what) = rest.rsplit_once('.')?;
            let (read, write) = match what.to_ascii_lowercase().as_str() {
                "read" => (true, false),
                "write" => (false, true),
                "*" => (true, true),
                _ => return None,
            };
            Some((event.to_ascii_lowercase(), read, write))
        });
        Self(known.collect())
    }

    /// Everything, as a topic alone allows where the installation accepts that.
    pub fn all() -> Self {
        Self(vec![("*".to_owned(), true, true)])
    }

    /// Whether an event may be read or written. `*` stands for every event, `Patient-*` for those of patients. Errors are
    /// for everybody who may read anything, and may be told by everybody.
    pub fn allow(&self, event: &EventName, access: Access) -> bool {
        if *event == EventName::SyncError {
            return !self.0.is_empty();
        }
        let name = event.to_string().to_ascii_lowercase();
        self.0.iter().any(|(pattern, read, write)| {
            let fits = match pattern.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => *pattern == name,
            };
            fits && match access {
                Access::Read => *read,
                Access::Write => *write,
            }
        })
    }

    /// Whether there is no scope of the hub at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> EventName {
        EventName::parse(name).unwrap()
    }

    #[test]
    fn a_scope_allows_its_event_and_its_direction_only() {
        let scopes = Scopes::parse("openid fhircast/Patient-open.read fhircast/encounter-*.write launch");
        assert!(scopes.allow(&event("patient-open"), Access::Read));
        assert!(!scopes.allow(&event("patient-open"), Access::Write));
        assert!(!scopes.allow(&event("patient-close"), Access::Read));
        assert!(scopes.allow(&event("Encounter-close"), Access::Write));
        assert!(!scopes.allow(&event("Encounter-close"), Access::Read));
        assert!(scopes.allow(&event("SyncError"), Access::Write));
    }

    #[test]
    fn everything_is_allowed_by_the_wildcard_and_nothing_without_a_scope() {
        for all in [Scopes::all(), Scopes::parse("fhircast/*.*"), Scopes::parse("FHIRcast/*.*")] {
            assert!(all.allow(&event("UserLogout"), Access::Write) && all.allow(&event("a.b"), Access::Read));
        }
        for none in
            ["", "openid", "fhircast/", "fhircast/Patient-open", "fhircast/Patient-open.delete", "é", "fhircas€/x.read"]
        {
            let none = Scopes::parse(none);
            assert!(none.is_empty() && !none.allow(&event("SyncError"), Access::Read), "{none:?}");
        }
    }
}
