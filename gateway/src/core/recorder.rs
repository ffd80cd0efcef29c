//! Makes facts durable, and keeps those that the journal does not take until it does.
//!
//! Three ways: a tap waits for its record before anything moves ([`Recorder::tap`]); other facts are recorded behind
//! what happened ([`Recorder::facts`]); what a peer reports is recorded together with the place reached in its stream,
//! and the peer is told then ([`Recorder::report`]). A failed append of either kind goes to the backlog, which is tried again every
//! second. The order of the journal is the order in which things happened: every append has a ticket, what failed
//! goes back to its ticket's place, and while anything waits a tap waits behind it. A tap that cannot wait
//! ([`TAP_BEHIND_MAX`]) counts as not durable at once, and its point follows its declared mode.
//!
//! When [`BACKLOG_MAX`] facts wait, [`Recorder::is_full`] makes the core stop listening to the lines, which stops
//! polling: cards stay in the readers, and nothing is dropped.

use std::collections::{BTreeMap, VecDeque};

use domain::{Draft, Kind, Reason, UtcMillis};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use store::journal::{APPEND_MAX_FACTS, AppendError, GROUP_MAX, Journal, Mark, Pending, Refused};
use tokio::sync::oneshot;

/// Facts kept in memory while the journal takes none: about 10 MB, and minutes of a full disk at the published size.
pub const BACKLOG_MAX: usize = 20_000;
/// Facts that may stand before a tap that is sent to the journal: one commit, so that trying them costs a tap nothing.
const TAP_BEHIND_MAX: usize = GROUP_MAX - APPEND_MAX_FACTS;

/// Facts of peers' reports that may be on their way to the disk: one commit, so that a tap never waits behind more,
/// however many peers come back at once with what happened meanwhile. The other reports wait, at most one a peer.
const REPORTS_UNDER_WAY_MAX: usize = GROUP_MAX;

/// What became of an append.
#[derive(Debug)]
pub enum Done {
    /// A tap is durable.
    TapDurable(u64),
    /// A tap is not known to be durable; its facts are in the backlog.
    TapFailed(u64),
    /// Facts are durable, or in the backlog again.
    Facts,
}

/// What is appended together.
#[derive(Default)]
struct Load {
    facts: Vec<Draft>,
    /// The place in a peer's stream that is reached with them, and who waits for that.
    report: Option<(Option<Mark>, oneshot::Sender<()>)>,
}

impl Load {
    fn of(facts: Vec<Draft>) -> Self {
        Self { facts, report: None }
    }

    const fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.report.is_none()
    }

    /// What it counts among reports: a place in a stream alone counts as well.
    fn weight(&self) -> usize {
        self.facts.len().max(1)
    }
}

/// An append that ended.
struct Ended {
    /// Its place in the order of things.
    ticket: u64,
    what: What,
    load: Load,
    durable: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Tap(u64),
    Facts,
    Retry,
}

/// The core's way to the journal.
pub struct Recorder {
    journal: Journal,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// What the journal did not take, by ticket.
    backlog: BTreeMap<u64, Load>,
    backlog_facts: usize,
    next_ticket: u64,
    failing: bool,
    /// Appends from the backlog that are under way.
    retrying: usize,
    /// Reports that wait for others, and what those under way count.
    reports: VecDeque<Load>,
    reports_under_way: usize,
}

