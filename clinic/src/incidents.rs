//! Breaches of personal data and their clock: when it was noticed, by when the authority must know, what was told to
//! whom (GDPR articles 33 and 34: 72 hours; 152-FZ article 21: 24 hours, and the result within 72).
//!
//! Owns the table `incident`. Who was affected follows from the audit log: everybody whose data one account was shown
//! in a span of time. May import `domain` and `store`.

use domain::{Denied, Permission, PersonId, UtcMillis, codes};
use sqlx::FromRow;
use store::{Database, read, transact};
use thiserror::Error;

use crate::accounts::AccountId;
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::break_glass::words;
use crate::{disclosures, draw};

/// The first word to the authority in Russia, after it was noticed.
pub const FIRST_MS: i64 = 24 * HOUR_MS;
/// The authority's term in the European Union, and the result's in Russia.
pub const AUTHORITY_MS: i64 = 72 * HOUR_MS;
const HOUR_MS: i64 = 60 * 60 * 1000;
const LIST_MAX: i64 = 500;
const AFFECTED_MAX: i64 = 100_000;

codes! {
    /// A step of dealing with it.
    Step {
        /// The first word to the authority.
        First = "first",
        /// The full notice to the authority.
        Authority = "authority",
        /// The result of the inquiry was sent.
        Result = "result",
        /// The persons were told.
        Persons = "persons",
        /// It is over.
        Closed = "closed",
    }
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// What happened, in a few words without names.
    pub title: String,
    /// When it was noticed: the clocks run from here.
    pub noticed: UtcMillis,
    /// From when to when data were open, as far as known.
    pub span: Option<(UtcMillis, UtcMillis)>,
    /// By which account, if by one.
    pub account: Option<String>,
    /// Whether the risk to persons is high, so that they must be told.
    pub is_high_risk: bool,
    /// Who wrote it down.
    pub opened_by: String,
    /// Which steps were done when, in the order of [`Step::ALL`].
    pub steps: Vec<(Step, UtcMillis)>,
}

impl Incident {
    /// When a step was done.
    pub fn done(&self, step: Step) -> Option<UtcMillis> {
        self.steps.iter().find(|(of, _)| *of == step).map(|(_, at)| *at)
    }

    /// The next term that runs and when it ends; `None` when the authority knows.
    pub fn next_term(&self) -> Option<(Step, UtcMillis)> {
        if self.done(Step::Closed).is_some() || self.done(Step::Authority).is_some() {
            return None;
        }
        match self.done(Step::First) {
            None => Some((Step::First, self.noticed.plus_ms(FIRST_MS))),
            Some(_) => Some((Step::Authority, self.noticed.plus_ms(AUTHORITY_MS))),
        }
    }
}

/// Why nothing was written.
#[derive(Debug, Error)]
pub enum IncidentError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The title is too short or too long.
    #[error("say in 10 to 500 characters what happened, without names")]
    BadTitle,
    /// Noticed in the future, or a span that ends before it begins.
    #[error("these times cannot be: an incident is noticed in the past, and ends after it begins")]
    BadTimes,
    /// No such incident, or the step was done before.
    #[error("there is no such incident, or this was done already")]
    NotFound,
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// An incident to be written down.
#[derive(Debug, Clone)]
pub struct NewIncident {
    /// What happened, in a few words without names.
    pub title: String,
    /// When it was noticed.
    pub noticed: UtcMillis,
    /// From when to when data were open.
    pub span: Option<(UtcMillis, UtcMillis)>,
    /// By which account.
    pub account: Option<AccountId>,
    /// Whether the risk to persons is high.
    pub is_high_risk: bool,
}

