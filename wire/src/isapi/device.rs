//! What is asked of and set at a device as a whole: identity, abilities, time, decision channel, push target, doors.

use super::form::{Form, FormError};
use super::time::{DeviceTime, Zone};
use super::{NAMESPACE, OLD_NAMESPACE};
use domain::UtcMillis;

/// Most orders of a door that are remembered.
const ORDERS_MAX: usize = 16;

fn root<'a>(form: &'a Form, name: &'static str) -> Result<&'a Form, FormError> {
    form.get(name).ok_or(FormError::Missing(name))
}

/// What a device says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceInfo {
    /// Model.
    pub model: String,
    /// Serial number: with it begins a journal of its own.
    pub serial: String,
    /// Firmware.
    pub firmware: String,
    /// Network address.
    pub mac: String,
}

impl DeviceInfo {
    /// Reads the answer.
    ///
    /// # Errors
    /// When it is no form or no identity.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = root(&form, "DeviceInfo")?;
        // It is shown to people: plain and short.
        let plain = |name| {
            let text = form.str(name).unwrap_or_default();
            text.chars().filter(|c| !c.is_control()).take(64).collect::<String>()
        };
        let serial = plain("serialNumber");
        if serial.is_empty() {
            return Err(FormError::Missing("serialNumber"));
        }
        Ok(Self { model: plain("model"), serial, firmware: plain("firmwareVersion"), mac: plain("macAddress") })
    }

    /// Writes the answer.
    pub fn write(&self, old: bool) -> String {
        Form::new("DeviceInfo")
            .text("deviceName", "Access Controller")
            .text("model", &self.model)
            .text("serialNumber", &self.serial)
            .text("macAddress", &self.mac)
            .text("firmwareVersion", &self.firmware)
            .text("deviceType", "ACS")
            .to_xml(if old { OLD_NAMESPACE } else { NAMESPACE })
    }
}

/// What a device can do. Absent means that it did not say so; older devices can more than they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// People can be told.
    pub people: Option<bool>,
    /// Cards can be told.
    pub cards: Option<bool>,
    /// It asks a server.
    pub remote_check: Option<bool>,
    /// Its access settings can be written.
    pub settings: Option<bool>,
    /// Its journal can be searched.
    pub history: Option<bool>,
}

impl Abilities {
    /// Reads the answer.
    ///
    /// # Errors
    /// When it is no form or not about abilities.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = form.get("AccessControl").or_else(|| form.get("AccessControlCap")).unwrap_or(&form);
        if form.children.is_empty() {
            return Err(FormError::Missing("AccessControl"));
        }
        Ok(Self {
            people: form.bool("isSupportUserInfo"),
            cards: form.bool("isSupportCardInfo"),
            remote_check: form.bool("isSupportRemoteCheck"),
            settings: form.bool("isSupportAcsCfg"),
            history: form.bool("isSupportAcsEvent"),
        })
    }

    /// Writes the answer.
    pub fn write(self, old: bool) -> String {
        let mut form = Form::new("AccessControl");
        for (name, flag) in [
            ("isSupportUserInfo", self.people),
            ("isSupportCardInfo", self.cards),
            ("isSupportRemoteCheck", self.remote_check),
            ("isSupportAcsCfg", self.settings),
            ("isSupportAcsEvent", self.history),
        ] {
            if let Some(flag) = flag {
                form = form.flag(name, flag);
            }
        }
        form.to_xml(if old { OLD_NAMESPACE } else { NAMESPACE })
    }
}

/// What can be ordered of a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorOrder {
    /// Release once.
    Open,
    /// Close now, and leave it to the device's rules again.
    Close,
    /// Stay open.
    AlwaysOpen,
    /// Stay closed.
    AlwaysClose,
    /// Back to the rules.
    Resume,
}

impl DoorOrder {
    /// The words for it, the usual one first.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Open => &["open"],
            Self::Close => &["close"],
            Self::AlwaysOpen => &["alwaysOpen", "remainOpen"],
            Self::AlwaysClose => &["alwaysClose", "remainClosed"],
            Self::Resume => &["resume"],
        }
    }

    /// The word to use at a door that knows these words; `None` if it cannot do that.
    pub fn word(self, known: &[String]) -> Option<&'static str> {
        let words = self.words();
        if known.is_empty() {
            return words.first().copied();
        }
        words.iter().copied().find(|word| known.iter().any(|known| known == word))
    }

    /// Writes the order in a word that the door knows.
    pub fn write(word: &str) -> String {
        Form::new("RemoteControlDoor").text("cmd", word).to_xml(NAMESPACE)
    }

    /// Reads an order.
    ///
    /// # Errors
    /// When it is no form or no known order.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let word = root(&form, "RemoteControlDoor")?.str("cmd").ok_or(FormError::Missing("cmd"))?.to_owned();
        [Self::Open, Self::Close, Self::AlwaysOpen, Self::AlwaysClose, Self::Resume]
            .into_iter()
            .find(|order| order.words().contains(&word.as_str()))
            .ok_or(FormError::Missing("cmd"))
    }
}

