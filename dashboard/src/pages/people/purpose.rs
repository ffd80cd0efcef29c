//! What somebody looks at a person for: which purposes a visitor may choose, and how the choice is remembered.

use clinic::acting::Acting;
use clinic::audit::Purpose;
use domain::{Field, Permission};

use crate::language::Texts;

/// A purpose to choose.
pub struct Choice {
    pub code: &'static str,
    pub words: String,
    pub is_chosen: bool,
}

/// The purposes that fit what somebody may do. To save life or health one breaks glass first.
pub struct Purposes(Vec<Purpose>);

impl Purposes {
    /// Those of one who acts.
    pub fn of(acting: &Acting) -> Self {
        let may = |permission| acting.rights.allows(permission);
        let fits = |purpose: &Purpose| match purpose {
            Purpose::Checkpoint => may(Permission::LiveWatch),
            Purpose::PassIssue => may(Permission::PassEdit) || may(Permission::PersonEdit),
            Purpose::Treatment => acting.rights.shows(Field::VisitPurpose),
            Purpose::Maintenance => may(Permission::PersonEdit),
            Purpose::Emergency => acting.glass.is_some(),
            Purpose::Booking | Purpose::Payment | Purpose::PersonRequest | Purpose::Incident => true,
        };
        Self(Purpose::ALL.iter().copied().filter(fits).collect())
    }

    /// A choice as a form sends it; `None` if nothing that fits was chosen.
    pub fn read(&self, code: &str) -> Option<Purpose> {
        Purpose::parse(code).filter(|purpose| self.0.contains(purpose))
    }

    /// All of them, for a form.
    pub fn choices(&self, chosen: &str, texts: &Texts) -> Vec<Choice> {
        let choice = |purpose: &Purpose| Choice {
            code: purpose.as_str(),
            words: texts.code("purpose-", purpose.as_str()),
            is_chosen: purpose.as_str() == chosen,
        };
        self.0.iter().map(choice).collect()
    }
}
