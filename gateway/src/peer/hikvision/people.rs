//! Telling the device whose cards are good, for when we are away.
//!
//! What it was told is kept in our journal, by person: noted before the device hears of it and again when it has taken
//! it, so that after a crash at any moment everything that it may know is known to have been told, and can be taken back.
//! Taking back comes first, then changes, then what is new. A busy device is left alone for a while; one that is full is
//! told no more, and an alarm says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Reason;
use domain::card::SealedBytes;
use domain::ids::{Epoch, PersonId};
use domain::policy::Policy;
use sha2::{Digest, Sha256};
use store::journal::{Note, Outgoing, POST_MAX_MESSAGES, Told};
use tokio::time::{Instant, sleep};
use wire::isapi::device::Status;
use wire::isapi::form::Form;
use wire::isapi::person::{self, Card, DeleteProcess};
use wire::isapi::time::Zone;

use super::hands::failure;
use super::wanted::{self, Everybody, Wanted};
use super::{Device, Session};
use crate::peer::http::{Call, HttpClient, HttpError, Reply};

/// After a change of the policy: changes come in bursts.
const GATHER: Duration = Duration::from_millis(300);
/// Without a change: passes begin and end by the clock, and a device may have lost some.
const REVIEW: Duration = Duration::from_secs(600);
/// Before an attempt that failed is repeated.
const RETRY: Duration = Duration::from_secs(20);
/// Before a busy device is asked again, and how often.
const BUSY: (Duration, u32) = (Duration::from_millis(500), 10);
/// How long forgetting people may take.
const FORGET_TIME: Duration = Duration::from_secs(60);
/// People of one order to forget.
const FORGET_MAX: usize = 30;
/// People that are noted by one write.
const NOTE_MAX: usize = POST_MAX_MESSAGES;
/// Stands for "the device may know something of this person": no real digest is this.
const UNSURE: [u8; 16] = [0; 16];

/// What ended an attempt.
#[derive(Debug)]
enum Stopped {
    /// Try later.
    Later(String),
    /// The device takes no more.
    Full(String),
    /// The device has lost people: begin anew, at once.
    Again,
    /// It does not take this one.
    Refused(String),
}

struct People<'a> {
    device: &'a Device,
    client: HttpClient,
    told: BTreeMap<PersonId, (u64, [u8; 16])>,
    /// The serial number of the device that [`People::told`] is about.
    of: Option<String>,
}

/// Keeps the device's list right until the task ends.
pub(super) async fn run(device: &Device) {
    let client = device.client();
    let mut people = People { device, client, told: BTreeMap::new(), of: None };
    let mut policies = device.context.policy.clone();
    let mut sessions = device.session.subscribe();
    let mut current = 0;
    loop {
        let session = device.present().await;
        let policy = policies.borrow_and_update().clone();
        current = current.max(session.number);
        let mut pause = REVIEW;
        if let Some(policy) = policy
            && let Err(stopped) = people.bring_into_line(&session, policy).await
        {
            pause = RETRY;
            match stopped {
                Stopped::Again => continue,
                Stopped::Later(why) | Stopped::Refused(why) => {
                    tracing::info!(line.id = %device.settings.id, %why, "the device's list is brought into line later");
                }
                Stopped::Full(why) => {
                    pause = REVIEW;
                    let detail = format!("it does not take all passes ({why}): the rest is decided by us only");
                    device.alarm("full", Reason::PassNotTaken, detail).await;
                }
            }
        }
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                changed = policies.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    sleep(GATHER).await;
                    break;
                }
                _ = sessions.changed() => {
                    let number = sessions.borrow_and_update().as_ref().map(|session| session.number);
                    if number.is_some_and(|number| number != current) {
                        break;
                    }
                }
            }
        }
    }
}

