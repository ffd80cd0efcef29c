//! Keeps a peer's knowledge of passes as it should be, as long as it is connected.
//!
//! Owns what is to be compared and when, and hands out messages at the pace at which the peer takes them: at most
//! [`WAITING_MAX`] of them wait in the journal, so that an order of a person is never behind more. What waits while the
//! peer is away is not messages but the comparison itself: it is made anew when the peer is back.
//!
//! A new policy interrupts a long plan, so that a pass that was withdrawn is taken back at once and not behind fifty
//! thousand others; a resync is interrupted [`RESYNC_RESTARTS_MAX`] times at most, or it would never end.

use std::sync::Arc;
use std::time::Duration;

use domain::UtcMillis;
use domain::ids::LineId;
use domain::policy::Policy;
use tokio::time::Instant;
use wire::acs_link::Uuid;

use super::aim::Aim;
use super::plan::{Order, Plan, Planned, Scope};
use crate::core::SiteKeys;

/// Messages about passes that may wait for the peer's acknowledgement.
pub const WAITING_MAX: u64 = 1024;
/// Messages handed to the journal at once.
pub const POST_MAX: usize = store::journal::POST_MAX_MESSAGES;
/// Plans longer than this are given up for a new policy.
const LONG: usize = 256;
/// How often a resync is begun anew for a new policy.
const RESYNC_RESTARTS_MAX: u32 = 3;
/// How long after a fault the comparison is made again.
const AFTER_FAULT: Duration = Duration::from_secs(1);
/// Everything is compared again this often: rules end and begin by themselves.
const ANEW_EVERY: Duration = Duration::from_secs(3600);
/// A peer that says that a resync does not match is told everything once more, but not more often than this.
const MISMATCH_EVERY: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub struct Telling {
    aim: Aim,
    plan: Option<Plan>,
    /// What has to be compared next.
    scope: Option<Scope>,
    resync: bool,
    restarts: u32,
    /// A comparison or a post is under way.
    busy: bool,
    not_before: Option<Instant>,
    anew_at: Instant,
    mismatch_at: Option<Instant>,
    wanted: u64,
    told: i64,
    unnumbered: u64,
}

/// What to do next.
pub enum Next {
    /// Compare; the outcome to [`Telling::planned`].
    Make(Order),
    /// Store these; the outcome to [`Telling::posted`].
    Post(Vec<Planned>),
}

impl Telling {
    /// Nothing is known of the peer yet.
    pub fn new(aim: Aim) -> Self {
        Self {
            aim,
            plan: None,
            scope: None,
            resync: false,
            restarts: 0,
            busy: false,
            not_before: None,
            anew_at: Instant::now(),
            mismatch_at: None,
            wanted: 0,
            told: 0,
            unnumbered: 0,
        }
    }

    /// The peer is connected: everything is compared, and told again if it may have lost what it knew.
    pub fn connected(&mut self, lost_everything: bool) {
        self.plan = None;
        self.scope = Some(Scope::All);
        self.resync |= lost_everything && !self.aim.is_nobody();
        self.not_before = None;
    }

    /// Another policy is in force.
    pub fn policy_changed(&mut self) {
        let unfinished = self.plan.as_ref().is_some_and(|plan| plan.left() > LONG);
        let resync = self.plan.as_ref().is_some_and(Plan::is_resync);
        if unfinished && (!resync || self.restarts < RESYNC_RESTARTS_MAX) {
            self.restarts += u32::from(resync);
            self.resync |= resync;
            self.plan = None;
            self.scope = Some(Scope::All);
        } else if self.scope.is_none() {
            // The peer knows, or will know when the plan is done, everything by the policy of that plan.
            self.scope = Some(self.plan.as_ref().map_or(Scope::All, |plan| Scope::Since(plan.policy())));
        }
    }

    /// The peer says that what it holds is not what it was told. `false`: it said so too recently to tell it again.
    pub fn mismatch(&mut self, now: Instant) -> bool {
        if self.mismatch_at.is_some_and(|at| now.duration_since(at) < MISMATCH_EVERY) {
            return false;
        }
        self.mismatch_at = Some(now);
        self.connected(true);
        true
    }

