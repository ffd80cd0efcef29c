//! Guessing slows down: per account and per address, in the database so that a restart forgives nothing.
//!
//! A try is counted before its password is looked at, so that many at once gain nothing. Somebody who wants to lock a
//! doctor out from outside cannot: an address from which the account has signed in before is counted apart.
//! The table is bounded: rows older than [`FAILURES_FORGOTTEN_MS`] go at each failure, and [`ROWS_MAX`] is a lid.

use std::net::IpAddr;

use domain::UtcMillis;
use sha2::{Digest, Sha256};

use super::{
    AccountError, Accounts, FAILURES_FORGOTTEN_MS, FIRST_WAIT_MS, FREE_TRIES_PER_ACCOUNT, FREE_TRIES_PER_ADDRESS,
    LONGEST_WAIT_MS,
};

/// Most counted subjects; beyond it the address alone is counted.
const ROWS_MAX: i64 = 100_000;

/// The counters that one try touches.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    account: String,
    address: String,
}

impl Subjects {
    /// `known`: the account has signed in from this address before.
    pub(super) fn new(login: &str, address: IpAddr, known: bool) -> Self {
        let network = network_of(address);
        let account = if known { hash(&["known", login, &network]) } else { hash(&["account", login]) };
        Self { account, address: hash(&["address", &network]) }
    }
}

impl Accounts {
    /// Counts one try. `Err(Wait)` when it comes too soon; it is then not counted.
    pub(super) async fn count_try(&self, subjects: Subjects, now: UtcMillis) -> Result<(), AccountError> {
        let wait_ms = store::transact!(self.database, "accounts.throttle", |conn| {
            store::sqlx::query("DELETE FROM account_throttle WHERE last_at < $1")
                .bind(now.plus_ms(-FAILURES_FORGOTTEN_MS).0)
                .execute(&mut *conn)
                .await?;
            let rows: i64 =
                store::sqlx::query_scalar("SELECT COUNT(*) FROM account_throttle").fetch_one(&mut *conn).await?;
            let mut counted = vec![(&subjects.address, FREE_TRIES_PER_ADDRESS)];
            if rows < ROWS_MAX {
                counted.push((&subjects.account, FREE_TRIES_PER_ACCOUNT));
            }
            let mut next = Vec::with_capacity(counted.len());
            let mut wait_ms = 0_i64;
            for (subject, free) in counted {
                let row: Option<(i64, i64)> =
                    store::sqlx::query_as("SELECT failures, open_at FROM account_throttle WHERE subject = $1")
                        .bind(subject)
                        .fetch_optional(&mut *conn)
                        .await?;
                let (failures, open_at) = row.unwrap_or((0, 0));
                // A clock set back must not lock anybody out for longer than the longest wait.
                wait_ms = wait_ms.max((open_at.saturating_sub(now.0)).min(LONGEST_WAIT_MS));
                let failures = failures.saturating_add(1);
                next.push((subject, failures, now.plus_ms(wait_after(failures, free)).0));
            }
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
            Ok(wait_ms)
        })?;
        if wait_ms > 0 { Err(AccountError::Wait { wait_ms }) } else { Ok(()) }
    }

    /// Takes back the try that [`Accounts::count_try`] counted: the password was right.
    pub(super) async fn forgive_try(&self, subjects: Subjects) -> Result<(), AccountError> {
        store::transact!(self.database, "accounts.throttle", |conn| {
            store::sqlx::query("DELETE FROM account_throttle WHERE subject = $1")
                .bind(&subjects.account)
                .execute(&mut *conn)
                .await?;
            // The address keeps its other failures: one good account must not wash an attacker's address clean.
            store::sqlx::query(
                "UPDATE account_throttle SET failures = failures - 1, open_at = 0 WHERE subject = $1 AND failures > 0",
            )
            .bind(&subjects.address)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })?;
        Ok(())
    }
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
}
