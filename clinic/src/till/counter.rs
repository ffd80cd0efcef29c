//! What the cashier needs before money is taken: who has something to pay today, whom a record number means, and what a
//! request was asked for in words. Reads only; owns no table. May import `domain`, `store` and the audit log.

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{Permission, PersonId, UtcMillis};
use store::{read, transact};

use super::ledger::{amount, currency};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::rows::column;

const T: &str = "charge";

/// Most patients of one list.
pub const TO_PAY_MAX: u32 = 200;
/// Most people whom one record number may mean: systems number their records by themselves.
const RECORDS_MAX: i64 = 10;

/// A patient with something to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToPay {
    /// Who.
    pub patient: PersonId,
    /// In which currency.
    pub currency: Currency,
    /// What is open of the charges of the day.
    pub open: Amount,
    /// How many charges.
    pub count: u64,
    /// When the last of them was registered.
    pub last: UtcMillis,
}

/// What was said about a request in words; nothing where it was erased since.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestWords {
    /// By who asked.
    pub asked: Option<String>,
    /// By who decided.
    pub decided: Option<String>,
}

impl std::fmt::Debug for RequestWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestWords")
    }
}

impl Till {
    /// Patients who have something to pay of a day, the latest first, at most [`TO_PAY_MAX`]: by pseudonym, so that names are
    /// a look of their own.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`; the database.
    pub async fn to_pay(&self, acting: &Acting, of: LocalDate, limit: u32) -> Result<Vec<ToPay>, TillError> {
        acting.must(Permission::ChargeSee)?;
        type Row = (String, String, i64, i64, i64);
        let rows: Vec<Row> = read!(self.database, "till.to_pay", |conn| {
            Ok(sqlx::query_as(
                "SELECT patient, currency, CAST(SUM(net_minor - paid_minor - written_off_minor) AS BIGINT), COUNT(*),
                     MAX(registered_ms)
                 FROM charge WHERE day = $1 AND state <> 'cancelled' AND paid_minor + written_off_minor < net_minor
                 GROUP BY patient, currency ORDER BY MAX(registered_ms) DESC, patient LIMIT $2",
            )
            .bind(i64::from(of.0))
            .bind(i64::from(limit.min(TO_PAY_MAX)))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let line = |(patient, of, open, count, last): Row| {
            Ok(ToPay {
                patient: column(T, "patient", &patient, str::parse)?,
                currency: currency(T, &of)?,
                open: amount(T, "net_minor", open)?,
                count: count.cast_unsigned(),
                last: UtcMillis(last),
            })
        };
        rows.into_iter().map(line).collect()
    }

    /// The people whom a record number means, of any system; merged records are followed. Recorded as a search.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `person_find`; the database.
    pub async fn of_record(&self, acting: &Acting, record: &str) -> Result<Vec<PersonId>, TillError> {
        acting.must(Permission::PersonFind)?;
        let record = record.trim().to_owned();
        let sees_restricted = i64::from(acting.rights.allows(Permission::PrivacyManage));
        let look = Draft { purpose: Some(Purpose::Payment), ..acting.draft(self.clock.now(), Action::PersonSearched) };
        let found: Vec<String> = transact!(self.database, "till.of_record", |conn| {
            let found: Vec<String> = sqlx::query_scalar(
                "SELECT DISTINCT COALESCE(m.into_person, a.person) FROM person_alias a
                 LEFT JOIN person_merge m ON m.person = a.person
                 LEFT JOIN passport p ON p.person = COALESCE(m.into_person, a.person)
                 WHERE a.value = $1 AND (p.restricted_ms IS NULL OR $2 = 1) LIMIT $3",
            )
            .bind(&record)
            .bind(sees_restricted)
            .bind(RECORDS_MAX)
            .fetch_all(&mut *conn)
            .await?;
            let entry = Draft { detail: Some(format!("by=record; shown={}", found.len())), ..look.clone() };
            audit::record!(conn, &entry);
            Ok(found)
        })?;
        found.iter().map(|id| Ok(column("person_alias", "person", id, str::parse)?)).collect()
    }

    /// What was said in words when something was asked for, and when it was decided, out of the audit log's entries. Whoever
    /// decides must know it; the look is recorded.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_approve`, [`TillError::NotFound`]; the database.
    pub async fn words_of_request(&self, acting: &Acting, id: &str) -> Result<RequestWords, TillError> {
        acting.must(Permission::TillApprove)?;
        let id = id.to_owned();
        let look = Draft { purpose: Some(Purpose::Payment), ..acting.draft(self.clock.now(), Action::AccountSeen) };
        type Row = (String, i64, Option<i64>);
        type Notes = Vec<(i64, Option<String>)>;
        let found: Option<(Row, Notes)> = transact!(self.database, "till.words_of_request", |conn| {
            let row: Option<Row> =
                sqlx::query_as("SELECT patient, ask_entry, decide_entry FROM till_request WHERE id = $1")
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some(row) = row else { return Ok(None) };
            let notes: Notes = sqlx::query_as("SELECT no, note FROM audit_entry WHERE no = $1 OR no = $2")
                .bind(row.1)
                .bind(row.2.unwrap_or(0))
                .fetch_all(&mut *conn)
                .await?;
            let subject = Some(column("till_request", "patient", &row.0, str::parse)?);
            let detail = Some("words of a request".to_owned());
            let entry = Draft { subject, object: Some(id.clone()), detail, ..look.clone() };
            audit::record!(conn, &entry);
            Ok(Some((row, notes)))
        })?;
        let ((_, asked, decided), notes) = found.ok_or(TillError::NotFound)?;
        let note = |no: i64| notes.iter().find(|(own, _)| *own == no).and_then(|(_, note)| note.clone());
        Ok(RequestWords { asked: note(asked), decided: decided.and_then(note) })
    }
}
