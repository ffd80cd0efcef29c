//! Finding the device, setting it up, and watching whether it answers and what its clock shows.

use std::time::Duration;

use domain::Reason;
use domain::equipment::{Peer as PeerStatus, PeerKind};
use tokio::time::{Instant, sleep};
use wire::isapi::device::{Abilities, Check, DeviceInfo, PushTarget, Status, Time};
use wire::isapi::time::Zone;

use super::hands::failure;
use super::{Device, Session};
use crate::line::{LineFact, ReaderFact};
use crate::peer::http::{Call, HttpClient, HttpError, Reply, WRONG_PASSWORD_WAIT};
use crate::peer::push;
use crate::settings::{Cache, DeviceEvents};

/// Before a device that does not answer is tried again, first and longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Between two looks whether it still answers.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer such a look, and how many may fail in a row.
const LOOK_TIMEOUT: Duration = Duration::from_secs(4);
const LOOKS_MAX: u32 = 2;
/// A clock further off than this is set, or alarmed about.
const SKEW_MAX_MS: i64 = 3000;
/// How long we ask the device to wait for a decision.
const PATIENCE_S: u32 = 3;

/// Keeps the session until the task ends.
pub(super) async fn run(device: &Device) {
    tokio::join!(keep(device), tell_status(device));
}

async fn keep(device: &Device) {
    let mut client = device.client();
    let mut wait = RETRY.0;
    let mut number = 0;
    let mut told = false;
    loop {
        number += 1;
        let why = match connect(device, &mut client, number).await {
            Ok(session) => {
                wait = RETRY.0;
                told = false;
                begin(device, session).await;
                let why = watch(device, &mut client).await;
                device.session.send_replace(None);
                device.memory().forget();
                device.of_each(|| ReaderFact::Offline(LOOK_EVERY * LOOKS_MAX)).await;
                why
            }
            Err(error) => {
                if error == HttpError::WrongPassword {
                    device.alarm("password", Reason::PeerRefused, error.to_string()).await;
                    wait = WRONG_PASSWORD_WAIT;
                }
                error.to_string()
            }
        };
        if !told {
            told = true;
            tracing::warn!(line.id = %device.settings.id, %why, "the device does not answer");
            device.teller.tell(LineFact::Closed { why }).await;
        }
        sleep(wait).await;
        wait = if wait > RETRY.1 { RETRY.0 } else { (wait * 2).min(RETRY.1) };
    }
}

/// Asks who it is and what it can, and sets it up.
async fn connect(device: &Device, client: &mut HttpClient, number: u64) -> Result<Session, HttpError> {
    let reply = client.send(&Call::get("/ISAPI/System/deviceInfo")).await?;
    let info = reply.is_success().then(|| DeviceInfo::read(&reply.body).ok()).flatten();
    let info = info.ok_or_else(|| HttpError::Broken(format!("no identity: {}", failure(&Ok(reply)))))?;
    let reply = client.send(&Call::get("/ISAPI/AccessControl/capabilities")).await?;
    let abilities = read(&reply, |body| Abilities::read(body).ok()).unwrap_or_default();
    if abilities == Abilities::default() {
        tracing::info!(line.id = %device.settings.id, "the device does not say what it can; everything is tried");
    }
    let mut session = Session {
        serial: info.serial,
        model: info.model,
        firmware: info.firmware,
        abilities,
        zone: None,
        skew_ms: None,
        waits: None,
        number,
        since: device.now(),
    };
    look_at_clock(device, client, &mut session).await?;
    if session.skew_ms.is_some_and(|skew| skew.abs() > SKEW_MAX_MS) && device.device.set_time {
        set_clock(device, client, &mut session).await?;
    }
    session.waits = set_up_decisions(device, client, &session).await?;
    if device.device.events == DeviceEvents::Push {
        set_up_push(device, client).await?;
    }
    Ok(session)
}

fn read<T>(reply: &Reply, parse: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    if reply.is_success() { parse(&reply.body) } else { None }
}

