//! The command line: what can be asked of `tapward`, as documentation that also parses.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Exit codes, for scripts.
pub mod exit {
    /// The configuration is wrong; nothing was started or changed.
    pub const CONFIGURATION: u8 = 3;
    /// A check found something wrong (journal verify, config check with warnings asked for, import with bad rows).
    pub const FOUND: u8 = 4;
    /// Anything else that went wrong while working.
    pub const FAILED: u8 = 1;
}

const AFTER_HELP: &str = "\
Exit codes: 0 done · 1 failed while working · 2 wrong use of the command line · 3 wrong configuration · \
4 a check found something (bad rows, a damaged journal)

Where the configuration comes from: --config FILE, else TAPWARD_CONFIG, else ./tapward.toml, else \
/etc/tapward/tapward.toml. `tapward config default` prints one to start from.";

/// Access control for clinics: readers, turnstiles and doors; who may pass, who passed, and why.
#[derive(Debug, Parser)]
#[command(name = "tapward", version, after_help = AFTER_HELP, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration file; relative paths inside are relative to its folder
    #[arg(long, short, global = true, value_name = "FILE", env = "TAPWARD_CONFIG")]
    pub config: Option<PathBuf>,

    /// How log lines look on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "TAPWARD_LOG_FORMAT")]
    pub log_format: LogFormat,

    /// Which log lines appear: error, warn, info, debug, or per part, as in "info,gateway=debug"
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", env = "TAPWARD_LOG")]
    pub log: String,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What `tapward` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: gateway, bridge and dashboard, with SQLite files in the data folder
    Run,
    /// Run the doors only: serial lines, decisions, journal
    Gateway,
    /// Run the bridge only: takes in what gateways recorded, hands out policy
    Bridge,
    /// Run the web pages only
    Dashboard,
    /// Forward the taps of the reader at this computer to the gateway: `--config agent.toml`
    Agent,
    /// Play a clinic's readers and people against a gateway, from a scenario file
    Sim(SimArgs),
    /// Run everything with a simulated clinic beside it, to look at
    Demo(DemoArgs),
    /// Print or check a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Read the gateway's journal
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Ask the access rules
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// People and their cards
    #[command(subcommand)]
    People(PeopleCommand),
    /// Lists that other systems put into a folder
    #[command(subcommand)]
    Feeds(FeedsCommand),
    /// Accounts of those who use the pages
    #[command(subcommand)]
    Accounts(AccountsCommand),
    /// The audit log: check it, take it away, prove an entry
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The identity vault: its state, its keys, erased persons
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Personal data: the map and papers of this installation, terms of keeping
    #[command(subcommand)]
    Privacy(PrivacyCommand),
    /// The till: checks of what is owed, paid and posted
    #[command(subcommand)]
    Till(TillCommand),
    /// Controllers and systems in the network: how far their streams have got, what was set aside
    Peers(PeersArgs),
    /// Certificates for acs-link: controllers and systems that speak XML with the gateway
    #[command(subcommand)]
    AcsLink(AcsLinkCommand),
    /// Work on an OSDP line: find readers, give them keys, watch the bytes
    #[command(subcommand)]
    Osdp(OsdpCommand),
    /// Print the version
    Version,
}

/// `tapward sim`
#[derive(Debug, Args)]
pub struct SimArgs {
    /// Scenario file; without it, `--print` shows one to start from
    #[arg(value_name = "SCENARIO")]
    pub scenario: Option<PathBuf>,
    /// Print the sample scenario and stop
    #[arg(long)]
    pub print: bool,
    /// Write the people and cards of the scenario as CSV for `tapward people import`, and stop
    #[arg(long, value_name = "FILE")]
    pub people: Option<PathBuf>,
    /// How many times faster than real time
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Seed of everything random; the scenario's own if not given
    #[arg(long)]
    pub seed: Option<u64>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub for_s: Option<u64>,
}

/// `tapward demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the demo keeps its files
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    pub folder: PathBuf,
    /// Where the pages listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: String,
    /// How many times faster than real time the clinic's day goes
    #[arg(long, default_value_t = 5.0)]
    pub speed: f64,
    /// Seed of everything random
    #[arg(long, default_value_t = 20)]
    pub seed: u64,
    /// Language of the pages before sign-in: en or ru
    #[arg(long, default_value = "en")]
    pub language: String,
    /// A GNU Health beside it, which is told of visits: `make demo-mis` starts one
    #[arg(long, value_name = "URL")]
    pub gnuhealth: Option<String>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub for_s: Option<u64>,
}

/// `tapward config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a configuration to start from, every key explained
    Default,
    /// Check the configuration and the files it names; start nothing
    Check,
}

/// `tapward journal …`
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Print entries, oldest first
    Tail {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Go on with new entries as they are written
        #[arg(long, short)]
        follow: bool,
        /// Start after this sequence number (default: the last 20 entries, or all with --json)
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
    },
    /// Check that no entry was changed, removed or swapped
    Verify,
}

