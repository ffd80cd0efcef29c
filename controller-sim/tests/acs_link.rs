//! The simulated acs-link controller against the gateway's role of `wire` on real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod host;

use std::time::Duration;

use controller_sim::acs_link::{ControllerState, Mode};
use controller_sim::{Fault, Handle, Options, Outcome, Plant, Simulator, Walk};
use domain::card::{self, CardFormat, CardNumber};
use domain::{Clock, LineId, PointId, ReaderId, UtcMillis};
use host::{Answer, Host, NOW, PATIENCE};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use wire::acs_link::message::*;
use wire::acs_link::session::End;
use wire::acs_link::{Body, Credential, Reason, Token, Uuid};

const QUICKLY: Walk = Walk::Through { after: Duration::from_millis(20), followers: 0, hold: Duration::ZERO };

struct World {
    folder: tempfile::TempDir,
    simulator: Simulator,
    sim: Handle,
}

impl World {
    async fn new(link: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::in_folder(folder, link).await
    }

    async fn in_folder(folder: tempfile::TempDir, link: &str) -> Self {
        let text = format!(
            r#"
            point = [{{ id = "gate", kind = "turnstile" }}]
            [[peer]]
            id = "north"
            [peer.speaks.acs_link]
            node = "north-1"
            {link}
            file = "north.acs"
            answer_within_ms = 300
            release_ms = 700
            capacity = 3
            reader = []
            "#
        )
        .replace("reader = []", "")
            + r#"
            [[peer.reader]]
            id = "gate-in"
            point = "gate"
            direction = "in"
            at = "clinic/gate"
            [[peer.reader]]
            id = "gate-out"
            point = "gate"
            direction = "out"
            at = "clinic/gate"
            "#;
        let mut plant: Plant = toml::from_str(&text).unwrap();
        plant.place_ports(folder.path());
        let started = Instant::now();
        let clock = Clock::new(move || NOW.plus_ms(i64::try_from(started.elapsed().as_millis()).unwrap()));
        let options = Options { clock, tap_record: None, seed: 5 };
        let simulator = Simulator::start(&plant, &options, &CancellationToken::new()).await.unwrap();
        let sim = simulator.handle();
        Self { folder, simulator, sim }
    }

    async fn with(host: &Host) -> Self {
        let world = Self::new(&format!("connect = \"127.0.0.1:{}\"", host.port)).await;
        world.up().await;
        world
    }

    async fn up(&self) -> ControllerState {
        self.state("the link is up", |state| state.up).await
    }

    async fn state(&self, what: &str, wanted: impl FnMut(&ControllerState) -> bool) -> ControllerState {
        let mut seen = self.sim.controller(&north()).unwrap();
        let state = timeout(PATIENCE, seen.wait_for(wanted)).await;
        state.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}")).unwrap().clone()
    }

    async fn tap(&self, reader: &str, n: u32, walk: Walk) -> Outcome {
        let reader: ReaderId = reader.parse().unwrap();
        self.sim.tap(&reader, &number(n), walk, Duration::from_secs(4)).await.unwrap()
    }

    async fn inject(&self, fault: Fault) {
        self.sim.inject_line(&north(), fault).await.unwrap();
    }

    async fn heal(&self) {
        self.sim.heal_line(&north()).await.unwrap();
    }

    /// Ends without a word, as a power cut would, and gives back what was on the disk.
    async fn cut(self) -> tempfile::TempDir {
        self.simulator.stop().await;
        self.folder
    }
}

fn north() -> LineId {
    "north".parse().unwrap()
}

fn gate() -> PointId {
    "gate".parse().unwrap()
}

fn number(n: u32) -> CardNumber {
    card::parse(CardFormat::Wiegand26, &format!("20,{n}")).unwrap()
}

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn at(ms: i64) -> wire::acs_link::Instant {
    wire::acs_link::Instant::from_utc(NOW.plus_ms(ms))
}

fn issue(n: u32, rev: u64) -> CredentialIssue {
    CredentialIssue {
        key: token(&format!("pass-{n}")),
        rev,
        credential: Credential::of_card(&number(n)).unwrap(),
        person: token(&format!("person-{n}")),
        from: at(-3_600_000),
        until: at(3_600_000),
        levels: vec![token("clinic/gate")],
        ext: Vec::new(),
    }
}

fn revoke(n: u32, rev: u64) -> Body {
    let reason = Reason::new("blocked").unwrap();
    let key = token(&format!("pass-{n}"));
    Body::CredentialRevoke(CredentialRevoke { key, rev, reason, effective_at: None, credential: None })
}

