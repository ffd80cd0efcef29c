//! `tapward sim`: plays a scenario's readers and people against a gateway that runs elsewhere.

use std::path::Path;

use anyhow::Context;
use controller_sim::{Options, Report, Scenario};
use domain::Clock;
use tokio_util::sync::CancellationToken;

use crate::cli::SimArgs;
use crate::commands::run::asked_to_stop;

/// The documented sample day.
const SAMPLE: &str = include_str!("../../../controller-sim/scenarios/clinic-day.toml");

/// Carries it out.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn sim(arguments: SimArgs, clock: Clock) -> anyhow::Result<u8> {
    if arguments.print {
        print!("{SAMPLE}");
        return Ok(0);
    }
    let path = arguments.scenario.context("name a scenario file; `tapward sim --print` shows one to start from")?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut scenario = Scenario::from_toml(&text).with_context(|| path.display().to_string())?;
    if let Some(seed) = arguments.seed {
        scenario.seed = seed;
    }
    if (arguments.speed - 1.0).abs() > f64::EPSILON {
        scenario.speed = arguments.speed;
    }
    scenario.plant.place_ports(path.parent().unwrap_or_else(|| Path::new(".")));
    if let Some(file) = arguments.people {
        std::fs::write(&file, controller_sim::people_csv(&scenario))
            .with_context(|| format!("{} cannot be written", file.display()))?;
        return Ok(0);
    }
    let stop = CancellationToken::new();
    let options = Options { clock, tap_record: None, seed: scenario.seed };
    let playing = controller_sim::run(scenario, &options, &stop);
    tokio::pin!(playing);
    let report = tokio::select! {
        report = &mut playing => report?,
        () = ended(arguments.for_s)? => {
            stop.cancel();
            playing.await?
        }
    };
    print_report(&report);
    Ok(0)
}

/// Completes at a signal, or after so many seconds.
pub fn ended(for_s: Option<u64>) -> anyhow::Result<impl Future<Output = ()>> {
    let asked = asked_to_stop()?;
    Ok(async move {
        let time = async {
            match for_s {
                Some(seconds) => tokio::time::sleep(std::time::Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = asked => {}
            () = time => {}
        }
    })
}

/// What happened, in two lines.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub fn print_report(report: &Report) {
    println!(
        "{} visits, {} taps ({} answered, longest wait {} ms): {} passed, {} refused, {} did not go, {} forced, {} came without a card",
        report.visits,
        report.taps,
        report.answered,
        report.longest_wait_ms,
        report.passed,
        report.refused,
        report.not_taken,
        report.forced,
        report.forgotten
    );
}
