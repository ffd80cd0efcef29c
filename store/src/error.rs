//! What can go wrong with an engine, said so that an operator knows what to do. Owns the classification of driver
//! errors; nothing else looks at error codes.

use std::borrow::Cow;
use std::fmt;

/// What kind of trouble it is; programs branch on this, people read [`Error`]'s text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Somebody else held the database for longer than we wait, or transactions collided again and again.
    Busy,
    /// The disk, or the quota, is full.
    Full,
    /// The file, folder or server accepts no writes.
    ReadOnly,
    /// The operating system failed to read or write.
    Io,
    /// The file is damaged.
    Corrupt,
    /// The file is something else than a database.
    NotADatabase,
    /// The file or folder is missing, or may not be opened by this user.
    CannotOpen,
    /// The server cannot be reached, refused us, or went away.
    Unavailable,
    /// A newer program has already changed the database; this is its migration number.
    NewerSchema(i64),
    /// A migration that was applied once has another text now.
    ChangedMigration(i64),
    /// The linked SQLite is one that can lose committed writes.
    OldEngine(String),
    /// The address of the database is not one.
    BadUrl(String),
    /// A uniqueness or foreign-key rule refused the row; the rule's name, where the engine tells it.
    Conflict(Option<String>),
    /// A stored value that this program cannot read.
    BadRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it; never the value of a personal column.
        problem: String,
    },
    /// Anything else; see the source.
    Other,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the database was busy for too long; if this repeats, look for a backup tool or another program holding it"),
            Self::Full => f.write_str("the disk is full; free space or move the data folder, writing goes on by itself"),
            Self::ReadOnly => f.write_str("the database cannot be written; check the owner and mode of the file and its folder, and that the disk is not mounted read-only"),
            Self::Io => f.write_str("the disk failed to read or write; check the disk and the system log"),
            Self::Corrupt => f.write_str("the database file is damaged; keep a copy of it and restore the last backup"),
            Self::NotADatabase => f.write_str("the file is not a database; check the path"),
            Self::CannotOpen => f.write_str("the database cannot be opened; check that its folder exists and that this user may write there"),
            Self::Unavailable => f.write_str("the database server cannot be reached or refused the connection; check that it runs, its address, user and password"),
            Self::NewerSchema(version) => write!(f, "the database was changed by a newer version of this program (migration {version} is unknown here); start that version, or restore the backup made before the upgrade"),
            Self::ChangedMigration(version) => write!(f, "migration {version} of this program differs from the one applied to the database; start the program that made it"),
            Self::OldEngine(version) => write!(f, "SQLite {version} can lose committed writes; at least {} is needed, rebuild with the bundled one", crate::database::SQLITE_FLOOR),
            Self::BadUrl(problem) => write!(f, "{problem}; write sqlite:PATH or postgres://user:password@host/name"),
            Self::Conflict(Some(rule)) => write!(f, "the rule {rule} refused the row"),
            Self::Conflict(None) => f.write_str("a uniqueness or reference rule refused the row"),
            Self::BadRow { table, column, problem } => write!(f, "table {table}, column {column}: {problem}"),
            Self::Other => f.write_str("the database refused the operation"),
        }
    }
}

/// A failed operation: which one, what happened and what to do. The driver's own words are the source.
#[derive(Debug)]
pub struct Error {
    operation: Cow<'static, str>,
    fault: Fault,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of our own finding.
    pub fn new(operation: impl Into<Cow<'static, str>>, fault: Fault) -> Self {
        Self { operation: operation.into(), fault, source: None }
    }

    /// A stored value that cannot be read; `problem` must not repeat a personal value.
    pub fn bad_row(table: &'static str, column: &'static str, problem: impl fmt::Display) -> Self {
        Self::new("reading", Fault::BadRow { table, column, problem: problem.to_string() })
    }

