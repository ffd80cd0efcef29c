//! Blotting out: the one change that an entry allows. What a person typed as a reason may hold personal data; it can be
//! taken out with its salt, and the entry still verifies, because its leaf holds only the salted hash. That it was done
//! is an entry of its own, without which the verifier reports the missing note.

use domain::audit::blot_object;
use domain::{Permission, UtcMillis};
use store::{Database, transact};

use super::{Action, AuditError, Draft, record};
use crate::acting::Acting;

/// What became of an order to blot out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blotted {
    /// It is gone.
    Done,
    /// The entry has no note, or none any more.
    NoNote,
    /// There is no such entry.
    NoEntry,
}

/// Blots out the note of entry `no`, for a reason in words of ours (`erasure`, `wrong_entry`); never personal data.
///
/// # Errors
/// [`AuditError::Denied`] without `privacy_manage`; engine errors.
pub async fn blot(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    no: u64,
    why: &str,
) -> Result<Blotted, AuditError> {
    acting.must(Permission::PrivacyManage)?;
    let draft = Draft {
        object: Some(blot_object(no)),
        detail: Some(format!("reason={why}")),
        ..acting.draft(now, Action::NoteBlotted)
    };
    let no = i64::try_from(no).unwrap_or(i64::MAX);
    Ok(transact!(database, "audit.blot", |conn| {
        let found: Option<Option<String>> = sqlx::query_scalar("SELECT note FROM audit_entry WHERE no = $1")
            .bind(no)
            .fetch_optional(&mut *conn)
            .await?;
        match found {
            None => Ok(Blotted::NoEntry),
            Some(None) => Ok(Blotted::NoNote),
            Some(Some(_)) => {
                sqlx::query("UPDATE audit_entry SET note = NULL, note_salt = NULL WHERE no = $1")
                    .bind(no)
                    .execute(&mut *conn)
                    .await?;
                record!(conn, &draft);
                Ok(Blotted::Done)
            }
        }
    })?)
}

/// Blots out every note about a person, inside a transaction: `audit::blot_notes_of!(conn, person, &acting, now)`. The
/// value is their number. For the erasure of a person.
#[allow(unused_macros, reason = "used by the erasure of a person")]
macro_rules! blot_notes_of {
    ($conn:expr, $person:expr, $acting:expr, $now:expr) => {{
        let notes: Vec<i64> = $crate::audit::Log::blot_subject(&mut *$conn, $person).await?;
        for no in &notes {
            let draft = $crate::audit::Draft {
                object: Some(domain::audit::blot_object(no.cast_unsigned())),
                detail: Some("reason=erasure".to_owned()),
                ..$acting.draft($now, $crate::audit::Action::NoteBlotted)
            };
            $crate::audit::record!($conn, &draft);
        }
        notes.len()
    }};
}
#[allow(unused_imports, reason = "used by the erasure of a person")]
pub(crate) use blot_notes_of;
