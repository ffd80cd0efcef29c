//! What the device answers over HTTP, with digest authentication on every call.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use wire::isapi::device::{self, Check, DoorOrder, PushTarget, RemoteCheck, Status, Time};
use wire::isapi::digest::{Algorithm, Answer, Challenge, Login};
use wire::isapi::history::Search;
use wire::isapi::person::{self, Card, DeleteProcess, User};

use super::Shared;
use super::state::{ok, refused};

/// Largest body that it takes.
const BODY_MAX_BYTES: usize = 64 * 1024;

type Body = BoxBody<Bytes, Infallible>;

/// Serves until stopped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else { continue };
        if shared.state().faults.unplugged {
            continue;
        }
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            let pulled = Arc::clone(&shared);
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                _ = serving => {}
                () = stop.cancelled() => {}
                () = unplugged(&pulled) => {}
            }
        });
    }
}

/// Ends when the cable is pulled.
async fn unplugged(shared: &Shared) {
    while !shared.state().faults.unplugged {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    if let Err(challenge) = authenticate(shared, &request) {
        let mut response = text(StatusCode::UNAUTHORIZED, "text/html", "<html>401</html>".into());
        if let Ok(challenge) = challenge.parse() {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        return response;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_MAX_BYTES).collect().await else {
        return status(StatusCode::BAD_REQUEST, &refused("badParameters"), true);
    };
    route(shared, &head.method, head.uri.path(), &body.to_bytes())
}

fn authenticate(shared: &Shared, request: &Request<Incoming>) -> Result<(), String> {
    let mut state = shared.state();
    let challenge = |nonce: String, stale| Challenge {
        realm: "DS-SIM".into(),
        nonce,
        opaque: None,
        algorithm: Algorithm::Md5,
        auth: true,
        stale,
    };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(answer) = given.and_then(|given| Answer::read(given).ok()) else {
        return Err(challenge(state.fresh_nonce(), false).write());
    };
    let login = Login { user: &shared.settings.user, password: &shared.settings.password };
    let path = request.uri().path_and_query().map(|path| path.as_str());
    let right = answer.is_right(&challenge(answer.nonce.clone(), false), &login, request.method().as_str());
    if Some(answer.uri.as_str()) != path || !right {
        state.refusals += 1;
        return Err(challenge(state.fresh_nonce(), false).write());
    }
    let uses = state.faults.nonce_uses;
    match state.nonces.1.get_mut(&answer.nonce) {
        // The count rises with every use; a repeated one is a replay.
        Some(count) if answer.count > *count && (uses == 0 || answer.count <= uses) => {
            *count = answer.count;
            Ok(())
        }
        _ => {
            let stale = !state.faults.silent_stale;
            Err(challenge(state.fresh_nonce(), stale).write())
        }
    }
}

fn route(shared: &Arc<Shared>, method: &Method, path: &str, body: &[u8]) -> Response<Body> {
    let path = path.strip_prefix("/ISAPI").unwrap_or(path);
    let dialect = &shared.settings.dialect;
    let not_there = || status(StatusCode::NOT_FOUND, &Status { code: 4, sub: "notSupport".into() }, false);
    match (method.as_str(), path) {
        ("GET", "/System/deviceInfo") => xml(shared.settings.info.write(dialect.old)),
        ("GET", "/System/time") => {
            let at = shared.state().now(&shared.settings);
            xml(Time::write(at, shared.settings.zone, dialect.offset))
        }
        ("PUT", "/System/time") => {
            let set = Time::read(body).is_ok_and(|time| shared.state().set_clock(&shared.settings, time.local));
            status(StatusCode::OK, &if set { ok() } else { refused("badXmlContent") }, false)
        }
        ("GET", "/AccessControl/capabilities") => match dialect.abilities {
            Some(abilities) => xml(abilities.write(dialect.old)),
            None => not_there(),
        },
        ("GET", path) if path.starts_with("/AccessControl/RemoteControl/door") && path.ends_with("capabilities") => {
            if dialect.door_words.is_empty() {
                not_there()
            } else {
                xml(device::write_door_words(&dialect.door_words))
            }
        }
        ("PUT", path) if path.starts_with("/AccessControl/RemoteControl/door/") => door(shared, path, body),
        ("GET", "/AccessControl/AcsCfg") => json(shared.state().check.write()),
        ("PUT", "/AccessControl/AcsCfg") => match Check::read(body) {
            Ok(check) => {
                shared.state().check = check;
                status(StatusCode::OK, &ok(), true)
            }
            Err(_) => status(StatusCode::BAD_REQUEST, &refused("badJsonContent"), true),
        },
        ("PUT" | "POST", path) if path.starts_with("/Event/notification/httpHosts") => match PushTarget::read(body) {
            Ok(target) => {
                shared.state().target = (target.url != "/").then_some(target);
                shared.wake.notify_one();
                status(StatusCode::OK, &ok(), false)
            }
            Err(_) => status(StatusCode::BAD_REQUEST, &refused("badXmlContent"), false),
        },
        ("GET", "/Event/notification/alertStream") => alert_stream(shared),
        ("POST", "/AccessControl/AcsEvent") => match Search::read(body) {
            Ok(search) => json(shared.state().search(&search, &shared.settings)),
            Err(_) => status(StatusCode::BAD_REQUEST, &refused("badJsonContent"), true),
        },
        ("PUT", "/AccessControl/remoteCheck") => match RemoteCheck::read(body) {
            Ok(decision) => {
                shared.state().answers.push(decision);
                shared.answered.notify_waiters();
                status(StatusCode::OK, &ok(), true)
            }
            Err(_) => status(StatusCode::BAD_REQUEST, &refused("badJsonContent"), true),
        },
        ("POST" | "PUT", path)
            if path.starts_with("/AccessControl/UserInfo") || path.starts_with("/AccessControl/CardInfo") =>
        {
            people(shared, path, body)
        }
        ("GET", "/AccessControl/UserInfo/Count") => {
            let (users, _) = shared.state().knows();
            json(format!("{{\"UserInfoCount\":{{\"userNumber\":{users}}}}}"))
        }
        ("GET", "/AccessControl/UserInfoDetail/DeleteProcess") => {
            let process = if shared.state().is_deleting() { DeleteProcess::Processing } else { DeleteProcess::Success };
            json(process.write())
        }
        _ => not_there(),
    }
}

fn busy(shared: &Shared) -> bool {
    let mut state = shared.state();
    let busy = state.faults.busy > 0;
    state.faults.busy = state.faults.busy.saturating_sub(1);
    busy
}

fn device_busy(json: bool) -> Response<Body> {
    status(StatusCode::SERVICE_UNAVAILABLE, &Status { code: 2, sub: "deviceBusy".into() }, json)
}

fn door(shared: &Arc<Shared>, path: &str, body: &[u8]) -> Response<Body> {
    if busy(shared) {
        return device_busy(false);
    }
    let number = path.rsplit('/').next().and_then(|number| number.parse::<u32>().ok());
    let (Some(number), Ok(order)) = (number, DoorOrder::read(body)) else {
        return status(StatusCode::BAD_REQUEST, &refused("badXmlContent"), false);
    };
    let known = &shared.settings.dialect.door_words;
    if !known.is_empty() && !order.words().iter().any(|word| known.contains(word)) {
        return status(StatusCode::FORBIDDEN, &Status { code: 4, sub: "notSupport".into() }, false);
    }
    let event = shared.state().order(number, order);
    match event {
        Some(event) => {
            shared.happen(event);
            if order == DoorOrder::Open {
                shared.happen(super::state::at_door(5, 21, number));
                shared.happen(super::state::at_door(5, 22, number));
            }
            status(StatusCode::OK, &ok(), false)
        }
        None => status(StatusCode::BAD_REQUEST, &refused("badParameters"), false),
    }
}

fn people(shared: &Shared, path: &str, body: &[u8]) -> Response<Body> {
    if busy(shared) {
        return device_busy(true);
    }
    let mut state = shared.state();
    let bad = || refused("badJsonContent");
    let answer = match path.trim_start_matches("/AccessControl/") {
        "UserInfo/Record" => User::read(body).map_or_else(|_| bad(), |user| state.put_user(user, true)),
        "UserInfo/SetUp" | "UserInfo/Modify" => {
            User::read(body).map_or_else(|_| bad(), |user| state.put_user(user, false))
        }
        "CardInfo/Record" => Card::read(body).map_or_else(|_| bad(), |card| state.put_card(&card, true)),
        "CardInfo/SetUp" | "CardInfo/Modify" => {
            Card::read(body).map_or_else(|_| bad(), |card| state.put_card(&card, false))
        }
        "UserInfoDetail/Delete" => {
            person::read_delete_users(body).map_or_else(|_| bad(), |employees| state.delete_users(&employees))
        }
        "CardInfo/Delete" => person::read_delete_cards(body)
            .map_or_else(|_| bad(), |(cards, people)| state.delete_cards(&cards, &people)),
        _ => Status { code: 4, sub: "notSupport".into() },
    };
    let code = if answer.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    status(code, &answer, true)
}

fn alert_stream(shared: &Arc<Shared>) -> Response<Body> {
    let parts = stream::unfold(shared.stream.subscribe(), |mut parts| async move {
        loop {
            match parts.recv().await {
                Ok(part) => return Some((Ok(Frame::data(Bytes::from(part.as_bytes().to_vec()))), parts)),
                // A listener that is too slow misses some: it finds the gap by the numbers.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(parts)));
    if let Ok(kind) = "multipart/mixed; boundary=MIME_boundary".parse() {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

fn text(code: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed());
    *response.status_mut() = code;
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

fn xml(body: String) -> Response<Body> {
    text(StatusCode::OK, "application/xml", body)
}

fn json(body: String) -> Response<Body> {
    text(StatusCode::OK, "application/json", body)
}

fn status(code: StatusCode, status: &Status, json: bool) -> Response<Body> {
    text(code, if json { "application/json" } else { "application/xml" }, status.write(json))
}
