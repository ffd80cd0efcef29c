//! Putting signed heads in second places: a state of the log that is known elsewhere can no longer be changed here
//! without being found out.
//!
//! One task, the publisher, signs and tells. A place that does not answer holds up nothing: heads wait in the database
//! and are told later, in order. At every round, the first one at start included, it is compared what the place knows: a
//! head that this log does not have means that the log was rolled back or rewritten. That is written into the log, shown
//! to auditors and logged as an error, and this place is told nothing more until somebody has moved its file away, so
//! that the evidence stays as it is.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use domain::audit::SignedHead;
use domain::{Clock, SiteId};
use store::{Database, Error, read, transact};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::heads::{self, HeadKey, PlaceState, sign_head};
use super::second_place::{Answer, file_of, tell};
use super::{Action, Draft, flush_strangers, record};
use crate::acting::Actor;

/// A head is signed at least once in so many entries, however short the time.
pub const ENTRIES_PER_HEAD: u64 = 1000;
/// How often the publisher looks whether something is due, and tries again a place that was away.
const ROUND: Duration = Duration::from_secs(5);
/// How long a place may take to be told; beyond it counts as away, and is asked again when it has answered.
const PLACE_LIMIT: Duration = Duration::from_secs(10);
/// How long the last round may take at an orderly end.
const LAST_ROUND_LIMIT: Duration = Duration::from_secs(15);
/// Heads told in one go.
const HEADS_AT_ONCE: i64 = 1000;

/// What the publisher needs to know.
#[derive(Debug)]
pub struct Publishing {
    /// Whose log.
    pub site: SiteId,
    /// What signs.
    pub key: HeadKey,
    /// Files, or folders in which a file named after the site is made. Somewhere else than the database, best on
    /// another machine, where the server's administrator can only append.
    pub places: Vec<PathBuf>,
    /// How often a head is signed when something was added.
    pub every: Duration,
}

/// The publisher's state between rounds.
#[derive(Debug)]
pub struct Publisher {
    database: Database,
    clock: Clock,
    publishing: Publishing,
    signed: Option<Instant>,
    /// What pages have been told about each place.
    shown: HashMap<PathBuf, (PlaceState, i64, Option<String>)>,
    /// Places that did not answer in time.
    stuck: HashMap<PathBuf, JoinHandle<()>>,
}

/// Signs and tells until `stop`, then once more.
pub async fn publish_heads(database: Database, clock: Clock, publishing: Publishing, stop: impl Future<Output = ()>) {
    let mut publisher = Publisher::new(database, clock, publishing);
    let mut stop = pin!(stop);
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => publisher.round(false).await,
            () = &mut stop => break,
        }
    }
    if timeout(LAST_ROUND_LIMIT, publisher.round(true)).await.is_err() {
        tracing::warn!("audit.last_round.timed_out");
    }
}

impl Publisher {
    /// A publisher that has done nothing yet.
    pub fn new(database: Database, clock: Clock, publishing: Publishing) -> Self {
        Self { database, clock, publishing, signed: None, shown: HashMap::new(), stuck: HashMap::new() }
    }

    /// One round: signs a head if one is due (or anything was added, with `now`), and tells every place what it does not
    /// know. Failures are logged; the next round tries again.
    pub async fn round(&mut self, now: bool) {
        if let Err(error) = flush_strangers(&self.database, self.clock.now(), now).await {
            tracing::error!(%error, "audit.strangers.failed");
        }
        if let Err(error) = self.sign(now).await {
            tracing::error!(%error, "audit.sign.failed");
        }
        for place in self.publishing.places.clone() {
            if let Err(error) = self.tell(&place).await {
                tracing::error!(%error, place = %place.display(), "audit.place.failed");
            }
        }
    }

    async fn sign(&mut self, now: bool) -> Result<(), Error> {
        let (size, last): (i64, i64) = read!(self.database, "audit.due", |conn| {
            Ok(sqlx::query_as(
                "SELECT size, COALESCE((SELECT MAX(size) FROM audit_head), 0) FROM audit_state WHERE id = 1",
            )
            .fetch_one(&mut *conn)
            .await?)
        })?;
        let waited = self.signed.is_none_or(|signed| signed.elapsed() >= self.publishing.every);
        if !(now || waited || size.saturating_sub(last).cast_unsigned() >= ENTRIES_PER_HEAD) {
            return Ok(());
        }
        let Publishing { key, site, .. } = &self.publishing;
        if let Some(head) = sign_head(&self.database, key, site, self.clock.now()).await? {
            tracing::info!(size = head.head.size, "audit.head.signed");
        }
        self.signed = Some(Instant::now());
        Ok(())
    }

