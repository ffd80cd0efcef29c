//! What is said on one connection: the session's events, the core's orders, and the journal's answers.
//!
//! Owns nothing: it is the part of [`Peer`] that needs a session. Questions go to the core with the time until which an
//! answer is of use; what the peer reports goes there in batches; orders and passes go to the journal first.

use std::collections::HashSet;
use std::time::Duration;

use domain::card::CardError;
use domain::door::Order;
use domain::ids::{Direction, ReaderId};
use domain::{Epoch, Reason};
use futures_util::FutureExt;
use store::journal::{self, Note, Outgoing as Stored, PostError, Quarantined};
use tokio::sync::oneshot;
use tokio::time::Instant;
use wire::acs_link::message::{AccessDecision, AccessRequest, Action, CommandResult, CommandStatus, Control, Verdict};
use wire::acs_link::session::{Agreed, Durable, End, Event, PeerHello, Positions, Session, Skew};
use wire::acs_link::{Body, Code, Msg, NotCard, Stream, Text, Token, Uuid};

use super::ages;
use super::asks::NotAsked;
use super::events::{self, Received, Told};
use super::intake::{Group, Item};
use super::outgoing::{About, Outgoing, Ready, Sent};
use super::plan::{self, Plan};
use super::points::NoSpot;
use super::task::{Ended, Peer};
use super::telling::Next;
use super::turns::{Question, Turns};
use crate::line::{Ask, Batch, LineFact, LineOrder, ReaderOrder, Report};

/// How long an opening may take to reach the door.
const PULSE_EXPIRES: Duration = Duration::from_secs(5);
/// How long an order that stands until further notice may take; the core repeats it when the peer is back.
const MODE_EXPIRES: Duration = Duration::from_secs(60);
/// Messages loaded from the journal at once.
const LOAD: usize = super::outgoing::LOADED_MAX;
/// What a person at the door may read: short, and nothing about why. Both languages of the product at once, as nobody
/// knows which of them a visitor reads.
const SHOW: [&str; 2] = ["Обратитесь к администратору / Please ask at the desk", "Проходите / Please pass"];
/// A difference of the clocks that changed by less than this is not told anew.
const SKEW_NEWS_MS: u64 = 500;
/// How long a peer that was told to come again waits.
const COME_AGAIN: Duration = Duration::from_millis(500);

/// What the journal or the core has answered.
pub(super) enum Done {
    /// Which events of a group are known already.
    Known(Group, Result<HashSet<String>, store::Error>),
    /// A batch is durable; `false`: the gateway ends.
    Stored(bool),
    /// Messages for the peer.
    Loaded(Result<Vec<journal::Message>, store::Error>),
    /// Messages are stored, from this number on.
    Posted { messages: Vec<Ready>, grows: Option<i64>, outcome: Result<u64, PostError> },
    /// The comparison of passes.
    Planned(Box<plan::Order>, Result<Box<Plan>, store::Error>),
}

impl Peer {
    // ---- the session's events ----

