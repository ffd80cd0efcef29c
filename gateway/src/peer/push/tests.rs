use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::line::LineEvent;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Rig {
    board: Arc<PushBoard>,
    at: SocketAddr,
    events: mpsc::Receiver<LineEvent>,
    cancel: CancellationToken,
}

fn peer() -> LineId {
    LineId::new("hall/1").unwrap()
}

async fn rig() -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (tell, events) = mpsc::channel(16);
    let board = Arc::new(PushBoard::default());
    let cancel = CancellationToken::new();
    let teller = Teller::new(LineId::new("push").unwrap(), tell);
    tokio::spawn(serve(listener, teller, Arc::clone(&board), cancel.clone()));
    Rig { board, at, events, cancel }
}

/// Sends bytes and reads until the other side closes or the reply is complete.
async fn exchange(at: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(at).await.unwrap();
    // A refused connection may be closed before everything is written.
    let _ = socket.write_all(request).await;
    let mut reply = vec![0; 4096];
    let mut length = 0;
    while let Ok(Ok(read)) = timeout(Duration::from_secs(60), socket.read(&mut reply[length..])).await {
        length += read;
        if read == 0 || reply[..length].windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&reply[..length]).into_owned()
}

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test]
async fn a_push_reaches_its_peer_and_the_answer_goes_back() {
    let rig = rig().await;
    let mut pushes = rig.board.register(&peer(), vec![HERE]);
    let asking = tokio::spawn(exchange(rig.at, Box::leak(request(&path_of(&peer()), "{}").into_boxed_slice())));
    let pushed = pushes.next().await.unwrap();
    assert_eq!((&pushed.body[..], pushed.kind.as_str()), (&b"{}"[..], "application/json"));
    let answer = PushAnswer { status: 200, kind: "application/json", body: b"{\"ok\":1}".to_vec() };
    pushed.answer.send(answer).unwrap();
    let reply = asking.await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("{\"ok\":1}"), "{reply}");
    rig.cancel.cancel();
}

#[tokio::test]
async fn strangers_are_turned_away_and_told_of_once() {
    let mut rig = rig().await;
    assert_eq!(exchange(rig.at, &request("/push/hall/1", "{}")).await, "", "nobody pushes from here");
    let event = rig.events.recv().await.unwrap();
    assert!(matches!(event.what, LineFact::Notice { reason: Reason::PeerRefused, .. }));
    let _one = rig.board.register(&peer(), vec![HERE]);
    let other = LineId::new("other").unwrap();
    let _other = rig.board.register(&other, vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))]);
    assert!(exchange(rig.at, &request("/push/other", "{}")).await.starts_with("HTTP/1.1 403"));
    assert!(exchange(rig.at, &request("/push/nobody", "{}")).await.starts_with("HTTP/1.1 404"));
    assert!(exchange(rig.at, &request("/", "{}")).await.starts_with("HTTP/1.1 404"));
    assert!(exchange(rig.at, b"DELETE /push/hall/1 HTTP/1.1\r\nHost: x\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    assert!(rig.events.try_recv().is_err(), "one alarm says it");
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let rig = rig().await;
    let pushes = rig.board.register(&peer(), vec![HERE]);
    let huge = format!("POST /push/hall/1 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", BODY_MAX_BYTES + 1);
    assert!(exchange(rig.at, huge.as_bytes()).await.starts_with("HTTP/1.1 413"));
    let long = format!("POST /push/hall/1 HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(40_000));
    let reply = exchange(rig.at, long.as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 431") || reply.is_empty(), "{reply}");
    assert!(exchange(rig.at, b"rubbish\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let waiting: Vec<_> = (0..CONNECTIONS_OF_ONE).map(|_| TcpStream::connect(rig.at)).collect();
    let waiting = futures_util::future::join_all(waiting).await;
    let closed = async {
        // The one too many is closed at once, as soon as the others are counted.
        loop {
            if exchange(rig.at, &request("/push/nobody", "")).await.is_empty() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), closed).await.expect("the connections of one address are limited");
    drop((waiting, pushes));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_answer_costs_a_bounded_time() {
    let rig = rig().await;
    let mut pushes = rig.board.register(&peer(), vec![HERE]);
    let asking = tokio::spawn(exchange(rig.at, Box::leak(request("/push/hall/1", "{}").into_boxed_slice())));
    let held = pushes.next().await.unwrap();
    assert!(asking.await.unwrap().starts_with("HTTP/1.1 503"));
    drop(held);
}

#[tokio::test]
async fn a_full_queue_says_not_now() {
    let rig = rig().await;
    let pushes = rig.board.register(&peer(), vec![HERE]);
    let mut waiting = Vec::new();
    for _ in 0..QUEUE_MAX / 8 {
        let mut socket = TcpStream::connect(rig.at).await.unwrap();
        socket.write_all(&request("/push/hall/1", "{}")).await.unwrap();
        waiting.push(socket);
    }
    // Fill the rest without sockets.
    let Found::Queue(queue) = rig.board.find("/push/hall/1", HERE) else { panic!("the peer is registered") };
    while queue.capacity() > 0 {
        let (answer, _) = oneshot::channel();
        let pushed =
            Pushed { at: Instant::now(), kind: String::new(), query: String::new(), body: Bytes::new(), answer };
        let _ = queue.try_send(pushed);
        tokio::task::yield_now().await;
    }
    assert!(exchange(rig.at, &request("/push/hall/1", "{}")).await.starts_with("HTTP/1.1 503"));
    drop(pushes);
    let again = rig.board.register(&peer(), vec![HERE]);
    drop(rig.board.register(&peer(), vec![HERE]));
    // The later registration replaced the earlier one and took the path with it when it ended.
    assert!(matches!(rig.board.find("/push/hall/1", HERE), Found::Nobody));
    drop(again);
}
