//! Finding people by keyed hashes. What was typed never reaches the database or the audit log; only the people of the
//! page that is shown are opened.

use std::collections::HashMap;

use domain::vault::Query;
use domain::{Field, Permission, PersonId};
use store::{read, sqlx};

use super::look::{FOUND, PersonCard, card_of, known_as};
use super::ring::Ring;
use super::rows::{Part, Row};
use super::{Vault, VaultError};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Purpose};

/// Most people of one page of results.
pub const RESULTS_MAX: usize = 100;
/// So many people who fit the rarest word are looked through for the other words; with more, more letters are asked
/// for. Bounds the work of one search to some tens of milliseconds.
const CANDIDATES_MAX: i64 = 20_000;

/// Who was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// One page, ordered by name as far as names are shown.
    pub people: Vec<PersonCard>,
    /// Whether more people fit than are shown.
    pub more: bool,
}

impl Vault {
    /// People whose names begin with these words, in any order, or who have this document, telephone number, e-mail
    /// address or reference. Persons with restricted data are found only by who may manage privacy. At most `limit`
    /// and [`RESULTS_MAX`].
    ///
    /// # Errors
    /// [`VaultError::Query`] for too little, [`VaultError::TooMany`] when more letters are needed,
    /// [`VaultError::Locked`] and others.
    pub async fn search(
        &self,
        acting: &Acting,
        words: &str,
        limit: usize,
        purpose: Purpose,
    ) -> Result<Found, VaultError> {
        acting.must(Permission::PersonFind)?;
        let ring = self.ring()?;
        let now = self.now();
        let limit = limit.clamp(1, RESULTS_MAX);
        let sees_restricted = acting.rights.allows(Permission::PrivacyManage);
        let mut found: Vec<PersonId> = Vec::new();
        let mut is_cut = false;
        if acting.rights.shows(Field::Reference)
            && let Some(person) = self.by_reference(words, sees_restricted).await?
        {
            found.push(person);
        }
        let mut refused = None;
        // Two keys only while the index is being rebuilt: some people are under the one, some under the other.
        for key in &ring.index {
            match key.query(words) {
                Ok(query) => {
                    let (more, cut) = self.candidates(&query, limit + 1, sees_restricted).await?;
                    found.extend(more);
                    is_cut |= cut;
                }
                Err(error) => refused = Some(error),
            }
        }
        if let (true, Some(error)) = (found.is_empty(), refused) {
            return Err(error.into());
        }
        if found.is_empty() && is_cut {
            return Err(VaultError::TooMany);
        }
        let mut unique = std::collections::HashSet::new();
        found.retain(|person| unique.insert(*person));
        let more = found.len() > limit || is_cut;
        found.truncate(limit);
        let shown: Vec<Field> = [Field::Name, Field::Photo, Field::BirthDate]
            .into_iter()
            .filter(|field| acting.rights.shows(*field))
            .collect();
        let searched = Draft {
            purpose: Some(purpose),
            detail: Some(format!("shown={}; more={more}", found.len())),
            ..acting.draft(now, Action::PersonSearched)
        };
        let looks: Vec<_> = found
            .iter()
            .map(|person| (known_as(acting), *person, FOUND))
            .filter(|look| !shown.is_empty() && !self.is_repeated(look, now))
            .collect();
        let seen = Draft { fields: shown, purpose: Some(purpose), ..acting.draft(now, Action::PersonSeen) };
        let mut drafts = vec![searched];
        drafts.extend(looks.iter().map(|(_, person, _)| Draft { subject: Some(*person), ..seen.clone() }));
        let rows = self.fetch_many(&found, drafts).await?;
        self.remember(looks, now);
        let mut people = opened(acting, &ring, found, rows)?;
        people.sort_by_cached_key(|card| card.name.as_ref().map(|name| name.full().reveal().to_lowercase()));
        Ok(Found { people, more })
    }

    async fn by_reference(&self, words: &str, sees_restricted: bool) -> Result<Option<PersonId>, VaultError> {
        let (words, all) = (words.trim(), i64::from(sees_restricted));
        let id: Option<String> = read!(self.inner.database, "vault.search", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT person.id FROM person LEFT JOIN passport ON passport.person = person.id
                 WHERE external_ref = $1 AND (passport.restricted_ms IS NULL OR $2 = 1)",
            )
            .bind(words)
            .bind(all)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        Ok(id.and_then(|id| id.parse().ok()))
    }

