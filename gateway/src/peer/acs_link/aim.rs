//! Which passes a peer should know, so that it can decide while the link is down.
//!
//! Owns that question and the form of the answer. Decides nothing at a door: who may pass offline is
//! [`Policy::may_pass_offline`]. Pure but for the policy it reads.

use std::collections::HashMap;

use domain::UtcMillis;
use domain::card::{CardKey, SealKey};
use domain::ids::{CardId, PointId};
use domain::policy::{Pass, PassKind, PassState, Policy};
use sha2::{Digest, Sha256};
use wire::acs_link::message::{Body, CredentialIssue, CredentialRevoke, LIST_MAX};
use wire::acs_link::{Credential, Instant, Reason, Token};

use crate::settings::Cache;

/// What stands for "from ever" and "for ever" where a peer must be given both ends: every calendar knows these days.
const EVER: (UtcMillis, UtcMillis) = (UtcMillis(946_684_800_000), UtcMillis(4_102_444_799_000));

/// A digest of what a peer was told of a pass.
pub type PassDigest = [u8; 16];

/// What a peer should know.
#[derive(Debug, Clone)]
pub struct Aim {
    cache: Cache,
    /// Its places that are points of ours: the levels of its passes, at most [`LIST_MAX`].
    levels: Vec<(Token, PointId)>,
}

/// Answers for many passes of one policy: where a pass may go depends on little of it, and is worked out once.
pub struct Look<'a> {
    aim: &'a Aim,
    policy: &'a Policy,
    now: UtcMillis,
    known: HashMap<(u16, PassKind), u64>,
}

/// What a peer should know of one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Where it opens: bit n is level n.
    levels: u64,
    from: UtcMillis,
    until: UtcMillis,
}

impl Aim {
    /// For these places of a peer.
    pub fn new(cache: Cache, places: impl Iterator<Item = (Token, PointId)>) -> Self {
        let mut levels: Vec<(Token, PointId)> = places.collect();
        levels.sort();
        if levels.len() > LIST_MAX {
            tracing::error!(
                places = levels.len(),
                "a peer can be told of {LIST_MAX} places only; the rest are left out"
            );
            levels.truncate(LIST_MAX);
        }
        Self { cache, levels }
    }

    /// Whether the peer is to know any passes at all.
    pub const fn is_nobody(&self) -> bool {
        matches!(self.cache, Cache::Nobody)
    }

    /// For looking at many passes at one time.
    pub fn look<'a>(&'a self, policy: &'a Policy, now: UtcMillis) -> Look<'a> {
        Look { aim: self, policy, now, known: HashMap::new() }
    }

    fn level_names(&self, levels: u64) -> Vec<Token> {
        let wanted = |n: usize| levels & (1 << n) != 0;
        self.levels.iter().enumerate().filter(|(n, _)| wanted(*n)).map(|(_, (at, _))| at.clone()).collect()
    }
}

impl<'a> Look<'a> {
    /// The policy that is looked at.
    pub const fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// What the peer should know of a pass; `None`: nothing. A pass without a number that can be told counts as
    /// nothing, and is counted in `unnumbered`.
    pub fn wanted(&mut self, pass: &Pass, unnumbered: &mut u64) -> Option<Wanted> {
        let concerned = match self.aim.cache {
            Cache::Nobody => false,
            Cache::Staff => pass.kind() == PassKind::Staff,
            Cache::Everybody => true,
        };
        // Cheap questions first: most passes of a large clinic end here.
        if !concerned || pass.state() != PassState::Active || pass.one_time() || pass.expired(self.now) {
            return None;
        }
        let levels = self.levels(pass);
        if levels == 0 {
            return None;
        }
        if self.policy.number(pass.card()).is_none() {
            *unnumbered += 1;
            return None;
        }
        let (from, until) = (pass.valid_from().max(EVER.0), pass.valid_until().min(EVER.1));
        (from < until).then_some(Wanted { levels, from, until })
    }

    fn levels(&mut self, pass: &Pass) -> u64 {
        let Self { aim, policy, now, known } = self;
        *known.entry((pass.category(), pass.kind())).or_insert_with(|| {
            let may = |point: &PointId| policy.may_pass_offline(pass, point, *now);
            aim.levels.iter().enumerate().fold(0, |bits, (n, (_, point))| bits | (u64::from(may(point)) << n))
        })
    }

    /// A digest of what the peer would be told of a pass.
    pub fn digest(&self, pass: &Pass, wanted: &Wanted) -> PassDigest {
        let mut hash = Sha256::new();
        hash.update(pass.person().0);
        hash.update(wanted.from.0.to_be_bytes());
        hash.update(wanted.until.0.to_be_bytes());
        hash.update(self.policy.number(pass.card()).map_or([0; 16], |number| number.0));
        for level in self.aim.level_names(wanted.levels) {
            hash.update(level.as_str());
            hash.update([0]);
        }
        let full: [u8; 32] = hash.finalize().into();
        let mut digest = [0; 16];
        digest.copy_from_slice(&full[..16]);
        digest
    }

    /// The message that tells the peer of a pass; `None` if its number cannot be opened or has no form on the link.
    pub fn issue(&self, pass: &Pass, wanted: &Wanted, rev: u64, seal: &SealKey, cards: &CardKey) -> Option<Body> {
        let sealed = self.policy.number(pass.card())?;
        let number = match seal.open_for(sealed, pass.card(), cards) {
            Ok(number) => number,
            Err(error) => {
                tracing::warn!(card.id = %pass.card(), %error, "a pass cannot be told to its peer");
                return None;
            }
        };
        let credential = match Credential::of_card(&number) {
            Ok(credential) => credential,
            Err(error) => {
                tracing::warn!(card.id = %pass.card(), %error, "a pass cannot be told to its peer");
                return None;
            }
        };
        Some(Body::CredentialIssue(CredentialIssue {
            key: key_of(pass.card()),
            rev,
            credential,
            person: token(&pass.person().to_string()),
            from: Instant::from_utc(wanted.from),
            until: Instant::from_utc(wanted.until),
            levels: self.aim.level_names(wanted.levels),
            ext: Vec::new(),
        }))
    }

    /// The message that takes a pass back.
    pub fn revoke(&self, card: CardId, rev: u64) -> Body {
        let reason = match self.policy.pass(card).map(Pass::state) {
            Some(PassState::Blocked) => "blocked",
            Some(PassState::Lost) => "lost",
            Some(PassState::Withdrawn) | None => "withdrawn",
            Some(PassState::Active) if self.policy.pass(card).is_some_and(|pass| pass.expired(self.now)) => "expired",
            Some(PassState::Active) => "not-allowed",
        };
        #[expect(clippy::expect_used, reason = "a constant; a test writes all of them")]
        let reason = Reason::new(reason).expect("these words are reasons");
        Body::CredentialRevoke(CredentialRevoke {
            key: key_of(card),
            rev,
            reason,
            effective_at: None,
            credential: None,
        })
    }
}

/// The peer's key of a pass: the card's pseudonym, the same for ever.
pub fn key_of(card: CardId) -> Token {
    token(&card.to_string())
}

#[expect(clippy::expect_used, reason = "32 hexadecimal digits are a token")]
fn token(hex: &str) -> Token {
    Token::new(hex).expect("a pseudonym is a token")
}
