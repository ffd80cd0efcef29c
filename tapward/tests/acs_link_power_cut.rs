//! The power is cut at every message boundary, on either side or both, and with the message at the boundary arriving or
//! not. Whatever was cut comes back with its files and nothing else. Afterwards each event is in the gateway's journal
//! once and in its order, each command was followed once and in its order, and the controller knows the passes that it
//! should.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod acs_link_cuts {
    pub mod lives;
    pub mod wire_cutter;
}

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acs_link_cuts::lives::*;
use acs_link_cuts::wire_cutter::{Cut, WireCutter};
use controller_sim::acs_link::{Memory, Pass};
use domain::{Kind, Reason};
use wire::acs_link::message::*;
use wire::acs_link::{self as acs, Body, Credential, Token, Uuid};

/// Runs of one `make test`; `TAPWARD_CUTS` asks for more.
const RUNS: u64 = 48;
/// Worlds at once: most of a run is waiting.
const ABREAST: u64 = 4;
/// Events that wait in the controller when it starts: somebody was let in, and went through, by the cache.
const PEOPLE: u16 = 6;
/// Passes of the first policy, and those of the second.
const PASSES: [std::ops::RangeInclusive<u16>; 2] = [101..=105, 103..=107];
/// A run takes this long at most; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Gateway,
    Controller,
    Both,
}

#[test]
fn no_event_and_no_command_is_lost_doubled_or_reordered_by_power_cuts() {
    let runs = std::env::var("TAPWARD_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS);
    // An undisturbed run tells how many boundaries there are.
    let boundaries = run(0, None).messages;
    assert!(boundaries >= 30, "only {boundaries} messages: too few to prove anything");
    let (next, cuts) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        return;
                    }
                    // A stride that meets every boundary, and with few runs spreads over all of them.
                    let at = 1 + (number * 7 + number / boundaries) % boundaries;
                    let side = [Side::Gateway, Side::Controller, Side::Both][(number % 3) as usize];
                    let cut = Cut { at, arrives: number / 3 % 2 == 0 };
                    let done = run(1 + number, Some((cut, side)));
                    cuts.fetch_add(u64::from(done.cut), Ordering::Relaxed);
                }
            });
        }
    });
    let cuts = cuts.into_inner();
    assert!(cuts * 10 >= runs * 8, "only {cuts} of {runs} runs were cut");
    println!("{runs} runs over {boundaries} boundaries, {cuts} cut: nothing lost, doubled or reordered");
}

struct Done {
    messages: u64,
    cut: bool,
}

/// One world from its beginning to rest, with a cut on the way.
fn run(number: u64, cut: Option<(Cut, Side)>) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let what = format!("run {number}, {cut:?}");
    let mut random = fastrand::Rng::with_seed(number);
    write_policy(folder, 1, PASSES[0].clone());
    fill_queue(folder);
    let mut wire = WireCutter::new(cut.map(|(cut, _)| cut));
    let mut gateway = GatewayLife::begin(folder);
    wire.lead_to(Some(gateway.address()));
    let mut controller = ControllerLife::begin(folder, wire.port(), number);
    let mut policy = 0;
    let mut was_cut = false;
    let began = tokio::time::Instant::now();
    let mut rest = 0;
    loop {
        assert!(began.elapsed() < PATIENCE, "{what}: never at rest: {:?} {:?}", controller.state(), gateway.commands());
        if wire.was_cut(Duration::from_millis(10)) {
            was_cut = true;
            // What came just before the cut may be worked on, or not.
            std::thread::sleep(Duration::from_micros(random.u64(..3000)));
            let (_, side) = cut.unwrap();
            if side != Side::Controller {
                gateway.cut();
                // Somebody changed the passes meanwhile.
                policy = 1;
                write_policy(folder, 2, PASSES[1].clone());
                gateway = GatewayLife::begin(folder);
            }
            if side != Side::Gateway {
                controller.cut();
                controller = ControllerLife::begin(folder, wire.port(), number);
            }
            wire.lead_to(Some(gateway.address()));
        }
        let (state, commands) = (controller.state(), gateway.commands());
        let passes = PASSES[policy].clone().count();
        let quiet = state.up
            && state.acked == state.last
            && commands.waiting() == 0
            && commands.last > 0
            && state.held == commands.last
            && state.passes == passes;
        rest = if quiet { rest + 1 } else { 0 };
        if rest == 5 {
            break;
        }
    }
    let messages = wire.seen();
    check_events(&gateway, &what);
    let commands = gateway.commands().last;
    controller.cut();
    gateway.cut();
    check_memory(folder, commands, &PASSES[policy].clone().collect(), &what);
    Done { messages, cut: was_cut }
}

/// What happened before the link was there: each person was let in and went through, an hour ago.
fn fill_queue(folder: &Path) {
    let mut memory = Memory::open(&folder.join("north.acs"), 100, Uuid([5; 16])).unwrap();
    let at = acs::Instant::from_utc(now().plus_ms(-3_600_000));
    for n in 1..=PEOPLE {
        for (nth, code) in [PassCode::Granted, PassCode::Passed].into_iter().enumerate() {
            let event = PassEvent {
                event_id: Token::new(&format!("e-{n}-{nth}")).unwrap(),
                occurred_at: at,
                clock: ClockState::Synced,
                request: None,
                point: Token::new("clinic/gate").unwrap(),
                credential: Some(Credential::of_card(&number(n)).unwrap()),
                person: None,
                direction: Direction::In,
                result: PassResult { code, reason: None, by: Some(Source::OfflineCache) },
                ext: Vec::new(),
            };
            let id =
                Uuid([u8::try_from(n).unwrap(), u8::try_from(nth).unwrap(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            memory.event(id, None, at, Body::PassEvent(event));
        }
    }
    memory.commit().unwrap();
}

/// Each event became its facts once, in the order of the stream.
fn check_events(gateway: &GatewayLife, what: &str) {
    let mine: Vec<_> = (1..=PEOPLE).map(card_id).collect();
    let told: Vec<_> = gateway
        .entries()
        .into_iter()
        .filter(|entry| entry.fact.card.is_some_and(|card| mine.contains(&card)))
        .map(|entry| (entry.fact.card.unwrap(), entry.fact.kind, entry.fact.reason))
        .collect();
    let by_peer = Some(Reason::PeerDecision);
    let wanted: Vec<_> = mine
        .iter()
        .flat_map(|card| [(*card, Kind::Tap, None), (*card, Kind::Granted, by_peer), (*card, Kind::Passed, by_peer)])
        .collect();
    assert_eq!(told, wanted, "{what}");
}

/// The controller followed as many commands as were given, and holds the passes that it should.
fn check_memory(folder: &Path, commands: u64, passes: &BTreeSet<u16>, what: &str) {
    let memory = Memory::open(&folder.join("north.acs"), 100, Uuid([6; 16])).unwrap();
    assert_eq!(memory.epoch(), Uuid([5; 16]), "{what}: no journal began anew");
    assert_eq!(memory.held(), commands, "{what}");
    assert_eq!((memory.queue().len(), memory.acked()), (0, memory.last()), "{what}");
    let known: BTreeSet<String> = memory
        .passes()
        .all()
        .filter(|(_, pass)| matches!(pass, Pass::Issued(..)))
        .map(|(key, _)| key.as_str().to_owned())
        .collect();
    let wanted: BTreeSet<String> = passes.iter().map(|n| card_id(*n).to_string()).collect();
    assert_eq!(known, wanted, "{what}");
    // One result a command, no more and no fewer.
    assert_eq!(memory.last(), u64::from(PEOPLE) * 2 + commands, "{what}");
}
