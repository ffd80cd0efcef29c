//! `tapward feeds check`: what a list would say, without a database and without changing anything.

use std::path::Path;

use anyhow::{Context, bail};
use clinic::feeds::FeedKind;
use mis_bridge::feeds::{FILE_MAX_BYTES, kind_of_file, read_sheet};

use crate::cli::{FeedsCommand, exit};
use crate::config::Config;

/// Carries it out.
pub fn feeds(config: &Config, command: &FeedsCommand) -> anyhow::Result<u8> {
    match command {
        FeedsCommand::Check { file, kind } => check(config, file, kind.as_deref()),
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
fn check(config: &Config, file: &Path, kind: Option<&str>) -> anyhow::Result<u8> {
    let shown = file.display();
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let by_name = kind_of_file(name);
    let known = || FeedKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let kind = match kind.map(|kind| FeedKind::parse(kind).with_context(|| format!("--kind is one of {}", known()))) {
        Some(kind) => kind?,
        None => match by_name {
            Some((kind, _)) => kind,
            None => bail!("{shown}: the name does not say what it is; use --kind with one of {}", known()),
        },
    };
    let mode = by_name.map(|(_, mode)| mode).unwrap_or_default();
    let size = std::fs::metadata(file).with_context(|| format!("{shown} cannot be opened"))?.len();
    if size > FILE_MAX_BYTES {
        bail!("{shown} has more than {FILE_MAX_BYTES} bytes; send it in parts");
    }
    let bytes = std::fs::read(file).with_context(|| format!("{shown} cannot be read"))?;
    let zone = config.exchange.feeds.time_zone;
    let list = match read_sheet(kind, &bytes, mode, zone) {
        Ok(list) => list,
        Err(error) => {
            println!("{shown}: {error}");
            return Ok(exit::FOUND);
        }
    };
    for refusal in &list.refused {
        println!("row {}, {}: {}; {}", refusal.row, refusal.field, refusal.problem, refusal.words);
    }
    println!("{shown}: {kind}, {} records can be read, {} cannot", list.records.len(), list.refused.len());
    Ok(if list.refused.is_empty() { 0 } else { exit::FOUND })
}
