//! What a controller must not forget: its numbered events until they are acknowledged, how far it has followed the
//! gateway's commands, and the passes.
//!
//! Owns the meaning of the records in the [`RecordFile`]. Everything that one turn of the controller changes is one
//! record, written by [`Memory::commit`] before anything of it is said or moved: the rotor turns for nobody whose grant
//! is not on the disk. May import `wire::acs_link`.

use std::collections::VecDeque;
use std::path::Path;

use domain::UtcMillis;
use thiserror::Error;
use wire::acs_link::message::CommandStatus;
use wire::acs_link::{Body, Instant, Msg, Stream, Uuid, Version, read, write};

use super::file::{FileError, RECORD_MAX, RecordFile};
use super::passes::{Passes, Verdict};

/// Events that wait for their acknowledgement. With more, the controller is full: it refuses taps ([`Memory::is_full`])
/// rather than forget what happened.
pub const QUEUE_MAX: usize = 50_000;
/// A file longer than this, in bytes, is written anew when most of it is history.
const COMPACT_AT: u64 = 4 << 20;

/// Why the memory cannot be used.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A command out of its turn.
    #[error("command {given} came after {held}: the link lost, doubled or reordered one")]
    Order {
        /// The last command followed.
        held: u64,
        /// The number of the one that came.
        given: u64,
    },
    /// A record holds something that was never written so.
    #[error("{0} holds a record that cannot be understood: remove it to begin anew under another epoch")]
    Strange(String),
}

/// An open memory.
#[derive(Debug)]
pub struct Memory {
    file: RecordFile,
    epoch: Uuid,
    next: u64,
    queue: VecDeque<Msg>,
    acked: u64,
    peer: Option<Uuid>,
    held: u64,
    passes: Passes,
    /// What this turn has changed, as it will be written.
    pending: Vec<u8>,
    compact_at: u64,
}

/// What an entry of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Tag {
    /// The epoch: first of all.
    Born = 1,
    /// An event and its number.
    Event = 2,
    /// Events up to this are acknowledged.
    Acked = 3,
    /// The gateway's epoch: its commands count from 1 again.
    Peer = 4,
    /// A command was followed, with this result.
    Command = 5,
    /// A command as [`Tag::Command`], put back when the file is written anew: moves no number.
    Kept = 6,
    /// Commands up to this were followed.
    Held = 7,
    /// The number of the next event.
    Next = 8,
}

impl Memory {
    /// Opens or makes the file. `fresh` is the epoch of a new one.
    pub fn open(path: &Path, capacity: usize, fresh: Uuid) -> Result<Self, MemoryError> {
        let (file, records) = RecordFile::open(path)?;
        let mut memory = Self {
            file,
            epoch: fresh,
            next: 1,
            queue: VecDeque::new(),
            acked: 0,
            peer: None,
            held: 0,
            passes: Passes::new(capacity),
            pending: Vec::new(),
            compact_at: COMPACT_AT,
        };
        if records.is_empty() {
            memory.note(Tag::Born, &fresh.0);
            memory.commit()?;
        }
        for record in &records {
            memory.recall(record).ok_or_else(|| MemoryError::Strange(path.display().to_string()))?;
        }
        Ok(memory)
    }

    // ---- what it knows ----

    /// Made when the file was: numbers count within it.
    pub const fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// Events that are not acknowledged, oldest first.
    pub const fn queue(&self) -> &VecDeque<Msg> {
        &self.queue
    }

    /// The last event acknowledged.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// The number of the last event there is; 0: none yet.
    pub const fn last(&self) -> u64 {
        self.next - 1
    }

    /// The gateway's epoch, once one has been met.
    pub const fn peer(&self) -> Option<Uuid> {
        self.peer
    }

    /// The last command followed.
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// The passes.
    pub const fn passes(&self) -> &Passes {
        &self.passes
    }

    /// No room for what another tap would bring.
    pub fn is_full(&self) -> bool {
        self.queue.len() + 4 > QUEUE_MAX
    }

    // ---- what happens ----

