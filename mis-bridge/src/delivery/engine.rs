//! The task of one destination: makes deliveries of changes, takes them, lets workers tell them, writes down how they
//! ended. The database is asked while the workers go on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clinic::Database;
use clinic::outbox::{self, Claimed, Ended, Fact, Fault, FaultCode, Settled};
use domain::{Clock, UtcMillis};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::hand::{Hand, Rest, wait_ms};
use super::{Deliver, Delivered, Settings};

/// So many ended deliveries are written down at once.
const WRITE_AT: usize = 250;
/// What ended is written down within this time.
const WRITE_WITHIN: Duration = Duration::from_millis(20);
/// How often deliveries are looked for whose time came while nothing new happened.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often old deliveries are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long an ending program waits for what is on its way.
const END_WITHIN: Duration = Duration::from_secs(5);

/// What the task shares with its workers.
struct Shared<D> {
    deliver: D,
    settings: Settings,
    clock: Clock,
    hand: Mutex<Hand>,
    /// A permit whenever a fact may have become startable; one too many does no harm.
    startable: Semaphore,
    /// Something ended.
    news: Notify,
    /// Facts on their way at most: one, while it is tried whether a system is back.
    at_once: std::sync::atomic::AtomicUsize,
}

impl<D> Shared<D> {
    fn hand(&self) -> MutexGuard<'_, Hand> {
        // Nothing panics while it is held.
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_once(&self) -> usize {
        self.at_once.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn finish(&self, worker: usize, delivered: Delivered) {
        let mut hand = self.hand();
        hand.finish(worker, delivered, self.clock.now(), &self.settings);
        let (ready, ended) = (hand.ready(), hand.ended());
        let tell = ended == 1 || ended >= WRITE_AT || hand.has_rest() || ready == 0;
        drop(hand);
        if ready > 0 {
            self.startable.add_permits(1);
        }
        if tell {
            self.news.notify_one();
        }
    }
}

/// Tells one destination what happens, until `shutdown`.
///
/// # Errors
/// [`outbox::OutboxError::BadName`]. While the database is away it waits.
pub async fn run<D: Deliver>(
    settings: Settings,
    database: Database,
    clock: Clock,
    deliver: D,
    shutdown: CancellationToken,
) -> Result<(), outbox::OutboxError> {
    let name = settings.destination.name.clone();
    loop {
        match outbox::register(&database, &settings.destination, clock.now()).await {
            Ok(()) => break,
            Err(error @ outbox::OutboxError::BadName) => return Err(error),
            Err(error) => warn!(destination = name, "a destination cannot be written down yet: {error}"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
    let workers = settings.at_once.max(1);
    let shared = Arc::new(Shared {
        deliver,
        clock: clock.clone(),
        hand: Mutex::new(Hand::default()),
        startable: Semaphore::new(0),
        news: Notify::new(),
        // Until something is delivered it is not known that the system is there.
        at_once: std::sync::atomic::AtomicUsize::new(workers),
        settings,
    });
    let now = Instant::now();
    let mut engine = Engine {
        holder: holder(),
        name,
        database,
        clock,
        shared,
        team: JoinSet::new(),
        worker_of: std::collections::HashMap::new(),
        claim_at: now,
        renew_at: now,
        tidy_at: now,
        unwritten_since: None,
        failures: 0,
        database_ok: true,
    };
    (0..workers).for_each(|number| engine.hire(number));
    engine.run(&shutdown).await;
    engine.end().await;
    Ok(())
}

/// A name for who takes deliveries; a new one at each start, so that what an earlier one had is not taken for ours.
fn holder() -> String {
    let mut random = [0; 12];
    // Without randomness two bridges might share a name; then a settled delivery could be another's, told twice at worst.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Engine<D> {
    name: String,
    holder: String,
    database: Database,
    clock: Clock,
    shared: Arc<Shared<D>>,
    team: JoinSet<()>,
    worker_of: std::collections::HashMap<tokio::task::Id, usize>,
    claim_at: Instant,
    renew_at: Instant,
    tidy_at: Instant,
    unwritten_since: Option<Instant>,
    /// How often in a row the system was away.
    failures: u32,
    database_ok: bool,
}

impl<D: Deliver> Engine<D> {
    fn hire(&mut self, number: usize) {
        let shared = Arc::clone(&self.shared);
        let task = self.team.spawn(work(shared, number));
        self.worker_of.insert(task.id(), number);
    }

    async fn run(&mut self, shutdown: &CancellationToken) {
        loop {
            self.write_down().await;
            let behind = self.fill().await;
            self.take().await;
            self.keep().await;
            if behind && self.database_ok {
                if shutdown.is_cancelled() {
                    return;
                }
                tokio::task::yield_now().await;
                continue;
            }
            let until = self.next_look();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(left) = self.team.join_next_with_id() => self.replace(left),
                () = self.shared.news.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    fn next_look(&self) -> Instant {
        let look = Instant::now() + if self.database_ok { self.shared.settings.look_every } else { LOOK_AGAIN };
        self.unwritten_since.map_or(look, |since| look.min(since + WRITE_WITHIN))
    }

    /// A worker ended, which only a fault in our own code makes it do: its fact counts as failed.
    fn replace(&mut self, left: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = match &left {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(number) = self.worker_of.remove(&id) else { return };
        error!(destination = self.name, "telling a fact ended in a fault of this program; it is tried again later");
        self.shared.finish(number, Delivered::retry(FaultCode::Unspeakable, "panic"));
        self.hire(number);
    }

    /// Writes down what ended, if it is enough or old enough, and rests if the system is away.
    async fn write_down(&mut self) {
        let (ended, rest) = {
            let mut hand = self.shared.hand();
            let due = self.unwritten_since.is_some_and(|since| since.elapsed() >= WRITE_WITHIN);
            let rests = hand.has_rest();
            let idle = hand.ready() == 0 && hand.flying() == 0;
            if hand.ended() > 0 && self.unwritten_since.is_none() {
                self.unwritten_since = Some(Instant::now());
            }
            if !rests && (hand.ended() == 0 || !(due || idle || hand.ended() >= WRITE_AT)) {
                return;
            }
            (hand.take_ended(), hand.take_rest())
        };
        let now = self.clock.now();
        let done = ended.iter().any(|settled| settled.ended == Ended::Done);
        let frees = ended.iter().any(|settled| settled.ended != Ended::Done);
        let written = outbox::settle(&self.database, &self.name, &self.holder, ended.clone(), now).await;
        if self.note(written, "writing down what was delivered").is_none() {
            let mut hand = self.shared.hand();
            hand.put_back(ended);
            self.unwritten_since = Some(Instant::now() + LOOK_AGAIN);
            return;
        }
        self.unwritten_since = None;
        if done || frees {
            self.claim_at = self.claim_at.min(Instant::now());
        }
        if done && rest.is_none() {
            self.back();
        }
        if let Some(rest) = rest {
            self.rest(rest, now).await;
        }
    }

    /// The system takes what it is told.
    fn back(&mut self) {
        if self.failures > 0 {
            info!(destination = self.name, "the system is back");
        }
        self.failures = 0;
        let workers = self.shared.settings.at_once.max(1);
        self.shared.at_once.store(workers, std::sync::atomic::Ordering::Relaxed);
        self.shared.startable.add_permits(workers);
    }

    /// Leaves the whole system alone for a while; after that one fact is told, to see whether it is back.
    async fn rest(&mut self, rest: Rest, now: UtcMillis) {
        let settings = &self.shared.settings;
        let wait = wait_ms(settings.first_wait, self.failures, settings.longest_rest, rest.least);
        let until = now.plus_ms(wait);
        let held = outbox::hold_back(&self.database, &self.name, &rest.fault, now, until).await;
        if self.failures == 0 {
            warn!(destination = self.name, fault = %rest.fault, "the system cannot be told anything now; everything waits");
        }
        self.failures = self.failures.saturating_add(1);
        self.shared.at_once.store(1, std::sync::atomic::Ordering::Relaxed);
        self.note(held, "holding a destination back");
        self.claim_at = Instant::now() + Duration::from_millis(wait.cast_unsigned()).min(LOOK_AGAIN);
    }

    /// Makes deliveries of new changes; whether there are more.
    async fn fill(&mut self) -> bool {
        let before = Instant::now();
        let filled = outbox::fill(&self.database, &self.name, self.clock.now()).await;
        match self.note(filled, "looking for changes") {
            Some(outbox::Filled { moved: true, left }) => {
                self.claim_at = self.claim_at.min(before);
                left
            }
            Some(outbox::Filled { left, .. }) => left,
            None => false,
        }
    }

    /// Takes deliveries while the hand is half empty.
    async fn take(&mut self) {
        let settings = self.shared.settings.clone();
        let (waiting, flying) = {
            let hand = self.shared.hand();
            (hand.waiting(), hand.flying())
        };
        let probing = self.failures > 0;
        let most = if probing { usize::from(waiting + flying == 0) } else { settings.batch.max(1) };
        if !self.database_ok || most == 0 || waiting > most / 2 || Instant::now() < self.claim_at {
            return;
        }
        let now = self.clock.now();
        let due = outbox::has_due(&self.database, &self.name, now).await;
        if !self.note(due, "looking for deliveries").unwrap_or(false) {
            self.claim_at = Instant::now() + LOOK_AGAIN;
            return;
        }
        let until = now.plus_ms(i64::try_from(settings.lease.as_millis()).unwrap_or(i64::MAX));
        let most = most.saturating_sub(waiting);
        let claimed = outbox::claim(&self.database, &self.name, &self.holder, most, now, until).await;
        let Some(claimed) = self.note(claimed, "taking deliveries") else { return };
        if claimed.len() < most {
            self.claim_at = Instant::now() + LOOK_AGAIN;
        }
        if claimed.is_empty() {
            return;
        }
        self.load(claimed, &settings).await;
    }

    /// Reads what deliveries are about and hands them to the workers.
    async fn load(&mut self, claimed: Vec<Claimed>, settings: &Settings) {
        let mut facts = Vec::with_capacity(claimed.len());
        let mut spoiled = Vec::new();
        match outbox::facts(&self.database, &self.name, &settings.system, &claimed).await {
            Ok(found) => facts = found,
            Err(_) => {
                // One row that does not read must not hold up the others.
                for one in &claimed {
                    match outbox::facts(&self.database, &self.name, &settings.system, std::slice::from_ref(one)).await {
                        Ok(mut found) => facts.append(&mut found),
                        Err(error) if matches!(error.fault(), store::Fault::BadRow { .. }) => {
                            error!(destination = self.name, change = one.change, "a delivery does not read: {error}");
                            spoiled.push(one.change);
                        }
                        Err(error) => {
                            // What is left is free again when its time has run out.
                            self.note::<()>(Err(error), "reading deliveries");
                            break;
                        }
                    }
                }
            }
        }
        let mut facts: std::collections::BTreeMap<u64, Fact> =
            facts.into_iter().map(|fact| (fact.change.id, fact)).collect();
        let mut hand = self.shared.hand();
        for Claimed { change, line, .. } in claimed {
            match facts.remove(&change) {
                Some(fact) => hand.add(line, fact),
                None if self.database_ok => {
                    let detail = if spoiled.contains(&change) { "unreadable" } else { "change" };
                    let fault = Fault::new(FaultCode::Missing, detail);
                    hand.note(Settled { change, ended: Ended::Dead(fault) });
                }
                None => hand.note(Settled { change, ended: Ended::Released }),
            }
        }
        let ready = hand.ready();
        drop(hand);
        self.shared.startable.add_permits(ready.min(settings.at_once.max(1)));
    }

    /// Keeps what is ours, and forgets what is old.
    async fn keep(&mut self) {
        let now = Instant::now();
        let lease = self.shared.settings.lease;
        let ours = {
            let hand = self.shared.hand();
            hand.waiting() + hand.flying() + hand.ended() > 0
        };
        if ours && now >= self.renew_at {
            self.renew_at = now + lease / 3;
            let until = self.clock.now().plus_ms(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
            let kept = outbox::renew(&self.database, &self.name, &self.holder, until).await;
            self.note(kept, "keeping deliveries");
        }
        if now >= self.tidy_at {
            self.tidy_at = now + TIDY_EVERY;
            let kept = i64::try_from(self.shared.settings.kept.as_millis()).unwrap_or(i64::MAX);
            let gone = outbox::tidy(&self.database, self.clock.now().plus_ms(-kept)).await;
            self.note(gone, "forgetting old deliveries");
            let told = outbox::register_told(&self.database, &self.name, self.clock.now()).await;
            self.note(told, "registering what was told");
        }
    }

    /// Lets what is on its way end, writes it down and frees the rest.
    async fn end(&mut self) {
        self.shared.hand().stop();
        let shared = Arc::clone(&self.shared);
        let quiet = async {
            while shared.hand().flying() > 0 {
                let _ = timeout(Duration::from_millis(50), shared.news.notified()).await;
            }
        };
        let _ = timeout(END_WITHIN, quiet).await;
        self.team.shutdown().await;
        let ended = {
            let mut hand = self.shared.hand();
            hand.abandon();
            hand.take_ended()
        };
        let written = outbox::settle(&self.database, &self.name, &self.holder, ended, self.clock.now()).await;
        self.note(written, "writing down what was delivered");
    }

    /// Says once that the database has failed, and once that it is back.
    fn note<T>(&mut self, outcome: Result<T, clinic::Error>, doing: &'static str) -> Option<T> {
        match outcome {
            Ok(value) => {
                if !self.database_ok {
                    info!(destination = self.name, "the database is back");
                }
                self.database_ok = true;
                Some(value)
            }
            Err(error) => {
                if self.database_ok {
                    warn!(destination = self.name, "{doing}: {error}; deliveries wait");
                }
                self.database_ok = false;
                None
            }
        }
    }
}

/// A worker: tells one fact after the other.
async fn work<D: Deliver>(shared: Arc<Shared<D>>, number: usize) {
    loop {
        match shared.startable.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return,
        }
        loop {
            let fact = shared.hand().start(number, shared.at_once());
            let Some(fact) = fact else { break };
            let told = timeout(shared.settings.lease, shared.deliver.deliver(&fact)).await;
            shared.finish(number, told.unwrap_or_else(|_| Delivered::retry(FaultCode::Late, "")));
        }
    }
}