/// `tapward policy …`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say why a card would be allowed or refused at a point, by the code that decides
    Explain {
        /// The access point
        #[arg(long)]
        point: String,
        /// in or out
        #[arg(long, default_value = "in")]
        direction: String,
        /// Pseudonymous card id (32 hexadecimal digits)
        #[arg(long, conflicts_with_all = ["card_number", "person"])]
        card: Option<String>,
        /// Card number, with --card-format
        #[arg(long, requires = "card_format")]
        card_number: Option<String>,
        /// wiegand26, wiegand34, wiegand37, uid-hex, uid-hex-reversed, facility,number
        #[arg(long)]
        card_format: Option<String>,
        /// The `person` column of the import: explains for that person's first active card
        #[arg(long)]
        person: Option<String>,
        /// When, as RFC 3339; now if not given
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

/// `tapward people …`
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Import people and cards from CSV: person,kind,category,card_format,card_number,valid_from,valid_until; and,
    /// for the identity vault, family,given,middle,birth_date,phone,email,document
    Import {
        /// The CSV file, UTF-8, with a header line
        file: PathBuf,
        /// Report what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Keep card numbers, sealed, although this configuration has no peer with a cache: another gateway's has
        #[arg(long)]
        keep_numbers: bool,
    },
    /// List people and their passes (pseudonyms and references, never names)
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Remove the sealed card numbers: no device is to be told cards any more
    ForgetNumbers,
    /// Change the state of a person's passes: block, report lost, withdraw, or make active again
    Set {
        /// The `person` column of the import, or the pseudonym
        person: String,
        /// active, blocked, lost or withdrawn
        state: String,
    },
}

/// `tapward feeds …`
#[derive(Debug, Subcommand)]
pub enum FeedsCommand {
    /// Read a list and say which rows cannot be taken; nothing is changed and no database is needed
    Check {
        /// The CSV file: `staff.csv`, `patients.whole.csv` and so on
        file: PathBuf,
        /// What it is, if its name does not say it: staff, patients, workplaces, appointments, purposes, conditions, messages
        #[arg(long)]
        kind: Option<String>,
    },
}

/// `tapward accounts …`
#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// Print a one-time sign-in link for the administrator's account (valid 24 hours)
    Link,
    /// Make accounts for the users of an earlier system from CSV: login,shown_name,email,role,hash
    ///
    /// A hash is bcrypt or Argon2 and is replaced when its holder signs in; without one a person needs a password link.
    /// Accounts that are there already stay as they are. With a bad line nothing is imported.
    Import {
        /// The CSV file, UTF-8, with a header line
        file: PathBuf,
        /// Report what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// `tapward vault …`
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Say whether it opens, how many persons it holds, and how far a change of keys is; exit code 4 if it is locked
    State,
    /// Change its key, and stay until that is done; may be stopped and started again at any time. A passphrase is read
    /// from standard input
    Rotate {
        /// Change the key of the search index instead
        #[arg(long)]
        index: bool,
    },
    /// Erase again whom a restored backup has brought back; every start does it too
    Reapply,
    /// Remove pictures that no person has any more; happens once a day by itself too
    Sweep,
    /// Make a new file with a key, for a medium that can be taken out; never overwrites
    MakeKey {
        /// The file
        file: PathBuf,
    },
}