    /// Queues an event; gives its number.
    pub fn event(&mut self, id: Uuid, re: Option<Uuid>, at: Instant, body: Body) -> u64 {
        let seq = self.next;
        let stream_seq = Some((Stream::Events, seq));
        let msg = Msg { v: Version::V1_0, id, stream_seq, re, sent_at: at, replay: false, body };
        self.note_message(Tag::Event, &msg, &[]);
        self.next += 1;
        self.queue.push_back(msg);
        seq
    }

    /// The gateway holds everything up to `seq`. More than there is counts as all.
    pub fn acknowledged(&mut self, seq: u64) {
        let seq = seq.min(self.last());
        if seq > self.acked {
            self.note(Tag::Acked, &seq.to_be_bytes());
            self.forget_until(seq);
        }
    }

    /// The gateway's epoch; another one than before begins its commands anew.
    pub fn meet(&mut self, epoch: Uuid) {
        if self.peer != Some(epoch) {
            self.note(Tag::Peer, &epoch.0);
            self.begin_commands(epoch);
        }
    }

    /// Numbers count anew within another epoch: what is not acknowledged keeps its identity and is 1, 2, 3 … there.
    pub fn begin_epoch(&mut self, epoch: Uuid) -> Result<(), MemoryError> {
        self.epoch = epoch;
        self.acked = 0;
        for (seq, msg) in (1..).zip(&mut self.queue) {
            msg.stream_seq = Some((Stream::Events, seq));
        }
        self.next = self.queue.len() as u64 + 1;
        self.pending.clear();
        self.compact()
    }

    /// Follows a command, in its turn: what it means for the passes happens here.
    ///
    /// # Errors
    /// If it is not the next one: the session must not have let it through.
    pub fn follow(&mut self, command: &Msg, verdict: Verdict, now: UtcMillis) -> Result<(), MemoryError> {
        let given = command.stream_seq.map_or(0, |(_, seq)| seq);
        if given != self.held + 1 {
            return Err(MemoryError::Order { held: self.held, given });
        }
        let mut head = vec![status_byte(verdict.status)];
        head.extend_from_slice(&now.0.to_be_bytes());
        self.note_message(Tag::Command, command, &head);
        self.held = given;
        self.passes.apply(&command.body, verdict.status, now);
        Ok(())
    }

    /// Writes what changed since the last call; it is on the disk when this returns.
    pub fn commit(&mut self) -> Result<(), MemoryError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.append(&self.pending)?;
        self.pending.clear();
        // Not in the middle of a resync: what it has named is history.
        if self.file.length() > self.compact_at && self.passes.sync().is_none() {
            self.compact()?;
        }
        Ok(())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    // ---- records ----

    fn note(&mut self, tag: Tag, content: &[u8]) {
        entry(&mut self.pending, tag, content);
    }

    fn note_message(&mut self, tag: Tag, msg: &Msg, head: &[u8]) {
        let mut content = head.to_vec();
        content.extend_from_slice(&to_bytes(msg));
        self.note(tag, &content);
    }

    fn forget_until(&mut self, seq: u64) {
        self.acked = seq;
        while self.queue.front().and_then(|msg| msg.stream_seq).is_some_and(|(_, number)| number <= seq) {
            self.queue.pop_front();
        }
    }

    fn begin_commands(&mut self, epoch: Uuid) {
        self.peer = Some(epoch);
        self.held = 0;
        self.passes.forget_sync();
    }

    /// Puts one record back; `None`: it makes no sense.
    fn recall(&mut self, mut record: &[u8]) -> Option<()> {
        while !record.is_empty() {
            let (tag, content, rest) = split_entry(record)?;
            record = rest;
            let number = || Some(u64::from_be_bytes(content.try_into().ok()?));
            match tag {
                Tag::Born => self.epoch = Uuid(content.try_into().ok()?),
                Tag::Event => {
                    let msg = read::read(content).ok()?;
                    self.next = msg.stream_seq?.1 + 1;
                    self.queue.push_back(msg);
                }
                Tag::Acked => self.forget_until(number()?),
                Tag::Peer => self.begin_commands(Uuid(content.try_into().ok()?)),
                Tag::Held => self.held = number()?,
                Tag::Next => self.next = number()?,
                Tag::Command | Tag::Kept => {
                    let (status, rest) = content.split_first()?;
                    let (at, bytes) = rest.split_at_checked(8)?;
                    let at = UtcMillis(i64::from_be_bytes(at.try_into().ok()?));
                    let msg = read::read(bytes).ok()?;
                    if tag == Tag::Command {
                        self.held = msg.stream_seq?.1;
                    }
                    self.passes.apply(&msg.body, *CommandStatus::ALL.get(usize::from(*status))?, at);
                }
            }
        }
        Some(())
    }

