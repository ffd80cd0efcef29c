//! The bus within one process: no broker to install, the same promises.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use wire::bus::Topic;

use crate::link::{Delivery, End};
use crate::{INBOX_MAX_MESSAGES, Inbox, Incoming, Link, Message, Party, PublishError, Publisher};

/// Connects the parties of one process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hub(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    members: BTreeMap<u64, (Party, mpsc::Sender<Delivery>)>,
    last_id: u64,
    interrupted: bool,
}

impl Hub {
    /// A hub without parties.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins. A party that has joined already is put out, as a broker does with a client name used twice: its inbox
    /// ends.
    pub fn join(&self, party: Party) -> Link {
        let (tx, rx) = mpsc::channel(INBOX_MAX_MESSAGES);
        let mut state = self.lock();
        state.members.retain(|_, (member, _)| *member != party);
        state.last_id += 1;
        let id = state.last_id;
        if !state.interrupted {
            // A new channel has room.
            let _ = tx.try_send(Incoming::Connected { session_present: false }.into());
        }
        state.members.insert(id, (party.clone(), tx));
        drop(state);
        let member = Member { hub: self.clone(), id };
        let end = End::Hub(Membership { member: member.clone(), party: party.clone(), will: true });
        Link { publisher: Publisher::hub(party, member), inbox: Inbox::new(rx, end) }
    }

    /// Breaks every connection, as a broker that stops would; for demonstrations and tests.
    pub fn interrupt(&self) {
        let mut state = self.lock();
        state.interrupted = true;
        state.tell_all(&Incoming::Lost { why: "interrupted".into() });
    }

    /// Sets the connections up again.
    pub fn resume(&self) {
        let mut state = self.lock();
        state.interrupted = false;
        state.tell_all(&Incoming::Connected { session_present: false });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self, from: u64, topic: &Topic) -> Result<Vec<mpsc::Sender<Delivery>>, PublishError> {
        let state = self.lock();
        if !state.members.contains_key(&from) {
            return Err(PublishError::Closed);
        }
        if state.interrupted {
            return Err(PublishError::Down);
        }
        let readers = state.members.values().filter(|(party, _)| party.reads(topic));
        Ok(readers.map(|(_, tx)| tx.clone()).collect())
    }
}

impl State {
    /// Connection events. A member whose inbox has no room for one is put out: it must not believe in a connection
    /// that was broken.
    fn tell_all(&mut self, incoming: &Incoming) {
        self.members.retain(|_, (_, tx)| tx.try_send(incoming.clone().into()).is_ok());
    }
}

/// A party's way to the hub.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    hub: Hub,
    id: u64,
}

impl Member {
    pub(crate) fn try_publish(&self, topic: &Topic, bytes: Bytes) -> Result<(), PublishError> {
        let mut full = false;
        for reader in self.hub.readers(self.id, topic)? {
            full |= matches!(reader.try_send(live(topic, &bytes)), Err(mpsc::error::TrySendError::Full(_)));
        }
        if full { Err(PublishError::Full) } else { Ok(()) }
    }

    pub(crate) async fn publish(&self, topic: &Topic, bytes: Bytes) -> Result<(), PublishError> {
        for reader in self.hub.readers(self.id, topic)? {
            // A reader that has gone meanwhile is one that does not listen.
            let _ = reader.send(live(topic, &bytes)).await;
        }
        Ok(())
    }
}

fn live(topic: &Topic, bytes: &Bytes) -> Delivery {
    Incoming::Message(Message { topic: topic.clone(), bytes: bytes.clone(), retained: false, duplicate: false }).into()
}

/// Belongs to the inbox: ends the membership with it.
#[derive(Debug)]
pub(crate) struct Membership {
    member: Member,
    party: Party,
    will: bool,
}

impl Membership {
    pub(crate) fn leave(mut self) {
        self.will = false;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let was_member = self.member.hub.lock().members.contains_key(&self.member.id);
        if let Some((topic, bytes)) = self.party.last_will().filter(|_| self.will && was_member) {
            // A bridge whose inbox is full learns it from the missing status instead.
            let _ = self.member.try_publish(&topic, bytes);
        }
        self.member.hub.lock().members.remove(&self.member.id);
    }
}
