//! `tapward audit …`: the audit log at the command line. Checking needs none of this: `tapward-audit` does it alone.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use audit_verify::{PublicKey, PublicKeys, Published, verify_database, verify_export};
use clinic::acting::Acting;
use clinic::audit::{self, Blotted, Filter, fhir};
use domain::Clock;
use domain::audit::TreeHash;

use crate::audit::{heads_files, note, public_key};
use crate::cli::{AuditCommand, AuditForm, exit};
use crate::compose;
use crate::config::Config;

/// Heads that are shown, the newest.
const HEADS_SHOWN: u32 = 10;

/// Carries it out.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn audit(config: &Config, command: AuditCommand, clock: &Clock) -> anyhow::Result<u8> {
    match command {
        AuditCommand::Key => {
            let key = public_key(config)?;
            println!("{}", TreeHash(key.0));
            eprintln!("id {}; whoever checks the log needs this line, kept somewhere else than here", key.id());
            Ok(0)
        }
        AuditCommand::Verify { export, heads, key, json } => {
            let mut keys = Vec::new();
            for key in &key {
                keys.push(PublicKey::read(key)?);
            }
            if keys.is_empty() {
                keys.push(public_key(config)?);
            }
            verify(config, clock, export, heads, PublicKeys(keys), json).await
        }
        AuditCommand::Export { form, out } => export(config, clock, form, out).await,
        AuditCommand::Proof { number, out } => {
            let database = compose::open_database(config, clock, false).await?;
            let proof = audit::proof(&database, &Acting::console(), clock.now(), number).await?;
            database.close().await;
            let Some(proof) = proof else { bail!("the log has no entry {number}") };
            if proof.head.is_none() {
                eprintln!("no head covers this entry yet; one is signed within {} minutes", config.audit.every_min);
            }
            let mut to = output(out)?;
            to.write_all(proof.to_json().as_bytes())?;
            to.flush()?;
            Ok(0)
        }
        AuditCommand::Heads => heads(config, clock).await,
        AuditCommand::Blot { number, reason } => {
            let database = compose::open_database(config, clock, false).await?;
            let done = audit::blot(&database, &Acting::console(), clock.now(), number, reason.as_str()).await?;
            database.close().await;
            match done {
                Blotted::Done => println!("the note of entry {number} is gone; the log still verifies"),
                Blotted::NoNote => println!("entry {number} has no note"),
                Blotted::NoEntry => bail!("the log has no entry {number}"),
            }
            Ok(0)
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn verify(
    config: &Config,
    clock: &Clock,
    export: Option<PathBuf>,
    heads: Vec<PathBuf>,
    keys: PublicKeys,
    json: bool,
) -> anyhow::Result<u8> {
    let files = if heads.is_empty() { heads_files(config) } else { heads };
    let (here, away): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|file| file.exists());
    for file in away {
        eprintln!("note: {} is not there; it is left out", file.display());
    }
    let published = Published::read(keys, here.iter().map(PathBuf::as_path))?;
    let report = match export {
        Some(path) => verify_export(&path, published)?,
        None => {
            let database = compose::open_database(config, clock, false).await?;
            let report = verify_database(&config.database, published).await?;
            note(&database, clock, None, &report).await?;
            database.close().await;
            report
        }
    };
    if json {
        println!("{:#}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(if report.is_sound() { 0 } else { exit::FOUND })
}

async fn export(config: &Config, clock: &Clock, form: AuditForm, out: Option<PathBuf>) -> anyhow::Result<u8> {
    let site = &config.gateway.site;
    let database = compose::open_database(config, clock, false).await?;
    let mut to = output(out)?;
    let object = format!("tapward audit export --form {}", form.as_str());
    let mut export = audit::export(&database, &Acting::console(), clock.now(), Filter::default(), &object).await?;
    match form {
        AuditForm::Lines => writeln!(to, "{}", export.first_line(site))?,
        AuditForm::Fhir => {}
        AuditForm::FhirBundle => to.write_all(fhir::BUNDLE_BEGIN.as_bytes())?,
    }
    let mut first = true;
    loop {
        let block = export.next().await?;
        if block.is_empty() {
            break;
        }
        for recorded in &block {
            match form {
                AuditForm::Lines => writeln!(to, "{}", audit::line(recorded))?,
                AuditForm::Fhir => writeln!(to, "{}", fhir::event(recorded, site))?,
                AuditForm::FhirBundle => {
                    let between = if first { "" } else { fhir::BUNDLE_BETWEEN };
                    write!(to, "{between}{}", fhir::bundle_entry(recorded, site))?;
                }
            }
            first = false;
        }
    }
    match form {
        AuditForm::Lines => writeln!(to, "{}", export.last_line().await?)?,
        AuditForm::Fhir => {}
        AuditForm::FhirBundle => to.write_all(fhir::BUNDLE_END.as_bytes())?,
    }
    to.flush()?;
    database.close().await;
    Ok(0)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn heads(config: &Config, clock: &Clock) -> anyhow::Result<u8> {
    let database = compose::open_database(config, clock, false).await?;
    let acting = Acting::console();
    for head in audit::heads(&database, &acting, HEADS_SHOWN).await?.iter().rev() {
        println!("{head}");
    }
    let mut code = 0;
    for place in audit::places(&database, &acting).await? {
        let told = place.size.map_or("told nothing yet".to_owned(), |size| format!("told up to entry {size}"));
        eprintln!(
            "{}: {}, {told}{}",
            place.name,
            place.state,
            place.problem.map_or(String::new(), |it| format!("; {it}"))
        );
        if place.state != audit::PlaceState::Current {
            code = exit::FOUND;
        }
    }
    database.close().await;
    Ok(code)
}

/// A new file that only its owner may read, or standard output.
fn output(out: Option<PathBuf>) -> anyhow::Result<Box<dyn Write + Send>> {
    match out {
        None => Ok(Box::new(BufWriter::new(io::stdout()))),
        Some(path) => {
            let file = File::create_new(&path).with_context(|| format!("{} cannot be made", path.display()))?;
            Ok(Box::new(BufWriter::new(file)))
        }
    }
}
