//! The identity vault as who answers for it sees it: open or locked and why, opening it by its passphrase, changing its
//! key and the index's, and how far that has come. Shows no person.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::AccountError;
use clinic::vault::{KeySource, Locked, NewKey, Passphrase, Progress, VaultError, VaultState};

use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "vault.html")]
struct Page {
    frame: Frame,
    tone: &'static str,
    state: String,
    /// What to do about a locked vault.
    advice: Option<String>,
    key: Option<String>,
    since: Option<String>,
    source: String,
    erased: Option<u64>,
    progress: Progress,
    is_open: bool,
    by_passphrase: bool,
    /// The passphrase is asked for: to open, or for the first time.
    asks_passphrase: bool,
    is_first: bool,
    may_reopen: bool,
    ask_password: bool,
    problem: Option<String>,
    done: Option<String>,
}

/// `GET /vault`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("vault-done-", done));
    render(StatusCode::OK, &page)
}

async fn page(visit: &Visit) -> Result<Page, Fault> {
    let (vault, frame) = (&visit.app.vault, Frame::new(visit, "vault"));
    let state = vault.state();
    let (key, since, locked) = match &state {
        VaultState::Open { key, since, .. } => (Some(key.to_string()), Some(frame.times.full(*since)), None),
        VaultState::Locked(locked) => (None, None, Some(*locked)),
    };
    let by_passphrase = matches!(vault.source(), KeySource::Passphrase(_));
    let source = match vault.source() {
        KeySource::Own(_) => "own",
        KeySource::File(_) => "file",
        KeySource::Passphrase(_) => "passphrase",
        KeySource::Workstation => "workstation",
    };
    let progress = vault.progress().await.map_err(fault)?;
    Ok(Page {
        tone: match locked {
            None => "ok",
            Some(Locked::Workstation) => "info",
            Some(_) => "warn",
        },
        state: frame.x.t(match locked {
            None => "vault-open",
            Some(Locked::Workstation) => "vault-elsewhere",
            Some(_) => "vault-locked",
        }),
        advice: locked.map(|locked| frame.x.code("vault-locked-", locked.as_str())),
        key,
        since,
        source: frame.x.code("vault-source-", source),
        // A list that cannot be read is told by the state.
        erased: vault.remembered().await.ok().map(|list| list.len() as u64),
        progress,
        is_open: locked.is_none(),
        by_passphrase,
        asks_passphrase: by_passphrase && locked.is_some(),
        is_first: locked == Some(Locked::NoPassphraseYet),
        may_reopen: !by_passphrase && locked.is_some_and(|locked| locked != Locked::Workstation),
        ask_password: visit.is_stale(),
        problem: None,
        done: None,
        frame,
    })
}

/// `POST /vault/unlock`: by passphrase, or from the file once more. Sets the first passphrase of a new vault.
pub async fn unlock(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let vault = visit.app.vault.clone();
    let outcome = async {
        visit.confirm(typed.one("password")).await?;
        let acting = visit.acting()?;
        if !matches!(vault.source(), KeySource::Passphrase(_)) {
            return match vault.reopen(&acting).await? {
                VaultState::Open { .. } => Ok(()),
                VaultState::Locked(locked) => Err(Trouble::Vault(locked.into())),
            };
        }
        let passphrase = Passphrase::new(typed.one("passphrase").unwrap_or_default());
        if vault.state() == VaultState::Locked(Locked::NoPassphraseYet) {
            same_twice(&typed)?;
            return Ok(vault.set_passphrase(&acting, passphrase).await?);
        }
        Ok(vault.unlock(&acting, passphrase).await?)
    };
    answer(&visit, outcome.await, "opened").await
}

/// `POST /vault/lock`
pub async fn lock(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let outcome = async {
        visit.confirm(typed.one("password")).await?;
        Ok(visit.app.vault.lock(&visit.acting()?).await?)
    };
    answer(&visit, outcome.await, "locked").await
}

/// `POST /vault/rotate`: begins to change the key; the rest happens by itself.
pub async fn rotate(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let outcome = async {
        visit.confirm(typed.one("password")).await?;
        let new = if matches!(visit.app.vault.source(), KeySource::Passphrase(_)) {
            same_twice(&typed)?;
            NewKey::Passphrase(Passphrase::new(typed.one("passphrase").unwrap_or_default()))
        } else {
            NewKey::Random
        };
        Ok(visit.app.vault.rotate(&visit.acting()?, new).await?)
    };
    answer(&visit, outcome.await, "begun").await
}

/// `POST /vault/index`: begins to make the search index anew.
pub async fn index(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let outcome = async {
        visit.confirm(typed.one("password")).await?;
        Ok(visit.app.vault.rebuild_index(&visit.acting()?).await?)
    };
    answer(&visit, outcome.await, "index").await
}

/// Why it was not done.
enum Trouble {
    Page(Fault),
    Vault(VaultError),
    Account(AccountError),
    Differ,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Page(fault)
    }
}

impl From<VaultError> for Trouble {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<AccountError> for Trouble {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

async fn answer(visit: &Visit, outcome: Result<(), Trouble>, done: &str) -> Result<Response, Fault> {
    let texts = visit.texts();
    let problem = match outcome {
        Ok(()) => return Ok(go(&format!("/vault?done={done}"))),
        Err(Trouble::Page(fault)) => return Err(fault),
        Err(Trouble::Account(AccountError::WrongPassword)) => texts.t("accounts-confirm-wrong"),
        Err(Trouble::Account(AccountError::Wait { wait_ms })) => {
            texts.a("sign-in-wait", &visit.times().span(wait_ms.saturating_add(999)))
        }
        Err(Trouble::Account(error)) => return Err(error.into()),
        Err(Trouble::Differ) => texts.t("vault-differ"),
        Err(Trouble::Vault(VaultError::Locked(locked))) => texts.code("vault-locked-", locked.as_str()),
        Err(Trouble::Vault(VaultError::WrongPassphrase)) => texts.t("vault-wrong"),
        Err(Trouble::Vault(VaultError::WeakPassphrase)) => texts.t("vault-weak"),
        Err(Trouble::Vault(VaultError::AlreadyChanging)) => texts.t("vault-changing-already"),
        Err(Trouble::Vault(VaultError::OtherSource)) => texts.t("vault-other-source"),
        Err(Trouble::Vault(VaultError::Interrupted)) => texts.t("vault-interrupted"),
        Err(Trouble::Vault(VaultError::File { what, source })) => {
            tracing::error!(what, error = %source, "page.vault.file");
            texts.t("vault-file")
        }
        Err(Trouble::Vault(error)) => return Err(fault(error)),
    };
    let mut page = page(visit).await?;
    page.problem = Some(problem);
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn fault(error: VaultError) -> Fault {
    match error {
        VaultError::Denied(denied) => denied.into(),
        VaultError::Store(error) => error.into(),
        other => {
            tracing::error!(error = %other, "page.vault.failed");
            Fault::Unavailable
        }
    }
}

fn same_twice(typed: &Query) -> Result<(), Trouble> {
    let is_same = typed.one("passphrase") == typed.one("again");
    if is_same { Ok(()) } else { Err(Trouble::Differ) }
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}
