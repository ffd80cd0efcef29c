//! Comparing charges: does what somebody asked for on the page. Reads the other system's records where they can be read
//! ([`Charges`]), or else what it acknowledged.
//!
//! Owns the pace and the time limits. Compares nothing itself (that is [`clinic::till::reconcile`]), writes nothing into the
//! other system. May import `clinic` and `domain`.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clinic::Database;
use clinic::outbox::{DeliveryState, Fault, FaultCode};
use clinic::till::reconcile::{self, Basis, Compared, Days, Job, Ours, Theirs, Told, compare};
use domain::Clock;
use store::Error;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often a comparison that was asked for is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a comparison stays ours without a sign of life, in milliseconds.
const LEASE_MS: i64 = 60_000;
/// How often we say that we are at it, and how far.
const SIGN_EVERY: Duration = Duration::from_secs(5);
/// A comparison that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(30 * 60);
/// Most charges of theirs that are read; more is a fault.
pub const THEIRS_MAX: usize = 2 * reconcile::CHARGES_MAX;

/// A system whose charges can be read.
pub trait Charges: Send + Sync + 'static {
    /// Its charges that bear an id of ours and were rendered on these days, others may be among them; and, where it can be
    /// told, what somebody wrote there by hand for these days. `read` counts what was read so far. At most [`THEIRS_MAX`].
    fn charges(&self, days: Days, read: &AtomicUsize) -> impl Future<Output = Result<Vec<Theirs>, Fault>> + Send;
}

/// A system whose records cannot be read: what it acknowledged counts.
#[derive(Debug, Clone, Copy)]
pub struct Unread;

impl Charges for Unread {
    async fn charges(&self, _: Days, _: &AtomicUsize) -> Result<Vec<Theirs>, Fault> {
        Ok(Vec::new())
    }
}

