//! The pages without a browser: requests against the whole router, made from the table of routes.

mod access;
mod api;
mod changes;
mod charges;
mod desk;
mod forms;
mod look;
mod matrix;
mod money_back;
mod notices;
mod orders;
mod people;
mod privacy;
mod roles_page;
#[path = "../tests/scene/mod.rs"]
mod scene;
mod schema;
mod stream;
mod texts;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use clinic::accounts::{
    AccountId, Accounts, Login, NewAccount, Password, Session, SessionRules, SessionToken, Visitor,
};
use clinic::roles::Grant;
use clinic::vault::Vault;
use domain::{Shipped as Role, SiteId};
use scene::{Hands, Recorder};
use store::Database;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::visit::{SESSION_COOKIE, VISIT_COOKIE};
use crate::{Dashboard, Settings, TlsSource};

const PASSWORD: &str = "a quiet morning in Kyiv";

/// A dashboard over a furnished clinic, its clock in our hands, with one account of each role.
struct Stage {
    _folder: TempDir,
    hands: Hands,
    database: Database,
    accounts: Accounts,
    router: Router,
    recorder: Recorder,
    ending: CancellationToken,
    vault: Vault,
    tokens: Vec<(Role, SessionToken)>,
}

/// An answer, read.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

fn visitor() -> Visitor {
    Visitor::new("10.0.0.7".parse().unwrap(), "test")
}

impl Stage {
    async fn new() -> Self {
        Self::with(crate::TillSettings::default()).await
    }

    /// With terminals and payment services.
    async fn with(till: crate::TillSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hands = Hands::new();
        let database = scene::database(folder.path()).await;
        let settings = Settings {
            site: SiteId::new("clinic-3").unwrap(),
            time_zone: chrono_tz::Europe::Kyiv,
            language: "en".to_owned(),
            tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
            sessions: SessionRules::default(),
            retention: clinic::retention::Terms::default(),
            accounts_key: scene::accounts_key(),
            trusted_proxies: Vec::new(),
            till,
            desk: crate::DeskSettings {
                feeds: Some(crate::FeedSetup {
                    keys: clinic::feeds::SiteKeys { card: domain::CardKey::new([3; 32]), seal: None },
                    settings: clinic::feeds::Settings::new(chrono_tz::Europe::Kyiv),
                }),
                ..crate::DeskSettings::default()
            },
        };
        let vault = scene::vault(&database, hands.clock(), folder.path()).await;
        let dashboard = Dashboard::new(settings, database.clone(), hands.clock(), vault.clone());
        let router = dashboard.router();
        let ending = CancellationToken::new();
        let until = ending.clone();
        tokio::spawn(async move { Box::pin(dashboard.follow(until)).await });
        let accounts =
            Accounts::new(database.clone(), hands.clock(), SessionRules::default(), "clinic-3", scene::accounts_key());
        let recorder = Recorder::new(&database);
        let mut stage =
            Self { _folder: folder, hands, database, accounts, router, recorder, ending, vault, tokens: Vec::new() };
        stage.staff().await;
        stage
    }

    async fn staff(&mut self) {
        let link = self.accounts.create_first_run_link().await.unwrap().unwrap();
        let login = Login::new("administrator").unwrap();
        let password = || Password::new(PASSWORD);
        let from = visitor();
        let first = self.accounts.redeem_first_run(&link, &login, "Олена Бондар", "en", password(), &from);
        let first = first.await.unwrap();
        let administrator = self.session(&first).await;
        for role in Role::ALL.iter().copied().filter(|role| *role != Role::Administrator) {
            let login = Login::new(role.as_str()).unwrap();
            let new = NewAccount {
                login,
                shown_name: String::new(),
                roles: vec![Grant::site(role)],
                locale: "en".to_owned(),
            };
            let link = self.accounts.create(&administrator.acting(&visitor()), new).await.unwrap();
            let token = self.accounts.redeem_password(&link, password(), &visitor()).await.unwrap();
            self.tokens.push((role, token));
        }
        self.tokens.push((Role::Administrator, first));
    }

    async fn session(&self, token: &SessionToken) -> Session {
        self.accounts.resume(token, false).await.unwrap().unwrap()
    }

