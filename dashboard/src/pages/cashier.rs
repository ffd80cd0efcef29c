//! The cashier's pages: a patient is found, the account is opened, money is taken, given back or asked to be written off;
//! the drawer is opened and closed, days are closed, requests are decided. Every form that moves money carries a key that
//! works once: pressed twice, reloaded or sent again from the history, it has the outcome of the first time. What may be
//! done is the till's decision; these pages only show it and ask.

pub mod account;
pub mod days;
pub mod drawer;
pub mod find;
pub mod notices;
pub mod pay;
pub mod payments;
pub mod requests;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::fault::Fault;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "cashier/empty.html")]
struct Empty {
    frame: Frame,
}

/// A page that has nothing to show yet.
fn empty(visit: &Visit, place: &str) -> Result<Response, Fault> {
    render(StatusCode::OK, &Empty { frame: Frame::new(visit, place) })
}
