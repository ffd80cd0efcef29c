//! Guessing slows down: per account, per address and per browser, in the database so that a restart forgives nothing.
//!
//! A try is counted before its password is looked at, so that many at once gain nothing. Somebody who wants to lock a
//! doctor out cannot:
//! - a browser from which the account has signed in before holds a device cookie and is counted by that alone, so that
//!   guessing from the same network, behind the same address of the clinic, does not slow it down;
//! - an address from which the account has signed in before is counted apart from the rest of the world.
//!
//! Who guesses from a strange browser slows down the account for strange browsers, and the address for all of them.
//! The table is bounded: rows older than [`FAILURES_FORGOTTEN_MS`] go at each failure, and beyond [`ROWS_MAX`] those
//! with the fewest failures make room.

use std::net::IpAddr;

use domain::UtcMillis;
use sha2::{Digest, Sha256};

use super::{
    AccountError, Accounts, DeviceToken, FAILURES_FORGOTTEN_MS, FIRST_WAIT_MS, FREE_CODES, FREE_TRIES_PER_ACCOUNT,
    FREE_TRIES_PER_ADDRESS, FREE_TRIES_PER_DEVICE, LONGEST_WAIT_MS,
};

/// Most counted subjects.
const ROWS_MAX: i64 = 100_000;
/// How many make room when there are that many.
const ROWS_DROPPED: i64 = 1000;

/// How well a visitor is known to an account.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Signed in, in this session.
    Session(String),
    /// By this browser.
    Device(DeviceToken),
    /// By the address.
    Address,
    /// Not at all.
    No,
}

/// The counters that one try touches, each with its free tries. The first is the account's own.
#[derive(Debug, Clone)]
pub(super) struct Subjects(Vec<(String, i64)>);

impl Subjects {
    /// For a password.
    pub(super) fn password(login: &str, address: IpAddr, known: &Known) -> Self {
        let network = network_of(address);
        let strange = (hash(&["address", &network]), FREE_TRIES_PER_ADDRESS);
        Self(match known {
            Known::Session(id) => vec![(hash(&["session", id]), FREE_TRIES_PER_ACCOUNT)],
            Known::Device(device) => vec![(hash(&["device", &device.stored(), login]), FREE_TRIES_PER_DEVICE)],
            Known::Address => vec![(hash(&["known", login, &network]), FREE_TRIES_PER_ACCOUNT), strange],
            Known::No => vec![(hash(&["account", login]), FREE_TRIES_PER_ACCOUNT), strange],
        })
    }

    /// For a one-time code: whoever comes so far knows the password.
    pub(super) fn code(login: &str, known: &Known) -> Self {
        Self(match known {
            Known::Session(id) => vec![(hash(&["code", "session", id]), FREE_CODES)],
            Known::Device(device) => vec![(hash(&["code", &device.stored(), login]), FREE_CODES)],
            Known::Address | Known::No => vec![(hash(&["code", login]), FREE_CODES)],
        })
    }
}

