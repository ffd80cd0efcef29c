//! Keeps the session and reads the server's events.
//!
//! # How nothing is lost
//! Every look asks for the last minutes again, because events of one instant arrive in any order; every ten minutes,
//! and after each connection, it looks back further, because a controller that was cut off delivers later what it
//! kept. What was taken in is known by its id, in memory and in the journal. Facts, ids and the position become durable
//! in one commit, so a crash repeats a look and nothing else.
//!
//! At the very first contact nothing of the past is taken in: the peer begins to count then.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Epoch, Reason, UtcMillis};
use store::journal::Mark;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};
use wire::parsec::object::Session;
use wire::parsec::{Answer, Guid, Request};

use super::Shared;
use super::client::{CallError, Client, form};
use super::history::{self, Found, Ids, Recent};
use super::judge::{Dictionary, Judge, Made};
use super::places::Places;
use crate::line::{BATCH_MAX_REPORTS, Batch, LineFact, ReaderFact, Report};
use crate::peer::push::{self, PushAnswer, Pushes};

/// How far each look goes back behind what was seen.
const OVERLAP_MS: i64 = 120_000;
/// How far the longer looks go back, and how often they are made.
const DEEP_MS: i64 = 24 * 3_600_000;
const DEEP_EVERY: Duration = Duration::from_secs(600);
/// How far the first look of a connection goes back. The journal remembers the ids of 100 000 events, which is a week
/// of a large clinic.
const DEEPEST_MS: i64 = 7 * 24 * 3_600_000;
/// A session is kept alive this often, beside what is asked in it.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// Hardware states and the subscription are looked at this often.
const STATE_EVERY: Duration = Duration::from_secs(10);
const SUBSCRIPTION_EVERY: Duration = Duration::from_secs(60);
/// Silence after which readers count as offline.
const OFFLINE_AFTER: Duration = Duration::from_secs(15);
/// Before the next try: of a connection, doubling; of a sign-in that was refused, so that the account is not locked.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
const REFUSED_RETRY: Duration = Duration::from_secs(60);
/// Looks that fail in a row until the connection is given up.
const ERRORS_MAX: u32 = 3;
/// Pushes closer together than this are one reason to look.
const PUSH_GAP: Duration = Duration::from_millis(50);
/// Ids of one mark, below the journal's bound.
const IDS_MAX: usize = 100;
/// Clocks that differ by more are told of.
const SKEW_ALARM_MS: i64 = 60_000;
/// The first contact is remembered by the hour, for as long as the longest look goes back.
const JOINED: &str = "joined:";
const HOUR_MS: i64 = 3_600_000;

/// Why a connection ended.
enum Lost {
    /// Cancelled, or nobody takes reports any more.
    End,
    /// The server does not know the session any more.
    Session,
    /// Something else.
    Call(CallError),
}

impl From<CallError> for Lost {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

pub(super) struct Listener {
    shared: Arc<Shared>,
    client: Client,
    clock: Clock,
    places: Places,
    dictionary: Dictionary,
    recent: Recent,
    pushes: Option<Pushes>,
    subscription: Option<Guid>,
    /// Which life of the server's database, how far we are in it, and from when on its events count.
    epoch: Epoch,
    position: UtcMillis,
    floor: UtcMillis,
    /// How readers were last told to be.
    online: Vec<(domain::ids::ReaderId, bool)>,
    /// What was said of the connection.
    open: Option<bool>,
    silent_since: Instant,
    hardware: bool,
    skew_told: bool,
    rubbish_told: bool,
    nowhere_told: bool,
}

impl Listener {
    pub(super) fn new(shared: Arc<Shared>, client: Client) -> Self {
        let online = shared.settings.readers.iter().map(|reader| (reader.place.reader.clone(), false)).collect();
        Self {
            clock: shared.context.clock.clone(),
            places: Places::new(&shared.settings.readers),
            shared,
            client,
            dictionary: Dictionary::default(),
            recent: Recent::default(),
            pushes: None,
            subscription: None,
            epoch: Epoch([0; 16]),
            position: UtcMillis(0),
            floor: UtcMillis(0),
            online,
            open: None,
            silent_since: Instant::now(),
            hardware: true,
            skew_told: false,
            rubbish_told: false,
            nowhere_told: false,
        }
    }

