//! Passports that workstations seal: boxes are taken in, found by hashes that browsers computed, and handed out to those
//! whose rights show what is in them. This program has no key to them (`docs/local-keys.md`) and checks their form only.
//!
//! Handing a box out is a look: its entry in the audit log is written in the same transaction, before anybody sees it.

mod key_change;
mod photo;
mod put;

use std::collections::HashMap;

use domain::vault::{Algorithm, KeyId, Query, QueryWord, Sealed};
use domain::{Denied, Field, Permission, PersonId, UtcMillis};
use store::{read, sqlx};
use thiserror::Error;

use super::change::field_of;
use super::find::RESULTS_MAX;
use super::look::{CARDS_MAX, known_as};
use super::photos::PhotoId;
use super::rows::{Part, Row};
use super::{Vault, VaultError};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Purpose};
use crate::rows::column;

pub use key_change::{CHANGE_PAGE, Rewrapped, ToRewrap};
pub use photo::{FULL_MAX_BYTES, LocalPhoto, SMALL_MAX_BYTES};
pub use put::LocalPassport;

/// Longest box of one part, in bytes: the longest list of documents in the longest letters fits.
pub const BOX_MAX_BYTES: usize = 32 * 1024;
/// Exact length of a wrapped key: algorithm, key id, nonce, 32 bytes and tag.
pub const WRAPPED_BYTES: usize = 1 + 8 + 12 + 32 + 16;
/// Most hashes of one person: three names of nine words with eight hashes each, documents and contacts.
pub const TOKENS_MAX: usize = 3 * 9 * 8 + 8 + 16;
/// Most hashes of one search: the words of a query, twice while a key is being changed.
pub const QUERY_MAX: usize = 2 * 9;

/// Why something about sealed passports was refused. Says what to do; names keys by their numbers only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LocalRefused {
    /// Not a box of a browser, or too long, or of mixed keys.
    #[error("{0} is not a box that a browser sealed, or it is too long")]
    Form(&'static str),
    /// No key was ever announced.
    #[error("this clinic has no key of its own yet; make one on the page of the key")]
    NoKey,
    /// Sealed with another key than the clinic's.
    #[error("this was sealed with the key {0}, the clinic's is {1}; load the clinic's key")]
    OtherKey(KeyId, KeyId),
    /// Somebody else has changed the passport, or the key, meanwhile.
    #[error("somebody else has changed this meanwhile; open it again")]
    Changed,
    /// A key is announced that does not follow the one in use.
    #[error("the clinic's key is {0}; only somebody who has it can change it")]
    NotAfter(KeyId),
    /// A change of the key is under way.
    #[error("the key is being changed already; let that end first")]
    AlreadyChanging,
}

