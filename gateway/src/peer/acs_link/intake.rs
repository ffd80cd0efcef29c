//! What a peer reports: taken in batches, durable with its place in the peer's stream, and only then acknowledged.
//!
//! Owns what waits between the session and the core, at most [`WAITING_MAX`] messages and [`WAITING_MAX_BYTES`] of
//! them: beyond it nothing more is taken from the session, which stops reading. One batch is under way at a time; a
//! connection that ends forgets what waits (the peer sends it again), but not the batch: what comes again of it is
//! recognised by [`Intake::submitted`].

use std::collections::{HashSet, VecDeque};

use domain::Epoch;
use domain::ids::LineId;
use domain::time::UtcMillis;
use store::journal::{Mark, Quarantined};
use wire::acs_link::session::Durable;

use crate::line::{BATCH_MAX_REPORTS, Report};

/// Messages that may wait.
pub const WAITING_MAX: usize = 256;
/// Bytes of messages that may wait.
pub const WAITING_MAX_BYTES: usize = 512 * 1024;
/// Reports that one message may become at most: an event, its counterpart, and a word about its time.
const REPORTS_EACH: usize = 4;

/// What waits, and what is under way.
#[derive(Debug, Default)]
pub struct Intake {
    waiting: VecDeque<Durable>,
    bytes: usize,
    /// Rises with every connection: what was begun on an earlier one and did not reach the core is void.
    generation: u64,
    under_way: bool,
    /// The last message that went to the core.
    submitted: Option<(Epoch, u64)>,
}

/// One message, translated.
#[derive(Debug)]
pub struct Item {
    /// Its number.
    pub seq: u64,
    /// The id of its event, if it is one.
    pub event: Option<String>,
    /// What it says.
    pub reports: Vec<Report>,
    /// It makes no sense and is set aside.
    pub quarantined: Option<Quarantined>,
}

/// Messages that go to the core together.
#[derive(Debug)]
pub struct Group {
    generation: u64,
    epoch: Epoch,
    items: Vec<Item>,
}

impl Intake {
    /// Whether another message may be taken from the session.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX && self.bytes < WAITING_MAX_BYTES
    }

    /// Whether something of an earlier connection is still on its way to the disk.
    pub const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Takes a message. `false`: it is on its way to the disk already, or there.
    pub fn take(&mut self, epoch: Epoch, message: Durable) -> bool {
        if self.submitted.is_some_and(|(of, upto)| of == epoch && message.seq <= upto) {
            return false;
        }
        self.bytes += message.bytes.0.len();
        self.waiting.push_back(message);
        true
    }

    /// The connection is over: the peer will send again what waits.
    pub fn lost(&mut self) {
        self.waiting = VecDeque::new();
        self.bytes = 0;
        self.generation += 1;
    }

    /// The next messages, each translated, if none are under way.
    pub fn group(&mut self, epoch: Epoch, mut translate: impl FnMut(Durable) -> Item) -> Option<Group> {
        if self.under_way || self.waiting.is_empty() {
            return None;
        }
        let (mut items, mut reports) = (Vec::new(), 0);
        while reports + REPORTS_EACH <= BATCH_MAX_REPORTS
            && items.len() < BATCH_MAX_REPORTS
            && let Some(message) = self.waiting.pop_front()
        {
            self.bytes -= message.bytes.0.len();
            let item = translate(message);
            reports += item.reports.len();
            items.push(item);
        }
        self.under_way = true;
        Some(Group { generation: self.generation, epoch, items })
    }

    /// What goes to the core of a group, now that it is known which of its events were taken in before. `None`: its
    /// connection is over, the peer sends it again.
    pub fn submit(
        &mut self,
        group: Group,
        known: HashSet<String>,
        peer: &LineId,
        at: UtcMillis,
    ) -> Option<(Vec<Report>, Mark)> {
        let Some(last) = group.items.last().map(|item| item.seq).filter(|_| group.generation == self.generation) else {
            self.under_way = false;
            return None;
        };
        let mut seen = known;
        let (mut reports, mut events, mut quarantined) = (Vec::new(), Vec::new(), Vec::new());
        for item in group.items {
            if let Some(event) = item.event {
                // Twice within this batch counts as well.
                if !seen.insert(event.clone()) {
                    continue;
                }
                events.push(event);
            }
            reports.extend(item.reports);
            quarantined.extend(item.quarantined);
        }
        self.submitted = Some((group.epoch, last));
        Some((reports, Mark { peer: peer.clone(), epoch: group.epoch, seq: last, at, events, quarantined }))
    }

    /// A group could not even be looked up: it is void, and its connection with it.
    pub fn failed(&mut self) {
        self.under_way = false;
    }

    /// What was submitted last is durable: gives the place reached.
    pub fn stored(&mut self) -> Option<(Epoch, u64)> {
        self.under_way = false;
        self.submitted
    }
}

