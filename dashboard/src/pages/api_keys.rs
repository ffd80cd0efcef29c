//! Keys of the HTTP API: which there are, what each may do, making and ending one. A key is shown once, on the answer
//! to the form that made it; no page shows it again.

use std::collections::BTreeSet;

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::AccountError;
use clinic::api_keys::{ApiKey, ApiKeyError, KeyId, KeyToken, LIFE_DAYS, LIFE_MAX_DAYS, NAME_MAX_CHARS, NEVER, NewKey};
use clinic::policy;
use domain::{Field, Network, Permission, ZoneId, Zones};

use super::roles::GROUPS;
use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// The lives that are offered, in days.
const LIVES: &[u16] = &[1, 7, 30, LIFE_DAYS, 180, LIFE_MAX_DAYS];

#[derive(Template)]
#[template(path = "api_keys.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    all: usize,
    search: String,
    export: String,
    form: Option<Form>,
    open: Option<Open>,
    /// A key just made: shown once.
    made: Option<Made>,
    ask_password: bool,
    problem: Option<String>,
    done: Option<String>,
}

struct Line {
    link: String,
    name: String,
    login: String,
    permissions: String,
    until: String,
    used: Option<String>,
    tone: &'static str,
    state: String,
    is_open: bool,
}

/// One key beside the list.
struct Open {
    id: String,
    name: String,
    login: String,
    state: String,
    tone: &'static str,
    made: String,
    until: String,
    used: Option<String>,
    permissions: Vec<String>,
    fields: Vec<String>,
    zones: Vec<String>,
    networks: Vec<String>,
    may_end: bool,
}

/// The form of a new key, as it was typed.
struct Form {
    name: String,
    name_max: usize,
    groups: Vec<(String, Vec<Choice>)>,
    fields: Vec<Choice>,
    zones: Vec<Choice>,
    networks: String,
    lives: Vec<(u16, String, bool)>,
}

struct Choice {
    code: String,
    text: String,
    is_set: bool,
}

struct Made {
    name: String,
    token: String,
    until: String,
}

/// `GET /api-keys`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("api-done-", done));
    if query.one("open") == Some("new") {
        page.form = Some(form(&visit, &page.frame, &Query::default()).await?);
    }
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let (acting, frame) = (visit.acting()?, Frame::new(visit, "api_keys"));
    let known = visit.app.api_keys.list(&acting).await.map_err(fault)?;
    let search = query.one("q").unwrap_or_default().chars().take(64).collect::<String>();
    let open = query.one("open");
    let lines = known.iter().filter(|key| wanted(key, &search)).map(|key| {
        let (tone, state) = state(&frame, key);
        Line {
            link: format!("/api-keys?open={}#key", key.id),
            name: key.name.clone(),
            login: key.login.clone(),
            permissions: frame.x.n("permissions-count", key.limits.permissions.len()),
            until: frame.times.full(key.expires_at),
            used: key.used_at.map(|at| frame.times.full(at)),
            tone,
            state,
            is_open: open == Some(key.id.to_string().as_str()),
        }
    });
    let panel = known.iter().find(|key| open == Some(key.id.to_string().as_str())).map(|key| Open::of(&frame, key));
    let asked = Some(search.as_str()).filter(|search| !search.is_empty());
    Ok(Page {
        lines: lines.collect(),
        all: known.len(),
        export: format!("/api-keys.csv{}", Query::default().with("q", asked)),
        search,
        form: None,
        open: panel,
        made: None,
        ask_password: visit.is_stale(),
        problem: None,
        done: None,
        frame,
    })
}

/// Whether the search finds this key: by its name, the account, or what it may do.
fn wanted(key: &ApiKey, search: &str) -> bool {
    let search = search.to_lowercase();
    let codes = key.limits.permissions.iter().any(|permission| permission.as_str().contains(&search));
    codes || key.name.to_lowercase().contains(&search) || key.login.contains(&search)
}

fn state(frame: &Frame, key: &ApiKey) -> (&'static str, String) {
    let (tone, text) = if key.ended_at.is_some() {
        ("bad", "api-ended")
    } else if !key.is_open(frame.now) {
        ("warn", "api-expired")
    } else {
        ("ok", "api-works")
    };
    (tone, frame.x.t(text))
}

