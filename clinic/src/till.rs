//! The till: services and their prices, terms and limits, charges, payments, drawers, and the ledger under it all. Rules are
//! `domain::till`'s; here they become rows, entries of the audit log, changes and postings, in one transaction.
//!
//! Owns the tables `service`, `price`, `price_version`, `payer`, `payer_member`, `pot`, `discount_scheme`, `terms`,
//! `limit_override`, `till_balance`, `charge`, `ledger`, `till_shift`, `till_day`, `payment`, `payment_part`, `till_request`
//! and `reconciliation`. One module a capability:
//!
//! Nothing here is ever deleted; what was wrong is posted the other way round. May import `domain`, `store`, the audit log,
//! the feed of changes and visits.

pub(crate) mod ledger;
