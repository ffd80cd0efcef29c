//! The feed of changes: what happened at desks and with visits, appended in the transaction of the fact itself and
//! numbered in the order of the commits without a gap. Pages, FHIRcast, the OpenID provider, deliveries to other systems
//! and the feed of the HTTP API follow it from a cursor each. Owns the table `change`; knows pseudonyms and codes only.

use domain::{PersonId, PointId, UtcMillis, codes};
use store::{Database, Error, read};

use crate::rows::{code, column, optional};

/// Most changes read at once.
pub const READ_MAX: u32 = 1000;
/// Longest [`Change::detail`], in bytes; the rest is cut off.
pub const DETAIL_MAX_BYTES: usize = 1000;

codes! {
    /// What changed. Stable codes: other systems read them.
    ChangeKind {
        /// A specialist was bound to a workstation; work there began.
        SessionOpened = "session_opened",
        /// The one who is bound tapped again, or confirmed with a second factor: they are here now.
        SessionConfirmed = "session_confirmed",
        /// The specialist's second factor is wanted before the workstation can be used.
        FactorWanted = "factor_wanted",
        /// The workstation was locked; the specialist stays bound.
        SessionLocked = "session_locked",
        /// The workstation was unlocked by its specialist.
        SessionUnlocked = "session_unlocked",
        /// The binding ended; the reason says why.
        SessionEnded = "session_ended",
        /// A tap at a workstation did nothing; the reason says why.
        TapRefused = "tap_refused",
        /// More than one appointment, or none, fits: a person must choose before the visit starts.
        ChoiceWanted = "choice_wanted",
        /// A visit started.
        VisitStarted = "visit_started",
        /// The patient of a running visit tapped again: nothing changes, the chart is shown again.
        VisitConfirmed = "visit_confirmed",
        /// A visit ended; the reason says why.
        VisitEnded = "visit_ended",
        /// A visit was taken back: it never was.
        VisitCancelled = "visit_cancelled",
        /// Something was done without the card it needs; a reason was given.
        OutOfCard = "out_of_card",
        /// A sign-in to the medical system without a card was reported or seen.
        IrregularSignIn = "irregular_sign_in",
        /// An appointment came, changed or was called off.
        AppointmentChanged = "appointment_changed",
        /// A person's record changed.
        PersonChanged = "person_changed",
        /// Two records became one; `detail` is the id of the one that is left.
        PersonMerged = "person_merged",
        /// A staff member came, changed or left.
        StaffChanged = "staff_changed",
        /// A service was ordered on prepaid terms; `detail` is the id of the charge.
        ChargeOrdered = "charge_ordered",
        /// A service was rendered; `detail` is the id of the charge.
        ChargeRendered = "charge_rendered",
        /// A registered service was taken back; `detail` is the id of the charge.
        ChargeCancelled = "charge_cancelled",
        /// Registering a service was refused; the reason says why.
        ChargeRefused = "charge_refused",
        /// Money was taken from a patient or given back; `detail` is the id of the payment.
        PaymentTaken = "payment_taken",
        /// A payment did not hold; `detail` is the id of the payment.
        PaymentReturned = "payment_returned",
        /// Limits, terms or balances of a patient changed otherwise.
        TermsChanged = "terms_changed",
        /// A program at the workstation did not follow what was opened there; the reason says why.
        OutOfSync = "out_of_sync",
        /// The program follows again.
        InSync = "in_sync",
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// 1, 2, 3 … in the order of the commits; 0 before it is stored.
    pub id: u64,
    /// When it was stored.
    pub at: UtcMillis,
    /// When it happened: for a tap, at the reader.
    pub happened: UtcMillis,
    /// What.
    pub kind: ChangeKind,
    /// Why, as a stable code of the module that wrote it.
    pub reason: Option<String>,
    /// At which workstation.
    pub workstation: Option<PointId>,
    /// In which binding.
    pub session: Option<String>,
    /// Which specialist.
    pub staff: Option<PersonId>,
    /// Which patient.
    pub patient: Option<PersonId>,
    /// Which visit.
    pub visit: Option<String>,
    /// Which appointment.
    pub appointment: Option<String>,
    /// Further facts in codes of ours. Never personal data.
    pub detail: Option<String>,
}

impl Change {
    /// A change without anything optional; fill in the rest by struct update.
    pub const fn new(at: UtcMillis, happened: UtcMillis, kind: ChangeKind) -> Self {
        Self {
            id: 0,
            at,
            happened,
            kind,
            reason: None,
            workstation: None,
            session: None,
            staff: None,
            patient: None,
            visit: None,
            appointment: None,
            detail: None,
        }
    }
}

/// An engine's connection inside a transaction, to which changes can be added.
#[allow(dead_code, reason = "used by the modules that change something")]
pub(crate) trait Feed {
    /// Adds a change and returns its number. Locks the feed until the transaction ends, so take this last.
    ///
    /// # Errors
    /// Engine errors.
    async fn append_change(&mut self, change: &Change) -> Result<u64, Error>;

    /// Adds many changes with as few statements as there can be. Locks the feed as well.
    ///
    /// # Errors
    /// Engine errors.
    async fn append_changes(&mut self, changes: &[Change]) -> Result<(), Error>;
}

macro_rules! feed_on {
    ($connection:ty) => {
        impl Feed for $connection {
            async fn append_change(&mut self, change: &Change) -> Result<u64, Error> {
                let id: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value")
                        .fetch_one(&mut *self)
                        .await?;
                let detail = change.detail.as_deref().map(|text| cut(text, DETAIL_MAX_BYTES));
                sqlx::query(
                    "INSERT INTO change (id, at_ms, happened_ms, kind, reason, workstation, session, staff, patient,
                         visit, appointment, detail)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                )
                .bind(id)
                .bind(change.at.0)
                .bind(change.happened.0)
                .bind(change.kind.as_str())
                .bind(change.reason.as_deref())
                .bind(change.workstation.as_ref().map(PointId::as_str))
                .bind(change.session.as_deref())
                .bind(change.staff.map(|it| it.to_string()))
                .bind(change.patient.map(|it| it.to_string()))
                .bind(change.visit.as_deref())
                .bind(change.appointment.as_deref())
                .bind(detail)
                .execute(&mut *self)
                .await?;
                Ok(id.cast_unsigned())
            }

            async fn append_changes(&mut self, changes: &[Change]) -> Result<(), Error> {
                for some in store::in_parts(changes) {
                    let count = i64::try_from(some.len()).unwrap_or(i64::MAX);
                    let last: i64 = sqlx::query_scalar(
                        "UPDATE counter SET value = value + $1 WHERE name = 'change' RETURNING value",
                    )
                    .bind(count)
                    .fetch_one(&mut *self)
                    .await?;
                    let mut id = last - count;
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO change (id, at_ms, happened_ms, kind, reason, workstation, session, staff, patient,
                             visit, appointment, detail) ",
                    );
                    insert.push_values(some, |mut row, change| {
                        id += 1;
                        row.push_bind(id)
                            .push_bind(change.at.0)
                            .push_bind(change.happened.0)
                            .push_bind(change.kind.as_str())
                            .push_bind(change.reason.clone())
                            .push_bind(change.workstation.as_ref().map(|it| it.to_string()))
                            .push_bind(change.session.clone())
                            .push_bind(change.staff.map(|it| it.to_string()))
                            .push_bind(change.patient.map(|it| it.to_string()))
                            .push_bind(change.visit.clone())
                            .push_bind(change.appointment.clone())
                            .push_bind(change.detail.as_deref().map(|text| cut(text, DETAIL_MAX_BYTES).to_owned()));
                    });
                    insert.build().execute(&mut *self).await?;
                }
                Ok(())
            }
        }
    };
}

