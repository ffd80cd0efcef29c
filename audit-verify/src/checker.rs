//! The judgement: takes what is stored in the order of the numbers and compares it with itself and with what was
//! published. Without input or output.
//!
//! The tree is grown from the stored hashes of the leaves, so that an entry whose content alone was changed is one
//! fault, not one at every node above it. Nodes above something already found to be wrong are not reported again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::audit::{Entry, NOTE_SALT_BYTES, Node, Peaks, SignedHead, TreeHash, blot_object, note_hash};

use crate::heads::PublishedHead;
use crate::{FAULTS_MAX, Fault, FaultKind, Published, Report};

/// Altered entries kept to find out whether their contents were exchanged.
const ALTERED_MAX: usize = 200;
/// Ranges already found to be wrong that are kept; beyond them nodes above are reported too.
const WRONG_MAX: usize = 100_000;
/// A gap of more numbers than this is not filled: what follows it is not checked.
const GAP_MAX: u64 = 10_000_000;
/// The action of the entry that tells that a note was blotted out, and how it ends.
const BLOTTED: (&str, &str) = ("note_blotted", "done");

/// An entry as it was read.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The stored number.
    pub no: i64,
    /// Its content, with that number; or what cannot be read.
    pub entry: Result<Entry, String>,
    /// The note, if it is there.
    pub note: Option<String>,
    /// The salt of its hash, if it is there.
    pub salt: Option<Vec<u8>>,
    /// The stored hash; `None` if it is not one.
    pub leaf: Option<TreeHash>,
}

/// A head as it is stored in the database.
#[derive(Debug, Clone)]
pub struct StoredHead {
    /// Its number.
    pub no: i64,
    /// The stored size.
    pub size: i64,
    /// The stored time.
    pub at_ms: i64,
    /// The line.
    pub line: String,
}

struct Altered {
    entry: Entry,
    leaf: TreeHash,
}

/// A running check.
pub struct Checker {
    published: Published,
    /// The next published head to be compared.
    next_head: usize,
    /// The stored size; unknown for an export.
    size: Option<u64>,
    peaks: Peaks,
    /// Nodes that the entries make and that were not compared yet.
    made: VecDeque<(Node, TreeHash)>,
    /// Stored heads at sizes that are still to come.
    own: VecDeque<PublishedHead>,
    /// Lines of stored heads at the sizes of the running block.
    own_lines: BTreeSet<String>,
    last_own: i64,
    last_own_size: i64,
    faults: Vec<Fault>,
    further: u64,
    wrong: BTreeMap<u64, u64>,
    altered: Vec<Altered>,
    notes_gone: BTreeSet<u64>,
    /// The size of the last head that agreed, wherever it stood.
    agreed: u64,
    covered: u64,
    history_told: bool,
    gave_up: bool,
}

impl Checker {
    /// A check of a log whose stored size is `size`, if one is stored.
    pub fn new(mut published: Published, size: Option<u64>) -> Self {
        let faults = std::mem::take(&mut published.faults);
        Self {
            published,
            next_head: 0,
            size,
            peaks: Peaks::default(),
            made: VecDeque::new(),
            own: VecDeque::new(),
            own_lines: BTreeSet::new(),
            last_own: 0,
            last_own_size: 0,
            faults,
            further: 0,
            wrong: BTreeMap::new(),
            altered: Vec::new(),
            notes_gone: BTreeSet::new(),
            agreed: 0,
            covered: 0,
            history_told: false,
            gave_up: false,
        }
    }

    /// How many entries have been taken.
    pub const fn entries(&self) -> u64 {
        self.peaks.size()
    }

    /// Whether the rest cannot be checked.
    pub const fn gave_up(&self) -> bool {
        self.gave_up
    }

