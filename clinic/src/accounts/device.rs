//! Browsers that are known again: a long-lived random value in a cookie, remembered as its hash with each account that
//! has signed in there. It opens nothing; it only keeps somebody else's guessing from slowing its holder down, and
//! tells a new browser from a usual one.

use domain::UtcMillis;

use super::{AccountError, Accounts, DeviceToken};

/// Most browsers remembered for one account; the one unused for longest is forgotten.
pub const DEVICES_PER_ACCOUNT: i64 = 20;
/// A browser unused for this long is forgotten, in milliseconds: 400 days, the longest that browsers keep a cookie.
pub const DEVICE_LIFE_MS: i64 = 400 * 24 * 60 * 60 * 1000;

impl Accounts {
    /// Whether the account of this name has signed in from this browser before.
    pub(super) async fn knows_device(
        &self,
        login: &str,
        device: &DeviceToken,
        now: UtcMillis,
    ) -> Result<bool, AccountError> {
        let stored = device.stored();
        let found: i64 = store::read!(self.database, "accounts.device", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT COUNT(*) FROM account_device JOIN account ON account.id = account_device.account \
                 WHERE token_hash = $1 AND account.login = $2 AND seen_at > $3",
            )
            .bind(&stored)
            .bind(login)
            .bind(now.plus_ms(-DEVICE_LIFE_MS).0)
            .fetch_one(&mut *conn)
            .await?)
        })?;
        Ok(found > 0)
    }
}

/// Inside a transaction: remembers a browser with an account. Answers whether it was new while others were known.
macro_rules! remember_device {
    ($conn:expr, $now:expr, $device:expr, $account:expr) => {{
        let seen: i64 =
            store::sqlx::query_scalar("SELECT COUNT(*) FROM account_session WHERE account = $1 AND opened_at <= $2")
                .bind($account)
                .bind($now.0)
                .fetch_one(&mut *$conn)
                .await?;
        let mut is_new = seen > 1;
        if let Some(device) = $device {
            let known = store::sqlx::query(
                "UPDATE account_device SET seen_at = $1 WHERE token_hash = $2 AND account = $3 AND seen_at > $4",
            )
            .bind($now.0)
            .bind(device)
            .bind($account)
            .bind($now.plus_ms(-$crate::accounts::DEVICE_LIFE_MS).0)
            .execute(&mut *$conn)
            .await?;
            if known.rows_affected() > 0 {
                is_new = false;
            } else {
                store::sqlx::query(
                    "INSERT INTO account_device (token_hash, account, made_at, seen_at) VALUES ($1, $2, $3, $3) \
                     ON CONFLICT (token_hash, account) DO UPDATE SET seen_at = excluded.seen_at",
                )
                .bind(device)
                .bind($account)
                .bind($now.0)
                .execute(&mut *$conn)
                .await?;
                store::sqlx::query(
                    "DELETE FROM account_device WHERE account = $1 AND token_hash NOT IN ( \
                     SELECT token_hash FROM account_device WHERE account = $1 ORDER BY seen_at DESC, token_hash \
                     LIMIT $2)",
                )
                .bind($account)
                .bind($crate::accounts::DEVICES_PER_ACCOUNT)
                .execute(&mut *$conn)
                .await?;
            }
        }
        is_new
    }};
}
pub(super) use remember_device;

/// Inside a transaction: forgets the browsers of an account but for one, after a change of password.
macro_rules! forget_devices {
    ($conn:expr, $account:expr, $keep:expr) => {
        store::sqlx::query("DELETE FROM account_device WHERE account = $1 AND token_hash <> $2")
            .bind($account)
            .bind($keep)
            .execute(&mut *$conn)
            .await?
    };
}
pub(super) use forget_devices;
