//! Tells the server whose cards are good: persons under a neutral name, their cards, withdrawals first.
//!
//! # What is remembered
//! A pass counts as told when the server has taken it; that is written to the journal behind every few passes. A crash
//! between the two repeats what was done, and the server's "it is there already" is then looked into: a card of the
//! same person is brought up to date, a card of somebody else is left alone and said to the operator.
//!
//! An editing session that was opened is always closed, whatever happened in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::card::CardNumber;
use domain::policy::Policy;
use domain::{PersonId, Reason};
use store::journal::{Note, Outgoing};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use wire::parsec::object::{Identifier, Person, Session, VisitorRequest};
use wire::parsec::{Answer, Code, Guid, Request};

use super::Shared;
use super::client::{CallError, Client, form};
use super::listen::plain;
use super::passes::{Step, Told, Wanted, Wants, read_key, steps};
use crate::settings::Cache;

/// Passes told between two notes in the journal.
const NOTES_MAX: usize = 16;
/// What a page of the journal's list has.
const TOLD_PAGE: usize = 1000;
/// Validity ends by itself; it is looked at this often, whatever changes.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A pass that the server refuses is tried again after this, doubling.
const REFUSED_WAIT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// Refusals are told of at most once in this time.
const TELL_EVERY: Duration = Duration::from_secs(600);
/// A server that does nothing but fail is left alone for so long.
const FAULT_WAIT: Duration = Duration::from_secs(5);

pub(super) async fn run(shared: Arc<Shared>, client: Client) {
    let cancel = shared.cancel.clone();
    let group = shared.server.dialect.access_group.as_deref().and_then(|group| group.parse().ok());
    let keeper = Keeper {
        policy: shared.context.policy.clone(),
        session: shared.session.subscribe(),
        group: group.unwrap_or_default(),
        shared,
        client,
        told: Told::new(),
        persons: HashMap::new(),
        refused: HashMap::new(),
        tell_at: Instant::now(),
        notes: Vec::new(),
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = keeper.work() => {}
    }
}

/// The last name of persons made by us: whoever has another one is not ours.
const OURS: &str = "Tapward";

fn is_ours(person: &Person) -> bool {
    person.last_name == OURS
}

/// How telling ended.
enum Outcome {
    /// Everything that could be told was.
    Done,
    /// There is something new to tell.
    Changed,
    /// The server cannot be reached, or does not take anything.
    Fault(CallError),
}

/// Why one pass was not told.
enum Trouble {
    Call(CallError),
    /// The card belongs to a person that is not ours or another one of ours.
    SomebodyElses,
    /// The server says nothing that could be relied on.
    Unsure,
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Passes that were refused in one go, told together.
#[derive(Default)]
struct Refusals {
    passes: usize,
    first: Option<String>,
}

impl Refusals {
    fn note(&mut self, trouble: &Trouble) {
        self.passes += 1;
        self.first.get_or_insert_with(|| match trouble {
            Trouble::Call(error) => error.to_string(),
            Trouble::SomebodyElses => "the card belongs to somebody else there: withdraw it there first".to_owned(),
            Trouble::Unsure => "the server gives no clear answer".to_owned(),
        });
    }

