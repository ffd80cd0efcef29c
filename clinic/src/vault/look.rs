//! Looking: masked, revealed field by field, and the small cards of a guard's page. Each look is written in the
//! transaction that fetches what it shows, and nothing is opened before that transaction is committed.

use std::collections::HashMap;
use std::sync::PoisonError;

use domain::vault::{BirthDate, Masked, Names, Passport};
use domain::{Denied, Field, Permission, PersonId, UtcMillis};
use store::{read, sqlx, transact};

use super::change::field_of;
use super::photos::PhotoId;
use super::rows::{Part, Row, row_columns};
use super::{Locked, Vault, VaultError, VaultState};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft, Purpose};

/// Most persons of one [`Vault::cards`]; further ones are left out.
pub const CARDS_MAX: usize = 200;
/// A second look at the same person in the same session within this time is the same look, in milliseconds.
const SAME_LOOK_MS: i64 = 10 * 60 * 1000;
/// Most looks remembered for that; when there are more, all are forgotten and the next looks are written again.
const LOOKS_MAX: usize = 65_536;

/// Who looked at whom: what somebody is known by, whom, and what they saw.
type Look = (String, PersonId, u8);
/// What they saw: masked, names, the photograph, a result of a search.
const MASKED: u8 = 1;
const NAME: u8 = 2;
const PHOTO: u8 = 4;
pub(super) const FOUND: u8 = 8;

/// Looks of the last minutes, so that a page that refreshes itself does not fill the audit log.
#[derive(Default)]
pub(super) struct Looks(HashMap<Look, UtcMillis>);

impl Looks {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn is_repeated(&self, look: &Look, now: UtcMillis) -> bool {
        self.0.get(look).is_some_and(|at| (0..SAME_LOOK_MS).contains(&now.since_ms(*at)))
    }

    fn remember(&mut self, looks: Vec<Look>, now: UtcMillis) {
        if self.0.len() + looks.len() > LOOKS_MAX {
            self.0.clear();
        }
        self.0.extend(looks.into_iter().map(|look| (look, now)));
    }
}

/// What a card could be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardState {
    /// As far as the role's fields go.
    Shown,
    /// The vault is locked.
    Locked,
    /// Sealed by a workstation; its page opens it.
    Workstation,
    /// The person was erased.
    Erased,
    /// Nothing is known of the person.
    Unknown,
}

/// A person as a guard's page shows them.
#[derive(Debug, Clone)]
pub struct PersonCard {
    /// Who.
    pub person: PersonId,
    /// What the card could be made of.
    pub state: CardState,
    /// The names, if the role shows them.
    pub name: Option<Names>,
    /// The date of birth, in results of a search, if the role shows it.
    pub birth_date: Option<BirthDate>,
    /// The photograph, if there is one and the role shows it.
    pub photo: Option<PhotoId>,
    /// Whether processing of this person's data is restricted.
    pub restricted: bool,
}

/// `SELECT … WHERE person IN (…)` with each id bound.
macro_rules! rows_of {
    ($db:ty, $ids:expr) => {{
        let mut select =
            sqlx::QueryBuilder::<$db>::new(concat!("SELECT ", row_columns!(), " FROM passport WHERE person IN (''"));
        for id in $ids {
            select.push(", ").push_bind(id.clone());
        }
        select.push(")");
        select
    }};
}

impl Vault {
    /// A person's passport, masked; parts that the role does not show at all stay empty.
    ///
    /// # Errors
    /// [`VaultError::Unknown`], [`VaultError::Erased`], [`VaultError::Locked`] and others.
    pub async fn masked(&self, acting: &Acting, person: PersonId) -> Result<Masked, VaultError> {
        acting.must(Permission::PersonSee)?;
        let now = self.now();
        let ring = self.ring()?;
        let look = (known_as(acting), person, MASKED);
        let draft = (!self.is_repeated(&look, now)).then(|| Draft {
            subject: Some(person),
            detail: Some("masked".to_owned()),
            ..acting.draft(now, Action::PersonSeen)
        });
        let row = self.fetch(person, draft).await?;
        self.remember(vec![look], now);
        let dek = ring.unwrap(person, row.wrapped()?)?;
        let parts: Vec<Part> = Part::ALL.into_iter().filter(|part| acting.rights.shows(field_of(*part))).collect();
        Ok(Masked::of(&row.open(person, &dek, &parts)?))
    }

