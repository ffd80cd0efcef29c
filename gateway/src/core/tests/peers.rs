//! A turnstile that belongs to a peer: questions, reports, orders, and grants whose end comes late.

use domain::card::CardNumber;
use domain::door::Order;
use store::journal::Mark;

use super::*;
use crate::line::{Age, Ask, Batch, Happened, LineOrder, ORDERS_MAX, Passage, PointState, ReaderOrder, Report};
use crate::settings::{AcsLinkPeer, Cache, PeerProtocol, PeerReader, PeerSettings};

/// The peer has turnstile 2; its orders end in a queue of ours.
struct Joined {
    bench: Bench,
    orders: mpsc::Receiver<LineOrder>,
    next_ask: u64,
    next_seq: u64,
}

fn peer() -> PeerSettings {
    let readers = [("t2-in", Direction::In), ("t2-out", Direction::Out)].map(|(name, direction)| PeerReader {
        place: Place { reader: reader(name), point: Some(point(2)), direction, uid_reversed: false },
        at: "hall/turnstile-2".into(),
    });
    let heartbeat = Duration::from_secs(5);
    PeerSettings {
        id: LineId::new("hall").unwrap(),
        protocol: PeerProtocol::AcsLink(AcsLinkPeer { node: "hall".into(), connect: None, heartbeat }),
        readers: readers.to_vec(),
        cache: Cache::Nobody,
        reports_passage: true,
    }
}

impl Joined {
    async fn new() -> Self {
        let mut settings = settings();
        let Protocol::Osdp(readers) = &mut settings.lines[0].protocol else { unreachable!() };
        readers.retain(|reader| reader.place.point == Some(point(1)));
        settings.peers = vec![peer()];
        let mut bench = Bench::new(settings).await;
        let (sender, orders) = mpsc::channel(ORDERS_MAX);
        let attached = Attached::Peer(peer());
        let status = wire::bus::LineStatus {
            id: LineId::new("hall").unwrap(),
            port: attached.address(),
            open: true,
            polls_per_1000_s: 0,
            problem: None,
            peer: attached.peer_status(),
        };
        let handle = LineHandle {
            settings: attached,
            orders: sender,
            cancel: CancellationToken::new(),
            task: tokio::spawn(std::future::pending()),
        };
        bench.core.lines.insert(LineId::new("hall").unwrap(), (handle, status));
        Self { bench, orders, next_ask: 1, next_seq: 1 }
    }

    fn number(text: &str) -> Result<CardNumber, card::CardError> {
        card::parse(CardFormat::Wiegand26, text)
    }

    fn ask(&mut self, name: &str, text: &str) -> u64 {
        let no = self.next_ask;
        self.next_ask += 1;
        let ask = Ask { no, until: Instant::now() + Duration::from_secs(30) };
        let fact = ReaderFact::Asked { number: Self::number(text), age: Duration::ZERO, ask };
        self.bench.event(name, fact, Duration::ZERO);
        no
    }

    fn passage(name: &str, what: Happened, text: Option<&str>, ask: Option<u64>, age: Age) -> Report {
        let number = text.map(Self::number);
        Report::Passage(Passage { reader: reader(name), what, reason: None, number, person: None, ask, age })
    }

    fn report(&mut self, reports: Vec<Report>) -> oneshot::Receiver<()> {
        let (done, durable) = oneshot::channel();
        let peer = LineId::new("hall").unwrap();
        let mark = Mark {
            peer: peer.clone(),
            epoch: Epoch([1; 16]),
            at: UtcMillis(NOON),
            seq: self.next_seq,
            events: Vec::new(),
            quarantined: Vec::new(),
        };
        self.next_seq += 1;
        let what = LineFact::Happened(Batch { reports, mark: Some(mark), done });
        self.bench.core.event(LineEvent { line: peer, what, at: Instant::now() });
        durable
    }

    fn answers(&mut self) -> Vec<ReaderOrder> {
        std::iter::from_fn(|| self.orders.try_recv().ok()).map(|order| order.what).collect()
    }
}

const NOW: Age = Age::Known(Duration::ZERO);
const HOUR: Age = Age::Known(Duration::from_secs(3600));

#[tokio::test]
async fn a_question_of_a_peer_is_decided_recorded_and_answered_like_a_card_at_a_reader_of_ours() {
    let mut joined = Joined::new().await;
    joined.bench.tap("t1-in", OTHER);
    let ask = joined.ask("t2-in", STAFF);
    assert_eq!(joined.answers(), [], "nothing is answered before it is durable");
    assert_eq!(joined.bench.said().await, ["tap t1", "granted allowed t1", "tap t2", "granted allowed t2"]);
    let release = Duration::from_secs(3);
    assert_eq!(joined.answers(), [ReaderOrder::Answer { ask, granted: true, reason: Reason::Allowed, release }]);
    let durable = joined.report(vec![Joined::passage("t2-in", Happened::Passed, None, Some(ask), NOW)]);
    assert!(joined.bench.said().await.contains(&"passed t2".to_owned()));
    timeout(PATIENCE, durable).await.unwrap().unwrap();
    let presence = joined.bench.core.presence.as_ref().unwrap();
    assert_eq!(presence.zone_of(PersonId([1; 16])).unwrap().as_str(), "hall");
    let refused = joined.ask("t2-in", UNKNOWN);
    joined.bench.said().await;
    let reason = Reason::UnknownCard;
    assert_eq!(joined.answers(), [ReaderOrder::Answer { ask: refused, granted: false, reason, release }]);
}

