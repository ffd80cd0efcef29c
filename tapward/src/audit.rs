//! The audit log's work beside the programs: signed heads into second places, and the check of the whole log, at start,
//! once a day and whenever an auditor asks on their page.

use std::path::PathBuf;
use std::time::Duration;

use audit_verify::{PublicKey, PublicKeys, Published, Report, verify_database};
use clinic::audit::{self, CheckResult, HeadKey, Publishing};
use domain::Clock;
use store::Database;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::keys;

/// How often the whole log is checked without being asked.
const CHECK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often it is looked whether an auditor asks.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What is to be done, as the configuration says.
pub struct Work {
    url: String,
    heads: Vec<PathBuf>,
    publishing: Publishing,
}

impl Work {
    /// Makes the signing key if there is none yet.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let publishing = Publishing {
            site: config.gateway.site.clone(),
            key: keys::audit_key(&config.data)?,
            places: config.audit.heads.clone(),
            every: Duration::from_secs(config.audit.every_min.saturating_mul(60)),
        };
        Ok(Self { url: config.database.clone(), heads: heads_files(config), publishing })
    }
}

/// Runs until `stop`; then the last head is signed and put in the second places.
pub async fn run(work: Work, database: Database, clock: Clock, stop: CancellationToken) -> anyhow::Result<()> {
    let adopted = audit::adopt(&database, clock.now()).await?;
    if adopted > 0 {
        tracing::info!(lines = adopted, "audit.log.adopted");
    }
    let Work { url, heads, publishing } = work;
    let checks = Checks {
        url,
        key: PublicKey(*publishing.key.public()),
        heads,
        database: database.clone(),
        clock: clock.clone(),
    };
    if publishing.places.is_empty() {
        tracing::warn!("audit.heads is empty: whoever commands this server could rewrite the log unnoticed");
    }
    let publish = audit::publish_heads(database, clock, publishing, stop.cancelled());
    tokio::join!(publish, stop.run_until_cancelled(checks.run()));
    Ok(())
}

/// The files of the configured second places.
pub fn heads_files(config: &Config) -> Vec<PathBuf> {
    config.audit.heads.iter().map(|place| audit::heads_file(place, &config.gateway.site)).collect()
}

/// The public half of this installation's key.
pub fn public_key(config: &Config) -> anyhow::Result<PublicKey> {
    let key: HeadKey = keys::audit_key(&config.data)?;
    Ok(PublicKey(*key.public()))
}

struct Checks {
    url: String,
    key: PublicKey,
    heads: Vec<PathBuf>,
    database: Database,
    clock: Clock,
}

impl Checks {
    async fn run(self) {
        let mut due = Some(Instant::now());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let taken = match audit::take_check(&self.database, self.clock.now()).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::error!(%error, "audit.check.failed");
                    continue;
                }
            };
            let now = Instant::now();
            if taken.is_none() && due.is_some_and(|due| now < due) {
                continue;
            }
            due = Some(now + CHECK_EVERY);
            if let Err(error) = self.check(taken).await {
                tracing::error!(%error, "audit.check.failed");
            }
        }
    }

    async fn check(&self, taken: Option<i64>) -> anyhow::Result<()> {
        // A place that is away shows nothing; the log is compared with the others.
        let files = self.heads.iter().filter(|file| file.exists()).map(PathBuf::as_path);
        let published = Published::read(PublicKeys(vec![self.key]), files)?;
        let report = verify_database(&self.url, published).await?;
        note(&self.database, &self.clock, taken, &report).await?;
        match report.faults.first() {
            None => tracing::info!(entries = report.entries, covered = report.covered, "audit.check.sound"),
            Some(first) => tracing::error!(faults = report.count(), first = %first, "audit.check.faults"),
        }
        Ok(())
    }
}

/// Notes for the auditor's page what came of a check.
pub async fn note(database: &Database, clock: &Clock, taken: Option<i64>, report: &Report) -> anyhow::Result<()> {
    let result = CheckResult {
        ended: clock.now(),
        size: report.entries,
        faults: report.count(),
        first: report.faults.first().map(ToString::to_string),
    };
    Ok(audit::note_check(database, taken, &result).await?)
}
