//! From what a peer was told to what it should know: which messages are missing, revocations first.
//!
//! Owns the comparison and the order of messages. Never sends and never stores: [`super::telling`] does. A plan holds
//! 40 bytes a message that is missing, whatever the messages will be: they are made one after another.
//!
//! Revisions are wall time in milliseconds, or one more than the last where that is higher: they rise also when our
//! journal was lost, which numbers of our own would not.

use std::collections::HashMap;
use std::sync::Arc;

use domain::UtcMillis;
use domain::card::{CardKey, SealKey};
use domain::ids::{CardId, LineId};
use domain::policy::Policy;
use sha2::{Digest, Sha256};
use store::journal::{Journal, Note, READ_MAX, Told};
use wire::acs_link::message::{Body, SyncBegin, SyncEnd, SyncOf};
use wire::acs_link::{Token, Uuid};

use super::aim::{Aim, Look, PassDigest, key_of};

/// More changes than this between two policies are worked out anew from everything that the peer was told.
const CHANGES_MAX: usize = 1000;
/// The digest of a pass that was taken back: its revision must be remembered.
const GONE: PassDigest = [0; 16];
/// The key under which the journal remembers whether a resync came to its end. No pass has it.
const SYNC_KEY: &str = "sync";
const SYNC_RUNS: PassDigest = [1; 16];
const SYNC_DONE: PassDigest = [2; 16];

/// What has to be looked at.
#[derive(Debug, Clone)]
pub enum Scope {
    /// All passes.
    All,
    /// What has changed since this policy, which the peer knows all of.
    Since(Arc<Policy>),
}

/// What a plan is made of.
#[derive(Clone)]
pub struct Order {
    /// Whose.
    pub peer: LineId,
    /// What it should know.
    pub aim: Aim,
    /// By this policy.
    pub policy: Arc<Policy>,
    /// What to look at.
    pub scope: Scope,
    /// Tell everything again, between `SyncBegin` and `SyncEnd` with this id.
    pub resync: Option<Uuid>,
    /// Wall time.
    pub now: UtcMillis,
}

/// Messages to be sent, in their order.
#[derive(Debug)]
pub struct Plan {
    policy: Arc<Policy>,
    aim: Aim,
    now: UtcMillis,
    steps: Vec<Step>,
    at: usize,
    sync: Option<Sync>,
    /// Passes that the peer should know; only a plan of everything knows how many.
    pub wanted: Option<u64>,
    /// Of those that it should know, so many have no number here.
    pub unnumbered: u64,
    /// Passes that it was told of and that count, before this plan.
    pub told: u64,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Revoke { card: CardId, rev: u64 },
    Begin,
    Issue { card: CardId, rev: u64, digest: PassDigest, fresh: bool },
    End,
}

#[derive(Debug)]
struct Sync {
    id: Uuid,
    count: u32,
    hash: Sha256,
}

/// One message of a plan.
#[derive(Debug)]
pub struct Planned {
    /// What it says.
    pub body: Body,
    /// What the journal is to remember of it.
    pub note: Option<Note>,
    /// By how many the passes that the peer knows grow.
    pub grows: i64,
}

/// What a peer was told of one pass.
#[derive(Debug, Clone, Copy)]
struct Known {
    rev: u64,
    digest: PassDigest,
}

/// Works out what a peer has to be told. Reads the journal, page by page, and compares off the async threads.
///
/// # Errors
/// Those of the journal.
pub async fn make(journal: &Journal, order: Order) -> Result<Plan, store::Error> {
    let cards = match &order.scope {
        Scope::Since(before) if order.resync.is_none() => {
            let (aim, before, policy, now) = (order.aim.clone(), before.clone(), order.policy.clone(), order.now);
            blocking(move || changed(&aim, &before, &policy, now)).await
        }
        Scope::Since(_) | Scope::All => None,
    };
    let (known, mut interrupted) = match &cards {
        Some(cards) => (some_told(journal, &order.peer, cards).await?, false),
        None => all_told(journal, &order.peer).await?,
    };
    interrupted &= !order.aim.is_nobody();
    let mut order = order;
    if interrupted && order.resync.is_none() {
        order.resync = Some(fresh_id());
    }
    Ok(blocking(move || compare(order, cards, &known)).await)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            // A fault of ours goes on where it can be seen.
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the end of the whole program cancels it; nobody waits for the answer any more.
            Err(_) => std::future::pending().await,
        },
    }
}

