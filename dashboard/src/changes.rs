//! What happened at desks and with visits, followed once per process: one task looks for new changes, everybody who
//! shows or tells them (pages at desks, the sign-in page of the OpenID provider, the FHIRcast hub) waits here.
//!
//! As with events, everyone keeps a place of their own (the number of the last change they dealt with) and asks for what
//! comes after it: from the ring, or from the database where the ring does not reach back far enough. Nothing is missed
//! and nothing comes twice. Full ring: the oldest go, they are in the database.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clinic::changes::{self, Change};
use store::Database;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long until the next look: a card at a desk is on its page within a blink, and one row every 40 ms is nothing.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// How long until the next look after the database failed.
const LOOK_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Changes kept for who is a little behind: minutes of a large clinic, below 1 MiB.
const RING_CHANGES: usize = 4096;
/// Changes read at once.
const BATCH: u32 = 500;

/// The shared end of the feed.
pub struct ChangeFeed {
    database: Database,
    ring: Mutex<Ring>,
    last: watch::Sender<u64>,
}

struct Ring {
    /// The ring holds every change with a number above this one, up to the last.
    complete_after: u64,
    changes: VecDeque<Arc<Change>>,
}

impl ChangeFeed {
    /// Over `database`; [`ChangeFeed::run`] has to run beside.
    pub fn new(database: Database) -> Self {
        // Nothing is complete before the first look.
        let ring = Ring { complete_after: u64::MAX, changes: VecDeque::new() };
        Self { database, ring: Mutex::new(ring), last: watch::Sender::new(0) }
    }

    /// Looks for new changes until `ending`. Run it once per process.
    pub async fn run(&self, ending: CancellationToken) {
        let mut is_failing = false;
        let mut is_begun = false;
        while !ending.is_cancelled() {
            let looked = if is_begun { self.look().await } else { self.begin().await };
            let pause = match looked {
                Ok(found) => {
                    is_begun = true;
                    if is_failing {
                        is_failing = false;
                        tracing::info!("changes.database.back");
                    }
                    // A full batch: there is more.
                    if found == BATCH as usize { Duration::ZERO } else { LOOK_EVERY }
                }
                Err(error) => {
                    if !is_failing {
                        is_failing = true;
                        tracing::error!(error = %error, "changes.database.failed");
                    }
                    LOOK_AFTER_FAILURE
                }
            };
            tokio::select! {
                () = ending.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn begin(&self) -> Result<usize, store::Error> {
        let last = changes::last_id(&self.database).await?;
        self.lock().complete_after = last;
        self.last.send_replace(last);
        Ok(0)
    }

    async fn look(&self) -> Result<usize, store::Error> {
        let from = *self.last.borrow();
        let newest = changes::last_id(&self.database).await?;
        if newest == from {
            return Ok(0);
        }
        if newest < from {
            // An older copy of the database was put back: what is new from now on is shown.
            let mut ring = self.lock();
            ring.changes.clear();
            ring.complete_after = newest;
            drop(ring);
            self.last.send_replace(newest);
            return Ok(0);
        }
        let found = changes::after(&self.database, from, BATCH).await?;
        let count = found.len();
        if let Some(last) = found.last().map(|change| change.id) {
            {
                let mut ring = self.lock();
                for change in found {
                    if ring.changes.len() == RING_CHANGES
                        && let Some(gone) = ring.changes.pop_front()
                    {
                        ring.complete_after = gone.id;
                    }
                    ring.changes.push_back(Arc::new(change));
                }
            }
            self.last.send_replace(last);
        }
        Ok(count)
    }

    /// The number of the newest change known here; whoever follows waits for it to change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Changes after number `id` in order, at most a few hundred; none: there is nothing new. Read on from the last one.
    ///
    /// # Errors
    /// The database, where the ring does not reach back far enough.
    pub async fn after(&self, id: u64) -> Result<Vec<Arc<Change>>, store::Error> {
        if let Some(found) = self.in_ring(id) {
            return Ok(found);
        }
        Ok(changes::after(&self.database, id, BATCH).await?.into_iter().map(Arc::new).collect())
    }

    fn in_ring(&self, id: u64) -> Option<Vec<Arc<Change>>> {
        let ring = self.lock();
        if id < ring.complete_after {
            return None;
        }
        let start = ring.changes.partition_point(|change| change.id <= id);
        Some(ring.changes.iter().skip(start).take(BATCH as usize).cloned().collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        // Nothing in here can panic half-way; a poisoned lock still guards a whole ring.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
