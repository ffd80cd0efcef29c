//! The shape of what the file says about workstations and other systems.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    pub debounce_s: Option<Spanned<u64>>,
    pub again: Option<Spanned<String>>,
    pub elsewhere: Option<Spanned<String>>,
    pub idle_warn_s: Option<Spanned<u64>>,
    pub idle_lock_s: Option<Spanned<u64>>,
    pub idle_end_min: Option<Spanned<u64>>,
    pub second_factor: Option<Spanned<String>>,
    pub second_factor_h: Option<Spanned<u64>>,
    pub second_factor_wait_s: Option<Spanned<u64>>,
    pub web_reader: Option<Spanned<String>>,
    pub web_pattern: Option<Spanned<String>>,
    pub web_number: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visits {
    pub early_min: Option<Spanned<u64>>,
    pub late_min: Option<Spanned<u64>>,
    pub without_appointment: Option<Spanned<String>>,
    pub several_appointments: Option<Spanned<String>>,
    pub wrong_place: Option<Spanned<String>>,
    pub tap_out_min: Option<Spanned<u64>>,
    pub return_min: Option<Spanned<u64>>,
    pub longest_min: Option<Spanned<u64>>,
    pub question_min: Option<Spanned<u64>>,
    pub end_needs_card: Option<Spanned<bool>>,
    pub out_of_card_fresh_min: Option<Spanned<u64>>,
    pub out_of_card_min: Option<Spanned<u64>>,
    pub review_h: Option<Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    pub address: Option<Spanned<String>>,
    pub patient_system: Option<Spanned<String>>,
    pub ends_on_lock: Option<Spanned<bool>>,
    pub topic_alone: Option<Spanned<bool>>,
    pub ca: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feeds {
    #[serde(default)]
    pub order: Vec<Spanned<String>>,
    pub end_max_percent: Option<Spanned<u64>>,
    pub end_free: Option<Spanned<u64>>,
    pub staff_category: Option<Spanned<String>>,
    pub patient_category: Option<Spanned<String>>,
    pub patient_passes: Option<Spanned<String>>,
    pub before_min: Option<Spanned<u64>>,
    pub after_min: Option<Spanned<u64>>,
    pub condition: Option<Spanned<String>>,
    pub same_references: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    pub name: Spanned<String>,
    pub kind: Spanned<String>,
    pub url: Option<Spanned<String>>,
    pub plain: Option<Spanned<bool>>,
    pub ca: Option<Spanned<String>>,
    pub cert: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub at_once: Option<Spanned<u64>>,
    pub attempts: Option<Spanned<u64>>,
    // FHIR
    pub auth: Option<Spanned<String>>,
    pub user: Option<Spanned<String>>,
    pub password_file: Option<Spanned<String>>,
    pub token_file: Option<Spanned<String>>,
    pub token_url: Option<Spanned<String>>,
    pub client_id: Option<Spanned<String>>,
    pub scope: Option<Spanned<String>>,
    pub signing_key: Option<Spanned<String>>,
    pub signing_key_id: Option<Spanned<String>>,
    pub patients: Option<Spanned<String>>,
    pub staff: Option<Spanned<String>>,
    pub lookup: Option<Spanned<String>>,
    pub lookup_system: Option<Spanned<String>>,
    pub lookup_by: Option<Spanned<String>>,
    pub started: Option<Spanned<String>>,
    pub arrival: Option<Spanned<String>>,
    pub audit_events: Option<Spanned<bool>>,
    pub tell: Option<Spanned<bool>>,
    pub read: Option<Spanned<bool>>,
    pub read_every_s: Option<Spanned<u64>>,
    // Charges
    pub charges: Option<Spanned<String>>,
    pub charge_system: Option<Spanned<String>>,
    pub service_system: Option<Spanned<String>>,
    pub language: Option<Spanned<String>>,
    pub payments: Option<Spanned<bool>>,
    // HL7
    pub host: Option<Spanned<String>>,
    pub port: Option<Spanned<u64>>,
    pub application: Option<Spanned<String>>,
    pub facility: Option<Spanned<String>>,
    pub to_application: Option<Spanned<String>>,
    pub to_facility: Option<Spanned<String>>,
    pub authority: Option<Spanned<String>>,
    pub charset: Option<Spanned<String>>,
    pub acknowledge: Option<Spanned<String>>,
    pub names: Option<Spanned<bool>>,
    pub test: Option<Spanned<bool>>,
    // webhook
    #[serde(default)]
    pub secret_files: Vec<Spanned<String>>,
    // GNU Health
    pub database: Option<Spanned<String>>,
    pub login: Option<Spanned<String>>,
    pub service: Option<Spanned<String>>,
    pub invoices: Option<Spanned<String>>,
    // CSV
    pub folder: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hl7 {
    pub listen: Option<Spanned<String>>,
    pub plain: Option<Spanned<bool>>,
    pub cert: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub clients_ca: Option<Spanned<String>>,
    pub connections: Option<Spanned<u64>>,
    #[serde(default)]
    pub sender: Vec<Hl7Sender>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hl7Sender {
    pub name: Spanned<String>,
    pub application: Spanned<String>,
    pub facility: Option<Spanned<String>>,
    pub certificate: Option<Spanned<String>>,
    #[serde(default)]
    pub addresses: Vec<Spanned<String>>,
    pub authority: Option<Spanned<String>>,
    #[serde(default)]
    pub aliases: BTreeMap<String, Spanned<String>>,
    pub charset: Option<Spanned<String>>,
    pub test: Option<Spanned<bool>>,
}
