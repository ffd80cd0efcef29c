//! The differences of a comparison, line by line.

use domain::Permission;
use domain::money::{Amount, Currency};
use store::{Error, read, sqlx};

use super::DifferenceKind;
use crate::acting::Acting;
use crate::rows::code;
use crate::till::ledger::{amount, currency};
use crate::till::{Till, TillError};

/// Most lines of one answer.
pub const LINES_PAGE_MAX: u32 = 1000;

/// A difference as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferenceLine {
    /// Its place: 1, 2, 3 …
    pub n: u64,
    /// How it differs.
    pub kind: DifferenceKind,
    /// Our id of the charge; empty for what they wrote by hand.
    pub charge: String,
    /// Its number here; `None` where we have no such charge.
    pub no: Option<u64>,
    /// The service's code here.
    pub service: Option<String>,
    /// Their id of it.
    pub external: Option<String>,
    /// The currency of the amounts.
    pub currency: Option<Currency>,
    /// What it costs here, if it counts here.
    pub ours: Option<Amount>,
    /// What it costs there.
    pub theirs: Option<Amount>,
    /// How far it has come there, or why it is not there: a code of theirs, or that of a delivery.
    pub state: String,
}

impl DifferenceLine {
    /// Whether telling the system again can mend it.
    pub const fn may_be_told_again(&self) -> bool {
        self.no.is_some() && matches!(self.kind, DifferenceKind::MissingThere | DifferenceKind::State)
    }
}

type LineRow = (
    i64,
    String,
    String,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    String,
);

impl Till {
    /// Differences of a comparison in their order: of one kind or all, behind line `after`.
    ///
    /// # Errors
    /// [`TillError::Denied`] without [`Permission::ExchangeSee`]; engine errors.
    pub async fn differences(
        &self,
        acting: &Acting,
        id: &str,
        kind: Option<DifferenceKind>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DifferenceLine>, TillError> {
        acting.must(Permission::ExchangeSee)?;
        let (id, kind) = (id.to_owned(), kind.map_or("", DifferenceKind::as_str));
        let rows: Vec<LineRow> = read!(self.database, "till.reconcile.lines", |conn| {
            Ok(sqlx::query_as(
                "SELECT line.n, line.kind, line.charge, charge.no, charge.service, line.external, line.currency,
                     line.ours_minor, line.theirs_minor, line.state
                 FROM reconciliation_line AS line LEFT JOIN charge ON charge.id = line.charge
                 WHERE line.reconciliation = $1 AND line.n > $2 AND ($3 = '' OR line.kind = $3) ORDER BY line.n LIMIT $4",
            )
            .bind(&id)
            .bind(after.cast_signed())
            .bind(kind)
            .bind(i64::from(limit.clamp(1, LINES_PAGE_MAX)))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(line).collect::<Result<_, _>>()?)
    }
}

fn line(row: LineRow) -> Result<DifferenceLine, Error> {
    const T: &str = "reconciliation_line";
    let (n, kind, charge, no, service, external, code_of, ours, theirs, state) = row;
    Ok(DifferenceLine {
        n: n.cast_unsigned(),
        kind: code(T, "kind", &kind, DifferenceKind::parse)?,
        charge,
        no: no.map(i64::cast_unsigned),
        service,
        external,
        currency: code_of.map(|text| currency(T, &text)).transpose()?,
        ours: ours.map(|minor| amount(T, "ours_minor", minor)).transpose()?,
        theirs: theirs.map(|minor| amount(T, "theirs_minor", minor)).transpose()?,
        state,
    })
}
