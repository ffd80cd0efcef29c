//! What the device says, as it comes: pushes to our listener, or the alert stream that we hold open; and what the core
//! orders. Questions go to the core at once; everything else queues for `intake`, which answers a push only when its
//! event is durable.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, sleep};
use wire::isapi::device::RemoteCheck;
use wire::isapi::event::{Access, Alert, AlertKind};
use wire::isapi::multipart::{Multipart, Part};
use wire::isapi::time::DeviceTime;

use super::Device;
use super::hands::Job;
use super::intake::Item;
use super::translate::{Answered, Number};
use crate::line::{Ask, LineOrder, ReaderFact, ReaderOrder};
use crate::peer::http::{Call, HttpError};
use crate::peer::push::{PushAnswer, Pushed};
use crate::settings::DeviceEvents;
use domain::Reason;
use domain::card::CardNumber;
use domain::ids::{PersonId, ReaderId};
use domain::policy::PassState;

/// Questions without an answer; one more is answered "not now", and the device decides itself.
const QUESTIONS_MAX: usize = 64;
/// What is left of the device's patience for the answer's way back.
const WAY_BACK: Duration = Duration::from_millis(500);
/// Longest patience that is believed.
const PATIENCE_MAX: Duration = Duration::from_secs(8);
/// Silence after which the alert stream is opened anew: devices say something every ten to thirty seconds.
const SILENCE: Duration = Duration::from_secs(65);
/// Before a lost stream is opened again, first and longest.
const REOPEN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Questions of the device that the core has not answered.
#[derive(Default)]
struct Questions {
    open: HashMap<u64, Question>,
    last: u64,
}

struct Question {
    back: Back,
    until: Instant,
    door: Option<u32>,
    reader: ReaderId,
    number: Number,
}

/// How the answer goes back.
enum Back {
    /// As the answer to the push.
    Push(oneshot::Sender<PushAnswer>),
    /// As a call of its own, for this event.
    Call(Option<u64>),
}

struct Ears<'a> {
    device: &'a Device,
    questions: Mutex<Questions>,
    items: mpsc::Sender<Item>,
    hands: mpsc::Sender<Job>,
}

/// Listens until the task ends.
pub(super) async fn run(
    device: &Device,
    orders: &mut mpsc::Receiver<LineOrder>,
    items: mpsc::Sender<Item>,
    hands: mpsc::Sender<Job>,
) {
    let ears = Ears { device, questions: Mutex::default(), items, hands };
    let hearing = async {
        match device.device.events {
            DeviceEvents::Push => ears.pushes().await,
            DeviceEvents::Stream => ears.stream().await,
        }
    };
    tokio::join!(ears.orders(orders), hearing);
}

