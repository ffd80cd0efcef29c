//! Answers to the server's questions, and orders of people.
//!
//! Orders are always taken; what cannot be said to the server now is void, and said to the operator where a person
//! waits for it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::{Reason, door};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::parsec::{Guid, Request};

use super::Shared;
use super::client::Client;
use super::places::Places;
use crate::line::{LineOrder, ReaderFact, ReaderOrder};
use crate::settings::ParsecCommands;

/// An order that had to wait for a slow server longer than this is void: late is not live.
const ORDER_MAX_AGE: Duration = Duration::from_secs(2);
/// Orders that wait while the server is slow; further ones wait in their channel.
const WAITING_MAX: usize = 64;

pub(super) async fn run(shared: Arc<Shared>, client: Client, orders: &mut mpsc::Receiver<LineOrder>) {
    let places = Places::new(&shared.settings.readers);
    let cancel = shared.cancel.clone();
    let mut waiting = VecDeque::new();
    let mut speaker = Speaker { places, client, shared };
    loop {
        let (order, since) = match waiting.pop_front() {
            Some(order) => order,
            None => tokio::select! {
                () = cancel.cancelled() => return,
                order = orders.recv() => match order {
                    Some(order) => (order, Instant::now()),
                    None => return,
                },
            },
        };
        // Orders are taken meanwhile, so that each has its time.
        let mut work = pin!(speaker.order(order, since));
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = &mut work => break,
                Some(order) = orders.recv(), if waiting.len() < WAITING_MAX => {
                    waiting.push_back((order, Instant::now()));
                }
            }
        }
    }
}

struct Speaker {
    shared: Arc<Shared>,
    client: Client,
    places: Places,
}

impl Speaker {
    async fn order(&mut self, order: LineOrder, since: Instant) {
        // What stands until further notice is not late.
        let moves = matches!(&order.what, ReaderOrder::Control { order: door::Order::OpenOnce(_), .. });
        if moves && since.elapsed() > ORDER_MAX_AGE {
            return self.not_done(&order, "the server was too slow: the order is void".to_owned()).await;
        }
        match &order.what {
            ReaderOrder::Answer { ask, granted, .. } => self.answer(&order, *ask, *granted).await,
            ReaderOrder::Control { order: what, .. } => self.control(&order, *what).await,
            // For readers on serial lines.
            ReaderOrder::Release(..) | ReaderOrder::Secure(_) | ReaderOrder::HoldOpen(_) | ReaderOrder::Show(_) => {}
        }
    }

    async fn answer(&mut self, order: &LineOrder, ask: u64, allow: bool) {
        let asked = self.shared.asks().answer(ask, allow, Instant::now());
        let Some((territory, person)) = asked else { return };
        let session = self.session();
        let Some(session) = session else { return self.shared.asks().not_taken(ask) };
        let request = Request::SendVerificationCommand { session, territory, person, allow };
        if let Err(error) = self.client.done(&request).await {
            self.shared.asks().not_taken(ask);
            self.not_done(order, format!("the answer was not taken: {error}")).await;
        }
    }

    async fn control(&mut self, order: &LineOrder, what: door::Order) {
        let (name, command) = number(what, self.shared.server.dialect.commands);
        let Some(command) = command else {
            let detail = format!(
                "the order \"{name}\" is not given: a ParsecNET server's numbers of commands are not public; ask its \
                 vendor and write them under commands in the settings of this peer"
            );
            return self.not_done(order, detail).await;
        };
        let (Some(territory), Some(session)) = (self.places.territory_of(&order.reader), self.session()) else {
            return;
        };
        let request = Request::SendHardwareCommand { session, territory, command };
        if let Err(error) = self.client.done(&request).await {
            self.not_done(order, format!("the order \"{name}\" was not taken: {error}")).await;
        }
    }

    async fn not_done(&self, order: &LineOrder, detail: String) {
        tracing::warn!(line.id = %self.shared.settings.id, reader.id = %order.reader, %detail, "parsec");
        let fact = ReaderFact::Alarm(Reason::PassNotTaken, Some(detail));
        self.shared.teller.reader(Instant::now(), &order.reader, fact).await;
    }

    fn session(&self) -> Option<Guid> {
        self.shared.session.borrow().as_ref().map(|session| session.id)
    }
}

/// The name of an order, and the server's number for it.
const fn number(order: door::Order, commands: ParsecCommands) -> (&'static str, Option<i32>) {
    match order {
        door::Order::OpenOnce(_) => ("open", commands.open),
        door::Order::Normal | door::Order::EmergencyEnd => ("normal", commands.normal),
        door::Order::Lock => ("lock", commands.lock),
        door::Order::FreePassage => ("free", commands.free),
        door::Order::Emergency => ("emergency", commands.emergency),
    }
}
