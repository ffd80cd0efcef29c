//! A real installation for tests: the built executable in a process of its own, in a temporary folder, with simulated
//! readers on real lines in this process.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use controller_sim::plant::{Line, Plant};
use controller_sim::{Handle, Options, Outcome, Simulator, Walk};
use domain::card::{self, CardFormat, CardKey, CardNumber};
use domain::{Clock, ReaderId, UtcMillis};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

/// What a test waits for at most; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Turnstiles on each of the two lines, with two readers each.
const TURNSTILES: u32 = 4;

/// Turnstiles with two readers each, one line on a pseudo-terminal and one on TCP.
fn plant() -> String {
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
    text
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
    /// As the configuration says it.
    pub database: String,
}

impl Site {
    /// Eight turnstiles on two lines. `more` is added to the configuration.
    pub async fn new(more: &str) -> Self {
        Self::with_plant(&plant(), more).await
    }

    /// Other readers.
    pub async fn with_plant(plant: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let mut plant: Plant = toml::from_str(plant).unwrap();
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
        let database = format!("sqlite:{}", folder.path().join("data/tapward.db").display());
        Self { folder, simulator, sim, readers, database }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tapward.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Changes the configuration.
    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), change(text)).unwrap();
    }

    /// What the programs wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
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

    /// Every event of the database, in the order of arrival.
    pub async fn stored(&self) -> Vec<clinic::events::Event> {
        let database = clinic::Database::open(&self.database).await.unwrap();
        let mut all: Vec<clinic::events::Event> = Vec::new();
        loop {
            let after = all.last().map_or(0, |event| event.id);
            let events = clinic::events::after(&database, after, clinic::events::READ_MAX).await.unwrap();
            if events.is_empty() {
                break;
            }
            all.extend(events);
        }
        database.close().await;
        all
    }

    /// Every entry of `journal` is in the database, once, and nothing that the journal does not have by now.
    pub async fn stored_once(&self, journal: &[serde_json::Value]) {
        let mut stored = HashSet::new();
        for event in self.stored().await {
            let key = (event.entry.epoch.to_string(), event.entry.seq);
            assert!(stored.insert(key), "entry {} is stored twice", event.entry.seq);
        }
        let key =
            |entry: &serde_json::Value| (entry["epoch"].as_str().unwrap().to_owned(), entry["seq"].as_u64().unwrap());
        let wanted: HashSet<_> = journal.iter().map(key).collect();
        let missing: Vec<_> = wanted.difference(&stored).collect();
        assert!(missing.is_empty(), "entries {missing:?} never reached the database");
        let recorded: HashSet<_> = self.journal().iter().map(key).collect();
        let invented: Vec<_> = stored.difference(&recorded).collect();
        assert!(invented.is_empty(), "events {invented:?} are not in the journal");
    }

    /// People who tap without end, each with a card of this list.
    pub fn crowd(&self, cards: &[CardNumber]) -> Crowd {
        let stop = CancellationToken::new();
        let people = cards.iter().enumerate().map(|(i, card)| {
            let reader = self.readers[i % self.readers.len()].clone();
            tokio::spawn(tap_on(self.sim.clone(), reader, card.clone(), stop.clone()))
        });
        Crowd { people: people.collect(), stop }
    }

    /// Waits until every reader can be used.
    pub async fn secure(&self) {
        for reader in &self.readers {
            self.secure_reader(reader).await;
        }
    }

    /// Waits until one reader can be used.
    pub async fn secure_reader(&self, reader: &ReaderId) {
        let wait = tokio::time::timeout(PATIENCE, self.sim.wait_for(reader, |state| state.secure)).await;
        wait.unwrap_or_else(|_| panic!("{reader} never became secure; the log:\n{}", self.log())).unwrap();
    }

    /// Taps again and again until it ends as wanted: after a start the policy may be on its way, and the first card
    /// that a reader tells may be one that it kept, which moves nothing.
    pub async fn tap_until(&self, reader: &str, card: &CardNumber, wanted: Outcome) {
        let reader = reader.parse().unwrap();
        let mut last = None;
        let tapping = async {
            while last != Some(wanted) {
                last = Some(self.sim.tap(&reader, card, QUICKLY, Duration::from_secs(2)).await.unwrap());
            }
        };
        let done = tokio::time::timeout(PATIENCE, tapping).await;
        assert!(done.is_ok(), "a tap at {reader} ends as {last:?}, not {wanted:?}; the log:\n{}", self.log());
    }

    /// Holds a card to a reader and goes through if the way opens.
    pub async fn tap(&self, reader: &ReaderId, card: &CardNumber) -> Outcome {
        self.sim.tap(reader, card, QUICKLY, Duration::from_secs(5)).await.unwrap()
    }
}

async fn tap_on(sim: Handle, reader: ReaderId, card: CardNumber, stop: CancellationToken) {
    while !stop.is_cancelled() {
        sim.tap(&reader, &card, QUICKLY, Duration::from_millis(800)).await.unwrap();
    }
}

/// People at the readers.
pub struct Crowd {
    people: Vec<tokio::task::JoinHandle<()>>,
    stop: CancellationToken,
}

impl Crowd {
    /// Ends when the last of them is gone.
    pub async fn go_home(self) {
        self.stop.cancel();
        for person in self.people {
            person.await.unwrap();
        }
    }
}

/// Asks again and again until the answer is yes.
pub async fn until(what: &str, mut yes: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !yes().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asking).await.is_ok(), "{what}: not within {PATIENCE:?}");
}

fn write_line(text: &mut String, line: &Line, port: &str, folder: &Path) {
    writeln!(text, "[[line]]\nid = \"{}\"\nport = \"{port}\"\nprotocol = \"osdp\"\nbaud = 115200", line.id).unwrap();
    for reader in &line.readers {
        // A reader in installation mode gets its key later.
        if let Some(key) = &reader.key {
            let key: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
            write_secret(&folder.join("keys").join(reader.id.as_str()), &key);
        }
        writeln!(
            text,
            "[[line.reader]]\nid = \"{0}\"\naddress = {1}\nkey = \"file:keys/{0}\"\npoint = \"{2}\"\ndirection = \"{3}\"",
            reader.id, reader.address, reader.point, reader.direction
        )
        .unwrap();
    }
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
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
        Self::run(tapward(), config, program)
    }

    /// Starts it by `command`, which is the executable or something that becomes it.
    pub fn run(command: Command, config: &Path, program: &str) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(config.with_file_name("log.txt")).unwrap();
        let mut command = tokio::process::Command::from(command);
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

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().expect("it runs")).unwrap()).unwrap()
    }

    /// Asks it to read its configuration again.
    pub fn reload(&self) {
        rustix::process::kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Asks it to end in order.
    pub async fn stop(mut self) {
        rustix::process::kill_process(self.pid(), Signal::TERM).unwrap();
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
