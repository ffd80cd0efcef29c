//! The sockets of this process, and the one task that reads what they are told: it makes events of changes at desks, reads
//! the log of the hub from its place, and puts each entry into the queue of every socket of that session.
//!
//! A queue is bounded. Who does not read fast enough is cut off, and the others are told so: a chart that is shown late is
//! worse than one that is known to be out of step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clinic::fhircast::{Hub, Logged, LoggedKind, READ_MAX};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Entries that wait for one socket; one more cuts it off.
const QUEUE_MAX: usize = 64;
/// Sockets of this process at once, of all sessions; one more is refused.
const SOCKETS_MAX: usize = 2000;
/// How long until the next look at the log for what other dashboards took in.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// How long until the next look after the database failed.
const LOOK_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How often it is said that sockets are still held.
const HOLD_EVERY: Duration = Duration::from_secs(20);
/// How often what is over is put away.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How long sockets may take to end with the program.
const END_WITHIN: Duration = Duration::from_secs(3);

/// See the module.
pub struct Sockets {
    held: Mutex<Held>,
    /// Something was published here.
    nudge: Notify,
    /// How many sockets there are.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Held {
    /// The log was read up to here.
    place: u64,
    by_session: HashMap<String, Vec<Holder>>,
    next: u64,
}

struct Holder {
    number: u64,
    subscription: String,
    queue: mpsc::Sender<Arc<Logged>>,
    cut: CancellationToken,
}

/// A place among the sockets; gone when it is dropped.
pub struct Place<'a> {
    sockets: &'a Sockets,
    session: String,
    number: u64,
    /// What is told.
    pub queue: mpsc::Receiver<Arc<Logged>>,
    /// It could not keep up.
    pub cut: CancellationToken,
    /// The log had been read up to here when the place was taken: what lies before is not in the queue.
    pub from: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.sockets.lock();
        if let Some(holders) = held.by_session.get_mut(&self.session) {
            holders.retain(|holder| holder.number != self.number);
            if holders.is_empty() {
                held.by_session.remove(&self.session);
            }
        }
        drop(held);
        self.sockets.count.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self { held: Mutex::default(), nudge: Notify::new(), count: watch::Sender::new(0) }
    }
}

impl Sockets {
    /// Takes a place; `None` when there are too many.
    pub fn enter(&self, session: &str, subscription: &str) -> Option<Place<'_>> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let cut = CancellationToken::new();
        let mut held = self.lock();
        let is_full = self.count.send_if_modified(|count| {
            let has_room = *count < SOCKETS_MAX;
            *count += usize::from(has_room);
            has_room
        });
        if !is_full {
            return None;
        }
        held.next += 1;
        let number = held.next;
        let holder = Holder { number, subscription: subscription.to_owned(), queue: sender, cut: cut.clone() };
        held.by_session.entry(session.to_owned()).or_default().push(holder);
        let from = held.place;
        drop(held);
        self.nudge.notify_one();
        Some(Place { sockets: self, session: session.to_owned(), number, queue, cut, from })
    }

    /// Something new stands in the log.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Tells sockets what is new until `ending`, then waits until they have closed. Run it once per process; `changes`
    /// says when something happened at desks.
    pub async fn run(&self, hub: &Hub, mut changes: watch::Receiver<u64>, ending: CancellationToken) {
        let mut is_failing = false;
        let (mut hold_at, mut sweep_at) = (Instant::now() + HOLD_EVERY, Instant::now());
        let mut is_new = true;
        while !ending.is_cancelled() {
            let looked = self.look(hub, is_new).await;
            is_new = false;
            let pause = match looked {
                Ok(()) => {
                    if is_failing {
                        is_failing = false;
                        tracing::info!("fhircast.database.back");
                    }
                    LOOK_EVERY
                }
                Err(error) => {
                    is_new = true;
                    if !is_failing {
                        is_failing = true;
                        tracing::error!(error = %error, "fhircast.database.failed");
                    }
                    LOOK_AFTER_FAILURE
                }
            };
            let now = Instant::now();
            if now >= hold_at && !is_failing {
                hold_at = now + HOLD_EVERY;
                for ids in self.subscriptions().chunks(500) {
                    if let Err(error) = hub.hold(ids).await {
                        tracing::warn!(error = %error, "fhircast.hold.failed");
                    }
                }
            }
            if now >= sweep_at && !is_failing {
                sweep_at = now + SWEEP_EVERY;
                if let Err(error) = hub.sweep().await {
                    tracing::warn!(error = %error, "fhircast.sweep.failed");
                }
            }
            tokio::select! {
                () = ending.cancelled() => {}
                changed = changes.changed(), if !is_failing => {
                    if changed.is_err() {
                        break;
                    }
                    is_new = true;
                }
                () = self.nudge.notified(), if !is_failing => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Waits until all sockets have closed, for a while.
    pub async fn drained(&self) {
        let mut count = self.count.subscribe();
        let _ = tokio::time::timeout(END_WITHIN, count.wait_for(|count| *count == 0)).await;
    }

    async fn look(&self, hub: &Hub, is_new: bool) -> Result<(), store::Error> {
        if is_new {
            while hub.work().await? > 0 {}
        }
        let newest = hub.last_id().await?;
        loop {
            let place = {
                let mut held = self.lock();
                // Who comes later asks for what lies before; and an older copy of the database may have been put back.
                if newest <= held.place || held.by_session.is_empty() {
                    held.place = newest;
                    return Ok(());
                }
                held.place
            };
            let (entries, upto) = hub.after(place, READ_MAX).await?;
            self.tell(entries, upto.max(place));
            if upto == place {
                // Put away already, or not readable.
                self.lock().place = newest;
            }
        }
    }

    fn tell(&self, entries: Vec<Logged>, upto: u64) {
        let mut held = self.lock();
        for entry in entries {
            let entry = Arc::new(entry);
            let Some(holders) = held.by_session.get(&entry.session) else { continue };
            for holder in holders {
                let is_own =
                    entry.kind == LoggedKind::Event || entry.subscription.as_ref() == Some(&holder.subscription);
                if is_own && holder.queue.try_send(Arc::clone(&entry)).is_err() {
                    holder.cut.cancel();
                }
            }
        }
        held.place = upto;
    }

    fn subscriptions(&self) -> Vec<String> {
        let held = self.lock();
        held.by_session.values().flatten().map(|holder| holder.subscription.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        // Nothing in here can panic half-way; a poisoned lock still guards a whole list.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
