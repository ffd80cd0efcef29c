//! What will happen, in words, before money moves: the page between a form and its act. It changes nothing itself; its one
//! button sends the same form again, with the same key and the word that it is meant.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

/// The field that says that it is meant.
pub const FIELD: &str = "sure";

/// What is about to happen.
pub struct Act {
    /// What it is, in two or three words.
    pub title: String,
    /// With whom.
    pub who: String,
    /// What will happen, sentence by sentence.
    pub lines: Vec<String>,
    /// What must not be overlooked: the change to give back.
    pub large: Option<(String, String)>,
    /// What is still to be decided afterwards or warned of.
    pub warning: Option<String>,
    /// What the button says.
    pub button: String,
    /// Where the form goes.
    pub action: String,
    /// Where one gets back to without doing it.
    pub back: String,
}

#[derive(Template)]
#[template(path = "cashier/sure.html")]
struct Page {
    frame: Frame,
    act: Act,
    pairs: Vec<(String, String)>,
}

/// Whether the form says that it is meant.
pub fn is_meant(form: &Query) -> bool {
    form.one(FIELD) == Some("yes")
}

/// Asks.
pub fn ask(visit: &Visit, place: &str, form: &Query, act: Act) -> Result<Response, Fault> {
    let pairs = form.pairs().filter(|(name, _)| !matches!(*name, "form" | FIELD));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    render(StatusCode::OK, &Page { frame: Frame::new(visit, place), act, pairs })
}
