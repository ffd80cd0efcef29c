//! Reading bindings.

use domain::PointId;
use store::read;

use super::rows::{Row, select};
use super::{Desk, DeskError, DeskSession};

/// Bindings handed out by one read.
const READ_MAX: i64 = 5000;

impl Desk {
    /// Who is bound to a workstation now.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn current(&self, workstation: &PointId) -> Result<Option<DeskSession>, DeskError> {
        let workstation = workstation.as_str();
        let row: Option<Row> = read!(self.database, "desk.current", |conn| {
            Ok(sqlx::query_as(select!("WHERE s.workstation = $1 AND s.ended_ms IS NULL"))
                .bind(workstation)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(row.map(DeskSession::try_from).transpose()?)
    }

    /// A binding, also one that has ended.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn session(&self, id: &str) -> Result<Option<DeskSession>, DeskError> {
        let row: Option<Row> = read!(self.database, "desk.session", |conn| {
            Ok(sqlx::query_as(select!("WHERE s.id = $1")).bind(id).fetch_optional(&mut *conn).await?)
        })?;
        Ok(row.map(DeskSession::try_from).transpose()?)
    }

    /// All bindings that have not ended, by workstation.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn all_current(&self) -> Result<Vec<DeskSession>, DeskError> {
        let rows: Vec<Row> = read!(self.database, "desk.all_current", |conn| {
            Ok(sqlx::query_as(select!("WHERE s.ended_ms IS NULL ORDER BY s.workstation LIMIT $1"))
                .bind(READ_MAX)
                .fetch_all(&mut *conn)
                .await?)
        })?;
        Ok(rows.into_iter().map(DeskSession::try_from).collect::<Result<_, _>>()?)
    }
}
