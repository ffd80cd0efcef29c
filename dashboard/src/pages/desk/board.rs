//! What a workstation's page shows now, in three parts that its stream replaces one by one: who is signed in, the patient
//! or what is to be done, and who comes next. Names come from the vault, for treatment, and each look is recorded there.

use askama::Template;
use clinic::acting::Acting;
use clinic::appointments::{self, Appointment};
use clinic::audit::Purpose;
use clinic::desk::{DeskSession, Rules, SessionState};
use clinic::visits::{Asked, Visit as PatientVisit};
use clinic::{fhircast, people, staff};
use domain::visit::{BeganBy, Question};
use domain::{Field, Permission, PersonId, UtcMillis};

use super::services;
use crate::desk_visit::AtDesk;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::language::Texts;
use crate::openid;
use crate::times::Times;
use crate::visit::Visit;
use crate::words::{label, short_id};

/// Appointments listed where no visit runs.
const NEXT_MAX: u32 = 12;
/// Appointments listed beside a patient: as many as are not higher than the patient, so that the services stand right below.
const NEXT_BESIDE: usize = 3;

/// The parts of the page.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// What stands at the right of the bar.
    pub who: String,
    /// The patient, or what is to be done.
    pub main: String,
    /// Who comes next.
    pub side: String,
    /// What is registered in the visit.
    pub services: String,
    /// What limits, deposit and discount leave.
    pub limits: String,
    /// What a half-filled form of the page belongs to: another one drops it.
    pub key: String,
    /// `empty`, `waiting`, `open`, `locked` or `closed`.
    pub state: &'static str,
    /// When something was last done in the binding, in milliseconds since 1970; 0: nothing is bound.
    pub used_ms: i64,
    /// Idle for so long: a warning, and the lock.
    pub warn_ms: i64,
    /// See `warn_ms`.
    pub lock_ms: i64,
}

#[derive(Template)]
#[template(path = "desk/who.html")]
struct Who {
    x: Texts,
    state: &'static str,
    name: String,
    role: String,
    /// Until when the card alone is enough, as a clock and in milliseconds.
    factor: Option<(String, i64)>,
    form: String,
}

#[derive(Template)]
#[template(path = "desk/main.html")]
struct Main {
    x: Texts,
    state: &'static str,
    name: String,
    form: String,
    running: Option<String>,
    patient: Option<Patient>,
    ask: Option<Ask>,
    sync: Option<(&'static str, String)>,
    launches: Vec<(String, String)>,
    /// How many other systems wait for the specialist's confirmation.
    confirmations: usize,
}

#[derive(Template)]
#[template(path = "desk/side.html")]
struct Side {
    x: Texts,
    state: &'static str,
    next: Vec<NextLine>,
    /// How many there are altogether, and how many of them are not listed.
    count: usize,
    more: usize,
    unexplained: usize,
}

struct Patient {
    visit: String,
    name: String,
    photo: Option<String>,
    sub: String,
    by_card: bool,
    started_ms: i64,
    planned_ms: Option<i64>,
    clock: String,
    began: String,
}

struct Ask {
    id: String,
    /// Whether it is about the visit that runs, which is shown above it.
    is_here: bool,
    title: String,
    text: String,
    name: String,
    photo: Option<String>,
    sub: String,
    choices: Vec<Choice>,
    needs_words: bool,
    go: String,
}

struct Choice {
    id: String,
    when: String,
    what: String,
    note: String,
}

struct NextLine {
    name: String,
    sub: String,
    tone: &'static str,
    state: String,
}

/// What is known of a patient for one binding: a page that draws itself anew looks once.
#[derive(Debug, Clone)]
struct Chart {
    of: (String, PersonId),
    birth: Option<(i32, u32, u32)>,
    record: Option<String>,
}

/// Keeps what was looked up for as long as a stream lives.
#[derive(Debug, Default)]
pub struct Seen {
    chart: Option<Chart>,
    /// What the patient was charged and what is left, for the visit that runs.
    pub money: Option<services::Money>,
}

/// The address of a photograph for a page of a workstation.
pub fn at_desk(photo: Option<&String>) -> Option<String> {
    photo.map(|path| format!("/desk{path}"))
}

/// A name, or the pseudonym where none may be shown.
pub fn name_of(faces: &Faces, person: PersonId) -> String {
    faces.name(Some(person)).map_or_else(|| short_id(&person.to_string()), str::to_owned)
}

/// How the workstation stands, as the page says it.
pub fn state_of(desk: &AtDesk) -> &'static str {
    match desk.session.as_ref().map(|session| session.state) {
        None | Some(SessionState::Ended) => "empty",
        Some(SessionState::Waiting) => "waiting",
        Some(SessionState::Locked) => "locked",
        Some(SessionState::Open) if desk.is_open() => "open",
        Some(SessionState::Open) => "closed",
    }
}