    fn words(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(format!("the server did not take {} passes, and is asked again later; the first: {first}", self.passes))
    }
}

struct Keeper {
    shared: Arc<Shared>,
    client: Client,
    policy: watch::Receiver<Option<Arc<Policy>>>,
    session: watch::Receiver<Option<Session>>,
    group: Guid,
    told: Told,
    /// Persons whose id at the server is not the one that was asked for.
    persons: HashMap<PersonId, Guid>,
    /// Passes that the server refused, when to try again, and how long was waited.
    refused: HashMap<String, (Instant, Duration)>,
    tell_at: Instant,
    notes: Vec<Note>,
}

impl Keeper {
    async fn work(mut self) {
        let mut epoch = None;
        loop {
            // Nothing to tell and nothing told: a server that decides alone, or one that is being joined.
            let Some(session) = self.session().await else { return };
            if epoch != Some(session.root_territory) {
                if self.read_told().await.is_err() {
                    sleep(FAULT_WAIT).await;
                    continue;
                }
                epoch = Some(session.root_territory);
            }
            let Some(policy) = self.policy.borrow_and_update().clone() else {
                if self.policy.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let wants = self.wants(&policy).await;
            let all = self.steps(&wants);
            let outcome = self.tell(&wants, all, session.id).await;
            self.write_notes().await;
            self.count(&wants);
            match outcome {
                // Something changed meanwhile: look again at once, so that withdrawals go first.
                Outcome::Changed => {}
                Outcome::Fault(error) => {
                    tracing::debug!(line.id = %self.shared.settings.id, %error, "passes wait for the server");
                    sleep(FAULT_WAIT).await;
                }
                Outcome::Done => {
                    let woken = async {
                        tokio::select! {
                            changed = self.policy.changed() => changed.is_ok(),
                            changed = self.session.changed() => changed.is_ok(),
                        }
                    };
                    if timeout(LOOK_EVERY, woken).await == Ok(false) {
                        return;
                    }
                }
            }
        }
    }

    /// The session, waiting for one.
    async fn session(&mut self) -> Option<Session> {
        let session = self.session.wait_for(Option::is_some).await.ok()?;
        *session
    }

    async fn read_told(&mut self) -> Result<(), ()> {
        let (journal, peer) = (&self.shared.context.journal, &self.shared.settings.id);
        let mut told = Told::new();
        let mut after: Option<String> = None;
        loop {
            let page = journal.told(peer, after.as_deref(), TOLD_PAGE).await.map_err(|error| {
                tracing::error!(line.id = %peer, %error, "the journal does not tell which passes the server has");
            })?;
            after = page.last().map(|told| told.key.clone());
            let last = page.len() < TOLD_PAGE;
            told.extend(page.into_iter().map(|pass| (pass.key, (pass.rev, pass.digest))));
            if last || after.is_none() {
                break;
            }
        }
        self.told = told;
        self.persons.clear();
        self.refused.clear();
        Ok(())
    }

    async fn wants(&mut self, policy: &Policy) -> Wants {
        let (shared, now) = (&self.shared, self.shared.context.clock.now());
        if shared.settings.cache == Cache::Nobody {
            return Wants::default();
        }
        let (server, keys) = (&shared.server, &shared.context.keys);
        let keys = (&keys.card, &keys.numbers);
        let wants = Wants::of(policy, &shared.settings, &server.dialect, server.verify, keys, now);
        let lacking = wants.without_number + wants.no_code;
        if lacking > 0 && self.tell_at <= Instant::now() {
            self.tell_at = Instant::now() + TELL_EVERY;
            let detail = format!(
                "{lacking} passes cannot be told to the server: {} without a stored card number, {} whose number is \
                 no code of eight digits of the form \"{}\"",
                wants.without_number,
                wants.no_code,
                server.dialect.cards.as_str()
            );
            self.shared.notice(Reason::PassNotTaken, detail).await;
        }
        wants
    }

    fn steps(&mut self, wants: &Wants) -> Vec<Step> {
        let now = Instant::now();
        let mut all = steps(wants, &self.told);
        all.retain(|step| self.refused.get(step.key()).is_none_or(|(at, _)| *at <= now));
        all
    }

    fn count(&self, wants: &Wants) {
        let mut status = self.shared.status();
        let good = |(key, wanted): &(&String, &Wanted)| {
            self.told.get(*key).is_some_and(|(_, digest)| *digest == wanted.digest)
        };
        status.passes_wanted = wants.passes.len() as u64;
        status.passes_told = wants.passes.iter().filter(good).count() as u64;
        status.commands_waiting = steps(wants, &self.told).len() as u64;
    }

    /// Tells what has to be told, until the policy or the session changes.
    async fn tell(&mut self, wants: &Wants, all: Vec<Step>, session: Guid) -> Outcome {
        let mut refused = Refusals::default();
        let mut outcome = Outcome::Done;
        for (number, step) in all.into_iter().enumerate() {
            if self.policy.has_changed().unwrap_or(true) || self.session.has_changed().unwrap_or(true) {
                outcome = Outcome::Changed;
                break;
            }
            match self.step(wants, &step, session).await {
                Ok(()) => {
                    self.refused.remove(step.key());
                    self.done(wants, step);
                }
                Err(Trouble::Call(error)) if !error.is_refusal() => {
                    outcome = Outcome::Fault(error);
                    break;
                }
                Err(trouble) => {
                    // Refused because the session is over, or for a reason of its own?
                    if !matches!(self.client.keep(session).await, Ok(true)) {
                        outcome =
                            Outcome::Fault(CallError::No { method: "ContinueSession", words: "no session".into() });
                        break;
                    }
                    refused.note(&trouble);
                    let wait = self.refused.get(step.key()).map_or(REFUSED_WAIT.0, |(_, wait)| *wait * 2);
                    let wait = wait.min(REFUSED_WAIT.1);
                    self.refused.insert(step.key().to_owned(), (Instant::now() + wait, wait));
                }
            }
            if self.notes.len() >= NOTES_MAX {
                self.write_notes().await;
            }
            if number % 64 == 63 {
                self.count(wants);
            }
        }
        if let Some(detail) = refused.words()
            && self.tell_at <= Instant::now()
        {
            self.tell_at = Instant::now() + TELL_EVERY;
            self.shared.notice(Reason::PassNotTaken, detail).await;
        }
        outcome
    }

    fn done(&mut self, wants: &Wants, step: Step) {
        match step {
            Step::Withdraw(key) => {
                self.told.remove(&key);
                self.notes.push(Note::Forget(key));
            }
            Step::Issue(key) => {
                let Some(wanted) = wants.passes.get(&key) else { return };
                let rev = self.told.get(&key).map_or(0, |(rev, _)| *rev).saturating_add(1);
                self.told.insert(key.clone(), (rev, wanted.digest));
                self.notes.push(Note::Told(store::journal::Told { key, rev, digest: wanted.digest }));
            }
        }
    }

    /// What the server has taken becomes durable.
    async fn write_notes(&mut self) {
        let notes = std::mem::take(&mut self.notes);
        if notes.is_empty() {
            return;
        }
        let (journal, peer) = (&self.shared.context.journal, &self.shared.settings.id);
        let outgoing = |note| {
            let mut id = [0; 16];
            // Only has to differ from others; without randomness it does not, and nothing compares it.
            let _ = getrandom::fill(&mut id);
            Outgoing { id, body: self.shared.context.keys.numbers.seal_bytes(b"told"), note: Some(note) }
        };
        match journal.post(peer, notes.into_iter().map(outgoing).collect()).await {
            // Taken already: nothing waits.
            Ok(numbers) => journal.drop_outgoing(peer, *numbers.end()),
            // What was told is told again after the next start, which does no harm.
            Err(error) if self.tell_at <= Instant::now() => {
                self.tell_at = Instant::now() + TELL_EVERY;
                let detail = format!("what the server was told cannot be noted and is told again later: {error}");
                self.shared.notice(Reason::PassNotTaken, detail).await;
            }
            Err(_) => {}
        }
    }

    // ---- steps ----

    async fn step(&mut self, wants: &Wants, step: &Step, session: Guid) -> Result<(), Trouble> {
        match step {
            Step::Withdraw(key) => self.withdraw(wants, key, session).await,
            Step::Issue(key) => match wants.passes.get(key) {
                Some(wanted) if wanted.visitor => self.admit(wants, wanted, session).await,
                Some(wanted) => self.issue(wants, wanted, session).await,
                None => Ok(()),
            },
        }
    }

    async fn withdraw(&mut self, wants: &Wants, key: &str, session: Guid) -> Result<(), Trouble> {
        // A key that cannot be read is of another site's key: nothing can be done about it.
        let Some(code) = self.code(key) else { return Ok(()) };
        let visitor = read_key(key).is_some_and(|(_, visitor)| visitor);
        let holder = self.holder(&code, session).await?;
        let Some(holder) = holder else {
            // Nobody has it, unless nobody is all that a dead session sees.
            return if self.client.keep(session).await? { Ok(()) } else { Err(Trouble::Unsure) };
        };
        // Given to somebody else by that system's own operator: no affair of ours any more.
        if !is_ours(&holder) {
            return Ok(());
        }
        if visitor {
            let request = Request::CloseAllActiveVisitorRequests { session, visitor: holder.id };
            if let Err(error) = self.client.done(&request).await
                && !error.is_refusal()
            {
                return Err(error.into());
            }
        }
        if !visitor || self.holder(&code, session).await?.is_some() {
            self.client.done(&Request::DeleteIdentifier { session, code }).await?;
        }
        let person = self.persons.iter().find(|(_, id)| **id == holder.id).map(|(person, _)| *person);
        let has_others = wants.keys_of(person.unwrap_or(PersonId(holder.id.0))).next().is_some();
        if let (Some(kind), false) = (self.shared.server.dialect.block, has_others) {
            self.edit(session, holder.id, async |client, edit| client.done(&Request::BlockPerson { edit, kind }).await)
                .await?;
        }
        Ok(())
    }

    async fn issue(&mut self, wants: &Wants, wanted: &Wanted, session: Guid) -> Result<(), Trouble> {
        let id = self.person(wants, wanted, session).await?;
        let unblock = self.shared.server.dialect.block.is_some();
        let identifier = Identifier {
            code: wanted.code.clone(),
            person: id,
            primary: false,
            group: self.group,
            privileges: 0,
            name: String::new(),
            valid: wanted.valid,
        };
        let holder = self.holder(&wanted.code, session).await?;
        let known = match holder {
            Some(holder) if holder.id != id => return Err(Trouble::SomebodyElses),
            holder => holder.is_some(),
        };
        let change = async |client: &mut Client, edit: Guid| {
            if unblock
                && let Err(error) = client.done(&Request::UnblockPerson { edit }).await
                && !error.is_refusal()
            {
                return Err(error);
            }
            let request = match known {
                true => Request::ChangePersonIdentifier { edit, identifier: identifier.clone() },
                false => Request::AddPersonIdentifier { edit, identifier: identifier.clone() },
            };
            client.done(&request).await
        };
        Ok(self.edit(session, id, change).await?)
    }

    /// A pass of a visitor, by a request that is activated with the card at once.
    async fn admit(&mut self, wants: &Wants, wanted: &Wanted, session: Guid) -> Result<(), Trouble> {
        let id = self.person(wants, wanted, session).await?;
        match self.holder(&wanted.code, session).await? {
            Some(holder) if holder.id != id => return Err(Trouble::SomebodyElses),
            Some(_) => {
                // Told before, with another time: given anew.
                self.client.done(&Request::CloseAllActiveVisitorRequests { session, visitor: id }).await?;
            }
            None => {}
        }
        let now = self.shared.context.clock.now();
        let request = VisitorRequest {
            id: Guid::NIL,
            number: 0,
            made: now,
            org_unit: self.org_unit(),
            person: id,
            person_info: String::new(),
            purpose: OURS.into(),
            status: 0,
            admit: wanted.valid.unwrap_or((now, now)),
        };
        let request = Request::CreateVisitorRequest { session, request };
        let made = match self.client.ask(&request).await? {
            Answer::VisitorRequest(Some(made)) => made.id,
            Answer::VisitorRequest(None) => {
                let words = "no request was made".to_owned();
                return Err(CallError::No { method: request.method(), words }.into());
            }
            _ => return Err(form(&request).into()),
        };
        let request = Request::ActivateVisitorRequest { session, request: made, code: wanted.code.clone() };
        if let Err(error) = self.client.done(&request).await {
            // Not left behind half made.
            let _ = self.client.done(&Request::CloseVisitorRequest { session, request: made }).await;
            return Err(error.into());
        }
        Ok(())
    }

    /// The person's id at the server; made there if need be.
    async fn person(&mut self, wants: &Wants, wanted: &Wanted, session: Guid) -> Result<Guid, Trouble> {
        let id = self.id_of(wanted.person);
        let request = Request::GetPerson { session, person: id };
        match self.client.ask(&request).await? {
            Answer::Person(Some(known)) => return Ok(known.id),
            Answer::Person(None) => {}
            _ => return Err(form(&request).into()),
        }
        // A server that gives ids of its own: the person is found by another card, if it has one there.
        for key in wants.keys_of(wanted.person) {
            let Some(other) = wants.passes.get(key).filter(|_| self.told.contains_key(key)) else { continue };
            if let Some(holder) = self.holder(&other.code, session).await?.filter(is_ours) {
                self.persons.insert(wanted.person, holder.id);
                return Ok(holder.id);
            }
        }
        let person = wanted.person;
        // Neutral: names stay in the clinic. The number lets an operator find the pass by its holder's pseudonym.
        let digits = person.to_string();
        let made = Person {
            id: Guid::from(person),
            first_name: plain(&digits, 8),
            last_name: OURS.into(),
            middle_name: String::new(),
            number: plain(&digits, 16),
            org_unit: self.org_unit(),
        };
        let request = match wanted.visitor {
            true => Request::CreateVisitor { session, person: made },
            false => Request::CreatePerson { session, person: made },
        };
        let made = self.client.make(&request).await?;
        if made != Guid::from(person) {
            self.persons.insert(person, made);
        }
        Ok(made)
    }

    /// Makes a change in an editing session, which is closed whatever came of it.
    async fn edit(
        &mut self,
        session: Guid,
        person: Guid,
        change: impl AsyncFnOnce(&mut Client, Guid) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let edit = self.client.make(&Request::OpenPersonEditingSession { session, person }).await?;
        let changed = change(&mut self.client, edit).await;
        let closed = self.client.done(&Request::ClosePersonEditingSession { edit }).await;
        changed?;
        closed
    }

    async fn holder(&mut self, code: &Code, session: Guid) -> Result<Option<Person>, CallError> {
        let request = Request::FindPersonByIdentifier { session, code: code.clone() };
        match self.client.ask(&request).await? {
            Answer::Person(person) => Ok(person),
            _ => Err(form(&request)),
        }
    }

    fn id_of(&self, person: PersonId) -> Guid {
        self.persons.get(&person).copied().unwrap_or_else(|| Guid::from(person))
    }

    fn org_unit(&self) -> Guid {
        let root = self.session.borrow().as_ref().map(|session| session.root_org_unit).unwrap_or_default();
        let unit = self.shared.server.org_unit.as_deref().and_then(|unit| unit.parse().ok());
        unit.unwrap_or(root)
    }

    /// The card that a key remembers.
    fn code(&self, key: &str) -> Option<Code> {
        let number: CardNumber = self.shared.context.keys.numbers.open(read_key(key)?.0).ok()?;
        Code::of(&number, self.shared.server.dialect.cards)
    }
}