    /// People who fit, the latest registered first, and whether the search was cut off before it was complete.
    pub(super) async fn candidates(
        &self,
        query: &Query,
        limit: usize,
        sees_restricted: bool,
    ) -> Result<(Vec<PersonId>, bool), VaultError> {
        match query {
            Query::Number(any) => {
                let mut found = Vec::new();
                for token in any {
                    found.extend(self.with_all(*token, &[], limit, sees_restricted).await?);
                }
                Ok((found, false))
            }
            Query::Names(words) => {
                let tokens: Vec<i64> = words.iter().map(|word| word.whole.unwrap_or(word.beginning)).collect();
                let mut counted = Vec::with_capacity(tokens.len());
                for token in tokens {
                    let count = match words.len() {
                        1 => CANDIDATES_MAX,
                        _ => self.count(token).await?,
                    };
                    counted.push((count, token));
                }
                counted.sort_unstable();
                let Some(((count, rarest), others)) = counted.split_first().map(|(first, rest)| (*first, rest)) else {
                    return Ok((Vec::new(), false));
                };
                let others: Vec<i64> = others.iter().map(|(_, token)| *token).collect();
                let found = self.with_all(rarest, &others, limit, sees_restricted).await?;
                let is_cut = words.len() > 1 && count > CANDIDATES_MAX && found.len() < limit;
                Ok((found, is_cut))
            }
        }
    }

    /// How many people have this hash; counted no further than the bound.
    async fn count(&self, token: i64) -> Result<i64, VaultError> {
        Ok(read!(self.inner.database, "vault.search", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT COUNT(*) FROM (SELECT 1 FROM passport_token WHERE token = $1 LIMIT $2) AS counted",
            )
            .bind(token)
            .bind(CANDIDATES_MAX + 1)
            .fetch_one(&mut *conn)
            .await?)
        })?)
    }

    /// People who have `first` and all of `others`.
    async fn with_all(
        &self,
        first: i64,
        others: &[i64],
        limit: usize,
        sees_restricted: bool,
    ) -> Result<Vec<PersonId>, VaultError> {
        let ids: Vec<String> = read!(self.inner.database, "vault.search", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(
                "SELECT passport.person FROM (SELECT passport AS no FROM passport_token WHERE token = ",
            );
            select.push_bind(first);
            select.push(" ORDER BY passport DESC LIMIT ").push_bind(CANDIDATES_MAX);
            select.push(") AS fitting JOIN passport ON passport.no = fitting.no WHERE passport.shredded_ms IS NULL");
            if !sees_restricted {
                select.push(" AND passport.restricted_ms IS NULL");
            }
            for other in others {
                select.push(" AND EXISTS (SELECT 1 FROM passport_token WHERE token = ").push_bind(*other);
                select.push(" AND passport = fitting.no)");
            }
            select.push(" ORDER BY fitting.no DESC LIMIT ").push_bind(limit as i64);
            Ok(select.build_query_scalar().fetch_all(&mut *conn).await?)
        })?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}

/// The cards of those who are still there, with the date of birth where the role shows it: it tells namesakes apart.
fn opened(acting: &Acting, ring: &Ring, found: Vec<PersonId>, rows: Vec<Row>) -> Result<Vec<PersonCard>, VaultError> {
    let mut rows: HashMap<String, Row> = rows.into_iter().map(|row| (row.person.clone(), row)).collect();
    found
        .into_iter()
        .map(|person| match rows.remove(&person.to_string()) {
            Some(row) => {
                let mut card = card_of(acting, ring, person, &row)?;
                if acting.rights.shows(Field::BirthDate)
                    && let Ok(wrapped) = row.wrapped()
                {
                    card.birth_date = row.open(person, &ring.unwrap(person, wrapped)?, &[Part::Birth])?.birth_date;
                }
                Ok(card)
            }
            None => Ok(PersonCard::blank(person, super::CardState::Unknown)),
        })
        .collect()
}
