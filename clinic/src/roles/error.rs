//! Why something about roles was not done.

use domain::Denied;
use thiserror::Error;

use super::{ROLE_NAME_MAX_CHARS, ROLE_TEXT_MAX_CHARS, ROLES_PER_ACCOUNT};

/// Why something about roles was not done. Nothing has been changed then.
#[derive(Debug, Error)]
pub enum RoleError {
    /// The one who asked may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It would give or take rights that the one who asked does not have.
    #[error("nobody gives or takes rights that they do not have themselves; ask somebody who has them")]
    Beyond,
    /// Somebody would change their own roles.
    #[error("nobody changes their own roles; ask somebody else who manages accounts")]
    OwnAccount,
    /// There would be no account left that can manage accounts and roles.
    #[error("this is the last account that can manage accounts and roles; name another one first")]
    LastKeeper,
    /// An account must have a role.
    #[error("an account has at least one role")]
    NoneGiven,
    /// Too many roles for one account.
    #[error("an account has at most {ROLES_PER_ACCOUNT} roles")]
    TooMany,
    /// There is no such account.
    #[error("there is no such account")]
    NoAccount,
    /// There is no such role.
    #[error("there is no such role")]
    NoRole,
    /// There is no such zone.
    #[error("there is no such zone")]
    NoZone,
    /// The role has nothing that is about places.
    #[error("this role grants nothing that is about places; give it on the whole site")]
    NotLocal,
    /// The name is empty, too long, or has control characters.
    #[error("a role's name has 1 to {ROLE_NAME_MAX_CHARS} characters on one line")]
    BadName,
    /// The description is too long or has control characters.
    #[error("a role's description has at most {ROLE_TEXT_MAX_CHARS} characters on one line")]
    BadText,
    /// Another role has this name.
    #[error("another role has this name")]
    NameTaken,
    /// Somebody still has this role.
    #[error("{0} accounts still have this role; give them another one first")]
    InUse(i64),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}