/// Writes an incident down; its clocks run from `noticed`. Returns its id.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`IncidentError::BadTitle`], [`IncidentError::BadTimes`]; engine errors.
pub async fn open(
    database: &Database,
    acting: &Acting,
    new: NewIncident,
    now: UtcMillis,
) -> Result<String, IncidentError> {
    acting.must(Permission::PrivacyManage)?;
    let title = words(&new.title, 10).ok_or(IncidentError::BadTitle)?;
    if new.noticed > now || new.span.is_some_and(|(from, until)| from > until) {
        return Err(IncidentError::BadTimes);
    }
    let id = draw::id()?;
    let draft = Draft {
        object: Some(id.clone()),
        purpose: Some(Purpose::Incident),
        detail: Some(format!("incident opened; noticed={}; high_risk={}", new.noticed, new.is_high_risk)),
        ..acting.draft(now, Action::IncidentHandled)
    };
    let (key, by) = (id.clone(), disclosures::actor_code(&acting.actor));
    transact!(database, "incidents.open", |conn| {
        sqlx::query(
            "INSERT INTO incident (id, title, noticed_ms, from_ms, until_ms, account, high_risk, opened_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&key)
        .bind(&title)
        .bind(new.noticed.0)
        .bind(new.span.map(|(from, _)| from.0))
        .bind(new.span.map(|(_, until)| until.0))
        .bind(new.account.as_ref().map(AccountId::as_str))
        .bind(i64::from(new.is_high_risk))
        .bind(&by)
        .execute(&mut *conn)
        .await?;
        audit::record!(conn, &draft);
        Ok(())
    })?;
    Ok(id)
}

/// Writes down that a step was done now.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`IncidentError::NotFound`]; engine errors.
pub async fn mark(
    database: &Database,
    acting: &Acting,
    id: &str,
    step: Step,
    now: UtcMillis,
) -> Result<(), IncidentError> {
    acting.must(Permission::PrivacyManage)?;
    let draft = Draft {
        object: Some(id.to_owned()),
        purpose: Some(Purpose::Incident),
        detail: Some(format!("incident step={step}")),
        ..acting.draft(now, Action::IncidentHandled)
    };
    let id = id.to_owned();
    let text = match step {
        Step::First => "UPDATE incident SET first_ms = $1 WHERE id = $2 AND first_ms IS NULL",
        Step::Authority => "UPDATE incident SET authority_ms = $1 WHERE id = $2 AND authority_ms IS NULL",
        Step::Result => "UPDATE incident SET result_ms = $1 WHERE id = $2 AND result_ms IS NULL",
        Step::Persons => "UPDATE incident SET persons_ms = $1 WHERE id = $2 AND persons_ms IS NULL",
        Step::Closed => "UPDATE incident SET closed_ms = $1 WHERE id = $2 AND closed_ms IS NULL",
    };
    let changed = transact!(database, "incidents.mark", |conn| {
        let changed = sqlx::query(text).bind(now.0).bind(&id).execute(&mut *conn).await?.rows_affected();
        if changed > 0 {
            audit::record!(conn, &draft);
        }
        Ok(changed)
    })?;
    if changed > 0 { Ok(()) } else { Err(IncidentError::NotFound) }
}

#[derive(FromRow)]
struct Row {
    id: String,
    title: String,
    noticed_ms: i64,
    from_ms: Option<i64>,
    until_ms: Option<i64>,
    account: Option<String>,
    high_risk: i64,
    opened_by: String,
    first_ms: Option<i64>,
    result_ms: Option<i64>,
    authority_ms: Option<i64>,
    persons_ms: Option<i64>,
    closed_ms: Option<i64>,
}

impl From<Row> for Incident {
    fn from(row: Row) -> Self {
        let marks = [
            (Step::First, row.first_ms),
            (Step::Authority, row.authority_ms),
            (Step::Result, row.result_ms),
            (Step::Persons, row.persons_ms),
            (Step::Closed, row.closed_ms),
        ];
        Self {
            id: row.id,
            title: row.title,
            noticed: UtcMillis(row.noticed_ms),
            span: row.from_ms.zip(row.until_ms).map(|(from, until)| (UtcMillis(from), UtcMillis(until))),
            account: row.account,
            is_high_risk: row.high_risk != 0,
            opened_by: row.opened_by,
            steps: marks.into_iter().filter_map(|(step, at)| at.map(|at| (step, UtcMillis(at)))).collect(),
        }
    }
}

/// Incidents: those that are not over first, then the newest; at most 500.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; engine errors.
pub async fn list(database: &Database, acting: &Acting) -> Result<Vec<Incident>, IncidentError> {
    acting.must(Permission::PrivacyManage)?;
    let rows: Vec<Row> = read!(database, "incidents.list", |conn| {
        Ok(sqlx::query_as(
            "SELECT * FROM incident ORDER BY CASE WHEN closed_ms IS NULL THEN 0 ELSE 1 END, noticed_ms DESC, id LIMIT $1",
        )
        .bind(LIST_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(Incident::from).collect())
}

/// Whose data the incident's account was shown or gave away in its span, at most 100,000; without an account, by
/// anybody. Empty when the span is not known.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; [`IncidentError::NotFound`]; engine errors.
pub async fn affected(database: &Database, acting: &Acting, id: &str) -> Result<Vec<PersonId>, IncidentError> {
    let all = list(database, acting).await?;
    let incident = all.into_iter().find(|incident| incident.id == id).ok_or(IncidentError::NotFound)?;
    let Some((from, until)) = incident.span else { return Ok(Vec::new()) };
    let account = incident.account.as_deref();
    let ids: Vec<String> = read!(database, "incidents.affected", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT subject FROM audit_entry
             WHERE at_ms >= $1 AND at_ms <= $2 AND ($3 IS NULL OR actor = $3) AND subject IS NOT NULL
               AND action IN ('person_seen', 'person_revealed')
             UNION
             SELECT p.person FROM disclosure_person p JOIN disclosure d ON d.id = p.disclosure
             WHERE d.at_ms >= $1 AND d.at_ms <= $2 AND ($3 IS NULL OR d.actor = $3)
             ORDER BY 1 LIMIT $4",
        )
        .bind(from.0)
        .bind(until.0)
        .bind(account)
        .bind(AFFECTED_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(disclosures::person_ids("disclosure_person", &ids)?)
}
