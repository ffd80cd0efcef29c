//! What tests of acs-link need beside an installation: certificates made by the product's own command, a configuration,
//! and a client in Python that was written from the specification alone.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::installation::{PATIENCE, tapward};

/// The gateway's node.
pub const GATEWAY: &str = "clinic-1-gw";

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Makes certificates as an installer would.
pub fn certificates(folder: &Path, gateway: Option<&str>, nodes: &[&str]) {
    let mut command = tapward();
    command.args(["acs-link", "certificates", "--folder"]).arg(folder);
    if let Some(gateway) = gateway {
        command.args(["--gateway", gateway]);
    }
    for node in nodes {
        command.args(["--node", node]);
    }
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// `[acs_link]` with the certificates of a folder; one that is not absolute is beside the configuration.
pub fn listener(port: u16, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[acs_link]\nlisten = \"127.0.0.1:{port}\"\nnode = \"{GATEWAY}\"\nca = \"{folder}/ca.pem\"\n\
         cert = \"{folder}/node-{GATEWAY}.pem\"\nkey = \"{folder}/node-{GATEWAY}-key.pem\"\n"
    )
}

/// A simulated controller with one turnstile, and its point, as a plant has them. The certificates must be there
/// before the simulator starts.
pub fn simulated(node: &str, point: &str, port: u16, folder: &Path) -> String {
    let (acs, readers) = (folder.display(), ["in", "out"].map(|way| {
        format!(
            "[[peer.reader]]\nid = \"{point}-{way}\"\npoint = \"{point}\"\ndirection = \"{way}\"\nat = \"clinic/{point}\"\n"
        )
    }));
    format!(
        "[[point]]\nid = \"{point}\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"\n\
         [[peer]]\nid = \"{node}\"\n[peer.speaks.acs_link]\nnode = \"{node}\"\nconnect = \"127.0.0.1:{port}\"\n\
         file = \"{node}.acs\"\nrelease_ms = 3000\nanswer_within_ms = 2000\n\
         [peer.speaks.acs_link.tls]\nca = \"{acs}/ca.pem\"\ncert = \"{acs}/node-{node}.pem\"\n\
         key = \"{acs}/node-{node}-key.pem\"\ngateway = \"{GATEWAY}\"\n{}",
        readers.concat()
    )
}

/// A `[[peer]]` with one turnstile: `POINT-in` and `POINT-out`, at `clinic/POINT`.
pub fn peer(node: &str, point: &str, more: &str) -> String {
    let mut text = format!(
        "[[peer]]\nid = \"{node}\"\nprotocol = \"acs-link\"\nnode = \"{node}\"\ncache = \"everybody\"\nheartbeat_s = 1\n{more}\n"
    );
    for direction in ["in", "out"] {
        writeln!(
            text,
            "[[peer.reader]]\nid = \"{point}-{direction}\"\nat = \"clinic/{point}\"\npoint = \"{point}\"\ndirection = \"{direction}\""
        )
        .unwrap();
    }
    text
}

/// The independent client.
pub struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Everything that it said, for the message of a failing test.
    pub said: Vec<Value>,
}

/// How a client reaches its gateway.
pub enum Way {
    /// It connects to this port.
    Connect(u16),
    /// It listens on this port.
    Listen(u16),
}

impl Client {
    /// Starts it with the certificates in `folder/acs` and its state in `folder/NODE.json`.
    pub async fn start(folder: &Path, node: &str, way: Way) -> Self {
        Self::start_as(folder, node, node, way).await
    }

    /// Starts it with another node's certificate.
    pub async fn start_as(folder: &Path, node: &str, certificate: &str, way: Way) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let acs = folder.join("acs");
        let mut command = tokio::process::Command::new(python());
        command.arg(root.join("wire/tests/interop/acs_client.py"));
        command.args(["--node", node, "--gateway", GATEWAY]);
        command.arg("--schema").arg(root.join("docs/protocol/acs-link.xsd"));
        command.arg("--state").arg(folder.join(format!("{node}.json")));
        command.arg("--ca").arg(acs.join("ca.pem"));
        command.arg("--cert").arg(acs.join(format!("node-{certificate}.pem")));
        command.arg("--key").arg(acs.join(format!("node-{certificate}-key.pem")));
        match way {
            Way::Connect(port) => command.args(["--connect", &format!("127.0.0.1:{port}")]),
            Way::Listen(port) => command.args(["--listen", &port.to_string()]),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut client = Self { child, stdin, lines, said: Vec::new() };
        client.hears("it is ready", |word| word["ready"].is_string()).await;
        client
    }

    /// Tells it to do something.
    pub async fn does(&mut self, word: &Value) {
        self.stdin.write_all(format!("{word}\n").as_bytes()).await.unwrap();
    }

    /// The next thing that it says and that is as wanted; the rest is skipped. A breach of the protocol fails the
    /// test, whatever was waited for.
    pub async fn hears(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let look = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let word: Value = serde_json::from_str(&line).unwrap();
                assert!(word["breach"].is_null(), "{word}; before: {:#?}", self.said);
                self.said.push(word.clone());
                if wanted(&word) {
                    return word;
                }
            }
            panic!("the client ended before: {what}; it said {:#?}", self.said);
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}; the client said {:#?}", self.said))
    }

    /// Waits for a message of this kind.
    pub async fn gets(&mut self, kind: &str) -> Value {
        self.hears(&format!("a {kind}"), |word| word["got"] == kind).await
    }

    /// Connects again and again until it is welcome, as a real one would; gives the welcome.
    pub async fn connects(&mut self) -> Value {
        let trying = async {
            loop {
                self.does(&serde_json::json!({ "do": "connect" })).await;
                let word = self
                    .hears("a welcome or a failure", |word| word["got"] == "welcome" || word["failed"].is_string())
                    .await;
                if word["got"] == "welcome" {
                    return word;
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(PATIENCE, trying).await.expect("the gateway is there")
    }

    /// Ends it in order.
    pub async fn quit(mut self) {
        self.does(&serde_json::json!({ "do": "quit" })).await;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }

    /// Ends it at once, as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root.join("target/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let found = python.exists()
        && std::process::Command::new(&python)
            .args(["-c", "import lxml"])
            .output()
            .is_ok_and(|done| done.status.success());
    assert!(found, "the Python environment with lxml is missing ({}); run `make prepare`", python.display());
    python
}
