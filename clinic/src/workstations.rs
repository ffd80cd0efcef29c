//! Which browser stands at which desk. A workstation is an access point of the kind `workstation`; its browser is known
//! by a cookie of 256 random bits, of which the hash is kept, and gets it from somebody who may set up workstations:
//! at the browser itself, or by a one-time code.
//!
//! Owns the table `desk_enrolment` and the columns of `workstation` that are about the browser and the name. Never says
//! who works there (`desk` does). May import `domain` and `store`.

mod token;

pub use token::{DeskToken, EnrolCode};

use domain::{Clock, Denied, Permission, PointId, UtcMillis, ZoneId};
use store::{Database, Error, read, transact};

use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::rows::column;

/// How long a code is good for, in milliseconds: long enough to walk to the room.
pub const CODE_LIFE_MS: i64 = 30 * 60_000;
/// Longest name of a workstation, in characters.
pub const NAME_MAX_CHARS: usize = 80;
/// Workstations listed at most.
const LISTED_MAX: i64 = 5000;

/// Why a workstation was not set up.
#[derive(Debug, thiserror::Error)]
pub enum WorkstationError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such workstation in the layout.
    #[error("there is no access point of the kind workstation with this name")]
    Unknown,
    /// The code is wrong, used or too old.
    #[error("this code is not good: it was used, is too old, or was mistyped; ask for another one")]
    CodeSpent,
    /// The name is empty or too long.
    #[error("a name has 1 to {NAME_MAX_CHARS} characters and no control characters")]
    BadName,
    /// The engine.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workstation {
    /// Which access point.
    pub point: PointId,
    /// The zone it stands in: its room.
    pub zone: ZoneId,
    /// Its name for people; empty: that of the point.
    pub name: String,
    /// What the medical system calls it.
    pub external: Option<String>,
    /// Since when a browser is its own; `None`: none is.
    pub enrolled: Option<UtcMillis>,
    /// Who enrolled it: the id of an account.
    pub enrolled_by: Option<String>,
    /// Until when a code is open by which a browser can be enrolled.
    pub code_until: Option<UtcMillis>,
}

/// The commands of this module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workstations {
    database: Database,
    clock: Clock,
}

#[derive(sqlx::FromRow)]
struct Row {
    point: String,
    zone: String,
    name: Option<String>,
    external: Option<String>,
    enrolled_ms: Option<i64>,
    enrolled_by: Option<String>,
    code_until: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Workstation, Error> {
        Ok(Workstation {
            point: column("point", "id", &self.point, PointId::new)?,
            zone: column("point", "to_zone", &self.zone, ZoneId::new)?,
            name: self.name.unwrap_or_default(),
            external: self.external,
            enrolled: self.enrolled_ms.map(UtcMillis),
            enrolled_by: self.enrolled_by,
            code_until: self.code_until.map(UtcMillis),
        })
    }
}