store::for_each_connection!(feed_on);

/// Appends a change inside a transaction: `changes::append!(conn, &change)`; the value is its number.
#[allow(unused_macros, reason = "used by the modules that change something")]
macro_rules! append {
    ($conn:expr, $change:expr) => {
        $crate::changes::Feed::append_change(&mut *$conn, $change).await?
    };
}
#[allow(unused_imports, reason = "used by the modules that change something")]
pub(crate) use append;

/// The number of the newest change; 0 if there is none. One row: cheap enough to ask many times a second.
///
/// # Errors
/// Engine errors.
pub async fn last_id(database: &Database) -> Result<u64, Error> {
    let id: i64 = read!(database, "changes.last", |conn| {
        Ok(sqlx::query_scalar("SELECT value FROM counter WHERE name = 'change'").fetch_one(&mut *conn).await?)
    })?;
    Ok(id.cast_unsigned())
}

/// Changes after number `id` in order, at most `limit` (at most [`READ_MAX`]).
///
/// # Errors
/// Engine errors, or a row that this version cannot read.
pub async fn after(database: &Database, id: u64, limit: u32) -> Result<Vec<Change>, Error> {
    let rows: Vec<Row> = read!(database, "changes.after", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, at_ms, happened_ms, kind, reason, workstation, session, staff, patient, visit, appointment, detail
             FROM change WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(id.cast_signed())
        .bind(i64::from(limit.min(READ_MAX)))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    rows.into_iter().map(Row::read).collect()
}

/// The changes of these numbers, in order; at most [`READ_MAX`] numbers count. What is not there is left out.
///
/// # Errors
/// As [`after`].
pub async fn some(database: &Database, ids: &[u64]) -> Result<Vec<Change>, Error> {
    let ids: Vec<i64> = ids.iter().take(READ_MAX as usize).map(|id| id.cast_signed()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = read!(database, "changes.some", |conn| {
        let mut select = sqlx::QueryBuilder::<Db>::new(
            "SELECT id, at_ms, happened_ms, kind, reason, workstation, session, staff, patient, visit, appointment, detail
             FROM change WHERE id IN (",
        );
        let mut list = select.separated(", ");
        for id in &ids {
            list.push_bind(*id);
        }
        select.push(") ORDER BY id");
        Ok(select.build_query_as().fetch_all(&mut *conn).await?)
    })?;
    rows.into_iter().map(Row::read).collect()
}

/// A stored change.
#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at_ms: i64,
    happened_ms: i64,
    kind: String,
    reason: Option<String>,
    workstation: Option<String>,
    session: Option<String>,
    staff: Option<String>,
    patient: Option<String>,
    visit: Option<String>,
    appointment: Option<String>,
    detail: Option<String>,
}

impl Row {
    fn read(self) -> Result<Change, Error> {
        const TABLE: &str = "change";
        let person = |name, text: Option<String>| optional(TABLE, name, text.as_deref(), str::parse::<PersonId>);
        Ok(Change {
            id: self.id.cast_unsigned(),
            at: UtcMillis(self.at_ms),
            happened: UtcMillis(self.happened_ms),
            kind: code(TABLE, "kind", &self.kind, ChangeKind::parse)?,
            reason: self.reason,
            workstation: self.workstation.map(|text| column(TABLE, "workstation", &text, PointId::new)).transpose()?,
            session: self.session,
            staff: person("staff", self.staff)?,
            patient: person("patient", self.patient)?,
            visit: self.visit,
            appointment: self.appointment,
            detail: self.detail,
        })
    }
}

/// At most so many bytes of a text, whole characters.
#[allow(dead_code, reason = "used by the modules that change something")]
fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}