    /// Writes the file anew without history.
    fn compact(&mut self) -> Result<(), MemoryError> {
        let mut records = vec![Vec::new()];
        let mut put = |tag, content: &[u8]| {
            if records.last().is_none_or(|record: &Vec<u8>| record.len() + content.len() + 64 > RECORD_MAX) {
                records.push(Vec::new());
            }
            if let Some(record) = records.last_mut() {
                entry(record, tag, content);
            }
        };
        put(Tag::Born, &self.epoch.0);
        if let Some(peer) = self.peer {
            put(Tag::Peer, &peer.0);
        }
        for command in self.passes.as_commands() {
            let mut content = vec![status_byte(CommandStatus::Done)];
            content.extend_from_slice(&i64::MIN.to_be_bytes());
            let stream_seq = Some((Stream::Commands, 1));
            let id = self.epoch;
            let sent_at = Instant::from_utc(UtcMillis(0));
            let msg = Msg { v: Version::V1_0, id, stream_seq, re: None, sent_at, replay: false, body: command };
            content.extend_from_slice(&to_bytes(&msg));
            put(Tag::Kept, &content);
        }
        put(Tag::Held, &self.held.to_be_bytes());
        put(Tag::Next, &(self.acked + 1).to_be_bytes());
        put(Tag::Acked, &self.acked.to_be_bytes());
        for msg in &self.queue {
            put(Tag::Event, &to_bytes(msg));
        }
        self.file.replace(&records)?;
        self.compact_at = COMPACT_AT.max(self.file.length() * 2);
        Ok(())
    }
}

fn entry(record: &mut Vec<u8>, tag: Tag, content: &[u8]) {
    record.push(tag as u8);
    record.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    record.extend_from_slice(content);
}

