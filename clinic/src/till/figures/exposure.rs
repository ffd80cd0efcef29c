//! What is owed of which limit: by group and contract, by patient, and what supervisors have allowed on top.

use domain::money::{Amount, Currency};
use domain::till::{Owner, Scope};
use domain::{Permission, PersonId, UtcMillis};
use store::{Error, read};

use super::{Days, person};
use crate::acting::Acting;
use crate::rows::{code, column, number};
use crate::till::account::limits_of;
use crate::till::ledger::{amount, currency};
use crate::till::{Till, TillError};

/// From this share of a limit on, in per cent, it is near its end.
pub const NEAR_PER_CENT: u32 = 80;
/// Most patients of the list; those nearest to the end of their limit come first.
pub const PATIENTS_MAX: usize = 1000;
/// Most overrides of one list, the newest first.
pub const OVERRIDES_MAX: usize = 1000;

/// What is owed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// By group and contract, and in each currency; the nearest to the end of its limit first.
    pub groups: Vec<GroupExposure>,
    /// Patients who owe something, the nearest to the end of their limit first; at most [`PATIENTS_MAX`].
    pub patients: Vec<PatientExposure>,
}

/// What is owed on the terms of a group or contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupExposure {
    /// Its id.
    pub payer: String,
    /// Its name.
    pub name: String,
    /// The currency.
    pub currency: Currency,
    /// The shared limit, where there is one, without what was allowed on top.
    pub limit: Option<Amount>,
    /// Allowed on top of it now.
    pub extra: Amount,
    /// What counts against the shared limit now.
    pub used: Amount,
    /// What is owed on its terms, whether or not that counts against a shared limit.
    pub owed: Amount,
    /// How many patients owe it.
    pub patients: u64,
    /// Members today.
    pub members: u64,
}

impl GroupExposure {
    /// How much of the shared limit is used, in per cent; `None` without a shared limit.
    pub fn share(&self) -> Option<u32> {
        share(self.used, self.limit, self.extra)
    }
}

/// What one patient owes of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientExposure {
    /// Who, by pseudonym.
    pub patient: PersonId,
    /// The currency.
    pub currency: Currency,
    /// Owed.
    pub owed: Amount,
    /// The patient's own limit by the terms of today, without what was allowed on top; `None`: only a pot bounds it, or the
    /// terms are not postpaid any more.
    pub limit: Option<Amount>,
    /// Allowed on top of it now.
    pub extra: Amount,
}

impl PatientExposure {
    /// How much of the limit is used, in per cent; `None` without a limit.
    pub fn share(&self) -> Option<u32> {
        share(self.owed, self.limit, self.extra)
    }
}

/// One thing that was allowed on top of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideLine {
    /// Its number.
    pub no: u64,
    /// On top of whose limit.
    pub owner: Owner,
    /// The name of the group or contract.
    pub name: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// How much.
    pub extra: Amount,
    /// Why: a code.
    pub reason: String,
    /// From when.
    pub from: UtcMillis,
    /// Until when.
    pub until: UtcMillis,
    /// When it was ended before that.
    pub ended: Option<UtcMillis>,
    /// The kind and id of who allowed it.
    pub actor: (String, Option<String>),
}

/// `used` of `limit + extra` in per cent, rounded down; a limit of nothing that is used counts as full.
fn share(used: Amount, limit: Option<Amount>, extra: Amount) -> Option<u32> {
    let all = i128::from(limit?.minor()) + i128::from(extra.minor());
    let used = i128::from(used.minor().max(0));
    let share = match (all, used) {
        (_, 0) => 0,
        (0, _) => 100,
        _ => used * 100 / all,
    };
    Some(u32::try_from(share).unwrap_or(u32::MAX))
}

/// Reads whom terms are for.
pub(super) fn owner(scope: &str, text: &str) -> Result<(Scope, Owner), Error> {
    let scope = code("terms", "scope", scope, Scope::parse)?;
    let owner = match scope {
        Scope::Everybody => Owner::Everybody,
        Scope::Group | Scope::Contract => Owner::Payer(text.to_owned()),
        Scope::Patient => Owner::Patient(column("terms", "owner", text, str::parse)?),
    };
    Ok((scope, owner))
}

