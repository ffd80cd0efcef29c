//! Events in the order of the device's journal, each once, durably.
//!
//! The device numbers its events. What is not the next number is a repetition, a gap, or the sign of a journal that
//! began anew; the device's own journal says which. The position is kept with the facts in our journal, so that after a
//! restart of either side nothing is lost and nothing is recorded twice.

use std::collections::VecDeque;
use std::time::Duration;

use domain::Reason;
use domain::ids::Epoch;
use sha2::{Digest, Sha256};
use store::journal::Mark;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use wire::isapi::event::Access;
use wire::isapi::history::{PAGE_MAX, Page, Search};
use wire::isapi::time::{DeviceTime, Zone};

use super::hands::failure;
use super::translate::Said;
use super::{Device, Session};
use crate::line::{BATCH_MAX_REPORTS, Batch, LineFact, Report};
use crate::peer::http::{Call, HttpClient};
use crate::peer::push::PushAnswer;

/// Events that are taken from one search before they are recorded and the next one is made.
const TAKEN_MAX: usize = 10 * PAGE_MAX as usize;
/// Pages of one search at most; a device that ignores the numbers in it gives its whole memory.
const PAGES_MAX: u32 = 400;
/// Events taken in lately, to know a repetition without asking.
const RECENT_MAX: usize = 512;
/// Reports that one event can become.
const REPORTS_OF_ONE: usize = 2;
/// Before a search that failed is tried again, and how often.
const RETRY: Duration = Duration::from_secs(1);
const TRIES_MAX: u32 = 5;

/// An event on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) event: Access,
    pub(super) at: Option<DeviceTime>,
    pub(super) heard: Instant,
    /// The push that brought it, answered when it is durable.
    pub(super) ack: Option<oneshot::Sender<PushAnswer>>,
}

/// An event as it is known again: a journal that began anew has other events under the same numbers.
type Print = (Option<u64>, u32, u32, Option<DeviceTime>);

const fn print(event: &Access, at: Option<DeviceTime>) -> Print {
    (event.serial, event.major, event.minor, at)
}

/// Why a search has no result.
#[derive(Debug)]
enum NoResult {
    /// The device has no such search.
    Never(String),
    /// Not now.
    Failed(String),
}

/// Events with their numbers, in order.
type Found = Vec<(u64, Access, Option<DeviceTime>)>;

struct Intake<'a> {
    device: &'a Device,
    client: HttpClient,
    /// Which life of which device's journal, and the last number taken in.
    place: Option<(Epoch, u64)>,
    /// The session in which the device's journal was last compared with our position.
    caught_up: u64,
    recent: VecDeque<Print>,
    /// The next to take, before those that wait.
    held: Option<Item>,
    /// The device does not know numbers in a search.
    by_time: bool,
    /// It gives no journal at all.
    no_history: bool,
}

/// Takes in events until the task ends.
pub(super) async fn run(device: &Device, mut items: mpsc::Receiver<Item>) {
    let client = device.client();
    let mut intake = Intake {
        device,
        client,
        place: None,
        caught_up: 0,
        recent: VecDeque::new(),
        held: None,
        by_time: false,
        no_history: false,
    };
    intake.load().await;
    let mut session = device.session.subscribe();
    loop {
        let present = session.borrow_and_update().clone();
        if let Some(present) = present
            && present.number != intake.caught_up
        {
            intake.catch_up(&present).await;
            continue;
        }
        if let Some(item) = intake.held.take() {
            intake.take(item, &mut items).await;
            continue;
        }
        tokio::select! {
            item = items.recv() => match item {
                Some(item) => intake.take(item, &mut items).await,
                None => return,
            },
            changed = session.changed() => if changed.is_err() { return },
        }
    }
}

