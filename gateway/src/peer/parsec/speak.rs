//! Answers to the server's questions, and orders of people.
//!
//! Orders are always taken; what cannot be said to the server now is void, and said to the operator where a person
//! waits for it.

use std::sync::Arc;

use domain::{Reason, door};
use tokio::sync::mpsc;
use wire::parsec::{Guid, Request};

use super::Shared;
use super::client::Client;
use super::places::Places;
use crate::line::{LineOrder, ReaderFact, ReaderOrder};
use crate::settings::ParsecCommands;

pub(super) async fn run(shared: Arc<Shared>, client: Client, orders: &mut mpsc::Receiver<LineOrder>) {
    let places = Places::new(&shared.settings.readers);
    let mut speaker = Speaker { places, client, shared };
    loop {
        let order = tokio::select! {
            () = speaker.shared.cancel.cancelled() => return,
            order = orders.recv() => order,
        };
        let Some(order) = order else { return };
        speaker.order(order).await;
    }
}

struct Speaker {
    shared: Arc<Shared>,
    client: Client,
    places: Places,
}

impl Speaker {
    async fn order(&mut self, order: LineOrder) {
        match &order.what {
            ReaderOrder::Answer { ask, granted, .. } => self.answer(&order, *ask, *granted).await,
            ReaderOrder::Control { order: what, .. } => self.control(&order, *what).await,
            // For readers on serial lines.
            ReaderOrder::Release(..) | ReaderOrder::Secure(_) | ReaderOrder::HoldOpen(_) | ReaderOrder::Show(_) => {}
        }
    }

    async fn answer(&mut self, order: &LineOrder, ask: u64, allow: bool) {
        let asked = self.shared.asks().answer(ask, allow);
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
        self.shared.teller.reader(tokio::time::Instant::now(), &order.reader, fact).await;
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
