//! One commit: the appends and posts that waited together, judged one after the other and put into one text of SQL.
//!
//! Owns the order in which they are numbered, and what is refused among them. Several statements go to the engine as
//! one text, so in one hand-over to its thread (about 50 µs each); if one fails, the connection is given up, and with
//! it everything that the text had begun.
//!
//! What a crash leaves: all of a group or nothing of it, because it is one commit, and nobody is answered before. A peer
//! that was not acknowledged sends again; what had been written after all is found by its position and event ids.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use domain::{Draft, LineId};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::AppendError;
use super::chain::{self, Link};
use super::file::{self, Head};
use super::peer_file::{self, PeerRow, Recent};
use super::peer_sql::{self, Logged};
use super::peers::{Mark, MarkError, Note, OUTGOING_MAX, Outgoing, Position, PostError, TOLD_MAX, Told};
use crate::Error;

/// Statements for small groups are worth keeping prepared; there are hundreds of sizes of big ones.
const PREPARED_MAX_FACTS: usize = 64;

/// Facts, and with them perhaps the place in a peer's stream.
pub(super) struct Append {
    pub facts: Vec<Draft>,
    pub mark: Option<Box<Mark>>,
    pub answer: oneshot::Sender<Result<RangeInclusive<u64>, AppendError>>,
    pub permit: OwnedSemaphorePermit,
}

impl Append {
    /// Facts, or events where there are more of those.
    pub fn size(&self) -> usize {
        self.facts.len().max(self.mark.as_ref().map_or(0, |mark| mark.events.len().max(1)))
    }
}

/// Messages for a peer.
pub(super) struct Post {
    pub peer: LineId,
    pub messages: Vec<Outgoing>,
    pub answer: oneshot::Sender<Result<RangeInclusive<u64>, PostError>>,
    pub permit: OwnedSemaphorePermit,
}

/// What is committed together.
#[derive(Default)]
pub(super) struct Group {
    pub appends: Vec<Append>,
    pub posts: Vec<Post>,
}

/// What is so after the commit.
pub(super) struct Written {
    pub head: Head,
    pub peers: HashMap<LineId, PeerRow>,
    /// Rows that the log of peers got.
    pub logged: usize,
    /// The first number of each post.
    posted: Vec<u64>,
}

impl Group {
    /// Facts, events and messages in it.
    pub fn size(&self) -> usize {
        let facts: usize = self.appends.iter().map(Append::size).sum();
        let messages: usize = self.posts.iter().map(|post| post.messages.len()).sum();
        facts + messages
    }

    /// Commits everything but what is refused; refusals are answered at once.
    pub async fn write(
        &mut self,
        connection: &mut SqliteConnection,
        mut head: Head,
        peers: &HashMap<LineId, PeerRow>,
    ) -> Result<Written, Error> {
        let mut staged = Staged::new(peers, known_keys(connection, &self.posts, peers).await?);
        let events = self.judge_marks(&mut staged);
        let posted = self.judge_posts(&mut staged);

        let first = head.seq + 1;
        let mut links: Vec<Link> = Vec::new();
        for fact in self.appends.iter_mut().flat_map(|append| &mut append.facts) {
            file::trim(fact);
            head.seq += 1;
            head.link = chain::link(&head.link, head.seq, fact);
            links.push(head.link);
        }
        let facts = self.appends.iter().flat_map(|append| &append.facts);
        let rows = facts.zip(&links).zip(first..).map(|((fact, link), seq)| (seq, fact, *link));
        let mut keep = links.len() <= PREPARED_MAX_FACTS;
        if staged.changed.is_empty() {
            if !links.is_empty() {
                let mut sql = QueryBuilder::new("");
                file::push_entries(&mut sql, rows);
                sql.build().persistent(keep).execute(connection).await?;
            }
            return Ok(Written { head, peers: staged.changed, posted, logged: 0 });
        }

        let mut sql = QueryBuilder::<Sqlite>::new("BEGIN IMMEDIATE; ");
        if !links.is_empty() {
            file::push_entries(&mut sql, rows);
        }
        // A mark of a peer that has its row changes only the log.
        if !staged.to_save.is_empty() {
            let rows = staged.to_save.iter().filter_map(|id| staged.changed.get_key_value(id));
            peer_sql::push_peers(&mut sql, rows);
            keep = false;
        }
        let (logged, usual) = self.push_marks(&mut sql, &staged, &events);
        keep &= usual;
        keep &= self.push_posts(&mut sql, &staged, &posted);
        sql.push("COMMIT");
        sql.build().persistent(keep).execute(connection).await?;
        Ok(Written { head, peers: staged.changed, posted, logged })
    }

