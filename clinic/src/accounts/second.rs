//! The second step of signing in, and setting the second factor up, anew, or aside.
//!
//! Between the password and the code somebody holds a [`HalfToken`], which opens nothing else. A code is used up in
//! the transaction that opens the session: of many at once, exactly one wins (ASVS 6.5.1).

use domain::{Permission, UtcMillis};

use super::factor::{Enrolment, FactorSecret, RECOVERY_CODES, RecoveryCode};
use super::session::{Opening, end_all, open_session, renew_session};
use super::throttle::{Known, Subjects};
use super::{
    AccountError, AccountId, Accounts, FREE_CODES, HalfToken, Login, Password, STEP_LIFE_MS, Session, SessionToken,
    Visitor, failed_entry, own_entry,
};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::notices::{self, Notice, NoticeKind, To};
use crate::roles::{self, RoleError};

domain::codes! {
    /// What is still missing between password and session.
    Step {
        /// A code of the second factor.
        Code = "code",
        /// Setting a second factor up: this account must have one and has none.
        Enrol = "enrol",
    }
}

/// The second factor of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorState {
    /// Since when there is one.
    pub set_at: Option<UtcMillis>,
    /// Recovery codes not used yet.
    pub recovery_left: i64,
    /// Whether the account must have one.
    pub is_needed: bool,
}

/// A half-open sign-in.
struct Half {
    account: String,
    login: Login,
    step: Step,
}

/// A code that fits: what has to be used up.
enum Fitting {
    Step(i64),
    Recovery(String),
}

enum Entered {
    Yes,
    Spent,
    Replayed,
}

/// Inside a transaction: puts new recovery codes in place of the old ones.
macro_rules! put_codes {
    ($conn:expr, $now:expr, $id:expr, $hashes:expr) => {{
        store::sqlx::query("DELETE FROM account_recovery WHERE account = $1").bind($id).execute(&mut *$conn).await?;
        for hash in $hashes {
            store::sqlx::query("INSERT INTO account_recovery (account, code_hash, made_at) VALUES ($1, $2, $3)")
                .bind($id)
                .bind(hash)
                .bind($now.0)
                .execute(&mut *$conn)
                .await?;
        }
    }};
}

/// Inside a transaction: stores a confirmed second factor; what was being set up is done.
macro_rules! put_factor {
    ($conn:expr, $now:expr, $id:expr, $holder:expr, $sealed:expr, $step:expr, $hashes:expr) => {{
        store::sqlx::query("DELETE FROM account_enrolment WHERE holder = $1")
            .bind($holder)
            .execute(&mut *$conn)
            .await?;
        store::sqlx::query(
            "INSERT INTO account_factor (account, secret, set_at, last_step) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (account) DO UPDATE SET secret = excluded.secret, set_at = excluded.set_at, \
             last_step = excluded.last_step",
        )
        .bind($id)
        .bind($sealed)
        .bind($now.0)
        .bind($step)
        .execute(&mut *$conn)
        .await?;
        put_codes!($conn, $now, $id, $hashes);
    }};
}

/// Inside a transaction: removes a second factor with everything that belongs to it.
macro_rules! drop_factor {
    ($conn:expr, $id:expr) => {{
        store::sqlx::query("DELETE FROM account_factor WHERE account = $1").bind($id).execute(&mut *$conn).await?;
        store::sqlx::query("DELETE FROM account_recovery WHERE account = $1").bind($id).execute(&mut *$conn).await?;
        store::sqlx::query("DELETE FROM account_enrolment WHERE account = $1").bind($id).execute(&mut *$conn).await?;
        store::sqlx::query("DELETE FROM account_half WHERE account = $1").bind($id).execute(&mut *$conn).await?;
    }};
}

impl Accounts {
    /// What comes after the right password.
    pub(super) async fn second_step(&self, account: &str, now: UtcMillis) -> Result<Option<Step>, AccountError> {
        if self.factor_secret(account).await?.is_some() {
            return Ok(Some(Step::Code));
        }
        Ok(self.needs_factor(account, now).await?.then_some(Step::Enrol))
    }