impl Accounts {
    /// Counts one try and answers how many the account's own counter has now. `Err(Wait)` when it comes too soon; it
    /// is then not counted, and nothing is written.
    pub(super) async fn count_try(&self, subjects: &Subjects, now: UtcMillis) -> Result<i64, AccountError> {
        let mut wait_ms = 0_i64;
        for (subject, _) in &subjects.0 {
            let open_at: Option<i64> = store::read!(self.database, "accounts.throttle", |conn| {
                Ok(store::sqlx::query_scalar("SELECT open_at FROM account_throttle WHERE subject = $1")
                    .bind(subject)
                    .fetch_optional(&mut *conn)
                    .await?)
            })?;
            wait_ms = wait_ms.max(wait_until(open_at.unwrap_or(0), now));
        }
        if wait_ms > 0 {
            return Err(AccountError::Wait { wait_ms });
        }
        let counted = subjects.0.clone();
        let (wait_ms, own) = store::transact!(self.database, "accounts.throttle", |conn| {
            store::sqlx::query("DELETE FROM account_throttle WHERE last_at < $1")
                .bind(now.plus_ms(-FAILURES_FORGOTTEN_MS).0)
                .execute(&mut *conn)
                .await?;
            let rows: i64 =
                store::sqlx::query_scalar("SELECT COUNT(*) FROM account_throttle").fetch_one(&mut *conn).await?;
            if rows >= ROWS_MAX {
                store::sqlx::query(
                    "DELETE FROM account_throttle WHERE subject IN \
                     (SELECT subject FROM account_throttle ORDER BY failures, last_at LIMIT $1)",
                )
                .bind(ROWS_DROPPED)
                .execute(&mut *conn)
                .await?;
            }
            let mut next = Vec::with_capacity(counted.len());
            let mut wait_ms = 0_i64;
            for (subject, free) in &counted {
                let row: Option<(i64, i64)> =
                    store::sqlx::query_as("SELECT failures, open_at FROM account_throttle WHERE subject = $1")
                        .bind(subject)
                        .fetch_optional(&mut *conn)
                        .await?;
                let (failures, open_at) = row.unwrap_or((0, 0));
                wait_ms = wait_ms.max(wait_until(open_at, now));
                let failures = failures.saturating_add(1);
                next.push((subject, failures, now.plus_ms(wait_after(failures, *free)).0));
            }
            let own = next.first().map_or(0, |(_, failures, _)| *failures);
            if wait_ms <= 0 {
                for (subject, failures, open_at) in next {
                    store::sqlx::query(
                        "INSERT INTO account_throttle (subject, failures, last_at, open_at) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures, \
                         last_at = excluded.last_at, open_at = excluded.open_at",
                    )
                    .bind(subject)
                    .bind(failures)
                    .bind(now.0)
                    .bind(open_at)
                    .execute(&mut *conn)
                    .await?;
                }
            }
            Ok((wait_ms, own))
        })?;
        if wait_ms > 0 { Err(AccountError::Wait { wait_ms }) } else { Ok(own) }
    }

    /// Takes back the try that [`Accounts::count_try`] counted: what was typed was right.
    pub(super) async fn forgive_try(&self, subjects: Subjects) -> Result<(), AccountError> {
        let mut subjects = subjects.0.into_iter();
        let (own, others) = (subjects.next(), subjects.collect::<Vec<_>>());
        store::transact!(self.database, "accounts.throttle", |conn| {
            if let Some((own, _)) = &own {
                store::sqlx::query("DELETE FROM account_throttle WHERE subject = $1")
                    .bind(own)
                    .execute(&mut *conn)
                    .await?;
            }
            // The address keeps its other failures: one good account must not wash an attacker's address clean.
            for (other, _) in &others {
                store::sqlx::query(
                    "UPDATE account_throttle SET failures = failures - 1, open_at = 0 \
                     WHERE subject = $1 AND failures > 0",
                )
                .bind(other)
                .execute(&mut *conn)
                .await?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// A clock set back must not lock anybody out for longer than the longest wait.
fn wait_until(open_at: i64, now: UtcMillis) -> i64 {
    open_at.saturating_sub(now.0).min(LONGEST_WAIT_MS)
}

/// How long to wait after this many failures, in milliseconds.
fn wait_after(failures: i64, free: i64) -> i64 {
    let over = failures - free;
    if over < 0 {
        return 0;
    }
    let doublings = u32::try_from(over).unwrap_or(u32::MAX).min(16);
    (FIRST_WAIT_MS << doublings).min(LONGEST_WAIT_MS)
}

/// The address itself, or the /64 of an IPv6 one: one household or server commands a whole /64.
fn network_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}")
            }
        },
    }
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    super::secret::to_hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_begin_after_the_free_tries_double_and_stop_growing() {
        assert_eq!(wait_after(4, 5), 0);
        assert_eq!(wait_after(5, 5), FIRST_WAIT_MS);
        assert_eq!(wait_after(6, 5), 2 * FIRST_WAIT_MS);
        assert_eq!(wait_after(400, 5), LONGEST_WAIT_MS);
        assert_eq!(wait_after(i64::MAX, 5), LONGEST_WAIT_MS);
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.7"), of("10.0.0.7"));
    }

    #[test]
    fn a_known_browser_shares_no_counter_with_strangers_at_its_address() {
        let address = "10.0.0.7".parse().unwrap();
        let device = Known::Device(DeviceToken::draw().unwrap());
        let own = Subjects::password("olena", address, &device).0;
        let strange = Subjects::password("olena", address, &Known::No).0;
        let near = Subjects::password("olena", address, &Known::Address).0;
        assert!(own.iter().all(|one| !strange.contains(one) && !near.contains(one)));
        assert_ne!(Subjects::password("ihor", address, &device).0, own, "each account of a shared browser by itself");
        assert_ne!(Subjects::code("olena", &device).0, Subjects::code("olena", &Known::No).0);
    }
}
