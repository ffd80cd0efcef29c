//! Staff at desks: who may sign in at workstations by card, as what, and what the medical system calls them. For who
//! manages workstations; names only where their role shows them.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::AccountId;
use clinic::audit::Purpose;
use clinic::desk::{DeskError, PinText};
use clinic::staff::{self, Staff, StaffError};
use domain::{Permission, PersonId, Shipped};

use crate::csv::Csv;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Roles that make sense at a desk, in their order.
const ROLES: &[Shipped] = &[Shipped::Doctor, Shipped::Nurse, Shipped::Cashier, Shipped::PassOffice];

#[derive(Template)]
#[template(path = "staff.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    all: usize,
    search: String,
    export: String,
    form: Option<Form>,
    done: Option<String>,
    problem: Option<String>,
}

struct Line {
    person: String,
    link: String,
    name: String,
    role: String,
    login: String,
    practitioner: String,
    specialty: String,
    account: String,
    left: Option<String>,
    is_open: bool,
}

/// One member beside the list, or a new one.
#[derive(Default)]
struct Form {
    is_new: bool,
    name: String,
    person: String,
    roles: Vec<(&'static str, String, bool)>,
    login: String,
    practitioner: String,
    specialty: String,
    account: String,
    accounts: Vec<(String, String, bool)>,
    has_left: bool,
}

/// `GET /staff`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query, None).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("staff-done-", done));
    render(StatusCode::OK, &page)
}

/// `GET /staff.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let page = page(&visit, &query, None).await?;
    let mut csv = Csv::new(&["person", "name", "role", "login", "practitioner", "specialty", "account", "left"]);
    for line in page.lines {
        csv.row(&[
            line.person,
            line.name,
            line.role,
            line.login,
            line.practitioner,
            line.specialty,
            line.account,
            line.left.unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("staff.csv"))
}

async fn page(visit: &Visit, query: &Query, typed: Option<&Query>) -> Result<Page, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let all = staff::list(&visit.app.database, &acting, None, staff::READ_MAX).await?;
    let persons = all.iter().map(|one| one.person).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Maintenance).await?;
    let name = |person: PersonId| faces.name(Some(person)).map_or_else(|| short_id(&person.to_string()), str::to_owned);
    let accounts = accounts(visit).await?;
    let login_of = |id: Option<&AccountId>| {
        let id = id.map(|id| id.as_str().to_owned()).unwrap_or_default();
        accounts.iter().find(|(own, _)| *own == id).map_or(id.clone(), |(_, login)| login.clone())
    };
    let (search, open) = (query.one("q").unwrap_or_default(), query.one("open"));
    let wanted = search.to_lowercase();
    let mut lines: Vec<Line> = all
        .iter()
        .map(|one| Line {
            person: one.person.to_string(),
            link: format!("/staff{}#member", query.with("open", Some(&one.person.to_string()))),
            name: name(one.person),
            role: texts.code("role-", one.role.as_str()),
            login: one.login.clone().unwrap_or_default(),
            practitioner: one.practitioner.clone().unwrap_or_default(),
            specialty: one.specialty.clone().unwrap_or_default(),
            account: login_of(one.account.as_ref()),
            left: one.ended.map(|at| times.full(at)),
            is_open: open == Some(one.person.to_string().as_str()),
        })
        .filter(|line| {
            format!("{} {} {} {} {}", line.person, line.name, line.login, line.practitioner, line.specialty)
                .to_lowercase()
                .contains(&wanted)
        })
        .collect();
    lines.sort_by_key(|line| (line.left.is_some(), line.name.to_lowercase()));
    let chosen = open.and_then(|id| id.parse::<PersonId>().ok());
    let member = chosen.and_then(|person| all.iter().find(|one| one.person == person));
    let form = match (open, member, typed) {
        (None, _, None) => None,
        (Some("new"), ..) | (None, None, Some(_)) => Some(Form { is_new: true, ..Form::default() }),
        (_, Some(one), _) => Some(Form {
            name: name(one.person),
            person: one.person.to_string(),
            login: one.login.clone().unwrap_or_default(),
            practitioner: one.practitioner.clone().unwrap_or_default(),
            specialty: one.specialty.clone().unwrap_or_default(),
            account: one.account.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default(),
            has_left: one.ended.is_some(),
            ..Form::default()
        }),
        _ => None,
    };
    let role = member.map_or(Shipped::Doctor, |one| one.role);
    let form = form.map(|form| {
        let form = match typed {
            Some(typed) => Form {
                person: typed.one("person").unwrap_or_default().to_owned(),
                login: typed.one("login").unwrap_or_default().to_owned(),
                practitioner: typed.one("practitioner").unwrap_or_default().to_owned(),
                specialty: typed.one("specialty").unwrap_or_default().to_owned(),
                account: typed.one("account").unwrap_or_default().to_owned(),
                ..form
            },
            None => form,
        };
        let role = typed.and_then(|typed| typed.one("role")).and_then(Shipped::parse).unwrap_or(role);
        let mut roles: Vec<Shipped> = ROLES.to_vec();
        if !roles.contains(&role) {
            roles.push(role);
        }
        let account = form.account.clone();
        Form {
            roles: roles.iter().map(|one| (one.as_str(), texts.code("role-", one.as_str()), *one == role)).collect(),
            accounts: accounts.iter().map(|(id, login)| (id.clone(), login.clone(), *id == account)).collect(),
            ..form
        }
    });
    Ok(Page {
        frame: Frame::new(visit, "staff"),
        all: all.len(),
        search: search.to_owned(),
        export: format!("/staff.csv{}", query.with("open", None)),
        form,
        lines,
        done: None,
        problem: None,
    })
}

