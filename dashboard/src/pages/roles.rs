//! Roles: what each lets people do and shows them, in words; making, changing and removing the clinic's own.

use std::collections::BTreeSet;

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::AccountError;
use clinic::roles::{self, OwnId, RoleId, RoleLine, RoleText};
use domain::{Field, Permission};

use super::accounts::{Problem, explain, role_about, role_name};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::routes::Group;
use crate::view::{Frame, go, page as render, refused};
use crate::visit::Visit;

/// The permissions as people think of them, under the headings of the navigation. A test holds it complete.
pub const GROUPS: &[(Group, &[Permission])] = &[
    (
        Group::Post,
        &[
            Permission::LiveWatch,
            Permission::PresenceSee,
            Permission::JournalSee,
            Permission::JournalExport,
            Permission::DevicesSee,
            Permission::DoorOpen,
            Permission::DoorCommand,
        ],
    ),
    (
        Group::People,
        &[
            Permission::PersonFind,
            Permission::PersonSee,
            Permission::PersonReveal,
            Permission::PersonEdit,
            Permission::PassEdit,
            Permission::PersonErase,
            Permission::BreakGlassUse,
        ],
    ),
    (
        Group::Desk,
        &[
            Permission::DeskUse,
            Permission::DeskManage,
            Permission::PersonLocate,
            Permission::VisitSee,
            Permission::IrregularReview,
        ],
    ),
    (
        Group::Till,
        &[
            Permission::ServiceRegister,
            Permission::ChargeSee,
            Permission::PaymentTake,
            Permission::TillApprove,
            Permission::LimitOverride,
            Permission::TillClose,
            Permission::PriceEdit,
            Permission::TermsEdit,
            Permission::TillReport,
        ],
    ),
    (
        Group::Exchange,
        &[Permission::ExchangeSee, Permission::ExchangeManage, Permission::FeedRead, Permission::FeedWrite],
    ),
    (
        Group::Trust,
        &[
            Permission::AuditSee,
            Permission::AuditExport,
            Permission::DisclosureSee,
            Permission::PrivacyManage,
            Permission::BreakGlassReview,
        ],
    ),
    (
        Group::Office,
        &[
            Permission::OwnAccount,
            Permission::AccountSee,
            Permission::AccountEdit,
            Permission::RoleEdit,
            Permission::NoticeSee,
            Permission::ApiKeyEdit,
            Permission::VaultManage,
        ],
    ),
];

#[derive(Template)]
#[template(path = "roles.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    search: String,
    export: String,
    all: usize,
    panel: Option<Panel>,
    may_edit: bool,
    ask_password: bool,
    problem: Option<String>,
    done: Option<String>,
}

struct Line {
    link: String,
    name: String,
    about: String,
    is_shipped: bool,
    accounts: String,
    permissions: String,
    fields: String,
    is_open: bool,
}

/// A role beside the list: to be read, or to be written.
struct Panel {
    /// `None`: a new one.
    id: Option<String>,
    title: String,
    about: String,
    name: String,
    description: String,
    /// Where the form goes; `None`: it can only be read.
    action: Option<&'static str>,
    groups: Vec<(String, Vec<Choice>)>,
    fields: Vec<Choice>,
    is_shipped: bool,
    accounts: String,
    /// Whether nobody has it, so that it may be removed.
    is_unused: bool,
}

struct Choice {
    code: &'static str,
    text: String,
    is_set: bool,
    /// Every role has it.
    is_fixed: bool,
    /// It counts in the zones of the role only.
    is_local: bool,
}

/// `GET /roles`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let done = query.one("done").and_then(|done| visit.texts().code_if_any("roles-done-", done));
    let (mut page, known) = page(&visit, &query).await?;
    page.done = done;
    page.panel = panel(&page.frame, &known, &query, page.may_edit);
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<(Page, Vec<RoleLine>), Fault> {
    let (acting, frame) = (visit.acting()?, Frame::new(visit, "roles"));
    let known = roles::list(&visit.app.database, &acting).await?;
    let search = query.one("q").unwrap_or_default().chars().take(64).collect::<String>();
    let open = query.one("open");
    let lines = known.iter().filter(|line| wanted(&frame, line, &search)).map(|line| Line {
        link: format!("/roles{}#role", with_open(query, line.role.as_str())),
        name: role_name(&frame, line),
        about: role_about(&frame, line),
        is_shipped: matches!(line.role, RoleId::Shipped(_)),
        accounts: holders(&frame, line),
        permissions: frame.x.n("permissions-count", line.text.permissions.len()),
        fields: fields_in_words(&frame, line),
        is_open: Some(line.role.as_str()) == open,
    });
    let asked = Some(search.as_str()).filter(|search| !search.is_empty());
    let page = Page {
        lines: lines.collect(),
        export: format!("/roles.csv{}", Query::default().with("q", asked)),
        search,
        all: known.len(),
        panel: None,
        may_edit: acting.rights.allows(Permission::RoleEdit),
        ask_password: visit.is_stale(),
        problem: None,
        done: None,
        frame,
    };
    Ok((page, known))
}