    /// Refuses the marks that do not follow, with their facts. Returns the number before the first event of each append.
    fn judge_marks(&mut self, staged: &mut Staged<'_>) -> Vec<u64> {
        let mut before = Vec::with_capacity(self.appends.len());
        for append in std::mem::take(&mut self.appends) {
            match append.mark.as_ref().map_or(Ok(0), |mark| staged.mark(mark)) {
                Ok(events) => {
                    before.push(events);
                    self.appends.push(append);
                }
                Err(error) => {
                    let _ = append.answer.send(Err(AppendError::Mark(error)));
                }
            }
        }
        before
    }

    /// Refuses the posts for which there is no room. Returns the first number of each.
    fn judge_posts(&mut self, staged: &mut Staged<'_>) -> Vec<u64> {
        let mut first = Vec::with_capacity(self.posts.len());
        for post in std::mem::take(&mut self.posts) {
            match staged.post(&post.peer, &post.messages) {
                Ok(seq) => {
                    first.push(seq);
                    self.posts.push(post);
                }
                Err(error) => {
                    let _ = post.answer.send(Err(error));
                }
            }
        }
        first
    }

    /// Returns how many rows the log gets, and whether the text is one of few.
    fn push_marks(&self, sql: &mut QueryBuilder<Sqlite>, staged: &Staged<'_>, events: &[u64]) -> (usize, bool) {
        let (mut logged, mut usual) = (0, true);
        let marks = || {
            let marks = self.appends.iter().zip(events);
            marks.filter_map(|(append, before)| append.mark.as_ref().map(|mark| (mark, *before)))
        };
        let rows = marks().flat_map(|(mark, before)| {
            let peer = staged.no(&mark.peer);
            let position = Position { epoch: mark.epoch, seq: mark.seq, at: mark.at };
            let none = mark.events.is_empty().then_some(Logged { peer, event: None, event_no: before, position });
            let some = mark.events.iter().zip(before + 1..);
            let some = some.map(move |(event, event_no)| Logged { peer, event: Some(event), event_no, position });
            none.into_iter().chain(some)
        });
        peer_sql::push_log(sql, rows.inspect(|_| logged += 1));
        for (mark, _) in marks().filter(|(mark, _)| !mark.quarantined.is_empty()) {
            let at = Position { epoch: mark.epoch, seq: mark.seq, at: mark.at };
            peer_sql::push_quarantine(sql, staged.no(&mark.peer), at, &mark.quarantined);
            usual = false;
        }
        (logged, usual)
    }

    /// Adds the marks to what is known to be in the log.
    pub fn note_events(&self, recent: &mut Recent) {
        for mark in self.appends.iter().filter_map(|append| append.mark.as_ref()) {
            let known = recent.entry(mark.peer.clone()).or_default();
            known.extend(mark.events.iter().map(|event| event.clone().into_bytes()));
        }
    }

    /// Returns whether the text is one of few.
    fn push_posts(&self, sql: &mut QueryBuilder<Sqlite>, staged: &Staged<'_>, first: &[u64]) -> bool {
        if self.posts.is_empty() {
            return true;
        }
        let messages = self.posts.iter().zip(first).flat_map(|(post, first)| {
            let no = staged.no(&post.peer);
            post.messages.iter().zip(*first..).map(move |(message, seq)| (no, seq, message))
        });
        // Of several notes on one pass the last one counts.
        let mut notes: HashMap<(i64, &str), Option<&Told>> = HashMap::new();
        for (no, _, message) in messages.clone() {
            match &message.note {
                Some(Note::Told(told)) => notes.insert((no, &told.key), Some(told)),
                Some(Note::Forget(key)) => notes.insert((no, key), None),
                None => None,
            };
        }
        peer_sql::push_outgoing(sql, messages);
        peer_sql::push_told(sql, notes.iter().filter_map(|((no, _), told)| told.map(|told| (*no, told))));
        for ((no, key), _) in notes.iter().filter(|(_, told)| told.is_none()) {
            peer_sql::push_forget(sql, *no, key);
        }
        false
    }

