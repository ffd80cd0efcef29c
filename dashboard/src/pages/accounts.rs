//! Accounts of staff: who has which roles and where, new accounts, links, closing. A change asks for one's own password
//! again when it was given long ago. What may be done is the clinic's decision; the page only offers what may work.

mod panel;

use askama::Template;
use axum::body::Bytes;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::{AccountError, AccountId, AccountSummary, LinkToken, Login, NewAccount};
use clinic::acting::Acting;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::roles::{self, Grant, RoleError, RoleId, RoleLine};
use domain::{Permission, ZoneId};
use serde::Deserialize;

use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render, refused};
use crate::visit::Visit;
use crate::words::label;
use panel::Panel;

/// Between a role and its zone in the value of a box.
const MARK: char = '|';

#[derive(Template)]
#[template(path = "accounts.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    all: usize,
    typed: Typed,
    /// Roles to filter by and to give: value and name.
    roles: Vec<(String, String)>,
    /// The same with who each is for.
    described: Vec<(String, String, String)>,
    zones: Vec<(String, String)>,
    export: String,
    is_filtered: bool,
    panel: Option<Panel>,
    new: Option<New>,
    /// Whether forms must carry the password.
    ask_password: bool,
    /// A link just made: shown once.
    link: Option<Made>,
    problem: Option<String>,
    done: Option<String>,
}

/// What the list is narrowed to.
#[derive(Default)]
struct Typed {
    q: String,
    role: String,
    state: String,
}

struct Line {
    link: String,
    name: String,
    login: String,
    roles: String,
    tone: &'static str,
    state: String,
    last: String,
    is_me: bool,
    is_open: bool,
}

struct Made {
    login: String,
    path: String,
}

/// The form of a new account, as typed so far.
#[derive(Default)]
struct New {
    login: String,
    shown_name: String,
    role: String,
    zone: String,
}

/// Whether an account may sign in, as the filter and the chips say it.
fn state_of(line: &AccountSummary) -> &'static str {
    if line.disabled_at.is_some() {
        "closed"
    } else if !line.has_password {
        "invited"
    } else if line.sessions > 0 {
        "signed_in"
    } else {
        "open"
    }
}

const STATES: &[&str] = &["signed_in", "open", "invited", "closed"];

impl Page {
    fn states(&self) -> Vec<(&'static str, String)> {
        STATES.iter().map(|state| (*state, self.frame.x.code("account-state-", state))).collect()
    }
}

fn wanted(line: &AccountSummary, typed: &Typed) -> bool {
    let q = typed.q.to_lowercase();
    let named = line.account.login.as_str().contains(&q) || line.account.shown_name.to_lowercase().contains(&q);
    let has_role = || line.roles.iter().any(|held| held.grant.role.as_str() == typed.role);
    named && (typed.role.is_empty() || has_role()) && (typed.state.is_empty() || state_of(line) == typed.state)
}

fn typed(query: &Query) -> Typed {
    let one = |key: &str| query.one(key).unwrap_or_default().chars().take(64).collect::<String>();
    Typed { q: one("q"), role: one("role"), state: one("state") }
}

/// A role's name in the page's language.
pub fn role_name(frame: &Frame, line: &RoleLine) -> String {
    if line.text.name.is_empty() { frame.x.code("role-", line.role.as_str()) } else { line.text.name.clone() }
}

/// Who a role is for.
pub fn role_about(frame: &Frame, line: &RoleLine) -> String {
    match line.role {
        RoleId::Shipped(shipped) => frame.x.code("role-may-", shipped.as_str()),
        RoleId::Own(_) => line.text.description.clone(),
    }
}