fn with_open(query: &Query, id: &str) -> String {
    let kept = Query::read(query.with("done", None).trim_start_matches('?')).with("copy", None);
    Query::read(kept.trim_start_matches('?')).with("open", Some(id))
}

/// Whether the search finds this role: by its name, who it is for, or what it grants.
fn wanted(frame: &Frame, line: &RoleLine, search: &str) -> bool {
    let search = search.to_lowercase();
    let mut texts = vec![role_name(frame, line), role_about(frame, line)];
    texts.extend(line.text.permissions.iter().map(|permission| frame.x.code("permission-", permission.as_str())));
    texts.extend(line.text.fields.iter().map(|field| frame.x.code("field-", field.as_str())));
    search.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&search))
}

/// How many have it, in words.
fn holders(frame: &Frame, line: &RoleLine) -> String {
    if line.accounts == 0 { frame.x.t("role-nobody") } else { frame.x.n("accounts-count", line.accounts) }
}

fn fields_in_words(frame: &Frame, line: &RoleLine) -> String {
    if line.text.fields.len() == Field::ALL.len() {
        return frame.x.t("fields-all");
    }
    let words: Vec<String> = line.text.fields.iter().map(|field| frame.x.code("field-", field.as_str())).collect();
    if words.is_empty() { frame.x.t("fields-none") } else { words.join(", ") }
}

/// The panel that the query asks for: `open=ROLE`, `open=new`, and with it `copy=ROLE` to begin from.
fn panel(frame: &Frame, known: &[RoleLine], query: &Query, may_edit: bool) -> Option<Panel> {
    let find = |id: &str| known.iter().find(|line| line.role.as_str() == id);
    match query.one("open")? {
        "new" if may_edit => {
            let from = query.one("copy").and_then(find);
            let text = from.map(|line| RoleText {
                name: frame.x.a("role-copy-of", &role_name(frame, line)),
                description: role_about(frame, line),
                ..line.text.clone()
            });
            Some(Panel::of_text(frame, None, &text.unwrap_or_default()))
        }
        id => find(id).map(|line| Panel::of_line(frame, line, may_edit)),
    }
}

impl Panel {
    fn of_text(frame: &Frame, id: Option<&OwnId>, text: &RoleText) -> Self {
        let choice = |permission: &Permission| Choice {
            code: permission.as_str(),
            text: frame.x.code("permission-", permission.as_str()),
            is_set: text.permissions.contains(permission) || *permission == Permission::OwnAccount,
            is_fixed: *permission == Permission::OwnAccount,
            is_local: permission.is_local(),
        };
        let groups = GROUPS.iter().map(|(group, permissions)| {
            (frame.x.code("group-", group.as_str()), permissions.iter().map(choice).collect())
        });
        let field = |field: &Field| Choice {
            code: field.as_str(),
            text: frame.x.code("field-", field.as_str()),
            is_set: text.fields.contains(field),
            is_fixed: false,
            is_local: false,
        };
        Self {
            id: id.map(|id| id.as_str().to_owned()),
            title: id.map_or_else(|| frame.x.t("role-new"), |_| text.name.clone()),
            about: String::new(),
            name: text.name.clone(),
            description: text.description.clone(),
            action: Some(if id.is_some() { "/roles/change" } else { "/roles/create" }),
            groups: groups.collect(),
            fields: Field::ALL.iter().map(field).collect(),
            is_shipped: false,
            accounts: String::new(),
            is_unused: false,
        }
    }

    fn of_line(frame: &Frame, line: &RoleLine, may_edit: bool) -> Self {
        let id = match &line.role {
            RoleId::Own(id) => Some(id),
            RoleId::Shipped(_) => None,
        };
        let panel = Self::of_text(frame, id, &line.text);
        Self {
            id: Some(line.role.to_string()),
            title: role_name(frame, line),
            about: role_about(frame, line),
            action: panel.action.filter(|_| may_edit && id.is_some()),
            is_shipped: id.is_none(),
            accounts: holders(frame, line),
            is_unused: line.accounts == 0,
            ..panel
        }
    }

    /// What is granted under a heading, where the role can only be read.
    fn granted<'a>(&self, choices: &'a [Choice]) -> Vec<&'a Choice> {
        choices.iter().filter(|choice| choice.is_set).collect()
    }
}

