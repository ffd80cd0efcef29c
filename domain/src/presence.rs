//! Presence: who is in which zone, which one-time passes are used, who passed where last. Pure state: it is what the
//! recorded facts say, and is rebuilt by applying them again.
//!
//! Owns counts, one-time uses, and grants that are not taken yet. Never decides. May import `policy`, `zone`, `ids`,
//! `event`.

use crate::event::Draft;
use crate::ids::{PersonId, ZoneId};
use crate::policy::Policy;
use crate::time::UtcMillis;

/// Who is where, for one policy's layout.
#[derive(Debug, Clone)]
pub struct Presence {}

impl Presence {
    /// Nobody is anywhere.
    pub fn new(policy: &Policy) -> Self {
        let _ = policy;
        todo!()
    }

    /// Carries everything over to another policy. To be called whenever the policy is swapped.
    pub fn adopt(&mut self, policy: &Policy) {
        let _ = policy;
        todo!()
    }

    /// Applies a recorded fact: `granted` reserves, `passed` moves, `not_taken` gives back; others change nothing.
    pub fn apply(&mut self, policy: &Policy, fact: &Draft) {
        let _ = (policy, fact);
        todo!()
    }

    /// Forgets where a person is, so that anti-passback asks nothing of the next use.
    pub fn forgive(&mut self, person: PersonId) {
        let _ = person;
        todo!()
    }

    /// Forgets where everybody is.
    pub fn forgive_all(&mut self) {
        todo!()
    }

    /// Where a person is: `None` if unknown.
    pub fn zone_of(&self, person: PersonId) -> Option<&ZoneId> {
        let _ = person;
        todo!()
    }

    /// How many persons are in a zone, zones inside it included.
    pub fn count(&self, zone: &ZoneId) -> u32 {
        let _ = zone;
        todo!()
    }

    /// Everybody inside the territory: person, zone, since when.
    pub fn inside(&self) -> impl Iterator<Item = (PersonId, &ZoneId, UtcMillis)> {
        std::iter::empty()
    }
}
