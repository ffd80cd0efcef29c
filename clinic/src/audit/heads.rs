//! Signing: what makes a state of the log a promise. Owns the signing key while the program runs, the table of signed
//! heads, and what pages are told about second places. Carrying heads there is [`super::publish`]'s work.

use std::fmt;

use domain::audit::{Head, KeyId, Peaks, SignedHead};
use domain::{Permission, SiteId, UtcMillis};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sqlx::FromRow;
use store::{Database, Error, read, transact};
use thiserror::Error as ThisError;

use super::AuditError;
use crate::acting::Acting;

/// The key that signs heads: Ed25519.
pub struct HeadKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

/// The seed cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[error("this is not the seed of a signing key; it has 32 random bytes")]
pub struct BadSeed;

impl HeadKey {
    /// From 32 random bytes (RFC 8032), as they stand in the key's file.
    ///
    /// # Errors
    /// [`BadSeed`].
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, BadSeed> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| BadSeed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| BadSeed)?;
        Ok(Self { pair, public })
    }

    /// The public half, which verifiers need.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Its short name in heads.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.public)
    }

    /// Signs the state of the log of `site`.
    fn sign(&self, site: &SiteId, peaks: &Peaks, at: UtcMillis) -> Option<SignedHead> {
        let head = Head { site: site.clone(), size: peaks.size(), root: peaks.root(), at, key: self.id() };
        let signature = self.pair.sign(head.to_signed_text().as_bytes());
        signature.as_ref().try_into().ok().map(|signature| head.signed(signature))
    }

    /// Whether this key signed it.
    pub(super) fn signed(&self, head: &SignedHead) -> bool {
        let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &self.public);
        public.verify(head.head.to_signed_text().as_bytes(), &head.signature).is_ok()
    }
}

impl fmt::Debug for HeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadKey({})", self.id())
    }
}

/// Signs the log as it is now; `None` if nothing was added since the last head.
///
/// # Errors
/// Engine errors.
pub async fn sign_head(
    database: &Database,
    key: &HeadKey,
    site: &SiteId,
    now: UtcMillis,
) -> Result<Option<SignedHead>, Error> {
    loop {
        let Some(peaks) = unsigned(database).await? else { return Ok(None) };
        let Some(head) = key.sign(site, &peaks, now) else { return Ok(None) };
        let line = head.to_string();
        // Signing needs the key, which does not go into the transaction's task; another program may have signed the
        // same or a later state meanwhile.
        let size = peaks.size().cast_signed();
        let stored = transact!(database, "audit.sign", |conn| {
            let last: Option<(i64, i64)> = sqlx::query_as("SELECT no, size FROM audit_head ORDER BY no DESC LIMIT 1")
                .fetch_optional(&mut *conn)
                .await?;
            let (no, before) = last.unwrap_or((0, 0));
            if before >= size {
                return Ok(false);
            }
            sqlx::query("INSERT INTO audit_head (no, size, at_ms, line) VALUES ($1, $2, $3, $4)")
                .bind(no + 1)
                .bind(size)
                .bind(now.0)
                .bind(&line)
                .execute(&mut *conn)
                .await?;
            Ok(true)
        })?;
        if stored {
            return Ok(Some(head));
        }
    }
}