    pub(super) async fn run(mut self) {
        let cancel = self.shared.cancel.clone();
        let mut wait = RETRY.0;
        loop {
            let lost = tokio::select! {
                () = cancel.cancelled() => Lost::End,
                lost = self.connection(&mut wait) => lost,
            };
            let session = self.shared.session.send_replace(None);
            let error = match lost {
                Lost::End => return self.leave(session).await,
                // Signed out by the server: sign in again, and say nothing if that works.
                Lost::Session if wait <= RETRY.0 => {
                    wait = RETRY.0 * 2;
                    continue;
                }
                Lost::Session => "the server ends every session at once".to_owned(),
                Lost::Call(error) => {
                    if matches!(error, CallError::No { method: "OpenSession", .. }) {
                        wait = wait.max(REFUSED_RETRY);
                    }
                    error.to_string()
                }
            };
            self.closed(error).await;
            tokio::select! {
                () = cancel.cancelled() => return self.leave(None).await,
                () = self.wait_away(wait) => {}
            }
            wait = (wait * 2).min(RETRY.1.max(wait));
        }
    }

    /// One connection from its beginning to its end.
    async fn connection(&mut self, wait: &mut Duration) -> Lost {
        let session = match self.connect().await {
            Ok(session) => session,
            Err(lost) => return lost,
        };
        self.opened(session).await;
        match self.stay(session, wait).await {
            Ok(()) => Lost::End,
            Err(lost) => lost,
        }
    }

    /// Whether an error can be passed over: the session lives, and it is not one too many in a row. A refusal may only
    /// mean that the session is over.
    async fn bear(&mut self, session: Guid, error: CallError, in_a_row: &mut u32) -> Result<(), Lost> {
        *in_a_row += 1;
        let kept = self.client.keep(session).await;
        let answers = kept.as_ref().map_or_else(CallError::is_refusal, |_| true);
        match kept {
            Ok(false) => Err(Lost::Session),
            _ if answers && *in_a_row < ERRORS_MAX => {
                tracing::debug!(line.id = %self.shared.settings.id, %error, "a look at the server's events failed");
                Ok(())
            }
            _ => Err(Lost::Call(error)),
        }
    }

    // ---- beginning and end ----

    async fn connect(&mut self) -> Result<Session, Lost> {
        let session = self.client.open(&self.shared.server).await?;
        let id = session.id;
        if let Ok(Answer::Text(version)) = self.client.ask(&Request::GetVersion).await {
            self.shared.status().software = Some(format!("ParsecNET {}", plain(&version, 60)));
        }
        let request = Request::GetTerritoriesHierarhy { session: id };
        let Answer::Territories(territories) = self.client.ask(&request).await? else {
            return Err(form(&request).into());
        };
        self.places.learn(&territories);
        self.learn_dictionary(id).await?;
        self.find_position(session).await?;
        self.subscribe(id).await;
        Ok(session)
    }

