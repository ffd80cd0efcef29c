//! Keys of the HTTP API: by which other systems act here, what each is limited to, and when it ends.
//!
//! Owns the tables of migration `0011_api_keys.sql`. A key is 256 random bits, shown once and stored as a hash. It
//! belongs to the account that made it and never does more than that account may at the moment of the request: a role
//! that the account loses is lost to its keys at once, and a closed account closes them. Never decides what a request
//! does; never keeps personal data. May import `domain` and `store`.

mod answers;
mod rules;
mod token;

pub use answers::{Answered, Begun, REQUEST_MAX_BYTES};
pub use rules::*;
pub use token::{KeyId, KeyToken};

use std::collections::BTreeSet;
use std::net::IpAddr;

use domain::{Clock, Field, Network, Permission, Rights, UtcMillis, ZoneId, Zones};
use store::Database;

use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::notices::{self, Notice, NoticeKind, To};
use crate::rows::{code, column};

/// Keys listed at most: what other systems a clinic has, not its people.
const LISTED_MAX: i64 = 500;
/// The last use is written at most this often, in milliseconds: reading must not cost a write each time.
const USED_GRAIN_MS: i64 = 60_000;

/// The commands of this module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    database: Database,
    clock: Clock,
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What for, in the maker's words; shown in the list, in no log.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Which fields of persons it may see.
    pub fields: Vec<Field>,
    /// Where.
    pub zones: Zones,
    /// From where it may be used; empty: from everywhere.
    pub networks: Vec<Network>,
    /// How long it works, in days, up to [`LIFE_MAX_DAYS`].
    pub life_days: u16,
}

/// A key as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The id: no secret.
    pub id: KeyId,
    /// What for.
    pub name: String,
    /// The id of the account that answers for it.
    pub account: String,
    /// The sign-in name of that account.
    pub login: String,
    /// When it was made.
    pub made_at: UtcMillis,
    /// When it stops working.
    pub expires_at: UtcMillis,
    /// When it was last used, to the minute.
    pub used_at: Option<UtcMillis>,
    /// From which address.
    pub used_from: Option<String>,
    /// When it was ended.
    pub ended_at: Option<UtcMillis>,
    /// What it is limited to.
    pub limits: Limits,
}

impl ApiKey {
    /// Whether it works at `now`, as far as the key itself goes.
    pub fn is_open(&self, now: UtcMillis) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

/// What a key is limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Which fields of persons it may see.
    pub fields: Vec<Field>,
    /// Where.
    pub zones: Zones,
    /// From where; empty: from everywhere.
    pub networks: Vec<Network>,
}

/// A key that was accepted.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Which key.
    pub key: KeyId,
    /// The id of the account that answers for it.
    pub account: String,
    /// Who acts, with what is left of the account's rights.
    pub acting: Acting,
}

/// Why a key was not accepted. All of them look the same from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefused {
    /// There is no such key.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was ended, or its account was closed.
    Ended,
    /// It may not be used from this address.
    Network,
}

