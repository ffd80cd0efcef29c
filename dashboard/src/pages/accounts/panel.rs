//! One account beside the list.

use clinic::accounts::{AccountId, AccountSummary};

use super::{MARK, state_of};
use crate::view::Frame;

/// What is known of one account, and what may be done with it.
pub struct Panel {
    pub id: String,
    pub name: String,
    pub login: String,
    pub tone: &'static str,
    pub state: String,
    pub facts: Vec<(String, String)>,
    /// The roles that it has: the value of the box, and its name with the zone.
    pub held: Vec<(String, String)>,
    pub is_me: bool,
    pub is_closed: bool,
    pub may_edit: bool,
    pub has_sessions: bool,
}

impl Panel {
    pub(super) fn new(frame: &Frame, line: &AccountSummary, me: &AccountId, may_edit: bool) -> Self {
        let account = &line.account;
        let never = || frame.x.t("never");
        let facts = vec![
            (frame.x.t("login"), account.login.to_string()),
            (frame.x.t("account-made"), frame.times.full(line.created_at)),
            (frame.x.t("last-sign-in"), line.signed_in_at.map_or_else(never, |at| frame.times.full(at))),
        ];
        let held = line.roles.iter().map(|held| {
            let zone = held.grant.zone.as_ref().map_or("", |zone| zone.as_str());
            (format!("{}{MARK}{zone}", held.grant.role), frame.role(held))
        });
        Self {
            id: account.id.as_str().to_owned(),
            name: account.shown_name.clone(),
            login: account.login.to_string(),
            tone: tone_of(state_of(line)),
            state: state_words(frame, line),
            facts,
            held: held.collect(),
            is_me: account.id == *me,
            is_closed: line.disabled_at.is_some(),
            may_edit,
            has_sessions: line.sessions > 0,
        }
    }
}

pub(super) fn tone_of(state: &str) -> &'static str {
    match state {
        "closed" => "bad",
        "invited" => "warn",
        "signed_in" => "ok",
        _ => "info",
    }
}

pub(super) fn state_words(frame: &Frame, line: &AccountSummary) -> String {
    match state_of(line) {
        "signed_in" => frame.x.n("account-signed-in", line.sessions),
        state => frame.x.code("account-state-", state),
    }
}
