//! `tapward demo`: a whole installation with a simulated clinic beside it. The simulated readers stand on real
//! pseudo-terminals; everything else is what a clinic would run.

use std::fmt::Write;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use controller_sim::plant::{Line, Plant, Protocol, Reader};
use controller_sim::{Options, Scenario, Simulator};
use domain::Clock;
use tokio_util::sync::CancellationToken;
use wire::osdp::secure::Scbk;

use crate::cli::DemoArgs;
use crate::commands::run::greet;
use crate::commands::sim::{ended, print_report};
use crate::compose::{self, Programs};
use crate::config::{self, Config};
use crate::{commands, keys, today};

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
    scenario.plant.place_ports(&folder.join("ports"));
    fs::create_dir_all(folder.join("ports"))?;
    let file = folder.join("tapward.toml");
    fs::write(&file, configuration(&scenario.plant, &arguments))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    let config = config::load(&file, today(&clock, None))?;
    put_people(&config, &scenario, &clock).await?;

    let stop = CancellationToken::new();
    let options = Options { clock: clock.clone(), tap_record: Some(folder.join("taps.jsonl")), seed: arguments.seed };
    let simulator = Simulator::start(&scenario.plant, &options, &stop).await?;
    let running = compose::start(&config, Programs::ALL, &clock).await?;
    greet(&running);
    println!("A simulated clinic is beside it. Files are in {}; Ctrl-C stops.", folder.display());
    let handle = simulator.handle();
    // People come when the readers work: a card read before a reader was ever polled would be late.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let playing = controller_sim::run_on(&handle, scenario, &stop);
    tokio::select! {
        () = playing => {}
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

/// The configuration that a technician would write for this plant.
fn configuration(plant: &Plant, arguments: &DemoArgs) -> String {
    let mut text = format!(
        "# Written by `tapward demo`; it is written anew at each start.\n\
         [site]\nid = \"demo-clinic\"\ntime_zone = \"Europe/Kyiv\"\n\
         [data]\nfolder = \".\"\n\
         [dashboard]\nlisten = {:?}\nlanguage = {:?}\n",
        arguments.listen, arguments.language
    );
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
    kind(point.kind) == "door"
        && plant.lines.iter().flat_map(|line| &line.readers).filter(|reader| reader.point == point.id).count() == 1
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

/// Imports the scenario's people, as `tapward people import` would.
async fn put_people(config: &Config, scenario: &Scenario, clock: &Clock) -> anyhow::Result<()> {
    let database = compose::open_database(config, clock, true).await?;
    let csv = controller_sim::people_csv(scenario);
    let report = commands::people::import_file(config, &database, Cursor::new(csv), false, clock).await;
    database.close().await;
    match report?.errors.first() {
        None => Ok(()),
        Some(error) => Err(anyhow!("the demo's people were not imported: {error}")),
    }
}
