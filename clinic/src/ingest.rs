//! Taking in what gateways recorded. Owns the cursor of each journal, the order of the feed, and presence, which is
//! updated in the same transaction. Decides nothing: an entry is a fact.

use domain::{Direction, Entry, Epoch, GatewayId, Kind, UtcMillis};
use store::{Database, Error, transact};

use crate::presence::{self, Passage};

/// Entries of one call; a bridge takes what one message carries.
pub const BATCH_MAX: usize = 5000;
/// Rows of one statement: 15 parameters each, SQLite takes about 32 000, PostgreSQL 65 535.
const ROWS_MAX: usize = 500;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingested {
    /// Everything up to `seq` is committed: acknowledge it.
    Committed {
        /// The last entry of this journal that we have.
        seq: u64,
        /// How many entries of the batch were new.
        added: u64,
    },
    /// The batch does not continue what we have; nothing was taken. Acknowledge `have`, the gateway then goes on
    /// from the next one.
    Gap {
        /// The last entry of this journal that we have; 0 for none.
        have: u64,
    },
    /// Empty, longer than [`BATCH_MAX`], of several journals, or not rising by one: a fault of the sender.
    Malformed,
}

/// Takes in a batch of one journal, all of it or nothing. Entries that we already have are recognised by their number
/// and not taken twice.
///
/// # Errors
/// Engine errors; nothing was taken then, the same batch may be sent again.
pub async fn ingest(database: &Database, entries: Vec<Entry>, now: UtcMillis) -> Result<Ingested, Error> {
    let Some((gateway, epoch, first)) = shape(&entries) else { return Ok(Ingested::Malformed) };
    let (gateway, epoch) = (gateway.to_string(), epoch.to_string());
    transact!(database, "events.ingest", |conn| {
        // Locks the feed: whoever has the row writes the next events.
        let mut last_id: i64 =
            sqlx::query_scalar("UPDATE counter SET value = value WHERE name = 'event' RETURNING value")
                .fetch_one(&mut *conn)
                .await?;
        let known: Option<(i64, i64)> =
            sqlx::query_as("SELECT no, last_seq FROM journal WHERE gateway = $1 AND epoch = $2")
                .bind(&gateway)
                .bind(&epoch)
                .fetch_optional(&mut *conn)
                .await?;
        let have = known.map_or(0, |(_, seq)| seq.cast_unsigned());
        if first > have + 1 {
            return Ok(Ingested::Gap { have });
        }
        let fresh = entries.get(usize::try_from(have + 1 - first).unwrap_or(usize::MAX)..).unwrap_or_default();
        let Some(last) = fresh.last() else { return Ok(Ingested::Committed { seq: have, added: 0 }) };
        let no = match known {
            Some((no, _)) => {
                sqlx::query("UPDATE journal SET last_seq = $1 WHERE no = $2")
                    .bind(last.seq.cast_signed())
                    .bind(no)
                    .execute(&mut *conn)
                    .await?;
                no
            }
            None => {
                let no: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'journal' RETURNING value")
                        .fetch_one(&mut *conn)
                        .await?;
                sqlx::query("INSERT INTO journal (no, gateway, epoch, last_seq) VALUES ($1, $2, $3, $4)")
                    .bind(no)
                    .bind(&gateway)
                    .bind(&epoch)
                    .bind(last.seq.cast_signed())
                    .execute(&mut *conn)
                    .await?;
                no
            }
        };
        let first_id = last_id + 1;
        for rows in fresh.chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO event (id, journal, seq, received_ms, at_ms, kind, reason, point, reader, direction, card, person, age_ms, detail) ",
            );
            insert.push_values(rows, |mut row, entry| {
                last_id += 1;
                let fact = &entry.fact;
                row.push_bind(last_id)
                    .push_bind(no)
                    .push_bind(entry.seq.cast_signed())
                    .push_bind(now.0)
                    .push_bind(fact.at.0)
                    .push_bind(fact.kind.as_str())
                    .push_bind(fact.reason.map(|it| it.as_str()))
                    .push_bind(fact.point.as_ref().map(|it| it.as_str().to_owned()))
                    .push_bind(fact.reader.as_ref().map(|it| it.as_str().to_owned()))
                    .push_bind(fact.direction.map(Direction::as_str))
                    .push_bind(fact.card.map(|it| it.to_string()))
                    .push_bind(fact.person.map(|it| it.to_string()))
                    .push_bind(fact.age_ms.map(i64::from))
                    .push_bind(fact.detail.clone());
            });
            insert.build().persistent(rows.len() == ROWS_MAX).execute(&mut *conn).await?;
        }
        sqlx::query("UPDATE counter SET value = $1 WHERE name = 'event'").bind(last_id).execute(&mut *conn).await?;
        let passages = passages(fresh, first_id);
        presence::move_people!(conn, passages);
        Ok(Ingested::Committed { seq: last.seq, added: fresh.len() as u64 })
    })
}