    async fn tell(&mut self, place: &Path) -> Result<(), Error> {
        if let Some(stuck) = self.stuck.get(place) {
            if !stuck.is_finished() {
                return Ok(());
            }
            self.stuck.remove(place);
        }
        let name = place.display().to_string();
        let mut head = self.told(&name).await?;
        loop {
            let last = match head {
                0 => None,
                no => heads::line(&self.database, no).await?,
            };
            if head != 0 && last.is_none() {
                // The place's row speaks of a head that is not here: only what the place itself knows counts.
                head = 0;
                continue;
            }
            let news = heads::after(&self.database, head, HEADS_AT_ONCE).await?;
            let lines: Vec<String> = news.iter().map(|(_, line)| line.clone()).collect();
            match self.ask(place, last, lines).await {
                Err(problem) => return self.show(place, PlaceState::Away, head, Some(problem), false).await,
                Ok(Answer::Told) => {
                    let more = i64::try_from(news.len()).is_ok_and(|count| count == HEADS_AT_ONCE);
                    let upto = news.last().map_or(head, |(no, _)| *no);
                    let told = upto != head;
                    head = upto;
                    if !more {
                        return self.show(place, PlaceState::Current, head, None, told).await;
                    }
                }
                Ok(Answer::Emptied) => {
                    tracing::warn!(place = %name, "audit.place.emptied");
                    head = 0;
                }
                Ok(Answer::Other(line)) => match heads::number(&self.database, &line).await? {
                    Some(no) if no != head => head = no,
                    _ => {
                        let (state, problem) = self.judge(&line);
                        return self.show(place, state, head, Some(problem), false).await;
                    }
                },
            }
        }
    }

    /// Tells a place, but waits only so long.
    async fn ask(&mut self, place: &Path, last: Option<String>, news: Vec<String>) -> Result<Answer, String> {
        let (path, site) = (place.to_owned(), self.publishing.site.clone());
        let (answer, answered) = tokio::sync::oneshot::channel();
        let asked = tokio::task::spawn_blocking(move || {
            let told = tell(&file_of(&path, &site), last.as_deref(), &news).map_err(|error| error.to_string());
            // The asker may have gone away.
            let _ = answer.send(told);
        });
        match timeout(PLACE_LIMIT, answered).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) => Err("asking it failed".to_owned()),
            Err(_) => {
                self.stuck.insert(place.to_owned(), asked);
                Err(format!("it did not answer within {} s", PLACE_LIMIT.as_secs()))
            }
        }
    }

    /// What it means that a place ends with a line that this log does not have.
    fn judge(&self, line: &str) -> (PlaceState, String) {
        match line.parse::<SignedHead>() {
            Ok(head) if self.publishing.key.signed(&head) && head.head.site == self.publishing.site => {
                let problem = format!("it knows a log of {} entries, published {}", head.head.size, head.head.at);
                (PlaceState::Ahead, problem)
            }
            Ok(head) => {
                (PlaceState::Strange, format!("its last head is of {} by the key {}", head.head.site, head.head.key))
            }
            Err(_) => (PlaceState::Strange, "its last line is not a head".to_owned()),
        }
    }

    async fn told(&self, name: &str) -> Result<i64, Error> {
        let head: Option<i64> = read!(self.database, "audit.place", |conn| {
            Ok(sqlx::query_scalar("SELECT head FROM audit_place WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(head.unwrap_or_default())
    }

    /// Notes how a place is doing, if that changed, and writes a roll-back into the log.
    async fn show(
        &mut self,
        place: &Path,
        state: PlaceState,
        head: i64,
        problem: Option<String>,
        told: bool,
    ) -> Result<(), Error> {
        let now = (state, head, problem.clone());
        if self.shown.get(place) == Some(&now) && !told {
            return Ok(());
        }
        let name = place.display().to_string();
        match (state, &problem) {
            (PlaceState::Current, _) => tracing::info!(place = %name, "audit.place.current"),
            (PlaceState::Away, Some(problem)) => tracing::warn!(place = %name, problem, "audit.place.away"),
            (_, problem) => tracing::error!(place = %name, problem, "audit.place.ahead"),
        }
        let at = self.clock.now();
        let told = told.then_some(at.0);
        transact!(self.database, "audit.place", |conn| {
            let before: Option<(String, Option<String>)> =
                sqlx::query_as("SELECT state, problem FROM audit_place WHERE name = $1")
                    .bind(&name)
                    .fetch_optional(&mut *conn)
                    .await?;
            sqlx::query(
                "INSERT INTO audit_place (name, state, head, told_ms, since_ms, problem)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET head = excluded.head,
                 told_ms = COALESCE(excluded.told_ms, audit_place.told_ms), problem = excluded.problem,
                 since_ms = CASE WHEN audit_place.state = excluded.state THEN audit_place.since_ms
                                 ELSE excluded.since_ms END,
                 state = excluded.state",
            )
            .bind(&name)
            .bind(state.as_str())
            .bind(head)
            .bind(told)
            .bind(at.0)
            .bind(&problem)
            .execute(&mut *conn)
            .await?;
            let known = before.is_some_and(|before| before == (state.as_str().to_owned(), problem.clone()));
            if state == PlaceState::Ahead && !known {
                let draft = Draft {
                    outcome: super::Outcome::Failed,
                    detail: problem.clone(),
                    ..Draft::new(at, Actor::System, Action::LogRolledBack)
                };
                record!(conn, &draft);
            }
            Ok(())
        })?;
        self.shown.insert(place.to_owned(), now);
        Ok(())
    }
}
