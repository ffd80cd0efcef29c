//! A pushed or streamed event: `EventNotificationAlert` in XML, the same fields bare in JSON, or wrapped once more.
//!
//! Names of people, pictures and masks are never read. The card number stays in a wrapped text.

use super::form::{Form, FormError};
use super::time::DeviceTime;
use super::{NAMESPACE, OLD_NAMESPACE, Syntax};
use zeroize::Zeroizing;

/// Longest text of a card or employee number that is believed (devices allow 32).
pub const NUMBER_MAX_BYTES: usize = 64;

/// What a device reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What kind of report it is.
    pub kind: AlertKind,
    /// When, by the device's clock.
    pub at: Option<DeviceTime>,
}

/// Kinds of reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertKind {
    /// The device is there.
    HeartBeat,
    /// Something at a door or reader.
    Access(Access),
    /// Something else, by its type: cameras, intercom.
    Other(String),
}

/// Something at a door or reader; live, or out of the device's journal.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Major code.
    pub major: u32,
    /// Minor code.
    pub minor: u32,
    /// Its number in the device's journal.
    pub serial: Option<u64>,
    /// The number of the event that was sent before it.
    pub front_serial: Option<u64>,
    /// Whose turn: door, from 1.
    pub door: Option<u32>,
    /// Which reader of the device, from 1.
    pub reader: Option<u32>,
    /// The card, as the device writes it.
    pub card: Option<Zeroizing<String>>,
    /// The person, by the number under which the device knows it.
    pub employee: Option<String>,
    /// It happened just now; `false`: it is sent (again) from memory. Absent counts as just now.
    pub current: bool,
    /// The device waits for a decision.
    pub remote_check: bool,
    /// What the device thinks of the last decision: `timeout` says that it waited in vain.
    pub remote_result: Option<String>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access({}/{} no {:?} door {:?})", self.major, self.minor, self.serial, self.door)
    }
}

impl Alert {
    /// Reads a text in either syntax.
    ///
    /// # Errors
    /// When it is no form, or no event.
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Form::read(bytes)?;
        let alert = form.get("EventNotificationAlert").unwrap_or(&form);
        // Some firmware puts the whole alert into a field of the event's name.
        let alert =
            if alert.get("eventType").is_some() { alert } else { alert.get("AccessControllerEvent").unwrap_or(alert) };
        let kind = alert.str("eventType").ok_or(FormError::Missing("eventType"))?;
        let kind = if kind.eq_ignore_ascii_case("heartBeat") {
            AlertKind::HeartBeat
        } else if kind.eq_ignore_ascii_case("AccessControllerEvent") {
            let fields = alert.get("AccessControllerEvent").ok_or(FormError::Missing("AccessControllerEvent"))?;
            let major = fields.int("majorEventType").ok_or(FormError::Missing("majorEventType"))?;
            let minor = fields.int("subEventType").ok_or(FormError::Missing("subEventType"))?;
            AlertKind::Access(Access::of(fields, major, minor))
        } else {
            AlertKind::Other(kind.chars().filter(char::is_ascii_alphanumeric).take(40).collect())
        };
        Ok(Self { kind, at: alert.str("dateTime").and_then(DeviceTime::read) })
    }
}

impl Access {
    /// Takes the fields that live events and the journal have in common.
    pub(super) fn of(fields: &Form, major: u32, minor: u32) -> Self {
        let bounded = |name| fields.str(name).filter(|text| text.len() <= NUMBER_MAX_BYTES);
        Self {
            major,
            minor,
            serial: fields.int("serialNo"),
            front_serial: fields.int("frontSerialNo").filter(|front| *front != 0),
            door: fields.int("doorNo"),
            reader: fields.int("cardReaderNo"),
            // A device without a card writes nothing or zero.
            card: bounded("cardNo")
                .filter(|text| text.bytes().any(|byte| byte != b'0'))
                .map(|text| Zeroizing::new(text.to_owned())),
            employee: bounded("employeeNoString").or_else(|| bounded("employeeNo")).map(str::to_owned),
            current: fields.bool("currentEvent").unwrap_or(true),
            remote_check: fields.bool("remoteCheck").unwrap_or(false),
            remote_result: bounded("remoteCheckResult").map(str::to_owned),
        }
    }

    /// Writes the fields in common.
    pub(super) fn fields(&self, mut form: Form) -> Form {
        let number = |form: Form, name, number: Option<u64>| match number.and_then(|n| i64::try_from(n).ok()) {
            Some(number) => form.number(name, number),
            None => form,
        };
        form = form.maybe("cardNo", self.card.as_ref().map(|card| card.as_str()));
        form = number(form, "cardReaderNo", self.reader.map(u64::from));
        form = number(form, "doorNo", self.door.map(u64::from));
        form = form.maybe("employeeNoString", self.employee.as_deref());
        form = number(form, "serialNo", self.serial);
        number(form, "frontSerialNo", self.front_serial)
    }

    /// Writes a live event as a device does. `stamp` is the time as text, with or without an offset.
    pub fn write(&self, syntax: Syntax, stamp: &str, old: bool) -> String {
        let fields = Form::new("AccessControllerEvent")
            .text("deviceName", "Access Controller")
            .number("majorEventType", self.major)
            .number("subEventType", self.minor);
        let mut fields = self.fields(fields).flag("currentEvent", self.current);
        if self.remote_check {
            fields = fields.flag("remoteCheck", true);
        }
        fields = fields.maybe("remoteCheckResult", self.remote_result.as_deref());
        let alert = envelope(syntax, stamp, "AccessControllerEvent").child(fields);
        written(&alert, syntax, old)
    }
}

/// Writes the report that a device is there.
pub fn heartbeat(syntax: Syntax, stamp: &str, old: bool) -> String {
    written(&envelope(syntax, stamp, "heartBeat"), syntax, old)
}

fn envelope(syntax: Syntax, stamp: &str, kind: &str) -> Form {
    let name = if syntax == Syntax::Xml { "EventNotificationAlert" } else { "" };
    Form::new(name)
        .text("ipAddress", "192.0.2.64")
        .number("portNo", 80)
        .text("macAddress", "c0:51:7e:00:00:01")
        .number("channelID", 1)
        .text("dateTime", stamp)
        .number("activePostCount", 1)
        .text("eventType", kind)
        .text("eventState", "active")
        .text("eventDescription", kind)
}

fn written(alert: &Form, syntax: Syntax, old: bool) -> String {
    match syntax {
        Syntax::Xml => alert.to_xml(if old { OLD_NAMESPACE } else { NAMESPACE }),
        Syntax::Json => alert.to_json(),
    }
}
