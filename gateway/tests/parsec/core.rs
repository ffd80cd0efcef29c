//! The whole gateway with a ParsecNET server: what stands in the journal in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::{Party, local::Hub};
use controller_sim::Outcome;
use domain::ids::*;
use domain::policy::{PassKind, PassState, PointKind};
use domain::{Direction, Draft, Epoch, Kind, PersonId, Reason};
use gateway::settings::*;
use gateway::{Gateway, Parts};
use store::journal::Journal;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::bus::{KeyRing, LinkKey, ReaderState};

use crate::world::*;

struct Whole {
    gateway: Gateway,
    journal: Journal,
    shutdown: CancellationToken,
    _hub: Hub,
}

impl Whole {
    async fn start(world: &World, cards: &[(&str, u8, PassKind, PassState)]) -> Self {
        let bytes = wire::snapshot::encode(&source(1, cards)).unwrap();
        gateway::snapshot::keep(&world.folder.path().join("policy.bin"), &bytes).unwrap();
        let wiring = PointSettings {
            kind: PointKind::Turnstile,
            on_fault: OnFault::Secure,
            release: Duration::from_secs(3),
            held: Duration::from_secs(30),
            output: 0,
            contact_input: None,
            exit_input: None,
            fire_input: None,
            interlock: None,
        };
        let point = |name| (PointId::new(name).unwrap(), wiring.clone());
        let settings = GatewaySettings {
            site: SiteId::new("clinic-1").unwrap(),
            gateway: GatewayId::new("gw-1").unwrap(),
            points: BTreeMap::from([point("hall"), point("yard")]),
            lines: Vec::new(),
            journal_stall: Duration::from_millis(2000),
            stale_after: Duration::from_secs(20),
            policy_max_age: None,
            wrong_pins: 3,
            pin_lock: Duration::from_secs(300),
            peers: vec![PeerSettings { protocol: PeerProtocol::Parsec(world.peer.clone()), ..world.settings.clone() }],
            acs_link: None,
            push: None,
        };
        let (clock, hub, shutdown) = (world.time.clock(), Hub::new(), CancellationToken::new());
        let path = world.folder.path().join("journal.db");
        let journal = Journal::open(&path, settings.gateway.clone(), Epoch([9; 16]), &clock).await.unwrap();
        let parts = Parts {
            link: hub.join(Party::Gateway(settings.gateway.clone())),
            settings,
            keys: keys(),
            journal: journal.clone(),
            down_keys: KeyRing::new(vec![LinkKey::new("k1", *b"a key that only tests would use!").unwrap()]).unwrap(),
            clock,
            policy_file: world.folder.path().join("policy.bin"),
            software: "test".into(),
        };
        let gateway = Gateway::start(parts, shutdown.clone()).await.unwrap();
        let mut board = gateway.board();
        let online = board.wait_for(|board| {
            !board.readers.is_empty() && board.readers.iter().all(|reader| reader.state == ReaderState::Online)
        });
        timeout(PATIENCE, online).await.expect("its readers are there").unwrap();
        Self { gateway, journal, shutdown, _hub: hub }
    }

    /// What stands in the journal of passing, once there are so many.
    async fn passing(&self, wanted: usize) -> Vec<(Kind, Option<Reason>, Option<PersonId>)> {
        let of_passing = |fact: &Draft| {
            matches!(
                fact.kind,
                Kind::Tap | Kind::Granted | Kind::Refused | Kind::Passed | Kind::NotTaken | Kind::Forced
            )
        };
        let mut last = self.journal.watch_last();
        let look = async {
            loop {
                let entries = self.journal.read_after(0, 5000).await.unwrap();
                let facts: Vec<_> = entries.into_iter().map(|entry| entry.fact).filter(of_passing).collect();
                if facts.len() >= wanted {
                    return facts.into_iter().map(|fact| (fact.kind, fact.reason, fact.person)).collect();
                }
                last.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, look).await {
            Ok(facts) => facts,
            Err(_) => panic!("not {wanted}: {:#?}", self.journal.read_after(0, 5000).await.unwrap()),
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.gateway.finish().await;
    }
}

const STAFF: PassKind = PassKind::Staff;

#[tokio::test]
async fn what_the_server_decides_alone_is_recorded_as_its_decision_and_of_our_person() {
    let mut world = World::new(|_| {}).await;
    world.settings.cache = Cache::Staff;
    let whole = Whole::start(&world, &[("10,1001", 1, STAFF, PassState::Active)]).await;
    world.until_true("the pass is told", || world.sim.cards().len() == 1).await;
    let outcome = world.sim.present(&number("10,1001"), HALL, Direction::In, through()).await;
    assert_eq!(outcome, Outcome::Passed);
    world.sim.present(&number("10,4444"), HALL, Direction::In, through()).await;
    let anna = Some(PersonId([1; 16]));
    let facts = whole.passing(5).await;
    let expected = [
        (Kind::Tap, None, anna),
        (Kind::Granted, Some(Reason::PeerDecision), anna),
        (Kind::Passed, None, anna),
        (Kind::Tap, None, None),
        (Kind::Refused, Some(Reason::UnknownCard), None),
    ];
    assert_eq!(facts, expected);
    whole.stop().await;
}

#[tokio::test]
async fn a_question_of_the_server_is_decided_here_and_recorded_once() {
    let mut world = World::new(|settings| settings.doors[0].verify = true).await;
    world.peer.verify = true;
    world.sim.enrol("Иванов", &code("10,1001"));
    world.sim.enrol("Петров", &code("10,1002"));
    let cards = [("10,1001", 1, STAFF, PassState::Active), ("10,1002", 2, STAFF, PassState::Blocked)];
    let whole = Whole::start(&world, &cards).await;
    let outcome = world.sim.present(&number("10,1001"), HALL, Direction::In, through()).await;
    assert_eq!(outcome, Outcome::Passed);
    let (anna, boris) = (Some(PersonId([1; 16])), Some(PersonId([2; 16])));
    whole.passing(3).await;
    let outcome = world.sim.present(&number("10,1002"), HALL, Direction::In, through()).await;
    assert_eq!(outcome, Outcome::Refused, "though the server itself would let it in");
    whole.passing(5).await;
    world.looked(6).await;
    let facts = whole.passing(5).await;
    let expected = [
        (Kind::Tap, None, anna),
        (Kind::Granted, Some(Reason::Allowed), anna),
        (Kind::Passed, None, anna),
        (Kind::Tap, None, boris),
        (Kind::Refused, Some(Reason::Blocked), boris),
    ];
    assert_eq!(facts, expected);
    whole.stop().await;
}
