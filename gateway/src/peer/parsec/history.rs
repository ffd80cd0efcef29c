//! The server's report of events, read in windows of time, and what tells one event from another.
//!
//! Events have no number. They are asked for by time, with windows that overlap, so most of what a report has is known
//! already. An event's id is made of everything that the report says of it: time, place, code, person, card. Two that
//! agree in all of that are one, because servers do report one event twice; the time has fractions of a second.

use std::collections::{HashSet, VecDeque};

use domain::card::CardKey;
use domain::{CardId, UtcMillis};
use sha2::{Digest, Sha256};
use wire::parsec::event::{Event, FIELDS};
use wire::parsec::object::HistoryQuery;
use wire::parsec::{Answer, CardForm, Guid, Request};

use super::client::{CallError, Client, form};
use super::places::Group;

/// Most events of a report. A window with more is halved, because nobody knows which end of it the server cuts off.
const REPORT_MAX: i32 = 20_000;
/// Events of a page: about 600 kB.
const PAGE: i32 = 500;
/// The shortest window that is halved, milliseconds.
const WINDOW_MIN_MS: i64 = 2_000;
/// Ids remembered here, so that the journal is not asked for each event of each overlap.
const RECENT_MAX: usize = 20_000;

/// An event that was found, and where.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) event: Event,
    pub(super) territory: Guid,
    pub(super) id: String,
}

/// What a reading has given.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) found: Vec<Found>,
    /// Rows that are no events, or belong to no territory that was asked for.
    pub(super) rubbish: usize,
}

/// Reads one window of a group, by time. `to`: up to the present.
///
/// Returns `Err(None)` if the window has too many events and was not read.
pub(super) async fn window(
    client: &mut Client,
    session: Guid,
    group: &Group,
    (from, to): (UtcMillis, Option<UtcMillis>),
    ids: &Ids<'_>,
) -> Result<Option<Reading>, CallError> {
    let query = HistoryQuery {
        from: Some(from),
        to,
        territories: group.territories.clone(),
        codes: Vec::new(),
        most: Some(REPORT_MAX),
    };
    let history = client.make(&Request::OpenEventHistorySession { session, query }).await?;
    let read = pages(client, session, history, group, ids).await;
    // The server keeps a report until it is closed: whatever came of reading it.
    let closed = client.done(&Request::CloseEventHistorySession { session, history }).await;
    let read = read?;
    closed?;
    Ok(read)
}

async fn pages(
    client: &mut Client,
    session: Guid,
    history: Guid,
    group: &Group,
    ids: &Ids<'_>,
) -> Result<Option<Reading>, CallError> {
    let request = Request::GetEventHistoryResultCount { session, history };
    let Answer::Int(count) = client.ask(&request).await? else { return Err(form(&request)) };
    let Ok(count) = i32::try_from(count.max(-1)) else { return Ok(None) };
    if count < 0 {
        return Err(CallError::No { method: request.method(), words: "the report is gone".into() });
    }
    if count >= REPORT_MAX {
        return Ok(None);
    }
    let mut reading = Reading::default();
    let mut events = Vec::new();
    let mut offset = 0;
    while offset < count {
        let fields = FIELDS.to_vec();
        let request = Request::GetEventHistoryResult { session, history, fields, offset, count: PAGE };
        let Answer::Events(rows) = client.ask(&request).await? else { return Err(form(&request)) };
        if rows.is_empty() {
            break;
        }
        offset = offset.saturating_add(i32::try_from(rows.len()).unwrap_or(PAGE));
        for row in rows {
            let event = Event::read(&row);
            match event.and_then(|event| Some((group.find(&event.source)?, event))) {
                Some(event) => events.push(event),
                None => reading.rubbish += 1,
            }
        }
    }
    // In the order of time; events of one instant in the order of the report.
    events.sort_by_key(|(_, event)| event.at);
    reading.found = ids.name(events);
    Ok(Some(reading))
}