impl Open {
    fn of(frame: &Frame, key: &ApiKey) -> Self {
        let (tone, state) = state(frame, key);
        let permissions = key.limits.permissions.iter();
        let zones = match &key.limits.zones {
            Zones::All => Vec::new(),
            Zones::Only(zones) => zones.iter().map(ToString::to_string).collect(),
        };
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            login: key.login.clone(),
            state,
            tone,
            made: frame.times.full(key.made_at),
            until: frame.times.full(key.expires_at),
            used: key.used_at.map(|at| {
                let from = key.used_from.as_deref().unwrap_or_default();
                format!("{} · {from}", frame.times.full(at))
            }),
            permissions: permissions.map(|it| frame.x.code("permission-", it.as_str())).collect(),
            fields: key.limits.fields.iter().map(|it| frame.x.code("field-", it.as_str())).collect(),
            zones,
            networks: key.limits.networks.iter().map(ToString::to_string).collect(),
            may_end: key.is_open(frame.now),
        }
    }
}

/// The form: only what the one who is signed in may give.
async fn form(visit: &Visit, frame: &Frame, typed: &Query) -> Result<Form, Fault> {
    let acting = visit.acting()?;
    let chosen = |key: &str, code: &str| typed.all(key).any(|value| value == code);
    let groups = GROUPS.iter().map(|(group, permissions)| {
        let may_give = |permission: &&Permission| acting.rights.allows(**permission) && !NEVER.contains(permission);
        let choices = permissions.iter().filter(may_give).map(|permission| Choice {
            code: permission.to_string(),
            text: frame.x.code("permission-", permission.as_str()),
            is_set: chosen("permission", permission.as_str()),
        });
        (frame.x.code("group-", group.as_str()), choices.collect::<Vec<_>>())
    });
    let fields = acting.rights.fields().map(|field| Choice {
        code: field.to_string(),
        text: frame.x.code("field-", field.as_str()),
        is_set: chosen("field", field.as_str()),
    });
    let layout = policy::read_layout(&visit.app.database).await?;
    let zones = layout.iter().flat_map(|layout| &layout.zones).map(|zone| Choice {
        code: zone.id.to_string(),
        text: zone.id.to_string(),
        is_set: chosen("zone", zone.id.as_str()),
    });
    let life = typed.one("life_days").and_then(|days| days.parse().ok()).unwrap_or(LIFE_DAYS);
    Ok(Form {
        name: typed.one("name").unwrap_or_default().to_owned(),
        name_max: NAME_MAX_CHARS,
        groups: groups.filter(|(_, choices)| !choices.is_empty()).collect(),
        fields: fields.collect(),
        zones: zones.collect(),
        networks: typed.one("networks").unwrap_or_default().to_owned(),
        lives: LIVES.iter().map(|days| (*days, frame.x.n("api-days", i64::from(*days)), *days == life)).collect(),
    })
}

/// `GET /api-keys.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let known = visit.app.api_keys.list(&visit.acting()?).await.map_err(fault)?;
    let search = query.one("q").unwrap_or_default().to_owned();
    let mut csv = Csv::new(&[
        "key",
        "name",
        "account",
        "made",
        "expires",
        "used",
        "used_from",
        "ended",
        "permissions",
        "fields",
        "zones",
        "networks",
    ]);
    for key in known.iter().filter(|key| wanted(key, &search)) {
        let time = |at: Option<domain::UtcMillis>| at.map(domain::UtcMillis::to_rfc3339).unwrap_or_default();
        let zones = match &key.limits.zones {
            Zones::All => String::new(),
            Zones::Only(zones) => joined(zones),
        };
        csv.row(&[
            key.id.to_string(),
            key.name.clone(),
            key.login.clone(),
            key.made_at.to_rfc3339(),
            key.expires_at.to_rfc3339(),
            time(key.used_at),
            key.used_from.clone().unwrap_or_default(),
            time(key.ended_at),
            joined(&key.limits.permissions),
            joined(&key.limits.fields),
            zones,
            joined(&key.limits.networks),
        ]);
    }
    Ok(csv.into_response("api-keys.csv"))
}

fn joined<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" ")
}

/// Why a key was not made or ended.
enum Refused {
    Account(AccountError),
    Key(ApiKeyError),
    /// A line is no network, with the reason.
    Network(String),
}

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<ApiKeyError> for Refused {
    fn from(error: ApiKeyError) -> Self {
        Self::Key(error)
    }
}