fn control(action: Action, expires_in_ms: i64) -> Body {
    let actor = token("operator:1");
    Body::Control(Control { action, expires_at: at(expires_in_ms), actor, points: vec![token("clinic/gate")] })
}

async fn done(host: &Host, body: Body) {
    let id = host.command(body);
    assert_eq!(host.result(id).await, ("done".to_owned(), None));
}

#[tokio::test]
async fn a_tap_is_asked_for_and_what_came_of_it_is_told() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::with(&host).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    assert_eq!(world.tap("gate-out", 1, Walk::Away).await, Outcome::NotTaken);
    host.answer(Answer::Deny);
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Refused);
    assert_eq!(
        host.passed(5).await,
        [
            "in granted server allowed asked",
            "in passed server allowed asked",
            "out granted server allowed asked",
            "out not-taken server allowed asked",
            "in denied server blocked asked"
        ]
    );
}

#[tokio::test]
async fn without_an_answer_the_cache_decides_and_without_a_pass_the_fallback() {
    let host = Host::start().await;
    host.answer(Answer::Silence);
    let world = World::with(&host).await;
    done(&host, Body::CredentialIssue(issue(1, 1))).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    assert_eq!(world.tap("gate-in", 2, QUICKLY).await, Outcome::Refused);
    assert_eq!(
        host.passed(3).await,
        [
            "in granted offline-cache ok asked",
            "in passed offline-cache ok asked",
            "in denied controller unknown-credential asked"
        ]
    );
}

#[tokio::test]
async fn what_happened_while_the_link_was_down_is_told_afterwards_in_its_order() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::with(&host).await;
    done(&host, Body::CredentialIssue(issue(1, 1))).await;
    done(&host, Body::CredentialIssue(CredentialIssue { until: at(-1000), ..issue(2, 1) })).await;
    done(&host, Body::CredentialIssue(CredentialIssue { levels: vec![token("elsewhere")], ..issue(3, 1) })).await;
    world.inject(Fault::Unplug).await;
    for (n, outcome) in [(1, Outcome::Passed), (2, Outcome::Refused), (3, Outcome::Refused), (4, Outcome::Refused)] {
        assert_eq!(world.tap("gate-in", n, QUICKLY).await, outcome, "{n}");
    }
    world.sim.force(&gate(), Duration::ZERO).await.unwrap();
    world.state("the force is seen", |state| state.last >= 9).await;
    assert_eq!(host.passes(), Vec::<String>::new());
    world.heal().await;
    assert_eq!(
        host.passed(6).await,
        [
            "in granted offline-cache ok",
            "in passed offline-cache ok",
            "in denied offline-cache credential-expired",
            "in denied offline-cache no-rule",
            "in denied controller unknown-credential",
            "unknown forced - -"
        ]
    );
    assert!(host.with(|kept| kept.events.iter().skip(3).all(|msg| msg.replay)));
}

#[tokio::test]
async fn a_power_cut_forgets_neither_events_nor_passes_nor_numbers() {
    let host = Host::start().await;
    let world = World::with(&host).await;
    done(&host, Body::CredentialIssue(issue(1, 1))).await;
    done(&host, revoke(2, 7)).await;
    world.inject(Fault::Unplug).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    let before = world.sim.controller(&north()).unwrap().borrow().clone();
    let folder = world.cut().await;
    let world = World::in_folder(folder, &format!("connect = \"127.0.0.1:{}\"", host.port)).await;
    assert_eq!(host.passed(2).await, ["in granted offline-cache ok", "in passed offline-cache ok"]);
    let after = world.state("everything is acknowledged", |state| state.acked == state.last).await;
    assert_eq!((after.last, after.held, after.passes), (before.last, before.held, before.passes));
    let late = host.command(Body::CredentialIssue(issue(2, 6)));
    assert_eq!(host.result(late).await.0, "stale", "the revocation is remembered");
}

