//! What happens at a workstation, as it happens (server-sent events): `board` with the parts of the page that changed,
//! `said` with a sentence about a tap, `beat` every two seconds with the server's time.
//!
//! A browser that comes back says the number of the last change it has (`Last-Event-ID`, at first `?after=`) and is shown
//! the workstation as it is now. One task for each stream; a client that takes nothing for ten seconds is cut off and
//! comes back by itself.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::{Event as SseEvent, Sse};
use axum::response::{IntoResponse, Response};
use clinic::changes::{Change, ChangeKind};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;

use super::board::{self, Board, Seen};
use crate::desk_visit::AtDesk;
use crate::fault::{Dressed, Fault};
use crate::pages::query::Query;
use crate::visit::Visit;

/// Messages waiting for one client.
const WAITING_MAX: usize = 16;
/// A client that takes nothing for this long is cut off.
const SLOW_AFTER: Duration = Duration::from_secs(10);
/// How often the server says that it is there; pages dim after 5 s of silence.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often the page is drawn anew without a change: who waits in the building, and how long.
const AGAIN_EVERY: Duration = Duration::from_secs(15);
/// A sentence about a tap that is older than this is not said any more, in milliseconds.
const SAID_WITHIN_MS: i64 = 30_000;

/// Why a stream ends.
#[derive(Debug)]
enum End {
    Gone,
    Slow,
    NotHere,
    Server,
    Failed,
}

struct Streamer {
    visit: Visit,
    desk: AtDesk,
    sender: mpsc::Sender<Result<SseEvent, Infallible>>,
    /// The number of the last change that was looked at.
    last: u64,
    shown: Board,
    seen: Seen,
    /// Somebody was given something, and the patient here shares a pot with others: the next beat looks whether it is theirs.
    /// So a busy clinic costs a desk one small question in two seconds.
    is_pot_doubtful: bool,
}

