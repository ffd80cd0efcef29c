//! Accounts of staff, for administrators. A change asks for one's own password again when it was given long ago.

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::{
    AccountError, AccountId, AccountSummary, LinkToken, LogLine, Login, NewAccount, Password, Session,
};
use clinic::roles::{self, Grant, RoleError, RoleId, RoleLine};
use serde::Deserialize;

use crate::fault::Fault;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// Lines of the log shown.
const LOG_LINES: i64 = 30;

#[derive(Template)]
#[template(path = "accounts.html")]
struct Page {
    frame: Frame,
    me: AccountId,
    accounts: Vec<AccountSummary>,
    log: Vec<LogLine>,
    roles: Vec<RoleLine>,
    /// Whether forms must carry the password.
    ask_password: bool,
    /// A link just made: shown once.
    link: Option<Made>,
    problem: Option<String>,
    done: Option<String>,
    typed_login: String,
    typed_name: String,
}

impl Page {
    fn name(&self, role: &RoleLine) -> String {
        if role.text.name.is_empty() { self.frame.x.code("role-", role.role.as_str()) } else { role.text.name.clone() }
    }

    fn has(&self, line: &AccountSummary, role: &RoleLine) -> bool {
        line.roles.iter().any(|held| held.grant.role == role.role)
    }

    fn about(&self, role: &RoleLine) -> String {
        match role.role {
            RoleId::Shipped(shipped) => self.frame.x.code("role-may-", shipped.as_str()),
            RoleId::Own(_) => role.text.description.clone(),
        }
    }
}

struct Made {
    login: String,
    path: String,
}

/// What was just done.
#[derive(Deserialize)]
pub struct Asked {
    done: Option<String>,
}

/// `GET /accounts`
pub async fn show(visit: Visit, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let done = asked.done.as_deref().and_then(|done| visit.texts().code_if_any("accounts-done-", done));
    page(&visit, StatusCode::OK).await?.with(|page| page.done = done)
}

struct Unfinished {
    status: StatusCode,
    page: Page,
}

impl Unfinished {
    fn with(mut self, change: impl FnOnce(&mut Page)) -> Result<Response, Fault> {
        change(&mut self.page);
        render(self.status, &self.page)
    }
}

async fn page(visit: &Visit, status: StatusCode) -> Result<Unfinished, Fault> {
    let session = visit.signed_in()?;
    let acting = visit.acting()?;
    let accounts = visit.app.accounts.list(&acting).await?;
    let log = visit.app.accounts.log(&acting, LOG_LINES).await?;
    let roles = roles::list(&visit.app.database, &acting).await?;
    let page = Page {
        frame: Frame::new(visit, "accounts"),
        me: session.account.id.clone(),
        accounts,
        log,
        roles,
        ask_password: !session.is_fresh,
        link: None,
        problem: None,
        done: None,
        typed_login: String::new(),
        typed_name: String::new(),
    };
    Ok(Unfinished { status, page })
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
    password: String,
}

/// `POST /accounts/create`
pub async fn create(visit: Visit, Form(typed): Form<Create>) -> Result<Response, Fault> {
    let outcome = create_now(&visit, &typed).await;
    match outcome {
        Ok((login, link)) => {
            let made = Made { login: login.to_string(), path: link.path() };
            page(&visit, StatusCode::OK).await?.with(|page| page.link = Some(made))
        }
        Err(error) => {
            let problem = explain(&visit, error)?;
            page(&visit, StatusCode::UNPROCESSABLE_ENTITY).await?.with(|page| {
                page.problem = Some(problem);
                page.typed_login = typed.login;
                page.typed_name = typed.shown_name;
            })
        }
    }
}