/// `GET /accounts`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let done = query.one("done").and_then(|done| visit.texts().code_if_any("accounts-done-", done));
    let mut page = page(&visit, &query).await?;
    page.done = done;
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (session, acting, frame) = (visit.signed_in()?, visit.acting()?, Frame::new(visit, "accounts"));
    let may_edit = acting.rights.allows(Permission::AccountEdit);
    let accounts = visit.app.accounts.list(&acting).await?;
    let known = roles::list(&visit.app.database, &acting).await?;
    let zones = roles::zones(&visit.app.database, &acting).await?;
    let (typed, open) = (typed(query), query.one("open"));
    let roles: Vec<(String, String)> =
        known.iter().map(|line| (line.role.to_string(), role_name(&frame, line))).collect();
    let panel = open
        .and_then(|open| accounts.iter().find(|line| line.account.id.as_str() == open))
        .map(|line| Panel::new(&frame, line, &session.account.id, may_edit));
    let lines = accounts.iter().filter(|line| wanted(line, &typed)).map(|line| {
        let (account, state) = (&line.account, state_of(line));
        Line {
            link: format!("/accounts{}#account", with_open(query, account.id.as_str())),
            name: account.shown_name.clone(),
            login: account.login.to_string(),
            roles: line.roles.iter().map(|held| frame.role(held)).collect::<Vec<_>>().join(", "),
            tone: panel::tone_of(state),
            state: panel::state_words(&frame, line),
            last: line.signed_in_at.map_or_else(|| frame.x.t("never"), |at| frame.times.full(at)),
            is_me: account.id == session.account.id,
            is_open: Some(account.id.as_str()) == open,
        }
    });
    let is_filtered = !typed.q.is_empty() || !typed.role.is_empty() || !typed.state.is_empty();
    let narrowed = Query::read(query.with("open", None).trim_start_matches('?')).with("done", None);
    Ok(Page {
        lines: lines.collect(),
        all: accounts.len(),
        typed,
        described: known
            .iter()
            .map(|line| (line.role.to_string(), role_name(&frame, line), role_about(&frame, line)))
            .collect(),
        roles,
        zones: zones.iter().map(|zone| (zone.to_string(), label(zone.as_str()))).collect(),
        export: format!("/accounts.csv{narrowed}"),
        is_filtered,
        panel,
        new: (may_edit && open == Some("new")).then(New::default),
        ask_password: visit.is_stale(),
        link: None,
        problem: None,
        done: None,
        frame,
    })
}

/// The list as it is narrowed, with this account's panel.
fn with_open(query: &Query, id: &str) -> String {
    Query::read(query.with("done", None).trim_start_matches('?')).with("open", Some(id))
}

/// `GET /accounts.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, now, frame) = (visit.acting()?, visit.app.now(), Frame::new(&visit, "accounts"));
    let accounts = visit.app.accounts.list(&acting).await?;
    let typed = typed(&query);
    let lines: Vec<_> = accounts.iter().filter(|line| wanted(line, &typed)).collect();
    let mut disclosure = Disclosure::export(&acting, "/accounts.csv", &[Class::Account]);
    disclosure.records = lines.len().try_into().unwrap_or(u64::MAX);
    disclosures::register(&visit.app.database, &acting, disclosure, None, now).await?;
    let mut csv = Csv::new(&["account", "login", "name", "roles", "state", "made", "last_sign_in", "open_sessions"]);
    for line in lines {
        csv.row(&[
            line.account.id.as_str().to_owned(),
            line.account.login.to_string(),
            line.account.shown_name.clone(),
            line.roles.iter().map(|held| frame.role(held)).collect::<Vec<_>>().join(", "),
            state_of(line).to_owned(),
            line.created_at.to_rfc3339(),
            line.signed_in_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
            line.sessions.to_string(),
        ]);
    }
    Ok(csv.into_response("accounts.csv"))
}

/// A new account.
#[derive(Deserialize)]
pub struct Create {
    #[serde(default)]
    login: String,
    #[serde(default)]
    shown_name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    password: String,
}

