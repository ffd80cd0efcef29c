//! What the gateway tells a controller: orders, passes, everything again.

use std::time::Duration;

use domain::policy::PassState;
use domain::{Kind, PointId, Reason};
use gateway::settings::Cache;
use tokio::time::Instant;
use wire::acs_link::message::*;
use wire::acs_link::session::End;
use wire::acs_link::{Body, ErrCode, Instant as At, Msg, Uuid};
use wire::bus::Action as Ordered;

use super::acs::{Acs, Memory};
use super::passing::connected;
use super::rig::*;

impl Acs {
    /// Reports what became of a command.
    fn result(&mut self, re: Uuid, status: CommandStatus, code: Option<&str>, of_order: bool) -> u64 {
        let code = code.map(|code| ErrCode::new(code).unwrap());
        let result = CommandResult { status, code, at: At::from_utc(self.clock.now()), text: None };
        let body = if of_order { Body::ControlResult(result) } else { Body::CredentialResult(result) };
        self.memory.push(Some(re), body)
    }

    /// Everything up to the end of a resync: the passes told, and the end.
    async fn resync(&mut self) -> (Vec<CredentialIssue>, SyncEnd) {
        let mut passes = Vec::new();
        loop {
            match self.command().await.body {
                Body::SyncBegin(_) => passes.clear(),
                Body::CredentialIssue(issue) => passes.push(issue),
                Body::SyncEnd(end) => return (passes, end),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn gate() -> PointId {
    PointId::new("turnstile-1").unwrap()
}

async fn ordered(acs: &mut Acs) -> (Uuid, Control) {
    let Msg { id, body: Body::Control(control), .. } = acs.command().await else { panic!("an order comes") };
    (id, control)
}

#[tokio::test]
async fn an_opening_reaches_the_gate_with_an_expiry_and_an_actor() {
    let mut rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    rig.ready().await;
    rig.order(Ordered::Open(gate())).await;
    let (id, control) = ordered(&mut acs).await;
    assert_eq!((control.action, control.points[0].as_str()), (Action::PulseIn, GATE));
    assert_eq!(control.actor.as_str(), "guard.ivanova");
    let left = control.expires_at.to_utc().since_ms(rig.clock.now());
    assert!((3000..=5000).contains(&left), "{left}");
    let last = acs.result(id, CommandStatus::Expired, Some("COMMAND_EXPIRED"), true);
    acs.acked(last).await;
    let alarm = rig.alarm(0, Reason::PassNotTaken).await;
    assert!(alarm.contains("pulse-in") && alarm.contains("too late"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn a_mode_is_ordered_again_after_a_reconnection_and_an_opening_is_not() {
    let mut rig = Rig::start(Cache::Nobody).await;
    let mut acs = connected(&rig, Memory::new()).await;
    rig.ready().await;
    rig.order(Ordered::FreePassage(gate())).await;
    assert_eq!(ordered(&mut acs).await.1.action, Action::FreePass);
    // Acknowledged: it would not come again by itself.
    acs.idle_until(|| rig.peer().commands_waiting == 0).await;
    let before = rig.journal.last_seq();
    let memory = acs.cut();
    rig.kind(before, Kind::Offline).await;
    rig.order(Ordered::Open(gate())).await;
    let mut acs = connected(&rig, memory).await;
    assert_eq!(ordered(&mut acs).await.1.action, Action::FreePass);
    // Once for each reader of the gate at most, and never the opening.
    let more = tokio::time::timeout(Duration::from_secs(1), ordered(&mut acs)).await;
    assert!(more.as_ref().is_err() || more.as_ref().is_ok_and(|(_, more)| more.action == Action::FreePass), "{more:?}");
    let quiet = tokio::time::timeout(Duration::from_secs(1), acs.command()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_controller_is_told_everything_once_with_a_digest_that_matches() {
    let rig = Rig::start(Cache::Staff).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let (passes, end) = acs.resync().await;
    assert_eq!(passes.len(), 1, "the blocked one is not told");
    let pass = &passes[0];
    assert_eq!(pass.credential.card().unwrap(), number(ACTIVE));
    assert_eq!(pass.key.as_str(), card_id(ACTIVE).to_string());
    assert_eq!((pass.levels.len(), pass.levels[0].as_str()), (1, GATE));
    assert!(pass.from.micros() < pass.until.micros());
    let mut list = vec![(pass.key.clone(), pass.rev)];
    assert_eq!((end.count, end.sha256), (1, Some(wire::acs_link::digest::sync_digest(&mut list))));
    // Back again: it knows everything, nothing is told.
    let mut acs = connected(&rig, acs.cut()).await;
    let quiet = tokio::time::timeout(Duration::from_secs(1), acs.command()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let told = rig.line("told", |line| line.peer.as_ref().is_some_and(|peer| peer.passes_told == 1)).await;
    assert_eq!(told.peer.unwrap().passes_wanted, 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_pass_that_is_blocked_is_taken_back_within_a_second_with_a_higher_revision() {
    let rig = Rig::start(Cache::Staff).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let (passes, _) = acs.resync().await;
    let blocked = policy_of(2, vec![pass(ACTIVE, 1, PassState::Lost), pass("10,7", 7, PassState::Active)]);
    let began = Instant::now();
    rig.hand_out(&blocked).await;
    let Body::CredentialRevoke(revoke) = acs.command().await.body else { panic!("a revocation comes first") };
    let took = began.elapsed();
    assert_eq!((revoke.key.clone(), revoke.reason.as_str()), (passes[0].key.clone(), "lost"));
    assert!(revoke.rev > passes[0].rev);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let Body::CredentialIssue(issue) = acs.command().await.body else { panic!("then the new one") };
    assert_eq!(issue.credential.card().unwrap(), number("10,7"));
    // Given back: told again, behind the revocation.
    rig.hand_out(&usual_policy(3)).await;
    let Body::CredentialRevoke(gone) = acs.command().await.body else { panic!("the other is taken back") };
    assert_eq!(gone.key, issue.key);
    let Body::CredentialIssue(again) = acs.command().await.body else { panic!("told again") };
    assert!(again.key == revoke.key && again.rev > revoke.rev);
    rig.stop().await;
}

#[tokio::test]
async fn a_controller_whose_journal_began_anew_is_told_everything_again() {
    let rig = Rig::start(Cache::Staff).await;
    let mut acs = connected(&rig, Memory::new()).await;
    acs.resync().await;
    acs.pass("e:1", None, PassCode::Forced, None);
    acs.acked(1).await;
    // It keeps what we told it, and loses its own journal.
    let memory = Memory { held: acs.memory.held, ..Memory::new() };
    drop(acs);
    let mut acs = connected(&rig, memory).await;
    let (passes, end) = acs.resync().await;
    assert_eq!((passes.len(), end.count), (1, 1));
    assert!(rig.alarm(0, Reason::StreamReset).await.contains("began anew"));
    rig.stop().await;
}

#[tokio::test]
async fn a_controller_restored_from_an_older_copy_is_told_everything_again_with_an_alarm() {
    let rig = Rig::start(Cache::Staff).await;
    let mut acs = connected(&rig, Memory::new()).await;
    acs.resync().await;
    let epoch = acs.memory.epoch;
    acs.idle_until(|| rig.peer().passes_told == 1).await;
    let older = Memory { epoch, held: acs.memory.held.map(|(epoch, _)| (epoch, 1)), ..Memory::new() };
    drop(acs);
    let mut acs = connected(&rig, older).await;
    let End::Left(bye) = acs.end().await else { panic!("the stream begins anew") };
    assert_eq!(bye.reason.as_str(), "stream-restarted");
    assert!(rig.alarm(0, Reason::StreamAhead).await.contains("restored from an older"));
    let mut acs = connected(&rig, acs.cut()).await;
    let (passes, _) = acs.resync().await;
    assert_eq!(passes.len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_sync_that_does_not_match_is_repeated_once() {
    let rig = Rig::start(Cache::Staff).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let end = loop {
        let msg = acs.command().await;
        if matches!(msg.body, Body::SyncEnd(_)) {
            break msg.id;
        }
    };
    acs.result(end, CommandStatus::Rejected, Some("SYNC_MISMATCH"), false);
    acs.resync().await;
    let alarm = rig.alarm(0, Reason::PassNotTaken).await;
    assert!(alarm.contains("SYNC_MISMATCH"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn a_pass_that_the_controller_refuses_is_an_alarm_that_names_its_pseudonym_only() {
    let rig = Rig::start(Cache::Staff).await;
    let mut acs = connected(&rig, Memory::new()).await;
    let issue = loop {
        let msg = acs.command().await;
        if matches!(msg.body, Body::CredentialIssue(_)) {
            break msg.id;
        }
    };
    acs.result(issue, CommandStatus::Rejected, Some("CREDENTIAL_CAPACITY"), false);
    let last = acs.memory.events.len() as u64;
    acs.acked(last).await;
    let alarm = rig.alarm(0, Reason::PassNotTaken).await;
    let id = card_id(ACTIVE).to_string();
    assert!(alarm.contains("CREDENTIAL_CAPACITY") && alarm.contains(&id), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn a_gateway_restored_from_an_older_copy_stops_and_says_what_to_do() {
    let rig = Rig::start(Cache::Staff).await;
    let mut acs = connected(&rig, Memory::new()).await;
    acs.resync().await;
    acs.idle_until(|| rig.peer().passes_told == 1).await;
    let (epoch, held) = acs.memory.held.unwrap();
    // It claims more than was ever sent, in our present epoch.
    acs.memory.held = Some((epoch, held + 50));
    let memory = acs.cut();
    let stream = super::acs::dial(rig.address().await, &rig.site.node(NODE), &rig.clock).await.unwrap();
    let mut acs = Acs::connect(stream, memory, &rig.clock);
    let End::Failed(failure) = acs.end().await else { panic!("refused") };
    assert_eq!(failure.code.as_str(), "SEQ_AHEAD");
    let alarm = rig.alarm(0, Reason::StreamAhead).await;
    assert!(alarm.contains("this gateway was restored from an older copy"), "{alarm}");
    rig.stop().await;
}

#[tokio::test]
async fn thousands_of_passes_are_told_at_the_pace_of_the_controller() {
    const PASSES: u16 = 3000;
    let all = (0..PASSES).map(|n| pass(&format!("20,{n}"), 3, PassState::Active)).collect();
    let site = std::sync::Arc::new(super::site::Site::new("this site"));
    let settings = settings(Some(site.node("gw-1")), Cache::Everybody);
    let rig = Rig::with(site, settings, policy_of(1, all)).await;
    let mut acs = connected(&rig, Memory::new()).await;
    // It takes a few and then nothing: no more than a bounded number wait for it.
    while acs.memory.commands.len() < 10 {
        acs.next().await;
    }
    acs.takes = false;
    acs.idle_until(|| rig.peer().commands_waiting >= 900).await;
    assert!(rig.peer().commands_waiting <= 1024, "{}", rig.peer().commands_waiting);
    assert!(rig.peer().passes_told < rig.peer().passes_wanted);
    let memory = acs.cut();
    let mut acs = connected(&rig, memory).await;
    let mut told: Vec<_> = acs.memory.commands.iter().filter_map(|old| issued(&old.msg)).collect();
    let end = loop {
        match acs.command().await.body {
            Body::SyncEnd(end) => break end,
            Body::SyncBegin(_) => told.clear(),
            Body::CredentialIssue(issue) => told.push((issue.key, issue.rev)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((told.len(), end.count), (usize::from(PASSES), u32::from(PASSES)));
    assert_eq!(end.sha256, Some(wire::acs_link::digest::sync_digest(&mut told)));
    rig.stop().await;
}

fn issued(msg: &Msg) -> Option<(wire::acs_link::Token, u64)> {
    match &msg.body {
        Body::CredentialIssue(issue) => Some((issue.key.clone(), issue.rev)),
        _ => None,
    }
}

#[tokio::test]
async fn a_resync_that_a_restart_interrupted_begins_anew_and_ends_with_a_digest_that_matches() {
    let all = (0..500).map(|n| pass(&format!("20,{n}"), 3, PassState::Active)).collect();
    let site = std::sync::Arc::new(super::site::Site::new("this site"));
    let settings = settings(Some(site.node("gw-1")), Cache::Everybody);
    let rig = Rig::with(site, settings, policy_of(1, all)).await;
    let mut acs = connected(&rig, Memory::new()).await;
    while acs.memory.commands.len() < 40 {
        acs.next().await;
    }
    let memory = acs.cut();
    let (folder, site, settings) = rig.stop().await;
    let rig = Rig::in_folder(folder, site, settings).await;
    let mut acs = connected(&rig, memory).await;
    // What was posted before comes first, then everything from the beginning.
    let (mut told, mut begun) = (Vec::new(), 0);
    let end = loop {
        match acs.command().await.body {
            Body::SyncEnd(end) if end.count == 500 => break end,
            Body::SyncEnd(_) => {}
            Body::SyncBegin(_) => {
                begun += 1;
                told.clear();
            }
            Body::CredentialIssue(issue) => told.push((issue.key, issue.rev)),
            other => panic!("{other:?}"),
        }
    };
    assert!(begun >= 1);
    assert_eq!((told.len(), end.sha256), (500, Some(wire::acs_link::digest::sync_digest(&mut told))));
    rig.stop().await;
}
