//! `tapward peers`: how far the streams of controllers and systems have got, what was set aside, and beginning anew
//! after a backup was put back. Reads the journal beside a running gateway; changes it only while none runs.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use chrono_tz::Tz;
use domain::{Clock, Epoch, LineId, UtcMillis};
use gateway::settings::PeerProtocol;
use serde_json::json;
use store::journal::{Journal, JournalReader, PeerRecord, Position, Quarantine};

use crate::cli::{PeersArgs, PeersCommand};
use crate::config::{Config, hint};
use crate::keys;

/// Messages set aside that are shown, the newest.
const SHOWN: usize = 20;

/// Carries it out.
pub async fn peers(config: &Config, arguments: PeersArgs, clock: &Clock) -> anyhow::Result<u8> {
    let path = config.data.join("journal.db");
    match arguments.command {
        None => {
            let reader = JournalReader::open(&path).await?;
            let (known, aside) = (reader.peers().await?, reader.quarantined(None, SHOWN).await?);
            reader.close().await;
            let shown = if arguments.json { as_json(config, &known, &aside) } else { as_text(config, &known, &aside) };
            match shown {
                // Whoever read us has enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
                shown => Ok(shown.map(|()| 0)?),
            }
        }
        Some(PeersCommand::Reset { peer, held }) => reset(config, &path, &peer, held, clock).await,
        Some(PeersCommand::Forget { peer }) => forget(config, &path, &peer, clock).await,
    }
}

/// What the configuration says of a peer: its kind and where it is.
fn configured(config: &Config, peer: &LineId) -> Option<(&'static str, String)> {
    let settings = config.gateway.peers.iter().find(|settings| settings.id == *peer)?;
    Some(match &settings.protocol {
        PeerProtocol::AcsLink(peer) => {
            let way = peer.connect.as_ref().map(|to| format!(" at {to}")).unwrap_or_default();
            ("acs-link", format!("node {}{way}", peer.node))
        }
        PeerProtocol::Hikvision(device) => ("hikvision", device.url.clone()),
        PeerProtocol::Parsec(server) => ("parsec", server.url.clone()),
    })
}

/// All peers of the configuration and of the journal, by name.
fn names(config: &Config, known: &[PeerRecord]) -> BTreeSet<LineId> {
    let settings = config.gateway.peers.iter().map(|settings| settings.id.clone());
    settings.chain(known.iter().map(|record| record.peer.clone())).collect()
}

fn as_text(config: &Config, known: &[PeerRecord], aside: &[Quarantine]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let names = names(config, known);
    if names.is_empty() {
        return writeln!(out, "no [[peer]] in the configuration, and none in the journal");
    }
    for name in names {
        match configured(config, &name) {
            Some((kind, place)) => writeln!(out, "{name}  {kind}  {place}")?,
            None => writeln!(out, "{name}  not in the configuration; `tapward peers forget {name}` removes the rest")?,
        }
        let Some(record) = known.iter().find(|record| record.peer == name) else {
            writeln!(out, "  nothing was exchanged yet")?;
            continue;
        };
        match &record.position {
            Some(Position { epoch, seq, at }) => {
                writeln!(out, "  taken in    up to {seq} of its epoch {epoch}, {}", local(*at, config.time_zone))?;
            }
            None => writeln!(out, "  taken in    nothing yet")?,
        }
        let outgoing = &record.outgoing;
        writeln!(
            out,
            "  told        {} messages of epoch {}, {} not acknowledged; {} passes",
            outgoing.last,
            outgoing.epoch,
            outgoing.waiting(),
            record.told
        )?;
        if record.quarantined > 0 {
            writeln!(out, "  set aside   {}", record.quarantined)?;
        }
    }
    if !aside.is_empty() {
        writeln!(
            out,
            "\nset aside, the newest first (the messages themselves are sealed: they may hold card numbers)"
        )?;
    }
    for one in aside {
        let (at, message) = (local(one.at, config.time_zone), &one.message);
        writeln!(out, "  {at}  {}  {}  {}", one.peer, message.seq, message.why)?;
    }
    out.flush()
}