/// Draws the parts.
///
/// # Errors
/// The database: then nothing may be shown.
pub async fn board(visit: &Visit, desk: &AtDesk, seen: &mut Seen) -> Result<Board, Fault> {
    let app = &visit.app;
    let (texts, times, now, form) = (visit.texts(), visit.times(), app.now(), desk.form_token(app.now()));
    let state = state_of(desk);
    let rules: &Rules = app.desk.rules();
    let session = desk.session.as_ref();
    let mut board = Board {
        state,
        key: session.map_or_else(|| "-".to_owned(), |session| format!("{}/{state}", session.id)),
        used_ms: session.filter(|session| session.is_open()).map_or(0, |session| session.used.0),
        warn_ms: rules.idle_warn_ms,
        lock_ms: rules.idle_lock_ms,
        ..Board::default()
    };
    let name = match session {
        Some(session) => own_name(visit, desk, session).await?,
        None => String::new(),
    };
    let who = Who {
        x: texts,
        state,
        name: name.clone(),
        role: match session {
            Some(session) => role_of(visit, session).await?,
            None => String::new(),
        },
        factor: session
            .and_then(|session| session.factor_until)
            .filter(|until| *until > now)
            .map(|until| (short_clock(&times, until), until.0)),
        form: form.clone(),
    };
    board.who = who.render()?;
    let mut main = Main {
        x: texts,
        state,
        name,
        form,
        running: None,
        patient: None,
        ask: None,
        sync: None,
        launches: app.settings.desk.launches.iter().map(|link| (link.name.clone(), link.url.clone())).collect(),
        confirmations: 0,
    };
    let mut side = Side { x: texts, state, next: Vec::new(), count: 0, more: 0, unexplained: 0 };
    if let (Some(session), Some(acting)) = (session, desk.acting.as_ref().filter(|_| desk.is_open())) {
        if let Some(provider) = &app.openid {
            main.launches.extend(provider.starts().await.map_err(openid::fault)?);
            main.confirmations = provider.confirmations(&session.id).await.map_err(openid::fault)?.len();
        }
        let running = app.visits.current(acting, &desk.workstation.point).await?;
        let asked = app.visits.asked(acting, &desk.workstation.point).await?;
        if let Some(running) = &running {
            main.patient = Some(patient(visit, acting, session, running, seen).await?);
            board.key.push('/');
            board.key.push_str(&running.id);
            let desk_form = desk.form_token(now);
            (board.services, board.limits) = services::parts(visit, acting, &desk_form, running, seen).await?;
        } else {
            seen.money = None;
        }
        main.sync = sync(visit, session, running.is_some()).await?;
        if let Some(asked) = asked.filter(|asked| asked.question.session == session.id) {
            board.key.push('?');
            board.key.push_str(&asked.question.id);
            main.ask = Some(ask(visit, acting, session, &asked).await?);
        }
        side.next = next(visit, acting, session, now).await?;
        side.count = side.next.len();
        if running.is_some() {
            side.next.truncate(NEXT_BESIDE);
        }
        side.more = side.count - side.next.len();
        side.unexplained =
            app.irregular.own(acting, session.person).await?.iter().filter(|it| it.review.is_none()).count();
    }
    board.main = main.render()?;
    board.side = side.render()?;
    Ok(board)
}

/// Whether the programs at this desk show the same chart.
async fn sync(visit: &Visit, session: &DeskSession, runs: bool) -> Result<Option<(&'static str, String)>, Fault> {
    let texts = visit.texts();
    let hub = fhircast::state(&visit.app.database, &session.id).await?;
    if let Some(lost) = hub.out_of_sync().next() {
        let name = lost.name.clone().unwrap_or_else(|| texts.t("desk-sync-any"));
        return Ok(Some(("bad", texts.a("desk-sync-lost", &name))));
    }
    let follows = hub.subscribers.iter().any(|subscriber| subscriber.is_connected);
    Ok((runs && follows).then(|| ("info", texts.t("desk-sync-ok"))))
}

/// `16:30`
pub fn short_clock(times: &Times, at: UtcMillis) -> String {
    times.clock(at).chars().take(5).collect()
}

