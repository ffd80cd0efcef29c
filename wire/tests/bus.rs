//! Bus envelopes: round trips, hostile input, and who is believed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use domain::{CardId, Direction, Draft, Entry, Epoch, GatewayId, Kind, PersonId, PointId, ReaderId, Reason, UtcMillis};
use proptest::prelude::*;
use wire::bus::{
    Ack, Action, BATCH_MAX_ENTRIES, BusError, CHUNK_BYTES, ChunkError, ChunkRequest, Command, CommandGuard, CommandId,
    CommandOutcome, CommandRefused, CommandResult, Down, EventBatch, KeyRing, LineStatus, LinkKey, MESSAGE_MAX_BYTES,
    PeerKind, PeerStatus, PolicyAssembly, PolicyChunk, PolicyOffer, ReaderState, ReaderStatus, STATUS_MAX_ITEMS,
    Status, TEXT_MAX_BYTES, Up,
};

const NOW: UtcMillis = UtcMillis(1_795_000_000_000);

fn gateway() -> GatewayId {
    GatewayId::new("gw-1").unwrap()
}

fn key(id: &str, byte: u8) -> LinkKey {
    let mut secret = [byte; 32];
    secret[0] ^= 1;
    LinkKey::new(id, secret).unwrap()
}

fn ring() -> KeyRing {
    KeyRing::new(vec![key("k1", 7)]).unwrap()
}

fn command(action: Action) -> Command {
    Command {
        id: CommandId([9; 16]),
        gateway: gateway(),
        action,
        actor: "guard-2".into(),
        reason: Some("delivery".into()),
        issued_at: NOW,
        expires_at: NOW.plus_ms(10_000),
    }
}

fn open() -> Command {
    command(Action::Open(PointId::new("door-1").unwrap()))
}

fn entry(seq: u64, detail: Option<String>) -> Entry {
    let fact = Draft { detail, ..Draft::new(NOW, Kind::Tap) };
    Entry { gateway: gateway(), epoch: Epoch([3; 16]), seq, fact }
}

fn batch(entries: Vec<Entry>) -> EventBatch {
    EventBatch { gateway: gateway(), epoch: Epoch([3; 16]), entries }
}

fn status(readers: usize) -> Status {
    let reader = |index: usize| ReaderStatus {
        id: ReaderId::new(&format!("reader-{index}")).unwrap(),
        line: domain::LineId::new("line-1").unwrap(),
        point: Some(PointId::new("door-1").unwrap()),
        direction: Some(Direction::Out),
        address: u8::try_from(index % 127).unwrap(),
        at: None,
        state: ReaderState::Online,
        secure: true,
        insecure_accepted: None,
        poll_period_us: 50_000,
        reply_us: 1200,
        polls: 1,
        retries: 2,
        timeouts: 3,
        crc_errors: 4,
        alarms: 5,
        silent_ms: 6,
        model: Some("model \"x\"".into()),
        serial: None,
        firmware: Some("1.2.3".into()),
        tamper: false,
    };
    Status {
        gateway: gateway(),
        at: NOW,
        started: NOW.plus_ms(-1000),
        software: "0.1.0".into(),
        epoch: Epoch([3; 16]),
        last_seq: 12,
        acked_seq: 10,
        policy_version: Some(4),
        policy_age_ms: None,
        lines: vec![],
        readers: (0..readers).map(reader).collect(),
        doors: vec![],
    }
}

#[test]
fn every_upward_message_round_trips() {
    let ups = [
        Up::Events(batch(vec![entry(1, None), entry(2, Some("serial 42".into()))])),
        Up::Status(Box::new(status(3))),
        Up::Gone(gateway()),
        Up::ChunkRequest(ChunkRequest { gateway: gateway(), version: 3, first: 16, count: 16 }),
        Up::CommandResult(CommandResult { gateway: gateway(), id: CommandId([1; 16]), outcome: CommandOutcome::Done }),
        Up::CommandResult(CommandResult {
            gateway: gateway(),
            id: CommandId([1; 16]),
            outcome: CommandOutcome::Refused("too late".into()),
        }),
    ];
    for up in ups {
        assert_eq!(Up::decode(&up.encode().unwrap()), Ok(up));
    }
}

