//! Checks an audit log against what was published of it, and says where it differs.
//!
//! The log is read from the database (never written), from an export, or one entry of it from a proof; what was
//! published, from the files of second places and the public key. Everything is read in order, in blocks: a log of any
//! length needs the memory of one block. Owns the judgement and its words; knows nothing of what entries mean. May
//! import `domain` (the format) and `store` (the engines' driver).
//!
//! What it can show and what not is said in `docs/audit.md`: up to the last published head any change is found, after it
//! only changes that are not consistent in themselves.

mod checker;
mod database;
mod export;
mod heads;
mod json;
mod proof;
mod report;

use std::io;
use std::path::PathBuf;

use thiserror::Error as ThisError;

pub use checker::{Checker, Stored, StoredHead};
pub use database::verify_database;
pub use export::verify_export;
pub use heads::{PublicKey, PublicKeys, Published};
pub use proof::{ProofReport, verify_proof};
pub use report::{FAULTS_MAX, Fault, FaultKind, Report};

/// The check could not be made. What the check finds is no error but a [`Fault`].
#[derive(Debug, ThisError)]
pub enum Error {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The database cannot be opened or read.
    #[error("the database cannot be read: {0}")]
    Database(#[from] store::Error),
    /// The key is none.
    #[error(
        "{0} is not a public key: 64 hexadecimal digits, or a file that holds them (`tapward audit key` prints them)"
    )]
    Key(String),
    /// The file is not what it should be.
    #[error("{} is not {expected}: {problem}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(store::Error::from(error).during("audit.verify"))
    }
}
