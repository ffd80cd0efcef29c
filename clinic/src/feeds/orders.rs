//! Control messages and merges: orders about one person, each with its own entry in the audit log.

use domain::policy::PassState;
use domain::{Permission, PersonId, UtcMillis};
use store::transact;

use super::digest::Canon;
use super::passes::{Writes, passes_there, write_passes};
use super::persons::parse_person;
use super::places::called;
use super::take::{Batch, Row, save_records};
use super::{Alias, ControlRecord, FeedError, FeedKind, Feeds, MergeOutcome, Order, Problem, Source};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::changes::{Change, ChangeKind, Feed};

impl Feeds {
    /// One transaction an order: there are few, and each is to be seen by itself.
    pub(super) async fn orders(
        &self,
        acting: &Acting,
        source: &Source,
        told: Vec<ControlRecord>,
        batch: &mut Batch,
    ) -> Result<(), FeedError> {
        for (row, record) in (1..).zip(told) {
            let external = record.id.reveal().to_owned();
            let known = self.known(source, FeedKind::Messages, vec![external.clone()]).await?;
            if known.contains_key(&external) {
                batch.report.unchanged += 1;
                continue;
            }
            let persons = self.persons_called(source, &[&record.person]).await?;
            let Some(person) = persons.get(&called(source, &record.person)).cloned() else {
                batch.refuse(row, "person", Problem::UnknownPerson);
                continue;
            };
            if self.order(acting, source, record, person).await? {
                batch.report.changed += 1;
            } else {
                batch.report.older += 1;
            }
        }
        Ok(())
    }

    /// Carries out an order; `false` if a later one about the same person was carried out before.
    async fn order(
        &self,
        acting: &Acting,
        source: &Source,
        record: ControlRecord,
        person: String,
    ) -> Result<bool, FeedError> {
        let now = self.inner.clock.now();
        let mut canon = Canon::new();
        canon.text(record.order.as_str()).number(record.at.0).text(&person);
        let row = Row {
            external: record.id.reveal().to_owned(),
            version_ms: Some(record.at.0),
            digest: canon.digest(&self.inner.keys.card),
            content: String::new(),
            person: Some(person.clone()),
            ended_ms: Some(now.0),
        };
        let id: PersonId = parse_person(&person)?;
        let note = record.note.as_ref().map(|note| note.reveal().chars().take(300).collect());
        let action = if record.order == Order::EndStaff { Action::FeedTaken } else { Action::PassChanged };
        let entry = Draft {
            subject: Some(id),
            object: Some(format!("{source}/{}", FeedKind::Messages)),
            detail: Some(format!("order={}", record.order)),
            note,
            ..acting.draft(now, action)
        };
        let (name, order, at) = (source.to_string(), record.order, record.at);
        let done = transact!(self.inner.database, "feeds.order", |conn| {
            let last: Option<i64> = sqlx::query_scalar(
                "SELECT MAX(version_ms) FROM feed_record WHERE source = $1 AND kind = 'messages' AND person = $2",
            )
            .bind(&name)
            .bind(&person)
            .fetch_one(&mut *conn)
            .await?;
            let rows = std::slice::from_ref(&row);
            save_records!(conn, Db, rows, name, FeedKind::Messages, now);
            if last.is_some_and(|last| last > at.0) {
                return Ok(false);
            }
            let persons = [person.clone()];
            let (passes, _) = passes_there!(conn, Db, &persons, &[]);
            let mut writes = Writes::default();
            for before in passes.values() {
                let Some(state) = PassState::parse(&before.state) else { continue };
                let after = match (order, state) {
                    (Order::Block, PassState::Active) => PassState::Blocked,
                    (Order::Unblock, PassState::Blocked) => PassState::Active,
                    (Order::Withdraw, PassState::Active | PassState::Blocked | PassState::Lost) => PassState::Withdrawn,
                    (Order::EndStaff, PassState::Active | PassState::Blocked) if before.kind == "staff" => {
                        PassState::Withdrawn
                    }
                    _ => continue,
                };
                writes.close.push(before.id);
                let mut row = before.clone();
                row.state = after.as_str().to_owned();
                writes.passes.push(row);
            }
            write_passes!(conn, Db, &writes, name, now);
            let mut change = Change {
                patient: Some(id),
                reason: Some(order.as_str().to_owned()),
                ..Change::new(now, at, ChangeKind::PersonChanged)
            };
            if order == Order::EndStaff {
                sqlx::query("UPDATE staff SET ended_ms = $1, changed_ms = $1 WHERE person = $2 AND ended_ms IS NULL")
                    .bind(now.0)
                    .bind(&person)
                    .execute(&mut *conn)
                    .await?;
                change = Change { kind: ChangeKind::StaffChanged, patient: None, staff: Some(id), ..change };
            }
            audit::record!(conn, &entry);
            Feed::append_changes(&mut *conn, std::slice::from_ref(&change)).await?;
            Ok(true)
        })?;
        Ok(done)
    }

