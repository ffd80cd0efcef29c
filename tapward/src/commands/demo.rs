//! `tapward demo`: a whole installation with a simulated clinic beside it. The simulated readers stand on real
//! pseudo-terminals, the simulated controllers and systems on the network, acs-link with real certificates; everything
//! else is what a clinic would run.

mod desks;
mod gnuhealth;
mod people;
mod till;

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use controller_sim::acs_link::{Link, Tls};
use controller_sim::plant::{Line, Peer, Plant, Protocol, Reader, Speaks};
use controller_sim::{Handle, Options, Scenario, Simulator};
use domain::Clock;
use tokio_util::sync::CancellationToken;
use wire::osdp::secure::Scbk;

use crate::cli::{CertificatesArgs, DemoArgs};
use crate::commands::run::greet;
use crate::commands::sim::{ended, print_report};
use crate::compose::{self, Programs};
use crate::config;
use crate::{commands, keys, today};

/// The gateway's name for controllers that speak acs-link.
const NODE: &str = "demo-gateway";

/// Runs the demo until told to stop. Starting it again in the same folder goes on where it stopped.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn demo(arguments: DemoArgs, clock: Clock) -> anyhow::Result<u8> {
    let folder = arguments.folder.as_path();
    let mut scenario = Scenario::demo();
    scenario.seed = arguments.seed;
    scenario.speed = arguments.speed;
    keys::private_folder(&folder.join("keys"))?;
    let folder = folder.canonicalize()?;
    keep_keys(&mut scenario.plant, &folder)?;
    let port = join_network(&mut scenario.plant, &folder, &clock)?;
    scenario.plant.place_ports(&folder.join("ports"));
    fs::create_dir_all(folder.join("ports"))?;
    // The devices first: where some of them listen is known only then.
    let stop = CancellationToken::new();
    let options = Options { clock: clock.clone(), tap_record: Some(folder.join("taps.jsonl")), seed: arguments.seed };
    let simulator = Simulator::start(&scenario.plant, &options, &stop).await?;
    let handle = simulator.handle();
    let file = folder.join("tapward.toml");
    fs::write(&file, configuration(&scenario.plant, &handle, port, &arguments))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    let config = config::load(&file, today(&clock, None))?;
    people::put(&config, &scenario, &clock).await?;
    let code = desks::put(&config, &scenario, &clock, arguments.gnuhealth.is_some()).await?;
    till::put(&config, &scenario, &clock).await?;
    if arguments.gnuhealth.is_some() {
        gnuhealth::write_people(&folder.join("gnuhealth.json"), &scenario, &clock)?;
    }
    let running = compose::start(&config, Programs::ALL, &clock).await?;
    greet(&running);
    if let Some(code) = code {
        println!("A doctor's page: open /desk in any browser and type {code}: it is the workstation of room 101.");
    }
    println!("A simulated clinic is beside it. Files are in {}; Ctrl-C stops.", folder.display());
    // People come when the readers work: a card read before a reader was ever polled would be late.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let faces = people::draw_faces(&config, &scenario, &clock);
    let playing = controller_sim::run_on(&handle, scenario.clone(), &stop);
    tokio::select! {
        () = playing => {}
        // Ends long before the day does; what fails is told and ends nothing.
        () = async { faces.await; std::future::pending().await } => {}
        () = till::play(&config, &clock) => {}
        () = ended(arguments.for_s)? => {}
    }
    // The doors first: readers that vanish before the gateway has stopped would be alarms.
    let report = handle.report();
    running.stop().await?;
    stop.cancel();
    simulator.stop().await;
    print_report(&report);
    Ok(0)
}

/// Gives each simulated reader the key of its file; draws keys for those that have none yet.
fn keep_keys(plant: &mut Plant, folder: &Path) -> anyhow::Result<()> {
    let path = |reader: &Reader| folder.join("keys").join(reader.id.as_str());
    for reader in plant.lines.iter_mut().flat_map(|line| &mut line.readers) {
        if let Ok(text) = config::read_secret(&path(reader)) {
            reader.key = Scbk::from_hex(&text);
        }
    }
    let mut failed = Ok(());
    plant.draw_keys(|bytes| failed = keys::random(bytes));
    failed?;
    for reader in plant.lines.iter().flat_map(|line| &line.readers) {
        if let Some(key) = &reader.key
            && !path(reader).exists()
        {
            keys::write_secret(&path(reader), &keys::hex(key.expose()))?;
        }
    }
    Ok(())
}

/// Gives the simulated controllers and systems what they need: certificates, made at the first start, and passwords.
/// The port where the gateway will listen for controllers: any free one.
fn join_network(plant: &mut Plant, folder: &Path, clock: &Clock) -> anyhow::Result<u16> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let tls = folder.join("acs-link");
    let certificate = |node: &str| tls.join(format!("node-{node}.pem"));
    let arguments = |gateway: Option<String>, node: Vec<String>| CertificatesArgs {
        folder: tls.clone(),
        gateway,
        node,
        name: Vec::new(),
        days: 3650,
    };
    if !certificate(NODE).exists() {
        commands::acs_link::make(&arguments(Some(NODE.to_owned()), Vec::new()), clock.now())?;
    }
    for peer in &mut plant.peers {
        match &mut peer.speaks {
            Speaks::AcsLink(settings) => {
                if !certificate(&settings.node).exists() {
                    commands::acs_link::make(&arguments(None, vec![settings.node.clone()]), clock.now())?;
                }
                settings.link = Link::Connect(format!("{}:{port}", Ipv4Addr::LOCALHOST));
                settings.tls = Some(Tls {
                    ca: tls.join("ca.pem"),
                    cert: certificate(&settings.node),
                    key: tls.join(format!("node-{}-key.pem", settings.node)),
                    gateway: NODE.to_owned(),
                });
            }
            Speaks::Hikvision(settings) => keep_password(folder, &peer.id, &settings.password)?,
            Speaks::Parsec(settings) => keep_password(folder, &peer.id, &settings.password)?,
        }
    }
    Ok(port)
}

