//! What the configuration says of the till, checked.

use clinic::till::Rules;
use clinic::till::inbound::PaymentService;
use dashboard::PaperSettings;
use mis_bridge::terminal;

/// The till, and what is attached to it.
#[derive(Debug, Clone)]
pub struct TillSettings {
    /// How the clinic keeps its till.
    pub rules: Rules,
    /// What stands on papers.
    pub papers: PaperSettings,
    /// Card terminals that are asked.
    pub terminals: Vec<terminal::Settings>,
    /// Payment services that tell of payments.
    pub services: Vec<PaymentService>,
}