impl Ears<'_> {
    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The core's orders; also while the device is away, when all of them are void.
    async fn orders(&self, orders: &mut mpsc::Receiver<LineOrder>) {
        let mut tick = interval(Duration::from_millis(250));
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                _ = tick.tick() => {
                    let now = Instant::now();
                    self.questions().open.retain(|_, question| question.until > now);
                    continue;
                }
            };
            let Some(order) = order else { return };
            match order.what {
                ReaderOrder::Answer { ask, granted, .. } => self.answer(ask, granted),
                ReaderOrder::Control { order: what, .. } => {
                    let Some(door) = self.device.places.door_of(&order.reader) else { continue };
                    if self.device.session().is_none() {
                        continue;
                    }
                    if self.hands.try_send(Job::Door(door, order.reader, what, Instant::now())).is_err() {
                        let detail = "too many orders wait for the device; one was dropped".to_owned();
                        self.device.alarm("orders", Reason::Overload, detail).await;
                    }
                }
                // For serial lines.
                ReaderOrder::Release(..) | ReaderOrder::Secure(_) | ReaderOrder::HoldOpen(_) | ReaderOrder::Show(_) => {
                }
            }
        }
    }

    fn answer(&self, ask: u64, granted: bool) {
        let Some(question) = self.questions().open.remove(&ask) else { return };
        let now = Instant::now();
        if question.until <= now {
            return;
        }
        // The screen shows the device's own words: ours would need the language of whoever stands there, and must not
        // say why.
        let decision = RemoteCheck { serial: None, granted, info: None };
        let sent = match question.back {
            Back::Push(answer) => {
                let body = decision.write().into_bytes();
                answer.send(PushAnswer { status: 200, kind: "application/json", body }).is_ok()
            }
            Back::Call(serial) => {
                self.hands.try_send(Job::Decide(RemoteCheck { serial, ..decision }, question.until)).is_ok()
            }
        };
        if sent {
            let Question { door, reader, number, .. } = question;
            self.device.memory().answered(Answered { no: ask, door, reader, number, granted, at: now });
        }
    }

    /// Takes pushes while the device answers; before that its address may be another's.
    async fn pushes(&self) {
        let mut registered = None;
        let mut session = self.device.session.subscribe();
        loop {
            let there = session.borrow_and_update().is_some();
            if there && let Some(addresses) = self.addresses().await {
                match &registered {
                    None => registered = Some(self.device.context.push.register(&self.device.settings.id, addresses)),
                    Some(pushes) => pushes.set_addresses(addresses),
                }
            }
            let Some(pushes) = registered.as_mut() else {
                tokio::select! {
                    changed = session.changed() => if changed.is_err() { return },
                    () = sleep(REOPEN.1) => {}
                }
                continue;
            };
            tokio::select! {
                pushed = pushes.next() => match pushed {
                    Some(pushed) => self.pushed(pushed).await,
                    // Somebody else registered under our name, which is a fault of ours: start anew.
                    None => registered = None,
                },
                changed = session.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn addresses(&self) -> Option<Vec<std::net::IpAddr>> {
        self.device.client().addresses().await.ok()
    }

    async fn pushed(&self, pushed: Pushed) {
        let Pushed { at, kind, body, answer, .. } = pushed;
        let texts = match Multipart::new(&kind) {
            None => vec![body.to_vec()],
            Some(mut parts) => {
                let mut texts = Vec::new();
                parts.feed(&body);
                while let Some(part) = parts.poll() {
                    texts.extend(self.text_of(part).await);
                }
                if let Some(part) = parts.finish() {
                    texts.extend(self.text_of(part).await);
                }
                texts
            }
        };
        // One event a push; what else there may be is taken in without an answer of its own.
        let mut answer = Some(answer);
        for text in texts {
            match Alert::read(&text) {
                Ok(alert) => self.hear(alert, at, &mut answer).await,
                Err(error) => self.nonsense(&error.to_string()).await,
            }
        }
        if let Some(answer) = answer {
            // The device may have gone; what made no sense will make none the next time either.
            let _ = answer.send(PushAnswer::taken());
        }
    }

    async fn text_of(&self, part: Part) -> Option<Vec<u8>> {
        match part {
            Part::Text(text) => Some(text),
            Part::Skipped => None,
            Part::TooLong => {
                self.nonsense("an event longer than 64 KB").await;
                None
            }
            Part::BadHeaders => {
                self.nonsense("a part without readable headers").await;
                None
            }
        }
    }

    /// A card of a person whom the device knows by our pseudonym, one that works if there is any.
    fn card_of(&self, employee: &str) -> Option<CardNumber> {
        let person: PersonId = employee.parse().ok()?;
        let policy = self.device.context.policy.borrow().clone()?;
        let keys = &self.device.context.keys;
        let theirs = policy.passes().filter(|pass| pass.person() == person);
        let best = theirs.max_by_key(|pass| (pass.state() == PassState::Active, pass.valid_until(), pass.card()))?;
        keys.numbers.open_for(policy.number(best.card())?, best.card(), &keys.card).ok()
    }

    async fn nonsense(&self, what: &str) {
        let detail = format!("a message that cannot be read was put aside: {what}");
        self.device.alarm("nonsense", Reason::Quarantined, detail).await;
    }

    /// Holds the alert stream open.
    async fn stream(&self) {
        let mut wait = REOPEN.0;
        loop {
            self.device.present().await;
            let opened = Instant::now();
            let why = self.listen().await;
            if self.device.session().is_some() {
                tracing::info!(line.id = %self.device.settings.id, %why, "the alert stream is opened anew");
            }
            wait = if opened.elapsed() > REOPEN.1 { REOPEN.0 } else { (wait * 2).min(REOPEN.1) };
            sleep(wait).await;
        }
    }

    async fn listen(&self) -> String {
        match self.listen_to_stream().await {
            Ok(()) => "the device closed it".into(),
            Err(error) => error.to_string(),
        }
    }

    async fn listen_to_stream(&self) -> Result<(), HttpError> {
        let mut client = self.device.client();
        let mut stream = client.stream(&Call::get("/ISAPI/Event/notification/alertStream")).await?;
        let Some(mut parts) = (stream.status == 200).then(|| Multipart::new(&stream.kind)).flatten() else {
            let status = stream.status;
            let detail = format!("the alert stream is refused with status {status}: try events = \"push\"");
            self.device.alarm("stream", Reason::PeerRefused, detail).await;
            return Err(HttpError::Broken(format!("status {status}")));
        };
        self.device.is_over("stream");
        while let Some(bytes) = stream.next(SILENCE).await? {
            let heard = Instant::now();
            parts.feed(&bytes);
            while let Some(part) = parts.poll() {
                let Some(text) = self.text_of(part).await else { continue };
                match Alert::read(&text) {
                    Ok(alert) => self.hear(alert, heard, &mut None).await,
                    Err(error) => self.nonsense(&error.to_string()).await,
                }
            }
        }
        Ok(())
    }

    async fn hear(&self, alert: Alert, heard: Instant, answer: &mut Option<oneshot::Sender<PushAnswer>>) {
        let AlertKind::Access(event) = alert.kind else { return };
        let mut item = Item { event, at: alert.at, heard, ack: None };
        if item.event.remote_check && item.event.current && self.device.device.online {
            self.ask(&item.event, item.at, heard, answer).await;
        } else {
            item.ack = answer.take();
        }
        match self.items.try_send(item) {
            Ok(()) => {}
            // Dropped with its answer: a push is refused and comes again, and the gap is found by the number.
            Err(TrySendError::Full(_)) => tracing::debug!(line.id = %self.device.settings.id, "events wait"),
            Err(TrySendError::Closed(_)) => {}
        }
    }

    async fn ask(
        &self,
        event: &Access,
        at: Option<DeviceTime>,
        heard: Instant,
        answer: &mut Option<oneshot::Sender<PushAnswer>>,
    ) {
        let place = self.device.places.find(event.door, event.reader);
        let number = match (place, &event.card) {
            (Some(place), Some(card)) => Some(self.device.device.cards.read(card, place.uid_reversed)),
            // A face or a finger: the person's own card is what is decided about.
            (Some(_), None) => event.employee.as_ref().and_then(|employee| self.card_of(employee)).map(Ok),
            (None, _) => None,
        };
        let (Some(place), Some(number)) = (place, number) else {
            // Nobody whom we could know, or a door that is not ours: no reason to let a person wait.
            let body = RemoteCheck { serial: event.serial, granted: false, info: None };
            match answer.take() {
                Some(answer) => {
                    let body = body.write().into_bytes();
                    let _ = answer.send(PushAnswer { status: 200, kind: "application/json", body });
                }
                None => {
                    let _ = self.hands.try_send(Job::Decide(body, heard + PATIENCE_MAX));
                }
            }
            return;
        };
        let patience = self.device.session().and_then(|session| session.waits).unwrap_or(PATIENCE_MAX);
        let until = heard + patience.min(PATIENCE_MAX).saturating_sub(WAY_BACK);
        let back = match answer.take() {
            Some(answer) => Back::Push(answer),
            None => Back::Call(event.serial),
        };
        let no = {
            let mut questions = self.questions();
            if questions.open.len() >= QUESTIONS_MAX {
                return;
            }
            questions.last += 1;
            let no = questions.last;
            let (door, reader) = (event.door, place.reader.clone());
            questions.open.insert(no, Question { back, until, door, reader, number: number.clone() });
            no
        };
        let age = self.device.reader_age(at, heard);
        let asked = ReaderFact::Asked { number, age, ask: Ask { no, until } };
        self.device.teller.reader(heard, &place.reader, asked).await;
    }
}