impl Group {
    /// The ids of its events.
    pub fn events(&self) -> Vec<String> {
        self.items.iter().filter_map(|item| item.event.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::Reason;
    use wire::acs_link::session::Raw;
    use wire::acs_link::{Instant, Msg, Stream, Uuid, Version, message};

    use super::*;

    const EPOCH: Epoch = Epoch([7; 16]);

    fn message(seq: u64, bytes: usize) -> Durable {
        let result = message::CommandResult {
            status: message::CommandStatus::Done,
            code: None,
            at: Instant::from_utc(UtcMillis(0)),
            text: None,
        };
        let msg = Msg {
            v: Version::V1_0,
            id: Uuid([1; 16]),
            stream_seq: Some((Stream::Events, seq)),
            re: None,
            sent_at: Instant::from_utc(UtcMillis(0)),
            replay: false,
            body: message::Body::ControlResult(result),
        };
        Durable { seq, msg: Box::new(msg), bytes: Raw(vec![0; bytes].into()), received_at: UtcMillis(0) }
    }

    fn alarm() -> Report {
        Report::Alarm { reader: None, reason: Reason::Quarantined, detail: None }
    }

    fn item(message: &Durable, event: &str, reports: usize) -> Item {
        let reports = (0..reports).map(|_| alarm()).collect();
        Item { seq: message.seq, event: Some(event.to_owned()), reports, quarantined: None }
    }

    fn peer() -> LineId {
        LineId::new("acs-1").unwrap()
    }

    #[test]
    fn waiting_messages_are_bounded_by_number_and_by_bytes() {
        let mut intake = Intake::default();
        for seq in 1..=WAITING_MAX as u64 {
            assert!(intake.has_room() && intake.take(EPOCH, message(seq, 10)));
        }
        assert!(!intake.has_room());
        intake.lost();
        assert!(intake.has_room() && intake.take(EPOCH, message(1, WAITING_MAX_BYTES)));
        assert!(!intake.has_room());
    }

    #[test]
    fn a_batch_never_holds_more_reports_than_an_append_takes() {
        let mut intake = Intake::default();
        for seq in 1..=40 {
            intake.take(EPOCH, message(seq, 10));
        }
        let group = intake.group(EPOCH, |message| item(&message, &message.seq.to_string(), REPORTS_EACH)).unwrap();
        assert!(intake.group(EPOCH, |message| item(&message, "x", 1)).is_none(), "one at a time");
        let (reports, mark) = intake.submit(group, HashSet::new(), &peer(), UtcMillis(5)).unwrap();
        assert!(reports.len() <= BATCH_MAX_REPORTS);
        assert_eq!(mark.seq as usize, mark.events.len());
    }

    #[test]
    fn the_same_event_counts_once_within_a_batch_and_after_it() {
        let mut intake = Intake::default();
        for seq in 1..=3 {
            intake.take(EPOCH, message(seq, 10));
        }
        let names = ["known", "new", "new"];
        let group = intake.group(EPOCH, |message| item(&message, names[message.seq as usize - 1], 1)).unwrap();
        let known = HashSet::from(["known".to_owned()]);
        let (reports, mark) = intake.submit(group, known, &peer(), UtcMillis(5)).unwrap();
        assert_eq!((reports.len(), mark.seq, mark.events), (1, 3, vec!["new".to_owned()]));
    }

    #[test]
    fn what_a_lost_connection_left_is_taken_again_but_not_what_is_on_its_way() {
        let mut intake = Intake::default();
        intake.take(EPOCH, message(1, 10));
        let group = intake.group(EPOCH, |message| item(&message, "a", 1)).unwrap();
        intake.lost();
        assert!(intake.submit(group, HashSet::new(), &peer(), UtcMillis(0)).is_none(), "void");
        intake.take(EPOCH, message(1, 10));
        let group = intake.group(EPOCH, |message| item(&message, "a", 1)).unwrap();
        intake.submit(group, HashSet::new(), &peer(), UtcMillis(0)).unwrap();
        intake.lost();
        assert!(!intake.take(EPOCH, message(1, 10)), "at the disk already");
        assert!(intake.take(Epoch([8; 16]), message(1, 10)), "another life");
        assert_eq!(intake.stored(), Some((EPOCH, 1)));
        assert!(!intake.is_under_way());
    }
}
