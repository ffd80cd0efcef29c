//! A simulated ParsecNET 3 server: its IntegrationService by HTTP, with the doors, people and cards behind it.
//!
//! Serves the methods that the gateway uses, with their description (`?WSDL`), in SOAP 1.1 and 1.2 and in UTF-8,
//! UTF-16 or windows-1251. It is made from public clients of the real service; where those say nothing (numbers of
//! states and commands, forms of subscriptions) it has inventions of its own, and says so in
//! `docs/protocol/parsec.md`.
//!
//! ```text
//! model     what the system knows, how it judges a card     service   what each method answers
//! server    HTTP, subscriptions                            wsdl      the description
//! ```

mod model;
mod server;
mod service;
mod wsdl;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::card::CardNumber;
use domain::{Clock, Direction, UtcMillis};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::parsec::object::{Identifier, Person, VisitorRequest};
use wire::parsec::{CardForm, Charset, Code, Guid};

use crate::gate::Walk;
use crate::passage::Outcome;
pub use model::Faults;
use model::{Judgement, Model, code};

/// The one access group of the simulated system: a card without a group opens nothing.
pub const ACCESS_GROUP: Guid = Guid::of(0xA000_0000_0000_0000_0000_0000_0000_0001);

/// What stands there and how it is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0: any.
    pub listen: SocketAddr,
    /// For the times of events.
    pub clock: Clock,
    /// Login domain.
    pub domain: String,
    /// The one account.
    pub user: String,
    /// Its password: an invention, never a real one.
    pub password: String,
    /// Doors and turnstiles.
    pub doors: Vec<Door>,
    /// How answers are encoded.
    pub charset: Charset,
    /// What the 32 bits of a card's code are.
    pub cards: CardForm,
    /// How long a session lives without a call.
    pub session: Duration,
    /// How long a guard's answer is waited for; then it counts as no.
    pub guard_wait: Duration,
    /// Seed of its ids.
    pub seed: u64,
}

impl Settings {
    /// A usual system with these doors, on this machine.
    pub fn new(clock: Clock, doors: Vec<Door>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            clock,
            domain: "SYSTEM".into(),
            user: "parsec".into(),
            password: "parsec".into(),
            doors,
            charset: Charset::Utf8,
            cards: CardForm::Wiegand,
            session: Duration::from_secs(300),
            guard_wait: Duration::from_secs(10),
            seed: 1,
        }
    }
}

/// A door or turnstile: one territory, both directions.
#[derive(Debug, Clone)]
pub struct Door {
    /// Its territory.
    pub id: Guid,
    /// Its name; two doors may have the same.
    pub name: String,
    /// Whether each passage waits for a guard's answer.
    pub verify: bool,
}

/// A running system.
#[derive(Debug)]
pub struct ParsecServer {
    address: SocketAddr,
    handle: Handle,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Makes things happen in it, and looks inside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    model: Mutex<Model>,
    clock: Clock,
    tasks: TaskTracker,
}

impl Shared {
    /// Never held across an await.
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ParsecServer {
    /// Starts it; it answers when this returns.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(settings: Settings, shutdown: &CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let (tasks, shutdown) = (TaskTracker::new(), shutdown.child_token());
        let shared =
            Shared { clock: settings.clock.clone(), model: Mutex::new(Model::new(settings)), tasks: tasks.clone() };
        let handle = Handle(Arc::new(shared));
        tasks.spawn(server::serve(listener, handle.clone(), shutdown.clone()));
        Ok(Self { address, handle, tasks, shutdown })
    }

