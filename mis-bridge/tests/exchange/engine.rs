//! The task of a destination, with a system that is told in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinic::changes::ChangeKind;
use clinic::outbox::{self, DeliveryState, DestinationState, Fault, FaultCode, Filter};
use domain::Clock;
use mis_bridge::delivery::{self, Deliver, Delivered, Fact, Settings};
use store::Database;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{self, Hand, count, ended, happen, open, settings, started, until, visit_id, whole_visits};

type Judge = Box<dyn Fn(&Fact, usize) -> Delivered + Send + Sync>;

/// A system in memory: what it was told and has, in the order of telling; `judge` says how it answers.
#[derive(Clone)]
struct Memory {
    has: Arc<Mutex<Vec<(u64, ChangeKind, String)>>>,
    asked: Arc<AtomicUsize>,
    at_once: Arc<(AtomicUsize, AtomicUsize)>,
    judge: Arc<Judge>,
}

impl Memory {
    fn new(judge: impl Fn(&Fact, usize) -> Delivered + Send + Sync + 'static) -> Self {
        Self { has: Arc::default(), asked: Arc::default(), at_once: Arc::default(), judge: Arc::new(Box::new(judge)) }
    }

    fn willing() -> Self {
        Self::new(|_, _| Delivered::Done)
    }

