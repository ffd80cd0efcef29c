use super::*;
use axum::body::BodyDataStream;
use domain::{Direction, Kind, Reason};
use futures_util::StreamExt;
use std::time::Duration;

/// Opens a stream.
async fn open(stage: &Stage, path: &str, token: &SessionToken, resume: Option<u64>) -> BodyDataStream {
    let mut request = request("GET", path, Some(token)).header(header::ACCEPT, "text/event-stream");
    if let Some(id) = resume {
        request = request.header("last-event-id", id.to_string());
    }
    let response = stage.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().into_data_stream()
}

/// Opens a stream and reads it, see [`drain`].
async fn read(
    stage: &Stage,
    path: &str,
    token: &SessionToken,
    resume: Option<u64>,
    wanted: usize,
) -> (Vec<u64>, String) {
    drain(open(stage, path, token, resume).await, wanted).await
}

/// Reads until `wanted` entries came, or the stream ended; gives their ids and everything read.
async fn drain(mut body: BodyDataStream, wanted: usize) -> (Vec<u64>, String) {
    let mut text = String::new();
    let ids = |text: &str| -> Vec<u64> {
        let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
        whole.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
    };
    while ids(&text).len() < wanted {
        let next = tokio::time::timeout(Duration::from_secs(10), body.next()).await;
        match next.unwrap_or_else(|_| panic!("{wanted} entries wanted, got {:?}", ids(&text))) {
            Some(bytes) => text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap()),
            None => break,
        }
    }
    (ids(&text), text)
}

async fn refuse(stage: &mut Stage, count: u32) {
    let now = stage.hands.now();
    let facts = (0..count)
        .map(|n| scene::fact(now, Kind::Refused, "turnstile-1", Direction::In, Some(100 + n), Some(Reason::Expired)));
    stage.recorder.record(facts.collect()).await;
}

#[tokio::test]
async fn a_stream_cut_at_any_moment_goes_on_exactly_there() {
    let mut stage = Stage::new().await;
    let token = stage.token(Role::Guard);
    let mut seen = Vec::new();
    let mut last = 0;
    let mut dice = 7_u32;
    for _ in 0..30 {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let new = 1 + dice % 9;
        refuse(&mut stage, new).await;
        // Cut after some of what there is: the rest belongs to the next connection.
        let newest = clinic::events::last_id(&stage.database).await.unwrap();
        let waiting = usize::try_from(newest - last).unwrap();
        let (ids, _) =
            read(&stage, "/live/stream?after=0", &token, Some(last), 1 + (dice >> 8) as usize % waiting).await;
        // A body is read in pieces: what came with the last piece came too.
        last = *ids.last().unwrap();
        seen.extend(ids);
    }
    let newest = clinic::events::last_id(&stage.database).await.unwrap();
    if last < newest {
        seen.extend(read(&stage, "/live/stream", &token, Some(last), usize::try_from(newest - last).unwrap()).await.0);
    }
    assert_eq!(seen, (1..=newest).collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test]
async fn more_than_the_ring_holds_is_caught_up_from_the_database() {
    let mut stage = Stage::new().await;
    let token = stage.token(Role::Guard);
    for _ in 0..10 {
        refuse(&mut stage, 500).await;
    }
    let (ids, _) = read(&stage, "/live/stream?after=3", &token, None, 4997).await;
    assert_eq!(ids, (4..=5000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_post_gets_its_own_points_only_and_no_quiet_events() {
    let mut stage = Stage::new().await;
    let token = stage.token(Role::Guard);
    let now = stage.hands.now();
    let at = |kind, point| scene::fact(now, kind, point, Direction::In, Some(1), None);
    stage
        .recorder
        .record(vec![
            at(Kind::Granted, "turnstile-1"),
            at(Kind::Granted, "turnstile-2"),
            at(Kind::Online, "turnstile-2"),
            at(Kind::Passed, "turnstile-2"),
        ])
        .await;
    let (ids, text) = read(&stage, "/live/stream?point=turnstile-2&after=0", &token, None, 2).await;
    assert_eq!(ids, [2, 4]);
    assert!(text.contains("event: beat"), "the server says at once that it is there");
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_with_the_server() {
    let stage = Stage::new().await;
    let token = stage.token(Role::Guard);
    let session = stage.session(&token).await;
    let body = open(&stage, "/live/stream", &token, None).await;
    let ending = async { stage.accounts.sign_out(&session).await.unwrap() };
    let ((ids, text), ()) = tokio::join!(drain(body, 1), ending);
    assert!(ids.is_empty() && text.contains("event: over"), "{text}");

    let token = stage.token(Role::Manager);
    let body = open(&stage, "/live/stream", &token, None).await;
    let ((ids, _), ()) = tokio::join!(drain(body, 1), async { stage.ending.cancel() });
    assert!(ids.is_empty());
}

#[tokio::test]
async fn what_a_controller_tells_afterwards_is_in_the_table_and_never_large_or_spoken() {
    let mut stage = Stage::new().await;
    let token = stage.token(Role::Guard);
    let now = stage.hands.now();
    let fact = |kind, reason, age_ms| domain::Draft {
        age_ms,
        ..scene::fact(now, kind, "turnstile-1", Direction::In, Some(1), Some(reason))
    };
    stage
        .recorder
        .record(vec![
            fact(Kind::Refused, Reason::Expired, Some(400)),
            fact(Kind::Refused, Reason::PeerDecision, Some(1_860_000)),
            fact(Kind::Forced, Reason::PeerDecision, Some(1_860_000)),
        ])
        .await;
    let (_, text) = read(&stage, "/live/stream?after=0", &token, None, 3).await;
    let entries = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| data.contains("\"slot\""));
    let entries: Vec<serde_json::Value> = entries.map(|data| serde_json::from_str(data).unwrap()).collect();
    let spoken: Vec<_> = entries.iter().map(|entry| (entry["late"] == true, entry["say"].is_string())).collect();
    assert_eq!(spoken, [(false, true), (true, false), (false, true)], "an alarm is told however late");
    assert!(entries[1]["row"].as_str().unwrap().contains("31 min earlier"), "{}", entries[1]);
    let page = stage.get("/live", Some(&token)).await.text;
    let large = page.split("data-now>").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(large.contains("Opened by force") && large.contains("31 min earlier"), "{large}");
    let journal = stage.get("/journal?open=2", Some(&token)).await.text;
    assert!(journal.contains("Happened at") && journal.contains("2026-11-24 09:10:07.000 +02:00"), "{journal}");
}

#[tokio::test]
async fn a_stream_ends_within_a_second_of_a_lost_right() {
    let stage = Stage::new().await;
    let administrator = stage.session(&stage.token(Role::Administrator)).await.acting(&visitor());
    let zone = |name: &str| Some(domain::ZoneId::new(name).unwrap());
    scene::furnish(&stage.database, stage.hands.now()).await;
    for (role, left) in [
        // Another role without the live page; the same role in one zone only.
        (Role::Guard, Grant::site(Role::Cashier)),
        (Role::Manager, Grant { role: Role::Manager.into(), zone: zone("yard") }),
    ] {
        let (token, account) = (stage.token(role), stage.account(role).await);
        let body = open(&stage, "/live/stream", &token, None).await;
        let begun = tokio::time::Instant::now();
        let taking = async {
            let now = stage.hands.now();
            clinic::roles::give(&stage.database, &administrator, now, &account, &[left]).await.unwrap();
        };
        let ((ids, text), ()) = tokio::join!(drain(body, 1), taking);
        assert!(ids.is_empty() && text.contains("event: over"), "{role}: {text}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{role}: {:?}", begun.elapsed());
    }
}