#[tokio::test]
async fn the_end_of_a_grant_that_comes_an_hour_late_is_its_only_end() {
    let mut joined = Joined::new().await;
    let ask = joined.ask("t2-in", STAFF);
    joined.bench.said().await;
    let unit = joined.bench.core.doors.get_mut(&point(2)).unwrap();
    let until = unit.door.deadline().unwrap().0;
    // The release and the grace are over, and nothing was reported.
    let mut out = Vec::new();
    unit.door.tick(until + Duration::from_secs(6), &mut out);
    let missing = out.iter().find_map(|output| match output {
        domain::door::Output::Fact(fact) => Some(*fact),
        _ => None,
    });
    joined.bench.core.door_fact(&point(2), None, &missing.expect("the grant has ended at the door"));
    assert_eq!(count(&joined.bench.said().await, "not_taken"), 0, "the link may be down");
    drop(joined.report(vec![Joined::passage("t2-in", Happened::Passed, Some(STAFF), Some(ask), HOUR)]));
    joined.bench.core.look_at_open_grants();
    let said = joined.bench.said().await;
    assert_eq!((count(&said, "passed t2"), count(&said, "not_taken"), count(&said, "granted")), (1, 0, 1), "{said:?}");
}

#[tokio::test]
async fn what_a_peer_decided_while_it_was_cut_off_is_recorded_with_its_age_and_moves_no_door() {
    let mut joined = Joined::new().await;
    let durable = joined.report(vec![
        Joined::passage("t2-in", Happened::Granted, Some(STAFF), None, HOUR),
        Joined::passage("t2-in", Happened::Passed, Some(STAFF), None, HOUR),
        Joined::passage("t2-in", Happened::Refused, Some(UNKNOWN), None, Age::Unknown),
    ]);
    let said = joined.bench.said().await;
    assert_eq!(
        said,
        ["tap t2", "granted peer_decision t2", "passed peer_decision t2", "tap t2", "refused peer_decision t2",]
    );
    timeout(PATIENCE, durable).await.unwrap().unwrap();
    let entries = joined.bench.journal.read_after(0, 10).await.unwrap();
    let ages: Vec<Option<u32>> = entries.iter().map(|entry| entry.fact.age_ms).collect();
    assert_eq!(ages[..3], [Some(3_600_000); 3]);
    assert_eq!(ages[3..], [Some(u32::MAX); 2]);
    assert_eq!(joined.bench.core.condition(&point(2)), domain::decide::PointCondition::Ready);
    assert_eq!(joined.answers(), []);
}

#[tokio::test]
async fn a_pass_decided_by_a_present_peer_ends_like_any_other() {
    let mut joined = Joined::new().await;
    drop(joined.report(vec![Joined::passage("t2-out", Happened::Granted, Some(STAFF), None, NOW)]));
    assert_eq!(joined.bench.core.condition(&point(2)), domain::decide::PointCondition::Busy);
    drop(joined.report(vec![Joined::passage("t2-out", Happened::NotTaken, Some(STAFF), None, NOW)]));
    assert_eq!(joined.bench.core.condition(&point(2)), domain::decide::PointCondition::Ready);
    assert_eq!(joined.bench.said().await, ["tap t2", "granted peer_decision t2", "not_taken t2"]);
}

#[tokio::test]
async fn a_persons_orders_reach_the_peer_and_are_repeated_when_it_comes_back() {
    let mut joined = Joined::new().await;
    let command = |joined: &mut Joined, action| joined.bench.core.command(&action, "ivanova @desk", None);
    assert!(matches!(command(&mut joined, Action::Open(point(2))), CommandOutcome::Done));
    let control = |order, actor: &str| ReaderOrder::Control { order, actor: actor.into() };
    assert_eq!(joined.answers(), [control(Order::OpenOnce(Direction::In), "ivanova--desk")]);
    for name in ["t2-in", "t2-out"] {
        joined.bench.event(name, ReaderFact::Offline(Duration::ZERO), Duration::ZERO);
    }
    assert!(matches!(command(&mut joined, Action::Open(point(2))), CommandOutcome::Refused(_)), "an opening is now");
    assert!(matches!(command(&mut joined, Action::Lock(point(2))), CommandOutcome::Done));
    assert_eq!(joined.answers(), []);
    joined.bench.event("t2-in", ReaderFact::Online, Duration::ZERO);
    assert_eq!(joined.answers(), [control(Order::Lock, "tapward")]);
    let ask = joined.ask("t2-in", STAFF);
    joined.bench.said().await;
    assert!(matches!(joined.answers()[..], [ReaderOrder::Answer { ask: no, granted: false, .. }] if no == ask));
    // What is changed at the peer itself is seen, and not ordered back.
    let state = Report::State { reader: reader("t2-in"), state: PointState::Normal, age: NOW };
    drop(joined.report(vec![state]));
    assert_eq!(joined.bench.core.condition(&point(2)), domain::decide::PointCondition::Ready);
    assert_eq!(joined.answers(), []);
}

#[tokio::test]
async fn a_report_waits_for_a_disk_that_takes_nothing_and_is_not_acknowledged_before() {
    let mut joined = Joined::new().await;
    joined.bench.journal.close().await;
    let mut durable = joined.report(vec![Joined::passage("t2-in", Happened::Passed, Some(STAFF), None, NOW)]);
    while !joined.bench.core.recorder.is_idle() {
        let done = joined.bench.core.recorder.next().await;
        joined.bench.core.recorded(&done);
    }
    assert!(matches!(durable.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
    assert_eq!(joined.bench.core.recorder.backlog(), 1);
}
