//! The shape of what the file says about the till.

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Till {
    pub currency: Option<Spanned<String>>,
    pub override_max: Option<Spanned<String>>,
    pub override_h: Option<Spanned<u64>>,
    pub refund_alone_max: Option<Spanned<String>>,
    #[serde(default)]
    pub papers: Papers,
    #[serde(default)]
    pub terminal: Vec<Terminal>,
    #[serde(default)]
    pub payment_service: Vec<PaymentService>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Papers {
    pub issuer: Option<Spanned<String>>,
    pub foot: Option<Spanned<String>>,
    pub roll: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    pub name: Spanned<String>,
    pub url: Spanned<String>,
    pub plain: Option<Spanned<bool>>,
    pub token_file: Option<Spanned<String>>,
    pub ca: Option<Spanned<String>>,
    pub within_s: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentService {
    pub name: Spanned<String>,
    #[serde(default)]
    pub secret_files: Vec<Spanned<String>>,
}
