//! Taking the log away: its entries in order, in blocks, so that a log of any length needs the memory of one block. The
//! export is an entry itself and a line of the register of disclosures, both written before the first block is given.

use domain::audit::{Peaks, SignedHead};
use domain::{Permission, SiteId, UtcMillis};
use store::{Database, Error, read};

use super::read::{Filter, Recorded, Row, narrow, select};
use super::{AuditError, lines};
use crate::acting::Acting;
use crate::disclosures::{self, Class, Disclosure, Ground};

/// Entries of one block.
const BLOCK: i64 = 1000;

/// A running export. Ends with the entry about itself.
#[derive(Debug)]
pub struct Export {
    database: Database,
    filter: Filter,
    /// The last entry given.
    last: i64,
    /// The last entry to be given.
    upto: i64,
    /// Grown along while the whole log is exported.
    peaks: Option<Peaks>,
}

/// Begins an export of what a filter lets through; without one, of the whole log. `object` says as what it is taken
/// away, for example `/audit.csv`.
///
/// # Errors
/// [`AuditError::Denied`] without `audit_export`; engine errors. Nothing may be given then.
pub async fn export(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    filter: Filter,
    object: &str,
) -> Result<Export, AuditError> {
    acting.must(Permission::AuditExport)?;
    let records: i64 = read!(database, "audit.export", |conn| {
        let mut query = sqlx::QueryBuilder::<Db>::new("SELECT COUNT(*) FROM audit_entry WHERE 1 = 1");
        narrow!(query, &filter);
        Ok(query.build_query_scalar().fetch_one(&mut *conn).await?)
    })?;
    let mut disclosure = Disclosure::export(acting, object, &[Class::Audit]);
    disclosure.ground = Ground::Audit;
    disclosure.records = records.cast_unsigned();
    disclosure.persons.extend(filter.subject);
    disclosures::register(database, acting, disclosure, None, now).await?;
    let upto = super::size(database).await?.cast_signed();
    let peaks = (filter == Filter::default()).then(Peaks::default);
    Ok(Export { database: database.clone(), filter, last: 0, upto, peaks })
}

impl Export {
    /// The next block, in order; empty at the end.
    ///
    /// # Errors
    /// Engine errors, and rows that cannot be read.
    pub async fn next(&mut self) -> Result<Vec<Recorded>, Error> {
        let (last, upto, filter) = (self.last, self.upto, &self.filter);
        let rows: Vec<Row> = read!(self.database, "audit.export", |conn| {
            let mut query = sqlx::QueryBuilder::<Db>::new(select!("WHERE no > "));
            query.push_bind(last).push(" AND no <= ").push_bind(upto);
            narrow!(query, filter);
            query.push(" ORDER BY no LIMIT ").push_bind(BLOCK);
            Ok(query.build_query_as().fetch_all(&mut *conn).await?)
        })?;
        let block: Vec<Recorded> = rows.into_iter().map(Recorded::try_from).collect::<Result<_, Error>>()?;
        if let Some(last) = block.last() {
            self.last = last.entry.no.cast_signed();
        }
        if let Some(peaks) = &mut self.peaks {
            for recorded in &block {
                peaks.append(recorded.leaf, |_, _| {});
            }
        }
        Ok(block)
    }

    /// The first line of an export for the verifier.
    pub fn first_line(&self, site: &SiteId) -> String {
        lines::first(site, self.peaks.is_some())
    }

    /// The last line of an export for the verifier: what was given, its root if it is the whole log, and the last
    /// signed head.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn last_line(&self) -> Result<String, Error> {
        let head: Option<String> = read!(self.database, "audit.head", |conn| {
            Ok(sqlx::query_scalar("SELECT line FROM audit_head WHERE size <= $1 ORDER BY no DESC LIMIT 1")
                .bind(self.upto)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let head: Option<SignedHead> =
            crate::rows::optional("audit_head", "line", head.as_deref(), |text: &str| text.parse())?;
        Ok(lines::last(self.peaks.as_ref(), head.as_ref()))
    }
}