/// The specialist's own name. Before the binding is open nobody acts: the name is that of the one whose card was read,
/// shown to them at their own desk.
async fn own_name(visit: &Visit, desk: &AtDesk, session: &DeskSession) -> Result<String, Fault> {
    let own = Acting {
        actor: clinic::acting::Actor::Staff(session.person),
        rights: {
            let mut rights = domain::Rights::default();
            rights.add(&[Permission::PersonSee], &[Field::Name], &domain::Zones::All);
            rights
        },
        session: Some(session.id.clone()),
        address: Some(visit.visitor.address),
        glass: None,
    };
    let acting = desk.acting.as_ref().filter(|acting| acting.rights.shows(Field::Name)).unwrap_or(&own);
    let faces = Faces::look(&visit.app, acting, vec![session.person], Purpose::Treatment).await?;
    Ok(name_of(&faces, session.person))
}

async fn role_of(visit: &Visit, session: &DeskSession) -> Result<String, Fault> {
    let member = staff::by_person(&visit.app.database, session.person).await?;
    Ok(member.map_or_else(String::new, |member| {
        let role = visit.texts().code("role-", member.role.as_str());
        member.specialty.map_or(role.clone(), |specialty| format!("{role} · {specialty}"))
    }))
}

async fn chart(
    visit: &Visit,
    acting: &Acting,
    session: &str,
    person: PersonId,
    seen: &mut Seen,
) -> Result<Chart, Fault> {
    if let Some(known) = seen.chart.as_ref().filter(|known| known.of == (session.to_owned(), person)) {
        return Ok(known.clone());
    }
    let app = &visit.app;
    let mut chart = Chart { of: (session.to_owned(), person), birth: None, record: None };
    if acting.rights.shows(Field::BirthDate) && acting.rights.allows(Permission::PersonReveal) {
        match app.vault.reveal(acting, person, &[Field::BirthDate], Purpose::Treatment, None).await {
            Ok(passport) => chart.birth = passport.birth_date.map(|date| date.reveal()),
            // Without a passport, or with the vault locked, the page goes on without an age.
            Err(error) => tracing::debug!(error = %error, "page.desk.birth"),
        }
    }
    if acting.rights.shows(Field::Reference) && acting.rights.allows(Permission::PersonReveal) {
        match people::reveal_reference(&app.database, acting, person, Purpose::Treatment, app.now()).await {
            Ok(reference) => chart.record = reference.map(|it| it.reveal().to_owned()),
            Err(error) => tracing::debug!(error = %error, "page.desk.record"),
        }
    }
    seen.chart = Some(chart.clone());
    Ok(chart)
}

/// Whole years between a date of birth and a day, both in the clinic's zone.
fn age(birth: (i32, u32, u32), today: (i32, u32, u32)) -> i32 {
    let had = (today.1, today.2) >= (birth.1, birth.2);
    (today.0 - birth.0 - i32::from(!had)).max(0)
}

async fn patient(
    visit: &Visit,
    acting: &Acting,
    session: &DeskSession,
    running: &PatientVisit,
    seen: &mut Seen,
) -> Result<Patient, Fault> {
    let (app, texts, times, now) = (&visit.app, visit.texts(), visit.times(), visit.app.now());
    let faces = Faces::look(app, acting, vec![running.patient], Purpose::Treatment).await?;
    let chart = chart(visit, acting, &session.id, running.patient, seen).await?;
    let appointment = match &running.appointment {
        Some(id) => appointments::of(&app.database, id).await?,
        None => None,
    };
    let mut sub = Vec::new();
    if let Some(birth) = chart.birth {
        sub.push(texts.n("desk-years", i64::from(age(birth, times.date(now)))));
    }
    if let Some(record) = &chart.record {
        sub.push(texts.a("desk-record", record));
    }
    sub.push(match &appointment {
        Some(appointment) => texts.a("desk-appointment", &short_clock(&times, appointment.starts)),
        None => texts.t("desk-no-appointment"),
    });
    sub.push(texts.a("desk-visit-no", &running.no.to_string()));
    let by_card = running.began_by == BeganBy::Card;
    let planned_ms = appointment.as_ref().map(|it| it.ends.since_ms(it.starts)).filter(|ms| *ms > 0);
    let began = texts.a(if by_card { "desk-began" } else { "desk-began-without" }, &times.clock(running.started));
    let began = match planned_ms {
        Some(ms) => format!("{began} · {}", texts.n("desk-planned", ms / 60_000)),
        None => began,
    };
    Ok(Patient {
        visit: running.id.clone(),
        name: name_of(&faces, running.patient),
        photo: at_desk(faces.get(Some(running.patient)).and_then(|face| face.large.as_ref())),
        sub: sub.join(" · "),
        by_card,
        started_ms: running.started.0,
        planned_ms,
        clock: hours(now.since_ms(running.started)),
        began,
    })
}