impl ApiKeys {
    /// Keys in `database`.
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Makes a key for the account that acts. The token is not kept: who loses it makes another key.
    ///
    /// # Errors
    /// [`ApiKeyError`]: what is asked for is not allowed, or the database did not do it.
    pub async fn make(&self, acting: &Acting, new: NewKey) -> Result<(KeyId, KeyToken), ApiKeyError> {
        let (account, limits) = check(acting, &new)?;
        let name = check_name(&new.name)?;
        let now = self.clock.now();
        let (id, token) = (KeyId::draw()?, KeyToken::draw()?);
        let expires = now.plus_ms(i64::from(new.life_days) * DAY_MS);
        let entry = Draft {
            object: Some(id.to_string()),
            detail: Some(format!("made; until {}; {}", expires.to_rfc3339(), words(&new.permissions))),
            fields: new.fields,
            ..acting.draft(now, Action::ApiKeyChanged)
        };
        let notice = Notice::new(now, To::Holders(Permission::ApiKeyEdit), NoticeKind::ApiKey)
            .with("name", &name)
            .with("until", expires.to_rfc3339());
        let (stored_id, stored, owner) = (id.to_string(), token.stored(), account.clone());
        let made = store::transact!(self.database, "api_keys.make", |conn| {
            let open: i64 = store::sqlx::query_scalar(
                "SELECT COUNT(*) FROM api_key WHERE account = $1 AND ended_at IS NULL AND expires_at > $2",
            )
            .bind(&owner)
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?;
            if open >= KEYS_PER_ACCOUNT {
                return Ok(false);
            }
            store::sqlx::query(
                "INSERT INTO api_key (id, token_hash, account, name, made_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(&stored_id)
            .bind(&stored)
            .bind(&owner)
            .bind(&name)
            .bind(now.0)
            .bind(expires.0)
            .execute(&mut *conn)
            .await?;
            for (kind, value) in &limits {
                store::sqlx::query("INSERT INTO api_key_limit (api_key, kind, value) VALUES ($1, $2, $3)")
                    .bind(&stored_id)
                    .bind(*kind)
                    .bind(value)
                    .execute(&mut *conn)
                    .await?;
            }
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
            Ok(true)
        })?;
        if made { Ok((id, token)) } else { Err(ApiKeyError::TooMany) }
    }

    /// Ends a key; it works no more from the next request on. Ending one that has ended changes nothing.
    ///
    /// # Errors
    /// [`ApiKeyError::NoKey`], [`ApiKeyError::Denied`], or the database.
    pub async fn end(&self, acting: &Acting, id: KeyId) -> Result<(), ApiKeyError> {
        acting.must(Permission::ApiKeyEdit)?;
        let now = self.clock.now();
        let stored_id = id.to_string();
        let detail = Some("ended".to_owned());
        let entry = Draft { object: Some(id.to_string()), detail, ..acting.draft(now, Action::ApiKeyChanged) };
        let known = store::transact!(self.database, "api_keys.end", |conn| {
            let known: i64 = store::sqlx::query_scalar("SELECT COUNT(*) FROM api_key WHERE id = $1")
                .bind(&stored_id)
                .fetch_one(&mut *conn)
                .await?;
            let done = store::sqlx::query(
                "UPDATE api_key SET ended_at = $1, ended_why = 'ended' WHERE id = $2 AND ended_at IS NULL",
            )
            .bind(now.0)
            .bind(&stored_id)
            .execute(&mut *conn)
            .await?;
            if done.rows_affected() > 0 {
                audit::record!(conn, &entry);
            }
            Ok(known > 0)
        })?;
        if known { Ok(()) } else { Err(ApiKeyError::NoKey) }
    }

    /// All keys, those that work first, then the newest.
    ///
    /// # Errors
    /// [`ApiKeyError::Denied`], or the database.
    pub async fn list(&self, acting: &Acting) -> Result<Vec<ApiKey>, ApiKeyError> {
        acting.must(Permission::ApiKeyEdit)?;
        let now = self.clock.now();
        let rows: Vec<KeyRow> = store::read!(self.database, "api_keys.list", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT k.id, k.name, k.account, a.login, k.made_at, k.expires_at, k.used_at, k.used_from, k.ended_at
                 FROM api_key k JOIN account a ON a.id = k.account
                 ORDER BY CASE WHEN k.ended_at IS NULL AND k.expires_at > $1 THEN 0 ELSE 1 END, k.made_at DESC, k.id
                 LIMIT $2",
            )
            .bind(now.0)
            .bind(LISTED_MAX)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let limits: Vec<(String, String, String)> = store::read!(self.database, "api_keys.list", |conn| {
            Ok(store::sqlx::query_as("SELECT api_key, kind, value FROM api_key_limit ORDER BY api_key, kind, value")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let read = |row: KeyRow| {
            let own = limits.iter().filter(|limit| limit.0 == row.id).map(|(_, kind, value)| (kind, value));
            Ok(row.read(limits_from(own.map(|(kind, value)| (kind.as_str(), value.as_str())))?)?)
        };
        rows.into_iter().map(read).collect()
    }

    /// Who calls with this token from this address, or why it is not accepted.
    ///
    /// # Errors
    /// The database.
    pub async fn resume(&self, token: &KeyToken, address: IpAddr) -> Result<Result<Caller, KeyRefused>, ApiKeyError> {
        type Row = (String, String, i64, Option<i64>, Option<i64>, Option<i64>);
        let now = self.clock.now();
        let stored = token.stored();
        let row: Option<Row> = store::read!(self.database, "api_keys.resume", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT k.id, k.account, k.expires_at, k.ended_at, a.disabled_at, k.used_at
                 FROM api_key k JOIN account a ON a.id = k.account WHERE k.token_hash = $1",
            )
            .bind(&stored)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some((id, account, expires_at, ended_at, disabled_at, used_at)) = row else {
            return Ok(Err(KeyRefused::Unknown));
        };
        if ended_at.is_some() || disabled_at.is_some() {
            return Ok(Err(KeyRefused::Ended));
        }
        if now.0 >= expires_at {
            return Ok(Err(KeyRefused::Expired));
        }
        let limits: Vec<(String, String)> = store::read!(self.database, "api_keys.resume", |conn| {
            Ok(store::sqlx::query_as("SELECT kind, value FROM api_key_limit WHERE api_key = $1")
                .bind(&id)
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let limits = limits_from(limits.iter().map(|(kind, value)| (kind.as_str(), value.as_str())))?;
        if !limits.networks.is_empty() && !limits.networks.iter().any(|network| network.contains(address)) {
            return Ok(Err(KeyRefused::Network));
        }
        let rights = self.rights_within(&account, &limits, now).await?;
        if used_at.is_none_or(|used| now.since_ms(UtcMillis(used)) >= USED_GRAIN_MS) {
            self.note_use(&id, address, now).await?;
        }
        let key = column("api_key", "id", &id, |text| KeyId::parse(text).ok_or("not 32 hexadecimal digits"))?;
        let acting = Acting { actor: Actor::ApiKey(id), rights, session: None, address: Some(address), glass: None };
        Ok(Ok(Caller { key, account, acting }))
    }

    /// What is left now of the rights of the account that answers for a key. What an open breaking of glass adds does
    /// not count: a program breaks no glass.
    async fn rights_within(&self, account: &str, limits: &Limits, now: UtcMillis) -> Result<Rights, store::Error> {
        store::read!(self.database, "api_keys.rights", |conn| {
            let standing = crate::roles::standing!(conn, account, now);
            let tables = crate::roles::tables!(conn);
            let rights = tables.rights(standing.roles.iter().map(|held| &held.grant));
            let zones = match &limits.zones {
                Zones::All => Zones::All,
                Zones::Only(zones) => {
                    let mut all = BTreeSet::new();
                    for zone in zones {
                        if let Zones::Only(more) = tables.zones(zone) {
                            all.extend(more);
                        }
                    }
                    Zones::Only(all)
                }
            };
            Ok(rights.within(&limits.permissions, &limits.fields, &zones))
        })
    }

    async fn note_use(&self, id: &str, address: IpAddr, now: UtcMillis) -> Result<(), store::Error> {
        let (id, address) = (id.to_owned(), address.to_string());
        store::transact!(self.database, "api_keys.use", |conn| {
            store::sqlx::query(
                "UPDATE api_key SET used_at = $1, used_from = $2 WHERE id = $3 AND (used_at IS NULL OR used_at < $1)",
            )
            .bind(now.0)
            .bind(&address)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })
    }
}

/// Inside a transaction: ends all keys of an account for good, also if it is opened again later.
macro_rules! end_keys_of {
    ($conn:expr, $now:expr, $account:expr) => {
        store::sqlx::query(
            "UPDATE api_key SET ended_at = $1, ended_why = 'account_closed' WHERE account = $2 AND ended_at IS NULL",
        )
        .bind($now.0)
        .bind($account)
        .execute(&mut *$conn)
        .await?
    };
}
pub(crate) use end_keys_of;

/// Kind and value of each limit.
type LimitRows = Vec<(&'static str, String)>;

/// Whether the one who acts may make such a key: for which account, and the rows of its limits.
fn check(acting: &Acting, new: &NewKey) -> Result<(String, LimitRows), ApiKeyError> {
    acting.must(Permission::ApiKeyEdit)?;
    let Actor::Account(account) = &acting.actor else { return Err(ApiKeyError::NotAnAccount) };
    if acting.glass.is_some() {
        return Err(ApiKeyError::Glass);
    }
    if !(1..=LIFE_MAX_DAYS).contains(&new.life_days) {
        return Err(ApiKeyError::BadLife);
    }
    if new.permissions.is_empty() {
        return Err(ApiKeyError::NoPermission);
    }
    if new.networks.len() > NETWORKS_MAX {
        return Err(ApiKeyError::TooManyNetworks);
    }
    for permission in &new.permissions {
        if NEVER.contains(permission) {
            return Err(ApiKeyError::Never(*permission));
        }
        let Some(own) = acting.rights.zones(*permission) else { return Err(ApiKeyError::Beyond(*permission)) };
        if own.meet(&new.zones).as_ref() != Some(&new.zones) {
            return Err(ApiKeyError::BeyondZone(*permission));
        }
    }
    if let Some(field) = new.fields.iter().find(|field| !acting.rights.shows(**field)) {
        return Err(ApiKeyError::BeyondField(*field));
    }
    let mut limits = LimitRows::new();
    limits.extend(new.permissions.iter().map(|permission| (PERMISSION, permission.to_string())));
    limits.extend(new.fields.iter().map(|field| (FIELD, field.to_string())));
    limits.extend(new.networks.iter().map(|network| (NETWORK, network.to_string())));
    if let Zones::Only(zones) = &new.zones {
        limits.extend(zones.iter().map(|zone| (ZONE, zone.to_string())));
    }
    // What was chosen twice counts once.
    limits.sort();
    limits.dedup();
    Ok((account.clone(), limits))
}

const PERMISSION: &str = "permission";
const FIELD: &str = "field";
const ZONE: &str = "zone";
const NETWORK: &str = "network";

/// Reads the rows of one key's limits.
fn limits_from<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Limits, store::Error> {
    const T: &str = "api_key_limit";
    let mut limits = Limits { permissions: vec![], fields: vec![], zones: Zones::All, networks: vec![] };
    let mut zones = BTreeSet::new();
    for (kind, value) in rows {
        match kind {
            PERMISSION => limits.permissions.push(code(T, "value", value, Permission::parse)?),
            FIELD => limits.fields.push(code(T, "value", value, Field::parse)?),
            NETWORK => limits.networks.push(column(T, "value", value, str::parse)?),
            ZONE => {
                zones.insert(column(T, "value", value, ZoneId::new)?);
            }
            // A limit that this version does not know: the key must not do more than it was made for.
            other => return Err(store::Error::bad_row(T, "kind", format!("{other:?} is not known to this version"))),
        }
    }
    if !zones.is_empty() {
        limits.zones = Zones::Only(zones);
    }
    Ok(limits)
}

fn words(permissions: &[Permission]) -> String {
    permissions.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(" ")
}

#[derive(store::sqlx::FromRow)]
struct KeyRow {
    id: String,
    name: String,
    account: String,
    login: String,
    made_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
    used_from: Option<String>,
    ended_at: Option<i64>,
}

impl KeyRow {
    fn read(&self, limits: Limits) -> Result<ApiKey, store::Error> {
        let id = column("api_key", "id", &self.id, |text| KeyId::parse(text).ok_or("not 32 hexadecimal digits"))?;
        Ok(ApiKey {
            id,
            name: self.name.clone(),
            account: self.account.clone(),
            login: self.login.clone(),
            made_at: UtcMillis(self.made_at),
            expires_at: UtcMillis(self.expires_at),
            used_at: self.used_at.map(UtcMillis),
            used_from: self.used_from.clone(),
            ended_at: self.ended_at.map(UtcMillis),
            limits,
        })
    }
}