/// How far a journal has been taken in; 0 if nothing is known of it.
///
/// # Errors
/// Engine errors.
pub async fn cursor(database: &Database, gateway: &GatewayId, epoch: Epoch) -> Result<u64, Error> {
    let seq: Option<i64> = store::read!(database, "events.cursor", |conn| {
        Ok(sqlx::query_scalar("SELECT last_seq FROM journal WHERE gateway = $1 AND epoch = $2")
            .bind(gateway.as_str())
            .bind(epoch.to_string())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    Ok(seq.map_or(0, i64::cast_unsigned))
}

/// Accepts that entries up to `seq` will never come: the gateway has pruned them while another database was served,
/// or its journal was damaged. To be called on an operator's word, or when a gateway says that its oldest entry is the
/// next one; the caller records the loss. Never goes back.
///
/// # Errors
/// Engine errors.
pub async fn accept_hole(database: &Database, gateway: &GatewayId, epoch: Epoch, seq: u64) -> Result<(), Error> {
    let (gateway, epoch, seq) = (gateway.to_string(), epoch.to_string(), seq.cast_signed());
    transact!(database, "events.accept_hole", |conn| {
        let no: i64 = sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'journal' RETURNING value")
            .fetch_one(&mut *conn)
            .await?;
        sqlx::query(
            "INSERT INTO journal (no, gateway, epoch, last_seq) VALUES ($1, $2, $3, $4)
             ON CONFLICT (gateway, epoch) DO UPDATE SET last_seq = excluded.last_seq
             WHERE journal.last_seq < excluded.last_seq",
        )
        .bind(no)
        .bind(&gateway)
        .bind(&epoch)
        .bind(seq)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
}

/// Whose batch it is and where it starts, if it is one.
fn shape(entries: &[Entry]) -> Option<(&GatewayId, Epoch, u64)> {
    let first = entries.first()?;
    let sound = entries.len() <= BATCH_MAX
        && first.seq >= 1
        && first.seq.checked_add(entries.len() as u64).is_some_and(|end| i64::try_from(end).is_ok())
        && entries
            .iter()
            .zip(first.seq..)
            .all(|(entry, seq)| entry.seq == seq && entry.gateway == first.gateway && entry.epoch == first.epoch);
    sound.then_some((&first.gateway, first.epoch, first.seq))
}

/// The passages in the batch, in order.
fn passages(entries: &[Entry], first_id: i64) -> Vec<Passage> {
    entries
        .iter()
        .zip(first_id..)
        .filter_map(|(entry, event)| {
            let fact = &entry.fact;
            match (fact.kind, fact.person, &fact.point, fact.direction) {
                (Kind::Passed, Some(person), Some(point), Some(direction)) => {
                    let at = fact.happened_at();
                    Some(Passage { person, point: point.clone(), direction, at, card: fact.card, event })
                }
                _ => None,
            }
        })
        .collect()
}
