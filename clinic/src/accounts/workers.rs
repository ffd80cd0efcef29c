//! Who computes password hashes: threads of their own, below the priority of everything else, so that a flood of
//! sign-ins takes neither the tasks that answer requests nor the processor from taps and pages.
//!
//! Who wants a hash first takes a place. There are two lines: browsers that are known (and people who are signed in),
//! and strangers. A line has [`PLACES`] places; who finds none is told at once to come again, before anything is looked
//! at. Known ones are served first, so that a flood of strangers does not keep a doctor out.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::AccountError;

/// Most threads. Each hash takes 19 MiB, so this bounds memory as well.
const THREADS_MAX: usize = 2;
/// Places in each line: being served or waiting. At 20 ms a hash the last one waits a third of a second.
pub const PLACES: usize = 18;
/// What who finds no place is told to wait, in milliseconds.
const RETRY_MS: i64 = 2000;
/// How much less than others these threads get when the processor is short: a tenth or so (nice 10).
const NICE: i32 = 10;

/// In which line somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Signed in, or in a browser from which the account has signed in before.
    Known,
    /// Everybody else.
    Strangers,
}

/// A place in a line; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    line: Line,
    _taken: OwnedSemaphorePermit,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Lines {
    known: VecDeque<Job>,
    strangers: VecDeque<Job>,
    threads: usize,
    is_closed: bool,
}

struct Shared {
    lines: Mutex<Lines>,
    ready: Condvar,
}

impl Shared {
    /// A job that panicked holds no lock, so what a poisoned one guards is whole.
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the threads with its last owner.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lines().is_closed = true;
        self.0.ready.notify_all();
    }
}

/// Computes hashes, a bounded number at once. Cheap to clone.
#[derive(Clone)]
pub struct PasswordWorkers {
    owner: Arc<Owner>,
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl fmt::Debug for PasswordWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordWorkers")
    }
}

impl Default for PasswordWorkers {
    fn default() -> Self {
        let shared = Shared { lines: Mutex::new(Lines::default()), ready: Condvar::new() };
        let places = || Arc::new(Semaphore::new(PLACES));
        Self { owner: Arc::new(Owner(Arc::new(shared))), known: places(), strangers: places() }
    }
}

impl PasswordWorkers {
    /// Takes a place.
    ///
    /// # Errors
    /// [`AccountError::Busy`] at once when there is none.
    pub(super) fn place(&self, line: Line) -> Result<Place, AccountError> {
        let places = match line {
            Line::Known => &self.known,
            Line::Strangers => &self.strangers,
        };
        match Arc::clone(places).try_acquire_owned() {
            Ok(taken) => Ok(Place { line, _taken: taken }),
            Err(_) => Err(AccountError::Busy { retry_ms: RETRY_MS }),
        }
    }

    /// Does `work` on one of the threads. The place is kept until it is done, also when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        place: &Arc<Place>,
        work: impl FnOnce() -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, AccountError> {
        let (done, result) = oneshot::channel();
        let kept = Arc::clone(place);
        let job: Job = Box::new(move || {
            let _ = done.send(work());
            drop(kept);
        });
        self.push(place.line, job)?;
        result.await.map_err(|_| AccountError::System("a password worker stopped".to_owned()))?
    }

    fn push(&self, line: Line, job: Job) -> Result<(), AccountError> {
        let shared = &self.owner.0;
        let mut lines = shared.lines();
        match line {
            Line::Known => lines.known.push_back(job),
            Line::Strangers => lines.strangers.push_back(job),
        }
        if lines.threads < threads() {
            let shared = Arc::clone(shared);
            let named = std::thread::Builder::new().name("passwords".to_owned());
            match named.spawn(move || serve(&shared)) {
                Ok(_) => lines.threads += 1,
                Err(error) if lines.threads == 0 => {
                    lines.known.clear();
                    lines.strangers.clear();
                    return Err(AccountError::System(format!("no thread for passwords: {error}")));
                }
                Err(_) => {}
            }
        }
        drop(lines);
        shared.ready.notify_one();
        Ok(())
    }
}

