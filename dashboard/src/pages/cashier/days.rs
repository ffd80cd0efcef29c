//! Days.

use axum::response::Response;

use crate::fault::Fault;
use crate::visit::Visit;

/// The page.
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    super::empty(&visit, "till")
}

/// Nothing yet.
pub async fn export(_visit: Visit) -> Result<Response, Fault> {
    Err(Fault::NotFound)
}

/// Nothing yet.
pub async fn close(_visit: Visit) -> Result<Response, Fault> {
    Err(Fault::NotFound)
}
