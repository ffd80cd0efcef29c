//! Who works at workstations: what the medical system calls a person, which shipped role they have at a desk, and whose
//! account of the pages is theirs. Owns the table `staff`; ending somebody ends what they have open at workstations. May
//! import `domain`, `store` and [`crate::desk`].

use domain::{Denied, Permission, PersonId, Shipped, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, read, transact};
use thiserror::Error as ThisError;

use crate::accounts::AccountId;
use crate::acting::Acting;
use crate::audit::{self, Action};
use crate::changes::{self, Change, ChangeKind};
use crate::desk::sessions::Sessions;
use crate::rows::{code, column, optional};

/// Longest login, practitioner id or specialty, in bytes.
pub const TEXT_MAX_BYTES: usize = 128;
/// Staff members handed out by one read.
pub const READ_MAX: u32 = 1000;

/// Somebody who works at workstations.
#[derive(Clone, PartialEq, Eq)]
pub struct Staff {
    /// Who, by pseudonym.
    pub person: PersonId,
    /// What they may do at a desk, unless a linked account says so.
    pub role: Shipped,
    /// Their user name in the medical system. Nobody else has it.
    pub login: Option<String>,
    /// Their id as a practitioner in the medical system. Nobody else has it.
    pub practitioner: Option<String>,
    /// The account of the pages that is theirs; its rights count at a desk then.
    pub account: Option<AccountId>,
    /// Their specialty, as a code or word of the medical system.
    pub specialty: Option<String>,
    /// Since when they no longer work here.
    pub ended: Option<UtcMillis>,
}

/// Logins and record numbers are not printed.
impl std::fmt::Debug for Staff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staff")
            .field("person", &self.person)
            .field("role", &self.role)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Staff {
    /// Somebody with a role and nothing else.
    pub const fn new(person: PersonId, role: Shipped) -> Self {
        Self { person, role, login: None, practitioner: None, account: None, specialty: None, ended: None }
    }
}

/// What became of a change to the staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// They were not known.
    Added,
    /// Something changed.
    Changed,
    /// It was so already.
    Unchanged,
}

/// Why the staff was not changed.
#[derive(Debug, ThisError)]
pub enum StaffError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such person.
    #[error("nobody has this pseudonym; register the person first")]
    UnknownPerson,
    /// A text is too long, empty or has control characters.
    #[error("{0}: 1 to {TEXT_MAX_BYTES} bytes without control characters")]
    BadText(&'static str),
    /// Somebody else has it.
    #[error("another staff member has this {0} already; end theirs or correct it")]
    Taken(&'static str),
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// The engine.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What is wrong with a row, before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// No such person.
    UnknownPerson,
    /// No such account.
    UnknownAccount,
    /// Somebody else has this login, practitioner id or account.
    Taken(&'static str),
}

impl From<Wrong> for StaffError {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::UnknownPerson => Self::UnknownPerson,
            Wrong::UnknownAccount => Self::UnknownAccount,
            Wrong::Taken(what) => Self::Taken(what),
        }
    }
}

/// Checks the texts of a row.
///
/// # Errors
/// [`StaffError::BadText`].
pub fn check(staff: &Staff) -> Result<(), StaffError> {
    let texts = [("login", &staff.login), ("practitioner", &staff.practitioner), ("specialty", &staff.specialty)];
    for (name, text) in texts {
        let sound = |text: &str| (1..=TEXT_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if text.as_deref().is_some_and(|text| !sound(text)) {
            return Err(StaffError::BadText(name));
        }
    }
    Ok(())
}

#[derive(FromRow)]
struct Row {
    person: String,
    role: String,
    login: Option<String>,
    practitioner: Option<String>,
    account: Option<String>,
    specialty: Option<String>,
    ended_ms: Option<i64>,
}

impl TryFrom<Row> for Staff {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "staff";
        let account = |text: &str| AccountId::parse(text).ok_or("no id of an account");
        Ok(Self {
            person: column(T, "person", &row.person, |text: &str| text.parse())?,
            role: code(T, "role", &row.role, Shipped::parse)?,
            login: row.login,
            practitioner: row.practitioner,
            account: optional(T, "account", row.account.as_deref(), account)?,
            specialty: row.specialty,
            ended: row.ended_ms.map(UtcMillis),
        })
    }
}