/// Both halves of a window, the earlier one first; `None` if it is as short as can be.
pub(super) fn halves(
    (from, to): (UtcMillis, Option<UtcMillis>),
    now: UtcMillis,
) -> Option<[(UtcMillis, Option<UtcMillis>); 2]> {
    let end = to.unwrap_or_else(|| now.max(from.plus_ms(WINDOW_MIN_MS)));
    let long = end.since_ms(from);
    if long < WINDOW_MIN_MS {
        return None;
    }
    let middle = from.plus_ms(long / 2);
    // The border is in both: what is read twice is recognised.
    Some([(from, Some(middle)), (middle, to)])
}

/// Makes ids of events.
pub(super) struct Ids<'a> {
    pub(super) keys: &'a CardKey,
    pub(super) form: CardForm,
}

impl Ids<'_> {
    fn name(&self, events: Vec<(Guid, Event)>) -> Vec<Found> {
        let mut seen = HashSet::new();
        let name = |(territory, event): (Guid, Event)| {
            // A card counts by its pseudonym: the ids are kept in a file.
            let number = event.card.as_ref().and_then(|card| card.number(self.form).ok());
            let digest = digest(territory, &event, number.map(|number| self.keys.id(&number)));
            let id = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            seen.insert(digest).then_some(Found { event, territory, id })
        };
        events.into_iter().filter_map(name).collect()
    }
}

fn digest(territory: Guid, event: &Event, card: Option<CardId>) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(territory.0);
    hash.update(event.at.0.to_be_bytes());
    hash.update(event.code.to_be_bytes());
    hash.update(event.person.unwrap_or_default().0);
    hash.update(card.map_or([0; 16], |card| card.0));
    let full: [u8; 32] = hash.finalize().into();
    let mut cut = [0; 16];
    cut.copy_from_slice(&full[..16]);
    cut
}

/// The newest ids, in memory.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Recent {
    pub(super) fn has(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    pub(super) fn add(&mut self, id: String) {
        if !self.known.insert(id.clone()) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::parsec::Code;
    use wire::parsec::event::Source;

    fn event(at: i64, code: u32, card: Option<&str>) -> (Guid, Event) {
        let card = card.and_then(Code::parse);
        (Guid::of(1), Event { at: UtcMillis(at), code, source: Source::Unknown, person: None, card })
    }

    #[test]
    fn equal_events_are_one_and_others_differ_in_anything() {
        let keys = CardKey::new([7; 32]);
        let ids = Ids { keys: &keys, form: CardForm::Wiegand };
        let all = vec![
            event(5, 1, Some("A1")),
            event(5, 1, Some("A1")),
            event(5, 1, Some("A2")),
            event(5, 2, Some("A1")),
            event(6, 1, Some("A1")),
            event(5, 1, None),
            (Guid::of(2), event(5, 1, Some("A1")).1),
        ];
        let first: Vec<String> = ids.name(all.clone()).into_iter().map(|found| found.id).collect();
        let different: HashSet<&String> = first.iter().collect();
        assert_eq!((different.len(), first.len()), (6, 6));
        let again: Vec<String> = ids.name(all).into_iter().map(|found| found.id).collect();
        assert_eq!(first, again, "the same at the next reading");
    }

    #[test]
    fn a_full_window_is_halved_until_it_cannot_be() {
        let at = UtcMillis;
        assert_eq!(halves((at(0), None), at(10_000)), Some([(at(0), Some(at(5000))), (at(5000), None)]));
        assert_eq!(halves((at(0), Some(at(4000))), at(0)), Some([(at(0), Some(at(2000))), (at(2000), Some(at(4000)))]));
        assert_eq!(halves((at(0), Some(at(1999))), at(10_000)), None);
    }

    #[test]
    fn recent_ids_are_bounded() {
        let mut recent = Recent::default();
        (0..RECENT_MAX + 5).for_each(|number| recent.add(number.to_string()));
        assert!(!recent.has("4") && recent.has("5") && recent.order.len() == RECENT_MAX);
    }
}
