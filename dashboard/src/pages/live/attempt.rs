//! One line of "Passing now". A grant and what became of it are one attempt and one line: the outcome changes the line
//! instead of adding another.

use askama::Template;
use clinic::events::Event;
use domain::{PersonId, PointId};

use crate::faces::{Face, Faces};
use crate::language::Texts;
use crate::times::Times;
use crate::words::{self, Place, label, place_of};

/// A line of the table.
#[derive(Template, Debug, Clone, PartialEq, Eq)]
#[template(path = "part/row.html")]
pub struct Row {
    pub id: u64,
    /// What an outcome is matched by: point, direction and card.
    pub slot: String,
    /// Whether an outcome may still change it.
    pub is_open: bool,
    pub clock: String,
    /// A name for who may see it, a pseudonym for others.
    pub who: String,
    pub face: Option<Face>,
    pub sub: String,
    pub place: String,
    pub tone: &'static str,
    pub result: String,
    /// How much earlier it happened, where it is told afterwards.
    pub late: Option<String>,
    /// Names of the columns, for narrow screens where each line is a card.
    pub x: Texts,
}

/// The last attempt, large.
#[derive(Template, Debug, Clone, PartialEq, Eq)]
#[template(path = "part/now.html")]
pub struct Banner {
    pub id: u64,
    pub slot: String,
    pub tone: &'static str,
    pub verdict: String,
    pub clock: String,
    pub who: String,
    pub face: Option<Face>,
    pub sub: String,
    pub place: String,
    pub late: Option<String>,
    pub why: Option<String>,
    pub todo: Option<String>,
    pub x: Texts,
}

/// Whether an event belongs to a post with these points (none chosen: all).
pub fn is_of_post(event: &Event, chosen: &[PointId]) -> bool {
    chosen.is_empty() || event.entry.fact.point.as_ref().is_some_and(|point| chosen.contains(point))
}

/// Kind of pass and category, in words.
pub fn sub_of(event: &Event, texts: &Texts) -> String {
    let pass = event.pass.map(|pass| texts.code("pass-", pass.as_str()));
    let category = event.category.as_ref().map(|category| label(category.as_str()));
    let fact = &event.entry.fact;
    match (pass, category) {
        (Some(pass), Some(category)) => {
            let first = |text: &str| text.split([' ', ',']).next().unwrap_or_default().to_lowercase();
            // "Patient · Patient insured" says it twice.
            if first(&pass) == first(&category) { category } else { format!("{pass} · {category}") }
        }
        (Some(pass), None) => pass,
        (None, Some(category)) => category,
        (None, None) => match (&fact.card, &fact.detail) {
            (Some(card), _) => texts.a("card-short", &words::short_id(&card.to_string())),
            (None, Some(detail)) => detail.clone(),
            (None, None) => fact.reader.as_ref().map(|reader| label(reader.as_str())).unwrap_or_default(),
        },
    }
}

impl Row {
    /// The line of one event.
    pub fn new(event: &Event, faces: &Faces, texts: &Texts, times: &Times) -> Self {
        let fact = &event.entry.fact;
        let face = faces.get(fact.person).cloned();
        let name = face.as_ref().and_then(|face| face.name.clone());
        Self {
            id: event.id,
            slot: slot(event),
            is_open: fact.kind == domain::Kind::Granted,
            clock: times.clock(fact.at),
            who: name.unwrap_or_else(|| words::who_in_line(fact, texts)),
            face,
            sub: sub_of(event, texts),
            place: words::where_of(fact, event.entry.gateway.as_str(), texts),
            tone: words::tone_of(fact).class(),
            result: words::result_of(fact, texts),
            late: words::late_words(fact, texts, times),
            x: *texts,
        }
    }

    /// Whether a name would be shown if the vault were open.
    fn is_locked(&self) -> bool {
        self.face.as_ref().is_some_and(Face::is_locked)
    }
}