impl Recorder {
    /// Nothing waits.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            under_way: FuturesUnordered::new(),
            backlog: BTreeMap::new(),
            backlog_facts: 0,
            next_ticket: 0,
            failing: false,
            retrying: 0,
            reports: VecDeque::new(),
            reports_under_way: 0,
        }
    }

    /// Whether no more events should be taken from the lines.
    pub fn is_full(&self) -> bool {
        self.backlog_facts >= BACKLOG_MAX
    }

    /// Whether the journal failed last.
    pub const fn failing(&self) -> bool {
        self.failing
    }

    /// Whether nothing is on its way to the disk.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How many facts wait in memory.
    pub const fn backlog(&self) -> usize {
        self.backlog_facts
    }

    /// Records a tap under the number `tap`; [`Recorder::next`] says what became of it.
    pub fn tap(&mut self, tap: u64, facts: Vec<Draft>) {
        let ticket = self.ticket();
        if self.backlog_facts <= TAP_BEHIND_MAX {
            self.send_backlog();
        }
        let load = Load::of(facts);
        if self.backlog.is_empty() {
            self.send(ticket, What::Tap(tap), load);
        } else {
            self.end_at_once(Ended { ticket, what: What::Tap(tap), load, durable: false });
        }
    }

    /// Records facts, now or when the journal works again.
    pub fn facts(&mut self, facts: Vec<Draft>) {
        if !facts.is_empty() {
            self.later(Load::of(facts));
        }
    }

    /// Records what a peer reports, at most [`APPEND_MAX_FACTS`] facts, and tells `done` when they and the place in
    /// its stream are durable.
    pub fn report(&mut self, facts: Vec<Draft>, mark: Option<Mark>, done: oneshot::Sender<()>) {
        if facts.is_empty() && mark.is_none() {
            // Whoever asked may have gone.
            let _ = done.send(());
            return;
        }
        self.reports.push_back(Load { facts, report: Some((mark, done)) });
        self.send_reports();
    }

    fn send_reports(&mut self) {
        let room = |under_way: usize, load: &Load| under_way == 0 || under_way + load.weight() <= REPORTS_UNDER_WAY_MAX;
        while let Some(load) = self.reports.pop_front_if(|load| room(self.reports_under_way, load)) {
            self.reports_under_way += load.weight();
            self.later(load);
        }
    }

    fn later(&mut self, load: Load) {
        let ticket = self.ticket();
        if self.backlog.is_empty() && !self.failing {
            self.send(ticket, What::Facts, load);
        } else {
            self.put_back(ticket, load);
        }
    }

    const fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    fn put_back(&mut self, ticket: u64, load: Load) {
        self.backlog_facts += load.facts.len();
        self.backlog.insert(ticket, load);
    }

    fn send(&mut self, ticket: u64, what: What, load: Load) {
        let facts = load.facts.clone();
        let sent = match &load.report {
            Some((Some(mark), _)) => self.journal.append_marked(facts, mark.clone()),
            _ => self.journal.append(facts),
        };
        match sent {
            Ok(pending) => self.follow(pending, Ended { ticket, what, load, durable: true }),
            // It would be refused for ever, and everything behind it wait. Whoever waits for it learns that it is gone.
            Err(Refused::Size(_)) if load.report.is_some() => {
                tracing::error!("a report of a peer is beyond what the journal takes at once, and is not recorded");
                self.reports_under_way -= load.weight();
                let gone = Ended { ticket, what, load: Load::default(), durable: true };
                self.under_way.push(Box::pin(async move { gone }));
            }
            Err(Refused::Full(_) | Refused::Size(_) | Refused::Closed(_)) => {
                self.end_at_once(Ended { ticket, what, load, durable: false });
            }
        }
    }

    /// The facts count as waiting from now, so that nothing overtakes them; a tap hears of it by [`Recorder::next`].
    fn end_at_once(&mut self, ended: Ended) {
        self.failing = true;
        self.put_back(ended.ticket, ended.load);
        if let What::Tap(_) = ended.what {
            let told = Ended { load: Load::default(), ..ended };
            self.under_way.push(Box::pin(async move { told }));
        }
    }

    fn follow(&mut self, pending: Pending, ended: Ended) {
        self.under_way.push(Box::pin(async move {
            match pending.await {
                Ok(_) => ended,
                // An earlier try that was said to have failed had been written after all, or the peer's task sent a
                // batch twice: it is durable, and would be refused for ever.
                Err(AppendError::Mark(error)) => {
                    tracing::warn!(%error, "a report of a peer is in the journal already");
                    ended
                }
                Err(error) => {
                    tracing::error!(%error, "the journal did not take a record");
                    Ended { durable: false, ..ended }
                }
            }
        }));
    }

    /// What became of the next append to end. Waits for ever while none is under way; may be cancelled.
    pub async fn next(&mut self) -> Done {
        let Some(ended) = self.under_way.next().await else { return std::future::pending().await };
        self.failing = !ended.durable;
        if ended.durable {
            let weight = ended.load.weight();
            if let Some((_, done)) = ended.load.report {
                self.reports_under_way -= weight;
                // The peer may have gone; it will send again what it was not told about.
                let _ = done.send(());
                self.send_reports();
            }
        } else if !ended.load.is_empty() {
            self.put_back(ended.ticket, ended.load);
        }
        if ended.what == What::Retry {
            self.retrying -= 1;
        }
        if ended.durable {
            self.retry();
        }
        match (ended.what, ended.durable) {
            (What::Tap(tap), true) => Done::TapDurable(tap),
            (What::Tap(tap), false) => Done::TapFailed(tap),
            (What::Facts | What::Retry, _) => Done::Facts,
        }
    }

    /// Tries the backlog again; to be called every second. About one commit at a time, in its order.
    pub fn retry(&mut self) {
        if self.retrying == 0 {
            self.send_backlog();
        }
    }

    /// Sends the oldest facts of the backlog, as many as one commit takes.
    fn send_backlog(&mut self) {
        let mut sent = 0;
        while sent < TAP_BEHIND_MAX
            && let Some((ticket, load)) = self.backlog.pop_first()
        {
            self.backlog_facts -= load.facts.len();
            sent += load.facts.len().max(1);
            let before = self.backlog.len();
            self.retrying += 1;
            self.send(ticket, What::Retry, load);
            if self.backlog.len() > before {
                // Not even queued: it is back in its place.
                self.retrying -= 1;
                return;
            }
        }
    }

    /// Writes everything that can be written, at the end. Reports that have not been sent stay with their peers.
    pub async fn flush(&mut self) {
        while !self.under_way.is_empty() {
            self.next().await;
        }
        while !self.backlog.is_empty() {
            self.failing = false;
            self.retry();
            while !self.under_way.is_empty() {
                self.next().await;
            }
            if self.failing {
                tracing::error!(facts = self.backlog_facts, "facts could not be recorded before the end");
                return;
            }
        }
    }
}