#[tokio::test]
async fn commands_count_by_key_and_revision_and_the_cache_has_an_end() {
    let host = Host::start().await;
    let world = World::with(&host).await;
    done(&host, Body::CredentialIssue(issue(1, 5))).await;
    for (body, status, code) in [
        (Body::CredentialIssue(issue(1, 5)), "duplicate", None),
        (Body::CredentialIssue(issue(1, 4)), "stale", None),
        (revoke(1, 4), "stale", None),
        (Body::CredentialIssue(issue(1, 6)), "done", None),
        (
            Body::CredentialIssue(CredentialIssue { key: token("other"), ..issue(1, 1) }),
            "rejected",
            Some("CREDENTIAL_CONFLICT"),
        ),
        (
            Body::CredentialIssue(CredentialIssue {
                credential: Credential::new(wire::acs_link::CredFormat::Qr, "MIS1.x").unwrap(),
                ..issue(9, 1)
            }),
            "rejected",
            Some("CREDENTIAL_FORMAT"),
        ),
        (Body::CredentialIssue(issue(2, 1)), "done", None),
        (Body::CredentialIssue(issue(3, 1)), "done", None),
        (Body::CredentialIssue(issue(4, 1)), "rejected", Some("CREDENTIAL_CAPACITY")),
        (revoke(3, 2), "done", None),
        (Body::CredentialIssue(issue(4, 2)), "done", None),
    ] {
        let what = format!("{body:?}");
        let id = host.command(body);
        assert_eq!(host.result(id).await, (status.to_owned(), code.map(str::to_owned)), "{what}");
    }
    assert_eq!(world.sim.controller(&north()).unwrap().borrow().passes, 3);
}

#[tokio::test]
async fn a_full_resync_removes_what_it_did_not_name_and_only_if_the_digest_fits() {
    let host = Host::start().await;
    let world = World::with(&host).await;
    done(&host, Body::CredentialIssue(issue(1, 1))).await;
    done(&host, Body::CredentialIssue(issue(2, 1))).await;
    let begin = |n| Body::SyncBegin(SyncBegin { of: SyncOf::Credentials, sync_id: Uuid([n; 16]) });
    let end = |n, sha256| Body::SyncEnd(SyncEnd { sync_id: Uuid([n; 16]), count: 1, sha256 });

    done(&host, begin(1)).await;
    host.command(Body::CredentialIssue(issue(2, 1)));
    let wrong = host.command(end(1, Some([0; 32])));
    assert_eq!(host.result(wrong).await, ("rejected".to_owned(), Some("SYNC_MISMATCH".to_owned())));
    assert_eq!(world.sim.controller(&north()).unwrap().borrow().passes, 2, "nothing was removed");

    done(&host, begin(2)).await;
    host.command(Body::CredentialIssue(issue(2, 1)));
    let digest = wire::acs_link::digest::sync_digest(&mut [(token("pass-2"), 1)]);
    done(&host, end(2, Some(digest))).await;
    world.state("pass-1 is gone", |state| state.passes == 1).await;
}

#[tokio::test]
async fn orders_are_carried_out_in_time_and_never_late() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::with(&host).await;
    let modes = |mode| move |state: &ControllerState| state.modes == [(gate(), mode)];
    done(&host, control(Action::FreePass, 60_000)).await;
    world.state("free pass", modes(Mode::FreePass)).await;
    done(&host, control(Action::Lock, 60_000)).await;
    world.state("locked", modes(Mode::Locked)).await;
    let late = host.command(control(Action::EmergencyOpen, -1));
    assert_eq!(host.result(late).await, ("expired".to_owned(), Some("COMMAND_EXPIRED".to_owned())));
    assert_eq!(world.sim.controller(&north()).unwrap().borrow().modes, [(gate(), Mode::Locked)]);
    done(&host, control(Action::Normal, 60_000)).await;
    world.state("normal", modes(Mode::Normal)).await;
    let strange = Control {
        action: Action::PulseIn,
        expires_at: at(60_000),
        actor: token("a"),
        points: vec![token("clinic/gate"), token("roof")],
    };
    let id = host.command(Body::Control(strange));
    assert_eq!(host.result(id).await.1.as_deref(), Some("POINT_UNKNOWN"));
    // Somebody waits at the rotor and is let in by hand.
    world.sim.press_exit(&gate(), Duration::from_millis(10)).await.unwrap();
    host.passed(1).await;
    let states = host.with(|kept| {
        let state = |msg: &wire::acs_link::Msg| match &msg.body {
            Body::PointStatus(status) => Some(status.state.to_string()),
            _ => None,
        };
        kept.events.iter().filter_map(state).collect::<Vec<_>>()
    });
    assert_eq!(states, ["free-pass", "locked", "online"]);
}

#[tokio::test]
async fn a_gateway_that_connects_is_served_the_same() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::new("listen = \"127.0.0.1:0\"").await;
    host.dial(world.sim.port_of(&north()).unwrap().port()).await;
    world.up().await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    host.passed(2).await;
}