    /// Names the operation, if it has no name yet.
    #[must_use]
    pub fn during(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        if self.operation.is_empty() || self.operation == "reading" {
            self.operation = operation.into();
        }
        self
    }

    /// What kind of trouble.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Whether the same transaction may succeed when it is simply run again.
    pub fn is_transient(&self) -> bool {
        self.fault == Fault::Busy
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.operation.is_empty() {
            write!(f, "{}: ", self.operation)?;
        }
        write!(f, "{}", self.fault)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    // The source's text is already part of ours, so chains printed by callers do not say it twice.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self { operation: Cow::Borrowed(""), fault: classify(&error), source: Some(Box::new(error)) }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as M;
        let fault = match &error {
            M::Execute(cause) | M::ExecuteMigration(cause, _) => classify(cause),
            M::VersionMissing(version) => Fault::NewerSchema(*version),
            M::VersionMismatch(version) => Fault::ChangedMigration(*version),
            _ => Fault::Other,
        };
        // For the two version faults our own words say it all.
        let source: Option<Box<dyn std::error::Error + Send + Sync>> = match fault {
            Fault::NewerSchema(_) | Fault::ChangedMigration(_) => None,
            _ => Some(Box::new(error)),
        };
        Self { operation: Cow::Borrowed("preparing the tables"), fault, source }
    }
}

fn classify(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(error) => {
            if error.is_unique_violation() || error.is_foreign_key_violation() {
                return Fault::Conflict(error.constraint().map(str::to_owned));
            }
            match error.code() {
                Some(code) if code.len() == 5 => postgres_fault(&code),
                Some(code) => code.parse().map_or(Fault::Other, sqlite_fault),
                None => Fault::Other,
            }
        }
        sqlx::Error::PoolTimedOut => Fault::Busy,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            Fault::Unavailable
        }
        sqlx::Error::Configuration(problem) => Fault::BadUrl(problem.to_string()),
        _ => Fault::Other,
    }
}

/// Primary result codes, <https://www.sqlite.org/rescode.html>; the low byte of the extended ones.
fn sqlite_fault(extended: i32) -> Fault {
    match extended & 0xff {
        5 | 6 => Fault::Busy,
        8 => Fault::ReadOnly,
        10 => Fault::Io,
        11 => Fault::Corrupt,
        13 => Fault::Full,
        14 => Fault::CannotOpen,
        26 => Fault::NotADatabase,
        _ => Fault::Other,
    }
}

/// SQLSTATE codes, PostgreSQL documentation, appendix A.
fn postgres_fault(state: &str) -> Fault {
    match state {
        "40001" | "40P01" | "55P03" => Fault::Busy,
        "53100" => Fault::Full,
        "25006" => Fault::ReadOnly,
        "58030" => Fault::Io,
        "XX001" | "XX002" => Fault::Corrupt,
        "53300" | "57P01" | "57P02" | "57P03" | "3D000" => Fault::Unavailable,
        state if state.starts_with("08") || state.starts_with("28") => Fault::Unavailable,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_codes_count_as_their_primary_code() {
        assert_eq!(sqlite_fault(517), Fault::Busy, "SQLITE_BUSY_SNAPSHOT");
        assert_eq!(sqlite_fault(1032), Fault::ReadOnly, "SQLITE_READONLY_DBMOVED");
        assert_eq!(sqlite_fault(778), Fault::Io, "SQLITE_IOERR_WRITE");
    }

    #[test]
    fn only_collisions_are_worth_repeating() {
        assert!(Error::new("x", postgres_fault("40001")).is_transient());
        assert!(Error::new("x", postgres_fault("40P01")).is_transient());
        assert!(!Error::new("x", postgres_fault("53100")).is_transient());
    }

    #[test]
    fn the_first_name_of_an_operation_stays() {
        let error = Error::from(sqlx::Error::PoolTimedOut).during("people.import").during("outer");
        assert!(error.to_string().starts_with("people.import: the database was busy"), "{error}");
    }
}