    /// What to do next, if anything; `waiting` messages wait for the peer's acknowledgement.
    pub fn next(
        &mut self,
        peer: &LineId,
        policy: Option<&Arc<Policy>>,
        keys: &SiteKeys,
        waiting: u64,
        now: (Instant, UtcMillis),
    ) -> Option<Next> {
        if self.busy || self.not_before.is_some_and(|at| now.0 < at) {
            return None;
        }
        self.not_before = None;
        if let Some(plan) = self.plan.as_mut().filter(|plan| plan.left() > 0) {
            if waiting + POST_MAX as u64 > WAITING_MAX {
                return None;
            }
            let messages = plan.next(POST_MAX, &keys.numbers, &keys.card);
            if plan.left() == 0 && !messages.is_empty() {
                self.restarts = 0;
            }
            if !messages.is_empty() {
                self.busy = true;
                return Some(Next::Post(messages));
            }
        }
        if now.0 >= self.anew_at && self.scope.is_none() && self.plan.is_some() {
            self.scope = Some(Scope::All);
        }
        let policy = Arc::clone(policy?);
        let scope = self.scope.take()?;
        self.busy = true;
        self.anew_at = now.0 + ANEW_EVERY;
        let resync = std::mem::take(&mut self.resync).then(|| {
            let mut id = [0; 16];
            super::fill_random(&mut id);
            Uuid(id)
        });
        Some(Next::Make(Order { peer: peer.clone(), aim: self.aim.clone(), policy, scope, resync, now: now.1 }))
    }

    /// When [`Telling::next`] should be asked again without another cause.
    pub fn deadline(&self) -> Option<Instant> {
        if self.busy {
            return None;
        }
        // A plan that is not done waits for acknowledgements, not for a time.
        let done = self.plan.as_ref().is_some_and(|plan| plan.left() == 0);
        self.not_before.or(done.then_some(self.anew_at))
    }

    /// The comparison is made, or could not be.
    pub fn planned(&mut self, order: &Order, plan: Result<Plan, store::Error>, now: Instant) {
        self.busy = false;
        match plan {
            Ok(plan) => {
                if let Some(wanted) = plan.wanted {
                    self.wanted = wanted;
                    self.told = i64::try_from(plan.told).unwrap_or(i64::MAX);
                    self.unnumbered = plan.unnumbered;
                }
                self.not_before = None;
                if self.scope.is_none() || plan.left() <= LONG {
                    // A policy that came meanwhile is compared with this plan's, when it is done.
                    if let Some(Scope::Since(_)) = self.scope {
                        self.scope = Some(Scope::Since(plan.policy()));
                    }
                    self.plan = Some(plan);
                } else {
                    self.resync |= plan.is_resync();
                    self.scope = Some(Scope::All);
                }
            }
            Err(error) => {
                tracing::warn!(line.id = %order.peer, %error, "what the peer knows could not be compared");
                self.fault(order.resync.is_some(), now);
            }
        }
    }

    /// The messages are stored, or may not be; `grew`: by how many passes the peer knows more with them.
    pub fn posted(&mut self, grew: Option<i64>, now: Instant) {
        self.busy = false;
        match grew {
            Some(grew) => self.told += grew,
            None => {
                let resync = self.plan.as_ref().is_some_and(Plan::is_resync);
                self.fault(resync, now);
            }
        }
    }

    fn fault(&mut self, resync: bool, now: Instant) {
        self.plan = None;
        self.scope = Some(Scope::All);
        self.resync |= resync;
        self.not_before = Some(now + AFTER_FAULT);
    }

    /// Passes that the peer should know.
    pub const fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Passes that it knows, when it has acknowledged everything.
    pub fn told(&self) -> u64 {
        u64::try_from(self.told).unwrap_or(0)
    }

    /// Passes that it should know and that have no number here.
    pub const fn unnumbered(&self) -> u64 {
        self.unnumbered
    }
}
