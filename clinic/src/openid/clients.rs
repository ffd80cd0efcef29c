//! The systems that specialists are signed in to: made and changed on a page, or written down from the configuration.

use domain::{Denied, Permission, UtcMillis, codes};
use store::{Error, read, transact};
use subtle::ConstantTimeEq;
use thiserror::Error as ThisError;

use super::read::{ClientRow, client};
use super::secret::stored;
use super::uris::{is_callable, is_origin, is_redirect, origin_of};
use super::{OpenIdError, Provider, Token};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::jose::{Algorithm, JwkSet};

/// Longest name, in characters.
pub const NAME_MAX_CHARS: usize = 80;
/// Most addresses of one kind.
pub const URIS_MAX: usize = 20;
/// Lives of an access token that are taken, in milliseconds: a minute to a working day.
pub const ACCESS_MS: std::ops::RangeInclusive<i64> = 60_000..=12 * 60 * 60_000;
/// Shortest secret that is taken from a configuration, in characters.
const SECRET_MIN_CHARS: usize = 32;
/// Systems listed at most.
const LISTED_MAX: i64 = 500;
/// Longest `client_id`, in bytes.
const ID_MAX_BYTES: usize = 64;

codes! {
    /// How strong a sign-in is.
    Strength {
        /// A tap of the card: something that is held, and that can be copied.
        Badge = "badge",
        /// A tap and the PIN.
        BadgePin = "badge_pin",
    }
}

codes! {
    /// How a system proves who it is when it redeems a code. The codes are those of the standard.
    Auth {
        /// It cannot keep a secret: the code's own proof (PKCE) is all.
        None = "none",
        /// A secret, as HTTP basic authentication.
        Basic = "client_secret_basic",
        /// A secret, in the form.
        Post = "client_secret_post",
        /// A signature by its own key.
        Key = "private_key_jwt",
    }
}

codes! {
    /// What a system calls a specialist (`sub`).
    Subject {
        /// Their user name in the medical system.
        Login = "login",
        /// Their id as a practitioner there.
        Practitioner = "practitioner",
        /// Our pseudonym.
        Person = "person",
    }
}

codes! {
    /// Where a system was registered.
    Source {
        /// On a page.
        Page = "page",
        /// In the configuration; a page cannot change it.
        Configuration = "configuration",
    }
}

/// What a system is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// Its name, shown to who signs in.
    pub name: String,
    /// Where browsers are sent back, each compared as a whole text.
    pub redirect_uris: Vec<String>,
    /// Where browsers may be sent after signing out there.
    pub post_logout_uris: Vec<String>,
    /// Further sites whose scripts may redeem codes and ask; those of the redirect addresses of a system without a secret
    /// may anyway.
    pub origins: Vec<String>,
    /// How it proves itself.
    pub auth: Auth,
    /// Its public keys as a JSON key set, with [`Auth::Key`].
    pub jwks: Option<String>,
    /// What its id tokens are signed with: `ES256` or `RS256`.
    pub algorithm: Algorithm,
    /// What it calls specialists.
    pub subject: Subject,
    /// What stands before the practitioner's id in `fhirUser`, for example `https://mis.example/fhir/Practitioner/`.
    pub fhir_user: Option<String>,
    /// The least strength that it accepts.
    pub strength: Strength,
    /// What it may ask for, separated by spaces; `openid` among it.
    pub scopes: String,
    /// How long its access tokens live, in milliseconds.
    pub access_ms: i64,
    /// Where it wants to hear that a session ended (Back-Channel Logout).
    pub logout_uri: Option<String>,
    /// Where it wants to hear that a confirmation is there (CIBA ping). Without one it cannot ask for confirmations.
    pub ping_uri: Option<String>,
    /// The page that begins a sign-in there: offered on the workstation's page.
    pub start_uri: Option<String>,
    /// Whether it is given signed assertions.
    pub takes_assertions: bool,
}

impl Default for NewClient {
    fn default() -> Self {
        Self {
            name: String::new(),
            redirect_uris: Vec::new(),
            post_logout_uris: Vec::new(),
            origins: Vec::new(),
            auth: Auth::Basic,
            jwks: None,
            algorithm: Algorithm::Rs256,
            subject: Subject::Login,
            fhir_user: None,
            strength: Strength::Badge,
            scopes: "openid profile fhirUser launch".to_owned(),
            access_ms: 60 * 60_000,
            logout_uri: None,
            ping_uri: None,
            start_uri: None,
            takes_assertions: false,
        }
    }
}

