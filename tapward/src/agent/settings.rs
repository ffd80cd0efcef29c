//! The agent's own configuration: a small TOML file beside its certificate. Unknown keys are refused; relative paths are
//! relative to the file's folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use gateway::port::Port;
use gateway::settings::TlsFiles;
use serde::Deserialize;
use wire::acs_link::Token;
use wire::ascii::{IdentityRule, Pattern, Profile};

/// Fewest and most taps that may be asked to wait.
const QUEUE_MAX: (u64, u64) = (10, 100_000);

/// What the agent is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` of the gateway's `[acs_link] listen`.
    pub server: String,
    /// The gateway's name in its certificate.
    pub gateway: Token,
    /// The gateway's name for this workstation's reader: `at` of the peer's reader.
    pub point: Token,
    /// The site's authority, our certificate and its key.
    pub tls: TlsFiles,
    /// Where taps wait.
    pub queue: PathBuf,
    /// How many may wait.
    pub queue_max: u64,
    /// The reader.
    pub reader: Reader,
}

/// The reader at this computer.
#[derive(Debug, Clone)]
pub enum Reader {
    /// It prints cards as text on a serial port.
    Serial {
        /// Which.
        port: Port,
        /// How fast.
        baud: u32,
        /// What it prints.
        profile: Profile,
        /// What the number of a card is.
        number: IdentityRule,
    },
    /// A reader of smart cards by PC/SC; `None`: the first one there is.
    PcSc {
        /// The beginning of its name.
        name: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: String,
    gateway: String,
    point: String,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    #[serde(default = "queue_file")]
    queue: PathBuf,
    #[serde(default = "queue_max")]
    queue_max: u64,
    reader: ReaderTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReaderTable {
    #[serde(default)]
    kind: Kind,
    port: Option<String>,
    #[serde(default = "baud")]
    baud: u32,
    #[serde(default)]
    profile: ProfileName,
    pattern: Option<String>,
    #[serde(default)]
    number: NumberName,
    name: Option<String>,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Serial,
    Pcsc,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum ProfileName {
    #[default]
    Ironlogic,
    Twn4,
    Twn3,
    Pattern,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum NumberName {
    #[default]
    AsPrinted,
    FacilityNumber,
    #[serde(rename = "rotated-4")]
    RotatedFour,
}

fn queue_file() -> PathBuf {
    PathBuf::from("taps.db")
}

const fn queue_max() -> u64 {
    1000
}

const fn baud() -> u32 {
    9600
}

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong, where, and what to do.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let named = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(named)?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, base).with_context(named)
    }

    fn parse(text: &str, base: &Path) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        if file.server.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            bail!("server = {:?} needs a host and a port, such as gateway.clinic.example:7443", file.server);
        }
        if !(QUEUE_MAX.0..=QUEUE_MAX.1).contains(&file.queue_max) {
            bail!("queue_max = {} must be from {} to {}", file.queue_max, QUEUE_MAX.0, QUEUE_MAX.1);
        }
        let token = |name: &str, value: &str| Token::new(value).map_err(|error| anyhow::anyhow!("{name}: {error}"));
        Ok(Self {
            gateway: token("gateway", &file.gateway)?,
            point: token("point", &file.point)?,
            server: file.server,
            tls: TlsFiles { ca: base.join(file.ca), cert: base.join(file.cert), key: base.join(file.key) },
            queue: base.join(file.queue),
            queue_max: file.queue_max,
            reader: file.reader.read(base)?,
        })
    }
}

impl ReaderTable {
    fn read(self, base: &Path) -> anyhow::Result<Reader> {
        if self.kind == Kind::Pcsc {
            if self.port.is_some() || self.pattern.is_some() {
                bail!("reader.port and reader.pattern are for kind = \"serial\" only");
            }
            return Ok(Reader::PcSc { name: self.name });
        }
        let port = self.port.context("reader.port is missing: name a device such as /dev/serial/by-id/…")?;
        let port = Port::parse(&port, base).map_err(|problem| anyhow::anyhow!("reader.port: {problem}"))?;
        let profile = match (self.profile, self.pattern) {
            (ProfileName::Pattern, Some(pattern)) => Profile::Pattern(
                Pattern::new(&pattern).map_err(|problem| anyhow::anyhow!("reader.pattern: {problem}"))?,
            ),
            (ProfileName::Pattern, None) => {
                bail!(
                    "profile = \"pattern\" needs the form of the line, such as pattern = \"{{facility,3}},{{number,5}}\""
                )
            }
            (_, Some(_)) => bail!("reader.pattern is read with profile = \"pattern\" only"),
            (ProfileName::Ironlogic, None) => Profile::IronLogic,
            (ProfileName::Twn4, None) => Profile::Twn4,
            (ProfileName::Twn3, None) => Profile::Twn3,
        };
        let number = match self.number {
            NumberName::AsPrinted => IdentityRule::AsRead,
            NumberName::FacilityNumber => IdentityRule::FacilityNumber,
            NumberName::RotatedFour => IdentityRule::RotatedLeft(4),
        };
        Ok(Reader::Serial { port, baud: self.baud, profile, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "server = \"gw:7443\"\ngateway = \"clinic-1-gw\"\npoint = \"room-204\"\nca = \"ca.pem\"\n\
        cert = \"c.pem\"\nkey = \"k.pem\"\n[reader]\nport = \"/dev/ttyUSB0\"\n";

    #[test]
    fn a_short_file_is_enough() {
        let settings = Settings::parse(GOOD, Path::new("/etc/agent")).unwrap();
        assert_eq!(settings.queue, Path::new("/etc/agent/taps.db"));
        assert_eq!(settings.tls.key, Path::new("/etc/agent/k.pem"));
        assert!(matches!(settings.reader, Reader::Serial { baud: 9600, profile: Profile::IronLogic, .. }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (from, to, says) in [
            ("gw:7443", "gw", "needs a host and a port"),
            ("room-204", "room 204", "point"),
            ("port = \"/dev/ttyUSB0\"", "kind = \"serial\"", "reader.port is missing"),
            ("[reader]", "[reader]\nprofile = \"pattern\"", "needs the form"),
            ("[reader]", "[reader]\nkind = \"pcsc\"", "serial\" only"),
            ("[reader]", "queue_max = 1\n[reader]", "must be from 10"),
            ("[reader]", "colour = 1\n[reader]", "colour"),
        ] {
            let error = format!("{:#}", Settings::parse(&GOOD.replace(from, to), Path::new(".")).unwrap_err());
            assert!(error.contains(says), "{to}: {error}");
        }
    }
}
