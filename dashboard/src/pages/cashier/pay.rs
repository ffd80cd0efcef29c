//! Money of one patient.

use axum::response::Response;

use crate::fault::Fault;
use crate::visit::Visit;

/// Nothing yet.
pub async fn pay(_visit: Visit) -> Result<Response, Fault> {
    Err(Fault::NotFound)
}

/// Nothing yet.
pub async fn pay_in(_visit: Visit) -> Result<Response, Fault> {
    Err(Fault::NotFound)
}

/// Nothing yet.
pub async fn give_back(_visit: Visit) -> Result<Response, Fault> {
    Err(Fault::NotFound)
}

/// Nothing yet.
pub async fn write_off(_visit: Visit) -> Result<Response, Fault> {
    Err(Fault::NotFound)
}