/// Does the comparisons that are asked for with a system, until `stop`. `there`: `None` where its records cannot be read.
pub async fn run<C: Charges>(
    destination: String,
    there: Option<C>,
    database: Database,
    clock: Clock,
    stop: CancellationToken,
) {
    let task = Task { holder: holder(), destination, there, database, clock };
    let mut is_failing = false;
    loop {
        match task.round().await {
            Ok(()) => is_failing = false,
            Err(error) => {
                if !is_failing {
                    warn!(destination = %task.destination, %error, "reconcile.database");
                }
                is_failing = true;
            }
        }
        if stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Does at most one comparison that waits; the value is whether there was one.
///
/// # Errors
/// Engine errors.
pub async fn once<C: Charges>(
    destination: &str,
    there: Option<C>,
    database: &Database,
    clock: &Clock,
) -> Result<bool, Error> {
    let task = Task {
        holder: holder(),
        destination: destination.to_owned(),
        there,
        database: database.clone(),
        clock: clock.clone(),
    };
    task.one().await
}

/// Tells this task from others that might do the same comparison.
fn holder() -> String {
    let mut random = [0_u8; 16];
    // Without randomness two tasks may be taken for one; both then say the same.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Task<C> {
    holder: String,
    destination: String,
    there: Option<C>,
    database: Database,
    clock: Clock,
}

/// Why a comparison was not made.
enum Failed {
    Store(Error),
    Fault(Fault),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl<C: Charges> Task<C> {
    async fn round(&self) -> Result<(), Error> {
        while self.one().await? {}
        Ok(())
    }

    async fn one(&self) -> Result<bool, Error> {
        let now = self.clock.now();
        let lease = now.plus_ms(LEASE_MS);
        let Some(job) = reconcile::claim(&self.database, &self.destination, &self.holder, now, lease).await? else {
            return Ok(false);
        };
        let read = (AtomicUsize::new(0), AtomicUsize::new(0));
        let found = tokio::select! {
            found = timeout(WITHIN, self.compared(&job, &read)) => found,
            // Somebody else has it by now, or the database is away: it begins anew later.
            lost = self.signs(&job, &read) => return lost.map(|()| true),
        };
        let now = self.clock.now();
        let fault = match found {
            Ok(Ok((basis, found))) => {
                let (differences, alike) = (found.differences.len(), found.alike);
                reconcile::end(&self.database, &job, &self.holder, basis, found, now).await?;
                info!(destination = %self.destination, differences, alike, "reconcile.done");
                return Ok(true);
            }
            Ok(Err(Failed::Store(error))) => return Err(error),
            Ok(Err(Failed::Fault(fault))) => fault,
            Err(_) => Fault::new(FaultCode::Late, "comparison"),
        };
        warn!(destination = %self.destination, %fault, "reconcile.failed");
        reconcile::fail(&self.database, &job, &self.holder, &fault, now).await?;
        Ok(true)
    }

    /// Says now and then how far it is; ends when the comparison is not ours any more.
    async fn signs(&self, job: &Job, (ours, theirs): &(AtomicUsize, AtomicUsize)) -> Result<(), Error> {
        loop {
            sleep(SIGN_EVERY).await;
            let lease = self.clock.now().plus_ms(LEASE_MS);
            let counts = (ours.load(Ordering::Relaxed), theirs.load(Ordering::Relaxed));
            if !reconcile::progress(&self.database, job, &self.holder, counts, lease).await? {
                return Ok(());
            }
        }
    }

    async fn compared(
        &self,
        job: &Job,
        (ours_read, theirs_read): &(AtomicUsize, AtomicUsize),
    ) -> Result<(Basis, Compared), Failed> {
        // Ours first: what is rendered and told meanwhile is known here when theirs is read, and concerns nobody.
        let ours = reconcile::ours(&self.database, job).await?;
        let ours = ours.ok_or_else(|| Failed::Fault(Fault::new(FaultCode::TooLong, "charges")))?;
        ours_read.store(ours.len(), Ordering::Relaxed);
        let theirs = match &self.there {
            Some(there) => Some(there.charges(job.days, theirs_read).await.map_err(Failed::Fault)?),
            None => None,
        };
        let own: BTreeSet<String> = ours.iter().map(|own| own.charge.clone()).collect();
        let Some(theirs) = theirs else {
            let told = reconcile::told(&self.database, &self.destination, own.into_iter().collect()).await?;
            return Ok((Basis::Acknowledged, acknowledged(&ours, &told)));
        };
        let there: BTreeSet<&str> = theirs.iter().map(|one| one.charge.as_str()).collect();
        let missing = own.iter().filter(|id| !there.contains(id.as_str())).cloned().collect();
        let strange =
            there.iter().filter(|id| !id.is_empty() && !own.contains(**id)).map(|id| (*id).to_owned()).collect();
        let told = reconcile::told(&self.database, &self.destination, missing).await?;
        let elsewhere = reconcile::known(&self.database, strange).await?;
        Ok((Basis::Records, compare(&ours, theirs, &elsewhere, |id| why(&told, id))))
    }
}

fn why(told: &BTreeMap<String, Told>, id: &str) -> String {
    told.get(id).map_or("not_told", Told::code).to_owned()
}

/// Our charges beside what was acknowledged of them.
fn acknowledged(ours: &[Ours], told: &BTreeMap<String, Told>) -> Compared {
    let is_done = |told: Option<(u64, Option<DeliveryState>)>| told.is_some_and(|it| it.1 == Some(DeliveryState::Done));
    let one = |(charge, told): (&String, &Told)| {
        let (change, _) = told.rendered.filter(|_| is_done(told.rendered))?;
        let counts = !is_done(told.cancelled);
        let state = if counts { told.code() } else { "cancelled" }.to_owned();
        Some(Theirs { charge: charge.clone(), external: change.to_string(), money: None, counts, state })
    };
    compare(ours, told.iter().filter_map(one).collect(), &BTreeSet::new(), |id| why(told, id))
}
