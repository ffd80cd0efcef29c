//! A private Mosquitto for tests: its own port on 127.0.0.1, its own folder, gone with the value and also when the
//! test's process dies.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

/// Where distributions put it; `/usr/sbin` is often not in an ordinary user's path.
const PLACES: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
/// How long a broker may take to start.
const START_MAX: Duration = Duration::from_secs(20);
/// The shell ends the broker with the signal that it is told, or with KILL when the test's process is gone.
const SCRIPT: &str = r#""$0" -c "$1" 2>&1 & broker=$!; read signal; kill -"${signal:-KILL}" $broker; wait $broker"#;

/// What the broker is to do.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The whole of `mosquitto.conf` except port, user and log, with `{port}` and `{folder}` to be filled in; `None`
    /// for a plain listener that lets everybody in.
    pub text: Option<String>,
    /// More lines.
    pub more: String,
    /// Files to put into its folder: name, content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A running broker. Dropping it kills it, as a power cut would.
#[derive(Debug)]
pub struct Mosquitto {
    folder: TempDir,
    port: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    shell: Child,
    signal: ChildStdin,
}

#[expect(clippy::expect_used, clippy::panic, reason = "a test cannot go on without its server")]
impl Mosquitto {
    /// Starts one.
    ///
    /// # Panics
    /// With what to install, if the program is missing; with its log, if it does not start.
    pub fn new(config: &Config) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in &config.files {
            std::fs::write(folder.path().join(name), content).expect("a file in the temporary folder");
        }
        let mut broker = Self { folder, port: 0, running: None };
        // Another program may take the port between our finding it and the broker's start.
        for _ in 0..5 {
            broker.port = free_port();
            let text = config_text(config, broker.port, broker.folder.path());
            std::fs::write(broker.config_file(), text).expect("a file in the temporary folder");
            match broker.try_start() {
                Ok(()) => return broker,
                Err(log) if log.contains("in use") => {}
                Err(log) => panic!("mosquitto does not start; its log:\n{log}"),
            }
        }
        panic!("mosquitto finds no free port");
    }

    /// Its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Kills it without warning: what it had not written to disk is gone, sessions too.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    /// Stops it in order: with `persistence true` sessions and queued messages survive.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Starts it again, on the same port and folder.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(&mut self) {
        self.try_start().unwrap_or_else(|log| panic!("mosquitto does not start again; its log:\n{log}"));
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("mosquitto.conf")
    }

    fn try_start(&mut self) -> Result<(), String> {
        assert!(self.running.is_none(), "mosquitto is running already");
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .arg(program())
            .arg(self.config_file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("/bin/sh");
        let signal = shell.stdin.take().expect("its standard input");
        let output = shell.stdout.take().expect("its standard output");
        let (lines, log) = mpsc::channel();
        // Reads to the end so that the broker never waits for us to take its log.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        self.running = Some(Running { shell, signal });
        let mut said = String::new();
        loop {
            match log.recv_timeout(START_MAX) {
                Ok(line) if line.ends_with(" running") => return Ok(()),
                Ok(line) => said = said + &line + "\n",
                Err(_) => break,
            }
            if said.contains("Error") {
                break;
            }
        }
        self.kill();
        Err(said)
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut running) = self.running.take() {
            let _ = writeln!(running.signal, "{signal}");
            let _ = running.shell.wait();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

fn config_text(config: &Config, port: u16, folder: &Path) -> String {
    let plain = "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n";
    let text = config.text.as_deref().unwrap_or(plain).to_owned() + "\n" + &config.more;
    let text = text.replace("{port}", &port.to_string()).replace("{folder}", &folder.display().to_string());
    // Its standard output is buffered, so that "running" would not be seen; as root it would become a user that may not read the folder.
    text + "\nuser root\nlog_dest stderr\nlog_type error\nlog_type warning\nlog_type notice\nlog_type information\n"
}

#[expect(clippy::panic, reason = "a test that needs a missing program fails, it does not skip")]
fn program() -> PathBuf {
    let found = PLACES.iter().map(|place| Path::new(place).join("mosquitto")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("the program \"mosquitto\" is missing; `make prepare` installs it"))
}

#[expect(clippy::expect_used, reason = "a test cannot go on without a port")]
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1");
    listener.local_addr().expect("its number").port()
}
