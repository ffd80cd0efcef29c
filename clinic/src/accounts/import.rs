//! Bringing the users of an earlier system: a CSV file with `login,shown_name,email,role,hash`, whole or not at all.
//! A hash is bcrypt (`$2a$`, `$2b$`, `$2y$`) or Argon2 in PHC form; it is replaced when its holder signs in. Without a
//! hash somebody needs a password link.

use std::collections::BTreeSet;
use std::io::Read;

use domain::{Permission, Shipped};

use super::account::{check_shown_name, seal_name};
use super::{AccountError, AccountId, Accounts, Email, Login, hashing, random_id};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::roles::{self, Grant};

/// Most lines of a file.
const LINES_MAX: usize = 5000;
/// Longest file, in bytes.
const BYTES_MAX: u64 = 4 << 20;
/// The columns, by name; others are ignored.
const COLUMNS: [&str; 5] = ["login", "shown_name", "email", "role", "hash"];

/// What is wrong with a line. Says nothing of what stands there: it may be a hash, or somebody's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProblem {
    /// The line of the file, the header being 1.
    pub line: u64,
    /// Which column.
    pub column: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Accounts made.
    pub made: usize,
    /// Accounts that were there already; nothing of them was changed.
    pub known: usize,
    /// Of those made, without a password: they need a link.
    pub without_password: usize,
    /// What is wrong; nothing was imported then.
    pub problems: Vec<ImportProblem>,
}

struct New {
    id: String,
    login: String,
    name_box: Option<Vec<u8>>,
    email_box: Option<Vec<u8>>,
    grants: Vec<Grant>,
    hash: Option<String>,
}

impl Accounts {
    /// Reads a file and makes the accounts that are not there yet. `dry_run` only checks.
    ///
    /// # Errors
    /// [`AccountError::Denied`] without [`Permission::AccountEdit`]; [`AccountError::Role`] when a role grants more
    /// than who acts may; engine errors. What is wrong with the file is in the report.
    pub async fn import(&self, acting: &Acting, file: impl Read, dry_run: bool) -> Result<ImportReport, AccountError> {
        acting.must(Permission::AccountEdit)?;
        let mut report = ImportReport::default();
        let lines = self.read_lines(file, &mut report)?;
        if dry_run || !report.problems.is_empty() {
            report.made = lines.len();
            report.without_password = lines.iter().filter(|line| line.hash.is_none()).count();
            return Ok(report);
        }
        let now = self.clock.now();
        let rights = acting.rights.clone();
        let made_entry = acting.draft(now, Action::AccountCreated);
        let end_entry = acting.draft(now, Action::Imported);
        let outcome = store::transact!(self.database, "accounts.import", |conn| {
            let tables = roles::tables!(conn);
            let mut report = ImportReport::default();
            for line in &lines {
                if let Err(refused) = roles::check(&tables, &rights, &line.grants) {
                    return Ok(Err(refused));
                }
            }
            for line in &lines {
                let inserted = store::sqlx::query(
                    "INSERT INTO account (id, login, shown_name, name_box, email_box, locale, theme, password_hash, \
                     created_at) VALUES ($1, $2, '', $3, $4, '', 'system', $5, $6) ON CONFLICT (login) DO NOTHING",
                )
                .bind(&line.id)
                .bind(&line.login)
                .bind(&line.name_box)
                .bind(&line.email_box)
                .bind(&line.hash)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
                if inserted.rows_affected() == 0 {
                    report.known += 1;
                    continue;
                }
                report.made += 1;
                report.without_password += usize::from(line.hash.is_none());
                roles::put_roles!(conn, &line.id, &line.grants);
                let detail = Some(format!("imported: {}", roles::words(&line.grants)));
                let entry = Draft { object: Some(line.id.clone()), detail, ..made_entry.clone() };
                audit::record!(conn, &entry);
            }
            let detail = Some(format!("accounts: {} made, {} known", report.made, report.known));
            audit::record!(conn, &Draft { detail, ..end_entry.clone() });
            Ok(Ok(report))
        })?;
        Ok(outcome?)
    }

    fn read_lines(&self, file: impl Read, report: &mut ImportReport) -> Result<Vec<New>, AccountError> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(file.take(BYTES_MAX));
        let mut problem = |line, column, advice| report.problems.push(ImportProblem { line, column, advice });
        let Ok(header) = reader.headers().cloned() else {
            problem(1, "login", "the file cannot be read; it must be UTF-8 with commas");
            return Ok(Vec::new());
        };
        let at = COLUMNS.map(|name| header.iter().position(|column| column.eq_ignore_ascii_case(name)));
        if at[0].is_none() || at[3].is_none() {
            problem(1, "login", "the first line names the columns: login,shown_name,email,role,hash");
            return Ok(Vec::new());
        }
        let (mut lines, mut seen) = (Vec::new(), BTreeSet::new());
        for record in reader.records() {
            let Ok(record) = record else {
                problem(0, "login", "a line cannot be read; the file must be UTF-8 with commas and closed quotes");
                break;
            };
            let line = record.position().map_or(0, csv::Position::line);
            if lines.len() >= LINES_MAX {
                problem(line, "login", "more than 5000 lines; divide the file");
                break;
            }
            let field = |n: usize| at[n].and_then(|at| record.get(at)).unwrap_or_default();
            let Ok(login) = Login::new(field(0)) else {
                problem(line, "login", "a sign-in name has 1 to 64 of the characters a-z, 0-9 and . _ @ -");
                continue;
            };
            if !seen.insert(login.as_str().to_owned()) {
                problem(line, "login", "this sign-in name stands in the file twice");
                continue;
            }
            let Ok(name) = check_shown_name(field(1)) else {
                problem(line, "shown_name", "a name has at most 80 characters, all on one line");
                continue;
            };
            let email = match field(2) {
                "" => None,
                typed => match Email::new(typed) {
                    Ok(email) => Some(email),
                    Err(_) => {
                        problem(line, "email", "this is not an e-mail address; leave it empty if there is none");
                        continue;
                    }
                },
            };
            let roles: Option<Vec<Grant>> = field(3)
                .split([' ', ';'])
                .filter(|code| !code.is_empty())
                .map(Shipped::parse)
                .map(|role| role.map(Grant::site))
                .collect();
            let Some(grants) = roles.filter(|roles| !roles.is_empty()) else {
                problem(line, "role", "name one or more shipped roles, for example guard or pass_office");
                continue;
            };
            let hash = match field(4) {
                "" => None,
                hash if hashing::is_usable(hash) => Some(hash.to_owned()),
                _ => {
                    problem(
                        line,
                        "hash",
                        "not a hash that can be taken over: bcrypt ($2a$, $2b$, $2y$) of cost 4 to 14, or Argon2 in \
                         PHC form; leave it empty and send the person a link",
                    );
                    continue;
                }
            };
            let id = random_id();
            let email_box = email
                .map(|email| self.cabinet.seal("account", "email_box", &id, email.reveal().as_bytes()))
                .transpose()?;
            let name_box = seal_name(&self.cabinet, &id, &name)?;
            lines.push(New { login: login.as_str().to_owned(), name_box, email_box, grants, hash, id });
        }
        Ok(lines)
    }

    /// The id of the account with this sign-in name, if there is one.
    pub async fn find(&self, login: &Login) -> Result<Option<AccountId>, AccountError> {
        let name = login.as_str();
        let id: Option<String> = store::read!(self.database, "accounts.find", |conn| {
            Ok(store::sqlx::query_scalar("SELECT id FROM account WHERE login = $1")
                .bind(name)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(id.as_deref().and_then(AccountId::parse))
    }
}
