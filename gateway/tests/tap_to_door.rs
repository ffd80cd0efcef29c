//! From bytes of a reader to a released door and back: a real device codec on a real TCP line.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[expect(dead_code, reason = "each test file uses a part")]
mod rig;

use std::time::Duration;

use domain::card::CardFormat;
use domain::policy::Verify;
use domain::{Kind, Reason};
use gateway::settings::OnFault;
use rig::*;

#[tokio::test]
async fn a_valid_card_opens_the_turnstile_and_the_rotor_says_passed() {
    let mut rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    let before = rig.journal.last_seq();
    rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
    assert_eq!(rig.reader.output().await, (0, true));
    // Durable before visible: when the relay moves, the grant is in the journal.
    let facts = rig.until(before, Kind::Granted).await;
    assert_eq!(kinds(&facts), [Kind::Tap, Kind::Granted]);
    assert_eq!(facts[1].reason, Some(Reason::Allowed));
    let after = rig.journal.last_seq();
    rig.reader.act.send(Do::Input(0, true)).unwrap();
    let facts = rig.until(after, Kind::Passed).await;
    assert_eq!(facts.last().unwrap().person, Some(domain::PersonId([1; 16])));
    rig.stop().await;
}

#[tokio::test]
async fn unknown_blocked_and_unreadable_cards_stay_outside() {
    let mut rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    for (text, reason) in [(UNKNOWN, Reason::UnknownCard), (BLOCKED, Reason::Blocked)] {
        let before = rig.journal.last_seq();
        rig.reader.tap(CardFormat::Wiegand26, text);
        let facts = rig.until(before, Kind::Refused).await;
        assert_eq!(facts.last().unwrap().reason, Some(reason));
    }
    let before = rig.journal.last_seq();
    // 26 bits of zeros have a wrong odd parity.
    rig.reader.act.send(Do::Card(26, vec![0; 4])).unwrap();
    let facts = rig.until(before, Kind::Refused).await;
    assert_eq!(facts.last().unwrap().reason, Some(Reason::UnreadableCard));
    rig.reader.act.send(Do::Tamper(true)).unwrap();
    rig.until(before, Kind::Tamper).await;
    while let Ok(event) = rig.reader.events.try_recv() {
        assert!(!matches!(event, wire::osdp::device::DeviceEvent::Output { .. }), "{event:?}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn nobody_through_the_rotor_is_not_taken_and_a_rotor_without_a_grant_is_forced() {
    let mut rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    let before = rig.journal.last_seq();
    rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
    rig.reader.output().await;
    rig.until(before, Kind::NotTaken).await;
    rig.reader.act.send(Do::Input(0, true)).unwrap();
    rig.until(before, Kind::Forced).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_journal_that_takes_nothing_makes_a_secure_point_refuse_and_a_safe_point_open() {
    for (mode, opens) in [(OnFault::Secure, false), (OnFault::Safe, true)] {
        let mut rig = Rig::start(Verify::Card, mode).await;
        rig.secure().await;
        rig.journal.close().await;
        rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
        if opens {
            assert_eq!(rig.reader.output().await, (0, true));
        } else {
            // The answer is the red light; the relay must not have moved before it.
            loop {
                let event = tokio::time::timeout(PATIENCE, rig.reader.events.recv()).await.unwrap().unwrap();
                match event {
                    wire::osdp::device::DeviceEvent::Output { .. } => panic!("a secure point opened without a record"),
                    wire::osdp::device::DeviceEvent::Buzzer(buzzer) if buzzer.count == 2 => break,
                    _ => {}
                }
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn card_and_pin_open_together_wrong_pins_lock_the_card_and_duress_raises_a_silent_alarm() {
    let mut rig = Rig::start(Verify::CardPin, OnFault::Secure).await;
    rig.secure().await;
    let before = rig.journal.last_seq();
    rig.reader.tap(CardFormat::Wiegand26, WITH_PIN);
    rig.until(before, Kind::Tap).await;
    rig.reader.act.send(Do::Keys(b"4321\r".to_vec())).unwrap();
    assert_eq!(rig.reader.output().await, (0, true));
    let facts = rig.until(before, Kind::Granted).await;
    assert!(facts.iter().any(|fact| fact.kind == Kind::Alarm && fact.reason == Some(Reason::Duress)));
    rig.until(before, Kind::NotTaken).await;

    for tried in 1..=3 {
        let before = rig.journal.last_seq();
        rig.reader.tap(CardFormat::Wiegand26, WITH_PIN);
        rig.until(before, Kind::Tap).await;
        rig.reader.act.send(Do::Keys(b"9999\r".to_vec())).unwrap();
        let reason = rig.until(before, Kind::Refused).await.last().unwrap().reason;
        assert!(matches!(reason, Some(Reason::PinWrong | Reason::PinLocked)), "{tried}: {reason:?}");
    }
    let before = rig.journal.last_seq();
    rig.reader.tap(CardFormat::Wiegand26, WITH_PIN);
    let refused = rig.until(before, Kind::Refused).await;
    assert_eq!(refused.last().unwrap().reason, Some(Reason::PinLocked));
    rig.stop().await;
}

#[tokio::test]
async fn an_unplugged_line_goes_offline_comes_back_secure_and_loses_no_card() {
    let rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    let before = rig.journal.last_seq();
    rig.reader.act.send(Do::Unplug(Duration::from_millis(300))).unwrap();
    let facts = rig.until(before, Kind::Secure).await;
    assert!(facts.iter().any(|fact| fact.reason == Some(Reason::LineLost)), "{facts:#?}");
    rig.secure_after(before).await;
    let before = rig.journal.last_seq();
    rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
    rig.until(before, Kind::Granted).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() {
    let rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    let before = rig.journal.last_seq();
    rig.reader.tap(CardFormat::Wiegand26, ACTIVE);
    rig.until(before, Kind::NotTaken).await;
    let (folder, reader, settings) = rig.stop().await;
    let rig = Rig::in_folder(folder, reader, settings).await;
    let stopped = rig.journal.read_after(before, 100).await.unwrap();
    assert_eq!(stopped.iter().filter(|entry| entry.fact.kind == Kind::Stopped).count(), 1);
    let last = stopped.last().unwrap().seq;
    rig.until(last, Kind::Secure).await;
    assert!(rig.journal.verify().await.unwrap().problems.is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn the_fire_input_opens_and_stays_open() {
    let mut rig = Rig::start(Verify::Card, OnFault::Secure).await;
    rig.secure().await;
    rig.reader.act.send(Do::Input(2, true)).unwrap();
    assert_eq!(rig.reader.output().await, (0, true));
    let facts = rig.until(0, Kind::Alarm).await;
    assert_eq!(facts.last().unwrap().reason, Some(Reason::Emergency));
    rig.stop().await;
}
