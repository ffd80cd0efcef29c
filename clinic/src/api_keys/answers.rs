//! Requests that are sent again. A caller who lost the answer repeats the request under the same name
//! (`Idempotency-Key`) and gets the first answer; nothing is done twice. Answers kept here hold no personal data.

use sha2::{Digest, Sha256};

use super::token::hex;
use super::{ApiKeyError, ApiKeys, DAY_MS, KeyId};

/// Longest name of a request, in bytes.
pub const REQUEST_MAX_BYTES: usize = 64;
/// Requests of one key that are remembered, at most; the oldest are forgotten first.
const KEPT_PER_KEY: i64 = 10_000;
/// How long an answer is kept.
const KEPT_MS: i64 = DAY_MS;

/// A request that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is the first of this name: do it, then [`ApiKeys::finish_request`].
    First,
    /// It was done; this was the answer.
    Done(Answered),
    /// It is being done, or broke off: nobody knows whether it was done.
    Open,
    /// Another request had this name.
    Other,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl ApiKeys {
    /// Announces a request of this name. `content` is everything that makes it this request: what is asked of which
    /// address.
    ///
    /// # Errors
    /// The database.
    pub async fn begin_request(&self, key: KeyId, name: &str, content: &[u8]) -> Result<Begun, ApiKeyError> {
        type Row = (String, Option<i64>, Option<String>);
        let now = self.clock.now();
        let (key, name, content) = (key.to_string(), name.to_owned(), hex(&Sha256::digest(content)));
        let begun = store::transact!(self.database, "api_keys.begin_request", |conn| {
            store::sqlx::query("DELETE FROM api_answer WHERE at < $1")
                .bind(now.plus_ms(-KEPT_MS).0)
                .execute(&mut *conn)
                .await?;
            let row: Option<Row> = store::sqlx::query_as(
                "SELECT content, status, answer FROM api_answer WHERE api_key = $1 AND request = $2",
            )
            .bind(&key)
            .bind(&name)
            .fetch_optional(&mut *conn)
            .await?;
            match row {
                Some((known, ..)) if known != content => return Ok(Begun::Other),
                Some((_, Some(status), Some(body))) => {
                    let status = crate::rows::number("api_answer", "status", status)?;
                    return Ok(Begun::Done(Answered { status, body }));
                }
                Some(_) => return Ok(Begun::Open),
                None => {}
            }
            store::sqlx::query(
                "DELETE FROM api_answer WHERE api_key = $1 AND request NOT IN (
                     SELECT request FROM api_answer WHERE api_key = $1 ORDER BY at DESC, request LIMIT $2)",
            )
            .bind(&key)
            .bind(KEPT_PER_KEY - 1)
            .execute(&mut *conn)
            .await?;
            store::sqlx::query("INSERT INTO api_answer (api_key, request, content, at) VALUES ($1, $2, $3, $4)")
                .bind(&key)
                .bind(&name)
                .bind(&content)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            Ok(Begun::First)
        })?;
        Ok(begun)
    }

    /// Keeps the answer of a request that was done; one that failed without doing anything is forgotten, so that it
    /// can be tried again (`None`).
    ///
    /// # Errors
    /// The database.
    pub async fn finish_request(&self, key: KeyId, name: &str, answer: Option<Answered>) -> Result<(), ApiKeyError> {
        let (key, name) = (key.to_string(), name.to_owned());
        store::transact!(self.database, "api_keys.finish_request", |conn| {
            match &answer {
                Some(answer) => {
                    store::sqlx::query(
                        "UPDATE api_answer SET status = $1, answer = $2
                         WHERE api_key = $3 AND request = $4 AND status IS NULL",
                    )
                    .bind(i64::from(answer.status))
                    .bind(&answer.body)
                    .bind(&key)
                    .bind(&name)
                    .execute(&mut *conn)
                    .await?;
                }
                None => {
                    store::sqlx::query("DELETE FROM api_answer WHERE api_key = $1 AND request = $2 AND status IS NULL")
                        .bind(&key)
                        .bind(&name)
                        .execute(&mut *conn)
                        .await?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}