    fn token(&self, role: Role) -> SessionToken {
        self.tokens.iter().find(|(of, _)| *of == role).unwrap().1.clone()
    }

    async fn account(&self, role: Role) -> AccountId {
        self.session(&self.token(role)).await.account.id
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 8 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    async fn get(&self, path: &str, token: Option<&SessionToken>) -> Answer {
        self.ask(request("GET", path, token).body(Body::empty()).unwrap()).await
    }

    /// Every row of every table but `but`, as text.
    async fn everything(&self, but: &[&str]) -> Vec<String> {
        store::read!(self.database, "test.everything", |conn| {
            let tables: Vec<String> = store::sqlx::query_scalar(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
            )
            .fetch_all(&mut *conn)
            .await?;
            let mut rows = Vec::new();
            for table in tables.iter().filter(|table| !but.iter().any(|prefix| table.starts_with(prefix))) {
                let columns: Vec<String> = store::sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
                    .bind(table)
                    .fetch_all(&mut *conn)
                    .await?;
                let columns: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
                let mut query = store::sqlx::QueryBuilder::<Db>::new("SELECT ");
                query.push(columns.join(" || ',' || ")).push(" FROM ").push(table).push(" ORDER BY 1");
                let found: Vec<String> = query.build_query_scalar().fetch_all(&mut *conn).await?;
                rows.extend(found.into_iter().map(|row| format!("{table}: {row}")));
            }
            Ok(rows)
        })
        .unwrap()
    }

    /// The refusals of the audit log in their order: actor, object, detail.
    async fn refusals(&self) -> Vec<(String, String, String)> {
        store::read!(self.database, "test.refusals", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT COALESCE(actor, ''), COALESCE(object, ''), COALESCE(detail, '') FROM audit_entry \
                 WHERE action = 'refused' AND outcome = 'refused' ORDER BY no",
            )
            .fetch_all(&mut *conn)
            .await?)
        })
        .unwrap()
    }

    /// The hidden field of a page made now.
    async fn form_of(&self, token: &SessionToken) -> String {
        let session = self.accounts.resume(token, false).await.unwrap();
        // Nobody's session: a token that fits nothing.
        let secret = session.map_or_else(|| token.clone(), |session| session.form_secret);
        crate::form::token(&secret, self.hands.clock().now())
    }

    /// Posts a form with the right hidden field.
    async fn post(&self, path: &str, token: &SessionToken, fields: &str) -> Answer {
        let body = format!("form={}&{fields}", self.form_of(token).await);
        self.ask(form(path, Some(token), body)).await
    }

    /// The tables that requests could change, as text, but for the use of sessions.
    async fn state(&self) -> String {
        let rows: Vec<String> = store::read!(self.database, "test.state", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT id || login || COALESCE(HEX(name_box), '') || locale || theme || COALESCE(password_hash, '') || \
                 COALESCE(disabled_at, 0) FROM account \
                 UNION ALL SELECT account || role || zone FROM account_role \
                 UNION ALL SELECT id || name || changed_at FROM role \
                 UNION ALL SELECT role || permission FROM role_permission \
                 UNION ALL SELECT role || field FROM role_field \
                 UNION ALL SELECT id || COALESCE(ended_at, 0) FROM account_session \
                 UNION ALL SELECT token_hash || COALESCE(used_at, 0) FROM account_link \
                 UNION ALL SELECT id || action || actor || COALESCE(reason, '') FROM command \
                 UNION ALL SELECT id || state FROM notice UNION ALL SELECT id || '' FROM event ORDER BY 1",
            )
            .fetch_all(&mut *conn)
            .await?)
        })
        .unwrap();
        rows.join("\n")
    }
}

fn request(method: &str, path: &str, token: Option<&SessionToken>) -> axum::http::request::Builder {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::ACCEPT, "text/html");
    match token {
        Some(token) => request.header(header::COOKIE, format!("{SESSION_COOKIE}={}", token.reveal())),
        None => request,
    }
}

fn form(path: &str, token: Option<&SessionToken>, body: String) -> Request<Body> {
    request("POST", path, token)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}

/// A path of the table with its parameters filled in.
fn filled(path: &str) -> String {
    path.replace("{link}", &"0".repeat(64)).replace("{name}", "tapward.css")
}
