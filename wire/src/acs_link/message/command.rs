//! What a gateway orders and decides, and what an access control system asks and answers. Owns their fields; knows no
//! XML. May import the values beside it.

use super::{Direction, Ext};
use crate::acs_link::credential::Credential;
use crate::acs_link::instant::Instant;
use crate::acs_link::token::{ErrCode, Reason, Text, Token, Uuid};

/// May this one pass?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// When it was shown, by the peer's clock.
    pub occurred_at: Instant,
    /// How long the peer waits for the answer, in milliseconds: [`ANSWER_WITHIN_MS`].
    pub answer_within_ms: u32,
    /// What it does without one.
    pub fallback: Verdict,
    /// Where.
    pub point: Token,
    /// What was shown.
    pub credential: Credential,
    /// Which way.
    pub direction: Direction,
    /// Site-specific data.
    pub ext: Vec<Ext>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Yes.
    Grant,
    /// No.
    Deny,
}
words!(Verdict { Grant = "grant", Deny = "deny" });

/// The answer to an AccessRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessDecision {
    /// Yes or no.
    pub decision: Verdict,
    /// Why.
    pub reason: Reason,
    /// After that it is void.
    pub valid_until: Instant,
    /// For the peer's screen: nothing about health.
    pub show: Option<Text>,
}

// ---- commands ----

/// This credential is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialIssue {
    /// Which pass.
    pub key: Token,
    /// Its revision: a higher one replaces a lower one.
    pub rev: u64,
    /// What is shown.
    pub credential: Credential,
    /// Whose it is, as a pseudonym.
    pub person: Token,
    /// Valid from.
    pub from: Instant,
    /// Valid until.
    pub until: Instant,
    /// Where it opens, by the peer's names.
    pub levels: Vec<Token>,
    /// Site-specific data.
    pub ext: Vec<Ext>,
}

/// This pass is valid no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRevoke {
    /// Which pass.
    pub key: Token,
    /// Its revision.
    pub rev: u64,
    /// Why.
    pub reason: Reason,
    /// From when; at once if absent.
    pub effective_at: Option<Instant>,
    /// What was shown with it.
    pub credential: Option<Credential>,
}

/// What became of a command; the envelope's `re` says of which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// What.
    pub status: CommandStatus,
    /// Why not, or a warning.
    pub code: Option<ErrCode>,
    /// When, by the peer's clock.
    pub at: Instant,
    /// For people.
    pub text: Option<Text>,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandStatus {
    /// Done.
    Done,
    /// Taken, to be done.
    Accepted,
    /// This revision is there already.
    Duplicate,
    /// A later revision is there.
    Stale,
    /// Not done.
    Rejected,
    /// It came too late, and was not done.
    Expired,
}
words!(CommandStatus {
    Done = "done",
    Accepted = "accepted",
    Duplicate = "duplicate",
    Stale = "stale",
    Rejected = "rejected",
    Expired = "expired",
});

/// An order to points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// What to do.
    pub action: Action,
    /// After that it must not be done.
    pub expires_at: Instant,
    /// Who ordered it, as a pseudonym.
    pub actor: Token,
    /// Where: 1 to 64 points.
    pub points: Vec<Token>,
}

/// What a point can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let one in.
    PulseIn,
    /// Let one out.
    PulseOut,
    /// Stay open.
    FreePass,
    /// Work as usual.
    Normal,
    /// Stay closed.
    Lock,
    /// Open all: a convenience beside the wired release.
    EmergencyOpen,
}
words!(Action {
    PulseIn = "pulse-in",
    PulseOut = "pulse-out",
    FreePass = "free-pass",
    Normal = "normal",
    Lock = "lock",
    EmergencyOpen = "emergency-open",
});

/// All of them follow, until the SyncEnd with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncBegin {
    /// All what.
    pub of: SyncOf,
    /// Which sync.
    pub sync_id: Uuid,
}

/// What a sync is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncOf {
    /// Credentials.
    Credentials,
    /// Points.
    Points,
}
words!(SyncOf { Credentials = "credentials", Points = "points" });

/// Those were all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncEnd {
    /// Which sync.
    pub sync_id: Uuid,
    /// How many there were.
    pub count: u32,
    /// SHA-256 of the lines `key|rev`, sorted, each ending in a line feed.
    pub sha256: Option<[u8; 32]>,
}
