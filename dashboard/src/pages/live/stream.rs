//! The live stream (server-sent events): `entry` for each event of the post with the event's number as id, `post` when
//! the panel changed, `beat` every two seconds with the server's time.
//!
//! A browser that comes back says the last number it has (`Last-Event-ID`, at first `?after=`), and gets exactly what
//! came after it, in order. One task per stream; what it wrote and the client has not taken waits in a channel of
//! [`WAITING_MAX`]; a client that takes nothing for [`SLOW_AFTER`] is cut off and comes back by itself.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, Sse};
use axum::response::{IntoResponse, Response};
use clinic::audit::Purpose;
use clinic::events::Event;
use domain::{Permission, PointId, Rights};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;

use super::attempt::{self, Banner, Row};
use super::{Post, Sight, chosen};
use crate::faces::Faces;
use crate::fault::{Dressed, Fault};
use crate::pages::query::Query;
use crate::visit::Visit;
use crate::words::{Place, Tone, is_told_late, place_of, tone_of};

/// Messages waiting for one client.
const WAITING_MAX: usize = 32;
/// A client that takes nothing for this long is cut off.
const SLOW_AFTER: Duration = Duration::from_secs(10);
/// How often the server says that it is there; pages dim after 5 s of silence.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often session and role are looked at again: an ended session ends its streams within this time.
const CHECK_EVERY: Duration = Duration::from_millis(900);
/// How often the panel is looked at.
const POST_EVERY: Duration = Duration::from_secs(1);
/// Events taken at once while catching up.
const BATCH: usize = 200;

type Sender = mpsc::Sender<Result<SseEvent, Infallible>>;

/// Why a stream ends.
#[derive(Debug)]
enum End {
    Gone,
    Slow,
    Session,
    Server,
    Failed,
}

