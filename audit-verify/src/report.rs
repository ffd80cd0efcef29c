//! What a check found, in words and in JSON.

use std::fmt;

use domain::audit::TreeHash;
use serde_json::{Value, json};

/// Faults listed one by one; further ones are counted.
pub const FAULTS_MAX: usize = 200;

domain::codes! {
    /// What is wrong.
    FaultKind {
        /// The content of an entry is not the one that its hash was made of.
        EntryAltered = "entry_altered",
        /// The content of an entry is that of another one.
        EntryMoved = "entry_moved",
        /// Entries are missing.
        EntryMissing = "entry_missing",
        /// An entry stands where none was written.
        EntryExtra = "entry_extra",
        /// A column of an entry cannot be read.
        EntryUnreadable = "entry_unreadable",
        /// A note is not the one that was written.
        NoteAltered = "note_altered",
        /// A note is gone, and no entry says that it was blotted out.
        NoteMissing = "note_missing",
        /// The tree above some entries is not theirs.
        NodeAltered = "node_altered",
        /// A part of the tree is missing.
        NodeMissing = "node_missing",
        /// The tree has a part that no entries make.
        NodeExtra = "node_extra",
        /// The stored size or peaks are not those of the entries.
        StateAltered = "state_altered",
        /// A stored head was changed, or was never signed.
        HeadAltered = "head_altered",
        /// A head that was published is not among the stored ones.
        HeadMissing = "head_missing",
        /// A line of a second place is not a head that the key signed.
        HeadUnreadable = "head_unreadable",
        /// Two published heads contradict each other.
        HeadsDisagree = "heads_disagree",
        /// The log is not the one of which a head was signed.
        HistoryChanged = "history_changed",
        /// The end of the log is missing.
        CutOff = "cut_off",
        /// The log is sound in itself, but shorter than what was published: an older copy was put back.
        RolledBack = "rolled_back",
        /// The file ends before its end.
        FileCutOff = "file_cut_off",
    }
}

impl FaultKind {
    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::EntryAltered
            | Self::EntryMoved
            | Self::EntryMissing
            | Self::EntryExtra
            | Self::EntryUnreadable
            | Self::NoteAltered
            | Self::NoteMissing => {
                "keep a copy of the database as evidence; compare these entries with the last backup before the change"
            }
            Self::NodeAltered | Self::NodeMissing | Self::NodeExtra | Self::StateAltered => {
                "keep a copy of the database; the entries below are to be compared with a backup, the tree can be made again \
                 from entries that match a published head"
            }
            Self::HeadAltered | Self::HeadMissing => {
                "keep a copy of the database; the files of second places say what was signed"
            }
            Self::HeadUnreadable => "find out who writes to the second place; compare it with another one",
            Self::HeadsDisagree => {
                "the key signed two histories: two installations use one key, or an older copy was put back and went on"
            }
            Self::HistoryChanged => {
                "somebody rewrote entries of this range; restore the backup whose log matches this head and compare"
            }
            Self::CutOff | Self::RolledBack => {
                "find out who put back an older copy, and when; the entries after its end are in newer backups"
            }
            Self::FileCutOff => "make the export again",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The first and last number of the entries that it is about, where it is about entries.
    pub entries: Option<(u64, u64)>,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entries {
            Some((first, last)) if first == last => write!(f, "entry {first}: ")?,
            Some((first, last)) => write!(f, "entries {first} to {last}: ")?,
            None => {}
        }
        write!(f, "{} [{}]", self.found, self.kind)
    }
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many entries were read.
    pub entries: u64,
    /// The root of the tree above them; `None` if they are only a selection.
    pub root: Option<TreeHash>,
    /// How many published heads this log was compared with.
    pub heads: u64,
    /// Up to which entry a published head agrees with the log.
    pub covered: u64,
    /// What is wrong, at most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// How many faults more there are.
    pub further: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many faults there are in all.
    pub fn count(&self) -> u64 {
        self.faults.len() as u64 + self.further
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let fault = |fault: &Fault| {
            json!({
                "kind": fault.kind.as_str(),
                "first": fault.entries.map(|(first, _)| first),
                "last": fault.entries.map(|(_, last)| last),
                "found": fault.found,
                "advice": fault.kind.advice(),
            })
        };
        json!({
            "sound": self.is_sound(),
            "entries": self.entries,
            "root": self.root.map(|root| root.to_string()),
            "heads": self.heads,
            "covered": self.covered,
            "faults": self.faults.iter().map(fault).collect::<Vec<Value>>(),
            "further_faults": self.further,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, heads, covered, .. } = self;
        writeln!(f, "{entries} entries read, compared with {heads} published heads")?;
        if let Some(root) = self.root {
            writeln!(f, "root {root}")?;
        }
        if self.faults.is_empty() {
            match self.root {
                None => writeln!(f, "each entry agrees with its own hash; a selection shows no more than that")?,
                Some(_) if *covered == 0 => writeln!(
                    f,
                    "sound in itself; without a published head, somebody who rewrote all of it would not be found"
                )?,
                Some(_) => writeln!(f, "sound: entries 1 to {covered} are the ones that were published")?,
            }
            if *covered > 0 && covered < entries {
                writeln!(f, "entries {} to {entries} are newer than the last published head", covered + 1)?;
            }
            return Ok(());
        }
        for fault in &self.faults {
            writeln!(f, "FAULT {fault}\n      {}", fault.kind.advice())?;
        }
        if self.further > 0 {
            writeln!(f, "and {} faults more", self.further)?;
        }
        Ok(())
    }
}
