//! Orders and decisions that are calls of their own: doors, and answers to questions that came by the stream.
//!
//! An opening is carried out within [`PULSE_LIFE`] or not at all: late, it would let a stranger in. A standing order is
//! tried for longer, and the core repeats it when the device comes back.

use std::time::Duration;

use domain::ids::ReaderId;
use domain::{Reason, door};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wire::isapi::device::{self, DoorOrder, RemoteCheck, Status};

use super::Device;
use crate::peer::http::{Call, HttpClient, HttpError, Reply};

/// How long an opening may take to reach the device.
const PULSE_LIFE: Duration = Duration::from_secs(2);
/// How long a standing order is tried.
const ORDER_LIFE: Duration = Duration::from_secs(20);
/// Before a busy device is asked again.
const BUSY_WAIT: Duration = Duration::from_millis(250);
/// Doors whose words are remembered.
const WORDS_MAX: usize = 64;

/// Something to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Order something of a door, for the reader that is to take it.
    Door(u32, ReaderId, door::Order, Instant),
    /// Answer a question; of no use after the instant.
    Decide(RemoteCheck, Instant),
}

/// Works off jobs, one after the other, as the device wants it.
pub(super) async fn run(device: &Device, mut jobs: mpsc::Receiver<Job>) {
    let mut client = device.client();
    let mut words: Vec<(u64, u32, Vec<String>)> = Vec::new();
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Decide(decision, until) => decide(device, &mut client, &decision, until).await,
            Job::Door(number, reader, order, since) => {
                if matches!(order, door::Order::OpenOnce(_)) {
                    // Before the device can report what came of it.
                    device.memory().opened(number, reader);
                }
                if let Err(why) = order_door(device, &mut client, &mut words, number, order, since).await {
                    let detail = format!("door {number} did not take the order {}: {why}", name(order));
                    device.alarm("order", Reason::PassNotTaken, detail).await;
                }
            }
        }
    }
}

async fn decide(device: &Device, client: &mut HttpClient, decision: &RemoteCheck, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return;
    }
    let call = Call::put("/ISAPI/AccessControl/remoteCheck?format=json", "application/json", decision.write());
    match client.send(&call.within(left)).await {
        Ok(reply) if reply.is_success() => {}
        other => {
            let why = failure(&other);
            device.alarm("answer", Reason::PeerDecision, format!("an answer did not reach the device: {why}")).await;
        }
    }
}

async fn order_door(
    device: &Device,
    client: &mut HttpClient,
    words: &mut Vec<(u64, u32, Vec<String>)>,
    number: u32,
    order: door::Order,
    since: Instant,
) -> Result<(), String> {
    let Some(session) = device.session() else { return Err("the device is away".into()) };
    let wanted = translated(order);
    let known = match words.iter().find(|(of, door, _)| (*of, *door) == (session.number, number)) {
        Some((_, _, known)) => known.clone(),
        None => {
            let known = ask_words(client, number).await;
            words.retain(|(of, _, _)| *of == session.number);
            if words.len() < WORDS_MAX {
                words.push((session.number, number, known.clone()));
            }
            known
        }
    };
    let word = wanted.word(&known).ok_or("the device has no such order")?;
    let path = format!("/ISAPI/AccessControl/RemoteControl/door/{number}");
    let life = if wanted == DoorOrder::Open { PULSE_LIFE } else { ORDER_LIFE };
    let mut why = "its time is over".to_owned();
    loop {
        let left = life.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(why);
        }
        let call = Call::put(&path, "application/xml", DoorOrder::write(word));
        let reply = client.send(&call.within(left)).await;
        let status = reply.as_ref().ok().and_then(|reply| Status::read(&reply.body));
        match (&reply, &status) {
            (Ok(reply), status) if reply.is_success() && status.as_ref().is_none_or(Status::is_ok) => return Ok(()),
            (Ok(reply), status) if reply.status == 503 || status.as_ref().is_some_and(Status::is_busy) => {
                why = "the device is busy".into();
            }
            // Whether an order whose answer is lost was carried out nobody knows: an opening is not given twice.
            (Err(HttpError::Connect { .. }), _) if wanted != DoorOrder::Open => why = failure(&reply),
            _ => return Err(failure(&reply)),
        }
        sleep(BUSY_WAIT).await;
    }
}

/// The words that a door knows; none if it does not say.
async fn ask_words(client: &mut HttpClient, number: u32) -> Vec<String> {
    let own = format!("/ISAPI/AccessControl/RemoteControl/door/{number}/capabilities");
    for path in [own.as_str(), "/ISAPI/AccessControl/RemoteControl/door/capabilities"] {
        if let Ok(reply) = client.send(&Call::get(path).within(Duration::from_secs(2))).await
            && reply.is_success()
        {
            return device::door_words(&reply.body).unwrap_or_default();
        }
    }
    Vec::new()
}

const fn translated(order: door::Order) -> DoorOrder {
    match order {
        door::Order::Normal | door::Order::EmergencyEnd => DoorOrder::Resume,
        door::Order::Lock => DoorOrder::AlwaysClose,
        door::Order::FreePassage | door::Order::Emergency => DoorOrder::AlwaysOpen,
        door::Order::OpenOnce(_) => DoorOrder::Open,
    }
}

const fn name(order: door::Order) -> &'static str {
    match order {
        door::Order::Normal => "back to normal",
        door::Order::EmergencyEnd => "end of emergency",
        door::Order::Lock => "lock",
        door::Order::FreePassage => "free passage",
        door::Order::Emergency => "emergency",
        door::Order::OpenOnce(_) => "open once",
    }
}

/// What went wrong with a call, for people.
pub(super) fn failure(reply: &Result<Reply, HttpError>) -> String {
    match reply {
        Err(error) => error.to_string(),
        Ok(reply) => match Status::read(&reply.body) {
            Some(status) if !status.sub.is_empty() => format!("status {} {}", reply.status, status.sub),
            _ => format!("status {}", reply.status),
        },
    }
}
