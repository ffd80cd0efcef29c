//! Where connections of acs-link nodes arrive: the listener hands each to the task of its node.
//!
//! Owns the list of nodes that are waited for, and our own identity, which is read anew whenever settings are applied.
//! Never opens a connection. No lock is held across an await.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc, watch};

use super::stream::Stream;
use super::tls::Tls;

/// Arrivals that may wait for one task. It takes them at once; beyond this a connection is closed and comes again.
const ARRIVALS_MAX: usize = 4;
/// Peers of which all passes may be compared at one time.
const COMPARING_MAX: usize = 2;

/// Who we are in acs-link.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Our node.
    pub node: String,
    /// `None`: plain TCP, on this machine only.
    pub tls: Option<Tls>,
}

/// A connection that has shown who it is and said `Hello`.
#[derive(Debug)]
pub struct Connection {
    /// The bytes from here on.
    pub stream: Stream,
    /// What was read already: the frame of the `Hello`, and whatever came with it.
    pub first: Vec<u8>,
    /// Where from.
    pub from: SocketAddr,
    /// We made it.
    pub ours: bool,
}

/// What arrives for a node.
#[derive(Debug)]
pub enum Arrival {
    /// It has connected to us.
    Connected(Box<Connection>),
    /// Somebody who claims to be it was refused; a claim is not a proof.
    Refused {
        /// From where and why, for an operator.
        why: String,
    },
}

/// Hands connections to the tasks of their nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Switchboard {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    seats: Mutex<Seats>,
    identity: watch::Sender<Option<Identity>>,
    listening: watch::Sender<Option<SocketAddr>>,
    comparing: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: HashMap<String, Taken>,
}

#[derive(Debug)]
struct Taken {
    number: u64,
    arrivals: mpsc::Sender<Arrival>,
    points: Vec<String>,
}

/// A task's place at the switchboard; given up when dropped.
#[derive(Debug)]
pub struct Seat {
    node: String,
    number: u64,
    arrivals: mpsc::Receiver<Arrival>,
    switchboard: Switchboard,
}

impl Default for Switchboard {
    fn default() -> Self {
        let inner = Inner {
            seats: Mutex::default(),
            identity: watch::Sender::new(None),
            listening: watch::Sender::new(None),
            comparing: Arc::new(Semaphore::new(COMPARING_MAX)),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Switchboard {
    /// Takes the place of `node`, which has these points. Who sat there before gets no arrivals any more.
    pub fn sit(&self, node: &str, points: Vec<String>) -> Seat {
        let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let mut seats = self.seats();
        seats.next += 1;
        let number = seats.next;
        seats.taken.insert(node.to_owned(), Taken { number, arrivals: sender, points });
        Seat { node: node.to_owned(), number, arrivals, switchboard: self.clone() }
    }

    /// Whether a node is waited for.
    pub fn knows(&self, node: &str) -> bool {
        self.seats().taken.contains_key(node)
    }

    /// Whether a point belongs to another node than this one.
    pub fn is_of_another(&self, node: &str, point: &str) -> bool {
        let seats = self.seats();
        seats.taken.iter().any(|(other, taken)| other != node && taken.points.iter().any(|theirs| theirs == point))
    }

    /// Hands something to the task of `node`. `false`: nobody waits for that node, or its task takes nothing.
    pub fn deliver(&self, node: &str, arrival: Arrival) -> bool {
        let Some(arrivals) = self.seats().taken.get(node).map(|taken| taken.arrivals.clone()) else { return false };
        arrivals.try_send(arrival).is_ok()
    }

    /// Who we are, once the settings were read.
    pub fn identity(&self) -> Option<Identity> {
        self.inner.identity.borrow().clone()
    }

    /// From now on we are this.
    pub fn set_identity(&self, identity: Option<Identity>) {
        self.inner.identity.send_replace(identity);
    }

    /// Where the listener is listening now.
    pub fn listening(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.inner.listening.subscribe()
    }

    /// Room for comparing what peers know with what they should know.
    pub(super) fn comparing(&self) -> Arc<Semaphore> {
        Arc::clone(&self.inner.comparing)
    }

    pub(super) fn set_listening(&self, address: Option<SocketAddr>) {
        self.inner.listening.send_replace(address);
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        // Nothing that holds the lock can panic half-way through a change.
        self.inner.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The next arrival. May be cancelled.
    pub async fn next(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // Somebody else has taken the place.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.switchboard.seats();
        if seats.taken.get(&self.node).is_some_and(|taken| taken.number == self.number) {
            seats.taken.remove(&self.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Arrival {
        Arrival::Refused { why: "test".into() }
    }

    #[tokio::test]
    async fn arrivals_go_to_who_sat_down_last_and_to_nobody_after_that() {
        let switchboard = Switchboard::default();
        assert!(!switchboard.deliver("a", refused()));
        let older = switchboard.sit("a", vec!["door-1".into()]);
        let mut newer = switchboard.sit("a", vec!["door-1".into()]);
        drop(older);
        assert!(switchboard.knows("a") && switchboard.deliver("a", refused()));
        assert!(matches!(newer.next().await, Arrival::Refused { .. }));
        assert!(switchboard.is_of_another("b", "door-1") && !switchboard.is_of_another("a", "door-1"));
        drop(newer);
        assert!(!switchboard.knows("a") && !switchboard.deliver("a", refused()));
    }

    #[test]
    fn a_task_that_takes_nothing_does_not_hold_up_the_listener() {
        let switchboard = Switchboard::default();
        let _seat = switchboard.sit("a", Vec::new());
        for _ in 0..ARRIVALS_MAX {
            assert!(switchboard.deliver("a", refused()));
        }
        assert!(!switchboard.deliver("a", refused()));
    }
}
