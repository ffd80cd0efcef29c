//! The doctors' sessions in GNU Health: opened by assertion when first needed, used again while they last, ended with the
//! work at the desk. A refused sign-in is not tried again for a while: GNU Health must never be made to lock anybody out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Assertions;
use super::rpc::{Rpc, RpcError, Session};

/// Most sessions kept; beyond it the one unused for longest is forgotten (and ends there by itself).
const SESSIONS_MAX: usize = 2000;
/// Refused sign-ins of one login after which nothing is tried for [`REST`].
const REFUSED_MAX: u32 = 2;
/// How long a login rests after refused sign-ins.
const REST: Duration = Duration::from_secs(600);

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSession {
    /// We could not sign: the keys are not there.
    Unsigned,
    /// The sign-in was refused, or rests after it was.
    Refused,
    /// No answer.
    Rpc(RpcError),
}

/// See the module.
pub struct Sessions {
    pub rpc: Rpc,
    assertions: Assertions,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    session: Option<Session>,
    used: Option<Instant>,
    refused: u32,
    rests_until: Option<Instant>,
}

impl Sessions {
    pub fn new(rpc: Rpc, assertions: Assertions) -> Self {
        Self { rpc, assertions, known: Mutex::new(HashMap::new()) }
    }

    /// A doctor's session, opened if need be.
    pub async fn of(&self, login: &str) -> Result<Session, NoSession> {
        let now = Instant::now();
        {
            let mut known = self.lock();
            if let Some(known) = known.get_mut(login) {
                known.used = Some(now);
                if let Some(session) = &known.session {
                    return Ok(session.clone());
                }
                if known.rests_until.is_some_and(|until| now < until) {
                    return Err(NoSession::Refused);
                }
            }
        }
        let assertion = (self.assertions)(login.to_owned()).await.map_err(|_| NoSession::Unsigned)?;
        let opened = self.rpc.sign_in(login, &assertion).await;
        let mut all = self.lock();
        if all.len() >= SESSIONS_MAX
            && !all.contains_key(login)
            && let Some(oldest) = all.iter().min_by_key(|(_, known)| known.used).map(|(login, _)| login.clone())
        {
            all.remove(&oldest);
        }
        let known = all.entry(login.to_owned()).or_default();
        known.used = Some(now);
        match opened {
            Ok(session) => {
                *known = Known { session: Some(session.clone()), used: Some(now), refused: 0, rests_until: None };
                Ok(session)
            }
            Err(error @ (RpcError::SignIn | RpcError::Throttled)) => {
                known.refused += 1;
                if known.refused >= REFUSED_MAX || error == RpcError::Throttled {
                    known.rests_until = Some(now + REST);
                    known.refused = 0;
                    tracing::warn!(%error, "gnuhealth.sign_in.refused");
                }
                Err(NoSession::Refused)
            }
            Err(error) => Err(NoSession::Rpc(error)),
        }
    }

    /// Forgets a session that GNU Health says has ended.
    pub fn forget(&self, login: &str) {
        if let Some(known) = self.lock().get_mut(login) {
            known.session = None;
        }
    }

    /// Ends a doctor's session there, if we hold one.
    pub async fn end(&self, login: &str) -> Result<(), RpcError> {
        let session = self.lock().get_mut(login).and_then(|known| known.session.take());
        match session {
            Some(session) => self.rpc.sign_out(&session).await,
            None => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        // Nothing in here can panic half-way.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
