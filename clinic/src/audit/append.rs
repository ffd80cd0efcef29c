//! Adding one entry at the end of the log, on either engine: takes the number, writes the entry, the nodes that
//! it completes and the new peaks. Four statements on average.
//!
//! Two transactions that add at once collide at the state's row: on SQLite there is one writer; on PostgreSQL one of
//! them is run again by `transact!`. So numbers have no gap and the order is that of the commits.

use std::borrow::Cow;

use domain::PersonId;
use domain::audit::{Entry, NOTE_SALT_BYTES, Peaks, TreeHash, note_hash};
use store::Error;

use super::Draft;

/// Longest session, address, object and id kept, in bytes; the rest is cut off.
pub const OBJECT_MAX_BYTES: usize = 200;
/// Longest detail kept, in bytes; the rest is cut off.
pub const DETAIL_MAX_BYTES: usize = 1000;
/// Longest note kept, in bytes; the rest is cut off. Pages ask for less.
pub const NOTE_MAX_BYTES: usize = 4000;

/// An engine's connection inside a transaction, to which entries can be added.
pub(crate) trait Log {
    /// Adds an entry and returns its number.
    ///
    /// # Errors
    /// Engine errors, or a state of the log that cannot be read.
    async fn append(&mut self, draft: &Draft) -> Result<u64, Error>;

    /// Adds many entries with as few statements as there can be, in their order, and returns the number of the first one;
    /// the others follow it. Nothing for an empty list: then the number is that of the next entry.
    ///
    /// # Errors
    /// As [`Log::append`].
    #[allow(dead_code, reason = "used by the till, which registers many services in one transaction")]
    async fn append_all(&mut self, drafts: &[Draft]) -> Result<u64, Error>;

    /// Takes out the notes about a person and returns the numbers of their entries; use
    /// [`super::blot_notes_of!`], which also writes that it was done.
    ///
    /// # Errors
    /// Engine errors.
    #[allow(dead_code, reason = "used by the erasure of a person")]
    async fn blot_subject(&mut self, person: PersonId) -> Result<Vec<i64>, Error>;
}

macro_rules! log_on {
    ($connection:ty) => {
        impl Log for $connection {
            async fn append(&mut self, draft: &Draft) -> Result<u64, Error> {
                // First the lock: on PostgreSQL whoever waits for it then collides here, and not at a number taken.
                let (number, peaks): (i64, String) =
                    sqlx::query_as("UPDATE audit_state SET size = size + 1 WHERE id = 1 RETURNING size, peaks")
                        .fetch_one(&mut *self)
                        .await?;
                let mut peaks = u64::try_from(number - 1)
                    .ok()
                    .and_then(|size| Peaks::from_text(size, &peaks))
                    .ok_or_else(|| Error::bad_row("audit_state", "peaks", "this is not the state of a log"))?;
                let note = Note::of(draft)?;
                let entry = entry(draft, peaks.size() + 1, note.as_ref().map(|note| note.hash));
                let leaf = entry.leaf();
                sqlx::query(
                    "INSERT INTO audit_entry (no, at_ms, actor_kind, actor, session, address, action, outcome, subject,
                         object, fields, purpose, detail, note, note_salt, note_hash, glass, leaf)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
                )
                .bind(entry.no.cast_signed())
                .bind(entry.at.0)
                .bind(entry.actor_kind)
                .bind(entry.actor)
                .bind(entry.session)
                .bind(entry.address)
                .bind(entry.action)
                .bind(entry.outcome)
                .bind(entry.subject)
                .bind(entry.object)
                .bind(entry.fields)
                .bind(entry.purpose)
                .bind(entry.detail)
                .bind(note.as_ref().map(|note| &*note.text))
                .bind(note.as_ref().map(|note| &note.salt[..]))
                .bind(note.as_ref().map(|note| &note.hash.0[..]))
                .bind(entry.glass)
                .bind(&leaf.0[..])
                .execute(&mut *self)
                .await?;
                let mut made = Vec::new();
                peaks.append(leaf, |node, hash| made.push((node, hash)));
                for (node, hash) in made {
                    sqlx::query("INSERT INTO audit_node (upto, level, hash) VALUES ($1, $2, $3)")
                        .bind(node.upto.cast_signed())
                        .bind(i64::from(node.level))
                        .bind(&hash.0[..])
                        .execute(&mut *self)
                        .await?;
                }
                sqlx::query("UPDATE audit_state SET peaks = $1 WHERE id = 1")
                    .bind(peaks.to_text())
                    .execute(&mut *self)
                    .await?;
                Ok(peaks.size())
            }

            async fn append_all(&mut self, drafts: &[Draft]) -> Result<u64, Error> {
                let count = i64::try_from(drafts.len()).unwrap_or(i64::MAX);
                if count == 0 {
                    let size: i64 =
                        sqlx::query_scalar("SELECT size FROM audit_state WHERE id = 1").fetch_one(&mut *self).await?;
                    return Ok(size.cast_unsigned() + 1);
                }
                let (number, peaks): (i64, String) =
                    sqlx::query_as("UPDATE audit_state SET size = size + $1 WHERE id = 1 RETURNING size, peaks")
                        .bind(count)
                        .fetch_one(&mut *self)
                        .await?;
                let mut peaks = u64::try_from(number - count)
                    .ok()
                    .and_then(|size| Peaks::from_text(size, &peaks))
                    .ok_or_else(|| Error::bad_row("audit_state", "peaks", "this is not the state of a log"))?;
                let first = peaks.size() + 1;
                let mut made = Vec::new();
                for some in store::in_parts(drafts) {
                    let mut rows = Vec::with_capacity(some.len());
                    for draft in some {
                        let note = Note::of(draft)?;
                        let entry = entry(draft, peaks.size() + 1, note.as_ref().map(|note| note.hash));
                        let leaf = entry.leaf();
                        peaks.append(leaf, |node, hash| made.push((node, hash)));
                        rows.push((entry, note, leaf));
                    }
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO audit_entry (no, at_ms, actor_kind, actor, session, address, action, outcome, subject,
                             object, fields, purpose, detail, note, note_salt, note_hash, glass, leaf) ",
                    );
                    insert.push_values(rows, |mut row, (entry, note, leaf)| {
                        let (text, salt, hash) = match note {
                            Some(Note { text, salt, hash }) => {
                                (Some(text.into_owned()), Some(salt.to_vec()), Some(hash.0.to_vec()))
                            }
                            None => (None, None, None),
                        };
                        row.push_bind(entry.no.cast_signed())
                            .push_bind(entry.at.0)
                            .push_bind(entry.actor_kind)
                            .push_bind(entry.actor)
                            .push_bind(entry.session)
                            .push_bind(entry.address)
                            .push_bind(entry.action)
                            .push_bind(entry.outcome)
                            .push_bind(entry.subject)
                            .push_bind(entry.object)
                            .push_bind(entry.fields)
                            .push_bind(entry.purpose)
                            .push_bind(entry.detail)
                            .push_bind(text)
                            .push_bind(salt)
                            .push_bind(hash)
                            .push_bind(entry.glass)
                            .push_bind(leaf.0.to_vec());
                    });
                    insert.build().execute(&mut *self).await?;
                }
                for some in store::in_parts(&made) {
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO audit_node (upto, level, hash) ",
                    );
                    insert.push_values(some, |mut row, (node, hash)| {
                        row.push_bind(node.upto.cast_signed())
                            .push_bind(i64::from(node.level))
                            .push_bind(hash.0.to_vec());
                    });
                    insert.build().execute(&mut *self).await?;
                }
                sqlx::query("UPDATE audit_state SET peaks = $1 WHERE id = 1")
                    .bind(peaks.to_text())
                    .execute(&mut *self)
                    .await?;
                Ok(first)
            }

            async fn blot_subject(&mut self, person: PersonId) -> Result<Vec<i64>, Error> {
                Ok(sqlx::query_scalar(
                    "UPDATE audit_entry SET note = NULL, note_salt = NULL
                     WHERE subject = $1 AND note IS NOT NULL RETURNING no",
                )
                .bind(person.to_string())
                .fetch_all(&mut *self)
                .await?)
            }
        }
    };
}

