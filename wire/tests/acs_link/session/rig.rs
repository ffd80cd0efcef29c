//! Two nodes with journals, and a connection between them that can break after any byte. Virtual time, no randomness
//! but a counter.

use std::time::Duration;

use domain::UtcMillis;
use wire::acs_link::message::*;
use wire::acs_link::session::*;
use wire::acs_link::*;

use crate::samples::{pass_event, token, uuid};

/// The wall time at monotonic zero.
pub const WALL_MS: i64 = 1_795_241_730_000;

pub fn now(mono: Duration) -> Now {
    Now { mono, wall: UtcMillis(WALL_MS + mono.as_millis() as i64) }
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn counter(mut next: u8) -> Random {
    Box::new(move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    })
}

/// What survives a restart of a node: its journal, and what it durably holds of the other.
#[derive(Debug, Clone)]
pub struct Node {
    pub role: Role,
    pub epoch: Uuid,
    /// Ids of our durable messages; the first has number 1.
    pub journal: Vec<Uuid>,
    /// What the peer acknowledged in our epoch.
    pub acked: Option<u64>,
    /// The peer's epoch, and the ids that we durably hold of it.
    pub known: Option<(Uuid, Vec<Uuid>)>,
    /// Handed over and not yet stored: lost in a restart.
    pub waiting: Vec<Uuid>,
    /// Stored so many at once.
    pub batch: usize,
    /// Everything that the session said, for tests to look at.
    pub said: Vec<Event>,
    pub made: u64,
}

impl Node {
    pub fn new(role: Role, epoch: u8) -> Self {
        Self {
            role,
            epoch: uuid(epoch),
            journal: vec![],
            acked: None,
            known: None,
            waiting: vec![],
            batch: 1,
            said: vec![],
            made: 0,
        }
    }

    /// Puts durable messages into the journal.
    pub fn record(&mut self, count: usize) {
        for _ in 0..count {
            self.made += 1;
            let mut id = self.epoch;
            id.0[..8].copy_from_slice(&self.made.to_be_bytes());
            self.journal.push(id);
        }
    }

    pub fn settings(&self) -> Settings {
        let name = if self.role == Role::Acs { "gate-7" } else { "tapward-1" };
        Settings { window: 4, ..Settings::new(self.role, token(name), self.epoch) }
    }

    pub fn positions(&self) -> Positions {
        Positions {
            last: self.journal.len() as u64,
            acked: self.acked,
            held: self.known.as_ref().map(|(epoch, held)| (*epoch, held.len() as u64)),
        }
    }

    pub fn body(&self) -> Body {
        match self.role {
            Role::Acs => Body::PassEvent(PassEvent { ext: vec![], credential: None, ..pass_event() }),
            Role::Gw => Body::SyncBegin(SyncBegin { of: SyncOf::Credentials, sync_id: uuid(1) }),
        }
    }

    /// What is durably held of the other.
    pub fn held(&self) -> &[Uuid] {
        self.known.as_ref().map_or(&[], |(_, held)| held)
    }

    /// One round of the run-loop contract; false when the session is over.
    pub fn turn(&mut self, session: &mut Session, t: Duration) -> bool {
        let mut up = true;
        while let Some(event) = session.poll_event() {
            match &event {
                Event::Hello(_) => session.welcome(self.positions(), now(t)).unwrap(),
                Event::EpochChanged { .. } => self.known = None,
                Event::Up(agreed) => {
                    let held = self.known.get_or_insert((agreed.epoch, vec![]));
                    assert_eq!((held.0, held.1.len() as u64), (agreed.epoch, agreed.held));
                }
                Event::Durable(durable) => {
                    self.waiting.push(durable.msg.id);
                    if self.waiting.len() >= self.batch {
                        self.store(session, t);
                    }
                }
                Event::Acked { seq } => self.acked = Some(*seq),
                Event::PeerBehind { held, .. } => self.acked = Some(*held),
                Event::Closed(_) => up = false,
                Event::Message(_) | Event::Heartbeat { .. } | Event::Skew { .. } | Event::Complaint(_) => {}
            }
            self.said.push(event);
        }
        while let Some(seq) = session.wants() {
            let Some(id) = self.journal.get(seq as usize - 1) else { break };
            session.send_durable(seq, *id, None, self.body(), now(t)).unwrap();
        }
        up
    }