impl Workstations {
    /// Workstations in `database`.
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// The workstations of the layout in its order, at most 5,000.
    ///
    /// # Errors
    /// [`WorkstationError::Denied`], or the database.
    pub async fn list(&self, acting: &Acting) -> Result<Vec<Workstation>, WorkstationError> {
        acting.must(Permission::DeskManage)?;
        let now = self.clock.now();
        let rows: Vec<Row> = read!(self.database, "workstations.list", |conn| {
            Ok(sqlx::query_as(
                "SELECT p.id AS point, p.to_zone AS zone, w.name, w.external,
                     CASE WHEN w.token_hash IS NULL THEN NULL ELSE w.enrolled_ms END AS enrolled_ms,
                     CASE WHEN w.token_hash IS NULL THEN NULL ELSE w.enrolled_by END AS enrolled_by,
                     (SELECT MAX(e.expires_ms) FROM desk_enrolment e WHERE e.point = p.id AND e.expires_ms > $1)
                         AS code_until
                 FROM point p LEFT JOIN workstation w ON w.point = p.id
                 WHERE p.kind = 'workstation' ORDER BY p.position, p.id LIMIT $2",
            )
            .bind(now.0)
            .bind(LISTED_MAX)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(Row::read).collect::<Result<_, _>>()?)
    }

    /// The workstation of the browser that holds this token; `None` if it was withdrawn, or left the layout.
    ///
    /// # Errors
    /// The database.
    pub async fn resume(&self, token: &DeskToken) -> Result<Option<Workstation>, Error> {
        let stored = token.stored();
        let row: Option<Row> = read!(self.database, "workstations.resume", |conn| {
            Ok(sqlx::query_as(
                "SELECT w.point, p.to_zone AS zone, w.name, w.external, w.enrolled_ms, w.enrolled_by,
                     CAST(NULL AS BIGINT) AS code_until
                 FROM workstation w JOIN point p ON p.id = w.point AND p.kind = 'workstation'
                 WHERE w.token_hash = $1",
            )
            .bind(&stored)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        row.map(Row::read).transpose()
    }

    /// Makes this workstation's browser the one of who acts: the token is for its cookie. The browser that was it
    /// before is no longer.
    ///
    /// # Errors
    /// [`WorkstationError`]: no right, no such workstation, or the database.
    pub async fn enrol(&self, acting: &Acting, point: &PointId) -> Result<DeskToken, WorkstationError> {
        acting.must(Permission::DeskManage)?;
        let now = self.clock.now();
        let token = DeskToken::draw()?;
        let stored = token.stored();
        let by = acting.actor.id().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let entry = entry(acting, now, point, "browser enrolled");
        let point = point.to_string();
        let known = transact!(self.database, "workstations.enrol", |conn| {
            if !is_workstation!(conn, &point) {
                return Ok(false);
            }
            bind!(conn, &point, &stored, now, &by);
            audit::record!(conn, &entry);
            Ok(true)
        })?;
        if known { Ok(token) } else { Err(WorkstationError::Unknown) }
    }

    /// A code by which the browser of this workstation is enrolled, once, within [`CODE_LIFE_MS`]. Earlier codes of the
    /// workstation are void.
    ///
    /// # Errors
    /// [`WorkstationError`]: no right, no such workstation, or the database.
    pub async fn make_code(&self, acting: &Acting, point: &PointId) -> Result<EnrolCode, WorkstationError> {
        acting.must(Permission::DeskManage)?;
        let now = self.clock.now();
        let code = EnrolCode::draw()?;
        let stored = code.stored();
        let by = acting.actor.id().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let entry = entry(acting, now, point, "code made");
        let point = point.to_string();
        let known = transact!(self.database, "workstations.make_code", |conn| {
            if !is_workstation!(conn, &point) {
                return Ok(false);
            }
            sqlx::query("DELETE FROM desk_enrolment WHERE point = $1 OR expires_ms <= $2")
                .bind(&point)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query(
                "INSERT INTO desk_enrolment (code_hash, point, made_ms, made_by, expires_ms)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(&stored)
            .bind(&point)
            .bind(now.0)
            .bind(&by)
            .bind(now.plus_ms(CODE_LIFE_MS).0)
            .execute(&mut *conn)
            .await?;
            audit::record!(conn, &entry);
            Ok(true)
        })?;
        if known { Ok(code) } else { Err(WorkstationError::Unknown) }
    }

    /// Redeems a code: the token is for the cookie of the browser that asked. Whoever holds the code is who was given it.
    ///
    /// # Errors
    /// [`WorkstationError::CodeSpent`], or the database.
    pub async fn redeem(
        &self,
        code: &EnrolCode,
        address: Option<std::net::IpAddr>,
    ) -> Result<(PointId, DeskToken), WorkstationError> {
        let now = self.clock.now();
        let token = DeskToken::draw()?;
        let (stored, code) = (token.stored(), code.stored());
        let point: Option<String> = transact!(self.database, "workstations.redeem", |conn| {
            let found: Option<(String, String)> = sqlx::query_as(
                "DELETE FROM desk_enrolment WHERE code_hash = $1 AND expires_ms > $2 RETURNING point, made_by",
            )
            .bind(&code)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((point, by)) = found else { return Ok(None) };
            if !is_workstation!(conn, &point) {
                return Ok(None);
            }
            bind!(conn, &point, &stored, now, &by);
            let entry = Draft {
                object: Some(point.clone()),
                detail: Some("browser enrolled by code".to_owned()),
                address: address.map(|address| address.to_string()),
                ..Draft::new(now, Actor::Account(by), Action::DeskChanged)
            };
            audit::record!(conn, &entry);
            Ok(Some(point))
        })?;
        match point {
            Some(point) => Ok((column("desk_enrolment", "point", &point, PointId::new)?, token)),
            None => Err(WorkstationError::CodeSpent),
        }
    }

    /// Takes the browser away from a workstation, and its open code: its next request is that of a stranger.
    ///
    /// # Errors
    /// [`WorkstationError`]: no right, no such workstation, or the database.
    pub async fn withdraw(&self, acting: &Acting, point: &PointId) -> Result<(), WorkstationError> {
        acting.must(Permission::DeskManage)?;
        let entry = entry(acting, self.clock.now(), point, "browser withdrawn");
        let point = point.to_string();
        let known = transact!(self.database, "workstations.withdraw", |conn| {
            if !is_workstation!(conn, &point) {
                return Ok(false);
            }
            sqlx::query("UPDATE workstation SET token_hash = NULL WHERE point = $1")
                .bind(&point)
                .execute(&mut *conn)
                .await?;
            sqlx::query("DELETE FROM desk_enrolment WHERE point = $1").bind(&point).execute(&mut *conn).await?;
            audit::record!(conn, &entry);
            Ok(true)
        })?;
        if known { Ok(()) } else { Err(WorkstationError::Unknown) }
    }

    /// Gives a workstation a name for people.
    ///
    /// # Errors
    /// [`WorkstationError`]: no right, a bad name, no such workstation, or the database.
    pub async fn rename(&self, acting: &Acting, point: &PointId, name: &str) -> Result<(), WorkstationError> {
        acting.must(Permission::DeskManage)?;
        let name = name.trim().to_owned();
        let length = name.chars().count();
        if length == 0 || length > NAME_MAX_CHARS || name.chars().any(char::is_control) {
            return Err(WorkstationError::BadName);
        }
        let entry = entry(acting, self.clock.now(), point, "renamed");
        let point = point.to_string();
        let known = transact!(self.database, "workstations.rename", |conn| {
            if !is_workstation!(conn, &point) {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO workstation (point, name) VALUES ($1, $2)
                 ON CONFLICT (point) DO UPDATE SET name = excluded.name",
            )
            .bind(&point)
            .bind(&name)
            .execute(&mut *conn)
            .await?;
            audit::record!(conn, &entry);
            Ok(true)
        })?;
        if known { Ok(()) } else { Err(WorkstationError::Unknown) }
    }
}

fn entry(acting: &Acting, now: UtcMillis, point: &PointId, what: &str) -> Draft {
    Draft { object: Some(point.to_string()), detail: Some(what.to_owned()), ..acting.draft(now, Action::DeskChanged) }
}

/// Whether the layout has such a workstation.
macro_rules! is_workstation {
    ($conn:expr, $point:expr) => {{
        let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM point WHERE id = $1 AND kind = 'workstation'")
            .bind($point)
            .fetch_one(&mut *$conn)
            .await?;
        known > 0
    }};
}
use is_workstation;

/// Binds a browser to a workstation.
macro_rules! bind {
    ($conn:expr, $point:expr, $stored:expr, $now:expr, $by:expr) => {
        sqlx::query(
            "INSERT INTO workstation (point, name, token_hash, enrolled_ms, enrolled_by) VALUES ($1, '', $2, $3, $4)
             ON CONFLICT (point) DO UPDATE SET token_hash = excluded.token_hash,
                 enrolled_ms = excluded.enrolled_ms, enrolled_by = excluded.enrolled_by",
        )
        .bind($point)
        .bind($stored)
        .bind($now.0)
        .bind($by)
        .execute(&mut *$conn)
        .await?;
        sqlx::query("DELETE FROM desk_enrolment WHERE point = $1").bind($point).execute(&mut *$conn).await?;
    };
}
use bind;