/// A registered system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// What it is.
    pub is: NewClient,
    /// Where it was registered.
    pub source: Source,
    /// When.
    pub made: UtcMillis,
    /// When somebody was last signed in to it.
    pub used: Option<UtcMillis>,
    /// When it was ended.
    pub ended: Option<UtcMillis>,
    pub(super) secret_hash: Option<String>,
}

impl Client {
    /// Whether it may have this scope.
    pub fn may_have(&self, scope: &str) -> bool {
        self.is.scopes.split_whitespace().any(|own| own == scope)
    }

    /// Whether scripts of this origin may call for it.
    pub fn allows_origin(&self, origin: &str) -> bool {
        let of_own_pages = self.is.auth == Auth::None
            && self.is.redirect_uris.iter().any(|uri| origin_of(uri).is_some_and(|own| own == origin));
        of_own_pages || self.is.origins.iter().any(|own| own == origin)
    }

    pub(super) fn keys(&self) -> JwkSet {
        let text = self.is.jwks.as_deref().unwrap_or_default();
        JwkSet::parse(text.as_bytes()).unwrap_or_default()
    }

    pub(super) fn has_secret(&self, secret: &str) -> bool {
        let given = stored(secret);
        self.secret_hash.as_ref().is_some_and(|own| own.as_bytes().ct_eq(given.as_bytes()).into())
    }
}

/// A system that was made, with its secret: shown once.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its `client_id`.
    pub id: String,
    /// Its secret, if it has one.
    pub secret: Option<Token>,
}

