//! The live feed of this process: one task looks for new events and shares them with every open page.
//!
//! A page keeps its own place (the number of the last event it was sent) and asks for what comes after it: from the
//! shared ring if that reaches back far enough, else from the database. So a page that was away, or is slow, misses
//! nothing and gets nothing twice, and costs the others nothing. Full ring: the oldest events go, they are in the
//! database.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clinic::events::{self, Event};
use store::Database;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long until the next look when nobody nudges.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long until the next look after the database failed.
const LOOK_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Events kept for pages that are a little behind: several minutes of a busy clinic, about 2 MiB.
const RING_EVENTS: usize = 4096;
/// Events read at once.
const BATCH: u32 = 500;

/// The shared end of the feed.
pub struct Feed {
    ring: Mutex<Ring>,
    last: watch::Sender<u64>,
}

struct Ring {
    /// The ring holds every event with a number above this one, up to the last.
    complete_after: u64,
    events: VecDeque<Arc<Event>>,
}

impl Default for Feed {
    fn default() -> Self {
        let ring = Ring { complete_after: 0, events: VecDeque::new() };
        Self { ring: Mutex::new(ring), last: watch::Sender::new(0) }
    }
}

impl Feed {
    /// Looks for new events until `ending`. Run it once per process.
    pub async fn run(&self, database: Database, nudge: Arc<Notify>, ending: CancellationToken) {
        let mut is_failing = false;
        let mut is_begun = false;
        while !ending.is_cancelled() {
            let looked = if is_begun { self.look(&database).await } else { self.begin(&database).await };
            let pause = match looked {
                Ok(found) => {
                    is_begun = true;
                    if is_failing {
                        is_failing = false;
                        tracing::info!("feed.database.back");
                    }
                    // A full batch: there is more.
                    if found == BATCH as usize { Duration::ZERO } else { LOOK_EVERY }
                }
                Err(error) => {
                    if !is_failing {
                        is_failing = true;
                        tracing::error!(error = %error, "feed.database.failed");
                    }
                    LOOK_AFTER_FAILURE
                }
            };
            tokio::select! {
                () = ending.cancelled() => {}
                () = nudge.notified(), if !is_failing => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn begin(&self, database: &Database) -> Result<usize, store::Error> {
        let last = events::last_id(database).await?;
        self.lock().complete_after = last;
        self.last.send_replace(last);
        Ok(0)
    }

    async fn look(&self, database: &Database) -> Result<usize, store::Error> {
        let from = *self.last.borrow();
        let found = events::after(database, from, BATCH).await?;
        let count = found.len();
        if let Some(last) = found.last().map(|event| event.id) {
            {
                let mut ring = self.lock();
                for event in found {
                    if ring.events.len() == RING_EVENTS
                        && let Some(gone) = ring.events.pop_front()
                    {
                        ring.complete_after = gone.id;
                    }
                    ring.events.push_back(Arc::new(event));
                }
            }
            self.last.send_replace(last);
        }
        Ok(count)
    }

    /// The number of the newest event known here; pages wait for it to change.
    pub fn last(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Events after number `id` in order, at most `limit`.
    pub async fn after(&self, database: &Database, id: u64, limit: usize) -> Result<Vec<Arc<Event>>, store::Error> {
        if let Some(found) = self.in_ring(id, limit) {
            return Ok(found);
        }
        let limit = u32::try_from(limit).unwrap_or(events::READ_MAX);
        Ok(events::after(database, id, limit).await?.into_iter().map(Arc::new).collect())
    }

    fn in_ring(&self, id: u64, limit: usize) -> Option<Vec<Arc<Event>>> {
        let ring = self.lock();
        if id < ring.complete_after {
            return None;
        }
        let start = ring.events.partition_point(|event| event.id <= id);
        Some(ring.events.iter().skip(start).take(limit).cloned().collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        // Nothing in here can panic half-way; a poisoned lock still guards a whole ring.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
