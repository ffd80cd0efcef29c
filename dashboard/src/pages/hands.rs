//! Who did what is shown, in words for the eye: names of accounts, each looked up once for a page. Never names of patients.

use std::collections::HashMap;

use clinic::accounts::AccountId;

use crate::fault::Fault;
use crate::visit::Visit;
use crate::words::short_id;

/// Names of those who acted.
pub struct Hands<'a> {
    visit: &'a Visit,
    known: HashMap<String, String>,
}

impl<'a> Hands<'a> {
    pub fn new(visit: &'a Visit) -> Self {
        Self { visit, known: HashMap::new() }
    }

    /// Who acted, in words: an account's name, else the kind of who it was.
    pub async fn name(&mut self, kind: &str, id: Option<&str>) -> Result<String, Fault> {
        let texts = self.visit.texts();
        let Some(id) = id.filter(|_| kind == "account") else { return Ok(texts.code("actor-", kind)) };
        if let Some(name) = self.known.get(id) {
            return Ok(name.clone());
        }
        let account = AccountId::parse(id);
        let name = match account {
            Some(account) => self.visit.app.accounts.shown_name(&account).await?,
            None => None,
        };
        let name = name.unwrap_or_else(|| short_id(id));
        self.known.insert(id.to_owned(), name.clone());
        Ok(name)
    }
}
