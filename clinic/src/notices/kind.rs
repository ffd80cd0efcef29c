//! What a notice is about and to whom it goes.

use std::fmt;

use domain::{Permission, UtcMillis, codes};

use crate::accounts::{AccountError, Cabinet};

/// Most arguments of a notice; further ones are left out.
const ARGS_MAX: usize = 8;
/// Longest argument, in characters; the rest is cut.
const ARG_MAX_CHARS: usize = 160;

codes! {
    /// What a notice tells. Stable codes, keys of the texts `notice-*`.
    NoticeKind {
        /// To a new account: it was made, and by this link its holder chooses the password.
        Registered = "registered",
        /// To its holder: the password was changed.
        PasswordChanged = "password_changed",
        /// To its holder: a link for a new password, as asked of an administrator.
        PasswordLink = "password_link",
        /// To its holder: the second factor was set up, removed, or its recovery codes drawn.
        FactorChanged = "factor_changed",
        /// To its holder: somebody gives the right password and wrong codes.
        FactorGuessed = "factor_guessed",
        /// To its holder: signed in from a browser that was not used before.
        NewDevice = "new_device",
        /// To its holder: the roles were changed.
        RolesChanged = "roles_changed",
        /// To its holder: the account was closed.
        AccountClosed = "account_closed",
        /// To a new address: confirm that it is yours.
        EmailConfirm = "email_confirm",
        /// To its holder at the old address: notices now go elsewhere.
        EmailChanged = "email_changed",
        /// To the reviewers: somebody broke glass. Arguments: `login`, `minutes`.
        BreakGlass = "break_glass",
        /// To who manages the vault: it is locked, names and photos are not shown.
        VaultLocked = "vault_locked",
        /// To the auditors: the audit log does not fit what was published of it, or cannot be published.
        AuditAlarm = "audit_alarm",
        /// To who manages keys of the HTTP API: one was made, or ends soon. Arguments: `name`, `until`.
        ApiKey = "api_key",
        /// To who sees devices: an alarm of the highest severity. Arguments: `point`, `reason`.
        CriticalAlarm = "critical_alarm",
        /// To the reviewers: what was done without the card and nobody looked at in time. Arguments: `new`, `waiting`.
        IrregularOverdue = "irregular_overdue",
        /// To who asked for it on the page of notices: mail works.
        Test = "test",
    }
}

/// To whom a notice goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// To the holder of this account, by its id.
    Account(String),
    /// To everybody who has this permission when the notice is sent.
    Holders(Permission),
}

/// A notice to be written. Arguments never hold a person's data: they stand in the database in the clear.
#[derive(Clone)]
pub struct Notice {
    /// To whom.
    pub to: To,
    /// What it tells.
    pub kind: NoticeKind,
    /// When that happened.
    pub at: UtcMillis,
    id: String,
    args: Vec<(&'static str, String)>,
    link: Option<Vec<u8>>,
    address: Option<Vec<u8>>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice").field("to", &self.to).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Notice {
    /// A notice without arguments.
    pub fn new(at: UtcMillis, to: To, kind: NoticeKind) -> Self {
        Self { to, kind, at, id: crate::accounts::random_id(), args: Vec::new(), link: None, address: None }
    }

    /// With an argument for its text: at most eight, each of at most 160 characters on one line; the rest is cut.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        if self.args.len() < ARGS_MAX {
            let value = value.to_string();
            self.args.push((name, value.chars().filter(|c| !c.is_control()).take(ARG_MAX_CHARS).collect()));
        }
        self
    }

    /// With the path of a one-time link, which is kept sealed until the notice is sent.
    pub(crate) fn with_link(mut self, cabinet: &Cabinet, path: &str) -> Result<Self, AccountError> {
        self.link = Some(cabinet.seal("notice", "link", &self.id, path.as_bytes())?);
        Ok(self)
    }

    /// To this address instead of the account's own; it is kept sealed until the notice is sent.
    pub(crate) fn with_address(mut self, cabinet: &Cabinet, address: &str) -> Result<Self, AccountError> {
        self.address = Some(cabinet.seal("notice", "address", &self.id, address.as_bytes())?);
        Ok(self)
    }
}

/// A notice as its row.
pub(crate) struct Row {
    pub id: String,
    pub kind: &'static str,
    pub account: Option<String>,
    pub permission: Option<&'static str>,
    pub args: String,
    pub link: Option<Vec<u8>>,
    pub address: Option<Vec<u8>>,
    pub at: i64,
}

impl Row {
    pub(crate) fn of(notice: &Notice) -> Self {
        let (account, permission) = match &notice.to {
            To::Account(id) => (Some(id.clone()), None),
            To::Holders(permission) => (None, Some(permission.as_str())),
        };
        let args = notice.args.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
        Self {
            id: notice.id.clone(),
            kind: notice.kind.as_str(),
            account,
            permission,
            args: serde_json::Value::Object(args.collect()).to_string(),
            link: notice.link.clone(),
            address: notice.address.clone(),
            at: notice.at.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_one_bounded_line_each() {
        let notice = Notice::new(UtcMillis(5), To::Holders(Permission::AuditSee), NoticeKind::AuditAlarm)
            .with("a", "x\r\nBcc: everybody@example.org")
            .with("b", "я".repeat(1000));
        let row = Row::of(&notice);
        assert!(!row.args.contains("\\r") && !row.args.contains("\\n"), "{}", row.args);
        let read: serde_json::Value = serde_json::from_str(&row.args).unwrap();
        assert_eq!(read["b"].as_str().unwrap().chars().count(), ARG_MAX_CHARS);
        assert_eq!((row.account, row.permission), (None, Some("audit_see")));
    }
}