fn fresh_id() -> Uuid {
    let mut bytes = [0; 16];
    super::fill_random(&mut bytes);
    Uuid(bytes)
}

/// Cards of which the peer should know something else than by the policy before; `None`: too many to name.
fn changed(aim: &Aim, before: &Policy, policy: &Policy, now: UtcMillis) -> Option<Vec<CardId>> {
    let (mut old, mut new) = (aim.look(before, now), aim.look(policy, now));
    let mut cards = Vec::new();
    for pass in policy.passes() {
        let wanted = new.wanted(pass, &mut 0);
        let known = before.pass(pass.card()).and_then(|pass| Some((pass.person(), old.wanted(pass, &mut 0)?)));
        if wanted.map(|wanted| (pass.person(), wanted)) != known {
            cards.push(pass.card());
        }
    }
    cards.extend(before.passes().map(|pass| pass.card()).filter(|card| policy.pass(*card).is_none()));
    (cards.len() <= CHANGES_MAX).then_some(cards)
}

/// What the peer was told of everything, and whether it has to be told everything again because that never came to an
/// end.
async fn all_told(journal: &Journal, peer: &LineId) -> Result<(HashMap<CardId, Known>, bool), store::Error> {
    let (mut known, mut done, mut after) = (HashMap::new(), false, None);
    loop {
        let page = journal.told(peer, after.as_deref(), READ_MAX).await?;
        let Some(last) = page.last() else { return Ok((known, !done)) };
        after = Some(last.key.clone());
        for Told { key, rev, digest } in page {
            match key.parse() {
                Ok(card) => drop(known.insert(card, Known { rev, digest })),
                Err(_) => done |= key == SYNC_KEY && digest == SYNC_DONE,
            }
        }
    }
}

/// What the peer was told of some passes.
async fn some_told(journal: &Journal, peer: &LineId, cards: &[CardId]) -> Result<HashMap<CardId, Known>, store::Error> {
    let mut known = HashMap::new();
    for card in cards {
        // Keys are read behind another: behind the one just before this one.
        let before = u128::from_be_bytes(card.0).checked_sub(1).map(|before| format!("{before:032x}"));
        let next = journal.told(peer, before.as_deref(), 1).await?;
        if let Some(Told { rev, digest, .. }) = next.into_iter().find(|told| told.key.parse() == Ok(*card)) {
            known.insert(*card, Known { rev, digest });
        }
    }
    Ok(known)
}

fn compare(order: Order, cards: Option<Vec<CardId>>, known: &HashMap<CardId, Known>) -> Plan {
    let Order { aim, policy, resync, now, .. } = order;
    let now_rev = u64::try_from(now.0).unwrap_or(1).max(1);
    let next_rev = |card: &CardId| known.get(card).map_or(now_rev, |known| now_rev.max(known.rev.saturating_add(1)));
    let (mut issues, mut wanted_count, mut unnumbered) = (Vec::new(), 0, 0);
    let mut kept: HashMap<CardId, ()> = HashMap::new();
    let mut look = aim.look(&policy, now);
    let mut consider = |look: &mut Look<'_>, pass: &domain::policy::Pass| {
        let Some(wanted) = look.wanted(pass, &mut unnumbered) else { return };
        wanted_count += 1;
        let card = pass.card();
        kept.insert(card, ());
        let digest = look.digest(pass, &wanted);
        if resync.is_some() || known.get(&card).is_none_or(|known| known.digest != digest) {
            let fresh = known.get(&card).is_none_or(|known| known.digest == GONE);
            issues.push(Step::Issue { card, rev: next_rev(&card), digest, fresh });
        }
    };
    match &cards {
        Some(cards) => cards.iter().filter_map(|card| policy.pass(*card)).for_each(|pass| consider(&mut look, pass)),
        None => policy.passes().for_each(|pass| consider(&mut look, pass)),
    }
    let live = |known: &&Known| known.digest != GONE;
    let told = known.values().filter(live).count() as u64;
    let gone = known.iter().filter(|(card, known)| live(known) && !kept.contains_key(card));
    let mut steps: Vec<Step> = gone.map(|(card, _)| Step::Revoke { card: *card, rev: next_rev(card) }).collect();
    // In the order of their keys, which the digest of a resync asks for.
    issues.sort_unstable_by_key(|step| if let Step::Issue { card, .. } = step { card.0 } else { [0; 16] });
    if resync.is_some() {
        steps.push(Step::Begin);
        steps.append(&mut issues);
        steps.push(Step::End);
    } else {
        steps.append(&mut issues);
    }
    drop(look);
    let sync = resync.map(|id| Sync { id, count: 0, hash: Sha256::new() });
    let wanted = cards.is_none().then_some(wanted_count);
    Plan { policy, aim, now, steps, at: 0, sync, wanted, unnumbered, told }
}