/// `tapward audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the whole log against itself and the configured second places; says what is wrong and where
    Verify {
        /// An export (lines of JSON) instead of the database
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
        /// A file of a second place instead of the configured ones; may be given several times
        #[arg(long, value_name = "FILE")]
        heads: Vec<PathBuf>,
        /// A public key, or a file that holds it, instead of this installation's
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the whole log out; who did it is written into the log first
    Export {
        /// As lines for the verifier, as FHIR AuditEvents one a line, or as one FHIR Bundle
        #[arg(long, value_enum, default_value_t = AuditForm::Lines)]
        form: AuditForm,
        /// A new file, instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write the proof of one entry, for `tapward-audit proof`
    Proof {
        /// The entry's number
        number: u64,
        /// A new file, instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the last signed heads, and how the second places are doing
    Heads,
    /// Print the public key that checks the heads
    Key,
    /// Blot out the note of one entry; the log still verifies, and says that it was done
    Blot {
        /// The entry's number
        number: u64,
        /// Why
        #[arg(long, value_enum)]
        reason: BlotReason,
    },
}

/// `tapward till …`
#[derive(Debug, Subcommand)]
pub enum TillCommand {
    /// Compare the till with itself: balances, limits, charges, payments, drawers, numbers and the audit log with the
    /// ledger; repairs nothing. Exit code 4 if something differs
    Check {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// The trial balance: every account of the ledger with what was debited and credited. Exit code 4 if it does not sum to
    /// zero
    Balance {
        /// At the end of this day, as 2027-03-31; without it as of now
        #[arg(long)]
        until: Option<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Work out the discounts of a patient again, from the first service on. Exit code 4 if something comes out otherwise
    Discounts {
        /// A reference or pseudonym
        person: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// The price list
    #[command(subcommand)]
    Prices(PricesCommand),
    /// The services
    #[command(subcommand)]
    Services(ServicesCommand),
}

/// `tapward till prices …`
#[derive(Debug, Subcommand)]
pub enum PricesCommand {
    /// Take over services and prices from a CSV file: all of it, or with any fault nothing. Exit code 4 for a fault
    Import {
        /// The file
        file: PathBuf,
        /// From which day the prices count, as 2027-03-31; today and without it: from now on
        #[arg(long)]
        from: Option<String>,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tapward till services …`
#[derive(Debug, Subcommand)]
pub enum ServicesCommand {
    /// List services with their prices now: code, price, currency, name
    List {
        /// Prices in this currency; without it that of the clinic
        #[arg(long)]
        currency: Option<String>,
        /// Also those that are not given any more
        #[arg(long)]
        all: bool,
        /// Answer in JSON, with names in all languages and the next planned prices
        #[arg(long)]
        json: bool,
    },
}

/// As what the log is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditForm {
    /// Lines of JSON with everything that the verifier needs.
    Lines,
    /// FHIR R4 AuditEvents, one a line.
    Fhir,
    /// One FHIR R4 Bundle.
    FhirBundle,
}

impl AuditForm {
    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Fhir => "fhir",
            Self::FhirBundle => "fhir-bundle",
        }
    }
}

/// Why a note is blotted out.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BlotReason {
    /// The person whom it is about asked for erasure.
    Erasure,
    /// Something was typed that does not belong there.
    WrongEntry,
}

impl BlotReason {
    /// The code that stands in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erasure => "erasure",
            Self::WrongEntry => "wrong_entry",
        }
    }
}

/// `tapward privacy …`
#[derive(Debug, Subcommand)]
pub enum PrivacyCommand {
    /// Print the data map: every column and file with its class and purpose
    Map {
        /// One JSON object a line, with ground, term and protection
        #[arg(long)]
        json: bool,
    },
    /// Print the records of processing (GDPR article 30) with this installation's numbers
    Records,
    /// Print the list of data sets with programs, structure and flows
    Sets,
    /// Remove what has outlived its term, as happens by itself once a day
    Retention {
        /// Say what would be removed and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// `tapward peers …`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PeersArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Something else than looking
    #[command(subcommand)]
    pub command: Option<PeersCommand>,
}

/// `tapward peers reset|forget`; the gateway must not be running.
#[derive(Debug, Subcommand)]
pub enum PeersCommand {
    /// After a backup was put back, on either side: begin anew what a peer is told, or move the place in what it tells
    Reset {
        /// The peer's name in the configuration
        peer: String,
        /// Instead: what it tells counts as taken in up to this number; 0 asks it for everything that it still has
        #[arg(long, value_name = "SEQ")]
        held: Option<u64>,
    },
    /// Remove everything kept for a peer that is not in the configuration any more
    Forget {
        /// Its name
        peer: String,
    },
}

/// `tapward acs-link …`
#[derive(Debug, Subcommand)]
pub enum AcsLinkCommand {
    /// Make the site's authority, if there is none, and certificates signed by it; overwrites nothing
    Certificates(CertificatesArgs),
    /// Say whether messages are ones that the gateway takes, by the code that decides; for who makes a controller
    Validate {
        /// Files, each with one message
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// `tapward acs-link certificates`
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("names").required(true).multiple(true).args(["gateway", "node"])))]
pub struct CertificatesArgs {
    /// Where the authority and the certificates are kept
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// A certificate for this gateway under this name
    #[arg(long, value_name = "NODE")]
    pub gateway: Option<String>,
    /// A certificate for a controller or system of this name; may be repeated
    #[arg(long, value_name = "NODE")]
    pub node: Vec<String>,
    /// Host name or address to put in beside the node's name, for programs that ask for it; may be repeated
    #[arg(long, value_name = "HOST")]
    pub name: Vec<String>,
    /// How many days the certificates of nodes are valid
    #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub days: i64,
}

/// `tapward osdp …`
#[derive(Debug, Subcommand)]
pub enum OsdpCommand {
    /// Find readers on a line
    Scan {
        /// Device or tcp://host:port
        port: String,
        /// Only this speed; all six if not given
        #[arg(long)]
        baud: Option<u32>,
    },
    /// Give one reader in installation mode a fresh key. Do this on a bench, with this one reader on the line
    Provision {
        /// Device or tcp://host:port
        port: String,
        /// The reader's address
        #[arg(long)]
        address: u8,
        /// Speed
        #[arg(long, default_value_t = 9600)]
        baud: u32,
        /// Where to write the new key (must not exist yet)
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
    },
    /// Watch the frames of a line without speaking (keys are never shown)
    Trace {
        /// Device or tcp://host:port
        port: String,
        /// Speed
        #[arg(long, default_value_t = 9600)]
        baud: u32,
        /// Stop after this many seconds
        #[arg(long, value_name = "SECONDS")]
        for_s: Option<u64>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_configuration_is_accepted_before_and_after_the_subcommand() {
        for words in [["tapward", "--config", "a.toml", "run"], ["tapward", "run", "--config", "a.toml"]] {
            assert_eq!(Cli::try_parse_from(words).unwrap().config, Some("a.toml".into()));
        }
    }
}