/// Compares the clocks, allowing for half of the time that the question took.
async fn look_at_clock(device: &Device, client: &mut HttpClient, session: &mut Session) -> Result<(), HttpError> {
    let asked = Instant::now();
    let reply = client.send(&Call::get("/ISAPI/System/time").within(LOOK_TIMEOUT)).await?;
    let Some(time) = read(&reply, |body| Time::read(body).ok()) else {
        session.skew_ms = None;
        return Ok(());
    };
    session.zone = time.zone;
    let way = i64::try_from(asked.elapsed().as_millis() / 2).unwrap_or(0);
    // Without an offset the zone says what the time means.
    let shown = time.local.to_utc(time.zone);
    session.skew_ms = shown.map(|shown| {
        let skew = device.now().plus_ms(-way).since_ms(shown);
        // It counts whole seconds: less than one is nothing.
        if skew.abs() < 1000 { 0 } else { skew }
    });
    Ok(())
}

async fn set_clock(device: &Device, client: &mut HttpClient, session: &mut Session) -> Result<(), HttpError> {
    let zone = session.zone.unwrap_or(Zone::ahead_s(0));
    // Where the device writes no offset it would not understand ours.
    let body = Time::write(device.now(), zone, true);
    let reply = client.send(&Call::put("/ISAPI/System/time", "application/xml", body)).await;
    match &reply {
        Ok(answer) if answer.is_success() => {
            let off = session.skew_ms.unwrap_or(0);
            tracing::info!(line.id = %device.settings.id, off_ms = off, "the device's clock was set");
            look_at_clock(device, client, session).await
        }
        _ => {
            device.alarm("clock", Reason::DeviceClock, format!("its clock cannot be set: {}", failure(&reply))).await;
            Ok(())
        }
    }
}

/// Whether it asks us, and for how long it waits. What else is set there stays.
async fn set_up_decisions(
    device: &Device,
    client: &mut HttpClient,
    session: &Session,
) -> Result<Option<Duration>, HttpError> {
    let path = "/ISAPI/AccessControl/AcsCfg?format=json";
    let reply = client.send(&Call::get(path)).await?;
    let present = read(&reply, |body| Check::read(body).ok());
    if !device.device.online {
        // Left on, it would wait in vain at each pass.
        if let Some(present) = present.filter(|present| present.enabled && present.channel == CHANNEL) {
            let off = Check { enabled: false, ..present };
            let _ = client.send(&Call::put(path, "application/json", off.write())).await?;
        }
        return Ok(None);
    }
    if session.abilities.remote_check == Some(false) {
        let detail = "the device cannot ask for decisions (remote verification): set online = false".to_owned();
        device.alarm("online", Reason::PassNotTaken, detail).await;
        return Ok(None);
    }
    let wanted = Check {
        enabled: true,
        channel: CHANNEL.into(),
        sync: device.device.events == DeviceEvents::Push,
        timeout_s: Some(PATIENCE_S),
        // While we are away it decides by the cards that it was told; told of none, it must not open for anybody.
        offline: Some(device.settings.cache != Cache::Nobody),
        own_check: Some(false),
    };
    if present.as_ref() != Some(&wanted) {
        let reply = client.send(&Call::put(path, "application/json", wanted.write())).await?;
        let taken = reply.is_success() && Status::read(&reply.body).is_none_or(|status| status.is_ok());
        if !taken {
            let why = failure(&Ok(reply));
            device
                .alarm("online", Reason::PassNotTaken, format!("it cannot be set to ask us for decisions: {why}"))
                .await;
            return Ok(None);
        }
    }
    device.is_over("online");
    Ok(Some(Duration::from_secs(u64::from(PATIENCE_S))))
}

/// The channel by which devices ask an HTTP listener.
const CHANNEL: &str = "ISAPIListen";

