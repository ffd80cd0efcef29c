//! The policy on offer: noticed when its version rises, put into bytes aside, kept until replaced.

use std::sync::Arc;

use bytes::Bytes;
use clinic::{Database, Error};
use domain::{Clock, GatewayId, UtcMillis};
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tracing::warn;
use wire::bus::PolicyOffer;
use wire::snapshot;

/// A snapshot and its digest.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) version: u64,
    pub(crate) bytes: Bytes,
    digest: [u8; 32],
}

impl Offered {
    pub(crate) fn offer(&self, gateway: &GatewayId, at: UtcMillis) -> PolicyOffer {
        let (version, bytes, digest) = (self.version, self.bytes.len() as u64, self.digest);
        PolicyOffer { gateway: gateway.clone(), version, at, bytes, digest }
    }
}

/// `None`: nothing to offer.
type Built = Result<Option<Offered>, Error>;

/// Owns the snapshot of the moment and the one before, which some gateway may still be collecting. Memory: two
/// snapshots, and a third with its source while it is built.
pub(crate) struct PolicyDesk {
    database: Database,
    clock: Clock,
    current: Option<Arc<Offered>>,
    previous: Option<Arc<Offered>>,
    /// For which version, and the work.
    building: Option<(u64, JoinHandle<Built>)>,
    /// A version that nothing can be offered of: looked at again when it changes.
    hopeless: Option<u64>,
    /// A large policy that changes all the time takes half of one processor, not all of it: after building, the desk
    /// rests for as long as it took.
    rest_until: Instant,
    began: Instant,
}

impl PolicyDesk {
    pub(crate) fn new(database: Database, clock: Clock) -> Self {
        let (rest_until, began) = (Instant::now(), Instant::now());
        Self { database, clock, current: None, previous: None, building: None, hopeless: None, rest_until, began }
    }

    pub(crate) fn current(&self) -> Option<&Offered> {
        self.current.as_deref()
    }

    /// A snapshot that chunks can be cut from.
    pub(crate) fn offered(&self, version: u64) -> Option<Arc<Offered>> {
        let kept = [&self.current, &self.previous].into_iter().flatten();
        kept.into_iter().find(|offered| offered.version == version).cloned()
    }

    /// Starts building when the version in the database is another than the one on offer. While one is being built
    /// nothing is started: changes that come thick and fast make one snapshot at a time, each the newest.
    pub(crate) async fn look(&mut self) -> Result<(), Error> {
        if self.building.is_some() || Instant::now() < self.rest_until {
            return Ok(());
        }
        let version = clinic::policy::version(&self.database).await?;
        let offered = self.current.as_ref().map(|offered| offered.version);
        if offered != Some(version) && self.hopeless != Some(version) {
            let (database, built_at) = (self.database.clone(), self.clock.now());
            self.began = Instant::now();
            self.building = Some((version, tokio::spawn(build(database, built_at))));
        }
        Ok(())
    }

    /// Waits for a snapshot being built; for ever if there is none. May be cancelled.
    ///
    /// # Errors
    /// Engine errors: it is tried again at the next look.
    pub(crate) async fn built(&mut self) -> Result<Arc<Offered>, Error> {
        loop {
            let Some((version, building)) = &mut self.building else { return std::future::pending().await };
            let (version, outcome) = (*version, building.await);
            self.building = None;
            self.rest_until = Instant::now() + self.began.elapsed();
            match outcome {
                Ok(Ok(Some(offered))) => {
                    let offered = Arc::new(offered);
                    self.hopeless = None;
                    self.previous = self.current.replace(Arc::clone(&offered));
                    return Ok(offered);
                }
                Ok(Ok(None)) => self.hopeless = Some(version),
                Ok(Err(error)) => return Err(error),
                Err(error) => {
                    self.hopeless = Some(version);
                    warn!(policy.version = version, "building the policy snapshot failed: {error}");
                }
            }
        }
    }
}

/// `None`: there is no policy yet, or none that can be sent; then the reason has been said.
async fn build(database: Database, built_at: UtcMillis) -> Built {
    let Some(source) = clinic::policy::source(&database, built_at).await? else { return Ok(None) };
    let version = source.layout.version;
    let encoded = spawn_blocking(move || {
        let bytes = snapshot::encode(&source)?;
        let digest = Sha256::digest(&bytes).into();
        Ok::<_, snapshot::SnapshotError>(Offered { version, bytes: bytes.into(), digest })
    });
    let problem = match encoded.await {
        Ok(Ok(offered)) => return Ok(Some(offered)),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    warn!(policy.version = version, "the policy cannot be sent: {problem}");
    Ok(None)
}