impl Till {
    /// What is owed now, of which limits.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_report`; engine errors.
    pub async fn exposure(&self, acting: &Acting) -> Result<Exposure, TillError> {
        acting.must(Permission::TillReport)?;
        self.note_figures(acting, "exposure").await?;
        let (now, today) = (self.clock.now(), i64::from(self.today().0));
        let (groups, patients): (Vec<GroupRow>, Vec<PatientRow>) = read!(self.database, "till.exposure", |conn| {
            let groups = sqlx::query_as(
                "SELECT k.payer, y.name, k.currency, p.limit_minor, COALESCE(p.used_minor, 0) AS used,
                     COALESCE((SELECT CAST(SUM(o.extra_minor) AS BIGINT) FROM limit_override o
                         WHERE o.owner = k.payer AND o.currency = k.currency AND o.ended_ms IS NULL AND o.from_ms <= $1
                           AND o.until_ms > $1), 0) AS extra,
                     COALESCE(w.owed, 0) AS owed, COALESCE(w.patients, 0) AS patients,
                     (SELECT CAST(COUNT(DISTINCT m.person) AS BIGINT) FROM payer_member m WHERE m.payer = k.payer
                         AND m.from_day <= $2 AND (m.until_day IS NULL OR m.until_day >= $2)) AS members
                 FROM (SELECT payer, currency FROM pot
                       UNION SELECT owner, currency FROM terms
                             WHERE is_current = 1 AND withdrawn = 0 AND scope IN ('group', 'contract')) k
                 JOIN payer y ON y.id = k.payer
                 LEFT JOIN pot p ON p.payer = k.payer AND p.currency = k.currency
                 LEFT JOIN (SELECT t.owner, c.currency,
                                CAST(SUM(c.net_minor - c.paid_minor - c.written_off_minor) AS BIGINT) AS owed,
                                CAST(COUNT(DISTINCT c.patient) AS BIGINT) AS patients
                            FROM charge c JOIN terms t ON t.id = c.terms AND t.version = c.terms_version
                            WHERE c.state <> 'cancelled' AND c.paid_minor + c.written_off_minor < c.net_minor
                              AND c.state = 'rendered'
                            GROUP BY t.owner, c.currency) w ON w.owner = k.payer AND w.currency = k.currency",
            )
            .bind(now.0)
            .bind(today)
            .fetch_all(&mut *conn)
            .await?;
            let patients = sqlx::query_as(
                "SELECT b.person, b.currency, b.owed_minor,
                     COALESCE((SELECT CAST(SUM(o.extra_minor) AS BIGINT) FROM limit_override o
                         WHERE o.owner = b.person AND o.currency = b.currency AND o.ended_ms IS NULL AND o.from_ms <= $1
                           AND o.until_ms > $1), 0) AS extra
                 FROM till_balance b WHERE b.owed_minor > 0 ORDER BY b.owed_minor DESC, b.person LIMIT $2",
            )
            .bind(now.0)
            .bind(OWING_MAX)
            .fetch_all(&mut *conn)
            .await?;
            Ok((groups, patients))
        })?;
        let mut groups = groups.into_iter().map(GroupRow::read).collect::<Result<Vec<_>, _>>()?;
        groups.sort_by(|a, b| {
            (b.share(), b.owed)
                .cmp(&(a.share(), a.owed))
                .then_with(|| (&a.name, a.currency).cmp(&(&b.name, b.currency)))
        });
        let patients = patients.into_iter().map(PatientRow::read).collect::<Result<Vec<_>, _>>()?;
        let mut patients = self.with_limits(patients).await?;
        patients.sort_by(|a, b| (b.share(), b.owed).cmp(&(a.share(), a.owed)).then_with(|| a.patient.cmp(&b.patient)));
        patients.truncate(PATIENTS_MAX);
        Ok(Exposure { groups, patients })
    }