    /// Stores what waits.
    pub fn store(&mut self, session: &mut Session, t: Duration) {
        let Some((_, held)) = &mut self.known else { return };
        held.append(&mut self.waiting);
        session.committed(held.len() as u64, now(t));
    }

    pub fn codes(&self) -> Vec<Code> {
        self.said
            .iter()
            .filter_map(|event| match event {
                Event::Closed(end) => end.code(),
                _ => None,
            })
            .collect()
    }
}

/// A connection between two nodes; the first one connects.
pub struct Pipe {
    pub t: Duration,
    pub sessions: [Session; 2],
    /// Bytes on the way to each side.
    pub way: [Vec<u8>; 2],
    /// Frames that have gone into the pipe, in both directions together.
    pub frames: usize,
    /// Their documents.
    pub documents: Vec<Vec<u8>>,
}

impl Pipe {
    pub fn new(nodes: &[Node; 2], t: Duration) -> Self {
        let [connector, acceptor] = nodes;
        let connect = Session::connect(connector.settings(), connector.positions(), now(t), counter(1));
        let accept = Session::accept(acceptor.settings(), now(t), counter(101));
        Self { t, sessions: [connect, accept], way: [vec![], vec![]], frames: 0, documents: vec![] }
    }

    /// Both sides act once; at most `chunk` bytes go each way. False when a session is over and has nothing to write.
    pub fn turn(&mut self, nodes: &mut [Node; 2], chunk: usize) -> bool {
        let mut alive = true;
        for (side, node) in nodes.iter_mut().enumerate() {
            let session = &mut self.sessions[side];
            alive &= node.turn(session, self.t);
            let out = session.output(now(self.t)).to_vec();
            session.wrote(out.len(), now(self.t));
            let documents = split(&out);
            self.frames += documents.len();
            self.documents.extend(documents);
            self.way[1 - side].extend(out);
        }
        for side in 0..2 {
            let count = chunk.min(self.way[side].len());
            let taken = self.sessions[side].receive(&self.way[side][..count], now(self.t));
            self.way[side].drain(..taken);
        }
        alive
    }

    /// Lets both sides talk until neither has anything to say for a second of virtual time.
    pub fn settle(&mut self, nodes: &mut [Node; 2], chunk: usize) {
        let mut quiet = 0;
        for _ in 0..100_000 {
            let before = (self.frames, self.way[0].len(), self.way[1].len());
            if !self.turn(nodes, chunk) {
                // What was said last must still arrive.
                while self.way.iter().any(|way| !way.is_empty()) {
                    self.turn(nodes, chunk);
                }
                self.turn(nodes, chunk);
                return;
            }
            quiet = if before == (self.frames, self.way[0].len(), self.way[1].len()) { quiet + 1 } else { 0 };
            if quiet == 20 {
                return;
            }
            self.t += ms(if self.way.iter().all(Vec::is_empty) { 50 } else { 1 });
            for ((node, session), way) in nodes.iter_mut().zip(&mut self.sessions).zip(&self.way) {
                if way.is_empty() {
                    node.store(session, self.t);
                }
            }
        }
        panic!("the nodes never come to rest");
    }
}

/// The documents of whole frames.
pub fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![];
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (document, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        all.push(document.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "output is whole frames");
    all
}

/// A frame of a document.
pub fn framed(document: &[u8]) -> Vec<u8> {
    [&(document.len() as u32).to_be_bytes()[..], document].concat()
}

/// The messages that a session has to write.
pub fn spoken(session: &mut Session, t: Duration) -> Vec<Msg> {
    let out = session.output(now(t)).to_vec();
    session.wrote(out.len(), now(t));
    split(&out).iter().map(|document| read(document).unwrap()).collect()
}

/// What a session makes of a message; its events.
pub fn hear(session: &mut Session, msg: &Msg, t: Duration) -> Vec<Event> {
    let frame = framed(&to_vec(msg).unwrap());
    assert_eq!(session.receive(&frame, now(t)), frame.len());
    std::iter::from_fn(|| session.poll_event()).collect()
}
