//! The OpenID provider as browsers and other systems see it: discovery, authorization, tokens, signing out, confirmations,
//! assertions. Decides nothing: that is `clinic::openid`. Owns how requests are read (`read`), the answers for programs
//! (`answers`), the page on which a browser waits for its tap (`page`), and the task that keeps keys and ends sign-ins
//! (`run`). Codes and tokens are in no log.

mod answers;
pub mod clients;
mod cross_origin;
pub mod page;
mod read;

use std::time::Duration;

use axum::routing::on;
use clinic::openid::{OpenIdError, Provider};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use answers::fault;

use crate::routes::Verb;
use crate::service::{Service, service};

/// Longest form, in bytes: a signed proof and an id token fit.
const FORM_MAX_BYTES: usize = 64 * 1024;
/// How often keys, systems of the configuration and expired rows are looked at.
const TICK_EVERY: Duration = Duration::from_secs(60);
/// How soon again after a failure.
const TICK_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How often the ends of sessions are looked at when nothing was told of.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// The routes for programs and for browsers on their way.
pub const SERVICES: &[Service] = &[
    service(Verb::Show, "/.well-known/openid-configuration", 0, |at| on(at, answers::discovery)),
    service(Verb::Ask, "/.well-known/openid-configuration", 0, |at| on(at, cross_origin::may_ask_public)),
    service(Verb::Show, "/.well-known/smart-configuration", 0, |at| on(at, answers::discovery)),
    service(Verb::Ask, "/.well-known/smart-configuration", 0, |at| on(at, cross_origin::may_ask_public)),
    service(Verb::Show, "/openid/jwks", 0, |at| on(at, answers::jwks)),
    service(Verb::Ask, "/openid/jwks", 0, |at| on(at, cross_origin::may_ask_public)),
    service(Verb::Show, "/openid/authorize", 0, |at| on(at, answers::authorize)),
    service(Verb::Change, "/openid/authorize", FORM_MAX_BYTES, |at| on(at, answers::authorize_form)),
    service(Verb::Change, "/openid/token", FORM_MAX_BYTES, |at| on(at, answers::token)),
    service(Verb::Ask, "/openid/token", 0, |at| on(at, cross_origin::may_ask)),
    service(Verb::Show, "/openid/userinfo", 0, |at| on(at, answers::userinfo)),
    service(Verb::Change, "/openid/userinfo", FORM_MAX_BYTES, |at| on(at, answers::userinfo)),
    service(Verb::Ask, "/openid/userinfo", 0, |at| on(at, cross_origin::may_ask)),
    service(Verb::Change, "/openid/introspect", FORM_MAX_BYTES, |at| on(at, answers::introspect)),
    service(Verb::Change, "/openid/revoke", FORM_MAX_BYTES, |at| on(at, answers::revoke)),
    service(Verb::Ask, "/openid/revoke", 0, |at| on(at, cross_origin::may_ask)),
    service(Verb::Show, "/openid/end", 0, |at| on(at, answers::end)),
    service(Verb::Change, "/openid/end", FORM_MAX_BYTES, |at| on(at, answers::end_form)),
    service(Verb::Change, "/openid/ciba", FORM_MAX_BYTES, |at| on(at, answers::ciba)),
    service(Verb::Change, "/openid/assertion", FORM_MAX_BYTES, |at| on(at, answers::assertion)),
    service(Verb::Change, "/openid/assertion/verify", FORM_MAX_BYTES, |at| on(at, answers::verify_assertion)),
];

/// Keeps keys, and ends sign-ins whose session has ended, until `ending`. Run it once per process.
pub async fn run(provider: &Provider, mut changed: watch::Receiver<u64>, ending: CancellationToken) {
    let mut next_tick = Instant::now();
    let mut is_failing = false;
    while !ending.is_cancelled() {
        if Instant::now() >= next_tick {
            let ticked = provider.tick().await;
            next_tick = Instant::now() + if ticked.is_ok() { TICK_EVERY } else { TICK_AFTER_FAILURE };
            say(&mut is_failing, ticked.err());
        }
        match follow(provider).await {
            Ok(()) => {}
            Err(error) => say(&mut is_failing, Some(error)),
        }
        tokio::select! {
            () = ending.cancelled() => {}
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            told = changed.changed() => {
                if told.is_err() {
                    // Nobody tells any more: by time alone.
                    tokio::time::sleep(FOLLOW_EVERY).await;
                }
            }
        }
    }
}

async fn follow(provider: &Provider) -> Result<(), OpenIdError> {
    while provider.follow().await? > 0 {}
    provider.settle_confirmations().await?;
    Ok(())
}

/// Once at the begin and once at the end of a failure.
fn say(is_failing: &mut bool, error: Option<OpenIdError>) {
    match error {
        Some(error) if !*is_failing => {
            *is_failing = true;
            tracing::error!(error = %error, "openid.failing");
        }
        None if *is_failing => {
            *is_failing = false;
            tracing::info!("openid.back");
        }
        _ => {}
    }
}