/// An engine's connection inside a transaction, on which the staff is changed. For those who change many in one
/// transaction: texts are checked by [`check`] and rights by the caller.
pub(crate) trait StaffRows {
    /// Adds or changes one; who had ended works here again if `staff.ended` is `None`. Who is ended is unbound from
    /// every workstation.
    ///
    /// # Errors
    /// Engine errors.
    async fn put_staff(&mut self, acting: &Acting, staff: &Staff, now: UtcMillis) -> Result<Result<Put, Wrong>, Error>;
}

macro_rules! staff_on {
    ($connection:ty) => {
        impl StaffRows for $connection {
            async fn put_staff(
                &mut self,
                acting: &Acting,
                staff: &Staff,
                now: UtcMillis,
            ) -> Result<Result<Put, Wrong>, Error> {
                let person = staff.person.to_string();
                let account = staff.account.as_ref().map(|account| account.as_str().to_owned());
                let known: Option<Row> = sqlx::query_as(
                    "SELECT person, role, login, practitioner, account, specialty, ended_ms FROM staff WHERE person = $1",
                )
                .bind(&person)
                .fetch_optional(&mut *self)
                .await?;
                let known = known.map(Staff::try_from).transpose()?;
                let wanted = Staff { ended: staff.ended.map(|at| known.as_ref().and_then(|it| it.ended).unwrap_or(at)), ..staff.clone() };
                if known.as_ref() == Some(&wanted) {
                    return Ok(Ok(Put::Unchanged));
                }
                let exists: Option<String> = sqlx::query_scalar("SELECT id FROM person WHERE id = $1")
                    .bind(&person)
                    .fetch_optional(&mut *self)
                    .await?;
                if exists.is_none() {
                    return Ok(Err(Wrong::UnknownPerson));
                }
                if let Some(account) = &account {
                    let exists: Option<String> = sqlx::query_scalar("SELECT id FROM account WHERE id = $1")
                        .bind(account)
                        .fetch_optional(&mut *self)
                        .await?;
                    if exists.is_none() {
                        return Ok(Err(Wrong::UnknownAccount));
                    }
                }
                let others: Vec<(Option<String>, Option<String>)> = sqlx::query_as(
                    "SELECT login, practitioner FROM staff
                     WHERE person <> $1 AND (login = $2 OR practitioner = $3 OR account = $4) LIMIT 3",
                )
                .bind(&person)
                .bind(&wanted.login)
                .bind(&wanted.practitioner)
                .bind(&account)
                .fetch_all(&mut *self)
                .await?;
                if let Some((login, practitioner)) = others.first() {
                    let what = if login.is_some() && *login == wanted.login {
                        "login"
                    } else if practitioner.is_some() && *practitioner == wanted.practitioner {
                        "practitioner"
                    } else {
                        "account"
                    };
                    return Ok(Err(Wrong::Taken(what)));
                }
                sqlx::query(
                    "INSERT INTO staff (person, role, login, practitioner, account, specialty, ended_ms, changed_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                     ON CONFLICT (person) DO UPDATE SET role = excluded.role, login = excluded.login,
                         practitioner = excluded.practitioner, account = excluded.account,
                         specialty = excluded.specialty, ended_ms = excluded.ended_ms, changed_ms = excluded.changed_ms",
                )
                .bind(&person)
                .bind(wanted.role.as_str())
                .bind(&wanted.login)
                .bind(&wanted.practitioner)
                .bind(&account)
                .bind(&wanted.specialty)
                .bind(wanted.ended.map(|at| at.0))
                .bind(now.0)
                .execute(&mut *self)
                .await?;
                let said = match (&known, wanted.ended) {
                    (_, Some(_)) => "staff ended",
                    (None, None) => "staff added",
                    (Some(_), None) => "staff changed",
                };
                let draft = audit::Draft {
                    subject: Some(wanted.person),
                    detail: Some(format!("{said}; role={}", wanted.role)),
                    ..acting.draft(now, Action::PersonChanged)
                };
                audit::record!(self, &draft);
                if wanted.ended.is_some() {
                    self.end_all_of(wanted.person, domain::desk::EndWhy::StaffLeft, now).await?;
                }
                let reason = Some(if wanted.ended.is_some() { "ended" } else { "put" }.to_owned());
                let change =
                    Change { staff: Some(wanted.person), reason, ..Change::new(now, now, ChangeKind::StaffChanged) };
                changes::append!(self, &change);
                Ok(Ok(if known.is_some() { Put::Changed } else { Put::Added }))
            }
        }
    };
}

