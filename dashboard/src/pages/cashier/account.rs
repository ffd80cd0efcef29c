//! A patient's account.

use axum::response::Response;

use crate::fault::Fault;
use crate::visit::Visit;

/// The page.
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    super::empty(&visit, "till")
}