fn keep_password(folder: &Path, peer: &domain::LineId, password: &str) -> anyhow::Result<()> {
    let path = folder.join("keys").join(peer.as_str());
    if path.exists() {
        return Ok(());
    }
    keys::write_secret(&path, password)
}

/// The configuration that a technician would write for this plant.
fn configuration(plant: &Plant, devices: &Handle, port: u16, arguments: &DemoArgs) -> String {
    let mut text = format!(
        "# Written by `tapward demo`; it is written anew at each start.\n\
         [site]\nid = \"demo-clinic\"\ntime_zone = \"Europe/Kyiv\"\n\
         [data]\nfolder = \".\"\n\
         [dashboard]\nlisten = {:?}\nlanguage = {:?}\n\
         # Simulated doctors have a card but no fingers for a PIN, and nobody moves their mouse.\n\
         [desk]\nsecond_factor = \"none\"\nidle_warn_s = 35000\nidle_lock_s = 36000\nidle_end_min = 720\n\
         # Nor do they answer questions: a visit begins, and the page asks beside it.\n\
         [visits]\nwrong_place = \"start\"\nseveral_appointments = \"start\"\n\
         [till]\ncurrency = \"{}\"\n",
        arguments.listen,
        arguments.language,
        till::CURRENCY
    );
    if let Some(url) = &arguments.gnuhealth {
        text.push_str(&gnuhealth::configuration(url, &arguments.listen));
    }
    for point in &plant.points {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[point]]\nid = \"{}\"\nkind = \"{}\"\n", point.id, kind(point.kind));
        for (key, zone) in [("from", &point.from), ("to", &point.to)] {
            if let Some(zone) = zone {
                let _ = writeln!(text, "{key} = \"{zone}\"");
            }
        }
        if has_exit_button(plant, point) {
            text.push_str("exit_input = 1\n");
        }
    }
    for line in &plant.lines {
        write_line(&mut text, line);
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n[acs_link]\nlisten = \"{}:{port}\"\nnode = \"{NODE}\"\nca = \"acs-link/ca.pem\"\n\
         cert = \"acs-link/node-{NODE}.pem\"\nkey = \"acs-link/node-{NODE}-key.pem\"\n",
        Ipv4Addr::LOCALHOST
    );
    for peer in &plant.peers {
        write_peer(&mut text, peer, devices);
    }
    text
}

const fn kind(kind: controller_sim::plant::PointKind) -> &'static str {
    use controller_sim::plant::PointKind;
    match kind {
        PointKind::Turnstile => "turnstile",
        PointKind::Door => "door",
        PointKind::Barrier => "barrier",
        PointKind::Workstation => "workstation",
        PointKind::Enrolment => "enrolment",
    }
}

/// Doors with a reader on one side only are left by the button.
fn has_exit_button(plant: &Plant, point: &controller_sim::plant::Point) -> bool {
    kind(point.kind) == "door" && plant.readers().filter(|(_, at, _)| **at == point.id).count() == 1
}

fn write_line(text: &mut String, line: &Line) {
    let protocol = if line.protocol == Protocol::Osdp { "osdp" } else { "ascii" };
    let _ = write!(
        text,
        "\n[[line]]\nid = \"{}\"\nport = {:?}\nprotocol = \"{protocol}\"\nbaud = {}\n",
        line.id, line.port, line.baud
    );
    for reader in &line.readers {
        let _ = writeln!(
            text,
            "\n[[line.reader]]\nid = \"{}\"\npoint = \"{}\"\ndirection = \"{}\"",
            reader.id, reader.point, reader.direction
        );
        if line.protocol == Protocol::Osdp {
            let _ = writeln!(text, "address = {}\nkey = \"file:keys/{}\"", reader.address, reader.id);
        }
    }
}

fn write_peer(text: &mut String, peer: &Peer, devices: &Handle) {
    let at = devices.port_of(&peer.id).map(|address| address.to_string()).unwrap_or_default();
    let _ = write!(text, "\n[[peer]]\nid = \"{}\"\n", peer.id);
    // Whose cards each of them can have: a terminal reads chips, the others numbers of Wiegand cards.
    let cache = if matches!(peer.speaks, Speaks::Hikvision(_)) { "everybody" } else { "staff" };
    let _ = writeln!(text, "cache = \"{cache}\"");
    let secret = format!("password = \"file:keys/{}\"", peer.id);
    let _ = match &peer.speaks {
        Speaks::AcsLink(settings) => writeln!(text, "protocol = \"acs-link\"\nnode = \"{}\"", settings.node),
        Speaks::Hikvision(_) => {
            writeln!(text, "protocol = \"hikvision\"\nurl = \"http://{at}\"\nuser = \"admin\"\n{secret}")
        }
        Speaks::Parsec(_) => {
            let path = wire::parsec::PATH;
            let group = controller_sim::parsec::ACCESS_GROUP;
            writeln!(
                text,
                "protocol = \"parsec\"\nurl = \"http://{at}{path}\"\nuser = \"parsec\"\n{secret}\naccess_group = \"{group}\""
            )
        }
    };
    for reader in &peer.readers {
        let _ = writeln!(
            text,
            "\n[[peer.reader]]\nid = \"{}\"\nat = \"{}\"\npoint = \"{}\"\ndirection = \"{}\"",
            reader.id, reader.at, reader.point, reader.direction
        );
    }
}
