//! Data that another system pulls are disclosures: who got what stands in the register before the answer is sent. What
//! cannot be registered is not given.

use std::collections::BTreeSet;

use clinic::audit::Purpose;
use clinic::disclosures::{self, Class, Disclosure};
use domain::{Field, PersonId};

use super::call::Call;
use super::problem::Problem;

/// What an answer holds.
#[derive(Debug, Default)]
pub struct Pull {
    /// Fields of persons.
    pub fields: Vec<Field>,
    /// Rows.
    pub records: usize,
    /// Whose data.
    pub persons: BTreeSet<PersonId>,
    /// What for, where the caller says it.
    pub purpose: Option<Purpose>,
}

/// Registers an answer that holds data of one class; an empty one is none.
pub async fn register(call: &Call, class: Class, pull: Pull) -> Result<(), Problem> {
    if pull.records == 0 {
        return Ok(());
    }
    let acting = call.acting()?;
    let disclosure = Disclosure {
        fields: pull.fields,
        records: pull.records as u64,
        persons: pull.persons,
        ..Disclosure::export(acting, call.route.path, &[class])
    };
    disclosures::register(&call.app.database, acting, disclosure, pull.purpose, call.app.now()).await?;
    Ok(())
}