/// `POST /accounts/create`
pub async fn create(visit: Visit, Form(typed): Form<Create>) -> Result<Response, Fault> {
    match create_now(&visit, &typed).await {
        Ok((login, link)) => {
            let mut page = page(&visit, &Query::default()).await?;
            page.link = Some(Made { login: login.to_string(), path: link.path() });
            render(StatusCode::OK, &page)
        }
        Err(error) => {
            let problem = explain(&visit, error)?;
            let mut page = page(&visit, &Query::read("open=new")).await?;
            let Create { login, shown_name, role, zone, .. } = typed;
            page.new = Some(New { login, shown_name, role, zone });
            unfinished(page, problem)
        }
    }
}

async fn create_now(visit: &Visit, typed: &Create) -> Result<(Login, LinkToken), AccountError> {
    let session = visit.session.as_ref().ok_or(AccountError::NoAccount)?;
    let login = Login::new(&typed.login)?;
    let roles = vec![grant(&typed.role, &typed.zone)?];
    visit.confirm(Some(&typed.password)).await?;
    let locale = visit.language.code().to_owned();
    let new = NewAccount { login: login.clone(), shown_name: typed.shown_name.clone(), roles, locale };
    let link = visit.app.accounts.create(&session.acting(&visit.visitor), new).await?;
    Ok((login, link))
}

fn grant(role: &str, zone: &str) -> Result<Grant, RoleError> {
    let role = RoleId::parse(role).ok_or(RoleError::NoRole)?;
    let zone = match zone {
        "" => None,
        zone => Some(ZoneId::new(zone).map_err(|_| RoleError::NoZone)?),
    };
    Ok(Grant { role, zone })
}

/// `POST /accounts/roles`: the boxes left ticked, and one more role if chosen.
pub async fn give(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let id = typed.one("account").and_then(AccountId::parse).ok_or(Fault::NotFound)?;
    match give_now(&visit, &typed, &id).await {
        Ok(()) => Ok(go(&format!("/accounts?done=role&open={}#account", id.as_str()))),
        Err(error) => open_with(&visit, &id, error).await,
    }
}

async fn give_now(visit: &Visit, typed: &Query, id: &AccountId) -> Result<(), AccountError> {
    let session = visit.session.as_ref().ok_or(AccountError::NoAccount)?;
    let mut grants = Vec::new();
    for held in typed.all("grant") {
        let (role, zone) = held.split_once(MARK).unwrap_or((held, ""));
        grants.push(grant(role, zone)?);
    }
    if let Some(role) = typed.one("role") {
        grants.push(grant(role, typed.one("zone").unwrap_or_default())?);
    }
    visit.confirm(typed.one("password")).await?;
    let acting = session.acting(&visit.visitor);
    Ok(roles::give(&visit.app.database, &acting, visit.app.now(), id, &grants).await?)
}

/// A change to one account: `what` is the button pressed.
#[derive(Deserialize)]
pub struct Change {
    account: String,
    what: String,
    #[serde(default)]
    password: String,
}

/// `POST /accounts/change`
pub async fn change(visit: Visit, Form(typed): Form<Change>) -> Result<Response, Fault> {
    let id = AccountId::parse(&typed.account).ok_or(Fault::NotFound)?;
    match change_now(&visit, &typed, &id).await {
        Ok(None) => Ok(go(&format!("/accounts?done={}&open={}#account", done_code(&typed.what), id.as_str()))),
        Ok(Some(link)) => {
            let mut page = page(&visit, &opened(&id)).await?;
            let login = page.panel.as_ref().map(|panel| panel.login.clone()).unwrap_or_default();
            page.link = Some(Made { login, path: link.path() });
            render(StatusCode::OK, &page)
        }
        Err(error) => open_with(&visit, &id, error).await,
    }
}

