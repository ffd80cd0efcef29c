//! HTTP of the simulated service: calls, the description, and the calls to subscribers.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, DATE, HOST};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::parsec::encoding::MESSAGE_MAX_BYTES;
use wire::parsec::soap::{self, Body, Version};
use wire::parsec::{Charset, Fault, NAMESPACE};

use super::service::fault;
use super::{Handle, wsdl};

/// How long a subscriber may take.
const SUBSCRIBER_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn serve(listener: TcpListener, handle: Handle, shutdown: CancellationToken) {
    let tasks = handle.0.tasks.clone();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (handle, stop) = (handle.clone(), shutdown.clone());
        tasks.spawn(async move {
            let service = service_fn(|request| dated(request, &handle));
            let mut builder = http1::Builder::new();
            // The date is that of the simulated clock.
            builder.auto_date_header(false);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                _ = connection => {}
            }
        });
    }
}

async fn dated(request: Request<Incoming>, handle: &Handle) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = answer(request, handle).await?;
    let skew = handle.0.model().faults.clock_skew_ms;
    let date = handle.now().plus_ms(skew).to_chrono().map(|now| now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if let Some(Ok(date)) = date.map(|date| date.parse()) {
        response.headers_mut().insert(DATE, date);
    }
    Ok(response)
}

async fn answer(request: Request<Incoming>, handle: &Handle) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if request.method() == Method::GET {
        let address = format!("http://{}{}", header(HOST.as_str()).unwrap_or_default(), request.uri().path());
        let wanted = request.uri().query().is_some_and(|query| query.eq_ignore_ascii_case("wsdl"));
        return Ok(match wanted {
            true => reply(StatusCode::OK, "text/xml; charset=utf-8", wsdl::text(&address).into_bytes()),
            false => reply(StatusCode::NOT_FOUND, "text/plain", Vec::new()),
        });
    }
    let (content_type, action) = (header(CONTENT_TYPE.as_str()), header("soapaction"));
    let body = match Limited::new(request.into_body(), MESSAGE_MAX_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(reply(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", Vec::new())),
    };
    let (delay, charset, rubbish) = {
        let model = handle.0.model();
        (model.faults.delay, model.settings.charset, model.faults.rubbish)
    };
    if !delay.is_zero() {
        sleep(delay).await;
    }
    if rubbish {
        return Ok(reply(StatusCode::OK, "text/html", b"<html><body>Service Unavailable<br></body></html>".to_vec()));
    }
    let (version, made) = call(&body, content_type.as_deref(), action.as_deref(), handle);
    Ok(match made {
        Ok(text) => reply(StatusCode::OK, &kind(version, charset), charset.encode(&text)),
        Err(fault) => {
            let text = soap::fault(version, &fault);
            reply(StatusCode::INTERNAL_SERVER_ERROR, &kind(version, charset), charset.encode(&text))
        }
    })
}

/// Carries a call out; the envelope of its answer.
fn call(
    body: &[u8],
    content_type: Option<&str>,
    action: Option<&str>,
    handle: &Handle,
) -> (Version, Result<String, Fault>) {
    let client = |text: &str| fault("Client", text);
    let (version, element) = match soap::read(body, content_type) {
        Ok(Body::Element(version, element)) => (version, element),
        Ok(Body::Fault(_)) => return (Version::V11, Err(client("a fault is no call"))),
        Err(error) => return (Version::V11, Err(client(&error.to_string()))),
    };
    // ASP.NET goes by the header in 1.1, and by the action of the content type in 1.2 where there is one.
    let named = match version {
        Version::V11 => action.map(|action| action.trim_matches('"').to_owned()),
        Version::V12 => {
            content_type.and_then(|kind| kind.split_once("action=\"")?.1.split('"').next()).map(str::to_owned)
        }
    };
    let wanted = format!("{NAMESPACE}/{}", element.name);
    if named.as_deref().unwrap_or(if version == Version::V12 { &wanted } else { "" }) != wanted {
        return (version, Err(client("Server did not recognize the value of HTTP Header SOAPAction")));
    }
    let call = match wire::parsec::Request::read(&element) {
        Ok(call) => call,
        Err(error) => return (version, Err(client(&error.to_string()))),
    };
    let method = call.method();
    let made = handle.0.model().serve(call, handle.now());
    (version, made.map(|answer| answer.envelope(version, method)))
}

fn kind(version: Version, charset: Charset) -> String {
    let kind = match version {
        Version::V11 => "text/xml",
        Version::V12 => "application/soap+xml",
    };
    format!("{kind}; charset={}", charset.name())
}

fn reply(status: StatusCode, kind: &str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

/// Tells a subscriber of an event. The real form of these calls is not public; this one is an invention.
pub(super) async fn call_subscriber(url: String, code: u32) {
    let work = async {
        let rest = url.strip_prefix("http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let body = format!("<Event><CODE>{code}</CODE></Event>");
        let mut stream = TcpStream::connect(host).await.ok()?;
        let head = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = [0; 256];
        stream.read(&mut answer).await.ok()
    };
    if !matches!(timeout(SUBSCRIBER_TIMEOUT, work).await, Ok(Some(1..))) {
        tracing::debug!(%url, "a subscriber cannot be called");
    }
}
