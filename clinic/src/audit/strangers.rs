//! What strangers are refused. Anybody on the network can cause such an entry, as often as they like; so each network
//! gets one a minute, and the next one says how often it happened since.
//!
//! The counts live in memory: an unorderly end loses at most a minute's counts, never a first occurrence.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use domain::UtcMillis;
use store::{Database, Error};

use super::{Draft, Outcome};
use crate::acting::Actor;

/// For how long further refusals of one network and kind are only counted, in milliseconds.
pub const STRANGERS_WINDOW_MS: i64 = 60_000;
/// Networks watched at once; when full, further ones share one count for each kind.
const NETWORKS_MAX: usize = 4096;
/// What stands in place of the network then.
const MANY: &str = "many";

/// Whose refusals are counted together: the database (tests have several), the network, and what was refused.
type Key = (usize, String, &'static str);

struct Window {
    since: UtcMillis,
    /// Refusals that were not written since.
    unwritten: u64,
    /// The last of them.
    last: Draft,
}

static WINDOWS: Mutex<Option<HashMap<Key, Window>>> = Mutex::new(None);

/// The draft, if it is to be written now. Everything but a stranger's refusal is.
pub(super) fn admit(database: &Database, draft: Draft) -> Option<Draft> {
    if draft.actor != Actor::Anybody || draft.outcome == Outcome::Done {
        return Some(draft);
    }
    let mut windows = WINDOWS.lock().unwrap_or_else(PoisonError::into_inner);
    let windows = windows.get_or_insert_with(HashMap::new);
    let network = draft.address.as_deref().map_or_else(|| MANY.to_owned(), network_of);
    let mut key = (identity(database), network, draft.action.as_str());
    if !windows.contains_key(&key) && windows.len() >= NETWORKS_MAX {
        key.1 = MANY.to_owned();
    }
    match windows.get_mut(&key) {
        // A clock set back must not silence anything for longer than a window.
        Some(window) if (0..STRANGERS_WINDOW_MS).contains(&draft.at.since_ms(window.since)) => {
            window.unwritten += 1;
            window.last = draft;
            None
        }
        Some(window) => {
            let told = with_count(draft.clone(), window.unwritten);
            *window = Window { since: draft.at, unwritten: 0, last: draft };
            Some(told)
        }
        None => {
            windows.insert(key, Window { since: draft.at, unwritten: 0, last: draft.clone() });
            Some(draft)
        }
    }
}

/// Writes the counts of windows that are over, and of all of them at an orderly end (`all`); forgets quiet networks.
///
/// # Errors
/// Engine errors; the counts of this call are lost then.
pub async fn flush_strangers(database: &Database, now: UtcMillis, all: bool) -> Result<(), Error> {
    let mut over = Vec::new();
    {
        let mut windows = WINDOWS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(windows) = windows.as_mut() {
            windows.retain(|key, window| {
                let open = (0..STRANGERS_WINDOW_MS).contains(&now.since_ms(window.since));
                if key.0 != identity(database) || (open && !all) {
                    return true;
                }
                if window.unwritten > 0 {
                    over.push(with_count(window.last.clone(), window.unwritten));
                }
                false
            });
        }
    }
    for draft in over {
        store::transact!(database, "audit.strangers", |conn| {
            super::record!(conn, &draft);
            Ok(())
        })?;
    }
    Ok(())
}

fn with_count(draft: Draft, unwritten: u64) -> Draft {
    if unwritten == 0 {
        return draft;
    }
    let counted = format!("times={unwritten}");
    let detail = Some(draft.detail.as_ref().map_or(counted.clone(), |detail| format!("{counted}; {detail}")));
    Draft { detail, ..draft }
}

/// An IPv4 address, or the /64 of an IPv6 one: one household or server commands a whole /64.
fn network_of(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Ok(IpAddr::V4(v4)) => v4.to_string(),
        Err(_) => MANY.to_owned(),
    }
}

fn identity(database: &Database) -> usize {
    std::ptr::from_ref(database.pools()).addr()
}