/// `GET /desk/stream`
pub async fn stream(visit: Visit, desk: AtDesk, query: Query, headers: HeaderMap) -> Result<Response, Fault> {
    let told = headers.get("last-event-id").and_then(|value| value.to_str().ok()).or_else(|| query.one("after"));
    let newest = clinic::changes::last_id(&visit.app.database).await?;
    let last = match told {
        // A number from the future: the database was put back.
        Some(text) => text.trim().parse::<u64>().map_err(|_| Fault::Invalid)?.min(newest),
        None => newest,
    };
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let (shown, seen) = (Board::default(), Seen::default());
        let streamer = Streamer { visit, desk, sender, last, shown, seen, is_pot_doubtful: false };
        let end = streamer.run().await;
        tracing::debug!(?end, "desk.stream.ended");
    });
    let mut response = Sse::new(ReceiverStream::new(receiver)).into_response();
    response.extensions_mut().insert(Dressed);
    // Proxies that gather answers would make the page late.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Streamer {
    async fn run(mut self) -> End {
        let mut newest = self.visit.app.changes.subscribe();
        let mut beat = ticker(BEAT_EVERY);
        let mut again = ticker(AGAIN_EVERY);
        again.reset();
        let ending = self.visit.app.ending.clone();
        // The page may have missed something while it was away; what it shows already is not sent twice by its script.
        if let Err(end) = self.draw().await {
            return end;
        }
        loop {
            let done = tokio::select! {
                biased;
                () = ending.cancelled() => Err(End::Server),
                () = self.sender.closed() => Err(End::Gone),
                is_there = wait_past(&mut newest, self.last) => match is_there {
                    true => self.catch_up().await,
                    false => Err(End::Server),
                },
                _ = beat.tick() => self.beat().await,
                _ = again.tick() => self.draw().await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn send(&self, event: SseEvent) -> Result<(), End> {
        match tokio::time::timeout(SLOW_AFTER, self.sender.send(Ok(event))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }

    async fn beat(&mut self) -> Result<(), End> {
        self.look_at_pot().await?;
        let (now, times) = (self.visit.app.now(), self.visit.times());
        // Work in the medical system or another page counts as use too: near the warning it is asked again.
        let idle = now.since_ms(clinic_ms(self.shown.used_ms));
        if self.shown.used_ms > 0 && idle > self.shown.warn_ms - 5_000 {
            let session = self.visit.app.desk.current(&self.desk.workstation.point).await.map_err(|_| End::Failed)?;
            self.shown.used_ms = session.filter(|session| session.is_open()).map_or(0, |session| session.used.0);
        }
        let data = json!({
            "now": now.0, "clock": times.clock(now), "form": self.desk.form_token(now), "used": self.shown.used_ms,
        });
        self.send(SseEvent::default().event("beat").data(data.to_string())).await
    }

    async fn look_at_pot(&mut self) -> Result<(), End> {
        if !std::mem::take(&mut self.is_pot_doubtful) {
            return Ok(());
        }
        let (Some(money), Some(acting)) = (&self.seen.money, &self.desk.acting) else { return Ok(()) };
        if !money.is_pot_other(&self.visit, acting).await.map_err(|_| End::Failed)? {
            return Ok(());
        }
        self.seen.money = None;
        self.draw().await
    }

    async fn catch_up(&mut self) -> Result<(), End> {
        let app = self.visit.app.clone();
        let found = app.changes.after(self.last).await.map_err(|_| End::Failed)?;
        let Some(last) = found.last().map(|change| change.id) else { return Ok(()) };
        let own = self.desk.session.as_ref().map(|session| session.person);
        let here = |change: &Change| change.workstation.as_ref() == Some(&self.desk.workstation.point);
        let is_ours = |change: &Change| here(change) || (own.is_some() && change.staff == own);
        let money = self.seen.money.as_ref();
        let is_money = |change: &Change| money.is_some_and(|money| money.is_touched_by(change));
        let is_paid = |change: &Change| change.kind == ChangeKind::PaymentTaken && is_money(change);
        let is_other_sum = found.iter().any(|change| is_money(change) || change.kind == ChangeKind::PersonMerged);
        let is_touched = is_other_sum || found.iter().any(|change| is_ours(change));
        let said: Vec<_> = found.iter().filter(|change| here(change) || is_paid(change)).cloned().collect();
        self.is_pot_doubtful |= found.iter().any(|change| money.is_some_and(|money| money.may_touch_pot(change)));
        self.last = last;
        if is_other_sum {
            self.seen.money = None;
        }
        if is_touched {
            self.draw().await?;
        }
        for change in said {
            self.say(&change).await?;
        }
        Ok(())
    }

    /// Draws the page anew and sends the parts that are different.
    async fn draw(&mut self) -> Result<(), End> {
        let again = self.desk.again(&self.visit.app, Some(self.visit.visitor.address)).await;
        let Some(desk) = again.map_err(|_| End::Failed)? else {
            // The browser was withdrawn: the page asks for itself anew and learns it.
            let _ = self.send(SseEvent::default().event("over").data("{}")).await;
            return Err(End::NotHere);
        };
        self.desk = desk;
        let drawn = board::board(&self.visit, &self.desk, &mut self.seen).await.map_err(|_| End::Failed)?;
        let mut parts = serde_json::Map::new();
        let old = std::mem::take(&mut self.shown);
        for (name, new, old) in [
            ("who", &drawn.who, &old.who),
            ("main", &drawn.main, &old.main),
            ("side", &drawn.side, &old.side),
            ("services", &drawn.services, &old.services),
            ("limits", &drawn.limits, &old.limits),
        ] {
            if new != old {
                parts.insert(name.to_owned(), json!(new));
            }
        }
        let data = json!({
            "state": drawn.state, "key": drawn.key, "parts": parts, "used": drawn.used_ms, "warn": drawn.warn_ms,
            "lock": drawn.lock_ms, "now": self.visit.app.now().0, "form": self.desk.form_token(self.visit.app.now()),
        });
        self.shown = drawn;
        self.send(SseEvent::default().event("board").id(self.last.to_string()).data(data.to_string())).await
    }

    async fn say(&self, change: &Change) -> Result<(), End> {
        if self.visit.app.now().since_ms(change.at) > SAID_WITHIN_MS {
            return Ok(());
        }
        let texts = self.visit.texts();
        let reason = change.reason.as_deref().unwrap_or_default();
        let (tone, text) = match change.kind {
            ChangeKind::TapRefused => ("bad", texts.a("desk-refused", &texts.code("desk-refused-", reason))),
            ChangeKind::SessionOpened | ChangeKind::SessionUnlocked => ("ok", texts.t("desk-said-opened")),
            ChangeKind::SessionConfirmed => ("ok", texts.t("desk-said-confirmed")),
            ChangeKind::SessionEnded => ("warn", texts.a("desk-said-ended", &texts.code("desk-ended-", reason))),
            ChangeKind::VisitStarted => ("ok", texts.t("desk-said-started")),
            ChangeKind::VisitConfirmed => ("ok", texts.t("desk-said-shown")),
            ChangeKind::VisitEnded => ("ok", texts.t("desk-said-visit-ended")),
            ChangeKind::PaymentTaken => ("ok", texts.t("desk-said-paid")),
            _ => return Ok(()),
        };
        let data = json!({ "tone": tone, "text": text });
        self.send(SseEvent::default().event("said").data(data.to_string())).await
    }
}

const fn clinic_ms(ms: i64) -> domain::UtcMillis {
    domain::UtcMillis(ms)
}

fn ticker(every: Duration) -> tokio::time::Interval {
    let mut ticker = tokio::time::interval(every);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

/// Waits until there is a change after number `last`; `false` when the feed has ended.
async fn wait_past(newest: &mut tokio::sync::watch::Receiver<u64>, last: u64) -> bool {
    newest.wait_for(|newest| *newest > last).await.is_ok()
}
