use domain::card::{self, CardFormat};
use domain::policy::{Credential, Layout, PassKind, PassState, Point, PointKind, PolicySource};
use domain::{CategoryId, Clock, Epoch, GatewayId, PersonId, PointId, ZoneId};
use store::journal::Outgoing;
use wire::acs_link::digest::sync_digest;

use super::super::outgoing::{About, Outgoing as Sealed};
use super::*;
use crate::settings::Cache;

const NOW: UtcMillis = UtcMillis(1_795_255_200_000);

fn cards() -> CardKey {
    CardKey::new([7; 32])
}

fn seal() -> SealKey {
    SealKey::new([9; 32])
}

fn pass(format: CardFormat, text: &str, state: PassState) -> Credential {
    let number = card::parse(format, text).unwrap();
    Credential {
        card: cards().id(&number),
        person: PersonId([1; 16]),
        category: 0,
        kind: PassKind::Staff,
        state,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: Some(seal().seal(&number)),
    }
}

fn staff(n: u32) -> Credential {
    pass(CardFormat::Wiegand26, &format!("10,{n}"), PassState::Active)
}

fn policy(credentials: Vec<Credential>) -> Arc<Policy> {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let point = Point::new(PointId::new("t1").unwrap(), PointKind::Turnstile, zone("street"), zone("hall"));
    let mut layout = Layout {
        built_at: NOW,
        categories: vec![CategoryId::new("staff").unwrap()],
        points: vec![point],
        ..Layout::empty()
    };
    layout.complete_zones();
    Arc::new(Policy::compile(PolicySource { layout, credentials, grants: Vec::new() }, 1).unwrap())
}

struct Rig {
    journal: Journal,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let clock = Clock::new(|| NOW);
        let journal = Journal::open(&path, GatewayId::new("gw").unwrap(), Epoch([1; 16]), &clock).await.unwrap();
        Self { journal, _folder: folder }
    }

    fn order(policy: &Arc<Policy>, scope: Scope) -> Order {
        let places = [(Token::new("gate").unwrap(), PointId::new("t1").unwrap())];
        let aim = Aim::new(Cache::Staff, places.into_iter());
        let peer = LineId::new("acs-1").unwrap();
        Order { peer, aim, policy: Arc::clone(policy), scope, resync: None, now: NOW }
    }

    /// Makes a plan and stores what it says; gives the messages.
    async fn tell(&self, order: Order) -> Vec<Body> {
        let peer = order.peer.clone();
        let mut plan = make(&self.journal, order).await.unwrap();
        let mut bodies = Vec::new();
        while plan.left() > 0 {
            let made = plan.next(64, &seal(), &cards());
            let messages = made.iter().map(|one| {
                let ready = Sealed::seal(fresh_id(), one.body.clone(), About::of(&one.body), &seal()).unwrap();
                Outgoing { id: ready.id.0, body: ready.body, note: one.note.clone() }
            });
            let messages: Vec<_> = messages.collect();
            if !messages.is_empty() {
                self.journal.post(&peer, messages).await.unwrap();
            }
            bodies.extend(made.into_iter().map(|one| one.body));
        }
        bodies
    }
}

