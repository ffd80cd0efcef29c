//! Orders and passes on their way to a peer: durable in the journal first, then sent in their order, again after every
//! reconnection until the peer has acknowledged them.
//!
//! Owns what of the journal's outgoing messages is loaded, at most [`LOADED_MAX`], and what they were about, for the
//! results that come back, at most [`RECENT_MAX`]. In the journal a message is its document, sealed: it may hold a card
//! number. The document is made once, so that what is sent again is the same.

use std::collections::{HashMap, VecDeque};

use domain::card::{SealKey, SealedBytes};
use domain::time::UtcMillis;
use domain::{Epoch, ReaderId};
use store::journal::{self, OutgoingState};
use wire::acs_link::message::Action;
use wire::acs_link::session::{SendError, Session};
use wire::acs_link::{Body, Instant, Msg, Now, Stream, Token, Uuid, Version, read, to_vec};

/// Messages loaded from the journal at once.
pub const LOADED_MAX: usize = 128;
/// Messages remembered for their results. The result of an older one is told without what it was about.
pub const RECENT_MAX: usize = 2048;

/// What a message was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A person's order.
    Order {
        /// Where.
        reader: ReaderId,
        /// What.
        action: Action,
    },
    /// A pass.
    Pass {
        /// Its key.
        key: Token,
    },
    /// Everything again.
    Resync,
}

impl About {
    /// What a message about passes is about.
    pub fn of(body: &Body) -> Self {
        match body {
            Body::CredentialIssue(issue) => Self::Pass { key: issue.key.clone() },
            Body::CredentialRevoke(revoke) => Self::Pass { key: revoke.key.clone() },
            _ => Self::Resync,
        }
    }
}

/// A message made ready for the journal.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Its id.
    pub id: Uuid,
    /// Its document, sealed.
    pub body: SealedBytes,
    /// What it is about.
    pub about: About,
}

/// What sending came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// Everything that may go has gone.
    Enough,
    /// Messages behind this number are needed from the journal.
    Load {
        /// Behind which.
        after: u64,
    },
    /// The stream cannot go on: a message is missing or cannot be opened, or the peer does not take it.
    Broken(String),
}

/// See the module.
#[derive(Debug)]
pub struct Outgoing {
    state: OutgoingState,
    loaded: VecDeque<journal::Message>,
    loading: bool,
    recent: HashMap<Uuid, About>,
    order: VecDeque<Uuid>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            state: OutgoingState { epoch: Epoch([0; 16]), last: 0, dropped: 0, at_open: 0 },
            loaded: VecDeque::new(),
            loading: false,
            recent: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl Outgoing {
    /// A connection begins with this in the journal.
    pub fn begin(&mut self, state: OutgoingState) {
        self.state = state;
        self.loaded = VecDeque::new();
        self.loading = false;
    }

    /// How far the stream has got.
    pub const fn state(&self) -> OutgoingState {
        self.state
    }

    /// Makes a message ready for the journal; `None` for one that acs-link does not have, which is a fault of ours.
    pub fn seal(id: Uuid, body: Body, about: About, seal: &SealKey) -> Option<Ready> {
        let stream_seq = Some((Stream::Commands, 1));
        let sent_at = Instant::from_utc(UtcMillis(0));
        let msg = Msg { v: Version::V1_0, id, stream_seq, re: None, sent_at, replay: false, body };
        match to_vec(&msg) {
            Ok(bytes) => {
                let bytes = zeroize::Zeroizing::new(bytes);
                Some(Ready { id, body: seal.seal_bytes(&bytes), about })
            }
            Err(error) => {
                tracing::error!(%error, "a message of ours cannot be written");
                None
            }
        }
    }

    /// The journal has given these messages numbers from `first` on.
    pub fn posted(&mut self, first: u64, messages: Vec<Ready>) {
        // Straight on if nothing else has to be loaded before.
        let follows = self.loaded.back().map_or(self.state.last, |message| message.seq) + 1 == first
            && self.state.last + 1 == first
            && !self.loading;
        for (message, seq) in messages.into_iter().zip(first..) {
            self.state.last = self.state.last.max(seq);
            if follows && self.loaded.len() < LOADED_MAX {
                self.loaded.push_back(journal::Message { seq, id: message.id.0, body: message.body });
            }
            self.recent.insert(message.id, message.about);
            self.order.push_back(message.id);
        }
        while self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    /// The journal has given these; what was asked for is there, or is not in the journal.
    pub fn loaded(&mut self, messages: Vec<journal::Message>) {
        self.loading = false;
        self.loaded = messages.into();
    }

    /// The peer holds everything up to `seq`.
    pub fn acked(&mut self, seq: u64) {
        self.state.dropped = self.state.dropped.max(seq);
    }

    /// What a message was about.
    pub fn about(&self, id: Uuid) -> Option<&About> {
        self.recent.get(&id)
    }

    /// Hands the session what it wants.
    pub fn send(&mut self, session: &mut Session, seal: &SealKey, now: Now) -> Sent {
        while let Some(wanted) = session.wants() {
            while self.loaded.front().is_some_and(|message| message.seq < wanted) {
                self.loaded.pop_front();
            }
            let Some(message) = self.loaded.front() else {
                if wanted > self.state.last || self.loading {
                    return Sent::Enough;
                }
                self.loading = true;
                return Sent::Load { after: wanted - 1 };
            };
            if message.seq != wanted {
                return Sent::Broken(format!("message {wanted} is not in the journal any more"));
            }
            let opened = seal.open_bytes(&message.body).ok().and_then(|bytes| read(&bytes).ok());
            let Some(msg) = opened else {
                return Sent::Broken(format!("message {wanted} cannot be opened with the present key of numbers"));
            };
            match session.send_durable(wanted, Uuid(message.id), None, msg.body, now) {
                Ok(()) => drop(self.loaded.pop_front()),
                Err(SendError::NotUp | SendError::Full) => return Sent::Enough,
                Err(error @ (SendError::Order { .. } | SendError::TooLarge { .. } | SendError::Misfit(_))) => {
                    return Sent::Broken(format!("message {wanted}: {error}"));
                }
            }
        }
        Sent::Enough
    }

    /// Loading came to nothing; it is asked for again.
    pub fn not_loaded(&mut self) {
        self.loading = false;
    }
}