    /// What was allowed on top of limits within days, the newest first, at most [`OVERRIDES_MAX`].
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_report`; [`TillError::Invalid`]; engine errors.
    pub async fn overrides_given(&self, acting: &Acting, days: &Days) -> Result<Vec<OverrideLine>, TillError> {
        acting.must(Permission::TillReport)?;
        days.check()?;
        self.note_figures(acting, "overrides").await?;
        let (from, until) = self.span(days);
        let only = days.currency.map(|currency| currency.to_string());
        let rows: Vec<OverrideRow> = read!(self.database, "till.overrides_given", |conn| {
            Ok(sqlx::query_as(
                "SELECT o.no, o.target, o.owner, y.name, o.currency, o.extra_minor, o.reason, o.from_ms, o.until_ms,
                     o.ended_ms, o.actor_kind, o.actor
                 FROM limit_override o LEFT JOIN payer y ON y.id = o.owner
                 WHERE o.from_ms >= $1 AND o.from_ms < $2 AND ($3 IS NULL OR o.currency = $3)
                 ORDER BY o.from_ms DESC, o.no DESC LIMIT $4",
            )
            .bind(from.0)
            .bind(until.0)
            .bind(&only)
            .bind(OVERRIDES_MAX as i64)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(OverrideRow::read).collect::<Result<_, _>>()?)
    }

    /// When the first of these days begins in the clinic's zone, and when the day after the last one does.
    pub(super) fn span(&self, days: &Days) -> (UtcMillis, UtcMillis) {
        (self.begin_of(days.from), self.begin_of(domain::schedule::LocalDate(days.until.0.saturating_add(1))))
    }

    /// When a day begins in the clinic's zone. A midnight that does not exist (clocks set forward) is the first instant
    /// after it.
    fn begin_of(&self, day: domain::schedule::LocalDate) -> UtcMillis {
        use chrono::TimeZone as _;
        let date = chrono::NaiveDate::from_ymd_opt(1970, 1, 1)
            .and_then(|epoch| epoch.checked_add_signed(chrono::TimeDelta::days(i64::from(day.0))));
        let found = date.and_then(|date| {
            (0..=24_u32).find_map(|quarter| {
                let local = date.and_hms_opt(quarter / 4, quarter % 4 * 15, 0)?;
                self.zone.from_local_datetime(&local).earliest()
            })
        });
        found.map_or(UtcMillis(i64::from(day.0).saturating_mul(86_400_000)), |at| UtcMillis(at.timestamp_millis()))
    }

    /// The patients' own limits by the terms of today.
    async fn with_limits(&self, mut patients: Vec<PatientExposure>) -> Result<Vec<PatientExposure>, TillError> {
        let today = self.today();
        for some in patients.chunks_mut(MANY_MAX) {
            let ids: Vec<PersonId> = some.iter().map(|line| line.patient).collect();
            let limits =
                read!(self.database, "till.exposure.limits", |conn| { limits_of(&mut *conn, &ids, today).await })?;
            for line in some {
                line.limit = limits.get(&(line.patient, line.currency)).copied();
            }
        }
        Ok(patients)
    }
}

/// Patients who owe something and are looked at for the list; those who owe most.
const OWING_MAX: i64 = 20_000;
/// Patients whose terms are read at once.
const MANY_MAX: usize = 1000;

#[derive(sqlx::FromRow)]
struct GroupRow {
    payer: String,
    name: String,
    currency: String,
    limit_minor: Option<i64>,
    used: i64,
    extra: i64,
    owed: i64,
    patients: i64,
    members: i64,
}

impl GroupRow {
    fn read(self) -> Result<GroupExposure, Error> {
        const T: &str = "pot";
        Ok(GroupExposure {
            payer: self.payer,
            name: self.name,
            currency: currency(T, &self.currency)?,
            limit: self.limit_minor.map(|minor| amount(T, "limit_minor", minor)).transpose()?,
            used: amount(T, "used_minor", self.used)?,
            extra: amount(T, "extra", self.extra)?,
            owed: amount(T, "owed", self.owed)?,
            patients: number(T, "patients", self.patients)?,
            members: number(T, "members", self.members)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct PatientRow {
    person: String,
    currency: String,
    owed_minor: i64,
    extra: i64,
}

impl PatientRow {
    fn read(self) -> Result<PatientExposure, Error> {
        const T: &str = "till_balance";
        Ok(PatientExposure {
            patient: person(T, &self.person)?,
            currency: currency(T, &self.currency)?,
            owed: amount(T, "owed_minor", self.owed_minor)?,
            limit: None,
            extra: amount(T, "extra", self.extra)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct OverrideRow {
    no: i64,
    target: String,
    owner: String,
    name: Option<String>,
    currency: String,
    extra_minor: i64,
    reason: String,
    from_ms: i64,
    until_ms: i64,
    ended_ms: Option<i64>,
    actor_kind: String,
    actor: Option<String>,
}

impl OverrideRow {
    fn read(self) -> Result<OverrideLine, Error> {
        const T: &str = "limit_override";
        let owner = match self.target.as_str() {
            "patient" => Owner::Patient(person(T, &self.owner)?),
            _ => Owner::Payer(self.owner),
        };
        Ok(OverrideLine {
            no: number(T, "no", self.no)?,
            owner,
            name: self.name,
            currency: currency(T, &self.currency)?,
            extra: amount(T, "extra_minor", self.extra_minor)?,
            reason: self.reason,
            from: UtcMillis(self.from_ms),
            until: UtcMillis(self.until_ms),
            ended: self.ended_ms.map(UtcMillis),
            actor: (self.actor_kind, self.actor),
        })
    }
}