    async fn needs_factor(&self, account: &str, now: UtcMillis) -> Result<bool, AccountError> {
        let Some(id) = AccountId::parse(account) else { return Ok(true) };
        let rights = roles::rights_of(&self.database, &id, now).await?;
        Ok(self.rules.second_factor.is_needed(&rights))
    }

    pub(super) async fn open_half(&self, account: &str, step: Step, now: UtcMillis) -> Result<HalfToken, AccountError> {
        let half = HalfToken::draw()?;
        let (stored, account) = (half.stored(), account.to_owned());
        store::transact!(self.database, "accounts.half", |conn| {
            store::sqlx::query("DELETE FROM account_half WHERE expires_at <= $1")
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            store::sqlx::query("DELETE FROM account_enrolment WHERE made_at <= $1")
                .bind(now.plus_ms(-STEP_LIFE_MS).0)
                .execute(&mut *conn)
                .await?;
            store::sqlx::query(
                "INSERT INTO account_half (token_hash, account, step, opened_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(&stored)
            .bind(&account)
            .bind(step.as_str())
            .bind(now.0)
            .bind(now.plus_ms(STEP_LIFE_MS).0)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })?;
        Ok(half)
    }

    /// What a half-open sign-in waits for.
    ///
    /// # Errors
    /// [`AccountError::StepSpent`] when it has lapsed or was finished.
    pub async fn step_of(&self, half: &HalfToken) -> Result<Step, AccountError> {
        Ok(self.half(half).await?.step)
    }

    async fn half(&self, half: &HalfToken) -> Result<Half, AccountError> {
        let (now, stored) = (self.clock.now(), half.stored());
        let row: Option<(String, String, String)> = store::read!(self.database, "accounts.half", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT account.id, account.login, account_half.step FROM account_half \
                 JOIN account ON account.id = account_half.account \
                 WHERE token_hash = $1 AND expires_at > $2 AND account.disabled_at IS NULL",
            )
            .bind(&stored)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let (account, login, step) = row.ok_or(AccountError::StepSpent)?;
        let step = Step::parse(&step).ok_or(AccountError::BadRow { table: "account_half", column: "step" })?;
        Ok(Half { account, login: Login::new(&login)?, step })
    }

    /// Finishes a half-open sign-in with a code from the telephone, or with a recovery code.
    ///
    /// # Errors
    /// [`AccountError::WrongCode`], [`AccountError::StepSpent`], [`AccountError::Wait`].
    pub async fn finish_sign_in(
        &self,
        half: &HalfToken,
        code: &str,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        let Half { account, login, step: Step::Code } = self.half(half).await? else {
            return Err(AccountError::StepSpent);
        };
        let now = self.clock.now();
        let known = self.known_device(login.as_str(), visitor, now).await?.unwrap_or(Known::No);
        let subjects = Subjects::code(login.as_str(), &known);
        let tries = self.count_try(&subjects, now).await?;
        let Some(fitting) = self.fitting(&account, code, now).await? else {
            self.note_wrong_code(&account, tries, visitor, now).await?;
            return Err(AccountError::WrongCode);
        };
        let (rules, opening, used) = (self.rules, Opening::draw(visitor)?, half.stored());
        let token = opening.token.clone();
        let entry = own_entry(now, Action::SignedIn, &account, Some(&opening.id), visitor);
        let (by_recovery, how) = match &fitting {
            Fitting::Step(_) => (false, "second factor"),
            Fitting::Recovery(_) => (true, "recovery code"),
        };
        let entry = Draft { detail: Some(how.to_owned()), ..entry };
        let spent = own_entry(now, Action::FactorChanged, &account, Some(&opening.id), visitor);
        let spent = Draft { detail: Some("recovery code used".to_owned()), ..spent };
        let id = account.clone();
        let entered = store::transact!(self.database, "accounts.second_step", |conn| {
            let done = store::sqlx::query("DELETE FROM account_half WHERE token_hash = $1")
                .bind(&used)
                .execute(&mut *conn)
                .await?;
            if done.rows_affected() != 1 {
                return Ok(Entered::Spent);
            }
            // A replayed code also ends the half-open sign-in: whoever has it starts from the password again.
            let done = match &fitting {
                Fitting::Step(step) => {
                    store::sqlx::query("UPDATE account_factor SET last_step = $1 WHERE account = $2 AND last_step < $1")
                        .bind(step)
                        .bind(&id)
                        .execute(&mut *conn)
                        .await?
                        .rows_affected()
                }
                Fitting::Recovery(hash) => store::sqlx::query(
                    "UPDATE account_recovery SET used_at = $1 \
                         WHERE account = $2 AND code_hash = $3 AND used_at IS NULL",
                )
                .bind(now.0)
                .bind(&id)
                .bind(hash)
                .execute(&mut *conn)
                .await?
                .rows_affected(),
            };
            if done != 1 {
                return Ok(Entered::Replayed);
            }
            open_session!(conn, rules, now, &opening, &id);
            audit::record!(conn, &entry);
            if by_recovery {
                audit::record!(conn, &spent);
                let notice = Notice::new(now, To::Account(id.clone()), NoticeKind::FactorChanged);
                notices::enqueue!(conn, &notice.with("what", "recovery_used"));
            }
            Ok(Entered::Yes)
        })?;
        match entered {
            Entered::Yes => {
                self.forgive_try(subjects).await?;
                Ok(token)
            }
            Entered::Spent => Err(AccountError::StepSpent),
            Entered::Replayed => {
                self.note_wrong_code(&account, tries, visitor, now).await?;
                Err(AccountError::WrongCode)
            }
        }
    }

    async fn note_wrong_code(
        &self,
        account: &str,
        tries: i64,
        visitor: &Visitor,
        now: UtcMillis,
    ) -> Result<(), AccountError> {
        let entry = failed_entry(now, Some(account), visitor, "second factor");
        let notice = Notice::new(now, To::Account(account.to_owned()), NoticeKind::FactorGuessed)
            .with("address", visitor.address);
        // Once for each row of tries: it tells somebody that their password is known.
        let tell = tries == FREE_CODES;
        store::transact!(self.database, "accounts.second_step", |conn| {
            audit::record!(conn, &entry);
            if tell {
                notices::enqueue!(conn, &notice);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// What a typed code could be used up as.
    async fn fitting(&self, account: &str, code: &str, now: UtcMillis) -> Result<Option<Fitting>, AccountError> {
        if let Some(recovery) = RecoveryCode::read(code) {
            return Ok(Some(Fitting::Recovery(recovery.stored(account))));
        }
        let Some(secret) = self.factor_secret(account).await? else { return Ok(None) };
        Ok(secret.step_of(code, now)?.map(Fitting::Step))
    }

    async fn factor_secret(&self, account: &str) -> Result<Option<FactorSecret>, AccountError> {
        let sealed: Option<Vec<u8>> = store::read!(self.database, "accounts.factor", |conn| {
            Ok(store::sqlx::query_scalar("SELECT secret FROM account_factor WHERE account = $1")
                .bind(account)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let Some(sealed) = sealed else { return Ok(None) };
        let clear = self.cabinet.open("account_factor", "secret", account, sealed)?;
        let bad = AccountError::BadRow { table: "account_factor", column: "secret" };
        FactorSecret::from_bytes(&clear).map(Some).ok_or(bad)
    }

    /// What to scan, for a half-open sign-in that must set a second factor up.
    ///
    /// # Errors
    /// [`AccountError::StepSpent`].
    pub async fn enrol_half(&self, half: &HalfToken) -> Result<Enrolment, AccountError> {
        let Half { account, login, step: Step::Enrol } = self.half(half).await? else {
            return Err(AccountError::StepSpent);
        };
        let secret = self.enrolling(&half.stored(), &account).await?;
        secret.enrolment(&login, &self.site)
    }

    /// Confirms the second factor by its first code and opens the session.
    ///
    /// # Errors
    /// [`AccountError::WrongCode`], [`AccountError::StepSpent`].
    pub async fn finish_enrolment(
        &self,
        half: &HalfToken,
        code: &str,
        visitor: &Visitor,
    ) -> Result<(SessionToken, Vec<RecoveryCode>), AccountError> {
        let Half { account, login, step: Step::Enrol } = self.half(half).await? else {
            return Err(AccountError::StepSpent);
        };
        let now = self.clock.now();
        let holder = half.stored();
        let ready = self.ready(&holder, &account, &login, code, &Known::No, now).await?;
        let (rules, opening, id) = (self.rules, Opening::draw(visitor)?, account.clone());
        let token = opening.token.clone();
        let changed = own_entry(now, Action::FactorChanged, &account, Some(&opening.id), visitor);
        let changed = Draft { detail: Some("set up".to_owned()), ..changed };
        let entry = own_entry(now, Action::SignedIn, &account, Some(&opening.id), visitor);
        let Ready { codes, hashes, sealed, step } = ready;
        let done = store::transact!(self.database, "accounts.enrol", |conn| {
            let used = store::sqlx::query("DELETE FROM account_half WHERE token_hash = $1")
                .bind(&holder)
                .execute(&mut *conn)
                .await?;
            if used.rows_affected() != 1 {
                return Ok(false);
            }
            put_factor!(conn, now, &id, &holder, &sealed, step, &hashes);
            open_session!(conn, rules, now, &opening, &id);
            audit::record!(conn, &changed);
            audit::record!(conn, &entry);
            Ok(true)
        })?;
        if done { Ok((token, codes)) } else { Err(AccountError::StepSpent) }
    }

    /// The second factor of an account.
    pub async fn factor_state(&self, session: &Session) -> Result<FactorState, AccountError> {
        let id = session.account.id.as_str();
        let row: (Option<i64>, i64) = store::read!(self.database, "accounts.factor", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT (SELECT set_at FROM account_factor WHERE account = $1), \
                 (SELECT COUNT(*) FROM account_recovery WHERE account = $1 AND used_at IS NULL)",
            )
            .bind(id)
            .fetch_one(&mut *conn)
            .await?)
        })?;
        let is_needed = self.rules.second_factor.is_needed(&session.rights);
        Ok(FactorState { set_at: row.0.map(UtcMillis), recovery_left: row.1, is_needed })
    }

    /// Begins to set a second factor up, by one's password; one that is there stays until the new one is confirmed.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`], [`AccountError::Wait`].
    pub async fn begin_factor(
        &self,
        session: &Session,
        password: Password,
        visitor: &Visitor,
    ) -> Result<Enrolment, AccountError> {
        self.prove(session, password, visitor.address).await?;
        let (id, holder) = (session.account.id.as_str(), session.id.as_str());
        let secret = self.enrolling(holder, id).await?;
        secret.enrolment(&session.account.login, &self.site)
    }

    /// What to scan, while a second factor is being set up in this session.
    ///
    /// # Errors
    /// [`AccountError::NoFactor`] when none is.
    pub async fn enrolment(&self, session: &Session) -> Result<Enrolment, AccountError> {
        let (id, holder) = (session.account.id.as_str(), session.id.as_str());
        let secret = self.begun(holder, id).await?.ok_or(AccountError::NoFactor)?;
        secret.enrolment(&session.account.login, &self.site)
    }

    /// Confirms the second factor by its first code. The session goes on with a new token, all others end.
    ///
    /// # Errors
    /// [`AccountError::WrongCode`], [`AccountError::NoFactor`] when none was begun in this session.
    pub async fn confirm_factor(
        &self,
        session: &Session,
        code: &str,
        visitor: &Visitor,
    ) -> Result<(SessionToken, Vec<RecoveryCode>), AccountError> {
        let now = self.clock.now();
        let (id, holder) = (session.account.id.as_str().to_owned(), session.id.as_str().to_owned());
        let known = Known::Session(holder.clone());
        let Ready { codes, hashes, sealed, step } =
            self.ready(&holder, &id, &session.account.login, code, &known, now).await?;
        let token = SessionToken::draw()?;
        let renewed = token.clone();
        let entry = own_entry(now, Action::FactorChanged, &id, Some(&holder), visitor);
        let entry = Draft { detail: Some("set up".to_owned()), ..entry };
        let notice = Notice::new(now, To::Account(id.clone()), NoticeKind::FactorChanged).with("what", "set_up");
        store::transact!(self.database, "accounts.enrol", |conn| {
            put_factor!(conn, now, &id, &holder, &sealed, step, &hashes);
            end_all!(conn, now, &id, &holder, "new_factor");
            renew_session!(conn, now, &holder, renewed);
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
            Ok(())
        })?;
        Ok((token, codes))
    }

    /// Draws ten new recovery codes, by one's password; the old ones stop working.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`], [`AccountError::NoFactor`].
    pub async fn new_recovery_codes(
        &self,
        session: &Session,
        password: Password,
        visitor: &Visitor,
    ) -> Result<Vec<RecoveryCode>, AccountError> {
        self.prove(session, password, visitor.address).await?;
        let now = self.clock.now();
        let id = session.account.id.as_str().to_owned();
        if self.factor_secret(&id).await?.is_none() {
            return Err(AccountError::NoFactor);
        }
        let (codes, hashes) = draw_codes(&id)?;
        let entry = own_entry(now, Action::FactorChanged, &id, Some(session.id.as_str()), visitor);
        let entry = Draft { detail: Some("recovery codes drawn".to_owned()), ..entry };
        let notice = Notice::new(now, To::Account(id.clone()), NoticeKind::FactorChanged).with("what", "codes_drawn");
        store::transact!(self.database, "accounts.recovery", |conn| {
            put_codes!(conn, now, &id, &hashes);
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
            Ok(())
        })?;
        Ok(codes)
    }

    /// Removes one's own second factor, by the password. The session goes on with a new token, all others end.
    ///
    /// # Errors
    /// [`AccountError::FactorNeeded`] where one is asked for, [`AccountError::WrongPassword`].
    pub async fn remove_factor(
        &self,
        session: &Session,
        password: Password,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        if self.rules.second_factor.is_needed(&session.rights) {
            return Err(AccountError::FactorNeeded);
        }
        self.prove(session, password, visitor.address).await?;
        let now = self.clock.now();
        let (id, own) = (session.account.id.as_str().to_owned(), session.id.as_str().to_owned());
        let token = SessionToken::draw()?;
        let renewed = token.clone();
        let entry = own_entry(now, Action::FactorChanged, &id, Some(&own), visitor);
        let entry = Draft { detail: Some("removed".to_owned()), ..entry };
        let notice = Notice::new(now, To::Account(id.clone()), NoticeKind::FactorChanged).with("what", "removed");
        store::transact!(self.database, "accounts.factor", |conn| {
            drop_factor!(conn, &id);
            end_all!(conn, now, &id, &own, "new_factor");
            renew_session!(conn, now, &own, renewed);
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
            Ok(())
        })?;
        Ok(token)
    }

    /// Takes somebody's second factor away, for who has lost telephone and recovery codes. All their sessions end; the
    /// next sign-in is by password, and sets a new one up where one is needed.
    ///
    /// # Errors
    /// [`AccountError::Denied`], [`AccountError::Role`] when the account can do more than who acts.
    pub async fn reset_factor(&self, acting: &Acting, account: &AccountId) -> Result<(), AccountError> {
        acting.must(Permission::AccountEdit)?;
        let now = self.clock.now();
        let (id, rights) = (account.as_str().to_owned(), acting.rights.clone());
        let entry = acting.draft(now, Action::FactorChanged);
        let entry = Draft { object: Some(id.clone()), detail: Some("reset".to_owned()), ..entry };
        let notice = Notice::new(now, To::Account(id.clone()), NoticeKind::FactorChanged).with("what", "reset");
        store::transact!(self.database, "accounts.factor", |conn| {
            let found: i64 = store::sqlx::query_scalar("SELECT COUNT(*) FROM account_factor WHERE account = $1")
                .bind(&id)
                .fetch_one(&mut *conn)
                .await?;
            if found == 0 {
                return Ok(Err(AccountError::NoFactor));
            }
            if !roles::covers_account!(conn, rights, &id, now) {
                return Ok(Err(AccountError::Role(RoleError::Beyond)));
            }
            drop_factor!(conn, &id);
            end_all!(conn, now, &id, "", "new_factor");
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
            Ok(Ok(()))
        })?
    }

    /// The secret that is being set up by this holder; a new one if none was begun, or another account's, or too long
    /// ago.
    async fn enrolling(&self, holder: &str, account: &str) -> Result<FactorSecret, AccountError> {
        if let Some(secret) = self.begun(holder, account).await? {
            return Ok(secret);
        }
        let secret = FactorSecret::draw()?;
        let now = self.clock.now();
        let sealed = self.cabinet.seal("account_enrolment", "secret", holder, secret.bytes())?;
        let (row, account) = (holder.to_owned(), account.to_owned());
        store::transact!(self.database, "accounts.enrol", |conn| {
            store::sqlx::query(
                "INSERT INTO account_enrolment (holder, account, secret, made_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (holder) DO UPDATE SET account = excluded.account, secret = excluded.secret, \
                 made_at = excluded.made_at",
            )
            .bind(&row)
            .bind(&account)
            .bind(&sealed)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })?;
        Ok(secret)
    }

    async fn begun(&self, holder: &str, account: &str) -> Result<Option<FactorSecret>, AccountError> {
        let since = self.clock.now().plus_ms(-STEP_LIFE_MS);
        let sealed: Option<Vec<u8>> = store::read!(self.database, "accounts.enrol", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT secret FROM account_enrolment WHERE holder = $1 AND account = $2 AND made_at > $3",
            )
            .bind(holder)
            .bind(account)
            .bind(since.0)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some(sealed) = sealed else { return Ok(None) };
        Ok(FactorSecret::from_bytes(&self.cabinet.open("account_enrolment", "secret", holder, sealed)?))
    }

    /// Checks the first code and prepares what is to be stored.
    async fn ready(
        &self,
        holder: &str,
        account: &str,
        login: &Login,
        code: &str,
        known: &Known,
        now: UtcMillis,
    ) -> Result<Ready, AccountError> {
        let secret = self.begun(holder, account).await?.ok_or(AccountError::NoFactor)?;
        let subjects = Subjects::code(login.as_str(), known);
        self.count_try(&subjects, now).await?;
        let step = secret.step_of(code, now)?.ok_or(AccountError::WrongCode)?;
        self.forgive_try(subjects).await?;
        let sealed = self.cabinet.seal("account_factor", "secret", account, secret.bytes())?;
        let (codes, hashes) = draw_codes(account)?;
        Ok(Ready { codes, hashes, sealed, step })
    }
}

/// A confirmed second factor, to be stored.
struct Ready {
    codes: Vec<RecoveryCode>,
    hashes: Vec<String>,
    sealed: Vec<u8>,
    step: i64,
}

fn draw_codes(account: &str) -> Result<(Vec<RecoveryCode>, Vec<String>), AccountError> {
    let codes = (0..RECOVERY_CODES).map(|_| RecoveryCode::draw()).collect::<Result<Vec<_>, _>>()?;
    let hashes = codes.iter().map(|code| code.stored(account)).collect();
    Ok((codes, hashes))
}
