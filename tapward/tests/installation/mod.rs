//! A real installation for tests: the built executable in a process of its own, in a temporary folder, with simulated
//! readers on real lines in this process.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use controller_sim::plant::{Line, Plant};
use controller_sim::{Handle, Options, Simulator, Walk};
use domain::card::{self, CardFormat, CardKey, CardNumber};
use domain::{Clock, ReaderId, UtcMillis};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

/// What a test waits for at most; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Turnstiles on each of the two lines, with two readers each.
const TURNSTILES: u32 = 4;

fn plant() -> Plant {
    let mut text = String::new();
    for (line, port) in [("west", "west"), ("east", "tcp://127.0.0.1:0")] {
        for n in 1..=TURNSTILES {
            let point = format!("id = \"{line}-{n}\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"");
            writeln!(text, "[[point]]\n{point}").unwrap();
        }
        writeln!(text, "[[line]]\nid = \"{line}\"\nport = \"{port}\"").unwrap();
        for n in 1..=TURNSTILES {
            for (address, direction) in [(2 * n, "in"), (2 * n + 1, "out")] {
                let place = format!("point = \"{line}-{n}\"\ndirection = \"{direction}\"\naddress = {address}");
                writeln!(text, "[[line.reader]]\nid = \"{line}-{n}-{direction}\"\n{place}").unwrap();
            }
        }
    }
    toml::from_str(&text).unwrap()
}

/// The system's clock, as the product sees it.
#[expect(clippy::disallowed_methods, reason = "tests stand outside the product")]
pub fn clock() -> Clock {
    Clock::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        UtcMillis(i64::try_from(since.as_millis()).unwrap())
    })
}

/// A folder with a configuration, keys and simulated readers.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub simulator: Simulator,
    pub sim: Handle,
    pub readers: Vec<ReaderId>,
}

impl Site {
    /// Turnstiles with two readers each, one line on a pseudo-terminal and one on TCP. `more` is added to the
    /// configuration.
    pub async fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let mut plant = plant();
        plant.draw_keys(|bytes| getrandom::fill(bytes).unwrap());
        plant.place_ports(folder.path());
        let options = Options { clock: clock(), tap_record: Some(folder.path().join("taps.jsonl")), seed: 7 };
        let simulator = Simulator::start(&plant, &options, &CancellationToken::new()).await.unwrap();
        let sim = simulator.handle();
        let mut text = format!(
            "[site]\nid = \"clinic-1\"\ntime_zone = \"Europe/Kyiv\"\n[data]\nfolder = \"data\"\n\
             [dashboard]\nlisten = \"127.0.0.1:0\"\n{more}\n"
        );
        for point in &plant.points {
            let (from, to) = (point.from.as_deref().unwrap(), point.to.as_deref().unwrap());
            writeln!(text, "[[point]]\nid = \"{}\"\nkind = \"turnstile\"\nfrom = \"{from}\"\nto = \"{to}\"", point.id)
                .unwrap();
        }
        for line in &plant.lines {
            let port = sim.port_of(&line.id).map_or_else(|| line.port.clone(), |address| format!("tcp://{address}"));
            write_line(&mut text, line, &port, folder.path());
        }
        std::fs::write(folder.path().join("tapward.toml"), text).unwrap();
        let readers = plant.lines.iter().flat_map(|line| &line.readers).map(|reader| reader.id.clone()).collect();
        Self { folder, simulator, sim, readers }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tapward.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs a command of the executable to its end.
    pub fn tapward(&self, words: &[&str]) -> Output {
        tapward().args(words).arg("--config").arg(self.config()).output().unwrap()
    }

    /// Imports these cards, each of a person of its own.
    pub fn import(&self, cards: &[CardNumber]) {
        let mut csv = "person,kind,category,card_format,card_number,valid_from,valid_until\n".to_owned();
        for (i, card) in cards.iter().enumerate() {
            let (_, number) =
                card.reveal_as().into_iter().find(|(format, _)| *format == CardFormat::Wiegand26).unwrap();
            writeln!(csv, "p-{i},staff,nurse,wiegand26,\"{number}\",,").unwrap();
        }
        let file = self.folder.path().join("people.csv");
        std::fs::write(&file, csv).unwrap();
        let done = self.tapward(&["people", "import", file.to_str().unwrap()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }

    /// The key that makes pseudonyms here.
    pub fn card_key(&self) -> CardKey {
        let text = std::fs::read_to_string(self.data().join("keys/card.key")).unwrap();
        let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
        CardKey::new(bytes.try_into().unwrap())
    }

    /// Starts a program; gives it and, if it has pages, what it said about them.
    pub async fn start(&self, program: &str) -> Program {
        Program::start(&self.config(), program).await
    }

    /// Everything that the journal says, one JSON object an entry.
    pub fn journal(&self) -> Vec<serde_json::Value> {
        let tail = self.tapward(&["journal", "tail", "--json"]);
        assert!(tail.status.success(), "{}", String::from_utf8_lossy(&tail.stderr));
        String::from_utf8(tail.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a reader can be used.
    pub async fn secure(&self) {
        for reader in &self.readers {
            tokio::time::timeout(PATIENCE, self.sim.wait_for(reader, |state| state.secure)).await.unwrap().unwrap();
        }
    }
}

fn write_line(text: &mut String, line: &Line, port: &str, folder: &Path) {
    writeln!(text, "[[line]]\nid = \"{}\"\nport = \"{port}\"\nprotocol = \"osdp\"\nbaud = 115200", line.id).unwrap();
    for reader in &line.readers {
        let path = folder.join("keys").join(reader.id.as_str());
        let key: String = reader.key.as_ref().unwrap().expose().iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        writeln!(
            text,
            "[[line.reader]]\nid = \"{0}\"\naddress = {1}\nkey = \"file:keys/{0}\"\npoint = \"{2}\"\ndirection = \"{3}\"",
            reader.id, reader.address, reader.point, reader.direction
        )
        .unwrap();
    }
}

/// The built executable.
pub fn tapward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapward"));
    command.env_remove("TAPWARD_CONFIG").stdin(Stdio::null());
    command
}

/// A running program.
pub struct Program {
    pub child: Child,
    /// What it prints, line by line.
    pub lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Program {
    pub async fn start(config: &Path, program: &str) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(config.with_file_name("log.txt")).unwrap();
        let mut command = tokio::process::Command::from(tapward());
        command.arg(program).arg("--config").arg(config).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next printed line that begins so; the rest of it.
    pub async fn line(&mut self, beginning: &str) -> String {
        let look = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some(rest) = line.strip_prefix(beginning) {
                    return rest.trim().to_owned();
                }
            }
            panic!("the program ended without saying {beginning:?}");
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the program says where it is")
    }

    /// Ends it at once, as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end in order.
    pub async fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap();
        assert!(status.success(), "{status}");
    }
}

/// So many cards.
pub fn cards(count: u32) -> Vec<CardNumber> {
    (1..=count).map(|n| card::parse(CardFormat::Wiegand26, &format!("20,{n}")).unwrap()).collect()
}

/// Goes through quickly.
pub const QUICKLY: Walk = Walk::Through { after: Duration::from_millis(30), followers: 0, hold: Duration::ZERO };