store::for_each_connection!(staff_on);

/// Adds a staff member or changes what is known of one. With `staff.ended` they work here no more, and what they have
/// open at workstations ends.
///
/// # Errors
/// Everything of [`StaffError`].
pub async fn put(database: &Database, acting: &Acting, staff: &Staff, now: UtcMillis) -> Result<Put, StaffError> {
    acting.must(Permission::DeskManage)?;
    check(staff)?;
    let (acting, staff) = (acting.clone(), staff.clone());
    let put = transact!(database, "staff.put", |conn| { conn.put_staff(&acting, &staff, now).await })?;
    Ok(put?)
}

/// The staff member who is this person; also one who has ended.
///
/// # Errors
/// Engine errors.
pub async fn by_person(database: &Database, person: PersonId) -> Result<Option<Staff>, Error> {
    let person = person.to_string();
    let row: Option<Row> = read!(database, "staff.by_person", |conn| {
        Ok(sqlx::query_as(
            "SELECT person, role, login, practitioner, account, specialty, ended_ms FROM staff WHERE person = $1",
        )
        .bind(&person)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    row.map(Staff::try_from).transpose()
}

/// The staff member of this user name in the medical system; also one who has ended.
///
/// # Errors
/// Engine errors.
pub async fn by_login(database: &Database, login: &str) -> Result<Option<Staff>, Error> {
    let row: Option<Row> = read!(database, "staff.by_login", |conn| {
        Ok(sqlx::query_as(
            "SELECT person, role, login, practitioner, account, specialty, ended_ms FROM staff WHERE login = $1",
        )
        .bind(login)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    row.map(Staff::try_from).transpose()
}

/// The staff member of this id as a practitioner; also one who has ended.
///
/// # Errors
/// Engine errors.
pub async fn by_practitioner(database: &Database, practitioner: &str) -> Result<Option<Staff>, Error> {
    let row: Option<Row> = read!(database, "staff.by_practitioner", |conn| {
        Ok(sqlx::query_as(
            "SELECT person, role, login, practitioner, account, specialty, ended_ms FROM staff WHERE practitioner = $1",
        )
        .bind(practitioner)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    row.map(Staff::try_from).transpose()
}

/// All staff by pseudonym, after `after`, at most `limit` and [`READ_MAX`]; those who have ended too.
///
/// # Errors
/// [`Denied`], or engine errors.
pub async fn list(
    database: &Database,
    acting: &Acting,
    after: Option<PersonId>,
    limit: u32,
) -> Result<Vec<Staff>, StaffError> {
    acting.must(Permission::DeskManage)?;
    let after = after.map_or_else(String::new, |person| person.to_string());
    let rows: Vec<Row> = read!(database, "staff.list", |conn| {
        Ok(sqlx::query_as(
            "SELECT person, role, login, practitioner, account, specialty, ended_ms FROM staff
             WHERE person > $1 ORDER BY person LIMIT $2",
        )
        .bind(&after)
        .bind(i64::from(limit.min(READ_MAX)))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(Staff::try_from).collect::<Result<_, _>>()?)
}
