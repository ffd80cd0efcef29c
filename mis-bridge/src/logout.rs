//! Tells systems that sign specialists in by card what they must hear: that a session ended (OpenID Connect Back-Channel
//! Logout 1.0), that a confirmation is there (CIBA Core 1.0, ping).
//!
//! Owns the sending; what is sent, to whom and how often is `clinic::openid`'s. One slow or absent system holds up no other:
//! so many calls are under way at once, and each has its bounds in time and size. Several bridges may run this; a call is
//! left to who took it. Never logs an address or what was sent. May import `clinic::openid` and the HTTP client.

use std::time::Duration;

use clinic::openid::{Call, CallKind, CallOutcome, OpenIdError, Provider};
use hyper::header::AUTHORIZATION;
use hyper::header::HeaderValue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::http::{Client, HttpError, Request};

/// Calls under way at once; the others wait in the database.
const AT_ONCE: usize = 16;
/// How often new calls are looked for: a session's end is at the medical system well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long until the next look after the database failed.
const LOOK_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Sends what is due until `ending`; then what is under way is given up, and tried again by the next one.
pub async fn run(provider: Provider, client: Client, ending: CancellationToken) {
    let mut under_way: JoinSet<()> = JoinSet::new();
    let mut is_failing = false;
    while !ending.is_cancelled() {
        while under_way.try_join_next().is_some() {}
        let pause = match take(&provider, &client, &mut under_way).await {
            Ok(()) => {
                if is_failing {
                    is_failing = false;
                    tracing::info!("logout.database.back");
                }
                LOOK_EVERY
            }
            Err(error) => {
                if !is_failing {
                    is_failing = true;
                    tracing::error!(error = %error, "logout.database.failed");
                }
                LOOK_AFTER_FAILURE
            }
        };
        tokio::select! {
            () = ending.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn take(provider: &Provider, client: &Client, under_way: &mut JoinSet<()>) -> Result<(), OpenIdError> {
    // Whoever looks first ends the sign-ins; the pages do the same.
    while provider.follow().await? > 0 {}
    let room = AT_ONCE.saturating_sub(under_way.len());
    if room == 0 {
        return Ok(());
    }
    for call in provider.calls(u32::try_from(room).unwrap_or(1)).await? {
        let (provider, client) = (provider.clone(), client.clone());
        under_way.spawn(async move {
            let (id, kind, system) = (call.id.clone(), call.kind, call.client.clone());
            let outcome = send(&client, call).await;
            match &outcome {
                CallOutcome::Taken => tracing::debug!(call = id, kind = %kind, system, "logout.told"),
                CallOutcome::Later(why) | CallOutcome::Never(why) => {
                    tracing::warn!(call = id, kind = %kind, system, why, "logout.failed");
                }
            }
            if let Err(error) = provider.called(&id, &outcome).await {
                tracing::error!(error = %error, "logout.outcome.unrecorded");
            }
        });
    }
    Ok(())
}

async fn send(client: &Client, call: Call) -> CallOutcome {
    let Ok(url) = Url::parse(&call.url) else { return CallOutcome::Never("the address cannot be read".to_owned()) };
    let mut request = Request::post(url, call.content_type, call.body.as_bytes().to_vec());
    if let Some(bearer) = &call.bearer {
        let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", bearer.as_str())) else {
            return CallOutcome::Never("the token of the answer is no header".to_owned());
        };
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    match client.send(request).await {
        Ok(answer) if answer.is_success() => CallOutcome::Taken,
        // The standard's answer to a token that is not accepted; with another one it might be.
        Ok(answer) if call.kind == CallKind::Ping && matches!(answer.status, 401 | 403) => {
            CallOutcome::Never(format!("refused with {}", answer.status))
        }
        Ok(answer) => CallOutcome::Later(format!("answered with {}", answer.status)),
        Err(error @ (HttpError::BadRequest | HttpError::Plain)) => CallOutcome::Never(error.to_string()),
        Err(error) => CallOutcome::Later(error.to_string()),
    }
}
