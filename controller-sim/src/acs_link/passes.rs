//! The passes that a controller was told: who may pass while the link is down.
//!
//! Owns keys, revisions, the capacity and the full resync. Judges a command first and applies it afterwards, so that
//! the verdict can be on the disk before anything changes. Never asks for the time: it is a parameter. May import
//! `wire::acs_link`.

use std::collections::{BTreeMap, HashMap, VecDeque};

use domain::UtcMillis;
use domain::card::CardNumber;
use wire::acs_link::digest::sync_digest;
use wire::acs_link::message::{CommandStatus, CredentialIssue, CredentialRevoke, SyncBegin, SyncEnd, SyncOf};
use wire::acs_link::{Body, Code, Instant, Reason, Token, Uuid};

/// How many revoked keys are remembered for each pass of the capacity, so that a late issue is seen to be stale. Then
/// the one that was revoked first is forgotten.
const REVOKED_MAX_FACTOR: usize = 2;

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// For the result.
    pub status: CommandStatus,
    /// Why not.
    pub code: Option<Code>,
}

impl Verdict {
    /// Carried out.
    pub const DONE: Self = Self { status: CommandStatus::Done, code: None };

    /// Not carried out.
    pub const fn rejected(code: Code) -> Self {
        Self { status: CommandStatus::Rejected, code: Some(code) }
    }

    const fn unchanged(status: CommandStatus) -> Self {
        Self { status, code: None }
    }
}

