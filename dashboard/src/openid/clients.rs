//! The systems that specialists are signed in to by card: which there are, registering, changing and ending one. A secret
//! is shown once, on the answer to the form that drew it.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::jose::Algorithm;
use clinic::openid::{Auth, Client, ClientError, Made, NewClient, Provider, Source, Strength, Subject};
use domain::Permission;

use super::answers::fault;
use crate::csv::Csv;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "openid/clients.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    all: usize,
    search: String,
    export: String,
    may_change: bool,
    issuer: String,
    form: Option<Form>,
    open: Option<Open>,
    made: Option<(String, Option<String>)>,
    problem: Option<String>,
    done: Option<String>,
}

struct Line {
    link: String,
    name: String,
    id: String,
    auth: &'static str,
    strength: String,
    used: Option<String>,
    tone: &'static str,
    state: String,
    is_open: bool,
}

/// A system as its panel shows it.
struct Open {
    id: String,
    name: String,
    facts: Vec<(String, String)>,
    is_ours: bool,
    is_ended: bool,
}

/// A key, its title, and each choice with its text and whether it is set.
type Choices = (&'static str, String, Vec<(String, String, bool)>);

/// The form, as it was typed.
struct Form {
    id: String,
    is_new: bool,
    fields: Vec<Field>,
    choices: Vec<Choices>,
    takes_assertions: bool,
    has_secret: bool,
}

struct Field {
    name: &'static str,
    label: String,
    help: Option<String>,
    value: String,
    rows: u8,
}

fn provider(visit: &Visit) -> Result<&Provider, Fault> {
    visit.app.openid.as_ref().ok_or(Fault::NotFound)
}

fn client_fault(error: ClientError) -> Fault {
    match error {
        ClientError::Denied(_) => Fault::Forbidden,
        ClientError::Unknown => Fault::NotFound,
        ClientError::Store(error) => error.into(),
        ClientError::Inner(error) => fault(error),
        ClientError::Configured | ClientError::Bad(..) | ClientError::Taken => Fault::Invalid,
    }
}

fn wanted(client: &Client, search: &str) -> bool {
    let search = search.trim().to_lowercase();
    search.is_empty() || client.is.name.to_lowercase().contains(&search) || client.id.to_lowercase().contains(&search)
}

async fn listed(visit: &Visit) -> Result<Vec<Client>, Fault> {
    // Before whether there is a provider at all: who may not see systems is told so either way.
    visit.acting()?.must(Permission::ExchangeSee)?;
    match visit.app.openid.as_ref() {
        Some(provider) => provider.clients(&visit.acting()?).await.map_err(client_fault),
        None => Ok(Vec::new()),
    }
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let frame = Frame::new(visit, "clients");
    let known = listed(visit).await?;
    let search = query.one("q").unwrap_or_default().to_owned();
    let open_id = query.one("open").unwrap_or_default();
    let lines = known.iter().filter(|client| wanted(client, &search)).map(|client| {
        let (tone, state) = match (client.ended, client.source) {
            (Some(_), _) => ("", "ended"),
            (None, Source::Configuration) => ("info", "configured"),
            (None, Source::Page) => ("ok", "works"),
        };
        Line {
            link: format!("/exchange/clients?open={}#client", client.id),
            name: client.is.name.clone(),
            id: client.id.clone(),
            auth: client.is.auth.as_str(),
            strength: frame.x.code("openid-strength-", client.is.strength.as_str()),
            used: client.used.map(|at| frame.times.full(at)),
            tone,
            state: frame.x.code("openid-state-", state),
            is_open: client.id == open_id,
        }
    });
    let lines = lines.collect();
    let open = known.iter().find(|client| client.id == open_id).map(|client| opened(&frame, client));
    let may_change = frame.may(Permission::ExchangeManage.as_str()) && visit.app.openid.is_some();
    let issuer = visit.app.openid.as_ref().map(|provider| provider.rules().issuer.clone()).unwrap_or_default();
    Ok(Page {
        lines,
        all: known.len(),
        export: format!("/exchange/clients.csv{}", Query::default().with("q", query.one("q"))),
        search,
        may_change,
        issuer,
        form: None,
        open,
        made: None,
        problem: None,
        done: query.one("done").and_then(|done| visit.texts().code_if_any("openid-done-", done)),
        frame,
    })
}

fn opened(frame: &Frame, client: &Client) -> Open {
    let is = &client.is;
    let mut facts = vec![
        ("client_id".to_owned(), client.id.clone()),
        (frame.x.t("openid-auth"), is.auth.as_str().to_owned()),
        (frame.x.t("openid-algorithm"), is.algorithm.as_str().to_owned()),
        (frame.x.t("openid-subject"), frame.x.code("openid-subject-", is.subject.as_str())),
        (frame.x.t("openid-strength"), frame.x.code("openid-strength-", is.strength.as_str())),
        (frame.x.t("openid-scopes"), is.scopes.clone()),
        (frame.x.t("openid-redirect"), is.redirect_uris.join(" ")),
        (frame.x.t("openid-post-logout"), is.post_logout_uris.join(" ")),
        (frame.x.t("openid-origins"), is.origins.join(" ")),
        (frame.x.t("openid-logout-uri"), is.logout_uri.clone().unwrap_or_default()),
        (frame.x.t("openid-ping-uri"), is.ping_uri.clone().unwrap_or_default()),
        (frame.x.t("openid-start-uri"), is.start_uri.clone().unwrap_or_default()),
        (frame.x.t("openid-fhir-user"), is.fhir_user.clone().unwrap_or_default()),
        (frame.x.t("openid-access"), frame.times.span(is.access_ms)),
        (frame.x.t("openid-made"), frame.times.full(client.made)),
    ];
    if let Some(used) = client.used {
        facts.push((frame.x.t("openid-used"), frame.times.full(used)));
    }
    if is.takes_assertions {
        facts.push((frame.x.t("openid-assertions"), frame.x.t("openid-yes")));
    }
    facts.retain(|(_, value)| !value.is_empty());
    let is_ours = client.source == Source::Page;
    Open { id: client.id.clone(), name: is.name.clone(), facts, is_ours, is_ended: client.ended.is_some() }
}

fn form(frame: &Frame, id: &str, is_new: bool, is: &NewClient) -> Form {
    let field = |name, key: &str, help: bool, value: String, rows| Field {
        name,
        label: frame.x.t(key),
        help: help.then(|| frame.x.t(&format!("{key}-help"))),
        value,
        rows,
    };
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    let fields = vec![
        field("name", "openid-name", true, is.name.clone(), 1),
        field("redirect_uris", "openid-redirect", true, is.redirect_uris.join("\n"), 3),
        field("post_logout_uris", "openid-post-logout", false, is.post_logout_uris.join("\n"), 2),
        field("logout_uri", "openid-logout-uri", true, optional(&is.logout_uri), 1),
        field("start_uri", "openid-start-uri", true, optional(&is.start_uri), 1),
        field("scopes", "openid-scopes", true, is.scopes.clone(), 1),
        field("fhir_user", "openid-fhir-user", true, optional(&is.fhir_user), 1),
        field("access_min", "openid-access", true, (is.access_ms / 60_000).to_string(), 1),
        field("origins", "openid-origins", true, is.origins.join("\n"), 2),
        field("ping_uri", "openid-ping-uri", true, optional(&is.ping_uri), 1),
        field("jwks", "openid-jwks", true, optional(&is.jwks), 4),
    ];
    let choice = |name, key: &str, prefix: Option<&str>, codes: &[&'static str], own: &str| {
        let all = codes.iter().map(|code| {
            let text = prefix.map_or_else(|| (*code).to_owned(), |prefix| frame.x.code(prefix, code));
            ((*code).to_owned(), text, *code == own)
        });
        (name, frame.x.t(key), all.collect())
    };
    let auths: Vec<_> = Auth::ALL.iter().map(|one| one.as_str()).collect();
    let subjects: Vec<_> = Subject::ALL.iter().map(|one| one.as_str()).collect();
    let strengths: Vec<_> = Strength::ALL.iter().map(|one| one.as_str()).collect();
    let choices = vec![
        choice("auth", "openid-auth", None, &auths, is.auth.as_str()),
        choice("algorithm", "openid-algorithm", None, &["RS256", "ES256"], is.algorithm.as_str()),
        choice("subject", "openid-subject", Some("openid-subject-"), &subjects, is.subject.as_str()),
        choice("strength", "openid-strength", Some("openid-strength-"), &strengths, is.strength.as_str()),
    ];
    let has_secret = matches!(is.auth, Auth::Basic | Auth::Post) && !is_new;
    Form { id: id.to_owned(), is_new, fields, choices, takes_assertions: is.takes_assertions, has_secret }
}

/// `GET /exchange/clients`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    if page.may_change && query.one("new").is_some() {
        page.form = Some(form(&page.frame, "", true, &NewClient::default()));
    } else if let (true, Some(id)) = (page.may_change, query.one("edit")) {
        let client = provider(&visit)?.client(id).await?.filter(|client| client.source == Source::Page);
        let client = client.ok_or(Fault::NotFound)?;
        page.form = Some(form(&page.frame, id, false, &client.is));
    }
    render(StatusCode::OK, &page)
}

