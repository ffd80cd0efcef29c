//! The keys that sign. Of each algorithm one signs at a time; the next is published a day before, the last as long as what
//! it signed may live. Programs that run at once agree on them by the database.

use std::sync::{Arc, Mutex, PoisonError};

use domain::UtcMillis;
use serde_json::{Map, Value};
use store::{read, transact};
use zeroize::Zeroizing;

use super::clients::ACCESS_MS;
use super::{OpenIdError, Provider};
use crate::jose::{Algorithm, JwkSet, SigningKey, verify};
use crate::rows::code;

/// What is signed here.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];
/// How long keys are remembered before the database is asked again, in milliseconds. Far below the time that a key is
/// published before it signs.
const REMEMBERED_MS: i64 = 30_000;

/// Keys that were read.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Arc<Mutex<Option<Read>>>);

/// When they were read, and what.
type Read = (UtcMillis, Arc<Vec<Loaded>>);

#[derive(Debug)]
struct Loaded {
    key: SigningKey,
    from: UtcMillis,
    until: UtcMillis,
    gone: UtcMillis,
}

type KeyRow = (String, String, Vec<u8>, i64, i64, i64);

impl Provider {
    /// The public keys: those that sign, those that will, and those whose tokens may still live.
    ///
    /// # Errors
    /// The database.
    pub async fn jwks(&self) -> Result<JwkSet, OpenIdError> {
        let now = self.now();
        let keys = self.loaded(now).await?;
        Ok(JwkSet(keys.iter().filter(|key| now < key.gone).map(|key| key.key.public().clone()).collect()))
    }

    /// Signs by the key whose turn it is.
    pub(super) async fn sign(&self, algorithm: Algorithm, kind: &str, claims: &Value) -> Result<String, OpenIdError> {
        let now = self.now();
        let keys = self.loaded(now).await?;
        let turn = |key: &&Loaded| key.key.algorithm() == algorithm && key.from <= now && now < key.until;
        let key = keys.iter().filter(turn).max_by_key(|key| key.from);
        let key = key.ok_or(OpenIdError::System("there is no key to sign with: the provider has not been started"))?;
        key.key.sign(kind, Map::new(), claims).map_err(|_| OpenIdError::System("a token could not be signed"))
    }

    /// Reads a token that we signed, also by a key of before; whether it has expired is not looked at.
    pub(super) async fn own(&self, token: &str) -> Result<Option<crate::jose::Verified>, OpenIdError> {
        let keys = self.jwks().await?;
        Ok(verify(token, &keys, &ALGORITHMS).ok())
    }