async fn create_now(visit: &Visit, typed: &Create) -> Result<(Login, LinkToken), AccountError> {
    let session = visit.session.as_ref().ok_or(AccountError::NoAccount)?;
    let login = Login::new(&typed.login)?;
    let roles = vec![Grant::site(RoleId::parse(&typed.role).ok_or(RoleError::NoRole)?)];
    confirm(visit, session, &typed.password).await?;
    let locale = visit.language.code().to_owned();
    let new = NewAccount { login: login.clone(), shown_name: typed.shown_name.clone(), roles, locale };
    let link = visit.app.accounts.create(&session.acting(&visit.visitor), new).await?;
    Ok((login, link))
}

async fn confirm(visit: &Visit, session: &Session, password: &str) -> Result<(), AccountError> {
    if session.is_fresh {
        return Ok(());
    }
    visit.app.accounts.confirm(session, Password::new(password), visit.visitor.address).await
}

/// A change to one account: `what` is the button pressed.
#[derive(Deserialize)]
pub struct Change {
    account: String,
    what: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    password: String,
}

/// `POST /accounts/change`
pub async fn change(visit: Visit, Form(typed): Form<Change>) -> Result<Response, Fault> {
    match change_now(&visit, &typed).await {
        Ok(None) => Ok(go(&format!("/accounts?done={}", done_code(&typed.what)))),
        Ok(Some(link)) => {
            let mut page = page(&visit, StatusCode::OK).await?;
            let login = page.page.accounts.iter().find(|line| line.account.id.as_str() == typed.account);
            let login = login.map(|line| line.account.login.to_string()).unwrap_or_default();
            page.page.link = Some(Made { login, path: link.path() });
            page.with(|_| {})
        }
        Err(error) => {
            let problem = explain(&visit, error)?;
            let page = page(&visit, StatusCode::UNPROCESSABLE_ENTITY).await?;
            page.with(|page| page.problem = Some(problem))
        }
    }
}

async fn change_now(visit: &Visit, typed: &Change) -> Result<Option<LinkToken>, AccountError> {
    let session = visit.session.as_ref().ok_or(AccountError::NoAccount)?;
    let acting = session.acting(&visit.visitor);
    let accounts = &visit.app.accounts;
    let id = AccountId::parse(&typed.account).ok_or(AccountError::NoAccount)?;
    // Ending sessions makes nothing worse; it must be quick.
    if typed.what == "end" {
        accounts.end_sessions_of(&acting, &id).await?;
        return Ok(None);
    }
    confirm(visit, session, &typed.password).await?;
    match typed.what.as_str() {
        "role" => {
            let role = RoleId::parse(&typed.role).ok_or(RoleError::NoRole)?;
            roles::give(&visit.app.database, &acting, visit.app.now(), &id, &[Grant::site(role)]).await?;
        }
        "disable" => accounts.set_disabled(&acting, &id, true).await?,
        "enable" => accounts.set_disabled(&acting, &id, false).await?,
        "link" => return accounts.create_password_link(&acting, &id).await.map(Some),
        _ => return Err(AccountError::NoAccount),
    }
    Ok(None)
}

fn done_code(what: &str) -> &'static str {
    match what {
        "role" => "role",
        "disable" => "disable",
        "enable" => "enable",
        _ => "end",
    }
}

/// What cannot be done, in words; faults that are no fault of the form stay faults.
fn explain(visit: &Visit, error: AccountError) -> Result<String, Fault> {
    let texts = visit.texts();
    Ok(match error {
        AccountError::BadLogin => texts.t("login-bad"),
        AccountError::LoginTaken => texts.t("login-taken"),
        AccountError::BadShownName => texts.t("shown-name-bad"),
        AccountError::WrongPassword => texts.t("accounts-confirm-wrong"),
        AccountError::Role(RoleError::LastKeeper) => texts.t("accounts-last"),
        AccountError::Role(RoleError::OwnAccount) => texts.t("accounts-own"),
        AccountError::Role(RoleError::Beyond) => texts.t("accounts-beyond"),
        AccountError::Wait { wait_ms } => texts.a("sign-in-wait", &visit.times().span(wait_ms.saturating_add(999))),
        other => return Err(other.into()),
    })
}