/// The state of the log, if no head has been signed of it yet.
async fn unsigned(database: &Database) -> Result<Option<Peaks>, Error> {
    let row: Option<(i64, String)> = read!(database, "audit.state", |conn| {
        Ok(sqlx::query_as(
            "SELECT size, peaks FROM audit_state WHERE id = 1
             AND size > COALESCE((SELECT MAX(size) FROM audit_head), 0)",
        )
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    let read = |(size, peaks): (i64, String)| {
        Peaks::from_text(size.cast_unsigned(), &peaks)
            .ok_or_else(|| Error::bad_row("audit_state", "peaks", "this is not the state of a log"))
    };
    row.map(read).transpose()
}

/// Heads numbered after `no`, in order, at most `limit`; with their numbers.
pub(super) async fn after(database: &Database, no: i64, limit: i64) -> Result<Vec<(i64, String)>, Error> {
    read!(database, "audit.heads", |conn| {
        Ok(sqlx::query_as("SELECT no, line FROM audit_head WHERE no > $1 ORDER BY no LIMIT $2")
            .bind(no)
            .bind(limit)
            .fetch_all(&mut *conn)
            .await?)
    })
}

/// The head numbered `no`.
pub(super) async fn line(database: &Database, no: i64) -> Result<Option<String>, Error> {
    read!(database, "audit.heads", |conn| {
        Ok(sqlx::query_scalar("SELECT line FROM audit_head WHERE no = $1").bind(no).fetch_optional(&mut *conn).await?)
    })
}

/// The number of a head, if it is one of this log.
pub(super) async fn number(database: &Database, line: &str) -> Result<Option<i64>, Error> {
    read!(database, "audit.heads", |conn| {
        Ok(sqlx::query_scalar("SELECT no FROM audit_head WHERE line = $1 ORDER BY no DESC LIMIT 1")
            .bind(line)
            .fetch_optional(&mut *conn)
            .await?)
    })
}

/// The last signed heads, the latest first, at most `limit`. They tell nothing about anybody and are not written down.
///
/// # Errors
/// [`AuditError::Denied`] without `audit_see`; engine errors.
pub async fn heads(database: &Database, acting: &Acting, limit: u32) -> Result<Vec<SignedHead>, AuditError> {
    acting.must(Permission::AuditSee)?;
    let lines: Vec<String> = read!(database, "audit.heads", |conn| {
        Ok(sqlx::query_scalar("SELECT line FROM audit_head ORDER BY no DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await?)
    })?;
    let read = |line: String| crate::rows::column("audit_head", "line", &line, |text: &str| text.parse());
    Ok(lines.into_iter().map(read).collect::<Result<_, Error>>()?)
}

domain::codes! {
    /// How a second place is doing.
    PlaceState {
        /// It has every head.
        Current = "current",
        /// It cannot be reached or written; heads wait and are told later.
        Away = "away",
        /// It knows a head that this log does not have: an older copy of the database was put back, or the log was
        /// rewritten. Nothing more is told to it until somebody has looked and moved its file away.
        Ahead = "ahead",
        /// Its last line is not a head of ours. As above.
        Strange = "strange",
    }
}

/// A second place, as pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub name: String,
    /// How it is doing.
    pub state: PlaceState,
    /// Since when.
    pub since: UtcMillis,
    /// When it was last told a head.
    pub told: Option<UtcMillis>,
    /// The size of the last head that it was told.
    pub size: Option<u64>,
    /// What is wrong.
    pub problem: Option<String>,
}

#[derive(FromRow)]
struct PlaceRow {
    name: String,
    state: String,
    since_ms: i64,
    told_ms: Option<i64>,
    size: Option<i64>,
    problem: Option<String>,
}

/// The second places and how they are doing.
///
/// # Errors
/// [`AuditError::Denied`] without `audit_see`; engine errors.
pub async fn places(database: &Database, acting: &Acting) -> Result<Vec<Place>, AuditError> {
    acting.must(Permission::AuditSee)?;
    let rows: Vec<PlaceRow> = read!(database, "audit.places", |conn| {
        Ok(sqlx::query_as(
            "SELECT p.name, p.state, p.since_ms, p.told_ms, h.size, p.problem
             FROM audit_place p LEFT JOIN audit_head h ON h.no = p.head ORDER BY p.name",
        )
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let read = |row: PlaceRow| {
        Ok(Place {
            name: row.name,
            state: crate::rows::code("audit_place", "state", &row.state, PlaceState::parse)?,
            since: UtcMillis(row.since_ms),
            told: row.told_ms.map(UtcMillis),
            size: row.size.map(i64::cast_unsigned),
            problem: row.problem,
        })
    };
    Ok(rows.into_iter().map(read).collect::<Result<_, Error>>()?)
}