    fn has(&self) -> Vec<(u64, ChangeKind, String)> {
        self.has.lock().unwrap().clone()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Deliver for Memory {
    async fn deliver(&self, fact: &Fact) -> Delivered {
        let now = self.at_once.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once.1.fetch_max(now, Ordering::SeqCst);
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        // Others get their turn, if there are any: on a busy machine one turn is not enough.
        for _ in 0..100 {
            if self.at_once.1.load(Ordering::SeqCst) > 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let answer = (self.judge)(fact, nth);
        if answer == Delivered::Done {
            let visit = fact.visit.as_ref().unwrap().id.clone();
            self.has.lock().unwrap().push((fact.change.id, fact.change.kind, visit));
        }
        self.at_once.0.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(settings: Settings, database: &Database, clock: &Clock, deliver: impl Deliver) -> Self {
        let stop = CancellationToken::new();
        let (database, clock, own) = (database.clone(), clock.clone(), stop.clone());
        let task = tokio::spawn(async move { delivery::run(settings, database, clock, deliver, own).await.unwrap() });
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Each visit of the list was told to have started once and then to have ended once.
fn assert_whole(has: &[(u64, ChangeKind, String)], visits: u64) {
    let mut told: BTreeMap<&str, Vec<ChangeKind>> = BTreeMap::new();
    for (_, kind, visit) in has {
        told.entry(visit).or_default().push(*kind);
    }
    let wanted = vec![ChangeKind::VisitStarted, ChangeKind::VisitEnded];
    let wrong: Vec<_> = told.iter().filter(|(_, kinds)| **kinds != wanted).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(told.len() as u64, visits);
}

/// The same story on both engines.
async fn on_both<F: Future<Output = ()>>(visits: u64, story: impl Fn(Database) -> F) {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        open(&database, visits).await;
        story(database.clone()).await;
        database.close().await;
    }
}

async fn ready(database: &Database, settings: &Settings) {
    outbox::register(database, &settings.destination, world::NOW).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_told_once_and_in_order_for_each_patient() {
    on_both(300, |database| async move {
        let (_, clock) = Hand::new();
        ready(&database, &settings()).await;
        whole_visits(&database, 300).await;
        // What it does not want is no delivery.
        happen(&database, vec![world::New { kind: ChangeKind::OutOfCard, visit: 1, after_ms: 0 }]).await;
        // Two bridges share the work.
        let memory = Memory::willing();
        let one = Running::start(settings(), &database, &clock, memory.clone());
        let two = Running::start(settings(), &database, &clock, memory.clone());
        until(&database, DeliveryState::Done, 600).await;
        one.end().await;
        two.end().await;
        assert_whole(&memory.has(), 300);
        assert_eq!(memory.has().len(), 600, "none twice");
        assert_eq!(count(&database, DeliveryState::Waiting).await, 0);
        assert!(memory.at_once.1.load(Ordering::SeqCst) > 1, "several patients at once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_destination_begins_with_what_happens_from_then_on() {
    on_both(2, |database| async move {
        let (_, clock) = Hand::new();
        happen(&database, vec![started(1)]).await;
        let memory = Memory::willing();
        ready(&database, &settings()).await;
        happen(&database, vec![started(2)]).await;
        let running = Running::start(settings(), &database, &clock, memory.clone());
        until(&database, DeliveryState::Done, 1).await;
        running.end().await;
        assert_eq!(memory.has()[0].2, visit_id(2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_fails_holds_up_its_patient_only_and_ends_as_a_dead_letter() {
    on_both(20, |database| async move {
        let (_, clock) = Hand::new();
        let mut settings = settings();
        settings.attempts_max = 4;
        ready(&database, &settings).await;
        whole_visits(&database, 20).await;
        let memory = Memory::new(|fact, _| {
            let is_bad = fact.visit.as_ref().unwrap().id == visit_id(3) && fact.change.kind == ChangeKind::VisitStarted;
            if is_bad { Delivered::retry(FaultCode::Conflict, "409") } else { Delivered::Done }
        });
        let running = Running::start(settings, &database, &clock, memory.clone());
        until(&database, DeliveryState::Dead, 1).await;
        until(&database, DeliveryState::Done, 39).await;
        running.end().await;
        let has = memory.has();
        let last = has.last().unwrap();
        assert_eq!(
            (last.1, last.2.as_str()),
            (ChangeKind::VisitEnded, visit_id(3).as_str()),
            "it waited for the other"
        );
        let filter = Filter { state: Some(DeliveryState::Dead), ..Filter::default() };
        let dead = outbox::deliveries(&database, &world::console(), &filter, None, 10).await.unwrap();
        assert_eq!(dead[0].attempts, 4);
        assert_eq!(dead[0].fault, Some(Fault::new(FaultCode::Conflict, "409")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_tried_again_or_given_up_by_people_with_an_entry_of_the_log() {
    on_both(2, |database| async move {
        let (_, clock) = Hand::new();
        ready(&database, &settings()).await;
        happen(&database, vec![started(1), started(2)]).await;
        let broken = Memory::new(|_, _| Delivered::dead(FaultCode::Refused, "422"));
        let running = Running::start(settings(), &database, &clock, broken);
        until(&database, DeliveryState::Dead, 2).await;
        running.end().await;
        let acting = world::console();
        let short = outbox::give_up(&database, &acting, "mis", Some(1), "why", clock.now()).await;
        assert!(matches!(short, Err(outbox::OutboxError::NoReason)));
        let why = "the patient was entered by hand";
        assert_eq!(outbox::give_up(&database, &acting, "mis", Some(1), why, clock.now()).await.unwrap(), 1);
        assert_eq!(outbox::retry(&database, &acting, "mis", None, clock.now()).await.unwrap(), 1);
        let nothing = outbox::retry(&database, &acting, "mis", Some(99), clock.now()).await;
        assert!(matches!(nothing, Err(outbox::OutboxError::Unknown)));
        let memory = Memory::willing();
        let running = Running::start(settings(), &database, &clock, memory.clone());
        until(&database, DeliveryState::Done, 1).await;
        running.end().await;
        assert_eq!(memory.has()[0].2, visit_id(2));
        let actions = vec![clinic::audit::Action::ExchangeChanged];
        let filter = clinic::audit::Filter { actions, ..Default::default() };
        let page = clinic::audit::search(&database, &acting, clock.now(), &filter, None, 10).await.unwrap();
        assert_eq!(page.entries.len(), 2, "one for each act");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_is_away_for_long_gets_everything_afterwards_and_nothing_is_a_dead_letter() {
    on_both(100, |database| async move {
        let (hand, clock) = Hand::new();
        let mut settings = settings();
        settings.attempts_max = 3;
        ready(&database, &settings).await;
        whole_visits(&database, 100).await;
        let back = Arc::new(AtomicUsize::new(0));
        let own = Arc::clone(&back);
        let memory = Memory::new(move |_, _| match own.load(Ordering::Relaxed) {
            0 => Delivered::away(FaultCode::Unreachable, ""),
            _ => Delivered::Done,
        });
        let running = Running::start(settings, &database, &clock, memory.clone());
        while memory.asked() < 30 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            hand.forward(60_000);
        }
        let line = outbox::destinations(&database, &world::console(), clock.now()).await.unwrap().remove(0);
        assert!(line.failing.is_some() && line.failures > 2, "{line:?}");
        assert_eq!(line.fault, Some(Fault::of(FaultCode::Unreachable)));
        assert_eq!(count(&database, DeliveryState::Dead).await, 0);
        back.store(1, Ordering::Relaxed);
        until(&database, DeliveryState::Done, 200).await;
        running.end().await;
        assert_whole(&memory.has(), 100);
        let line = outbox::destinations(&database, &world::console(), clock.now()).await.unwrap().remove(0);
        assert_eq!((line.failing, line.failures, line.fault, line.delivered), (None, 0, None, 200));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_fails_at_everything_is_asked_one_fact_at_a_time() {
    on_both(400, |database| async move {
        let (_, clock) = Hand::new();
        ready(&database, &settings()).await;
        whole_visits(&database, 400).await;
        let sick = Arc::new(AtomicUsize::new(1));
        let own = Arc::clone(&sick);
        let memory = Memory::new(move |_, _| match own.load(Ordering::Relaxed) {
            1 => Delivered::retry(FaultCode::ServerFault, "500"),
            _ => Delivered::Done,
        });
        let mut settings = settings();
        settings.longest_rest = Duration::from_millis(50);
        let running = Running::start(settings, &database, &clock, memory.clone());
        let filter = Filter { destination: "mis".to_owned(), ..Filter::default() };
        while outbox::destinations(&database, &world::console(), clock.now())
            .await
            .unwrap()
            .first()
            .is_none_or(|line| line.failures < 4)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(memory.asked() < 100, "{} facts were thrown at it", memory.asked());
        let tried = outbox::deliveries(&database, &world::console(), &filter, None, 1000).await.unwrap();
        assert!(tried.iter().all(|line| line.state == DeliveryState::Waiting));
        sick.store(0, Ordering::Relaxed);
        until(&database, DeliveryState::Done, 800).await;
        running.end().await;
        assert_whole(&memory.has(), 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_while_paused() {
    on_both(3, |database| async move {
        let (_, clock) = Hand::new();
        ready(&database, &settings()).await;
        let acting = world::console();
        outbox::pause(&database, &acting, "mis", clock.now()).await.unwrap();
        let again = outbox::pause(&database, &acting, "mis", clock.now()).await;
        assert!(matches!(again, Err(outbox::OutboxError::Unknown)));
        whole_visits(&database, 3).await;
        let memory = Memory::willing();
        let running = Running::start(settings(), &database, &clock, memory.clone());
        until(&database, DeliveryState::Waiting, 6).await;
        let line = outbox::destinations(&database, &acting, clock.now()).await.unwrap().remove(0);
        assert_eq!((line.state, line.waiting, memory.asked()), (DestinationState::Paused, 6, 0));
        outbox::resume(&database, &acting, "mis", clock.now()).await.unwrap();
        until(&database, DeliveryState::Done, 6).await;
        running.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_bridge_had_goes_to_the_next_when_its_time_is_over() {
    on_both(2, |database| async move {
        let (hand, clock) = Hand::new();
        ready(&database, &settings()).await;
        whole_visits(&database, 2).await;
        while outbox::fill(&database, "mis", clock.now()).await.unwrap().left {}
        let until_ms = clock.now().plus_ms(30_000);
        let taken = outbox::claim(&database, "mis", "dead", 1, clock.now(), until_ms).await.unwrap();
        assert_eq!(taken.len(), 1);
        let memory = Memory::willing();
        let running = Running::start(settings(), &database, &clock, memory.clone());
        // The other patient's go on; this one's later fact waits.
        until(&database, DeliveryState::Done, 2).await;
        assert_eq!(
            memory.has().iter().map(|(.., visit)| visit.clone()).collect::<BTreeSet<_>>(),
            BTreeSet::from([visit_id(2)])
        );
        hand.forward(31_000);
        until(&database, DeliveryState::Done, 4).await;
        running.end().await;
        assert_whole(&memory.has(), 2);
        // The dead one comes back to life and says that it failed: nobody listens.
        let late = vec![outbox::Settled { change: taken[0].change, ended: outbox::Ended::Released }];
        outbox::settle(&database, "mis", "dead", late, clock.now()).await.unwrap();
        assert_eq!(count(&database, DeliveryState::Done).await, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_whose_telling_panics_is_tried_again() {
    on_both(2, |database| async move {
        let (_, clock) = Hand::new();
        ready(&database, &settings()).await;
        happen(&database, vec![started(1), ended(1), started(2)]).await;
        let memory = Memory::new(|_, nth| {
            assert!(nth > 0, "the first telling panics");
            Delivered::Done
        });
        let running = Running::start(settings(), &database, &clock, memory.clone());
        until(&database, DeliveryState::Done, 3).await;
        running.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_stands_in_the_register_of_disclosures_once() {
    on_both(3, |database| async move {
        let (hand, clock) = Hand::new();
        ready(&database, &settings()).await;
        whole_visits(&database, 3).await;
        let running = Running::start(settings(), &database, &clock, Memory::willing());
        until(&database, DeliveryState::Done, 6).await;
        running.end().await;
        assert_eq!(outbox::register_told(&database, "mis", clock.now()).await.unwrap(), 0, "too early");
        hand.forward(20 * 60_000);
        assert_eq!(outbox::register_told(&database, "mis", clock.now()).await.unwrap(), 6);
        hand.forward(20 * 60_000);
        assert_eq!(outbox::register_told(&database, "mis", clock.now()).await.unwrap(), 0, "once");
        let filter = clinic::disclosures::Filter::default();
        let page = clinic::disclosures::list(&database, &world::console(), &filter, None, 10).await.unwrap();
        assert_eq!(page.lines.len(), 1);
        assert_eq!((page.lines[0].records, page.lines[0].persons), (6, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_ended_long_ago_are_forgotten_and_dead_letters_are_not() {
    on_both(2, |database| async move {
        let (hand, clock) = Hand::new();
        ready(&database, &settings()).await;
        happen(&database, vec![started(1), started(2)]).await;
        let memory = Memory::new(|fact, _| match fact.change.id {
            1 => Delivered::Done,
            _ => Delivered::dead(FaultCode::Refused, "422"),
        });
        let running = Running::start(settings(), &database, &clock, memory);
        until(&database, DeliveryState::Done, 1).await;
        until(&database, DeliveryState::Dead, 1).await;
        running.end().await;
        hand.forward(1000);
        assert_eq!(outbox::tidy(&database, clock.now()).await.unwrap(), 1);
        assert_eq!(outbox::tidy(&database, clock.now()).await.unwrap(), 0);
        assert_eq!(count(&database, DeliveryState::Dead).await, 1);
    })
    .await;
}