/// `POST /api-keys/create`
pub async fn create(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    match create_now(&visit, &typed).await {
        Ok((name, token, life_days)) => {
            let mut page = page(&visit, &Query::default()).await?;
            let until = visit.app.now().plus_ms(i64::from(life_days) * 24 * 60 * 60 * 1000);
            let until = page.frame.times.full(until);
            page.made = Some(Made { name, token: token.reveal(), until });
            render(StatusCode::OK, &page)
        }
        Err(refused) => {
            let problem = explain(&visit, refused)?;
            let mut page = page(&visit, &Query::default()).await?;
            page.form = Some(form(&visit, &page.frame, &typed).await?);
            page.problem = Some(problem);
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

async fn create_now(visit: &Visit, typed: &Query) -> Result<(String, KeyToken, u16), Refused> {
    visit.confirm(typed.one("password")).await?;
    let acting = visit.acting().map_err(|_| AccountError::NoAccount)?;
    let zones: BTreeSet<ZoneId> = typed.all("zone").filter_map(|zone| ZoneId::new(zone).ok()).collect();
    let lines = typed.all("networks").flat_map(str::split_whitespace);
    let networks: Result<Vec<Network>, _> =
        lines.map(|line| line.parse().map_err(|error| format!("{line}: {error}"))).collect();
    let life_days = typed.one("life_days").and_then(|days| days.parse().ok()).unwrap_or(0);
    let name = typed.one("name").unwrap_or_default().to_owned();
    let new = NewKey {
        name: name.clone(),
        permissions: typed.all("permission").filter_map(Permission::parse).collect(),
        fields: typed.all("field").filter_map(Field::parse).collect(),
        zones: if zones.is_empty() { Zones::All } else { Zones::Only(zones) },
        networks: networks.map_err(Refused::Network)?,
        life_days,
    };
    let (_, token) = visit.app.api_keys.make(&acting, new).await?;
    Ok((name, token, life_days))
}

/// `POST /api-keys/end`. Ending makes nothing worse; it must be quick and asks for no password.
pub async fn end(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let id = typed.one("key").and_then(KeyId::parse).ok_or(Fault::NotFound)?;
    visit.app.api_keys.end(&visit.acting()?, id).await.map_err(fault)?;
    Ok(go(&format!("/api-keys?done=ended&open={id}#key")))
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}

fn fault(error: ApiKeyError) -> Fault {
    match error {
        ApiKeyError::Denied(_) => Fault::Forbidden,
        ApiKeyError::NoKey => Fault::NotFound,
        ApiKeyError::Store(error) => error.into(),
        other => {
            tracing::error!(error = %other, "page.api_keys.failed");
            Fault::Unavailable
        }
    }
}

/// What cannot be done, in words; faults that are no fault of the form stay faults.
fn explain(visit: &Visit, refused: Refused) -> Result<String, Fault> {
    let texts = visit.texts();
    let error = match refused {
        Refused::Account(AccountError::WrongPassword) => return Ok(texts.t("accounts-confirm-wrong")),
        Refused::Account(AccountError::Wait { wait_ms }) => {
            return Ok(texts.a("sign-in-wait", &visit.times().span(wait_ms.saturating_add(999))));
        }
        Refused::Account(other) => return Err(other.into()),
        Refused::Network(line) => return Ok(texts.a("api-bad-network", &line)),
        Refused::Key(error) => error,
    };
    Ok(match error {
        ApiKeyError::BadName => texts.t("api-bad-name"),
        ApiKeyError::BadLife => texts.t("api-bad-life"),
        ApiKeyError::NoPermission => texts.t("api-no-permission"),
        ApiKeyError::Never(permission) => texts.a("api-never", &texts.code("permission-", permission.as_str())),
        ApiKeyError::Beyond(permission) | ApiKeyError::BeyondZone(permission) => {
            texts.a("api-beyond", &texts.code("permission-", permission.as_str()))
        }
        ApiKeyError::BeyondField(field) => texts.a("api-beyond", &texts.code("field-", field.as_str())),
        ApiKeyError::TooManyNetworks => texts.t("api-too-many-networks"),
        ApiKeyError::TooMany => texts.t("api-too-many"),
        ApiKeyError::Glass => texts.t("api-glass"),
        other => return Err(fault(other)),
    })
}