/// What the cache says about a card at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It may pass.
    Valid(Token),
    /// Its holder is known and may not: why, as a Reason of the link.
    Invalid(Token, &'static str),
    /// No pass has it.
    Unknown,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pass {
    /// Issued; revoked from then on, if a time was given.
    Issued(Box<CredentialIssue>, Option<UtcMillis>),
    /// Revoked: only its revision is kept.
    Revoked(u64),
}

impl Pass {
    /// Its revision.
    pub fn rev(&self) -> u64 {
        match self {
            Self::Issued(issue, _) => issue.rev,
            Self::Revoked(rev) => *rev,
        }
    }
}

/// A full resync that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Which.
    pub id: Uuid,
    /// Keys and revisions named since.
    pub named: BTreeMap<Token, u64>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Passes {
    capacity: usize,
    all: BTreeMap<Token, Pass>,
    /// The issued pass of each card, by its canonical number.
    by_card: HashMap<String, Token>,
    issued: usize,
    /// Revoked keys, the first revoked first.
    revoked: VecDeque<Token>,
    sync: Option<Sync>,
}

impl Passes {
    /// None yet, and room for so many.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// What is to become of a command about credentials.
    pub fn judge(&self, command: &Body) -> Verdict {
        match command {
            Body::CredentialIssue(issue) => self.judge_issue(issue),
            Body::CredentialRevoke(revoke) => self.judge_rev(&revoke.key, revoke.rev).unwrap_or(Verdict::DONE),
            Body::SyncBegin(SyncBegin { of: SyncOf::Credentials, .. }) => Verdict::DONE,
            Body::SyncEnd(end) => self.judge_end(end),
            _ => Verdict::rejected(Code::CommandUnsupported),
        }
    }

    fn judge_issue(&self, issue: &CredentialIssue) -> Verdict {
        if let Some(verdict) = self.judge_rev(&issue.key, issue.rev) {
            return verdict;
        }
        let Ok(card) = issue.credential.card() else { return Verdict::rejected(Code::CredentialFormat) };
        if self.by_card.get(&card.reveal()).is_some_and(|other| *other != issue.key) {
            return Verdict::rejected(Code::CredentialConflict);
        }
        let new = !matches!(self.all.get(&issue.key), Some(Pass::Issued(..)));
        if new && self.issued >= self.capacity {
            return Verdict::rejected(Code::CredentialCapacity);
        }
        Verdict::DONE
    }

    fn judge_rev(&self, key: &Token, rev: u64) -> Option<Verdict> {
        match self.all.get(key)?.rev() {
            known if known == rev => Some(Verdict::unchanged(CommandStatus::Duplicate)),
            known if known > rev => Some(Verdict::unchanged(CommandStatus::Stale)),
            _ => None,
        }
    }

    fn judge_end(&self, end: &SyncEnd) -> Verdict {
        let good = self.sync.as_ref().is_some_and(|sync| {
            sync.id == end.sync_id
                && u32::try_from(sync.named.len()) == Ok(end.count)
                && end.sha256.is_none_or(|wanted| wanted == digest(&sync.named))
        });
        if good { Verdict::DONE } else { Verdict::rejected(Code::SyncMismatch) }
    }

    /// Does what [`Passes::judge`] said. Also used to build the cache again from the file.
    pub fn apply(&mut self, command: &Body, status: CommandStatus, now: UtcMillis) {
        let done = matches!(status, CommandStatus::Done | CommandStatus::Accepted);
        match command {
            Body::CredentialIssue(issue) => {
                if done {
                    self.put(issue);
                }
                self.name(&issue.key, issue.rev);
            }
            Body::CredentialRevoke(revoke) if done => self.revoke(revoke, now),
            Body::SyncBegin(begin) if done => self.sync = Some(Sync { id: begin.sync_id, named: BTreeMap::new() }),
            Body::SyncEnd(_) => {
                if let Some(sync) = self.sync.take().filter(|_| done) {
                    let absent: Vec<Token> =
                        self.all.keys().filter(|key| !sync.named.contains_key(*key)).cloned().collect();
                    for key in absent {
                        self.remove(&key);
                    }
                }
            }
            _ => {}
        }
    }

    /// Begins anew with the commands of a new epoch: revisions stay, for keys are the same passes; a resync that was
    /// under way is void.
    pub fn forget_sync(&mut self) {
        self.sync = None;
    }

    fn put(&mut self, issue: &CredentialIssue) {
        self.remove(&issue.key);
        if let Ok(card) = issue.credential.card() {
            self.by_card.insert(card.reveal(), issue.key.clone());
        }
        self.issued += 1;
        self.all.insert(issue.key.clone(), Pass::Issued(Box::new(issue.clone()), None));
    }

    fn revoke(&mut self, revoke: &CredentialRevoke, now: UtcMillis) {
        let later = revoke.effective_at.map(|at| at.to_utc()).filter(|at| *at > now);
        if let (Some(at), Some(Pass::Issued(issue, until))) = (later, self.all.get_mut(&revoke.key)) {
            issue.rev = revoke.rev;
            *until = Some(at);
            return;
        }
        self.remove(&revoke.key);
        if self.revoked.len() >= self.capacity.saturating_mul(REVOKED_MAX_FACTOR).max(1)
            && let Some(oldest) = self.revoked.pop_front()
        {
            self.all.remove(&oldest);
        }
        self.revoked.push_back(revoke.key.clone());
        self.all.insert(revoke.key.clone(), Pass::Revoked(revoke.rev));
    }

    fn remove(&mut self, key: &Token) {
        match self.all.remove(key) {
            Some(Pass::Issued(issue, _)) => {
                self.issued -= 1;
                if let Ok(card) = issue.credential.card() {
                    self.by_card.remove(&card.reveal());
                }
            }
            Some(Pass::Revoked(_)) => self.revoked.retain(|other| other != key),
            None => {}
        }
    }

    fn name(&mut self, key: &Token, rev: u64) {
        if let Some(sync) = &mut self.sync {
            sync.named.insert(key.clone(), rev);
        }
    }

    /// Whether a card may pass at a point now, by the controller's own clock (`None`: it does not know the time). A
    /// pass without levels opens every point, else the points that it names.
    pub fn find(&self, card: &CardNumber, point: &Token, now: Option<UtcMillis>) -> Found {
        let Some(Pass::Issued(issue, revoked)) = self.by_card.get(&card.reveal()).and_then(|key| self.all.get(key))
        else {
            return Found::Unknown;
        };
        let person = issue.person.clone();
        let Some(now) = now else { return Found::Invalid(person, "clock-unset") };
        if revoked.is_some_and(|at| at <= now) {
            return Found::Invalid(person, "revoked");
        }
        if now < issue.from.to_utc() {
            return Found::Invalid(person, "not-yet-valid");
        }
        if now >= issue.until.to_utc() {
            return Found::Invalid(person, "credential-expired");
        }
        if !issue.levels.is_empty() && !issue.levels.contains(point) {
            return Found::Invalid(person, "no-rule");
        }
        Found::Valid(person)
    }

    /// Commands that lead to these passes, for a file that is written anew.
    pub(super) fn as_commands(&self) -> Vec<Body> {
        let mut commands = Vec::new();
        for pass in self.all.values() {
            let Pass::Issued(issue, revoked) = pass else { continue };
            commands.push(Body::CredentialIssue((**issue).clone()));
            let effective_at = revoked.map(Instant::from_utc);
            if effective_at.is_some() {
                commands.extend(revocation(&issue.key, issue.rev, effective_at));
            }
        }
        // In the order in which they were revoked, which is that in which they are forgotten.
        for key in &self.revoked {
            if let Some(pass) = self.all.get(key) {
                commands.extend(revocation(key, pass.rev(), None));
            }
        }
        commands
    }

    /// Keys and what they are.
    pub fn all(&self) -> impl Iterator<Item = (&Token, &Pass)> {
        self.all.iter()
    }

    /// Passes issued and not revoked.
    pub const fn issued(&self) -> usize {
        self.issued
    }

    /// The resync under way.
    pub const fn sync(&self) -> Option<&Sync> {
        self.sync.as_ref()
    }
}

fn revocation(key: &Token, rev: u64, effective_at: Option<Instant>) -> Option<Body> {
    let reason = Reason::new("revoked").ok()?;
    Some(Body::CredentialRevoke(CredentialRevoke { key: key.clone(), rev, reason, effective_at, credential: None }))
}

fn digest(named: &BTreeMap<Token, u64>) -> [u8; 32] {
    let mut passes: Vec<_> = named.iter().map(|(key, rev)| (key.clone(), *rev)).collect();
    sync_digest(&mut passes)
}
