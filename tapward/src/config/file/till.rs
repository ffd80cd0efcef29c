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
}
