//! Proofs out of the database: that an entry is in the log, that the log continues an earlier head. Each is made of
//! about twenty rows and can be checked without us.

use std::collections::HashMap;

use domain::audit::{
    Consistency, Inclusion, Node, Peaks, SignedHead, TreeHash, Want, consistency_wants, inclusion_wants,
};
use domain::{Permission, UtcMillis};
use store::{Database, Error, transact};

use super::read::{Recorded, Row, reading, select};
use super::{AuditError, record};
use crate::acting::Acting;

/// That an entry is in the log, for somebody who has a published head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The entry.
    pub recorded: Recorded,
    /// Its place in the tree.
    pub inclusion: Inclusion,
    /// The root of that tree.
    pub root: TreeHash,
    /// The signed head of that tree: the earliest that covers the entry. `None` while no head does; the proof then
    /// speaks about the log as it is now, and shows nothing to somebody who doubts the log.
    pub head: Option<SignedHead>,
}

/// Fetches the hashes of nodes within a transaction: leaves stand with their entries, the others in their own table.
macro_rules! hashes {
    ($conn:expr, $wants:expr) => {{
        let wants: &[Want] = $wants;
        let mut found: HashMap<Node, TreeHash> = HashMap::new();
        for node in wants.iter().flat_map(|want| want.nodes.iter().copied()) {
            let hash: Option<Vec<u8>> = if node.level == 0 {
                sqlx::query_scalar("SELECT leaf FROM audit_entry WHERE no = $1")
                    .bind(node.upto.cast_signed())
                    .fetch_optional(&mut *$conn)
                    .await?
            } else {
                sqlx::query_scalar("SELECT hash FROM audit_node WHERE upto = $1 AND level = $2")
                    .bind(node.upto.cast_signed())
                    .bind(i64::from(node.level))
                    .fetch_optional(&mut *$conn)
                    .await?
            };
            found.extend(hash.as_deref().and_then(TreeHash::from_slice).map(|hash| (node, hash)));
        }
        path(wants, &found)?
    }};
}

/// The hashes that wants ask for.
pub(super) fn path(wants: &[Want], found: &HashMap<Node, TreeHash>) -> Result<Vec<TreeHash>, Error> {
    let hash = |want: &Want| {
        let found: Option<Vec<TreeHash>> = want.nodes.iter().map(|node| found.get(node).copied()).collect();
        found.and_then(|found| want.hash(&found))
    };
    wants
        .iter()
        .map(|want| {
            hash(want).ok_or_else(|| {
                let problem =
                    format!("the tree has a hole above the entries {} to {}", want.span.first, want.span.last);
                Error::bad_row("audit_node", "hash", format!("{problem}; run the verifier"))
            })
        })
        .collect()
}

/// The proof of one entry; `None` if there is none of that number. It is written down like a look at the entry.
///
/// # Errors
/// [`AuditError::Denied`] without `audit_see`; engine errors, and a tree with holes.
pub async fn proof(database: &Database, acting: &Acting, now: UtcMillis, no: u64) -> Result<Option<Proof>, AuditError> {
    acting.must(Permission::AuditSee)?;
    let acting = acting.clone();
    let found = transact!(database, "audit.proof", |conn| {
        let number = i64::try_from(no).unwrap_or(i64::MAX);
        let row: Option<Row> = sqlx::query_as(select!("WHERE no = $1")).bind(number).fetch_optional(&mut *conn).await?;
        let Some(row) = row else { return Ok(None) };
        let recorded = Recorded::try_from(row)?;
        let line: Option<String> =
            sqlx::query_scalar("SELECT line FROM audit_head WHERE size >= $1 ORDER BY size, no LIMIT 1")
                .bind(number)
                .fetch_optional(&mut *conn)
                .await?;
        let head: Option<SignedHead> =
            crate::rows::optional("audit_head", "line", line.as_deref(), |text: &str| text.parse())?;
        let state: i64 = sqlx::query_scalar("SELECT size FROM audit_state WHERE id = 1").fetch_one(&mut *conn).await?;
        let size = head.as_ref().map_or(state.cast_unsigned(), |head| head.head.size);
        let Some(wants) = inclusion_wants(no, size) else { return Ok(None) };
        let inclusion = Inclusion { no, size, path: hashes!(conn, &wants) };
        record!(conn, &reading(&acting, now, format!("proof:{no}"), None));
        Ok(Some((recorded, inclusion, head)))
    })?;
    Ok(found.and_then(|(recorded, inclusion, head)| {
        let root = match &head {
            Some(head) => head.head.root,
            None => inclusion.root(recorded.leaf)?,
        };
        Some(Proof { recorded, inclusion, root, head })
    }))
}

/// That the log at `size` continues the log at `earlier`; `None` if it never had one of these sizes.
///
/// # Errors
/// As [`proof`].
pub async fn consistency(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    earlier: u64,
    size: u64,
) -> Result<Option<Consistency>, AuditError> {
    acting.must(Permission::AuditSee)?;
    let acting = acting.clone();
    Ok(transact!(database, "audit.consistency", |conn| {
        let state: i64 = sqlx::query_scalar("SELECT size FROM audit_state WHERE id = 1").fetch_one(&mut *conn).await?;
        let Some(wants) = consistency_wants(earlier, size).filter(|_| size <= state.cast_unsigned()) else {
            return Ok(None);
        };
        let path = hashes!(conn, &wants);
        record!(conn, &reading(&acting, now, format!("consistency:{earlier}-{size}"), None));
        Ok(Some(Consistency { earlier, size, path }))
    })?)
}

/// The root that the log had when it had `size` entries, from the stored tree; `None` if it never had as many.
///
/// # Errors
/// Engine errors, and a tree with holes.
pub async fn root_at(database: &Database, size: u64) -> Result<Option<TreeHash>, Error> {
    if size == 0 {
        return Ok(Some(Peaks::default().root()));
    }
    let whole = Want::over(1, size);
    transact!(database, "audit.root", |conn| {
        let state: i64 = sqlx::query_scalar("SELECT size FROM audit_state WHERE id = 1").fetch_one(&mut *conn).await?;
        if size > state.cast_unsigned() {
            return Ok(None);
        }
        let found = hashes!(conn, std::slice::from_ref(&whole));
        Ok(found.first().copied())
    })
}