/// Accounts that can be linked, by id and sign-in name; none for who may not see accounts.
async fn accounts(visit: &Visit) -> Result<Vec<(String, String)>, Fault> {
    let acting = visit.acting()?;
    if !acting.rights.allows(Permission::AccountSee) {
        return Ok(Vec::new());
    }
    let listed = visit.app.accounts.list(&acting).await?;
    Ok(listed.iter().map(|line| (line.account.id.as_str().to_owned(), line.account.login.to_string())).collect())
}

/// `POST /staff/save`
pub async fn save(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let texts = visit.texts();
    let text = |key: &str| typed.one(key).map(str::to_owned);
    let acting = visit.acting()?;
    let person = typed.one("person").and_then(|id| id.trim().parse::<PersonId>().ok());
    let saved = match person {
        Some(person) => {
            let known = staff::by_person(&visit.app.database, person).await?;
            // Who may not see accounts keeps the link as it is.
            let account = match acting.rights.allows(Permission::AccountSee) {
                true => typed.one("account").and_then(AccountId::parse),
                false => known.and_then(|known| known.account),
            };
            let role = typed.one("role").and_then(Shipped::parse).ok_or(Fault::Invalid)?;
            let member = Staff {
                login: text("login"),
                practitioner: text("practitioner"),
                specialty: text("specialty"),
                account,
                ..Staff::new(person, role)
            };
            staff::put(&visit.app.database, &acting, &member, visit.app.now()).await
        }
        None => Err(StaffError::UnknownPerson),
    };
    let problem = match saved {
        Ok(_) => {
            let person = person.map(|person| person.to_string()).unwrap_or_default();
            return Ok(go(&format!("/staff?done=saved&open={person}#member")));
        }
        Err(StaffError::UnknownPerson) => texts.t("staff-problem-unknown"),
        Err(StaffError::UnknownAccount) => texts.t("staff-problem-account"),
        Err(StaffError::Taken(what)) => texts.a("staff-problem-taken", &texts.code("staff-field-", what)),
        Err(StaffError::BadText(what)) => texts.a("staff-problem-text", &texts.code("staff-field-", what)),
        Err(error) => return Err(error.into()),
    };
    refuse(&visit, &typed, problem).await
}

/// `POST /staff/end`
pub async fn end(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let person: PersonId = typed.one("person").and_then(|id| id.parse().ok()).ok_or(Fault::NotFound)?;
    let known = staff::by_person(&visit.app.database, person).await?.ok_or(Fault::NotFound)?;
    let member = Staff { ended: Some(visit.app.now()), ..known };
    staff::put(&visit.app.database, &visit.acting()?, &member, visit.app.now()).await?;
    Ok(go(&format!("/staff?done=ended&open={person}#member")))
}

/// `POST /staff/pin`
pub async fn pin(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let texts = visit.texts();
    let person: PersonId = typed.one("person").and_then(|id| id.parse().ok()).ok_or(Fault::NotFound)?;
    let set = match PinText::new(typed.one("pin").unwrap_or_default()) {
        Ok(pin) => visit.app.desk.set_pin(&visit.acting()?, person, pin).await,
        Err(error) => Err(error),
    };
    let problem = match set {
        Ok(()) => return Ok(go(&format!("/staff?done=pin&open={person}#member"))),
        Err(DeskError::BadPin) => texts.t("desk-pin-bad"),
        Err(DeskError::WeakPin) => texts.t("desk-pin-weak"),
        Err(DeskError::Busy { .. }) => texts.t("desk-pin-busy"),
        Err(error) => return Err(error.into()),
    };
    let mut page = page(&visit, &Query::read(&format!("open={person}")), None).await?;
    page.problem = Some(problem);
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn refuse(visit: &Visit, typed: &Query, problem: String) -> Result<Response, Fault> {
    let open = typed.one("person").filter(|_| typed.one("new").is_none()).unwrap_or("new").to_owned();
    let query = Query::default().with("open", Some(&open));
    let mut page = page(visit, &Query::read(query.trim_start_matches('?')), Some(typed)).await?;
    page.problem = Some(problem);
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}