/// The words that a door knows: the attribute `opt` of capabilities is lost in a [`Form`], so this looks for it in the
/// text itself.
///
/// # Errors
/// When it is no form.
pub fn door_words(bytes: &[u8]) -> Result<Vec<String>, FormError> {
    Form::read(bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|_| FormError::Encoding)?;
    let Some(cmd) =
        text.split_once("<cmd").and_then(|(_, rest)| rest.split_once('>')).map(|(attributes, _)| attributes)
    else {
        return Ok(Vec::new());
    };
    let Some(listed) = cmd.split_once("opt=").map(|(_, rest)| rest) else { return Ok(Vec::new()) };
    let quote = listed.chars().next().unwrap_or('"');
    let words = listed.get(1..).and_then(|rest| rest.split(quote).next()).unwrap_or_default();
    Ok(words.split(',').map(|word| word.trim().chars().take(32).collect()).take(ORDERS_MAX).collect())
}

/// Writes the words that a door knows.
pub fn write_door_words(words: &[&str]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<RemoteControlDoor version=\"2.0\" xmlns=\"{NAMESPACE}\"><doorNo min=\"1\" max=\"4\"></doorNo><cmd opt=\"{}\"></cmd></RemoteControlDoor>",
        words.join(",")
    )
}

/// A device's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// What it shows.
    pub local: DeviceTime,
    /// Its zone.
    pub zone: Option<Zone>,
}

impl Time {
    /// Reads the answer.
    ///
    /// # Errors
    /// When it is no form or no time.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = root(&form, "Time")?;
        let local = form.str("localTime").and_then(DeviceTime::read).ok_or(FormError::Missing("localTime"))?;
        Ok(Self { local, zone: form.str("timeZone").and_then(Zone::read) })
    }

    /// Writes a clock: set by hand, in this zone.
    pub fn write(at: UtcMillis, zone: Zone, offset: bool) -> String {
        let stamp = if offset { zone.stamp(at) } else { zone.stamp_plain(at) };
        Form::new("Time")
            .text("timeMode", "manual")
            .text("localTime", &stamp)
            .text("timeZone", &zone.write())
            .to_xml(NAMESPACE)
    }
}

/// How the device asks for decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    /// It asks.
    pub enabled: bool,
    /// By which channel.
    pub channel: String,
    /// The answer is the HTTP response to the push.
    pub sync: bool,
    /// How long it waits.
    pub timeout_s: Option<u32>,
    /// It decides by itself while the server is away.
    pub offline: Option<bool>,
    /// It checks the person by its own rules first.
    pub own_check: Option<bool>,
}

impl Check {
    /// Reads `AcsCfg`.
    ///
    /// # Errors
    /// When it is no form or no such settings.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = root(&form, "AcsCfg")?;
        Ok(Self {
            enabled: form.bool("remoteCheckDoorEnabled").unwrap_or(false),
            channel: form.str("checkChannelType").unwrap_or_default().to_owned(),
            sync: form.str("remoteCheckWithISAPIListen") == Some("sync"),
            timeout_s: form.int("remoteCheckTimeout"),
            offline: form.bool("offlineDevCheckOpenDoorEnabled"),
            own_check: form.bool("needDeviceCheck"),
        })
    }

    /// Writes `AcsCfg` with these fields only: what else is set at the device stays as it is.
    pub fn write(&self) -> String {
        let mut form = Form::new("AcsCfg").flag("remoteCheckDoorEnabled", self.enabled);
        if !self.channel.is_empty() {
            form = form.text("checkChannelType", &self.channel);
            form = form.text("remoteCheckWithISAPIListen", if self.sync { "sync" } else { "async" });
        }
        if let Some(timeout) = self.timeout_s {
            form = form.number("remoteCheckTimeout", timeout);
        }
        if let Some(offline) = self.offline {
            form = form.flag("offlineDevCheckOpenDoorEnabled", offline);
        }
        if let Some(own) = self.own_check {
            form = form.flag("needDeviceCheck", own);
        }
        form.to_json()
    }
}

