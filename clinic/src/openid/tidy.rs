//! What has expired goes.

use store::transact;

use super::{OpenIdError, Provider};

/// How long codes, tokens and requests are kept beyond their end, in milliseconds: long enough to recognise one that comes
/// twice, and to answer a question about yesterday.
const KEPT_MS: i64 = 24 * 60 * 60_000;
/// How long ended sign-ins and what systems were told of them are kept, in milliseconds.
const SIGN_INS_KEPT_MS: i64 = 30 * KEPT_MS;

impl Provider {
    pub(super) async fn tidy(&self) -> Result<(), OpenIdError> {
        let now = self.now();
        let (before, long_before) = (now.plus_ms(-KEPT_MS), now.plus_ms(-SIGN_INS_KEPT_MS));
        transact!(self.database, "openid.tidy", |conn| {
            for statement in [
                "DELETE FROM openid_request WHERE expires_ms < $1",
                "DELETE FROM openid_code WHERE expires_ms < $1",
                "DELETE FROM openid_token WHERE expires_ms < $1",
                "DELETE FROM openid_confirmation WHERE expires_ms < $1",
                "DELETE FROM openid_once WHERE expires_ms < $1",
            ] {
                sqlx::query(statement).bind(before.0).execute(&mut *conn).await?;
            }
            for statement in [
                "DELETE FROM openid_sign_in WHERE ended_ms < $1",
                "DELETE FROM openid_call WHERE made_ms < $1 AND (done_ms IS NOT NULL OR given_up_ms IS NOT NULL)",
            ] {
                sqlx::query(statement).bind(long_before.0).execute(&mut *conn).await?;
            }
            Ok(())
        })?;
        Ok(())
    }
}