/// `GET /roles.csv`: one line a role, one column a permission and a field.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let (acting, frame) = (visit.acting()?, Frame::new(&visit, "roles"));
    let known = roles::list(&visit.app.database, &acting).await?;
    let search = query.one("q").unwrap_or_default().to_owned();
    let mut header = vec!["role".to_owned(), "name".to_owned(), "accounts".to_owned()];
    header.extend(Permission::ALL.iter().map(ToString::to_string));
    header.extend(Field::ALL.iter().map(|field| format!("field_{field}")));
    let mut csv = Csv::new(&header);
    for line in known.iter().filter(|line| wanted(&frame, line, &search)) {
        let mark = |is_set: bool| if is_set { "1" } else { "" }.to_owned();
        let mut row = vec![line.role.to_string(), role_name(&frame, line), line.accounts.to_string()];
        row.extend(Permission::ALL.iter().map(|permission| mark(line.text.permissions.contains(permission))));
        row.extend(Field::ALL.iter().map(|field| mark(line.text.fields.contains(field))));
        csv.row(&row);
    }
    Ok(csv.into_response("roles.csv"))
}

/// What was typed in the form of a role. Codes that are not known are not heard.
fn text_of(typed: &Query) -> RoleText {
    let all = |key: &str| typed.all(key).collect::<BTreeSet<_>>();
    RoleText {
        name: typed.one("name").unwrap_or_default().to_owned(),
        description: typed.one("description").unwrap_or_default().to_owned(),
        permissions: all("permission").into_iter().filter_map(Permission::parse).collect(),
        fields: all("field").into_iter().filter_map(Field::parse).collect(),
    }
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}

/// `POST /roles/create`
pub async fn create(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let text = text_of(&typed);
    let made = async {
        visit.confirm(typed.one("password")).await?;
        let acting = visit.acting().map_err(|_| AccountError::NoAccount)?;
        Ok(roles::create(&visit.app.database, &acting, visit.app.now(), &text).await?)
    };
    match made.await {
        Ok(id) => Ok(go(&format!("/roles?done=made&open={}#role", id.as_str()))),
        Err(error) => with_problem(&visit, None, &text, explain(&visit, error)?).await,
    }
}

/// `POST /roles/change`
pub async fn change(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let id = typed.one("role").and_then(OwnId::parse).ok_or(Fault::NotFound)?;
    let text = text_of(&typed);
    let changed = async {
        visit.confirm(typed.one("password")).await?;
        let acting = visit.acting().map_err(|_| AccountError::NoAccount)?;
        Ok(roles::change(&visit.app.database, &acting, visit.app.now(), &id, &text).await?)
    };
    match changed.await {
        Ok(()) => Ok(go(&format!("/roles?done=changed&open={}#role", id.as_str()))),
        Err(AccountError::Role(roles::RoleError::NoRole)) => Err(Fault::NotFound),
        Err(error) => with_problem(&visit, Some(&id), &text, explain(&visit, error)?).await,
    }
}

/// `POST /roles/remove`
pub async fn remove(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let id = typed.one("role").and_then(OwnId::parse).ok_or(Fault::NotFound)?;
    let removed = async {
        visit.confirm(typed.one("password")).await?;
        let acting = visit.acting().map_err(|_| AccountError::NoAccount)?;
        Ok(roles::remove(&visit.app.database, &acting, visit.app.now(), &id).await?)
    };
    match removed.await {
        Ok(()) => Ok(go("/roles?done=removed")),
        Err(AccountError::Role(roles::RoleError::NoRole)) => Err(Fault::NotFound),
        Err(error) => {
            let problem = explain(&visit, error)?;
            let query = Query::read(&format!("open={}", id.as_str()));
            let (mut page, known) = page(&visit, &query).await?;
            page.panel = panel(&page.frame, &known, &query, page.may_edit);
            unfinished(page, problem)
        }
    }
}

/// The page with the form as it was typed.
async fn with_problem(visit: &Visit, id: Option<&OwnId>, text: &RoleText, problem: Problem) -> Result<Response, Fault> {
    let (mut page, _) = page(visit, &Query::default()).await?;
    page.panel = Some(Panel::of_text(&page.frame, id, text));
    unfinished(page, problem)
}

fn unfinished(mut page: Page, problem: Problem) -> Result<Response, Fault> {
    page.problem = Some(problem.text);
    let response = render(StatusCode::UNPROCESSABLE_ENTITY, &page)?;
    Ok(if problem.is_refusal { refused(response) } else { response })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_stands_under_one_heading() {
        let mut listed: Vec<Permission> =
            GROUPS.iter().flat_map(|(_, permissions)| permissions.iter().copied()).collect();
        listed.sort_unstable();
        assert_eq!(listed, Permission::ALL);
    }
}
