//! Who is inside and which one-time passes are used, from what the journal has. Read page by page: memory does not grow
//! with the journal. Owns nothing; reads the journal, never writes it.

use domain::policy::Policy;
use domain::presence::Presence;
use domain::{Kind, UtcMillis};
use store::journal::{Journal, READ_MAX};

/// Entries that stay in the journal after the bridge has them, for what is rebuilt from them here and for people who
/// look: about two weeks of the published case (5000 visits a day, six entries each), and about two seconds of a start.
pub const KEEP_ENTRIES: u64 = 500_000;

/// The presence that the journal's facts make. A grant without an end (the gateway was killed between) stays
/// reserved: its one-time pass counts as used.
///
/// # Errors
/// Those of reading the journal.
pub async fn presence(journal: &Journal, policy: &Policy) -> Result<Presence, store::Error> {
    const KINDS: [Kind; 3] = [Kind::Granted, Kind::Passed, Kind::NotTaken];
    let (mut presence, mut after) = (Presence::new(policy), 0);
    loop {
        let entries = journal.read_kinds_after(&KINDS, UtcMillis(0), after, READ_MAX).await?;
        let Some(last) = entries.last() else { return Ok(presence) };
        after = last.seq;
        entries.iter().for_each(|entry| presence.apply(policy, &entry.fact));
    }
}
