//! The erasure of a person, end to end: what there is, what would go, what must stay and why; then the doing, once and
//! for good, and the act that says what was destroyed (GDPR article 17; Order 179 of Roskomnadzor asks for such an act
//! with an extract of the log).
//!
//! Owns the table `erasure`. The vault destroys the person's key first and remembers it outside the database; then
//! everything here that leads from a person to their pseudonym is removed in one transaction. What stays is pseudonymous
//! for ever: events, entries of the audit log, lines of the register. A restored backup is cleaned by [`reapply`]. May
//! import `domain`, `store` and the clinic's other modules.

mod act;
mod plan;
mod traces;

use domain::{Denied, Permission, PersonId, UtcMillis};
use store::{Database, transact};
use thiserror::Error;

use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::break_glass::words;
use crate::requests::{self, Hold};
use crate::till::books::{OpenAccount, count_open};
use crate::vault::{self, Vault, VaultError};
use crate::{disclosures, draw};

pub use act::{Act, acts, of};
pub use plan::{Fate, Item, Plan, What, plan};
pub(crate) use traces::blot_glass;

/// Fewest characters of a ground.
pub const GROUND_MIN_CHARS: usize = 10;

/// How long the destruction of a key may take before it is held to have been given up, in milliseconds: it takes seconds.
const ERASING_LONGEST_MS: i64 = 10 * 60 * 1000;

/// Why nobody was erased.
#[derive(Debug, Error)]
pub enum ErasureError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such person.
    #[error("there is no such person")]
    Unknown,
    /// A law or a case forbids it.
    #[error("this person is under a legal hold ({}); release it first", .0.ground)]
    Held(Hold),
    /// Something is still to be paid, given back or decided.
    #[error(
        "the account of this person at the till is open; settle it first: what is owed is paid or written off, what is left of a deposit given back, orders taken back"
    )]
    OpenAccount(OpenAccount),
    /// The ground is too short.
    #[error("an erasure needs a ground of {GROUND_MIN_CHARS} to 500 characters")]
    BadGround,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The audit log.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Erases a person. When this returns, the key is destroyed, the passes are gone from the policy's next version, and
/// the act is written. `ground` says why, without a name; `request` is the request that asked for it.
///
/// Interrupted at any step it is gone on with by [`reapply`] at the next start, or by asking again.
///
/// # Errors
/// Everything of [`ErasureError`]; from the vault, when the erasure cannot be remembered outside the database: then
/// nothing was erased.
pub async fn erase(
    database: &Database,
    vault: &Vault,
    acting: &Acting,
    person: PersonId,
    ground: &str,
    request: Option<&str>,
    now: UtcMillis,
) -> Result<Act, ErasureError> {
    acting.must(Permission::PersonErase)?;
    let ground = words(ground, GROUND_MIN_CHARS).ok_or(ErasureError::BadGround)?;
    let plan = plan::read(database, person, now).await?;
    if !plan.is_known {
        return Err(ErasureError::Unknown);
    }
    if let Some(hold) = requests::hold_of(database, person, now).await? {
        return Err(ErasureError::Held(hold));
    }
    close_account(database, person, now).await?;
    // First the key, and its memory outside: whatever happens afterwards, nobody can read the passport any more.
    if let Err(error) = vault.shred(acting, person).await {
        // What is remembered outside is gone on with at the next start, and nothing is charged to them until then.
        let is_remembered = |all: Vec<vault::Remembered>| all.iter().any(|one| one.person == person);
        if !vault.remembered().await.is_ok_and(is_remembered) {
            open_account_again(database, person).await?;
        }
        return Err(error.into());
    }
    finish(database, acting, &plan, &ground, request, now).await
}

/// Nothing is charged to this person or paid in for them from now on, if nothing is open of their account: looked at and
/// written in one transaction, so that no charge comes between the look and the destruction of the key.
async fn close_account(database: &Database, person: PersonId, now: UtcMillis) -> Result<(), ErasureError> {
    let id = person.to_string();
    let open: OpenAccount = transact!(database, "erasure.close_account", |conn| {
        let open = count_open!(conn, &id);
        if open.is_settled() {
            sqlx::query("UPDATE person SET erasing_ms = $1 WHERE id = $2")
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
        }
        Ok(open)
    })?;
    if open.is_settled() { Ok(()) } else { Err(ErasureError::OpenAccount(open)) }
}

/// The erasure did not come about.
async fn open_account_again(database: &Database, person: PersonId) -> Result<(), ErasureError> {
    let id = person.to_string();
    Ok(transact!(database, "erasure.open_account", |conn| {
        sqlx::query("UPDATE person SET erasing_ms = NULL WHERE id = $1").bind(&id).execute(&mut *conn).await?;
        Ok(())
    })?)
}

/// Removes what leads to the pseudonym and writes the act.
async fn finish(
    database: &Database,
    acting: &Acting,
    plan: &Plan,
    ground: &str,
    request: Option<&str>,
    now: UtcMillis,
) -> Result<Act, ErasureError> {
    let act = Act {
        id: draw::id()?,
        person: plan.person,
        at: now,
        by: disclosures::actor_code(&acting.actor),
        ground: ground.to_owned(),
        request: request.map(str::to_owned),
        items: plan.items.clone(),
        log: None,
    };
    let draft = Draft {
        subject: Some(plan.person),
        object: Some(act.id.clone()),
        purpose: Some(Purpose::PersonRequest),
        detail: Some(act::summary(&act.items)),
        ..acting.draft(now, Action::PersonErased)
    };
    let (written, acting) = (act.clone(), acting.clone());
    let number = transact!(database, "erasure.finish", |conn| {
        traces::remove!(conn, written.person, acting, now);
        sqlx::query(
            "INSERT INTO erasure (id, person, at_ms, actor, ground, request, act) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&written.id)
        .bind(written.person.to_string())
        .bind(now.0)
        .bind(&written.by)
        .bind(&written.ground)
        .bind(written.request.as_deref())
        .bind(act::to_json(&written.items))
        .execute(&mut *conn)
        .await?;
        Ok(audit::record!(conn, &draft))
    })?;
    database.scrub().await?;
    Ok(Act { log: Some(number), ..act })
}

/// Erases again whoever a restored backup has brought back, and goes on with erasures that were interrupted; run by the
/// program itself at each start. Returns who that was.
///
/// # Errors
/// As [`erase`]; what was done before stays done.
pub async fn reapply(database: &Database, vault: &Vault, now: UtcMillis) -> Result<Vec<PersonId>, ErasureError> {
    const GROUND: &str = "erased before; found again in a restored backup or an interrupted erasure";
    let acting = Acting::system();
    let mut again: Vec<PersonId> = vault.reapply(&acting).await?.again;
    for remembered in vault.remembered().await? {
        let plan = plan::read(database, remembered.person, now).await?;
        if !plan.leads_to_somebody() {
            continue;
        }
        finish(database, &acting, &plan, GROUND, None, now).await?;
        if !again.contains(&remembered.person) {
            again.push(remembered.person);
        }
    }
    // Erasures that a program began and was ended before anything of them was remembered: they never were.
    let before = now.plus_ms(-ERASING_LONGEST_MS);
    transact!(database, "erasure.forgotten", |conn| {
        sqlx::query("UPDATE person SET erasing_ms = NULL WHERE erasing_ms < $1")
            .bind(before.0)
            .execute(&mut *conn)
            .await?;
        Ok(())
    })?;
    Ok(again)
}