    async fn learn_dictionary(&mut self, session: Guid) -> Result<(), Lost> {
        let request = Request::GetTransactionTypes { session, classes: -1 };
        let types = match self.client.ask(&request).await {
            Ok(Answer::Types(types)) => types,
            Ok(_) => return Err(form(&request).into()),
            // The public codes remain.
            Err(error) if error.is_refusal() => {
                tracing::warn!(line.id = %self.shared.settings.id, %error, "the server has no dictionary of events");
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        let server = &self.shared.server;
        let asks = server.verify.then_some(server.dialect.verify_codes.as_slice());
        self.dictionary.learn(types, asks);
        tracing::info!(line.id = %self.shared.settings.id, codes = self.dictionary.len(), "the server's dictionary is read");
        if self.dictionary.asks_nothing() && self.open.is_none() {
            let detail = "no transaction of the server's dictionary asks for verification: write verify_codes";
            self.shared.notice(Reason::PeerRefused, detail.to_owned()).await;
        }
        Ok(())
    }

    /// Where we are in the server's events.
    async fn find_position(&mut self, session: Session) -> Result<(), Lost> {
        let epoch = Epoch(session.root_territory.0);
        if self.epoch == epoch && self.position.0 > 0 {
            return Ok(());
        }
        let (journal, peer) = (&self.shared.context.journal, &self.shared.settings.id);
        let position = match journal.position(peer).await {
            Ok(position) => position,
            Err(error) => {
                tracing::error!(line.id = %peer, %error, "the journal does not tell the position");
                return Err(Lost::End);
            }
        };
        self.epoch = epoch;
        let now = self.server_now();
        let Some(position) = position else {
            (self.position, self.floor) = (now, now);
            let joined = format!("{JOINED}{}", now.0 / HOUR_MS);
            return self.commit(Vec::new(), vec![joined], now).await;
        };
        self.position = UtcMillis(i64::try_from(position.seq).unwrap_or(i64::MAX));
        let hours = now.0 / HOUR_MS - DEEPEST_MS / HOUR_MS..=now.0 / HOUR_MS;
        let ids: Vec<String> = hours.map(|hour| format!("{JOINED}{hour}")).collect();
        let mut joined = None;
        for ids in ids.chunks(IDS_MAX) {
            if let Ok(known) = journal.known_events(peer, ids).await {
                joined = joined.or(known.iter().filter_map(|id| id.strip_prefix(JOINED)?.parse::<i64>().ok()).min());
            }
        }
        self.floor = joined.map_or(UtcMillis(i64::MIN), |hour| UtcMillis(hour * HOUR_MS));
        if position.epoch != epoch {
            self.recent.forget();
            let detail = "the server's database is another one than before: its events are taken from the last known \
                          time on, and it is told all passes again";
            let alarm = Report::Alarm { reader: None, reason: Reason::StreamReset, detail: Some(detail.to_owned()) };
            if let Err(error) = journal.restart_outgoing(peer, random_epoch().unwrap_or(epoch)).await {
                tracing::error!(line.id = %peer, %error, "the server cannot be told its passes again");
            }
            self.commit(vec![alarm], Vec::new(), self.position).await?;
        }
        Ok(())
    }

    async fn subscribe(&mut self, session: Guid) {
        self.subscription = None;
        if !self.shared.server.subscribe {
            return;
        }
        let board = &self.shared.context.push;
        let Some(address) = board.address() else { return };
        let peer = &self.shared.settings.id;
        match self.client.addresses().await {
            Ok(from) => match &self.pushes {
                Some(pushes) => pushes.set_addresses(from),
                None => self.pushes = Some(board.register(peer, from)),
            },
            Err(error) => tracing::warn!(line.id = %peer, %error, "the server's address is not known"),
        }
        let (format, method) = self.shared.server.dialect.subscribe;
        let url = format!("{}{}", address.trim_end_matches('/'), push::path_of(peer));
        let territories = self.places.territories();
        let request = Request::EventsSubscribe { session, codes: Vec::new(), territories, format, method, url };
        match self.client.make(&request).await {
            Ok(subscription) => self.subscription = Some(subscription),
            // Events are read all the same, only less promptly.
            Err(error) => tracing::warn!(line.id = %peer, %error, "the server does not take a subscription"),
        }
    }

    async fn opened(&mut self, session: Session) {
        self.silent_since = Instant::now();
        self.shared.session.send_replace(Some(session));
        {
            let now = self.clock.now();
            let mut status = self.shared.status();
            status.connected_since.get_or_insert(now);
        }
        if self.open != Some(true) {
            self.shared.teller.tell(LineFact::Opened { complaint: None }).await;
            let first = self.open.is_none();
            self.open = Some(true);
            let missing = self.places.missing().to_vec();
            for reader in missing.iter().filter(|_| first) {
                let detail = "the server has no territory with the GUID written as `at` of this reader".to_owned();
                let fact = ReaderFact::Alarm(Reason::DeviceFault, Some(detail));
                self.shared.teller.reader(Instant::now(), reader, fact).await;
            }
        }
        let here = |reader: &domain::ids::ReaderId| !self.places.missing().contains(reader);
        let readers = self.online.iter().map(|(reader, _)| (reader.clone(), here(reader))).collect();
        self.tell_online(readers).await;
        self.tell_status().await;
    }

    async fn closed(&mut self, why: String) {
        if self.open == Some(false) {
            tracing::debug!(line.id = %self.shared.settings.id, %why, "the server is still away");
            return;
        }
        self.open = Some(false);
        self.shared.status().connected_since = None;
        tracing::warn!(line.id = %self.shared.settings.id, %why, "the server is lost");
        self.shared.teller.tell(LineFact::Closed { why }).await;
        self.tell_status().await;
    }

    /// Waits for the next try; readers go offline meanwhile when it is time.
    async fn wait_away(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        let offline_at = self.silent_since + OFFLINE_AFTER;
        sleep_until(until.min(offline_at.max(Instant::now()))).await;
        if self.silent_since.elapsed() >= OFFLINE_AFTER {
            let readers = self.online.iter().map(|(reader, _)| (reader.clone(), false)).collect();
            self.tell_online(readers).await;
        }
        sleep_until(until).await;
    }

    /// Signs out, if that is possible in short time.
    async fn leave(&mut self, session: Option<Session>) {
        let Some(session) = session.map(|session| session.id) else { return };
        let polite = async {
            if let Some(subscription) = self.subscription {
                let _ = self.client.done(&Request::EventsUnsubscribe { session, subscription }).await;
            }
            let _ = self.client.ask(&Request::CloseSession { session }).await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), polite).await;
    }

    async fn tell_online(&mut self, readers: Vec<(domain::ids::ReaderId, bool)>) {
        let (now, secure) = (Instant::now(), self.shared.status().secure);
        for ((id, was), (_, is)) in self.online.iter_mut().zip(readers) {
            if *was == is {
                continue;
            }
            *was = is;
            let fact = if is { ReaderFact::Online } else { ReaderFact::Offline(self.silent_since.elapsed()) };
            self.shared.teller.reader(now, id, fact).await;
            if is {
                let firmware = self.shared.status().software.clone().unwrap_or_default();
                let identity = ReaderFact::Identity { model: "ParsecNET 3".into(), serial: String::new(), firmware };
                self.shared.teller.reader(now, id, identity).await;
                if secure {
                    self.shared.teller.reader(now, id, ReaderFact::Secure).await;
                }
            }
        }
    }

    async fn tell_status(&self) {
        let status = self.shared.status().clone();
        self.shared.teller.tell(LineFact::Peer(Box::new(status))).await;
    }

    // ---- the connection ----

    async fn stay(&mut self, session: Session, wait: &mut Duration) -> Result<(), Lost> {
        let started = Instant::now();
        let mut deep_at = started;
        let mut deepest = true;
        let (mut keep_at, mut state_at, mut subscription_at) =
            (started + KEEP_EVERY, started, started + SUBSCRIPTION_EVERY);
        let mut errors = 0;
        loop {
            let now = Instant::now();
            let deep = deep_at <= now;
            let back = match (deep, deepest) {
                (true, true) => DEEPEST_MS,
                (true, false) => DEEP_MS,
                (false, _) => OVERLAP_MS,
            };
            match self.look(session.id, back).await {
                Ok(()) => errors = 0,
                Err(Lost::Call(error)) => {
                    self.bear(session.id, error, &mut errors).await?;
                    self.rest().await;
                    continue;
                }
                Err(lost) => return Err(lost),
            }
            if deep {
                (deep_at, deepest) = (Instant::now() + DEEP_EVERY, false);
            }
            self.silent_since = Instant::now();
            if keep_at <= now {
                keep_at = now + KEEP_EVERY;
                if !self.client.keep(session.id).await? {
                    return Err(Lost::Session);
                }
                *wait = RETRY.0;
            }
            if state_at <= now {
                state_at = now + STATE_EVERY;
                self.look_at_hardware(session.id).await?;
                self.look_at_clock().await;
            }
            if subscription_at <= now {
                subscription_at = now + SUBSCRIPTION_EVERY;
                self.look_at_subscription(session.id).await?;
            }
            self.tell_status().await;
            self.rest().await;
        }
    }

    /// Until the next look: the time between two, or a push.
    async fn rest(&mut self) {
        let poll = sleep(self.shared.server.poll);
        let Some(pushes) = &mut self.pushes else { return poll.await };
        tokio::select! {
            () = poll => {}
            pushed = pushes.next() => {
                let Some(pushed) = pushed else { return sleep(self.shared.server.poll).await };
                let _ = pushed.answer.send(PushAnswer::taken());
                // Several events come at once: one look finds them all.
                sleep(PUSH_GAP).await;
                while let Some(Some(pushed)) = futures_util::FutureExt::now_or_never(pushes.next()) {
                    let _ = pushed.answer.send(PushAnswer::taken());
                }
            }
        }
    }

    async fn look(&mut self, session: Guid, back_ms: i64) -> Result<(), Lost> {
        let behind = self.position.plus_ms(-OVERLAP_MS);
        let from = if back_ms > OVERLAP_MS { behind.min(self.server_now().plus_ms(-back_ms)) } else { behind };
        let from = from.max(self.floor);
        for group in 0..self.places.groups().len() {
            let mut windows = vec![(from, None)];
            while let Some(window) = windows.pop() {
                let Some(places) = self.places.groups().get(group) else { break };
                let ids = Ids { keys: &self.shared.context.keys.card, form: self.shared.server.dialect.cards };
                match history::window(&mut self.client, session, places, window, &ids).await? {
                    Some(reading) => {
                        self.note_rubbish(reading.rubbish).await;
                        self.take(reading.found).await?;
                    }
                    None => {
                        let Some(halves) = history::halves(window, self.server_now()) else {
                            let detail = "more events within two seconds than a report may have: they are not read";
                            self.shared.notice(Reason::StreamGap, detail.to_owned()).await;
                            continue;
                        };
                        windows.extend(halves.into_iter().rev());
                    }
                }
            }
        }
        Ok(())
    }

    async fn note_rubbish(&mut self, rows: usize) {
        if rows > 0 && !self.rubbish_told {
            self.rubbish_told = true;
            let detail = format!("{rows} rows of the server's report are no events of ours and are passed over");
            self.shared.notice(Reason::PeerRefused, detail).await;
        }
    }

    /// Takes in what is new of a reading.
    async fn take(&mut self, found: Vec<Found>) -> Result<(), Lost> {
        let unseen: Vec<Found> = found.into_iter().filter(|found| !self.recent.has(&found.id)).collect();
        let mut unseen = unseen.into_iter().peekable();
        while unseen.peek().is_some() {
            let some: Vec<Found> = unseen.by_ref().take(IDS_MAX).collect();
            let ids: Vec<String> = some.iter().map(|found| found.id.clone()).collect();
            let known = self.shared.context.journal.known_events(&self.shared.settings.id, &ids).await;
            let known = match known {
                Ok(known) => known,
                Err(error) => {
                    // Not to know is no reason to record something twice: it is looked at again.
                    tracing::error!(line.id = %self.shared.settings.id, %error, "the journal does not tell known events");
                    return Ok(());
                }
            };
            let (old, new): (Vec<_>, Vec<_>) = some.into_iter().partition(|found| known.contains(&found.id));
            old.into_iter().for_each(|found| self.recent.add(found.id));
            self.record(new).await?;
        }
        Ok(())
    }

    async fn record(&mut self, new: Vec<Found>) -> Result<(), Lost> {
        let mut reports = Vec::new();
        let mut ids = Vec::new();
        let mut newest = self.position;
        for found in new {
            newest = newest.max(found.event.at);
            match self.judge(&found) {
                Made::Report(report) => reports.push(report),
                Made::Ask { reader, number, age, ask } => {
                    let fact = ReaderFact::Asked { number, age, ask };
                    self.shared.teller.reader(Instant::now(), &reader, fact).await;
                }
                Made::Nothing => {}
                Made::Unknown { code, name } => {
                    tracing::info!(line.id = %self.shared.settings.id, code, name = %plain(&name, 80), "an event that means nothing here");
                }
                Made::Nowhere => self.note_nowhere().await,
            }
            ids.push(found.id);
            if reports.len() >= BATCH_MAX_REPORTS {
                self.commit(std::mem::take(&mut reports), std::mem::take(&mut ids), newest).await?;
            }
        }
        if ids.is_empty() { Ok(()) } else { self.commit(reports, ids, newest).await }
    }

    fn judge(&mut self, found: &Found) -> Made {
        let mut asks = self.shared.asks();
        let mut judge = Judge {
            places: &self.places,
            dictionary: &mut self.dictionary,
            asks: &mut asks,
            form: self.shared.server.dialect.cards,
            now: self.clock.now(),
            skew_ms: self.client.skew_ms(),
        };
        judge.event(&found.event, found.territory)
    }

    async fn note_nowhere(&mut self) {
        if !self.nowhere_told {
            self.nowhere_told = true;
            let detail =
                "events come of a direction for which no reader is set up at their territory: they are left out";
            self.shared.notice(Reason::NoPoint, detail.to_owned()).await;
        }
    }

    /// Makes reports, ids and position durable, and waits for it.
    async fn commit(&mut self, reports: Vec<Report>, ids: Vec<String>, newest: UtcMillis) -> Result<(), Lost> {
        // An event of the future must not hide those between now and then.
        let reached = newest.min(self.server_now());
        let at = self.clock.now();
        self.position = UtcMillis(reached.0.max(self.position.0.saturating_add(1)));
        let mark = Mark {
            peer: self.shared.settings.id.clone(),
            epoch: self.epoch,
            seq: u64::try_from(self.position.0).unwrap_or_default(),
            at,
            events: ids.clone(),
            quarantined: Vec::new(),
        };
        let (done, durable) = oneshot::channel();
        self.shared.teller.tell(LineFact::Happened(Batch { reports, mark: Some(mark), done })).await;
        // Nobody answers: the gateway ends, or this peer is not in its settings any more.
        durable.await.map_err(|_| Lost::End)?;
        ids.into_iter().for_each(|id| self.recent.add(id));
        Ok(())
    }

    // ---- now and then ----

    /// The states are masks whose bits are not public: only whether a territory has a state at all is believed.
    async fn look_at_hardware(&mut self, session: Guid) -> Result<(), Lost> {
        if !self.hardware {
            return Ok(());
        }
        let territories = self.places.territories();
        let request = Request::GetHardwareState { session, territories: territories.clone() };
        let states = match self.client.ask(&request).await {
            Ok(Answer::Hardware(states)) => states,
            Ok(_) => return Err(form(&request).into()),
            Err(error) if error.is_refusal() => {
                tracing::info!(line.id = %self.shared.settings.id, %error, "the server tells no states of hardware");
                self.hardware = false;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // A server that tells no state at all says nothing about any of them.
        if states.is_empty() {
            return Ok(());
        }
        let mut readers: Vec<_> = self.online.iter().map(|(reader, _)| (reader.clone(), false)).collect();
        for territory in territories {
            let here = states.iter().any(|state| state.territory == territory);
            for reader in self.places.readers_at(territory) {
                if let Some((_, online)) = readers.iter_mut().find(|(known, _)| known == reader) {
                    *online = here;
                }
            }
        }
        self.tell_online(readers).await;
        Ok(())
    }

    async fn look_at_clock(&mut self) {
        let skew = self.client.skew_ms();
        self.shared.status().skew_ms = skew;
        let wrong = skew.is_some_and(|skew| skew.abs() > SKEW_ALARM_MS);
        if wrong && !self.skew_told {
            let seconds = skew.unwrap_or_default() / 1000;
            let detail = format!("the server's clock differs from ours by {seconds} s: set one of them right");
            self.shared.notice(Reason::DeviceClock, detail).await;
        }
        self.skew_told = wrong;
    }

    async fn look_at_subscription(&mut self, session: Guid) -> Result<(), Lost> {
        if !self.shared.server.subscribe {
            return Ok(());
        }
        let good = match self.subscription {
            Some(subscription) => {
                match self.client.done(&Request::EventsSubscribeCheck { session, subscription }).await {
                    Ok(()) => true,
                    Err(error) if error.is_refusal() => false,
                    Err(error) => return Err(error.into()),
                }
            }
            None => false,
        };
        if !good {
            self.subscribe(session).await;
        }
        Ok(())
    }

    /// The present by the server's clock, which its events go by.
    fn server_now(&self) -> UtcMillis {
        self.clock.now().plus_ms(-self.client.skew_ms().unwrap_or(0))
    }
}

fn random_epoch() -> Option<Epoch> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).is_ok().then_some(Epoch(bytes))
}

/// Words of the server for a log or a page: no control characters, not too many.
pub(super) fn plain(text: &str, most: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(most).collect()
}