/// Half of the processor's cores, at least one: the other half is always there for taps.
fn threads() -> usize {
    (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) / 2).clamp(1, THREADS_MAX)
}

fn serve(shared: &Shared) {
    // Of this thread only, as Linux understands it. Where it is refused, the bound on threads remains.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "account.workers.priority");
    }
    loop {
        let job = {
            let mut lines = shared.lines();
            loop {
                if let Some(job) = lines.known.pop_front() {
                    break job;
                }
                if let Some(job) = lines.strangers.pop_front() {
                    break job;
                }
                if lines.is_closed {
                    return;
                }
                lines = shared.ready.wait(lines).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // A panic in one hash must not take the thread: whoever waits for it hears that it stopped.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            tracing::error!("account.workers.panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn place(workers: &PasswordWorkers, line: Line) -> Arc<Place> {
        Arc::new(workers.place(line).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_finds_no_place_is_told_at_once_and_known_ones_have_their_own_line() {
        let workers = PasswordWorkers::default();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let mut running = Vec::new();
        for _ in 0..PLACES {
            let (workers, place, wait) = (workers.clone(), place(&workers, Line::Strangers), Arc::clone(&wait));
            running.push(tokio::spawn(async move {
                workers.run(&place, move || Ok(wait.lock().unwrap().recv().is_ok())).await.unwrap()
            }));
        }
        let refused = workers.place(Line::Strangers);
        assert!(matches!(refused, Err(AccountError::Busy { retry_ms }) if retry_ms > 0));
        assert!(workers.place(Line::Known).is_ok(), "a flood of strangers leaves the known line free");
        for _ in 0..PLACES {
            go.send(()).unwrap();
        }
        for one in running {
            assert!(one.await.unwrap());
        }
        assert!(workers.place(Line::Strangers).is_ok(), "places are free again");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn known_ones_are_served_before_strangers_who_came_earlier() {
        let workers = PasswordWorkers::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let mut running = Vec::new();
        // As many as there are threads stand still, so that the next ones wait in their lines.
        for _ in 0..threads() {
            let (workers, place, wait) = (workers.clone(), place(&workers, Line::Strangers), Arc::clone(&wait));
            running.push(tokio::spawn(async move {
                workers.run(&place, move || Ok(wait.lock().unwrap().recv().is_ok())).await.unwrap();
            }));
        }
        while !workers.owner.0.lines().strangers.is_empty() || workers.owner.0.lines().threads < threads() {
            tokio::task::yield_now().await;
        }
        for (line, name) in [(Line::Strangers, "stranger"), (Line::Known, "doctor")] {
            let (runner, place, order) = (workers.clone(), place(&workers, line), Arc::clone(&order));
            running.push(tokio::spawn(async move {
                let noting = move || {
                    order.lock().unwrap().push(name);
                    Ok(())
                };
                runner.run(&place, noting).await.unwrap();
            }));
            let waiting = || {
                let lines = workers.owner.0.lines();
                if line == Line::Known { lines.known.len() } else { lines.strangers.len() }
            };
            while waiting() == 0 {
                tokio::task::yield_now().await;
            }
        }
        go.send(()).unwrap();
        let (first, rest) = (threads(), running);
        for _ in 1..first {
            go.send(()).unwrap();
        }
        for one in rest {
            one.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["doctor", "stranger"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn hashes_are_computed_below_everybody_elses_priority() {
        let workers = PasswordWorkers::default();
        let place = place(&workers, Line::Known);
        let nice = workers.run(&place, || Ok(rustix::process::getpriority_process(None).unwrap())).await.unwrap();
        assert!(nice >= NICE, "{nice}");
        let own = rustix::process::getpriority_process(None).unwrap();
        assert!(own < NICE, "this thread keeps its own: {own}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hash_that_panics_is_an_error_and_the_next_one_is_computed() {
        let workers = PasswordWorkers::default();
        let place = place(&workers, Line::Known);
        let broken: Result<(), _> = workers.run(&place, || panic!("planted")).await;
        assert!(matches!(broken, Err(AccountError::System(_))));
        assert_eq!(workers.run(&place, || Ok(7)).await.unwrap(), 7);
    }
}
