//! What became of what was told. Names places in the list and fields, never what they hold.

use domain::{PersonId, codes};

/// Refusals kept in one report; further ones are counted.
pub const REFUSALS_MAX: usize = 1000;

codes! {
    /// What is wrong with a record. Stable codes, keys of translations.
    Problem {
        /// A field is missing.
        Missing = "missing",
        /// A field cannot be read.
        Unreadable = "unreadable",
        /// A field is not known.
        UnknownField = "unknown_field",
        /// A field is longer than it may be.
        TooLong = "too_long",
        /// The text is not UTF-8.
        Encoding = "encoding",
        /// The whole is cut off or no list of records.
        Broken = "broken",
        /// An end lies before its beginning.
        Backwards = "backwards",
        /// The person is not known.
        UnknownPerson = "unknown_person",
        /// The zone does not exist.
        UnknownZone = "unknown_zone",
        /// The access point does not exist or is no workstation.
        UnknownPoint = "unknown_point",
        /// Its ids belong to different persons.
        SeveralPersons = "several_persons",
        /// The card is another person's.
        CardTaken = "card_taken",
        /// The login or practitioner is another person's.
        NameTaken = "name_taken",
        /// The vault is locked: names cannot be stored now. Told again, it will be taken.
        VaultLocked = "vault_locked",
        /// The person was erased and the source still tells of them.
        Erased = "erased",
        /// The vault refuses what is told of the person.
        Passport = "passport",
        /// A merge cannot be taken back.
        Unmerge = "unmerge",
        /// The message asks for something that is not known.
        UnknownOrder = "unknown_order",
    }
}

impl Problem {
    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Missing => "fill it in",
            Self::Unreadable => "write it as the documentation of feeds says",
            Self::UnknownField => "remove it or correct its name",
            Self::TooLong => "shorten it",
            Self::Encoding => "send UTF-8",
            Self::Broken => "send the whole list again",
            Self::Backwards => "exchange or correct the two times",
            Self::UnknownPerson => "send the person first",
            Self::UnknownZone => "correct it, or say on the page of feeds which zone this workplace is",
            Self::UnknownPoint => "name a workstation of the layout",
            Self::SeveralPersons => "merge the two records in the source first, or correct the ids",
            Self::CardTaken => "withdraw it from the other person first, or correct the number",
            Self::NameTaken => "end the other person's record first, or correct it",
            Self::VaultLocked => "open the vault; the record is taken when it is told again",
            Self::Erased => "remove the person from the source",
            Self::Passport => "correct the names, dates or contacts",
            Self::Unmerge => "ask the clinic to correct it by hand: what was joined cannot be told apart again",
            Self::UnknownOrder => "send one of the orders of the documentation of feeds",
        }
    }

    /// Whether telling it again later can help without anybody changing the record.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::VaultLocked | Self::UnknownPerson | Self::UnknownZone | Self::CardTaken)
    }
}

/// A record that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its place in the list, the first being 1; 0: the whole list.
    pub row: u64,
    /// The field, as the documentation calls it; empty: the whole record.
    pub field: &'static str,
    /// What is wrong.
    pub problem: Problem,
    /// In words, without anything of the record.
    pub words: String,
}

/// A whole list that waits for a person's word, because it would end too much. Nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// How many it would end.
    pub would_end: u64,
    /// Of how many.
    pub of: u64,
    /// What to confirm: the number of the held list.
    pub id: u64,
}

/// What became of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Records not told before.
    pub added: u64,
    /// Records that changed something.
    pub changed: u64,
    /// Records that say what is known.
    pub unchanged: u64,
    /// Records older than what is known, and repetitions within the list.
    pub older: u64,
    /// What ended: told so, or missing from a whole list.
    pub ended: u64,
    /// Records in which a source that comes first is believed instead; shown as differences.
    pub differences: u64,
    /// Records that were not taken.
    pub refused: Vec<Refusal>,
    /// How many further ones there are.
    pub more_refused: u64,
    /// The list waits.
    pub held: Option<Held>,
}

impl Report {
    /// Adds a refusal, or counts it.
    pub fn refuse(&mut self, refusal: Refusal) {
        if self.refused.len() < REFUSALS_MAX {
            self.refused.push(refusal);
        } else {
            self.more_refused += 1;
        }
    }

    /// How many records were refused.
    pub fn refusals(&self) -> u64 {
        self.refused.len() as u64 + self.more_refused
    }

    /// Whether some refusals may pass by themselves, so that the records should be told again.
    pub fn worth_repeating(&self) -> bool {
        self.refused.iter().any(|refusal| refusal.problem.may_pass())
    }
}

/// What became of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeOutcome {
    /// Done: this person is left.
    Merged(PersonId),
    /// They were one already.
    Unchanged(PersonId),
}
