//! One socket of a subscriber: confirmation, what is open, then every event that it asked for, until one side ends it.
//!
//! One task owns it. A subscriber that is silent, refuses, breaks off or cannot keep up is an error that the others are told;
//! one that leaves in order is not.

use std::time::Duration;

use axum::extract::ws::{
    CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clinic::fhircast::{Connected, Ending, Endpoint, EventName, Logged, LoggedKind, Message, TroubleKind};
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};

use super::Cast;
use super::acks::{Acks, Heard, Sent};
use super::answers::{Refused, cast, seconds_until};
use super::follow::Place;
use crate::app::App;

/// Largest message that is taken from a subscriber, in bytes: acknowledgements are tiny.
const INCOMING_MAX_BYTES: usize = 64 * 1024;
/// How long one message may take to be sent.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// How often a sign of life is asked for.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long nothing may be heard, pongs included.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// How long after the end of a session its last event may be acknowledged.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Messages in one window that a subscriber may send; one more and it is cut off.
const WINDOW_MAX: u32 = 300;
/// See [`WINDOW_MAX`].
const WINDOW: Duration = Duration::from_secs(10);
/// Codes of RFC 6455 section 7.4.1.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;

/// Opens the socket whose address ends in `endpoint`.
pub(super) async fn open(
    State(app): State<App>,
    Path(endpoint): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(_) => return Ok((StatusCode::UPGRADE_REQUIRED, "open this address as a WebSocket").into_response()),
    };
    let hub = &cast(&app)?.hub;
    let connected = match Endpoint::given(&endpoint) {
        Some(endpoint) => hub.connect(&endpoint).await?,
        None => None,
    };
    let Some(connected) = connected else {
        let text = "this address is not known, is in use or is over; subscribe again";
        return Ok((StatusCode::NOT_FOUND, text).into_response());
    };
    let (failed_app, failed_id) = (app.clone(), connected.id.clone());
    let upgrade =
        upgrade.max_message_size(INCOMING_MAX_BYTES).max_frame_size(INCOMING_MAX_BYTES).on_failed_upgrade(move |_| {
            tokio::spawn(async move {
                if let Some(cast) = &failed_app.fhircast {
                    finish(cast, &failed_id, End::Broken).await;
                }
            });
        });
    Ok(upgrade.on_upgrade(move |socket| serve(app, socket, connected)))
}

/// How a socket ends.
#[derive(Debug, Clone)]
enum End {
    /// The subscriber closed it as it should.
    Closed,
    /// We end it, and nothing is wrong: the words for the subscriber.
    Denied(&'static str),
    /// The connection broke, or was closed with a code of an error.
    Broken,
    /// An event was not acknowledged in time.
    Silent(Sent),
    /// It could not keep up, or says too much.
    CutOff,
    /// This program ends.
    Away,
}

async fn serve(app: App, socket: WebSocket, connected: Connected) {
    let Some(cast) = &app.fhircast else { return };
    let Some(place) = cast.sockets.enter(&connected.session, &connected.id) else {
        tracing::warn!("fhircast.sockets.full");
        finish(cast, &connected.id, End::Denied("this hub has as many sockets as it may")).await;
        return;
    };
    let now = Instant::now();
    let is_silent = connected.name.as_ref().is_some_and(|name| cast.hub.settings().silent.contains(name));
    let within = Duration::from_millis(u64::from(cast.hub.settings().ack_within_ms.clamp(1000, 60_000)));
    let id = connected.id.clone();
    let mut line = Line {
        app: &app,
        cast,
        socket,
        connected,
        is_silent,
        acks: Acks::new(within),
        heard_at: now,
        ping_at: now + PING_EVERY,
        end_at: None,
        is_troubled: false,
        window: (now, 0),
    };
    let end = line.run(place).await;
    line.close(&end).await;
    finish(cast, &id, end).await;
}

/// Writes down how it ended, and tells the others if something is wrong.
async fn finish(cast: &Cast, id: &str, end: End) {
    let (ending, trouble) = match &end {
        End::Closed | End::Denied(_) => (Ending::InOrder, None),
        End::Broken => (Ending::Broken, Some((Sent { id: String::new(), name: String::new() }, TroubleKind::Broken))),
        End::Silent(sent) => (Ending::CutOff, Some((sent.clone(), TroubleKind::Silent))),
        End::CutOff => (Ending::CutOff, Some((Sent { id: String::new(), name: String::new() }, TroubleKind::Slow))),
        End::Away => (Ending::Away, None),
    };
    if let Some((sent, kind)) = trouble {
        tracing::warn!(subscription = id, trouble = kind.as_str(), "fhircast.subscriber.lost");
        note(cast.hub.failed(id, &sent.id, &sent.name, kind).await);
    }
    note(cast.hub.disconnected(id, ending).await);
    cast.sockets.nudge();
}

fn note(outcome: Result<(), store::Error>) {
    if let Err(error) = outcome {
        tracing::error!(error = %error, "fhircast.database.failed");
    }
}

struct Line<'a> {
    app: &'a App,
    cast: &'a Cast,
    socket: WebSocket,
    connected: Connected,
    /// It never acknowledges, as the installation says.
    is_silent: bool,
    acks: Acks,
    heard_at: Instant,
    ping_at: Instant,
    /// The session has ended.
    end_at: Option<Instant>,
    /// It did not follow the last time.
    is_troubled: bool,
    /// Since when messages are counted, and how many there were.
    window: (Instant, u32),
}