    /// Two records of a source are one person: cards, ids, conditions and appointments of `from` become those of `into`,
    /// and what was is read as theirs. Merging what is merged changes nothing; there is no way back.
    ///
    /// # Errors
    /// [`FeedError::Unknown`] if the source never named one of them.
    pub async fn merge(
        &self,
        acting: &Acting,
        source: &Source,
        from: &Alias,
        into: &Alias,
        happened: UtcMillis,
    ) -> Result<MergeOutcome, FeedError> {
        acting.must(Permission::FeedWrite)?;
        let _turn = self.inner.turn.lock().await;
        let now = self.inner.clock.now();
        let (from, into) = (called(source, from), called(source, into));
        let entry = Draft { object: Some(format!("{source}/merge")), ..acting.draft(now, Action::FeedTaken) };
        let name = source.to_string();
        let zone = self.inner.settings.time_zone;
        let outcome = transact!(self.inner.database, "feeds.merge", |conn| {
            let mut ends = Vec::with_capacity(2);
            for (system, value) in [&from, &into] {
                // Both rows are held until the end of the transaction: two merges about one person take turns.
                let person: Option<String> = sqlx::query_scalar(
                    "UPDATE person_alias SET person = person WHERE system = $1 AND value = $2 RETURNING person",
                )
                .bind(system)
                .bind(value)
                .fetch_optional(&mut *conn)
                .await?;
                let Some(person) = person else { return Ok(None) };
                let merged: Option<String> =
                    sqlx::query_scalar("SELECT into_person FROM person_merge WHERE person = $1")
                        .bind(&person)
                        .fetch_optional(&mut *conn)
                        .await?;
                ends.push(merged.unwrap_or(person));
            }
            let [from, into] = [ends[0].clone(), ends[1].clone()];
            let left = parse_person(&into)?;
            if from == into {
                return Ok(Some(MergeOutcome::Unchanged(left)));
            }
            // Whoever is being erased is nobody to this source in a moment; their account stays as it was found.
            let erasing: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM person WHERE (id = $1 OR id = $2) AND erasing_ms IS NOT NULL")
                    .bind(&from)
                    .bind(&into)
                    .fetch_one(&mut *conn)
                    .await?;
            if erasing > 0 {
                return Ok(None);
            }
            let gone = parse_person(&from)?;
            sqlx::query("UPDATE person_merge SET into_person = $1 WHERE into_person = $2")
                .bind(&into)
                .bind(&from)
                .execute(&mut *conn)
                .await?;
            sqlx::query("INSERT INTO person_merge (person, into_person, at_ms) VALUES ($1, $2, $3)")
                .bind(&from)
                .bind(&into)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            for text in [
                // What the record that is left does not say.
                "UPDATE person SET language = COALESCE(person.language, gone.language),
                     language_told = COALESCE(person.language_told, gone.language_told),
                     language_by = CASE WHEN person.language_told IS NULL THEN gone.language_by
                         ELSE person.language_by END
                     FROM person AS gone WHERE person.id = $1 AND gone.id = $2",
                "UPDATE person_alias SET person = $1 WHERE person = $2",
                "UPDATE appointment SET patient = $1 WHERE patient = $2",
                "UPDATE appointment SET staff = $1 WHERE staff = $2",
                // What one record lists says nothing of the cards of the other.
                "UPDATE feed_pass SET person = $1, source = 'merged' WHERE person = $2",
                "UPDATE feed_record SET person = $1 WHERE person = $2 AND kind NOT IN ('staff', 'patients')",
                "UPDATE person_condition SET person = $1 WHERE person = $2 AND NOT EXISTS (SELECT 1 FROM
                     person_condition AS theirs WHERE theirs.person = $1
                     AND theirs.condition = person_condition.condition)",
                "INSERT INTO workplace_staff (source, external, person) SELECT source, external, $1 FROM workplace_staff
                     WHERE person = $2 ON CONFLICT DO NOTHING",
            ] {
                sqlx::query(text).bind(&into).bind(&from).execute(&mut *conn).await?;
            }
            for text in [
                "UPDATE person SET language = NULL, language_told = NULL, language_by = NULL WHERE id = $1",
                "DELETE FROM person_condition WHERE person = $1",
                "DELETE FROM feed_difference WHERE person = $1",
                "DELETE FROM workplace_staff WHERE person = $1",
            ] {
                sqlx::query(text).bind(&from).execute(&mut *conn).await?;
            }
            // The record that was joined to the other says nothing of the person any more, and its absence ends nothing.
            sqlx::query(
                "UPDATE feed_record SET person = $1, digest = 'merged', ended_ms = COALESCE(ended_ms, $2)
                 WHERE person = $3",
            )
            .bind(&into)
            .bind(now.0)
            .bind(&from)
            .execute(&mut *conn)
            .await?;
            // The passes: each row is closed and followed by one of the person that is left.
            let persons = [from.clone()];
            let (passes, _) = passes_there!(conn, Db, &persons, &[]);
            let mut writes = Writes::default();
            for before in passes.values() {
                writes.close.push(before.id);
                let mut after = before.clone();
                after.person = into.clone();
                writes.passes.push(after);
            }
            write_passes!(conn, Db, &writes, name, now);
            sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'policy' AND EXISTS (SELECT 1 FROM demand)")
                .execute(&mut *conn)
                .await?;
            crate::till::absorb::absorb(conn, gone, left, &entry, zone).await?;
            for (subject, words) in [(gone, format!("merged into={left}")), (left, format!("merged from={gone}"))] {
                let entry = Draft { subject: Some(subject), detail: Some(words), ..entry.clone() };
                audit::record!(conn, &entry);
            }
            let change = Change {
                patient: Some(gone),
                detail: Some(left.to_string()),
                ..Change::new(now, happened, ChangeKind::PersonMerged)
            };
            Feed::append_changes(&mut *conn, std::slice::from_ref(&change)).await?;
            Ok(Some(MergeOutcome::Merged(left)))
        })?;
        outcome.ok_or(FeedError::Unknown)
    }
}