fn as_json(config: &Config, known: &[PeerRecord], aside: &[Quarantine]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for name in names(config, known) {
        let record = known.iter().find(|record| record.peer == name);
        let position = record.and_then(|record| record.position);
        let outgoing = record.map(|record| record.outgoing);
        let configured = configured(config, &name);
        let aside: Vec<_> = aside
            .iter()
            .filter(|one| one.peer == name)
            .map(|one| json!({"at": one.at.to_rfc3339(), "seq": one.message.seq, "why": one.message.why}))
            .collect();
        let line = json!({
            "peer": name.as_str(),
            "protocol": configured.as_ref().map(|(kind, _)| *kind),
            "place": configured.as_ref().map(|(_, place)| place.as_str()),
            "epoch": position.map(|position| position.epoch.to_string()),
            "held": position.map(|position| position.seq),
            "held_at": position.map(|position| position.at.to_rfc3339()),
            "sent_epoch": outgoing.map(|outgoing| outgoing.epoch.to_string()),
            "sent": outgoing.map(|outgoing| outgoing.last),
            "waiting": outgoing.map(|outgoing| outgoing.waiting()),
            "passes_told": record.map(|record| record.told),
            "quarantined": record.map(|record| record.quarantined),
            "quarantine": aside,
        });
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// The journal, ours alone: a running gateway has the newer truth in its memory.
async fn open(config: &Config, path: &Path, clock: &Clock) -> anyhow::Result<Journal> {
    if !path.exists() {
        bail!("there is no journal at {}: nothing was ever exchanged", path.display());
    }
    // The journal is there and keeps its own epoch.
    let journal = Journal::open(path, config.gateway.gateway.clone(), Epoch([0; 16]), clock).await;
    journal.context("stop the gateway first (systemctl stop tapward)")
}

async fn find(journal: &Journal, peer: &str) -> anyhow::Result<PeerRecord> {
    let known = journal.peers().await?;
    let names: Vec<&str> = known.iter().map(|record| record.peer.as_str()).collect();
    match known.iter().find(|record| record.peer.as_str() == peer) {
        Some(record) => Ok(record.clone()),
        None => bail!("nothing was ever exchanged with \"{peer}\"{}", hint(peer, names)),
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn reset(config: &Config, path: &Path, peer: &str, held: Option<u64>, clock: &Clock) -> anyhow::Result<u8> {
    let journal = open(config, path, clock).await?;
    let record = find(&journal, peer).await?;
    let id = &record.peer;
    match (held, record.position) {
        (None, _) => {
            let mut fresh = [0; 16];
            keys::random(&mut fresh)?;
            journal.restart_outgoing(id, Epoch(fresh)).await?;
            println!("what {peer} is told begins anew, with epoch {} and number 1:", Epoch(fresh));
            println!("- {} messages that it had not acknowledged are void", record.outgoing.waiting());
            println!(
                "- it counts as knowing none of the {} passes it was told of: it is told all that it",
                record.told
            );
            println!("  should hold when it connects, and removes what it should not hold any more");
            println!("what it tells us goes on where it was; `--held` changes that");
        }
        (Some(0), _) => {
            journal.reset_position(id, None).await?;
            println!("{peer} counts as never heard: it is asked for everything that it still has");
            println!("events that were taken in already are recognised by their ids");
        }
        (Some(seq), Some(position)) => {
            journal.reset_position(id, Some(Position { seq, at: clock.now(), ..position })).await?;
            println!("the stream of {peer} counts as taken in up to {seq} (before: {}):", position.seq);
            match seq.checked_sub(position.seq) {
                Some(skipped @ 1..) => {
                    println!("- its messages {} to {seq}, {skipped} of them, are given up", position.seq + 1)
                }
                _ => println!("- it sends again from {}; what was taken in already is recognised by its id", seq + 1),
            }
        }
        (Some(_), None) => bail!("{peer} was never heard: there is no stream to go on in"),
    }
    journal.close().await;
    println!("start the gateway again");
    Ok(0)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn forget(config: &Config, path: &Path, peer: &str, clock: &Clock) -> anyhow::Result<u8> {
    if config.gateway.peers.iter().any(|settings| settings.id.as_str() == peer) {
        bail!("\"{peer}\" is in the configuration: take it out first, or use `tapward peers reset {peer}`");
    }
    let journal = open(config, path, clock).await?;
    let record = find(&journal, peer).await?;
    journal.forget_peer(&record.peer).await?;
    journal.close().await;
    println!("everything kept for {peer} is removed; what it told stays in the journal");
    Ok(0)
}

fn local(at: UtcMillis, zone: Tz) -> String {
    at.to_chrono().map_or_else(|| at.to_string(), |at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string())
}