    async fn loaded(&self, now: UtcMillis) -> Result<Arc<Vec<Loaded>>, OpenIdError> {
        if let Some((read_at, keys)) = &*self.keys.0.lock().unwrap_or_else(PoisonError::into_inner)
            && (0..REMEMBERED_MS).contains(&now.since_ms(*read_at))
            && !keys.is_empty()
        {
            return Ok(Arc::clone(keys));
        }
        let rows: Vec<KeyRow> = read!(self.database, "openid.keys", |conn| {
            Ok(sqlx::query_as(
                "SELECT kid, algorithm, sealed, from_ms, until_ms, gone_ms FROM openid_key ORDER BY from_ms",
            )
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut keys = Vec::with_capacity(rows.len());
        for (kid, algorithm, sealed, from, until, gone) in rows {
            let algorithm = code("openid_key", "algorithm", &algorithm, Algorithm::parse)?;
            let der = self.sealer.open("openid_key", &kid, sealed)?;
            let key = SigningKey::from_pkcs8(algorithm, &der)
                .map_err(|_| OpenIdError::System("a stored key of the OpenID provider cannot be read"))?;
            keys.push(Loaded { key, from: UtcMillis(from), until: UtcMillis(until), gone: UtcMillis(gone) });
        }
        let keys = Arc::new(keys);
        *self.keys.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }

    fn forget_keys(&self) {
        *self.keys.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Draws what is missing: a key that signs now, and its successor in time.
    pub(super) async fn rotate(&self) -> Result<(), OpenIdError> {
        for algorithm in ALGORITHMS {
            // Twice at most: the first key of all, and at once its successor where the lead is as long as the life.
            for _ in 0..2 {
                let now = self.now();
                let Some(_) = next_turn(&self.turns(algorithm).await?, now, &self.rules) else { break };
                self.draw(algorithm).await?;
            }
        }
        let now = self.now();
        transact!(self.database, "openid.keys.gone", |conn| {
            sqlx::query("DELETE FROM openid_key WHERE gone_ms <= $1").bind(now.0).execute(&mut *conn).await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn turns(&self, algorithm: Algorithm) -> Result<Vec<(i64, i64)>, OpenIdError> {
        Ok(read!(self.database, "openid.keys.turns", |conn| {
            Ok(sqlx::query_as("SELECT from_ms, until_ms FROM openid_key WHERE algorithm = $1")
                .bind(algorithm.as_str())
                .fetch_all(&mut *conn)
                .await?)
        })?)
    }

    async fn draw(&self, algorithm: Algorithm) -> Result<(), OpenIdError> {
        const NO_KEY: OpenIdError = OpenIdError::System("a key could not be drawn");
        // Seconds of computing for RSA: on a thread where it holds nobody up.
        let drawn = tokio::task::spawn_blocking(move || SigningKey::draw(algorithm)).await;
        let der: Zeroizing<Vec<u8>> = drawn.map_err(|_| NO_KEY)?.map_err(|_| NO_KEY)?;
        let key = SigningKey::from_pkcs8(algorithm, &der).map_err(|_| NO_KEY)?;
        let kid = key.kid().to_owned();
        let sealed = self.sealer.seal("openid_key", &kid, &der)?;
        let (rules, now) = (Arc::clone(&self.rules), self.now());
        transact!(self.database, "openid.keys.draw", |conn| {
            // Who else draws waits here and then finds it done.
            sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'openid_keys'").execute(&mut *conn).await?;
            let turns: Vec<(i64, i64)> =
                sqlx::query_as("SELECT from_ms, until_ms FROM openid_key WHERE algorithm = $1")
                    .bind(algorithm.as_str())
                    .fetch_all(&mut *conn)
                    .await?;
            let Some(from) = next_turn(&turns, now, &rules) else { return Ok(()) };
            let until = from.saturating_add(rules.key_ms);
            // Access tokens are not signed; the longest lives of what is are below the life of the longest of them.
            let gone = until.saturating_add(*ACCESS_MS.end());
            sqlx::query(
                "INSERT INTO openid_key (kid, algorithm, sealed, made_ms, from_ms, until_ms, gone_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(&kid)
            .bind(algorithm.as_str())
            .bind(&sealed)
            .bind(now.0)
            .bind(from)
            .bind(until)
            .bind(gone)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })?;
        self.forget_keys();
        Ok(())
    }
}

/// From when a further key is to sign: now where none does, after the last where that one ends soon; `None`: none is due.
fn next_turn(turns: &[(i64, i64)], now: UtcMillis, rules: &super::Rules) -> Option<i64> {
    let signs_now = turns.iter().any(|(from, until)| *from <= now.0 && now.0 < *until);
    if !signs_now {
        return Some(now.0);
    }
    let last = turns.iter().map(|(_, until)| *until).max()?;
    (last.saturating_sub(now.0) <= rules.key_lead_ms).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_drawn_in_time_and_only_one() {
        let rules = super::super::Rules { key_ms: 100, key_lead_ms: 10, ..super::super::Rules::new("https://x") };
        let next = |turns: &[(i64, i64)], now| next_turn(turns, UtcMillis(now), &rules);
        assert_eq!(next(&[], 5), Some(5), "the first");
        assert_eq!(next(&[(5, 105)], 94), None);
        assert_eq!(next(&[(5, 105)], 95), Some(105), "a day ahead");
        assert_eq!(next(&[(5, 105), (105, 205)], 95), None, "it is there");
        assert_eq!(next(&[(5, 105)], 300), Some(300), "after a long time off");
    }
}
