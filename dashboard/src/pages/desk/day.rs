//! A specialist's own day at their workstation: visits, appointments, minutes, and what they did without the card.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::appointments;
use clinic::audit::Purpose;
use domain::UtcMillis;
use domain::visit::BeganBy;

use super::board::{name_of, short_clock, state_of};
use super::{Places, places, room_of};
use crate::desk_visit::AtDesk;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::label;

/// Appointments listed.
const LISTED_MAX: u32 = 100;

#[derive(Template)]
#[template(path = "desk/day.html")]
struct Page {
    frame: Frame,
    room: String,
    state: &'static str,
    places: Places,
    day: String,
    visits: Vec<Line>,
    minutes: i64,
    mean: Option<i64>,
    appointments: Vec<Booked>,
    without: Vec<Case>,
}

struct Line {
    name: String,
    from: String,
    until: Option<String>,
    minutes: i64,
    room: String,
    by_card: bool,
    note: Option<String>,
}

struct Booked {
    when: String,
    name: String,
    state: String,
}

struct Case {
    when: String,
    what: String,
    reason: String,
    name: String,
}

/// `GET /desk/day`
pub async fn show(visit: Visit, desk: AtDesk) -> Result<Response, Fault> {
    let (session, acting) = desk.signed_in()?;
    let (app, texts, times, now) = (&visit.app, visit.texts(), visit.times(), visit.app.now());
    let (from, until) = times.day_around(now);
    let mut visits = app.visits.day_of(acting, session.person, from, until).await?;
    visits.sort_by_key(|one| one.started);
    let next = appointments::next_for(&app.database, acting, session.person, now, LISTED_MAX).await?;
    let cases = app.irregular.own(acting, session.person).await?;
    let persons = visits.iter().map(|one| one.patient);
    let persons = persons.chain(next.iter().map(|next| next.appointment.patient));
    let persons = persons.chain(cases.iter().filter_map(|case| case.patient)).collect();
    let faces = Faces::look(app, acting, persons, Purpose::Treatment).await?;
    let counted: Vec<_> = visits.iter().filter(|one| !one.is_cancelled()).collect();
    let lasted: i64 = counted.iter().map(|one| one.lasted_ms(now)).sum();
    let clock = |at: UtcMillis| short_clock(&times, at);
    let page = Page {
        frame: Frame::new(&visit, ""),
        room: room_of(&desk),
        state: state_of(&desk),
        places: places("desk-day"),
        day: times.day(now),
        minutes: lasted / 60_000,
        mean: i64::try_from(counted.len()).ok().filter(|count| *count > 0).map(|count| lasted / 60_000 / count),
        visits: visits
            .iter()
            .map(|one| Line {
                name: name_of(&faces, one.patient),
                from: clock(one.started),
                until: one.ended.map(|(at, _)| clock(at)),
                minutes: one.lasted_ms(now) / 60_000,
                room: label(one.zone.as_str()),
                by_card: one.began_by == BeganBy::Card,
                note: one.ended.map(|(_, why)| texts.code("visit-end-", why.as_str())),
            })
            .collect(),
        appointments: next
            .iter()
            .map(|next| Booked {
                when: clock(next.appointment.starts),
                name: name_of(&faces, next.appointment.patient),
                state: texts.code("appointment-state-", next.appointment.state.as_str()),
            })
            .collect(),
        without: cases
            .iter()
            .map(|case| Case {
                when: times.full(case.at),
                what: texts.code("out-of-card-kind-", case.kind.as_str()),
                reason: texts.code("out-of-card-", case.code.as_str()),
                name: case.patient.map(|person| name_of(&faces, person)).unwrap_or_default(),
            })
            .collect(),
    };
    render(StatusCode::OK, &page)
}