async fn change_now(visit: &Visit, typed: &Change, id: &AccountId) -> Result<Option<LinkToken>, AccountError> {
    let session = visit.session.as_ref().ok_or(AccountError::NoAccount)?;
    let (accounts, acting): (_, Acting) = (&visit.app.accounts, session.acting(&visit.visitor));
    // Ending sessions makes nothing worse; it must be quick.
    if typed.what == "end" {
        accounts.end_sessions_of(&acting, id).await?;
        return Ok(None);
    }
    visit.confirm(Some(&typed.password)).await?;
    match typed.what.as_str() {
        "disable" => accounts.set_disabled(&acting, id, true).await?,
        "enable" => accounts.set_disabled(&acting, id, false).await?,
        "factor" => accounts.reset_factor(&acting, id).await?,
        "link" => return accounts.create_password_link(&acting, id).await.map(Some),
        _ => return Err(AccountError::NoAccount),
    }
    Ok(None)
}

fn done_code(what: &str) -> &'static str {
    match what {
        "disable" => "disable",
        "enable" => "enable",
        "factor" => "factor",
        _ => "end",
    }
}

fn opened(id: &AccountId) -> Query {
    Query::read(&format!("open={}", id.as_str()))
}

/// The page with this account's panel and what could not be done.
async fn open_with(visit: &Visit, id: &AccountId, error: AccountError) -> Result<Response, Fault> {
    let problem = explain(visit, error)?;
    unfinished(page(visit, &opened(id)).await?, problem)
}

/// What could not be done, in words.
pub struct Problem {
    /// The words.
    pub text: String,
    /// Whether it was refused for want of rights: then it is recorded.
    pub is_refusal: bool,
}

fn unfinished(mut page: Page, problem: Problem) -> Result<Response, Fault> {
    page.problem = Some(problem.text);
    let response = render(StatusCode::UNPROCESSABLE_ENTITY, &page)?;
    Ok(if problem.is_refusal { refused(response) } else { response })
}

/// What cannot be done, in words; faults that are no fault of the form stay faults.
pub fn explain(visit: &Visit, error: AccountError) -> Result<Problem, Fault> {
    let texts = visit.texts();
    let is_refusal = matches!(&error, AccountError::Role(RoleError::Beyond | RoleError::OwnAccount));
    let text = match error {
        AccountError::BadLogin => texts.t("login-bad"),
        AccountError::NoFactor => texts.t("accounts-no-factor"),
        AccountError::LoginTaken => texts.t("login-taken"),
        AccountError::BadShownName => texts.t("shown-name-bad"),
        AccountError::WrongPassword => texts.t("accounts-confirm-wrong"),
        AccountError::Wait { wait_ms } => texts.a("sign-in-wait", &visit.times().span(wait_ms.saturating_add(999))),
        AccountError::Role(error) => role_problem(visit, error)?,
        other => return Err(other.into()),
    };
    Ok(Problem { text, is_refusal })
}

/// What cannot be done about roles, in words.
pub fn role_problem(visit: &Visit, error: RoleError) -> Result<String, Fault> {
    let texts = visit.texts();
    Ok(match error {
        RoleError::Beyond => texts.t("roles-beyond"),
        RoleError::OwnAccount => texts.t("roles-own"),
        RoleError::LastKeeper => texts.t("roles-last"),
        RoleError::NoneGiven => texts.t("roles-none"),
        RoleError::TooMany => texts.n("roles-too-many", roles::ROLES_PER_ACCOUNT),
        RoleError::NoRole => texts.t("roles-no-role"),
        RoleError::NoZone => texts.t("roles-no-zone"),
        RoleError::NotLocal => texts.t("roles-not-local"),
        RoleError::BadName => texts.n("roles-bad-name", roles::ROLE_NAME_MAX_CHARS),
        RoleError::BadText => texts.n("roles-bad-text", roles::ROLE_TEXT_MAX_CHARS),
        RoleError::NameTaken => texts.t("roles-name-taken"),
        RoleError::InUse(users) => texts.n("roles-in-use", users),
        other @ (RoleError::Denied(_) | RoleError::NoAccount | RoleError::Store(_)) => return Err(other.into()),
    })
}
