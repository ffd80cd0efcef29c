//! `tapward osdp scan|provision|trace`: work on a line by hand.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use gateway::port::{OpenPort, Port};
use tokio::time::{Instant, sleep_until};
use wire::osdp::BAUD_RATES;
use wire::osdp::frame::Decoder;
use wire::osdp::panel::{Bus, BusSettings, EventKind, ReaderSettings, Security, Step};
use wire::osdp::scan::{Scan, ScanStep};
use wire::osdp::secure::Scbk;
use wire::osdp::trace::describe;
use zeroize::Zeroizing;

use crate::cli::{OsdpCommand, exit};
use crate::commands::sim::ended;
use crate::keys;

/// How long the reader stays in the only state in which it takes a key from anybody.
const TIME_BOX: Duration = Duration::from_secs(60);

/// Carries it out.
pub async fn osdp(command: OsdpCommand) -> anyhow::Result<u8> {
    match command {
        OsdpCommand::Scan { port, baud } => scan(&parse(&port)?, baud).await,
        OsdpCommand::Provision { port, address, baud, key_file } => {
            provision(&parse(&port)?, address, baud, &key_file).await
        }
        OsdpCommand::Trace { port, baud, for_s } => trace(&parse(&port)?, baud, for_s).await,
    }
}

fn parse(port: &str) -> anyhow::Result<Port> {
    Port::parse(port, Path::new("")).map_err(anyhow::Error::msg)
}

async fn open(port: &Port, baud: u32) -> anyhow::Result<OpenPort> {
    let opened = OpenPort::open(port, baud).await.with_context(|| format!("{port} cannot be opened"))?;
    if let Some(complaint) = &opened.complaint {
        tracing::warn!(%complaint, "the adapter delays bytes");
    }
    Ok(opened)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn scan(port: &Port, baud: Option<u32>) -> anyhow::Result<u8> {
    let bauds = match baud {
        None => BAUD_RATES.to_vec(),
        Some(baud) if BAUD_RATES.contains(&baud) => vec![baud],
        Some(baud) => bail!("{baud} is none of OSDP's speeds: 9600, 19200, 38400, 57600, 115200, 230400"),
    };
    let started = Instant::now();
    let mut scan = Scan::new(&bauds);
    let mut io: Option<OpenPort> = None;
    let mut told = (0, Instant::now());
    let stop = ended(None)?;
    tokio::pin!(stop);
    let mut buffer = [0; 2048];
    loop {
        let until = match scan.next(started.elapsed()) {
            ScanStep::Finished => break,
            ScanStep::SetBaud(baud) => {
                // Closed first: a device is open once at a time.
                drop(io.take());
                io = Some(open(port, baud).await?);
                continue;
            }
            ScanStep::Send(bytes) => {
                if let Some(io) = &mut io {
                    io.write(bytes).await?;
                }
                continue;
            }
            ScanStep::WaitUntil(at) => started + at,
        };
        let Some(io) = &mut io else { bail!("the search began without a speed") };
        tokio::select! {
            read = io.read(&mut buffer) => scan.on_bytes(started.elapsed(), &buffer[..read?]),
            () = sleep_until(until) => {}
            () = &mut stop => { scan.cancel(); }
        }
        for found in &scan.found()[told.0..] {
            let identity = found.identity.map_or_else(
                || "does not say who it is in clear".to_owned(),
                |id| {
                    let [a, b, c] = id.vendor;
                    format!(
                        "serial = \"{a:02X}{b:02X}{c:02X}-{:08X}\"  model {} version {}  firmware {}.{}.{}",
                        id.serial, id.model, id.version, id.firmware[0], id.firmware[1], id.firmware[2]
                    )
                },
            );
            println!("address {:3} at {:6} baud  {identity}", found.address, found.baud);
        }
        told.0 = scan.found().len();
        if told.1.elapsed() > Duration::from_secs(5) {
            let (asked, all) = scan.progress();
            tracing::info!(asked, all, "searching");
            told.1 = Instant::now();
        }
    }
    if scan.found().is_empty() {
        println!("no reader answered: check power, A and B wires, and that nobody else uses the line");
        return Ok(exit::FOUND);
    }
    Ok(0)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn provision(port: &Port, address: u8, baud: u32, key_file: &Path) -> anyhow::Result<u8> {
    if key_file.exists() {
        bail!("{} exists already; a key is never overwritten", key_file.display());
    }
    let mut bytes = Zeroizing::new([0; 16]);
    let key = loop {
        keys::random(&mut *bytes)?;
        let key = Scbk::new(*bytes);
        if key.check_strength().is_ok() {
            break key;
        }
    };
    let mut io = open(port, baud).await?;
    // Kept before it is sent: a key that only the reader knows would lock us out.
    keys::write_secret(key_file, &keys::hex(key.expose()))?;
    let random = Box::new(|bytes: &mut [u8]| {
        if getrandom::fill(bytes).is_err() {
            std::process::abort();
        }
    });
    let settings = ReaderSettings { security: Security::Unprovisioned, ..ReaderSettings::keyed(address, key.clone()) };
    let mut bus = Bus::new(BusSettings::new(baud), Vec::new(), random)?;
    let started = Instant::now();
    bus.line_up(Duration::ZERO);
    let reader = bus.add_reader(Duration::ZERO, settings)?;
    bus.provision(Duration::ZERO, reader, key, TIME_BOX)?;
    println!("waiting for the reader at address {address}; it must be in installation mode");
    let mut buffer = [0; 2048];
    loop {
        while let Some(event) = bus.poll_event() {
            match event.kind {
                EventKind::Provisioned => {
                    println!(
                        "done: the reader proved its new key. Write in the configuration: key = \"file:{}\"",
                        key_file.display()
                    );
                    return Ok(0);
                }
                EventKind::ProvisionFailed(why) => {
                    bail!(
                        "the reader did not take the key ({why:?}). {} keeps the key in case it did",
                        key_file.display()
                    )
                }
                EventKind::Identity(id) => println!("reader with serial {:08X} answers", id.serial),
                _ => {}
            }
        }
        let until = match bus.next(started.elapsed()) {
            Step::Send(bytes) => {
                io.write(bytes).await?;
                continue;
            }
            Step::SetBaud(_) => bail!("the reader wants another speed"),
            Step::WaitUntil(at) => started + at,
        };
        tokio::select! {
            read = io.read(&mut buffer) => bus.on_bytes(started.elapsed(), &buffer[..read?]),
            () = sleep_until(until) => {}
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn trace(port: &Port, baud: u32, for_s: Option<u64>) -> anyhow::Result<u8> {
    let mut io = open(port, baud).await?;
    let started = Instant::now();
    let mut decoder = Decoder::new();
    let stop = ended(for_s)?;
    tokio::pin!(stop);
    let mut buffer = [0; 2048];
    loop {
        let n = tokio::select! {
            read = io.read(&mut buffer) => read?,
            () = &mut stop => return Ok(0),
        };
        let mut bytes = &buffer[..n];
        while let Some(decoded) = decoder.next(started.elapsed(), &mut bytes) {
            let at = started.elapsed();
            match decoded {
                Ok(frame) => println!("{:>10.4}  {}", at.as_secs_f64(), describe(&frame)),
                Err(fault) => println!("{:>10.4}  !! {fault:?}", at.as_secs_f64()),
            }
        }
    }
}