/// A decision that the device waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCheck {
    /// Which event is answered; needed when the answer is a call of its own.
    pub serial: Option<u64>,
    /// Let through.
    pub granted: bool,
    /// For the device's screen.
    pub info: Option<String>,
}

impl RemoteCheck {
    /// Writes the decision.
    pub fn write(&self) -> String {
        let mut form = Form::new("RemoteCheck");
        if let Some(serial) = self.serial.and_then(|serial| i64::try_from(serial).ok()) {
            form = form.number("serialNo", serial);
        }
        form.text("checkResult", if self.granted { "success" } else { "failed" })
            .maybe("info", self.info.as_deref())
            .to_json()
    }

    /// Reads a decision.
    ///
    /// # Errors
    /// When it is no form or no decision.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = root(&form, "RemoteCheck")?;
        let granted = match form.str("checkResult") {
            Some("success") => true,
            Some("failed") => false,
            _ => return Err(FormError::Missing("checkResult")),
        };
        Ok(Self { serial: form.int("serialNo"), granted, info: form.str("info").map(str::to_owned) })
    }
}

/// Where a device pushes its events to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTarget {
    /// Which of its places for targets, from 1.
    pub id: u32,
    /// Path and query.
    pub url: String,
    /// Address of the server; a name or an IP address.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// TLS.
    pub tls: bool,
    /// In JSON; else XML.
    pub json: bool,
}

impl PushTarget {
    /// Writes the target, to be put at its place: everything is sent, and sent again after an outage.
    pub fn write(&self) -> String {
        let address = self.host.parse::<std::net::Ipv4Addr>().is_ok();
        Form::new("HttpHostNotification")
            .number("id", self.id)
            .text("url", &self.url)
            .text("protocolType", if self.tls { "HTTPS" } else { "HTTP" })
            .text("parameterFormatType", if self.json { "JSON" } else { "XML" })
            .text("addressingFormatType", if address { "ipaddress" } else { "hostname" })
            .text(if address { "ipAddress" } else { "hostName" }, &self.host)
            .number("portNo", self.port)
            .text("httpAuthenticationMethod", "none")
            .flag("httpBroken", true)
            .child(Form::new("SubscribeEvent").number("heartbeat", 30).text("eventMode", "all"))
            .to_xml(NAMESPACE)
    }

    /// Reads a target.
    ///
    /// # Errors
    /// When it is no form or no target.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let form = form.find("HttpHostNotification").ok_or(FormError::Missing("HttpHostNotification"))?;
        let host = form.str("ipAddress").or_else(|| form.str("hostName")).ok_or(FormError::Missing("ipAddress"))?;
        Ok(Self {
            id: form.int("id").unwrap_or(1),
            url: form.str("url").unwrap_or("/").to_owned(),
            host: host.to_owned(),
            port: form.int("portNo").unwrap_or(80),
            tls: form.str("protocolType").is_some_and(|kind| kind.eq_ignore_ascii_case("HTTPS")),
            json: form.str("parameterFormatType").is_some_and(|kind| kind.eq_ignore_ascii_case("JSON")),
        })
    }
}

/// What a device answers to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// 1 is done; 2 busy, 3 device fault, 4 not possible, 5 and 6 the text is wrong, 7 restart needed.
    pub code: u32,
    /// The finer code: `ok`, `deviceBusy`, `notSupport`, `employeeNoAlreadyExist` …
    pub sub: String,
}

impl Status {
    /// Reads either syntax; `None` if it is no such answer.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let form = Form::read(bytes).ok()?;
        let form = form.get("ResponseStatus").unwrap_or(&form);
        let sub: String = form
            .str("subStatusCode")
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(40)
            .collect();
        Some(Self { code: form.int("statusCode")?, sub })
    }

    /// Whether the order was carried out.
    pub const fn is_ok(&self) -> bool {
        matches!(self.code, 0 | 1 | 7)
    }

    /// Whether it should simply be tried later.
    pub fn is_busy(&self) -> bool {
        self.code == 2 || self.sub.eq_ignore_ascii_case("deviceBusy")
    }

    /// Writes the answer in XML or JSON.
    pub fn write(&self, json: bool) -> String {
        let words = match self.code {
            1 => "OK",
            2 => "Device Busy",
            3 => "Device Error",
            4 => "Invalid Operation",
            _ => "Invalid Content",
        };
        let form = Form::new(if json { "" } else { "ResponseStatus" })
            .number("statusCode", self.code)
            .text("statusString", words)
            .text("subStatusCode", &self.sub);
        if json { form.to_json() } else { form.to_xml(NAMESPACE) }
    }
}