    pub(crate) fn fault(&mut self, kind: FaultKind, entries: Option<(u64, u64)>, found: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { kind, entries, found: found.into() });
        } else {
            self.further += 1;
        }
    }

    fn mark(&mut self, first: u64, last: u64) {
        if self.wrong.len() < WRONG_MAX {
            self.wrong.insert(first, last);
        }
    }

    fn is_wrong(&self, first: u64, last: u64) -> bool {
        self.wrong.range(..=last).next_back().is_some_and(|(_, end)| *end >= first)
    }

    /// Stored heads of the sizes up to which entries come next, in the order of their numbers.
    pub fn own_heads(&mut self, heads: Vec<StoredHead>) {
        self.own_lines.clear();
        for stored in heads {
            let name = format!("head {} of the database", stored.no);
            if stored.no != self.last_own + 1 {
                let found = format!("the heads from {} to {} are missing", self.last_own + 1, stored.no - 1);
                self.fault(FaultKind::HeadMissing, None, found);
            }
            self.last_own = self.last_own.max(stored.no);
            let (grown, last) = (stored.size > self.last_own_size, self.last_own_size);
            self.last_own_size = last.max(stored.size);
            let problem = match stored.line.parse::<SignedHead>() {
                _ if !grown => format!("it stands behind one of {last} entries"),
                Err(error) => error.to_string(),
                Ok(signed) if signed.head.size.cast_signed() != stored.size || signed.head.at.0 != stored.at_ms => {
                    "its size or time is not that of its line".to_owned()
                }
                Ok(signed) if !self.published.keys.0.is_empty() && !self.published.keys.signed(&signed) => {
                    "no key that was given signed it".to_owned()
                }
                Ok(signed) => {
                    self.own_lines.insert(stored.line);
                    self.own.push_back(PublishedHead { signed, place: name });
                    continue;
                }
            };
            self.fault(FaultKind::HeadAltered, None, format!("{name}: {problem}"));
        }
    }

    /// The next entry, in the order of the stored numbers.
    pub fn entry(&mut self, stored: &Stored) {
        if self.gave_up {
            return;
        }
        let expected = self.peaks.size() + 1;
        let number =
            u64::try_from(stored.no).ok().filter(|no| *no >= expected && self.size.is_none_or(|size| *no <= size));
        let Some(no) = number else { return self.stray_entry(stored.no) };
        if no > expected {
            self.fault(FaultKind::EntryMissing, Some((expected, no - 1)), "removed, or given another number");
            self.mark(expected, no - 1);
            if no - expected > GAP_MAX {
                self.gave_up = true;
                return;
            }
            for _ in expected..no {
                self.grow(TreeHash([0; 32]));
            }
        }
        let leaf = self.leaf(no, stored);
        self.note(no, stored);
        self.grow(leaf);
    }

    /// The hash to go on with.
    fn leaf(&mut self, no: u64, stored: &Stored) -> TreeHash {
        let here = Some((no, no));
        let made = match &stored.entry {
            Ok(entry) => Some(entry.leaf()),
            Err(problem) => {
                self.mark(no, no);
                self.fault(FaultKind::EntryUnreadable, here, problem.clone());
                None
            }
        };
        match (made, stored.leaf) {
            (Some(made), Some(leaf)) if made == leaf => leaf,
            (made, None) => {
                self.mark(no, no);
                self.fault(FaultKind::EntryAltered, here, "its hash is not a hash");
                made.unwrap_or(TreeHash([0; 32]))
            }
            (None, Some(leaf)) => leaf,
            (Some(_), Some(leaf)) => {
                self.mark(no, no);
                match &stored.entry {
                    Ok(entry) if self.altered.len() < ALTERED_MAX => {
                        self.altered.push(Altered { entry: entry.clone(), leaf });
                    }
                    _ => self.fault(FaultKind::EntryAltered, here, "its content is not what its hash was made of"),
                }
                leaf
            }
        }
    }

    fn note(&mut self, no: u64, stored: &Stored) {
        let Ok(entry) = &stored.entry else { return };
        let here = Some((no, no));
        match (&entry.note_hash, &stored.note, &stored.salt) {
            (None, None, None) => {}
            (Some(_), None, None) => {
                self.notes_gone.insert(no);
            }
            (Some(hash), Some(note), Some(salt)) => {
                let salt: Option<&[u8; NOTE_SALT_BYTES]> = salt.as_slice().try_into().ok();
                if salt.is_none_or(|salt| note_hash(salt, note) != *hash) {
                    self.fault(FaultKind::NoteAltered, here, "its note is not what the hash of the note was made of");
                }
            }
            (None, ..) => self.fault(FaultKind::NoteAltered, here, "it has a note, though none was written"),
            (Some(_), ..) => self.fault(FaultKind::NoteAltered, here, "half of its note is gone: text or salt"),
        }
        if (entry.action.as_str(), entry.outcome.as_str()) == BLOTTED
            && let Some(object) = &entry.object
        {
            let blotted = self.notes_gone.iter().copied().find(|gone| blot_object(*gone) == *object);
            if let Some(blotted) = blotted {
                self.notes_gone.remove(&blotted);
            }
        }
    }

    fn grow(&mut self, leaf: TreeHash) {
        let made = &mut self.made;
        self.peaks.append(leaf, |node, hash| made.push_back((node, hash)));
        let size = self.peaks.size();
        let here = |head: &PublishedHead| head.signed.head.size == size;
        if !self.own.front().is_some_and(here) && !self.published.heads.get(self.next_head).is_some_and(here) {
            return;
        }
        let root = self.peaks.root();
        while let Some(head) = self.own.front().filter(|head| here(head)).cloned() {
            self.own.pop_front();
            self.compare(&head, root);
        }
        while let Some(head) = self.published.heads.get(self.next_head).filter(|head| here(head)).cloned() {
            self.next_head += 1;
            if self.size.is_some() && !self.own_lines.contains(&head.signed.to_string()) {
                let found = format!("{} is not among the heads of the database", head.place);
                self.fault(FaultKind::HeadMissing, None, found);
            }
            if self.compare(&head, root) {
                self.covered = size;
            }
        }
    }

    /// Whether a head agrees. Only the first that does not is told: all later ones follow from it.
    fn compare(&mut self, head: &PublishedHead, root: TreeHash) -> bool {
        let told = &head.signed.head;
        if told.root == root {
            self.agreed = told.size;
            return true;
        }
        if !self.history_told {
            self.history_told = true;
            let found = format!(
                "{} signed at {} tells another log of {} entries; the last head that agrees stands at {}",
                head.place, told.at, told.size, self.agreed
            );
            self.fault(FaultKind::HistoryChanged, Some((self.agreed + 1, told.size)), found);
        }
        false
    }

    /// The stored nodes that end with the entries taken since the last call, in the order of (last entry, height); a hash
    /// that is none comes as `None`.
    pub fn nodes(&mut self, stored: &[(i64, i64, Option<TreeHash>)]) {
        let mut made = std::mem::take(&mut self.made).into_iter().peekable();
        for (upto, level, hash) in stored {
            let node = u64::try_from(*upto).ok().zip(u32::try_from(*level).ok());
            let node = node.map(|(upto, level)| Node { upto, level });
            while let Some((missing, _)) = made.next_if(|(next, _)| node.is_some_and(|node| *next < node)) {
                self.node_fault(FaultKind::NodeMissing, missing, "the hash above them is missing");
            }
            match made.next_if(|(next, _)| Some(*next) == node) {
                Some((node, made)) if *hash != Some(made) => {
                    self.node_fault(
                        FaultKind::NodeAltered,
                        node,
                        "the hash above them is not theirs: one of them, or the hash, was changed",
                    );
                }
                Some(_) => {}
                None => self.stray_node(*upto, *level),
            }
        }
        for (missing, _) in made {
            self.node_fault(FaultKind::NodeMissing, missing, "the hash above them is missing");
        }
    }

    /// An entry of a selection: compared with its own hash only.
    pub(crate) fn lone_entry(&mut self, stored: &Stored) {
        let no = stored.no.unsigned_abs();
        let _ = self.leaf(no, stored);
        self.note(no, stored);
        // Who blotted out a note need not be in the selection.
        self.notes_gone.clear();
    }

    /// The root of what has been taken.
    pub(crate) fn root(&self) -> TreeHash {
        self.peaks.root()
    }

    /// A head that came with the log itself; it shows that the key signed this state, not that anybody was told.
    pub(crate) fn late_head(&mut self, signed: SignedHead, site: Option<&str>) {
        let head = &signed.head;
        let problem = if !self.published.keys.signed(&signed) {
            "no key that was given signed it"
        } else if site.is_some_and(|site| site != head.site.as_str()) {
            "it is of another site"
        } else if head.size > self.peaks.size() {
            "it tells of more entries"
        } else if head.size == self.peaks.size() && head.root != self.peaks.root() {
            "it tells another root"
        } else {
            return;
        };
        self.fault(FaultKind::HeadAltered, None, format!("the head in the last line: {problem}"));
    }

    /// A stored entry outside the log that the state tells of.
    pub fn stray_entry(&mut self, no: i64) {
        let place = u64::try_from(no).ok().map(|no| (no, no));
        self.fault(FaultKind::EntryExtra, place, format!("nothing was written under the number {no}"));
    }

    /// A stored head of a size that the log never had.
    pub fn stray_head(&mut self, no: i64) {
        let found = format!("head {no} of the database is of a size that the log does not have");
        self.fault(FaultKind::HeadAltered, None, found);
    }

    /// A stored node that no entries make.
    pub fn stray_node(&mut self, upto: i64, level: i64) {
        let found = format!("a hash of height {level} ending with entry {upto} stands where none belongs");
        self.fault(FaultKind::NodeExtra, None, found);
    }

    fn node_fault(&mut self, kind: FaultKind, node: Node, found: &str) {
        let (first, last) = (node.first(), node.upto);
        if !self.is_wrong(first, last) {
            self.fault(kind, Some((first, last)), format!("{found} (height {})", node.level));
            self.mark(first, last);
        }
    }

    /// The end: `state` is the stored state, if this log has one; or what cannot be read of it.
    pub fn finish(mut self, state: Option<Result<Peaks, String>>) -> Report {
        self.tell_altered();
        let entries = self.peaks.size();
        match state {
            Some(Ok(state)) if state.size() > entries => {
                let found = format!("the stored size is {}, but the entries end at {entries}", state.size());
                self.fault(FaultKind::CutOff, Some((entries + 1, state.size())), found);
            }
            Some(Ok(state)) if state != self.peaks && self.wrong.is_empty() => {
                self.fault(FaultKind::StateAltered, None, "the stored peaks are not those of the entries");
            }
            Some(Err(problem)) => self.fault(FaultKind::StateAltered, None, problem),
            Some(Ok(_)) | None => {}
        }
        for gone in std::mem::take(&mut self.notes_gone) {
            self.fault(
                FaultKind::NoteMissing,
                Some((gone, gone)),
                "its note is gone, and no entry says who blotted it out",
            );
        }
        if let Some(last) = self.published.heads.last().filter(|last| last.signed.head.size > entries).cloned() {
            let in_itself = self.faults.is_empty();
            let kind = if in_itself { FaultKind::RolledBack } else { FaultKind::CutOff };
            let head = &last.signed.head;
            let found =
                format!("{} tells of {} entries at {}, the log ends at {entries}", last.place, head.size, head.at);
            self.fault(kind, Some((entries + 1, head.size)), found);
        }
        self.faults.sort_by_key(|fault| fault.entries.map_or((1, 0), |(first, _)| (0, first)));
        Report {
            entries,
            root: Some(self.peaks.root()),
            heads: self.published.heads.len() as u64,
            covered: self.covered,
            faults: self.faults,
            further: self.further,
        }
    }

    /// Tells altered entries, and of which other entry they have the content.
    fn tell_altered(&mut self) {
        let altered = std::mem::take(&mut self.altered);
        for one in &altered {
            let no = one.entry.no;
            let from = altered.iter().find(|other| {
                let there = Entry { no: other.entry.no, ..one.entry.clone() }.leaf();
                other.entry.no != no && (there == one.leaf || there == other.leaf)
            });
            match from {
                Some(from) => {
                    let found = format!("it has the content of entry {}", from.entry.no);
                    self.fault(FaultKind::EntryMoved, Some((no, no)), found);
                }
                None => {
                    let found = "its content is not what its hash was made of";
                    self.fault(FaultKind::EntryAltered, Some((no, no)), found);
                }
            }
        }
    }
}
