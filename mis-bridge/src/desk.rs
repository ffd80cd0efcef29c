//! Workstations: takes taps out of what gateways recorded the moment they are committed, and keeps the one timer of all
//! desks. Owns when that is done, nothing else: what a tap means is [`clinic::desk`]'s. May import `clinic`.
//!
//! Several bridges may do it for one database: each tap is taken by one of them. When the database is away this waits and
//! goes on where it was; a tap that has become old by then binds nobody.

use std::sync::Arc;
use std::time::Duration;

use clinic::desk::{Desk, DeskError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

/// How often idle desks and cards that stopped working are looked for, and events that another bridge took in.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Visits that time has ended, and work without the card whose term or review is over, are looked for at every so many
/// looks: each two seconds.
const VISITS_EVERY: u32 = 20;
/// After a failure of the database: how long until it is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// At the end: how long the last taps may take.
const LAST_LIMIT: Duration = Duration::from_secs(5);

/// The task, and how to wake it. Ends with this value.
pub(crate) struct DeskTask {
    wake: Arc<Notify>,
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl DeskTask {
    pub(crate) fn start(desk: Desk) -> Self {
        let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let task = tokio::spawn(run(desk, Arc::clone(&wake), stop.clone()));
        Self { wake, task, stop: stop.drop_guard() }
    }

    /// Events were committed. Cheap; many calls are one.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Takes what has been committed, and ends.
    pub(crate) async fn end(self) {
        drop(self.stop);
        let _ = timeout(LAST_LIMIT, self.task).await;
    }
}

async fn run(desk: Desk, wake: Arc<Notify>, stop: CancellationToken) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_well, mut looks) = (true, 0_u32);
    loop {
        let by_timer = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = wake.notified() => None,
            _ = look.tick() => {
                looks = looks.wrapping_add(1);
                Some(looks)
            }
        };
        let outcome = work(&desk, by_timer).await;
        match (&outcome, is_well) {
            (Err(error), true) => warn!("taps at workstations wait: {error}"),
            (Ok(()), false) => info!("taps at workstations are taken again"),
            _ => {}
        }
        is_well = outcome.is_ok();
        if !is_well {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
    if let Err(error) = work(&desk, None).await {
        warn!("the last taps at workstations are taken by the next start: {error}");
    }
}

async fn work(desk: &Desk, look: Option<u32>) -> Result<(), DeskError> {
    desk.work().await?;
    if let Some(look) = look {
        desk.tick().await?;
        if look.is_multiple_of(VISITS_EVERY) {
            desk.visits().tick().await?;
            desk.irregular().tick().await?;
        }
    }
    Ok(())
}
