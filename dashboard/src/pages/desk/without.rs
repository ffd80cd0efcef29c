//! Without the card, in three steps at most: who, why, done. The patient is picked from today's appointments or searched;
//! what is typed travels in the body. What is wrong is said in place and nothing typed is lost.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::appointments;
use clinic::audit::Purpose;
use clinic::desk::{DeskError, DeskSession, Factor, PinAnswer, PinText};
use clinic::irregular::{IrregularError, NewOutOfCard};
use clinic::vault::VaultError;
use domain::visit::OutOfCardCode;
use domain::{Permission, PersonId};

use super::board::{at_desk, name_of, short_clock, state_of};
use super::{Places, places, read, room_of};
use crate::desk_visit::AtDesk;
use crate::faces::{Face, Faces};
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Patients shown by one search.
const FOUND_MAX: usize = 12;
/// Longest text to search for, in characters.
const WORDS_MAX: usize = 120;
/// Appointments offered.
const TODAY_MAX: u32 = 40;

#[derive(Template)]
#[template(path = "desk/without.html")]
struct Page {
    frame: Frame,
    room: String,
    state: &'static str,
    places: Places,
    typed: Typed,
    /// Whom it is about; then the second step is shown.
    chosen: Option<Hit>,
    /// The visit that is to be ended without the card.
    ending: Option<String>,
    today: Vec<Hit>,
    found: Option<Vec<Hit>>,
    codes: Vec<(&'static str, String, bool)>,
    asks_pin: bool,
    may_tap: bool,
    /// Whether a service may be registered instead.
    may_register: bool,
    problem: Option<String>,
}

struct Hit {
    id: String,
    appointment: String,
    name: String,
    photo: Option<String>,
    sub: String,
}

/// What was typed, kept when something is wrong.
#[derive(Default)]
struct Typed {
    search: String,
    words: String,
    code: String,
    is_work: bool,
}

/// Which step of which patient.
#[derive(Default)]
struct Step {
    patient: Option<PersonId>,
    appointment: Option<String>,
    end: bool,
    found: Option<Vec<Hit>>,
    typed: Typed,
    problem: Option<String>,
}

/// `GET /desk/without`
pub async fn show(visit: Visit, desk: AtDesk, query: Query) -> Result<Response, Fault> {
    let step = Step {
        patient: query.one("patient").and_then(|id| id.parse().ok()),
        appointment: query.one("appointment").map(str::to_owned),
        end: query.one("what") == Some("end"),
        ..Step::default()
    };
    page(&visit, &desk, step).await
}

/// `POST /desk/without/find`
pub async fn find(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (_, acting) = desk.signed_in()?;
    let texts = visit.texts();
    let search: String = form.one("words").unwrap_or_default().chars().take(WORDS_MAX).collect();
    let mut step = Step { typed: Typed { search: search.clone(), ..Typed::default() }, ..Step::default() };
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    match visit.app.vault.search(acting, &search, FOUND_MAX, Purpose::Treatment).await {
        Ok(found) => {
            let hit = |card: &clinic::vault::PersonCard| {
                let face = Face::of(card, acting);
                let born = card.birth_date.map(|date| date.reveal());
                Hit {
                    id: card.person.to_string(),
                    appointment: String::new(),
                    name: face.name.clone().unwrap_or_else(|| short_id(&card.person.to_string())),
                    photo: at_desk(face.small.as_ref()),
                    sub: born.map(|(year, month, day)| format!("{day:02}.{month:02}.{year}")).unwrap_or_default(),
                }
            };
            step.found = Some(found.people.iter().map(hit).collect());
        }
        Err(VaultError::Query(_) | VaultError::TooMany) => step.problem = Some(texts.t("without-search-short")),
        Err(VaultError::Locked(_)) => step.problem = Some(texts.t("without-locked")),
        Err(error) => return Err(error.into()),
    }
    page(&visit, &desk, step).await
}

/// The first step once more, for a patient who is not there: mistyped, or erased meanwhile.
pub(super) async fn who_again(visit: &Visit, desk: &AtDesk) -> Result<Response, Fault> {
    let problem = Some(visit.texts().t("without-problem-nobody"));
    page(visit, desk, Step { problem, ..Step::default() }).await
}

/// `POST /desk/without`
pub async fn start(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (session, acting) = desk.signed_in()?;
    let texts = visit.texts();
    let code = form.one("code").and_then(OutOfCardCode::parse);
    let mut step = Step {
        patient: form.one("patient").and_then(|id| id.parse().ok()),
        appointment: form.one("appointment").map(str::to_owned),
        end: form.one("what") == Some("end"),
        typed: Typed {
            search: String::new(),
            words: form.one("words").unwrap_or_default().to_owned(),
            code: code.map_or_else(String::new, |code| code.as_str().to_owned()),
            is_work: form.one("what") == Some("work"),
        },
        ..Step::default()
    };
    let Some(code) = code else {
        step.problem = Some(texts.t("without-problem-code"));
        return page(&visit, &desk, step).await;
    };
    if let Some(typed) = form.one("pin") {
        step.problem = check_pin(&visit, session, typed).await?;
        if step.problem.is_some() {
            return page(&visit, &desk, step).await;
        }
    }
    let irregular = &visit.app.irregular;
    let done = if step.end {
        let id = form.one("visit").ok_or(Fault::Invalid)?;
        irregular.end_visit(acting, id, code, &step.typed.words).await.map(|_| ())
    } else {
        let Some(patient) = step.patient else {
            step.problem = Some(texts.t("without-problem-patient"));
            return page(&visit, &desk, step).await;
        };
        let new = NewOutOfCard {
            session: session.id.clone(),
            patient,
            code,
            words: step.typed.words.clone(),
            appointment: step.appointment.clone().filter(|_| !step.typed.is_work),
        };
        match step.typed.is_work {
            true => irregular.work(acting, new).await.map(|_| ()),
            false => irregular.start(acting, new).await.map(|_| ()),
        }
    };
    step.problem = Some(match done {
        Ok(()) => return Ok(go("/desk?said=without")),
        Err(IrregularError::BadReason) => texts.t("without-problem-reason"),
        Err(IrregularError::NotFresh) => texts.t("without-fresh"),
        Err(IrregularError::NotFound | IrregularError::BadAppointment) => texts.t("without-problem-running"),
        Err(error) => return Err(error.into()),
    });
    page(&visit, &desk, step).await
}

/// Takes the PIN of the one who is bound; what is wrong with it is said.
pub(super) async fn check_pin(visit: &Visit, session: &DeskSession, typed: &str) -> Result<Option<String>, Fault> {
    let texts = visit.texts();
    let answer = match PinText::new(typed) {
        Ok(pin) => visit.app.desk.confirm_pin(session, pin).await,
        Err(error) => Err(error),
    };
    let span = |ms: i64| visit.times().span(ms.saturating_add(999));
    Ok(match answer {
        Ok(PinAnswer::Right(_)) => None,
        Ok(PinAnswer::Wrong { left }) => Some(texts.n("desk-pin-wrong", left)),
        Ok(PinAnswer::Blocked { wait_ms }) => Some(texts.a("desk-pin-blocked", &span(wait_ms))),
        Ok(PinAnswer::DeskBlocked { wait_ms }) => Some(texts.a("desk-pin-desk-blocked", &span(wait_ms))),
        Ok(PinAnswer::NotSet) => Some(texts.t("desk-pin-none")),
        Err(DeskError::BadPin) => Some(texts.t("desk-pin-bad")),
        Err(DeskError::Busy { .. }) => Some(texts.t("desk-pin-busy")),
        Err(error) => return Err(error.into()),
    })
}

async fn page(visit: &Visit, desk: &AtDesk, step: Step) -> Result<Response, Fault> {
    let (session, acting) = desk.signed_in()?;
    let (app, texts, times, now) = (&visit.app, visit.texts(), visit.times(), visit.app.now());
    let running = app.visits.current(acting, &desk.workstation.point).await?;
    let ending = running.as_ref().filter(|_| step.end).map(|visit| visit.id.clone());
    let next = match step.patient.is_none() && ending.is_none() && step.found.is_none() {
        true => appointments::next_for(&app.database, acting, session.person, now, TODAY_MAX).await?,
        false => Vec::new(),
    };
    let patient = step.patient.or(running.as_ref().filter(|_| step.end).map(|visit| visit.patient));
    let persons = next.iter().map(|next| next.appointment.patient).chain(patient).collect();
    let faces = Faces::look(app, acting, persons, Purpose::Treatment).await?;
    let hit = |person: PersonId, appointment: String, sub: String| Hit {
        id: person.to_string(),
        appointment,
        name: name_of(&faces, person),
        photo: at_desk(faces.get(Some(person)).and_then(|face| face.small.as_ref())),
        sub,
    };
    let today = next.iter().map(|next| {
        let appointment = &next.appointment;
        hit(appointment.patient, appointment.id.clone(), short_clock(&times, appointment.starts))
    });
    let is_fresh = now.since_ms(session.confirmed) < app.irregular.settings().fresh_ms;
    let has_factor = app.desk.rules().factor != Factor::None;
    let code = |code: &OutOfCardCode| {
        (code.as_str(), texts.code("out-of-card-", code.as_str()), step.typed.code == code.as_str())
    };
    let status = if step.problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = Page {
        frame: Frame::new(visit, ""),
        room: room_of(desk),
        state: state_of(desk),
        places: places("desk-without"),
        today: today.collect(),
        chosen: patient.map(|person| hit(person, step.appointment.clone().unwrap_or_default(), String::new())),
        ending,
        found: step.found,
        codes: OutOfCardCode::ALL.iter().map(code).collect(),
        asks_pin: !is_fresh && has_factor,
        may_tap: !is_fresh,
        may_register: !step.end && acting.rights.allows(Permission::ServiceRegister),
        typed: step.typed,
        problem: step.problem,
    };
    render(status, &page)
}