store::for_each_connection!(log_on);

/// A note with the salt of its hash.
struct Note<'a> {
    text: Cow<'a, str>,
    salt: [u8; NOTE_SALT_BYTES],
    hash: TreeHash,
}

impl<'a> Note<'a> {
    fn of(draft: &'a Draft) -> Result<Option<Self>, Error> {
        let Some(text) = draft.note.as_deref() else { return Ok(None) };
        let text = clean(text, NOTE_MAX_BYTES, |c| c == '\n');
        let mut salt = [0; NOTE_SALT_BYTES];
        // Without randomness of the system nothing of ours is safe: the act is refused.
        getrandom::fill(&mut salt).map_err(|_| Error::new("audit.salt", store::Fault::Other))?;
        let hash = note_hash(&salt, &text);
        Ok(Some(Self { text, salt, hash }))
    }
}

/// The entry that a draft becomes.
fn entry(draft: &Draft, no: u64, note_hash: Option<TreeHash>) -> Entry {
    let short = |text: &str| clean(text, OBJECT_MAX_BYTES, |_| false).into_owned();
    let optional = |text: &Option<String>| text.as_deref().map(short);
    let fields: Vec<&str> = draft.fields.iter().map(|field| field.as_str()).collect();
    Entry {
        no,
        at: draft.at,
        actor_kind: draft.actor.kind().to_owned(),
        actor: draft.actor.id().as_deref().map(short),
        session: optional(&draft.session),
        address: optional(&draft.address),
        action: draft.action.as_str().to_owned(),
        outcome: draft.outcome.as_str().to_owned(),
        subject: draft.subject.map(|person| person.to_string()),
        object: optional(&draft.object),
        fields: (!fields.is_empty()).then(|| fields.join(",")),
        purpose: draft.purpose.map(|purpose| purpose.as_str().to_owned()),
        detail: draft.detail.as_deref().map(|detail| clean(detail, DETAIL_MAX_BYTES, |_| false).into_owned()),
        note_hash,
        glass: optional(&draft.glass),
    }
}

/// Cuts a text to a length and takes the control characters out, so that it stays one line wherever it is shown.
/// PostgreSQL stores no NUL; SQLite would, and the engines must agree.
fn clean(text: &str, max_bytes: usize, allowed: impl Fn(char) -> bool) -> Cow<'_, str> {
    let text = &text[..text.floor_char_boundary(max_bytes)];
    let bad = |c: char| c.is_control() && !allowed(c);
    if text.contains(bad) {
        let kept: String = text.chars().map(|c| if bad(c) { ' ' } else { c }).collect();
        Cow::Owned(kept)
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_stay_one_line() {
        assert_eq!(clean("day\r\nnight\x1b[31m\0", 100, |_| false), "day  night [31m ");
        assert_eq!(clean("a\nb\tc", 100, |c| c == '\n'), "a\nb c");
        assert_eq!(clean("жжж", 5, |_| false), "жж");
    }
}