    /// Shows fields of a person in clear: those of `fields` that the role shows. The look is in the audit log, with
    /// its purpose, before anything is opened.
    ///
    /// # Errors
    /// [`VaultError::NothingToShow`], [`VaultError::Unknown`], [`VaultError::Erased`], [`VaultError::Locked`].
    pub async fn reveal(
        &self,
        acting: &Acting,
        person: PersonId,
        fields: &[Field],
        purpose: Purpose,
        note: Option<String>,
    ) -> Result<Passport, VaultError> {
        acting.must(Permission::PersonReveal)?;
        let now = self.now();
        let shown: Vec<Part> = Part::ALL
            .into_iter()
            .filter(|part| fields.contains(&field_of(*part)) && acting.rights.shows(field_of(*part)))
            .collect();
        if shown.is_empty() {
            return Err(VaultError::NothingToShow);
        }
        let ring = self.ring()?;
        let draft = Draft {
            subject: Some(person),
            fields: shown.iter().map(|part| field_of(*part)).collect(),
            purpose: Some(purpose),
            note,
            ..acting.draft(now, Action::PersonRevealed)
        };
        let row = self.fetch(person, Some(draft)).await?;
        let dek = ring.unwrap(person, row.wrapped()?)?;
        row.open(person, &dek, &shown)
    }

    /// Names and photographs of the people on a page, in the order asked for, each person once. What the role does not
    /// show stays out; with the vault locked the cards say so. Looked at again within ten minutes by the same session
    /// is one entry in the audit log.
    ///
    /// # Errors
    /// [`VaultError::Denied`] without any right to see people pass, and engine errors.
    pub async fn cards(
        &self,
        acting: &Acting,
        persons: &[PersonId],
        purpose: Purpose,
    ) -> Result<Vec<PersonCard>, VaultError> {
        may_see_people(acting)?;
        let mut asked: Vec<PersonId> = Vec::with_capacity(persons.len().min(CARDS_MAX));
        for person in persons {
            if asked.len() < CARDS_MAX && !asked.contains(person) {
                asked.push(*person);
            }
        }
        let seen = seen_fields(acting);
        if asked.is_empty() || seen.is_empty() {
            return Ok(asked.into_iter().map(|person| PersonCard::blank(person, CardState::Shown)).collect());
        }
        let ring = match self.ring() {
            Ok(ring) => ring,
            Err(locked) => {
                let state = if locked == Locked::Workstation { CardState::Workstation } else { CardState::Locked };
                return Ok(asked.into_iter().map(|person| PersonCard::blank(person, state)).collect());
            }
        };
        let now = self.now();
        let bits = seen.iter().fold(0, |bits, field| bits | if *field == Field::Name { NAME } else { PHOTO });
        let looks: Vec<Look> = asked.iter().map(|person| (known_as(acting), *person, bits)).collect();
        let new: Vec<Look> = looks.into_iter().filter(|look| !self.is_repeated(look, now)).collect();
        let draft = Draft { fields: seen, purpose: Some(purpose), ..acting.draft(now, Action::PersonSeen) };
        let drafts: Vec<Draft> =
            new.iter().map(|(_, person, _)| Draft { subject: Some(*person), ..draft.clone() }).collect();
        let rows = self.fetch_many(&asked, drafts).await?;
        self.remember(new, now);
        let mut rows: HashMap<String, Row> = rows.into_iter().map(|row| (row.person.clone(), row)).collect();
        let card = |person: PersonId| match rows.remove(&person.to_string()) {
            Some(row) => card_of(acting, &ring, person, &row),
            None => Ok(PersonCard::blank(person, CardState::Unknown)),
        };
        asked.into_iter().map(card).collect()
    }

    /// Whether names can be shown at all now.
    pub fn is_open(&self) -> bool {
        matches!(self.state(), VaultState::Open { .. })
    }

    /// A photograph of a card that was shown is the same look as the card.
    pub(super) fn has_seen_photo(&self, acting: &Acting, person: PersonId, now: UtcMillis) -> bool {
        [PHOTO, PHOTO | NAME, FOUND].iter().any(|bits| self.is_repeated(&(known_as(acting), person, *bits), now))
    }

    pub(super) fn remember_photo(&self, acting: &Acting, person: PersonId, now: UtcMillis) {
        self.remember(vec![(known_as(acting), person, PHOTO)], now);
    }

    pub(super) fn is_repeated(&self, look: &Look, now: UtcMillis) -> bool {
        self.inner.looks.lock().unwrap_or_else(PoisonError::into_inner).is_repeated(look, now)
    }

    pub(super) fn remember(&self, looks: Vec<Look>, now: UtcMillis) {
        self.inner.looks.lock().unwrap_or_else(PoisonError::into_inner).remember(looks, now);
    }