fn split_entry(record: &[u8]) -> Option<(Tag, &[u8], &[u8])> {
    let (head, rest) = record.split_at_checked(5)?;
    let tag = match head.first()? {
        1 => Tag::Born,
        2 => Tag::Event,
        3 => Tag::Acked,
        4 => Tag::Peer,
        5 => Tag::Command,
        6 => Tag::Kept,
        7 => Tag::Held,
        8 => Tag::Next,
        _ => return None,
    };
    let len = usize::try_from(u32::from_be_bytes(head.get(1..5)?.try_into().ok()?)).ok()?;
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

fn status_byte(status: CommandStatus) -> u8 {
    let place = CommandStatus::ALL.iter().position(|other| *other == status).unwrap_or_default();
    u8::try_from(place).unwrap_or_default()
}

fn to_bytes(msg: &Msg) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Everything queued was made of checked values, or came from the wire.
    if let Err(misfit) = write::write(msg, &mut bytes) {
        tracing::error!(%misfit, "a message cannot be written down");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use wire::acs_link::message::{CredentialIssue, CredentialRevoke, PointState, PointStatus};
    use wire::acs_link::{CredFormat, Credential, Reason, Token};

    use super::*;

    const AT: UtcMillis = UtcMillis(1_792_000_000_000);

    fn event(memory: &mut Memory, n: u8) {
        let at = Instant::from_utc(AT);
        let point = Token::new("clinic/gate").unwrap();
        let status = PointStatus { point, state: PointState::Online, occurred_at: at, ext: Vec::new() };
        memory.event(Uuid([n; 16]), None, at, Body::PointStatus(status));
    }

    fn command(memory: &mut Memory, body: Body) {
        let stream_seq = Some((Stream::Commands, memory.held() + 1));
        let sent_at = Instant::from_utc(AT);
        let msg = Msg { v: Version::V1_0, id: Uuid([9; 16]), stream_seq, re: None, sent_at, replay: false, body };
        let verdict = memory.passes().judge(&msg.body);
        memory.follow(&msg, verdict, AT).unwrap();
    }

    fn issue(n: u8, rev: u64) -> Body {
        Body::CredentialIssue(CredentialIssue {
            key: Token::new(&format!("pass-{n}")).unwrap(),
            rev,
            credential: Credential::new(CredFormat::Wiegand26, &format!("0000{n:02X}")).unwrap(),
            person: Token::new("p").unwrap(),
            from: Instant::from_utc(AT),
            until: Instant::from_utc(AT.plus_ms(1000)),
            levels: Vec::new(),
            ext: Vec::new(),
        })
    }

    fn revoke(n: u8, rev: u64, in_ms: Option<i64>) -> Body {
        let key = Token::new(&format!("pass-{n}")).unwrap();
        let reason = Reason::new("blocked").unwrap();
        let effective_at = in_ms.map(|ms| Instant::from_utc(AT.plus_ms(ms)));
        Body::CredentialRevoke(CredentialRevoke { key, rev, reason, effective_at, credential: None })
    }

    fn fingerprint(memory: &Memory) -> String {
        let passes: Vec<_> = memory.passes().all().collect();
        let queue: Vec<_> = memory.queue().iter().map(|msg| (msg.stream_seq, msg.id)).collect();
        let (last, acked, held) = (memory.last(), memory.acked(), memory.held());
        format!("{:?} {last} {acked} {held} {:?} {queue:?} {passes:?}", memory.epoch(), memory.peer())
    }

    #[test]
    fn a_file_written_anew_without_history_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue");
        let mut memory = Memory::open(&path, 10, Uuid([1; 16])).unwrap();
        memory.meet(Uuid([2; 16]));
        for n in 1..=4 {
            event(&mut memory, n);
            command(&mut memory, issue(n, 5));
        }
        command(&mut memory, revoke(2, 6, None));
        command(&mut memory, revoke(3, 7, Some(500)));
        memory.acknowledged(2);
        memory.commit().unwrap();
        let before = fingerprint(&memory);
        drop(memory);
        let mut memory = Memory::open(&path, 10, Uuid([3; 16])).unwrap();
        assert_eq!(fingerprint(&memory), before);
        let length = memory.file.length();
        memory.compact_at = 0;
        event(&mut memory, 5);
        memory.acknowledged(4);
        memory.commit().unwrap();
        assert!(memory.file.length() < length, "history is gone");
        let before = fingerprint(&memory);
        drop(memory);
        let mut memory = Memory::open(&path, 10, Uuid([4; 16])).unwrap();
        assert_eq!(fingerprint(&memory), before);
        // Also with nothing queued the numbers go on.
        memory.acknowledged(5);
        memory.compact_at = 0;
        memory.commit().unwrap();
        drop(memory);
        let memory = Memory::open(&path, 10, Uuid([4; 16])).unwrap();
        assert_eq!((memory.last(), memory.acked(), memory.queue().len()), (5, 5, 0));
    }

    #[test]
    fn a_command_out_of_its_turn_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(&folder.path().join("queue"), 10, Uuid([1; 16])).unwrap();
        memory.meet(Uuid([2; 16]));
        command(&mut memory, issue(1, 1));
        for seq in [1, 3] {
            let stream_seq = Some((Stream::Commands, seq));
            let sent_at = Instant::from_utc(AT);
            let body = issue(2, 1);
            let msg = Msg { v: Version::V1_0, id: Uuid([9; 16]), stream_seq, re: None, sent_at, replay: false, body };
            assert!(matches!(memory.follow(&msg, Verdict::DONE, AT), Err(MemoryError::Order { held: 1, .. })));
        }
    }

    #[test]
    fn a_new_epoch_numbers_anew_what_was_not_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue");
        let mut memory = Memory::open(&path, 10, Uuid([1; 16])).unwrap();
        (1..=3).for_each(|n| event(&mut memory, n));
        memory.acknowledged(1);
        memory.begin_epoch(Uuid([7; 16])).unwrap();
        let memory = Memory::open(&path, 10, Uuid([8; 16])).unwrap();
        assert_eq!((memory.epoch(), memory.last(), memory.acked()), (Uuid([7; 16]), 2, 0));
        let ids: Vec<_> = memory.queue().iter().map(|msg| (msg.stream_seq.unwrap().1, msg.id.0[0])).collect();
        assert_eq!(ids, [(1, 2), (2, 3)], "identities stay");
    }
}