    /// Acts on what the session has to say; the end of the connection, if it is one.
    pub(super) async fn events(&mut self, session: &mut Session, positions: Positions) -> Option<Ended> {
        // The end of a session is heard however much waits: it has only a bounded number of events left.
        while self.intake.has_room() || session.is_closed() {
            let event = session.poll_event()?;
            let ended = match event {
                Event::Hello(hello) => self.hello(session, &hello, positions).await,
                Event::EpochChanged { old, new } => self.epoch_changed(old, new).await,
                Event::Up(agreed) => self.up(session, agreed).await,
                Event::PeerBehind { held, acked } => self.behind(session, held, acked).await,
                Event::Durable(message) => self.durable(session, message),
                Event::Message(msg) => self.message(session, *msg).await,
                Event::Acked { seq } => self.acked(seq),
                Event::Heartbeat { clock, queued } => {
                    self.note_skew(session);
                    self.heartbeat(clock, queued).await
                }
                Event::Skew { ms, grade } => self.skew(ms, grade).await,
                Event::Complaint(failure) => {
                    let text = format!("the controller complains of a message: {}", failure.code);
                    self.notice(Reason::PassNotTaken, text).await;
                    None
                }
                Event::Closed(end) => Some(self.closed(end).await),
            };
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    async fn hello(&mut self, session: &mut Session, hello: &PeerHello, positions: Positions) -> Option<Ended> {
        if hello.node.as_str() != self.node {
            return Some(self.wrong_node(session, &hello.node).await);
        }
        let now = self.now();
        match session.welcome(positions, now) {
            Ok(()) => None,
            Err(error) => Some(Ended::because(format!("the Hello could not be answered: {error}"))),
        }
    }

    async fn wrong_node(&mut self, session: &mut Session, node: &Token) -> Ended {
        let text = format!("the certificate names node {}, the message node {node}", self.node);
        session.refuse(Code::AuthNodeMismatch, &text, self.now());
        let why = format!("refused: {text} ({})", Code::AuthNodeMismatch);
        self.notice(Reason::PeerRefused, why.clone()).await;
        Ended::because(why)
    }

    async fn epoch_changed(&mut self, old: Uuid, new: Uuid) -> Option<Ended> {
        self.began_anew = true;
        let text = format!(
            "the controller's journal began anew ({old} became {new}); what it had not delivered of the old one is lost"
        );
        self.notice(Reason::StreamReset, text).await;
        None
    }

    async fn up(&mut self, session: &mut Session, agreed: Agreed) -> Option<Ended> {
        if agreed.node.as_str() != self.node {
            return Some(self.wrong_node(session, &agreed.node).await);
        }
        self.epoch = Some(Epoch(agreed.epoch.0));
        self.up_since = Some(Instant::now());
        self.status.connected_since = Some(self.context.clock.now());
        self.status_changed = true;
        let anew = std::mem::take(&mut self.began_anew);
        self.telling.connected(anew);
        tracing::info!(line.id = %self.id, node = %agreed.node, held = agreed.held, "an acs-link peer is connected");
        None
    }

    /// It lost what it had acknowledged: our stream begins anew, and everything is told again.
    async fn behind(&mut self, session: &mut Session, held: u64, acked: u64) -> Option<Ended> {
        let text = format!(
            "the controller holds our messages up to {held}, and had acknowledged {acked}: it was restored from an older \
             copy or lost its memory; everything is told to it again, look at what it did meanwhile"
        );
        self.notice(Reason::StreamAhead, text).await;
        Some(self.restart_stream(session, "it lost what it had acknowledged").await)
    }

    /// Begins the stream to the peer anew; it comes again and finds the new one.
    async fn restart_stream(&mut self, session: &mut Session, why: &str) -> Ended {
        let mut fresh = [0; 16];
        super::fill_random(&mut fresh);
        if let Err(error) = self.context.journal.restart_outgoing(&self.id, Epoch(fresh)).await {
            tracing::error!(line.id = %self.id, %error, "the stream to the peer could not begin anew");
        }
        session.bye(self.word("stream-restarted"), Some(COME_AGAIN), self.now());
        Ended::because(format!("the stream to the peer begins anew: {why}"))
    }

    fn durable(&mut self, session: &mut Session, message: Durable) -> Option<Ended> {
        let epoch = self.epoch?;
        let seq = message.seq;
        let ended = Turns::ended_by(&message.msg.body);
        if self.intake.take(epoch, message) {
            if let Some(point) = ended {
                self.turns.under_way(seq, point);
            }
        } else if !self.intake.is_under_way() {
            session.committed(seq, self.now());
        }
        None
    }

    fn acked(&mut self, seq: u64) -> Option<Ended> {
        self.outgoing.acked(seq);
        self.context.journal.drop_outgoing(&self.id, seq);
        self.count_messages();
        None
    }

    fn count_messages(&mut self) {
        let (waiting, told) = (self.outgoing.state().waiting(), self.telling.told());
        let known = told.saturating_sub(waiting);
        let wanted = self.telling.wanted();
        if (self.status.commands_waiting, self.status.passes_told, self.status.passes_wanted)
            != (waiting, known, wanted)
        {
            (self.status.commands_waiting, self.status.passes_told, self.status.passes_wanted) =
                (waiting, known, wanted);
            self.status_changed = true;
        }
    }

    /// How the clocks differ, for the pages, also while nobody need worry.
    fn note_skew(&mut self, session: &Session) {
        if let Some((ms, _)) = session.skew()
            && self.status.skew_ms.is_none_or(|told| told.abs_diff(ms) >= SKEW_NEWS_MS)
        {
            self.status.skew_ms = Some(ms);
            self.status_changed = true;
        }
    }

    async fn heartbeat(&mut self, clock: wire::acs_link::message::ClockState, queued: Option<u32>) -> Option<Ended> {
        let held = u64::from(queued.unwrap_or(0));
        if self.status.events_held != held {
            self.status.events_held = held;
            self.status_changed = true;
        }
        if clock == wire::acs_link::message::ClockState::Unset {
            let text = "the controller's clock was never set: when its events happened is not known".to_owned();
            self.notice(Reason::DeviceClock, text).await;
        }
        None
    }

    async fn skew(&mut self, ms: i64, grade: Skew) -> Option<Ended> {
        self.status.skew_ms = Some(ms);
        self.status_changed = true;
        let seconds = ms.unsigned_abs() / 1000;
        let way = if ms > 0 { "behind" } else { "ahead" };
        match grade {
            Skew::Fine => tracing::info!(line.id = %self.id, ms, "the peer's clock is right again"),
            Skew::Warn => tracing::warn!(line.id = %self.id, ms, "the peer's clock is wrong"),
            Skew::Drifting => {
                let text = format!(
                    "the controller's clock is {seconds} s {way}: its events are kept without their time; set its clock"
                );
                self.notice(Reason::DeviceClock, text).await;
            }
        }
        None
    }

    /// The session is over: tells the operator why, and what to do.
    async fn closed(&mut self, end: End) -> Ended {
        let told = match &end {
            End::Refused(refusal) => Some((refusal.code, format!("broken off: {refusal}"))),
            End::Failed(failure) => {
                let code = Code::of(&failure.code).unwrap_or(Code::SchemaInvalid);
                Some((code, format!("the controller broke off: {}", failure.code)))
            }
            End::Left(_) | End::Bye(_) | End::Silent(_) | End::Stalled(_) => None,
        };
        let ours = matches!(end, End::Refused(_));
        if let Some((code, text)) = told {
            let id = &self.id;
            let (reason, to_do) = match (code, ours) {
                (Code::SeqGap, true) => (
                    Reason::StreamGap,
                    format!(
                        "; events are missing: this gateway or the controller was restored from a copy; when that is \
                         understood: tapward peers reset {id} --held NUMBER"
                    ),
                ),
                (Code::SeqGap, false) => {
                    (Reason::StreamGap, "; messages of ours are missing there; it comes again".to_owned())
                }
                (Code::SeqAhead, true) => (
                    Reason::StreamAhead,
                    format!(
                        "; it has messages that this journal does not know: this gateway was restored from an older \
                         copy; when that is understood: tapward peers reset {id}"
                    ),
                ),
                (Code::SeqAhead, false) => (
                    Reason::StreamAhead,
                    format!(
                        "; we hold events that it does not know: it was restored from an older copy; when that is \
                         understood: tapward peers reset {id} --held 0"
                    ),
                ),
                _ => (Reason::PeerRefused, String::new()),
            };
            self.notice(reason, format!("{text}{to_do}")).await;
            return Ended::because(text);
        }
        Ended::because(match end {
            End::Left(bye) => format!("the controller left: {}", bye.reason),
            End::Bye(reason) => format!("left: {reason}"),
            End::Silent(time) => format!("nothing was heard for {} s", time.as_secs()),
            End::Stalled(time) => format!("it took nothing for {} s", time.as_secs()),
            End::Refused(_) | End::Failed(_) => String::new(),
        })
    }

    // ---- questions ----

    async fn message(&mut self, session: &mut Session, msg: Msg) -> Option<Ended> {
        let Body::AccessRequest(request) = msg.body else { return None };
        let (now, wall) = (Instant::now(), self.context.clock.now());
        let reader = match self.points.reader(&request.point, request.direction) {
            Ok(reader) => reader.clone(),
            Err(NoSpot(code)) => {
                let text = format!("a question about point {}: {code}", request.point);
                session.complain(Some(msg.id), None, code, Some(&text), self.now());
                self.notice(Reason::PeerRefused, text).await;
                return None;
            }
        };
        let skew = session.skew().map(|(ms, _)| ms);
        let age = ages::of_question(request.occurred_at, msg.sent_at, wall, skew);
        let until = now + Duration::from_millis(request.answer_within_ms.into());
        let no = match self.asks.ask(msg.id, until, now) {
            Ok(no) => no,
            Err(NotAsked::Again) => return None,
            Err(NotAsked::Busy) => {
                session.complain(Some(msg.id), None, Code::Busy, Some("too many questions at once"), self.now());
                self.notice(Reason::Overload, "the controller asks more than can be answered".to_owned()).await;
                return None;
            }
        };
        let number = number(&request);
        let question = Question { reader, number, age, ask: Ask { no, until }, at: now };
        if let Some(question) = self.turns.queue(&request.point, question) {
            self.ask(question).await;
        }
        None
    }

    async fn ask(&mut self, question: Question) {
        let (reader, at) = (question.reader.clone(), question.at);
        self.teller.reader(at, &reader, question.into_fact()).await;
    }

    // ---- orders of the core ----

    /// Carries out an order; without a session it is void.
    pub(super) async fn order(&mut self, order: LineOrder, session: Option<&mut Session>) {
        match order.what {
            ReaderOrder::Answer { ask, granted, reason, release } => {
                // Also a late answer is noted: it tells the peer's own decision from ours.
                let Some(request) = self.asks.answered(ask, granted, Instant::now()) else { return };
                let Some(session) = session else { return };
                let skew = session.skew().map(|(ms, _)| ms);
                let expires = self.context.clock.now().plus_ms(i64::try_from(release.as_millis()).unwrap_or(0));
                let decision = AccessDecision {
                    decision: if granted { Verdict::Grant } else { Verdict::Deny },
                    reason: events::reason_word(reason),
                    valid_until: ages::as_theirs(expires, skew),
                    show: Some(Text::lossy(SHOW[usize::from(granted)])),
                };
                if let Err(error) = session.send(Some(request), Body::AccessDecision(decision), self.now()) {
                    tracing::warn!(line.id = %self.id, %error, "an answer could not be sent");
                }
            }
            ReaderOrder::Control { order: wanted, actor } => {
                let Some(action) = action(wanted) else { return };
                let up = session.filter(|_| self.epoch.is_some());
                let (Some(session), Some(point)) = (up, self.points.place_of(&order.reader).cloned()) else {
                    let text = format!("{action} at reader {} was not passed on: the controller is away", order.reader);
                    return self.notice(Reason::PassNotTaken, text).await;
                };
                let expires = match action {
                    Action::PulseIn | Action::PulseOut => PULSE_EXPIRES,
                    Action::FreePass | Action::Normal | Action::Lock | Action::EmergencyOpen => MODE_EXPIRES,
                };
                let expires = self.context.clock.now().plus_ms(i64::try_from(expires.as_millis()).unwrap_or(0));
                let control = Control {
                    action,
                    expires_at: ages::as_theirs(expires, session.skew().map(|(ms, _)| ms)),
                    actor: Token::new(&actor).unwrap_or_else(|_| self.word_token()),
                    points: vec![point],
                };
                let about = About::Order { reader: order.reader, action };
                self.post(vec![(Body::Control(control), about, None)], None);
            }
            // For wired readers.
            ReaderOrder::Release(..) | ReaderOrder::Secure(_) | ReaderOrder::HoldOpen(_) | ReaderOrder::Show(_) => {}
        }
    }

    fn word_token(&self) -> Token {
        #[expect(clippy::expect_used, reason = "a constant")]
        Token::new("operator").expect("`operator` is a token")
    }

    pub(super) fn word(&self, word: &'static str) -> wire::acs_link::Reason {
        #[expect(clippy::expect_used, reason = "the words of this module; a test makes reasons of them")]
        wire::acs_link::Reason::new(word).expect("our own words are reasons")
    }

    // ---- to the peer ----

    /// Makes messages durable; they are sent when they are.
    fn post(&mut self, bodies: Vec<(Body, About, Option<Note>)>, grows: Option<i64>) {
        let seal = &self.context.keys.numbers;
        let (mut ready, mut stored) = (Vec::with_capacity(bodies.len()), Vec::with_capacity(bodies.len()));
        let wall = self.context.clock.now();
        for (body, about, note) in bodies {
            let mut random = [0; 10];
            super::fill_random(&mut random);
            let Some(message) = Outgoing::seal(Uuid::v7(wall.0, random), body, about, seal) else { continue };
            stored.push(Stored { id: message.id.0, body: message.body.clone(), note });
            ready.push(message);
        }
        let (journal, id) = (self.context.journal.clone(), self.id.clone());
        let posting = async move {
            let outcome = journal.post(&id, stored).await.map(|numbers| *numbers.start());
            Done::Posted { messages: ready, grows, outcome }
        };
        self.jobs.push(posting.boxed());
    }

    /// Hands the session what it may send, and the journal what has to be told of passes. The end of the connection,
    /// if the stream cannot go on.
    pub(super) async fn send(&mut self, session: &mut Session) -> Option<String> {
        self.epoch?;
        match self.outgoing.send(session, &self.context.keys.numbers, self.now()) {
            Sent::Enough => {}
            Sent::Load { after } => {
                let (journal, id) = (self.context.journal.clone(), self.id.clone());
                self.jobs.push(async move { Done::Loaded(journal.outgoing(&id, after, LOAD).await) }.boxed());
            }
            Sent::Broken(why) => {
                let text = format!("{why}; everything is told to the controller again");
                self.notice(Reason::StreamGap, text).await;
                return Some(self.restart_stream(session, &why).await.into_why());
            }
        }
        let waiting = self.outgoing.state().waiting();
        let policy = self.context.policy.borrow().clone();
        let now = (Instant::now(), self.context.clock.now());
        match self.telling.next(&self.id, policy.as_ref(), &self.context.keys, waiting, now) {
            None => {}
            Some(Next::Post(planned)) => {
                let grows = planned.iter().map(|planned| planned.grows).sum();
                let bodies = planned.into_iter().map(|one| (About::of(&one.body), one));
                let bodies = bodies.map(|(about, one)| (one.body, about, one.note)).collect();
                self.post(bodies, Some(grows));
            }
            Some(Next::Make(order)) => {
                let (journal, room) = (self.context.journal.clone(), self.context.acs_link.comparing());
                let making = async move {
                    // Two at a time: each holds all passes of a peer. It is closed by nobody.
                    let _room = room.acquire_owned().await;
                    let plan = plan::make(&journal, order.clone()).await.map(Box::new);
                    Done::Planned(Box::new(order), plan)
                };
                self.jobs.push(making.boxed());
            }
        }
        self.count_messages();
        None
    }

    // ---- from the peer ----

    /// Begins to store what waits, if nothing is under way.
    pub(super) fn begin_batch(&mut self, session: &mut Session) {
        let Some(epoch) = self.epoch else { return };
        let (skew_ms, now) = (session.skew().map(|(ms, _)| ms), self.now());
        let mut mismatch = false;
        let Self { intake, points, states, asks, context, outgoing, status, nags, .. } = self;
        let group = intake.group(epoch, |message| {
            let received = Received { at: message.received_at, skew_ms };
            let told = match &message.msg.body {
                Body::PassEvent(event) => events::pass_event(event, received, points, asks),
                Body::PointStatus(event) => states.point_status(event, received, points),
                Body::CredentialResult(result) | Body::ControlResult(result) => {
                    let of_order = matches!(message.msg.body, Body::ControlResult(_));
                    mismatch |= result.code.as_ref().is_some_and(|code| code.as_str() == Code::SyncMismatch.as_str());
                    let told = result_of(result, message.msg.re, outgoing);
                    // Fifty thousand passes that a full controller refuses are one trouble.
                    let told = told.and_then(|(reader, reason, text)| match of_order {
                        true => Some((reader, reason, text)),
                        false => Some((reader, reason, nags.tell(reason, text, Instant::now())?)),
                    });
                    let report = |(reader, reason, text)| Report::Alarm { reader, reason, detail: Some(text) };
                    Ok(Told { reports: told.map(report).into_iter().collect(), absurd: false })
                }
                _ => Ok(Told { reports: Vec::new(), absurd: false }),
            };
            let event = match &message.msg.body {
                Body::PassEvent(event) => Some(event.event_id.as_str().to_owned()),
                _ => None,
            };
            let seq = message.seq;
            let (reports, quarantined) = match told {
                Ok(mut told) => {
                    if told.absurd {
                        let text =
                            format!("message {seq} says that it happened more than a day from now; set the clock");
                        let detail = nags.tell(Reason::DeviceClock, text, Instant::now());
                        let alarm = |detail| Report::Alarm { reader: None, reason: Reason::DeviceClock, detail };
                        told.reports.extend(detail.map(|text| alarm(Some(text))));
                    }
                    (told.reports, None)
                }
                Err(poison) => {
                    status.quarantined += 1;
                    session.complain(
                        Some(message.msg.id),
                        Some((Stream::Events, seq)),
                        poison.code,
                        Some(&poison.why),
                        now,
                    );
                    let bytes = context.keys.numbers.seal_bytes(&message.bytes.0);
                    let text = format!("message {seq} set aside, {}: {}", poison.code, poison.why);
                    let told = nags.tell(Reason::Quarantined, text, Instant::now());
                    let alarm = |text| Report::Alarm { reader: None, reason: Reason::Quarantined, detail: Some(text) };
                    (told.map(alarm).into_iter().collect(), Some(Quarantined { seq, why: poison.why, bytes }))
                }
            };
            Item { seq, event, reports, quarantined }
        });
        if mismatch && !self.telling.mismatch(Instant::now()) {
            tracing::error!(line.id = %self.id, "the peer's passes still do not match after everything was told again");
        }
        let Some(group) = group else { return };
        let (journal, id, ids) = (context.journal.clone(), self.id.clone(), group.events());
        let looking = async move {
            let known = if ids.is_empty() { Ok(HashSet::new()) } else { journal.known_events(&id, &ids).await };
            Done::Known(group, known)
        };
        self.jobs.push(looking.boxed());
    }

    /// What a job came to. The end of the connection, if it cannot go on.
    pub(super) async fn done(&mut self, done: Done, session: Option<&mut Session>) -> Option<String> {
        match done {
            Done::Known(group, Ok(known)) => {
                let at = self.context.clock.now();
                let (reports, mark) = self.intake.submit(group, known, &self.id, at)?;
                let (done, stored) = oneshot::channel();
                let reached = mark.seq;
                let batch = Batch { reports, mark: Some(mark), done };
                self.teller.tell(LineFact::Happened(batch)).await;
                for question in self.turns.reached(reached) {
                    self.ask(question).await;
                }
                self.jobs.push(stored.map(|stored| Done::Stored(stored.is_ok())).boxed());
            }
            Done::Known(_, Err(error)) => {
                self.intake.failed();
                return Some(format!("the journal does not say what it knows: {error}"));
            }
            Done::Stored(true) => {
                let reached = self.intake.stored();
                self.held = reached.or(self.held);
                if let (Some((epoch, seq)), Some(session)) = (reached, session)
                    && self.epoch == Some(epoch)
                {
                    session.committed(seq, self.now());
                }
            }
            Done::Stored(false) => {
                self.intake.failed();
                return Some("the gateway takes no reports".to_owned());
            }
            Done::Loaded(Ok(messages)) => self.outgoing.loaded(messages),
            Done::Loaded(Err(error)) => {
                self.outgoing.not_loaded();
                return Some(format!("messages for the peer cannot be read: {error}"));
            }
            Done::Posted { messages, grows, outcome } => return self.posted(messages, grows, outcome).await,
            Done::Planned(order, plan) => {
                self.telling.planned(&order, plan.map(|plan| *plan), Instant::now());
                self.tell_unnumbered().await;
                self.count_messages();
            }
        }
        None
    }

    async fn posted(
        &mut self,
        messages: Vec<Ready>,
        grows: Option<i64>,
        outcome: Result<u64, PostError>,
    ) -> Option<String> {
        match outcome {
            Ok(first) => {
                self.outgoing.posted(first, messages);
                if grows.is_some() {
                    self.telling.posted(grows, Instant::now());
                }
                None
            }
            Err(error) => {
                if grows.is_some() {
                    self.telling.posted(None, Instant::now());
                } else {
                    let text = format!("an order was not passed on: {error}");
                    self.notice(Reason::PassNotTaken, text).await;
                }
                // Whether they are in the file is not known: the journal is asked again on the next connection.
                matches!(error, PostError::Storage(_)).then(|| format!("messages could not be stored: {error}"))
            }
        }
    }

    async fn tell_unnumbered(&mut self) {
        let missing = self.telling.unnumbered();
        if missing > 0 {
            let text = format!(
                "{missing} passes cannot be told to the controller: their numbers are not kept here; import the cards \
                 again with numbers kept"
            );
            self.notice(Reason::PassNotTaken, text).await;
        }
    }
}

/// The card of a question. What is no card number is a reading that cannot be used, as at any reader.
fn number(request: &AccessRequest) -> Result<domain::card::CardNumber, CardError> {
    request.credential.card().map_err(|error| match error {
        NotCard::Number(error) => error,
        NotCard::Kind(_) | NotCard::Form { .. } | NotCard::NoFormat => CardError::BitCount(0),
    })
}

const fn action(order: Order) -> Option<Action> {
    match order {
        Order::OpenOnce(Direction::In) => Some(Action::PulseIn),
        Order::OpenOnce(Direction::Out) => Some(Action::PulseOut),
        Order::FreePassage => Some(Action::FreePass),
        Order::Lock => Some(Action::Lock),
        Order::Normal | Order::EmergencyEnd => Some(Action::Normal),
        Order::Emergency => Some(Action::EmergencyOpen),
    }
}

/// What became of a command, if a person has to know. Texts of the peer are not repeated: nobody knows what is in them.
fn result_of(
    result: &CommandResult,
    re: Option<Uuid>,
    outgoing: &Outgoing,
) -> Option<(Option<ReaderId>, Reason, String)> {
    let about = re.and_then(|re| outgoing.about(re));
    let code = result.code.as_ref().map_or("", |code| code.as_str());
    let what = match about {
        Some(About::Order { action, .. }) => format!("order {action}"),
        Some(About::Pass { key }) => format!("pass {key}"),
        Some(About::Resync) => "telling everything again".to_owned(),
        None => "an earlier command".to_owned(),
    };
    let reader = match about {
        Some(About::Order { reader, .. }) => Some(reader.clone()),
        _ => None,
    };
    let (reason, how) = match (result.status, code) {
        (CommandStatus::Rejected, _) => (Reason::PassNotTaken, "was not taken"),
        (CommandStatus::Expired, _) => (Reason::PassNotTaken, "came too late and was not carried out"),
        (CommandStatus::Accepted, "CLOCK_SKEW") => (Reason::DeviceClock, "may count at the wrong times"),
        _ => return None,
    };
    Some((reader, reason, format!("{what} {how} {code}").trim_end().to_owned()))
}