/// Why a system was not registered or changed.
#[derive(Debug, ThisError)]
pub enum ClientError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such system.
    #[error("there is no system with this client_id")]
    Unknown,
    /// It stands in the configuration.
    #[error("this system stands in the configuration and is changed there")]
    Configured,
    /// What is to be registered is not good: which field, and what is expected.
    #[error("{0}: {1}")]
    Bad(&'static str, &'static str),
    /// The id is taken.
    #[error("there is a system with this client_id already")]
    Taken,
    /// Random bytes, or a seal.
    #[error(transparent)]
    Inner(#[from] OpenIdError),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Whether a `client_id` may look so.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= ID_MAX_BYTES
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_scope(scope: &str) -> bool {
    let known = ["openid", "profile", "fhirUser", "launch", "launch/patient", "launch/encounter", "online_access"];
    let is_safe = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    scope.len() <= 100
        && (known.contains(&scope)
            || (scope.starts_with("fhircast/") || scope.contains('/')) && scope.chars().all(is_safe))
}

pub(super) fn check(new: &NewClient) -> Result<(), ClientError> {
    let bad = |field, what| Err(ClientError::Bad(field, what));
    if new.name.trim().is_empty() || new.name.chars().count() > NAME_MAX_CHARS || new.name.chars().any(char::is_control)
    {
        return bad("name", "1 to 80 characters");
    }
    let lists = [&new.redirect_uris, &new.post_logout_uris, &new.origins];
    if lists.iter().any(|list| list.len() > URIS_MAX) {
        return bad("redirect_uris", "at most 20 addresses of a kind");
    }
    if !new.redirect_uris.iter().chain(&new.post_logout_uris).all(|uri| is_redirect(uri)) {
        return bad(
            "redirect_uris",
            "whole addresses: https, http on this machine, or a program's own scheme with a dot; no fragment, no pattern",
        );
    }
    if !new.origins.iter().all(|origin| is_origin(origin)) {
        return bad("origins", "as browsers send it: https://name, without a slash at the end");
    }
    let callable = [&new.logout_uri, &new.ping_uri, &new.start_uri];
    if !callable.iter().all(|uri| uri.as_deref().is_none_or(is_callable)) {
        return bad("logout_uri, ping_uri, start_uri", "a whole address that begins with https");
    }
    let scopes: Vec<_> = new.scopes.split_whitespace().collect();
    if scopes.len() > 40 || !scopes.contains(&"openid") || !scopes.iter().all(|scope| is_scope(scope)) {
        return bad("scopes", "openid, and of profile, fhirUser, launch, fhircast/… and those of the system");
    }
    if !ACCESS_MS.contains(&new.access_ms) {
        return bad("access_ms", "one minute to twelve hours");
    }
    if !matches!(new.algorithm, Algorithm::Es256 | Algorithm::Rs256) {
        return bad("algorithm", "ES256 or RS256");
    }
    if new.fhir_user.as_ref().is_some_and(|prefix| !is_callable(prefix)) {
        return bad("fhir_user", "the address of practitioners on the FHIR server, to which the id is added");
    }
    match (&new.jwks, new.auth) {
        (None, Auth::Key) => return bad("jwks", "private_key_jwt needs the public keys of the system"),
        (Some(text), _) if JwkSet::parse(text.as_bytes()).map_or(0, |set| set.0.len()) == 0 => {
            return bad("jwks", "a JSON key set with at least one key for ES256, ES384, RS256 or RS384");
        }
        _ => {}
    }
    if new.ping_uri.is_some() && new.auth == Auth::None {
        return bad("ping_uri", "confirmations are for systems that prove who they are");
    }
    if new.redirect_uris.is_empty() && new.ping_uri.is_none() && !new.takes_assertions {
        return bad("redirect_uris", "at least one, unless the system takes assertions or confirmations only");
    }
    Ok(())
}

/// The addresses of a system as rows.
fn uri_rows(new: &NewClient) -> Vec<(&'static str, String)> {
    let of = |kind, list: &[String]| list.iter().map(|uri| (kind, uri.clone())).collect::<Vec<_>>();
    let mut rows = of("redirect", &new.redirect_uris);
    rows.extend(of("post_logout", &new.post_logout_uris));
    rows.extend(of("origin", &new.origins));
    rows.sort();
    rows.dedup();
    rows
}

macro_rules! put {
    ($conn:expr, $id:expr, $new:expr, $uris:expr, $source:expr, $secret:expr, $now:expr) => {{
        sqlx::query(
            "INSERT INTO openid_client (id, name, source, auth, secret_hash, jwks, algorithm, subject, fhir_user, strength,
                 scopes, access_ms, logout_uri, ping_uri, start_uri, takes_assertions, made_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, source = excluded.source, auth = excluded.auth,
                 secret_hash = excluded.secret_hash, jwks = excluded.jwks, algorithm = excluded.algorithm,
                 subject = excluded.subject, fhir_user = excluded.fhir_user, strength = excluded.strength,
                 scopes = excluded.scopes, access_ms = excluded.access_ms, logout_uri = excluded.logout_uri,
                 ping_uri = excluded.ping_uri, start_uri = excluded.start_uri,
                 takes_assertions = excluded.takes_assertions, ended_ms = NULL",
        )
        .bind($id)
        .bind($new.name.trim())
        .bind($source.as_str())
        .bind($new.auth.as_str())
        .bind($secret)
        .bind($new.jwks.as_deref())
        .bind($new.algorithm.as_str())
        .bind($new.subject.as_str())
        .bind($new.fhir_user.as_deref())
        .bind($new.strength.as_str())
        .bind(&$new.scopes)
        .bind($new.access_ms)
        .bind($new.logout_uri.as_deref())
        .bind($new.ping_uri.as_deref())
        .bind($new.start_uri.as_deref())
        .bind(i64::from($new.takes_assertions))
        .bind($now.0)
        .execute(&mut *$conn)
        .await?;
        sqlx::query("DELETE FROM openid_client_uri WHERE client = $1").bind($id).execute(&mut *$conn).await?;
        if !$uris.is_empty() {
            let mut rows = sqlx::QueryBuilder::<Db>::new("INSERT INTO openid_client_uri (client, kind, uri) ");
            rows.push_values(&$uris, |mut row, (kind, uri)| {
                row.push_bind($id.to_owned()).push_bind(*kind).push_bind(uri.clone());
            });
            rows.build().execute(&mut *$conn).await?;
        }
    }};
}

impl Provider {
    /// Registers a system. `id` is its `client_id`; one is drawn where there is none. The secret is not kept.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn make_client(&self, acting: &Acting, id: Option<String>, new: NewClient) -> Result<Made, ClientError> {
        acting.must(Permission::ExchangeManage)?;
        check(&new)?;
        let id = match id {
            Some(id) if is_id(&id) => id,
            Some(_) => return Err(ClientError::Bad("client_id", "letters, digits, -, _ and ., at most 64")),
            None => super::secret::draw_id()?,
        };
        let secret = if matches!(new.auth, Auth::Basic | Auth::Post) { Some(Token::draw()?) } else { None };
        let now = self.now();
        let entry = self.entry(acting, &id, "registered");
        let (own, hash, uris) = (id.clone(), secret.as_ref().map(Token::stored), uri_rows(&new));
        let is_new = transact!(self.database, "openid.client.make", |conn| {
            let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM openid_client WHERE id = $1")
                .bind(&own)
                .fetch_one(&mut *conn)
                .await?;
            if known > 0 {
                return Ok(false);
            }
            put!(conn, own.as_str(), new, uris, Source::Page, hash.as_deref(), now);
            audit::record!(conn, &entry);
            Ok(true)
        })?;
        if is_new { Ok(Made { id, secret }) } else { Err(ClientError::Taken) }
    }

    /// Changes a system. Its secret stays, unless `renew` asks for another one or it had none and now needs one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_client(
        &self,
        acting: &Acting,
        id: &str,
        new: NewClient,
        renew: bool,
    ) -> Result<Made, ClientError> {
        acting.must(Permission::ExchangeManage)?;
        check(&new)?;
        let known = self.client(id).await?.ok_or(ClientError::Unknown)?;
        if known.source == Source::Configuration {
            return Err(ClientError::Configured);
        }
        let needs = matches!(new.auth, Auth::Basic | Auth::Post);
        let secret = if needs && (renew || known.secret_hash.is_none()) { Some(Token::draw()?) } else { None };
        let kept = if needs { known.secret_hash } else { None };
        let hash = secret.as_ref().map(Token::stored).or(kept);
        let now = self.now();
        let entry = self.entry(acting, id, if secret.is_some() { "changed; new secret" } else { "changed" });
        let (own, uris) = (id.to_owned(), uri_rows(&new));
        transact!(self.database, "openid.client.change", |conn| {
            put!(conn, own.as_str(), new, uris, Source::Page, hash.as_deref(), now);
            audit::record!(conn, &entry);
            Ok(())
        })?;
        Ok(Made { id: id.to_owned(), secret })
    }

    /// Ends a system: nobody is signed in to it any more, and its tokens are worth nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_client(&self, acting: &Acting, id: &str) -> Result<(), ClientError> {
        acting.must(Permission::ExchangeManage)?;
        let known = self.client(id).await?.ok_or(ClientError::Unknown)?;
        if known.source == Source::Configuration {
            return Err(ClientError::Configured);
        }
        let now = self.now();
        let entry = self.entry(acting, id, "ended");
        let own = id.to_owned();
        transact!(self.database, "openid.client.end", |conn| {
            let done = sqlx::query("UPDATE openid_client SET ended_ms = $1 WHERE id = $2 AND ended_ms IS NULL")
                .bind(now.0)
                .bind(&own)
                .execute(&mut *conn)
                .await?;
            if done.rows_affected() > 0 {
                audit::record!(conn, &entry);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// All systems, those that work first, at most 500.
    ///
    /// # Errors
    /// [`ClientError::Denied`], or the database.
    pub async fn clients(&self, acting: &Acting) -> Result<Vec<Client>, ClientError> {
        acting.must(Permission::ExchangeSee)?;
        Ok(self.all_clients().await?)
    }

    /// The pages that begin a sign-in, with the systems' names: what a workstation's page offers. No personal data.
    ///
    /// # Errors
    /// The database.
    pub async fn starts(&self) -> Result<Vec<(String, String)>, OpenIdError> {
        let open = self.all_clients().await?.into_iter().filter(|client| client.ended.is_none());
        Ok(open.filter_map(|client| Some((client.is.name, client.is.start_uri?))).collect())
    }

    pub(super) async fn all_clients(&self) -> Result<Vec<Client>, Error> {
        let rows: Vec<ClientRow> = read!(self.database, "openid.client.list", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, name, source, auth, secret_hash, jwks, algorithm, subject, fhir_user, strength, scopes,
                     access_ms, logout_uri, ping_uri, start_uri, takes_assertions, made_ms, used_ms, ended_ms
                 FROM openid_client
                 ORDER BY CASE WHEN ended_ms IS NULL THEN 0 ELSE 1 END, name, id LIMIT $1",
            )
            .bind(LISTED_MAX)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let uris: Vec<(String, String, String)> = read!(self.database, "openid.client.list", |conn| {
            Ok(sqlx::query_as("SELECT client, kind, uri FROM openid_client_uri ORDER BY client, kind, uri")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let read = |row: ClientRow| {
            let own = uris.iter().filter(|(client, _, _)| *client == row.id);
            let own = own.map(|(_, kind, uri)| (kind.clone(), uri.clone())).collect();
            row.read(own)
        };
        rows.into_iter().map(read).collect()
    }

    /// A system by its `client_id`, also one that has ended.
    ///
    /// # Errors
    /// The database.
    pub async fn client(&self, id: &str) -> Result<Option<Client>, Error> {
        if !is_id(id) {
            return Ok(None);
        }
        let id = id.to_owned();
        let found: Option<(ClientRow, Vec<(String, String)>)> =
            read!(self.database, "openid.client", |conn| { Ok(client!(conn, &id)) })?;
        found.map(|(row, uris)| row.read(uris)).transpose()
    }

    /// Writes the systems of the configuration down; ends those that stand there no more. A bad one is left out and said
    /// in the log: the others must work.
    pub(super) async fn write_configured(&self) -> Result<(), OpenIdError> {
        let now = self.now();
        let mut good = Vec::new();
        for configured in &self.rules.clients {
            let needs = matches!(configured.client.auth, Auth::Basic | Auth::Post);
            let is_short = configured.secret.as_ref().is_none_or(|secret| secret.chars().count() < SECRET_MIN_CHARS);
            let checked = check(&configured.client).map_err(|error| error.to_string());
            let problem = match checked {
                Err(problem) => problem,
                Ok(()) if !is_id(&configured.id) => "client_id: letters, digits, -, _ and ., at most 64".to_owned(),
                Ok(()) if needs && is_short => "secret: at least 32 characters".to_owned(),
                Ok(()) => {
                    let hash = configured.secret.as_deref().filter(|_| needs).map(stored);
                    good.push((configured.id.clone(), configured.client.clone(), hash));
                    continue;
                }
            };
            tracing::error!(client = configured.id, problem, "openid.client.bad");
        }
        let known = self.all_clients().await?;
        let is_same = |(id, new, hash): &(String, NewClient, Option<String>)| {
            known.iter().any(|client| {
                client.id == *id
                    && client.ended.is_none()
                    && client.source == Source::Configuration
                    && client.secret_hash == *hash
                    && comparable(&client.is) == comparable(new)
            })
        };
        let gone: Vec<String> = known
            .iter()
            .filter(|client| client.source == Source::Configuration && client.ended.is_none())
            .filter(|client| !good.iter().any(|(id, _, _)| *id == client.id))
            .map(|client| client.id.clone())
            .collect();
        let changed: Vec<_> = good.iter().filter(|one| !is_same(one)).cloned().collect();
        if changed.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let entries: Vec<Draft> = changed
            .iter()
            .map(|(id, _, _)| self.entry(&Acting::system(), id, "written from the configuration"))
            .chain(gone.iter().map(|id| self.entry(&Acting::system(), id, "ended: not in the configuration")))
            .collect();
        transact!(self.database, "openid.client.configured", |conn| {
            for (id, new, hash) in &changed {
                let uris = uri_rows(new);
                put!(conn, id.as_str(), new, uris, Source::Configuration, hash.as_deref(), now);
            }
            for id in &gone {
                sqlx::query("UPDATE openid_client SET ended_ms = $1 WHERE id = $2")
                    .bind(now.0)
                    .bind(id)
                    .execute(&mut *conn)
                    .await?;
            }
            for entry in &entries {
                audit::record!(conn, entry);
            }
            Ok(())
        })?;
        Ok(())
    }

    fn entry(&self, acting: &Acting, id: &str, what: &str) -> Draft {
        let (object, detail) = (Some(format!("openid:{id}")), Some(what.to_owned()));
        Draft { object, detail, ..acting.draft(self.now(), Action::ExchangeChanged) }
    }
}

/// As it would be read back.
fn comparable(new: &NewClient) -> NewClient {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    NewClient {
        name: new.name.trim().to_owned(),
        redirect_uris: sorted(&new.redirect_uris),
        post_logout_uris: sorted(&new.post_logout_uris),
        origins: sorted(&new.origins),
        ..new.clone()
    }
}
