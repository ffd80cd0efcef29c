//! How feeds are taken. Plain data; the programs fill it in from the configuration.

use chrono_tz::Tz;
use domain::{CategoryId, ConditionId};

use super::Source;

/// When patients' cards that a feed brings work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PatientPasses {
    /// As the record says; without an end they go on.
    #[default]
    AsGiven,
    /// Where the record gives no end: from so long before the first coming appointment until so long after the last one.
    /// Without a coming appointment they do not work.
    Appointments {
        /// Milliseconds before the beginning.
        before_ms: i64,
        /// Milliseconds after the end.
        after_ms: i64,
    },
    /// Where the record gives no end: as long as this condition holds (a contract, an insurance).
    Condition(ConditionId),
}

/// How feeds are taken. [`Settings::new`] is right for nearly everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The clinic's time zone: what "today" is, and dates without a time.
    pub time_zone: Tz,
    /// Whom to believe when several sources tell of one person: the first one that knows them. Sources that are not
    /// listed come after, in the order of their names.
    pub order: Vec<Source>,
    /// A whole list that would end more than this part of what the source told earlier, in percent, waits for a person's
    /// word.
    pub end_max_percent: u8,
    /// Ending so few is never held back.
    pub end_free: u32,
    /// The category of staff whose record names none.
    pub staff_category: CategoryId,
    /// The category of patients whose record names none.
    pub patient_category: CategoryId,
    /// When patients' cards work.
    pub patient_passes: PatientPasses,
    /// Whether a person whose reference (the column `person` of an imported list) is the source's id is taken to be the
    /// same person. Right where the lists came from the same system.
    pub adopt_references: bool,
}

impl Settings {
    /// At most 10 % ended by one list and always 20, categories `staff` and `patient`, cards as given.
    ///
    /// # Panics
    /// Never: the two names are valid.
    pub fn new(time_zone: Tz) -> Self {
        let category = |name: &str| CategoryId::new(name).unwrap_or_else(|_| unreachable!("a valid name"));
        Self {
            time_zone,
            order: Vec::new(),
            end_max_percent: 10,
            end_free: 20,
            staff_category: category("staff"),
            patient_category: category("patient"),
            patient_passes: PatientPasses::default(),
            adopt_references: true,
        }
    }

    /// The place of a source among those to be believed: smaller is believed first.
    pub fn rank(&self, source: &Source) -> usize {
        self.order.iter().position(|known| known == source).unwrap_or(self.order.len())
    }

    /// Whether a source is believed before another one.
    pub fn is_before(&self, source: &Source, other: &Source) -> bool {
        (self.rank(source), source) < (self.rank(other), other)
    }
}