impl People<'_> {
    async fn bring_into_line(&mut self, session: &Session, policy: Arc<Policy>) -> Result<(), Stopped> {
        self.load(session).await?;
        let able = session.abilities.people != Some(false) && session.abilities.cards != Some(false);
        let wanted = if able { self.wanted(Arc::clone(&policy)).await? } else { Everybody::default() };
        self.complain(&wanted).await;
        let zone = session.zone.unwrap_or(Zone::ahead_s(0));
        let form = self.device.device.cards;
        self.show(&wanted, zone);
        // Taken back first: who must not pass any more, must not pass while thousands of others are told.
        let gone: Vec<PersonId> = self.told.keys().filter(|id| !wanted.people.contains_key(id)).copied().collect();
        for some in gone.chunks(FORGET_MAX) {
            self.forget(some).await?;
            self.show(&wanted, zone);
        }
        let right = |id: &PersonId, wanted: &Wanted| {
            self.told.get(id).is_some_and(|(_, digest)| *digest == wanted.digest(zone, form))
        };
        let changed = |new: bool| {
            let people = wanted.people.iter().filter(|(id, person)| !right(id, person));
            people.filter(|(id, _)| self.told.contains_key(id) != new).map(|(id, _)| *id).collect::<Vec<_>>()
        };
        let work: Vec<PersonId> = changed(false).into_iter().chain(changed(true)).collect();
        let mut full = None;
        let mut refused: (u32, String) = Default::default();
        for some in work.chunks(NOTE_MAX) {
            let unsure: Vec<_> = some.iter().map(|id| (*id, UNSURE)).collect();
            self.note(&unsure).await?;
            let mut taken = Vec::new();
            for id in some {
                let Some(person) = wanted.people.get(id) else { continue };
                let cards = person.cards(*id, &policy, &self.device.context.keys, &self.device.places, form);
                match self.tell(*id, person, &cards, zone).await {
                    Ok(()) => taken.push((*id, person.digest(zone, form))),
                    Err(Stopped::Full(why)) => full = Some(why),
                    // One that it cannot have must not keep out all others; it is tried again with the next review.
                    Err(Stopped::Refused(why)) => refused = (refused.0 + 1, why),
                    Err(later) => {
                        self.note(&taken).await?;
                        return Err(later);
                    }
                }
                if full.is_some() {
                    break;
                }
            }
            self.note(&taken).await?;
            self.show(&wanted, zone);
            if let Some(why) = full {
                return Err(Stopped::Full(why));
            }
        }
        if refused.0 > 0 {
            let detail = format!("it does not take {} people, the last one with: {}", refused.0, refused.1);
            self.device.alarm("refused", Reason::PassNotTaken, detail).await;
        }
        self.recount().await
    }

    fn show(&self, wanted: &Everybody, zone: Zone) {
        let form = self.device.device.cards;
        let right = wanted
            .people
            .iter()
            .filter(|(id, person)| self.told.get(id).is_some_and(|(_, digest)| *digest == person.digest(zone, form)));
        let told: usize = right.map(|(_, person)| person.cards.len()).sum();
        let all: usize = wanted.people.values().map(|person| person.cards.len()).sum();
        self.device.set_told(told as u64, all as u64);
    }

    /// What the device was told, from our journal; nothing if it is another device than the last time.
    async fn load(&mut self, session: &Session) -> Result<(), Stopped> {
        if self.of.as_deref() == Some(&session.serial) {
            return Ok(());
        }
        let later = |error: store::Error| Stopped::Later(error.to_string());
        let (journal, peer) = (&self.device.context.journal, &self.device.settings.id);
        let mark = mark(&session.serial);
        let (mut told, mut ours) = (BTreeMap::new(), false);
        let mut after: Option<String> = None;
        loop {
            let rows = journal.told(peer, after.as_deref(), 1000).await.map_err(later)?;
            let Some(last) = rows.last() else { break };
            after = Some(last.key.clone());
            ours |= rows.iter().any(|row| row.key == mark);
            told.extend(
                rows.into_iter()
                    .filter_map(|row| Some((row.key.strip_prefix("p:")?.parse().ok()?, (row.rev, row.digest)))),
            );
        }
        self.told = told;
        if !ours {
            if !self.told.is_empty() {
                self.begin_anew().await?;
            }
            self.write(vec![Note::Told(Told { key: mark, rev: 1, digest: UNSURE })]).await?;
        }
        self.of = Some(session.serial.clone());
        Ok(())
    }

    /// The device knows nothing of what was told: another one, or one that was reset.
    async fn begin_anew(&mut self) -> Result<(), Stopped> {
        let mut fresh = [0; 16];
        getrandom::fill(&mut fresh).map_err(|error| Stopped::Later(error.to_string()))?;
        let journal = &self.device.context.journal;
        let done = journal.restart_outgoing(&self.device.settings.id, Epoch(fresh)).await;
        done.map_err(|error| Stopped::Later(error.to_string()))?;
        self.told.clear();
        self.of = None;
        Ok(())
    }

    async fn wanted(&self, policy: Arc<Policy>) -> Result<Everybody, Stopped> {
        let keys = Arc::clone(&self.device.context.keys);
        let (cache, form, now) = (self.device.settings.cache, self.device.device.cards, self.device.now());
        let places = super::places::Places::new(&self.device.settings.readers);
        // A million passes take a while.
        let work = move || wanted::everybody(&policy, &keys, cache, &places, form, now);
        tokio::task::spawn_blocking(work).await.map_err(|error| Stopped::Later(error.to_string()))
    }

    async fn complain(&self, wanted: &Everybody) {
        if wanted.unknown_numbers > 0 {
            let detail = format!(
                "{} cards cannot be told to it: their numbers are not kept, or such a device cannot have them",
                wanted.unknown_numbers
            );
            self.device.alarm("numbers", Reason::PassNotTaken, detail).await;
        }
        if wanted.left_out > 0 {
            let detail = format!(
                "{} cards are not told to it: it keeps {} a person, all with the same validity",
                wanted.left_out,
                person::CARDS_MAX
            );
            self.device.alarm("cards", Reason::PassNotTaken, detail).await;
        }
    }

    /// Makes the device know a person as wanted: whatever it knew of the person's cards before goes first.
    async fn tell(&mut self, id: PersonId, wanted: &Wanted, cards: &[Card], zone: Zone) -> Result<(), Stopped> {
        let old = self.told.get(&id).is_some_and(|(rev, _)| *rev > 1);
        let employee = id.to_string();
        if old {
            let body = person::delete_cards_of(&employee);
            self.order("PUT", "/ISAPI/AccessControl/CardInfo/Delete?format=json", body.into(), &[]).await?;
        }
        let body = wanted.user(id, zone).write();
        let set = self.order("PUT", "/ISAPI/AccessControl/UserInfo/SetUp?format=json", body.clone().into(), &[]).await;
        match set {
            Err(Stopped::Refused(why)) if why.contains("notSupport") => {
                // Older firmware: as a new person, or over the one that is there.
                let known = ["employeeNoAlreadyExist"];
                let path = "/ISAPI/AccessControl/UserInfo/Record?format=json";
                if self.order("POST", path, body.clone().into(), &known).await? {
                    self.order("PUT", "/ISAPI/AccessControl/UserInfo/Modify?format=json", body.into(), &[]).await?;
                }
            }
            other => {
                other?;
            }
        }
        for card in cards {
            let body = card.write().as_bytes().to_vec();
            let path = "/ISAPI/AccessControl/CardInfo/Record?format=json";
            if self.order("POST", path, body.clone(), &["cardNoAlreadyExist"]).await? {
                // Somebody else's, or this person's: the number is deleted wherever it is, then given.
                let away = person::delete_card(&card.number).as_bytes().to_vec();
                self.order("PUT", "/ISAPI/AccessControl/CardInfo/Delete?format=json", away, &[]).await?;
                self.order("POST", path, body, &[]).await?;
            }
        }
        Ok(())
    }

    /// Makes the device forget people with all their cards, and waits until it has.
    async fn forget(&mut self, people: &[PersonId]) -> Result<(), Stopped> {
        let names: Vec<String> = people.iter().map(PersonId::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let body = person::delete_users(&names);
        let path = "/ISAPI/AccessControl/UserInfoDetail/Delete?format=json";
        if let Err(stopped) = self.order("PUT", path, body.into(), &[]).await {
            if let Stopped::Refused(why) | Stopped::Full(why) = &stopped {
                let detail = format!("it does not take back {} people who must not pass any more: {why}", people.len());
                self.device.alarm("forget", Reason::PassNotTaken, detail).await;
            }
            return Err(stopped);
        }
        let begun = Instant::now();
        loop {
            let path = "/ISAPI/AccessControl/UserInfoDetail/DeleteProcess?format=json";
            let reply = self.client.send(&Call::get(path)).await;
            let state = reply.as_ref().ok().filter(|reply| reply.is_success());
            match state.and_then(|reply| DeleteProcess::read(&reply.body).ok()) {
                Some(DeleteProcess::Success) => break,
                Some(DeleteProcess::Failed) => return Err(Stopped::Later("it cannot forget people".into())),
                Some(DeleteProcess::Processing) | None if begun.elapsed() < FORGET_TIME => sleep(BUSY.0).await,
                _ => {
                    let why = format!("it does not finish forgetting {} people: {}", people.len(), failure(&reply));
                    self.device.alarm("forget", Reason::PassNotTaken, why.clone()).await;
                    return Err(Stopped::Later(why));
                }
            }
        }
        self.write(people.iter().map(|id| Note::Forget(key(*id))).collect()).await?;
        for id in people {
            self.told.remove(id);
        }
        Ok(())
    }

    /// A device that was reset keeps its serial number and forgets its people: it has fewer than it was told.
    async fn recount(&mut self) -> Result<(), Stopped> {
        let reply = self.client.send(&Call::get("/ISAPI/AccessControl/UserInfo/Count?format=json")).await;
        let Ok(reply) = reply else { return Ok(()) };
        let form = reply.is_success().then(|| Form::read(&reply.body).ok()).flatten();
        let count =
            form.as_ref().and_then(|form| form.find("userNumber")).and_then(|count| count.text.parse::<usize>().ok());
        let told = self.told.values().filter(|(_, digest)| *digest != UNSURE).count();
        let Some(count) = count.filter(|count| *count < told) else { return Ok(()) };
        let detail = format!("it knows {count} people where {told} were told: it is told again");
        self.device.alarm("recount", Reason::StreamReset, detail).await;
        self.begin_anew().await?;
        Err(Stopped::Again)
    }

    // ---- notes ----

    async fn note(&mut self, people: &[(PersonId, [u8; 16])]) -> Result<(), Stopped> {
        let told = |id: &PersonId, digest: &[u8; 16], rev: u64| Told { key: key(*id), rev, digest: *digest };
        let rev = |id: &PersonId| self.told.get(id).map_or(0, |(rev, _)| *rev) + 1;
        let notes = people.iter().map(|(id, digest)| Note::Told(told(id, digest, rev(id)))).collect();
        self.write(notes).await?;
        for (id, digest) in people {
            let entry = self.told.entry(*id).or_insert((0, UNSURE));
            *entry = (entry.0 + 1, *digest);
        }
        Ok(())
    }

    /// Writes notes durably. There is nothing to deliver with them: what the device takes it answers at once.
    async fn write(&self, notes: Vec<Note>) -> Result<(), Stopped> {
        let (journal, peer) = (&self.device.context.journal, &self.device.settings.id);
        let later = |error: &dyn std::fmt::Display| Stopped::Later(error.to_string());
        let mut messages = Vec::new();
        for note in notes {
            let mut id = [0; 16];
            getrandom::fill(&mut id).map_err(|error| later(&error))?;
            messages.push(Outgoing { id, body: SealedBytes::default(), note: Some(note) });
        }
        while !messages.is_empty() {
            let rest = messages.split_off(messages.len().min(NOTE_MAX));
            let numbers = journal.post(peer, messages).await.map_err(|error| later(&error))?;
            journal.drop_outgoing(peer, *numbers.end());
            messages = rest;
        }
        Ok(())
    }

    // ---- calls ----

    /// Gives an order; `true` if it was refused for one of the reasons that the caller knows what to do about.
    async fn order(&mut self, method: &str, path: &str, body: Vec<u8>, known: &[&str]) -> Result<bool, Stopped> {
        for _ in 0..BUSY.1 {
            let call = match method {
                "POST" => Call::post(path, "application/json", body.clone()),
                _ => Call::put(path, "application/json", body.clone()),
            };
            let reply = self.client.send(&call).await;
            match verdict(&reply) {
                Verdict::Done => return Ok(false),
                Verdict::Busy => sleep(BUSY.0).await,
                Verdict::Refused(sub) if known.iter().any(|known| known.eq_ignore_ascii_case(&sub)) => return Ok(true),
                Verdict::Refused(sub) if is_full(&sub) => return Err(Stopped::Full(sub)),
                Verdict::Refused(_) => return Err(Stopped::Refused(failure(&reply))),
                Verdict::Failed => return Err(Stopped::Later(failure(&reply))),
            }
        }
        Err(Stopped::Later("the device is busy".into()))
    }
}

enum Verdict {
    Done,
    Busy,
    Refused(String),
    Failed,
}

fn verdict(reply: &Result<Reply, HttpError>) -> Verdict {
    let Ok(reply) = reply else { return Verdict::Failed };
    match Status::read(&reply.body) {
        Some(status) if status.is_busy() => Verdict::Busy,
        Some(status) if status.is_ok() && reply.is_success() => Verdict::Done,
        Some(status) => Verdict::Refused(status.sub),
        None if reply.status == 503 => Verdict::Busy,
        None if reply.is_success() => Verdict::Done,
        None => Verdict::Failed,
    }
}

/// Words by which devices say that there is no room, as seen in integrations.
fn is_full(sub: &str) -> bool {
    let sub = sub.to_ascii_lowercase();
    sub.contains("full") || sub.contains("overlimit") || sub.contains("upperlimit") || sub.contains("reachlimit")
}

/// Under which a person is kept in our journal.
fn key(person: PersonId) -> String {
    format!("p:{person}")
}

/// Kept beside the people: which device was told of them.
fn mark(serial: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(serial.as_bytes()).into();
    hash.iter().take(16).fold(String::from("d:"), |text, byte| text + &format!("{byte:02x}"))
}