    /// Tells everybody that it is durable; `first` is the number of the group's first fact.
    pub fn answer(self, mut first: u64, written: &Written) {
        for append in self.appends {
            let after = first + append.facts.len() as u64;
            // A waiter that went away loses only the answer. Without facts the range is empty.
            let _ = append.answer.send(Ok(first..=after - 1));
            drop(append.permit);
            first = after;
        }
        for (post, first) in self.posts.into_iter().zip(&written.posted) {
            let _ = post.answer.send(Ok(*first..=first + post.messages.len() as u64 - 1));
            drop(post.permit);
        }
    }

    /// Tells everybody that it is not known to be durable.
    pub fn fail(self, error: Error) {
        let error = Arc::new(error);
        for append in self.appends {
            let _ = append.answer.send(Err(AppendError::Storage(Arc::clone(&error))));
        }
        for post in self.posts {
            let _ = post.answer.send(Err(PostError::Storage(Arc::clone(&error))));
        }
    }
}

/// Which keys the peers of these posts were told of already.
async fn known_keys(
    connection: &mut SqliteConnection,
    posts: &[Post],
    peers: &HashMap<LineId, PeerRow>,
) -> Result<HashSet<(i64, Vec<u8>)>, Error> {
    let keys: Vec<(i64, &str)> = posts
        .iter()
        .filter_map(|post| Some((peers.get(&post.peer)?.no, &post.messages)))
        .flat_map(|(no, messages)| messages.iter().filter_map(move |message| Some((no, message.note.as_ref()?.key()))))
        .collect();
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    peer_sql::told_keys(connection, keys.into_iter()).await
}

/// The peers as they will be.
struct Staged<'a> {
    peers: &'a HashMap<LineId, PeerRow>,
    changed: HashMap<LineId, PeerRow>,
    /// Those of them whose row is written, not only the log.
    to_save: HashSet<LineId>,
    told: HashSet<(i64, Vec<u8>)>,
}

impl<'a> Staged<'a> {
    fn new(peers: &'a HashMap<LineId, PeerRow>, told: HashSet<(i64, Vec<u8>)>) -> Self {
        Self { peers, changed: HashMap::new(), to_save: HashSet::new(), told }
    }

    /// The row as it is so far, or a new one.
    fn row(&self, id: &LineId) -> PeerRow {
        let fresh = || PeerRow::new(peer_file::next_no(self.peers.values().chain(self.changed.values())));
        self.changed.get(id).or_else(|| self.peers.get(id)).copied().unwrap_or_else(fresh)
    }

    fn no(&self, id: &LineId) -> i64 {
        self.changed.get(id).map_or(0, |row| row.no)
    }

    /// Notes a mark; returns how many events the peer had before.
    fn mark(&mut self, mark: &Mark) -> Result<u64, MarkError> {
        let mut row = self.row(&mark.peer);
        if let Some(held) = row.position.filter(|held| held.epoch == mark.epoch && held.seq >= mark.seq) {
            return Err(MarkError::NotAhead { peer: mark.peer.clone(), seq: mark.seq, held: held.seq });
        }
        let before = row.events;
        row.position = Some(Position { epoch: mark.epoch, seq: mark.seq, at: mark.at });
        row.events += mark.events.len() as u64;
        if !self.peers.contains_key(&mark.peer) {
            self.to_save.insert(mark.peer.clone());
        }
        self.changed.insert(mark.peer.clone(), row);
        Ok(before)
    }

    /// Notes messages; returns the first one's number.
    fn post(&mut self, peer: &LineId, messages: &[Outgoing]) -> Result<u64, PostError> {
        let mut row = self.row(peer);
        let notes = || messages.iter().filter_map(|message| message.note.as_ref());
        let is_new = |note: &Note| matches!(note, Note::Told(told) if !self.told.contains(&(row.no, told.key.clone().into_bytes())));
        let more = notes().filter(|note| is_new(note)).count() as u64;
        let waiting = row.posted.saturating_sub(row.dropped);
        if waiting + messages.len() as u64 > OUTGOING_MAX || more > 0 && row.told + more > TOLD_MAX {
            return Err(PostError::Full { peer: peer.clone(), waiting, told: row.told });
        }
        for note in notes() {
            let key = (row.no, note.key().as_bytes().to_vec());
            match note {
                Note::Told(_) => row.told += u64::from(self.told.insert(key)),
                Note::Forget(_) => row.told = row.told.saturating_sub(u64::from(self.told.remove(&key))),
            }
        }
        let first = row.posted + 1;
        row.posted += messages.len() as u64;
        self.to_save.insert(peer.clone());
        self.changed.insert(peer.clone(), row);
        Ok(first)
    }
}
