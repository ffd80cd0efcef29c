//! The gateway and a bridge that says what the test wants.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[expect(dead_code, reason = "each test file uses a part")]
mod rig;

use bus::{Incoming, Link};
use domain::card::CardFormat;
use domain::policy::Verify;
use domain::{Entry, Kind, Reason};
use gateway::settings::OnFault;
use rig::*;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::bus::{Ack, Channel, Down, LinkKey, PolicyChunk, PolicyOffer, Topic, Up};

/// Plays the bridge: has entries up to `have` already, hands out the snapshot of `version`, tells the entries it gets.
async fn bridge(link: Link, mut have: u64, version: u64, snapshot: Vec<u8>, told: mpsc::UnboundedSender<Entry>) {
    let key = LinkKey::new("k1", *b"a key that only tests would use!").unwrap();
    let Link { publisher, mut inbox } = link;
    while let Some(incoming) = inbox.next().await {
        let Incoming::Message(message) = incoming else { continue };
        let gateway = message.topic.gateway.clone();
        let down = |down: Down, channel| (Topic::new(gateway.clone(), channel), down.encode(&key).unwrap());
        let mut answers = Vec::new();
        match Up::decode(&message.bytes).unwrap() {
            Up::Status(status) => {
                let ack = Ack { gateway: gateway.clone(), epoch: status.epoch, seq: have };
                answers.push(down(Down::Ack(ack), Channel::Ack));
                let offer = PolicyOffer {
                    gateway: gateway.clone(),
                    version,
                    at: now(),
                    bytes: snapshot.len() as u64,
                    digest: Sha256::digest(&snapshot).into(),
                };
                answers.push(down(Down::Policy(offer), Channel::Policy));
            }
            Up::Events(batch) => {
                let epoch = batch.epoch;
                for entry in batch.entries {
                    if entry.seq <= have {
                        continue;
                    }
                    assert_eq!(entry.seq, have + 1, "no gap");
                    have = entry.seq;
                    let _ = told.send(entry);
                }
                answers.push(down(Down::Ack(Ack { gateway: gateway.clone(), epoch, seq: have }), Channel::Ack));
            }
            Up::ChunkRequest(_) => {
                for index in 0.. {
                    let Some(chunk) = PolicyChunk::cut(version, &snapshot, index) else { break };
                    answers.push((Topic::new(gateway.clone(), Channel::Policy), chunk.encode()));
                }
            }
            Up::Gone(_) | Up::CommandResult(_) => {}
        }
        for (topic, bytes) in answers {
            publisher.publish(&topic, bytes).await.unwrap();
        }
    }
}

fn play(rig: &mut Rig, have: u64, version: u64) -> mpsc::UnboundedReceiver<Entry> {
    let (told, entries) = mpsc::unbounded_channel();
    let snapshot = wire::snapshot::encode(&policy(Verify::Card, version)).unwrap();
    tokio::spawn(bridge(rig.bridge.take().unwrap(), have, version, snapshot, told));
    entries
}

#[tokio::test]
async fn a_journal_replaced_by_an_older_copy_goes_on_behind_what_the_bridge_has() {
    let mut rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    // The bridge has fifty entries of this journal, which was opened empty and has new ones already.
    let mut entries = play(&mut rig, 50, 1);
    let first = timeout(PATIENCE, entries.recv()).await.expect("entries come").unwrap();
    assert_eq!((first.seq, first.fact.kind), (51, Kind::Started));
    loop {
        let entry = timeout(PATIENCE, entries.recv()).await.expect("the alarm comes").unwrap();
        if entry.fact.kind == Kind::Alarm {
            assert!(entry.fact.detail.unwrap().contains("older copy"));
            break;
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_damaged_policy_file_keeps_no_door_dead_and_used_passes_stay_used() {
    let rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    rig.reader.tap(CardFormat::Wiegand26, ONE_TIME);
    rig.until(0, Kind::Granted).await;
    rig.reader.act.send(Do::Input(0, true)).unwrap();
    rig.until(0, Kind::Passed).await;
    rig.reader.act.send(Do::Input(0, false)).unwrap();
    let (folder, reader, settings) = rig.stop().await;
    std::fs::write(folder.path().join("policy.bin"), b"rubbish").unwrap();

    let mut rig = Rig::in_folder(folder, reader, settings).await;
    let before = rig.until(0, Kind::Stopped).await.len() as u64;
    let alarm = rig.until(before, Kind::Alarm).await;
    assert_eq!(alarm.last().unwrap().reason, Some(Reason::PolicyRefused));
    rig.secure_after(before).await;
    rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
    let refused = rig.until(before, Kind::Refused).await;
    assert_eq!(refused.last().unwrap().reason, Some(Reason::NoPolicy));

    play(&mut rig, 0, 1);
    let before = rig.journal.last_seq();
    rig.until(before, Kind::PolicyChanged).await;
    rig.reader.tap(CardFormat::Wiegand26, ONE_TIME);
    let refused = rig.until(before, Kind::Refused).await;
    assert_eq!(refused.last().unwrap().reason, Some(Reason::PassUsed));
    rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
    rig.until(before, Kind::Granted).await;
    rig.stop().await;
}

#[tokio::test]
async fn an_older_policy_is_refused_once_and_the_newer_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = wire::snapshot::encode(&policy(Verify::Card, 7)).unwrap();
    gateway::snapshot::keep(&folder.path().join("policy.bin"), &bytes).unwrap();
    let reader = Reader::start(device()).await;
    let settings = settings(reader.port, OnFault::Secure);
    let mut rig = Rig::in_folder(folder, reader, settings).await;
    play(&mut rig, 0, 6);
    let alarm = rig.until(0, Kind::Alarm).await;
    assert_eq!(alarm.last().unwrap().reason, Some(Reason::PolicyRefused));
    assert_eq!(rig.gateway.board().borrow().policy_version, Some(7));
    rig.stop().await;
}

#[tokio::test]
async fn a_flood_of_forged_messages_does_not_fill_the_journal() {
    let rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    let before = rig.journal.last_seq();
    let publisher = rig.bridge.as_ref().unwrap().publisher.clone();
    let topic = Topic::new(rig.settings.gateway.clone(), Channel::Command);
    for _ in 0..500 {
        publisher.publish(&topic, b"{\"forged\":1}".to_vec()).await.unwrap();
    }
    let alarms = |facts: &[domain::Draft]| facts.iter().filter(|fact| fact.kind == Kind::Alarm).count();
    rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
    let facts = rig.until(before, Kind::NotTaken).await;
    assert!((1..=25).contains(&alarms(&facts)), "{}", alarms(&facts));
    rig.stop().await;
}