    /// Where its service is.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, wire::parsec::PATH)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// By which to make things happen.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Pulls its plug: nothing is finished, connections break. What it knows is kept by [`ParsecServer::handle`].
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for ParsecServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Handle {
    /// Holds a card to a reader of a door and behaves as `walk` says. Waits until it is over.
    pub async fn present(&self, card: &CardNumber, door: Guid, direction: Direction, walk: Walk) -> Outcome {
        let form = self.0.model().settings.cards;
        match Code::of(card, form) {
            Some(code) => self.present_code(&code, door, direction, walk).await,
            // Its readers would not read such a card.
            None => Outcome::Unanswered,
        }
    }

    /// As [`Handle::present`], for a card's code.
    pub async fn present_code(&self, card: &Code, door: Guid, direction: Direction, walk: Walk) -> Outcome {
        let verify = {
            let model = self.0.model();
            match model.settings.doors.iter().find(|other| other.id == door) {
                Some(door) => door.verify.then_some(model.settings.guard_wait),
                None => return Outcome::Unanswered,
            }
        };
        let mut judgement = self.0.model().judge(card, self.now());
        if let (Judgement::Good(person), Some(wait)) = (judgement, verify)
            && !self.ask_guard(card, person, door, direction, wait).await
        {
            judgement = Judgement::NoRight(person);
        }
        let (what, person) = judgement.event(direction);
        self.happen(door, what, person, Some(card.clone()));
        if !matches!(judgement, Judgement::Good(_)) {
            return Outcome::Refused;
        }
        let Walk::Through { after, .. } = walk else { return Outcome::NotTaken };
        sleep(after).await;
        let went = if direction == Direction::In { code::ENTERED } else { code::LEFT };
        self.happen(door, went, person, Some(card.clone()));
        Outcome::Passed
    }

    async fn ask_guard(&self, card: &Code, person: Guid, door: Guid, direction: Direction, wait: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        self.0.model().asking.insert((door, person), answer);
        let asks = if direction == Direction::In { code::ASKS_IN } else { code::ASKS_OUT };
        self.happen(door, asks, Some(person), Some(card.clone()));
        let allowed = timeout(wait, answered).await;
        self.0.model().asking.remove(&(door, person));
        matches!(allowed, Ok(Ok(true)))
    }

    /// Forces a door.
    pub fn force(&self, door: Guid) {
        self.happen(door, code::FORCED, None, None);
    }

    /// Any event of a door, as of `at`.
    pub fn happen_at(&self, door: Guid, code: u32, at: UtcMillis, person: Option<Guid>, card: Option<Code>) {
        let urls = {
            let mut model = self.0.model();
            let event = model.event(door, code, at, person, card);
            model.happen(door, event)
        };
        for url in urls {
            self.0.tasks.spawn(server::call_subscriber(url, code));
        }
    }

    fn happen(&self, door: Guid, code: u32, person: Option<Guid>, card: Option<Code>) {
        let skew = self.0.model().faults.clock_skew_ms;
        self.happen_at(door, code, self.now().plus_ms(skew), person, card);
    }

    /// Cuts a door's controller off from the server, or joins it again: then its events arrive, late.
    pub fn cut_off(&self, door: Guid, off: bool) {
        self.0.model().cut(door, off);
    }

    /// The state of a door's hardware, as `GetHardwareState` tells it.
    pub fn set_hardware(&self, door: Guid, state: u64) {
        self.0.model().hardware.insert(door, state);
    }

    /// Changes what goes wrong.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.model().faults);
    }

    /// Starts a stopped server again with what it knew, at the same address; sessions are lost.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start_again(&self, address: SocketAddr, shutdown: &CancellationToken) -> io::Result<ParsecServer> {
        let listener = TcpListener::bind(address).await?;
        self.0.model().restart();
        let (tasks, shutdown) = (self.0.tasks.clone(), shutdown.child_token());
        tasks.reopen();
        tasks.spawn(server::serve(listener, self.clone(), shutdown.clone()));
        Ok(ParsecServer { address, handle: self.clone(), tasks, shutdown })
    }

    /// A door's hardware is not known to the server any more.
    pub fn lose_hardware(&self, door: Guid) {
        self.0.model().hardware.remove(&door);
    }

    /// Withdraws a card by hand, as an operator of that system would.
    pub fn take_card(&self, card: &Code) {
        self.0.model().cards.retain(|known| known.code != *card);
    }

    /// Every session is lost, as after a restart of the service.
    pub fn lose_sessions(&self) {
        self.0.model().restart();
    }

    /// The database is made anew, with other roots.
    pub fn begin_anew(&self) {
        self.0.model().begin_anew();
    }

    /// Registers a person with a card by hand, as an operator of that system would.
    pub fn enrol(&self, name: &str, card: &Code) -> Guid {
        let mut model = self.0.model();
        let id = model.guid();
        let org_unit = model.root_org_unit;
        let person = model.add_person(Person { id, last_name: name.to_owned(), org_unit, ..Person::default() });
        model.cards.push(Identifier {
            code: card.clone(),
            person,
            primary: true,
            group: ACCESS_GROUP,
            privileges: 0,
            name: String::new(),
            valid: None,
        });
        person
    }

    /// All persons.
    pub fn persons(&self) -> Vec<Person> {
        self.0.model().persons.values().cloned().collect()
    }

    /// All cards.
    pub fn cards(&self) -> Vec<Identifier> {
        self.0.model().cards.clone()
    }

    /// Persons that are blocked.
    pub fn blocked(&self) -> Vec<Guid> {
        self.0.model().blocked.keys().copied().collect()
    }

    /// Visitor requests that are not closed, with whether they have a card.
    pub fn visitor_requests(&self) -> Vec<(VisitorRequest, bool)> {
        self.0.model().requests.iter().map(|(request, card)| (request.clone(), card.is_some())).collect()
    }

    /// Editing sessions that nobody has closed.
    pub fn open_edits(&self) -> usize {
        self.0.model().edits.len()
    }

    /// Reports that nobody has closed.
    pub fn open_reports(&self) -> usize {
        self.0.model().reports.len()
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        self.0.model().sessions.len()
    }

    /// Where subscribers want to be called.
    pub fn subscribers(&self) -> Vec<String> {
        self.0.model().subscriptions.values().cloned().collect()
    }

    /// Commands to hardware.
    pub fn commands(&self) -> Vec<(Guid, i32)> {
        self.0.model().commands.clone()
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> u64 {
        self.0.model().calls.get(method).copied().unwrap_or(0)
    }

    /// How many questions wait for a guard's answer.
    pub fn questions(&self) -> usize {
        self.0.model().asking.len()
    }

    fn now(&self) -> UtcMillis {
        self.0.clock.now()
    }
}