#[tokio::test]
async fn a_reset_in_mid_frame_loses_nothing() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::with(&host).await;
    world.inject(Fault::ResetInFrame).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Refused, "nobody answered, and no pass is known");
    world.state("it came back", |state| state.sessions == 2).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    let passes = host.passed(3).await;
    assert!(passes[0].starts_with("in denied controller unknown-credential"), "{passes:?}");
}

#[tokio::test]
async fn a_frozen_link_is_noticed_and_the_cache_decides_meanwhile() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::with(&host).await;
    world.inject(Fault::Freeze).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Refused);
    host.until("the host notices", |kept| kept.ends.iter().any(|end| matches!(end, End::Silent(_))).then_some(()))
        .await;
    world.heal().await;
    world.state("it came back", |state| state.sessions == 2).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
}

#[tokio::test]
async fn hostile_acts_are_refused_and_the_controller_comes_again() {
    for (fault, code) in [(Fault::AckAhead, "SEQ_AHEAD"), (Fault::LongFrame { bytes: 100_000_000 }, "FRAME_TOO_LARGE")]
    {
        let host = Host::start().await;
        let world = World::with(&host).await;
        world.inject(fault).await;
        host.until(code, |kept| {
            kept.ends.iter().any(|end| end.code().is_some_and(|found| found.as_str() == code)).then_some(())
        })
        .await;
        if fault == Fault::AckAhead {
            assert!(world.state("it stops", |state| state.stopped).await.stopped);
        } else {
            world.state("it comes again", |state| state.sessions == 2).await;
        }
    }
}

#[tokio::test]
async fn a_restored_backup_stops_it_until_somebody_begins_a_new_epoch() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::with(&host).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    world.state("everything is acknowledged", |state| state.last == 2 && state.acked == 2).await;
    world.inject(Fault::RestoredBackup).await;
    world.state("it stops", |state| state.stopped).await;
    world.inject(Fault::NewEpoch).await;
    world.state("it goes on", |state| state.up && !state.stopped).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    assert_eq!(host.passed(4).await.len(), 4);
}

#[tokio::test]
async fn a_gateway_that_lost_its_journal_is_told_the_rest_under_a_new_epoch() {
    let host = Host::start().await;
    host.answer(Answer::Grant);
    let world = World::with(&host).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Passed);
    world.state("everything is acknowledged", |state| state.last == 2 && state.acked == 2).await;
    world.inject(Fault::Unplug).await;
    assert_eq!(world.tap("gate-in", 2, QUICKLY).await, Outcome::Refused);
    host.with(|kept| {
        kept.epoch = 1;
        kept.held = None;
        kept.events.clear();
    });
    world.heal().await;
    assert_eq!(host.passed(1).await, ["in denied controller unknown-credential"]);
}

#[tokio::test]
async fn a_clock_that_was_never_set_is_said_and_judges_no_validity() {
    let host = Host::start().await;
    let world = World::with(&host).await;
    done(&host, Body::CredentialIssue(issue(1, 1))).await;
    world.inject(Fault::ClockUnset).await;
    host.until("the clock is said to be unset", |kept| kept.beats.contains(&ClockState::Unset).then_some(())).await;
    assert_eq!(world.tap("gate-in", 1, QUICKLY).await, Outcome::Refused);
    assert_eq!(host.passed(1).await, ["in denied offline-cache clock-unset asked"]);
}

#[tokio::test]
async fn an_issue_to_a_clock_that_is_far_off_is_accepted_with_a_warning() {
    let host = Host::start().await;
    let world = World::with(&host).await;
    world.inject(Fault::Clock { offset_ms: 120_000 }).await;
    host.until("two heartbeats", |kept| (kept.beats.len() > 3).then_some(())).await;
    world.inject(Fault::ResetInFrame).await;
    world.state("a new session measures it", |state| state.sessions == 2).await;
    let id = host.command(Body::CredentialIssue(issue(1, 1)));
    assert_eq!(host.result(id).await, ("accepted".to_owned(), Some("CLOCK_SKEW".to_owned())));
    // An order is judged by the gateway's clock, as far as it is known.
    let id = host.command(control(Action::Lock, 30_000));
    assert_eq!(host.result(id).await.0, "done");
}

#[test]
fn the_present_of_these_tests_is_after_the_year_2000() {
    assert!(NOW > UtcMillis(946_684_800_000));
}