impl Banner {
    /// The banner of one event.
    pub fn new(event: &Event, faces: &Faces, texts: &Texts, times: &Times) -> Self {
        let fact = &event.entry.fact;
        let face = faces.get(fact.person).cloned();
        let name = face.as_ref().and_then(|face| face.name.clone());
        Self {
            id: event.id,
            slot: slot(event),
            tone: words::tone_of(fact).class(),
            verdict: texts.code("verdict-", fact.kind.as_str()),
            clock: times.clock(fact.at),
            who: name.unwrap_or_else(|| words::who_of(fact, texts)),
            face,
            sub: sub_of(event, texts),
            place: words::where_of(fact, event.entry.gateway.as_str(), texts),
            late: words::late_words(fact, texts, times),
            why: words::why_of(fact, texts),
            todo: words::todo_of(fact, texts),
            x: *texts,
        }
    }

    fn is_locked(&self) -> bool {
        self.face.as_ref().is_some_and(Face::is_locked)
    }

    /// Whether there is a place for a photograph.
    fn has_place(&self) -> bool {
        self.face.as_ref().is_some_and(|face| face.has_place)
    }
}

/// Names and pseudonyms only: plain characters.
pub fn slot(event: &Event) -> String {
    let fact = &event.entry.fact;
    let point = fact.point.as_ref().map_or("", |point| point.as_str());
    let way = fact.direction.map_or("", domain::Direction::as_str);
    let card = fact.card.map(|card| card.to_string()).unwrap_or_default();
    format!("{point}|{way}|{card}")
}

/// The persons of what [`fold`] may show of these events: no look is recorded at somebody who is on no line.
pub fn persons_shown(events: &[Event], most: usize) -> Vec<PersonId> {
    let attempts = events.iter().rev().filter(|event| place_of(event.entry.fact.kind) != Place::Quiet);
    // The banner's event and an outcome without its attempt make a line of their own.
    attempts.take(2 * most).filter_map(|event| event.entry.fact.person).collect()
}

/// Lines of events given in the order of their numbers: newest first, at most `most`. The page's script does the same
/// with what the stream brings.
pub fn fold(events: &[Event], faces: &Faces, texts: &Texts, times: &Times, most: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for event in events {
        match place_of(event.entry.fact.kind) {
            Place::Quiet => {}
            Place::Attempt | Place::Alert => rows.push(Row::new(event, faces, texts, times)),
            Place::Outcome => {
                let mut row = Row::new(event, faces, texts, times);
                match rows.iter_mut().rev().find(|open| open.is_open && open.slot == row.slot) {
                    Some(open) => {
                        open.is_open = false;
                        open.tone = row.tone;
                        open.result = row.result;
                    }
                    None => {
                        row.is_open = false;
                        rows.push(row);
                    }
                }
            }
        }
    }
    rows.reverse();
    rows.truncate(most);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use domain::{CardId, Direction, Draft, Entry, Epoch, GatewayId, Kind, Reason, UtcMillis};

    fn event(id: u64, kind: Kind, card: u8, reason: Option<Reason>) -> Event {
        let fact = Draft {
            point: Some(PointId::new("turnstile-1").unwrap()),
            direction: Some(Direction::In),
            card: Some(CardId([card; 16])),
            reason,
            ..Draft::new(UtcMillis(1_000 * i64::try_from(id).unwrap()), kind)
        };
        let entry = Entry { gateway: GatewayId::new("gateway-1").unwrap(), epoch: Epoch([0; 16]), seq: id, fact };
        Event { id, received: UtcMillis(0), entry, category: None, pass: None }
    }

    #[test]
    fn a_grant_and_its_passage_are_one_line() {
        let texts = Language::En.texts();
        let times = Times::new(chrono_tz::UTC, texts);
        let events = [
            event(1, Kind::Granted, 1, Some(Reason::Allowed)),
            event(2, Kind::Refused, 2, Some(Reason::Expired)),
            event(3, Kind::Passed, 1, None),
            event(4, Kind::Granted, 1, Some(Reason::Allowed)),
            event(5, Kind::NotTaken, 1, None),
            event(6, Kind::Passed, 9, None),
            event(7, Kind::Online, 9, None),
        ];
        let rows = fold(&events, &Faces::default(), &texts, &times, 10);
        let lines: Vec<_> = rows.iter().map(|row| (row.id, row.result.as_str())).collect();
        assert_eq!(lines, [(6, "passed"), (4, "granted, did not pass"), (2, "refused: expired"), (1, "passed")]);
        assert_eq!(fold(&events, &Faces::default(), &texts, &times, 2).len(), 2);
    }
}
