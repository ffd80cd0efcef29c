//! A private PostgreSQL server for tests: one for each test process, in a temporary folder, reached through a socket
//! file there. Never part of a program. Without the server's programs a test fails and says what to install; it does
//! not skip.
//!
//! The server ends with the test process, also when that is killed: a shell between the two waits at a pipe whose
//! other end only the test process holds.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::Database;

/// A running server.
struct Server {
    folder: PathBuf,
    /// Its end closes with the process, and the server stops.
    _watch: Mutex<(Child, ChildStdin)>,
}

/// What a commit of the private server waits for.
#[derive(Clone, Copy)]
enum Commits {
    /// Nothing: tests are many.
    Unsynced,
    /// The disk.
    Synced,
}

static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Makes a new, empty database on the test process's private server and returns its address.
///
/// # Panics
/// When PostgreSQL is not installed or does not start; the message says what to do.
#[expect(clippy::panic, reason = "a test that lacks its server must fail, with words")]
pub fn postgres_url() -> String {
    let server = match SERVER.get_or_init(|| start(Commits::Unsynced)) {
        Ok(server) => server,
        Err(problem) => panic!("{problem}"),
    };
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let made = run(server_command("createdb").arg("-h").arg(&server.folder).args(["-U", "postgres", &name]));
    match made {
        Ok(()) => format!("postgres://postgres@localhost/{name}?host={}", server.folder.display()),
        Err(problem) => panic!("{problem}"),
    }
}

/// As [`both`], with a server that does not answer a commit before the disk has it, as in a clinic: for measurements. To be
/// called before any other function of this module.
///
/// # Panics
/// As [`both`], or when the server runs already.
#[expect(clippy::panic, reason = "tests only")]
pub async fn both_durable(folder: &Path) -> [Database; 2] {
    let started = tokio::task::spawn_blocking(|| SERVER.set(start(Commits::Synced))).await;
    if !matches!(started, Ok(Ok(()))) {
        panic!("the private PostgreSQL server runs already");
    }
    both(folder).await
}

/// A new database of this program's version on each engine: SQLite in `folder`, PostgreSQL on the private server.
///
/// # Panics
/// As [`postgres_url`], or when a database cannot be opened.
#[expect(clippy::expect_used, reason = "tests only")]
pub async fn both(folder: &Path) -> [Database; 2] {
    let name = format!("both-{}.db", NEXT.fetch_add(1, Ordering::Relaxed));
    let sqlite = Database::open(&format!("sqlite:{}", folder.join(name).display())).await;
    let url = tokio::task::spawn_blocking(postgres_url).await.expect("the private PostgreSQL server");
    let postgres = Database::open(&url).await;
    [sqlite.expect("a SQLite database"), postgres.expect("a PostgreSQL database")]
}

fn start(commits: Commits) -> Result<Server, String> {
    find("postgres")?;
    find("initdb")?;
    // Socket paths may have 107 bytes, so the folder stands at the top of the temporary folder.
    let mut folder = std::env::temp_dir();
    folder.push(format!("tw-pg-{}", std::process::id()));
    // Left over by an earlier process of the same number.
    let _ = std::fs::remove_dir_all(&folder);
    // Made by the user who runs the server: in a sticky folder nobody else may remove it.
    run(as_ordinary_user("mkdir").args(["-m", "777"]).arg(&folder))?;
    let data = folder.join("data");
    run(server_command("initdb").arg("-D").arg(&data).args([
        "-U",
        "postgres",
        "--auth=trust",
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C",
    ]))?;
    // `read` returns when the last holder of the pipe's other end is gone; then the server is stopped at once and
    // everything removed.
    let script = r#"
        "$1" -D "$2/data" -k "$2" -c listen_addresses= -c "fsync=$3" -c max_connections=100 -c log_min_messages=fatal \
            </dev/null >"$2/log" 2>&1 &
        server=$!
        read -r _
        kill -QUIT "$server" 2>/dev/null
        wait "$server" 2>/dev/null
        rm -rf "$2/data" "$2"/* "$2"/.s.*
        rmdir "$2" 2>/dev/null
    "#;
    let postgres = find("postgres")?;
    let mut watcher = as_ordinary_user("sh")
        .args(["-c", script, "sh"])
        .arg(postgres)
        .arg(&folder)
        .arg(match commits {
            Commits::Unsynced => "off",
            Commits::Synced => "on",
        })
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("sh: {error}"))?;
    let pipe = watcher.stdin.take().ok_or("no pipe to the server's watcher")?;
    wait_until_ready(&folder)?;
    Ok(Server { folder, _watch: Mutex::new((watcher, pipe)) })
}

/// `pg_isready` asks the server; between the questions it is given a moment.
fn wait_until_ready(folder: &Path) -> Result<(), String> {
    for _ in 0..200 {
        let asked = server_command("pg_isready").arg("-q").arg("-h").arg(folder).status();
        if asked.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    Err(format!("the private PostgreSQL server did not start within 10 s: {log}"))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The server refuses to run as root; as root, run it as `nobody`.
fn as_ordinary_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command.env("HOME", "/tmp").current_dir("/tmp");
    command
}

fn server_command(program: &str) -> Command {
    as_ordinary_user(find(program).unwrap_or_else(|_| PathBuf::from(program)))
}

/// Looks in PATH, then where Debian puts the programs that PATH does not reach, the newest version first.
fn find(program: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|found| found.filter_map(Result::ok).map(|folder| folder.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.push(PathBuf::from("/usr/local/bin"));
    folders.iter().map(|folder| folder.join(program)).find(|file| file.is_file()).ok_or_else(|| {
        format!("the program {program} of PostgreSQL is missing; install it with `make prepare` (Debian: postgresql)")
    })
}