fn issued(bodies: &[Body]) -> Vec<(Token, u64)> {
    bodies
        .iter()
        .filter_map(|body| match body {
            Body::CredentialIssue(issue) => Some((issue.key.clone(), issue.rev)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_peer_that_was_told_nothing_is_told_all_between_begin_and_end() {
    let rig = Rig::new().await;
    let policy = policy((0..200).map(staff).collect());
    let bodies = rig.tell(Rig::order(&policy, Scope::All)).await;
    assert!(matches!(bodies[0], Body::SyncBegin(_)));
    let Some(Body::SyncEnd(end)) = bodies.last() else { panic!("the end comes last") };
    let mut told = issued(&bodies);
    assert_eq!((told.len(), end.count), (200, 200));
    assert_eq!(end.sha256, Some(sync_digest(&mut told)));
    assert!(rig.tell(Rig::order(&policy, Scope::All)).await.is_empty(), "it knows everything now");
}

#[tokio::test]
async fn changes_are_told_alone_revocations_first_and_revisions_rise() {
    let rig = Rig::new().await;
    let before = policy((0..100).map(staff).collect());
    let first = rig.tell(Rig::order(&before, Scope::All)).await;
    let mut credentials: Vec<Credential> = (0..101).map(staff).collect();
    credentials[3].state = PassState::Lost;
    credentials[5].valid_until = Some(NOW.plus_ms(1000));
    credentials.remove(7);
    let after = policy(credentials);
    let bodies = rig.tell(Rig::order(&after, Scope::Since(before))).await;
    assert!(matches!(bodies[..2], [Body::CredentialRevoke(_), Body::CredentialRevoke(_)]));
    assert_eq!((bodies.len(), issued(&bodies).len()), (4, 2), "{bodies:?}");
    let rev = |bodies: &[Body], card: &Credential| {
        let key = key_of(card.card);
        issued(bodies).into_iter().find(|(told, _)| *told == key).unwrap().1
    };
    assert!(rev(&bodies, &staff(5)) > rev(&first, &staff(5)), "the clock stood still");
    // Looking at everything finds nothing more.
    assert!(rig.tell(Rig::order(&after, Scope::All)).await.is_empty());
}

#[tokio::test]
async fn passes_that_cannot_be_told_are_left_out_of_the_count() {
    let rig = Rig::new().await;
    let wide = pass(CardFormat::Wiegand37, "17179869183", PassState::Active);
    let unnumbered = Credential { number: None, ..staff(1) };
    let moved = Credential { number: staff(3).number, ..staff(2) };
    let once = Credential { one_time: true, ..staff(4) };
    let policy = policy(vec![wide, unnumbered, moved, once, staff(5)]);
    let plan = make(&rig.journal, Rig::order(&policy, Scope::All)).await.unwrap();
    assert_eq!(plan.unnumbered, 1);
    let bodies = rig.tell(Rig::order(&policy, Scope::All)).await;
    let Some(Body::SyncEnd(end)) = bodies.last() else { panic!("the end comes last") };
    assert_eq!((end.count, issued(&bodies)[0].0.clone()), (1, key_of(staff(5).card)));
}

#[tokio::test]
async fn a_resync_that_did_not_come_to_its_end_is_made_again() {
    let rig = Rig::new().await;
    let policy = policy((0..100).map(staff).collect());
    let order = Rig::order(&policy, Scope::All);
    let mut plan = make(&rig.journal, order.clone()).await.unwrap();
    let some = plan.next(10, &seal(), &cards());
    let messages = some.into_iter().map(|one| {
        let ready = Sealed::seal(fresh_id(), one.body, About::Resync, &seal()).unwrap();
        Outgoing { id: ready.id.0, body: ready.body, note: one.note }
    });
    rig.journal.post(&order.peer, messages.collect()).await.unwrap();
    let bodies = rig.tell(order).await;
    assert!(matches!(bodies[0], Body::SyncBegin(_)));
    assert_eq!(issued(&bodies).len(), 100, "those told already as well");
}

#[tokio::test]
async fn a_peer_that_is_to_know_nobody_is_told_nothing_but_what_it_must_forget() {
    let rig = Rig::new().await;
    let policy = policy(vec![staff(1)]);
    let nobody = |order: Order| Order { aim: Aim::new(Cache::Nobody, std::iter::empty()), ..order };
    assert!(rig.tell(nobody(Rig::order(&policy, Scope::All))).await.is_empty());
    rig.tell(Rig::order(&policy, Scope::All)).await;
    let bodies = rig.tell(nobody(Rig::order(&policy, Scope::All))).await;
    assert!(matches!(bodies[..], [Body::CredentialRevoke(_)]), "{bodies:?}");
}