/// The alarm that says that the journal stalled, and how it ended.
pub fn stall_alarm(at: UtcMillis, detail: String) -> Draft {
    Draft { reason: Some(Reason::JournalStalled), detail: Some(detail), ..Draft::new(at, Kind::Alarm) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{Clock, Epoch, GatewayId};
    use tokio::time::timeout;

    use super::*;

    fn fact(n: i64) -> Draft {
        Draft::new(UtcMillis(n), Kind::Granted)
    }

    async fn ended(recorder: &mut Recorder) -> Done {
        timeout(Duration::from_secs(10), recorder.next()).await.expect("an append ends")
    }

    async fn open(folder: &std::path::Path) -> Journal {
        let clock = Clock::new(|| UtcMillis(0));
        let gateway = GatewayId::new("gw").unwrap();
        Journal::open(&folder.join("journal.db"), gateway, Epoch([1; 16]), &clock).await.unwrap()
    }

    /// A full queue refuses like a full disk, and takes again when it is emptied.
    #[tokio::test]
    async fn what_the_journal_refused_is_recorded_in_the_order_in_which_it_happened() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path()).await;
        // The writer has not run yet: the queue fills up to the last place.
        let mut filling = Vec::new();
        while journal.room() > 0 {
            let some = journal.room().min(APPEND_MAX_FACTS);
            filling.push(journal.append(vec![fact(0); some]).unwrap());
        }
        let filled = store::journal::QUEUE_MAX_FACTS as u64;
        let mut recorder = Recorder::new(journal.clone());
        recorder.tap(1, vec![fact(1), fact(2)]);
        recorder.facts(vec![fact(3)]);
        recorder.tap(2, vec![fact(4)]);
        recorder.facts(vec![fact(5)]);
        assert_eq!(recorder.backlog(), 5);
        for pending in filling {
            pending.await.unwrap();
        }
        assert!(matches!(ended(&mut recorder).await, Done::TapFailed(1)));
        assert!(matches!(ended(&mut recorder).await, Done::TapFailed(2)));
        // The journal works again: the next tap is recorded behind what waited.
        recorder.tap(3, vec![fact(6)]);
        while !matches!(ended(&mut recorder).await, Done::TapDurable(3)) {}
        assert_eq!((recorder.backlog(), recorder.failing()), (0, false));
        let order: Vec<i64> =
            journal.read_after(filled, 100).await.unwrap().iter().map(|entry| entry.fact.at.0).collect();
        assert_eq!(order, [1, 2, 3, 4, 5, 6]);
    }

    #[tokio::test]
    async fn a_tap_does_not_wait_behind_the_reports_of_hundreds_of_peers_that_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path()).await;
        let mut recorder = Recorder::new(journal.clone());
        let mut told = Vec::new();
        for _ in 0..1000 {
            let (done, durable) = oneshot::channel();
            recorder.report(vec![fact(1); APPEND_MAX_FACTS], None, done);
            told.push(durable);
        }
        recorder.tap(1, vec![fact(2)]);
        let mut before = 0;
        while !matches!(ended(&mut recorder).await, Done::TapDurable(1)) {
            before += 1;
        }
        assert!(before <= REPORTS_UNDER_WAY_MAX / APPEND_MAX_FACTS, "{before} reports went before the tap");
        assert!(!recorder.failing() && recorder.backlog() == 0);
        loop {
            told.retain_mut(|durable| durable.try_recv().is_err());
            if told.is_empty() {
                break;
            }
            ended(&mut recorder).await;
        }
        assert_eq!(journal.last_seq(), 1000 * APPEND_MAX_FACTS as u64 + 1);
    }

    #[tokio::test]
    async fn a_backlog_is_bounded_and_a_tap_behind_a_long_one_is_not_durable_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path()).await;
        journal.close().await;
        let mut recorder = Recorder::new(journal);
        for n in 0..BACKLOG_MAX {
            assert!(!recorder.is_full(), "{n}");
            recorder.facts(vec![fact(1)]);
        }
        assert!(recorder.is_full());
        recorder.tap(1, vec![fact(2)]);
        assert!(matches!(ended(&mut recorder).await, Done::TapFailed(1)));
        timeout(Duration::from_secs(10), recorder.flush()).await.expect("the end is not waited for without end");
    }

    fn mark(seq: u64, event: &str) -> Mark {
        let peer = domain::LineId::new("peer").unwrap();
        let events = vec![event.to_owned()];
        Mark { peer, epoch: Epoch([2; 16]), seq, at: UtcMillis(0), events, quarantined: Vec::new() }
    }

    /// A batch that failed may be in the journal all the same; tried again it is refused, and must not be tried for ever.
    #[tokio::test]
    async fn a_report_that_is_known_or_impossible_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path()).await;
        let mut recorder = Recorder::new(journal.clone());
        let (done, known) = oneshot::channel();
        journal.append_marked(vec![fact(1)], mark(5, "a")).unwrap().await.unwrap();
        recorder.report(vec![fact(1)], Some(mark(5, "a")), done);
        assert!(matches!(ended(&mut recorder).await, Done::Facts));
        assert_eq!(known.await, Ok(()), "it is durable, so the peer may be told");

        let (done, impossible) = oneshot::channel();
        recorder.report(vec![fact(2)], Some(mark(6, &"x".repeat(65))), done);
        assert!(matches!(ended(&mut recorder).await, Done::Facts));
        assert!(impossible.await.is_err());
        recorder.tap(1, vec![fact(3)]);
        assert!(matches!(ended(&mut recorder).await, Done::TapDurable(1)));
        assert_eq!((recorder.backlog(), recorder.failing(), journal.last_seq()), (0, false, 2));
    }
}