#[test]
fn every_downward_message_round_trips_with_its_key() {
    let point = || PointId::new("door-1").unwrap();
    let mut downs = vec![
        Down::Ack(Ack { gateway: gateway(), epoch: Epoch([3; 16]), seq: u64::MAX }),
        Down::Policy(PolicyOffer { gateway: gateway(), version: 9, at: NOW, bytes: 5, digest: [8; 32] }),
    ];
    let actions = [
        Action::Open(point()),
        Action::Lock(point()),
        Action::Normal(point()),
        Action::FreePassage(point()),
        Action::Emergency(None),
        Action::Emergency(Some(point())),
        Action::Forgive(None),
        Action::Forgive(Some(PersonId([5; 16]))),
        Action::Report,
    ];
    downs.extend(actions.map(|action| Down::Command(command(action))));
    for down in downs {
        let bytes = down.encode(&key("k1", 7)).unwrap();
        assert_eq!(Down::decode(&bytes, &ring(), &gateway()), Ok(down));
    }
}

#[test]
fn an_unknown_field_is_ignored_and_an_unknown_version_refused() {
    let gone = br#"{"v":1,"type":"gone","gateway":"gw-1","colour":{"new":[1]}}"#;
    assert_eq!(Up::decode(gone), Ok(Up::Gone(gateway())));
    let newer = br#"{"v":2,"type":"gone","gateway":"gw-1"}"#;
    assert_eq!(Up::decode(newer), Err(BusError::Version(2)));
    assert_eq!(Up::decode(br#"{"v":1,"type":"dance"}"#), Err(BusError::Type("dance".into())));
}

#[test]
fn errors_name_the_field() {
    let one = |entry: &str| {
        let text = format!(
            r#"{{"v":1,"type":"events","gateway":"gw-1","epoch":"03030303030303030303030303030303","entries":[{entry}]}}"#
        );
        Up::decode(text.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(one(r#"{"seq":1,"at":1,"kind":"sung"}"#), r#"entries[0].kind: "sung" is not known to this version"#);
    assert_eq!(one(r#"{"seq":1,"kind":"tap"}"#), "entries[0].at is missing");
    assert_eq!(
        one(r#"{"seq":1,"at":1,"kind":"tap","card":"12"}"#),
        "entries[0].card: a pseudonymous id has 32 hexadecimal digits"
    );
    assert_eq!(one(r#"{"seq":-1,"at":1,"kind":"tap"}"#), "entries[0].seq: must be a whole number of 0 or more");
    assert_eq!(one(r#"{"seq":1,"at":1,"kind":"tap"},7"#), "entries[1]: must be an object");
    assert_eq!(
        one(r#"{"seq":1,"at":1,"kind":"tap"},{"seq":3,"at":1,"kind":"tap"}"#),
        "entries[1].seq: must be one more than the entry before"
    );
    assert_eq!(one(""), "entries: must not be empty");
}

#[test]
fn limits_hold_in_both_directions() {
    let many: Vec<Entry> = (1..=501).map(|seq| entry(seq, None)).collect();
    assert!(matches!(Up::Events(batch(many)).encode(), Err(BusError::TooMany { count: 501, limit: 500, .. })));
    assert!(matches!(Up::Status(Box::new(status(201))).encode(), Err(BusError::TooMany { .. })));
    assert_eq!(Up::decode(&vec![b' '; MESSAGE_MAX_BYTES + 1]), Err(BusError::TooLong(MESSAGE_MAX_BYTES + 1)));
    let nested = "[".repeat(100_000);
    assert!(matches!(Up::decode(nested.as_bytes()), Err(BusError::NotJson(_))));
    let long = Command { actor: "x".repeat(201), ..open() };
    assert!(matches!(Down::Command(long).encode(&key("k1", 7)), Err(BusError::Field { .. })));
}

#[test]
fn the_longest_possible_batch_fits_a_message() {
    let worst = |seq| {
        let mut entry = entry(seq, Some("\u{1}".repeat(200)));
        entry.seq = u64::MAX - 1000 + seq;
        entry.fact.at = UtcMillis(i64::MIN);
        entry.fact.kind = Kind::SettingsChanged;
        entry.fact.reason = Some(Reason::HandshakeInSession);
        entry.fact.point = Some(PointId::new(&"p".repeat(64)).unwrap());
        entry.fact.reader = Some(ReaderId::new(&"r".repeat(64)).unwrap());
        entry.fact.direction = Some(Direction::Out);
        entry.fact.card = Some(CardId([0xff; 16]));
        entry.fact.person = Some(PersonId([0xff; 16]));
        entry.fact.age_ms = Some(u32::MAX);
        entry
    };
    let entries: Vec<Entry> = (1..=600).map(worst).collect();
    let first = EventBatch::beginning(&entries).unwrap();
    assert!(first.entries.len() > 100 && first.entries.len() < 500, "{}", first.entries.len());
    assert_eq!(Up::decode(&Up::Events(first.clone()).encode().unwrap()), Ok(Up::Events(first)));
    let plain: Vec<Entry> = (1..=600).map(|seq| entry(seq, None)).collect();
    assert_eq!(EventBatch::beginning(&plain).unwrap().entries.len(), BATCH_MAX_ENTRIES);
    assert_eq!(EventBatch::beginning(&[]), None);
}

#[test]
fn a_large_status_is_sent_in_parts_that_lose_nothing() {
    let whole = status(2 * STATUS_MAX_ITEMS + 1);
    let parts = whole.split();
    assert_eq!(parts.len(), 5);
    let joined: Vec<ReaderStatus> = parts.iter().flat_map(|part| part.readers.clone()).collect();
    assert_eq!(joined, whole.readers);
    for part in parts {
        assert_eq!(Up::decode(&Up::Status(Box::new(part.clone())).encode().unwrap()), Ok(Up::Status(Box::new(part))));
    }
    assert_eq!(status(0).split(), vec![status(0)]);
}

/// As large as it may be: every text as long as allowed.
fn peer_line(index: usize) -> LineStatus {
    let longest = "x".repeat(TEXT_MAX_BYTES);
    LineStatus {
        id: domain::LineId::new(&format!("{index:064}")).unwrap(),
        port: longest.clone(),
        open: true,
        polls_per_1000_s: 0,
        problem: Some(longest.clone()),
        peer: Some(PeerStatus {
            node: Some(longest.clone()),
            secure: true,
            connected_since: Some(NOW),
            events_held: u64::MAX,
            commands_waiting: u64::MAX,
            passes_told: u64::MAX,
            passes_wanted: u64::MAX,
            quarantined: u64::MAX,
            skew_ms: Some(i64::MIN),
            software: Some(longest.clone()),
            ..PeerStatus::new(PeerKind::AcsLink, longest)
        }),
    }
}

#[test]
fn the_state_of_a_network_peer_round_trips_and_its_largest_fits_a_message() {
    let mut whole = status(2 * STATUS_MAX_ITEMS);
    for reader in &mut whole.readers {
        reader.at = Some("y".repeat(TEXT_MAX_BYTES));
    }
    whole.lines = (0..2 * STATUS_MAX_ITEMS).map(peer_line).collect();
    let mut lines = Vec::new();
    for part in whole.split() {
        let bytes = Up::Status(Box::new(part.clone())).encode().unwrap();
        assert_eq!(Up::decode(&bytes), Ok(Up::Status(Box::new(part.clone()))));
        lines.extend(part.lines);
    }
    assert_eq!(lines, whole.lines);
}

#[test]
fn a_status_of_an_older_gateway_has_no_peers_and_an_unknown_kind_is_named() {
    let mut whole = status(0);
    whole.lines = vec![peer_line(1)];
    let text = String::from_utf8(Up::Status(Box::new(whole)).encode().unwrap()).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let line = value["lines"][0].as_object_mut().unwrap();
    line.remove("peer");
    let Ok(Up::Status(older)) = Up::decode(value.to_string().as_bytes()) else { panic!("understood") };
    assert_eq!(older.lines[0].peer, None);
    let newer = text.replace("acs_link", "telepathy");
    let Err(BusError::Field { field, .. }) = Up::decode(newer.as_bytes()) else { panic!("refused") };
    assert_eq!(field, "lines[0].peer.kind");
}

#[test]
fn a_changed_message_is_not_believed() {
    let bytes = Down::Command(open()).encode(&key("k1", 7)).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        ("door-1", "door-2"),
        (r#""open""#, r#""lock""#),
        ("guard-2", "guard-3"),
        ("delivery", "delivered"),
        ("1795000010000", "1795000020000"),
        ("0909", "0808"),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        let changed = text.replacen(from, to, 1);
        assert_eq!(Down::decode(changed.as_bytes(), &ring(), &gateway()), Err(BusError::BadMac), "{to}");
    }
    let ack = Down::Ack(Ack { gateway: gateway(), epoch: Epoch([3; 16]), seq: 10 }).encode(&key("k1", 7)).unwrap();
    let forged = String::from_utf8(ack).unwrap().replace("\"seq\":10", "\"seq\":11");
    assert_eq!(Down::decode(forged.as_bytes(), &ring(), &gateway()), Err(BusError::BadMac));
}

#[test]
fn only_known_keys_and_our_own_name_are_believed() {
    let down = Down::Command(open());
    let other_secret = down.encode(&key("k1", 8)).unwrap();
    assert_eq!(Down::decode(&other_secret, &ring(), &gateway()), Err(BusError::BadMac));
    let other_name = down.encode(&key("k2", 7)).unwrap();
    assert_eq!(Down::decode(&other_name, &ring(), &gateway()), Err(BusError::UnknownKey("k2".into())));
    let right = down.encode(&key("k1", 7)).unwrap();
    let elsewhere = GatewayId::new("gw-2").unwrap();
    assert_eq!(Down::decode(&right, &ring(), &elsewhere), Err(BusError::NotForUs("gw-1".into())));
    let nobody = KeyRing::new(vec![]).unwrap();
    assert!(matches!(Down::decode(&right, &nobody, &gateway()), Err(BusError::UnknownKey(_))));
    let bare = br#"{"v":1,"type":"ack","gateway":"gw-1","epoch":"03030303030303030303030303030303","seq":1}"#;
    assert_eq!(Down::decode(bare, &ring(), &gateway()), Err(BusError::Missing("key".into())));
}

#[test]
fn keys_are_changed_by_having_both_for_a_while() {
    let both = KeyRing::new(vec![key("old", 7), key("new", 8)]).unwrap();
    for key in [key("old", 7), key("new", 8)] {
        let bytes = Down::Command(open()).encode(&key).unwrap();
        assert!(Down::decode(&bytes, &both, &gateway()).is_ok());
    }
    assert!(KeyRing::new(vec![key("k", 7), key("k", 8)]).is_err());
    assert!(LinkKey::new("k", [0; 32]).is_err(), "a placeholder is no key");
    assert!(LinkKey::new("", [1; 32]).is_err());
    assert!(!format!("{:?}", key("k1", 7)).contains("7, 7"), "a key never shows its secret");
}

#[test]
fn a_command_is_carried_out_once() {
    let mut guard = CommandGuard::new(gateway(), NOW);
    assert_eq!(guard.admit(&open(), false, NOW), Ok(()));
    assert_eq!(guard.admit(&open(), false, NOW.plus_ms(1)), Err(CommandRefused::Replayed));
    let again = Command { id: CommandId([10; 16]), ..open() };
    assert_eq!(guard.admit(&again, false, NOW.plus_ms(1)), Ok(()));
}

#[test]
fn a_late_command_never_opens() {
    let mut guard = CommandGuard::new(gateway(), NOW);
    let late = NOW.plus_ms(10_000);
    assert_eq!(guard.admit(&open(), false, late), Err(CommandRefused::Expired { late_ms: 0 }));
    // A clock that is set back does not make it young again.
    assert_eq!(guard.admit(&open(), false, NOW), Err(CommandRefused::Expired { late_ms: 0 }));
}

#[test]
fn a_replay_is_refused_for_as_long_as_the_command_lives_and_then_as_expired() {
    let mut guard = CommandGuard::new(gateway(), NOW);
    guard.admit(&open(), false, NOW).unwrap();
    for ms in [1, 5_000, 9_999] {
        assert_eq!(guard.admit(&open(), false, NOW.plus_ms(ms)), Err(CommandRefused::Replayed));
    }
    let expired = guard.admit(&open(), false, NOW.plus_ms(10_001));
    assert_eq!(expired, Err(CommandRefused::Expired { late_ms: 1 }));
}

#[test]
fn a_stored_copy_of_a_command_never_opens() {
    let mut guard = CommandGuard::new(gateway(), NOW);
    assert_eq!(guard.admit(&open(), true, NOW), Err(CommandRefused::Retained));
}

#[test]
fn a_command_from_before_the_start_is_refused_because_it_may_have_been_done() {
    let started = NOW.plus_ms(40_000);
    let mut guard = CommandGuard::new(gateway(), started);
    let old = Command { expires_at: NOW.plus_ms(60_000), ..open() };
    assert_eq!(guard.admit(&old, false, started), Err(CommandRefused::BeforeStart));
    // Quickly restarted, and the broker delivers once more what was carried out a moment ago.
    let mut guard = CommandGuard::new(gateway(), NOW.plus_ms(1));
    assert_eq!(guard.admit(&open(), false, NOW.plus_ms(500)), Err(CommandRefused::BeforeStart));
}

#[test]
fn a_command_for_another_gateway_from_the_future_or_for_ever_is_refused() {
    let mut guard = CommandGuard::new(gateway(), NOW);
    let other = Command { gateway: GatewayId::new("gw-2").unwrap(), ..open() };
    assert_eq!(guard.admit(&other, false, NOW), Err(CommandRefused::NotForUs));
    let future = Command { issued_at: NOW.plus_ms(31_000), expires_at: NOW.plus_ms(40_000), ..open() };
    assert_eq!(guard.admit(&future, false, NOW), Err(CommandRefused::FromTheFuture { ahead_ms: 31_000 }));
    let forever = Command { expires_at: UtcMillis(i64::MAX), ..open() };
    assert_eq!(guard.admit(&forever, false, NOW), Err(CommandRefused::LivesTooLong));
    let backwards = Command { issued_at: NOW.plus_ms(20_000), ..open() };
    assert_eq!(guard.admit(&backwards, false, NOW), Err(CommandRefused::LivesTooLong));
}

#[test]
fn a_flood_of_commands_forgets_none_and_uses_bounded_memory() {
    let mut guard = CommandGuard::new(gateway(), NOW);
    let numbered = |n: u128| Command { id: CommandId(n.to_be_bytes()), ..open() };
    let admitted = (0..5000).filter(|n| guard.admit(&numbered(*n), false, NOW).is_ok()).count();
    assert_eq!(admitted, 4096);
    assert_eq!(guard.admit(&numbered(0), false, NOW), Err(CommandRefused::Replayed));
    assert_eq!(guard.admit(&numbered(4999), false, NOW), Err(CommandRefused::TooMany));
    let fresh = Command { issued_at: NOW.plus_ms(10_000), expires_at: NOW.plus_ms(20_000), ..numbered(9999) };
    assert_eq!(guard.admit(&fresh, false, NOW.plus_ms(10_000)), Ok(()), "room again once they have expired");
}

fn offer_of(snapshot: &[u8]) -> PolicyOffer {
    use sha2::Digest;
    let (bytes, digest) = (snapshot.len() as u64, sha2::Sha256::digest(snapshot).into());
    PolicyOffer { gateway: gateway(), version: 4, at: NOW, bytes, digest }
}

fn collect(assembly: &mut PolicyAssembly, snapshot: &[u8]) -> Option<Result<Vec<u8>, ChunkError>> {
    while let Some(request) = assembly.request(&gateway()) {
        for index in request.first..request.first + request.count {
            let bytes = PolicyChunk::cut(request.version, snapshot, index)?.encode();
            assert!(bytes.len() <= MESSAGE_MAX_BYTES && wire::bus::is_chunk(&bytes));
            match assembly.take(&PolicyChunk::decode(&bytes).unwrap()) {
                Ok(None) => {}
                Ok(Some(whole)) => return Some(Ok(whole)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
    None
}

#[test]
fn a_snapshot_arrives_whole_in_chunks() {
    for len in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 17 * CHUNK_BYTES + 5] {
        let snapshot: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let mut assembly = PolicyAssembly::new(offer_of(&snapshot));
        assert_eq!(collect(&mut assembly, &snapshot), Some(Ok(snapshot)));
    }
}

#[test]
fn chunks_that_are_repeated_out_of_turn_or_of_another_version_change_nothing() {
    let snapshot = vec![1; CHUNK_BYTES + 10];
    let mut assembly = PolicyAssembly::new(offer_of(&snapshot));
    let chunk = |version, index| PolicyChunk::cut(version, &snapshot, index).unwrap();
    assert_eq!(assembly.take(&chunk(4, 1)), Err(ChunkError::OutOfTurn));
    assert_eq!(assembly.take(&chunk(3, 0)), Err(ChunkError::OutOfTurn));
    assert_eq!(assembly.take(&chunk(4, 0)), Ok(None));
    assert_eq!(assembly.take(&chunk(4, 0)), Err(ChunkError::OutOfTurn));
    let short = PolicyChunk { version: 4, index: 1, data: &[1; 9] };
    assert_eq!(assembly.take(&short), Err(ChunkError::OutOfTurn));
    assert_eq!(assembly.take(&chunk(4, 1)), Ok(Some(snapshot.clone())));
}

#[test]
fn a_snapshot_that_was_changed_on_the_way_is_refused_and_collected_anew() {
    let snapshot = vec![1; 1000];
    let mut assembly = PolicyAssembly::new(offer_of(&snapshot));
    let forged = vec![2; 1000];
    assert_eq!(collect(&mut assembly, &forged), Some(Err(ChunkError::Digest)));
    assert_eq!(collect(&mut assembly, &snapshot), Some(Ok(snapshot)));
}

fn any_entry() -> impl Strategy<Value = Draft> {
    let fact = (any::<i64>(), 0..Kind::ALL.len(), proptest::option::of(0..Reason::ALL.len()));
    let names = (proptest::option::of("[a-zA-Z0-9._:/-]{1,64}"), proptest::option::of("[a-zA-Z0-9._:/-]{1,64}"));
    let ids = (any::<Option<[u8; 16]>>(), any::<Option<[u8; 16]>>());
    (fact, names, ids, any::<Option<u32>>(), proptest::option::of("\\PC{0,50}"), any::<Option<bool>>()).prop_map(
        |((at, kind, reason), (point, reader), (card, person), age_ms, detail, out)| Draft {
            at: UtcMillis(at),
            kind: Kind::ALL[kind],
            reason: reason.map(|reason| Reason::ALL[reason]),
            point: point.map(|name| PointId::new(&name).unwrap()),
            reader: reader.map(|name| ReaderId::new(&name).unwrap()),
            direction: out.map(|out| if out { Direction::Out } else { Direction::In }),
            card: card.map(CardId),
            person: person.map(PersonId),
            age_ms,
            detail,
        },
    )
}

proptest! {
    #[test]
    fn any_batch_round_trips(facts in proptest::collection::vec(any_entry(), 1..20), first in 1..u64::MAX / 2) {
        let number = |(fact, seq)| Entry { gateway: gateway(), epoch: Epoch([3; 16]), seq, fact };
        let up = Up::Events(batch(facts.into_iter().zip(first..).map(number).collect()));
        prop_assert_eq!(Up::decode(&up.encode().unwrap()), Ok(up));
    }

    #[test]
    fn rubbish_is_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Up::decode(&bytes).is_err());
        prop_assert!(Down::decode(&bytes, &ring(), &gateway()).is_err());
        let _ = PolicyChunk::decode(&bytes);
    }

    #[test]
    fn damaged_messages_are_refused_without_panic(at in 0..400_usize, byte in any::<u8>(), cut in any::<bool>()) {
        let whole = Down::Command(open());
        let mut bytes = whole.encode(&key("k1", 7)).unwrap();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(down) = Down::decode(&bytes, &ring(), &gateway()) {
            prop_assert_eq!(down, whole);
        }
    }
}