impl Plan {
    /// By which policy.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// Messages still to be made.
    pub fn left(&self) -> usize {
        self.steps.len() - self.at
    }

    /// Whether it tells everything again and is not done with that.
    pub const fn is_resync(&self) -> bool {
        self.sync.is_some() && self.at < self.steps.len()
    }

    /// The next messages, at most `most`; fewer where passes cannot be told.
    pub fn next(&mut self, most: usize, seal: &SealKey, cards: &CardKey) -> Vec<Planned> {
        let policy = Arc::clone(&self.policy);
        let aim = self.aim.clone();
        let mut look = aim.look(&policy, self.now);
        let mut made = Vec::with_capacity(most.min(self.left()));
        while made.len() < most
            && let Some(step) = self.steps.get(self.at).copied()
        {
            self.at += 1;
            made.extend(self.message(step, &mut look, seal, cards));
        }
        if self.at == self.steps.len() {
            self.steps = Vec::new();
            self.at = 0;
        }
        made
    }

    fn message(&mut self, step: Step, look: &mut Look<'_>, seal: &SealKey, cards: &CardKey) -> Option<Planned> {
        let told = |key: Token, rev, digest| Some(Note::Told(Told { key: key.as_str().to_owned(), rev, digest }));
        let of_sync = |rev: UtcMillis, digest| {
            let rev = u64::try_from(rev.0).unwrap_or(1).max(1);
            Some(Note::Told(Told { key: SYNC_KEY.to_owned(), rev, digest }))
        };
        match step {
            Step::Revoke { card, rev } => {
                Some(Planned { body: look.revoke(card, rev), note: told(key_of(card), rev, GONE), grows: -1 })
            }
            Step::Issue { card, rev, digest, fresh } => {
                let pass = look.policy().pass(card)?;
                let wanted = look.wanted(pass, &mut 0)?;
                let body = look.issue(pass, &wanted, rev, seal, cards)?;
                if let Some(sync) = &mut self.sync {
                    sync.count += 1;
                    sync.hash.update(format!("{card}|{rev}\n"));
                }
                Some(Planned { body, note: told(key_of(card), rev, digest), grows: fresh.into() })
            }
            Step::Begin => {
                let sync_id = self.sync.as_ref()?.id;
                let body = Body::SyncBegin(SyncBegin { of: SyncOf::Credentials, sync_id });
                Some(Planned { body, note: of_sync(self.now, SYNC_RUNS), grows: 0 })
            }
            Step::End => {
                let sync = self.sync.take()?;
                let (sync_id, count) = (sync.id, sync.count);
                let sha256 = Some(sync.hash.finalize().into());
                let body = Body::SyncEnd(SyncEnd { sync_id, count, sha256 });
                Some(Planned { body, note: of_sync(self.now, SYNC_DONE), grows: 0 })
            }
        }
    }
}

#[cfg(test)]
mod tests;
