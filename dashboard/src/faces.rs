//! The faces of a page: what the visitor's role shows of the people on it, fetched from the vault in one look that is in
//! the audit log before anything is shown. Who may see no names sees pseudonyms; so does everybody while the vault is
//! locked, with a lock that says so.

use std::collections::HashMap;

use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::vault::{CARDS_MAX, CardState, PersonCard, VaultError};
use domain::{Field, PersonId};

use crate::app::App;
use crate::fault::Fault;
use crate::language::Texts;

/// What a page shows of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// Where the name or its absence leads to.
    pub state: CardState,
    /// Family, given and middle name.
    pub name: Option<String>,
    /// Address of the small picture, 150 by 200.
    pub small: Option<String>,
    /// Address of the large picture, 600 by 800.
    pub large: Option<String>,
    /// Whether this role is shown photographs at all: then their absence is shown too.
    pub has_place: bool,
    /// Whether processing of this person's data is restricted.
    pub restricted: bool,
    /// Whom the page's script is to name: a workstation sealed the name, and this role is shown names.
    pub sealed: Option<PersonId>,
}

impl Face {
    /// The face of a card.
    pub fn of(card: &PersonCard, acting: &Acting) -> Self {
        let at = |size: &str| card.photo.map(|photo| format!("/photos/{photo}{size}"));
        let name = card.name.as_ref().filter(|name| !name.is_empty()).map(|name| name.full().reveal().to_owned());
        Self {
            state: card.state,
            name,
            small: at("?size=small"),
            large: at(""),
            has_place: acting.rights.shows(Field::Photo),
            restricted: card.restricted,
            sealed: (card.state == CardState::Workstation && acting.rights.shows(Field::Name)).then_some(card.person),
        }
    }

    /// Whether the vault is locked, so that a name that could be shown is not.
    pub fn is_locked(&self) -> bool {
        matches!(self.state, CardState::Locked | CardState::Workstation)
    }

    /// Why there is no name, in words; `None` where there is one, or where the role shows none.
    pub fn instead(&self, texts: &Texts) -> Option<String> {
        match self.state {
            CardState::Locked => Some(texts.t("face-locked")),
            CardState::Workstation => Some(texts.t("face-workstation")),
            CardState::Erased => Some(texts.t("face-erased")),
            CardState::Shown | CardState::Unknown => None,
        }
    }
}

/// The faces of a page by person.
#[derive(Debug, Clone, Default)]
pub struct Faces(HashMap<PersonId, Face>);

impl Faces {
    /// Looks at these people, each once. Who is shown neither names nor photographs gets no faces, and no look is
    /// recorded.
    ///
    /// # Errors
    /// The database: then nothing may be shown. A passport that cannot be opened leaves pseudonyms.
    pub async fn look(app: &App, acting: &Acting, mut persons: Vec<PersonId>, purpose: Purpose) -> Result<Self, Fault> {
        let mut faces = HashMap::new();
        if ![Field::Name, Field::Photo].iter().any(|field| acting.rights.shows(*field)) {
            return Ok(Self(faces));
        }
        persons.sort_unstable();
        persons.dedup();
        for some in persons.chunks(CARDS_MAX) {
            match app.vault.cards(acting, some, purpose).await {
                Ok(cards) => faces.extend(cards.iter().map(|card| (card.person, Face::of(card, acting)))),
                Err(VaultError::Denied(_)) => {}
                Err(VaultError::Store(error)) => return Err(Fault::from(error)),
                Err(error) => tracing::error!(error = %error, "page.faces.failed"),
            }
        }
        Ok(Self(faces))
    }

    /// The face of a person, where one may be shown.
    pub fn get(&self, person: Option<PersonId>) -> Option<&Face> {
        self.0.get(&person?)
    }

    /// The name of a person, where one may be shown.
    pub fn name(&self, person: Option<PersonId>) -> Option<&str> {
        self.get(person)?.name.as_deref()
    }
}