/// Why the boxes' store did not do it.
#[derive(Debug, Error)]
pub enum LocalError {
    /// As everywhere in the vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Of the boxes' own.
    #[error(transparent)]
    Refused(#[from] LocalRefused),
}

impl From<store::Error> for LocalError {
    fn from(error: store::Error) -> Self {
        Self::Vault(error.into())
    }
}

impl From<Denied> for LocalError {
    fn from(denied: Denied) -> Self {
        Self::Vault(denied.into())
    }
}

/// A box as it is handed out: whose, and what of the person is in it.
#[derive(Debug, Clone)]
pub struct Handed {
    /// Who.
    pub person: PersonId,
    /// Their key, wrapped by the clinic's; `None` if nothing is sealed by a workstation for them.
    pub wrapped_key: Option<Vec<u8>>,
    /// The parts that may be seen, each with the name of its column.
    pub parts: Vec<(&'static str, Vec<u8>)>,
    /// The photograph, if there is one and the role shows it.
    pub photo: Option<PhotoId>,
    /// When the passport was last changed; given back with a change, so that none is lost.
    pub changed_at: Option<UtcMillis>,
    /// Whether processing of this person's data is restricted.
    pub restricted: bool,
    /// Whether the person was erased.
    pub erased: bool,
}

/// What is known of the clinic's own keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalState {
    /// The key in use and since when; `None` until one is announced.
    pub current: Option<(KeyId, UtcMillis)>,
    /// The key before it, while passports are still sealed with it.
    pub former: Option<KeyId>,
    /// Passports sealed with the key in use.
    pub sealed: u64,
    /// Passports sealed with the one before it.
    pub left: u64,
    /// Passports that the server itself can open.
    pub by_server: u64,
}

impl Vault {
    /// Which of the clinic's own keys are in use, and for how many.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn local_state(&self) -> Result<LocalState, VaultError> {
        let keys: Vec<(String, i64)> = read!(self.inner.database, "local.keys", |conn| {
            Ok(sqlx::query_as("SELECT id, since_ms FROM local_key WHERE until_ms IS NULL ORDER BY since_ms DESC, id")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let counts: Vec<(String, Option<String>, i64)> = read!(self.inner.database, "local.counts", |conn| {
            Ok(sqlx::query_as("SELECT mode, kek, COUNT(*) FROM passport WHERE shredded_ms IS NULL GROUP BY mode, kek")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let mut ids =
            keys.iter().map(|(id, since)| Ok((column("local_key", "id", id, str::parse)?, UtcMillis(*since))));
        let current: Option<(KeyId, UtcMillis)> = ids.next().transpose().map_err(VaultError::Store)?;
        let former: Option<(KeyId, UtcMillis)> = ids.next().transpose().map_err(VaultError::Store)?;
        let of = |mode: &str, key: Option<KeyId>| {
            let key = key.map(|key| key.to_string());
            let fitting = counts.iter().filter(|(at, kek, _)| at == mode && (key.is_none() || *kek == key));
            fitting.map(|(.., count)| count.cast_unsigned()).sum::<u64>()
        };
        let sealed = current.map_or(0, |(id, _)| of("local", Some(id)));
        Ok(LocalState {
            current,
            former: former.map(|(id, _)| id),
            sealed,
            left: of("local", None) - sealed,
            by_server: of("server", None),
        })
    }

    /// Hands out a person's boxes: those of `fields` that the role shows. The look is in the audit log, with its
    /// purpose, before anything is handed out.
    ///
    /// # Errors
    /// [`VaultError::NothingToShow`], [`VaultError::Unknown`], [`VaultError::Erased`].
    pub async fn local_reveal(
        &self,
        acting: &Acting,
        person: PersonId,
        fields: &[Field],
        purpose: Purpose,
        note: Option<String>,
    ) -> Result<Handed, VaultError> {
        acting.must(Permission::PersonReveal)?;
        let may = |part: &Part| fields.contains(&field_of(*part)) && acting.rights.shows(field_of(*part));
        let parts: Vec<Part> = Part::ALL.into_iter().filter(may).collect();
        if parts.is_empty() {
            return Err(VaultError::NothingToShow);
        }
        let draft = Draft {
            subject: Some(person),
            fields: parts.iter().map(|part| field_of(*part)).collect(),
            purpose: Some(purpose),
            detail: Some("sealed box".to_owned()),
            note,
            ..acting.draft(self.now(), Action::PersonRevealed)
        };
        let row = self.fetch(person, Some(draft)).await?;
        if let Some(at) = row.shredded_ms {
            return Err(VaultError::Erased(UtcMillis(at)));
        }
        Ok(handed(acting, person, &row, &parts))
    }

    /// Hands out the boxes with the names of the people on a page, in the order asked for, each person once. Asked for
    /// again within ten minutes by the same session is one entry in the audit log.
    ///
    /// # Errors
    /// [`VaultError::Denied`] without any right to see people pass, and engine errors.
    pub async fn local_cards(
        &self,
        acting: &Acting,
        persons: &[PersonId],
        purpose: Purpose,
    ) -> Result<Vec<Handed>, VaultError> {
        let ways = [Permission::PersonSee, Permission::LiveWatch, Permission::JournalSee, Permission::PresenceSee];
        if !ways.iter().any(|way| acting.rights.allows(*way)) {
            return Err(Denied(Permission::PersonSee).into());
        }
        let mut asked: Vec<PersonId> = Vec::with_capacity(persons.len().min(CARDS_MAX));
        for person in persons {
            if asked.len() < CARDS_MAX && !asked.contains(person) {
                asked.push(*person);
            }
        }
        let seen = [Field::Name, Field::Photo];
        self.hand_out(acting, asked, &seen, purpose, Vec::new()).await
    }

    /// People who have all hashes of one of `queries`, or any of its numbers; at most `limit` and [`RESULTS_MAX`], and
    /// whether there are more. One query for each key that the browser holds.
    ///
    /// # Errors
    /// [`VaultError::TooMany`] when more letters are needed, [`VaultError::Denied`] and others.
    pub async fn local_search(
        &self,
        acting: &Acting,
        queries: &[Query],
        limit: usize,
        purpose: Purpose,
    ) -> Result<(Vec<Handed>, bool), VaultError> {
        acting.must(Permission::PersonFind)?;
        let limit = limit.clamp(1, RESULTS_MAX);
        let sees_restricted = acting.rights.allows(Permission::PrivacyManage);
        let mut found: Vec<PersonId> = Vec::new();
        let mut is_cut = false;
        for query in queries {
            let (people, cut) = self.candidates(query, limit + 1, sees_restricted).await?;
            is_cut |= cut;
            for person in people {
                if !found.contains(&person) {
                    found.push(person);
                }
            }
        }
        if found.is_empty() && is_cut {
            return Err(VaultError::TooMany);
        }
        let more = found.len() > limit || is_cut;
        found.truncate(limit);
        let searched = Draft {
            purpose: Some(purpose),
            detail: Some(format!("sealed; shown={}; more={more}", found.len())),
            ..acting.draft(self.now(), Action::PersonSearched)
        };
        let seen = [Field::Name, Field::Photo, Field::BirthDate];
        Ok((self.hand_out(acting, found, &seen, purpose, vec![searched]).await?, more))
    }

    /// Boxes of several people with an entry for each look that is new.
    async fn hand_out(
        &self,
        acting: &Acting,
        asked: Vec<PersonId>,
        wanted: &[Field],
        purpose: Purpose,
        mut drafts: Vec<Draft>,
    ) -> Result<Vec<Handed>, VaultError> {
        let now = self.now();
        let shown: Vec<Field> = wanted.iter().copied().filter(|field| acting.rights.shows(*field)).collect();
        let parts: Vec<Part> = Part::ALL.into_iter().filter(|part| shown.contains(&field_of(*part))).collect();
        // The kind of look, so that one at a name is not taken for one at a date of birth.
        let bits = 16 + shown.len() as u8;
        let looks: Vec<_> = asked
            .iter()
            .map(|person| (known_as(acting), *person, bits))
            .filter(|look| !shown.is_empty() && !self.is_repeated(look, now))
            .collect();
        let draft = Draft {
            fields: shown,
            purpose: Some(purpose),
            detail: Some("sealed box".to_owned()),
            ..acting.draft(now, Action::PersonSeen)
        };
        drafts.extend(looks.iter().map(|(_, person, _)| Draft { subject: Some(*person), ..draft.clone() }));
        let rows =
            if asked.is_empty() && drafts.is_empty() { Vec::new() } else { self.fetch_many(&asked, drafts).await? };
        self.remember(looks, now);
        let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.person.as_str(), row)).collect();
        let give = |person: PersonId| match rows.get(person.to_string().as_str()) {
            Some(row) => handed(acting, person, row, &parts),
            None => Handed::nothing(person),
        };
        Ok(asked.into_iter().map(give).collect())
    }
}

impl Handed {
    const fn nothing(person: PersonId) -> Self {
        Self {
            person,
            wrapped_key: None,
            parts: Vec::new(),
            photo: None,
            changed_at: None,
            restricted: false,
            erased: false,
        }
    }
}

/// What of a row is handed out; nothing of one that is sealed by the server.
fn handed(acting: &Acting, person: PersonId, row: &Row, parts: &[Part]) -> Handed {
    let blank = Handed {
        restricted: row.restricted_ms.is_some(),
        erased: row.shredded_ms.is_some(),
        ..Handed::nothing(person)
    };
    if row.mode != "local" || blank.erased {
        return blank;
    }
    let sealed = |part: &Part| Some((part.column(), row.sealed(*part)?.clone()));
    let photo = row.photo.as_deref().and_then(|id| id.parse().ok());
    Handed {
        wrapped_key: row.wrapped_key.clone(),
        parts: parts.iter().filter_map(sealed).collect(),
        photo: photo.filter(|_| acting.rights.shows(Field::Photo)),
        changed_at: Some(UtcMillis(row.changed_ms)),
        ..blank
    }
}

/// What to look for, from the hashes that a browser computed: all of them, or any of them.
///
/// # Errors
/// [`LocalRefused::Form`] for none or too many.
pub fn query_of(tokens: Vec<i64>, any: bool) -> Result<Query, LocalRefused> {
    if tokens.is_empty() || tokens.len() > QUERY_MAX {
        return Err(LocalRefused::Form("the search"));
    }
    if any {
        return Ok(Query::Number(tokens));
    }
    Ok(Query::Names(tokens.into_iter().map(|beginning| QueryWord { whole: None, beginning }).collect()))
}

/// Reads a box of a browser's; `what` names it in the refusal.
fn boxed(bytes: Vec<u8>, max: usize, what: &'static str) -> Result<Sealed, LocalRefused> {
    if bytes.len() > max {
        return Err(LocalRefused::Form(what));
    }
    let sealed = Sealed::from_bytes(bytes).map_err(|_| LocalRefused::Form(what))?;
    if sealed.algorithm() == Algorithm::Aes256Gcm { Ok(sealed) } else { Err(LocalRefused::Form(what)) }
}