async fn set_up_push(device: &Device, client: &mut HttpClient) -> Result<(), HttpError> {
    let Some(address) = device.context.push.address() else {
        let detail = "events = \"push\" needs [push] listen and address in the settings".to_owned();
        device.alarm("push", Reason::PassNotTaken, detail).await;
        return Ok(());
    };
    let Some((host, port)) = split(&address) else {
        device.alarm("push", Reason::PassNotTaken, format!("[push] address {address} is not http://HOST:PORT")).await;
        return Ok(());
    };
    let target = PushTarget { id: 1, url: push::path_of(&device.settings.id), host, port, tls: false, json: true };
    let reply =
        client.send(&Call::put("/ISAPI/Event/notification/httpHosts/1", "application/xml", target.write())).await;
    let reply = reply?;
    if !reply.is_success() {
        let why = failure(&Ok(reply));
        device.alarm("push", Reason::PassNotTaken, format!("it does not take our address for events: {why}")).await;
    }
    Ok(())
}

fn split(address: &str) -> Option<(String, u16)> {
    let rest = address.strip_prefix("http://")?;
    let rest = rest.split('/').next()?;
    match rest.rsplit_once(':') {
        Some((host, port)) => Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?)),
        None => Some((rest.to_owned(), 80)),
    }
}

async fn begin(device: &Device, session: Session) {
    let Session { model, serial, firmware, .. } = &session;
    tracing::info!(line.id = %device.settings.id, device.model = %model, device.firmware = %firmware, "the device answers");
    device.teller.tell(LineFact::Opened { complaint: None }).await;
    let identity = || ReaderFact::Identity { model: model.clone(), serial: serial.clone(), firmware: firmware.clone() };
    device.of_each(identity).await;
    device.is_over("password");
    device.put_session(session);
    device.of_each(|| ReaderFact::Online).await;
}

/// Looks after a device that answers, until it does not.
async fn watch(device: &Device, client: &mut HttpClient) -> String {
    let mut failed = 0;
    loop {
        sleep(if failed == 0 { LOOK_EVERY } else { RETRY.0 }).await;
        let Some(present) = device.session() else { return "lost".into() };
        let mut session = (*present).clone();
        match look_at_clock(device, client, &mut session).await {
            Ok(()) => failed = 0,
            Err(error) => {
                failed += 1;
                if failed >= LOOKS_MAX || error == HttpError::WrongPassword {
                    return error.to_string();
                }
                continue;
            }
        }
        match session.skew_ms {
            Some(skew) if skew.abs() > SKEW_MAX_MS => {
                if device.device.set_time
                    && let Err(error) = set_clock(device, client, &mut session).await
                {
                    return error.to_string();
                }
                let (side, by) = if skew > 0 { ("behind", skew) } else { ("ahead", -skew) };
                let what = if device.device.set_time { "it was set" } else { "set_time is off" };
                let detail = format!("its clock was {side} by {} s; {what}", by / 1000);
                device.alarm("clock", Reason::DeviceClock, detail).await;
            }
            Some(_) => {}
            None => {
                let detail = "its clock cannot be read: its events are recorded as of unknown age".to_owned();
                device.alarm("clock-unknown", Reason::DeviceClock, detail).await;
            }
        }
        if session != *present {
            device.put_session(session);
        }
    }
}

/// How it is doing, once a second while that changes.
async fn tell_status(device: &Device) {
    let mut last = None;
    loop {
        let session = device.session();
        let (told, wanted) = device.told();
        let status = PeerStatus {
            node: session.as_ref().map(|session| session.serial.clone()),
            secure: session.is_some() && device.device.url.starts_with("https://"),
            connected_since: session.as_ref().map(|session| session.since),
            passes_told: told,
            passes_wanted: wanted,
            skew_ms: session.as_ref().and_then(|session| session.skew_ms),
            software: session.as_ref().map(|session| format!("{} {}", session.model, session.firmware)),
            ..PeerStatus::new(PeerKind::Hikvision, device.device.url.clone())
        };
        if last.as_ref() != Some(&status) {
            last = Some(status.clone());
            device.teller.tell(LineFact::Peer(Box::new(status))).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
}