impl Line<'_> {
    async fn run(&mut self, mut place: Place<'_>) -> End {
        match self.begin(place.from).await {
            Ok(()) => {}
            Err(end) => return end,
        }
        loop {
            let lease = Duration::from_millis(self.connected.until.since_ms(self.app.now()).max(0).unsigned_abs());
            let mut next = self.ping_at.min(self.heard_at + SILENT_MAX).min(Instant::now() + lease);
            for deadline in [self.acks.deadline(), self.end_at].into_iter().flatten() {
                next = next.min(deadline);
            }
            let step = tokio::select! {
                biased;
                () = self.app.ending.cancelled() => Err(End::Away),
                () = place.cut.cancelled() => Err(End::CutOff),
                entry = place.queue.recv() => match entry {
                    Some(entry) => self.told(&entry).await,
                    None => Err(End::Away),
                },
                frame = self.socket.recv() => self.take(frame).await,
                () = sleep_until(next) => self.tick().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Confirmation, what is open, and what came between reading that and taking a place.
    async fn begin(&mut self, from: u64) -> Result<(), End> {
        self.confirm().await?;
        for open in std::mem::take(&mut self.connected.open) {
            self.event(&open).await?;
        }
        let mut upto = self.connected.upto;
        while upto < from {
            let read = self.cast.hub.after(upto, clinic::fhircast::READ_MAX).await;
            let (entries, read_upto) = read.map_err(|error| {
                tracing::error!(error = %error, "fhircast.database.failed");
                End::Broken
            })?;
            if read_upto == upto {
                break;
            }
            for entry in entries {
                if entry.id <= from && entry.session == self.connected.session {
                    self.told(&entry).await?;
                }
            }
            upto = read_upto.min(from);
        }
        self.connected.upto = upto.max(from);
        Ok(())
    }

    async fn confirm(&mut self) -> Result<(), End> {
        let text = json!({
            "hub.mode": "subscribe",
            "hub.topic": self.connected.topic.reveal(),
            "hub.events": self.connected.events.to_string(),
            "hub.lease_seconds": seconds_until(self.app.now(), self.connected.until),
            "subscriber.name": self.connected.name,
        });
        self.send(text.to_string()).await
    }

    async fn told(&mut self, entry: &Logged) -> Result<(), End> {
        let is_mine = entry.subscription.as_ref() == Some(&self.connected.id);
        match entry.kind {
            LoggedKind::Event => {
                if entry.id <= self.connected.upto || is_mine {
                    return Ok(());
                }
                let Some(message) = &entry.message else { return Ok(()) };
                if self.connected.events.has(message.event()) {
                    self.event(message).await?;
                }
                if *message.event() == EventName::UserLogout {
                    self.end_at = Some(Instant::now() + LAST_WORD);
                }
                Ok(())
            }
            LoggedKind::Changed if is_mine => {
                match self.cast.hub.subscription(&self.connected.id).await {
                    Ok(Some((events, until))) => {
                        self.connected.events = events;
                        self.connected.until = until;
                        self.confirm().await
                    }
                    Ok(None) => Err(End::Denied("unsubscribed")),
                    // What it was told before goes on.
                    Err(error) => {
                        note(Err(error));
                        Ok(())
                    }
                }
            }
            LoggedKind::Ended if is_mine => Err(End::Denied("unsubscribed")),
            LoggedKind::Changed | LoggedKind::Ended => Ok(()),
        }
    }

    async fn event(&mut self, message: &Message) -> Result<(), End> {
        self.send(message.to_wire(self.connected.topic.reveal())).await?;
        let wants_answer = !self.is_silent && !matches!(message.event(), EventName::SyncError | EventName::UserLogout);
        if wants_answer {
            self.acks.expect(&message.id, message.event().to_string(), Instant::now());
        }
        Ok(())
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        match timeout(SEND_WITHIN, self.socket.send(Frame::Text(text.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Broken),
            Err(_) => Err(End::CutOff),
        }
    }

    async fn take(&mut self, frame: Option<Result<Frame, axum::Error>>) -> Result<(), End> {
        let now = Instant::now();
        self.heard_at = now;
        if now.saturating_duration_since(self.window.0) > WINDOW {
            self.window = (now, 0);
        }
        self.window.1 += 1;
        if self.window.1 > WINDOW_MAX {
            return Err(End::CutOff);
        }
        match frame {
            None | Some(Err(_)) => Err(End::Broken),
            // A page that closes without a code says 1005: it meant nothing bad.
            Some(Ok(Frame::Close(frame))) => match frame.map_or(NORMAL, |frame| frame.code) {
                NORMAL | GOING_AWAY | 1005 => Err(End::Closed),
                _ => Err(End::Broken),
            },
            Some(Ok(Frame::Text(text))) => {
                let (sent, kind) = match self.acks.heard(&text) {
                    Heard::Nothing => return Ok(()),
                    Heard::Followed => {
                        if std::mem::take(&mut self.is_troubled) {
                            note(self.cast.hub.recovered(&self.connected.id).await);
                        }
                        return Ok(());
                    }
                    Heard::Refused(sent) => (sent, TroubleKind::Refused),
                    Heard::Failed(sent) => (sent, TroubleKind::Failed),
                };
                self.is_troubled = true;
                note(self.cast.hub.failed(&self.connected.id, &sent.id, &sent.name, kind).await);
                self.cast.sockets.nudge();
                Ok(())
            }
            Some(Ok(Frame::Binary(_) | Frame::Ping(_) | Frame::Pong(_))) => Ok(()),
        }
    }

    async fn tick(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.end_at.is_some_and(|at| at <= now) {
            return Err(End::Denied("the session ended"));
        }
        if self.connected.until <= self.app.now() {
            return Err(End::Denied("the lease ended; subscribe again"));
        }
        if let Some(sent) = self.acks.overdue(now) {
            return Err(End::Silent(sent));
        }
        if now >= self.heard_at + SILENT_MAX {
            return Err(End::Broken);
        }
        if now >= self.ping_at {
            self.ping_at = now + PING_EVERY;
            match timeout(SEND_WITHIN, self.socket.send(Frame::Ping(Vec::new().into()))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(End::Broken),
                Err(_) => return Err(End::CutOff),
            }
        }
        Ok(())
    }

    /// Says why, as far as the subscriber still listens, and closes.
    async fn close(&mut self, end: &End) {
        let (words, code) = match end {
            End::Closed | End::Broken => (None, NORMAL),
            End::Denied(words) => (Some(*words), NORMAL),
            End::Silent(_) => (Some("an event was not acknowledged in time; subscribe again"), POLICY),
            End::CutOff => (Some("events were not taken, or too much was sent; subscribe again"), POLICY),
            End::Away => (None, GOING_AWAY),
        };
        if matches!(end, End::Broken) {
            return;
        }
        if let Some(words) = words {
            let text = json!({
                "hub.mode": "denied",
                "hub.topic": self.connected.topic.reveal(),
                "hub.events": self.connected.events.to_string(),
                "hub.reason": words,
            });
            let _ = self.send(text.to_string()).await;
        }
        if !matches!(end, End::Closed) {
            let frame = CloseFrame { code, reason: "".into() };
            let _ = timeout(SEND_WITHIN, self.socket.send(Frame::Close(Some(frame)))).await;
            // The other side's answer, so that what was sent is not lost with the connection.
            let answer = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = timeout(Duration::from_secs(1), answer).await;
        } else {
            let _ =
                timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = self.socket.recv().await {} }).await;
        }
    }
}