/// `00:11:38`
pub fn hours(ms: i64) -> String {
    let seconds = (ms / 1000).max(0);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

async fn ask(visit: &Visit, acting: &Acting, session: &DeskSession, asked: &Asked) -> Result<Ask, Fault> {
    let (texts, times) = (visit.texts(), visit.times());
    let question = &asked.question;
    let faces = Faces::look(&visit.app, acting, vec![question.patient], Purpose::Treatment).await?;
    let choice = |it: &Appointment| {
        let mut note = Vec::new();
        if it.staff.is_some_and(|staff| staff != session.person) {
            note.push(texts.t("desk-ask-note-other"));
        }
        if let Some(zone) = it.zone.as_ref().filter(|zone| **zone != session.zone) {
            note.push(texts.a("desk-ask-note-room", &label(zone.as_str())));
        }
        let what = it.purpose.clone().filter(|_| acting.rights.shows(Field::VisitPurpose)).unwrap_or_default();
        Choice { id: it.id.clone(), when: short_clock(&times, it.starts), what, note: note.join(", ") }
    };
    let code = question.why.as_str();
    let started = question.visit.is_some();
    Ok(Ask {
        id: question.id.clone(),
        is_here: started,
        title: texts.code("desk-ask-", code),
        text: texts.code("desk-ask-text-", code),
        name: name_of(&faces, question.patient),
        photo: at_desk(faces.get(Some(question.patient)).and_then(|face| face.small.as_ref())),
        sub: times.clock(question.tapped),
        choices: match question.why {
            Question::SeenAlready => Vec::new(),
            _ => asked.appointments.iter().take(8).map(choice).collect(),
        },
        needs_words: question.why.needs_words() && !started,
        go: texts.t(match (started, asked.appointments.is_empty()) {
            (true, true) => "desk-ask-none",
            (true, false) => "desk-ask-link",
            (false, _) => "desk-ask-start",
        }),
    })
}

async fn next(visit: &Visit, acting: &Acting, session: &DeskSession, now: UtcMillis) -> Result<Vec<NextLine>, Fault> {
    let (app, texts, times) = (&visit.app, visit.texts(), visit.times());
    let next = appointments::next_for(&app.database, acting, session.person, now, NEXT_MAX).await?;
    let persons = next.iter().map(|next| next.appointment.patient).collect();
    let faces = Faces::look(app, acting, persons, Purpose::Treatment).await?;
    let line = |next: &appointments::Next| {
        let at = short_clock(&times, next.appointment.starts);
        let late = now.since_ms(next.appointment.starts);
        let (sub, tone, state) = match &next.inside {
            Some((zone, since)) => {
                let since_text = texts.a("desk-next-inside", &short_clock(&times, *since));
                let waits = now.since_ms((*since).max(next.appointment.starts));
                let (tone, state) = match late >= 0 {
                    true => ("ok", texts.a("desk-next-waiting", &times.span(waits))),
                    false => ("ok", texts.t("desk-next-here")),
                };
                (format!("{at} · {since_text}, {}", label(zone.as_str())), tone, state)
            }
            None if late > 0 => {
                (format!("{at} · {}", texts.t("desk-next-away")), "warn", texts.a("desk-next-late", &times.span(late)))
            }
            None => (format!("{at} · {}", texts.t("desk-next-away")), "info", texts.t("desk-next-booked")),
        };
        NextLine { name: name_of(&faces, next.appointment.patient), sub, tone, state }
    };
    Ok(next.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_changes_on_the_birthday() {
        assert_eq!(age((1984, 11, 22), (2026, 11, 21)), 41);
        assert_eq!(age((1984, 11, 22), (2026, 11, 22)), 42);
        assert_eq!(age((2024, 2, 29), (2025, 2, 28)), 0);
        assert_eq!(age((2030, 1, 1), (2026, 1, 1)), 0, "a date from the future");
    }

    #[test]
    fn a_visit_is_counted_in_hours_minutes_seconds() {
        assert_eq!(hours(698_000), "00:11:38");
        assert_eq!(hours(-5), "00:00:00");
        assert_eq!(hours(36_061_000), "10:01:01");
    }
}
