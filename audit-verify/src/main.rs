//! `tapward-audit`: the verifier as a program of its own, for whoever doubts the server. It needs the database or an
//! export, the files of second places and the public key; it writes nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use audit_verify::{Error, PublicKey, PublicKeys, Published, Report, verify_database, verify_export, verify_proof};
use clap::{Args, Parser, Subcommand};

/// Something is wrong with what was checked.
const FOUND: u8 = 4;
/// The check could not be made.
const FAILED: u8 = 1;

const AFTER_HELP: &str = "\
Exit codes: 0 sound · 1 the check could not be made · 2 wrong use of the command line · 4 faults were found";

/// Checks a Tapward audit log against its published heads
#[derive(Debug, Parser)]
#[command(name = "tapward-audit", version, after_help = AFTER_HELP, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the whole log, from the database or from an export
    Verify {
        /// The database: sqlite:PATH or postgres://user:password@host/name; it is only read
        #[arg(long, value_name = "URL", required_unless_present = "export", env = "TAPWARD_AUDIT_DATABASE")]
        database: Option<String>,
        /// An export (lines of JSON) instead
        #[arg(long, value_name = "FILE", conflicts_with = "database")]
        export: Option<PathBuf>,
        #[command(flatten)]
        against: Against,
    },
    /// Check the proof of one entry
    Proof {
        /// The file that the auditor's page or `tapward audit proof` gave
        file: PathBuf,
        #[command(flatten)]
        against: Against,
    },
    /// Check the files of second places alone: signatures, and that they do not contradict each other
    Heads {
        #[command(flatten)]
        against: Against,
    },
}

#[derive(Debug, Args)]
struct Against {
    /// A file of a second place; may be given several times
    #[arg(long, value_name = "FILE")]
    heads: Vec<PathBuf>,
    /// A public key as printed by `tapward audit key`, or a file that holds it; several after a change of keys
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Against {
    fn published(&self) -> Result<Published, Error> {
        let keys: Vec<PublicKey> = self.key.iter().map(|key| PublicKey::read(key)).collect::<Result<_, Error>>()?;
        Published::read(PublicKeys(keys), self.heads.iter().map(PathBuf::as_path))
    }
}

fn main() -> ExitCode {
    match carry_out(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("tapward-audit: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn carry_out(command: Command) -> Result<bool, Error> {
    match command {
        Command::Verify { database, export, against } => {
            let published = against.published()?;
            let report = match (database, export) {
                (_, Some(path)) => verify_export(&path, published)?,
                (Some(url), None) => in_runtime(&url, published)?,
                (None, None) => verify_export(Path::new(""), published)?,
            };
            Ok(print(&report, against.json))
        }
        Command::Heads { against } => Ok(print(&Report::of_heads(&against.published()?), against.json)),
        Command::Proof { file, against } => {
            let report = verify_proof(&file, &against.published()?)?;
            show(&report, || report.to_json(), against.json);
            Ok(report.is_sound())
        }
    }
}

fn in_runtime(url: &str, published: Published) -> Result<Report, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::File { path: PathBuf::from("the runtime"), error })?;
    runtime.block_on(verify_database(url, published))
}

fn print(report: &Report, json: bool) -> bool {
    show(report, || report.to_json(), json);
    report.is_sound()
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
fn show(report: &impl std::fmt::Display, as_json: impl FnOnce() -> serde_json::Value, json: bool) {
    if json {
        println!("{:#}", as_json());
    } else {
        print!("{report}");
    }
}
