//! What the device sends by itself: events to its target, questions and their answers, the alert stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::UtcMillis;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::isapi::Syntax;
use wire::isapi::codes;
use wire::isapi::device::{PushTarget, RemoteCheck};
use wire::isapi::event::{self, Access};

use super::state::{Verdict, stamp};
use super::{DecidedBy, DeviceSettings, Shared};

/// A push that is not a question.
const PUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// One part of the alert stream.
pub(super) fn part(settings: &DeviceSettings, event: &Access, at: UtcMillis) -> String {
    let text = event.write(settings.dialect.syntax, &stamp(settings, at), settings.dialect.old);
    wrapped(settings, &text)
}

fn wrapped(settings: &DeviceSettings, text: &str) -> String {
    let length =
        if settings.dialect.part_length { format!("Content-Length: {}\r\n", text.len()) } else { String::new() };
    format!(
        "--MIME_boundary\r\nContent-Type: {}; charset=\"UTF-8\"\r\n{length}\r\n{text}\r\n",
        settings.dialect.syntax.media_type()
    )
}

/// Says on the stream that the device is there.
pub(super) async fn heartbeat(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(shared.settings.heartbeat) => {}
        }
        let (at, unplugged) = {
            let state = shared.state();
            (state.now(&shared.settings), state.faults.unplugged)
        };
        if !unplugged {
            let dialect = &shared.settings.dialect;
            let text = event::heartbeat(dialect.syntax, &stamp(&shared.settings, at), dialect.old);
            let _ = shared.stream.send(Arc::new(wrapped(&shared.settings, &text)));
        }
    }
}

/// Pushes events to the target, in order, again and again until they are taken.
pub(super) async fn push(shared: Arc<Shared>, stop: CancellationToken) {
    let mut again = false;
    loop {
        let next = {
            let mut state = shared.state();
            match (state.target.clone(), state.faults.unplugged) {
                (Some(target), false) => state.next_push().map(|event| (target, event, state.faults.resend)),
                (None, _) => {
                    state.nothing_waits();
                    None
                }
                (Some(_), true) => None,
            }
        };
        let Some((target, (mut event, at), twice)) = next else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.wake.notified() => {}
            }
            continue;
        };
        let serial = event.serial.unwrap_or(0);
        event.current = !again;
        let sent = post(&shared.settings, &target, &event, at, PUSH_TIMEOUT).await;
        if sent.is_some() && twice {
            event.current = false;
            let _ = post(&shared.settings, &target, &event, at, PUSH_TIMEOUT).await;
        }
        again = sent.is_none();
        if sent.is_some() {
            shared.state().was_pushed(serial);
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(shared.settings.retry) => {}
        }
    }
}

/// What becomes of a tap: asks the server if it is set up so, and decides itself otherwise.
pub(super) async fn decide(shared: &Arc<Shared>, door: u32, reader: u32, shown: Access) -> Verdict {
    let mut event = Access {
        major: codes::MAJOR_EVENT,
        minor: codes::CARD_ASKS,
        door: Some(door),
        reader: Some(reader),
        current: true,
        ..shown
    };
    let (check, target, own, at, reachable) = {
        let state = shared.state();
        let at = state.now(&shared.settings);
        if let Some(card) = &event.card {
            event.employee = state.holder_of(card);
        }
        let own = state.own_decision(event.employee.as_deref(), door, at, &shared.settings);
        let listened = state.target.is_some() || shared.stream.receiver_count() > 0;
        let reachable = !(state.faults.mute || state.faults.unplugged);
        (state.check.clone(), state.target.clone(), own, at, listened && reachable)
    };
    let by_itself = |event, by| Verdict { granted: own == codes::CARD_PASS, by, event, minor: own };
    if !check.enabled || (check.own_check == Some(true) && own != codes::CARD_PASS) {
        return by_itself(event, DecidedBy::Device);
    }
    let patience = Duration::from_secs(u64::from(check.timeout_s.unwrap_or(5)));
    event.remote_check = true;
    let serial = {
        let mut state = shared.state();
        state.answers.clear();
        state.record(event.clone(), at)
    };
    event.serial = Some(serial);
    let asking = ask(shared, target, &event, at, check.sync, reachable);
    match timeout(patience, asking).await {
        Ok(granted) => {
            let minor = if granted { codes::CARD_PASS } else { codes::CARD_NO_RIGHT };
            Verdict { granted, by: DecidedBy::Server, event, minor }
        }
        Err(_) if check.offline == Some(true) => by_itself(event, DecidedBy::Timeout),
        Err(_) => Verdict { granted: false, by: DecidedBy::Timeout, event, minor: codes::CARD_NO_RIGHT },
    }
}

/// Asks until there is an answer; the caller loses patience.
async fn ask(
    shared: &Arc<Shared>,
    target: Option<PushTarget>,
    event: &Access,
    at: UtcMillis,
    sync: bool,
    reachable: bool,
) -> bool {
    if reachable {
        // Whoever holds the stream sees the question too.
        let _ = shared.stream.send(Arc::new(part(&shared.settings, event, at)));
    }
    let pushed = match target.filter(|_| reachable) {
        Some(target) => post(&shared.settings, &target, event, at, Duration::from_secs(60)).await,
        None => None,
    };
    if let Some(answer) = pushed.filter(|_| sync).and_then(|body| RemoteCheck::read(&body).ok()) {
        return answer.granted;
    }
    loop {
        let answered = shared.answered.notified();
        let found = shared.state().answers.iter().find(|answer| answer.serial == event.serial).map(|a| a.granted);
        match found {
            Some(granted) => return granted,
            None => answered.await,
        }
    }
}

/// Pushes one event; the body of the answer if it was taken.
async fn post(
    settings: &DeviceSettings,
    target: &PushTarget,
    event: &Access,
    at: UtcMillis,
    patience: Duration,
) -> Option<Bytes> {
    let syntax = if target.json { Syntax::Json } else { Syntax::Xml };
    let text = event.write(syntax, &stamp(settings, at), settings.dialect.old);
    let (kind, body) = if settings.dialect.form_push {
        let body = format!(
            "--MIME_boundary\r\nContent-Disposition: form-data; name=\"event_log\"\r\nContent-Type: {}\r\n\r\n{text}\r\n--MIME_boundary\r\nContent-Disposition: form-data; name=\"Picture\"; filename=\"Picture.jpg\"\r\nContent-Type: image/jpeg\r\nContent-Length: 6\r\n\r\n\u{7f}JFIF\u{1}\r\n--MIME_boundary--\r\n",
            syntax.media_type()
        );
        ("multipart/form-data; boundary=MIME_boundary", body)
    } else {
        (syntax.media_type(), text)
    };
    let sending = async {
        let socket = TcpStream::connect((target.host.as_str(), target.port)).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.ok()?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let request = Request::post(&target.url).header(HOST, &target.host).header(CONTENT_TYPE, kind);
        let response = sender.send_request(request.body(Full::new(Bytes::from(body))).ok()?).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        Some(Limited::new(response.into_body(), 65_536).collect().await.ok()?.to_bytes())
    };
    timeout(patience, sending).await.ok().flatten()
}