/// `GET /live/stream`
pub async fn stream(visit: Visit, query: Query, headers: HeaderMap) -> Result<Response, Fault> {
    let told = headers.get("last-event-id").and_then(|value| value.to_str().ok()).or_else(|| query.one("after"));
    let newest = clinic::events::last_id(&visit.app.database).await?;
    let after: u64 = match told {
        // A number from the future: the database was put back. What is new from now on is sent.
        Some(text) => text.trim().parse::<u64>().map_err(|_| Fault::Invalid)?.min(newest),
        None => newest,
    };
    let sight = Sight::of(&visit).await?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let chosen = chosen(&query);
    tokio::spawn(async move {
        let streamer = Streamer { visit, chosen, sight, sender, last: after };
        let end = streamer.run().await;
        tracing::debug!(?end, "stream.ended");
    });
    let mut response = Sse::new(ReceiverStream::new(receiver)).into_response();
    response.extensions_mut().insert(Dressed);
    // Proxies that gather answers would make the live page late.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

struct Streamer {
    visit: Visit,
    chosen: Vec<PointId>,
    sight: Sight,
    sender: Sender,
    /// The number of the last event sent or left out.
    last: u64,
}

impl Streamer {
    async fn run(mut self) -> End {
        let mut newest = self.visit.app.feed.last();
        let mut beat = ticker(BEAT_EVERY);
        let mut check = ticker(CHECK_EVERY);
        let mut panel = ticker(POST_EVERY);
        let mut shown: Option<Post> = None;
        let ending = self.visit.app.ending.clone();
        loop {
            let done = tokio::select! {
                biased;
                () = ending.cancelled() => Err(End::Server),
                () = self.sender.closed() => Err(End::Gone),
                _ = check.tick() => self.check().await,
                _ = beat.tick() => self.beat().await,
                is_there = wait_past(&mut newest, self.last) => match is_there {
                    true => self.catch_up().await,
                    false => Err(End::Server),
                },
                _ = panel.tick() => self.panel(&mut shown).await,
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

    /// The session as the database knows it now. Watching counts as use for guards, whose work it is; others are
    /// signed out when they do nothing else.
    async fn check(&mut self) -> Result<(), End> {
        let Some(session) = &self.visit.session else { return Err(End::Session) };
        let use_it = is_post(&session.rights);
        match self.visit.app.accounts.resume(&session.token, use_it).await {
            Ok(Some(now)) if now.rights.covers(&session.rights) => {
                // A door may have come into another zone.
                if self.sight.is_limited() {
                    self.sight = Sight::of(&self.visit).await.map_err(|_| End::Failed)?;
                }
                Ok(())
            }
            Ok(_) => {
                // The page asks for itself anew and learns the rest.
                let _ = self.send(SseEvent::default().event("over").data("{}")).await;
                Err(End::Session)
            }
            // The database is away: nothing is sent, the page dims by itself.
            Err(_) => Err(End::Failed),
        }
    }

    async fn beat(&self) -> Result<(), End> {
        let (now, times) = (self.visit.app.now(), self.visit.times());
        // The page may stay open for a whole shift; its forms must not grow old.
        let form = self.visit.form_token();
        let data = json!({ "now": now.0, "clock": times.clock(now), "day": times.day(now), "form": form });
        self.send(SseEvent::default().event("beat").data(data.to_string())).await
    }

    async fn catch_up(&mut self) -> Result<(), End> {
        let app = self.visit.app.clone();
        let found = app.feed.after(&app.database, self.last, BATCH).await.map_err(|_| End::Failed)?;
        let is_shown = |event: &&std::sync::Arc<Event>| {
            self.sight.has(event)
                && attempt::is_of_post(event, &self.chosen)
                && place_of(event.entry.fact.kind) != Place::Quiet
        };
        // One look for all of them, before the first is sent: what cannot be recorded is not shown.
        let acting = self.visit.acting().map_err(|_| End::Session)?;
        let persons: Vec<_> = found.iter().filter(is_shown).filter_map(|event| event.entry.fact.person).collect();
        let faces = Faces::look(&app, &acting, persons, Purpose::Checkpoint).await.map_err(|_| End::Failed)?;
        for event in found {
            if is_shown(&&event) {
                let message = self.entry(&event, &faces)?;
                self.send(message).await?;
            }
            self.last = event.id;
        }
        Ok(())
    }

    fn entry(&self, event: &Event, faces: &Faces) -> Result<SseEvent, End> {
        let (texts, times) = (self.visit.texts(), self.visit.times());
        let fact = &event.entry.fact;
        let place = place_of(fact.kind);
        let (row, banner) = (Row::new(event, faces, &texts, &times), Banner::new(event, faces, &texts, &times));
        let (tone, is_late) = (tone_of(fact), is_told_late(fact));
        // Screen readers hear refusals and alarms, not every grant.
        let say = (tone == Tone::Bad && !is_late).then(|| {
            [Some(banner.verdict.clone()), Some(banner.place.clone()), banner.why.clone(), banner.todo.clone()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(". ")
        });
        let data = json!({
            "at": fact.at.0,
            "place": match place { Place::Outcome => "outcome", Place::Alert => "alert", _ => "attempt" },
            "slot": row.slot,
            "tone": row.tone,
            "late": is_late,
            "result": row.result,
            "row": row.render().map_err(|_| End::Failed)?,
            "now": banner.render().map_err(|_| End::Failed)?,
            "say": say,
        });
        Ok(SseEvent::default().event("entry").id(event.id.to_string()).data(data.to_string()))
    }

    async fn panel(&self, shown: &mut Option<Post>) -> Result<(), End> {
        let (app, texts, times) = (&self.visit.app, self.visit.texts(), self.visit.times());
        let now = app.now();
        let facts = self.sight.of_facts(&*app.panel(now).await.map_err(|_| End::Failed)?);
        let tiles = facts.tiles(&self.chosen, now, &times, &texts);
        let post = Post { x: texts, tiles, inside: facts.inside(&texts) };
        if shown.as_ref() != Some(&post) {
            let html = post.render().map_err(|_| End::Failed)?;
            self.send(SseEvent::default().event("post").data(json!({ "html": html }).to_string())).await?;
            *shown = Some(post);
        }
        Ok(())
    }
}

/// Whether these are the rights of a post: watching and opening is the work, and there is nothing further to leave
/// unguarded on an unwatched screen.
fn is_post(rights: &Rights) -> bool {
    let more = [Permission::JournalExport, Permission::PersonReveal, Permission::AccountEdit, Permission::AuditSee];
    rights.allows(Permission::DoorOpen) && !more.iter().any(|permission| rights.allows(*permission))
}

/// Waits for an event after `last`; false when the feed is over.
async fn wait_past(newest: &mut watch::Receiver<u64>, last: u64) -> bool {
    newest.wait_for(|newest| *newest > last).await.is_ok()
}

fn ticker(every: Duration) -> tokio::time::Interval {
    let mut ticker = tokio::time::interval_at(Instant::now(), every);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}