impl Intake<'_> {
    /// Our position, durably kept.
    async fn load(&mut self) {
        loop {
            match self.device.context.journal.position(&self.device.settings.id).await {
                Ok(position) => {
                    self.place = position.map(|position| (position.epoch, position.seq));
                    return;
                }
                Err(error) => {
                    tracing::error!(line.id = %self.device.settings.id, %error, "the position in a device's journal cannot be read");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// The device was found (again): what happened meanwhile is in its journal.
    async fn catch_up(&mut self, session: &Session) {
        self.caught_up = session.number;
        if let Some((epoch, seq)) = self.place
            && !is_of(epoch, &session.serial)
        {
            let detail = format!(
                "another device answers at this address (it was at event {seq}): its journal is taken from now on"
            );
            self.device.memory().forget();
            self.place = None;
            self.no_history = false;
            self.by_time = false;
            self.say(Reason::StreamReset, detail).await;
        }
        // Another firmware may be at work since.
        self.no_history = false;
        let Some(newest) = self.newest_surely(session).await else { return };
        match (self.place, newest) {
            (None, Some(newest)) => self.begin(session, newest).await,
            (Some((_, seq)), Some(newest)) if newest > seq => {
                self.fill(session, seq + 1, newest).await;
            }
            (Some((_, seq)), Some(newest)) if newest < seq => self.began_anew(session, newest).await,
            _ => {}
        }
    }

    /// The number of the device's last event; `None` if it cannot be had.
    async fn newest_surely(&mut self, session: &Session) -> Option<Option<u64>> {
        for _ in 0..TRIES_MAX {
            match self.newest(session).await {
                Ok(newest) => return Some(newest),
                Err(NoResult::Never(why)) => {
                    self.no_history = true;
                    tracing::warn!(line.id = %self.device.settings.id, %why, "the device's journal cannot be searched; gaps cannot be filled");
                    return None;
                }
                Err(NoResult::Failed(why)) => {
                    tracing::info!(line.id = %self.device.settings.id, %why, "a search in the device's journal failed");
                    sleep(RETRY).await;
                }
            }
        }
        // The next event shows what is missing.
        None
    }

    /// The first position: what happened before this device belonged to us is not ours.
    async fn begin(&mut self, session: &Session, seq: u64) {
        let Some(epoch) = fresh_epoch(&session.serial) else { return };
        self.place = Some((epoch, seq));
        self.commit(Vec::new(), Some(seq)).await;
    }

    async fn began_anew(&mut self, session: &Session, newest: u64) {
        let Some((_, seq)) = self.place else { return };
        let Some(epoch) = fresh_epoch(&session.serial) else { return };
        self.place = Some((epoch, 0));
        self.recent.clear();
        self.device.memory().forget();
        let detail = format!(
            "the device's journal began anew: it was at event {seq}, now it is at {newest}; what it had not delivered is lost"
        );
        self.say(Reason::StreamReset, detail).await;
        self.fill(session, 1, newest).await;
    }

    async fn take(&mut self, first: Item, items: &mut mpsc::Receiver<Item>) {
        let Some(serial) = first.event.serial else {
            let reports = self.reports(&first.event, first.at, true, first.heard).await;
            self.commit(reports, None).await;
            acknowledge(first.ack);
            return;
        };
        let session = self.device.session();
        if self.place.is_none()
            && let Some(session) = &session
        {
            self.begin(session, serial.saturating_sub(1)).await;
        }
        let Some((_, seq)) = self.place else {
            // Nothing is known of the device yet; a push comes again, and the rest is in its journal.
            return;
        };
        if serial <= seq {
            return self.earlier(first, serial, seq).await;
        }
        // Some devices number what they never send: then they say what came before.
        let follows = serial == seq + 1 || first.event.front_serial == Some(seq);
        if !follows {
            // Not before its journal can be asked: the place in it would move past what is missing.
            let session = self.device.present().await;
            if session.number != self.caught_up {
                // First what it has in its journal, then this one.
                self.held = Some(first);
                return;
            }
            if !self.fill(&session, seq + 1, serial - 1).await {
                return;
            }
        }
        self.batch(first, serial, items).await;
    }

    /// An event and those right behind it, in one commit.
    async fn batch(&mut self, first: Item, serial: u64, items: &mut mpsc::Receiver<Item>) {
        let mut last = serial;
        let mut acks = Vec::new();
        let mut reports = self.reports(&first.event, first.at, first.event.current, first.heard).await;
        self.remember(&first.event, first.at);
        acks.push(first.ack);
        while reports.len() + REPORTS_OF_ONE <= BATCH_MAX_REPORTS && acks.len() < BATCH_MAX_REPORTS {
            let Ok(item) = items.try_recv() else { break };
            if item.event.serial != Some(last + 1) {
                self.held = Some(item);
                break;
            }
            last += 1;
            reports.extend(self.reports(&item.event, item.at, item.event.current, item.heard).await);
            self.remember(&item.event, item.at);
            acks.push(item.ack);
        }
        self.commit(reports, Some(last)).await;
        acks.into_iter().for_each(acknowledge);
    }

    /// A number that we have had: a repetition, unless the journal began anew.
    async fn earlier(&mut self, item: Item, serial: u64, seq: u64) {
        if item.event.current
            && !self.recent.contains(&print(&item.event, item.at))
            && let Some(session) = self.device.session()
        {
            match self.newest_surely(&session).await {
                Some(Some(newest)) if newest < seq => self.began_anew(&session, newest).await,
                // Without its journal the device's word is all there is: a live event with a small number.
                None if self.no_history => {
                    if let Some(epoch) = fresh_epoch(&session.serial) {
                        self.place = Some((epoch, serial.saturating_sub(1)));
                        self.recent.clear();
                        let detail =
                            format!("the device's journal began anew: it was at event {seq}, now it is at {serial}");
                        self.say(Reason::StreamReset, detail).await;
                        let reports = self.reports(&item.event, item.at, true, item.heard).await;
                        self.remember(&item.event, item.at);
                        self.commit(reports, Some(serial)).await;
                    }
                }
                _ => {}
            }
        }
        acknowledge(item.ack);
    }

    /// Takes events from the device's journal; what is not there either is said and given up. `false`: the device went
    /// away meanwhile, and its journal is looked at anew when it is back.
    async fn fill(&mut self, session: &Session, from: u64, to: u64) -> bool {
        let (mut next, mut had, mut failures) = (from, 0_u64, 0);
        while next <= to && !self.no_history {
            let found = match self.fetch(session, next, to).await {
                Ok(found) => found,
                Err(NoResult::Never(why)) => {
                    self.no_history = true;
                    tracing::warn!(line.id = %self.device.settings.id, %why, "the device's journal cannot be searched; gaps cannot be filled");
                    break;
                }
                Err(NoResult::Failed(why)) => {
                    failures += 1;
                    if self.device.session().is_none() {
                        self.caught_up = 0;
                        return false;
                    }
                    tracing::info!(line.id = %self.device.settings.id, %why, "a search in the device's journal failed");
                    if failures >= TRIES_MAX {
                        break;
                    }
                    sleep(RETRY).await;
                    continue;
                }
            };
            // Each round takes at least one event, and at most what the device has.
            let Some((last, ..)) = found.last() else { break };
            next = last.saturating_add(1);
            had += found.len() as u64;
            let (mut reports, mut reached) = (Vec::new(), None);
            for (serial, event, at) in found {
                if reports.len() + REPORTS_OF_ONE > BATCH_MAX_REPORTS {
                    self.commit(std::mem::take(&mut reports), reached).await;
                }
                reports.extend(self.reports(&event, at, false, Instant::now()).await);
                self.remember(&event, at);
                reached = Some(serial);
            }
            self.commit(reports, reached).await;
        }
        let missing = (to - from + 1).saturating_sub(had);
        if missing > 0 {
            let detail = format!(
                "{missing} of the device's events {from} to {to} are neither received nor in its journal any more"
            );
            self.say(Reason::StreamGap, detail).await;
        }
        true
    }

    async fn say(&mut self, reason: Reason, detail: String) {
        let kind = match reason {
            Reason::StreamGap => "gap",
            _ => "reset",
        };
        self.device.alarm(kind, reason, detail).await;
    }

    fn remember(&mut self, event: &Access, at: Option<DeviceTime>) {
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(print(event, at));
    }

    /// What an event means, and what of it is to be recorded.
    async fn reports(&self, event: &Access, at: Option<DeviceTime>, live: bool, heard: Instant) -> Vec<Report> {
        // A question was put to the core when it came; here it only counts as received.
        if event.remote_check && event.current && self.device.device.online {
            return Vec::new();
        }
        let age = self.device.age(at, live, heard);
        let said =
            self.device.memory().translate(event, age, Instant::now(), &self.device.places, self.device.device.cards);
        let mut reports = Vec::new();
        for said in said {
            match said {
                Said::Report(report) => reports.push(report),
                Said::Now(reader, fact) => self.device.teller.reader(heard, &reader, fact).await,
                Said::Unheard => self.unheard(event.remote_result.as_deref()).await,
                Said::Unknown => tracing::info!(
                    line.id = %self.device.settings.id,
                    event.major = event.major,
                    event.minor = event.minor,
                    "the device reports a code that is in no table; it is counted and not recorded"
                ),
            }
        }
        reports
    }

    /// The trap of this protocol: while our answers do not reach the device, everybody stands there for its patience.
    async fn unheard(&self, result: Option<&str>) {
        let waits = self.device.session().and_then(|session| session.waits).unwrap_or_default();
        let detail = match result {
            Some("timeout") => format!(
                "the device waited {} s in vain for our decision and decided by itself: every pass takes so long until it reaches us again, or set online = false",
                waits.as_secs()
            ),
            _ => "the device decided by itself although it should ask us: look at its remote verification settings"
                .into(),
        };
        self.device.alarm("unheard", Reason::PeerDecision, detail).await;
    }

    /// Hands reports to the core with the position that is reached by them, and waits until they are durable.
    async fn commit(&mut self, reports: Vec<Report>, seq: Option<u64>) {
        let mark = self.place.zip(seq).map(|((epoch, _), seq)| Mark {
            peer: self.device.settings.id.clone(),
            epoch,
            seq,
            at: self.device.now(),
            events: Vec::new(),
            quarantined: Vec::new(),
        });
        if let (Some((_, place)), Some(seq)) = (&mut self.place, seq) {
            *place = seq;
        }
        let (done, durable) = oneshot::channel();
        self.device.teller.tell(LineFact::Happened(Batch { reports, mark, done })).await;
        if durable.await.is_err() {
            // Not written, and never will be: the journal says where we are.
            sleep(RETRY).await;
            self.load().await;
            self.caught_up = 0;
        }
    }

    // ---- the device's journal ----

    /// The number of its last event; `None` if it has none.
    async fn newest(&mut self, session: &Session) -> Result<Option<u64>, NoResult> {
        let mut search = self.search(session, None)?;
        search.results = 1;
        let first = self.page(&search).await?;
        let mut newest = first.events.iter().filter_map(|(event, _)| event.serial).max();
        if first.total > 1 {
            search.position = first.total - 1;
            let last = self.page(&search).await?;
            newest = newest.max(last.events.iter().filter_map(|(event, _)| event.serial).max());
        }
        Ok(newest)
    }

    /// Events with these numbers, in order: the first ones if there are many.
    async fn fetch(&mut self, session: &Session, from: u64, to: u64) -> Result<Found, NoResult> {
        let mut found = Vec::new();
        let numbers = (!self.by_time).then_some((from, to));
        let mut search = self.search(session, numbers)?;
        let mut rising = true;
        for _ in 0..PAGES_MAX {
            let page = self.page(&search).await?;
            let rows = page.events.len();
            let serials: Vec<u64> = page.events.iter().filter_map(|(event, _)| event.serial).collect();
            let strange = |serial: u64| !(from..=to).contains(&serial);
            // It gave others than it was asked for: from now on it is asked for everything.
            self.by_time |= numbers.is_some() && serials.iter().any(|serial| strange(*serial));
            rising &= serials.is_sorted();
            for (event, at) in page.events {
                if let Some(serial) = event.serial.filter(|serial| !strange(*serial)) {
                    found.push((serial, event, at));
                }
            }
            search.position = search.position.saturating_add(u32::try_from(rows).unwrap_or(0) + page.unreadable);
            // Only where its order is rising are the first pages those with the smallest numbers.
            if !page.more || rows == 0 || (rising && !self.by_time && found.len() >= TAKEN_MAX) {
                break;
            }
        }
        found.sort_by_key(|(serial, ..)| *serial);
        found.dedup_by_key(|(serial, ..)| *serial);
        Ok(found)
    }

    fn search(&self, session: &Session, numbers: Option<(u64, u64)>) -> Result<Search, NoResult> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| NoResult::Failed(error.to_string()))?;
        let zone = session.zone.unwrap_or(Zone::ahead_s(0));
        let now = self.device.now();
        // Wide in time: its clock may have been wrong when it wrote them.
        let (begin, end) = (zone.stamp(now.plus_ms(-WIDE_MS)), zone.stamp(now.plus_ms(WIDE_MS)));
        Ok(Search {
            id: format!("{:016x}", u64::from_be_bytes(random)),
            position: 0,
            results: PAGE_MAX,
            between: (begin, end),
            begin_serial: numbers.map(|(from, _)| from),
            end_serial: numbers.map(|(_, to)| to),
        })
    }

    /// One page; a busy device is asked again for a while.
    async fn page(&mut self, search: &Search) -> Result<Page, NoResult> {
        let body = search.write();
        let mut tries = 0;
        loop {
            let path = "/ISAPI/AccessControl/AcsEvent?format=json";
            let reply = self.client.send(&Call::post(path, "application/json", body.clone())).await;
            match &reply {
                Ok(page) if page.is_success() => {
                    return Page::read(&page.body).map_err(|error| NoResult::Failed(error.to_string()));
                }
                Ok(page) if page.status == 503 && tries < 10 => {}
                Ok(page) if matches!(page.status, 400 | 403 | 404 | 405 | 501) => {
                    return Err(NoResult::Never(failure(&reply)));
                }
                _ => return Err(NoResult::Failed(failure(&reply))),
            }
            tries += 1;
            sleep(RETRY / 4).await;
        }
    }
}

/// How far around now a search looks: two years.
const WIDE_MS: i64 = 2 * 366 * 24 * 3600 * 1000;

fn acknowledge(ack: Option<oneshot::Sender<PushAnswer>>) {
    if let Some(ack) = ack {
        // The device may have given up: it sends it again, and it is recognised.
        let _ = ack.send(PushAnswer::taken());
    }
}

/// The first half says whose journal it is, the second which life of it.
fn fresh_epoch(serial: &str) -> Option<Epoch> {
    let mut epoch = [0; 16];
    epoch[..8].copy_from_slice(&owner(serial));
    getrandom::fill(&mut epoch[8..]).ok()?;
    Some(Epoch(epoch))
}

fn is_of(epoch: Epoch, serial: &str) -> bool {
    epoch.0[..8] == owner(serial)
}

fn owner(serial: &str) -> [u8; 8] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(b"tapward isapi journal 1").chain_update(serial.as_bytes()).finalize().into();
    let mut half = [0; 8];
    half.copy_from_slice(&hash[..8]);
    half
}