    /// Fetches a row, and writes the look at it if there is one to be written; there is none at a row that is not there.
    pub(super) async fn fetch(&self, person: PersonId, draft: Option<Draft>) -> Result<Row, VaultError> {
        let id = person.to_string();
        let row: Option<Row> = match draft {
            None => read!(self.inner.database, "vault.look", |conn| {
                Ok(sqlx::query_as(concat!("SELECT ", row_columns!(), " FROM passport WHERE person = $1"))
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?)
            })?,
            Some(draft) => transact!(self.inner.database, "vault.look", |conn| {
                let row: Option<Row> =
                    sqlx::query_as(concat!("SELECT ", row_columns!(), " FROM passport WHERE person = $1"))
                        .bind(&id)
                        .fetch_optional(&mut *conn)
                        .await?;
                if row.is_some() {
                    audit::record!(conn, &draft);
                }
                Ok(row)
            })?,
        };
        row.ok_or(VaultError::Unknown)
    }

    /// Fetches rows and writes the looks at them; those that are not there are left out.
    pub(super) async fn fetch_many(&self, persons: &[PersonId], drafts: Vec<Draft>) -> Result<Vec<Row>, VaultError> {
        let ids: Vec<String> = persons.iter().map(PersonId::to_string).collect();
        if drafts.is_empty() {
            return Ok(read!(self.inner.database, "vault.look", |conn| {
                let mut select = rows_of!(Db, &ids);
                Ok(select.build_query_as::<Row>().fetch_all(&mut *conn).await?)
            })?);
        }
        Ok(transact!(self.inner.database, "vault.look", |conn| {
            let rows: Vec<Row> = {
                let mut select = rows_of!(Db, &ids);
                select.build_query_as::<Row>().fetch_all(&mut *conn).await?
            };
            for draft in &drafts {
                let subject = draft.subject.map(|person| person.to_string());
                if subject.is_none_or(|subject| rows.iter().any(|row| row.person == subject)) {
                    audit::record!(conn, draft);
                }
            }
            Ok(rows)
        })?)
    }
}

/// Cards and photographs are for everybody whose work has people on the page: who watches them pass as well as who
/// opens their page.
pub(super) fn may_see_people(acting: &Acting) -> Result<(), Denied> {
    let ways = [Permission::PersonSee, Permission::LiveWatch, Permission::JournalSee, Permission::PresenceSee];
    let may = ways.iter().any(|way| acting.rights.allows(*way));
    if may { Ok(()) } else { Err(Denied(Permission::PersonSee)) }
}

/// Which of the fields of a card the role shows.
fn seen_fields(acting: &Acting) -> Vec<Field> {
    [Field::Name, Field::Photo].into_iter().filter(|field| acting.rights.shows(*field)).collect()
}

pub(super) fn known_as(acting: &Acting) -> String {
    match (&acting.session, &acting.actor) {
        (Some(session), _) => format!("{session}/{}", acting.glass.as_deref().unwrap_or_default()),
        (None, Actor::Account(id) | Actor::ApiKey(id)) => id.clone(),
        (None, Actor::Staff(person)) => person.to_string(),
        (None, Actor::Peer(name)) => name.clone(),
        (None, Actor::Console | Actor::System | Actor::Anybody) => String::new(),
    }
}

impl PersonCard {
    pub(super) const fn blank(person: PersonId, state: CardState) -> Self {
        Self { person, state, name: None, birth_date: None, photo: None, restricted: false }
    }
}

pub(super) fn card_of(
    acting: &Acting,
    ring: &super::ring::Ring,
    person: PersonId,
    row: &Row,
) -> Result<PersonCard, VaultError> {
    let restricted = row.restricted_ms.is_some();
    let photo = row.photo.as_deref().and_then(|id| id.parse().ok()).filter(|_| acting.rights.shows(Field::Photo));
    let wrapped = match row.wrapped() {
        Ok(wrapped) => wrapped,
        Err(VaultError::Erased(_)) => return Ok(PersonCard::blank(person, CardState::Erased)),
        Err(VaultError::Locked(_)) => {
            return Ok(PersonCard { restricted, photo, ..PersonCard::blank(person, CardState::Workstation) });
        }
        Err(error) => return Err(error),
    };
    let name = match acting.rights.shows(Field::Name) {
        true => {
            let dek = ring.unwrap(person, wrapped)?;
            Some(row.open(person, &dek, &[Part::Names])?.names)
        }
        false => None,
    };
    Ok(PersonCard { name, photo, restricted, ..PersonCard::blank(person, CardState::Shown) })
}