/// `GET /exchange/clients.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let search = query.one("q").unwrap_or_default().to_owned();
    let mut csv = Csv::new(&[
        "client_id",
        "name",
        "source",
        "auth",
        "algorithm",
        "subject",
        "strength",
        "scopes",
        "redirect_uris",
        "logout_uri",
        "made",
        "used",
        "ended",
    ]);
    for client in listed(&visit).await?.iter().filter(|client| wanted(client, &search)) {
        let time = |at: Option<domain::UtcMillis>| at.map(domain::UtcMillis::to_rfc3339).unwrap_or_default();
        csv.row(&[
            client.id.clone(),
            client.is.name.clone(),
            client.source.to_string(),
            client.is.auth.to_string(),
            client.is.algorithm.to_string(),
            client.is.subject.to_string(),
            client.is.strength.to_string(),
            client.is.scopes.clone(),
            client.is.redirect_uris.join(" "),
            client.is.logout_uri.clone().unwrap_or_default(),
            client.made.to_rfc3339(),
            time(client.used),
            time(client.ended),
        ]);
    }
    Ok(csv.into_response("clients.csv"))
}

fn typed_client(typed: &Query) -> NewClient {
    let text = |name: &str| typed.one(name).unwrap_or_default().trim().to_owned();
    let list = |name: &str| text(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let optional = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
    NewClient {
        name: text("name"),
        redirect_uris: list("redirect_uris"),
        post_logout_uris: list("post_logout_uris"),
        origins: list("origins"),
        auth: Auth::parse(&text("auth")).unwrap_or(Auth::Basic),
        jwks: optional("jwks"),
        algorithm: Algorithm::parse(&text("algorithm")).unwrap_or(Algorithm::Rs256),
        subject: Subject::parse(&text("subject")).unwrap_or(Subject::Login),
        fhir_user: optional("fhir_user"),
        strength: Strength::parse(&text("strength")).unwrap_or(Strength::Badge),
        scopes: list("scopes").join(" "),
        access_ms: text("access_min").parse::<i64>().unwrap_or(0).saturating_mul(60_000),
        logout_uri: optional("logout_uri"),
        ping_uri: optional("ping_uri"),
        start_uri: optional("start_uri"),
        takes_assertions: typed.one("takes_assertions").is_some(),
    }
}

/// `POST /exchange/clients/save`
pub async fn save(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let acting = visit.acting()?;
    acting.must(Permission::ExchangeManage)?;
    let provider = provider(&visit)?;
    let id = typed.one("id").unwrap_or_default().to_owned();
    let is_new = id.is_empty();
    let client = typed_client(&typed);
    let done = if is_new {
        let wished = typed.one("client_id").map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
        provider.make_client(&acting, wished, client.clone()).await
    } else {
        provider.change_client(&acting, &id, client.clone(), typed.one("renew").is_some()).await
    };
    match done {
        Ok(Made { id, secret: Some(secret) }) => {
            let mut page = page(&visit, &Query::default()).await?;
            page.made = Some((id, Some(secret.reveal().to_owned())));
            render(StatusCode::OK, &page)
        }
        Ok(Made { id, secret: None }) => Ok(go(&format!("/exchange/clients?done=saved&open={id}#client"))),
        Err(error @ (ClientError::Bad(..) | ClientError::Taken | ClientError::Configured)) => {
            let mut page = page(&visit, &Query::default()).await?;
            page.form = Some(form(&page.frame, &id, is_new, &client));
            page.problem = Some(match &error {
                ClientError::Bad(field, _) => {
                    let key = field.split(',').next().unwrap_or_default();
                    visit.texts().code("openid-bad-", key)
                }
                ClientError::Taken => visit.texts().t("openid-taken"),
                _ => visit.texts().t("openid-configured"),
            });
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(error) => Err(client_fault(error)),
    }
}

/// `POST /exchange/clients/end`
pub async fn end(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let acting = visit.acting()?;
    acting.must(Permission::ExchangeManage)?;
    let id = typed.one("id").unwrap_or_default();
    provider(&visit)?.end_client(&acting, id).await.map_err(client_fault)?;
    Ok(go("/exchange/clients?done=ended"))
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}
