//! The last report of each device is what is shown.

use clinic::devices::{self, Door, DoorState, Gateway, Line, Peer, PeerKind, Reader, ReaderState, Report};
use domain::{Direction, Epoch, LineId, ReaderId};
use store::testing::both;

use crate::{NOW, gateway, point};

fn report() -> Report {
    Report {
        gateway: Gateway {
            at: Some(NOW),
            started: Some(NOW),
            software: Some("0.1.0".into()),
            epoch: Some(Epoch([1; 16])),
            last_seq: Some(7),
            acked_seq: Some(5),
            policy_version: Some(3),
            policy_age_ms: Some(120),
            ..Gateway::new(gateway("gw-1"))
        },
        lines: vec![Line {
            id: LineId::new("entrance").unwrap(),
            port: "/dev/ttyUSB0".into(),
            open: true,
            polls_per_1000_s: 12_345,
            problem: None,
            peer: None,
        }],
        readers: vec![Reader {
            id: ReaderId::new("turnstile-1-in").unwrap(),
            line: LineId::new("entrance").unwrap(),
            point: Some(point("turnstile-1")),
            direction: Some(Direction::In),
            address: 1,
            at: None,
            state: ReaderState::Online,
            secure: true,
            insecure_accepted: None,
            poll_period_us: 50_000,
            reply_us: 3_000,
            polls: 10,
            retries: 1,
            timeouts: 2,
            crc_errors: 3,
            alarms: u64::MAX,
            silent_ms: 0,
            model: Some("ACME\u{1b}[31m\0".into()),
            serial: Some("42".into()),
            firmware: None,
            tamper: false,
        }],
        doors: vec![Door { point: point("turnstile-1"), state: DoorState::Locked, since: NOW }],
    }
}

#[tokio::test]
async fn a_report_comes_back_and_the_next_one_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        devices::report(&database, report(), NOW).await.unwrap();
        let mut second = report();
        second.lines.clear();
        second.doors[0].state = DoorState::Forced;
        second.gateway.last_seq = Some(9);
        let later = NOW.plus_ms(1000);
        devices::report(&database, second, later).await.unwrap();
        let found = devices::gateways(&database).await.unwrap().remove(0);
        assert_eq!(
            (found.online, found.seen, found.last_seq, found.epoch),
            (true, later, Some(9), Some(Epoch([1; 16])))
        );
        let lines = devices::lines(&database).await.unwrap();
        assert_eq!((lines[0].seen, &lines[0].device), (NOW, &report().lines[0]), "not mentioned, so as it was");
        let mut expected = report().readers.remove(0);
        expected.alarms = u64::try_from(i64::MAX).unwrap();
        expected.model = Some("ACME[31m".into());
        assert_eq!(devices::readers(&database).await.unwrap()[0].device, expected);
        assert_eq!(devices::doors(&database).await.unwrap()[0].device.state, DoorState::Forced);
        devices::gone(&database, &gateway("gw-1")).await.unwrap();
        assert!(!devices::gateways(&database).await.unwrap()[0].online);
        assert_eq!(devices::forget(&database, &gateway("gw-1"), later).await.unwrap(), 1, "the line");
        assert!(devices::lines(&database).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_network_peer_comes_back_and_a_line_that_is_none_any_more_has_none() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let mut first = report();
        let peer = Peer {
            node: Some("lobby-acs".into()),
            secure: true,
            connected_since: Some(NOW.plus_ms(-60_000)),
            events_held: 3,
            commands_waiting: 2,
            passes_told: 1840,
            passes_wanted: 1842,
            quarantined: 1,
            skew_ms: Some(-2_500),
            software: Some("Example 4".into()),
            ..Peer::new(PeerKind::AcsLink, "10.0.0.7:50112".into())
        };
        first.lines[0].peer = Some(peer);
        first.readers[0].at = Some("clinic-1/main-hall/turnstile-03".into());
        devices::report(&database, first.clone(), NOW).await.unwrap();
        assert_eq!(devices::lines(&database).await.unwrap()[0].device, first.lines[0]);
        assert_eq!(devices::readers(&database).await.unwrap()[0].device.at, first.readers[0].at);
        first.lines[0].peer = Some(Peer::new(PeerKind::Parsec, "acs.example:10101".into()));
        devices::report(&database, first.clone(), NOW).await.unwrap();
        assert_eq!(devices::lines(&database).await.unwrap()[0].device, first.lines[0], "nothing of the earlier one");
        devices::report(&database, report(), NOW).await.unwrap();
        assert_eq!(devices::lines(&database).await.unwrap()[0].device.peer, None);
        assert_eq!(devices::readers(&database).await.unwrap()[0].device.at, None);
    }
}
